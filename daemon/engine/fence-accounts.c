/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fence=accounts, for servers where the agent may not set global variables: accounts that could write are locked, their sessions ended, and events
 * disabled one by one. Who is left out: the agent, the server's own accounts, administrators (SUPER; on MySQL 8 and later also SYSTEM_USER, whom
 * others may not alter), roles, and accounts that can only read, such as those of standbys and monitoring. Grants and passwords are not
 * touched, so that nothing of them can be lost, and what has a closed account for its definer goes on working.
 *
 * Closing:  1  what is to be closed is found out, by the tables of accounts
 *           2  and committed to polarshift.fence_T (fence-record.h): a crash anywhere behind that finds there what to open
 *           3  ALTER USER … ACCOUNT LOCK. MySQL 5.6 has no locks: its accounts get the prefix below before the name of their plugin, which nobody can
 *              log in by then; the row itself says what it was, its hash stays where it is
 *           4  once more from 1 until there is nothing left: somebody may make accounts meanwhile
 *           5  sessions of these accounts, which go on as they were, are killed and gone
 * Opening:  the reverse, then the rows are deleted. Every part finds out what is left to do. */

#include "engine/fence-internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "engine/account-make.h"
#include "engine/fence-record.h"
#include "engine/program-make.h"
#include "mysql/sql.h"

#define SHUT_USEC (3 * USEC_PER_SEC)
#define ROUNDS_MAX 10

/* --- who can write --- */

/* Privileges of the anonymous user on databases are everybody's, so are the mandatory roles of MySQL 8. */
static bool read_everybody(Conn *conn, bool *ret, GError **error) {
        guint64 count = 0;
        static const char ask[] = "SELECT COUNT(*) FROM mysql.db WHERE User='' AND 'Y' IN (Insert_priv, Update_priv, Delete_priv, Create_priv, Drop_priv, Grant_priv, "
                                  "Index_priv, Alter_priv, Create_view_priv, Create_routine_priv, Alter_routine_priv, Execute_priv, Event_priv, Trigger_priv)";
        if (!conn_query_uint64(conn, ask, &count, error))
                return false;
        *ret = count > 0;
        if (*ret || !flavor_has_dynamic_privileges(conn_flavor(conn)))
                return true;
        g_autofree char *roles = conn_query_string(conn, "SELECT @@global.mandatory_roles", error);
        *ret = roles && *roles;
        return roles != NULL;
}

typedef struct Reach {
        GPtrArray *accounts; /* of Account: all */
        char *own;
        bool everybody; /* can write, whatever is granted to him */
} Reach;

static void reach_clear(Reach *reach) {
        g_clear_pointer(&reach->accounts, g_ptr_array_unref);
        g_clear_pointer(&reach->own, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reach, reach_clear)

static bool read_reach(Conn *conn, Reach *ret, GError **error) {
        ret->accounts = accounts_read(conn, error);
        ret->own = ret->accounts ? accounts_own_user(conn, error) : NULL;
        if (!ret->own || !read_everybody(conn, &ret->everybody, error))
                return false;
        const Account *public = accounts_find(ret->accounts, "PUBLIC", "");
        ret->everybody |= public && account_may_write(public);
        return true;
}

static bool is_to_be_closed(const Reach *reach, const Account *account) {
        return !account_stays(account, reach->own) && !account_has(account, "SYSTEM_USER") && (reach->everybody || account_may_write(account));
}

/* --- what is to be closed --- */

static GPtrArray *items_new(void) {
        return g_ptr_array_new_with_free_func((GDestroyNotify) fence_item_free);
}

static bool add_events(Conn *conn, GPtrArray *items, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE STATUS='ENABLED'", error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));)
                if (row[0] && row[1])
                        g_ptr_array_add(items, fence_item_new(FENCE_ITEM_EVENT, row[0], row[1], NULL));
        return true;
}

/* → of FenceItem: accounts and events that are open and must not be. */
static GPtrArray *list_open(Conn *conn, GError **error) {
        g_auto(Reach) reach = {0};
        g_autoptr(GPtrArray) items = items_new();
        bool hashes = !account_target_locks(conn_flavor(conn));
        if (!read_reach(conn, &reach, error))
                return NULL;
        for (guint i = 0; i < reach.accounts->len; i++) {
                const Account *account = reach.accounts->pdata[i];
                if (!account->locked && is_to_be_closed(&reach, account))
                        g_ptr_array_add(items, fence_item_new(FENCE_ITEM_ACCOUNT, account->user, account->host, hashes ? account->secret : ""));
        }
        return add_events(conn, items, error) ? g_steal_pointer(&items) : NULL;
}

/* --- accounts --- */

static bool set_locks(Conn *conn, const GPtrArray *items, bool locked, GError **error) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                if (item->kind != FENCE_ITEM_ACCOUNT)
                        continue;
                if (account_target_locks(conn_flavor(conn)))
                        g_ptr_array_add(names, account_name(item->first, item->second));
                else if (!account_shut_row(conn, item->first, item->second, locked, item->secret, error))
                        return false;
                else
                        g_ptr_array_add(names, NULL);
        }
        if (names->len == 0)
                return true;
        return account_target_locks(conn_flavor(conn)) ? accounts_lock(conn, names, locked, error) : accounts_flush(conn, error);
}

