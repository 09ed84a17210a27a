/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The credential NAME.accounts: what becomes of accounts whose password the other server cannot check. Lines of three forms; empty lines, and
 * lines that begin with #, are passed over:
 *
 *      'user'@'host' password THE REST OF THE LINE
 *      'user'@'host' hash PLUGIN STRING
 *      'user'@'host' leave
 *
 * Names are quoted as in SQL. Pure. */

#include <stdbool.h>

#include <glib.h>

typedef enum AccountMappingKind {
        ACCOUNT_MAPPING_PASSWORD, /* its password there, and tried there once it is open */
        ACCOUNT_MAPPING_HASH,
        ACCOUNT_MAPPING_LEAVE, /* not carried */
} AccountMappingKind;

typedef struct AccountMapping {
        AccountMappingKind kind;
        char *plugin; /* of a hash */
        char *secret; /* the password, or the hash */
} AccountMapping;

typedef struct AccountMap AccountMap;
/* PS_ERROR_INVALID_OPTION names the line, and nothing that stands in it. */
AccountMap *account_map_parse(const char *text, GError **error);
void account_map_free(AccountMap *map); /* wipes */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AccountMap, account_map_free)
const AccountMapping *account_map_find(const AccountMap *map, const char *user, const char *host); /* or NULL; MAP may be NULL */
