/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See throttle.h. */

#include "engine/throttle.h"

#include <pthread.h>

#include "base/clock.h"

#define LOAD_USEC (500 * USEC_PER_MSEC)
#define PORTION_LEAST (64u * 1024)

struct Throttle {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        guint32 max_load;
        guint64 max_rate;
        gint64 load_asked_at, free_at; /* monotonic */
        bool busy;
};

Throttle *throttle_new(guint32 max_source_load, guint64 max_copy_rate) {
        Throttle *throttle = g_new0(Throttle, 1);
        pthread_mutex_init(&throttle->lock, /* attr= */ NULL);
        clock_cond_init(&throttle->changed);
        throttle->max_load = max_source_load;
        throttle->max_rate = max_copy_rate;
        return throttle;
}

void throttle_free(Throttle *throttle) {
        if (!throttle)
                return;
        pthread_cond_destroy(&throttle->changed);
        pthread_mutex_destroy(&throttle->lock);
        g_free(throttle);
}

void throttle_set(Throttle *throttle, guint32 max_source_load, guint64 max_copy_rate) {
        pthread_mutex_lock(&throttle->lock);
        throttle->max_load = max_source_load;
        if (throttle->max_rate != max_copy_rate)
                throttle->free_at = 0;
        throttle->max_rate = max_copy_rate;
        throttle->busy = false;
        pthread_cond_broadcast(&throttle->changed);
        pthread_mutex_unlock(&throttle->lock);
}

void throttle_wake(Throttle *throttle) {
        pthread_mutex_lock(&throttle->lock);
        pthread_cond_broadcast(&throttle->changed);
        pthread_mutex_unlock(&throttle->lock);
}

guint64 throttle_portion(Throttle *throttle, guint64 most) {
        pthread_mutex_lock(&throttle->lock);
        guint64 portion = throttle->max_rate > 0 ? CLAMP(throttle->max_rate, PORTION_LEAST, most) : most;
        pthread_mutex_unlock(&throttle->lock);
        return portion;
}

static bool ask_load(Throttle *throttle, Conn *upstream, GError **error) {
        pthread_mutex_lock(&throttle->lock);
        gint64 now = clock_monotonic();
        guint32 max = throttle->max_load;
        bool ask = max > 0 && now - throttle->load_asked_at >= LOAD_USEC;
        if (ask)
                throttle->load_asked_at = now;
        pthread_mutex_unlock(&throttle->lock);
        if (!ask)
                return true;

        g_autoptr(ConnRows) rows = conn_query(upstream, "SHOW GLOBAL STATUS LIKE 'Threads_running'", error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        guint64 running = row && row[1] ? g_ascii_strtoull(row[1], NULL, 10) : 0;
        pthread_mutex_lock(&throttle->lock);
        throttle->busy = running > max;
        pthread_mutex_unlock(&throttle->lock);
        return true;
}

void throttle_charge(Throttle *throttle, guint64 bytes) {
        pthread_mutex_lock(&throttle->lock);
        if (throttle->max_rate > 0)
                throttle->free_at = MAX(throttle->free_at, clock_monotonic()) +
                                    (gint64) ((double) bytes * (double) USEC_PER_SEC / (double) throttle->max_rate);
        pthread_mutex_unlock(&throttle->lock);
}

/* For the rate, or the load when WITH_LOAD: not longer than MOST, half a second, or until something changes; false: there was no need to. */
static bool wait_once(Throttle *throttle, bool with_load, gint64 most) {
        pthread_mutex_lock(&throttle->lock);
        gint64 wait = with_load && throttle->busy ? LOAD_USEC : throttle->max_rate > 0 ? throttle->free_at - clock_monotonic() : 0;
        if (wait > 0) {
                struct timespec until = clock_deadline(MIN(MIN(wait, most), LOAD_USEC));
                (void) pthread_cond_timedwait(&throttle->changed, &throttle->lock, &until);
        }
        pthread_mutex_unlock(&throttle->lock);
        return wait > 0;
}

bool throttle_wait_briefly(Throttle *throttle, Conn *upstream, bool *ret_room, GError **error) {
        if (upstream && !ask_load(throttle, upstream, error))
                return false;
        *ret_room = !wait_once(throttle, /* with_load= */ true, LOAD_USEC);
        return true;
}

void throttle_wait_within(Throttle *throttle, gint64 *patience, gint *stop) {
        while (*patience > 0 && !g_atomic_int_get(stop)) {
                gint64 began = clock_monotonic();
                if (!wait_once(throttle, /* with_load= */ false, *patience))
                        break;
                *patience -= clock_monotonic() - began;
        }
}

bool throttle_wait(Throttle *throttle, Conn *upstream, guint64 bytes, gint *stop, GError **error) {
        bool room = false;
        throttle_charge(throttle, bytes);
        while (!room && !g_atomic_int_get(stop))
                if (!throttle_wait_briefly(throttle, upstream, &room, error))
                        return false;
        return true;
}
