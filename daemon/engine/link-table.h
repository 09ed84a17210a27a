/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The tables that a link carries, found by name or by the number that the binary log gives them. */

#include <stdbool.h>

#include <glib.h>

#include "engine/chunk.h"
#include "mysql/binlog-row.h"
#include "mysql/schema.h"

typedef struct Family Family; /* cascade.h */

typedef struct LinkTable {
        TableSchema *schema;
        char *name;       /* `db`.`t` */
        guint id;         /* position in the set */
        guint64 hash;     /* of its name, or of its family's first one: chooses the worker of an ordered table, the same one after every
                           * restart */
        Family *family;   /* cascading foreign keys tie it to others, in the order of the log across all of them; NULL: none does */
        bool delete_cascades;    /* a DELETE here changes rows of carried tables without a row event */
        GArray *update_cascades; /* of int: so does an UPDATE of one of these columns (−1: any); NULL: none */
        bool ordered;     /* rows can collide on other keys than their own, or only the server knows which keys are equal: one
                           * worker, in the order of the log */
        bool multiset;    /* no row key: see change-multiset.h */
        bool zeros_alike; /* one of the sides has no negative zero: -0 and 0 are the same to a multiset */
        ChunkMap *chunks; /* NULL: nothing is being copied, every event is applied */
        guint64 again_seq; /* it is copied again, see again.h: events up to this transaction are passed over; 0: it is not */
        gint live;        /* atomic: all is copied and the dispatcher is behind the last h_seq */
        gint64 retry_at;  /* monotonic: the copier lets the table rest until then (guarded by the copy) */
        guint retries;
        gint lock_next;   /* atomic: the next chunk is to be read under locks: something happened to this one that cannot be laid over it */
        gint reported;    /* atomic: TABLE_COPIED was told */
        bool rate_told;   /* that it cannot keep to max-copy-rate; guarded by the chunk map's claim */
        guint64 chunk_rows; /* what the next chunk should hold; guarded by the chunk map's claim */
} LinkTable;

typedef struct LinkTables {
        GPtrArray *list;    /* of LinkTable */
        GHashTable *by_name;
        GPtrArray *families; /* of Family */
} LinkTables;

/* Takes the schemas over (list of TableSchema). COPYING: every table gets a chunk map; else those in AGAIN (see again.h) do. */
LinkTables *link_tables_new(GPtrArray *schemas, bool copying, const GPtrArray *again);
void link_tables_free(LinkTables *tables);
/* A server refused a value of TABLE: makes PS_ERROR_DATA_MISMATCH of its answer, which would show the value. Other errors stay. */
void link_table_name_error(const LinkTable *table, const char *label, GError **error);
LinkTable *link_tables_find(const LinkTables *tables, const char *database, const char *name);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LinkTables, link_tables_free)

/* What one reader of events knows of TABLE_MAPs: table number → map and table. Not shared between threads. */
typedef struct MapEntry {
        BinlogTableMap *map;
        LinkTable *table; /* NULL: not carried */
        bool past;
        GBytes *body;
} MapEntry;

typedef struct MapCache {
        const LinkTables *tables;
        GHashTable *by_id;
} MapCache;

void map_cache_init(MapCache *cache, const LinkTables *tables);
void map_cache_clear(MapCache *cache);
/* Takes a TABLE_MAP event in; *ret is valid until the next call. A carried table whose columns changed: PS_ERROR_DATA_MISMATCH. PAST: of a
 * transaction that is applied, before a statement that may have changed the table: not to be read, as if it were not carried. */
bool map_cache_add(MapCache *cache, const BinlogEvent *event, bool past, const MapEntry **ret, GError **error);
/* The table of a row event; PS_ERROR_DATA_MISMATCH when no TABLE_MAP was seen for it. */
bool map_cache_find(MapCache *cache, const BinlogEvent *event, const MapEntry **ret, GError **error);
