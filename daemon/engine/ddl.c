/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl.h. Names in statements may be quoted with backticks or double quotes (ANSI_QUOTES), and qualified. Where a name is expected and
 * something else stands, the statement is not understood: a table that is carried must never change unnoticed. */

#include "engine/ddl.h"

#include <string.h>

#include "mysql/schema.h"

/* Version comments up to this one are code on every server that can be a source or destination. Later ones (and MariaDB's own) were code
 * or comment depending on the server, so both readings are tried. */
#define OLDEST_SERVER 50600

/* The later version comments that were met, counted once each. */
typedef struct Newer {
        const char *last;
        guint count;
        bool code; /* this reading takes them for code */
} Newer;

typedef struct Lexer {
        const char *p, *end;
        const char *database;
        Newer *newer;
} Lexer;

typedef struct Token {
        bool name;       /* an identifier (quoted or not); else a single character */
        bool quoted;
        char text[200];  /* unquoted; longer ones are cut */
} Token;

/* Behind the end of a comment whose inside begins at P; comments of one level inside it end with it. */
static const char *comment_end(const char *p, const char *end) {
        for (bool inner = false; end - p >= 2; p++)
                if (memcmp(p, "*/", 2) == 0) {
                        if (!inner)
                                return p + 2;
                        inner = false;
                        p++;
                } else if (memcmp(p, "/*", 2) == 0) {
                        inner = true;
                        p++;
                }
        return end;
}

/* Steps over the mark of a version comment, or over all of it. */
static void skip_version(Lexer *lexer, gsize mark) {
        const char *start = lexer->p;
        guint64 version = 0;
        lexer->p += mark;
        for (guint n = 0; lexer->p < lexer->end && g_ascii_isdigit(*lexer->p) && n < 6; n++)
                version = version * 10 + (guint64) (*lexer->p++ - '0');
        if (mark == 3 && version <= OLDEST_SERVER)
                return;
        if (start > lexer->newer->last) {
                lexer->newer->last = start;
                lexer->newer->count++;
        }
        if (!lexer->newer->code)
                lexer->p = comment_end(lexer->p, lexer->end);
}

/* A line comment: two dashes count only when a blank or the end follows. */
static bool at_line_comment(const Lexer *lexer) {
        gsize left = (gsize) (lexer->end - lexer->p);
        if (left > 0 && *lexer->p == '#')
                return true;
        return left >= 2 && memcmp(lexer->p, "--", 2) == 0 && (left == 2 || (guint8) lexer->p[2] <= ' ');
}

