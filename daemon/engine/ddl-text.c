/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl-text.h. Three passes: comments are resolved as the server that logged the statement did; what only matters there, or reads
 * differently elsewhere, is taken out or quoted; then the tables are read. */

#include "engine/ddl-text.h"

#include <string.h>

#include "base/error.h"
#include "mysql/sql.h"

static bool refuse(GError **error, const char *why) {
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, "%s", why);
        return false;
}

/* --- comments --- */

typedef struct Resolver {
        const char *p, *end;
        bool ansi_quotes, backslash;
        Flavor from;
        GString *out;
        bool in_code; /* of a version comment */
} Resolver;

/* Copies what is quoted; true when it ended. */
static bool copy_quoted(Resolver *r) {
        char quote = *r->p;
        bool identifier = quote == '`' || (quote == '"' && r->ansi_quotes);
        g_string_append_c(r->out, *r->p++);
        while (r->p < r->end) {
                char c = *r->p++;
                g_string_append_c(r->out, c);
                if (c == '\\' && !identifier && r->backslash && r->p < r->end)
                        g_string_append_c(r->out, *r->p++);
                else if (c == quote) {
                        if (r->p >= r->end || *r->p != quote)
                                return true;
                        g_string_append_c(r->out, *r->p++);
                }
        }
        return false;
}

/* Behind a comment that is none of code; comments of one level inside it end with it. */
static bool skip_comment(Resolver *r, bool nested) {
        for (bool inner = false; r->end - r->p >= 2; r->p++) {
                if (memcmp(r->p, "*/", 2) == 0) {
                        r->p += 2;
                        if (!inner)
                                return true;
                        inner = false;
                        r->p--;
                } else if (nested && memcmp(r->p, "/*", 2) == 0) {
                        inner = true;
                        r->p++;
                }
        }
        return false;
}

/* Whether that server took the comment for code; P is behind the mark and goes behind the number. */
static bool version_is_code(Resolver *r) {
        gsize digits = 0;
        guint version = 0;
        while (digits < 6 && r->p + digits < r->end && g_ascii_isdigit(r->p[digits]))
                digits++;
        if (digits < 5)
                return true; /* no number */
        if (digits == 6 && !r->from.mariadb && r->from.version < 80000)
                digits = 5;
        for (gsize i = 0; i < digits; i++)
                version = version * 10 + (guint) (r->p[i] - '0');
        r->p += digits;
        if (r->from.mariadb && version >= 50700 && version <= 50999) /* features of MySQL 5.7 that mean nothing there */
                return false;
        return version <= r->from.version;
}

static bool resolve_comment(Resolver *r) {
        bool maria = r->end - r->p >= 4 && memcmp(r->p, "/*M!", 4) == 0;
        g_string_append_c(r->out, ' ');
        if (maria || (r->end - r->p >= 3 && memcmp(r->p, "/*!", 3) == 0)) {
                r->p += maria ? 4 : 3;
                bool code = (!maria || r->from.mariadb) && version_is_code(r);
                if (code && !r->in_code)
                        return r->in_code = true;
                return !code && skip_comment(r, /* nested= */ true); /* code within code: servers differ */
        }
        r->p += 2;
        return skip_comment(r, /* nested= */ false);
}

static bool resolve(Resolver *r, GError **error) {
        while (r->p < r->end) {
                gsize left = (gsize) (r->end - r->p);
                if (*r->p == '\'' || *r->p == '"' || *r->p == '`') {
                        if (!copy_quoted(r))
                                return refuse(error, "a quote in it does not end");
                } else if (left >= 2 && memcmp(r->p, "/*", 2) == 0) {
                        if (!resolve_comment(r))
                                return refuse(error, "a comment in it does not end");
                } else if (r->in_code && left >= 2 && memcmp(r->p, "*/", 2) == 0) {
                        r->in_code = false;
                        r->p += 2;
                        g_string_append_c(r->out, ' ');
                } else if (*r->p == '#' || (left >= 2 && memcmp(r->p, "--", 2) == 0 && (left == 2 || (guint8) r->p[2] <= ' '))) {
                        const char *line = memchr(r->p, '\n', left);
                        r->p = line ? line + 1 : r->end;
                        g_string_append_c(r->out, ' ');
                } else
                        g_string_append_c(r->out, *r->p++);
        }
        return !r->in_code || refuse(error, "a comment in it does not end");
}

