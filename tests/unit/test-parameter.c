/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of a server's variables, without a server. */

#include "engine/parameter.h"

static GHashTable *values(const char *const *pairs) {
        GHashTable *table = g_hash_table_new(g_str_hash, g_str_equal);
        for (; pairs[0]; pairs += 2)
                g_hash_table_insert(table, (char *) pairs[0], (char *) pairs[1]);
        return table;
}

static const Parameter *find(const GPtrArray *parameters, const char *name) {
        for (guint i = 0; i < parameters->len; i++)
                if (g_strcmp0(((const Parameter *) parameters->pdata[i])->name, name) == 0)
                        return parameters->pdata[i];
        return NULL;
}

static const char *const source_values[] = {
        "sql_mode", "NO_AUTO_CREATE_USER,ANSI_QUOTES", "tx_isolation", "SERIALIZABLE", "character_set_server", "utf8", "collation_server",
        "utf8_general_ci", "time_zone", "SYSTEM", "system_time_zone", "CET", "wait_timeout", "60", "local_infile", "ON", "lc_time_names", "de_DE",
        "binlog_format", "ROW", NULL};
static const char *const destination_values[] = {
        "sql_mode", "ANSI_QUOTES", "transaction_isolation", "REPEATABLE-READ", "character_set_server", "utf8mb3", "collation_server", "utf8mb4_0900_ai_ci",
        "time_zone", "SYSTEM", "system_time_zone", "UTC", "wait_timeout", "28800", "local_infile", "OFF", "binlog_format", "ROW",
        "default_collation_for_utf8mb4", "utf8mb4_0900_ai_ci", NULL};

static void test_compare(void) {
        static const struct {
                const char *name;
                ParameterOutcome outcome;
                const char *line;
        } rows[] = {
                {"sql_mode", PARAMETER_SAME, NULL},
                {"transaction_isolation", PARAMETER_CARRIED, "transaction_isolation=SERIALIZABLE"},
                {"character_set_server", PARAMETER_SAME, NULL},
                {"collation_server", PARAMETER_CARRIED, "collation_server=utf8mb3_general_ci"},
                {"time_zone", PARAMETER_NOT_CARRIED, "default_time_zone=SYSTEM"},
                {"wait_timeout", PARAMETER_CARRIED, "wait_timeout=60"},
                {"local_infile", PARAMETER_NOT_CARRIED, "local_infile=ON"},
                {"lc_time_names", PARAMETER_ABSENT, NULL},
                {"default_collation_for_utf8mb4", PARAMETER_CARRIED, "default_collation_for_utf8mb4=utf8mb4_general_ci"},
                {"binlog_format", PARAMETER_SAME, NULL},
        };
        g_autoptr(GHashTable) source = values(source_values), destination = values(destination_values);
        g_autoptr(GPtrArray) parameters = parameters_compare(source, destination, &(Flavor){false, 90704});
        g_assert_cmpuint(parameters->len, ==, G_N_ELEMENTS(rows));
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
                const Parameter *parameter = find(parameters, rows[i].name);
                g_assert_nonnull(parameter);
                g_assert_cmpint(parameter->outcome, ==, rows[i].outcome);
                g_assert_cmpstr(parameter->line, ==, rows[i].line);
        }
        const Parameter *isolation = find(parameters, "transaction_isolation"), *wait = find(parameters, "wait_timeout");
        g_autofree char *set = parameter_set(isolation, isolation->wanted, true), *back = parameter_set(wait, wait->before, false);
        g_assert_cmpstr(set, ==, "SET PERSIST transaction_isolation='SERIALIZABLE'");
        g_assert_cmpstr(back, ==, "SET GLOBAL wait_timeout=28800");

        g_autofree char *text = parameters_to_text(parameters);
        g_autoptr(GPtrArray) again = parameters_from_text(text);
        g_autofree char *text2 = parameters_to_text(again);
        g_assert_cmpstr(text, ==, text2);
        g_assert_null(parameters_from_text(NULL));
        g_assert_null(parameters_from_text("[{\"name\":\"x\"}]"));
        g_assert_null(parameters_from_text("{}"));
}

static void test_watch(void) {
        static const char *const changed[] = {"tx_isolation", "READ-COMMITTED", "sql_mode", "ANSI_QUOTES,NO_AUTO_CREATE_USER", NULL};
        static const char *const same[] = {"tx_isolation", "serializable", NULL};
        g_autoptr(GHashTable) source = values(source_values), destination = values(destination_values), now = values(changed), later = values(same);
        g_autoptr(GPtrArray) parameters = parameters_compare(source, destination, &(Flavor){false, 90704}), news = g_ptr_array_new();
        parameters_watch(parameters, source, news);
        g_assert_cmpuint(news->len, ==, 0);
        parameters_watch(parameters, now, news); /* called otherwise on the destination, and the order of modes means nothing */
        g_assert_cmpuint(news->len, ==, 1);
        g_assert_cmpstr(((const Parameter *) news->pdata[0])->drift, ==, "READ-COMMITTED");
        parameters_watch(parameters, now, news);
        g_assert_cmpuint(news->len, ==, 1);
        parameters_watch(parameters, later, news);
        g_assert_cmpuint(news->len, ==, 2);
        g_assert_null(((const Parameter *) news->pdata[1])->drift);
}

static void test_wrong_log(void) {
        static const char *const good[] = {"binlog_format", "ROW", "binlog_row_image", "full", NULL};
        static const char *const mixed[] = {"binlog_format", "MIXED", NULL};
        g_autoptr(GHashTable) a = values(good), b = values(mixed);
        g_autofree char *why = parameters_wrong_log(b);
        g_assert_null(parameters_wrong_log(a));
        g_assert_nonnull(why);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/parameter/compare", test_compare);
        g_test_add_func("/parameter/watch", test_watch);
        g_test_add_func("/parameter/wrong-log", test_wrong_log);
        return g_test_run();
}
