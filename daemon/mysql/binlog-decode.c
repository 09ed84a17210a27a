/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binary log events: bytes → structures; see binlog-decode.h. Layouts are those of libbinlogevents and MariaDB's
 * log_event.h, all from version 4 of the format (5.0) on. */

#include "mysql/binlog-decode.h"

#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "mysql/binlog-inflate.h"
#include "mysql/binlog-types.h"
#include "mysql/bytes.h"

#define CRC_SIZE 4

static const struct {
        guint8 type;
        const char *name;
} event_names[] = {
        {BINLOG_EVENT_QUERY, "QUERY"},
        {BINLOG_EVENT_STOP, "STOP"},
        {BINLOG_EVENT_ROTATE, "ROTATE"},
        {BINLOG_EVENT_INTVAR, "INTVAR"},
        {BINLOG_EVENT_APPEND_BLOCK, "APPEND_BLOCK"},
        {BINLOG_EVENT_DELETE_FILE, "DELETE_FILE"},
        {BINLOG_EVENT_RAND, "RAND"},
        {BINLOG_EVENT_USER_VAR, "USER_VAR"},
        {BINLOG_EVENT_FORMAT_DESCRIPTION, "FORMAT_DESCRIPTION"},
        {BINLOG_EVENT_XID, "XID"},
        {BINLOG_EVENT_BEGIN_LOAD_QUERY, "BEGIN_LOAD_QUERY"},
        {BINLOG_EVENT_EXECUTE_LOAD_QUERY, "EXECUTE_LOAD_QUERY"},
        {BINLOG_EVENT_TABLE_MAP, "TABLE_MAP"},
        {BINLOG_EVENT_WRITE_ROWS_V1, "WRITE_ROWS_V1"},
        {BINLOG_EVENT_UPDATE_ROWS_V1, "UPDATE_ROWS_V1"},
        {BINLOG_EVENT_DELETE_ROWS_V1, "DELETE_ROWS_V1"},
        {BINLOG_EVENT_INCIDENT, "INCIDENT"},
        {BINLOG_EVENT_HEARTBEAT, "HEARTBEAT"},
        {BINLOG_EVENT_IGNORABLE, "IGNORABLE"},
        {BINLOG_EVENT_ROWS_QUERY, "ROWS_QUERY"},
        {BINLOG_EVENT_WRITE_ROWS, "WRITE_ROWS"},
        {BINLOG_EVENT_UPDATE_ROWS, "UPDATE_ROWS"},
        {BINLOG_EVENT_DELETE_ROWS, "DELETE_ROWS"},
        {BINLOG_EVENT_GTID, "GTID"},
        {BINLOG_EVENT_ANONYMOUS_GTID, "ANONYMOUS_GTID"},
        {BINLOG_EVENT_PREVIOUS_GTIDS, "PREVIOUS_GTIDS"},
        {BINLOG_EVENT_TRANSACTION_CONTEXT, "TRANSACTION_CONTEXT"},
        {BINLOG_EVENT_VIEW_CHANGE, "VIEW_CHANGE"},
        {BINLOG_EVENT_XA_PREPARE, "XA_PREPARE"},
        {BINLOG_EVENT_PARTIAL_UPDATE_ROWS, "PARTIAL_UPDATE_ROWS"},
        {BINLOG_EVENT_TRANSACTION_PAYLOAD, "TRANSACTION_PAYLOAD"},
        {BINLOG_EVENT_HEARTBEAT_V2, "HEARTBEAT_V2"},
        {BINLOG_EVENT_GTID_TAGGED, "GTID_TAGGED"},
        {BINLOG_EVENT_MARIADB_ANNOTATE_ROWS, "MARIADB_ANNOTATE_ROWS"},
        {BINLOG_EVENT_MARIADB_BINLOG_CHECKPOINT, "MARIADB_BINLOG_CHECKPOINT"},
        {BINLOG_EVENT_MARIADB_GTID, "MARIADB_GTID"},
        {BINLOG_EVENT_MARIADB_GTID_LIST, "MARIADB_GTID_LIST"},
        {BINLOG_EVENT_MARIADB_START_ENCRYPTION, "MARIADB_START_ENCRYPTION"},
        {BINLOG_EVENT_MARIADB_QUERY_COMPRESSED, "MARIADB_QUERY_COMPRESSED"},
        {BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED_V1, "MARIADB_WRITE_ROWS_COMPRESSED_V1"},
        {BINLOG_EVENT_MARIADB_UPDATE_ROWS_COMPRESSED_V1, "MARIADB_UPDATE_ROWS_COMPRESSED_V1"},
        {BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED_V1, "MARIADB_DELETE_ROWS_COMPRESSED_V1"},
        {BINLOG_EVENT_MARIADB_WRITE_ROWS_COMPRESSED, "MARIADB_WRITE_ROWS_COMPRESSED"},
        {BINLOG_EVENT_MARIADB_UPDATE_ROWS_COMPRESSED, "MARIADB_UPDATE_ROWS_COMPRESSED"},
        {BINLOG_EVENT_MARIADB_DELETE_ROWS_COMPRESSED, "MARIADB_DELETE_ROWS_COMPRESSED"},
};

