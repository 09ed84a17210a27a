/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GTID sets: per uuid an array of disjoint intervals in order, the uuids in order; see gtid.h. */

#include "mysql/gtid.h"

#include <string.h>

#include "base/error.h"

typedef struct Interval {
        guint64 first, last; /* inclusive */
} Interval;

typedef struct Source {
        guint8 sid[16];
        char tag[GTID_TAG_MAX + 1]; /* "": none */
        GArray *intervals; /* of Interval */
} Source;

struct GtidSet {
        GArray *sources; /* of Source */
};

/* GTID numbers end at 2⁶³ - 2. */
#define GNO_MAX ((guint64) G_MAXINT64 - 1)

static void source_clear(gpointer data) {
        Source *source = data;
        g_array_unref(source->intervals);
}

GtidSet *gtid_set_new(void) {
        GtidSet *set = g_new0(GtidSet, 1);
        set->sources = g_array_new(FALSE, FALSE, sizeof(Source));
        g_array_set_clear_func(set->sources, source_clear);
        return set;
}

void gtid_set_free(GtidSet *set) {
        if (!set)
                return;
        g_array_unref(set->sources);
        g_free(set);
}

static Source *source_at(const GtidSet *set, guint i) {
        return &g_array_index(set->sources, Source, i);
}

static Interval *interval_at(const Source *source, guint i) {
        return &g_array_index(source->intervals, Interval, i);
}

static int compare_source(const Source *source, const guint8 sid[16], const char *tag) {
        int order = memcmp(source->sid, sid, sizeof source->sid);
        return order ? order : strcmp(source->tag, tag);
}

