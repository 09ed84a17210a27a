/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every value of every enum that has a string table comes back from its string, and no two values share one. */

#include "base/error.h"
#include "engine/engine.h"
#include "engine/event.h"
#include "engine/parameter.h"
#include "engine/phase.h"
#include "engine/program.h"
#include "engine/spec.h"
#include "engine/state.h"
#include "mysql/endpoint.h"
#include "mysql/schema.h"

#define ROUND_TRIP(name, Type, max)                                                                          \
        do {                                                                                                 \
                for (int i = 0; i < (int) (max); i++) {                                                      \
                        const char *string = name##_to_string((Type) i);                                     \
                        g_assert_nonnull(string);                                                            \
                        g_assert_cmpint((int) name##_from_string(string), ==, i);                            \
                }                                                                                            \
                g_assert_null(name##_to_string((Type) (max)));                                               \
                g_assert_null(name##_to_string((Type) -1));                                                  \
                g_assert_cmpint((int) name##_from_string("no such thing"), ==, -1);                          \
                g_assert_cmpint((int) name##_from_string(NULL), ==, -1);                                     \
        } while (0)

static void test_round_trips(void) {
        ROUND_TRIP(ps_error_code, PsErrorCode, _PS_ERROR_MAX);
        ROUND_TRIP(column_kind, ColumnKind, _COLUMN_KIND_MAX);
        ROUND_TRIP(ssl_mode, SslMode, _SSL_MODE_MAX);
        ROUND_TRIP(engine_event, EngineEventKind, _ENGINE_EVENT_MAX);
        ROUND_TRIP(migration_phase, MigrationPhase, _MIGRATION_PHASE_MAX);
        ROUND_TRIP(operation_kind, OperationKind, _OPERATION_MAX);
        ROUND_TRIP(operation_result, OperationResult, _OPERATION_RESULT_MAX);
        ROUND_TRIP(side, Side, _SIDE_MAX);
        ROUND_TRIP(direction, Direction, _DIRECTION_MAX);
        ROUND_TRIP(read_write_status, ReadWriteStatus, _READ_WRITE_STATUS_MAX);
        ROUND_TRIP(replication_state, ReplicationState, _REPLICATION_MAX);
        ROUND_TRIP(check_severity, CheckSeverity, _CHECK_MAX);
        ROUND_TRIP(verification_state, VerificationState, _VERIFICATION_MAX);
        ROUND_TRIP(parameter_outcome, ParameterOutcome, _PARAMETER_MAX);
        ROUND_TRIP(program_kind, ProgramKind, _PROGRAM_MAX);
        ROUND_TRIP(switch_step, SwitchStep, _SWITCH_STEP_MAX);
        ROUND_TRIP(create_type, CreateType, _CREATE_TYPE_MAX);
        ROUND_TRIP(fence_kind, FenceKind, _FENCE_MAX);
        ROUND_TRIP(verify_policy, VerifyPolicy, _VERIFY_MAX);
        ROUND_TRIP(unfit_policy, UnfitPolicy, _UNFIT_MAX);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/enums/round-trips", test_round_trips);
        return g_test_run();
}
