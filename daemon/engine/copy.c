/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The copiers; see copy.h, and chunk.h for why a chunk is exact. Tables whose keys only the server can order, and those that change without
 * row events (cascade.h), are read under a brief table lock instead (engine.md §1): LOCK TABLES with autocommit=0 waits for every
 * writer, cascades included, a second session takes its snapshot, and the lock is held until the reader has read up to there, which
 * is what makes the h_seq exact. The cascaded tables of a family are one such copy: one lock, one snapshot, one h_seq, and their chunk
 * rows are committed together, so that a copy that was interrupted begins again with all of them. While such a snapshot is open the changes of
 * its tables wait, and all others behind them; so max-copy-rate holds it up for SNAPSHOT_PATIENCE in total, and what was read too fast is
 * owed: no chunk begins before that is paid. The end does not wait for it. */

#include "engine/copy.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "base/thread.h"
#include "base/trim.h"
#include "engine/cascade.h"
#include "engine/copy-rows.h"
#include "mysql/sql.h"

#define CHUNK_BYTES (4u * 1024 * 1024)
#define CHUNK_EXCESS 3 /* times what was aimed at is the most that is read */
#define CHUNK_ROWS_MIN 1
#define CHUNK_ROWS_MAX 100000
#define READER_TIMEOUT (60 * USEC_PER_SEC)
#define LOCK_READER_TIMEOUT (3 * USEC_PER_SEC)
#define SNAPSHOT_PATIENCE (30 * USEC_PER_SEC)
#define KILL_TIMEOUT 2u /* s */
#define HOLD_WAIT 1u /* s: writers wait behind us */
#define MAX_TABLE_RETRIES 60
#define WATERMARK_BASE 100
#define ER_TABLE_DEF_CHANGED 1412

typedef struct Copier {
        Copy *copy;
        guint32 number;
        guint64 part; /* what our checkpoint row holds */
        Thread *thread;
        Conn *up, *down;
        RowBuffer rows;
        GString *sql;
        GString *finished; /* the rows of the chunks that the next transaction finishes: "(…),(…)" */
} Copier;

struct Copy {
        CopyConfig config;
        Copier *copiers;
        gint stop, running;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        guint64 rows, bytes;
};

/* The newest transaction that a chunk holds. The copier's checkpoint row says where it is, so that it can be proven later that the upstream
 * still has it. */
typedef struct Horizon {
        guint64 seq;
        Place *place;
} Horizon;

