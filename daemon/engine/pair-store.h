/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What both sides of a migration have of one kind (accounts, programs): entries that are found by name, in the order in which they came, and the
 * file in the migration's folder that remembers them. */

#include <stdbool.h>

#include <json-glib/json-glib.h>

#include "engine/phase.h"

typedef struct PairStore PairStore;

typedef struct PairKind {
        const char *file, *member;                      /* the list MEMBER of the file */
        char *(*name)(gconstpointer entry);             /* what it is found by */
        const char *(*refused)(gconstpointer entry, Side side); /* why SIDE does not have it; NULL: it has */
        JsonObject *(*to_json)(gconstpointer entry);
        bool (*from_json)(PairStore *store, JsonObject *object); /* adds one; false: not understood */
        GDestroyNotify free;
} PairKind;

struct PairStore {
        const PairKind *kind;
        GPtrArray *entries;
        GHashTable *index; /* name → entry */
};

void pair_store_free(PairStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PairStore, pair_store_free)
/* From DIRECTORY; empty when there is no file yet. PS_ERROR_STATE_UNREADABLE. */
PairStore *pair_store_load(const PairKind *kind, const char *directory, GError **error);
bool pair_store_save(const PairStore *store, const char *directory, GError **error);

gpointer pair_store_find(const PairStore *store, const char *name); /* or NULL */
void pair_store_add(PairStore *store, gpointer entry);              /* takes it over */
void pair_store_remove(PairStore *store, gpointer entry);           /* frees it */
/* How many SIDE does not have, and the first of them as "NAME: why"; NULL: none. */
char *pair_store_refused(const PairStore *store, Side side, guint *ret_count);
