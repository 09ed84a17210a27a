/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The agent: everything hangs off it. Owns the loop's bus, the mailbox and the migrations, finds them again at start, stops them at the end. */

#include <stdbool.h>

#include <glib.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/mailbox.h"
#include "credentials.h"
#include "hooks.h"
#include "log.h"
#include "settings.h"

#define MANAGER_PATH "/org/polarshift1"
#define MIGRATION_PREFIX "/org/polarshift1/migration"
#define CLUSTER_PREFIX "/org/polarshift1/cluster"
#define MANAGER_INTERFACE "org.polarshift1.Manager"
#define MIGRATION_INTERFACE "org.polarshift1.Migration"
#define BUS_NAME "org.polarshift1"

typedef struct Migration Migration;

typedef struct Manager {
        sd_event *event;
        sd_bus *bus;
        Log *log;
        Settings *settings;
        Credentials *credentials;
        Hooks *hooks;
        Mailbox *mailbox;
        char *state_directory;
        char *status_shown; /* STATUS= as systemd has it */

        GHashTable *migrations; /* name → Migration, owned */
        GHashTable *by_id;      /* &Migration.id → Migration: whom a message speaks of */
        GHashTable *unreadable; /* name → why its state cannot be read */
        GHashTable *calls;      /* &Call.id → Call: pending ones */
        guint64 last_call_id, last_migration_id, agent_id;

        sd_event_source *mailbox_source, *tick, *stop_timer;
        guint reading; /* threads that read a credential */
        bool stopping;
} Manager;

Manager *manager_new(GError **error);
void manager_free(Manager *manager);
/* Reads what is on disk, connects to the bus, takes the name, sets the migrations to work. */
bool manager_start(Manager *manager, GError **error);
/* Ends all work cleanly, then the loop; 10 s at most. */
void manager_stop(Manager *manager);
/* Called whenever something ended that a stop waits for. */
void manager_check_stopped(Manager *manager);

Migration *manager_find(Manager *manager, const char *name);
/* The same, or NoSuchMigration, StateUnreadable. */
Migration *manager_get(Manager *manager, const char *name, GError **error);
void manager_attach(Manager *manager, Migration *migration);
/* Takes it off the bus and frees it. */
void manager_detach(Manager *manager, Migration *migration);
void manager_show_status(Manager *manager);

/* Messages of the agent's own threads have the id 0 and these kinds. */
typedef enum AgentMessage {
        AGENT_MESSAGE_CREDENTIAL, /* credential-call.h */
} AgentMessage;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Manager, manager_free)
