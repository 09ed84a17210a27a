/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* How a link comes to know the order of text keys, and which of them are equal.
 *
 * A key may be spelled in several ways: under a case-insensitive collation 'a', 'A' and 'a ' are one. Two things rest on that:
 *
 * Which worker gets a change. It must be the same one for all keys that are equal on *either* server. The upstream's equal ones follow each
 * other in its log (DELETE 'a', INSERT 'A'), and the downstream has room for only one of those that are equal there. So the workers are
 * chosen by collation_join() of both. Should it miss something, the counts of the statements say so: nothing is overwritten.
 * Within one worker the spellings need not be known: each has its own life (INSERT … DELETE), one after the other, so folding by the bytes
 * of the key leaves one DELETE of the first spelling and one INSERT of the last, in that order, or an UPDATE when they are the same. An
 * upsert would even be wrong: it does not write key columns.
 *
 * Which chunk a key is in while rows are copied: that is the upstream's order. (Side queue and rows of a chunk are matched by bytes
 * again, for the same reason.)
 *
 * Both have to stay as they were while workers are at different transactions: the ledger keeps digests. */

#include "engine/link.h"
#include "mysql/schema.h"

/* The collations of SCHEMA's key are those of LIKE, the same table on the upstream. */
void link_keys_take_collations(TableSchema *schema, const TableSchema *like);
/* Asks both servers for the weights of the collations in the keys of SCHEMAS. CHECKPOINTS: of the leg, the first N_WORKERS of them
 * workers'. PS_ERROR_STALE_STATE when a server changed its mind since the leg was begun. */
bool link_keys_order(const LinkConfig *config, GArray *checkpoints, guint32 n_workers, const GPtrArray *schemas, Conn *up, Conn *down,
                     GError **error);
