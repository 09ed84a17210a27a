/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The part of the certificate that says what became of each object of the source: one line each. */

#include <json-glib/json-glib.h>

#include "engine/account-store.h"
#include "engine/report.h"

/* One line. All but KIND, NAME and OUTCOME may be NULL, and are left out then. */
typedef struct ReportObject {
        const char *kind;      /* "database", "table", "view", "account", "parameter" … */
        const char *name;
        const char *outcome;   /* "carried", "changed", "same" (a parameter that was so before), "not-carried" */
        const char *from, *to; /* changed: what it was or is on the source, and what it is on the destination */
        const char *why;
        const char *sql;       /* what makes it right by hand, or a line for the configuration */
        const char *now;       /* a parameter that the source changed since: its value */
        const AccountLogin *logins; /* an account's, of both sides */
} ReportObject;
void report_add_object(JsonBuilder *b, const ReportObject *object);

/* Member "objects": an array of lines. */
void report_add_objects(JsonBuilder *b, const ReportInput *input);
/* What is left to do about parameters once the migration is over: lines of "to_do". */
void report_add_parameter_tasks(JsonBuilder *b, const ReportInput *input);
