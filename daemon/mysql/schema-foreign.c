/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See schema-foreign.h. What a key does stands in REFERENTIAL_CONSTRAINTS, its columns in KEY_COLUMN_USAGE; a join of the two would
 * cost the server a temporary table. */

#include "mysql/schema-foreign.h"

#include <string.h>

#include "mysql/sql.h"

void foreign_key_free(ForeignKey *key) {
        if (!key)
                return;
        g_free(key->name);
        g_free(key->database);
        g_free(key->table);
        g_free(key->parent_database);
        g_free(key->parent);
        g_ptr_array_unref(key->columns);
        g_ptr_array_unref(key->parent_columns);
        g_free(key);
}

static ForeignAction action(const char *rule) {
        if (g_ascii_strcasecmp(rule, "CASCADE") == 0)
                return FOREIGN_CASCADE;
        return g_ascii_strcasecmp(rule, "SET NULL") == 0 ? FOREIGN_SET_NULL : FOREIGN_RESTRICT;
}

static void append_columns(GString *out, const GPtrArray *columns) {
        for (guint i = 0; i < columns->len; i++) {
                g_string_append(out, i > 0 ? "," : " (");
                sql_append_identifier(out, columns->pdata[i]);
        }
        g_string_append_c(out, ')');
}

char *foreign_key_describe(const ForeignKey *key) {
        static const char *const names[] = {"RESTRICT", "CASCADE", "SET NULL"};
        GString *out = g_string_new(NULL);
        sql_append_table(out, key->database, key->table);
        append_columns(out, key->columns);
        g_string_append(out, " → ");
        sql_append_table(out, key->parent_database, key->parent);
        append_columns(out, key->parent_columns);
        g_string_append_printf(out, " ON DELETE %s ON UPDATE %s", names[key->on_delete], names[key->on_update]);
        return g_string_free(out, FALSE);
}

/* ---- reading */

static void append_where(GString *sql, const char *schema_column, const char *database, const char *name) {
        g_string_append_printf(sql, " WHERE %s", schema_column);
        if (database) {
                g_string_append_c(sql, '=');
                sql_append_string(sql, database, strlen(database));
        } else
                g_string_append(sql, " NOT IN ('mysql','information_schema','performance_schema','sys','polarshift')");
        if (name) {
                g_string_append(sql, " AND TABLE_NAME=");
                sql_append_string(sql, name, strlen(name));
        }
}

static char *index_key(const char *database, const char *table, const char *name) {
        return g_strdup_printf("%zu:%s%zu:%s%s", strlen(database), database, strlen(table), table, name);
}

static void take_key(GPtrArray *keys, GHashTable *index, char **row) {
        for (guint i = 0; i < 7; i++)
                if (!row[i])
                        return;
        ForeignKey *key = g_new0(ForeignKey, 1);
        *key = (ForeignKey){
                .database = g_strdup(row[0]),
                .table = g_strdup(row[1]),
                .name = g_strdup(row[2]),
                .parent_database = g_strdup(row[3]),
                .parent = g_strdup(row[4]),
                .on_delete = action(row[5]),
                .on_update = action(row[6]),
                .columns = g_ptr_array_new_with_free_func(g_free),
                .parent_columns = g_ptr_array_new_with_free_func(g_free),
        };
        g_ptr_array_add(keys, key);
        g_hash_table_insert(index, index_key(row[0], row[1], row[2]), key);
}

static void put(GPtrArray *columns, guint position, const char *name) {
        if (columns->len < position)
                g_ptr_array_set_size(columns, (gint) position);
        g_free(columns->pdata[position - 1]);
        columns->pdata[position - 1] = g_strdup(name);
}

static void take_column(GHashTable *index, char **row) {
        if (!row[0] || !row[1] || !row[2] || !row[3] || !row[4] || !row[5])
                return;
        g_autofree char *name = index_key(row[0], row[1], row[2]);
        ForeignKey *key = g_hash_table_lookup(index, name);
        guint64 position = g_ascii_strtoull(row[3], NULL, 10);
        if (!key || position == 0 || position > 64) /* an index has 32 parts at most */
                return;
        put(key->columns, (guint) position, row[4]);
        put(key->parent_columns, (guint) position, row[5]);
}

static bool is_whole(const ForeignKey *key) {
        for (guint i = 0; i < key->columns->len; i++)
                if (!key->columns->pdata[i])
                        return false;
        return key->columns->len > 0;
}

GPtrArray *foreign_keys_load(Conn *conn, const char *database, const char *name, GError **error) {
        g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify) foreign_key_free);
        g_autoptr(GHashTable) index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(GString) sql = g_string_new(
                "SELECT CONSTRAINT_SCHEMA,TABLE_NAME,CONSTRAINT_NAME,UNIQUE_CONSTRAINT_SCHEMA,REFERENCED_TABLE_NAME,"
                "DELETE_RULE,UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS");
        char **row;

        append_where(sql, "CONSTRAINT_SCHEMA", database, name);
        g_autoptr(ConnRows) rules = conn_query(conn, sql->str, error);
        if (!rules)
                return NULL;
        do {
                if (!conn_rows_next(rules, &row, NULL, error))
                        return NULL;
                if (row)
                        take_key(keys, index, row);
        } while (row);
        if (keys->len == 0)
                return g_steal_pointer(&keys);

        g_string_assign(sql, "SELECT TABLE_SCHEMA,TABLE_NAME,CONSTRAINT_NAME,ORDINAL_POSITION,COLUMN_NAME,"
                             "REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE");
        append_where(sql, "TABLE_SCHEMA", database, name);
        g_string_append(sql, " AND REFERENCED_TABLE_NAME IS NOT NULL");
        g_autoptr(ConnRows) columns = conn_query(conn, sql->str, error);
        if (!columns)
                return NULL;
        do {
                if (!conn_rows_next(columns, &row, NULL, error))
                        return NULL;
                if (row)
                        take_column(index, row);
        } while (row);
        for (guint i = keys->len; i > 0; i--) /* of a table that was dropped between the statements */
                if (!is_whole(keys->pdata[i - 1]))
                        g_ptr_array_remove_index(keys, i - 1);
        return g_steal_pointer(&keys);
}
