/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fence=global: events off, read_only on. It stops the whole server, and costs milliseconds. Whom read_only does not stop is kept out until the
 * commit point: by super_read_only, or by the end of his session, and if he comes back, by a global lock. */

#include "engine/fence-internal.h"

#include "base/clock.h"
#include "base/error.h"

#define KEEP_OUT_USEC (3 * USEC_PER_SEC) /* of waiting for the lock: applications wait, too */

/* PERSIST is GLOBAL and a line in a file that the server reads at its start. Where an administrator does not let us write that line the fence is
 * as durable as on other servers. */
static bool set_read_only(Conn *conn, GError **error) {
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

/* Stops everybody, the agent, too: never by PERSIST. */
static bool set_super_read_only(Conn *conn, GError **error) {
        return conn_exec(conn, "SET GLOBAL super_read_only=1", -1, NULL, error);
}

static bool lift_super_read_only(Conn *conn, GError **error) {
        return !flavor_has_super_read_only(conn_flavor(conn)) || conn_exec(conn, "SET GLOBAL super_read_only=0", -1, NULL, error);
}

/* The agent writes on such a side. */
static bool shut(const Fence *fence, Side side, Conn *conn, GError **error) {
        return conn_exec(conn, "UNLOCK TABLES", -1, NULL, error) && set_read_only(conn, error) && lift_super_read_only(conn, error);
}

/* What waits for locks of others, with every writer waiting behind it: in short waits, between which Abort is looked at, and not longer than
 * there is time. *ret_late: it was never got. */
static bool wait_for(Conn *conn, bool (*what)(Conn *conn, GError **error), const FenceClosing *how, gint64 until, bool *ret_late, GError **error) {
        g_autoptr(GError) local = NULL;
        bool good = false;
        *ret_late = false;
        if (!conn_exec(conn, "SET SESSION lock_wait_timeout=1", -1, NULL, error))
                return false;
        do {
                g_clear_error(&local);
                if (fence_stopped(how, error))
                        return false;
                good = what(conn, &local);
        } while (!good && mysql_error_is_retryable(local) && clock_monotonic() < until);
        *ret_late = !good && mysql_error_is_retryable(local);
        if (!good)
                g_propagate_error(error, g_steal_pointer(&local));
        return good && conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT", -1, NULL, error);
}

static bool close_by(Conn *conn, bool (*what)(Conn *conn, GError **error), const FenceClosing *how, gint64 until, GError **error) {
        bool late = false;
        if (wait_for(conn, what, how, until, &late, error))
                return true;
        if (late) {
                g_clear_error(error);
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                            "%s could not be made read-only in time: a session holds LOCK TABLES or runs a long statement there; end it and "
                            "try again", conn_label(conn));
        }
        return false;
}

bool fence_look_at_events(Conn *conn, FenceKept *kept, bool *ret_on, GError **error) {
        g_autofree char *events = conn_query_string(conn, "SELECT @@global.event_scheduler", error);
        if (!events)
                return false;
        *ret_on = g_ascii_strcasecmp(events, "ON") == 0;
        kept->events_on |= *ret_on; /* somebody may have switched it on since */
        return true;
}

bool fence_switch_events(Conn *conn, bool on, GError **error) {
        return conn_execf(conn, error, "SET GLOBAL event_scheduler=%s", on ? "ON" : "OFF");
}

bool fence_prepare_events(const Fence *fence, Conn *conn, FenceKept *ret, GError **error) {
        bool on;
        ret->events_on = false;
        return fence_look_at_events(conn, ret, &on, error);
}

/* --- those whom read_only does not stop --- */

typedef struct Choice {
        bool kill_sessions, past_fence;
} Choice;

static bool gets_past(const Session *session) {
        return session->bypasses && !session->dump;
}

static bool would_end(const Session *session, gconstpointer data) {
        const Choice *choice = data;
        return fence_would_end(session, choice->kill_sessions) || (choice->past_fence && gets_past(session));
}

bool fence_end_transactions(Conn *conn, const FenceClosing *how, bool past_fence, gint64 until, unsigned *ret_killed, bool *ret_back, GError **error) {
        Choice choice = {.kill_sessions = how->kill_sessions, .past_fence = past_fence};
        *ret_back = false;
        return !fence_stopped(how, error) && fence_no_prepared_xa(conn, error) &&
               fence_kill_sessions(conn, how->look, would_end, &choice, until, ret_killed, past_fence ? ret_back : NULL, error) && fence_no_prepared_xa(conn, error);
}

/* Whether the sessions of such accounts have to be ended, since the server has no other way to keep them from writing. */
static bool are_ended(const Flavor *flavor) {
        return !flavor_has_super_read_only(flavor);
}

static bool look(const Fence *fence, Conn *conn, GPtrArray *sessions, GError **error) {
        for (guint i = 0; are_ended(conn_flavor(conn)) && i < sessions->len; i++) {
                Session *session = sessions->pdata[i];
                session->past_fence = gets_past(session);
        }
        return true;
}

