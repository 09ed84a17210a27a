/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server says about GTIDs; see conn.h. A set and a position that are read one after the other need not belong together, and a place
 * that is to be found again on another server must be exact. */

#include "mysql/conn.h"

#include "base/error.h"
#include "mysql/executed.h"
#include "mysql/sql.h"

#define QUIET_TRIES 50

/* As servers print it, and NULL with no error set when it is no set that can be read (tags). */
static char *canonical(const char *text, bool mariadb) {
        g_autoptr(Executed) executed = executed_new(text, mariadb);
        return executed_to_string(executed);
}

char *conn_executed_gtids(Conn *conn, GError **error) {
        return conn_query_string(conn, conn_flavor(conn)->mariadb ? "SELECT @@global.gtid_binlog_pos" : "SELECT @@global.gtid_executed", error);
}

char *conn_purged_gtids(Conn *conn, GError **error) {
        if (conn_flavor(conn)->mariadb)
                return g_strdup("");
        return conn_query_string(conn, "SELECT @@global.gtid_purged", error);
}

bool conn_numbers_transactions(Conn *conn, bool *ret, GError **error) {
        *ret = true;
        if (conn_flavor(conn)->mariadb)
                return true;
        g_autofree char *mode = conn_query_string(conn, "SELECT @@global.gtid_mode", error);
        if (!mode)
                return false;
        *ret = g_ascii_strcasecmp(mode, "ON") == 0;
        return true;
}

/* The set at the head of a file is in the file: nothing is more exact. It costs a new file. */
static bool flushed_position(Conn *conn, char **ret_file, guint64 *ret_position, char **ret_gtids, GError **error) {
        g_autofree char *file = NULL;
        guint64 position;
        if (!conn_exec(conn, "FLUSH BINARY LOGS", -1, NULL, error) || !conn_binlog_position(conn, &file, &position, error))
                return false;
        g_autofree char *name = sql_string(file);
        g_autoptr(ConnRows) rows = conn_queryf(conn, error, "SHOW BINLOG EVENTS IN %s LIMIT 3", name);
        /* Log_name, Pos, Event_type, Server_id, End_log_pos, Info */
        for (char **row; (row = conn_rows_take(rows));)
                if (g_strcmp0(row[2], "Previous_gtids") == 0) {
                        *ret_file = g_steal_pointer(&file);
                        *ret_position = g_ascii_strtoull(row[4], NULL, 10);
                        *ret_gtids = canonical(row[5] ? row[5] : "", /* mariadb= */ false);
                        return true;
                }
        if (error && !*error)
                g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE, "%s: %s does not say which GTIDs come before it",
                            conn_label(conn), file);
        return false;
}

/* One look at the position, and the set that was read just before it. */
static bool look(Conn *conn, char **ret_file, guint64 *ret_position, char **ret_gtids, GError **error) {
        g_autofree char *gtids = conn_executed_gtids(conn, error);
        if (!gtids || !conn_binlog_position(conn, ret_file, ret_position, error))
                return false;
        *ret_gtids = g_steal_pointer(&gtids);
        return true;
}

/* MariaDB tells it of any position, but reads the log file up to there for that. */
static char *gtids_at(Conn *conn, const char *file, guint64 position) {
        g_autofree char *name = sql_string(file), *sql = g_strdup_printf("SELECT BINLOG_GTID_POS(%s, %" G_GUINT64_FORMAT ")", name, position);
        g_autofree char *gtids = conn_query_string(conn, sql, NULL);
        return gtids ? canonical(gtids, /* mariadb= */ true) : NULL;
}

bool conn_binlog_gtid_position(Conn *conn, char **ret_file, guint64 *ret_position, char **ret_gtids, GError **error) {
        bool numbered, mariadb = conn_flavor(conn)->mariadb;
        g_autofree char *file = NULL, *found = NULL;
        guint64 position;
        if (!conn_numbers_transactions(conn, &numbered, error) || !conn_binlog_position(conn, &file, &position, error))
                return false;
        /* Where nothing was logged between two looks, the set that was read in between is the one of that position. */
        for (guint tries = 0; numbered && !found && tries < QUIET_TRIES; tries++) {
                g_autofree char *next_file = NULL, *gtids = NULL;
                guint64 next;
                if (!look(conn, &next_file, &next, &gtids, error))
                        return false;
                if (next == position && g_str_equal(file, next_file)) {
                        found = canonical(gtids, mariadb);
                        break; /* also when it cannot be read */
                }
                g_free(file);
                file = g_steal_pointer(&next_file);
                position = next;
                if (tries + 1 < QUIET_TRIES)
                        continue;
                if (!mariadb)
                        return flushed_position(conn, ret_file, ret_position, ret_gtids, error);
                found = gtids_at(conn, file, position);
        }
        *ret_file = g_steal_pointer(&file);
        *ret_position = position;
        *ret_gtids = g_steal_pointer(&found);
        return true;
}
