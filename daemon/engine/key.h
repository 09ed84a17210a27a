/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A row key: the literals of the key columns (value.h), each with its NUL byte, one behind the other. Literals never hold a NUL
 * byte themselves, so a key is one block of bytes that can be hashed, compared for identity, stored and sent. Pure. */

#include <glib.h>

#include "mysql/binlog-row.h"
#include "mysql/schema.h"

typedef struct Key {
        char *data; /* NULL: no bound (−∞ as a lower, +∞ as an upper one) */
        gsize size;
} Key;

void key_clear(Key *key);
Key key_copy(const Key *key);
bool key_identical(const Key *a, const Key *b);
/* As the server orders them (KEY_ORDER_AGENT tables only). */
int key_compare(const TableSchema *table, const char *a, const char *b);
/* Appends the key of a row image; returns its size. */
gsize key_append_from_image(GString *out, const TableSchema *table, const RowImage *image);
/* The literals as an array for the builders of sql.h; points into DATA. RET has room for the key's columns. */
void key_split(const TableSchema *table, const char *data, const char **ret);
/* Whether DATA of SIZE bytes is a literal of each key column and nothing else: for keys read from a server, which will stand in statements. */
bool key_valid(const TableSchema *table, const char *data, gsize size);
/* Of the bytes: as different as key_identical(). */
guint64 key_hash(const char *data, gsize size);
/* The same for all spellings of one key ('a', 'A' and 'a ' under a case-insensitive collation), in tables that the agent can order. */
guint64 key_hash_value(const TableSchema *table, const char *data, gsize size);