const char *binlog_event_type_name(unsigned type) {
        for (gsize i = 0; i < G_N_ELEMENTS(event_names); i++)
                if (event_names[i].type == type)
                        return event_names[i].name;
        if (type > 255)
                return "impossible event type";
        /* Interned: at most 256 of them. */
        g_autofree char *name = g_strdup_printf("event %u", type);
        return g_intern_string(name);
}

static bool malformed(unsigned type, const char *what, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "Malformed %s event: %s", binlog_event_type_name(type),
                    what);
        return false;
}

static bool check_crc(const guint8 *data, gsize size, unsigned type, GError **error) {
        guint32 expected = bytes_le32(data + size - CRC_SIZE), flags_offset = 17;
        uLong crc = crc32(0, data, (uInt) flags_offset);
        guint8 flags = data[flags_offset];

        /* A log that is being written has LOG_EVENT_BINLOG_IN_USE in the flags of its first event, set after the sum was
         * made. */
        if (type == BINLOG_EVENT_FORMAT_DESCRIPTION)
                flags &= (guint8) ~1u;
        crc = crc32(crc, &flags, 1);
        crc = crc32_z(crc, data + flags_offset + 1, size - CRC_SIZE - flags_offset - 1);
        if (crc != expected)
                return malformed(type, "its checksum is wrong", error);
        return true;
}

bool binlog_event_parse(const guint8 *data, gsize size, bool with_crc, BinlogEvent *ret, GError **error) {
        gsize tail = with_crc ? CRC_SIZE : 0;

        if (size < BINLOG_HEADER_SIZE) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "Malformed binary log event: %" G_GSIZE_FORMAT " bytes are less than a header", size);
                return false;
        }
        unsigned type = data[4];
        if (size < BINLOG_HEADER_SIZE + tail)
                return malformed(type, "it is too short for its checksum", error);
        if (bytes_le32(data + 9) != size)
                return malformed(type, "its size field is not its size", error);
        if (with_crc && !check_crc(data, size, type, error))
                return false;
        *ret = (BinlogEvent){
                .timestamp = bytes_le32(data),
                .type = type,
                .server_id = bytes_le32(data + 5),
                .size = (guint32) size,
                .log_pos = bytes_le32(data + 13),
                .flags = bytes_le16(data + 17),
                .body = data + BINLOG_HEADER_SIZE,
                .body_size = size - BINLOG_HEADER_SIZE - tail,
        };
        return true;
}

