/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of views, routines, triggers and events: that the agent may make them on both sides (the way back makes them, too), that nothing fires on
 * what is applied, and that their definers exist where they will run. Whether a server takes a definition is found by making it: at Start, and in
 * the guard of each switch. */

#include <string.h>

#include "engine/precheck-internal.h"
#include "mysql/sql.h"

static Side writer_of(const Precheck *check) {
        return check->input->stage == PRECHECK_START ? SIDE_SOURCE : check->input->writer;
}

static guint count_kind(const Precheck *check, ProgramKind kind) {
        guint count = 0;
        for (guint i = 0; check->programs && i < check->programs->len; i++)
                count += ((const Program *) check->programs->pdata[i])->kind == kind;
        return count;
}

/* --- privileges --- */

typedef struct ProgramNeed {
        const char *any_of[4];
        unsigned kinds; /* bits of ProgramKind: needed for these */
        const char *why;
} ProgramNeed;

#define BIT(kind) (1u << (kind))
#define ROUTINES (BIT(PROGRAM_FUNCTION) | BIT(PROGRAM_PROCEDURE))
#define ALL (ROUTINES | BIT(PROGRAM_VIEW) | BIT(PROGRAM_TRIGGER) | BIT(PROGRAM_EVENT))

static const ProgramNeed common_needs[] = {
        {{"CREATE VIEW"}, BIT(PROGRAM_VIEW), "to make views"},
        {{"SHOW VIEW"}, BIT(PROGRAM_VIEW), "to read views"},
        {{"CREATE ROUTINE"}, ROUTINES, "to make procedures and functions"},
        {{"ALTER ROUTINE"}, ROUTINES, "to replace and drop procedures and functions"},
        {{"EXECUTE"}, BIT(PROGRAM_FUNCTION), "to make views that call functions"},
        {{"EVENT"}, BIT(PROGRAM_EVENT), "to make and switch events"},
};

static void need(Precheck *check, Side side, const char *const *any_of, const char *why) {
        for (guint i = 0; i < 4 && any_of[i]; i++)
                if (precheck_may(check, side, any_of[i], /* database= */ NULL))
                        return;
        g_autofree char *hint = g_strdup_printf("on the %s: GRANT %s ON *.* TO %s;", side_to_string(side), any_of[0], check->account[side]);
        precheck_add(check, CHECK_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE, hint, "the agent's account on the %s lacks %s, which it needs %s",
                     side_to_string(side), any_of[0], why);
}

/* Who may name another account as definer, by server. */
static void need_definers(Precheck *check, Side side) {
        static const char *const super[] = {"SUPER", NULL, NULL, NULL}, *const set_user_or_super[] = {"SET USER", "SUPER", NULL, NULL},
                          *const set_user[] = {"SET USER", NULL, NULL, NULL},
                          *const any_definer[] = {"SET_ANY_DEFINER", "SET_USER_ID", "SUPER", NULL},
                          *const user_id[] = {"SET_USER_ID", "SUPER", NULL, NULL};
        const Flavor *flavor = conn_flavor(check->input->servers[side]);
        const char *const *any_of = flavor->mariadb            ? (flavor->version >= 110000 ? set_user : set_user_or_super)
                                    : flavor->version >= 80200 ? any_definer
                                    : flavor->version >= 80000 ? user_id : super;
        need(check, side, any_of, "to keep the definers of views, routines, triggers and events");
}

/* Binary logging makes a server particular about who may make functions and triggers. */
static void look_at_trust(Precheck *check, Side side) {
        if (precheck_variable_on(check, side, "log_bin_trust_function_creators") || precheck_may(check, side, "SUPER", NULL))
                return;
        if (count_kind(check, PROGRAM_FUNCTION) + count_kind(check, PROGRAM_PROCEDURE) + count_kind(check, PROGRAM_TRIGGER) == 0)
                return;
        g_autofree char *hint = g_strdup_printf("on the %s, and in its configuration: SET GLOBAL log_bin_trust_function_creators=1;", side_to_string(side));
        precheck_add(check, CHECK_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE, hint,
                     "the %s writes a binary log and lets only SUPER make functions and triggers (log_bin_trust_function_creators=0)", side_to_string(side));
}

