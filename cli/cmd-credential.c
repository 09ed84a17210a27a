/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Credentials: a secret comes from the terminal or a file and travels as a descriptor. It is never an
 * argument, never a string on the bus, and what held it is wiped. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

#include "cmd.h"
#include "format.h"
#include "value.h"

/* What the agent takes at most. */
#define SECRET_MAX (1024 * 1024)

typedef struct Secret {
        char *bytes; /* SECRET_MAX + 1, never grown: growing would leave copies behind */
        gsize length;
} Secret;

static void secret_clear(Secret *secret) {
        if (secret->bytes)
                explicit_bzero(secret->bytes, SECRET_MAX + 1);
        free(secret->bytes);
        *secret = (Secret){};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Secret, secret_clear)

static int secret_read(Secret *secret, int fd, bool one_line) {
        while (secret->length <= SECRET_MAX) {
                ssize_t n = read(fd, secret->bytes + secret->length, SECRET_MAX + 1 - secret->length);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                secret->length += (gsize) n;
                if (one_line && secret->bytes[secret->length - 1] == '\n')
                        break;
        }
        return secret->length > SECRET_MAX ? -EFBIG : 0;
}

static void on_signal(int number) {
        /* only there so that read() returns and the terminal gets its echo back */
}

static int secret_prompt(Secret *secret, const char *name) {
        struct sigaction interrupt = { .sa_handler = on_signal }, old_interrupt, old_terminate;
        struct termios silent, old;
        g_autofree char *safe = format_safe(name);
        int r;

        if (tcgetattr(STDIN_FILENO, &old) < 0)
                return -errno;
        (void) sigaction(SIGINT, &interrupt, &old_interrupt);
        (void) sigaction(SIGTERM, &interrupt, &old_terminate);
        silent = old;
        silent.c_lflag &= ~(tcflag_t) ECHO;
        silent.c_lflag |= ICANON | ISIG;
        (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        fprintf(stderr, "Password for credential %s: ", safe);
        fflush(stderr);
        r = secret_read(secret, STDIN_FILENO, true);
        (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        fputc('\n', stderr);
        (void) sigaction(SIGINT, &old_interrupt, NULL);
        (void) sigaction(SIGTERM, &old_terminate, NULL);
        return r;
}

static int secret_from_file(Secret *secret, const char *path) {
        int fd = STDIN_FILENO;
        int r;

        if (strcmp(path, "-") != 0) {
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (fd < 0)
                        return -errno;
        }
        r = secret_read(secret, fd, false);
        if (fd != STDIN_FILENO)
                (void) close(fd);
        return r;
}

/* A file in memory that nobody can change any more. */
static int secret_to_fd(const Secret *secret, int *ret) {
        gsize written = 0;
        int fd;

        fd = memfd_create("polarshift-credential", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        while (written < secret->length) {
                ssize_t n = write(fd, secret->bytes + written, secret->length - written);

                if (n < 0) {
                        int r = -errno;

                        (void) close(fd);
                        return r;
                }
                written += (gsize) n;
        }
        if (lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
                int r = -errno;

                (void) close(fd);
                return r;
        }
        *ret = fd;
        return 0;
}

static int read_secret(Client *client, const char *name, Secret *secret) {
        const char *path = client->options->password_file;
        int r;

        if (!path && !isatty(STDIN_FILENO))
                return client_usage(client,
                                    "Without a terminal set-credential needs --password-file=PATH; - is "
                                    "standard input.");
        secret->bytes = malloc(SECRET_MAX + 1);
        if (!secret->bytes)
                return client_fail(client, -ENOMEM, NULL);
        r = path ? secret_from_file(secret, path) : secret_prompt(secret, name);
        if (r == -EINTR) {
                client->interrupted = true;
                return client_fail(client, r, NULL);
        }
        if (r == -EFBIG)
                return client_usage(client, "A credential is at most 1 MiB.");
        if (r < 0 && path)
                return client_usage(client, "%s cannot be read: %s", path, g_strerror(-r));
        if (r < 0)
                return client_fail(client, r, NULL);
        if (secret->length == 0 || (secret->length == 1 && secret->bytes[0] == '\n'))
                return client_usage(client, "The credential is empty; nothing was changed.");
        return STATUS_DONE;
}

int cmd_set_credential(Client *client, const Verb *verb, char **words) {
        static const struct rlimit no_core = { 0, 0 };
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        g_auto(Secret) secret = {};
        int fd = -1;
        int r;

        (void) setrlimit(RLIMIT_CORE, &no_core);
        r = read_secret(client, words[0], &secret);
        if (r != STATUS_DONE)
                return r;
        r = secret_to_fd(&secret, &fd);
        secret_clear(&secret);
        if (r < 0)
                return client_fail(client, r, NULL);
        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, "SetCredential", &call, &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "sh", words[0], fd);
        (void) close(fd); /* the message holds its own */
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        return r < 0 ? client_fail(client, r, &error) : done(client, "credential", words[0], "set");
}

int cmd_remove_credential(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL;
        int r;

        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, "RemoveCredential", &call, &error);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", words[0]);
        if (r >= 0)
                r = client_append_end(client, call, 0);
        if (r >= 0)
                r = client_call_authorised(client, call, NULL, &error);
        return r < 0 ? client_fail(client, r, &error) : done(client, "credential", words[0], "removed");
}

int cmd_credentials(Client *client, const Verb *verb, char **words) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autoptr(sd_bus_message) call = NULL, reply = NULL;
        g_autoptr(JsonNode) node = NULL;
        g_autoptr(GString) out = g_string_new(NULL);
        JsonArray *names;
        int r;

        r = client_method(client, AGENT_PATH, MANAGER_INTERFACE, "ListCredentials", &call, &error);
        if (r >= 0)
                r = client_call_authorised(client, call, &reply, &error);
        if (r < 0)
                return client_fail(client, r, &error);
        if (!sd_bus_message_has_signature(reply, "as") || value_read(reply, &node) < 0) {
                (void) sd_bus_error_set(&error, CTL_ERROR_BAD_REPLY, "The agent's answer is malformed.");
                return client_fail(client, -EBADMSG, &error);
        }
        names = json_node_get_array(node);
        if (client->options->json != JSON_OFF)
                format_json(client->options, node, out);
        else if (json_array_get_length(names) == 0)
                format_note(client->options, "There are no credentials.");
        else
                for (guint i = 0; i < json_array_get_length(names); i++) {
                        format_append_safe(out, json_array_get_string_element(names, i));
                        g_string_append_c(out, '\n');
                }
        format_output(client->options, out);
        return STATUS_DONE;
}
