/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fence.h. */

#include "engine/fence.h"

#include "base/clock.h"
#include "base/error.h"

/* Those that hold a transaction, and on request those that read_only does not stop; the others can write nothing. */
bool fence_would_end(const Session *session, bool kill_sessions) {
        return session->transaction || (kill_sessions && session->bypasses && !session->dump);
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

/* ENDED: numbers of sessions that were killed, from call to call. → how many are not gone yet, or negative. */
static gint64 kill_those(Conn *conn, const GPtrArray *sessions, bool kill_sessions, GHashTable *ended, GError **error) {
        gint64 found = 0;
        for (guint i = 0; i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                if (!g_hash_table_contains(ended, &session->id)) {
                        if (!fence_would_end(session, kill_sessions))
                                continue;
                        if (!kill_session(conn, session->id, error))
                                return -1;
                        g_hash_table_add(ended, g_memdup2(&session->id, sizeof session->id));
                }
                found++;
        }
        return found;
}

/* Transactions are looked at once: behind read_only nobody begins one that could write, but whom it does not stop, and looking again would
 * take 0.1 s more (sessions.h). Whoever was killed is gone, with what he changed, when the server does not list him any more. */
static bool kill_holders(Conn *conn, SessionLook *look, bool kill_sessions, gint64 until, unsigned *killed, GError **error) {
        g_autoptr(GHashTable) ended = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        g_autoptr(GPtrArray) sessions = sessions_of_others(conn, look, error);
        while (sessions) {
                gint64 found = kill_those(conn, sessions, kill_sessions, ended, error);
                *killed = g_hash_table_size(ended);
                if (found <= 0)
                        return found == 0;
                if (clock_monotonic() >= until) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "sessions on %s that hold transactions were killed but did not end in time", conn_label(conn));
                        return false;
                }
                if (!sessions_sleep(conn, 10 * USEC_PER_MSEC, error)) /* rolling back takes its time */
                        return false;
                g_clear_pointer(&sessions, g_ptr_array_unref);
                sessions = sessions_connected(conn, error);
        }
        return false;
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

bool fence_close(Conn *conn, SessionLook *look, bool kill_sessions, gint64 timeout_usec, FenceStop stop, gpointer userdata, FenceReport *ret, GError **error) {
        gint64 until = clock_monotonic() + timeout_usec;
        g_autofree char *events = conn_query_string(conn, "SELECT @@global.event_scheduler", error);
        if (!events)
                return false;
        ret->events_were_on = g_ascii_strcasecmp(events, "ON") == 0;
        ret->killed = 0;
        if (ret->events_were_on && !conn_exec(conn, "SET GLOBAL event_scheduler=OFF", -1, NULL, error))
                return false;
        return set_read_only(conn, until, stop, userdata, error) && !stopped(stop, userdata, error) &&
               kill_holders(conn, look, kill_sessions, until, &ret->killed, error) && no_prepared_xa(conn, error);
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

bool fence_survey(Conn *conn, SessionLook *look, bool kill_sessions, unsigned *ret_sessions, guint64 *ret_oldest, GError **error) {
        g_autoptr(GPtrArray) sessions = sessions_of_others(conn, look, error);
        unsigned found = 0;
        guint64 oldest = 0;
        if (!sessions)
                return false;
        for (guint i = 0; i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                found += fence_would_end(session, kill_sessions);
                oldest = MAX(oldest, session->seconds);
        }
        *ret_sessions = found;
        *ret_oldest = oldest;
        return true;
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
