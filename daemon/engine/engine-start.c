/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Check, and Start: from two servers that know nothing of each other to a copy that has begun. Nothing is changed anywhere before every
 * check has passed; what fails behind that is taken back. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"
#include "engine/definitions.h"
#include "engine/fence.h"
#include "engine/object-store.h"
#include "engine/objects.h"
#include "engine/precheck.h"
#include "mysql/sql.h"

typedef struct Pair {
        Conn *conns[_SIDE_MAX];
} Pair;

static void pair_clear(Pair *pair) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                g_clear_pointer(&pair->conns[side], conn_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static bool connect_pair(Engine *engine, Pair *ret, GError **error) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                if (!engine_params(engine, side, error))
                        return false;
                ret->conns[side] = conn_open(engine->params[side], 0, error);
                if (!ret->conns[side]) {
                        engine_name_error(engine, side, error);
                        return false;
                }
        }
        return true;
}

void engine_check(Engine *engine, const EngineOperation *operation) {
        g_auto(Pair) pair = {0};
        g_autoptr(GError) error = NULL;
        engine_set_step(engine, "checks");
        /* Before a start the credentials may have been changed since the last look; later they are in use. */
        if (!engine->link)
                engine_refresh_params(engine);
        PrecheckStage stage = engine->phase == MIGRATION_PHASE_CREATED ? PRECHECK_START : PRECHECK_SWITCH;
        bool good = connect_pair(engine, &pair, &error) && engine_run_checks(engine, pair.conns, stage, &error);
        engine_finish(engine, operation->id, good ? OPERATION_RESULT_DONE : OPERATION_RESULT_FAILED, error, _MIGRATION_PHASE_INVALID, NULL);
}

/* --- start --- */

static void remember_unfit(Engine *engine, const ObjectList *objects) {
        GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; i < objects->unfit->len; i++) {
                const UnfitObject *object = g_ptr_array_index(objects->unfit, i);
                g_ptr_array_add(lines, g_strdup_printf("%s %s: %s", object->type, object->name, object->reason));
                engine_event(engine, ENGINE_EVENT_NOT_CARRIED, 4, "not carried (%s): %s", object->type, object->reason);
        }
        g_clear_pointer(&engine->state->unfit, g_ptr_array_unref);
        engine->state->unfit = lines;
}

static void remember_identity(Engine *engine, const Pair *pair) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_free(engine->state->identity[side]);
                engine->state->identity[side] = g_strdup(conn_host_uuid(pair->conns[side]));
        }
}

/* What is selected and was on the destination before: found there by each link, and not to be taken for ours. */
static bool remember_strangers(Engine *engine, Conn *destination, const ObjectList *objects, GError **error) {
        g_autoptr(GHashTable) ours = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(GPtrArray) there = schema_load(destination, /* database= */ NULL, error);
        if (!there)
                return false;
        for (guint i = 0; i < objects->tables->len; i++) {
                const TableSchema *table = g_ptr_array_index(objects->tables, i);
                g_hash_table_add(ours, sql_table(table->database, table->name));
        }
        for (guint i = 0; i < there->len; i++) {
                const TableSchema *table = g_ptr_array_index(there, i);
                g_autofree char *name = sql_table(table->database, table->name);
                if (spec_selects(engine->spec, table->database, table->name) && !g_hash_table_contains(ours, name))
                        g_ptr_array_add(engine->state->unfit, g_strdup_printf("table %s: it was on the destination before", name));
        }
        return true;
}

/* Our tables on both sides, and who owns what. */
static bool take_ownership(Engine *engine, GError **error) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                Conn *conn = control_acquire(engine, side, error);
                if (!conn)
                        return false;
                if (!ledger_create(engine->ledger, conn, error)) {
                        engine_name_error(engine, side, error);
                        return false;
                }
                if (!control_own(engine, side, SIDE_SOURCE, engine->state->epoch, "start", error))
                        return false;
        }
        return true;
}

static bool begin_leg(Engine *engine, GError **error) {
        EngineState *state = engine->state;
        Conn *up = control_acquire(engine, SIDE_SOURCE, error), *down = up ? control_acquire(engine, SIDE_DESTINATION, error) : NULL;
        if (!down)
                return false;
        state->workers = engine_workers(engine);
        binlog_position_clear(&state->leg_start);
        if (!conn_binlog_gtid_position(up, &state->leg_start.file, &state->leg_start.offset, &state->leg_start.gtids, error)) {
                engine_name_error(engine, SIDE_SOURCE, error);
                return false;
        }
        if (!ledger_begin_leg(engine->ledger, down, 1, state->workers, ENGINE_COPIERS_MAX, state->epoch, error) ||
            !ledger_set_leg_start(engine->ledger, down, 1, conn_host_uuid(up), &state->leg_start, error)) {
                engine_name_error(engine, SIDE_DESTINATION, error);
                return false;
        }
        state->leg = 1;
        return true;
}

static bool fence_destination(Engine *engine, GError **error) {
        Conn *down = control_acquire(engine, SIDE_DESTINATION, error);
        if (!down)
                return false;
        if (fence_shut(&engine->fence, SIDE_DESTINATION, down, error))
                return true;
        engine_name_error(engine, SIDE_DESTINATION, error);
        return false;
}

