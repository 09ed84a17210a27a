/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Making, dropping and switching programs on one server, each under exactly the settings that its definition names. */

#include "engine/program.h"

/* What a session was before programs were made in it, and is again afterwards. */
typedef struct ProgramSession {
        Conn *conn;
        char *sql_mode;
        char *now; /* what it is set to; NULL: not known */
} ProgramSession;

/* Takes CONN, which must have no current database that matters. Waits for table locks are kept short (5 s): 1205 is what they end with. */
bool program_session_begin(ProgramSession *session, Conn *conn, GError **error);
/* Puts back what was set; on a connection that was lost there is nothing to do. */
bool program_session_end(ProgramSession *session, GError **error);

/* Makes one. REPLACE (views only): in the place of the one that is there. *ret_note (may be NULL): what is not as it was ("sql_mode … dropped"), or
 * NULL. An error that program_error_is_refusal() accepts is about this program, every other one about the server. */
bool program_make(ProgramSession *session, ProgramKind kind, const char *database, const Definition *definition, bool replace, char **ret_note, GError **error);
bool program_error_is_refusal(const Conn *conn, const GError *error);
/* What a refusal means, without names of accounts. */
char *program_refusal(const GError *error);

/* Names in what is sent next are UTF-8, whatever the last program was made in. */
bool program_session_names(ProgramSession *session, GError **error);
bool program_drop(Conn *conn, ProgramKind kind, const char *database, const char *name, GError **error); /* if it is there */

/* Whether the server takes TRIGGER, tried on TRIAL, a table of the database `polarshift` that is like the trigger's own; NUMBER makes its name. */
bool program_try_trigger(ProgramSession *session, const Program *trigger, guint number, const char *trial, GError **error);

/* ENABLE or DISABLE, with the event's definer and settings kept. */
bool program_switch_event(ProgramSession *session, const char *database, const char *name, const char *definer, const Definition *definition, bool enabled,
                          GError **error);
