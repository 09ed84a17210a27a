/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the servers themselves: what they are, their roles, and their binary logs. */

#include <string.h>

#include "engine/precheck-internal.h"

/* ---- versions and roles */

bool precheck_source_version(Precheck *check, GError **error) {
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_SOURCE]);
        g_autofree char *name = flavor_to_string(flavor);

        if (flavor->mariadb || flavor->version < 50600 || flavor->version >= 50700)
                precheck_add(check, CHECK_ERROR, PS_ERROR_NOT_SUPPORTED, "the source has to be a MySQL 5.6",
                             "the source is %s, which is not supported as a source", name);
        else
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "the source is %s", name);
        return true;
}

bool precheck_is_destination(const Flavor *flavor) {
        if (flavor->mariadb)
                return flavor->version >= 101100;
        return (flavor->version >= 50600 && flavor->version < 50700) || flavor->version >= 90700;
}

bool precheck_destination_version(Precheck *check, GError **error) {
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        g_autofree char *name = flavor_to_string(flavor);

        if (!precheck_is_destination(flavor))
                precheck_add(check, CHECK_ERROR, PS_ERROR_NOT_SUPPORTED,
                             "the destination has to be a MariaDB 10.11 or later, a MySQL 5.6, or a MySQL 9.7 or later",
                             "the destination is %s, which is not supported yet", name);
        else
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "the destination is %s", name);
        return true;
}

bool precheck_same_server(Precheck *check, GError **error) {
        const char *a = conn_host_uuid(check->input->servers[SIDE_SOURCE]);
        const char *b = conn_host_uuid(check->input->servers[SIDE_DESTINATION]);

        if (*a && strcmp(a, b) == 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "give two different servers; if the destination's data folder was copied, "
                             "remove its auto.cnf and restart it",
                             "source and destination have the same server uuid: they are one server, or one "
                             "is a copy of the other");
        return true;
}

bool precheck_server_id(Precheck *check, GError **error) {
        guint64 ids[_SIDE_MAX];
        for (Side side = 0; side < _SIDE_MAX; side++) {
                ids[side] = precheck_variable_number(check, side, "server_id");
                if (ids[side] == 0)
                        precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                                     "SET GLOBAL server_id=<a number of its own>; and in its configuration",
                                     "the %s has server_id 0 and hands out no binary log",
                                     side_to_string(side));
        }
        if (ids[SIDE_SOURCE] != 0 && ids[SIDE_SOURCE] == ids[SIDE_DESTINATION]) {
                g_autofree char *hint =
                                g_strdup_printf("on the destination: SET GLOBAL server_id=%" G_GUINT64_FORMAT
                                                "; and in its configuration",
                                                ids[SIDE_SOURCE] % 4294967295u + 1);
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED, hint,
                             "both servers have server_id %" G_GUINT64_FORMAT, ids[SIDE_SOURCE]);
        }
        return true;
}

bool precheck_source_read_only(Precheck *check, GError **error) {
        if (precheck_variable_on(check, SIDE_SOURCE, "read_only"))
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED, "SET GLOBAL read_only=0;",
                             "the source is read-only: a migration starts from the server that takes writes");
        return true;
}

bool precheck_source_replica(Precheck *check, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(check->input->servers[SIDE_SOURCE], "SHOW SLAVE STATUS", error);
        if (!rows)
                return false;
        if (conn_rows_count(rows) > 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "migrate from its primary; or, when it is no replica any more: STOP SLAVE; "
                             "RESET SLAVE ALL;",
                             "the source is itself a replica");
        return true;
}

/* A standby shows itself as a session that reads the binary log. */
bool precheck_source_standby(Precheck *check, GError **error) {
        guint64 count = 0;
        if (!conn_query_uint64(check->input->servers[SIDE_SOURCE],
                               "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE "
                               "'Binlog Dump%' "
                               "AND CONCAT(USER,'')<>SUBSTRING_INDEX(USER(),'@',1)",
                               &count, error))
                return false;
        if (count == 0)
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                             "connect a replica to the source, or start accepting this warning",
                             "no standby of the source is seen: if the source is lost during the migration, "
                             "so is what the destination "
                             "has not received");
        return true;
}

/* ---- binary logs */

/* There is no way back from a clone: the destination's log is its own affair. */
static bool is_read(const Precheck *check, Side side) {
        return side == SIDE_SOURCE || check->input->spec->create_type != CREATE_TYPE_CLONE;
}

