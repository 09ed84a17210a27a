/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fence.h. */

#include "engine/fence.h"

#include "base/clock.h"
#include "base/error.h"

/* Sessions of other users that hold a transaction; the server's own threads and dump connections hold none. Our own are told by
 * the account: the agent has one of its own (README). */
#define FOREIGN_TRANSACTIONS                                                                                                   \
        "FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id "          \
        "WHERE p.user <> SUBSTRING_INDEX(USER(), '@', 1) AND p.user NOT IN ('system user', 'event_scheduler')"

/* Sessions that read_only does not stop, by the privilege that each family checks. */
#define BYPASSING                                                                                                              \
        "FROM information_schema.processlist p JOIN information_schema.user_privileges g ON g.grantee LIKE "                   \
        "CONCAT('''', REPLACE(REPLACE(p.user, '_', '\\\\_'), '%%', '\\\\%%'), '''@%%') "                                        \
        "WHERE g.privilege_type IN (%s) AND p.user <> SUBSTRING_INDEX(USER(), '@', 1) "                                        \
        "AND p.user NOT IN ('system user', 'event_scheduler') AND p.command NOT LIKE 'Binlog Dump%%' AND p.command <> 'Daemon'"

static const char *bypass_privileges(const Flavor *flavor) {
        if (!flavor_super_bypasses_read_only(flavor))
                return "'READ_ONLY ADMIN','READ ONLY ADMIN'";
        return flavor_has_dynamic_privileges(flavor) ? "'SUPER','CONNECTION_ADMIN'" : "'SUPER'";
}

static ConnRows *sessions_to_kill(Conn *conn, bool kill_sessions, GError **error) {
        g_autofree char *bypassing = kill_sessions ? g_strdup_printf(" UNION SELECT p.id " BYPASSING, bypass_privileges(conn_flavor(conn)))
                                                   : g_strdup("");
        g_autofree char *sql = g_strconcat("SELECT p.id " FOREIGN_TRANSACTIONS, bypassing, NULL);
        return conn_query(conn, sql, error);
}

/* A session that went by itself is as good as killed. MySQL 8 keeps those of SYSTEM_USER from everybody who is not one. */
static bool kill_session(Conn *conn, guint64 id, GError **error) {
        g_autoptr(GError) local = NULL;
        if (conn_execf(conn, &local, "KILL %" G_GUINT64_FORMAT, id) || g_error_matches(local, MYSQL_ERROR, 1094))
                return true;
        if (g_error_matches(local, MYSQL_ERROR, 1095))
                g_set_error(error, PS_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE,
                            "session %" G_GUINT64_FORMAT " on %s holds a transaction or gets past read_only, and the agent may not end it: "
                            "end it, or grant SYSTEM_USER to the agent's account", id, conn_label(conn));
        else
                g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

static bool kill_holders(Conn *conn, bool kill_sessions, gint64 until, unsigned *killed, GError **error) {
        for (;;) {
                g_autoptr(ConnRows) rows = sessions_to_kill(conn, kill_sessions, error);
                if (!rows)
                        return false;
                if (conn_rows_count(rows) == 0)
                        return true;
                for (;;) {
                        char **row;
                        if (!conn_rows_next(rows, &row, NULL, error))
                                return false;
                        if (!row)
                                break;
                        if (!kill_session(conn, g_ascii_strtoull(row[0], NULL, 10), error))
                                return false;
                        (*killed)++;
                }
                if (clock_monotonic() >= until) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "sessions on %s that hold transactions were killed but did not end in time", conn_label(conn));
                        return false;
                }
                guint64 slept; /* a moment, on the server: rolling back takes its time */
                if (!conn_query_uint64(conn, "SELECT SLEEP(0.01)", &slept, error))
                        return false;
        }
}

static bool no_prepared_xa(Conn *conn, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, "XA RECOVER", error);
        if (!rows)
                return false;
        if (conn_rows_count(rows) == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                    "%" G_GUINT64_FORMAT " prepared XA transactions on %s can still commit behind read_only: end them (XA RECOVER "
                    "lists them) and try again", conn_rows_count(rows), conn_label(conn));
        return false;
}

static bool stopped(FenceStop stop, gpointer userdata, GError **error) {
        if (!stop(userdata))
                return false;
        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        return true;
}

/* PERSIST is GLOBAL and a line in a file that the server reads at its start. Where an administrator does not let us write that line the fence is
 * as durable as on other servers. */
