/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl-chunks.h.
 *
 *   CREATE        empty at SEQ: one chunk of everything with h_seq = SEQ, its rows come as events
 *   ALTER         wholly copied: one chunk of everything with h_seq = SEQ, since keys may compare differently now. Partly copied: what is
 *                 there changed with the rest, unless the key did, rows were left out, or rows were numbered: then again from the beginning
 *   TRUNCATE      empty at SEQ, on both sides
 *   DROP          forgotten
 *   RENAME        known by the new name */

#include "engine/ddl-chunks.h"

#include <string.h>

#include "mysql/sql.h"

typedef struct Adjust {
        Conn *down;
        const Ledger *ledger;
        const DdlPlan *plan;
        guint64 seq;
        GPtrArray *statements;
} Adjust;

static void append_where(GString *sql, const char *database, const char *name) {
        g_string_append(sql, " WHERE db=");
        sql_append_string(sql, database, strlen(database));
        if (name) {
                g_string_append(sql, " AND tbl=");
                sql_append_string(sql, name, strlen(name));
        }
}

static void take(Adjust *adjust, GString *sql) {
        g_ptr_array_add(adjust->statements, g_string_free(sql, FALSE));
}

static void forget(Adjust *adjust, const char *database, const char *name) {
        GString *sql = g_string_new(NULL);
        g_string_printf(sql, "DELETE FROM %s", adjust->ledger->chunk);
        append_where(sql, database, name);
        take(adjust, sql);
}

/* How much is known to be copied of a table: counted over its rows; whether they follow each other from −∞ to +∞. */
typedef struct Copied {
        guint64 chunks, rows, bytes;
        bool complete;
} Copied;

static bool read_copied(Adjust *adjust, const char *database, const char *name, Copied *ret, GError **error) {
        g_autoptr(GString) sql = g_string_new(NULL);
        g_string_printf(sql, "SELECT lo, hi, n_rows, n_bytes FROM %s", adjust->ledger->chunk);
        append_where(sql, database, name);
        g_autoptr(ConnRows) rows = conn_query(adjust->down, sql->str, error);
        g_autoptr(GHashTable) next = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, (GDestroyNotify) g_bytes_unref);
        *ret = (Copied){0};
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                const unsigned long *lengths = conn_rows_lengths(rows);
                /* An infinite bound is NULL, and no key has no bytes. */
                g_hash_table_replace(next, g_bytes_new(row[0], row[0] ? lengths[0] : 0), g_bytes_new(row[1], row[1] ? lengths[1] : 0));
                ret->chunks++;
                ret->rows += g_ascii_strtoull(row[2], NULL, 10);
                ret->bytes += g_ascii_strtoull(row[3], NULL, 10);
        }
        g_autoptr(GBytes) infinite = g_bytes_new(NULL, 0);
        GBytes *at = g_hash_table_lookup(next, infinite);
        for (guint64 n = 1; at && g_bytes_get_size(at) > 0 && n < ret->chunks; n++)
                at = g_hash_table_lookup(next, at);
        ret->complete = at && g_bytes_get_size(at) == 0;
        return true;
}

static void know_all(Adjust *adjust, const char *database, const char *name, const Copied *copied) {
        forget(adjust, database, name);
        GString *sql = g_string_new(NULL);
        g_string_printf(sql, "INSERT INTO %s (db,tbl,lo,hi,h_seq,n_rows,n_bytes) VALUES (", adjust->ledger->chunk);
        sql_append_string(sql, database, strlen(database));
        g_string_append_c(sql, ',');
        sql_append_string(sql, name, strlen(name));
        g_string_append_printf(sql, ",NULL,NULL,%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT ")", adjust->seq, copied->rows, copied->bytes);
        take(adjust, sql);
}

