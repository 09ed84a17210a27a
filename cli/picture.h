/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What watch draws on a terminal: where each migration stands, how fast it is, and until when. Rates come from one look to the
 * next, so a picture remembers the last one. */

#include <glib.h>
#include <json-glib/json-glib.h>

#include "options.h"

typedef struct Picture Picture;

Picture *picture_new(void);
void picture_free(Picture *picture);
/* A look at a migration at NOW (µs, monotonic): has to be taken before it is drawn. */
void picture_look(Picture *picture, JsonObject *properties, gint64 now);
/* All migrations, one row each, and below what is wrong with them. REAL_NOW: µs since the epoch. COLUMNS: of the terminal. */
void picture_draw_all(const Picture *picture, const Options *options, GPtrArray *all, gint64 real_now, unsigned columns, GString *out);
/* One migration: what status says of it, rates and a bar. */
void picture_draw_one(const Picture *picture, JsonObject *properties, gint64 real_now, unsigned columns, GString *out);
/* TEXT with lines that are too long broken at blanks, and gone on with INDENT blanks. */
void picture_wrap(const char *text, unsigned columns, unsigned indent, GString *out);
/* Cuts TEXT to the terminal, and makes it overwrite what was there without a flicker. */
void picture_to_screen(const GString *text, unsigned columns, unsigned rows, GString *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Picture, picture_free)
