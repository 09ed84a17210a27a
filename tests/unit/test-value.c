/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Literals from texts and from bytes made by hand, their way back, and their order. What real servers store is in
 * test-binlog.c. */

#include <string.h>

#include "base/error.h"
#include "fixture.h"
#include "mysql/binlog-types.h"
#include "mysql/value.h"

static void test_kind_names(void) {
        for (int i = 0; i < _COLUMN_KIND_MAX; i++) {
                const char *name = column_kind_to_string((ColumnKind) i);
                g_assert_nonnull(name);
                g_assert_cmpint(column_kind_from_string(name), ==, i);
        }
        g_assert_cmpint(column_kind_from_string("blurb"), ==, _COLUMN_KIND_INVALID);
}

static Column make_column(ColumnKind kind) {
        return (Column){.name = (char *) "c", .type = (char *) "type", .kind = kind};
}

static void test_text(void) {
        static const struct {
                ColumnKind kind;
                guint32 length;
                const char *text, *literal; /* literal NULL: refused */
        } cases[] = {
                {COLUMN_KIND_INTEGER, 0, "0", "0"},
                {COLUMN_KIND_INTEGER, 0, "-9223372036854775808", "-9223372036854775808"},
                {COLUMN_KIND_INTEGER, 0, "00042", "42"},
                {COLUMN_KIND_INTEGER, 0, "0000", "0"},
                {COLUMN_KIND_INTEGER, 0, "", NULL},
                {COLUMN_KIND_INTEGER, 0, "-", NULL},
                {COLUMN_KIND_INTEGER, 0, "1.0", NULL},
                {COLUMN_KIND_INTEGER, 0, "1); DROP TABLE t", NULL},
                {COLUMN_KIND_DECIMAL, 0, "-0.50", "-0.50"},
                {COLUMN_KIND_DECIMAL, 0, "-0.00", "0.00"},
                {COLUMN_KIND_DECIMAL, 0, "0012.5", "12.5"},
                {COLUMN_KIND_DECIMAL, 0, "1.", NULL},
                {COLUMN_KIND_DECIMAL, 0, "1.2.3", NULL},
                {COLUMN_KIND_FLOAT, 0, "0.10000000149011612", "0.100000001"},
                {COLUMN_KIND_FLOAT, 0, "16777216", "16777216"},
                {COLUMN_KIND_FLOAT, 0, "-0", "-0e0"},
                {COLUMN_KIND_DOUBLE, 0, "0.1", "0.10000000000000001"},
                {COLUMN_KIND_DOUBLE, 0, "5e-324", "4.9406564584124654e-324"},
                {COLUMN_KIND_DOUBLE, 0, "1e999", NULL},
                {COLUMN_KIND_DOUBLE, 0, "nan", NULL},
                {COLUMN_KIND_DOUBLE, 0, "0x10", NULL},
                {COLUMN_KIND_BIT, 1, "1", "x'01'"},
                {COLUMN_KIND_BIT, 9, "511", "x'01ff'"},
                {COLUMN_KIND_BIT, 9, "512", NULL},
                {COLUMN_KIND_BIT, 64, "18446744073709551615", "x'ffffffffffffffff'"},
                {COLUMN_KIND_BIT, 64, "18446744073709551616", NULL},
                {COLUMN_KIND_YEAR, 0, "0", "0"},
                {COLUMN_KIND_YEAR, 0, "2155", "2155"},
                {COLUMN_KIND_YEAR, 0, "99", NULL},
                {COLUMN_KIND_DATE, 0, "0000-00-00", "'0000-00-00'"},
                {COLUMN_KIND_TIME, 0, "-838:59:59.5", "'-838:59:59.5'"},
                {COLUMN_KIND_TIME, 0, "1' OR '1", NULL},
                {COLUMN_KIND_ENUM, 3, "2", "2"},
                {COLUMN_KIND_SET, 64, "18446744073709551615", "18446744073709551615"},
                {COLUMN_KIND_SET, 64, "1.8446744073709552e19", NULL},
                {COLUMN_KIND_TEXT, 10, "it's\\\n\r\x1a\"%_", "'it\\'s\\\\\\n\\r\\Z\"%_'"},
                {COLUMN_KIND_BINARY, 3, "a", "'a\\0\\0'"},
                {COLUMN_KIND_BINARY, 1, "a", "'a'"},
                {COLUMN_KIND_BLOB, 3, "a", "'a'"},
                {COLUMN_KIND_UNSUPPORTED, 0, "a", NULL},
        };

        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GString) out = g_string_new("(");
                g_autoptr(GError) error = NULL;
                Column column = make_column(cases[i].kind);
                column.length = cases[i].length;
                bool ok = value_literal_from_text(&column, cases[i].text, strlen(cases[i].text), out, &error);
                if (cases[i].literal) {
                        g_assert_no_error(error);
                        g_assert_cmpstr(out->str + 1, ==, cases[i].literal);
                } else {
                        g_assert_nonnull(error);
                        g_assert_cmpstr(out->str, ==, "("); /* nothing half done */
                }
                g_assert_true(ok == (cases[i].literal != NULL));
                g_string_truncate(out, 0);
                g_assert_true(value_literal_from_text(&column, NULL, 0, out, NULL));
                g_assert_cmpstr(out->str, ==, "NULL");
        }
}

