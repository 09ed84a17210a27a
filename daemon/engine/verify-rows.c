/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The closer look at a range whose aggregates differ.
 *
 *   1. Row hashes of both sides, a page at a time. Rows that are not the same are *suspects*: most are only
 * being written right now.
 *   2. Suspects in batches: upstream they are read with shared locks in a REPEATABLE READ transaction, which
 * locks the gap where a row is absent. While it holds them: the position H; a writer that was there before
 * has committed, so it is in the log before H.
 *   3. Once downstream has applied H, it is read there. Nobody can have changed these rows upstream since, so
 * what differs now, differs. With repair, downstream is made equal while the locks are still held.
 *   4. A lock that is not to be had, or a replica that takes too long, frees the locks; half of the batch is
 * tried then. */

#include <string.h>

#include "base/error.h"
#include "engine/verify-internal.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define PAGE_ROWS 5000
#define BATCH_KEYS 100
#define HOLD_USEC (3 * G_USEC_PER_SEC) /* how long writers of a suspect wait for us at most */
#define ATTEMPTS_MAX 30
#define REPAIR_BYTES (1u << 20)

static void free_key(gpointer p) {
        g_strfreev(p);
}

static bool open_hold(Verify *verify, GError **error) {
        if (verify->hold)
                return true;
        g_autoptr(Conn) conn = verify_open_upstream(verify->input, error);
        if (!conn ||
            !conn_exec(conn, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", -1, NULL, error) ||
            !conn_exec(conn, "SET SESSION innodb_lock_wait_timeout=2", -1, NULL, error))
                return false;
        verify->hold = g_steal_pointer(&conn);
        return true;
}

/* ---- reading hashes */

/* Key text → hash. */
GHashTable *verify_hashes_new(void) {
        return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* Rows of a SELECT key…, hash. *ret_last (may be NULL): the key of the last row, or NULL. */
static bool read_hashes(Conn *conn, const VerifyTable *table, const char *sql, GHashTable *hashes,
                        GHashTable *keys, char ***ret_last, guint64 *ret_count, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return false;
        guint n = table->key_view.columns->len;
        guint64 count = 0;
        g_auto(GStrv) last = NULL;
        for (char **row; (row = conn_rows_take(rows));) {
                const unsigned long *lengths = conn_rows_lengths(rows);
                g_auto(GStrv) key = verify_key_of_row(table, row, lengths, error);
                if (!key)
                        return false;
                char *text = verify_key_text(key);
                if (keys)
                        g_hash_table_replace(keys, g_strdup(text), g_strdupv(key));
                g_hash_table_replace(hashes, text, g_strdup(row[n] ? row[n] : ""));
                count++;
                g_strfreev(last);
                last = g_steal_pointer(&key);
        }
        if (ret_last)
                *ret_last = g_steal_pointer(&last);
        if (ret_count)
                *ret_count = count;
        return true;
}

static bool read_page(Conn *conn, const VerifyTable *table, char *const *lo, char *const *hi,
                      GHashTable *hashes, GHashTable *keys, char ***ret_last, guint64 *ret_count,
                      GError **error) {
        g_autoptr(GString) sql = g_string_new("SELECT ");
        g_string_append_printf(sql, "%s,%s%s", table->key_select, table->row_hash, table->from);
        verify_append_range(sql, table, lo, hi);
        g_string_append_printf(sql, "%s LIMIT %u", table->key_order, PAGE_ROWS);
        return read_hashes(conn, table, sql->str, hashes, keys, ret_last, ret_count, error);
}

static void append_keys_condition(GString *sql, const VerifyTable *table, const GPtrArray *keys, guint first,
                                  guint n) {
        g_string_append(sql, " WHERE ");
        for (guint i = 0; i < n; i++) {
                g_string_append(sql, i ? " OR (" : "(");
                sql_append_key_equal(sql, table->table, keys->pdata[first + i]);
                g_string_append_c(sql, ')');
        }
}

bool verify_read_keys(Conn *conn, const VerifyTable *table, const GPtrArray *keys, guint first, guint n, bool lock,
                      GHashTable *hashes, GHashTable *key_index, GError **error) {
        g_autoptr(GString) sql = g_string_new("SELECT ");
        g_string_append_printf(sql, "%s,%s%s", table->key_select, table->row_hash, table->from);
        append_keys_condition(sql, table, keys, first, n);
        if (lock)
                g_string_append(sql, " LOCK IN SHARE MODE");
        return read_hashes(conn, table, sql->str, hashes, key_index, NULL, NULL, error);
}

/* ---- repair */

static bool append_row(GString *sql, const VerifyTable *table, char **row, const unsigned long *lengths,
                       GError **error) {
        guint position = 0;
        sql_append_insert_prefix(sql, table->table);
        g_string_append_c(sql, '(');
        for (guint i = 0; i < table->table->columns->len; i++) {
                const Column *column = table->table->columns->pdata[i];
                if (column->generated)
                        continue;
                if (position)
                        g_string_append_c(sql, ',');
                if (!value_literal_from_text(column, row[position], lengths[position], sql, error))
                        return false;
                position++;
        }
        g_string_append_c(sql, ')');
        return true;
}

/* The statement that writes the row of KEY as upstream has it (which is held); empty when it has none. */
static bool upstream_insert(Verify *verify, const VerifyTable *table, char *const *key, GString *ret,
                            GError **error) {
        g_autoptr(GString) sql = g_string_new("SELECT ");
        sql_append_select_list(sql, table->table);
        g_string_append(sql, table->from);
        g_string_append(sql, " WHERE ");
        sql_append_key_equal(sql, table->table, (const char *const *)key);
        g_string_append(sql, " LOCK IN SHARE MODE");
        g_autoptr(ConnRows) rows = conn_query(verify->hold, sql->str, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        const unsigned long *lengths = conn_rows_lengths(rows);
        return !row || append_row(ret, table, row, lengths, error);
}

/* A row downstream that should not be can hold a unique value that one of ours needs. REPLACE takes it away;
 * it is missing, or will be found, when the table is compared once more. */
static bool write_repair(Verify *verify, const VerifyTable *table, const GString *removals,
                         const GPtrArray *inserts, GError **error) {
        const VerifyInput *input = verify->input;
        for (int replacing = 0; replacing < 2; replacing++) {
                g_autoptr(GString) sql = g_string_new(removals->str);
                for (guint i = 0; i < inserts->len; i++) {
                        const char *insert = inserts->pdata[i];
                        g_string_append_printf(sql, "%s%s%s", sql->len ? ";" : "", replacing ? "REPLACE" : "",
                                               replacing ? insert + strlen("INSERT") : insert);
                }
                if (sql->len == 0)
                        return true;
                g_autoptr(GError) e = NULL;
                if (input->write_marked(input->userdata, verify->down, sql->str, &e))
                        return true;
                if (replacing || table->table->n_unique_secondary == 0 || !mysql_error_is_duplicate(e)) {
                        g_propagate_error(error, g_steal_pointer(&e));
                        g_prefix_error(error, "repair of %s: ", table->name);
                        return false;
                }
                verify->again = true;
        }
        return true;
}

/* Removals of all first: under a case-insensitive collation two keys that differ can be the same to the
 * server. */
static bool repair(Verify *verify, const VerifyTable *table, const GPtrArray *keys, GError **error) {
        guint i = 0;
        while (i < keys->len) {
                g_autoptr(GString) removals = g_string_new(NULL);
                g_autoptr(GPtrArray) inserts = g_ptr_array_new_with_free_func(g_free);
                gsize bytes = 0;
                for (; i < keys->len && bytes < REPAIR_BYTES; i++) {
                        g_autoptr(GString) insert = g_string_new(NULL);
                        if (!upstream_insert(verify, table, keys->pdata[i], insert, error))
                                return false;
                        g_string_append_printf(removals, "%sDELETE FROM %s WHERE ", removals->len ? ";" : "",
                                               table->name);
                        sql_append_key_equal(removals, table->table, keys->pdata[i]);
                        bytes += insert->len;
                        bool known = false;
                        for (guint j = 0; j < inserts->len; j++)
                                known |= strcmp(inserts->pdata[j], insert->str) == 0;
                        if (insert->len && !known)
                                g_ptr_array_add(inserts, g_string_free(g_steal_pointer(&insert), FALSE));
                }
                if (!write_repair(verify, table, removals, inserts, error))
                        return false;
        }
        return true;
}

/* ---- settling suspects */

static bool judge(Verify *verify, const VerifyTable *table, GHashTable *above, GHashTable *below,
                  GHashTable *keys, GError **error) {
        g_autoptr(GPtrArray) differing = g_ptr_array_new();
        GHashTableIter iter;
        gpointer text, key;

        g_hash_table_iter_init(&iter, keys);
        while (g_hash_table_iter_next(&iter, &text, &key)) {
                const char *a = g_hash_table_lookup(above, text), *b = g_hash_table_lookup(below, text);
                if (g_strcmp0(a, b) == 0 || !g_hash_table_add(verify->reported, g_strdup(text)))
                        continue;
                verify_add_difference(verify, table, text,
                                      !b   ? "missing below"
                                      : !a ? "only below"
                                           : "differs");
                g_ptr_array_add(differing, key);
        }
        return differing->len == 0 || !verify->input->repair || repair(verify, table, differing, error);
}

typedef enum Settled { SETTLED_DONE, SETTLED_AGAIN, SETTLED_FAILED } Settled;

/* Keys FIRST … FIRST+N, with the transaction open. */
static Settled settle_held(Verify *verify, const VerifyTable *table, const GPtrArray *suspects, guint first,
                           guint n, char **ret_file, guint64 *ret_offset, GError **error) {
        const VerifyInput *input = verify->input;
        g_autoptr(GHashTable) above = verify_hashes_new(), below = verify_hashes_new();
        g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_key);
        g_autoptr(GError) e = NULL;

        if (!verify_read_keys(verify->hold, table, suspects, first, n, /* lock= */ true, above, keys, &e)) {
                bool retry = mysql_error_is_retryable(e);
                g_propagate_error(error, g_steal_pointer(&e));
                return retry ? SETTLED_AGAIN : SETTLED_FAILED;
        }
        if (!conn_binlog_position(verify->hold, ret_file, ret_offset, error))
                return SETTLED_FAILED;
        if (!input->wait_applied(input->userdata, *ret_file, *ret_offset, HOLD_USEC, &e)) {
                bool retry = g_error_matches(e, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED);
                g_propagate_error(error, g_steal_pointer(&e));
                return retry ? SETTLED_AGAIN : SETTLED_FAILED;
        }
        if (!verify_read_keys(verify->down, table, suspects, first, n, /* lock= */ false, below, keys, error) ||
            !judge(verify, table, above, below, keys, error))
                return SETTLED_FAILED;
        return SETTLED_DONE;
}

static bool settle(Verify *verify, const VerifyTable *table, const GPtrArray *suspects, GError **error) {
        guint first = 0, batch = BATCH_KEYS;
        unsigned attempts = 0;

        while (first < suspects->len) {
                if (verify_stopped(verify->input, error))
                        return false;
                guint n = MIN(batch, suspects->len - first);
                g_autofree char *file = NULL;
                guint64 offset = 0;
                g_autoptr(GError) e = NULL;

                if (!conn_exec(verify->hold, "START TRANSACTION", -1, NULL, error))
                        return false;
                Settled settled = settle_held(verify, table, suspects, first, n, &file, &offset, &e);
                if (settled == SETTLED_FAILED) {
                        if (!conn_is_dead(verify->hold))
                                conn_exec(verify->hold, "ROLLBACK", -1, NULL, NULL);
                        g_propagate_error(error, g_steal_pointer(&e));
                        return false;
                }
                if (!conn_exec(verify->hold, "ROLLBACK", -1, NULL, error))
                        return false;
                if (settled == SETTLED_DONE) {
                        verify->result->rows_compared_again += n;
                        first += n;
                        attempts = 0;
                        batch = MIN(batch * 2, BATCH_KEYS);
                        continue;
                }
                if (batch == 1 && ++attempts > ATTEMPTS_MAX) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "a row of %s could not be compared in %u attempts: %s; end the "
                                    "transaction that holds it and verify again",
                                    table->name, attempts, e->message);
                        return false;
                }
                batch = MAX(MIN(batch, n) / 2, 1);
                /* It was slow: let it come here without anybody waiting for us. */
                if (file && !verify->input->wait_applied(verify->input->userdata, file, offset, -1, error))
                        return false;
        }
        return true;
}