bool precheck_binlog(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++)
                if (is_read(check, side) && !precheck_variable_on(check, side, "log_bin"))
                        precheck_add(check, CHECK_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                                     "under [mysqld] in its configuration: log-bin=binlog, "
                                     "binlog_format=ROW, and restart it",
                                     side == SIDE_SOURCE ? "the %s writes no binary log, so its changes "
                                                           "cannot be followed"
                                                         : "the %s writes no binary log, so there would be "
                                                           "no way back",
                                     side_to_string(side));
        return true;
}

bool precheck_binlog_format(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX && is_read(check, side); side++) {
                const char *format = precheck_variable(check, side, "binlog_format");
                if (g_ascii_strcasecmp(format, "ROW") != 0)
                        precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                                     "SET GLOBAL binlog_format='ROW'; and binlog_format=ROW in its "
                                     "configuration; sessions that are "
                                     "connected keep their old format until they reconnect",
                                     "binlog_format of the %s is %s, not ROW", side_to_string(side),
                                     *format ? format : "unknown");
                const char *image = precheck_variable(check, side, "binlog_row_image");
                if (g_ascii_strcasecmp(image, "FULL") != 0)
                        precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                                     "SET GLOBAL binlog_row_image='FULL'; and binlog_row_image=FULL in its "
                                     "configuration; sessions that "
                                     "are connected keep theirs until they reconnect",
                                     "binlog_row_image of the %s is %s, not FULL", side_to_string(side),
                                     *image ? image : "unknown");
        }
        return true;
}

/* Found by the columns' names: their order differs. */
bool precheck_binlog_filter(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX && is_read(check, side); side++) {
                Conn *conn = check->input->servers[side];
                g_autoptr(ConnRows) rows =
                                conn_query(conn, flavor_position_statement(conn_flavor(conn)), error);
                if (!rows)
                        return false;
                char **row = conn_rows_take(rows);
                for (unsigned i = 0; row && i < conn_rows_columns(rows); i++) {
                        const char *name = conn_rows_column_name(rows, i);
                        if ((g_ascii_strcasecmp(name, "Binlog_Do_DB") == 0 ||
                             g_ascii_strcasecmp(name, "Binlog_Ignore_DB") == 0) &&
                            row[i] && *row[i])
                                precheck_add(check, CHECK_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                                             "remove binlog-do-db and binlog-ignore-db from its "
                                             "configuration and restart it",
                                             "the binary log of the %s leaves databases out (%s)",
                                             side_to_string(side), name);
                }
        }
        return true;
}

bool precheck_binlog_order(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++)
                if (is_read(check, side) && precheck_has_variable(check, side, "binlog_order_commits") &&
                    !precheck_variable_on(check, side, "binlog_order_commits"))
                        precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                                     "SET GLOBAL binlog_order_commits=1; and in its configuration",
                                     "binlog_order_commits is off on the %s: what a read sees cannot be "
                                     "placed in the binary log",
                                     side_to_string(side));
        return true;
}

bool precheck_binlog_compression(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++) {
                const char *name = precheck_has_variable(check, side, "log_bin_compress")
                                                   ? "log_bin_compress"
                                                   : "binlog_transaction_compression";
                g_autofree char *hint = g_strdup_printf("SET GLOBAL %s=0; and in its configuration", name);
                if (precheck_variable_on(check, side, name))
                        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, hint,
                                     "the %s compresses its binary log (%s), which is read at the cost of some time", side_to_string(side), name);
        }
        return true;
}

/* About how many bytes a side logs in an hour: what is there was written since the server started, or since logs expire, whichever is less. */
static bool log_rate(Precheck *check, Side side, double kept_hours, guint64 *ret_bytes, double *ret_per_hour, GError **error) {
        Conn *conn = check->input->servers[side];
        g_autoptr(ConnRows) logs = conn_query(conn, "SHOW BINARY LOGS", error);
        g_autoptr(ConnRows) uptime = logs ? conn_query(conn, "SHOW GLOBAL STATUS LIKE 'Uptime'", error) : NULL;
        if (!uptime)
                return false;
        char **row = conn_rows_take(uptime);
        double hours = row && row[1] ? (double) g_ascii_strtoull(row[1], NULL, 10) / 3600.0 : 0;
        for (*ret_bytes = 0; (row = conn_rows_take(logs));)
                *ret_bytes += row[1] ? g_ascii_strtoull(row[1], NULL, 10) : 0;
        hours = CLAMP(hours, 1.0 / 60, kept_hours > 0 ? kept_hours : hours + 1);
        *ret_per_hour = (double) *ret_bytes / hours;
        return true;
}

