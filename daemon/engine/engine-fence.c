/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a side for the engine: what the fence has closed, and what the stores of accounts and programs know better by now. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "engine/control.h"

#define CLOSE_AGAIN_USEC (5 * USEC_PER_SEC)

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

void engine_found_open(gpointer userdata, Side side) {
        Engine *engine = userdata;
        pthread_mutex_lock(&engine->lock);
        engine->found_open[side] = true;
        pthread_mutex_unlock(&engine->lock);
        engine_poke(engine);
}

void engine_close_again(Engine *engine) {
        g_autoptr(GError) error = NULL;
        Side side = engine_reader(engine);
        bool again = engine->close_at != 0;
        pthread_mutex_lock(&engine->lock);
        bool open = engine->found_open[side];
        engine->found_open[SIDE_SOURCE] = engine->found_open[SIDE_DESTINATION] = false; /* the next beat says it again if it stays so */
        pthread_mutex_unlock(&engine->lock);
        if (!open || clock_monotonic() < engine->close_at)
                return;
        Conn *conn = control_acquire(engine, side, &error);
        bool good = conn && engine_shut_again(engine, side, conn, &error);
        engine->close_at = good ? 0 : clock_monotonic() + CLOSE_AGAIN_USEC;
        if (good || again)
                return;
        engine_name_error(engine, side, &error);
        engine_event(engine, ENGINE_EVENT_NOTE, 3, "the %s takes writes, and cannot be closed: %s", side_to_string(side), error->message);
}
