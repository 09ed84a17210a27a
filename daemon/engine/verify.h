/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Are both sides equal? Chunk checksums while people write, in either direction (engine.md §9). A definite answer for every row: chunks
 * that differ are read by row hash; rows that differ are compared again while the writer's side holds them with a shared lock and the other
 * has applied everything up to there. */

#include "engine/phase.h"
#include "mysql/conn.h"
#include "mysql/schema.h"

typedef struct VerifyInput {
        const ConnParams *upstream, *downstream; /* the writer's side, and the one that receives */
        const GPtrArray *tables;                 /* of TableSchema (the upstream's) */
        volatile gint *stop;                     /* set: end with PS_ERROR_STOPPED */
        guint64 chunk_bytes;                     /* 0 = 4 MiB */
        unsigned lock_wait;                      /* s that a SELECT waits for LOCK TABLES of others (then a retryable error); 0: as the server says */
        /* Waits until everything up to FILE/OFFSET of the upstream's binary log is committed downstream (TIMEOUT_USEC < 0: for ever). */
        bool (*wait_applied)(gpointer userdata, const char *file, guint64 offset, gint64 timeout_usec, GError **error);
        void (*progress)(gpointer userdata, guint64 rows_done, guint64 rows_total); /* may be NULL */
        const struct VerifyPoint *resume; /* where an earlier run was (verify-point.h); NULL: from the beginning */
        void (*reached)(gpointer userdata, struct VerifyPoint *point); /* takes the point over; may be NULL */
        /* Before the upstream reads the next chunk, about BYTES of it: waits as long as the load is too high. May be NULL. */
        bool (*wait_for_room)(gpointer userdata, Conn *upstream, guint64 bytes, GError **error);
        bool repair; /* differing rows are made equal to the upstream's, on the downstream, under the same locks */
        /* Runs a repair's statements in a transaction that is marked as the migration's own. NULL unless repair. */
        bool (*write_marked)(gpointer userdata, Conn *downstream, const char *statements, GError **error);
        /* Begins a transaction that is marked so. NULL unless repair. */
        bool (*begin_marked)(gpointer userdata, Conn *downstream, GError **error);
        gpointer userdata;
} VerifyInput;

typedef struct VerifyResult {
        guint64 tables, rows, chunks;
        guint64 rows_compared_again; /* chunks matched only after a closer look */
        guint64 different;           /* rows; after repair: those that were repaired */
        GPtrArray *differences;      /* of char *: "`db`.`t` key (1,2): missing below" …, at most 1000 */
        double seconds;
} VerifyResult;
void verify_result_clear(VerifyResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VerifyResult, verify_result_clear)

/* true: it ran to its end (look at ->different). */
bool verify_run(const VerifyInput *input, VerifyResult *ret, GError **error);
