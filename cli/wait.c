/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following an operation; see wait.h. */

#include "wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "value.h"

/* How long an agent may be away (it is restarted by systemd) before we give up on it. */
#define AWAY_USEC (90 * G_USEC_PER_SEC)
/* Progress has no change signal. */
#define POLL_USEC G_USEC_PER_SEC
#define POLL_QUIET_USEC (5 * G_USEC_PER_SEC)
/* That many answers in a row without a trace of the operation, and it is lost. */
#define LOST_ANSWERS 3
#define BAR_WIDTH 30
/* A line in a log when nothing but numbers changed. */
#define LINE_USEC (10 * G_USEC_PER_SEC)

struct Follow {
        Client *client;
        char *name;
        char *path;
        char *interface;

        sd_bus_slot *finished_slot;
        sd_bus_slot *changed_slot;
        sd_bus_slot *owner_slot;
        sd_bus_slot *query_slot;
        sd_event_source *poll;
        sd_event_source *away_timer;

        JsonObject *properties;
        uint64_t id;
        const char *phase; /* awaited */
        bool current;      /* no id was given: take the running one */
        bool ended;
        unsigned without_trace;
        Outcome outcome;
        sd_bus_error problem;

        bool bar; /* a progress bar on standard error */
        bool bar_shown;
        char *last_state; /* what the last line, printed where there is no terminal, was about */
        gint64 last_line; /* and when */
};

void outcome_clear(Outcome *outcome) {
        g_free(outcome->operation);
        g_free(outcome->result);
        g_free(outcome->error_name);
        g_free(outcome->error_message);
        *outcome = (Outcome){};
}

ExitStatus outcome_status(const Outcome *outcome) {
        if (g_strcmp0(outcome->result, "done") == 0)
                return STATUS_DONE;
        /* Refused before anything was changed: by a check, not by an accident. */
        if (g_strcmp0(outcome->result, "failed") == 0 &&
            client_status_of(outcome->error_name) == STATUS_REFUSED)
                return STATUS_REFUSED;
        return STATUS_FAILED;
}

JsonObject *outcome_json(const Outcome *outcome, const char *kind, const char *name) {
        JsonObject *object = json_object_new();

        json_object_set_string_member(object, kind, name);
        json_object_set_int_member(object, "id", (gint64) outcome->id);
        json_object_set_string_member(object, "operation", outcome->operation);
        json_object_set_string_member(object, "result", outcome->result);
        if (outcome->error_name && *outcome->error_name)
                json_object_set_object_member(
                                object, "error",
                                format_error_object(outcome->error_name, outcome->error_message));
        return object;
}

char *follow_summary(JsonObject *properties) {
        GString *line = g_string_new(value_string(properties, "Phase"));
        const char *operation = value_string(properties, "Operation");
        double progress = value_double(properties, "Progress");
        double delay = value_double(properties, "ReplicationDelay");

        if (*operation)
                g_string_append_printf(line, ", %s", operation);
        if (*operation && *value_string(properties, "OperationStep"))
                g_string_append_printf(line, " (%s)", value_string(properties, "OperationStep"));
        if (value_bool(properties, "Paused"))
                g_string_append(line, ", paused");
        if (g_str_equal(value_string(properties, "Phase"), "copying") && progress >= 0) {
                g_autofree char *copied = format_size((uint64_t) value_int(properties, "BytesCopied"));
                g_autofree char *total = format_size((uint64_t) value_int(properties, "BytesTotal"));

                g_string_append_printf(line, ", %.0f%%, %s of %s", progress * 100, copied, total);
        }
        if (delay >= 0) {
                g_autofree char *text = format_duration(delay);

                g_string_append_printf(line, ", delay %s", text);
        }
        if (g_str_equal(value_string(properties, "ReplicationState"), "failed") ||
            g_str_equal(value_string(properties, "ReplicationState"), "retrying"))
                g_string_append_printf(line, ", replication %s: %s",
                                       value_string(properties, "ReplicationState"),
                                       value_string(value_object(properties, "LastError"), "message"));
        return g_string_free(line, FALSE);
}

static void clear_bar(Follow *follow) {
        if (follow->bar_shown)
                fputs("\r\033[K", stderr);
        follow->bar_shown = false;
}

