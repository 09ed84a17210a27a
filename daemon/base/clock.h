/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Time. Waits and durations use the monotonic clock, records use the real one; both in microseconds. */

#include <pthread.h>
#include <time.h>

#include <glib.h>

#define USEC_PER_SEC G_GINT64_CONSTANT(1000000)
#define USEC_PER_MSEC G_GINT64_CONSTANT(1000)

gint64 clock_monotonic(void); /* µs, only differences have a meaning */
guint64 clock_real(void);     /* µs since the epoch */

/* A condition whose timed waits take clock_deadline(). */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_deadline(gint64 usec_from_now);