/* Takes back what a failed start did: our tables, the fence, and the tables that were made and are still empty. */
static void undo_start(Engine *engine, const ObjectList *objects, bool was_closed) {
        Conn *down = control_acquire(engine, SIDE_DESTINATION, NULL);
        if (down) {
                (void) engine_parameters_undo(engine, NULL);
                engine_programs_undo(engine);
                if (!was_closed)
                        (void) engine_open_side(engine, SIDE_DESTINATION, ENGINE_OPENING_BACK, NULL);
                for (guint i = 0; objects && i < objects->tables->len; i++)
                        (void) objects_drop_empty(down, g_ptr_array_index(objects->tables, i), NULL);
                (void) ledger_drop(engine->ledger, down, NULL);
        }
        Conn *up = control_acquire(engine, SIDE_SOURCE, NULL);
        if (up)
                (void) ledger_drop(engine->ledger, up, NULL);
        engine->state->leg = 0;
        binlog_position_clear(&engine->state->leg_start);
        engine_stop_all(engine);
}

static bool go_on(Engine *engine, const EngineOperation *operation, const char *step, GError **error) {
        if (engine_aborted(engine, operation->id)) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the start was aborted");
                return false;
        }
        engine_set_step(engine, step);
        return true;
}

/* Everything that can be known without changing anything. */
static bool look(Engine *engine, const EngineOperation *operation, Pair *pair, ObjectList **ret_objects, bool *ret_closed, GError **error) {
        if (!go_on(engine, operation, "checks", error) || !connect_pair(engine, pair, error) ||
            !engine_run_checks(engine, pair->conns, PRECHECK_START, error) || !precheck_verdict(engine->state->checks, operation->flags & 1, error))
                return false;
        *ret_objects = objects_list(pair->conns[SIDE_SOURCE], engine->spec, error);
        if (*ret_objects && fence_found_closed(&engine->fence, pair->conns[SIDE_DESTINATION], ret_closed, error))
                return true;
        engine_name_link_error(engine, error);
        return false;
}

bool engine_objects_remember(Engine *engine, Conn *source, Conn *destination, GError **error) {
        g_autoptr(ObjectList) list = objects_list(source, engine->spec, error);
        g_autoptr(GPtrArray) there = list ? schema_load(destination, /* database= */ NULL, error) : NULL;
        return there && object_store_save(engine->directory, list, there, error);
}

/* A statement between the reading of a table's definition and the position where the stream begins would be carried by nobody. */
static bool still_the_same(Engine *engine, const Pair *pair, const Definitions *before, GError **error) {
        g_autoptr(Definitions) now = definitions_read(pair->conns[SIDE_SOURCE], engine->spec, engine->state->unfit, error);
        if (!now) {
                engine_name_error(engine, SIDE_SOURCE, error);
                return false;
        }
        g_autofree char *difference = definitions_difference(before, now);
        if (difference)
                g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED, "somebody changed a table while the migration was begun (%s); start again", difference);
        return !difference;
}

static bool prepare(Engine *engine, const EngineOperation *operation, const Pair *pair, const ObjectList *objects, GError **error) {
        if (!go_on(engine, operation, "ownership", error) || !take_ownership(engine, error) ||
            !go_on(engine, operation, "fence-destination", error) || !fence_destination(engine, error) ||
            !go_on(engine, operation, "tables", error))
                return false;
        g_autoptr(Definitions) before = definitions_read(pair->conns[SIDE_SOURCE], engine->spec, engine->state->unfit, error);
        if (!before || !objects_create(pair->conns[SIDE_SOURCE], pair->conns[SIDE_DESTINATION], objects, error) ||
            !remember_strangers(engine, pair->conns[SIDE_DESTINATION], objects, error) ||
            !engine_objects_remember(engine, pair->conns[SIDE_SOURCE], pair->conns[SIDE_DESTINATION], error)) {
                engine_name_link_error(engine, error);
                return false;
        }
        if (!go_on(engine, operation, "programs", error) || !engine_programs_carry(engine, error) ||
            !engine_programs_complete(engine, SIDE_DESTINATION, error))
                return false;
        if (!go_on(engine, operation, "parameters", error) || !engine_parameters_carry(engine, pair->conns[SIDE_SOURCE], error))
                return false;
        return go_on(engine, operation, "position", error) && begin_leg(engine, error) && still_the_same(engine, pair, before, error);
}

void engine_begin(Engine *engine, const EngineOperation *operation) {
        g_auto(Pair) pair = {0};
        g_autoptr(ObjectList) objects = NULL;
        g_autoptr(GError) error = NULL;
        bool was_closed = false;

        engine_refresh_params(engine);
        if (engine->state->epoch == 0)
                engine->state->epoch = 1;
        engine->state->writer = SIDE_SOURCE;
        bool good = look(engine, operation, &pair, &objects, &was_closed, &error), touched = good;
        if (good) {
                remember_unfit(engine, objects);
                remember_identity(engine, &pair);
                engine_read_allow_list(engine, pair.conns[SIDE_SOURCE], operation->id);
                good = prepare(engine, operation, &pair, objects, &error);
        }
        if (good) {
                engine_event(engine, ENGINE_EVENT_COPY_STARTED, 5, "copying %u tables with %u apply workers", objects->tables->len, engine->state->workers);
                engine_finish(engine, operation->id, OPERATION_RESULT_DONE, NULL, MIGRATION_PHASE_COPYING, "");
                return;
        }
        if (engine_stopping(engine))
                return; /* it is in state.json, and is run again from its beginning at the next start of the agent */
        if (touched)
                undo_start(engine, objects, was_closed);
        bool aborted = engine_aborted(engine, operation->id);
        engine_finish(engine, operation->id, aborted ? OPERATION_RESULT_CANCELED : touched ? OPERATION_RESULT_UNDONE : OPERATION_RESULT_FAILED, error,
                      _MIGRATION_PHASE_INVALID, NULL);
}
