/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Stored programs and views as a server shows them: which there are, and the definition of each, exactly: the bytes of its text together
 * with every setting that gives them their meaning. Reads only; making them is program-make.h. */

#include "base/enum-table.h"
#include "engine/spec.h"
#include "mysql/conn.h"

/* In the order in which they can be made: a view may call functions, a trigger and an event anything. */
typedef enum ProgramKind {
        PROGRAM_FUNCTION,
        PROGRAM_PROCEDURE,
        PROGRAM_PACKAGE, /* MariaDB's, in its Oracle mode; never carried */
        PROGRAM_VIEW,
        PROGRAM_TRIGGER,
        PROGRAM_EVENT,
        _PROGRAM_MAX,
        _PROGRAM_INVALID = -1,
} ProgramKind;
ENUM_TABLE_DECLARE(program_kind, ProgramKind);

/* Members that a kind does not have are NULL. */
typedef struct Definition {
        char *sql;      /* in CHARSET's bytes; an event's says DISABLE whatever its status is */
        char *sql_mode; /* NULL: a view */
        char *charset, *collation; /* of the session that made it: character_set_client, collation_connection */
        char *database_collation;  /* the default of its database then; NULL: a view */
        char *time_zone;           /* an event's */
} Definition;
Definition *definition_copy(const Definition *definition);
void definition_free(Definition *definition);
bool definition_equal(const Definition *a, const Definition *b); /* NULL equals nothing */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Definition, definition_free)

typedef struct Program {
        ProgramKind kind;
        char *database, *name;
        char *table;   /* a trigger's; else NULL */
        char *definer; /* user@host, not quoted */
        bool enabled;  /* an event: its status is ENABLED */
        char *timing, *action; /* a trigger's: BEFORE, INSERT */
        Definition *definition;       /* programs_read(); NULL: the server does not show it, and why: */
        char *unreadable;
} Program;
void program_free(Program *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Program, program_free)

/* Whether a program of KIND is asked for; TABLE: the one a trigger hangs on. Views and triggers are chosen like tables, routines and events
 * with their database: when a table of any name would be. */
bool program_selected(const MigrationSpec *spec, ProgramKind kind, const char *database, const char *name, const char *table);
/* "user@host" as `user`@`host`. */
char *program_quote_definer(const char *definer);

/* → GPtrArray of Program in the order of making, the triggers of one table in the order in which they fire. Five statements, without definitions. */
GPtrArray *programs_list(Conn *conn, const MigrationSpec *spec, GError **error);
/* Reads the definitions of those that have none yet: one statement for each. */
bool programs_define(Conn *conn, GPtrArray *programs, GError **error);
/* Both. */
GPtrArray *programs_read(Conn *conn, const MigrationSpec *spec, GError **error);
/* Reads one. true with *ret_definition NULL: it is not there, or cannot be shown: *ret_why. */
bool program_read(Conn *conn, ProgramKind kind, const char *database, const char *name, Definition **ret_definition, char **ret_why, GError **error);

/* SQL of SHOW CREATE EVENT with its status replaced by STATUS (ENABLE or DISABLE); NULL when it is not understood. Pure. */
char *program_event_with(const char *sql, const char *status);
/* What stands behind DO in it; NULL when it is not understood. Pure. */
const char *program_event_body(const char *sql);
/* What stands behind FOR EACH ROW in SQL of SHOW CREATE TRIGGER; NULL when it is not understood. Pure. */
const char *program_trigger_body(const char *sql);