static void horizon_clear(Horizon *h) {
        g_clear_pointer(&h->place, place_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Horizon, horizon_clear)

typedef enum ChunkOutcome { OUTCOME_DONE, OUTCOME_LATER, OUTCOME_FAILED } ChunkOutcome;

/* --- reading --- */

/* The key of the row N places behind LO, or none when fewer are left before LIMIT. */
static bool probe(Copier *copier, const LinkTable *table, const Key *lo, const Key *limit, guint64 n, Key *ret_hi, GError **error) {
        const TableSchema *schema = table->schema;
        GString *sql = copier->sql;
        g_string_assign(sql, "SELECT ");
        copy_append_key_select(sql, schema);
        copy_append_range(sql, schema, lo, limit);
        sql_append_key_order(sql, schema);
        g_string_append_printf(sql, " LIMIT %" G_GUINT64_FORMAT ",1", n - 1);

        g_autoptr(ConnRows) rows = conn_query(copier->up, sql->str, error);
        *ret_hi = (Key){0};
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        return !row || copy_key_from_row(schema, row, conn_rows_lengths(rows), ret_hi, error);
}

/* Everything logged before this commits is visible to what is read after it (engine.md §0, finding 2). */
static bool commit_watermark(Copier *copier, GError **error) {
        return conn_execf(copier->up, error, "UPDATE %s SET value=value+1 WHERE id=%u", copier->copy->config.ledger->watermark,
                          WATERMARK_BASE + copier->number);
}

/* MySQL 5.6 goes on for two minutes to write to a connection that is gone, and keeps its snapshot. An ALTER TABLE waits for it. Behind a restart of the
 * server its number may be somebody else's. */
static void kill_session(Conn *by, const Conn *gone) {
        guint64 id = conn_id(gone), there;
        g_autofree char *ask = g_strdup_printf("SELECT COUNT(*) FROM information_schema.processlist WHERE id=%" G_GUINT64_FORMAT
                                               " AND user=SUBSTRING_INDEX(CURRENT_USER(),'@',1)", id);
        if (conn_query_uint64(by, ask, &there, NULL) && there)
                (void) conn_execf(by, NULL, "KILL %" G_GUINT64_FORMAT, id);
}

/* The rows of CHUNK. Rows much larger than the estimate end it early: it is shortened to what was read. */
static bool read_range(Copier *copier, const LinkTable *table, Chunk *chunk, bool locked, GError **error) {
        GString *sql = copier->sql;
        bool more = false;
        g_string_assign(sql, "SELECT ");
        sql_append_select_list(sql, table->schema);
        copy_append_range(sql, table->schema, &chunk->lo, &chunk->hi);
        sql_append_key_order(sql, table->schema);
        if (locked)
                g_string_append(sql, " LOCK IN SHARE MODE");
        ConnStream *rows = conn_stream(copier->up, sql->str, (gssize) sql->len, error);
        if (!rows)
                return false;
        guint64 most = CHUNK_EXCESS * throttle_portion(copier->copy->config.throttle, CHUNK_BYTES);
        bool good = row_buffer_read_all(&copier->rows, table->schema, rows, most, &more, error);
        if (more)
                conn_abort(copier->up); /* rather than reading the rest only to throw it away */
        conn_stream_free(rows);
        if (!good || !more)
                return good;

        const BufferedRow *last = &g_array_index(copier->rows.rows, BufferedRow, copier->rows.rows->len - 1);
        Key hi = {.data = copier->rows.text->str + last->key, .size = last->key_size};
        chunk_map_shrink(table->chunks, chunk, &hi);
        Conn *fresh = conn_open(copier->copy->config.upstream, 0, error);
        if (!fresh)
                return false;
        kill_session(fresh, copier->up);
        pthread_mutex_lock(&copier->copy->lock); /* copy_stop() aborts whatever is there */
        Conn *old = copier->up;
        copier->up = fresh;
        pthread_mutex_unlock(&copier->copy->lock);
        conn_free(old);
        return true;
}

/* --- writing --- */

static void append_marker(Copier *copier, const Horizon *h) {
        const CopyConfig *config = &copier->copy->config;
        g_string_append_printf(copier->sql, "BEGIN;UPDATE %s SET part=%" G_GUINT64_FORMAT, config->ledger->checkpoint, copier->part + 1);
        if (h) {
                g_string_append_printf(copier->sql, ", seq=%" G_GUINT64_FORMAT, h->seq);
                place_append_columns(h->place, copier->sql);
        }
        g_string_append_printf(copier->sql, " WHERE leg=%u AND w=%u AND part=%" G_GUINT64_FORMAT " AND epoch=%" G_GUINT64_FORMAT ";",
                               config->leg, LEDGER_COPIER_BASE + copier->number, copier->part, config->epoch);
}

static void add_chunk_row(Copier *copier, const LinkTable *table, const Key *lo, const Key *hi, guint64 h_seq) {
        GString *sql = copier->finished;
        g_string_append(sql, sql->len > 0 ? ",(" : "(");
        sql_append_string(sql, table->schema->database, strlen(table->schema->database));
        g_string_append_c(sql, ',');
        sql_append_string(sql, table->schema->name, strlen(table->schema->name));
        const Key *bounds[] = {lo, hi};
        for (guint i = 0; i < 2; i++) {
                g_string_append_c(sql, ',');
                if (bounds[i]->data)
                        sql_append_string(sql, bounds[i]->data, bounds[i]->size);
                else
                        g_string_append(sql, "NULL");
        }
        g_string_append_printf(sql, ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ")", h_seq,
                               copier->rows.total_rows, copier->rows.total_bytes);
}

static bool stale(Copier *copier, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                    "the checkpoint of copier %u on %s is not what this agent left there: another agent works on this "
                    "migration, or its state was restored from a copy", copier->number, conn_label(copier->down));
        return false;
}

/* The rows of the buffer in as many INSERTs as needed; each must add all of its rows, without a warning. */
static bool insert_rows(Copier *copier, const LinkTable *table, GError **error) {
        gsize limit = MIN((gsize) 1024 * 1024, conn_max_packet(copier->down) / 2);
        guint next = 0;
        while (next < copier->rows.rows->len) {
                ConnResult result;
                guint warnings;
                g_string_truncate(copier->sql, 0);
                guint count = row_buffer_append_insert(&copier->rows, table->schema, next, limit, copier->sql, &warnings);
                if (!conn_exec(copier->down, copier->sql->str, (gssize) copier->sql->len, &result, error)) {
                        link_table_name_error(table, conn_label(copier->down), error);
                        return false;
                }
                if (result.affected != count || result.warnings != warnings) {
                        g_autofree char *codes = conn_warning_codes(copier->down);
                        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                                    "%s did not store every row of `%s`.`%s` exactly: it added %" G_GUINT64_FORMAT
                                    " of %u rows with %u warnings (%s)", conn_label(copier->down), table->schema->database,
                                    table->schema->name, result.affected, count, result.warnings, codes);
                        return false;
                }
                next += count;
        }
        buffer_trim(copier->sql);
        return true;
}

