/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* MariaDB's compressed bodies (log_bin_compress): 0x80 | algorithm << 4 | n, the length in n bytes, high byte first, zlib. */

#include <glib.h>

#define BINLOG_INFLATE_MAX (G_GUINT64_CONSTANT(1) << 30)

/* The inflated bytes, to be freed with g_free(), and their number (which is that announced). */
guint8 *binlog_inflate(const guint8 *p, const guint8 *end, gsize *ret_size, GError **error);
