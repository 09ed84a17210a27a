/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bus connection, calls, and what an error means for the exit status; see client.h. */

#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "agent.h"
#include "format.h"
#include "value.h"

/* First match wins. Names end the table of the contract's errors; what is not listed is a failure. */
static const struct {
        const char *name;
        ExitStatus status;
} status_table[] = {
        { ERROR_PREFIX "NoSuchMigration", STATUS_NO_SUCH_OBJECT },
        { ERROR_PREFIX "NoSuchCluster", STATUS_NO_SUCH_OBJECT },
        { ERROR_PREFIX "NoSuchCredential", STATUS_NO_SUCH_OBJECT },
        { SD_BUS_ERROR_UNKNOWN_OBJECT, STATUS_NO_SUCH_OBJECT },
        { ERROR_PREFIX "InvalidOption", STATUS_USAGE },
        { SD_BUS_ERROR_INVALID_ARGS, STATUS_USAGE },
        { CTL_ERROR_USAGE, STATUS_USAGE },
        { ERROR_PREFIX "AlreadyExists", STATUS_REFUSED },
        { ERROR_PREFIX "InvalidPhase", STATUS_REFUSED },
        { ERROR_PREFIX "OperationInProgress", STATUS_REFUSED },
        { ERROR_PREFIX "StaleGeneration", STATUS_REFUSED },
        { ERROR_PREFIX "StaleState", STATUS_REFUSED },
        { ERROR_PREFIX "DelayTooHigh", STATUS_REFUSED },
        { ERROR_PREFIX "DelayUnknown", STATUS_REFUSED },
        { ERROR_PREFIX "CheckFailed", STATUS_REFUSED },
        { ERROR_PREFIX "VerificationFailed", STATUS_REFUSED },
        { ERROR_PREFIX "ReverseNotProven", STATUS_REFUSED },
        { ERROR_PREFIX "ForeignWrites", STATUS_REFUSED },
        { ERROR_PREFIX "UnsupportedObject", STATUS_REFUSED },
        { SD_BUS_ERROR_LIMITS_EXCEEDED, STATUS_REFUSED },
        { SD_BUS_ERROR_ACCESS_DENIED, STATUS_NOT_AUTHORISED },
        { SD_BUS_ERROR_AUTH_FAILED, STATUS_NOT_AUTHORISED },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, STATUS_NOT_AUTHORISED },
        { SD_BUS_ERROR_SERVICE_UNKNOWN, STATUS_UNREACHABLE },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, STATUS_UNREACHABLE },
        { SD_BUS_ERROR_NO_REPLY, STATUS_UNREACHABLE },
        { SD_BUS_ERROR_NO_SERVER, STATUS_UNREACHABLE },
        { SD_BUS_ERROR_DISCONNECTED, STATUS_UNREACHABLE },
        { SD_BUS_ERROR_TIMEOUT, STATUS_UNREACHABLE },
        { CTL_ERROR_UNREACHABLE, STATUS_UNREACHABLE },
        { CTL_ERROR_TIMED_OUT, STATUS_TIMED_OUT },
        { CTL_ERROR_DETACHED, STATUS_DETACHED },
};

ExitStatus client_status_of(const char *error_name) {
        if (!error_name)
                return STATUS_FAILED;
        for (gsize i = 0; i < G_N_ELEMENTS(status_table); i++)
                if (strcmp(status_table[i].name, error_name) == 0)
                        return status_table[i].status;
        /* systemd could not start the agent on demand */
        if (g_str_has_prefix(error_name, "org.freedesktop.DBus.Error.Spawn.") ||
            g_str_has_prefix(error_name, "org.freedesktop.systemd1."))
                return STATUS_UNREACHABLE;
        return STATUS_FAILED;
}

void client_init(Client *client, Options *options) {
        *client = (Client){ .options = options };
}

void client_done(Client *client) {
        if (client->bus) {
                sd_bus_flush(client->bus);
                sd_bus_detach_event(client->bus);
                sd_bus_close(client->bus);
        }
        client->bus = sd_bus_unref(client->bus);
        client->event = sd_event_unref(client->event);
        g_clear_pointer(&client->owner, g_free);
}

static int on_interrupt(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Client *client = userdata;

        client->interrupted = true;
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Client *client = userdata;

        client->timed_out = true;
        return 0;
}

