/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What earlier links have copied: the rows about chunks downstream, taken into the tables' chunk maps. See copy.h. */

#include "base/error.h"
#include "engine/cascade.h"
#include "engine/copy.h"
#include "mysql/sql.h"

static bool load_chunks(const Ledger *ledger, Conn *downstream, LinkTables *tables, bool copying, guint64 *ret_rows, guint64 *ret_bytes,
                        GError **error) {
        g_autofree char *sql = g_strdup_printf("SELECT db, tbl, lo, hi, h_seq, n_rows, n_bytes FROM %s", ledger->chunk);
        g_autoptr(ConnStream) rows = conn_stream(downstream, sql, -1, error);
        if (!rows)
                return false;
        *ret_rows = *ret_bytes = 0;
        for (;;) {
                char **row;
                const unsigned long *lengths;
                if (!conn_stream_next(rows, &row, &lengths, error))
                        return false;
                if (!row)
                        return true;
                LinkTable *table = link_tables_find(tables, row[0], row[1]);
                if (!copying && (!table || !table->chunks)) /* what was copied in the first place is of no interest any more */
                        continue;
                Key lo = {.data = row[2], .size = lengths[2]}, hi = {.data = row[3], .size = lengths[3]};
                if (!table) /* not carried any more: what is known of it is of no use */
                        continue;
                if (!table->chunks || (lo.data && !key_valid(table->schema, lo.data, lo.size)) ||
                    (hi.data && !key_valid(table->schema, hi.data, hi.size))) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                                    "%s holds a chunk of `%s`.`%s`, whose key changed; Cancel and start again", ledger->chunk,
                                    row[0], row[1]);
                        return false;
                }
                /* A piece of a table that cascades change now: forget_families() sees to it. */
                if (chunk_map_is_whole(table->chunks) && (lo.data || hi.data) && !table->schema->has_cascade) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                                    "`%s`.`%s` was copied in pieces, but its rows cannot be ordered here any more; Cancel and start again",
                                    row[0], row[1]);
                        return false;
                }
                chunk_map_load(table->chunks, &lo, &hi, g_ascii_strtoull(row[4], NULL, 10));
                *ret_rows += g_ascii_strtoull(row[5], NULL, 10);
                *ret_bytes += g_ascii_strtoull(row[6], NULL, 10);
        }
}

/* A statement that made or changed tables may have brought a family together whose tables are not copied as cascade.h needs it. Then those that
 * cascades change are copied again, after the others. */
static bool forget_families(const Ledger *ledger, Conn *downstream, const LinkTables *tables, guint64 done_seq, GError **error) {
        for (guint f = 0; f < tables->families->len; f++) {
                const Family *family = tables->families->pdata[f];
                /* All tables of a family are copied again, or none. */
                if (!((const LinkTable *) family->tables->pdata[0])->chunks || family_copy_holds(family, done_seq))
                        continue;
                for (guint i = 0; i < family->cascaded->len; i++) {
                        LinkTable *table = family->cascaded->pdata[i];
                        g_autofree char *database = sql_string(table->schema->database), *name = sql_string(table->schema->name);
                        if (!conn_execf(downstream, error, "DELETE FROM %s WHERE db=%s AND tbl=%s", ledger->chunk, database, name))
                                return false;
                        chunk_map_forget(table->chunks);
                }
        }
        return true;
}

bool copy_load(const Ledger *ledger, Conn *downstream, LinkTables *tables, bool copying, guint64 done_seq, guint64 *ret_rows,
               guint64 *ret_bytes, GError **error) {
        return load_chunks(ledger, downstream, tables, copying, ret_rows, ret_bytes, error) &&
               forget_families(ledger, downstream, tables, done_seq, error);
}
