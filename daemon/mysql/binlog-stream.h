/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A dump connection: the raw events of a server's binary log from a position on. Debian's mariadb_rpl_fetch() cannot read
 * MySQL 5.6, so the dump command is sent and packets are read directly (engine.md §3.1). */

#include "mysql/binlog-decode.h"
#include "mysql/conn.h"
#include "mysql/executed.h"

typedef struct BinlogStream BinlogStream;

typedef struct BinlogStreamParams {
        const ConnParams *server;
        const char *file;    /* start: file name and position (64 bit; above 4 GiB see engine.md §6: starts at 4 and skips) */
        guint64 position;
        const Executed *executed; /* or: behind these transactions, wherever they end. FILE may then say where that is on this very server */
        guint32 server_id;   /* unique among the server's dump connections: a duplicate kills the older one */
        guint64 heartbeat_usec; /* 0 = 1 s */
} BinlogStreamParams;

/* MYSQL_ERROR; 1236 (position purged or impossible) is PS_ERROR_BINLOG_UNAVAILABLE. On MariaDB sets
 * @mariadb_slave_capability=4. Checksums as the server has them; verified. */
BinlogStream *binlog_stream_open(const BinlogStreamParams *params, GError **error);
void binlog_stream_free(BinlogStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BinlogStream, binlog_stream_free)

/* The next event (those of a compressed transaction one by one); blocks, at most for 3 heartbeats + a bit. The event is valid until the next call. FORMAT_DESCRIPTION and
 * ROTATE are returned too after they were taken into account. PS_ERROR_BINLOG_UNAVAILABLE: the log was purged or has no such
 * position. MYSQL_ERROR 2013 when the connection is lost, heartbeats stay away or the server ends the dump: reopen. */
bool binlog_stream_next(BinlogStream *stream, BinlogEvent *ret, GError **error);

/* Where the event that was returned last ends: file name (valid until the next call) and 64-bit position. For artificial
 * events: unchanged (a ROTATE moves to the new file). HEARTBEATs carry a position that is at the end of what was sent. */
const char *binlog_stream_file(const BinlogStream *stream);
guint64 binlog_stream_position(const BinlogStream *stream);
/* The checksum of the event as the server sent it: a compressed transaction is one event. */
guint32 binlog_stream_crc(const BinlogStream *stream);
/* How many events the server has sent: the events of one compressed transaction are one. (The position does not tell: MariaDB 11.8 gives
 * events inside of a transaction none.) */
guint64 binlog_stream_packets(const BinlogStream *stream);
/* Passes over what is left of a compressed transaction. */
void binlog_stream_drop_payload(BinlogStream *stream);
/* What the server said when the log could not be read; "" before. */
const char *binlog_stream_reason(const BinlogStream *stream);
const char *binlog_stream_label(const BinlogStream *stream);
const char *binlog_stream_identity(const BinlogStream *stream); /* conn_host_uuid() */
const Flavor *binlog_stream_flavor(const BinlogStream *stream);
/* Any thread: makes binlog_stream_next() fail now. */
void binlog_stream_abort(BinlogStream *stream);

/* 64-bit positions of events that carry the low half of their end only. The position behind an event of SIZE bytes that comes next (or later:
 * there may be gaps below 4 GiB) and says that it ends at END; false: it cannot. */
bool binlog_position_behind(guint64 position, guint32 end, guint32 size, guint64 *ret);
/* The position that a heartbeat's (of 32 or 64 bits) stands for: not behind POSITION, else POSITION. */
guint64 binlog_position_of_heartbeat(guint64 position, guint64 said);
/* Orders positions of one server: by the number at the end of the file's name, then by offset. */
int binlog_position_compare(const char *file_a, guint64 position_a, const char *file_b, guint64 position_b);