/* FLOAT(M,D) and DOUBLE(M,D): the largest one may be stored as more than M digits; what the server would round is refused. */
static void test_fixed_reals(void) {
        static const struct {
                ColumnKind kind;
                unsigned precision, scale;
                const char *text, *literal;
        } cases[] = {
                {COLUMN_KIND_FLOAT, 10, 3, "10000000", "9999999.999"},
                {COLUMN_KIND_FLOAT, 10, 3, "-10000000", "-9999999.999"},
                {COLUMN_KIND_FLOAT, 10, 3, "9999999", "9999999"},
                {COLUMN_KIND_FLOAT, 10, 3, "-1.0010000467300415", "-1.00100005"},
                {COLUMN_KIND_FLOAT, 10, 3, "-13290.185546875", "-13290.186"}, /* nine digits are not enough */
                {COLUMN_KIND_FLOAT, 10, 3, "1.1754943508222875e-38", NULL},
                {COLUMN_KIND_FLOAT, 10, 3, "0.00049999998882412910", NULL},
                {COLUMN_KIND_DOUBLE, 20, 2, "1000000000000000000", "999999999999999999.99"},
                {COLUMN_KIND_DOUBLE, 10, 2, "0.01", "0.01"},
                {COLUMN_KIND_DOUBLE, 10, 2, "0.005", NULL},
        };

        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GString) out = g_string_new(NULL);
                Column column = make_column(cases[i].kind);
                column.precision = cases[i].precision;
                column.scale = cases[i].scale;
                g_assert_true(value_literal_from_text(&column, cases[i].text, strlen(cases[i].text), out, NULL) == (cases[i].literal != NULL));
                g_assert_cmpstr(out->str, ==, cases[i].literal ?: "");
        }
}

