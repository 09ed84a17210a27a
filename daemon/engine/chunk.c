/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A sorted array of disjoint key intervals; see chunk.h for the story. Tables that are copied as a whole have at most one chunk, from
 * −∞ to +∞. */

#include "engine/chunk.h"

#include <pthread.h>

#include "base/clock.h"

struct ChunkMap {
        const TableSchema *table;
        bool whole; /* at most one chunk, of everything */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        GPtrArray *chunks;  /* of Chunk, by lo */
        guint contiguous;   /* the first so many chunks follow each other without a hole, from −∞ on */
        bool claimed;
        gint collecting;    /* number of chunks that collect; atomic for the cheap question */
        guint64 max_h;
};

static void chunk_free(gpointer data) {
        Chunk *chunk = data;
        key_clear(&chunk->lo);
        key_clear(&chunk->hi);
        g_clear_pointer(&chunk->side, g_ptr_array_unref);
        g_free(chunk);
}

ChunkMap *chunk_map_new(const TableSchema *table, bool whole) {
        ChunkMap *map = g_new0(ChunkMap, 1);
        map->table = table;
        map->whole = whole || table->key_order != KEY_ORDER_AGENT;
        pthread_mutex_init(&map->lock, /* attr= */ NULL);
        clock_cond_init(&map->changed);
        map->chunks = g_ptr_array_new_with_free_func(chunk_free);
        return map;
}

bool chunk_map_is_whole(const ChunkMap *map) {
        return map->whole;
}

void chunk_map_free(ChunkMap *map) {
        if (!map)
                return;
        g_ptr_array_unref(map->chunks);
        pthread_cond_destroy(&map->changed);
        pthread_mutex_destroy(&map->lock);
        g_free(map);
}

static Chunk *chunk_at(const ChunkMap *map, guint i) {
        return g_ptr_array_index(map->chunks, i);
}

/* −1 when LO lies before the lower bound of CHUNK. */
static int compare_lo(const ChunkMap *map, const Key *lo, const Chunk *chunk) {
        if (!lo->data || !chunk->lo.data)
                return (lo->data != NULL) - (chunk->lo.data != NULL);
        return key_compare(map->table, lo->data, chunk->lo.data);
}