/* Servers that know checksums (MySQL 5.6.1, MariaDB 5.3) end this event in the algorithm and room for a sum. */
static bool knows_checksums(const char *version) {
        unsigned part[3] = {0};
        const char *p = version;

        for (int i = 0; i < 3; i++) {
                for (; g_ascii_isdigit(*p); p++)
                        part[i] = MIN(part[i] * 10 + (unsigned) (*p - '0'), 999u);
                if (*p++ != '.')
                        break;
        }
        unsigned number = part[0] * 1000000 + part[1] * 1000 + part[2];
        return number >= (strstr(version, "MariaDB") ? 5003000 : 5006001);
}

bool binlog_format_parse(const guint8 *data, gsize size, BinlogFormat *ret, GError **error) {
        BinlogFormat format = {0};
        BinlogEvent event;

        if (!binlog_event_parse(data, size, /* with_crc= */ false, &event, error))
                return false;
        if (event.type != BINLOG_EVENT_FORMAT_DESCRIPTION)
                return malformed(event.type, "it stands where a FORMAT_DESCRIPTION is expected", error);
        if (event.body_size < 2 + 50 + 4 + 1)
                return malformed(event.type, "it is too short", error);
        format.version = bytes_le16(event.body);
        if (format.version != 4)
                return malformed(event.type, "only version 4 of the format is known", error);
        memcpy(format.server_version, event.body + 2, 50);
        if (event.body[56] != BINLOG_HEADER_SIZE)
                return malformed(event.type, "event headers of another length", error);
        if (knows_checksums(format.server_version)) {
                if (event.body_size < 57 + 1 + CRC_SIZE)
                        return malformed(event.type, "it is too short for the checksum algorithm", error);
                guint8 algorithm = data[size - CRC_SIZE - 1];
                if (algorithm != 0 && algorithm != 1 && algorithm != 255)
                        return malformed(event.type, "unknown checksum algorithm", error);
                format.with_crc = algorithm == 1;
                if (format.with_crc && !check_crc(data, size, event.type, error))
                        return false;
        }
        *ret = format;
        return true;
}

bool binlog_rotate_parse(const BinlogEvent *event, BinlogRotate *ret, GError **error) {
        if (event->body_size <= 8 || event->body_size > 8 + 512)
                return malformed(event->type, "no file name", error);
        const char *name = (const char *) event->body + 8;
        if (memchr(name, '\0', event->body_size - 8))
                return malformed(event->type, "NUL in the file name", error);
        ret->position = bytes_le64(event->body);
        ret->file = g_strndup(name, event->body_size - 8);
        return true;
}

bool binlog_query_parse(const BinlogEvent *event, BinlogQuery *ret, GError **error) {
        BinlogQuery query = {0};

        /* EXECUTE_LOAD_QUERY has the file's number and the places of its name in the statement, and IGNORE or REPLACE, before the rest. */
        gsize head = event->type == BINLOG_EVENT_EXECUTE_LOAD_QUERY ? 13 + 13 : 13;
        if (event->body_size < head) /* an empty body has no address to count from */
                return malformed(event->type, "it is too short", error);
        const guint8 *p = event->body, *end = bytes_end(p, event->body_size);
        query.thread_id = bytes_le32(p);
        gsize database_length = p[8];
        query.error_code = bytes_le16(p + 9);
        query.status_length = bytes_le16(p + 11);
        p += head;
        if ((gsize) (end - p) < query.status_length + database_length + 1)
                return malformed(event->type, "its variables and database are longer than itself", error);
        query.status = p;
        p += query.status_length;
        if (memchr(p, '\0', database_length + 1) != p + database_length)
                return malformed(event->type, "the database's name does not end where it should", error);
        query.database = (const char *) p;
        p += database_length + 1;
        query.sql = (const char *) p;
        query.sql_length = (gsize) (end - p);
        if (event->type == BINLOG_EVENT_MARIADB_QUERY_COMPRESSED) {
                guint8 *inflated = binlog_inflate(p, end, &query.sql_length, error);
                if (!inflated) {
                        g_prefix_error(error, "Malformed %s event: ", binlog_event_type_name(event->type));
                        return false;
                }
                query.sql = (const char *) inflated;
                query.inflated = inflated;
        }
        *ret = query;
        return true;
}

