/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* MySQL's TRANSACTION_PAYLOAD (binlog_transaction_compression): one event that holds those of a whole transaction, without their
 * checksums, usually as a zstd stream. They are unpacked one by one, so that a large transaction needs the room of its largest event. */

#include "mysql/binlog-decode.h"

typedef struct BinlogPayload BinlogPayload;

/* EVENT's body has to stay where it is until binlog_payload_free(). */
BinlogPayload *binlog_payload_open(const BinlogEvent *event, GError **error);
void binlog_payload_free(BinlogPayload *payload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BinlogPayload, binlog_payload_free)

/* The next event in it, valid until the next call; *ret_more false and nothing else set: there is none. */
bool binlog_payload_next(BinlogPayload *payload, BinlogEvent *ret, bool *ret_more, GError **error);
