/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Tests of daemon/mysql that need servers run on every one that an environment variable names
 * (POLARSHIFT_TEST_MYSQL56, POLARSHIFT_TEST_MARIADB, POLARSHIFT_TEST_NEWER: URIs of an account with all privileges, its
 * password in POLARSHIFT_TEST_PASSWORD) and are left out without; tests/mysql/test_floor.py starts the servers and sets
 * them. */

#include <string.h>

#include "base/error.h"
#include "mysql/conn.h"
#include "mysql/schema.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConnParams, conn_params_free)

#define DATABASE "floor_test"

static inline ConnParams *params_for(const char *uri) {
        GError *error = NULL;
        ConnParams *params = g_new0(ConnParams, 1);
        params->endpoint = endpoint_parse("source", uri, &error);
        g_assert_no_error(error);
        params->password = g_strdup(g_getenv("POLARSHIFT_TEST_PASSWORD") ?: "");
        params->connect_timeout = 5;
        return params;
}

static inline Conn *open_flags(const char *uri, ConnFlags flags) {
        GError *error = NULL;
        g_autoptr(ConnParams) params = params_for(uri);
        Conn *conn = conn_open(params, flags, &error);
        g_assert_no_error(error);
        return conn;
}

static inline void run(Conn *conn, const char *sql) {
        GError *error = NULL;
        conn_exec(conn, sql, -1, NULL, &error);
        g_assert_no_error(error);
}

static inline Conn *open_fresh(const char *uri, ConnFlags flags) {
        Conn *conn = open_flags(uri, flags);
        run(conn, "CREATE DATABASE IF NOT EXISTS " DATABASE);
        run(conn, "USE " DATABASE);
        return conn;
}

static inline void assert_string(Conn *conn, const char *sql, const char *expected) {
        GError *error = NULL;
        g_autofree char *value = conn_query_string(conn, sql, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(value, ==, expected);
}

static inline TableSchema *load_table(Conn *conn, const char *name) {
        GError *error = NULL;
        TableSchema *table = schema_load_table(conn, DATABASE, name, &error);
        g_assert_no_error(error);
        g_assert_nonnull(table);
        return table;
}

typedef struct LiveTest {
        const char *name;
        GTestDataFunc func;
} LiveTest;

/* Each test once per server, as /mysql56/NAME, /mariadb/NAME and /newer/NAME. */
static inline void add_live_tests(const LiveTest *tests, gsize n) {
        static const char *const servers[][2] = {{"mysql56", "POLARSHIFT_TEST_MYSQL56"},
                                                 {"mariadb", "POLARSHIFT_TEST_MARIADB"},
                                                 {"newer", "POLARSHIFT_TEST_NEWER"}};
        for (gsize s = 0; s < G_N_ELEMENTS(servers); s++)
                for (gsize i = 0; g_getenv(servers[s][1]) && i < n; i++) {
                        g_autofree char *path = g_strdup_printf("/%s/%s", servers[s][0], tests[i].name);
                        g_test_add_data_func(path, g_getenv(servers[s][1]), tests[i].func);
                }
}

/* The client library's own: options that it does not free. Looked up by the leak sanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:mysql_optionsv\n";
}
