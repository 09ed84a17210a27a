/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verification runs on a thread of its own, beside everything else: by itself once the destination has caught up, and when Verify or
 * Repair asks for it. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/objects.h"
#include "mysql/sql.h"

#define RETRY_USEC (10 * USEC_PER_SEC)
#define KEEP_USEC (2 * USEC_PER_SEC)

typedef struct Job {
        Engine *engine;
        ConnParams *upstream, *downstream; /* its own: the engine's are dropped and read again while it waits for the next link */
        guint32 leg;
        bool repair;
        guint64 operation, foreign;
        double max_delay;
        VerifyPoint *resume; /* where it was; NULL: at the beginning */
} Job;

static bool wait_applied(gpointer userdata, const char *file, guint64 offset, gint64 timeout_usec, GError **error) {
        Job *job = userdata;
        return engine_wait_applied(job->engine, file, offset, timeout_usec, error);
}

/* A repair is a transaction of ours like an applier's: it begins with its own checkpoint row, under the epoch. */
static bool begin_marked(gpointer userdata, Conn *downstream, GError **error) {
        Job *job = userdata;
        ConnResult result;
        pthread_mutex_lock(&job->engine->lock);
        guint64 epoch = job->engine->link_epoch;
        pthread_mutex_unlock(&job->engine->lock);
        g_autofree char *claim = g_strdup_printf("UPDATE %s SET part=part+1 WHERE leg=%u AND w=%u AND epoch=%" G_GUINT64_FORMAT,
                                                 job->engine->ledger->checkpoint, job->leg, LEDGER_REPAIR_SLOT, epoch);
        bool good = conn_exec(downstream, "BEGIN", -1, NULL, error) && conn_exec(downstream, claim, -1, &result, error);
        if (good && result.affected != 1) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE, "another agent works on this migration");
                good = false;
        }
        return good;
}

static bool write_marked(gpointer userdata, Conn *downstream, const char *statements, GError **error) {
        bool good = begin_marked(userdata, downstream, error) && conn_exec_multi(downstream, statements, -1, NULL, 0, NULL, error) && conn_exec(downstream, "COMMIT", -1, NULL, error);
        if (!good && !conn_is_dead(downstream))
                (void) conn_exec(downstream, "ROLLBACK", -1, NULL, NULL);
        return good;
}

static void reached(gpointer userdata, VerifyPoint *point) {
        const Job *job = userdata;
        Engine *engine = job->engine;
        point->operation = job->operation;
        point->leg = job->leg;
        point->repair = job->repair;
        point->foreign = job->foreign;
        pthread_mutex_lock(&engine->lock);
        verify_point_free(engine->verify_point);
        engine->verify_point = point;
        engine->verify_point_news = true;
        pthread_mutex_unlock(&engine->lock);
}

/* Comparing costs both servers as much as copying does. While the delay is too high for a switch it only makes it higher. */
static bool wait_for_room(gpointer userdata, Conn *upstream, guint64 bytes, GError **error) {
        const Job *job = userdata;
        Engine *engine = job->engine;
        pthread_mutex_lock(&engine->lock);
        while (!engine->stop && !g_atomic_int_get(&engine->verify_stop) && engine->status.delay >= job->max_delay) {
                struct timespec until = clock_deadline(USEC_PER_SEC / 2);
                (void) pthread_cond_timedwait(&engine->answered, &engine->lock, &until);
        }
        pthread_mutex_unlock(&engine->lock);
        return throttle_wait(engine->throttle, upstream, bytes, &engine->verify_stop, error);
}

/* How large rows are, for the limits: the larger estimate of both sides. Statistics of one that was just copied may be from when it was empty. */
static bool take_sizes(const GPtrArray *tables, const ConnParams *downstream, GError **error) {
        g_autoptr(Conn) conn = conn_open(downstream, 0, error);
        g_autoptr(ConnRows) rows = conn ? conn_query(conn, "SELECT TABLE_SCHEMA, TABLE_NAME, AVG_ROW_LENGTH FROM information_schema.TABLES WHERE AVG_ROW_LENGTH > 0",
                                                     error) : NULL;
        g_autoptr(GHashTable) sizes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));)
                g_hash_table_replace(sizes, sql_table(row[0], row[1]), g_strdup(row[2]));
        for (guint i = 0; i < tables->len; i++) {
                TableSchema *table = tables->pdata[i];
                g_autofree char *name = sql_table(table->database, table->name);
                const char *size = g_hash_table_lookup(sizes, name);
                table->avg_row_bytes = MAX(table->avg_row_bytes, size ? g_ascii_strtoull(size, NULL, 10) : 0);
        }
        return true;
}

