/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Switch and Rollback: one protocol with the sides exchanged (life-cycle.md). A is the side that takes writes, B the other one. The story:
 *
 *    1 guard          everything that can be known beforehand; whoever refuses here has cost nobody anything
 *    2 fence          A closes: from here on applications wait
 *    3 end-position   what A logged last
 *    4 drain          B has all of it
 *    5 final-check    and nothing that is not ours was written on B
 *    6 epoch          appliers are stopped and can never commit again
 *    7 flip           what B needs to take writes
 *    8 reverse-start  where B's own changes will begin
 *    9 commit         A is looked at once more; the owner row on B says who takes writes (the commit point); B opens: applications go on
 *   10 release        A stays closed
 *   11 reverse        the stream B → A runs, a canary came through it
 *
 * Before each step its intention is in state.json. Until step 9's is, everything is undone, and A is opened first; once it is, the owner
 * row on B decides, and everything is finished forward. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "engine/control.h"
#include "engine/fence.h"
#include "engine/precheck.h"
#include "engine/switch-account.h"
#include "engine/switch-final.h"
#include "engine/switch-guard.h"

#define DEFAULT_DEADLINE 30.0 /* s */
#define FINAL_USEC (USEC_PER_SEC / 2) /* of the final check of rows: applications wait */
#define MARK_USEC (5 * USEC_PER_SEC) /* for a server that does not answer; a lock is waited for a second */
#define HOOK_RETRY_USEC (2 * USEC_PER_SEC)
#define SLICE_USEC (100 * USEC_PER_MSEC) /* of a wait, between looks at Abort */

typedef struct Switchover {
        Engine *engine;
        const EngineOperation *operation;
        Side from, to;    /* A and B */
        gint64 deadline;  /* monotonic; of steps 2 to 9 */
        gint64 fenced_at; /* monotonic; 0: not fenced by this process */
        char *mark;       /* fence_log_mark() of A at the end position */
        guint64 boot;     /* of A, when it was fenced: conn_boot_time() */
        FinalCheck *final; /* of rows */
        SwitchParts parts; /* of the write interruption */
        unsigned killed;
        guint64 lock; /* FenceClosing.lock of A */
} Switchover;

static MigrationPhase phase_behind(const Switchover *s) {
        return s->to == SIDE_DESTINATION ? MIGRATION_PHASE_SWITCHED : MIGRATION_PHASE_SYNCHRONIZING;
}

static const char *name_of(const Switchover *s) {
        return operation_kind_to_string(s->operation->kind);
}

static gint64 time_left(const Switchover *s) {
        return s->deadline - clock_monotonic();
}

static bool in_time(const Switchover *s, GError **error) {
        if (time_left(s) > 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "the %s did not get through within its deadline", name_of(s));
        return false;
}

static bool was_aborted(const Switchover *s, GError **error) {
        if (!engine_aborted(s->engine, s->operation->id))
                return false;
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the %s was aborted", name_of(s));
        return true;
}

/* What a test can stop at (base/failpoint.h): the steps of the story, the commit point by its parts, and the undo. */
static void before(const Switchover *s, const char *step) {
        failpoint(name_of(s), step, "before");
}

static void after(const Switchover *s, const char *step) {
        failpoint(name_of(s), step, "after");
}

static Conn *conn_of(const Switchover *s, Side side, GError **error) {
        return control_acquire(s->engine, side, error);
}

static bool named(const Switchover *s, Side side, bool good, GError **error) {
        if (!good)
                engine_name_error(s->engine, side, error);
        return good;
}

static bool hooks(const Switchover *s, const char *when, GError **error) {
        g_autofree char *point = g_strdup_printf("%s-%s", when, name_of(s));
        return engine_run_hooks(s->engine, point, s->operation->id, error);
}

/* --- the steps --- */

/* So that whoever stood still here, and had signed nothing, does not take another agent's name for one of its past. A signs its row with the fence. */
static bool sign_new_side(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        return engine->owned[s->to] || control_own(engine, s->to, s->from, engine->state->epoch, "", error);
}

