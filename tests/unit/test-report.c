/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The documents, what the calls refuse, the verdict on a check, and the reading of grants: all without a
 * server. */

#include <string.h>

#include "base/error.h"
#include "engine/precheck-internal.h"
#include "engine/report.h"

typedef struct Fixture {
        MigrationSpec *spec;
        EngineState *state;
        EngineStatus status;
        ReportInput input;
} Fixture;

static void set_up(Fixture *f) {
        g_autoptr(GError) error = NULL;
        f->spec = spec_new("shop");
        g_assert_true(spec_set_text(f->spec, "source", "mysql://agent@db1/?ssl-mode=disabled", &error));
        g_assert_true(spec_set_text(f->spec, "destination", "mysql://agent@db2:3307/?ssl-mode=disabled",
                                    &error));
        g_assert_no_error(error);
        f->state = engine_state_new();
        f->status = (EngineStatus){.read_write = {READ_WRITE_STATUS_READ_WRITE, READ_WRITE_STATUS_READ_ONLY},
                                   .replication = REPLICATION_RUNNING,
                                   .direction = DIRECTION_FORWARD,
                                   .delay = 0.5,
                                   .error = -1,
                                   .progress = 1,
                                   .rows_copied = 42,
                                   .verification = VERIFICATION_EQUAL,
                                   .reverse_proven = true,
                                   .write_interruption = -1};
        f->input = (ReportInput){.spec = f->spec,
                                 .state = f->state,
                                 .status = &f->status,
                                 .phase = MIGRATION_PHASE_SYNCHRONIZING,
                                 .phase_reason = "",
                                 .created_at = 1700000000000000};
}

static void tear_down(Fixture *f) {
        spec_free(f->spec);
        engine_state_free(f->state);
}

static JsonObject *parse(const char *text, JsonNode **ret_root) {
        g_autoptr(GError) error = NULL;
        *ret_root = json_from_string(text, &error);
        g_assert_no_error(error);
        return json_node_get_object(*ret_root);
}

static void test_certificate(void) {
        Fixture f;
        set_up(&f);
        f.state->verification_summary = g_strdup("{\"rows\":42}");
        g_ptr_array_add(f.state->unfit, g_strdup("view `a`.`b`: a view is not carried yet"));
        g_ptr_array_add(f.state->checks, check_row_new("sql-mode", CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                                                       "it \"differs\"", "hint"));
        g_ptr_array_add(f.state->checks, check_row_new("binlog", CHECK_OK, PS_ERROR_FAILED, "fine", ""));

        g_autofree char *text = report_build(&f.input);
        g_autoptr(JsonNode) root = NULL;
        JsonObject *o = parse(text, &root);
        g_assert_cmpstr(json_object_get_string_member(o, "migration"), ==, "shop");
        g_assert_cmpstr(json_object_get_string_member(o, "uuid"), ==, f.state->uuid);
        g_assert_cmpstr(json_object_get_string_member(o, "phase"), ==, "synchronizing");
        g_assert_cmpstr(json_object_get_string_member(o, "created_at"), ==, "2023-11-14T22:13:20Z");
        g_assert_true(json_object_get_null_member(o, "expires_at"));
        g_assert_true(json_object_get_null_member(o, "write_interruption"));
        JsonObject *source = json_object_get_object_member(o, "source");
        g_assert_cmpstr(json_object_get_string_member(source, "server"), ==, "db1:3306");
        g_assert_null(strstr(text, "agent@"));
        JsonObject *verification = json_object_get_object_member(o, "verification");
        g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(verification, "summary"),
                                                   "rows"),
                        ==, 42);
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(o, "not_carried")), ==, 1);
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(o, "checks")), ==, 1);
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(o, "to_do")), ==, 0);

        f.input.phase = MIGRATION_PHASE_COMPLETED;
        g_autofree char *done = report_build(&f.input);
        g_assert_nonnull(strstr(done, "SET GLOBAL read_only=0;"));
        tear_down(&f);
}

/* A summary that is no JSON, and parts that are not there, do not stop a report. */
static void test_certificate_sparse(void) {
        ReportInput input = {.phase = MIGRATION_PHASE_CREATED};
        g_autofree char *text = report_build(&input);
        g_autoptr(JsonNode) root = NULL;
        g_assert_true(json_object_get_null_member(parse(text, &root), "migration"));

        Fixture f;
        set_up(&f);
        f.state->verification_summary = g_strdup("{broken");
        g_autofree char *broken = report_build(&f.input);
        g_autoptr(JsonNode) root2 = NULL;
        JsonObject *o = parse(broken, &root2);
        g_assert_true(json_object_get_null_member(json_object_get_object_member(o, "verification"),
                                                  "summary"));
        tear_down(&f);
}

typedef struct Change {
        const char *name;
        OperationKind operation;
        MigrationPhase phase;
        bool paused;
        double delay, max_delay;
        VerificationState verification;
        VerifyPolicy policy;
        bool unproven;
        guint64 foreign;
        int error; /* -1: allowed */
} Change;

