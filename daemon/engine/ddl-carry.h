/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Runs a statement that the link halted at on the downstream, exactly once, whatever is killed meanwhile:
 *
 *   1. A row in `polarshift`.`intent_TASK` says what is to be run, by which connection, and where the downstream's binary log ends. Committed.
 *   2. The statement, alone, on a connection of its own that does nothing else and holds a lock until it is gone.
 *   3. One transaction: the row says done, and the rows about chunks are what they must be after it.
 *
 * Who finds a row that is not done waits for the lock, and looks in the downstream's binary log behind the noted place for a statement of
 * that connection: it is there, or it did not happen. No link begins to copy before that is settled. A row that is done makes the reader
 * pass over its transaction. The watch knows the statement by the same connection's number. */

#include <stdbool.h>

#include <glib.h>

#include "engine/ledger.h"
#include "engine/link-halt.h"
#include "engine/spec.h"
#include "mysql/conn.h"

typedef struct Carry Carry;

typedef struct CarryConfig {
        const ConnParams *upstream, *downstream;
        const Ledger *ledger;
        const MigrationSpec *spec;
        const GPtrArray *left_out; /* see StreamConfig */
        const LinkHalt *halt;
        guint32 server_id; /* for the look into the log */
        guint32 leg;
        guint64 epoch;
        bool copying;      /* rows about chunks count */
        bool passed;       /* the operator did it, or does without: only what is kept about the tables changes */
        void (*on_done)(gpointer userdata); /* its thread */
        gpointer userdata;
} CarryConfig;

Carry *carry_start(const CarryConfig *config); /* copies all but the parameters, spec and ledger, which outlive it */
typedef struct CarryResult {
        GError *error;      /* PS_ERROR_UNSUPPORTED_OBJECT: the statement cannot be carried; NULL: it is done */
        bool run;           /* and it was run now */
        GPtrArray *missing; /* passed: names of tables that it made, and that the downstream does not have; else NULL */
} CarryResult;
void carry_result_clear(CarryResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CarryResult, carry_result_clear)
bool carry_finished(Carry *carry, CarryResult *ret); /* false: it is not over */
/* Stops waiting for it and joins. What runs on the server may go on there; it is found later. */
void carry_free(Carry *carry);
