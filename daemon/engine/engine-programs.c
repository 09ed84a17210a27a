/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Views, routines, triggers and events of a migration, and with them its accounts (engine-accounts.c). Definitions follow the side that takes writes: at Start, soon after a statement in its
 * log changed one, and again in the guard of a switch, which is what a switch relies on. What fires by itself, triggers and events, is on the side that
 * takes writes only; the switch makes it in step 7 (flip) and unmakes it in step 10 (release). */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"
#include "engine/program-sync.h"

#define READ_USEC (10 * USEC_PER_SEC)  /* in the guard: until what changed programs was read and applied */
#define RETRY_USEC (10 * USEC_PER_SEC)
#define FOLLOW_USEC (2 * USEC_PER_SEC)

/* Texts of events carry no name: everybody may read them. */
static void on_refused(gpointer userdata, const ProgramEntry *entry, Side side) {
        engine_event(userdata, ENGINE_EVENT_NOT_CARRIED, 4, "not carried to the %s (%s): %s", side_to_string(side), program_kind_to_string(entry->kind),
                     entry->refused[side]);
}

static bool stopping(gpointer userdata) {
        return engine_stopping(userdata);
}

static bool load(Engine *engine, GError **error) {
        if (!engine->programs)
                engine->programs = pair_store_load(&program_entry_kind, engine->directory, error);
        return engine->programs != NULL;
}

/* WANTED: a side that must be there; the other one is, too, when BOTH. */
static bool begin(Engine *engine, Side wanted, bool both, ProgramSync *ret, GError **error) {
        if (!load(engine, error))
                return false;
        *ret = (ProgramSync){
                .spec = engine->spec,
                .directory = engine->directory,
                .task = engine->ledger->task,
                .store = engine->programs,
                .up = engine->state->writer,
                .stopping = stopping,
                .on_refused = on_refused,
                .userdata = engine,
        };
        if (!control_acquire_sides(engine, wanted, both, ret->conns, error))
                return false;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                ret->params[side] = engine->params[side];
        return true;
}

/* Whatever happened, what the store says in memory must be what the file says. */
static bool end(Engine *engine, bool good, GError **error) {
        if (good)
                return true;
        engine_name_link_error(engine, error);
        g_clear_pointer(&engine->programs, pair_store_free);
        return false;
}

static bool carry_programs(Engine *engine, GError **error) {
        ProgramSync sync;
        return end(engine, begin(engine, engine->state->writer, /* both= */ true, &sync, error) && programs_sync(&sync, error), error);
}

/* Views and routines have definers, and accounts have grants on routines. */
bool engine_programs_carry(Engine *engine, GError **error) {
        return engine_accounts_carry(engine, error) && carry_programs(engine, error) && engine_accounts_carry(engine, error);
}

bool engine_programs_complete(Engine *engine, Side side, GError **error) {
        if (!load(engine, error) || !engine_accounts_complete(engine, side, error))
                return false;
        guint count = 0;
        g_autofree char *first = pair_store_refused(engine->programs, side, &count);
        if (!first || engine->spec->unfit == UNFIT_SKIP)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "%u %s cannot be carried to the %s (the report lists them); change or drop them, or use unfit=skip: %s", count,
                    count == 1 ? "view, routine, trigger or event" : "views, routines, triggers and events", side_to_string(side), first);
        return false;
}

bool engine_programs_ready(Engine *engine, Side from, Side to, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        Conn *a = control_acquire(engine, from, error);
        if (!a)
                return false;
        if (!conn_binlog_position(a, &file, &offset, error) || !engine->link || !engine_wait_link(engine, file, offset, READ_USEC, error)) {
                engine_name_link_error(engine, error);
                return false;
        }
        engine->programs_seen = link_programs_changed(engine->link);
        return engine_programs_carry(engine, error) && engine_programs_complete(engine, to, error);
}

bool engine_programs_unchanged(const Engine *engine, GError **error) {
        if (engine->link && link_programs_changed(engine->link) == engine->programs_seen)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED,
                    "a view, routine, trigger, event or account was made, changed or dropped on the %s at the very moment of the switch; ask for it again",
                    side_to_string(engine->state->writer));
        return false;
}

