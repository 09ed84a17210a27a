/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Row events; see binlog-row.h. An event has, behind the table's id, for V2 extra data whose length counts itself, the number
 * of columns, one bitmap of the columns that are present (UPDATE: two, before and after), and then images: a bitmap of the
 * NULLs among the columns present, and the values. */

#include "mysql/binlog-row.h"

#include <string.h>

#include "base/error.h"
#include "mysql/binlog-inflate.h"
#include "mysql/binlog-types.h"
#include "mysql/bytes.h"
#include "mysql/value.h"

static bool malformed(const BinlogRows *rows, const char *what, GError **error) {
        static const char *const names[_ROW_OPERATION_MAX] = {"INSERT", "UPDATE", "DELETE"};
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "Malformed %s rows event of table %s.%s: %s",
                    names[rows->operation], rows->map->database, rows->map->table, what);
        return false;
}

RowOperation binlog_row_operation(unsigned event_type) {
        switch (event_type) {
        case BINLOG_EVENT_WRITE_ROWS_V1:
        case BINLOG_EVENT_WRITE_ROWS:
        case BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED_V1:
        case BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED:
                return ROW_OPERATION_INSERT;
        case BINLOG_EVENT_UPDATE_ROWS_V1:
        case BINLOG_EVENT_UPDATE_ROWS:
        case BINLOG_EVENT_MARIADB_UPDATE_ROWS_COMPRESSED_V1:
        case BINLOG_EVENT_MARIADB_UPDATE_ROWS_COMPRESSED:
                return ROW_OPERATION_UPDATE;
        case BINLOG_EVENT_DELETE_ROWS_V1:
        case BINLOG_EVENT_DELETE_ROWS:
        case BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED_V1:
        case BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED:
                return ROW_OPERATION_DELETE;
        }
        return _ROW_OPERATION_INVALID;
}

static bool is_v2(unsigned type) {
        return (type >= BINLOG_EVENT_WRITE_ROWS && type <= BINLOG_EVENT_DELETE_ROWS) ||
                (type >= BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED &&
                 type <= BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED);
}

static bool is_compressed(unsigned type) {
        return type >= BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED_V1 &&
                type <= BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED;
}

bool binlog_rows_table_id(const BinlogEvent *event, guint64 *ret, GError **error) {
        if (event->body_size < 8) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "Malformed %s event: it is too short",
                            binlog_event_type_name(event->type));
                return false;
        }
        *ret = bytes_le48(event->body);
        return true;
}

void row_image_init(RowImage *image, unsigned n_columns) {
        *image = (RowImage){
                .text = g_string_sized_new(256),
                .offsets = g_new0(guint32, n_columns + 1),
                .n_columns = n_columns,
        };
}

void row_image_clear(RowImage *image) {
        if (image->text)
                g_string_free(image->text, /* free_segment= */ TRUE);
        g_free(image->offsets);
        *image = (RowImage){0};
}

static bool is_present(const guint8 *bitmap, unsigned i) {
        return bitmap[i / 8] >> (i % 8) & 1;
}

static const Column *column_at(const TableSchema *table, unsigned i) {
        return g_ptr_array_index(table->columns, i);
}

/* Whether a type of the TABLE_MAP is how a column of that description is logged. */
static bool type_matches(const Column *column, guint8 type, guint16 meta) {
        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
                switch (column->int_bytes) {
                case 1:
                        return type == BINLOG_TYPE_TINY;
                case 2:
                        return type == BINLOG_TYPE_SHORT;
                case 3:
                        return type == BINLOG_TYPE_INT24;
                case 4:
                        return type == BINLOG_TYPE_LONG;
                case 8:
                        return type == BINLOG_TYPE_LONGLONG;
                }
                return false;
        case COLUMN_KIND_DECIMAL:
                return type == BINLOG_TYPE_NEWDECIMAL && (meta & 0xff) == column->precision &&
                        meta >> 8 == column->scale;
        case COLUMN_KIND_FLOAT:
                return type == BINLOG_TYPE_FLOAT;
        case COLUMN_KIND_DOUBLE:
                return type == BINLOG_TYPE_DOUBLE;
        case COLUMN_KIND_BIT:
                return type == BINLOG_TYPE_BIT && (meta & 0xff) + 8u * (meta >> 8) == column->length;
        case COLUMN_KIND_YEAR:
                return type == BINLOG_TYPE_YEAR;
        case COLUMN_KIND_DATE:
                return type == BINLOG_TYPE_DATE || type == BINLOG_TYPE_NEWDATE;
        case COLUMN_KIND_TIME:
                return type == BINLOG_TYPE_TIME || (type == BINLOG_TYPE_TIME2 && meta == column->fsp);
        case COLUMN_KIND_DATETIME:
                return type == BINLOG_TYPE_DATETIME || (type == BINLOG_TYPE_DATETIME2 && meta == column->fsp);
        case COLUMN_KIND_TIMESTAMP:
                return type == BINLOG_TYPE_TIMESTAMP || (type == BINLOG_TYPE_TIMESTAMP2 && meta == column->fsp);
        case COLUMN_KIND_ENUM:
                return type == BINLOG_TYPE_ENUM;
        case COLUMN_KIND_SET:
                return type == BINLOG_TYPE_SET;
        case COLUMN_KIND_TEXT:
                return type == BINLOG_TYPE_STRING || type == BINLOG_TYPE_VARCHAR || type == BINLOG_TYPE_BLOB;
        case COLUMN_KIND_BINARY:
                return type == BINLOG_TYPE_STRING && meta == column->length;
        case COLUMN_KIND_BLOB:
                return type == BINLOG_TYPE_VARCHAR || type == BINLOG_TYPE_BLOB;
        case COLUMN_KIND_GEOMETRY:
                return type == BINLOG_TYPE_GEOMETRY;
        case COLUMN_KIND_JSON: /* MariaDB's is a LONGTEXT */
                return type == BINLOG_TYPE_JSON || type == BINLOG_TYPE_BLOB;
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return false;
}