/* One transaction downstream. FINISH: with what add_chunk_row() gathered up to there, which is then empty again. */
static bool write_transaction(Copier *copier, const LinkTable *table, const Horizon *finish, GError **error) {
        ConnResult results[3];
        gsize done;
        g_string_truncate(copier->sql, 0);
        append_marker(copier, finish);
        if (finish)
                g_string_append_printf(copier->sql, "INSERT INTO %s (db,tbl,lo,hi,h_seq,n_rows,n_bytes) VALUES %s;",
                                       copier->copy->config.ledger->chunk, copier->finished->str);
        bool good = conn_exec_multi(copier->down, copier->sql->str, (gssize) copier->sql->len, results, finish ? 3 : 2, &done, error) &&
                    (results[1].affected == 1 || stale(copier, error)) && insert_rows(copier, table, error) &&
                    conn_exec(copier->down, "COMMIT", -1, NULL, error);
        if (good)
                copier->part++;
        else if (!conn_is_dead(copier->down))
                (void) conn_exec(copier->down, "ROLLBACK", -1, NULL, NULL);
        if (finish)
                g_string_truncate(copier->finished, 0);
        return good;
}

/* Until the reader has passed FILE/OFFSET, however far behind it is, as long as it gets on: after a long pause, or over a slow network, it
 * may need more than any fixed time. */
static bool wait_for_reader(Copier *copier, const char *file, guint64 offset, Horizon *ret, GError **error) {
        Stream *stream = copier->copy->config.stream;
        for (;;) {
                guint64 before = stream_completed(stream);
                g_autoptr(GError) local = NULL;
                if (stream_wait(stream, file, offset, READER_TIMEOUT, &ret->seq, &ret->place, &local))
                        return true;
                if (!g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED) || stream_completed(stream) == before) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
}

/* --- one chunk --- */

/* The table has to rest: rows that it meets below belong to values that are still on their way there (engine.md §1, event rule). */
static ChunkOutcome give_up(Copier *copier, LinkTable *table, GError **error) {
        if (conn_is_dead(copier->down) || !(mysql_error_is_duplicate(*error) || mysql_error_is_retryable(*error)))
                return OUTCOME_FAILED;
        pthread_mutex_lock(&copier->copy->lock);
        /* A lock that somebody holds says nothing about the rows, and goes away. */
        bool again = !mysql_error_is_duplicate(*error) || table->retries++ < MAX_TABLE_RETRIES;
        table->retry_at = clock_monotonic() + USEC_PER_SEC;
        pthread_mutex_unlock(&copier->copy->lock);
        if (!again) {
                g_clear_error(error);
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "rows of `%s`.`%s` cannot be added on %s: it holds rows with the same unique values that do not "
                            "come from this migration", table->schema->database, table->schema->name, conn_label(copier->down));
                return OUTCOME_FAILED;
        }
        g_clear_error(error);
        return OUTCOME_LATER;
}

/* When the connection was lost (or the link is being stopped) the COMMIT may have happened. As long as that is not known the chunk stays in
 * flight, so that the dispatcher waits with its events: dropped as those of a chunk that will be copied later, they would be missing once
 * the next link finds the chunk's row. */
static void cancel_unless_unknown(Copier *copier, LinkTable *table, Chunk *chunk) {
        if (!conn_is_dead(copier->down))
                chunk_map_cancel(table->chunks, chunk);
}

static void adapt(const Copy *copy, LinkTable *table, guint64 rows, gsize bytes) {
        if (rows == 0)
                return;
        guint64 portion = throttle_portion(copy->config.throttle, CHUNK_BYTES);
        guint64 fit = (guint64) ((double) portion / MAX((double) bytes / (double) rows, 1));
        table->chunk_rows = CLAMP(fit, CHUNK_ROWS_MIN, CHUNK_ROWS_MAX);
}

/* Rows that can collide on other keys than their own are brought in when the live rows are at h_seq or later. Then they fit, whatever
 * moved: the live part equals the upstream at some transaction, and it cannot pass one that takes a value away from a row of this chunk,
 * because that event waits for the chunk. Chunks that wait for each other end in the order of their h_seq. */
