/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Keeps the load that copying puts on the source within the limits, which may change at any time. Thread-safe. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/conn.h"

typedef struct Throttle Throttle;

Throttle *throttle_new(guint32 max_source_load, guint64 max_copy_rate);
void throttle_free(Throttle *throttle);
void throttle_set(Throttle *throttle, guint32 max_source_load, guint64 max_copy_rate);
/* Before a chunk: waits while the upstream is busier than allowed (Threads_running, asked twice a second at most, and not at all when it is
 * NULL), and until BYTES that were copied before fit the rate. Ends early when *STOP is set. */
bool throttle_wait(Throttle *throttle, Conn *upstream, guint64 bytes, gint *stop, GError **error);
/* BYTES were read: whoever waits next waits for them, too. */
void throttle_charge(Throttle *throttle, guint64 bytes);
/* Like throttle_wait(), but half a second at most; *ret_room: there is no need to wait any longer. */
bool throttle_wait_briefly(Throttle *throttle, Conn *upstream, bool *ret_room, GError **error);
/* Waits for the rate alone, at most *PATIENCE microseconds, which become less by those that it waited. */
void throttle_wait_within(Throttle *throttle, gint64 *patience, gint *stop);
/* How many bytes may be copied at a time: about what the rate allows in a second, so that neither a burst nor a restart, which begins with as
 * much for each copier, exceeds the rate by more. At least 64 KiB, at most MOST. */
guint64 throttle_portion(Throttle *throttle, guint64 most);
void throttle_wake(Throttle *throttle); /* all waiting callers look at their stop flag */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Throttle, throttle_free)
