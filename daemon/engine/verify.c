/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares both sides chunk by chunk while people write.
 *
 *   1. reader thread, upstream: the next range of keys, its aggregate A, and then the binary log's position
 * H. What the aggregate saw was in the log before it was visible, so it is at or before H (engine.md §1: the
 * other way round proves nothing).
 *   2. this thread, downstream: once everything up to H is applied, the aggregate of the same range. Equal:
 * done.
 *   3. Otherwise somebody wrote in between, or rows differ: verify-rows.c looks at the rows.
 *
 * The reader runs ahead by a few chunks, so that both servers work at the same time. */

#include "engine/verify.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"
#include "base/thread.h"
#include "engine/verify-internal.h"
#include "engine/verify-point.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define DEFAULT_CHUNK_BYTES (4u << 20)
#define CHUNK_ROWS_MIN 64
#define CHUNK_ROWS_MAX 20000
#define CHUNKS_AHEAD 8
#define DIFFERENCES_MAX 1000
#define REPAIR_PASSES 3
#define ER_BAD_DB 1049
#define ER_NO_SUCH_TABLE 1146

/* ---- one table's texts */

static const Index *row_key_index(const TableSchema *table) {
        for (guint i = 0; i < table->indexes->len; i++) {
                const Index *index = table->indexes->pdata[i];
                if (!index->unique || index->prefix || index->columns->len != table->key->len)
                        continue;
                if (memcmp(index->columns->data, table->key->data, table->key->len * sizeof(unsigned)) == 0)
                        return index;
        }
        return NULL;
}

VerifyTable *verify_table_new(const TableSchema *table, guint64 chunk_bytes) {
        VerifyTable *v = g_new0(VerifyTable, 1);
        v->table = table;
        v->name = sql_table(table->database, table->name);

        v->key_view = *table;
        v->key_view.columns = g_ptr_array_new();
        v->key_view.key = g_array_new(FALSE, FALSE, sizeof(unsigned));
        for (unsigned i = 0; i < table->key->len; i++) {
                g_ptr_array_add(v->key_view.columns,
                                table->columns->pdata[g_array_index(table->key, unsigned, i)]);
                g_array_append_val(v->key_view.key, i);
        }

        GString *from = g_string_new(" FROM ");
        g_string_append(from, v->name);
        const Index *index = row_key_index(table);
        if (index) {
                g_string_append(from, " FORCE INDEX (");
                sql_append_identifier(from, index->name);
                g_string_append(from, ")");
        }
        v->from = g_string_free(from, FALSE);

        GString *select = g_string_new(NULL);
        sql_append_select_list(select, &v->key_view);
        v->key_select = g_string_free(select, FALSE);
        GString *order = g_string_new(NULL);
        sql_append_key_order(order, table);
        v->key_order = g_string_free(order, FALSE);
        GString *hash = g_string_new(NULL);
        sql_append_row_hash(hash, table);
        v->row_hash = g_string_free(hash, FALSE);
        v->zeros_alike = true;

        guint64 bytes = chunk_bytes ? chunk_bytes : DEFAULT_CHUNK_BYTES;
        v->chunk_rows = CLAMP(bytes / MAX(table->avg_row_bytes, 1), CHUNK_ROWS_MIN, CHUNK_ROWS_MAX);
        return v;
}

void verify_table_tell_zeros_apart(VerifyTable *table) {
        GString *hash = g_string_new(NULL);
        sql_append_row_identity(hash, table->table);
        g_free(table->row_hash);
        table->row_hash = g_string_free(hash, FALSE);
        table->zeros_alike = false;
}

void verify_table_free(VerifyTable *table) {
        if (!table)
                return;
        g_clear_pointer(&table->key_view.columns, g_ptr_array_unref);
        g_clear_pointer(&table->key_view.key, g_array_unref);
        g_free(table->name);
        g_free(table->from);
        g_free(table->key_select);
        g_free(table->key_order);
        g_free(table->row_hash);
        g_free(table);
}

void verify_append_range(GString *sql, const VerifyTable *table, char *const *lo, char *const *hi) {
        if (!lo && !hi)
                return;
        g_string_append(sql, " WHERE ");
        if (lo)
                sql_append_key_bound(sql, table->table, ">", (const char *const *)lo);
        if (lo && hi)
                g_string_append(sql, " AND ");
        if (hi)
                sql_append_key_bound(sql, table->table, "<=", (const char *const *)hi);
}

