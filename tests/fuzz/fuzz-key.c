/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a key that a server's chunk table holds: the first two choose the kinds of two key columns. A key that is taken can be split,
 * compared with itself, and stands in a statement as what it is. */

#include <string.h>

#include "engine/key.h"
#include "mysql/value.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* One token: a number, or a string that ends at its last byte. */
static void check_token(const char *p) {
        if (*p == 'x')
                p++;
        if (*p != '\'') {
                g_assert_cmpuint(strspn(p, "0123456789+-.e"), ==, strlen(p));
                return;
        }
        for (p++; *p && *p != '\''; p++)
                p += *p == '\\';
        g_assert_true(p[0] == '\'' && p[1] == '\0');
}

/* Whatever the literals are: one order, seen from both ends, and equal ones have one hash. */
static void check_order(const Column *column, const char *a, const char *b) {
        if (column->kind != COLUMN_KIND_TEXT || *a != '\'' || *b != '\'')
                return;
        int ab = value_compare(column, a, b), ba = value_compare(column, b, a);
        g_assert_true((ab > 0) - (ab < 0) == (ba < 0) - (ba > 0));
        g_assert_true(ab != 0 || value_hash(column, 1, a) == value_hash(column, 1, b));
}

static Collation *make_order(CharForm form) {
        g_autofree guint16 *weights = g_new(guint16, collation_n_weights(form));
        for (guint c = 0; c < collation_n_weights(form); c++)
                weights[c] = (guint16) (c & ~0x20u);
        weights[' '] = ' ';
        return collation_new(form, weights, 0xfffd);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
        static Collation *orders[_CHAR_FORM_MAX];
        for (CharForm form = 0; form < _CHAR_FORM_MAX && !orders[form]; form++)
                orders[form] = make_order(form);
        if (size < 3)
                return 0;
        Column columns[2] = {0};
        TableSchema table = {.columns = g_ptr_array_new(), .key = g_array_new(FALSE, FALSE, sizeof(unsigned))};
        for (unsigned i = 0; i < 2; i++) {
                columns[i].kind = (ColumnKind) (data[i] % _COLUMN_KIND_MAX);
                columns[i].order = orders[data[i] / _COLUMN_KIND_MAX % _CHAR_FORM_MAX];
                g_ptr_array_add(table.columns, &columns[i]);
                g_array_append_val(table.key, i);
        }
        g_autofree char *key = g_memdup2(data + 2, size - 2);
        if (key_valid(&table, key, size - 2)) {
                const char *parts[2];
                key_split(&table, key, parts);
                check_token(parts[0]);
                check_token(parts[1]);
                g_assert_true(parts[1] + strlen(parts[1]) + 1 == key + size - 2);
                g_assert_cmpint(key_compare(&table, key, key), ==, 0);
                for (unsigned i = 0; i < 2; i++)
                        check_order(&columns[i], parts[0], parts[1]);
                table.key_has_text = true;
                g_assert_cmpuint(key_hash_value(&table, key, size - 2), ==, key_hash_value(&table, key, size - 2));
        }
        g_ptr_array_unref(table.columns);
        g_array_unref(table.key);
        return 0;
}
