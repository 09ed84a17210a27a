/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What is known of every program of a migration, on both sides, in programs.json in its folder: which two definitions belong together, so that a
 * program that nobody changed is never made anew, and the way back brings exactly what was there; why a side does not have it; and what the side that
 * does not take writes has to do without: its triggers, and that its events run. Written before anything is made or dropped. */

#include "engine/pair-store.h"
#include "engine/program.h"

typedef struct ProgramEntry {
        ProgramKind kind;
        char *database, *name, *table; /* table: a trigger's */
        char *definer;                 /* user@host */
        guint order;                   /* triggers: in which they are made */
        bool enabled;                  /* an event: it runs on the side that takes writes */
        bool not_ours;                 /* it was on the other side before us: left alone there */
        Definition *sides[_SIDE_MAX];  /* as each side shows it, or did when it had it; NULL: not known */
        char *refused[_SIDE_MAX];      /* why that side does not have it; NULL: it has, or is to have it */
        char *note;                    /* what came out otherwise there; or NULL */
} ProgramEntry;

/* Of ProgramEntry, found by program_entry_name(). */
extern const PairKind program_entry_kind;
ProgramEntry *program_store_find(const PairStore *store, ProgramKind kind, const char *database, const char *name); /* or NULL */
ProgramEntry *program_store_add(PairStore *store, ProgramKind kind, const char *database, const char *name);
char *program_entry_name(const ProgramEntry *entry); /* "view `db`.`v`" */
