/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An engine without servers for the bus tests: it has the threads, messages and answers of engine.h, and acts the phases out in
 * milliseconds. What it does is chosen by the user name in the source's URI:
 *
 *   broken    Start fails with AuthenticationFailed
 *   undone    Switch fails with DeadlineExceeded and is undone
 *   lagging   the delay is 120 s
 *
 * FAKE_ENGINE_MSEC: how long each step takes (default 10). */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "engine/engine.h"

struct Engine {
        EngineConfig config;
        MigrationSpec *spec;
        Thread *thread;
        gint64 step_usec;

        pthread_mutex_t lock;
        pthread_cond_t changed;
        EngineState *state;
        MigrationPhase phase;
        bool paused, stop, committing, commit_failed;
        guint64 abort_id;
        EngineOperation operation; /* id 0: none */
        EngineStatus status;
};

static bool user_is(const Engine *engine, const char *user) {
        const char *given = engine->spec->servers[SIDE_SOURCE].endpoint->user;
        return given && strcmp(given, user) == 0;
}

/* Lock held. Waits; false: the engine stops. */
static bool pass_time(Engine *engine, gint64 usec) {
        struct timespec until = clock_deadline(usec);
        while (!engine->stop && pthread_cond_timedwait(&engine->changed, &engine->lock, &until) == 0)
                ;
        return !engine->stop;
}

static void tell(Engine *engine, EngineEventKind kind, const char *message) {
        EngineEvent *event = g_new0(EngineEvent, 1);
        event->kind = kind;
        event->priority = 6;
        event->message = g_strdup(message);
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_EVENT, event, (GDestroyNotify) engine_event_free);
}

/* Lock held. */
static bool commit(Engine *engine, MigrationPhase phase, const char *reason, bool finish, OperationResult result, int error,
                   const char *message) {
        EngineCommit *c = g_new0(EngineCommit, 1);
        c->state = engine_state_copy(engine->state);
        c->phase = phase;
        c->reason = reason;
        if (finish) {
                c->finished.id = engine->operation.id;
                c->finished.result = result;
                c->finished.error = error;
                c->finished.message = g_strdup(message);
                /* the next one may be given as soon as the loop knows of this one's end */
                engine->operation.id = 0;
                engine->abort_id = 0;
                engine->status.step[0] = 0;
        }
        engine->committing = true;
        if (phase != _MIGRATION_PHASE_INVALID)
                engine->phase = phase;
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_COMMIT, c, (GDestroyNotify) engine_commit_free);
        while (engine->committing && !engine->stop)
                pthread_cond_wait(&engine->changed, &engine->lock);
        return !engine->stop && !engine->commit_failed;
}

static void sync_status(Engine *engine) {
        EngineStatus *s = &engine->status;
        const EngineState *state = engine->state;
        s->direction = migration_phase_direction(engine->phase);
        s->replication = s->direction == DIRECTION_NONE || engine->paused ? REPLICATION_STOPPED : REPLICATION_RUNNING;
        s->delay = s->direction == DIRECTION_NONE ? -1 : user_is(engine, "lagging") ? 120 : 0.25;
        s->error = -1;
        s->progress = state->copied ? 1 : 0;
        s->verification = state->verification;
        s->verified_at = state->verified_at;
        s->reverse_proven = state->reverse_proven;
        s->write_interruption = state->write_interruption;
        s->foreign_writes = state->foreign_writes - MIN(state->foreign_writes, state->foreign_writes_acknowledged);
        s->read_write[SIDE_SOURCE] = state->writer == SIDE_SOURCE ? READ_WRITE_STATUS_READ_WRITE : READ_WRITE_STATUS_READ_ONLY;
        s->read_write[SIDE_DESTINATION] =
                state->writer == SIDE_DESTINATION ? READ_WRITE_STATUS_READ_WRITE : READ_WRITE_STATUS_READ_ONLY;
}

static void copy(Engine *engine) {
        tell(engine, ENGINE_EVENT_COPY_STARTED, "copying started");
        if (!pass_time(engine, engine->step_usec))
                return;
        engine->state->copied = true;
        engine->state->reverse_proven = true;
        tell(engine, ENGINE_EVENT_COPY_FINISHED, "everything is copied");
        if (commit(engine, MIGRATION_PHASE_SYNCHRONIZING, NULL, false, OPERATION_RESULT_DONE, 0, NULL))
                tell(engine, ENGINE_EVENT_CAUGHT_UP, "caught up");
}

