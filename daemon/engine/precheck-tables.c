/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of what tables are made of: definitions that MySQL 5.6 accepted and the destination takes otherwise, or not at all. They look at
 * what was read of the tables anyway, so that ten thousand cost no statement more. Where each fact comes from stands in docs/checks.md. */

#include <string.h>

#include "engine/precheck-internal.h"
#include "mysql/sql.h"

static const Flavor *destination(const Precheck *check) {
        return conn_flavor(check->input->servers[SIDE_DESTINATION]);
}

static bool is_mysql_since(const Flavor *flavor, unsigned version) {
        return !flavor->mariadb && flavor->version >= version;
}

typedef bool (*TableTest)(const TableSchema *table, const void *data);

/* How many tables pass TEST; the first one is *ret_first, quoted. */
static guint count_tables(const Precheck *check, TableTest test, const void *data, char **ret_first) {
        guint count = 0;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                if (test(table, data) && count++ == 0)
                        *ret_first = sql_table(table->database, table->name);
        }
        return count;
}

/* ---- values */

static char *without_modes(const char *modes, const char *const *unwanted) {
        g_auto(GStrv) parts = g_strsplit(modes, ",", -1);
        g_autoptr(GString) left = g_string_new(NULL);
        for (char **part = parts; *part; part++)
                if (!g_strv_contains(unwanted, *part))
                        g_string_append_printf(left, "%s%s", left->len > 0 ? "," : "", *part);
        return sql_string(left->str);
}

/* Made with a sql_mode that allows it, and refused from then on: such a default cannot be inserted, nor the table altered. */
bool precheck_zero_dates(Precheck *check, GError **error) {
        static const char *const forbidding[] = {"NO_ZERO_DATE", "NO_ZERO_IN_DATE", "TRADITIONAL", NULL};
        const char *modes = precheck_variable(check, SIDE_DESTINATION, "sql_mode");
        if (strstr(precheck_variable(check, SIDE_SOURCE, "sql_mode"), "NO_ZERO") || !strstr(modes, "NO_ZERO"))
                return true;
        g_autofree char *left = without_modes(modes, forbidding);
        g_autofree char *hint = g_strdup_printf("on the destination: SET GLOBAL sql_mode=%s; and in its configuration; or ALTER TABLE … to "
                                                "another default on the source", left);
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                for (guint j = 0; j < table->columns->len; j++) {
                        const Column *column = table->columns->pdata[j];
                        if (!column->zero_default)
                                continue;
                        g_autofree char *name = sql_table(table->database, table->name);
                        precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, hint,
                                     "the default of column %s of %s is a zero date, which the sql_mode of the destination forbids: rows that "
                                     "use it will be refused there; stored values are carried as they are", column->name, name);
                        break;
                }
        }
        return true;
}

static bool is_real(const Column *column) {
        return column->kind == COLUMN_KIND_FLOAT || column->kind == COLUMN_KIND_DOUBLE;
}

static bool has_precision(const TableSchema *table, const void *data) {
        for (guint j = 0; j < table->columns->len; j++) {
                const Column *column = table->columns->pdata[j];
                if (is_real(column) && (strchr(column->type, ',') || column->is_unsigned))
                        return true;
        }
        return false;
}

/* MySQL 8.4 took AUTO_INCREMENT of FLOAT and DOUBLE away; FLOAT(M,D) and UNSIGNED reals are deprecated since 8.0.17. */
bool precheck_float_columns(Precheck *check, GError **error) {
        const Flavor *flavor = destination(check);
        for (guint i = 0; is_mysql_since(flavor, 80400) && check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                for (guint j = 0; j < table->columns->len; j++) {
                        const Column *column = table->columns->pdata[j];
                        if (!is_real(column) || !column->auto_increment)
                                continue;
                        g_autofree char *name = sql_table(table->database, table->name), *quoted = sql_identifier(column->name);
                        g_autofree char *hint = g_strdup_printf("on the source: ALTER TABLE %s MODIFY %s BIGINT NOT NULL AUTO_INCREMENT;", name, quoted);
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                                     "column %s of %s is AUTO_INCREMENT and of type %s, which the destination no longer has", column->name, name,
                                     column->type);
                }
        }
        g_autofree char *first = NULL;
        guint count = is_mysql_since(flavor, 80017) ? count_tables(check, has_precision, NULL, &first) : 0;
        if (count > 0)
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL,
                             "%u tables have FLOAT(M,D), DOUBLE(M,D) or unsigned reals (%s): they are carried, and are deprecated on the destination",
                             count, first);
        return true;
}

