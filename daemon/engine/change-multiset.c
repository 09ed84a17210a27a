/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See change-multiset.h. */

#include "engine/change-multiset.h"

#include <string.h>
#include <zlib.h>

#include "engine/key.h"
#include "mysql/sql.h"
#include "mysql/value-format.h"
#include "mysql/value.h"

#define FILTER_COLUMNS 4
#define PLAIN_TEXT_MAX 64

Multiset *multiset_new(const LinkTable *table) {
        Multiset *set = g_new0(Multiset, 1);
        set->table = table;
        set->items = g_array_new(FALSE, FALSE, sizeof(MultisetItem));
        set->n_slots = 64;
        set->slots = g_new0(guint, set->n_slots);
        return set;
}

void multiset_free(Multiset *set) {
        if (!set)
                return;
        g_array_unref(set->items);
        g_free(set->slots);
        g_free(set);
}

static MultisetItem *item_at(const Multiset *set, guint i) {
        return &g_array_index(set->items, MultisetItem, i);
}

/* The slot that TUPLE is in, or would be put into. */
static gsize find_slot(const Multiset *set, const char *tuple, gsize size, guint64 hash) {
        gsize at = hash & (set->n_slots - 1);
        for (; set->slots[at]; at = (at + 1) & (set->n_slots - 1)) {
                const MultisetItem *item = item_at(set, set->slots[at] - 1);
                if (item->hash == hash && item->size == size && memcmp(item->tuple, tuple, size) == 0)
                        break;
        }
        return at;
}

static void grow(Multiset *set) {
        g_free(set->slots);
        set->n_slots *= 2;
        set->slots = g_new0(guint, set->n_slots);
        for (guint i = 0; i < set->items->len; i++) {
                const MultisetItem *item = item_at(set, i);
                set->slots[find_slot(set, item->tuple, item->size, item->hash)] = i + 1;
        }
}

void multiset_add(Multiset *set, const char *tuple, gsize size, guint64 hash, gint64 delta, guint enum_zeros) {
        gsize at = find_slot(set, tuple, size, hash);
        if (set->slots[at]) {
                item_at(set, set->slots[at] - 1)->net += delta;
                return;
        }
        MultisetItem item = {.tuple = tuple, .size = size, .hash = hash, .net = delta, .enum_zeros = enum_zeros};
        g_array_append_val(set->items, item);
        set->slots[at] = set->items->len;
        if (set->items->len * 2 > set->n_slots)
                grow(set);
}

MultisetItem *multiset_find(const Multiset *set, const char *tuple, gsize size, guint64 hash) {
        guint slot = set->slots[find_slot(set, tuple, size, hash)];
        return slot ? item_at(set, slot - 1) : NULL;
}

/* --- tuples --- */

void multiset_append_literal(GString *out, const LinkTable *table, const Column *column, const char *literal, gsize size) {
        bool real = column->kind == COLUMN_KIND_FLOAT || column->kind == COLUMN_KIND_DOUBLE;
        if (real && table->zeros_alike && size == strlen("-0e0") && memcmp(literal, "-0e0", size) == 0)
                g_string_append_c(out, '0');
        else
                g_string_append_len(out, literal, (gssize) size);
}

void multiset_append_tuple(GString *out, const LinkTable *table, const RowImage *image) {
        const TableSchema *schema = table->schema;
        char separator = '(';
        for (guint i = 0; i < schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(schema->columns, i);
                if (column->generated)
                        continue;
                g_string_append_c(out, separator);
                separator = ',';
                gsize size = image->offsets[i + 1] - image->offsets[i] - 1; /* without the NUL */
                multiset_append_literal(out, table, column, row_image_literal(image, i), size);
        }
        g_string_append_c(out, ')');
}

/* The next literal of a tuple; *P is in front of it, at '(' or ','. */
static const char *next_literal(const char **p, gsize *ret_size) {
        const char *start = ++*p, *end = start;
        if (end[0] == 'x' && end[1] == '\'')
                end++;
        if (*end == '\'') {
                for (end++; *end != '\''; end++)
                        if (*end == '\\')
                                end++;
                end++;
        } else
                end += strcspn(end, ",)");
        *p = end;
        *ret_size = (gsize) (end - start);
        return start;
}

/* --- the filter --- */

typedef struct ColumnFilter {
        const Column *column;
        bool indexed, null, crc;
        GHashTable *values; /* set of char *: what stands in IN (…) */
        gsize bytes;
} ColumnFilter;

static void column_filter_free(gpointer data) {
        ColumnFilter *filter = data;
        g_hash_table_unref(filter->values);
        g_free(filter);
}

/* The kinds that every server finds again by their literal (text, if it is plain), or by their CRC. Members of ENUM and SET, bits and years
 * have few values, or numbers that are taken for something else in comparisons. */
static bool usable(const Column *column) {
        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
                return !column->generated;
        case COLUMN_KIND_BIT:
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return false;
}

static bool is_string(const Column *column) {
        return column->kind == COLUMN_KIND_TEXT || column->kind == COLUMN_KIND_BINARY || column->kind == COLUMN_KIND_BLOB;
}

/* Bytes that are the same characters in every character set with ASCII in it, and stand for themselves in a literal. */
static bool is_plain(const char *literal, gsize size) {
        if (size > PLAIN_TEXT_MAX)
                return false;
        for (gsize i = 1; i + 1 < size; i++)
                if (literal[i] < ' ' || literal[i] > '~' || literal[i] == '\\')
                        return false;
        return true;
}