static bool lock_all(Conn *conn, GError **error) {
        return conn_exec(conn, "FLUSH TABLES WITH READ LOCK", -1, NULL, error);
}

/* RET_BACK NULL: that they come back is known. */
static bool end_privileged(Conn *conn, gint64 until, bool *ret_back, GError **error) {
        Choice choice = {.past_fence = true};
        unsigned killed;
        bool known;
        return fence_kill_sessions(conn, NULL, would_end, &choice, until, &killed, ret_back ? ret_back : &known, error);
}

static bool may_hold(const Session *session, gconstpointer data) {
        return !session->dump && !session->waits;
}

/* MySQL's global lock waits for whoever reads a table or has locked it to read, and who comes to read the same table waits behind that, even when the lock was given
 * up meanwhile [M: 5.6; MariaDB 10.11 waits for writers only]. Who holds the table cannot be seen: all those are ended who do not wait themselves. */
static bool end_holders(Conn *conn, gint64 until, GError **error) {
        unsigned killed;
        bool back;
        return fence_kill_sessions(conn, NULL, may_hold, /* data= */ NULL, until, &killed, &back, error);
}

/* The last resort. It lasts as long as the connection. What was tried in vain is taken back by fence_open(): MySQL keeps half of it [M: 5.6]. */
static bool keep_out_by_lock(Conn *conn, const FenceClosing *how, gint64 until, GError **error) {
        bool late = false;
        until = MIN(until, clock_monotonic() + KEEP_OUT_USEC);
        for (;;) {
                g_autoptr(GError) local = NULL;
                if (wait_for(conn, lock_all, how, /* until= */ 0, &late, &local)) {
                        *how->lock = conn_id(conn);
                        return fence_no_prepared_xa(conn, error); /* MySQL 5.6 prepares behind it, too */
                }
                if (!late) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                if (!end_holders(conn, MAX(until, clock_monotonic() + USEC_PER_SEC), error))
                        return false;
                if (clock_monotonic() >= until)
                        break;
        }
        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                    "sessions of privileged accounts come back to %s as fast as they are ended, and the lock that would keep them out cannot be had: keep "
                    "such accounts away, and try again", conn_label(conn));
        return false;
}

/* What holds already is seen to again. */
static bool keep_out(const Fence *fence, Conn *conn, const FenceClosing *how, GError **error) {
        gint64 until = clock_monotonic() + how->timeout_usec;
        bool back = false;
        if (!are_ended(conn_flavor(conn)))
                return close_by(conn, set_super_read_only, how, until, error);
        return *how->lock == conn_id(conn) || (end_privileged(conn, until, &back, error) && (!back || keep_out_by_lock(conn, how, until, error)));
}

/* Those that wait for it would go on writing on a side that has been left. Not where one has prepared an XA transaction meanwhile (MySQL 5.6): that would
 * be lost with its session, and is counted as a foreign write when it is committed. */
static bool end_waiting(Conn *conn, GError **error) {
        return !fence_no_prepared_xa(conn, NULL) || end_privileged(conn, clock_monotonic() + KEEP_OUT_USEC, NULL, error);
}

static bool let_go(const Fence *fence, Conn *conn, guint64 *lock, GError **error) {
        if ((lock && *lock == conn_id(conn) && !end_waiting(conn, error)) || !conn_exec(conn, "UNLOCK TABLES", -1, NULL, error))
                return false;
        if (lock)
                *lock = 0;
        return lift_super_read_only(conn, error);
}

/* --- closing and opening --- */

static bool close_side(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error) {
        gint64 until = clock_monotonic() + how->timeout_usec;
        bool events, back, ended = are_ended(conn_flavor(conn));
        return fence_look_at_events(conn, kept, &events, error) && (!events || fence_switch_events(conn, /* on= */ false, error)) &&
               close_by(conn, set_read_only, how, until, error) && (ended || close_by(conn, set_super_read_only, how, until, error)) &&
               fence_end_transactions(conn, how, ended, until, ret_killed, &back, error) && (!back || keep_out_by_lock(conn, how, until, error));
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

static bool open_side(const Fence *fence, Side side, Conn *conn, const FenceOpening *how, GError **error) {
        return conn_exec(conn, "UNLOCK TABLES", -1, NULL, error) && /* fence_keep_out() */
               conn_exec(conn, "SET GLOBAL read_only=0", -1, NULL, error) && /* and super_read_only with it */
               forget_persisted(conn, error) &&
               (!how->kept || !how->kept->events_on || fence_switch_events(conn, /* on= */ true, error));
}

const FenceOps fence_global_ops = {
        .may_come_back = true,
        .prepare = fence_prepare_events,
        .close = close_side,
        .open = open_side,
        .shut = shut,
        .is_closed = fence_sees_read_only,
        .found_closed = fence_sees_read_only,
        .look = look,
        .keep_out = keep_out,
        .let_go = let_go,
        /* MySQL ≥ 8; others pass over that part. */
        .let_go_sql = "SET GLOBAL read_only=1 /*!80000 , GLOBAL super_read_only=0 */; ",
};
