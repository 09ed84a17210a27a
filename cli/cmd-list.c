/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs that look: list, status, show, permissions. */

#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "format.h"
#include "value.h"

static int compare_rows(const void *a, const void *b) {
        JsonNode *const *left = a, *const *right = b;

        return g_strcmp0(json_array_get_string_element(json_node_get_array(*left), 0),
                         json_array_get_string_element(json_node_get_array(*right), 0));
}

int list_objects(Client *client, const char *method, JsonArray **ret, sd_bus_error *error) {
        g_autoptr(sd_bus_message) call = NULL, reply = NULL;
        g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify) json_node_unref);
        g_autoptr(JsonNode) node = NULL;
        JsonArray *array, *sorted;
        int r;

        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, method, &call, error);
        if (r < 0)
                return r;
        r = client_call(client, call, &reply, error);
        if (r < 0)
                return r;
        if (!sd_bus_message_has_signature(reply, "a(sso)") || value_read(reply, &node) < 0)
                return sd_bus_error_setf(error, CTL_ERROR_BAD_REPLY, "The agent's answer to %s is malformed.",
                                         method);
        array = json_node_get_array(node);
        for (guint i = 0; i < json_array_get_length(array); i++)
                g_ptr_array_add(rows, json_array_dup_element(array, i));
        g_ptr_array_sort(rows, compare_rows);
        sorted = json_array_new();
        for (guint i = 0; i < rows->len; i++)
                json_array_add_element(sorted, json_node_copy(g_ptr_array_index(rows, i)));
        *ret = sorted;
        return 0;
}

int print_objects(Client *client, const char *method, const char *second, const char *none) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonArray) rows = NULL, objects = json_array_new();
        g_autoptr(JsonNode) node = json_node_alloc();
        g_autoptr(GString) out = g_string_new(NULL);
        g_autofree char *heading = g_ascii_strup(second, -1);
        g_autoptr(Table) table = table_new("NAME", heading, "PATH", NULL);
        int r;

        r = list_objects(client, method, &rows, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        for (guint i = 0; i < json_array_get_length(rows); i++) {
                JsonArray *row = json_array_get_array_element(rows, i);
                JsonObject *object = json_object_new();

                json_object_set_string_member(object, "name", json_array_get_string_element(row, 0));
                json_object_set_string_member(object, second, json_array_get_string_element(row, 1));
                json_object_set_string_member(object, "path", json_array_get_string_element(row, 2));
                table_row(table, json_array_get_string_element(row, 0), json_array_get_string_element(row, 1),
                          json_array_get_string_element(row, 2));
                json_array_add_object_element(objects, object);
        }
        json_node_init_array(node, objects);
        if (client->options->json != JSON_OFF)
                format_json(client->options, node, out);
        else if (json_array_get_length(rows) == 0)
                format_note(client->options, "%s", none);
        else
                table_print(table, client->options, out);
        format_output(client->options, out);
        return STATUS_DONE;
}

int cmd_list(Client *client, const Verb *verb, char **words) {
        return print_objects(client, "ListMigrations", "phase", "There are no migrations.");
}

int overview_read(Client *client, GPtrArray **ret, sd_bus_error *error) {
        g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify) json_object_unref);
        g_autoptr(JsonArray) rows = NULL;
        int r;

        r = list_objects(client, "ListMigrations", &rows, error);
        if (r < 0)
                return r;
        for (guint i = 0; i < json_array_get_length(rows); i++) {
                g_auto(sd_bus_error) problem = SD_BUS_ERROR_NULL;
                JsonArray *row = json_array_get_array_element(rows, i);
                JsonObject *properties;

                r = client_properties(client, json_array_get_string_element(row, 2), MIGRATION_INTERFACE,
                                      &properties, &problem);
                if (r == -EINTR || r == -ETIMEDOUT || r == -ENOTCONN)
                        return r;
                if (r < 0) { /* removed just now, or its state is unreadable: the others still count */
                        format_note(client->options, "%s: %s", json_array_get_string_element(row, 0),
                                    problem.message ? problem.message : "unreadable");
                        continue;
                }
                g_ptr_array_add(all, properties);
        }
        *ret = g_steal_pointer(&all);
        return 0;
}

