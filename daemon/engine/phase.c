/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transition table of a migration; see phase.h. Where a migration rests and what runs in it are two things, so that neither
 * table multiplies the other. */

#include "engine/phase.h"

#include <glib.h>

static const char *const migration_phase_table[_MIGRATION_PHASE_MAX] = {
        [MIGRATION_PHASE_CREATED] = "created",
        [MIGRATION_PHASE_COPYING] = "copying",
        [MIGRATION_PHASE_SYNCHRONIZING] = "synchronizing",
        [MIGRATION_PHASE_SWITCHED] = "switched",
        [MIGRATION_PHASE_COMPLETED] = "completed",
        [MIGRATION_PHASE_CANCELED] = "canceled",
};
ENUM_TABLE_DEFINE(migration_phase, MigrationPhase, migration_phase_table);

static const char *const operation_kind_table[_OPERATION_MAX] = {
        [OPERATION_CHECK] = "check",
        [OPERATION_START] = "start",
        [OPERATION_VERIFY] = "verify",
        [OPERATION_REPAIR] = "repair",
        [OPERATION_SWITCH] = "switch",
        [OPERATION_ROLLBACK] = "rollback",
        [OPERATION_COMPLETE] = "complete",
        [OPERATION_CANCEL] = "cancel",
        [OPERATION_EXPIRE] = "expire",
};
ENUM_TABLE_DEFINE(operation_kind, OperationKind, operation_kind_table);

static const char *const operation_result_table[_OPERATION_RESULT_MAX] = {
        [OPERATION_RESULT_DONE] = "done",
        [OPERATION_RESULT_FAILED] = "failed",
        [OPERATION_RESULT_UNDONE] = "undone",
        [OPERATION_RESULT_CANCELED] = "canceled",
};
ENUM_TABLE_DEFINE(operation_result, OperationResult, operation_result_table);

static const char *const side_table[_SIDE_MAX] = {
        [SIDE_SOURCE] = "source",
        [SIDE_DESTINATION] = "destination",
};
ENUM_TABLE_DEFINE(side, Side, side_table);

static const char *const direction_table[_DIRECTION_MAX] = {
        [DIRECTION_NONE] = "none",
        [DIRECTION_FORWARD] = "forward",
        [DIRECTION_REVERSE] = "reverse",
};
ENUM_TABLE_DEFINE(direction, Direction, direction_table);

#define IN(phase) (1U << (phase))

static const unsigned followers[_MIGRATION_PHASE_MAX] = {
        [MIGRATION_PHASE_CREATED] = IN(MIGRATION_PHASE_COPYING) | IN(MIGRATION_PHASE_CANCELED),
        [MIGRATION_PHASE_COPYING] = IN(MIGRATION_PHASE_SYNCHRONIZING) | IN(MIGRATION_PHASE_CANCELED),
        /* completed only by the end of a clone */
        [MIGRATION_PHASE_SYNCHRONIZING] = IN(MIGRATION_PHASE_SWITCHED) | IN(MIGRATION_PHASE_COMPLETED) | IN(MIGRATION_PHASE_CANCELED),
        /* canceled only by expiry (reason expired-switched) */
        [MIGRATION_PHASE_SWITCHED] =
                IN(MIGRATION_PHASE_SYNCHRONIZING) | IN(MIGRATION_PHASE_COMPLETED) | IN(MIGRATION_PHASE_CANCELED),
        [MIGRATION_PHASE_COMPLETED] = 0,
        [MIGRATION_PHASE_CANCELED] = 0,
};

static const unsigned allowed[_OPERATION_MAX] = {
        [OPERATION_CHECK] = IN(MIGRATION_PHASE_CREATED) | IN(MIGRATION_PHASE_COPYING) |
                            IN(MIGRATION_PHASE_SYNCHRONIZING) | IN(MIGRATION_PHASE_SWITCHED),
        [OPERATION_START] = IN(MIGRATION_PHASE_CREATED),
        [OPERATION_VERIFY] = IN(MIGRATION_PHASE_SYNCHRONIZING) | IN(MIGRATION_PHASE_SWITCHED),
        [OPERATION_REPAIR] = IN(MIGRATION_PHASE_SYNCHRONIZING) | IN(MIGRATION_PHASE_SWITCHED),
        [OPERATION_SWITCH] = IN(MIGRATION_PHASE_SYNCHRONIZING),
        [OPERATION_ROLLBACK] = IN(MIGRATION_PHASE_SWITCHED),
        [OPERATION_COMPLETE] = IN(MIGRATION_PHASE_SWITCHED),
        [OPERATION_CANCEL] =
                IN(MIGRATION_PHASE_CREATED) | IN(MIGRATION_PHASE_COPYING) | IN(MIGRATION_PHASE_SYNCHRONIZING),
        /* the clock starts at the first synchronizing */
        [OPERATION_EXPIRE] = IN(MIGRATION_PHASE_SYNCHRONIZING) | IN(MIGRATION_PHASE_SWITCHED),
};

static bool phase_valid(MigrationPhase phase) {
        return (int) phase >= 0 && phase < _MIGRATION_PHASE_MAX;
}

Direction migration_phase_direction(MigrationPhase phase) {
        switch (phase) {
        case MIGRATION_PHASE_COPYING:
        case MIGRATION_PHASE_SYNCHRONIZING:
                return DIRECTION_FORWARD;
        case MIGRATION_PHASE_SWITCHED:
                return DIRECTION_REVERSE;
        case MIGRATION_PHASE_CREATED:
        case MIGRATION_PHASE_COMPLETED:
        case MIGRATION_PHASE_CANCELED:
        case _MIGRATION_PHASE_MAX:
        case _MIGRATION_PHASE_INVALID:
                break;
        }
        return DIRECTION_NONE;
}

bool migration_phase_is_final(MigrationPhase phase) {
        return phase == MIGRATION_PHASE_COMPLETED || phase == MIGRATION_PHASE_CANCELED;
}

bool migration_phase_may_follow(MigrationPhase from, MigrationPhase to) {
        return phase_valid(from) && phase_valid(to) && (followers[from] & IN(to)) != 0;
}

bool operation_allowed(OperationKind kind, MigrationPhase phase) {
        return (int) kind >= 0 && kind < _OPERATION_MAX && phase_valid(phase) && (allowed[kind] & IN(phase)) != 0;
}
