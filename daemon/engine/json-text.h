/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Texts of servers in JSON files: their bytes need not be UTF-8, so they are written with escapes, as in C. */

#include <stdbool.h>

#include <json-glib/json-glib.h>

void json_put_text(JsonObject *object, const char *member, const char *text); /* NULL: the member is left out */
char *json_get_text(JsonObject *object, const char *member);                  /* NULL: it is not there, or no text */
/* Replaces the file NAME of DIRECTORY by ROOT's text, which nobody else may read. */
bool json_save(JsonObject *root, const char *directory, const char *name, GError **error);
/* The list MEMBER of the file, whose "version" has to be 1. *ret NULL: there is no such file yet; PS_ERROR_STATE_UNREADABLE: it is not understood. */
bool json_load(const char *directory, const char *name, const char *member, JsonArray **ret, GError **error);
GError *json_unreadable(const char *directory, const char *name);
