/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sequence of events: two bytes of length, then the event. The checksum is not asked for, for it would hide everything
 * behind it. Row events are read by the last TABLE_MAP, with a schema made to fit it. */

#include <string.h>

#include "mysql/binlog-payload.h"
#include "mysql/binlog-row.h"
#include "mysql/binlog-types.h"
#include "mysql/query-session.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static ColumnKind kind_of(guint8 type) {
        switch (type) {
        case BINLOG_TYPE_NEWDECIMAL:
                return COLUMN_KIND_DECIMAL;
        case BINLOG_TYPE_FLOAT:
                return COLUMN_KIND_FLOAT;
        case BINLOG_TYPE_DOUBLE:
                return COLUMN_KIND_DOUBLE;
        case BINLOG_TYPE_BIT:
                return COLUMN_KIND_BIT;
        case BINLOG_TYPE_YEAR:
                return COLUMN_KIND_YEAR;
        case BINLOG_TYPE_DATE:
        case BINLOG_TYPE_NEWDATE:
                return COLUMN_KIND_DATE;
        case BINLOG_TYPE_TIME:
        case BINLOG_TYPE_TIME2:
                return COLUMN_KIND_TIME;
        case BINLOG_TYPE_DATETIME:
        case BINLOG_TYPE_DATETIME2:
                return COLUMN_KIND_DATETIME;
        case BINLOG_TYPE_TIMESTAMP:
        case BINLOG_TYPE_TIMESTAMP2:
                return COLUMN_KIND_TIMESTAMP;
        case BINLOG_TYPE_ENUM:
                return COLUMN_KIND_ENUM;
        case BINLOG_TYPE_SET:
                return COLUMN_KIND_SET;
        case BINLOG_TYPE_STRING:
                return COLUMN_KIND_BINARY;
        case BINLOG_TYPE_VARCHAR:
                return COLUMN_KIND_TEXT;
        case BINLOG_TYPE_BLOB:
                return COLUMN_KIND_BLOB;
        case BINLOG_TYPE_GEOMETRY:
                return COLUMN_KIND_GEOMETRY;
        case BINLOG_TYPE_JSON:
                return COLUMN_KIND_JSON;
        }
        return COLUMN_KIND_INTEGER;
}

static unsigned int_bytes_of(guint8 type) {
        return type == BINLOG_TYPE_TINY ? 1 : type == BINLOG_TYPE_SHORT ? 2 : type == BINLOG_TYPE_INT24 ? 3 :
                type == BINLOG_TYPE_LONG ? 4 : 8;
}

static void read_rows(const BinlogEvent *event, const BinlogTableMap *map) {
        g_autofree Column *columns = g_new0(Column, map->n_columns);
        g_autoptr(GPtrArray) list = g_ptr_array_new();
        TableSchema table = {.database = map->database, .name = map->table, .columns = list};
        for (unsigned i = 0; i < map->n_columns; i++) {
                guint16 meta = map->metas[i];
                columns[i] = (Column){
                        .name = (char *) "c",
                        .type = (char *) "type",
                        .kind = kind_of(map->types[i]),
                        .int_bytes = int_bytes_of(map->types[i]),
                        .precision = meta & 0xff,
                        .scale = meta >> 8,
                        .fsp = map->types[i] >= BINLOG_TYPE_TIMESTAMP2 && map->types[i] <= BINLOG_TYPE_TIME2 ? meta : 0,
                        .length = map->types[i] == BINLOG_TYPE_BIT ? (meta & 0xff) + 8u * (meta >> 8) : meta,
                };
                g_ptr_array_add(list, &columns[i]);
        }
        BinlogRows rows;
        bool more = true, partial;
        (void) !binlog_rows_partial(event, map, &table, &partial, NULL);
        if (!binlog_rows_begin(&rows, event, map, &table, NULL))
                return;
        RowImage before, after;
        row_image_init(&before, rows.n_columns);
        row_image_init(&after, rows.n_columns);
        for (unsigned n = 0; more && n < 10000 && binlog_rows_next(&rows, &before, &after, &more, NULL); n++)
                for (unsigned i = 0; more && i < rows.n_columns; i++) {
                        const RowImage *image = rows.operation == ROW_OPERATION_DELETE ? &before : &after;
                        g_assert_cmpuint(strlen(row_image_literal(image, i)) + 1, ==,
                                         image->offsets[i + 1] - image->offsets[i]);
                }
        row_image_clear(&before);
        row_image_clear(&after);
        binlog_rows_end(&rows);
}

