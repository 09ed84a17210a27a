/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See picture.h. */

#include "picture.h"

#include <math.h>
#include <string.h>

#include "cmd.h"
#include "format.h"
#include "value.h"

#define BAR_WIDTH 12
/* Below this many columns of the terminal the table is made narrower. */
#define NARROW 110
#define NARROW_BAR_WIDTH 5
/* Where the values of status_print() begin. */
#define VALUE_INDENT 16
/* A rate is an average that forgets: what was this many seconds ago counts a third. */
#define RATE_SECONDS 5.0

/* What is counted, and what its rate is called. */
static const struct {
        const char *property;
        bool bytes;
        const char *unit, *short_unit;
} counter_table[] = {
        { "BytesCopied", true, "/s", "/s" },
        { "RowsCopied", false, " rows/s", " rows/s" },
        { "TransactionsApplied", false, " transactions/s", " tx/s" },
        { "RowsApplied", false, " rows/s", " rows/s" },
};
enum { BYTES_COPIED, ROWS_COPIED, TRANSACTIONS_APPLIED, ROWS_APPLIED, COUNTERS };
G_STATIC_ASSERT(G_N_ELEMENTS(counter_table) == COUNTERS);

typedef struct Sample {
        gint64 at;
        gint64 counts[COUNTERS];
        double rates[COUNTERS]; /* per second; -1: not known yet */
} Sample;

struct Picture {
        GHashTable *samples; /* name → Sample */
};

Picture *picture_new(void) {
        Picture *picture = g_new0(Picture, 1);

        picture->samples = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return picture;
}

void picture_free(Picture *picture) {
        if (!picture)
                return;
        g_hash_table_unref(picture->samples);
        g_free(picture);
}

void picture_look(Picture *picture, JsonObject *properties, gint64 now) {
        const char *name = value_string(properties, "Name");
        Sample *sample = g_hash_table_lookup(picture->samples, name);
        double passed;

        if (!sample) {
                sample = g_new0(Sample, 1);
                for (gsize i = 0; i < COUNTERS; i++) {
                        sample->counts[i] = value_int(properties, counter_table[i].property);
                        sample->rates[i] = -1;
                }
                sample->at = now;
                g_hash_table_insert(picture->samples, g_strdup(name), sample);
                return;
        }
        passed = (double) (now - sample->at) / G_USEC_PER_SEC;
        if (passed <= 0)
                return;
        for (gsize i = 0; i < COUNTERS; i++) {
                gint64 count = value_int(properties, counter_table[i].property);
                double rate = (double) (count - sample->counts[i]) / passed;
                double weight = 1 - exp(-passed / RATE_SECONDS);

                if (count < sample->counts[i]) /* the agent was restarted, and counts anew */
                        sample->rates[i] = -1;
                else
                        sample->rates[i] = sample->rates[i] < 0 ? rate
                                                                : sample->rates[i] + weight * (rate - sample->rates[i]);
                sample->counts[i] = count;
        }
        sample->at = now;
}

/* NULL: unknown, or nothing happens. */
static char *rate_text(const Picture *picture, JsonObject *properties, gsize counter, bool in_table) {
        const Sample *sample = g_hash_table_lookup(picture->samples, value_string(properties, "Name"));
        double rate = sample ? sample->rates[counter] : -1;
        const char *unit = in_table ? counter_table[counter].short_unit : counter_table[counter].unit;

        if (rate < 0.05)
                return NULL;
        if (counter_table[counter].bytes) {
                g_autofree char *size = format_size((uint64_t) rate);

                return g_strconcat(size, unit, NULL);
        }
        return g_strdup_printf(rate < 10 ? "%.1f%s" : "%.0f%s", rate, unit);
}

static bool is_copying(JsonObject *properties) {
        return g_str_equal(value_string(properties, "Phase"), "copying");
}

static char *bar(JsonObject *properties, int width) {
        double progress = value_double(properties, "Progress");
        GString *text;
        int full;

        if (!is_copying(properties) || progress < 0)
                return NULL;
        text = g_string_new(NULL);
        full = (int) (CLAMP(progress, 0, 1) * width);
        for (int i = 0; i < width; i++)
                g_string_append_c(text, i < full ? '#' : '.');
        g_string_append_printf(text, " %3.0f%%", CLAMP(progress, 0, 1) * 100);
        return g_string_free(text, FALSE);
}

static char *time_left(JsonObject *properties, const char *property, gint64 real_now) {
        gint64 at = value_int(properties, property);

        return at > 0 ? format_duration(MAX((double) (at - real_now), 0) / G_USEC_PER_SEC) : NULL;
}

/* What comes first: the end of a confirmation, then expiry. */
static char *deadline(JsonObject *properties, gint64 real_now) {
        g_autofree char *confirm = time_left(properties, "ConfirmBy", real_now);
        g_autofree char *expiry = time_left(properties, "ExpiresAt", real_now);

        if (confirm)
                return g_strdup_printf("confirm in %s", confirm);
        return expiry ? g_strdup_printf("expires in %s", expiry) : NULL;
}

/* With as many digits from one second to the next. */
static char *delay_text(JsonObject *properties) {
        double delay = value_double(properties, "ReplicationDelay");

        if (delay < 0)
                return NULL;
        return delay < 60 ? g_strdup_printf("%.1f s", delay) : format_duration(delay);
}

static char *operation_text(JsonObject *properties) {
        const char *operation = value_string(properties, "Operation");
        const char *step = value_string(properties, "OperationStep");

        return g_strdup_printf("%s%s%s", operation, *step && !g_str_equal(step, operation) ? "/" : "",
                               g_str_equal(step, operation) ? "" : step);
}

