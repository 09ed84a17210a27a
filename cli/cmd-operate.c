/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs that change a migration: those of the life cycle are one table, since they differ in their method,
 * their flag and whether they have to be confirmed. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "format.h"
#include "value.h"

/* Flags of the contract. */
#define FLAG_ACCEPT_WARNINGS UINT64_C(1)
#define FLAG_DRY_RUN UINT64_C(1)
#define FLAG_WITHOUT_UNREACHABLE UINT64_C(2)

typedef struct Action {
        const char *verb;
        const char *method;
        bool operation;    /* returns an id and goes on */
        bool confirmed;    /* the plan is shown and the name typed */
        bool dry_run_flag; /* the agent does the dry run; else Plan() says what would be done */
        const char *done;  /* what to say when it returns no id */
} Action;

static const Action action_table[] = {
        { "check", "Check", true, false, false, NULL },
        { "start", "Start", true, false, false, NULL },
        { "pause", "Pause", false, false, false, "paused" },
        { "resume", "Resume", false, false, false, "resumed" },
        { "verify", "Verify", true, false, false, NULL },
        { "repair", "Repair", true, false, false, NULL },
        { "switch", "Switch", true, true, true, NULL },
        { "confirm", "Confirm", false, false, false, "confirmed" },
        { "rollback", "Rollback", true, true, true, NULL },
        { "complete", "Complete", true, true, false, NULL },
        { "cancel", "Cancel", true, true, false, NULL },
        { "remove", "Remove", false, false, false, "removed" },
};

static const Action *action_find(const char *verb) {
        for (gsize i = 0; i < G_N_ELEMENTS(action_table); i++)
                if (strcmp(action_table[i].verb, verb) == 0)
                        return &action_table[i];
        g_return_val_if_reached(NULL);
}

int done(Client *client, const char *kind, const char *name, const char *what) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(JsonObject) object = json_object_new();

        if (client->options->json != JSON_OFF) {
                json_object_set_string_member(object, kind, name);
                json_object_set_string_member(object, "done", what);
                format_json_object(client->options, object, out);
        } else if (!client->options->quiet) {
                g_string_append_printf(out, "%c%s ", g_ascii_toupper(kind[0]), kind + 1);
                format_append_safe(out, name);
                g_string_append_printf(out, ": %s.\n", what);
        }
        format_output(client->options, out);
        return STATUS_DONE;
}

/* GOOD: the result is the one that was asked for, which for abort is not "done". */
static void print_outcome(Client *client, const char *kind, const char *name, const char *path,
                          const Outcome *outcome, bool good) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(JsonObject) object = outcome_json(outcome, kind, name), properties = NULL;
        double interruption = -1;

        if (strcmp(outcome->operation, "switch") == 0 || strcmp(outcome->operation, "rollback") == 0) {
                g_auto(sd_bus_error) ignored = SD_BUS_ERROR_NULL;

                if (client_properties(client, path, MIGRATION_INTERFACE, &properties, &ignored) >= 0)
                        interruption = value_double(properties, "WriteInterruption");
        }
        if (client->options->json != JSON_OFF) {
                if (interruption >= 0)
                        json_object_set_double_member(object, "write_interruption", interruption);
                format_json_object(client->options, object, out);
                format_output(client->options, out);
                return;
        }
        format_append_safe(out, name);
        g_string_append(out, ": ");
        format_append_safe(out, outcome->operation);
        g_string_append_printf(out, " (%" PRIu64 ") ", outcome->id);
        format_append_safe(out, outcome->result);
        if (strcmp(outcome->result, "done") == 0 && interruption >= 0)
                g_string_append_printf(out, ", writes stopped for %.3f s", interruption);
        if (outcome->error_name && *outcome->error_name) {
                const char *last = strrchr(outcome->error_name, '.');

                g_string_append(out, ": ");
                format_append_safe(out, outcome->error_message);
                g_string_append(out, " (");
                format_append_safe(out, last ? last + 1 : outcome->error_name);
                g_string_append_c(out, ')');
        }
        g_string_append_c(out, '\n');
        if (good) {
                if (!client->options->quiet)
                        format_output(client->options, out);
        } else
                fputs(out->str, stderr);
}

static int accepted(Client *client, const char *kind, const char *name, const char *member, uint64_t id) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(JsonObject) object = json_object_new();

        if (client->options->json != JSON_OFF) {
                json_object_set_string_member(object, kind, name);
                json_object_set_int_member(object, "id", (gint64) id);
                json_object_set_string_member(object, "result", "accepted");
                format_json_object(client->options, object, out);
        } else if (!client->options->quiet) {
                format_append_safe(out, name);
                g_string_append_printf(out, ": %s accepted as operation %" PRIu64 "\n", member, id);
        }
        format_output(client->options, out);
        return STATUS_DONE;
}

