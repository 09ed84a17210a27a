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

/* '…': escapes are whole and the only quote that is not escaped ends it. x'…': digits. */
static bool string_valid(const char *p) {
        bool hex = *p == 'x';
        p += hex;
        if (*p++ != '\'')
                return false;
        for (; *p && *p != '\''; p++)
                if ((hex && !g_ascii_isxdigit(*p)) || (*p == '\\' && !*++p))
                        return false;
        return p[0] == '\'' && p[1] == '\0';
}

static bool number_valid(const char *p) {
        return strpbrk(p, "0123456789") && strspn(p, "0123456789+-.e") == strlen(p) && !strstr(p, "--");
}

static bool literal_valid(const Column *column, const char *p) {
        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
                return number_valid(p);
        case COLUMN_KIND_BIT:
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
                return string_valid(p);
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return false;
}

bool key_valid(const TableSchema *table, const char *data, gsize size) {
        const char *end = data + size;
        if (size == 0 || end[-1] != '\0')
                return false;
        for (guint i = 0; i < table->key->len; i++) {
                if (data >= end || !literal_valid(key_column(table, i), data))
                        return false;
                data += strlen(data) + 1;
        }
        return data == end;
}

#define FNV_BASIS G_GUINT64_CONSTANT(0xcbf29ce484222325)

/* FNV-1a with a final mix: short keys, and the low bits choose the worker. */
static guint64 mix(guint64 hash) {
        hash ^= hash >> 32;
        hash *= G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        return hash ^ (hash >> 29);
}

guint64 key_hash(const char *data, gsize size) {
        guint64 hash = FNV_BASIS;
        for (gsize i = 0; i < size; i++)
                hash = collation_hash_byte(hash, (guint8) data[i]);
        return mix(hash);
}

guint64 key_hash_value(const TableSchema *table, const char *data, gsize size) {
        if (!table->key_has_text)
                return key_hash(data, size);
        guint64 hash = FNV_BASIS;
        for (guint i = 0; i < table->key->len; i++) {
                hash = collation_hash_byte(value_hash(key_column(table, i), hash, data), 0);
                data += strlen(data) + 1;
        }
        return mix(hash);
}
