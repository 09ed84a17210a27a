/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See schema-foreign.h. Where foreign keys are InnoDB's own, they are read from its system tables: REFERENTIAL_CONSTRAINTS,
 * KEY_COLUMN_USAGE and SHOW CREATE TABLE show what its cache holds, and a RENAME can leave names there that end the server when they are
 * read (see ddl-rename.h). MySQL 8 has them in its dictionary. */

#include "mysql/schema-foreign.h"

#include <string.h>

#include "mysql/schema.h"
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

typedef struct Reader {
        const char *database, *name; /* or NULL: all */
        GPtrArray *keys;
        GHashTable *index; /* of ForeignKey, by what names it on this server */
        bool cut;          /* a name was longer than the view shows */
} Reader;

static void reader_clear(Reader *reader) {
        g_clear_pointer(&reader->keys, g_ptr_array_unref);
        g_clear_pointer(&reader->index, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_clear)

static bool is_wanted(const Reader *reader, const char *database, const char *name) {
        if (reader->database ? !g_str_equal(database, reader->database) : schema_is_system_database(database))
                return false;
        return !reader->name || g_str_equal(name, reader->name);
}

/* The key's columns, its child and its parent; takes ID, which must not be in use yet. */
static ForeignKey *add_key(Reader *reader, char *id, char *const *child, char *const *parent, const char *name) {
        ForeignKey *key = g_new0(ForeignKey, 1);
        *key = (ForeignKey){
                .database = g_strdup(child[0]),
                .table = g_strdup(child[1]),
                .name = g_strdup(name),
                .parent_database = g_strdup(parent[0]),
                .parent = g_strdup(parent[1]),
                .columns = g_ptr_array_new_with_free_func(g_free),
                .parent_columns = g_ptr_array_new_with_free_func(g_free),
        };
        g_ptr_array_add(reader->keys, key);
        g_hash_table_replace(reader->index, id, key);
        return key;
}

static void put(GPtrArray *columns, guint position, const char *name) {
        if (columns->len <= position)
                g_ptr_array_set_size(columns, (gint) position + 1);
        g_free(columns->pdata[position]);
        columns->pdata[position] = g_strdup(name);
}

static void put_column(const Reader *reader, const char *id, guint64 position, const char *column, const char *parent_column) {
        ForeignKey *key = g_hash_table_lookup(reader->index, id);
        if (!key || position >= 64) /* an index has 32 parts at most */
                return;
        put(key->columns, (guint) position, column);
        put(key->parent_columns, (guint) position, parent_column);
}

typedef void (*RowFunc)(Reader *reader, char **row);

/* Rows with a NULL are left out. */
static bool read_rows(Reader *reader, Conn *conn, const char *sql, RowFunc func, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                bool whole = true;
                for (unsigned i = 0; i < conn_rows_columns(rows); i++)
                        whole &= row[i] != NULL;
                if (whole)
                        func(reader, row);
        }
        return true;
}

/* ---- from InnoDB's system tables */

/* "database/table", encoded as names of files are; what is not so encoded the server shows with a mark. */
#define DECODED(part) "COALESCE(CONVERT(CONVERT(CONVERT(" part " USING binary) USING filename) USING utf8),CONCAT('#mysql50#'," part "))"
#define DECODED_NAME(column) \
        DECODED("SUBSTRING_INDEX(" column ",'/',1)") "," DECODED("SUBSTRING(" column ",LOCATE('/'," column ")+1)")

enum { ON_DELETE_CASCADE = 1, ON_DELETE_SET_NULL = 2, ON_UPDATE_CASCADE = 4, ON_UPDATE_SET_NULL = 8 };

#define VIEW_WIDTH 193 /* characters, for a database's and a table's name together */

/* ID ("database/name"), child, parent, TYPE, characters of the longest name */
static void take_innodb_key(Reader *reader, char **row) {
        if (g_ascii_strtoull(row[6], NULL, 10) >= VIEW_WIDTH)
                reader->cut = true;
        if (!is_wanted(reader, row[1], row[2]))
                return;
        const char *slash = strchr(row[0], '/');
        guint64 type = g_ascii_strtoull(row[5], NULL, 10);
        ForeignKey *key = add_key(reader, g_strdup(row[0]), row + 1, row + 3, slash ? slash + 1 : row[0]);
        key->on_delete = type & ON_DELETE_CASCADE ? FOREIGN_CASCADE : type & ON_DELETE_SET_NULL ? FOREIGN_SET_NULL : FOREIGN_RESTRICT;
        key->on_update = type & ON_UPDATE_CASCADE ? FOREIGN_CASCADE : type & ON_UPDATE_SET_NULL ? FOREIGN_SET_NULL : FOREIGN_RESTRICT;
}

