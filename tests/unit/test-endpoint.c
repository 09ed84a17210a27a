/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URIs of servers, and that no refusal repeats a password. */

#include <string.h>

#include "base/error.h"
#include "mysql/endpoint.h"

static void test_good(void) {
        static const struct {
                const char *uri, *label, *user, *region, *zone;
                guint hosts;
                SslMode ssl_mode;
        } cases[] = {
                {"mysql://u@db1", "db1:3306", "u", NULL, NULL, 1, _SSL_MODE_INVALID},
                {"mysql://u@db1:3307/", "db1:3307", "u", NULL, NULL, 1, _SSL_MODE_INVALID},
                {"mysql://u@db1,db2:3307/?ssl-mode=required", "db1:3306,db2:3307", "u", NULL, NULL, 2, SSL_MODE_REQUIRED},
                {"mysql://u@[2001:db8::1]:3308,[::1]/", "[2001:db8::1]:3308,[::1]:3306", "u", NULL, NULL, 2,
                 _SSL_MODE_INVALID},
                {"mysql://u@127.0.0.1/?region=eu%20west&zone=a&ssl-mode=verify-identity", "127.0.0.1:3306", "u", "eu west",
                 "a", 1, SSL_MODE_VERIFY_IDENTITY},
                {"mysql://a%40b%3Ac@h?ssl-mode=disabled", "h:3306", "a@b:c", NULL, NULL, 1, SSL_MODE_DISABLED},
                {"mysql://u@/?socket=/run/my%20sql.sock", "/run/my sql.sock", "u", NULL, NULL, 0, _SSL_MODE_INVALID},
                {"mysql://u@localhost/?socket=/run/s", "/run/s", "u", NULL, NULL, 0, _SSL_MODE_INVALID},
                {"mysql://u@h/?region=&zone=&ssl-mode=&socket=", "h:3306", "u", NULL, NULL, 1, _SSL_MODE_INVALID},
                {"mysql://u@h/?", "h:3306", "u", NULL, NULL, 1, _SSL_MODE_INVALID},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(Endpoint) parsed = endpoint_parse("source", cases[i].uri, &error);
                g_assert_no_error(error);
                g_autoptr(Endpoint) endpoint = endpoint_copy(parsed);
                g_autofree char *label = endpoint_label(endpoint);
                g_assert_cmpstr(label, ==, cases[i].label);
                g_assert_cmpstr(endpoint->user, ==, cases[i].user);
                g_assert_cmpstr(endpoint->region, ==, cases[i].region);
                g_assert_cmpstr(endpoint->zone, ==, cases[i].zone);
                g_assert_cmpuint(endpoint->hosts->len, ==, cases[i].hosts);
                g_assert_cmpint(endpoint->ssl_mode, ==, cases[i].ssl_mode);
        }
}

static void test_bad(void) {
        static const char *const uris[] = {
                "", "db1", "http://u@h", "mysql://", "mysql://h", "mysql://@h", "mysql://u@", "mysql://u@/",
                "mysql://u:S3CRET@h/", "mysql://u:S3CRET", "mysql://u:S3CRET@h/?x=1", "mysql://u@S3CRET@h/",
                "mysql://u:a@S3CRET@h", "mysql://u@h/?password=S3CRET", "mysql://u@h/?S3CRET", "mysql://u:@h/",
                "mysql://u@h/db", "mysql://u@h#x", "mysql://u@h/?ssl-mode=preferred", "mysql://u@h/?ssl-mode=REQUIRED",
                "mysql://u@h/?zone=a&zone=b", "mysql://u@h:0/", "mysql://u@h:65536/", "mysql://u@h:/", "mysql://u@h:+1/",
                "mysql://u@h: 1/", "mysql://u@h,/", "mysql://u@,h/", "mysql://u@h,h:3306/", "mysql://u@::1/",
                "mysql://u@[::1/", "mysql://u@[::1]x/", "mysql://u@[db1]/", "mysql://u@-h/", "mysql://u@a b/",
                "mysql://u@h/?socket=/run/s", "mysql://u@/?socket=run/s", "mysql://u%00@h/", "mysql://u%zz@h/",
                "mysql://u%0a@h/", "mysql://u@h/?zone=%ff", "mysql://u@localhost:3307/?socket=/run/s", "mysql://\xff@h/",
                "mysql://u@h/?region", "mysql://u@h%41/",
        };
        for (gsize i = 0; i < G_N_ELEMENTS(uris); i++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(Endpoint) endpoint = endpoint_parse("destination", uris[i], &error);
                if (endpoint)
                        g_error("accepted: %s", uris[i]);
                g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
                g_assert_nonnull(strstr(error->message, "destination"));
                g_assert_null(strstr(error->message, "S3CRET"));
        }
        g_autofree char *host = g_strnfill(5000, 'a'), *uri = g_strconcat("mysql://u@", host, NULL);
        g_assert_null(endpoint_parse("source", uri, NULL));
        g_autofree char *path = g_strnfill(108, 'a'), *socket = g_strconcat("mysql://u@/?socket=/", path, NULL);
        g_assert_null(endpoint_parse("source", socket, NULL));
}

static void test_names(void) {
        for (int i = 0; i < _SSL_MODE_MAX; i++)
                g_assert_cmpint(ssl_mode_from_string(ssl_mode_to_string((SslMode) i)), ==, i);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/endpoint/good", test_good);
        g_test_add_func("/endpoint/bad", test_bad);
        g_test_add_func("/endpoint/names", test_names);
        return g_test_run();
}
