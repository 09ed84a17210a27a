/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.polarshift1.Migration. Each has two halves: the first reads and checks the arguments,
 * the second runs once the caller is known to be allowed and looks at the migration as it is then. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/object-store.h"
#include "engine/report.h"
#include "history.h"
#include "migration-bus.h"
#include "operation.h"
#include "options.h"

#define INSPECT "org.polarshift1.inspect"
#define MANAGE "org.polarshift1.manage"
#define SET_CREDENTIAL "org.polarshift1.set-credential"
#define SWITCH "org.polarshift1.switch"
#define ROLLBACK "org.polarshift1.rollback"
#define COMPLETE "org.polarshift1.complete"

#define DRY_RUN 1U
#define WITHOUT_UNREACHABLE 2U
#define ACCEPT_WARNINGS 1U

#define DEADLINE_MAX 3600
#define CONFIRM_WITHIN_MAX (7 * 86400.0)

/* A call's arguments, checked as far as they can be before anybody is asked. */
typedef struct Request {
        Options *options;
        guint64 flags;
        OperationKind kind;
        RecordOperation operation;
        bool has_generation;
        guint64 generation;
        ResumeDdl ddl;
        guint64 number; /* an operation's id, a count, a time */
        Side side;
        char *uri;
} Request;

static void request_free(gpointer data) {
        Request *request = data;
        options_free(request->options);
        g_free(request->uri);
        g_free(request);
}

static GError *error_new(PsErrorCode code, const char *format, ...) G_GNUC_PRINTF(2, 3);
static GError *error_new(PsErrorCode code, const char *format, ...) {
        va_list args;
        va_start(args, format);
        GError *error = g_error_new_valist(PS_ERROR, (gint) code, format, args);
        va_end(args);
        return error;
}

static Call *begin(sd_bus_message *message, Migration *m, const char *method, bool mutating, Request **ret) {
        Call *call = call_new(m->manager, message, method, mutating);
        call->migration = g_strdup(m->name);
        *ret = g_new0(Request, 1);
        (*ret)->operation.request.max_delay = -1;
        call_set_request(call, *ret, request_free);
        return call;
}

/* The options and flags at the end. What the handler does not take after this is refused by read_end(). */
static bool read_options(Call *call, Request *request, GError **error) {
        request->options = options_read(call->message, error);
        return request->options != NULL;
}

static bool read_end(Call *call, Request *request, guint64 known_flags, GError **error) {
        return !(*error) && options_refuse_rest(request->options, error) &&
               flags_read(call->message, known_flags, &request->flags, error);
}

static bool read_plain(Call *call, Request *request, GError **error) {
        return read_options(call, request, error) && read_end(call, request, 0, error);
}

/* The migration as it is now, after whatever the prompt took. */
static Migration *look_again(const Call *call, GError **error) {
        Migration *m = manager_get(call->manager, call->migration, error);
        if (m && m->removing) {
                g_set_error(error, PS_ERROR, PS_ERROR_NO_SUCH_MIGRATION, "migration '%s' is being removed",
                            m->name);
                return NULL;
        }
        return m;
}

static void add_detail(GPtrArray *details, const char *key, char *value /* taken over */) {
        g_ptr_array_add(details, g_strdup(key));
        g_ptr_array_add(details, value);
}

static int authorize(Call *call, const Migration *m, const char *action, const char *operation,
                     const char *prompt, CallRun run) {
        GPtrArray *details = g_ptr_array_new_with_free_func(g_free);
        add_detail(details, "migration", g_strdup(m->name));
        add_detail(details, "operation", g_strdup(operation));
        for (int side = 0; side < _SIDE_MAX; side++)
                add_detail(details, side_to_string((Side) side),
                           endpoint_label(m->record->spec->servers[side].endpoint));
        add_detail(details, "delay", g_strdup_printf("%.1f", m->status.delay));
        if (prompt) {
                add_detail(details, "polkit.message", g_strdup(prompt));
                add_detail(details, "polkit.gettext_domain", g_strdup("polarshift"));
        }
        return call_authorize(call, action, details, run);
}