int operation_run(Client *client, const char *kind, const char *name, const char *path, const char *interface,
                  sd_bus_message *call, uint64_t id, Outcome *ret) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_auto(Outcome) outcome = {};
        g_autoptr(Follow) follow = NULL;
        int r;

        r = follow_new(client, name, path, interface, &follow, &error);
        if (r >= 0 && id == 0)
                r = follow_call(follow, call, &id, &error);
        else if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (!client->options->wait)
                return accepted(client, kind, name, sd_bus_message_get_member(call), id);
        r = follow_operation(follow, id, &outcome, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (ret) {
                *ret = outcome;
                outcome = (Outcome){};
                return outcome_status(ret);
        }
        print_outcome(client, kind, name, path, &outcome, outcome_status(&outcome) == STATUS_DONE);
        return (int) outcome_status(&outcome);
}

/* What GetChecks knows, after a Check. An error among the rows is a refusal. */
static int print_checks(Client *client, const char *name, const char *path, const Outcome *outcome) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL, reply = NULL;
        g_autoptr(Table) table = table_new("CHECK", "RESULT", "MESSAGE", "HINT", NULL);
        g_autoptr(JsonObject) object = outcome_json(outcome, "migration", name);
        g_autoptr(GString) out = g_string_new(NULL);
        JsonArray *checks = json_array_new();
        const char *id, *result, *message, *hint;
        unsigned errors = 0, warnings = 0;
        uint64_t at;
        int r;

        json_object_set_array_member(object, "checks", checks);
        r = client_method(client, path, MIGRATION_INTERFACE, "GetChecks", &call, &error);
        if (r >= 0)
                r = client_call_authorised(client, call, &reply, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        r = sd_bus_message_read(reply, "t", &at);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssss)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssss)", &id, &result, &message, &hint)) > 0) {
                JsonObject *row = json_object_new();

                json_object_set_string_member(row, "id", id);
                json_object_set_string_member(row, "result", result);
                json_object_set_string_member(row, "message", message);
                json_object_set_string_member(row, "hint", hint);
                json_array_add_object_element(checks, row);
                table_row(table, id, result, message, hint);
                errors += strcmp(result, "error") == 0;
                warnings += strcmp(result, "warning") == 0;
        }
        if (r < 0) {
                (void) sd_bus_error_set(&error, CTL_ERROR_BAD_REPLY,
                                        "The agent's answer to GetChecks is malformed.");
                return client_fail(client, r, &error);
        }
        json_object_set_int_member(object, "checked_at", (gint64) at);
        if (client->options->json != JSON_OFF)
                format_json_object(client->options, object, out);
        else {
                unsigned columns, height;

                format_terminal_size(STDOUT_FILENO, &columns, &height);
                if (isatty(STDOUT_FILENO))
                        table_print_folded(table, client->options, columns, out);
                else /* one line each, for grep */
                        table_print(table, client->options, out);
                if (client->options->legend)
                        g_string_append_printf(out, "\n%u errors, %u warnings.\n", errors, warnings);
        }
        format_output(client->options, out);
        return errors > 0 ? STATUS_REFUSED : STATUS_DONE;
}

static int finish_check(Client *client, const char *name, const char *path, const Outcome *outcome) {
        bool refused = outcome_status(outcome) == STATUS_REFUSED;
        int status;

        if (outcome_status(outcome) == STATUS_FAILED) {
                print_outcome(client, "migration", name, path, outcome, false);
                return STATUS_FAILED;
        }
        status = print_checks(client, name, path, outcome);
        return status == STATUS_DONE && refused ? STATUS_REFUSED : status;
}

/* The result of a dry run is the agent's plan, with what it found out. */
static int finish_dry_run(Client *client, const char *name, const char *path, const Outcome *outcome) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(JsonNode) plan = NULL;
        g_autoptr(JsonObject) object = NULL;
        int r;

        if (outcome_status(outcome) == STATUS_FAILED) {
                print_outcome(client, "migration", name, path, outcome, false);
                return STATUS_FAILED;
        }
        r = client_method(client, path, MIGRATION_INTERFACE, "GetPlan", &call, &error);
        if (r >= 0)
                r = client_json_method(client, call, &plan, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (client->options->json != JSON_OFF) {
                object = outcome_json(outcome, "migration", name);
                json_object_set_member(object, "plan", json_node_copy(plan));
                format_json_object(client->options, object, out);
                format_output(client->options, out);
        } else {
                format_json_text(plan, 0, out);
                format_output(client->options, out);
                print_outcome(client, "migration", name, path, outcome,
                              outcome_status(outcome) == STATUS_DONE);
        }
        return outcome_status(outcome);
}

