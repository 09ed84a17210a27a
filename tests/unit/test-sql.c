/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements as they are put together. That servers understand them and agree on the hashes is seen in the tests that
 * run real ones. */

#include <string.h>

#include "fixture.h"
#include "mysql/sql.h"

#define COLUMNS                                                                                              \
        "column id integer 0 0 0 0 0 0 0 4 - int(11)\n"                                                      \
        "column k`2 text 0 0 0 40 0 0 0 0 utf8mb4_bin varchar(10)\n"                                         \
        "column f float 0 1 0 0 0 0 0 0 - float\n"                                                           \
        "column g integer 0 1 1 0 0 0 0 4 - int(11)\n"                                                       \
        "column s set 0 1 0 3 0 0 0 0 latin1_swedish_ci set('a','b','c')\n"                                  \
        "column b bit 0 0 0 9 0 0 0 0 - bit(9)\n"                                                            \
        "column m blob 0 1 0 4294967295 0 0 0 0 - longblob"

typedef TableSchema *TableSchemaHere;
static void clear_table(TableSchemaHere *table) {
        fixture_table_free(*table);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TableSchemaHere, clear_table)

#define assert_sql(expected, statement)                                                                      \
        G_STMT_START {                                                                                       \
                g_autoptr(GString) sql = g_string_new(NULL);                                                 \
                statement;                                                                                   \
                g_assert_cmpstr(sql->str, ==, expected);                                                     \
        }                                                                                                    \
        G_STMT_END

static void test_names(void) {
        assert_sql("`a``b`", sql_append_identifier(sql, "a`b"));
        assert_sql("`````a`", sql_append_identifier(sql, "``a"));
}

static void test_strings(void) {
        assert_sql("''", sql_append_string(sql, "", 0));
        assert_sql("'\\0a\\'\\\\\\n\\r\\Z\"`%'", sql_append_string(sql, "\0a'\\\n\r\x1a\"`%", 10));
        assert_sql("'\\'\\''", sql_append_string(sql, "''", 2));
        g_autofree char *string = sql_string("it's"), *name = sql_identifier("x"), *table = sql_table("d`", "t");
        g_assert_cmpstr(string, ==, "'it\\'s'");
        g_assert_cmpstr(name, ==, "`x`");
        g_assert_cmpstr(table, ==, "`d```.`t`");
}

static void test_quoted(void) {
        static const struct {
                const char *text;
                bool backslashes;
                int behind; /* < 0: no end */
        } cases[] = {
                {"''", true, 2},         {"'a' b", true, 3},      {"'it''s'x", false, 7},  {"'a\\'b'x", true, 6},
                {"'a\\'b'x", false, 4},  {"'a\\\\'x", true, 5}, {"`a``'\\`.", false, 7}, {"\"'\"", false, 3},
                {"'", true, -1},         {"'a''", true, -1},      {"'a\\'", true, -1},     {"'a\\", true, -1},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                const char *end = sql_behind_quoted(cases[i].text, cases[i].backslashes);
                g_assert_cmpint(end ? (int) (end - cases[i].text) : -1, ==, cases[i].behind);
        }
}

static void test_lists(void) {
        g_auto(TableSchemaHere) table = fixture_table(COLUMNS, "id,k`2");
        assert_sql("`id`,`k``2`,`f`*1e0,CAST(`s` AS UNSIGNED),CAST(`b` AS UNSIGNED),`m`",
                   sql_append_select_list(sql, table));
        assert_sql("`id`,`k``2`,`f`,`s`,`b`,`m`", sql_append_column_list(sql, table));
        assert_sql("`id`,`k``2`", sql_append_key_list(sql, table));
        assert_sql(" ORDER BY `id`,`k``2`", sql_append_key_order(sql, table));
        assert_sql("INSERT INTO `db`.`t` (`id`,`k``2`,`f`,`s`,`b`,`m`) VALUES ", sql_append_insert_prefix(sql, table));
        g_auto(TableSchemaHere) prefix = fixture_table(COLUMNS, "k`2,m");
        prefix->key_prefix = true;
        assert_sql(" ORDER BY `k``2`,LEFT(`m`,3072)", sql_append_key_order(sql, prefix));
}

static void test_keys(void) {
        g_auto(TableSchemaHere) one = fixture_table(COLUMNS, "id");
        g_auto(TableSchemaHere) two = fixture_table(COLUMNS, "id,k`2");
        g_auto(TableSchemaHere) three = fixture_table(COLUMNS, "id,k`2,s");
        g_auto(TableSchemaHere) odd = fixture_table(COLUMNS, "f,b");
        static const char *const bound[] = {"5", "'x'", "3"};
        g_auto(TableSchemaHere) set = fixture_table(COLUMNS, "s");
        static const char *const last[] = {"7"};
        static const char *const odd_bound[] = {"0.100000001", "x'01ff'"};

        assert_sql("`id`>5", sql_append_key_bound(sql, one, ">", bound));
        assert_sql("`id`<=5", sql_append_key_bound(sql, one, "<=", bound));
        assert_sql("(`id`>=5 AND (`id`>5 OR (`id`=5 AND `k``2`>'x')))", sql_append_key_bound(sql, two, ">", bound));
        assert_sql("(`id`<=5 AND (`id`<5 OR (`id`=5 AND `k``2`<='x')))", sql_append_key_bound(sql, two, "<=", bound));
        assert_sql("(`id`>=5 AND (`id`>5 OR (`id`=5 AND (`k``2`>'x' OR (`k``2`='x' AND `s` IN (3,4,5,6,7))))))",
                   sql_append_key_bound(sql, three, ">=", bound));
        assert_sql("`s` IN (0,1,2)", sql_append_key_bound(sql, set, "<", bound + 2));
        assert_sql("FALSE", sql_append_key_bound(sql, set, ">", last));
        assert_sql("`s`=7", sql_append_key_equal(sql, set, last));
        assert_sql("`id`=5 AND `k``2`='x'", sql_append_key_equal(sql, two, bound));
        assert_sql("`f`=0.10000000149011612e0 AND `b`=511", sql_append_key_equal(sql, odd, odd_bound));
}

