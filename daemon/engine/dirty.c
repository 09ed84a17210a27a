/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dirty.h. Two sets: what is dirty, and, while a comparison runs, what will be when it ends well. */

#include "engine/dirty.h"

#include <pthread.h>
#include <string.h>

#define COST 96 /* of a key beside its bytes, about */

typedef struct DirtyTable {
        bool unknown;
        GHashTable *keys; /* of GBytes */
        gsize bytes;
} DirtyTable;

typedef enum Which { NOW, NEXT, _WHICH_MAX } Which;

typedef struct DirtySet {
        bool open;          /* tables that are not listed are known, without a key; else nothing is known but what is listed */
        GHashTable *tables; /* name → DirtyTable */
        gsize bytes;
} DirtySet;

struct DirtyKeys {
        pthread_mutex_t lock;
        gsize bytes_max;
        DirtySet sets[_WHICH_MAX];
        /* Of the last call of dirty_add(): one table's rows come in rows. */
        char *last_name;
        DirtyTable *last[_WHICH_MAX];
};

static void table_free(gpointer data) {
        DirtyTable *table = data;
        g_hash_table_unref(table->keys);
        g_free(table);
}

static DirtyTable *table_new(void) {
        DirtyTable *table = g_new0(DirtyTable, 1);
        table->keys = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
        return table;
}

static void forget_last(DirtyKeys *dirty) {
        g_clear_pointer(&dirty->last_name, g_free);
        dirty->last[NOW] = dirty->last[NEXT] = NULL;
}

static void set_clear(DirtyKeys *dirty, Which which, bool open) {
        DirtySet *set = &dirty->sets[which];
        g_hash_table_remove_all(set->tables);
        set->bytes = 0;
        set->open = open;
        forget_last(dirty);
}

DirtyKeys *dirty_new(gsize bytes_max) {
        DirtyKeys *dirty = g_new0(DirtyKeys, 1);
        dirty->bytes_max = bytes_max;
        pthread_mutex_init(&dirty->lock, /* attr= */ NULL);
        for (Which which = NOW; which < _WHICH_MAX; which++)
                dirty->sets[which].tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, table_free);
        return dirty;
}

void dirty_free(DirtyKeys *dirty) {
        if (!dirty)
                return;
        for (Which which = NOW; which < _WHICH_MAX; which++)
                g_hash_table_unref(dirty->sets[which].tables);
        forget_last(dirty);
        pthread_mutex_destroy(&dirty->lock);
        g_free(dirty);
}

/* NULL: nothing is kept about it, since nothing is known anyhow. */
static DirtyTable *find(DirtySet *set, const char *name) {
        DirtyTable *table = g_hash_table_lookup(set->tables, name);
        if (table || !set->open)
                return table;
        table = table_new();
        g_hash_table_insert(set->tables, g_strdup(name), table);
        return table;
}

static void select_table(DirtyKeys *dirty, const char *name) {
        if (dirty->last_name && strcmp(dirty->last_name, name) == 0)
                return;
        g_free(dirty->last_name);
        dirty->last_name = g_strdup(name);
        for (Which which = NOW; which < _WHICH_MAX; which++)
                dirty->last[which] = find(&dirty->sets[which], name);
}

static void make_unknown(DirtySet *set, DirtyTable *table) {
        g_hash_table_remove_all(table->keys);
        set->bytes -= table->bytes;
        table->bytes = 0;
        table->unknown = true;
}

void dirty_add(DirtyKeys *dirty, const char *name, const char *key, gsize size) {
        pthread_mutex_lock(&dirty->lock);
        select_table(dirty, name);
        g_autoptr(GBytes) bytes = NULL;
        for (Which which = NOW; which < _WHICH_MAX; which++) {
                DirtySet *set = &dirty->sets[which];
                DirtyTable *table = dirty->last[which];
                if (!table || table->unknown)
                        continue;
                if (!bytes)
                        bytes = g_bytes_new(key, size);
                if (!g_hash_table_add(table->keys, g_bytes_ref(bytes)))
                        continue;
                table->bytes += size + COST;
                set->bytes += size + COST;
                if (set->bytes > dirty->bytes_max / _WHICH_MAX)
                        make_unknown(set, table);
        }
        pthread_mutex_unlock(&dirty->lock);
}

void dirty_add_unknown(DirtyKeys *dirty, const char *name) {
        pthread_mutex_lock(&dirty->lock);
        select_table(dirty, name);
        for (Which which = NOW; which < _WHICH_MAX; which++)
                if (dirty->last[which] && !dirty->last[which]->unknown)
                        make_unknown(&dirty->sets[which], dirty->last[which]);
        pthread_mutex_unlock(&dirty->lock);
}

void dirty_begin(DirtyKeys *dirty) {
        pthread_mutex_lock(&dirty->lock);
        set_clear(dirty, NEXT, /* open= */ true);
        pthread_mutex_unlock(&dirty->lock);
}

