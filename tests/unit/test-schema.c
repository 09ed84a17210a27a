/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Schemas as real servers describe them; see live.h. */

#include "live.h"

#define ALL_TYPES                                                                                            \
        "CREATE TABLE all_types (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, t1 TINYINT, t2 SMALLINT "       \
        "UNSIGNED, "                                                                                         \
        "t3 MEDIUMINT NOT NULL, t4 INT(10) UNSIGNED ZEROFILL, de DECIMAL(30,10) UNSIGNED, fl FLOAT, db "     \
        "DOUBLE, "                                                                                           \
        "bi BIT(13), ye YEAR, da DATE, ti TIME(3), dt DATETIME(6), ts TIMESTAMP NULL, "                      \
        "en ENUM('a','it''s, no','c\\\\','') CHARACTER SET latin1, se SET('x','y','z') COLLATE utf8_bin, "   \
        "ch CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, vc VARCHAR(300) CHARACTER SET latin1, tt "   \
        "TINYTEXT, "                                                                                         \
        "lt LONGTEXT, bn BINARY(7), vb VARBINARY(20), bl BLOB, ge POINT, `we``ird. näme` INT, "             \
        "PRIMARY KEY (id), UNIQUE KEY u (t3,t1), KEY k (vc(10))) ENGINE=InnoDB DEFAULT CHARSET=utf8"

static const Column *column_named(const TableSchema *table, const char *name) {
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = table->columns->pdata[i];
                if (g_str_equal(column->name, name))
                        return column;
        }
        g_test_message("no column %s", name);
        g_assert_not_reached();
}

