/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See copy-rows.h. */

#include "engine/copy-rows.h"

#include <string.h>

#include "base/trim.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define MAX_ROWS_PER_INSERT 5000

static unsigned key_position(const TableSchema *table, guint i) {
        return g_array_index(table->key, unsigned, i);
}

static const Column *column_at(const TableSchema *table, guint i) {
        return g_ptr_array_index(table->columns, i);
}

void row_buffer_init(RowBuffer *buffer) {
        *buffer = (RowBuffer){0};
        buffer->text = g_string_new(NULL);
        buffer->rows = g_array_new(FALSE, FALSE, sizeof(BufferedRow));
}

void row_buffer_clear(RowBuffer *buffer) {
        g_string_free(g_steal_pointer(&buffer->text), TRUE);
        g_clear_pointer(&buffer->rows, g_array_unref);
        g_clear_pointer(&buffer->starts, g_free);
        g_clear_pointer(&buffer->sizes, g_free);
}

void row_buffer_next(RowBuffer *buffer) {
        buffer_trim(buffer->text);
        g_array_set_size(buffer->rows, 0);
}

void row_buffer_reset(RowBuffer *buffer) {
        row_buffer_next(buffer);
        buffer->total_rows = buffer->total_bytes = 0;
}

static bool add_row(RowBuffer *buffer, const TableSchema *table, char **row, const unsigned long *lengths, GError **error) {
        GString *text = buffer->text;
        if (buffer->n_columns < table->columns->len) {
                buffer->n_columns = table->columns->len;
                buffer->starts = g_renew(gsize, buffer->starts, buffer->n_columns);
                buffer->sizes = g_renew(gsize, buffer->sizes, buffer->n_columns);
        }
        BufferedRow added = {.tuple = text->len};
        guint field = 0;
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = column_at(table, i);
                if (column->generated)
                        continue;
                g_string_append_c(text, field == 0 ? '(' : ',');
                buffer->starts[i] = text->len;
                if (!value_literal_from_text(column, row[field], lengths[field], text, error))
                        return false;
                buffer->sizes[i] = text->len - buffer->starts[i];
                if (column->kind == COLUMN_KIND_ENUM && buffer->sizes[i] == 1 && text->str[buffer->starts[i]] == '0')
                        added.enum_zeros++;
                field++;
        }
        g_string_append_c(text, ')');
        added.tuple_size = (guint32) (text->len - added.tuple);
        added.key = text->len;
        for (guint k = 0; k < table->key->len; k++) {
                unsigned i = key_position(table, k);
                gsize size = buffer->sizes[i];
                g_string_set_size(text, text->len + size + 1);
                char *end = text->str + text->len;
                memcpy(end - size - 1, text->str + buffer->starts[i], size);
                end[-1] = '\0';
        }
        added.key_size = (guint32) (text->len - added.key);
        g_array_append_val(buffer->rows, added);
        buffer->total_rows++;
        buffer->total_bytes += added.tuple_size;
        return true;
}

static bool read_rows(RowBuffer *buffer, const TableSchema *table, ConnStream *rows, gsize max_bytes, bool look, bool *ret_more,
                      GError **error) {
        for (;;) {
                char **row = NULL;
                const unsigned long *lengths;
                bool full = buffer->text->len >= max_bytes;
                if ((!full || look) && !conn_stream_next(rows, &row, &lengths, error))
                        return false;
                if (full || !row) {
                        *ret_more = row || (full && !look);
                        return true;
                }
                if (!add_row(buffer, table, row, lengths, error))
                        return false;
        }
}

bool row_buffer_read(RowBuffer *buffer, const TableSchema *table, ConnStream *rows, gsize max_bytes, bool *ret_more, GError **error) {
        return read_rows(buffer, table, rows, max_bytes, /* look= */ false, ret_more, error);
}

bool row_buffer_read_all(RowBuffer *buffer, const TableSchema *table, ConnStream *rows, gsize max_bytes, bool *ret_more, GError **error) {
        return read_rows(buffer, table, rows, max_bytes, /* look= */ true, ret_more, error);
}

static guint side_hash(gconstpointer data) {
        const SideRow *row = data;
        return (guint) key_hash(row->data, row->key_size);
}

static gboolean side_equal(gconstpointer a, gconstpointer b) {
        const SideRow *x = a, *y = b;
        return x->key_size == y->key_size && memcmp(x->data, y->data, x->key_size) == 0;
}

