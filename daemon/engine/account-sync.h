/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Making the accounts of the side that does not take writes (down) what those of the other side (up) are. It can be done at any time and again and again:
 * what is in step is left alone. What we made there is closed until that side takes writes: locked, or with a password that nobody knows on a server that cannot lock (its
 * grants are there: views and routines that are defined by it have to work). */

#include "engine/account-map.h"
#include "engine/account-store.h"

typedef struct AccountSync {
        const char *directory; /* of the store */
        PairStore *store;
        const AccountMap *map; /* may be NULL */
        Conn *conns[_SIDE_MAX];
        Side up;
        GHashTable *fenced; /* accounts that a fence has closed on the other side, as a set of account_name(); NULL: none, ever */
        /* Such a fence: has to close one there, before it becomes what it is now on the up side. */
        bool (*cover)(gpointer userdata, const char *user, const char *host, GError **error);
        bool partial; /* only some tables are migrated: accounts are named, and stay */
        void (*on_refused)(gpointer userdata, const AccountEntry *entry, Side side); /* an account that the other side does not take; once for each reason */
        gpointer userdata;
} AccountSync;

/* Accounts that are refused are no error: the store names them. */
bool accounts_sync(AccountSync *sync, GError **error);
/* SIDE takes no writes: closes what we made there. Does nothing when all is so already. */
bool accounts_disarm(AccountSync *sync, Side side, GError **error);
/* SIDE is to take writes: opens it. *ret_count: how many. Those that still need a password stay closed. */
bool accounts_arm(AccountSync *sync, Side side, guint *ret_count, GError **error);
/* Drops what was made on SIDE. */
bool accounts_drop_all(AccountSync *sync, Side side, GError **error);
