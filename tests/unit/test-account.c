/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accounts as values: what they become on another family, the list of passwords, the file. */

#include <glib/gstdio.h>

#include "base/error.h"
#include "engine/account-login.h"
#include "engine/account-map.h"
#include "engine/account-store.h"
#include "engine/fence-record.h"

static void test_map(void) {
        static const char text[] = "# comment\n\n'app'@'%' password  two  blanks \r\n\t'it''s'@'10.%'\thash caching_sha2_password $A$005$x y\n'o\\'b'@'' leave\n";
        g_autoptr(GError) error = NULL;
        g_autoptr(AccountMap) map = account_map_parse(text, &error);
        g_assert_no_error(error);
        const AccountMapping *app = account_map_find(map, "app", "%"), *its = account_map_find(map, "it's", "10.%");
        g_assert_cmpint(app->kind, ==, ACCOUNT_MAPPING_PASSWORD);
        g_assert_cmpstr(app->secret, ==, " two  blanks ");
        g_assert_cmpstr(its->plugin, ==, "caching_sha2_password");
        g_assert_cmpstr(its->secret, ==, "$A$005$x y");
        g_assert_cmpint(account_map_find(map, "o'b", "")->kind, ==, ACCOUNT_MAPPING_LEAVE);
        g_assert_null(account_map_find(map, "app", "localhost"));
        g_assert_null(account_map_find(NULL, "app", "%"));
}

static void test_bad_maps(void) {
        static const char *const texts[] = {
                "app@'%' leave", "'app'@'%'", "'app'@'%' leave it", "'app'@'%' password", "'app'@'%' password ", "'app'@'%' hash x", "'app'@'%' hash x ",
                "'app'@'%' HASH x y", "'app'@'%", "'app' @'%' leave", "'app'@'%'leave", "'a'@'b' leave\n'a'@'b' leave", "'a'@'b' password secret\n'c",
        };
        for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
                g_autoptr(GError) error = NULL;
                g_assert_null(account_map_parse(texts[i], &error));
                g_assert_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION);
                g_assert_null(strstr(error->message, "secret"));
        }
}

static Account *example(void) {
        Account *account = account_new("it's\xff", "10.0.0.0/255.0.0.0");
        account_set(&account->plugin, ACCOUNT_NATIVE);
        account_set(&account->secret, "*0123456789012345678901234567890123456789");
        account_set(&account->tls, "SPECIFIED");
        account_set(&account->subject, "/CN=\xe9\n");
        account->limits[ACCOUNT_LIMIT_UPDATES] = 7;
        account->expired = true;
        account_add_grant(account, ACCOUNT_LEVEL_COLUMN, "db", "t`", "c\x01", "SELECT");
        account_add_grant(account, ACCOUNT_LEVEL_GLOBAL, "", "", "", "REPLICATION CLIENT");
        account_add_grant(account, ACCOUNT_LEVEL_DATABASE, "d\\_b", "", "", "GRANT OPTION");
        account_add_grant(account, ACCOUNT_LEVEL_GLOBAL, "", "", "", "REPLICATION CLIENT");
        account_sort(account);
        return account;
}