static bool do_guard(Switchover *s, GError **error) {
        if (!switch_guard(s->engine, s->operation, s->from, s->to, error))
                return false;
        if (s->operation->flags & 1)
                return true;
        if (!hooks(s, "pre", error) || !switch_link_answers(s->engine, s->operation, error) || !sign_new_side(s, error))
                return false;
        /* One that runs by itself compares in the old direction; it would wait for positions of the wrong server's log. */
        engine_verify_cancel(s->engine);
        /* Last of all: what changes from here on is compared behind the fence. */
        s->final = final_check_new(s->engine, s->operation, s->from, s->to);
        if (!final_check_prepare(s->final, error))
                return false;
        /* Into the journal with the next step's intention: a crash must not leave the scheduler off. */
        Conn *a = conn_of(s, s->from, error);
        return a && named(s, s->from, fence_prepare(&s->engine->fence, a, &s->engine->state->kept[s->from], error) &&
                                      session_look_wait(a, &s->engine->session_looks[s->from], error), error);
}

static bool fence_stop(gpointer userdata) {
        const Switchover *s = userdata;
        return engine_aborted(s->engine, s->operation->id);
}

static FenceClosing closing(Switchover *s) {
        return (FenceClosing){.look = &s->engine->session_looks[s->from], .kill_sessions = s->operation->kill_sessions, .lock = &s->lock,
                              .timeout_usec = time_left(s), .stop = fence_stop, .userdata = s};
}

static bool do_fence(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        monitor_hold(engine->monitor); /* no heartbeat behind the end position */
        if (!control_own(engine, s->from, s->from, engine->state->epoch, "fencing", error))
                return false;
        Conn *a = conn_of(s, s->from, error);
        if (!a || !named(s, s->from, conn_boot_time(a, &s->boot, error), error))
                return false;
        if (engine->link) /* what the fence says about accounts and events is nobody's change of them */
                link_pass_over_programs(engine->link, conn_id(a));
        s->fenced_at = clock_monotonic();
        switch_parts_begin(&s->parts, s->fenced_at);
        engine->state->fenced_at = clock_real();
        FenceClosing how = closing(s);
        return named(s, s->from, fence_close(&engine->fence, s->from, a, &how, &engine->state->kept[s->from], &s->killed, error), error);
}

static bool do_end_position(Switchover *s, GError **error) {
        EngineState *state = s->engine->state;
        g_autofree char *file = NULL, *gtids = NULL;
        guint64 offset;
        Conn *a = conn_of(s, s->from, error);
        if (!a)
                return false;
        g_clear_pointer(&s->mark, g_free);
        if (!named(s, s->from, fence_log_mark(a, &s->mark, error) && conn_binlog_gtid_position(a, &file, &offset, &gtids, error), error))
                return false;
        binlog_position_set(&state->end_position, file, offset);
        binlog_position_set_gtids(&state->end_position, gtids);
        return true;
}

static bool do_drain(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        g_autoptr(GError) local = NULL;
        LinkTarget target = {.file = engine->state->end_position.file, .offset = engine->state->end_position.offset};
        while (engine->link) {
                g_clear_error(&local);
                if (link_wait_applied(engine->link, &target, CLAMP(time_left(s), 0, SLICE_USEC), &local))
                        return engine_programs_unchanged(engine, error);
                if (!g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED) || time_left(s) <= 0)
                        break;
                if (was_aborted(s, error))
                        return false;
                control_feed(engine); /* A's may hold a lock there */
        }
        g_autoptr(GError) broken = engine->link ? link_error(engine->link) : NULL;
        g_propagate_error(error, broken ? g_steal_pointer(&broken) : local ? g_steal_pointer(&local)
                                 : g_error_new(PS_ERROR, PS_ERROR_FAILED, "replication is not running"));
        engine_name_link_error(engine, error);
        return false;
}

static bool look_through(Switchover *s, const char *file, guint64 offset, GError **error) {
        for (;;) {
                g_autoptr(GError) local = NULL;
                if (watch_wait(s->engine->watch, file, offset, CLAMP(time_left(s), 0, SLICE_USEC), &local))
                        return true;
                if (time_left(s) <= 0) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                if (was_aborted(s, error))
                        return false;
                control_feed(s->engine);
        }
}