/* --- events --- */

static bool switch_event(Conn *conn, const FenceItem *item, bool enabled, GError **error) {
        g_autofree char *database = sql_string(item->first), *name = sql_string(item->second);
        g_autoptr(ConnRows) rows = conn_queryf(conn, error, "SELECT DEFINER, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA=%s AND EVENT_NAME=%s", database, name);
        g_autoptr(Definition) definition = NULL;
        g_autofree char *why = NULL, *definer = NULL;
        ProgramSession session;
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row || !row[0] || (g_strcmp0(row[1], "ENABLED") == 0) == enabled) /* it is gone, or so already */
                return true;
        definer = g_strdup(row[0]);
        if (!program_read(conn, PROGRAM_EVENT, item->first, item->second, &definition, &why, error))
                return false;
        if (!definition)
                return true;
        if (!program_session_begin(&session, conn, error))
                return false;
        bool good = program_switch_event(&session, item->first, item->second, definer, definition, enabled, error);
        return program_session_end(&session, good ? error : NULL) && good;
}

static bool switch_events(Conn *conn, const GPtrArray *items, bool enabled, GError **error) {
        for (guint i = 0; i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                if (item->kind == FENCE_ITEM_EVENT && !switch_event(conn, item, enabled, error))
                        return false;
        }
        return true;
}

/* --- closing --- */

/* Until nothing is open. */
static bool close_all(const Ledger *ledger, Conn *conn, const FenceClosing *how, gint64 until, GError **error) {
        for (guint round = 0; round < ROUNDS_MAX; round++) {
                g_autoptr(GPtrArray) items = list_open(conn, error);
                if (!items)
                        return false;
                if (items->len == 0)
                        return true;
                g_ptr_array_add(items, fence_item_new(FENCE_ITEM_MARK, "", "", NULL));
                bool good = fence_record_add(ledger, conn, items, error);
                failpoint("accounts", "recorded", "after");
                /* Events first: while they are disabled, one after the other, people go on writing. */
                if (!good || !switch_events(conn, items, /* enabled= */ false, error) || !set_locks(conn, items, /* locked= */ true, error))
                        return false;
                if (how && fence_stopped(how, error))
                        return false;
                if (clock_monotonic() >= until)
                        break;
        }
        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "accounts on %s could not be closed in time: somebody opens or makes them all the while", conn_label(conn));
        return false;
}

static bool mark(const Ledger *ledger, Conn *conn, GError **error) {
        g_autoptr(GPtrArray) items = items_new();
        g_ptr_array_add(items, fence_item_new(FENCE_ITEM_MARK, "", "", NULL));
        return fence_record_add(ledger, conn, items, error);
}

/* --- sessions --- */

/* Sessions show their user's name alone. Ended are those of names that have an account which is closed, by us or since long ago; and of names that
 * have none any more: a session outlives its account, and one that has no name yet may have been let in before its account was locked. Who
 * logs in may also be taken for the anonymous user. */
typedef struct Names {
        GHashTable *closed, *spared;
        bool anonymous; /* one of those is closed */
        const FenceClosing *how; /* NULL: nobody else is ended */
} Names;

