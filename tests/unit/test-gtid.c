/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of GTIDs: text, union, inclusion and the encoding of COM_BINLOG_DUMP_GTID. */

#include "base/error.h"
#include "mysql/executed.h"
#include "mysql/gtid.h"

#define A "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define B "f0000000-0000-0000-0000-000000000001"

static void test_text(void) {
        static const struct {
                const char *text, *canonical; /* NULL: refused */
        } cases[] = {
                {"", ""},
                {" \n", ""},
                {A ":1", A ":1"},
                {A ":1-5", A ":1-5"},
                {A ":7:1-5", A ":1-5:7"},
                {A ":1-5:6:4-9", A ":1-9"},
                {A ":1-2:4-5:3", A ":1-5"},
                {B ":1,\n" A ":1-3 : 9", A ":1-3:9," B ":1"},
                {A ":1," A ":2", A ":1-2"},
                {"3E11FA47-71CA-11E1-9E33-C80AA9429562:1", A ":1"},
                {A ":9223372036854775806", A ":9223372036854775806"},
                {"," A ":1,,", A ":1"},
                {A ":9223372036854775807", NULL},
                {A ":99999999999999999999", NULL},
                {A ":0", NULL},
                {A ":-1", NULL},
                {A, NULL},
                {A ":", NULL},
                {A ":1-", NULL},
                {A ":tag:1", A ":tag:1"},
                {A ":1-5:blue:1-2:_red:7", A ":1-5:_red:7:blue:1-2"},
                {A ":BLUE:3:1," A ":4", A ":4:blue:1:3"},
                {A ":blue:1," B ":1:blue:2", A ":blue:1," B ":1:blue:2"},
                {A ":blue", NULL},
                {A ":blue:", NULL},
                {A ":blue:red:1", NULL},
                {A ":12blue:1", NULL},
                {A ":a234567890123456789012345678901x:1", A ":a234567890123456789012345678901x:1"},
                {A ":a234567890123456789012345678901xy:1", NULL},
                {"3e11fa47-71ca-11e1-9e33-c80aa942956:1", NULL},
                {"0-1-100", NULL},
                {A ":1;", NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(GtidSet) set = gtid_set_parse(cases[i].text, &error);
                if (!cases[i].canonical) {
                        g_assert_null(set);
                        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
                        continue;
                }
                g_assert_no_error(error);
                g_autofree char *text = gtid_set_to_string(set);
                g_assert_cmpstr(text, ==, cases[i].canonical);
                g_autoptr(GtidSet) again = gtid_set_parse(text, NULL);
                g_assert_true(gtid_set_equal(set, again));
        }
}

static void test_contains(void) {
        static const struct {
                const char *set, *subset;
                bool contains;
        } cases[] = {
                {"", "", true},
                {A ":1-5", "", true},
                {"", A ":1", false},
                {A ":1-5", A ":1-5", true},
                {A ":1-5", A ":2-4", true},
                {A ":1-5", A ":5-6", false},
                {A ":1-5:7-9", A ":2:8-9", true},
                {A ":1-5:7-9", A ":5-7", false},
                {A ":1-5:7-9", A ":6", false},
                {A ":1-5:7-9", A ":10", false},
                {A ":1-5", B ":1", false},
                {A ":1-5," B ":1-9", B ":1", true},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GtidSet) set = gtid_set_parse(cases[i].set, NULL);
                g_autoptr(GtidSet) subset = gtid_set_parse(cases[i].subset, NULL);
                g_assert_true(gtid_set_contains(set, subset) == cases[i].contains);
        }
}

/* Random adds, against a plain array of flags. */
static void test_random(void) {
        static const guint8 sid[16] = {1};
        for (int round = 0; round < 200; round++) {
                bool flags[100] = {false};
                g_autoptr(GtidSet) set = gtid_set_new(), other = gtid_set_new();
                for (int i = 0; i < 20; i++) {
                        int first = g_test_rand_int_range(1, 91), last = first + g_test_rand_int_range(0, 8);
                        gtid_set_add(i % 2 ? set : other, sid, (guint64) first, (guint64) last);
                        for (int j = first; j <= last; j++)
                                flags[j] = true;
                }
                gtid_set_union(set, other);
                g_assert_true(gtid_set_contains(set, other));
                for (int j = 1; j < 100; j++) {
                        g_autoptr(GtidSet) one = gtid_set_new();
                        gtid_set_add(one, sid, (guint64) j, (guint64) j);
                        g_assert_true(gtid_set_contains(set, one) == flags[j]);
                }
        }
}

static void test_encode(void) {
        g_autoptr(GtidSet) set = gtid_set_parse(A ":1-5:7", NULL);
        g_autoptr(GByteArray) bytes = gtid_set_encode(set);
        static const guint8 expected[] = {
                1, 0, 0, 0, 0, 0, 0, 0, 0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9,
                0x42, 0x95, 0x62, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0,
                0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
        };
        g_assert_cmpmem(bytes->data, bytes->len, expected, sizeof expected);
}

