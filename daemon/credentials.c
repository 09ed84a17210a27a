/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See credentials.h. Secrets live in buffers of their own that are wiped, never in GString or stdio, whose
 * growing leaves copies. */

#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "engine/spec.h"
#include "seal.h"

#define KEY_NAME "polarshift-key"

struct Credentials {
        char *folder;
        char *given;       /* systemd's, or NULL */
        Seal *seal;        /* what is stored is encrypted */
        GError *key_error; /* it should be, and cannot */
};

void credentials_free(Credentials *credentials) {
        if (!credentials)
                return;
        seal_free(credentials->seal);
        g_clear_error(&credentials->key_error);
        g_free(credentials->folder);
        g_free(credentials->given);
        g_free(credentials);
}

void credentials_wipe(char *secret, gsize length) {
        if (secret)
                explicit_bzero(secret, length);
        g_free(secret);
}

static bool fail(GError **error, const char *what, const char *name) {
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s credential '%s': %s", what, name,
                    g_strerror(errno));
        return false;
}

/* → 1 read, 0 there is none, -1 error */
static int read_file(const char *path, const char *name, char **ret, gsize *ret_length, GError **error) {
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0) {
                if (errno == ENOENT)
                        return 0;
                fail(error, "cannot open", name);
                return -1;
        }
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CREDENTIAL_MAX + SEAL_OVERHEAD_MAX) {
                close(fd);
                errno = EFBIG;
                fail(error, "cannot read", name);
                return -1;
        }
        gsize size = (gsize) st.st_size, got = 0;
        char *text = g_malloc(size + 1);
        ssize_t n = 0;
        while (got < size && ((n = read(fd, text + got, size - got)) > 0 || (n < 0 && errno == EINTR)))
                got += n > 0 ? (gsize) n : 0;
        close(fd);
        if (n < 0) {
                fail(error, "cannot read", name);
                credentials_wipe(text, size + 1);
                return -1;
        }
        text[got] = 0;
        *ret = text;
        *ret_length = got;
        return 1;
}

static void read_key(Credentials *credentials) {
        g_autofree char *path = credentials->given ? g_build_filename(credentials->given, KEY_NAME, NULL) : NULL;
        char *key = NULL;
        gsize length = 0;
        if (!path || read_file(path, KEY_NAME, &key, &length, &credentials->key_error) <= 0)
                return;
        credentials->seal = seal_new(key, length, &credentials->key_error);
        credentials_wipe(key, length);
}

/* What was stored before there was a key. */
static bool seal_stored(const Credentials *credentials, GError **error) {
        g_autoptr(GDir) dir = g_dir_open(credentials->folder, 0, error);
        if (!dir)
                return false;
        for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
                g_autofree char *path = g_build_filename(credentials->folder, name, NULL);
                char *text = NULL;
                gsize length = 0;
                if (!spec_credential_name_valid(name))
                        continue;
                int r = read_file(path, name, &text, &length, error);
                bool good = r == 0 || (r > 0 && (seal_is_sealed(text, length) || credentials_store(credentials, name, text, length, error)));
                credentials_wipe(text, length);
                if (!good)
                        return false;
        }
        return true;
}

Credentials *credentials_new(const char *state_directory, GError **error) {
        g_autoptr(Credentials) credentials = g_new0(Credentials, 1);
        credentials->folder = g_build_filename(state_directory, "credentials", NULL);
        credentials->given = g_strdup(g_getenv("CREDENTIALS_DIRECTORY"));
        if (!fs_make_dir(credentials->folder, error))
                return NULL;
        if (chmod(credentials->folder, 0700) < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot protect %s: %s", credentials->folder,
                            g_strerror(errno));
                return NULL;
        }
        read_key(credentials);
        if (credentials->seal && !seal_stored(credentials, error))
                return NULL;
        return g_steal_pointer(&credentials);
}

static void drop_newline(char *secret, gsize *length) {
        /* a PEM text keeps its last newline: it has others */
        if (*length > 0 && secret[*length - 1] == '\n' && memchr(secret, '\n', *length - 1) == NULL)
                secret[--*length] = 0;
}

/* SECRET (wiped and freed) as it was before it was stored. */
static char *unseal(const Credentials *credentials, const char *name, char *secret, gsize length, GError **error) {
        char *opened = NULL;
        gsize opened_length;
        if (!seal_is_sealed(secret, length))
                return secret;
        if (credentials->seal)
                (void) seal_open(credentials->seal, name, secret, length, &opened, &opened_length, error);
        else
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "credential '%s' is stored encrypted: %s", name,
                            credentials->key_error ? credentials->key_error->message
                                                   : "give the unit the systemd credential '" KEY_NAME "' that it was stored under");
        credentials_wipe(secret, length);
        return opened;
}

