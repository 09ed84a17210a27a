/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What fence=accounts closed on a server: rows of polarshift.fence_T there, committed before anything is closed, deleted after everything is open
 * again; and as lines of text, which the state keeps in case that table is lost. */

#include <stdbool.h>

#include <glib.h>

#include "engine/ledger.h"

typedef enum FenceItemKind {
        FENCE_ITEM_MARK, /* the side is closed */
        FENCE_ITEM_ACCOUNT,
        FENCE_ITEM_EVENT,
        _FENCE_ITEM_MAX,
        _FENCE_ITEM_INVALID = -1,
} FenceItemKind;
ENUM_TABLE_DECLARE(fence_item_kind, FenceItemKind);

typedef struct FenceItem {
        FenceItemKind kind;
        char *first, *second; /* user and host; database and name */
        char *secret;         /* MySQL 5.6: the hash, see fence-accounts.c; "" elsewhere. Not in the text */
} FenceItem;
FenceItem *fence_item_new(FenceItemKind kind, const char *first, const char *second, const char *secret);
void fence_item_free(FenceItem *item); /* wipes */

/* *ret NULL: there is no such table. Of FenceItem. */
bool fence_record_load(const Ledger *ledger, Conn *conn, GPtrArray **ret, GError **error);
bool fence_record_add(const Ledger *ledger, Conn *conn, const GPtrArray *items, GError **error); /* one transaction; those that are there stay */
bool fence_record_clear(const Ledger *ledger, Conn *conn, GError **error);
const FenceItem *fence_record_find(const GPtrArray *items, FenceItemKind kind, const char *first, const char *second);

char *fence_record_to_text(const GPtrArray *items);   /* NULL: none */
GPtrArray *fence_record_from_text(const char *text);  /* what cannot be read is left out; NULL text: none */
