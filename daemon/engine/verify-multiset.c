/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing tables without a row key: their rows cannot be looked at in ranges, and not be named, only counted.
 *
 *   1. The hashes of all rows are read, upstream and then (once what was logged until then is applied) downstream, and summed up in buckets.
 *      Sums, not XOR, which two equal rows would leave no trace in. Equal: done.
 *   2. Otherwise both sides are read as they were at one moment: with LOCK TABLES … READ upstream (autocommit=0, so that it waits for every
 *      writer) a snapshot is taken there, and another one downstream as soon as everything is applied; then the lock goes. Writers wait
 *      for a moment, not for the reading, and what differs between the snapshots, differs.
 *   3. Buckets that differ are read again, hash by hash, so many at a time as fit into memory.
 *   4. Repair: the rows behind those hashes are read from the snapshots, and the difference is brought in as an applier would (apply-multiset.c),
 *      counted. It stays the same whatever is applied meanwhile. */

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/apply-multiset.h"
#include "engine/key.h"
#include "engine/verify-internal.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define BUCKETS 4096
#define HASH_DIGITS 32            /* of each row's hash */
#define ROWS_AT_A_TIME 200000     /* of buckets that differ */
#define IMAGES_PER_REPAIR 500
#define HOLD_USEC (3 * USEC_PER_SEC) /* how long writers wait for us at most */
#define HOLD_WAIT 1u /* s */
#define ATTEMPTS_MAX 30
#define REPAIR_ATTEMPTS 5
#define ROWS_PER_STOP_CHECK 1024
#define ER_BAD_DB 1049
#define ER_NO_SUCH_TABLE 1146

typedef struct Sketch {
        guint64 rows;
        struct {
                guint64 count, a, b;
        } buckets[BUCKETS];
} Sketch;

/* One image that is not there as often on both sides. */
typedef struct Image {
        guint64 a, b; /* its hash */
        guint64 above, below;
} Image;

typedef struct Comparison {
        Verify *verify;
        const VerifyTable *table;
        Conn *up, *down, *writer;
        Sketch *above, *below;
} Comparison;

static void comparison_clear(Comparison *comparison) {
        conn_free(comparison->up);
        conn_free(comparison->down);
        conn_free(comparison->writer);
        g_free(comparison->above);
        g_free(comparison->below);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Comparison, comparison_clear)

/* --- reading hashes --- */

static bool parse_hash(const char *text, guint64 *ret_a, guint64 *ret_b) {
        char half[17] = "";
        if (!text || strlen(text) != HASH_DIGITS || strspn(text, "0123456789abcdefABCDEF") != HASH_DIGITS)
                return false;
        memcpy(half, text, 16);
        *ret_a = g_ascii_strtoull(half, NULL, 16);
        *ret_b = g_ascii_strtoull(text + 16, NULL, 16);
        return true;
}

static guint bucket_of(guint64 a) {
        return (guint) (a >> 52);
}

typedef void (*HashFunc)(gpointer userdata, guint64 a, guint64 b);

static bool read_hashes(Comparison *comparison, Conn *conn, HashFunc func, gpointer userdata, GError **error) {
        const VerifyTable *table = comparison->table;
        g_autofree char *sql = g_strdup_printf("SELECT SUBSTRING(%s,1,%u) FROM %s", table->row_hash, HASH_DIGITS, table->name);
        g_autoptr(ConnStream) rows = conn_stream(conn, sql, -1, error);
        if (!rows)
                return false;
        for (guint64 n = 0;; n++) {
                char **row;
                guint64 a, b;
                bool good = (n % ROWS_PER_STOP_CHECK != 0 || !verify_stopped(comparison->verify->input, error)) &&
                            conn_stream_next(rows, &row, NULL, error);
                if (good && !row)
                        return true;
                if (good && !parse_hash(row[0], &a, &b)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: no hash of a row of %s", conn_label(conn), table->name);
                        good = false;
                }
                if (!good) {
                        conn_abort(conn); /* rather than reading the rest only to throw it away */
                        return false;
                }
                func(userdata, a, b);
        }
}

