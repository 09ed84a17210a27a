/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* polarshift.conf and polarshift.conf.d/NAME.conf (key files): defaults of CreateMigration's options in [Migration], the agent's own
 * settings in [Agent]. What is unknown or wrong is warned about and left out. (config.h is the build's.) */

#include <stdbool.h>

#include <glib.h>

#include "engine/spec.h"
#include "log.h"

typedef struct Settings {
        int log_level;
        guint max_migrations;
        guint64 authorization_timeout; /* s that a caller waits for polkit's answer */
        char **hooks;                  /* folders of executables: see hooks.h */
        GPtrArray *defaults;           /* key, text, key, text … of [Migration] */
} Settings;

/* POLARSHIFT_CONFIG names another file (its .d folder beside it). */
Settings *settings_load(Log *log);
void settings_free(Settings *settings);
/* The defaults of the configuration, set on SPEC. */
void settings_apply(const Settings *settings, MigrationSpec *spec);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)
