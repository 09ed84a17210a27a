/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The administrator's executables that run at points of an operation. All of the folders' executables run at every point, in the order of
 * their names (one of a later folder hides one of the same name): the first argument is the point ("pre-switch"), a JSON document comes on
 * standard input, and one that has no business there ends with 0. 30 s each. Runs on an engine thread. */

#include <stdbool.h>

#include <glib.h>

#include "log.h"

typedef struct Hooks Hooks;

Hooks *hooks_new(char *const *folders, Log *log);
void hooks_free(Hooks *hooks);
/* Ends those that run: the agent stops. Any thread. */
void hooks_stop(Hooks *hooks);
/* PS_ERROR_HOOK_FAILED names the first one that failed; later ones did not run. */
bool hooks_run(Hooks *hooks, const char *point, const char *json, GError **error);