static void rename_chunks(Adjust *adjust, const DdlTable *table) {
        forget(adjust, table->to_database, table->to_name);
        GString *sql = g_string_new(NULL);
        g_string_printf(sql, "UPDATE %s SET db=", adjust->ledger->chunk);
        sql_append_string(sql, table->to_database, strlen(table->to_database));
        g_string_append(sql, ",tbl=");
        sql_append_string(sql, table->to_name, strlen(table->to_name));
        append_where(sql, table->database, table->name);
        take(adjust, sql);
}

static bool adjust_altered(Adjust *adjust, const DdlTable *table, const char *before, GError **error) {
        const char *database = table->to_name ? table->to_database : table->database, *name = table->to_name ? table->to_name : table->name;
        g_autofree char *after = ddl_plan_line(adjust->down, database, name, error);
        Copied copied;
        if (!after || !read_copied(adjust, table->database, table->name, &copied, error))
                return false;
        if (g_str_equal(after, "-")) { /* the operator did without it */
                forget(adjust, table->database, table->name);
                return true;
        }
        bool same = g_strcmp0(before, after) == 0 && !adjust->plan->text->lenient && adjust->plan->text->partners->len == 0;
        if (copied.complete)
                know_all(adjust, table->database, table->name, &copied);
        else if (!same) {
                g_autofree char *full = sql_table(database, name);
                if (!conn_execf(adjust->down, error, "TRUNCATE TABLE %s", full))
                        return false;
                forget(adjust, table->database, table->name);
        }
        if (table->to_name)
                rename_chunks(adjust, table);
        return true;
}

static bool is_there(Adjust *adjust, const char *database, const char *name, bool *ret, GError **error) {
        g_autofree char *line = ddl_plan_line(adjust->down, database, name, error);
        if (!line)
                return false;
        *ret = !g_str_equal(line, "-");
        return true;
}

static bool adjust_table(Adjust *adjust, const DdlTable *table, const char *before, GError **error) {
        static const Copied nothing = {0};
        const DdlText *text = adjust->plan->text;
        bool there;
        switch (text->verb) {
        case DDL_CREATE_TABLE:
                if (!is_there(adjust, table->database, table->name, &there, error))
                        return false;
                if (there && (g_strcmp0(before, "-") == 0 || text->replace))
                        know_all(adjust, table->database, table->name, &nothing);
                return true;
        case DDL_ALTER_TABLE:
                return adjust_altered(adjust, table, before, error);
        case DDL_TRUNCATE_TABLE:
                know_all(adjust, table->database, table->name, &nothing);
                return true;
        case DDL_DROP_TABLE:
                if (!is_there(adjust, table->database, table->name, &there, error))
                        return false;
                if (there) /* the operator passed over it */
                        know_all(adjust, table->database, table->name, &nothing);
                else
                        forget(adjust, table->database, table->name);
                return true;
        case DDL_RENAME_TABLE: /* a name in between, of a swap, is not there any more */
                rename_chunks(adjust, table);
                return true;
        case DDL_CREATE_DATABASE:
        case DDL_ALTER_DATABASE:
        case DDL_DROP_DATABASE:
        case _DDL_MAX:
        case _DDL_INVALID:
                break;
        }
        return true;
}

bool ddl_chunks_adjust(Conn *down, const Ledger *ledger, const DdlPlan *plan, const char *before, guint64 seq, GPtrArray *statements,
                       GError **error) {
        Adjust adjust = {.down = down, .ledger = ledger, .plan = plan, .seq = seq, .statements = statements};
        const DdlText *text = plan->text;
        g_auto(GStrv) lines = g_strsplit(before, "\n", -1);
        guint n = g_strv_length(lines);
        const GPtrArray *lists[] = {text->tables, text->partners};
        for (guint l = 0, at = 0; l < G_N_ELEMENTS(lists); l++)
                for (guint i = 0; i < lists[l]->len; i++, at++)
                        if (!adjust_table(&adjust, g_ptr_array_index(lists[l], i), at < n ? lines[at] : "", error))
                                return false;
        if (text->verb == DDL_DROP_DATABASE)
                forget(&adjust, text->database, NULL);
        return true;
}
