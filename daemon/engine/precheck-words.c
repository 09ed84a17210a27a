/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of SQL that the destination no longer understands: names that became reserved words, functions and clauses that are gone. No list of
 * words is kept here: the servers are asked. A word is reserved where DEALLOCATE PREPARE word is a syntax error (elsewhere there is no such
 * statement, error 1243); a function is there when SELECT word() can be prepared, with some number of arguments, or is refused for any
 * other reason than being unknown.
 * What is the same on both servers is no news. The few clauses that cannot be asked for are told by their words. */

#include <string.h>

#include "engine/precheck-internal.h"
#include "engine/sql-words.h"
#include "mysql/sql.h"

#define ERROR_SYNTAX 1064
#define WORDS_MAX 4000 /* of one kind that are put to the question */

/* The body of a view, routine, trigger or event. */
typedef struct ProgramText {
        char *name; /* "view `db`.`v`" */
        char *drop; /* the statement that leaves it behind */
        GPtrArray *words;
} ProgramText;

static void free_text(gpointer p) {
        ProgramText *text = p;
        g_free(text->name);
        g_free(text->drop);
        g_ptr_array_unref(text->words);
        g_free(text);
}

/* Read once. Only SHOW CREATE tells a text exactly: what information_schema shows of it has lost the quotes inside of its strings. */
static GPtrArray *program_texts(Precheck *check, GError **error) {
        if (check->texts)
                return check->texts;
        GPtrArray *programs = check->programs; /* of the source: these are checks of the start */
        if (!programs)
                g_propagate_error(error, g_error_copy(check->programs_error));
        if (!programs || !programs_define(check->input->servers[SIDE_SOURCE], programs, error))
                return NULL;
        check->texts = g_ptr_array_new_with_free_func(free_text);
        for (guint i = 0; i < programs->len; i++) {
                const Program *program = programs->pdata[i];
                const char *kind = program_kind_to_string(program->kind);
                if (!program->definition) /* Start says so */
                        continue;
                g_autofree char *quoted = sql_table(program->database, program->name), *upper = g_ascii_strup(kind, -1);
                ProgramText *text = g_new0(ProgramText, 1);
                text->name = g_strdup_printf("%s %s", kind, quoted);
                text->drop = g_strdup_printf("DROP %s %s;", upper, quoted);
                text->words = sql_words(program->definition->sql);
                g_ptr_array_add(check->texts, text);
        }
        return check->texts;
}

static bool is_same_version(const Precheck *check) {
        const Flavor *a = conn_flavor(check->input->servers[SIDE_SOURCE]), *b = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        return a->mariadb == b->mariadb && a->version / 100 == b->version / 100;
}

/* ---- asking */

