/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See account-make.h. MySQL 5.6 has neither ALTER USER nor locks: what belongs to the account itself is written into its row of mysql.user, as its
 * own statements would, and FLUSH PRIVILEGES makes it count. */

#include "engine/account-make.h"

#include <string.h>

#include "base/error.h"
#include "mysql/sql.h"

#define LOCK_AT_ONCE 100 /* accounts in one statement */

/* A statement with a password in it: the server's answer may repeat the place where it stopped. */
static bool exec_secret(Conn *conn, const char *sql, GError **error) {
        g_autoptr(GError) local = NULL;
        if (conn_exec(conn, sql, -1, NULL, &local))
                return true;
        if (g_error_matches(local, MYSQL_ERROR, 1064)) /* syntax: "near '…'" */
                g_set_error(error, MYSQL_ERROR, 1064, "%s: the statement that makes the account is not understood (1064)", conn_label(conn));
        else
                g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

static void wipe(GString *sql) {
        explicit_bzero(sql->str, sql->allocated_len);
        g_string_free(sql, TRUE);
}

/* --- MySQL from 5.7.6, MariaDB from 10.4 --- */

static void append_password(GString *sql, const Flavor *flavor, const char *plugin, const char *secret) {
        if (flavor->mariadb)
                g_string_append(sql, " IDENTIFIED VIA ");
        else
                g_string_append(sql, " IDENTIFIED WITH ");
        sql_append_identifier(sql, plugin);
        g_string_append(sql, flavor->mariadb ? " USING " : " AS ");
        sql_append_string(sql, secret, strlen(secret));
}

static void append_tls(GString *sql, const Account *account) {
        g_string_append(sql, " REQUIRE ");
        if (strcmp(account->tls, "ANY") == 0)
                g_string_append(sql, "SSL");
        else if (strcmp(account->tls, "X509") == 0)
                g_string_append(sql, "X509");
        else if (strcmp(account->tls, "SPECIFIED") == 0) {
                const char *const parts[][2] = {{"CIPHER ", account->cipher}, {"ISSUER ", account->issuer}, {"SUBJECT ", account->subject}};
                for (gsize i = 0, n = 0; i < G_N_ELEMENTS(parts); i++) {
                        if (!*parts[i][1])
                                continue;
                        g_string_append_printf(sql, "%s%s", n++ ? " AND " : "", parts[i][0]);
                        sql_append_string(sql, parts[i][1], strlen(parts[i][1]));
                }
        } else
                g_string_append(sql, "NONE");
}

static void append_options(GString *sql, const Account *account, bool locked) {
        append_tls(sql, account);
        g_string_append(sql, " WITH");
        for (AccountLimit limit = 0; limit < _ACCOUNT_LIMIT_MAX; limit++)
                g_string_append_printf(sql, " %s %" G_GUINT64_FORMAT, account_limit_to_string(limit), account->limits[limit]);
        g_string_append(sql, locked || account->locked ? " ACCOUNT LOCK" : " ACCOUNT UNLOCK");
        if (account->expired)
                g_string_append(sql, " PASSWORD EXPIRE");
}

static bool create_new(Conn *conn, const Account *account, const AccountMapping *mapping, bool locked, GError **error) {
        const Flavor *flavor = conn_flavor(conn);
        g_autofree char *name = account_name(account->user, account->host);
        GString *sql = g_string_new("CREATE USER ");
        bool random = false;
        g_string_append(sql, name);
        if (*account->plugin)
                append_password(sql, flavor, account->plugin, account->secret);
        else if (mapping && mapping->kind == ACCOUNT_MAPPING_HASH)
                append_password(sql, flavor, mapping->plugin, mapping->secret);
        else if (mapping && mapping->kind == ACCOUNT_MAPPING_PASSWORD) {
                g_string_append(sql, " IDENTIFIED BY ");
                sql_append_string(sql, mapping->secret, strlen(mapping->secret));
        } else if (flavor->mariadb)
                append_password(sql, flavor, ACCOUNT_NATIVE, ACCOUNT_IMPOSSIBLE);
        else {
                g_string_append(sql, " IDENTIFIED BY RANDOM PASSWORD");
                random = true;
        }
        append_options(sql, account, locked);
        bool good;
        if (random) { /* the server answers with it, and nobody looks */
                ConnRows *rows = conn_query(conn, sql->str, error);
                good = rows != NULL;
                conn_rows_free(rows);
        } else
                good = exec_secret(conn, sql->str, error);
        wipe(sql);
        return good;
}

static bool alter_new(Conn *conn, const Account *account, bool locked, GError **error) {
        g_autofree char *name = account_name(account->user, account->host);
        GString *sql = g_string_new("ALTER USER ");
        g_string_append(sql, name);
        if (*account->plugin)
                append_password(sql, conn_flavor(conn), account->plugin, account->secret);
        append_options(sql, account, locked);
        bool good = exec_secret(conn, sql->str, error);
        wipe(sql);
        return good;
}

/* --- MySQL 5.6 --- */

static void append_column(GString *sql, const char *column, const char *value) {
        g_string_append_printf(sql, ", %s=", column);
        sql_append_string(sql, value, strlen(value));
}

static bool write_row(Conn *conn, const Account *account, bool locked, GError **error) {
        g_autofree char *user = sql_string(account->user), *host = sql_string(account->host);
        bool own = strcmp(account->plugin, ACCOUNT_NATIVE) == 0 || strcmp(account->plugin, ACCOUNT_OLD) == 0;
        GString *sql = g_string_new(NULL);
        g_string_printf(sql, "UPDATE mysql.user SET max_questions=%" G_GUINT64_FORMAT ", max_updates=%" G_GUINT64_FORMAT ", max_connections=%" G_GUINT64_FORMAT
                             ", max_user_connections=%" G_GUINT64_FORMAT,
                        account->limits[ACCOUNT_LIMIT_QUERIES], account->limits[ACCOUNT_LIMIT_UPDATES], account->limits[ACCOUNT_LIMIT_CONNECTIONS],
                        account->limits[ACCOUNT_LIMIT_USER_CONNECTIONS]);
        append_column(sql, "ssl_type", account->tls);
        append_column(sql, "ssl_cipher", account->cipher);
        append_column(sql, "x509_issuer", account->issuer);
        append_column(sql, "x509_subject", account->subject);
        append_column(sql, "password_expired", account->expired ? "Y" : "N");
        if (*account->plugin) {
                g_autofree char *shut = g_strconcat(ACCOUNT_SHUT ":", account->plugin, NULL);
                append_column(sql, "plugin", locked ? shut : account->plugin);
                append_column(sql, "Password", own ? account->secret : "");
                append_column(sql, "authentication_string", own ? "" : account->secret);
        }
        g_string_append_printf(sql, " WHERE User=%s AND Host=%s", user, host);
        bool good = exec_secret(conn, sql->str, error);
        wipe(sql);
        return good;
}

#define SHUT_PLUGIN "IF(plugin IS NULL, '" ACCOUNT_SHUT "', CONCAT('" ACCOUNT_SHUT ":', plugin))"
#define OPEN_PLUGIN "IF(plugin='" ACCOUNT_SHUT "', NULL, SUBSTRING(plugin, CHAR_LENGTH('" ACCOUNT_SHUT "') + 2))"
#define IS_SHUT "(plugin='" ACCOUNT_SHUT "' OR plugin LIKE '" ACCOUNT_SHUT ":%%')"

bool account_shut_row(Conn *conn, const char *user, const char *host, bool shut, const char *secret, GError **error) {
        g_autofree char *quoted_user = sql_string(user), *quoted_host = sql_string(host);
        if (shut) /* the column holds 64 characters; a name that does not fit stays open, and whoever closes sees that */
                return conn_execf(conn, error, "UPDATE mysql.user SET plugin=" SHUT_PLUGIN " WHERE User=%s AND Host=%s AND (plugin IS NULL OR NOT " IS_SHUT ") AND "
                                  "CHAR_LENGTH(COALESCE(plugin, '')) <= 64 - CHAR_LENGTH('" ACCOUNT_SHUT ":')", quoted_user, quoted_host);
        if (!conn_execf(conn, error, "UPDATE mysql.user SET plugin=" OPEN_PLUGIN " WHERE User=%s AND Host=%s AND " IS_SHUT, quoted_user, quoted_host))
                return false;
        if (!*secret)
                return true;
        GString *sql = g_string_new("UPDATE mysql.user SET authentication_string=IF(plugin IS NULL OR plugin IN ('', '" ACCOUNT_NATIVE "', '" ACCOUNT_OLD "'), "
                                    "authentication_string, ");
        sql_append_string(sql, secret, strlen(secret));
        g_string_append(sql, "), Password=IF(plugin IS NULL OR plugin IN ('', '" ACCOUNT_NATIVE "', '" ACCOUNT_OLD "'), ");
        sql_append_string(sql, secret, strlen(secret));
        g_string_append_printf(sql, ", Password) WHERE User=%s AND Host=%s AND Password='' AND COALESCE(authentication_string, '')=''", quoted_user, quoted_host);
        bool good = exec_secret(conn, sql->str, error);
        wipe(sql);
        return good;
}

bool accounts_flush(Conn *conn, GError **error) {
        return account_target_locks(conn_flavor(conn)) || conn_exec(conn, "FLUSH PRIVILEGES", -1, NULL, error);
}

static bool create_old(Conn *conn, const Account *account, const AccountMapping *mapping, GError **error) {
        g_autofree char *name = account_name(account->user, account->host);
        g_autoptr(Account) mapped = account_copy(account);
        bool password = !*account->plugin && mapping && mapping->kind == ACCOUNT_MAPPING_PASSWORD;
        GString *sql = g_string_new("CREATE USER ");
        g_string_append_printf(sql, "%s IDENTIFIED BY %s", name, password ? "" : "PASSWORD '" ACCOUNT_IMPOSSIBLE "'");
        if (password)
                sql_append_string(sql, mapping->secret, strlen(mapping->secret));
        bool good = exec_secret(conn, sql->str, error);
        wipe(sql);
        if (!*account->plugin && mapping && mapping->kind == ACCOUNT_MAPPING_HASH) {
                account_set(&mapped->plugin, mapping->plugin);
                account_set(&mapped->secret, mapping->secret);
        }
        return good && write_row(conn, mapped, /* locked= */ false, error) && accounts_flush(conn, error);
}

/* --- both --- */

bool account_create(Conn *conn, const Account *account, const AccountMapping *mapping, bool locked, GError **error) {
        return account_target_locks(conn_flavor(conn)) ? create_new(conn, account, mapping, locked, error) : create_old(conn, account, mapping, error);
}

bool account_alter(Conn *conn, const Account *account, bool locked, GError **error) {
        return account_target_locks(conn_flavor(conn)) ? alter_new(conn, account, locked, error) : write_row(conn, account, locked, error);
}

bool account_drop(Conn *conn, const char *user, const char *host, GError **error) {
        g_autofree char *name = account_name(user, host);
        g_autoptr(GError) local = NULL;
        if (conn_execf(conn, &local, "DROP USER %s", name) || g_error_matches(local, MYSQL_ERROR, 1396)) /* it is not there */
                return true;
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

bool accounts_lock(Conn *conn, const GPtrArray *names, bool locked, GError **error) {
        for (guint i = 0; i < names->len; i += LOCK_AT_ONCE) {
                g_autoptr(GString) sql = g_string_new("ALTER USER ");
                for (guint j = i; j < MIN(names->len, i + LOCK_AT_ONCE); j++)
                        g_string_append_printf(sql, "%s%s", j > i ? ", " : "", (const char *) names->pdata[j]);
                g_string_append(sql, locked ? " ACCOUNT LOCK" : " ACCOUNT UNLOCK");
                if (!conn_exec(conn, sql->str, (gssize) sql->len, NULL, error))
                        return false;
        }
        return true;
}

/* --- grants --- */

/* The privileges of GRANTS from FIRST on that are on its object, as GRANT and REVOKE take them; *RET_NEXT: the first that is not. */
static char *privilege_list(const GPtrArray *grants, guint first, bool revoke, bool *ret_option, guint *ret_next) {
        g_autoptr(GString) list = g_string_new(NULL);
        const AccountGrant *object = grants->pdata[first];
        const char *open = NULL; /* the privilege whose columns are being listed */
        guint i;
        *ret_option = false;
        for (i = first; i < grants->len && account_grant_same_object(grants->pdata[i], object); i++) {
                const AccountGrant *grant = grants->pdata[i];
                if (strcmp(grant->privilege, "GRANT OPTION") == 0 && (!revoke || grant->level == ACCOUNT_LEVEL_PROXY)) {
                        *ret_option = true;
                        continue;
                }
                if (*grant->column && open && strcmp(open, grant->privilege) == 0)
                        g_string_append(list, ", ");
                else
                        g_string_append_printf(list, "%s%s%s%s", open ? ")" : "", list->len ? ", " : "", grant->privilege, *grant->column ? " (" : "");
                open = *grant->column ? grant->privilege : NULL;
                if (open)
                        sql_append_identifier(list, grant->column);
        }
        if (open)
                g_string_append_c(list, ')');
        *ret_next = i;
        if (list->len == 0) /* the option alone */
                g_string_append(list, object->level == ACCOUNT_LEVEL_PROXY ? "PROXY" : "USAGE");
        return g_string_free(g_steal_pointer(&list), FALSE);
}

/* Of this object, and not of the server. */
static bool is_refusal(const Conn *conn, const GError *error) {
        return error->domain == MYSQL_ERROR && !conn_is_dead(conn) && !mysql_error_is_connection(error) && !mysql_error_is_retryable(error) &&
               !mysql_error_is_read_only(error);
}

static bool may_not(const GError *error) {
        return mysql_error_is_privilege(error) || error->code == 1045 || error->code == 1698;
}

static char *why_not(const GError *error) {
        switch (error->code) {
        case 1146: /* ER_NO_SUCH_TABLE */
        case 1054: /* ER_BAD_FIELD_ERROR */
        case 1305: /* ER_SP_DOES_NOT_EXIST */
        case 1356: /* ER_VIEW_INVALID */
                return g_strdup("it is not there");
        case 1141: /* ER_NONEXISTING_GRANT */
        case 1147: /* ER_NONEXISTING_TABLE_GRANT */
        case 1403: /* ER_NONEXISTING_PROC_GRANT */
                return NULL; /* what is to be taken away is gone */
        default:
                break;
        }
        if (may_not(error))
                return g_strdup("the agent's account may not grant it");
        return g_utf8_make_valid(error->message, -1);
}

void regrant_result_init(RegrantResult *result) {
        *result = (RegrantResult){.failed = g_ptr_array_new_with_free_func(g_free), .left = g_ptr_array_new()};
}

void regrant_result_clear(RegrantResult *result) {
        g_clear_pointer(&result->failed, g_ptr_array_unref);
        g_clear_pointer(&result->left, g_ptr_array_unref);
}

/* *ret_given: the server did it, or there is nothing to do. */
static bool run(Conn *conn, const char *sql, const AccountGrant *object, const char *list, RegrantResult *result, bool *ret_given, GError **error) {
        g_autoptr(GError) local = NULL;
        *ret_given = conn_exec(conn, sql, -1, NULL, &local);
        if (*ret_given)
                return true;
        if (!is_refusal(conn, local)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        g_autofree char *why = why_not(local), *name = account_grant_object(object);
        result->denied |= may_not(local);
        if (why)
                g_ptr_array_add(result->failed, g_strdup_printf("%s on %s (%s)", list, name, why));
        return true;
}

bool account_regrant(Conn *conn, const Account *account, const GPtrArray *revoke, const GPtrArray *grant, RegrantResult *ret, GError **error) {
        g_autofree char *name = account_name(account->user, account->host);
        bool option, given;
        for (guint i = 0, next; i < revoke->len; i = next) {
                const AccountGrant *object = revoke->pdata[i];
                g_autofree char *list = privilege_list(revoke, i, /* revoke= */ true, &option, &next), *on = account_grant_object(object);
                g_autofree char *sql = g_strdup_printf("REVOKE %s ON %s FROM %s", list, on, name);
                if (!run(conn, sql, object, list, ret, &given, error))
                        return false;
        }
        for (guint i = 0, next; i < grant->len; i = next) {
                const AccountGrant *object = grant->pdata[i];
                g_autofree char *list = privilege_list(grant, i, /* revoke= */ false, &option, &next), *on = account_grant_object(object);
                g_autofree char *sql = g_strdup_printf("GRANT %s ON %s TO %s%s", list, on, name, option ? " WITH GRANT OPTION" : "");
                if (!run(conn, sql, object, list, ret, &given, error))
                        return false;
                for (guint j = i; !given && j < next; j++)
                        g_ptr_array_add(ret->left, grant->pdata[j]);
        }
        return true;
}
