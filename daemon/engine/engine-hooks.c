/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The administrator's hooks, as the engine calls them: what each point is told (docs/interface-notes.md). The documents name servers and this
 * migration, never an account or a password. */

#include "engine/engine-private.h"

#include <json-glib/json-glib.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/allow-list.h"

#define RESTART_USEC (60 * USEC_PER_SEC) /* of a server whose binary log a hook has switched off */

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

/* --- the allow list --- */

typedef struct Caller {
        Engine *engine;
        guint64 operation;
} Caller;

static bool was_aborted(gpointer userdata) {
        const Caller *caller = userdata;
        return engine_aborted(caller->engine, caller->operation);
}

/* One entry a line. What stands there instead is not repeated: events are for everybody. */
static char *parse_allow_list(const char *text, GError **error) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_autoptr(GPtrArray) entries = g_ptr_array_new();
        guint wrong;
        for (char **line = lines; *line; line++)
                if (*g_strstrip(*line))
                        g_ptr_array_add(entries, *line);
        if (entries->len > ALLOW_LIST_MAX) {
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hooks named more than %d addresses", ALLOW_LIST_MAX);
                return NULL;
        }
        g_ptr_array_add(entries, NULL);
        g_auto(GStrv) list = allow_list_collect((const char *const *) entries->pdata, &wrong);
        if (!list)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "entry %u of what hooks wrote to standard output is neither an address nor a prefix", wrong + 1);
        return list ? g_strjoinv(" ", list) : NULL;
}

/* It is for people to know, so one that cannot be read holds nothing up. */
void engine_read_allow_list(Engine *engine, Conn *source, guint64 operation) {
        g_autoptr(GError) error = NULL;
        g_autofree char *output = NULL;
        Caller caller = {engine, operation};
        g_clear_pointer(&engine->state->allow_list, g_free);
        g_clear_pointer(&engine->state->allow_list_error, g_free);
        if (*engine->spec->allow_list || !engine->config.has_hooks(engine->config.userdata))
                return;
        g_autoptr(JsonBuilder) b = begin_document(engine, "allow-list", operation);
        add_server(b, SIDE_SOURCE, source);
        g_autofree char *json = end_document(b);
        HookCall call = {.point = "allow-list", .json = json, .stop = was_aborted, .userdata = &caller};
        char *list = engine->config.run_hooks(&call, &output, engine->config.userdata, &error) ? parse_allow_list(output, &error) : NULL;
        if (!list) {
                engine->state->allow_list_error = g_strdup(error->message);
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "the allow list of the source is not known: %s", error->message);
        } else if (*list)
                engine->state->allow_list = list;
        else
                g_free(list);
}

/* --- the binary log --- */

/* A server needs a restart for that: it may be away for a while. */
static bool is_log_off(Engine *engine, bool *ret, GError **error) {
        gint64 until = clock_monotonic() + RESTART_USEC;
        for (;;) {
                g_autoptr(GError) local = NULL;
                g_autoptr(Conn) conn = conn_open(engine->params[SIDE_DESTINATION], 0, &local);
                guint64 on;
                if (conn && conn_query_uint64(conn, "SELECT @@global.log_bin", &on, &local)) {
                        *ret = on == 0;
                        return true;
                }
                if (engine_stopping(engine) || clock_monotonic() >= until) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                engine_wait(engine, USEC_PER_SEC / 2);
        }
}

/* On a connection of its own: our tables are gone, and nothing of the migration is left to be looked at. */
static bool disable_binlog(Engine *engine, guint64 operation, GError **error) {
        bool off;
        g_autoptr(Conn) conn = engine_params(engine, SIDE_DESTINATION, error) ? conn_open(engine->params[SIDE_DESTINATION], 0, error) : NULL;
        if (!conn)
                return false;
        g_autoptr(JsonBuilder) b = begin_document(engine, "disable-binlog", operation);
        add_server(b, SIDE_DESTINATION, conn);
        g_autofree char *json = end_document(b);
        HookCall call = {.point = "disable-binlog", .json = json};
        if (!engine->config.run_hooks(&call, /* ret_output= */ NULL, engine->config.userdata, error) || !is_log_off(engine, &off, error))
                return false;
        if (!off)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "no hook failed at point disable-binlog, but the log is still on");
        return off;
}

void engine_disable_binlog(Engine *engine, guint64 operation) {
        g_autoptr(GError) error = NULL;
        engine_set_step(engine, "disable-binlog");
        g_clear_pointer(&engine->state->binlog_left, g_free);
        if (disable_binlog(engine, operation, &error)) {
                engine_event(engine, ENGINE_EVENT_NOTE, 5, "the binary log of the destination is off");
                return;
        }
        engine_name_error(engine, SIDE_DESTINATION, &error);
        engine->state->binlog_left = g_strdup(error->message);
}