/* ID, place from 0 on, column, the parent's column */
static void take_innodb_column(Reader *reader, char **row) {
        put_column(reader, row[0], g_ascii_strtoull(row[1], NULL, 10), row[2], row[3]);
}

static bool read_innodb(Reader *reader, Conn *conn, GError **error) {
        return read_rows(reader, conn,
                         "SELECT ID," DECODED_NAME("FOR_NAME") "," DECODED_NAME("REF_NAME") ",TYPE,"
                         "GREATEST(CHAR_LENGTH(ID),CHAR_LENGTH(FOR_NAME),CHAR_LENGTH(REF_NAME)) FROM information_schema.INNODB_SYS_FOREIGN",
                         take_innodb_key, error) &&
               (reader->keys->len == 0 || reader->cut ||
                read_rows(reader, conn, "SELECT ID,POS,FOR_COL_NAME,REF_COL_NAME FROM information_schema.INNODB_SYS_FOREIGN_COLS",
                          take_innodb_column, error));
}

/* ---- from MySQL's dictionary, or from what the server makes of InnoDB's cache */

static char *dictionary_id(char *const *row) {
        return g_strdup_printf("%zu:%s%zu:%s%s", strlen(row[0]), row[0], strlen(row[1]), row[1], row[2]);
}

/* Child, name, parent, rules */
static void take_dictionary_key(Reader *reader, char **row) {
        ForeignKey *key = add_key(reader, dictionary_id(row), row, row + 3, row[2]);
        key->on_delete = action(row[5]);
        key->on_update = action(row[6]);
}

/* Child, name, place from 1 on, column, the parent's column */
static void take_dictionary_column(Reader *reader, char **row) {
        g_autofree char *id = dictionary_id(row);
        put_column(reader, id, g_ascii_strtoull(row[3], NULL, 10) - 1, row[4], row[5]);
}

static void append_where(GString *sql, const char *schema_column, const Reader *reader) {
        g_string_append_printf(sql, " WHERE %s", schema_column);
        if (reader->database) {
                g_string_append_c(sql, '=');
                sql_append_string(sql, reader->database, strlen(reader->database));
        } else
                g_string_append(sql, " NOT IN ('mysql','information_schema','performance_schema','sys','polarshift')");
        if (reader->name) {
                g_string_append(sql, " AND TABLE_NAME=");
                sql_append_string(sql, reader->name, strlen(reader->name));
        }
}

/* A join of the two would cost the server a temporary table. */
static bool read_dictionary(Reader *reader, Conn *conn, GError **error) {
        g_autoptr(GString) sql = g_string_new(
                "SELECT CONSTRAINT_SCHEMA,TABLE_NAME,CONSTRAINT_NAME,UNIQUE_CONSTRAINT_SCHEMA,REFERENCED_TABLE_NAME,"
                "DELETE_RULE,UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS");
        append_where(sql, "CONSTRAINT_SCHEMA", reader);
        if (!read_rows(reader, conn, sql->str, take_dictionary_key, error))
                return false;
        if (reader->keys->len == 0)
                return true;
        g_string_assign(sql, "SELECT TABLE_SCHEMA,TABLE_NAME,CONSTRAINT_NAME,ORDINAL_POSITION,COLUMN_NAME,"
                             "REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE");
        append_where(sql, "TABLE_SCHEMA", reader);
        g_string_append(sql, " AND REFERENCED_TABLE_NAME IS NOT NULL");
        return read_rows(reader, conn, sql->str, take_dictionary_column, error);
}

static bool is_whole(const ForeignKey *key) {
        for (guint i = 0; i < key->columns->len; i++)
                if (!key->columns->pdata[i])
                        return false;
        return key->columns->len > 0;
}

GPtrArray *foreign_keys_load(Conn *conn, const char *database, const char *name, GError **error) {
        g_auto(Reader) reader = {
                .database = database,
                .name = name,
                .keys = g_ptr_array_new_with_free_func((GDestroyNotify) foreign_key_free),
                .index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        };
        bool dictionary = flavor_has_dictionary(conn_flavor(conn));
        if (!dictionary && !read_innodb(&reader, conn, error))
                return NULL;
        if (reader.cut) { /* about 40 characters that are no ASCII, so that nothing else tells */
                g_ptr_array_set_size(reader.keys, 0);
                g_hash_table_remove_all(reader.index);
        }
        if ((dictionary || reader.cut) && !read_dictionary(&reader, conn, error))
                return NULL;
        for (guint i = reader.keys->len; i > 0; i--) /* of a table that was dropped between the statements */
                if (!is_whole(reader.keys->pdata[i - 1]))
                        g_ptr_array_remove_index(reader.keys, i - 1);
        return g_steal_pointer(&reader.keys);
}
