/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accounts and grants of a migration. They follow the side that takes writes, together with views, routines, triggers and events (engine-programs.c
 * says when): accounts come first, since those have definers, and once more behind them, for grants on routines. What was made on the other side is
 * closed there until step 7 of a switch (flip) opens it; the way back closes it again in step 10 (release). */

#include "engine/engine-private.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "engine/account-login.h"
#include "engine/account-sync.h"
#include "engine/control.h"

#define LOGINS_USEC (15 * USEC_PER_SEC) /* all logins of a side; each is bounded, too */

/* Texts of events carry no name: everybody may read them. */
static void on_refused(gpointer userdata, const AccountEntry *entry, Side side) {
        (void) entry;
        engine_event(userdata, ENGINE_EVENT_NOT_CARRIED, 4, "not carried to the %s (account): the report says which and why", side_to_string(side));
}

static bool load(Engine *engine, GError **error) {
        if (!engine->accounts)
                engine->accounts = pair_store_load(&account_kind, engine->directory, error);
        return engine->accounts != NULL;
}

bool engine_accounts_map(Engine *engine, AccountMap **ret, GError **error) {
        g_autoptr(GError) local = NULL;
        g_autofree char *name = g_strdup_printf("%s.accounts", engine->spec->name);
        char *text = engine->config.read_credential(name, engine->config.userdata, &local);
        *ret = NULL;
        if (local) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (!text)
                return true;
        *ret = account_map_parse(text, error);
        account_set(&text, NULL);
        if (!*ret)
                g_prefix_error(error, "credential '%s': ", name);
        return *ret != NULL;
}

static bool begin(Engine *engine, Side wanted, bool both, AccountSync *ret, GError **error) {
        if (!load(engine, error))
                return false;
        *ret = (AccountSync){
                .directory = engine->directory,
                .store = engine->accounts,
                .up = engine->state->writer,
                .partial = !spec_is_whole_instance(engine->spec),
                .on_refused = on_refused,
                .userdata = engine,
        };
        return control_acquire_sides(engine, wanted, both, ret->conns, error);
}

/* Whatever happened, what the store says in memory must be what the file says. */
static bool end(Engine *engine, bool good, GError **error) {
        if (good)
                return true;
        engine_name_link_error(engine, error);
        g_clear_pointer(&engine->accounts, pair_store_free);
        return false;
}

static bool cover(gpointer userdata, const char *user, const char *host, GError **error) {
        Engine *engine = userdata;
        return fence_cover_account(&engine->fence, engine->control[engine_reader(engine)], user, host, error);
}

bool engine_accounts_carry(Engine *engine, GError **error) {
        AccountSync sync;
        g_autoptr(AccountMap) map = NULL;
        g_autoptr(GHashTable) fenced = NULL;
        if (!engine_accounts_map(engine, &map, error) || !begin(engine, engine->state->writer, /* both= */ true, &sync, error))
                return end(engine, false, error);
        if (fence_is_of_accounts(&engine->fence) && !(fenced = fence_closed_accounts(&engine->fence, sync.conns[engine_reader(engine)], error)))
                return end(engine, false, error);
        sync.map = map;
        sync.fenced = fenced;
        sync.cover = cover;
        return end(engine, accounts_sync(&sync, error), error);
}

bool engine_account_stays_closed(Engine *engine, Side side, const char *user, const char *host) {
        const AccountEntry *entry = engine->accounts ? account_store_find(engine->accounts, user, host) : NULL;
        return entry && !entry->stays && entry->sides[side] && (entry->sides[side]->locked || entry->pending[side]);
}

bool engine_accounts_complete(Engine *engine, Side side, GError **error) {
        if (!load(engine, error))
                return false;
        guint count = 0;
        g_autofree char *first = pair_store_refused(engine->accounts, side, &count);
        if (!first || engine->spec->unfit == UNFIT_SKIP)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "%u %s cannot be carried to the %s (the report lists them and says what to do); or use unfit=skip", count, count == 1 ? "account" : "accounts",
                    side_to_string(side));
        return false;
}

bool engine_accounts_disarm(Engine *engine, Side side, GError **error) {
        AccountSync sync;
        return end(engine, begin(engine, side, /* both= */ false, &sync, error) && accounts_disarm(&sync, side, error), error);
}

bool engine_accounts_arm(Engine *engine, Side side, GError **error) {
        AccountSync sync;
        guint count = 0;
        if (!end(engine, begin(engine, side, /* both= */ false, &sync, error) && accounts_arm(&sync, side, &count, error), error))
                return false;
        if (count > 0)
                engine_event(engine, ENGINE_EVENT_OPERATION_STEP, 6, "%u accounts opened on the %s", count, side_to_string(side));
        return true;
}

static bool must_stop(gpointer userdata) {
        return engine_stopping(userdata) || engine_superseded(userdata);
}

/* Whatever comes of it: the side takes writes. */
void engine_accounts_log_in(Engine *engine, Side side, guint64 operation) {
        AccountSync sync;
        AccountLogins logins = {.side = side, .operation = operation, .stopping = must_stop, .userdata = engine};
        g_autoptr(AccountMap) map = NULL;
        g_autoptr(GError) error = NULL;
        if (!spec_is_whole_instance(engine->spec))
                return;
        bool good = engine_accounts_map(engine, &map, &error) && begin(engine, side, /* both= */ false, &sync, &error);
        if (good) {
                logins.store = sync.store;
                logins.directory = sync.directory;
                logins.map = map;
                logins.conn = sync.conns[side];
                logins.params = engine->params[side];
                logins.until = clock_monotonic() + LOGINS_USEC;
                good = accounts_log_in(&logins, &error);
        }
        if (!end(engine, good, &error)) {
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "it could not be tried whether accounts can log in on the %s: %s", side_to_string(side), error->message);
                return;
        }
        const guint *count = logins.count;
        if (count[ACCOUNT_LOGIN_FAILED] > 0)
                engine_event(engine, ENGINE_EVENT_LOGIN_FAILED, 4, "%u accounts could not log in on the %s, %u could: the report says which and why", count[ACCOUNT_LOGIN_FAILED],
                             side_to_string(side), count[ACCOUNT_LOGIN_DONE]);
        else if (count[ACCOUNT_LOGIN_DONE] > 0)
                engine_event(engine, ENGINE_EVENT_OPERATION_STEP, 6, "%u accounts logged in on the %s, %u were not tried", count[ACCOUNT_LOGIN_DONE], side_to_string(side),
                             count[ACCOUNT_LOGIN_NOT_TRIED]);
}

void engine_accounts_undo(Engine *engine) {
        AccountSync sync;
        g_autoptr(GError) error = NULL;
        (void) end(engine, begin(engine, SIDE_DESTINATION, /* both= */ false, &sync, &error) && accounts_drop_all(&sync, SIDE_DESTINATION, &error), &error);
}
