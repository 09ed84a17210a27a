/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drives what looks at servers (objects, checks, comparison) from a test that has real ones:
 * tests/mysql/test_engine_tools.py.
 *
 *   test-tools list SOURCE [KEY=VALUE…]                  one line per object: kind, name, reason
 *   test-tools create SOURCE DESTINATION [KEY=VALUE…]    makes databases and tables
 *   test-tools check STAGE UUID SOURCE DESTINATION [KEY=VALUE…]   ($ACCOUNTS is the list of accounts)
 *   test-tools verify UPSTREAM DOWNSTREAM [repair|replica|busy…]
 *   test-tools sessions SERVER                           for each line on standard input: who is connected, and has a transaction (1)
 *
 * KEY=VALUE are options of a migration. Passwords come from $PASSWORD. Exit status 1 with the error's name
 * and text on standard error. */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "engine/objects.h"
#include "engine/precheck.h"
#include "engine/program.h"
#include "engine/sessions.h"
#include "engine/verify.h"

static int fail(const GError *error) {
        fprintf(stderr, "%s: %s\n",
                error->domain == MYSQL_ERROR ? "MySQL" : ps_error_code_to_string(ps_error_code_of(error)),
                error->message);
        return EXIT_FAILURE;
}

static bool set_options(MigrationSpec *spec, char **options, GError **error) {
        for (; *options; options++) {
                g_auto(GStrv) parts = g_strsplit(*options, "=", 2);
                if (!parts[0] || !parts[1] || !spec_set_text(spec, parts[0], parts[1], error))
                        return false;
        }
        return true;
}

/* URIs may be NULL. */
static MigrationSpec *make_spec(const char *source, const char *destination, char **options, GError **error) {
        MigrationSpec *spec = spec_new("test");
        if ((source && !spec_set_text(spec, "source", source, error)) ||
            (destination && !spec_set_text(spec, "destination", destination, error)) ||
            !set_options(spec, options, error)) {
                spec_free(spec);
                return NULL;
        }
        return spec;
}

static ConnParams *make_params(const MigrationSpec *spec, Side side) {
        ConnParams *params = g_new0(ConnParams, 1);
        params->endpoint = endpoint_copy(spec->servers[side].endpoint);
        params->password = g_strdup(g_getenv("PASSWORD"));
        return params;
}

static Conn *connect_side(const MigrationSpec *spec, Side side, GError **error) {
        ConnParams *params = make_params(spec, side);
        Conn *conn = conn_open(params, 0, error);
        conn_params_free(params);
        return conn;
}

static void print_unfit(const char *head, const GPtrArray *array) {
        for (guint i = 0; i < array->len; i++) {
                const UnfitObject *object = array->pdata[i];
                printf("%s\t%s\t%s\t%s\t%s\n", head, object->type, object->name, object->reason,
                       object->hint);
        }
}

static int run_list(char **words) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MigrationSpec) spec = make_spec(words[0], NULL, words + 1, &error);
        g_autoptr(Conn) conn = spec ? connect_side(spec, SIDE_SOURCE, &error) : NULL;
        g_autoptr(ObjectList) list = conn ? objects_list(conn, spec, &error) : NULL;
        if (!list)
                return fail(error);
        for (guint i = 0; i < list->databases->len; i++) {
                const DatabaseDefaults *database = list->databases->pdata[i];
                printf("database\t%s\t%s\t%s\n", database->name, database->charset, database->collation);
        }
        for (guint i = 0; i < list->tables->len; i++) {
                const TableSchema *table = list->tables->pdata[i];
                printf("table\t%s.%s\n", table->database, table->name);
        }
        g_autoptr(GPtrArray) programs = programs_list(conn, spec, &error);
        if (!programs)
                return fail(error);
        for (guint i = 0; i < programs->len; i++) {
                const Program *program = programs->pdata[i];
                printf("program\t%s\t%s.%s\t%s\n", program_kind_to_string(program->kind), program->database, program->name, program->definer);
        }
        print_unfit("unfit", list->unfit);
        return EXIT_SUCCESS;
}

static int run_create(char **words) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MigrationSpec) spec = make_spec(words[0], words[1], words + 2, &error);
        g_autoptr(Conn) source = spec ? connect_side(spec, SIDE_SOURCE, &error) : NULL;
        g_autoptr(Conn) destination = source ? connect_side(spec, SIDE_DESTINATION, &error) : NULL;
        g_autoptr(ObjectList) list = destination ? objects_list(source, spec, &error) : NULL;
        if (!list || !objects_create(source, destination, list, &error))
                return fail(error);
        /* The session has to be the engine's again. */
        g_autofree char *charset = conn_query_string(destination, "SELECT @@character_set_client", &error);
        if (g_strcmp0(charset, "binary") != 0) {
                fprintf(stderr, "character_set_client is %s\n", charset ? charset : "NULL");
                return EXIT_FAILURE;
        }
        printf("%u tables\n", list->tables->len);
        return EXIT_SUCCESS;
}

