/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See change.h. */

#include "engine/change.h"

#include <string.h>

#include "base/error.h"
#include "engine/change-multiset.h"
#include "mysql/schema-columns.h"
#include "mysql/sql.h"

#define MAX_ROWS_PER_STATEMENT 1000
#define MAX_KEYS_PER_DELETE 200 /* 5.6's range optimizer gives up on very long ORs of composite keys */

Packet *packet_new(void) {
        Packet *packet = g_new0(Packet, 1);
        packet->changes = g_array_new(FALSE, FALSE, sizeof(Change));
        packet->arena = g_string_new(NULL);
        return packet;
}

void packet_free(Packet *packet) {
        if (!packet)
                return;
        g_array_unref(packet->changes);
        g_string_free(packet->arena, TRUE);
        place_unref(packet->place);
        g_free(packet);
}

gsize packet_weight(const Packet *packet) {
        return sizeof *packet + packet->arena->len + packet->changes->len * sizeof(Change);
}

static Column *pair_column(const char *name, unsigned bytes) {
        Column *column = g_new0(Column, 1);
        column->name = g_strdup(name);
        column->type = g_strdup(bytes == 4 ? "int unsigned" : "bigint unsigned");
        column->kind = COLUMN_KIND_INTEGER;
        column->is_unsigned = true;
        column->int_bytes = bytes;
        return column;
}

TableSchema *change_pair_schema(void) {
        TableSchema *schema = g_new0(TableSchema, 1);
        schema->columns = g_ptr_array_new_with_free_func((GDestroyNotify) column_free);
        schema->indexes = g_ptr_array_new();
        schema->key = g_array_new(FALSE, FALSE, sizeof(unsigned));
        g_ptr_array_add(schema->columns, pair_column("id", 4));
        g_ptr_array_add(schema->columns, pair_column("value", 8));
        return schema;
}

void change_append_tuple(GString *out, const TableSchema *schema, const RowImage *image) {
        char separator = '(';
        for (guint i = 0; i < schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(schema->columns, i);
                if (column->generated)
                        continue;
                g_string_append_c(out, separator);
                separator = ',';
                gsize length = image->offsets[i + 1] - image->offsets[i] - 1; /* without the NUL */
                g_string_append_len(out, row_image_literal(image, i), (gssize) length);
        }
        g_string_append_c(out, ')');
}

static void append_assignments(GString *out, const TableSchema *schema, const RowImage *image) {
        bool first = true;
        for (guint i = 0; i < schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(schema->columns, i);
                gsize length = image->offsets[i + 1] - image->offsets[i] - 1;
                if (column->generated || length == 0) /* not in a partial image */
                        continue;
                if (!first)
                        g_string_append_c(out, ',');
                first = false;
                sql_append_identifier(out, column->name);
                g_string_append_c(out, '=');
                g_string_append_len(out, row_image_literal(image, i), (gssize) length);
        }
}

guint change_enum_zeros(const TableSchema *schema, const RowImage *image) {
        guint zeros = 0;
        for (guint i = 0; i < schema->columns->len; i++) {
                const Column *column = g_ptr_array_index(schema->columns, i);
                if (column->kind == COLUMN_KIND_ENUM && !column->generated && strcmp(row_image_literal(image, i), "0") == 0)
                        zeros++;
        }
        return zeros;
}

void packet_add(Packet *packet, LinkTable *table, RowOperation operation, const char *key, gsize key_size, guint64 hash,
                const RowImage *image, bool cascades, bool maybe_gone) {
        Change change = {
                .table = table,
                .operation = operation,
                .hash = hash,
                .key = packet->arena->len,
                .key_size = (guint32) key_size,
                .cascades = cascades,
                .maybe_gone = maybe_gone,
        };
        g_string_append_len(packet->arena, key, (gssize) key_size);
        change.text = packet->arena->len;
        change.assigns = operation == ROW_OPERATION_UPDATE && (table->ordered || cascades || !image->complete);
        if (change.assigns)
                append_assignments(packet->arena, table->schema, image);
        else if (operation != ROW_OPERATION_DELETE && !table->multiset)
                change_append_tuple(packet->arena, table->schema, image);
        change.text_size = packet->arena->len - change.text;
        change.enum_zeros = operation == ROW_OPERATION_DELETE && !table->multiset ? 0 : change_enum_zeros(table->schema, image);
        g_array_append_val(packet->changes, change);
}

