/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The documents that say what was done and what would be done. Values in, JSON text out: nothing is asked of
 * a server here, so that a report can be had when both are gone. What is not known is null, never a number
 * that looks like one. */

#include "engine/report.h"

#include <string.h>

#include "base/error.h"
#include "engine/report-objects.h"
#include "mysql/sql.h"

/* ---- small parts */

static void add_string(JsonBuilder *b, const char *name, const char *value) {
        json_builder_set_member_name(b, name);
        if (value)
                json_builder_add_string_value(b, value);
        else
                json_builder_add_null_value(b);
}

static void add_u64(JsonBuilder *b, const char *name, guint64 value) {
        json_builder_set_member_name(b, name);
        json_builder_add_int_value(b, (gint64)MIN(value, (guint64)G_MAXINT64));
}

static void add_bool(JsonBuilder *b, const char *name, bool value) {
        json_builder_set_member_name(b, name);
        json_builder_add_boolean_value(b, value);
}

/* Negative: unknown. */
static void add_double(JsonBuilder *b, const char *name, double value) {
        json_builder_set_member_name(b, name);
        if (value < 0)
                json_builder_add_null_value(b);
        else
                json_builder_add_double_value(b, value);
}

/* µs since the epoch as text; 0: null. */
static void add_time(JsonBuilder *b, const char *name, guint64 usec) {
        g_autofree char *text = NULL;
        if (usec > 0) {
                g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc((gint64)(usec / G_USEC_PER_SEC));
                text = t ? g_date_time_format(t, "%Y-%m-%dT%H:%M:%SZ") : NULL;
        }
        add_string(b, name, text);
}

static void add_position(JsonBuilder *b, const char *name, const BinlogPosition *position) {
        json_builder_set_member_name(b, name);
        if (!position->file) {
                json_builder_add_null_value(b);
                return;
        }
        json_builder_begin_object(b);
        add_string(b, "file", position->file);
        add_u64(b, "offset", position->offset);
        json_builder_end_object(b);
}

static char *side_label(const ReportInput *input, Side side) {
        if (!input->spec || !input->spec->servers[side].endpoint)
                return NULL;
        return endpoint_label(input->spec->servers[side].endpoint);
}

static char *builder_text(JsonBuilder *b) {
        g_autoptr(JsonNode) root = json_builder_get_root(b);
        return json_to_string(root, TRUE);
}

/* ---- the certificate */

static void add_side(JsonBuilder *b, const ReportInput *input, Side side) {
        g_autofree char *label = side_label(input, side);

        json_builder_set_member_name(b, side_to_string(side));
        json_builder_begin_object(b);
        add_string(b, "server", label);
        if (input->state) {
                add_string(b, "identity", input->state->identity[side]);
                add_bool(b, "takes_writes", input->state->writer == side);
        }
        if (input->status)
                add_string(b, "status", read_write_status_to_string(input->status->read_write[side]));
        json_builder_end_object(b);
}

static void add_verification(JsonBuilder *b, const EngineState *state) {
        json_builder_set_member_name(b, "verification");
        json_builder_begin_object(b);
        add_string(b, "state", verification_state_to_string(state->verification));
        add_time(b, "at", state->verified_at);
        json_builder_set_member_name(b, "summary");
        g_autoptr(JsonNode) summary = state->verification_summary
                                                      ? json_from_string(state->verification_summary, NULL)
                                                      : NULL;
        if (summary)
                json_builder_add_value(b, g_steal_pointer(&summary));
        else
                json_builder_add_null_value(b);
        json_builder_end_object(b);
}

static void add_link(JsonBuilder *b, const EngineState *state) {
        json_builder_set_member_name(b, "link");
        json_builder_begin_object(b);
        add_u64(b, "epoch", state->epoch);
        add_u64(b, "leg", state->leg);
        add_position(b, "leg_start", &state->leg_start);
        add_position(b, "end_position", &state->end_position);
        add_position(b, "reverse_start", &state->reverse_start);
        json_builder_end_object(b);
}

/* For those who read the logs themselves: what the old side logged up to `old` is in the new one's log before `new`, and what comes behind `new` is in
 * no other log. The map of the last change of side. */
