/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of who may do what: the privileges of the agent's two accounts, and what a fence can
 * close. */

#include "engine/precheck-internal.h"

#include <string.h>

#include "mysql/sql.h"

/* ---- SHOW GRANTS, read */

void grant_free(Grant *grant) {
        if (!grant)
                return;
        g_clear_pointer(&grant->privileges, g_hash_table_unref);
        g_free(grant->database);
        g_free(grant);
}

/* "select (`a`,`b`)" is about columns and "READ_ONLY ADMIN" is spelt both ways: "READ ONLY ADMIN". */
static void add_privilege(GHashTable *set, const char *text, gsize length) {
        g_autofree char *name = g_ascii_strup(text, (gssize)length);
        g_strstrip(name);
        for (char *p = name; *p; p++)
                if (*p == '_')
                        *p = ' ';
        if (strcmp(name, "ALL") == 0)
                g_hash_table_add(set, g_strdup("ALL PRIVILEGES"));
        else if (*name && !strchr(name, '('))
                g_hash_table_add(set, g_steal_pointer(&name));
}

/* The end of the list of privileges: " ON " outside of parentheses and backticks. */
static const char *find_on(const char *p) {
        int depth = 0;
        bool quoted = false;
        for (; *p; p++) {
                if (*p == '`')
                        quoted = !quoted;
                else if (quoted)
                        continue;
                else if (*p == '(')
                        depth++;
                else if (*p == ')')
                        depth--;
                else if (depth == 0 && strncmp(p, " ON ", 4) == 0)
                        return p;
        }
        return NULL;
}

Grant *grant_parse(const char *line) {
        if (!g_str_has_prefix(line, "GRANT "))
                return NULL;
        const char *list = line + strlen("GRANT "), *on = find_on(list);
        if (!on)
                return NULL; /* GRANT `role` TO … */

        const char *object = on + strlen(" ON ");
        g_autofree char *database = NULL;
        if (g_str_has_prefix(object, "*.* ")) {
                database = NULL;
        } else if (*object == '`') {
                g_autoptr(GString) name = g_string_new(NULL);
                const char *p = object + 1;
                for (; *p; p++) {
                        if (*p == '`' && *++p != '`')
                                break;
                        g_string_append_c(name, *p);
                }
                if (strncmp(p, ".* ", 3) != 0)
                        return NULL; /* one table */
                database = g_strdup(name->str);
        } else
                return NULL; /* PROCEDURE, FUNCTION, PROXY */

        Grant *grant = g_new0(Grant, 1);
        grant->database = g_steal_pointer(&database);
        grant->privileges = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        const char *start = list;
        int depth = 0;
        for (const char *p = list; p <= on; p++) {
                if (*p == '(')
                        depth++;
                else if (*p == ')')
                        depth--;
                if (p == on || (*p == ',' && depth == 0)) {
                        add_privilege(grant->privileges, start, (gsize)(p - start));
                        start = p + 1;
                }
        }
        return grant;
}

bool grant_pattern_matches(const char *pattern, const char *database) {
        for (; *pattern; pattern++, database++) {
                if (*pattern == '%') {
                        while (*pattern == '%')
                                pattern++;
                        for (;; database++) {
                                if (grant_pattern_matches(pattern, database))
                                        return true;
                                if (!*database)
                                        return false;
                        }
                }
                if (!*database)
                        return false;
                if (*pattern == '_')
                        continue;
                if (*pattern == '\\' && pattern[1])
                        pattern++;
                if (*pattern != *database)
                        return false;
        }
        return !*database;
}

bool precheck_may(const Precheck *check, Side side, const char *privilege, const char *database) {
        g_autofree char *name = g_strdelimit(g_strdup(privilege), "_", ' '); /* as add_privilege() spells it */
        for (guint i = 0; i < check->grants[side]->len; i++) {
                const Grant *grant = check->grants[side]->pdata[i];
                if (grant->database && (!database || !grant_pattern_matches(grant->database, database)))
                        continue;
                if (g_hash_table_contains(grant->privileges, name) ||
                    g_hash_table_contains(grant->privileges, "ALL PRIVILEGES"))
                        return true;
        }
        return false;
}

