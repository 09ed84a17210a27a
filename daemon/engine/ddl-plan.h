/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What is to be run on the downstream for a statement of the upstream, given what is carried: the statement itself, or as much of it as
 * is about carried tables, or nothing. What cannot be done exactly is refused. */

#include <stdbool.h>

#include "engine/ddl-session.h"
#include "engine/ddl-text.h"
#include "engine/link-halt.h"
#include "engine/spec.h"

typedef struct DdlPlanInput {
        const LinkHalt *halt;
        const MigrationSpec *spec;
        const GPtrArray *left_out;
        const DdlUpstream *upstream;
        Conn *downstream;
        bool passed; /* nothing will be run: only to know what it was about */
} DdlPlanInput;

typedef struct DdlPlan {
        DdlText *text;  /* its tables and partners are the carried ones only */
        char *sql;      /* one statement; NULL: nothing is to be run */
        char *use;      /* USE of the session's database; NULL: it had none */
        bool rebuilt;   /* SQL is ours, in UTF-8 */
        bool timestamps, defaults; /* see ddl_session_set(); a table takes its defaults from its database */
        char *before;   /* what the tables and partners are now, a line each, see ddl_plan_line(); then a sum over their definitions */
} DdlPlan;

/* PS_ERROR_UNSUPPORTED_OBJECT: why not. */
DdlPlan *ddl_plan_new(const DdlPlanInput *input, GError **error);
void ddl_plan_free(DdlPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DdlPlan, ddl_plan_free)

/* What a table is as far as its chunks depend on it: "-" when it is not there, else how its rows are found. New text. */
char *ddl_plan_line(Conn *downstream, const char *database, const char *name, GError **error);