static void add_handover(JsonBuilder *b, const EngineState *state) {
        json_builder_set_member_name(b, "handover");
        if (!state->left_at.file || !state->leg_start.file) {
                json_builder_add_null_value(b);
                return;
        }
        json_builder_begin_object(b);
        for (guint i = 0; i < 2; i++) {
                const BinlogPosition *place = i == 0 ? &state->left_at : &state->leg_start;
                json_builder_set_member_name(b, i == 0 ? "old" : "new");
                json_builder_begin_object(b);
                add_string(b, "side", side_to_string(i == 0 ? side_other(state->writer) : state->writer));
                add_string(b, "file", place->file);
                add_u64(b, "offset", place->offset);
                add_string(b, "gtids", place->gtids);
                json_builder_end_object(b);
        }
        json_builder_end_object(b);
}

/* TEXT: JSON that the engine made; NULL: null. */
static void add_json(JsonBuilder *b, const char *name, const char *text) {
        g_autoptr(JsonNode) node = text ? json_from_string(text, NULL) : NULL;
        json_builder_set_member_name(b, name);
        if (node)
                json_builder_add_value(b, g_steal_pointer(&node));
        else
                json_builder_add_null_value(b);
}

static void add_amounts(JsonBuilder *b, const EngineStatus *status) {
        json_builder_set_member_name(b, "copied");
        json_builder_begin_object(b);
        add_u64(b, "rows", status->rows_copied);
        add_u64(b, "bytes", status->bytes_copied);
        json_builder_end_object(b);
        json_builder_set_member_name(b, "applied");
        json_builder_begin_object(b);
        add_u64(b, "transactions", status->transactions_applied);
        add_u64(b, "rows", status->rows_applied);
        json_builder_end_object(b);
        json_builder_set_member_name(b, "replication");
        json_builder_begin_object(b);
        add_string(b, "state", replication_state_to_string(status->replication));
        add_string(b, "direction", direction_to_string(status->direction));
        add_double(b, "delay", status->delay);
        add_string(b, "error",
                   status->error >= 0 ? ps_error_code_to_string((PsErrorCode)status->error) : NULL);
        add_string(b, "error_message", status->error >= 0 ? status->error_message : NULL);
        json_builder_end_object(b);
}

static void add_not_carried(JsonBuilder *b, const EngineState *state) {
        json_builder_set_member_name(b, "not_carried");
        json_builder_begin_array(b);
        for (guint i = 0; state->unfit && i < state->unfit->len; i++)
                json_builder_add_string_value(b, state->unfit->pdata[i]);
        json_builder_end_array(b);
}

/* One line for each view, routine, trigger and event. A side's is null when it has the program, or is to have it once it takes writes. */
static void add_programs(JsonBuilder *b, const ReportInput *input) {
        json_builder_set_member_name(b, "programs");
        if (!input->programs) {
                json_builder_add_null_value(b);
                return;
        }
        json_builder_begin_array(b);
        for (guint i = 0; i < input->programs->entries->len; i++) {
                const ProgramEntry *entry = input->programs->entries->pdata[i];
                g_autofree char *name = sql_table(entry->database, entry->name);
                json_builder_begin_object(b);
                add_string(b, "type", program_kind_to_string(entry->kind));
                add_string(b, "name", name);
                add_bool(b, "carried", !entry->refused[SIDE_SOURCE] && !entry->refused[SIDE_DESTINATION]);
                add_string(b, "source", entry->refused[SIDE_SOURCE]);
                add_string(b, "destination", entry->refused[SIDE_DESTINATION]);
                add_string(b, "note", entry->note);
                json_builder_end_object(b);
        }
        json_builder_end_array(b);
}

/* What a source that stays closed is without. */
static void add_program_tasks(JsonBuilder *b, const ReportInput *input) {
        guint triggers = 0, events = 0;
        for (guint i = 0; input->programs && i < input->programs->entries->len; i++) {
                const ProgramEntry *entry = input->programs->entries->pdata[i];
                triggers += entry->kind == PROGRAM_TRIGGER && entry->sides[SIDE_SOURCE];
                events += entry->kind == PROGRAM_EVENT && entry->sides[SIDE_SOURCE] && entry->enabled;
        }
        if (triggers + events == 0)
                return;
        g_autofree char *what = g_strdup_printf("the source is without its triggers (%u) and its events are disabled (%u ran); programs.json in the "
                                                "migration's folder holds their definitions until the migration is removed", triggers, events);
        json_builder_begin_object(b);
        add_string(b, "side", side_to_string(SIDE_SOURCE));
        add_string(b, "what", what);
        add_string(b, "sql", NULL);
        json_builder_end_object(b);
}

