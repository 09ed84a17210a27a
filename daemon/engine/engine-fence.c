/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a side for the engine: what the fence has closed, and what the stores of accounts and programs know better by now. */

#include "engine/engine-private.h"

#include <string.h>

#include "base/clock.h"
#include "engine/control.h"

#define MEND_USEC (5 * USEC_PER_SEC) /* between tries */

typedef struct Opening {
        Engine *engine;
        Side side;
} Opening;

/* While the side was closed its accounts and events followed those of the other one. */
static bool elsewhere(gpointer userdata, bool event, const char *first, const char *second) {
        const Opening *opening = userdata;
        return event ? engine_event_is_carried(opening->engine, first, second) : engine_account_stays_closed(opening->engine, opening->side, first, second);
}

bool engine_remember_closed(Engine *engine, Side side, Conn *conn, GError **error) {
        FenceKept *kept = &engine->state->kept[side];
        if (!fence_remember(&engine->fence, conn, kept, error))
                return false;
        g_free(engine->state->opening_sql[side]);
        engine->state->opening_sql[side] = fence_opening_sql(kept, conn_flavor(conn));
        return true;
}

bool engine_open_side(Engine *engine, Side side, EngineOpening what, GError **error) {
        FenceKept *kept = &engine->state->kept[side], without_events = {.closed = kept->closed};
        Opening opening = {engine, side};
        static const char *const reasons[] = {[ENGINE_OPENING_BACK] = "undo", [ENGINE_OPENING_COMMITTED] = "switch", [ENGINE_OPENING_END] = "end"};
        FenceOpening how = {.kept = what == ENGINE_OPENING_END ? &without_events : kept, .userdata = &opening, .reason = reasons[what]};
        if (what != ENGINE_OPENING_BACK)
                how.elsewhere = elsewhere;
        if (what == ENGINE_OPENING_COMMITTED && fence_is_of_accounts(&engine->fence) && !engine_accounts_arm(engine, side, error))
                return false;
        Conn *conn = control_acquire(engine, side, error);
        if (!conn)
                return false;
        if (!fence_open(&engine->fence, side, conn, &how, error)) {
                engine_name_error(engine, side, error);
                return false;
        }
        g_clear_pointer(&kept->closed, g_free);
        g_clear_pointer(&engine->state->opening_sql[side], g_free);
        return true;
}

bool engine_shut_again(Engine *engine, Side side, Conn *conn, GError **error) {
        bool closed;
        if (!fence_is_closed(&engine->fence, conn, &closed, error) || !fence_shut(&engine->fence, side, conn, error))
                return false;
        if (!closed && fence_is_slow(&engine->fence)) /* of others the monitor tells it */
                engine_event(engine, ENGINE_EVENT_FENCED, 4, "the %s had become writable (a restart?) and is closed again", side_to_string(side));
        return true;
}

void engine_tell_reopened(gpointer userdata, Side side) {
        engine_event(userdata, ENGINE_EVENT_NOTE, 4,
                     "the %s came back from a restart read-only and was opened again, since it is the one that takes writes: take read_only out of its "
                     "configuration", side_to_string(side));
}

void engine_found_wrong(gpointer userdata, Side side) {
        Engine *engine = userdata;
        pthread_mutex_lock(&engine->lock);
        engine->wrong[side] = true;
        pthread_mutex_unlock(&engine->lock);
        engine_poke(engine);
}

static bool open_again(Engine *engine, Side side, Conn *conn, GError **error) {
        FenceOpening how = {.reason = "keep"};
        bool closed;
        if (!fence_is_closed(&engine->fence, conn, &closed, error) || (closed && !fence_open(&engine->fence, side, conn, &how, error)))
                return false;
        if (closed)
                engine_tell_reopened(engine, side);
        if (engine->monitor) /* whoever closes it from here on does so on purpose */
                monitor_greet(engine->monitor);
        return true;
}

static bool mend(Engine *engine, Side side, GError **error) {
        Conn *conn = control_acquire(engine, side, error);
        if (!conn)
                return false;
        if (side == engine->state->writer ? open_again(engine, side, conn, error) : engine_shut_again(engine, side, conn, error))
                return true;
        engine_name_error(engine, side, error);
        return false;
}

void engine_mend_sides(Engine *engine) {
        bool wrong[_SIDE_MAX], again = engine->mend_at != 0, good = true;
        if (clock_monotonic() < engine->mend_at)
                return;
        pthread_mutex_lock(&engine->lock);
        memcpy(wrong, engine->wrong, sizeof wrong);
        memset(engine->wrong, 0, sizeof engine->wrong);
        pthread_mutex_unlock(&engine->lock);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_autoptr(GError) error = NULL;
                if (!wrong[side] || mend(engine, side, &error))
                        continue;
                good = false;
                engine_found_wrong(engine, side);
                if (!again)
                        engine_event(engine, ENGINE_EVENT_NOTE, 3, "the %s is not closed or open as it has to be, and that cannot be mended: %s", side_to_string(side),
                                     error->message);
        }
        engine->mend_at = good ? 0 : clock_monotonic() + MEND_USEC;
}
