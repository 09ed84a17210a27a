/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The relay log: what is committed comes out as it went in, across segments, and nothing else. */

#include <glib/gstdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/thread.h"
#include "engine/relay.h"

typedef struct Bench {
        char *top, *directory;
        Relay *relay;
} Bench;

static void bench_init(Bench *bench) {
        bench->top = g_dir_make_tmp("polarshift-test-XXXXXX", NULL);
        bench->directory = g_build_filename(bench->top, "relay", NULL);
        g_autoptr(GError) error = NULL;
        bench->relay = relay_new(bench->directory, &error);
        g_assert_no_error(error);
}

static void bench_clear(Bench *bench) {
        relay_free(bench->relay);
        g_assert_false(g_file_test(bench->directory, G_FILE_TEST_EXISTS));
        g_assert_true(fs_remove_tree(bench->top, NULL));
        g_free(bench->top);
        g_free(bench->directory);
}

/* Bytes that tell which record they belong to. */
static void fill(guint8 *data, gsize size, guint32 number) {
        for (gsize i = 0; i < size; i++)
                data[i] = (guint8) (number * 31 + i * 7 + (i >> 8));
}

static void append(Relay *relay, guint32 number, gsize size) {
        g_autofree guint8 *data = g_malloc(size + 1);
        fill(data, size, number);
        RelayRecord record = {.type = number % 256, .flags = (guint16) number, .timestamp = number, .data = data, .size = size};
        g_autoptr(GError) error = NULL;
        relay_append(relay, &record, &error);
        g_assert_no_error(error);
}

static void commit(Relay *relay, guint64 offset) {
        g_autoptr(GError) error = NULL;
        RelayCommit record = {.offset = offset, .timestamp = 42};
        RelayHold hold = {.seq = offset / 2, .offset = offset / 3, .file = offset % 3 == 0 ? "binlog.000005" : NULL};
        relay_commit(relay, "binlog.000007", &record, &hold, &error);
        g_assert_no_error(error);
}

static bool read_one(Relay *relay, gint64 timeout, RelayRecord *ret) {
        bool found;
        g_autoptr(GError) error = NULL;
        relay_read(relay, timeout, ret, &found, &error);
        g_assert_no_error(error);
        return found;
}

static void expect(Relay *relay, guint32 number, gsize size) {
        RelayRecord record;
        g_autofree guint8 *data = g_malloc(size + 1);
        g_assert_true(read_one(relay, 20 * USEC_PER_SEC, &record));
        g_assert_cmpint(record.kind, ==, RELAY_EVENT);
        g_assert_cmpuint(record.type, ==, number % 256);
        g_assert_cmpuint(record.flags, ==, (guint16) number);
        g_assert_cmpuint(record.timestamp, ==, number);
        fill(data, size, number);
        g_assert_cmpmem(record.data, record.size, data, size);
}

static void expect_commit(Relay *relay, guint64 offset) {
        RelayRecord record;
        RelayCommit commit_record;
        g_assert_true(read_one(relay, 20 * USEC_PER_SEC, &record));
        g_assert_cmpint(record.kind, ==, RELAY_COMMIT);
        g_assert_cmpuint(record.size, >=, sizeof commit_record);
        memcpy(&commit_record, record.data, sizeof commit_record);
        g_assert_cmpuint(commit_record.offset, ==, offset);
        g_assert_cmpuint(commit_record.timestamp, ==, 42);
        g_assert_cmpuint(commit_record.hold_seq, ==, offset / 2);
        g_assert_cmpuint(commit_record.hold_offset, ==, offset / 3);
        g_assert_cmpuint(commit_record.file_length, ==, 13);
        g_assert_cmpuint(commit_record.hold_file_length, ==, offset % 3 == 0 ? 13 : 0);
        g_assert_cmpmem(record.data + sizeof commit_record, record.size - sizeof commit_record, "binlog.000007binlog.000005",
                        offset % 3 == 0 ? 26 : 13);
}

