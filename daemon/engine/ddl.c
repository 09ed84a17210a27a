/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl.h. Names in statements may be quoted with backticks or double quotes (ANSI_QUOTES), and qualified. */

#include "engine/ddl.h"

#include <string.h>

#include "mysql/schema.h"

typedef struct Lexer {
        const char *p, *end;
        const char *database;
} Lexer;

typedef struct Token {
        bool name;       /* an identifier (quoted or not); else a single character */
        bool quoted;
        char text[200];  /* unquoted; longer ones are cut */
} Token;

static void skip_blanks(Lexer *lexer) {
        for (;;) {
                gsize left = (gsize) (lexer->end - lexer->p);
                if (left > 0 && g_ascii_isspace(*lexer->p))
                        lexer->p++;
                else if (left >= 3 && memcmp(lexer->p, "/*!", 3) == 0) { /* code: step over the mark and its version */
                        lexer->p += 3;
                        while (lexer->p < lexer->end && g_ascii_isdigit(*lexer->p))
                                lexer->p++;
                } else if (left >= 4 && memcmp(lexer->p, "/*M!", 4) == 0) {
                        lexer->p += 4;
                        while (lexer->p < lexer->end && g_ascii_isdigit(*lexer->p))
                                lexer->p++;
                } else if (left >= 2 && memcmp(lexer->p, "*/", 2) == 0)
                        lexer->p += 2;
                else if (left >= 2 && memcmp(lexer->p, "/*", 2) == 0) {
                        const char *close = memmem(lexer->p + 2, left - 2, "*/", 2);
                        lexer->p = close ? close + 2 : lexer->end;
                } else if (left > 0 && (*lexer->p == '#' || (left >= 3 && memcmp(lexer->p, "-- ", 3) == 0))) {
                        const char *line = memchr(lexer->p, '\n', left);
                        lexer->p = line ? line + 1 : lexer->end;
                } else
                        return;
        }
}

static bool name_character(char c) {
        return g_ascii_isalnum(c) || c == '_' || c == '$' || (c & 0x80);
}

static bool next(Lexer *lexer, Token *ret) {
        skip_blanks(lexer);
        if (lexer->p >= lexer->end)
                return false;

        gsize n = 0;
        char quote = *lexer->p;
        *ret = (Token){0};
        if (quote == '`' || quote == '"') {
                ret->name = ret->quoted = true;
                for (lexer->p++; lexer->p < lexer->end; lexer->p++) {
                        if (*lexer->p == quote) {
                                if (lexer->p + 1 >= lexer->end || lexer->p[1] != quote) {
                                        lexer->p++;
                                        break;
                                }
                                lexer->p++;
                        }
                        if (n < sizeof ret->text - 1)
                                ret->text[n++] = *lexer->p;
                }
        } else if (name_character(quote)) {
                ret->name = true;
                for (; lexer->p < lexer->end && name_character(*lexer->p); lexer->p++)
                        if (n < sizeof ret->text - 1)
                                ret->text[n++] = *lexer->p;
        } else if (quote == '\'') { /* a string: its content does not matter here */
                ret->text[n++] = '\'';
                for (lexer->p++; lexer->p < lexer->end && *lexer->p != '\''; lexer->p++)
                        if (*lexer->p == '\\')
                                lexer->p++;
                lexer->p = MIN(lexer->p + 1, lexer->end);
        } else
                ret->text[n++] = *lexer->p++;
        return true;
}

static bool is_word(const Token *token, const char *word) {
        return token->name && !token->quoted && g_ascii_strcasecmp(token->text, word) == 0;
}

static bool one_of(const Token *token, const char *const *words) {
        for (; *words; words++)
                if (is_word(token, *words))
                        return true;
        return false;
}

/* A possibly qualified name that begins with FIRST. */
static void read_name(Lexer *lexer, const Token *first, char *ret_database, char *ret_name, gsize size) {
        Lexer ahead = *lexer;
        Token dot, second;
        if (next(&ahead, &dot) && !dot.name && dot.text[0] == '.' && next(&ahead, &second) && second.name) {
                g_strlcpy(ret_database, first->text, size);
                g_strlcpy(ret_name, second.text, size);
                *lexer = ahead;
        } else {
                g_strlcpy(ret_database, lexer->database, size);
                g_strlcpy(ret_name, first->text, size);
        }
}