void binlog_query_clear(BinlogQuery *query) {
        g_clear_pointer(&query->inflated, g_free);
}

/* "name\0" behind its length. */
static char *take_name(const guint8 **p, const guint8 *end) {
        if (*p >= end)
                return NULL;
        gsize length = **p;
        if ((gsize) (end - *p) < length + 2 || memchr(*p + 1, '\0', length + 1) != *p + 1 + length)
                return NULL;
        char *name = g_strndup((const char *) *p + 1, length);
        *p += length + 2;
        return name;
}

/* How many bytes of metadata a type has; -1 for a type that is not known. */
static int metadata_size(guint8 type) {
        switch (type) {
        case BINLOG_TYPE_TINY:
        case BINLOG_TYPE_SHORT:
        case BINLOG_TYPE_LONG:
        case BINLOG_TYPE_NULL:
        case BINLOG_TYPE_TIMESTAMP:
        case BINLOG_TYPE_LONGLONG:
        case BINLOG_TYPE_INT24:
        case BINLOG_TYPE_DATE:
        case BINLOG_TYPE_TIME:
        case BINLOG_TYPE_DATETIME:
        case BINLOG_TYPE_YEAR:
        case BINLOG_TYPE_NEWDATE:
                return 0;
        case BINLOG_TYPE_FLOAT:
        case BINLOG_TYPE_DOUBLE:
        case BINLOG_TYPE_TIMESTAMP2:
        case BINLOG_TYPE_DATETIME2:
        case BINLOG_TYPE_TIME2:
        case BINLOG_TYPE_BLOB_COMPRESSED:
        case BINLOG_TYPE_VECTOR:
        case BINLOG_TYPE_JSON:
        case BINLOG_TYPE_BLOB:
        case BINLOG_TYPE_GEOMETRY:
                return 1;
        case BINLOG_TYPE_VARCHAR:
        case BINLOG_TYPE_BIT:
        case BINLOG_TYPE_VARCHAR_COMPRESSED:
        case BINLOG_TYPE_NEWDECIMAL:
        case BINLOG_TYPE_ENUM:
        case BINLOG_TYPE_SET:
        case BINLOG_TYPE_VAR_STRING:
        case BINLOG_TYPE_STRING:
                return 2;
        }
        return -1;
}

/* STRING stands for CHAR, BINARY, ENUM and SET: the first byte is the real type, and where two bits of it are not set as
 * they would be, they are the upper bits of a length above 255 (see Field_string::do_save_field_metadata()). */
static bool resolve_string(const guint8 *meta, guint8 *ret_type, guint16 *ret_meta) {
        guint8 real = meta[0];
        guint16 length = meta[1];

        if ((real & 0x30) != 0x30) {
                length |= (guint16) (((real & 0x30) ^ 0x30) << 4);
                real |= 0x30;
        }
        if (real != BINLOG_TYPE_STRING && real != BINLOG_TYPE_ENUM && real != BINLOG_TYPE_SET)
                return false;
        *ret_type = real;
        *ret_meta = length;
        return true;
}

static bool parse_metadata(BinlogTableMap *map, const guint8 *p, const guint8 *end, GError **error) {
        for (unsigned i = 0; i < map->n_columns; i++) {
                int size = metadata_size(map->types[i]);
                if (size < 0) {
                        /* Nothing is known about what follows: those columns must not be read. The table may be one that
                         * nobody asks for, so this is no error yet. */
                        memset(map->types + i + 1, BINLOG_TYPE_NULL, map->n_columns - i - 1);
                        return true;
                }
                if (end - p < size)
                        return malformed(BINLOG_EVENT_TABLE_MAP, "its metadata is too short", error);
                if (map->types[i] == BINLOG_TYPE_STRING) {
                        if (!resolve_string(p, &map->types[i], &map->metas[i]))
                                return malformed(BINLOG_EVENT_TABLE_MAP, "unknown kind of string", error);
                } else if (map->types[i] == BINLOG_TYPE_ENUM || map->types[i] == BINLOG_TYPE_SET)
                        map->metas[i] = p[1];
                else
                        map->metas[i] = (guint16) bytes_le(p, (unsigned) size);
                p += size;
        }
        if (p != end)
                return malformed(BINLOG_EVENT_TABLE_MAP, "its metadata is too long", error);
        return true;
}