/* ---- finding suspects */

/* Rows of the page (LO, HI] downstream against ABOVE; those that are equal leave it. Settles as it goes, so
 * that rows without end that are only below do not fill the memory. */
static bool compare_page(Verify *verify, const VerifyTable *table, char *const *lo, char *const *hi,
                         GHashTable *above, GHashTable *above_keys, GError **error) {
        g_auto(GStrv) from = g_strdupv((char **)lo);
        guint64 count;
        GHashTableIter iter;
        gpointer text, value;

        do {
                g_autoptr(GHashTable) below = verify_hashes_new();
                g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_key);
                g_autoptr(GPtrArray) suspects = g_ptr_array_new();
                g_auto(GStrv) last = NULL;
                if (verify_stopped(verify->input, error) ||
                    !read_page(verify->down, table, from, hi, below, keys, &last, &count, error))
                        return false;
                g_hash_table_iter_init(&iter, below);
                while (g_hash_table_iter_next(&iter, &text, &value)) {
                        const char *a = g_hash_table_lookup(above, text);
                        if (g_strcmp0(a, value) != 0)
                                g_ptr_array_add(suspects, g_hash_table_lookup(keys, text));
                        g_hash_table_remove(above, text);
                }
                if (suspects->len && !settle(verify, table, suspects, error))
                        return false;
                g_strfreev(from);
                from = g_steal_pointer(&last);
        } while (count == PAGE_ROWS);

        g_autoptr(GPtrArray) missing = g_ptr_array_new();
        g_hash_table_iter_init(&iter, above);
        while (g_hash_table_iter_next(&iter, &text, &value))
                g_ptr_array_add(missing, g_hash_table_lookup(above_keys, text));
        return missing->len == 0 || settle(verify, table, missing, error);
}

bool verify_look_closer(Verify *verify, const VerifyTable *table, char *const *lo, char *const *hi,
                        GError **error) {
        g_auto(GStrv) from = g_strdupv((char **)lo);
        guint64 count;

        if (!open_hold(verify, error))
                return false;
        do {
                g_autoptr(GHashTable) reported = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
                verify->reported = reported;
                g_autoptr(GHashTable) above = verify_hashes_new();
                g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_key);
                g_auto(GStrv) last = NULL;
                bool ok = read_page(verify->hold, table, from, hi, above, keys, &last, &count, error) &&
                          compare_page(verify, table, from, count == PAGE_ROWS ? last : hi, above, keys,
                                       error);
                verify->reported = NULL;
                if (!ok)
                        return false;
                g_strfreev(from);
                from = g_steal_pointer(&last);
        } while (count == PAGE_ROWS);
        return true;
}