/* ---- privileges */

/* Families of servers that differ in their privileges. MySQL 8 took SUPER apart; MariaDB did so otherwise. */
typedef enum Family {
        FAMILY_MYSQL56 = 1 << 0, /* to 5.7 */
        FAMILY_MYSQL8 = 1 << 1,  /* 8.0 and later */
        FAMILY_MARIADB = 1 << 2,
        FAMILY_MYSQL = FAMILY_MYSQL56 | FAMILY_MYSQL8,
        FAMILY_ALL = FAMILY_MYSQL | FAMILY_MARIADB,
} Family;

static Family family_of(const Flavor *flavor) {
        return flavor->mariadb ? FAMILY_MARIADB : flavor->version < 80000 ? FAMILY_MYSQL56 : FAMILY_MYSQL8;
}

/* What the account on a side needs. ANY_OF: one of them is enough; the first is the one to grant. */
typedef struct Need {
        const char *any_of[3];
        bool global; /* a privilege of the server; else one on databases does, too */
        bool source, destination;
        Family families;
        const char *why;
        unsigned fences; /* 1 << FenceKind, of those that need it; 0: all */
} Need;

static const Need needs[] = {
        {{"SELECT"}, true, true, true, FAMILY_ALL, "to read tables, and what the server describes of them"},
        {{"INSERT"}, false, true, true, FAMILY_ALL, "to apply changes"},
        {{"UPDATE"}, false, true, true, FAMILY_ALL, "to apply changes"},
        {{"DELETE"}, false, true, true, FAMILY_ALL, "to apply changes"},
        {{"CREATE"}, false, true, true, FAMILY_ALL, "for tables and the agent's own database"},
        {{"DROP"}, false, true, true, FAMILY_ALL, "for the agent's own tables"},
        {{"ALTER"}, false, true, true, FAMILY_ALL, "to carry changes of tables"},
        {{"INDEX"}, false, true, true, FAMILY_ALL, "to carry changes of tables"},
        {{"REFERENCES"}, false, false, true, FAMILY_ALL, "to make foreign keys"},
        {{"LOCK TABLES"}, false, true, true, FAMILY_ALL, "for a fence"},
        {{"TRIGGER"}, false, true, true, FAMILY_ALL, "to see triggers, which the server hides otherwise"},
        {{"EVENT"}, false, true, false, FAMILY_ALL, "to see events, which the server hides otherwise"},
        {{"RELOAD"}, true, true, true, FAMILY_ALL, "to lock a server, as the last resort of a fence"},
        {{"PROCESS"}, true, true, true, FAMILY_ALL, "to see open transactions"},
        {{"REPLICATION SLAVE", "REPLICATION REPLICA"}, true, true, true, FAMILY_ALL, "to read the binary log"},
        {{"REPLICATION CLIENT", "BINLOG MONITOR"}, true, true, true, FAMILY_MYSQL, "to read the binary log's position"},
        {{"BINLOG MONITOR", "REPLICATION CLIENT"}, true, true, true, FAMILY_MARIADB, "to read the binary log's position"},
        {{"SUPER"}, true, true, true, FAMILY_MYSQL56 | FAMILY_MARIADB, "to switch read_only and the event scheduler", 1 << FENCE_GLOBAL},
        {{"SUPER"}, true, true, true, FAMILY_MYSQL56, "to write behind read_only", 1 << FENCE_HOOK},
        {{"SLAVE MONITOR", "REPLICA MONITOR"}, true, true, true, FAMILY_MARIADB, "to see whether the server is a replica"},
        {{"READ ONLY ADMIN"}, true, true, true, FAMILY_MARIADB, "to switch read_only and to write behind it", 1 << FENCE_GLOBAL | 1 << FENCE_HOOK},
        {{"CONNECTION ADMIN"}, true, true, true, FAMILY_MARIADB, "to end sessions that hold a transaction"},
        {{"SYSTEM_VARIABLES_ADMIN", "SUPER"}, true, true, true, FAMILY_MYSQL8, "to switch read_only and the event scheduler", 1 << FENCE_GLOBAL},
        {{"CONNECTION_ADMIN", "SUPER"}, true, true, true, FAMILY_MYSQL8,
         "to write behind read_only and to end sessions that hold a transaction"},
        {{"CREATE USER"}, true, true, true, FAMILY_MYSQL8 | FAMILY_MARIADB, "to lock accounts", 1 << FENCE_ACCOUNTS},
        {{"UPDATE"}, true, true, true, FAMILY_MYSQL56, "to close accounts in mysql.user", 1 << FENCE_ACCOUNTS},
        {{"XA_RECOVER_ADMIN"}, true, true, true, FAMILY_MYSQL8, "to see prepared transactions, which read_only does not stop"},
};

