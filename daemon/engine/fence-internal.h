/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The kinds of fences, each a table of functions in a file of its own, and what they share. fence.c chooses. */

#include "engine/fence.h"

/* A kind of fence: what fence.h promises, done its way. */
typedef struct FenceOps {
        bool of_accounts;   /* fence_is_of_accounts() */
        bool may_come_back; /* fence_may_come_back() */
        bool slow;          /* fence_is_slow() */
        bool (*prepare)(const Fence *fence, Conn *conn, FenceKept *ret, GError **error);
        bool (*close)(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error);
        bool (*open)(const Fence *fence, Side side, Conn *conn, const FenceOpening *how, GError **error);
        bool (*shut)(const Fence *fence, Side side, Conn *conn, GError **error);
        bool (*is_closed)(const Fence *fence, Conn *conn, bool *ret, GError **error);
        /* NULL: it has nothing to say there. */
        bool (*found_closed)(const Fence *fence, Conn *conn, bool *ret, GError **error); /* nobody else's doing is recorded */
        bool (*remember)(const Fence *fence, Conn *conn, FenceKept *kept, GError **error);
        bool (*look)(const Fence *fence, Conn *conn, GPtrArray *sessions, GError **error); /* sets Session.locked_out, Session.past_fence */
        bool (*keep_out)(const Fence *fence, Conn *conn, const FenceClosing *how, GError **error);
        bool (*let_go)(const Fence *fence, Conn *conn, guint64 *lock, GError **error);
        const char *let_go_sql;
} FenceOps;

extern const FenceOps fence_global_ops;   /* fence-global.c: the server's global read_only, and its event scheduler */
extern const FenceOps fence_accounts_ops; /* fence-accounts.c: accounts that could write are locked */
extern const FenceOps fence_hook_ops;     /* fence-hook.c: the administrator's hooks */

/* fence-global.c: shared with fence-hook.c. */
bool fence_prepare_events(const Fence *fence, Conn *conn, FenceKept *ret, GError **error);
bool fence_look_at_events(Conn *conn, FenceKept *kept, bool *ret_on, GError **error); /* KEPT: what opening will have to put back */
bool fence_switch_events(Conn *conn, bool on, GError **error);
/* What read_only leaves to be done. PAST_FENCE: those are ended, too, whom it does not stop. *ret_back: they come back. */
bool fence_end_transactions(Conn *conn, const FenceClosing *how, bool past_fence, gint64 until, unsigned *ret_killed, bool *ret_back, GError **error);

/* fence-accounts.c: what only such a fence is asked. */
bool fence_accounts_cover(const Ledger *ledger, Conn *conn, const char *user, const char *host, GError **error);
GHashTable *fence_accounts_closed(const Ledger *ledger, Conn *conn, GError **error);
char *fence_accounts_sql(const char *closed, const Flavor *flavor);

/* fence.c */
bool fence_sees_read_only(const Fence *fence, Conn *conn, bool *ret, GError **error); /* for the table */
bool fence_stopped(const FenceClosing *how, GError **error);
typedef bool (*FenceChoice)(const Session *session, gconstpointer data);
/* Those of which WOULD_END says so are killed and gone by UNTIL. LOOK NULL: nothing is known of transactions. RET_BACK: others come again and again, and
 * that is that; NULL: then it takes until UNTIL. */
bool fence_kill_sessions(Conn *conn, SessionLook *look, FenceChoice would_end, gconstpointer data, gint64 until, unsigned *ret_killed, bool *ret_back, GError **error);
/* Before sessions are ended, too: MySQL 5.6 rolls a prepared one back when its session is killed, though its client was told that it is kept. */
bool fence_no_prepared_xa(Conn *conn, GError **error);
