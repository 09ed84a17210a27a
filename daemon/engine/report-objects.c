/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See report-objects.h. What could not be carried comes from the state's list, databases and tables from objects.json, programs and accounts from programs.json and accounts.json,
 * parameters from the state: all of it was found out before, so that the report can be had when both servers are gone. */

#include "engine/report-objects.h"

#include <string.h>

#include "engine/allow-list.h"
#include "engine/parameter.h"
#include "mysql/sql.h"

static void add(JsonBuilder *b, const char *name, const char *value) {
        if (!value)
                return;
        g_autofree char *valid = g_utf8_make_valid(value, -1);
        json_builder_set_member_name(b, name);
        json_builder_add_string_value(b, valid);
}

static void add_logins(JsonBuilder *b, const AccountLogin *logins) {
        if (logins[SIDE_SOURCE].outcome == ACCOUNT_LOGIN_UNKNOWN && logins[SIDE_DESTINATION].outcome == ACCOUNT_LOGIN_UNKNOWN)
                return;
        json_builder_set_member_name(b, "logins");
        json_builder_begin_object(b);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                if (logins[side].outcome == ACCOUNT_LOGIN_UNKNOWN)
                        continue;
                json_builder_set_member_name(b, side_to_string(side));
                json_builder_begin_object(b);
                add(b, "outcome", account_login_to_string(logins[side].outcome));
                add(b, "why", logins[side].why);
                json_builder_end_object(b);
        }
        json_builder_end_object(b);
}

void report_add_object(JsonBuilder *b, const ReportObject *object) {
        json_builder_begin_object(b);
        add(b, "kind", object->kind);
        add(b, "name", object->name);
        add(b, "outcome", object->outcome);
        add(b, "from", object->from);
        add(b, "to", object->to);
        add(b, "why", object->why);
        add(b, "sql", object->sql);
        add(b, "now", object->now);
        if (object->logins)
                add_logins(b, object->logins);
        json_builder_end_object(b);
}

/* ---- what could not be carried */

/* Behind the name that LINE begins with: names are quoted, and may hold anything. */
static const char *behind_name(const char *line) {
        for (const char *p = line; p && *p;)
                if (*p == '`' || *p == '\'')
                        p = sql_behind_quoted(p, /* backslashes= */ *p == '\'');
                else if (p[0] == ':' && p[1] == ' ')
                        return p;
                else
                        p++;
        return NULL;
}

/* The check said how it is mended. */
static const char *find_hint(const EngineState *state, const char *line) {
        for (guint i = 0; state->checks && i < state->checks->len; i++) {
                const CheckRow *row = state->checks->pdata[i];
                if (strcmp(row->message, line) == 0 && *row->hint)
                        return row->hint;
        }
        return NULL;
}

/* "table `db`.`t`: why" */
static void add_unfit(JsonBuilder *b, const EngineState *state, const char *line) {
        const char *space = strchr(line, ' '), *end = space ? behind_name(space + 1) : NULL;
        g_autofree char *kind = end ? g_strndup(line, (gsize) (space - line)) : g_strdup("object");
        g_autofree char *name = end ? g_strndup(space + 1, (gsize) (end - space - 1)) : g_strdup(line);
        ReportObject object = {.kind = kind, .name = name, .outcome = "not-carried", .why = end ? end + 2 : NULL, .sql = find_hint(state, line)};
        report_add_object(b, &object);
}

/* ---- views, routines, triggers, events */

static void add_program(JsonBuilder *b, const ProgramEntry *entry) {
        g_autofree char *name = sql_table(entry->database, entry->name);
        const char *refused = entry->refused[SIDE_DESTINATION] ? entry->refused[SIDE_DESTINATION] : entry->refused[SIDE_SOURCE];
        ReportObject object = {
                .kind = program_kind_to_string(entry->kind),
                .name = name,
                .outcome = refused ? "not-carried" : entry->note ? "changed" : "carried",
                .why = refused ? refused : entry->note,
        };
        report_add_object(b, &object);
}