static bool may_any(const Precheck *check, Side side, const Need *need, const char *database) {
        for (gsize i = 0; i < G_N_ELEMENTS(need->any_of) && need->any_of[i]; i++)
                if (precheck_may(check, side, need->any_of[i], database))
                        return true;
        return false;
}

/* The first database on which a privilege is missing that is not granted on all of them; NULL: none. */
static const char *missing_on(const Precheck *check, Side side, const Need *need) {
        if (!may_any(check, side, need, "polarshift"))
                return "polarshift";
        /* Without the list of databases (it could not be read) only the whole server counts. */
        if (!check->objects)
                return "*";
        for (guint i = 0; i < check->objects->databases->len; i++) {
                const DatabaseDefaults *database = check->objects->databases->pdata[i];
                if (!may_any(check, side, need, database->name))
                        return database->name;
        }
        return NULL;
}

static bool is_for(const Need *need, FenceKind fence) {
        return need->fences == 0 || need->fences & 1u << fence;
}

/* A provider of MySQL 5.6 that keeps SUPER to itself has a procedure. */
static bool may_kill(Precheck *check, Side side, bool *ret, GError **error) {
        guint64 count = 0;
        *ret = family_of(conn_flavor(check->input->servers[side])) != FAMILY_MYSQL56 || precheck_may(check, side, "SUPER", NULL);
        if (*ret)
                return true;
        if (!conn_query_uint64(check->input->servers[side], "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='mysql' AND ROUTINE_NAME='rds_kill'", &count, error))
                return false;
        *ret = count > 0;
        return true;
}

static bool look_at_kill(Precheck *check, Side side, GError **error) {
        bool may = true;
        if (check->input->spec->fence != FENCE_ACCOUNTS)
                return true;
        if (!may_kill(check, side, &may, error))
                return false;
        if (!may)
                precheck_add(check, CHECK_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE, "GRANT SUPER, or EXECUTE on the provider's procedure mysql.rds_kill",
                             "the agent's account on the %s may not end sessions of others (SUPER, or a procedure mysql.rds_kill)", side_to_string(side));
        return true;
}

bool precheck_privileges(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++) {
                Family family = family_of(conn_flavor(check->input->servers[side]));
                for (gsize i = 0; i < G_N_ELEMENTS(needs); i++) {
                        const Need *need = &needs[i];
                        if (!(side == SIDE_SOURCE ? need->source : need->destination) ||
                            !(need->families & family) || !is_for(need, check->input->spec->fence) || may_any(check, side, need, NULL))
                                continue;
                        if (!need->global && !missing_on(check, side, need))
                                continue;
                        g_autofree char *hint = g_strdup_printf("GRANT %s ON *.* TO %s;", need->any_of[0],
                                                                check->account[side]);
                        precheck_add(check, CHECK_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE, hint,
                                     "the agent's account on the %s lacks %s (%s)", side_to_string(side),
                                     need->any_of[0], need->why);
                }
                if (!look_at_kill(check, side, error))
                        return false;
        }
        return true;
}

/* ---- fences */

