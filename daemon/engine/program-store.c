/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See program-store.h. */

#include "engine/program-store.h"

#include "engine/json-text.h"
#include "mysql/sql.h"

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

ProgramEntry *program_store_find(const PairStore *store, ProgramKind kind, const char *database, const char *name) {
        g_autofree char *key = key_of(kind, database, name);
        return pair_store_find(store, key);
}

ProgramEntry *program_store_add(PairStore *store, ProgramKind kind, const char *database, const char *name) {
        ProgramEntry *entry = g_new0(ProgramEntry, 1);
        entry->kind = kind;
        entry->database = g_strdup(database);
        entry->name = g_strdup(name);
        pair_store_add(store, entry);
        return entry;
}

char *program_entry_name(const ProgramEntry *entry) {
        return key_of(entry->kind, entry->database, entry->name);
}

static char *entry_name(gconstpointer data) {
        return program_entry_name(data);
}

static const char *entry_refused(gconstpointer data, Side side) {
        return ((const ProgramEntry *) data)->refused[side];
}

/* --- the file --- */

static const char *const side_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source", [SIDE_DESTINATION] = "destination"};
static const char *const refused_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source-refused", [SIDE_DESTINATION] = "destination-refused"};

static JsonObject *entry_to_json(gconstpointer data) {
        const ProgramEntry *entry = data;
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "kind", program_kind_to_string(entry->kind));
        json_put_text(object, "database", entry->database);
        json_put_text(object, "name", entry->name);
        json_put_text(object, "table", entry->table);
        json_put_text(object, "definer", entry->definer);
        json_object_set_int_member(object, "order", entry->order);
        json_object_set_boolean_member(object, "enabled", entry->enabled);
        json_object_set_boolean_member(object, "not-ours", entry->not_ours);
        json_put_text(object, "note", entry->note);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                const Definition *definition = entry->sides[side];
                json_put_text(object, refused_members[side], entry->refused[side]);
                if (!definition)
                        continue;
                JsonObject *inner = json_object_new();
                json_put_text(inner, "sql", definition->sql);
                json_put_text(inner, "sql-mode", definition->sql_mode);
                json_put_text(inner, "charset", definition->charset);
                json_put_text(inner, "collation", definition->collation);
                json_put_text(inner, "database-collation", definition->database_collation);
                json_put_text(inner, "time-zone", definition->time_zone);
                json_object_set_object_member(object, side_members[side], inner);
        }
        return object;
}

static Definition *definition_from_json(JsonObject *object) {
        g_autoptr(Definition) definition = g_new0(Definition, 1);
        definition->sql = json_get_text(object, "sql");
        definition->sql_mode = json_get_text(object, "sql-mode");
        definition->charset = json_get_text(object, "charset");
        definition->collation = json_get_text(object, "collation");
        definition->database_collation = json_get_text(object, "database-collation");
        definition->time_zone = json_get_text(object, "time-zone");
        if (!definition->sql || !definition->charset || !definition->collation)
                return NULL;
        return g_steal_pointer(&definition);
}

static bool entry_from_json(PairStore *store, JsonObject *object) {
        g_autofree char *kind_text = json_get_text(object, "kind"), *database = json_get_text(object, "database"), *name = json_get_text(object, "name");
        ProgramKind kind = kind_text ? program_kind_from_string(kind_text) : _PROGRAM_INVALID;
        if (kind == _PROGRAM_INVALID || !database || !name || program_store_find(store, kind, database, name))
                return false;
        ProgramEntry *entry = program_store_add(store, kind, database, name);
        entry->table = json_get_text(object, "table");
        entry->definer = json_get_text(object, "definer");
        entry->order = (guint) json_object_get_int_member_with_default(object, "order", 0);
        entry->enabled = json_object_get_boolean_member_with_default(object, "enabled", false);
        entry->not_ours = json_object_get_boolean_member_with_default(object, "not-ours", false);
        entry->note = json_get_text(object, "note");
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                JsonNode *inner = json_object_get_member(object, side_members[side]);
                entry->refused[side] = json_get_text(object, refused_members[side]);
                if (!inner)
                        continue;
                entry->sides[side] = JSON_NODE_HOLDS_OBJECT(inner) ? definition_from_json(json_node_get_object(inner)) : NULL;
                if (!entry->sides[side])
                        return false;
        }
        return entry->definer != NULL && (kind != PROGRAM_TRIGGER || entry->table);
}

const PairKind program_entry_kind = {
        .file = "programs.json",
        .member = "programs",
        .name = entry_name,
        .refused = entry_refused,
        .to_json = entry_to_json,
        .from_json = entry_from_json,
        .free = entry_free,
};
