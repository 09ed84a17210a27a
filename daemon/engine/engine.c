/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The migration's thread, and the calls from the loop; see engine.h. The thread does one thing at a time: an operation, or what the
 * phase wants next (engine_step()). */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"
#include "engine/dirty-store.h"

#define ER_QUERY_INTERRUPTED 1317 /* KILL QUERY */
#define REFRESH_USEC (2 * USEC_PER_SEC)

/* --- to the loop --- */

void engine_event(Engine *engine, EngineEventKind kind, int priority, const char *format, ...) {
        EngineEvent *event = g_new0(EngineEvent, 1);
        va_list args;
        va_start(args, format);
        event->message = g_strdup_vprintf(format, args);
        va_end(args);
        event->kind = kind;
        event->priority = priority;
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_EVENT, event, (GDestroyNotify) engine_event_free);
}

static void tell_changed(Engine *engine) {
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_CHANGED, NULL, NULL);
}

static bool commit_and_wait(Engine *engine, EngineCommit *commit, GError **error) {
        engine_sample(engine); /* whoever is told of the commit may ask at once what else there is to see */
        commit->state = engine_state_copy(engine->state);

        pthread_mutex_lock(&engine->lock);
        engine->commit_answered = false;
        pthread_mutex_unlock(&engine->lock);
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_COMMIT, commit, (GDestroyNotify) engine_commit_free);

        pthread_mutex_lock(&engine->lock);
        while (!engine->commit_answered)
                pthread_cond_wait(&engine->answered, &engine->lock);
        GError *failure = g_steal_pointer(&engine->commit_error);
        pthread_mutex_unlock(&engine->lock);
        if (failure)
                g_propagate_error(error, failure);
        return !failure;
}

bool engine_commit(Engine *engine, MigrationPhase phase, const char *reason, GError **error) {
        EngineCommit *commit = g_new0(EngineCommit, 1);
        commit->phase = phase;
        commit->reason = reason;
        if (!commit_and_wait(engine, commit, error))
                return false;
        if (phase != _MIGRATION_PHASE_INVALID)
                engine->phase = phase;
        return true;
}

void engine_finish(Engine *engine, guint64 id, OperationResult result, const GError *error_in, MigrationPhase phase, const char *reason) {
        engine->state->operation_id = 0;
        engine->state->step = SWITCH_STEP_NONE;
        engine_set_step(engine, "");
        for (;;) {
                g_autoptr(GError) error = NULL;
                EngineCommit *commit = g_new0(EngineCommit, 1);
                commit->phase = phase;
                commit->reason = reason;
                commit->finished.id = id;
                commit->finished.result = result;
                commit->finished.error = (int) ps_error_code_of(error_in);
                commit->finished.message = g_strdup(error_in ? error_in->message : "");
                if (commit_and_wait(engine, commit, &error))
                        break;
                engine_set_error(engine, error);
                if (engine_stopping(engine))
                        return; /* the operation is still in state.json, and its end is found again at the next start */
                engine_wait(engine, USEC_PER_SEC);
        }
        if (phase != _MIGRATION_PHASE_INVALID)
                engine->phase = phase;
        pthread_mutex_lock(&engine->lock);
        engine->running = 0;
        pthread_mutex_unlock(&engine->lock);
}

void engine_set_step(Engine *engine, const char *step) {
        pthread_mutex_lock(&engine->lock);
        g_strlcpy(engine->status.step, step, sizeof engine->status.step);
        pthread_mutex_unlock(&engine->lock);
        tell_changed(engine);
}

void engine_set_error(Engine *engine, const GError *error) {
        pthread_mutex_lock(&engine->lock);
        engine->status.error = error ? (int) ps_error_code_of(error) : -1;
        g_strlcpy(engine->status.error_message, error ? error->message : "", sizeof engine->status.error_message);
        pthread_mutex_unlock(&engine->lock);
        tell_changed(engine);
}

