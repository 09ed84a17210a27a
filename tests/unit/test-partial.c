/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Row images that lack columns: what is filled in, and what is not. The images are those that servers log; see partial.h. */

#include <string.h>

#include "base/error.h"
#include "engine/partial.h"
#include "fixture.h"

/* id INT, a INT NOT NULL DEFAULT, n INT NOT NULL, t TEXT NULL, e ENUM NOT NULL, g INT generated */
static const char columns[] = "column id integer 0 0 0 0 0 0 0 4 - int(11)\n"
                              "column a integer 0 0 0 0 0 0 0 4 - int(11)\n"
                              "column n datetime 0 0 0 0 0 0 0 0 - datetime\n"
                              "column t text 0 1 0 0 0 0 0 0 latin1_bin text\n"
                              "column e enum 0 0 0 2 0 0 0 0 latin1_bin enum('x','y')\n"
                              "column g integer 0 1 1 0 0 0 0 4 - int(11)";

typedef struct Case {
        RowOperation operation;
        const char *key; /* NULL: none */
        bool mariadb;
        const char *before, *after; /* literals by blank, - for absent; NULL: none */
        RowVerdict verdict;
        const char *result; /* AFTER then, NULL: as it was */
} Case;

#define I ROW_OPERATION_INSERT
#define U ROW_OPERATION_UPDATE
#define D ROW_OPERATION_DELETE
static const Case cases[] = {
        { I, "id", false, NULL, "1 2 'd' 't' 1 -", ROW_WHOLE, NULL },
        { I, "id", false, NULL, "1 - - - - -", ROW_WHOLE, "1 DEFAULT '0000-00-00_00:00:00' DEFAULT 1 -" },
        { I, "id", true, NULL, "1 2 'd' - 1 7", ROW_WHOLE, "1 2 'd' DEFAULT 1 7" },
        { I, "id", false, NULL, "- 2 'd' 't' 1 -", ROW_LOST, NULL }, /* its key is a default */
        { I, NULL, false, NULL, "1 - 'd' 't' 1 -", ROW_LOST, NULL },
        { D, "id", false, "1 2 'd' 't' 1 -", NULL, ROW_WHOLE, NULL },
        { D, "id", false, "1 - - - - -", NULL, ROW_WHOLE, NULL },
        { D, "id", true, "1 - - - - -", NULL, ROW_WHOLE, NULL },
        { D, "id,a", false, "1 - - - - -", NULL, ROW_LOST, NULL },
        { D, NULL, false, "1 2 'd' - 1 -", NULL, ROW_LOST, NULL },
        { U, "id", false, "1 2 'd' 't' 1 -", "1 3 'd' 't' 1 -", ROW_WHOLE, NULL },
        { U, "id", false, "1 - - - - -", "1 3 'd' 't' 1 -", ROW_WHOLE, NULL },        /* REPLACE */
        { U, "id", false, "1 - - - - -", "2 3 'd' 't' 1 -", ROW_WHOLE, NULL },        /* the key, too */
        { U, "id", false, "1 - - - - -", "- 3 - - - -", ROW_PARTIAL, "1 3 - - - -" }, /* MINIMAL */
        { U, "id", false, "1 - - - - -", "1 3 - - - -", ROW_PARTIAL, "1 3 - - - -" },
        { U, "id", false, "1 - - - - -", "2 3 - - - -", ROW_LOST, NULL },
        { U, "id", false, "1 2 'd' - 1 -", "1 3 'd' - 1 -", ROW_PARTIAL, "1 3 'd' - 1 -" }, /* NOBLOB */
        { U, "id", false, "1 2 'd' - 1 -", "1 3 'd' 't' 1 -", ROW_WHOLE, NULL },
        { U, "a", false, "- 2 - - - -", "- - - 't' - -", ROW_PARTIAL, "- 2 - 't' - -" },
        { U, "id,a", false, "1 - - - - -", "- 3 - - - -", ROW_LOST, NULL },
        { U, NULL, false, "1 2 'd' 't' 1 -", "- 3 - - - -", ROW_WHOLE, "1 3 'd' 't' 1 -" }, /* without a key the old row is whole */
        { U, NULL, false, "1 2 'd' - 1 -", "1 2 'd' 't' 1 -", ROW_LOST, NULL },
        { U, "id", true, "1 - - - - -", "1 3 - - - -", ROW_LOST, NULL }, /* REPLACE or UPDATE? */
        { U, "id", true, "1 2 'd' - 1 -", "1 3 'd' - 1 -", ROW_LOST, NULL },
        { U, "id", true, "1 - - - - -", "1 3 'd' 't' 1 -", ROW_WHOLE, NULL },
};

static void set_image(RowImage *image, const char *text) {
        row_image_init(image, 6);
        if (!text)
                return;
        g_auto(GStrv) words = g_strsplit(text, " ", 6);
        image->complete = true;
        for (guint i = 0; i < 6; i++) {
                bool absent = strcmp(words[i], "-") == 0;
                image->offsets[i] = (guint32) image->text->len;
                g_string_append(image->text, absent ? "" : words[i]);
                g_string_append_c(image->text, '\0');
                image->complete = image->complete && (!absent || i == 5);
        }
        image->offsets[6] = (guint32) image->text->len;
}

static char *show(const RowImage *image) {
        g_autoptr(GString) text = g_string_new(NULL);
        for (guint i = 0; i < 6; i++) {
                const char *literal = row_image_literal(image, i);
                g_assert_cmpuint(image->offsets[i + 1] - image->offsets[i], ==, strlen(literal) + 1);
                g_string_append_printf(text, i > 0 ? " %s" : "%s", *literal ? literal : "-");
        }
        for (char *p = strstr(text->str, "00 00"); p; p = strstr(p, "00 00"))
                p[2] = '_';
        return g_string_free(g_steal_pointer(&text), FALSE);
}

static void test_cases(void) {
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                const Case *c = &cases[i];
                TableSchema *schema = fixture_table(columns, c->key);
                ((Column *) schema->columns->pdata[1])->has_default = true;
                RowImage before, after;
                set_image(&before, c->before);
                set_image(&after, c->after);
                RowVerdict verdict = row_make_whole(c->operation, &before, &after, schema, c->mariadb);
                g_test_message("case %zu", i);
                g_assert_cmpint(verdict, ==, c->verdict);
                if (verdict != ROW_LOST && c->after) {
                        g_autofree char *result = show(&after);
                        g_assert_cmpstr(result, ==, c->result ? c->result : c->after);
                        g_assert_cmpint(after.complete, ==, verdict == ROW_WHOLE);
                }
                row_image_clear(&before);
                row_image_clear(&after);
                fixture_table_free(schema);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/partial/cases", test_cases);
        return g_test_run();
}