static bool wait_for_live_rows(Copier *copier, const LinkTable *table, guint64 h_seq, GError **error) {
        while (table->schema->n_unique_secondary > 0) {
                g_autoptr(GError) local = NULL;
                if (apply_wait(copier->copy->config.apply, h_seq, USEC_PER_SEC, &local))
                        break;
                if (!g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED) || g_atomic_int_get(&copier->copy->stop)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
        return true;
}

/* Too much was written to it, or something that cannot be laid over it: a smaller one next, under locks if that is what helps. */
static ChunkOutcome give_up_chunk(LinkTable *table, Chunk *chunk) {
        table->chunk_rows = MAX(table->chunk_rows / 4, CHUNK_ROWS_MIN);
        if (chunk->spoiled)
                g_atomic_int_set(&table->lock_next, 1);
        chunk_map_cancel(table->chunks, chunk);
        return OUTCOME_LATER;
}

/* The rows at ret_h->seq without the help of the side queue: nobody can change them between their SELECT, which waits for every writer, and the
 * reader's arrival at the position after it. */
static bool read_locked(Copier *copier, const LinkTable *table, Chunk *chunk, Horizon *ret_h, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset, session = conn_id(copier->up);
        if (!conn_exec(copier->up, "SET SESSION innodb_lock_wait_timeout=2", -1, NULL, error) ||
            !conn_exec(copier->up, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", -1, NULL, error) ||
            !conn_exec(copier->up, "START TRANSACTION", -1, NULL, error) || !read_range(copier, table, chunk, /* locked= */ true, error) ||
            !conn_binlog_position(copier->up, &file, &offset, error))
                return false;
        if (conn_id(copier->up) != session) { /* cut short, and the locks went with the session */
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "a chunk was too large to be read under locks");
                return false;
        }
        return stream_wait(copier->copy->config.stream, file, offset, LOCK_READER_TIMEOUT, &ret_h->seq, &ret_h->place, error);
}

static ChunkOutcome read_and_close_locked(Copier *copier, LinkTable *table, Chunk *chunk, Horizon *ret_h, GError **error) {
        g_autoptr(GError) local = NULL;
        bool good = read_locked(copier, table, chunk, ret_h, &local);
        if (good)
                g_ptr_array_unref(chunk_map_close_side(table->chunks, chunk, ret_h->seq, /* locked= */ true));
        if (!conn_is_dead(copier->up))
                (void) conn_exec(copier->up, "ROLLBACK", -1, NULL, NULL);
        if (good)
                return OUTCOME_DONE;
        if (conn_is_dead(copier->up) || !(mysql_error_is_retryable(local) || g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED))) {
                chunk_map_cancel(table->chunks, chunk);
                g_propagate_error(error, g_steal_pointer(&local));
                return OUTCOME_FAILED;
        }
        chunk->spoiled = true; /* under locks again */
        pthread_mutex_lock(&copier->copy->lock);
        table->retry_at = clock_monotonic() + USEC_PER_SEC;
        pthread_mutex_unlock(&copier->copy->lock);
        return give_up_chunk(table, chunk);
}

/* Into the buffer what the interval's rows are at ret_h->seq. */
static ChunkOutcome read_and_close(Copier *copier, LinkTable *table, Chunk *chunk, Horizon *ret_h, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        if (g_atomic_int_compare_and_exchange(&table->lock_next, 1, 0))
                return read_and_close_locked(copier, table, chunk, ret_h, error);
        if (!commit_watermark(copier, error) || !read_range(copier, table, chunk, /* locked= */ false, error) ||
            !conn_binlog_position(copier->up, &file, &offset, error) || !wait_for_reader(copier, file, offset, ret_h, error)) {
                chunk_map_cancel(table->chunks, chunk);
                return OUTCOME_FAILED;
        }
        g_autoptr(GPtrArray) side = chunk_map_close_side(table->chunks, chunk, ret_h->seq, /* locked= */ false);
        if (!side)
                return give_up_chunk(table, chunk);
        row_buffer_overlay(&copier->rows, table->schema, &chunk->hi, side);
        return OUTCOME_DONE;
}

static ChunkOutcome copy_interval(Copier *copier, LinkTable *table, Chunk *chunk, GError **error) {
        ChunkMap *map = table->chunks;
        g_auto(Horizon) h = {0};

        row_buffer_reset(&copier->rows);
        ChunkOutcome outcome = read_and_close(copier, table, chunk, &h, error);
        if (outcome != OUTCOME_DONE)
                return outcome;
        if (!wait_for_live_rows(copier, table, h.seq, error)) {
                chunk_map_cancel(map, chunk);
                return OUTCOME_FAILED;
        }
        add_chunk_row(copier, table, &chunk->lo, &chunk->hi, h.seq);
        if (!write_transaction(copier, table, &h, error)) {
                cancel_unless_unknown(copier, table, chunk);
                return give_up(copier, table, error);
        }
        chunk_map_finish(map, chunk, h.seq);
        return OUTCOME_DONE;
}