static void insert_sorted(ChunkMap *map, Chunk *chunk) {
        guint low = 0, high = map->chunks->len;
        while (low < high) {
                guint mid = low + (high - low) / 2;
                if (compare_lo(map, &chunk->lo, chunk_at(map, mid)) < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        g_ptr_array_insert(map->chunks, (int) low, chunk);
}

/* The chunk with lo < KEY <= hi. */
static Chunk *find(const ChunkMap *map, const char *key) {
        if (map->whole)
                return map->chunks->len > 0 ? chunk_at(map, 0) : NULL;

        guint low = 0, high = map->chunks->len;
        while (low < high) { /* the last chunk whose lo is before KEY */
                guint mid = low + (high - low) / 2;
                const Chunk *chunk = chunk_at(map, mid);
                if (!chunk->lo.data || key_compare(map->table, chunk->lo.data, key) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        if (low == 0)
                return NULL;
        Chunk *chunk = chunk_at(map, low - 1);
        return !chunk->hi.data || key_compare(map->table, key, chunk->hi.data) <= 0 ? chunk : NULL;
}

void chunk_map_load(ChunkMap *map, const Key *lo, const Key *hi, guint64 h_seq) {
        Chunk *chunk = g_new0(Chunk, 1);
        chunk->lo = key_copy(lo);
        chunk->hi = key_copy(hi);
        chunk->state = CHUNK_DONE;
        chunk->h_known = true;
        chunk->h_seq = h_seq;
        pthread_mutex_lock(&map->lock);
        insert_sorted(map, chunk);
        map->max_h = MAX(map->max_h, h_seq);
        pthread_mutex_unlock(&map->lock);
}

/* Advances `contiguous` and tells where the first hole is; false: no hole. */
static bool first_hole(ChunkMap *map, Key *ret_lo, Key *ret_hi) {
        static const Key infinite = {NULL, 0};
        const Key *end = map->contiguous > 0 ? &chunk_at(map, map->contiguous - 1)->hi : &infinite;
        while (map->contiguous < map->chunks->len && key_identical(&chunk_at(map, map->contiguous)->lo, end)) {
                end = &chunk_at(map, map->contiguous)->hi;
                map->contiguous++;
        }
        if (map->contiguous > 0 && !end->data)
                return false;
        *ret_lo = *end;
        *ret_hi = map->contiguous < map->chunks->len ? chunk_at(map, map->contiguous)->lo : infinite;
        return true;
}

static bool all_done(const ChunkMap *map) {
        for (guint i = 0; i < map->chunks->len; i++)
                if (chunk_at(map, i)->state != CHUNK_DONE)
                        return false;
        return true;
}

bool chunk_map_claim_hole(ChunkMap *map, Key *ret_lo, Key *ret_hi, bool *ret_complete) {
        Key lo, hi;
        pthread_mutex_lock(&map->lock);
        bool hole = first_hole(map, &lo, &hi);
        *ret_complete = !hole && all_done(map);
        bool claimed = hole && !map->claimed;
        if (claimed) {
                map->claimed = true;
                *ret_lo = key_copy(&lo);
                *ret_hi = key_copy(&hi);
        }
        pthread_mutex_unlock(&map->lock);
        return claimed;
}

void chunk_map_release(ChunkMap *map) {
        pthread_mutex_lock(&map->lock);
        map->claimed = false;
        pthread_mutex_unlock(&map->lock);
}

Chunk *chunk_map_register(ChunkMap *map, const Key *lo, const Key *hi, guint64 registered_seq) {
        Chunk *chunk = g_new0(Chunk, 1);
        chunk->lo = key_copy(lo);
        chunk->hi = key_copy(hi);
        chunk->state = CHUNK_IN_FLIGHT;
        chunk->registered_seq = registered_seq;
        chunk->side = g_ptr_array_new_with_free_func(g_free);
        chunk->collecting = !map->whole;
        pthread_mutex_lock(&map->lock);
        insert_sorted(map, chunk);
        map->claimed = false;
        if (chunk->collecting)
                g_atomic_int_inc(&map->collecting);
        pthread_mutex_unlock(&map->lock);
        return chunk;
}

static void stop_collecting(ChunkMap *map, Chunk *chunk) {
        if (chunk->collecting) {
                chunk->collecting = false;
                g_atomic_int_add(&map->collecting, -1);
        }
}

static void know_h(ChunkMap *map, Chunk *chunk, guint64 h_seq) {
        chunk->h_known = true;
        chunk->h_seq = h_seq;
        pthread_cond_broadcast(&map->changed);
}

void chunk_map_know_h(ChunkMap *map, Chunk *chunk, guint64 h_seq) {
        pthread_mutex_lock(&map->lock);
        know_h(map, chunk, h_seq);
        pthread_mutex_unlock(&map->lock);
}

GPtrArray *chunk_map_close_side(ChunkMap *map, Chunk *chunk, guint64 seq, bool locked) {
        pthread_mutex_lock(&map->lock);
        stop_collecting(map, chunk);
        GPtrArray *side = g_steal_pointer(&chunk->side);
        bool overflow = !locked && (chunk->overflow || chunk->spoiled);
        if (!overflow)
                know_h(map, chunk, seq);
        pthread_mutex_unlock(&map->lock);

        if (locked)
                g_ptr_array_set_size(side, 0);
        while (side->len > 0 && ((SideRow *) g_ptr_array_index(side, side->len - 1))->seq > seq)
                g_ptr_array_set_size(side, (int) side->len - 1);
        if (overflow)
                g_clear_pointer(&side, g_ptr_array_unref);
        return side;
}

void chunk_map_shrink(ChunkMap *map, Chunk *chunk, const Key *hi) {
        pthread_mutex_lock(&map->lock);
        /* A bound may have two spellings ('a' and 'a '): between them there is no hole. */
        if (!chunk->hi.data || key_compare(map->table, hi->data, chunk->hi.data) < 0) {
                key_clear(&chunk->hi);
                chunk->hi = key_copy(hi);
                map->contiguous = 0;
        }
        pthread_mutex_unlock(&map->lock);
}

void chunk_map_finish(ChunkMap *map, Chunk *chunk, guint64 h_seq) {
        pthread_mutex_lock(&map->lock);
        stop_collecting(map, chunk);
        chunk->state = CHUNK_DONE;
        know_h(map, chunk, h_seq);
        map->max_h = MAX(map->max_h, h_seq);
        pthread_cond_broadcast(&map->changed);
        pthread_mutex_unlock(&map->lock);
}

void chunk_map_cancel(ChunkMap *map, Chunk *chunk) {
        pthread_mutex_lock(&map->lock);
        stop_collecting(map, chunk);
        g_ptr_array_remove(map->chunks, chunk);
        map->contiguous = 0;
        pthread_cond_broadcast(&map->changed);
        pthread_mutex_unlock(&map->lock);
}

bool chunk_map_is_empty(ChunkMap *map) {
        pthread_mutex_lock(&map->lock);
        bool empty = map->chunks->len == 0;
        pthread_mutex_unlock(&map->lock);
        return empty;
}

void chunk_map_forget(ChunkMap *map) {
        pthread_mutex_lock(&map->lock);
        g_ptr_array_set_size(map->chunks, 0);
        map->contiguous = 0;
        map->max_h = 0;
        pthread_mutex_unlock(&map->lock);
}

bool chunk_map_collecting(ChunkMap *map) {
        return g_atomic_int_get(&map->collecting) > 0;
}

void chunk_map_collect(ChunkMap *map, guint64 seq, const char *key, gsize key_size, const char *tuple, gsize tuple_size,
                       guint enum_zeros, bool deleted, gsize max_side_bytes) {
        pthread_mutex_lock(&map->lock);
        Chunk *chunk = find(map, key);
        if (chunk && chunk->collecting && !chunk->overflow && !chunk->spoiled) {
                if (chunk->side_bytes + key_size + tuple_size > max_side_bytes) {
                        chunk->overflow = true;
                        g_ptr_array_set_size(chunk->side, 0);
                } else {
                        SideRow *row = g_malloc(sizeof *row + key_size + tuple_size);
                        row->seq = seq;
                        row->deleted = deleted;
                        row->enum_zeros = enum_zeros;
                        row->key_size = key_size;
                        row->tuple_size = tuple_size;
                        memcpy(row->data, key, key_size);
                        if (tuple_size > 0)
                                memcpy(row->data + key_size, tuple, tuple_size);
                        g_ptr_array_add(chunk->side, row);
                        chunk->side_bytes += key_size + tuple_size;
                }
        }
        pthread_mutex_unlock(&map->lock);
}

void chunk_map_spoil(ChunkMap *map, const char *key) {
        pthread_mutex_lock(&map->lock);
        Chunk *chunk = find(map, key);
        if (chunk && chunk->collecting && !chunk->spoiled) {
                chunk->spoiled = true;
                g_ptr_array_set_size(chunk->side, 0);
        }
        pthread_mutex_unlock(&map->lock);
}

ChunkVerdict chunk_map_judge(ChunkMap *map, const char *key, guint64 seq) {
        ChunkVerdict verdict;
        pthread_mutex_lock(&map->lock);
        const Chunk *chunk = find(map, key);
        if (!chunk) /* to be registered later than now, and by now the reader has this event: the SELECT will include it */
                verdict = CHUNK_VERDICT_DROP;
        else if (seq <= (chunk->h_known ? chunk->h_seq : chunk->registered_seq))
                verdict = CHUNK_VERDICT_DROP; /* in the rows that the chunk holds, or is about to bring */
        else
                verdict = chunk->state == CHUNK_DONE ? CHUNK_VERDICT_APPLY : CHUNK_VERDICT_WAIT;
        pthread_mutex_unlock(&map->lock);
        return verdict;
}

ChunkVerdict chunk_map_judge_whole(ChunkMap *map, guint64 seq) {
        return chunk_map_judge(map, /* key= */ NULL, seq);
}

void chunk_map_wait(ChunkMap *map, gint64 timeout_usec) {
        struct timespec until = clock_deadline(timeout_usec);
        pthread_mutex_lock(&map->lock);
        (void) pthread_cond_timedwait(&map->changed, &map->lock, &until);
        pthread_mutex_unlock(&map->lock);
}

bool chunk_map_complete(ChunkMap *map, guint64 *ret_max_h) {
        Key lo, hi;
        pthread_mutex_lock(&map->lock);
        bool complete = !first_hole(map, &lo, &hi) && all_done(map);
        *ret_max_h = map->max_h;
        pthread_mutex_unlock(&map->lock);
        return complete;
}
