/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The words of a piece of SQL outside of strings, quoted names and comments: enough to ask a server about each of them, no grammar. Pure. */

#include <stdbool.h>

#include <glib.h>

typedef enum SqlWordFlags {
        SQL_WORD_CALLED = 1 << 0,  /* "(" follows */
        SQL_WORD_OF_NAME = 1 << 1, /* behind "." or "@": never taken for a keyword */
        SQL_WORD_SIGN = 1 << 2,    /* no word but one other character: "(", ")", ";", "," … */
        SQL_WORD_QUOTED = 1 << 3,  /* a string or a quoted name; its text is "" */
} SqlWordFlags;

typedef struct SqlWord {
        char *text; /* lower case */
        unsigned flags;
} SqlWord;

/* → GPtrArray of SqlWord. What a version comment holds counts, since servers run it. */
GPtrArray *sql_words(const char *sql);
/* Whether WORD may stand in a statement as it is, as a name that is put to the question. */
bool sql_word_is_plain(const char *word);
