/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Proves, each time that a link begins, that the upstream's log is still the one that the checkpoints were made of (life-cycle.md, 'When a
 * server is not what it was'). A source that crashed without sync_binlog=1 can lose the end of its log and write other transactions
 * there, under the same positions and GTIDs; set inclusion does not notice.
 *
 *   1. The transaction at the oldest checkpoint is read again, and its bytes are compared (proof_read_again()).
 *   2. What is newer in other rows (a worker that is ahead, the newest transaction in a copied chunk) is a mark. When the reader comes to
 *      the transaction of that number it must be that transaction; until the last mark is passed nothing is handed to the appliers.
 *   3. When the log ends before a mark, what was there is lost.
 *
 * On another server, after a fail-over, places in files mean nothing: there the GTIDs of all transactions up to a mark must be the same,
 * which they are whenever the new server committed in the same order.
 *
 * Everything that does not hold is PS_ERROR_BINLOG_UNAVAILABLE and names the transaction. Belongs to the reader's thread. */

#include <stdbool.h>

#include <glib.h>

#include "engine/ledger.h"
#include "mysql/binlog-stream.h"

typedef struct Proof Proof;

/* ROWS: the workers' and copiers' checkpoints. Reading begins at BEGIN, behind transaction SEQ. SERVER: whose log will be read. Fails where
 * nothing can prove it. */
Proof *proof_new(const Checkpoint *rows, guint n, const Place *begin, guint64 seq, const char *server, GError **error);
void proof_free(Proof *proof);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proof, proof_free)

/* The dump has to begin behind BEGIN's GTIDs, not at a place in a file: that was another server's. */
bool proof_by_gtids(const Proof *proof);
/* The sum of one more event of a transaction. */
guint32 proof_fold(guint32 crc, guint32 event_crc);
/* Reads PLACE's transaction from DUMP, which begins at PLACE's start, and stops behind it. */
bool proof_read_again(BinlogStream *dump, const Place *place, GError **error);
/* Transaction SEQ, which ends at PLACE (with EXECUTED up to it), was read whole. *ret_gtids: what a checkpoint says of the GTIDs up to it, if one
 * does (valid as long as PROOF); else left alone. */
bool proof_take(Proof *proof, guint64 seq, const Place *place, const Executed *executed, const char **ret_gtids, GError **error);
/* The log ends behind transaction SEQ. */
bool proof_take_end(const Proof *proof, guint64 seq, GError **error);
/* The next transaction whose place is wanted; G_MAXUINT64: everything is proven. */
guint64 proof_next(const Proof *proof);
