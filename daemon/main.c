/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* polarshiftd: a table of contents. */

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "config.h"
#include "engine/engine.h"
#include "manager.h"

/* Before the first thread: only the loop hears signals, and a closed pipe is an error like any other. */
static void block_signals(void) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGPIPE);
        sigprocmask(SIG_BLOCK, &set, /* oldset= */ NULL);
}

/* Passwords pass through our memory. The limit holds for files only: a core that the system pipes to a program is kept off by the
 * second call, which also keeps what runs as our user (hooks) from looking into us. The leak sanitizer has to. */
static void protect_secrets(void) {
        struct rlimit none = {0, 0};
        (void) setrlimit(RLIMIT_CORE, &none);
#ifndef POLARSHIFT_SANITIZED
        (void) prctl(PR_SET_DUMPABLE, 0);
#endif
        (void) umask(0077);
}

/* Buffers of many threads come and go: few arenas, and large ones go back to the system. (Measured: HACKING.md, 'Memory'.) */
static void bound_memory(void) {
        (void) mallopt(M_ARENA_MAX, 4);
        (void) mallopt(M_MMAP_THRESHOLD, 256 * 1024);
        (void) mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

static int run(Manager *manager) {
        (void) sd_notify(0, "READY=1");
        return sd_event_loop(manager->event);
}

int main(int argc, char *argv[]) {
        g_autoptr(GError) error = NULL;

        if (argc == 2 && strcmp(argv[1], "--version") == 0) {
                puts("polarshiftd " POLARSHIFT_VERSION);
                return 0;
        }
        if (argc > 1) {
                fputs("usage: polarshiftd [--version]\n", stderr);
                return 2;
        }
        block_signals();
        protect_secrets();
        bound_memory();
        Manager *manager = manager_new(&error);
        if (!manager || !manager_start(manager, &error)) {
                fprintf(stderr, "polarshiftd: %s\n", error->message);
                manager_free(manager);
                return 1;
        }
        int r = run(manager);
        if (r != 0)
                _exit(1); /* threads that did not end still use what would be freed */
        manager_free(manager);
        return 0;
}