void overview_print(const Options *options, GPtrArray *properties, GString *out) {
        g_autoptr(Table) table = table_new("NAME", "PHASE", "OPERATION", "SOURCE", "DESTINATION", "DELAY",
                                           "DONE", "REPLICATION", NULL);

        for (guint i = 0; i < properties->len; i++) {
                JsonObject *object = g_ptr_array_index(properties, i);
                double progress = value_double(object, "Progress");
                double delay = value_double(object, "ReplicationDelay");
                g_autofree char *delay_text = delay >= 0 ? format_duration(delay) : NULL;
                g_autofree char *progress_text =
                                progress >= 0 ? g_strdup_printf("%.0f%%", progress * 100) : NULL;
                const char *step = value_string(object, "OperationStep");
                g_autofree char *operation = g_strdup_printf("%s%s%s", value_string(object, "Operation"),
                                                             *step ? "/" : "", step);
                g_autofree char *link = g_strdup_printf(
                                "%s%s",
                                value_bool(object, "Paused") ? "paused"
                                                             : value_string(object, "ReplicationState"),
                                *value_string(value_object(object, "LastError"), "name") ? " !" : "");

                table_row(table, value_string(object, "Name"), value_string(object, "Phase"), operation,
                          value_string(object, "Source"), value_string(object, "Destination"), delay_text,
                          progress_text, link);
        }
        table_print(table, options, out);
}

