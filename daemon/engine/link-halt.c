/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See link-halt.h. */

#include "engine/link-halt.h"

LinkHalt *link_halt_copy(const LinkHalt *halt) {
        if (!halt)
                return NULL;
        LinkHalt *copy = g_memdup2(halt, sizeof *halt);
        copy->file = g_strdup(halt->file);
        copy->database = g_strdup(halt->database);
        copy->sql = halt->sql ? g_bytes_ref(halt->sql) : NULL;
        return copy;
}

void link_halt_free(LinkHalt *halt) {
        if (!halt)
                return;
        g_free(halt->file);
        g_free(halt->database);
        g_clear_pointer(&halt->sql, g_bytes_unref);
        g_free(halt);
}
