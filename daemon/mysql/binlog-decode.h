/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Binary log events: bytes → structures. Pure: pointers in the results point into the caller's buffer. Every length is
 * checked; what is malformed is PS_ERROR_DATA_MISMATCH and names the event. Formats: engine.md §3.2 and the sources it names. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/gtid.h"

typedef enum BinlogEventType {
        BINLOG_EVENT_QUERY = 2,
        BINLOG_EVENT_STOP = 3,
        BINLOG_EVENT_ROTATE = 4,
        BINLOG_EVENT_INTVAR = 5,
        BINLOG_EVENT_APPEND_BLOCK = 9,
        BINLOG_EVENT_DELETE_FILE = 11,
        BINLOG_EVENT_RAND = 13,
        BINLOG_EVENT_USER_VAR = 14,
        BINLOG_EVENT_FORMAT_DESCRIPTION = 15,
        BINLOG_EVENT_XID = 16,
        BINLOG_EVENT_BEGIN_LOAD_QUERY = 17,
        BINLOG_EVENT_EXECUTE_LOAD_QUERY = 18,
        BINLOG_EVENT_TABLE_MAP = 19,
        BINLOG_EVENT_WRITE_ROWS_V1 = 23,
        BINLOG_EVENT_UPDATE_ROWS_V1 = 24,
        BINLOG_EVENT_DELETE_ROWS_V1 = 25,
        BINLOG_EVENT_INCIDENT = 26,
        BINLOG_EVENT_HEARTBEAT = 27,
        BINLOG_EVENT_IGNORABLE = 28,
        BINLOG_EVENT_ROWS_QUERY = 29,
        BINLOG_EVENT_WRITE_ROWS = 30,
        BINLOG_EVENT_UPDATE_ROWS = 31,
        BINLOG_EVENT_DELETE_ROWS = 32,
        BINLOG_EVENT_GTID = 33,
        BINLOG_EVENT_ANONYMOUS_GTID = 34,
        BINLOG_EVENT_PREVIOUS_GTIDS = 35,
        BINLOG_EVENT_TRANSACTION_CONTEXT = 36,
        BINLOG_EVENT_VIEW_CHANGE = 37,
        BINLOG_EVENT_XA_PREPARE = 38,
        BINLOG_EVENT_PARTIAL_UPDATE_ROWS = 39,
        BINLOG_EVENT_TRANSACTION_PAYLOAD = 40,
        BINLOG_EVENT_HEARTBEAT_V2 = 41,
        BINLOG_EVENT_GTID_TAGGED = 42,
        BINLOG_EVENT_MARIADB_ANNOTATE_ROWS = 160,
        BINLOG_EVENT_MARIADB_BINLOG_CHECKPOINT = 161,
        BINLOG_EVENT_MARIADB_GTID = 162,
        BINLOG_EVENT_MARIADB_GTID_LIST = 163,
        BINLOG_EVENT_MARIADB_START_ENCRYPTION = 164,
        BINLOG_EVENT_MARIADB_QUERY_COMPRESSED = 165,
        BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED_V1 = 166,
        BINLOG_EVENT_MARIADB_UPDATE_ROWS_COMPRESSED_V1 = 167,
        BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED_V1 = 168,
        BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED = 169,
        BINLOG_EVENT_MARIADB_UPDATE_ROWS_COMPRESSED = 170,
        BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED = 171,
} BinlogEventType;

/* "UPDATE_ROWS", "event 77" for one without a name; static storage or a ring is fine, never NULL. */
const char *binlog_event_type_name(unsigned type);

#define BINLOG_HEADER_SIZE 19
#define BINLOG_FLAG_ARTIFICIAL 0x20
#define BINLOG_FLAG_IGNORABLE 0x80

typedef struct BinlogEvent {
        guint32 timestamp; /* s since the epoch, of the statement's start */
        unsigned type;
        guint32 server_id;
        guint32 size;    /* whole event with header and checksum */
        guint32 log_pos; /* end of the event, low 32 bits; 0 in artificial ones */
        guint16 flags;
        const guint8 *body; /* behind the header */
        gsize body_size;    /* without the checksum */
} BinlogEvent;

