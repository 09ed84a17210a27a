/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See account.h. The values: comparing, and what an account of one family is on a server of another one. */

#include "engine/account.h"

#include <string.h>

#include "mysql/sql.h"

static const char *const account_level_table[_ACCOUNT_LEVEL_MAX] = {
        [ACCOUNT_LEVEL_GLOBAL] = "global",     [ACCOUNT_LEVEL_DATABASE] = "database",   [ACCOUNT_LEVEL_TABLE] = "table",
        [ACCOUNT_LEVEL_COLUMN] = "column",     [ACCOUNT_LEVEL_FUNCTION] = "function",   [ACCOUNT_LEVEL_PROCEDURE] = "procedure",
        [ACCOUNT_LEVEL_PROXY] = "proxy",
};
ENUM_TABLE_DEFINE(account_level, AccountLevel, account_level_table);

static const char *const account_limit_table[_ACCOUNT_LIMIT_MAX] = {
        [ACCOUNT_LIMIT_QUERIES] = "MAX_QUERIES_PER_HOUR",
        [ACCOUNT_LIMIT_UPDATES] = "MAX_UPDATES_PER_HOUR",
        [ACCOUNT_LIMIT_CONNECTIONS] = "MAX_CONNECTIONS_PER_HOUR",
        [ACCOUNT_LIMIT_USER_CONNECTIONS] = "MAX_USER_CONNECTIONS",
};
ENUM_TABLE_DEFINE(account_limit, AccountLimit, account_limit_table);

/* --- grants --- */

AccountGrant *account_grant_new(AccountLevel level, const char *database, const char *name, const char *column, const char *privilege) {
        AccountGrant *grant = g_new0(AccountGrant, 1);
        grant->level = level;
        grant->database = g_strdup(database);
        grant->name = g_strdup(name);
        grant->column = g_strdup(column);
        grant->privilege = g_strdup(privilege);
        return grant;
}

void account_grant_free(AccountGrant *grant) {
        if (!grant)
                return;
        g_free(grant->database);
        g_free(grant->name);
        g_free(grant->column);
        g_free(grant->privilege);
        g_free(grant);
}

static void free_grant(gpointer data) {
        account_grant_free(data);
}

bool account_grant_same_object(const AccountGrant *a, const AccountGrant *b) {
        return a->level == b->level && strcmp(a->database, b->database) == 0 && strcmp(a->name, b->name) == 0;
}

int account_grant_compare(const AccountGrant *a, const AccountGrant *b) {
        if (a->level != b->level)
                return a->level < b->level ? -1 : 1;
        int order = strcmp(a->database, b->database);
        order = order ? order : strcmp(a->name, b->name);
        order = order ? order : strcmp(a->privilege, b->privilege);
        return order ? order : strcmp(a->column, b->column);
}

static gint compare_items(gconstpointer a, gconstpointer b) {
        return account_grant_compare(*(AccountGrant *const *) a, *(AccountGrant *const *) b);
}

char *account_grant_object(const AccountGrant *grant) {
        g_autofree char *table = sql_table(grant->database, grant->name), *database = sql_identifier(grant->database);
        switch (grant->level) {
        case ACCOUNT_LEVEL_GLOBAL:
                return g_strdup("*.*");
        case ACCOUNT_LEVEL_DATABASE:
                return g_strconcat(database, ".*", NULL);
        case ACCOUNT_LEVEL_TABLE:
        case ACCOUNT_LEVEL_COLUMN:
                return g_steal_pointer(&table);
        case ACCOUNT_LEVEL_FUNCTION:
                return g_strconcat("FUNCTION ", table, NULL);
        case ACCOUNT_LEVEL_PROCEDURE:
                return g_strconcat("PROCEDURE ", table, NULL);
        case ACCOUNT_LEVEL_PROXY:
                return account_name(grant->database, grant->name);
        case _ACCOUNT_LEVEL_MAX:
        case _ACCOUNT_LEVEL_INVALID:
                break;
        }
        return g_strdup("");
}

/* --- accounts --- */

Account *account_new(const char *user, const char *host) {
        Account *account = g_new0(Account, 1);
        account->user = g_strdup(user);
        account->host = g_strdup(host);
        account->plugin = g_strdup("");
        account->secret = g_strdup("");
        account->tls = g_strdup("");
        account->cipher = g_strdup("");
        account->issuer = g_strdup("");
        account->subject = g_strdup("");
        account->grants = g_ptr_array_new_with_free_func(free_grant);
        account->beyond = g_ptr_array_new_with_free_func(g_free);
        return account;
}

