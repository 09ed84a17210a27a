/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the files of the reader share. All of it is the reader's thread's, but for what is behind the lock. */

#include <pthread.h>

#include "base/error.h"
#include "base/thread.h"
#include "engine/ddl.h"
#include "engine/held.h"
#include "engine/proof.h"
#include "engine/stream.h"

struct Stream {
        StreamConfig config;
        BinlogStream *dump;
        Thread *thread;
        gint ending; /* atomic: the reader is to end between two transactions */
        gint stop;
        MapCache maps;
        RowImage before, after;
        GString *key, *tuple;
        TableSchema *pair; /* of our (id, value) tables */

        /* The transaction being read. */
        bool in_transaction, ours, first_table_seen;
        bool carried; /* it has rows of tables that are carried */
        bool open;    /* its first event was seen */
        RelayCommit commit;
        guint64 folded; /* the number of the event that was added to its sum last */
        unsigned last_type; /* of the events that are in the file itself */
        Proof *proof;
        Place *again; /* the transaction to be read again first; or NULL */
        Held *held;   /* it is an XA transaction: its events are gathered here; else NULL */
        HeldSet *prepared;

        pthread_mutex_t lock;
        pthread_cond_t moved;
        guint64 started, completed, programs_changed;
        guint32 begun_by;    /* the connection whose BEGIN was seen last; MariaDB writes none */
        guint32 passed_over; /* under the lock: a connection whose statements about programs and accounts do not count; 0: none */
        char *file; /* how far everything was read */
        guint64 offset;
        Place *done;          /* where COMPLETED ended; NULL: not made yet of the two members below */
        char *done_file;
        RelayCommit done_commit;
        Executed *executed;   /* everything up to there */
        bool failed;
};

/* stream.c */
bool stream_refuse(Stream *stream, const BinlogEvent *event, PsErrorCode code, const char *what, GError **error);

bool stream_is_passed_over(Stream *stream, guint32 connection);
void stream_note_programs(Stream *stream); /* something beside tables was changed: link_programs_changed() */

/* stream-rows.c */
bool stream_take_table_map(Stream *stream, const BinlogEvent *event, GError **error);
bool stream_take_rows(Stream *stream, const BinlogEvent *event, GError **error);
bool stream_take_partial_rows(Stream *stream, const BinlogEvent *event, GError **error);
bool stream_is_left_out(const Stream *stream, const char *database, const char *table);
bool stream_halt_for_rows(Stream *stream, const BinlogQuery *query, const Statement *statement, const BinlogTableMap *map);
