/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl-plan.h. */

#include "engine/ddl-plan.h"

#include <string.h>

#include "base/error.h"
#include "engine/ddl-rename.h"
#include "mysql/schema.h"
#include "mysql/sql.h"

#define ER_BAD_DB_ERROR 1049
#define ER_NO_SUCH_TABLE 1146

static bool refuse(GError **error, const char *why) {
        g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, "%s", why);
        return false;
}

static bool is_carried(const DdlPlanInput *input, const char *database, const char *name) {
        if (schema_is_system_database(database) || !spec_selects(input->spec, database, name))
                return false;
        g_autofree char *full = sql_table(database, name), *line = g_strdup_printf("table %s: ", full);
        for (guint i = 0; input->left_out && i < input->left_out->len; i++)
                if (g_str_has_prefix(g_ptr_array_index(input->left_out, i), line))
                        return false;
        return true;
}

char *ddl_plan_line(Conn *downstream, const char *database, const char *name, GError **error) {
        g_autoptr(GError) local = NULL;
        g_autoptr(TableSchema) table = schema_load_table(downstream, database, name, &local);
        if (local) {
                g_propagate_error(error, g_steal_pointer(&local));
                return NULL;
        }
        if (!table)
                return g_strdup("-");
        g_autoptr(GString) line = g_string_new(NULL);
        for (guint i = 0; i < table->key->len; i++) {
                const Column *column = g_ptr_array_index(table->columns, g_array_index(table->key, unsigned, i));
                g_string_append_printf(line, "%s %s %s;", column->name, column->type, column->collation ? column->collation : "");
        }
        for (guint i = 0; i < table->columns->len; i++) {
                const Column *column = g_ptr_array_index(table->columns, i);
                if (column->auto_increment)
                        g_string_append_printf(line, "counter %s", column->name);
        }
        for (char *p = line->str; *p; p++)
                if (*p == '\n')
                        *p = ' ';
        return g_strdup_printf("+%s", line->str);
}

static bool is_there(const DdlPlanInput *input, const char *database, const char *name, bool *ret, GError **error) {
        g_autofree char *d = sql_string(database), *n = sql_string(name);
        g_autofree char *sql = g_strdup_printf("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s "
                                               "AND TABLE_TYPE='BASE TABLE'", d, n);
        guint64 count;
        if (!conn_query_uint64(input->downstream, sql, &count, error))
                return false;
        *ret = count > 0;
        return true;
}

/* --- what each kind needs --- */

/* Of what is not InnoDB transactions are not; and an engine that is not said is the session's, which is not logged. */
static bool check_engine(const DdlPlanInput *input, const DdlText *text, GError **error) {
        if (text->engine && g_ascii_strcasecmp(text->engine, "InnoDB") != 0)
                return refuse(error, "it makes a table with another engine than InnoDB, whose rows cannot be carried");
        if (!text->engine && text->verb == DDL_CREATE_TABLE && g_ascii_strcasecmp(input->upstream->storage_engine, "InnoDB") != 0)
                return refuse(error, "it names no engine, and the server's default is another one than InnoDB");
        return true;
}

static bool plan_create(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        const DdlTable *table = g_ptr_array_index(plan->text->tables, 0);
        if (!is_carried(input, table->database, table->name)) {
                g_ptr_array_set_size(plan->text->tables, 0);
                return true;
        }
        plan->sql = g_strdup(plan->text->text->str);
        return check_engine(input, plan->text, error);
}

/* See ddl-rename.h. */
static bool overflows(const DdlPlanInput *input, const DdlTable *table) {
        return table->to_name && !flavor_has_dictionary(conn_flavor(input->downstream)) &&
               ddl_rename_overflows(table->database, table->name, table->to_database, table->to_name);
}

static bool plan_alter(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        DdlText *text = plan->text;
        const DdlTable *table = g_ptr_array_index(text->tables, 0);
        bool carried = is_carried(input, table->database, table->name);
        guint others = 0;
        for (guint i = 0; i < text->partners->len; i++) {
                const DdlTable *partner = g_ptr_array_index(text->partners, i);
                others += is_carried(input, partner->database, partner->name) != carried;
        }
        if (table->to_name)
                others += is_carried(input, table->to_database, table->to_name) != carried;
        if (others > 0)
                return refuse(error, "it joins a table that is carried with one that is not");
        if (!carried) {
                g_ptr_array_set_size(text->tables, 0);
                g_ptr_array_set_size(text->partners, 0);
                return true;
        }
        if (overflows(input, table)) {
                g_autoptr(GPtrArray) keys = foreign_keys_load(input->downstream, table->database, table->name, error);
                if (!keys)
                        return false;
                bool generated = false; /* a name that goes with the table's */
                for (guint i = 0; i < keys->len; i++)
                        generated |= strstr(((const ForeignKey *) keys->pdata[i])->name, "_ibfk_") != NULL;
                if (generated)
                        return refuse(error, "the other side's server could end: it keeps the names of the table's foreign keys, and the new "
                                             "name takes more room; RENAME TABLE is carried by way of a longer name");
        }
        plan->sql = g_strdup(text->text->str);
        return check_engine(input, text, error);
}

