/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The connection to the agent. Every call goes through one event loop, without a time limit of its own (a
 * polkit prompt may take minutes), so that Ctrl-C and --timeout end any wait in the same way. The bus is
 * opened by the first call: mistakes on the command line are told without one. */

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <json-glib/json-glib.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "options.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus, sd_bus_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_slot, sd_bus_slot_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_event_source, sd_event_source_disable_unref)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(sd_bus_error, sd_bus_error_free)

#define AGENT_NAME "org.polarshift1"
#define AGENT_PATH "/org/polarshift1"
#define MANAGER_INTERFACE "org.polarshift1.Manager"
#define MIGRATION_INTERFACE "org.polarshift1.Migration"
#define CLUSTER_INTERFACE "org.polarshift1.Cluster"
#define MIGRATION_PREFIX AGENT_PATH "/migration"
#define CLUSTER_PREFIX AGENT_PATH "/cluster"
#define AGENT_OWNER_MATCH                                                                                    \
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"                          \
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" AGENT_NAME "'"
#define ERROR_PREFIX "org.polarshift1.Error."

/* Names of errors that arise here and not in the agent; they appear in JSON only. */
#define CTL_ERROR_USAGE "org.polarshift1.Ctl.Error.Usage"
#define CTL_ERROR_TIMED_OUT "org.polarshift1.Ctl.Error.TimedOut"
#define CTL_ERROR_DETACHED "org.polarshift1.Ctl.Error.Detached"
#define CTL_ERROR_UNREACHABLE "org.polarshift1.Ctl.Error.AgentUnreachable"
#define CTL_ERROR_NOT_CONFIRMED "org.polarshift1.Ctl.Error.NotConfirmed"
#define CTL_ERROR_EXCLUDED "org.polarshift1.Ctl.Error.PhaseExcluded"
#define CTL_ERROR_OUTCOME_UNKNOWN "org.polarshift1.Ctl.Error.OutcomeUnknown"
#define CTL_ERROR_BAD_REPLY "org.polarshift1.Ctl.Error.BadReply"

/* The exit statuses of the contract. */
typedef enum ExitStatus {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_TIMED_OUT = 3,
        STATUS_NOT_AUTHORISED = 4,
        STATUS_NO_SUCH_OBJECT = 5,
        STATUS_REFUSED = 6,
        STATUS_UNREACHABLE = 7,
        STATUS_DETACHED = 130,
} ExitStatus;

typedef struct Client {
        Options *options;
        sd_event *event;
        sd_bus *bus;
        char *owner;      /* the agent's unique name, once it is tracked; NULL while it is away */
        bool interrupted; /* Ctrl-C */
        bool timed_out;   /* --timeout has passed */
        bool hinted;      /* what to do after Ctrl-C or a time-out was already said */
} Client;

void client_init(Client *client, Options *options);
void client_done(Client *client);

/* The loop with Ctrl-C and --timeout, without the bus. */
int client_open_loop(Client *client, sd_bus_error *error);
/* Opens the bus if that was not done yet. */
int client_connect(Client *client, sd_bus_error *error);
/* Runs the loop once. -EINTR after Ctrl-C, -ETIMEDOUT after --timeout, -ENOTCONN when the bus is gone. */
int client_iterate(Client *client);

/* Keeps client->owner up to date. */
int client_track_agent(Client *client, sd_bus_error *error);
/* Anybody may send us a signal that looks like the agent's: whether this one is. */
bool client_from_agent(const Client *client, sd_bus_message *message);

/* A method call to the agent, ready for its arguments. */
int client_method(Client *client, const char *path, const char *interface, const char *member,
                  sd_bus_message **ret, sd_bus_error *error);
/* What every method that changes something takes last: the options of the command line, and FLAGS. */
int client_append_end(const Client *client, sd_bus_message *message, uint64_t flags);
/* Sends MESSAGE and waits for the answer. */
int client_call(Client *client, sd_bus_message *message, sd_bus_message **ret_reply, sd_bus_error *error);
/* As client_call(), with a polkit agent on the terminal while it waits. */
int client_call_authorised(Client *client, sd_bus_message *message, sd_bus_message **ret_reply,
                           sd_bus_error *error);

/* Paths come from the agent, so that a missing object is told by its own error. */
int client_migration_path(Client *client, const char *name, char **ret, sd_bus_error *error);
int client_cluster_path(Client *client, const char *name, char **ret, sd_bus_error *error);
/* All properties as a JSON object; LastOperation and LastError as objects with named members. */
int client_properties(Client *client, const char *path, const char *interface, JsonObject **ret,
                      sd_bus_error *error);
/* A call without arguments that returns one string holding JSON. */
int client_json_method(Client *client, sd_bus_message *message, JsonNode **ret, sd_bus_error *error);

/* Says what went wrong, as text or JSON, and gives the exit status. R is the negative errno that came with
 * ERROR. */
int client_fail(Client *client, int r, const sd_bus_error *error);
/* The same for a mistake on the command line. */
int client_usage(Client *client, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The exit status that belongs to the name of a D-Bus error. */
ExitStatus client_status_of(const char *error_name);
