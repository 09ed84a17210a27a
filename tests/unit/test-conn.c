/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of daemon/mysql that needs servers. Each test runs on every server that an environment variable names
 * (POLARSHIFT_TEST_MYSQL56, POLARSHIFT_TEST_MARIADB: URIs of an account with all privileges, its password in
 * POLARSHIFT_TEST_PASSWORD) and is skipped without; tests/mysql/test_floor.py starts the servers and sets them. */

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "mysql/binlog-row.h"
#include "mysql/binlog-stream.h"
#include "mysql/conn.h"
#include "mysql/schema.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConnParams, conn_params_free)

#define DATABASE "floor_test"

static ConnParams *params_for(const char *uri) {
        GError *error = NULL;
        ConnParams *params = g_new0(ConnParams, 1);
        params->endpoint = endpoint_parse("source", uri, &error);
        g_assert_no_error(error);
        params->password = g_strdup(g_getenv("POLARSHIFT_TEST_PASSWORD") ?: "");
        params->connect_timeout = 5;
        return params;
}

static Conn *open_flags(const char *uri, ConnFlags flags) {
        GError *error = NULL;
        g_autoptr(ConnParams) params = params_for(uri);
        Conn *conn = conn_open(params, flags, &error);
        g_assert_no_error(error);
        return conn;
}

static void run(Conn *conn, const char *sql) {
        GError *error = NULL;
        conn_exec(conn, sql, -1, NULL, &error);
        g_assert_no_error(error);
}

static Conn *open_fresh(const char *uri, ConnFlags flags) {
        Conn *conn = open_flags(uri, flags);
        run(conn, "CREATE DATABASE IF NOT EXISTS " DATABASE);
        run(conn, "USE " DATABASE);
        return conn;
}