static void row(const Picture *picture, JsonObject *object, gint64 real_now, bool narrow, Table *table) {
        bool copying = is_copying(object);
        g_autofree char *link = g_strdup_printf("%s%s", value_bool(object, "Paused") ? "paused" : value_string(object, "ReplicationState"),
                                                *value_string(value_object(object, "LastError"), "name") ? " !" : "");
        g_autofree char *delay = delay_text(object);
        g_autofree char *operation = operation_text(object);
        g_autofree char *done = bar(object, narrow ? NARROW_BAR_WIDTH : BAR_WIDTH);
        g_autofree char *rate = rate_text(picture, object, copying ? BYTES_COPIED : TRANSACTIONS_APPLIED, true);
        g_autofree char *left = copying ? time_left(object, "EstimatedEnd", real_now) : NULL;
        g_autofree char *until = deadline(object, real_now);

        table_row(table, value_string(object, "Name"), value_string(object, "Phase"), link, delay, rate, done, left,
                  value_string(object, "VerificationState"), operation, until);
}

void picture_draw_all(const Picture *picture, const Options *options, GPtrArray *all, gint64 real_now, unsigned columns, GString *out) {
        static const char *const optional[] = { "COPIED", "LEFT", "OPERATION", "DEADLINE" };
        /* What matters most comes first: a terminal that is too narrow loses the end. */
        g_autoptr(Table) table = table_new("NAME", "PHASE", "LINK", "DELAY", "RATE", "COPIED", "LEFT", "VERIFIED",
                                           "OPERATION", "DEADLINE", NULL);

        for (guint i = 0; i < all->len; i++)
                row(picture, g_ptr_array_index(all, i), real_now, columns < NARROW, table);
        for (gsize i = 0; i < G_N_ELEMENTS(optional); i++)
                table_drop_empty(table, optional[i]);
        table_print(table, options, out);
        for (guint i = 0; i < all->len; i++) {
                JsonObject *object = g_ptr_array_index(all, i);
                JsonObject *error = value_object(object, "LastError");
                g_autoptr(GString) text = g_string_new(NULL);

                if (!*value_string(error, "name"))
                        continue;
                format_append_safe(text, value_string(object, "Name"));
                g_string_append(text, ": ");
                format_append_safe(text, value_string(error, "message"));
                g_string_append_c(out, '\n');
                picture_wrap(text->str, columns, 2, out);
                g_string_append_c(out, '\n');
        }
}

void picture_draw_one(const Picture *picture, JsonObject *properties, gint64 real_now, unsigned columns, GString *out) {
        bool copying = is_copying(properties);
        g_autofree char *first = rate_text(picture, properties, copying ? BYTES_COPIED : TRANSACTIONS_APPLIED, false);
        g_autofree char *second = rate_text(picture, properties, copying ? ROWS_COPIED : ROWS_APPLIED, false);
        g_autofree char *done = bar(properties, BAR_WIDTH);
        g_autofree char *left = copying ? time_left(properties, "EstimatedEnd", real_now) : NULL;
        g_autofree char *until = deadline(properties, real_now);
        g_autoptr(GString) text = g_string_new(NULL);

        status_print(properties, text);
        g_string_append_printf(text, "%14s: %s%s%s\n", "Rate", first ? first : "-", second ? ", " : "", second ? second : "");
        if (done)
                g_string_append_printf(text, "%14s: %s%s%s\n", "Progress", done, left ? ", left: " : "", left ? left : "");
        if (until)
                g_string_append_printf(text, "%14s: %s\n", "Deadline", until);
        picture_wrap(text->str, columns, VALUE_INDENT, out);
}

/* One line, broken at blanks. */
static void wrap_line(const char *line, unsigned columns, unsigned indent, GString *out) {
        unsigned room = columns;

        while (room > indent && (unsigned) g_utf8_strlen(line, -1) > room) {
                const char *end = g_utf8_offset_to_pointer(line, (glong) room);
                const char *blank = end;

                while (blank > line && *blank != ' ')
                        blank--;
                if (blank - line <= (room == columns ? (gssize) indent : 0)) /* one long word is cut like any line */
                        break;
                g_string_append_len(out, line, blank - line);
                g_string_append_printf(out, "\n%*s", (int) indent, "");
                line = blank + 1;
                room = columns - indent;
        }
        g_string_append(out, line);
}

void picture_wrap(const char *text, unsigned columns, unsigned indent, GString *out) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (guint i = 0; lines[i]; i++) {
                if (i > 0)
                        g_string_append_c(out, '\n');
                wrap_line(lines[i], columns, indent, out);
        }
}

void picture_to_screen(const GString *text, unsigned columns, unsigned rows, GString *out) {
        g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
        guint count = g_strv_length(lines);

        g_string_append(out, "\033[H");
        for (guint i = 0; i < count && i + 1 < rows; i++) {
                const char *end = lines[i];
                unsigned used = 0;

                while (*end && used < columns) {
                        if (*end == '\033') { /* a colour takes no room */
                                end += strcspn(end, "m");
                                end += *end == 'm';
                                continue;
                        }
                        end = g_utf8_next_char(end);
                        used++;
                }
                g_string_append_len(out, lines[i], end - lines[i]);
                g_string_append(out, *end ? "\033[0m\033[K\n" : "\033[K\n");
        }
        g_string_append(out, "\033[J");
}
