/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See json-text.h. */

#include "engine/json-text.h"

#include <stdbool.h>

#include "base/error.h"
#include "base/fs.h"

#define FILE_MAX (512u * 1024 * 1024)

void json_put_text(JsonObject *object, const char *member, const char *text) {
        if (!text)
                return;
        g_autofree char *escaped = g_strescape(text, NULL);
        json_object_set_string_member(object, member, escaped);
}

char *json_get_text(JsonObject *object, const char *member) {
        JsonNode *node = json_object_get_member(object, member);
        if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
                return NULL;
        return g_strcompress(json_node_get_string(node));
}

bool json_save(JsonObject *root, const char *directory, const char *name, GError **error) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autoptr(JsonNode) node = json_node_alloc();
        json_node_init_object(node, root);
        g_autofree char *text = json_to_string(node, /* pretty= */ false);
        return fs_replace(path, text, -1, 0600, error);
}

GError *json_unreadable(const char *directory, const char *name) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        return g_error_new(PS_ERROR, PS_ERROR_STATE_UNREADABLE, "%s cannot be understood: put a copy of it back", path);
}

bool json_load(const char *directory, const char *name, const char *member, JsonArray **ret, GError **error) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autofree char *text = NULL;
        *ret = NULL;
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
                return true;
        if (!fs_read(path, FILE_MAX, &text, NULL, error))
                return false;
        g_autoptr(JsonNode) root = json_from_string(text, NULL);
        JsonObject *object = root && JSON_NODE_HOLDS_OBJECT(root) ? json_node_get_object(root) : NULL;
        JsonNode *list = object && json_object_get_int_member_with_default(object, "version", 0) == 1 ? json_object_get_member(object, member) : NULL;
        if (!list || !JSON_NODE_HOLDS_ARRAY(list)) {
                g_propagate_error(error, json_unreadable(directory, name));
                return false;
        }
        *ret = json_array_ref(json_node_get_array(list));
        return true;
}