static void add_to_sketch(gpointer userdata, guint64 a, guint64 b) {
        Sketch *sketch = userdata;
        guint bucket = bucket_of(a);
        sketch->rows++;
        sketch->buckets[bucket].count++;
        sketch->buckets[bucket].a += a;
        sketch->buckets[bucket].b += b;
}

static bool read_sketch(Comparison *comparison, Conn *conn, Sketch *ret, GError **error) {
        memset(ret, 0, sizeof *ret);
        bool good = read_hashes(comparison, conn, add_to_sketch, ret, error);
        /* The limits are of the upstream. They are asked for before a table only: what is between two readings, or has a snapshot open, should
         * not last. */
        if (conn == comparison->up)
                comparison->verify->unpaid += ret->rows * comparison->table->table->avg_row_bytes;
        return good;
}

static bool bucket_differs(const Comparison *comparison, guint i) {
        return memcmp(&comparison->above->buckets[i], &comparison->below->buckets[i], sizeof comparison->above->buckets[i]) != 0;
}

static bool sketches_equal(const Comparison *comparison) {
        for (guint i = 0; i < BUCKETS; i++)
                if (bucket_differs(comparison, i))
                        return false;
        return true;
}

/* --- at one moment --- */

static bool start_snapshot(Conn *conn, GError **error) {
        return conn_exec(conn, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", -1, NULL, error) &&
               conn_exec(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT", -1, NULL, error);
}

/* Snapshots of both sides that have the same transactions in this table. *RET_FILE and *RET_OFFSET: how far the downstream has to come before
 * it makes sense to try again. */
static bool take_snapshots(Comparison *comparison, Conn *locker, char **ret_file, guint64 *ret_offset, GError **error) {
        const VerifyInput *input = comparison->verify->input;
        return conn_execf(locker, error, "LOCK TABLES %s READ", comparison->table->name) && start_snapshot(comparison->up, error) &&
               conn_hold_table(comparison->up, comparison->table->name, HOLD_WAIT, error) && conn_binlog_position(locker, ret_file, ret_offset, error) &&
               input->wait_applied(input->userdata, *ret_file, *ret_offset, HOLD_USEC, error) && start_snapshot(comparison->down, error);
}

static bool take_snapshots_patiently(Comparison *comparison, GError **error) {
        const VerifyInput *input = comparison->verify->input;
        for (guint attempt = 1;; attempt++) {
                g_autoptr(GError) local = NULL;
                g_autofree char *file = NULL;
                guint64 offset;
                if (verify_stopped(input, error))
                        return false;
                g_autoptr(Conn) locker = conn_open(input->upstream, 0, error);
                if (!locker || !conn_exec(locker, "SET SESSION lock_wait_timeout=2, innodb_lock_wait_timeout=2, innodb_table_locks=1, autocommit=0", -1, NULL, error))
                        return false;
                bool good = take_snapshots(comparison, locker, &file, &offset, &local);
                conn_free(g_steal_pointer(&locker)); /* and its lock */
                if (good)
                        return true;
                bool again = mysql_error_is_retryable(local) || g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED);
                if (!again || conn_is_dead(comparison->up) || conn_is_dead(comparison->down)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                if (attempt == ATTEMPTS_MAX) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "%s could not be compared in %u attempts: %s; end the transaction that holds it and verify again",
                                    comparison->table->name, attempt, local->message);
                        return false;
                }
                /* It was slow: let it come here without anybody waiting for us. */
                if (!conn_exec(comparison->up, "ROLLBACK", -1, NULL, error) || !conn_exec(comparison->down, "ROLLBACK", -1, NULL, error) ||
                    (file && !input->wait_applied(input->userdata, file, offset, -1, error)))
                        return false;
        }
}

/* --- image by image --- */