/* --- names for errors --- */

void engine_name_error(Engine *engine, Side side, GError **error) {
        if (!error || !*error || (*error)->domain != MYSQL_ERROR)
                return;
        const char *name = side_to_string(side);
        GError *old = g_steal_pointer(error);
        if (mysql_error_is_authentication(old))
                g_set_error(error, PS_ERROR, PS_ERROR_AUTHENTICATION_FAILED,
                            "%s refused the %s's account: %s; store the right password with set-credential", name, name, old->message);
        else if (mysql_error_is_privilege(old))
                g_set_error(error, PS_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE,
                            "the %s's account lacks a privilege: %s; Check lists what it needs", name, old->message);
        else if (mysql_error_is_connection(old))
                g_set_error(error, PS_ERROR, side == SIDE_SOURCE ? PS_ERROR_SOURCE_UNREACHABLE : PS_ERROR_DESTINATION_UNREACHABLE,
                            "the %s cannot be reached: %s; look whether it runs, and whether this host can reach it", name, old->message);
        else if (mysql_error_is_full(old))
                g_set_error(error, PS_ERROR, PS_ERROR_LIMITS_EXCEEDED, "the %s has no room left: %s; make room there, then Resume", name, old->message);
        else if (mysql_error_is_retryable(old) || g_error_matches(old, MYSQL_ERROR, ER_QUERY_INTERRUPTED)) /* goes by: worth another try */
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "the %s did not get through with a statement: %s", name, old->message);
        else
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the %s answered: %s", name, old->message);
        g_error_free(old);
}

/* Errors of the link carry the label of the server that they come from. */
void engine_name_link_error(Engine *engine, GError **error) {
        if (!error || !*error || (*error)->domain != MYSQL_ERROR)
                return;
        Side side = SIDE_SOURCE;
        const Endpoint *endpoint = engine->spec->servers[SIDE_DESTINATION].endpoint;
        for (guint i = 0; i < endpoint->hosts->len; i++) {
                const EndpointHost *host = g_ptr_array_index(endpoint->hosts, i);
                g_autofree char *label = g_strdup_printf(strchr(host->host, ':') ? "[%s]:%u: " : "%s:%u: ", host->host, host->port);
                if (g_str_has_prefix((*error)->message, label))
                        side = SIDE_DESTINATION;
        }
        if (endpoint->socket && g_str_has_prefix((*error)->message, endpoint->socket))
                side = SIDE_DESTINATION;
        engine_name_error(engine, side, error);
}

/* --- waiting --- */

bool engine_stopping(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool stop = engine->stop;
        pthread_mutex_unlock(&engine->lock);
        return stop;
}

bool engine_aborted(Engine *engine, guint64 id) {
        pthread_mutex_lock(&engine->lock);
        bool aborted = engine->stop || (engine->abort_id == id && id != 0);
        pthread_mutex_unlock(&engine->lock);
        return aborted;
}

/* The loop gives one operation at a time, but for this case. */
bool engine_superseded(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool superseded = !g_queue_is_empty(&engine->operations);
        pthread_mutex_unlock(&engine->lock);
        return superseded;
}

void engine_wait(Engine *engine, gint64 usec) {
        control_feed(engine);
        struct timespec until = clock_deadline(usec);
        pthread_mutex_lock(&engine->lock);
        if (!engine->stop && !engine->poked)
                (void) pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
        engine->poked = false;
        pthread_mutex_unlock(&engine->lock);
}

void engine_poke(gpointer data) {
        Engine *engine = data;
        pthread_mutex_lock(&engine->lock);
        engine->poked = true;
        pthread_cond_signal(&engine->wake);
        pthread_mutex_unlock(&engine->lock);
        tell_changed(engine);
}

/* --- the thread --- */

