/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of binary log row images as SQL literals; see value.h. First the bytes of a value are cut off by the type and
 * metadata of the TABLE_MAP, then they are rendered. The encodings are those of the servers' Field classes. */

#include "mysql/value.h"

#include <string.h>

#include "base/error.h"
#include "mysql/binlog-types.h"
#include "mysql/bytes.h"
#include "mysql/sql.h"
#include "mysql/value-format.h"

typedef struct Extent {
        const guint8 *data;
        gsize size;
} Extent;

/* Bytes of N decimal digits of an incomplete group. */
static const guint8 decimal_bytes[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};

static unsigned decimal_size(unsigned precision, unsigned scale) {
        unsigned whole = precision - scale;
        return whole / 9 * 4 + decimal_bytes[whole % 9] + scale / 9 * 4 + decimal_bytes[scale % 9];
}

typedef enum Width {
        WIDTH_FIXED,
        WIDTH_PREFIXED, /* the length in bytes stands in front, in `prefix` bytes, and is at most `max` */
        WIDTH_IMPOSSIBLE,
        WIDTH_UNKNOWN,
} Width;

static Width string_width(guint16 max_length, unsigned *ret_prefix, gsize *ret_max) {
        *ret_prefix = max_length > 255 ? 2 : 1;
        *ret_max = max_length;
        return WIDTH_PREFIXED;
}

static Width temporal_width(unsigned whole, guint16 fsp, gsize *ret_size) {
        *ret_size = whole + (fsp + 1u) / 2;
        return fsp <= 6 ? WIDTH_FIXED : WIDTH_IMPOSSIBLE;
}

static Width value_width(guint8 type, guint16 meta, unsigned *ret_prefix, gsize *ret_size) {
        switch (type) {
        case BINLOG_TYPE_TINY:
        case BINLOG_TYPE_YEAR:
                *ret_size = 1;
                return WIDTH_FIXED;
        case BINLOG_TYPE_SHORT:
                *ret_size = 2;
                return WIDTH_FIXED;
        case BINLOG_TYPE_INT24:
        case BINLOG_TYPE_DATE:
        case BINLOG_TYPE_NEWDATE:
        case BINLOG_TYPE_TIME:
                *ret_size = 3;
                return WIDTH_FIXED;
        case BINLOG_TYPE_LONG:
        case BINLOG_TYPE_FLOAT:
        case BINLOG_TYPE_TIMESTAMP:
                *ret_size = 4;
                return WIDTH_FIXED;
        case BINLOG_TYPE_LONGLONG:
        case BINLOG_TYPE_DOUBLE:
        case BINLOG_TYPE_DATETIME:
                *ret_size = 8;
                return WIDTH_FIXED;
        case BINLOG_TYPE_TIMESTAMP2:
                return temporal_width(4, meta, ret_size);
        case BINLOG_TYPE_DATETIME2:
                return temporal_width(5, meta, ret_size);
        case BINLOG_TYPE_TIME2:
                return temporal_width(3, meta, ret_size);
        case BINLOG_TYPE_NEWDECIMAL: {
                unsigned precision = meta & 0xff, scale = meta >> 8;
                if (precision < 1 || precision > 65 || scale > precision)
                        return WIDTH_IMPOSSIBLE;
                *ret_size = decimal_size(precision, scale);
                return WIDTH_FIXED;
        }
        case BINLOG_TYPE_BIT: {
                unsigned bits = meta & 0xff, bytes = meta >> 8;
                *ret_size = bytes + (bits > 0);
                return bits < 8 && *ret_size >= 1 && *ret_size <= 8 ? WIDTH_FIXED : WIDTH_IMPOSSIBLE;
        }
        case BINLOG_TYPE_ENUM:
        case BINLOG_TYPE_SET:
                *ret_size = meta;
                return meta >= 1 && meta <= 8 ? WIDTH_FIXED : WIDTH_IMPOSSIBLE;
        case BINLOG_TYPE_STRING:
        case BINLOG_TYPE_VARCHAR:
                return string_width(meta, ret_prefix, ret_size);
        case BINLOG_TYPE_BLOB:
        case BINLOG_TYPE_GEOMETRY:
        case BINLOG_TYPE_JSON:
                *ret_prefix = meta;
                *ret_size = G_MAXUINT32;
                return meta >= 1 && meta <= 4 ? WIDTH_PREFIXED : WIDTH_IMPOSSIBLE;
        }
        return WIDTH_UNKNOWN;
}

