/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a value of any column: kind, type, metadata, length and precision stand in front. A literal must be one
 * token without NULs, and equal to itself. */

#include <string.h>

#include "mysql/value.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void check_literal(const Column *column, const GString *literal) {
        g_assert_cmpuint(strlen(literal->str), ==, literal->len);
        g_assert_cmpuint(literal->len, >, 0);
        g_assert_cmpint(value_compare(column, literal->str, literal->str), ==, 0);
        g_autoptr(GBytes) bytes = value_literal_bytes(literal->str);
        g_assert_cmpuint(g_bytes_get_size(bytes), <=, literal->len);
        bool quoted = literal->str[0] == '\'' || (literal->str[0] == 'x' && literal->str[1] == '\'');
        if (!quoted) {
                if (strcmp(literal->str, "NULL") != 0)
                        g_assert_cmpuint(strspn(literal->str, "-+.e0123456789"), ==, literal->len);
                return;
        }
        /* The closing quote is the last byte and the only one that is not escaped. */
        const char *p = strchr(literal->str, '\'') + 1;
        while (*p && *p != '\'')
                p += *p == '\\' ? 2 : 1;
        g_assert_true(p == literal->str + literal->len - 1);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
        if (size < 8)
                return 0;
        Column column = {
                .name = (char *) "c",
                .type = (char *) "type",
                .kind = (ColumnKind) (data[0] % _COLUMN_KIND_MAX),
                .is_unsigned = data[0] & 0x80,
                .length = data[4] | (guint32) (data[5] & 7) << 8,
                .fsp = data[6] % 7,
        };
        guint8 type = data[1];
        guint16 meta = (guint16) (data[2] | data[3] << 8);
        g_autofree guint8 *value = g_memdup2(data + 7, size - 7);
        const guint8 *p = value, *q = value, *end = value + size - 7;
        g_autoptr(GString) literal = g_string_new(NULL);

        if (value_literal_from_binlog(&column, type, meta, &p, end, literal, NULL)) {
                check_literal(&column, literal);
                g_assert_true(value_skip_binlog(type, meta, &q, end, NULL));
                g_assert_true(p == q && p <= end);
        } else
                g_assert_true(p == value && literal->len == 0);

        g_string_truncate(literal, 0);
        if (value_literal_from_text(&column, (const char *) value, size - 7, literal, NULL))
                check_literal(&column, literal);
        else
                g_assert_cmpuint(literal->len, ==, 0);
        return 0;
}