/* B has been closed all the time: up to here nobody else wrote on it. */
static bool all_ours(Switchover *s, const char *file, guint64 offset, GError **error) {
        if (!look_through(s, file, offset, error))
                return false;
        engine_take_watch(s->engine);
        return switch_no_foreign_writes(s->engine, error);
}

/* What was written on B up to now must be ours, and rows that changed since both sides were found equal must be equal. */
static bool do_final_check(Switchover *s, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        Conn *b = conn_of(s, s->to, error);
        if (!b || !named(s, s->to, conn_binlog_position(b, &file, &offset, error), error) ||
            !all_ours(s, file, offset, error))
                return false;
        return final_check_run(s->final, CLAMP(time_left(s) / 3, 0, FINAL_USEC), error);
}

static bool do_epoch(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        Conn *b = conn_of(s, s->to, error);
        engine_stop_link(engine); /* joined: nothing of this agent applies any more; the epoch stops any other */
        return b && named(s, s->to, ledger_raise_epoch(engine->ledger, b, engine->state->epoch, error), error);
}

static bool do_flip(Switchover *s, GError **error) {
        /* AUTO_INCREMENT counters were raised by the guard and follow every applied row since. Nothing is applied any more, so B's triggers are made
         * now; its events, which run by themselves, once it is open. Undone by the next link: it drops the triggers before it applies anything. */
        Conn *b = conn_of(s, s->to, error);
        bool closed = false;
        if (!b || !named(s, s->to, fence_is_closed(&s->engine->fence, b, &closed, error), error))
                return false;
        if (!closed)
                g_set_error(error, PS_ERROR, PS_ERROR_FOREIGN_WRITES, "the %s was opened by somebody else during the %s", side_to_string(s->to), name_of(s));
        return closed && engine_programs_arm(s->engine, s->to, /* in_switch= */ true, error);
}

static bool do_reverse_start(Switchover *s, GError **error) {
        BinlogPosition *start = &s->engine->state->reverse_start;
        g_autofree char *file = NULL, *gtids = NULL;
        guint64 offset;
        Conn *b = conn_of(s, s->to, error);
        if (!b || !named(s, s->to, conn_binlog_gtid_position(b, &file, &offset, &gtids, error), error))
                return false;
        /* What others wrote before it would never come to A. */
        if (!all_ours(s, file, offset, error))
                return false;
        binlog_position_set(start, file, offset);
        binlog_position_set_gtids(start, gtids);
        g_free(s->engine->state->reverse_start_server);
        s->engine->state->reverse_start_server = g_strdup(s->engine->state->identity[s->to]);
        return true;
}

/* A once more: nobody there who could write, still closed, not restarted, and silent since the end position. On one connection, which may hold a lock. */
static bool still_fenced(Switchover *s, bool *ret_moved, GError **error) {
        const Fence *fence = &s->engine->fence;
        FenceClosing how = closing(s);
        bool closed;
        guint64 boot;
        g_autofree char *mark = NULL;
        Conn *a = conn_of(s, s->from, error);
        if (!a || !named(s, s->from, fence_keep_out(fence, a, &how, error) && fence_is_closed(fence, a, &closed, error) && conn_boot_time(a, &boot, error) &&
                                     fence_log_mark(a, &mark, error), error))
                return false;
        if (!closed || boot != s->boot) {
                g_set_error(error, PS_ERROR, PS_ERROR_FOREIGN_WRITES, "the %s was restarted or opened during the %s", side_to_string(s->from), name_of(s));
                return false;
        }
        *ret_moved = g_strcmp0(mark, s->mark) != 0;
        return true;
}

static bool look_once_more(Switchover *s, GError **error) {
        bool moved;
        if (!still_fenced(s, &moved, error))
                return false;
        if (!moved)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_FOREIGN_WRITES,
                    "somebody whom read_only does not stop wrote on the %s during the %s; keep such sessions away and try again",
                    side_to_string(s->from), name_of(s));
        return false;
}

