/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Once a second, on a connection of its own to each side: is it reachable, does it take writes, how is it set? Writes the heartbeat on the side that
 * takes writes, and closes the other one again when it was found open (a restart forgets read_only). A side that took over and comes
 * back from a restart read-only, by its configuration, is opened again. A server that is another one, or that says a higher epoch
 * than ours (asked at each beat), is left alone and shown as unknown. */

#include <stdbool.h>

#include <glib.h>

#include "engine/engine.h"
#include "engine/fence.h"
#include "engine/ledger.h"
#include "mysql/conn.h"

typedef struct Monitor Monitor;

typedef struct MonitorConfig {
        const ConnParams *servers[_SIDE_MAX];
        const char *identity[_SIDE_MAX]; /* conn_host_uuid() of the servers that are meant; copied */
        const Fence *fence;
        const Ledger *ledger;
        Side writer;
        guint64 epoch;
        bool changed_sides; /* there was a switch: which side takes writes is of our doing */
        ReadWriteStatus status[_SIDE_MAX]; /* shown until it has looked itself */
        /* The monitor's thread. */
        void (*on_change)(gpointer userdata);                /* a read/write status changed */
        void (*on_refenced)(gpointer userdata, Side side);   /* a side was found open and closed */
        void (*on_reopened)(gpointer userdata, Side side);   /* the other way round */
        /* Neither was done, since the fence is slow: the side that must not be is open (told at each beat), or the one that takes writes came back closed. */
        void (*on_wrong)(gpointer userdata, Side side);
        char *parameters;  /* a statement, handed over: two columns, name and value, read at each beat */
        /* name in lower case → value; when one changed, and on each new connection. BOOT: conn_boot_time() */
        void (*on_parameters)(gpointer userdata, Side side, GHashTable *values, guint64 boot);
        gpointer userdata;
} MonitorConfig;

Monitor *monitor_start(const MonitorConfig *config);
void monitor_free(Monitor *monitor); /* stops */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Monitor, monitor_free)

/* Between hold and release nothing is written anywhere; returns when a beat that was under way is over. */
void monitor_hold(Monitor *monitor);
void monitor_release(Monitor *monitor, Side writer, guint64 epoch);
void monitor_greet(Monitor *monitor); /* the side that takes writes, again: it was opened */
ReadWriteStatus monitor_status(Monitor *monitor, Side side);
