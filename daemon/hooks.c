/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See hooks.h. posix_spawn, since a fork without exec has no place beside threads. */

#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/message-ids.h"

#define HOOK_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define OUTPUT_LINES_MAX 100
#define OUTPUT_LINE_LENGTH 1000

struct Hooks {
        char **folders;
        Log *log;
        int stop_fd; /* readable once the agent stops */
};

typedef struct Run {
        Hooks *hooks;
        const char *path, *name, *point;
        pid_t pid;
        int pidfd, in, out;
        const char *input;
        gsize input_left;
        GString *line;
        guint lines;
} Run;

Hooks *hooks_new(char *const *folders, Log *log) {
        Hooks *hooks = g_new0(Hooks, 1);
        hooks->folders = g_strdupv((char **) folders);
        hooks->log = log;
        hooks->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return hooks;
}

void hooks_free(Hooks *hooks) {
        if (!hooks)
                return;
        if (hooks->stop_fd >= 0)
                close(hooks->stop_fd);
        g_strfreev(hooks->folders);
        g_free(hooks);
}

void hooks_stop(Hooks *hooks) {
        guint64 one = 1;
        while (write(hooks->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
                ;
}

static int compare(gconstpointer a, gconstpointer b) {
        return strcmp(a, b);
}

/* name → path, later folders first in rank */
static GHashTable *list_hooks(Hooks *hooks) {
        GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        for (guint i = 0; hooks->folders[i]; i++) {
                g_autoptr(GDir) dir = g_dir_open(hooks->folders[i], 0, NULL);
                for (const char *name = dir ? g_dir_read_name(dir) : NULL; name;
                     name = g_dir_read_name(dir)) {
                        g_autofree char *path = g_build_filename(hooks->folders[i], name, NULL);
                        if (name[0] != '.' && g_file_test(path, G_FILE_TEST_IS_REGULAR) &&
                            g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
                                g_hash_table_replace(found, g_strdup(name), g_steal_pointer(&path));
                }
        }
        return found;
}

static bool spawn(Run *run, GError **error) {
        int in[2] = {-1, -1}, out[2] = {-1, -1};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        char *argv[] = {(char *) run->path, (char *) run->point, NULL};

        int r = pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ? errno : 0;
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        if (r == 0) {
                posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
                posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
                posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
                sigemptyset(&none);
                posix_spawnattr_setsigmask(&attributes, &none);
                posix_spawnattr_setpgroup(&attributes, 0);
                posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
                r = posix_spawn(&run->pid, run->path, &actions, &attributes, argv, environ);
        }
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
        if (in[0] >= 0)
                close(in[0]);
        if (out[1] >= 0)
                close(out[1]);
        run->in = in[1];
        run->out = out[0];
        if (r != 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s cannot be run: %s", run->path,
                            g_strerror(r));
                return false;
        }
        (void) fcntl(run->in, F_SETFL, O_NONBLOCK);
        (void) fcntl(run->out, F_SETFL, O_NONBLOCK);
        run->pidfd = (int) syscall(SYS_pidfd_open, run->pid, 0U);
        return true;
}

static void flush_line(Run *run) {
        if (run->line->len > 0 && run->lines++ < OUTPUT_LINES_MAX) {
                g_autofree char *text = g_utf8_make_valid(run->line->str, (gssize) run->line->len);
                g_autofree char *field = g_strdup_printf("HOOK=%s", run->path);
                const char *fields[] = {field, NULL};
                log_write(run->hooks->log, LOG_INFO, MESSAGE_ID_HOOK_OUTPUT, fields, "hook %s: %s", run->name,
                          text);
        }
        g_string_truncate(run->line, 0);
}

/* → false: nothing more will come */
static bool take_output(Run *run) {
        char buffer[4096];
        ssize_t n = read(run->out, buffer, sizeof buffer);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        for (ssize_t i = 0; i < n; i++) {
                if (buffer[i] == '\n' || run->line->len >= OUTPUT_LINE_LENGTH)
                        flush_line(run);
                if (buffer[i] != '\n')
                        g_string_append_c(run->line, buffer[i]);
        }
        return n > 0;
}

static void give_input(Run *run) {
        ssize_t n = run->input_left > 0 ? write(run->in, run->input, run->input_left) : 0;
        if (n > 0) {
                run->input += n;
                run->input_left -= (gsize) n;
        }
        if (run->input_left == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
                close(run->in); /* EPIPE: it does not want to know more */
                run->in = -1;
        }
}

/* Feeds and listens until the hook has ended. NULL, or why it was not waited for. */
static const char *attend(Run *run) {
        gint64 deadline = clock_monotonic() + HOOK_TIMEOUT_USEC;
        bool listening = true;
        for (;;) {
                struct pollfd p[] = {
                                {.fd = run->pidfd, .events = POLLIN},
                                {.fd = run->hooks->stop_fd, .events = POLLIN},
                                {.fd = listening ? run->out : -1, .events = POLLIN},
                                {.fd = run->in, .events = POLLOUT},
                };
                gint64 left = deadline - clock_monotonic();
                if (left <= 0)
                        return "did not end within 30 s";
                if (poll(p, G_N_ELEMENTS(p), (int) (left / 1000) + 1) < 0 && errno != EINTR)
                        return "could not be waited for";
                if (p[1].revents)
                        return "was ended: the agent stops";
                if (p[2].revents)
                        listening = take_output(run);
                if (p[3].revents)
                        give_input(run);
                if (p[0].revents) {
                        for (guint i = 0; i < 64 && listening; i++) { /* what it left in the pipe */
                                struct pollfd rest = {.fd = run->out, .events = POLLIN};
                                if (poll(&rest, 1, 0) <= 0 || !take_output(run))
                                        break;
                        }
                        return NULL;
                }
        }
}

static bool run_one(Hooks *hooks, const char *name, const char *path, const char *point, const char *json,
                    GError **error) {
        Run run = {.hooks = hooks,
                   .path = path,
                   .name = name,
                   .point = point,
                   .pidfd = -1,
                   .in = -1,
                   .out = -1,
                   .input = json,
                   .input_left = strlen(json)};
        if (!spawn(&run, error)) {
                if (run.in >= 0)
                        close(run.in);
                if (run.out >= 0)
                        close(run.out);
                return false;
        }
        run.line = g_string_new(NULL);
        const char *why = run.pidfd >= 0 ? attend(&run) : "could not be waited for";
        if (why)
                (void) kill(-run.pid, SIGKILL);
        int status = 0;
        while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR)
                ;
        flush_line(&run);
        g_string_free(run.line, /* free_segment= */ TRUE);
        if (run.in >= 0)
                close(run.in);
        close(run.out);
        if (run.pidfd >= 0)
                close(run.pidfd);

        if (!why && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return true;
        if (why)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s %s", path, why);
        else if (WIFEXITED(status))
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED,
                            "hook %s ended with status %d; its output is in the journal", path,
                            WEXITSTATUS(status));
        else
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s was ended by signal %d", path,
                            WTERMSIG(status));
        return false;
}

bool hooks_run(Hooks *hooks, const char *point, const char *json, GError **error) {
        g_autoptr(GHashTable) found = list_hooks(hooks);
        g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(found), compare);
        for (GList *l = names; l; l = l->next)
                if (!run_one(hooks, l->data, g_hash_table_lookup(found, l->data), point, json, error))
                        return false;
        return true;
}