static void add_checks(JsonBuilder *b, const EngineState *state) {
        add_time(b, "checked_at", state->checked_at);
        json_builder_set_member_name(b, "checks");
        json_builder_begin_array(b);
        for (guint i = 0; state->checks && i < state->checks->len; i++) {
                const CheckRow *row = state->checks->pdata[i];
                if (row->severity < CHECK_NOTE)
                        continue;
                json_builder_begin_object(b);
                add_string(b, "check", row->id);
                add_string(b, "severity", check_severity_to_string(row->severity));
                add_string(b, "message", row->message);
                add_string(b, "hint", row->hint);
                json_builder_end_object(b);
        }
        json_builder_end_array(b);
}

static void add_task(JsonBuilder *b, Side side, const char *what, const char *sql) {
        json_builder_begin_object(b);
        add_string(b, "side", side_to_string(side));
        add_string(b, "what", what);
        add_string(b, "sql", sql);
        json_builder_end_object(b);
}

/* What is left to people once the agent is done. */
static void add_tasks(JsonBuilder *b, const ReportInput *input) {
        bool clone = input->spec && input->spec->create_type == CREATE_TYPE_CLONE;
        bool after_switch = (input->phase == MIGRATION_PHASE_COMPLETED && !clone) ||
                            (input->phase == MIGRATION_PHASE_CANCELED &&
                             g_strcmp0(input->phase_reason, "expired-switched") == 0);
        json_builder_set_member_name(b, "to_do");
        json_builder_begin_array(b);
        if (after_switch) {
                const char *sql = input->state ? input->state->opening_sql[SIDE_SOURCE] : NULL;
                if (input->spec && input->spec->fence == FENCE_ACCOUNTS)
                        add_task(b, SIDE_SOURCE, "the accounts of the source that can write stay closed, and it can be released; to open it again, run", sql);
                else if (input->spec && input->spec->fence == FENCE_HOOK)
                        add_task(b, SIDE_SOURCE, "the source stays as the hooks have closed it, and can be released; to open it again, do what they do at point unfence, besides",
                                 "SET GLOBAL read_only=0;");
                else
                        add_task(b, SIDE_SOURCE, "the source stays read-only and can be released; to open it again, remove read_only from its configuration and run",
                                 "SET GLOBAL read_only=0;");
                add_program_tasks(b, input);
                add_task(b, SIDE_DESTINATION, "remove the agent's account when no other migration needs it",
                         "DROP USER ...;");
                add_task(b, SIDE_SOURCE, "remove the agent's account when no other migration needs it",
                         "DROP USER ...;");
        } else if (input->phase == MIGRATION_PHASE_COMPLETED) {
                add_task(b, SIDE_DESTINATION,
                         "both servers take writes and are not linked; the clone's events are disabled, since they would run on both: enable those that are wanted",
                         NULL);
        } else if (input->phase == MIGRATION_PHASE_CANCELED) {
                add_task(b, SIDE_DESTINATION,
                         "both servers take writes and are no longer linked; what was copied stays until it "
                         "is dropped; its events are disabled, since they would run on both",
                         NULL);
        }
        report_add_parameter_tasks(b, input);
        for (Side side = SIDE_SOURCE; input->state && side < _SIDE_MAX; side++)
                if (input->state->left_sql[side])
                        add_task(b, side, "it could not be reached at the end: remove the agent's tables", input->state->left_sql[side]);
        if (input->state && input->state->binlog_left) {
                g_autofree char *what = g_strdup_printf("switch its binary log off: %s", input->state->binlog_left);
                add_task(b, SIDE_DESTINATION, what, NULL);
        }
        if (migration_phase_is_final(input->phase) && input->state && input->state->unfit &&
            input->state->unfit->len > 0)
                add_task(b, SIDE_DESTINATION, "make by hand what is listed under not_carried", NULL);
        json_builder_end_array(b);
}