/* --- folding --- */

typedef struct Fold {
        const char *key;
        guint32 key_size;
        guint64 hash;
        RowOperation operation; /* _INVALID: inserted and deleted again */
        const char *text;
        gsize text_size;
        guint enum_zeros;
        bool assigns; /* the text is for an UPDATE of its own */
} Fold;

static bool fold_same_key(const Fold *a, const Fold *b) {
        return a->hash == b->hash && a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

typedef struct TableFolds {
        LinkTable *table;
        GArray *folds; /* of Fold, in order of first appearance; for ordered tables: every change */
        bool partial;  /* some change is an UPDATE of a part of the columns: what it comes to depends on the row */
} TableFolds;

static bool impossible(const LinkTable *table, RowOperation first, RowOperation second, GError **error) {
        static const char *const names[] = {"INSERT", "UPDATE", "DELETE"};
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH,
                    "the binary log has %s after %s of the same key of `%s`.`%s`", names[second],
                    first == _ROW_OPERATION_INVALID ? "DELETE" : names[first], table->schema->database, table->schema->name);
        return false;
}

/* What two changes of one key, one after the other, come to. */
static bool combine(const LinkTable *table, Fold *fold, const Fold *next, GError **error) {
        bool exists = fold->operation == ROW_OPERATION_INSERT || fold->operation == ROW_OPERATION_UPDATE;
        RowOperation result;
        if (next->operation == ROW_OPERATION_INSERT) {
                if (exists)
                        return impossible(table, fold->operation, next->operation, error);
                result = fold->operation == ROW_OPERATION_DELETE ? ROW_OPERATION_UPDATE : ROW_OPERATION_INSERT;
        } else {
                if (!exists)
                        return impossible(table, fold->operation, next->operation, error);
                if (next->operation == ROW_OPERATION_UPDATE)
                        result = fold->operation;
                else
                        result = fold->operation == ROW_OPERATION_INSERT ? _ROW_OPERATION_INVALID : ROW_OPERATION_DELETE;
        }
        fold->operation = result;
        fold->text = next->text;
        fold->text_size = next->text_size;
        fold->enum_zeros = next->enum_zeros;
        return true;
}

/* Open addressing over the folds: slots hold an index + 1. */
static bool fold_table(TableFolds *folds, GArray *changes_of_table, GError **error) {
        gsize size = 16;
        while (size < changes_of_table->len * 2)
                size *= 2;
        g_autofree guint *slots = g_new0(guint, size);
        for (guint i = 0; i < changes_of_table->len; i++) {
                const Fold *change = &g_array_index(changes_of_table, Fold, i);
                gsize at = change->hash & (size - 1);
                while (slots[at] && !fold_same_key(&g_array_index(folds->folds, Fold, slots[at] - 1), change))
                        at = (at + 1) & (size - 1);
                if (slots[at]) {
                        if (!combine(folds->table, &g_array_index(folds->folds, Fold, slots[at] - 1), change, error))
                                return false;
                } else {
                        g_array_append_val(folds->folds, *change);
                        slots[at] = folds->folds->len;
                }
        }
        return true;
}

/* --- statements --- */

void batch_init(Batch *batch) {
        *batch = (Batch){0};
        batch->text = g_string_new(NULL);
        batch->statements = g_array_new(FALSE, FALSE, sizeof(BatchStatement));
        batch->multisets = g_ptr_array_new_with_free_func((GDestroyNotify) multiset_free);
}

void batch_clear(Batch *batch) {
        g_string_free(g_steal_pointer(&batch->text), TRUE);
        g_clear_pointer(&batch->statements, g_array_unref);
        g_clear_pointer(&batch->multisets, g_ptr_array_unref);
}

