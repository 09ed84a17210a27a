/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The phases in which a migration can rest, the operations that may run in them, and which follows which. Pure. */

#include <stdbool.h>

#include "base/enum-table.h"

typedef enum MigrationPhase {
        MIGRATION_PHASE_CREATED,
        MIGRATION_PHASE_COPYING,
        MIGRATION_PHASE_SYNCHRONIZING,
        MIGRATION_PHASE_SWITCHED,
        MIGRATION_PHASE_COMPLETED,
        MIGRATION_PHASE_CANCELED,
        _MIGRATION_PHASE_MAX,
        _MIGRATION_PHASE_INVALID = -1,
} MigrationPhase;
ENUM_TABLE_DECLARE(migration_phase, MigrationPhase);

typedef enum OperationKind {
        OPERATION_CHECK,
        OPERATION_START,
        OPERATION_VERIFY,
        OPERATION_REPAIR,
        OPERATION_SWITCH,
        OPERATION_ROLLBACK,
        OPERATION_COMPLETE,
        OPERATION_CANCEL,
        OPERATION_EXPIRE, /* the agent's own: Cancel, or the end of a switched migration, because time is up */
        _OPERATION_MAX,
        _OPERATION_INVALID = -1,
} OperationKind;
ENUM_TABLE_DECLARE(operation_kind, OperationKind);

typedef enum OperationResult {
        OPERATION_RESULT_DONE,
        OPERATION_RESULT_FAILED,
        OPERATION_RESULT_UNDONE,
        OPERATION_RESULT_CANCELED,
        _OPERATION_RESULT_MAX,
        _OPERATION_RESULT_INVALID = -1,
} OperationResult;
ENUM_TABLE_DECLARE(operation_result, OperationResult);

/* The two servers, and who is where in the link: SOURCE → DESTINATION is forward. */
typedef enum Side {
        SIDE_SOURCE,
        SIDE_DESTINATION,
        _SIDE_MAX,
        _SIDE_INVALID = -1,
} Side;
ENUM_TABLE_DECLARE(side, Side);
static inline Side side_other(Side side) {
        return side == SIDE_SOURCE ? SIDE_DESTINATION : SIDE_SOURCE;
}

typedef enum Direction { DIRECTION_NONE, DIRECTION_FORWARD, DIRECTION_REVERSE, _DIRECTION_MAX, _DIRECTION_INVALID = -1 } Direction;
ENUM_TABLE_DECLARE(direction, Direction);

/* Which direction data flows in while a migration rests in PHASE. */
Direction migration_phase_direction(MigrationPhase phase);
bool migration_phase_is_final(MigrationPhase phase);
bool migration_phase_may_follow(MigrationPhase from, MigrationPhase to);
/* Whether the contract allows KIND in PHASE of a migration; spec_allows() knows of clones, too. */
bool operation_allowed(OperationKind kind, MigrationPhase phase);