static void test_allows(void) {
        static const Change cases[] = {
                        {"switch", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 0.5, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, -1},
                        {"phase", OPERATION_SWITCH, MIGRATION_PHASE_SWITCHED, false, 0.5, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, PS_ERROR_INVALID_PHASE},
                        {"paused", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, true, 0.5, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, PS_ERROR_INVALID_PHASE},
                        {"delay", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 60, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, PS_ERROR_DELAY_TOO_HIGH},
                        {"below", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 59.9, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, -1},
                        {"given", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 2, 1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, PS_ERROR_DELAY_TOO_HIGH},
                        {"unknown", OPERATION_ROLLBACK, MIGRATION_PHASE_SWITCHED, false, -1, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 0, PS_ERROR_DELAY_UNKNOWN},
                        {"none", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 1, -1,
                         VERIFICATION_NONE, VERIFY_REQUIRED, false, 0, PS_ERROR_VERIFICATION_FAILED},
                        {"running", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 1, -1,
                         VERIFICATION_RUNNING, VERIFY_REQUIRED, false, 0, PS_ERROR_VERIFICATION_FAILED},
                        {"advisory", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 1, -1,
                         VERIFICATION_DIFFERENT, VERIFY_ADVISORY, false, 0, -1},
                        {"back", OPERATION_ROLLBACK, MIGRATION_PHASE_SWITCHED, false, 1, -1,
                         VERIFICATION_NONE, VERIFY_REQUIRED, false, 0, -1},
                        {"back-different", OPERATION_ROLLBACK, MIGRATION_PHASE_SWITCHED, false, 1, -1,
                         VERIFICATION_DIFFERENT, VERIFY_REQUIRED, false, 0, PS_ERROR_VERIFICATION_FAILED},
                        {"unproven", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 1, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, true, 0, PS_ERROR_REVERSE_NOT_PROVEN},
                        {"foreign", OPERATION_SWITCH, MIGRATION_PHASE_SYNCHRONIZING, false, 1, -1,
                         VERIFICATION_EQUAL, VERIFY_REQUIRED, false, 3, PS_ERROR_FOREIGN_WRITES},
                        {"complete", OPERATION_COMPLETE, MIGRATION_PHASE_SWITCHED, false, 1, -1,
                         VERIFICATION_NONE, VERIFY_REQUIRED, true, 3, -1},
                        {"complete-paused", OPERATION_COMPLETE, MIGRATION_PHASE_SWITCHED, true, 1, -1,
                         VERIFICATION_NONE, VERIFY_REQUIRED, false, 0, PS_ERROR_INVALID_PHASE},
                        {"cancel-paused", OPERATION_CANCEL, MIGRATION_PHASE_COPYING, true, -1, -1,
                         VERIFICATION_NONE, VERIFY_REQUIRED, true, 9, -1},
                        {"verify-paused", OPERATION_VERIFY, MIGRATION_PHASE_SYNCHRONIZING, true, -1, -1,
                         VERIFICATION_NONE, VERIFY_REQUIRED, true, 0, PS_ERROR_INVALID_PHASE},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                const Change *c = &cases[i];
                Fixture f;
                set_up(&f);
                g_test_message("%s", c->name);
                f.input.phase = c->phase;
                f.input.paused = c->paused;
                f.status.delay = c->delay;
                f.status.verification = c->verification;
                f.status.reverse_proven = !c->unproven;
                f.status.foreign_writes = c->foreign;
                f.spec->verify = c->policy;
                g_autoptr(GError) error = NULL;
                bool allowed = plan_allows(&f.input, c->operation, c->max_delay, &error);
                g_assert_cmpint(allowed, ==, c->error < 0);
                if (c->error >= 0)
                        g_assert_error(error, PS_ERROR, c->error);
                tear_down(&f);
        }
}

static void test_plan(void) {
        Fixture f;
        set_up(&f);
        f.input.phase = MIGRATION_PHASE_SWITCHED;
        f.input.paused = true;
        f.status.delay = -1;
        g_autofree char *text = plan_build(&f.input, OPERATION_ROLLBACK);
        g_autoptr(JsonNode) root = NULL;
        JsonObject *o = parse(text, &root);
        g_assert_cmpstr(json_object_get_string_member(o, "operation"), ==, "rollback");
        g_assert_false(json_object_get_boolean_member(o, "allowed"));
        JsonArray *refused = json_object_get_array_member(o, "refused");
        g_assert_cmpuint(json_array_get_length(refused), ==, 2);
        g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(refused, 0), "error"), ==,
                        "InvalidPhase");
        g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(refused, 1), "error"), ==,
                        "DelayUnknown");
        JsonArray *steps = json_object_get_array_member(o, "steps");
        g_assert_cmpuint(json_array_get_length(steps), ==, _SWITCH_STEP_MAX - 1);
        for (guint i = 0; i < json_array_get_length(steps); i++) /* the protocol's names, in its order */
                g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(steps, i),
                                                              "step"),
                                ==, switch_step_to_string((SwitchStep)(i + 1)));
        /* Rollback fences the destination. */
        g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(steps, 1), "side"), ==,
                        "destination");
        tear_down(&f);
}