static bool compare(Job *job, VerifyResult *ret, GError **error) {
        Engine *engine = job->engine;
        g_autoptr(Conn) conn = conn_open(job->upstream, 0, error);
        g_autoptr(ObjectList) objects = conn ? objects_list(conn, engine->spec, error) : NULL;
        if (!objects || !take_sizes(objects->tables, job->downstream, error))
                return false;
        VerifyInput input = {
                .upstream = job->upstream,
                .downstream = job->downstream,
                .tables = objects->tables,
                .stop = &engine->verify_stop,
                .wait_applied = wait_applied,
                .resume = job->resume,
                .reached = reached,
                .wait_for_room = wait_for_room,
                .repair = job->repair,
                .write_marked = write_marked,
                .begin_marked = begin_marked,
                .userdata = job,
        };
        return verify_run(&input, ret, error);
}

static void job_free(Job *job) {
        conn_params_free(job->upstream);
        conn_params_free(job->downstream);
        verify_point_free(job->resume);
        g_free(job);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Job, job_free)

static void verifier(gpointer data) {
        g_autoptr(Job) job = data;
        Engine *engine = job->engine;
        GError *error = NULL;
        VerifyResult result = {0};
        (void) compare(job, &result, &error);

        pthread_mutex_lock(&engine->lock);
        engine->verify_result = result;
        engine->verify_error = error;
        engine->verify_done = true;
        engine->poked = true;
        pthread_cond_broadcast(&engine->wake);
        pthread_mutex_unlock(&engine->lock);
}

/* Where the comparison was that was interrupted, when it is this one. */
static VerifyPoint *find_point(const Engine *engine, guint64 operation, bool repair) {
        g_autoptr(VerifyPoint) point = verify_point_from_text(engine->state->verification_progress);
        if (!point || point->operation != operation || point->leg != engine->state->leg || point->repair != repair)
                return NULL;
        return g_steal_pointer(&point);
}

static void start(Engine *engine, guint64 operation, bool repair) {
        VerifyPoint *point = find_point(engine, operation, repair);
        bool goes_on = point && *point->database;
        g_autofree char *place = goes_on ? g_strdup_printf(", on from `%s`.`%s`", point->database, point->table) : g_strdup("");
        Job *job = g_new0(Job, 1);
        *job = (Job){
                .engine = engine,
                .upstream = conn_params_copy(engine->params[engine->state->writer]),
                .downstream = conn_params_copy(engine->params[engine_reader(engine)]),
                .leg = engine->state->leg,
                .repair = repair,
                .operation = operation,
                .foreign = point ? point->foreign : engine->state->foreign_writes,
                .max_delay = engine->spec->limits.max_delay,
                .resume = point,
        };
        pthread_mutex_lock(&engine->lock);
        engine->verify_operation = operation;
        engine->verify_repair = repair;
        engine->verify_foreign = job->foreign;
        engine->verify_point_void = engine->verify_done = false;
        engine->verify_running = true;
        g_atomic_int_set(&engine->verify_stop, 0);
        pthread_mutex_unlock(&engine->lock);
        if (!point)
                dirty_begin(engine->dirty);
        if (!point) /* that there is one has to be known after a restart, too */
                reached(job, verify_point_copy(&(VerifyPoint){.database = (char *) "", .table = (char *) ""}));
        engine->verify_at = 0;
        engine->verifier = thread_start("verifier", verifier, job);
        engine_event(engine, ENGINE_EVENT_VERIFICATION_STARTED, 6, "comparing both sides%s%s", repair ? ", and repairing" : "", place);
        engine_poke(engine);
}

