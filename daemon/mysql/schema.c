/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables from information_schema in five statements, whatever their number: joins and ORDER BY there cost the
 * server temporary tables on disk, so the results are put together here. */

#include "mysql/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mysql/schema-columns.h"
#include "mysql/sql.h"
#include "mysql/value.h"

static void index_free(Index *index) {
        g_free(index->name);
        g_free(index->type);
        g_array_unref(index->columns);
        g_free(index);
}

void table_schema_free(TableSchema *table) {
        if (!table)
                return;
        g_free(table->database);
        g_free(table->name);
        g_free(table->engine);
        g_free(table->row_format);
        g_free(table->options);
        g_ptr_array_unref(table->columns);
        g_ptr_array_unref(table->indexes);
        g_array_unref(table->key);
        g_clear_pointer(&table->foreign_keys, g_ptr_array_unref);
        g_free(table);
}

bool schema_is_system_database(const char *name) {
        static const char *const names[] = {"mysql", "information_schema", "performance_schema", "sys",
                                            "polarshift"};
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                if (g_ascii_strcasecmp(name, names[i]) == 0)
                        return true;
        return false;
}

/* ---- reading */

typedef struct Loader {
        Conn *conn;
        const char *database, *name; /* or NULL: all */
        GPtrArray *tables;
        GHashTable *by_name;
} Loader;

static void loader_clear(Loader *loader) {
        g_clear_pointer(&loader->tables, g_ptr_array_unref);
        g_clear_pointer(&loader->by_name, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Loader, loader_clear)

/* Names may hold any character, so the length tells where the first one ends. */
static char *table_key(const char *database, const char *name) {
        return g_strdup_printf("%zu:%s%s", strlen(database), database, name);
}

static guint64 number(const char *text) {
        return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

/* Without a constant schema and name the server opens every table of every database. */
static char *statement(const Loader *loader, const char *columns, const char *from, const char *schema_column,
                       const char *and) {
        GString *sql = g_string_new("SELECT ");
        g_string_append_printf(sql, "%s FROM information_schema.%s WHERE ", columns, from);
        if (loader->database) {
                g_autofree char *database = sql_string(loader->database);
                g_string_append_printf(sql, "%s=%s", schema_column, database);
        } else
                g_string_append_printf(
                                sql,
                                "%s NOT IN "
                                "('mysql','information_schema','performance_schema','sys','polarshift')",
                                schema_column);
        if (loader->name) {
                g_autofree char *name = sql_string(loader->name);
                g_string_append_printf(sql, " AND TABLE_NAME=%s", name);
        }
        g_string_append(sql, and);
        return g_string_free(sql, FALSE);
}

static TableSchema *find(const Loader *loader, const char *database, const char *name) {
        if (!database || !name)
                return NULL;
        g_autofree char *key = table_key(database, name);
        return g_hash_table_lookup(loader->by_name, key);
}

typedef void (*RowFunc)(Loader *loader, char **row);

static bool load(Loader *loader, char *sql, RowFunc func, GError **error) {
        g_autofree char *owned = sql;
        g_autoptr(ConnRows) rows = conn_query(loader->conn, owned, error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));)
                func(loader, row);
        return true;
}

static void take_table(Loader *loader, char **row) {
        if (!row[0] || !row[1] || schema_is_system_database(row[0]))
                return;
        TableSchema *table = g_new0(TableSchema, 1);
        *table = (TableSchema){
                        .database = g_strdup(row[0]),
                        .name = g_strdup(row[1]),
                        .engine = g_strdup(row[2] ?: ""),
                        .columns = g_ptr_array_new_with_free_func((GDestroyNotify)column_free),
                        .indexes = g_ptr_array_new_with_free_func((GDestroyNotify)index_free),
                        .key = g_array_new(FALSE, FALSE, sizeof(unsigned)),
                        .rows_estimate = number(row[3]),
                        .avg_row_bytes = number(row[4]),
                        .data_bytes = number(row[5]),
                        .index_bytes = number(row[6]),
                        .auto_increment = number(row[7]),
                        .row_format = g_strdup(row[8] ?: ""),
                        .options = g_strdup(row[9] ?: ""),
        };
        g_ptr_array_add(loader->tables, table);
        g_hash_table_insert(loader->by_name, table_key(row[0], row[1]), table);
}

static void take_column(Loader *loader, char **row) {
        TableSchema *table = find(loader, row[0], row[1]);
        if (table)
                column_array_put(table->columns, number(row[2]), column_from_row(row + 3));
}

static int column_position(const TableSchema *table, const char *name) {
        for (guint i = 0; name && i < table->columns->len; i++) {
                const Column *column = table->columns->pdata[i];
                if (column && g_str_equal(column->name, name))
                        return (int)i;
        }
        return -1;
}