static bool value_extent(guint8 type, guint16 meta, const guint8 **p, const guint8 *end, Extent *ret,
                         GError **error) {
        unsigned prefix = 0;
        gsize size = 0, left = (gsize) (end - *p);

        switch (value_width(type, meta, &prefix, &size)) {
        case WIDTH_FIXED:
                break;
        case WIDTH_PREFIXED: {
                if (left < prefix)
                        goto truncated;
                guint64 length = bytes_le(*p, prefix);
                if (length > size)
                        goto impossible;
                size = length;
                break;
        }
        case WIDTH_IMPOSSIBLE:
                goto impossible;
        case WIDTH_UNKNOWN:
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "Binary log column type %u is not one that can be read exactly", type);
                return false;
        }
        if (left - prefix < size)
                goto truncated;
        *ret = (Extent){*p + prefix, size};
        *p += prefix + size;
        return true;

truncated:
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                    "Row image ends within a value (type %u, %" G_GSIZE_FORMAT " bytes left)", type, left);
        return false;
impossible:
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                    "Row image has an impossible value (type %u, metadata %u)", type, meta);
        return false;
}

static void append_integer(const Column *column, const Extent *value, GString *out) {
        guint64 v = bytes_le(value->data, (unsigned) value->size);
        if (column->is_unsigned) {
                value_append_uint(out, v);
                return;
        }
        unsigned shift = 64 - 8 * (unsigned) value->size;
        value_append_int(out, (gint64) (v << shift) >> shift);
}

/* The groups of one side of the point: the incomplete one first (whole part) or last (fraction). */
static bool put_decimal_group(const guint8 **p, unsigned digits, char **q) {
        static const guint32 limits[10] = {
                1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
        };
        guint64 v = bytes_be(*p, decimal_bytes[digits]);
        if (v >= limits[digits])
                return false;
        *q = value_put_padded(*q, v, digits);
        *p += decimal_bytes[digits];
        return true;
}

static bool append_decimal(const Extent *value, guint16 meta, GString *out) {
        unsigned scale = meta >> 8, whole = (meta & 0xff) - scale;
        guint8 bytes[40];
        char text[96], *q = text;
        const guint8 *p = bytes;

        memcpy(bytes, value->data, value->size);
        bool negative = !(bytes[0] & 0x80);
        bytes[0] ^= 0x80;
        if (negative)
                for (gsize i = 0; i < value->size; i++)
                        bytes[i] = (guint8) ~bytes[i];

        if (whole % 9 && !put_decimal_group(&p, whole % 9, &q))
                return false;
        for (unsigned i = 0; i < whole / 9; i++)
                if (!put_decimal_group(&p, 9, &q))
                        return false;
        char *start = text, *point = q;
        while (start < point && *start == '0')
                start++;
        if (scale > 0)
                *q++ = '.';
        for (unsigned i = 0; i < scale / 9; i++)
                if (!put_decimal_group(&p, 9, &q))
                        return false;
        if (scale % 9 && !put_decimal_group(&p, scale % 9, &q))
                return false;
        *q = '\0';

        if (negative && (start < point || strspn(point, ".0") != (gsize) (q - point)))
                g_string_append_c(out, '-');
        if (start == point)
                g_string_append_c(out, '0');
        g_string_append_len(out, start, q - start);
        return true;
}

static bool append_real(const Column *column, const Extent *value, GString *out) {
        if (value->size == 4) {
                guint32 bits = bytes_le32(value->data);
                float f;
                memcpy(&f, &bits, sizeof f);
                return value_append_real(out, column, f);
        }
        guint64 bits = bytes_le64(value->data);
        double d;
        memcpy(&d, &bits, sizeof d);
        return value_append_real(out, column, d);
}

typedef struct Moment {
        bool negative;
        unsigned year, month, day, hour, minute, second, usec;
} Moment;

static char *put_date(char *p, const Moment *m) {
        p = value_put2(p, m->year / 100);
        p = value_put2(p, m->year % 100);
        *p++ = '-';
        p = value_put2(p, m->month);
        *p++ = '-';
        return value_put2(p, m->day);
}

static char *put_time(char *p, const Moment *m, unsigned fsp) {
        if (m->hour >= 100)
                *p++ = (char) ('0' + m->hour / 100);
        p = value_put2(p, m->hour % 100);
        *p++ = ':';
        p = value_put2(p, m->minute);
        *p++ = ':';
        p = value_put2(p, m->second);
        if (fsp > 0) {
                *p++ = '.';
                value_put_padded(p, m->usec, 6);
                p += fsp;
        }
        return p;
}

static bool moment_is_possible(const Moment *m, unsigned max_hour) {
        return m->year <= 9999 && m->month <= 12 && m->day <= 31 && m->hour <= max_hour && m->minute <= 59 &&
                m->second <= 59 && m->usec <= 999999;
}

static bool append_date(const Moment *m, GString *out) {
        char text[16], *p = text;
        if (!moment_is_possible(m, 23))
                return false;
        *p++ = '\'';
        p = put_date(p, m);
        *p++ = '\'';
        g_string_append_len(out, text, p - text);
        return true;
}