/* DATA is one event as sent by a dump (without the leading OK byte). WITH_CRC: a CRC32 ends it; it is verified and cut off. */
bool binlog_event_parse(const guint8 *data, gsize size, bool with_crc, BinlogEvent *ret, GError **error);

typedef struct BinlogFormat {
        guint16 version; /* 4 */
        char server_version[51];
        bool with_crc; /* of the events that follow */
} BinlogFormat;
/* DATA/SIZE: the whole event, since this event alone says itself whether it ends in a CRC. */
bool binlog_format_parse(const guint8 *data, gsize size, BinlogFormat *ret, GError **error);

typedef struct BinlogRotate {
        guint64 position;
        char *file; /* owned */
} BinlogRotate;
bool binlog_rotate_parse(const BinlogEvent *event, BinlogRotate *ret, GError **error);

typedef struct BinlogQuery {
        guint32 thread_id;
        guint16 error_code;
        const char *database; /* NUL-terminated in the buffer, "" when none */
        const char *sql;      /* not NUL-terminated */
        gsize sql_length;
        const guint8 *status; /* status variables, see engine.md §5 */
        gsize status_length;
        guint8 *inflated; /* owned: what sql points into for MariaDB's compressed event, else NULL */
} BinlogQuery;
/* Also EXECUTE_LOAD_QUERY, LOAD DATA in statement format. */
bool binlog_query_parse(const BinlogEvent *event, BinlogQuery *ret, GError **error);
/* Only needed where MariaDB's compressed queries are read; harmless otherwise. */
void binlog_query_clear(BinlogQuery *query);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BinlogQuery, binlog_query_clear)

typedef struct BinlogTableMap {
        guint64 table_id;
        char *database, *table; /* owned */
        unsigned n_columns;
        guint8 *types;   /* owned, n_columns; TYPE_STRING already resolved to ENUM (247), SET (248) or STRING (254) */
        guint16 *metas;  /* owned, n_columns; for 254 the length in bytes, for 247/248 the bytes of the number */
        bool last_nullable; /* the last column may be NULL */
} BinlogTableMap;
bool binlog_table_map_parse(const BinlogEvent *event, BinlogTableMap **ret, GError **error);
void binlog_table_map_free(BinlogTableMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BinlogTableMap, binlog_table_map_free)

typedef struct BinlogGtid { /* MySQL's 33, 34 and 42, and MariaDB's 162 */
        bool mariadb;
        guint8 sid[16];   /* MySQL */
        char tag[GTID_TAG_MAX + 1]; /* MySQL 9: "" without one */
        guint64 gno;      /* MySQL: number, 0 for an anonymous one; MariaDB: sequence */
        guint32 domain_id, server_id; /* MariaDB */
        bool standalone;  /* MariaDB FL_STANDALONE: no COMMIT event follows (DDL) */
        bool prepared;    /* MariaDB FL_PREPARED_XA: an XA_PREPARE event ends it */
        bool without_effect; /* MariaDB, binlog_alter_two_phase: an ALTER that begins or was given up; when it is done it is logged again */
} BinlogGtid;
bool binlog_gtid_parse(const BinlogEvent *event, BinlogGtid *ret, GError **error);

#define BINLOG_XID_TEXT 288 /* X'gtrid',X'bqual',format: 128 bytes in hex, a number of 32 bits */

/* XA_PREPARE */
typedef struct BinlogXaPrepare {
        bool one_phase; /* it is the commit at the same time (XA COMMIT … ONE PHASE) */
        char xid[BINLOG_XID_TEXT];
} BinlogXaPrepare;
bool binlog_xa_prepare_parse(const BinlogEvent *event, BinlogXaPrepare *ret, GError **error);
/* What stands behind XA COMMIT and XA ROLLBACK in the log, brought into the same form; false: it is no such thing. */
bool binlog_xid_from_text(const char *text, gsize length, char ret[static BINLOG_XID_TEXT]);

typedef struct BinlogHeartbeat {
        char *file; /* owned */
        guint64 position;
} BinlogHeartbeat;
bool binlog_heartbeat_parse(const BinlogEvent *event, BinlogHeartbeat *ret, GError **error);
