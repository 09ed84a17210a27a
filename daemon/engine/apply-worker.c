/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See apply-worker.h. A commit looks like this on the wire:
 *
 *   BEGIN; UPDATE ckpt SET seq=new, part=… WHERE … seq=old AND part=… AND epoch=…;  INSERT …; DELETE …; …     (one packet)
 *   COMMIT                                    only when the compare-and-set changed one row and every count was right */

#include "engine/apply-worker.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"
#include "base/trim.h"
#include "engine/apply-multiset.h"

#define QUEUE_WEIGHT (4u * 1024 * 1024)
#define BATCH_WEIGHT (1024u * 1024)
#define BATCH_CHANGES 2000
#define MULTISET_BATCH_CHANGES 20000 /* a table without a key is read twice for each batch, however large it is */
#define STATEMENT_BYTES (512u * 1024)
#define PACKET_BYTES (1024u * 1024)
#define IDLE_PERSIST_USEC (5 * USEC_PER_SEC)
#define MAX_RETRIES 20
#define MAX_RECOUNTS 2

struct ApplyWorker {
        ApplyWorkerConfig config;
        Thread *thread;
        Conn *conn;
        Queue *queue;
        gint stop;
        Batch batch;
        GString *sql;
        GArray *results; /* of ConnResult */

        /* What the checkpoint row holds. */
        guint64 seq, part;
        gint64 persisted_at;

        pthread_mutex_t lock;
        guint64 done, rows;
        guint64 persisted; /* the row's seq */
        int answered;
};

ApplyWorker *apply_worker_new(const ApplyWorkerConfig *config, GError **error) {
        g_autoptr(Conn) conn = conn_open(config->downstream, CONN_FOUND_ROWS | CONN_MULTI_STATEMENTS | (config->long_statements ? CONN_LONG_IO : 0), error);
        if (!conn)
                return NULL;
        ApplyWorker *worker = g_new0(ApplyWorker, 1);
        worker->config = *config;
        worker->conn = g_steal_pointer(&conn);
        worker->queue = queue_new(QUEUE_WEIGHT, (GDestroyNotify) packet_free);
        batch_init(&worker->batch);
        worker->sql = g_string_new(NULL);
        worker->results = g_array_new(FALSE, TRUE, sizeof(ConnResult));
        worker->seq = worker->done = worker->persisted = config->checkpoint->seq;
        worker->part = config->checkpoint->part;
        pthread_mutex_init(&worker->lock, /* attr= */ NULL);
        return worker;
}

void apply_worker_free(ApplyWorker *worker) {
        if (!worker)
                return;
        conn_free(worker->conn);
        queue_free(worker->queue);
        batch_clear(&worker->batch);
        g_string_free(worker->sql, TRUE);
        g_array_unref(worker->results);
        pthread_mutex_destroy(&worker->lock);
        g_free(worker);
}

static void append_checkpoint(const ApplyWorker *worker, GString *sql, const Packet *last) {
        g_string_append_printf(sql, "UPDATE %s SET seq=%" G_GUINT64_FORMAT ", part=%" G_GUINT64_FORMAT, worker->config.ledger->checkpoint,
                               last->done_seq, last->part);
        place_append_columns(last->place, sql);
        g_string_append_printf(sql, ", hold_seq=%" G_GUINT64_FORMAT ", hold_file='%s', hold_pos=%" G_GUINT64_FORMAT " WHERE leg=%u AND w=%u AND seq=%"
                               G_GUINT64_FORMAT " AND part=%" G_GUINT64_FORMAT " AND epoch=%" G_GUINT64_FORMAT ";", last->hold.seq,
                               last->hold.file ? last->hold.file : "", last->hold.offset, worker->config.leg, worker->config.number, worker->seq, worker->part,
                               worker->config.epoch);
}

static bool check_claim(const ApplyWorker *worker, const ConnResult *result, GError **error) {
        if (result->affected == 1)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                    "the checkpoint of worker %u on %s is not what this agent left there: another agent works on this "
                    "migration, or its state was restored from a copy", worker->config.number, conn_label(worker->conn));
        return false;
}