static void test_store(void) {
        g_autofree char *folder = g_dir_make_tmp("test-account-XXXXXX", NULL), *path = g_build_filename(folder, "accounts.json", NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(Account) account = example();
        g_assert_cmpuint(account->grants->len, ==, 3);
        {
                g_autoptr(PairStore) store = pair_store_load(&account_kind, folder, &error);
                g_assert_no_error(error);
                AccountEntry *entry = account_store_add(store, account->user, account->host);
                entry->sides[SIDE_SOURCE] = account_copy(account);
                entry->ours[SIDE_DESTINATION] = entry->pending[SIDE_SOURCE] = entry->there_before = true;
                entry->refused[SIDE_DESTINATION] = g_strdup("why\xc3");
                entry->logins[SIDE_DESTINATION] = (AccountLogin){.outcome = ACCOUNT_LOGIN_FAILED, .why = g_strdup("error 1045"), .operation = 7};
                g_assert_true(pair_store_save(store, folder, &error));
        }
        g_autoptr(PairStore) again = pair_store_load(&account_kind, folder, &error);
        g_assert_no_error(error);
        const AccountEntry *entry = account_store_find(again, account->user, account->host);
        g_assert_nonnull(entry);
        g_assert_cmpuint(account_compare(entry->sides[SIDE_SOURCE], account), ==, 0);
        g_assert_true(entry->ours[SIDE_DESTINATION] && !entry->ours[SIDE_SOURCE] && entry->pending[SIDE_SOURCE] && entry->there_before);
        g_assert_cmpint(entry->logins[SIDE_SOURCE].outcome, ==, ACCOUNT_LOGIN_UNKNOWN);
        g_assert_cmpint(entry->logins[SIDE_DESTINATION].outcome, ==, ACCOUNT_LOGIN_FAILED);
        g_assert_cmpstr(entry->logins[SIDE_DESTINATION].why, ==, "error 1045");
        g_assert_cmpuint(entry->logins[SIDE_DESTINATION].operation, ==, 7);
        guint count;
        g_autofree char *first = pair_store_refused(again, SIDE_DESTINATION, &count);
        g_assert_cmpuint(count, ==, 1);
        g_assert_true(g_str_has_suffix(first, "why\xc3"));
        static const char *const broken[] = {"", "{}", "{\"version\":2,\"accounts\":[]}", "{\"version\":1,\"accounts\":[{}]}",
                                             "{\"version\":1,\"accounts\":[{\"user\":\"a\",\"host\":\"b\",\"source\":{}}]}",
                                             "{\"version\":1,\"accounts\":[{\"user\":\"a\",\"host\":\"b\",\"source-login\":{}}]}",
                                             "{\"version\":1,\"accounts\":[{\"user\":\"a\",\"host\":\"b\",\"source-login\":{\"outcome\":\"perhaps\"}}]}"};
        for (gsize i = 0; i < G_N_ELEMENTS(broken); i++) {
                g_autoptr(GError) local = NULL;
                g_assert_true(g_file_set_contents(path, broken[i], -1, NULL));
                g_assert_null(pair_store_load(&account_kind, folder, &local));
                g_assert_error(local, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
        }
        g_remove(path);
        g_rmdir(folder);
}

static void test_translate(void) {
        Flavor old = {.version = 50624}, maria = {.mariadb = true, .version = 101114}, new = {.version = 90700};
        g_autoptr(GHashTable) native = g_hash_table_new(g_str_hash, g_str_equal), sha2 = g_hash_table_new(g_str_hash, g_str_equal);
        g_hash_table_add(native, (gpointer) ACCOUNT_NATIVE);
        g_hash_table_add(sha2, (gpointer) "caching_sha2_password");
        AccountTarget to_maria = {.flavor = &maria, .plugins = native}, to_new = {.flavor = &new, .plugins = sha2}, to_old = {.flavor = &old, .plugins = native};
        g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Account) account = example();
        g_autoptr(Account) there = account_translate(account, &old, &to_maria, notes);
        g_assert_true(account_has(there, "BINLOG MONITOR") && account_has(there, "SLAVE MONITOR") && !account_has(there, "REPLICATION CLIENT"));
        g_assert_cmpuint(notes->len, ==, 1);
        g_assert_cmpuint(account_compare(there, account), ==, ACCOUNT_DIFFERS_GRANTS);
        /* and back */
        g_autoptr(Account) back = account_translate(there, &maria, &to_old, notes);
        g_assert_cmpuint(account_compare(back, account), ==, 0);
        g_assert_cmpuint(notes->len, ==, 1);
        g_autoptr(Account) newer = account_translate(account, &old, &to_new, notes);
        g_assert_cmpuint(account_compare(newer, account), ==, ACCOUNT_DIFFERS_PASSWORD);
        g_assert_cmpstr(newer->plugin, ==, "");
        g_assert_cmpstr(newer->secret, ==, "");
        account_set(&account->secret, "");
        g_autoptr(Account) empty = account_translate(account, &old, &to_new, notes);
        g_assert_cmpstr(empty->plugin, ==, "caching_sha2_password");
        /* Locked, where nothing can be locked. */
        there->locked = true;
        account_add_grant(there, ACCOUNT_LEVEL_GLOBAL, "", "", "", "DELETE HISTORY");
        g_ptr_array_set_size(notes, 0);
        g_autoptr(Account) shut = account_translate(there, &maria, &to_old, notes);
        g_assert_cmpstr(shut->secret, ==, ACCOUNT_IMPOSSIBLE);
        g_assert_false(shut->locked);
        g_assert_cmpuint(notes->len, ==, 2);
}

static void test_stays(void) {
        g_autoptr(Account) account = example();
        g_assert_null(account_stays(account, "agent"));
        g_assert_nonnull(account_stays(account, account->user));
        account_add_grant(account, ACCOUNT_LEVEL_DATABASE, "x", "", "", "SUPER");
        g_assert_null(account_stays(account, "agent"));
        account_add_grant(account, ACCOUNT_LEVEL_GLOBAL, "", "", "", "SUPER");
        g_assert_nonnull(account_stays(account, "agent"));
        g_autoptr(Account) system = account_new("mariadb.sys", "localhost");
        g_assert_nonnull(account_stays(system, "agent"));
}

static void test_may_write(void) {
        g_autoptr(Account) account = account_new("reader", "%");
        const char *const harmless[] = {"SELECT", "PROCESS", "REPLICATION SLAVE", "REPLICATION CLIENT", "BINLOG MONITOR", "SHOW VIEW", "LOCK TABLES"};
        for (gsize i = 0; i < G_N_ELEMENTS(harmless); i++)
                account_add_grant(account, ACCOUNT_LEVEL_GLOBAL, "", "", "", harmless[i]);
        g_assert_false(account_may_write(account));
        const char *const others[] = {"UPDATE", "EXECUTE", "GRANT OPTION", "TRIGGER", "CREATE USER", "PROXY", "A PRIVILEGE OF TOMORROW"};
        for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
                g_autoptr(Account) copy = account_copy(account);
                account_add_grant(copy, ACCOUNT_LEVEL_DATABASE, "shop", "", "", others[i]);
                g_assert_true(account_may_write(copy));
        }
        g_ptr_array_add(account->beyond, g_strdup("MAX_STATEMENT_TIME 3"));
        g_assert_false(account_may_write(account));
        g_ptr_array_add(account->beyond, g_strdup("role clerks"));
        g_assert_true(account_may_write(account));
}

