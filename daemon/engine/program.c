/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See program.h. Definitions are read with character_set_results=NULL, as conn_open() leaves it: then SHOW CREATE gives the bytes that the
 * program was made with, in the character set that it names, and nothing is lost by converting. */

#include "engine/program.h"

#include <string.h>

#include "base/error.h"
#include "mysql/sql.h"

static const char *const program_kind_table[_PROGRAM_MAX] = {
        [PROGRAM_FUNCTION] = "function",
        [PROGRAM_PROCEDURE] = "procedure",
        [PROGRAM_PACKAGE] = "package",
        [PROGRAM_VIEW] = "view",
        [PROGRAM_TRIGGER] = "trigger",
        [PROGRAM_EVENT] = "event",
};
ENUM_TABLE_DEFINE(program_kind, ProgramKind, program_kind_table);

/* --- values --- */

Definition *definition_copy(const Definition *definition) {
        if (!definition)
                return NULL;
        Definition *copy = g_new0(Definition, 1);
        copy->sql = g_strdup(definition->sql);
        copy->sql_mode = g_strdup(definition->sql_mode);
        copy->charset = g_strdup(definition->charset);
        copy->collation = g_strdup(definition->collation);
        copy->database_collation = g_strdup(definition->database_collation);
        copy->time_zone = g_strdup(definition->time_zone);
        return copy;
}

void definition_free(Definition *definition) {
        if (!definition)
                return;
        g_free(definition->sql);
        g_free(definition->sql_mode);
        g_free(definition->charset);
        g_free(definition->collation);
        g_free(definition->database_collation);
        g_free(definition->time_zone);
        g_free(definition);
}

bool definition_equal(const Definition *a, const Definition *b) {
        return a && b && strcmp(a->sql, b->sql) == 0 && g_strcmp0(a->sql_mode, b->sql_mode) == 0 && g_strcmp0(a->charset, b->charset) == 0 &&
               g_strcmp0(a->collation, b->collation) == 0 && g_strcmp0(a->database_collation, b->database_collation) == 0 &&
               g_strcmp0(a->time_zone, b->time_zone) == 0;
}

void program_free(Program *program) {
        if (!program)
                return;
        g_free(program->database);
        g_free(program->name);
        g_free(program->table);
        g_free(program->definer);
        g_free(program->timing);
        g_free(program->action);
        definition_free(program->definition);
        g_free(program->unreadable);
        g_free(program);
}

bool program_selected(const MigrationSpec *spec, ProgramKind kind, const char *database, const char *name, const char *table) {
        bool of_table = kind == PROGRAM_VIEW || kind == PROGRAM_TRIGGER;
        return spec_selects(spec, database, !of_table ? "\x01" : table ? table : name);
}

char *program_quote_definer(const char *definer) {
        /* The host cannot contain '@', a user name can. */
        const char *at = strrchr(definer, '@');
        g_autofree char *user = at ? g_strndup(definer, (gsize) (at - definer)) : g_strdup(definer);
        g_autofree char *quoted_user = sql_identifier(user), *quoted_host = sql_identifier(at ? at + 1 : "%");
        return g_strdup_printf("%s@%s", quoted_user, quoted_host);
}

/* --- texts --- */

/* What stands behind TEXT and blanks; NULL when *P does not begin with it. */
static const char *behind(const char *p, const char *text) {
        gsize length = strlen(text);
        if (g_ascii_strncasecmp(p, text, length) != 0)
                return NULL;
        for (p += length; g_ascii_isspace(*p); p++)
                ;
        return p;
}

/* Where the status is. */
static const char *find_event_status(const char *sql, const char **ret_behind) {
        /* The server's own form: … ON COMPLETION [NOT ]PRESERVE ENABLE|DISABLE[ ON SLAVE|REPLICA][ COMMENT '…'] DO …; before that only quoted names,
         * dates and numbers. */
        for (const char *p = sql; p && *p;) {
                if (*p == '`' || *p == '\'' || *p == '"') {
                        p = sql_behind_quoted(p, /* backslashes= */ false);
                        continue;
                }
                const char *q = behind(p, "ON COMPLETION ");
                if (!q) {
                        p++;
                        continue;
                }
                const char *not = behind(q, "NOT ");
                const char *status = behind(not ? not : q, "PRESERVE "), *rest = NULL;
                if (!status)
                        return NULL;
                if ((rest = behind(status, "ENABLE")) == NULL && (rest = behind(status, "DISABLE ON SLAVE")) == NULL &&
                    (rest = behind(status, "DISABLE ON REPLICA")) == NULL && (rest = behind(status, "DISABLE")) == NULL)
                        return NULL;
                *ret_behind = rest;
                return status;
        }
        return NULL;
}