static bool check_count(const ApplyWorker *worker, const BatchStatement *statement, const ConnResult *result, GError **error) {
        if (statement->rule == COUNT_NOTHING)
                return true;
        const TableSchema *schema = statement->table->schema;
        guint64 found = statement->rule == COUNT_DUPLICATES ? result->duplicates : result->affected;
        bool records = statement->rule != COUNT_DUPLICATES || result->records == statement->expected;
        if (statement->rule == COUNT_AT_MOST && found < statement->expected)
                found = statement->expected;
        if (found != statement->expected || !records) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                            " changed rows of `%s`.`%s` were found on %s: it was changed by somebody else; Verify names the "
                            "rows, Repair copies them again",
                            found, statement->expected, schema->database, schema->name, conn_label(worker->conn));
                return false;
        }
        if (result->warnings != statement->warnings) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%s warned about values of `%s`.`%s` that it would not store exactly", conn_label(worker->conn),
                            schema->database, schema->name);
                return false;
        }
        return true;
}

/* Sends LENGTH bytes of SQL, which holds LEADING statements of ours and then COUNT of the batch from FIRST on, and checks every answer. */
static bool run(ApplyWorker *worker, const char *sql, gsize length, guint leading, guint first, guint count, GError **error) {
        gsize done = 0;
        g_array_set_size(worker->results, leading + count);
        ConnResult *results = (ConnResult *) worker->results->data;
        g_autoptr(GError) local = NULL;
        if (!conn_exec_multi(worker->conn, sql, (gssize) length, results, leading + count, &done, &local)) {
                const LinkTable *table = NULL;
                /* Rows that another agent has brought in already are refused, too; that is not what is wrong. */
                if (leading > 0 && done >= leading && !check_claim(worker, &results[leading - 1], error))
                        return false;
                g_propagate_error(error, g_steal_pointer(&local));
                if (done >= leading && done < leading + count)
                        table = g_array_index(worker->batch.statements, BatchStatement, first + done - leading).table;
                if (table)
                        link_table_name_error(table, conn_label(worker->conn), error);
                return false;
        }
        if (leading > 0 && !check_claim(worker, &results[leading - 1], error))
                return false;
        for (guint i = 0; i < count; i++)
                if (!check_count(worker, &g_array_index(worker->batch.statements, BatchStatement, first + i),
                                 &results[leading + i], error))
                        return false;
        return true;
}

static bool commit_once(ApplyWorker *worker, const Packet *last, GError **error) {
        const GArray *statements = worker->batch.statements;
        gsize limit = MIN(PACKET_BYTES, conn_max_packet(worker->conn) / 2);
        guint leading = 2, sent = 0;

        g_string_assign(worker->sql, "BEGIN;");
        append_checkpoint(worker, worker->sql, last);
        do {
                guint count = 0;
                while (sent + count < statements->len) {
                        const BatchStatement *next = &g_array_index(statements, BatchStatement, sent + count);
                        if (next->rule == COUNT_MULTISET || next->size > limit || (count > 0 && worker->sql->len + next->size > limit))
                                break;
                        g_string_append_len(worker->sql, worker->batch.text->str + next->start, (gssize) next->size);
                        count++;
                }
                if (worker->sql->len > 0 && !run(worker, worker->sql->str, worker->sql->len, leading, sent, count, error))
                        return false;
                sent += count;
                leading = 0;
                g_string_truncate(worker->sql, 0);
                /* A huge one goes as it is, without another copy of it. */
                const BatchStatement *next = sent < statements->len ? &g_array_index(statements, BatchStatement, sent) : NULL;
                if (next && next->rule == COUNT_MULTISET) {
                        if (!multiset_apply(next->multiset, worker->conn, limit, error))
                                return false;
                        sent++;
                } else if (next && next->size > limit) {
                        if (!run(worker, worker->batch.text->str + next->start, next->size, 0, sent, 1, error))
                                return false;
                        sent++;
                }
        } while (sent < statements->len);
        return conn_exec(worker->conn, "COMMIT", -1, NULL, error);
}

