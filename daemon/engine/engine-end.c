/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Complete, Cancel and expiry: the link ends for good (life-cycle.md, 'Complete, Cancel, expiry, removal'). All can be called again and
 * survive a crash in the middle: every step finds out for itself what is left to do. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "engine/control.h"
#include "engine/fence.h"

#define DRAIN_USEC (10 * USEC_PER_SEC)

typedef struct Ending {
        Engine *engine;
        const EngineOperation *operation;
        bool keep_reader_closed; /* a switched migration: A stays read-only, so that there are never two writable sides */
        bool without_unreachable; /* flag 2 */
        bool clone;              /* Complete of a clone */
        bool again;              /* a try before had begun to take things down */
        GString *left;           /* what is left to do by hand */
} Ending;

/* What a test can stop at (base/failpoint.h). */
static void before(const Ending *ending, const char *step) {
        failpoint(operation_kind_to_string(ending->operation->kind), step, "before");
}

static void after(const Ending *ending, const char *step) {
        failpoint(operation_kind_to_string(ending->operation->kind), step, "after");
}

static bool unreachable(const GError *error) {
        return g_error_matches(error, PS_ERROR, PS_ERROR_SOURCE_UNREACHABLE) || g_error_matches(error, PS_ERROR, PS_ERROR_DESTINATION_UNREACHABLE);
}

/* A link that failed a moment ago, or that has not begun since the agent started, is waited for: nobody would know but by asking again. */
static bool apply_up_to(Ending *ending, const char *file, guint64 offset, gint64 until, GError **error) {
        Engine *engine = ending->engine;
        g_autoptr(GError) last = NULL;
        LinkTarget target = {.file = file, .offset = offset};
        do {
                if (engine->link) {
                        g_autoptr(GError) local = NULL;
                        if (link_wait_applied(engine->link, &target, USEC_PER_SEC / 10, &local))
                                return true;
                        g_autoptr(GError) broken = link_error(engine->link); /* says more than that it has ended */
                        g_clear_error(&last);
                        last = broken ? g_steal_pointer(&broken) : g_steal_pointer(&local);
                        engine_name_link_error(engine, &last);
                        if (g_error_matches(last, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED))
                                continue;
                        if (ending->without_unreachable && unreachable(last))
                                break;
                } else if (ending->without_unreachable && !ending->operation->resumed)
                        break;
                engine_step(engine);
                engine_wait(engine, USEC_PER_SEC / 10);
        } while ((engine->link || engine_link_may_come(engine)) && clock_monotonic() < until && !engine_aborted(engine, ending->operation->id));
        if (last)
                g_propagate_error(error, g_steal_pointer(&last));
        else
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "replication is not running, so the %s cannot be brought up to date; Resume first",
                            side_to_string(engine_reader(engine)));
        return false;
}

/* Everything that the writer's side has logged at the call is on the other one. */
static bool drain(Ending *ending, GError **error) {
        Engine *engine = ending->engine;
        g_autofree char *file = NULL;
        guint64 offset;
        engine_set_step(engine, "drain");
        before(ending, "drain");
        Conn *up = control_acquire(engine, engine->state->writer, error);
        if (!up)
                return false;
        if (!conn_binlog_position(up, &file, &offset, error)) {
                engine_name_error(engine, engine->state->writer, error);
                return false;
        }
        if (!apply_up_to(ending, file, offset, clock_monotonic() + DRAIN_USEC, error))
                return false;
        after(ending, "drain");
        return true;
}

#define CLONE_USEC (60 * USEC_PER_SEC)

static bool refuse_clone(GError **error, PsErrorCode code, const char *why) {
        g_set_error(error, PS_ERROR, (int) code, "%s", why);
        return false;
}