/* ---- accounts */

/* In what the destination's is otherwise, as text; NULL: in nothing. */
static char *account_change(const AccountEntry *entry) {
        const Account *a = entry->sides[SIDE_SOURCE], *b = entry->sides[SIDE_DESTINATION];
        unsigned difference = a && b ? account_compare(a, b) : 0;
        if (entry->pending[SIDE_SOURCE] || entry->pending[SIDE_DESTINATION])
                difference |= ACCOUNT_DIFFERS_PASSWORD;
        return difference ? account_difference_text(difference) : NULL;
}

static const char *cover_note(const AccountEntry *entry, char *const *allowed) {
        switch (*allowed ? allow_list_covers(allowed, entry->host) : ALLOW_LIST_UNKNOWN) {
        case ALLOW_LIST_OUTSIDE:
                return "the allow list has none of the addresses that its host pattern stands for";
        case ALLOW_LIST_PARTLY:
                return "no entry of the allow list covers all of its host pattern";
        case ALLOW_LIST_COVERED:
        case ALLOW_LIST_UNKNOWN:
                return NULL;
        }
        g_assert_not_reached();
}

/* "same": the destination had it before, and it is alike. A note alone is no change. */
static void add_account(JsonBuilder *b, const AccountEntry *entry, char *const *allowed) {
        g_autofree char *name = account_name(entry->user, entry->host);
        const char *refused = entry->refused[SIDE_DESTINATION] ? entry->refused[SIDE_DESTINATION] : entry->refused[SIDE_SOURCE];
        const char *left = entry->stays ? entry->stays : refused;
        Side side = entry->refused[SIDE_SOURCE] || (entry->note[SIDE_SOURCE] && !entry->note[SIDE_DESTINATION]) ? SIDE_SOURCE : SIDE_DESTINATION;
        bool same = !entry->ours[SIDE_SOURCE] && !entry->ours[SIDE_DESTINATION];
        g_autofree char *change = account_change(entry), *otherwise = change ? g_strconcat("it differs: ", change, NULL) : NULL;
        const char *why = left ? left : entry->note[side] ? entry->note[side] : otherwise, *uncovered = left ? NULL : cover_note(entry, allowed);
        g_autofree char *both = why && uncovered ? g_strconcat(why, "; ", uncovered, NULL) : NULL;
        ReportObject object = {
                .kind = "account",
                .name = name,
                .outcome = left ? "not-carried" : change ? "changed" : same ? "same" : "carried",
                .why = both ? both : why ? why : uncovered,
                .sql = entry->stays ? NULL : entry->sql[side],
                .logins = entry->logins,
        };
        report_add_object(b, &object);
}

/* ---- parameters */

static void add_parameter(JsonBuilder *b, const Parameter *parameter) {
        ReportObject object = {.kind = "parameter", .name = parameter->name, .why = parameter->why, .now = parameter->drift};
        switch (parameter->outcome) {
        case PARAMETER_SAME:
                object.outcome = "same";
                object.to = parameter->source;
                break;
        case PARAMETER_CARRIED:
                object.outcome = "changed";
                object.from = parameter->before;
                object.to = parameter->wanted;
                object.why = "set on the destination as it is on the source, until the destination restarts: put the line into its configuration";
                object.sql = parameter->line;
                break;
        case PARAMETER_PERSISTED:
                object.outcome = "changed";
                object.from = parameter->before;
                object.to = parameter->wanted;
                object.why = "set on the destination as it is on the source, and persisted there";
                break;
        case PARAMETER_NOT_CARRIED:
        case PARAMETER_ABSENT:
                object.outcome = "not-carried";
                object.from = parameter->source;
                object.to = parameter->before;
                object.sql = parameter->line;
                break;
        case _PARAMETER_MAX:
        case _PARAMETER_INVALID:
                g_assert_not_reached();
        }
        report_add_object(b, &object);
}

