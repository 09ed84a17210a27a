/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables whose rows the log does not tell any more: which ones they are, and how their copying is begun anew (again.h). The link has stopped in
 * front of the transaction, everything before it is applied. The table is emptied on the other side, and a new link copies it as it copied all
 * of them in the beginning: beside the stream, chunk by chunk. */

#include "engine/engine-private.h"

#include <string.h>

#include "base/error.h"
#include "engine/again.h"
#include "engine/control.h"
#include "mysql/schema.h"
#include "mysql/sql.h"

static bool is_carried(const Engine *engine, const char *database, const char *table) {
        g_autofree char *name = sql_table(database, table), *line = g_strdup_printf("table %s: ", name);
        for (guint i = 0; engine->state->unfit && i < engine->state->unfit->len; i++)
                if (g_str_has_prefix(engine->state->unfit->pdata[i], line))
                        return false;
        return spec_selects(engine->spec, database, table);
}

static bool unclear(const LinkHalt *halt, const char *why, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "%s at %s:%" G_GUINT64_FORMAT " (transaction %" G_GUINT64_FORMAT
                    ") was logged as a statement, without its rows, and %s: which tables are to be copied again cannot be told; set "
                    "binlog_format=ROW for every session, Resume with ddl=skip, and Verify and Repair then", halt->what, halt->file, halt->offset,
                    halt->seq, why);
        return false;
}

/* The table as the server writes its name. */
static bool find_table(Conn *up, const LinkHalt *halt, char **ret_database, char **ret_table, GError **error) {
        g_autofree char *database = sql_string(halt->row_database), *table = sql_string(halt->row_table);
        g_autofree char *sql = g_strdup_printf("SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema=%s AND table_name=%s "
                                               "AND table_type='BASE TABLE'", database, table);
        g_autoptr(ConnRows) rows = conn_query(up, sql, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row)
                return unclear(halt, "no table of that name is there now", error);
        *ret_database = g_strdup(row[0]);
        *ret_table = g_strdup(row[1]);
        return true;
}

static bool no_triggers(Conn *up, const LinkHalt *halt, const char *database, const char *table, GError **error) {
        g_autofree char *db = sql_string(database), *tbl = sql_string(table);
        g_autofree char *sql = g_strdup_printf("SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_schema=%s AND event_object_table=%s",
                                               db, tbl);
        guint64 triggers;
        if (!conn_query_uint64(up, sql, &triggers, error))
                return false;
        return triggers == 0 || unclear(halt, "the table has triggers", error);
}

static bool contains(const char *text, gsize length, const char *word) {
        gsize n = strlen(word);
        for (const char *p = text; (gsize) (text + length - p) >= n; p++)
                if (g_ascii_strncasecmp(p, word, n) == 0)
                        return true;
        return false;
}

/* A stored function that the statement calls may change any table. */
static bool no_functions(Conn *up, const LinkHalt *halt, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(up, "SELECT routine_name FROM information_schema.routines WHERE routine_type='FUNCTION' "
                                                  "AND routine_schema NOT IN ('mysql','sys')", error);
        gsize length;
        const char *text = g_bytes_get_data(halt->sql, &length);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));)
                if (contains(text, length, row[0]))
                        return unclear(halt, "it names a stored function", error);
        return true;
}

/* The table, as sql_table() writes it. */
static char *table_of(Engine *engine, const LinkHalt *halt, GError **error) {
        g_autofree char *database = NULL, *table = NULL;
        if (!halt->sql) /* rows of one table, by their images: all else that the statement did is in the log */
                return sql_table(halt->row_database, halt->row_table);
        Conn *up = control_acquire(engine, engine->state->writer, error);
        if (!up)
                return NULL;
        g_autoptr(GError) local = NULL;
        bool good = false;
        if (!*halt->row_table || !g_utf8_validate(halt->row_table, -1, NULL) || !g_utf8_validate(halt->row_database, -1, NULL))
                unclear(halt, "its table cannot be read from it", &local);
        else
                good = find_table(up, halt, &database, &table, &local) && no_triggers(up, halt, database, table, &local) &&
                       no_functions(up, halt, &local);
        if (good && !is_carried(engine, database, table)) /* without triggers nothing else changes */
                good = unclear(halt, "the table is not carried", &local);
        if (good)
                return sql_table(database, table);
        g_propagate_error(error, g_steal_pointer(&local));
        engine_name_error(engine, engine->state->writer, error);
        return NULL;
}

/* The operator is asked. */
static void remember(Engine *engine, const LinkHalt *halt) {
        LinkHalt *copy = link_halt_copy(halt);
        link_halt_free(engine->halt);
        engine->halt = copy;
        engine->stopped_at_seq = halt->seq;
}

bool engine_copy_again(Engine *engine, const LinkHalt *halt, GError **error) {
        g_autofree char *table = table_of(engine, halt, error);
        if (!table) {
                if (error && g_error_matches(*error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT))
                        remember(engine, halt);
                return false;
        }
        engine_verify_cancel(engine);
        engine_verify_void(engine);
        again_add(engine->state->again, table, halt->seq);
        engine->state->verification = VERIFICATION_NONE;
        dirty_forget(engine->dirty);
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error))
                return false;
        engine_event(engine, ENGINE_EVENT_COPY_AGAIN, 4, "%s is copied again: the log does not tell its rows from transaction %" G_GUINT64_FORMAT
                     " on (%s)", table, halt->seq, halt->what);
        engine->carried = true;
        return true;
}

/* --- before a link --- */

typedef struct Edge {
        char *tables[2];
        bool cascades;
} Edge;

static void edge_clear(gpointer data) {
        Edge *edge = data;
        g_free(edge->tables[0]);
        g_free(edge->tables[1]);
}

