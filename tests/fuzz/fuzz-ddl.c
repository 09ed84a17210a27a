/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a statement of the binary log. The first byte chooses the session's database; the message must be text. What follows a
 * comment is judged as without it. The second look at it gives a text that it gives again when it is looked at again. */

#include <string.h>

#include "engine/ddl.h"
#include "engine/ddl-text.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void look_twice(const char *sql, gsize length, const char *database, guint8 bits) {
        QuerySession session = {
                .has_sql_mode = true,
                .sql_mode = (bits & 8 ? SQL_MODE_ANSI_QUOTES : 0) | (bits & 16 ? SQL_MODE_NO_BACKSLASH_ESCAPES : 0),
                .has_charset = true,
                .client = bits & 32 ? 33 : 8,
        };
        Flavor from = bits & 64 ? (Flavor){true, 101114} : bits & 128 ? (Flavor){false, 90704} : (Flavor){false, 50624};
        g_autoptr(DdlText) once = ddl_text_new(sql, length, database, &session, &from, NULL);
        if (!once)
                return;
        g_autoptr(DdlText) twice = ddl_text_new(once->text->str, once->text->len, database, &session, &from, NULL);
        g_assert_nonnull(twice);
        g_assert_cmpint(once->verb, ==, twice->verb);
        g_assert_cmpuint(once->tables->len, ==, twice->tables->len);
        for (guint i = 0; i < once->tables->len; i++) {
                const DdlTable *a = g_ptr_array_index(once->tables, i), *b = g_ptr_array_index(twice->tables, i);
                g_assert_cmpstr(a->database, ==, b->database);
                g_assert_cmpstr(a->name, ==, b->name);
                g_assert_cmpstr(a->to_name, ==, b->to_name);
        }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
        static const char *const databases[] = {"app", "other", "", "mysql"};
        g_autoptr(MigrationSpec) spec = spec_new("shop");
        if (size < 1)
                return 0;
        if (data[0] & 4) {
                g_assert_true(spec_set_text(spec, "include", "app", NULL));
                g_assert_true(spec_set_text(spec, "exclude", "app.scratch", NULL));
        }
        const char *database = databases[data[0] & 3];
        g_autofree char *sql = g_memdup2(data + 1, size - 1);
        look_twice(sql ? sql : "", size - 1, database, data[0]);
        Statement statement, again;
        statement_classify(sql ? sql : "", size - 1, database, spec, &statement);
        g_assert_cmpint(statement.kind, >=, -1);
        g_assert_cmpint(statement.kind, <, _STATEMENT_MAX);
        g_assert_true(g_utf8_validate(statement.what, -1, NULL));

        g_autoptr(GString) commented = g_string_new("/* DROP TABLE x */ # y\n");
        g_string_append_len(commented, (const char *) data + 1, (gssize) size - 1);
        statement_classify(commented->str, commented->len, database, spec, &again);
        g_assert_cmpint(again.kind, ==, statement.kind);
        g_assert_cmpstr(again.what, ==, statement.what);
        return 0;
}
