/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* From the relay log into the downstream, exactly once, by several workers (engine.md §4).
 *
 * The dispatcher reads whole transactions in order and gives each row change to the worker that its key's hash names; the same key always
 * goes to the same worker, which keeps its order. A worker makes one transaction of many changes. It begins with a compare-and-set of the
 * worker's checkpoint row under the epoch, so that rows and checkpoint commit together or not at all, and a stale agent's commit fails.
 * After a restart the dispatcher starts at the oldest checkpoint and passes over what each worker already has. */

#include <stdbool.h>

#include <glib.h>

#include "engine/change.h"
#include "engine/dirty.h"
#include "engine/ledger.h"
#include "engine/relay.h"
#include "mysql/conn.h"

typedef struct Apply Apply;

typedef struct ApplyConfig {
        const ConnParams *downstream;
        const Ledger *ledger;
        const LinkTables *tables;
        Relay *relay;
        guint32 leg;
        guint64 epoch;
        const Checkpoint *checkpoints; /* one per worker, by number */
        guint32 workers;
        const Place *place; /* where the relay begins: … */
        guint64 seq;        /* … behind this transaction, at the oldest checkpoint, or before it */
        const char *server; /* whose log is read: conn_host_uuid() */
        bool mariadb;       /* it is one */
        DirtyKeys *dirty;   /* gets each key that is handed to a worker; NULL: nobody wants to know */
        /* Called on a worker's or the dispatcher's thread. */
        void (*on_progress)(gpointer userdata); /* the low-water mark may have risen */
        void (*on_failure)(gpointer userdata, const GError *error);
        gpointer userdata;
} ApplyConfig;

Apply *apply_new(const ApplyConfig *config, GError **error); /* connects every worker */
void apply_run(Apply *apply);
void apply_stop(Apply *apply); /* ends and joins all threads; what was not committed is lost, as after a crash */
void apply_free(Apply *apply);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Apply, apply_free)

/* Every transaction up to here is committed downstream. */
guint64 apply_low_water(Apply *apply);
guint64 apply_dispatched(const Apply *apply); /* behind apply_stop(): the last whole transaction that was */
/* Every table is copied, and every worker's checkpoint row is behind all of the copy: the chunks need not be known any more. An idle worker's
 * row lags behind its progress, and the events in between were passed over because of the chunks. */
bool apply_all_live(Apply *apply);
guint64 apply_live_seq(Apply *apply); /* behind that: what all of those rows say at least */
/* Asks for checkpoint rows that say SEQ, and waits at most TIMEOUT_USEC until all do. */
bool apply_settle(Apply *apply, guint64 seq, gint64 timeout_usec);
/* Until the low-water mark is at SEQ. PS_ERROR_DEADLINE_EXCEEDED, PS_ERROR_STOPPED. TIMEOUT_USEC < 0: for ever. */
bool apply_wait(Apply *apply, guint64 seq, gint64 timeout_usec, GError **error);
/* Has every worker ask the server for an answer, behind what is in its queue: one that has nothing to write would not notice for seconds that its
 * connection is gone. → what apply_wait_answers() waits for; PS_ERROR_DEADLINE_EXCEEDED, PS_ERROR_STOPPED. */
int apply_ask(Apply *apply);
bool apply_wait_answers(Apply *apply, int asked, gint64 timeout_usec, GError **error);
void apply_counters(Apply *apply, guint64 *ret_transactions, guint64 *ret_rows);
