/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The reader: the upstream's binary log, transaction by transaction, into the relay log. It numbers every transaction (seq, from the
 * leg's start on), sees the heartbeats of our own, feeds the side queues of chunks in flight, and never waits for the applier. */

#include <stdbool.h>

#include <glib.h>

#include "engine/ledger.h"
#include "engine/link-halt.h"
#include "engine/link-table.h"
#include "engine/relay.h"
#include "engine/spec.h"
#include "mysql/binlog-stream.h"

typedef struct Stream Stream;

typedef struct StreamConfig {
        const ConnParams *upstream;
        const MigrationSpec *spec;
        const Ledger *ledger;
        const LinkTables *tables;
        const GPtrArray *left_out; /* of char *: lines "table `db`.`t`: why" of tables that are not carried although SPEC selects them */
        Relay *relay;
        const char *directory;   /* the relay's: what is prepared is kept in it, too */
        guint32 server_id;       /* for the dump */
        const char *server;      /* the upstream's conn_host_uuid() … */
        bool mariadb;            /* … and what it is */
        const Checkpoint *rows;  /* the workers' and copiers' */
        guint n_rows;
        const Place *begin;      /* where reading begins, behind transaction SEQ: the oldest one of ROWS, or before it */
        guint64 seq;
        guint64 settled_seq;     /* the oldest checkpoint: what had to be done about rows up to there is done */
        guint64 skip_ddl_seq;    /* DDL statements up to here are passed over */
        guint64 halt_seq;        /* there has to be one at this transaction; 0: not known */
        /* Called on the reader's thread. */
        void (*on_heartbeat)(gpointer userdata, guint64 seq, guint64 value);
        void (*on_canary)(gpointer userdata, guint64 seq, guint64 value);
        void (*on_failure)(gpointer userdata, const GError *error);
        void (*on_halt)(gpointer userdata, const LinkHalt *halt); /* the last call: reading has ended in front of it */
        void (*on_note)(gpointer userdata, const char *message);
        void (*on_crash)(gpointer userdata, const char *file); /* the upstream did not end FILE as an orderly stop does */
        gpointer userdata;
} StreamConfig;

Stream *stream_new(const StreamConfig *config, GError **error); /* connects */
void stream_run(Stream *stream);  /* starts the thread */
void stream_stop(Stream *stream); /* ends and joins it */
void stream_free(Stream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stream, stream_free)

/* Any thread: asks the reader to end between two transactions; on_halt() says where. */
void stream_end(Stream *stream);
/* The transaction that was begun last, and the last one that is whole. */
guint64 stream_started(Stream *stream);
guint64 stream_completed(Stream *stream);
/* How many statements about views, routines, triggers and events were read. */
void stream_pass_over_programs(Stream *stream, guint64 connection); /* link.h */
guint64 stream_programs_changed(Stream *stream);
/* Until everything up to FILE/OFFSET was read; *ret_seq: the last whole transaction then, *ret_place (may be NULL): where it ended.
 * PS_ERROR_DEADLINE_EXCEEDED, PS_ERROR_STOPPED. */
bool stream_wait(Stream *stream, const char *file, guint64 offset, gint64 timeout_usec, guint64 *ret_seq, Place **ret_place, GError **error);
/* Where the last whole transaction ended; FILE is a copy. */
void stream_position(Stream *stream, char **ret_file, guint64 *ret_offset);
