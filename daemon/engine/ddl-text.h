/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A statement that changes tables or databases, made ready to be run on another server: which tables it touches and how, and a text that
 * means there what the original meant where it was logged. Unlike the reader's first look (ddl.h) this knows the session's sql_mode and
 * the server's version, so strings end where that server ended them, and version comments are code exactly when they were. What it
 * cannot tell for sure it refuses. Pure. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/flavor.h"
#include "mysql/query-session.h"

typedef enum DdlVerb {
        DDL_CREATE_TABLE,
        DDL_ALTER_TABLE, /* CREATE INDEX and DROP INDEX, too */
        DDL_DROP_TABLE,
        DDL_TRUNCATE_TABLE,
        DDL_RENAME_TABLE,
        DDL_CREATE_DATABASE,
        DDL_ALTER_DATABASE,
        DDL_DROP_DATABASE,
        _DDL_MAX,
        _DDL_INVALID = -1,
} DdlVerb;

typedef struct DdlTable {
        char *database, *name;
        char *to_database, *to_name; /* its name afterwards; NULL: it keeps it */
} DdlTable;

typedef struct DdlText {
        DdlVerb verb;
        GPtrArray *tables;   /* of DdlTable: created, altered, dropped, truncated, renamed, in order */
        GPtrArray *partners; /* of DdlTable: others that it changes (EXCHANGE PARTITION, CONVERT TABLE) */
        char *database;      /* of a statement about a database */
        char *engine;        /* of ENGINE=; NULL: not said */
        bool replace;        /* CREATE OR REPLACE */
        bool lenient;        /* ALTER IGNORE: rows may be left out */
        bool timestamps;     /* the word TIMESTAMP is in it */
        bool short_year;     /* YEAR(2) */
        GString *text;       /* without comments, with what else the other server must not see taken out */
} DdlText;

/* PS_ERROR_UNSUPPORTED_OBJECT: why it cannot be carried; the message holds no part of the text but keywords. */
DdlText *ddl_text_new(const char *sql, gsize length, const char *database, const QuerySession *session, const Flavor *from,
                      GError **error);
void ddl_text_free(DdlText *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DdlText, ddl_text_free)
