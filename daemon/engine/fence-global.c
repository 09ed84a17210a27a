/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fence=global: events off, read_only on. It stops the whole server, and costs milliseconds. */

#include "engine/fence-internal.h"

#include "base/clock.h"
#include "base/error.h"

/* PERSIST is GLOBAL and a line in a file that the server reads at its start. Where an administrator does not let us write that line the fence is
 * as durable as on other servers. */
static bool shut(const Fence *fence, Side side, Conn *conn, GError **error) {
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
static bool set_read_only(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, gint64 until, GError **error) {
        g_autoptr(GError) local = NULL;
        bool good = false;
        if (!conn_exec(conn, "SET SESSION lock_wait_timeout=1", -1, NULL, error))
                return false;
        do {
                g_clear_error(&local);
                if (fence_stopped(how, error))
                        return false;
                good = shut(fence, side, conn, &local);
        } while (!good && mysql_error_is_retryable(local) && clock_monotonic() < until);
        if (!good && mysql_error_is_retryable(local))
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                            "%s could not be made read-only in time: a session holds LOCK TABLES or runs a long statement there; end it and "
                            "try again", conn_label(conn));
        else if (!good)
                g_propagate_error(error, g_steal_pointer(&local));
        return good && conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT", -1, NULL, error);
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

/* Those that hold a transaction, and on request those that read_only does not stop; the others can write nothing. */
static bool would_end(const Session *session, gconstpointer data) {
        const FenceClosing *how = data;
        return fence_would_end(session, how->kill_sessions);
}

bool fence_end_transactions(Conn *conn, const FenceClosing *how, gint64 until, unsigned *ret_killed, GError **error) {
        return !fence_stopped(how, error) && fence_no_prepared_xa(conn, error) && fence_kill_sessions(conn, how->look, would_end, how, until, ret_killed, error) &&
               fence_no_prepared_xa(conn, error);
}

static bool close_side(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error) {
        gint64 until = clock_monotonic() + how->timeout_usec;
        bool events;
        return fence_look_at_events(conn, kept, &events, error) && (!events || fence_switch_events(conn, /* on= */ false, error)) &&
               set_read_only(fence, side, conn, how, until, error) && fence_end_transactions(conn, how, until, ret_killed, error);
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
        return conn_exec(conn, "SET GLOBAL read_only=0", -1, NULL, error) && forget_persisted(conn, error) &&
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
};