/* Every fence closes a whole server: two migrations on it would open what the other one has closed (life-cycle.md). */
bool precheck_other_migrations(Precheck *check, GError **error) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                Conn *conn = check->input->servers[side];
                guint64 there = 0;
                if (!conn_query_uint64(conn,
                                       "SELECT COUNT(*) FROM information_schema.tables WHERE "
                                       "table_schema='polarshift' AND table_name='owner'",
                                       &there, error))
                        return false;
                if (!there)
                        continue;
                g_autoptr(ConnRows) rows = conn_queryf(conn, error, "SELECT uuid FROM polarshift.owner WHERE uuid <> '%s' ORDER BY uuid", check->input->uuid);
                if (!rows)
                        return false;
                char **row = conn_rows_take(rows);
                if (!row || !row[0])
                        continue;
                g_autofree char *quoted = sql_string(row[0]);
                g_autofree char *hint = g_strdup_printf("complete or cancel the other migration first; the row of one that is gone for good: DELETE FROM "
                                                        "polarshift.owner WHERE uuid=%s;", quoted);
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED, hint,
                             "%" G_GUINT64_FORMAT " other migrations use the %s, which fence=%s closes as a whole", conn_rows_count(rows),
                             side_to_string(side), fence_kind_to_string(check->input->spec->fence));
        }
        return true;
}

bool precheck_fence_scope(Precheck *check, GError **error) {
        const MigrationSpec *spec = check->input->spec;
        if (spec->fence == FENCE_ACCOUNTS)
                return precheck_closed_accounts(check, error);
        if (!spec_is_whole_instance(spec))
                precheck_add(check, CHECK_WARNING, PS_ERROR_NOT_SUPPORTED,
                             "make sure that no application needs to write to the other databases of the "
                             "source after the switch",
                             "fence=%s makes the whole source read-only at the switch, although only a "
                             "part of it is migrated", fence_kind_to_string(spec->fence));
        return true;
}

/* Which of the sides forget their fence when they restart. */
bool precheck_fence_durable(Precheck *check, GError **error) {
        bool keeps[_SIDE_MAX];
        if (check->input->spec->fence == FENCE_ACCOUNTS) {
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "accounts stay locked over a restart and a fail-over");
                return true;
        }
        if (check->input->spec->fence == FENCE_HOOK) {
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                             "let the hook also set read_only where the server reads it at its start (its configuration, the provider's parameters) at point fence, and "
                             "take it out of there at unfence",
                             "whether a side stays closed over a restart is the hook's business; the agent runs it again as soon as it sees that side open");
                return true;
        }
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                keeps[side] = flavor_persists_variables(conn_flavor(check->input->servers[side])) &&
                              precheck_variable_on(check, side, "persisted_globals_load");
        }
        if (keeps[SIDE_SOURCE] && keeps[SIDE_DESTINATION])
                return true;
        if (keeps[SIDE_DESTINATION]) {
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                             "add read_only=1 under [mysqld] in the configuration of the source once it must not take writes, after the switch; "
                             "take it out before a rollback",
                             "the destination keeps its fence over a restart (SET PERSIST), the source does not; the agent fences it again as soon as "
                             "it reconnects, and only the server's own configuration closes the gap before that");
                return true;
        }
        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                     "add read_only=1 under [mysqld] in the configuration of the server that must not take writes: the "
                     "destination until the switch, the source after it; never of the other one",
                     "read_only does not survive a restart of a server; the agent fences again as soon as it "
                     "reconnects, and "
                     "only the server's own configuration closes the gap before that");
        return true;
}

/* Of which points an executable knows anything is not to be told from outside; what it does is looked at when a side is closed. */
bool precheck_fence_hook(Precheck *check, GError **error) {
        if (check->input->spec->fence != FENCE_HOOK)
                return true;
        if (check->input->has_hooks)
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "there are hooks; whether one of them closes a side is seen when it has to");
        else
                precheck_add(check, CHECK_ERROR, PS_ERROR_HOOK_FAILED,
                             "put an executable into /etc/polarshift/hooks.d that closes a server at point fence and opens it at point unfence (man polarshiftd), or use "
                             "fence=global", "fence=hook, and there is no hook that could close a side");
        return true;
}