static void line(GString *out, const char *label, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void line(GString *out, const char *label, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        g_string_append_printf(out, "%14s: ", label);
        format_append_safe(out, text);
        g_string_append_c(out, '\n');
}

static void print_progress(JsonObject *properties, GString *out) {
        double progress = value_double(properties, "Progress");
        g_autofree char *copied = format_size((uint64_t) value_int(properties, "BytesCopied"));
        g_autofree char *total = format_size((uint64_t) value_int(properties, "BytesTotal"));
        gint64 end = value_int(properties, "EstimatedEnd");

        /* What is left to copy was an estimate; nothing is left now. */
        if (progress >= 1 && !g_str_equal(value_string(properties, "Phase"), "copying"))
                line(out, "Copied", "%s, %" G_GINT64_FORMAT " rows", copied, value_int(properties, "RowsCopied"));
        else if (value_int(properties, "BytesTotal") > 0 || progress >= 0)
                line(out, "Copied", "%.0f%%, %s of %s, %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " rows",
                     MAX(progress, 0) * 100, copied, total, value_int(properties, "RowsCopied"),
                     value_int(properties, "RowsTotal"));
        if (end > 0) {
                g_autofree char *when = format_time((uint64_t) end);

                line(out, "Estimated end", "%s", when);
        }
        if (value_int(properties, "TransactionsApplied") > 0)
                line(out, "Applied", "%" G_GINT64_FORMAT " transactions, %" G_GINT64_FORMAT " rows",
                     value_int(properties, "TransactionsApplied"), value_int(properties, "RowsApplied"));
}

static void print_operations(JsonObject *properties, GString *out) {
        JsonObject *last = value_object(properties, "LastOperation");
        JsonObject *error = value_object(properties, "LastError");
        const char *step = value_string(properties, "OperationStep");

        if (*value_string(properties, "Operation"))
                line(out, "Operation", "%s%s%s (%" G_GINT64_FORMAT ")", value_string(properties, "Operation"),
                     *step ? ", step " : "", step, value_int(properties, "OperationId"));
        if (value_int(last, "id") > 0) {
                g_autofree char *when = format_time((uint64_t) value_int(last, "finished_at"));

                line(out, "Last operation", "%s (%" G_GINT64_FORMAT ") %s at %s%s%s",
                     value_string(last, "operation"), value_int(last, "id"), value_string(last, "result"),
                     when, *value_string(last, "error_message") ? ": " : "",
                     value_string(last, "error_message"));
        }
        if (*value_string(error, "name"))
                line(out, "Error", "%s (%s)", value_string(error, "message"), value_string(error, "name"));
}

static void print_times(JsonObject *properties, GString *out) {
        gint64 verified = value_int(properties, "VerifiedAt");
        gint64 expires = value_int(properties, "ExpiresAt");
        gint64 confirm_by = value_int(properties, "ConfirmBy");
        double interruption = value_double(properties, "WriteInterruption");
        g_autofree char *verified_text = format_time((uint64_t) verified);
        g_autofree char *expires_text = format_time((uint64_t) expires);
        g_autofree char *confirm_text = format_time((uint64_t) confirm_by);

        line(out, "Verification", "%s%s%s", value_string(properties, "VerificationState"),
             verified > 0 ? ", " : "", verified > 0 ? verified_text : "");
        if (interruption >= 0)
                line(out, "Interruption", "writes stopped for %.3f s at the last switch", interruption);
        if (value_int(properties, "ForeignWrites") > 0)
                line(out, "Foreign writes",
                     "%" G_GINT64_FORMAT " transactions on the side that must not write",
                     value_int(properties, "ForeignWrites"));
        if (confirm_by > 0)
                line(out, "Confirm by", "%s, else it is undone", confirm_text);
        if (expires > 0)
                line(out, "Expires", "%s", expires_text);
}

void status_print(JsonObject *properties, GString *out) {
        double delay = value_double(properties, "ReplicationDelay");
        g_autofree char *delay_text = format_duration(delay);
        const char *reason = value_string(properties, "PhaseReason");
        JsonNode *actions = json_object_get_member(properties, "AllowedActions");
        bool colours = format_colours();
        bool healthy = !*value_string(value_object(properties, "LastError"), "name");

        g_string_append_printf(out, "%s* %s", colours ? (healthy ? "\033[32m" : "\033[31m") : "",
                               colours ? "\033[0m" : "");
        format_append_safe(out, value_string(properties, "Name"));
        g_string_append(out, " - ");
        format_append_safe(out, value_string(properties, "Phase"));
        if (*reason) {
                g_string_append(out, " (");
                format_append_safe(out, reason);
                g_string_append_c(out, ')');
        }
        g_string_append(out, value_bool(properties, "Paused") ? ", paused\n" : "\n");
        line(out, "Source", "%s, %s", value_string(properties, "Source"),
             value_string(properties, "SourceReadWriteStatus"));
        line(out, "Destination", "%s, %s", value_string(properties, "Destination"),
             value_string(properties, "DestinationReadWriteStatus"));
        line(out, "Replication", "%s, %s, delay %s", value_string(properties, "ReplicationState"),
             value_string(properties, "ReplicationDirection"), delay_text);
        print_progress(properties, out);
        print_operations(properties, out);
        print_times(properties, out);
        if (actions) {
                g_autofree char *text = format_value(actions);

                line(out, "Allowed", "%s", text);
        }
}

int cmd_status(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GPtrArray) all = NULL;
        int r;

        if (words[0]) {
                g_autoptr(JsonObject) properties = NULL;
                g_autofree char *path = NULL;

                r = client_migration_path(client, words[0], &path, &error);
                if (r >= 0)
                        r = client_properties(client, path, MIGRATION_INTERFACE, &properties, &error);
                if (r < 0)
                        return client_fail(client, r, &error);
                if (client->options->json != JSON_OFF)
                        format_json_object(client->options, properties, out);
                else
                        status_print(properties, out);
                format_output(client->options, out);
                return STATUS_DONE;
        }
        r = overview_read(client, &all, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (client->options->json != JSON_OFF) {
                g_autoptr(JsonArray) array = json_array_new();
                g_autoptr(JsonNode) node = json_node_alloc();

                for (guint i = 0; i < all->len; i++)
                        json_array_add_object_element(array, json_object_ref(g_ptr_array_index(all, i)));
                json_node_init_array(node, array);
                format_json(client->options, node, out);
        } else if (all->len == 0)
                format_note(client->options, "There are no migrations.");
        else
                overview_print(client->options, all, out);
        format_output(client->options, out);
        return STATUS_DONE;
}

static void show_one(const Options *options, const char *name, JsonNode *node, GString *out) {
        g_autofree char *value = format_value(node);

        if (!options->value) {
                format_append_safe(out, name);
                g_string_append_c(out, '=');
        }
        g_string_append_printf(out, "%s\n", value);
}

int cmd_show(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonObject) properties = NULL, chosen = json_object_new();
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GList) names = NULL;
        g_autofree char *path = NULL;
        GPtrArray *wanted = client->options->properties;
        int r;

        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_properties(client, path, MIGRATION_INTERFACE, &properties, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        for (guint i = 0; i < wanted->len; i++) {
                const char *name = g_ptr_array_index(wanted, i);

                if (!json_object_has_member(properties, name))
                        return client_usage(client,
                                            "There is no property %s; polarshiftctl show %s lists them.",
                                            name, words[0]);
                json_object_set_member(chosen, name, json_object_dup_member(properties, name));
        }
        if (wanted->len == 0) {
                json_object_unref(chosen);
                chosen = json_object_ref(properties);
        }
        if (client->options->json != JSON_OFF)
                format_json_object(client->options, chosen, out);
        else {
                names = json_object_get_members(chosen);
                for (GList *l = names; l; l = l->next)
                        show_one(client->options, l->data, json_object_get_member(chosen, l->data), out);
        }
        format_output(client->options, out);
        return STATUS_DONE;
}

int cmd_permissions(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL, reply = NULL;
        g_autoptr(JsonNode) node = NULL;
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GList) names = NULL;
        g_autoptr(Table) table = table_new("ACTION", "ALLOWED", NULL);
        int r;

        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, "GetPermissions", &call, &error);
        if (r >= 0)
                r = client_call(client, call, &reply, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (!sd_bus_message_has_signature(reply, "a{ss}") || value_read(reply, &node) < 0) {
                (void) sd_bus_error_set(&error, CTL_ERROR_BAD_REPLY, "The agent's answer is malformed.");
                return client_fail(client, -EBADMSG, &error);
        }
        if (client->options->json != JSON_OFF)
                format_json(client->options, node, out);
        else {
                names = g_list_sort(json_object_get_members(json_node_get_object(node)),
                                    (GCompareFunc) strcmp);
                for (GList *l = names; l; l = l->next)
                        table_row(table, l->data, value_string(json_node_get_object(node), l->data));
                table_print(table, client->options, out);
        }
        format_output(client->options, out);
        return STATUS_DONE;
}
