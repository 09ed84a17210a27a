/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See place.h. */

#include "engine/place.h"

#include <string.h>

#include "mysql/sql.h"

Place *place_new(const char *server, const char *file, guint64 start, guint64 offset, guint32 crc, const char *gtid, const char *gtids) {
        Place *place = g_atomic_rc_box_new0(Place);
        place->server = g_strdup(server ? server : "");
        place->file = g_strdup(file);
        place->start = start;
        place->offset = offset;
        place->crc = crc;
        place->gtid = g_strdup(gtid);
        place->gtids = g_strdup(gtids);
        return place;
}

Place *place_ref(const Place *place) {
        return place ? g_atomic_rc_box_acquire((Place *) place) : NULL;
}

static void clear(gpointer data) {
        Place *place = data;
        g_free(place->server);
        g_free(place->file);
        g_free(place->gtid);
        g_free(place->gtids);
}

void place_unref(Place *place) {
        if (place)
                g_atomic_rc_box_release_full(place, clear);
}

static void append_nullable(GString *sql, const char *name, const char *value) {
        g_string_append_printf(sql, ", %s=", name);
        if (value)
                sql_append_string(sql, value, strlen(value));
        else
                g_string_append(sql, "NULL");
}

void place_append_columns(const Place *place, GString *sql) {
        g_string_append(sql, ", server=");
        sql_append_string(sql, place->server, strlen(place->server));
        g_string_append(sql, ", file=");
        sql_append_string(sql, place->file, strlen(place->file));
        g_string_append_printf(sql, ", start=%" G_GUINT64_FORMAT ", pos=%" G_GUINT64_FORMAT ", crc=%u", place->start, place->offset, place->crc);
        append_nullable(sql, "gtid", place->gtid);
        append_nullable(sql, "gtids", place->gtids);
}

char *place_describe(const Place *place) {
        return g_strdup_printf("%s, bytes %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT "%s%s%s", place->file, place->start, place->offset,
                               place->gtid ? " (GTID " : "", place->gtid ? place->gtid : "", place->gtid ? ")" : "");
}

bool place_same(const Place *a, const Place *b) {
        return strcmp(a->server, b->server) == 0 && strcmp(a->file, b->file) == 0 && a->start == b->start && a->offset == b->offset &&
               a->crc == b->crc;
}
