/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Where a transaction of the upstream ended, and what proves later that a server still has it: its bytes' checksum on the same server, the
 * GTIDs of all transactions up to it on another one. Kept in the checkpoint rows. Never changed once made; counted references, any thread. */

#include <stdbool.h>

#include <glib.h>

typedef struct Place {
        char *server;          /* conn_host_uuid() of the server whose log FILE is of; "" when it has none */
        char *file;            /* "" before the leg's start is known */
        guint64 start, offset; /* of its first byte and behind its last one; START 0: there is no transaction yet, only a position */
        guint32 crc;           /* of its events' checksums, in order */
        char *gtid;            /* its number, or NULL */
        char *gtids;           /* of all transactions up to it (mysql/executed.h); NULL: not known */
} Place;

Place *place_new(const char *server, const char *file, guint64 start, guint64 offset, guint32 crc, const char *gtid, const char *gtids);
char *place_describe(const Place *place); /* "binlog.000002, bytes 120 to 480 (GTID …)" */
Place *place_ref(const Place *place);
void place_unref(Place *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Place, place_unref)
/* ", server=…, file=…, start=…, pos=…, crc=…, gtid=…, gtids=…" for an UPDATE of a checkpoint row. */
void place_append_columns(const Place *place, GString *sql);
/* Whether both are the end of the same transaction in the same log. */
bool place_same(const Place *a, const Place *b);
