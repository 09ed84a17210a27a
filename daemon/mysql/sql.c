/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SQL text from typed parts; see sql.h. Nothing else puts identifiers or values into statements. */

#include "mysql/sql.h"

#include <string.h>

#include "mysql/value-format.h"

#define INDEX_PART_BYTES_MAX 3072 /* of InnoDB, with pages of 16 KiB and more */

/* The second byte of the escape, 0 where none is needed. */
static const char escapes[256] = {
        ['\0'] = '0', ['\n'] = 'n', ['\r'] = 'r', ['\x1a'] = 'Z', ['\\'] = '\\', ['\''] = '\'',
};

void sql_append_identifier(GString *sql, const char *name) {
        g_string_append_c(sql, '`');
        for (const char *tick; (tick = strchr(name, '`')); name = tick + 1) {
                g_string_append_len(sql, name, tick + 1 - name);
                g_string_append_c(sql, '`');
        }
        g_string_append(sql, name);
        g_string_append_c(sql, '`');
}

void sql_append_table(GString *sql, const char *database, const char *table) {
        sql_append_identifier(sql, database);
        g_string_append_c(sql, '.');
        sql_append_identifier(sql, table);
}

void sql_append_string(GString *sql, const char *bytes, gsize length) {
        const char *run = bytes, *end = bytes + length;

        g_string_append_c(sql, '\'');
        for (const char *p = bytes; p < end; p++) {
                char escape = escapes[(guint8) *p];
                if (G_LIKELY(!escape))
                        continue;
                if (p > run)
                        g_string_append_len(sql, run, p - run);
                g_string_append_c(sql, '\\');
                g_string_append_c(sql, escape);
                run = p + 1;
        }
        if (end > run)
                g_string_append_len(sql, run, end - run);
        g_string_append_c(sql, '\'');
}

const char *sql_behind_quoted(const char *p, bool backslashes) {
        char quote = *p++;
        for (; *p; p++) {
                if (*p == '\\' && backslashes && p[1])
                        p++;
                else if (*p == quote && p[1] == quote)
                        p++;
                else if (*p == quote)
                        return p + 1;
        }
        return NULL;
}

char *sql_string(const char *text) {
        GString *sql = g_string_new(NULL);
        sql_append_string(sql, text, strlen(text));
        return g_string_free(sql, /* free_segment= */ FALSE);
}

char *sql_identifier(const char *name) {
        GString *sql = g_string_new(NULL);
        sql_append_identifier(sql, name);
        return g_string_free(sql, /* free_segment= */ FALSE);
}

char *sql_table(const char *database, const char *table) {
        GString *sql = g_string_new(NULL);
        sql_append_table(sql, database, table);
        return g_string_free(sql, /* free_segment= */ FALSE);
}

static const Column *column_at(const TableSchema *table, guint i) {
        return g_ptr_array_index(table->columns, i);
}

static const Column *key_column(const TableSchema *table, guint i) {
        return column_at(table, g_array_index(table->key, unsigned, i));
}

void sql_append_select_column(GString *sql, const Column *column) {
        switch (column->kind) {
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
                /* FLOAT's own text has 6 digits, that of DOUBLE(M,D) D behind the point, whatever it holds. */
                if (column->kind == COLUMN_KIND_DOUBLE && column->precision == 0)
                        break;
                sql_append_identifier(sql, column->name);
                g_string_append(sql, "*1e0");
                return;
        case COLUMN_KIND_BIT:
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
                /* Not c+0: that is a DOUBLE for SET and loses members beyond the 53rd. */
                g_string_append(sql, "CAST(");
                sql_append_identifier(sql, column->name);
                g_string_append(sql, " AS UNSIGNED)");
                return;
        case COLUMN_KIND_YEAR:
                sql_append_identifier(sql, column->name);
                g_string_append(sql, "+0");
                return;
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        sql_append_identifier(sql, column->name);
}

void sql_append_select_list(GString *sql, const TableSchema *table) {
        bool first = true;
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = column_at(table, i);
                if (column->generated)
                        continue;
                if (!first)
                        g_string_append_c(sql, ',');
                first = false;
                sql_append_select_column(sql, column);
        }
}