static bool has_hidden_key(const BinlogTableMap *map, const TableSchema *table) {
        return map->n_columns == table->columns->len + 1 && !table->key_is_primary &&
                map->types[map->n_columns - 1] == BINLOG_TYPE_LONGLONG && !map->last_nullable;
}

bool binlog_table_map_matches(const BinlogTableMap *map, const TableSchema *table, GError **error) {
        if (map->n_columns != table->columns->len && !has_hidden_key(map, table)) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "Table %s.%s has %u columns in the binary log and %u on the server: it was altered",
                            map->database, map->table, map->n_columns, table->columns->len);
                return false;
        }
        for (unsigned i = 0; i < table->columns->len; i++) {
                const Column *column = column_at(table, i);
                if (column->kind == COLUMN_KIND_UNSUPPORTED) {
                        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                                    "Column %s of table %s.%s has type %s, which cannot be read exactly from the binary log",
                                    column->name, map->database, map->table, column->type);
                        return false;
                }
                if (!type_matches(column, map->types[i], map->metas[i])) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                                    "Column %s of table %s.%s is %s on the server, but type %u (metadata %u) in the "
                                    "binary log: the table was altered",
                                    column->name, map->database, map->table, column->type, map->types[i],
                                    map->metas[i]);
                        return false;
                }
        }
        return true;
}

/* Over what is there in newer events only. */
static bool skip_extra(const BinlogEvent *event, const guint8 **p, const guint8 *end) {
        if (!is_v2(event->type))
                return true;
        if (end - *p < 2)
                return false;
        guint16 extra = bytes_le16(*p);
        if (extra < 2 || end - *p < extra)
                return false;
        *p += extra;
        return true;
}

/* The protocol's description says 0xffffff, the server's code all bits of an unsigned long, of which six bytes are written. */
bool binlog_rows_is_dummy(const BinlogEvent *event) {
        const guint8 *p = event->body, *end = bytes_end(p, event->body_size);
        guint64 id, n_columns;

        if (!binlog_rows_table_id(event, &id, NULL) || !(bytes_le16(p + 6) & ROWS_END_OF_STATEMENT) ||
            (id != 0xffffff && id != 0xffffffff && id != 0xffffffffffff))
                return false;
        p += 8;
        if (!skip_extra(event, &p, end) || !bytes_lenenc(&p, end, &n_columns))
                return false;
        gsize n_bitmaps = binlog_row_operation(event->type) == ROW_OPERATION_UPDATE ? 2 : 1;
        return n_columns <= 1 && (gsize) (end - p) <= n_columns * n_bitmaps;
}

static bool take_header(BinlogRows *rows, const BinlogEvent *event, GError **error) {
        const guint8 *p = event->body, *end = bytes_end(p, event->body_size);
        guint64 n_columns;

        p += 8;
        if (!skip_extra(event, &p, end))
                return malformed(rows, "impossible length of the extra data", error);
        if (!bytes_lenenc(&p, end, &n_columns) || n_columns != rows->map->n_columns)
                return malformed(rows, "another number of columns than its table map", error);
        gsize bitmap_size = (rows->map->n_columns + 7) / 8;
        gsize n_bitmaps = rows->operation == ROW_OPERATION_UPDATE ? 2 : 1;
        if ((gsize) (end - p) < bitmap_size * n_bitmaps)
                return malformed(rows, "its column bitmaps are too short", error);
        rows->present_before = p;
        rows->present_after = n_bitmaps == 2 ? p + bitmap_size : p;
        rows->p = p + bitmap_size * n_bitmaps;
        rows->end = end;
        return true;
}

