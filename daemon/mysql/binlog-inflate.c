/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See binlog-inflate.h. */

#include "mysql/binlog-inflate.h"

#include <zlib.h>

#include "base/error.h"
#include "mysql/bytes.h"

static gpointer refuse(const char *what, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "Compressed binary log data: %s", what);
        return NULL;
}

guint8 *binlog_inflate(const guint8 *p, const guint8 *end, gsize *ret_size, GError **error) {
        if (p >= end || !(*p & 0x80) || *p >> 4 & 7)
                return refuse("it is not zlib", error);
        unsigned n = *p++ & 7;
        if (n < 1 || n > 4 || (gsize) (end - p) < n)
                return refuse("no length", error);
        guint64 size = bytes_be(p, n);
        p += n;
        /* Deflate cannot do better than 1032 : 1, so a short text cannot make us reserve much. */
        if (size > BINLOG_INFLATE_MAX || size / 1032 > (guint64) (end - p))
                return refuse("impossible length", error);

        g_autofree guint8 *bytes = g_malloc(size + 1);
        uLongf inflated = size;
        uLong used = (uLong) (end - p);
        if (uncompress2(bytes, &inflated, p, &used) != Z_OK || inflated != size || used != (uLong) (end - p))
                return refuse("it is damaged", error);
        bytes[size] = '\0';
        *ret_size = size;
        return g_steal_pointer(&bytes);
}