char **verify_key_of_row(const VerifyTable *table, char **row, const unsigned long *lengths, GError **error) {
        guint n = table->key_view.columns->len;
        g_auto(GStrv) key = g_new0(char *, n + 1);

        for (guint i = 0; i < n; i++) {
                g_autoptr(GString) literal = g_string_new(NULL);
                if (!value_literal_from_text(table->key_view.columns->pdata[i], row[i], lengths[i], literal,
                                             error)) {
                        g_prefix_error(error, "row key of %s: ", table->name);
                        return NULL;
                }
                key[i] = g_string_free(g_steal_pointer(&literal), FALSE);
        }
        return g_steal_pointer(&key);
}

char *verify_key_text(char *const *key) {
        return g_strjoinv(",", (char **)key);
}

/* As sql_append_chunk_checksum(), with each row's hash computed once: the inner SELECT gives it, the outer
 * one takes both halves. That is half of the time on MySQL 5.6 (measured: 38 instead of 81 ms of processor
 * time for 20,000 rows). The LIMIT keeps newer servers from making one SELECT of the two again. */
bool verify_aggregate(Conn *conn, const VerifyTable *table, char *const *lo, char *const *hi, char **ret_sum,
                      guint64 *ret_rows, GError **error) {
        g_autoptr(GString) sql = g_string_new("SELECT COUNT(*)");
        for (unsigned half = 0; half < 2; half++)
                g_string_append_printf(sql, ",HEX(BIT_XOR(CAST(CONV(SUBSTRING(h,%u,16),16,10) AS UNSIGNED)))",
                                       half * 16 + 1);
        g_string_append_printf(sql, " FROM (SELECT %s AS h%s", table->row_hash, table->from);
        verify_append_range(sql, table, lo, hi);
        g_string_append_printf(sql, " LIMIT %" G_GUINT64_FORMAT ") AS d", G_MAXUINT64);

        g_autoptr(ConnRows) rows = conn_query(conn, sql->str, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row || !row[0]) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: no aggregate of %s", conn_label(conn),
                            table->name);
                return false;
        }
        GString *sum = g_string_new(NULL);
        for (unsigned i = 0; i < conn_rows_columns(rows); i++)
                g_string_append_printf(sum, "%s ", row[i] ? row[i] : "NULL");
        *ret_rows = g_ascii_strtoull(row[0], NULL, 10);
        *ret_sum = g_string_free(sum, FALSE);
        return true;
}

bool verify_stopped(const VerifyInput *input, GError **error) {
        if (!input->stop || !g_atomic_int_get(input->stop))
                return false;
        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "the comparison was told to stop");
        return true;
}

/* ---- the reader */

typedef struct Chunk {
        guint table; /* index */
        char **lo, **hi;
        char *sum;
        guint64 rows;
        char *file;
        guint64 offset;
} Chunk;

static void chunk_free(gpointer p) {
        Chunk *chunk = p;
        if (!chunk)
                return;
        g_strfreev(chunk->lo);
        g_strfreev(chunk->hi);
        g_free(chunk->sum);
        g_free(chunk->file);
        g_free(chunk);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Chunk, chunk_free)

typedef struct Reader {
        const VerifyInput *input;
        const GPtrArray *tables; /* of VerifyTable */
        const VerifyPoint *resume; /* or NULL */
        Queue *queue;            /* of Chunk */
        guint64 unpaid;          /* see Verify */
        GError *error;           /* valid once it is joined */
} Reader;

/* The key that ends the range; NULL without error: the range is the last one. */
static bool find_end(Conn *conn, const VerifyTable *table, char *const *lo, char ***ret_hi, GError **error) {
        g_autoptr(GString) sql = g_string_new("SELECT ");
        g_string_append(sql, table->key_select);
        g_string_append(sql, table->from);
        verify_append_range(sql, table, lo, NULL);
        g_string_append(sql, table->key_order);
        g_string_append_printf(sql, " LIMIT 1 OFFSET %" G_GUINT64_FORMAT, table->chunk_rows - 1);

        g_autoptr(ConnRows) rows = conn_query(conn, sql->str, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        const unsigned long *lengths = conn_rows_lengths(rows);
        if (!row) {
                *ret_hi = NULL;
                return true;
        }
        *ret_hi = verify_key_of_row(table, row, lengths, error);
        return *ret_hi != NULL;
}

static bool read_table(Reader *reader, Conn *conn, guint index, GError **error) {
        const VerifyTable *table = reader->tables->pdata[index];
        const VerifyInput *input = reader->input;
        VerifyResume resume = verify_point_resume(reader->resume, table->table);
        g_auto(GStrv) lo = resume == VERIFY_RESUME_AT ? g_strdupv(reader->resume->key) : NULL;
        bool last;

        if (resume == VERIFY_RESUME_SKIP)
                return true;
        do {
                if (verify_stopped(input, error) ||
                    (input->wait_for_room && !input->wait_for_room(input->userdata, conn, reader->unpaid, error)) ||
                    verify_stopped(input, error))
                        return false;
                g_autoptr(Chunk) chunk = g_new0(Chunk, 1);
                chunk->table = index;
                chunk->lo = g_strdupv(lo);
                if (!find_end(conn, table, lo, &chunk->hi, error) ||
                    !verify_aggregate(conn, table, chunk->lo, chunk->hi, &chunk->sum, &chunk->rows, error) ||
                    !conn_binlog_position(conn, &chunk->file, &chunk->offset, error))
                        return false;
                last = !chunk->hi;
                reader->unpaid = chunk->rows * table->table->avg_row_bytes;
                g_strfreev(lo);
                lo = g_strdupv(chunk->hi);
                if (!queue_push(reader->queue, g_steal_pointer(&chunk), 1)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "nobody takes chunks any more");
                        return false;
                }
        } while (!last);
        return true;
}