#define HOURS_WANTED 24.0

/* Amazon RDS purges logs as soon as its own replicas have them, whatever the server's variables say. */
static bool look_at_rds(Precheck *check, Side side, GError **error) {
        Conn *conn = check->input->servers[side];
        guint64 there;
        g_autoptr(GError) local = NULL;
        if (!conn_query_uint64(conn, "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='mysql' AND TABLE_NAME='rds_configuration'", &there, error))
                return false;
        if (there == 0)
                return true;
        g_autofree char *text = conn_query_string(conn, "SELECT value FROM mysql.rds_configuration WHERE name='binlog retention hours'", &local);
        if (local) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        double hours = text ? g_ascii_strtod(text, NULL) : 0;
        if (hours < HOURS_WANTED)
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, "CALL mysql.rds_set_configuration('binlog retention hours', 168);",
                             "the %s is an RDS instance that keeps its binary logs for %.0f hours (binlog retention hours): a pause that is longer cannot be "
                             "caught up", side_to_string(side), hours);
        return true;
}

/* How long a pause may be before what it missed is gone. */
bool precheck_binlog_retention(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++) {
                if (!is_read(check, side) || !precheck_variable_on(check, side, "log_bin"))
                        continue;
                bool fine = precheck_has_variable(check, side, "binlog_expire_logs_seconds");
                double hours = fine ? (double) precheck_variable_number(check, side, "binlog_expire_logs_seconds") / 3600.0 : 0;
                if (hours <= 0) /* expire_logs_days is a fraction on MariaDB */
                        hours = g_ascii_strtod(precheck_variable(check, side, "expire_logs_days"), NULL) * 24.0;
                guint64 bytes, limit = precheck_variable_number(check, side, "max_binlog_total_size");
                double rate;
                if (!look_at_rds(check, side, error) || !log_rate(check, side, hours, &bytes, &rate, error))
                        return false;
                double room = limit > 0 && rate > 0 ? (double) limit / rate : 0;
                g_autofree char *size = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS), *speed = g_format_size_full((guint64) rate, G_FORMAT_SIZE_IEC_UNITS);
                g_autofree char *span = hours > 0 ? g_strdup_printf("for %.0f hours", hours) : g_strdup("until they are purged by hand");
                if (room > 0 && room < HOURS_WANTED)
                        precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                                     "SET GLOBAL max_binlog_total_size=0; or a larger one, and in its configuration",
                                     "the %s keeps %" G_GUINT64_FORMAT " bytes of binary logs and writes about %s an hour: a pause of more than about %.1f "
                                     "hours cannot be caught up", side_to_string(side), limit, speed, room);
                if (hours > 0 && hours < HOURS_WANTED)
                        precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                                     fine ? "SET GLOBAL binlog_expire_logs_seconds=604800;" : "SET GLOBAL expire_logs_days=7;",
                                     "the %s keeps its binary logs for %.1f hours only; a pause that is longer cannot be caught up", side_to_string(side), hours);
                else
                        precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL,
                                     "the %s keeps its binary logs %s; %s are there, about %s an hour",
                                     side_to_string(side), span, size, speed);
        }
        return true;
}

bool precheck_gtid(Precheck *check, GError **error) {
        const char *mode = precheck_variable(check, SIDE_SOURCE, "gtid_mode");
        if (g_ascii_strcasecmp(mode, "ON") == 0)
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL,
                             "the source numbers its transactions (gtid_mode=ON)");
        else
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                             "gtid_mode=ON, enforce-gtid-consistency and log-slave-updates in its "
                             "configuration",
                             "the source has no GTIDs (gtid_mode is %s): its place in the log is kept by "
                             "file and offset, which does not "
                             "survive a fail-over of the source",
                             *mode ? mode : "unknown");
        return true;
}

bool precheck_durability(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++) {
                const char *flush = precheck_variable(check, side, "innodb_flush_log_at_trx_commit");
                const char *sync = precheck_variable(check, side, "sync_binlog");
                if (strcmp(flush, "1") != 0 || strcmp(sync, "1") != 0)
                        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                                     "SET GLOBAL innodb_flush_log_at_trx_commit=1, GLOBAL sync_binlog=1;",
                                     "the %s may lose its last transactions in a crash "
                                     "(innodb_flush_log_at_trx_commit=%s, sync_binlog=%s)",
                                     side_to_string(side), flush, sync);
        }
        return true;
}

/* A transaction prepared before read_only is set can be committed after it (life-cycle: what a fence stops).
 */
#define XA_NAMED 20 /* transactions that a hint names */

