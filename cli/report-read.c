/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What page and text have in common: reading a certificate, and judging what in it is a problem. See report.h. */

#include <string.h>

#include "format.h"
#include "report.h"

bool report_is_certificate(JsonNode *report) {
        if (!JSON_NODE_HOLDS_OBJECT(report))
                return false;
        g_autofree char *document = report_value(json_node_get_object(report), "document");
        return strcmp(document, "certificate") == 0;
}

JsonObject *report_object(JsonObject *object, const char *name) {
        JsonNode *node = object ? json_object_get_member(object, name) : NULL;
        return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *report_array(JsonObject *object, const char *name) {
        JsonNode *node = object ? json_object_get_member(object, name) : NULL;
        return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

char *report_value(JsonObject *object, const char *name) {
        JsonNode *node = object ? json_object_get_member(object, name) : NULL;
        if (!node || !JSON_NODE_HOLDS_VALUE(node))
                return g_strdup("");
        /* A text as it is, lines and all: who prints it makes it harmless. */
        return json_node_get_value_type(node) == G_TYPE_STRING ? json_node_dup_string(node) : format_value(node);
}

double report_number(JsonObject *object, const char *name) {
        JsonNode *node = object ? json_object_get_member(object, name) : NULL;
        GType type = node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
        return type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : -1;
}

char *report_position(JsonObject *object, const char *name) {
        JsonObject *position = report_object(object, name);
        g_autofree char *file = report_value(position, "file"), *offset = report_value(position, "offset");
        return *file ? g_strdup_printf("%s:%s", file, offset) : g_strdup("");
}

static const char *const sides[] = {"destination", "source"};

char *report_logins(JsonObject *object) {
        JsonObject *logins = report_object(object, "logins");
        g_autoptr(GString) text = g_string_new(NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(sides); i++) {
                JsonObject *login = report_object(logins, sides[i]);
                g_autofree char *outcome = report_value(login, "outcome"), *why = report_value(login, "why");
                if (!*outcome)
                        continue;
                const char *what = strcmp(outcome, "logged-in") == 0 ? "logged in" : strcmp(outcome, "failed") == 0 ? "could not log in" : "not tried";
                g_string_append_printf(text, "%slogin on the %s: %s%s%s", text->len ? "; " : "", sides[i], what, *why ? ", " : "", why);
        }
        return g_string_free(g_steal_pointer(&text), FALSE);
}

static JsonObject *element(JsonArray *array, guint i) {
        JsonNode *node = json_array_get_element(array, i);
        return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

/* ---- problems */

static void free_problem(gpointer p) {
        ReportProblem *problem = p;
        g_free(problem->what);
        g_free(problem->sql);
        g_free(problem);
}

/* Takes WHAT and SQL over. */
static void add(GPtrArray *problems, const char *level, char *what, char *sql) {
        ReportProblem *problem = g_new0(ReportProblem, 1);
        problem->level = level;
        problem->what = what;
        problem->sql = sql && *sql ? sql : NULL;
        if (!problem->sql)
                g_free(sql);
        g_ptr_array_add(problems, problem);
}

static void add_objects(GPtrArray *problems, JsonObject *report) {
        JsonArray *objects = report_array(report, "objects");
        for (guint i = 0; objects && i < json_array_get_length(objects); i++) {
                JsonObject *object = element(objects, i);
                g_autofree char *kind = report_value(object, "kind"), *name = report_value(object, "name"), *outcome = report_value(object, "outcome"),
                                *why = report_value(object, "why"), *now = report_value(object, "now"),
                                *then = report_value(object, strcmp(outcome, "not-carried") == 0 ? "from" : "to");
                if (strcmp(outcome, "not-carried") == 0 && strcmp(kind, "parameter") != 0)
                        add(problems, "warning", g_strdup_printf("Not carried: %s %s%s%s", kind, name, *why ? " – " : "", why), report_value(object, "sql"));
                if (*now)
                        add(problems, "warning", g_strdup_printf("Changed on the source since the start: %s is %s now, and was %s", name, now, then), NULL);
        }
}

static void add_logins(GPtrArray *problems, JsonObject *report) {
        JsonArray *objects = report_array(report, "objects");
        for (guint i = 0; objects && i < json_array_get_length(objects); i++)
                for (gsize side = 0; side < G_N_ELEMENTS(sides); side++) {
                        JsonObject *object = element(objects, i), *login = report_object(report_object(object, "logins"), sides[side]);
                        g_autofree char *outcome = report_value(login, "outcome"), *why = report_value(login, "why"), *name = report_value(object, "name");
                        if (strcmp(outcome, "failed") == 0)
                                add(problems, "warning", g_strdup_printf("Could not log in on the %s: %s – %s", sides[side], name, why), NULL);
                }
}

static void add_checks(GPtrArray *problems, JsonObject *report, const char *level) {
        JsonArray *checks = report_array(report, "checks");
        for (guint i = 0; checks && i < json_array_get_length(checks); i++) {
                JsonObject *row = element(checks, i);
                g_autofree char *severity = report_value(row, "severity"), *check = report_value(row, "check"), *message = report_value(row, "message");
                if (strcmp(severity, level) == 0)
                        add(problems, level, g_strdup_printf("Check %s: %s", check, message), report_value(row, "hint"));
        }
}

GPtrArray *report_problems(JsonObject *report) {
        GPtrArray *problems = g_ptr_array_new_with_free_func(free_problem);
        JsonObject *replication = report_object(report, "replication"), *verification = report_object(report, "verification");
        g_autofree char *error = report_value(replication, "error"), *message = report_value(replication, "error_message"),
                        *state = report_value(verification, "state");
        double foreign = report_number(report, "foreign_writes"), acknowledged = report_number(report, "foreign_writes_acknowledged");
        if (*error)
                add(problems, "error", g_strdup_printf("Synchronisation: %s (%s)", message, error), NULL);
        if (strcmp(state, "different") == 0)
                add(problems, "error", g_strdup("The last comparison found rows that differ"), NULL);
        if (foreign > MAX(acknowledged, 0))
                add(problems, "error", g_strdup_printf("%.0f transactions of others were written on the side that must not take writes", foreign - MAX(acknowledged, 0)), NULL);
        add_checks(problems, report, "error");
        add_objects(problems, report);
        add_logins(problems, report);
        add_checks(problems, report, "warning");
        return problems;
}

char *report_verdict(JsonObject *report, const GPtrArray *problems, const char **ret_level) {
        g_autofree char *phase = report_value(report, "phase"), *reason = report_value(report, "phase_reason"),
                        *state = report_value(report_object(report, "verification"), "state"), *type = report_value(report_object(report, "request"), "create_type");
        bool equal = strcmp(state, "equal") == 0, clone = strcmp(type, "clone") == 0;
        guint errors = 0;
        for (guint i = 0; i < problems->len; i++)
                errors += strcmp(((const ReportProblem *) problems->pdata[i])->level, "error") == 0;
        bool done = strcmp(phase, "completed") == 0, canceled = strcmp(phase, "canceled") == 0;
        *ret_level = errors > 0 || (done && !equal) || canceled ? "bad" : done ? "good" : "open";
        guint missing = report_count(report, NULL, "not-carried");
        g_autofree char *but = missing == 0 ? g_strdup("") : g_strdup_printf(" %u %s not carried.", missing, missing == 1 ? "object was" : "objects were");
        if (done)
                return g_strdup_printf("The %s is complete; %s.%s", clone ? "clone" : "migration",
                                       equal ? "all rows were compared and are equal" : "the rows were not found equal by a comparison", but);
        if (canceled)
                return g_strdup_printf("The migration was %s.", *reason ? "ended because its time was up" : "canceled");
        if (errors > 0)
                return g_strdup_printf("Something needs attention (%u).", errors);
        if (strcmp(phase, "created") == 0)
                return g_strdup("The migration has not been started.");
        if (strcmp(phase, "copying") == 0)
                return g_strdup("The destination is being filled.");
        if (strcmp(phase, "switched") == 0)
                return g_strdup(equal ? "The destination takes the writes; both sides were compared and are equal." : "The destination takes the writes.");
        return g_strdup(equal ? "Both sides are in step, were compared and are equal." : "Both sides are in step; the comparison is not done.");
}

guint report_count(JsonObject *report, const char *kind, const char *outcome) {
        JsonArray *objects = report_array(report, "objects");
        guint count = 0;
        for (guint i = 0; objects && i < json_array_get_length(objects); i++) {
                g_autofree char *k = report_value(element(objects, i), "kind"), *o = report_value(element(objects, i), "outcome");
                count += strcmp(o, outcome) == 0 && (kind ? strcmp(k, kind) == 0 : strcmp(k, "parameter") != 0);
        }
        return count;
}

/* ---- what is proven */

/* Takes VALUE over. */
static void fact(GPtrArray *facts, const char *name, char *value) {
        if (!*value) {
                g_free(value);
                return;
        }
        g_ptr_array_add(facts, g_strdup(name));
        g_ptr_array_add(facts, value);
}

static void server_facts(GPtrArray *facts, JsonObject *report, const char *side, const char *title) {
        JsonObject *server = report_object(report, side);
        g_autofree char *address = report_value(server, "server"), *identity = report_value(server, "identity"), *status = report_value(server, "status");
        bool writes = server && json_object_has_member(server, "takes_writes") && json_object_get_boolean_member_with_default(server, "takes_writes", FALSE);
        g_autofree char *text = g_strdup_printf("%s%s%s%s%s%s", address, *identity ? ", server uuid " : "", identity, *status ? ", " : "", status, writes ? ", takes the writes" : "");
        fact(facts, title, g_steal_pointer(&text));
}

static void comparison_facts(GPtrArray *facts, JsonObject *report) {
        JsonObject *verification = report_object(report, "verification"), *summary = report_object(verification, "summary");
        fact(facts, "Comparison", report_value(verification, "state"));
        fact(facts, "Compared at", report_value(verification, "at"));
        if (!summary)
                return;
        double seconds = report_number(summary, "seconds");
        g_autofree char *tables = report_value(summary, "tables"), *rows = report_value(summary, "rows"), *different = report_value(summary, "different"),
                        *chunks = report_value(summary, "chunks"), *took = format_duration(seconds);
        fact(facts, "Rows compared by checksum", g_strdup_printf("%s rows of %s tables in %s pieces, %s; %s differ", rows, tables, chunks, took, different));
}

GPtrArray *report_facts(JsonObject *report) {
        GPtrArray *facts = g_ptr_array_new_with_free_func(g_free);
        JsonObject *link = report_object(report, "link"), *copied = report_object(report, "copied"), *applied = report_object(report, "applied");
        double interruption = report_number(report, "write_interruption"), bytes = report_number(copied, "bytes");
        fact(facts, "Migration", report_value(report, "migration"));
        fact(facts, "Identity", report_value(report, "uuid"));
        fact(facts, "Kind", report_value(report_object(report, "request"), "create_type"));
        fact(facts, "Phase", report_value(report, "phase"));
        server_facts(facts, report, "source", "Source");
        server_facts(facts, report, "destination", "Destination");
        fact(facts, "Created", report_value(report, "created_at"));
        fact(facts, "Expires", report_value(report, "expires_at"));
        fact(facts, "Copied", report_value(copied, "rows"));
        if (bytes > 0)
                fact(facts, "Copied, size", format_size((guint64) bytes));
        fact(facts, "Transactions applied", report_value(applied, "transactions"));
        comparison_facts(facts, report);
        fact(facts, "Write interruption", interruption >= 0 ? format_duration(interruption) : g_strdup(""));
        fact(facts, "Way back proven", report_value(report, "reverse_proven"));
        fact(facts, "Consistent position on the source", report_position(report, "clone_position"));
        fact(facts, "Stream began at", report_position(link, "leg_start"));
        fact(facts, "Writes ended at", report_position(link, "end_position"));
        fact(facts, "Way back begins at", report_position(link, "reverse_start"));
        return facts;
}

static int compare_kinds(gconstpointer a, gconstpointer b) {
        static const char *const order[] = {"database", "table", "view", "function", "procedure", "package", "trigger", "event", "account", "parameter"};
        int place[2] = {G_N_ELEMENTS(order), G_N_ELEMENTS(order)};
        for (guint i = 0; i < G_N_ELEMENTS(order); i++) {
                place[0] = strcmp(*(char *const *) a, order[i]) == 0 ? (int) i : place[0];
                place[1] = strcmp(*(char *const *) b, order[i]) == 0 ? (int) i : place[1];
        }
        return place[0] != place[1] ? place[0] - place[1] : strcmp(*(char *const *) a, *(char *const *) b);
}

GStrv report_kinds(JsonObject *report) {
        JsonArray *objects = report_array(report, "objects");
        g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
        GPtrArray *kinds = g_ptr_array_new();
        for (guint i = 0; objects && i < json_array_get_length(objects); i++) {
                char *kind = report_value(element(objects, i), "kind");
                if (g_hash_table_contains(seen, kind)) {
                        g_free(kind);
                        continue;
                }
                g_hash_table_add(seen, kind);
                g_ptr_array_add(kinds, kind);
        }
        g_ptr_array_sort(kinds, compare_kinds);
        g_ptr_array_add(kinds, NULL);
        return (GStrv) g_ptr_array_free(kinds, FALSE);
}