static int run_check(char **words) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MigrationSpec) spec = make_spec(words[2], words[3], words + 4, &error);
        g_autoptr(Conn) source = spec ? connect_side(spec, SIDE_SOURCE, &error) : NULL;
        g_autoptr(Conn) destination = source ? connect_side(spec, SIDE_DESTINATION, &error) : NULL;
        if (!destination)
                return fail(error);
        const char *list = g_getenv("ACCOUNTS");
        g_autoptr(AccountMap) map = list ? account_map_parse(list, &error) : NULL;
        if (list && !map)
                return fail(error);
        PrecheckInput input = {.spec = spec,
                               .servers = {source, destination},
                               .accounts = map,
                               .uuid = words[1],
                               .stage = strcmp(words[0], "switch") == 0 ? PRECHECK_SWITCH : PRECHECK_START};
        g_autoptr(GPtrArray) rows = precheck_run(&input, &error);
        if (!rows)
                return fail(error);
        for (guint i = 0; i < rows->len; i++) {
                const CheckRow *row = rows->pdata[i];
                printf("%s\t%s\t%s\t%s\t%s\n", row->id, check_severity_to_string(row->severity),
                       ps_error_code_to_string(row->error), row->message, row->hint);
        }
        if (!precheck_verdict(rows, /* accept_warnings= */ true, &error))
                printf("verdict\terror\t%s\t%s\t\n", ps_error_code_to_string(ps_error_code_of(error)),
                       error->message);
        return EXIT_SUCCESS;
}

/* ---- comparison */

typedef struct VerifyTest {
        Conn *replica; /* waits for native replication; NULL: nothing is replicated */
} VerifyTest;

static bool wait_applied(gpointer userdata, const char *file, guint64 offset, gint64 timeout_usec,
                         GError **error) {
        VerifyTest *test = userdata;
        if (!test->replica)
                return true;
        double seconds = timeout_usec < 0 ? 200 : (double)timeout_usec / 1e6;
        g_autofree char *sql = g_strdup_printf("SELECT MASTER_POS_WAIT('%s',%" G_GUINT64_FORMAT ",%.3f)",
                                               file, offset, seconds);
        g_autofree char *text = conn_query_string(test->replica, sql, error);
        if (!text)
                return false;
        if (strcmp(text, "-1") == 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "not applied within %.1f s",
                            seconds);
                return false;
        }
        return true;
}

static bool write_marked(gpointer userdata, Conn *downstream, const char *statements, GError **error) {
        g_autofree char *sql = g_strconcat("BEGIN;", statements, ";COMMIT", NULL);
        gsize count = 0;
        if (conn_exec_multi(downstream, sql, -1, NULL, 0, &count, error))
                return true;
        conn_exec(downstream, "ROLLBACK", -1, NULL, NULL);
        return false;
}

static int run_sessions(char **words) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MigrationSpec) spec = make_spec(words[0], NULL, words + 1, &error);
        g_autoptr(Conn) conn = spec ? connect_side(spec, SIDE_SOURCE, &error) : NULL;
        SessionLook look = {0};
        if (!conn)
                return fail(error);
        for (int c = getchar(); c != EOF; c = getchar()) {
                g_autoptr(GPtrArray) sessions = c == '\n' ? sessions_of_others(conn, &look, &error) : NULL;
                if (!sessions)
                        return error ? fail(error) : EXIT_FAILURE;
                for (guint i = 0; i < sessions->len; i++) {
                        const Session *session = sessions->pdata[i];
                        printf("%s%" G_GUINT64_FORMAT ":%d", i == 0 ? "" : " ", session->id, session->transaction);
                }
                putchar('\n');
                fflush(stdout);
        }
        return EXIT_SUCCESS;
}

static int run_verify(char **words) {
        g_autoptr(GError) error = NULL;
        bool repair = g_strv_contains((const char *const *)words, "repair");
        bool replica = g_strv_contains((const char *const *)words, "replica");
        char *none[] = {NULL};
        g_autoptr(MigrationSpec) spec = make_spec(words[0], words[1], none, &error);
        g_autoptr(Conn) source = spec ? connect_side(spec, SIDE_SOURCE, &error) : NULL;
        g_autoptr(ObjectList) list = source ? objects_list(source, spec, &error) : NULL;
        if (!list)
                return fail(error);
        VerifyTest test = {NULL};
        if (replica && !(test.replica = connect_side(spec, SIDE_DESTINATION, &error)))
                return fail(error);

        ConnParams *up = make_params(spec, SIDE_SOURCE), *down = make_params(spec, SIDE_DESTINATION);
        VerifyInput input = {.upstream = up,
                             .downstream = down,
                             .tables = list->tables,
                             .wait_applied = wait_applied,
                             .repair = repair,
                             .write_marked = repair ? write_marked : NULL,
                             .userdata = &test};
        VerifyResult result = {0};
        bool ok = verify_run(&input, &result, &error);
        conn_params_free(up);
        conn_params_free(down);
        conn_free(test.replica);
        if (!ok)
                return fail(error);
        printf("tables=%" G_GUINT64_FORMAT " rows=%" G_GUINT64_FORMAT " chunks=%" G_GUINT64_FORMAT
               " again=%" G_GUINT64_FORMAT " different=%" G_GUINT64_FORMAT " seconds=%.2f\n",
               result.tables, result.rows, result.chunks, result.rows_compared_again, result.different,
               result.seconds);
        for (guint i = 0; i < result.differences->len; i++)
                printf("%s\n", (const char *)result.differences->pdata[i]);
        verify_result_clear(&result);
        return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        setlocale(LC_ALL, "");
        static const struct {
                const char *name;
                int words;
                int (*run)(char **words);
        } commands[] = {
                        {"list", 1, run_list},
                        {"create", 2, run_create},
                        {"check", 4, run_check},
                        {"verify", 2, run_verify},
                        {"sessions", 1, run_sessions},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
                if (argc >= 2 + commands[i].words && strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].run(argv + 2);
        fprintf(stderr, "see the head of test-tools.c\n");
        return 2;
}