/* Runs a statement that only its parsing counts of; *ret_number 0: it ran. */
static bool ask(Conn *conn, const char *sql, int *ret_number, GError **error) {
        g_autoptr(GError) local = NULL;
        if (conn_exec(conn, sql, -1, NULL, &local)) {
                *ret_number = 0;
                return true;
        }
        if (conn_is_dead(conn) || mysql_error_is_connection(local)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        *ret_number = local->code;
        return true;
}

static bool is_reserved(Conn *conn, const char *word, bool *ret, GError **error) {
        g_autofree char *sql = g_strdup_printf("DEALLOCATE PREPARE %s", word);
        int number;
        if (!ask(conn, sql, &number, error))
                return false;
        *ret = number == ERROR_SYNTAX;
        return true;
}

/* Some functions are part of the grammar, and a wrong number of arguments is a syntax error then. */
static bool has_function(Conn *conn, const char *word, bool *ret, GError **error) {
        static const char *const arguments[] = {"", "1", "1,1", "1,1,1"};
        *ret = false;
        for (gsize i = 0; i < G_N_ELEMENTS(arguments) && !*ret; i++) {
                g_autofree char *sql = g_strdup_printf("PREPARE polarshift_word FROM 'SELECT %s(%s)'", word, arguments[i]);
                int number;
                if (!ask(conn, sql, &number, error))
                        return false;
                if (number == 0 && !conn_exec(conn, "DEALLOCATE PREPARE polarshift_word", -1, NULL, error))
                        return false;
                /* Unknown: no database is selected, and a function of it could be meant. */
                *ret = number != ERROR_SYNTAX && number != 1046 && number != 1128 && number != 1305 && number != 1630;
        }
        return true;
}

/* ---- reserved words */

typedef struct Use {
        char *first; /* "column `a` of `db`.`t`" */
        guint count;
} Use;

static void free_use(gpointer p) {
        Use *use = p;
        g_free(use->first);
        g_free(use);
}

/* Takes WHERE over. */
static void use(GHashTable *uses, GHashTable *keywords, const char *name, char *where) {
        g_autofree char *owned = where, *word = g_ascii_strdown(name, -1);
        if (!g_hash_table_contains(keywords, word))
                return;
        Use *found = g_hash_table_lookup(uses, word);
        if (!found) {
                found = g_new0(Use, 1);
                found->first = g_steal_pointer(&owned);
                g_hash_table_insert(uses, g_steal_pointer(&word), found);
        }
        found->count++;
}

/* All words that mean something to it, reserved or not. */
static GHashTable *read_keywords(Conn *conn, GError **error) {
        g_autoptr(GHashTable) words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT WORD FROM information_schema.KEYWORDS", error);
        if (!rows)
                return NULL;
        for (char **row; (row = conn_rows_take(rows));) {
                if (row[0] && sql_word_is_plain(row[0]))
                        g_hash_table_add(words, g_ascii_strdown(row[0], -1));
        }
        return g_steal_pointer(&words);
}

static void use_names(const Precheck *check, GHashTable *uses, GHashTable *keywords) {
        for (guint i = 0; check->objects && i < check->objects->databases->len; i++) {
                const DatabaseDefaults *database = check->objects->databases->pdata[i];
                g_autofree char *quoted = sql_identifier(database->name);
                use(uses, keywords, database->name, g_strdup_printf("database %s", quoted));
        }
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                g_autofree char *name = sql_table(table->database, table->name);
                use(uses, keywords, table->name, g_strdup_printf("table %s", name));
                for (guint j = 0; j < table->columns->len; j++) {
                        const Column *column = table->columns->pdata[j];
                        g_autofree char *quoted = sql_identifier(column->name);
                        use(uses, keywords, column->name, g_strdup_printf("column %s of %s", quoted, name));
                }
        }
        for (guint i = 0; check->programs && i < check->programs->len; i++) {
                const Program *program = check->programs->pdata[i];
                g_autofree char *name = sql_table(program->database, program->name);
                use(uses, keywords, program->name, g_strdup_printf("%s %s", program_kind_to_string(program->kind), name));
        }
}

/* A word of a body that became reserved was a name there, but for those that the old server knew without reserving them. */
static void use_bodies(GPtrArray *texts, GHashTable *uses, GHashTable *keywords) {
        static const char *const meant[] = {"offset", "row", "rows", "system", "function", "each", NULL};
        for (guint i = 0; i < texts->len; i++) {
                const ProgramText *text = texts->pdata[i];
                for (guint j = 0; j < text->words->len; j++) {
                        const SqlWord *word = text->words->pdata[j];
                        if (word->flags == 0 && !g_strv_contains(meant, word->text))
                                use(uses, keywords, word->text, g_strdup_printf("a name in the body of %s", text->name));
                }
        }
}

static int compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(a, b);
}

bool precheck_reserved_words(Precheck *check, GError **error) {
        Conn *source = check->input->servers[SIDE_SOURCE], *destination = check->input->servers[SIDE_DESTINATION];
        if (is_same_version(check))
                return true;
        GPtrArray *texts = program_texts(check, error);
        g_autoptr(GHashTable) keywords = texts ? read_keywords(destination, error) : NULL;
        if (!keywords)
                return false;
        g_autoptr(GHashTable) uses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_use);
        use_names(check, uses, keywords);
        use_bodies(texts, uses, keywords);
        g_autoptr(GList) words = g_list_sort(g_hash_table_get_keys(uses), compare_names);
        for (GList *l = words; l; l = l->next) {
                const Use *found = g_hash_table_lookup(uses, l->data);
                bool now, before;
                if (!is_reserved(destination, l->data, &now, error) || (now && !is_reserved(source, l->data, &before, error)))
                        return false;
                if (!now || before)
                        continue;
                g_autofree char *more = found->count > 1 ? g_strdup_printf(" and %u more", found->count - 1) : g_strdup("");
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                             "write it in backticks wherever applications, routines, triggers and events name it, or give it another name",
                             "%s is a reserved word on the destination and a name on the source (%s%s): SQL that writes it without backticks fails there",
                             (const char *) l->data, found->first, more);
        }
        return true;
}