static void test_fence_record(void) {
        g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func((GDestroyNotify) fence_item_free);
        const char *const names[][2] = {{"", ""}, {"o'brien\\", "%"}, {"tab\t\n", "a\tb"}, {"\xff\xfe", "192.168.0.0/255.255.0.0"}};
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                g_ptr_array_add(items, fence_item_new((FenceItemKind) (i % _FENCE_ITEM_MAX), names[i][0], names[i][1], "a hash"));
        g_autofree char *text = fence_record_to_text(items);
        g_assert_true(g_utf8_validate(text, -1, NULL));
        g_assert_null(strstr(text, "hash"));
        g_autoptr(GPtrArray) back = fence_record_from_text(text);
        g_assert_cmpuint(back->len, ==, items->len);
        for (guint i = 0; i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                g_assert_nonnull(fence_record_find(back, item->kind, item->first, item->second));
        }
        g_assert_null(fence_record_find(back, FENCE_ITEM_EVENT, "", ""));
        g_autoptr(GPtrArray) nothing = fence_record_from_text("account\tonly\nnothing\ta\tb\n\n");
        g_assert_cmpuint(nothing->len, ==, 0);
        g_assert_null(fence_record_to_text(nothing));
}

static void test_login_origin(void) {
        static const struct {
                const char *user, *local, *host;
                LoginMatch match;
        } cases[] = {
                {"a@10.1.2.3", "192.0.2.1", "10.1.%", LOGIN_MATCH_YES},
                {"a@10.1.2.3", "192.0.2.1", "192.0.2.%", LOGIN_MATCH_NO},
                {"a@10.1.2.3", NULL, "10.1.2.3", LOGIN_MATCH_YES},
                {"a@10.1.2.3", NULL, "10.1.2.30", LOGIN_MATCH_NO},
                {"a@10.1.2.30", NULL, "10.1.2.3", LOGIN_MATCH_NO},
                {"a@10.1.2.3", NULL, "", LOGIN_MATCH_YES},
                {"a@10.1.2.3", NULL, "%", LOGIN_MATCH_YES},
                {"a@10.1.2.3", NULL, "10.1.0.0/255.255.0.0", LOGIN_MATCH_YES},
                {"a@10.2.2.3", NULL, "10.1.0.0/255.255.0.0", LOGIN_MATCH_NO},
                {"a@10.1.2.3", NULL, "10.1.0.0/16", LOGIN_MATCH_YES},
                {"a@10.1.2.3", NULL, "0.0.0.0/0", LOGIN_MATCH_YES},
                {"a@10.1.2.3", NULL, "10.1.0.0/33", LOGIN_MATCH_NO},
                {"a@10.1.2.3", NULL, "10.1.0.0/", LOGIN_MATCH_NO},
                {"a@::1", NULL, "10.1.0.0/16", LOGIN_MATCH_NO},
                {"a@::1", NULL, "::1", LOGIN_MATCH_YES},
                {"a@localhost", "127.0.0.1", "localhost", LOGIN_MATCH_YES},
                {"a@localhost", "127.0.0.1", "127.0.0.1", LOGIN_MATCH_YES},
                {"a@localhost", NULL, "127.0.0.1", LOGIN_MATCH_NO}, /* by the socket */
                {"a@Web1.example", "10.1.2.3", "%.EXAMPLE", LOGIN_MATCH_YES},
                {"a@web1.example", "10.1.2.3", "web_.example", LOGIN_MATCH_YES},
                {"a@web1.example", "10.1.2.3", "web\\_.example", LOGIN_MATCH_NO},
                {"a@web_.example", "10.1.2.3", "web\\_.example", LOGIN_MATCH_YES},
                {"a@web1.example", "10.1.2.3", "10.1.%", LOGIN_MATCH_ADDRESS}, /* who knows what is in between */
                {"odd@user@10.1.2.3", NULL, "10.1.%", LOGIN_MATCH_YES},
                {"a@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", NULL, "%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%ac", LOGIN_MATCH_NO},
                {"a@abcabd", NULL, "%ab%d", LOGIN_MATCH_YES},
                {"a@abcabd", NULL, "a%bd%", LOGIN_MATCH_YES},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(LoginOrigin) origin = {0};
                login_origin_set(&origin, cases[i].user, cases[i].local);
                g_test_message("%s %s %s", cases[i].user, cases[i].local, cases[i].host);
                g_assert_cmpint(login_origin_match(&origin, cases[i].host), ==, cases[i].match);
        }
}

