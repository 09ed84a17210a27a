/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The relay log: what the reader took from the upstream's binary log and the dispatcher has not yet handed to the workers, in files,
 * so that the reader never waits for the applier and memory stays bounded. One writer thread, one reader thread. It is a cache: it
 * starts empty, and what is lost is read again from the upstream at the checkpoint's position.
 *
 * A transaction becomes readable as a whole when it is committed; an unfinished one can be taken back. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/binlog-decode.h"

typedef struct Relay Relay;

typedef enum RelayKind {
        RELAY_EVENT,  /* an event of a transaction: TYPE and FLAGS are the event's, DATA its body */
        RELAY_COMMIT, /* its end: DATA is a RelayCommit, FILE and the hold's file follow it */
} RelayKind;

/* Where reading has to begin to meet every XA transaction that is open: behind transaction SEQ, at FILE/OFFSET. FILE NULL: none is open. */
typedef struct RelayHold {
        guint64 seq, offset;
        const char *file;
} RelayHold;

/* Where and when a transaction ended, and the hold then. */
typedef struct RelayCommit {
        guint64 start, offset; /* in FILE: its first byte, and behind its last one */
        guint32 crc;           /* see place.h */
        guint32 timestamp;     /* of its last event, s since the epoch */
        BinlogGtid gtid;       /* its number; gno 0: none */
        /* Set by relay_commit(). */
        guint64 hold_seq, hold_offset;
        guint32 file_length, hold_file_length;
} RelayCommit;

typedef struct RelayRecord {
        RelayKind kind;
        unsigned type; /* event type; 0 in a COMMIT */
        guint16 flags;
        guint32 timestamp;
        const guint8 *data; /* valid until the next relay_read() */
        gsize size;
} RelayRecord;

/* Files are made in DIRECTORY (which is emptied first) and removed as they are read. */
Relay *relay_new(const char *directory, GError **error);
void relay_free(Relay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)

bool relay_append(Relay *relay, const RelayRecord *record, GError **error);
bool relay_commit(Relay *relay, const char *file, const RelayCommit *commit, const RelayHold *hold, GError **error);
/* While kept back, what is committed is not shown to the reader; handing over shows all of it. */
void relay_keep_back(Relay *relay);
void relay_hand_over(Relay *relay);
void relay_rollback(Relay *relay); /* takes back what was appended since the last commit */

/* The next record of a committed transaction. Waits up to TIMEOUT_USEC; *ret_found false when there was none. */
bool relay_read(Relay *relay, gint64 timeout_usec, RelayRecord *ret, bool *ret_found, GError **error);
void relay_wake(Relay *relay); /* any thread: makes a waiting relay_read() return now */
guint64 relay_backlog(Relay *relay); /* bytes committed and not read */