static void test_schema_columns(gconstpointer uri) {
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        run(conn, "DROP TABLE IF EXISTS all_types");
        run(conn, ALL_TYPES);
        run(conn, "INSERT INTO all_types (id,t3) VALUES (41,1)");
        g_autoptr(TableSchema) table = load_table(conn, "all_types");
        g_assert_cmpstr(table->engine, ==, "InnoDB");
        g_assert_cmpuint(table->columns->len, ==, 25);
        g_assert_cmpuint(table->auto_increment, ==, 42);
        static const struct {
                const char *name;
                ColumnKind kind;
                bool is_unsigned;
                guint32 length;
                unsigned precision, scale, fsp, int_bytes;
                const char *charset, *collation;
        } expected[] = {
                        {"id", COLUMN_KIND_INTEGER, true, 0, 0, 0, 0, 8, NULL, NULL},
                        {"t1", COLUMN_KIND_INTEGER, false, 0, 0, 0, 0, 1, NULL, NULL},
                        {"t2", COLUMN_KIND_INTEGER, true, 0, 0, 0, 0, 2, NULL, NULL},
                        {"t3", COLUMN_KIND_INTEGER, false, 0, 0, 0, 0, 3, NULL, NULL},
                        {"t4", COLUMN_KIND_INTEGER, true, 0, 0, 0, 0, 4, NULL, NULL},
                        {"de", COLUMN_KIND_DECIMAL, true, 0, 30, 10, 0, 0, NULL, NULL},
                        {"fl", COLUMN_KIND_FLOAT, false, 0, 0, 0, 0, 0, NULL, NULL},
                        {"db", COLUMN_KIND_DOUBLE, false, 0, 0, 0, 0, 0, NULL, NULL},
                        {"bi", COLUMN_KIND_BIT, false, 13, 0, 0, 0, 0, NULL, NULL},
                        {"ye", COLUMN_KIND_YEAR, false, 0, 0, 0, 0, 0, NULL, NULL},
                        {"da", COLUMN_KIND_DATE, false, 0, 0, 0, 0, 0, NULL, NULL},
                        {"ti", COLUMN_KIND_TIME, false, 0, 0, 0, 3, 0, NULL, NULL},
                        {"dt", COLUMN_KIND_DATETIME, false, 0, 0, 0, 6, 0, NULL, NULL},
                        {"ts", COLUMN_KIND_TIMESTAMP, false, 0, 0, 0, 0, 0, NULL, NULL},
                        {"en", COLUMN_KIND_ENUM, false, 4, 0, 0, 0, 0, "latin1", "latin1_swedish_ci"},
                        {"se", COLUMN_KIND_SET, false, 3, 0, 0, 0, 0, "utf8", "utf8_bin"},
                        {"ch", COLUMN_KIND_TEXT, false, 40, 0, 0, 0, 0, "utf8mb4", "utf8mb4_bin"},
                        {"vc", COLUMN_KIND_TEXT, false, 300, 0, 0, 0, 0, "latin1", "latin1_swedish_ci"},
                        {"tt", COLUMN_KIND_TEXT, false, 255, 0, 0, 0, 0, "utf8", "utf8_general_ci"},
                        {"lt", COLUMN_KIND_TEXT, false, G_MAXUINT32, 0, 0, 0, 0, "utf8", "utf8_general_ci"},
                        {"bn", COLUMN_KIND_BINARY, false, 7, 0, 0, 0, 0, NULL, NULL},
                        {"vb", COLUMN_KIND_BLOB, false, 20, 0, 0, 0, 0, NULL, NULL},
                        {"bl", COLUMN_KIND_BLOB, false, 65535, 0, 0, 0, 0, NULL, NULL},
                        {"ge", COLUMN_KIND_GEOMETRY, false, 0, 0, 0, 0, 0, NULL, NULL},
                        {"we`ird. näme", COLUMN_KIND_INTEGER, false, 0, 0, 0, 0, 4, NULL, NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
                const Column *column = column_named(table, expected[i].name);
                g_test_message("%s %s", column->name, column->type);
                g_assert_true(column == table->columns->pdata[i]);
                g_assert_cmpint(column->kind, ==, expected[i].kind);
                g_assert_true(column->is_unsigned == expected[i].is_unsigned);
                g_assert_cmpuint(column->length, ==, expected[i].length);
                g_assert_cmpuint(column->precision, ==, expected[i].precision);
                g_assert_cmpuint(column->scale, ==, expected[i].scale);
                g_assert_cmpuint(column->fsp, ==, expected[i].fsp);
                g_assert_cmpuint(column->int_bytes, ==, expected[i].int_bytes);
                g_assert_cmpstr(column->charset, ==, expected[i].charset);
                g_assert_cmpstr(column->collation, ==, expected[i].collation);
                g_assert_true(column->auto_increment == (i == 0));
                g_assert_true(column->nullable == (i != 0 && !g_str_equal(column->name, "t3")));
                g_assert_false(column->generated);
        }
        g_assert_true(table->key_is_primary);
        g_assert_cmpint(table->key_order, ==, KEY_ORDER_AGENT);
        g_assert_cmpuint(table->key->len, ==, 1);
        g_assert_cmpuint(table->n_unique_secondary, ==, 1);
        g_assert_cmpuint(table->indexes->len, ==, 3);
        const Index *index = table->indexes->pdata[1];
        g_assert_cmpstr(index->name, ==, "k");
        g_assert_true(index->prefix && !index->unique);
        index = table->indexes->pdata[2];
        g_assert_true(index->unique && index->nullable && index->columns->len == 2);
        g_assert_cmpuint(g_array_index(index->columns, unsigned, 0), ==, 3);
        g_assert_true(table_schema_compatible(table, table, NULL));
        run(conn, "DROP TABLE all_types");
}

static void assert_key(Conn *conn, const char *definition, KeyOrder order, const char *columns,
                       unsigned n_secondary) {
        run(conn, "DROP TABLE IF EXISTS k");
        g_autofree char *sql =
                        g_strdup_printf("CREATE TABLE k (%s) ENGINE=InnoDB DEFAULT CHARSET=utf8", definition);
        run(conn, sql);
        g_autoptr(TableSchema) table = load_table(conn, "k");
        g_autoptr(GString) key = g_string_new("");
        for (guint i = 0; i < table->key->len; i++) {
                const Column *column = table->columns->pdata[g_array_index(table->key, unsigned, i)];
                g_string_append_printf(key, "%s%s", i > 0 ? "," : "", column->name);
        }
        g_test_message("%s", definition);
        g_assert_cmpstr(key->str, ==, columns);
        g_assert_cmpint(table->key_order, ==, order);
        g_assert_cmpuint(table->n_unique_secondary, ==, n_secondary);
        run(conn, "DROP TABLE k");
}

static void test_schema_keys(gconstpointer uri) {
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        assert_key(conn, "a INT, b INT", KEY_ORDER_NONE, "", 0);
        assert_key(conn, "a INT, b INT NOT NULL, UNIQUE(a)", KEY_ORDER_NONE, "", 1);
        assert_key(conn, "a INT NOT NULL, b VARCHAR(20), PRIMARY KEY (b,a)", KEY_ORDER_SERVER, "b,a", 0);
        assert_key(conn, "a INT NOT NULL, b VARCHAR(20) COLLATE utf8_bin, PRIMARY KEY (b,a)", KEY_ORDER_AGENT,
                   "b,a", 0);
        assert_key(conn, "a VARBINARY(20) NOT NULL, PRIMARY KEY (a(5))", KEY_ORDER_SERVER, "a", 0);
        assert_key(conn,
                   "a VARBINARY(20) NOT NULL, b INT NOT NULL, c INT, UNIQUE (a(5)), UNIQUE (b), UNIQUE (c)",
                   KEY_ORDER_AGENT, "b", 2);
        assert_key(conn,
                   "a INT NOT NULL, b VARCHAR(20) NOT NULL, c SMALLINT NOT NULL, UNIQUE (b), UNIQUE (a), "
                   "UNIQUE(c)",
                   KEY_ORDER_AGENT, "c", 2);
        assert_key(conn, "a INT NOT NULL, b INT, c CHAR(3), PRIMARY KEY (a), UNIQUE (b), UNIQUE (c,b)",
                   KEY_ORDER_AGENT, "a", 2);
}

static void test_schema_tables(gconstpointer uri) {
        GError *error = NULL;
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        run(conn, "DROP DATABASE " DATABASE);
        run(conn, "CREATE DATABASE " DATABASE);
        run(conn, "USE " DATABASE);
        run(conn, "CREATE TABLE parent (id INT PRIMARY KEY) ENGINE=InnoDB");
        run(conn,
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE "
            "SET NULL) ENGINE=InnoDB");
        run(conn, "CREATE TABLE strict (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id)) "
                  "ENGINE=InnoDB");
        run(conn, "CREATE VIEW v AS SELECT * FROM parent");
        g_autoptr(GPtrArray) tables = schema_load(conn, DATABASE, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(tables->len, ==, 3);
        static const char *const names[] = {"child", "parent", "strict"};
        for (guint i = 0; i < 3; i++) {
                const TableSchema *table = tables->pdata[i];
                g_assert_cmpstr(table->name, ==, names[i]);
                g_assert_true(table->has_cascade == (i == 0));
        }
        g_assert_null(schema_load_table(conn, DATABASE, "none'such", &error));
        g_assert_no_error(error);
        g_autoptr(GPtrArray) all = schema_load(conn, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(all->len, >=, 3);
        for (guint i = 0; i < all->len; i++)
                g_assert_false(schema_is_system_database(((TableSchema *)all->pdata[i])->database));
        g_assert_false(table_schema_compatible(tables->pdata[0], tables->pdata[1], &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
        g_clear_error(&error);
        if (conn_flavor(conn)->mariadb) {
                run(conn,
                    "CREATE TABLE gen (a INT PRIMARY KEY, b INT AS (a+1) VIRTUAL, c INT AS (a+2) STORED, "
                    "d TEXT COMPRESSED, e INET6, f DATETIME DEFAULT CURRENT_TIMESTAMP, g JSON, UNIQUE(g)) "
                    "ENGINE=InnoDB");
                g_autoptr(TableSchema) table = load_table(conn, "gen");
                g_assert_true(column_named(table, "b")->generated && column_named(table, "c")->generated);
                g_assert_false(column_named(table, "f")->generated);
                g_assert_cmpint(column_named(table, "d")->kind, ==, COLUMN_KIND_UNSUPPORTED);
                g_assert_cmpint(column_named(table, "e")->kind, ==, COLUMN_KIND_UNSUPPORTED);
                g_assert_cmpint(column_named(table, "g")->kind, ==, COLUMN_KIND_TEXT);
                g_assert_true(table->key_is_primary);
                g_assert_cmpuint(table->n_unique_secondary, ==, 1);
                run(conn, "DROP TABLE gen");
        }
}

static void assert_foreign(Conn *conn, const char *database, const char *name, guint n, const char *constraint, const char *text) {
        GError *error = NULL;
        g_autoptr(GPtrArray) keys = foreign_keys_load(conn, database, name, &error);
        bool found = false;
        g_assert_no_error(error);
        g_assert_cmpuint(keys->len, ==, n);
        for (guint i = 0; i < keys->len; i++) {
                const ForeignKey *key = keys->pdata[i];
                g_autofree char *described = foreign_key_describe(key);
                g_test_message("%s: %s", key->name, described);
                found |= g_str_equal(key->name, constraint) && g_str_equal(described, text);
        }
        g_assert_true(found);
}

/* Names that are encoded where they are read from, and one that is cut there. */
static void test_schema_foreign(gconstpointer uri) {
        static const char text[] = "`" DATABASE "`.`日本-☃` (`x y`,`z`) → `" DATABASE "`.`päre.nt` (`a`,`b`) ON DELETE CASCADE ON UPDATE SET NULL";
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        run(conn, "DROP DATABASE " DATABASE);
        run(conn, "CREATE DATABASE " DATABASE);
        run(conn, "USE " DATABASE);
        run(conn, "SET NAMES utf8"); /* InnoDB of 5.6 reads REFERENCES by itself */
        run(conn, "CREATE TABLE `päre.nt` (a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a,b)) ENGINE=InnoDB");
        run(conn, "CREATE TABLE `日本-☃` (id INT PRIMARY KEY, `x y` INT, z INT, CONSTRAINT `own/né` FOREIGN KEY (`x y`,z) REFERENCES `päre.nt` (a,b) "
                  "ON DELETE CASCADE ON UPDATE SET NULL) ENGINE=InnoDB");
        run(conn, "CREATE TABLE plain (id INT PRIMARY KEY, self INT, FOREIGN KEY (self) REFERENCES plain (id)) ENGINE=InnoDB");
        g_autoptr(GString) sql = g_string_new("CREATE TABLE `");
        for (guint i = 0; i < 40; i++)
                g_string_append(sql, "☃");
        g_string_append(sql, "` (a INT PRIMARY KEY, CONSTRAINT own FOREIGN KEY (a) REFERENCES plain (id)) ENGINE=InnoDB");
        run(conn, "SET NAMES binary");
        assert_foreign(conn, DATABASE, NULL, 2, "own/né", text);
        assert_foreign(conn, DATABASE, "日本-☃", 1, "own/né", text);
        assert_foreign(conn, DATABASE, "plain", 1, "plain_ibfk_1",
                       "`" DATABASE "`.`plain` (`self`) → `" DATABASE "`.`plain` (`id`) ON DELETE RESTRICT ON UPDATE RESTRICT");
        run(conn, sql->str);
        assert_foreign(conn, DATABASE, NULL, 3, "own/né", text);
        assert_foreign(conn, NULL, NULL, 3, "own/né", text);
        run(conn, "DROP DATABASE " DATABASE);
}

int main(int argc, char **argv) {
        static const LiveTest tests[] = {
                        {"schema-columns", test_schema_columns},
                        {"schema-keys", test_schema_keys},
                        {"schema-tables", test_schema_tables},
                        {"schema-foreign", test_schema_foreign},
        };
        g_test_init(&argc, &argv, NULL);
        add_live_tests(tests, G_N_ELEMENTS(tests));
        return g_test_run();
}
