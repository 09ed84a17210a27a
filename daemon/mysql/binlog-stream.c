/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dump connection, told in order:
 *
 *  1. The session says what it can take: checksums as the server writes them, heartbeats, a name of its own
 * (a second dump under the same name ends the first one), on MariaDB the events of its own kind.
 *  2. COM_BINLOG_DUMP names file, position (32 bits) and server id; or COM_BINLOG_DUMP_GTID the transactions
 * that are not wanted any more (MariaDB: a variable of the session). From then on the server only sends:
 * packets that begin with 0x00 and hold one event each, an error packet, or an end packet.
 *  3. First comes an artificial ROTATE with the file's name, then the FORMAT_DESCRIPTION of that file, which
 * says whether the events behind it end in a CRC32; then events from the position on.
 *  4. At a file's end a ROTATE names the next one (after a crash only the artificial one does), and 3. starts
 * again.
 *  5. While nothing happens, HEARTBEATs come; when they stay away the read time-out ends the connection.
 *
 * Events carry the position of their end in 32 bits only. The upper half is kept here by adding up: the next
 * position is the first one behind the event whose low half is the event's. (There may be gaps: MariaDB does
 * not send all events.) */

#include "mysql/binlog-stream.h"

#include <errmsg.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "mysql/binlog-payload.h"
#include "mysql/bytes.h"
#include "mysql/conn-private.h"

#define FIRST_POSITION 4u
#define HEARTBEAT_USEC (1000 * 1000u)
#define COM_BINLOG_DUMP_GTID_ 30 /* not in the library's header */
#define GTID_DUMP_FLAGS 4u       /* through GTIDs */

struct BinlogStream {
        Conn *conn;
        char *file;
        guint64 position;
        char *base_file; /* where the transactions that are passed over by their GTIDs end; or NULL */
        guint64 base;
        guint64 wanted; /* events that end here or before are skipped: the start lies above what the command
                           can say */
        bool with_crc;
        guint32 crc;
        guint64 packets;
        char *reason;
        BinlogPayload *payload; /* a compressed transaction whose events are being handed out; they all end where it does */
};

/* ---- opening */

static bool set_session(BinlogStream *stream, guint64 heartbeat_usec, GError **error) {
        guint64 period = heartbeat_usec * 1000;
        g_autofree char *uuid = g_uuid_string_random();
        /* MySQL renamed them, and looks for either name depending on its version. */
        return conn_execf(stream->conn, error,
                          "SET @master_binlog_checksum=@@global.binlog_checksum, "
                          "@source_binlog_checksum=@@global.binlog_checksum, "
                          "@master_heartbeat_period=%" G_GUINT64_FORMAT
                          ", @source_heartbeat_period=%" G_GUINT64_FORMAT
                          ", @slave_uuid='%s', @replica_uuid='%s'",
                          period, period, uuid, uuid) &&
               (!conn_flavor(stream->conn)->mariadb ||
                conn_exec(stream->conn, "SET @mariadb_slave_capability=4", -1, NULL, error));
}

static void put_le(GByteArray *buffer, guint32 value, unsigned bytes) {
        for (unsigned i = 0; i < bytes; i++) {
                guint8 byte = (guint8)(value >> (8 * i));
                g_byte_array_append(buffer, &byte, 1);
        }
}

static bool send_command(BinlogStream *stream, int command, const GByteArray *body, GError **error) {
        MYSQL *mysql = conn_handle(stream->conn);
        if (mysql->methods->db_command(mysql, (enum enum_server_command)command, (const char *)body->data, body->len, 1,
                                       NULL) != 0)
                return conn_fail(stream->conn, error);
        return true;
}

/* flags, server, no file name, position; then the set with its length. */
static bool send_dump_gtid(BinlogStream *stream, guint32 server_id, const Executed *executed, GError **error) {
        g_autoptr(GByteArray) command = g_byte_array_new(), set = executed_encode(executed);
        if (!set) {
                g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE, "%s: no GTIDs are known to go on from", conn_label(stream->conn));
                return false;
        }
        put_le(command, GTID_DUMP_FLAGS, 2);
        put_le(command, server_id, 4);
        put_le(command, 0, 4);
        put_le(command, FIRST_POSITION, 4);
        put_le(command, 0, 4);
        put_le(command, set->len, 4);
        g_byte_array_append(command, set->data, set->len);
        return send_command(stream, COM_BINLOG_DUMP_GTID_, command, error);
}

