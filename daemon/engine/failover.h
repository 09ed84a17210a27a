/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A side fails over: its primary is gone, and a standby with other log files was promoted, behind another host of the endpoint, a new
 * endpoint, or an address that moved. Our owner row is there (it was replicated), and the server is promoted: it replicates from nobody.
 *
 * The side that takes writes. By GTID it can be proven that it goes on where the old one ended:
 *    all that we applied is in it; else the old primary had transactions that the new one lost
 *    all that we have not applied is still in its log
 * The link then goes on behind the GTIDs of its checkpoints (proof.h), under the same numbers.
 *
 * The other side. What it lost of its end is sent again from its own checkpoints; only what is not sent again has to be there: the copy, and
 * what it was written to while it took writes. It is closed before anything else, and compared as a whole.
 *
 * In the middle of a switch a side that is lost makes it be undone, except at the commit point, where the owner row on the standby decides. */

#include "engine/engine-private.h"

/* Takes the server behind CONN for SIDE from now on, or says why not. What may change by itself (it is not promoted yet) is an error that is
 * worth another try; BinlogUnavailable and StaleState are not. */
bool failover_accept(Engine *engine, Side side, Conn *conn, GError **error);
/* Where PARAMS names several hosts: leaves only the one that is meant, or else the first that may be accepted. */
void failover_choose_host(const Engine *engine, Side side, ConnParams *params);
