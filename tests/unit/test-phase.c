/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transition table, and the strings of every enum that the model has. */

#include "engine/engine.h"

#define ROUND_TRIP(name, max)                                                                                          \
        G_STMT_START {                                                                                                 \
                for (int i = 0; i < (max); i++) {                                                                      \
                        g_assert_nonnull(name##_to_string(i));                                                         \
                        g_assert_cmpint((int) name##_from_string(name##_to_string(i)), ==, i);                         \
                }                                                                                                      \
                g_assert_null(name##_to_string(max));                                                                  \
                g_assert_null(name##_to_string(-1));                                                                   \
                g_assert_cmpint((int) name##_from_string("nonsense"), ==, -1);                                         \
                g_assert_cmpint((int) name##_from_string(NULL), ==, -1);                                               \
        }                                                                                                              \
        G_STMT_END

static void test_strings(void) {
        ROUND_TRIP(migration_phase, _MIGRATION_PHASE_MAX);
        ROUND_TRIP(operation_kind, _OPERATION_MAX);
        ROUND_TRIP(operation_result, _OPERATION_RESULT_MAX);
        ROUND_TRIP(side, _SIDE_MAX);
        ROUND_TRIP(direction, _DIRECTION_MAX);
        ROUND_TRIP(engine_event, _ENGINE_EVENT_MAX);
        ROUND_TRIP(read_write_status, _READ_WRITE_STATUS_MAX);
        ROUND_TRIP(replication_state, _REPLICATION_MAX);
        ROUND_TRIP(check_severity, _CHECK_MAX);
        ROUND_TRIP(verification_state, _VERIFICATION_MAX);
        ROUND_TRIP(switch_step, _SWITCH_STEP_MAX);
        ROUND_TRIP(create_type, _CREATE_TYPE_MAX);
        ROUND_TRIP(fence_kind, _FENCE_MAX);
        ROUND_TRIP(verify_policy, _VERIFY_MAX);
        ROUND_TRIP(unfit_policy, _UNFIT_MAX);
}

/* Rows and columns in the order of the enums: created copying synchronizing switched completed canceled. */
static void test_transitions(void) {
        static const char *const table[_MIGRATION_PHASE_MAX] = {
                "-y---y", "--y--y", "---yyy", "--y-yy", "------", "------",
        };
        static const char *const operations[_OPERATION_MAX] = {
                [OPERATION_CHECK] = "yyyy--",  [OPERATION_START] = "y-----",    [OPERATION_VERIFY] = "--yy--",
                [OPERATION_REPAIR] = "--yy--", [OPERATION_SWITCH] = "--y---",   [OPERATION_ROLLBACK] = "---y--",
                [OPERATION_COMPLETE] = "---y--", [OPERATION_CANCEL] = "yyy---", [OPERATION_EXPIRE] = "--yy--",
        };
        for (int from = 0; from < _MIGRATION_PHASE_MAX; from++)
                for (int to = 0; to < _MIGRATION_PHASE_MAX; to++)
                        g_assert_cmpint(migration_phase_may_follow(from, to), ==, table[from][to] == 'y');
        for (int kind = 0; kind < _OPERATION_MAX; kind++)
                for (int phase = 0; phase < _MIGRATION_PHASE_MAX; phase++)
                        g_assert_cmpint(operation_allowed(kind, phase), ==, operations[kind][phase] == 'y');
        g_assert_false(migration_phase_may_follow(_MIGRATION_PHASE_INVALID, 0));
        g_assert_false(operation_allowed(0, _MIGRATION_PHASE_MAX));
        g_assert_false(operation_allowed(_OPERATION_MAX, 0));
        g_assert_cmpint(migration_phase_direction(MIGRATION_PHASE_SWITCHED), ==, DIRECTION_REVERSE);
        g_assert_cmpint(migration_phase_direction(MIGRATION_PHASE_COPYING), ==, DIRECTION_FORWARD);
        g_assert_cmpint(migration_phase_direction(MIGRATION_PHASE_CANCELED), ==, DIRECTION_NONE);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/phase/strings", test_strings);
        g_test_add_func("/phase/transitions", test_transitions);
        return g_test_run();
}
