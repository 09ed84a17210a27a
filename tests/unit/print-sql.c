/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the description of a table as fixture.h has it and prints the statements' parts for it, one per line: for scripts
 * that try them on real servers. */

#include <stdio.h>

#include "fixture.h"
#include "mysql/sql.h"

int main(void) {
        g_autoptr(GString) text = g_string_new(NULL);
        char buffer[4096];
        for (gsize n; (n = fread(buffer, 1, sizeof buffer, stdin)) > 0;)
                g_string_append_len(text, buffer, (gssize) n);
        g_autoptr(Fixture) fixture = fixture_parse(text->str);

        static void (*const parts[])(GString *, const TableSchema *) = {
                sql_append_select_list, sql_append_row_hash, sql_append_chunk_checksum, sql_append_column_list,
        };
        for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
                g_autoptr(GString) sql = g_string_new(NULL);
                parts[i](sql, fixture->table);
                puts(sql->str);
        }
        return 0;
}