/* Character sets of a client whose second bytes may be quotes or backslashes. */
static bool client_is_treacherous(guint16 collation) {
        static const guint16 numbers[] = {1, 84, 13, 88, 28, 87, 95, 96, 248, 249, 250};
        for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
                if (numbers[i] == collation)
                        return true;
        return false;
}

static bool client_is_utf8(guint16 n) {
        return n == 33 || n == 76 || n == 83 || (n >= 192 && n <= 215) || n == 223 || n == 45 || n == 46 || (n >= 224 && n <= 247) ||
               (n >= 255 && n <= 323) || (n >= 2048 && n <= 2559) || n == 63 || n == 0;
}

/* --- tokens --- */

typedef enum TokenKind { TOKEN_WORD, TOKEN_NAME, TOKEN_STRING, TOKEN_SIGN } TokenKind;

typedef struct Token {
        TokenKind kind;
        guint depth;  /* of parentheses around it */
        bool removed;
        bool quote;   /* a word that is a name here, and a reserved word elsewhere */
        char *instead, *behind; /* what is written in its place, and after it */
        gsize start, end;
        char *text;   /* of a word or a name, unquoted */
        char sign;
} Token;

static void token_clear(gpointer data) {
        Token *token = data;
        g_free(token->text);
        g_free(token->instead);
        g_free(token->behind);
}

static bool is_name_byte(char c) {
        return g_ascii_isalnum(c) || c == '_' || c == '$' || (c & 0x80);
}

static char *unquote(const char *p, gsize size) {
        GString *name = g_string_sized_new(size);
        for (gsize i = 1; i + 1 < size; i++) {
                g_string_append_c(name, p[i]);
                if (p[i] == p[0])
                        i++;
        }
        return g_string_free(name, FALSE);
}

static GArray *tokenize(const char *text, bool ansi_quotes, bool backslash) {
        GArray *tokens = g_array_new(FALSE, TRUE, sizeof(Token));
        g_array_set_clear_func(tokens, token_clear);
        guint depth = 0;
        for (const char *p = text; *p;) {
                const char *start = p;
                Token token = {.kind = TOKEN_SIGN, .depth = depth};
                if (g_ascii_isspace(*p)) {
                        p++;
                        continue;
                }
                if (*p == '\'' || *p == '"' || *p == '`') {
                        char quote = *p;
                        token.kind = quote == '`' || (quote == '"' && ansi_quotes) ? TOKEN_NAME : TOKEN_STRING;
                        p = sql_behind_quoted(start, backslash && token.kind == TOKEN_STRING);
                        p = p ? p : start + strlen(start);
                        token.text = token.kind == TOKEN_NAME ? unquote(start, (gsize) (p - start)) : NULL;
                } else if (is_name_byte(*p)) {
                        while (is_name_byte(*p))
                                p++;
                        token.kind = TOKEN_WORD;
                        token.text = g_strndup(start, (gsize) (p - start));
                } else {
                        token.sign = *p++;
                        if (*start == ')')
                                token.depth = depth = depth > 0 ? depth - 1 : 0;
                        else if (*start == '(')
                                depth++;
                }
                token.start = (gsize) (start - text);
                token.end = (gsize) (p - text);
                g_array_append_val(tokens, token);
        }
        return tokens;
}

static Token *at(GArray *tokens, guint i) {
        return i < tokens->len ? &g_array_index(tokens, Token, i) : NULL;
}

static bool word(GArray *tokens, guint i, const char *text) {
        const Token *token = at(tokens, i);
        return token && token->kind == TOKEN_WORD && g_ascii_strcasecmp(token->text, text) == 0;
}

static bool sign(GArray *tokens, guint i, char c) {
        const Token *token = at(tokens, i);
        return token && token->kind == TOKEN_SIGN && token->sign == c;
}

static bool any_word(GArray *tokens, guint i, const char *const *words) {
        for (; *words; words++)
                if (word(tokens, i, *words))
                        return true;
        return false;
}

/* --- what another server must not see --- */

