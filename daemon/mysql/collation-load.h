/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Asks servers for the weights of collations (collation.h), and gives them to the tables that have them in their keys. */

#include "mysql/collation.h"
#include "mysql/conn.h"
#include "mysql/schema.h"

/* *RET stays NULL when COLLATION of CHARSET is not simple on that server, or not there. */
bool collation_load(Conn *conn, const char *charset, const char *collation, Collation **ret, GError **error);

/* The collations of one direction's keys. */
typedef struct CollationSet {
        GHashTable *by_name; /* collation → CollationEntry */
} CollationSet;

typedef struct CollationEntry {
        Collation *order; /* the upstream's, joined with the downstream's (collation_join()); NULL: only the server can compare */
} CollationEntry;

CollationSet *collation_set_new(void);
void collation_set_free(CollationSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CollationSet, collation_set_free)
/* Makes SCHEMA, which UP gave, KEY_ORDER_AGENT when that was only missing because of simple collations. Servers are asked once for each
 * collation of a set. To be called for every schema of a direction that rows are ordered by or spread over workers by. */
bool collation_set_resolve(CollationSet *set, Conn *up, Conn *down, TableSchema *schema, GError **error);
/* Stays the same as long as both servers keep their weights. */
guint64 collation_entry_digest(const CollationEntry *entry);
