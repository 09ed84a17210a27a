/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of accounts: which are carried and which stay, what is in the way on the destination, whose password it cannot check, and whether the
 * agent may make and grant all of it, on both sides, since accounts follow in both directions. */

#include <string.h>

#include "engine/precheck-internal.h"
#include "mysql/sql.h"

static Side writer_of(const Precheck *check) {
        return check->input->stage == PRECHECK_START ? SIDE_SOURCE : check->input->writer;
}

/* Of the side that takes writes; what is not carried has none. */
static bool read_accounts(Precheck *check, GError **error) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                if (check->own_user[side])
                        continue;
                check->accounts[side] = accounts_read(check->input->servers[side], error);
                if (!check->accounts[side])
                        return false;
                check->own_user[side] = accounts_own_user(check->input->servers[side], error);
                if (!check->own_user[side])
                        return false;
        }
        return true;
}

static const char *stays(const Precheck *check, const Account *account) {
        Side writer = writer_of(check);
        const char *why = account_stays(account, check->own_user[writer]);
        if (!why && strcmp(account->user, check->own_user[side_other(writer)]) == 0)
                why = "the agent's own account on the other side has this name";
        const AccountMapping *mapping = account_map_find(check->input->accounts, account->user, account->host);
        if (!why && mapping && mapping->kind == ACCOUNT_MAPPING_LEAVE)
                why = "the list of accounts says so";
        if (!why && !spec_is_whole_instance(check->input->spec))
                why = "accounts are not carried when only some tables are";
        return why;
}

bool precheck_will_carry(Precheck *check, const char *account_at_host) {
        g_autoptr(GError) local = NULL;
        const char *at = strrchr(account_at_host, '@');
        if (!at || !read_accounts(check, &local))
                return false;
        g_autofree char *user = g_strndup(account_at_host, (gsize) (at - account_at_host));
        const Account *account = accounts_find(check->accounts[writer_of(check)], user, at + 1);
        return account && !stays(check, account);
}

/* --- what the agent has to be allowed --- */

static CheckSeverity severity_of(const Precheck *check, Side side) {
        if (check->input->stage == PRECHECK_SWITCH)
                return CHECK_NOTE; /* the guard carries them, and refuses what it must */
        return check->input->spec->unfit == UNFIT_SKIP || side == writer_of(check) ? CHECK_WARNING : CHECK_ERROR;
}

static void lacks(Precheck *check, Side side, const char *privilege, const char *on, const char *option, const char *why) {
        bool itself = strcmp(privilege, "GRANT OPTION") == 0;
        g_autofree char *hint = g_strdup_printf("on the %s: GRANT %s ON %s TO %s%s;", side_to_string(side), itself ? "USAGE" : privilege, on, check->account[side], option);
        precheck_add(check, severity_of(check, side), PS_ERROR_INSUFFICIENT_PRIVILEGE, hint, "the agent's account on the %s lacks %s, which it needs %s",
                     side_to_string(side), privilege, why);
}

static bool may_proxy(Precheck *check, Side side, bool *ret, GError **error) {
        g_autofree char *user = sql_string(check->own_user[side]);
        g_autofree char *ask = g_strdup_printf("SELECT COUNT(*) FROM mysql.proxies_priv WHERE User=%s AND Proxied_user='' AND With_grant=1", user);
        guint64 count = 0;
        if (!conn_query_uint64(check->input->servers[side], ask, &count, error))
                return false;
        *ret = count > 0;
        return true;
}

/* CARRIED: as they are on that side, or are to be. */
static bool look_at_privileges(Precheck *check, const GPtrArray *carried, Side side, GError **error) {
        g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        bool proxies = false;
        for (guint i = 0; i < carried->len; i++) {
                const Account *account = carried->pdata[i];
                for (guint j = 0; j < account->grants->len; j++) {
                        const AccountGrant *grant = account->grants->pdata[j];
                        if (grant->level == ACCOUNT_LEVEL_PROXY)
                                proxies = true;
                        else
                                g_hash_table_add(used, g_strdup(grant->privilege));
                }
        }
        if (!precheck_may(check, side, "CREATE USER", NULL))
                lacks(check, side, "CREATE USER", "*.*", "", "to carry accounts");
        g_hash_table_remove(used, "GRANT OPTION");
        g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(used), (GCompareFunc) strcmp);
        for (const GList *name = names; name; name = name->next)
                if (!precheck_may(check, side, name->data, NULL))
                        lacks(check, side, name->data, "*.*", " WITH GRANT OPTION", "to grant it to accounts that are carried");
        const Account *own = NULL;
        for (guint i = 0; i < check->accounts[side]->len; i++) {
                const Account *account = check->accounts[side]->pdata[i];
                g_autofree char *name = account_name(account->user, account->host);
                if (strcmp(name, check->account[side]) == 0)
                        own = account;
        }
        if (names && own && !account_has(own, "GRANT OPTION"))
                lacks(check, side, "GRANT OPTION", "*.*", " WITH GRANT OPTION", "to carry grants");
        bool may = true;
        if (proxies && !may_proxy(check, side, &may, error))
                return false;
        if (!may)
                lacks(check, side, "PROXY", "''@'%'", " WITH GRANT OPTION", "to grant it to accounts that are carried");
        return true;
}