static void names_clear(Names *names) {
        g_clear_pointer(&names->closed, g_hash_table_unref);
        g_clear_pointer(&names->spared, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Names, names_clear)

static bool read_names(Conn *conn, const FenceClosing *how, Names *ret, GError **error) {
        g_auto(Reach) reach = {0};
        if (!read_reach(conn, &reach, error))
                return false;
        *ret = (Names){
                .closed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                .spared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                .how = how,
        };
        for (guint i = 0; i < reach.accounts->len; i++) {
                const Account *account = reach.accounts->pdata[i];
                bool closed = is_to_be_closed(&reach, account);
                g_hash_table_add(closed ? ret->closed : ret->spared, g_strdup(account->user));
                ret->anonymous |= closed && !*account->user;
        }
        return true;
}

static bool is_locked_out(const Names *names, const Session *session) {
        return !session->dump && (names->anonymous || g_hash_table_contains(names->closed, session->user) || !g_hash_table_contains(names->spared, session->user));
}

static bool would_end(const Session *session, gconstpointer data) {
        const Names *names = data;
        return is_locked_out(names, session) || (names->how && fence_would_end(session, names->how->kill_sessions));
}

static bool end_sessions(Conn *conn, const FenceClosing *how, gint64 until, unsigned *ret_killed, GError **error) {
        g_auto(Names) names = {0};
        return read_names(conn, how, &names, error) && fence_kill_sessions(conn, how ? how->look : NULL, would_end, &names, until, ret_killed, /* ret_back= */ NULL, error);
}

/* --- closing a side --- */

static bool prepare(const Fence *fence, Conn *conn, FenceKept *ret, GError **error) {
        g_autoptr(GPtrArray) items = list_open(conn, error);
        if (!items)
                return false;
        g_free(ret->closed);
        ret->closed = fence_record_to_text(items);
        return true;
}

static bool remember(const Fence *fence, Conn *conn, FenceKept *kept, GError **error) {
        g_autoptr(GPtrArray) items = NULL;
        if (!fence_record_load(fence->ledger, conn, &items, error))
                return false;
        if (items) {
                g_free(kept->closed);
                kept->closed = fence_record_to_text(items);
        }
        return true;
}

static bool close_side(const Fence *fence, Side side, Conn *conn, const FenceClosing *how, FenceKept *kept, unsigned *ret_killed, GError **error) {
        gint64 until = clock_monotonic() + how->timeout_usec;
        g_autoptr(GError) local = NULL;
        bool good = false;
        if (!conn_exec(conn, "SET SESSION lock_wait_timeout=1", -1, NULL, error) || !mark(fence->ledger, conn, error))
                return false;
        do {
                g_clear_error(&local);
                if (fence_stopped(how, error))
                        return false;
                good = close_all(fence->ledger, conn, how, until, &local);
        } while (!good && mysql_error_is_retryable(local) && clock_monotonic() < until);
        if (!good) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        return conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT", -1, NULL, error) && remember(fence, conn, kept, error) &&
               fence_no_prepared_xa(conn, error) && end_sessions(conn, how, until, ret_killed, error) && fence_no_prepared_xa(conn, error);
}

/* Sessions, too, when nothing was left to lock: they may have outlived a crash of the agent between the locks and their end. */
static bool shut(const Fence *fence, Side side, Conn *conn, GError **error) {
        unsigned killed = 0;
        gint64 until = clock_monotonic() + SHUT_USEC;
        return mark(fence->ledger, conn, error) && close_all(fence->ledger, conn, NULL, until, error) && end_sessions(conn, NULL, until, &killed, error);
}

bool fence_accounts_cover(const Ledger *ledger, Conn *conn, const char *user, const char *host, GError **error) {
        g_autoptr(GPtrArray) items = items_new();
        unsigned killed = 0;
        g_autoptr(GPtrArray) accounts = accounts_read(conn, error);
        const Account *account = accounts ? accounts_find(accounts, user, host) : NULL;
        if (!account || account->locked)
                return accounts != NULL;
        g_ptr_array_add(items, fence_item_new(FENCE_ITEM_ACCOUNT, user, host, account_target_locks(conn_flavor(conn)) ? "" : account->secret));
        return fence_record_add(ledger, conn, items, error) && set_locks(conn, items, /* locked= */ true, error) &&
               end_sessions(conn, NULL, clock_monotonic() + SHUT_USEC, &killed, error);
}

/* --- opening --- */

static bool open_side(const Fence *fence, Side side, Conn *conn, const FenceOpening *how, GError **error) {
        g_autoptr(GPtrArray) items = NULL, open = g_ptr_array_new();
        if (!fence_record_load(fence->ledger, conn, &items, error))
                return false;
        if (!items)
                items = fence_record_from_text(how->kept ? how->kept->closed : NULL);
        g_autoptr(GPtrArray) accounts = items->len > 0 ? accounts_read(conn, error) : NULL;
        if (items->len > 0 && !accounts)
                return false;
        for (guint i = 0; i < items->len; i++) {
                FenceItem *item = items->pdata[i];
                const Account *account = item->kind == FENCE_ITEM_ACCOUNT ? accounts_find(accounts, item->first, item->second) : NULL;
                bool wanted = item->kind == FENCE_ITEM_ACCOUNT ? account && account->locked : item->kind == FENCE_ITEM_EVENT;
                if (wanted && (!how->elsewhere || !how->elsewhere(how->userdata, item->kind == FENCE_ITEM_EVENT, item->first, item->second)))
                        g_ptr_array_add(open, item);
        }
        if (!set_locks(conn, open, /* locked= */ false, error) || !switch_events(conn, open, /* enabled= */ true, error))
                return false;
        failpoint("accounts", "opened", "after");
        return fence_record_clear(fence->ledger, conn, error);
}

/* --- looking --- */

static bool is_closed(const Fence *fence, Conn *conn, bool *ret, GError **error) {
        g_autoptr(GPtrArray) items = NULL, open = NULL;
        if (!fence_record_load(fence->ledger, conn, &items, error))
                return false;
        *ret = fence_record_find(items, FENCE_ITEM_MARK, "", "") != NULL;
        if (!*ret)
                return true;
        open = list_open(conn, error);
        *ret = open && open->len == 0;
        return open != NULL;
}

/* Says of each whether its account is to be closed. */
static bool look(const Fence *fence, Conn *conn, GPtrArray *sessions, GError **error) {
        g_auto(Names) names = {0};
        if (!read_names(conn, NULL, &names, error))
                return false;
        for (guint i = 0; i < sessions->len; i++) {
                Session *session = sessions->pdata[i];
                session->locked_out = is_locked_out(&names, session);
        }
        return true;
}

GHashTable *fence_accounts_closed(const Ledger *ledger, Conn *conn, GError **error) {
        g_autoptr(GPtrArray) items = NULL;
        GHashTable *closed = NULL;
        if (!fence_record_load(ledger, conn, &items, error))
                return NULL;
        closed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; items && i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                if (item->kind == FENCE_ITEM_ACCOUNT)
                        g_hash_table_add(closed, account_name(item->first, item->second));
        }
        return closed;
}

