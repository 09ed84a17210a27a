/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Numbers in byte strings of the server. Callers check the length first, except for bytes_lenenc(), which has an end. */

#include <stdbool.h>
#include <string.h>

#include <glib.h>

/* Behind SIZE bytes; an empty buffer may have no address to count from. */
static inline const guint8 *bytes_end(const guint8 *p, gsize size) {
        return size > 0 ? p + size : p;
}

static inline guint16 bytes_le16(const guint8 *p) {
        guint16 v;
        memcpy(&v, p, sizeof v);
        return GUINT16_FROM_LE(v);
}

static inline guint32 bytes_le24(const guint8 *p) {
        return p[0] | (guint32) p[1] << 8 | (guint32) p[2] << 16;
}

static inline guint32 bytes_le32(const guint8 *p) {
        guint32 v;
        memcpy(&v, p, sizeof v);
        return GUINT32_FROM_LE(v);
}

static inline guint64 bytes_le48(const guint8 *p) {
        return bytes_le32(p) | (guint64) bytes_le16(p + 4) << 32;
}

static inline guint64 bytes_le64(const guint8 *p) {
        guint64 v;
        memcpy(&v, p, sizeof v);
        return GUINT64_FROM_LE(v);
}

/* N ≤ 8 */
static inline guint64 bytes_le(const guint8 *p, unsigned n) {
        guint64 v = 0;
        while (n-- > 0)
                v = v << 8 | p[n];
        return v;
}

static inline guint64 bytes_be(const guint8 *p, unsigned n) {
        guint64 v = 0;
        for (unsigned i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v;
}

/* The length-encoded integer of the protocol; 251 (NULL) and 255 are not numbers. */
static inline bool bytes_lenenc(const guint8 **p, const guint8 *end, guint64 *ret) {
        if (*p >= end)
                return false;
        guint8 first = **p;
        unsigned n = first == 252 ? 2 : first == 253 ? 3 : first == 254 ? 8 : 0;
        if (first == 251 || first == 255 || (gsize) (end - *p) < 1 + n)
                return false;
        *ret = n ? bytes_le(*p + 1, n) : first;
        *p += 1 + n;
        return true;
}
