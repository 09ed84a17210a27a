/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A pending method call, answered exactly once, and put on record when it was.
 *
 *   handler: call_new() → reads its arguments (wrong ones: call_fail()) → call_authorize()
 *   … who is behind a call that changes something is asked of logind first, so that the record comes before what follows …
 *   … polkit may take two minutes; meanwhile the caller may leave, and the call is dropped …
 *   run():   looks at the state as it is now → call_done() or call_fail() */

#include <stdbool.h>

#include <glib.h>
#include <systemd/sd-bus.h>

#include "login.h"

typedef struct Manager Manager;
typedef struct Call Call;
typedef struct PolkitCheck PolkitCheck;
typedef int (*CallRun)(Call *call);

#define CALLS_PER_CALLER_MAX 16

struct Call {
        Manager *manager;
        guint64 id;
        sd_bus_message *message;
        const char *method;   /* static */
        bool mutating;        /* is put on record */
        char *migration;      /* its name, or NULL */
        char *subject;        /* what else it is about (a credential, an operation), or NULL */
        const char *action;   /* polkit's, static; NULL before call_authorize() */
        char *caller;         /* unique name */
        uid_t uid;            /* (uid_t) -1: unknown */
        pid_t pid;
        const char *authorized_by; /* "root", "service", "polkit", "nobody" (needs none), or NULL: not yet */
        guint64 answer;       /* what an `→ t` method answered: the operation's id, for the record */
        gpointer request;     /* the handler's parsed arguments */
        GDestroyNotify free_request;
        CallRun run;
        sd_bus_track *track;
        PolkitCheck *check;
        bool waiting;
        LoginQuery *login_query;   /* while it is asked who is behind the caller */
        Login login;
        GPtrArray *details;        /* of a call_authorize() that waits for that */
        bool answered;             /* its record waits for that */
        GError *answer_error;
};

/* Takes a reference of MESSAGE. */
Call *call_new(Manager *manager, sd_bus_message *message, const char *method, bool mutating);
void call_set_request(Call *call, gpointer request, GDestroyNotify free_request);
/* RUN is called once the caller may do ACTION (with the prefix), at once or later. DETAILS: pairs of key and value, NULL-terminated,
 * taken over. Returns what a bus handler returns. */
int call_authorize(Call *call, const char *action, GPtrArray *details, CallRun run);
/* RUN is called without asking anybody. */
int call_open(Call *call, CallRun run);
/* From run(): the answer comes later; the caller is watched meanwhile. False: it has too many calls waiting (call_fail() was done). */
bool call_wait(Call *call);
/* All three end and free the call, and return what a bus handler returns. */
int call_done(Call *call, const char *types, ...);
int call_send(Call *call, sd_bus_message *reply /* consumed */);
int call_fail(Call *call, GError *error /* consumed */);
/* Root or the service's own user. */
bool call_is_privileged(const Call *call);
/* Its handler's userdata died, or the agent stops: no answer is sent. */
void call_free(Call *call);
Call *call_find(Manager *manager, guint64 id);