bool binlog_table_map_parse(const BinlogEvent *event, BinlogTableMap **ret, GError **error) {
        g_autoptr(BinlogTableMap) map = g_new0(BinlogTableMap, 1);
        const guint8 *p = event->body, *end = bytes_end(p, event->body_size);
        guint64 n_columns, size;

        if (event->body_size < 8)
                return malformed(event->type, "it is too short", error);
        map->table_id = bytes_le48(p);
        p += 8;
        map->database = take_name(&p, end);
        map->table = map->database ? take_name(&p, end) : NULL;
        if (!map->table)
                return malformed(event->type, "its names do not end where they should", error);
        if (!bytes_lenenc(&p, end, &n_columns) || n_columns == 0 || n_columns > 4096 ||
            n_columns > (guint64) (end - p))
                return malformed(event->type, "impossible number of columns", error);
        map->n_columns = (unsigned) n_columns;
        map->types = g_memdup2(p, map->n_columns);
        map->metas = g_new0(guint16, map->n_columns);
        p += n_columns;
        if (!bytes_lenenc(&p, end, &size) || size > (guint64) (end - p))
                return malformed(event->type, "its metadata is too short", error);
        if (!parse_metadata(map, p, p + size, error))
                return false;
        p += size;
        if ((gsize) (end - p) < (map->n_columns + 7) / 8)
                return malformed(event->type, "its map of NULL columns is too short", error);
        unsigned last = map->n_columns - 1;
        map->last_nullable = p[last / 8] >> last % 8 & 1;
        *ret = g_steal_pointer(&map);
        return true;
}

void binlog_table_map_free(BinlogTableMap *map) {
        if (!map)
                return;
        g_free(map->database);
        g_free(map->table);
        g_free(map->types);
        g_free(map->metas);
        g_free(map);
}

/* Numbers of libs/mysql/serialization: the ones at the low end of the first byte count the bytes that follow. */
static bool take_varint(const guint8 **p, const guint8 *end, guint64 *ret) {
        if (*p >= end)
                return false;
        unsigned more = 0;
        while (more < 8 && (**p >> more) & 1)
                more++;
        if ((gsize) (end - *p) < 1 + more)
                return false;
        guint64 high = more ? bytes_le(*p + 1, more) : 0;
        *ret = more < 7 ? high << (7 - more) | (guint64) (**p >> (more + 1)) : high;
        *p += 1 + more;
        return true;
}

/* A field begins with its number; the ones that are needed are the first ones, in order. */
static bool take_field(const guint8 **p, const guint8 *end, guint64 wanted) {
        const guint8 *at = *p;
        guint64 id;
        if (!take_varint(&at, end, &id) || id != wanted)
                return false;
        *p = at;
        return true;
}

static bool parse_tagged_gtid(const BinlogEvent *event, BinlogGtid *ret, GError **error) {
        const guint8 *p = event->body, *end = bytes_end(p, event->body_size);
        guint64 version, size, last_id, number;
        *ret = (BinlogGtid){0};
        if (!take_varint(&p, end, &version) || version != 1 || !take_varint(&p, end, &size) || size > event->body_size ||
            !take_varint(&p, end, &last_id))
                return malformed(event->type, "its head is not understood", error);
        if (take_field(&p, end, 0) && !take_varint(&p, end, &number)) /* flags */
                return malformed(event->type, "it is too short", error);
        if (!take_field(&p, end, 1))
                return malformed(event->type, "it has no UUID", error);
        for (gsize i = 0; i < sizeof ret->sid; i++) {
                if (!take_varint(&p, end, &number) || number > 255)
                        return malformed(event->type, "its UUID is cut off", error);
                ret->sid[i] = (guint8) number;
        }
        /* Signed: the sign is at the low end. */
        if (!take_field(&p, end, 2) || !take_varint(&p, end, &number) || number & 1)
                return malformed(event->type, "it has no number", error);
        ret->gno = number >> 1;
        if (!take_field(&p, end, 3))
                return true;
        if (!take_varint(&p, end, &number) || number > GTID_TAG_MAX || number > (guint64) (end - p))
                return malformed(event->type, "its tag is cut off", error);
        memcpy(ret->tag, p, number);
        for (guint64 i = 0; i < number; i++)
                if (!g_ascii_islower(ret->tag[i]) && !g_ascii_isdigit(ret->tag[i]) && ret->tag[i] != '_')
                        return malformed(event->type, "its tag is none", error);
        return true;
}

