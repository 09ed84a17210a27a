/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Failpoints that hold (base/failpoint.h). $POLARSHIFT_FAILPOINTS is a folder. A point OPERATION.STEP.WHEN for which a file of that name is
 * in it says so by another one with `.reached` behind its name, and waits until the first one is gone. Every point that is passed is a line in the file
 * `passed`, so that a test knows that it has them all. A file limit.NAME there has the number that is taken for that limit. */

#include "base/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#define LOOK_USEC 3000

static void append(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                g_error("%s: %s", path, g_strerror(errno));
        close(fd);
}

void failpoint(const char *operation, const char *step, const char *when) {
        const char *folder = getenv("POLARSHIFT_FAILPOINTS");
        if (!folder)
                return;
        g_autofree char *name = g_strdup_printf("%s.%s.%s", operation, step, when);
        g_autofree char *line = g_strconcat(name, "\n", NULL);
        g_autofree char *passed = g_build_filename(folder, "passed", NULL);
        g_autofree char *hold = g_build_filename(folder, name, NULL);
        g_autofree char *reached = g_strconcat(hold, ".reached", NULL);
        append(passed, line);
        if (access(hold, F_OK) < 0)
                return;
        append(reached, "");
        while (access(hold, F_OK) == 0)
                g_usleep(LOOK_USEC);
}

unsigned failpoint_limit(const char *name, unsigned usual) {
        const char *folder = getenv("POLARSHIFT_FAILPOINTS");
        g_autofree char *file = g_strconcat("limit.", name, NULL);
        g_autofree char *path = folder ? g_build_filename(folder, file, NULL) : NULL;
        g_autofree char *text = NULL;
        return path && g_file_get_contents(path, &text, NULL, NULL) ? (unsigned) g_ascii_strtoull(text, NULL, 10) : usual;
}