static bool send_dump(BinlogStream *stream, guint32 server_id, GError **error) {
        g_autoptr(GByteArray) command = g_byte_array_new();
        put_le(command, (guint32)stream->position, 4);
        put_le(command, 0, 2); /* flags: wait for more at the end */
        put_le(command, server_id, 4);
        g_byte_array_append(command, (const guint8 *)stream->file, (guint)strlen(stream->file));
        return send_command(stream, COM_BINLOG_DUMP, command, error);
}

/* MariaDB takes the position as a variable, and a file without a name. */
static bool set_connect_state(BinlogStream *stream, const Executed *executed, GError **error) {
        g_autofree char *text = executed_to_string(executed);
        return conn_execf(stream->conn, error, "SET @slave_connect_state='%s', @slave_gtid_strict_mode=0, @slave_gtid_ignore_duplicates=0",
                          text ? text : "");
}

static bool request(BinlogStream *stream, const BinlogStreamParams *params, GError **error) {
        if (!params->executed)
                return send_dump(stream, params->server_id, error);
        if (!conn_flavor(stream->conn)->mariadb)
                return send_dump_gtid(stream, params->server_id, params->executed, error);
        return set_connect_state(stream, params->executed, error) && send_dump(stream, params->server_id, error);
}

BinlogStream *binlog_stream_open(const BinlogStreamParams *params, GError **error) {
        guint64 heartbeat = params->heartbeat_usec > 0 ? params->heartbeat_usec : HEARTBEAT_USEC;
        unsigned timeout = (unsigned)MIN((3 * heartbeat + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC + 2, 3600);
        g_autoptr(BinlogStream) stream = g_new0(BinlogStream, 1);
        stream->file = g_strdup(params->executed ? "" : params->file);
        stream->position = params->executed ? FIRST_POSITION : MAX(params->position, FIRST_POSITION);
        if (params->executed && params->file) {
                stream->base_file = g_strdup(params->file);
                stream->base = params->position;
        }
        if (stream->position > G_MAXUINT32) {
                stream->wanted = stream->position;
                stream->position = FIRST_POSITION;
        }
        stream->conn = conn_open_with_timeout(params->server, 0, timeout, error);
        if (!stream->conn || !set_session(stream, heartbeat, error) ||
            !request(stream, params, error))
                return NULL;
        return g_steal_pointer(&stream);
}

void binlog_stream_free(BinlogStream *stream) {
        if (!stream)
                return;
        binlog_payload_free(stream->payload);
        conn_free(stream->conn);
        g_free(stream->file);
        g_free(stream->base_file);
        g_free(stream->reason);
        g_free(stream);
}

void binlog_stream_abort(BinlogStream *stream) {
        conn_abort(stream->conn);
}

const char *binlog_stream_file(const BinlogStream *stream) {
        return stream->file;
}

guint64 binlog_stream_position(const BinlogStream *stream) {
        return stream->position;
}

guint32 binlog_stream_crc(const BinlogStream *stream) {
        return stream->crc;
}

guint64 binlog_stream_packets(const BinlogStream *stream) {
        return stream->packets;
}

void binlog_stream_drop_payload(BinlogStream *stream) {
        g_clear_pointer(&stream->payload, binlog_payload_free);
}

const char *binlog_stream_reason(const BinlogStream *stream) {
        return stream->reason ? stream->reason : "";
}

const char *binlog_stream_label(const BinlogStream *stream) {
        return conn_label(stream->conn);
}

const char *binlog_stream_identity(const BinlogStream *stream) {
        return conn_host_uuid(stream->conn);
}

const Flavor *binlog_stream_flavor(const BinlogStream *stream) {
        return conn_flavor(stream->conn);
}

/* ---- packets */

static bool set_unavailable(BinlogStream *stream, const char *text, GError **error) {
        g_free(stream->reason);
        stream->reason = g_strndup(text, strcspn(text, ";")); /* behind it MySQL repeats the position twice */
        g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                    "%s: The binary log cannot be read from %s, position %" G_GUINT64_FORMAT
                    ": %s. If it was purged, start the migration anew and let the server keep its binary "
                    "logs for longer "
                    "(expire_logs_days)",
                    conn_label(stream->conn), stream->file, MAX(stream->position, stream->wanted), stream->reason);
        return false;
}

