/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* watch: on a terminal a picture that is drawn again each second; elsewhere one line, or one JSON object, per
 * change. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "format.h"
#include "picture.h"
#include "value.h"

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        bool *passed = userdata;

        *passed = true;
        return 0;
}

static int pass_second(Client *client) {
        g_autoptr(sd_event_source) source = NULL;
        bool passed = false;
        int r;

        r = sd_event_add_time_relative(client->event, &source, CLOCK_MONOTONIC, G_USEC_PER_SEC, 0, on_tick,
                                       &passed);
        while (r >= 0 && !passed)
                r = client_iterate(client);
        return r;
}

static int draw(Client *client, Picture *picture, const char *name, unsigned columns, GString *out, sd_bus_error *error) {
        g_autoptr(JsonObject) properties = NULL;
        g_autoptr(GPtrArray) all = NULL;
        g_autofree char *path = NULL;
        int r;

        if (name) {
                r = client_migration_path(client, name, &path, error);
                if (r >= 0)
                        r = client_properties(client, path, MIGRATION_INTERFACE, &properties, error);
                if (r >= 0) {
                        picture_look(picture, properties, g_get_monotonic_time());
                        picture_draw_one(picture, properties, g_get_real_time(), columns, out);
                }
                return r;
        }
        r = overview_read(client, &all, error);
        for (guint i = 0; r >= 0 && i < all->len; i++)
                picture_look(picture, g_ptr_array_index(all, i), g_get_monotonic_time());
        if (r >= 0 && all->len == 0)
                g_string_append(out, "There are no migrations.\n");
        else if (r >= 0)
                picture_draw_all(picture, client->options, all, g_get_real_time(), columns, out);
        return r;
}

static int watch_terminal(Client *client, const char *name) {
        g_autoptr(Picture) picture = picture_new();

        for (bool first = true;; first = false) {
                g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
                g_autoptr(GString) text = g_string_new(NULL), out = g_string_new(NULL);
                g_autofree char *now = format_time((uint64_t) g_get_real_time());
                unsigned columns, rows;
                int r;

                if (client->options->legend)
                        g_string_append_printf(text, "%s  (Ctrl-C to leave; the migrations go on)\n\n", now);
                format_terminal_size(STDOUT_FILENO, &columns, &rows);
                r = draw(client, picture, name, columns, text, &error);
                if (r < 0 && sd_bus_error_is_set(&error) && client->bus &&
                    client_status_of(error.name) == STATUS_UNREACHABLE)
                        g_string_append(text, "The agent is not there; waiting for it.\n");
                else if (r < 0)
                        return client_fail(client, r, &error);
                picture_to_screen(text, columns, rows, out);
                fputs(first ? "\033[2J" : "", stdout);
                fputs(out->str, stdout);
                fflush(stdout);
                r = pass_second(client);
                if (r == -EINTR)
                        client->hinted = true; /* that was said in the first line */
                if (r < 0)
                        return client_fail(client, r, NULL);
        }
}

typedef struct Watch {
        Client *client;
        const char *only;
        GHashTable *known; /* name → its properties */
        GHashTable *lines; /* name → what was printed last */
        bool read_again;
        bool gone; /* the only one was removed */
} Watch;

static void print_object(Watch *watch, JsonObject *object) {
        g_autoptr(GString) out = g_string_new(NULL);

        format_json_object(watch->client->options, object, out);
        fputs(out->str, stdout);
        fflush(stdout);
}

/* Says that MEMBER of the migration is NODE now, and keeps quiet about a line that would say the same again.
 */
static void tell(Watch *watch, const char *name, const char *member, JsonObject *news, const char *text) {
        g_autoptr(GString) line = g_string_new(NULL);
        g_autoptr(JsonObject) object = json_object_new();

        if (watch->client->options->json != JSON_OFF) {
                json_object_set_string_member(object, "name", name);
                json_object_set_object_member(object, member, json_object_ref(news));
                print_object(watch, object);
                return;
        }
        format_append_safe(line, name);
        g_string_append(line, ": ");
        format_append_safe(line, text);
        if (g_strcmp0(g_hash_table_lookup(watch->lines, name), line->str) == 0)
                return;
        g_hash_table_insert(watch->lines, g_strdup(name), g_strdup(line->str));
        puts(line->str);
        fflush(stdout);
}

static void tell_state(Watch *watch, const char *name, JsonObject *changed) {
        g_autofree char *text = follow_summary(g_hash_table_lookup(watch->known, name));

        tell(watch, name, "changed", changed, text);
}

/* The migration a signal of the agent is about, if it is one that is watched. */
static char *name_of(Watch *watch, sd_bus_message *message, const char *path) {
        char *decoded = NULL;
        char *name;

        if (!client_from_agent(watch->client, message) ||
            sd_bus_path_decode(path, MIGRATION_PREFIX, &decoded) <= 0)
                return NULL;
        name = watch->only && strcmp(decoded, watch->only) != 0 ? NULL : g_strdup(decoded);
        free(decoded);
        return name;
}

