/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl-carry.h. What to run is decided in ddl-plan.c; what becomes of the rows about chunks in ddl-chunks.c. */

#include "engine/ddl-carry.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/thread.h"
#include "engine/ddl.h"
#include "engine/ddl-chunks.h"
#include "engine/ddl-plan.h"
#include "engine/ddl-session.h"
#include "mysql/binlog-stream.h"
#include "mysql/sql.h"

#define ER_BAD_DB_ERROR 1049
#define LOCK_WAIT 60 /* s: who reads a table there holds it up; then another try */

struct Carry {
        CarryConfig config;
        LinkHalt *halt;
        GPtrArray *left_out;
        Thread *thread;

        pthread_mutex_t lock;
        bool stop, done;
        Conn *conns[3];     /* the books, the statement's, the upstream's: to be aborted */
        BinlogStream *dump;
        CarryResult result; /* the thread's until it is done */
};

enum { BOOKS, STATEMENT, UPSTREAM };

typedef struct Intent {
        bool found, done;
        guint64 thread, offset;
        char *file, *before;
} Intent;

static void intent_clear(Intent *intent) {
        g_free(intent->file);
        g_free(intent->before);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Intent, intent_clear)

static bool stopped(Carry *carry, GError **error) {
        pthread_mutex_lock(&carry->lock);
        bool stop = carry->stop;
        pthread_mutex_unlock(&carry->lock);
        if (stop)
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        return stop;
}

static Conn *open_conn(Carry *carry, guint which, const ConnParams *params, ConnFlags flags, GError **error) {
        Conn *conn = conn_open(params, flags, error);
        pthread_mutex_lock(&carry->lock);
        carry->conns[which] = conn;
        if (conn && carry->stop)
                conn_abort(conn);
        pthread_mutex_unlock(&carry->lock);
        return conn;
}

static void close_conns(Carry *carry) {
        for (guint i = 0; i < G_N_ELEMENTS(carry->conns); i++) {
                pthread_mutex_lock(&carry->lock);
                Conn *conn = g_steal_pointer(&carry->conns[i]);
                pthread_mutex_unlock(&carry->lock);
                conn_free(conn);
        }
}

/* --- the books --- */

/* A statement of an earlier try may still run; nothing is known before it has ended. */
static bool hold_lock(Carry *carry, GError **error) {
        guint64 got = 0;
        g_autofree char *sql = g_strdup_printf("SELECT COALESCE(GET_LOCK('polarshift.ddl.%s', 2), 0)", carry->config.ledger->task);
        if (!conn_query_uint64(carry->conns[STATEMENT], sql, &got, error))
                return false;
        if (got != 1)
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "%s was sent before the agent was interrupted, and still runs on %s",
                            carry->halt->what, conn_label(carry->conns[STATEMENT]));
        return got == 1;
}

static bool check_settled(Carry *carry, GError **error) {
        guint64 others;
        g_autofree char *sql = g_strdup_printf("SELECT COUNT(*) FROM %s WHERE leg=%u AND w<%u AND (seq<>%" G_GUINT64_FORMAT " OR epoch<>%" G_GUINT64_FORMAT ")",
                                               carry->config.ledger->checkpoint, carry->config.leg, LEDGER_COPIER_BASE, carry->halt->seq - 1,
                                               carry->config.epoch);
        if (!conn_query_uint64(carry->conns[BOOKS], sql, &others, error))
                return false;
        if (others > 0)
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE, "the checkpoints on %s are not where this agent left them",
                            conn_label(carry->conns[BOOKS]));
        return others == 0;
}

static bool read_intent(Carry *carry, Intent *ret, GError **error) {
        g_autoptr(ConnRows) rows = conn_queryf(carry->conns[BOOKS], error,
                                               "SELECT state, thread, file, pos, was FROM %s WHERE leg=%u AND seq=%" G_GUINT64_FORMAT,
                                               carry->config.ledger->intent, carry->config.leg, carry->halt->seq);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (row)
                *ret = (Intent){
                        .found = true,
                        .done = g_strcmp0(row[0], "done") == 0,
                        .thread = g_ascii_strtoull(row[1], NULL, 10),
                        .file = g_strdup(row[2]),
                        .offset = g_ascii_strtoull(row[3], NULL, 10),
                        .before = g_strdup(row[4]),
                };
        return true;
}

