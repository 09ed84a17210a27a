/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What changed since both sides were found equal: which keys are told, and that more than fits is unknown, never forgotten. */

#include "engine/dirty.h"

#include "engine/dirty-store.h"

#include <glib/gstdio.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirtyKeys, dirty_free)

#define T "`d`.`t`"

static void add(DirtyKeys *dirty, const char *table, const char *key) {
        dirty_add(dirty, table, key, strlen(key) + 1);
}

static void check(DirtyKeys *dirty, const char *table, bool known, guint64 keys) {
        guint64 there;
        g_assert_cmpint(dirty_is_known(dirty, table, &there), ==, known);
        g_assert_cmpuint(there, ==, keys);
}

static void test_comparison(void) {
        g_autoptr(DirtyKeys) dirty = dirty_new(1 << 20);
        add(dirty, T, "1");
        check(dirty, T, false, 0); /* nobody has compared anything yet */
        dirty_begin(dirty);
        add(dirty, T, "2");
        add(dirty, T, "2");
        check(dirty, T, false, 0);
        dirty_end(dirty, true);
        check(dirty, T, true, 1); /* it may have been missed */
        check(dirty, "`d`.`u`", true, 0);
        add(dirty, T, "3");
        add(dirty, "`d`.`u`", "2");
        check(dirty, T, true, 2);
        check(dirty, "`d`.`u`", true, 1);

        dirty_begin(dirty);
        add(dirty, T, "4");
        dirty_end(dirty, false); /* they differ: what was dirty is dirty */
        check(dirty, T, true, 3);
        dirty_begin(dirty);
        dirty_end(dirty, true);
        check(dirty, T, true, 0);
        dirty_forget(dirty);
        check(dirty, T, false, 0);
        dirty_end(dirty, true); /* of a comparison whose beginning was forgotten */
        check(dirty, T, false, 0);
}

static void test_take(void) {
        g_autoptr(DirtyKeys) dirty = dirty_new(1 << 20);
        dirty_begin(dirty);
        dirty_end(dirty, true);
        g_assert_null(dirty_take(dirty, T));
        add(dirty, T, "1");
        add(dirty, T, "2");
        g_autoptr(GPtrArray) taken = dirty_take(dirty, T);
        g_assert_cmpuint(taken->len, ==, 2);
        check(dirty, T, true, 0);
        gsize size;
        const char *key = g_bytes_get_data(taken->pdata[0], &size);
        g_assert_cmpuint(size, ==, 2);
        dirty_add(dirty, T, key, size);
        check(dirty, T, true, 1);
        dirty_add_unknown(dirty, T);
        check(dirty, T, false, 0);
        g_assert_null(dirty_take(dirty, T));
        dirty_watch(dirty, T);
        check(dirty, T, true, 0);
        add(dirty, T, "5");
        check(dirty, T, true, 1);
}

/* While nothing else is known one table can be. */
static void test_watch(void) {
        g_autoptr(DirtyKeys) dirty = dirty_new(1 << 20);
        add(dirty, T, "1");
        dirty_watch(dirty, T);
        add(dirty, T, "2");
        add(dirty, "`d`.`u`", "2");
        check(dirty, T, true, 1);
        check(dirty, "`d`.`u`", false, 0);
}

static void test_bounded(void) {
        g_autoptr(DirtyKeys) dirty = dirty_new(20000);
        dirty_begin(dirty);
        dirty_end(dirty, true);
        add(dirty, "`d`.`u`", "1");
        for (guint i = 0; i < 1000; i++) {
                g_autofree char *key = g_strdup_printf("%u", i);
                add(dirty, T, key);
        }
        check(dirty, T, false, 0);
        check(dirty, "`d`.`u`", true, 1); /* the others are not punished for it */
        add(dirty, "`d`.`u`", "2");
        check(dirty, "`d`.`u`", true, 2);
        dirty_begin(dirty);
        dirty_end(dirty, true);
        check(dirty, T, true, 0);
}

static bool take(const char *folder, DirtyKeys *dirty) {
        guint32 leg = 0;
        guint64 seq = 0;
        if (!dirty_store_take(folder, dirty, &leg, &seq))
                return false;
        g_assert_cmpuint(leg, ==, 3);
        g_assert_cmpuint(seq, ==, G_MAXUINT32 + G_GUINT64_CONSTANT(7));
        return true;
}

static void save(const char *folder, DirtyKeys *dirty) {
        g_assert_true(dirty_store_save(folder, dirty, 3, G_MAXUINT32 + G_GUINT64_CONSTANT(7), NULL));
}

/* What is known is kept, once; a file with a bit that is not as it was is none. */
static void test_store(void) {
        g_autofree char *folder = g_dir_make_tmp("dirty-XXXXXX", NULL), *path = g_build_filename(folder, "changed-rows", NULL), *text = NULL;
        g_autoptr(DirtyKeys) dirty = dirty_new(1 << 20), nothing = dirty_new(1 << 20);
        gsize size;
        save(folder, nothing);
        g_assert_false(take(folder, nothing));
        dirty_begin(dirty);
        dirty_end(dirty, true);
        add(dirty, T, "1");
        dirty_add(dirty, T, "\0\xff\0", 3);
        dirty_add(dirty, T, "", 0);
        dirty_add_unknown(dirty, "`d`.`u\xff`");
        save(folder, dirty);
        g_assert_true(g_file_get_contents(path, &text, &size, NULL));

        g_autoptr(DirtyKeys) again = dirty_new(1 << 20);
        g_assert_true(take(folder, again));
        g_assert_false(take(folder, nothing));
        check(again, T, true, 3);
        check(again, "`d`.`u\xff`", false, 0);
        check(again, "`d`.`other`", true, 0);
        bool found = false;
        g_autoptr(GPtrArray) keys = dirty_take(again, T);
        for (guint i = 0; i < keys->len; i++)
                found |= g_bytes_get_size(keys->pdata[i]) == 3 && memcmp(g_bytes_get_data(keys->pdata[i], NULL), "\0\xff\0", 3) == 0;
        g_assert_true(found);

        g_autoptr(DirtyKeys) some = dirty_new(1 << 20);
        dirty_watch(some, T);
        add(some, T, "1");
        save(folder, some);
        g_assert_true(take(folder, nothing));
        check(nothing, T, true, 1);
        check(nothing, "`d`.`other`", false, 0);

        for (gsize at = 0; at < size; at++) {
                g_autoptr(DirtyKeys) broken = dirty_new(1 << 20);
                g_assert_true(g_file_set_contents(path, text, (gssize) at, NULL));
                g_assert_false(take(folder, broken));
                text[at] ^= 1;
                g_assert_true(g_file_set_contents(path, text, (gssize) size, NULL));
                text[at] ^= 1;
                g_assert_false(take(folder, broken));
                check(broken, T, false, 0);
        }
        g_assert_cmpint(g_rmdir(folder), ==, 0);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/dirty/comparison", test_comparison);
        g_test_add_func("/dirty/take", test_take);
        g_test_add_func("/dirty/watch", test_watch);
        g_test_add_func("/dirty/bounded", test_bounded);
        g_test_add_func("/dirty/store", test_store);
        return g_test_run();
}