/* What follows MariaDB's flags: 8 bytes with FL_GROUP_COMMIT_ID, an XID with FL_PREPARED_XA or FL_COMPLETED_XA (format, two lengths, data); then
 * further flags, FL_START_ALTER_E1 = 2 and FL_ROLLBACK_ALTER_E1 = 8 among them, or zeros. Read off the logs of 10.11 and 11.8. */
static bool is_alter_without_effect(const BinlogEvent *event) {
        const guint8 *p = event->body;
        gsize at = 13;
        if (p[12] & 2)
                at += 8;
        if (p[12] & (64 | 128))
                return false; /* no statement */
        return at < event->body_size && p[at] & (2 | 8);
}

bool binlog_gtid_parse(const BinlogEvent *event, BinlogGtid *ret, GError **error) {
        const guint8 *p = event->body;

        if (event->type == BINLOG_EVENT_MARIADB_GTID) {
                if (event->body_size < 13)
                        return malformed(event->type, "it is too short", error);
                *ret = (BinlogGtid){
                        .mariadb = true,
                        .gno = bytes_le64(p),
                        .domain_id = bytes_le32(p + 8),
                        .server_id = event->server_id,
                        .standalone = p[12] & 1,
                        .prepared = p[12] & 64,
                        .without_effect = is_alter_without_effect(event),
                };
                return true;
        }
        if (event->type == BINLOG_EVENT_GTID_TAGGED)
                return parse_tagged_gtid(event, ret, error);
        if (event->type != BINLOG_EVENT_GTID && event->type != BINLOG_EVENT_ANONYMOUS_GTID)
                return malformed(event->type, "it is not a GTID that can be read", error);
        if (event->body_size < 25)
                return malformed(event->type, "it is too short", error);
        *ret = (BinlogGtid){.gno = event->type == BINLOG_EVENT_GTID ? bytes_le64(p + 17) : 0};
        memcpy(ret->sid, p + 1, sizeof ret->sid);
        return true;
}

#define XID_PART_MAX 64u

static void print_xid(char ret[static BINLOG_XID_TEXT], const guint8 *gtrid, gsize gtrid_length, const guint8 *bqual,
                      gsize bqual_length, guint32 format) {
        char *p = g_stpcpy(ret, "X'");
        for (gsize i = 0; i < gtrid_length; i++)
                p += g_snprintf(p, 3, "%02x", gtrid[i]);
        p = g_stpcpy(p, "',X'");
        for (gsize i = 0; i < bqual_length; i++)
                p += g_snprintf(p, 3, "%02x", bqual[i]);
        g_snprintf(p, 13, "',%u", format);
}

bool binlog_xa_prepare_parse(const BinlogEvent *event, BinlogXaPrepare *ret, GError **error) {
        const guint8 *p = event->body;
        if (event->body_size < 1 + 3 * 4)
                return malformed(event->type, "it is too short", error);
        guint32 gtrid_length = bytes_le32(p + 5), bqual_length = bytes_le32(p + 9);
        if (gtrid_length > XID_PART_MAX || bqual_length > XID_PART_MAX ||
            event->body_size - 13 < (gsize) gtrid_length + bqual_length)
                return malformed(event->type, "its XID is longer than it can be", error);
        ret->one_phase = p[0] != 0;
        print_xid(ret->xid, p + 13, gtrid_length, p + 13 + gtrid_length, bqual_length, bytes_le32(p + 1));
        return true;
}

