/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dispatcher, and the life of the workers; what one worker does is in apply-worker.c. See apply.h. */

#include "engine/apply.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/trim.h"
#include "engine/apply-worker.h"
#include "engine/cascade.h"
#include "engine/change-multiset.h"
#include "engine/partial.h"
#include "mysql/executed.h"

#define FLUSH_WEIGHT (128u * 1024)
#define FLUSH_USEC (5 * USEC_PER_MSEC)
#define LIVE_CHECK_USEC (200 * USEC_PER_MSEC)

struct Apply {
        ApplyConfig config;
        Thread *dispatcher;
        gint stop;
        ApplyWorker **workers;

        /* The dispatcher's. */
        Packet **pending;     /* per worker */
        guint64 *sent;        /* per worker: done_seq of the last packet */
        guint64 *resume_seq, *resume_part; /* per worker: what it had when we began */
        guint64 *part;        /* per worker: changes of the transaction being read */
        int asked_sent;       /* the `asked` that the workers were told last */
        guint64 seq;          /* the last whole transaction that was dispatched */
        GStringChunk *files;  /* interned names */
        char *server;
        Place *place;         /* where it ended; NULL: not made yet of the two members below */
        char *file;
        RelayCommit commit;
        Executed *executed;   /* everything up to it */
        RelayHold hold;       /* then */
        gint64 flushed_at, live_checked_at;
        bool all_live;
        MapCache maps;
        RowImage before, after;
        GString *key;
        CascadedKeys *cascaded;
        const LinkTable *silent_deletion; /* the table whose rows the statement being read deleted first, cascading silently */

        pthread_mutex_t lock;
        pthread_cond_t progress;
        bool failed;
        guint64 transactions; /* with changes that are carried */
        bool live_seen;       /* every table is live since transaction live_seq */
        guint64 live_seq;
        gint persist;         /* atomic: checkpoints are wanted up to where we are */
        gint asked;           /* atomic: counts apply_ask() */
};

static void on_worker_progress(gpointer userdata) {
        Apply *apply = userdata;
        pthread_mutex_lock(&apply->lock);
        pthread_cond_broadcast(&apply->progress);
        pthread_mutex_unlock(&apply->lock);
        apply->config.on_progress(apply->config.userdata);
}

static void fail(Apply *apply, const GError *error) {
        pthread_mutex_lock(&apply->lock);
        apply->failed = true;
        pthread_cond_broadcast(&apply->progress);
        pthread_mutex_unlock(&apply->lock);
        if (!g_atomic_int_get(&apply->stop))
                apply->config.on_failure(apply->config.userdata, error);
}

static void on_worker_failure(gpointer userdata, const GError *error) {
        fail(userdata, error);
}

/* Worker W may have to read whole tables. */
static bool has_multiset(const Apply *apply, guint32 w) {
        for (guint i = 0; i < apply->config.tables->list->len; i++) {
                const LinkTable *table = g_ptr_array_index(apply->config.tables->list, i);
                if (table->multiset && table->hash % apply->config.workers == w)
                        return true;
        }
        return false;
}

Apply *apply_new(const ApplyConfig *config, GError **error) {
        g_autoptr(Apply) apply = g_new0(Apply, 1);
        guint32 n = config->workers;

        apply->config = *config;
        pthread_mutex_init(&apply->lock, /* attr= */ NULL);
        clock_cond_init(&apply->progress);
        apply->files = g_string_chunk_new(1024);
        apply->server = g_strdup(config->server);
        apply->workers = g_new0(ApplyWorker *, n);
        apply->pending = g_new0(Packet *, n);
        apply->sent = g_new0(guint64, n);
        apply->resume_seq = g_new0(guint64, n);
        apply->resume_part = g_new0(guint64, n);
        apply->part = g_new0(guint64, n);
        apply->seq = config->seq;
        apply->place = place_ref(config->place);
        map_cache_init(&apply->maps, config->tables);
        row_image_init(&apply->before, 0);
        row_image_init(&apply->after, 0);
        apply->key = g_string_new(NULL);
        apply->cascaded = cascaded_keys_new();

        for (guint32 w = 0; w < n; w++) {
                const Checkpoint *checkpoint = &config->checkpoints[w];
                apply->resume_seq[w] = apply->sent[w] = checkpoint->seq;
                apply->resume_part[w] = checkpoint->part;
        }
        apply->executed = executed_new(apply->place->gtids, config->mariadb);
        for (guint32 w = 0; w < n; w++) {
                ApplyWorkerConfig worker = {
                        .number = w,
                        .downstream = config->downstream,
                        .ledger = config->ledger,
                        .leg = config->leg,
                        .epoch = config->epoch,
                        .checkpoint = &config->checkpoints[w],
                        .long_statements = has_multiset(apply, w),
                        .on_progress = on_worker_progress,
                        .on_failure = on_worker_failure,
                        .userdata = apply,
                };
                apply->workers[w] = apply_worker_new(&worker, error);
                if (!apply->workers[w])
                        return NULL;
        }
        return g_steal_pointer(&apply);
}