/* BEFORE: what the tables were, for ddl_chunks_adjust(); kept over a crash. The row in the canary's table tells the watch. */
static bool write_intent(Carry *carry, const char *state, const char *before, const char *text, GError **error) {
        Conn *books = carry->conns[BOOKS];
        const Ledger *ledger = carry->config.ledger;
        g_autofree char *file = NULL;
        guint64 offset, thread = conn_id(carry->conns[STATEMENT]);
        if (!conn_binlog_position(books, &file, &offset, error))
                return false;
        g_autoptr(GString) sql = g_string_new("BEGIN;");
        g_string_append_printf(sql, "REPLACE INTO %s (leg, seq, state, thread, file, pos, was, db, body) VALUES (%u, %" G_GUINT64_FORMAT ", '%s', %" G_GUINT64_FORMAT ", ",
                               ledger->intent, carry->config.leg, carry->halt->seq, state, thread);
        sql_append_string(sql, file, strlen(file));
        g_string_append_printf(sql, ", %" G_GUINT64_FORMAT ", ", offset);
        sql_append_string(sql, before, strlen(before));
        g_string_append(sql, ", ");
        sql_append_string(sql, carry->halt->database, strlen(carry->halt->database));
        g_string_append(sql, ", ");
        sql_append_string(sql, text, strlen(text));
        g_string_append_printf(sql, ");DELETE FROM %s WHERE leg<%u OR seq<%" G_GUINT64_FORMAT ";", ledger->intent, carry->config.leg, carry->halt->seq);
        g_string_append_printf(sql, "REPLACE INTO %s (id, value) VALUES (%u, %" G_GUINT64_FORMAT ");COMMIT", ledger->canary, LEDGER_CANARY_STATEMENT, thread);
        if (conn_exec_multi(books, sql->str, (gssize) sql->len, NULL, 0, NULL, error))
                return true;
        if (!conn_is_dead(books))
                (void) conn_exec(books, "ROLLBACK", -1, NULL, NULL);
        return false;
}

static bool finish(Carry *carry, const DdlPlan *plan, const char *before, GError **error) {
        Conn *books = carry->conns[BOOKS];
        ConnResult results[2];
        g_autoptr(GPtrArray) statements = g_ptr_array_new_with_free_func(g_free);
        if (carry->config.copying && plan && !ddl_chunks_adjust(books, carry->config.ledger, plan, before, carry->halt->seq, statements, error))
                return false;
        g_autoptr(GString) sql = g_string_new("BEGIN;");
        g_string_append_printf(sql, "UPDATE %s SET state='done' WHERE leg=%u AND seq=%" G_GUINT64_FORMAT " AND state<>'done'", carry->config.ledger->intent,
                               carry->config.leg, carry->halt->seq);
        for (guint i = 0; i < statements->len; i++)
                g_string_append_printf(sql, ";%s", (const char *) g_ptr_array_index(statements, i));
        bool good = conn_exec_multi(books, sql->str, (gssize) sql->len, results, 2, NULL, error);
        if (good && results[1].affected != 1) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE, "another agent works on this migration");
                good = false;
        }
        good = good && conn_exec(books, "COMMIT", -1, NULL, error);
        if (good)
                failpoint("ddl", "finish", "after");
        else if (!conn_is_dead(books))
                (void) conn_exec(books, "ROLLBACK", -1, NULL, NULL);
        return good;
}

/* --- did it happen? --- */

static bool is_its(Carry *carry, const Intent *intent, const BinlogEvent *event, bool *ret, GError **error) {
        g_auto(BinlogQuery) query = {0};
        if (!binlog_query_parse(event, &query, error))
                return false;
        *ret = false;
        if (query.thread_id != (guint32) intent->thread || query.error_code != 0)
                return true;
        Statement statement;
        statement_classify(query.sql, query.sql_length, query.database, carry->config.spec, &statement);
        *ret = statement.kind == STATEMENT_DDL;
        return true;
}

/* Looks through the downstream's log, from where it ended when the intent was written to where it ends now. */
static bool look_in_log(Carry *carry, const Intent *intent, bool *ret_found, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        if (!conn_binlog_position(carry->conns[BOOKS], &file, &offset, error))
                return false;
        BinlogStreamParams params = {
                .server = carry->config.downstream,
                .file = intent->file,
                .position = intent->offset,
                .server_id = carry->config.server_id,
        };
        BinlogStream *dump = binlog_stream_open(&params, error);
        if (!dump)
                return false;
        pthread_mutex_lock(&carry->lock);
        carry->dump = dump;
        if (carry->stop)
                binlog_stream_abort(dump);
        pthread_mutex_unlock(&carry->lock);

        bool good = true, found = false;
        BinlogEvent event;
        while (good && !found && binlog_position_compare(binlog_stream_file(dump), binlog_stream_position(dump), file, offset) < 0) {
                good = binlog_stream_next(dump, &event, error);
                if (good && (event.type == BINLOG_EVENT_QUERY || event.type == BINLOG_EVENT_MARIADB_QUERY_COMPRESSED))
                        good = is_its(carry, intent, &event, &found, error);
        }
        pthread_mutex_lock(&carry->lock);
        carry->dump = NULL;
        pthread_mutex_unlock(&carry->lock);
        binlog_stream_free(dump);
        *ret_found = found;
        if (good || !g_error_matches(*error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE))
                return good;
        g_clear_error(error);
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "%s (transaction %" G_GUINT64_FORMAT ") was sent to the other side when the agent or the server was interrupted, and the binary log that "
                    "could tell whether it was done is gone; look at the table there: if it was done, Resume with ddl=done-by-hand; if not, do it "
                    "there, then the same", carry->halt->what, carry->halt->seq);
        return false;
}