/* Names in MySQL 5.6, where none of them is a word of any statement about tables; reserved on some newer server. */
static const char *const later_reserved[] = {
        "admin", "cume_dist", "dense_rank", "empty", "except", "first_value", "function", "generated", "grouping", "groups", "intersect",
        "json_table", "lag", "last_value", "lateral", "lead", "library", "manual", "nth_value", "ntile", "of", "offset", "optimizer_costs", "over",
        "parallel", "percent_rank", "qualify", "rank", "recursive", "returning", "row", "rows", "row_number", "rownum", "stored", "system",
        "tablesample", "vector", "virtual", "window", NULL};

/* How the work is done, not what comes out; not every server can do it in the same way. */
static void drop_clause(GArray *tokens, guint i) {
        static const char *const names[] = {"ALGORITHM", "LOCK", NULL};
        static const char *const values[] = {"DEFAULT", "INPLACE", "COPY", "INSTANT", "NOCOPY", "NONE", "SHARED", "EXCLUSIVE", NULL};
        guint value = i + 1 + sign(tokens, i + 1, '=');
        if (at(tokens, i)->depth > 0 || !any_word(tokens, i, names) || !any_word(tokens, value, values))
                return;
        guint first = i, last = value;
        if (sign(tokens, last + 1, ','))
                last++;
        else if (i > 0 && sign(tokens, i - 1, ',')) {
                first--;
                while (first > 0 && at(tokens, first)->removed) /* ", ALGORITHM=…, LOCK=…": its comma went with the one before */
                        first--;
                first += !sign(tokens, first, ',');
        }
        for (guint n = first; n <= last; n++)
                at(tokens, n)->removed = true;
}

/* MySQL 5.6 makes it YEAR(4) without a word, MariaDB does not. */
static void widen_year(GArray *tokens, guint i) {
        if (word(tokens, i, "YEAR") && sign(tokens, i + 1, '(') && word(tokens, i + 2, "2") && sign(tokens, i + 3, ')')) {
                g_free(at(tokens, i + 2)->instead);
                at(tokens, i + 2)->instead = g_strdup("4");
        }
}

/* --- defaults that only MySQL 5.6 gives --- */

/* The literal of a column's type: what MySQL before 5.7 gives a column that is NOT NULL only because PRIMARY KEY (…) names it. New text;
 * NULL: not known here, the definitions are compared afterwards. */
static char *implicit_default(GArray *tokens, guint type, const char *text) {
        static const char *const numbers[] = {"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "BIGINT", "DECIMAL", "DEC", "NUMERIC",
                                              "FIXED", "FLOAT", "DOUBLE", "REAL", NULL};
        static const char *const texts[] = {"CHAR", "CHARACTER", "VARCHAR", "NCHAR", "NVARCHAR", "BINARY", "VARBINARY", "SET", NULL};
        if (any_word(tokens, type, numbers))
                return g_strdup(" DEFAULT 0");
        if (any_word(tokens, type, texts))
                return g_strdup(" DEFAULT ''");
        const Token *member = at(tokens, type + 2);
        if (word(tokens, type, "ENUM") && sign(tokens, type + 1, '(') && member && member->kind == TOKEN_STRING)
                return g_strdup_printf(" DEFAULT %.*s", (int) (member->end - member->start), text + member->start);
        return NULL;
}

static bool is_named(const Token *a, const Token *b) {
        return (b->kind == TOKEN_WORD || b->kind == TOKEN_NAME) && g_ascii_strcasecmp(a->text, b->text) == 0;
}

/* Column I, up to END: whether it says for itself whether it has a default. */
static bool says_default(GArray *tokens, guint i, guint end) {
        static const char *const words[] = {"NOT", "NULL", "DEFAULT", "AUTO_INCREMENT", "PRIMARY", "KEY", "REFERENCES", "SERIAL", "AS", NULL};
        for (; i < end; i++)
                if (at(tokens, i)->depth == 1 && any_word(tokens, i, words))
                        return true;
        return false;
}

static guint item_end(GArray *tokens, guint i) {
        while (i < tokens->len && !(at(tokens, i)->depth == 1 && sign(tokens, i, ',')) && !(at(tokens, i)->depth == 0 && sign(tokens, i, ')')))
                i++;
        return i;
}

