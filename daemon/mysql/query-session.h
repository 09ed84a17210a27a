/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a QUERY event says about the session that ran its statement: the status variables, of which each server writes those that it holds
 * to matter. A statement that is run again elsewhere needs them to mean the same. Pure; the bytes come from a log and are not trusted. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/binlog-decode.h"

#define QUERY_FLAG_AUTO_IS_NULL (1u << 14)
#define QUERY_FLAG_NO_FOREIGN_KEY_CHECKS (1u << 26)
#define QUERY_FLAG_RELAXED_UNIQUE_CHECKS (1u << 27)

/* Bits of sql_mode, the same on all servers up to here. */
#define SQL_MODE_ANSI_QUOTES (G_GUINT64_CONSTANT(1) << 2)
#define SQL_MODE_NO_BACKSLASH_ESCAPES (G_GUINT64_CONSTANT(1) << 20)

typedef struct QuerySession {
        guint32 timestamp;    /* s: when the statement began */
        guint32 microseconds;
        guint32 thread_id;
        bool has_flags, has_sql_mode, has_charset;
        guint32 flags;        /* QUERY_FLAG_… */
        guint64 sql_mode;     /* bits */
        guint16 client, connection, server; /* numbers of collations */
        guint16 database;     /* the number of the database's default collation; 0: not said */
        guint16 auto_increment_increment, auto_increment_offset; /* 0: not said */
        int explicit_timestamp; /* explicit_defaults_for_timestamp; −1: not said */
        guint16 utf8mb4;      /* MySQL 8: default_collation_for_utf8mb4; 0: not said */
        bool collations;      /* MariaDB: character_set_collations was not empty */
        char time_zone[64];   /* "": the statement did not use it */
        bool complete;        /* false: a variable of a kind that is not known, and what stands behind it was not read */
} QuerySession;

/* PS_ERROR_DATA_MISMATCH when a variable is longer than its room. */
bool query_session_parse(const BinlogEvent *event, const BinlogQuery *query, QuerySession *ret, GError **error);