static void append_hex(GString *text, const char *data, guint64 length) {
        g_string_append(text, "X'");
        for (guint64 i = 0; i < length; i++)
                g_string_append_printf(text, "%02X", (unsigned char) data[i]);
        g_string_append_c(text, '\'');
}

/* The names of prepared transactions may be any bytes. */
static char *xa_hint(ConnRows *rows, Side side) {
        g_autoptr(GString) commits = g_string_new(NULL), rollbacks = g_string_new(NULL);
        guint named = 0;
        for (char **row; (row = conn_rows_take(rows)) && named < XA_NAMED;) {
                const unsigned long *lengths = conn_rows_lengths(rows);
                guint64 first = row[1] ? g_ascii_strtoull(row[1], NULL, 10) : 0, second = row[2] ? g_ascii_strtoull(row[2], NULL, 10) : 0;
                if (!row[0] || !row[3] || first > lengths[3] || second > lengths[3] - first)
                        continue;
                g_autoptr(GString) name = g_string_new(NULL);
                append_hex(name, row[3], first);
                g_string_append_c(name, ',');
                append_hex(name, row[3] + first, second);
                g_string_append_printf(name, ",%s", row[0]);
                g_string_append_printf(commits, " XA COMMIT %s;", name->str);
                g_string_append_printf(rollbacks, " XA ROLLBACK %s;", name->str);
                named++;
        }
        return g_strdup_printf("on the %s:%s or, of each,%s", side_to_string(side), commits->str, rollbacks->str);
}

bool precheck_xa(Precheck *check, GError **error) {
        bool at_switch = check->input->stage == PRECHECK_SWITCH;
        for (Side side = 0; side < _SIDE_MAX; side++) {
                g_autoptr(ConnRows) rows = conn_query(check->input->servers[side], "XA RECOVER", error);
                if (!rows)
                        return false;
                guint64 count = conn_rows_count(rows);
                g_autofree char *hint = xa_hint(rows, side);
                if (count > 0)
                        precheck_add(check, at_switch ? CHECK_ERROR : CHECK_WARNING, PS_ERROR_CHECK_FAILED, hint,
                                     "%" G_GUINT64_FORMAT " prepared XA transactions are open on the %s; "
                                                          "read_only does not stop their commit",
                                     count, side_to_string(side));
        }
        return true;
}

/* ---- how they are reached */

bool precheck_tls(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++) {
                const Endpoint *endpoint = check->input->spec->servers[side].endpoint;
                if (endpoint && endpoint->socket)
                        continue;
                g_autoptr(ConnRows) rows = conn_query(check->input->servers[side],
                                                      "SHOW SESSION STATUS LIKE 'Ssl_cipher'", error);
                if (!rows)
                        return false;
                char **row = conn_rows_take(rows);
                if (!row || !row[1] || !*row[1])
                        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                                     "give ssl-mode=verify-identity in the URI and the authority's "
                                     "certificate as a credential",
                                     "the connection to the %s is not encrypted", side_to_string(side));
        }
        return true;
}

bool precheck_socket_visible(Precheck *check, GError **error) {
        static const char *const hidden[] = {"/tmp/", "/var/tmp/", "/home/", "/root/"};
        for (Side side = 0; side < _SIDE_MAX; side++) {
                const Endpoint *endpoint = check->input->spec->servers[side].endpoint;
                for (gsize i = 0; endpoint && endpoint->socket && i < G_N_ELEMENTS(hidden); i++)
                        if (g_str_has_prefix(endpoint->socket, hidden[i]))
                                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                                             "move the socket below /run, or use TCP",
                                             "the socket of the %s is below %s, which the packaged service "
                                             "cannot see (PrivateTmp, ProtectHome)",
                                             side_to_string(side), hidden[i]);
        }
        return true;
}

bool precheck_places(Precheck *check, GError **error) {
        const Endpoint *a = check->input->spec->servers[SIDE_SOURCE].endpoint;
        const Endpoint *b = check->input->spec->servers[SIDE_DESTINATION].endpoint;
        if (!a || !b)
                return true;
        if (a->region && b->region && strcmp(a->region, b->region) != 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "migrate to a destination in the source's region; or, when the labels are wrong, make the migration anew with the right "
                             "region= in the URIs",
                             "the servers are in different regions (%s and %s)", a->region, b->region);
        if (a->zone && b->zone && strcmp(a->zone, b->zone) != 0)
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                             "start accepting this warning when that is meant",
                             "the servers are in different zones (%s and %s): expect more delay", a->zone, b->zone);
        return true;
}
