/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See account-login.h. The story: the side's accounts are read as they are now; for each carried one it is decided whether a try can tell anything, and
 * that is saved, with "was stopped meanwhile" for those that are about to be tried; then they are, one by one, and what came out is saved. */

#include "engine/account-login.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define TRY_SECONDS 3u  /* for a connection, and for each answer */
#define SILENT_MAX 3u   /* tries in a row without an answer, then it is given up */
#define ANONYMOUS "polarshift-login" /* a user that no server has, for accounts without a name: 16 characters, as many as 5.6 takes */

/* ---- from where */

void login_origin_clear(LoginOrigin *origin) {
        g_clear_pointer(&origin->name, g_free);
        g_clear_pointer(&origin->address, g_free);
}

static bool is_address(const char *text) {
        guint8 bytes[sizeof(struct in6_addr)];
        return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

void login_origin_set(LoginOrigin *origin, const char *user, const char *local) {
        const char *at = strrchr(user, '@');
        origin->name = g_strdup(at ? at + 1 : user);
        bool told = is_address(origin->name);
        origin->address = g_strdup(told ? origin->name : local);
        origin->sure = told || strcmp(origin->name, "localhost") == 0;
}

/* As LIKE does, without regard to the case of letters. Behind a '%' only the last one is ever tried again: that is enough, and bounded. */
static bool is_like(const char *text, const char *pattern) {
        const char *behind = NULL, *from = NULL;
        while (*text) {
                bool escaped = *pattern == '\\' && pattern[1];
                if (*pattern == '%') {
                        behind = ++pattern;
                        from = text;
                } else if ((*pattern == '_' && !escaped) || (*pattern && g_ascii_tolower(*text) == g_ascii_tolower(pattern[escaped]))) {
                        pattern += 1 + escaped;
                        text++;
                } else if (behind) {
                        pattern = behind;
                        text = ++from;
                } else
                        return false;
        }
        while (*pattern == '%')
                pattern++;
        return !*pattern;
}

/* "10.0.0.0/255.0.0.0"; MySQL 8.0.23 and later, "10.0.0.0/8". */
static bool is_in_network(const char *address, const char *host) {
        const char *slash = strchr(host, '/');
        g_autofree char *base = g_strndup(host, (gsize) (slash - host));
        struct in_addr in, network, mask;
        if (inet_pton(AF_INET, address, &in) != 1 || inet_pton(AF_INET, base, &network) != 1)
                return false;
        if (inet_pton(AF_INET, slash + 1, &mask) != 1) {
                guint64 bits;
                if (!g_ascii_string_to_unsigned(slash + 1, 10, 0, 32, &bits, NULL))
                        return false;
                mask.s_addr = bits ? htonl(G_MAXUINT32 << (32 - bits)) : 0;
        }
        return (in.s_addr & mask.s_addr) == network.s_addr;
}

LoginMatch login_origin_match(const LoginOrigin *origin, const char *host) {
        if (!*host)
                return LOGIN_MATCH_YES;
        bool network = strchr(host, '/') != NULL;
        if (!network && is_like(origin->name, host))
                return LOGIN_MATCH_YES;
        if (!origin->address || !(network ? is_in_network(origin->address, host) : is_like(origin->address, host)))
                return LOGIN_MATCH_NO;
        return origin->sure ? LOGIN_MATCH_YES : LOGIN_MATCH_ADDRESS;
}

/* ---- for whom a server takes it */

/* Where the first wildcard is; none is behind all others. https://dev.mysql.com/doc/refman/5.6/en/connection-access.html: "The server uses sorting rules
 * that order rows with the most-specific Host values first". */
static guint first_wildcard(const char *host) {
        if (!*host)
                return 0;
        gsize length = strcspn(host, "%_");
        return host[length] ? (guint) length : G_MAXUINT;
}

const Account *login_taken_by(const Account *account, const GPtrArray *all, const LoginOrigin *origin, bool *ret_sure) {
        const Account *maybe = NULL;
        guint ours = first_wildcard(account->host);
        for (guint i = 0; i < all->len; i++) {
                const Account *other = all->pdata[i];
                bool same_user = strcmp(other->user, account->user) == 0, same_host = g_ascii_strcasecmp(other->host, account->host) == 0;
                if (other->role || (!same_user && *other->user) || same_host)
                        continue;
                LoginMatch match = login_origin_match(origin, other->host);
                guint theirs = first_wildcard(other->host);
                bool told = !strchr(account->host, '/') && !strchr(other->host, '/') && ours != theirs;
                if (match == LOGIN_MATCH_NO || (told && theirs < ours))
                        continue;
                if (told && match == LOGIN_MATCH_YES) {
                        *ret_sure = true;
                        return other;
                }
                maybe = other;
        }
        *ret_sure = false;
        return maybe;
}

/* ---- whether it is tried */

static const char *password_of(const AccountLogins *logins, const AccountEntry *entry, const Account *there) {
        static const char *const plugins[] = {ACCOUNT_NATIVE, "caching_sha2_password", "sha256_password", NULL};
        const AccountMapping *mapping = account_map_find(logins->map, entry->user, entry->host);
        /* What the source had before keeps its password there. */
        if (mapping && mapping->kind == ACCOUNT_MAPPING_PASSWORD && (logins->side == SIDE_DESTINATION || entry->ours[logins->side]))
                return mapping->secret;
        return !*there->secret && g_strv_contains(plugins, there->plugin) ? "" : NULL;
}

static bool speaks(const char *plugin) {
        static const char *const plugins[] = {ACCOUNT_NATIVE, "caching_sha2_password", "sha256_password", "ed25519", "parsec", NULL};
        return g_strv_contains(plugins, plugin);
}

static char *why_not(const AccountLogins *logins, const AccountEntry *entry, const Account *there, const GPtrArray *all, const LoginOrigin *origin) {
        bool sure = false;
        if (entry->pending[logins->side])
                return g_strdup("it needs a new password");
        if (there->locked)
                return g_strdup("it is locked");
        if (there->expired)
                return g_strdup("its password has expired");
        if (!password_of(logins, entry, there))
                return g_strdup("its password is not known");
        if (!speaks(there->plugin))
                return g_strdup_printf("it logs in by %s", *there->plugin ? there->plugin : "several ways");
        if (strcmp(there->tls, "X509") == 0 || strcmp(there->tls, "SPECIFIED") == 0)
                return g_strdup("it asks for a certificate, or a cipher, of its own");
        if (*there->tls && (logins->params->endpoint->ssl_mode == SSL_MODE_DISABLED ||
                            (logins->params->endpoint->ssl_mode == _SSL_MODE_INVALID && logins->params->endpoint->socket)))
                return g_strdup("it asks for TLS, which the migration's connections do not use");
        if (login_origin_match(origin, there->host) == LOGIN_MATCH_NO)
                return g_strdup_printf("its host pattern does not match the agent's host, which is %s there", origin->name);
        const Account *taken = login_taken_by(there, all, origin, &sure);
        if (!taken || !sure)
                return NULL;
        g_autofree char *name = account_name(taken->user, taken->host);
        return g_strdup_printf("from the agent's host the server takes it for %s", name);
}

/* ---- the try */

static void set(AccountLogin *login, AccountLoginOutcome outcome, char *why) {
        g_free(login->why);
        login->outcome = outcome;
        login->why = why ? g_utf8_make_valid(why, -1) : NULL;
        g_free(why);
}

/* Never the server's words: they would be a user's name, which stands beside it, or a password's hash. */
static char *error_number(const GError *error) {
        static const struct {
                int code;
                const char *name;
        } names[] = {
                {1040, "ER_CON_COUNT_ERROR"}, {1045, "ER_ACCESS_DENIED_ERROR"}, {1129, "ER_HOST_IS_BLOCKED"}, {1130, "ER_HOST_NOT_PRIVILEGED"},
                {1184, "ER_NEW_ABORTING_CONNECTION"}, {1203, "ER_TOO_MANY_USER_CONNECTIONS"}, {1226, "ER_USER_LIMIT_REACHED"},
                {1251, "ER_NOT_SUPPORTED_AUTH_MODE"}, {1524, "ER_PLUGIN_IS_NOT_LOADED"}, {1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR"},
                {1820, "ER_MUST_CHANGE_PASSWORD"}, {1862, "ER_MUST_CHANGE_PASSWORD_LOGIN"}, {2002, "CR_CONNECTION_ERROR"},
                {2003, "CR_CONN_HOST_ERROR"}, {2006, "CR_SERVER_GONE_ERROR"}, {2013, "CR_SERVER_LOST"}, {2026, "CR_SSL_CONNECTION_ERROR"},
                {2059, "CR_AUTH_PLUGIN_CANNOT_LOAD"}, {3118, "ER_ACCOUNT_HAS_BEEN_LOCKED"}, {3159, "ER_SECURE_TRANSPORT_REQUIRED"},
                {3955, "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK"}, {4150, "ER_USER_IS_BLOCKED"},
                {4151, "ER_ACCOUNT_HAS_BEEN_LOCKED"},
        };
        for (gsize i = 0; error->domain == MYSQL_ERROR && i < G_N_ELEMENTS(names); i++)
                if (names[i].code == error->code)
                        return g_strdup_printf("error %d (%s)", error->code, names[i].name);
        return error->domain == MYSQL_ERROR ? g_strdup_printf("error %d", error->code) : g_strdup("another server answered");
}

static bool is_account(const char *who, const Account *account) {
        gsize length = strlen(account->user);
        return strncmp(who, account->user, length) == 0 && who[length] == '@' && g_ascii_strcasecmp(who + length + 1, account->host) == 0;
}

static void try(const AccountLogins *logins, AccountLogin *ret, const Account *there, const char *password, const GPtrArray *all, const LoginOrigin *origin,
                guint *silent) {
        g_autoptr(GError) error = NULL;
        bool sure;
        ConnParams *params = conn_params_copy(logins->params);
        conn_params_set_account(params, *there->user ? there->user : ANONYMOUS, password);
        params->connect_timeout = params->io_timeout = TRY_SECONDS;
        g_autofree char *who = conn_log_in(params, &error);
        conn_params_free(params);
        *silent = error && mysql_error_is_connection(error) ? *silent + 1 : 0;
        if (who && is_account(who, there)) {
                set(ret, ACCOUNT_LOGIN_DONE, NULL);
                return;
        }
        if (who) {
                const char *at = strrchr(who, '@');
                g_autofree char *user = g_strndup(who, at ? (gsize) (at - who) : strlen(who)), *name = account_name(user, at ? at + 1 : "");
                set(ret, ACCOUNT_LOGIN_NOT_TRIED, g_strdup_printf("from the agent's host the server took it for %s", name));
                return;
        }
        g_autofree char *text = error ? error_number(error) : g_strdup("no answer");
        const Account *taken = login_taken_by(there, all, origin, &sure);
        if (!error || !mysql_error_is_authentication(error))
                set(ret, ACCOUNT_LOGIN_FAILED, g_steal_pointer(&text));
        else if (taken) {
                g_autofree char *name = account_name(taken->user, taken->host);
                set(ret, ACCOUNT_LOGIN_NOT_TRIED, g_strdup_printf("from the agent's host the server may have taken it for %s: %s", name, text));
        } else if (login_origin_match(origin, there->host) == LOGIN_MATCH_ADDRESS)
                set(ret, ACCOUNT_LOGIN_NOT_TRIED, g_strdup_printf("the server knows the agent's host as %s, and perhaps by another address than %s: %s", origin->name, origin->address, text));
        else
                set(ret, ACCOUNT_LOGIN_FAILED, g_steal_pointer(&text));
}

/* ---- all of them */

static bool read_origin(Conn *conn, LoginOrigin *ret, GError **error) {
        g_autofree char *user = conn_query_string(conn, "SELECT USER()", error), *local = conn_local_address(conn);
        if (!user)
                return false;
        login_origin_set(ret, user, local);
        return true;
}

static bool save(const AccountLogins *logins, GError **error) {
        return pair_store_save(logins->store, logins->directory, error);
}

/* → those that are to be tried (of AccountEntry). */
static GPtrArray *decide(const AccountLogins *logins, const GPtrArray *all, const LoginOrigin *origin) {
        GPtrArray *due = g_ptr_array_new();
        for (guint i = 0; i < logins->store->entries->len; i++) {
                AccountEntry *entry = logins->store->entries->pdata[i];
                AccountLogin *login = &entry->logins[logins->side];
                const Account *there = accounts_find(all, entry->user, entry->host);
                bool carried = there && !entry->stays && !entry->refused[logins->side];
                if (carried && login->outcome != ACCOUNT_LOGIN_UNKNOWN && login->operation == logins->operation)
                        continue;
                login->operation = logins->operation;
                char *why = carried ? why_not(logins, entry, there, all, origin) : NULL;
                if (carried && !why)
                        g_ptr_array_add(due, entry);
                set(login, carried ? ACCOUNT_LOGIN_NOT_TRIED : ACCOUNT_LOGIN_UNKNOWN,
                    carried && !why ? g_strdup("the agent was stopped at that moment") : why);
        }
        return due;
}

bool accounts_log_in(AccountLogins *logins, GError **error) {
        g_auto(LoginOrigin) origin = {0};
        g_autoptr(GPtrArray) all = accounts_read(logins->conn, error);
        if (!all || !read_origin(logins->conn, &origin, error))
                return false;
        g_autoptr(GPtrArray) due = decide(logins, all, &origin);
        if (!save(logins, error))
                return false;
        guint silent = 0;
        for (guint i = 0; i < due->len; i++) {
                AccountEntry *entry = due->pdata[i];
                AccountLogin *login = &entry->logins[logins->side];
                const Account *there = accounts_find(all, entry->user, entry->host);
                if (clock_monotonic() >= logins->until || logins->stopping(logins->userdata))
                        set(login, ACCOUNT_LOGIN_NOT_TRIED, g_strdup("there was no time left"));
                else if (silent >= SILENT_MAX)
                        set(login, ACCOUNT_LOGIN_NOT_TRIED, g_strdup("the server did not answer those before it"));
                else
                        try(logins, login, there, password_of(logins, entry, there), all, &origin, &silent);
        }
        memset(logins->count, 0, sizeof logins->count);
        for (guint i = 0; i < logins->store->entries->len; i++) {
                const AccountEntry *entry = logins->store->entries->pdata[i];
                logins->count[entry->logins[logins->side].outcome]++;
        }
        return due->len == 0 || save(logins, error);
}