void apply_free(Apply *apply) {
        if (!apply)
                return;
        apply_stop(apply);
        for (guint32 w = 0; w < apply->config.workers; w++) {
                apply_worker_free(apply->workers[w]);
                packet_free(apply->pending[w]);
        }
        map_cache_clear(&apply->maps);
        row_image_clear(&apply->before);
        row_image_clear(&apply->after);
        g_string_free(apply->key, TRUE);
        cascaded_keys_free(apply->cascaded);
        g_string_chunk_free(apply->files);
        place_unref(apply->place);
        executed_free(apply->executed);
        g_free(apply->server);
        g_free(apply->file);
        g_free(apply->workers);
        g_free(apply->pending);
        g_free(apply->sent);
        g_free(apply->resume_seq);
        g_free(apply->resume_part);
        g_free(apply->part);
        pthread_cond_destroy(&apply->progress);
        pthread_mutex_destroy(&apply->lock);
        g_free(apply);
}

/* --- the dispatcher --- */

/* Made when it is asked for, since a set of GTIDs may be long. */
static Place *current_place(Apply *apply) {
        if (!apply->place) {
                g_autofree char *gtid = executed_gtid_to_string(&apply->commit.gtid), *gtids = executed_to_string(apply->executed);
                apply->place = place_new(apply->server, apply->file, apply->commit.start, apply->commit.offset, apply->commit.crc, gtid, gtids);
        }
        return place_ref(apply->place);
}

/* How many changes of the transaction behind the last whole one the worker has, those of an earlier link with them. */
static guint64 part_of(const Apply *apply, guint32 w) {
        return apply->seq > apply->resume_seq[w] ? apply->part[w]
               : apply->seq < apply->resume_seq[w] ? apply->resume_part[w] : MAX(apply->part[w], apply->resume_part[w]);
}

/* Hands a worker what was gathered for it; with nothing gathered, the news that it has everything up to here. */
static bool flush_worker(Apply *apply, guint32 w, bool persist, int asked) {
        if (!apply->pending[w] && !persist && !asked && apply->sent[w] >= apply->seq)
                return true;
        Packet *packet = apply->pending[w] ? g_steal_pointer(&apply->pending[w]) : packet_new();
        packet->done_seq = MAX(apply->seq, apply->resume_seq[w]);
        packet->part = part_of(apply, w);
        packet->place = current_place(apply);
        packet->hold = apply->hold;
        packet->persist = persist;
        packet->asked = asked;
        apply->sent[w] = packet->done_seq;
        if (packet->changes->len == 0 && apply->seq <= apply->resume_seq[w] && !asked) { /* it knows more than we do */
                packet_free(packet);
                return true;
        }
        return apply_worker_push(apply->workers[w], packet);
}

static bool flush_all(Apply *apply) {
        bool persist = g_atomic_int_compare_and_exchange(&apply->persist, 1, 0);
        int asked = g_atomic_int_get(&apply->asked), news = asked != apply->asked_sent ? asked : 0;
        for (guint32 w = 0; w < apply->config.workers; w++)
                if (!flush_worker(apply, w, persist, news))
                        return false;
        apply->asked_sent = asked;
        apply->flushed_at = clock_monotonic();
        return true;
}

