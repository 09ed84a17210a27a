/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ring of items under one mutex and two conditions; see queue.h. */

#include "base/queue.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"

typedef struct Item {
        gpointer data;
        gsize weight;
} Item;

struct Queue {
        pthread_mutex_t lock;
        pthread_cond_t not_empty, not_full;
        Item *ring;
        gsize capacity, head, count; /* capacity is a power of two */
        gsize weight, max_weight;
        bool closed;
        GDestroyNotify free_item;
};

Queue *queue_new(gsize max_weight, GDestroyNotify free_item) {
        Queue *queue = g_new0(Queue, 1);
        pthread_mutex_init(&queue->lock, /* attr= */ NULL);
        clock_cond_init(&queue->not_empty);
        clock_cond_init(&queue->not_full);
        queue->capacity = 64;
        queue->ring = g_new0(Item, queue->capacity);
        queue->max_weight = max_weight;
        queue->free_item = free_item;
        return queue;
}

static void discard_all(Queue *queue) {
        for (; queue->count > 0; queue->count--) {
                if (queue->free_item)
                        queue->free_item(queue->ring[queue->head].data);
                queue->head = (queue->head + 1) & (queue->capacity - 1);
        }
        queue->weight = 0;
}

void queue_free(Queue *queue) {
        if (!queue)
                return;
        discard_all(queue);
        pthread_cond_destroy(&queue->not_empty);
        pthread_cond_destroy(&queue->not_full);
        pthread_mutex_destroy(&queue->lock);
        g_free(queue->ring);
        g_free(queue);
}

static void grow(Queue *queue) {
        Item *ring = g_new0(Item, queue->capacity * 2);
        for (gsize i = 0; i < queue->count; i++)
                ring[i] = queue->ring[(queue->head + i) & (queue->capacity - 1)];
        g_free(queue->ring);
        queue->ring = ring;
        queue->capacity *= 2;
        queue->head = 0;
}

bool queue_push(Queue *queue, gpointer item, gsize weight) {
        pthread_mutex_lock(&queue->lock);
        while (!queue->closed && queue->count > 0 && queue->weight + weight > queue->max_weight)
                pthread_cond_wait(&queue->not_full, &queue->lock);
        if (queue->closed) {
                pthread_mutex_unlock(&queue->lock);
                if (queue->free_item)
                        queue->free_item(item);
                return false;
        }
        if (queue->count == queue->capacity)
                grow(queue);
        queue->ring[(queue->head + queue->count) & (queue->capacity - 1)] = (Item){item, weight};
        queue->weight += weight;
        if (queue->count++ == 0)
                pthread_cond_signal(&queue->not_empty);
        pthread_mutex_unlock(&queue->lock);
        return true;
}

gpointer queue_pop(Queue *queue, gint64 timeout_usec, bool *ret_closed) {
        struct timespec until = clock_deadline(MAX(timeout_usec, 0));
        gpointer data = NULL;

        pthread_mutex_lock(&queue->lock);
        while (queue->count == 0 && !queue->closed && timeout_usec != 0) {
                if (timeout_usec < 0)
                        pthread_cond_wait(&queue->not_empty, &queue->lock);
                else if (pthread_cond_timedwait(&queue->not_empty, &queue->lock, &until) != 0)
                        break;
        }
        if (queue->count > 0) {
                Item *item = &queue->ring[queue->head];
                data = item->data;
                queue->weight -= item->weight;
                queue->head = (queue->head + 1) & (queue->capacity - 1);
                queue->count--;
                pthread_cond_signal(&queue->not_full);
                if (queue->count > 0)
                        pthread_cond_signal(&queue->not_empty);
        }
        if (ret_closed)
                *ret_closed = !data && queue->closed;
        pthread_mutex_unlock(&queue->lock);
        return data;
}

void queue_close(Queue *queue, bool discard) {
        pthread_mutex_lock(&queue->lock);
        queue->closed = true;
        if (discard)
                discard_all(queue);
        pthread_cond_broadcast(&queue->not_empty);
        pthread_cond_broadcast(&queue->not_full);
        pthread_mutex_unlock(&queue->lock);
}

gsize queue_weight(Queue *queue) {
        pthread_mutex_lock(&queue->lock);
        gsize weight = queue->weight;
        pthread_mutex_unlock(&queue->lock);
        return weight;
}