/* Where the reader ended; what is before that is then applied, and nothing behind it. */
static bool wait_for_end(Ending *ending, LinkHalt **ret, GError **error) {
        Engine *engine = ending->engine;
        gint64 until = clock_monotonic() + CLONE_USEC;
        guint64 low;
        link_end(engine->link);
        for (;;) {
                g_autoptr(GError) broken = NULL;
                g_autoptr(LinkHalt) halt = link_get_halt(engine->link);
                if (halt && halt->kind != LINK_HALT_POSITION)
                        return refuse_clone(error, PS_ERROR_STOPPED, "a statement is to be carried first");
                if (halt && link_drained(engine->link, USEC_PER_SEC / 2, &low)) {
                        *ret = g_steal_pointer(&halt);
                        return true;
                }
                if (!halt && (broken = link_error(engine->link)) != NULL) {
                        g_propagate_error(error, g_steal_pointer(&broken));
                        engine_name_link_error(engine, error);
                        return false;
                }
                if (engine_aborted(engine, ending->operation->id))
                        return refuse_clone(error, PS_ERROR_STOPPED, "told to stop");
                if (clock_monotonic() >= until)
                        return refuse_clone(error, PS_ERROR_DEADLINE_EXCEEDED, "what was read of the source was not applied in time");
                engine_wait(engine, 100 * USEC_PER_MSEC);
        }
}

/* The destination becomes the source as it was at one position, which is on disk before anything is taken down. */
static bool end_clone(Ending *ending, GError **error) {
        Engine *engine = ending->engine;
        g_autoptr(LinkHalt) halt = NULL;
        engine_set_step(engine, "position");
        if (!engine->link || !engine->state->copied)
                return refuse_clone(error, PS_ERROR_DEADLINE_EXCEEDED, "replication is not running, so there is no position at which the clone is complete; Resume first");
        if (!engine_is_complete(engine, error) || !engine_programs_ready(engine, SIDE_SOURCE, SIDE_DESTINATION, error))
                return false;
        if (!wait_for_end(ending, &halt, error))
                return false;
        if (engine->state->verification != VERIFICATION_EQUAL && engine->spec->verify == VERIFY_REQUIRED)
                return refuse_clone(error, PS_ERROR_VERIFICATION_FAILED, "the comparison has to be made again first");
        binlog_position_set(&engine->state->end_position, halt->file, halt->offset);
        engine_event(engine, ENGINE_EVENT_NOTE, 5, "the clone is the source as it was at %s:%" G_GUINT64_FORMAT, halt->file, halt->offset);
        return true;
}

/* Ours are joined; those of a stale agent end with their checkpoints. The epoch stays: raised before both servers have been asked, it would
 * let a stale state pass for a new one. */
static bool stop_applying(Ending *ending, GError **error) {
        Engine *engine = ending->engine;
        engine_set_step(engine, "stop");
        before(ending, "stop");
        engine_verify_cancel(engine);
        engine_stop_link(engine);
        engine_stop_watch(engine);
        g_clear_pointer(&engine->monitor, monitor_free);
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error))
                return false;
        after(ending, "stop");
        return true;
}

/* Before anything is taken down: who is refused here still has a migration that works. */
static bool both_answer(Ending *ending, GError **error) {
        engine_set_step(ending->engine, "ask");
        before(ending, "ask");
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_autoptr(GError) local = NULL;
                if (control_acquire(ending->engine, side, &local) || (ending->without_unreachable && unreachable(local)))
                        continue;
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        after(ending, "ask");
        return true;
}

/* Tables of which the copy was not finished are named. */
static bool name_incomplete(Ending *ending, Conn *down, GError **error) {
        Engine *engine = ending->engine;
        if (engine->state->copied || engine->state->leg == 0)
                return true;
        guint64 there = 0;
        g_autofree char *ask = g_strdup_printf("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='" LEDGER_DATABASE
                                               "' AND table_name='chunk_%s'", engine->ledger->task);
        if (!conn_query_uint64(down, ask, &there, error))
                return false;
        if (there)
                g_string_append(ending->left, "the copy was not finished: the destination's tables hold only a part of the rows; ");
        return true;
}

/* Canceled, the destination is a database of its own: with its triggers, but its events stay disabled, since they would run on both sides. What it
 * does not take is left to people. */
