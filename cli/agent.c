/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pkttyagent beside a call, as systemd's tools do it; see agent.h. */

#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

#define REGISTER_MSEC 10000

/* Whether somebody on this bus is, or can be started as, polkit. A private bus has none, and pkttyagent would
 * only print noise there. */
static bool polkit_available(Client *client) {
        g_auto(GStrv) names = NULL;
        g_auto(GStrv) activatable = NULL;

        if (client->options->address)
                return false;
        if (sd_bus_list_names(client->bus, &names, &activatable) < 0)
                return false;
        return (names && g_strv_contains((const char *const *) names, "org.freedesktop.PolicyKit1")) ||
               (activatable &&
                g_strv_contains((const char *const *) activatable, "org.freedesktop.PolicyKit1"));
}

static void run_agent(int notify_fd, pid_t parent) {
        char fd[16];
        sigset_t none;

        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        if (!isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO)) {
                int tty = open("/dev/tty", O_WRONLY | O_CLOEXEC);

                if (tty < 0)
                        _exit(EXIT_FAILURE);
                if (!isatty(STDOUT_FILENO))
                        (void) dup2(tty, STDOUT_FILENO);
                if (!isatty(STDERR_FILENO))
                        (void) dup2(tty, STDERR_FILENO);
        }
        (void) fcntl(notify_fd, F_SETFD, 0);
        (void) snprintf(fd, sizeof fd, "%d", notify_fd);
        (void) execl("/usr/bin/pkttyagent", "pkttyagent", "--notify-fd", fd, "--fallback", (char *) NULL);
        _exit(EXIT_FAILURE);
}

void agent_open(Agent *agent, Client *client) {
        struct pollfd registered = { .events = POLLIN };
        pid_t parent = getpid();
        int fds[2];

        if (geteuid() == 0 || !client->options->ask_password || !isatty(STDIN_FILENO) ||
            access("/usr/bin/pkttyagent", X_OK) < 0 || !polkit_available(client))
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        agent->pid = fork();
        if (agent->pid == 0)
                run_agent(fds[1], parent);
        (void) close(fds[1]);
        if (agent->pid < 0)
                agent->pid = 0;
        else {
                /* It closes its end once it has registered, or by ending. */
                registered.fd = fds[0];
                while (poll(&registered, 1, REGISTER_MSEC) < 0 && errno == EINTR)
                        ;
        }
        (void) close(fds[0]);
}

void agent_close(Agent *agent) {
        if (agent->pid <= 0)
                return;
        (void) kill(agent->pid, SIGTERM);
        (void) kill(agent->pid, SIGCONT);
        while (waitpid(agent->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        agent->pid = 0;
}