static void test_binlog(void) {
        static const struct {
                ColumnKind kind;
                guint8 type;
                guint16 meta;
                bool is_unsigned;
                const char *bytes, *literal;
        } cases[] = {
                {COLUMN_KIND_INTEGER, BINLOG_TYPE_TINY, 0, false, "ff", "-1"},
                {COLUMN_KIND_INTEGER, BINLOG_TYPE_TINY, 0, true, "ff", "255"},
                {COLUMN_KIND_INTEGER, BINLOG_TYPE_INT24, 0, false, "000080", "-8388608"},
                {COLUMN_KIND_INTEGER, BINLOG_TYPE_LONGLONG, 0, false, "0000000000000080", "-9223372036854775808"},
                {COLUMN_KIND_INTEGER, BINLOG_TYPE_LONGLONG, 0, true, "ffffffffffffffff", "18446744073709551615"},
                {COLUMN_KIND_INTEGER, BINLOG_TYPE_LONG, 0, true, "ffffff", NULL},
                /* decimal(10,4): 1234567890.1234 and its negative, from the manual of the format */
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 14 | 4 << 8, false, "810dfb38d204d2", "1234567890.1234"},
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 14 | 4 << 8, false, "7ef204c72dfb2d", "-1234567890.1234"},
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 4 | 2 << 8, false, "8000", "0.00"},
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 4 | 2 << 8, false, "7fff", "0.00"},
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 4 | 2 << 8, false, "80ff", NULL}, /* 255 hundredths */
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 66, false, "80", NULL},
                {COLUMN_KIND_DECIMAL, BINLOG_TYPE_NEWDECIMAL, 4 | 5 << 8, false, "80", NULL},
                {COLUMN_KIND_FLOAT, BINLOG_TYPE_FLOAT, 4, false, "cdcccc3d", "0.100000001"},
                {COLUMN_KIND_FLOAT, BINLOG_TYPE_FLOAT, 4, false, "00000080", "-0e0"},
                {COLUMN_KIND_FLOAT, BINLOG_TYPE_FLOAT, 4, false, "0000807f", NULL}, /* infinity */
                {COLUMN_KIND_DOUBLE, BINLOG_TYPE_DOUBLE, 8, false, "000000000000f87f", NULL}, /* NaN */
                {COLUMN_KIND_YEAR, BINLOG_TYPE_YEAR, 0, false, "00", "0"},
                {COLUMN_KIND_YEAR, BINLOG_TYPE_YEAR, 0, false, "ff", "2155"},
                {COLUMN_KIND_TIME, BINLOG_TYPE_TIME2, 1, false, "7fffffce", "'-00:00:00.5'"},
                {COLUMN_KIND_TIME, BINLOG_TYPE_TIME2, 6, false, "7ffffffffffe", "'-00:00:00.000002'"},
                {COLUMN_KIND_TIME, BINLOG_TYPE_TIME2, 7, false, "7ffffffffffeff", NULL},
                {COLUMN_KIND_TIME, BINLOG_TYPE_TIME2, 0, false, "ffffff", NULL},
                {COLUMN_KIND_DATETIME, BINLOG_TYPE_DATETIME2, 0, false, "8000000000", "'0000-00-00 00:00:00'"},
                {COLUMN_KIND_DATETIME, BINLOG_TYPE_DATETIME2, 0, false, "0000000000", NULL},
                {COLUMN_KIND_DATETIME, BINLOG_TYPE_DATETIME2, 0, false, "ffffffffff", NULL},
                {COLUMN_KIND_TIMESTAMP, BINLOG_TYPE_TIMESTAMP2, 0, false, "00000000", "'0000-00-00 00:00:00'"},
                {COLUMN_KIND_TIMESTAMP, BINLOG_TYPE_TIMESTAMP2, 0, false, "65e1a5ff", "'2024-03-01 09:55:11'"},
                {COLUMN_KIND_TIMESTAMP, BINLOG_TYPE_TIMESTAMP2, 0, false, "ffffffff", "'2106-02-07 06:28:15'"},
                {COLUMN_KIND_TIMESTAMP, BINLOG_TYPE_TIMESTAMP2, 3, false, "00000001270f", "'1970-01-01 00:00:01.999'"},
                {COLUMN_KIND_TIMESTAMP, BINLOG_TYPE_TIMESTAMP2, 3, false, "00000001ffff", NULL},
                {COLUMN_KIND_TIMESTAMP, BINLOG_TYPE_TIMESTAMP, 0, false, "01000000", "'1970-01-01 00:00:01'"},
                {COLUMN_KIND_TIME, BINLOG_TYPE_TIME, 0, false, "27ff97", NULL},
                {COLUMN_KIND_TIME, BINLOG_TYPE_TIME, 0, false, "ffffff", "'-00:00:01'"},
                {COLUMN_KIND_DATE, BINLOG_TYPE_DATE, 0, false, "000000", "'0000-00-00'"},
                {COLUMN_KIND_DATE, BINLOG_TYPE_DATE, 0, false, "ffffff", NULL},
                {COLUMN_KIND_BIT, BINLOG_TYPE_BIT, 1 | 1 << 8, false, "01ff", "x'01ff'"},
                {COLUMN_KIND_BIT, BINLOG_TYPE_BIT, 1 | 8 << 8, false, "01ff0000000000000000", NULL},
                {COLUMN_KIND_ENUM, BINLOG_TYPE_ENUM, 2, false, "2c01", "300"},
                {COLUMN_KIND_ENUM, BINLOG_TYPE_ENUM, 9, false, "2c0100000000000000", NULL},
                {COLUMN_KIND_TEXT, BINLOG_TYPE_STRING, 10, false, "0161", "'a'"},
                {COLUMN_KIND_TEXT, BINLOG_TYPE_STRING, 1020, false, "010027", "'\\''"},
                {COLUMN_KIND_TEXT, BINLOG_TYPE_VARCHAR, 1, false, "026161", NULL}, /* longer than the column */
                {COLUMN_KIND_TEXT, BINLOG_TYPE_VARCHAR, 10, false, "026", NULL},
                {COLUMN_KIND_BLOB, BINLOG_TYPE_BLOB, 4, false, "0100000000", "'\\0'"},
                {COLUMN_KIND_BLOB, BINLOG_TYPE_BLOB, 4, false, "ffffffff00", NULL},
                {COLUMN_KIND_BLOB, BINLOG_TYPE_BLOB, 5, false, "000000000000", NULL},
                {COLUMN_KIND_JSON, BINLOG_TYPE_JSON, 4, false, "0100000000", NULL},
                {COLUMN_KIND_TEXT, BINLOG_TYPE_VARCHAR_COMPRESSED, 10, false, "0161", NULL},
        };

        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *hex = g_strndup(cases[i].bytes, strlen(cases[i].bytes) & ~1u);
                g_autoptr(GByteArray) bytes = fixture_unhex(hex);
                g_autoptr(GString) out = g_string_new(NULL);
                g_autoptr(GError) error = NULL;
                g_autofree guint8 *copy = g_memdup2(bytes->data, bytes->len); /* no spare room: overruns are seen */
                const guint8 *p = copy, *end = copy + bytes->len;
                Column column = make_column(cases[i].kind);

                column.is_unsigned = cases[i].is_unsigned;
                bool ok = value_literal_from_binlog(&column, cases[i].type, cases[i].meta, &p, end, out, &error);
                if (cases[i].literal) {
                        g_assert_no_error(error);
                        g_assert_true(ok && p == end);
                        g_assert_cmpstr(out->str, ==, cases[i].literal);
                        p = copy;
                        g_assert_true(value_skip_binlog(cases[i].type, cases[i].meta, &p, end, NULL));
                        g_assert_true(p == end);
                } else {
                        if (ok)
                                g_error("case %" G_GSIZE_FORMAT " %s gave %s", i, cases[i].bytes, out->str);
                        g_assert_nonnull(error);
                        g_assert_true(p == copy);
                        g_assert_cmpstr(out->str, ==, "");
                }
        }
}