/* --- running it --- */

static void name_refusal(Carry *carry, const char *why, GError **error) {
        g_clear_error(error);
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "%s at %s:%" G_GUINT64_FORMAT " (transaction %" G_GUINT64_FORMAT ") cannot be carried: %s; do on the other side what comes to the same, "
                    "then Resume with ddl=done-by-hand, or pass over it with ddl=skip", carry->halt->what, carry->halt->file, carry->halt->offset,
                    carry->halt->seq, why);
}

/* Errors of a server that say nothing about the statement. */
static bool goes_by(Carry *carry, const GError *error) {
        return conn_is_dead(carry->conns[STATEMENT]) || mysql_error_is_connection(error) || mysql_error_is_retryable(error) ||
               mysql_error_is_privilege(error) || mysql_error_is_read_only(error) || mysql_error_is_full(error) ||
               g_error_matches(error, MYSQL_ERROR, 1317) || error->domain != MYSQL_ERROR;
}

static bool execute(Carry *carry, const DdlPlan *plan, GError **error) {
        Conn *conn = carry->conns[STATEMENT];
        g_autoptr(GError) local = NULL;
        bool good = conn_execf(conn, &local, "SET SESSION lock_wait_timeout=%u, innodb_lock_wait_timeout=%u", LOCK_WAIT, LOCK_WAIT) &&
                    conn_exec(conn, plan->sql, -1, NULL, &local);
        if (good)
                return true;
        if (goes_by(carry, local)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        /* It was answered: whatever the tables are at the next try, this one did not make them so. */
        if (!conn_execf(carry->conns[BOOKS], error, "UPDATE %s SET thread=0 WHERE leg=%u AND seq=%" G_GUINT64_FORMAT, carry->config.ledger->intent,
                        carry->config.leg, carry->halt->seq))
                return false;
        g_autofree char *why = g_strdup_printf("the server refuses it with error %d", local->code);
        name_refusal(carry, why, error);
        return false;
}

static bool set_session(Carry *carry, const DdlPlan *plan, const DdlUpstream *upstream, GError **error) {
        g_autoptr(GError) local = NULL;
        Conn *conn = carry->conns[STATEMENT];
        /* A database that is not carried matters only to names without one, and then the statement fails. */
        if (plan->use && !conn_exec(conn, plan->use, -1, NULL, &local) && g_error_matches(local, MYSQL_ERROR, ER_BAD_DB_ERROR))
                g_clear_error(&local);
        if (!local && ddl_session_set(conn, &carry->halt->session, upstream, plan->timestamps, plan->defaults, &local) &&
            (!plan->rebuilt || conn_exec(conn, "SET SESSION character_set_client=utf8mb4, sql_mode=''", -1, NULL, &local)))
                return true;
        if (g_error_matches(local, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT))
                name_refusal(carry, local->message, error);
        else if (goes_by(carry, local))
                g_propagate_error(error, g_steal_pointer(&local));
        else {
                g_autofree char *why = g_strdup_printf("a setting of its session is refused there with error %d", local->code);
                name_refusal(carry, why, error);
        }
        return false;
}

/* Tables that the statement made, or named so, and that are not there. */
static bool name_missing(Carry *carry, const DdlPlan *plan, GError **error) {
        for (guint i = 0; i < plan->text->tables->len; i++) {
                const DdlTable *table = g_ptr_array_index(plan->text->tables, i);
                if (plan->text->verb != DDL_CREATE_TABLE && !table->to_name)
                        continue;
                const char *database = table->to_name ? table->to_database : table->database, *name = table->to_name ? table->to_name : table->name;
                g_autofree char *line = ddl_plan_line(carry->conns[BOOKS], database, name, error);
                if (!line)
                        return false;
                if (g_str_equal(line, "-"))
                        g_ptr_array_add(carry->result.missing, sql_table(database, name));
        }
        return true;
}

/* A server without crash-safe statements (MySQL 5.6) can end between changing a table and logging it. */
static bool is_as_before(Carry *carry, const DdlPlan *plan, const Intent *intent, GError **error) {
        if (g_strcmp0(intent->before, plan->before) == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "%s (transaction %" G_GUINT64_FORMAT ") was sent to the other side when the agent or the server was interrupted; it is not in the binary log "
                    "there, but the table is not what it was: look at it; if it was done, Resume with ddl=done-by-hand; if not, do it there, then the same",
                    carry->halt->what, carry->halt->seq);
        return false;
}

static bool run_planned(Carry *carry, const DdlPlan *plan, const DdlUpstream *upstream, const Intent *intent, GError **error) {
        bool happened = false, sent = intent->found && intent->thread != 0 && !carry->config.passed;
        if (sent && (!look_in_log(carry, intent, &happened, error) || (!happened && !is_as_before(carry, plan, intent, error))))
                return false;
        bool run = plan->sql && !happened && !carry->config.passed;
        if (!run && !intent->found && !write_intent(carry, "pass", plan->before, "", error))
                return false;
        if (run) {
                if (!set_session(carry, plan, upstream, error) || stopped(carry, error) ||
                    !write_intent(carry, "run", plan->before, plan->sql, error) || !execute(carry, plan, error))
                        return false;
                carry->result.run = true;
        }
        if (carry->config.passed && !name_missing(carry, plan, error))
                return false;
        return finish(carry, plan, intent->found && happened ? intent->before : plan->before, error);
}

static bool work(Carry *carry, GError **error) {
        g_auto(Intent) intent = {0};
        g_auto(DdlUpstream) upstream = {0};
        const CarryConfig *config = &carry->config;
        if (!open_conn(carry, BOOKS, config->downstream, CONN_MULTI_STATEMENTS, error) ||
            !open_conn(carry, STATEMENT, config->downstream, CONN_LONG_IO, error) || !hold_lock(carry, error) || !read_intent(carry, &intent, error))
                return false;
        if (intent.done)
                return true;
        if (!check_settled(carry, error) || !open_conn(carry, UPSTREAM, config->upstream, 0, error) ||
            !ddl_upstream_read(carry->conns[UPSTREAM], &upstream, error))
                return false;

        DdlPlanInput input = {
                .halt = carry->halt,
                .spec = config->spec,
                .left_out = carry->left_out,
                .upstream = &upstream,
                .downstream = carry->conns[BOOKS],
                .passed = config->passed,
        };
        g_autoptr(GError) local = NULL;
        g_autoptr(DdlPlan) plan = ddl_plan_new(&input, &local);
        if (plan)
                return run_planned(carry, plan, &upstream, &intent, error);
        if (!g_error_matches(local, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (config->passed) /* nobody knows what it was: the operator does */
                return (intent.found || write_intent(carry, "pass", "", "", error)) && finish(carry, NULL, "", error);
        name_refusal(carry, local->message, error);
        return false;
}

static void carry_thread(gpointer data) {
        Carry *carry = data;
        (void) work(carry, &carry->result.error);
        close_conns(carry);
        pthread_mutex_lock(&carry->lock);
        carry->done = true;
        pthread_mutex_unlock(&carry->lock);
        carry->config.on_done(carry->config.userdata);
}

Carry *carry_start(const CarryConfig *config) {
        Carry *carry = g_new0(Carry, 1);
        carry->config = *config;
        carry->halt = link_halt_copy(config->halt);
        carry->left_out = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; config->left_out && i < config->left_out->len; i++)
                g_ptr_array_add(carry->left_out, g_strdup(g_ptr_array_index(config->left_out, i)));
        carry->result.missing = g_ptr_array_new_with_free_func(g_free);
        pthread_mutex_init(&carry->lock, /* attr= */ NULL);
        carry->thread = thread_start("ddl", carry_thread, carry);
        return carry;
}

bool carry_finished(Carry *carry, CarryResult *ret) {
        pthread_mutex_lock(&carry->lock);
        bool done = carry->done;
        if (done) {
                *ret = carry->result;
                carry->result = (CarryResult){0};
        }
        pthread_mutex_unlock(&carry->lock);
        return done;
}

void carry_result_clear(CarryResult *result) {
        g_clear_error(&result->error);
        g_clear_pointer(&result->missing, g_ptr_array_unref);
}

void carry_free(Carry *carry) {
        if (!carry)
                return;
        pthread_mutex_lock(&carry->lock);
        carry->stop = true;
        for (guint i = 0; i < G_N_ELEMENTS(carry->conns); i++)
                if (carry->conns[i])
                        conn_abort(carry->conns[i]);
        if (carry->dump)
                binlog_stream_abort(carry->dump);
        pthread_mutex_unlock(&carry->lock);
        thread_join(carry->thread);
        link_halt_free(carry->halt);
        g_ptr_array_unref(carry->left_out);
        carry_result_clear(&carry->result);
        pthread_mutex_destroy(&carry->lock);
        g_free(carry);
}
