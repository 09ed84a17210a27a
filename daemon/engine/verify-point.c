/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See verify-point.h. */

#include "engine/verify-point.h"

#include <string.h>

#include <json-glib/json-glib.h>

#include "engine/key.h"

#define DIFFERENCES_KEPT 100

VerifyPoint *verify_point_copy(const VerifyPoint *point) {
        VerifyPoint *copy = g_memdup2(point, sizeof *point);
        copy->database = g_strdup(point->database);
        copy->table = g_strdup(point->table);
        copy->key = g_strdupv(point->key);
        copy->result.differences = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; point->result.differences && i < point->result.differences->len; i++)
                g_ptr_array_add(copy->result.differences, g_strdup(point->result.differences->pdata[i]));
        return copy;
}

void verify_point_free(VerifyPoint *point) {
        if (!point)
                return;
        g_free(point->database);
        g_free(point->table);
        g_strfreev(point->key);
        verify_result_clear(&point->result);
        g_free(point);
}

/* The members that are numbers. */
static const struct {
        const char *name;
        gsize offset;
} numbers[] = {
        {"operation", G_STRUCT_OFFSET(VerifyPoint, operation)},
        {"foreign", G_STRUCT_OFFSET(VerifyPoint, foreign)},
        {"tables", G_STRUCT_OFFSET(VerifyPoint, result.tables)},
        {"rows", G_STRUCT_OFFSET(VerifyPoint, result.rows)},
        {"chunks", G_STRUCT_OFFSET(VerifyPoint, result.chunks)},
        {"compared-again", G_STRUCT_OFFSET(VerifyPoint, result.rows_compared_again)},
        {"different", G_STRUCT_OFFSET(VerifyPoint, result.different)},
};

/* Names and keys hold any bytes. */
static void add_bytes(JsonBuilder *builder, const char *text) {
        g_autofree char *encoded = g_base64_encode((const guchar *) text, strlen(text));
        json_builder_add_string_value(builder, encoded);
}

static void add_strings(JsonBuilder *builder, const char *name, char **strings, gsize n, bool bytes) {
        json_builder_set_member_name(builder, name);
        json_builder_begin_array(builder);
        for (gsize i = 0; i < n; i++)
                if (bytes)
                        add_bytes(builder, strings[i]);
                else
                        json_builder_add_string_value(builder, strings[i]);
        json_builder_end_array(builder);
}

char *verify_point_to_text(const VerifyPoint *point) {
        g_autoptr(JsonBuilder) builder = json_builder_new();
        const GPtrArray *differences = point->result.differences;
        char *names[] = {point->database, point->table};
        json_builder_begin_object(builder);
        for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
                json_builder_set_member_name(builder, numbers[i].name);
                json_builder_add_int_value(builder, (gint64) G_STRUCT_MEMBER(guint64, point, numbers[i].offset));
        }
        json_builder_set_member_name(builder, "leg");
        json_builder_add_int_value(builder, point->leg);
        json_builder_set_member_name(builder, "repair");
        json_builder_add_boolean_value(builder, point->repair);
        json_builder_set_member_name(builder, "whole");
        json_builder_add_boolean_value(builder, point->whole);
        json_builder_set_member_name(builder, "seconds");
        json_builder_add_double_value(builder, point->result.seconds);
        add_strings(builder, "table", names, 2, /* bytes= */ true);
        add_strings(builder, "key", point->key, point->key ? g_strv_length(point->key) : 0, /* bytes= */ true);
        add_strings(builder, "differences", differences ? (char **) differences->pdata : NULL,
                    differences ? MIN(differences->len, DIFFERENCES_KEPT) : 0, /* bytes= */ false);
        json_builder_end_object(builder);
        g_autoptr(JsonNode) root = json_builder_get_root(builder);
        return json_to_string(root, /* pretty= */ FALSE);
}

/* An array of strings; NULL when it is anything else. */
static char **take_strings(JsonObject *object, const char *name, bool bytes) {
        JsonNode *node = json_object_get_member(object, name);
        if (!node || !JSON_NODE_HOLDS_ARRAY(node))
                return NULL;
        JsonArray *array = json_node_get_array(node);
        g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
        for (guint i = 0; i < json_array_get_length(array); i++) {
                JsonNode *element = json_array_get_element(array, i);
                const char *text = JSON_NODE_HOLDS_VALUE(element) ? json_node_get_string(element) : NULL;
                if (!text)
                        return NULL;
                gsize size;
                g_autofree guchar *decoded = bytes ? g_base64_decode(text, &size) : NULL;
                g_autofree char *value = bytes ? g_strndup((const char *) decoded, size) : g_strdup(text);
                g_strv_builder_add(builder, value);
        }
        return g_strv_builder_end(builder);
}

VerifyPoint *verify_point_from_text(const char *text) {
        g_autoptr(JsonNode) root = text ? json_from_string(text, NULL) : NULL;
        if (!root || !JSON_NODE_HOLDS_OBJECT(root))
                return NULL;
        JsonObject *object = json_node_get_object(root);
        g_autoptr(VerifyPoint) point = g_new0(VerifyPoint, 1);
        for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
                G_STRUCT_MEMBER(guint64, point, numbers[i].offset) =
                        (guint64) json_object_get_int_member_with_default(object, numbers[i].name, 0);
        point->leg = (guint32) json_object_get_int_member_with_default(object, "leg", 0);
        point->repair = json_object_get_boolean_member_with_default(object, "repair", FALSE);
        point->whole = json_object_get_boolean_member_with_default(object, "whole", FALSE);
        point->result.seconds = json_object_get_double_member_with_default(object, "seconds", 0);

        g_auto(GStrv) names = take_strings(object, "table", /* bytes= */ true);
        g_auto(GStrv) key = take_strings(object, "key", /* bytes= */ true);
        g_auto(GStrv) differences = take_strings(object, "differences", /* bytes= */ false);
        if (!names || g_strv_length(names) != 2 || !key || !differences)
                return NULL;
        point->database = g_strdup(names[0]);
        point->table = g_strdup(names[1]);
        point->key = key[0] ? g_steal_pointer(&key) : NULL;
        point->result.differences = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; differences[i]; i++)
                g_ptr_array_add(point->result.differences, g_strdup(differences[i]));
        return g_steal_pointer(&point);
}

/* The table may have another key by now. */
static bool key_fits(const VerifyPoint *point, const TableSchema *table) {
        g_autoptr(GString) data = g_string_new(NULL);
        for (guint i = 0; point->key[i]; i++)
                g_string_append_len(data, point->key[i], (gssize) strlen(point->key[i]) + 1);
        return key_valid(table, data->str, data->len);
}

VerifyResume verify_point_resume(const VerifyPoint *point, const TableSchema *table) {
        if (!point || !point->database)
                return VERIFY_RESUME_BEGIN;
        int order = strcmp(table->database, point->database);
        if (order == 0)
                order = strcmp(table->name, point->table);
        if (order != 0)
                return order < 0 ? VERIFY_RESUME_SKIP : VERIFY_RESUME_BEGIN;
        if (point->whole)
                return VERIFY_RESUME_SKIP;
        return point->key && key_fits(point, table) ? VERIFY_RESUME_AT : VERIFY_RESUME_BEGIN;
}
