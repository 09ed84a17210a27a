/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See again.h. */

#include "engine/again.h"

#include <string.h>

static const char *name_of(const char *line) {
        const char *blank = strchr(line, ' ');
        return blank ? blank + 1 : "";
}

static bool find(const GPtrArray *again, const char *name, guint *ret) {
        for (guint i = 0; again && i < again->len; i++)
                if (strcmp(name_of(again->pdata[i]), name) == 0) {
                        *ret = i;
                        return true;
                }
        return false;
}

const char *again_name(const GPtrArray *again, guint i) {
        return name_of(again->pdata[i]);
}

void again_add(GPtrArray *again, const char *name, guint64 seq) {
        guint i;
        if (find(again, name, &i))
                g_ptr_array_remove_index(again, i);
        g_ptr_array_add(again, g_strdup_printf("!%" G_GUINT64_FORMAT " %s", seq, name));
}

guint64 again_seq(const GPtrArray *again, const char *name) {
        guint i;
        if (!find(again, name, &i))
                return 0;
        const char *line = again->pdata[i];
        return g_ascii_strtoull(*line == '!' ? line + 1 : line, NULL, 10);
}

char *again_to_empty(const GPtrArray *again) {
        for (guint i = 0; i < again->len; i++)
                if (*(const char *) again->pdata[i] == '!')
                        return g_strdup(name_of(again->pdata[i]));
        return NULL;
}

void again_emptied(GPtrArray *again, const char *name) {
        guint i;
        if (!find(again, name, &i) || *(const char *) again->pdata[i] != '!')
                return;
        char *line = g_strdup((const char *) again->pdata[i] + 1);
        g_free(again->pdata[i]);
        again->pdata[i] = line;
}
