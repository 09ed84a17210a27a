/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See definitions.h. Servers spell the same thing in different ways (display widths, utf8 and utf8mb3, quotes around defaults), so what is
 * compared is what schema.c made of it, and defaults are brought to one spelling here. */

#include "engine/definitions.h"

#include <string.h>

#include "mysql/schema-columns.h"
#include "mysql/sql.h"

struct Definitions {
        GPtrArray *tables;    /* of TableSchema, ordered by database and name */
        GHashTable *defaults; /* "`db`.`t`.column" → its default in one spelling; absent: none. "`db`.`t`" → the table's default collation */
};

static bool is_left_out(const GPtrArray *left_out, const TableSchema *table) {
        g_autofree char *name = sql_table(table->database, table->name), *line = g_strdup_printf("table %s: ", name);
        for (guint i = 0; left_out && i < left_out->len; i++)
                if (g_str_has_prefix(g_ptr_array_index(left_out, i), line))
                        return true;
        return false;
}

/* MariaDB prints defaults as they would be written, MySQL as they are. */
static char *plain_default(const char *text, bool mariadb) {
        if (!text || (mariadb && g_str_equal(text, "NULL")))
                return NULL;
        gsize n = strlen(text);
        if (mariadb && n >= 2 && text[0] == '\'' && text[n - 1] == '\'') {
                GString *plain = g_string_new(NULL);
                for (gsize i = 1; i + 1 < n; i++) {
                        if ((text[i] == '\'' || text[i] == '\\') && i + 2 < n && text[i + 1] == text[i])
                                i++;
                        g_string_append_c(plain, text[i]);
                }
                return g_string_free(plain, FALSE);
        }
        char *plain = g_strdup(text);
        if (g_ascii_strncasecmp(plain, "current_timestamp", 17) == 0) {
                char *p = strstr(plain, "()");
                if (p)
                        *p = '\0';
                for (p = plain; *p; p++)
                        *p = g_ascii_toupper(*p);
        }
        return plain;
}

static bool read_defaults(Definitions *definitions, Conn *conn, GError **error) {
        bool mariadb = conn_flavor(conn)->mariadb;
        g_autoptr(ConnRows) rows = conn_query(conn,
                                              "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS "
                                              "WHERE TABLE_SCHEMA NOT IN ('mysql','information_schema','performance_schema','sys','polarshift') "
                                              "AND (COLUMN_DEFAULT IS NOT NULL OR EXTRA LIKE '%on update%')",
                                              error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                bool updated = row[4] && strcasestr(row[4], "on update");
                char *plain = plain_default(row[3], mariadb);
                if (!plain && !updated)
                        continue;
                g_autofree char *table = sql_table(row[0], row[1]);
                char *text = g_strconcat(plain ? plain : "", updated ? " ON UPDATE" : "", NULL);
                g_free(plain);
                g_hash_table_replace(definitions->defaults, g_strconcat(table, ".", row[2], NULL), text);
        }
        return true;
}

/* What a column gets that says nothing of its own: MySQL 5.6 leaves it as it was when a table without text is converted, others do not. */
static bool read_collations(Definitions *definitions, Conn *conn, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn,
                                              "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COLLATION FROM information_schema.TABLES "
                                              "WHERE TABLE_SCHEMA NOT IN ('mysql','information_schema','performance_schema','sys','polarshift') "
                                              "AND TABLE_TYPE='BASE TABLE'",
                                              error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                const char *collation = row[2] ? row[2] : "";
                char *plain = g_str_has_prefix(collation, "utf8mb3_") ? g_strconcat("utf8_", collation + strlen("utf8mb3_"), NULL) : g_strdup(collation);
                g_hash_table_replace(definitions->defaults, sql_table(row[0], row[1]), plain);
        }
        return true;
}

Definitions *definitions_read(Conn *conn, const MigrationSpec *spec, const GPtrArray *left_out, GError **error) {
        g_autoptr(Definitions) definitions = g_new0(Definitions, 1);
        definitions->tables = g_ptr_array_new_with_free_func((GDestroyNotify) table_schema_free);
        definitions->defaults = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autoptr(GPtrArray) all = schema_load(conn, /* database= */ NULL, error);
        if (!all || !read_defaults(definitions, conn, error) || !read_collations(definitions, conn, error))
                return NULL;
        for (guint i = 0; i < all->len; i++) {
                TableSchema *table = all->pdata[i];
                if (!spec_selects(spec, table->database, table->name) || is_left_out(left_out, table))
                        continue;
                g_ptr_array_add(definitions->tables, table);
                all->pdata[i] = NULL; /* handed over; table_schema_free() takes NULL */
        }
        return g_steal_pointer(&definitions);
}

