/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all kinds of fences share; see fence.h. */

#include "engine/fence.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/fence-internal.h"

/* Providers of MySQL 5.6 keep SUPER, and with it KILL, to themselves, and have a procedure instead. */
static bool kill_by_procedure(Conn *conn, guint64 id) {
        g_autoptr(GError) local = NULL;
        if (conn_flavor(conn)->mariadb || flavor_has_dynamic_privileges(conn_flavor(conn)))
                return false;
        return conn_execf(conn, &local, "CALL mysql.rds_kill(%" G_GUINT64_FORMAT ")", id) || g_error_matches(local, MYSQL_ERROR, 1094);
}

/* A session that went by itself is as good as killed. MySQL 8 keeps those of SYSTEM_USER from everybody who is not one. */
static bool kill_session(Conn *conn, guint64 id, GError **error) {
        g_autoptr(GError) local = NULL;
        if (conn_execf(conn, &local, "KILL %" G_GUINT64_FORMAT, id) || g_error_matches(local, MYSQL_ERROR, 1094))
                return true;
        if (g_error_matches(local, MYSQL_ERROR, 1095) && kill_by_procedure(conn, id))
                return true;
        if (g_error_matches(local, MYSQL_ERROR, 1095))
                g_set_error(error, PS_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE,
                            "session %" G_GUINT64_FORMAT " on %s could still write, and the agent may not end it: end it, or grant %s to the agent's account", id,
                            conn_label(conn), flavor_has_dynamic_privileges(conn_flavor(conn)) ? "SYSTEM_USER" : conn_flavor(conn)->mariadb ? "CONNECTION ADMIN" : "SUPER");
        else
                g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

/* ENDED: numbers of sessions that were killed, from call to call. → how many are not gone yet, or negative. */
static gint64 kill_those(Conn *conn, const GPtrArray *sessions, FenceChoice would_end, gconstpointer data, GHashTable *ended, GError **error) {
        gint64 found = 0;
        for (guint i = 0; i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                if (!g_hash_table_contains(ended, &session->id)) {
                        if (!would_end(session, data))
                                continue;
                        if (!kill_session(conn, session->id, error))
                                return -1;
                        g_hash_table_add(ended, g_memdup2(&session->id, sizeof session->id));
                }
                found++;
        }
        return found;
}

/* Transactions are looked at once: behind a fence nobody begins one that could write, but whom it does not stop, and looking again would
 * take 0.1 s more (sessions.h). Whoever was killed is gone, with what he changed, when the server does not list him any more. */
bool fence_kill_sessions(Conn *conn, SessionLook *look, FenceChoice would_end, gconstpointer data, gint64 until, unsigned *ret_killed, GError **error) {
        g_autoptr(GHashTable) ended = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        g_autoptr(GPtrArray) sessions = look ? sessions_of_others(conn, look, error) : sessions_connected(conn, error);
        while (sessions) {
                gint64 found = kill_those(conn, sessions, would_end, data, ended, error);
                *ret_killed = g_hash_table_size(ended);
                if (found <= 0)
                        return found == 0;
                if (clock_monotonic() >= until) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "sessions on %s that could still write were killed but did not end in time", conn_label(conn));
                        return false;
                }
                if (!sessions_sleep(conn, 10 * USEC_PER_MSEC, error)) /* rolling back takes its time */
                        return false;
                g_clear_pointer(&sessions, g_ptr_array_unref);
                sessions = sessions_connected(conn, error);
        }
        return false;
}

bool fence_no_prepared_xa(Conn *conn, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, "XA RECOVER", error);
        if (!rows)
                return false;
        if (conn_rows_count(rows) == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                    "%" G_GUINT64_FORMAT " prepared XA transactions on %s can still commit behind the fence: end them (XA RECOVER "
                    "lists them) and try again", conn_rows_count(rows), conn_label(conn));
        return false;
}

bool fence_stopped(const FenceClosing *how, GError **error) {
        if (!how->stop(how->userdata))
                return false;
        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        return true;
}

