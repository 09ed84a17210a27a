/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See program-sync.h. One round:
 *
 *    1  both sides are read
 *    2  what is gone up is dropped down, what is new or changed up (or was changed down) is put on the list
 *    3  the store is written: a crash from here on finds every program that we may have made
 *    4  the list is made, again and again while that gets any further, since views need views
 *    5  what came out is read back and written to the store beside what it was made from */

#include "engine/program-sync.h"

#include <string.h>

#include "base/error.h"
#include "engine/ledger.h"
#include "engine/program-make.h"
#include "mysql/sql.h"

typedef struct Round {
        ProgramSync *sync;
        Side down;
        GPtrArray *up;        /* of Program */
        GHashTable *up_index; /* entry → Program */
        GPtrArray *there_programs;
        GHashTable *there_index; /* entry → Program, of the down side */
        GPtrArray *waiting, *made;  /* of ProgramEntry (not owned) */
        GHashTable *tables;      /* set of `db`.`table`: whose triggers are to be tried */
        bool changed;            /* the store */
} Round;

static void round_clear(Round *round) {
        g_clear_pointer(&round->up_index, g_hash_table_unref);
        g_clear_pointer(&round->there_index, g_hash_table_unref);
        g_clear_pointer(&round->up, g_ptr_array_unref);
        g_clear_pointer(&round->there_programs, g_ptr_array_unref);
        g_clear_pointer(&round->waiting, g_ptr_array_unref);
        g_clear_pointer(&round->made, g_ptr_array_unref);
        g_clear_pointer(&round->tables, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Round, round_clear)

static void set_text(char **text, const char *value) {
        char *copy = g_strdup(value);
        g_free(*text);
        *text = copy;
}

static void set_definition(Definition **member, const Definition *value) {
        Definition *copy = definition_copy(value);
        definition_free(*member);
        *member = copy;
}

static void refuse(Round *round, ProgramEntry *entry, const char *why) {
        ProgramSync *sync = round->sync;
        bool news = g_strcmp0(entry->refused[round->down], why) != 0;
        g_autofree char *copy = g_strdup(why); /* WHY may be the entry's own */
        set_text(&entry->refused[round->down], copy);
        g_clear_pointer(&entry->sides[round->down], definition_free);
        round->changed |= news;
        if (news && sync->on_refused)
                sync->on_refused(sync->userdata, entry, round->down);
}

static bool save(Round *round, GError **error) {
        if (!round->changed)
                return true;
        round->changed = false;
        return pair_store_save(round->sync->store, round->sync->directory, error);
}

/* --- what is there, and what is to be done --- */

static void index_there(Round *round) {
        for (guint i = 0; i < round->there_programs->len; i++) {
                Program *p = g_ptr_array_index(round->there_programs, i);
                ProgramEntry *entry = program_store_find(round->sync->store, p->kind, p->database, p->name);
                if (entry)
                        g_hash_table_insert(round->there_index, entry, p);
        }
}

static bool is_there(const Round *round, const ProgramEntry *entry) {
        return g_hash_table_contains(round->there_index, entry);
}

/* Whether PROGRAM, as the up side shows it now, and what is below are a pair that is known. */
static bool in_step(const Round *round, const ProgramEntry *entry, const Program *program) {
        if (entry->refused[round->down] || !definition_equal(entry->sides[round->sync->up], program->definition) || !entry->sides[round->down])
                return false;
        if (entry->kind == PROGRAM_TRIGGER)
                return true;
        const Program *below = g_hash_table_lookup(round->there_index, entry);
        return below && definition_equal(entry->sides[round->down], below->definition);
}

static void note_trigger_table(Round *round, const char *database, const char *table) {
        g_hash_table_add(round->tables, sql_table(database, table));
}

static bool found_below(const Round *round, const Program *program) {
        for (guint i = 0; i < round->there_programs->len; i++) {
                const Program *p = g_ptr_array_index(round->there_programs, i);
                if (p->kind == program->kind && strcmp(p->database, program->database) == 0 && strcmp(p->name, program->name) == 0)
                        return true;
        }
        return false;
}

static void look_at(Round *round, Program *program, guint order) {
        PairStore *store = round->sync->store;
        Side up = round->sync->up, down = round->down;
        ProgramEntry *entry = program_store_find(store, program->kind, program->database, program->name);
        bool fresh = !entry;
        if (fresh) {
                entry = program_store_add(store, program->kind, program->database, program->name);
                entry->not_ours = program->kind != PROGRAM_TRIGGER && found_below(round, program);
                round->changed = true;
        }
        g_hash_table_insert(round->up_index, entry, program);
        round->changed |= entry->enabled != program->enabled || g_strcmp0(entry->table, program->table) != 0 ||
                          g_strcmp0(entry->definer, program->definer) != 0 || (entry->kind == PROGRAM_TRIGGER && entry->order != order);
        entry->enabled = program->enabled;
        entry->order = entry->kind == PROGRAM_TRIGGER ? order : 0;
        set_text(&entry->table, program->table);
        set_text(&entry->definer, program->definer);
        g_clear_pointer(&entry->refused[up], g_free); /* it is there */
        if (entry->not_ours && !fresh)
                entry->not_ours = found_below(round, program);
        if (entry->not_ours) {
                set_definition(&entry->sides[up], program->definition);
                refuse(round, entry, "another one of that name is there, which this migration did not make; drop or rename it");
                return;
        }
        if (!program->definition) {
                refuse(round, entry, program->unreadable);
                return;
        }
        if (in_step(round, entry, program))
                return;
        /* Unchanged up: what was below is made again as it was. */
        bool known = definition_equal(entry->sides[up], program->definition) && entry->sides[down];
        if (!known) {
                set_definition(&entry->sides[up], program->definition);
                g_clear_pointer(&entry->sides[down], definition_free);
        }
        round->changed = true;
        if (entry->kind == PROGRAM_TRIGGER)
                note_trigger_table(round, entry->database, entry->table);
        else
                g_ptr_array_add(round->waiting, entry);
}

/* Gone up, so gone below. What the up side never had, since it refused it, stays. */
static bool drop_gone(Round *round, GError **error) {
        PairStore *store = round->sync->store;
        for (guint i = store->entries->len; i-- > 0;) {
                ProgramEntry *entry = g_ptr_array_index(store->entries, i);
                if (g_hash_table_contains(round->up_index, entry) || entry->refused[round->sync->up])
                        continue;
                if (entry->kind != PROGRAM_TRIGGER && !entry->not_ours && is_there(round, entry) &&
                    !program_drop(round->sync->conns[round->down], entry->kind, entry->database, entry->name, error))
                        return false;
                g_hash_table_remove(round->there_index, entry);
                pair_store_remove(store, entry);
                round->changed = true;
        }
        return true;
}

/* --- making --- */

/* What was there before stays when the new one is refused. */
static bool make_one(Round *round, ProgramSession *session, ProgramEntry *entry, GError **ret_refusal, GError **error) {
        Conn *conn = session->conn;
        const Program *before = g_hash_table_lookup(round->there_index, entry);
        const Definition *wanted = entry->sides[round->down] ? entry->sides[round->down] : entry->sides[round->sync->up];
        g_autoptr(GError) local = NULL;
        g_autofree char *note = NULL;
        if (before && entry->kind != PROGRAM_VIEW && !(program_session_names(session, error) && program_drop(conn, entry->kind, entry->database, entry->name, error)))
                return false;
        if (program_make(session, entry->kind, entry->database, wanted, before != NULL, &note, &local)) {
                set_text(&entry->note, note);
                g_clear_pointer(&entry->refused[round->down], g_free);
                return true;
        }
        if (!program_error_is_refusal(conn, local)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (before && before->definition && entry->kind != PROGRAM_VIEW)
                (void) program_make(session, entry->kind, entry->database, before->definition, /* replace= */ false, NULL, NULL);
        g_propagate_error(ret_refusal, g_steal_pointer(&local));
        return true;
}

static gint by_kind(gconstpointer a, gconstpointer b) {
        const ProgramEntry *x = *(ProgramEntry *const *) a, *y = *(ProgramEntry *const *) b;
        return (gint) x->kind - (gint) y->kind;
}

static bool make_all(Round *round, ProgramSession *session, GError **error) {
        g_ptr_array_sort(round->waiting, by_kind);
        bool moved = true;
        while (moved && round->waiting->len > 0) {
                g_autoptr(GPtrArray) left = g_ptr_array_new();
                moved = false;
                for (guint i = 0; i < round->waiting->len; i++) {
                        ProgramEntry *entry = g_ptr_array_index(round->waiting, i);
                        g_autoptr(GError) refusal = NULL;
                        if (!make_one(round, session, entry, &refusal, error))
                                return false;
                        if (!refusal) {
                                g_ptr_array_add(round->made, entry);
                                moved = true;
                                continue;
                        }
                        g_ptr_array_add(left, entry);
                        g_autofree char *why = program_refusal(refusal);
                        set_text(&entry->note, why); /* the last reason is the one that counts */
                }
                g_ptr_array_unref(round->waiting);
                round->waiting = g_steal_pointer(&left);
        }
        for (guint i = 0; i < round->waiting->len; i++) {
                ProgramEntry *entry = g_ptr_array_index(round->waiting, i);
                g_autofree char *why = g_steal_pointer(&entry->note);
                refuse(round, entry, why);
        }
        return true;
}

/* --- trying triggers --- */

static bool try_triggers_of(Round *round, const char *table, const char *trial, GError **error) {
        Conn *conn = round->sync->conns[round->down];
        ProgramSession session;
        g_autoptr(GError) no_table = NULL;
        if (!conn_execf(conn, error, "DROP TABLE IF EXISTS %s", trial))
                return false;
        if (!conn_execf(conn, &no_table, "CREATE TABLE %s LIKE %s", trial, table) && !program_error_is_refusal(conn, no_table)) {
                g_propagate_error(error, g_steal_pointer(&no_table));
                return false;
        }
        if (!program_session_begin(&session, conn, error))
                return false;
        bool good = true;
        for (guint i = 0; good && i < round->up->len; i++) {
                const Program *trigger = g_ptr_array_index(round->up, i);
                g_autofree char *its = trigger->kind == PROGRAM_TRIGGER ? sql_table(trigger->database, trigger->table) : NULL;
                if (!its || strcmp(its, table) != 0 || !trigger->definition)
                        continue;
                ProgramEntry *entry = program_store_find(round->sync->store, PROGRAM_TRIGGER, trigger->database, trigger->name);
                g_autoptr(GError) local = NULL;
                g_autofree char *why = NULL;
                if (no_table)
                        why = g_strdup_printf("its table %s is not there", table);
                else if (!program_try_trigger(&session, trigger, i, trial, &local)) {
                        good = program_error_is_refusal(conn, local);
                        why = good ? program_refusal(local) : NULL;
                        if (!good)
                                g_propagate_error(error, g_steal_pointer(&local));
                }
                if (why)
                        refuse(round, entry, why);
                else if (good) {
                        g_clear_pointer(&entry->refused[round->down], g_free);
                        if (!entry->sides[round->down])
                                set_definition(&entry->sides[round->down], trigger->definition);
                        round->changed = true;
                }
        }
        return program_session_end(&session, good ? error : NULL) && good;
}

static bool try_triggers(Round *round, GError **error) {
        g_autofree char *trial = g_strdup_printf("`" LEDGER_DATABASE "`.`trial_%s`", round->sync->task);
        GHashTableIter iter;
        gpointer table;
        if (g_hash_table_size(round->tables) == 0)
                return true;
        g_hash_table_iter_init(&iter, round->tables);
        while (g_hash_table_iter_next(&iter, &table, NULL))
                if (!try_triggers_of(round, table, trial, error))
                        return false;
        return conn_execf(round->sync->conns[round->down], error, "DROP TABLE IF EXISTS %s", trial);
}

/* --- one round --- */

static bool read_sides(Round *round, GError **error) {
        ProgramSync *sync = round->sync;
        round->up = programs_read(sync->conns[sync->up], sync->spec, error);
        round->there_programs = round->up ? programs_read(sync->conns[round->down], sync->spec, error) : NULL;
        return round->there_programs != NULL;
}

static bool read_back(Round *round, GError **error) {
        Conn *conn = round->sync->conns[round->down];
        for (guint i = 0; i < round->made->len; i++) {
                ProgramEntry *entry = g_ptr_array_index(round->made, i);
                g_autoptr(Definition) definition = NULL;
                g_autofree char *why = NULL;
                if (!program_read(conn, entry->kind, entry->database, entry->name, &definition, &why, error))
                        return false;
                if (!definition) {
                        refuse(round, entry, entry->kind == PROGRAM_EVENT ? "its time is over" : why);
                        continue;
                }
                const Definition *origin = entry->sides[round->sync->up];
                if (origin->database_collation && g_strcmp0(origin->database_collation, definition->database_collation) != 0 && !entry->note)
                        entry->note = g_strdup_printf("made when its database's default collation was %s; it is %s now, which is what its parameters and "
                                                      "variables without a character set get", origin->database_collation, definition->database_collation);
                set_definition(&entry->sides[round->down], definition);
        }
        return true;
}

static bool make(Round *round, GError **error) {
        ProgramSession session;
        if (round->waiting->len > 0) {
                if (!program_session_begin(&session, round->sync->conns[round->down], error))
                        return false;
                bool good = make_all(round, &session, error);
                if (!program_session_end(&session, good ? error : NULL) || !good)
                        return false;
        }
        return read_back(round, error) && try_triggers(round, error);
}

bool programs_sync(ProgramSync *sync, GError **error) {
        g_auto(Round) round = {
                .sync = sync,
                .down = side_other(sync->up),
                .up_index = g_hash_table_new(NULL, NULL),
                .there_index = g_hash_table_new(NULL, NULL),
                .waiting = g_ptr_array_new(),
                .made = g_ptr_array_new(),
                .tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        };
        if (!read_sides(&round, error))
                return false;
        index_there(&round);
        for (guint i = 0; i < round.up->len; i++)
                look_at(&round, g_ptr_array_index(round.up, i), i);
        if (!drop_gone(&round, error) || !save(&round, error))
                return false;
        bool good = make(&round, error);
        round.changed = round.changed || round.made->len > 0;
        return save(&round, good ? error : NULL) && good;
}