/* Everything that step 9's intention says. */
static void take_over(const Switchover *s) {
        EngineState *state = s->engine->state;
        if (state->writer == s->to) /* recorded before the agent was stopped: the new side had failed over */
                return;
        state->writer = s->to;
        binlog_position_set(&state->left_at, state->end_position.file, state->end_position.offset);
        state->leg++;
        state->copied = true;
        state->copied_seq = 0;
        g_ptr_array_set_size(state->again, 0); /* the guard saw to it; numbers of another leg mean nothing */
        binlog_position_set(&state->leg_start, state->reverse_start.file, state->reverse_start.offset);
        binlog_position_set_gtids(&state->leg_start, state->reverse_start.gtids);
        state->reverse_proven = false;
}

/* Between two tries of what has to get done: what people have mended is used by the next one. A server that does not answer may have been lost,
 * and its standby promoted: the next try may be content with that, and goes on saying why if it cannot be. Programs of others are not run several
 * times a second. */
static void wait_to_retry(Engine *engine, gint64 usual, const GError *error) {
        bool refused = engine->may_fail_over && (g_error_matches(error, PS_ERROR, PS_ERROR_DATA_MISMATCH) ||
                                                 g_error_matches(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE));
        engine->may_fail_over = refused || g_error_matches(error, PS_ERROR, PS_ERROR_SOURCE_UNREACHABLE) || g_error_matches(error, PS_ERROR, PS_ERROR_STALE_STATE) ||
                                g_error_matches(error, PS_ERROR, PS_ERROR_DESTINATION_UNREACHABLE);
        engine_wait_to_retry(engine, g_error_matches(error, PS_ERROR, PS_ERROR_HOOK_FAILED) ? HOOK_RETRY_USEC : usual,
                             engine->may_fail_over || engine_may_be_mended(error));
}

/* Whether the owner row on B says that B takes writes; asked until B answers. Whoever asks holds B's lock of this migration: no session is
 * left that could still write the row. false: the agent stops, and the journal says that it is not known. */
static bool ask_owner(Switchover *s, bool *ret_committed) {
        Engine *engine = s->engine;
        for (;;) {
                g_autoptr(GError) error = NULL;
                OwnerRow owner;
                Conn *b = conn_of(s, s->to, &error);
                if (b && named(s, s->to, ledger_read_owner(engine->ledger, b, &owner, &error), &error)) {
                        *ret_committed = owner.present && owner.writer == s->to && owner.epoch == engine->state->epoch;
                        engine->may_fail_over = false;
                        return true;
                }
                engine_set_error(engine, error);
                if (engine_stopping(engine))
                        return false;
                wait_to_retry(engine, USEC_PER_SEC / 5, error);
        }
}

/* Behind what people waited for. */
static void wait_as_usual(const Switchover *s, Side side) {
        Conn *conn = s->engine->control[side];
        if (conn && !conn_is_dead(conn))
                (void) control_wait_for_locks(conn, 0, NULL);
}

/* The commit point: the owner row on B. When it is not known what became of it B says it, and before it is tried again A is looked at
 * again: meanwhile it may have been restarted and taken writes. (tests/model/switch.pml, MISTAKE_LOOK_ONCE) A row that B says is not there can
 * be given up: only a B that does not answer keeps A closed beyond the deadline. */
static bool commit_row(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        before(s, "owner");
        for (;;) {
                g_autoptr(GError) local = NULL;
                bool committed;
                g_autofree char *meant = g_strdup(engine->state->identity[s->to]);
                Conn *b = conn_of(s, s->to, &local);
                if (b && control_wait_for_locks(b, 2, &local) &&
                    control_own(engine, s->to, s->to, engine->state->epoch, "committed", &local))
                        return true;
                engine_name_error(engine, s->to, &local);
                engine_set_error(engine, local);
                if (!ask_owner(s, &committed)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
                        return false;
                }
                if (committed)
                        return true;
                wait_as_usual(s, s->to);
                if (g_strcmp0(meant, engine->state->identity[s->to]) != 0) { /* the reverse stream would begin in another log */
                        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the %s failed over during the %s; ask for it again", side_to_string(s->to), name_of(s));
                        return false;
                }
                engine_wait(engine, USEC_PER_SEC / 5);
                if (was_aborted(s, error) || !in_time(s, error) || !look_once_more(s, error))
                        return false;
        }
}

static bool open_new_side(Switchover *s, GError **error) {
        return engine_open_side(s->engine, s->to, ENGINE_OPENING_COMMITTED, error);
}

