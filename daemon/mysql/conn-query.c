/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements and their rows; see conn.h. */

#include "mysql/conn-query.h"

#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "mysql/conn-private.h"

/* ---- statements */

/* "Records: 3  Duplicates: 1  Warnings: 0"; LOAD DATA says Skipped for what an INSERT calls Duplicates. */
static guint64 info_number(const char *info, const char *key) {
        const char *p = info ? strstr(info, key) : NULL;
        return p ? g_ascii_strtoull(p + strlen(key), NULL, 10) : 0;
}

static void fill_result(MYSQL *mysql, ConnResult *ret) {
        const char *info = mysql_info(mysql);
        guint64 affected = mysql_affected_rows(mysql);
        *ret = (ConnResult){
                        .affected = affected == MYSQL_COUNT_ERROR ? 0 : affected,
                        .insert_id = mysql_insert_id(mysql),
                        .warnings = mysql_warning_count(mysql),
                        .records = info_number(info, "Records: "),
                        .duplicates = info_number(info, "Duplicates: ") + info_number(info, "Skipped: "),
        };
}

/* Rows that nobody asked for (FLUSH and ANALYZE answer with some). */
static bool discard_rows(MYSQL *mysql) {
        if (mysql_field_count(mysql) == 0)
                return true;
        MYSQL_RES *res = mysql_use_result(mysql);
        if (res)
                mysql_free_result(res);
        return mysql_errno(mysql) == 0;
}

/* Sends, and takes the answer's first part. */
static bool send_statement(Conn *conn, const char *sql, gssize length, GError **error) {
        if (conn_is_aborted(conn))
                return conn_fail(conn, error);
        gsize n = length < 0 ? strlen(sql) : (gsize)length;
        if (conn_max_packet(conn) > 0 && n >= conn_max_packet(conn)) { /* the server would hang up */
                g_set_error(error, PS_ERROR, PS_ERROR_LIMITS_EXCEEDED,
                            "%s takes packets of %" G_GUINT64_FORMAT " bytes, and a row needs one of %zu: there, SET GLOBAL "
                            "max_allowed_packet=%" G_GUINT64_FORMAT "; and in its configuration, then Resume",
                            conn_label(conn), conn_max_packet(conn), n + 1, MIN((guint64)1 << 30, ((guint64)n + (1 << 20)) / (1 << 20) * (1 << 20)));
                return false;
        }
        if (mysql_real_query(conn_handle(conn), sql, n) != 0)
                return conn_fail(conn, error);
        return true;
}

bool conn_exec_multi(Conn *conn, const char *sql, gssize length, ConnResult *ret, gsize n_ret,
                     gsize *ret_count, GError **error) {
        MYSQL *mysql = conn_handle(conn);
        gsize count = 0;
        bool ok = send_statement(conn, sql, length, error);
        while (ok) {
                ConnResult result;
                fill_result(mysql, &result);
                if (!discard_rows(mysql)) {
                        ok = conn_fail(conn, error);
                        break;
                }
                if (ret && count < n_ret)
                        ret[count] = result;
                count++;
                int more = mysql_next_result(mysql);
                if (more > 0)
                        ok = conn_fail(conn, error);
                if (more != 0)
                        break;
        }
        /* Of use above all when it failed: the number is that of the statement at fault. */
        if (ret_count)
                *ret_count = count;
        return ok;
}

bool conn_exec(Conn *conn, const char *sql, gssize length, ConnResult *ret, GError **error) {
        return conn_exec_multi(conn, sql, length, ret, 1, NULL, error);
}

bool conn_execf(Conn *conn, GError **error, const char *format, ...) {
        va_list args;
        va_start(args, format);
        g_autofree char *sql = g_strdup_vprintf(format, args);
        va_end(args);
        return conn_exec(conn, sql, -1, NULL, error);
}

/* ---- LOAD DATA LOCAL from memory */

static int upload_begin(void **handle, const char *name, void *data) {
        ConnUpload *upload = data;
        *handle = upload;
        return upload->active ? 0 : 1;
}

static int upload_read(void *handle, char *buffer, unsigned size) {
        ConnUpload *upload = handle;
        gsize n = MIN(upload->length - upload->offset, (gsize)size);
        memcpy(buffer, upload->data + upload->offset, n);
        upload->offset += n;
        return (int)n;
}

static void upload_end(void *handle) {
}

static int upload_error(void *handle, char *text, unsigned size) {
        g_strlcpy(text, "The server asked for a file that it was not offered", size);
        return 2;
}

void conn_upload_prepare(Conn *conn) {
        mysql_set_local_infile_handler(conn_handle(conn), upload_begin, upload_read, upload_end, upload_error,
                                       conn_upload(conn));
}

bool conn_load_data(Conn *conn, const char *sql, const char *data, gsize length, ConnResult *ret,
                    GError **error) {
        ConnUpload *upload = conn_upload(conn);
        *upload = (ConnUpload){.active = true, .data = data, .length = length};
        bool ok = conn_exec(conn, sql, -1, ret, error);
        *upload = (ConnUpload){.active = false};
        return ok;
}

/* ---- rows */

struct ConnRows {
        Conn *conn;
        MYSQL_RES *res;
};

struct ConnStream {
        Conn *conn;
        MYSQL_RES *res;
};

static MYSQL_RES *start_rows(Conn *conn, const char *sql, gssize length, MYSQL_RES *(*start)(MYSQL *), GError **error) {
        MYSQL *mysql = conn_handle(conn);
        if (!send_statement(conn, sql, length, error))
                return NULL;
        MYSQL_RES *res = start(mysql);
        if (!res && mysql_errno(mysql) != 0)
                conn_fail(conn, error);
        else if (!res)
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: A statement that should answer with rows did not", conn_label(conn));
        return res;
}