/* --- by hand --- */

char *fence_accounts_sql(const char *closed, const Flavor *flavor) {
        g_autoptr(GPtrArray) items = fence_record_from_text(closed);
        g_autoptr(GString) sql = g_string_new(NULL), rows = g_string_new(NULL);
        for (guint i = 0; i < items->len; i++) {
                const FenceItem *item = items->pdata[i];
                g_autofree char *first = sql_string(item->first), *second = sql_string(item->second);
                if (item->kind != FENCE_ITEM_ACCOUNT)
                        continue;
                if (account_target_locks(flavor))
                        g_string_append_printf(sql, "%sALTER USER %s@%s ACCOUNT UNLOCK;", sql->len ? " " : "", first, second);
                else
                        g_string_append_printf(rows, "%s(User=%s AND Host=%s)", rows->len ? " OR " : "", first, second);
        }
        if (rows->len > 0)
                g_string_append_printf(sql, "UPDATE mysql.user SET plugin=IF(plugin='" ACCOUNT_SHUT "', NULL, SUBSTRING(plugin, %u)) WHERE plugin LIKE '" ACCOUNT_SHUT
                                            "%%' AND (%s); FLUSH PRIVILEGES;", (unsigned) strlen(ACCOUNT_SHUT ":") + 1, rows->str);
        return sql->len ? g_utf8_make_valid(sql->str, (gssize) sql->len) : NULL;
}

/* Accounts that somebody else has locked are not ours to open, and are not recorded: nothing is found closed. */
const FenceOps fence_accounts_ops = {
        .of_accounts = true,
        .prepare = prepare,
        .close = close_side,
        .open = open_side,
        .shut = shut,
        .is_closed = is_closed,
        .remember = remember,
        .look = look,
};