static void report_input(const Migration *m, ReportInput *ret) {
        *ret = (ReportInput) {
                        .spec = m->record->spec,
                        .state = m->record->state,
                        .status = &m->status,
                        .phase = m->record->phase,
                        .phase_reason = m->record->reason,
                        .created_at = m->record->created_at,
                        .expires_at = record_expires_at(m->record),
                        .paused = m->record->paused,
        };
}

/* ---- operations: Check, Start, Verify, Repair, Switch, Rollback, Complete, Cancel ---- */

/* The same call again: the id it got the first time. 0: not one of those. */
static guint64 earlier_id(const Migration *m, OperationKind kind) {
        const Record *r = m->record;
        if (kind != OPERATION_COMPLETE && kind != OPERATION_CANCEL)
                return 0;
        if (r->operation.request.id && r->operation.request.kind == kind)
                return r->operation.request.id;
        if (kind == OPERATION_COMPLETE ? r->phase == MIGRATION_PHASE_COMPLETED
                                       : r->phase == MIGRATION_PHASE_CANCELED)
                return r->final_operation_id;
        return 0;
}

static bool known_obstacles(const Migration *m, const Request *request, GError **error) {
        ReportInput input;
        if (request->kind != OPERATION_SWITCH && request->kind != OPERATION_ROLLBACK &&
            request->kind != OPERATION_COMPLETE && request->kind != OPERATION_CANCEL)
                return true;
        report_input(m, &input);
        return plan_allows(&input, request->kind, request->operation.request.max_delay, error);
}

/* A switch or rollback behind its commit point goes on for ever when the old side is gone for good. What does without that side (flag 2) ends it. */
static bool supersedes(const Migration *m, const Request *request) {
        const EngineOperation *running = &m->record->operation.request;
        if (!(request->flags & WITHOUT_UNREACHABLE) || running->id == 0 || m->removing || !m->engine || m->engine_stopping)
                return false;
        return (request->kind == OPERATION_COMPLETE && running->kind == OPERATION_SWITCH && m->record->phase == MIGRATION_PHASE_SWITCHED) ||
               (request->kind == OPERATION_CANCEL && running->kind == OPERATION_ROLLBACK && m->record->phase == MIGRATION_PHASE_SYNCHRONIZING);
}

static int run_operation(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        guint64 id = 0;

        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        if ((id = earlier_id(m, request->kind)) != 0) {
                call->answer = id;
                return call_done(call, "t", id);
        }
        migration_sample(m);
        if (request->has_generation && request->generation != m->record->generation)
                return call_fail(call, error_new(PS_ERROR_STALE_GENERATION,
                                                 "migration '%s' is at generation %" G_GUINT64_FORMAT
                                                 ", not %" G_GUINT64_FORMAT "; look at it again",
                                                 m->name, m->record->generation, request->generation));
        bool good = supersedes(m, request) ? migration_supersede(m, &request->operation, &id, &error)
                                           : migration_allows(m, request->kind, &error) && known_obstacles(m, request, &error) &&
                                                             migration_begin(m, &request->operation, &id, &error);
        if (!good)
                return call_fail(call, error);
        call->answer = id;
        return call_done(call, "t", id);
}

static int operation_call(Call *call, Migration *m, Request *request, OperationKind kind, const char *action,
                          const char *prompt) {
        request->kind = kind;
        request->operation.request.kind = kind;
        request->operation.request.flags = request->flags;
        return authorize(call, m, action, operation_kind_to_string(kind), prompt, run_operation);
}

static int simple_operation(sd_bus_message *message, Migration *m, const char *method, OperationKind kind,
                            guint64 flags) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, m, method, /* mutating= */ true, &request);
        if (!read_options(call, request, &error) || !read_end(call, request, flags, &error))
                return call_fail(call, error);
        return operation_call(call, m, request, kind, MANAGE, NULL);
}

int method_check(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return simple_operation(message, userdata, "Check", OPERATION_CHECK, 0);
}