static void free_row(gpointer p) {
        check_row_free(p);
}

static void test_verdict(void) {
        g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(free_row);
        g_autoptr(GError) error = NULL;

        g_ptr_array_add(rows, check_row_new("binlog", CHECK_OK, PS_ERROR_FAILED, "fine", ""));
        g_ptr_array_add(rows, check_row_new("sql-mode", CHECK_NOTE, PS_ERROR_CHECK_FAILED, "differs", ""));
        g_assert_true(precheck_verdict(rows, false, &error));
        g_ptr_array_add(rows, check_row_new("source-standby", CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                                            "none seen", ""));
        g_assert_true(precheck_verdict(rows, true, &error));
        g_assert_false(precheck_verdict(rows, false, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED);
        g_assert_nonnull(strstr(error->message, "source-standby"));
        g_clear_error(&error);

        g_ptr_array_add(rows, check_row_new("accounts", CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                                            "account 'bob'@'%': …", ""));
        g_ptr_array_add(rows, check_row_new("binlog", CHECK_ERROR, PS_ERROR_BINLOG_UNAVAILABLE, "off", ""));
        g_assert_false(precheck_verdict(rows, true, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT);
        g_assert_nonnull(strstr(error->message, "2 errors"));
        g_assert_null(strstr(error->message, "bob")); /* everybody may read it */
}

static void test_grants(void) {
        static const struct {
                const char *line, *database;
                bool parsed;
                const char *has, *lacks;
        } cases[] = {
                        {"GRANT SELECT, RELOAD, REPLICATION SLAVE ON *.* TO 'a'@'%' IDENTIFIED BY PASSWORD "
                         "'*X'",
                         NULL, true, "REPLICATION SLAVE", "SUPER"},
                        {"GRANT ALL PRIVILEGES ON *.* TO 'a'@'%' WITH GRANT OPTION", NULL, true,
                         "ALL PRIVILEGES", "SELECT"},
                        {"GRANT READ_ONLY ADMIN ON *.* TO `a`@`%`", NULL, true, "READ ONLY ADMIN", "SUPER"},
                        {"GRANT USAGE ON *.* TO 'a'@'%'", NULL, true, "USAGE", "SELECT"},
                        {"GRANT SELECT, INSERT ON `shop\\_1`.* TO 'a'@'%'", "shop\\_1", true, "INSERT",
                         "DELETE"},
                        {"GRANT SELECT ON `od``d`.* TO 'a'@'%'", "od`d", true, "SELECT", "INSERT"},
                        {"GRANT SELECT (a, b), INSERT ON `x`.`t` TO 'a'@'%'", NULL, false, NULL, NULL},
                        {"GRANT `boss` TO `a`@`%`", NULL, false, NULL, NULL},
                        {"GRANT PROXY ON ''@'' TO 'root'@'localhost' WITH GRANT OPTION", NULL, false, NULL,
                         NULL},
                        {"GRANT EXECUTE ON PROCEDURE `x`.`p` TO 'a'@'%'", NULL, false, NULL, NULL},
                        {"GRANT ", NULL, false, NULL, NULL},
                        {"", NULL, false, NULL, NULL},
                        {"GRANT SELECT ON `x", NULL, false, NULL, NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_test_message("%s", cases[i].line);
                Grant *grant = grant_parse(cases[i].line);
                g_assert_cmpint(grant != NULL, ==, cases[i].parsed);
                if (grant) {
                        g_assert_cmpstr(grant->database, ==, cases[i].database);
                        g_assert_true(g_hash_table_contains(grant->privileges, cases[i].has));
                        g_assert_false(g_hash_table_contains(grant->privileges, cases[i].lacks));
                }
                grant_free(grant);
        }
}

static void test_grant_patterns(void) {
        static const struct {
                const char *pattern, *database;
                bool matches;
        } cases[] = {
                        {"shop", "shop", true},     {"shop", "shop2", false},
                        {"shop%", "shop2", true},   {"%", "", true},
                        {"s_op", "shop", true},     {"s\\_op", "shop", false},
                        {"s\\_op", "s_op", true},   {"%p%", "shop", true},
                        {"shop_", "shop", false},   {"a%b%c", "axxbyyc", true},
                        {"a%b%c", "axxbyy", false}, {"", "", true},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_test_message("%s %s", cases[i].pattern, cases[i].database);
                g_assert_cmpint(grant_pattern_matches(cases[i].pattern, cases[i].database), ==,
                                cases[i].matches);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/certificate", test_certificate);
        g_test_add_func("/report/certificate-sparse", test_certificate_sparse);
        g_test_add_func("/report/allows", test_allows);
        g_test_add_func("/report/plan", test_plan);
        g_test_add_func("/precheck/verdict", test_verdict);
        g_test_add_func("/precheck/grants", test_grants);
        g_test_add_func("/precheck/grant-patterns", test_grant_patterns);
        return g_test_run();
}
