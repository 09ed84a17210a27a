/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a column is, from the server's words for it; see schema.h. */

#include "mysql/schema-columns.h"

#include <string.h>

#include "mysql/sql.h"

static const struct {
        const char *name;
        ColumnKind kind;
        unsigned int_bytes;
} types[] = {
                {"tinyint", COLUMN_KIND_INTEGER, 1},
                {"smallint", COLUMN_KIND_INTEGER, 2},
                {"mediumint", COLUMN_KIND_INTEGER, 3},
                {"int", COLUMN_KIND_INTEGER, 4},
                {"bigint", COLUMN_KIND_INTEGER, 8},
                {"decimal", COLUMN_KIND_DECIMAL, 0},
                {"float", COLUMN_KIND_FLOAT, 0},
                {"double", COLUMN_KIND_DOUBLE, 0},
                {"bit", COLUMN_KIND_BIT, 0},
                {"year", COLUMN_KIND_YEAR, 0},
                {"date", COLUMN_KIND_DATE, 0},
                {"time", COLUMN_KIND_TIME, 0},
                {"datetime", COLUMN_KIND_DATETIME, 0},
                {"timestamp", COLUMN_KIND_TIMESTAMP, 0},
                {"enum", COLUMN_KIND_ENUM, 0},
                {"set", COLUMN_KIND_SET, 0},
                {"char", COLUMN_KIND_TEXT, 0},
                {"varchar", COLUMN_KIND_TEXT, 0},
                {"tinytext", COLUMN_KIND_TEXT, 0},
                {"text", COLUMN_KIND_TEXT, 0},
                {"mediumtext", COLUMN_KIND_TEXT, 0},
                {"longtext", COLUMN_KIND_TEXT, 0},
                {"binary", COLUMN_KIND_BINARY, 0},
                {"varbinary", COLUMN_KIND_BLOB, 0},
                {"tinyblob", COLUMN_KIND_BLOB, 0},
                {"blob", COLUMN_KIND_BLOB, 0},
                {"mediumblob", COLUMN_KIND_BLOB, 0},
                {"longblob", COLUMN_KIND_BLOB, 0},
                {"geometry", COLUMN_KIND_GEOMETRY, 0},
                {"point", COLUMN_KIND_GEOMETRY, 0},
                {"linestring", COLUMN_KIND_GEOMETRY, 0},
                {"polygon", COLUMN_KIND_GEOMETRY, 0},
                {"multipoint", COLUMN_KIND_GEOMETRY, 0},
                {"multilinestring", COLUMN_KIND_GEOMETRY, 0},
                {"multipolygon", COLUMN_KIND_GEOMETRY, 0},
                {"geometrycollection", COLUMN_KIND_GEOMETRY, 0},
                {"geomcollection", COLUMN_KIND_GEOMETRY, 0},
                {"json", COLUMN_KIND_JSON, 0},
};

static unsigned small_number(const char *text) {
        return text ? (unsigned)MIN(g_ascii_strtoull(text, NULL, 10), G_MAXUINT32) : 0;
}

/* How many members "enum('a','it''s, no','c\\')" has. Inside of quotes a quote is doubled and a backslash
 * escapes. */
static guint32 count_members(const char *type) {
        guint32 n = 0;
        for (const char *p = type; p && (p = strchr(p, '\'')); n++)
                p = sql_behind_quoted(p, /* backslashes= */ true);
        return n;
}

/* Servers with both names mean the same by utf8 and utf8mb3; one spelling, so that both sides agree. */
static char *plain_charset(const char *name) {
        if (name && g_str_has_prefix(name, "utf8mb3"))
                return g_strconcat("utf8", name + strlen("utf8mb3"), NULL);
        return g_strdup(name);
}

static bool is_generated(const char *extra) {
        /* "VIRTUAL GENERATED", "STORED GENERATED"; MariaDB before 10.2 "VIRTUAL", "PERSISTENT". Not
         * "DEFAULT_GENERATED". */
        return strstr(extra, "VIRTUAL") || strstr(extra, "STORED GENERATED") || strstr(extra, "PERSISTENT");
}