void engine_verify_soon(Engine *engine) {
        if (engine->state->again->len > 0)
                engine->verify_at = 0; /* asked for when they are complete */
        else if (!engine->verifier && engine->link)
                start(engine, 0, /* repair= */ false);
        else if (!engine->verifier)
                engine->verify_at = clock_monotonic() + USEC_PER_SEC;
}

/* --- what came of it --- */

#define MAX_DIFFERENCES 100 /* that are kept in the state; the number of all is */

/* Kept for the report, which is under `inspect`: differences name the keys of rows. */
static char *summary(const VerifyResult *result) {
        g_autoptr(JsonBuilder) builder = json_builder_new();
        json_builder_begin_object(builder);
        const struct {
                const char *name;
                guint64 value;
        } numbers[] = {
                {"tables", result->tables},       {"rows", result->rows},
                {"chunks", result->chunks},       {"different", result->different},
                {"compared-again", result->rows_compared_again},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
                json_builder_set_member_name(builder, numbers[i].name);
                json_builder_add_int_value(builder, (gint64) numbers[i].value);
        }
        json_builder_set_member_name(builder, "seconds");
        json_builder_add_double_value(builder, result->seconds);
        json_builder_set_member_name(builder, "differences");
        json_builder_begin_array(builder);
        for (guint i = 0; result->differences && i < MIN(result->differences->len, MAX_DIFFERENCES); i++) {
                g_autofree char *line = g_utf8_make_valid(g_ptr_array_index(result->differences, i), -1);
                json_builder_add_string_value(builder, line);
        }
        json_builder_end_array(builder);
        json_builder_end_object(builder);
        g_autoptr(JsonNode) root = json_builder_get_root(builder);
        return json_to_string(root, /* pretty= */ FALSE);
}

static void take_result(Engine *engine, const VerifyResult *result, bool repaired) {
        bool equal = result->different == 0 || repaired;
        engine->state->verification = equal ? VERIFICATION_EQUAL : VERIFICATION_DIFFERENT;
        engine->state->verified_at = clock_real();
        g_free(engine->state->verification_summary);
        engine->state->verification_summary = summary(result);
        engine_event(engine, ENGINE_EVENT_VERIFICATION_FINISHED, equal ? 5 : 3,
                     "%" G_GUINT64_FORMAT " tables and %" G_GUINT64_FORMAT " rows compared in %.1f s: %s (%" G_GUINT64_FORMAT " rows differ%s)", result->tables,
                     result->rows, result->seconds, equal ? "equal" : "different", result->different, repaired ? "ed and were repaired" : "");
}

/* --- how far it is --- */

/* Into the state, without writing it. */
static bool take_point(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool news = engine->verify_point_news && !engine->verify_point_void;
        engine->verify_point_news = false;
        char *text = news ? verify_point_to_text(engine->verify_point) : NULL;
        pthread_mutex_unlock(&engine->lock);
        if (!text)
                return false;
        g_free(engine->state->verification_progress);
        engine->state->verification_progress = text;
        return true;
}

void engine_verify_keep(Engine *engine) {
        gint64 now = clock_monotonic();
        if (!engine->verifier || now - engine->verify_kept_at < KEEP_USEC)
                return;
        engine->verify_kept_at = now;
        if (take_point(engine))
                (void) engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL);
}

void engine_verify_recover(Engine *engine) {
        g_autoptr(VerifyPoint) point = find_point(engine, /* operation= */ 0, /* repair= */ false);
        bool in_step = engine->phase == MIGRATION_PHASE_SYNCHRONIZING || engine->phase == MIGRATION_PHASE_SWITCHED;
        /* Or it was due, or had begun, and the agent ended before that was kept. */
        if (point || (in_step && engine->state->verification == VERIFICATION_NONE && engine->state->again->len == 0))
                engine->verify_at = clock_monotonic();
}

void engine_verify_void(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        engine->verify_point_void = true;
        pthread_mutex_unlock(&engine->lock);
        g_clear_pointer(&engine->state->verification_progress, g_free);
}