static ChunkOutcome copy_chunk(Copier *copier, LinkTable *table, Key *lo, Key *limit, GError **error) {
        Key hi = {0};
        if (table->chunk_rows == 0)
                adapt(copier->copy, table, 1, MAX(table->schema->avg_row_bytes, 16));
        if (!probe(copier, table, lo, limit, table->chunk_rows, &hi, error)) {
                chunk_map_release(table->chunks);
                return OUTCOME_FAILED;
        }
        Chunk *chunk = chunk_map_register(table->chunks, lo, hi.data ? &hi : limit, stream_started(copier->copy->config.stream));
        key_clear(&hi);
        ChunkOutcome outcome = copy_interval(copier, table, chunk, error);
        if (outcome == OUTCOME_DONE)
                adapt(copier->copy, table, copier->rows.rows->len, copier->rows.text->len);
        return outcome;
}

/* --- tables under a brief lock --- */

static void report_table(Copy *copy, LinkTable *table) {
        guint64 max_h;
        if (chunk_map_complete(table->chunks, &max_h) && g_atomic_int_compare_and_exchange(&table->reported, 0, 1))
                copy->config.on_table(copy->config.userdata, table);
}

/* What is copied together: TABLES at one h_seq. */
typedef struct LockedCopy {
        GPtrArray *tables; /* of LinkTable */
        GPtrArray *chunks; /* of Chunk, one each */
} LockedCopy;

static bool lock_tables(Conn *locker, const GPtrArray *tables, GError **error) {
        g_autoptr(GString) sql = g_string_new("LOCK TABLES ");
        for (guint i = 0; i < tables->len; i++) {
                const TableSchema *schema = ((const LinkTable *) tables->pdata[i])->schema;
                if (i > 0)
                        g_string_append_c(sql, ',');
                sql_append_table(sql, schema->database, schema->name);
                g_string_append(sql, " READ");
        }
        return conn_exec(locker, "SET SESSION lock_wait_timeout=5, innodb_lock_wait_timeout=5, innodb_table_locks=1, autocommit=0", -1, NULL,
                         error) &&
               conn_exec(locker, sql->str, (gssize) sql->len, NULL, error);
}

/* They are in use here before the lock goes. */
static bool hold_tables(Conn *conn, const GPtrArray *tables, GError **error) {
        for (guint i = 0; i < tables->len; i++) {
                const TableSchema *schema = ((const LinkTable *) tables->pdata[i])->schema;
                g_autofree char *name = sql_table(schema->database, schema->name);
                if (!conn_hold_table(conn, name, HOLD_WAIT, error))
                        return false;
        }
        return true;
}

static bool snapshot(Copier *copier, const GPtrArray *tables, Conn *locker, Horizon *ret_h, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        bool locked = lock_tables(locker, tables, error);
        if (locked)
                failpoint("copy", "locked", "after");
        bool good = locked &&
                    conn_exec(copier->up, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", -1, NULL, error) &&
                    conn_exec(copier->up, "START TRANSACTION WITH CONSISTENT SNAPSHOT", -1, NULL, error) && hold_tables(copier->up, tables, error) &&
                    conn_binlog_position(locker, &file, &offset, error) &&
                    stream_wait(copier->copy->config.stream, file, offset, LOCK_READER_TIMEOUT, &ret_h->seq, &ret_h->place, error);
        if (!conn_is_dead(locker)) {
                g_autoptr(GError) ignored = NULL;
                (void) conn_exec(locker, "COMMIT", -1, NULL, &ignored);
                (void) conn_exec(locker, "UNLOCK TABLES", -1, NULL, NULL);
        }
        return good;
}

/* With a snapshot open: PATIENCE is what is left for it. */
static void wait_for_rate(Copy *copy, LinkTable *table, gint64 *patience) {
        throttle_wait_within(copy->config.throttle, patience, &copy->stop);
        if (*patience > 0 || table->rate_told)
                return;
        table->rate_told = true;
        copy->config.on_burst(copy->config.userdata, table);
}

/* The rows of one table of the snapshot; of the LAST one the final transaction finishes all chunks. */
static bool copy_rows_of(Copier *copier, LinkTable *table, const Chunk *chunk, const Horizon *h, bool last, gint64 *patience, GError **error) {
        Copy *copy = copier->copy;
        g_string_assign(copier->sql, "SELECT ");
        sql_append_select_list(copier->sql, table->schema);
        g_string_append(copier->sql, " FROM ");
        sql_append_table(copier->sql, table->schema->database, table->schema->name);
        g_autoptr(ConnStream) rows = conn_stream(copier->up, copier->sql->str, (gssize) copier->sql->len, error);
        if (!rows)
                return false;
        row_buffer_reset(&copier->rows);
        bool more = true;
        while (more) {
                if (g_atomic_int_get(&copy->stop)) {
                        conn_abort(copier->up);
                        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "copying was stopped");
                        return false;
                }
                row_buffer_next(&copier->rows);
                if (!row_buffer_read(&copier->rows, table->schema, rows, throttle_portion(copy->config.throttle, CHUNK_BYTES), &more, error))
                        return false;
                throttle_charge(copy->config.throttle, copier->rows.text->len);
                if (!more)
                        add_chunk_row(copier, table, &chunk->lo, &chunk->hi, h->seq);
                if (!write_transaction(copier, table, last && !more ? h : NULL, error))
                        return false;
                pthread_mutex_lock(&copy->lock);
                copy->rows += copier->rows.rows->len;
                copy->bytes += copier->rows.text->len;
                pthread_mutex_unlock(&copy->lock);
                if (more) /* the load cannot be asked for: the connection is in the middle of an answer */
                        wait_for_rate(copy, table, patience);
        }
        return true;
}

