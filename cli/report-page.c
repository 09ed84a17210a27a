/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificate as one HTML file that can be mailed and printed: no scripts, nothing loaded, and every text escaped, since names come from
 * servers that we do not control. See report.h. */

#include <string.h>

#include "format.h"
#include "report.h"

static void text(GString *out, const char *value) {
        g_autofree char *safe = format_safe(value), *escaped = g_markup_escape_text(safe, -1);
        g_string_append(out, escaped);
}

/* SQL keeps its lines. */
static void code(GString *out, const char *sql) {
        g_auto(GStrv) lines = g_strsplit(sql, "\n", -1);
        g_string_append(out, "<pre>");
        for (char **line = lines; *line; line++) {
                text(out, *line);
                if (line[1] && *line[1])
                        g_string_append_c(out, '\n');
        }
        g_string_append(out, "</pre>");
}

static const char style[] =
        "body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;background:#f3f5f8;margin:0}\n"
        "main{max-width:64em;margin:0 auto;padding:2em 1.5em 4em}\n"
        "h1{font-size:1.7em;margin:0 0 .2em}h2{font-size:1.15em;margin:2.2em 0 .7em}\n"
        ".from{color:#5b6b7d;margin:0 0 1.4em}\n"
        ".verdict{border-radius:8px;padding:1em 1.3em;font-size:1.15em;color:#fff}\n"
        ".good{background:#1f7a4d}.open{background:#2b5f9e}.bad{background:#a83232}\n"
        ".tiles{display:flex;flex-wrap:wrap;gap:.8em;margin:1em 0 0}\n"
        ".tile{flex:1 1 7em;background:#fff;border-radius:8px;padding:.8em 1em;border:1px solid #dde3ea}\n"
        ".tile b{display:block;font-size:1.35em}.tile span{color:#5b6b7d;font-size:.87em}\n"
        ".card{background:#fff;border:1px solid #dde3ea;border-radius:8px;padding:.4em 1.2em}\n"
        "ul.problems{list-style:none;margin:0;padding:0}\n"
        "ul.problems li{background:#fff;border:1px solid #dde3ea;border-left:5px solid #d39b22;border-radius:6px;margin:.5em 0;padding:.6em 1em}\n"
        "ul.problems li.error{border-left-color:#a83232}\n"
        "table{border-collapse:collapse;width:100%}\n"
        "th{text-align:left;font-weight:600;color:#44546a;white-space:nowrap}\n"
        "th,td{vertical-align:top;padding:.45em .9em .45em 0;border-bottom:1px solid #e7ebf0;overflow-wrap:anywhere}\n"
        "tr:last-child>th,tr:last-child>td{border-bottom:0}\n"
        "pre{font:13px/1.45 ui-monospace,monospace;background:#eef2f6;border-radius:5px;padding:.5em .7em;margin:.4em 0;white-space:pre-wrap;overflow-wrap:anywhere}\n"
        "table.objects td:first-child{width:30%}table.objects td:nth-child(2){width:8em}\n"
        "details{background:#fff;border:1px solid #dde3ea;border-radius:8px;margin:.5em 0;padding:.5em 1.2em}\n"
        "summary{cursor:pointer;font-weight:600}summary small{font-weight:400;color:#5b6b7d;margin-left:.6em}\n"
        ".mark{display:inline-block;border-radius:4px;padding:0 .5em;font-size:.86em;background:#e3efe8;color:#17633d;white-space:nowrap}\n"
        ".mark.changed{background:#e4edf8;color:#234f85}.mark.not-carried,.mark.error{background:#f8e3e3;color:#8d2626}\n"
        ".mark.warning{background:#faf0d9;color:#7a5606}.mark.same,.mark.note{background:#edf0f4;color:#516073}\n"
        "footer{color:#5b6b7d;font-size:.87em;margin-top:3em}\n"
        "@media print{body{background:#fff}details{break-inside:avoid}}\n";

static void mark(GString *out, const char *kind) {
        static const char *const known[] = {"changed", "not-carried", "same", "error", "warning", "note", NULL};
        g_string_append_printf(out, "<span class=\"mark %s\">", g_strv_contains(known, kind) ? kind : "");
        text(out, kind);
        g_string_append(out, "</span>");
}

