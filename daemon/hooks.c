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
#define ASK_USEC (100 * USEC_PER_MSEC)
#define ANSWER_MAX (64 * 1024)
#define OUTPUT_LINES_MAX 100
#define OUTPUT_LINE_LENGTH 1000

struct Hooks {
        char **folders;
        Log *log;
        int stop_fd; /* readable once the agent stops */
};

typedef struct Run {
        Hooks *hooks;
        const char *path, *name;
        const HookCall *call;
        gint64 deadline; /* monotonic */
        pid_t pid;
        int pidfd, in, out, answer; /* ours ends; ANSWER: of standard output, when that is wanted */
        GString *said;              /* there; NULL: it is not */
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
        int in[2] = {-1, -1}, out[2] = {-1, -1}, answer[2] = {-1, -1};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none;
        char *argv[] = {(char *) run->path, (char *) run->call->point, NULL};

        int r = pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || (run->said && pipe2(answer, O_CLOEXEC) < 0) ? errno : 0;
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        if (r == 0) {
                posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
                posix_spawn_file_actions_adddup2(&actions, run->said ? answer[1] : out[1], STDOUT_FILENO);
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
        if (answer[1] >= 0)
                close(answer[1]);
        run->in = in[1];
        run->out = out[0];
        run->answer = answer[0];
        if (r != 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s cannot be run: %s", run->path,
                            g_strerror(r));
                return false;
        }
        (void) fcntl(run->in, F_SETFL, O_NONBLOCK);
        (void) fcntl(run->out, F_SETFL, O_NONBLOCK);
        (void) fcntl(run->answer, F_SETFL, O_NONBLOCK);
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

/* The same of its answer. Of one that is too long a byte too much is kept. */
static bool take_answer(Run *run) {
        char buffer[4096];
        ssize_t n = read(run->answer, buffer, sizeof buffer);
        if (n > 0 && run->said->len <= ANSWER_MAX)
                g_string_append_len(run->said, buffer, MIN(n, (ssize_t) (ANSWER_MAX + 1 - run->said->len)));
        return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* What it left in a pipe; somebody whom it started may still write there. */
static void drain(Run *run, int fd, bool (*take)(Run *run)) {
        for (guint i = 0; i < 64; i++) {
                struct pollfd rest = {.fd = fd, .events = POLLIN};
                if (poll(&rest, 1, 0) <= 0 || !take(run))
                        break;
        }
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
        const HookCall *call = run->call;
        bool listening = true, answering = run->said != NULL;
        for (;;) {
                struct pollfd p[] = {
                                {.fd = run->pidfd, .events = POLLIN},
                                {.fd = call->although_stopping ? -1 : run->hooks->stop_fd, .events = POLLIN},
                                {.fd = listening ? run->out : -1, .events = POLLIN},
                                {.fd = answering ? run->answer : -1, .events = POLLIN},
                                {.fd = run->in, .events = POLLOUT},
                };
                gint64 left = run->deadline - clock_monotonic();
                if (left <= 0)
                        return "did not end in time";
                if (call->stop && call->stop(call->userdata))
                        return "was ended on request";
                if (poll(p, G_N_ELEMENTS(p), (int) ((call->stop ? MIN(left, ASK_USEC) : left) / 1000) + 1) < 0 && errno != EINTR)
                        return "could not be waited for";
                if (p[1].revents)
                        return "was ended: the agent stops";
                if (p[2].revents)
                        listening = take_output(run);
                if (p[3].revents)
                        answering = take_answer(run);
                if (p[4].revents)
                        give_input(run);
                if (p[0].revents) {
                        if (listening)
                                drain(run, run->out, take_output);
                        if (answering)
                                drain(run, run->answer, take_answer);
                        return NULL;
                }
        }
}

static void close_fd(int fd) {
        if (fd >= 0)
                close(fd);
}

static bool is_well(const Run *run, const char *why, int status, GError **error) {
        if (why)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s %s", run->path, why);
        else if (WIFSIGNALED(status))
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s was ended by signal %d", run->path, WTERMSIG(status));
        else if (WEXITSTATUS(status) != 0)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s ended with status %d; its output is in the journal", run->path,
                            WEXITSTATUS(status));
        else if (run->said && run->said->len > ANSWER_MAX)
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s answered with more than %d bytes", run->path, ANSWER_MAX);
        else if (run->said && (strlen(run->said->str) != run->said->len || !g_utf8_validate(run->said->str, -1, NULL)))
                g_set_error(error, PS_ERROR, PS_ERROR_HOOK_FAILED, "hook %s answered with what is no text", run->path);
        else
                return true;
        return false;
}

static bool run_one(Hooks *hooks, const char *name, const char *path, const HookCall *call, gint64 until, GString *said, GError **error) {
        Run run = {.hooks = hooks,
                   .path = path,
                   .name = name,
                   .call = call,
                   .deadline = MIN(until, clock_monotonic() + HOOK_TIMEOUT_USEC),
                   .pidfd = -1,
                   .in = -1,
                   .out = -1,
                   .answer = -1,
                   .said = said,
                   .input = call->json,
                   .input_left = strlen(call->json)};
        bool good = spawn(&run, error);
        if (good) {
                int status = 0;
                run.line = g_string_new(NULL);
                const char *why = run.pidfd >= 0 ? attend(&run) : "could not be waited for";
                if (why)
                        (void) kill(-run.pid, SIGKILL);
                while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR)
                        ;
                flush_line(&run);
                g_string_free(run.line, /* free_segment= */ TRUE);
                good = is_well(&run, why, status, error);
        }
        close_fd(run.in);
        close_fd(run.out);
        close_fd(run.answer);
        close_fd(run.pidfd);
        return good;
}

bool hooks_run(Hooks *hooks, const HookCall *call, char **ret_output, GError **error) {
        g_autoptr(GHashTable) found = list_hooks(hooks);
        g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(found), compare);
        g_autoptr(GString) said = ret_output ? g_string_new(NULL) : NULL;
        gint64 until = call->timeout_usec > 0 ? clock_monotonic() + call->timeout_usec : G_MAXINT64;
        for (GList *l = names; l; l = l->next) {
                if (!run_one(hooks, l->data, g_hash_table_lookup(found, l->data), call, until, said, error))
                        return false;
                if (said && said->len > 0 && said->str[said->len - 1] != '\n') /* the next one begins its own line */
                        g_string_append_c(said, '\n');
        }
        if (ret_output)
                *ret_output = g_string_free(g_steal_pointer(&said), FALSE);
        return true;
}

bool hooks_are_there(Hooks *hooks) {
        g_autoptr(GHashTable) found = list_hooks(hooks);
        return g_hash_table_size(found) > 0;
}