Conn *verify_open_upstream(const VerifyInput *input, GError **error) {
        g_autoptr(Conn) conn = conn_open(input->upstream, 0, error);
        if (!conn || (input->lock_wait > 0 && !conn_execf(conn, error, "SET SESSION lock_wait_timeout=%u", input->lock_wait)))
                return NULL;
        return g_steal_pointer(&conn);
}

static void reader_main(gpointer data) {
        Reader *reader = data;
        g_autoptr(Conn) conn = verify_open_upstream(reader->input, &reader->error);
        for (guint i = 0; conn && i < reader->tables->len; i++)
                if (!read_table(reader, conn, i, &reader->error))
                        break;
        queue_close(reader->queue, /* discard= */ false);
}

/* ---- comparing */

void verify_result_clear(VerifyResult *result) {
        g_clear_pointer(&result->differences, g_ptr_array_unref);
        *result = (VerifyResult){0};
}

void verify_add_difference(Verify *verify, const VerifyTable *table, const char *key, const char *what) {
        verify->result->different++;
        if (verify->result->differences->len >= DIFFERENCES_MAX)
                return;
        g_autofree char *text = key ? g_strdup_printf("%s key (%s): %s", table->name, key, what)
                                    : g_strdup_printf("%s: %s", table->name, what);
        g_ptr_array_add(verify->result->differences, g_utf8_make_valid(text, -1));
}

static double verify_seconds(const Verify *verify) {
        return verify->seconds_before + (double)(clock_monotonic() - verify->begin) / (double)USEC_PER_SEC;
}

static bool compare_chunk(Verify *verify, const VerifyTable *table, const Chunk *chunk, bool *ret_missing,
                          GError **error) {
        const VerifyInput *input = verify->input;
        g_autofree char *sum = NULL;
        g_autoptr(GError) e = NULL;
        guint64 rows;

        if (!input->wait_applied(input->userdata, chunk->file, chunk->offset, -1, error))
                return false;
        if (!verify_aggregate(verify->down, table, chunk->lo, chunk->hi, &sum, &rows, &e)) {
                if (!g_error_matches(e, MYSQL_ERROR, ER_NO_SUCH_TABLE) &&
                    !g_error_matches(e, MYSQL_ERROR, ER_BAD_DB)) {
                        g_propagate_error(error, g_steal_pointer(&e));
                        return false;
                }
                verify_add_difference(verify, table, NULL, "the table is missing below");
                *ret_missing = true;
                return true;
        }
        verify->result->chunks++;
        verify->result->rows += chunk->rows;
        return strcmp(sum, chunk->sum) == 0 || verify_look_closer(verify, table, chunk->lo, chunk->hi, error);
}

/* A repair that removes rows which it did not look at wants the whole table compared again: so of a table where that can happen nothing is
 * done before all of it is. */
static void report_point(Verify *verify, const VerifyTable *table, const Chunk *chunk) {
        const TableSchema *schema = table->table;
        bool pieces = !verify->input->repair || schema->n_unique_secondary == 0;
        if (verify->again)
                verify->behind_done = true;
        if (!verify->input->reached || verify->behind_done || (chunk->hi && !pieces))
                return;
        VerifyPoint point = {
                .database = schema->database,
                .table = schema->name,
                .key = chunk->hi,
                .whole = !chunk->hi,
                .result = *verify->result,
        };
        point.result.seconds = verify_seconds(verify);
        verify->input->reached(verify->input->userdata, verify_point_copy(&point));
}

