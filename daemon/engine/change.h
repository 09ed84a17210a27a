/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Row changes on their way from the dispatcher to a worker, and the statements that a worker makes of many of them: one per table
 * and kind, each with the counts by which the server proves that every row was where it should be (engine.md §4.3). Pure. */

#include <stdbool.h>

#include <glib.h>

#include "engine/link-table.h"
#include "engine/place.h"
#include "engine/relay.h"

/* One change; offsets into the packet's arena. An UPDATE that changes the key is a DELETE and an INSERT, unless it cascades. The key of a
 * table without one (a multiset) is the row's tuple, and there is no other text. */
typedef struct Change {
        LinkTable *table;
        RowOperation operation;
        guint32 key_size;
        guint64 hash;         /* of the key */
        gsize key, text;      /* key block; then "(v,…)" — or "c=v,…" for an UPDATE of an ordered table, of a part of the columns, or
                               * one that cascades */
        gsize text_size;
        guint enum_zeros; /* see change_enum_zeros() */
        bool assigns;     /* the text is "c=v,…" */
        bool cascades;    /* with foreign_key_checks=1: the server changes other rows, too (cascade.h) */
        bool maybe_gone;  /* a DELETE of a row that a cascade of the same statement may have taken along */
} Change;

/* What a worker gets at a time. */
typedef struct Packet {
        GArray *changes; /* of Change */
        GString *arena;
        guint64 done_seq;      /* with this packet the worker has everything up to this transaction … */
        guint64 part;          /* … and so many changes of the next one */
        Place *place;          /* where done_seq ends */
        RelayHold hold;        /* then; its file is interned by the link */
        bool persist;          /* the checkpoint row has to follow, even when there is nothing else to write */
        int asked;             /* the server has to answer, even when there is nothing to write: apply_ask(); 0: it has not */
} Packet;
Packet *packet_new(void);
void packet_free(Packet *packet);
gsize packet_weight(const Packet *packet);

void change_append_tuple(GString *out, const TableSchema *schema, const RowImage *image);
/* How many ENUM columns of the row hold 0, the error value '': the only values that every server stores exactly and yet warns about (1265).
 * Any other number of warnings means that something was not stored as it should. */
guint change_enum_zeros(const TableSchema *schema, const RowImage *image);
/* Adds a change to PACKET; IMAGE is the row's new state, for a DELETE its old one; for an UPDATE it may lack columns that do not change (see
 * partial.h). KEY, that of the row before the change, is copied. */
void packet_add(Packet *packet, LinkTable *table, RowOperation operation, const char *key, gsize key_size, guint64 hash,
                const RowImage *image, bool cascades, bool maybe_gone);
/* A TableSchema for our own (id, value) tables. */
TableSchema *change_pair_schema(void);

/* How the answer to a statement shows that it did what it should. */
typedef enum CountRule {
        COUNT_AFFECTED,   /* affected rows = expected */
        COUNT_DUPLICATES, /* Records = Duplicates = expected, in mysql_info() */
        COUNT_AT_MOST,    /* affected rows <= expected */
        COUNT_NOTHING,    /* a setting of the session; its table is NULL */
        COUNT_MULTISET,   /* no statement: multiset_apply() counts by itself */
} CountRule;

typedef struct BatchStatement {
        const LinkTable *table;
        gsize start, size; /* in the batch's text */
        CountRule rule;
        guint64 expected;
        guint64 warnings; /* that the server will give: one for each ENUM that holds the error value */
        struct Multiset *multiset; /* of COUNT_MULTISET; the batch's */
} BatchStatement;

typedef struct Batch {
        GString *text;       /* statements, each followed by ';' */
        GArray *statements;  /* of BatchStatement */
        GPtrArray *multisets; /* of Multiset: of tables without a key. Their tuples are in the packets */
        guint64 changes;     /* before compaction */
} Batch;

/* The statements for PACKETS in order. Changes of one key are folded into one where the table allows it, but not across one that cascades;
 * for those foreign_key_checks is set, and it is 0 again at the end. Statements stay below
 * MAX_STATEMENT bytes unless one row is larger. PS_ERROR_DATA_MISMATCH: an order of changes that cannot be (INSERT of a key that is there). */
bool batch_build(Batch *batch, GPtrArray *packets, const Flavor *flavor, gsize max_statement, GError **error);
void batch_init(Batch *batch);
void batch_clear(Batch *batch);