static void run_operation(Engine *engine, const EngineOperation *operation) {
        switch (operation->kind) {
        case OPERATION_CHECK:
                engine_check(engine, operation);
                return;
        case OPERATION_START:
                engine_begin(engine, operation);
                return;
        case OPERATION_VERIFY:
        case OPERATION_REPAIR:
                engine_verify(engine, operation);
                return;
        case OPERATION_SWITCH:
        case OPERATION_ROLLBACK:
                engine_switch(engine, operation);
                return;
        case OPERATION_COMPLETE:
        case OPERATION_CANCEL:
        case OPERATION_EXPIRE:
                engine_end(engine, operation);
                return;
        case _OPERATION_MAX:
        case _OPERATION_INVALID:
                break;
        }
        g_autoptr(GError) error = g_error_new(PS_ERROR, PS_ERROR_NOT_SUPPORTED, "this operation is not there yet");
        engine_finish(engine, operation->id, OPERATION_RESULT_FAILED, error, _MIGRATION_PHASE_INVALID, NULL);
}

GError *engine_last_error(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        const EngineStatus *status = &engine->status;
        GError *error = status->error < 0 ? NULL : g_error_new_literal(PS_ERROR, status->error, status->error_message);
        pthread_mutex_unlock(&engine->lock);
        return error;
}

/* What the loop changed since the last look. */
static void take_changes(Engine *engine) {
        bool restart = false, moved = false;
        pthread_mutex_lock(&engine->lock);
        if (engine->limits_changed) {
                /* Copiers are there for as long as a link; apply workers for as long as a direction (their number decides which worker a
                 * key belongs to), so a new number of those is used from the next switch on. */
                restart = !engine->state->copied && engine->limits.copy_threads != engine->spec->limits.copy_threads;
                engine->spec->limits = engine->limits;
                engine->limits_changed = false;
                throttle_set(engine->throttle, engine->limits.max_source_load, engine->limits.max_copy_rate);
        }
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                ServerSpec *fresh = g_steal_pointer(&engine->new_server[side]);
                if (!fresh)
                        continue;
                ServerSpec *old = &engine->spec->servers[side];
                endpoint_free(old->endpoint);
                old->endpoint = fresh->endpoint;
                g_free(old->uri);
                old->uri = fresh->uri;
                g_free(fresh);
                moved = true;
        }
        bool acknowledged = engine->acknowledge > 0;
        if (acknowledged) {
                engine->state->foreign_writes_acknowledged =
                        MIN(engine->state->foreign_writes_acknowledged + engine->acknowledge, engine->state->foreign_writes);
                engine->acknowledge = 0;
        }
        if (engine->resume) {
                engine->resume = engine->link_broken = false;
                engine->link_retry_at = 0;
                engine->link_failures = 0;
                moved |= !engine->link && !engine->carry; /* credentials may have been mended */
        }
        pthread_mutex_unlock(&engine->lock);
        if (restart && engine->link)
                engine_stop_link(engine);
        if (moved)
                engine_refresh_params(engine);
        if (acknowledged)
                (void) engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL);
}

bool engine_may_be_mended(const GError *error) {
        return g_error_matches(error, PS_ERROR, PS_ERROR_AUTHENTICATION_FAILED) || g_error_matches(error, PS_ERROR, PS_ERROR_CREDENTIAL_MISSING);
}

static bool has_changes(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool changes = engine->stop || engine->resume || engine->limits_changed || engine->new_server[SIDE_SOURCE] || engine->new_server[SIDE_DESTINATION];
        pthread_mutex_unlock(&engine->lock);
        return changes;
}

/* News of the servers are no reason to try earlier: each try makes some. */
void engine_wait_to_retry(Engine *engine, gint64 usec, bool refresh) {
        gint64 until = clock_monotonic() + usec, left = usec;
        for (; left > 0 && !has_changes(engine); left = until - clock_monotonic())
                engine_wait(engine, left);
        take_changes(engine);
        if (refresh && clock_monotonic() >= engine->refresh_at) {
                engine_refresh_params(engine);
                engine->refresh_at = clock_monotonic() + REFRESH_USEC;
        }
}