static void show_line(Follow *follow, const char *line) {
        JsonObject *properties = follow->properties;
        g_autofree char *state = g_strdup_printf(
                        "%s %s %s %d %s %d", value_string(properties, "Phase"),
                        value_string(properties, "Operation"), value_string(properties, "OperationStep"),
                        value_bool(properties, "Paused"), value_string(properties, "ReplicationState"),
                        (int) (value_double(properties, "Progress") * 10));

        if (g_strcmp0(state, follow->last_state) == 0 &&
            g_get_monotonic_time() - follow->last_line < LINE_USEC)
                return;
        fprintf(stderr, "%s\n", line);
        g_free(follow->last_state);
        follow->last_state = g_steal_pointer(&state);
        follow->last_line = g_get_monotonic_time();
}

static void show(Follow *follow) {
        const Options *options = follow->client->options;
        double progress = value_double(follow->properties, "Progress");
        g_autofree char *summary = NULL;
        g_autoptr(GString) line = g_string_new(NULL);
        unsigned columns, rows;

        if (options->quiet || options->json != JSON_OFF || !follow->properties)
                return;
        summary = follow_summary(follow->properties);
        format_append_safe(line, follow->name);
        g_string_append(line, ": ");
        if (!follow->bar) {
                format_append_safe(line, summary);
                show_line(follow, line->str);
                return;
        }
        if (g_str_equal(value_string(follow->properties, "Phase"), "copying") && progress >= 0) {
                int full = (int) (CLAMP(progress, 0, 1) * BAR_WIDTH);

                g_string_append_c(line, '[');
                for (int i = 0; i < BAR_WIDTH; i++)
                        g_string_append_c(line, i < full ? '#' : '.');
                g_string_append(line, "] ");
        }
        format_append_safe(line, summary);
        format_terminal_size(STDERR_FILENO, &columns, &rows);
        if ((glong) columns <= g_utf8_strlen(line->str, -1))
                g_string_truncate(line,
                                  (gsize) (g_utf8_offset_to_pointer(line->str, columns - 1) - line->str));
        fprintf(stderr, "\r%s\033[K", line->str);
        fflush(stderr);
        follow->bar_shown = true;
}

static void end(Follow *follow, uint64_t id, const char *operation, const char *result,
                const char *error_name, const char *error_message) {
        if (follow->ended)
                return;
        follow->outcome = (Outcome){ .id = id,
                                     .operation = g_strdup(operation),
                                     .result = g_strdup(result),
                                     .error_name = g_strdup(error_name),
                                     .error_message = g_strdup(error_message) };
        follow->ended = true;
}

static void end_from(Follow *follow, JsonObject *last) {
        end(follow, (uint64_t) value_int(last, "id"), value_string(last, "operation"),
            value_string(last, "result"), value_string(last, "error_name"),
            value_string(last, "error_message"));
}

static void give_up(Follow *follow, const char *name, const char *message) {
        if (!sd_bus_error_is_set(&follow->problem))
                (void) sd_bus_error_set(&follow->problem, name, message);
        follow->ended = true;
}

static void evaluate_phase(Follow *follow) {
        const char *phase = value_string(follow->properties, "Phase");

        if (strcmp(phase, follow->phase) == 0)
                follow->ended = true;
        else if (strcmp(phase, "completed") == 0 || strcmp(phase, "canceled") == 0) {
                g_autofree char *message = g_strdup_printf("Migration %s is %s and will never be %s.",
                                                           follow->name, phase, follow->phase);

                give_up(follow, CTL_ERROR_EXCLUDED, message);
        }
}

/* FRESH: the properties are an answer to our question, all of the same moment. */
static void evaluate(Follow *follow, bool fresh) {
        JsonObject *last = value_object(follow->properties, "LastOperation");
        uint64_t running = (uint64_t) value_int(follow->properties, "OperationId");
        uint64_t last_id = (uint64_t) value_int(last, "id");

        if (follow->phase) {
                evaluate_phase(follow);
                return;
        }
        if (follow->current && fresh) {
                follow->current = false;
                if (running != 0)
                        follow->id = running;
                else if (last_id != 0)
                        end_from(follow, last);
                else
                        give_up(follow, ERROR_PREFIX "InvalidPhase", "No operation was ever started here.");
                return;
        }
        if (follow->id == 0)
                return;
        if (last_id == follow->id) {
                end_from(follow, last);
                return;
        }
        if (!fresh)
                return;
        /* A cluster has no OperationId: there a running operation is trusted to be ours. */
        if (running == follow->id || (strcmp(follow->interface, CLUSTER_INTERFACE) == 0 &&
                                      *value_string(follow->properties, "Operation")))
                follow->without_trace = 0;
        else if (++follow->without_trace >= LOST_ANSWERS) {
                g_autofree char *message = g_strdup_printf(
                                "The agent no longer knows operation %" G_GUINT64_FORMAT " of %s; look at: "
                                "polarshiftctl log %s",
                                follow->id, follow->name, follow->name);

                give_up(follow, CTL_ERROR_OUTCOME_UNKNOWN, message);
        }
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        Follow *follow = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        JsonObject *properties;

        follow->query_slot = sd_bus_slot_unref(follow->query_slot);
        if (error) {
                /* An agent that is away may come back; an object that is gone does not. */
                if (client_status_of(error->name) != STATUS_UNREACHABLE)
                        give_up(follow, error->name, error->message);
                return 0;
        }
        if (value_read_properties(reply, &properties) < 0) {
                give_up(follow, CTL_ERROR_BAD_REPLY, "The agent's properties are malformed.");
                return 0;
        }
        g_clear_pointer(&follow->properties, json_object_unref);
        follow->properties = properties;
        evaluate(follow, true);
        if (!follow->ended)
                show(follow);
        return 0;
}