Column *column_from_row(char **row) {
        const char *data_type = row[2] ?: "", *type = row[9] ?: "", *extra = row[10] ?: "";
        Column *column = g_new0(Column, 1);
        column->name = g_strdup(row[0] ?: "");
        column->type = g_strdup(type);
        column->kind = COLUMN_KIND_UNSUPPORTED;
        for (gsize i = 0; i < G_N_ELEMENTS(types); i++)
                if (g_ascii_strcasecmp(types[i].name, data_type) == 0) {
                        column->kind = types[i].kind;
                        column->int_bytes = types[i].int_bytes;
                }
        column->nullable = row[1] && g_ascii_strcasecmp(row[1], "YES") == 0;
        column->has_default = row[11] && *row[11] == '1';
        column->zero_default = row[12] && *row[12] == '1';
        column->auto_increment = strstr(extra, "auto_increment") != NULL;
        column->generated = is_generated(extra);
        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
                column->is_unsigned = strstr(type, "unsigned") != NULL;
                if (column->kind != COLUMN_KIND_INTEGER && row[5]) {
                        column->precision = MIN(small_number(row[4]), 255);
                        column->scale = MIN(small_number(row[5]), 30);
                }
                break;
        case COLUMN_KIND_DECIMAL:
                column->is_unsigned = strstr(type, "unsigned") != NULL;
                column->precision = small_number(row[4]);
                column->scale = small_number(row[5]);
                break;
        case COLUMN_KIND_BIT:
                column->length = small_number(row[4]);
                break;
        case COLUMN_KIND_TIME:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
                column->fsp = MIN(small_number(row[6]), 6);
                break;
        case COLUMN_KIND_ENUM:
        case COLUMN_KIND_SET:
                column->length = count_members(type);
                column->charset = plain_charset(row[7]);
                column->collation = plain_charset(row[8]);
                break;
        case COLUMN_KIND_TEXT:
                column->length = small_number(row[3]);
                column->charset = plain_charset(row[7]);
                column->collation = plain_charset(row[8]);
                /* fall through: values of MariaDB's compressed columns are packed in its binary log */
                G_GNUC_FALLTHROUGH;
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
                column->length = small_number(row[3]);
                if (strstr(type, " COMPRESSED*/"))
                        column->kind = COLUMN_KIND_UNSUPPORTED;
                break;
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_DATE:
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
        case COLUMN_KIND_UNSUPPORTED:
                break;
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                g_assert_not_reached();
        }
        return column;
}

void column_free(Column *column) {
        if (!column)
                return;
        g_free(column->name);
        g_free(column->type);
        g_free(column->charset);
        g_free(column->collation);
        collation_unref(column->order);
        g_free(column);
}

void column_array_put(GPtrArray *columns, guint64 ordinal, Column *column) {
        if (ordinal == 0 || ordinal > 4096) { /* no table of any flavor has more */
                column_free(column);
                return;
        }
        if (columns->len < ordinal)
                g_ptr_array_set_size(columns, (int)ordinal);
        column_free(columns->pdata[ordinal - 1]);
        columns->pdata[ordinal - 1] = column;
}

guint64 column_key_bytes(const Column *column) {
        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
                return column->int_bytes;
        case COLUMN_KIND_DECIMAL:
                return column->precision / 2 + 1;
        case COLUMN_KIND_BIT:
                return column->length / 8 + 1;
        case COLUMN_KIND_YEAR:
                return 1;
        case COLUMN_KIND_ENUM:
                return 2;
        case COLUMN_KIND_DATE:
                return 3;
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_TIMESTAMP:
                return 4;
        case COLUMN_KIND_TIME:
                return 5;
        case COLUMN_KIND_DOUBLE:
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_SET:
                return 8;
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
                return 16 + (guint64)column->length; /* any number is preferred to any text */
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
        case COLUMN_KIND_UNSUPPORTED:
                return G_MAXUINT32;
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        g_assert_not_reached();
}

const char *column_difference(const Column *a, const Column *b) {
        if (!g_str_equal(a->name, b->name))
                return "name";
        if (a->kind != b->kind)
                return "type";
        if (a->generated != b->generated)
                return "being generated";
        if (a->is_unsigned != b->is_unsigned)
                return "sign";
        if (a->int_bytes > b->int_bytes || a->precision > b->precision || a->scale != b->scale ||
            a->fsp != b->fsp)
                return "size";
        /* BINARY is padded and BIT printed to its size; members of ENUM and SET are known by their numbers.
         */
        if ((a->kind == COLUMN_KIND_BINARY || a->kind == COLUMN_KIND_BIT) && a->length != b->length)
                return "length";
        if (a->length > b->length)
                return "length";
        if (g_strcmp0(a->charset, b->charset) != 0)
                return "character set";
        if (a->nullable && !b->nullable)
                return "NULL";
        return NULL;
}
