/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binary logs of real servers, streamed and decoded; see live.h. */

#include <pthread.h>
#include <unistd.h>

#include "live.h"
#include "mysql/binlog-row.h"
#include "mysql/binlog-stream.h"

static void position(Conn *conn, char **ret_file, guint64 *ret_position) {
        GError *error = NULL;
        g_assert_true(conn_binlog_position(conn, ret_file, ret_position, &error));
        g_assert_no_error(error);
}

static BinlogStream *open_stream(ConnParams *params, const char *file, guint64 pos, GError **error) {
        return binlog_stream_open(
                        &(BinlogStreamParams){.server = params,
                                              .file = file,
                                              .position = pos,
                                              .server_id = 4100000000u + (guint32)getpid() % 1000000,
                                              .heartbeat_usec = 200 * 1000},
                        error);
}

/* All row events of table `b` up to (file, pos) as text "I 1 'x'; U 1 'x' -> 1 'y'; D 1 'y'; ". */
static void collect(BinlogStream *stream, const TableSchema *table, const char *file, guint64 end,
                    GString *out, unsigned *heartbeats) {
        GError *error = NULL;
        g_autoptr(BinlogTableMap) map = NULL;
        RowImage before, after;
        row_image_init(&before, table->columns->len);
        row_image_init(&after, table->columns->len);
        while (binlog_position_compare(binlog_stream_file(stream), binlog_stream_position(stream), file,
                                       end) < 0 ||
               (heartbeats && *heartbeats < 3)) {
                BinlogEvent event;
                binlog_stream_next(stream, &event, &error);
                g_assert_no_error(error);
                g_test_message("%s %u -> %s %" G_GUINT64_FORMAT, binlog_event_type_name(event.type),
                               event.log_pos, binlog_stream_file(stream), binlog_stream_position(stream));
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
        run(conn,
            "CREATE TABLE b (a INT UNSIGNED PRIMARY KEY, t VARCHAR(20) CHARACTER SET utf8, big LONGBLOB) "
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
                run(conn,
                    i % 2 == 0 ? "SET GLOBAL binlog_checksum=NONE" : "SET GLOBAL binlog_checksum=CRC32");
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
        } cases[] = {{file, start},
                     {now, pos + 1000000},
                     {"no-such-log.000001", 4},
                     {now, G_GUINT64_CONSTANT(5) << 30}};
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(BinlogStream) stream =
                                open_stream(params, cases[i].file, cases[i].position, &error);
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
        g_autoptr(BinlogStream) stream = binlog_stream_open(&(BinlogStreamParams){.server = params,
                                                                                  .file = file,
                                                                                  .position = start,
                                                                                  .server_id = 4000000001,
                                                                                  .heartbeat_usec = 20000000},
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
                                       "SELECT MAX(id) FROM information_schema.processlist WHERE command "
                                       "LIKE 'Binlog Dump%'",
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

static void test_compare(void) {
        g_assert_cmpint(binlog_position_compare("b.000009", 500, "b.000010", 4), <, 0);
        g_assert_cmpint(binlog_position_compare("b.999999", 500, "b.1000000", 4), <, 0);
        g_assert_cmpint(binlog_position_compare("b.000010", G_GUINT64_CONSTANT(5000000000), "b.000010", 4), >,
                        0);
        g_assert_cmpint(binlog_position_compare("b.000010", 4, "b.000010", 4), ==, 0);
}

#define GIB (G_GUINT64_CONSTANT(1) << 30)

/* One transaction is never split over files: a file may pass 4 GiB, and events carry 32 bits. */
static void test_wrap(void) {
        static const struct {
                guint64 position;
                guint32 end, size;
                guint64 behind; /* 0: impossible */
        } events[] = {
                        {4, 120, 116, 120},
                        {120, 151, 31, 151},
                        {120, 400, 31, 400}, /* MariaDB does not send all events */
                        {120, 130, 31, 0},
                        {4 * GIB - 10, 21, 31, 4 * GIB + 21},
                        {4 * GIB - 31, 0, 31, 4 * GIB},
                        {4 * GIB, 31, 31, 4 * GIB + 31},
                        {4 * GIB - 1, (guint32)(2 * GIB - 1), (guint32)(2 * GIB), 6 * GIB - 1},
                        {4 * GIB + 200, 150, 31, 8 * GIB + 150}, /* a step back is a step forward by nearly 4 GiB */
                        {9 * GIB + 5, (guint32)GIB + 36, 31, 9 * GIB + 36},
                        {9 * GIB + 5, (guint32)GIB + 30, 31, 0},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(events); i++) {
                guint64 behind = 0;
                bool possible = binlog_position_behind(events[i].position, events[i].end, events[i].size, &behind);
                g_assert_cmpuint(behind, ==, events[i].behind);
                g_assert_true(possible == (events[i].behind != 0));
        }
        /* Row by row through 13 GiB. */
        guint64 position = 4;
        for (guint64 end = 4 + 33333333; end < 13 * GIB; end += 33333333) {
                g_assert_true(binlog_position_behind(position, (guint32)end, 33333333, &position));
                g_assert_cmpuint(position, ==, end);
        }
        g_assert_cmpuint(binlog_position_of_heartbeat(500, 500), ==, 500);
        g_assert_cmpuint(binlog_position_of_heartbeat(500, 120), ==, 500);
        g_assert_cmpuint(binlog_position_of_heartbeat(4 * GIB - 50, 20), ==, 4 * GIB + 20);
        g_assert_cmpuint(binlog_position_of_heartbeat(4 * GIB + 50, 80), ==, 4 * GIB + 80);
        g_assert_cmpuint(binlog_position_of_heartbeat(4 * GIB + 50, 20), ==, 4 * GIB + 50);
        g_assert_cmpuint(binlog_position_of_heartbeat(4 * GIB + 50, 4 * GIB + 90), ==, 4 * GIB + 90);
}

int main(int argc, char **argv) {
        static const LiveTest tests[] = {
                        {"binlog", test_binlog},
                        {"binlog-no-checksum", test_binlog_no_checksum},
                        {"binlog-mixed-checksum", test_binlog_mixed_checksum},
                        {"binlog-unavailable", test_binlog_unavailable},
                        {"binlog-abort", test_binlog_abort},
        };
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/compare", test_compare);
        g_test_add_func("/wrap", test_wrap);
        add_live_tests(tests, G_N_ELEMENTS(tests));
        return g_test_run();
}
