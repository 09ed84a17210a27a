/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See link-table.h. */

#include "engine/link-table.h"

#include "base/error.h"
#include "engine/again.h"
#include "engine/cascade.h"
#include "mysql/sql.h"

#define MAP_CACHE_MAX 8192

static void link_table_free(gpointer data) {
        LinkTable *table = data;
        chunk_map_free(table->chunks);
        g_clear_pointer(&table->update_cascades, g_array_unref);
        table_schema_free(table->schema);
        g_free(table->name);
        g_free(table);
}

static char *full_name(const char *database, const char *name) {
        /* Names may hold any character but NUL and slash is as good as another: lengths make it unambiguous. */
        return g_strdup_printf("%zu/%s/%s", strlen(database), database, name);
}

LinkTables *link_tables_new(GPtrArray *schemas, bool copying, const GPtrArray *again) {
        LinkTables *tables = g_new0(LinkTables, 1);
        tables->list = g_ptr_array_new_with_free_func(link_table_free);
        tables->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; i < schemas->len; i++) {
                LinkTable *table = g_new0(LinkTable, 1);
                table->schema = g_ptr_array_index(schemas, i);
                table->id = i;
                /* Where the agent can order keys it knows all spellings of one (key_hash_value()). */
                table->ordered = table->schema->n_unique_secondary > 0 || table->schema->key_order != KEY_ORDER_AGENT;
                table->multiset = table->schema->key->len == 0;
                table->name = sql_table(table->schema->database, table->schema->name);
                table->again_seq = again_seq(again, table->name);
                bool copied = !copying && table->again_seq == 0;
                table->chunks = copied ? NULL : chunk_map_new(table->schema, table->schema->has_cascade);
                table->live = copied;
                g_ptr_array_add(tables->list, table);
                char *name = full_name(table->schema->database, table->schema->name);
                table->hash = key_hash(name, strlen(name));
                g_hash_table_insert(tables->by_name, name, table);
        }
        tables->families = families_make(tables);
        g_ptr_array_set_free_func(schemas, NULL);
        g_ptr_array_unref(schemas);
        return tables;
}

void link_tables_free(LinkTables *tables) {
        if (!tables)
                return;
        g_hash_table_unref(tables->by_name);
        g_ptr_array_unref(tables->families);
        g_ptr_array_unref(tables->list);
        g_free(tables);
}

LinkTable *link_tables_find(const LinkTables *tables, const char *database, const char *name) {
        g_autofree char *full = full_name(database, name);
        return g_hash_table_lookup(tables->by_name, full);
}

static void map_entry_free(gpointer data) {
        MapEntry *entry = data;
        binlog_table_map_free(entry->map);
        g_bytes_unref(entry->body);
        g_free(entry);
}

void map_cache_init(MapCache *cache, const LinkTables *tables) {
        cache->tables = tables;
        cache->by_id = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, map_entry_free);
}

void map_cache_clear(MapCache *cache) {
        g_clear_pointer(&cache->by_id, g_hash_table_unref);
}

bool map_cache_add(MapCache *cache, const BinlogEvent *event, bool past, const MapEntry **ret, GError **error) {
        guint64 id;
        if (!binlog_rows_table_id(event, &id, error))
                return false;
        MapEntry *known = g_hash_table_lookup(cache->by_id, &id);
        if (known && known->past == past) {
                gsize size;
                const void *body = g_bytes_get_data(known->body, &size);
                if (size == event->body_size && memcmp(body, event->body, size) == 0) {
                        *ret = known;
                        return true;
                }
        }

        g_autoptr(BinlogTableMap) map = NULL;
        if (!binlog_table_map_parse(event, &map, error))
                return false;
        LinkTable *table = past ? NULL : link_tables_find(cache->tables, map->database, map->table);
        if (table && !binlog_table_map_matches(map, table->schema, error))
                return false;

        if (g_hash_table_size(cache->by_id) >= MAP_CACHE_MAX)
                g_hash_table_remove_all(cache->by_id);
        MapEntry *entry = g_new0(MapEntry, 1);
        entry->map = g_steal_pointer(&map);
        entry->table = table;
        entry->past = past;
        entry->body = g_bytes_new(event->body, event->body_size);
        g_hash_table_replace(cache->by_id, &entry->map->table_id, entry);
        *ret = entry;
        return true;
}

void link_table_name_error(const LinkTable *table, const char *label, GError **error) {
        if (!error || !mysql_error_is_value(*error))
                return;
        int code = (*error)->code;
        g_clear_error(error);
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                    "%s cannot hold a value of `%s`.`%s` (its error %d): change the value where it comes from, or the column", label,
                    table->schema->database, table->schema->name, code);
}

bool map_cache_find(MapCache *cache, const BinlogEvent *event, const MapEntry **ret, GError **error) {
        guint64 id;
        if (!binlog_rows_table_id(event, &id, error))
                return false;
        *ret = g_hash_table_lookup(cache->by_id, &id);
        if (!*ret)
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "the binary log has a row event for table number %" G_GUINT64_FORMAT " without its TABLE_MAP", id);
        return *ret != NULL;
}