/* --- the destination --- */

/* Where partial revokes are on, the name of a database in a grant is a name and no pattern, and a backslash in it a backslash. */
static void look_at_patterns(Precheck *check, const Account *account) {
        Side reader = side_other(writer_of(check));
        if (!precheck_variable_on(check, reader, "partial_revokes"))
                return;
        for (guint i = 0; i < account->grants->len; i++) {
                const AccountGrant *grant = account->grants->pdata[i];
                if (grant->level != ACCOUNT_LEVEL_DATABASE || !strpbrk(grant->database, "%_\\"))
                        continue;
                g_autofree char *name = account_name(account->user, account->host), *object = account_grant_object(grant);
                precheck_add(check, severity_of(check, reader), PS_ERROR_UNSUPPORTED_OBJECT,
                             "on the destination: SET GLOBAL partial_revokes=OFF; and in its configuration",
                             "account %s has grants on %s, a pattern, which the destination takes as a name (partial_revokes=ON)", name, object);
                return;
        }
}

static void look_at_destination(Precheck *check, const Account *account, const Account *wanted, const GPtrArray *notes, const AccountTarget *target) {
        Side reader = side_other(writer_of(check));
        const Account *there = accounts_find(check->accounts[reader], account->user, account->host);
        g_autofree char *name = account_name(account->user, account->host);
        if (there) {
                unsigned difference = account_compare(wanted, there);
                if (!*wanted->plugin)
                        difference &= ~(unsigned) ACCOUNT_DIFFERS_PASSWORD;
                if (difference == 0)
                        return;
                g_autofree char *what = account_difference_text(difference);
                g_autofree char *hint = g_strdup_printf("on the %s: DROP USER %s; then it is carried; or make it like the other one", side_to_string(reader), name);
                precheck_add(check, severity_of(check, reader), PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "account %s is on the %s, too, and differs in %s: it will be left as it is there", name, side_to_string(reader), what);
                return;
        }
        if (!*wanted->plugin && account_map_find(check->input->accounts, account->user, account->host))
                precheck_add(check, CHECK_NOTE, PS_ERROR_UNSUPPORTED_OBJECT, NULL, "the %s cannot check the password of account %s, and will have what the list of accounts says",
                             side_to_string(reader), name);
        else if (!*wanted->plugin) {
                g_autofree char *statement = account_password_statement(target->flavor, account->user, account->host);
                g_autofree char *hint = g_strdup_printf("on the %s, once it is there: %s or name it in the credential %s.accounts before", side_to_string(reader),
                                                        statement, check->input->spec->name);
                precheck_add(check, CHECK_WARNING, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "the %s cannot check the password of account %s%s%s%s: it will be there, locked, until it gets a new one", side_to_string(reader), name,
                             *account->plugin ? " (" : "", account->plugin, *account->plugin ? ")" : "");
        }
        for (guint i = 0; i < notes->len; i++)
                precheck_add(check, CHECK_NOTE, PS_ERROR_UNSUPPORTED_OBJECT, NULL, "account %s: %s", name, (const char *) notes->pdata[i]);
}

static void free_account(gpointer data) {
        account_free(data);
}

static void free_notes(gpointer data) {
        g_ptr_array_unref(data);
}

