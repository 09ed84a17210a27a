/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the engine does at a halt of the link: the statement is carried by a thread of its own (ddl-carry.h), for it may take hours, and a
 * new link goes on behind it. What cannot be carried waits for the operator. */

#include "engine/engine-private.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"
#include "engine/definitions.h"

#define VERIFY_AGAIN_USEC (10 * USEC_PER_SEC)
#define COMPARE_USEC (2 * USEC_PER_SEC)

/* What is carried now. */
static bool converts_rows(const Engine *engine) {
        return engine->carry_passed || g_str_has_prefix(engine->halt->what, "ALTER TABLE");
}

/* Rows may be converted, and not by the same rules: what was found equal says nothing then. A table may come to stand before the place that a
 * comparison has reached, or have another key there: it has to begin again. All of this is written down before the statement is run: that it
 * was, only the other side's books tell, and a crash may come right behind it. */
static bool void_comparison(Engine *engine, GError **error) {
        const char *what = engine->halt->what;
        bool converts = converts_rows(engine);
        bool moves = converts || g_str_has_prefix(what, "RENAME TABLE") || g_str_has_prefix(what, "CREATE INDEX") || g_str_has_prefix(what, "DROP INDEX");
        dirty_forget(engine->dirty); /* keys of a table that will have another name, or other columns */
        if (converts && engine->state->verification == VERIFICATION_EQUAL)
                engine->state->verification = VERIFICATION_NONE;
        if (moves)
                engine_verify_void(engine);
        return !moves || engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error);
}

bool engine_carry(Engine *engine, const LinkHalt *halt, bool passed, GError **error) {
        LinkHalt *copy = link_halt_copy(halt); /* it may be the engine's */
        link_halt_free(engine->halt);
        engine->halt = copy;
        engine->carry_passed = passed;
        engine_verify_cancel(engine); /* tables change under it */
        if (!void_comparison(engine, error))
                return false;
        CarryConfig config = {
                .upstream = engine->params[engine->state->writer],
                .downstream = engine->params[engine_reader(engine)],
                .ledger = engine->ledger,
                .spec = engine->spec,
                .left_out = engine->state->unfit,
                .halt = copy,
                .server_id = engine_dump_id(engine, 2),
                .leg = engine->state->leg,
                .epoch = engine->link_epoch,
                .copying = !engine->state->copied || engine->state->again->len > 0,
                .passed = passed,
                .on_done = engine_poke,
                .userdata = engine,
        };
        engine->carry = carry_start(&config);
        pthread_mutex_lock(&engine->lock);
        engine->status.replication = REPLICATION_RUNNING;
        engine->status.direction = engine_direction(engine);
        pthread_mutex_unlock(&engine->lock);
        return true;
}

void engine_stop_carry(Engine *engine) {
        g_clear_pointer(&engine->carry, carry_free);
}

/* Tables that the other side does without from now on are named, so that their rows are no surprise. */
static void leave_out(Engine *engine, const GPtrArray *missing, const char *what) {
        if (!engine->state->unfit)
                engine->state->unfit = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; i < missing->len; i++)
                g_ptr_array_add(engine->state->unfit, g_strdup_printf("table %s: %s was passed over", (const char *) g_ptr_array_index(missing, i), what));
}

static void passed_over(Engine *engine, const CarryResult *result) {
        /* What was done there on our advice is not held against anybody; that both sides are compared again is right. */
        if (engine->carry_by_hand && engine->watch)
                engine_take_watch(engine);
        if (engine->carry_by_hand && engine->state->foreign_writes > engine->state->foreign_writes_acknowledged)
                engine->state->foreign_writes_acknowledged++;
        leave_out(engine, result->missing, engine->halt->what);
}