bool fence_shut(Conn *conn, GError **error) {
        g_autoptr(GError) local = NULL;
        if (flavor_persists_variables(conn_flavor(conn))) {
                if (conn_exec(conn, "SET PERSIST read_only=1", -1, NULL, &local))
                        return true;
                if (!mysql_error_is_privilege(local)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
        return conn_exec(conn, "SET GLOBAL read_only=1", -1, NULL, error);
}

/* It waits for LOCK TABLES of others, with every writer waiting behind it: in short waits, between which Abort is looked at, and not longer
 * than there is time. */
static bool set_read_only(Conn *conn, gint64 until, FenceStop stop, gpointer userdata, GError **error) {
        g_autoptr(GError) local = NULL;
        bool good = false;
        if (!conn_exec(conn, "SET SESSION lock_wait_timeout=1", -1, NULL, error))
                return false;
        do {
                g_clear_error(&local);
                if (stopped(stop, userdata, error))
                        return false;
                good = fence_shut(conn, &local);
        } while (!good && mysql_error_is_retryable(local) && clock_monotonic() < until);
        if (!good && mysql_error_is_retryable(local))
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                            "%s could not be made read-only in time: a session holds LOCK TABLES or runs a long statement there; end it and "
                            "try again", conn_label(conn));
        else if (!good)
                g_propagate_error(error, g_steal_pointer(&local));
        return good && conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT", -1, NULL, error);
}

bool fence_close(Conn *conn, bool kill_sessions, gint64 timeout_usec, FenceStop stop, gpointer userdata, FenceReport *ret, GError **error) {
        gint64 until = clock_monotonic() + timeout_usec;
        g_autofree char *events = conn_query_string(conn, "SELECT @@global.event_scheduler", error);
        if (!events)
                return false;
        ret->events_were_on = g_ascii_strcasecmp(events, "ON") == 0;
        ret->killed = 0;
        if (ret->events_were_on && !conn_exec(conn, "SET GLOBAL event_scheduler=OFF", -1, NULL, error))
                return false;
        return set_read_only(conn, until, stop, userdata, error) && !stopped(stop, userdata, error) &&
               kill_holders(conn, kill_sessions, until, &ret->killed, error) && no_prepared_xa(conn, error);
}

/* Out of the file again. */
static bool forget_persisted(Conn *conn, GError **error) {
        g_autoptr(GError) local = NULL;
        if (!flavor_persists_variables(conn_flavor(conn)) || conn_exec(conn, "RESET PERSIST IF EXISTS read_only", -1, NULL, &local) ||
            mysql_error_is_privilege(local))
                return true;
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

bool fence_open(Conn *conn, bool events_on, GError **error) {
        return conn_exec(conn, "SET GLOBAL read_only=0", -1, NULL, error) && forget_persisted(conn, error) &&
               (!events_on || conn_exec(conn, "SET GLOBAL event_scheduler=ON", -1, NULL, error));
}

bool fence_is_closed(Conn *conn, bool *ret, GError **error) {
        guint64 value;
        if (!conn_query_uint64(conn, "SELECT @@global.read_only", &value, error))
                return false;
        *ret = value != 0;
        return true;
}

bool fence_survey(Conn *conn, bool kill_sessions, unsigned *ret_sessions, guint64 *ret_oldest, GError **error) {
        g_autoptr(ConnRows) rows = sessions_to_kill(conn, kill_sessions, error);
        if (!rows)
                return false;
        *ret_sessions = (unsigned) conn_rows_count(rows);
        return conn_query_uint64(conn, "SELECT COALESCE(MAX(TIMESTAMPDIFF(SECOND, t.trx_started, NOW())), 0) " FOREIGN_TRANSACTIONS,
                                 ret_oldest, error);
}

ConnRows *fence_sessions_to_end(Conn *conn, bool kill_sessions, GError **error) {
        g_autofree char *bypassing = kill_sessions ? g_strdup_printf(" UNION SELECT p.id, p.user, p.host, p.db, NULL, 'past-read-only' " BYPASSING,
                                                                     bypass_privileges(conn_flavor(conn)))
                                                   : g_strdup("");
        g_autofree char *sql = g_strconcat("SELECT p.id, p.user, p.host, p.db, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), 'transaction' "
                                           FOREIGN_TRANSACTIONS, bypassing, " ORDER BY 1", NULL);
        return conn_query(conn, sql, error);
}

ConnRows *fence_sessions_left(Conn *conn, GError **error) {
        return conn_query(conn,
                          "SELECT id, user, host, db FROM information_schema.processlist WHERE user <> SUBSTRING_INDEX(USER(), '@', 1) "
                          "AND user NOT IN ('system user', 'event_scheduler', 'unauthenticated user') AND command NOT LIKE 'Binlog Dump%' "
                          "AND command <> 'Daemon' ORDER BY id", error);
}

bool fence_log_mark(Conn *conn, char **ret_mark, GError **error) {
        if (conn_flavor(conn)->mariadb) {
                *ret_mark = conn_query_string(conn, "SELECT @@global.gtid_binlog_pos", error);
                return *ret_mark != NULL;
        }
        g_autofree char *file = NULL;
        guint64 offset;
        if (!conn_binlog_position(conn, &file, &offset, error))
                return false;
        *ret_mark = g_strdup_printf("%s:%" G_GUINT64_FORMAT, file, offset);
        return true;
}