bool precheck_accounts(Precheck *check, GError **error) {
        if (!read_accounts(check, error))
                return false;
        Side writer = writer_of(check);
        Side reader = side_other(writer);
        g_autoptr(GPtrArray) carried = g_ptr_array_new(), wanted = g_ptr_array_new_with_free_func(free_account), notes = g_ptr_array_new_with_free_func(free_notes);
        g_auto(AccountTarget) target = {0};
        if (!account_target_read(check->input->servers[reader], &target, error))
                return false;
        for (guint i = 0; i < check->accounts[writer]->len; i++) {
                const Account *account = check->accounts[writer]->pdata[i];
                if (stays(check, account))
                        continue;
                look_at_patterns(check, account);
                GPtrArray *said = g_ptr_array_new_with_free_func(g_free);
                g_ptr_array_add(carried, (gpointer) account);
                g_ptr_array_add(wanted, account_translate(account, conn_flavor(check->input->servers[writer]), &target, said));
                g_ptr_array_add(notes, said);
        }
        if (carried->len == 0)
                return true;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (!look_at_privileges(check, side == writer ? carried : wanted, side, error))
                        return false;
        bool interrupted = false; /* what is there is ours */
        if (check->input->stage == PRECHECK_START && !precheck_destination_is_ours(check, &interrupted, error))
                return false;
        for (guint i = 0; check->input->stage == PRECHECK_START && !interrupted && i < carried->len; i++)
                look_at_destination(check, carried->pdata[i], wanted->pdata[i], notes->pdata[i], &target);
        precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "%u accounts will be carried with their grants", carried->len);
        return true;
}

bool precheck_super_accounts(Precheck *check, GError **error) {
        if (!read_accounts(check, error))
                return false;
        g_autoptr(GString) names = g_string_new(NULL), hint = g_string_new("their sessions are ended at the switch, but they can come back; they are not "
                                                                           "carried. On the source, of each that applications use:");
        unsigned count = 0;
        for (guint i = 0; i < check->accounts[SIDE_SOURCE]->len; i++) {
                const Account *account = check->accounts[SIDE_SOURCE]->pdata[i];
                if (!account_has(account, "SUPER") || strcmp(account->user, check->own_user[SIDE_SOURCE]) == 0)
                        continue;
                g_autofree char *name = account_name(account->user, account->host);
                count++;
                g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
                g_string_append_printf(hint, " REVOKE SUPER ON *.* FROM %s;", name);
        }
        if (count > 0)
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, hint->str,
                             "%u %s besides the agent's on the source and can write although it is "
                             "closed: %s",
                             count, count == 1 ? "account has SUPER" : "accounts have SUPER", names->str);
        return true;
}

/* Names are listed up to a point; all of them are in the plan of a switch. */
static void add_name(GString *names, const Account *account, guint count) {
        g_autofree char *name = account_name(account->user, account->host);
        if (count <= 10)
                g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
        else if (count == 11)
                g_string_append(names, ", …");
}

bool precheck_closed_accounts(Precheck *check, GError **error) {
        if (!read_accounts(check, error))
                return false;
        if (!spec_is_whole_instance(check->input->spec))
                precheck_add(check, CHECK_WARNING, PS_ERROR_NOT_SUPPORTED, "make sure that no application needs to write to the other databases of the source after the switch",
                             "fence=accounts closes every account that may write on the source, although only a part of it is migrated");
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_autoptr(GString) standby = g_string_new(NULL);
                guint standbys = 0, closed = 0;
                guint64 everybody = 0;
                for (guint i = 0; i < check->accounts[side]->len; i++) {
                        const Account *account = check->accounts[side]->pdata[i];
                        if (account_stays(account, check->own_user[side]) || !account_may_write(account))
                                continue;
                        closed++;
                        if (account_has(account, "REPLICATION SLAVE"))
                                add_name(standby, account, ++standbys);
                }
                if (!conn_query_uint64(check->input->servers[side], "SELECT COUNT(*) FROM mysql.db WHERE User=''", &everybody, error))
                        return false;
                if (standbys > 0)
                        precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, "give standbys an account with REPLICATION SLAVE alone",
                                     "a standby that uses one of these accounts of the %s cannot come back while that side is closed, since they can write, too: %s",
                                     side_to_string(side), standby->str);
                if (everybody > 0)
                        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, "if they are not used: DELETE FROM mysql.db WHERE User=''; FLUSH PRIVILEGES;",
                                     "what the anonymous user of the %s was granted on databases holds for every account there: if that lets him write, all are closed, "
                                     "those that only read or replicate, too", side_to_string(side));
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "%u accounts of the %s that can write are locked, and their sessions ended, while that side is closed",
                             closed, side_to_string(side));
        }
        return true;
}
