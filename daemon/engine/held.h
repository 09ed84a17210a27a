/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* XA transactions that were prepared and not yet ended: newer servers log their rows at XA PREPARE, and later, perhaps days later, only the
 * word that they are committed or rolled back. The reader keeps the rows until then, small ones in memory, others in files. Not shared
 * between threads. */

#include <stdbool.h>

#include <glib.h>

#include "engine/relay.h"

typedef struct HeldSet HeldSet;
typedef struct Held Held;

HeldSet *held_set_new(const char *directory); /* for the files; made when needed */
void held_set_free(HeldSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HeldSet, held_set_free)

/* A transaction that begins behind transaction SEQ, which ended at FILE/OFFSET: where reading has to begin to meet it again. */
Held *held_new(HeldSet *set, guint64 seq, const char *file, guint64 offset);
void held_free(Held *held); /* and its file */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Held, held_free)
bool held_append(Held *held, const RelayRecord *record, GError **error);
/* It was prepared: takes it over, until held_set_take(). PS_ERROR_DATA_MISMATCH: there is one of that name. */
bool held_set_keep(HeldSet *set, const char *xid, Held *held, GError **error);
Held *held_set_take(HeldSet *set, const char *xid); /* NULL: not known */
/* The oldest one that is kept: false: none. FILE is valid as long as it is kept. */
bool held_set_oldest(const HeldSet *set, guint64 *ret_seq, const char **ret_file, guint64 *ret_offset);
/* Its records in order, until TAKE says false (and sets the error). */
bool held_replay(Held *held, bool (*take)(gpointer userdata, const RelayRecord *record, GError **error), gpointer userdata,
                 GError **error);
