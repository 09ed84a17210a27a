/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* How far a comparison is: what it needs to go on after a restart of the agent or a lost connection. What was compared stays compared,
 * for every change since is applied under counts; so the chunks of one comparison may lie days apart as they may minutes. Pure. */

#include "engine/verify.h"

typedef struct VerifyPoint {
        /* Whose comparison it is; another one begins at the beginning. */
        guint64 operation; /* 0: by the agent itself */
        guint32 leg;
        bool repair;
        guint64 foreign;   /* foreign writes that were seen when it began */

        char *database, *table; /* the last one that was looked at */
        char **key;             /* equal (or reported) up to here; NULL: nothing of the table yet */
        bool whole;             /* all of the table */
        VerifyResult result;    /* so far */
} VerifyPoint;

VerifyPoint *verify_point_copy(const VerifyPoint *point);
void verify_point_free(VerifyPoint *point);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VerifyPoint, verify_point_free)
/* JSON, for the state. Keys are row values: it is shown to nobody. */
char *verify_point_to_text(const VerifyPoint *point);
VerifyPoint *verify_point_from_text(const char *text); /* NULL: it is none */

typedef enum VerifyResume {
        VERIFY_RESUME_SKIP,  /* it was compared before */
        VERIFY_RESUME_AT,    /* go on behind the key */
        VERIFY_RESUME_BEGIN,
} VerifyResume;
/* What to do with TABLE (tables come by database and name) after a restart at POINT, which may be NULL. */
VerifyResume verify_point_resume(const VerifyPoint *point, const TableSchema *table);