/* Only those that are carried, and there: that is what IF EXISTS left of it. */
static bool plan_drop(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        g_autoptr(GString) sql = g_string_new(NULL);
        GPtrArray *tables = plan->text->tables;
        for (guint i = 0; i < tables->len;) {
                const DdlTable *table = g_ptr_array_index(tables, i);
                bool there = false;
                if (!is_carried(input, table->database, table->name)) {
                        g_ptr_array_remove_index(tables, i);
                        continue;
                }
                if (!is_there(input, table->database, table->name, &there, error))
                        return false;
                if (there) {
                        g_string_append(sql, sql->len > 0 ? "," : "DROP TABLE ");
                        sql_append_table(sql, table->database, table->name);
                }
                i++;
        }
        plan->rebuilt = true;
        plan->sql = sql->len > 0 ? g_strdup(sql->str) : NULL;
        return true;
}

static bool plan_truncate(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        GPtrArray *tables = plan->text->tables;
        const DdlTable *table = g_ptr_array_index(tables, 0);
        if (tables->len > 1)
                return refuse(error, "it names several tables");
        if (!is_carried(input, table->database, table->name)) {
                g_ptr_array_set_size(tables, 0);
                return true;
        }
        g_autofree char *name = sql_table(table->database, table->name);
        plan->rebuilt = true;
        plan->sql = g_strdup_printf("TRUNCATE TABLE %s", name);
        return true;
}

static bool append_rename(const DdlPlanInput *input, const DdlTable *table, GString *sql, GError **error) {
        sql_append_table(sql, table->database, table->name);
        if (overflows(input, table)) {
                g_autofree char *detour = ddl_rename_detour(table->name);
                if (!detour)
                        return refuse(error, "the other side's server could end if a table with such a name was renamed to a longer one");
                g_string_append(sql, " TO ");
                sql_append_table(sql, table->database, detour);
                g_string_append_c(sql, ',');
                sql_append_table(sql, table->database, detour);
        }
        g_string_append(sql, " TO ");
        sql_append_table(sql, table->to_database, table->to_name);
        return true;
}

static bool plan_rename(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        g_autoptr(GString) sql = g_string_new(NULL);
        GPtrArray *tables = plan->text->tables;
        for (guint i = 0; i < tables->len;) {
                const DdlTable *table = g_ptr_array_index(tables, i);
                bool from = is_carried(input, table->database, table->name), to = is_carried(input, table->to_database, table->to_name);
                if (from != to)
                        return refuse(error, from ? "it renames a table that is carried to a name that is not"
                                                  : "it renames a table that is not carried to a name that is");
                if (!from) {
                        g_ptr_array_remove_index(tables, i);
                        continue;
                }
                g_string_append(sql, sql->len > 0 ? "," : "RENAME TABLE ");
                if (!append_rename(input, table, sql, error))
                        return false;
                i++;
        }
        plan->rebuilt = true;
        plan->sql = sql->len > 0 ? g_strdup(sql->str) : NULL;
        return true;
}

static bool plan_database(const DdlPlanInput *input, DdlPlan *plan) {
        if (schema_is_system_database(plan->text->database) || !spec_selects(input->spec, plan->text->database, NULL))
                return true;
        plan->defaults = plan->text->verb == DDL_CREATE_DATABASE;
        plan->sql = g_strdup(plan->text->text->str);
        return true;
}

/* What lies there and is not carried stays, and the database with it. */
static bool plan_drop_database(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        const char *database = plan->text->database;
        if (schema_is_system_database(database) || !spec_selects(input->spec, database, NULL))
                return true;
        g_autofree char *quoted = sql_string(database), *name = sql_identifier(database);
        g_autofree char *ask = g_strdup_printf("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=%s", quoted);
        g_autoptr(ConnRows) rows = conn_queryf(input->downstream, error, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA=%s "
                                               "AND TABLE_TYPE='BASE TABLE'", quoted);
        g_autoptr(GString) list = g_string_new(NULL);
        bool all = true;
        guint64 there;
        if (!rows || !conn_query_uint64(input->downstream, ask, &there, error))
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!is_carried(input, database, row[0])) {
                        all = false;
                        continue;
                }
                g_string_append(list, list->len > 0 ? "," : "DROP TABLE ");
                sql_append_table(list, database, row[0]);
        }
        plan->rebuilt = true;
        if (there && all)
                plan->sql = g_strdup_printf("DROP DATABASE %s", name);
        else if (list->len > 0)
                plan->sql = g_strdup(list->str);
        return true;
}

static bool plan_by_verb(const DdlPlanInput *input, DdlPlan *plan, GError **error) {
        switch (plan->text->verb) {
        case DDL_CREATE_TABLE:
                return plan_create(input, plan, error);
        case DDL_ALTER_TABLE:
                return plan_alter(input, plan, error);
        case DDL_DROP_TABLE:
                return plan_drop(input, plan, error);
        case DDL_TRUNCATE_TABLE:
                return plan_truncate(input, plan, error);
        case DDL_RENAME_TABLE:
                return plan_rename(input, plan, error);
        case DDL_CREATE_DATABASE:
        case DDL_ALTER_DATABASE:
                return plan_database(input, plan);
        case DDL_DROP_DATABASE:
                return plan_drop_database(input, plan, error);
        case _DDL_MAX:
        case _DDL_INVALID:
                break;
        }
        return refuse(error, "it is not a statement that is carried");
}