void sql_append_column_list(GString *sql, const TableSchema *table) {
        bool first = true;
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = column_at(table, i);
                if (column->generated)
                        continue;
                if (!first)
                        g_string_append_c(sql, ',');
                first = false;
                sql_append_identifier(sql, column->name);
        }
}

void sql_append_key_list(GString *sql, const TableSchema *table) {
        for (guint i = 0; i < table->key->len; i++) {
                if (i > 0)
                        g_string_append_c(sql, ',');
                sql_append_identifier(sql, key_column(table, i)->name);
        }
}

/* No index gives that order for a key of prefixes, and MySQL 9.7 sorts by all of a binary value, whatever max_sort_length is: one that is larger than the
 * sort buffer is error 1038. An index tells nothing apart that is further behind. */
void sql_append_key_order(GString *sql, const TableSchema *table) {
        g_string_append(sql, " ORDER BY ");
        for (guint i = 0; i < table->key->len; i++) {
                const Column *column = key_column(table, i);
                bool cut = table->key_prefix && (column->kind == COLUMN_KIND_BINARY || column->kind == COLUMN_KIND_BLOB);
                g_string_append(sql, i > 0 ? "," : "");
                g_string_append(sql, cut ? "LEFT(" : "");
                sql_append_identifier(sql, column->name);
                if (cut)
                        g_string_append_printf(sql, ",%u)", INDEX_PART_BYTES_MAX);
        }
}

/* FLOAT is widened to double by the server, so the shortest text of the float would never be equal. A number without exponent is a DECIMAL,
 * and becomes a DOUBLE that may be off by its last bit (MySQL 9.7: d=-0.01; in an IN list everywhere). x'…' against BIT would be compared
 * as DOUBLE. */
void sql_append_comparand(GString *sql, const Column *column, const char *literal) {
        bool real = column->kind == COLUMN_KIND_FLOAT || column->kind == COLUMN_KIND_DOUBLE;
        if (real && strcmp(literal, "NULL") != 0) {
                double value = g_ascii_strtod(literal, NULL);
                gsize start = sql->len;
                value_append_double(sql, column->kind == COLUMN_KIND_FLOAT ? (float) value : value, 17);
                if (!strchr(sql->str + start, 'e'))
                        g_string_append(sql, "e0");
                return;
        }
        if (column->kind == COLUMN_KIND_BIT && g_str_has_prefix(literal, "x'")) {
                value_append_uint(sql, g_ascii_strtoull(literal + 2, NULL, 16));
                return;
        }
        g_string_append(sql, literal);
}

/* No server can use an index for "enum > number" (it reads the whole of it), but for "enum IN (numbers)" each can. */
static bool append_as_members(GString *sql, const Column *column, const char *op, const char *literal) {
        guint64 max = column->kind == COLUMN_KIND_ENUM && column->length <= 256 ? column->length :
                column->kind == COLUMN_KIND_SET && column->length <= 8          ? (1u << column->length) - 1 :
                                                                                  0;
        if (max == 0 || !g_ascii_isdigit(literal[0]) || op[0] == '=')
                return false;
        guint64 bound = g_ascii_strtoull(literal, NULL, 10);
        bool inclusive = op[1] == '=', any = false;
        for (guint64 member = 0; member <= max; member++) {
                if (member == bound ? !inclusive : (member > bound) != (op[0] == '>'))
                        continue;
                if (!any) {
                        sql_append_identifier(sql, column->name);
                        g_string_append(sql, " IN (");
                } else
                        g_string_append_c(sql, ',');
                any = true;
                value_append_uint(sql, member);
        }
        g_string_append(sql, any ? ")" : "FALSE");
        return true;
}

static void append_comparison(GString *sql, const Column *column, const char *op, const char *literal) {
        if (append_as_members(sql, column, op, literal))
                return;
        /* A SET of 64 members is compared with numbers as if it were signed. For the order that costs the index, but such keys hardly
         * exist. */
        if (column->kind == COLUMN_KIND_SET && column->length >= 64 && op[0] == '=' && g_ascii_isdigit(literal[0])) {
                sql_append_identifier(sql, column->name);
                g_string_append_c(sql, '=');
                value_append_int(sql, (gint64) g_ascii_strtoull(literal, NULL, 10));
                return;
        }
        if (column->kind == COLUMN_KIND_SET && column->length >= 64)
                sql_append_select_column(sql, column);
        else
                sql_append_identifier(sql, column->name);
        g_string_append(sql, op);
        sql_append_comparand(sql, column, literal);
}

