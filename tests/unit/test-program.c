/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read out of the texts of triggers and events, and the store of programs: every byte comes back. */

#include <string.h>

#include <glib/gstdio.h>

#include "base/error.h"
#include "engine/program-store.h"

static void test_trigger_body(void) {
        static const struct {
                const char *sql, *body;
        } cases[] = {
                {"CREATE DEFINER=`a`@`%` TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET NEW.a=1", "SET NEW.a=1"},
                {"CREATE DEFINER=`FOR EACH ROW`@`%` TRIGGER `a FOR EACH ROW b` AFTER DELETE ON `x``FOR EACH ROW`\nfor\teach\nrow\n  BEGIN END", "BEGIN END"},
                {"CREATE TRIGGER t /* FOR EACH ROW */ BEFORE UPDATE ON x FOR -- each\n EACH # row\n ROW/**/BEGIN FOR EACH ROW", "BEGIN FOR EACH ROW"},
                {"CREATE TRIGGER forx BEFORE INSERT ON each_row FOR EACH ROW INSERT INTO y VALUES ('FOR EACH ROW')", "INSERT INTO y VALUES ('FOR EACH ROW')"},
                {"CREATE TRIGGER db.t BEFORE INSERT ON db.x FOR EACH ROW x", "x"},
                {"CREATE TRIGGER t BEFORE INSERT ON x FOR ROW", NULL},
                {"CREATE TRIGGER `t BEFORE INSERT ON x FOR EACH ROW", NULL},
                {"CREATE /* TRIGGER t BEFORE INSERT ON x FOR EACH ROW", NULL},
                {"", NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
                g_assert_cmpstr(program_trigger_body(cases[i].sql), ==, cases[i].body);
}

static void test_event_disabled(void) {
        static const struct {
                const char *sql, *disabled;
        } cases[] = {
                {"CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 SECOND STARTS '2014-01-01 00:00:00' ON COMPLETION NOT PRESERVE ENABLE DO SELECT 1",
                 "CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 SECOND STARTS '2014-01-01 00:00:00' ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1"},
                {"CREATE EVENT `ON COMPLETION PRESERVE ENABLE``` ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE ON SLAVE COMMENT 'ENABLE' DO x",
                 "CREATE EVENT `ON COMPLETION PRESERVE ENABLE``` ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE COMMENT 'ENABLE' DO x"},
                {"CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE ON REPLICA DO x",
                 "CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE DO x"},
                {"CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE DO x",
                 "CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE DO x"},
                {"CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE OTHERWISE DO x", NULL},
                {"CREATE EVENT e ON SCHEDULE AT '2040-01-01", NULL},
                {"CREATE EVENT e ON SCHEDULE AT '2040-01-01' DO ON COMPLETION", NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *disabled = program_event_with(cases[i].sql, "DISABLE");
                g_assert_cmpstr(disabled, ==, cases[i].disabled);
                g_autofree char *enabled = disabled ? program_event_with(disabled, "ENABLE") : NULL, *back = enabled ? program_event_with(enabled, "DISABLE") : NULL;
                g_assert_cmpstr(back, ==, disabled);
                if (disabled)
                        g_assert_true(g_str_has_suffix(disabled, program_event_body(disabled)));
        }
}

static void test_event_body(void) {
        g_assert_cmpstr(program_event_body("CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE COMMENT 'it''s DO \\' DO ' DO BEGIN DO 1; END"), ==,
                        "BEGIN DO 1; END");
        g_assert_null(program_event_body("CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE COMMENT 'it"));
        g_assert_null(program_event_body("CREATE EVENT e ON SCHEDULE AT '2040-01-01' ON COMPLETION PRESERVE DISABLE SELECT"));
}

static void test_store(void) {
        g_autoptr(GError) error = NULL;
        g_autofree char *folder = g_dir_make_tmp("program-XXXXXX", &error), *path = g_build_filename(folder, "programs.json", NULL);
        g_autoptr(PairStore) store = pair_store_load(&program_entry_kind, folder, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(store->entries->len, ==, 0);
        char bytes[256];
        for (guint i = 0; i < 255; i++)
                bytes[i] = (char) (i + 1);
        bytes[255] = '\0';
        ProgramEntry *entry = program_store_add(store, PROGRAM_TRIGGER, "d`b", bytes);
        entry->table = g_strdup("t");
        entry->definer = g_strdup("x@%");
        entry->order = 7;
        Definition definition = {.sql = bytes, .sql_mode = (char *) "ANSI", .charset = (char *) "latin1", .collation = (char *) "latin1_bin"};
        entry->sides[SIDE_DESTINATION] = definition_copy(&definition);
        entry->refused[SIDE_SOURCE] = g_strdup("why \"not\"");
        (void) program_store_add(store, PROGRAM_VIEW, "d", "v");
        ((ProgramEntry *) store->entries->pdata[1])->definer = g_strdup("");
        g_assert_true(pair_store_save(store, folder, &error));

        g_autoptr(PairStore) again = pair_store_load(&program_entry_kind, folder, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(again->entries->len, ==, 2);
        const ProgramEntry *read = program_store_find(again, PROGRAM_TRIGGER, "d`b", bytes);
        g_assert_nonnull(read);
        g_assert_true(definition_equal(read->sides[SIDE_DESTINATION], &definition));
        g_assert_null(read->sides[SIDE_SOURCE]);
        g_assert_cmpstr(read->refused[SIDE_SOURCE], ==, "why \"not\"");
        g_assert_cmpuint(read->order, ==, 7);
        guint count = 0;
        g_autofree char *first = pair_store_refused(again, SIDE_SOURCE, &count);
        g_assert_cmpuint(count, ==, 1);
        g_assert_true(g_str_has_prefix(first, "trigger `d``b`.`"));
        pair_store_remove(again, program_store_find(again, PROGRAM_VIEW, "d", "v"));
        g_assert_null(program_store_find(again, PROGRAM_VIEW, "d", "v"));

        static const char *const broken[] = {"", "[]", "{\"version\":2,\"programs\":[]}", "{\"version\":1}", "{\"version\":1,\"programs\":[{}]}",
                                             "{\"version\":1,\"programs\":[{\"kind\":\"view\",\"database\":\"d\",\"name\":\"v\",\"definer\":\"\",\"source\":{}}]}"};
        for (gsize i = 0; i < G_N_ELEMENTS(broken); i++) {
                g_assert_true(g_file_set_contents(path, broken[i], -1, &error));
                g_assert_null(pair_store_load(&program_entry_kind, folder, &error));
                g_assert_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE);
                g_clear_error(&error);
        }
        g_remove(path);
        g_rmdir(folder);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/program/trigger-body", test_trigger_body);
        g_test_add_func("/program/event-disabled", test_event_disabled);
        g_test_add_func("/program/event-body", test_event_body);
        g_test_add_func("/program/store", test_store);
        return g_test_run();
}
