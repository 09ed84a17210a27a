/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See program-make.h. The text goes to the server as the bytes that it was made of, under the character_set_client that it was made with. */

#include "engine/program-make.h"

#include <string.h>

#include "base/error.h"
#include "engine/ledger.h"
#include "mysql/sql.h"

#define LOCK_WAIT 5 /* s */
#define ER_WRONG_VALUE_FOR_VAR 1231
#define ER_NO_SUCH_USER 1449
#define ER_SPECIFIC_ACCESS_DENIED 1227
#define ER_BINLOG_UNSAFE_ROUTINE 1418
#define ER_BINLOG_CREATE_ROUTINE_NEED_SUPER 1419

static const char *const drop_word[_PROGRAM_MAX] = {
        [PROGRAM_FUNCTION] = "FUNCTION", [PROGRAM_PROCEDURE] = "PROCEDURE", [PROGRAM_PACKAGE] = "PACKAGE",
        [PROGRAM_VIEW] = "VIEW",         [PROGRAM_TRIGGER] = "TRIGGER",     [PROGRAM_EVENT] = "EVENT",
};

/* --- the session --- */

bool program_session_begin(ProgramSession *session, Conn *conn, GError **error) {
        *session = (ProgramSession){.conn = conn};
        session->sql_mode = conn_query_string(conn, "SELECT @@session.sql_mode", error);
        return session->sql_mode && conn_execf(conn, error, "SET SESSION lock_wait_timeout=%d", LOCK_WAIT);
}

bool program_session_end(ProgramSession *session, GError **error) {
        Conn *conn = session->conn;
        g_autofree char *mode = session->sql_mode ? sql_string(session->sql_mode) : NULL;
        bool good = conn_is_dead(conn) || !mode ||
                    (conn_exec(conn, "SET NAMES binary", -1, NULL, error) &&
                     conn_execf(conn, error, "SET SESSION character_set_results=NULL, time_zone='+00:00', lock_wait_timeout=DEFAULT, sql_mode=%s", mode) &&
                     conn_exec(conn, "USE information_schema", -1, NULL, error)); /* a name without a database is nobody's then */
        g_clear_pointer(&session->sql_mode, g_free);
        g_clear_pointer(&session->now, g_free);
        return good;
}

/* --- settings --- */

/* Modes that only show in what the server prints, or that stand for others which are named beside them. ORACLE would be another language on
 * MariaDB than on MySQL, and NO_AUTO_CREATE_USER is about GRANT. */
static bool mode_may_go(const Flavor *flavor, const char *mode) {
        static const char *const names[] = {"NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "DB2",     "MAXDB",
                                            "MSSQL",               "MYSQL323",         "MYSQL40",        "POSTGRESQL",       "ORACLE"};
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(names[i], mode) == 0)
                        return !flavor->mariadb || strcmp(mode, "ORACLE") != 0;
        return false;
}

static bool set_mode(Conn *conn, const char *mode, GError **error) {
        g_autofree char *quoted = sql_string(mode);
        return conn_execf(conn, error, "SET SESSION sql_mode=%s", quoted);
}

