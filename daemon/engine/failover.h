/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The side that takes writes fails over: its primary is gone, and a standby with other log files was promoted, behind another host of the
 * endpoint, a new endpoint, or an address that moved. By GTID it can be proven that it goes on where the old one ended:
 *
 *    our owner row is there (it was replicated), and the server is promoted: writable, replicating from nobody
 *    all that we applied is in it; else the old primary had transactions that the new one lost
 *    all that we have not applied is still in its log
 *
 * The link then goes on behind the GTIDs of its checkpoints (proof.h), under the same numbers. */

#include "engine/engine-private.h"

/* Takes the server behind CONN for SIDE from now on, or says why not. What may change by itself (it is not promoted yet) is an error that is
 * worth another try; BinlogUnavailable and StaleState are not. */
bool failover_accept(Engine *engine, Side side, Conn *conn, GError **error);
/* Where PARAMS names several hosts: leaves only the one that is meant, or else, on the side that takes writes, the one that may be accepted. */
void failover_choose_host(const Engine *engine, Side side, ConnParams *params);