char *credentials_read(const Credentials *credentials, const char *name, GError **error) {
        char *secret = NULL;
        gsize length = 0;
        if (!spec_credential_name_valid(name) || strcmp(name, KEY_NAME) == 0) /* the key itself goes nowhere */
                return NULL;
        g_autofree char *stored = g_build_filename(credentials->folder, name, NULL);
        int r = read_file(stored, name, &secret, &length, error);
        if (r > 0)
                return unseal(credentials, name, secret, length, error);
        if (r == 0 && credentials->given) {
                g_autofree char *given = g_build_filename(credentials->given, name, NULL);
                r = read_file(given, name, &secret, &length, error);
                if (r > 0)
                        drop_newline(secret, &length);
        }
        return r > 0 ? secret : NULL;
}

bool credentials_may_store(const Credentials *credentials, const char *name, GError **error) {
        if (credentials->key_error) {
                g_propagate_error(error, g_error_copy(credentials->key_error));
                return false;
        }
        if (strcmp(name, KEY_NAME) != 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "'" KEY_NAME "' is given to the unit by systemd (LoadCredential=), not stored");
        return false;
}

bool credentials_store(const Credentials *credentials, const char *name, const char *secret, gsize length,
                       GError **error) {
        g_autofree char *path = g_build_filename(credentials->folder, name, NULL);
        g_autofree char *sealed = NULL;
        gsize sealed_length;
        if (!credentials_may_store(credentials, name, error))
                return false;
        if (!credentials->seal)
                return fs_replace(path, secret, (gssize) length, 0600, error);
        return seal_close(credentials->seal, name, secret, length, &sealed, &sealed_length, error) &&
               fs_replace(path, sealed, (gssize) sealed_length, 0600, error);
}

bool credentials_remove(const Credentials *credentials, const char *name, GError **error) {
        g_autofree char *path = g_build_filename(credentials->folder, name, NULL);
        if (unlink(path) == 0)
                return true;
        if (errno != ENOENT)
                return fail(error, "cannot remove", name);
        g_set_error(error, PS_ERROR, PS_ERROR_NO_SUCH_CREDENTIAL,
                    "no credential '%s' is stored (those that systemd hands over are removed in the unit)",
                    name);
        return false;
}

static void list_folder(GHashTable *names, const char *folder) {
        g_autoptr(GDir) dir = folder ? g_dir_open(folder, 0, NULL) : NULL;
        for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir))
                if (spec_credential_name_valid(name) && strcmp(name, KEY_NAME) != 0)
                        g_hash_table_add(names, g_strdup(name));
}

static int compare(gconstpointer a, gconstpointer b) {
        return strcmp(a, b);
}

char **credentials_list(const Credentials *credentials) {
        g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        list_folder(names, credentials->folder);
        list_folder(names, credentials->given);
        GList *sorted = g_list_sort(g_hash_table_get_keys(names), compare);
        GPtrArray *list = g_ptr_array_new();
        for (GList *l = sorted; l; l = l->next)
                g_ptr_array_add(list, g_strdup(l->data));
        g_list_free(sorted);
        g_ptr_array_add(list, NULL);
        return (char **) g_ptr_array_free(list, /* free_segment= */ FALSE);
}

/* Never blocks on a pipe that somebody else emptied between poll and read. */
static ssize_t read_some(int fd, char *buffer, gsize room) {
        struct iovec iov = {.iov_base = buffer, .iov_len = room};
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
                return read(fd, buffer, room);
        ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
        if (n < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS || errno == ESPIPE))
                n = read(fd, buffer, room);
        return n;
}

static bool read_all(int fd, char *buffer, gsize room, gsize *ret, GError **error) {
        gint64 deadline = clock_monotonic() + CREDENTIAL_READ_USEC;
        gsize got = 0;
        while (got < room) {
                gint64 left = deadline - clock_monotonic();
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (left <= 0 || poll(&p, 1, (int) (left / 1000) + 1) == 0) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "the descriptor was not written to its end within 5 s; close its other "
                                    "end");
                        return false;
                }
                ssize_t n = read_some(fd, buffer + got, room - got);
                if (n < 0 && errno != EINTR && errno != EAGAIN) {
                        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                                    "cannot read the descriptor: %s", g_strerror(errno));
                        return false;
                }
                if (n == 0) {
                        *ret = got;
                        return true;
                }
                got += n > 0 ? (gsize) n : 0;
        }
        g_set_error(error, PS_ERROR, PS_ERROR_LIMITS_EXCEEDED, "a credential is 1 MiB at most");
        return false;
}

bool credentials_read_fd(int fd, char **ret_secret, gsize *ret_length, GError **error) {
        gsize room = CREDENTIAL_MAX + 2, length = 0;
        char *secret = g_malloc0(room);
        bool good = read_all(fd, secret, CREDENTIAL_MAX + 1, &length, error);
        if (good) {
                drop_newline(secret, &length);
                secret[length] = 0;
                if (length == 0 || memchr(secret, 0, length)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                                    "the credential is empty, or holds a NUL byte");
                        good = false;
                }
        }
        if (good) {
                *ret_secret = g_strndup(secret, length);
                *ret_length = length;
        }
        credentials_wipe(secret, room);
        return good;
}
