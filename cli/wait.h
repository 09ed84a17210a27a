/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Following an operation to its end, or a migration to a phase.
 *
 * 1. Subscribe to OperationFinished, PropertiesChanged and the agent's name, and only then
 * 2. make the call that starts the operation: its end cannot be missed.
 * 3. The signal, or the durable LastOperation, says how it ended; the latter also when the agent was
 * restarted in between.
 *
 * Ctrl-C and --timeout leave the operation alone and say how to come back to it and how to abort it. */

#include "client.h"

typedef struct Outcome {
        uint64_t id;
        char *operation;
        char *result; /* done, failed, undone, canceled */
        char *error_name;
        char *error_message;
} Outcome;

void outcome_clear(Outcome *outcome);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)
/* What the result means for the exit status: refused by a check, failed, or done. */
ExitStatus outcome_status(const Outcome *outcome);
/* {"migration":…,"id":…,"operation":…,"result":…} and "error" where there is one. */
JsonObject *outcome_json(const Outcome *outcome, const char *kind, const char *name);

typedef struct Follow Follow;

/* NAME is the migration (or cluster) at PATH. */
int follow_new(Client *client, const char *name, const char *path, const char *interface, Follow **ret,
               sd_bus_error *error);
void follow_free(Follow *follow);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Follow, follow_free)

/* Sends CALL, which returns the operation's id. */
int follow_call(Follow *follow, sd_bus_message *call, uint64_t *ret_id, sd_bus_error *error);
/* Until operation ID has ended. 0 = the one that is running now; when there is none, the last one. */
int follow_operation(Follow *follow, uint64_t id, Outcome *ret, sd_bus_error *error);
/* Until the migration is in PHASE. -ESTALE when it ended in another one. */
int follow_phase(Follow *follow, const char *phase, sd_bus_error *error);
/* The newest properties; NULL before the first answer. */
JsonObject *follow_properties(Follow *follow);
/* One line on where the migration stands, for people. */
char *follow_summary(JsonObject *properties);
