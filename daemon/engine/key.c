/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See key.h. */

#include "engine/key.h"

#include <string.h>

#include "mysql/value.h"

static const Column *key_column(const TableSchema *table, guint i) {
        return g_ptr_array_index(table->columns, g_array_index(table->key, unsigned, i));
}

void key_clear(Key *key) {
        g_clear_pointer(&key->data, g_free);
        key->size = 0;
}

Key key_copy(const Key *key) {
        return (Key){.data = key->data ? g_memdup2(key->data, key->size) : NULL, .size = key->size};
}

bool key_identical(const Key *a, const Key *b) {
        if (!a->data || !b->data)
                return !a->data && !b->data;
        return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

int key_compare(const TableSchema *table, const char *a, const char *b) {
        for (guint i = 0; i < table->key->len; i++) {
                int r = value_compare(key_column(table, i), a, b);
                if (r != 0)
                        return r;
                a += strlen(a) + 1;
                b += strlen(b) + 1;
        }
        return 0;
}

gsize key_append_from_image(GString *out, const TableSchema *table, const RowImage *image) {
        gsize start = out->len;
        for (guint i = 0; i < table->key->len; i++) {
                unsigned column = g_array_index(table->key, unsigned, i);
                /* offsets[i + 1] is behind the literal's NUL byte */
                g_string_append_len(out, row_image_literal(image, column),
                                    (gssize) strlen(row_image_literal(image, column)) + 1);
        }
        return out->len - start;
}

void key_split(const TableSchema *table, const char *data, const char **ret) {
        for (guint i = 0; i < table->key->len; i++) {
                ret[i] = data;
                data += strlen(data) + 1;
        }
}

bool key_valid(const TableSchema *table, const char *data, gsize size) {
        guint count = 0;
        if (size == 0 || data[size - 1] != '\0')
                return false;
        for (gsize i = 0; i < size; i++)
                count += data[i] == '\0';
        return count == table->key->len;
}

/* FNV-1a with a final mix: short keys, and the low bits choose the worker. */
guint64 key_hash(const char *data, gsize size) {
        guint64 hash = G_GUINT64_CONSTANT(0xcbf29ce484222325);
        for (gsize i = 0; i < size; i++)
                hash = (hash ^ (guint8) data[i]) * G_GUINT64_CONSTANT(0x100000001b3);
        hash ^= hash >> 32;
        hash *= G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        return hash ^ (hash >> 29);
}
