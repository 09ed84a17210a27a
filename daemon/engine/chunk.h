/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Which key intervals of a table are copied, and up to which transaction each of them is exact (engine.md §1).
 *
 *   1. A copier takes a hole (lo, hi] and registers it: IN_FLIGHT. From now on the reader puts every row event of that interval into
 *      the chunk's side queue.
 *   2. It commits a watermark on the upstream (all that was logged before is visible then), SELECTs the rows, and asks for the position H.
 *   3. When the reader has passed H it closes the queue at transaction h_seq: rows overlaid with the queue equal the upstream at h_seq.
 *   4. Rows and the chunk's row are committed together: DONE.
 *
 * A statement that changes the table lies at some transaction s of the log; the reader halts in front of it, and nothing behind it is read
 * before it was done downstream and a new link began. Rows that were SELECTed with the definition that holds from s on are never committed:
 * the server logs the statement before anybody sees what it did, so H, asked after the SELECT, lies behind s, and the reader never comes to
 * H. What is DONE was read with the definition that the downstream had. Its rows change with the statement there as here.
 *
 * The dispatcher asks chunk_map_judge() about every row event: is it in a copied chunk already, does it come later, or is its key still to be
 * copied (and then will be read in a state that includes it)?
 *
 * Everything here is guarded by the map's own lock. */

#include <stdbool.h>

#include <glib.h>

#include "engine/key.h"

typedef enum ChunkState { CHUNK_IN_FLIGHT, CHUNK_DONE } ChunkState;

/* What happened to one key while its chunk was in flight. */
typedef struct SideRow {
        guint64 seq;
        bool deleted;
        gsize key_size, tuple_size;
        guint enum_zeros; /* see change.h */
        char data[]; /* key, then "(…)" */
} SideRow;

typedef struct Chunk {
        Key lo, hi;
        ChunkState state;
        guint64 registered_seq; /* transactions up to here are in the SELECT */
        bool h_known;
        guint64 h_seq;          /* once known: transactions up to here are in the copy */
        bool collecting;
        GPtrArray *side;        /* of SideRow, in order */
        gsize side_bytes;
        bool overflow;          /* the side queue grew beyond its bound: the chunk must be given up */
        bool spoiled;           /* so it must, but reading it again under locks helps */
} Chunk;

typedef struct ChunkMap ChunkMap;

/* Borrows TABLE. WHOLE: it is copied as one chunk, as it has to be when the agent cannot order its keys. */
ChunkMap *chunk_map_new(const TableSchema *table, bool whole);
bool chunk_map_is_whole(const ChunkMap *map);
void chunk_map_free(ChunkMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ChunkMap, chunk_map_free)

/* A chunk that a checkpoint says is done. */
void chunk_map_load(ChunkMap *map, const Key *lo, const Key *hi, guint64 h_seq);
/* The first hole and claims it for one caller until chunk_map_register() or chunk_map_release(): its bounds (copies).
 * false: none now; *ret_complete tells whether there is nothing left to do at all. */
bool chunk_map_claim_hole(ChunkMap *map, Key *ret_lo, Key *ret_hi, bool *ret_complete);
void chunk_map_release(ChunkMap *map);
Chunk *chunk_map_register(ChunkMap *map, const Key *lo, const Key *hi, guint64 registered_seq);
/* Ends collecting at transaction SEQ, which is the chunk's h_seq from now on: events up to it are dropped at once. The side queue's rows up to it
 * (owned by the caller), NULL when it had overflowed or was spoiled. LOCKED: the rows were read under locks that are held still, so that they
 * are what they are at SEQ, whatever the queue says: an empty one is returned. */
GPtrArray *chunk_map_close_side(ChunkMap *map, Chunk *chunk, guint64 seq, bool locked);
/* For a chunk without side queue: it is exact at H_SEQ. */
void chunk_map_know_h(ChunkMap *map, Chunk *chunk, guint64 h_seq);
/* Shortens an in-flight chunk to (lo, HI]. */
void chunk_map_shrink(ChunkMap *map, Chunk *chunk, const Key *hi);
void chunk_map_finish(ChunkMap *map, Chunk *chunk, guint64 h_seq);
bool chunk_map_is_empty(ChunkMap *map);
void chunk_map_forget(ChunkMap *map); /* all chunks; none may be in flight */
void chunk_map_cancel(ChunkMap *map, Chunk *chunk); /* frees CHUNK */

/* The reader: whether any chunk collects (cheap, without the lock), and one row image for the chunk that its key is in. */
bool chunk_map_collecting(ChunkMap *map);
void chunk_map_collect(ChunkMap *map, guint64 seq, const char *key, gsize key_size, const char *tuple, gsize tuple_size,
                       guint enum_zeros, bool deleted, gsize max_side_bytes);
/* Something happened to the row of this key that cannot be laid over it. */
void chunk_map_spoil(ChunkMap *map, const char *key);

typedef enum ChunkVerdict {
        CHUNK_VERDICT_APPLY, /* behind the copy */
        CHUNK_VERDICT_DROP,  /* in the copy, or will be */
        CHUNK_VERDICT_WAIT,  /* behind the copy, and its chunk is in flight: ask again after chunk_map_wait() */
} ChunkVerdict;
ChunkVerdict chunk_map_judge(ChunkMap *map, const char *key, guint64 seq);
ChunkVerdict chunk_map_judge_whole(ChunkMap *map, guint64 seq); /* of a table that is copied as one chunk: the same for every key */
/* Until some chunk changes its state; at most TIMEOUT_USEC. */
void chunk_map_wait(ChunkMap *map, gint64 timeout_usec);
/* All keys are copied; *ret_max_h: beyond that transaction no event needs a verdict any more. */
bool chunk_map_complete(ChunkMap *map, guint64 *ret_max_h);