bool engine_collect_carry(Engine *engine, GError **error) {
        g_auto(CarryResult) result = {0};
        if (!carry_finished(engine->carry, &result))
                return false;
        g_clear_pointer(&engine->carry, carry_free);
        if (result.error) {
                engine_name_link_error(engine, &result.error);
                if (g_error_matches(result.error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT))
                        engine->stopped_at_seq = engine->halt->seq;
                g_propagate_error(error, g_steal_pointer(&result.error));
                return true;
        }
        if (engine->carry_passed)
                passed_over(engine, &result);
        if (engine->phase != MIGRATION_PHASE_COPYING && converts_rows(engine))
                engine->verify_at = clock_monotonic() + VERIFY_AGAIN_USEC;
        if (result.run)
                engine_event(engine, ENGINE_EVENT_NOTE, 5, "%s was carried to the %s (transaction %" G_GUINT64_FORMAT ")", engine->halt->what,
                             side_to_string(engine_reader(engine)), engine->halt->seq);
        g_clear_pointer(&engine->halt, link_halt_free);
        engine->stopped_at_seq = 0;
        engine->carried = true;
        engine->compare_at = clock_monotonic() + COMPARE_USEC;
        (void) engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error);
        return true;
}

/* Resume with ddl=skip or done-by-hand, for the statement that was refused. */
bool engine_take_ddl_choice(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool pass = engine->ddl != RESUME_DDL_RETRY && engine->stopped_at_seq > 0 && engine->halt;
        engine->carry_by_hand = engine->ddl == RESUME_DDL_DONE_BY_HAND;
        engine->ddl = RESUME_DDL_RETRY;
        pthread_mutex_unlock(&engine->lock);
        if (!pass)
                return false;
        g_autoptr(GError) error = NULL;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (!engine_params(engine, side, &error)) {
                        engine_set_error(engine, error);
                        return false;
                }
        if (!engine_carry(engine, engine->halt, /* passed= */ true, &error)) {
                engine_set_error(engine, error);
                return false;
        }
        return true;
}

/* --- did it come out alike? --- */

bool engine_compare_definitions(Engine *engine, gint64 timeout_usec, char **ret, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        Conn *up = control_acquire(engine, engine->state->writer, error), *down = up ? control_acquire(engine, engine_reader(engine), error) : NULL;
        if (!down)
                return false;
        g_autoptr(Definitions) above = definitions_read(up, engine->spec, engine->state->unfit, error);
        if (above && conn_binlog_position(up, &file, &offset, error)) {
                if (!engine_wait_link(engine, file, offset, timeout_usec, error))
                        return false;
                g_autoptr(Definitions) below = definitions_read(down, engine->spec, engine->state->unfit, error);
                if (below) {
                        *ret = definitions_difference(above, below);
                        return true;
                }
        }
        engine_name_link_error(engine, error);
        return false;
}

static void remember_objects(Engine *engine) {
        g_autoptr(GError) error = NULL;
        Conn *source = control_acquire(engine, SIDE_SOURCE, &error), *destination = source ? control_acquire(engine, SIDE_DESTINATION, &error) : NULL;
        if (!destination || !engine_objects_remember(engine, source, destination, &error))
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "the report does not tell of the last change of tables: %s", error->message);
}

void engine_look_at_definitions(Engine *engine) {
        g_autofree char *difference = NULL;
        if (engine->compare_at == 0 || clock_monotonic() < engine->compare_at)
                return;
        engine->compare_at = clock_monotonic() + COMPARE_USEC;
        if (!engine_compare_definitions(engine, USEC_PER_SEC, &difference, NULL))
                return;
        /* What stays is no statement that came in between. */
        bool stays = g_strcmp0(difference, engine->difference) == 0;
        if (!difference || stays) {
                engine->compare_at = 0;
                remember_objects(engine);
        }
        if (difference && stays)
                engine_event(engine, ENGINE_EVENT_NOTE, 3,
                             "a statement came out otherwise on the %s: %s; make them alike there before the sides are changed",
                             side_to_string(engine_reader(engine)), difference);
        g_free(engine->difference);
        engine->difference = stays ? NULL : g_steal_pointer(&difference);
}
