/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What is known of every account of a migration, on both sides, in accounts.json in its folder: which ones belong together, what each is on its
 * side when that side takes writes, which ones we made, and why others stay behind. Written before anything is made or changed. */

#include "engine/account.h"
#include "engine/pair-store.h"
#include "engine/spec.h"

typedef enum AccountLoginOutcome {
        ACCOUNT_LOGIN_UNKNOWN, /* that side was not opened yet, or the account is not one that was carried */
        ACCOUNT_LOGIN_DONE,
        ACCOUNT_LOGIN_FAILED,
        ACCOUNT_LOGIN_NOT_TRIED,
        _ACCOUNT_LOGIN_MAX,
        _ACCOUNT_LOGIN_INVALID = -1,
} AccountLoginOutcome;
ENUM_TABLE_DECLARE(account_login, AccountLoginOutcome); /* "logged-in", "failed", "not-tried" */

/* Whether it could log in on a side when that side was opened (account-login.h). */
typedef struct AccountLogin {
        AccountLoginOutcome outcome;
        char *why;         /* the error, or why it was not tried; or NULL */
        guint64 operation; /* that opened the side: one try for each */
} AccountLogin;

typedef struct AccountEntry {
        char *user, *host;
        char *stays;               /* why nothing is done with it: an administrator's, the agent's, there before; NULL: it is carried */
        bool there_before;         /* the destination had it before us, and the source had not: it never goes back */
        bool ours[_SIDE_MAX];      /* made there by us: closed while that side takes no writes */
        bool pending[_SIDE_MAX];   /* it needs a new password there, and stays closed until somebody gave it one */
        Account *sides[_SIDE_MAX]; /* as it is on that side when that side takes writes; NULL: not known */
        char *refused[_SIDE_MAX];  /* why that side does not have it; NULL: it has */
        char *note[_SIDE_MAX];     /* what came out otherwise there; or NULL */
        char *sql[_SIDE_MAX];      /* what is left to do by hand there; or NULL */
        AccountLogin logins[_SIDE_MAX];
} AccountEntry;

/* Of AccountEntry, found by account_name(). */
extern const PairKind account_kind;
AccountEntry *account_store_find(const PairStore *store, const char *user, const char *host); /* or NULL */
AccountEntry *account_store_add(PairStore *store, const char *user, const char *host);