static int open_bus(Client *client) {
        g_autoptr(sd_bus) bus = NULL;
        int r;

        if (!client->options->address) {
                r = sd_bus_open_system(&bus); /* honours DBUS_SYSTEM_BUS_ADDRESS */
                if (r < 0)
                        return r;
        } else {
                r = sd_bus_new(&bus);
                if (r < 0)
                        return r;
                r = sd_bus_set_address(bus, client->options->address);
                if (r < 0)
                        return r;
                r = sd_bus_set_bus_client(bus, true);
                if (r < 0)
                        return r;
                r = sd_bus_start(bus);
                if (r < 0)
                        return r;
        }
        r = sd_bus_set_allow_interactive_authorization(bus, client->options->ask_password);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus, client->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        client->bus = g_steal_pointer(&bus);
        return 0;
}

int client_open_loop(Client *client, sd_bus_error *error) {
        int r;

        if (client->event)
                return 0;
        r = sd_event_new(&client->event);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = sd_event_add_signal(client->event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, on_interrupt, client);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        if (client->options->timeout > 0) {
                r = sd_event_add_time_relative(client->event, NULL, CLOCK_MONOTONIC, client->options->timeout,
                                               G_USEC_PER_SEC / 100, on_timeout, client);
                if (r < 0)
                        return sd_bus_error_set_errno(error, r);
        }
        return 0;
}

int client_connect(Client *client, sd_bus_error *error) {
        int r;

        if (client->bus)
                return 0;
        r = client_open_loop(client, error);
        if (r < 0)
                return r;
        r = open_bus(client);
        if (r < 0) {
                (void) sd_bus_error_setf(error, CTL_ERROR_UNREACHABLE,
                                         "The message bus cannot be reached: %s", g_strerror(-r));
                return r;
        }
        return 0;
}

int client_iterate(Client *client) {
        int r;

        if (client->interrupted)
                return -EINTR;
        if (client->timed_out)
                return -ETIMEDOUT;
        if (client->bus && sd_bus_is_open(client->bus) <= 0)
                return -ENOTCONN;
        r = sd_event_run(client->event, UINT64_MAX);
        return r < 0 ? r : 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Client *client = userdata;
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) < 0 ||
            strcmp(name, AGENT_NAME) != 0)
                return 0;
        g_free(client->owner);
        client->owner = *new_owner ? g_strdup(new_owner) : NULL;
        return 0;
}

int client_track_agent(Client *client, sd_bus_error *error) {
        g_autoptr(sd_bus_message) reply = NULL;
        const char *owner;
        int r;

        r = client_connect(client, error);
        if (r < 0)
                return r;
        r = sd_bus_add_match(client->bus, NULL, AGENT_OWNER_MATCH, on_owner, client);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = sd_bus_call_method(client->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetNameOwner", NULL, &reply, "s", AGENT_NAME);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &owner);
        if (r >= 0 && !client->owner)
                client->owner = g_strdup(owner);
        return 0; /* it may be away just now */
}

bool client_from_agent(const Client *client, sd_bus_message *message) {
        return client->owner && g_strcmp0(client->owner, sd_bus_message_get_sender(message)) == 0;
}

int client_method(Client *client, const char *path, const char *interface, const char *member,
                  sd_bus_message **ret, sd_bus_error *error) {
        int r;

        r = client_connect(client, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(client->bus, ret, AGENT_NAME, path, interface, member);
        return r < 0 ? sd_bus_error_set_errno(error, r) : 0;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        sd_bus_message **slot = userdata;

        *slot = sd_bus_message_ref(reply);
        return 0;
}

int client_append_end(const Client *client, sd_bus_message *message, uint64_t flags) {
        int r = settings_append(client->options->settings, message);

        return r < 0 ? r : sd_bus_message_append(message, "t", flags);
}

int client_call(Client *client, sd_bus_message *message, sd_bus_message **ret_reply, sd_bus_error *error) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(sd_bus_slot) slot = NULL;
        int r;

        r = sd_bus_call_async(client->bus, &slot, message, on_reply, &reply, UINT64_MAX);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        while (!reply) {
                r = client_iterate(client);
                if (r < 0)
                        return r;
        }
        if (sd_bus_message_is_method_error(reply, NULL)) {
                r = sd_bus_error_copy(error, sd_bus_message_get_error(reply));
                return r < 0 ? r : -EIO;
        }
        if (ret_reply)
                *ret_reply = g_steal_pointer(&reply);
        return 0;
}

int client_call_authorised(Client *client, sd_bus_message *message, sd_bus_message **ret_reply,
                           sd_bus_error *error) {
        Agent agent = AGENT_NONE;
        int r;

        agent_open(&agent, client);
        r = client_call(client, message, ret_reply, error);
        agent_close(&agent);
        return r;
}

static int object_path(Client *client, const char *method, const char *name, char **ret,
                       sd_bus_error *error) {
        g_autoptr(sd_bus_message) call = NULL, reply = NULL;
        const char *path;
        int r;

        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, method, &call, error);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "s", name);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = client_call(client, call, &reply, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return sd_bus_error_setf(error, CTL_ERROR_BAD_REPLY, "The agent's answer to %s is malformed.",
                                         method);
        *ret = g_strdup(path);
        return 0;
}

