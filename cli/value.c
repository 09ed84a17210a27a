/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus values as JSON; see value.h. */

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "value.h"

static JsonNode *int_node(gint64 value) {
        JsonNode *node = json_node_new(JSON_NODE_VALUE);

        json_node_set_int(node, value);
        return node;
}

static JsonNode *string_node(const char *value) {
        JsonNode *node = json_node_new(JSON_NODE_VALUE);

        json_node_set_string(node, value);
        return node;
}

static int read_basic(sd_bus_message *message, char type, JsonNode **ret) {
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } value = {};
        int r;

        r = sd_bus_message_read_basic(message, type, &value);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        switch (type) {
        case 'y':
                *ret = int_node(value.y);
                return 0;
        case 'b':
                *ret = json_node_new(JSON_NODE_VALUE);
                json_node_set_boolean(*ret, value.b);
                return 0;
        case 'n':
                *ret = int_node(value.n);
                return 0;
        case 'q':
                *ret = int_node(value.q);
                return 0;
        case 'i':
                *ret = int_node(value.i);
                return 0;
        case 'u':
                *ret = int_node(value.u);
                return 0;
        case 'x':
                *ret = int_node(value.x);
                return 0;
        case 't':
                if (value.t <= G_MAXINT64)
                        *ret = int_node((gint64) value.t);
                else {
                        g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value.t);

                        *ret = string_node(text);
                }
                return 0;
        case 'd':
                if (!isfinite(value.d)) {
                        *ret = json_node_new(JSON_NODE_NULL);
                        return 0;
                }
                *ret = json_node_new(JSON_NODE_VALUE);
                json_node_set_double(*ret, value.d);
                return 0;
        case 's':
        case 'o':
        case 'g':
                *ret = string_node(value.s);
                return 0;
        default: /* a descriptor: the contract has none in an answer */
                *ret = json_node_new(JSON_NODE_NULL);
                return 0;
        }
}

static int read_dictionary(sd_bus_message *message, const char *contents, JsonNode **ret) {
        g_autoptr(JsonObject) object = json_object_new();
        g_autofree char *entry = g_strndup(contents + 1, strlen(contents) - 2);
        int r;

        r = sd_bus_message_enter_container(message, 'a', contents);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'e', entry)) > 0) {
                g_autoptr(JsonNode) key = NULL;
                g_autofree char *name = NULL;
                JsonNode *value;

                r = value_read(message, &key);
                if (r < 0)
                        return r;
                if (JSON_NODE_HOLDS_VALUE(key) && json_node_get_value_type(key) == G_TYPE_STRING)
                        name = json_node_dup_string(key);
                else
                        name = json_to_string(key, false);
                r = value_read(message, &value);
                if (r < 0)
                        return r;
                json_object_set_member(object, name, value);
                r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = json_node_new(JSON_NODE_OBJECT);
        json_node_take_object(*ret, g_steal_pointer(&object));
        return 0;
}

static int read_sequence(sd_bus_message *message, char type, const char *contents, JsonNode **ret) {
        g_autoptr(JsonArray) array = json_array_new();
        int r;

        r = sd_bus_message_enter_container(message, type, contents);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(message, false)) == 0) {
                JsonNode *value;

                r = value_read(message, &value);
                if (r < 0)
                        return r;
                json_array_add_element(array, value);
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = json_node_new(JSON_NODE_ARRAY);
        json_node_take_array(*ret, g_steal_pointer(&array));
        return 0;
}

int value_read(sd_bus_message *message, JsonNode **ret) {
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_peek_type(message, &type, &contents);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        switch (type) {
        case 'v':
                r = sd_bus_message_enter_container(message, 'v', contents);
                if (r < 0)
                        return r;
                r = value_read(message, ret);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(message);
                if (r < 0) {
                        g_clear_pointer(ret, json_node_unref);
                        return r;
                }
                return 0;
        case 'a':
                if (contents[0] == '{')
                        return read_dictionary(message, contents, ret);
                return read_sequence(message, 'a', contents, ret);
        case 'r':
                return read_sequence(message, 'r', contents, ret);
        default:
                return read_basic(message, type, ret);
        }
}

/* Structs of the contract whose members have names there. */
static const struct {
        const char *property;
        const char *members[7];
} struct_table[] = {
        { "LastOperation", { "id", "operation", "result", "error_name", "error_message", "finished_at" } },
        { "LastError", { "name", "message" } },
};

static void name_members(JsonObject *properties) {
        for (gsize i = 0; i < G_N_ELEMENTS(struct_table); i++) {
                JsonNode *node = json_object_get_member(properties, struct_table[i].property);
                JsonObject *named;
                JsonArray *array;

                if (!node || !JSON_NODE_HOLDS_ARRAY(node))
                        continue;
                array = json_node_get_array(node);
                named = json_object_new();
                for (guint k = 0; struct_table[i].members[k] && k < json_array_get_length(array); k++)
                        json_object_set_member(named, struct_table[i].members[k],
                                               json_array_dup_element(array, k));
                json_object_set_object_member(properties, struct_table[i].property, named);
        }
}

int value_read_properties(sd_bus_message *message, JsonObject **ret) {
        g_autoptr(JsonNode) node = NULL;
        JsonObject *object;
        int r;

        r = value_read(message, &node);
        if (r < 0)
                return r;
        if (!JSON_NODE_HOLDS_OBJECT(node))
                return -EBADMSG;
        object = json_node_dup_object(node);
        name_members(object);
        *ret = object;
        return 0;
}

static JsonNode *value_member(JsonObject *object, const char *member) {
        JsonNode *node = object ? json_object_get_member(object, member) : NULL;

        return node && JSON_NODE_HOLDS_VALUE(node) ? node : NULL;
}

const char *value_string(JsonObject *object, const char *member) {
        JsonNode *node = value_member(object, member);

        return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : "";
}

gint64 value_int(JsonObject *object, const char *member) {
        JsonNode *node = value_member(object, member);

        return node && json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_int(node) : 0;
}

double value_double(JsonObject *object, const char *member) {
        JsonNode *node = value_member(object, member);

        if (!node)
                return -1;
        if (json_node_get_value_type(node) == G_TYPE_DOUBLE)
                return json_node_get_double(node);
        return json_node_get_value_type(node) == G_TYPE_INT64 ? (double) json_node_get_int(node) : -1;
}

bool value_bool(JsonObject *object, const char *member) {
        JsonNode *node = value_member(object, member);

        return node && json_node_get_value_type(node) == G_TYPE_BOOLEAN && json_node_get_boolean(node);
}

JsonObject *value_object(JsonObject *object, const char *member) {
        JsonNode *node = object ? json_object_get_member(object, member) : NULL;

        return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}
