/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See account-store.h. The file holds hashes of passwords, as mysql.user does: nobody but the agent may read it. */

#include "engine/account-store.h"

#include "engine/json-text.h"

#define GRANT_MEMBERS 5

static const char *const side_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source", [SIDE_DESTINATION] = "destination"};
static const char *const refused_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source-refused", [SIDE_DESTINATION] = "destination-refused"};
static const char *const note_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source-note", [SIDE_DESTINATION] = "destination-note"};
static const char *const sql_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source-sql", [SIDE_DESTINATION] = "destination-sql"};
static const char *const ours_members[_SIDE_MAX] = {[SIDE_SOURCE] = "made-on-source", [SIDE_DESTINATION] = "made-on-destination"};
static const char *const pending_members[_SIDE_MAX] = {[SIDE_SOURCE] = "pending-on-source", [SIDE_DESTINATION] = "pending-on-destination"};
static const char *const login_members[_SIDE_MAX] = {[SIDE_SOURCE] = "source-login", [SIDE_DESTINATION] = "destination-login"};

static const char *const account_login_table[_ACCOUNT_LOGIN_MAX] = {
        [ACCOUNT_LOGIN_UNKNOWN] = "unknown",
        [ACCOUNT_LOGIN_DONE] = "logged-in",
        [ACCOUNT_LOGIN_FAILED] = "failed",
        [ACCOUNT_LOGIN_NOT_TRIED] = "not-tried",
};
ENUM_TABLE_DEFINE(account_login, AccountLoginOutcome, account_login_table);

static void entry_free(gpointer data) {
        AccountEntry *entry = data;
        g_free(entry->user);
        g_free(entry->host);
        g_free(entry->stays);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                account_free(entry->sides[side]);
                g_free(entry->refused[side]);
                g_free(entry->note[side]);
                g_free(entry->sql[side]);
                g_free(entry->logins[side].why);
        }
        g_free(entry);
}

AccountEntry *account_store_find(const PairStore *store, const char *user, const char *host) {
        g_autofree char *key = account_name(user, host);
        return pair_store_find(store, key);
}

AccountEntry *account_store_add(PairStore *store, const char *user, const char *host) {
        AccountEntry *entry = g_new0(AccountEntry, 1);
        entry->user = g_strdup(user);
        entry->host = g_strdup(host);
        pair_store_add(store, entry);
        return entry;
}

static char *entry_name(gconstpointer data) {
        const AccountEntry *entry = data;
        return account_name(entry->user, entry->host);
}

static const char *entry_refused(gconstpointer data, Side side) {
        return ((const AccountEntry *) data)->refused[side];
}

/* --- the file --- */

static JsonArray *grants_to_json(const Account *account) {
        JsonArray *list = json_array_new();
        for (guint i = 0; i < account->grants->len; i++) {
                const AccountGrant *grant = account->grants->pdata[i];
                const char *const parts[GRANT_MEMBERS] = {account_level_to_string(grant->level), grant->database, grant->name, grant->column,
                                                          grant->privilege};
                JsonArray *item = json_array_new();
                for (guint part = 0; part < GRANT_MEMBERS; part++) {
                        g_autofree char *escaped = g_strescape(parts[part], NULL);
                        json_array_add_string_element(item, escaped);
                }
                json_array_add_array_element(list, item);
        }
        return list;
}

static JsonObject *account_to_json(const Account *account) {
        JsonObject *object = json_object_new();
        json_put_text(object, "plugin", account->plugin);
        json_put_text(object, "secret", account->secret);
        json_put_text(object, "tls", account->tls);
        json_put_text(object, "cipher", account->cipher);
        json_put_text(object, "issuer", account->issuer);
        json_put_text(object, "subject", account->subject);
        for (AccountLimit limit = 0; limit < _ACCOUNT_LIMIT_MAX; limit++)
                json_object_set_int_member(object, account_limit_to_string(limit), (gint64) account->limits[limit]);
        json_object_set_boolean_member(object, "expired", account->expired);
        json_object_set_boolean_member(object, "locked", account->locked);
        json_object_set_array_member(object, "grants", grants_to_json(account));
        return object;
}

static JsonObject *login_to_json(const AccountLogin *login) {
        JsonObject *object = json_object_new();
        json_put_text(object, "outcome", account_login_to_string(login->outcome));
        json_put_text(object, "why", login->why);
        json_object_set_int_member(object, "operation", (gint64) login->operation);
        return object;
}

static JsonObject *entry_to_json(gconstpointer data) {
        const AccountEntry *entry = data;
        JsonObject *object = json_object_new();
        json_put_text(object, "user", entry->user);
        json_put_text(object, "host", entry->host);
        json_put_text(object, "stays", entry->stays);
        json_object_set_boolean_member(object, "there-before", entry->there_before);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                json_put_text(object, refused_members[side], entry->refused[side]);
                json_put_text(object, note_members[side], entry->note[side]);
                json_put_text(object, sql_members[side], entry->sql[side]);
                json_object_set_boolean_member(object, ours_members[side], entry->ours[side]);
                json_object_set_boolean_member(object, pending_members[side], entry->pending[side]);
                if (entry->logins[side].outcome != ACCOUNT_LOGIN_UNKNOWN)
                        json_object_set_object_member(object, login_members[side], login_to_json(&entry->logins[side]));
                if (entry->sides[side])
                        json_object_set_object_member(object, side_members[side], account_to_json(entry->sides[side]));
        }
        return object;
}

