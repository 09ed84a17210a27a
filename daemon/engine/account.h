/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Accounts with what they may do, as values: read from the tables of a server's own database, so that names of any bytes come out as they are,
 * and what they become on a server of another family. Reads only; making them is account-make.h. */

#include <stdbool.h>

#include <glib.h>

#include "base/enum-table.h"
#include "mysql/conn.h"

typedef enum AccountLevel {
        ACCOUNT_LEVEL_GLOBAL,
        ACCOUNT_LEVEL_DATABASE, /* database: a pattern, as it was granted */
        ACCOUNT_LEVEL_TABLE,
        ACCOUNT_LEVEL_COLUMN,
        ACCOUNT_LEVEL_FUNCTION,
        ACCOUNT_LEVEL_PROCEDURE,
        ACCOUNT_LEVEL_PROXY, /* database and name: user and host that it may be */
        _ACCOUNT_LEVEL_MAX,
        _ACCOUNT_LEVEL_INVALID = -1,
} AccountLevel;
ENUM_TABLE_DECLARE(account_level, AccountLevel);

/* One privilege on one object. Members that a level does not have are "". */
typedef struct AccountGrant {
        AccountLevel level;
        char *database, *name, *column;
        char *privilege; /* in capitals: "SELECT", "GRANT OPTION", "PROXY" */
} AccountGrant;
AccountGrant *account_grant_new(AccountLevel level, const char *database, const char *name, const char *column, const char *privilege);
void account_grant_free(AccountGrant *grant);
int account_grant_compare(const AccountGrant *a, const AccountGrant *b);
bool account_grant_same_object(const AccountGrant *a, const AccountGrant *b); /* a column's: its table */
char *account_grant_object(const AccountGrant *grant); /* "`db`.`t`", as in GRANT … ON */

typedef enum AccountLimit {
        ACCOUNT_LIMIT_QUERIES,
        ACCOUNT_LIMIT_UPDATES,
        ACCOUNT_LIMIT_CONNECTIONS,
        ACCOUNT_LIMIT_USER_CONNECTIONS,
        _ACCOUNT_LIMIT_MAX,
        _ACCOUNT_LIMIT_INVALID = -1,
} AccountLimit;
ENUM_TABLE_DECLARE(account_limit, AccountLimit); /* "MAX_QUERIES_PER_HOUR" */

#define ACCOUNT_NATIVE "mysql_native_password"
#define ACCOUNT_OLD "mysql_old_password"
/* No password has this hash: the digest of a digest is not all zeros. */
#define ACCOUNT_IMPOSSIBLE "*0000000000000000000000000000000000000000"

typedef struct Account {
        char *user, *host;
        char *plugin; /* how it logs in; "": in no way that a server understands */
        char *secret; /* the hash, or whatever that plugin keeps; "": no password */
        char *tls;    /* "", "ANY", "X509", "SPECIFIED", as the tables say it */
        char *cipher, *issuer, *subject;
        guint64 limits[_ACCOUNT_LIMIT_MAX];
        bool expired, locked;
        bool role;
        GPtrArray *grants; /* of AccountGrant, sorted, each once */
        GPtrArray *beyond; /* of char *: what else it has, which no other family knows ("role `x`@`%`") */
} Account;

Account *account_new(const char *user, const char *host);
Account *account_copy(const Account *account);
void account_free(Account *account);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Account, account_free)
void account_set(char **member, const char *value); /* replaces; a secret is wiped */
void account_add_grant(Account *account, AccountLevel level, const char *database, const char *name, const char *column, const char *privilege);
void account_sort(Account *account); /* grants sorted, each once */
bool account_has(const Account *account, const char *privilege); /* globally */

/* 'user'@'host' */
char *account_name(const char *user, const char *host);

/* In what they differ. */
typedef enum AccountDifference {
        ACCOUNT_DIFFERS_PASSWORD = 1 << 0,
        ACCOUNT_DIFFERS_TLS = 1 << 1,
        ACCOUNT_DIFFERS_LIMITS = 1 << 2,
        ACCOUNT_DIFFERS_EXPIRED = 1 << 3,
        ACCOUNT_DIFFERS_LOCKED = 1 << 4,
        ACCOUNT_DIFFERS_GRANTS = 1 << 5,
} AccountDifference;
unsigned account_compare(const Account *a, const Account *b);
char *account_difference_text(unsigned difference); /* "its password, its grants" */
void account_remove_grants(Account *account, const GPtrArray *grants); /* those that are equal to GRANTS */
/* → GPtrArray of AccountGrant that are A's and not B's; they belong to A. */
GPtrArray *account_grants_without(const Account *a, const Account *b);

/* Whether it has a privilege that lets it change data or definitions, itself or through a routine, or a role, which is not looked into. */
bool account_may_write(const Account *account);
/* On MySQL 5.6, which has no locks, `locked` is this before the name of the plugin; alone, the name was NULL. */
#define ACCOUNT_SHUT "polarshift-closed"

/* Why an account always stays with its server: the server's own, the agent's (its user is OWN_USER), an administrator's. NULL: it may be carried. */
const char *account_stays(const Account *account, const char *own_user);

/* → GPtrArray of Account, by user and host. Nine statements. */
GPtrArray *accounts_read(Conn *conn, GError **error);
/* The one of that name in what was read; or NULL. */
Account *accounts_find(const GPtrArray *accounts, const char *user, const char *host);
char *accounts_own_user(Conn *conn, GError **error); /* of the agent, as the server knows it */

/* What a server takes. */
typedef struct AccountTarget {
        const Flavor *flavor;
        GHashTable *plugins; /* set: ways of logging in that work there */
} AccountTarget;
void account_target_clear(AccountTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AccountTarget, account_target_clear)
bool account_target_read(Conn *conn, AccountTarget *ret, GError **error);
bool account_target_locks(const Flavor *flavor); /* ACCOUNT LOCK */
/* The statement with which an administrator gives a new password. */
char *account_password_statement(const Flavor *flavor, const char *user, const char *host);

/* ACCOUNT, of a server of the family FROM, as TARGET can have it. What comes out otherwise is added to NOTES (of char *). Its plugin is "" when
 * TARGET has no way to check its password. Pure. */
Account *account_translate(const Account *account, const Flavor *from, const AccountTarget *target, GPtrArray *notes);