typedef struct Step {
        SwitchStep step;
        bool (*run)(Switchover *s, GError **error);
} Step;

static const Step steps[] = {
        {SWITCH_STEP_FENCE, do_fence},
        {SWITCH_STEP_END_POSITION, do_end_position},
        {SWITCH_STEP_DRAIN, do_drain},
        {SWITCH_STEP_FINAL_CHECK, do_final_check},
        {SWITCH_STEP_EPOCH, do_epoch},
        {SWITCH_STEP_FLIP, do_flip},
        {SWITCH_STEP_REVERSE_START, do_reverse_start},
        {SWITCH_STEP_COMMIT, look_once_more},
};

/* --- the guard of the deadline --- */

/* While A is closed a server B that does not answer must not hold it closed beyond the deadline, or Abort. */
typedef struct Watchdog {
        const Switchover *s;
        Thread *thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool abortable, done;
} Watchdog;

static void watchdog(gpointer data) {
        Watchdog *dog = data;
        pthread_mutex_lock(&dog->lock);
        while (!dog->done) {
                if (time_left(dog->s) <= 0 || (dog->abortable && engine_aborted(dog->s->engine, dog->s->operation->id))) {
                        control_abort(dog->s->engine, dog->s->to);
                        break;
                }
                struct timespec until = clock_deadline(SLICE_USEC);
                (void) pthread_cond_timedwait(&dog->changed, &dog->lock, &until);
        }
        pthread_mutex_unlock(&dog->lock);
}

static void watchdog_start(Watchdog *dog, const Switchover *s, bool abortable) {
        *dog = (Watchdog){.s = s, .abortable = abortable};
        control_limit(s->engine, s->to, s->deadline);
        pthread_mutex_init(&dog->lock, /* attr= */ NULL);
        clock_cond_init(&dog->changed);
        dog->thread = thread_start("deadline", watchdog, dog);
}

static void watchdog_stop(Watchdog *dog) {
        pthread_mutex_lock(&dog->lock);
        dog->done = true;
        pthread_cond_signal(&dog->changed);
        pthread_mutex_unlock(&dog->lock);
        thread_join(dog->thread);
        pthread_cond_destroy(&dog->changed);
        pthread_mutex_destroy(&dog->lock);
        control_unlimit(dog->s->engine, dog->s->to);
}

/* --- the journal --- */

static bool journal(Switchover *s, SwitchStep step, GError **error) {
        Engine *engine = s->engine;
        engine->state->operation_id = s->operation->id;
        engine->state->step = step;
        /* On A with the fence, on B behind the last transaction that is applied. The intention is what recovery counts from. */
        bool raises = step == SWITCH_STEP_FENCE || step == SWITCH_STEP_EPOCH;
        engine->state->epoch += raises;
        engine_set_step(engine, switch_step_to_string(step));
        bool good = engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error);
        if (!good)
                engine->state->epoch -= raises; /* no server may hear of an epoch that is not on disk: the next start would take itself for stale */
        switch_part(&s->parts, "journal");
        return good;
}

/* --- undo --- */

/* Applications come first: A is opened before anything else is looked at, and tried until it works. */
static bool reopen(Engine *engine, Side side) {
        for (;;) {
                g_autoptr(GError) error = NULL;
                if (engine_open_side(engine, side, ENGINE_OPENING_BACK, &error)) {
                        engine->state->kept[side].events_on = false;
                        engine->may_fail_over = false;
                        return true;
                }
                engine_set_error(engine, error);
                if (engine_stopping(engine))
                        return false;
                wait_to_retry(engine, USEC_PER_SEC / 5, error);
        }
}

