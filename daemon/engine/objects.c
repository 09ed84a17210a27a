/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which objects the source has, which of them are carried, and making those on the destination. What cannot
 * be carried is named one by one, never left out silently. A fixed number of statements reads it all,
 * whatever the number of tables. */

#include "engine/objects.h"

#include <string.h>

#include "base/error.h"
#include "mysql/conn.h"
#include "mysql/sql.h"

void unfit_object_free(UnfitObject *object) {
        if (!object)
                return;
        g_free(object->type);
        g_free(object->name);
        g_free(object->reason);
        g_free(object->hint);
        g_free(object);
}

void database_defaults_free(DatabaseDefaults *database) {
        if (!database)
                return;
        g_free(database->name);
        g_free(database->charset);
        g_free(database->collation);
        g_free(database);
}

void object_list_free(ObjectList *list) {
        if (!list)
                return;
        g_clear_pointer(&list->databases, g_ptr_array_unref);
        g_clear_pointer(&list->tables, g_ptr_array_unref);
        g_clear_pointer(&list->unfit, g_ptr_array_unref);
        g_free(list);
}

static void free_database(gpointer p) {
        database_defaults_free(p);
}
static void free_table(gpointer p) {
        table_schema_free(p);
}
static void free_unfit(gpointer p) {
        unfit_object_free(p);
}

static ObjectList *object_list_new(void) {
        ObjectList *list = g_new0(ObjectList, 1);
        list->databases = g_ptr_array_new_with_free_func(free_database);
        list->tables = g_ptr_array_new_with_free_func(free_table);
        list->unfit = g_ptr_array_new_with_free_func(free_unfit);
        return list;
}

/* Takes NAME and HINT over. */
static void add_object(GPtrArray *array, const char *type, char *name, const char *reason, char *hint) {
        UnfitObject *object = g_new0(UnfitObject, 1);
        object->type = g_strdup(type);
        object->name = name;
        object->reason = g_strdup(reason);
        object->hint = hint ? hint : g_strdup("");
        g_ptr_array_add(array, object);
}

/* Servers describe columns in utf8, three bytes a character at most: a member with a longer one (an emoji) is shown with a question mark, and
 * would be made so on the other side. A member with a question mark of its own cannot be told from it. */
static bool has_hidden_member(const Column *column) {
        static const char *const wide[] = {"utf8mb4", "utf16", "utf16le", "utf32"};
        if ((column->kind != COLUMN_KIND_ENUM && column->kind != COLUMN_KIND_SET) || !column->charset || !strchr(column->type, '?'))
                return false;
        for (gsize i = 0; i < G_N_ELEMENTS(wide); i++)
                if (g_str_equal(column->charset, wide[i]))
                        return true;
        return false;
}

bool objects_table_unfit(const TableSchema *table, char **ret_reason, char **ret_hint) {
        g_autofree char *name = sql_table(table->database, table->name);

        if (!table->engine || g_ascii_strcasecmp(table->engine, "InnoDB") != 0) {
                *ret_reason = g_strdup_printf(
                                "its engine is %s; only InnoDB can be read consistently while it changes",
                                table->engine ? table->engine : "unknown");
                *ret_hint = g_strdup_printf("ALTER TABLE %s ENGINE=InnoDB;", name);
                return true;
        }
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = table->columns->pdata[i];
                if (has_hidden_member(column)) {
                        *ret_reason = g_strdup_printf("column %s has the type %s, and servers show a character beyond three bytes of UTF-8 "
                                                      "as a question mark, so its members are not known exactly",
                                                      column->name, column->type);
                        *ret_hint = g_strdup("rename the members, or leave the table out with exclude");
                        return true;
                }
                if (column->kind != COLUMN_KIND_UNSUPPORTED)
                        continue;
                *ret_reason = g_strdup_printf("column %s has the type %s, which cannot be taken exactly",
                                              column->name, column->type ? column->type : "unknown");
                *ret_hint = g_strdup("change the column's type, or leave the table out with exclude");
                return true;
        }
        return false;
}

static bool list_databases(Conn *source, const MigrationSpec *spec, ObjectList *list, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(source,
                                              "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, "
                                              "DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA "
                                              "ORDER BY SCHEMA_NAME",
                                              error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[0] || schema_is_system_database(row[0]) || !spec_selects(spec, row[0], NULL))
                        continue;
                DatabaseDefaults *database = g_new0(DatabaseDefaults, 1);
                database->name = g_strdup(row[0]);
                database->charset = g_strdup(row[1]);
                database->collation = g_strdup(row[2]);
                g_ptr_array_add(list->databases, database);
        }
        return true;
}

