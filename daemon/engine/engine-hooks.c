/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The administrator's hooks, as the engine calls them: what each point is told (docs/interface-notes.md). The documents name servers and this
 * migration, never an account or a password. */

#include "engine/engine-private.h"

#include <json-glib/json-glib.h>

static void add_string(JsonBuilder *b, const char *name, const char *value) {
        json_builder_set_member_name(b, name);
        json_builder_add_string_value(b, value);
}

static void add_number(JsonBuilder *b, const char *name, guint64 value) {
        json_builder_set_member_name(b, name);
        json_builder_add_int_value(b, (gint64) value);
}

/* What every point gets. */
static JsonBuilder *begin_document(Engine *engine, const char *point, guint64 operation) {
        JsonBuilder *b = json_builder_new();
        json_builder_begin_object(b);
        add_string(b, "point", point);
        add_string(b, "migration", engine->spec->name);
        add_string(b, "writer", side_to_string(engine->state->writer));
        if (operation != 0)
                add_number(b, "operation", operation);
        return b;
}

static char *end_document(JsonBuilder *b) {
        json_builder_end_object(b);
        g_autoptr(JsonNode) root = json_builder_get_root(b);
        return json_to_string(root, /* pretty= */ FALSE);
}

bool engine_run_hooks(Engine *engine, const char *point, guint64 operation, GError **error) {
        g_autoptr(JsonBuilder) b = begin_document(engine, point, operation);
        g_autofree char *json = end_document(b);
        HookCall call = {.point = point, .json = json};
        return engine->config.run_hooks(&call, /* ret_output= */ NULL, engine->config.userdata, error);
}

static void add_server(JsonBuilder *b, Side side, Conn *conn) {
        guint16 port;
        const char *host = conn_host(conn, &port);
        add_string(b, "side", side_to_string(side));
        if (host) {
                add_string(b, "host", host);
                add_number(b, "port", port);
        } else
                add_string(b, "socket", conn_label(conn));
}

bool engine_run_fence_hooks(gpointer userdata, const FenceCall *what, Conn *conn, GError **error) {
        Engine *engine = userdata;
        const char *point = what->open ? "unfence" : "fence";
        pthread_mutex_lock(&engine->lock);
        guint64 operation = engine->running;
        pthread_mutex_unlock(&engine->lock);
        g_autoptr(JsonBuilder) b = begin_document(engine, point, operation);
        add_server(b, what->side, conn);
        add_number(b, "epoch", engine->state->epoch);
        add_string(b, "reason", what->reason);
        json_builder_set_member_name(b, "events");
        json_builder_add_boolean_value(b, what->events);
        g_autofree char *json = end_document(b);
        HookCall call = {.point = point,
                         .json = json,
                         .timeout_usec = what->timeout_usec,
                         .stop = what->stop,
                         .userdata = what->userdata,
                         .although_stopping = what->open}; /* applications wait */
        return engine->config.run_hooks(&call, /* ret_output= */ NULL, engine->config.userdata, error);
}
