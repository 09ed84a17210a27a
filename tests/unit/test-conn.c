/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections to real servers; see live.h. */

#include <pthread.h>
#include <unistd.h>

#include "live.h"

/* ---- connecting */

static void test_open(gconstpointer uri) {
        g_autoptr(Conn) conn = open_flags(uri, 0);
        g_assert_cmpuint(conn_flavor(conn)->version, >, 50600);
        g_assert_true(g_str_has_prefix(conn_label(conn), "127.0.0.1:"));
        guint64 id = 0;
        g_assert_true(conn_query_uint64(conn, "SELECT CONNECTION_ID()", &id, NULL));
        g_assert_cmpuint(id, ==, conn_id(conn));
        g_assert_cmpuint(conn_max_packet(conn), >=, 1 << 20);
        if (!conn_flavor(conn)->mariadb)
                g_assert_cmpuint(strlen(conn_host_uuid(conn)), ==, 36);
        else
                g_assert_nonnull(conn_host_uuid(conn));
        g_assert_false(conn_is_dead(conn));
}

static void test_session(gconstpointer uri) {
        g_autoptr(Conn) conn = open_flags(uri, 0);
        assert_string(conn, "SELECT @@character_set_client", "binary");
        assert_string(conn, "SELECT @@character_set_connection", "binary");
        assert_string(conn, "SELECT @@character_set_results", NULL);
        assert_string(conn, "SELECT @@time_zone", "+00:00");
        assert_string(conn, "SELECT @@sql_mode", "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES");
        assert_string(conn, "SELECT CONCAT(@@foreign_key_checks+0,@@unique_checks+0,@@autocommit+0)", "011");
        assert_string(conn, "SELECT @@tx_isolation", "READ-COMMITTED");
        assert_string(conn, "SELECT @@lc_messages", "en_US");
}

static void assert_open_fails(ConnParams *params, bool (*kind)(const GError *), const char *text) {
        g_autoptr(GError) error = NULL;
        gint64 start = g_get_monotonic_time();
        g_autoptr(Conn) conn = conn_open(params, 0, &error);
        g_assert_null(conn);
        g_assert_nonnull(error);
        g_test_message("%s", error->message);
        g_assert_true(kind(error));
        g_assert_nonnull(strstr(error->message, text));
        g_assert_cmpint(g_get_monotonic_time() - start, <, 6 * G_USEC_PER_SEC);
}

static EndpointHost *first_host(ConnParams *params) {
        return params->endpoint->hosts->pdata[0];
}

static void test_open_fails(gconstpointer uri) {
        g_autoptr(ConnParams) password = params_for(uri);
        g_free(password->password);
        password->password = g_strdup("certainly wrong");
        assert_open_fails(password, mysql_error_is_authentication, "(1045, 28000)");

        g_autoptr(ConnParams) port = params_for(uri);
        first_host(port)->port = 1;
        assert_open_fails(port, mysql_error_is_connection, "127.0.0.1:1: ");

        g_autoptr(ConnParams) name = params_for(uri);
        g_free(first_host(name)->host);
        first_host(name)->host = g_strdup("no-such-host.invalid");
        assert_open_fails(name, mysql_error_is_connection, "no-such-host.invalid:");

        g_autoptr(ConnParams) gone = params_for("mysql://x@localhost/?socket=/nonexistent/s.sock");
        assert_open_fails(gone, mysql_error_is_connection, "/nonexistent/s.sock: ");
}

