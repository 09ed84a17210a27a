/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See account-sync.h. The story: both sides are read; for each account of up it is found what it would be on down (account_translate()), and what is
 * to be done: nothing, make it, bring it in line, or leave it because it is somebody else's. That is saved, then it is done, one account after the
 * other; then down is read again, and what the server did not take is named. */

#include "engine/account-sync.h"

#include <string.h>

#include "base/error.h"
#include "engine/account-make.h"

typedef struct Round {
        AccountSync *sync;
        Side down;
        GPtrArray *above, *below; /* of Account */
        char *own[_SIDE_MAX];     /* the agent's user on each side */
        AccountTarget target;
        GPtrArray *carried; /* of Carried */
} Round;

typedef struct Carried {
        AccountEntry *entry;
        const AccountMapping *mapping;
        Account *wanted; /* as it is on down once that takes writes */
        GPtrArray *notes;
        bool denied; /* the agent may not grant all of it */
} Carried;

static void carried_free(gpointer data) {
        Carried *carried = data;
        account_free(carried->wanted);
        g_ptr_array_unref(carried->notes);
        g_free(carried);
}

static void round_clear(Round *round) {
        g_clear_pointer(&round->above, g_ptr_array_unref);
        g_clear_pointer(&round->below, g_ptr_array_unref);
        g_clear_pointer(&round->carried, g_ptr_array_unref);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                g_clear_pointer(&round->own[side], g_free);
        account_target_clear(&round->target);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Round, round_clear)

static bool read_sides(Round *round, GError **error) {
        AccountSync *sync = round->sync;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                round->own[side] = accounts_own_user(sync->conns[side], error);
                if (!round->own[side])
                        return false;
        }
        round->above = accounts_read(sync->conns[sync->up], error);
        round->below = round->above ? accounts_read(sync->conns[round->down], error) : NULL;
        return round->below && account_target_read(sync->conns[round->down], &round->target, error);
}

static void set(char **member, char *value) {
        g_free(*member);
        *member = value;
}

static void keep(Account **member, const Account *account) {
        Account *copy = account_copy(account);
        account_free(*member);
        *member = copy;
}

static void refuse(Round *round, AccountEntry *entry, char *why, char *sql) {
        Side down = round->down;
        bool news = g_strcmp0(entry->refused[down], why) != 0;
        set(&entry->refused[down], why);
        set(&entry->sql[down], sql);
        if (news)
                round->sync->on_refused(round->sync->userdata, entry, down);
}

/* --- what is to be done --- */

static bool is_fenced(const AccountSync *sync, const AccountEntry *entry) {
        g_autofree char *name = account_name(entry->user, entry->host);
        return sync->fenced && g_hash_table_contains(sync->fenced, name);
}

/* What DOWN shows of it when it is as we left it; FENCED: and as the fence did. */
static Account *closed_form(const Flavor *flavor, const AccountEntry *entry, Side side, const Account *open, bool fenced) {
        Account *closed = account_copy(open);
        if (fenced) {
                closed->locked = true;
                return closed;
        }
        if (!entry->ours[side])
                return closed;
        if (account_target_locks(flavor))
                closed->locked = true;
        else {
                account_set(&closed->plugin, ACCOUNT_NATIVE);
                account_set(&closed->secret, ACCOUNT_IMPOSSIBLE);
        }
        return closed;
}

static void join(char **member, const GPtrArray *notes) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (guint i = 0; i < notes->len; i++)
                g_string_append_printf(text, "%s%s", text->len ? "; " : "", (const char *) notes->pdata[i]);
        set(member, text->len ? g_utf8_make_valid(text->str, -1) : NULL);
}

/* It is there and was not made by us. true: it is what is wanted, or will be made so. */
static bool look_at_stranger(Round *round, AccountEntry *entry, const Account *now, const Account *wanted, const Account *there, bool no_password) {
        unsigned difference = account_compare(wanted, there);
        const Account *before = entry->sides[round->sync->up];
        if (is_fenced(round->sync, entry))
                difference &= ~(unsigned) ACCOUNT_DIFFERS_LOCKED;
        if (no_password)
                difference &= ~(unsigned) ACCOUNT_DIFFERS_PASSWORD; /* its own way of logging in, which somebody gave it */
        if (difference == 0)
                return true;
        /* It was alike, and is changed like the other one. */
        if (before && !entry->refused[round->down] && account_compare(before, now) != 0)
                return true;
        g_autofree char *what = account_difference_text(difference), *name = account_name(entry->user, entry->host);
        refuse(round, entry, g_strdup_printf("an account of this name is there, and differs: %s", what),
               g_strdup_printf("DROP USER %s; and it is carried, or make it like the other one", name));
        return false;
}

