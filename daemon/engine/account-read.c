/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the accounts of a server. The tables below mysql.* say it exactly, on every family and for any name; only global privileges are taken
 * from information_schema.USER_PRIVILEGES, since MariaDB keeps them as numbers and MySQL 8 in two places. */

#include "engine/account.h"

#include <string.h>

#include "base/error.h"

#define HASH_NATIVE 41 /* '*' and 40 digits */
#define HASH_OLD 16

/* --- one result --- */

/* The value of the column NAME, whatever its case; NULL: none. */
static const char *field(ConnRows *rows, char **row, const char *name) {
        for (unsigned i = 0; i < conn_rows_columns(rows); i++)
                if (g_ascii_strcasecmp(conn_rows_column_name(rows, i), name) == 0)
                        return row[i];
        return NULL;
}

static const char *text(ConnRows *rows, char **row, const char *name) {
        const char *value = field(rows, row, name);
        return value ? value : "";
}

static bool yes(const char *value) {
        return value && (g_ascii_strcasecmp(value, "Y") == 0 || strcmp(value, "1") == 0 || g_ascii_strcasecmp(value, "true") == 0);
}

typedef void (*RowFunc)(GPtrArray *accounts, ConnRows *rows, char **row);

static bool each(Conn *conn, const char *sql, GPtrArray *accounts, RowFunc take, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                take(accounts, rows, row);
        }
        return true;
}

/* Grants may be left of accounts that are gone. */
static Account *account_of(GPtrArray *accounts, ConnRows *rows, char **row) {
        return accounts_find(accounts, text(rows, row, "User"), text(rows, row, "Host"));
}

/* --- accounts --- */

static gint by_name(gconstpointer a, gconstpointer b) {
        const Account *x = *(Account *const *) a, *y = *(Account *const *) b;
        int order = strcmp(x->user, y->user);
        return order ? order : strcmp(x->host, y->host);
}

/* 5.6 keeps hashes of its own plugins in Password, also of accounts that name no plugin: then its length tells. */
static void take_password(Account *account, const char *plugin, const char *password, const char *string) {
        const char *secret = *password ? password : string;
        gsize length = strlen(secret);
        if (!*plugin)
                plugin = length == HASH_OLD ? ACCOUNT_OLD : ACCOUNT_NATIVE;
        bool native = strcmp(plugin, ACCOUNT_NATIVE) == 0, old = strcmp(plugin, ACCOUNT_OLD) == 0;
        bool broken = (native && length != 0 && length != HASH_NATIVE) || (old && length != 0 && length != HASH_OLD);
        account_set(&account->plugin, broken ? "" : plugin);
        account_set(&account->secret, broken ? "" : secret);
}

static void take_user(GPtrArray *accounts, ConnRows *rows, char **row) {
        static const char *const limits[_ACCOUNT_LIMIT_MAX] = {
                [ACCOUNT_LIMIT_QUERIES] = "max_questions",
                [ACCOUNT_LIMIT_UPDATES] = "max_updates",
                [ACCOUNT_LIMIT_CONNECTIONS] = "max_connections",
                [ACCOUNT_LIMIT_USER_CONNECTIONS] = "max_user_connections",
        };
        Account *account = account_new(text(rows, row, "User"), text(rows, row, "Host"));
        const char *plugin = text(rows, row, "plugin");
        if (g_str_has_prefix(plugin, ACCOUNT_SHUT)) { /* closed by us, on a server without locks */
                account->locked = true;
                plugin += strlen(ACCOUNT_SHUT);
                plugin += *plugin == ':';
        }
        take_password(account, plugin, text(rows, row, "Password"), text(rows, row, "authentication_string"));
        account_set(&account->tls, text(rows, row, "ssl_type"));
        account_set(&account->cipher, text(rows, row, "ssl_cipher"));
        account_set(&account->issuer, text(rows, row, "x509_issuer"));
        account_set(&account->subject, text(rows, row, "x509_subject"));
        for (AccountLimit limit = 0; limit < _ACCOUNT_LIMIT_MAX; limit++)
                account->limits[limit] = g_ascii_strtoull(text(rows, row, limits[limit]), NULL, 10);
        account->expired = yes(field(rows, row, "password_expired"));
        account->locked |= yes(field(rows, row, "account_locked"));
        account->role = yes(field(rows, row, "is_role"));
        const char *lifetime = field(rows, row, "password_lifetime"), *statement = text(rows, row, "max_statement_time");
        if (lifetime)
                g_ptr_array_add(account->beyond, g_strdup_printf("PASSWORD EXPIRE INTERVAL %s DAY", lifetime));
        if (g_ascii_strtod(statement, NULL) > 0)
                g_ptr_array_add(account->beyond, g_strdup_printf("MAX_STATEMENT_TIME %s", statement));
        if (strstr(text(rows, row, "User_attributes"), "\"Restrictions\""))
                g_ptr_array_add(account->beyond, g_strdup("partial revokes (more databases are open to it)"));
        g_ptr_array_add(accounts, account);
}