char *report_build(const ReportInput *input) {
        g_autoptr(JsonBuilder) b = json_builder_new();

        json_builder_begin_object(b);
        add_string(b, "document", "certificate");
        add_u64(b, "version", 1);
        add_string(b, "migration", input->spec ? input->spec->name : NULL);
        add_string(b, "uuid", input->state ? input->state->uuid : NULL);
        add_string(b, "phase", migration_phase_to_string(input->phase));
        add_string(b, "phase_reason", input->phase_reason);
        add_bool(b, "paused", input->paused);
        add_time(b, "created_at", input->created_at);
        add_time(b, "expires_at", input->expires_at);
        if (input->spec) {
                json_builder_set_member_name(b, "request");
                json_builder_begin_object(b);
                add_string(b, "create_type", create_type_to_string(input->spec->create_type));
                add_bool(b, "whole_instance", spec_is_whole_instance(input->spec));
                add_string(b, "fence", fence_kind_to_string(input->spec->fence));
                add_string(b, "verify", verify_policy_to_string(input->spec->verify));
                add_string(b, "unfit", unfit_policy_to_string(input->spec->unfit));
                json_builder_end_object(b);
        }
        add_side(b, input, SIDE_SOURCE);
        add_side(b, input, SIDE_DESTINATION);
        if (input->state) {
                add_double(b, "write_interruption", input->state->write_interruption);
                add_json(b, "interruption", input->state->interruption_parts);
                add_bool(b, "reverse_proven", input->state->reverse_proven);
                add_u64(b, "foreign_writes", input->state->foreign_writes);
                add_u64(b, "foreign_writes_acknowledged", input->state->foreign_writes_acknowledged);
                add_verification(b, input->state);
                add_link(b, input->state);
                if (input->spec && input->spec->create_type == CREATE_TYPE_CLONE)
                        add_position(b, "clone_position", &input->state->end_position);
                add_handover(b, input->state);
                add_json(b, "sessions_left", input->state->sessions_left);
                add_json(b, "final_check", input->state->final_check);
        }
        if (input->status)
                add_amounts(b, input->status);
        if (input->state) {
                add_not_carried(b, input->state);
                add_programs(b, input);
                report_add_objects(b, input);
                add_checks(b, input->state);
        }
        add_tasks(b, input);
        json_builder_end_object(b);
        return builder_text(b);
}

/* ---- what is allowed */

static void free_error(gpointer p) {
        g_error_free(p);
}