static int query(Follow *follow) {
        g_autoptr(sd_bus_message) call = NULL;
        int r;

        if (follow->query_slot)
                return 0;
        r = sd_bus_message_new_method_call(follow->client->bus, &call, AGENT_NAME, follow->path,
                                           "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "s", follow->interface);
        if (r < 0)
                return r;
        return sd_bus_call_async(follow->client->bus, &follow->query_slot, call, on_properties, follow,
                                 UINT64_MAX);
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata) {
        Follow *follow = userdata;
        int r;

        if (!follow->away_timer && sd_bus_is_open(follow->client->bus) > 0)
                (void) query(follow);
        r = sd_event_source_set_time_relative(source,
                                              follow->bar || follow->id != 0 ? POLL_USEC : POLL_QUIET_USEC);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_finished(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Follow *follow = userdata;
        const char *operation, *result, *error_name, *error_message;
        uint64_t id;

        if (!client_from_agent(follow->client, message) ||
            sd_bus_message_read(message, "tssss", &id, &operation, &result, &error_name, &error_message) < 0)
                return 0;
        if (follow->id != 0 && id == follow->id)
                end(follow, id, operation, result, error_name, error_message);
        return 0;
}

static void merge(JsonObject *object, const char *member, JsonNode *node, void *userdata) {
        Follow *follow = userdata;

        json_object_set_member(follow->properties, member, json_node_copy(node));
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Follow *follow = userdata;
        JsonObject *changed;
        const char *interface;

        if (!follow->properties || !client_from_agent(follow->client, message) ||
            sd_bus_message_read(message, "s", &interface) < 0 || strcmp(interface, follow->interface) != 0 ||
            value_read_properties(message, &changed) < 0)
                return 0;
        json_object_foreach_member(changed, merge, follow);
        json_object_unref(changed);
        evaluate(follow, false);
        if (!follow->ended)
                show(follow);
        return 0;
}

static int on_away(sd_event_source *source, uint64_t usec, void *userdata) {
        Follow *follow = userdata;

        give_up(follow, CTL_ERROR_UNREACHABLE,
                "The agent went away and did not come back; what it was doing resumes when it does. Look at: "
                "systemctl status polarshiftd");
        return 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Follow *follow = userdata;
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) < 0 ||
            strcmp(name, AGENT_NAME) != 0)
                return 0;
        clear_bar(follow);
        /* An answer of the agent that went away will never come. */
        follow->query_slot = sd_bus_slot_unref(follow->query_slot);
        follow->without_trace = 0;
        if (!*new_owner) {
                format_note(follow->client->options, "%s: the agent went away, waiting for it to come back.",
                            follow->name);
                if (follow->away_timer)
                        return 0;
                return sd_event_add_time_relative(follow->client->event, &follow->away_timer, CLOCK_MONOTONIC,
                                                  AWAY_USEC, 0, on_away, follow);
        }
        format_note(follow->client->options, "%s: the agent is back.", follow->name);
        follow->away_timer = sd_event_source_disable_unref(follow->away_timer);
        return query(follow);
}