static void free_account(gpointer account) {
        account_free(account);
}

static void test_login_taken(void) {
        static const struct {
                const char *ours, *user, *host; /* of the other one */
                bool taken, sure;
        } cases[] = {
                {"%", "app", "10.%", true, true},       {"%", "app", "10.1.2.3", true, true}, {"%", "app", "192.%", false, false},
                {"10.%", "app", "%", false, false},     {"10.1.2.3", "app", "10.%", false, false},
                {"%", "other", "10.1.2.3", false, false}, {"%", "", "10.1.2.3", true, true},  {"10.1.2.3", "", "10.1.2.3", false, false},
                {"10._.2.3", "app", "10.%", true, false}, /* equally late */
                {"%", "app", "10.0.0.0/255.0.0.0", true, false},
                {"10.0.0.0/255.0.0.0", "app", "10.1.2.3", true, false},
        };
        g_auto(LoginOrigin) origin = {0};
        login_origin_set(&origin, "agent@10.1.2.3", NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(free_account);
                bool sure = true;
                g_ptr_array_add(all, account_new("app", cases[i].ours));
                g_ptr_array_add(all, account_new(cases[i].user, cases[i].host));
                g_test_message("%s %s@%s", cases[i].ours, cases[i].user, cases[i].host);
                const Account *other = login_taken_by(all->pdata[0], all, &origin, &sure);
                g_assert_true(other == (cases[i].taken ? all->pdata[1] : NULL));
                g_assert_true(sure == cases[i].sure);
        }
}

static void test_tables(void) {
        for (AccountLoginOutcome outcome = 0; outcome < _ACCOUNT_LOGIN_MAX; outcome++)
                g_assert_cmpint(account_login_from_string(account_login_to_string(outcome)), ==, outcome);
        for (FenceItemKind kind = 0; kind < _FENCE_ITEM_MAX; kind++)
                g_assert_cmpint(fence_item_kind_from_string(fence_item_kind_to_string(kind)), ==, kind);

        for (AccountLevel level = 0; level < _ACCOUNT_LEVEL_MAX; level++)
                g_assert_cmpint(account_level_from_string(account_level_to_string(level)), ==, level);
        for (AccountLimit limit = 0; limit < _ACCOUNT_LIMIT_MAX; limit++)
                g_assert_cmpint(account_limit_from_string(account_limit_to_string(limit)), ==, limit);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/account/map", test_map);
        g_test_add_func("/account/bad-maps", test_bad_maps);
        g_test_add_func("/account/store", test_store);
        g_test_add_func("/account/translate", test_translate);
        g_test_add_func("/account/stays", test_stays);
        g_test_add_func("/account/may-write", test_may_write);
        g_test_add_func("/account/fence-record", test_fence_record);
        g_test_add_func("/account/login-origin", test_login_origin);
        g_test_add_func("/account/login-taken", test_login_taken);
        g_test_add_func("/account/tables", test_tables);
        return g_test_run();
}