/* One that only has to log in somehow there keeps what it has; what somebody gave it in the meantime is what it was waiting for. */
static void take_new_password(Round *round, AccountEntry *entry, Account *wanted, const Account *there) {
        Side down = round->down;
        const Account *left = entry->sides[down];
        bool locks = account_target_locks(round->target.flavor), shut = !locks && strcmp(there->secret, ACCOUNT_IMPOSSIBLE) == 0;
        bool changed = left && *left->secret && strcmp(left->secret, there->secret) != 0;
        if ((locks && (!there->locked || is_fenced(round->sync, entry))) || (changed && !shut))
                entry->pending[down] = false;
        const Account *what = shut && left && *left->secret ? left : there;
        account_set(&wanted->plugin, what->plugin);
        account_set(&wanted->secret, what->secret);
}

/* What down has and up never had: it may not exist on up, or have no name there. The way back must not take it away. */
static void keep_own_grants(Round *round, const AccountEntry *entry, Account *wanted) {
        const Account *before = entry->sides[round->sync->up], *left = entry->sides[round->down];
        g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
        if (!before || !left)
                return;
        g_autoptr(Account) same = account_translate(before, conn_flavor(round->sync->conns[round->sync->up]), &round->target, notes);
        g_autoptr(GPtrArray) own = account_grants_without(left, same);
        for (guint i = 0; i < own->len; i++) {
                const AccountGrant *grant = own->pdata[i];
                account_add_grant(wanted, grant->level, grant->database, grant->name, grant->column, grant->privilege);
        }
        account_sort(wanted);
}

static void look_at(Round *round, Account *account) {
        AccountSync *sync = round->sync;
        Side down = round->down;
        AccountEntry *entry = account_store_find(sync->store, account->user, account->host);
        const char *stays = account_stays(account, round->own[sync->up]);
        if (!stays && strcmp(account->user, round->own[down]) == 0)
                stays = "the agent's own account on the other side has this name";
        if (!entry)
                entry = account_store_add(sync->store, account->user, account->host);
        if (sync->partial)
                stays = "accounts are not carried when only some tables are";
        if (entry->there_before && sync->up == SIDE_DESTINATION)
                return;
        set(&entry->stays, g_strdup(stays));
        if (stays) {
                set(&entry->refused[down], NULL);
                return;
        }
        const AccountMapping *mapping = account_map_find(sync->map, account->user, account->host);
        if (mapping && mapping->kind == ACCOUNT_MAPPING_LEAVE && !entry->ours[down]) {
                set(&entry->stays, g_strdup("the list of accounts says so"));
                return;
        }
        if (!account->locked)
                entry->pending[sync->up] = false;
        if (entry->pending[sync->up]) /* it is our lock */
                account->locked = entry->sides[sync->up] && entry->sides[sync->up]->locked;
        g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Account) wanted = account_translate(account, conn_flavor(sync->conns[sync->up]), &round->target, notes);
        const Account *there = accounts_find(round->below, account->user, account->host);
        bool no_password = !*wanted->plugin;
        keep_own_grants(round, entry, wanted);
        if (there && !entry->ours[down] && !look_at_stranger(round, entry, account, wanted, there, no_password)) {
                keep(&entry->sides[sync->up], account);
                return;
        }
        if (there && no_password)
                take_new_password(round, entry, wanted, there);
        if (!there) {
                entry->ours[down] = true;
                entry->pending[down] = no_password && !mapping;
        }
        entry->there_before = false;
        Carried *carried = g_new0(Carried, 1);
        *carried = (Carried){.entry = entry, .mapping = mapping, .wanted = g_steal_pointer(&wanted), .notes = g_steal_pointer(&notes)};
        g_ptr_array_add(round->carried, carried);
        keep(&entry->sides[sync->up], account);
        keep(&entry->sides[down], carried->wanted);
}

/* What was there before us is never carried back. */
static void remember_strangers(Round *round) {
        for (guint i = 0; i < round->below->len; i++) {
                const Account *account = round->below->pdata[i];
                if (accounts_find(round->above, account->user, account->host) || account_store_find(round->sync->store, account->user, account->host))
                        continue;
                AccountEntry *entry = account_store_add(round->sync->store, account->user, account->host);
                const char *stays = account_stays(account, round->own[round->down]);
                entry->stays = g_strdup(stays ? stays : "it was on the destination before the migration");
                entry->there_before = true;
        }
}