static void note_change(Apply *apply, const LinkTable *table) {
        if (!apply->config.dirty)
                return;
        if (table->family) /* rows of any of them may change with this one */
                for (guint i = 0; i < table->family->tables->len; i++)
                        dirty_add_unknown(apply->config.dirty, ((const LinkTable *) g_ptr_array_index(table->family->tables, i))->name);
        else if (table->multiset)
                dirty_add_unknown(apply->config.dirty, table->name);
        else
                dirty_add(apply->config.dirty, table->name, apply->key->str, apply->key->len);
}

/* HASH: of the key, as is apply->key. */
static bool add_change(Apply *apply, LinkTable *table, RowOperation operation, guint64 hash, const RowImage *image, bool cascades) {
        /* MySQL 9.7 with innodb_native_foreign_keys logs DELETE parent, child … in this way: the child's row although it went with the parent. */
        bool maybe_gone = apply->silent_deletion && apply->silent_deletion != table && operation == ROW_OPERATION_DELETE &&
                          table->schema->has_cascade;
        guint32 w = (guint32) ((table->ordered || table->family ? table->hash : hash) % apply->config.workers);
        guint64 seq = apply->seq + 1;
        note_change(apply, table);
        apply->part[w]++;
        if (seq <= apply->resume_seq[w] || (seq == apply->resume_seq[w] + 1 && apply->part[w] <= apply->resume_part[w]))
                return true; /* committed before we began */

        if (!apply->pending[w])
                apply->pending[w] = packet_new();
        packet_add(apply->pending[w], table, operation, apply->key->str, apply->key->len, hash, image, cascades, maybe_gone);
        return packet_weight(apply->pending[w]) < FLUSH_WEIGHT || flush_worker(apply, w, /* persist= */ false, /* asked= */ 0);
}

/* A chunk has to be finished first. false: told to stop. */
static bool wait_for_chunk(Apply *apply, ChunkMap *chunks) {
        if (g_atomic_int_get(&apply->stop) || !flush_all(apply))
                return false;
        chunk_map_wait(chunks, 20 * USEC_PER_MSEC);
        return true;
}

static void take_key(Apply *apply, const LinkTable *table, const RowImage *image) {
        g_string_truncate(apply->key, 0);
        if (table->multiset)
                multiset_append_tuple(apply->key, table, image);
        else
                key_append_from_image(apply->key, table->schema, image);
}

/* One image: decides by the key's chunk whether it is still to be applied. false: told to stop. */
static bool dispatch_image(Apply *apply, LinkTable *table, RowOperation operation, const RowImage *image) {
        take_key(apply, table, image);
        while (!g_atomic_int_get(&table->live)) {
                ChunkVerdict verdict = chunk_map_judge(table->chunks, apply->key->str, apply->seq + 1);
                if (verdict == CHUNK_VERDICT_APPLY)
                        break;
                if (verdict == CHUNK_VERDICT_DROP)
                        return true;
                if (!wait_for_chunk(apply, table->chunks))
                        return false;
        }
        return add_change(apply, table, operation, key_hash_value(table->schema, apply->key->str, apply->key->len), image, /* cascades= */ false);
}

/* A change that the upstream cascaded silently. *ret_done: it is on its way, to be cascaded downstream as well; else it is a change like any
 * other, since the copy has what came of it. A finished copy of the cascaded tables is behind that of all others of the family, so
 * there is no chunk to ask about this row. */
static bool dispatch_cascading(Apply *apply, LinkTable *table, RowOperation operation, const RowImage *before, const RowImage *after,
                               bool *ret_done) {
        ChunkMap *chunks;
        ChunkVerdict verdict;
        while ((verdict = family_judge(table->family, apply->seq + 1, &chunks)) == CHUNK_VERDICT_WAIT)
                if (!wait_for_chunk(apply, chunks))
                        return false;
        *ret_done = verdict == CHUNK_VERDICT_APPLY;
        if (!*ret_done)
                return true;
        take_key(apply, table, before);
        return add_change(apply, table, operation, key_hash_value(table->schema, apply->key->str, apply->key->len),
                          operation == ROW_OPERATION_DELETE ? before : after, /* cascades= */ true);
}

static void end_statement(Apply *apply) {
        cascaded_keys_end(apply->cascaded);
        apply->silent_deletion = NULL;
}

