/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A thread that is always joined. Signals must be blocked before the first one is started (main does). */

#include <stdbool.h>

#include <glib.h>

typedef struct Thread Thread;
typedef void (*ThreadFunc)(gpointer data);

/* NAME is at most 15 bytes: it is what `ps -L` and a debugger show. Aborts when no thread can be had. */
Thread *thread_start(const char *name, ThreadFunc func, gpointer data);
/* Waits for its end and frees it; NULL is allowed. */
void thread_join(Thread *thread);