static void test_commit(void) {
        Bench bench;
        RelayRecord record;
        bench_init(&bench);
        g_assert_false(read_one(bench.relay, 0, &record));
        append(bench.relay, 1, 10);
        append(bench.relay, 2, 0);
        g_assert_false(read_one(bench.relay, 0, &record)); /* not before it is committed */
        g_assert_cmpuint(relay_backlog(bench.relay), ==, 0);
        commit(bench.relay, 99);
        g_assert_cmpuint(relay_backlog(bench.relay), >, 10);
        expect(bench.relay, 1, 10);
        expect(bench.relay, 2, 0);
        expect_commit(bench.relay, 99);
        g_assert_cmpuint(relay_backlog(bench.relay), ==, 0);
        g_assert_false(read_one(bench.relay, 0, &record));
        commit(bench.relay, 100); /* an empty transaction */
        expect_commit(bench.relay, 100);
        bench_clear(&bench);
}

static void test_rollback(void) {
        Bench bench;
        bench_init(&bench);
        append(bench.relay, 1, 1000);
        commit(bench.relay, 1);
        for (guint32 i = 0; i < 20; i++) /* more than the buffer: some of it is in the file */
                append(bench.relay, 100 + i, 50000);
        relay_rollback(bench.relay);
        relay_rollback(bench.relay);
        append(bench.relay, 2, 2000);
        commit(bench.relay, 2);
        expect(bench.relay, 1, 1000);
        expect_commit(bench.relay, 1);
        expect(bench.relay, 2, 2000);
        expect_commit(bench.relay, 2);
        append(bench.relay, 3, 5);
        relay_rollback(bench.relay);
        commit(bench.relay, 3);
        expect_commit(bench.relay, 3);
        bench_clear(&bench);
}

static guint count_files(const char *directory) {
        g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
        guint n = 0;
        while (g_dir_read_name(dir))
                n++;
        return n;
}

/* Segments end behind 64 MiB, at a transaction; what was read is removed. */
static void test_segments(void) {
        Bench bench;
        bench_init(&bench);
        enum { SIZE = 9 * 1024 * 1024 + 13, N = 24 };
        guint32 next = 0;
        for (guint32 i = 0; i < N; i++) {
                append(bench.relay, i, SIZE);
                commit(bench.relay, i);
                if (i % 3 == 2) { /* a reader that stays a little behind */
                        expect(bench.relay, next, SIZE);
                        expect_commit(bench.relay, next++);
                }
        }
        g_assert_cmpuint(count_files(bench.directory), >=, 2);
        for (; next < N; next++) {
                expect(bench.relay, next, SIZE);
                expect_commit(bench.relay, next);
        }
        g_assert_cmpuint(count_files(bench.directory), <=, 2);
        /* A rollback just behind the start of a segment. */
        append(bench.relay, 1, 70 * 1024 * 1024);
        commit(bench.relay, 1);
        append(bench.relay, 2, 1000000);
        relay_rollback(bench.relay);
        append(bench.relay, 3, 10);
        commit(bench.relay, 3);
        expect(bench.relay, 1, 70 * 1024 * 1024);
        expect_commit(bench.relay, 1);
        expect(bench.relay, 3, 10);
        expect_commit(bench.relay, 3);
        bench_clear(&bench);
}

/* Small records behind a huge one, which must not stay in memory. */
static void test_huge(void) {
        Bench bench;
        bench_init(&bench);
        append(bench.relay, 1, 100u * 1024 * 1024);
        for (guint32 i = 2; i < 5000; i++)
                append(bench.relay, i, i % 700);
        commit(bench.relay, 1);
        expect(bench.relay, 1, 100u * 1024 * 1024);
        for (guint32 i = 2; i < 5000; i++)
                expect(bench.relay, i, i % 700);
        expect_commit(bench.relay, 1);
        bench_clear(&bench);
}

static void wake(gpointer data) {
        relay_wake(data);
}

static void commit_later(gpointer data) {
        append(data, 9, 9);
        commit(data, 9);
}

static void test_wake(void) {
        Bench bench;
        RelayRecord record;
        bench_init(&bench);
        gint64 began = clock_monotonic();
        g_assert_false(read_one(bench.relay, 30 * USEC_PER_MSEC, &record));
        g_assert_cmpint(clock_monotonic() - began, >=, 29 * USEC_PER_MSEC);
        Thread *thread = thread_start("wake", wake, bench.relay);
        g_assert_false(read_one(bench.relay, 30 * USEC_PER_SEC, &record));
        thread_join(thread);
        thread = thread_start("commit", commit_later, bench.relay);
        expect(bench.relay, 9, 9);
        expect_commit(bench.relay, 9);
        thread_join(thread);
        g_assert_cmpint(clock_monotonic() - began, <, 20 * USEC_PER_SEC);
        bench_clear(&bench);
}

