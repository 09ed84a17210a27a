/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See partial.h. */

#include "engine/partial.h"

#include <string.h>

#include "base/error.h"

static const Column *column_at(const TableSchema *schema, guint i) {
        return g_ptr_array_index(schema->columns, i);
}

static bool has(const RowImage *image, guint column) {
        return *row_image_literal(image, column) != '\0'; /* no literal is empty */
}

static bool in_key(const TableSchema *schema, guint column) {
        for (guint i = 0; i < schema->key->len; i++)
                if (g_array_index(schema->key, unsigned, i) == column)
                        return true;
        return false;
}

static bool has_key(const TableSchema *schema, const RowImage *image) {
        for (guint i = 0; i < schema->key->len; i++)
                if (!has(image, g_array_index(schema->key, unsigned, i)))
                        return false;
        return schema->key->len > 0;
}

static bool same_key(const TableSchema *schema, const RowImage *a, const RowImage *b) {
        for (guint i = 0; i < schema->key->len; i++) {
                unsigned column = g_array_index(schema->key, unsigned, i);
                if (strcmp(row_image_literal(a, column), row_image_literal(b, column)) != 0)
                        return false;
        }
        return true;
}

/* What a column without a default gets when a statement does not name it (in strict mode the statement fails); NULL: not known. */
static const char *implicit_default(const Column *column) {
        switch (column->kind) {
        case COLUMN_KIND_INTEGER:
        case COLUMN_KIND_DECIMAL:
        case COLUMN_KIND_FLOAT:
        case COLUMN_KIND_DOUBLE:
        case COLUMN_KIND_BIT:
        case COLUMN_KIND_YEAR:
        case COLUMN_KIND_SET:
                return "0";
        case COLUMN_KIND_ENUM: /* its first member */
                return "1";
        case COLUMN_KIND_DATE:
                return "'0000-00-00'";
        case COLUMN_KIND_TIME:
                return "'00:00:00'";
        case COLUMN_KIND_DATETIME:
        case COLUMN_KIND_TIMESTAMP:
                return "'0000-00-00 00:00:00'";
        case COLUMN_KIND_TEXT:
        case COLUMN_KIND_BINARY:
        case COLUMN_KIND_BLOB:
                return "''";
        case COLUMN_KIND_GEOMETRY:
        case COLUMN_KIND_JSON:
        case COLUMN_KIND_UNSUPPORTED:
        case _COLUMN_KIND_MAX:
        case _COLUMN_KIND_INVALID:
                break;
        }
        return NULL;
}

/* FILL gives the literals of columns that are absent, or NULL. */
static void fill(RowImage *image, const char *const *literals) {
        GString *text = g_string_sized_new(image->text->len + 64);
        for (unsigned i = 0; i < image->n_columns; i++) {
                gsize length = image->offsets[i + 1] - image->offsets[i] - 1;
                const char *literal = row_image_literal(image, i);
                if (length == 0 && literals[i]) {
                        literal = literals[i];
                        length = strlen(literal);
                }
                gsize start = text->len;
                g_string_append_len(text, literal, (gssize) length);
                g_string_append_c(text, '\0');
                image->offsets[i] = (guint32) start; /* behind the last use of what it was */
        }
        image->offsets[image->n_columns] = (guint32) text->len;
        g_string_free(image->text, TRUE);
        image->text = text;
}

static RowVerdict insert(RowImage *after, const TableSchema *schema) {
        g_autofree const char **literals = g_new0(const char *, after->n_columns);
        for (guint i = 0; i < after->n_columns; i++) {
                const Column *column = column_at(schema, i);
                if (has(after, i) || column->generated)
                        continue;
                /* The row is found by these values later, or counted by them. */
                if (schema->key->len == 0 || in_key(schema, i) || column->auto_increment)
                        return ROW_LOST;
                literals[i] = column->nullable || column->has_default ? "DEFAULT" : implicit_default(column);
                if (!literals[i])
                        return ROW_LOST;
        }
        fill(after, literals);
        after->complete = true;
        return ROW_WHOLE;
}

static RowVerdict update(const RowImage *before, RowImage *after, const TableSchema *schema, bool mariadb) {
        if (!before->complete && !has_key(schema, before))
                return ROW_LOST;
        if (after->complete)
                return ROW_WHOLE;
        if (mariadb)
                return ROW_LOST;
        g_autofree const char **literals = g_new0(const char *, after->n_columns);
        bool complete = true;
        for (guint i = 0; i < after->n_columns; i++) {
                literals[i] = has(before, i) ? row_image_literal(before, i) : NULL;
                complete = complete && (has(after, i) || literals[i] || column_at(schema, i)->generated);
        }
        fill(after, literals);
        after->complete = complete;
        return complete ? ROW_WHOLE : same_key(schema, before, after) ? ROW_PARTIAL : ROW_LOST;
}

void partial_set_lost(const TableSchema *schema, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                    "a session wrote to `%s`.`%s` with a binlog_row_image that is not FULL, and what it logged does not tell what the rows are "
                    "now: set binlog_row_image=FULL for every session, and start a new migration", schema->database, schema->name);
}

RowVerdict row_make_whole(RowOperation operation, RowImage *before, RowImage *after, const TableSchema *schema, bool mariadb) {
        switch (operation) {
        case ROW_OPERATION_INSERT:
                return after->complete ? ROW_WHOLE : insert(after, schema);
        case ROW_OPERATION_DELETE:
                return before->complete || has_key(schema, before) ? ROW_WHOLE : ROW_LOST;
        case ROW_OPERATION_UPDATE:
                return before->complete && after->complete ? ROW_WHOLE : update(before, after, schema, mariadb);
        case _ROW_OPERATION_MAX:
        case _ROW_OPERATION_INVALID:
                break;
        }
        return ROW_LOST;
}