static bool copy_snapshot(Copier *copier, const LockedCopy *locked, GError **error) {
        Copy *copy = copier->copy;
        g_auto(Horizon) h = {0};
        g_autoptr(Conn) locker = conn_open(copy->config.upstream, 0, error);
        if (!locker || !snapshot(copier, locked->tables, locker, &h, error))
                return false;
        for (guint i = 0; i < locked->tables->len; i++)
                chunk_map_know_h(((LinkTable *) locked->tables->pdata[i])->chunks, locked->chunks->pdata[i], h.seq);
        conn_free(g_steal_pointer(&locker));
        failpoint("copy", "snapshot", "after");

        /* What an interrupted copy left behind. */
        for (guint i = 0; i < locked->tables->len; i++) {
                const TableSchema *schema = ((const LinkTable *) locked->tables->pdata[i])->schema;
                g_autofree char *name = sql_table(schema->database, schema->name);
                if (!conn_execf(copier->down, error, "TRUNCATE /* polarshift */ TABLE %s", name))
                        return false;
        }
        g_string_truncate(copier->finished, 0);
        gint64 patience = SNAPSHOT_PATIENCE;
        for (guint i = 0; i < locked->tables->len; i++)
                if (!copy_rows_of(copier, locked->tables->pdata[i], locked->chunks->pdata[i], &h, i + 1 == locked->tables->len, &patience, error))
                        return false;
        if (!conn_exec(copier->up, "COMMIT", -1, NULL, error))
                return false;
        for (guint i = 0; i < locked->tables->len; i++)
                chunk_map_finish(((LinkTable *) locked->tables->pdata[i])->chunks, locked->chunks->pdata[i], h.seq);
        return true;
}

/* TABLE, whose hole the caller has claimed, and with it all that has to be copied at the same point of the log. */
static ChunkOutcome copy_locked(Copier *copier, LinkTable *table, GError **error) {
        static const Key infinite = {NULL, 0};
        g_autoptr(GPtrArray) tables = g_ptr_array_new(), chunks = g_ptr_array_new();
        LockedCopy locked = {tables, chunks};
        const GPtrArray *family = table->family && table->schema->has_cascade ? table->family->cascaded : NULL;
        for (guint i = 0; i < (family ? family->len : 1); i++)
                g_ptr_array_add(tables, family ? family->pdata[i] : table);
        for (guint i = 0; i < tables->len; i++)
                g_ptr_array_add(chunks, chunk_map_register(((LinkTable *) tables->pdata[i])->chunks, &infinite, &infinite,
                                                           stream_started(copier->copy->config.stream)));

        bool done = copy_snapshot(copier, &locked, error);
        row_buffer_reset(&copier->rows); /* counted and charged already */
        for (guint i = 0; i < tables->len; i++)
                if (done)
                        report_table(copier->copy, tables->pdata[i]);
                else
                        cancel_unless_unknown(copier, tables->pdata[i], chunks->pdata[i]);
        if (done)
                return OUTCOME_DONE;
        bool later = g_error_matches(*error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED) || mysql_error_is_retryable(*error);
        if (!later || conn_is_dead(copier->up))
                return OUTCOME_FAILED;
        (void) conn_exec(copier->up, "ROLLBACK", -1, NULL, NULL);
        if (g_error_matches(*error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED))
                g_clear_error(error);
        else
                return give_up(copier, table, error);
        pthread_mutex_lock(&copier->copy->lock);
        table->retry_at = clock_monotonic() + USEC_PER_SEC;
        pthread_mutex_unlock(&copier->copy->lock);
        return OUTCOME_LATER;
}