static void begin_statement(Batch *batch, const LinkTable *table, CountRule rule) {
        BatchStatement statement = {.table = table, .start = batch->text->len, .rule = rule};
        g_array_append_val(batch->statements, statement);
}

static void end_statement(Batch *batch, guint64 expected, guint64 warnings) {
        BatchStatement *statement = &g_array_index(batch->statements, BatchStatement, batch->statements->len - 1);
        g_string_append_c(batch->text, ';');
        statement->size = batch->text->len - statement->start;
        statement->expected = expected;
        statement->warnings = warnings;
}

static void append_key_condition(GString *sql, const LinkTable *table, const Fold *fold) {
        const char *literals[64];
        key_split(table->schema, fold->key, literals);
        sql_append_key_equal(sql, table->schema, literals);
}

/* Whether the literal of the only key column is equal to its value in an IN list too; the others need sql_append_key_equal(). */
static bool key_fits_list(const TableSchema *schema) {
        const Column *column = g_ptr_array_index(schema->columns, g_array_index(schema->key, unsigned, 0));
        bool signed_set = column->kind == COLUMN_KIND_SET && column->length >= 64; /* see append_comparison() of sql.c */
        return schema->key->len == 1 && column->kind != COLUMN_KIND_FLOAT && column->kind != COLUMN_KIND_DOUBLE &&
               column->kind != COLUMN_KIND_BIT && !signed_set;
}

static void write_deletes(Batch *batch, const LinkTable *table, const Fold *folds, guint n, gsize max_statement) {
        bool single = key_fits_list(table->schema);
        guint most = single ? MAX_ROWS_PER_STATEMENT : MAX_KEYS_PER_DELETE;
        for (guint i = 0; i < n;) {
                guint first = i;
                gsize start = batch->text->len;
                begin_statement(batch, table, COUNT_AFFECTED);
                g_string_append(batch->text, "DELETE FROM ");
                sql_append_table(batch->text, table->schema->database, table->schema->name);
                g_string_append(batch->text, " WHERE ");
                if (single) {
                        sql_append_key_list(batch->text, table->schema);
                        g_string_append(batch->text, " IN (");
                }
                for (; i < n && i - first < most; i++) {
                        if (i > first && batch->text->len - start + folds[i].key_size > max_statement)
                                break;
                        if (single) {
                                if (i > first)
                                        g_string_append_c(batch->text, ',');
                                g_string_append(batch->text, folds[i].key);
                        } else {
                                g_string_append(batch->text, i > first ? " OR (" : "(");
                                append_key_condition(batch->text, table, &folds[i]);
                                g_string_append_c(batch->text, ')');
                        }
                }
                if (single)
                        g_string_append_c(batch->text, ')');
                end_statement(batch, i - first, /* warnings= */ 0);
        }
}

/* folds[from, to) are all INSERTs (or UPDATEs, to be written as upserts that must find every row). */
static void write_rows(Batch *batch, const LinkTable *table, const Fold *folds, guint n, bool upsert, const Flavor *flavor,
                       gsize max_statement) {
        for (guint i = 0; i < n;) {
                if (upsert && folds[i].text_size > max_statement) { /* twice would be too large for the server */
                        write_deletes(batch, table, &folds[i], 1, max_statement);
                        write_rows(batch, table, &folds[i], 1, /* upsert= */ false, flavor, max_statement);
                        i++;
                        continue;
                }
                guint first = i;
                begin_statement(batch, table, upsert ? COUNT_DUPLICATES : COUNT_AFFECTED);
                gsize start = batch->text->len;
                sql_append_insert_prefix(batch->text, table->schema);
                guint64 warnings = 0;
                for (; i < n && i - first < MAX_ROWS_PER_STATEMENT; i++) {
                        if (i > first && batch->text->len - start + folds[i].text_size > max_statement)
                                break;
                        if (i > first)
                                g_string_append_c(batch->text, ',');
                        g_string_append_len(batch->text, folds[i].text, (gssize) folds[i].text_size);
                        warnings += folds[i].enum_zeros;
                }
                guint64 expected = i - first;
                if (upsert) {
                        if (expected == 1) { /* mysql_info() is silent about a single row, so it is written twice */
                                g_string_append_c(batch->text, ',');
                                g_string_append_len(batch->text, folds[first].text, (gssize) folds[first].text_size);
                                expected = 2;
                                warnings *= 2;
                        }
                        sql_append_upsert_suffix(batch->text, table->schema, flavor);
                }
                end_statement(batch, expected, warnings);
        }
}

