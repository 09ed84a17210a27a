/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Who is connected to a server. By SHOW PROCESSLIST, not by information_schema.processlist: MySQL 9.7 converts the text of every session's
 * statement when that table is read, whatever is selected, and fails with error 3854 when there are bytes of a blob in it [M]; its table in
 * performance_schema is empty when that is off. */

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
        bool dump;       /* reads the binary log */
} Session;

void session_free(Session *session);
/* Those of others: not of the server itself, nor of the account that CONN uses, which is the agent's alone (README). Of Session. */
GPtrArray *sessions_of_others(Conn *conn, GError **error);
