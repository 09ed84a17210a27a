/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* history.jsonl of a migration: append-only, one JSON object per line: {"at":µs,"event":"…","message":"…","priority":n,…}. */

#include <stdbool.h>

#include <glib.h>

/* MORE: pairs of member and text, up to a NULL; a NULL text is left out. */
bool history_append(const char *directory, const char *event, int priority, const char *message, GError **error, ...)
        G_GNUC_NULL_TERMINATED;
/* The entries at or after SINCE, as the text of a JSON array. At most the last 8 MiB are looked at. */
char *history_read(const char *directory, guint64 since, GError **error);