int follow_new(Client *client, const char *name, const char *path, const char *interface, Follow **ret,
               sd_bus_error *error) {
        g_autoptr(Follow) follow = g_new0(Follow, 1);
        int r;

        r = client_track_agent(client, error);
        if (r < 0)
                return r;
        follow->client = client;
        follow->name = g_strdup(name);
        follow->path = g_strdup(path);
        follow->interface = g_strdup(interface);
        follow->bar = isatty(STDERR_FILENO) && client->options->json == JSON_OFF && !client->options->quiet;
        r = sd_bus_match_signal(client->bus, &follow->finished_slot, AGENT_NAME, path, interface,
                                "OperationFinished", on_finished, follow);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = sd_bus_match_signal(client->bus, &follow->changed_slot, AGENT_NAME, path,
                                "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, follow);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = sd_bus_add_match(client->bus, &follow->owner_slot, AGENT_OWNER_MATCH, on_owner, follow);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        *ret = g_steal_pointer(&follow);
        return 0;
}

void follow_free(Follow *follow) {
        if (!follow)
                return;
        clear_bar(follow);
        sd_bus_slot_unref(follow->finished_slot);
        sd_bus_slot_unref(follow->changed_slot);
        sd_bus_slot_unref(follow->owner_slot);
        sd_bus_slot_unref(follow->query_slot);
        sd_event_source_disable_unref(follow->poll);
        sd_event_source_disable_unref(follow->away_timer);
        g_clear_pointer(&follow->properties, json_object_unref);
        sd_bus_error_free(&follow->problem);
        outcome_clear(&follow->outcome);
        g_free(follow->last_state);
        g_free(follow->name);
        g_free(follow->path);
        g_free(follow->interface);
        g_free(follow);
}

JsonObject *follow_properties(Follow *follow) {
        return follow->properties;
}

int follow_call(Follow *follow, sd_bus_message *call, uint64_t *ret_id, sd_bus_error *error) {
        g_autoptr(sd_bus_message) reply = NULL;
        int r;

        r = client_call_authorised(follow->client, call, &reply, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "t", ret_id);
        if (r < 0)
                return sd_bus_error_setf(error, CTL_ERROR_BAD_REPLY, "The agent's answer to %s is malformed.",
                                         sd_bus_message_get_member(call));
        return 0;
}

/* Ctrl-C or --timeout: the work goes on without us. */
static void explain(Follow *follow) {
        Client *client = follow->client;
        bool migration = strcmp(follow->interface, MIGRATION_INTERFACE) == 0;
        g_autoptr(GString) text = g_string_new(client->interrupted ? "Detached. " : "Timed out. ");

        clear_bar(follow);
        if (follow->phase)
                g_string_append_printf(text,
                                       "Migration %s goes on. Come back with: polarshiftctl wait %s --for=%s",
                                       follow->name, follow->name, follow->phase);
        else if (!migration)
                g_string_append_printf(text,
                                       "Operation %" G_GUINT64_FORMAT
                                       " goes on. Come back with: polarshiftctl cluster status %s",
                                       follow->id, follow->name);
        else
                g_string_append_printf(text,
                                       "Operation %" G_GUINT64_FORMAT
                                       " of migration %s goes on. Come back with: polarshiftctl wait %s  "
                                       "Abort it with: polarshiftctl abort %s",
                                       follow->id, follow->name, follow->name, follow->name);
        if (follow->away_timer)
                g_string_append(text, "  The agent is not there just now.");
        if (client->options->json != JSON_OFF)
                format_error(client->options, client->interrupted ? CTL_ERROR_DETACHED : CTL_ERROR_TIMED_OUT,
                             text->str);
        else
                fprintf(stderr, "%s%s\n", client->interrupted && isatty(STDERR_FILENO) ? "\n" : "",
                        text->str);
        client->hinted = true;
}

static int run(Follow *follow, sd_bus_error *error) {
        int r;

        r = sd_event_add_time_relative(follow->client->event, &follow->poll, CLOCK_MONOTONIC, POLL_USEC, 0,
                                       on_poll, follow);
        if (r >= 0)
                r = query(follow);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        while (!follow->ended) {
                r = client_iterate(follow->client);
                if (r == -EINTR || r == -ETIMEDOUT)
                        explain(follow);
                if (r < 0)
                        return r;
        }
        clear_bar(follow);
        if (sd_bus_error_is_set(&follow->problem)) {
                sd_bus_error_move(error, &follow->problem);
                return -ESTALE;
        }
        return 0;
}

int follow_operation(Follow *follow, uint64_t id, Outcome *ret, sd_bus_error *error) {
        int r;

        follow->id = id;
        follow->current = id == 0;
        r = run(follow, error);
        if (r < 0)
                return r;
        *ret = follow->outcome;
        follow->outcome = (Outcome){};
        return 0;
}

int follow_phase(Follow *follow, const char *phase, sd_bus_error *error) {
        follow->phase = phase;
        return run(follow, error);
}