/* Whether any table named in "name [, name …]" (or "name TO name") is carried. */
static bool names_carried(Lexer *lexer, Token token, bool list, const MigrationSpec *spec, char *ret_first, gsize size) {
        bool carried = false, first = true;
        do {
                char database[200], name[200];
                if (!token.name)
                        break;
                read_name(lexer, &token, database, name, sizeof name);
                if (first)
                        g_snprintf(ret_first, size, "`%.50s`.`%.50s`", database, name);
                first = false;
                carried |= spec_selects(spec, database, name);
                if (!list)
                        break;
                if (!next(lexer, &token))
                        break;
                if (is_word(&token, "TO") || (!token.name && token.text[0] == ',')) {
                        if (!next(lexer, &token))
                                break;
                } else
                        break;
        } while (true);
        return carried;
}

static const char *const modifiers[] = {"IF", "NOT", "EXISTS", "OR", "REPLACE", "IGNORE", "ONLINE", "OFFLINE", "LOW_PRIORITY", "QUICK",
                                        "WAIT", "NOWAIT", "DELAYED", "HIGH_PRIORITY", "INTO", NULL};
static const char *const harmless[] = {"ANALYZE", "OPTIMIZE", "REPAIR", "FLUSH", "CHECK", "SET", "RESET", "KILL", "PURGE", "CHANGE",
                                       "START", "STOP", "INSTALL", "UNINSTALL", "CACHE", "DO", "USE", "SHOW", NULL};
static const char *const account_words[] = {"GRANT", "REVOKE", NULL};
static const char *const object_words[] = {"VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "USER", "ROLE", "SERVER", "SEQUENCE",
                                           "PACKAGE", "TABLESPACE", "LOGFILE", "RESOURCE", NULL};
static const char *const data_words[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "SELECT", "WITH", NULL};

static void skip_modifiers(Lexer *lexer, Token *token) {
        while (one_of(token, modifiers) || g_ascii_isdigit(token->text[0]))
                if (!next(lexer, token))
                        break;
}

/* CREATE, ALTER, DROP: finds out of what. */
static void classify_definition(Lexer *lexer, const char *verb, const MigrationSpec *spec, Statement *ret) {
        Token token;
        bool temporary = false;
        char name[120] = "";
        while (next(lexer, &token)) {
                if (is_word(&token, "TEMPORARY"))
                        temporary = true;
                else if (is_word(&token, "TABLE") || is_word(&token, "TABLES")) {
                        ret->kind = STATEMENT_IGNORED;
                        if (!next(lexer, &token) || temporary)
                                return;
                        skip_modifiers(lexer, &token);
                        bool list = g_ascii_strcasecmp(verb, "DROP") == 0;
                        if (names_carried(lexer, token, list, spec, name, sizeof name))
                                ret->kind = STATEMENT_DDL;
                        else if (g_ascii_strcasecmp(verb, "ALTER") == 0 && memmem(lexer->p, (gsize) (lexer->end - lexer->p), "RENAME", 6))
                                ret->kind = STATEMENT_DDL; /* could be renamed into what is carried */
                        g_snprintf(ret->what, sizeof ret->what, "%s TABLE %s", verb, name);
                        return;
                } else if (is_word(&token, "DATABASE") || is_word(&token, "SCHEMA")) {
                        ret->kind = STATEMENT_IGNORED;
                        if (!next(lexer, &token))
                                return;
                        skip_modifiers(lexer, &token);
                        if (!schema_is_system_database(token.text) && spec_selects(spec, token.text, NULL))
                                ret->kind = STATEMENT_DDL;
                        g_snprintf(ret->what, sizeof ret->what, "%s DATABASE `%.60s`", verb, token.text);
                        return;
                } else if (is_word(&token, "INDEX")) { /* CREATE/DROP INDEX i ON t */
                        while (next(lexer, &token) && !is_word(&token, "ON"))
                                ;
                        ret->kind = STATEMENT_IGNORED;
                        if (next(lexer, &token) && names_carried(lexer, token, /* list= */ false, spec, name, sizeof name))
                                ret->kind = STATEMENT_DDL;
                        g_snprintf(ret->what, sizeof ret->what, "%s INDEX ON %s", verb, name);
                        return;
                } else if (one_of(&token, object_words)) {
                        ret->kind = STATEMENT_NOT_CARRIED;
                        g_snprintf(ret->what, sizeof ret->what, "%s %.20s is not carried by this version", verb, token.text);
                        return;
                }
        }
}

