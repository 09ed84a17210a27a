/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One direction of data at work: the stream, the appliers and, while the destination is not complete, the copy. A link lives from one
 * connection to the servers to the next trouble: when a part fails the whole link is stopped, and a new one goes on from the checkpoints. */

#include <stdbool.h>

#include <glib.h>

#include "engine/dirty.h"
#include "engine/ledger.h"
#include "engine/link-halt.h"
#include "engine/spec.h"
#include "engine/state.h"
#include "engine/throttle.h"
#include "mysql/conn.h"

typedef struct Link Link;

typedef struct LinkConfig {
        const MigrationSpec *spec;
        const Ledger *ledger;
        const ConnParams *upstream, *downstream;
        Throttle *throttle;
        const char *directory; /* for the relay log */
        guint32 server_id;
        guint32 leg;
        guint64 epoch;
        bool copying;
        guint32 copiers;
        const GPtrArray *again; /* tables that are copied again, see again.h; outlives the link */
        const GPtrArray *left_out; /* see StreamConfig; outlives the link */
        DirtyKeys *dirty;          /* see ApplyConfig; outlives the link */
        /* Any thread; must not call back into the link: something happened that is worth looking at. */
        void (*on_change)(gpointer userdata);
        void (*on_table)(gpointer userdata, const char *database, const char *table);
        void (*on_burst)(gpointer userdata, const char *database, const char *table); /* see copy.h */
        void (*on_note)(gpointer userdata, const char *message);
        void (*on_crash)(gpointer userdata, const char *file); /* the upstream crashed: FILE has no proper end */
        gpointer userdata;
} LinkConfig;

/* Connects, reads checkpoints and schemas, starts the threads. */
Link *link_start(const LinkConfig *config, GError **error);
/* Ends and joins everything; what is not committed is lost, as after a crash. */
void link_stop(Link *link);
/* Behind that: the last transaction of which all changes were handed on, and are in `dirty`. */
guint64 link_dispatched(const Link *link);
guint64 link_begin(const Link *link); /* everything behind this one it reads, or reads again */
void link_free(Link *link); /* stops */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Link, link_free)

/* What made the link fail, a copy; NULL: it is well. PS_ERROR_STOPPED for one that has halted. */
GError *link_error(Link *link);
/* Why it stopped on purpose, a copy; NULL: it did not, or something failed beside. */
LinkHalt *link_get_halt(Link *link);
/* Whether all that was read is committed downstream and said by every checkpoint row, within TIMEOUT_USEC. *ret_low_water: how far it was. */
bool link_drained(Link *link, gint64 timeout_usec, guint64 *ret_low_water);
/* Ends reading between two transactions: LINK_HALT_POSITION says where. */
void link_end(Link *link);
bool link_copied(Link *link); /* everything is copied and the low-water mark is behind all of it */
guint64 link_copied_seq(Link *link); /* behind that: which transaction all checkpoints have reached at least */

/* A place in the upstream's binary log, and once it was read there the transaction to wait for: a wait that is cut in slices must not look again how far
 * was read, because with clients writing that is always ahead of what is applied. */
typedef struct LinkTarget {
        const char *file; /* borrowed */
        guint64 offset;
        gint64 link;      /* which one counted; 0: none yet */
        guint64 seq;      /* as it counts */
} LinkTarget;

/* Waits until everything up to TARGET is committed downstream. TIMEOUT_USEC < 0: for ever. Called again, it goes on waiting for the same transaction.
 * PS_ERROR_DEADLINE_EXCEEDED, PS_ERROR_STOPPED (the link failed or was stopped). */
bool link_wait_applied(Link *link, LinkTarget *target, gint64 timeout_usec, GError **error);
/* Whether the downstream answers all who apply, see apply_ask(). */
int link_ask(Link *link);
bool link_wait_answers(Link *link, int asked, gint64 timeout_usec, GError **error);
/* Waits until the canary with VALUE, written on the upstream, went through. */
bool link_wait_canary(Link *link, guint64 value, gint64 timeout_usec, GError **error);

/* How many statements about views, routines, triggers and events were read from the upstream's log. */
/* … but for statements of this connection on the upstream, from now on; 0: none. */
void link_pass_over_programs(Link *link, guint64 connection);
guint64 link_programs_changed(Link *link);

typedef struct LinkStatus {
        double delay; /* s, −1 unknown */
        guint64 rows_copied, bytes_copied, rows_total, bytes_total; /* totals are estimates */
        guint64 transactions, rows_applied;
        guint64 low_water, read; /* ordinals */
        guint64 backlog; /* bytes of relay log */
        bool copied;
} LinkStatus;
void link_get_status(Link *link, LinkStatus *ret);