static void write_update(Batch *batch, const LinkTable *table, const Fold *fold) {
        begin_statement(batch, table, COUNT_AFFECTED);
        g_string_append(batch->text, "UPDATE ");
        sql_append_table(batch->text, table->schema->database, table->schema->name);
        g_string_append(batch->text, " SET ");
        g_string_append_len(batch->text, fold->text, (gssize) fold->text_size);
        g_string_append(batch->text, " WHERE ");
        append_key_condition(batch->text, table, fold);
        end_statement(batch, 1, fold->enum_zeros);
}

/* Tables on which rows can collide, or with changes that cannot be folded: the order of the log, neighbours of a kind in one statement. */
static void write_in_order(Batch *batch, const LinkTable *table, const GArray *folds, const Flavor *flavor, gsize max_statement) {
        for (guint i = 0; i < folds->len;) {
                const Fold *first = &g_array_index(folds, Fold, i);
                guint n = 1;
                while (i + n < folds->len && g_array_index(folds, Fold, i + n).operation == first->operation &&
                       g_array_index(folds, Fold, i + n).assigns == first->assigns)
                        n++;
                if (first->operation == ROW_OPERATION_DELETE)
                        write_deletes(batch, table, first, n, max_statement);
                else if (!first->assigns)
                        write_rows(batch, table, first, n, /* upsert= */ first->operation == ROW_OPERATION_UPDATE, flavor, max_statement);
                else
                        for (guint k = 0; k < n; k++)
                                write_update(batch, table, first + k);
                i += n;
        }
}

/* Every key at most once: all DELETEs, then all INSERTs, then all UPDATEs. */
static void write_folded(Batch *batch, const LinkTable *table, const GArray *folds, const Flavor *flavor, gsize max_statement) {
        static const RowOperation order[] = {ROW_OPERATION_DELETE, ROW_OPERATION_INSERT, ROW_OPERATION_UPDATE};
        g_autoptr(GArray) some = g_array_new(FALSE, FALSE, sizeof(Fold));
        for (gsize o = 0; o < G_N_ELEMENTS(order); o++) {
                g_array_set_size(some, 0);
                for (guint i = 0; i < folds->len; i++)
                        if (g_array_index(folds, Fold, i).operation == order[o])
                                g_array_append_val(some, g_array_index(folds, Fold, i));
                if (some->len == 0)
                        continue;
                const Fold *first = &g_array_index(some, Fold, 0);
                if (order[o] == ROW_OPERATION_DELETE)
                        write_deletes(batch, table, first, some->len, max_statement);
                else
                        write_rows(batch, table, first, some->len, order[o] == ROW_OPERATION_UPDATE, flavor, max_statement);
        }
}

static Multiset *multiset_of_changes(const TableFolds *folds) {
        Multiset *set = multiset_new(folds->table);
        for (guint i = 0; i < folds->folds->len; i++) {
                const Fold *change = &g_array_index(folds->folds, Fold, i);
                multiset_add(set, change->key, change->key_size, change->hash, change->operation == ROW_OPERATION_DELETE ? -1 : 1,
                             change->enum_zeros);
        }
        return set;
}

static void table_folds_free(gpointer data) {
        TableFolds *folds = data;
        g_array_unref(folds->folds);
        g_free(folds);
}

static Fold fold_of(const Packet *packet, const Change *change) {
        return (Fold){
                .key = packet->arena->str + change->key,
                .key_size = change->key_size,
                .hash = change->hash,
                .operation = change->operation,
                .text = packet->arena->str + change->text,
                .text_size = change->text_size,
                .enum_zeros = change->enum_zeros,
                .assigns = change->assigns,
        };
}