bool binlog_rows_partial(const BinlogEvent *event, const BinlogTableMap *map, const TableSchema *table, bool *ret, GError **error) {
        BinlogRows rows = {.operation = binlog_row_operation(event->type), .map = map, .table = table};
        if (!binlog_rows_table_id(event, &rows.table_id, error) || !binlog_table_map_matches(map, table, error) ||
            !take_header(&rows, event, error))
                return false;
        *ret = false;
        for (unsigned i = 0; i < table->columns->len && !*ret; i++) /* not the hidden key, if there is one */
                *ret = !column_at(table, i)->generated && !(is_present(rows.present_before, i) && is_present(rows.present_after, i));
        return true;
}

bool binlog_rows_begin(BinlogRows *rows, const BinlogEvent *event, const BinlogTableMap *map, const TableSchema *table,
                       GError **error) {
        BinlogRows r = {
                .operation = binlog_row_operation(event->type),
                .n_columns = map->n_columns,
                .map = map,
                .table = table,
        };

        if (r.operation == _ROW_OPERATION_INVALID) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "%s is not a row event",
                            binlog_event_type_name(event->type));
                return false;
        }
        if (!binlog_rows_table_id(event, &r.table_id, error))
                return false;
        r.flags = bytes_le16(event->body + 6);
        if (r.table_id != map->table_id)
                return malformed(&r, "it belongs to another table map", error);
        if (!binlog_table_map_matches(map, table, error) || !take_header(&r, event, error))
                return false;
        if (is_compressed(event->type)) {
                gsize size;
                r.inflated = binlog_inflate(r.p, r.end, &size, error);
                if (!r.inflated) {
                        g_prefix_error(error, "Table %s.%s: ", map->database, map->table);
                        return false;
                }
                r.p = r.inflated;
                r.end = r.inflated + size;
        }
        *rows = r;
        return true;
}

static bool take_image(BinlogRows *rows, const guint8 *present, RowImage *image, GError **error) {
        unsigned n_present = 0, n_logged = rows->n_columns, n = rows->table->columns->len, bit = 0;

        for (unsigned i = 0; i < (n_logged + 7) / 8; i++)
                n_present += (unsigned) __builtin_popcount(present[i] & (i == n_logged / 8 ? (1u << n_logged % 8) - 1 : 0xffu));
        gsize null_size = (n_present + 7) / 8;
        if ((gsize) (rows->end - rows->p) < null_size)
                return malformed(rows, "it ends within a row", error);
        const guint8 *nulls = rows->p;
        rows->p += null_size;

        if (image->n_columns != n) {
                row_image_clear(image);
                row_image_init(image, n);
        }
        GString *text = image->text;
        g_string_truncate(text, 0);
        image->complete = true;
        for (unsigned i = 0; i < n; i++) {
                const Column *column = column_at(rows->table, i);
                image->offsets[i] = (guint32) text->len;
                if (!is_present(present, i)) {
                        /* MariaDB leaves virtual columns out. */
                        if (!column->generated)
                                image->complete = false;
                } else if (is_present(nulls, bit++))
                        g_string_append_len(text, "NULL", 4);
                else if (!value_literal_from_binlog(column, rows->map->types[i], rows->map->metas[i], &rows->p,
                                                    rows->end, text, error)) {
                        g_prefix_error(error, "Table %s.%s: ", rows->map->database, rows->map->table);
                        return false;
                }
                g_string_append_c(text, '\0');
                if (text->len > G_MAXUINT32 / 2)
                        return malformed(rows, "a row is larger than 2 GiB", error);
        }
        image->offsets[n] = (guint32) text->len;
        if (n_logged > n && is_present(present, n) && !is_present(nulls, bit))
                return value_skip_binlog(rows->map->types[n], rows->map->metas[n], &rows->p, rows->end, error);
        return true;
}

bool binlog_rows_next(BinlogRows *rows, RowImage *before, RowImage *after, bool *ret_more, GError **error) {
        if (rows->p >= rows->end) {
                *ret_more = false;
                return true;
        }
        const guint8 *start = rows->p;
        if (rows->operation != ROW_OPERATION_INSERT && !take_image(rows, rows->present_before, before, error))
                return false;
        if (rows->operation != ROW_OPERATION_DELETE && !take_image(rows, rows->present_after, after, error))
                return false;
        /* An image without any column would be there without end. */
        if (rows->p == start)
                return malformed(rows, "rows without columns", error);
        *ret_more = true;
        return true;
}

void binlog_rows_end(BinlogRows *rows) {
        g_clear_pointer(&rows->inflated, g_free);
        rows->p = rows->end = NULL;
}