/* What MariaDB's view mysql.user does not show. */
static void take_mariadb(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        if (!account)
                return;
        const char *lifetime = text(rows, row, "lifetime");
        account->locked = yes(field(rows, row, "locked"));
        if (g_ascii_strtoll(lifetime, NULL, 10) > 0)
                g_ptr_array_add(account->beyond, g_strdup_printf("PASSWORD EXPIRE INTERVAL %s DAY", lifetime));
        if (!yes(field(rows, row, "several")))
                return;
        account_set(&account->plugin, "");
        account_set(&account->secret, "");
        g_ptr_array_add(account->beyond, g_strdup("more than one way of logging in"));
}

static void take_role(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        if (account)
                g_ptr_array_add(account->beyond, g_strdup_printf("role %s", text(rows, row, "role")));
}

/* --- grants --- */

static char *privilege_name(const char *word) {
        static const char *const names[][2] = {
                {"GRANT", "GRANT OPTION"}, {"SHOW DB", "SHOW DATABASES"}, {"CREATE TMP TABLE", "CREATE TEMPORARY TABLES"},
                {"REPL SLAVE", "REPLICATION SLAVE"}, {"REPL CLIENT", "REPLICATION CLIENT"}, {"READ ONLY ADMIN", "READ_ONLY ADMIN"},
                {"DELETE VERSIONING ROWS", "DELETE HISTORY"},
        };
        g_autofree char *upper = g_ascii_strup(word, -1);
        g_strstrip(upper);
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(names[i][0], upper) == 0)
                        return g_strdup(names[i][1]);
        return g_steal_pointer(&upper);
}

/* 'user'@'host' is not escaped there; no host has a quote, and two accounts that spell alike are one by their sum. */
static void take_global(GPtrArray *accounts, ConnRows *rows, char **row) {
        const char *grantee = text(rows, row, "GRANTEE"), *at = g_strrstr(grantee, "'@'");
        gsize length = strlen(grantee);
        if (!at || length < 2)
                return;
        g_autofree char *user = g_strndup(grantee + 1, (gsize) (at - grantee) - 1), *host = g_strndup(at + 3, (gsize) (grantee + length - at) - 4);
        Account *account = accounts_find(accounts, user, host);
        if (!account)
                return;
        g_autofree char *name = privilege_name(text(rows, row, "PRIVILEGE_TYPE"));
        if (strcmp(name, "USAGE") != 0)
                account_add_grant(account, ACCOUNT_LEVEL_GLOBAL, "", "", "", name);
        /* MySQL 8 gives a dynamic privilege an option of its own: they have an underscore. */
        if (!strchr(name, '_') && strcmp(text(rows, row, "IS_GRANTABLE"), "YES") == 0)
                account_add_grant(account, ACCOUNT_LEVEL_GLOBAL, "", "", "", "GRANT OPTION");
}

static void take_database(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        for (unsigned i = 0; account && i < conn_rows_columns(rows); i++) {
                const char *column = conn_rows_column_name(rows, i);
                if (!g_str_has_suffix(column, "_priv") || !yes(row[i]))
                        continue;
                g_autofree char *word = g_strdelimit(g_strndup(column, strlen(column) - strlen("_priv")), "_", ' ');
                g_autofree char *name = privilege_name(word);
                account_add_grant(account, ACCOUNT_LEVEL_DATABASE, text(rows, row, "Db"), "", "", name);
        }
}

/* SET columns: "Select,Create View". */
static void take_set(Account *account, AccountLevel level, const char *database, const char *name, const char *column, const char *set) {
        g_auto(GStrv) words = g_strsplit(set, ",", -1);
        for (char **word = words; *word; word++) {
                g_autofree char *privilege = privilege_name(*word);
                if (*privilege)
                        account_add_grant(account, level, database, name, column, privilege);
        }
}

static void take_table(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        if (account)
                take_set(account, ACCOUNT_LEVEL_TABLE, text(rows, row, "Db"), text(rows, row, "Table_name"), "", text(rows, row, "Table_priv"));
}

