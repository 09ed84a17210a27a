/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See thread.h. */

#include "base/thread.h"

#include <pthread.h>

struct Thread {
        pthread_t id;
        char name[16];
        ThreadFunc func;
        gpointer data;
};

static void *run(void *data) {
        Thread *thread = data;
        (void) pthread_setname_np(pthread_self(), thread->name);
        thread->func(thread->data);
        return NULL;
}

Thread *thread_start(const char *name, ThreadFunc func, gpointer data) {
        Thread *thread = g_new0(Thread, 1);
        g_strlcpy(thread->name, name, sizeof thread->name);
        thread->func = func;
        thread->data = data;
        int r = pthread_create(&thread->id, /* attr= */ NULL, run, thread);
        if (r != 0)
                g_error("cannot start thread %s: %s", name, g_strerror(r));
        return thread;
}

void thread_join(Thread *thread) {
        if (!thread)
                return;
        pthread_join(thread->id, /* retval= */ NULL);
        g_free(thread);
}