/* --- the copiers --- */

static bool is_complete(const Copy *copy) {
        guint64 max_h;
        for (guint i = 0; i < copy->config.tables->list->len; i++) {
                const LinkTable *table = g_ptr_array_index(copy->config.tables->list, i);
                if (table->chunks && !chunk_map_complete(table->chunks, &max_h))
                        return false;
        }
        return true;
}

/* A hole to copy, if any. */
static LinkTable *take_work(Copy *copy, Key *ret_lo, Key *ret_hi) {
        gint64 now = clock_monotonic();
        for (guint i = 0; i < copy->config.tables->list->len; i++) {
                LinkTable *table = g_ptr_array_index(copy->config.tables->list, i);
                bool complete;
                if (!table->chunks) /* it is not copied again */
                        continue;
                pthread_mutex_lock(&copy->lock);
                bool resting = table->retry_at > now;
                pthread_mutex_unlock(&copy->lock);
                if (!resting && family_may_copy(table) && chunk_map_claim_hole(table->chunks, ret_lo, ret_hi, &complete))
                        return table;
        }
        return NULL;
}

static void wait_for_work(Copy *copy) {
        struct timespec until = clock_deadline(100 * USEC_PER_MSEC);
        pthread_mutex_lock(&copy->lock);
        if (!g_atomic_int_get(&copy->stop))
                (void) pthread_cond_timedwait(&copy->changed, &copy->lock, &until);
        pthread_mutex_unlock(&copy->lock);
}

static void account(Copier *copier, LinkTable *table, ChunkOutcome outcome) {
        Copy *copy = copier->copy;
        pthread_mutex_lock(&copy->lock);
        if (outcome == OUTCOME_DONE) {
                table->retries = 0; /* counted in a row, not over the days that a large table takes */
                copy->rows += copier->rows.rows->len;
                copy->bytes += copier->rows.text->len;
        }
        pthread_cond_broadcast(&copy->changed);
        pthread_mutex_unlock(&copy->lock);
}

/* The upstream may have gone on to a definition of the table that holds only behind where the reader is: columns are missing, or hold what
 * they should not. The statement lies between here and there, then, and the reader will halt at it, which is no failure of the copy. An
 * error that is still one when the reader has come to where the upstream is now, is. */
static ChunkOutcome judge_failure(Copier *copier, LinkTable *table, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        g_auto(Horizon) horizon = {0};
        if (g_error_matches(*error, PS_ERROR, PS_ERROR_STOPPED) || mysql_error_is_connection(*error) || conn_is_dead(copier->up) ||
            conn_is_dead(copier->down))
                return OUTCOME_FAILED;
        g_autoptr(GError) first = g_steal_pointer(error);
        (void) conn_exec(copier->up, "ROLLBACK", -1, NULL, NULL);
        if (!conn_binlog_position(copier->up, &file, &offset, error) || !wait_for_reader(copier, file, offset, &horizon, error))
                return OUTCOME_FAILED;
        if (!g_error_matches(first, MYSQL_ERROR, ER_TABLE_DEF_CHANGED)) {
                g_propagate_error(error, g_steal_pointer(&first));
                return OUTCOME_FAILED;
        }
        pthread_mutex_lock(&copier->copy->lock);
        table->retry_at = clock_monotonic() + USEC_PER_SEC;
        pthread_mutex_unlock(&copier->copy->lock);
        return OUTCOME_LATER;
}

/* When copying ended in the middle of an answer. */
static void clean_up_session(Copier *copier) {
        ConnParams params = *copier->copy->config.upstream;
        params.connect_timeout = params.io_timeout = KILL_TIMEOUT; /* somebody waits for our end */
        g_autoptr(Conn) conn = conn_is_dead(copier->up) ? conn_open(&params, 0, NULL) : NULL;
        if (conn)
                kill_session(conn, copier->up);
}

