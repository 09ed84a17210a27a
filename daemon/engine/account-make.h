/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Making, changing, closing and dropping accounts on one server. No password that is put into a statement gets into an error's text. */

#include "engine/account-map.h"
#include "engine/account.h"

/* Without grants. Its plugin is "": it gets a password that nobody knows, or MAPPING's. LOCKED: closed, where the server can do that. */
bool account_create(Conn *conn, const Account *account, const AccountMapping *mapping, bool locked, GError **error);
/* Brings everything but grants to what ACCOUNT says; its plugin is "": the password is left alone. It counts after accounts_flush(). */
bool account_alter(Conn *conn, const Account *account, bool locked, GError **error);
bool account_drop(Conn *conn, const char *user, const char *host, GError **error); /* if it is there */
typedef struct RegrantResult {
        GPtrArray *failed; /* of char *: "SELECT on `db`.`t` (why)" */
        bool denied;       /* one of them, because the agent may not grant it */
        GPtrArray *left;   /* of AccountGrant, of what was to be granted and is not */
} RegrantResult;
void regrant_result_init(RegrantResult *result);
void regrant_result_clear(RegrantResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RegrantResult, regrant_result_clear)
/* Takes the first grants (of AccountGrant) from it and gives it the others. What the server does not grant is named in RET. */
bool account_regrant(Conn *conn, const Account *account, const GPtrArray *revoke, const GPtrArray *grant, RegrantResult *ret, GError **error);
bool accounts_flush(Conn *conn, GError **error);
/* MySQL 5.6: what stands for a lock there (ACCOUNT_SHUT), or takes it away. It counts after accounts_flush(). SECRET: the hash that it had: SET PASSWORD
 * empties that of a closed account, which must not stay so. */
bool account_shut_row(Conn *conn, const char *user, const char *host, bool shut, const char *secret, GError **error);
/* NAMES: account_name() of accounts. On a server that locks accounts. */
bool accounts_lock(Conn *conn, const GPtrArray *names, bool locked, GError **error);
