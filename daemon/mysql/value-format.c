/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers as literals; see value-format.h. */

#include "mysql/value-format.h"

#include <float.h>
#include <math.h>
#include <string.h>

const char value_digit_pairs[201] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

void value_append_uint(GString *out, guint64 v) {
        char buffer[20], *p = buffer + sizeof buffer;
        while (v >= 100) {
                p -= 2;
                value_put2(p, (unsigned) (v % 100));
                v /= 100;
        }
        if (v >= 10) {
                p -= 2;
                value_put2(p, (unsigned) v);
        } else
                *--p = (char) ('0' + v);
        g_string_append_len(out, p, buffer + sizeof buffer - p);
}

void value_append_int(GString *out, gint64 v) {
        if (v < 0) {
                g_string_append_c(out, '-');
                value_append_uint(out, -(guint64) v);
        } else
                value_append_uint(out, (guint64) v);
}

char *value_put_padded(char *p, guint64 v, unsigned digits) {
        for (unsigned i = digits; i-- > 0; v /= 10)
                p[i] = (char) ('0' + v % 10);
        return p + digits;
}

bool value_append_double(GString *out, double v, unsigned digits) {
        char buffer[G_ASCII_DTOSTR_BUF_SIZE];

        if (!isfinite(v))
                return false;
        if (v == 0) {
                /* "-0" would be an integer literal, and that has no negative zero. */
                g_string_append(out, signbit(v) ? "-0e0" : "0");
                return true;
        }
        if (fabs(v) < 1e9 && v == (double) (gint64) v) {
                value_append_int(out, (gint64) v);
                return true;
        }
        g_ascii_formatd(buffer, sizeof buffer, digits == 9 ? "%.9g" : "%.17g", v);
        /* 9 digits of the largest FLOATs round up to more than a FLOAT holds: servers store the right value, but with warning 1264. */
        if (digits == 9 && fabs(g_ascii_strtod(buffer, NULL)) > (double) FLT_MAX)
                g_ascii_formatd(buffer, sizeof buffer, "%.17g", v);
        g_string_append(out, buffer);
        return true;
}

/* The largest FLOAT(M,D) may be stored as more than its type allows (9999999.999 as 10000000), and servers warn of what is
 * above: it is written as M digits, which a server stores as it is. */
static bool append_largest(GString *out, const Column *column, double v) {
        unsigned whole = column->precision - MIN(column->precision, column->scale);
        gsize start = out->len;
        double limit = 1;

        for (unsigned i = 0; i < whole; i++)
                limit *= 10;
        if (fabs(v) < limit)
                return false;
        if (v < 0)
                g_string_append_c(out, '-');
        if (whole == 0)
                g_string_append_c(out, '0');
        for (unsigned i = 0; i < column->precision; i++) {
                if (i == whole)
                        g_string_append_c(out, '.');
                g_string_append_c(out, '9');
        }
        double written = g_ascii_strtod(out->str + start, NULL);
        if ((column->kind == COLUMN_KIND_FLOAT ? (double) (float) written : written) == v)
                return true;
        g_string_truncate(out, start);
        return false;
}

/* What a server makes of a literal on its way into a column with D digits behind the point (Field_real::truncate()). */
static double stored_as(const Column *column, const char *literal) {
        double v = g_ascii_strtod(literal, NULL), whole = floor(v), digits = 1;
        for (unsigned i = 0; i < column->scale; i++)
                digits *= 10;
        v = whole + rint((v - whole) * digits) / digits;
        return column->kind == COLUMN_KIND_FLOAT ? (double) (float) v : v;
}

bool value_append_real(GString *out, const Column *column, double v) {
        gsize start = out->len;

        if (!isfinite(v))
                return false;
        if (column->precision > 0 && append_largest(out, column, v))
                return true;
        if (!value_append_double(out, v, column->kind == COLUMN_KIND_FLOAT ? 9 : 17))
                return false;
        /* INSERT … SELECT from a FLOAT column into a FLOAT(M,D) copies more digits than D; no literal brings them there. */
        if (column->precision == 0 || stored_as(column, out->str + start) == v)
                return true;
        /* 13290.1855, which is as exact as a FLOAT is, is no longer what 13290.186 was stored as. */
        char buffer[400]; /* 309 digits and 30 behind the point */
        char format[8];
        g_snprintf(format, sizeof format, "%%.%uf", MIN(column->scale, 30u));
        g_ascii_formatd(buffer, sizeof buffer, format, v);
        g_string_truncate(out, start);
        if (stored_as(column, buffer) != v)
                return false;
        g_string_append(out, buffer);
        return true;
}

void value_append_bits(GString *out, guint64 v, unsigned bytes) {
        static const char hex[] = "0123456789abcdef";
        char buffer[3 + 16], *p = buffer;

        *p++ = 'x';
        *p++ = '\'';
        for (unsigned i = bytes; i-- > 0;) {
                *p++ = hex[v >> (8 * i + 4) & 15];
                *p++ = hex[v >> (8 * i) & 15];
        }
        *p++ = '\'';
        g_string_append_len(out, buffer, p - buffer);
}