static void pause_before_retry(ApplyWorker *worker, guint tries) {
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        pthread_cond_t never;
        struct timespec until = clock_deadline((gint64) (10 << MIN(tries, 6)) * USEC_PER_MSEC);
        clock_cond_init(&never);
        pthread_mutex_lock(&lock);
        while (!g_atomic_int_get(&worker->stop) && pthread_cond_timedwait(&never, &lock, &until) == 0)
                ;
        pthread_mutex_unlock(&lock);
        pthread_cond_destroy(&never);
}

/* What the server says to a statement that the upstream's carried out. Takes LOCAL over. */
static void explain(const ApplyWorker *worker, GError *local, GError **error) {
        const Flavor *flavor = conn_flavor(worker->conn);
        g_autoptr(GError) owned = local;
        bool foreign_key = mysql_error_is_foreign_key(local) || mysql_error_is_cascade_limit(local);
        if (mysql_error_is_duplicate(local))
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%s already has a row that was to be added (duplicate key): it was changed by somebody else; Verify names the "
                            "rows, Repair copies them again", conn_label(worker->conn));
        else if (foreign_key && !flavor->mariadb && flavor->version >= 90600)
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "the destination refuses a cascade that the other side carried out (%s): unless Verify names rows that differ, "
                            "start it with innodb_native_foreign_keys=ON, which cascades as MySQL 5.6 does, then Resume", local->message);
        else if (foreign_key)
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "a foreign key refuses a change that the other side accepted (%s): rows were changed by somebody else; Verify "
                            "names them, Repair copies them again", local->message);
        else
                g_propagate_error(error, g_steal_pointer(&owned));
}