int method_start(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return simple_operation(message, userdata, "Start", OPERATION_START, ACCEPT_WARNINGS);
}

int method_verify(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return simple_operation(message, userdata, "Verify", OPERATION_VERIFY, 0);
}

int method_repair(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return simple_operation(message, userdata, "Repair", OPERATION_REPAIR, 0);
}

static bool read_switch_options(Call *call, Request *request, GError **error) {
        EngineOperation *o = &request->operation.request;
        if (!read_options(call, request, error))
                return false;
        Options *options = request->options;
        (void) options_take_seconds(options, "max-delay", 0.001, 60, &o->max_delay, error);
        if (!*error)
                (void) options_take_seconds(options, "deadline", 0.1, DEADLINE_MAX, &o->deadline, error);
        if (!*error)
                request->has_generation = options_take_unsigned(options, "expected-generation",
                                                                &request->generation, error);
        if (!*error)
                (void) options_take_boolean(options, "kill-sessions", &o->kill_sessions, error);
        if (!*error)
                (void) options_take_seconds(options, "confirm-within", 0, CONFIRM_WITHIN_MAX,
                                           &request->operation.confirm_within, error);
        return read_end(call, request, DRY_RUN, error);
}

static int switch_call(sd_bus_message *message, Migration *m, const char *method, OperationKind kind,
                       const char *action, const char *prompt) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, m, method, /* mutating= */ true, &request);
        if (!read_switch_options(call, request, &error))
                return call_fail(call, error);
        return operation_call(call, m, request, kind, request->flags & DRY_RUN ? INSPECT : action,
                              request->flags & DRY_RUN ? NULL : prompt);
}

int method_switch(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return switch_call(message, userdata, "Switch", OPERATION_SWITCH, SWITCH,
                           "Authentication is required to switch application writes of migration "
                           "'$(migration)' from $(source) "
                           "to $(destination)");
}

int method_rollback(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return switch_call(message, userdata, "Rollback", OPERATION_ROLLBACK, ROLLBACK,
                           "Authentication is required to return application writes of migration "
                           "'$(migration)' from "
                           "$(destination) to $(source)");
}

static bool read_ending_options(Call *call, const Migration *m, Request *request, GError **error) {
        bool *disable_binlog = &request->operation.request.disable_binlog;
        if (!read_options(call, request, error))
                return false;
        (void) options_take_boolean(request->options, "disable-binlog", disable_binlog, error);
        if (!*error && *disable_binlog && !hooks_are_there(m->manager->hooks))
                *error = error_new(PS_ERROR_INVALID_OPTION,
                                   "option 'disable-binlog': the destination was attached, not made by this "
                                   "agent, and there is no "
                                   "hook for it; switch its binary log off in its own configuration");
        return read_end(call, request, WITHOUT_UNREACHABLE, error);
}

static int ending_call(sd_bus_message *message, Migration *m, const char *method, OperationKind kind,
                       const char *action, const char *prompt) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, m, method, /* mutating= */ true, &request);
        if (!read_ending_options(call, m, request, &error))
                return call_fail(call, error);
        return operation_call(call, m, request, kind, action, prompt);
}

int method_complete(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return ending_call(message, userdata, "Complete", OPERATION_COMPLETE, COMPLETE,
                           "Authentication is required to complete migration '$(migration)' and give up "
                           "rolling back to $(source)");
}

int method_cancel(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return ending_call(message, userdata, "Cancel", OPERATION_CANCEL, MANAGE, NULL);
}

/* ---- Pause, Resume, Confirm, Abort ---- */

static bool linked(const Migration *m, GError **error) {
        if (migration_phase_direction(m->record->phase) != DIRECTION_NONE && m->engine && !m->engine_stopping)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_PHASE, "migration '%s' has no link: it is in phase %s",
                    m->name, migration_phase_to_string(m->record->phase));
        return false;
}

static bool idle(const Migration *m, GError **error) {
        const EngineOperation *o = &m->record->operation.request;
        if (o->id == 0 || o->kind == OPERATION_CHECK)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_OPERATION_IN_PROGRESS,
                    "operation %" G_GUINT64_FORMAT
                    " (%s) of migration '%s' is running; wait for its end, or abort it",
                    o->id, operation_kind_to_string(o->kind), m->name);
        return false;
}

