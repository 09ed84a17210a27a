/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One column value, exact, as the SQL literal that writes it. The text protocol and the binary log give the same
 * literal for the same stored value: keys are compared and hashed by their literals. Pure.
 *
 *   NULL; integers, YEAR, ENUM, SET, DECIMAL: digits (canonical: -5, 0, 1.50 with SCALE digits, no "-0.00");
 *   FLOAT %.9g, DOUBLE %.17g (of the parsed number, so that both ways agree; NaN cannot occur);
 *   BIT x'00ff' ((bits+7)/8 bytes); temporal '2026-01-31 10:00:00.123' with FSP digits, zero dates too, TIMESTAMP in +00:00;
 *   text, BINARY (right-padded with 0x00), BLOB, GEOMETRY (SRID + WKB): '…' escaped as sql_append_string() does. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/schema.h"

/* From a value as sql_append_select_list() reads it; TEXT NULL means NULL. PS_ERROR_DATA_MISMATCH when it can't be. */
bool value_literal_from_text(const Column *column, const char *text, gsize length, GString *out, GError **error);

/* From a binary log row image: TYPE and META are the TABLE_MAP's. Advances *p; checks against END.
 * PS_ERROR_DATA_MISMATCH (truncated, impossible), PS_ERROR_UNSUPPORTED_OBJECT (a type we cannot take exactly). */
bool value_literal_from_binlog(const Column *column, guint8 type, guint16 meta, const guint8 **p, const guint8 *end,
                               GString *out, GError **error);
/* Steps over a value without rendering it. */
bool value_skip_binlog(guint8 type, guint16 meta, const guint8 **p, const guint8 *end, GError **error);

/* A literal made by the functions above back to its value's bytes ('…' unescaped, x'…' decoded; others as they are): for messages and tests. */
GBytes *value_literal_bytes(const char *literal);

/* Orders two key values of COLUMN by their literals exactly as the server orders the column, for columns that
 * value_comparable() allows. <0, 0, >0. */
int value_compare(const Column *column, const char *a, const char *b);
/* Continues HASH with a key value of such a column; the same for values that value_compare() finds equal. */
guint64 value_hash(const Column *column, guint64 hash, const char *literal);
/* Whether value_compare() is exact for the column. */
bool value_comparable(const Column *column);
