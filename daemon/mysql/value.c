/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values as SQL literals: from the text protocol, back to bytes, and in the server's order. The way from the binary log is
 * in value-binlog.c; both have to give the same literal for the same stored value, which the tests compare on servers. */

#include "mysql/value.h"

#include <string.h>

#include "base/error.h"
#include "mysql/sql.h"
#include "mysql/value-format.h"

static const char *const column_kind_table[_COLUMN_KIND_MAX] = {
        [COLUMN_KIND_INTEGER] = "integer",
        [COLUMN_KIND_DECIMAL] = "decimal",
        [COLUMN_KIND_FLOAT] = "float",
        [COLUMN_KIND_DOUBLE] = "double",
        [COLUMN_KIND_BIT] = "bit",
        [COLUMN_KIND_YEAR] = "year",
        [COLUMN_KIND_DATE] = "date",
        [COLUMN_KIND_TIME] = "time",
        [COLUMN_KIND_DATETIME] = "datetime",
        [COLUMN_KIND_TIMESTAMP] = "timestamp",
        [COLUMN_KIND_ENUM] = "enum",
        [COLUMN_KIND_SET] = "set",
        [COLUMN_KIND_TEXT] = "text",
        [COLUMN_KIND_BINARY] = "binary",
        [COLUMN_KIND_BLOB] = "blob",
        [COLUMN_KIND_GEOMETRY] = "geometry",
        [COLUMN_KIND_JSON] = "json",
        [COLUMN_KIND_UNSUPPORTED] = "unsupported",
};
ENUM_TABLE_DEFINE(column_kind, ColumnKind, column_kind_table);

static bool bad_text(const Column *column, const char *text, gsize length, GError **error) {
        g_autofree char *shown = g_strndup(text, MIN(length, 64));
        g_autofree char *escaped = g_strescape(shown, NULL);
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                    "Column %s (%s): the server sent \"%s\", which is not a value of that type", column->name,
                    column->type, escaped);
        return false;
}

/* Digits with sign and leading zeros (ZEROFILL) → canonical. POINT: with a fraction. */
static bool append_number(const char *text, gsize length, bool point, GString *out) {
        const char *p = text, *end = text + length, *fraction = NULL;
        bool negative = false, nonzero = false;

        if (p < end && *p == '-') {
                negative = true;
                p++;
        }
        const char *digits = p;
        for (; p < end; p++) {
                if (*p == '.' && point && !fraction)
                        fraction = p;
                else if (!g_ascii_isdigit(*p))
                        return false;
                else if (*p != '0')
                        nonzero = true;
        }
        const char *whole_end = fraction ?: end;
        if (digits == end || fraction == end - 1)
                return false;
        while (digits < whole_end && *digits == '0')
                digits++;
        if (negative && nonzero)
                g_string_append_c(out, '-');
        if (digits == whole_end)
                g_string_append_c(out, '0');
        g_string_append_len(out, digits, end - digits);
        return true;
}

static bool parse_uint(const char *text, gsize length, guint64 *ret) {
        guint64 v = 0;
        if (length == 0 || length > 20)
                return false;
        for (gsize i = 0; i < length; i++)
                if (!g_ascii_isdigit(text[i]) || !g_uint64_checked_mul(&v, v, 10) ||
                    !g_uint64_checked_add(&v, v, (guint64) (text[i] - '0')))
                        return false;
        *ret = v;
        return true;
}

static bool append_real(const Column *column, const char *text, gsize length, GString *out) {
        char buffer[512], *end; /* DOUBLE(255,30) ZEROFILL, and large numbers written out */

        if (length == 0 || length >= sizeof buffer || memchr(text, '\0', length))
                return false;
        for (gsize i = 0; i < length; i++)
                if (!strchr("0123456789+-.eE", text[i]))
                        return false;
        memcpy(buffer, text, length);
        buffer[length] = '\0';
        double v = g_ascii_strtod(buffer, &end);
        if (*end)
                return false;
        return value_append_real(out, column, column->kind == COLUMN_KIND_FLOAT ? (double) (float) v : v);
}