/* --- doing it --- */

static bool save(Round *round, GError **error) {
        return pair_store_save(round->sync->store, round->sync->directory, error);
}

/* An account that is gone above goes below, too, if it was carried: one that above never had is not gone. */
static bool drop_gone(Round *round, GError **error) {
        AccountSync *sync = round->sync;
        for (guint i = sync->store->entries->len; i-- > 0;) {
                AccountEntry *entry = sync->store->entries->pdata[i];
                if (accounts_find(round->above, entry->user, entry->host))
                        continue;
                if (entry->stays || entry->refused[sync->up]) {
                        if (!accounts_find(round->below, entry->user, entry->host))
                                pair_store_remove(sync->store, entry);
                        continue;
                }
                if (!entry->refused[round->down] && !account_drop(sync->conns[round->down], entry->user, entry->host, error))
                        return false;
                pair_store_remove(sync->store, entry);
        }
        return true;
}

/* What a change of PROXY takes away with the privilege is given back. */
static void add_proxies(const Account *closed, const GPtrArray *less, GPtrArray *more) {
        for (guint i = 0; i < less->len; i++) {
                const AccountGrant *gone = less->pdata[i];
                for (guint j = 0; gone->level == ACCOUNT_LEVEL_PROXY && j < closed->grants->len; j++)
                        if (account_grant_same_object(closed->grants->pdata[j], gone) && !g_ptr_array_find(more, closed->grants->pdata[j], NULL))
                                g_ptr_array_add(more, closed->grants->pdata[j]);
        }
}

/* What was open, because it could not write or was locked by its owner, must not become able to. */
static bool cover(Round *round, const AccountEntry *entry, const Account *wanted, const Account *there, GError **error) {
        AccountSync *sync = round->sync;
        if (!sync->fenced || !there || entry->ours[round->down] || wanted->locked || !account_may_write(wanted) || is_fenced(sync, entry))
                return true;
        if (!sync->cover(sync->userdata, entry->user, entry->host, error))
                return false;
        g_hash_table_add(sync->fenced, account_name(entry->user, entry->host));
        return true;
}

static bool bring_in_line(Round *round, Carried *carried, GError **error) {
        Side down = round->down;
        Conn *conn = round->sync->conns[down];
        AccountEntry *entry = carried->entry;
        const Account *there = accounts_find(round->below, entry->user, entry->host);
        g_auto(RegrantResult) result;
        regrant_result_init(&result);
        if (there && entry->pending[down] && carried->mapping) { /* the list of accounts says how it is to log in, by now */
                if (!account_drop(conn, entry->user, entry->host, error))
                        return false;
                account_set(&carried->wanted->plugin, "");
                there = NULL;
        }
        if (!cover(round, entry, carried->wanted, there, error))
                return false;
        g_autoptr(Account) closed = closed_form(conn_flavor(conn), entry, down, carried->wanted, is_fenced(round->sync, entry));
        unsigned difference = there ? account_compare(closed, there) : 0;
        if (!there && !account_create(conn, closed, carried->mapping, closed->locked, error))
                return false;
        if (there && (difference & ~(unsigned) ACCOUNT_DIFFERS_GRANTS) &&
            (!account_alter(conn, closed, closed->locked, error) || !accounts_flush(conn, error)))
                return false;
        g_autoptr(GPtrArray) more = account_grants_without(closed, there), less = g_ptr_array_new();
        if (there) {
                g_ptr_array_unref(less);
                less = account_grants_without(there, closed);
        }
        add_proxies(closed, less, more);
        if (!account_regrant(conn, closed, less, more, &result, error))
                return false;
        account_remove_grants(carried->wanted, result.left);
        if (!there && carried->mapping)
                entry->pending[down] = false;
        for (guint i = 0; i < result.failed->len; i++)
                g_ptr_array_add(carried->notes, g_strdup_printf("without %s", (const char *) result.failed->pdata[i]));
        carried->denied = result.denied;
        return true;
}

static char *refusal(const GError *error) {
        switch (error->code) {
        case 1470: /* ER_WRONG_STRING_LENGTH */
                return g_strdup("its name is too long for that server");
        case 1227: /* ER_SPECIFIC_ACCESS_DENIED_ERROR */
        case 1044:
        case 1142:
                return g_strdup("the agent's account may not make accounts there (CREATE USER; the check names what it lacks)");
        case 1819: /* ER_NOT_VALID_PASSWORD */
                return g_strdup("that server's rules for passwords refuse the new password");
        default:
                return g_utf8_make_valid(error->message, -1);
        }
}

