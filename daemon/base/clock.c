/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See clock.h. */

#include "base/clock.h"

gint64 clock_monotonic(void) {
        return g_get_monotonic_time();
}

guint64 clock_real(void) {
        return (guint64) g_get_real_time();
}

void clock_cond_init(pthread_cond_t *cond) {
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
}

struct timespec clock_deadline(gint64 usec_from_now) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        gint64 nsec = ts.tv_nsec + (usec_from_now % USEC_PER_SEC) * 1000;
        ts.tv_sec += usec_from_now / USEC_PER_SEC + nsec / 1000000000;
        ts.tv_nsec = nsec % 1000000000;
        return ts;
}