char *program_event_with(const char *sql, const char *wanted) {
        const char *rest, *status = find_event_status(sql, &rest);
        if (!status)
                return NULL;
        g_autofree char *head = g_strndup(sql, (gsize) (status - sql));
        return g_strconcat(head, wanted, " ", rest, NULL);
}

const char *program_event_body(const char *sql) {
        const char *p;
        if (!find_event_status(sql, &p))
                return NULL;
        const char *comment = behind(p, "COMMENT ");
        if (comment && *comment == '\'') {
                p = sql_behind_quoted(comment, /* backslashes= */ true);
                p = p ? behind(p, " ") : NULL;
        }
        return p ? behind(p, "DO ") : NULL;
}

/* Behind blanks and comments; version comments the server takes out. NULL: one is not closed. */
static const char *skip_blank(const char *p) {
        for (;;) {
                if (g_ascii_isspace(*p))
                        p++;
                else if (p[0] == '/' && p[1] == '*') {
                        p = strstr(p + 2, "*/");
                        if (!p)
                                return NULL;
                        p += 2;
                } else if (*p == '#' || (p[0] == '-' && p[1] == '-' && (!p[2] || g_ascii_isspace(p[2]))))
                        p += strcspn(p, "\n");
                else
                        return p;
        }
}

static bool is_word_char(char c) {
        return g_ascii_isalnum(c) || c == '_' || c == '$' || (c & 0x80) != 0;
}

const char *program_trigger_body(const char *sql) {
        static const char *const words[] = {"FOR", "EACH", "ROW"};
        guint found = 0; /* of them, one behind the other; no name there may be one of them unless it is quoted */
        for (const char *p = skip_blank(sql); p && *p; p = skip_blank(p)) {
                if (*p == '`' || *p == '\'' || *p == '"') {
                        found = 0;
                        p = sql_behind_quoted(p, /* backslashes= */ false);
                        if (!p)
                                return NULL;
                        continue;
                }
                gsize length = 1;
                while (is_word_char(*p) && is_word_char(p[length]))
                        length++;
                bool match = length == strlen(words[found]) && g_ascii_strncasecmp(p, words[found], length) == 0;
                p += length;
                found = match ? found + 1 : 0;
                if (found == G_N_ELEMENTS(words))
                        return skip_blank(p);
        }
        return NULL;
}

/* --- reading --- */

/* Parts of the texts that servers put together themselves are UTF-8 amid the bytes of the program's own character set: all of an event up to its
 * body, comments of routines, and from MySQL 8 on names. What is read is made of one piece, so that it can be sent as one. */

/* What stands in [START, END) of TEXT from UTF-8 to CHARSET, by the server. true with *ret NULL: it cannot be said there. */
static bool recode(Conn *conn, const char *start, const char *end, const char *charset, char **ret, GError **error) {
        g_autoptr(GString) literal = g_string_new("_binary");
        sql_append_string(literal, start, (gsize) (end - start));
        g_autoptr(ConnRows) rows = conn_queryf(conn, error,
                                               "SELECT CONVERT(x USING %s), HEX(CONVERT(CONVERT(x USING %s) USING utf8mb4)) = HEX(x) "
                                               "FROM (SELECT CONVERT(%s USING utf8mb4) AS x) a", charset, charset, literal->str);
        *ret = NULL;
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (row && row[0] && g_strcmp0(row[1], "1") == 0)
                *ret = g_strdup(row[0]);
        return true;
}

/* The comment of a routine: its literal, which stands on a line of its own before the body. */
static const char *find_comment(const char *sql, const char **ret_end) {
        static const char head[] = "\n    COMMENT ";
        for (const char *p = sql; p && *p;) {
                if (*p == '`' || *p == '"')
                        p = sql_behind_quoted(p, /* backslashes= */ false);
                else if (g_str_has_prefix(p, head)) {
                        const char *start = p + strlen(head);
                        *ret_end = *start == '\'' ? sql_behind_quoted(start, /* backslashes= */ true) : NULL;
                        return *ret_end ? start : NULL;
                } else
                        p++;
        }
        return NULL;
}

/* The name behind FUNCTION or PROCEDURE, quoted. */
static const char *find_name(const char *sql, const char *word, const char **ret_end) {
        const char *p = strstr(sql, word);
        p = p ? p + strlen(word) : NULL;
        *ret_end = p && (*p == '`' || *p == '"') ? sql_behind_quoted(p, /* backslashes= */ false) : NULL;
        return *ret_end ? p : NULL;
}