static void undo(Switchover *s, const GError *why) {
        Engine *engine = s->engine;
        bool fenced = engine->state->step >= SWITCH_STEP_FENCE;
        engine_set_step(engine, "undo");
        before(s, "undo");
        if (engine->link)
                link_pass_over_programs(engine->link, 0);
        if (fenced && !reopen(engine, s->from))
                return; /* the agent stops: the journal still says so, and the next start opens it */
        if (fenced) {
                engine_event(engine, ENGINE_EVENT_UNFENCED, 4, "the %s takes writes again, the %s was undone", side_to_string(s->from), name_of(s));
                (void) control_own(engine, s->from, s->from, engine->state->epoch, "", NULL);
        }
        if (engine->monitor)
                monitor_release(engine->monitor, s->from, engine->state->epoch);
        wait_as_usual(s, s->from); /* B, which may not answer, where it was asked */
        binlog_position_clear(&engine->state->end_position);
        binlog_position_clear(&engine->state->reverse_start);
        bool stopping = engine_stopping(engine), aborted = !stopping && engine_aborted(engine, s->operation->id);
        g_autoptr(GError) stop = stopping ? g_error_new(PS_ERROR, PS_ERROR_FAILED, "the agent was stopped; everything was put back") : NULL;
        after(s, "undo");
        engine_finish(engine, s->operation->id,
                      aborted ? OPERATION_RESULT_CANCELED : fenced ? OPERATION_RESULT_UNDONE : OPERATION_RESULT_FAILED, stop ? stop : why, _MIGRATION_PHASE_INVALID, NULL);
        engine_set_error(engine, NULL);
}

/* --- behind the commit point --- */

/* Retried, never skipped. false: the agent stops, or the operator does without A and ends the migration; the journal keeps where we are. */
static bool until_done(Switchover *s, bool (*what)(Switchover *s, GError **error)) {
        for (;;) {
                g_autoptr(GError) error = NULL;
                bool done = what(s, &error);
                if (!done)
                        engine_set_error(s->engine, error);
                if (done || engine_stopping(s->engine) || (s->engine->phase == phase_behind(s) && engine_superseded(s->engine))) {
                        s->engine->may_fail_over = false;
                        return done;
                }
                wait_to_retry(s->engine, USEC_PER_SEC / 2, error);
        }
}

static bool commit_phase(Switchover *s, GError **error) {
        s->engine->state->step = SWITCH_STEP_RELEASE;
        return engine_commit(s->engine, phase_behind(s), "", error);
}

/* What fires by itself is taken from A and given to B; and A's side of the new direction: its checkpoints know where the stream begins. */
static bool release(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        EngineState *state = engine->state;
        /* B may be restarted while A is waited for, and come back closed: it is opened again. */
        if (engine_start_monitor(engine, NULL))
                monitor_release(engine->monitor, s->to, state->epoch);
        engine_mend_sides(engine);
        Conn *a = conn_of(s, s->from, error);
        if (!a || !named(s, s->from, fence_let_go(&engine->fence, a, &s->lock, error) && fence_shut(&engine->fence, s->from, a, error), error) ||
            !engine_programs_disarm(engine, s->from, error) || !engine_programs_start_events(engine, s->to, error))
                return false;
        a = conn_of(s, s->from, error);
        return a && named(s, s->from,
                          ledger_begin_leg(engine->ledger, a, state->leg, state->workers, 0, state->epoch, error) &&
                          ledger_raise_epoch(engine->ledger, a, state->epoch, error) &&
                          ledger_set_leg_start(engine->ledger, a, state->leg, state->reverse_start_server ? state->reverse_start_server : state->identity[s->to],
                                               &state->leg_start, error),
                          error) &&
               control_own(engine, s->from, s->to, state->epoch, "released", error);
}

static bool reverse_runs(Switchover *s, GError **error) {
        Engine *engine = s->engine;
        engine_step(engine);
        if (!engine->link) {
                if (engine->link_failures > 0) /* it says why */
                        *error = engine_last_error(engine);
                if (!*error)
                        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "replication from the %s has not started yet", side_to_string(s->to));
                return false;
        }
        guint64 value = clock_real();
        Conn *b = conn_of(s, s->to, error);
        if (!b || !named(s, s->to,
                         conn_execf(b, error, "INSERT INTO %s (id, value) VALUES (1, %" G_GUINT64_FORMAT ") ON DUPLICATE KEY UPDATE value=%" G_GUINT64_FORMAT,
                                    engine->ledger->canary, value, value),
                         error))
                return false;
        if (!engine->link) { /* it failed over just now */
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "replication from the %s has not started yet", side_to_string(s->to));
                return false;
        }
        for (guint i = 0; i < 99 && !engine_stopping(engine) && !engine_superseded(engine); i++) {
                g_autoptr(GError) broken = link_error(engine->link);
                if (broken || link_wait_canary(engine->link, value, SLICE_USEC, NULL))
                        break;
        }
        return link_wait_canary(engine->link, value, SLICE_USEC, error);
}

