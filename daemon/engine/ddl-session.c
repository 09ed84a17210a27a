/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl-session.h. */

#include "engine/ddl-session.h"

#include <string.h>

#include "base/error.h"
#include "engine/objects.h"
#include "mysql/sql.h"

#define FLAG_MARIADB_EXPLICIT_TIMESTAMP (1u << 12)
#define COLLATION_UTF8MB4_GENERAL 45

bool ddl_upstream_read(Conn *upstream, DdlUpstream *ret, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(upstream,
                                              "SELECT @@global.explicit_defaults_for_timestamp, @@global.system_time_zone, "
                                              "@@global.default_storage_engine",
                                              error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        *ret = (DdlUpstream){
                .flavor = *conn_flavor(upstream),
                .explicit_timestamp = row && g_strcmp0(row[0], "1") == 0,
                .system_time_zone = g_strdup(row && row[1] ? row[1] : ""),
                .storage_engine = g_strdup(row && row[2] ? row[2] : ""),
        };
        return true;
}

void ddl_upstream_clear(DdlUpstream *upstream) {
        g_clear_pointer(&upstream->system_time_zone, g_free);
        g_clear_pointer(&upstream->storage_engine, g_free);
}

static bool refuse(GError **error, const char *why) {
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, "%s", why);
        return false;
}

/* --- sql_mode --- */

typedef enum ModeWhere { EVERYWHERE, NOT_IN_MYSQL8 } ModeWhere;

static const struct {
        guint8 bit;
        const char *name;
        ModeWhere where;
        bool harmless; /* where it is not known: it says how things are shown, or belongs to accounts */
} modes[] = {
        {0, "REAL_AS_FLOAT", EVERYWHERE, false},
        {1, "PIPES_AS_CONCAT", EVERYWHERE, false},
        {2, "ANSI_QUOTES", EVERYWHERE, false},
        {3, "IGNORE_SPACE", EVERYWHERE, false},
        {5, "ONLY_FULL_GROUP_BY", EVERYWHERE, true},
        {6, "NO_UNSIGNED_SUBTRACTION", EVERYWHERE, false},
        {7, "NO_DIR_IN_CREATE", EVERYWHERE, false},
        {8, "POSTGRESQL", NOT_IN_MYSQL8, true},
        {9, "ORACLE", NOT_IN_MYSQL8, false},
        {10, "MSSQL", NOT_IN_MYSQL8, true},
        {11, "DB2", NOT_IN_MYSQL8, true},
        {12, "MAXDB", NOT_IN_MYSQL8, false}, /* TIMESTAMP means DATETIME */
        {13, "NO_KEY_OPTIONS", NOT_IN_MYSQL8, true},
        {14, "NO_TABLE_OPTIONS", NOT_IN_MYSQL8, true},
        {15, "NO_FIELD_OPTIONS", NOT_IN_MYSQL8, true},
        {16, "MYSQL323", NOT_IN_MYSQL8, true},
        {17, "MYSQL40", NOT_IN_MYSQL8, true},
        {19, "NO_AUTO_VALUE_ON_ZERO", EVERYWHERE, false},
        {20, "NO_BACKSLASH_ESCAPES", EVERYWHERE, false},
        {21, "STRICT_TRANS_TABLES", EVERYWHERE, false},
        {22, "STRICT_ALL_TABLES", EVERYWHERE, false},
        {23, "NO_ZERO_IN_DATE", EVERYWHERE, false},
        {24, "NO_ZERO_DATE", EVERYWHERE, false},
        {25, "ALLOW_INVALID_DATES", EVERYWHERE, false},
        {26, "ERROR_FOR_DIVISION_BY_ZERO", EVERYWHERE, false},
        {28, "NO_AUTO_CREATE_USER", NOT_IN_MYSQL8, true},
        {29, "HIGH_NOT_PRECEDENCE", EVERYWHERE, false},
        {30, "NO_ENGINE_SUBSTITUTION", EVERYWHERE, true},
        {31, "PAD_CHAR_TO_FULL_LENGTH", EVERYWHERE, false},
};

