/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* log: what happened to a migration. The journal knows most; where there is none, or it is another machine's
 * agent that is asked, the agent's own history is shown. Both become the same kind of entry. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-journal.h>

#include "cmd.h"
#include "format.h"
#include "value.h"

/* The agent's history has no change signal. */
#define HISTORY_USEC (2 * G_USEC_PER_SEC)

/* Journal field → member of an entry. */
static const struct {
        const char *field;
        const char *member;
} field_table[] = {
        { "MESSAGE", "message" },
        { "MESSAGE_ID", "message_id" },
        { "PRIORITY", "priority" },
        { "EVENT", "event" },
        { "OPERATION", "operation" },
        { "RESULT", "result" },
        { "ERROR_NAME", "error_name" },
        { "JOB_ID", "id" },
        { "CALLER_UID", "caller_uid" },
        { "POLKIT_ACTION", "polkit_action" },
        { "AUTHORIZED_BY", "authorized_by" },
        { "CALLER_LOGIN_USER", "caller_login_user" },
};

static void print_entry(const Options *options, JsonObject *entry, GString *out) {
        g_autofree char *when = format_time((uint64_t) value_int(entry, "at"));
        const char *event = value_string(entry, "event");

        if (!*event)
                event = value_string(entry, "operation");
        g_string_append_printf(out, "%s  ", when);
        if (*event) {
                format_append_safe(out, event);
                g_string_append(out, ": ");
        }
        format_append_safe(out, value_string(entry, "message"));
        g_string_append_c(out, '\n');
}

/* All at once: one JSON array, or lines. While following: an object or a line each. */
static void print_entries(const Options *options, JsonArray *entries, bool following) {
        g_autoptr(GString) out = g_string_new(NULL);
        guint count = json_array_get_length(entries);
        guint first = !following && options->lines > 0 && count > options->lines ? count - options->lines : 0;
        g_autoptr(JsonArray) shown = json_array_new();
        g_autoptr(JsonNode) node = json_node_alloc();

        for (guint i = first; i < count; i++) {
                JsonNode *element = json_array_get_element(entries, i);

                if (!JSON_NODE_HOLDS_OBJECT(element))
                        continue;
                if (options->json == JSON_OFF)
                        print_entry(options, json_node_get_object(element), out);
                else if (options->follow)
                        format_json(options, element, out);
                else
                        json_array_add_element(shown, json_node_copy(element));
        }
        json_node_init_array(node, shown);
        if (options->json != JSON_OFF && !options->follow)
                format_json(options, node, out);
        if (options->follow) {
                fputs(out->str, stdout);
                fflush(stdout);
        } else
                format_output(options, out);
}

static JsonObject *journal_entry(sd_journal *journal) {
        JsonObject *entry = json_object_new();
        uint64_t at;

        if (sd_journal_get_realtime_usec(journal, &at) >= 0)
                json_object_set_int_member(entry, "at", (gint64) at);
        for (gsize i = 0; i < G_N_ELEMENTS(field_table); i++) {
                gsize skip = strlen(field_table[i].field) + 1;
                const void *data;
                size_t length;

                if (sd_journal_get_data(journal, field_table[i].field, &data, &length) >= 0 &&
                    length >= skip) {
                        g_autofree char *text = g_utf8_make_valid((const char *) data + skip,
                                                                  (gssize) (length - skip));

                        json_object_set_string_member(entry, field_table[i].member, text);
                }
        }
        return entry;
}

static JsonArray *journal_rest(sd_journal *journal) {
        JsonArray *entries = json_array_new();

        while (sd_journal_next(journal) > 0)
                json_array_add_object_element(entries, journal_entry(journal));
        return entries;
}

static int on_journal(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        (void) sd_journal_process(userdata);
        return 0;
}