static bool append_temporal(const char *text, gsize length, GString *out) {
        if (length == 0 || length > 32)
                return false;
        for (gsize i = 0; i < length; i++)
                if (!g_ascii_isdigit(text[i]) && !strchr("-: .", text[i] ?: 'x'))
                        return false;
        g_string_append_c(out, '\'');
        g_string_append_len(out, text, length);
        g_string_append_c(out, '\'');
        return true;
}

static bool append_year(const char *text, gsize length, GString *out) {
        guint64 v;
        /* YEAR(2) shows 99 for 1999 and the same for 2000 and the zero year: not exact. */
        if (!parse_uint(text, length, &v) || (v != 0 && (v < 1901 || v > 2155)))
                return false;
        value_append_uint(out, v);
        return true;
}

static void append_padded(const Column *column, const char *text, gsize length, GString *out) {
        sql_append_string(out, text, length);
        if (length >= column->length)
                return;
        g_string_truncate(out, out->len - 1);
        for (gsize i = length; i < column->length; i++)
                g_string_append_len(out, "\\0", 2);
        g_string_append_c(out, '\'');
}

static bool append_text(const Column *column, const char *text, gsize length, GString *out) {
        guint64 v;

        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
                return append_number(text, length, /* point= */ false, out);
        case COLUMN_KIND_DECIMAL:
                return append_number(text, length, /* point= */ true, out);
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
                return append_real(column, text, length, out);
        case COLUMN_KIND_BIT:
                if (!parse_uint(text, length, &v) || column->length < 1 || column->length > 64 ||
                    (column->length < 64 && v >> column->length))
                        return false;
                value_append_bits(out, v, (column->length + 7) / 8);
                return true;
        case COLUMN_KIND_YEAR:
                return append_year(text, length, out);
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
                return append_temporal(text, length, out);
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
                if (!parse_uint(text, length, &v))
                        return false;
                value_append_uint(out, v);
                return true;
        case COLUMN_KIND_BINARY:
                append_padded(column, text, length, out);
                return true;
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BLOB:
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
                sql_append_string(out, text, length);
                return true;
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return false;
}

bool value_literal_from_text(const Column *column, const char *text, gsize length, GString *out, GError **error) {
        if (!text) {
                g_string_append_len(out, "NULL", 4);
                return true;
        }
        if (column->kind == COLUMN_KIND_UNSUPPORTED) {
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "Column %s has type %s, which cannot be copied exactly", column->name, column->type);
                return false;
        }
        gsize before = out->len;
        if (append_text(column, text, length, out))
                return true;
        g_string_truncate(out, before);
        return bad_text(column, text, length, error);
}

GBytes *value_literal_bytes(const char *literal) {
        if (literal[0] == 'x' && literal[1] == '\'') {
                GByteArray *bytes = g_byte_array_new();
                for (const char *p = literal + 2; g_ascii_isxdigit(p[0]) && g_ascii_isxdigit(p[1]); p += 2) {
                        guint8 byte = (guint8) (g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]));
                        g_byte_array_append(bytes, &byte, 1);
                }
                return g_byte_array_free_to_bytes(bytes);
        }
        if (literal[0] != '\'')
                return g_bytes_new(literal, strlen(literal));

        GString *bytes = g_string_new(NULL);
        const char *p = literal + 1;
        for (int c; (c = value_next_byte(&p)) >= 0;)
                g_string_append_c(bytes, (char) c);
        return g_string_free_to_bytes(bytes);
}

/* Two canonical numbers, or two TIMEs, without sign: the longer whole part is greater, then digit by digit. */
static int compare_magnitude(const char *a, const char *b, const char *digits) {
        gsize whole_a = strspn(a, digits), whole_b = strspn(b, digits);
        if (whole_a != whole_b)
                return whole_a < whole_b ? -1 : 1;
        int r = memcmp(a, b, whole_a);
        if (r != 0)
                return r;
        /* What follows is a fraction: a longer one is greater unless it is all zeros. */
        for (a += whole_a, b += whole_b; *a && *a == *b; a++, b++)
                ;
        if (*a && *b)
                return (guint8) *a - (guint8) *b;
        if (strspn(a, ".0") == strlen(a) && strspn(b, ".0") == strlen(b))
                return 0;
        return *a ? 1 : -1;
}