static bool knows_mode(const Flavor *flavor, ModeWhere where) {
        switch (where) {
        case EVERYWHERE:
                return true;
        case NOT_IN_MYSQL8:
                return flavor->mariadb || flavor->version < 80000;
        }
        return false;
}

/* The combinations ANSI (18) and TRADITIONAL (27) are spelled out by their parts, which have bits of their own. What has no room may not
 * become something else (NO_ENGINE_SUBSTITUTION); where files lie is the server's own matter. Fractions of seconds are cut by MariaDB and
 * rounded by MySQL, each unless told otherwise. */
static bool set_mode(Conn *down, const QuerySession *session, const DdlUpstream *upstream, GError **error) {
        const Flavor *flavor = conn_flavor(down);
        g_autoptr(GString) mode = g_string_new("NO_ENGINE_SUBSTITUTION,NO_DIR_IN_CREATE");
        guint64 known = G_GUINT64_CONSTANT(1) << 18 | G_GUINT64_CONSTANT(1) << 27;
        for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
                guint64 bit = G_GUINT64_CONSTANT(1) << modes[i].bit;
                known |= bit;
                if (!(session->sql_mode & bit))
                        continue;
                if (knows_mode(flavor, modes[i].where))
                        g_string_append_printf(mode, ",%s", modes[i].name);
                else if (!modes[i].harmless)
                        return refuse(error, "its session's sql_mode is not known on the other side");
        }
        guint64 rest = session->sql_mode & ~known;
        bool cuts = upstream->flavor.mariadb ? !(session->sql_mode >> 34 & 1) : session->sql_mode >> 32 & 1;
        rest &= ~(G_GUINT64_CONSTANT(1) << (upstream->flavor.mariadb ? 34 : 32));
        if (upstream->flavor.mariadb) { /* IGNORE_BAD_TABLE_OPTIONS; EMPTY_STRING_IS_NULL and SIMULTANEOUS_ASSIGNMENT are about rows */
                if (session->sql_mode >> 4 & 1)
                        return refuse(error, "its session's sql_mode lets the server ignore parts of it");
                rest &= ~(G_GUINT64_CONSTANT(1) << 32 | G_GUINT64_CONSTANT(1) << 33);
        }
        rest &= ~(G_GUINT64_CONSTANT(1) << 4);
        if (rest != 0)
                return refuse(error, "its session's sql_mode is not known to this version");
        if (flavor->mariadb && !cuts)
                g_string_append(mode, ",TIME_ROUND_FRACTIONAL");
        else if (!flavor->mariadb && flavor->version >= 80000 && cuts)
                g_string_append(mode, ",TIME_TRUNCATE_FRACTIONAL");
        return conn_execf(down, error, "SET SESSION sql_mode='%s'", mode->str);
}

/* --- character sets --- */

/* A number that the server does not know is an error there. */
static bool set_number(Conn *down, const char *variable, guint16 number, GError **error) {
        return conn_execf(down, error, "SET SESSION %s=%u", variable, number);
}

/* Collations that only newer servers have. */
static bool is_new_utf8mb4(guint16 number) {
        return (number >= 255 && number <= 323) || (number >= 2304 && number <= 2559);
}