static void skip_spaces(const char **p, const char *end) {
        while (*p < end && g_ascii_isspace(**p))
                (*p)++;
}

/* X'hex' */
static bool take_hex(const char **p, const char *end, guint8 ret[static XID_PART_MAX], gsize *ret_length) {
        gsize n = 0;
        skip_spaces(p, end);
        if (end - *p < 3 || (**p != 'X' && **p != 'x') || (*p)[1] != '\'')
                return false;
        for (*p += 2; end - *p >= 2 && g_ascii_isxdigit((*p)[0]) && g_ascii_isxdigit((*p)[1]); *p += 2) {
                if (n == XID_PART_MAX)
                        return false;
                ret[n++] = (guint8) (g_ascii_xdigit_value((*p)[0]) << 4 | g_ascii_xdigit_value((*p)[1]));
        }
        if (*p >= end || **p != '\'')
                return false;
        (*p)++;
        *ret_length = n;
        return true;
}

static bool take_comma(const char **p, const char *end) {
        skip_spaces(p, end);
        return *p < end && *(*p)++ == ',';
}

bool binlog_xid_from_text(const char *text, gsize length, char ret[static BINLOG_XID_TEXT]) {
        const char *p = text, *end = text + length;
        guint8 gtrid[XID_PART_MAX], bqual[XID_PART_MAX];
        gsize gtrid_length, bqual_length;
        if (!take_hex(&p, end, gtrid, &gtrid_length) || !take_comma(&p, end) || !take_hex(&p, end, bqual, &bqual_length) ||
            !take_comma(&p, end))
                return false;
        guint64 format = 0;
        unsigned digits = 0;
        for (skip_spaces(&p, end); p < end && g_ascii_isdigit(*p) && digits < 20; p++, digits++)
                format = format * 10 + (guint64) (*p - '0');
        skip_spaces(&p, end);
        if (digits == 0 || p < end)
                return false;
        /* The event has 32 bits of it, the statement prints it as the server's long. */
        print_xid(ret, gtrid, gtrid_length, bqual, bqual_length, (guint32) format);
        return true;
}

static bool parse_heartbeat_v2(const BinlogEvent *event, BinlogHeartbeat *ret, GError **error) {
        const guint8 *p = event->body, *end = bytes_end(p, event->body_size);
        const guint8 *name = NULL, *position = NULL;
        guint64 name_length = 0, position_length = 0, field, length;

        while (bytes_lenenc(&p, end, &field) && field != 0) {
                if (!bytes_lenenc(&p, end, &length) || length > (guint64) (end - p))
                        return malformed(event->type, "a field is longer than the event", error);
                if (field == 1) {
                        name = p;
                        name_length = length;
                } else if (field == 2) {
                        position = p;
                        position_length = length;
                }
                p += length;
        }
        if (!name || name_length == 0 || name_length > 512 || memchr(name, '\0', name_length))
                return malformed(event->type, "no file name", error);
        if (!position || !bytes_lenenc(&position, position + position_length, &ret->position))
                return malformed(event->type, "no position", error);
        ret->file = g_strndup((const char *) name, name_length);
        return true;
}

bool binlog_heartbeat_parse(const BinlogEvent *event, BinlogHeartbeat *ret, GError **error) {
        if (event->type == BINLOG_EVENT_HEARTBEAT_V2)
                return parse_heartbeat_v2(event, ret, error);
        if (event->body_size == 0 || event->body_size > 512 || memchr(event->body, '\0', event->body_size))
                return malformed(event->type, "no file name", error);
        ret->position = event->log_pos;
        ret->file = g_strndup((const char *) event->body, event->body_size);
        return true;
}