static bool read_failed(BinlogStream *stream, GError **error) {
        MYSQL *mysql = conn_handle(stream->conn);
        /* 1236 also says that somebody else dumps under our name, which is no loss: trying again is right
         * then. */
        if (!conn_is_aborted(stream->conn) && mysql_errno(mysql) == 1236 &&
            !strstr(mysql_error(mysql), "same server")) {
                g_autofree char *text = g_utf8_make_valid(mysql_error(mysql), -1);
                return set_unavailable(stream, text, error);
        }
        return conn_fail(stream->conn, error);
}

/* One packet's event; *ret_data is valid until the next packet. */
static bool read_packet(BinlogStream *stream, const guint8 **ret_data, gsize *ret_size, GError **error) {
        MYSQL *mysql = conn_handle(stream->conn);
        if (conn_is_aborted(stream->conn))
                return conn_fail(stream->conn, error);
        unsigned long size = mysql_net_read_packet(mysql);
        if (size == packet_error)
                return read_failed(stream, error);
        const guint8 *packet = mysql->net.read_pos;
        if (size > 0 && size < 9 && packet[0] == 0xfe) {
                /* A server that shuts down, or an administrator who killed the dump. What comes after a
                 * reconnection says whether anything is lost. */
                g_set_error(error, MYSQL_ERROR, CR_SERVER_LOST,
                            "%s: The server ended the binary log dump (%d, HY000)", conn_label(stream->conn),
                            CR_SERVER_LOST);
                conn_abort(stream->conn);
                return false;
        }
        if (size < 1 + BINLOG_HEADER_SIZE || packet[0] != 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%s: Not an event behind position %" G_GUINT64_FORMAT
                            " of %s: a packet of %lu bytes",
                            conn_label(stream->conn), stream->position, stream->file, size);
                return false;
        }
        *ret_data = packet + 1;
        *ret_size = size - 1;
        return true;
}

/* ---- events */

/* Artificial ROTATEs and HEARTBEATs are made when they are sent: whether they end in a CRC depends on what
 * the session asked for and on the server's version, not on the file. A CRC that fits says that it is one. */
static bool parse_either(BinlogStream *stream, const guint8 *data, gsize size, BinlogEvent *ret,
                         GError **error) {
        if (binlog_event_parse(data, size, true, ret, NULL))
                return true;
        return binlog_event_parse(data, size, false, ret, error);
}

static bool parse(BinlogStream *stream, const guint8 *data, gsize size, BinlogEvent *ret, GError **error) {
        unsigned type = data[4];
        guint16 flags = (guint16)(data[17] | data[18] << 8);
        if (type == BINLOG_EVENT_FORMAT_DESCRIPTION) {
                BinlogFormat format;
                if (!binlog_format_parse(data, size, &format, error))
                        return false;
                stream->with_crc = format.with_crc;
                return binlog_event_parse(data, size, format.with_crc, ret, error);
        }
        if (type == BINLOG_EVENT_HEARTBEAT || type == BINLOG_EVENT_HEARTBEAT_V2 ||
            (type == BINLOG_EVENT_ROTATE && flags & BINLOG_FLAG_ARTIFICIAL))
                return parse_either(stream, data, size, ret, error);
        return binlog_event_parse(data, size, stream->with_crc, ret, error);
}

static bool take_rotate(BinlogStream *stream, const BinlogEvent *event, GError **error) {
        BinlogRotate rotate;
        if (!binlog_rotate_parse(event, &rotate, error))
                return false;
        bool same = g_str_equal(rotate.file, stream->file);
        g_free(stream->file);
        stream->file = rotate.file;
        stream->position = rotate.position;
        if (!same && stream->wanted > 0)
                return set_unavailable(stream, "the file ends before that position", error);
        return true;
}

/* On the way to what comes behind the base. */
static bool in_base_file(const BinlogStream *stream) {
        return stream->base_file && g_str_equal(stream->file, stream->base_file);
}

static bool take_heartbeat(BinlogStream *stream, const BinlogEvent *event, GError **error) {
        BinlogHeartbeat heartbeat;
        if (!binlog_heartbeat_parse(event, &heartbeat, error))
                return false;
        if (in_base_file(stream)) /* it may tell of what is passed over, in 32 bits */
                stream->position = stream->base;
        else if (g_str_equal(heartbeat.file, stream->file))
                stream->position = binlog_position_of_heartbeat(stream->position, heartbeat.position);
        g_free(heartbeat.file);
        return true;
}