void account_set(char **member, const char *value) {
        char *copy = g_strdup(value);
        if (*member)
                explicit_bzero(*member, strlen(*member));
        g_free(*member);
        *member = copy;
}

void account_free(Account *account) {
        if (!account)
                return;
        g_free(account->user);
        g_free(account->host);
        g_free(account->plugin);
        account_set(&account->secret, NULL);
        g_free(account->tls);
        g_free(account->cipher);
        g_free(account->issuer);
        g_free(account->subject);
        g_ptr_array_unref(account->grants);
        g_ptr_array_unref(account->beyond);
        g_free(account);
}

/* Without grants. */
static Account *copy_identity(const Account *account) {
        Account *copy = account_new(account->user, account->host);
        account_set(&copy->plugin, account->plugin);
        account_set(&copy->secret, account->secret);
        account_set(&copy->tls, account->tls);
        account_set(&copy->cipher, account->cipher);
        account_set(&copy->issuer, account->issuer);
        account_set(&copy->subject, account->subject);
        memcpy(copy->limits, account->limits, sizeof copy->limits);
        copy->expired = account->expired;
        copy->locked = account->locked;
        copy->role = account->role;
        return copy;
}

Account *account_copy(const Account *account) {
        if (!account)
                return NULL;
        Account *copy = copy_identity(account);
        for (guint i = 0; i < account->grants->len; i++) {
                const AccountGrant *grant = account->grants->pdata[i];
                account_add_grant(copy, grant->level, grant->database, grant->name, grant->column, grant->privilege);
        }
        for (guint i = 0; i < account->beyond->len; i++)
                g_ptr_array_add(copy->beyond, g_strdup(account->beyond->pdata[i]));
        return copy;
}

void account_add_grant(Account *account, AccountLevel level, const char *database, const char *name, const char *column, const char *privilege) {
        g_ptr_array_add(account->grants, account_grant_new(level, database, name, column, privilege));
}

void account_sort(Account *account) {
        g_ptr_array_sort(account->grants, compare_items);
        for (guint i = account->grants->len; i-- > 1;)
                if (account_grant_compare(account->grants->pdata[i - 1], account->grants->pdata[i]) == 0)
                        g_ptr_array_remove_index(account->grants, i);
}

bool account_has(const Account *account, const char *privilege) {
        for (guint i = 0; i < account->grants->len; i++) {
                const AccountGrant *grant = account->grants->pdata[i];
                if (grant->level == ACCOUNT_LEVEL_GLOBAL && strcmp(grant->privilege, privilege) == 0)
                        return true;
        }
        return false;
}

char *account_name(const char *user, const char *host) {
        g_autofree char *quoted_user = sql_string(user), *quoted_host = sql_string(host);
        return g_strdup_printf("%s@%s", quoted_user, quoted_host);
}

GPtrArray *account_grants_without(const Account *a, const Account *b) {
        GPtrArray *left = g_ptr_array_new();
        guint j = 0;
        for (guint i = 0; i < a->grants->len; i++) {
                while (b && j < b->grants->len && account_grant_compare(b->grants->pdata[j], a->grants->pdata[i]) < 0)
                        j++;
                if (!b || j >= b->grants->len || account_grant_compare(b->grants->pdata[j], a->grants->pdata[i]) != 0)
                        g_ptr_array_add(left, a->grants->pdata[i]);
        }
        return left;
}

void account_remove_grants(Account *account, const GPtrArray *grants) {
        for (guint i = account->grants->len; i-- > 0;)
                for (guint j = 0; j < grants->len; j++)
                        if (account_grant_compare(account->grants->pdata[i], grants->pdata[j]) == 0) {
                                g_ptr_array_remove_index(account->grants, i);
                                break;
                        }
}