/* Puts SQL's UTF-8 parts into CHARSET; true with *ret NULL: not possible. */
static bool make_one_piece(Conn *conn, ProgramKind kind, const char *sql, const char *charset, char **ret, GError **error) {
        const Flavor *flavor = conn_flavor(conn);
        bool names = !flavor->mariadb && flavor->version >= 80000;
        const char *starts[2] = {NULL, NULL}, *ends[2] = {NULL, NULL};
        *ret = NULL;
        if (g_str_is_ascii(sql) || g_str_has_prefix(charset, "utf8")) {
                *ret = g_strdup(sql);
                return true;
        }
        switch (kind) {
        case PROGRAM_EVENT:
                starts[0] = sql;
                ends[0] = program_event_body(sql);
                break;
        case PROGRAM_TRIGGER:
                starts[0] = names ? sql : NULL;
                ends[0] = names ? program_trigger_body(sql) : NULL;
                break;
        case PROGRAM_FUNCTION:
        case PROGRAM_PROCEDURE:
                starts[0] = names ? find_name(sql, kind == PROGRAM_FUNCTION ? " FUNCTION " : " PROCEDURE ", &ends[0]) : NULL;
                starts[1] = find_comment(sql, &ends[1]);
                break;
        case PROGRAM_VIEW:
        case PROGRAM_PACKAGE:
        case _PROGRAM_MAX:
        case _PROGRAM_INVALID:
                break;
        }
        g_autoptr(GString) whole = g_string_new(NULL);
        const char *done = sql;
        for (gsize i = 0; i < G_N_ELEMENTS(starts); i++) {
                g_autofree char *part = NULL;
                if (!starts[i] || !ends[i] || starts[i] < done)
                        continue;
                if (!recode(conn, starts[i], ends[i], charset, &part, error))
                        return false;
                if (!part)
                        return true;
                g_string_append_len(whole, done, starts[i] - done);
                g_string_append(whole, part);
                done = ends[i];
        }
        g_string_append(whole, done);
        *ret = g_string_free(g_steal_pointer(&whole), FALSE);
        return true;
}

static const char *const show_word[_PROGRAM_MAX] = {
        [PROGRAM_FUNCTION] = "FUNCTION", [PROGRAM_PROCEDURE] = "PROCEDURE", [PROGRAM_PACKAGE] = "PACKAGE",
        [PROGRAM_VIEW] = "VIEW",         [PROGRAM_TRIGGER] = "TRIGGER",     [PROGRAM_EVENT] = "EVENT",
};

/* Columns of SHOW CREATE, by kind; −1: has none. */
typedef struct ShowColumns {
        int sql, sql_mode, charset, time_zone;
} ShowColumns;

static ShowColumns columns_of(ProgramKind kind) {
        switch (kind) {
        case PROGRAM_VIEW:
                return (ShowColumns){1, -1, 2, -1};
        case PROGRAM_EVENT:
                return (ShowColumns){3, 1, 4, 2};
        case PROGRAM_FUNCTION:
        case PROGRAM_PROCEDURE:
        case PROGRAM_PACKAGE:
        case PROGRAM_TRIGGER:
        case _PROGRAM_MAX:
        case _PROGRAM_INVALID:
                break;
        }
        return (ShowColumns){2, 1, 3, -1};
}