static EngineOperation *next_operation(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        EngineOperation *operation = g_queue_pop_head(&engine->operations);
        if (operation)
                engine->running = operation->id;
        pthread_mutex_unlock(&engine->lock);
        return operation;
}

static void engine_thread(gpointer data) {
        Engine *engine = data;
        engine_verify_recover(engine);
        engine->dirty_taken = dirty_store_take(engine->directory, engine->dirty, &engine->dirty_leg, &engine->dirty_seq);
        while (!engine_stopping(engine)) {
                g_autofree EngineOperation *operation = next_operation(engine);
                take_changes(engine); /* also those that came just before the operation */
                if (operation)
                        run_operation(engine, operation);
                /* While the journal holds an unfinished switch, nothing is touched before that operation is given to us again. */
                else if (engine->state->operation_id != 0 && engine->state->step != SWITCH_STEP_NONE)
                        engine_wait(engine, USEC_PER_SEC);
                else {
                        engine_step(engine);
                        engine_wait(engine, USEC_PER_SEC / 2);
                }
        }
        engine_verify_cancel(engine);
        engine_stop_all(engine);
        if (!migration_phase_is_final(engine->phase) && engine->dirty_leg > 0)
                (void) dirty_store_save(engine->directory, engine->dirty, engine->dirty_leg, engine->dirty_seq, NULL); /* without it more is compared */
        mailbox_post(engine->config.mailbox, engine->config.id, ENGINE_MESSAGE_STOPPED, NULL, NULL);
}

/* --- from the loop --- */

Engine *engine_new(const EngineConfig *config) {
        Engine *engine = g_new0(Engine, 1);
        engine->config = *config;
        engine->spec = spec_copy(config->spec);
        engine->state = engine_state_copy(config->state);
        engine->directory = g_strdup(config->directory);
        engine->config.spec = engine->spec;
        engine->config.state = NULL;
        engine->config.directory = engine->directory;
        engine->phase = config->phase;
        engine->paused = config->paused;
        engine->ledger = ledger_new(engine->state->uuid);
        engine->fence = (Fence){.kind = engine->spec->fence, .ledger = engine->ledger, .run_hooks = engine_run_fence_hooks, .userdata = engine};
        engine->throttle = throttle_new(engine->spec->limits.max_source_load, engine->spec->limits.max_copy_rate);
        engine->dirty = dirty_new(DIRTY_BYTES_MAX);
        engine->limits = engine->spec->limits;
        engine->status.delay = engine->status.progress = -1;
        engine->status.error = -1;
        /* Until a link counts on, what earlier ones counted. */
        engine->status.rows_copied = engine->status.rows_total = engine->state->rows_copied;
        engine->status.bytes_copied = engine->status.bytes_total = engine->state->bytes_copied;
        engine->status.transactions_applied = engine->state->transactions_applied;
        engine->status.rows_applied = engine->state->rows_applied;
        pthread_mutex_init(&engine->lock, /* attr= */ NULL);
        clock_cond_init(&engine->wake);
        clock_cond_init(&engine->answered);
        g_queue_init(&engine->operations);
        return engine;
}

void engine_run(Engine *engine) {
        engine->thread = thread_start("engine", engine_thread, engine);
}

static void wake(Engine *engine) {
        engine->poked = true;
        pthread_cond_broadcast(&engine->wake);
}

void engine_operate(Engine *engine, const EngineOperation *operation) {
        pthread_mutex_lock(&engine->lock);
        g_queue_push_tail(&engine->operations, g_memdup2(operation, sizeof *operation));
        wake(engine);
        pthread_mutex_unlock(&engine->lock);
}

void engine_abort(Engine *engine, guint64 id) {
        pthread_mutex_lock(&engine->lock);
        engine->abort_id = id;
        if (engine->verify_operation == id)
                g_atomic_int_set(&engine->verify_stop, 1);
        wake(engine);
        pthread_mutex_unlock(&engine->lock);
}

