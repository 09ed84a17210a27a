/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See apply-multiset.h. Without an index every statement reads the whole table, so there are two for a batch, whatever its size:
 *
 *   1. SELECT the rows that a filter lets through, with the server's hash of each. They are compared here, literal by literal, with the
 *      images that are to go: now it is known how many there are of each, and by which hash the server finds them.
 *   2. DELETE the rows with these hashes (and the filter, so that few are computed). It must affect as many rows as were counted.
 *   3. INSERT. Rows of which more were there than had to go went as well, and come back.
 *
 * A row that is there very often is not taken out and put back: for it, DELETE … LIMIT, which soon finds enough of them. */

#include "engine/apply-multiset.h"

#include <string.h>

#include "base/error.h"
#include "engine/key.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define IMAGES_PER_DELETE 5000
#define HASH_DIGITS 64
#define HASH_BYTES (HASH_DIGITS + 3) /* in a list */
#define SURPLUS_BYTES (64u * 1024) /* of one image: what is put back rather than looked for one by one */

typedef struct Removal {
        Multiset *set;
        Conn *conn;
        const GPtrArray *items; /* of MultisetItem: those that rows have to go of */
        GString *filter, *sql, *tuple;
        guint64 found; /* rows of all items */
} Removal;

/* Equal for the same rows as their tuples. */
static void append_hash(GString *sql, const LinkTable *table) {
        if (table->zeros_alike)
                sql_append_row_hash(sql, table->schema);
        else
                sql_append_row_identity(sql, table->schema);
}

static bool append_row_tuple(Removal *removal, char **row, const unsigned long *lengths, GError **error) {
        const LinkTable *table = removal->set->table;
        g_autoptr(GString) literal = g_string_new(NULL);
        guint field = 0;
        g_string_truncate(removal->tuple, 0);
        for (guint i = 0; i < table->schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(table->schema->columns, i);
                if (column->generated)
                        continue;
                g_string_append_c(removal->tuple, field == 0 ? '(' : ',');
                g_string_truncate(literal, 0);
                if (!value_literal_from_text(column, row[field], lengths[field], literal, error))
                        return false;
                multiset_append_literal(removal->tuple, table, column, literal->str, literal->len);
                field++;
        }
        g_string_append_c(removal->tuple, ')');
        return true;
}

static bool take_row(Removal *removal, char **row, const unsigned long *lengths, const char *hash, GError **error) {
        if (!append_row_tuple(removal, row, lengths, error))
                return false;
        MultisetItem *item = multiset_find(removal->set, removal->tuple->str, removal->tuple->len,
                                           key_hash(removal->tuple->str, removal->tuple->len));
        if (!item || item->net >= 0) /* the filter lets others through, too */
                return true;
        if (!hash || strlen(hash) != HASH_DIGITS || strspn(hash, "0123456789abcdef") != HASH_DIGITS) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "%s sent a row without its hash", conn_label(removal->conn));
                return false;
        }
        memcpy(item->row_hash, hash, HASH_DIGITS + 1);
        item->found++;
        removal->found++;
        return true;
}

static bool count_rows(Removal *removal, GError **error) {
        const TableSchema *schema = removal->set->table->schema;
        GString *sql = removal->sql;
        for (guint i = 0; i < removal->items->len; i++)
                ((MultisetItem *) g_ptr_array_index(removal->items, i))->found = 0;
        g_string_assign(sql, "SELECT ");
        sql_append_select_list(sql, schema);
        g_string_append_c(sql, ',');
        append_hash(sql, removal->set->table);
        g_string_append(sql, " FROM ");
        sql_append_table(sql, schema->database, schema->name);
        g_string_append_printf(sql, " WHERE %s", removal->filter->str);
        g_autoptr(ConnStream) rows = conn_stream(removal->conn, sql->str, (gssize) sql->len, error);
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
                if (!take_row(removal, row, lengths, row[hash], error)) {
                        conn_abort(removal->conn); /* rather than reading the rest only to throw it away */
                        return false;
                }
        }
}

static bool mismatch(const Removal *removal, guint64 found, guint64 expected, GError **error) {
        const TableSchema *schema = removal->set->table->schema;
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                    "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " rows of `%s`.`%s` that were to be changed or deleted were found on %s: "
                    "it was changed by somebody else; Verify counts the rows, Repair makes them equal",
                    found, expected, schema->database, schema->name, conn_label(removal->conn));
        return false;
}

static bool check_found(const Removal *removal, GError **error) {
        guint64 wanted = 0, there = 0;
        for (guint i = 0; i < removal->items->len; i++) {
                const MultisetItem *item = g_ptr_array_index(removal->items, i);
                wanted += (guint64) -item->net;
                there += MIN((guint64) -item->net, item->found);
        }
        return wanted == there || mismatch(removal, there, wanted, error);
}

static void begin_delete(const Removal *removal, const GString *filter) {
        const TableSchema *schema = removal->set->table->schema;
        g_string_assign(removal->sql, "DELETE FROM ");
        sql_append_table(removal->sql, schema->database, schema->name);
        g_string_append_printf(removal->sql, " WHERE %s AND ", filter->str);
        append_hash(removal->sql, removal->set->table);
}