bool precheck_programs(Precheck *check, GError **error) {
        if (!check->programs) {
                g_propagate_error(error, g_error_copy(check->programs_error));
                return false;
        }
        if (check->programs->len == 0)
                return true;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                for (gsize i = 0; i < G_N_ELEMENTS(common_needs); i++) {
                        bool used = false;
                        for (ProgramKind kind = 0; kind < _PROGRAM_MAX; kind++)
                                used |= (common_needs[i].kinds & BIT(kind)) && count_kind(check, kind) > 0;
                        if (used)
                                need(check, side, common_needs[i].any_of, common_needs[i].why);
                }
                need_definers(check, side);
                look_at_trust(check, side);
        }
        precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "%u views, %u procedures, %u functions, %u triggers and %u events will be carried",
                     count_kind(check, PROGRAM_VIEW), count_kind(check, PROGRAM_PROCEDURE), count_kind(check, PROGRAM_FUNCTION),
                     count_kind(check, PROGRAM_TRIGGER), count_kind(check, PROGRAM_EVENT));
        return true;
}

/* --- triggers --- */

/* The applier fires triggers, and so would change rows that the binary log changes as well: twice. */
bool precheck_triggers(Precheck *check, GError **error) {
        Side reader = side_other(writer_of(check));
        g_autoptr(ConnRows) rows = conn_query(check->input->servers[reader],
                                              "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE "
                                              "FROM information_schema.TRIGGERS ORDER BY 1, 2",
                                              error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[0] || !row[1] || !row[2] || !row[3] || schema_is_system_database(row[0]))
                        continue;
                g_autofree char *name = sql_table(row[0], row[1]), *table = sql_table(row[2], row[3]);
                if (!g_hash_table_contains(check->carried, table))
                        continue;
                g_autofree char *hint = g_strdup_printf("on the %s, when its text is kept elsewhere: DROP TRIGGER %s;", side_to_string(reader), name);
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "trigger %s on the carried table %s of the %s would fire on changes that are applied there", name, table, side_to_string(reader));
        }
        return true;
}

/* --- definers --- */

/* Set of user@host. */
static GHashTable *accounts_of(Conn *conn, const char *query, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, query, error);
        g_autoptr(GHashTable) accounts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        if (!rows)
                return NULL;
        for (char **row; (row = conn_rows_take(rows));) {
                if (row[0])
                        g_hash_table_add(accounts, g_strdup(row[0]));
        }
        return g_steal_pointer(&accounts);
}

/* A definer with SYSTEM_USER may be named only by who has it, too. */
static bool look_at_system_users(Precheck *check, Side side, GHashTable *definers, GError **error) {
        Conn *conn = check->input->servers[side];
        if (!flavor_has_dynamic_privileges(conn_flavor(conn)) || precheck_may(check, side, "SYSTEM_USER", NULL))
                return true;
        g_autoptr(GHashTable) privileged = accounts_of(conn, "SELECT CONCAT(USER,'@',HOST) FROM mysql.global_grants WHERE PRIV='SYSTEM_USER'", error);
        GHashTableIter iter;
        gpointer definer;
        if (!privileged)
                return false;
        g_hash_table_iter_init(&iter, definers);
        while (g_hash_table_iter_next(&iter, &definer, NULL)) {
                if (!g_hash_table_contains(privileged, definer))
                        continue;
                g_autofree char *hint = g_strdup_printf("on the %s: GRANT SYSTEM_USER ON *.* TO %s;", side_to_string(side), check->account[side]);
                precheck_add(check, CHECK_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE, hint,
                             "the definer %s has SYSTEM_USER on the %s, so only an account with SYSTEM_USER may make what is defined by it",
                             (const char *) definer, side_to_string(side));
                return true;
        }
        return true;
}