static void read_event(const guint8 *data, gsize size, BinlogTableMap **map) {
        BinlogEvent event;
        BinlogFormat format;
        BinlogGtid gtid;
        BinlogQuery query;
        BinlogRotate rotate;
        BinlogHeartbeat heartbeat;
        BinlogTableMap *next;

        /* The size field is made right: it guards nothing that is read here. */
        g_autofree guint8 *copy = g_memdup2(data, size);
        for (unsigned i = 0; size >= 13 && i < 4; i++)
                copy[9 + i] = (guint8) (size >> 8 * i);
        (void) !binlog_format_parse(copy, size, &format, NULL);
        (void) !binlog_event_parse(copy, size, /* with_crc= */ true, &event, NULL);
        if (!binlog_event_parse(copy, size, /* with_crc= */ false, &event, NULL))
                return;
        g_assert_nonnull(binlog_event_type_name(event.type));
        if (binlog_row_operation(event.type) != _ROW_OPERATION_INVALID) {
                if (*map)
                        read_rows(&event, *map);
        } else if (event.type == BINLOG_EVENT_TABLE_MAP) {
                if (binlog_table_map_parse(&event, &next, NULL)) {
                        binlog_table_map_free(*map);
                        *map = next;
                }
        } else if (event.type == BINLOG_EVENT_QUERY || event.type == BINLOG_EVENT_EXECUTE_LOAD_QUERY ||
                   event.type == BINLOG_EVENT_MARIADB_QUERY_COMPRESSED) {
                if (binlog_query_parse(&event, &query, NULL)) {
                        QuerySession session;
                        (void) !query_session_parse(&event, &query, &session, NULL);
                        binlog_query_clear(&query);
                }
        } else if (event.type == BINLOG_EVENT_ROTATE) {
                if (binlog_rotate_parse(&event, &rotate, NULL))
                        g_free(rotate.file);
        } else if (event.type == BINLOG_EVENT_HEARTBEAT || event.type == BINLOG_EVENT_HEARTBEAT_V2) {
                if (binlog_heartbeat_parse(&event, &heartbeat, NULL))
                        g_free(heartbeat.file);
        } else if (event.type == BINLOG_EVENT_TRANSACTION_PAYLOAD) {
                g_autoptr(BinlogPayload) payload = binlog_payload_open(&event, NULL);
                bool more = payload != NULL;
                for (unsigned n = 0; more && n < 1000 && binlog_payload_next(payload, &event, &more, NULL); n++)
                        ;
        } else if (event.type == BINLOG_EVENT_XA_PREPARE) {
                BinlogXaPrepare prepare;
                char again[BINLOG_XID_TEXT];
                if (binlog_xa_prepare_parse(&event, &prepare, NULL)) {
                        g_assert_true(binlog_xid_from_text(prepare.xid, strlen(prepare.xid), again));
                        g_assert_cmpstr(prepare.xid, ==, again);
                }
        } else
                (void) !binlog_gtid_parse(&event, &gtid, NULL);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
        g_autoptr(BinlogTableMap) map = NULL;
        const guint8 *end = data + size;

        while (end - data >= 2) {
                gsize length = data[0] | (gsize) data[1] << 8;
                data += 2;
                length = MIN(length, (gsize) (end - data));
                read_event(data, length, &map);
                data += length;
        }
        return 0;
}