void definitions_free(Definitions *definitions) {
        if (!definitions)
                return;
        g_clear_pointer(&definitions->tables, g_ptr_array_unref);
        g_clear_pointer(&definitions->defaults, g_hash_table_unref);
        g_free(definitions);
}

/* --- comparing --- */

/* Beyond column_difference(), which asks whether values of A fit into B. */
static const char *differs_in(const Column *a, const Column *b) {
        const char *difference = column_difference(a, b);
        if (!difference)
                difference = column_difference(b, a);
        if (difference)
                return difference;
        if (g_strcmp0(a->collation, b->collation) != 0)
                return "collation";
        if (a->auto_increment != b->auto_increment)
                return "AUTO_INCREMENT";
        if ((a->kind == COLUMN_KIND_ENUM || a->kind == COLUMN_KIND_SET) && !g_str_equal(a->type, b->type))
                return "members";
        return NULL;
}

static bool same_index(const Index *a, const Index *b) {
        if (!g_str_equal(a->name, b->name) || a->unique != b->unique || a->columns->len != b->columns->len)
                return false;
        bool ordered = g_ascii_strcasecmp(a->type, "BTREE") == 0; /* servers show other lengths for FULLTEXT and SPATIAL keys */
        if ((ordered && a->prefix != b->prefix) || g_ascii_strcasecmp(a->type, b->type) != 0)
                return false;
        for (guint i = 0; i < a->columns->len; i++)
                if (g_array_index(a->columns, unsigned, i) != g_array_index(b->columns, unsigned, i))
                        return false;
        return true;
}

static char *table_difference(const Definitions *a, const TableSchema *x, const Definitions *b, const TableSchema *y) {
        g_autofree char *name = sql_table(x->database, x->name);
        if (x->columns->len != y->columns->len)
                return g_strdup_printf("%s has %u columns on one side and %u on the other", name, x->columns->len, y->columns->len);
        if (g_strcmp0(g_hash_table_lookup(a->defaults, name), g_hash_table_lookup(b->defaults, name)) != 0)
                return g_strdup_printf("%s differs in its default collation", name);
        for (guint i = 0; i < x->columns->len; i++) {
                const Column *p = x->columns->pdata[i], *q = y->columns->pdata[i];
                const char *difference = differs_in(p, q);
                g_autofree char *key = g_strconcat(name, ".", p->name, NULL);
                /* Those of bytes are shown in as many ways as there are servers: of them it counts that there is one. */
                bool bytes = p->kind == COLUMN_KIND_BINARY || p->kind == COLUMN_KIND_BLOB;
                const char *m = g_hash_table_lookup(a->defaults, key), *n = g_hash_table_lookup(b->defaults, key);
                if (!difference && !p->generated && (bytes ? !m != !n : g_strcmp0(m, n) != 0))
                        difference = "default";
                if (difference)
                        return g_strdup_printf("%s: column %s differs in its %s", name, p->name, difference);
        }
        for (guint i = 0; i < MAX(x->indexes->len, y->indexes->len); i++) {
                const Index *p = i < x->indexes->len ? x->indexes->pdata[i] : NULL, *q = i < y->indexes->len ? y->indexes->pdata[i] : NULL;
                if (!p || !q || !same_index(p, q))
                        return g_strdup_printf("%s: key %s is not the same on both sides", name, p ? p->name : q->name);
        }
        return NULL;
}

char *definitions_difference(const Definitions *a, const Definitions *b) {
        guint i = 0, j = 0;
        while (i < a->tables->len || j < b->tables->len) {
                const TableSchema *x = i < a->tables->len ? a->tables->pdata[i] : NULL, *y = j < b->tables->len ? b->tables->pdata[j] : NULL;
                int order = !x ? 1 : !y ? -1 : strcmp(x->database, y->database);
                if (order == 0)
                        order = strcmp(x->name, y->name);
                if (order != 0) {
                        const TableSchema *lone = order < 0 ? x : y;
                        g_autofree char *name = sql_table(lone->database, lone->name);
                        return g_strdup_printf("%s is on one side only", name);
                }
                char *difference = table_difference(a, x, b, y);
                if (difference)
                        return difference;
                i++;
                j++;
        }
        return NULL;
}