static bool append_datetime(const Moment *m, unsigned fsp, GString *out) {
        char text[40], *p = text;
        if (!moment_is_possible(m, 23))
                return false;
        *p++ = '\'';
        p = put_date(p, m);
        *p++ = ' ';
        p = put_time(p, m, fsp);
        *p++ = '\'';
        g_string_append_len(out, text, p - text);
        return true;
}

static bool append_time(const Moment *m, unsigned fsp, GString *out) {
        char text[40], *p = text;
        if (!moment_is_possible(m, 838))
                return false;
        *p++ = '\'';
        if (m->negative)
                *p++ = '-';
        p = put_time(p, m, fsp);
        *p++ = '\'';
        g_string_append_len(out, text, p - text);
        return true;
}

/* Microseconds from the 0 to 3 bytes that hold FSP digits. */
static unsigned fraction_usec(guint64 v, unsigned bytes) {
        for (; bytes < 3; bytes++)
                v *= 100;
        return (unsigned) MIN(v, 1000000u);
}

/* Whole part and fraction are one number of which the negative is taken: -00:00:00.5 is -1 + 0.5 in its bytes. */
static bool append_time2(const Extent *value, unsigned fsp, GString *out) {
        unsigned bytes = (fsp + 1) / 2;
        gint64 v = (gint64) bytes_be(value->data, 3 + bytes) - ((gint64) 0x800000 << (8 * bytes));
        guint64 magnitude = (guint64) (v < 0 ? -v : v);
        guint64 whole = magnitude >> (8 * bytes);
        Moment m = {
                .negative = v < 0,
                .hour = whole >> 12 & 0x3ff,
                .minute = whole >> 6 & 0x3f,
                .second = whole & 0x3f,
                .usec = fraction_usec(magnitude & ((G_GUINT64_CONSTANT(1) << (8 * bytes)) - 1), bytes),
        };
        return whole >> 22 == 0 && append_time(&m, fsp, out);
}

static bool append_datetime2(const Extent *value, unsigned fsp, GString *out) {
        guint64 packed = bytes_be(value->data, 5);
        if (packed < G_GUINT64_CONSTANT(0x8000000000))
                return false;
        packed -= G_GUINT64_CONSTANT(0x8000000000);
        unsigned year_month = (unsigned) (packed >> 22);
        Moment m = {
                .year = year_month / 13,
                .month = year_month % 13,
                .day = packed >> 17 & 0x1f,
                .hour = packed >> 12 & 0x1f,
                .minute = packed >> 6 & 0x3f,
                .second = packed & 0x3f,
                .usec = fraction_usec(bytes_be(value->data + 5, (fsp + 1) / 2), (fsp + 1) / 2),
        };
        return append_datetime(&m, fsp, out);
}

/* Proleptic Gregorian calendar, from days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"). */
static void moment_from_epoch(guint32 seconds, Moment *ret) {
        unsigned days = seconds / 86400 + 719468, rest = seconds % 86400;
        unsigned era = days / 146097, day_of_era = days % 146097;
        unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        unsigned m = (5 * day_of_year + 2) / 153;
        *ret = (Moment){
                .year = year_of_era + era * 400 + (m >= 10),
                .month = m < 10 ? m + 3 : m - 9,
                .day = day_of_year - (153 * m + 2) / 5 + 1,
                .hour = rest / 3600,
                .minute = rest / 60 % 60,
                .second = rest % 60,
        };
}

static bool append_timestamp(guint32 seconds, unsigned usec, unsigned fsp, GString *out) {
        Moment m = {0}; /* 0 is the zero date */
        if (seconds != 0) {
                moment_from_epoch(seconds, &m);
                m.usec = usec;
        }
        return append_datetime(&m, fsp, out);
}

/* The formats before 5.6.4 are decimal digits. */
static bool append_old_datetime(guint64 v, GString *out) {
        guint64 date = v / 1000000, time = v % 1000000;
        if (date > 99991231)
                return false;
        Moment m = {
                .year = (unsigned) (date / 10000),
                .month = (unsigned) (date / 100 % 100),
                .day = (unsigned) (date % 100),
                .hour = (unsigned) (time / 10000),
                .minute = (unsigned) (time / 100 % 100),
                .second = (unsigned) (time % 100),
        };
        return append_datetime(&m, 0, out);
}

static bool append_old_time(guint32 raw, GString *out) {
        gint32 v = (gint32) (raw << 8) >> 8;
        guint32 magnitude = (guint32) (v < 0 ? -v : v);
        Moment m = {
                .negative = v < 0,
                .hour = magnitude / 10000,
                .minute = magnitude / 100 % 100,
                .second = magnitude % 100,
        };
        return append_time(&m, 0, out);
}