static void copier_run(gpointer data) {
        Copier *copier = data;
        Copy *copy = copier->copy;
        g_autoptr(GError) error = NULL;
        bool complete = false, broken = false;

        while (!g_atomic_int_get(&copy->stop)) {
                Key lo = {0}, hi = {0};
                bool room;
                complete = is_complete(copy);
                if (complete || !throttle_wait_briefly(copy->config.throttle, copier->up, &room, &error))
                        break;
                if (!room)
                        continue;
                LinkTable *table = take_work(copy, &lo, &hi);
                if (!table) {
                        wait_for_work(copy);
                        continue;
                }
                ChunkOutcome outcome = chunk_map_is_whole(table->chunks) ? copy_locked(copier, table, &error)
                                                                         : copy_chunk(copier, table, &lo, &hi, &error);
                key_clear(&lo);
                key_clear(&hi);
                if (outcome == OUTCOME_FAILED && !g_atomic_int_get(&copy->stop))
                        outcome = judge_failure(copier, table, &error);
                account(copier, table, outcome);
                if (outcome == OUTCOME_DONE)
                        report_table(copy, table);
                broken = outcome == OUTCOME_FAILED;
                if (broken)
                        break;
                throttle_charge(copy->config.throttle, copier->rows.text->len);
        }
        if (complete)
                throttle_wake(copy->config.throttle); /* the other copiers, which find out in turn */
        bool last = g_atomic_int_dec_and_test(&copy->running), stopped = g_atomic_int_get(&copy->stop);
        if (error && !stopped)
                copy->config.on_failure(copy->config.userdata, error);
        else if (last && complete && !stopped)
                copy->config.on_done(copy->config.userdata);
        if (broken)
                clean_up_session(copier);
}

static bool prepare(Copy *copy, GError **error) {
        for (guint32 i = 0; i < copy->config.copiers; i++) {
                Copier *copier = &copy->copiers[i];
                copier->copy = copy;
                copier->number = i;
                copier->part = copy->config.checkpoints[i].part;
                copier->sql = g_string_new(NULL);
                copier->finished = g_string_new(NULL);
                row_buffer_init(&copier->rows);
        }
        for (guint32 i = 0; i < copy->config.copiers; i++) {
                Copier *copier = &copy->copiers[i];
                copier->up = conn_open(copy->config.upstream, 0, error);
                copier->down = copier->up ? conn_open(copy->config.downstream, CONN_MULTI_STATEMENTS, error) : NULL;
                if (!copier->down ||
                    !conn_execf(copier->up, error, "INSERT IGNORE INTO %s (id, value) VALUES (%u, 0)",
                                copy->config.ledger->watermark, WATERMARK_BASE + i))
                        return false;
        }
        return true;
}

Copy *copy_new(const CopyConfig *config, GError **error) {
        g_autoptr(Copy) copy = g_new0(Copy, 1);
        copy->config = *config;
        copy->copiers = g_new0(Copier, config->copiers);
        pthread_mutex_init(&copy->lock, /* attr= */ NULL);
        clock_cond_init(&copy->changed);
        if (!prepare(copy, error))
                return NULL;
        return g_steal_pointer(&copy);
}

void copy_run(Copy *copy) {
        copy->running = (gint) copy->config.copiers;
        for (guint32 i = 0; i < copy->config.copiers; i++) {
                g_autofree char *name = g_strdup_printf("copy-%u", i);
                copy->copiers[i].thread = thread_start(name, copier_run, &copy->copiers[i]);
        }
}

void copy_stop(Copy *copy) {
        g_atomic_int_set(&copy->stop, 1);
        throttle_wake(copy->config.throttle);
        pthread_mutex_lock(&copy->lock);
        pthread_cond_broadcast(&copy->changed);
        pthread_mutex_unlock(&copy->lock);
        pthread_mutex_lock(&copy->lock);
        for (guint32 i = 0; i < copy->config.copiers; i++) {
                if (copy->copiers[i].up)
                        conn_abort(copy->copiers[i].up);
                if (copy->copiers[i].down)
                        conn_abort(copy->copiers[i].down);
        }
        pthread_mutex_unlock(&copy->lock);
        for (guint32 i = 0; i < copy->config.copiers; i++)
                thread_join(g_steal_pointer(&copy->copiers[i].thread));
}

void copy_free(Copy *copy) {
        if (!copy)
                return;
        copy_stop(copy);
        for (guint32 i = 0; i < copy->config.copiers; i++) {
                conn_free(copy->copiers[i].up);
                conn_free(copy->copiers[i].down);
                row_buffer_clear(&copy->copiers[i].rows);
                g_string_free(copy->copiers[i].sql, TRUE);
                g_string_free(copy->copiers[i].finished, TRUE);
        }
        g_free(copy->copiers);
        pthread_cond_destroy(&copy->changed);
        pthread_mutex_destroy(&copy->lock);
        g_free(copy);
}

void copy_counters(Copy *copy, guint64 *ret_rows, guint64 *ret_bytes) {
        pthread_mutex_lock(&copy->lock);
        *ret_rows = copy->rows;
        *ret_bytes = copy->bytes;
        pthread_mutex_unlock(&copy->lock);
}