/* Logged twice by the upstream. */
static bool is_doubled(Apply *apply, const BinlogRows *rows, const LinkTable *table) {
        if (!(rows->flags & ROWS_CASCADES_LOGGED) || !table->schema->has_cascade)
                return false;
        take_key(apply, table, rows->operation == ROW_OPERATION_DELETE ? &apply->before : &apply->after);
        return cascaded_keys_doubled(apply->cascaded, table, rows->operation, rows->flags, apply->key->str, apply->key->len);
}

static bool same_key(const TableSchema *schema, const RowImage *a, const RowImage *b) {
        for (guint i = 0; i < schema->key->len; i++) {
                unsigned column = g_array_index(schema->key, unsigned, i);
                if (strcmp(row_image_literal(a, column), row_image_literal(b, column)) != 0)
                        return false;
        }
        return true;
}

static bool dispatch_row(Apply *apply, const BinlogRows *rows, LinkTable *table) {
        if (is_doubled(apply, rows, table))
                return true;
        if (cascade_is_silent(table, rows->operation, rows->flags, &apply->before, &apply->after)) {
                bool done;
                if (rows->operation == ROW_OPERATION_DELETE && !apply->silent_deletion)
                        apply->silent_deletion = table;
                if (!dispatch_cascading(apply, table, rows->operation, &apply->before, &apply->after, &done))
                        return false;
                if (done)
                        return true;
        }
        switch (rows->operation) {
        case ROW_OPERATION_INSERT:
                return dispatch_image(apply, table, ROW_OPERATION_INSERT, &apply->after);
        case ROW_OPERATION_DELETE:
                return dispatch_image(apply, table, ROW_OPERATION_DELETE, &apply->before);
        case ROW_OPERATION_UPDATE:
                if (!table->multiset && same_key(table->schema, &apply->before, &apply->after))
                        return dispatch_image(apply, table, ROW_OPERATION_UPDATE, &apply->after);
                return dispatch_image(apply, table, ROW_OPERATION_DELETE, &apply->before) &&
                       dispatch_image(apply, table, ROW_OPERATION_INSERT, &apply->after);
        case _ROW_OPERATION_MAX:
        case _ROW_OPERATION_INVALID:
                break;
        }
        return true;
}

static bool dispatch_rows(Apply *apply, const BinlogEvent *event, bool *ret_stop, GError **error) {
        const MapEntry *entry;
        BinlogRows rows;
        if (!map_cache_find(&apply->maps, event, &entry, error) ||
            !binlog_rows_begin(&rows, event, entry->map, entry->table->schema, error))
                return false;
        bool more = true, good = true;
        while (good && more && !*ret_stop) {
                good = binlog_rows_next(&rows, &apply->before, &apply->after, &more, error);
                if (good && more && row_make_whole(rows.operation, &apply->before, &apply->after, entry->table->schema,
                                                   apply->config.mariadb) == ROW_LOST) {
                        partial_set_lost(entry->table->schema, error);
                        good = false;
                }
                if (good && more)
                        *ret_stop = !dispatch_row(apply, &rows, entry->table);
        }
        if (rows.flags & ROWS_END_OF_STATEMENT)
                end_statement(apply);
        buffer_trim(apply->before.text);
        buffer_trim(apply->after.text);
        binlog_rows_end(&rows);
        return good;
}

/* A table is live when all of it is copied and no event that is still to come can be in the copy. */
static void check_live(Apply *apply, gint64 now) {
        apply->live_checked_at = now;
        bool all = true;
        for (guint i = 0; i < apply->config.tables->list->len; i++) {
                LinkTable *table = g_ptr_array_index(apply->config.tables->list, i);
                guint64 max_h;
                if (g_atomic_int_get(&table->live))
                        continue;
                if (chunk_map_complete(table->chunks, &max_h) && apply->seq >= max_h)
                        g_atomic_int_set(&table->live, 1);
                else
                        all = false;
        }
        apply->all_live = all;
        if (!all)
                return;
        pthread_mutex_lock(&apply->lock);
        apply->live_seen = true;
        apply->live_seq = apply->seq;
        pthread_mutex_unlock(&apply->lock);
        g_atomic_int_set(&apply->persist, 1);
}

