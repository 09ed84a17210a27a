/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* create, and start at once where that is asked for. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "format.h"

#define FLAG_VALIDATE UINT64_C(1)

/* The agent makes up a name when none is given. */
static char *name_of(const char *path, const char *given) {
        char *external = NULL;
        char *copy;

        if (sd_bus_path_decode(path, MIGRATION_PREFIX, &external) <= 0)
                return g_strdup(given);
        copy = g_strdup(external);
        free(external);
        return copy;
}

static int start_message(Client *client, const char *path, const Settings *settings, sd_bus_message **ret,
                         sd_bus_error *error) {
        g_autoptr(sd_bus_message) call = NULL;
        int r;

        r = client_method(client, path, MIGRATION_INTERFACE, "Start", &call, error);
        if (r < 0)
                return r;
        r = settings_append(settings, call);
        if (r >= 0)
                r = sd_bus_message_append(call, "t", (uint64_t) client->options->accept_warnings);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        *ret = g_steal_pointer(&call);
        return 0;
}

static void created(Client *client, const char *name, const char *path) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(JsonObject) object = json_object_new();

        if (client->options->json != JSON_OFF) {
                json_object_set_string_member(object, "name", name);
                json_object_set_string_member(object, "path", path);
                format_json_object(client->options, object, out);
        } else if (!client->options->quiet) {
                g_string_append(out, "Migration ");
                format_append_safe(out, name);
                g_string_append(out, ": created.\n");
        }
        format_output(client->options, out);
}

int cmd_create(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL, reply = NULL, start = NULL;
        g_autoptr(Settings) none = settings_new();
        g_autofree char *name = NULL;
        const Options *options = client->options;
        const char *given = words[0] ? words[0] : "";
        const char *path;
        int r;

        if (options->accept_warnings && !options->start)
                return client_usage(client, "--accept-warnings goes with --start.");
        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, "CreateMigration", &call, &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", given);
        if (r >= 0)
                r = settings_append(options->settings, call);
        if (r >= 0)
                r = sd_bus_message_append(call, "t", options->dry_run ? FLAG_VALIDATE : UINT64_C(0));
        if (r >= 0)
                r = client_call_authorised(client, call, &reply, &error);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return client_fail(client, r, &error);
        if (options->dry_run)
                return done(client, "migration", given, "can be created");
        name = name_of(path, given);
        if (!options->start) {
                created(client, name, path);
                return STATUS_DONE;
        }
        if (options->json == JSON_OFF)
                created(client, name, path);
        r = start_message(client, path, none, &start, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        return operation_run(client, "migration", name, path, MIGRATION_INTERFACE, start, 0, NULL);
}
