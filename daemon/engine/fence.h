/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Closing a side to applications and opening it again: the only place that does. How is the migration's option `fence`; who calls these functions
 * need not know. What each kind stops and what gets past it was measured: life-cycle.md, 'What a fence costs and stops', and docs/operations.md. */

#include <stdbool.h>

#include <glib.h>

#include "engine/ledger.h"
#include "engine/sessions.h"
#include "engine/spec.h"
#include "engine/state.h"
#include "mysql/conn.h"

/* What the administrator's hooks are asked to do. */
typedef struct FenceCall {
        Side side;
        bool open;           /* point "unfence"; else "fence" */
        const char *reason;  /* for them to know */
        bool events;         /* the event scheduler as well */
        gint64 timeout_usec; /* 0: as usual */
        bool (*stop)(gpointer userdata); /* NULL: never */
        gpointer userdata;   /* its */
} FenceCall;

/* Of one migration. Does not change: every thread may use it, each with its own connection; a slow one (fence_is_slow()) is closed and opened by the
 * engine's thread alone. */
typedef struct Fence {
        FenceKind kind;
        const Ledger *ledger;
        bool (*run_hooks)(gpointer userdata, const FenceCall *call, Conn *conn, GError **error); /* of that server; PS_ERROR_HOOK_FAILED */
        gpointer userdata;
} Fence;

/* What opening a side will have to put back is found out before it is closed, and on disk by then. */
bool fence_prepare(const Fence *fence, Conn *conn, FenceKept *ret, GError **error);

/* How a side that takes writes is closed. */
typedef struct FenceClosing {
        SessionLook *look;   /* of that server */
        bool kill_sessions;  /* also those without a transaction whose accounts the fence does not stop, where it leaves them */
        guint64 *lock;       /* the connection by which the whole server is locked; 0: it is not (fence_keep_out()) */
        gint64 timeout_usec;
        bool (*stop)(gpointer userdata); /* Abort was asked for */
        gpointer userdata;
} FenceClosing;
/* Nobody but the agent can write any more, every foreign session that holds a transaction is killed and gone, no event runs, and no prepared XA
 * transaction is left. On an error the caller opens it again. *ret_killed: sessions. PS_ERROR_DEADLINE_EXCEEDED, PS_ERROR_CHECK_FAILED (XA),
 * PS_ERROR_STOPPED (stop() said so). */
bool fence_close(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error);
/* Until the commit point those, too, are kept out whom read_only does not stop (SUPER, READ_ONLY ADMIN): with fence=global, the others leave that to who
 * provides the server. By super_read_only, where there is one, which stops the agent's own writes as well. Elsewhere their sessions are ended, and
 * when they come back, CONN locks the whole server: *how->lock. Asked again when nobody must be able to write any more, of XA transactions prepared
 * meanwhile as well, whose COMMIT gets past all that. PS_ERROR_CHECK_FAILED. */
bool fence_keep_out(const Fence *fence, Conn *conn, const FenceClosing *how, GError **error);
/* Behind the commit point the agent has to write again: whoever waits for *LOCK is ended before it goes. fence_open() takes it away, too, but ends nobody. */
bool fence_let_go(const Fence *fence, Conn *conn, guint64 *lock, GError **error); /* LOCK NULL: this process has locked nothing */
const char *fence_let_go_sql(const Fence *fence); /* the same for an administrator, the side stays closed; "": nothing */
/* How a side is opened. */
typedef struct FenceOpening {
        const FenceKept *kept; /* NULL: nothing */
        /* Whether what becomes of something that the fence has closed is decided elsewhere: of the account (user, host), or the EVENT (database, name).
         * NULL: everything is opened again. */
        bool (*elsewhere)(gpointer userdata, bool event, const char *first, const char *second);
        gpointer userdata;
        const char *reason; /* for hooks */
} FenceOpening;
bool fence_open(const Fence *fence, Side side, Conn *conn, const FenceOpening *how, GError **error); /* HOW NULL: nothing is known */
/* Closes a side that takes no writes anyhow, or sees to it that it still is closed. */
bool fence_shut(const Fence *fence, Side side, Conn *conn, GError **error); /* the agent can write there */
bool fence_is_slow(const Fence *fence); /* closing and opening runs hooks, which may take their time */
bool fence_is_closed(const Fence *fence, Conn *conn, bool *ret, GError **error);
/* The same before a migration begins: whether it is so by somebody else's doing, and has to be left so. */
bool fence_found_closed(const Fence *fence, Conn *conn, bool *ret, GError **error);
/* What it has closed by now goes into KEPT. */
bool fence_remember(const Fence *fence, Conn *conn, FenceKept *kept, GError **error);
/* Accounts are what is closed: those that were carried are opened behind the commit point only. */
bool fence_is_of_accounts(const Fence *fence);
/* Such a fence: the accounts that it has closed, as a set of account_name(). And closes one more, which is about to become able to write. */
GHashTable *fence_closed_accounts(const Fence *fence, Conn *conn, GError **error);
bool fence_cover_account(const Fence *fence, Conn *conn, const char *user, const char *host, GError **error);
/* The statements with which an administrator opens what KEPT says. NULL: there is nothing. */
char *fence_opening_sql(const FenceKept *kept, const Flavor *flavor);
/* Whether a restart can bring it back on a side that was opened: by a line in the server's configuration. */
bool fence_may_come_back(const Fence *fence);

/* How many sessions fence_close() would kill now, and for how long the oldest transaction has been open (s). */
bool fence_survey(const Fence *fence, Conn *conn, SessionLook *look, bool kill_sessions, unsigned *ret_sessions, guint64 *ret_oldest, GError **error);
/* Whom closing the side would wait for, with everybody who writes behind: who has been at it for SECONDS at least. With RET_SECONDS: for how long. 0: nobody. */
bool fence_blocker(const Fence *fence, Conn *conn, guint64 seconds, guint64 *ret_id, guint64 *ret_seconds, GError **error);
/* The same of LOCK TABLES … WRITE: a table in use that cannot even be read, which is asked for a second each. NULL with no error: none. */
char *fence_locked_table(const Fence *fence, Conn *conn, GError **error);
/* Those of others (sessions.h); and of one of them whether fence_close() would end it, and why ("transaction"). */
GPtrArray *fence_sessions(const Fence *fence, Conn *conn, SessionLook *look, GError **error);
bool fence_would_end(const Session *session, bool kill_sessions);
const char *fence_why_end(const Session *session);

/* Whether a server refuses the writes of ordinary accounts by itself, as a standby does that was not promoted; not whether a side is closed. */
bool fence_is_read_only(Conn *conn, bool *ret, GError **error);
/* Something that changes with every transaction logged and with nothing else: MariaDB also logs checkpoints of its own, which move the
 * position. */
bool fence_log_mark(Conn *conn, char **ret_mark, GError **error);
