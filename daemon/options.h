/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The `a{sv} options, t flags` at the end of every mutating method: read whole, then taken one by one; what nobody took is refused. */

#include <stdbool.h>

#include <glib.h>
#include <systemd/sd-bus.h>

#include "engine/spec.h"

typedef struct Options Options;

/* Reads a{sv}; a key given twice is refused. */
Options *options_read(sd_bus_message *message, GError **error);
void options_free(Options *options);
guint options_count(const Options *options);

/* Whether KEY was given; its value then goes to *ret. On a wrong type or range *ret_error is set (and false returned). */
bool options_take_seconds(Options *options, const char *key, double min, double max, double *ret, GError **error);
bool options_take_unsigned(Options *options, const char *key, guint64 *ret, GError **error);
bool options_take_boolean(Options *options, const char *key, bool *ret, GError **error);
bool options_take_string(Options *options, const char *key, const char **ret, GError **error);
/* All of them onto SPEC. With LIMITS only those that SetLimits may change. */
bool options_apply(const Options *options, MigrationSpec *spec, bool limits, GError **error);
/* The first one that nobody took: InvalidOption. */
bool options_refuse_rest(const Options *options, GError **error);
/* Reads t; bits that are not in ALLOWED: InvalidOption. */
bool flags_read(sd_bus_message *message, guint64 known, guint64 *ret, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, options_free)