/* --- the kinds --- */

static const FenceOps *ops(const Fence *fence) {
        static const FenceOps *const kinds[_FENCE_MAX] = {
                [FENCE_GLOBAL] = &fence_global_ops,
                [FENCE_ACCOUNTS] = &fence_accounts_ops,
                [FENCE_HOOK] = &fence_hook_ops,
        };
        return kinds[fence->kind];
}

bool fence_is_of_accounts(const Fence *fence) {
        return ops(fence)->of_accounts;
}

bool fence_may_come_back(const Fence *fence) {
        return ops(fence)->may_come_back;
}

bool fence_is_slow(const Fence *fence) {
        return ops(fence)->slow;
}

bool fence_prepare(const Fence *fence, Conn *conn, FenceKept *ret, GError **error) {
        return ops(fence)->prepare(fence, conn, ret, error);
}

bool fence_close(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error) {
        *ret_killed = 0;
        return ops(fence)->close(fence, side, conn, how, kept, ret_killed, error);
}

bool fence_open(const Fence *fence, Side side, Conn *conn, const FenceOpening *how, GError **error) {
        static const FenceOpening unknown = {0};
        return ops(fence)->open(fence, side, conn, how ? how : &unknown, error);
}

bool fence_shut(const Fence *fence, Side side, Conn *conn, GError **error) {
        return ops(fence)->shut(fence, side, conn, error);
}

bool fence_is_closed(const Fence *fence, Conn *conn, bool *ret, GError **error) {
        return ops(fence)->is_closed(fence, conn, ret, error);
}

bool fence_found_closed(const Fence *fence, Conn *conn, bool *ret, GError **error) {
        *ret = false;
        return !ops(fence)->found_closed || ops(fence)->found_closed(fence, conn, ret, error);
}

bool fence_remember(const Fence *fence, Conn *conn, FenceKept *kept, GError **error) {
        return !ops(fence)->remember || ops(fence)->remember(fence, conn, kept, error);
}

/* --- accounts --- */

GHashTable *fence_closed_accounts(const Fence *fence, Conn *conn, GError **error) {
        return fence_accounts_closed(fence->ledger, conn, error);
}

bool fence_cover_account(const Fence *fence, Conn *conn, const char *user, const char *host, GError **error) {
        return fence_accounts_cover(fence->ledger, conn, user, host, error);
}

char *fence_opening_sql(const FenceKept *kept, const Flavor *flavor) {
        return kept->closed ? fence_accounts_sql(kept->closed, flavor) : NULL;
}

/* --- looking --- */

GPtrArray *fence_sessions(const Fence *fence, Conn *conn, SessionLook *look, GError **error) {
        g_autoptr(GPtrArray) sessions = sessions_of_others(conn, look, error);
        if (!sessions || (ops(fence)->look && !ops(fence)->look(fence, conn, sessions, error)))
                return NULL;
        return g_steal_pointer(&sessions);
}

/* Those that hold a transaction or are of an account that is closed, and on request those of accounts that no fence stops. */
bool fence_would_end(const Session *session, bool kill_sessions) {
        return session->transaction || session->locked_out || (kill_sessions && session->bypasses && !session->dump);
}

const char *fence_why_end(const Session *session) {
        return session->transaction ? "transaction" : session->locked_out ? "account-closed" : "past-read-only";
}

bool fence_survey(const Fence *fence, Conn *conn, SessionLook *look, bool kill_sessions, unsigned *ret_sessions, guint64 *ret_oldest, GError **error) {
        g_autoptr(GPtrArray) sessions = fence_sessions(fence, conn, look, error);
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

bool fence_is_read_only(Conn *conn, bool *ret, GError **error) {
        guint64 value;
        if (!conn_query_uint64(conn, "SELECT @@global.read_only", &value, error))
                return false;
        *ret = value != 0;
        return true;
}

bool fence_sees_read_only(const Fence *fence, Conn *conn, bool *ret, GError **error) {
        return fence_is_read_only(conn, ret, error);
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