static bool grant_from_json(Account *account, JsonNode *node) {
        JsonArray *item = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
        g_auto(GStrv) parts = g_new0(char *, GRANT_MEMBERS + 1);
        if (!item || json_array_get_length(item) != GRANT_MEMBERS)
                return false;
        for (guint part = 0; part < GRANT_MEMBERS; part++) {
                JsonNode *text = json_array_get_element(item, part);
                if (!JSON_NODE_HOLDS_VALUE(text) || json_node_get_value_type(text) != G_TYPE_STRING)
                        return false;
                parts[part] = g_strcompress(json_node_get_string(text));
        }
        AccountLevel level = account_level_from_string(parts[0]);
        if (level == _ACCOUNT_LEVEL_INVALID)
                return false;
        account_add_grant(account, level, parts[1], parts[2], parts[3], parts[4]);
        return true;
}

static bool set_text(char **member, JsonObject *object, const char *name) {
        g_autofree char *text = json_get_text(object, name);
        if (text)
                account_set(member, text);
        return text != NULL;
}

static Account *account_from_json(const AccountEntry *entry, JsonObject *object) {
        g_autoptr(Account) account = account_new(entry->user, entry->host);
        JsonNode *grants = json_object_get_member(object, "grants");
        if (!set_text(&account->plugin, object, "plugin") || !set_text(&account->secret, object, "secret") || !set_text(&account->tls, object, "tls") ||
            !set_text(&account->cipher, object, "cipher") || !set_text(&account->issuer, object, "issuer") ||
            !set_text(&account->subject, object, "subject") || !grants || !JSON_NODE_HOLDS_ARRAY(grants))
                return NULL;
        for (AccountLimit limit = 0; limit < _ACCOUNT_LIMIT_MAX; limit++)
                account->limits[limit] = (guint64) json_object_get_int_member_with_default(object, account_limit_to_string(limit), 0);
        account->expired = json_object_get_boolean_member_with_default(object, "expired", false);
        account->locked = json_object_get_boolean_member_with_default(object, "locked", false);
        JsonArray *list = json_node_get_array(grants);
        for (guint i = 0; i < json_array_get_length(list); i++)
                if (!grant_from_json(account, json_array_get_element(list, i)))
                        return NULL;
        account_sort(account);
        return g_steal_pointer(&account);
}

/* Not there: never tried, or a file from before there was such a test. */
static bool login_from_json(AccountLogin *login, JsonObject *entry, const char *member) {
        JsonNode *inner = json_object_get_member(entry, member);
        if (!inner)
                return true;
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(inner) ? json_node_get_object(inner) : NULL;
        g_autofree char *outcome = object ? json_get_text(object, "outcome") : NULL;
        login->outcome = account_login_from_string(outcome);
        if (login->outcome == _ACCOUNT_LOGIN_INVALID)
                return false;
        login->why = json_get_text(object, "why");
        login->operation = (guint64) json_object_get_int_member_with_default(object, "operation", 0);
        return true;
}

static bool entry_from_json(PairStore *store, JsonObject *object) {
        g_autofree char *user = json_get_text(object, "user"), *host = json_get_text(object, "host");
        if (!user || !host || account_store_find(store, user, host))
                return false;
        AccountEntry *entry = account_store_add(store, user, host);
        entry->stays = json_get_text(object, "stays");
        entry->there_before = json_object_get_boolean_member_with_default(object, "there-before", false);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                JsonNode *inner = json_object_get_member(object, side_members[side]);
                entry->refused[side] = json_get_text(object, refused_members[side]);
                entry->note[side] = json_get_text(object, note_members[side]);
                entry->sql[side] = json_get_text(object, sql_members[side]);
                entry->ours[side] = json_object_get_boolean_member_with_default(object, ours_members[side], false);
                entry->pending[side] = json_object_get_boolean_member_with_default(object, pending_members[side], false);
                if (!login_from_json(&entry->logins[side], object, login_members[side]))
                        return false;
                if (!inner)
                        continue;
                entry->sides[side] = JSON_NODE_HOLDS_OBJECT(inner) ? account_from_json(entry, json_node_get_object(inner)) : NULL;
                if (!entry->sides[side])
                        return false;
        }
        return true;
}

const PairKind account_kind = {
        .file = "accounts.json",
        .member = "accounts",
        .name = entry_name,
        .refused = entry_refused,
        .to_json = entry_to_json,
        .from_json = entry_from_json,
        .free = entry_free,
};
