/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a link wants to see again of an upstream's log before it goes on. */

#include "base/error.h"
#include "engine/proof.h"

#define A "11111111-1111-1111-1111-111111111111"
#define OLD "server-old"
#define NEW "server-new"

/* SEQ transactions of 100 bytes each, all of one GTID source. */
static Place *place(const char *server, guint64 seq, guint32 crc) {
        g_autofree char *gtid = g_strdup_printf(A ":%" G_GUINT64_FORMAT, seq), *gtids = g_strdup_printf(A ":1-%" G_GUINT64_FORMAT, seq);
        return place_new(server, "binlog.000007", 4 + (seq - 1) * 100, 4 + seq * 100, crc, gtid, gtids);
}

typedef struct Rows {
        Checkpoint rows[3];
} Rows;

static void rows_init(Rows *rows, const guint64 seq[3]) {
        static const guint32 numbers[3] = {0, 1, LEDGER_COPIER_BASE};
        *rows = (Rows){0};
        for (guint i = 0; i < 3; i++) {
                rows->rows[i].worker = numbers[i];
                rows->rows[i].seq = seq[i];
                rows->rows[i].place = place(OLD, seq[i], (guint32) seq[i]);
        }
}

static void rows_clear(Rows *rows) {
        for (guint i = 0; i < 3; i++)
                place_unref(rows->rows[i].place);
}

static bool take(Proof *proof, const char *server, guint64 seq, guint32 crc, const char *executed_text, GError **error) {
        g_autoptr(Place) now = place(server, seq, crc);
        g_autoptr(Executed) executed = executed_new(executed_text, /* mariadb= */ false);
        const char *gtids = NULL;
        return proof_take(proof, seq, now, executed, &gtids, error);
}

static void test_same_server(void) {
        Rows rows;
        g_autoptr(GError) error = NULL;
        rows_init(&rows, (const guint64[]){10, 13, 15});
        g_autoptr(Proof) proof = proof_new(rows.rows, 3, rows.rows[0].place, 10, OLD, &error);
        g_assert_no_error(error);
        g_assert_false(proof_by_gtids(proof));
        g_assert_cmpuint(proof_next(proof), ==, 13);
        g_assert_true(take(proof, OLD, 11, 999, NULL, &error)); /* nobody knows it */
        g_assert_true(take(proof, OLD, 13, 13, NULL, &error));
        g_assert_cmpuint(proof_next(proof), ==, 15);
        g_assert_false(proof_take_end(proof, 14, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE);
        g_assert_nonnull(strstr(error->message, "binlog.000007, bytes 1404 to 1504"));
        g_clear_error(&error);
        g_assert_false(take(proof, OLD, 15, 16, NULL, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE);
        g_assert_nonnull(strstr(error->message, A ":15"));
        g_clear_error(&error);
        g_assert_true(take(proof, OLD, 15, 15, NULL, &error));
        g_assert_cmpuint(proof_next(proof), ==, G_MAXUINT64);
        g_assert_true(proof_take_end(proof, 15, &error));
        rows_clear(&rows);
}

static void test_other_server(void) {
        Rows rows;
        g_autoptr(GError) error = NULL;
        rows_init(&rows, (const guint64[]){10, 13, 9});
        g_autoptr(Proof) proof = proof_new(rows.rows, 3, rows.rows[0].place, 10, NEW, &error);
        g_assert_no_error(error);
        g_assert_true(proof_by_gtids(proof));
        g_assert_cmpuint(proof_next(proof), ==, 13);
        g_assert_true(proof_take_end(proof, 11, &error)); /* by GTID it may say so while it passes over others */
        g_assert_false(take(proof, NEW, 13, 77, A ":1-12:14", &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE);
        g_clear_error(&error);
        g_assert_false(take(proof, NEW, 13, 77, NULL, &error));
        g_clear_error(&error);
        g_assert_true(take(proof, NEW, 13, 77, A ":1-13", &error));
        g_assert_cmpuint(proof_next(proof), ==, G_MAXUINT64);

        /* Half a transaction is applied: which one is next there is not known. */
        rows.rows[1].part = 5;
        g_assert_null(proof_new(rows.rows, 3, rows.rows[0].place, 10, NEW, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE);
        g_clear_error(&error);
        g_autoptr(Proof) same = proof_new(rows.rows, 3, rows.rows[0].place, 10, OLD, &error);
        g_assert_no_error(error);
        g_assert_nonnull(same);
        rows.rows[1].part = 0;

        g_autoptr(Place) nowhere = place_new(OLD, "binlog.000007", 4, 104, 1, NULL, NULL);
        g_assert_null(proof_new(rows.rows, 3, nowhere, 10, NEW, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE);
        rows_clear(&rows);
}

static void test_rows_disagree(void) {
        Rows rows;
        g_autoptr(GError) error = NULL;
        rows_init(&rows, (const guint64[]){10, 10, 12});
        place_unref(rows.rows[1].place);
        rows.rows[1].place = place(OLD, 10, 4711);
        g_assert_null(proof_new(rows.rows, 3, rows.rows[0].place, 10, OLD, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_STALE_STATE);
        rows_clear(&rows);
}

/* The sum depends on every event and on their order. */
static void test_fold(void) {
        guint32 ab = proof_fold(proof_fold(0, 1), 2), ba = proof_fold(proof_fold(0, 2), 1), a = proof_fold(0, 1);
        g_assert_cmpuint(ab, !=, ba);
        g_assert_cmpuint(ab, !=, a);
        g_assert_cmpuint(proof_fold(a, 0), !=, a);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/same-server", test_same_server);
        g_test_add_func("/other-server", test_other_server);
        g_test_add_func("/rows-disagree", test_rows_disagree);
        g_test_add_func("/fold", test_fold);
        return g_test_run();
}
