/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fence=hook: sides are closed and opened by the administrator's hooks (points fence and unfence), as a provider has it. All of them run at every
 * point, so nobody knows which one closes anything, and what they say is not believed: a side is closed when its server's read_only is on. That
 * is what can be seen of every server within a millisecond, again and again; who closes by other means besides has to set it as well. It must not be
 * super_read_only, which keeps the agent out, too. */

#include "engine/fence-internal.h"

#include "base/clock.h"
#include "base/error.h"

/* The server's word for what the hooks have said. */
static bool see_closed(Conn *conn, GError **error) {
        bool closed;
        if (!fence_is_read_only(conn, &closed, error))
                return false;
        if (!closed) {
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED,
                            "no hook failed at point fence, but %s still takes writes: its read_only is off; see that a hook sets it, or waits until it is set", conn_label(conn));
                return false;
        }
        g_autoptr(ConnRows) rows = conn_query(conn, "SHOW GLOBAL VARIABLES LIKE 'super_read_only'", error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row || g_strcmp0(row[1], "ON") != 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED,
                    "a hook set super_read_only on %s, which stops the agent's own writes, too: it must set read_only alone", conn_label(conn));
        return false;
}

/* Where the agent may not it is the hooks' business. *ret_left: it is. */
static bool stop_events(Conn *conn, FenceKept *kept, bool *ret_left, GError **error) {
        g_autoptr(GError) local = NULL;
        bool on;
        *ret_left = false;
        if (!fence_look_at_events(conn, kept, &on, error))
                return false;
        if (!on || fence_switch_events(conn, /* on= */ false, &local))
                return true;
        *ret_left = mysql_error_is_privilege(local);
        if (!*ret_left)
                g_propagate_error(error, g_steal_pointer(&local));
        return *ret_left;
}

static bool see_events(Conn *conn, bool wanted, GError **error) {
        FenceKept unused = {0};
        bool on;
        if (!fence_look_at_events(conn, &unused, &on, error))
                return false;
        if (on != wanted)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "the event scheduler of %s is still %s: the agent may not switch it, and no hook did at point %s",
                            conn_label(conn), on ? "on" : "off", wanted ? "unfence" : "fence");
        return on == wanted;
}

static bool close_side(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error) {
        gint64 until = clock_monotonic() + how->timeout_usec;
        bool left, unused;
        if (!stop_events(conn, kept, &left, error))
                return false;
        FenceCall call = {.side = side, .reason = "switch", .events = left, .timeout_usec = how->timeout_usec, .stop = how->stop, .userdata = how->userdata};
        return fence->run_hooks(fence->userdata, &call, conn, error) && see_closed(conn, error) && (!left || see_events(conn, /* wanted= */ false, error)) &&
               fence_end_transactions(conn, how, /* past_fence= */ false, until, ret_killed, &unused, error);
}

/* They run although the side may never have been closed: at least once. */
static bool open_side(const Fence *fence, Side side, Conn *conn, const FenceOpening *how, GError **error) {
        g_autoptr(GError) local = NULL;
        bool events = how->kept && how->kept->events_on, closed;
        FenceCall call = {.side = side, .open = true, .reason = how->reason, .events = events};
        if (!fence->run_hooks(fence->userdata, &call, conn, error) || !fence_is_read_only(conn, &closed, error))
                return false;
        if (closed)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "no hook failed at point unfence, but %s still refuses writes: its read_only is on", conn_label(conn));
        if (closed || !events || fence_switch_events(conn, /* on= */ true, &local))
                return !closed;
        if (mysql_error_is_privilege(local))
                return see_events(conn, /* wanted= */ true, error);
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

/* Looked at first: a link begins with this, again and again. */
static bool shut(const Fence *fence, Side side, Conn *conn, GError **error) {
        FenceCall call = {.side = side, .reason = "keep"};
        bool closed;
        if (!fence_is_read_only(conn, &closed, error))
                return false;
        return closed || (fence->run_hooks(fence->userdata, &call, conn, error) && see_closed(conn, error));
}

const FenceOps fence_hook_ops = {
        .may_come_back = true,
        .slow = true,
        .prepare = fence_prepare_events,
        .close = close_side,
        .open = open_side,
        .shut = shut,
        .is_closed = fence_sees_read_only,
        .found_closed = fence_sees_read_only,
};
