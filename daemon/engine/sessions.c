/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sessions.h. */

#include "engine/sessions.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define ER_CANNOT_CONVERT_STRING 3854
#define ORPHAN 10 /* s */
#define LOOK_USEC (120 * USEC_PER_MSEC) /* the server's own measure is 100, on its clock */

void session_free(Session *session) {
        if (!session)
                return;
        g_free(session->user);
        g_free(session->host);
        g_free(session->database);
        g_free(session);
}

bool sessions_sleep(Conn *conn, gint64 usec, GError **error) {
        g_autofree char *sql = g_strdup_printf("SELECT SLEEP(%.3f)", (double) usec / USEC_PER_SEC);
        guint64 slept;
        return conn_query_uint64(conn, sql, &slept, error);
}

bool session_look_wait(Conn *conn, const SessionLook *look, GError **error) {
        gint64 left = look->at > 0 ? look->at + LOOK_USEC - clock_monotonic() : 0;
        return left <= 0 || sessions_sleep(conn, left, error);
}

/* --- transactions --- */

static GHashTable *ages_new(void) {
        return g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
}

static void ages_add(GHashTable *ages, guint64 id, guint64 seconds) {
        g_hash_table_insert(ages, g_memdup2(&id, sizeof id), g_memdup2(&seconds, sizeof seconds));
}

/* "---TRANSACTION 1560, ACTIVE (PREPARED) 3 sec", some lines about locks, and "MySQL thread id 15, OS thread handle …". The texts of statements are
 * in there as well, as they are. What a server leaves out of a text that would be too long it leaves out of this list. */
static GHashTable *transactions_of_monitor(Conn *conn, GError **error) {
        static const char head[] = "---TRANSACTION ", active_mark[] = ", ACTIVE", thread[] = "MySQL thread id ";
        g_autoptr(ConnRows) rows = conn_query(conn, "SHOW ENGINE INNODB STATUS", error);
        char **row = conn_rows_take(rows);
        const char *line = row && row[2] ? strstr(row[2], "\nLIST OF TRANSACTIONS") : NULL;
        if (!line || strstr(row[2], "... truncated...")) {
                if (rows)
                        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s does not list its transactions", conn_label(conn));
                return NULL;
        }
        GHashTable *ages = ages_new();
        guint64 seconds = 0;
        bool active = false;
        for (; line; line = strchr(line, '\n')) {
                line++;
                if (g_str_has_prefix(line, head)) {
                        const char *mark = line + strlen(head) + strspn(line + strlen(head), "0123456789");
                        active = g_str_has_prefix(mark, active_mark);
                        seconds = active ? g_ascii_strtoull(mark + strcspn(mark, "0123456789\n"), NULL, 10) : 0;
                } else if (active && g_str_has_prefix(line, thread)) {
                        ages_add(ages, g_ascii_strtoull(line + strlen(thread), NULL, 10), seconds);
                        active = false;
                }
        }
        return ages;
}

/* By thread number: how long its transaction has been open, in s. Recovered XA transactions belong to no thread. trx_started is in the zone of
 * the server's host, whatever the session's is [M: 5.6, MariaDB 10.11 and 11.8, 9.7]. */
static GHashTable *transactions(Conn *conn, GError **error) {
        g_autoptr(GError) local = NULL;
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')) "
                                                    "FROM information_schema.innodb_trx WHERE trx_mysql_thread_id > 0", &local);
        if (g_error_matches(local, MYSQL_ERROR, ER_CANNOT_CONVERT_STRING))
                return transactions_of_monitor(conn, error);
        if (!rows) {
                g_propagate_error(error, g_steal_pointer(&local));
                return NULL;
        }
        GHashTable *ages = ages_new();
        for (char **row; (row = conn_rows_take(rows));)
                if (row[0]) {
                        gint64 age = row[1] ? g_ascii_strtoll(row[1], NULL, 10) : 0;
                        ages_add(ages, g_ascii_strtoull(row[0], NULL, 10), age > 0 ? (guint64) age : 0);
                }
        return ages;
}

/* --- sessions --- */

static const char *bypass_privileges(const Flavor *flavor) {
        if (!flavor_super_bypasses_read_only(flavor))
                return "'READ_ONLY ADMIN','READ ONLY ADMIN'";
        return flavor_has_dynamic_privileges(flavor) ? "'SUPER','CONNECTION_ADMIN'" : "'SUPER'";
}

/* Grantees ('user'@'host') that read_only does not stop. */
static GPtrArray *bypassing(Conn *conn, GError **error) {
        g_autoptr(GPtrArray) grantees = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *sql = g_strdup_printf("SELECT DISTINCT GRANTEE FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN (%s)",
                                               bypass_privileges(conn_flavor(conn)));
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return NULL;
        for (char **row; (row = conn_rows_take(rows));)
                if (row[0])
                        g_ptr_array_add(grantees, g_strdup(row[0]));
        return g_steal_pointer(&grantees);
}

/* Which account a session uses is told by its user alone: any of them that has the privilege counts. */
static bool is_among(const GPtrArray *grantees, const char *user) {
        g_autofree char *start = g_strdup_printf("'%s'@'", user);
        for (guint i = 0; i < grantees->len; i++)
                if (g_str_has_prefix(grantees->pdata[i], start))
                        return true;
        return false;
}

