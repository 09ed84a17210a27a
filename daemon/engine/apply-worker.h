/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One apply worker: a thread, a connection to the downstream and a bounded queue of packets. */

#include "base/thread.h"
#include "engine/change.h"
#include "engine/ledger.h"
#include "mysql/conn.h"

typedef struct ApplyWorker ApplyWorker;

typedef struct ApplyWorkerConfig {
        guint32 number;
        const ConnParams *downstream;
        const Ledger *ledger;
        guint32 leg;
        guint64 epoch;
        const Checkpoint *checkpoint; /* copied */
        bool long_statements;         /* some may read a whole table: no time-out */
        void (*on_progress)(gpointer userdata);
        void (*on_failure)(gpointer userdata, const GError *error);
        gpointer userdata;
} ApplyWorkerConfig;

ApplyWorker *apply_worker_new(const ApplyWorkerConfig *config, GError **error); /* connects */
void apply_worker_free(ApplyWorker *worker);
void apply_worker_run(ApplyWorker *worker);
bool apply_worker_push(ApplyWorker *worker, Packet *packet); /* takes it over; waits for room; false: stopped */
void apply_worker_stop(ApplyWorker *worker); /* asks; makes it fail where it blocks */
void apply_worker_join(ApplyWorker *worker);
guint64 apply_worker_done(ApplyWorker *worker); /* all its changes up to this transaction are committed */
guint64 apply_worker_persisted(ApplyWorker *worker); /* what its checkpoint row says */
guint64 apply_worker_rows(ApplyWorker *worker);
int apply_worker_answered(ApplyWorker *worker); /* the newest `asked` of its packets that the server has answered */