enum { TRANSACTIONS = 20000 };

static void write_many(gpointer data) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(3);
        guint32 number = 0;
        for (guint i = 0; i < TRANSACTIONS; i++) {
                for (int k = g_rand_int_range(rand, 0, 4); k > 0; k--, number++)
                        append(data, number, (number * 2654435761u) % 9000);
                if (g_rand_int_range(rand, 0, 50) == 0) { /* one that is taken back */
                        append(data, 7, 30000);
                        relay_rollback(data);
                        number = 0; /* what was appended before is gone too: the reader starts to count anew */
                        append(data, number++, 0);
                }
                commit(data, i);
        }
}

static void test_threads(void) {
        Bench bench;
        bench_init(&bench);
        Thread *thread = thread_start("write", write_many, bench.relay);
        guint commits = 0;
        guint32 number = 0;
        while (commits < TRANSACTIONS) {
                RelayRecord record;
                if (!read_one(bench.relay, 5 * USEC_PER_SEC, &record))
                        continue;
                if (record.kind == RELAY_COMMIT) {
                        RelayCommit end;
                        memcpy(&end, record.data, sizeof end);
                        g_assert_cmpuint(end.offset, ==, commits++);
                        continue;
                }
                if (record.timestamp == 0)
                        number = 0;
                g_assert_cmpuint(record.timestamp, ==, number);
                gsize size = record.timestamp == 0 ? record.size : (number * 2654435761u) % 9000;
                g_autofree guint8 *data = g_malloc(size + 1);
                fill(data, size, number++);
                g_assert_cmpmem(record.data, record.size, data, size);
        }
        thread_join(thread);
        g_assert_cmpuint(relay_backlog(bench.relay), ==, 0);
        bench_clear(&bench);
}

/* What is in the folder is removed; a folder that cannot be made is an error. */
static void test_directory(void) {
        Bench bench;
        bench_init(&bench);
        g_autofree char *old = g_build_filename(bench.directory, "old", NULL);
        g_assert_true(g_file_set_contents(old, "x", 1, NULL));
        g_autoptr(GError) error = NULL;
        g_autoptr(Relay) again = relay_new(bench.directory, &error);
        g_assert_no_error(error);
        g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
        g_autofree char *file = g_build_filename(bench.top, "file", NULL), *below = g_build_filename(file, "relay", NULL);
        g_assert_true(g_file_set_contents(file, "x", 1, NULL));
        g_assert_null(relay_new(below, &error));
        g_assert_nonnull(error);
        g_clear_pointer(&again, relay_free);
        bench_clear(&bench);
}

static void test_hold(void) {
        Bench bench;
        RelayRecord record;
        bench_init(&bench);
        append(bench.relay, 1, 10);
        commit(bench.relay, 100);
        relay_keep_back(bench.relay);
        g_assert_true(read_one(bench.relay, 0, &record));
        g_assert_true(read_one(bench.relay, 0, &record));
        append(bench.relay, 2, 10);
        commit(bench.relay, 200);
        append(bench.relay, 3, 10);
        relay_rollback(bench.relay); /* takes back the last one only */
        g_assert_false(read_one(bench.relay, 0, &record));
        g_assert_cmpuint(relay_backlog(bench.relay), ==, 0);
        relay_hand_over(bench.relay);
        g_assert_true(read_one(bench.relay, 0, &record));
        g_assert_cmpuint(record.timestamp, ==, 2);
        g_assert_true(read_one(bench.relay, 0, &record));
        g_assert_cmpint((int) record.kind, ==, RELAY_COMMIT);
        g_assert_false(read_one(bench.relay, 0, &record));
        append(bench.relay, 4, 10);
        commit(bench.relay, 300);
        g_assert_true(read_one(bench.relay, 0, &record));
        bench_clear(&bench);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/relay/commit", test_commit);
        g_test_add_func("/relay/rollback", test_rollback);
        g_test_add_func("/relay/segments", test_segments);
        g_test_add_func("/relay/huge", test_huge);
        g_test_add_func("/relay/wake", test_wake);
        g_test_add_func("/relay/threads", test_threads);
        g_test_add_func("/relay/directory", test_directory);
        g_test_add_func("/hold", test_hold);
        return g_test_run();
}