static void merge(JsonObject *object, const char *member, JsonNode *node, void *userdata) {
        json_object_set_member(userdata, member, json_node_copy(node));
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Watch *watch = userdata;
        g_autofree char *name = name_of(watch, message, sd_bus_message_get_path(message));
        g_autoptr(JsonObject) changed = NULL;
        JsonObject *known;
        const char *interface;

        if (!name || sd_bus_message_read(message, "s", &interface) < 0 ||
            strcmp(interface, MIGRATION_INTERFACE) != 0 || value_read_properties(message, &changed) < 0)
                return 0;
        known = g_hash_table_lookup(watch->known, name);
        if (!known) {
                watch->read_again = true;
                return 0;
        }
        json_object_foreach_member(changed, merge, known);
        tell_state(watch, name, changed);
        return 0;
}

static int on_finished(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Watch *watch = userdata;
        g_autofree char *name = name_of(watch, message, sd_bus_message_get_path(message));
        const char *operation, *result, *error_name, *error_message;
        g_autoptr(JsonObject) object = json_object_new();
        g_autofree char *text = NULL;
        uint64_t id;

        if (!name ||
            sd_bus_message_read(message, "tssss", &id, &operation, &result, &error_name, &error_message) < 0)
                return 0;
        json_object_set_int_member(object, "id", (gint64) id);
        json_object_set_string_member(object, "operation", operation);
        json_object_set_string_member(object, "result", result);
        if (*error_name)
                json_object_set_object_member(object, "error",
                                              format_error_object(error_name, error_message));
        text = g_strdup_printf("%s (%" G_GUINT64_FORMAT ") %s%s%s", operation, id, result,
                               *error_message ? ": " : "", error_message);
        tell(watch, name, "finished", object, text);
        return 0;
}

static int on_objects(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Watch *watch = userdata;
        g_autofree char *name = NULL;
        g_autoptr(JsonObject) nothing = json_object_new();
        const char *path;

        if (sd_bus_message_read(message, "o", &path) < 0)
                return 0;
        name = name_of(watch, message, path);
        if (!name)
                return 0;
        if (sd_bus_message_is_signal(message, NULL, "InterfacesAdded")) {
                watch->read_again = true;
                return 0;
        }
        if (g_hash_table_remove(watch->known, name))
                tell(watch, name, "removed", nothing, "removed");
        watch->gone = watch->only != NULL;
        return 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Watch *watch = userdata;
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) < 0)
                return 0;
        format_note(watch->client->options, *new_owner ? "The agent is back." : "The agent went away.");
        watch->read_again = *new_owner;
        return 0;
}

static int subscribe(Watch *watch, sd_bus_error *error) {
        static const struct {
                const char *rule;
                sd_bus_message_handler_t handler;
        } matches[] = {
                { "type='signal',sender='" AGENT_NAME "',path_namespace='" MIGRATION_PREFIX
                  "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
                  on_changed },
                { "type='signal',sender='" AGENT_NAME "',path_namespace='" MIGRATION_PREFIX
                  "',interface='" MIGRATION_INTERFACE "',member='OperationFinished'",
                  on_finished },
                { "type='signal',sender='" AGENT_NAME "',interface='org.freedesktop.DBus.ObjectManager'",
                  on_objects },
                { AGENT_OWNER_MATCH, on_owner },
        };
        int r;

        for (gsize i = 0; i < G_N_ELEMENTS(matches); i++) {
                r = sd_bus_add_match(watch->client->bus, NULL, matches[i].rule, matches[i].handler, watch);
                if (r < 0)
                        return sd_bus_error_set_errno(error, r);
        }
        return 0;
}

static int read_all(Watch *watch, sd_bus_error *error) {
        g_autoptr(GPtrArray) all = NULL;
        int r;

        watch->read_again = false;
        r = overview_read(watch->client, &all, error);
        if (r < 0)
                return r;
        for (guint i = 0; i < all->len; i++) {
                JsonObject *properties = g_ptr_array_index(all, i);
                const char *name = value_string(properties, "Name");

                if (watch->only && strcmp(name, watch->only) != 0)
                        continue;
                g_hash_table_insert(watch->known, g_strdup(name), json_object_ref(properties));
                tell_state(watch, name, properties);
        }
        return 0;
}

static int watch_lines(Client *client, const char *only) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                                            (GDestroyNotify) json_object_unref);
        g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autofree char *path = NULL;
        Watch watch = { .client = client, .only = only, .known = known, .lines = lines };
        int r;

        r = client_track_agent(client, &error);
        if (r >= 0)
                r = subscribe(&watch, &error);
        if (r >= 0 && only)
                r = client_migration_path(client, only, &path, &error);
        if (r >= 0)
                r = read_all(&watch, &error);
        while (r >= 0 && !watch.gone && !ferror(stdout)) {
                r = client_iterate(client);
                if (r >= 0 && watch.read_again)
                        r = read_all(&watch, &error);
        }
        if (r == -EINTR || r == -ETIMEDOUT)
                client->hinted = true; /* nothing was started here that could be come back to */
        /* The matches speak to variables of this function. */
        sd_bus_close(client->bus);
        return r < 0 ? client_fail(client, r, &error) : STATUS_DONE;
}

int cmd_watch(Client *client, const Verb *verb, char **words) {
        if (client->options->json == JSON_OFF && isatty(STDOUT_FILENO))
                return watch_terminal(client, words[0]);
        return watch_lines(client, words[0]);
}
