/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The certificate (GetReport) for people: as a page and as text. Both tell the same: what needs somebody first, then what was proven, then one line
 * for each object. Members that are missing are left out; members that are unknown come at the end, so that a report that grows loses nothing. */

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/* Whether REPORT is one that these understand; another is shown as it is. */
bool report_is_certificate(JsonNode *report);
/* A whole page in one file, without scripts and without anything from elsewhere. */
void report_page(const char *name, JsonNode *report, GString *out);
void report_text(JsonNode *report, GString *out);

/* report-read.c: members of a report, of whatever type they turn out to be. */
JsonObject *report_object(JsonObject *object, const char *name); /* NULL: no such object; also of NULL */
JsonArray *report_array(JsonObject *object, const char *name);
/* As text: numbers and booleans too; "" for null and what is not there. */
char *report_value(JsonObject *object, const char *name);
double report_number(JsonObject *object, const char *name); /* -1: there is none */
/* "binlog.000004:1234"; "" when it is null. */
char *report_position(JsonObject *object, const char *name);

/* Whether an account could log in, on each side where that is known: "login on the destination: error 1045 (…)"; "": it is not. */
char *report_logins(JsonObject *object);

typedef struct ReportProblem {
        const char *level; /* "error", "warning" */
        char *what, *sql;  /* sql may be NULL */
} ReportProblem;
/* What somebody should look at, the worst first. → GPtrArray of ReportProblem */
GPtrArray *report_problems(JsonObject *report);
/* How the migration stands in one sentence; *ret_level: "good", "open" (not over yet), "bad". */
char *report_verdict(JsonObject *report, const GPtrArray *problems, const char **ret_level);
/* How many objects came out as OUTCOME; of KIND, or NULL: of all but parameters. */
guint report_count(JsonObject *report, const char *kind, const char *outcome);

/* Pairs of a name and a value that are not empty: what the certificate proves. → GPtrArray of char *, two by two */
GPtrArray *report_facts(JsonObject *report);
/* The kinds of objects that there are, in the order in which they are shown. NULL-terminated. */
GStrv report_kinds(JsonObject *report);
