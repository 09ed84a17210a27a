/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The connection on which a side is fenced, opened and owned. It holds GET_LOCK on the migration, so that no second agent does the same,
 * and has read the owner row: an epoch above ours means that our state is stale (life-cycle.md, 'Who owns what'). */

#include "engine/engine-private.h"

/* A live connection with the lock, or PS_ERROR_STALE_STATE, or the server's error in the contract's names. */
Conn *control_acquire(Engine *engine, Side side, GError **error);
/* The same for side WANTED, and for the other one when BOTH, into CONNS. */
bool control_acquire_sides(Engine *engine, Side wanted, bool both, Conn *conns[_SIDE_MAX], GError **error);
/* Closes it, which releases the lock. */
void control_release(Engine *engine, Side side);
void control_feed(Engine *engine); /* keeps them from being ended by their servers; between statements */
/* Until control_unlimit() SIDE is not waited for beyond UNTIL (monotonic), nor behind control_abort(): somebody else waits for what comes then. */
void control_limit(Engine *engine, Side side, gint64 until);
void control_unlimit(Engine *engine, Side side);
void control_abort(Engine *engine, Side side); /* any thread, while there is a limit: what it waits for ends with an error, and nothing new is begun */
/* How long what CONN asks for waits for locks of others, in s; 0: as long as the server has it. What people wait for must not wait behind a lock. */
bool control_wait_for_locks(Conn *conn, unsigned seconds, GError **error);
/* Writes the owner row on SIDE: WRITER and EPOCH are the truth that recovery reads. */
bool control_own(Engine *engine, Side side, Side writer, guint64 epoch, const char *step, GError **error);