static void run_check(Engine *engine) {
        g_ptr_array_set_size(engine->state->checks, 0);
        g_ptr_array_add(engine->state->checks, check_row_new("binlog-format", CHECK_OK, PS_ERROR_CHECK_FAILED, "ROW", ""));
        g_ptr_array_add(engine->state->checks,
                        check_row_new("standby", CHECK_WARNING, PS_ERROR_CHECK_FAILED, "no standby seen", "see to one"));
        engine->state->checked_at = clock_real();
}

static void run_switch(Engine *engine, Side writer, MigrationPhase phase) {
        static const SwitchStep steps[] = { SWITCH_STEP_GUARD, SWITCH_STEP_FENCE, SWITCH_STEP_DRAIN, SWITCH_STEP_FLIP };
        guint64 id = engine->operation.id;
        if (engine->operation.flags & 1) {
                g_free(engine->state->last_plan);
                engine->state->last_plan = g_strdup("{\"dry-run\":true}");
                (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_DONE, 0, NULL);
                return;
        }
        for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
                g_strlcpy(engine->status.step, switch_step_to_string(steps[i]), sizeof engine->status.step);
                engine->state->operation_id = id;
                engine->state->step = steps[i];
                mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_CHANGED, NULL, NULL);
                if (!commit(engine, _MIGRATION_PHASE_INVALID, NULL, false, OPERATION_RESULT_DONE, 0, NULL) ||
                    !pass_time(engine, engine->step_usec))
                        return;
                if (engine->abort_id == id) {
                        engine->state->step = SWITCH_STEP_NONE;
                        engine->state->operation_id = 0;
                        (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_CANCELED, PS_ERROR_STOPPED,
                                      "aborted on request");
                        return;
                }
        }
        engine->state->step = SWITCH_STEP_NONE;
        engine->state->operation_id = 0;
        if (user_is(engine, "undone")) {
                (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_UNDONE, PS_ERROR_DEADLINE_EXCEEDED,
                              "not done within 30 s; everything was put back");
                return;
        }
        engine->state->writer = writer;
        engine->state->epoch++;
        engine->state->write_interruption = 0.123;
        tell(engine, ENGINE_EVENT_WRITE_INTERRUPTION, "0.123 s");
        (void) commit(engine, phase, NULL, true, OPERATION_RESULT_DONE, 0, NULL);
}

static void run_operation(Engine *engine) {
        g_autoptr(GError) error = NULL;
        OperationKind kind = engine->operation.kind;
        if (kind != OPERATION_SWITCH && kind != OPERATION_ROLLBACK && !pass_time(engine, engine->step_usec))
                return;
        switch (kind) {
        case OPERATION_CHECK:
                run_check(engine);
                (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_DONE, 0, NULL);
                break;
        case OPERATION_START:
                if (user_is(engine, "broken"))
                        (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_FAILED,
                                      PS_ERROR_AUTHENTICATION_FAILED, "the source refused the account");
                else if (commit(engine, MIGRATION_PHASE_COPYING, NULL, true, OPERATION_RESULT_DONE, 0, NULL))
                        copy(engine);
                break;
        case OPERATION_VERIFY:
        case OPERATION_REPAIR:
                engine->state->verification = VERIFICATION_EQUAL;
                engine->state->verified_at = clock_real();
                (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_DONE, 0, NULL);
                break;
        case OPERATION_SWITCH:
        case OPERATION_ROLLBACK:
                pthread_mutex_unlock(&engine->lock);
                HookCall call = { .point = kind == OPERATION_SWITCH ? "pre-switch" : "pre-rollback", .json = "{\"migration\":\"fake\"}" };
                bool ready = engine->config.run_hooks(&call, /* ret_output= */ NULL, engine->config.userdata, &error);
                pthread_mutex_lock(&engine->lock);
                if (!ready)
                        (void) commit(engine, _MIGRATION_PHASE_INVALID, NULL, true, OPERATION_RESULT_UNDONE, PS_ERROR_HOOK_FAILED,
                                      error->message);
                else if (kind == OPERATION_SWITCH)
                        run_switch(engine, SIDE_DESTINATION, MIGRATION_PHASE_SWITCHED);
                else
                        run_switch(engine, SIDE_SOURCE, MIGRATION_PHASE_SYNCHRONIZING);
                break;
        case OPERATION_COMPLETE:
                (void) commit(engine, MIGRATION_PHASE_COMPLETED, NULL, true, OPERATION_RESULT_DONE, 0, NULL);
                break;
        case OPERATION_CANCEL:
                (void) commit(engine, MIGRATION_PHASE_CANCELED, NULL, true, OPERATION_RESULT_DONE, 0, NULL);
                break;
        case OPERATION_EXPIRE:
                (void) commit(engine, MIGRATION_PHASE_CANCELED,
                              engine->phase == MIGRATION_PHASE_SWITCHED ? "expired-switched" : "expired", true,
                              OPERATION_RESULT_DONE, 0, NULL);
                break;
        case _OPERATION_MAX:
        case _OPERATION_INVALID:
                break;
        }
}

