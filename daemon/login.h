/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Who is behind a process, as logind knows it: behind sudo and Cockpit a call comes from uid 0, but from somebody's session.
 * For the record only, never to decide by: a process id may have passed on. */

#include <glib.h>
#include <systemd/sd-bus.h>

#define LOGIN_TIMEOUT_USEC (2 * G_USEC_PER_SEC)

typedef struct LoginQuery LoginQuery;

/* All NULL: no session, or no logind. */
typedef struct Login {
        char *session;
        char *user;
        char *remote_host; /* NULL for a local one */
        char *service;     /* sshd, login, cockpit */
} Login;

typedef void (*LoginAnswered)(gpointer userdata);

/* ANSWERED is called once, later, when LOGIN is filled as far as it could be; the query is gone by then. NULL: nothing can be
 * asked, and ANSWERED is not called. */
LoginQuery *login_query(sd_bus *bus, pid_t pid, Login *login, LoginAnswered answered, gpointer userdata);
/* ANSWERED is not called any more. */
void login_query_free(LoginQuery *query);
void login_clear(Login *login);
