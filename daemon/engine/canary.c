/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way back, tried before anybody depends on it: a row written on the side that does not take writes is read from its binary log by the
 * watch, over the connection and with the privileges that the reverse stream will use, and then written on the other side as an applier
 * will do. Behind a fence that side can only be written by an account that passes read_only, which the checks look at. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"

#define FIRST_WAIT_USEC (USEC_PER_SEC / 4) /* then twice that, and so on */
#define TRIES 5

static bool write_canary(Engine *engine, Side side, guint64 value, GError **error) {
        Conn *conn = control_acquire(engine, side, error);
        if (!conn)
                return false;
        if (conn_execf(conn, error,
                       "INSERT INTO %s (id, value) VALUES (1, %" G_GUINT64_FORMAT ") ON DUPLICATE KEY UPDATE value=%" G_GUINT64_FORMAT,
                       engine->ledger->canary, value, value))
                return true;
        engine_name_error(engine, side, error);
        return false;
}

/* Again and again: a watch that has only begun does not see what was written before. */
static bool seen_by_watch(Engine *engine, guint64 *ret_value, GError **error) {
        gint64 wait = FIRST_WAIT_USEC;
        for (guint try = 0; try < TRIES; try++, wait *= 2) {
                g_autoptr(GError) local = NULL;
                *ret_value = clock_real();
                if (!write_canary(engine, engine_reader(engine), *ret_value, error))
                        return false;
                if (watch_wait_canary(engine->watch, *ret_value, wait, &local))
                        return true;
                if (try + 1 == TRIES)
                        g_propagate_error(error, g_steal_pointer(&local));
        }
        return false;
}

bool engine_prove_reverse(Engine *engine, GError **error) {
        guint64 value;
        g_autoptr(GError) local = NULL;

        engine_start_watch(engine);
        bool proven = engine->watch && seen_by_watch(engine, &value, &local) && write_canary(engine, engine->state->writer, value, &local);
        bool news = proven != engine->state->reverse_proven;
        engine->state->reverse_proven = proven;
        if (proven && news)
                engine_event(engine, ENGINE_EVENT_REVERSE_PROVEN, 5, "the way back is proven: a row went from the %s to the %s",
                             side_to_string(engine_reader(engine)), side_to_string(engine->state->writer));
        if (!proven)
                g_set_error(error, PS_ERROR, PS_ERROR_REVERSE_NOT_PROVEN, "the way back cannot be proven: %s",
                            local ? local->message : "the read-only side cannot be watched");
        return proven;
}
