/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* KEY=VALUE options on their way to an a{sv}: what D-Bus type each key of the contract has, and how people
 * write its values (30s, 7d, 10M). A key that is not in the table goes as a string: the agent is the one that
 * knows all keys. */

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <systemd/sd-bus.h>

typedef struct Settings Settings;

Settings *settings_new(void);
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/* Adds KEY with VALUE. A list grows, anything else is replaced. False with a message for a value that cannot
 * be of the key's type. */
bool settings_add(Settings *settings, const char *key, const char *value, char **ret_message);
/* The same from one word, "KEY=VALUE". */
bool settings_add_word(Settings *settings, const char *word, char **ret_message);
bool settings_has(const Settings *settings, const char *key);
bool settings_empty(const Settings *settings);
/* Appends all of it as an a{sv}. Negative errno. */
int settings_append(const Settings *settings, sd_bus_message *message);

/* "90", "30s", "1h30min", "7d", "500ms" as seconds. */
bool settings_parse_duration(const char *text, double *ret_seconds);
