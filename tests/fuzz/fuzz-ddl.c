/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a statement of the binary log. The first byte chooses the session's database; the message must be text. What follows a
 * comment is judged as without it. */

#include <string.h>

#include "engine/ddl.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

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
