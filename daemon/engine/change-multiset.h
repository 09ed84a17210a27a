/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Changes of a table without a row key. A row is known by nothing but its whole image, and may be there several times: the table is a
 * multiset of images. An INSERT is one more, a DELETE one fewer, an UPDATE one fewer of the image before and one more of the one after;
 * a batch comes to a net number for each image, and first all removals, then all additions lead from one valid state to the other. Pure. */

#include <stdbool.h>

#include <glib.h>

#include "engine/link-table.h"

typedef struct MultisetItem {
        const char *tuple; /* "(v,…)", in a packet's arena: two images are one when their tuples are */
        gsize size;
        guint64 hash;
        gint64 net;
        guint enum_zeros; /* see change.h */
        /* While it is applied, for images of which rows are to go: */
        guint64 found;    /* rows there */
        guint64 surplus;  /* rows that go with them and come back */
        char row_hash[65]; /* the server's hash of such a row */
} MultisetItem;

typedef struct Multiset {
        const LinkTable *table;
        GArray *items; /* of MultisetItem, in order of first appearance */
        guint *slots;  /* open addressing: index + 1 */
        gsize n_slots;
} Multiset;

Multiset *multiset_new(const LinkTable *table);
void multiset_free(Multiset *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Multiset, multiset_free)
void multiset_add(Multiset *set, const char *tuple, gsize size, guint64 hash, gint64 delta, guint enum_zeros);
MultisetItem *multiset_find(const Multiset *set, const char *tuple, gsize size, guint64 hash); /* NULL: not in it */

/* IMAGE as a tuple, spelled alike for rows that are alike on both sides. */
void multiset_append_tuple(GString *out, const LinkTable *table, const RowImage *image);
/* Appends LITERAL of COLUMN as it stands in such a tuple. */
void multiset_append_literal(GString *out, const LinkTable *table, const Column *column, const char *literal, gsize size);

/* Appends a condition that all rows of ITEMS (pointers to MultisetItem) fulfil, and few others: without it a server would have to compute the
 * hash of every row. LIMIT: about how many bytes it may have. "TRUE" when no column lends itself to it. */
void multiset_append_filter(GString *sql, const TableSchema *schema, const GPtrArray *items, gsize limit);