static bool make(Round *round, GError **error) {
        Conn *conn = round->sync->conns[round->down];
        for (guint i = 0; i < round->carried->len; i++) {
                Carried *carried = round->carried->pdata[i];
                AccountEntry *entry = carried->entry;
                g_autoptr(GError) local = NULL;
                bool good = bring_in_line(round, carried, &local);
                if (!good && (local->domain != MYSQL_ERROR || conn_is_dead(conn) || mysql_error_is_connection(local) || mysql_error_is_retryable(local))) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                if (!good || carried->denied) {
                        g_autofree char *name = account_name(entry->user, entry->host);
                        keep(&entry->sides[round->down], carried->wanted);
                        join(&entry->note[round->down], carried->notes);
                        refuse(round, entry, good ? g_strdup("the agent's account may not grant all that it has (the check names what it lacks)") : refusal(local), g_strdup_printf("make %s there by hand, with the grants that SHOW GRANTS FOR %s lists", name, name));
                        continue;
                }
                for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                        set(&entry->refused[side], NULL);
                set(&entry->sql[round->down], entry->pending[round->down] ? account_password_statement(conn_flavor(conn), entry->user, entry->host) : NULL);
                if (entry->pending[round->down])
                        g_ptr_array_add(carried->notes, g_strdup("that server cannot check its password: it is there, locked, and needs a new one"));
                keep(&entry->sides[round->down], carried->wanted);
                join(&entry->note[round->down], carried->notes);
        }
        return true;
}

bool accounts_sync(AccountSync *sync, GError **error) {
        g_auto(Round) round = {
                .sync = sync,
                .down = side_other(sync->up),
                .carried = g_ptr_array_new_with_free_func(carried_free),
        };
        if (!read_sides(&round, error))
                return false;
        if (sync->store->entries->len == 0)
                remember_strangers(&round);
        for (guint i = 0; i < round.above->len; i++)
                look_at(&round, round.above->pdata[i]);
        /* Intended; a crash finds them as ours. */
        if (!save(&round, error) || !drop_gone(&round, error))
                return false;
        bool good = make(&round, error);
        return save(&round, good ? error : NULL) && good;
}

/* --- closed and open --- */

static bool each_of_ours(AccountSync *sync, Side side, bool closing, guint *ret_count, GError **error) {
        Conn *conn = sync->conns[side];
        const Flavor *flavor = conn_flavor(conn);
        bool written = false;
        g_autoptr(GPtrArray) there = NULL, names = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; i < sync->store->entries->len; i++) {
                AccountEntry *entry = sync->store->entries->pdata[i];
                if (!entry->ours[side] || !entry->sides[side] || entry->stays)
                        continue;
                if (!there && !(there = accounts_read(conn, error)))
                        return false;
                const Account *now = accounts_find(there, entry->user, entry->host);
                if (!now)
                        continue;
                (*ret_count)++;
                if (account_target_locks(flavor)) {
                        bool locked = closing || entry->sides[side]->locked || entry->pending[side];
                        if (now->locked != locked)
                                g_ptr_array_add(names, account_name(entry->user, entry->host));
                        continue;
                }
                if (closing && now->locked) /* by the fence */
                        continue;
                g_autoptr(Account) form = closing ? closed_form(flavor, entry, side, entry->sides[side], /* fenced= */ false) : account_copy(entry->sides[side]);
                if (!(account_compare(form, now) & ACCOUNT_DIFFERS_PASSWORD))
                        continue;
                if (!account_alter(conn, form, now->locked, error)) /* the fence, which may have closed it meanwhile, opens it behind this */
                        return false;
                written = true;
        }
        if (written && !accounts_flush(conn, error))
                return false;
        return accounts_lock(conn, names, closing, error);
}

bool accounts_disarm(AccountSync *sync, Side side, GError **error) {
        guint count = 0;
        return each_of_ours(sync, side, /* closing= */ true, &count, error);
}

bool accounts_arm(AccountSync *sync, Side side, guint *ret_count, GError **error) {
        *ret_count = 0;
        return each_of_ours(sync, side, /* closing= */ false, ret_count, error);
}

bool accounts_drop_all(AccountSync *sync, Side side, GError **error) {
        for (guint i = sync->store->entries->len; i-- > 0;) {
                AccountEntry *entry = sync->store->entries->pdata[i];
                if (entry->ours[side] && !account_drop(sync->conns[side], entry->user, entry->host, error))
                        return false;
                pair_store_remove(sync->store, entry);
        }
        return pair_store_save(sync->store, sync->directory, error);
}
