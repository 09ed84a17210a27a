/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One migration as the loop sees it: its durable record, its engine, its clock. The bus side is in migration-bus.h. */

#include <stdbool.h>

#include <glib.h>
#include <systemd/sd-event.h>

#include "manager.h"
#include "record.h"

typedef struct MigrationShown MigrationShown; /* what was last told to the bus */

struct Migration {
        Manager *manager;
        guint64 id; /* tags the engine's messages; of this process */
        char *name, *path, *directory;
        Record *record;
        Engine *engine; /* NULL in a final phase, and while stopped */
        bool engine_stopping;
        EngineStatus status; /* sampled */
        guint64 removing;    /* the call that waits for the removal; 0: none */

        sd_event_source *due;  /* announcements, confirmation, expiry */
        guint64 retry_at;      /* an automatic operation failed: not before */
        sd_event_source *emit; /* idle: tells the bus what changed */
        MigrationShown *shown;
        gint64 refusal_at; /* monotonic; see migration_may_note_refusal() */
        guint refusals;
};

/* The object for a record that is on disk in the migrations folder; attaches nothing and starts nothing. */
Migration *migration_new(Manager *manager, Record *record /* taken over */);
/* Makes the folder with its first state.json, in one step: a crash leaves all or nothing. */
bool migration_create_folder(Manager *manager, const Record *record, GError **error);
/* Takes the folder away, likewise. */
bool migration_remove_folder(Migration *migration, GError **error);
char *migration_folder(Manager *manager, const char *name);
void migration_free(Migration *migration);

/* Starts the engine (not in a final phase) and goes on with what was running; arms the clock. */
void migration_run(Migration *migration);
void migration_stop(Migration *migration);
bool migration_is_stopped(const Migration *migration);
void migration_take_message(Migration *migration, Message *message);
void migration_sample(Migration *migration);

/* NEXT (taken over) goes to disk and then takes the record's place; on failure nothing has changed. The only place where the phase
 * changes. */
bool migration_store(Migration *migration, Record *next, GError **error);
/* Records an operation and hands it to the engine; its id. The caller has looked whether it may run. */
bool migration_begin(Migration *migration, const RecordOperation *operation, guint64 *ret_id, GError **error);
/* The same in place of a switch or rollback that is done but for its old side, which may never come back. */
bool migration_supersede(Migration *migration, const RecordOperation *operation, guint64 *ret_id, GError **error);
/* Phase, paused, an operation in the way: what does not depend on the servers. */
bool migration_allows(const Migration *migration, OperationKind kind, GError **error);

/* Journal and history. */
void migration_note(Migration *migration, int priority, const char *message_id, const char *event, const char *error_name,
                    const char *format, ...) G_GNUC_PRINTF(6, 7);
/* Calls without authority are noted in the history once a second, after a burst of 20. */
bool migration_may_note_refusal(Migration *migration);

/* migration-clock.c: does what is due, and arms the timer for what comes next. */
void migration_look_at_clock(Migration *migration);