static bool arm(Ending *ending, GError **error) {
        Engine *engine = ending->engine;
        g_autoptr(GError) late = NULL, local = NULL;
        if (engine->state->leg == 0)
                return true;
        if (!ending->clone && !engine_programs_carry(engine, &late)) /* a clone has what there was at its position */
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "views, routines, triggers, events and accounts could not be compared once more: %s", late->message);
        if (engine_programs_arm(engine, SIDE_DESTINATION, /* in_switch= */ false, &local))
                return true;
        if (local->domain != MYSQL_ERROR || mysql_error_is_connection(local) || mysql_error_is_retryable(local)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        g_string_append_printf(ending->left, "on the destination: %s; ", local->message);
        return true;
}

/* It stays closed, and the report says how to open it: our tables go, which say what is closed, too. */
static bool shut_for_good(Engine *engine, Side side, Conn *conn, GError **error) {
        return fence_shut(&engine->fence, side, conn, error) && engine_remember_closed(engine, side, conn, error) &&
               engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error);
}

static bool drop_tables(Engine *engine, Side side, Conn *conn, GError **error) {
        if (ledger_drop(engine->ledger, conn, error))
                return true;
        engine_name_error(engine, side, error);
        return false;
}

static bool close_side(Ending *ending, Side side, GError **error) {
        Engine *engine = ending->engine;
        bool writer = side == engine->state->writer;
        bool open = writer || !ending->keep_reader_closed;
        OwnerRow owner = {0};
        Conn *conn = control_acquire(engine, side, error);
        bool good = conn && ledger_read_owner(engine->ledger, conn, &owner, error);
        if (good && ending->again && engine->state->leg > 0 && !owner.present) /* so far we came before: people have this side, opened or closed for good */
                return drop_tables(engine, side, conn, error);
        if (!good)
                return false;
        /* A rollback that never got back to it may have left it so that nobody can write there, the agent neither. */
        if (!writer && owner.present && !fence_let_go(&engine->fence, conn, /* lock= */ NULL, error)) {
                engine_name_error(engine, side, error);
                return false;
        }
        if (!writer && open && side == SIDE_DESTINATION && !arm(ending, error))
                return false;
        conn = control_acquire(engine, side, error);
        if (!conn)
                return false;
        /* Opened before our tables go: they say what the fence has closed. */
        if (!writer && open && !engine_open_side(engine, side, ENGINE_OPENING_END, error))
                return false;
        good = (side != SIDE_DESTINATION || name_incomplete(ending, conn, error)) && (open || !owner.present || shut_for_good(engine, side, conn, error));
        if (good)
                return drop_tables(engine, side, conn, error);
        engine_name_error(engine, side, error);
        return false;
}

static bool close_sides(Ending *ending, GError **error) {
        Engine *engine = ending->engine;
        engine_set_step(engine, "clean-up");
        /* Both or none: without our tables on one side a migration whose end failed on the other could not go on, nor back. */
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_autoptr(GError) local = NULL;
                if (!control_acquire(engine, side, &local) && (!ending->without_unreachable || !unreachable(local))) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
        /* From here on there is no way but to the end; there will be no link again. */
        ending->again = engine->state->ending;
        engine->state->ending = true;
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error)) {
                engine->state->ending = false;
                return false;
        }
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_autoptr(GError) local = NULL;
                before(ending, side_to_string(side));
                if (close_side(ending, side, &local)) {
                        after(ending, side_to_string(side));
                        continue;
                }
                if (!ending->without_unreachable || !unreachable(local)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                const char *task = engine->ledger->task;
                /* A rollback may not have got back there; the source is older than what has to be taken back. */
                bool locked = side == SIDE_DESTINATION && side != engine->state->writer;
                g_free(engine->state->left_sql[side]);
                engine->state->left_sql[side] = g_strdup_printf("%sDROP TABLE IF EXISTS `" LEDGER_DATABASE "`.`ckpt_%s`, `" LEDGER_DATABASE "`.`chunk_%s`, `"
                                                                LEDGER_DATABASE "`.`wm_%s`, `" LEDGER_DATABASE "`.`canary_%s`, `" LEDGER_DATABASE "`.`intent_%s`, `" LEDGER_DATABASE "`.`trial_%s`, `" LEDGER_DATABASE "`.`fence_%s`; DELETE FROM `"
                                                                LEDGER_DATABASE "`.`owner` WHERE uuid='%s';",
                                                                locked ? fence_let_go_sql(&engine->fence) : "",
                                                                task, task, task, task, task, task, task, engine->state->uuid);
                g_string_append_printf(ending->left, "on the %s: %s ", side_to_string(side), engine->state->left_sql[side]);
        }
        return true;
}

