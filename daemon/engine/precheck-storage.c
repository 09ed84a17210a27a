/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of how tables are cut and where they lie: partitions that the destination defines otherwise, and files outside of the data directory.
 * Only tables that are partitioned cost a statement each. */

#include <string.h>

#include "engine/precheck-internal.h"
#include "mysql/sql.h"

static const Flavor *destination(const Precheck *check) {
        return conn_flavor(check->input->servers[SIDE_DESTINATION]);
}

static bool is_mysql_since(const Flavor *flavor, unsigned version) {
        return !flavor->mariadb && flavor->version >= version;
}

static bool is_partitioned(const TableSchema *table) {
        return strstr(table->options, "partitioned") != NULL;
}

static char *remove_hint(const char *name) {
        return g_strdup_printf("on the source: ALTER TABLE %s REMOVE PARTITIONING; or PARTITION BY, in a way that both take", name);
}

/* ---- KEY over columns of which an index holds a prefix */

static bool in_primary_key(const TableSchema *table, const char *column) {
        for (guint i = 0; i < table->indexes->len; i++) {
                const Index *index = table->indexes->pdata[i];
                for (guint k = 0; strcmp(index->name, "PRIMARY") == 0 && k < index->columns->len; k++)
                        if (strcmp(((const Column *) table->columns->pdata[g_array_index(index->columns, unsigned, k)])->name, column) == 0)
                                return true;
        }
        return false;
}

/* A method and its expression: "KEY", "`a`,`b`"; nothing between the parentheses means the primary key. */
static bool cuts_by(const TableSchema *table, const char *method, const char *expression, const char *column) {
        if (!method || (strcmp(method, "KEY") != 0 && strcmp(method, "LINEAR KEY") != 0))
                return false;
        g_autofree char *quoted = sql_identifier(column);
        return expression && *expression ? strstr(expression, quoted) != NULL : in_primary_key(table, column);
}

static bool look_at_prefixes(Precheck *check, const TableSchema *table, char **row, GError **error) {
        g_autofree char *name = sql_table(table->database, table->name), *database = sql_string(table->database), *plain = sql_string(table->name);
        g_autoptr(ConnRows) prefixes = conn_queryf(check->input->servers[SIDE_SOURCE], error, "SELECT DISTINCT COLUMN_NAME FROM information_schema.STATISTICS "
                                                   "WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s AND SUB_PART IS NOT NULL", database, plain);
        if (!prefixes)
                return false;
        for (char **prefix; (prefix = conn_rows_take(prefixes));) {
                if (!prefix[0] || (!cuts_by(table, row[0], row[1], prefix[0]) && !cuts_by(table, row[3], row[4], prefix[0])))
                        continue;
                g_autofree char *hint = remove_hint(name);
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "%s is partitioned by KEY, and an index holds a prefix of its column %s only, which the destination does not take", name, prefix[0]);
                break;
        }
        return true;
}

/* ---- dates as limits of partitions */

/* "`a`,`b``c`" → names */
static GPtrArray *split_names(const char *expression) {
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        for (const char *p = expression; p && (p = strchr(p, '`')) != NULL;) {
                g_autoptr(GString) name = g_string_new(NULL);
                for (p++; *p && (*p != '`' || p[1] == '`'); p++) {
                        if (*p == '`')
                                p++;
                        g_string_append_c(name, *p);
                }
                p += *p == '`';
                g_ptr_array_add(names, g_strdup(name->str));
        }
        return names;
}

static const char *temporal_type(const TableSchema *table, const char *column) {
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *c = table->columns->pdata[i];
                if (strcmp(c->name, column) == 0)
                        return strcmp(c->type, "date") == 0 ? "DATE" : g_str_has_prefix(c->type, "datetime") ? "DATETIME" : NULL;
        }
        return NULL;
}

/* Values in their order: "'2000-01-01',7", or of a list "('2000-01-01',7),('2000-01-02',8)": a comma more for each. */
static void add_dates(GString *sql, const TableSchema *table, const GPtrArray *names, const char *values) {
        guint position = 0;
        for (const char *p = values; p && *p;) {
                if (*p == '\'') {
                        const char *end = sql_behind_quoted(p, /* backslashes= */ true), *type = temporal_type(table, names->pdata[position % names->len]);
                        if (type && end)
                                g_string_append_printf(sql, "%sCAST(%.*s AS %s)", sql->len > 0 ? "," : "", (int) (end - p), p, type);
                        p = end;
                } else
                        position += *p++ == ',';
        }
}