/* *ret_dropped: the modes that this server does not have and that can be done without. */
static bool set_sql_mode(Conn *conn, const char *mode, char **ret_dropped, GError **error) {
        g_autoptr(GError) local = NULL;
        if (set_mode(conn, mode, &local))
                return true;
        if (!g_error_matches(local, MYSQL_ERROR, ER_WRONG_VALUE_FOR_VAR)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        g_auto(GStrv) names = g_strsplit(mode, ",", -1);
        g_autoptr(GString) kept = g_string_new(NULL), dropped = g_string_new(NULL);
        for (char **name = names; *name; name++) {
                GString *into = mode_may_go(conn_flavor(conn), *name) ? dropped : kept;
                g_string_append_printf(into, "%s%s", into->len ? "," : "", *name);
        }
        if (!set_mode(conn, kept->str, error))
                return false;
        *ret_dropped = g_string_free(g_steal_pointer(&dropped), FALSE);
        return true;
}

/* MySQL before 8 knows utf8mb3 as utf8 only. */
static char *charset_for(const Conn *conn, const char *name) {
        const Flavor *flavor = conn_flavor(conn);
        if (!flavor->mariadb && flavor->version < 80000 && g_str_has_prefix(name, "utf8mb3"))
                return g_strconcat("utf8", name + strlen("utf8mb3"), NULL);
        return g_strdup(name);
}

bool program_session_names(ProgramSession *session, GError **error) {
        g_clear_pointer(&session->now, g_free);
        return conn_exec(session->conn, "SET SESSION character_set_client=binary", -1, NULL, error);
}

static bool set_session(ProgramSession *session, const char *database, const Definition *definition, char **ret_dropped, GError **error) {
        Conn *conn = session->conn;
        g_autofree char *wanted = g_strjoin("\n", database, definition->charset, definition->collation, definition->time_zone ? definition->time_zone : "",
                                            definition->sql_mode ? definition->sql_mode : "-", NULL);
        if (g_strcmp0(session->now, wanted) == 0) /* as most are: statements less while applications wait */
                return true;
        g_autofree char *charset = charset_for(conn, definition->charset), *collation = charset_for(conn, definition->collation);
        g_autofree char *quoted_charset = sql_string(charset), *quoted_collation = sql_string(collation), *quoted = sql_identifier(database);
        g_autofree char *zone = sql_string(definition->time_zone ? definition->time_zone : "+00:00");
        /* Names are UTF-8, whatever the last program was made in. A view's text is printed in the server's own form, which no mode changes. */
        if (!(program_session_names(session, error) && conn_execf(conn, error, "USE %s", quoted) &&
               conn_execf(conn, error, "SET SESSION character_set_client=%s, collation_connection=%s, time_zone=%s", quoted_charset, quoted_collation, zone) &&
               set_sql_mode(conn, definition->sql_mode ? definition->sql_mode : "ALLOW_INVALID_DATES", ret_dropped, error)))
                return false;
        if (!*ret_dropped) /* else it is to be said again */
                session->now = g_steal_pointer(&wanted);
        return true;
}

/* --- making --- */

bool program_error_is_refusal(const Conn *conn, const GError *error) {
        return error && error->domain == MYSQL_ERROR && !conn_is_dead(conn) && !mysql_error_is_connection(error) && !mysql_error_is_retryable(error);
}

char *program_refusal(const GError *error) {
        switch (error->code) {
        case ER_NO_SUCH_USER:
                return g_strdup("the account of its definer does not exist there; make that account");
        case ER_SPECIFIC_ACCESS_DENIED:
                return g_strdup("the agent's account may not make what has this definer; the check names the privilege");
        case ER_BINLOG_UNSAFE_ROUTINE:
        case ER_BINLOG_CREATE_ROUTINE_NEED_SUPER:
                return g_strdup("the server makes such only with SET GLOBAL log_bin_trust_function_creators=1");
        default:
                return g_utf8_make_valid(error->message, -1);
        }
}

bool program_make(ProgramSession *session, ProgramKind kind, const char *database, const Definition *definition, bool replace, char **ret_note, GError **error) {
        Conn *conn = session->conn;
        g_autofree char *dropped = NULL;
        if (!set_session(session, database, definition, &dropped, error))
                return false;
        g_autofree char *replacing = replace && kind == PROGRAM_VIEW && g_str_has_prefix(definition->sql, "CREATE ")
                                             ? g_strconcat("CREATE OR REPLACE ", definition->sql + strlen("CREATE "), NULL) : NULL;
        if (!conn_exec(conn, replacing ? replacing : definition->sql, -1, NULL, error))
                return false;
        if (ret_note && dropped && *dropped)
                *ret_note = g_strdup_printf("made without the sql_mode %s, which the server does not have", dropped);
        return true;
}

bool program_drop(Conn *conn, ProgramKind kind, const char *database, const char *name, GError **error) {
        g_autofree char *quoted = sql_table(database, name);
        g_autoptr(GError) local = NULL;
        if (conn_execf(conn, &local, "DROP %s IF EXISTS %s", drop_word[kind], quoted) ||
            g_error_matches(local, MYSQL_ERROR, 1049)) /* its database is gone */
                return true;
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

bool program_try_trigger(ProgramSession *session, const Program *trigger, guint number, const char *trial, GError **error) {
        Conn *conn = session->conn;
        g_autofree char *dropped = NULL;
        if (!set_session(session, LEDGER_DATABASE, trigger->definition, &dropped, error))
                return false;
        g_autofree char *definer = program_quote_definer(trigger->definer);
        return conn_execf(conn, error, "CREATE DEFINER=%s TRIGGER trial_%u %s %s ON %s FOR EACH ROW %s", definer, number, trigger->timing, trigger->action, trial,
                          program_trigger_body(trigger->definition->sql));
}

bool program_switch_event(ProgramSession *session, const char *database, const char *name, const char *definer, const Definition *definition, bool enabled,
                          GError **error) {
        Conn *conn = session->conn;
        const char *status = enabled ? "ENABLE" : "DISABLE";
        g_autofree char *dropped = NULL, *quoted_definer = program_quote_definer(definer), *quoted = sql_identifier(name);
        /* ALTER EVENT gives the event the settings of the session, and names are UTF-8: in another character set only its own text has it. */
        if (!g_str_is_ascii(name) && !g_str_has_prefix(definition->charset, "utf8")) {
                g_autofree char *text = program_event_with(definition->sql, status);
                Definition changed = *definition;
                changed.sql = text;
                return program_drop(conn, PROGRAM_EVENT, database, name, error) && program_make(session, PROGRAM_EVENT, database, &changed, false, NULL, error);
        }
        /* Without DEFINER it would become ours. */
        return set_session(session, database, definition, &dropped, error) &&
               conn_execf(conn, error, "ALTER DEFINER=%s EVENT %s %s", quoted_definer, quoted, status);
}
