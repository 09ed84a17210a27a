/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificate as text for a terminal or a mail: the same parts in the same order as the page, one line for each object. See report.h. */

#include <string.h>

#include "format.h"
#include "report.h"

static void line(GString *out, const char *indent, const char *value) {
        g_string_append(out, indent);
        format_append_safe(out, value);
        g_string_append_c(out, '\n');
}

static void lines(GString *out, const char *indent, const char *value) {
        g_auto(GStrv) parts = g_strsplit(value, "\n", -1);
        for (char **part = parts; *part; part++)
                if (**part)
                        line(out, indent, *part);
}

static JsonObject *element(JsonArray *array, guint i) {
        JsonNode *node = json_array_get_element(array, i);
        return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static void object_line(GString *out, JsonObject *object) {
        g_autofree char *kind = report_value(object, "kind"), *name = report_value(object, "name"), *outcome = report_value(object, "outcome"),
                        *from = report_value(object, "from"), *to = report_value(object, "to"), *why = report_value(object, "why"),
                        *sql = report_value(object, "sql"), *now = report_value(object, "now"), *logins = report_logins(object);
        g_autoptr(GString) text = g_string_new(NULL);
        g_string_append_printf(text, "%-12s %s %s", outcome, kind, name);
        if (*from || *to)
                g_string_append_printf(text, ": %s%s%s", from, *from && *to ? " → " : "", to);
        if (*now)
                g_string_append_printf(text, " (now %s)", now);
        if (*why)
                g_string_append_printf(text, " – %s", why);
        line(out, "  ", text->str);
        if (*logins)
                line(out, "               ", logins);
        lines(out, "               ", sql);
}

void report_text(JsonNode *node, GString *out) {
        JsonObject *report = json_node_get_object(node);
        g_autoptr(GPtrArray) problems = report_problems(report), facts = report_facts(report);
        JsonArray *tasks = report_array(report, "to_do"), *objects = report_array(report, "objects");
        const char *level;
        g_autofree char *verdict = report_verdict(report, problems, &level);
        line(out, "", verdict);
        if (problems->len > 0)
                g_string_append(out, "\nWhat needs attention\n");
        for (guint i = 0; i < problems->len; i++) {
                const ReportProblem *problem = problems->pdata[i];
                g_autofree char *text = g_strdup_printf("%-12s %s", problem->level, problem->what);
                line(out, "  ", text);
                lines(out, "               ", problem->sql ? problem->sql : "");
        }
        if (tasks && json_array_get_length(tasks) > 0)
                g_string_append(out, "\nWhat is left to do\n");
        for (guint i = 0; tasks && i < json_array_get_length(tasks); i++) {
                g_autofree char *side = report_value(element(tasks, i), "side"), *what = report_value(element(tasks, i), "what"), *sql = report_value(element(tasks, i), "sql");
                g_autofree char *text = g_strdup_printf("%-12s %s", side, what);
                line(out, "  ", text);
                lines(out, "               ", sql);
        }
        g_string_append(out, "\nCertificate\n");
        for (guint i = 0; i + 1 < facts->len; i += 2) {
                g_autofree char *text = g_strdup_printf("%-34s %s", (const char *) facts->pdata[i], (const char *) facts->pdata[i + 1]);
                line(out, "  ", text);
        }
        if (objects && json_array_get_length(objects) > 0)
                g_string_append(out, "\nEvery object\n");
        for (guint i = 0; objects && i < json_array_get_length(objects); i++)
                object_line(out, element(objects, i));
}
