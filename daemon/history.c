/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See history.h. */

#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"

#define TAIL_MAX (8 * 1024 * 1024)

static void add(JsonObject *object, const char *member, const char *text) {
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        json_object_set_string_member(object, member, valid);
}

bool history_append(const char *directory, const char *event, int priority, const char *message,
                    GError **error, ...) {
        g_autoptr(JsonObject) object = json_object_new();
        json_object_set_int_member(object, "at", (gint64) clock_real());
        add(object, "event", event);
        json_object_set_int_member(object, "priority", priority);
        add(object, "message", message);

        va_list args;
        va_start(args, error);
        for (const char *member = va_arg(args, const char *); member; member = va_arg(args, const char *)) {
                const char *text = va_arg(args, const char *);
                if (text)
                        add(object, member, text);
        }
        va_end(args);

        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
        g_autofree char *line = json_to_string(node, /* pretty= */ FALSE);
        g_autofree char *path = g_build_filename(directory, "history.jsonl", NULL);
        return fs_append_line(path, line, error);
}

/* The end of the file, from a line's begin. "" when there is none. */
static char *read_tail(const char *path, GError **error) {
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 && errno == ENOENT)
                return g_strdup("");
        if (fd < 0 || fstat(fd, &st) < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot open %s: %s", path, g_strerror(errno));
                if (fd >= 0)
                        close(fd);
                return NULL;
        }
        off_t start = st.st_size > TAIL_MAX ? st.st_size - TAIL_MAX : 0;
        gsize size = (gsize) (st.st_size - start), got = 0;
        g_autofree char *text = g_malloc(size + 1);
        ssize_t n = 0;
        while (got < size &&
               ((n = pread(fd, text + got, size - got, start + (off_t)got)) > 0 || (n < 0 && errno == EINTR)))
                got += n > 0 ? (gsize) n : 0;
        close(fd);
        text[got] = 0;
        const char *newline = start > 0 ? strchr(text, '\n') : NULL;
        return newline ? g_strdup(newline + 1) : g_steal_pointer(&text);
}

char *history_read(const char *directory, guint64 since, GError **error) {
        g_autofree char *path = g_build_filename(directory, "history.jsonl", NULL);
        g_autofree char *text = read_tail(path, error);
        if (!text)
                return NULL;

        g_autoptr(GString) array = g_string_new("[");
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        for (guint i = 0; lines[i]; i++) {
                /* a line that a crash cut short is passed over */
                g_autoptr(JsonNode) node = *lines[i] ? json_from_string(lines[i], NULL) : NULL;
                if (!node || !JSON_NODE_HOLDS_OBJECT(node))
                        continue;
                gint64 at = json_object_get_int_member_with_default(json_node_get_object(node), "at", 0);
                if (at < 0 || (guint64) at < since)
                        continue;
                if (array->len > 1)
                        g_string_append_c(array, ',');
                g_string_append(array, lines[i]);
        }
        g_string_append_c(array, ']');
        return g_string_free(g_steal_pointer(&array), /* free_segment= */ FALSE);
}