static void test_upsert(void) {
        static const Flavor old = {.version = 50624}, new = {.version = 90704}, maria = {true, 101114};
        g_auto(TableSchemaHere) table = fixture_table(COLUMNS, "id,k`2");
        g_auto(TableSchemaHere) all = fixture_table("column id integer 0 0 0 0 0 0 0 4 - int(11)", "id");

        assert_sql(" ON DUPLICATE KEY UPDATE `f`=VALUES(`f`),`s`=VALUES(`s`),`b`=VALUES(`b`),`m`=VALUES(`m`)",
                   sql_append_upsert_suffix(sql, table, &old));
        assert_sql(" ON DUPLICATE KEY UPDATE `f`=VALUES(`f`),`s`=VALUES(`s`),`b`=VALUES(`b`),`m`=VALUES(`m`)",
                   sql_append_upsert_suffix(sql, table, &maria));
        assert_sql(" AS `polarshift_new` ON DUPLICATE KEY UPDATE `f`=`polarshift_new`.`f`,`s`=`polarshift_new`.`s`,"
                   "`b`=`polarshift_new`.`b`,`m`=`polarshift_new`.`m`",
                   sql_append_upsert_suffix(sql, table, &new));
        assert_sql(" ON DUPLICATE KEY UPDATE `db`.`t`.`id`=`db`.`t`.`id`", sql_append_upsert_suffix(sql, all, &old));
}

static void test_hash(void) {
        g_auto(TableSchemaHere) table = fixture_table(COLUMNS, "id");
        assert_sql("COALESCE(SHA2(CONCAT_WS('#',`id`,LENGTH(`k``2`),CAST(`k``2` AS BINARY),HEX(POINT(`f`+0e0,0)),CAST(`s` AS UNSIGNED),"
                   "CAST(`b` AS UNSIGNED),IF(`m` IS NULL,NULL,COALESCE(SHA2(`m`,256),SHA2(UUID(),256))),"
                   "CONCAT('00',ISNULL(`f`),ISNULL(`s`),'0',ISNULL(`m`))),256),SHA2(UUID(),256))",
                   sql_append_row_hash(sql, table));
        g_autoptr(GString) checksum = g_string_new(NULL);
        sql_append_chunk_checksum(checksum, table);
        g_assert_true(g_str_has_prefix(checksum->str, "COUNT(*),LPAD(HEX(BIT_XOR(CAST(CONV(SUBSTRING(COALESCE("));
        g_assert_true(g_str_has_suffix(checksum->str, ",17,16),16,10) AS UNSIGNED))),16,'0')"));
}

static void test_flavor(void) {
        static const struct {
                const char *text, *name, *position;
                unsigned version;
                bool alias, bulk, super_bypasses;
        } cases[] = {
                {"5.6.24-log", "MySQL 5.6.24", "SHOW MASTER STATUS", 50624, false, false, true},
                {"10.11.14-MariaDB-0+deb12u2-log", "MariaDB 10.11.14", "SHOW MASTER STATUS", 101114, false, true, false},
                {"5.5.5-10.4.8-MariaDB", "MariaDB 10.4.8", "SHOW MASTER STATUS", 100408, false, true, true},
                {"9.7.4", "MySQL 9.7.4", "SHOW BINARY LOG STATUS", 90704, true, false, true},
                {"8.0.18", "MySQL 8.0.18", "SHOW MASTER STATUS", 80018, false, false, true},
                {"", "MySQL 0.0.0", "SHOW MASTER STATUS", 0, false, false, true},
                {"99999999999999.x", "MySQL 9999.0.0", "SHOW BINARY LOG STATUS", 99990000, true, false, true},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                Flavor flavor = flavor_parse(cases[i].text);
                g_autofree char *name = flavor_to_string(&flavor);
                g_assert_cmpstr(name, ==, cases[i].name);
                g_assert_cmpuint(flavor.version, ==, cases[i].version);
                g_assert_cmpstr(flavor_position_statement(&flavor), ==, cases[i].position);
                g_assert_true(flavor_has_row_alias(&flavor) == cases[i].alias);
                g_assert_true(flavor_has_bulk_execute(&flavor) == cases[i].bulk);
                g_assert_true(flavor_super_bypasses_read_only(&flavor) == cases[i].super_bypasses);
        }
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/sql/names", test_names);
        g_test_add_func("/sql/strings", test_strings);
        g_test_add_func("/sql/quoted", test_quoted);
        g_test_add_func("/sql/lists", test_lists);
        g_test_add_func("/sql/keys", test_keys);
        g_test_add_func("/sql/upsert", test_upsert);
        g_test_add_func("/sql/hash", test_hash);
        g_test_add_func("/sql/flavor", test_flavor);
        return g_test_run();
}