static int follow_journal(Client *client, sd_journal *journal) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_event_source) source = NULL;
        int r;

        r = client_open_loop(client, &error); /* works while neither agent nor bus do */
        if (r >= 0)
                r = sd_journal_get_fd(journal);
        if (r >= 0)
                r = sd_event_add_io(client->event, &source, r, EPOLLIN, on_journal, journal);
        while (r >= 0 && !ferror(stdout)) {
                g_autoptr(JsonArray) entries = journal_rest(journal);

                print_entries(client->options, entries, true);
                r = client_iterate(client);
        }
        client->hinted = true;
        return r < 0 ? client_fail(client, r, &error) : STATUS_DONE;
}

/* False when the journal has nothing on this migration, or nothing that we may read. */
static bool log_journal(Client *client, const char *name, int *ret_status) {
        g_autoptr(JsonArray) entries = NULL;
        g_autofree char *match = g_strdup_printf("MIGRATION=%s", name);
        sd_journal *journal = NULL;
        bool found;

        if (sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0)
                return false;
        if (sd_journal_add_match(journal, match, 0) < 0 ||
            sd_journal_add_match(journal, "_SYSTEMD_UNIT=polarshiftd.service", 0) < 0 ||
            sd_journal_seek_head(journal) < 0) {
                sd_journal_close(journal);
                return false;
        }
        entries = journal_rest(journal);
        found = json_array_get_length(entries) > 0;
        if (found) {
                print_entries(client->options, entries, false);
                *ret_status = client->options->follow ? follow_journal(client, journal) : STATUS_DONE;
        }
        sd_journal_close(journal);
        return found;
}

static int read_history(Client *client, const char *path, uint64_t since, JsonNode **ret,
                        sd_bus_error *error) {
        g_autoptr(sd_bus_message) call = NULL;
        g_autoptr(JsonNode) node = NULL;
        int r;

        r = client_method(client, path, MIGRATION_INTERFACE, "GetHistory", &call, error);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "t", since);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = client_json_method(client, call, &node, error);
        if (r < 0)
                return r;
        if (!JSON_NODE_HOLDS_ARRAY(node))
                return sd_bus_error_set(error, CTL_ERROR_BAD_REPLY, "The agent's history is not a list.");
        *ret = g_steal_pointer(&node);
        return 0;
}

static uint64_t newest(JsonArray *entries, uint64_t since) {
        for (guint i = 0; i < json_array_get_length(entries); i++) {
                JsonNode *element = json_array_get_element(entries, i);

                if (JSON_NODE_HOLDS_OBJECT(element))
                        since = MAX(since, (uint64_t) value_int(json_node_get_object(element), "at") + 1);
        }
        return since;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        bool *passed = userdata;

        *passed = true;
        return 0;
}

static int pass_time(Client *client) {
        g_autoptr(sd_event_source) source = NULL;
        bool passed = false;
        int r;

        r = sd_event_add_time_relative(client->event, &source, CLOCK_MONOTONIC, HISTORY_USEC, 0, on_tick,
                                       &passed);
        while (r >= 0 && !passed)
                r = client_iterate(client);
        return r;
}

static int log_history(Client *client, const char *name) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autofree char *path = NULL;
        uint64_t since = 0;
        int r;

        r = client_migration_path(client, name, &path, &error);
        for (bool first = true; r >= 0; first = false) {
                g_autoptr(JsonNode) node = NULL;

                r = read_history(client, path, since, &node, &error);
                if (r < 0)
                        break;
                print_entries(client->options, json_node_get_array(node), !first);
                if (!client->options->follow || ferror(stdout))
                        return STATUS_DONE;
                since = newest(json_node_get_array(node), since);
                r = pass_time(client);
        }
        client->hinted = client->options->follow;
        return client_fail(client, r, &error);
}

int cmd_log(Client *client, const Verb *verb, char **words) {
        int status;

        /* The journal speaks of the agent of the system's own bus only. */
        if (!client->options->address && !g_getenv("DBUS_SYSTEM_BUS_ADDRESS") &&
            log_journal(client, words[0], &status))
                return status;
        return log_history(client, words[0]);
}
