/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A table of named checks: each looks at one thing on one or both servers and adds rows. */

#include "engine/account-map.h"
#include "engine/spec.h"
#include "engine/state.h"
#include "mysql/conn.h"

typedef enum PrecheckStage {
        PRECHECK_START,  /* before copying: the destination must be empty of what would arrive */
        PRECHECK_SWITCH, /* before Switch and Rollback */
} PrecheckStage;

typedef struct PrecheckInput {
        const MigrationSpec *spec;
        Conn *servers[_SIDE_MAX]; /* connected */
        const char *uuid;         /* of the migration: our own leftovers on the destination are no obstacle */
        PrecheckStage stage;
        bool scheduler_returns[_SIDE_MAX]; /* a fence switched the event scheduler off there, and its end switches it on again */
        bool has_hooks;           /* there are executables for them */
        const AccountMap *accounts; /* the credential NAME.accounts; NULL: there is none */
        Side writer;              /* that takes writes: PRECHECK_SWITCH looks at the way from there to the other one */
} PrecheckInput;

/* → GPtrArray of CheckRow in a fixed order. Fails only when a server went away. */
GPtrArray *precheck_run(const PrecheckInput *input, GError **error);
/* The first error row as a GError (its own code), naming the check and how many there are; warnings refuse too unless ACCEPT_WARNINGS. */
bool precheck_verdict(const GPtrArray *rows, bool accept_warnings, GError **error);
