/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The administrator's executables that run at points of an operation. A folder of `hooks.d` holds, per point, a folder of that name
 * (`hooks.d/pre-switch/10-proxy`); all folders' executables run in the order of their names, one of /etc hides one of the same name in
 * /usr/lib. Each gets a JSON document on standard input and 30 s. Runs on an engine thread. */

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