/* Columns FROM …: a > x OR (a = x AND (b > y OR (b = y AND c > z))) */
static void append_bound_from(GString *sql, const TableSchema *table, const char *op, const char *const *bound,
                              guint from) {
        const Column *column = key_column(table, from);
        if (from + 1 == table->key->len) {
                append_comparison(sql, column, op, bound[from]);
                return;
        }
        char strict[2] = {op[0], '\0'};
        g_string_append_c(sql, '(');
        append_comparison(sql, column, strict, bound[from]);
        g_string_append(sql, " OR (");
        append_comparison(sql, column, "=", bound[from]);
        g_string_append(sql, " AND ");
        append_bound_from(sql, table, op, bound, from + 1);
        g_string_append(sql, "))");
}

void sql_append_key_bound(GString *sql, const TableSchema *table, const char *op, const char *const *bound) {
        g_return_if_fail(table->key->len > 0);
        g_return_if_fail(op[0] == '<' || op[0] == '>');

        if (table->key->len == 1) {
                append_comparison(sql, key_column(table, 0), op, bound[0]);
                return;
        }
        /* The first part says nothing new; it lets MySQL 5.6 see one range of the index. */
        char inclusive[3] = {op[0], '=', '\0'};
        g_string_append_c(sql, '(');
        append_comparison(sql, key_column(table, 0), inclusive, bound[0]);
        g_string_append(sql, " AND ");
        append_bound_from(sql, table, op, bound, 0);
        g_string_append_c(sql, ')');
}

void sql_append_key_equal(GString *sql, const TableSchema *table, const char *const *literals) {
        for (guint i = 0; i < table->key->len; i++) {
                if (i > 0)
                        g_string_append(sql, " AND ");
                append_comparison(sql, key_column(table, i), "=", literals[i]);
        }
}

void sql_append_insert_prefix(GString *sql, const TableSchema *table) {
        g_string_append(sql, "INSERT INTO ");
        sql_append_table(sql, table->database, table->name);
        g_string_append(sql, " (");
        sql_append_column_list(sql, table);
        g_string_append(sql, ") VALUES ");
}

/* A column of the key stays as it is, but a date that is not assigned to may have ON UPDATE CURRENT_TIMESTAMP. */
static bool is_left_alone(const TableSchema *table, guint position) {
        ColumnKind kind = column_at(table, position)->kind;
        if (kind == COLUMN_KIND_TIMESTAMP || kind == COLUMN_KIND_DATETIME)
                return false;
        for (guint i = 0; i < table->key->len; i++)
                if (g_array_index(table->key, unsigned, i) == position)
                        return true;
        return false;
}

void sql_append_upsert_suffix(GString *sql, const TableSchema *table, const Flavor *flavor) {
        bool alias = flavor_has_row_alias(flavor), any = false;

        if (alias)
                g_string_append(sql, " AS `polarshift_new`");
        g_string_append(sql, " ON DUPLICATE KEY UPDATE ");
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = column_at(table, i);
                if (column->generated || is_left_alone(table, i))
                        continue;
                if (any)
                        g_string_append_c(sql, ',');
                any = true;
                sql_append_identifier(sql, column->name);
                g_string_append(sql, alias ? "=`polarshift_new`." : "=VALUES(");
                sql_append_identifier(sql, column->name);
                if (!alias)
                        g_string_append_c(sql, ')');
        }
        if (any || table->key->len == 0)
                return;
        /* All columns are of the key. Qualified, for with an alias the bare name is ambiguous. */
        for (int side = 0; side < 2; side++) {
                sql_append_table(sql, table->database, table->name);
                g_string_append_c(sql, '.');
                sql_append_identifier(sql, key_column(table, 0)->name);
                if (side == 0)
                        g_string_append_c(sql, '=');
        }
}

static bool type_has(const Column *column, const char *word) {
        return column->type && strstr(column->type, word);
}

