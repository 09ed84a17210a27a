/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Whether carried accounts can log in, once their side is open: a connection from the agent's host for each account whose password is known, from the
 * credential NAME.accounts or because it is empty. What cannot be told from this host is said so, and not tried: a failure counts against whoever the
 * server takes it for. One try for each account and operation, whatever becomes of the agent. */

#include "engine/account-map.h"
#include "engine/account-store.h"

/* What a server sees of this host. */
typedef struct LoginOrigin {
        char *name;    /* as USER() says it: a name, or the address */
        char *address; /* or NULL */
        bool sure;     /* of the address: the server said it, or it is this host itself. Else it is what our end of the connection has */
} LoginOrigin;
void login_origin_clear(LoginOrigin *origin);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LoginOrigin, login_origin_clear)
/* USER: what USER() says; LOCAL: conn_local_address(), or NULL. */
void login_origin_set(LoginOrigin *origin, const char *user, const char *local);

typedef enum LoginMatch {
        LOGIN_MATCH_NO,
        LOGIN_MATCH_ADDRESS, /* by an address that is not sure */
        LOGIN_MATCH_YES,
} LoginMatch;
/* Whether an account of that host pattern may come from there. */
LoginMatch login_origin_match(const LoginOrigin *origin, const char *host);

/* The account that the server takes for ACCOUNT's user from there, rather than ACCOUNT, out of ALL of that server; NULL: none. *ret_sure: by the rule
 * that all families have (no wildcard comes before one, a late one before an early one); else it may be. */
const Account *login_taken_by(const Account *account, const GPtrArray *all, const LoginOrigin *origin, bool *ret_sure);

typedef struct AccountLogins {
        PairStore *store;
        const char *directory;    /* of the store */
        const AccountMap *map;    /* may be NULL */
        Side side;                /* which takes writes now */
        Conn *conn;               /* the agent's, there */
        const ConnParams *params; /* with which it was opened */
        guint64 operation;
        gint64 until;             /* monotonic */
        bool (*stopping)(gpointer userdata);
        gpointer userdata;
        guint count[_ACCOUNT_LOGIN_MAX]; /* of this call; out */
} AccountLogins;
/* Fails when the server cannot be asked what there is, or the file not be written; a login that fails is an outcome. */
bool accounts_log_in(AccountLogins *logins, GError **error);