/* --- names --- */

static void lower(char **name) {
        if (*name) {
                char *old = *name;
                *name = g_utf8_strdown(old, -1);
                g_free(old);
        }
}

static void lower_all(GPtrArray *tables) {
        for (guint i = 0; i < tables->len; i++) {
                DdlTable *table = g_ptr_array_index(tables, i);
                lower(&table->database);
                lower(&table->name);
                lower(&table->to_database);
                lower(&table->to_name);
        }
}

/* Such a server logs names as they were typed. */
static bool spell_names(const DdlPlanInput *input, DdlText *text, GError **error) {
        guint64 mode;
        if (!conn_query_uint64(input->downstream, "SELECT @@lower_case_table_names", &mode, error))
                return false;
        if (mode != 0) {
                lower_all(text->tables);
                lower_all(text->partners);
                lower(&text->database);
        }
        return true;
}

static bool append_lines(const DdlPlanInput *input, const GPtrArray *tables, GString *before, GError **error) {
        for (guint i = 0; i < tables->len; i++) {
                const DdlTable *table = g_ptr_array_index(tables, i);
                g_autofree char *line = ddl_plan_line(input->downstream, table->database, table->name, error);
                if (!line)
                        return false;
                g_string_append_printf(before, "%s\n", line);
        }
        return true;
}

/* A sum over how NAME is defined, without its counter; "-": it is not there. */
static bool add_definition(const DdlPlanInput *input, GChecksum *sum, const char *database, const char *name, GError **error) {
        g_autofree char *table = sql_table(database, name), *sql = g_strconcat("SHOW CREATE TABLE ", table, NULL);
        g_autoptr(GError) local = NULL;
        g_autoptr(ConnRows) rows = conn_query(input->downstream, sql, &local);
        if (!rows && !g_error_matches(local, MYSQL_ERROR, ER_NO_SUCH_TABLE) && !g_error_matches(local, MYSQL_ERROR, ER_BAD_DB_ERROR)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        char **row = conn_rows_take(rows);
        const char *text = row && row[1] ? row[1] : "-", *options = strrchr(text, '\n'), *counter = options ? strstr(options, " AUTO_INCREMENT=") : NULL;
        g_checksum_update(sum, (const guchar *) text, counter ? counter - text : -1);
        if (counter) {
                counter += strlen(" AUTO_INCREMENT=");
                counter += strspn(counter, "0123456789");
                g_checksum_update(sum, (const guchar *) counter, -1);
        }
        return true;
}

/* For telling, after a crash, whether the tables are still as they were: a line behind the others. */
static bool append_definitions(const DdlPlanInput *input, const DdlText *text, GString *before, GError **error) {
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
        const GPtrArray *lists[] = {text->tables, text->partners};
        for (guint l = 0; l < G_N_ELEMENTS(lists); l++)
                for (guint i = 0; i < lists[l]->len; i++) {
                        const DdlTable *table = g_ptr_array_index(lists[l], i);
                        if (!add_definition(input, sum, table->database, table->name, error) ||
                            (table->to_name && !add_definition(input, sum, table->to_database, table->to_name, error)))
                                return false;
                }
        g_string_append_printf(before, "#%s\n", g_checksum_get_string(sum));
        return true;
}

DdlPlan *ddl_plan_new(const DdlPlanInput *input, GError **error) {
        const LinkHalt *halt = input->halt;
        g_autoptr(DdlPlan) plan = g_new0(DdlPlan, 1);
        gsize length;
        const char *sql = g_bytes_get_data(halt->sql, &length);
        if (!halt->understood) {
                refuse(error, "it is not a statement that is understood");
                return NULL;
        }
        plan->text = ddl_text_new(sql, length, halt->database, &halt->session, &input->upstream->flavor, error);
        if (!plan->text || !spell_names(input, plan->text, error))
                return NULL;
        plan->timestamps = plan->text->timestamps;
        if (*halt->database) {
                g_autofree char *name = sql_identifier(halt->database);
                plan->use = g_strdup_printf("USE %s", name);
        }
        g_autoptr(GString) before = g_string_new(NULL);
        g_autoptr(GError) local = NULL;
        if (!plan_by_verb(input, plan, &local)) {
                bool pass = input->passed && g_error_matches(local, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT);
                if (!pass) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return NULL;
                }
        }
        if (!append_lines(input, plan->text->tables, before, error) || !append_lines(input, plan->text->partners, before, error) ||
            !append_definitions(input, plan->text, before, error))
                return NULL;
        plan->before = g_strdup(before->str);
        return g_steal_pointer(&plan);
}

void ddl_plan_free(DdlPlan *plan) {
        if (!plan)
                return;
        ddl_text_free(plan->text);
        g_free(plan->sql);
        g_free(plan->use);
        g_free(plan->before);
        g_free(plan);
}