static bool has_ascii(const Column *column) {
        static const char *const without[] = {"ucs2", "utf16", "utf16le", "utf32", NULL};
        return !column->charset || !g_strv_contains(without, column->charset);
}

static bool leads_index(const TableSchema *schema, guint column) {
        for (guint i = 0; i < schema->indexes->len; i++) {
                const Index *index = g_ptr_array_index(schema->indexes, i);
                if (index->columns->len > 0 && g_array_index(index->columns, unsigned, 0) == column &&
                    g_ascii_strcasecmp(index->type, "BTREE") == 0)
                        return true;
        }
        return false;
}

static char *filter_value(const ColumnFilter *filter, const char *literal, gsize size) {
        g_autofree char *text = g_strndup(literal, size);
        g_autoptr(GString) value = g_string_new(NULL);
        if (filter->crc) {
                g_autoptr(GBytes) bytes = value_literal_bytes(text);
                gsize n;
                const void *data = g_bytes_get_data(bytes, &n);
                value_append_uint(value, crc32_z(0, data, n));
        } else
                sql_append_comparand(value, filter->column, text);
        return g_string_free(g_steal_pointer(&value), /* free_segment= */ FALSE);
}

/* One filter for each column that can be had; their values are still to come. */
static GPtrArray *filters_new(const TableSchema *schema) {
        GPtrArray *filters = g_ptr_array_new_with_free_func(column_filter_free);
        for (guint i = 0; i < schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(schema->columns, i);
                if (column->generated)
                        continue;
                ColumnFilter *filter = g_new0(ColumnFilter, 1);
                filter->column = column;
                filter->indexed = leads_index(schema, i);
                filter->crc = is_string(column) && (!filter->indexed || !has_ascii(column));
                filter->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
                g_ptr_array_add(filters, filter);
        }
        return filters;
}

static void take_values(GPtrArray *filters, const GPtrArray *items) {
        for (guint pass = 0; pass < 2; pass++) /* first, whether some text in an index needs the CRC */
                for (guint i = 0; i < items->len; i++) {
                        const char *p = ((const MultisetItem *) g_ptr_array_index(items, i))->tuple;
                        for (guint f = 0; f < filters->len; f++) {
                                ColumnFilter *filter = g_ptr_array_index(filters, f);
                                gsize size;
                                const char *literal = next_literal(&p, &size);
                                if (!usable(filter->column))
                                        continue;
                                if (size == strlen("NULL") && memcmp(literal, "NULL", size) == 0)
                                        filter->null = true;
                                else if (pass == 0)
                                        filter->crc |= is_string(filter->column) && !is_plain(literal, size);
                                else {
                                        char *value = filter_value(filter, literal, size);
                                        filter->bytes += strlen(value) + 1;
                                        if (!g_hash_table_add(filter->values, value))
                                                filter->bytes -= strlen(value) + 1;
                                }
                        }
                }
}

/* Columns with an index first, then those with the most values. Text is looked for by its CRC, in an index alone as it is: comparing it under
 * a collation takes five times as long (MariaDB, 5000 values). A CRC costs more than a number. */
static int compare_filters(gconstpointer a, gconstpointer b) {
        const ColumnFilter *x = *(const ColumnFilter *const *) a, *y = *(const ColumnFilter *const *) b;
        bool ix = x->indexed && !x->crc, iy = y->indexed && !y->crc;
        if (ix != iy)
                return ix ? -1 : 1;
        guint nx = g_hash_table_size(x->values) / (x->crc ? 4 : 1), ny = g_hash_table_size(y->values) / (y->crc ? 4 : 1);
        return (nx < ny) - (nx > ny);
}

static void append_filter(GString *sql, const ColumnFilter *filter) {
        const char *separator = filter->crc ? ") IN (" : " IN (";
        const char *last = NULL;
        GHashTableIter iter;
        gpointer value;
        g_string_append_c(sql, '(');
        if (g_hash_table_size(filter->values) > 0) {
                g_string_append(sql, filter->crc ? "CRC32(" : "");
                sql_append_identifier(sql, filter->column->name);
                g_hash_table_iter_init(&iter, filter->values);
                while (g_hash_table_iter_next(&iter, &value, NULL)) {
                        g_string_append(sql, separator);
                        g_string_append(sql, value);
                        separator = ",";
                        last = value;
                }
                /* A list of one is an equality to a server, which then puts the value in the column's place everywhere: into the row's hash,
                 * too, and 0 is not -0 there. */
                if (g_hash_table_size(filter->values) == 1)
                        g_string_append_printf(sql, ",%s", last);
                g_string_append(sql, filter->null ? ") OR " : ")");
        }
        if (filter->null) {
                sql_append_identifier(sql, filter->column->name);
                g_string_append(sql, " IS NULL");
        }
        g_string_append_c(sql, ')');
}

void multiset_append_filter(GString *sql, const TableSchema *schema, const GPtrArray *items, gsize limit) {
        g_autoptr(GPtrArray) filters = filters_new(schema);
        guint used = 0;
        gsize bytes = 0;
        take_values(filters, items);
        g_ptr_array_sort(filters, compare_filters);
        for (guint i = 0; i < filters->len && used < FILTER_COLUMNS; i++) {
                const ColumnFilter *filter = g_ptr_array_index(filters, i);
                if (!usable(filter->column) || bytes + filter->bytes > limit)
                        continue;
                bytes += filter->bytes;
                if (used++ > 0)
                        g_string_append(sql, " AND ");
                append_filter(sql, filter);
        }
        if (used == 0)
                g_string_append(sql, "TRUE");
}