/* The longest member of "enum('a','it''s')" in characters, as information_schema shows the type. */
static glong longest_member(const char *type) {
        glong longest = 0;
        for (const char *p = strchr(type, '\''); p; p = strchr(p, '\'')) {
                glong length = 0;
                for (p++; *p && (*p != '\'' || p[1] == '\''); p++) {
                        p += *p == '\'';
                        length += ((guchar) *p & 0xC0) != 0x80;
                }
                longest = MAX(longest, length);
                p += *p != 0;
        }
        return longest;
}

#define MEMBER_MAX 255 /* characters */

bool precheck_long_members(Precheck *check, GError **error) {
        if (!is_mysql_since(destination(check), 80000))
                return true;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                for (guint j = 0; j < table->columns->len; j++) {
                        const Column *column = table->columns->pdata[j];
                        if ((column->kind != COLUMN_KIND_ENUM && column->kind != COLUMN_KIND_SET) || longest_member(column->type) <= MEMBER_MAX)
                                continue;
                        g_autofree char *name = sql_table(table->database, table->name);
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                                     "shorten the member, or make the column a VARCHAR, or leave the table out with exclude",
                                     "column %s of %s has a member of more than %d characters, which the destination does not take", column->name,
                                     name, MEMBER_MAX);
                }
        }
        return true;
}

/* ---- names */

#define NAME_MAX_CHARS 64

/* MySQL 5.6 names a key after its table, "…_ibfk_1", again when that is renamed, and then does not look how long the name becomes. */
bool precheck_long_names(Precheck *check, GError **error) {
        const Flavor *flavor = destination(check);
        if (!flavor->mariadb && flavor->version < 50700)
                return true;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                for (guint j = 0; table->foreign_keys && j < table->foreign_keys->len; j++) {
                        const ForeignKey *key = table->foreign_keys->pdata[j];
                        g_autofree char *name = sql_table(table->database, table->name);
                        if (g_utf8_strlen(key->name, -1) <= NAME_MAX_CHARS)
                                continue;
                        g_autofree char *begin = g_utf8_substring(table->name, 0, MIN(50, g_utf8_strlen(table->name, -1))), *plain = g_strconcat(begin, "_renamed", NULL),
                                        *new = sql_table(table->database, plain);
                        g_autofree char *hint = g_strdup_printf("give the table a shorter name, on the source, and the key gets one too: RENAME TABLE %s TO %s;", name, new);
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                                     "the name of a foreign key of %s, `%s`, is longer than %d characters, which the destination does not take", name, key->name,
                                     NAME_MAX_CHARS);
                }
        }
        return true;
}

#define RAW_NAME "#mysql50#"

/* A folder or file whose name was never encoded (MySQL 5.0 and before) is shown so; a newer server has another folder for that name, or none. */
bool precheck_old_names(Precheck *check, GError **error) {
        const Flavor *flavor = destination(check);
        if (!check->objects || (!flavor->mariadb && flavor->version < 80000))
                return true;
        for (guint i = 0; i < check->objects->databases->len; i++) {
                const DatabaseDefaults *database = check->objects->databases->pdata[i];
                g_autofree char *name = sql_identifier(database->name), *hint = g_strdup_printf("on the source: ALTER DATABASE %s UPGRADE DATA DIRECTORY NAME;", name);
                if (g_str_has_prefix(database->name, RAW_NAME))
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint, "the name of database %s is from before MySQL 5.1", name);
        }
        for (guint i = 0; i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                if (!g_str_has_prefix(table->name, RAW_NAME))
                        continue;
                g_autofree char *name = sql_table(table->database, table->name), *new = sql_table(table->database, table->name + strlen(RAW_NAME));
                g_autofree char *hint = g_strdup_printf("on the source: RENAME TABLE %s TO %s;", name, new);
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint, "the name of table %s is from before MySQL 5.1", name);
        }
        return true;
}

/* ---- storage */

static bool is_compressed(const TableSchema *table, const void *data) {
        return g_ascii_strcasecmp(table->row_format, "Compressed") == 0;
}

bool precheck_row_format(Precheck *check, GError **error) {
        g_autofree char *first = NULL;
        if (!precheck_variable_on(check, SIDE_DESTINATION, "innodb_read_only_compressed"))
                return true;
        guint count = count_tables(check, is_compressed, NULL, &first);
        if (count > 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "on the destination: SET GLOBAL innodb_read_only_compressed=OFF; and in its configuration",
                             "%u tables have ROW_FORMAT=COMPRESSED (%s), which the destination only reads (innodb_read_only_compressed=ON)", count, first);
        return true;
}