void dirty_end(DirtyKeys *dirty, bool equal) {
        pthread_mutex_lock(&dirty->lock);
        if (equal && dirty->sets[NEXT].open) {
                DirtySet now = dirty->sets[NOW];
                dirty->sets[NOW] = dirty->sets[NEXT];
                dirty->sets[NEXT] = now;
        }
        set_clear(dirty, NEXT, /* open= */ false);
        pthread_mutex_unlock(&dirty->lock);
}

void dirty_forget(DirtyKeys *dirty) {
        pthread_mutex_lock(&dirty->lock);
        for (Which which = NOW; which < _WHICH_MAX; which++)
                set_clear(dirty, which, /* open= */ false);
        pthread_mutex_unlock(&dirty->lock);
}

static void add_table(GVariantBuilder *b, const char *name, const DirtyTable *table) {
        GHashTableIter iter;
        gpointer key;
        g_variant_builder_open(b, G_VARIANT_TYPE("(aybaay)"));
        g_variant_builder_add(b, "^ay", name);
        g_variant_builder_add(b, "b", table->unknown);
        g_variant_builder_open(b, G_VARIANT_TYPE("aay"));
        g_hash_table_iter_init(&iter, table->keys);
        while (g_hash_table_iter_next(&iter, &key, NULL))
                g_variant_builder_add_value(b, g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, key, /* trusted= */ TRUE));
        g_variant_builder_close(b);
        g_variant_builder_close(b);
}

GVariant *dirty_get(DirtyKeys *dirty, bool *ret_open) {
        GVariantBuilder b;
        GHashTableIter iter;
        gpointer name, table;
        g_variant_builder_init(&b, G_VARIANT_TYPE(DIRTY_TABLES));
        pthread_mutex_lock(&dirty->lock);
        const DirtySet *set = &dirty->sets[NOW];
        *ret_open = set->open;
        g_hash_table_iter_init(&iter, set->tables);
        while (g_hash_table_iter_next(&iter, &name, &table))
                add_table(&b, name, table);
        pthread_mutex_unlock(&dirty->lock);
        return g_variant_ref_sink(g_variant_builder_end(&b));
}

void dirty_set(DirtyKeys *dirty, bool open, GVariant *tables) {
        GVariantIter iter, *keys;
        const char *name;
        gboolean unknown;
        pthread_mutex_lock(&dirty->lock);
        set_clear(dirty, NOW, open);
        pthread_mutex_unlock(&dirty->lock);
        g_variant_iter_init(&iter, tables);
        while (g_variant_iter_next(&iter, "(^&aybaay)", &name, &unknown, &keys)) {
                GVariant *key;
                dirty_watch(dirty, name);
                while (!unknown && (key = g_variant_iter_next_value(keys))) {
                        gsize size;
                        const char *bytes = g_variant_get_fixed_array(key, &size, 1);
                        dirty_add(dirty, name, bytes, size);
                        g_variant_unref(key);
                }
                if (unknown)
                        dirty_add_unknown(dirty, name);
                g_variant_iter_free(keys);
        }
}

bool dirty_is_known(DirtyKeys *dirty, const char *name, guint64 *ret_keys) {
        pthread_mutex_lock(&dirty->lock);
        const DirtyTable *table = g_hash_table_lookup(dirty->sets[NOW].tables, name);
        bool known = table ? !table->unknown : dirty->sets[NOW].open;
        *ret_keys = known && table ? g_hash_table_size(table->keys) : 0;
        pthread_mutex_unlock(&dirty->lock);
        return known;
}

void dirty_watch(DirtyKeys *dirty, const char *name) {
        DirtySet *set = &dirty->sets[NOW];
        pthread_mutex_lock(&dirty->lock);
        DirtyTable *table = g_hash_table_lookup(set->tables, name);
        if (table)
                make_unknown(set, table);
        else {
                table = table_new();
                g_hash_table_insert(set->tables, g_strdup(name), table);
        }
        table->unknown = false;
        forget_last(dirty);
        pthread_mutex_unlock(&dirty->lock);
}

GPtrArray *dirty_take(DirtyKeys *dirty, const char *name) {
        GPtrArray *taken = NULL;
        pthread_mutex_lock(&dirty->lock);
        DirtyTable *table = g_hash_table_lookup(dirty->sets[NOW].tables, name);
        if (table && !table->unknown && g_hash_table_size(table->keys) > 0) {
                GHashTableIter iter;
                gpointer key;
                taken = g_ptr_array_new_full(g_hash_table_size(table->keys), (GDestroyNotify) g_bytes_unref);
                g_hash_table_iter_init(&iter, table->keys);
                while (g_hash_table_iter_next(&iter, &key, NULL)) {
                        g_ptr_array_add(taken, key);
                        g_hash_table_iter_steal(&iter);
                }
                dirty->sets[NOW].bytes -= table->bytes;
                table->bytes = 0;
        }
        pthread_mutex_unlock(&dirty->lock);
        return taken;
}