void engine_verify_collect(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool done = engine->verifier && engine->verify_done;
        pthread_mutex_unlock(&engine->lock);
        if (!done)
                return;
        thread_join(g_steal_pointer(&engine->verifier));

        pthread_mutex_lock(&engine->lock);
        guint64 operation = engine->verify_operation;
        g_autoptr(GError) error = g_steal_pointer(&engine->verify_error);
        VerifyResult result = engine->verify_result;
        engine->verify_result = (VerifyResult){0};
        engine->verify_running = engine->verify_done = false;
        engine->verify_operation = 0;
        pthread_mutex_unlock(&engine->lock);

        if (!error && engine->verify_point_void) { /* some of it was compared before the writer's side crashed */
                verify_result_clear(&result);
                if (g_atomic_int_get(&engine->verify_stop) == 0) {
                        start(engine, operation, engine->verify_repair);
                        return;
                }
                g_set_error(&error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        }
        engine_name_link_error(engine, &error);
        if (engine->watch)
                engine_take_watch(engine);
        if (!error && result.different == 0 && engine->state->foreign_writes > engine->verify_foreign)
                g_set_error(&error, PS_ERROR, PS_ERROR_FOREIGN_WRITES,
                            "others wrote on the %s during the comparison; look at what they wrote, and Verify again",
                            side_to_string(engine_reader(engine)));
        if (!error)
                take_result(engine, &result, engine->verify_repair);
        /* What was interrupted goes on: by ourselves next time, or as the same operation when the agent starts again. */
        bool goes_on = error && !g_error_matches(error, PS_ERROR, PS_ERROR_FOREIGN_WRITES) && (operation == 0 || engine_stopping(engine));
        if (goes_on)
                (void) take_point(engine);
        else {
                g_clear_pointer(&engine->state->verification_progress, g_free);
                dirty_end(engine->dirty, !error && engine->state->verification == VERIFICATION_EQUAL);
        }
        verify_result_clear(&result);
        engine_sample(engine);
        if (operation == 0) { /* by ourselves: again later when it could not be done */
                if (error)
                        engine->verify_at = clock_monotonic() + RETRY_USEC;
                /* Not while the agent stops: an operation may have left its half-made changes in the state. */
                if (!engine_stopping(engine))
                        (void) engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL);
                return;
        }
        bool canceled = g_error_matches(error, PS_ERROR, PS_ERROR_STOPPED);
        if (canceled && engine_stopping(engine))
                return; /* the operation is run again at the next start */
        engine_finish(engine, operation, !error ? OPERATION_RESULT_DONE : canceled ? OPERATION_RESULT_CANCELED : OPERATION_RESULT_FAILED, error,
                      _MIGRATION_PHASE_INVALID, NULL);
}

void engine_verify_cancel(Engine *engine) {
        if (!engine->verifier)
                return;
        g_atomic_int_set(&engine->verify_stop, 1);
        pthread_mutex_lock(&engine->lock);
        throttle_wake(engine->throttle);
        pthread_cond_broadcast(&engine->answered);
        while (!engine->verify_done) {
                struct timespec until = clock_deadline(USEC_PER_SEC);
                (void) pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
        }
        pthread_mutex_unlock(&engine->lock);
        engine_verify_collect(engine);
}

void engine_verify(Engine *engine, const EngineOperation *operation) {
        g_autoptr(GError) error = NULL;
        engine_verify_cancel(engine); /* one that runs by itself makes room */
        if (!engine->link && engine->state->leg > 0)
                engine_step(engine);
        while (engine->carry && !engine_aborted(engine, operation->id)) { /* a link follows it */
                engine_wait(engine, USEC_PER_SEC / 2);
                engine_step(engine);
        }
        if (!engine->link) {
                g_set_error(&error, PS_ERROR, PS_ERROR_DELAY_UNKNOWN, "replication is not running; LastError says why, Resume tries again");
                engine_finish(engine, operation->id, OPERATION_RESULT_FAILED, error, _MIGRATION_PHASE_INVALID, NULL);
                return;
        }
        if (!engine_is_complete(engine, &error)) {
                engine_finish(engine, operation->id, OPERATION_RESULT_FAILED, error, _MIGRATION_PHASE_INVALID, NULL);
                return;
        }
        engine_set_step(engine, operation->kind == OPERATION_REPAIR ? "repair" : "verify");
        start(engine, operation->id, operation->kind == OPERATION_REPAIR);
}