/* The foreign keys of the side that is copied to: it has the tables as the log has them here. */
static GArray *read_edges(Conn *down, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(down, "SELECT constraint_schema, table_name, unique_constraint_schema, referenced_table_name, "
                                                    "delete_rule IN ('CASCADE','SET NULL') OR update_rule IN ('CASCADE','SET NULL') "
                                                    "FROM information_schema.referential_constraints", error);
        if (!rows)
                return NULL;
        g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
        g_array_set_clear_func(edges, edge_clear);
        for (char **row; (row = conn_rows_take(rows));) {
                Edge edge = {{sql_table(row[0], row[1]), sql_table(row[2], row[3])}, *row[4] == '1'};
                g_array_append_val(edges, edge);
        }
        return g_steal_pointer(&edges);
}

/* All tables that foreign keys connect with NAME; NULL: no key among them cascades. */
static GPtrArray *connected(const GArray *edges, const char *name) {
        g_autoptr(GPtrArray) group = g_ptr_array_new();
        bool cascades = false;
        g_ptr_array_add(group, (char *) name);
        for (guint i = 0; i < group->len; i++)
                for (guint e = 0; e < edges->len; e++) {
                        const Edge *edge = &g_array_index(edges, Edge, e);
                        for (guint side = 0; side < 2; side++)
                                if (strcmp(edge->tables[side], group->pdata[i]) == 0) {
                                        cascades |= edge->cascades;
                                        if (!g_ptr_array_find_with_equal_func(group, edge->tables[1 - side], g_str_equal, NULL))
                                                g_ptr_array_add(group, edge->tables[1 - side]);
                                }
                }
        return cascades ? g_steal_pointer(&group) : NULL;
}

/* What cascades tie together is copied together (cascade.h); a statement may also have tied it since. */
static bool add_families(Engine *engine, Conn *down, const GPtrArray *schemas, GError **error) {
        GPtrArray *again = engine->state->again;
        g_autoptr(GArray) edges = read_edges(down, error);
        if (!edges)
                return false;
        for (guint i = 0; i < again->len; i++) {
                g_autofree char *name = g_strdup(again_name(again, i));
                g_autoptr(GPtrArray) group = connected(edges, name);
                for (guint s = 0; group && s < schemas->len; s++) {
                        const TableSchema *schema = schemas->pdata[s];
                        g_autofree char *other = sql_table(schema->database, schema->name);
                        if (again_seq(again, other) > 0 || !is_carried(engine, schema->database, schema->name) ||
                            !g_ptr_array_find_with_equal_func(group, other, g_str_equal, NULL))
                                continue;
                        again_add(again, other, again_seq(again, name));
                        engine_event(engine, ENGINE_EVENT_COPY_AGAIN, 4, "%s is copied again: cascading foreign keys connect it with %s", other, name);
                }
        }
        return true;
}

/* Under foreign_key_checks=0 a table that others refer to can be truncated, and nothing cascades. */
static bool empty(Engine *engine, Conn *down, const GPtrArray *schemas, const char *name, GError **error) {
        for (guint i = 0; i < schemas->len; i++) {
                const TableSchema *schema = schemas->pdata[i];
                g_autofree char *other = sql_table(schema->database, schema->name);
                if (strcmp(other, name) != 0 || !is_carried(engine, schema->database, schema->name))
                        continue;
                g_autofree char *database = sql_string(schema->database), *table = sql_string(schema->name);
                return conn_exec(down, "SET SESSION foreign_key_checks=0", -1, NULL, error) &&
                       conn_execf(down, error, "DELETE FROM %s WHERE db=%s AND tbl=%s", engine->ledger->chunk, database, table) &&
                       conn_execf(down, error, "TRUNCATE /* polarshift */ TABLE %s", name) &&
                       conn_exec(down, "SET SESSION foreign_key_checks=DEFAULT", -1, NULL, error);
        }
        return true; /* it was dropped: nothing to do */
}

bool engine_empty_again(Engine *engine, Conn *down, GError **error) {
        EngineState *state = engine->state;
        if (state->again->len == 0)
                return true;
        g_autoptr(GPtrArray) schemas = schema_load(down, /* database= */ NULL, error);
        /* Only the first leg was begun with rows for copiers. */
        if (!schemas || !add_families(engine, down, schemas, error) ||
            !ledger_begin_leg(engine->ledger, down, state->leg, state->workers, ENGINE_COPIERS_MAX, state->epoch, error))
                return false;
        for (;;) {
                g_autofree char *name = again_to_empty(state->again);
                if (!name)
                        return true;
                if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error) || !empty(engine, down, schemas, name, error))
                        return false;
                again_emptied(state->again, name);
                if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error))
                        return false;
        }
}

/* --- questions --- */

bool engine_is_complete(Engine *engine, GError **error) {
        if (engine->state->again->len == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_VERIFICATION_FAILED,
                    "%u tables are being copied again, because a session wrote to them in statement format or with incomplete row images; wait until "
                    "they are complete", engine->state->again->len);
        return false;
}

void engine_again_copied(Engine *engine) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) before = g_steal_pointer(&engine->state->again);
        engine->state->again = g_ptr_array_new_with_free_func(g_free);
        engine->state->copied_seq = MAX(link_copied_seq(engine->link), 1);
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, &error)) {
                g_ptr_array_unref(engine->state->again);
                engine->state->again = g_steal_pointer(&before);
                engine_set_error(engine, error);
                return;
        }
        engine_event(engine, ENGINE_EVENT_COPY_FINISHED, 5, "every table is complete again");
        if (engine->phase != MIGRATION_PHASE_COPYING)
                engine_verify_soon(engine);
}
