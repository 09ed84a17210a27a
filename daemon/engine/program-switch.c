/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The triggers and events of one side, off and on (triggers on: program-arm.c); see program-sync.h. Every function looks first at what the server says, and does what is
 * left to do: each can be interrupted anywhere and called again. */

#include "engine/program-sync.h"

#include <string.h>

#include "base/error.h"
#include "engine/ledger.h"
#include "engine/program-make.h"
#include "mysql/sql.h"

/* --- off --- */

/* A table that only this side has is not carried. */
static bool is_carried(ProgramSync *sync, Side side, const char *database, const char *table, bool *ret, GError **error) {
        g_autofree char *quoted_database = sql_string(database), *quoted_table = sql_string(table);
        g_autofree char *ask = g_strdup_printf("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s AND "
                                               "TABLE_TYPE='BASE TABLE'", quoted_database, quoted_table);
        guint64 count = 0;
        if (!conn_query_uint64(sync->conns[side_other(side)], ask, &count, error))
                return false;
        *ret = count > 0;
        return true;
}

static bool drop_triggers(ProgramSync *sync, Side side, GError **error) {
        Conn *conn = sync->conns[side];
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS "
                                                    "WHERE TRIGGER_SCHEMA NOT IN ('mysql','sys','" LEDGER_DATABASE "')", error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[0] || !row[1] || !row[2] || !program_selected(sync->spec, PROGRAM_TRIGGER, row[0], row[1], row[2]))
                        continue;
                if (program_store_find(sync->store, PROGRAM_TRIGGER, row[0], row[1])) {
                        if (!program_drop(conn, PROGRAM_TRIGGER, row[0], row[1], error))
                                return false;
                        continue;
                }
                bool carried;
                if (!is_carried(sync, side, row[0], row[2], &carried, error))
                        return false;
                if (!carried)
                        continue;
                g_autofree char *name = sql_table(row[0], row[1]), *table = sql_table(row[0], row[2]);
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "trigger %s on %s of the %s is not the migration's and would change what is applied there; DROP TRIGGER %s on that side, then Resume",
                            name, table, side_to_string(side), name);
                return false;
        }
        return true;
}

typedef struct EventRow {
        ProgramEntry *entry; /* it is there */
        char *definer;
} EventRow;

static void event_row_clear(gpointer data) {
        g_free(((EventRow *) data)->definer);
}

/* → GArray of EventRow: those of ours on SIDE whose status is (not) ENABLED. */
static GArray *events_of(ProgramSync *sync, Side side, bool enabled, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(sync->conns[side], "SELECT EVENT_SCHEMA, EVENT_NAME, DEFINER, STATUS FROM information_schema.EVENTS", error);
        if (!rows)
                return NULL;
        g_autoptr(GArray) events = g_array_new(FALSE, TRUE, sizeof(EventRow));
        g_array_set_clear_func(events, event_row_clear);
        for (char **row; (row = conn_rows_take(rows));) {
                ProgramEntry *entry = row[0] && row[1] ? program_store_find(sync->store, PROGRAM_EVENT, row[0], row[1]) : NULL;
                if (!entry || entry->refused[side] || (g_strcmp0(row[3], "ENABLED") == 0) != enabled)
                        continue;
                EventRow event = {entry, g_strdup(row[2] ? row[2] : "")};
                g_array_append_val(events, event);
        }
        return g_steal_pointer(&events);
}

/* REFUSED: the server would not; it is about this event only. */
static bool switch_event(ProgramSync *sync, Side side, const EventRow *event, bool enabled, GError **ret_refusal, GError **error) {
        Conn *conn = sync->conns[side];
        const ProgramEntry *entry = event->entry;
        g_autoptr(Definition) definition = NULL;
        g_autoptr(GError) local = NULL;
        g_autofree char *why = NULL;
        ProgramSession session;
        if (!program_read(conn, PROGRAM_EVENT, entry->database, entry->name, &definition, &why, error))
                return false;
        if (!definition) /* it ended meanwhile */
                return true;
        if (!program_session_begin(&session, conn, error))
                return false;
        bool good = program_switch_event(&session, entry->database, entry->name, event->definer, definition, enabled, &local);
        if (!program_session_end(&session, good ? error : NULL) && good)
                return false;
        if (good)
                return true;
        bool refusal = program_error_is_refusal(conn, local);
        g_propagate_error(refusal ? ret_refusal : error, g_steal_pointer(&local));
        return refusal;
}

