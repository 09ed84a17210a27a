/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the kinds of fences share: fence.c chooses one of them, each is a file of its own. */

#include "engine/fence.h"

/* fence-global.c: the server's global read_only, and its event scheduler. */
bool fence_global_prepare(Conn *conn, FenceKept *ret, GError **error);
bool fence_global_close(Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error);
bool fence_global_open(Conn *conn, const FenceKept *kept, GError **error);
bool fence_global_shut(Conn *conn, GError **error);

/* fence-accounts.c: accounts that could write are locked. */
bool fence_accounts_prepare(Conn *conn, FenceKept *ret, GError **error);
bool fence_accounts_close(const Ledger *ledger, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error);
bool fence_accounts_open(const Ledger *ledger, Conn *conn, const FenceOpening *how, GError **error);
bool fence_accounts_shut(const Ledger *ledger, Conn *conn, GError **error);
bool fence_accounts_is_closed(const Ledger *ledger, Conn *conn, bool *ret, GError **error);
bool fence_accounts_remember(const Ledger *ledger, Conn *conn, FenceKept *kept, GError **error);
bool fence_accounts_cover(const Ledger *ledger, Conn *conn, const char *user, const char *host, GError **error);
bool fence_accounts_look(Conn *conn, GPtrArray *sessions, GError **error);
GHashTable *fence_accounts_closed(const Ledger *ledger, Conn *conn, GError **error);
char *fence_accounts_sql(const char *closed, const Flavor *flavor);

/* fence.c */
bool fence_stopped(const FenceClosing *how, GError **error);
typedef bool (*FenceChoice)(const Session *session, gconstpointer data);
/* Those of which WOULD_END says so are killed and gone by UNTIL. LOOK NULL: nothing is known of transactions. */
bool fence_kill_sessions(Conn *conn, SessionLook *look, FenceChoice would_end, gconstpointer data, gint64 until, unsigned *ret_killed, GError **error);
bool fence_no_prepared_xa(Conn *conn, GError **error);