static void engine_thread(gpointer data) {
        Engine *engine = data;
        pthread_mutex_lock(&engine->lock);
        if (engine->phase == MIGRATION_PHASE_COPYING && engine->operation.id == 0)
                copy(engine);
        while (!engine->stop) {
                if (engine->operation.id != 0)
                        run_operation(engine);
                else
                        pthread_cond_wait(&engine->changed, &engine->lock);
        }
        pthread_mutex_unlock(&engine->lock);
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_STOPPED, NULL, NULL);
}

Engine *engine_new(const EngineConfig *config) {
        Engine *engine = g_new0(Engine, 1);
        const char *msec = g_getenv("FAKE_ENGINE_MSEC");
        engine->config = *config;
        engine->spec = spec_copy(config->spec);
        engine->state = engine_state_copy(config->state);
        engine->phase = config->phase;
        engine->paused = config->paused;
        engine->step_usec = (msec ? (gint64) g_ascii_strtoull(msec, NULL, 10) : 10) * USEC_PER_MSEC;
        pthread_mutex_init(&engine->lock, NULL);
        clock_cond_init(&engine->changed);
        return engine;
}

void engine_run(Engine *engine) {
        engine->thread = thread_start("fake-engine", engine_thread, engine);
}

static void lock(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
}

static void unlock(Engine *engine) {
        pthread_cond_broadcast(&engine->changed);
        pthread_mutex_unlock(&engine->lock);
}

void engine_operate(Engine *engine, const EngineOperation *operation) {
        lock(engine);
        engine->operation = *operation;
        unlock(engine);
}

void engine_abort(Engine *engine, guint64 id) {
        lock(engine);
        engine->abort_id = id;
        unlock(engine);
}

void engine_set_paused(Engine *engine, bool paused, ResumeDdl ddl) {
        lock(engine);
        engine->paused = paused;
        unlock(engine);
}

void engine_set_limits(Engine *engine, const MigrationLimits *limits) {
        lock(engine);
        engine->spec->limits = *limits;
        unlock(engine);
}

void engine_set_endpoint(Engine *engine, Side side, const ServerSpec *server) {
}

void engine_acknowledge_foreign_writes(Engine *engine, guint64 count) {
        lock(engine);
        engine->state->foreign_writes_acknowledged += count;
        unlock(engine);
}

void engine_committed(Engine *engine, const GError *error) {
        lock(engine);
        engine->committing = false;
        engine->commit_failed = error != NULL;
        unlock(engine);
}

void engine_get_status(Engine *engine, EngineStatus *ret) {
        lock(engine);
        sync_status(engine);
        *ret = engine->status;
        unlock(engine);
}

void engine_stop(Engine *engine) {
        lock(engine);
        engine->stop = true;
        unlock(engine);
}

void engine_free(Engine *engine) {
        if (!engine)
                return;
        thread_join(engine->thread);
        spec_free(engine->spec);
        engine_state_free(engine->state);
        pthread_cond_destroy(&engine->changed);
        pthread_mutex_destroy(&engine->lock);
        g_free(engine);
}