/* Changes without any that cascades, table by table. */
static bool write_plain(Batch *batch, GPtrArray *tables, const Flavor *flavor, gsize max_statement, GError **error) {
        for (guint t = 0; t < tables->len; t++) {
                TableFolds *folds = g_ptr_array_index(tables, t);
                if (folds->table->multiset) {
                        begin_statement(batch, folds->table, COUNT_MULTISET);
                        BatchStatement *statement = &g_array_index(batch->statements, BatchStatement, batch->statements->len - 1);
                        statement->multiset = multiset_of_changes(folds);
                        g_ptr_array_add(batch->multisets, statement->multiset);
                        continue;
                }
                if (folds->table->ordered || folds->partial) {
                        write_in_order(batch, folds->table, folds->folds, flavor, max_statement);
                        continue;
                }
                g_autoptr(GArray) changes = folds->folds;
                folds->folds = g_array_sized_new(FALSE, FALSE, sizeof(Fold), changes->len);
                if (!fold_table(folds, changes, error))
                        return false;
                write_folded(batch, folds->table, folds->folds, flavor, max_statement);
        }
        g_ptr_array_set_size(tables, 0);
        return true;
}

static void write_checks(Batch *batch, bool on) {
        begin_statement(batch, /* table= */ NULL, COUNT_NOTHING);
        g_string_append_printf(batch->text, "SET foreign_key_checks=%d", on);
        end_statement(batch, /* expected= */ 0, /* warnings= */ 0);
}

/* Alone, since the next row may be one that this one takes along. */
static void write_alone(Batch *batch, const Change *change, const Fold *fold, gsize max_statement) {
        if (fold->operation == ROW_OPERATION_UPDATE)
                write_update(batch, change->table, fold);
        else
                write_deletes(batch, change->table, fold, 1, max_statement);
        if (change->maybe_gone)
                g_array_index(batch->statements, BatchStatement, batch->statements->len - 1).rule = COUNT_AT_MOST;
}

bool batch_build(Batch *batch, GPtrArray *packets, const Flavor *flavor, gsize max_statement, GError **error) {
        g_autoptr(GPtrArray) tables = g_ptr_array_new_with_free_func(table_folds_free); /* in order of appearance */
        TableFolds *last = NULL;
        bool checks = false;

        g_string_truncate(batch->text, 0);
        g_array_set_size(batch->statements, 0);
        g_ptr_array_set_size(batch->multisets, 0);
        batch->changes = 0;
        for (guint p = 0; p < packets->len; p++) {
                const Packet *packet = g_ptr_array_index(packets, p);
                batch->changes += packet->changes->len;
                for (guint i = 0; i < packet->changes->len; i++) {
                        const Change *change = &g_array_index(packet->changes, Change, i);
                        Fold fold = fold_of(packet, change);
                        bool alone = change->cascades || change->maybe_gone;
                        if (alone) {
                                last = NULL;
                                if (!write_plain(batch, tables, flavor, max_statement, error))
                                        return false;
                        }
                        if (checks != change->cascades)
                                write_checks(batch, change->cascades);
                        checks = change->cascades;
                        if (alone) {
                                write_alone(batch, change, &fold, max_statement);
                                continue;
                        }
                        for (guint t = 0; t < tables->len && (!last || last->table != change->table); t++)
                                last = g_ptr_array_index(tables, t);
                        if (!last || last->table != change->table) {
                                last = g_new0(TableFolds, 1);
                                last->table = change->table;
                                last->folds = g_array_new(FALSE, FALSE, sizeof(Fold));
                                g_ptr_array_add(tables, last);
                        }
                        last->partial |= change->assigns && !change->table->ordered;
                        g_array_append_val(last->folds, fold);
                }
        }
        if (checks)
                write_checks(batch, /* on= */ false);
        return write_plain(batch, tables, flavor, max_statement, error);
}