static void classify_data(Lexer *lexer, const char *verb, const MigrationSpec *spec, Statement *ret) {
        /* In row format no such statement is logged, but for databases that are not ours to carry it may be. */
        Token token;
        char name[120] = "";
        ret->kind = STATEMENT_DATA;
        bool plain = g_ascii_strcasecmp(verb, "INSERT") == 0 || g_ascii_strcasecmp(verb, "REPLACE") == 0;
        if (plain && next(lexer, &token)) {
                skip_modifiers(lexer, &token);
                if (!names_carried(lexer, token, /* list= */ false, spec, name, sizeof name))
                        ret->kind = STATEMENT_IGNORED;
        } else if (!spec_selects(spec, lexer->database, NULL) && *lexer->database)
                ret->kind = STATEMENT_IGNORED;
        g_snprintf(ret->what, sizeof ret->what, "%s %s", verb, name);
}

void statement_classify(const char *sql, gsize length, const char *database, const MigrationSpec *spec, Statement *ret) {
        Lexer lexer = {.p = sql, .end = sql + length, .database = database};
        Token token;
        *ret = (Statement){.kind = _STATEMENT_INVALID};
        if (!next(&lexer, &token))
                return;

        char verb[24];
        g_strlcpy(verb, token.text, sizeof verb);
        g_snprintf(ret->what, sizeof ret->what, "%s", verb);
        if (is_word(&token, "BEGIN"))
                ret->kind = STATEMENT_BEGIN;
        else if (is_word(&token, "COMMIT"))
                ret->kind = STATEMENT_COMMIT;
        else if (is_word(&token, "SAVEPOINT") || is_word(&token, "RELEASE"))
                ret->kind = STATEMENT_SAVEPOINT;
        else if (is_word(&token, "ROLLBACK")) {
                ret->kind = STATEMENT_ROLLBACK;
                while (next(&lexer, &token))
                        if (is_word(&token, "TO"))
                                ret->kind = STATEMENT_ROLLBACK_TO;
        }
        else if (is_word(&token, "CREATE") || is_word(&token, "ALTER") || is_word(&token, "DROP"))
                classify_definition(&lexer, verb, spec, ret);
        else if (is_word(&token, "RENAME") || is_word(&token, "TRUNCATE")) {
                char name[120] = "";
                bool rename = is_word(&token, "RENAME");
                if (!next(&lexer, &token))
                        return;
                if (is_word(&token, "USER")) {
                        ret->kind = STATEMENT_NOT_CARRIED;
                        return;
                }
                if ((is_word(&token, "TABLE") || is_word(&token, "TABLES")) && !next(&lexer, &token))
                        return;
                skip_modifiers(&lexer, &token);
                ret->kind = names_carried(&lexer, token, rename, spec, name, sizeof name) ? STATEMENT_DDL : STATEMENT_IGNORED;
                g_snprintf(ret->what, sizeof ret->what, "%s TABLE %s", verb, name);
        } else if (one_of(&token, account_words)) {
                ret->kind = STATEMENT_NOT_CARRIED;
                g_snprintf(ret->what, sizeof ret->what, "%s is not carried by this version", verb);
        } else if (is_word(&token, "SET")) {
                bool password = next(&lexer, &token) && (is_word(&token, "PASSWORD") || is_word(&token, "ROLE") || is_word(&token, "DEFAULT"));
                ret->kind = password ? STATEMENT_NOT_CARRIED : STATEMENT_IGNORED;
                if (password)
                        g_strlcpy(ret->what, "SET PASSWORD is not carried by this version", sizeof ret->what);
        } else if (one_of(&token, harmless))
                ret->kind = STATEMENT_IGNORED;
        else if (is_word(&token, "XA"))
                ret->kind = _STATEMENT_INVALID;
        else if (one_of(&token, data_words))
                classify_data(&lexer, verb, spec, ret);
}