bool engine_programs_disarm(Engine *engine, Side side, GError **error) {
        ProgramSync sync;
        if (!engine_accounts_disarm(engine, side, error))
                return false;
        return end(engine, begin(engine, side, /* both= */ true, &sync, error) && programs_disarm(&sync, side, error), error);
}

bool engine_programs_arm(Engine *engine, Side side, bool in_switch, GError **error) {
        ProgramSync sync;
        guint count = 0;
        gint64 began = clock_monotonic();
        if (!(in_switch && fence_is_of_accounts(&engine->fence)) && !engine_accounts_arm(engine, side, error))
                return false;
        bool made = begin(engine, side, /* both= */ false, &sync, error) && programs_arm(&sync, side, in_switch, &count, error);
        if (!made) /* the message begins with the trigger, not with the server */
                engine_name_error(engine, side, error);
        if (!end(engine, made, error))
                return false;
        if (count > 0)
                engine_event(engine, ENGINE_EVENT_OPERATION_STEP, 6, "%u triggers made on the %s in %.3f s", count, side_to_string(side),
                             (double) (clock_monotonic() - began) / USEC_PER_SEC);
        return true;
}

bool engine_event_is_carried(Engine *engine, const char *database, const char *name) {
        return load(engine, NULL) && program_store_find(engine->programs, PROGRAM_EVENT, database, name);
}

bool engine_programs_start_events(Engine *engine, Side side, GError **error) {
        ProgramSync sync;
        g_autoptr(GPtrArray) failed = g_ptr_array_new_with_free_func(g_free);
        if (!end(engine, begin(engine, side, /* both= */ false, &sync, error) && programs_note_triggers(&sync, side, error) &&
                         programs_start_events(&sync, side, failed, error), error))
                return false;
        for (guint i = 0; i < failed->len; i++)
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "%s", (char *) g_ptr_array_index(failed, i));
        return true;
}

void engine_programs_undo(Engine *engine) {
        ProgramSync sync;
        g_autoptr(GError) error = NULL;
        (void) end(engine, begin(engine, SIDE_DESTINATION, /* both= */ false, &sync, &error) && programs_drop_all(&sync, SIDE_DESTINATION, &error), &error);
        engine_accounts_undo(engine);
}

/* --- what changes while the link runs --- */

void engine_programs_follow(Engine *engine) {
        guint64 changed = link_programs_changed(engine->link);
        g_autoptr(GError) error = NULL;
        if (changed != engine->programs_seen)
                engine->programs_pending = true;
        if (!engine->programs_pending || engine->phase == MIGRATION_PHASE_COPYING || engine->state->step != SWITCH_STEP_NONE ||
            clock_monotonic() < engine->programs_at)
                return;
        /* Behind the tables that a new view may need. */
        if (!engine->programs_position.file) {
                Conn *up = control_acquire(engine, engine->state->writer, NULL);
                g_autofree char *file = NULL;
                guint64 offset;
                if (!up || !conn_binlog_position(up, &file, &offset, NULL))
                        return;
                binlog_position_set(&engine->programs_position, file, offset);
                engine->programs_target = (LinkTarget){.file = engine->programs_position.file, .offset = offset};
                engine->programs_seen = changed;
        }
        if (!link_wait_applied(engine->link, &engine->programs_target, 0, NULL))
                return;
        binlog_position_clear(&engine->programs_position);
        if (engine_programs_carry(engine, &error)) {
                engine->programs_at = clock_monotonic() + FOLLOW_USEC; /* somebody may make views all the time */
                engine->programs_pending = false;
                engine->programs_failed = false;
                return;
        }
        engine->programs_at = clock_monotonic() + RETRY_USEC;
        if (!engine->programs_failed)
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "views, routines, triggers, events and accounts could not be compared, which is tried again: %s", error->message);
        engine->programs_failed = true;
}

void engine_programs_forget(Engine *engine) {
        binlog_position_clear(&engine->programs_position);
        engine->programs_seen = 0;
        engine->programs_pending = true;
        engine->programs_at = 0;
}
