/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The triggers of the side that is to take writes; see program-sync.h. Applications wait for them, and what each costs is a wait for the server's
 * disk, so several connections make them at once (48 on MariaDB: 1.6 s by one, 0.3 s by eight [M]); those of one table one after the other, in
 * their order. The first is the one with the lock on the migration. The others hold locks of their own for as long as they may make one: a statement
 * outlives the agent that sent it, and a trigger that comes up later would fire on what is applied. */

#include "engine/program-sync.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "engine/program-make.h"
#include "mysql/sql.h"

#define HELPERS (PROGRAM_MAKERS - 1)
#define JOIN_TIMEOUT 2 /* s: people wait */
#define LOOK_USEC (100 * USEC_PER_MSEC)
#define END_USEC (10 * USEC_PER_SEC)

typedef struct Helper {
        struct Arming *arming;
        unsigned number;
        Conn *conn; /* under the lock */
        Thread *thread;
} Helper;

typedef struct Arming {
        const ProgramSync *sync;
        Side side;
        GPtrArray *tables; /* of GPtrArray of ProgramEntry (not owned): the triggers of one, in the order in which they are made */
        gint next;         /* of tables */
        gint stop;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned running;  /* helpers */
        GError *error;     /* the first one */
        Helper helpers[HELPERS];
} Arming;

/* --- making --- */

static bool trigger_is_there(Conn *conn, const ProgramEntry *entry, bool *ret, GError **error) {
        g_autofree char *database = sql_string(entry->database), *name = sql_string(entry->name);
        g_autofree char *ask = g_strdup_printf("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA=%s AND TRIGGER_NAME=%s", database, name);
        guint64 count = 0;
        if (!conn_query_uint64(conn, ask, &count, error))
                return false;
        *ret = count > 0;
        return true;
}

static bool make_trigger(Side side, ProgramSession *session, const ProgramEntry *entry, GError **error) {
        g_autoptr(GError) local = NULL;
        bool there = false;
        if (program_make(session, PROGRAM_TRIGGER, entry->database, entry->sides[side], /* replace= */ false, NULL, &local))
                return true;
        /* An earlier try got that far. */
        if (program_error_is_refusal(session->conn, local)) {
                if (!trigger_is_there(session->conn, entry, &there, error))
                        return false;
                if (there)
                        return true;
        }
        g_autofree char *name = program_entry_name(entry);
        g_propagate_prefixed_error(error, g_steal_pointer(&local), "cannot make %s: ", name);
        return false;
}

/* One table after the other, for as long as there are any that nobody has taken. */
static bool make_tables(Arming *arming, Conn *conn, GError **error) {
        ProgramSession session;
        bool good = program_session_begin(&session, conn, error);
        while (good && !g_atomic_int_get(&arming->stop)) {
                guint n = (guint) g_atomic_int_add(&arming->next, 1);
                if (n >= arming->tables->len)
                        break;
                const GPtrArray *triggers = arming->tables->pdata[n];
                for (guint i = 0; good && i < triggers->len; i++)
                        good = make_trigger(arming->side, &session, triggers->pdata[i], error);
        }
        return program_session_end(&session, good ? error : NULL) && good;
}

/* --- those who help --- */

static char *lock_name(const ProgramSync *sync, unsigned number) {
        return g_strdup_printf("'polarshift.%s.trigger%u'", sync->task, number);
}

/* Who cannot connect leaves the work to the others. */
static Conn *join_in(Helper *helper) {
        const ProgramSync *sync = helper->arming->sync;
        ConnParams params = *sync->params[helper->arming->side];
        params.connect_timeout = JOIN_TIMEOUT;
        g_autoptr(Conn) conn = conn_open(&params, 0, NULL);
        g_autofree char *name = lock_name(sync, helper->number), *sql = g_strdup_printf("SELECT COALESCE(GET_LOCK(%s, 0), 0)", name);
        guint64 got = 0;
        return conn && conn_query_uint64(conn, sql, &got, NULL) && got == 1 ? g_steal_pointer(&conn) : NULL;
}

static void help(gpointer data) {
        Helper *helper = data;
        Arming *arming = helper->arming;
        g_autoptr(GError) error = NULL;
        Conn *conn = join_in(helper);
        pthread_mutex_lock(&arming->lock);
        helper->conn = conn;
        pthread_mutex_unlock(&arming->lock);
        if (conn && !make_tables(arming, conn, &error))
                g_atomic_int_set(&arming->stop, 1);
        pthread_mutex_lock(&arming->lock);
        if (error && !arming->error)
                arming->error = g_steal_pointer(&error);
        arming->running--;
        pthread_cond_broadcast(&arming->changed);
        pthread_mutex_unlock(&arming->lock);
}

static void start_helpers(Arming *arming) {
        arming->running = MIN(HELPERS, arming->tables->len - 1);
        unsigned count = arming->running;
        for (unsigned i = 0; i < count; i++) {
                Helper *helper = &arming->helpers[i];
                *helper = (Helper){.arming = arming, .number = i};
                helper->thread = thread_start("trigger", help, helper);
        }
}

