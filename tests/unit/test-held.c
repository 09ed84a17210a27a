/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prepared transactions: what is kept comes out as it went in, from memory and from files, and nothing is left. */

#include <string.h>

#include "base/error.h"
#include "base/fs.h"
#include "engine/held.h"

typedef struct Bench {
        char *top, *directory;
        HeldSet *set;
} Bench;

static void bench_init(Bench *bench) {
        bench->top = g_dir_make_tmp("polarshift-test-XXXXXX", NULL);
        bench->directory = g_build_filename(bench->top, "held", NULL);
        bench->set = held_set_new(bench->directory);
}

static void bench_clear(Bench *bench) {
        held_set_free(bench->set);
        g_assert_false(g_file_test(bench->directory, G_FILE_TEST_EXISTS));
        g_assert_true(fs_remove_tree(bench->top, NULL));
        g_free(bench->top);
        g_free(bench->directory);
}

static guint count_files(const Bench *bench) {
        g_autoptr(GDir) dir = g_dir_open(bench->directory, 0, NULL);
        guint n = 0;
        while (dir && g_dir_read_name(dir))
                n++;
        return n;
}

/* N records of SIZE bytes each. */
static Held *make(Bench *bench, guint64 seq, guint n, gsize size) {
        Held *held = held_new(bench->set, seq, "binlog.000003", seq * 10);
        g_autofree guint8 *data = g_malloc(size + 1);
        for (guint i = 0; i < n; i++) {
                g_autoptr(GError) error = NULL;
                memset(data, (int) (seq + i), size);
                RelayRecord record = {.type = i % 256, .flags = (guint16) seq, .timestamp = i, .data = data, .size = size};
                g_assert_true(held_append(held, &record, &error));
                g_assert_no_error(error);
        }
        return held;
}

static void keep(Bench *bench, const char *xid, Held *held) {
        g_autoptr(GError) error = NULL;
        g_assert_true(held_set_keep(bench->set, xid, held, &error));
        g_assert_no_error(error);
}

typedef struct Expected {
        guint64 seq;
        gsize size;
        guint seen, stop_at;
} Expected;

static bool take(gpointer userdata, const RelayRecord *record, GError **error) {
        Expected *expected = userdata;
        if (expected->stop_at > 0 && expected->seen == expected->stop_at) {
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "enough");
                return false;
        }
        g_assert_cmpint(record->kind, ==, RELAY_EVENT);
        g_assert_cmpuint(record->type, ==, expected->seen % 256);
        g_assert_cmpuint(record->flags, ==, (guint16) expected->seq);
        g_assert_cmpuint(record->timestamp, ==, expected->seen);
        g_assert_cmpuint(record->size, ==, expected->size);
        for (gsize i = 0; i < record->size; i++)
                g_assert_cmpuint(record->data[i], ==, (guint8) (expected->seq + expected->seen));
        expected->seen++;
        return true;
}

static void expect(Held *held, guint64 seq, guint n, gsize size) {
        g_autoptr(GError) error = NULL;
        Expected expected = {.seq = seq, .size = size};
        g_assert_nonnull(held);
        g_assert_true(held_replay(held, take, &expected, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(expected.seen, ==, n);
}

static void expect_oldest(Bench *bench, guint64 seq) {
        guint64 got, offset;
        const char *file;
        g_assert_true(held_set_oldest(bench->set, &got, &file, &offset));
        g_assert_cmpuint(got, ==, seq);
        g_assert_cmpuint(offset, ==, seq * 10);
        g_assert_cmpstr(file, ==, "binlog.000003");
}

static void test_order(void) {
        Bench bench;
        bench_init(&bench);
        guint64 seq, offset;
        const char *file;
        g_assert_false(held_set_oldest(bench.set, &seq, &file, &offset));
        keep(&bench, "a", make(&bench, 5, 3, 100));
        keep(&bench, "b", make(&bench, 9, 0, 0));
        keep(&bench, "c", make(&bench, 12, 2, 0));
        expect_oldest(&bench, 5);
        g_autoptr(Held) b = held_set_take(bench.set, "b");
        expect(b, 9, 0, 0);
        expect_oldest(&bench, 5);
        g_assert_null(held_set_take(bench.set, "b"));
        g_autoptr(Held) a = held_set_take(bench.set, "a");
        expect(a, 5, 3, 100);
        expect_oldest(&bench, 12);
        keep(&bench, "a", make(&bench, 20, 1, 1)); /* the same name again */
        g_autoptr(GError) error = NULL;
        g_assert_false(held_set_keep(bench.set, "a", make(&bench, 30, 1, 1), &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
        g_assert_cmpuint(count_files(&bench), ==, 0);
        bench_clear(&bench);
}

static void test_files(void) {
        Bench bench;
        bench_init(&bench);
        keep(&bench, "large", make(&bench, 1, 3000, 5000)); /* 15 MB */
        g_assert_cmpuint(count_files(&bench), ==, 1);
        for (guint i = 0; i < 100; i++) { /* 20 MB in small ones: not all of that stays in memory */
                g_autofree char *xid = g_strdup_printf("%u", i);
                keep(&bench, xid, make(&bench, 100 + i, 20, 10000));
        }
        g_assert_cmpuint(count_files(&bench), >, 50);
        g_assert_cmpuint(count_files(&bench), <, 80);
        g_autoptr(Held) large = held_set_take(bench.set, "large");
        expect(large, 1, 3000, 5000);
        expect(large, 1, 3000, 5000);
        for (guint i = 0; i < 100; i++) {
                g_autofree char *xid = g_strdup_printf("%u", i);
                g_autoptr(Held) held = held_set_take(bench.set, xid);
                expect(held, 100 + i, 20, 10000);
        }
        g_clear_pointer(&large, held_free);
        g_assert_cmpuint(count_files(&bench), ==, 0);
        keep(&bench, "left", make(&bench, 1, 300, 5000));
        bench_clear(&bench);
}

static void test_trouble(void) {
        Bench bench;
        bench_init(&bench);
        g_autoptr(GError) error = NULL;
        g_autoptr(Held) held = make(&bench, 3, 100, 10000);
        Expected expected = {.seq = 3, .size = 10000, .stop_at = 7};
        g_assert_false(held_replay(held, take, &expected, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_STOPPED);
        g_clear_error(&error);

        /* A file that has become shorter must not look like a smaller transaction. */
        g_autoptr(GDir) dir = g_dir_open(bench.directory, 0, NULL);
        g_autofree char *path = g_build_filename(bench.directory, g_dir_read_name(dir), NULL);
        g_assert_true(g_file_set_contents(path, "", 0, NULL));
        expected = (Expected){.seq = 3, .size = 10000};
        g_assert_false(held_replay(held, take, &expected, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_FAILED);
        bench_clear(&bench);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/held/order", test_order);
        g_test_add_func("/held/files", test_files);
        g_test_add_func("/held/trouble", test_trouble);
        return g_test_run();
}