/* Index of the first source that is not before SID and TAG. */
static guint find_source(const GtidSet *set, const guint8 sid[16], const char *tag, bool *ret_found) {
        guint low = 0, high = set->sources->len;
        while (low < high) {
                guint middle = low + (high - low) / 2;
                if (compare_source(source_at(set, middle), sid, tag) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = low < set->sources->len && compare_source(source_at(set, low), sid, tag) == 0;
        return low;
}

/* Index of the first interval that ends at FIRST - 1 or later, which is the first one that can be merged with it. */
static guint find_interval(const Source *source, guint64 first) {
        guint low = 0, high = source->intervals->len;
        while (low < high) {
                guint middle = low + (high - low) / 2;
                if (interval_at(source, middle)->last < first - 1)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void gtid_set_add(GtidSet *set, const guint8 sid[16], guint64 first, guint64 last) {
        gtid_set_add_tagged(set, sid, "", first, last);
}

void gtid_set_add_tagged(GtidSet *set, const guint8 sid[16], const char *tag, guint64 first, guint64 last) {
        bool found;

        if (first < 1 || last < first || last > GNO_MAX)
                return;
        guint at = find_source(set, sid, tag, &found);
        if (!found) {
                Source new_source = {.intervals = g_array_new(FALSE, FALSE, sizeof(Interval))};
                memcpy(new_source.sid, sid, 16);
                g_strlcpy(new_source.tag, tag, sizeof new_source.tag);
                g_array_insert_val(set->sources, at, new_source);
        }
        Source *source = source_at(set, at);
        guint begin = find_interval(source, first), end = begin;
        Interval merged = {first, last};
        while (end < source->intervals->len && interval_at(source, end)->first <= last + 1) {
                merged.first = MIN(merged.first, interval_at(source, end)->first);
                merged.last = MAX(merged.last, interval_at(source, end)->last);
                end++;
        }
        if (end == begin) {
                g_array_insert_val(source->intervals, begin, merged);
                return;
        }
        *interval_at(source, begin) = merged;
        if (end > begin + 1)
                g_array_remove_range(source->intervals, begin + 1, end - begin - 1);
}

void gtid_set_union(GtidSet *set, const GtidSet *other) {
        if (set == other)
                return;
        for (guint i = 0; i < other->sources->len; i++) {
                const Source *source = source_at(other, i);
                for (guint j = 0; j < source->intervals->len; j++)
                        gtid_set_add_tagged(set, source->sid, source->tag, interval_at(source, j)->first, interval_at(source, j)->last);
        }
}

bool gtid_set_contains(const GtidSet *set, const GtidSet *subset) {
        for (guint i = 0; i < subset->sources->len; i++) {
                const Source *wanted = source_at(subset, i);
                bool found;
                guint at = find_source(set, wanted->sid, wanted->tag, &found);
                if (!found)
                        return false;
                const Source *source = source_at(set, at);
                for (guint j = 0; j < wanted->intervals->len; j++) {
                        const Interval *interval = interval_at(wanted, j);
                        guint k = find_interval(source, interval->first);
                        /* It may be the one that only touches. */
                        if (k < source->intervals->len && interval_at(source, k)->last < interval->first)
                                k++;
                        if (k >= source->intervals->len || interval_at(source, k)->first > interval->first ||
                            interval_at(source, k)->last < interval->last)
                                return false;
                }
        }
        return true;
}

bool gtid_set_equal(const GtidSet *a, const GtidSet *b) {
        return gtid_set_contains(a, b) && gtid_set_contains(b, a);
}

GtidSet *gtid_set_subtract(const GtidSet *set, const GtidSet *other) {
        GtidSet *left = gtid_set_new();
        for (guint i = 0; i < set->sources->len; i++) {
                const Source *source = source_at(set, i);
                bool found;
                guint at = find_source(other, source->sid, source->tag, &found);
                const Source *had = found ? source_at(other, at) : NULL;
                for (guint j = 0; j < source->intervals->len; j++) {
                        guint64 next = interval_at(source, j)->first, last = interval_at(source, j)->last;
                        for (guint k = 0; had && k < had->intervals->len && next <= last; k++) {
                                const Interval *taken = interval_at(had, k);
                                if (taken->last < next)
                                        continue;
                                if (taken->first > next)
                                        gtid_set_add_tagged(left, source->sid, source->tag, next, MIN(last, taken->first - 1));
                                next = taken->last + 1;
                        }
                        gtid_set_add_tagged(left, source->sid, source->tag, next, last);
                }
        }
        return left;
}

static const char *skip_space(const char *p) {
        while (g_ascii_isspace(*p))
                p++;
        return p;
}

static bool refuse(const char *text, const char *at, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "Not a set of GTIDs at byte %" G_GSIZE_FORMAT,
                    (gsize) (at - text));
        return false;
}

/* Hexadecimal digits with hyphens where UUIDs have them. */
static bool take_uuid(const char **p, guint8 sid[16]) {
        const char *q = *p;
        for (int i = 0; i < 16; i++) {
                if ((i == 4 || i == 6 || i == 8 || i == 10) && *q++ != '-')
                        return false;
                if (!g_ascii_isxdigit(q[0]) || !g_ascii_isxdigit(q[1]))
                        return false;
                sid[i] = (guint8) (g_ascii_xdigit_value(q[0]) << 4 | g_ascii_xdigit_value(q[1]));
                q += 2;
        }
        *p = q;
        return true;
}

static bool take_number(const char **p, guint64 max, guint64 *ret) {
        guint64 v = 0;
        if (!g_ascii_isdigit(**p))
                return false;
        for (; g_ascii_isdigit(**p); (*p)++)
                if (!g_uint64_checked_mul(&v, v, 10) || !g_uint64_checked_add(&v, v, (guint64) (**p - '0')))
                        return false;
        *ret = v;
        return v <= max;
}

/* Letters are made small, as servers do. */
static bool take_tag(const char **p, char tag[GTID_TAG_MAX + 1]) {
        guint n = 0;
        for (; g_ascii_isalnum(**p) || **p == '_'; (*p)++) {
                if (n == GTID_TAG_MAX)
                        return false;
                tag[n++] = g_ascii_tolower(**p);
        }
        tag[n] = '\0';
        *p = skip_space(*p);
        return **p == ':'; /* numbers follow */
}

/* ":1-5 : 7 : tag : 1-2" behind a uuid. */
static bool take_intervals(GtidSet *set, const guint8 sid[16], const char **p) {
        char tag[GTID_TAG_MAX + 1] = "";
        *p = skip_space(*p);
        if (**p != ':')
                return false;
        while (**p == ':') {
                guint64 first, last;
                *p = skip_space(*p + 1);
                if (g_ascii_isalpha(**p) || **p == '_') {
                        if (!take_tag(p, tag))
                                return false;
                        *p = skip_space(*p + 1);
                }
                if (!take_number(p, GNO_MAX, &first) || first < 1)
                        return false;
                last = first;
                *p = skip_space(*p);
                if (**p == '-') {
                        *p = skip_space(*p + 1);
                        if (!take_number(p, GNO_MAX, &last))
                                return false;
                        *p = skip_space(*p);
                }
                gtid_set_add_tagged(set, sid, tag, first, last); /* an empty interval (5-4) is allowed and adds nothing */
        }
        return true;
}

GtidSet *gtid_set_parse(const char *text, GError **error) {
        g_autoptr(GtidSet) set = gtid_set_new();
        const char *p = skip_space(text);

        while (*p) {
                guint8 sid[16];
                if (*p == ',') { /* servers accept empty elements */
                        p = skip_space(p + 1);
                        continue;
                }
                if (!take_uuid(&p, sid) || !take_intervals(set, sid, &p) || (*p && *p != ',')) {
                        refuse(text, p, error);
                        return NULL;
                }
        }
        return g_steal_pointer(&set);
}

char *gtid_set_to_string(const GtidSet *set) {
        GString *text = g_string_new(NULL);
        for (guint i = 0; i < set->sources->len; i++) {
                const Source *source = source_at(set, i);
                bool same = i > 0 && memcmp(source_at(set, i - 1)->sid, source->sid, sizeof source->sid) == 0;
                if (i > 0 && !same)
                        g_string_append_c(text, ',');
                for (int j = 0; j < 16 && !same; j++)
                        g_string_append_printf(text, "%s%02x", j == 4 || j == 6 || j == 8 || j == 10 ? "-" : "",
                                               source->sid[j]);
                if (*source->tag)
                        g_string_append_printf(text, ":%s", source->tag);
                for (guint j = 0; j < source->intervals->len; j++) {
                        const Interval *interval = interval_at(source, j);
                        g_string_append_printf(text, ":%" G_GUINT64_FORMAT, interval->first);
                        if (interval->last > interval->first)
                                g_string_append_printf(text, "-%" G_GUINT64_FORMAT, interval->last);
                }
        }
        return g_string_free(text, /* free_segment= */ FALSE);
}

static void append_le64(GByteArray *bytes, guint64 v) {
        v = GUINT64_TO_LE(v);
        g_byte_array_append(bytes, (const guint8 *) &v, sizeof v);
}

GByteArray *gtid_set_encode(const GtidSet *set) {
        GByteArray *bytes = g_byte_array_new();
        bool tagged = false;
        for (guint i = 0; i < set->sources->len; i++)
                tagged |= *source_at(set, i)->tag != '\0';
        append_le64(bytes, tagged ? G_GUINT64_CONSTANT(1) << 56 | (guint64) set->sources->len << 8 | 1 : set->sources->len);
        for (guint i = 0; i < set->sources->len; i++) {
                const Source *source = source_at(set, i);
                g_byte_array_append(bytes, source->sid, 16);
                if (tagged) {
                        guint8 length = (guint8) (strlen(source->tag) << 1);
                        g_byte_array_append(bytes, &length, 1);
                        g_byte_array_append(bytes, (const guint8 *) source->tag, length >> 1);
                }
                append_le64(bytes, source->intervals->len);
                for (guint j = 0; j < source->intervals->len; j++) {
                        append_le64(bytes, interval_at(source, j)->first);
                        append_le64(bytes, interval_at(source, j)->last + 1);
                }
        }
        return bytes;
}

GArray *mariadb_gtid_parse(const char *text, GError **error) {
        g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(MariadbGtid));
        const char *p = skip_space(text);

        while (*p) {
                guint64 domain_id, server_id, sequence;
                if (list->len > 0) {
                        if (*p != ',')
                                goto bad;
                        p = skip_space(p + 1);
                }
                if (!take_number(&p, G_MAXUINT32, &domain_id) || *p++ != '-' ||
                    !take_number(&p, G_MAXUINT32, &server_id) || *p++ != '-' ||
                    !take_number(&p, G_MAXUINT64, &sequence))
                        goto bad;
                MariadbGtid gtid = {(guint32) domain_id, (guint32) server_id, sequence};
                for (guint i = 0; i < list->len; i++)
                        if (g_array_index(list, MariadbGtid, i).domain_id == gtid.domain_id)
                                goto bad;
                g_array_append_val(list, gtid);
                p = skip_space(p);
        }
        return g_steal_pointer(&list);

bad:
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                    "Not a MariaDB GTID position: domain-server-sequence is expected, once per domain");
        return NULL;
}

char *mariadb_gtid_to_string(const GArray *list) {
        GString *text = g_string_new(NULL);
        for (guint i = 0; i < list->len; i++) {
                const MariadbGtid *gtid = &g_array_index(list, MariadbGtid, i);
                g_string_append_printf(text, "%s%u-%u-%" G_GUINT64_FORMAT, i > 0 ? "," : "", gtid->domain_id,
                                       gtid->server_id, gtid->sequence);
        }
        return g_string_free(text, /* free_segment= */ FALSE);
}
