/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See program-store.h. A definition's bytes need not be UTF-8: texts are written with escapes, as in C. */

#include "engine/program-store.h"

#include <string.h>

#include <json-glib/json-glib.h>

#include "base/error.h"
#include "base/fs.h"
#include "mysql/sql.h"

#define FILE_NAME "programs.json"
#define FILE_MAX (512u * 1024 * 1024)

static char *key_of(ProgramKind kind, const char *database, const char *name) {
        g_autofree char *quoted = sql_table(database, name);
        return g_strdup_printf("%s %s", program_kind_to_string(kind), quoted);
}

static void entry_free(gpointer data) {
        ProgramEntry *entry = data;
        g_free(entry->database);
        g_free(entry->name);
        g_free(entry->table);
        g_free(entry->definer);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                definition_free(entry->sides[side]);
                g_free(entry->refused[side]);
        }
        g_free(entry->note);
        g_free(entry);
}

ProgramStore *program_store_new(void) {
        ProgramStore *store = g_new0(ProgramStore, 1);
        store->entries = g_ptr_array_new_with_free_func(entry_free);
        store->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return store;
}

void program_store_free(ProgramStore *store) {
        if (!store)
                return;
        g_hash_table_unref(store->index);
        g_ptr_array_unref(store->entries);
        g_free(store);
}

ProgramEntry *program_store_find(const ProgramStore *store, ProgramKind kind, const char *database, const char *name) {
        g_autofree char *key = key_of(kind, database, name);
        return g_hash_table_lookup(store->index, key);
}

ProgramEntry *program_store_add(ProgramStore *store, ProgramKind kind, const char *database, const char *name) {
        ProgramEntry *entry = g_new0(ProgramEntry, 1);
        entry->kind = kind;
        entry->database = g_strdup(database);
        entry->name = g_strdup(name);
        g_ptr_array_add(store->entries, entry);
        g_hash_table_insert(store->index, key_of(kind, database, name), entry);
        return entry;
}

void program_store_remove(ProgramStore *store, ProgramEntry *entry) {
        g_autofree char *key = key_of(entry->kind, entry->database, entry->name);
        g_hash_table_remove(store->index, key);
        g_ptr_array_remove(store->entries, entry);
}

char *program_entry_name(const ProgramEntry *entry) {
        g_autofree char *quoted = sql_table(entry->database, entry->name);
        return g_strdup_printf("%s %s", program_kind_to_string(entry->kind), quoted);
}

char *program_store_refused(const ProgramStore *store, Side side, guint *ret_count) {
        char *first = NULL;
        guint count = 0;
        for (guint i = 0; i < store->entries->len; i++) {
                const ProgramEntry *entry = g_ptr_array_index(store->entries, i);
                if (!entry->refused[side])
                        continue;
                g_autofree char *name = program_entry_name(entry);
                if (!first)
                        first = g_strdup_printf("%s: %s", name, entry->refused[side]);
                count++;
        }
        if (ret_count)
                *ret_count = count;
        return first;
}

/* --- the file --- */

/* NULL: the member is left out. */
static void put(JsonObject *object, const char *member, const char *text) {
        if (!text)
                return;
        g_autofree char *escaped = g_strescape(text, NULL);
        json_object_set_string_member(object, member, escaped);
}

static char *get(JsonObject *object, const char *member) {
        JsonNode *node = json_object_get_member(object, member);
        if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
                return NULL;
        return g_strcompress(json_node_get_string(node));
}

static const char *const side_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source", [SIDE_DESTINATION] = "destination"};
static const char *const refused_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source-refused", [SIDE_DESTINATION] = "destination-refused"};

static JsonObject *entry_to_json(const ProgramEntry *entry) {
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "kind", program_kind_to_string(entry->kind));
        put(object, "database", entry->database);
        put(object, "name", entry->name);
        put(object, "table", entry->table);
        put(object, "definer", entry->definer);
        json_object_set_int_member(object, "order", entry->order);
        json_object_set_boolean_member(object, "enabled", entry->enabled);
        json_object_set_boolean_member(object, "not-ours", entry->not_ours);
        put(object, "note", entry->note);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                const Definition *definition = entry->sides[side];
                put(object, refused_members[side], entry->refused[side]);
                if (!definition)
                        continue;
                JsonObject *inner = json_object_new();
                put(inner, "sql", definition->sql);
                put(inner, "sql-mode", definition->sql_mode);
                put(inner, "charset", definition->charset);
                put(inner, "collation", definition->collation);
                put(inner, "database-collation", definition->database_collation);
                put(inner, "time-zone", definition->time_zone);
                json_object_set_object_member(object, side_members[side], inner);
        }
        return object;
}