/* Why the rows of TABLE change without anything in the log that speaks of it; NULL: they do not. CARRIED: set of `db`.`table`. */
static const ForeignKey *follows_unseen(const TableSchema *table, GHashTable *carried) {
        for (guint i = 0; table->foreign_keys && i < table->foreign_keys->len; i++) {
                const ForeignKey *key = table->foreign_keys->pdata[i];
                g_autofree char *parent = sql_table(key->parent_database, key->parent);
                if (foreign_key_cascades(key) && !g_hash_table_contains(carried, parent))
                        return key;
        }
        return NULL;
}

static const TableSchema *find_table(const ObjectList *list, const char *database, const char *name) {
        for (guint i = 0; i < list->tables->len; i++) {
                const TableSchema *table = list->tables->pdata[i];
                if (strcmp(table->database, database) == 0 && strcmp(table->name, name) == 0)
                        return table;
        }
        return NULL;
}

/* The row that a cascade begins at, or that it takes along, is found by its key. */
static void leave_out_keyless(ObjectList *list) {
        g_autoptr(GHashTable) keyless = g_hash_table_new(g_direct_hash, g_direct_equal); /* of TableSchema */
        for (guint i = 0; i < list->tables->len; i++) {
                const TableSchema *table = list->tables->pdata[i];
                for (guint k = 0; table->foreign_keys && k < table->foreign_keys->len; k++) {
                        const ForeignKey *key = table->foreign_keys->pdata[k];
                        if (!foreign_key_cascades(key))
                                continue;
                        const TableSchema *parent = find_table(list, key->parent_database, key->parent);
                        if (table->key->len == 0)
                                g_hash_table_add(keyless, (gpointer) table);
                        if (parent && parent->key->len == 0)
                                g_hash_table_add(keyless, (gpointer) parent);
                }
        }
        for (guint i = list->tables->len; i > 0; i--) {
                const TableSchema *table = list->tables->pdata[i - 1];
                if (!g_hash_table_contains(keyless, table))
                        continue;
                g_autofree char *name = sql_table(table->database, table->name);
                add_object(list->unfit, "table", g_strdup(name),
                           "a cascading foreign key begins or ends at it, and it has no primary key and no unique key of NOT NULL columns "
                           "without FLOAT by which the row could be found",
                           g_strdup_printf("ALTER TABLE %s ADD PRIMARY KEY (...);", name));
                g_ptr_array_remove_index(list->tables, i - 1);
        }
}

/* A table that is left out may be the parent of others, so until nothing changes. */
static void leave_out_unseen(ObjectList *list) {
        g_autoptr(GHashTable) carried = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; i < list->tables->len; i++) {
                const TableSchema *table = list->tables->pdata[i];
                g_hash_table_add(carried, sql_table(table->database, table->name));
        }
        for (bool again = true; again;) {
                again = false;
                for (guint i = list->tables->len; i > 0; i--) {
                        const TableSchema *table = list->tables->pdata[i - 1];
                        const ForeignKey *key = follows_unseen(table, carried);
                        if (!key)
                                continue;
                        char *name = sql_table(table->database, table->name);
                        g_autofree char *parent = sql_table(key->parent_database, key->parent), *quoted = sql_identifier(key->name);
                        g_autofree char *reason = g_strdup_printf(
                                "its foreign key %s cascades changes of %s, which is not carried, and the server does not log what "
                                "a cascade changes", quoted, parent);
                        char *hint = g_strdup_printf("carry %s as well, or leave %s out, too, or ALTER TABLE %s DROP FOREIGN KEY %s, "
                                                     "ADD FOREIGN KEY ... ON DELETE RESTRICT ON UPDATE RESTRICT;",
                                                     parent, name, name, quoted);
                        g_hash_table_remove(carried, name);
                        add_object(list->unfit, "table", name, reason, hint);
                        g_ptr_array_remove_index(list->tables, i - 1);
                        again = true;
                }
        }
}

static bool list_tables(Conn *source, const MigrationSpec *spec, ObjectList *list, GError **error) {
        g_autoptr(GPtrArray) tables = schema_load(source, NULL, error);
        if (!tables)
                return false;
        for (guint i = 0; i < tables->len; i++) {
                TableSchema *table = tables->pdata[i];
                if (!spec_selects(spec, table->database, table->name))
                        continue;
                g_autofree char *reason = NULL;
                char *hint = NULL;
                if (objects_table_unfit(table, &reason, &hint)) {
                        add_object(list->unfit, "table", sql_table(table->database, table->name), reason,
                                   hint);
                        continue;
                }
                g_ptr_array_add(list->tables, table);
                tables->pdata[i] = NULL; /* handed over; table_schema_free() takes NULL */
        }
        leave_out_keyless(list);
        leave_out_unseen(list);
        return true;
}

