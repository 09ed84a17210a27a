/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which databases and tables a migration asks for; see spec-select.h and spec_selects(). */

#include "engine/spec-select.h"

#include <string.h>

#include <glib.h>

#include "engine/spec.h"

typedef struct Pattern {
        char *database;
        char *table; /* NULL: the whole database */
} Pattern;

static void pattern_clear(Pattern *pattern) {
        g_free(pattern->database);
        g_free(pattern->table);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pattern, pattern_clear)

/* Takes one part off *TEXT; NULL when it is empty or a backtick is left open. */
static char *take_part(const char **text) {
        const char *p = *text;
        g_autoptr(GString) part = g_string_new(NULL);

        if (*p != '`') {
                gsize n = strcspn(p, ".`");
                g_string_append_len(part, p, (gssize) n);
                p += n;
        } else {
                for (p++;; p++) {
                        if (!*p)
                                return NULL;
                        if (*p == '`' && *++p != '`')
                                break;
                        g_string_append_c(part, *p);
                }
        }
        if (part->len == 0)
                return NULL;
        *text = p;
        return g_string_free(g_steal_pointer(&part), /* free_segment= */ FALSE);
}

static bool pattern_parse(const char *text, Pattern *ret) {
        g_auto(Pattern) pattern = { NULL, NULL };
        pattern.database = take_part(&text);
        if (!pattern.database)
                return false;
        if (*text == '.') {
                text++;
                pattern.table = take_part(&text);
                if (!pattern.table)
                        return false;
        }
        if (*text)
                return false;
        *ret = pattern;
        pattern = (Pattern) { NULL, NULL };
        return true;
}

bool spec_pattern_valid(const char *pattern) {
        g_auto(Pattern) parsed = { NULL, NULL };
        return pattern_parse(pattern, &parsed);
}

static bool is_system_schema(const char *database) {
        static const char *const system_schemas[] = { "mysql", "information_schema", "performance_schema", "sys",
                                                      "polarshift" };
        for (gsize i = 0; i < G_N_ELEMENTS(system_schemas); i++)
                if (g_ascii_strcasecmp(system_schemas[i], database) == 0)
                        return true;
        return false;
}

/* TABLE NULL: EVERY tells whether all tables of the database must match, or whether one could. */
static bool matches(char *const *patterns, const char *database, const char *table, bool every) {
        for (guint i = 0; patterns[i]; i++) {
                g_auto(Pattern) p = { NULL, NULL };
                if (!pattern_parse(patterns[i], &p) || !g_pattern_match_simple(p.database, database))
                        continue;
                if (!p.table || strcmp(p.table, "*") == 0)
                        return true;
                if (table ? g_pattern_match_simple(p.table, table) : !every)
                        return true;
        }
        return false;
}

bool spec_selects(const MigrationSpec *spec, const char *database, const char *table) {
        if (is_system_schema(database))
                return false;
        if (matches(spec->exclude, database, table, /* every= */ true))
                return false;
        return !spec->include[0] || matches(spec->include, database, table, /* every= */ false);
}

bool spec_is_whole_instance(const MigrationSpec *spec) {
        return !spec->include[0] && !spec->exclude[0];
}
