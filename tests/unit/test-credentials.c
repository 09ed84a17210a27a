/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed secrets: they come back as they were, under their key and name only, and never after a bit of them changed. */

#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fs.h"
#include "credentials.h"
#include "seal.h"

#define KEY "0123456789abcdef"

static void test_seal(void) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Seal) seal = seal_new(KEY, 16, &error);
        g_autoptr(Seal) other = seal_new(KEY "0", 17, &error);
        static const char *const secrets[] = {"x", "it's a pass word", "", "-----BEGIN-----\nabc\n-----END-----\n"};
        g_assert_no_error(error);
        for (gsize i = 0; i < G_N_ELEMENTS(secrets); i++) {
                g_autofree char *sealed = NULL, *opened = NULL;
                gsize length, opened_length;
                g_assert_true(seal_close(seal, "shop.source", secrets[i], strlen(secrets[i]), &sealed, &length, &error));
                g_assert_true(seal_is_sealed(sealed, length));
                g_assert_cmpuint(length, <=, strlen(secrets[i]) + SEAL_OVERHEAD_MAX);
                g_assert_true(seal_open(seal, "shop.source", sealed, length, &opened, &opened_length, &error));
                g_assert_cmpmem(opened, opened_length, secrets[i], strlen(secrets[i]));
                g_assert_cmpint(opened[opened_length], ==, 0);

                for (gsize bit = 0; bit < length * 8; bit++) {
                        g_autoptr(GError) refused = NULL;
                        char *wrong = NULL;
                        sealed[bit / 8] ^= (char) (1 << (bit % 8));
                        g_assert_false(seal_open(seal, "shop.source", sealed, length, &wrong, &opened_length, &refused));
                        g_assert_nonnull(refused);
                        sealed[bit / 8] ^= (char) (1 << (bit % 8));
                }
                for (gsize cut = 0; cut < length; cut++) {
                        char *wrong = NULL;
                        g_assert_false(seal_open(seal, "shop.source", sealed, cut, &wrong, &opened_length, NULL));
                }
                char *wrong = NULL;
                g_assert_false(seal_open(seal, "shop.destination", sealed, length, &wrong, &opened_length, NULL));
                g_assert_false(seal_open(other, "shop.source", sealed, length, &wrong, &opened_length, NULL));
        }
}

static void test_short_key(void) {
        g_autoptr(GError) error = NULL;
        g_assert_null(seal_new(KEY, 15, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
}

/* As the agent uses it: with a key, without it, with another one. */
static void test_folder(void) {
        g_autoptr(GError) error = NULL;
        g_autofree char *top = g_dir_make_tmp("polarshift-XXXXXX", &error);
        g_autofree char *given = g_build_filename(top, "given", NULL);
        g_autofree char *key = g_build_filename(given, "polarshift-key", NULL);
        g_assert_true(fs_make_dir(given, &error));
        g_setenv("CREDENTIALS_DIRECTORY", given, TRUE);

        Credentials *credentials = credentials_new(top, &error);
        g_assert_true(credentials_store(credentials, "plain", "one", 3, &error));
        credentials_free(credentials);

        g_assert_true(g_file_set_contents(key, KEY, -1, &error));
        credentials = credentials_new(top, &error);
        g_assert_true(credentials_store(credentials, "sealed", "two", 3, &error));
        g_autofree char *one = credentials_read(credentials, "plain", &error), *two = credentials_read(credentials, "sealed", &error);
        g_assert_cmpstr(one, ==, "one");
        g_assert_cmpstr(two, ==, "two");
        g_assert_null(credentials_read(credentials, "polarshift-key", &error));
        g_assert_no_error(error);
        credentials_free(credentials);

        g_assert_true(g_file_set_contents(key, KEY KEY, -1, &error));
        credentials = credentials_new(top, &error);
        g_assert_null(credentials_read(credentials, "sealed", &error));
        g_assert_nonnull(strstr(error->message, "another polarshift-key"));
        g_clear_error(&error);
        credentials_free(credentials);

        g_assert_cmpint(g_unlink(key), ==, 0);
        credentials = credentials_new(top, &error);
        g_assert_null(credentials_read(credentials, "plain", &error));
        g_assert_nonnull(strstr(error->message, "polarshift-key"));
        credentials_free(credentials);
        g_assert_true(fs_remove_tree(top, NULL));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/seal/open", test_seal);
        g_test_add_func("/seal/short-key", test_short_key);
        g_test_add_func("/credentials/folder", test_folder);
        return g_test_run();
}
