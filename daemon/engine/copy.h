/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The full copy: several copiers, each with a connection to either side, take chunks (chunk.h) until every table is covered. It goes
 * on beside the stream, is resumable chunk by chunk, and what it commits is exact: strict INSERTs, nothing ignored. */

#include <stdbool.h>

#include <glib.h>

#include "engine/apply.h"
#include "engine/ledger.h"
#include "engine/link-table.h"
#include "engine/stream.h"
#include "engine/throttle.h"

typedef struct Copy Copy;

typedef struct CopyConfig {
        const ConnParams *upstream, *downstream;
        const Ledger *ledger;
        LinkTables *tables;
        Stream *stream;
        Apply *apply;
        Throttle *throttle;
        guint32 leg;
        guint64 epoch;
        const Checkpoint *checkpoints; /* one per copier */
        guint32 copiers;
        void (*on_table)(gpointer userdata, const LinkTable *table); /* a table is copied */
        void (*on_burst)(gpointer userdata, const LinkTable *table); /* the rest of it is copied whatever the rate is, see copy.c */
        void (*on_done)(gpointer userdata);                          /* all are */
        void (*on_failure)(gpointer userdata, const GError *error);
        gpointer userdata;
} CopyConfig;

/* Reads which chunks are done into the tables' chunk maps; *ret_rows and *ret_bytes: what they hold. COPYING: all tables are copied; else some
 * again, and only they have chunk maps. DONE_SEQ: the oldest checkpoint's. */
bool copy_load(const Ledger *ledger, Conn *downstream, LinkTables *tables, bool copying, guint64 done_seq, guint64 *ret_rows,
               guint64 *ret_bytes, GError **error);

Copy *copy_new(const CopyConfig *config, GError **error); /* connects */
void copy_run(Copy *copy);
void copy_stop(Copy *copy);
void copy_free(Copy *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Copy, copy_free)
void copy_counters(Copy *copy, guint64 *ret_rows, guint64 *ret_bytes); /* of this run */
