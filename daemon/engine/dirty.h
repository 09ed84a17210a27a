/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The keys of rows that changed since both sides were last found equal: what the final check of a switch has to look at (switch-final.h).
 * Bounded: a table of which too much changed is *unknown*, as are tables of which the log does not tell the rows that change (without a
 * key, or with cascading foreign keys) and all of them until this agent has seen a comparison from its beginning to its end.
 *
 * Keys are those that the dispatcher hands to the workers, so they outlast a link: what is dispatched again is there already. The same row
 * spelled in two ways ('a', 'A') is two keys, and is looked at twice. Any thread. */

#include <stdbool.h>

#include <glib.h>

#define DIRTY_BYTES_MAX (32u << 20) /* of keys, with what it costs to keep them */

typedef struct DirtyKeys DirtyKeys;

DirtyKeys *dirty_new(gsize bytes_max);
void dirty_free(DirtyKeys *dirty);

/* TABLE: `db`.`t`, quoted. KEY as in key.h. */
void dirty_add(DirtyKeys *dirty, const char *table, const char *key, gsize size);
void dirty_add_unknown(DirtyKeys *dirty, const char *table);

/* A comparison of everything begins: what changes from now on it may have missed. Ends, with EQUAL: only that is dirty. */
void dirty_begin(DirtyKeys *dirty);
void dirty_end(DirtyKeys *dirty, bool equal);
/* Nothing is known any more, until the next comparison: something happened that keys do not tell. */
void dirty_forget(DirtyKeys *dirty);

/* For a file (dirty-store.h): what is known now, tables with whether they are unknown and their keys; and OPEN, whether those that are not listed
 * are known, without a key. */
#define DIRTY_TABLES "a(aybaay)"
GVariant *dirty_get(DirtyKeys *dirty, bool *ret_open);
void dirty_set(DirtyKeys *dirty, bool open, GVariant *tables);

bool dirty_is_known(DirtyKeys *dirty, const char *table, guint64 *ret_keys);
/* TABLE alone is going to be compared: it is known from now on, without a key. */
void dirty_watch(DirtyKeys *dirty, const char *table);
/* Takes all keys of a known table out → GPtrArray of GBytes; NULL: there are none, or they are not known. Those that cannot be settled are added again. */
GPtrArray *dirty_take(DirtyKeys *dirty, const char *table);