/* After conn_abort() what is left of a stream is what the kernel holds already. */
static void end_rows(Conn *conn, MYSQL_RES *res) {
        mysql_free_result(res);
        MYSQL *mysql = conn_handle(conn);
        while (!conn_is_aborted(conn) && mysql_more_results(mysql) && mysql_next_result(mysql) == 0 && discard_rows(mysql))
                ;
}

ConnRows *conn_query(Conn *conn, const char *sql, GError **error) {
        MYSQL_RES *res = start_rows(conn, sql, -1, mysql_store_result, error);
        if (!res)
                return NULL;
        ConnRows *rows = g_new0(ConnRows, 1);
        *rows = (ConnRows){.conn = conn, .res = res};
        return rows;
}

ConnRows *conn_queryf(Conn *conn, GError **error, const char *format, ...) {
        va_list args;
        va_start(args, format);
        g_autofree char *sql = g_strdup_vprintf(format, args);
        va_end(args);
        return conn_query(conn, sql, error);
}

char **conn_rows_take(ConnRows *rows) {
        return rows ? mysql_fetch_row(rows->res) : NULL;
}

const unsigned long *conn_rows_lengths(ConnRows *rows) {
        return mysql_fetch_lengths(rows->res);
}

guint64 conn_rows_count(const ConnRows *rows) {
        return mysql_num_rows(rows->res);
}

unsigned conn_rows_columns(const ConnRows *rows) {
        return mysql_num_fields(rows->res);
}

const char *conn_rows_column_name(const ConnRows *rows, unsigned column) {
        return column < mysql_num_fields(rows->res) ? mysql_fetch_field_direct(rows->res, column)->name
                                                    : NULL;
}

void conn_rows_free(ConnRows *rows) {
        if (rows)
                end_rows(rows->conn, rows->res);
        g_free(rows);
}

ConnStream *conn_stream(Conn *conn, const char *sql, gssize length, GError **error) {
        MYSQL_RES *res = start_rows(conn, sql, length, mysql_use_result, error);
        if (!res)
                return NULL;
        ConnStream *stream = g_new0(ConnStream, 1);
        *stream = (ConnStream){.conn = conn, .res = res};
        return stream;
}

bool conn_stream_next(ConnStream *stream, char ***ret_row, const unsigned long **ret_lengths, GError **error) {
        if (conn_is_aborted(stream->conn))
                return conn_fail(stream->conn, error);
        MYSQL_ROW row = mysql_fetch_row(stream->res);
        if (!row && mysql_errno(conn_handle(stream->conn)) != 0)
                return conn_fail(stream->conn, error);
        *ret_row = row;
        if (ret_lengths)
                *ret_lengths = row ? mysql_fetch_lengths(stream->res) : NULL;
        return true;
}

unsigned conn_stream_columns(const ConnStream *stream) {
        return mysql_num_fields(stream->res);
}

void conn_stream_free(ConnStream *stream) {
        if (stream)
                end_rows(stream->conn, stream->res);
        g_free(stream);
}

char *conn_query_string(Conn *conn, const char *sql, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        char **row = conn_rows_take(rows);
        return row ? g_strdup(row[0]) : NULL;
}

bool conn_query_uint64(Conn *conn, const char *sql, guint64 *ret, GError **error) {
        GError *local = NULL;
        g_autofree char *text = conn_query_string(conn, sql, &local);
        if (local) {
                g_propagate_error(error, local);
                return false;
        }
        if (!text || !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, ret, NULL)) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: Expected a number from %s",
                            conn_label(conn), sql);
                return false;
        }
        return true;
}

bool conn_hold_table(Conn *conn, const char *table, unsigned seconds, GError **error) {
        if (!conn_execf(conn, error, "SET SESSION lock_wait_timeout=%u", seconds))
                return false;
        bool good = conn_execf(conn, error, "DO (SELECT 1 FROM %s LIMIT 0)", table);
        return !conn_is_dead(conn) && conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT", -1, NULL, good ? error : NULL) && good;
}

bool conn_boot_time(Conn *conn, guint64 *ret, GError **error) {
        g_autofree char *sql = g_strdup_printf("SELECT UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS SIGNED) FROM %s WHERE VARIABLE_NAME='UPTIME'",
                                               flavor_status_table(conn_flavor(conn)));
        return conn_query_uint64(conn, sql, ret, error);
}

static int find_column(const ConnRows *rows, const char *name) {
        for (unsigned i = 0; i < conn_rows_columns(rows); i++)
                if (g_ascii_strcasecmp(conn_rows_column_name(rows, i), name) == 0)
                        return (int)i;
        return -1;
}

bool conn_binlog_position(Conn *conn, char **ret_file, guint64 *ret_position, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, flavor_position_statement(conn_flavor(conn)), error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        int file = find_column(rows, "File"), position = find_column(rows, "Position");
        if (!row || file < 0 || position < 0 || !row[file] || !row[file][0] || !row[position]) {
                g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                            "%s: The binary log is off; set log_bin and binlog_format=ROW and restart the "
                            "server",
                            conn_label(conn));
                return false;
        }
        guint64 value = g_ascii_strtoull(row[position], NULL, 10);
        *ret_file = g_strdup(row[file]);
        *ret_position = value;
        return true;
}

char *conn_warning_codes(Conn *conn) {
        g_autoptr(ConnRows) rows = conn_query(conn, "SHOW WARNINGS LIMIT 1000", NULL);
        GString *codes = g_string_new(NULL);
        for (char **row; (row = conn_rows_take(rows));)
                if (row[1] && !strstr(codes->str, row[1]))
                        g_string_append_printf(codes, "%s%s", codes->len > 0 ? ", " : "", row[1]);
        return g_string_free(codes, /* free_segment= */ FALSE);
}
