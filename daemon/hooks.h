/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The administrator's executables that run at points of an operation. All of the folders' executables run at every point, in the order of
 * their names (one of a later folder hides one of the same name): the first argument is the point ("pre-switch"), a JSON document comes on
 * standard input, and one that has no business there ends with 0. 30 s each, or less. Runs on an engine thread. */

#include <stdbool.h>

#include <glib.h>

#include "engine/engine.h"
#include "log.h"

typedef struct Hooks Hooks;

Hooks *hooks_new(char *const *folders, Log *log);
void hooks_free(Hooks *hooks);
/* Ends those that run: the agent stops. Any thread. */
void hooks_stop(Hooks *hooks);
/* PS_ERROR_HOOK_FAILED names the first one that failed; later ones did not run. RET_OUTPUT may be NULL: see engine.h. */
bool hooks_run(Hooks *hooks, const HookCall *call, char **ret_output, GError **error);
bool hooks_are_there(Hooks *hooks);