/* The prefix of a geometry is some bytes of its stored form: only MySQL up to 5.7 and MariaDB index that. */
bool precheck_index_prefixes(Precheck *check, GError **error) {
        if (!is_mysql_since(destination(check), 80000))
                return true;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                for (guint j = 0; j < table->indexes->len; j++) {
                        const Index *index = table->indexes->pdata[j];
                        bool geometry = false;
                        for (guint k = 0; k < index->columns->len; k++)
                                geometry |= ((const Column *) table->columns->pdata[g_array_index(index->columns, unsigned, k)])->kind == COLUMN_KIND_GEOMETRY;
                        if (!geometry || !index->prefix || g_ascii_strcasecmp(index->type, "SPATIAL") == 0)
                                continue;
                        g_autofree char *name = sql_table(table->database, table->name), *quoted = sql_identifier(index->name);
                        g_autofree char *hint = g_strdup_printf("on the source: ALTER TABLE %s DROP INDEX %s;", name, quoted);
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                                     "index %s of %s holds a prefix of a spatial column, which the destination does not take", quoted, name);
                }
        }
        return true;
}

static bool has_full_text(const TableSchema *table, const void *data) {
        for (guint j = 0; j < table->indexes->len; j++)
                if (g_ascii_strcasecmp(((const Index *) table->indexes->pdata[j])->type, "FULLTEXT") == 0)
                        return true;
        return false;
}

/* An index is built with them: the same search finds other rows. */
bool precheck_full_text(Precheck *check, GError **error) {
        static const struct {
                const char *name;
                bool dynamic;
        } settings[] = {
                {"innodb_ft_min_token_size", false},
                {"innodb_ft_max_token_size", false},
                {"innodb_ft_enable_stopword", true},
                {"innodb_ft_server_stopword_table", true},
        };
        g_autofree char *first = NULL;
        guint count = count_tables(check, has_full_text, NULL, &first);
        for (gsize i = 0; count > 0 && i < G_N_ELEMENTS(settings); i++) {
                const char *name = settings[i].name, *a = precheck_variable(check, SIDE_SOURCE, name), *b = precheck_variable(check, SIDE_DESTINATION, name);
                if (strcmp(a, b) == 0)
                        continue;
                g_autofree char *quoted = sql_string(a);
                bool number = *a && strspn(a, "0123456789") == strlen(a);
                g_autofree char *hint = settings[i].dynamic ? g_strdup_printf("on the destination: SET GLOBAL %s=%s; and in its configuration", name, quoted)
                                                            : g_strdup_printf("in the destination's configuration: %s=%s, and restart it", name, number ? a : quoted);
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, hint,
                             "%u tables have FULLTEXT indexes (%s), and %s is '%s' on the source and '%s' on the destination: searches will find other "
                             "rows", count, first, name, a, b);
        }
        return true;
}

static bool has_geometry(const TableSchema *table, const void *data) {
        for (guint j = 0; j < table->columns->len; j++)
                if (((const Column *) table->columns->pdata[j])->kind == COLUMN_KIND_GEOMETRY)
                        return true;
        return false;
}

bool precheck_spatial(Precheck *check, GError **error) {
        g_autofree char *first = NULL;
        guint count = is_mysql_since(destination(check), 80000) ? count_tables(check, has_geometry, NULL, &first) : 0;
        if (count > 0)
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL,
                             "%u tables have spatial columns (%s): values arrive unchanged, but the destination computes in the reference system that "
                             "an SRID names, where MySQL 5.6 computes on a plane whatever it is", count, first);
        return true;
}

/* ---- encryption at rest */

static bool is_encrypted(const TableSchema *table, const void *data) {
        g_autofree char *options = g_ascii_strdown(table->options, -1);
        const char *p = strstr(options, "encrypt");
        return p && !strstr(p, "='n'") && !strstr(p, "=\"n\"") && !strstr(p, "=`no`") && !strstr(p, "=no");
}

static bool encrypts(const Precheck *check, Side side) {
        return precheck_variable_on(check, side, "default_table_encryption") || precheck_variable_on(check, side, "innodb_encrypt_tables") ||
               g_ascii_strcasecmp(precheck_variable(check, side, "innodb_encrypt_tables"), "FORCE") == 0;
}

/* What the disks below do cannot be asked for. MySQL 5.6 itself knows no encryption; those of cloud providers show it in CREATE_OPTIONS. */
bool precheck_encryption(Precheck *check, GError **error) {
        g_autofree char *first = NULL;
        guint count = count_tables(check, is_encrypted, NULL, &first);
        bool covered = encrypts(check, SIDE_DESTINATION);
        if (count > 0 && !covered)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "let the destination encrypt new tables (MariaDB: innodb_encrypt_tables=ON with a key plugin; MySQL: "
                             "default_table_encryption=ON with a keyring), or decrypt them on the source",
                             "%u tables of the source are encrypted (%s), and the destination would store them in clear", count, first);
        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL,
                     "the destination %s; whether the disks of the servers are encrypted cannot be seen from here",
                     covered ? "encrypts new tables" : "does not encrypt tables by itself");
        return true;
}