void engine_set_paused(Engine *engine, bool paused, ResumeDdl ddl) {
        pthread_mutex_lock(&engine->lock);
        engine->paused = paused;
        if (!paused) {
                engine->resume = true;
                engine->ddl = ddl;
                if (engine->status.replication == REPLICATION_FAILED)
                        engine->status.replication = REPLICATION_RETRYING;
        }
        wake(engine);
        pthread_mutex_unlock(&engine->lock);
        tell_changed(engine);
}

void engine_set_limits(Engine *engine, const MigrationLimits *limits) {
        pthread_mutex_lock(&engine->lock);
        engine->limits = *limits;
        engine->limits_changed = true;
        wake(engine);
        pthread_mutex_unlock(&engine->lock);
}

void engine_set_endpoint(Engine *engine, Side side, const ServerSpec *server) {
        ServerSpec *copy = g_new0(ServerSpec, 1);
        copy->uri = g_strdup(server->uri);
        copy->endpoint = endpoint_copy(server->endpoint);
        pthread_mutex_lock(&engine->lock);
        if (engine->new_server[side]) {
                g_free(engine->new_server[side]->uri);
                endpoint_free(engine->new_server[side]->endpoint);
                g_free(engine->new_server[side]);
        }
        engine->new_server[side] = copy;
        wake(engine);
        pthread_mutex_unlock(&engine->lock);
}

void engine_acknowledge_foreign_writes(Engine *engine, guint64 count) {
        pthread_mutex_lock(&engine->lock);
        engine->acknowledge += count;
        engine->status.foreign_writes -= MIN(count, engine->status.foreign_writes); /* the caller may ask at once */
        wake(engine);
        pthread_mutex_unlock(&engine->lock);
}

void engine_committed(Engine *engine, const GError *error) {
        pthread_mutex_lock(&engine->lock);
        engine->commit_answered = true;
        g_clear_error(&engine->commit_error);
        engine->commit_error = error ? g_error_copy(error) : NULL;
        pthread_cond_broadcast(&engine->answered);
        pthread_mutex_unlock(&engine->lock);
}

void engine_get_status(Engine *engine, EngineStatus *ret) {
        pthread_mutex_lock(&engine->lock);
        *ret = engine->status;
        pthread_mutex_unlock(&engine->lock);
}

void engine_stop(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        engine->stop = true;
        g_atomic_int_set(&engine->verify_stop, 1);
        pthread_cond_broadcast(&engine->wake);
        pthread_cond_broadcast(&engine->answered);
        pthread_mutex_unlock(&engine->lock);
}

void engine_free(Engine *engine) {
        if (!engine)
                return;
        thread_join(engine->thread);
        g_queue_clear_full(&engine->operations, g_free);
        throttle_free(engine->throttle);
        dirty_free(engine->dirty);
        engine_drop_params(engine);
        g_clear_pointer(&engine->programs, pair_store_free);
        g_clear_pointer(&engine->accounts, pair_store_free);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_clear_pointer(&engine->parameters_seen[side], g_hash_table_unref);
                g_free(engine->wrong_log[side]);
        }
        binlog_position_clear(&engine->programs_position);
        ledger_free(engine->ledger);
        spec_free(engine->spec);
        engine_state_free(engine->state);
        link_halt_free(engine->halt);
        g_free(engine->difference);
        g_clear_error(&engine->commit_error);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (engine->new_server[side]) {
                        g_free(engine->new_server[side]->uri);
                        endpoint_free(engine->new_server[side]->endpoint);
                        g_free(engine->new_server[side]);
                }
        pthread_cond_destroy(&engine->wake);
        pthread_cond_destroy(&engine->answered);
        pthread_mutex_destroy(&engine->lock);
        verify_point_free(engine->verify_point);
        g_free(engine->directory);
        g_free(engine);
}
