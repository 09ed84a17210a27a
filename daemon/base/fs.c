/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fs.h. */

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static bool fail(GError **error, const char *what, const char *path) {
        int saved = errno;
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s %s: %s", what, path, g_strerror(saved));
        return false;
}

static bool write_all(int fd, const char *text, gsize length) {
        while (length > 0) {
                ssize_t n = write(fd, text, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return false;
                text += n;
                length -= (gsize) n;
        }
        return true;
}

static void sync_parent(const char *path) {
        g_autofree char *parent = g_path_get_dirname(path);
        int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
                (void) fsync(fd);
                close(fd);
        }
}

bool fs_replace(const char *path, const char *text, gssize length, unsigned mode, GError **error) {
        g_autofree char *temporary = g_strdup_printf("%s.XXXXXX", path);
        gsize n = length < 0 ? strlen(text) : (gsize) length;

        int fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC, (int) mode);
        if (fd < 0)
                return fail(error, "cannot create", temporary);
        bool written = write_all(fd, text, n) && fdatasync(fd) == 0;
        int saved = errno;
        if (close(fd) < 0 && written) {
                written = false;
                saved = errno;
        }
        if (written && rename(temporary, path) == 0) {
                sync_parent(path);
                return true;
        }
        if (written)
                saved = errno;
        (void) unlink(temporary);
        errno = saved;
        return fail(error, "cannot write", path);
}

bool fs_read(const char *path, gsize max, char **ret_text, gsize *ret_length, GError **error) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return fail(error, "cannot open", path);

        g_autoptr(GString) text = g_string_new(NULL);
        char buffer[16384];
        for (;;) {
                ssize_t n = read(fd, buffer, sizeof buffer);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int saved = errno;
                        close(fd);
                        errno = saved;
                        return fail(error, "cannot read", path);
                }
                if (n == 0)
                        break;
                if (text->len + (gsize) n > max) {
                        close(fd);
                        errno = EFBIG;
                        return fail(error, "cannot read", path);
                }
                g_string_append_len(text, buffer, n);
        }
        close(fd);
        if (ret_length)
                *ret_length = text->len;
        *ret_text = g_string_free(g_steal_pointer(&text), /* free_segment= */ FALSE);
        return true;
}

bool fs_append_line(const char *path, const char *line, GError **error) {
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
                return fail(error, "cannot open", path);
        g_autofree char *whole = g_strconcat(line, "\n", NULL);
        bool good = write_all(fd, whole, strlen(whole)) && fdatasync(fd) == 0;
        int saved = errno;
        close(fd);
        errno = saved;
        return good || fail(error, "cannot append to", path);
}

bool fs_make_dir(const char *path, GError **error) {
        return g_mkdir_with_parents(path, 0700) == 0 || fail(error, "cannot create folder", path);
}

bool fs_remove_tree(const char *path, GError **error) {
        struct stat st;
        if (lstat(path, &st) < 0)
                return errno == ENOENT || fail(error, "cannot remove", path);
        if (S_ISDIR(st.st_mode)) {
                g_autoptr(GDir) dir = g_dir_open(path, 0, error);
                if (!dir)
                        return false;
                for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
                        g_autofree char *child = g_build_filename(path, name, NULL);
                        if (!fs_remove_tree(child, error))
                                return false;
                }
        }
        return remove(path) == 0 || fail(error, "cannot remove", path);
}
