/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See link-keys.h. */

#include "engine/link-keys.h"

#include <string.h>

#include "mysql/collation-load.h"

void link_keys_take_collations(TableSchema *schema, const TableSchema *like) {
        for (guint i = 0; i < schema->key->len; i++) {
                Column *column = g_ptr_array_index(schema->columns, g_array_index(schema->key, unsigned, i));
                for (guint k = 0; k < like->columns->len; k++) {
                        const Column *other = g_ptr_array_index(like->columns, k);
                        if (column->kind == COLUMN_KIND_TEXT && g_str_equal(column->name, other->name) &&
                            g_strcmp0(column->charset, other->charset) == 0) {
                                g_free(column->collation);
                                column->collation = g_strdup(other->collation);
                        }
                }
        }
        if (schema->key->len > 0)
                table_schema_order_key(schema);
}

/* Nothing is being copied, and all workers are at the same transaction. */
static bool at_rest(const LinkConfig *config, const GArray *checkpoints, guint32 n_workers) {
        const Checkpoint *first = &g_array_index(checkpoints, Checkpoint, 0);
        for (guint32 w = 0; w < n_workers; w++) {
                const Checkpoint *checkpoint = &g_array_index(checkpoints, Checkpoint, w);
                if (checkpoint->seq != first->seq || checkpoint->part != 0)
                        return false;
        }
        return !config->copying && config->again->len == 0;
}

bool link_keys_order(const LinkConfig *config, GArray *checkpoints, guint32 n_workers, const GPtrArray *schemas, Conn *up, Conn *down,
                     GError **error) {
        g_autoptr(CollationSet) set = collation_set_new();
        for (guint i = 0; i < schemas->len; i++)
                if (!collation_set_resolve(set, up, down, g_ptr_array_index(schemas, i), error))
                        return false;

        bool changeable = at_rest(config, checkpoints, n_workers);
        GHashTableIter iter;
        gpointer name, entry;
        g_hash_table_iter_init(&iter, set->by_name);
        while (g_hash_table_iter_next(&iter, &name, &entry))
                if (!ledger_keep_collation(config->ledger, down, config->leg, config->epoch, checkpoints, name,
                                           collation_entry_digest(entry), changeable, error))
                        return false;
        return true;
}
