/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See picture.h. */

#include "picture.h"

#include <math.h>
#include <string.h>

#include "format.h"
#include "value.h"

#define BAR_WIDTH 12
/* A rate is an average that forgets: what was this many seconds ago counts a third. */
#define RATE_SECONDS 5.0

/* What is counted, and what its rate is called. */
static const struct {
        const char *property;
        bool bytes;
        const char *unit;
} counter_table[] = {
        { "BytesCopied", true, "/s" },
        { "RowsCopied", false, " rows/s" },
        { "TransactionsApplied", false, " transactions/s" },
        { "RowsApplied", false, " rows/s" },
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
static char *rate_text(const Picture *picture, JsonObject *properties, gsize counter) {
        const Sample *sample = g_hash_table_lookup(picture->samples, value_string(properties, "Name"));
        double rate = sample ? sample->rates[counter] : -1;

        if (rate < 0.05)
                return NULL;
        if (counter_table[counter].bytes) {
                g_autofree char *size = format_size((uint64_t) rate);

                return g_strconcat(size, counter_table[counter].unit, NULL);
        }
        return g_strdup_printf(rate < 10 ? "%.1f%s" : "%.0f%s", rate, counter_table[counter].unit);
}

static bool is_copying(JsonObject *properties) {
        return g_str_equal(value_string(properties, "Phase"), "copying");
}

static char *bar(JsonObject *properties) {
        double progress = value_double(properties, "Progress");
        GString *text;
        int full;

        if (!is_copying(properties) || progress < 0)
                return NULL;
        text = g_string_new(NULL);
        full = (int) (CLAMP(progress, 0, 1) * BAR_WIDTH);
        for (int i = 0; i < BAR_WIDTH; i++)
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

static void row(const Picture *picture, JsonObject *object, gint64 real_now, Table *table) {
        double delay = value_double(object, "ReplicationDelay");
        const char *step = value_string(object, "OperationStep");
        g_autofree char *delay_text = delay >= 0 ? format_duration(delay) : NULL;
        g_autofree char *operation = g_strdup_printf("%s%s%s", value_string(object, "Operation"), *step ? "/" : "", step);
        g_autofree char *done = bar(object);
        g_autofree char *rate = rate_text(picture, object, is_copying(object) ? BYTES_COPIED : TRANSACTIONS_APPLIED);
        g_autofree char *left = is_copying(object) ? time_left(object, "EstimatedEnd", real_now) : NULL;
        g_autofree char *until = deadline(object, real_now);

        table_row(table, value_string(object, "Name"), value_string(object, "Phase"), operation, delay_text, rate, done, left,
                  value_string(object, "VerificationState"), until,
                  value_bool(object, "Paused") ? "paused" : value_string(object, "ReplicationState"));
}

void picture_draw_all(const Picture *picture, const Options *options, GPtrArray *all, gint64 real_now, GString *out) {
        g_autoptr(Table) table = table_new("NAME", "PHASE", "OPERATION", "DELAY", "RATE", "COPIED", "LEFT", "VERIFIED",
                                           "DEADLINE", "LINK", NULL);

        for (guint i = 0; i < all->len; i++)
                row(picture, g_ptr_array_index(all, i), real_now, table);
        table_print(table, options, out);
        for (guint i = 0; i < all->len; i++) {
                JsonObject *object = g_ptr_array_index(all, i);
                JsonObject *error = value_object(object, "LastError");

                if (!*value_string(error, "name"))
                        continue;
                g_string_append_c(out, '\n');
                format_append_safe(out, value_string(object, "Name"));
                g_string_append(out, ": ");
                format_append_safe(out, value_string(error, "message"));
                g_string_append_c(out, '\n');
        }
}

void picture_draw_rates(const Picture *picture, JsonObject *properties, gint64 real_now, GString *out) {
        bool copying = is_copying(properties);
        g_autofree char *first = rate_text(picture, properties, copying ? BYTES_COPIED : TRANSACTIONS_APPLIED);
        g_autofree char *second = rate_text(picture, properties, copying ? ROWS_COPIED : ROWS_APPLIED);
        g_autofree char *done = bar(properties);
        g_autofree char *left = copying ? time_left(properties, "EstimatedEnd", real_now) : NULL;
        g_autofree char *until = deadline(properties, real_now);

        g_string_append_printf(out, "%14s: %s%s%s\n", "Rate", first ? first : "-", second ? ", " : "", second ? second : "");
        if (done)
                g_string_append_printf(out, "%14s: %s%s%s\n", "Progress", done, left ? ", left: " : "", left ? left : "");
        if (until)
                g_string_append_printf(out, "%14s: %s\n", "Deadline", until);
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