void row_buffer_overlay(RowBuffer *buffer, const TableSchema *table, const Key *hi, const GPtrArray *side) {
        if (side->len == 0)
                return;
        g_autoptr(GHashTable) last = g_hash_table_new(side_hash, side_equal);
        for (guint i = 0; i < side->len; i++) {
                SideRow *row = g_ptr_array_index(side, i);
                if (!hi->data || key_compare(table, row->data, hi->data) <= 0)
                        g_hash_table_replace(last, row, row);
        }

        /* A lookup key of the same shape as a side row. */
        g_autofree SideRow *probe = NULL;
        gsize probe_size = 0;
        for (guint i = 0; i < buffer->rows->len; i++) {
                BufferedRow *row = &g_array_index(buffer->rows, BufferedRow, i);
                if (row->key_size > probe_size || !probe) {
                        probe_size = MAX(row->key_size, 64);
                        g_free(probe);
                        probe = g_malloc0(sizeof *probe + probe_size);
                }
                probe->key_size = row->key_size;
                memcpy(probe->data, buffer->text->str + row->key, row->key_size);
                if (g_hash_table_contains(last, probe)) {
                        row->replaced = true;
                        buffer->total_rows--;
                        buffer->total_bytes -= row->tuple_size;
                }
        }

        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, last);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const SideRow *row = value;
                if (row->deleted)
                        continue;
                BufferedRow added = {.tuple = buffer->text->len, .tuple_size = (guint32) row->tuple_size, .enum_zeros = row->enum_zeros};
                g_string_append_len(buffer->text, row->data + row->key_size, (gssize) row->tuple_size);
                g_array_append_val(buffer->rows, added);
                buffer->total_rows++;
                buffer->total_bytes += row->tuple_size;
        }

        guint kept = 0;
        for (guint i = 0; i < buffer->rows->len; i++) {
                BufferedRow row = g_array_index(buffer->rows, BufferedRow, i);
                if (!row.replaced)
                        g_array_index(buffer->rows, BufferedRow, kept++) = row;
        }
        g_array_set_size(buffer->rows, kept);
}

guint row_buffer_append_insert(const RowBuffer *buffer, const TableSchema *table, guint first, gsize limit, GString *sql,
                               guint *ret_warnings) {
        guint count = 0;
        *ret_warnings = 0;
        sql_append_insert_prefix(sql, table);
        for (; first + count < buffer->rows->len && count < MAX_ROWS_PER_INSERT; count++) {
                const BufferedRow *row = &g_array_index(buffer->rows, BufferedRow, first + count);
                if (count > 0 && sql->len + row->tuple_size > limit)
                        break;
                if (count > 0)
                        g_string_append_c(sql, ',');
                g_string_append_len(sql, buffer->text->str + row->tuple, (gssize) row->tuple_size);
                *ret_warnings += row->enum_zeros;
        }
        return count;
}

/* The name of the index that is the row key. */
static const char *key_index(const TableSchema *table) {
        if (table->key_is_primary)
                return "PRIMARY";
        for (guint i = 0; i < table->indexes->len; i++) {
                const Index *index = g_ptr_array_index(table->indexes, i);
                if (index->unique && !index->prefix && !index->nullable && index->columns->len == table->key->len &&
                    memcmp(index->columns->data, table->key->data, table->key->len * sizeof(unsigned)) == 0)
                        return index->name;
        }
        return "PRIMARY";
}

static void append_bound(GString *sql, const TableSchema *table, const char *word, const char *op, const Key *bound) {
        if (!bound->data)
                return;
        const char **literals = g_newa(const char *, table->key->len);
        key_split(table, bound->data, literals);
        g_string_append(sql, word);
        g_string_append_c(sql, '(');
        sql_append_key_bound(sql, table, op, literals);
        g_string_append_c(sql, ')');
}

void copy_append_range(GString *sql, const TableSchema *table, const Key *lo, const Key *hi) {
        g_string_append(sql, " FROM ");
        sql_append_table(sql, table->database, table->name);
        g_string_append(sql, " FORCE INDEX (");
        sql_append_identifier(sql, key_index(table));
        g_string_append_c(sql, ')');
        append_bound(sql, table, " WHERE ", ">", lo);
        append_bound(sql, table, lo->data ? " AND " : " WHERE ", "<=", hi);
}

void copy_append_key_select(GString *sql, const TableSchema *table) {
        for (guint i = 0; i < table->key->len; i++) {
                if (i > 0)
                        g_string_append_c(sql, ',');
                sql_append_select_column(sql, column_at(table, key_position(table, i)));
        }
}

bool copy_key_from_row(const TableSchema *table, char **row, const unsigned long *lengths, Key *ret, GError **error) {
        g_autoptr(GString) key = g_string_new(NULL);
        for (guint i = 0; i < table->key->len; i++) {
                if (!value_literal_from_text(column_at(table, key_position(table, i)), row[i], lengths[i], key, error))
                        return false;
                g_string_append_c(key, '\0');
        }
        ret->size = key->len;
        ret->data = g_memdup2(key->str, key->len);
        return true;
}
