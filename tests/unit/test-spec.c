/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options: what is taken, what is refused and how, and what include and exclude select. */

#include "base/error.h"
#include "engine/spec-select.h"
#include "engine/allow-list.h"
#include "engine/spec.h"

#define SOURCE "mysql://agent@db1/?ssl-mode=disabled"
#define DESTINATION "mysql://agent@db2/?ssl-mode=disabled"

static MigrationSpec *make(void) {
        MigrationSpec *spec = spec_new("shop");
        g_assert_true(spec_set_text(spec, "source", SOURCE, NULL));
        g_assert_true(spec_set_text(spec, "destination", DESTINATION, NULL));
        return spec;
}

static void test_names(void) {
        g_autofree char *longest = g_strnfill(48, 'a'), *longer = g_strnfill(49, 'a');
        g_autofree char *credential = g_strconcat(longest, ".destination", NULL);
        g_assert_true(spec_name_valid("a") && spec_name_valid("shop-2_x") && spec_name_valid(longest));
        g_assert_false(spec_name_valid("") || spec_name_valid("2a") || spec_name_valid("A") || spec_name_valid("a.b") ||
                       spec_name_valid("a/b") || spec_name_valid("..") || spec_name_valid(longer));
        g_assert_true(spec_credential_name_valid("shop.source") && spec_credential_name_valid(credential));
        g_assert_false(spec_credential_name_valid("a.b.c") || spec_credential_name_valid(".a") || spec_credential_name_valid("a.") ||
                       spec_credential_name_valid("a..b") || spec_credential_name_valid("../a"));
}

static void test_defaults(void) {
        g_autoptr(MigrationSpec) spec = make();
        g_assert_true(spec_validate(spec, NULL));
        g_assert_cmpfloat(spec->limits.max_delay, ==, 60);
        g_assert_cmpuint(spec->limits.expire_after, ==, 604800);
        g_assert_cmpuint(spec->limits.max_source_load, ==, 25);
        g_assert_cmpuint(spec->limits.max_copy_rate, ==, 0);
        g_assert_cmpint(spec->fence, ==, FENCE_GLOBAL);
        g_assert_cmpint(spec->verify, ==, VERIFY_REQUIRED);
        g_assert_cmpint(spec->unfit, ==, UNFIT_REFUSE);
        g_assert_true(spec_is_whole_instance(spec));
}

static void test_text(void) {
        static const struct {
                const char *key, *text;
                int error; /* -1: taken */
        } table[] = {
                { "max-delay", "0.5", -1 },
                { "max-delay", "60", -1 },
                { "max-delay", "0", PS_ERROR_INVALID_OPTION },
                { "max-delay", "-1", PS_ERROR_INVALID_OPTION },
                { "max-delay", "60.1", PS_ERROR_INVALID_OPTION },
                { "max-delay", "nan", PS_ERROR_INVALID_OPTION },
                { "max-delay", "inf", PS_ERROR_INVALID_OPTION },
                { "max-delay", "", PS_ERROR_INVALID_OPTION },
                { "max-delay", "5 s", PS_ERROR_INVALID_OPTION },
                { "expire-after", "1", -1 },
                { "expire-after", "0", PS_ERROR_INVALID_OPTION },
                { "expire-after", "18446744073709551615", PS_ERROR_INVALID_OPTION },
                { "expire-after", "18446744073709551616", PS_ERROR_INVALID_OPTION },
                { "copy-threads", "0", -1 },
                { "copy-threads", "4294967297", PS_ERROR_INVALID_OPTION },
                { "copy-threads", "-1", PS_ERROR_INVALID_OPTION },
                { "max-copy-rate", "9223372036854775807", -1 },
                { "fence", "global", -1 },
                { "fence", "accounts", -1 },
                { "fence", "hook", -1 },
                { "fence", "none", PS_ERROR_INVALID_OPTION },
                { "create-type", "migrate", -1 },
                { "create-type", "clone", -1 },
                { "create-type", "default", PS_ERROR_INVALID_OPTION },
                { "verify", "advisory", -1 },
                { "unfit", "skip", -1 },
                { "cluster", "c", PS_ERROR_NOT_SUPPORTED },
                { "create-cluster", "c", PS_ERROR_NOT_SUPPORTED },
                { "allow-list", "", -1 },
                { "allow-list", "10.0.0.0/8; 2001:DB8::/32;192.168.1.1;::1", -1 },
                { "allow-list", "10.0.0.1/8", PS_ERROR_INVALID_OPTION },
                { "allow-list", "10.0.0.0/33", PS_ERROR_INVALID_OPTION },
                { "allow-list", "10.0.0.0/+8", PS_ERROR_INVALID_OPTION },
                { "allow-list", "10.0.0.0/", PS_ERROR_INVALID_OPTION },
                { "allow-list", "10.0.0", PS_ERROR_INVALID_OPTION },
                { "allow-list", "10.0.0.0/8;db1.example.com", PS_ERROR_INVALID_OPTION },
                { "allow-list", "10.0.%", PS_ERROR_INVALID_OPTION },
                { "allow-list", "fe80::1%eth0", PS_ERROR_INVALID_OPTION },
                { "include", "shop; blog.post* ;", -1 },
                { "include", "a.b.c", PS_ERROR_INVALID_OPTION },
                { "source-credential", "x.y", -1 },
                { "source-credential", "X", PS_ERROR_INVALID_OPTION },
                { "source", "mysql://a:secret@h/", PS_ERROR_INVALID_OPTION },
                { "nonsense", "1", PS_ERROR_INVALID_OPTION },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                g_autoptr(MigrationSpec) spec = spec_new("shop");
                g_autoptr(GError) error = NULL;
                bool taken = spec_set_text(spec, table[i].key, table[i].text, &error);
                g_test_message("%s=%s: %s", table[i].key, table[i].text, error ? error->message : "taken");
                g_assert_cmpint(taken, ==, table[i].error < 0);
                if (error) {
                        g_assert_cmpint((int) ps_error_code_of(error), ==, table[i].error);
                        g_assert_null(strstr(error->message, "secret"));
                }
        }
}

