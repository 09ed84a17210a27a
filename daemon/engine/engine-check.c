/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checks with what a migration knows: run by themselves, by Start, and by the guard of a switch. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "engine/precheck.h"

bool engine_run_checks(Engine *engine, Conn *const servers[_SIDE_MAX], PrecheckStage stage, GError **error) {
        g_autoptr(AccountMap) map = NULL;
        if (!engine_accounts_map(engine, &map, error))
                return false;
        PrecheckInput input = {
                .spec = engine->spec,
                .servers = {servers[SIDE_SOURCE], servers[SIDE_DESTINATION]},
                .uuid = engine->state->uuid,
                .stage = stage,
                .writer = engine->state->writer,
                .accounts = map,
                .has_hooks = engine->config.has_hooks(engine->config.userdata),
                .scheduler_returns = {engine->state->kept[SIDE_SOURCE].events_on, engine->state->kept[SIDE_DESTINATION].events_on},
        };
        GPtrArray *rows = precheck_run(&input, error);
        if (!rows) {
                engine_name_link_error(engine, error);
                return false;
        }
        g_clear_pointer(&engine->state->checks, g_ptr_array_unref);
        engine->state->checks = rows;
        engine->state->checked_at = clock_real();
        return true;
}