static bool set_paused(Migration *m, bool paused, GError **error) {
        if (m->record->paused == paused)
                return true;
        Record *next = record_copy(m->record);
        next->paused = paused;
        if (!migration_store(m, next, error))
                return false;
        migration_note(m, LOG_NOTICE, NULL, paused ? "paused" : "resumed", NULL,
                       paused ? "paused" : "resumed");
        return true;
}

static int run_pause(Call *call) {
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m || !linked(m, &error) || !idle(m, &error) || !set_paused(m, true, &error))
                return call_fail(call, error);
        engine_set_paused(m->engine, true, RESUME_DDL_RETRY);
        return call_done(call, NULL);
}

int method_pause(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, userdata, "Pause", /* mutating= */ true, &request);
        if (!read_plain(call, request, &error))
                return call_fail(call, error);
        return authorize(call, userdata, MANAGE, "pause", NULL, run_pause);
}

static int run_resume(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m || !linked(m, &error) || !set_paused(m, false, &error))
                return call_fail(call, error);
        engine_set_paused(m->engine, false, request->ddl);
        return call_done(call, NULL);
}

int method_resume(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        static const struct {
                const char *word;
                ResumeDdl ddl;
        } words[] = {{"retry", RESUME_DDL_RETRY},
                     {"skip", RESUME_DDL_SKIP},
                     {"done-by-hand", RESUME_DDL_DONE_BY_HAND}};
        Request *request;
        GError *error = NULL;
        const char *ddl = "retry";
        bool known = false;
        Call *call = begin(message, userdata, "Resume", /* mutating= */ true, &request);

        if (!read_options(call, request, &error))
                return call_fail(call, error);
        (void) options_take_string(request->options, "ddl", &ddl, &error);
        for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
                if (strcmp(words[i].word, ddl) == 0) {
                        request->ddl = words[i].ddl;
                        known = true;
                }
        if (!error && !known)
                error = error_new(PS_ERROR_INVALID_OPTION,
                                  "option 'ddl': must be 'retry', 'skip' or 'done-by-hand'");
        if (!read_end(call, request, 0, &error))
                return call_fail(call, error);
        return authorize(call, userdata, MANAGE, "resume", NULL, run_resume);
}

/* A switch that has changed the phase is finished forward, however long the old side is away; its clock runs, so it can be confirmed. */
static bool has_changed_sides(const Migration *m) {
        OperationKind kind = m->record->operation.request.id ? m->record->operation.request.kind : _OPERATION_INVALID;
        return (kind == OPERATION_SWITCH && m->record->phase == MIGRATION_PHASE_SWITCHED) ||
               (kind == OPERATION_ROLLBACK && m->record->phase == MIGRATION_PHASE_SYNCHRONIZING);
}

static int run_confirm(Call *call) {
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        if (m->record->confirm_by == 0)
                return call_fail(call, error_new(PS_ERROR_INVALID_PHASE,
                                                 "migration '%s' has nothing to confirm", m->name));
        if (!has_changed_sides(m) && !idle(m, &error))
                return call_fail(call, error);
        Record *next = record_copy(m->record);
        next->confirm_by = 0;
        if (!migration_store(m, next, &error))
                return call_fail(call, error);
        migration_note(m, LOG_NOTICE, NULL, "confirmed", NULL, "the %s was confirmed",
                       m->record->phase == MIGRATION_PHASE_SWITCHED ? "switch" : "rollback");
        migration_look_at_clock(m);
        return call_done(call, NULL);
}

int method_confirm(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, userdata, "Confirm", /* mutating= */ true, &request);
        if (!read_plain(call, request, &error))
                return call_fail(call, error);
        return authorize(call, userdata, SWITCH, "confirm", NULL, run_confirm);
}