/* ---- what is gone */

static bool is_word(const GPtrArray *words, guint i, const char *text) {
        const SqlWord *word = i < words->len ? words->pdata[i] : NULL;
        return word && !(word->flags & (SQL_WORD_OF_NAME | SQL_WORD_QUOTED)) && strcmp(word->text, text) == 0;
}

/* GROUP BY … ASC or DESC: I is at GROUP. */
static bool sorts_groups(const GPtrArray *words, guint i) {
        static const char *const ends[] = {"having", "order", "limit", "with", "union", "procedure", "for", "into", "lock", ";", NULL};
        int depth = 0;
        if (!is_word(words, i, "group") || !is_word(words, i + 1, "by"))
                return false;
        for (i += 2; i < words->len && depth >= 0; i++) {
                const SqlWord *word = words->pdata[i];
                depth += is_word(words, i, "(") ? 1 : is_word(words, i, ")") ? -1 : 0;
                if (depth > 0 || (word->flags & (SQL_WORD_OF_NAME | SQL_WORD_QUOTED)))
                        continue;
                if (g_strv_contains(ends, word->text))
                        return false;
                if (strcmp(word->text, "asc") == 0 || strcmp(word->text, "desc") == 0)
                        return true;
        }
        return false;
}

/* Clauses that MySQL 8.0 took away; NULL: none. */
static const char *removed_clause(const GPtrArray *words) {
        for (guint i = 0; i < words->len; i++) {
                if (is_word(words, i, "sql_cache"))
                        return "SQL_CACHE";
                if (is_word(words, i, "procedure") && is_word(words, i + 1, "analyse"))
                        return "PROCEDURE ANALYSE";
                if (is_word(words, i, "\\") && is_word(words, i + 1, "n"))
                        return "\\N for NULL";
                if (sorts_groups(words, i))
                        return "GROUP BY … ASC or DESC";
        }
        return NULL;
}

static void add_removed(Precheck *check, const ProgramText *text, const char *what) {
        CheckSeverity severity = check->input->spec->unfit == UNFIT_SKIP ? CHECK_NOTE : CHECK_ERROR;
        g_autofree char *hint = g_strdup_printf("write it otherwise on the source, or leave it behind: %s", text->drop);
        precheck_add(check, severity, PS_ERROR_UNSUPPORTED_OBJECT, hint, "%s uses %s, which the destination no longer has", text->name, what);
}

/* WORD → whether the source has it and the destination has not. */
static bool is_gone(const Precheck *check, GHashTable *known, const char *word, bool *ret, GError **error) {
        bool before, now = true;
        gpointer found;
        if (g_hash_table_lookup_extended(known, word, NULL, &found)) {
                *ret = GPOINTER_TO_INT(found);
                return true;
        }
        *ret = false;
        if (g_hash_table_size(known) >= WORDS_MAX)
                return true;
        if (!has_function(check->input->servers[SIDE_SOURCE], word, &before, error) ||
            (before && !has_function(check->input->servers[SIDE_DESTINATION], word, &now, error)))
                return false;
        *ret = before && !now;
        g_hash_table_insert(known, g_strdup(word), GINT_TO_POINTER(*ret));
        return true;
}

bool precheck_removed_sql(Precheck *check, GError **error) {
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        if (is_same_version(check))
                return true;
        const GPtrArray *texts = program_texts(check, error);
        g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        if (!texts)
                return false;
        for (guint i = 0; i < texts->len; i++) {
                const ProgramText *text = texts->pdata[i];
                const char *clause = !flavor->mariadb && flavor->version >= 80013 ? removed_clause(text->words) : NULL;
                if (clause)
                        add_removed(check, text, clause);
                for (guint j = 0; j < text->words->len; j++) {
                        const SqlWord *word = text->words->pdata[j];
                        bool gone;
                        if (word->flags != SQL_WORD_CALLED || !sql_word_is_plain(word->text))
                                continue;
                        if (!is_gone(check, known, word->text, &gone, error))
                                return false;
                        if (!gone)
                                continue;
                        g_autofree char *what = g_strdup_printf("the function %s()", word->text);
                        add_removed(check, text, what);
                        break;
                }
        }
        return true;
}