static int append_call(Client *client, const Action *action, sd_bus_message *call) {
        const Options *options = client->options;
        uint64_t flags = 0;
        int r;

        if (options->accept_warnings)
                flags |= FLAG_ACCEPT_WARNINGS;
        if (options->dry_run && action->dry_run_flag)
                flags |= FLAG_DRY_RUN;
        if (options->without_unreachable)
                flags |= FLAG_WITHOUT_UNREACHABLE;
        r = settings_append(options->settings, call);
        if (r < 0)
                return r;
        return sd_bus_message_append(call, "t", flags);
}

/* The state on which a plan rests; 0 = unknown. */
static gint64 read_generation(Client *client, const char *path) {
        g_auto(sd_bus_error) ignored = SD_BUS_ERROR_NULL;
        g_autoptr(JsonObject) properties = NULL;

        if (client_properties(client, path, MIGRATION_INTERFACE, &properties, &ignored) < 0)
                return 0;
        return value_int(properties, "Generation");
}

/* What was shown and agreed to is what is done: should the migration change in between, the agent refuses. */
static int confirm_action(Client *client, const Action *action, const char *name, const char *path) {
        gint64 generation = read_generation(client, path);
        int status = confirm(client, name, path, action->verb);

        if (status == STATUS_DONE && action->dry_run_flag && generation > 0 &&
            !settings_has(client->options->settings, "expected-generation")) {
                g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, generation);
                g_autofree char *message = NULL;

                (void) settings_add(client->options->settings, "expected-generation", number, &message);
        }
        return status;
}

/* A comparison that ran well and found differences is no success. */
static int finish_verify(Client *client, const char *name, const char *path, const Outcome *outcome) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonObject) properties = NULL, object = outcome_json(outcome, "migration", name);
        g_autoptr(GString) out = g_string_new(NULL);
        const char *state;
        int r;

        if (outcome_status(outcome) != STATUS_DONE) {
                print_outcome(client, "migration", name, path, outcome, false);
                return outcome_status(outcome);
        }
        r = client_properties(client, path, MIGRATION_INTERFACE, &properties, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        state = value_string(properties, "VerificationState");
        if (client->options->json != JSON_OFF) {
                json_object_set_string_member(object, "verification", state);
                format_json_object(client->options, object, out);
        } else if (!client->options->quiet) {
                format_append_safe(out, name);
                g_string_append_printf(out, ": verify (%" PRIu64 ") done, both sides are ", outcome->id);
                format_append_safe(out, state);
                g_string_append_c(out, '\n');
        }
        format_output(client->options, out);
        return strcmp(state, "different") == 0 ? STATUS_FAILED : STATUS_DONE;
}

static int print_plan_only(Client *client, const char *path, const char *operation) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(JsonNode) plan = NULL;
        int r;

        r = plan_read(client, path, operation, &plan, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        format_node(client->options, plan);
        return STATUS_DONE;
}

