/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all kinds of fences share; see fence.h. */

#include "engine/fence.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/fence-internal.h"

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
        g_autoptr(GPtrArray) sessions = sessions_of_others(conn, look, error);
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

static bool not_there(const Fence *fence, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_NOT_SUPPORTED, "fence=%s is not there yet", fence_kind_to_string(fence->kind));
        return false;
}

bool fence_prepare(const Fence *fence, Conn *conn, FenceKept *ret, GError **error) {
        switch (fence->kind) {
        case FENCE_GLOBAL:
                return fence_global_prepare(conn, ret, error);
        case FENCE_ACCOUNTS:
        case FENCE_HOOK:
        case _FENCE_MAX:
        case _FENCE_INVALID:
                break;
        }
        return not_there(fence, error);
}

bool fence_close(const Fence *fence, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error) {
        *ret_killed = 0;
        switch (fence->kind) {
        case FENCE_GLOBAL:
                return fence_global_close(conn, how, kept, ret_killed, error);
        case FENCE_ACCOUNTS:
        case FENCE_HOOK:
        case _FENCE_MAX:
        case _FENCE_INVALID:
                break;
        }
        return not_there(fence, error);
}

bool fence_open(const Fence *fence, Conn *conn, const FenceKept *kept, GError **error) {
        static const FenceKept nothing = {0};
        if (!kept)
                kept = &nothing;
        switch (fence->kind) {
        case FENCE_GLOBAL:
                return fence_global_open(conn, kept, error);
        case FENCE_ACCOUNTS:
        case FENCE_HOOK:
        case _FENCE_MAX:
        case _FENCE_INVALID:
                break;
        }
        return not_there(fence, error);
}

bool fence_shut(const Fence *fence, Conn *conn, GError **error) {
        switch (fence->kind) {
        case FENCE_GLOBAL:
                return fence_global_shut(conn, error);
        case FENCE_ACCOUNTS:
        case FENCE_HOOK:
        case _FENCE_MAX:
        case _FENCE_INVALID:
                break;
        }
        return not_there(fence, error);
}

bool fence_is_closed(const Fence *fence, Conn *conn, bool *ret, GError **error) {
        switch (fence->kind) {
        case FENCE_GLOBAL:
                return fence_is_read_only(conn, ret, error);
        case FENCE_ACCOUNTS:
        case FENCE_HOOK:
        case _FENCE_MAX:
        case _FENCE_INVALID:
                break;
        }
        return not_there(fence, error);
}

bool fence_may_come_back(const Fence *fence) {
        return fence->kind == FENCE_GLOBAL;
}

/* --- looking --- */

/* Those that hold a transaction, and on request those that read_only does not stop; the others can write nothing. */
bool fence_would_end(const Fence *fence, const Session *session, bool kill_sessions) {
        (void) fence;
        return session->transaction || (kill_sessions && session->bypasses && !session->dump);
}

bool fence_survey(const Fence *fence, Conn *conn, SessionLook *look, bool kill_sessions, unsigned *ret_sessions, guint64 *ret_oldest, GError **error) {
        g_autoptr(GPtrArray) sessions = sessions_of_others(conn, look, error);
        unsigned found = 0;
        guint64 oldest = 0;
        if (!sessions)
                return false;
        for (guint i = 0; i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                found += fence_would_end(fence, session, kill_sessions);
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