/* All days that a TIMESTAMP can hold, against GLib's calendar. */
static void test_timestamps(void) {
        Column column = make_column(COLUMN_KIND_TIMESTAMP);
        g_autoptr(GString) out = g_string_new(NULL);
        for (guint64 day = 0; day <= G_MAXUINT32 / 86400 - 1; day += 3) {
                guint32 seconds = (guint32) (day * 86400 + 86399);
                guint8 bytes[4] = {(guint8) (seconds >> 24), (guint8) (seconds >> 16), (guint8) (seconds >> 8),
                                   (guint8) seconds};
                const guint8 *p = bytes;
                g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
                g_autofree char *expected = g_date_time_format(time, "'%Y-%m-%d %H:%M:%S'");
                g_string_truncate(out, 0);
                g_assert_true(value_literal_from_binlog(&column, BINLOG_TYPE_TIMESTAMP2, 0, &p, bytes + 4, out, NULL));
                g_assert_cmpstr(out->str, ==, expected);
        }
}

static void test_bytes(void) {
        static const struct {
                const char *literal, *bytes;
                gsize length;
        } cases[] = {
                {"'a\\0\\n\\r\\Z\\\\\\'b'", "a\0\n\r\x1a\\'b", 8}, {"x'00ff'", "\0\xff", 2}, {"''", "", 0},
                {"-5", "-5", 2}, {"NULL", "NULL", 4},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GBytes) bytes = value_literal_bytes(cases[i].literal);
                g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), cases[i].bytes,
                                cases[i].length);
        }
        /* There and back for every byte. */
        char all[256];
        for (int i = 0; i < 256; i++)
                all[i] = (char) i;
        Column column = make_column(COLUMN_KIND_BLOB);
        g_autoptr(GString) out = g_string_new(NULL);
        g_assert_true(value_literal_from_text(&column, all, 256, out, NULL));
        g_assert_cmpuint(strlen(out->str), ==, out->len);
        g_autoptr(GBytes) back = value_literal_bytes(out->str);
        g_assert_cmpmem(g_bytes_get_data(back, NULL), g_bytes_get_size(back), all, 256);
}

static int sign(int v) {
        return (v > 0) - (v < 0);
}