static bool stop_events(ProgramSync *sync, Side side, GError **error) {
        g_autoptr(GArray) events = events_of(sync, side, /* enabled= */ true, error);
        for (guint i = 0; events && i < events->len; i++) {
                g_autoptr(GError) refusal = NULL;
                if (!switch_event(sync, side, &g_array_index(events, EventRow, i), /* enabled= */ false, &refusal, error))
                        return false;
                if (refusal) { /* it would run on the side that must not be written */
                        g_propagate_error(error, g_steal_pointer(&refusal));
                        return false;
                }
        }
        return events != NULL;
}

bool programs_disarm(ProgramSync *sync, Side side, GError **error) {
        return programs_end_arming(sync, side, error) && drop_triggers(sync, side, error) && stop_events(sync, side, error);
}

/* --- on --- */

/* One that was being made anew when the agent was killed. */
static bool make_lost_events(ProgramSync *sync, Side side, GPtrArray *failed, GError **error) {
        for (guint i = 0; i < sync->store->entries->len; i++) {
                const ProgramEntry *entry = g_ptr_array_index(sync->store->entries, i);
                g_autoptr(Definition) definition = NULL;
                g_autoptr(GError) local = NULL;
                g_autofree char *why = NULL;
                ProgramSession session;
                if (entry->kind != PROGRAM_EVENT || !entry->sides[side] || entry->refused[side] || g_str_is_ascii(entry->name))
                        continue;
                if (!program_read(sync->conns[side], PROGRAM_EVENT, entry->database, entry->name, &definition, &why, error))
                        return false;
                if (definition)
                        continue;
                if (!program_session_begin(&session, sync->conns[side], error))
                        return false;
                bool good = program_make(&session, PROGRAM_EVENT, entry->database, entry->sides[side], false, NULL, &local);
                bool refusal = !good && program_error_is_refusal(session.conn, local);
                if (!program_session_end(&session, good || refusal ? error : NULL) && (good || refusal))
                        return false;
                if (refusal) {
                        g_autofree char *name = program_entry_name(entry), *reason = program_refusal(local);
                        g_ptr_array_add(failed, g_strdup_printf("%s is not on the %s: %s", name, side_to_string(side), reason));
                } else if (!good) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
        return true;
}

bool programs_start_events(ProgramSync *sync, Side side, GPtrArray *failed, GError **error) {
        if (!make_lost_events(sync, side, failed, error))
                return false;
        g_autoptr(GArray) events = events_of(sync, side, /* enabled= */ false, error);
        for (guint i = 0; events && i < events->len; i++) {
                const EventRow *event = &g_array_index(events, EventRow, i);
                g_autoptr(GError) refusal = NULL;
                if (!event->entry->enabled)
                        continue;
                if (!switch_event(sync, side, event, /* enabled= */ true, &refusal, error))
                        return false;
                if (refusal) {
                        g_autofree char *name = program_entry_name(event->entry), *why = program_refusal(refusal);
                        g_ptr_array_add(failed, g_strdup_printf("%s does not run on the %s: %s", name, side_to_string(side), why));
                }
        }
        return events != NULL;
}

/* --- away --- */

bool programs_drop_all(ProgramSync *sync, Side side, GError **error) {
        for (guint i = sync->store->entries->len; i-- > 0;) {
                ProgramEntry *entry = g_ptr_array_index(sync->store->entries, i);
                if (!entry->not_ours && entry->kind != PROGRAM_TRIGGER &&
                    !program_drop(sync->conns[side], entry->kind, entry->database, entry->name, error))
                        return false;
                pair_store_remove(sync->store, entry);
        }
        return pair_store_save(sync->store, sync->directory, error);
}
