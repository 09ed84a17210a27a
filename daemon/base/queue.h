/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A bounded queue between threads that can be closed. Its bound is a weight (bytes), so that memory stays bounded
 * whatever the size of one item; an item heavier than the bound passes alone. */

#include <stdbool.h>

#include <glib.h>

typedef struct Queue Queue;

Queue *queue_new(gsize max_weight, GDestroyNotify free_item);
void queue_free(Queue *queue);

/* Waits for room. Takes ITEM over; false (and ITEM freed) once the queue is closed. */
bool queue_push(Queue *queue, gpointer item, gsize weight);
/* The oldest item; waits up to TIMEOUT_USEC for one (0: does not wait, -1: for ever). NULL: timed out, or closed and
 * empty; then *ret_closed tells which (may be NULL). */
gpointer queue_pop(Queue *queue, gint64 timeout_usec, bool *ret_closed);
/* No more pushes; poppers drain what is there. With DISCARD what is there is freed now. */
void queue_close(Queue *queue, bool discard);
gsize queue_weight(Queue *queue);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Queue, queue_free)
