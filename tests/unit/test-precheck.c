/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of what no server here can be made to say (versions, encrypted tables), and the reading of SQL by its words. */

#include <string.h>

#include "base/error.h"
#include "engine/precheck-internal.h"
#include "engine/sql-words.h"

static void test_destinations(void) {
        static const struct {
                Flavor flavor;
                bool good;
        } rows[] = {
                {{false, 50537}, false}, {{false, 50624}, true},  {{false, 50744}, false}, {{false, 80036}, false}, {{false, 80402}, false},
                {{false, 90704}, true},  {{false, 100001}, true}, {{true, 50568}, false},  {{true, 100619}, false}, {{true, 101006}, false},
                {{true, 101114}, true},  {{true, 110803}, true},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
                g_assert_cmpint(precheck_is_destination(&rows[i].flavor), ==, rows[i].good);
}

/* ---- encryption at rest, by what a server could say */

static void free_row(gpointer p) {
        check_row_free(p);
}

static CheckSeverity look(const char *options, const char *variable, const char *value) {
        TableSchema table = {.database = (char *) "d", .name = (char *) "t", .options = (char *) options};
        g_autoptr(GPtrArray) tables = g_ptr_array_new(), rows = g_ptr_array_new_with_free_func(free_row);
        g_ptr_array_add(tables, &table);
        ObjectList objects = {.tables = tables};
        Precheck check = {.rows = rows, .id = "encryption", .objects = &objects};
        for (Side side = 0; side < _SIDE_MAX; side++)
                check.variables[side] = g_hash_table_new(g_str_hash, g_str_equal);
        if (variable)
                g_hash_table_insert(check.variables[SIDE_DESTINATION], (char *) variable, (char *) value);
        g_assert_true(precheck_encryption(&check, NULL));
        CheckSeverity worst = CHECK_OK;
        for (guint i = 0; i < rows->len; i++)
                worst = MAX(worst, ((const CheckRow *) rows->pdata[i])->severity);
        for (Side side = 0; side < _SIDE_MAX; side++)
                g_hash_table_unref(check.variables[side]);
        return worst;
}

static void test_encryption(void) {
        static const struct {
                const char *options, *variable, *value;
                CheckSeverity severity;
        } rows[] = {
                {"", NULL, NULL, CHECK_NOTE},
                {"row_format=COMPRESSED partitioned", NULL, NULL, CHECK_NOTE},
                {"ENCRYPTION='Y'", NULL, NULL, CHECK_ERROR},
                {"ENCRYPTION='N'", NULL, NULL, CHECK_NOTE},
                {"block_format=encrypted", NULL, NULL, CHECK_ERROR}, /* a cloud's MySQL 5.6 */
                {"`encrypted`=yes", NULL, NULL, CHECK_ERROR},
                {"ENCRYPTION='Y'", "default_table_encryption", "ON", CHECK_NOTE},
                {"ENCRYPTION='Y'", "default_table_encryption", "OFF", CHECK_ERROR},
                {"ENCRYPTION='Y'", "innodb_encrypt_tables", "FORCE", CHECK_NOTE},
                {"ENCRYPTION='Y'", "innodb_encrypt_tables", "OFF", CHECK_ERROR},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
                g_assert_cmpint(look(rows[i].options, rows[i].variable, rows[i].value), ==, rows[i].severity);
}

/* ---- words */

static char *show(const char *sql) {
        g_autoptr(GPtrArray) words = sql_words(sql);
        GString *text = g_string_new(NULL);
        for (guint i = 0; i < words->len; i++) {
                const SqlWord *word = words->pdata[i];
                g_string_append_printf(text, "%s%s%s%s", i > 0 ? " " : "", word->flags & SQL_WORD_OF_NAME ? "." : "",
                                       word->flags & SQL_WORD_QUOTED ? "Q" : word->text, word->flags & SQL_WORD_CALLED ? "!" : "");
        }
        return g_string_free(text, FALSE);
}

static void test_words(void) {
        static const char *const rows[][2] = {
                {"", ""},
                {"SELECT Area (g) FROM d.area(1)", "select area! ( g ) from d . .area! ( 1 )"},
                {"x='it''s area()' AND `b``c`=\"a\\\"b()\"", "x = Q and Q = Q"},
                {"a -- b()\nc # d()\ne /* f() */ g", "a c e g"},
                {"a--b", "a - - b"},
                {"/*!50100 sql_cache */ x", "sql_cache * / x"},
                {"@x(1) \xC3\xA4()", "@ .x! ( 1 ) \xC3\xA4! ( )"},
                {"never closed 'area()", "never closed Q"},
                {"never closed /* area()", "never closed"},
                {"ends in \\", "ends in \\"},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *shown = show(rows[i][0]);
                g_assert_cmpstr(shown, ==, rows[i][1]);
        }
        g_assert_true(sql_word_is_plain("area"));
        g_assert_false(sql_word_is_plain("1a"));
        g_assert_false(sql_word_is_plain("a'b"));
        g_assert_false(sql_word_is_plain("\xC3\xA4"));
        g_assert_false(sql_word_is_plain(""));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/precheck/destinations", test_destinations);
        g_test_add_func("/precheck/encryption", test_encryption);
        g_test_add_func("/precheck/words", test_words);
        return g_test_run();
}