static bool run_delete(const Removal *removal, guint64 expected, GError **error) {
        ConnResult result;
        return conn_exec(removal->conn, removal->sql->str, (gssize) removal->sql->len, &result, error) &&
               (result.affected == expected || mismatch(removal, result.affected, expected, error));
}

/* So many rows of one image that taking all of them out would be a waste. */
static bool delete_some(const Removal *removal, MultisetItem *item, GError **error) {
        g_autoptr(GPtrArray) one = g_ptr_array_new();
        g_autoptr(GString) filter = g_string_new(NULL);
        g_ptr_array_add(one, item);
        multiset_append_filter(filter, removal->set->table->schema, one, G_MAXSIZE);
        begin_delete(removal, filter);
        g_string_append_printf(removal->sql, "='%s' LIMIT %" G_GUINT64_FORMAT, item->row_hash, (guint64) -item->net);
        return run_delete(removal, (guint64) -item->net, error);
}

static bool delete_rows(Removal *removal, GError **error) {
        g_autoptr(GPtrArray) many = g_ptr_array_new();
        guint64 expected = 0;
        const char *separator = " IN (";
        begin_delete(removal, removal->filter);
        for (guint i = 0; i < removal->items->len; i++) {
                MultisetItem *item = g_ptr_array_index(removal->items, i);
                item->surplus = item->found - (guint64) -item->net;
                if (item->surplus > SURPLUS_BYTES / item->size) {
                        item->surplus = 0;
                        g_ptr_array_add(many, item);
                        continue;
                }
                g_string_append_printf(removal->sql, "%s'%s'", separator, item->row_hash);
                separator = ",";
                expected += item->found;
        }
        g_string_append_c(removal->sql, ')');
        if (expected > 0 && !run_delete(removal, expected, error))
                return false;
        for (guint i = 0; i < many->len; i++)
                if (!delete_some(removal, g_ptr_array_index(many, i), error))
                        return false;
        return true;
}

static bool remove_rows(Multiset *set, Conn *conn, const GPtrArray *items, gsize limit, GError **error) {
        g_autoptr(GString) filter = g_string_new(NULL), sql = g_string_new(NULL), tuple = g_string_new(NULL);
        Removal removal = {.set = set, .conn = conn, .items = items, .filter = filter, .sql = sql, .tuple = tuple};
        multiset_append_filter(filter, set->table->schema, items, limit / 2);
        return count_rows(&removal, error) && check_found(&removal, error) && delete_rows(&removal, error);
}

/* --- rows that come --- */

typedef struct Addition {
        const TableSchema *schema;
        Conn *conn;
        GString *sql;
        guint64 rows, warnings;
} Addition;

static bool send_rows(Addition *addition, GError **error) {
        ConnResult result;
        if (addition->rows == 0)
                return true;
        if (!conn_exec(addition->conn, addition->sql->str, (gssize) addition->sql->len, &result, error))
                return false;
        if (result.affected != addition->rows || result.warnings != addition->warnings) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%s did not store every row of `%s`.`%s` exactly: it added %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                            " rows with %u warnings", conn_label(addition->conn), addition->schema->database, addition->schema->name,
                            result.affected, addition->rows, result.warnings);
                return false;
        }
        g_string_truncate(addition->sql, 0);
        addition->rows = addition->warnings = 0;
        return true;
}

static bool add_rows(const Multiset *set, Conn *conn, gsize limit, GError **error) {
        g_autoptr(GString) sql = g_string_new(NULL);
        Addition addition = {.schema = set->table->schema, .conn = conn, .sql = sql};
        for (guint i = 0; i < set->items->len; i++) {
                const MultisetItem *item = &g_array_index(set->items, MultisetItem, i);
                guint64 copies = item->net > 0 ? (guint64) item->net : item->surplus;
                for (; copies > 0; copies--) {
                        if (sql->len + item->size > limit && !send_rows(&addition, error))
                                return false;
                        if (addition.rows == 0)
                                sql_append_insert_prefix(sql, addition.schema);
                        else
                                g_string_append_c(sql, ',');
                        g_string_append_len(sql, item->tuple, (gssize) item->size);
                        addition.rows++;
                        addition.warnings += item->enum_zeros;
                }
        }
        return send_rows(&addition, error);
}

bool multiset_apply(Multiset *set, Conn *conn, gsize limit, GError **error) {
        g_autoptr(GPtrArray) items = g_ptr_array_new();
        guint most = (guint) CLAMP(limit / 2 / HASH_BYTES, 1, IMAGES_PER_DELETE);
        for (guint i = 0; i < set->items->len; i++) {
                MultisetItem *item = &g_array_index(set->items, MultisetItem, i);
                item->surplus = 0;
                if (item->net < 0)
                        g_ptr_array_add(items, item);
                if (items->len == most) {
                        if (!remove_rows(set, conn, items, limit, error))
                                return false;
                        g_ptr_array_set_size(items, 0);
                }
        }
        return (items->len == 0 || remove_rows(set, conn, items, limit, error)) && add_rows(set, conn, limit, error);
}