bool program_store_save(const ProgramStore *store, const char *directory, GError **error) {
        g_autofree char *path = g_build_filename(directory, FILE_NAME, NULL);
        g_autoptr(JsonNode) root = json_node_alloc();
        JsonObject *object = json_object_new();
        JsonArray *array = json_array_new();
        for (guint i = 0; i < store->entries->len; i++)
                json_array_add_object_element(array, entry_to_json(g_ptr_array_index(store->entries, i)));
        json_object_set_int_member(object, "version", 1);
        json_object_set_array_member(object, "programs", array);
        json_node_init_object(root, object);
        json_object_unref(object);
        g_autofree char *text = json_to_string(root, /* pretty= */ false);
        return fs_replace(path, text, -1, 0600, error);
}

static Definition *definition_from_json(JsonObject *object) {
        g_autoptr(Definition) definition = g_new0(Definition, 1);
        definition->sql = get(object, "sql");
        definition->sql_mode = get(object, "sql-mode");
        definition->charset = get(object, "charset");
        definition->collation = get(object, "collation");
        definition->database_collation = get(object, "database-collation");
        definition->time_zone = get(object, "time-zone");
        if (!definition->sql || !definition->charset || !definition->collation)
                return NULL;
        return g_steal_pointer(&definition);
}

static bool entry_from_json(ProgramStore *store, JsonNode *node) {
        if (!node || !JSON_NODE_HOLDS_OBJECT(node))
                return false;
        JsonObject *object = json_node_get_object(node);
        g_autofree char *kind_text = get(object, "kind"), *database = get(object, "database"), *name = get(object, "name");
        ProgramKind kind = kind_text ? program_kind_from_string(kind_text) : _PROGRAM_INVALID;
        if (kind == _PROGRAM_INVALID || !database || !name || program_store_find(store, kind, database, name))
                return false;
        ProgramEntry *entry = program_store_add(store, kind, database, name);
        entry->table = get(object, "table");
        entry->definer = get(object, "definer");
        entry->order = (guint) json_object_get_int_member_with_default(object, "order", 0);
        entry->enabled = json_object_get_boolean_member_with_default(object, "enabled", false);
        entry->not_ours = json_object_get_boolean_member_with_default(object, "not-ours", false);
        entry->note = get(object, "note");
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                JsonNode *inner = json_object_get_member(object, side_members[side]);
                entry->refused[side] = get(object, refused_members[side]);
                if (!inner)
                        continue;
                entry->sides[side] = JSON_NODE_HOLDS_OBJECT(inner) ? definition_from_json(json_node_get_object(inner)) : NULL;
                if (!entry->sides[side])
                        return false;
        }
        return entry->definer != NULL && (kind != PROGRAM_TRIGGER || entry->table);
}

ProgramStore *program_store_load(const char *directory, GError **error) {
        g_autofree char *path = g_build_filename(directory, FILE_NAME, NULL);
        g_autoptr(ProgramStore) store = program_store_new();
        g_autofree char *text = NULL;
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
                return g_steal_pointer(&store);
        if (!fs_read(path, FILE_MAX, &text, NULL, error))
                return NULL;
        g_autoptr(JsonNode) root = json_from_string(text, NULL);
        JsonObject *object = root && JSON_NODE_HOLDS_OBJECT(root) ? json_node_get_object(root) : NULL;
        JsonNode *list = object && json_object_get_int_member_with_default(object, "version", 0) == 1 ? json_object_get_member(object, "programs") : NULL;
        bool good = list && JSON_NODE_HOLDS_ARRAY(list);
        JsonArray *array = good ? json_node_get_array(list) : NULL;
        for (guint i = 0; good && i < json_array_get_length(array); i++)
                good = entry_from_json(store, json_array_get_element(array, i));
        if (good)
                return g_steal_pointer(&store);
        g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "%s cannot be understood: put a copy of it back", path);
        return NULL;
}
