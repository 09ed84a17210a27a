/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Row events: the images of a WRITE, UPDATE or DELETE event, column by column. Pure. */

#include "mysql/binlog-decode.h"
#include "mysql/schema.h"

typedef enum RowOperation {
        ROW_OPERATION_INSERT,
        ROW_OPERATION_UPDATE,
        ROW_OPERATION_DELETE,
        _ROW_OPERATION_MAX,
        _ROW_OPERATION_INVALID = -1,
} RowOperation;

/* Of the event's type; _INVALID when it is not a row event. Compressed MariaDB ones are row events too. */
RowOperation binlog_row_operation(unsigned event_type);
/* The table a row event speaks of, without parsing more. */
bool binlog_rows_table_id(const BinlogEvent *event, guint64 *ret, GError **error);
/* Whether it only ends a statement: MySQL's dummy event, which has no row, no TABLE_MAP, and a number that tables should not have. They can have one
 * of those that say so, hence only a number without TABLE_MAP is worth the question. */
bool binlog_rows_is_dummy(const BinlogEvent *event);

/* One image as literals (value.h): literal of column i is text->str + offsets[i] up to offsets[i+1] - 1 (each is
 * followed by a NUL). A column that is not in the image (MINIMAL) has an empty literal. */
typedef struct RowImage {
        GString *text;
        guint32 *offsets; /* n_columns + 1 */
        unsigned n_columns;
        bool complete; /* every column is present */
} RowImage;
void row_image_init(RowImage *image, unsigned n_columns);
void row_image_clear(RowImage *image);
static inline const char *row_image_literal(const RowImage *image, unsigned column) {
        return image->text->str + image->offsets[column];
}

typedef enum RowsFlags {
        ROWS_END_OF_STATEMENT = 1 << 0,
        ROWS_NO_FOREIGN_KEY_CHECKS = 1 << 1,
        ROWS_CASCADES_LOGGED = 1 << 4, /* MySQL 9.6 and later: what foreign keys did stands in row events of its own, which have both */
} RowsFlags;

/* A value of our own about a row event being walked. */
typedef struct BinlogRows {
        RowOperation operation;
        unsigned n_columns;
        guint64 table_id;
        guint16 flags; /* RowsFlags */
        /* private */
        const BinlogTableMap *map;
        const TableSchema *table;
        const guint8 *present_before, *present_after, *p, *end;
        guint8 *inflated; /* owned: a decompressed MariaDB body */
} BinlogRows;

/* TABLE gives names, signs and kinds; its columns must match MAP in number and type (else PS_ERROR_DATA_MISMATCH, which names
 * both: the table was altered). A hidden key behind them (see binlog_table_map_matches()) is stepped over: images have TABLE's columns.
 * COMPRESSED MariaDB bodies are inflated, at most 1 GiB. */
bool binlog_rows_begin(BinlogRows *rows, const BinlogEvent *event, const BinlogTableMap *map, const TableSchema *table,
                       GError **error);
/* The next row: BEFORE is filled for UPDATE and DELETE, AFTER for INSERT and UPDATE. *ret_more false: no row was left. */
bool binlog_rows_next(BinlogRows *rows, RowImage *before, RowImage *after, bool *ret_more, GError **error);
void binlog_rows_end(BinlogRows *rows);
/* Whether a row event's images lack columns that are not generated, by its bitmaps alone. */
bool binlog_rows_partial(const BinlogEvent *event, const BinlogTableMap *map, const TableSchema *table, bool *ret, GError **error);
/* Whether MAP's column types can hold what TABLE says: PS_ERROR_DATA_MISMATCH names the first difference. A table without a primary key may
 * have one column more in the log, a BIGINT that is never NULL: RDS MySQL 5.6 adds `__#alibaba_rds_row_id#__`, and shows it nowhere else. */
bool binlog_table_map_matches(const BinlogTableMap *map, const TableSchema *table, GError **error);