/* By its first word, behind comments. */
static bool changes_something(const char *statement) {
        static const char *const verbs[] = {"ALTER",    "ANALYZE", "CREATE", "DELETE", "DROP",   "GRANT",    "INSERT", "LOAD",
                                            "OPTIMIZE", "RENAME",  "REPAIR", "REPLACE", "REVOKE", "TRUNCATE", "UPDATE", NULL};
        const char *p = statement;
        while (p && (g_ascii_isspace(*p) || g_str_has_prefix(p, "/*"))) {
                const char *end = *p == '/' ? strstr(p + 2, "*/") : NULL;
                if (*p == '/' && !end)
                        return false;
                p = end ? end + 2 : p + 1;
        }
        for (guint i = 0; p && verbs[i]; i++)
                if (g_ascii_strncasecmp(p, verbs[i], strlen(verbs[i])) == 0 && !g_ascii_isalnum(p[strlen(verbs[i])]))
                        return true;
        return false;
}

/* As MySQL and MariaDB name these states. */
static bool is_waiting(const char *state) {
        static const char *const states[] = {"Waiting for table flush", "Waiting for global read lock", "Waiting for commit lock", "Waiting for backup lock", NULL};
        return state && g_strv_contains(states, state);
}

/* AGES: of transactions(); NULL: not known. */
static GPtrArray *list(Conn *conn, GHashTable *ages, GError **error) {
        enum { ID, USER, HOST, DB, COMMAND, TIME, STATE, INFO };
        g_autoptr(GPtrArray) grantees = bypassing(conn, error);
        g_autofree char *own = grantees ? conn_query_string(conn, "SELECT SUBSTRING_INDEX(USER(), '@', 1)", error) : NULL;
        g_autoptr(ConnRows) rows = own ? conn_query(conn, "SHOW PROCESSLIST", error) : NULL;
        g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify) session_free);
        if (!rows)
                return NULL;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[ID] || !row[USER] || !row[COMMAND])
                        continue;
                if (strcmp(row[USER], own) == 0 || strcmp(row[USER], "system user") == 0 || strcmp(row[USER], "event_scheduler") == 0 ||
                    strcmp(row[COMMAND], "Daemon") == 0)
                        continue;
                bool asleep = strcmp(row[COMMAND], "Query") != 0 && strcmp(row[COMMAND], "Execute") != 0;
                guint64 id = g_ascii_strtoull(row[ID], NULL, 10);
                const guint64 *age = ages ? g_hash_table_lookup(ages, &id) : NULL;
                Session *session = g_new0(Session, 1);
                *session = (Session){
                        .id = id,
                        .user = g_strdup(row[USER]),
                        .host = g_strdup(row[HOST] ? row[HOST] : ""),
                        .database = g_strdup(row[DB]),
                        .transaction = age != NULL,
                        .seconds = age ? *age : 0,
                        .bypasses = is_among(grantees, row[USER]),
                        .dump = g_str_has_prefix(row[COMMAND], "Binlog Dump"),
                        .running = !asleep && row[TIME] ? g_ascii_strtoull(row[TIME], NULL, 10) : 0,
                        .blocks = !asleep && (g_strcmp0(row[STATE], "Waiting for table metadata lock") == 0 || changes_something(row[INFO])),
                        .killed = strcmp(row[COMMAND], "Killed") == 0,
                        .waits = is_waiting(row[STATE]),
                };
                g_ptr_array_add(sessions, session);
        }
        return g_steal_pointer(&sessions);
}

GPtrArray *sessions_of_others(Conn *conn, SessionLook *look, GError **error) {
        if (!session_look_wait(conn, look, error))
                return NULL;
        /* The transactions first: a session that has one and is not in the list behind them is gone, and its transaction with it. */
        g_autoptr(GHashTable) ages = transactions(conn, error);
        look->at = clock_monotonic();
        return ages ? list(conn, ages, error) : NULL;
}

unsigned sessions_end_orphans(Conn *conn) {
        enum { ID, USER, COMMAND = 4, TIME };
        unsigned ended = 0;
        g_autoptr(GHashTable) ages = ages_new();
        g_autoptr(ConnRows) open = conn_query(conn, "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id > 0 AND "
                                                    "trx_rows_modified > 0", NULL);
        g_autofree char *own = open ? conn_query_string(conn, "SELECT SUBSTRING_INDEX(USER(), '@', 1)", NULL) : NULL;
        g_autoptr(ConnRows) rows = own ? conn_query(conn, "SHOW PROCESSLIST", NULL) : NULL;
        if (!rows)
                return 0;
        for (char **row; (row = conn_rows_take(open));)
                if (row[0])
                        ages_add(ages, g_ascii_strtoull(row[0], NULL, 10), 0);
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[ID] || !row[USER] || !row[COMMAND] || !row[TIME])
                        continue;
                guint64 id = g_ascii_strtoull(row[ID], NULL, 10);
                if (strcmp(row[USER], own) == 0 && strcmp(row[COMMAND], "Sleep") == 0 && g_ascii_strtoll(row[TIME], NULL, 10) >= ORPHAN &&
                    g_hash_table_contains(ages, &id))
                        ended += conn_execf(conn, NULL, "KILL %" G_GUINT64_FORMAT, id);
        }
        return ended;
}

GPtrArray *sessions_connected(Conn *conn, GError **error) {
        return list(conn, /* ages= */ NULL, error);
}