static int run_abort(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        if (request->number == 0 || m->record->operation.request.id != request->number || !m->engine)
                return call_fail(call,
                                 error_new(PS_ERROR_INVALID_PHASE,
                                           "operation %" G_GUINT64_FORMAT " of migration '%s' is not running",
                                           request->number, m->name));
        engine_abort(m->engine, request->number);
        return call_done(call, NULL);
}

int method_abort(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Migration *m = userdata;
        Request *request;
        GError *error = NULL;
        const char *action = MANAGE;
        Call *call = begin(message, m, "Abort", /* mutating= */ true, &request);

        if (sd_bus_message_read_basic(message, 't', &request->number) < 0)
                return call_fail(call,
                                 error_new(PS_ERROR_INVALID_OPTION, "the operation's id cannot be read"));
        call->subject = g_strdup_printf("operation %" G_GUINT64_FORMAT, request->number);
        if (!read_plain(call, request, &error))
                return call_fail(call, error);
        if (m->record->operation.request.id == request->number) {
                OperationKind kind = m->record->operation.request.kind;
                if (kind == OPERATION_SWITCH || kind == OPERATION_ROLLBACK)
                        action = SWITCH;
                else if (kind == OPERATION_COMPLETE)
                        action = COMPLETE;
        }
        return authorize(call, m, action, "abort", NULL, run_abort);
}

/* ---- AcknowledgeForeignWrites, SetLimits, SetEndpoint ---- */

static int run_acknowledge(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m || !linked(m, &error))
                return call_fail(call, error);
        migration_sample(m);
        if (request->number == 0 || request->number > m->status.foreign_writes)
                return call_fail(call,
                                 error_new(PS_ERROR_INVALID_OPTION,
                                           "%" G_GUINT64_FORMAT
                                           " foreign writes are not acknowledged, not %" G_GUINT64_FORMAT
                                           "; look at them again",
                                           m->status.foreign_writes, request->number));
        engine_acknowledge_foreign_writes(m->engine, request->number);
        migration_sample(m);
        migration_note(m, LOG_NOTICE, NULL, "foreign-writes-acknowledged", NULL,
                       "%" G_GUINT64_FORMAT " foreign writes acknowledged", request->number);
        return call_done(call, NULL);
}

int method_acknowledge(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, userdata, "AcknowledgeForeignWrites", /* mutating= */ true, &request);
        if (sd_bus_message_read_basic(message, 't', &request->number) < 0)
                return call_fail(call, error_new(PS_ERROR_INVALID_OPTION, "the count cannot be read"));
        if (!read_plain(call, request, &error))
                return call_fail(call, error);
        return authorize(call, userdata, MANAGE, "acknowledge-foreign-writes", NULL, run_acknowledge);
}

static int run_set_limits(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        if (migration_phase_is_final(m->record->phase) || !m->engine || m->engine_stopping)
                return call_fail(call,
                                 error_new(PS_ERROR_INVALID_PHASE, "migration '%s' has ended", m->name));
        g_autoptr(Record) next = record_copy(m->record);
        if (!options_apply(request->options, next->spec, /* limits= */ true, &error))
                return call_fail(call, error);
        next->generation++;
        if (next->spec->limits.expire_after != m->record->spec->limits.expire_after)
                next->announced = 0;
        if (!migration_store(m, g_steal_pointer(&next), &error))
                return call_fail(call, error);
        engine_set_limits(m->engine, &m->record->spec->limits);
        migration_look_at_clock(m);
        return call_done(call, NULL);
}

int method_set_limits(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Migration *m = userdata;
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, m, "SetLimits", /* mutating= */ true, &request);
        if (!read_options(call, request, &error))
                return call_fail(call, error);
        g_autoptr(MigrationSpec) scratch = spec_copy(m->record->spec);
        if (options_count(request->options) == 0)
                error = error_new(PS_ERROR_INVALID_OPTION, "no limit is given");
        if (error || !options_apply(request->options, scratch, /* limits= */ true, &error) ||
            !flags_read(message, 0, &request->flags, &error))
                return call_fail(call, error);
        return authorize(call, m, MANAGE, "set-limits", NULL, run_set_limits);
}