static int compare_signed(const char *a, const char *b) {
        bool negative_a = *a == '-', negative_b = *b == '-';
        if (negative_a != negative_b)
                return negative_a ? -1 : 1;
        if (negative_a)
                return compare_magnitude(b + 1, a + 1, "0123456789");
        return compare_magnitude(a, b, "0123456789");
}

/* '…' of bytes. PAD: the shorter one counts as filled up with spaces (CHAR, VARCHAR and TEXT under a _bin collation). */
static int compare_bytes(const char *a, const char *b, bool pad) {
        if (*a != '\'' || *b != '\'')
                return strcmp(a, b);
        a++, b++;
        for (;;) {
                int x = value_next_byte(&a), y = value_next_byte(&b);
                if (x < 0 && y < 0)
                        return 0;
                if (x < 0 || y < 0) {
                        if (!pad)
                                return x < 0 ? -1 : 1;
                        x = x < 0 ? ' ' : x;
                        y = y < 0 ? ' ' : y;
                }
                if (x != y)
                        return x - y;
        }
}

static int compare_reals(const char *a, const char *b) {
        double x = g_ascii_strtod(a, NULL), y = g_ascii_strtod(b, NULL);
        return (x > y) - (x < y);
}

int value_compare(const Column *column, const char *a, const char *b) {
        bool null_a = strcmp(a, "NULL") == 0, null_b = strcmp(b, "NULL") == 0;
        if (null_a || null_b)
                return (int) null_b - (int) null_a;

        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
                return compare_signed(a, b);
        case COLUMN_KIND_TIME:
                /* '-838:59:59.5': the hours are a number of two or three digits */
                return *a == '\'' && *b == '\'' ? compare_signed(a + 1, b + 1) : strcmp(a, b);
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
                return compare_reals(a, b);
        case COLUMN_KIND_TEXT:
                return column->order ? collation_compare(column->order, a, b) : compare_bytes(a, b, /* pad= */ true);
        case COLUMN_KIND_JSON:
                return compare_bytes(a, b, /* pad= */ true);
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
        case COLUMN_KIND_GEOMETRY:
                return compare_bytes(a, b, /* pad= */ false);
        case COLUMN_KIND_BIT:      /* as many digits in both */
        case COLUMN_KIND_DATE:     /* fixed width */
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return strcmp(a, b);
}

/* Spaces at the end do not count. */
static guint64 hash_padded(guint64 hash, const char *literal) {
        guint64 spaces = 0;
        const char *p = literal + (*literal == '\'');
        for (int byte; (byte = value_next_byte(&p)) >= 0;) {
                if (byte == ' ') {
                        spaces++;
                        continue;
                }
                for (; spaces > 0; spaces--)
                        hash = collation_hash_byte(hash, ' ');
                hash = collation_hash_byte(hash, (guint8) byte);
        }
        return hash;
}

guint64 value_hash(const Column *column, guint64 hash, const char *literal) {
        if (column->kind == COLUMN_KIND_TEXT)
                return column->order ? collation_hash(column->order, hash, literal) : hash_padded(hash, literal);
        for (const char *p = literal; *p; p++)
                hash = collation_hash_byte(hash, (guint8) *p);
        return hash;
}

bool value_comparable(const Column *column) {
        /* The _bin collations that compare byte by byte and fill up with spaces. utf8mb4_0900_bin and MariaDB's _nopad_bin
         * do not fill up. */
        static const char *const padded_bin[] = {
                "latin1_bin", "ascii_bin", "utf8_bin", "utf8mb3_bin", "utf8mb4_bin", NULL,
        };

        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
                return true;
        case COLUMN_KIND_SET:
                return column->length < 64; /* servers are not sure about the highest bit themselves */
        case COLUMN_KIND_TEXT:
                return column->order || (column->collation && g_strv_contains(padded_bin, column->collation));
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
        case COLUMN_KIND_BIT:
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return false;
}