static bool run(Ending *ending, bool switched, GError **error) {
        Engine *engine = ending->engine;
        const EngineOperation *operation = ending->operation;
        bool begun = engine->state->leg > 0;
        if (!begun && engine->phase == MIGRATION_PHASE_CREATED)
                return true; /* nothing was ever touched */

        g_autoptr(GError) local = NULL;
        if (!both_answer(ending, error))
                return false;
        bool clone = ending->clone;
        if (clone && !engine->state->ending && !end_clone(ending, error))
                return false;
        if (operation->kind == OPERATION_COMPLETE && !clone && !engine->state->ending && !drain(ending, &local) &&
            !(ending->without_unreachable && (unreachable(local) || !engine->link))) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (!stop_applying(ending, error))
                return false;
        g_clear_error(&local);
        const char *point = operation->kind == OPERATION_EXPIRE ? "expired" : switched || clone ? "complete" : "cancel";
        if (!engine_run_hooks(engine, point, /* operation= */ 0, &local))
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "%s", local->message);
        if (!close_sides(ending, error))
                return false;
        if (clone)
                engine_accounts_log_in(engine, SIDE_DESTINATION, operation->id);
        return true;
}

static const char *reason_of(const EngineOperation *operation, bool switched) {
        if (operation->kind != OPERATION_EXPIRE)
                return "";
        return switched ? "expired-switched" : "expired";
}

void engine_end(Engine *engine, const EngineOperation *operation) {
        g_autoptr(GError) error = NULL;
        bool switched = engine->phase == MIGRATION_PHASE_SWITCHED;
        bool superseding = engine->state->step != SWITCH_STEP_NONE;
        Ending ending = {
                .engine = engine,
                .operation = operation,
                .keep_reader_closed = switched,
                .without_unreachable = operation->flags & 2,
                .clone = engine_is_clone(engine) && operation->kind == OPERATION_COMPLETE,
                .left = g_string_new(NULL),
        };
        MigrationPhase final = operation->kind == OPERATION_COMPLETE ? MIGRATION_PHASE_COMPLETED : MIGRATION_PHASE_CANCELED;

        for (;;) {
                g_clear_error(&error);
                if (run(&ending, switched, &error))
                        break;
                /* Expiry has nobody to ask: it goes on until it works. So does what took the place of a switch that could not be finished: there is no
                 * migration left that could go on. */
                if ((operation->kind != OPERATION_EXPIRE && !superseding) || engine_stopping(engine))
                        break;
                engine_set_error(engine, error);
                engine_wait_to_retry(engine, 10 * USEC_PER_SEC, engine_may_be_mended(error));
        }
        if (!error && operation->disable_binlog)
                engine_disable_binlog(engine, operation->id);
        bool log_left = !error && engine->state->binlog_left;
        if (log_left)
                g_string_append_printf(ending.left, "switch off the binary log of the destination: %s ", engine->state->binlog_left);
        if (ending.left->len > 0)
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "left to do: %s", ending.left->str);
        g_string_free(ending.left, TRUE);
        if ((error || log_left) && engine_stopping(engine))
                return; /* the next start goes on */
        if (error && engine->state->ending)
                g_prefix_error(&error, "the end of the migration had begun, and there is no link any more: ask for it again (flag 2 does without a side that is gone); ");
        if (error && engine->state->ending)
                engine_set_error(engine, error);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX && !error; side++)
                control_release(engine, side);
        engine_finish(engine, operation->id, !error ? OPERATION_RESULT_DONE : engine_aborted(engine, operation->id) ? OPERATION_RESULT_CANCELED : OPERATION_RESULT_FAILED, error,
                      error ? _MIGRATION_PHASE_INVALID : final, error ? NULL : reason_of(operation, switched));
}