static void test_fail_over(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(ConnParams) params = params_for(uri);
        EndpointHost *host = g_new0(EndpointHost, 1);
        *host = (EndpointHost){.host = g_strdup("127.0.0.1"), .port = 1};
        g_ptr_array_insert(params->endpoint->hosts, 0, host);
        g_autoptr(Conn) conn = conn_open(params, 0, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(conn_label(conn), !=, "127.0.0.1:1");
}

/* ---- statements */

static void test_results(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, CONN_FOUND_ROWS | CONN_MULTI_STATEMENTS);
        run(conn, "DROP TABLE IF EXISTS r");
        run(conn, "CREATE TABLE r (a INT PRIMARY KEY, b INT) ENGINE=InnoDB");
        ConnResult result;
        g_assert_true(conn_exec(conn, "INSERT INTO r VALUES (1,1),(2,2),(3,3)", -1, &result, &error));
        g_assert_cmpuint(result.records, ==, 3);
        g_assert_cmpuint(result.duplicates, ==, 0);
        g_assert_cmpuint(result.affected, ==, 3);
        g_assert_true(conn_exec(conn,
                                "INSERT INTO r VALUES (1,1),(2,5),(4,4) ON DUPLICATE KEY UPDATE b=VALUES(b)",
                                -1, &result, &error));
        g_assert_cmpuint(result.records, ==, 3);
        g_assert_cmpuint(result.duplicates, ==, 2);
        g_assert_true(conn_exec(conn, "UPDATE r SET b=1 WHERE a=1", -1, &result, &error));
        g_assert_cmpuint(result.affected, ==, 1); /* matched, not changed */

        ConnResult many[3];
        gsize count = 0;
        g_assert_true(conn_exec_multi(conn, "INSERT INTO r VALUES (10,1); SELECT 1; DELETE FROM r WHERE a<3",
                                      -1, many, G_N_ELEMENTS(many), &count, &error));
        g_assert_cmpuint(count, ==, 3);
        g_assert_cmpuint(many[2].affected, ==, 2);
        g_assert_false(conn_exec_multi(conn,
                                       "DELETE FROM r WHERE a=3; INSERT INTO r VALUES (10,1); DELETE FROM r",
                                       -1, many, 3, &count, &error));
        g_assert_true(mysql_error_is_duplicate(error));
        g_assert_cmpuint(count, ==, 1);
        g_clear_error(&error);
        assert_string(conn, "SELECT COUNT(*) FROM r", "2"); /* and the connection goes on */

        g_assert_false(conn_exec(conn, "SELECT no_such_column FROM r", -1, NULL, &error));
        g_assert_error(error, MYSQL_ERROR, 1054);
        g_assert_true(g_str_has_prefix(error->message, conn_label(conn)));
        g_assert_nonnull(strstr(error->message, "(1054, 42S22)"));
        g_clear_error(&error);
        g_assert_false(conn_execf(conn, &error, "SELECT %s", "'"));
        g_assert_error(error, MYSQL_ERROR, 1064);
        g_clear_error(&error);
}