static void skip_blanks(Lexer *lexer) {
        for (;;) {
                gsize left = (gsize) (lexer->end - lexer->p);
                if (left > 0 && (g_ascii_isspace(*lexer->p) || *lexer->p == '\0'))
                        lexer->p++;
                else if (left >= 3 && memcmp(lexer->p, "/*!", 3) == 0)
                        skip_version(lexer, 3);
                else if (left >= 4 && memcmp(lexer->p, "/*M!", 4) == 0)
                        skip_version(lexer, 4);
                else if (left >= 2 && memcmp(lexer->p, "*/", 2) == 0)
                        lexer->p += 2;
                else if (left >= 2 && memcmp(lexer->p, "/*", 2) == 0) {
                        const char *close = memmem(lexer->p + 2, left - 2, "*/", 2);
                        lexer->p = close ? close + 2 : lexer->end;
                } else if (at_line_comment(lexer)) {
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
        ret->name = ret->quoted = false;
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
                        if (*lexer->p == '\\' && lexer->p + 1 < lexer->end)
                                lexer->p++;
                lexer->p = MIN(lexer->p + 1, lexer->end);
        } else
                ret->text[n++] = *lexer->p++;
        ret->text[n] = '\0';
        return true;
}

static bool is_word(const Token *token, const char *word) {
        return token->name && !token->quoted && g_ascii_strcasecmp(token->text, word) == 0;
}

static bool is_sign(const Token *token, char sign) {
        return !token->name && token->text[0] == sign;
}

static bool one_of(const Token *token, const char *const *words) {
        for (; *words; words++)
                if (is_word(token, *words))
                        return true;
        return false;
}

/* The next token, when it is this word. */
static bool accept_word(Lexer *lexer, const char *word) {
        Lexer ahead = *lexer;
        Token token;
        if (!next(&ahead, &token) || !is_word(&token, word))
                return false;
        *lexer = ahead;
        return true;
}

static bool accept_sign(Lexer *lexer, char sign) {
        Lexer ahead = *lexer;
        Token token;
        if (!next(&ahead, &token) || !is_sign(&token, sign))
                return false;
        *lexer = ahead;
        return true;
}

static void accept_words(Lexer *lexer, const char *const *words) {
        Token token;
        for (;;) {
                Lexer ahead = *lexer;
                if (!next(&ahead, &token) || !one_of(&token, words))
                        return;
                *lexer = ahead;
        }
}

/* IF [NOT] EXISTS: reserved words, so no table is called that without quotes. */
static void accept_if_exists(Lexer *lexer) {
        if (accept_word(lexer, "IF")) {
                (void) accept_word(lexer, "NOT");
                (void) accept_word(lexer, "EXISTS");
        }
}

/* MariaDB: name WAIT 5, name NOWAIT. */
static void accept_wait(Lexer *lexer) {
        Token number;
        if (!accept_word(lexer, "NOWAIT") && accept_word(lexer, "WAIT"))
                (void) next(lexer, &number);
}

/* --- names --- */

typedef struct Name {
        char database[200], table[200];
} Name;

/* A possibly qualified name; false: there is none. */
static bool read_name(Lexer *lexer, Name *ret) {
        Token first, dot, second;
        if (!next(lexer, &first) || !first.name || !*first.text)
                return false;
        Lexer ahead = *lexer;
        if (!next(&ahead, &dot) || !is_sign(&dot, '.')) {
                g_strlcpy(ret->database, lexer->database, sizeof ret->database);
                g_strlcpy(ret->table, first.text, sizeof ret->table);
                return true;
        }
        if (!next(&ahead, &second) || !second.name)
                return false;
        g_strlcpy(ret->database, first.text, sizeof ret->database);
        g_strlcpy(ret->table, second.text, sizeof ret->table);
        *lexer = ahead;
        return true;
}

/* Whether a name in a statement may mean something that is carried; TABLE NULL: the database. A server with lower_case_table_names=1
 * logs names as they were typed, and text stands in the session's character set: what is not UTF-8 cannot be compared. */
static bool selected(const MigrationSpec *spec, const char *database, const char *table) {
        if (schema_is_system_database(database))
                return false;
        if (!g_utf8_validate(database, -1, NULL))
                return true;
        if (table && !g_utf8_validate(table, -1, NULL))
                table = NULL;
        if (spec_selects(spec, database, table))
                return true;
        g_autofree char *lower_database = g_utf8_strdown(database, -1);
        g_autofree char *lower_table = table ? g_utf8_strdown(table, -1) : NULL;
        return spec_selects(spec, lower_database, lower_table);
}

/* One name, or a list of them. The result: DDL when one is carried, IGNORED when none is, INVALID when it cannot be told. */
static StatementKind read_tables(Lexer *lexer, bool list, bool rename, const MigrationSpec *spec, Name *ret_first) {
        bool carried = false, first = true;
        do {
                Name name;
                if (!read_name(lexer, &name))
                        return _STATEMENT_INVALID;
                if (first)
                        *ret_first = name;
                first = false;
                carried |= selected(spec, name.database, name.table);
                if (!rename)
                        continue;
                accept_wait(lexer);
                if (!accept_word(lexer, "TO") || !read_name(lexer, &name))
                        return _STATEMENT_INVALID;
                carried |= selected(spec, name.database, name.table);
        } while (list && accept_sign(lexer, ','));
        return carried ? STATEMENT_DDL : STATEMENT_IGNORED;
}

/* Behind a list of names nothing may stand that was not foreseen. */
static bool at_end(const Lexer *lexer) {
        static const char *const endings[] = {"CASCADE", "RESTRICT", "WAIT", "NOWAIT", "DROP", "REUSE", NULL};
        Lexer ahead = *lexer;
        Token token;
        return !next(&ahead, &token) || is_sign(&token, ';') || one_of(&token, endings);
}

static void say_table(Statement *ret, const char *what, const Name *name) {
        g_snprintf(ret->what, sizeof ret->what, "%s `%.40s`.`%.40s`", what, name->database, name->table);
}

static bool contains_word(const Lexer *lexer, const char *word) {
        gsize n = strlen(word);
        for (const char *p = lexer->p; (gsize) (lexer->end - p) >= n; p++)
                if (g_ascii_strncasecmp(p, word, n) == 0)
                        return true;
        return false;
}

/* Whether the rest of an ALTER TABLE of a table that is not carried names one that is: RENAME TO, EXCHANGE PARTITION … WITH TABLE,
 * CONVERT TABLE. */
static bool alter_touches_carried(Lexer *lexer, const MigrationSpec *spec) {
        gsize left = (gsize) (lexer->end - lexer->p);
        Token token;
        Name name;
        /* Without the session's sql_mode it is open where such strings end. */
        if (memchr(lexer->p, '"', left) || memchr(lexer->p, '\\', left))
                return contains_word(lexer, "RENAME") || contains_word(lexer, "EXCHANGE") || contains_word(lexer, "CONVERT");
        while (next(lexer, &token)) {
                if (is_word(&token, "RENAME")) {
                        if (accept_word(lexer, "COLUMN") || accept_word(lexer, "INDEX") || accept_word(lexer, "KEY"))
                                continue;
                        if (!accept_word(lexer, "TO") && !accept_word(lexer, "AS"))
                                (void) accept_sign(lexer, '=');
                } else if (!is_word(&token, "TABLE"))
                        continue;
                accept_if_exists(lexer);
                if (!read_name(lexer, &name) || selected(spec, name.database, name.table))
                        return true;
        }
        return false;
}

/* --- kinds of statements --- */

static const char *const harmless[] = {"OPTIMIZE", "REPAIR", "CHECK", "RESET", "KILL", "PURGE", "CHANGE", "STOP", "INSTALL",
                                       "UNINSTALL", "CACHE", "USE", "SHOW", NULL};
static const char *const account_words[] = {"GRANT", "REVOKE", NULL};
static const char *const program_words[] = {"VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE", NULL};
static const char *const account_objects[] = {"USER", "ROLE", NULL};
static const char *const object_words[] = {"SERVER", "SEQUENCE", "TABLESPACE", "LOGFILE", "RESOURCE", NULL};
static const char *const data_words[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CALL", "SELECT", "WITH", "DO", NULL};
static const char *const database_options[] = {"DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "COMMENT", "ENCRYPTION", "READ",
                                               "UPGRADE", NULL};

static void classify_table(Lexer *lexer, const char *verb, bool temporary, const MigrationSpec *spec, Statement *ret) {
        Name name;
        bool drop = g_ascii_strcasecmp(verb, "DROP") == 0, alter = g_ascii_strcasecmp(verb, "ALTER") == 0;
        g_autofree char *what = g_strdup_printf("%s TABLE", verb);
        accept_if_exists(lexer);
        StatementKind kind = read_tables(lexer, /* list= */ drop, /* rename= */ false, spec, &name);
        if (kind == _STATEMENT_INVALID || (drop && !at_end(lexer)))
                return;
        if (temporary)
                kind = STATEMENT_IGNORED;
        else if (kind == STATEMENT_IGNORED && alter && alter_touches_carried(lexer, spec))
                kind = STATEMENT_DDL;
        ret->kind = kind;
        say_table(ret, what, &name);
}

static void classify_database(Lexer *lexer, const char *verb, const MigrationSpec *spec, Statement *ret) {
        Token token;
        accept_if_exists(lexer);
        bool named = next(lexer, &token);
        bool option = named && one_of(&token, database_options);
        if ((!named || !token.name || option) && g_ascii_strcasecmp(verb, "ALTER") != 0)
                return;
        /* ALTER DATABASE without a name is about the session's. */
        bool carried = (named && token.name && selected(spec, token.text, NULL)) ||
                       ((!named || option) && selected(spec, lexer->database, NULL));
        ret->kind = carried ? STATEMENT_DDL : STATEMENT_IGNORED;
        g_snprintf(ret->what, sizeof ret->what, "%s DATABASE `%.60s`", verb, named && !option ? token.text : lexer->database);
}

/* CREATE, ALTER, DROP: finds out of what. */
static void classify_definition(Lexer *lexer, const char *verb, const MigrationSpec *spec, Statement *ret) {
        Token token;
        bool temporary = false;
        while (next(lexer, &token)) {
                if (is_word(&token, "TEMPORARY"))
                        temporary = true;
                else if (is_word(&token, "TABLE") || is_word(&token, "TABLES")) {
                        classify_table(lexer, verb, temporary, spec, ret);
                        return;
                } else if (is_word(&token, "DATABASE") || is_word(&token, "SCHEMA")) {
                        classify_database(lexer, verb, spec, ret);
                        return;
                } else if (is_word(&token, "INDEX")) { /* CREATE/DROP INDEX i ON t */
                        Name name;
                        while (next(lexer, &token) && !is_word(&token, "ON"))
                                ;
                        ret->kind = read_tables(lexer, /* list= */ false, /* rename= */ false, spec, &name);
                        g_autofree char *what = g_strdup_printf("%s INDEX ON", verb);
                        if (ret->kind != _STATEMENT_INVALID)
                                say_table(ret, what, &name);
                        return;
                } else if (one_of(&token, program_words)) {
                        ret->kind = STATEMENT_PROGRAM;
                        g_snprintf(ret->what, sizeof ret->what, "%s %.20s", verb, token.text);
                        return;
                } else if (one_of(&token, account_objects)) {
                        ret->kind = STATEMENT_ACCOUNT;
                        g_snprintf(ret->what, sizeof ret->what, "%s %.20s", verb, token.text);
                        return;
                } else if (one_of(&token, object_words)) {
                        ret->kind = STATEMENT_NOT_CARRIED;
                        g_snprintf(ret->what, sizeof ret->what, "%s %.20s is not carried by this version", verb, token.text);
                        return;
                }
        }
}

static void classify_rename(Lexer *lexer, const MigrationSpec *spec, Statement *ret) {
        Name name;
        if (accept_word(lexer, "USER")) {
                ret->kind = STATEMENT_ACCOUNT;
                g_strlcpy(ret->what, "RENAME USER", sizeof ret->what);
                return;
        }
        if (!accept_word(lexer, "TABLE") && !accept_word(lexer, "TABLES"))
                return;
        accept_if_exists(lexer);
        StatementKind kind = read_tables(lexer, /* list= */ true, /* rename= */ true, spec, &name);
        if (kind == _STATEMENT_INVALID || !at_end(lexer))
                return;
        ret->kind = kind;
        say_table(ret, "RENAME TABLE", &name);
}

static void classify_truncate(Lexer *lexer, const MigrationSpec *spec, Statement *ret) {
        Name name;
        (void) accept_word(lexer, "TABLE");
        StatementKind kind = read_tables(lexer, /* list= */ true, /* rename= */ false, spec, &name);
        if (kind == _STATEMENT_INVALID || !at_end(lexer))
                return;
        ret->kind = kind;
        say_table(ret, "TRUNCATE TABLE", &name);
}

/* The table that a statement of rows changes, when it is surely the only one that it names as such. *ret_all: a plain DELETE of all rows,
 * which is how 5.6 logs that a MEMORY table was found empty. */
static bool read_data_target(Lexer *lexer, const Token *verb, Name *ret, bool *ret_all) {
        static const char *const before_name[] = {"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO", NULL};
        static const char *const before_from[] = {"LOW_PRIORITY", "QUICK", "IGNORE", NULL};
        static const char *const before_table[] = {"LOW_PRIORITY", "IGNORE", NULL};
        static const char *const behind_from[] = {"WHERE", "ORDER", "LIMIT", "RETURNING", NULL};
        Token token;
        *ret_all = false;
        if (is_word(verb, "INSERT") || is_word(verb, "REPLACE")) {
                accept_words(lexer, before_name);
                return read_name(lexer, ret);
        }
        if (is_word(verb, "UPDATE")) {
                accept_words(lexer, before_table);
                return read_name(lexer, ret) && accept_word(lexer, "SET");
        }
        if (is_word(verb, "DELETE")) {
                accept_words(lexer, before_from);
                if (!accept_word(lexer, "FROM") || !read_name(lexer, ret))
                        return false;
                *ret_all = !next(lexer, &token);
                return *ret_all || one_of(&token, behind_from);
        }
        if (is_word(verb, "LOAD"))
                while (next(lexer, &token))
                        if (is_word(&token, "INTO"))
                                return accept_word(lexer, "TABLE") && read_name(lexer, ret);
        return false;
}

bool statement_table_is_of_accounts(const char *database, const char *table) {
        static const char *const names[] = {"user", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "global_priv"};
        for (gsize i = 0; g_ascii_strcasecmp(database, "mysql") == 0 && i < G_N_ELEMENTS(names); i++)
                if (g_ascii_strcasecmp(table, names[i]) == 0)
                        return true;
        return false;
}

/* In row format no such statement is logged. One that changes a database of which nothing is carried is passed over (checksum tools
 * write that way); every other could change carried rows, if only through a trigger. */
static void classify_data(Lexer *lexer, const Token *verb, const MigrationSpec *spec, Statement *ret) {
        Name name = {"", ""};
        bool all;
        ret->kind = STATEMENT_DATA;
        if (!read_data_target(lexer, verb, &name, &all))
                return;
        if (!selected(spec, name.database, all ? name.table : NULL))
                ret->kind = statement_table_is_of_accounts(name.database, name.table) ? STATEMENT_ACCOUNT : STATEMENT_IGNORED;
        g_strlcpy(ret->database, name.database, sizeof ret->database);
        g_strlcpy(ret->table, name.table, sizeof ret->table);
        ret->all_rows = all;
        g_autofree char *what = g_ascii_strup(verb->text, 10);
        say_table(ret, what, &name);
}

static void classify_set(Lexer *lexer, Statement *ret) {
        Token token;
        bool password = next(lexer, &token) && (is_word(&token, "PASSWORD") || is_word(&token, "ROLE") || is_word(&token, "DEFAULT"));
        ret->kind = password ? STATEMENT_ACCOUNT : STATEMENT_IGNORED;
        if (password)
                g_strlcpy(ret->what, "SET PASSWORD", sizeof ret->what);
}

/* FLUSH PRIVILEGES tells that somebody wrote into mysql.* by hand. */
static void classify_flush(Lexer *lexer, Statement *ret) {
        Token token;
        ret->kind = STATEMENT_IGNORED;
        while (next(lexer, &token))
                if (is_word(&token, "PRIVILEGES"))
                        ret->kind = STATEMENT_ACCOUNT;
}

/* How the rows of one end is an event of its own; XA COMMIT and XA ROLLBACK of what was prepared stand alone. */
static void classify_xa(Lexer *lexer, Statement *ret) {
        bool commit = false;
        if (accept_word(lexer, "START") || accept_word(lexer, "BEGIN"))
                ret->kind = STATEMENT_XA_BEGIN;
        else if (accept_word(lexer, "END"))
                ret->kind = STATEMENT_SAVEPOINT;
        else if (((commit = accept_word(lexer, "COMMIT")) || accept_word(lexer, "ROLLBACK")) &&
                 binlog_xid_from_text(lexer->p, (gsize) (lexer->end - lexer->p), ret->xid)) {
                ret->kind = commit ? STATEMENT_XA_COMMIT : STATEMENT_XA_ROLLBACK;
                g_strlcpy(ret->what, commit ? "XA COMMIT" : "XA ROLLBACK", sizeof ret->what);
        }
}

static void classify_verb(Lexer *lexer, const Token *token, const MigrationSpec *spec, Statement *ret) {
        char verb[24];
        g_strlcpy(verb, token->text, sizeof verb);
        for (char *p = verb; *p; p++)
                *p = g_ascii_toupper(*p);
        g_strlcpy(ret->what, verb, sizeof ret->what);
        if (is_word(token, "BEGIN"))
                ret->kind = STATEMENT_BEGIN;
        else if (is_word(token, "COMMIT"))
                ret->kind = STATEMENT_COMMIT;
        else if (is_word(token, "SAVEPOINT") || is_word(token, "RELEASE"))
                ret->kind = STATEMENT_SAVEPOINT;
        else if (is_word(token, "ROLLBACK")) {
                Token word;
                ret->kind = STATEMENT_ROLLBACK;
                while (next(lexer, &word))
                        if (is_word(&word, "TO"))
                                ret->kind = STATEMENT_ROLLBACK_TO;
        }
        else if (is_word(token, "XA"))
                classify_xa(lexer, ret);
        else if (is_word(token, "START"))
                ret->kind = accept_word(lexer, "TRANSACTION") ? STATEMENT_BEGIN : STATEMENT_IGNORED;
        else if (is_word(token, "CREATE") || is_word(token, "ALTER") || is_word(token, "DROP"))
                classify_definition(lexer, verb, spec, ret);
        else if (is_word(token, "RENAME"))
                classify_rename(lexer, spec, ret);
        else if (is_word(token, "TRUNCATE"))
                classify_truncate(lexer, spec, ret);
        else if (one_of(token, account_words))
                ret->kind = STATEMENT_ACCOUNT;
        else if (is_word(token, "FLUSH"))
                classify_flush(lexer, ret);
        else if (is_word(token, "SET"))
                classify_set(lexer, ret);
        else if (is_word(token, "ANALYZE")) { /* MariaDB: ANALYZE UPDATE … runs it */
                bool table = accept_word(lexer, "TABLE") || accept_word(lexer, "TABLES") || accept_word(lexer, "LOCAL") ||
                             accept_word(lexer, "NO_WRITE_TO_BINLOG");
                ret->kind = table ? STATEMENT_IGNORED : STATEMENT_DATA;
        } else if (one_of(token, harmless))
                ret->kind = STATEMENT_IGNORED;
        else if (one_of(token, data_words))
                classify_data(lexer, token, spec, ret);
}

static void classify(Lexer *lexer, const MigrationSpec *spec, Statement *ret) {
        Token token;
        *ret = (Statement){.kind = _STATEMENT_INVALID};
        if (!next(lexer, &token))
                return;
        /* MariaDB logs the whole of SET STATEMENT variable=value FOR statement. */
        if (is_word(&token, "SET") && accept_word(lexer, "STATEMENT")) {
                while (next(lexer, &token) && !is_word(&token, "FOR"))
                        ;
                if (!next(lexer, &token) || is_word(&token, "SET"))
                        return;
        }
        classify_verb(lexer, &token, spec, ret);
}

static guint severity(StatementKind kind) {
        switch (kind) {
        case STATEMENT_IGNORED:
                return 0;
        case STATEMENT_PROGRAM:
        case STATEMENT_ACCOUNT:
        case STATEMENT_NOT_CARRIED:
                return 1;
        case STATEMENT_BEGIN:
        case STATEMENT_COMMIT:
        case STATEMENT_ROLLBACK:
        case STATEMENT_ROLLBACK_TO:
        case STATEMENT_SAVEPOINT:
        case STATEMENT_XA_BEGIN:
        case STATEMENT_XA_COMMIT:
        case STATEMENT_XA_ROLLBACK:
                return 2;
        case _STATEMENT_MAX:
        case _STATEMENT_INVALID:
                return 3;
        case STATEMENT_DATA:
                return 4;
        case STATEMENT_DDL:
                return 5;
        }
        return 3;
}

/* For messages, which are text on the bus and in the journal. */
static void make_printable(Statement *statement) {
        g_autofree char *valid = g_utf8_make_valid(statement->what, -1);
        for (char *p = valid; *p; p++)
                if (g_ascii_iscntrl(*p))
                        *p = '?';
        g_strlcpy(statement->what, valid, sizeof statement->what);
        const char *end; /* a replacement character may have been cut */
        if (!g_utf8_validate(statement->what, -1, &end))
                statement->what[end - statement->what] = '\0';
}

void statement_classify(const char *sql, gsize length, const char *database, const MigrationSpec *spec, Statement *ret) {
        if (length == 0) { /* and perhaps no address to count from */
                *ret = (Statement){.kind = _STATEMENT_INVALID};
                return;
        }
        Newer code = {.code = true}, comment = {.code = false};
        Lexer lexer = {.p = sql, .end = sql + length, .database = database, .newer = &code};
        classify(&lexer, spec, ret);
        if (code.count > 0) {
                Statement other;
                Lexer again = {.p = sql, .end = sql + length, .database = database, .newer = &comment};
                classify(&again, spec, &other);
                bool differ = other.kind != ret->kind;
                if (severity(other.kind) > severity(ret->kind))
                        *ret = other;
                /* One is a transaction's begin or end and the other is not; or several comments, of which a server may have
                 * taken some and not the others. */
                if ((differ && severity(ret->kind) == 2) || (code.count > 1 && severity(ret->kind) < 2))
                        ret->kind = _STATEMENT_INVALID;
        }
        make_printable(ret);
}