/* Begun before the oldest checkpoint, for the sake of an XA transaction: a row knows what was executed up to it. */
static void learn_executed(Apply *apply) {
        for (guint32 w = 0; w < apply->config.workers && !executed_known(apply->executed); w++)
                if (apply->resume_seq[w] == apply->seq) {
                        executed_free(apply->executed);
                        apply->executed = executed_new(apply->config.checkpoints[w].place->gtids, apply->config.mariadb);
                }
}

static bool dispatch_commit(Apply *apply, const RelayRecord *record, GError **error) {
        RelayCommit commit;
        if (record->size < sizeof commit) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the relay log is damaged");
                return false;
        }
        memcpy(&commit, record->data, sizeof commit);
        if (record->size - sizeof commit != (guint64) commit.file_length + commit.hold_file_length) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the relay log is damaged");
                return false;
        }
        const char *files = (const char *) record->data + sizeof commit;
        g_autofree char *hold_file = g_strndup(files + commit.file_length, commit.hold_file_length);

        bool changes = false;
        for (guint32 w = 0; w < apply->config.workers; w++) {
                changes |= apply->part[w] > 0;
                apply->part[w] = 0;
        }
        end_statement(apply);
        apply->seq++;
        g_clear_pointer(&apply->place, place_unref);
        g_free(apply->file);
        apply->file = g_strndup(files, commit.file_length);
        apply->commit = commit;
        executed_add(apply->executed, &commit.gtid);
        learn_executed(apply);
        apply->hold = (RelayHold){0};
        if (commit.hold_file_length > 0)
                apply->hold = (RelayHold){commit.hold_seq, commit.hold_offset, g_string_chunk_insert_const(apply->files, hold_file)};
        if (changes) {
                pthread_mutex_lock(&apply->lock);
                apply->transactions++;
                pthread_mutex_unlock(&apply->lock);
        }
        return true;
}

static bool dispatch(Apply *apply, const RelayRecord *record, bool *ret_stop, GError **error) {
        const MapEntry *entry;
        BinlogEvent event = {
                .type = record->type,
                .flags = record->flags,
                .timestamp = record->timestamp,
                .body = record->data,
                .body_size = record->size,
        };
        if (record->kind == RELAY_COMMIT)
                return dispatch_commit(apply, record, error);
        if (record->type == BINLOG_EVENT_TABLE_MAP)
                return map_cache_add(&apply->maps, &event, /* past= */ false, &entry, error);
        return dispatch_rows(apply, &event, ret_stop, error);
}

static void dispatcher(gpointer data) {
        Apply *apply = data;
        g_autoptr(GError) error = NULL;
        bool stop = false;

        while (!stop && !g_atomic_int_get(&apply->stop)) {
                RelayRecord record;
                bool found;
                if (!relay_read(apply->config.relay, 0, &record, &found, &error))
                        break;
                if (!found) {
                        stop = !flush_all(apply);
                        if (!stop && !relay_read(apply->config.relay, 100 * USEC_PER_MSEC, &record, &found, &error))
                                break;
                }
                if (!stop && found && !dispatch(apply, &record, &stop, &error))
                        break;
                if (found && record.kind != RELAY_COMMIT)
                        continue;
                gint64 now = clock_monotonic();
                if (!apply->all_live && now - apply->live_checked_at >= LIVE_CHECK_USEC)
                        check_live(apply, now);
                if (!stop && now - apply->flushed_at >= FLUSH_USEC)
                        stop = !flush_all(apply);
        }
        if (error)
                fail(apply, error);
}

void apply_run(Apply *apply) {
        for (guint32 w = 0; w < apply->config.workers; w++)
                apply_worker_run(apply->workers[w]);
        apply->dispatcher = thread_start("dispatcher", dispatcher, apply);
}

void apply_stop(Apply *apply) {
        g_atomic_int_set(&apply->stop, 1);
        relay_wake(apply->config.relay);
        for (guint32 w = 0; w < apply->config.workers; w++)
                if (apply->workers[w]) /* NULL: it could not connect, and apply_new() failed */
                        apply_worker_stop(apply->workers[w]);
        thread_join(g_steal_pointer(&apply->dispatcher));
        for (guint32 w = 0; w < apply->config.workers; w++)
                if (apply->workers[w])
                        apply_worker_join(apply->workers[w]);
        pthread_mutex_lock(&apply->lock);
        apply->failed = true;
        pthread_cond_broadcast(&apply->progress);
        pthread_mutex_unlock(&apply->lock);
}

