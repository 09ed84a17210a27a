/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a statement in the binary log is, by its first words and the names it touches. A small lexer, no parser: what it cannot
 * tell it does not let pass. Version comments (slash-star-bang) are code: MySQL 5.6 logs DROP TEMPORARY TABLE with one, when a session
 * ends, and dropping the real table would be the end. Pure. */

#include <stdbool.h>

#include "engine/spec.h"
#include "mysql/binlog-decode.h"

typedef enum StatementKind {
        STATEMENT_BEGIN,
        STATEMENT_COMMIT,
        STATEMENT_ROLLBACK,
        STATEMENT_ROLLBACK_TO, /* a savepoint */
        STATEMENT_SAVEPOINT,
        STATEMENT_XA_BEGIN,
        STATEMENT_XA_COMMIT,   /* of a transaction that was prepared before */
        STATEMENT_XA_ROLLBACK,
        STATEMENT_DDL,         /* changes a table or a database that is carried */
        STATEMENT_DATA,        /* rows, written in statement format, to a table that is carried */
        STATEMENT_PROGRAM,     /* a view, routine, trigger or event */
        STATEMENT_ACCOUNT,     /* an account, or its grants; also rows of mysql.* in statement format */
        STATEMENT_NOT_CARRIED, /* a server, a tablespace …: not followed by this version */
        STATEMENT_IGNORED,     /* temporary tables, other databases, administration */
        _STATEMENT_MAX,
        _STATEMENT_INVALID = -1, /* not understood */
} StatementKind;

typedef struct Statement {
        StatementKind kind;
        char what[128]; /* "ALTER TABLE `db`.`t`": first words, in capitals, and the name, no values; safe for a message */
        char xid[BINLOG_XID_TEXT]; /* of XA COMMIT and XA ROLLBACK */
        /* STATEMENT_DATA: the one table that it names as its target; "": it cannot be told. */
        char database[200], table[200];
        bool all_rows; /* a plain DELETE of all of its rows: so MySQL logs that it found a MEMORY table empty */
} Statement;

/* MySQL 5.6 lets people write accounts into its tables by hand. */
bool statement_table_is_of_accounts(const char *database, const char *table);

void statement_classify(const char *sql, gsize length, const char *database, const MigrationSpec *spec, Statement *ret);
