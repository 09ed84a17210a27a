/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs for clusters. An agent that has none answers NotSupported, and that is what is shown. */

#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "format.h"
#include "value.h"

int cmd_cluster_list(Client *client, const Verb *verb, char **words) {
        return print_objects(client, "ListClusters", "state", "There are no clusters.");
}

int cmd_cluster_status(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonObject) properties = NULL;
        g_autoptr(JsonNode) node = json_node_alloc();
        g_autofree char *path = NULL;
        int r;

        if (!words[0])
                return cmd_cluster_list(client, verb, words);
        r = client_cluster_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_properties(client, path, CLUSTER_INTERFACE, &properties, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        json_node_init_object(node, properties);
        format_node(client->options, node);
        return STATUS_DONE;
}

int cmd_cluster_create(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        int r;

        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, "CreateCluster", &call, &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", words[0]);
        if (r >= 0)
                r = client_append_end(client, call, client->options->dry_run);
        if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        return done(client, "cluster", words[0],
                    client->options->dry_run ? "can be created" : "being created");
}

typedef struct Change {
        const char *verb;
        const char *method;
        bool operation;
        const char *done;
} Change;

static const Change change_table[] = {
        { "cluster rename", "Rename", false, "renamed" },
        { "cluster binlog", "SetBinlog", true, NULL },
        { "cluster allow", "SetAllowList", false, "allow list set" },
        { "cluster stop", "Stop", true, NULL },
        { "cluster start", "Start", true, NULL },
        { "cluster remove", "Remove", true, NULL },
};

/* The arguments before the options: those of Rename, SetBinlog and SetAllowList. */
static int append_arguments(const Change *change, sd_bus_message *call, char **words) {
        if (strcmp(change->method, "Rename") == 0)
                return sd_bus_message_append(call, "s", words[1]);
        if (strcmp(change->method, "SetBinlog") == 0)
                return sd_bus_message_append(call, "b", (int) (strcmp(words[1], "on") == 0));
        if (strcmp(change->method, "SetAllowList") == 0)
                return sd_bus_message_append_strv(call, words + 1);
        return 0;
}

int cmd_cluster_change(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_autofree char *path = NULL;
        const Change *change = NULL;
        int r;

        for (gsize i = 0; i < G_N_ELEMENTS(change_table); i++)
                if (strcmp(change_table[i].verb, verb->name) == 0)
                        change = &change_table[i];
        g_return_val_if_fail(change, STATUS_FAILED);
        if (strcmp(change->method, "SetBinlog") == 0 && strcmp(words[1], "on") != 0 &&
            strcmp(words[1], "off") != 0)
                return client_usage(client, "The binary log is on or off, not \"%s\".", words[1]);
        if (settings_has(client->options->settings, "delete-data") && !client->options->yes) {
                r = confirm_name(client, "cluster", words[0], "remove",
                                 "The cluster's data will be deleted.\n");
                if (r != STATUS_DONE)
                        return r;
        }
        r = client_cluster_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_method(client, path, CLUSTER_INTERFACE, change->method, &call, &error);
        if (r >= 0)
                r = append_arguments(change, call, words);
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r < 0)
                return client_fail(client, r, &error);
        if (change->operation)
                return operation_run(client, "cluster", words[0], path, CLUSTER_INTERFACE, call, 0, NULL);
        r = client_call_authorised(client, call, NULL, &error);
        return r < 0 ? client_fail(client, r, &error) : done(client, "cluster", words[0], change->done);
}