typedef struct Tally {
        bool wanted[BUCKETS];
        GHashTable *images; /* set of Image */
        bool above;
} Tally;

static guint image_hash(gconstpointer data) {
        return (guint) ((const Image *) data)->b;
}

static gboolean image_equal(gconstpointer x, gconstpointer y) {
        const Image *a = x, *b = y;
        return a->a == b->a && a->b == b->b;
}

static void add_to_tally(gpointer userdata, guint64 a, guint64 b) {
        Tally *tally = userdata;
        if (!tally->wanted[bucket_of(a)])
                return;
        Image probe = {.a = a, .b = b}, *image = g_hash_table_lookup(tally->images, &probe);
        if (!image) {
                image = g_memdup2(&probe, sizeof probe);
                g_hash_table_add(tally->images, image);
        }
        if (tally->above)
                image->above++;
        else
                image->below++;
}

static char *image_text(const Image *image) {
        return g_strdup_printf("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", image->a, image->b);
}

static void report(const Comparison *comparison, const Image *image) {
        g_autofree char *hash = image_text(image);
        g_autofree char *text = g_strdup_printf("row with hash %s: %" G_GUINT64_FORMAT " above, %" G_GUINT64_FORMAT " below", hash,
                                                image->above, image->below);
        verify_add_difference(comparison->verify, comparison->table, NULL, text);
        /* that counted one row */
        comparison->verify->result->different += MAX(image->above, image->below) - MIN(image->above, image->below) - 1;
}

/* --- repair --- */

typedef struct Repair {
        Comparison *comparison;
        const GPtrArray *images;
        GHashTable *by_hash; /* char * → Image */
        LinkTable table;
        GStringChunk *tuples;
        Multiset *set;
} Repair;

static bool take_tuple(Repair *repair, const Image *image, char **row, const unsigned long *lengths, GError **error) {
        const TableSchema *schema = repair->table.schema;
        g_autoptr(GString) tuple = g_string_new(NULL);
        guint field = 0, enum_zeros = 0;
        for (guint i = 0; i < schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(schema->columns, i);
                if (column->generated)
                        continue;
                g_autoptr(GString) literal = g_string_new(NULL);
                if (!value_literal_from_text(column, row[field], lengths[field], literal, error))
                        return false;
                g_string_append_c(tuple, field++ == 0 ? '(' : ',');
                multiset_append_literal(tuple, &repair->table, column, literal->str, literal->len);
                enum_zeros += column->kind == COLUMN_KIND_ENUM && strcmp(literal->str, "0") == 0;
        }
        g_string_append_c(tuple, ')');
        const char *kept = g_string_chunk_insert_len(repair->tuples, tuple->str, (gssize) tuple->len);
        multiset_add(repair->set, kept, tuple->len, key_hash(kept, tuple->len), (gint64) (image->above - image->below), enum_zeros);
        return true;
}

/* One row of each image that ABOVE (or below) has more of, from the snapshot that has it. */
static bool fetch_images(Repair *repair, bool above, GError **error) {
        const VerifyTable *table = repair->comparison->table;
        Conn *conn = above ? repair->comparison->up : repair->comparison->down;
        g_autoptr(GString) sql = g_string_new("SELECT ");
        sql_append_select_list(sql, table->table);
        g_string_append_printf(sql, ",SUBSTRING(%s,1,%u) FROM %s WHERE SUBSTRING(%s,1,%u)", table->row_hash, HASH_DIGITS, table->name,
                               table->row_hash, HASH_DIGITS);
        const char *separator = " IN (";
        for (guint i = 0; i < repair->images->len; i++) {
                const Image *image = g_ptr_array_index(repair->images, i);
                if ((image->above > image->below) != above)
                        continue;
                g_autofree char *hash = image_text(image);
                g_string_append_printf(sql, "%s'%s'", separator, hash);
                separator = ",";
        }
        if (*separator != ',')
                return true;
        g_string_append_c(sql, ')');
        g_autoptr(ConnStream) rows = conn_stream(conn, sql->str, (gssize) sql->len, error);
        if (!rows)
                return false;
        guint hash = conn_stream_columns(rows) - 1;
        for (;;) {
                char **row;
                const unsigned long *lengths;
                if (!conn_stream_next(rows, &row, &lengths, error))
                        return false;
                if (!row)
                        return true;
                g_autofree char *key = g_ascii_strdown(row[hash] ? row[hash] : "", -1);
                const Image *image = g_hash_table_lookup(repair->by_hash, key);
                if (!image) /* seen before */
                        continue;
                if (!take_tuple(repair, image, row, lengths, error)) {
                        conn_abort(conn);
                        return false;
                }
                g_hash_table_remove(repair->by_hash, key);
        }
}