static void test_allow_list(void) {
        static const struct {
                const char *host;
                AllowListCover cover;
        } table[] = {
                { "10.1.2.3", ALLOW_LIST_COVERED },
                { "11.1.2.3", ALLOW_LIST_OUTSIDE },
                { "10.1.%", ALLOW_LIST_COVERED },
                { "10.%", ALLOW_LIST_COVERED },
                { "192.168.%", ALLOW_LIST_PARTLY },
                { "192.168.7.%", ALLOW_LIST_COVERED },
                { "192.168.8.%", ALLOW_LIST_OUTSIDE },
                { "192.168.7.9/255.255.255.255", ALLOW_LIST_COVERED },
                { "192.168.0.0/255.255.0.0", ALLOW_LIST_PARTLY },
                { "192.168.0.0/255.0.255.0", ALLOW_LIST_UNKNOWN },
                { "2001:db8::5", ALLOW_LIST_COVERED },
                { "2001:db9::5", ALLOW_LIST_OUTSIDE },
                { "%", ALLOW_LIST_UNKNOWN },
                { "", ALLOW_LIST_UNKNOWN },
                { "10.1", ALLOW_LIST_UNKNOWN },
                { "10.1.2.%.%", ALLOW_LIST_UNKNOWN },
                { "%.example.com", ALLOW_LIST_UNKNOWN },
                { "1_.1.%", ALLOW_LIST_UNKNOWN },
                { "localhost", ALLOW_LIST_UNKNOWN },
                { "127.0.0.1", ALLOW_LIST_UNKNOWN },
                { "::1", ALLOW_LIST_UNKNOWN },
        };
        g_autoptr(MigrationSpec) spec = spec_new("shop");
        g_assert_true(spec_set_text(spec, "allow-list", "10.0.0.0/8;192.168.7.0/24;2001:DB8:0::/32;10.0.0.0/8", NULL));
        g_autofree char *kept = g_strjoinv(" ", spec->allow_list);
        g_assert_cmpstr(kept, ==, "10.0.0.0/8 192.168.7.0/24 2001:db8::/32");
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                g_test_message("%s", table[i].host);
                g_assert_cmpint(allow_list_covers(spec->allow_list, table[i].host), ==, table[i].cover);
        }
}

static void test_types(void) {
        static const SpecValue values[] = {
                { .type = SPEC_VALUE_BOOLEAN, .boolean = true },
                { .type = (SpecValueType) -1 },
        };
        static const char *const keys[] = { "source", "include", "max-delay", "expire-after", "copy-threads", "fence",
                                            "source-ca", "cluster", "allow-list", "verify" };
        for (gsize k = 0; k < G_N_ELEMENTS(keys); k++)
                for (gsize v = 0; v < G_N_ELEMENTS(values); v++) {
                        g_autoptr(MigrationSpec) spec = spec_new("shop");
                        g_autoptr(GError) error = NULL;
                        g_assert_false(spec_set(spec, keys[k], &values[v], &error));
                        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
                }
}