/* Moves the position to the event's end. */
static bool advance(BinlogStream *stream, const BinlogEvent *event, GError **error) {
        if (event->type == BINLOG_EVENT_ROTATE)
                return take_rotate(stream, event, error);
        if (event->type == BINLOG_EVENT_HEARTBEAT || event->type == BINLOG_EVENT_HEARTBEAT_V2)
                return take_heartbeat(stream, event, error);
        if (event->log_pos == 0 || event->flags & BINLOG_FLAG_ARTIFICIAL)
                return true;
        /* The head of the file is sent whatever the start was; it counts only when the start was the head. */
        if (event->type == BINLOG_EVENT_FORMAT_DESCRIPTION && stream->position > FIRST_POSITION)
                return true;
        /* Events have the low half of their position only. What is sent of this file begins where we were, or in its head. */
        if (in_base_file(stream) && event->type != BINLOG_EVENT_FORMAT_DESCRIPTION &&
            event->type != BINLOG_EVENT_PREVIOUS_GTIDS && event->type != BINLOG_EVENT_MARIADB_GTID_LIST) {
                stream->position = stream->base;
                g_clear_pointer(&stream->base_file, g_free);
        }
        if (!binlog_position_behind(stream->position, event->log_pos, event->size, &stream->position)) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%s: A %s event of %u bytes behind position %" G_GUINT64_FORMAT
                            " of %s says that it ends at %u",
                            conn_label(stream->conn), binlog_event_type_name(event->type), event->size,
                            stream->position, stream->file, event->log_pos);
                return false;
        }
        return true;
}

bool binlog_stream_next(BinlogStream *stream, BinlogEvent *ret, GError **error) {
        for (;;) {
                if (stream->payload) {
                        bool more;
                        if (!binlog_payload_next(stream->payload, ret, &more, error))
                                return false;
                        if (more)
                                return true;
                        g_clear_pointer(&stream->payload, binlog_payload_free);
                }
                const guint8 *data = NULL;
                gsize size = 0;
                BinlogEvent event;
                if (!read_packet(stream, &data, &size, error) || !parse(stream, data, size, &event, error) ||
                    !advance(stream, &event, error))
                        return false;
                stream->packets++;
                stream->crc = stream->with_crc ? bytes_le32(data + size - 4) : (guint32)crc32_z(0, data, size);
                bool skipped = stream->wanted > 0 && event.type != BINLOG_EVENT_ROTATE &&
                               event.type != BINLOG_EVENT_FORMAT_DESCRIPTION;
                if (!skipped && event.type == BINLOG_EVENT_TRANSACTION_PAYLOAD) {
                        stream->payload = binlog_payload_open(&event, error);
                        if (!stream->payload)
                                return false;
                        continue;
                }
                if (!skipped) {
                        *ret = event;
                        return true;
                }
                if (stream->position > stream->wanted)
                        return set_unavailable(stream, "no event begins at that position", error);
                if (stream->position == stream->wanted)
                        stream->wanted = 0;
                else if (event.type == BINLOG_EVENT_HEARTBEAT || event.type == BINLOG_EVENT_HEARTBEAT_V2)
                        return set_unavailable(stream, "the file ends before that position", error);
        }
}

/* ---- positions */

bool binlog_position_behind(guint64 position, guint32 end, guint32 size, guint64 *ret) {
        guint32 step = end - (guint32)position;
        if (step < size)
                return false;
        *ret = position + step;
        return true;
}

guint64 binlog_position_of_heartbeat(guint64 position, guint64 said) {
        /* The old form has the low half only. What it is ahead by was not sent on purpose. */
        if (said <= G_MAXUINT32)
                said = position + (guint32)((guint32)said - (guint32)position);
        return said > position && said - position <= G_MAXINT32 ? said : position;
}

static guint64 file_number(const char *file) {
        const char *dot = strrchr(file, '.');
        return dot ? g_ascii_strtoull(dot + 1, NULL, 10) : 0;
}

int binlog_position_compare(const char *file_a, guint64 position_a, const char *file_b, guint64 position_b) {
        guint64 a = file_number(file_a), b = file_number(file_b);
        if (a != b)
                return a < b ? -1 : 1;
        return position_a < position_b ? -1 : position_a > position_b;
}
