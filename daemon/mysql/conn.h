/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One connection to a server. All that depends on the client library is here and in binlog-stream.c. A connection
 * belongs to the thread that opened it (except conn_abort()). Every call is bounded by the time-outs of ConnParams. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/endpoint.h"
#include "mysql/flavor.h"

/* Code: the server's or the client library's error number (1290, 2013 …); message: "HOST: TEXT (NUMBER, SQLSTATE)". */
#define MYSQL_ERROR mysql_error_quark()
GQuark mysql_error_quark(void);

typedef struct Conn Conn;

typedef struct ConnTls {
        char *ca, *cert, *key; /* PEM texts (not paths) or NULL. The library wants files: conn.c uses a memfd /proc/self/fd */
} ConnTls;

/* How to reach one server; immutable once filled, shared by the threads of a migration. */
typedef struct ConnParams {
        Endpoint *endpoint;
        char *password; /* wiped by conn_params_free() */
        ConnTls tls;
        unsigned connect_timeout; /* s; 0 = 10 */
        unsigned io_timeout;      /* s per read or write; 0 = 60 */
        /* Called when a connection is there that is not handed over yet, so that conn_abort() can reach it, and with NULL before it goes away. NULL: nobody. */
        void (*opening)(gpointer userdata, Conn *conn);
        gpointer userdata; /* its */
        char *identity;           /* conn_host_uuid() of the server that is meant; NULL or "": whoever answers */
} ConnParams;

ConnParams *conn_params_copy(const ConnParams *params);
void conn_params_set_account(ConnParams *params, const char *user, const char *password);
void conn_params_free(ConnParams *params);

typedef enum ConnFlags {
        CONN_FOUND_ROWS = 1 << 0,       /* affected rows count matches, not changes */
        CONN_MULTI_STATEMENTS = 1 << 1, /* several statements in one packet: conn_exec_multi() */
        CONN_LOCAL_INFILE = 1 << 2,     /* LOAD DATA LOCAL from memory */
        CONN_LONG_IO = 1 << 3,          /* no io_timeout: for statements that may run for hours (ALTER) */
} ConnFlags;

/* Connects to the first host of the endpoint that answers and sets the session as the engine needs it:
 * SET NAMES binary, character_set_results=NULL, time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO' (and
 * ALLOW_INVALID_DATES), foreign_key_checks=0, unique_checks=1, autocommit=1, READ COMMITTED, wait_timeout large,
 * max_allowed_packet of the client 1 GiB.
 * MYSQL_ERROR; PS_ERROR_STOPPED when another server answers than is meant: an address may have moved in between. */
Conn *conn_open(const ConnParams *params, ConnFlags flags, GError **error);
void conn_free(Conn *conn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Conn, conn_free)

/* Logs in once, as whoever PARAMS names, and leaves: nothing is set, for an account's limits count each statement. → CURRENT_USER(), the account
 * that the server took it for ("user@host", not quoted). Errors as of conn_open(). */
char *conn_log_in(const ConnParams *params, GError **error);

const Flavor *conn_flavor(const Conn *conn);
const char *conn_label(const Conn *conn);  /* "host:port" or the socket */
const char *conn_host(const Conn *conn, guint16 *ret_port); /* which of the endpoint's; NULL: by the socket */
guint64 conn_id(const Conn *conn);         /* CONNECTION_ID(), for KILL */
const char *conn_host_uuid(const Conn *conn); /* @@server_uuid, on MariaDB @@server_uid or "" */
guint64 conn_max_packet(const Conn *conn); /* @@max_allowed_packet of the server */
char *conn_local_address(const Conn *conn); /* of our end; NULL: it has none (a socket) */

typedef struct ConnResult {
        guint64 affected;
        guint64 insert_id;
        unsigned warnings;
        guint64 records, duplicates; /* from mysql_info(): "Records: %u  Duplicates: %u  Warnings: %u"; 0 when it said
                                      * nothing (single-row INSERT) */
} ConnResult;