/* ---- the allow list */

/* An attached server stands in a network that is not the agent's. */
static void add_allowed(JsonBuilder *b, const char *entry) {
        ReportObject object = {
                .kind = "allow-list",
                .name = entry,
                .outcome = "not-carried",
                .why = "the destination is an attached server: let this address or prefix through in what guards its network",
        };
        report_add_object(b, &object);
}

/* The option, or what hooks said. */
static char **allow_list_of(const ReportInput *input) {
        if (input->spec && *input->spec->allow_list)
                return g_strdupv(input->spec->allow_list);
        const char *told = input->state ? input->state->allow_list : NULL;
        return g_strsplit(told ? told : "", " ", -1);
}

static void add_allow_list(JsonBuilder *b, const EngineState *state, char *const *allowed) {
        for (guint i = 0; allowed[i]; i++)
                add_allowed(b, allowed[i]);
        if (!state || !state->allow_list_error)
                return;
        ReportObject object = {.kind = "allow-list", .name = "the source's", .outcome = "not-carried", .why = state->allow_list_error};
        report_add_object(b, &object);
}

void report_add_objects(JsonBuilder *b, const ReportInput *input) {
        g_auto(GStrv) allowed = allow_list_of(input);
        json_builder_set_member_name(b, "objects");
        json_builder_begin_array(b);
        for (guint i = 0; input->state && input->state->unfit && i < input->state->unfit->len; i++)
                add_unfit(b, input->state, input->state->unfit->pdata[i]);
        JsonArray *tables = input->objects ? json_node_get_array(input->objects) : NULL;
        for (guint i = 0; tables && i < json_array_get_length(tables); i++)
                json_builder_add_value(b, json_node_copy(json_array_get_element(tables, i)));
        for (guint i = 0; input->programs && i < input->programs->entries->len; i++)
                add_program(b, input->programs->entries->pdata[i]);
        for (guint i = 0; input->accounts && i < input->accounts->entries->len; i++)
                add_account(b, input->accounts->entries->pdata[i], allowed);
        add_allow_list(b, input->state, allowed);
        g_autoptr(GPtrArray) parameters = input->state ? parameters_from_text(input->state->parameters) : NULL;
        for (guint i = 0; parameters && i < parameters->len; i++)
                add_parameter(b, parameters->pdata[i]);
        json_builder_end_array(b);
}

static void add_task(JsonBuilder *b, const char *what, const char *sql) {
        json_builder_begin_object(b);
        add(b, "side", side_to_string(SIDE_DESTINATION));
        add(b, "what", what);
        add(b, "sql", sql);
        json_builder_end_object(b);
}

void report_add_parameter_tasks(JsonBuilder *b, const ReportInput *input) {
        g_autoptr(GPtrArray) parameters = input->state ? parameters_from_text(input->state->parameters) : NULL;
        g_autoptr(GString) back = g_string_new(NULL), lines = g_string_new(NULL);
        for (guint i = 0; parameters && i < parameters->len; i++) {
                const Parameter *parameter = parameters->pdata[i];
                bool persisted = parameter->outcome == PARAMETER_PERSISTED;
                if (persisted || parameter->outcome == PARAMETER_CARRIED) {
                        g_autofree char *set = parameter_set(parameter, parameter->before, persisted);
                        g_string_append_printf(back, "%s;\n", set);
                }
                if (parameter->outcome == PARAMETER_CARRIED)
                        g_string_append_printf(lines, "%s\n", parameter->line);
        }
        if (input->phase == MIGRATION_PHASE_CANCELED && back->len > 0)
                add_task(b, "it still has the source's parameters; to give it those back that it had before", back->str);
        if (input->phase == MIGRATION_PHASE_COMPLETED && lines->len > 0)
                add_task(b, "parameters were carried until it restarts; put these lines under [mysqld] in its configuration", lines->str);
}
