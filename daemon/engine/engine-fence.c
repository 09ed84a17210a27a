/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a side for the engine: what the fence has closed, and what the stores of accounts and programs know better by now. */

#include "engine/engine-private.h"

#include "engine/control.h"

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
        FenceOpening how = {.kept = what == ENGINE_OPENING_END ? &without_events : kept, .userdata = &opening};
        if (what != ENGINE_OPENING_BACK)
                how.elsewhere = elsewhere;
        if (what == ENGINE_OPENING_COMMITTED && fence_is_of_accounts(&engine->fence) && !engine_accounts_arm(engine, side, error))
                return false;
        Conn *conn = control_acquire(engine, side, error);
        if (!conn)
                return false;
        if (!fence_open(&engine->fence, conn, &how, error)) {
                engine_name_error(engine, side, error);
                return false;
        }
        g_clear_pointer(&kept->closed, g_free);
        g_clear_pointer(&engine->state->opening_sql[side], g_free);
        return true;
}