static void test_rows(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(ConnRows) rows =
                        conn_query(conn, "SELECT 'a\\0b' AS x, NULL AS y UNION ALL SELECT '', 7", &error);
        g_assert_no_error(error);
        g_assert_cmpuint(conn_rows_count(rows), ==, 2);
        g_assert_cmpuint(conn_rows_columns(rows), ==, 2);
        g_assert_cmpstr(conn_rows_column_name(rows, 1), ==, "y");
        g_assert_null(conn_rows_column_name(rows, 2));
        char **row = conn_rows_take(rows);
        g_assert_cmpmem(row[0], conn_rows_lengths(rows)[0], "a\0b", 3);
        g_assert_null(row[1]);
        row = conn_rows_take(rows);
        g_assert_cmpuint(conn_rows_lengths(rows)[0], ==, 0);
        g_assert_cmpstr(row[1], ==, "7");
        g_assert_null(conn_rows_take(rows));
        g_assert_null(conn_rows_take(NULL));

        g_assert_null(conn_query(conn, "DO 1", &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_FAILED);
        g_clear_error(&error);
        g_assert_null(conn_query_string(conn, "SELECT 1 FROM DUAL WHERE 1=0", &error));
        g_assert_no_error(error);
        guint64 value;
        g_assert_false(conn_query_uint64(conn, "SELECT 1 FROM DUAL WHERE 1=0", &value, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_FAILED);
        g_clear_error(&error);
}

#define MANY_ROWS                                                                                            \
        "SELECT REPEAT('x',100) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) a," \
        "information_schema.collations b, information_schema.collations c"

static void test_stream(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        {
                g_autoptr(ConnStream) rows = conn_stream(conn, MANY_ROWS, -1, &error);
                g_assert_no_error(error);
                guint64 n = 0;
                for (char **row = NULL; conn_stream_next(rows, &row, NULL, &error) && row;)
                        n++;
                g_assert_no_error(error);
                g_assert_cmpuint(n, >, 100000);
        }
        {
                g_autoptr(ConnStream) rows = conn_stream(conn, MANY_ROWS, -1, &error);
                char **row;
                g_assert_true(conn_stream_next(rows, &row, NULL, &error));
        }
        assert_string(conn, "SELECT 5", "5"); /* it was drained */

        g_autoptr(ConnStream) rows =
                        conn_stream(conn, MANY_ROWS ", information_schema.collations d", -1, &error);
        g_assert_no_error(error);
        conn_abort(conn);
        char **row;
        g_assert_false(conn_stream_next(rows, &row, NULL, &error));
        g_assert_true(mysql_error_is_connection(error));
        g_clear_error(&error);
        gint64 start = g_get_monotonic_time();
        g_clear_pointer(&rows, conn_stream_free);
        g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC);
        g_assert_true(conn_is_dead(conn));
}

static void test_load_data(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, CONN_LOCAL_INFILE);
        run(conn, "DROP TABLE IF EXISTS l");
        run(conn, "CREATE TABLE l (a INT PRIMARY KEY, b VARBINARY(100)) ENGINE=InnoDB");
        ConnResult result;
        const char data[] = "1\tone\n2\tt\\two\n1\tagain\n3\t\\N\n";
        g_assert_true(conn_load_data(conn, "LOAD DATA LOCAL INFILE 'x' INTO TABLE l CHARACTER SET binary",
                                     data, strlen(data), &result, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(result.records, ==, 4);
        g_assert_cmpuint(result.duplicates, ==, 1);
        assert_string(conn, "SELECT GROUP_CONCAT(a,IFNULL(HEX(b),'NULL')) FROM l", "16F6E65,27409776F,3NULL");
        /* A file that was not offered. */
        g_assert_false(conn_exec(conn, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE l", -1, NULL,
                                 &error));
        g_assert_nonnull(error);
        g_clear_error(&error);
        assert_string(conn, "SELECT COUNT(*) FROM l", "3");
        g_autoptr(Conn) plain = open_fresh(uri, 0);
        g_assert_false(conn_exec(plain, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE l", -1, NULL,
                                 &error));
        g_clear_error(&error);
}

/* ---- giving up, losing */

static void *abort_conn(void *data) {
        g_usleep(300 * 1000);
        conn_abort(data);
        return NULL;
}

static void test_abort(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_flags(uri, CONN_LONG_IO);
        gint64 start = g_get_monotonic_time();
        pthread_t thread;
        pthread_create(&thread, NULL, abort_conn, conn);
        g_assert_false(conn_exec(conn, "SELECT SLEEP(30)", -1, NULL, &error));
        g_assert_true(mysql_error_is_connection(error));
        g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
        g_assert_true(conn_is_dead(conn));
        pthread_join(thread, NULL);
        g_clear_error(&error);
        g_assert_false(conn_exec(conn, "SELECT 1", -1, NULL, &error));
        g_assert_true(mysql_error_is_connection(error));
        g_clear_error(&error);
}

static void test_time_out(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(ConnParams) params = params_for(uri);
        params->io_timeout = 1;
        g_autoptr(Conn) conn = conn_open(params, 0, &error);
        g_assert_no_error(error);
        gint64 start = g_get_monotonic_time();
        g_assert_false(conn_exec(conn, "SELECT SLEEP(30)", -1, NULL, &error));
        g_assert_true(mysql_error_is_connection(error));
        g_test_message("%s", error->message);
        g_assert_cmpint(g_get_monotonic_time() - start, <, 3 * G_USEC_PER_SEC);
        g_clear_error(&error);
}

static void test_killed(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_flags(uri, 0);
        g_autoptr(Conn) other = open_flags(uri, 0);
        g_assert_true(conn_execf(other, &error, "KILL %" G_GUINT64_FORMAT, conn_id(conn)));
        g_usleep(200 * 1000);
        g_assert_false(conn_exec(conn, "SELECT 1", -1, NULL, &error));
        g_assert_true(mysql_error_is_connection(error));
        g_assert_true(conn_is_dead(conn));
        g_clear_error(&error);
        conn_abort(conn); /* of a dead one: nothing happens */
}

/* ---- TLS: POLARSHIFT_TEST_CA is the authority of the MariaDB server's certificate, which is for localhost,
 * _OTHER_CA another one */

static void set_mode(ConnParams *params, SslMode mode, const char *ca_variable) {
        params->endpoint->ssl_mode = mode;
        g_clear_pointer(&params->tls.ca, g_free);
        if (ca_variable)
                g_assert_true(g_file_get_contents(g_getenv(ca_variable), &params->tls.ca, NULL, NULL));
}

static void set_host(ConnParams *params, const char *host) {
        g_free(first_host(params)->host);
        first_host(params)->host = g_strdup(host);
}

static void assert_encrypted(ConnParams *params) {
        GError *error = NULL;
        g_autoptr(Conn) conn = conn_open(params, 0, &error);
        g_assert_no_error(error);
        g_autoptr(ConnRows) rows = conn_query(conn, "SHOW STATUS LIKE 'Ssl_cipher'", &error);
        char **row = conn_rows_take(rows);
        g_assert_cmpstr(row[1], !=, "");
}

static void test_tls(gconstpointer uri) {
        g_autoptr(ConnParams) params = params_for(uri);
        if (g_str_equal(g_getenv("POLARSHIFT_TEST_MYSQL56") ?: "", uri)) {
                /* A server without TLS: no silent fall-back. */
                set_mode(params, SSL_MODE_REQUIRED, NULL);
                assert_open_fails(params, mysql_error_is_connection, "2026");
                return;
        }
        if (!g_getenv("POLARSHIFT_TEST_CA")) {
                g_test_skip("POLARSHIFT_TEST_CA is not set");
                return;
        }
        set_mode(params, SSL_MODE_REQUIRED, NULL);
        assert_encrypted(params);
        set_mode(params, SSL_MODE_VERIFY_CA, "POLARSHIFT_TEST_CA");
        assert_encrypted(params);
        set_mode(params, SSL_MODE_VERIFY_CA, "POLARSHIFT_TEST_OTHER_CA");
        assert_open_fails(params, mysql_error_is_connection, "2026");
        set_mode(params, SSL_MODE_VERIFY_IDENTITY, "POLARSHIFT_TEST_CA");
        assert_open_fails(params, mysql_error_is_connection, "2026"); /* 127.0.0.1 is not in it */
        set_host(params, "localhost");
        assert_encrypted(params);
        set_mode(params, SSL_MODE_VERIFY_IDENTITY, "POLARSHIFT_TEST_OTHER_CA");
        assert_open_fails(params, mysql_error_is_connection, "2026");
        set_mode(params, SSL_MODE_VERIFY_IDENTITY, NULL);
        assert_open_fails(params, mysql_error_is_connection,
                          "2026"); /* the system's authorities do not know it */
        set_mode(params, SSL_MODE_VERIFY_CA, NULL);
        g_autoptr(GError) error = NULL;
        g_assert_null(conn_open(params, 0, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
}

/* ---- positions */

typedef struct Logger {
        Conn *conn;
        gint stop; /* atomic */
} Logger;

static void *log_transactions(void *data) {
        Logger *logger = data;
        for (guint i = 0; !g_atomic_int_get(&logger->stop); i++) {
                g_autofree char *sql = g_strdup_printf("SET SESSION gtid_domain_id=%u, server_id=%u", i % 3, 70 + i % 2);
                g_assert_true(conn_exec(logger->conn, sql, -1, NULL, NULL));
                g_assert_true(conn_exec(logger->conn, "INSERT INTO logged.t VALUES (1)", -1, NULL, NULL));
                if (i % 50 == 49)
                        g_assert_true(conn_exec(logger->conn, "FLUSH BINARY LOGS", -1, NULL, NULL));
        }
        return NULL;
}

static void assert_position(Conn *conn) {
        g_autofree char *file = NULL, *gtids = NULL, *sql = NULL, *there = NULL;
        guint64 offset;
        g_assert_true(conn_binlog_gtid_position(conn, &file, &offset, &gtids, NULL));
        sql = g_strdup_printf("SELECT BINLOG_GTID_POS('%s', %" G_GUINT64_FORMAT ")", file, offset);
        there = conn_query_string(conn, sql, NULL);
        g_assert_nonnull(there);
        g_auto(GStrv) is = g_strsplit(gtids, ",", -1), said = g_strsplit(there, ",", -1);
        g_assert_cmpuint(g_strv_length(is), ==, g_strv_length(said));
        for (guint i = 0; is[i]; i++)
                g_assert_true(g_strv_contains((const char *const *) said, is[i]));
}

/* A set and a position that belong together, as the server itself says of the position; also while others write. */
static void test_gtid_position(gconstpointer uri) {
        g_autoptr(Conn) conn = open_flags(uri, 0), other = open_flags(uri, 0);
        if (!conn_flavor(conn)->mariadb)
                return;
        g_assert_true(conn_exec(conn, "CREATE DATABASE logged", -1, NULL, NULL));
        g_assert_true(conn_exec(conn, "CREATE TABLE logged.t (a INT)", -1, NULL, NULL));
        assert_position(conn);
        Logger logger = {.conn = other};
        pthread_t thread;
        g_assert_cmpint(pthread_create(&thread, NULL, log_transactions, &logger), ==, 0);
        for (guint i = 0; i < 200; i++)
                assert_position(conn);
        g_atomic_int_set(&logger.stop, 1);
        pthread_join(thread, NULL);
        assert_position(conn);
        g_assert_true(conn_exec(conn, "DROP DATABASE logged", -1, NULL, NULL));
}

/* ---- without a server */

static void test_errors(void) {
        g_autoptr(GError) full =
                        g_error_new(MYSQL_ERROR, 1030, "h: Got error 28 from storage engine (1030, HY000)");
        g_autoptr(GError) other =
                        g_error_new(MYSQL_ERROR, 1030, "h: Got error 122 - 'Internal error' (1030, HY000)");
        g_autoptr(GError) own = g_error_new(PS_ERROR, 1205, "x");
        g_assert_true(mysql_error_is_full(full));
        g_assert_false(mysql_error_is_connection(full));
        g_assert_false(mysql_error_is_retryable(own));
        g_assert_false(mysql_error_is_retryable(NULL));
        (void)other;
}

int main(int argc, char **argv) {
        static const LiveTest tests[] = {
                        {"open", test_open},
                        {"session", test_session},
                        {"open-fails", test_open_fails},
                        {"fail-over", test_fail_over},
                        {"tls", test_tls},
                        {"results", test_results},
                        {"rows", test_rows},
                        {"stream", test_stream},
                        {"load-data", test_load_data},
                        {"abort", test_abort},
                        {"time-out", test_time_out},
                        {"killed", test_killed},
                        {"gtid-position", test_gtid_position},
        };
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/errors", test_errors);
        add_live_tests(tests, G_N_ELEMENTS(tests));
        return g_test_run();
}
