/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The one place where SQL text is put together. Pure. Sessions run under SET NAMES binary without
 * NO_BACKSLASH_ESCAPES and ANSI_QUOTES (conn_open() sees to it). */

#include <glib.h>

#include "mysql/schema.h"

/* `a``b` */
void sql_append_identifier(GString *sql, const char *name);
/* `db`.`table` */
void sql_append_table(GString *sql, const char *database, const char *table);
/* 'it\'s', exact bytes: \0 \n \r \Z \\ ' escaped */
void sql_append_string(GString *sql, const char *bytes, gsize length);
/* The same for NUL-terminated text, as new strings. */
char *sql_string(const char *text);
char *sql_identifier(const char *name);
char *sql_table(const char *database, const char *table);
/* Behind the string or name that begins with the quote at P: a doubled quote is one character, and with BACKSLASHES so is what stands behind one.
 * NULL: it has no end. */
const char *sql_behind_quoted(const char *p, bool backslashes);

/* What SELECT reads so that value_literal_from_text() can be exact: the column itself, except FLOAT and DOUBLE(m,d) `c`*1e0 → double,
 * BIT, ENUM and SET as unsigned numbers, YEAR `c`+0. Comma-separated, the same columns in the same order as
 * sql_append_column_list(): generated ones are left out. */
void sql_append_select_list(GString *sql, const TableSchema *table);
/* The same of one column. */
void sql_append_select_column(GString *sql, const Column *column);
/* `a`,`b`: the columns that are written (generated ones left out). */
void sql_append_column_list(GString *sql, const TableSchema *table);
/* `a`,`b` of the row key. */
void sql_append_key_list(GString *sql, const TableSchema *table);
/* " ORDER BY `a`,`b`" of the row key; of a key that holds prefixes no more of a binary value than an index can hold. */
void sql_append_key_order(GString *sql, const TableSchema *table);

/* Condition "row key > bound" (or >= …) in the expanded OR form that MySQL 5.6 can use an index for; BOUND is an array
 * of literals, one per key column. OPERATOR: ">", ">=", "<", "<=". */
void sql_append_key_bound(GString *sql, const TableSchema *table, const char *op, const char *const *bound);
/* A literal as it has to stand in a comparison with COLUMN. */
void sql_append_comparand(GString *sql, const Column *column, const char *literal);
/* `a`=1 AND `b`='x' */
void sql_append_key_equal(GString *sql, const TableSchema *table, const char *const *literals);
/* INSERT INTO `db`.`t` (`a`,`b`) VALUES — tuples are appended by the caller. */
void sql_append_insert_prefix(GString *sql, const TableSchema *table);
/* " ON DUPLICATE KEY UPDATE `b`=VALUES(`b`)" for all written columns that are not of the key; where the flavor wants a row
 * alias, " AS `polarshift_new`" stands before it. When all columns are of the key: sets the first to itself. */
void sql_append_upsert_suffix(GString *sql, const TableSchema *table, const Flavor *flavor);

/* The hash of a row as 64 hexadecimal digits, the same on every flavor for the same stored bytes. Never NULL: a row too
 * long for the server to hash gets a random one and so is never taken for equal. */
void sql_append_row_hash(GString *sql, const TableSchema *table);
/* The same for servers that tell 0 and -0 apart, when they shall be told apart. */
void sql_append_row_identity(GString *sql, const TableSchema *table);
/* The aggregate of a set of rows, a SELECT list of three columns: COUNT(*), and the XOR of the first and of the second
 * 64 bits of the row hashes as 16 hexadecimal digits each. */
void sql_append_chunk_checksum(GString *sql, const TableSchema *table);
