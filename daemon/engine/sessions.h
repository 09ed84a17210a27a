/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Who is connected to a server. By SHOW PROCESSLIST, not by information_schema.processlist: MySQL 9.7 converts the text of every session's
 * statement when that table is read, whatever is selected, and fails with error 3854 when there are bytes of a blob in it [M]; its table in
 * performance_schema is empty when that is off. It does the same with innodb_trx [M]: then the transactions are read from InnoDB's monitor. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/conn.h"

typedef struct Session {
        guint64 id;      /* for KILL */
        char *user;
        char *host;      /* with the port */
        char *database;  /* its default one; NULL: none */
        bool transaction; /* holds one open */
        guint64 seconds; /* for how long it does */
        bool bypasses;   /* its account has a privilege that gets past read_only */
        guint64 running; /* for how long its statement is (s) */
        bool blocks;     /* read_only waits for it: it changes rows or tables, or waits for somebody who has locked one */
        bool locked_out; /* fence_sessions() alone: its account is one that the fence closes */
        bool past_fence; /* fence_sessions() alone: nothing but its end keeps it from writing behind the fence */
        bool dump;       /* reads the binary log */
        bool killed;     /* and not gone yet */
        bool waits;      /* for a lock of the whole server, or behind who does */
} Session;

void session_free(Session *session);

/* When the transactions of a server were last looked at, by this process. information_schema.innodb_trx shows a copy, which is made anew only
 * when nobody has read it for 0.1 s, and reading the old copy counts, too [M: 5.6, MariaDB 10.11, 9.7]: who looks more often sees the same
 * for ever, transactions that are over, and none that have begun since. */
typedef struct SessionLook {
        gint64 at; /* monotonic; 0: never */
} SessionLook;

/* Until a look by CONN shows what is: 0.12 s behind the last one. Before a fence, so that nobody waits for that behind it. */
bool session_look_wait(Conn *conn, const SessionLook *look, GError **error);
/* Those of others: not of the server itself, nor of the account that CONN uses, which is the agent's alone (README). Of Session.
 * Waits as session_look_wait() does. */
GPtrArray *sessions_of_others(Conn *conn, SessionLook *look, GError **error);
/* The same, but nothing is known of their transactions (`transaction` is false): may be asked as often as one likes. */
GPtrArray *sessions_connected(Conn *conn, GError **error);
/* Ends sessions of the account that CONN uses which have changed rows, not committed, and been silent for 10 s: an agent whose host died in the
 * middle of a transaction leaves such, the server keeps them for as long as TCP does, and the checkpoints with them. No agent that lives is silent
 * there. Only for who holds the migration's lock (control.h). → how many */
unsigned sessions_end_orphans(Conn *conn);
bool sessions_sleep(Conn *conn, gint64 usec, GError **error); /* on the server, between two questions */