ObjectList *objects_list(Conn *source, const MigrationSpec *spec, GError **error) {
        g_autoptr(ObjectList) list = object_list_new();

        if (!list_databases(source, spec, list, error) || !list_tables(source, spec, list, error))
                return NULL;
        return g_steal_pointer(&list);
}

/* ---- making them */

/* What SHOW CREATE TABLE prints is UTF-8 whatever the column's character set, so the session that runs it
 * must say so; under SET NAMES binary the members of a latin1 ENUM would arrive as UTF-8 bytes. Without
 * strictness a definition that the source accepted is accepted again (zero dates as defaults, wide rows). The
 * optional ones do not exist everywhere; each keeps the server from reading the text in another way than it
 * was meant: explicit_defaults_for_timestamp: a bare TIMESTAMP gets no default of its own (5.6: not a
 * session's, see the check); old_mode, character_set_collations: "utf8" stays utf8mb3 and keeps its old
 * default collation; alter_algorithm: MariaDB refuses no ALTER for how it would have to do it; the last three:
 * MySQL 8 neither adds a column of its own to a table without a primary key nor
 * refuses that or a foreign key to columns that are not unique. */
bool objects_session_for_create(Conn *conn, GError **error) {
        static const char *const optional[] = {
                        "SET SESSION explicit_defaults_for_timestamp=1",
                        "SET SESSION innodb_strict_mode=0",
                        "SET SESSION old_mode='UTF8_IS_UTF8MB3'",
                        "SET SESSION character_set_collations=''",
                        "SET SESSION default_collation_for_utf8mb4='utf8mb4_general_ci'",
                        "SET SESSION alter_algorithm='DEFAULT'",
                        "SET SESSION sql_generate_invisible_primary_key=0",
                        "SET SESSION sql_require_primary_key=0",
                        "SET SESSION restrict_fk_on_non_standard_key=0",
        };

        if (!conn_exec(conn, "SET NAMES utf8mb4", -1, NULL, error) ||
            !conn_exec(conn,
                       "SET SESSION "
                       "sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,NO_DIR_IN_"
                       "CREATE', "
                       "foreign_key_checks=0",
                       -1, NULL, error))
                return false;
        for (gsize i = 0; i < G_N_ELEMENTS(optional); i++) {
                g_autoptr(GError) e = NULL;
                if (!conn_exec(conn, optional[i], -1, NULL, &e) && conn_is_dead(conn)) {
                        g_propagate_error(error, g_steal_pointer(&e));
                        return false;
                }
        }
        return true;
}

static bool session_restore(Conn *conn, const char *sql_mode, GError **error) {
        g_autofree char *quoted = sql_string(sql_mode);
        return conn_exec(conn, "SET NAMES binary", -1, NULL, error) &&
               conn_exec(conn, "SET SESSION character_set_results=NULL", -1, NULL, error) &&
               conn_execf(conn, error, "SET SESSION sql_mode=%s", quoted);
}

static bool create_databases(Conn *destination, const ObjectList *list, GError **error) {
        for (guint i = 0; i < list->databases->len; i++) {
                const DatabaseDefaults *database = list->databases->pdata[i];
                g_autofree char *name = sql_identifier(database->name);
                g_autoptr(GString) sql = g_string_new(NULL);
                g_string_printf(sql, "CREATE DATABASE IF NOT EXISTS %s", name);
                if (database->charset)
                        g_string_append_printf(sql, " CHARACTER SET %s", database->charset);
                if (database->collation)
                        g_string_append_printf(sql, " COLLATE %s", database->collation);
                if (!conn_exec(destination, sql->str, (gssize)sql->len, NULL, error)) {
                        g_prefix_error(error, "cannot make database %s: ", name);
                        return false;
                }
        }
        return true;
}

/* By `db`.`table`; the values belong to TABLES. */
static GHashTable *index_tables(const GPtrArray *tables) {
        GHashTable *index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; i < tables->len; i++) {
                const TableSchema *table = tables->pdata[i];
                g_hash_table_insert(index, sql_table(table->database, table->name), (gpointer)table);
        }
        return index;
}

