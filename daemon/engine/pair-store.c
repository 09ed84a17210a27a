/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pair-store.h. */

#include "engine/pair-store.h"

#include "engine/json-text.h"

static PairStore *store_new(const PairKind *kind) {
        PairStore *store = g_new0(PairStore, 1);
        store->kind = kind;
        store->entries = g_ptr_array_new_with_free_func(kind->free);
        store->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return store;
}

void pair_store_free(PairStore *store) {
        if (!store)
                return;
        g_hash_table_unref(store->index);
        g_ptr_array_unref(store->entries);
        g_free(store);
}

gpointer pair_store_find(const PairStore *store, const char *name) {
        return g_hash_table_lookup(store->index, name);
}

void pair_store_add(PairStore *store, gpointer entry) {
        g_ptr_array_add(store->entries, entry);
        g_hash_table_insert(store->index, store->kind->name(entry), entry);
}

void pair_store_remove(PairStore *store, gpointer entry) {
        g_autofree char *name = store->kind->name(entry);
        g_hash_table_remove(store->index, name);
        g_ptr_array_remove(store->entries, entry);
}

char *pair_store_refused(const PairStore *store, Side side, guint *ret_count) {
        char *first = NULL;
        *ret_count = 0;
        for (guint i = 0; i < store->entries->len; i++) {
                const char *why = store->kind->refused(store->entries->pdata[i], side);
                if (!why || (*ret_count)++ > 0)
                        continue;
                g_autofree char *name = store->kind->name(store->entries->pdata[i]);
                first = g_strdup_printf("%s: %s", name, why);
        }
        return first;
}

/* --- the file --- */

bool pair_store_save(const PairStore *store, const char *directory, GError **error) {
        g_autoptr(JsonObject) object = json_object_new();
        JsonArray *array = json_array_new();
        for (guint i = 0; i < store->entries->len; i++)
                json_array_add_object_element(array, store->kind->to_json(store->entries->pdata[i]));
        json_object_set_int_member(object, "version", 1);
        json_object_set_array_member(object, store->kind->member, array);
        return json_save(object, directory, store->kind->file, error);
}

PairStore *pair_store_load(const PairKind *kind, const char *directory, GError **error) {
        g_autoptr(PairStore) store = store_new(kind);
        g_autoptr(JsonArray) array = NULL;
        bool good = true;
        if (!json_load(directory, kind->file, kind->member, &array, error))
                return NULL;
        for (guint i = 0; good && array && i < json_array_get_length(array); i++) {
                JsonNode *node = json_array_get_element(array, i);
                good = JSON_NODE_HOLDS_OBJECT(node) && kind->from_json(store, json_node_get_object(node));
        }
        if (good)
                return g_steal_pointer(&store);
        g_propagate_error(error, json_unreadable(directory, kind->file));
        return NULL;
}