static bool set_endpoint(MigrationSpec *spec, Side side, const char *uri, GError **error) {
        SpecValue value = {.type = SPEC_VALUE_STRING, .string = uri};
        return spec_set(spec, side_to_string(side), &value, error) && spec_validate(spec, error);
}

static int run_set_endpoint(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m || !linked(m, &error) || !idle(m, &error))
                return call_fail(call, error);
        if (!m->record->paused)
                return call_fail(call,
                                 error_new(PS_ERROR_INVALID_PHASE, "pause migration '%s' first", m->name));
        g_autoptr(Record) next = record_copy(m->record);
        if (!set_endpoint(next->spec, request->side, request->uri, &error))
                return call_fail(call, error);
        next->generation++;
        if (!migration_store(m, g_steal_pointer(&next), &error))
                return call_fail(call, error);
        engine_set_endpoint(m->engine, request->side, &m->record->spec->servers[request->side]);
        migration_note(m, LOG_NOTICE, NULL, "endpoint-changed", NULL, "the %s has another address",
                       side_to_string(request->side));
        return call_done(call, NULL);
}

int method_set_endpoint(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Migration *m = userdata;
        Request *request;
        GError *error = NULL;
        const char *side, *uri;
        Call *call = begin(message, m, "SetEndpoint", /* mutating= */ true, &request);

        if (sd_bus_message_read(message, "ss", &side, &uri) < 0)
                return call_fail(call, error_new(PS_ERROR_INVALID_OPTION, "side and URI cannot be read"));
        request->side = side_from_string(side);
        request->uri = g_strdup(uri);
        if (request->side == _SIDE_INVALID)
                return call_fail(call, error_new(PS_ERROR_INVALID_OPTION,
                                                 "the side must be 'source' or 'destination'"));
        call->subject = g_strdup(side_to_string(request->side));
        g_autoptr(MigrationSpec) scratch = spec_copy(m->record->spec);
        if (!set_endpoint(scratch, request->side, uri, &error) || !read_plain(call, request, &error))
                return call_fail(call, error);
        return authorize(call, m, SET_CREDENTIAL, "set-endpoint", NULL, run_set_endpoint);
}

/* ---- looking: GetChecks, Plan, GetPlan, GetReport, GetHistory ---- */

static int run_get_checks(Call *call) {
        sd_bus_message *reply = NULL;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        const GPtrArray *checks = m->record->state->checks;
        int r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", m->record->state->checked_at);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ssss)");
        for (guint i = 0; r >= 0 && checks && i < checks->len; i++) {
                const CheckRow *row = g_ptr_array_index(checks, i);
                g_autofree char *text = g_utf8_make_valid(row->message, -1);
                g_autofree char *hint = g_utf8_make_valid(row->hint, -1);
                r = sd_bus_message_append(reply, "(ssss)", row->id, check_severity_to_string(row->severity),
                                          text, hint);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0) {
                sd_bus_message_unref(reply);
                return call_fail(call,
                                 error_new(PS_ERROR_FAILED, "cannot build the answer: %s", g_strerror(-r)));
        }
        return call_send(call, reply);
}

int method_get_checks(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        Call *call = begin(message, userdata, "GetChecks", /* mutating= */ false, &request);
        return authorize(call, userdata, INSPECT, "get-checks", NULL, run_get_checks);
}

static int run_plan(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        ReportInput input;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        migration_sample(m);
        report_input(m, &input);
        g_autofree char *plan = plan_build(&input, request->kind);
        return call_done(call, "s", plan);
}