static bool commit(ApplyWorker *worker, GPtrArray *packets, GError **error) {
        const Packet *last = g_ptr_array_index(packets, packets->len - 1);
        gsize statement_bytes = MIN(STATEMENT_BYTES, conn_max_packet(worker->conn) / 4);
        if (!batch_build(&worker->batch, packets, conn_flavor(worker->conn), statement_bytes, error))
                return false;
        bool has_all = worker->batch.multisets->len == 0; /* their tuples are in the packets */
        for (guint i = 0; has_all && i < packets->len; i++)
                buffer_trim(((Packet *) packets->pdata[i])->arena);

        for (guint tries = 0;; tries++) {
                g_autoptr(GError) local = NULL;
                if (commit_once(worker, last, &local))
                        break;
                if (conn_is_dead(worker->conn) || g_atomic_int_get(&worker->stop)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                (void) conn_exec(worker->conn, "ROLLBACK", -1, NULL, NULL);
                if (!conn_exec(worker->conn, "SET foreign_key_checks=0", -1, NULL, error)) /* not undone by ROLLBACK */
                        return false;
                /* A repair may have come between counting and deleting. */
                bool counted = worker->batch.multisets->len > 0 && g_error_matches(local, PS_ERROR, PS_ERROR_DATA_MISMATCH);
                if (!(mysql_error_is_retryable(local) && tries < MAX_RETRIES) && !(counted && tries < MAX_RECOUNTS)) {
                        explain(worker, g_steal_pointer(&local), error);
                        return false;
                }
                pause_before_retry(worker, tries);
        }
        worker->seq = last->done_seq;
        worker->part = last->part;
        worker->persisted_at = clock_monotonic();
        buffer_trim(worker->batch.text);
        return true;
}

static bool ends_in_multiset(const Packet *packet) {
        return packet->changes->len > 0 && g_array_index(packet->changes, Change, packet->changes->len - 1).table->multiset;
}

/* Everything that is waiting, up to the size of one transaction. */
static guint64 gather(ApplyWorker *worker, GPtrArray *packets, Packet *first) {
        gsize weight = packet_weight(first), max_weight = ends_in_multiset(first) ? QUEUE_WEIGHT : BATCH_WEIGHT;
        guint64 changes = first->changes->len, max_changes = ends_in_multiset(first) ? MULTISET_BATCH_CHANGES : BATCH_CHANGES;
        g_ptr_array_add(packets, first);
        while (weight < max_weight && changes < max_changes) {
                Packet *packet = queue_pop(worker->queue, /* timeout_usec= */ 0, NULL);
                if (!packet)
                        break;
                weight += packet_weight(packet);
                changes += packet->changes->len;
                g_ptr_array_add(packets, packet);
        }
        return changes;
}

static void work(gpointer data) {
        ApplyWorker *worker = data;
        g_autoptr(GError) error = NULL;

        worker->persisted_at = clock_monotonic();
        while (!g_atomic_int_get(&worker->stop)) {
                g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
                Packet *first = queue_pop(worker->queue, /* timeout_usec= */ -1, NULL);
                if (!first)
                        break;
                guint64 changes = gather(worker, packets, first);
                const Packet *last = g_ptr_array_index(packets, packets->len - 1);

                /* An idle worker's checkpoint need not follow every transaction: after a restart it would find nothing to do there. */
                bool persist = false;
                int asked = 0;
                for (guint i = 0; i < packets->len; i++) {
                        const Packet *packet = g_ptr_array_index(packets, i);
                        persist |= packet->persist;
                        asked = MAX(asked, packet->asked);
                }
                bool idle = changes == 0 && !persist && clock_monotonic() - worker->persisted_at < IDLE_PERSIST_USEC;
                bool same = last->done_seq == worker->seq && last->part == worker->part;
                bool writes = !idle && !same;
                if (writes ? !commit(worker, packets, &error) : asked && !conn_exec(worker->conn, "DO 0", -1, NULL, &error))
                        break;

                pthread_mutex_lock(&worker->lock);
                worker->done = last->done_seq;
                worker->persisted = worker->seq;
                worker->rows += changes;
                worker->answered = MAX(worker->answered, asked);
                pthread_mutex_unlock(&worker->lock);
                worker->config.on_progress(worker->config.userdata);
        }
        queue_close(worker->queue, /* discard= */ true);
        if (error && !g_atomic_int_get(&worker->stop))
                worker->config.on_failure(worker->config.userdata, error);
}

void apply_worker_run(ApplyWorker *worker) {
        g_autofree char *name = g_strdup_printf("apply-%u", worker->config.number);
        worker->thread = thread_start(name, work, worker);
}

bool apply_worker_push(ApplyWorker *worker, Packet *packet) {
        return queue_push(worker->queue, packet, packet_weight(packet));
}

void apply_worker_stop(ApplyWorker *worker) {
        g_atomic_int_set(&worker->stop, 1);
        queue_close(worker->queue, /* discard= */ true);
        conn_abort(worker->conn);
}

void apply_worker_join(ApplyWorker *worker) {
        thread_join(g_steal_pointer(&worker->thread));
}

guint64 apply_worker_done(ApplyWorker *worker) {
        pthread_mutex_lock(&worker->lock);
        guint64 done = worker->done;
        pthread_mutex_unlock(&worker->lock);
        return done;
}

guint64 apply_worker_persisted(ApplyWorker *worker) {
        pthread_mutex_lock(&worker->lock);
        guint64 persisted = worker->persisted;
        pthread_mutex_unlock(&worker->lock);
        return persisted;
}

guint64 apply_worker_rows(ApplyWorker *worker) {
        pthread_mutex_lock(&worker->lock);
        guint64 rows = worker->rows;
        pthread_mutex_unlock(&worker->lock);
        return rows;
}

int apply_worker_answered(ApplyWorker *worker) {
        pthread_mutex_lock(&worker->lock);
        int answered = worker->answered;
        pthread_mutex_unlock(&worker->lock);
        return answered;
}