static void take_column(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        if (account)
                take_set(account, ACCOUNT_LEVEL_COLUMN, text(rows, row, "Db"), text(rows, row, "Table_name"), text(rows, row, "Column_name"),
                         text(rows, row, "Column_priv"));
}

static void take_routine(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        const char *type = text(rows, row, "Routine_type");
        bool function = strcmp(type, "FUNCTION") == 0;
        if (account && (function || strcmp(type, "PROCEDURE") == 0))
                take_set(account, function ? ACCOUNT_LEVEL_FUNCTION : ACCOUNT_LEVEL_PROCEDURE, text(rows, row, "Db"), text(rows, row, "Routine_name"), "",
                         text(rows, row, "Proc_priv"));
        else if (account)
                g_ptr_array_add(account->beyond, g_strdup_printf("grants on the %s %s", type, text(rows, row, "Routine_name")));
}

static void take_proxy(GPtrArray *accounts, ConnRows *rows, char **row) {
        Account *account = account_of(accounts, rows, row);
        const char *user = text(rows, row, "Proxied_user"), *host = text(rows, row, "Proxied_host");
        if (!account)
                return;
        account_add_grant(account, ACCOUNT_LEVEL_PROXY, user, host, "", "PROXY");
        if (yes(field(rows, row, "With_grant")))
                account_add_grant(account, ACCOUNT_LEVEL_PROXY, user, host, "", "GRANT OPTION");
}

/* --- all of it --- */

static void free_account(gpointer data) {
        account_free(data);
}

static bool read_family(Conn *conn, GPtrArray *accounts, GError **error) {
        const Flavor *flavor = conn_flavor(conn);
        if (flavor->mariadb)
                return each(conn, "SELECT User, Host, JSON_VALUE(Priv, '$.account_locked') AS locked, JSON_EXISTS(Priv, '$.auth_or') AS several, "
                                  "JSON_VALUE(Priv, '$.password_lifetime') AS lifetime FROM mysql.global_priv",
                            accounts, take_mariadb, error) &&
                       each(conn, "SELECT User, Host, Role AS role FROM mysql.roles_mapping ORDER BY User, Host, Role", accounts, take_role, error);
        if (flavor_has_dynamic_privileges(flavor))
                return each(conn, "SELECT TO_USER AS User, TO_HOST AS Host, CONCAT(FROM_USER, '@', FROM_HOST) AS role FROM mysql.role_edges ORDER BY 1, 2, 3",
                            accounts, take_role, error);
        return true;
}

GPtrArray *accounts_read(Conn *conn, GError **error) {
        g_autoptr(GPtrArray) accounts = g_ptr_array_new_with_free_func(free_account);
        if (!each(conn, "SELECT * FROM mysql.user", accounts, take_user, error))
                return NULL;
        g_ptr_array_sort(accounts, by_name);
        if (!read_family(conn, accounts, error) ||
            !each(conn, "SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES", accounts, take_global, error) ||
            !each(conn, "SELECT * FROM mysql.db", accounts, take_database, error) ||
            !each(conn, "SELECT User, Host, Db, Table_name, Table_priv FROM mysql.tables_priv", accounts, take_table, error) ||
            !each(conn, "SELECT User, Host, Db, Table_name, Column_name, Column_priv FROM mysql.columns_priv", accounts, take_column, error) ||
            !each(conn, "SELECT User, Host, Db, Routine_name, Routine_type, Proc_priv FROM mysql.procs_priv", accounts, take_routine, error) ||
            !each(conn, "SELECT User, Host, Proxied_user, Proxied_host, With_grant FROM mysql.proxies_priv", accounts, take_proxy, error))
                return NULL;
        for (guint i = 0; i < accounts->len; i++)
                account_sort(accounts->pdata[i]);
        return g_steal_pointer(&accounts);
}

char *accounts_own_user(Conn *conn, GError **error) {
        g_autofree char *user = conn_query_string(conn, "SELECT CURRENT_USER()", error);
        char *at = user ? strrchr(user, '@') : NULL;
        if (at)
                *at = '\0';
        return g_steal_pointer(&user);
}

bool account_target_read(Conn *conn, AccountTarget *ret, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE='AUTHENTICATION' AND "
                                                    "PLUGIN_STATUS='ACTIVE'", error);
        g_autoptr(GHashTable) plugins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (row[0])
                        g_hash_table_add(plugins, g_strdup(row[0]));
        }
        *ret = (AccountTarget){.flavor = conn_flavor(conn), .plugins = g_steal_pointer(&plugins)};
        return true;
}