static void test_mariadb(void) {
        static const struct {
                const char *text, *canonical;
        } cases[] = {
                {"", ""},
                {"0-1-100", "0-1-100"},
                {" 0-1-100,\n1-2-18446744073709551615 ", "0-1-100,1-2-18446744073709551615"},
                {"0-1-100,0-2-5", NULL},
                {"0-1", NULL},
                {"0-1-", NULL},
                {"4294967296-1-1", NULL},
                {"0-1-18446744073709551616", NULL},
                {"0-1-1,", NULL},
                {"0-1-1 1-1-1", NULL},
                {"-1-1-1", NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(GArray) list = mariadb_gtid_parse(cases[i].text, &error);
                if (!cases[i].canonical) {
                        g_assert_null(list);
                        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
                        continue;
                }
                g_assert_no_error(error);
                g_autofree char *text = mariadb_gtid_to_string(list);
                g_assert_cmpstr(text, ==, cases[i].canonical);
        }
}

static void test_subtract(void) {
        static const struct {
                const char *set, *other, *left;
        } cases[] = {
                {A ":1-10", "", A ":1-10"},
                {A ":1-10", A ":1-10", ""},
                {A ":1-10", A ":3-4:7", A ":1-2:5-6:8-10"},
                {A ":5-10", A ":1-6:10-20", A ":7-9"},
                {A ":1-3," B ":9", B ":9", A ":1-3"},
                {A ":1-3:8-9", A ":2-8", A ":1:9"},
                {"", A ":1", ""},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GtidSet) set = gtid_set_parse(cases[i].set, NULL), other = gtid_set_parse(cases[i].other, NULL);
                g_autoptr(GtidSet) left = gtid_set_subtract(set, other);
                g_autofree char *text = gtid_set_to_string(left);
                g_assert_cmpstr(text, ==, cases[i].left);
        }
}

/* As Gtid_set::encode() of MySQL 8.3 and later does. */
static void test_encode_tagged(void) {
        static const guint8 expected[] = {
                1, 2, 0, 0, 0, 0, 0, 1,                                                         /* two sources, with tags */
                0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,                           /* uuid, no tag */
                1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,         /* 1-5 */
                0xf0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 'b', 'l', 'u', 'e',
                1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
        };
        g_autoptr(GtidSet) set = gtid_set_parse(B ":1-5:blue:7", NULL);
        g_autoptr(GByteArray) bytes = gtid_set_encode(set);
        g_assert_cmpmem(bytes->data, bytes->len, expected, sizeof expected);
}

static BinlogGtid mysql_gtid(guint8 sid, guint64 gno) {
        BinlogGtid gtid = {.gno = gno};
        memset(gtid.sid, sid, sizeof gtid.sid);
        return gtid;
}

#define C "11111111-1111-1111-1111-111111111111"

static void test_executed_mysql(void) {
        g_autoptr(Executed) executed = executed_new(C ":1-4", false), more = executed_new(C ":1-9", false);
        g_assert_true(executed_known(executed));
        BinlogGtid gtid = mysql_gtid(0x11, 5);
        executed_add(executed, &gtid);
        g_autofree char *text = executed_to_string(executed), *one = executed_gtid_to_string(&gtid), *missing = executed_missing(more, executed);
        g_assert_cmpstr(text, ==, C ":1-5");
        g_assert_cmpstr(one, ==, C ":5");
        g_assert_cmpstr(missing, ==, C ":6-9");
        g_assert_true(executed_contains(more, executed));
        g_assert_false(executed_contains(executed, more));
        g_assert_true(executed_remove(executed, one));
        g_assert_false(executed_remove(executed, one));
        g_autofree char *less = executed_to_string(executed);
        g_assert_cmpstr(less, ==, C ":1-4");
        /* One without a number: nothing is known from there on. */
        gtid = mysql_gtid(0x11, 0);
        executed_add(executed, &gtid);
        gtid = mysql_gtid(0x11, 5);
        executed_add(executed, &gtid);
        g_assert_false(executed_known(executed));
        g_assert_null(executed_to_string(executed));
        g_assert_false(executed_equal(executed, executed));
}

static void test_executed_mariadb(void) {
        g_autoptr(Executed) executed = executed_new("2-7-9,0-1-100", true);
        const struct {
                guint32 domain, server;
                guint64 sequence;
                const char *text;
        } steps[] = {
                {0, 1, 101, "0-1-101,2-7-9"}, {1, 3, 1, "0-1-101,1-3-1,2-7-9"}, {2, 8, 10, "0-1-101,1-3-1,2-8-10"},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
                BinlogGtid gtid = {.mariadb = true, .domain_id = steps[i].domain, .server_id = steps[i].server, .gno = steps[i].sequence};
                executed_add(executed, &gtid);
                g_autofree char *text = executed_to_string(executed);
                g_assert_cmpstr(text, ==, steps[i].text);
        }
        g_autoptr(Executed) same = executed_new("1-3-1,2-8-10,0-1-101", true), other = executed_new("0-2-101,1-3-1,2-8-10", true);
        g_autoptr(Executed) behind = executed_new("0-1-100,1-3-1,2-8-10", true), empty = executed_new("", true), none = executed_new(NULL, true);
        g_assert_true(executed_equal(executed, same));
        g_assert_false(executed_equal(executed, other));
        g_assert_true(executed_contains(executed, behind));
        g_assert_false(executed_contains(behind, executed));
        g_assert_true(executed_contains(executed, empty));
        g_assert_true(executed_known(empty));
        g_assert_false(executed_known(none));
        BinlogGtid strange = mysql_gtid(0x11, 5);
        executed_add(same, &strange);
        g_assert_false(executed_known(same));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/gtid/text", test_text);
        g_test_add_func("/gtid/contains", test_contains);
        g_test_add_func("/gtid/random", test_random);
        g_test_add_func("/gtid/encode", test_encode);
        g_test_add_func("/gtid/mariadb", test_mariadb);
        g_test_add_func("/subtract", test_subtract);
        g_test_add_func("/encode/tagged", test_encode_tagged);
        g_test_add_func("/executed/mysql", test_executed_mysql);
        g_test_add_func("/executed/mariadb", test_executed_mariadb);
        return g_test_run();
}
