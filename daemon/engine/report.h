/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The documents: the certificate (GetReport) and the plan (Plan, GetPlan). Pure: from values to JSON text. */

#include "engine/engine.h"
#include "engine/account-store.h"
#include "engine/program-store.h"

typedef struct ReportInput {
        const MigrationSpec *spec;
        const EngineState *state;
        const EngineStatus *status;
        MigrationPhase phase;
        const char *phase_reason;
        guint64 created_at, expires_at;
        bool paused;
        const PairStore *programs; /* NULL: not known */
        JsonNode *objects; /* object_store_load(); NULL: not known */
        const PairStore *accounts; /* NULL: not known */
} ReportInput;

char *report_build(const ReportInput *input);
/* What OPERATION (switch, rollback, complete, cancel) would do now: {"operation":…,"allowed":bool,"refused":[{"error","message"}],
 * "steps":[{"step","what","side"}],"delay":…}. */
char *plan_build(const ReportInput *input, OperationKind operation);
/* The refusals the call itself makes from what the agent already knows: phase, paused, delay, reverse link, verification,
 * foreign writes. NULL input fields are skipped. max_delay < 0: the migration's. */
bool plan_allows(const ReportInput *input, OperationKind operation, double max_delay, GError **error);