/* A is watched from now on, from where it ended: what others write there is on no other side, and a rollback would keep it and lose what B has. */
static void watch_old_side(Engine *engine) {
        EngineState *state = engine->state;
        engine_stop_watch(engine);
        binlog_position_set(&state->watched, state->end_position.file, state->end_position.offset);
        state->foreign_writes = state->foreign_writes_acknowledged = 0;
}

static void finish_forward(Switchover *s) {
        Engine *engine = s->engine;
        g_autoptr(GError) error = NULL;
        engine_set_step(engine, switch_step_to_string(SWITCH_STEP_RELEASE));
        before(s, "release");
        wait_as_usual(s, s->to);
        if (!until_done(s, release))
                return;
        after(s, "release");
        engine->state->step = SWITCH_STEP_REVERSE;
        engine_set_step(engine, switch_step_to_string(SWITCH_STEP_REVERSE));
        engine->link_broken = false;
        engine->link_retry_at = 0;
        before(s, "reverse");
        if (!until_done(s, reverse_runs))
                return;
        if (!hooks(s, "post", &error))
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "%s", error->message);
        engine_set_step(engine, "logins"); /* last of all: nobody waits for it */
        engine_accounts_log_in(engine, s->to, s->operation->id);

        switch_record_left(engine, s->operation, s->from);
        binlog_position_clear(&engine->state->end_position);
        binlog_position_clear(&engine->state->reverse_start);
        engine_set_error(engine, NULL);
        (void) engine_prove_reverse(engine, NULL);
        after(s, "reverse");
        engine_finish(engine, s->operation->id, OPERATION_RESULT_DONE, NULL, _MIGRATION_PHASE_INVALID, NULL);
}

static void commit_and_finish(Switchover *s) {
        Engine *engine = s->engine;
        after(s, "owner");
        take_over(s);
        switch_part(&s->parts, "owner");
        if (engine->watch) /* what is written on B from here on is nobody's foreign write */
                watch_stop_counting(engine->watch);
        if (!until_done(s, open_new_side))
                return;
        switch_part(&s->parts, "open");
        after(s, "open");
        guint64 now = clock_real();
        engine->state->write_interruption = s->fenced_at ? (double) (s->parts.at - s->fenced_at) / USEC_PER_SEC
                                            : now > engine->state->fenced_at ? (double) (now - engine->state->fenced_at) / USEC_PER_SEC : 0;
        g_free(engine->state->interruption_parts);
        engine->state->interruption_parts = switch_parts_text(&s->parts);
        watch_old_side(engine);
        if (!until_done(s, commit_phase))
                return;
        engine_event(engine, ENGINE_EVENT_WRITE_INTERRUPTION, 5, "the %s takes writes now; writes were interrupted for %.3f s (%u sessions ended)",
                     side_to_string(s->to), engine->state->write_interruption, s->killed);
        finish_forward(s);
}

/* --- forward, from the start or after a crash --- */

static bool run_step(Switchover *s, const Step *step, GError **error) {
        before(s, switch_step_to_string(step->step));
        if (!step->run(s, error))
                return false;
        after(s, switch_step_to_string(step->step));
        switch_part(&s->parts, switch_step_to_string(step->step));
        return true;
}