static bool append_old_date(guint32 v, GString *out) {
        Moment m = {.year = v >> 9, .month = v >> 5 & 15, .day = v & 31};
        return append_date(&m, out);
}

/* BINARY(n) is logged without its trailing zero bytes. */
static void append_binary(const Column *column, const Extent *value, GString *out) {
        sql_append_string(out, (const char *) value->data, value->size);
        if (value->size >= column->length)
                return;
        g_string_truncate(out, out->len - 1);
        for (gsize i = value->size; i < column->length; i++)
                g_string_append_len(out, "\\0", 2);
        g_string_append_c(out, '\'');
}

static bool append_value(const Column *column, guint8 type, guint16 meta, const Extent *value, GString *out) {
        switch (type) {
        case BINLOG_TYPE_TINY:
        case BINLOG_TYPE_SHORT:
        case BINLOG_TYPE_INT24:
        case BINLOG_TYPE_LONG:
        case BINLOG_TYPE_LONGLONG:
                append_integer(column, value, out);
                return true;
        case BINLOG_TYPE_YEAR:
                value_append_uint(out, value->data[0] ? 1900u + value->data[0] : 0);
                return true;
        case BINLOG_TYPE_FLOAT:
        case BINLOG_TYPE_DOUBLE:
                return append_real(column, value, out);
        case BINLOG_TYPE_NEWDECIMAL:
                return append_decimal(value, meta, out);
        case BINLOG_TYPE_BIT:
                value_append_bits(out, bytes_be(value->data, (unsigned) value->size), (unsigned) value->size);
                return true;
        case BINLOG_TYPE_DATE:
        case BINLOG_TYPE_NEWDATE:
                return append_old_date(bytes_le24(value->data), out);
        case BINLOG_TYPE_TIME:
                return append_old_time(bytes_le24(value->data), out);
        case BINLOG_TYPE_DATETIME:
                return append_old_datetime(bytes_le64(value->data), out);
        case BINLOG_TYPE_TIMESTAMP:
                return append_timestamp(bytes_le32(value->data), 0, 0, out);
        case BINLOG_TYPE_TIME2:
                return append_time2(value, meta, out);
        case BINLOG_TYPE_DATETIME2:
                return append_datetime2(value, meta, out);
        case BINLOG_TYPE_TIMESTAMP2: {
                unsigned bytes = (meta + 1u) / 2;
                return append_timestamp((guint32) bytes_be(value->data, 4),
                                        fraction_usec(bytes_be(value->data + 4, bytes), bytes), meta, out);
        }
        case BINLOG_TYPE_ENUM:
        case BINLOG_TYPE_SET:
                value_append_uint(out, bytes_le(value->data, (unsigned) value->size));
                return true;
        case BINLOG_TYPE_STRING:
                if (column->kind == COLUMN_KIND_BINARY) {
                        append_binary(column, value, out);
                        return true;
                }
                break;
        }
        sql_append_string(out, (const char *) value->data, value->size);
        return true;
}

/* What cannot be rendered although it can be stepped over. */
static bool check_exact(const Column *column, guint8 type, GError **error) {
        bool old_temporal = type == BINLOG_TYPE_TIME || type == BINLOG_TYPE_DATETIME || type == BINLOG_TYPE_TIMESTAMP;

        if (column->kind == COLUMN_KIND_UNSUPPORTED || type == BINLOG_TYPE_JSON) {
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "Column %s (%s, binary log type %u) cannot be read exactly from the binary log",
                            column->name, column->type, type);
                return false;
        }
        /* MariaDB's own format of before 10.1, whose length the event does not tell. */
        if (old_temporal && column->fsp > 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "Column %s (%s) is stored in an old temporal format with a fraction; rebuild the table "
                            "with mysql56_temporal_format=ON",
                            column->name, column->type);
                return false;
        }
        return true;
}

bool value_literal_from_binlog(const Column *column, guint8 type, guint16 meta, const guint8 **p, const guint8 *end,
                               GString *out, GError **error) {
        const guint8 *next = *p;
        Extent value;

        if (!check_exact(column, type, error))
                return false;
        if (!value_extent(type, meta, &next, end, &value, error)) {
                g_prefix_error(error, "Column %s: ", column->name);
                return false;
        }
        gsize before = out->len;
        if (!append_value(column, type, meta, &value, out)) {
                g_string_truncate(out, before);
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "Column %s (%s): the binary log holds an impossible value (type %u, metadata %u)",
                            column->name, column->type, type, meta);
                return false;
        }
        *p = next;
        return true;
}

bool value_skip_binlog(guint8 type, guint16 meta, const guint8 **p, const guint8 *end, GError **error) {
        Extent value;
        return value_extent(type, meta, p, end, &value, error);
}
