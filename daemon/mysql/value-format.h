/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* How numbers are written as literals, shared by the two ways into a literal (value.c, value-binlog.c), and how the bytes of '…' are
 * read again. Written by hand: hundreds of thousands of rows per second pass here. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/schema.h"

/* "00" "01" … "99" in one string. */
extern const char value_digit_pairs[201];

static inline char *value_put2(char *p, unsigned v) {
        p[0] = value_digit_pairs[v * 2];
        p[1] = value_digit_pairs[v * 2 + 1];
        return p + 2;
}

void value_append_uint(GString *out, guint64 v);
void value_append_int(GString *out, gint64 v);
/* Zero-padded to DIGITS, at most 20. Returns the end. */
char *value_put_padded(char *p, guint64 v, unsigned digits);
/* %.9g (DIGITS 9) or %.17g; false for infinities and NaN, which no server stores. The sign of zero is kept. */
bool value_append_double(GString *out, double v, unsigned digits);
/* A value of the FLOAT or DOUBLE column; false as above, or when a server would round it. */
bool value_append_real(GString *out, const Column *column, double v);
/* x'…' of the low BYTES bytes of V, high byte first. */
void value_append_bits(GString *out, guint64 v, unsigned bytes);

/* Reads '…' byte by byte; *p points behind the opening quote. -1 at the end. */
static inline int value_next_byte(const char **p) {
        char c = **p;
        if (G_UNLIKELY(c == '\'' || c == '\0'))
                return -1;
        if (G_UNLIKELY(c == '\\')) {
                c = *++*p;
                if (c == '\0')
                        return -1;
                c = c == '0' ? '\0' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'Z' ? '\x1a' : c;
        }
        (*p)++;
        return (guint8) c;
}
