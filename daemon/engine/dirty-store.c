/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dirty-store.h. A GVariant in little-endian order, which tells whether it is whole; a sum before it tells that nothing is wrong in it. */

#include "engine/dirty-store.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

#define FILE_NAME "changed-rows"
#define FILE_MAX (2u * DIRTY_BYTES_MAX)
#define FORMAT "(utb" DIRTY_TABLES ")" /* leg, seq, and as dirty_get() tells */
#define MAGIC "polarshift changed rows 1 " /* another number when keys are written in another way (key.h) */
#define SUM_SIZE 64 /* SHA-256 in hexadecimal digits */
#define HEAD_SIZE (sizeof MAGIC - 1 + SUM_SIZE)

static char *make_head(const void *data, gsize size) {
        g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);
        return g_strconcat(MAGIC, sum, NULL);
}

static GVariant *in_file_order(GVariant *value /* consumed */) {
        g_autoptr(GVariant) mine = value;
        return G_BYTE_ORDER == G_LITTLE_ENDIAN ? g_steal_pointer(&mine) : g_variant_byteswap(mine);
}

bool dirty_store_save(const char *directory, DirtyKeys *dirty, guint32 leg, guint64 seq, GError **error) {
        g_autofree char *path = g_build_filename(directory, FILE_NAME, NULL);
        bool open;
        g_autoptr(GVariant) tables = dirty_get(dirty, &open);
        if (!open && g_variant_n_children(tables) == 0) {
                (void) unlink(path);
                return true;
        }
        g_autoptr(GVariant) value = in_file_order(g_variant_ref_sink(g_variant_new("(utb@" DIRTY_TABLES ")", leg, seq, open, tables)));
        gsize size = g_variant_get_size(value);
        g_autofree char *head = make_head(g_variant_get_data(value), size);
        g_autoptr(GByteArray) text = g_byte_array_sized_new((guint) (HEAD_SIZE + size));
        g_byte_array_append(text, (const guint8 *) head, (guint) HEAD_SIZE);
        g_byte_array_append(text, g_variant_get_data(value), (guint) size);
        return fs_replace(path, (const char *) text->data, text->len, 0600, error);
}

bool dirty_store_take(const char *directory, DirtyKeys *dirty, guint32 *ret_leg, guint64 *ret_seq) {
        g_autofree char *path = g_build_filename(directory, FILE_NAME, NULL), *text = NULL;
        gsize size, at = HEAD_SIZE;
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
                return false;
        bool good = fs_read(path, FILE_MAX, &text, &size, NULL);
        if (unlink(path) < 0 || !good || size <= at)
                return false;
        g_autofree char *head = make_head(text + at, size - at);
        if (memcmp(head, text, at) != 0)
                return false;
        g_autoptr(GBytes) bytes = g_bytes_new(text + at, size - at);
        g_autoptr(GVariant) value = in_file_order(g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(FORMAT), bytes, /* trusted= */ FALSE)));
        if (!g_variant_is_normal_form(value))
                return false;
        gboolean open;
        g_autoptr(GVariant) tables = NULL;
        g_variant_get(value, "(utb@" DIRTY_TABLES ")", ret_leg, ret_seq, &open, &tables);
        dirty_set(dirty, open, tables);
        return true;
}
