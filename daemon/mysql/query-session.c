/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See query-session.h. Codes and sizes are those of libbinlogevents' statement_events.h and MariaDB's log_event.h. */

#include "mysql/query-session.h"

#include <string.h>

#include "base/error.h"
#include "mysql/bytes.h"

enum {
        Q_FLAGS2 = 0,
        Q_SQL_MODE = 1,
        Q_CATALOG = 2,
        Q_AUTO_INCREMENT = 3,
        Q_CHARSET = 4,
        Q_TIME_ZONE = 5,
        Q_CATALOG_NZ = 6,
        Q_LC_TIME_NAMES = 7,
        Q_CHARSET_DATABASE = 8,
        Q_TABLE_MAP_FOR_UPDATE = 9,
        Q_MASTER_DATA_WRITTEN = 10,
        Q_INVOKER = 11,
        Q_UPDATED_DB_NAMES = 12,
        Q_MICROSECONDS = 13,
        Q_COMMIT_TS = 14,
        Q_COMMIT_TS2 = 15,
        Q_EXPLICIT_DEFAULTS_FOR_TIMESTAMP = 16,
        Q_DDL_LOGGED_WITH_XID = 17,
        Q_DEFAULT_COLLATION_FOR_UTF8MB4 = 18,
        Q_SQL_REQUIRE_PRIMARY_KEY = 19,
        Q_DEFAULT_TABLE_ENCRYPTION = 20,
        Q_MARIADB_HRNOW = 128,
        Q_MARIADB_XID = 129,
        Q_MARIADB_GTID_FLAGS3 = 130,
        Q_MARIADB_CHARACTER_SET_COLLATIONS = 131,
};

#define UPDATED_DB_NAMES_OVER_MAX 254

typedef struct Reader {
        const guint8 *p, *end;
} Reader;

/* N bytes, or NULL when there are not so many. */
static const guint8 *take(Reader *reader, gsize n) {
        if ((gsize) (reader->end - reader->p) < n)
                return NULL;
        const guint8 *p = reader->p;
        reader->p += n;
        return p;
}

/* Bytes behind one that says how many, and TAIL more. */
static const guint8 *take_text(Reader *reader, gsize tail, gsize *ret_length) {
        const guint8 *length = take(reader, 1);
        if (!length)
                return NULL;
        *ret_length = *length;
        return take(reader, *length + tail);
}

static bool skip_names(Reader *reader) {
        const guint8 *count = take(reader, 1);
        if (!count || *count == UPDATED_DB_NAMES_OVER_MAX)
                return count != NULL;
        for (guint i = 0; i < *count; i++) {
                const guint8 *zero = reader->p < reader->end ? memchr(reader->p, 0, (gsize) (reader->end - reader->p)) : NULL;
                if (!zero)
                        return false;
                reader->p = zero + 1;
        }
        return true;
}

static bool take_variable(Reader *reader, guint8 code, QuerySession *session) {
        const guint8 *p;
        gsize length;
        switch (code) {
        case Q_FLAGS2:
                if (!(p = take(reader, 4)))
                        return false;
                session->flags = bytes_le32(p);
                return session->has_flags = true;
        case Q_SQL_MODE:
                if (!(p = take(reader, 8)))
                        return false;
                session->sql_mode = bytes_le64(p);
                return session->has_sql_mode = true;
        case Q_CATALOG:
                return take_text(reader, 1, &length) != NULL;
        case Q_CATALOG_NZ:
                return take_text(reader, 0, &length) != NULL;
        case Q_AUTO_INCREMENT:
                if (!(p = take(reader, 4)))
                        return false;
                session->auto_increment_increment = bytes_le16(p);
                session->auto_increment_offset = bytes_le16(p + 2);
                return true;
        case Q_CHARSET:
                if (!(p = take(reader, 6)))
                        return false;
                session->client = bytes_le16(p);
                session->connection = bytes_le16(p + 2);
                session->server = bytes_le16(p + 4);
                return session->has_charset = true;
        case Q_TIME_ZONE:
                p = take_text(reader, 0, &length);
                if (!p || length >= sizeof session->time_zone || memchr(p, 0, length))
                        return false;
                memcpy(session->time_zone, p, length);
                session->time_zone[length] = '\0';
                return true;
        case Q_CHARSET_DATABASE:
                if (!(p = take(reader, 2)))
                        return false;
                session->database = bytes_le16(p);
                return true;
        case Q_LC_TIME_NAMES:
                return take(reader, 2) != NULL;
        case Q_TABLE_MAP_FOR_UPDATE:
        case Q_COMMIT_TS2:
        case Q_DDL_LOGGED_WITH_XID:
        case Q_MARIADB_XID:
                return take(reader, 8) != NULL;
        case Q_MASTER_DATA_WRITTEN:
        case Q_COMMIT_TS:
                return take(reader, 4) != NULL;
        case Q_INVOKER:
                return take_text(reader, 0, &length) && take_text(reader, 0, &length);
        case Q_UPDATED_DB_NAMES:
                return skip_names(reader);
        case Q_MICROSECONDS:
        case Q_MARIADB_HRNOW:
                if (!(p = take(reader, 3)))
                        return false;
                session->microseconds = (guint32) bytes_le(p, 3);
                return true;
        case Q_EXPLICIT_DEFAULTS_FOR_TIMESTAMP:
                if (!(p = take(reader, 1)))
                        return false;
                session->explicit_timestamp = *p != 0;
                return true;
        case Q_DEFAULT_COLLATION_FOR_UTF8MB4:
                if (!(p = take(reader, 2)))
                        return false;
                session->utf8mb4 = bytes_le16(p);
                return true;
        case Q_SQL_REQUIRE_PRIMARY_KEY:
        case Q_DEFAULT_TABLE_ENCRYPTION:
                return take(reader, 1) != NULL;
        case Q_MARIADB_GTID_FLAGS3: /* FL_COMMIT_ALTER_E1 and FL_ROLLBACK_ALTER_E1 name the ALTER that they end */
                p = take(reader, 1);
                return p && (!(*p & (4 | 8)) || take(reader, 8));
        case Q_MARIADB_CHARACTER_SET_COLLATIONS:
                p = take(reader, 1);
                session->collations = p && *p > 0;
                return p && take(reader, (gsize) *p * 4);
        }
        session->complete = false;
        reader->p = reader->end;
        return true;
}

bool query_session_parse(const BinlogEvent *event, const BinlogQuery *query, QuerySession *ret, GError **error) {
        QuerySession session = {.timestamp = event->timestamp, .thread_id = query->thread_id, .explicit_timestamp = -1, .complete = true};
        Reader reader = {.p = query->status, .end = query->status_length > 0 ? query->status + query->status_length : query->status};
        const guint8 *code;
        while ((code = take(&reader, 1)))
                if (!take_variable(&reader, *code, &session)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "Malformed %s event: status variable %u is longer than its room",
                                    binlog_event_type_name(event->type), *code);
                        return false;
                }
        *ret = session;
        return true;
}
