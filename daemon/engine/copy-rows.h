/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The rows of a chunk between SELECT and INSERT: tuples as SQL text in one arena, each with its key, so that what happened meanwhile can be
 * laid over them. And the SQL of key ranges. */

#include <stdbool.h>

#include <glib.h>

#include "engine/chunk.h"
#include "mysql/conn.h"

typedef struct BufferedRow {
        gsize tuple, key; /* offsets */
        guint32 tuple_size, key_size;
        guint enum_zeros; /* see change.h */
        bool replaced;    /* the side queue has a newer state */
} BufferedRow;

typedef struct RowBuffer {
        GString *text;
        GArray *rows;   /* of BufferedRow */
        guint64 total_rows, total_bytes; /* since row_buffer_reset(), over row_buffer_next() */
        gsize *starts, *sizes; /* scratch: the literals of the columns of the row being read */
        guint n_columns;
} RowBuffer;

void row_buffer_init(RowBuffer *buffer);
void row_buffer_clear(RowBuffer *buffer);
void row_buffer_reset(RowBuffer *buffer); /* empty, counters too */
void row_buffer_next(RowBuffer *buffer);  /* empty, counters go on */
/* Reads rows until the result ends or the buffer holds MAX_BYTES; *ret_more: its end was not seen. */
bool row_buffer_read(RowBuffer *buffer, const TableSchema *table, ConnStream *rows, gsize max_bytes, bool *ret_more, GError **error);
/* The same; *ret_more: there is another row, and it is lost. */
bool row_buffer_read_all(RowBuffer *buffer, const TableSchema *table, ConnStream *rows, gsize max_bytes, bool *ret_more, GError **error);
/* Makes the rows what they are after SIDE (of SideRow, in order), as far as it speaks of keys up to HI: a chunk may have been shortened
 * after its queue was opened. */
void row_buffer_overlay(RowBuffer *buffer, const TableSchema *table, const Key *hi, const GPtrArray *side);
/* Appends one INSERT of the rows from FIRST on, up to LIMIT bytes (at least one row). Returns how many; *ret_warnings: how many warnings
 * the server gives when all is well. */
guint row_buffer_append_insert(const RowBuffer *buffer, const TableSchema *table, guint first, gsize limit, GString *sql,
                               guint *ret_warnings);

/* " FROM `db`.`t` FORCE INDEX (…) WHERE key > LO AND key <= HI", without bounds that are infinite. */
void copy_append_range(GString *sql, const TableSchema *table, const Key *lo, const Key *hi);
/* The key's columns as sql_append_select_column() reads them. */
void copy_append_key_select(GString *sql, const TableSchema *table);
bool copy_key_from_row(const TableSchema *table, char **row, const unsigned long *lengths, Key *ret, GError **error);