/* One statement without rows. RET may be NULL. LENGTH -1: NUL-terminated. */
bool conn_exec(Conn *conn, const char *sql, gssize length, ConnResult *ret, GError **error);
bool conn_execf(Conn *conn, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Several statements in one packet; fails with the error of the first that fails. RET (may be NULL) is an array of
 * N_RET results, filled for the first statements. *ret_count: how many ran. */
bool conn_exec_multi(Conn *conn, const char *sql, gssize length, ConnResult *ret, gsize n_ret, gsize *ret_count,
                     GError **error);

/* LOAD DATA LOCAL INFILE '' …: DATA is what the server reads instead of a file. Needs CONN_LOCAL_INFILE. LOCAL implies IGNORE: look at
 * warnings, and at duplicates, which is the number of rows that were skipped. */
bool conn_load_data(Conn *conn, const char *sql, const char *data, gsize length, ConnResult *ret, GError **error);

/* One statement with rows, all of them buffered in memory: for small results. */
typedef struct ConnRows ConnRows;
ConnRows *conn_query(Conn *conn, const char *sql, GError **error);
ConnRows *conn_queryf(Conn *conn, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The next row; NULL at the end, and of no ROWS at all. Values are valid as long as ROWS; NULL values are NULL pointers. */
char **conn_rows_take(ConnRows *rows);
const unsigned long *conn_rows_lengths(ConnRows *rows); /* in bytes, of the row taken last; valid until the next one is taken */
guint64 conn_rows_count(const ConnRows *rows);
unsigned conn_rows_columns(const ConnRows *rows);
const char *conn_rows_column_name(const ConnRows *rows, unsigned column);
void conn_rows_free(ConnRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConnRows, conn_rows_free)

/* The same, one row by one from the server. While it is open, nothing else may run on the connection. */
typedef struct ConnStream ConnStream;
ConnStream *conn_stream(Conn *conn, const char *sql, gssize length, GError **error);
/* The next row. true and *ret_row = NULL at the end; false on an error. Values are valid until the next call; NULL values are NULL
 * pointers; lengths in bytes (RET_LENGTHS may be NULL). */
bool conn_stream_next(ConnStream *stream, char ***ret_row, const unsigned long **ret_lengths, GError **error);
unsigned conn_stream_columns(const ConnStream *stream);
void conn_stream_free(ConnStream *stream); /* reads what is left; to give up early: conn_abort() first */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConnStream, conn_stream_free)

/* First column of the first row as a string, a copy; NULL with no error set: no row or NULL. */
char *conn_query_string(Conn *conn, const char *sql, GError **error);
bool conn_query_uint64(Conn *conn, const char *sql, guint64 *ret, GError **error); /* no row: PS_ERROR_FAILED */

/* In a transaction: from here to its end nobody changes TABLE (quoted), for whose end they wait; waits SECONDS for who does. A snapshot alone does not do
 * that: a statement that is rebuilding the table may have copied its rows already, which the snapshot does not see, and no error says so [M: 5.6.24]. */
bool conn_hold_table(Conn *conn, const char *table, unsigned seconds, GError **error);
/* When the server was started, by its own clock then, in s since the epoch: one number for as long as it runs, whatever is done to that clock since. Uptime and
 * UNIX_TIMESTAMP() both count from the start of the statement [M: 5.6, MariaDB 10.11 and 11.8, 9.7, asked for 4 s and in statements that
 * take 2 s]. Two boots within one second look alike. */
bool conn_boot_time(Conn *conn, guint64 *ret, GError **error);

/* The named columns FILE and POSITION of flavor_position_statement(). PS_ERROR_BINLOG_UNAVAILABLE when the binary log is off. */
bool conn_binlog_position(Conn *conn, char **ret_file, guint64 *ret_position, GError **error);

/* Whether every transaction gets a GTID: MariaDB's do, MySQL's with gtid_mode=ON. */
bool conn_numbers_transactions(Conn *conn, bool *ret, GError **error);
/* What is in the binary log by GTID, and what of it was purged (on MariaDB: "", the dump itself says). */
char *conn_executed_gtids(Conn *conn, GError **error);
char *conn_purged_gtids(Conn *conn, GError **error);
/* As conn_binlog_position(), with the GTIDs of all transactions up to exactly there; NULL when they are not known. On a busy MySQL it needs
 * a new log file (RELOAD). */
bool conn_binlog_gtid_position(Conn *conn, char **ret_file, guint64 *ret_position, char **ret_gtids, GError **error);

/* The numbers of the last statement's warnings, each once ("1264, 1292"): without their texts, which may hold values. */
char *conn_warning_codes(Conn *conn);

/* Any thread: makes the blocking call that CONN is in fail now, by shutting the socket down. The connection is dead then. */
void conn_abort(Conn *conn);
bool conn_is_dead(const Conn *conn); /* after an error that lost the connection */

/* Kinds of error a caller handles. All take any GError and answer false for other domains. */
bool mysql_error_is_connection(const GError *error);    /* unreachable or lost: 2002, 2003, 2005, 2006, 2013, 2026?, 1053, 1040 … */
bool mysql_error_is_authentication(const GError *error); /* 1045, 1251, 1524, 2059, 2061 … */
bool mysql_error_is_privilege(const GError *error);      /* 1044, 1142, 1143, 1227, 1370, 1419 … */
bool mysql_error_is_retryable(const GError *error);      /* 1205, 1213 */
bool mysql_error_is_duplicate(const GError *error);      /* 1062, 1586 */
bool mysql_error_is_foreign_key(const GError *error);    /* 1451, 1452 …: refused for the sake of another table's rows */
bool mysql_error_is_cascade_limit(const GError *error);  /* 3008, 6575: a cascade goes through too many levels or tables */
bool mysql_error_is_value(const GError *error);          /* 1264, 1366, 1416 …: a value that a column does not take; the text may show it */
bool mysql_error_is_read_only(const GError *error);      /* 1290, 1836 */
bool mysql_error_is_full(const GError *error);           /* 1114, 1021, 3 with errno 28, 1030 with errno 28 … a full disk */