static void append_wrapped(GString *sql, const char *before, const Column *column, const char *after) {
        g_string_append(sql, before);
        sql_append_identifier(sql, column->name);
        g_string_append(sql, after);
}

/* Bytes of any length. The length in front keeps 'a#' and '#a' apart. */
static void append_hashed_bytes(GString *sql, const Column *column) {
        append_wrapped(sql, "LENGTH(", column, "),");
        append_wrapped(sql, "CAST(", column, " AS BINARY)");
}

/* What can be longer than a packet goes in as a hash of its own: CAST() and CONCAT() of more than max_allowed_packet are
 * NULL, which would not be seen in the row's hash. */
static void append_hashed_huge(GString *sql, const Column *column, const char *before, const char *after) {
        append_wrapped(sql, "IF(", column, " IS NULL,NULL,COALESCE(SHA2(");
        append_wrapped(sql, before, column, after);
        g_string_append(sql, ",256),SHA2(UUID(),256)))");
}

static void append_hashed_column(GString *sql, const Column *column, bool zeros_alike) {
        switch (column->kind) {
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                if (type_has(column, "long") || type_has(column, "medium"))
                        append_hashed_huge(sql, column, "", "");
                else
                        append_hashed_bytes(sql, column);
                return;
        case COLUMN_KIND_JSON:
                append_hashed_huge(sql, column, "", "");
                return;
        case COLUMN_KIND_GEOMETRY:
                append_hashed_huge(sql, column, "HEX(", ")");
                return;
        case COLUMN_KIND_DOUBLE:
        case COLUMN_KIND_FLOAT:
                /* As its eight bytes: text inside an expression is cut to 22 characters by MySQL 9, and so loses digits. MariaDB 10 has
                 * no negative zero, whatever is written: 0 for both. */
                append_wrapped(sql, "HEX(POINT(", column, zeros_alike ? "+0e0,0))" : ",0))");
                return;
        case COLUMN_KIND_INTEGER:
                /* ZEROFILL's text depends on the display width, which newer servers no longer keep. */
                append_wrapped(sql, "", column, type_has(column, "zerofill") ? "+0" : "");
                return;
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_BIT:
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
                break;
        }
        sql_append_select_column(sql, column);
}

static void append_row_hash(GString *sql, const TableSchema *table, bool zeros_alike) {
        g_autoptr(GString) nulls = g_string_new(NULL);
        bool in_quotes = false;

        /* CONCAT_WS() leaves NULLs out; the last element says which ones. */
        g_string_append(sql, "COALESCE(SHA2(CONCAT_WS('#',");
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = column_at(table, i);
                if (column->generated)
                        continue;
                append_hashed_column(sql, column, zeros_alike);
                g_string_append_c(sql, ',');
                if (column->nullable) {
                        append_wrapped(nulls, in_quotes ? "',ISNULL(" : nulls->len > 0 ? ",ISNULL(" : "ISNULL(", column,
                                       ")");
                        in_quotes = false;
                } else {
                        g_string_append(nulls, in_quotes ? "0" : nulls->len > 0 ? ",'0" : "'0");
                        in_quotes = true;
                }
        }
        if (in_quotes)
                g_string_append_c(nulls, '\'');
        /* A row whose hash is NULL (too long for max_allowed_packet) would silently not count: make it never equal. Not the
         * bare UUID(): beside that, MariaDB would take the hash for a UUID, too. */
        g_string_append_printf(sql, "CONCAT(%s)),256),SHA2(UUID(),256))", nulls->len > 0 ? nulls->str : "''");
}

void sql_append_row_hash(GString *sql, const TableSchema *table) {
        append_row_hash(sql, table, /* zeros_alike= */ true);
}

void sql_append_row_identity(GString *sql, const TableSchema *table) {
        append_row_hash(sql, table, /* zeros_alike= */ false);
}

void sql_append_chunk_checksum(GString *sql, const TableSchema *table) {
        g_string_append(sql, "COUNT(*)");
        for (unsigned part = 0; part < 2; part++) {
                g_string_append(sql, ",LPAD(HEX(BIT_XOR(CAST(CONV(SUBSTRING(");
                sql_append_row_hash(sql, table);
                g_string_append_printf(sql, ",%u,16),16,10) AS UNSIGNED))),16,'0')", part * 16 + 1);
        }
}