static void refuse(GPtrArray *refusals, PsErrorCode code, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void refuse(GPtrArray *refusals, PsErrorCode code, const char *format, ...) {
        va_list ap;
        va_start(ap, format);
        g_ptr_array_add(refusals, g_error_new_valist(PS_ERROR, (int)code, format, ap));
        va_end(ap);
}

static void refuse_delay(GPtrArray *refusals, const ReportInput *input, const char *name, double max_delay) {
        double limit = max_delay >= 0 ? max_delay : input->spec ? input->spec->limits.max_delay : 60;

        if (input->status->delay < 0)
                refuse(refusals, PS_ERROR_DELAY_UNKNOWN,
                       "%s needs to know the delay of replication, which is %s; wait until it runs, or "
                       "resume",
                       name, replication_state_to_string(input->status->replication));
        else if (input->status->delay >= limit)
                refuse(refusals, PS_ERROR_DELAY_TOO_HIGH,
                       "the delay is %.1f s and %s is refused at %.1f s or above; wait until it has caught "
                       "up",
                       input->status->delay, name, limit);
}

static void refuse_verification(GPtrArray *refusals, const ReportInput *input, OperationKind operation) {
        VerificationState state = input->status ? input->status->verification : input->state->verification;

        if (!input->spec || input->spec->verify != VERIFY_REQUIRED || state == VERIFICATION_EQUAL)
                return;
        if (state == VERIFICATION_DIFFERENT)
                refuse(refusals, PS_ERROR_VERIFICATION_FAILED,
                       "the last verification found rows that differ; run repair, then verify");
        else if (operation != OPERATION_ROLLBACK) /* the way back is not held up by a comparison that has not run yet */
                refuse(refusals, PS_ERROR_VERIFICATION_FAILED,
                       "%s needs a verification that found both sides equal (%s now); run verify",
                       operation_kind_to_string(operation), verification_state_to_string(state));
}

/* → GPtrArray of GError, the weightiest first. */
static GPtrArray *collect_refusals(const ReportInput *input, OperationKind operation, double max_delay) {
        GPtrArray *refusals = g_ptr_array_new_with_free_func(free_error);
        const char *name = operation_kind_to_string(operation);

        bool clone = input->spec && input->spec->create_type == CREATE_TYPE_CLONE;
        if (input->spec ? !spec_allows(input->spec, operation, input->phase) : !operation_allowed(operation, input->phase))
                refuse(refusals, PS_ERROR_INVALID_PHASE, "%s is not possible while the %s is %s", name, clone ? "clone" : "migration",
                       migration_phase_to_string(input->phase));
        if (input->paused && (operation == OPERATION_SWITCH || operation == OPERATION_ROLLBACK ||
                              operation == OPERATION_COMPLETE || operation == OPERATION_VERIFY ||
                              operation == OPERATION_REPAIR))
                refuse(refusals, PS_ERROR_INVALID_PHASE,
                       "%s is not possible while the migration is paused; resume it first", name);
        if (clone && operation == OPERATION_COMPLETE && (input->status || input->state))
                refuse_verification(refusals, input, operation);
        if (operation != OPERATION_SWITCH && operation != OPERATION_ROLLBACK)
                return refusals;

        if (input->status)
                refuse_delay(refusals, input, name, max_delay);
        if (input->status && input->status->foreign_writes > 0)
                refuse(refusals, PS_ERROR_FOREIGN_WRITES,
                       "%" G_GUINT64_FORMAT " foreign transactions were found on the side that must not be "
                                            "written to; look at them, then "
                       "acknowledge them",
                       input->status->foreign_writes);
        if (input->status || input->state)
                refuse_verification(refusals, input, operation);
        if (input->status ? !input->status->reverse_proven : input->state && !input->state->reverse_proven)
                refuse(refusals, PS_ERROR_REVERSE_NOT_PROVEN,
                       "the link from the destination back to the source is not proven yet; wait, or look at "
                       "the last error");
        return refusals;
}

bool plan_allows(const ReportInput *input, OperationKind operation, double max_delay, GError **error) {
        g_autoptr(GPtrArray) refusals = collect_refusals(input, operation, max_delay);
        if (refusals->len == 0)
                return true;
        g_propagate_error(error, g_error_copy(refusals->pdata[0]));
        return false;
}

/* ---- the plan */

/* A: the side that takes writes now, B: the other one; as in the protocol. */
typedef enum PlanSide { PLAN_A, PLAN_B, PLAN_SOURCE, PLAN_DESTINATION, PLAN_BOTH } PlanSide;
typedef struct PlanStep {
        const char *step, *what;
        PlanSide side;
} PlanStep;

static const PlanStep steps_switch[] = {
                {"guard",
                 "check phase, delay, verification, the way back and open transactions; raise AUTO_INCREMENT "
                 "counters; run the pre hooks",
                 PLAN_BOTH},
                {"fence",
                 "stop writes, as the option fence says: events off and read_only on, sessions that hold a transaction are ended, and those that "
                 "read_only does not stop are kept out (super_read_only; or they are ended, and the server is locked if they come back); or accounts that can write are locked, their sessions ended, and events disabled. The write interruption begins",
                 PLAN_A},
                {"end-position", "read the last position of the binary log behind the fence", PLAN_A},
                {"drain", "wait until everything up to there is applied and committed", PLAN_B},
                {"final-check", "look through what was written there: nothing may come from anybody else; compare the rows that changed since both sides were found equal", PLAN_B},
                {"epoch", "raise the epoch, so that nothing stale can be applied any more", PLAN_B},
                {"flip", "see that the side is still closed and ready", PLAN_B},
                {"reverse-start", "note the position from which changes flow back", PLAN_B},
                {"commit",
                 "prove the fence once more, record the new owner and allow writes; the write interruption "
                 "ends",
                 PLAN_B},
                {"release", "keep the side closed and watch it for foreign writes", PLAN_A},
                {"reverse", "start replication in the other direction and prove it; run the post hooks",
                 PLAN_BOTH},
};

static const PlanStep steps_complete[] = {
                {"drain", "apply what the destination has written until now, for at most 10 s", PLAN_SOURCE},
                {"epoch", "raise the epoch and end replication; prove that it has stopped", PLAN_BOTH},
                {"clean", "drop the agent's own tables", PLAN_BOTH},
                {"keep", "the source stays read-only; there is no way back any more", PLAN_SOURCE},
                {"certificate", "write the certificate", PLAN_DESTINATION},
};

static const PlanStep steps_cancel[] = {
                {"epoch", "raise the epoch and end copying and replication", PLAN_BOTH},
                {"open", "leave the destination writable with what was copied; incomplete tables are named",
                 PLAN_DESTINATION},
                {"clean", "drop the agent's own tables", PLAN_BOTH},
                {"keep", "the source goes on unchanged", PLAN_SOURCE},
};

static const PlanStep steps_clone[] = {
                {"end", "end reading between two transactions of the source, and note the position", PLAN_SOURCE},
                {"drain", "apply everything up to there, and nothing behind it", PLAN_DESTINATION},
                {"open", "leave the destination writable, with its triggers; its events stay disabled", PLAN_DESTINATION},
                {"clean", "drop the agent's own tables", PLAN_BOTH},
                {"keep", "the source goes on unchanged", PLAN_SOURCE},
};

static const PlanStep *plan_steps(OperationKind operation, bool clone, gsize *ret_n) {
        switch (operation) {
        case OPERATION_SWITCH:
        case OPERATION_ROLLBACK:
                *ret_n = G_N_ELEMENTS(steps_switch);
                return steps_switch;
        case OPERATION_COMPLETE:
                *ret_n = clone ? G_N_ELEMENTS(steps_clone) : G_N_ELEMENTS(steps_complete);
                return clone ? steps_clone : steps_complete;
        case OPERATION_CANCEL:
                *ret_n = G_N_ELEMENTS(steps_cancel);
                return steps_cancel;
        case OPERATION_CHECK:
        case OPERATION_START:
        case OPERATION_VERIFY:
        case OPERATION_REPAIR:
        case OPERATION_EXPIRE:
        case _OPERATION_MAX:
        case _OPERATION_INVALID:
                break;
        }
        *ret_n = 0;
        return NULL;
}

static const char *plan_side(PlanSide side, OperationKind operation) {
        Side a = operation == OPERATION_ROLLBACK ? SIDE_DESTINATION : SIDE_SOURCE;
        switch (side) {
        case PLAN_A:
                return side_to_string(a);
        case PLAN_B:
                return side_to_string(side_other(a));
        case PLAN_SOURCE:
                return side_to_string(SIDE_SOURCE);
        case PLAN_DESTINATION:
                return side_to_string(SIDE_DESTINATION);
        case PLAN_BOTH:
                return "both";
        }
        g_assert_not_reached();
}

char *plan_build(const ReportInput *input, OperationKind operation) {
        g_autoptr(GPtrArray) refusals = collect_refusals(input, operation, -1);
        g_autofree char *source = side_label(input, SIDE_SOURCE),
                        *destination = side_label(input, SIDE_DESTINATION);
        g_autoptr(JsonBuilder) b = json_builder_new();
        gsize n;
        const PlanStep *steps = plan_steps(operation, input->spec && input->spec->create_type == CREATE_TYPE_CLONE, &n);

        json_builder_begin_object(b);
        add_string(b, "migration", input->spec ? input->spec->name : NULL);
        add_string(b, "operation", operation_kind_to_string(operation));
        add_string(b, "phase", migration_phase_to_string(input->phase));
        add_string(b, "source", source);
        add_string(b, "destination", destination);
        add_bool(b, "allowed", refusals->len == 0);
        json_builder_set_member_name(b, "refused");
        json_builder_begin_array(b);
        for (guint i = 0; i < refusals->len; i++) {
                const GError *refusal = refusals->pdata[i];
                json_builder_begin_object(b);
                add_string(b, "error", ps_error_code_to_string(ps_error_code_of(refusal)));
                add_string(b, "message", refusal->message);
                json_builder_end_object(b);
        }
        json_builder_end_array(b);
        json_builder_set_member_name(b, "steps");
        json_builder_begin_array(b);
        for (gsize i = 0; i < n; i++) {
                json_builder_begin_object(b);
                add_string(b, "step", steps[i].step);
                add_string(b, "what", steps[i].what);
                add_string(b, "side", plan_side(steps[i].side, operation));
                json_builder_end_object(b);
        }
        json_builder_end_array(b);
        add_double(b, "delay", input->status ? input->status->delay : -1);
        if (input->spec)
                add_double(b, "max_delay", input->spec->limits.max_delay);
        add_double(b, "last_write_interruption",
                   input->status  ? input->status->write_interruption
                   : input->state ? input->state->write_interruption
                                  : -1);
        json_builder_end_object(b);
        return builder_text(b);
}
