/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The base floor: error names, mailbox, queue and files. */

#include <glib/gstdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/mailbox.h"
#include "base/queue.h"
#include "base/thread.h"

static void test_error_names(void) {
        for (int i = 0; i < _PS_ERROR_MAX; i++) {
                const char *name = ps_error_code_to_string((PsErrorCode) i);
                g_assert_nonnull(name);
                g_assert_cmpint(ps_error_code_from_string(name), ==, i);
        }
        g_assert_null(ps_error_code_to_string(_PS_ERROR_MAX));
        g_assert_cmpint(ps_error_code_from_string("Nonsense"), ==, _PS_ERROR_INVALID);
}

static void post_many(gpointer data) {
        for (int i = 0; i < 10000; i++)
                mailbox_post(data, 7, i, g_strdup("x"), g_free);
}

static void test_mailbox(void) {
        g_autoptr(Mailbox) mailbox = mailbox_new();
        Thread *thread = thread_start("post", post_many, mailbox);
        int expected = 0;
        while (expected < 10000)
                for (Message *m = mailbox_take_all(mailbox), *next; m; m = next) {
                        next = m->next;
                        g_assert_cmpint(m->kind, ==, expected++);
                        g_assert_cmpuint(m->id, ==, 7);
                        message_free(m);
                }
        thread_join(thread);
        mailbox_post(mailbox, 1, 1, g_strdup("left behind"), g_free);
}

static void push_many(gpointer data) {
        for (int i = 1; i <= 100000; i++)
                g_assert_true(queue_push(data, GINT_TO_POINTER(i), 10));
        queue_close(data, /* discard= */ false);
}

static void test_queue(void) {
        g_autoptr(Queue) queue = queue_new(/* max_weight= */ 1000, /* free_item= */ NULL);
        g_assert_null(queue_pop(queue, 1000, NULL));
        Thread *thread = thread_start("push", push_many, queue);
        bool closed = false;
        for (int i = 1; i <= 100000; i++) {
                g_assert_cmpint(GPOINTER_TO_INT(queue_pop(queue, -1, &closed)), ==, i);
                g_assert_cmpuint(queue_weight(queue), <=, 1000);
        }
        g_assert_null(queue_pop(queue, -1, &closed));
        g_assert_true(closed);
        thread_join(thread);
        g_assert_false(queue_push(queue, GINT_TO_POINTER(1), 1));
}

static void test_queue_heavy(void) {
        g_autoptr(Queue) queue = queue_new(10, g_free);
        g_assert_true(queue_push(queue, g_strdup("heavier than the bound"), 100));
        g_assert_cmpuint(queue_weight(queue), ==, 100);
        queue_close(queue, /* discard= */ true);
        g_assert_cmpuint(queue_weight(queue), ==, 0);
}

static void test_files(void) {
        g_autofree char *dir = g_dir_make_tmp("polarshift-test-XXXXXX", NULL);
        g_autofree char *deep = g_build_filename(dir, "a", "b", NULL);
        g_autofree char *path = g_build_filename(deep, "state", NULL);
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        gsize length;

        g_assert_true(fs_make_dir(deep, NULL));
        g_assert_true(fs_replace(path, "one", -1, 0600, NULL));
        g_assert_true(fs_replace(path, "two", -1, 0600, NULL));
        g_assert_true(fs_append_line(path, "three", NULL));
        g_assert_true(fs_read(path, 100, &text, &length, NULL));
        g_assert_cmpstr(text, ==, "twothree\n");
        g_clear_pointer(&text, g_free);
        g_assert_false(fs_read(path, 3, &text, &length, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_FAILED);
        g_clear_error(&error);
        g_assert_false(fs_replace("/nonexistent/x", "y", -1, 0600, &error));
        g_assert_nonnull(error);
        g_assert_true(fs_remove_tree(dir, NULL));
        g_assert_true(fs_remove_tree(dir, NULL));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/base/error-names", test_error_names);
        g_test_add_func("/base/mailbox", test_mailbox);
        g_test_add_func("/base/queue", test_queue);
        g_test_add_func("/base/queue-heavy", test_queue_heavy);
        g_test_add_func("/base/files", test_files);
        return g_test_run();
}
