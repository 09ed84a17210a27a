/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Making the programs of the side that does not take writes (down) what those of the other side (up) are. It can be done at any time and again and again:
 * what is in step is left alone. Views and routines are made; events are made disabled; triggers are only tried, on a table of our own, since they
 * would fire on what is applied: programs_arm() makes them when the side is to take writes. */

#include "engine/program-store.h"

#define PROGRAM_MAKERS 8 /* connections that make triggers at once, one for each table with any */

typedef struct ProgramSync {
        const MigrationSpec *spec;
        const char *directory; /* of the store */
        const char *task;      /* for the name of the trial table */
        PairStore *store;
        Conn *conns[_SIDE_MAX];
        const ConnParams *params[_SIDE_MAX]; /* for more of them; NULL where conns[] is */
        Side up;
        bool (*stopping)(gpointer userdata); /* the agent is to end */
        void (*on_refused)(gpointer userdata, const ProgramEntry *entry, Side side); /* a program that the other side does not take; once for each reason */
        gpointer userdata;
} ProgramSync;

/* Programs that are refused are no error: the store names them. */
bool programs_sync(ProgramSync *sync, GError **error);

/* SIDE takes no writes: our triggers are dropped there, those that were still being made when an agent ended too, and our events disabled. A trigger
 * that is not ours, on a table that is carried, is PS_ERROR_UNSUPPORTED_OBJECT. Does nothing when all is so already. */
bool programs_disarm(ProgramSync *sync, Side side, GError **error);
/* The part of it that ends the connections with which programs_arm() made triggers. */
bool programs_end_arming(ProgramSync *sync, Side side, GError **error);
/* SIDE is to take writes: makes the triggers; those that are there already stay. *ret_count: how many there are then. IN_SWITCH: it is closed, and
 * applications wait. */
bool programs_arm(ProgramSync *sync, Side side, bool in_switch, guint *ret_count, GError **error);
/* How SIDE shows the triggers that were made there, into the store: it may print them otherwise. programs_arm() does it unless IN_SWITCH. */
bool programs_note_triggers(ProgramSync *sync, Side side, GError **error);
/* SIDE takes writes: enables the events that ran on the other side. Those that the server does not let run any more are named in *ret_failed (GPtrArray
 * of char *). */
bool programs_start_events(ProgramSync *sync, Side side, GPtrArray *failed, GError **error);
/* Drops what was made on SIDE. */
bool programs_drop_all(ProgramSync *sync, Side side, GError **error);
