/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See object-store.h. Versions spell the same type otherwise: that is no change. */

#include "engine/object-store.h"

#include <string.h>

#include "base/fs.h"
#include "engine/report-objects.h"
#include "mysql/sql.h"

#define FILE_NAME "objects.json"
#define FILE_MAX (256u << 20)

/* "int(11) unsigned" is "int unsigned" on MySQL 8; the width means nothing but with ZEROFILL. */
static char *plain_type(const char *type) {
        g_autoptr(GString) plain = g_string_new(NULL);
        const char *open = strchr(type, '(');
        gsize length = open ? (gsize) (open - type) : 0;
        bool whole = length >= 3 && strncmp(open - 3, "int", 3) == 0;
        bool width = open && (whole || (length == 4 && strncmp(type, "year", 4) == 0)) && !strstr(type, "zerofill");
        const char *close = width ? strchr(open, ')') : NULL;
        if (close) {
                g_string_append_len(plain, type, (gssize) length);
                g_string_append(plain, close + 1);
        } else
                g_string_append(plain, type);
        const char *comment = strstr(plain->str, " /*"); /* MariaDB marks the old temporal types */
        if (comment)
                g_string_truncate(plain, (gsize) (comment - plain->str));
        if (strcmp(plain->str, "geomcollection") == 0)
                g_string_assign(plain, "geometrycollection");
        return g_string_free(g_steal_pointer(&plain), FALSE);
}

G_GNUC_PRINTF(2, 3)
static void add(GString *text, const char *format, ...) {
        va_list ap;
        va_start(ap, format);
        if (text->len > 0)
                g_string_append(text, "; ");
        g_string_append_vprintf(text, format, ap);
        va_end(ap);
}

static void compare_column(const Column *a, const Column *b, GString *from, GString *to) {
        g_autofree char *type_a = plain_type(a->type), *type_b = plain_type(b->type), *name = sql_identifier(a->name);
        if (strcmp(type_a, type_b) != 0) {
                add(from, "column %s %s", name, type_a);
                add(to, "column %s %s", name, type_b);
        }
        if (g_strcmp0(a->collation, b->collation) != 0) {
                add(from, "column %s collation %s", name, a->collation ? a->collation : "none");
                add(to, "column %s collation %s", name, b->collation ? b->collation : "none");
        }
        if (a->nullable != b->nullable) {
                add(from, "column %s %s", name, a->nullable ? "NULL" : "NOT NULL");
                add(to, "column %s %s", name, b->nullable ? "NULL" : "NOT NULL");
        }
        if (a->has_default != b->has_default && !a->nullable && !b->nullable) { /* MariaDB shows the NULL of others as a default */
                add(from, "column %s %s", name, a->has_default ? "with a default" : "without a default");
                add(to, "column %s %s", name, b->has_default ? "with a default" : "without a default");
        }
}

bool object_store_difference(const TableSchema *a, const TableSchema *b, char **ret_from, char **ret_to) {
        g_autoptr(GString) from = g_string_new(NULL), to = g_string_new(NULL);
        if (g_ascii_strcasecmp(a->engine, b->engine) != 0) {
                add(from, "engine %s", a->engine);
                add(to, "engine %s", b->engine);
        }
        if (g_ascii_strcasecmp(a->row_format, b->row_format) != 0) {
                add(from, "row format %s", a->row_format);
                add(to, "row format %s", b->row_format);
        }
        for (guint i = 0; i < MIN(a->columns->len, b->columns->len); i++)
                compare_column(a->columns->pdata[i], b->columns->pdata[i], from, to);
        if (a->columns->len != b->columns->len || a->indexes->len != b->indexes->len) {
                add(from, "%u columns, %u indexes", a->columns->len, a->indexes->len);
                add(to, "%u columns, %u indexes", b->columns->len, b->indexes->len);
        }
        if (from->len == 0)
                return false;
        *ret_from = g_string_free(g_steal_pointer(&from), FALSE);
        *ret_to = g_string_free(g_steal_pointer(&to), FALSE);
        return true;
}

static void add_database(JsonBuilder *b, const DatabaseDefaults *database) {
        g_autofree char *name = sql_identifier(database->name);
        ReportObject object = {.kind = "database", .name = name, .outcome = "carried"};
        report_add_object(b, &object);
}

/* MySQL 5.6 makes a Compact table of what innodb_file_format=Antelope does not know, and warns only. */
static char *row_format_mend(const TableSchema *table, const TableSchema *there, const char *name) {
        bool newer = g_ascii_strcasecmp(table->row_format, "Dynamic") == 0 || g_ascii_strcasecmp(table->row_format, "Compressed") == 0;
        if (!newer || g_ascii_strcasecmp(there->row_format, "Compact") != 0)
                return NULL;
        g_autofree char *format = g_ascii_strup(table->row_format, -1);
        return g_strdup_printf("SET GLOBAL innodb_file_format='Barracuda'; ALTER TABLE %s ROW_FORMAT=%s;", name, format);
}

static void add_table(JsonBuilder *b, const TableSchema *table, const TableSchema *there) {
        g_autofree char *name = sql_table(table->database, table->name), *from = NULL, *to = NULL, *mend = NULL;
        ReportObject object = {.kind = "table", .name = name, .outcome = "carried"};
        if (!there) {
                object.outcome = "not-carried";
                object.why = "it is not on the destination";
        } else if (object_store_difference(table, there, &from, &to)) {
                object.outcome = "changed";
                object.from = from;
                object.to = to;
                mend = row_format_mend(table, there, name);
                object.sql = mend;
                object.why = mend ? "the destination's innodb_file_format did not know that row format when the table was made"
                                  : "what the definition leaves open the destination fills in its own way; the same statement made both";
        }
        report_add_object(b, &object);
}

bool object_store_save(const char *directory, const ObjectList *source, const GPtrArray *destination, GError **error) {
        g_autofree char *path = g_build_filename(directory, FILE_NAME, NULL);
        g_autoptr(GHashTable) there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(JsonBuilder) b = json_builder_new();
        for (guint i = 0; i < destination->len; i++) {
                const TableSchema *table = destination->pdata[i];
                g_hash_table_insert(there, sql_table(table->database, table->name), (gpointer) table);
        }
        json_builder_begin_array(b);
        for (guint i = 0; i < source->databases->len; i++)
                add_database(b, source->databases->pdata[i]);
        for (guint i = 0; i < source->tables->len; i++) {
                const TableSchema *table = source->tables->pdata[i];
                g_autofree char *name = sql_table(table->database, table->name);
                add_table(b, table, g_hash_table_lookup(there, name));
        }
        json_builder_end_array(b);
        g_autoptr(JsonNode) root = json_builder_get_root(b);
        g_autofree char *text = json_to_string(root, /* pretty= */ FALSE);
        return fs_replace(path, text, -1, 0600, error);
}

JsonNode *object_store_load(const char *directory) {
        g_autofree char *path = g_build_filename(directory, FILE_NAME, NULL), *text = NULL;
        if (!g_file_test(path, G_FILE_TEST_EXISTS) || !fs_read(path, FILE_MAX, &text, NULL, NULL))
                return NULL;
        g_autoptr(JsonNode) root = json_from_string(text, NULL);
        return root && JSON_NODE_HOLDS_ARRAY(root) ? g_steal_pointer(&root) : NULL;
}
