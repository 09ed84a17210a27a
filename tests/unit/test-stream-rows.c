/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader's row events: a table is found by its number, whatever that is, and an event that only ends a statement is of none. */

#include "engine/change.h"
#include "engine/stream-private.h"
#include "mysql/binlog-types.h"

#define NO_ID 0xffffffffffffu

typedef struct Bench {
        Stream stream;
        LinkTables *tables;
        Ledger *ledger;
        guint64 heartbeat;
} Bench;

static void on_heartbeat(gpointer userdata, guint64 seq, guint64 value) {
        Bench *bench = userdata;
        g_assert_cmpuint(seq, ==, 5);
        bench->heartbeat = value;
}

static void bench_init(Bench *bench) {
        bench->tables = link_tables_new(g_ptr_array_new(), /* copying= */ false, NULL);
        bench->ledger = ledger_new("0123456789abcdef");
        bench->heartbeat = 0;
        bench->stream = (Stream){
                .config = {.ledger = bench->ledger, .on_heartbeat = on_heartbeat, .userdata = bench},
                .pair = change_pair_schema(),
                .in_transaction = true,
                .started = 5,
        };
        map_cache_init(&bench->stream.maps, bench->tables);
        row_image_init(&bench->stream.before, 0);
        row_image_init(&bench->stream.after, 0);
}

static void bench_clear(Bench *bench) {
        map_cache_clear(&bench->stream.maps);
        row_image_clear(&bench->stream.before);
        row_image_clear(&bench->stream.after);
        table_schema_free(bench->stream.pair);
        link_tables_free(bench->tables);
        ledger_free(bench->ledger);
}

static GByteArray *body(guint64 id, guint16 flags) {
        GByteArray *bytes = g_byte_array_new();
        guint64 number = GUINT64_TO_LE(id);
        guint16 little = GUINT16_TO_LE(flags);
        g_byte_array_append(bytes, (const guint8 *) &number, 6);
        g_byte_array_append(bytes, (const guint8 *) &little, 2);
        return bytes;
}

static void add_name(GByteArray *bytes, const char *name) {
        guint8 length = (guint8) strlen(name);
        g_byte_array_append(bytes, &length, 1);
        g_byte_array_append(bytes, (const guint8 *) name, length + 1u);
}

/* The heartbeat's table. */
static void take_map(Bench *bench, guint64 id) {
        static const guint8 columns[] = {2, BINLOG_TYPE_LONG, BINLOG_TYPE_LONGLONG, 0, 0};
        g_autoptr(GByteArray) bytes = body(id, 1);
        g_autoptr(GError) error = NULL;
        add_name(bytes, LEDGER_DATABASE);
        add_name(bytes, bench->ledger->watermark_name);
        g_byte_array_append(bytes, columns, sizeof columns);
        BinlogEvent event = {.type = BINLOG_EVENT_TABLE_MAP, .body = bytes->data, .body_size = bytes->len};
        g_assert_true(stream_take_table_map(&bench->stream, &event, &error));
        g_assert_no_error(error);
}

static bool take_rows(Bench *bench, unsigned type, guint64 id, guint16 flags, const guint8 *data, gsize size) {
        g_autoptr(GByteArray) bytes = body(id, flags);
        g_autoptr(GError) error = NULL;
        g_byte_array_append(bytes, data, (guint) size);
        BinlogEvent event = {.type = type, .body = bytes->data, .body_size = bytes->len};
        bool good = stream_take_rows(&bench->stream, &event, &error);
        if (good)
                g_assert_no_error(error);
        else
                g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
        return good;
}

static const guint8 row[] = {2, 3, 0, 1, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0};

static void test_numbers(void) {
        static const guint64 ids[] = {0, 70, 0xffffff, 0x1000000, 0xffffffff, NO_ID};
        for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
                Bench bench;
                bench_init(&bench);
                take_map(&bench, ids[i]);
                g_assert_true(take_rows(&bench, BINLOG_EVENT_WRITE_ROWS_V1, ids[i], ROWS_END_OF_STATEMENT, row, sizeof row));
                g_assert_cmpuint(bench.heartbeat, ==, 77);
                bench_clear(&bench);
        }
}

static void test_dummy(void) {
        static const guint8 old[] = {1, 0xff}, two[] = {1, 0xff, 0xff}, newer[] = {2, 0, 1, 0xff}, nothing[] = {0};
        static const struct {
                unsigned type;
                guint64 id;
                guint16 flags;
                const guint8 *data;
                gsize size;
                bool dummy;
        } cases[] = {
                {BINLOG_EVENT_WRITE_ROWS_V1, 0xffffff, ROWS_END_OF_STATEMENT, old, sizeof old, true},
                {BINLOG_EVENT_WRITE_ROWS_V1, 0xffffffff, ROWS_END_OF_STATEMENT, old, sizeof old, true},
                {BINLOG_EVENT_DELETE_ROWS_V1, NO_ID, ROWS_END_OF_STATEMENT, old, sizeof old, true},
                {BINLOG_EVENT_UPDATE_ROWS_V1, 0xffffff, ROWS_END_OF_STATEMENT, two, sizeof two, true},
                {BINLOG_EVENT_WRITE_ROWS, NO_ID, ROWS_END_OF_STATEMENT, newer, sizeof newer, true},
                {BINLOG_EVENT_WRITE_ROWS_V1, NO_ID, ROWS_END_OF_STATEMENT, nothing, sizeof nothing, true},
                /* Anything else without its TABLE_MAP is an error. */
                {BINLOG_EVENT_WRITE_ROWS_V1, 0xffffff, ROWS_END_OF_STATEMENT, row, sizeof row, false},
                {BINLOG_EVENT_WRITE_ROWS_V1, 0xffffff, ROWS_END_OF_STATEMENT, two, sizeof two, false},
                {BINLOG_EVENT_WRITE_ROWS_V1, 0xffffff, 0, old, sizeof old, false},
                {BINLOG_EVENT_WRITE_ROWS_V1, 71, ROWS_END_OF_STATEMENT, old, sizeof old, false},
                {BINLOG_EVENT_WRITE_ROWS, NO_ID, ROWS_END_OF_STATEMENT, newer, 1, false},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                Bench bench;
                bench_init(&bench);
                take_map(&bench, 70);
                g_assert_true(take_rows(&bench, cases[i].type, cases[i].id, cases[i].flags, cases[i].data, cases[i].size) == cases[i].dummy);
                g_assert_cmpuint(bench.heartbeat, ==, 0);
                bench_clear(&bench);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stream-rows/numbers", test_numbers);
        g_test_add_func("/stream-rows/dummy", test_dummy);
        return g_test_run();
}