/* A table that is there already is ours only when it is empty and fits. */
static bool accept_existing(Conn *destination, const TableSchema *table, const TableSchema *existing,
                            const char *name, GError **error) {
        g_autoptr(GError) e = NULL;
        g_autofree char *found = NULL;

        if (!table_schema_compatible(table, existing, error)) {
                g_prefix_error(error, "table %s exists on the destination and differs: ", name);
                return false;
        }
        g_autofree char *sql = g_strdup_printf("SELECT 1 FROM %s LIMIT 1", name);
        found = conn_query_string(destination, sql, &e);
        if (e) {
                g_propagate_error(error, g_steal_pointer(&e));
                return false;
        }
        if (found) {
                g_set_error(error, PS_ERROR, PS_ERROR_ALREADY_EXISTS,
                            "table %s exists on the destination and holds rows; drop or rename it there",
                            name);
                return false;
        }
        return true;
}

static bool create_table(Conn *source, Conn *destination, const char *name, GError **error) {
        g_autoptr(ConnRows) rows = conn_queryf(source, error, "SHOW CREATE TABLE %s", name);
        if (!rows) {
                g_prefix_error(error, "cannot read the definition of %s: ", name);
                return false;
        }
        char **row = conn_rows_take(rows);
        if (!row || conn_rows_columns(rows) < 2 || !row[1]) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the source shows no definition of %s", name);
                return false;
        }
        g_autoptr(GError) local = NULL;
        if (conn_exec(destination, row[1], -1, NULL, &local))
                return true;
        if (conn_is_dead(destination) || mysql_error_is_retryable(local)) {
                g_propagate_prefixed_error(error, g_steal_pointer(&local), "cannot make table %s: ", name);
                return false;
        }
        /* What the old server allowed and the new one no longer does (prefixes of spatial columns, DOUBLE AUTO_INCREMENT, …). */
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "the destination does not take the definition of table %s; change it on the source, or leave the table out with "
                    "exclude: %s", name, local->message);
        return false;
}

static bool create_tables(Conn *source, Conn *destination, const ObjectList *list, GError **error) {
        g_autoptr(GPtrArray) before = schema_load(destination, NULL, error);
        if (!before)
                return false;
        g_autoptr(GHashTable) existing = index_tables(before);

        const char *database = NULL;
        for (guint i = 0; i < list->tables->len; i++) {
                const TableSchema *table = list->tables->pdata[i];
                g_autofree char *name = sql_table(table->database, table->name);
                const TableSchema *there = g_hash_table_lookup(existing, name);
                if (there) {
                        if (!accept_existing(destination, table, there, name, error))
                                return false;
                        continue;
                }
                if (!database || strcmp(database, table->database) != 0) {
                        g_autofree char *quoted = sql_identifier(table->database);
                        if (!conn_execf(destination, error, "USE %s", quoted))
                                return false;
                        database = table->database;
                }
                if (!create_table(source, destination, name, error))
                        return false;
        }
        return true;
}

static bool prove_tables(Conn *destination, const ObjectList *list, GError **error) {
        g_autoptr(GPtrArray) after = schema_load(destination, NULL, error);
        if (!after)
                return false;
        g_autoptr(GHashTable) index = index_tables(after);

        for (guint i = 0; i < list->tables->len; i++) {
                const TableSchema *table = list->tables->pdata[i];
                g_autofree char *name = sql_table(table->database, table->name);
                const TableSchema *made = g_hash_table_lookup(index, name);
                if (!made) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                                    "table %s was made on the destination but is not seen there", name);
                        return false;
                }
                if (!table_schema_compatible(table, made, error)) {
                        g_prefix_error(error, "table %s came out differently on the destination: ", name);
                        return false;
                }
        }
        return true;
}

bool objects_create(Conn *source, Conn *destination, const ObjectList *list, GError **error) {
        g_autofree char *sql_mode = conn_query_string(destination, "SELECT @@session.sql_mode", error);
        if (!sql_mode)
                return false;

        bool done = objects_session_for_create(destination, error) && create_databases(destination, list, error) &&
                    create_tables(source, destination, list, error);
        if (conn_is_dead(destination))
                return done;
        /* The first error is the one to tell. */
        if (!session_restore(destination, sql_mode, done ? error : NULL))
                return false;
        return done && prove_tables(destination, list, error);
}

bool objects_drop_empty(Conn *destination, const TableSchema *table, GError **error) {
        g_autofree char *name = sql_table(table->database, table->name);
        g_autoptr(ConnRows) rows = conn_queryf(destination, error, "SELECT 1 FROM %s LIMIT 1", name);
        if (!rows || conn_rows_count(rows) > 0)
                return false;
        return conn_execf(destination, error, "DROP TABLE %s", name);
}