static void assert_string(Conn *conn, const char *sql, const char *expected) {
        GError *error = NULL;
        g_autofree char *value = conn_query_string(conn, sql, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(value, ==, expected);
}

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
        *host = (EndpointHost) { .host = g_strdup("127.0.0.1"), .port = 1 };
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
                                "INSERT INTO r VALUES (1,1),(2,5),(4,4) ON DUPLICATE KEY UPDATE b=VALUES(b)", -1,
                                &result, &error));
        g_assert_cmpuint(result.records, ==, 3);
        g_assert_cmpuint(result.duplicates, ==, 2);
        g_assert_true(conn_exec(conn, "UPDATE r SET b=1 WHERE a=1", -1, &result, &error));
        g_assert_cmpuint(result.affected, ==, 1); /* matched, not changed */

        ConnResult many[3];
        gsize count = 0;
        g_assert_true(conn_exec_multi(conn, "INSERT INTO r VALUES (10,1); SELECT 1; DELETE FROM r WHERE a<3", -1, many,
                                      G_N_ELEMENTS(many), &count, &error));
        g_assert_cmpuint(count, ==, 3);
        g_assert_cmpuint(many[2].affected, ==, 2);
        g_assert_false(conn_exec_multi(conn, "DELETE FROM r WHERE a=3; INSERT INTO r VALUES (10,1); DELETE FROM r", -1,
                                       many, 3, &count, &error));
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
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT 'a\\0b' AS x, NULL AS y UNION ALL SELECT '', 7", &error);
        g_assert_no_error(error);
        g_assert_cmpuint(conn_rows_count(rows), ==, 2);
        g_assert_cmpuint(conn_rows_columns(rows), ==, 2);
        g_assert_cmpstr(conn_rows_column_name(rows, 1), ==, "y");
        g_assert_null(conn_rows_column_name(rows, 2));
        char **row;
        const unsigned long *lengths;
        g_assert_true(conn_rows_next(rows, &row, &lengths, &error));
        g_assert_cmpmem(row[0], lengths[0], "a\0b", 3);
        g_assert_null(row[1]);
        g_assert_true(conn_rows_next(rows, &row, &lengths, &error));
        g_assert_cmpuint(lengths[0], ==, 0);
        g_assert_cmpstr(row[1], ==, "7");
        g_assert_true(conn_rows_next(rows, &row, &lengths, &error));
        g_assert_null(row);

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
                g_autoptr(ConnRows) rows = conn_stream(conn, MANY_ROWS, -1, &error);
                g_assert_no_error(error);
                guint64 n = 0;
                for (char **row = NULL; conn_rows_next(rows, &row, NULL, &error) && row;)
                        n++;
                g_assert_no_error(error);
                g_assert_cmpuint(n, >, 100000);
        }
        {
                g_autoptr(ConnRows) rows = conn_stream(conn, MANY_ROWS, -1, &error);
                char **row;
                g_assert_true(conn_rows_next(rows, &row, NULL, &error));
        }
        assert_string(conn, "SELECT 5", "5"); /* it was drained */

        g_autoptr(ConnRows) rows = conn_stream(conn, MANY_ROWS ", information_schema.collations d", -1, &error);
        g_assert_no_error(error);
        conn_abort(conn);
        char **row;
        g_assert_false(conn_rows_next(rows, &row, NULL, &error));
        g_assert_true(mysql_error_is_connection(error));
        g_clear_error(&error);
        gint64 start = g_get_monotonic_time();
        g_clear_pointer(&rows, conn_rows_free);
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
        g_assert_true(conn_load_data(conn, "LOAD DATA LOCAL INFILE 'x' INTO TABLE l CHARACTER SET binary", data,
                                     strlen(data), &result, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(result.records, ==, 4);
        g_assert_cmpuint(result.duplicates, ==, 1);
        assert_string(conn, "SELECT GROUP_CONCAT(a,IFNULL(HEX(b),'NULL')) FROM l", "16F6E65,27409776F,3NULL");
        /* A file that was not offered. */
        g_assert_false(conn_exec(conn, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE l", -1, NULL, &error));
        g_assert_nonnull(error);
        g_clear_error(&error);
        assert_string(conn, "SELECT COUNT(*) FROM l", "3");
        g_autoptr(Conn) plain = open_fresh(uri, 0);
        g_assert_false(conn_exec(plain, "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE l", -1, NULL, &error));
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

/* ---- schema */

#define ALL_TYPES                                                                                            \
        "CREATE TABLE all_types (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, t1 TINYINT, t2 SMALLINT UNSIGNED, "        \
        "t3 MEDIUMINT NOT NULL, t4 INT(10) UNSIGNED ZEROFILL, de DECIMAL(30,10) UNSIGNED, fl FLOAT, db DOUBLE, "        \
        "bi BIT(13), ye YEAR, da DATE, ti TIME(3), dt DATETIME(6), ts TIMESTAMP NULL, "                                   \
        "en ENUM('a','it''s, no','c\\\\','') CHARACTER SET latin1, se SET('x','y','z') COLLATE utf8_bin, "                \
        "ch CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, vc VARCHAR(300) CHARACTER SET latin1, tt TINYTEXT, "    \
        "lt LONGTEXT, bn BINARY(7), vb VARBINARY(20), bl BLOB, ge POINT, `we``ird. näme` INT, "                           \
        "PRIMARY KEY (id), UNIQUE KEY u (t3,t1), KEY k (vc(10))) ENGINE=InnoDB DEFAULT CHARSET=utf8"

static const Column *column_named(const TableSchema *table, const char *name) {
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = table->columns->pdata[i];
                if (g_str_equal(column->name, name))
                        return column;
        }
        g_test_message("no column %s", name);
        g_assert_not_reached();
}

static TableSchema *load_table(Conn *conn, const char *name) {
        GError *error = NULL;
        TableSchema *table = schema_load_table(conn, DATABASE, name, &error);
        g_assert_no_error(error);
        g_assert_nonnull(table);
        return table;
}

static void test_schema_columns(gconstpointer uri) {
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        run(conn, "DROP TABLE IF EXISTS all_types");
        run(conn, ALL_TYPES);
        run(conn, "INSERT INTO all_types (id,t3) VALUES (41,1)");
        g_autoptr(TableSchema) table = load_table(conn, "all_types");
        g_assert_cmpstr(table->engine, ==, "InnoDB");
        g_assert_cmpuint(table->columns->len, ==, 25);
        g_assert_cmpuint(table->auto_increment, ==, 42);
        static const struct {
                const char *name;
                ColumnKind kind;
                bool is_unsigned;
                guint32 length;
                unsigned precision, scale, fsp, int_bytes;
                const char *charset, *collation;
        } expected[] = {
                { "id", COLUMN_KIND_INTEGER, true, 0, 0, 0, 0, 8, NULL, NULL },
                { "t1", COLUMN_KIND_INTEGER, false, 0, 0, 0, 0, 1, NULL, NULL },
                { "t2", COLUMN_KIND_INTEGER, true, 0, 0, 0, 0, 2, NULL, NULL },
                { "t3", COLUMN_KIND_INTEGER, false, 0, 0, 0, 0, 3, NULL, NULL },
                { "t4", COLUMN_KIND_INTEGER, true, 0, 0, 0, 0, 4, NULL, NULL },
                { "de", COLUMN_KIND_DECIMAL, true, 0, 30, 10, 0, 0, NULL, NULL },
                { "fl", COLUMN_KIND_FLOAT, false, 0, 0, 0, 0, 0, NULL, NULL },
                { "db", COLUMN_KIND_DOUBLE, false, 0, 0, 0, 0, 0, NULL, NULL },
                { "bi", COLUMN_KIND_BIT, false, 13, 0, 0, 0, 0, NULL, NULL },
                { "ye", COLUMN_KIND_YEAR, false, 0, 0, 0, 0, 0, NULL, NULL },
                { "da", COLUMN_KIND_DATE, false, 0, 0, 0, 0, 0, NULL, NULL },
                { "ti", COLUMN_KIND_TIME, false, 0, 0, 0, 3, 0, NULL, NULL },
                { "dt", COLUMN_KIND_DATETIME, false, 0, 0, 0, 6, 0, NULL, NULL },
                { "ts", COLUMN_KIND_TIMESTAMP, false, 0, 0, 0, 0, 0, NULL, NULL },
                { "en", COLUMN_KIND_ENUM, false, 4, 0, 0, 0, 0, "latin1", "latin1_swedish_ci" },
                { "se", COLUMN_KIND_SET, false, 3, 0, 0, 0, 0, "utf8", "utf8_bin" },
                { "ch", COLUMN_KIND_TEXT, false, 40, 0, 0, 0, 0, "utf8mb4", "utf8mb4_bin" },
                { "vc", COLUMN_KIND_TEXT, false, 300, 0, 0, 0, 0, "latin1", "latin1_swedish_ci" },
                { "tt", COLUMN_KIND_TEXT, false, 255, 0, 0, 0, 0, "utf8", "utf8_general_ci" },
                { "lt", COLUMN_KIND_TEXT, false, G_MAXUINT32, 0, 0, 0, 0, "utf8", "utf8_general_ci" },
                { "bn", COLUMN_KIND_BINARY, false, 7, 0, 0, 0, 0, NULL, NULL },
                { "vb", COLUMN_KIND_BLOB, false, 20, 0, 0, 0, 0, NULL, NULL },
                { "bl", COLUMN_KIND_BLOB, false, 65535, 0, 0, 0, 0, NULL, NULL },
                { "ge", COLUMN_KIND_GEOMETRY, false, 0, 0, 0, 0, 0, NULL, NULL },
                { "we`ird. näme", COLUMN_KIND_INTEGER, false, 0, 0, 0, 0, 4, NULL, NULL },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
                const Column *column = column_named(table, expected[i].name);
                g_test_message("%s %s", column->name, column->type);
                g_assert_true(column == table->columns->pdata[i]);
                g_assert_cmpint(column->kind, ==, expected[i].kind);
                g_assert_true(column->is_unsigned == expected[i].is_unsigned);
                g_assert_cmpuint(column->length, ==, expected[i].length);
                g_assert_cmpuint(column->precision, ==, expected[i].precision);
                g_assert_cmpuint(column->scale, ==, expected[i].scale);
                g_assert_cmpuint(column->fsp, ==, expected[i].fsp);
                g_assert_cmpuint(column->int_bytes, ==, expected[i].int_bytes);
                g_assert_cmpstr(column->charset, ==, expected[i].charset);
                g_assert_cmpstr(column->collation, ==, expected[i].collation);
                g_assert_true(column->auto_increment == (i == 0));
                g_assert_true(column->nullable == (i != 0 && !g_str_equal(column->name, "t3")));
                g_assert_false(column->generated);
        }
        g_assert_true(table->key_is_primary);
        g_assert_cmpint(table->key_order, ==, KEY_ORDER_AGENT);
        g_assert_cmpuint(table->key->len, ==, 1);
        g_assert_cmpuint(table->n_unique_secondary, ==, 1);
        g_assert_cmpuint(table->indexes->len, ==, 3);
        const Index *index = table->indexes->pdata[1];
        g_assert_cmpstr(index->name, ==, "k");
        g_assert_true(index->prefix && !index->unique);
        index = table->indexes->pdata[2];
        g_assert_true(index->unique && index->nullable && index->columns->len == 2);
        g_assert_cmpuint(g_array_index(index->columns, unsigned, 0), ==, 3);
        g_assert_true(table_schema_compatible(table, table, NULL));
        run(conn, "DROP TABLE all_types");
}

static void assert_key(Conn *conn, const char *definition, KeyOrder order, const char *columns, unsigned n_secondary) {
        run(conn, "DROP TABLE IF EXISTS k");
        g_autofree char *sql = g_strdup_printf("CREATE TABLE k (%s) ENGINE=InnoDB DEFAULT CHARSET=utf8", definition);
        run(conn, sql);
        g_autoptr(TableSchema) table = load_table(conn, "k");
        g_autoptr(GString) key = g_string_new("");
        for (guint i = 0; i < table->key->len; i++) {
                const Column *column = table->columns->pdata[g_array_index(table->key, unsigned, i)];
                g_string_append_printf(key, "%s%s", i > 0 ? "," : "", column->name);
        }
        g_test_message("%s", definition);
        g_assert_cmpstr(key->str, ==, columns);
        g_assert_cmpint(table->key_order, ==, order);
        g_assert_cmpuint(table->n_unique_secondary, ==, n_secondary);
        run(conn, "DROP TABLE k");
}

static void test_schema_keys(gconstpointer uri) {
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        assert_key(conn, "a INT, b INT", KEY_ORDER_NONE, "", 0);
        assert_key(conn, "a INT, b INT NOT NULL, UNIQUE(a)", KEY_ORDER_NONE, "", 1);
        assert_key(conn, "a INT NOT NULL, b VARCHAR(20), PRIMARY KEY (b,a)", KEY_ORDER_SERVER, "b,a", 0);
        assert_key(conn, "a INT NOT NULL, b VARCHAR(20) COLLATE utf8_bin, PRIMARY KEY (b,a)", KEY_ORDER_AGENT, "b,a", 0);
        assert_key(conn, "a VARBINARY(20) NOT NULL, PRIMARY KEY (a(5))", KEY_ORDER_SERVER, "a", 0);
        assert_key(conn, "a VARBINARY(20) NOT NULL, b INT NOT NULL, c INT, UNIQUE (a(5)), UNIQUE (b), UNIQUE (c)",
                   KEY_ORDER_AGENT, "b", 2);
        assert_key(conn, "a INT NOT NULL, b VARCHAR(20) NOT NULL, c SMALLINT NOT NULL, UNIQUE (b), UNIQUE (a), UNIQUE(c)",
                   KEY_ORDER_AGENT, "c", 2);
        assert_key(conn, "a INT NOT NULL, b INT, c CHAR(3), PRIMARY KEY (a), UNIQUE (b), UNIQUE (c,b)", KEY_ORDER_AGENT,
                   "a", 2);
}

static void test_schema_tables(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        run(conn, "DROP DATABASE " DATABASE);
        run(conn, "CREATE DATABASE " DATABASE);
        run(conn, "USE " DATABASE);
        run(conn, "CREATE TABLE parent (id INT PRIMARY KEY) ENGINE=InnoDB");
        run(conn, "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE "
                  "SET NULL) ENGINE=InnoDB");
        run(conn, "CREATE TABLE strict (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id)) ENGINE=InnoDB");
        run(conn, "CREATE VIEW v AS SELECT * FROM parent");
        g_autoptr(GPtrArray) tables = schema_load(conn, DATABASE, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(tables->len, ==, 3);
        static const char *const names[] = { "child", "parent", "strict" };
        for (guint i = 0; i < 3; i++) {
                const TableSchema *table = tables->pdata[i];
                g_assert_cmpstr(table->name, ==, names[i]);
                g_assert_true(table->has_cascade == (i == 0));
        }
        g_assert_null(schema_load_table(conn, DATABASE, "none'such", &error));
        g_assert_no_error(error);
        g_autoptr(GPtrArray) all = schema_load(conn, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(all->len, >=, 3);
        for (guint i = 0; i < all->len; i++)
                g_assert_false(schema_is_system_database(((TableSchema *) all->pdata[i])->database));
        g_assert_false(table_schema_compatible(tables->pdata[0], tables->pdata[1], &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
        g_clear_error(&error);
        if (conn_flavor(conn)->mariadb) {
                run(conn, "CREATE TABLE gen (a INT PRIMARY KEY, b INT AS (a+1) VIRTUAL, c INT AS (a+2) STORED, "
                          "d TEXT COMPRESSED, e INET6, f DATETIME DEFAULT CURRENT_TIMESTAMP, g JSON, UNIQUE(g)) "
                          "ENGINE=InnoDB");
                g_autoptr(TableSchema) table = load_table(conn, "gen");
                g_assert_true(column_named(table, "b")->generated && column_named(table, "c")->generated);
                g_assert_false(column_named(table, "f")->generated);
                g_assert_cmpint(column_named(table, "d")->kind, ==, COLUMN_KIND_UNSUPPORTED);
                g_assert_cmpint(column_named(table, "e")->kind, ==, COLUMN_KIND_UNSUPPORTED);
                g_assert_cmpint(column_named(table, "g")->kind, ==, COLUMN_KIND_TEXT);
                g_assert_true(table->key_is_primary);
                g_assert_cmpuint(table->n_unique_secondary, ==, 1);
                run(conn, "DROP TABLE gen");
        }
}

/* ---- binary log */

static void position(Conn *conn, char **ret_file, guint64 *ret_position) {
        GError *error = NULL;
        g_assert_true(conn_binlog_position(conn, ret_file, ret_position, &error));
        g_assert_no_error(error);
}

static BinlogStream *open_stream(ConnParams *params, const char *file, guint64 pos, GError **error) {
        return binlog_stream_open(&(BinlogStreamParams) { .server = params,
                                                          .file = file,
                                                          .position = pos,
                                                          .server_id = 4100000000u + (guint32) getpid() % 1000000,
                                                          .heartbeat_usec = 200 * 1000 },
                                  error);
}

/* All row events of table `b` up to (file, pos) as text "I 1 'x'; U 1 'x' -> 1 'y'; D 1 'y'; ". */
static void collect(BinlogStream *stream, const TableSchema *table, const char *file, guint64 end, GString *out,
                    unsigned *heartbeats) {
        GError *error = NULL;
        g_autoptr(BinlogTableMap) map = NULL;
        RowImage before, after;
        row_image_init(&before, table->columns->len);
        row_image_init(&after, table->columns->len);
        while (binlog_position_compare(binlog_stream_file(stream), binlog_stream_position(stream), file, end) < 0 ||
               (heartbeats && *heartbeats < 3)) {
                BinlogEvent event;
                binlog_stream_next(stream, &event, &error);
                g_assert_no_error(error);
                g_test_message("%s %u -> %s %" G_GUINT64_FORMAT, binlog_event_type_name(event.type), event.log_pos,
                               binlog_stream_file(stream), binlog_stream_position(stream));
                if (event.log_pos != 0 && event.type != BINLOG_EVENT_ROTATE &&
                    event.type != BINLOG_EVENT_FORMAT_DESCRIPTION)
                        g_assert_cmpuint(event.log_pos, ==, binlog_stream_position(stream));
                if (event.type == BINLOG_EVENT_HEARTBEAT && heartbeats)
                        (*heartbeats)++;
                if (event.type == BINLOG_EVENT_TABLE_MAP) {
                        g_clear_pointer(&map, binlog_table_map_free);
                        g_assert_true(binlog_table_map_parse(&event, &map, &error));
                }
                RowOperation operation = binlog_row_operation(event.type);
                if (operation == _ROW_OPERATION_INVALID || !g_str_equal(map->table, table->name))
                        continue;
                BinlogRows rows;
                binlog_rows_begin(&rows, &event, map, table, &error);
                g_assert_no_error(error);
                for (bool more = true; more;) {
                        binlog_rows_next(&rows, &before, &after, &more, &error);
                        g_assert_no_error(error);
                        if (!more)
                                break;
                        g_string_append_c(out, "IUD"[operation]);
                        for (guint i = 0; operation != ROW_OPERATION_INSERT && i < before.n_columns; i++)
                                g_string_append_printf(out, " %s", row_image_literal(&before, i));
                        if (operation == ROW_OPERATION_UPDATE)
                                g_string_append(out, " ->");
                        for (guint i = 0; operation != ROW_OPERATION_DELETE && i < after.n_columns; i++)
                                g_string_append_printf(out, " %s", row_image_literal(&after, i));
                        g_string_append(out, "; ");
                }
                binlog_rows_end(&rows);
        }
        row_image_clear(&before);
        row_image_clear(&after);
}

static void stream_from(gconstpointer uri, const char *checksum, bool with_big_row) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(ConnParams) params = params_for(uri);
        g_autofree char *set = g_strdup_printf("SET GLOBAL binlog_checksum=%s", checksum);
        run(conn, set);
        run(conn, "DROP TABLE IF EXISTS b");
        run(conn, "CREATE TABLE b (a INT UNSIGNED PRIMARY KEY, t VARCHAR(20) CHARACTER SET utf8, big LONGBLOB) "
                  "ENGINE=InnoDB");
        g_autoptr(TableSchema) table = load_table(conn, "b");
        g_autofree char *file = NULL, *end_file = NULL;
        guint64 start, end;
        run(conn, "INSERT INTO b VALUES (0,'before',NULL)");
        position(conn, &file, &start);
        run(conn, "INSERT INTO b VALUES (1,'x',NULL),(4294967295,'it''s',NULL)");
        run(conn, "UPDATE b SET t='y' WHERE a=1");
        run(conn, "FLUSH LOGS");
        run(conn, "DELETE FROM b WHERE a=1");
        run(conn, "FLUSH LOGS");
        run(conn, "SET autocommit=0");
        run(conn, "INSERT INTO b VALUES (7,NULL,'')");
        run(conn, "UPDATE b SET t='seven' WHERE a=7");
        run(conn, "COMMIT");
        run(conn, "SET autocommit=1");
        if (with_big_row) { /* the second event has both images, 20 MB: two packets */
                run(conn, "INSERT INTO b VALUES (8,'big',REPEAT('abcdefgh',1250000))");
                run(conn, "UPDATE b SET t='BIG' WHERE a=8");
        }
        position(conn, &end_file, &end);
        g_assert_cmpint(binlog_position_compare(file, start, end_file, end), <, 0);

        g_autoptr(BinlogStream) stream = open_stream(params, file, start, &error);
        g_assert_no_error(error);
        g_autoptr(GString) seen = g_string_new("");
        unsigned heartbeats = 0;
        collect(stream, table, end_file, end, seen, &heartbeats);
        g_assert_cmpuint(binlog_stream_position(stream), >=, end); /* MariaDB adds checkpoints by itself */
        g_assert_cmpstr(binlog_stream_file(stream), ==, end_file);
        char *big = strstr(seen->str, "I 8");
        if (with_big_row) {
                g_assert_nonnull(big);
                g_assert_cmpuint(strlen(big), >, 30000000);
                *big = 0;
        }
        g_assert_cmpstr(seen->str, ==,
                        "I 1 'x' NULL; I 4294967295 'it\\'s' NULL; U 1 'x' NULL -> 1 'y' NULL; D 1 'y' NULL; "
                        "I 7 NULL ''; U 7 NULL '' -> 7 'seven' ''; ");

        /* Live, on the same connection; then again from the middle on a new one. */
        run(conn, "DELETE FROM b WHERE a<=7");
        g_autofree char *live_file = NULL;
        guint64 live_end;
        position(conn, &live_file, &live_end);
        g_string_truncate(seen, 0);
        collect(stream, table, live_file, live_end, seen, NULL);
        g_assert_cmpstr(seen->str, ==, "D 0 'before' NULL; D 7 'seven' ''; ");
        g_autoptr(BinlogStream) again = open_stream(params, end_file, end, &error);
        g_assert_no_error(error);
        g_string_truncate(seen, 0);
        collect(again, table, live_file, live_end, seen, NULL);
        g_assert_cmpstr(seen->str, ==, "D 0 'before' NULL; D 7 'seven' ''; ");
        run(conn, "SET GLOBAL binlog_checksum=CRC32");
}

static void test_binlog(gconstpointer uri) {
        stream_from(uri, "CRC32", false);
}

static void test_binlog_no_checksum(gconstpointer uri) {
        stream_from(uri, "NONE", true);
}

/* The files of one dump may differ in their checksums. */
static void test_binlog_mixed_checksum(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(ConnParams) params = params_for(uri);
        run(conn, "DROP TABLE IF EXISTS b");
        run(conn, "CREATE TABLE b (a INT PRIMARY KEY) ENGINE=InnoDB");
        g_autoptr(TableSchema) table = load_table(conn, "b");
        g_autofree char *file = NULL, *end_file = NULL;
        guint64 start, end;
        position(conn, &file, &start);
        for (int i = 0; i < 4; i++) {
                g_autofree char *insert = g_strdup_printf("INSERT INTO b VALUES (%d)", i);
                run(conn, insert);
                run(conn, i % 2 == 0 ? "SET GLOBAL binlog_checksum=NONE" : "SET GLOBAL binlog_checksum=CRC32");
        }
        position(conn, &end_file, &end);
        g_autoptr(BinlogStream) stream = open_stream(params, file, start, &error);
        g_assert_no_error(error);
        g_autoptr(GString) seen = g_string_new("");
        collect(stream, table, end_file, end, seen, NULL);
        g_assert_cmpstr(seen->str, ==, "I 0; I 1; I 2; I 3; ");
}

static void test_binlog_unavailable(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(ConnParams) params = params_for(uri);
        g_autofree char *file = NULL, *now = NULL;
        guint64 start, pos;
        position(conn, &file, &start);
        run(conn, "FLUSH LOGS");
        run(conn, "CREATE TABLE IF NOT EXISTS filler (a INT)");
        position(conn, &now, &pos);
        g_autofree char *purge = g_strdup_printf("PURGE BINARY LOGS TO '%s'", now);
        run(conn, purge);
        const struct {
                const char *file;
                guint64 position;
        } cases[] = { { file, start }, { now, pos + 1000000 }, { "no-such-log.000001", 4 }, { now, G_GUINT64_CONSTANT(5) << 30 } };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(BinlogStream) stream = open_stream(params, cases[i].file, cases[i].position, &error);
                g_assert_no_error(error);
                BinlogEvent event;
                while (binlog_stream_next(stream, &event, &error))
                        ;
                g_test_message("%s", error->message);
                g_assert_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE);
                g_clear_error(&error);
        }
}

static void *abort_stream(void *data) {
        g_usleep(300 * 1000);
        binlog_stream_abort(data);
        return NULL;
}

static void test_binlog_abort(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(ConnParams) params = params_for(uri);
        g_autofree char *file = NULL;
        guint64 start;
        position(conn, &file, &start);
        g_autoptr(BinlogStream) stream = binlog_stream_open(
                &(BinlogStreamParams) {
                        .server = params, .file = file, .position = start, .server_id = 4000000001, .heartbeat_usec = 20000000 },
                &error);
        g_assert_no_error(error);
        gint64 begin = g_get_monotonic_time();
        pthread_t thread;
        pthread_create(&thread, NULL, abort_stream, stream);
        BinlogEvent event;
        while (binlog_stream_next(stream, &event, &error))
                ;
        g_assert_error(error, MYSQL_ERROR, 2013);
        g_clear_error(&error);
        g_assert_cmpint(g_get_monotonic_time() - begin, <, G_USEC_PER_SEC);
        pthread_join(thread, NULL);
        g_assert_false(binlog_stream_next(stream, &event, &error));
        g_clear_error(&error);

        /* Killed by an administrator: lost, to be opened again. */
        g_autoptr(BinlogStream) killed = open_stream(params, file, start, &error);
        g_assert_no_error(error);
        g_autofree char *id = NULL;
        for (int i = 0; i < 50 && !id; i++) {
                g_assert_true(binlog_stream_next(killed, &event, &error));
                id = conn_query_string(conn,
                                       "SELECT MAX(id) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
                                       &error);
        }
        g_assert_nonnull(id);
        g_assert_true(conn_execf(conn, &error, "KILL %s", id));
        while (binlog_stream_next(killed, &event, &error))
                ;
        g_test_message("%s", error->message);
        g_assert_true(mysql_error_is_connection(error));
        g_clear_error(&error);
}

/* ---- TLS: POLARSHIFT_TEST_CA is the authority of the MariaDB server's certificate, which is for localhost, _OTHER_CA
 * another one */

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
        char **row;
        g_assert_true(conn_rows_next(rows, &row, NULL, &error));
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
        assert_open_fails(params, mysql_error_is_connection, "2026"); /* the system's authorities do not know it */
        set_mode(params, SSL_MODE_VERIFY_CA, NULL);
        g_autoptr(GError) error = NULL;
        g_assert_null(conn_open(params, 0, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
}

/* ---- without a server */

static void test_compare(void) {
        g_assert_cmpint(binlog_position_compare("b.000009", 500, "b.000010", 4), <, 0);
        g_assert_cmpint(binlog_position_compare("b.999999", 500, "b.1000000", 4), <, 0);
        g_assert_cmpint(binlog_position_compare("b.000010", G_GUINT64_CONSTANT(5000000000), "b.000010", 4), >, 0);
        g_assert_cmpint(binlog_position_compare("b.000010", 4, "b.000010", 4), ==, 0);
}

static void test_errors(void) {
        g_autoptr(GError) full = g_error_new(MYSQL_ERROR, 1030, "h: Got error 28 from storage engine (1030, HY000)");
        g_autoptr(GError) other = g_error_new(MYSQL_ERROR, 1030, "h: Got error 122 - 'Internal error' (1030, HY000)");
        g_autoptr(GError) own = g_error_new(PS_ERROR, 1205, "x");
        g_assert_true(mysql_error_is_full(full));
        g_assert_false(mysql_error_is_connection(full));
        g_assert_false(mysql_error_is_retryable(own));
        g_assert_false(mysql_error_is_retryable(NULL));
        (void) other;
}

/* The client library's own: options that it does not free. Looked up by the leak sanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:mysql_optionsv\n";
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                GTestDataFunc func;
        } tests[] = {
                { "open", test_open },
                { "session", test_session },
                { "open-fails", test_open_fails },
                { "fail-over", test_fail_over },
                { "tls", test_tls },
                { "results", test_results },
                { "rows", test_rows },
                { "stream", test_stream },
                { "load-data", test_load_data },
                { "abort", test_abort },
                { "time-out", test_time_out },
                { "killed", test_killed },
                { "schema-columns", test_schema_columns },
                { "schema-keys", test_schema_keys },
                { "schema-tables", test_schema_tables },
                { "binlog", test_binlog },
                { "binlog-no-checksum", test_binlog_no_checksum },
                { "binlog-mixed-checksum", test_binlog_mixed_checksum },
                { "binlog-unavailable", test_binlog_unavailable },
                { "binlog-abort", test_binlog_abort },
        };
        static const char *const servers[][2] = { { "mysql56", "POLARSHIFT_TEST_MYSQL56" },
                                                  { "mariadb", "POLARSHIFT_TEST_MARIADB" } };
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/compare", test_compare);
        g_test_add_func("/errors", test_errors);
        for (gsize s = 0; s < G_N_ELEMENTS(servers); s++)
                for (gsize i = 0; g_getenv(servers[s][1]) && i < G_N_ELEMENTS(tests); i++) {
                        g_autofree char *path = g_strdup_printf("/%s/%s", servers[s][0], tests[i].name);
                        g_test_add_data_func(path, g_getenv(servers[s][1]), tests[i].func);
                }
        return g_test_run();
}