/* Since MySQL 8.0.29 a date with other delimiters than - and : or more blanks than one gives these warnings, and no partition. */
static bool look_at_dates(Precheck *check, const TableSchema *table, const GString *casts, GError **error) {
        if (casts->len == 0)
                return true;
        Conn *conn = check->input->servers[SIDE_DESTINATION];
        g_autoptr(ConnRows) rows = conn_queryf(conn, error, "SELECT %s", casts->str);
        if (!rows)
                return false;
        g_autofree char *codes = conn_warning_codes(conn), *name = sql_table(table->database, table->name), *hint = remove_hint(name);
        if (codes && (strstr(codes, "4095") || strstr(codes, "4096")))
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "the limits of partitions of %s are dates with other delimiters than in 2000-01-31 23:59:59, which the destination does not take", name);
        return true;
}

static bool look_at_partitions(Precheck *check, const TableSchema *table, GError **error) {
        g_autofree char *database = sql_string(table->database), *plain = sql_string(table->name);
        g_autoptr(ConnRows) rows = conn_queryf(check->input->servers[SIDE_SOURCE], error,
                                               "SELECT PARTITION_METHOD,PARTITION_EXPRESSION,PARTITION_DESCRIPTION,SUBPARTITION_METHOD,SUBPARTITION_EXPRESSION "
                                               "FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s", database, plain);
        g_autoptr(GString) casts = g_string_new(NULL);
        bool first = true;
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows)); first = false) {
                if (first && is_mysql_since(destination(check), 80400) && !look_at_prefixes(check, table, row, error))
                        return false;
                if (!row[0] || !strstr(row[0], "COLUMNS") || !row[2])
                        continue;
                g_autoptr(GPtrArray) names = split_names(row[1]);
                if (names->len > 0)
                        add_dates(casts, table, names, row[2]);
        }
        return look_at_dates(check, table, casts, error);
}

/* MySQL 8 has partitions inside of InnoDB only, always; before that, and on MariaDB, they are a plugin that can be off. */
static bool look_at_plugin(Precheck *check, guint count, const char *first, GError **error) {
        guint64 active = 0;
        if (!conn_query_uint64(check->input->servers[SIDE_DESTINATION],
                               "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME='partition' AND PLUGIN_STATUS='ACTIVE'", &active, error))
                return false;
        if (active == 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                             "start the destination with partition=ON",
                             "%u tables are partitioned (%s), and partitioning is switched off on the destination", count, first);
        return true;
}

bool precheck_partitioning(Precheck *check, GError **error) {
        bool inside = is_mysql_since(destination(check), 80000);
        g_autofree char *first = NULL;
        guint count = 0;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                if (!is_partitioned(table))
                        continue;
                if (inside && !look_at_partitions(check, table, error))
                        return false;
                if (count++ == 0)
                        first = sql_table(table->database, table->name);
        }
        return count == 0 || inside || look_at_plugin(check, count, first, error);
}

/* ---- files elsewhere */

bool precheck_data_directory(Precheck *check, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(check->input->servers[SIDE_SOURCE],
                                              "SELECT COUNT(*),MIN(PATH) FROM information_schema.INNODB_SYS_DATAFILES WHERE PATH LIKE '/%' OR PATH LIKE '_:%'", error);
        char **row = rows ? conn_rows_take(rows) : NULL;
        if (!rows)
                return false;
        if (row && row[0] && row[1] && strcmp(row[0], "0") != 0)
                precheck_add(check, CHECK_NOTE, PS_ERROR_UNSUPPORTED_OBJECT,
                             "nothing has to be done; to have them elsewhere on the destination, ALTER TABLE there once the migration is complete",
                             "%s files of tables lie outside of the source's data directory (%s): DATA DIRECTORY is left out, and the destination keeps all "
                             "tables in its own", row[0], row[1]);
        return true;
}
