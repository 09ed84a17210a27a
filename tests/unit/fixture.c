/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fixture.h. A fixture that cannot be read fails the test. */

#include "fixture.h"

#include <string.h>

static void column_free_all(gpointer data) {
        Column *column = data;
        g_free(column->name);
        g_free(column->type);
        g_free(column->charset);
        g_free(column->collation);
        g_free(column);
}

static void item_free(gpointer data) {
        FixtureItem *item = data;
        if (item->event)
                g_byte_array_unref(item->event);
        g_strfreev(item->values);
        g_free(item->text);
        g_free(item);
}

GByteArray *fixture_unhex(const char *hex) {
        GByteArray *bytes = g_byte_array_new();
        for (; hex[0] && hex[1]; hex += 2) {
                g_assert_true(g_ascii_isxdigit(hex[0]) && g_ascii_isxdigit(hex[1]));
                guint8 byte = (guint8) (g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
                g_byte_array_append(bytes, &byte, 1);
        }
        g_assert_cmpint(*hex, ==, 0);
        return bytes;
}

static TableSchema *table_new(const char *database, const char *name) {
        TableSchema *table = g_new0(TableSchema, 1);
        table->database = g_strdup(database);
        table->name = g_strdup(name);
        table->columns = g_ptr_array_new_with_free_func(column_free_all);
        table->indexes = g_ptr_array_new();
        table->key = g_array_new(FALSE, FALSE, sizeof(unsigned));
        return table;
}

void fixture_table_free(TableSchema *table) {
        if (!table)
                return;
        g_free(table->database);
        g_free(table->name);
        g_ptr_array_unref(table->columns);
        g_ptr_array_unref(table->indexes);
        g_array_unref(table->key);
        g_free(table);
}

static unsigned number(const char *word) {
        return (unsigned) g_ascii_strtoull(word, NULL, 10);
}

static void add_column(TableSchema *table, const char *rest) {
        g_auto(GStrv) words = g_strsplit(rest, " ", 12);
        g_assert_cmpuint(g_strv_length(words), ==, 12);
        Column *column = g_new0(Column, 1);
        column->name = g_strdup(words[0]);
        column->kind = column_kind_from_string(words[1]);
        g_assert_cmpint(column->kind, >=, 0);
        column->is_unsigned = number(words[2]);
        column->nullable = number(words[3]);
        column->generated = number(words[4]);
        column->length = number(words[5]);
        column->precision = number(words[6]);
        column->scale = number(words[7]);
        column->fsp = number(words[8]);
        column->int_bytes = number(words[9]);
        column->collation = strcmp(words[10], "-") == 0 ? NULL : g_strdup(words[10]);
        column->type = g_strdup(words[11]);
        g_ptr_array_add(table->columns, column);
}

static void add_key(TableSchema *table, const char *key) {
        g_auto(GStrv) names = g_strsplit(key, ",", -1);
        for (char **name = names; *name; name++)
                for (unsigned i = 0; i < table->columns->len; i++)
                        if (strcmp(((Column *) table->columns->pdata[i])->name, *name) == 0)
                                g_array_append_val(table->key, i);
        g_assert_cmpuint(table->key->len, ==, g_strv_length(names));
}

static FixtureItem *add_item(Fixture *fixture, FixtureWhat what) {
        FixtureItem *item = g_new0(FixtureItem, 1);
        item->what = what;
        g_ptr_array_add(fixture->items, item);
        return item;
}

static void parse_line(Fixture *fixture, const char *line) {
        const char *space = strchr(line, ' '), *rest = space ? space + 1 : "";
        g_autofree char *word = g_strndup(line, space ? (gsize) (space - line) : strlen(line));

        if (strcmp(word, "table") == 0) {
                g_auto(GStrv) names = g_strsplit(rest, " ", 2);
                fixture->table = table_new(names[0], names[1]);
        } else if (strcmp(word, "column") == 0)
                add_column(fixture->table, rest);
        else if (strcmp(word, "key") == 0)
                add_key(fixture->table, rest);
        else if (strcmp(word, "select") == 0)
                fixture->select = g_strdup(rest);
        else if (strcmp(word, "event") == 0)
                add_item(fixture, FIXTURE_EVENT)->event = fixture_unhex(rest);
        else if (strcmp(word, "before") == 0)
                add_item(fixture, FIXTURE_BEFORE)->values = g_strsplit(rest, " ", -1);
        else if (strcmp(word, "after") == 0)
                add_item(fixture, FIXTURE_AFTER)->values = g_strsplit(rest, " ", -1);
        else if (strcmp(word, "query") == 0)
                add_item(fixture, FIXTURE_QUERY)->text = g_strdup(rest);
        else
                g_error("Unknown line in a fixture: %s", word);
}

Fixture *fixture_parse(const char *text) {
        Fixture *fixture = g_new0(Fixture, 1);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        fixture->items = g_ptr_array_new_with_free_func(item_free);
        for (char **line = lines; *line; line++)
                if ((*line)[0] && (*line)[0] != '#')
                        parse_line(fixture, *line);
        return fixture;
}

Fixture *fixture_load(const char *name) {
        g_autofree char *path = g_build_filename(FIXTURES, name, NULL);
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        return fixture_parse(text);
}

void fixture_free(Fixture *fixture) {
        if (!fixture)
                return;
        fixture_table_free(fixture->table);
        g_free(fixture->select);
        g_ptr_array_unref(fixture->items);
        g_free(fixture);
}

TableSchema *fixture_table(const char *spec, const char *key) {
        g_autofree char *text = g_strconcat("table db t\n", spec, key ? "\nkey " : "", key, NULL);
        g_autoptr(Fixture) fixture = fixture_parse(text);
        return g_steal_pointer(&fixture->table);
}