/* --- progress --- */

guint64 apply_low_water(Apply *apply) {
        guint64 low = G_MAXUINT64;
        for (guint32 w = 0; w < apply->config.workers; w++)
                low = MIN(low, apply_worker_done(apply->workers[w]));
        return low;
}

guint64 apply_dispatched(const Apply *apply) {
        return apply->seq;
}

static guint64 persisted(Apply *apply) {
        guint64 low = G_MAXUINT64;
        for (guint32 w = 0; w < apply->config.workers; w++)
                low = MIN(low, apply_worker_persisted(apply->workers[w]));
        return low;
}

bool apply_all_live(Apply *apply) {
        pthread_mutex_lock(&apply->lock);
        bool seen = apply->live_seen;
        guint64 seq = apply->live_seq;
        pthread_mutex_unlock(&apply->lock);
        return seen && persisted(apply) >= seq;
}

guint64 apply_live_seq(Apply *apply) {
        pthread_mutex_lock(&apply->lock);
        guint64 seq = apply->live_seq;
        pthread_mutex_unlock(&apply->lock);
        return seq;
}

bool apply_settle(Apply *apply, guint64 seq, gint64 timeout_usec) {
        struct timespec until = clock_deadline(timeout_usec);
        bool there, over = false;
        pthread_mutex_lock(&apply->lock);
        for (;;) {
                there = persisted(apply) >= seq;
                if (there || over || apply->failed)
                        break;
                g_atomic_int_set(&apply->persist, 1);
                over = pthread_cond_timedwait(&apply->progress, &apply->lock, &until) != 0;
        }
        pthread_mutex_unlock(&apply->lock);
        return there;
}

/* Until it is SO of SEQ; *ret_timed_out: that is why it is not. */
static bool wait_until(Apply *apply, bool (*so)(Apply *apply, guint64 seq), guint64 seq, gint64 timeout_usec, bool *ret_timed_out, GError **error) {
        struct timespec until = clock_deadline(MAX(timeout_usec, 0));
        bool there, failed, timed_out = false;

        pthread_mutex_lock(&apply->lock);
        for (;;) {
                there = so(apply, seq);
                failed = apply->failed;
                if (there || failed || timed_out)
                        break;
                if (timeout_usec < 0)
                        pthread_cond_wait(&apply->progress, &apply->lock);
                else
                        timed_out = pthread_cond_timedwait(&apply->progress, &apply->lock, &until) != 0;
        }
        pthread_mutex_unlock(&apply->lock);
        *ret_timed_out = !there && !failed;
        if (!there && failed)
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "applying has ended");
        return there;
}

static bool is_applied(Apply *apply, guint64 seq) {
        return apply_low_water(apply) >= seq;
}

bool apply_wait(Apply *apply, guint64 seq, gint64 timeout_usec, GError **error) {
        bool timed_out;
        if (wait_until(apply, is_applied, seq, timeout_usec, &timed_out, error))
                return true;
        if (timed_out)
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "transaction %" G_GUINT64_FORMAT " was not applied in time", seq);
        return false;
}

int apply_ask(Apply *apply) {
        return g_atomic_int_add(&apply->asked, 1) + 1;
}

static bool is_answered(Apply *apply, guint64 asked) {
        for (guint32 w = 0; w < apply->config.workers; w++)
                if ((guint64) apply_worker_answered(apply->workers[w]) < asked)
                        return false;
        return true;
}

bool apply_wait_answers(Apply *apply, int asked, gint64 timeout_usec, GError **error) {
        bool timed_out;
        if (wait_until(apply, is_answered, (guint64) asked, timeout_usec, &timed_out, error))
                return true;
        if (timed_out)
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "what changed is not written in time: a session may hold locks on its rows");
        return false;
}

void apply_counters(Apply *apply, guint64 *ret_transactions, guint64 *ret_rows) {
        pthread_mutex_lock(&apply->lock);
        *ret_transactions = apply->transactions;
        pthread_mutex_unlock(&apply->lock);
        *ret_rows = 0;
        for (guint32 w = 0; w < apply->config.workers; w++)
                *ret_rows += apply_worker_rows(apply->workers[w]);
}
