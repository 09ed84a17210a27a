/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See cascade.h. */

#include "engine/cascade.h"

#include <string.h>

#include "base/error.h"

/* Beyond that a doubled deletion is not recognised, and stops the link as any row that is not there does. */
#define MAX_KEY_BYTES (32u * 1024 * 1024)

/* ---- families */

static int column_named(const TableSchema *schema, const char *name) {
        for (guint i = 0; i < schema->columns->len; i++)
                if (g_ascii_strcasecmp(((const Column *) schema->columns->pdata[i])->name, name) == 0)
                        return (int) i;
        return -1;
}

/* Column names are compared without case by the server, beyond ASCII too; one that is not found counts as changed by every UPDATE. */
static void note_reference(LinkTable *parent, const ForeignKey *key) {
        parent->delete_cascades |= key->on_delete != FOREIGN_RESTRICT;
        if (key->on_update == FOREIGN_RESTRICT)
                return;
        if (!parent->update_cascades)
                parent->update_cascades = g_array_new(FALSE, FALSE, sizeof(int));
        for (guint i = 0; i < key->parent_columns->len; i++) {
                int column = column_named(parent->schema, key->parent_columns->pdata[i]);
                g_array_append_val(parent->update_cascades, column);
        }
}

static guint root(const guint *group, guint i) {
        while (group[i] != i)
                i = group[i];
        return i;
}

typedef void (*KeyFunc)(LinkTable *child, LinkTable *parent, const ForeignKey *key, gpointer data);

static void for_each_key(const LinkTables *tables, KeyFunc func, gpointer data) {
        for (guint i = 0; i < tables->list->len; i++) {
                LinkTable *child = tables->list->pdata[i];
                const GPtrArray *keys = child->schema->foreign_keys;
                for (guint k = 0; keys && k < keys->len; k++) {
                        const ForeignKey *key = keys->pdata[k];
                        LinkTable *parent = link_tables_find(tables, key->parent_database, key->parent);
                        if (parent) /* else a plain key to a table that is not carried */
                                func(child, parent, key, data);
                }
        }
}

/* DATA: per table whether a cascade changes it or begins there. */
static void mark_touched(LinkTable *child, LinkTable *parent, const ForeignKey *key, gpointer data) {
        bool *touched = data;
        if (!foreign_key_cascades(key))
                return;
        touched[child->id] = touched[parent->id] = true;
        note_reference(parent, key);
}

typedef struct Joining {
        const bool *touched;
        guint *group;
} Joining;

static void join(LinkTable *child, LinkTable *parent, const ForeignKey *key G_GNUC_UNUSED, gpointer data) {
        const Joining *joining = data;
        if (!joining->touched[child->id] && !joining->touched[parent->id])
                return;
        guint a = root(joining->group, child->id), b = root(joining->group, parent->id);
        joining->group[MAX(a, b)] = MIN(a, b);
}

static void family_free(gpointer data) {
        Family *family = data;
        g_ptr_array_unref(family->tables);
        g_ptr_array_unref(family->cascaded);
        g_free(family);
}

GPtrArray *families_make(const LinkTables *tables) {
        guint n = tables->list->len;
        g_autofree bool *touched = g_new0(bool, n + 1);
        g_autofree guint *group = g_new0(guint, n + 1);
        for (guint i = 0; i < n; i++)
                group[i] = i;
        for_each_key(tables, mark_touched, touched);
        Joining joining = {touched, group};
        for_each_key(tables, join, &joining);

        GPtrArray *families = g_ptr_array_new_with_free_func(family_free);
        g_autofree Family **by_root = g_new0(Family *, n + 1);
        g_autofree bool *has_family = g_new0(bool, n + 1);
        for (guint i = 0; i < n; i++)
                has_family[root(group, i)] |= touched[i];
        for (guint i = 0; i < n; i++) {
                LinkTable *table = tables->list->pdata[i];
                guint r = root(group, i);
                if (!has_family[r])
                        continue;
                if (!by_root[r]) {
                        by_root[r] = g_new0(Family, 1);
                        by_root[r]->tables = g_ptr_array_new();
                        by_root[r]->cascaded = g_ptr_array_new();
                        g_ptr_array_add(families, by_root[r]);
                }
                table->family = by_root[r];
                table->hash = ((const LinkTable *) tables->list->pdata[r])->hash; /* R is the smallest number of the family */
                g_ptr_array_add(table->family->tables, table);
                if (table->schema->has_cascade)
                        g_ptr_array_add(table->family->cascaded, table);
        }
        return families;
}

bool families_complete(const LinkTables *tables, GError **error) {
        for (guint i = 0; i < tables->list->len; i++) {
                const TableSchema *schema = ((const LinkTable *) tables->list->pdata[i])->schema;
                for (guint k = 0; schema->foreign_keys && k < schema->foreign_keys->len; k++) {
                        const ForeignKey *key = schema->foreign_keys->pdata[k];
                        if (!foreign_key_cascades(key) || key->away)
                                continue;
                        const LinkTable *parent = link_tables_find(tables, key->parent_database, key->parent);
                        if (parent && parent->schema->key->len > 0 && schema->key->len > 0)
                                continue;
                        if (parent) {
                                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                                            "the foreign key `%s` of `%s`.`%s` cascades changes of `%s`.`%s`, and one of them has no key by "
                                            "which rows could be found: add a primary key on both sides, then Resume",
                                            key->name, schema->database, schema->name, key->parent_database, key->parent);
                                return false;
                        }
                        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                                    "the foreign key `%s` of `%s`.`%s` cascades changes of `%s`.`%s`, which is not carried, and the binary log "
                                    "does not show what a cascade changes: drop the key on both sides, then Resume",
                                    key->name, schema->database, schema->name, key->parent_database, key->parent);
                        return false;
                }
        }
        return true;
}