bool program_read(Conn *conn, ProgramKind kind, const char *database, const char *name, Definition **ret_definition, char **ret_why, GError **error) {
        g_autoptr(GError) local = NULL;
        g_autofree char *quoted = sql_table(database, name);
        g_autoptr(ConnRows) rows = conn_queryf(conn, &local, "SHOW CREATE %s %s", show_word[kind], quoted);
        *ret_definition = NULL;
        *ret_why = NULL;
        if (!rows) {
                if (conn_is_dead(conn) || mysql_error_is_retryable(local)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                *ret_why = g_strdup(local->message);
                return true;
        }
        char **row = conn_rows_take(rows);
        const unsigned long *lengths = conn_rows_lengths(rows);
        ShowColumns at = columns_of(kind);
        unsigned last = (unsigned) at.charset + (kind == PROGRAM_VIEW ? 1 : 2);
        if (!row || conn_rows_columns(rows) <= last || !row[at.sql] || !row[at.charset] || !row[at.charset + 1]) {
                *ret_why = g_strdup("the agent's account may not see its text: grant SELECT ON *.* (or SHOW_ROUTINE) to it");
                return true;
        }
        if (strlen(row[at.sql]) != lengths[at.sql]) {
                *ret_why = g_strdup("its text contains a zero byte");
                return true;
        }
        g_autofree char *disabled = kind == PROGRAM_EVENT ? program_event_with(row[at.sql], "DISABLE") : NULL;
        if ((kind == PROGRAM_EVENT && (!disabled || !program_event_body(disabled))) || (kind == PROGRAM_TRIGGER && !program_trigger_body(row[at.sql]))) {
                *ret_why = g_strdup("what the server shows of it is not understood");
                return true;
        }
        g_autofree char *sql = NULL;
        if (!make_one_piece(conn, kind, disabled ? disabled : row[at.sql], row[at.charset], &sql, error))
                return false;
        if (!sql) {
                *ret_why = g_strdup_printf("its name or its comment cannot be said in %s, the character set that it was made in", row[at.charset]);
                return true;
        }
        Definition *definition = g_new0(Definition, 1);
        definition->sql = g_steal_pointer(&sql);
        definition->sql_mode = at.sql_mode >= 0 ? g_strdup(row[at.sql_mode] ? row[at.sql_mode] : "") : NULL;
        definition->charset = g_strdup(row[at.charset]);
        definition->collation = g_strdup(row[at.charset + 1]);
        definition->database_collation = kind != PROGRAM_VIEW ? g_strdup(row[at.charset + 2]) : NULL;
        definition->time_zone = at.time_zone >= 0 ? g_strdup(row[at.time_zone]) : NULL;
        *ret_definition = definition;
        return true;
}

#define SYSTEM_DATABASES "('mysql','information_schema','performance_schema','sys','polarshift')"

/* Kind, database, name, definer; then what the kind has. */
static const char *const list_queries[] = {
        "SELECT LOWER(SUBSTRING_INDEX(ROUTINE_TYPE, ' ', 1)), ROUTINE_SCHEMA, ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES "
        "WHERE ROUTINE_SCHEMA NOT IN " SYSTEM_DATABASES " ORDER BY ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME",
        "SELECT 'view', TABLE_SCHEMA, TABLE_NAME, DEFINER FROM information_schema.VIEWS "
        "WHERE TABLE_SCHEMA NOT IN " SYSTEM_DATABASES " ORDER BY TABLE_SCHEMA, TABLE_NAME",
        "SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, DEFINER, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION "
        "FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA NOT IN " SYSTEM_DATABASES " "
        "ORDER BY TRIGGER_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, TRIGGER_NAME",
        "SELECT 'event', EVENT_SCHEMA, EVENT_NAME, DEFINER, STATUS FROM information_schema.EVENTS "
        "WHERE EVENT_SCHEMA NOT IN " SYSTEM_DATABASES " ORDER BY EVENT_SCHEMA, EVENT_NAME",
};

static Program *take_row(const MigrationSpec *spec, unsigned columns, char **row) {
        ProgramKind kind = row[0] ? program_kind_from_string(row[0]) : _PROGRAM_INVALID;
        if (kind == _PROGRAM_INVALID || !row[1] || !row[2] || schema_is_system_database(row[1]))
                return NULL;
        const char *table = kind == PROGRAM_TRIGGER && columns > 4 ? row[4] : NULL;
        if (!program_selected(spec, kind, row[1], row[2], table))
                return NULL;
        Program *program = g_new0(Program, 1);
        program->kind = kind;
        program->database = g_strdup(row[1]);
        program->name = g_strdup(row[2]);
        program->definer = g_strdup(row[3] ? row[3] : "");
        if (kind == PROGRAM_TRIGGER && columns > 6) {
                program->table = g_strdup(table ? table : "");
                program->timing = g_strdup(row[5] ? row[5] : "");
                program->action = g_strdup(row[6] ? row[6] : "");
        }
        if (kind == PROGRAM_EVENT && columns > 4)
                program->enabled = g_strcmp0(row[4], "ENABLED") == 0;
        return program;
}

GPtrArray *programs_list(Conn *conn, const MigrationSpec *spec, GError **error) {
        g_autoptr(GPtrArray) programs = g_ptr_array_new_with_free_func((GDestroyNotify) program_free);
        for (gsize i = 0; i < G_N_ELEMENTS(list_queries); i++) {
                g_autoptr(ConnRows) rows = conn_query(conn, list_queries[i], error);
                if (!rows)
                        return NULL;
                for (char **row; (row = conn_rows_take(rows));) {
                        Program *program = take_row(spec, conn_rows_columns(rows), row);
                        if (program)
                                g_ptr_array_add(programs, program);
                }
        }
        return g_steal_pointer(&programs);
}

bool programs_define(Conn *conn, GPtrArray *programs, GError **error) {
        for (guint i = 0; i < programs->len; i++) {
                Program *p = g_ptr_array_index(programs, i);
                if (p->definition || p->unreadable)
                        continue;
                if (p->kind == PROGRAM_PACKAGE)
                        p->unreadable = g_strdup("packages are not carried");
                else if (!program_read(conn, p->kind, p->database, p->name, &p->definition, &p->unreadable, error))
                        return false;
        }
        return true;
}

GPtrArray *programs_read(Conn *conn, const MigrationSpec *spec, GError **error) {
        g_autoptr(GPtrArray) programs = programs_list(conn, spec, error);
        return programs && programs_define(conn, programs, error) ? g_steal_pointer(&programs) : NULL;
}