static void name_missing(Precheck *check, const Program *program, Side side, bool stops) {
        g_autofree char *name = sql_table(program->database, program->name), *definer = program_quote_definer(program->definer);
        g_autofree char *hint = g_strdup_printf("on the %s: CREATE USER %s ...; with the grants that it has on the other side", side_to_string(side), definer);
        if (stops)
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "the definer %s of trigger %s does not exist on the %s: every write that fires it would be refused there", program->definer, name,
                             side_to_string(side));
        else
                precheck_add(check, CHECK_WARNING, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "the definer %s of %s %s does not exist on the %s, where it cannot be used until it does", program->definer,
                             program_kind_to_string(program->kind), name, side_to_string(side));
}

/* Definers that do not exist are named once each, with the first program that has them; triggers' at a switch stop it. */
bool precheck_definers(Precheck *check, GError **error) {
        if (!check->programs || check->programs->len == 0)
                return true;
        Side reader = side_other(writer_of(check));
        Conn *conn = check->input->servers[reader];
        bool at_switch = check->input->stage == PRECHECK_SWITCH;
        g_autoptr(GHashTable) accounts = accounts_of(conn, "SELECT CONCAT(User,'@',Host) FROM mysql.user", error);
        g_autoptr(GHashTable) definers = g_hash_table_new(g_str_hash, g_str_equal);
        g_autoptr(GHashTable) named = g_hash_table_new(g_str_hash, g_str_equal);
        bool missing = false;
        if (!accounts)
                return false;
        for (guint i = 0; i < check->programs->len; i++) {
                const Program *p = check->programs->pdata[i];
                g_hash_table_add(definers, p->definer);
                if (!strchr(p->definer, '@') || g_hash_table_contains(accounts, p->definer))
                        continue; /* a role of MariaDB's has no host */
                if (!at_switch && precheck_will_carry(check, p->definer))
                        continue;
                missing = true;
                bool stops = at_switch && p->kind == PROGRAM_TRIGGER;
                if (stops || g_hash_table_add(named, p->definer))
                        name_missing(check, p, reader, stops);
        }
        const Flavor *flavor = conn_flavor(conn);
        static const char *const nonexistent[] = {"ALLOW_NONEXISTENT_DEFINER", "SET_USER_ID", NULL, NULL};
        if (missing && !flavor->mariadb && flavor->version >= 80200)
                need(check, reader, nonexistent, "to make what is defined by accounts that do not exist there");
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (!look_at_system_users(check, side, definers, error))
                        return false;
        return true;
}

/* --- the event scheduler --- */

static guint enabled_events(const Precheck *check) {
        guint count = 0;
        for (guint i = 0; check->programs && i < check->programs->len; i++) {
                const Program *p = check->programs->pdata[i];
                count += p->kind == PROGRAM_EVENT && p->enabled;
        }
        return count;
}

/* Enabled events run where the scheduler is on: when it is not the same on both sides they would stop with a switch, or begin. */
bool precheck_event_scheduler(Precheck *check, GError **error) {
        Side writer = writer_of(check), reader = side_other(writer);
        bool runs = precheck_variable_on(check, writer, "event_scheduler");
        bool will_run = precheck_variable_on(check, reader, "event_scheduler") || check->input->scheduler_returns[reader];
        guint events = enabled_events(check);
        if (events > 0 && runs != will_run) {
                g_autofree char *hint = g_strdup_printf("on the %s, and in its configuration: SET GLOBAL event_scheduler=%s;", side_to_string(reader),
                                                        runs ? "ON" : "OFF");
                precheck_add(check, check->input->stage == PRECHECK_SWITCH ? CHECK_ERROR : CHECK_WARNING, PS_ERROR_CHECK_FAILED, hint,
                             "%u events are enabled, and the event scheduler is %s on the %s and %s on the %s: they would %s with the switch", events,
                             runs ? "on" : "off", side_to_string(writer), runs ? "off" : "on", side_to_string(reader), runs ? "stop" : "begin to run");
                return true;
        }
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL, "the event scheduler of the %s is %s", side_to_string(side),
                             precheck_variable_on(check, side, "event_scheduler") ? "on; a fence switches it off" : "off");
        return true;
}