/* ---- questions */

bool cascade_is_silent(const LinkTable *table, RowOperation operation, guint16 event_flags, const RowImage *before, const RowImage *after) {
        if (event_flags & (ROWS_NO_FOREIGN_KEY_CHECKS | ROWS_CASCADES_LOGGED))
                return false;
        if (operation == ROW_OPERATION_DELETE)
                return table->delete_cascades;
        if (operation != ROW_OPERATION_UPDATE || !table->update_cascades)
                return false;
        for (guint i = 0; i < table->update_cascades->len; i++) {
                int column = g_array_index(table->update_cascades, int, i);
                if (column < 0 || strcmp(row_image_literal(before, (unsigned) column), row_image_literal(after, (unsigned) column)) != 0)
                        return true;
        }
        return false;
}

ChunkVerdict family_judge(const Family *family, guint64 seq, ChunkMap **ret_waits_for) {
        ChunkVerdict verdict = CHUNK_VERDICT_APPLY;
        for (guint i = 0; i < family->cascaded->len; i++) {
                LinkTable *table = family->cascaded->pdata[i];
                if (g_atomic_int_get(&table->live))
                        continue;
                switch (chunk_map_judge_whole(table->chunks, seq)) {
                case CHUNK_VERDICT_APPLY:
                        break;
                case CHUNK_VERDICT_DROP:
                        verdict = CHUNK_VERDICT_DROP;
                        break;
                case CHUNK_VERDICT_WAIT:
                        *ret_waits_for = table->chunks;
                        return CHUNK_VERDICT_WAIT;
                }
        }
        return verdict;
}

bool family_may_copy(const LinkTable *table) {
        Family *family = table->family;
        if (!family || !table->schema->has_cascade)
                return true;
        if (family->cascaded->pdata[0] != table)
                return false;
        for (guint i = 0; i < family->tables->len; i++) {
                const LinkTable *other = family->tables->pdata[i];
                guint64 max_h;
                if (!other->schema->has_cascade && !chunk_map_complete(other->chunks, &max_h))
                        return false;
        }
        return true;
}

bool family_copy_holds(const Family *family, guint64 done_seq) {
        guint64 first_h = 0, others_h = 0;
        bool begun = false, complete = true, together = true, behind = true;
        for (guint i = 0; i < family->cascaded->len; i++)
                begun |= !chunk_map_is_empty(((const LinkTable *) family->cascaded->pdata[i])->chunks);
        if (!begun)
                return true;
        (void) chunk_map_complete(((const LinkTable *) family->cascaded->pdata[0])->chunks, &first_h);
        for (guint i = 0; i < family->tables->len; i++) {
                const LinkTable *table = family->tables->pdata[i];
                guint64 h;
                complete &= chunk_map_complete(table->chunks, &h);
                if (table->schema->has_cascade)
                        together &= h == first_h;
                else
                        others_h = MAX(others_h, h);
                behind &= h <= done_seq;
        }
        return complete && (behind || (together && others_h <= first_h));
}

/* ---- doubled deletions */

struct CascadedKeys {
        GHashTable *keys; /* of GBytes: the table's number and the key */
        gsize bytes;
};

CascadedKeys *cascaded_keys_new(void) {
        CascadedKeys *keys = g_new0(CascadedKeys, 1);
        keys->keys = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
        return keys;
}

void cascaded_keys_free(CascadedKeys *keys) {
        if (!keys)
                return;
        g_hash_table_unref(keys->keys);
        g_free(keys);
}

void cascaded_keys_end(CascadedKeys *keys) {
        if (keys->bytes > 0)
                g_hash_table_remove_all(keys->keys);
        keys->bytes = 0;
}

bool cascaded_keys_doubled(CascadedKeys *keys, const LinkTable *table, RowOperation operation, guint16 event_flags, const char *key,
                           gsize key_size) {
        static const guint16 by_cascade = ROWS_NO_FOREIGN_KEY_CHECKS | ROWS_CASCADES_LOGGED;
        bool cascaded = (event_flags & by_cascade) == by_cascade;
        if (!(event_flags & ROWS_CASCADES_LOGGED) || !table->schema->has_cascade || (!cascaded && keys->bytes == 0))
                return false;

        guint8 *data = g_malloc(sizeof table->id + key_size);
        memcpy(data, &table->id, sizeof table->id);
        memcpy(data + sizeof table->id, key, key_size);
        g_autoptr(GBytes) full = g_bytes_new_take(data, sizeof table->id + key_size);
        if (operation != ROW_OPERATION_DELETE) { /* a trigger put it there again */
                g_hash_table_remove(keys->keys, full);
                return false;
        }
        if (!cascaded)
                return g_hash_table_contains(keys->keys, full);
        gsize weight = sizeof table->id + key_size + 100; /* about what the table and the bytes object take beside it */
        if (keys->bytes + weight <= MAX_KEY_BYTES && g_hash_table_add(keys->keys, g_steal_pointer(&full)))
                keys->bytes += weight;
        return false;
}