/* They end after the trigger that each is at; not waited for when the agent stops, nor when the connection of the others was given up. */
static void end_helpers(Arming *arming) {
        const ProgramSync *sync = arming->sync;
        pthread_mutex_lock(&arming->lock);
        while (arming->running > 0) {
                struct timespec until = clock_deadline(LOOK_USEC);
                (void) pthread_cond_timedwait(&arming->changed, &arming->lock, &until);
                if (!sync->stopping(sync->userdata) && !conn_is_dead(sync->conns[arming->side]))
                        continue;
                g_atomic_int_set(&arming->stop, 1);
                for (unsigned i = 0; i < HELPERS; i++)
                        if (arming->helpers[i].conn)
                                conn_abort(arming->helpers[i].conn);
        }
        pthread_mutex_unlock(&arming->lock);
        for (unsigned i = 0; i < HELPERS; i++) {
                thread_join(g_steal_pointer(&arming->helpers[i].thread));
                conn_free(arming->helpers[i].conn);
        }
}

bool programs_end_arming(ProgramSync *sync, Side side, GError **error) {
        Conn *conn = sync->conns[side];
        gint64 until = clock_monotonic() + END_USEC;
        g_autoptr(GString) sql = g_string_new("SELECT ");
        for (unsigned i = 0; i < HELPERS; i++) {
                g_autofree char *name = lock_name(sync, i);
                g_string_append_printf(sql, "%sIS_USED_LOCK(%s)", i > 0 ? ", " : "", name);
        }
        for (;;) {
                g_autoptr(ConnRows) rows = conn_query(conn, sql->str, error);
                if (!rows)
                        return false;
                char **row = conn_rows_take(rows);
                unsigned found = 0;
                for (unsigned i = 0; row && i < HELPERS; i++)
                        if (row[i]) {
                                (void) conn_execf(conn, NULL, "KILL %" G_GUINT64_FORMAT, g_ascii_strtoull(row[i], NULL, 10));
                                found++;
                        }
                if (found == 0)
                        return true;
                if (clock_monotonic() >= until) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "%s still makes triggers that were begun before, and does not end that",
                                    conn_label(conn));
                        return false;
                }
                guint64 slept;
                if (!conn_query_uint64(conn, "SELECT SLEEP(0.01)", &slept, error))
                        return false;
        }
}

/* --- all of them --- */

static gint by_order(gconstpointer a, gconstpointer b) {
        const ProgramEntry *x = *(ProgramEntry *const *) a, *y = *(ProgramEntry *const *) b;
        return x->order < y->order ? -1 : x->order > y->order;
}

/* In the order in which they are made. */
static GPtrArray *triggers_of(const ProgramSync *sync, Side side) {
        GPtrArray *triggers = g_ptr_array_new();
        for (guint i = 0; i < sync->store->entries->len; i++) {
                ProgramEntry *entry = g_ptr_array_index(sync->store->entries, i);
                if (entry->kind == PROGRAM_TRIGGER && entry->sides[side] && !entry->refused[side])
                        g_ptr_array_add(triggers, entry);
        }
        g_ptr_array_sort(triggers, by_order);
        return triggers;
}

static GPtrArray *by_table(const GPtrArray *triggers) {
        g_autoptr(GHashTable) index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        GPtrArray *tables = g_ptr_array_new_with_free_func((GDestroyNotify) g_ptr_array_unref);
        for (guint i = 0; i < triggers->len; i++) {
                ProgramEntry *entry = triggers->pdata[i];
                g_autofree char *name = sql_table(entry->database, entry->table);
                GPtrArray *list = g_hash_table_lookup(index, name);
                if (!list) {
                        list = g_ptr_array_new();
                        g_ptr_array_add(tables, list);
                        g_hash_table_insert(index, g_steal_pointer(&name), list);
                }
                g_ptr_array_add(list, entry);
        }
        return tables;
}

bool programs_arm(ProgramSync *sync, Side side, bool in_switch, guint *ret_count, GError **error) {
        g_autoptr(GPtrArray) triggers = triggers_of(sync, side), tables = by_table(triggers);
        Arming arming = {.sync = sync, .side = side, .tables = tables};
        *ret_count = triggers->len;
        if (triggers->len == 0)
                return true;
        pthread_mutex_init(&arming.lock, /* attr= */ NULL);
        clock_cond_init(&arming.changed);
        start_helpers(&arming);
        bool good = make_tables(&arming, sync->conns[side], error);
        if (!good)
                g_atomic_int_set(&arming.stop, 1);
        end_helpers(&arming);
        pthread_cond_destroy(&arming.changed);
        pthread_mutex_destroy(&arming.lock);
        if (good && arming.error)
                g_propagate_error(error, g_steal_pointer(&arming.error));
        else if (good && g_atomic_int_get(&arming.stop))
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        else if (good)
                return in_switch || programs_note_triggers(sync, side, error);
        g_clear_error(&arming.error);
        return false;
}

bool programs_note_triggers(ProgramSync *sync, Side side, GError **error) {
        g_autoptr(GPtrArray) triggers = triggers_of(sync, side);
        if (triggers->len == 0)
                return true;
        for (guint i = 0; i < triggers->len; i++) {
                ProgramEntry *entry = g_ptr_array_index(triggers, i);
                g_autofree char *why = NULL;
                Definition *definition = NULL;
                if (!program_read(sync->conns[side], PROGRAM_TRIGGER, entry->database, entry->name, &definition, &why, error))
                        return false;
                if (definition) {
                        definition_free(entry->sides[side]);
                        entry->sides[side] = definition;
                }
        }
        return pair_store_save(sync->store, sync->directory, error);
}