static bool write_images(Repair *repair, GError **error) {
        const VerifyInput *input = repair->comparison->verify->input;
        Conn *writer = repair->comparison->writer;
        gsize limit = MIN((gsize) 1 << 20, conn_max_packet(writer) / 2);
        for (guint attempt = 1;; attempt++) {
                g_autoptr(GError) local = NULL;
                if (input->begin_marked(input->userdata, writer, &local) && multiset_apply(repair->set, writer, limit, &local) &&
                    conn_exec(writer, "COMMIT", -1, NULL, &local))
                        return true;
                if (!conn_is_dead(writer))
                        (void) conn_exec(writer, "ROLLBACK", -1, NULL, NULL);
                /* An applier may have come between counting and deleting. */
                bool again = mysql_error_is_retryable(local) || g_error_matches(local, PS_ERROR, PS_ERROR_DATA_MISMATCH);
                if (!again || attempt == REPAIR_ATTEMPTS || conn_is_dead(writer)) {
                        g_propagate_prefixed_error(error, g_steal_pointer(&local), "repair of %s: ", repair->comparison->table->name);
                        return false;
                }
        }
}

static bool repair_images(Comparison *comparison, const GPtrArray *images, GError **error) {
        const VerifyInput *input = comparison->verify->input;
        if (!comparison->writer)
                comparison->writer = conn_open(input->downstream, CONN_LONG_IO, error);
        if (!comparison->writer)
                return false;
        g_autoptr(GHashTable) by_hash = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; i < images->len; i++)
                g_hash_table_insert(by_hash, image_text(g_ptr_array_index(images, i)), g_ptr_array_index(images, i));
        Repair repair = {
                .comparison = comparison,
                .images = images,
                .by_hash = by_hash,
                .table = {.schema = (TableSchema *) comparison->table->table, .multiset = true, .zeros_alike = comparison->table->zeros_alike},
                .tuples = g_string_chunk_new(64 * 1024),
        };
        repair.set = multiset_new(&repair.table);
        bool good = fetch_images(&repair, /* above= */ true, error) && fetch_images(&repair, /* above= */ false, error);
        if (good && g_hash_table_size(by_hash) > 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "repair of %s: rows were not found again by their hash",
                            comparison->table->name);
                good = false;
        }
        good = good && write_images(&repair, error);
        multiset_free(repair.set);
        g_string_chunk_free(repair.tuples);
        return good;
}

/* --- a table --- */

static bool settle_images(Comparison *comparison, GHashTable *images, GError **error) {
        g_autoptr(GPtrArray) differing = g_ptr_array_new();
        GHashTableIter iter;
        gpointer key;
        g_hash_table_iter_init(&iter, images);
        while (g_hash_table_iter_next(&iter, &key, NULL)) {
                const Image *image = key;
                if (image->above == image->below)
                        continue;
                report(comparison, image);
                g_ptr_array_add(differing, key);
                if (comparison->verify->input->repair && differing->len == IMAGES_PER_REPAIR) {
                        if (!repair_images(comparison, differing, error))
                                return false;
                        g_ptr_array_set_size(differing, 0);
                }
        }
        return differing->len == 0 || !comparison->verify->input->repair || repair_images(comparison, differing, error);
}