/* One part: schema, table, index, SEQ_IN_INDEX, NON_UNIQUE, column, SUB_PART, INDEX_TYPE. Parts of an index
 * come in order. */
static void take_index_part(Loader *loader, char **row) {
        TableSchema *table = find(loader, row[0], row[1]);
        if (!table || !row[2])
                return;
        Index *index = table->indexes->len > 0 ? table->indexes->pdata[table->indexes->len - 1] : NULL;
        if (!index || !g_str_equal(index->name, row[2])) {
                index = g_new0(Index, 1);
                index->name = g_strdup(row[2]);
                index->type = g_strdup(row[7] ?: "");
                index->unique = number(row[4]) == 0;
                index->columns = g_array_new(FALSE, FALSE, sizeof(unsigned));
                g_ptr_array_add(table->indexes, index);
        }
        int position = column_position(table, row[5]);
        if (position < 0) { /* an expression: MySQL 8 */
                index->prefix = true;
                index->nullable = true;
                return;
        }
        unsigned column = (unsigned)position;
        g_array_append_val(index->columns, column);
        if (row[6])
                index->prefix = true;
        if (((const Column *)table->columns->pdata[column])->nullable)
                index->nullable = true;
}

static bool load_foreign_keys(Loader *loader, GError **error) {
        g_autoptr(GPtrArray) keys = foreign_keys_load(loader->conn, loader->database, loader->name, error);
        if (!keys)
                return false;
        for (guint i = 0; i < keys->len; i++) {
                ForeignKey *key = keys->pdata[i];
                TableSchema *table = find(loader, key->database, key->table);
                if (!table)
                        continue;
                table->has_cascade |= foreign_key_cascades(key);
                if (!table->foreign_keys)
                        table->foreign_keys = g_ptr_array_new_with_free_func((GDestroyNotify)foreign_key_free);
                g_ptr_array_add(table->foreign_keys, g_steal_pointer(&keys->pdata[i]));
        }
        return true;
}

/* ---- the row key */

static bool is_primary(const Index *index) {
        return g_ascii_strcasecmp(index->name, "PRIMARY") == 0;
}

static int compare_indexes(const void *a, const void *b) {
        const Index *x = *(Index *const *)a, *y = *(Index *const *)b;
        bool px = is_primary(x), py = is_primary(y);
        if (px != py)
                return px ? -1 : 1;
        return strcmp(x->name, y->name);
}

static guint64 key_bytes(const TableSchema *table, const Index *index) {
        guint64 bytes = 0;
        for (guint i = 0; i < index->columns->len; i++)
                bytes += column_key_bytes(table->columns->pdata[g_array_index(index->columns, unsigned, i)]);
        return bytes;
}

/* No literal is equal to a FLOAT that is read as an index sees it on every server: such a key finds nothing. */
static bool holds_float(const TableSchema *table, const Index *index) {
        for (guint i = 0; i < index->columns->len; i++) {
                const Column *column = table->columns->pdata[g_array_index(index->columns, unsigned, i)];
                if (column->kind == COLUMN_KIND_FLOAT)
                        return true;
        }
        return false;
}

static const Index *choose_key(const TableSchema *table) {
        const Index *best = NULL;
        for (guint i = 0; i < table->indexes->len; i++) {
                const Index *index = table->indexes->pdata[i];
                if (!index->unique || holds_float(table, index))
                        continue;
                if (is_primary(index))
                        return index;
                /* MariaDB's UNIQUE … HASH over long values cannot be walked in order. */
                if (index->nullable || index->prefix || index->columns->len == 0 ||
                    g_ascii_strcasecmp(index->type, "BTREE") != 0)
                        continue;
                if (!best || key_bytes(table, index) < key_bytes(table, best))
                        best = index;
        }
        return best;
}

static void finish(TableSchema *table) {
        qsort(table->indexes->pdata, table->indexes->len, sizeof(void *), compare_indexes);
        const Index *key = choose_key(table);
        for (guint i = 0; i < table->indexes->len; i++) {
                const Index *index = table->indexes->pdata[i];
                if (index->unique && index != key)
                        table->n_unique_secondary++;
        }
        if (!key)
                return;
        table->key_is_primary = is_primary(key);
        table->key_prefix = key->prefix;
        for (guint i = 0; i < key->columns->len; i++) {
                unsigned column = g_array_index(key->columns, unsigned, i);
                g_array_append_val(table->key, column);
        }
        table_schema_order_key(table);
}