static void run(Switchover *s) {
        Engine *engine = s->engine;
        g_autoptr(GError) error = NULL;

        engine_set_step(engine, switch_step_to_string(SWITCH_STEP_GUARD));
        before(s, "guard");
        bool good = do_guard(s, &error);
        if (good && (s->operation->flags & 1)) { /* a dry run ends here */
                good = switch_record_plan(engine, s->operation, s->from, s->to, &error);
                engine_finish(engine, s->operation->id, good ? OPERATION_RESULT_DONE : OPERATION_RESULT_FAILED, error, _MIGRATION_PHASE_INVALID, NULL);
                return;
        }
        if (!good) {
                undo(s, error);
                return;
        }
        after(s, "guard");
        s->deadline = clock_monotonic() + (gint64) ((s->operation->deadline > 0 ? s->operation->deadline : DEFAULT_DEADLINE) * USEC_PER_SEC);
        Watchdog dog;
        watchdog_start(&dog, s, /* abortable= */ true);
        for (gsize i = 0; good && i < G_N_ELEMENTS(steps); i++) {
                if (was_aborted(s, &error))
                        good = false;
                else
                        good = in_time(s, &error) && journal(s, steps[i].step, &error) && run_step(s, &steps[i], &error);
        }
        watchdog_stop(&dog);
        if (!good && time_left(s) <= 0 && !g_error_matches(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED)) {
                g_autoptr(GError) cause = g_steal_pointer(&error);
                g_set_error(&error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "the %s did not get through within its deadline: %s", name_of(s), cause->message);
        }
        good = good && in_time(s, &error) && commit_row(s, &error);
        if (good)
                commit_and_finish(s);
        else if (g_error_matches(error, PS_ERROR, PS_ERROR_STOPPED) && engine->state->step == SWITCH_STEP_COMMIT)
                return; /* the next start asks B */
        else {
                engine_event(engine, ENGINE_EVENT_OPERATION_STEP, 4, "the %s is undone at step %s: %s", name_of(s),
                             switch_step_to_string(engine->state->step), error->message);
                undo(s, error);
        }
}

/* B has no owner row of this switch, and A will be opened: an agent that stood still at the commit point all the time may not write it any more, when
 * it finds that another one wrote the row (control.c). Not if B cannot be written to: applications wait for A. */
static void mark_undone(Switchover *s) {
        Engine *engine = s->engine;
        Watchdog dog;
        s->deadline = clock_monotonic() + MARK_USEC;
        watchdog_start(&dog, s, /* abortable= */ false);
        Conn *b = conn_of(s, s->to, NULL);
        if (b && control_wait_for_locks(b, 1, NULL)) {
                (void) control_own(engine, s->to, s->from, engine->state->epoch, "", NULL);
                wait_as_usual(s, s->to);
        }
        watchdog_stop(&dog);
}

/* Found in the journal after a restart. What both servers say decides; what cannot be asked yet is asked again. */
static void recover(Switchover *s) {
        Engine *engine = s->engine;
        g_autoptr(GError) error = NULL;
        SwitchStep step = engine->state->step;

        engine_event(engine, ENGINE_EVENT_RECOVERED, 4, "the agent stopped in the middle of a %s, at step %s", name_of(s), switch_step_to_string(step));
        engine_set_step(engine, "recovery");
        if (step == SWITCH_STEP_COMMIT) {
                bool committed;
                if (!ask_owner(s, &committed))
                        return;
                if (committed) {
                        commit_and_finish(s);
                        return;
                }
                mark_undone(s);
        }
        g_set_error(&error, PS_ERROR, PS_ERROR_FAILED, "the agent was stopped at step %s; everything was put back", switch_step_to_string(step));
        undo(s, error);
}

void engine_switch(Engine *engine, const EngineOperation *operation) {
        Side from = operation->kind == OPERATION_SWITCH ? SIDE_SOURCE : SIDE_DESTINATION;
        Switchover s = {.engine = engine, .operation = operation, .from = from, .to = side_other(from)};
        SwitchStep step = engine->state->operation_id == operation->id ? engine->state->step : SWITCH_STEP_NONE;

        if (!operation->resumed)
                run(&s);
        else if (step == SWITCH_STEP_NONE || step == SWITCH_STEP_GUARD) {
                g_autoptr(GError) error = g_error_new(PS_ERROR, PS_ERROR_FAILED, "the agent was restarted before the %s changed anything; ask for it again",
                                                      name_of(&s));
                engine_finish(engine, operation->id, OPERATION_RESULT_FAILED, error, _MIGRATION_PHASE_INVALID, NULL);
        }
        else if (step >= SWITCH_STEP_RELEASE)
                finish_forward(&s);
        else
                recover(&s);
        g_free(s.mark);
        final_check_free(s.final);
        switch_parts_clear(&s.parts);
}