/* Whose sums differ, so many at a time as fit into memory. */
static bool look_into_buckets(Comparison *comparison, GError **error) {
        g_autofree Tally *tally = g_new0(Tally, 1);
        for (guint next = 0; next < BUCKETS;) {
                guint64 rows = 0;
                guint n = 0;
                memset(tally->wanted, 0, sizeof tally->wanted);
                for (; next < BUCKETS && (n == 0 || rows < ROWS_AT_A_TIME); next++) {
                        if (!bucket_differs(comparison, next))
                                continue;
                        tally->wanted[next] = true;
                        n++;
                        rows += comparison->above->buckets[next].count + comparison->below->buckets[next].count;
                }
                if (n == 0)
                        break;
                g_autoptr(GHashTable) images = g_hash_table_new_full(image_hash, image_equal, g_free, NULL);
                tally->images = images;
                tally->above = true;
                if (!read_hashes(comparison, comparison->up, add_to_tally, tally, error))
                        return false;
                tally->above = false;
                if (!read_hashes(comparison, comparison->down, add_to_tally, tally, error) || !settle_images(comparison, images, error))
                        return false;
        }
        return true;
}

static bool is_missing(const GError *error) {
        return g_error_matches(error, MYSQL_ERROR, ER_NO_SUCH_TABLE) || g_error_matches(error, MYSQL_ERROR, ER_BAD_DB);
}

/* While people write; *ret_equal false says nothing yet. */
static bool compare_online(Comparison *comparison, bool *ret_equal, GError **error) {
        const VerifyInput *input = comparison->verify->input;
        g_autofree char *file = NULL;
        guint64 offset;
        guint64 unpaid = comparison->verify->unpaid;
        comparison->verify->unpaid = 0;
        if ((input->wait_for_room && !input->wait_for_room(input->userdata, comparison->up, unpaid, error)) || verify_stopped(input, error) ||
            !read_sketch(comparison, comparison->up, comparison->above, error) ||
            !conn_binlog_position(comparison->up, &file, &offset, error) ||
            !input->wait_applied(input->userdata, file, offset, -1, error) ||
            !read_sketch(comparison, comparison->down, comparison->below, error))
                return false;
        *ret_equal = sketches_equal(comparison);
        return true;
}

static bool compare_at_one_moment(Comparison *comparison, GError **error) {
        if (!take_snapshots_patiently(comparison, error) || !read_sketch(comparison, comparison->up, comparison->above, error) ||
            !read_sketch(comparison, comparison->down, comparison->below, error))
                return false;
        comparison->verify->result->rows_compared_again += comparison->above->rows;
        return sketches_equal(comparison) || look_into_buckets(comparison, error);
}

bool verify_multiset(Verify *verify, const TableSchema *schema, GError **error) {
        const VerifyInput *input = verify->input;
        g_autoptr(VerifyTable) table = verify_table_new(schema, input->chunk_bytes);
        g_auto(Comparison) comparison = {.verify = verify, .table = table};
        g_autoptr(GError) local = NULL;
        bool equal;

        comparison.up = conn_open(input->upstream, 0, error);
        comparison.down = comparison.up ? conn_open(input->downstream, 0, error) : NULL;
        if (!comparison.down)
                return false;
        if (flavor_has_negative_zero(conn_flavor(comparison.up)) && flavor_has_negative_zero(conn_flavor(comparison.down)))
                verify_table_tell_zeros_apart(table);
        comparison.above = g_new0(Sketch, 1);
        comparison.below = g_new0(Sketch, 1);
        if (!compare_online(&comparison, &equal, &local)) {
                if (!is_missing(local)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                verify_add_difference(verify, table, NULL, "the table is missing below");
                return true;
        }
        verify->result->chunks++;
        verify->result->rows += comparison.above->rows;
        return equal || compare_at_one_moment(&comparison, error);
}