/* Each list is in ascending order; "=" in front: equal to the one before. */
static void test_compare(void) {
        static const struct {
                ColumnKind kind;
                const char *literals[14];
        } cases[] = {
                {COLUMN_KIND_INTEGER, {"NULL", "-9223372036854775808", "-10", "-9", "-1", "0", "1", "9", "10",
                                       "9223372036854775808", "18446744073709551615"}},
                {COLUMN_KIND_DECIMAL, {"-100.00", "-99.99", "-0.02", "-0.01", "0.00", "=0.0", "0.01", "0.10", "=0.1", "1.00", "9.99",
                                       "10.00", "99999999999999999999999999999999999999999999999999999999999999999"}},
                {COLUMN_KIND_YEAR, {"0", "1901", "2155"}},
                {COLUMN_KIND_TIME, {"'-838:59:59.0'", "'-100:00:00.0'", "'-99:00:00.0'", "'-00:00:01.0'", "'-00:00:00.5'",
                                    "'00:00:00.0'", "'00:00:00.5'", "'09:00:00.0'", "'99:59:59.9'", "'100:00:00.0'"}},
                {COLUMN_KIND_DATE, {"'0000-00-00'", "'0000-00-01'", "'1000-01-01'", "'2026-00-00'", "'2026-01-00'",
                                    "'9999-12-31'"}},
                {COLUMN_KIND_DATETIME, {"'0000-00-00 00:00:00'", "'2026-01-01 00:00:00'", "'2026-01-01 00:00:01'"}},
                {COLUMN_KIND_ENUM, {"0", "1", "2", "10"}},
                {COLUMN_KIND_SET, {"0", "3", "18446744073709551615"}},
                {COLUMN_KIND_DOUBLE, {"-1e300", "-5", "-0.5", "0", "=-0e0", "4e-324", "9", "10"}},
                {COLUMN_KIND_BLOB, {"''", "'\\0'", "'\\0\\0'", "'\\n'", "'a'", "'a '", "'a\\''", "'b'", "'\xff'"}},
                {COLUMN_KIND_BINARY, {"'\\0\\0'", "'a\\0'", "'a '", "'aa'"}},
                {COLUMN_KIND_TEXT, {"'\\0'", "'\\n'", "''", "='  '", "'a\\0'", "'a\\n'", "'a'", "='a '", "='a   '", "'a  b'",
                                    "'a!'", "'b'", "'\xe2\x82\xac'", "'\xf0\x9f\x98\x80'"}},
                {COLUMN_KIND_BIT, {"x'0000'", "x'00ff'", "x'0100'"}},
        };

        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                Column column = make_column(cases[i].kind);
                int rank[14] = {0};
                const char *literals[14];
                gsize n = 0;
                for (; n < 14 && cases[i].literals[n]; n++) {
                        bool same = cases[i].literals[n][0] == '=';
                        literals[n] = cases[i].literals[n] + same;
                        rank[n] = n == 0 ? 0 : rank[n - 1] + !same;
                }
                for (gsize a = 0; a < n; a++)
                        for (gsize b = 0; b < n; b++)
                                if (sign(value_compare(&column, literals[a], literals[b])) != sign(rank[a] - rank[b]))
                                        g_error("%s: %s and %s", column_kind_to_string(column.kind), literals[a],
                                                literals[b]);
        }
}

static void test_comparable(void) {
        static const struct {
                ColumnKind kind;
                const char *collation;
                bool comparable;
        } cases[] = {
                {COLUMN_KIND_INTEGER, NULL, true},
                {COLUMN_KIND_BLOB, NULL, true},
                {COLUMN_KIND_FLOAT, NULL, false},
                {COLUMN_KIND_DOUBLE, NULL, false},
                {COLUMN_KIND_JSON, NULL, false},
                {COLUMN_KIND_TEXT, NULL, false},
                {COLUMN_KIND_TEXT, "utf8_bin", true},
                {COLUMN_KIND_TEXT, "utf8mb4_bin", true},
                {COLUMN_KIND_TEXT, "latin1_bin", true},
                {COLUMN_KIND_TEXT, "utf8mb4_nopad_bin", false},
                {COLUMN_KIND_TEXT, "utf8mb4_0900_bin", false},
                {COLUMN_KIND_TEXT, "ucs2_bin", false},
                {COLUMN_KIND_TEXT, "utf8_general_ci", false},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                Column column = make_column(cases[i].kind);
                column.collation = (char *) cases[i].collation;
                g_assert_true(value_comparable(&column) == cases[i].comparable);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/value/kind-names", test_kind_names);
        g_test_add_func("/value/text", test_text);
        g_test_add_func("/value/fixed-reals", test_fixed_reals);
        g_test_add_func("/value/binlog", test_binlog);
        g_test_add_func("/value/timestamps", test_timestamps);
        g_test_add_func("/value/bytes", test_bytes);
        g_test_add_func("/value/compare", test_compare);
        g_test_add_func("/value/comparable", test_comparable);
        return g_test_run();
}