static void test_validate(void) {
        static const struct {
                const char *source, *destination, *ca, *cert;
                bool good;
        } table[] = {
                { SOURCE, DESTINATION, NULL, NULL, true },
                { SOURCE, NULL, NULL, NULL, false },
                { NULL, DESTINATION, NULL, NULL, false },
                { SOURCE, SOURCE, NULL, NULL, false },
                { "mysql://a@h1,h2/?ssl-mode=required", "mysql://a@h3,h2/?ssl-mode=required", NULL, NULL, false },
                { "mysql://a@h1/", DESTINATION, NULL, NULL, false },     /* no silent choice */
                { "mysql://a@h1/", DESTINATION, "ca", NULL, true },      /* a CA means verify-identity */
                { SOURCE, DESTINATION, "ca", NULL, false },              /* disabled, and yet a CA */
                { "mysql://a@h1/", DESTINATION, "ca", "cert", false },   /* a certificate without its key */
                { "mysql://a@localhost/?socket=/run/a.sock", "mysql://a@localhost/?socket=/run/a.sock", NULL, NULL, false },
                { "mysql://a@localhost/?socket=/run/a.sock", "mysql://a@localhost/?socket=/run/b.sock", NULL, NULL, true },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                g_autoptr(MigrationSpec) spec = spec_new("shop");
                g_autoptr(GError) error = NULL;
                if (table[i].source)
                        g_assert_true(spec_set_text(spec, "source", table[i].source, &error));
                if (table[i].destination)
                        g_assert_true(spec_set_text(spec, "destination", table[i].destination, &error));
                if (table[i].ca)
                        g_assert_true(spec_set_text(spec, "source-ca", table[i].ca, &error));
                if (table[i].cert)
                        g_assert_true(spec_set_text(spec, "source-cert", table[i].cert, &error));
                bool good = spec_validate(spec, &error);
                g_test_message("%" G_GSIZE_FORMAT ": %s", i, error ? error->message : "good");
                g_assert_cmpint(good, ==, table[i].good);
                if (!good)
                        g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
        }
}

static void test_json(void) {
        g_autoptr(MigrationSpec) spec = make();
        g_assert_true(spec_set_text(spec, "include", "shop;`a.b`.t?", NULL));
        g_assert_true(spec_set_text(spec, "max-delay", "0.25", NULL));
        g_assert_true(spec_set_text(spec, "source-credential", "x.y", NULL));
        g_autoptr(JsonNode) node = spec_to_json(spec);
        g_autofree char *text = json_to_string(node, FALSE);
        g_autoptr(JsonNode) again = json_from_string(text, NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(MigrationSpec) read = spec_from_json(again, &error);
        g_assert_no_error(error);
        g_autoptr(MigrationSpec) copy = spec_copy(read);
        g_autoptr(JsonNode) copied = spec_to_json(copy);
        g_autofree char *text_again = json_to_string(copied, FALSE);
        g_assert_cmpstr(text, ==, text_again);

        static const char *const bad[] = { "null", "[]", "{}", "{\"name\":\"A\"}", "{\"name\":\"a\"}", "{\"name\":\"a\",\"x\":1}",
                                           "{\"name\":\"a\",\"include\":[1]}", "{\"name\":\"a\",\"fence\":null}" };
        for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(JsonNode) n = json_from_string(bad[i], NULL);
                g_autoptr(GError) why = NULL;
                g_assert_null(spec_from_json(n, &why));
                g_assert_error(why, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
        }
}

static void test_selects(void) {
        static const struct {
                const char *include, *exclude, *database, *table;
                bool selected;
        } table[] = {
                { "", "", "shop", "orders", true },
                { "", "", "mysql", "user", false },
                { "mysql", "", "mysql", "user", false },
                { "", "", "polarshift", "own", false },
                { "", "", "INFORMATION_SCHEMA", NULL, false },
                { "shop", "", "shop", "orders", true },
                { "shop", "", "shop", NULL, true },
                { "shop", "", "blog", NULL, false },
                { "shop.orders", "", "shop", NULL, true },
                { "shop.orders", "", "shop", "stock", false },
                { "sh?p.o*", "", "shop", "orders", true },
                { "", "shop", "shop", "orders", false },
                { "", "shop", "shop", NULL, false },
                { "", "shop.*", "shop", NULL, false },
                { "", "shop.tmp_*", "shop", NULL, true },
                { "", "shop.tmp_*", "shop", "tmp_1", false },
                { "shop", "shop.tmp_*", "shop", "tmp_1", false },
                { "`a.b`.`c.d`", "", "a.b", "c.d", true },
                { "`a``b`", "", "a`b", "t", true },
                { "Shop", "", "shop", "orders", false },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                g_autoptr(MigrationSpec) spec = spec_new("x");
                g_assert_true(spec_set_text(spec, "include", table[i].include, NULL));
                g_assert_true(spec_set_text(spec, "exclude", table[i].exclude, NULL));
                g_test_message("%" G_GSIZE_FORMAT, i);
                g_assert_cmpint(spec_selects(spec, table[i].database, table[i].table), ==, table[i].selected);
        }
        static const char *const bad[] = { "", ".", "a.", ".a", "a.b.c", "`a", "`a`b", "a`b`", "``", "a..b" };
        for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
                g_assert_false(spec_pattern_valid(bad[i]));
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/spec/names", test_names);
        g_test_add_func("/spec/defaults", test_defaults);
        g_test_add_func("/spec/text", test_text);
        g_test_add_func("/spec/allow-list", test_allow_list);
        g_test_add_func("/spec/types", test_types);
        g_test_add_func("/spec/validate", test_validate);
        g_test_add_func("/spec/json", test_json);
        g_test_add_func("/spec/selects", test_selects);
        return g_test_run();
}