static void head(GString *out, const char *name, JsonObject *report) {
        g_autofree char *source = report_value(report_object(report, "source"), "server"), *destination = report_value(report_object(report, "destination"), "server");
        g_string_append(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                             "<meta name=\"viewport\" content=\"width=device-width\">\n"
                             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>Migration ");
        text(out, name);
        g_string_append_printf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>Migration ", style);
        text(out, name);
        g_string_append(out, "</h1>\n");
        if (*source || *destination) {
                g_string_append(out, "<p class=\"from\">");
                text(out, source);
                g_string_append(out, " → ");
                text(out, destination);
                g_string_append(out, "</p>\n");
        }
}

/* Takes VALUE over. */
static void tile(GString *out, const char *name, char *value) {
        if (*value) {
                g_string_append(out, "<div class=\"tile\"><b>");
                text(out, value);
                g_string_append(out, "</b><span>");
                text(out, name);
                g_string_append(out, "</span></div>\n");
        }
        g_free(value);
}

/* 1 234 567 with narrow spaces that do not break; "" below 0. */
static char *grouped(double number) {
        g_autofree char *digits = number < 0 ? g_strdup("") : g_strdup_printf("%.0f", number);
        GString *text = g_string_new(NULL);
        for (gsize i = 0, length = strlen(digits); i < length; i++) {
                if (i > 0 && (length - i) % 3 == 0)
                        g_string_append(text, "\xE2\x80\xAF");
                g_string_append_c(text, digits[i]);
        }
        return g_string_free(text, FALSE);
}

static void summary(GString *out, JsonObject *report, const GPtrArray *problems) {
        const char *level;
        g_autofree char *verdict = report_verdict(report, problems, &level);
        JsonObject *compared = report_object(report_object(report, "verification"), "summary");
        double interruption = report_number(report, "write_interruption");
        g_string_append_printf(out, "<div class=\"verdict %s\">", level);
        text(out, verdict);
        g_string_append(out, "</div>\n<div class=\"tiles\">\n");
        tile(out, "phase", report_value(report, "phase"));
        tile(out, "rows compared", grouped(report_number(compared, "rows")));
        tile(out, "rows that differ", grouped(report_number(compared, "different")));
        tile(out, "write interruption", interruption >= 0 ? format_duration(interruption) : g_strdup(""));
        if (report_array(report, "objects")) {
                tile(out, "objects carried", g_strdup_printf("%u", report_count(report, NULL, "carried") + report_count(report, NULL, "changed")));
                tile(out, "not carried", g_strdup_printf("%u", report_count(report, NULL, "not-carried")));
        }
        g_string_append(out, "</div>\n");
}

static void problem_list(GString *out, const GPtrArray *problems) {
        if (problems->len == 0)
                return;
        g_string_append_printf(out, "<h2>What needs attention (%u)</h2>\n<ul class=\"problems\">\n", problems->len);
        for (guint i = 0; i < problems->len; i++) {
                const ReportProblem *problem = problems->pdata[i];
                g_string_append_printf(out, "<li class=\"%s\">", problem->level);
                text(out, problem->what);
                if (problem->sql)
                        code(out, problem->sql);
                g_string_append(out, "</li>\n");
        }
        g_string_append(out, "</ul>\n");
}

static JsonObject *element(JsonArray *array, guint i) {
        JsonNode *node = json_array_get_element(array, i);
        return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static void to_do(GString *out, JsonObject *report) {
        JsonArray *tasks = report_array(report, "to_do");
        if (!tasks || json_array_get_length(tasks) == 0)
                return;
        g_string_append(out, "<h2>What is left to do</h2>\n<ul class=\"problems\">\n");
        for (guint i = 0; i < json_array_get_length(tasks); i++) {
                g_autofree char *side = report_value(element(tasks, i), "side"), *what = report_value(element(tasks, i), "what"), *sql = report_value(element(tasks, i), "sql");
                g_string_append(out, "<li><b>");
                text(out, side);
                g_string_append(out, "</b>: ");
                text(out, what);
                if (*sql)
                        code(out, sql);
                g_string_append(out, "</li>\n");
        }
        g_string_append(out, "</ul>\n");
}

static void certificate(GString *out, JsonObject *report) {
        g_autoptr(GPtrArray) facts = report_facts(report);
        g_string_append(out, "<h2>Certificate</h2>\n<div class=\"card\"><table>\n");
        for (guint i = 0; i + 1 < facts->len; i += 2) {
                g_string_append(out, "<tr><th>");
                text(out, facts->pdata[i]);
                g_string_append(out, "</th><td>");
                text(out, facts->pdata[i + 1]);
                g_string_append(out, "</td></tr>\n");
        }
        g_string_append(out, "</table></div>\n");
}

static void object_row(GString *out, JsonObject *object) {
        g_autofree char *name = report_value(object, "name"), *outcome = report_value(object, "outcome"), *from = report_value(object, "from"),
                        *to = report_value(object, "to"), *why = report_value(object, "why"), *sql = report_value(object, "sql"), *now = report_value(object, "now"),
                        *logins = report_logins(object);
        g_string_append(out, "<tr><td>");
        text(out, name);
        g_string_append(out, "</td><td>");
        mark(out, outcome);
        g_string_append(out, "</td><td>");
        if (*from || *to) {
                text(out, from);
                g_string_append(out, *from && *to ? " → " : "");
                text(out, to);
        }
        if (*now) {
                g_string_append(out, " (now ");
                text(out, now);
                g_string_append(out, ")");
        }
        if (*why) {
                g_string_append(out, *from || *to ? "<br>" : "");
                text(out, why);
        }
        if (*logins) {
                g_string_append(out, *from || *to || *why ? "<br>" : "");
                text(out, logins);
        }
        if (*sql)
                code(out, sql);
        g_string_append(out, "</td></tr>\n");
}

static void object_list(GString *out, JsonObject *report) {
        JsonArray *objects = report_array(report, "objects");
        g_auto(GStrv) kinds = report_kinds(report);
        if (!objects || json_array_get_length(objects) == 0)
                return;
        g_string_append(out, "<h2>Every object</h2>\n");
        for (char **kind = kinds; *kind; kind++) {
                guint not_carried = report_count(report, *kind, "not-carried"), changed = report_count(report, *kind, "changed");
                bool parameters = strcmp(*kind, "parameter") == 0;
                g_string_append_printf(out, "<details%s><summary>", not_carried > 0 && !parameters ? " open" : "");
                text(out, *kind);
                g_string_append_printf(out, "<small>%u %s, %u changed, %u not carried</small></summary>\n<table class=\"objects\">\n",
                                       report_count(report, *kind, parameters ? "same" : "carried"), parameters ? "the same" : "carried", changed, not_carried);
                for (guint i = 0; i < json_array_get_length(objects); i++) {
                        g_autofree char *this_kind = report_value(element(objects, i), "kind");
                        if (strcmp(this_kind, *kind) == 0)
                                object_row(out, element(objects, i));
                }
                g_string_append(out, "</table></details>\n");
        }
}

static void check_list(GString *out, JsonObject *report) {
        JsonArray *checks = report_array(report, "checks");
        if (!checks || json_array_get_length(checks) == 0)
                return;
        g_autofree char *at = report_value(report, "checked_at");
        g_string_append(out, "<h2>What the checks found</h2>\n<details><summary>checks<small>");
        text(out, at);
        g_string_append(out, "</small></summary>\n<table class=\"objects\">\n");
        for (guint i = 0; i < json_array_get_length(checks); i++) {
                g_autofree char *check = report_value(element(checks, i), "check"), *severity = report_value(element(checks, i), "severity"),
                                *message = report_value(element(checks, i), "message"), *hint = report_value(element(checks, i), "hint");
                g_string_append(out, "<tr><td>");
                text(out, check);
                g_string_append(out, "</td><td>");
                mark(out, severity);
                g_string_append(out, "</td><td>");
                text(out, message);
                if (*hint)
                        code(out, hint);
                g_string_append(out, "</td></tr>\n");
        }
        g_string_append(out, "</table></details>\n");
}

/* ---- any JSON */

#define DEPTH_MAX 32

/* Objects become tables of names and values, lists of objects too, one beneath the other. */
static void node(GString *out, JsonNode *value, unsigned depth) {
        if (depth > DEPTH_MAX)
                return;
        if (JSON_NODE_HOLDS_OBJECT(value)) {
                JsonObject *object = json_node_get_object(value);
                g_autoptr(GList) members = json_object_get_members(object);
                g_string_append(out, "<table>\n");
                for (GList *l = members; l; l = l->next) {
                        g_string_append(out, "<tr><th>");
                        text(out, l->data);
                        g_string_append(out, "</th><td>");
                        node(out, json_object_get_member(object, l->data), depth + 1);
                        g_string_append(out, "</td></tr>\n");
                }
                g_string_append(out, "</table>\n");
        } else if (JSON_NODE_HOLDS_ARRAY(value)) {
                JsonArray *array = json_node_get_array(value);
                g_string_append(out, "<ul>\n");
                for (guint i = 0; i < json_array_get_length(array); i++) {
                        g_string_append(out, "<li>");
                        node(out, json_array_get_element(array, i), depth + 1);
                        g_string_append(out, "</li>\n");
                }
                g_string_append(out, "</ul>\n");
        } else {
                g_autofree char *shown = format_value(value);
                text(out, shown);
        }
}

/* All of it but what was shown one by one. */
static void whole(GString *out, JsonObject *report) {
        static const char *const shown[] = {"objects", "programs", "checks", "to_do", "not_carried", NULL};
        g_autoptr(GList) members = json_object_get_members(report);
        g_string_append(out, "<h2>The record</h2>\n<details><summary>all members<small>as polarshiftctl report --format=json has them</small></summary>\n<table>\n");
        for (GList *l = members; l; l = l->next) {
                if (g_strv_contains(shown, l->data))
                        continue;
                g_string_append(out, "<tr><th>");
                text(out, l->data);
                g_string_append(out, "</th><td>");
                node(out, json_object_get_member(report, l->data), 0);
                g_string_append(out, "</td></tr>\n");
        }
        g_string_append(out, "</table></details>\n");
}

void report_page(const char *name, JsonNode *report, GString *out) {
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(report) ? json_node_get_object(report) : NULL;
        head(out, name, object);
        if (report_is_certificate(report)) {
                g_autoptr(GPtrArray) problems = report_problems(object);
                summary(out, object, problems);
                problem_list(out, problems);
                to_do(out, object);
                certificate(out, object);
                object_list(out, object);
                check_list(out, object);
                whole(out, object);
        } else
                node(out, report, 0);
        g_string_append(out, "<footer>Made by polarshiftctl report from what the agent recorded; times are in UTC.</footer>\n</main>\n</body>\n</html>\n");
}