unsigned account_compare(const Account *a, const Account *b) {
        g_autoptr(GPtrArray) more = account_grants_without(a, b), less = account_grants_without(b, a);
        bool password = strcmp(a->plugin, b->plugin) == 0 && strcmp(a->secret, b->secret) == 0;
        bool tls = strcmp(a->tls, b->tls) == 0 && strcmp(a->cipher, b->cipher) == 0 && strcmp(a->issuer, b->issuer) == 0 &&
                   strcmp(a->subject, b->subject) == 0;
        return (password ? 0 : ACCOUNT_DIFFERS_PASSWORD) | (tls ? 0 : ACCOUNT_DIFFERS_TLS) |
               (memcmp(a->limits, b->limits, sizeof a->limits) == 0 ? 0 : ACCOUNT_DIFFERS_LIMITS) |
               (a->expired == b->expired ? 0 : ACCOUNT_DIFFERS_EXPIRED) | (a->locked == b->locked ? 0 : ACCOUNT_DIFFERS_LOCKED) |
               (more->len + less->len == 0 ? 0 : ACCOUNT_DIFFERS_GRANTS);
}

char *account_difference_text(unsigned difference) {
        static const struct {
                unsigned bit;
                const char *text;
        } parts[] = {
                {ACCOUNT_DIFFERS_PASSWORD, "its password"},    {ACCOUNT_DIFFERS_TLS, "what TLS it requires"},
                {ACCOUNT_DIFFERS_LIMITS, "its limits"},        {ACCOUNT_DIFFERS_EXPIRED, "whether its password has expired"},
                {ACCOUNT_DIFFERS_LOCKED, "whether it is locked"}, {ACCOUNT_DIFFERS_GRANTS, "its grants"},
        };
        g_autoptr(GString) text = g_string_new(NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
                if (difference & parts[i].bit)
                        g_string_append_printf(text, "%s%s", text->len ? ", " : "", parts[i].text);
        return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Of what is not on this list a server may have more than we know. */
static bool only_reads(const char *privilege) {
        static const char *const names[] = {"USAGE", "SELECT", "PROCESS", "RELOAD", "SHUTDOWN", "FILE", "SHOW DATABASES", "SHOW VIEW", "SHOW CREATE ROUTINE", "LOCK TABLES",
                                            "CREATE TEMPORARY TABLES", "REPLICATION SLAVE", "REPLICATION CLIENT", "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR",
                                            "REPLICATION MASTER ADMIN", "BACKUP_ADMIN", "SHOW_ROUTINE"};
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(names[i], privilege) == 0)
                        return true;
        return false;
}

bool account_may_write(const Account *account) {
        for (guint i = 0; i < account->beyond->len; i++)
                if (g_str_has_prefix(account->beyond->pdata[i], "role "))
                        return true;
        for (guint i = 0; i < account->grants->len; i++) {
                const AccountGrant *grant = account->grants->pdata[i];
                if (!only_reads(grant->privilege))
                        return true;
        }
        return false;
}

const char *account_stays(const Account *account, const char *own_user) {
        static const char *const system[] = {"mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "PUBLIC"};
        for (gsize i = 0; i < G_N_ELEMENTS(system); i++)
                if (strcmp(account->user, system[i]) == 0)
                        return "it belongs to the server itself";
        if (own_user && strcmp(account->user, own_user) == 0)
                return "it is the agent's own";
        if (account_has(account, "SUPER"))
                return "an administrator's account (SUPER) stays with its server";
        if (account->role)
                return "a role, which the other server does not have";
        return NULL;
}

Account *accounts_find(const GPtrArray *accounts, const char *user, const char *host) {
        guint low = 0, high = accounts->len;
        while (low < high) {
                guint middle = low + (high - low) / 2;
                Account *account = accounts->pdata[middle];
                int order = strcmp(account->user, user);
                order = order ? order : strcmp(account->host, host);
                if (order == 0)
                        return account;
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

/* --- another family --- */

void account_target_clear(AccountTarget *target) {
        g_clear_pointer(&target->plugins, g_hash_table_unref);
}

bool account_target_locks(const Flavor *flavor) {
        return flavor->version >= (flavor->mariadb ? 100402u : 50706u);
}

char *account_password_statement(const Flavor *flavor, const char *user, const char *host) {
        g_autofree char *name = account_name(user, host);
        if (account_target_locks(flavor))
                return g_strdup_printf("ALTER USER %s IDENTIFIED BY '...' ACCOUNT UNLOCK;", name);
        return g_strdup_printf("SET PASSWORD FOR %s = PASSWORD('...');", name);
}

/* MySQL 5.6's; the newer families have all of these, but for the two that MariaDB took apart. */
static bool known_everywhere(const char *privilege) {
        static const char *const names[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "GRANT OPTION",
                                            "REFERENCES", "INDEX", "ALTER", "SHOW DATABASES", "SUPER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE",
                                            "REPLICATION SLAVE", "REPLICATION CLIENT", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE",
                                            "CREATE USER", "EVENT", "TRIGGER", "CREATE TABLESPACE", "PROXY"};
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(names[i], privilege) == 0)
                        return true;
        return false;
}

/* https://mariadb.com/kb/en/grant/: since 10.5 REPLICATION CLIENT is BINLOG MONITOR, and SHOW SLAVE STATUS asks for SLAVE MONITOR. */
static bool splits_replication_client(const Flavor *flavor) {
        return flavor->mariadb && flavor->version >= 100509;
}

static void translate_grant(const AccountGrant *grant, const Flavor *from, const Flavor *to, Account *into, GPtrArray *notes) {
        const char *privilege = grant->privilege;
        if (strcmp(privilege, "REPLICATION CLIENT") == 0 && splits_replication_client(to) && !splits_replication_client(from)) {
                account_add_grant(into, grant->level, "", "", "", "BINLOG MONITOR");
                account_add_grant(into, grant->level, "", "", "", "SLAVE MONITOR");
                g_ptr_array_add(notes, g_strdup("REPLICATION CLIENT became BINLOG MONITOR and SLAVE MONITOR, which it is called there"));
                return;
        }
        if (!splits_replication_client(to) && strcmp(privilege, "BINLOG MONITOR") == 0)
                privilege = "REPLICATION CLIENT";
        else if (!splits_replication_client(to) && strcmp(privilege, "SLAVE MONITOR") == 0) {
                if (account_has(into, "REPLICATION CLIENT")) /* BINLOG comes first */
                        return;
        }
        bool same_family = from->mariadb == to->mariadb && from->version / 10000 == to->version / 10000;
        if (same_family || known_everywhere(privilege)) {
                account_add_grant(into, grant->level, grant->database, grant->name, grant->column, privilege);
                return;
        }
        g_autofree char *object = account_grant_object(grant);
        g_ptr_array_add(notes, g_strdup_printf("without %s on %s, which the server there does not know", privilege, object));
}

Account *account_translate(const Account *account, const Flavor *from, const AccountTarget *target, GPtrArray *notes) {
        Account *into = copy_identity(account);
        for (guint i = 0; i < account->grants->len; i++)
                translate_grant(account->grants->pdata[i], from, target->flavor, into, notes);
        account_sort(into);
        for (guint i = 0; i < account->beyond->len; i++)
                g_ptr_array_add(notes, g_strdup_printf("without %s, which cannot be carried there", (const char *) account->beyond->pdata[i]));
        if (account->locked && !account_target_locks(target->flavor)) {
                /* Open, it would be more than it is. */
                account_set(&into->plugin, ACCOUNT_NATIVE);
                account_set(&into->secret, ACCOUNT_IMPOSSIBLE);
                into->locked = false;
                g_ptr_array_add(notes, g_strdup("it is locked; the server there cannot lock accounts, so it has a password that nobody knows"));
                return into;
        }
        bool nobody_knows = strcmp(account->secret, ACCOUNT_IMPOSSIBLE) == 0; /* it was made so, for want of a password */
        if (*account->plugin && !nobody_knows && g_hash_table_contains(target->plugins, account->plugin)) {
                if (strcmp(account->plugin, ACCOUNT_OLD) == 0)
                        g_ptr_array_add(notes, g_strdup("its password has the form from before MySQL 4.1, which servers and clients take only with secure_auth=0"));
                return into;
        }
        bool empty = !*account->secret && (strcmp(account->plugin, ACCOUNT_NATIVE) == 0 || strcmp(account->plugin, ACCOUNT_OLD) == 0);
        if (empty && g_hash_table_contains(target->plugins, "caching_sha2_password")) {
                account_set(&into->plugin, "caching_sha2_password");
                g_ptr_array_add(notes, g_strdup("it has no password, and logs in by caching_sha2_password there"));
                return into;
        }
        account_set(&into->plugin, "");
        account_set(&into->secret, "");
        return into;
}