int client_migration_path(Client *client, const char *name, char **ret, sd_bus_error *error) {
        return object_path(client, "GetMigration", name, ret, error);
}

int client_cluster_path(Client *client, const char *name, char **ret, sd_bus_error *error) {
        return object_path(client, "GetCluster", name, ret, error);
}

int client_properties(Client *client, const char *path, const char *interface, JsonObject **ret,
                      sd_bus_error *error) {
        g_autoptr(sd_bus_message) call = NULL, reply = NULL;
        int r;

        r = client_method(client, path, "org.freedesktop.DBus.Properties", "GetAll", &call, error);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "s", interface);
        if (r < 0)
                return sd_bus_error_set_errno(error, r);
        r = client_call(client, call, &reply, error);
        if (r < 0)
                return r;
        r = value_read_properties(reply, ret);
        if (r < 0)
                return sd_bus_error_setf(error, CTL_ERROR_BAD_REPLY, "The properties of %s are malformed.",
                                         path);
        return 0;
}

int client_json_method(Client *client, sd_bus_message *message, JsonNode **ret, sd_bus_error *error) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(GError) problem = NULL;
        JsonNode *node;
        const char *text;
        int r;

        r = client_call_authorised(client, message, &reply, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return sd_bus_error_setf(error, CTL_ERROR_BAD_REPLY, "The agent's answer to %s is malformed.",
                                         sd_bus_message_get_member(message));
        node = json_from_string(text, &problem);
        if (!node)
                return sd_bus_error_setf(error, CTL_ERROR_BAD_REPLY,
                                         "The agent's answer to %s is not JSON: %s",
                                         sd_bus_message_get_member(message),
                                         problem ? problem->message : "it is empty");
        *ret = node;
        return 0;
}

int client_fail(Client *client, int r, const sd_bus_error *error) {
        if (client->interrupted || client->timed_out) {
                const char *name = client->interrupted ? CTL_ERROR_DETACHED : CTL_ERROR_TIMED_OUT;

                if (!client->hinted)
                        format_error(client->options, name,
                                     client->interrupted ? "Interrupted before the agent answered; "
                                                           "polarshiftctl status tells "
                                                           "whether something was started."
                                                         : "The time given by --timeout has passed before "
                                                           "the agent answered.");
                return client_status_of(name);
        }
        if (r == -ENOTCONN && !sd_bus_error_is_set(error)) {
                format_error(client->options, CTL_ERROR_UNREACHABLE,
                             "The connection to the message bus was lost.");
                return STATUS_UNREACHABLE;
        }
        if (!sd_bus_error_is_set(error)) {
                format_error(client->options, "org.freedesktop.DBus.Error.Failed", g_strerror(-r));
                return STATUS_FAILED;
        }
        if (client_status_of(error->name) == STATUS_UNREACHABLE &&
            !g_str_equal(error->name, CTL_ERROR_UNREACHABLE)) {
                g_autofree char *message = g_strdup_printf(
                                "The agent cannot be reached: %s Look at: systemctl status polarshiftd",
                                error->message ? error->message : "");

                format_error(client->options, error->name, message);
                return STATUS_UNREACHABLE;
        }
        format_error(client->options, error->name, error->message ? error->message : "");
        return client_status_of(error->name);
}

int client_usage(Client *client, const char *format, ...) {
        g_autofree char *message = NULL;
        va_list arguments;

        va_start(arguments, format);
        message = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        format_error(client->options, CTL_ERROR_USAGE, message);
        return STATUS_USAGE;
}