int cmd_operate(Client *client, const Verb *verb, char **words) {
        const Action *action = action_find(verb->name);
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_auto(Outcome) outcome = {};
        g_autoptr(sd_bus_message) call = NULL;
        g_autofree char *path = NULL;
        bool check = strcmp(action->verb, "check") == 0;
        bool verify = strcmp(action->verb, "verify") == 0;
        bool ask = action->confirmed && !client->options->dry_run && !client->options->yes;
        bool own_output;
        int r;

        if (ask && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
                return client_usage(client,
                                    "Without a terminal %s needs --yes; what it would do is told by: "
                                    "polarshiftctl plan %s %s",
                                    verb->name, words[0], verb->name);
        r = client_migration_path(client, words[0], &path, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (client->options->dry_run && !action->dry_run_flag)
                return print_plan_only(client, path, action->verb);
        if (ask) {
                r = confirm_action(client, action, words[0], path);
                if (r != STATUS_DONE)
                        return r;
        }
        r = client_method(client, path, MIGRATION_INTERFACE, action->method, &call, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        r = append_call(client, action, call);
        if (r < 0)
                return client_fail(client, r, &error);
        if (!action->operation) {
                r = client_call_authorised(client, call, NULL, &error);
                return r < 0 ? client_fail(client, r, &error)
                             : done(client, "migration", words[0], action->done);
        }
        own_output = client->options->wait && (check || verify || client->options->dry_run);
        r = operation_run(client, "migration", words[0], path, MIGRATION_INTERFACE, call, 0,
                          own_output ? &outcome : NULL);
        if (!own_output || !outcome.result)
                return r;
        if (check)
                return finish_check(client, words[0], path, &outcome);
        if (verify)
                return finish_verify(client, words[0], path, &outcome);
        return finish_dry_run(client, words[0], path, &outcome);
}

int cmd_abort(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_auto(Outcome) outcome = {};
        g_autoptr(sd_bus_message) call = NULL;
        g_autoptr(JsonObject) properties = NULL;
        g_autofree char *path = NULL;
        guint64 id = 0;
        bool canceled;
        int r;

        if (words[1] && !g_ascii_string_to_unsigned(words[1], 10, 1, G_MAXUINT64, &id, NULL))
                return client_usage(client, "\"%s\" is not the number of an operation.", words[1]);
        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0 && id == 0) {
                r = client_properties(client, path, MIGRATION_INTERFACE, &properties, &error);
                id = (guint64) value_int(properties, "OperationId");
        }
        if (r < 0)
                return client_fail(client, r, &error);
        if (id == 0) {
                (void) sd_bus_error_setf(&error, ERROR_PREFIX "InvalidPhase",
                                         "No operation of migration %s is running.", words[0]);
                return client_fail(client, -EINVAL, &error);
        }
        r = client_method(client, path, MIGRATION_INTERFACE, "Abort", &call, &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "t", (uint64_t) id);
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r < 0)
                return client_fail(client, r, &error);
        r = operation_run(client, "migration", words[0], path, MIGRATION_INTERFACE, call, id, &outcome);
        if (!outcome.result)
                return r;
        canceled = strcmp(outcome.result, "canceled") == 0;
        print_outcome(client, "migration", words[0], path, &outcome, canceled);
        return canceled ? STATUS_DONE : STATUS_FAILED;
}

int cmd_limits(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_autofree char *path = NULL, *message = NULL;
        int r;

        for (char **word = words + 1; *word; word++)
                if (!settings_add_word(client->options->settings, *word, &message))
                        return client_usage(client, "%s", message);
        if (settings_empty(client->options->settings))
                return client_usage(client, "Say which limit: polarshiftctl limits %s KEY=VALUE", words[0]);
        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_method(client, path, MIGRATION_INTERFACE, "SetLimits", &call, &error);
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        return r < 0 ? client_fail(client, r, &error) : done(client, "migration", words[0], "limits set");
}

int cmd_endpoint(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_autofree char *path = NULL;
        int r;

        if (strcmp(words[1], "source") != 0 && strcmp(words[1], "destination") != 0)
                return client_usage(client, "The side is source or destination, not \"%s\".", words[1]);
        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_method(client, path, MIGRATION_INTERFACE, "SetEndpoint", &call, &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", words[1], words[2]);
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        return r < 0 ? client_fail(client, r, &error) : done(client, "migration", words[0], "endpoint set");
}

int cmd_acknowledge(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_autofree char *path = NULL;
        guint64 count;
        int r;

        if (!g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXUINT64, &count, NULL))
                return client_usage(client, "\"%s\" is not a number of transactions.", words[1]);
        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = client_method(client, path, MIGRATION_INTERFACE, "AcknowledgeForeignWrites", &call,
                                  &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "t", (uint64_t) count);
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        return r < 0 ? client_fail(client, r, &error)
                     : done(client, "migration", words[0], "foreign writes acknowledged");
}

int cmd_wait(Client *client, const Verb *verb, char **words) {
        static const char *const phases[] = { "created",  "copying", "synchronizing", "switched", "completed",
                                              "canceled", NULL };
        const char *phase = client->options->wait_for;
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_auto(Outcome) outcome = {};
        g_autoptr(Follow) follow = NULL;
        g_autoptr(JsonObject) object = json_object_new();
        g_autoptr(GString) out = g_string_new(NULL);
        g_autofree char *path = NULL;
        int r;

        if (phase && !g_strv_contains(phases, phase))
                return client_usage(client,
                                    "--for= takes a phase: created, copying, synchronizing, switched, "
                                    "completed or canceled, not \"%s\".",
                                    phase);
        r = client_migration_path(client, words[0], &path, &error);
        if (r >= 0)
                r = follow_new(client, words[0], path, MIGRATION_INTERFACE, &follow, &error);
        if (r >= 0)
                r = phase ? follow_phase(follow, phase, &error)
                          : follow_operation(follow, 0, &outcome, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (!phase) {
                print_outcome(client, "migration", words[0], path, &outcome,
                              outcome_status(&outcome) == STATUS_DONE);
                return outcome_status(&outcome);
        }
        if (client->options->json != JSON_OFF) {
                json_object_set_string_member(object, "migration", words[0]);
                json_object_set_string_member(object, "phase", phase);
                format_json_object(client->options, object, out);
        } else if (!client->options->quiet) {
                format_append_safe(out, words[0]);
                g_string_append_printf(out, ": %s\n", phase);
        }
        format_output(client->options, out);
        return STATUS_DONE;
}