/* Compares TABLES; *ret_again (may be NULL) gets those that want another pass. */
static bool compare_tables(Verify *verify, const GPtrArray *tables, guint64 rows_total, GPtrArray *again,
                           GError **error) {
        g_autoptr(Queue) queue = queue_new(CHUNKS_AHEAD, chunk_free);
        Reader reader = {.input = verify->input, .tables = tables, .queue = queue, .resume = verify->resume, .unpaid = verify->unpaid};
        Thread *thread = thread_start("verify", reader_main, &reader);
        guint current = G_MAXUINT;
        bool ok = true, skip = false;

        while (ok) {
                g_autoptr(Chunk) chunk = queue_pop(queue, -1, NULL);
                if (!chunk)
                        break;
                const VerifyTable *table = tables->pdata[chunk->table];
                if (chunk->table != current) {
                        current = chunk->table;
                        skip = false;
                }
                if (skip)
                        continue;
                verify->again = false;
                ok = !verify_stopped(verify->input, error) &&
                     compare_chunk(verify, table, chunk, &skip, error);
                if (ok && verify->again && again &&
                    (again->len == 0 || again->pdata[again->len - 1] != table->table))
                        g_ptr_array_add(again, (gpointer)table->table);
                if (ok && again)
                        report_point(verify, table, chunk);
                if (ok && verify->input->progress)
                        verify->input->progress(verify->input->userdata,
                                                MIN(verify->result->rows, rows_total), rows_total);
        }
        queue_close(queue, /* discard= */ true);
        thread_join(thread);
        verify->unpaid = reader.unpaid;
        if (!ok) {
                g_clear_error(&reader.error);
                return false;
        }
        if (reader.error) {
                g_propagate_error(error, reader.error);
                return false;
        }
        return true;
}

static bool compare_multisets(Verify *verify, guint64 rows_total, GError **error) {
        for (guint i = 0; i < verify->input->tables->len; i++) {
                const TableSchema *schema = verify->input->tables->pdata[i];
                if (schema->key->len > 0)
                        continue;
                if (!verify_multiset(verify, schema, error))
                        return false;
                if (verify->input->progress)
                        verify->input->progress(verify->input->userdata, MIN(verify->result->rows, rows_total), rows_total);
        }
        return true;
}

static void free_verify_table(gpointer p) {
        verify_table_free(p);
}

static GPtrArray *prepare(const GPtrArray *schemas, guint64 chunk_bytes, guint64 *ret_rows) {
        g_autoptr(GPtrArray) tables = g_ptr_array_new_with_free_func(free_verify_table);
        guint64 rows = 0;
        for (guint i = 0; i < schemas->len; i++) {
                const TableSchema *schema = schemas->pdata[i];
                rows += schema->rows_estimate;
                if (schema->key->len > 0)
                        g_ptr_array_add(tables, verify_table_new(schema, chunk_bytes));
        }
        *ret_rows = rows;
        return g_steal_pointer(&tables);
}

static bool run_passes(Verify *verify, GError **error) {
        g_autoptr(GPtrArray) schemas = NULL;

        for (unsigned pass = 0; pass < (verify->input->repair ? REPAIR_PASSES : 1); pass++) {
                guint64 rows_total;
                g_autoptr(GPtrArray) again = g_ptr_array_new();
                g_autoptr(GPtrArray) tables = prepare(schemas ? schemas : verify->input->tables,
                                                      verify->input->chunk_bytes, &rows_total);
                if (pass == 0)
                        verify->result->tables = verify->input->tables->len;
                if (!compare_tables(verify, tables, rows_total, again, error))
                        return false;
                if (pass == 0 && !compare_multisets(verify, rows_total, error))
                        return false;
                verify->resume = NULL;
                verify->behind_done = true;
                if (again->len == 0)
                        return true;
                g_clear_pointer(&schemas, g_ptr_array_unref);
                schemas = g_steal_pointer(&again);
        }
        return true;
}

static void take_earlier(Verify *verify) {
        const VerifyResult *earlier = &verify->resume->result;
        GPtrArray *differences = verify->result->differences;
        *verify->result = *earlier;
        verify->result->differences = differences;
        for (guint i = 0; earlier->differences && i < earlier->differences->len; i++)
                g_ptr_array_add(differences, g_strdup(earlier->differences->pdata[i]));
        verify->seconds_before = earlier->seconds;
}

bool verify_run(const VerifyInput *input, VerifyResult *ret, GError **error) {
        VerifyResult result = {.differences = g_ptr_array_new_with_free_func(g_free)};
        Verify verify = {.input = input, .result = &result, .resume = input->resume, .begin = clock_monotonic()};
        if (input->resume)
                take_earlier(&verify);

        verify.down = conn_open(input->downstream, input->repair ? CONN_MULTI_STATEMENTS : 0, error);
        bool ok = verify.down && run_passes(&verify, error);
        conn_free(verify.down);
        conn_free(verify.hold);
        result.seconds = verify_seconds(&verify);
        if (!ok) {
                verify_result_clear(&result);
                return false;
        }
        *ret = result;
        return true;
}
