/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Reads the binary log of the side that must not take writes and looks who wrote there: transactions that do not begin with one of our
 * own tables are foreign. The same connection, privileges and settings as the stream of the other direction will use, so a canary that is
 * seen here proves that this direction can be read. */

#include <stdbool.h>

#include <glib.h>

#include "engine/ledger.h"
#include "engine/spec.h"
#include "engine/state.h"
#include "mysql/conn.h"

typedef struct Watch Watch;

typedef struct WatchConfig {
        const ConnParams *server;
        const char *identity; /* conn_host_uuid() of the server that is meant: positions are those of its log; copied */
        const Ledger *ledger;
        const MigrationSpec *spec;
        guint32 server_id;
        BinlogPosition from; /* file NULL: from the current end on */
        guint64 foreign;     /* counted up to there */
        void (*on_change)(gpointer userdata); /* the watch's thread: more foreign writes, or a canary */
        void (*on_gap)(gpointer userdata);    /* a part of the log was purged before it was looked at; counted as one foreign write */
        gpointer userdata;
} WatchConfig;

Watch *watch_start(const WatchConfig *config);
void watch_free(Watch *watch); /* stops */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Watch, watch_free)

/* How far it has read, with the count up to there: the two belong together. ret_position is cleared and set. */
void watch_get(Watch *watch, guint64 *ret_foreign, BinlogPosition *ret_position);
void watch_stop_counting(Watch *watch); /* its side takes writes from now on; for as long as it is still there */
/* Waits until everything up to FILE/OFFSET was looked at. PS_ERROR_DEADLINE_EXCEEDED. */
bool watch_wait(Watch *watch, const char *file, guint64 offset, gint64 timeout_usec, GError **error);
bool watch_wait_canary(Watch *watch, guint64 value, gint64 timeout_usec, GError **error);
