/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Buffers that are used again and again keep what they once grew to; after a huge row that would be many times its size, in each thread
 * that met it. */

#include <glib.h>

#define BUFFER_KEEP (8u * 1024 * 1024)

/* Empties BUFFER, and gives back what it holds beyond BUFFER_KEEP. */
static inline void buffer_trim(GString *buffer) {
        g_string_truncate(buffer, 0);
        if (buffer->allocated_len > BUFFER_KEEP) {
                buffer->allocated_len = 4096;
                buffer->str = g_realloc(buffer->str, buffer->allocated_len);
        }
}
