/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all kinds of fences share; see fence.h. */

#include "engine/fence.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/fence-internal.h"
#include "mysql/sql.h"

#define BACK_ROUNDS 4
#define STUCK_USEC (300 * USEC_PER_MSEC)

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

/* Sessions by their numbers. */
typedef struct Ending {
        GHashTable *killed;
        GHashTable *stuck; /* of them: they are listed for ever, and can do nothing any more */
} Ending;

static void ending_clear(Ending *ending) {
        g_clear_pointer(&ending->killed, g_hash_table_unref);
        g_clear_pointer(&ending->stuck, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Ending, ending_clear)

static void add_number(GHashTable *numbers, guint64 id) {
        g_hash_table_add(numbers, g_memdup2(&id, sizeof id));
}

/* → how many are not gone yet, or negative. */
static gint64 kill_those(Conn *conn, const GPtrArray *sessions, FenceChoice would_end, gconstpointer data, const Ending *ending, GError **error) {
        gint64 found = 0;
        for (guint i = 0; i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                if (g_hash_table_contains(ending->stuck, &session->id))
                        continue;
                if (!g_hash_table_contains(ending->killed, &session->id)) {
                        if (!would_end(session, data))
                                continue;
                        if (!kill_session(conn, session->id, error))
                                return -1;
                        add_number(ending->killed, session->id);
                }
                found++;
        }
        return found;
}

/* MySQL 5.6 closes the socket of a session that is killed while its thread may just be about to wait for it. The number of that socket is given to the next
 * client, and the thread waits for what that one says [M: one in some fifty, with clients that come back at once]. Whoever is said to be killed,
 * and has no transaction, has nothing left to do. */
static bool find_stuck(Conn *conn, SessionLook *look, const Ending *ending, GError **error) {
        g_autoptr(GPtrArray) sessions = sessions_of_others(conn, look, error);
        for (guint i = 0; sessions && i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                if (session->killed && !session->transaction && g_hash_table_contains(ending->killed, &session->id))
                        add_number(ending->stuck, session->id);
        }
        return sessions != NULL;
}

/* Transactions are looked at once: behind a fence nobody begins one that could write, but whom it does not stop, and looking again would
 * take 0.1 s more (sessions.h). Whoever was killed is gone, with what he changed, when the server does not list him any more. */
bool fence_kill_sessions(Conn *conn, SessionLook *look, FenceChoice would_end, gconstpointer data, gint64 until, unsigned *ret_killed, bool *ret_back, GError **error) {
        guint rounds = 0; /* in which there was somebody else */
        gint64 next = clock_monotonic() + STUCK_USEC;
        SessionLook own = {.at = clock_monotonic()};
        g_auto(Ending) ending = {g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL), g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL)};
        g_autoptr(GPtrArray) sessions = look ? sessions_of_others(conn, look, error) : sessions_connected(conn, error);
        while (sessions) {
                guint before = g_hash_table_size(ending.killed);
                gint64 found = kill_those(conn, sessions, would_end, data, &ending, error);
                *ret_killed = g_hash_table_size(ending.killed);
                if (found <= 0)
                        return found == 0;
                rounds += *ret_killed > before;
                if (ret_back && rounds >= BACK_ROUNDS) {
                        *ret_back = true;
                        return true;
                }
                if (clock_monotonic() >= until) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "sessions on %s that could still write were killed but did not end in time", conn_label(conn));
                        return false;
                }
                if (clock_monotonic() >= next) {
                        if (!find_stuck(conn, look ? look : &own, &ending, error))
                                return false;
                        next = clock_monotonic() + STUCK_USEC;
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

bool fence_keep_out(const Fence *fence, Conn *conn, const FenceClosing *how, GError **error) {
        return fence_no_prepared_xa(conn, error) && (!ops(fence)->keep_out || ops(fence)->keep_out(fence, conn, how, error));
}

bool fence_let_go(const Fence *fence, Conn *conn, guint64 *lock, GError **error) {
        return !ops(fence)->let_go || ops(fence)->let_go(fence, conn, lock, error);
}

const char *fence_let_go_sql(const Fence *fence) {
        return ops(fence)->let_go_sql ? ops(fence)->let_go_sql : "";
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

/* Those that hold a transaction or are of an account that is closed, and on request all those of accounts that no fence stops. */
bool fence_would_end(const Session *session, bool kill_sessions) {
        return session->transaction || session->locked_out || session->past_fence || (kill_sessions && session->bypasses && !session->dump);
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

bool fence_blocker(const Fence *fence, Conn *conn, guint64 seconds, guint64 *ret_id, guint64 *ret_seconds, GError **error) {
        *ret_id = *ret_seconds = 0;
        if (ops(fence)->of_accounts) /* locks wait for nobody */
                return true;
        g_autoptr(GPtrArray) sessions = sessions_connected(conn, error);
        for (guint i = 0; sessions && i < sessions->len; i++) {
                const Session *session = sessions->pdata[i];
                if (session->blocks && session->running >= MAX(seconds, *ret_seconds + 1)) {
                        *ret_id = session->id;
                        *ret_seconds = session->running;
                }
        }
        return sessions != NULL;
}

/* Who waits to read holds up nobody. */
char *fence_locked_table(const Fence *fence, Conn *conn, GError **error) {
        g_autofree char *locked = NULL;
        g_autoptr(ConnRows) used = ops(fence)->of_accounts ? NULL : conn_query(conn, "SHOW OPEN TABLES WHERE In_use > 0", error);
        if (!used || !conn_exec(conn, "SET SESSION lock_wait_timeout=1", -1, NULL, error))
                return NULL;
        for (char **row; !locked && (row = conn_rows_take(used));) {
                g_autoptr(GError) local = NULL;
                g_autofree char *table = row[0] && row[1] ? sql_table(row[0], row[1]) : NULL;
                if (table && !conn_execf(conn, &local, "DO (SELECT 1 FROM %s LIMIT 0)", table) && mysql_error_is_retryable(local))
                        locked = g_steal_pointer(&table);
        }
        return conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT", -1, NULL, error) ? g_steal_pointer(&locked) : NULL;
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