void table_schema_order_key(TableSchema *table) {
        table->key_order = table->key->len == 0 ? KEY_ORDER_NONE : table->key_prefix ? KEY_ORDER_SERVER : KEY_ORDER_AGENT;
        for (guint i = 0; i < table->key->len; i++) {
                const Column *column = table->columns->pdata[g_array_index(table->key, unsigned, i)];
                table->key_has_text |= column->kind == COLUMN_KIND_TEXT;
                if (!value_comparable(column))
                        table->key_order = KEY_ORDER_SERVER;
        }
}

static int compare_tables(const void *a, const void *b) {
        const TableSchema *x = *(TableSchema *const *)a, *y = *(TableSchema *const *)b;
        int order = strcmp(x->database, y->database);
        return order != 0 ? order : strcmp(x->name, y->name);
}

/* A table that was dropped or altered between the statements: without columns, or with a gap in them. */
static bool is_whole(const TableSchema *table) {
        for (guint i = 0; i < table->columns->len; i++)
                if (!table->columns->pdata[i])
                        return false;
        return table->columns->len > 0;
}

static GPtrArray *load_tables(Conn *conn, const char *database, const char *name, GError **error) {
        g_auto(Loader) loader = {
                        .conn = conn,
                        .database = database,
                        .name = name,
                        .tables = g_ptr_array_new_with_free_func((GDestroyNotify)table_schema_free),
                        .by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        };
        const Flavor *flavor = conn_flavor(conn);
        /* MySQL 8 answers from a cache that may be a day old. */
        if (!flavor->mariadb && flavor->version >= 80003 &&
            !conn_exec(conn, "SET information_schema_stats_expiry=0", -1, NULL, error))
                return NULL;
        if (!load(&loader,
                  statement(&loader,
                            "TABLE_SCHEMA,TABLE_NAME,ENGINE,TABLE_ROWS,AVG_ROW_LENGTH,DATA_LENGTH,INDEX_"
                            "LENGTH,"
                            "AUTO_INCREMENT,ROW_FORMAT,CREATE_OPTIONS",
                            "TABLES", "TABLE_SCHEMA", " AND TABLE_TYPE='BASE TABLE'"),
                  take_table, error) ||
            !load(&loader,
                  statement(&loader, "TABLE_SCHEMA,TABLE_NAME,ORDINAL_POSITION," COLUMN_SELECT_LIST,
                            "COLUMNS", "TABLE_SCHEMA", ""),
                  take_column, error) ||
            !load(&loader,
                  statement(&loader,
                            "TABLE_SCHEMA,TABLE_NAME,INDEX_NAME,SEQ_IN_INDEX,NON_UNIQUE,COLUMN_NAME,SUB_PART,"
                            "INDEX_TYPE",
                            "STATISTICS", "TABLE_SCHEMA",
                            flavor->mariadb || flavor->version < 80000
                                            ? "" /* in order as the tables are opened one by one */
                                            : " ORDER BY TABLE_SCHEMA,TABLE_NAME,INDEX_NAME,SEQ_IN_INDEX"),
                  take_index_part, error) ||
            !load_foreign_keys(&loader, error))
                return NULL;
        GPtrArray *whole = g_ptr_array_new_with_free_func((GDestroyNotify)table_schema_free);
        for (guint i = 0; i < loader.tables->len; i++) {
                TableSchema *table = loader.tables->pdata[i];
                if (is_whole(table)) {
                        finish(table);
                        g_ptr_array_add(whole, g_steal_pointer(&loader.tables->pdata[i]));
                }
        }
        qsort(whole->pdata, whole->len, sizeof(void *), compare_tables);
        return whole;
}

GPtrArray *schema_load(Conn *conn, const char *database, GError **error) {
        return load_tables(conn, database, NULL, error);
}

TableSchema *schema_load_table(Conn *conn, const char *database, const char *name, GError **error) {
        g_autoptr(GPtrArray) tables = load_tables(conn, database, name, error);
        if (!tables || tables->len == 0)
                return NULL;
        return g_steal_pointer(&tables->pdata[0]);
}

/* ---- comparing two sides */

bool table_schema_compatible(const TableSchema *a, const TableSchema *b, GError **error) {
        if (a->columns->len != b->columns->len) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                            "%s.%s has %u columns on one side and %u on the other", a->database, a->name,
                            a->columns->len, b->columns->len);
                return false;
        }
        for (guint i = 0; i < a->columns->len; i++) {
                const Column *x = a->columns->pdata[i], *y = b->columns->pdata[i];
                const char *difference = column_difference(x, y);
                if (difference) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                                    "%s.%s: column %u differs in its %s: `%s` %s, `%s` %s", a->database,
                                    a->name, i + 1, difference, x->name, x->type, y->name, y->type);
                        return false;
                }
        }
        return true;
}
