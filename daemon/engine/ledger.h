/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Our own tables in the database `polarshift` on both servers: who owns what (owner), how far each worker is (ckpt),
 * which chunks are copied (chunk), heartbeats and watermarks (wm), the canary. Per-task names, so that a TABLE_MAP alone tells whose
 * transaction it is: every transaction that we write has one of these as its first row event (engine.md §7). */

#include <stdbool.h>

#include <glib.h>

#include "engine/phase.h"
#include "engine/place.h"
#include "engine/state.h"
#include "mysql/conn.h"

#define LEDGER_DATABASE "polarshift"

/* Rows of ckpt with a number from here on belong to copiers and to repair, not to apply workers. */
#define LEDGER_COPIER_BASE 1000
#define LEDGER_REPAIR_SLOT 2000
/* From here on they are no checkpoints: FILE names a collation, SEQ is its digest (ledger_keep_collation()). */
#define LEDGER_COLLATION_BASE 100000

/* The rows of canary: the canary itself, and the number of the connection that runs a statement for us. */
#define LEDGER_CANARY 1
#define LEDGER_CANARY_STATEMENT 2

typedef struct Ledger {
        char *uuid;
        char *checkpoint; /* `polarshift`.`ckpt_TASK`, quoted, and so on */
        char *chunk;
        char *watermark;
        char *canary;
        char *fence;  /* what a fence has closed, see fence-record.h */
        char *intent; /* statements that are carried, see ddl-carry.h */
        char *checkpoint_name, *watermark_name, *canary_name, *intent_name; /* unquoted, as a TABLE_MAP has them */
        char *task; /* 16 hex digits of the uuid */
} Ledger;

Ledger *ledger_new(const char *uuid);
void ledger_free(Ledger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ledger, ledger_free)

/* Makes what is missing on one server. */
bool ledger_create(const Ledger *ledger, Conn *conn, GError **error);
/* Drops our tables, our owner row, and the database when no owner row is left. Under GET_LOCK (control.h). */
bool ledger_drop(const Ledger *ledger, Conn *conn, GError **error);

/* The owner row of a side. */
typedef struct OwnerRow {
        bool present;
        guint64 agent, epoch;
        Side writer;
        char phase[32], step[32];
} OwnerRow;
bool ledger_read_owner(const Ledger *ledger, Conn *conn, OwnerRow *ret, GError **error);
/* PHASE and STEP are informative; WRITER and EPOCH are the truth. Commits. */
bool ledger_write_owner(const Ledger *ledger, Conn *conn, guint64 agent, guint64 epoch, Side writer, const char *phase,
                        const char *step, GError **error);

/* The checkpoint of one worker: all transactions up to SEQ are applied, and PART changes of the next one. */
typedef struct Checkpoint {
        guint32 worker;
        guint64 seq, part;
        Place *place; /* where transaction SEQ ends on the upstream. A copier's: the newest transaction that its chunks hold */
        /* A transaction that was prepared by XA PREPARE behind transaction HOLD_SEQ was still open then: reading has to begin there. */
        guint64 hold_seq, hold_offset;
        char *hold_file; /* "": none was open */
} Checkpoint;
void checkpoint_clear(Checkpoint *checkpoint); /* frees what it holds */

/* Rows for WORKERS workers, COPIERS copiers and repair of a leg, at ordinal 0; rows that exist are left alone: ledger_forget_leg() first
 * where an earlier try may have left some. */
bool ledger_begin_leg(const Ledger *ledger, Conn *conn, guint32 leg, guint32 workers, guint32 copiers, guint64 epoch,
                      GError **error);
bool ledger_forget_leg(const Ledger *ledger, Conn *conn, guint32 leg, GError **error);
/* Sets where ordinal 0 is, in the log of the server SERVER, for rows that do not know yet. */
bool ledger_set_leg_start(const Ledger *ledger, Conn *conn, guint32 leg, const char *server, const BinlogPosition *start, GError **error);
/* Of the workers and the copiers of a leg, by number; → GArray of Checkpoint (with clear function). */
GArray *ledger_load_checkpoints(const Ledger *ledger, Conn *conn, guint32 leg, GError **error);
/* The last statement of a leg that is to be passed over because it is done, and one that is not (0: none). */
bool ledger_read_intents(const Ledger *ledger, Conn *conn, guint32 leg, guint64 *ret_done, guint64 *ret_open, GError **error);
/* Which keys are equal, and so which worker a change belongs to, rests on the weights of collations: the same ones for as long as workers
 * are not all at the same transaction. Remembers the digest of COLLATION for a leg whose rows are CHECKPOINTS (which it adds to); another one
 * than before is PS_ERROR_STALE_STATE unless CHANGEABLE. */
bool ledger_keep_collation(const Ledger *ledger, Conn *conn, guint32 leg, guint64 epoch, GArray *checkpoints, const char *collation,
                           guint64 digest, bool changeable, GError **error);
/* Waits for transactions of orphaned sessions, and makes a stale agent's next commit fail. */
bool ledger_raise_epoch(const Ledger *ledger, Conn *conn, guint64 epoch, GError **error);