static bool set_charsets(Conn *down, const QuerySession *session, bool defaults, GError **error) {
        if (!session->has_charset)
                return conn_exec(down, "SET NAMES utf8mb4", -1, NULL, error);
        g_autoptr(GError) local = NULL;
        guint16 client = is_new_utf8mb4(session->client) ? COLLATION_UTF8MB4_GENERAL : session->client;
        if (!set_number(down, "character_set_client", client, error))
                return false;
        if (!set_number(down, "collation_connection", session->connection, &local)) {
                if (conn_is_dead(down) || !is_new_utf8mb4(session->connection)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                g_clear_error(&local);
                if (!set_number(down, "collation_connection", COLLATION_UTF8MB4_GENERAL, error))
                        return false;
        }
        if (set_number(down, "collation_server", session->server, &local))
                return true;
        if (conn_is_dead(down)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        return !defaults || refuse(error, "its default collation is not known on the other side");
}

/* What no server of ours lacks, and the answers of an upstream that writes more into its log. */
static bool set_defaults(Conn *down, const QuerySession *session, const DdlUpstream *upstream, bool timestamps, GError **error) {
        bool wanted = session->explicit_timestamp >= 0 ? session->explicit_timestamp > 0 : upstream->explicit_timestamp;
        if (upstream->flavor.mariadb && session->has_flags)
                wanted = session->flags & FLAG_MARIADB_EXPLICIT_TIMESTAMP;
        g_autoptr(GError) local = NULL;
        if (!conn_execf(down, &local, "SET SESSION explicit_defaults_for_timestamp=%d", wanted)) {
                if (conn_is_dead(down)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                guint64 now; /* MySQL 5.6: not a session's */
                if (!conn_query_uint64(down, "SELECT @@global.explicit_defaults_for_timestamp", &now, error))
                        return false;
                if (timestamps && (now != 0) != wanted)
                        return refuse(error, "a TIMESTAMP column in it would get other defaults on the other side, where "
                                             "explicit_defaults_for_timestamp is set otherwise");
        }
        if (session->utf8mb4 != 0) /* MySQL 8; others have no such variable, and the definitions are compared afterwards */
                (void) conn_execf(down, NULL, "SET SESSION default_collation_for_utf8mb4=%u", session->utf8mb4);
        return !conn_is_dead(down) || conn_exec(down, "SELECT 1", -1, NULL, error);
}

/* SYSTEM means each server's own zone. */
static bool set_time_zone(Conn *down, const QuerySession *session, const DdlUpstream *upstream, GError **error) {
        if (!*session->time_zone)
                return true;
        if (g_ascii_strcasecmp(session->time_zone, "SYSTEM") == 0) {
                g_autofree char *here = conn_query_string(down, "SELECT @@global.system_time_zone", error);
                if (!here)
                        return false;
                bool utc = g_str_equal(upstream->system_time_zone, "UTC") || g_str_equal(upstream->system_time_zone, "GMT");
                if (utc)
                        return conn_exec(down, "SET SESSION time_zone='+00:00'", -1, NULL, error);
                if (!g_str_equal(here, upstream->system_time_zone))
                        return refuse(error, "it depends on the time zone of the server, and the two have different ones");
        }
        g_autofree char *zone = sql_string(session->time_zone);
        return conn_execf(down, error, "SET SESSION time_zone=%s", zone);
}

bool ddl_session_set(Conn *down, const QuerySession *session, const DdlUpstream *upstream, bool timestamps, bool defaults, GError **error) {
        if (!session->complete)
                return refuse(error, "its session has a setting that this version does not know");
        if (!objects_session_for_create(down, error) || !set_defaults(down, session, upstream, timestamps, error) ||
            !set_charsets(down, session, defaults, error) || !set_time_zone(down, session, upstream, error))
                return false;
        return conn_execf(down, error,
                          "SET SESSION default_storage_engine=InnoDB, foreign_key_checks=%d, unique_checks=%d, sql_auto_is_null=%d, "
                          "timestamp=%u.%06u, auto_increment_increment=%u, auto_increment_offset=%u",
                          !(session->flags & QUERY_FLAG_NO_FOREIGN_KEY_CHECKS), !(session->flags & QUERY_FLAG_RELAXED_UNIQUE_CHECKS),
                          (session->flags & QUERY_FLAG_AUTO_IS_NULL) != 0, session->timestamp, MIN(session->microseconds, 999999u),
                          MAX(session->auto_increment_increment, 1), MAX(session->auto_increment_offset, 1)) &&
               set_mode(down, session, upstream, error);
}
