/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* D-Bus values as JSON: the one form in which every verb keeps what the agent said, to print it as it is or
 * as text. */

#include <json-glib/json-glib.h>
#include <systemd/sd-bus.h>

/* The next complete value of MESSAGE. Variants are looked through, dictionaries become objects, structs
 * arrays; a number that JSON readers would round becomes a string. Negative errno. */
int value_read(sd_bus_message *message, JsonNode **ret);
/* An a{sv} of properties. */
int value_read_properties(sd_bus_message *message, JsonObject **ret);

/* Members of an object, tolerant of ones that are absent or of another type. */
const char *value_string(JsonObject *object, const char *member); /* "" */
gint64 value_int(JsonObject *object, const char *member);         /* 0 */
double value_double(JsonObject *object, const char *member);      /* -1 */
bool value_bool(JsonObject *object, const char *member);          /* false */
JsonObject *value_object(JsonObject *object, const char *member); /* NULL */
