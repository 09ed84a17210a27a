/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sql-words.h. Bodies of stored programs come from their authors: every byte is possible, and an unclosed quote ends the text. */

#include "engine/sql-words.h"

#include <string.h>

#include "mysql/sql.h"

#define WORD_MAX 64 /* characters: no name and no keyword is longer */

static void free_word(gpointer p) {
        SqlWord *word = p;
        g_free(word->text);
        g_free(word);
}

static void add(GPtrArray *words, char *text, unsigned flags) {
        SqlWord *word = g_new0(SqlWord, 1);
        word->text = text;
        word->flags = flags;
        g_ptr_array_add(words, word);
}

/* Behind a comment that begins at P, or P itself. */
static const char *skip_comment(const char *p) {
        if (*p == '#' || (p[0] == '-' && p[1] == '-' && (!p[2] || g_ascii_isspace(p[2]))))
                return p + strcspn(p, "\n");
        if (p[0] != '/' || p[1] != '*')
                return p;
        if (p[2] == '!' || (p[2] == 'M' && p[3] == '!')) {
                p += p[2] == '!' ? 3 : 4;
                return p + strspn(p, "0123456789");
        }
        const char *end = strstr(p + 2, "*/");
        return end ? end + 2 : p + strlen(p);
}

static bool in_word(char c) {
        return g_ascii_isalnum(c) || c == '_' || c == '$' || (guchar) c >= 0x80;
}

static bool is_called(const char *p) {
        while (g_ascii_isspace(*p))
                p++;
        return *p == '(';
}

GPtrArray *sql_words(const char *sql) {
        GPtrArray *words = g_ptr_array_new_with_free_func(free_word);
        char before = 0; /* the last character that was no blank */
        for (const char *p = sql; *p;) {
                const char *behind = skip_comment(p);
                if (behind != p) {
                        p = behind;
                } else if (g_ascii_isspace(*p)) {
                        p++;
                } else if (*p == '\'' || *p == '"' || *p == '`') {
                        const char *end = sql_behind_quoted(p, /* backslashes= */ *p != '`');
                        p = end ? end : p + strlen(p);
                        add(words, g_strdup(""), SQL_WORD_QUOTED);
                        before = '`';
                } else if (in_word(*p)) {
                        const char *end = p;
                        while (in_word(*end))
                                end++;
                        unsigned flags = before == '.' || before == '@' ? SQL_WORD_OF_NAME : 0;
                        add(words, g_ascii_strdown(p, end - p), flags | (is_called(end) ? SQL_WORD_CALLED : 0));
                        before = 'a';
                        p = end;
                } else {
                        add(words, g_strndup(p, 1), SQL_WORD_SIGN);
                        before = *p++;
                }
        }
        return words;
}

bool sql_word_is_plain(const char *word) {
        if (!g_ascii_isalpha(*word) && *word != '_')
                return false;
        for (const char *p = word; *p; p++)
                if (!g_ascii_isalnum(*p) && *p != '_')
                        return false;
        return strlen(word) <= WORD_MAX;
}