int method_plan(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        const char *operation;
        Migration *m = userdata;
        Call *call = begin(message, m, "Plan", /* mutating= */ false, &request);
        if (sd_bus_message_read_basic(message, 's', &operation) < 0)
                return call_fail(call, error_new(PS_ERROR_INVALID_OPTION, "the operation cannot be read"));
        request->kind = operation_kind_from_string(operation);
        if (request->kind != OPERATION_SWITCH && request->kind != OPERATION_ROLLBACK &&
            request->kind != OPERATION_COMPLETE && request->kind != OPERATION_CANCEL)
                return call_fail(call,
                                 error_new(PS_ERROR_INVALID_OPTION, "the operation must be 'switch', "
                                                                    "'rollback', 'complete' or 'cancel'"));
        /* Those of the operation: whoever asks for it with options shows its plan first. */
        bool change = request->kind == OPERATION_SWITCH || request->kind == OPERATION_ROLLBACK;
        if (!(change ? read_switch_options(call, request, &error) : read_ending_options(call, m, request, &error)))
                return call_fail(call, error);
        return authorize(call, m, INSPECT, "plan", NULL, run_plan);
}

static int run_get_plan(Call *call) {
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        const char *plan = m->record->state->last_plan;
        return call_done(call, "s", plan ? plan : "");
}

int method_get_plan(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        Call *call = begin(message, userdata, "GetPlan", /* mutating= */ false, &request);
        return authorize(call, userdata, INSPECT, "get-plan", NULL, run_get_plan);
}

static int run_get_report(Call *call) {
        GError *error = NULL;
        ReportInput input;
        Migration *m = look_again(call, &error);
        if (!m)
                return call_fail(call, error);
        migration_sample(m);
        report_input(m, &input);
        g_autoptr(PairStore) programs = pair_store_load(&program_entry_kind, m->directory, NULL);
        g_autoptr(PairStore) accounts = pair_store_load(&account_kind, m->directory, NULL);
        g_autoptr(JsonNode) objects = object_store_load(m->directory);
        input.programs = programs;
        input.accounts = accounts;
        input.objects = objects;
        g_autofree char *report = report_build(&input);
        return call_done(call, "s", report);
}

int method_get_report(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        Call *call = begin(message, userdata, "GetReport", /* mutating= */ false, &request);
        return authorize(call, userdata, INSPECT, "get-report", NULL, run_get_report);
}

static int run_get_history(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        g_autofree char *history = m ? history_read(m->directory, request->number, &error) : NULL;
        if (!history)
                return call_fail(call, error);
        return call_done(call, "s", history);
}

int method_get_history(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        Call *call = begin(message, userdata, "GetHistory", /* mutating= */ false, &request);
        if (sd_bus_message_read_basic(message, 't', &request->number) < 0)
                return call_fail(call, error_new(PS_ERROR_INVALID_OPTION, "the time cannot be read"));
        return authorize(call, userdata, INSPECT, "get-history", NULL, run_get_history);
}

/* ---- Remove ---- */

void migration_bus_finish_removal(Migration *m) {
        GError *error = NULL;
        Call *call = call_find(m->manager, m->removing);

        if (!migration_remove_folder(m, &error)) {
                m->removing = 0;
                migration_run(m);
                if (call)
                        (void) call_fail(call, error);
                else
                        g_error_free(error);
                return;
        }
        manager_detach(m->manager, m);
        if (call)
                (void) call_done(call, NULL);
}

static int run_remove(Call *call) {
        GError *error = NULL;
        Migration *m = look_again(call, &error);
        if (!m || !idle(m, &error))
                return call_fail(call, error);
        if (migration_phase_direction(m->record->phase) != DIRECTION_NONE)
                return call_fail(call, error_new(PS_ERROR_INVALID_PHASE,
                                                 "migration '%s' is in phase %s; complete or cancel it first",
                                                 m->name, migration_phase_to_string(m->record->phase)));
        if (m->record->operation.request.id != 0)
                return call_fail(call, error_new(PS_ERROR_OPERATION_IN_PROGRESS,
                                                 "a check of migration '%s' is running", m->name));
        m->removing = call->id;
        if (migration_is_stopped(m))
                migration_bus_finish_removal(m);
        else
                migration_stop(m); /* the answer comes when the engine has ended */
        return 1;
}

int method_remove(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        Call *call = begin(message, userdata, "Remove", /* mutating= */ true, &request);
        if (!read_plain(call, request, &error))
                return call_fail(call, error);
        return authorize(call, userdata, MANAGE, "remove", NULL, run_remove);
}