/* FIRST, CLOSE: what is between the parentheses of CREATE TABLE; COLUMN: a part of its primary key. */
static void give_default(GArray *tokens, guint first, guint close, const Token *column, const char *text) {
        static const char *const no_columns[] = {"PRIMARY", "KEY", "INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "FOREIGN", "CONSTRAINT", "CHECK", NULL};
        for (guint i = first, end; i < close; i = end + 1) {
                end = item_end(tokens, i);
                if (any_word(tokens, i, no_columns) || i + 1 >= end || !is_named(column, at(tokens, i)) || says_default(tokens, i + 1, end))
                        continue;
                Token *last = at(tokens, end - 1);
                g_free(last->behind);
                last->behind = implicit_default(tokens, i + 1, text);
        }
}

/* … PRIMARY KEY (a, b(10)) as an item of its own: its columns are NOT NULL now, but the parser had taken them for such as have a default. */
static void give_defaults(GArray *tokens, const char *text) {
        guint first = 0;
        while (first < tokens->len && !sign(tokens, first, '('))
                first++;
        guint close = ++first;
        while (close < tokens->len && at(tokens, close)->depth > 0)
                close++;
        for (guint i = first, end; i < close; i = end + 1) {
                end = item_end(tokens, i);
                if (word(tokens, i, "CONSTRAINT"))
                        i += word(tokens, i + 1, "PRIMARY") ? 1 : 2;
                if (!word(tokens, i, "PRIMARY") || !word(tokens, i + 1, "KEY"))
                        continue;
                for (i += 2; i < end; i++)
                        if (at(tokens, i)->depth == 2 && (sign(tokens, i - 1, '(') || sign(tokens, i - 1, ',')) && at(tokens, i)->text)
                                give_default(tokens, first, close, at(tokens, i), text);
        }
}

static void adapt(GArray *tokens, const Flavor *from, const char *text) {
        static const char *const ways[] = {"ONLINE", "OFFLINE", NULL};
        static const char *const behind_way[] = {"TABLE", "INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "IGNORE", NULL};
        bool old = !from->mariadb && from->version < 50700;
        if (any_word(tokens, 1, ways) && any_word(tokens, 2, behind_way))
                at(tokens, 1)->removed = true;
        for (guint i = 2; i < tokens->len; i++) {
                Token *token = at(tokens, i);
                if (token->kind != TOKEN_WORD)
                        continue;
                if (old)
                        for (const char *const *p = later_reserved; *p; p++)
                                token->quote |= g_ascii_strcasecmp(token->text, *p) == 0;
                if (old)
                        widen_year(tokens, i);
                drop_clause(tokens, i);
        }
        if (old && word(tokens, 0, "CREATE") && word(tokens, 1, "TABLE"))
                give_defaults(tokens, text);
        /* How MySQL 8 logs CREATE TABLE … SELECT, in front of all other options: the rows follow. */
        for (guint i = 2; word(tokens, 0, "CREATE") && i < tokens->len; i++)
                if (at(tokens, i)->depth == 0 && sign(tokens, i - 1, ')') && word(tokens, i, "START") && word(tokens, i + 1, "TRANSACTION"))
                        at(tokens, i)->removed = at(tokens, i + 1)->removed = true;
        /* A comma that has nothing behind it any more. */
        for (guint i = tokens->len; i-- > 0;) {
                Token *token = at(tokens, i);
                if (token->removed)
                        continue;
                if (sign(tokens, i, ',') && i + 1 < tokens->len && at(tokens, i + 1)->removed)
                        token->removed = true;
                break;
        }
}

static GString *put_together(const char *resolved, GArray *tokens) {
        GString *text = g_string_new(NULL);
        for (guint i = 0; i < tokens->len; i++) {
                const Token *token = at(tokens, i);
                if (token->removed)
                        continue;
                bool apart = i > 0 && at(tokens, i - 1)->end < token->start;
                /* Two minuses in front of what was a comment would begin one. */
                bool minuses = text->len > 0 && text->str[text->len - 1] == '-' && sign(tokens, i, '-');
                if (text->len > 0 && (apart || minuses))
                        g_string_append_c(text, ' ');
                if (token->quote)
                        g_string_append_c(text, '`');
                if (token->instead)
                        g_string_append(text, token->instead);
                else
                        g_string_append_len(text, resolved + token->start, (gssize) (token->end - token->start));
                if (token->quote)
                        g_string_append_c(text, '`');
                if (token->behind)
                        g_string_append(text, token->behind);
        }
        return text;
}

/* --- tables --- */

typedef struct Parser {
        GArray *tokens; /* without those that were removed */
        guint i;
        const char *database;
        bool ascii_only; /* names in another character set than UTF-8 cannot be compared */
        DdlText *text;
        GError **error;
} Parser;

static void ddl_table_free(gpointer data) {
        DdlTable *table = data;
        g_free(table->database);
        g_free(table->name);
        g_free(table->to_database);
        g_free(table->to_name);
        g_free(table);
}

static bool accept(Parser *p, const char *text) {
        bool there = word(p->tokens, p->i, text);
        p->i += there;
        return there;
}

static bool accept_any(Parser *p, const char *const *words) {
        bool there = any_word(p->tokens, p->i, words);
        p->i += there;
        return there;
}

static void accept_if_exists(Parser *p) {
        if (accept(p, "IF")) {
                (void) accept(p, "NOT");
                (void) accept(p, "EXISTS");
        }
}

static void accept_wait(Parser *p) {
        if (!accept(p, "NOWAIT") && accept(p, "WAIT"))
                p->i++;
}

static bool read_one(Parser *p, char **ret) {
        const Token *token = at(p->tokens, p->i);
        if (!token || (token->kind != TOKEN_NAME && token->kind != TOKEN_WORD) || !*token->text)
                return refuse(p->error, "a name is missing in it");
        bool ascii = true;
        for (const char *c = token->text; *c; c++)
                ascii &= !(*c & 0x80);
        if (!ascii && (p->ascii_only || !g_utf8_validate(token->text, -1, NULL)))
                return refuse(p->error, "a name in it is not written in UTF-8");
        *ret = g_strdup(token->text);
        p->i++;
        return true;
}

/* A name, qualified or not, into *ret_database and *ret_name, which are freed first. */
static bool read_name(Parser *p, char **ret_database, char **ret_name) {
        g_clear_pointer(ret_database, g_free);
        g_clear_pointer(ret_name, g_free);
        if (!read_one(p, ret_name))
                return false;
        if (sign(p->tokens, p->i, '.')) {
                p->i++;
                *ret_database = g_steal_pointer(ret_name);
                return read_one(p, ret_name);
        }
        if (!*p->database)
                return refuse(p->error, "a name in it has no database, and the session had none");
        *ret_database = g_strdup(p->database);
        return true;
}

static DdlTable *add_table(GPtrArray *list) {
        DdlTable *table = g_new0(DdlTable, 1);
        g_ptr_array_add(list, table);
        return table;
}

static bool read_table(Parser *p, GPtrArray *list) {
        DdlTable *table = add_table(list);
        return read_name(p, &table->database, &table->name);
}

static bool at_end(Parser *p) {
        return p->i >= p->tokens->len || (sign(p->tokens, p->i, ';') && p->i + 1 >= p->tokens->len);
}

static bool parse_end(Parser *p) {
        static const char *const endings[] = {"CASCADE", "RESTRICT", NULL};
        (void) accept_any(p, endings);
        accept_wait(p);
        return at_end(p) || refuse(p->error, "something stands behind its names that is not known");
}

static bool parse_list(Parser *p, DdlVerb verb) {
        p->text->verb = verb;
        accept_if_exists(p);
        do {
                if (!read_table(p, p->text->tables))
                        return false;
        } while (sign(p->tokens, p->i, ',') && ++p->i);
        return parse_end(p);
}

static bool parse_rename(Parser *p) {
        p->text->verb = DDL_RENAME_TABLE;
        accept_if_exists(p);
        do {
                if (!read_table(p, p->text->tables))
                        return false;
                DdlTable *table = g_ptr_array_index(p->text->tables, p->text->tables->len - 1);
                accept_wait(p);
                if (!accept(p, "TO"))
                        return refuse(p->error, "TO is missing in it");
                if (!read_name(p, &table->to_database, &table->to_name))
                        return false;
        } while (sign(p->tokens, p->i, ',') && ++p->i);
        return parse_end(p);
}

/* Options of a table that CREATE and ALTER have in common. */
static void look_at_word(Parser *p) {
        const Token *token = at(p->tokens, p->i);
        p->text->timestamps |= word(p->tokens, p->i, "TIMESTAMP");
        p->text->short_year |= word(p->tokens, p->i, "YEAR") && sign(p->tokens, p->i + 1, '(') && word(p->tokens, p->i + 2, "2");
        if (token->depth > 0 || !word(p->tokens, p->i, "ENGINE"))
                return;
        const Token *name = at(p->tokens, p->i + 1 + sign(p->tokens, p->i + 1, '='));
        if (name && (name->kind == TOKEN_WORD || name->kind == TOKEN_NAME)) {
                g_free(p->text->engine);
                p->text->engine = g_strdup(name->text);
        }
}

static bool parse_create_table(Parser *p) {
        p->text->verb = DDL_CREATE_TABLE;
        accept_if_exists(p);
        if (!read_table(p, p->text->tables))
                return false;
        for (; p->i < p->tokens->len; p->i++) {
                if (word(p->tokens, p->i, "SELECT") || word(p->tokens, p->i, "TABLE"))
                        return refuse(p->error, "it fills the table by a query, in statement format");
                look_at_word(p);
        }
        return true;
}

/* ALTER TABLE … RENAME [TO|AS|=] name, but not RENAME COLUMN, INDEX, KEY, CONSTRAINT. */
static bool parse_rename_clause(Parser *p, DdlTable *table) {
        static const char *const others[] = {"COLUMN", "INDEX", "KEY", "CONSTRAINT", NULL};
        p->i++;
        if (any_word(p->tokens, p->i, others)) {
                p->i--;
                return true;
        }
        if (!accept(p, "TO") && !accept(p, "AS") && sign(p->tokens, p->i, '='))
                p->i++;
        bool good = read_name(p, &table->to_database, &table->to_name);
        p->i--; /* the loop goes on */
        return good;
}

static bool parse_alter_table(Parser *p) {
        static const char *const foreign[] = {"DISCARD", "IMPORT", NULL};
        p->text->verb = DDL_ALTER_TABLE;
        accept_if_exists(p);
        if (!read_table(p, p->text->tables))
                return false;
        DdlTable *table = g_ptr_array_index(p->text->tables, 0);
        accept_wait(p);
        for (; p->i < p->tokens->len; p->i++) {
                const Token *token = at(p->tokens, p->i);
                if (token->kind != TOKEN_WORD)
                        continue;
                look_at_word(p);
                if (token->depth > 0)
                        continue;
                if (any_word(p->tokens, p->i, foreign) &&
                    (word(p->tokens, p->i + 1, "TABLESPACE") || word(p->tokens, p->i + 1, "PARTITION")))
                        return refuse(p->error, "it exchanges the table's file, whose rows are not in the binary log");
                if (word(p->tokens, p->i, "RENAME") && !parse_rename_clause(p, table))
                        return false;
                if (word(p->tokens, p->i, "TABLE")) { /* EXCHANGE PARTITION … WITH TABLE, CONVERT TABLE, CONVERT PARTITION … TO TABLE */
                        p->i++;
                        if (!read_table(p, p->text->partners))
                                return false;
                        p->i--;
                }
        }
        return true;
}

static bool parse_index(Parser *p) {
        p->text->verb = DDL_ALTER_TABLE;
        for (; p->i < p->tokens->len; p->i++)
                if (word(p->tokens, p->i, "ON") && at(p->tokens, p->i)->depth == 0) {
                        p->i++;
                        return read_table(p, p->text->tables);
                }
        return refuse(p->error, "ON is missing in it");
}

static bool parse_database(Parser *p, DdlVerb verb) {
        static const char *const options[] = {"DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "COMMENT", "ENCRYPTION", "READ", NULL};
        p->text->verb = verb;
        if (p->text->replace)
                return refuse(p->error, "CREATE OR REPLACE DATABASE drops all that is in it");
        accept_if_exists(p);
        if (verb == DDL_ALTER_DATABASE && (at_end(p) || any_word(p->tokens, p->i, options))) {
                p->text->database = g_strdup(p->database);
                return *p->database || refuse(p->error, "the session had no database");
        }
        if (!read_one(p, &p->text->database))
                return false;
        return !word(p->tokens, p->i, "UPGRADE") || refuse(p->error, "it renames the database's folder");
}

static bool parse(Parser *p) {
        static const char *const create_words[] = {"ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "IGNORE", NULL};
        bool create = accept(p, "CREATE"), alter = !create && accept(p, "ALTER"), drop = !create && !alter && accept(p, "DROP");
        if (!create && !alter && !drop) {
                if (accept(p, "TRUNCATE")) {
                        (void) accept(p, "TABLE");
                        return parse_list(p, DDL_TRUNCATE_TABLE);
                }
                if (accept(p, "RENAME") && (accept(p, "TABLE") || accept(p, "TABLES")))
                        return parse_rename(p);
                return refuse(p->error, "it is not a statement that is carried");
        }
        if (create && accept(p, "OR")) {
                (void) accept(p, "REPLACE");
                p->text->replace = true;
        }
        while (any_word(p->tokens, p->i, create_words)) {
                p->text->lenient |= word(p->tokens, p->i, "IGNORE");
                p->i++;
        }
        if (accept(p, "TABLE") || accept(p, "TABLES"))
                return create ? parse_create_table(p) : alter ? parse_alter_table(p) : parse_list(p, DDL_DROP_TABLE);
        if (accept(p, "INDEX"))
                return parse_index(p);
        if (accept(p, "DATABASE") || accept(p, "SCHEMA"))
                return parse_database(p, create ? DDL_CREATE_DATABASE : alter ? DDL_ALTER_DATABASE : DDL_DROP_DATABASE);
        return refuse(p->error, "it is not a statement that is carried");
}

DdlText *ddl_text_new(const char *sql, gsize length, const char *database, const QuerySession *session, const Flavor *from,
                      GError **error) {
        bool high = false;
        for (gsize i = 0; i < length; i++)
                high |= (sql[i] & 0x80) != 0;
        if (length > 0 && memchr(sql, 0, length)) {
                refuse(error, "its text holds a NUL");
                return NULL;
        }
        if (high && (!session->has_charset || client_is_treacherous(session->client))) {
                refuse(error, "it is written in a character set of the client that cannot be read safely");
                return NULL;
        }
        bool ansi_quotes = session->sql_mode & SQL_MODE_ANSI_QUOTES, backslash = !(session->sql_mode & SQL_MODE_NO_BACKSLASH_ESCAPES);
        g_autoptr(GString) resolved = g_string_sized_new(length);
        Resolver resolver = {.p = sql, .end = length > 0 ? sql + length : sql, .ansi_quotes = ansi_quotes, .backslash = backslash, .from = *from, .out = resolved};
        if (!resolve(&resolver, error))
                return NULL;
        g_autoptr(GArray) first = tokenize(resolved->str, ansi_quotes, backslash);
        adapt(first, from, resolved->str);

        g_autoptr(DdlText) text = g_new0(DdlText, 1);
        text->verb = _DDL_INVALID;
        text->tables = g_ptr_array_new_with_free_func(ddl_table_free);
        text->partners = g_ptr_array_new_with_free_func(ddl_table_free);
        text->text = put_together(resolved->str, first);
        g_autoptr(GArray) tokens = tokenize(text->text->str, ansi_quotes, backslash);
        Parser parser = {.tokens = tokens, .database = database, .ascii_only = !client_is_utf8(session->client), .text = text, .error = error};
        if (!parse(&parser))
                return NULL;
        if (text->short_year) {
                refuse(error, "YEAR(2) is another type on the other side");
                return NULL;
        }
        return g_steal_pointer(&text);
}

void ddl_text_free(DdlText *text) {
        if (!text)
                return;
        g_ptr_array_unref(text->tables);
        g_ptr_array_unref(text->partners);
        g_free(text->database);
        g_free(text->engine);
        if (text->text)
                g_string_free(text->text, TRUE);
        g_free(text);
}
