/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of what is carried: objects one by one, what is in the way on the destination, and settings that
 * give the same data another meaning. */

#include <string.h>

#include "engine/parameter.h"
#include "engine/precheck-internal.h"
#include "mysql/sql.h"

static void add_unfit(Precheck *check, CheckSeverity severity, const UnfitObject *object) {
        precheck_add(check, severity, PS_ERROR_UNSUPPORTED_OBJECT, object->hint, "%s %s: %s", object->type,
                     object->name, object->reason);
}

/* ---- objects */

bool precheck_objects(Precheck *check, GError **error) {
        if (!check->objects) {
                g_propagate_error(error, g_error_copy(check->objects_error));
                return false;
        }
        CheckSeverity severity = check->input->spec->unfit == UNFIT_SKIP ? CHECK_NOTE : CHECK_ERROR;
        /* Unfit objects refuse the Start; what was skipped then, or came since, does not stop a Switch by
         * itself. */
        if (check->input->stage == PRECHECK_SWITCH)
                severity = CHECK_NOTE;
        for (guint i = 0; i < check->objects->unfit->len; i++)
                add_unfit(check, severity, check->objects->unfit->pdata[i]);
        if (check->objects->tables->len == 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED, "look at include and exclude",
                             "there is no table to carry");
        else
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL,
                             "%u tables in %u databases can be carried", check->objects->tables->len,
                             check->objects->databases->len);
        return true;
}

bool precheck_carries(const Precheck *check, const char *database, const char *name) {
        g_autofree char *quoted = sql_table(database, name);
        return g_hash_table_contains(check->carried, quoted);
}

#define LARGE_WITHOUT_KEY (1u << 30)

/* Carried, but not as other tables are. */
bool precheck_row_keys(Precheck *check, GError **error) {
        guint without = 0;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                if (table->key->len > 0)
                        continue;
                g_autofree char *name = sql_table(table->database, table->name), *size = g_format_size_full(table->data_bytes, G_FORMAT_SIZE_IEC_UNITS);
                g_autofree char *hint = g_strdup_printf(
                                "ALTER TABLE %s ADD PRIMARY KEY (...); or ALTER TABLE %s ADD COLUMN id BIGINT UNSIGNED NOT NULL "
                                "AUTO_INCREMENT PRIMARY KEY;",
                                name, name);
                bool large = table->data_bytes >= LARGE_WITHOUT_KEY;
                without++;
                precheck_add(check, large ? CHECK_WARNING : CHECK_NOTE, PS_ERROR_CHECK_FAILED, hint,
                             "%s (%s) has no primary key and no unique key of NOT NULL columns without FLOAT: it is copied under a short "
                             "table lock, from the beginning after every interruption, and one worker brings its changes in, for "
                             "which the destination reads the whole table%s",
                             name, size, large ? "; at its size that is slow, and a busy table may never catch up" : "");
        }
        if (without > 0 && precheck_variable_on(check, SIDE_DESTINATION, "innodb_force_primary_key"))
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, "on the destination: SET GLOBAL innodb_force_primary_key=0; and in its configuration",
                             "the destination refuses tables without a primary key (innodb_force_primary_key is ON), and %u %s none", without,
                             without == 1 ? "table has" : "tables have");
        return true;
}

/* ---- the destination */

bool precheck_destination_is_ours(Precheck *check, bool *ret, GError **error) {
        Conn *conn = check->input->servers[SIDE_DESTINATION];
        guint64 count = 0;
        if (!conn_query_uint64(
                            conn,
                            "SELECT COUNT(*) FROM information_schema.COLUMNS "
                            "WHERE TABLE_SCHEMA='polarshift' AND TABLE_NAME='owner' AND COLUMN_NAME='uuid'",
                            &count, error))
                return false;
        if (count > 0 && check->input->uuid) {
                g_autofree char *uuid = sql_string(check->input->uuid);
                g_autofree char *sql =
                                g_strdup_printf("SELECT COUNT(*) FROM polarshift.owner WHERE uuid=%s", uuid);
                if (!conn_query_uint64(conn, sql, &count, error))
                        return false;
        }
        *ret = count > 0;
        return true;
}

bool precheck_destination_empty(Precheck *check, GError **error) {
        if (!check->objects)
                return true;
        bool ours;
        if (!precheck_destination_is_ours(check, &ours, error))
                return false;
        if (ours) {
                precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL,
                             "the tables on the destination are this migration's");
                return true;
        }
        g_autoptr(ConnRows) rows = conn_query(check->input->servers[SIDE_DESTINATION],
                                              "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM "
                                              "information_schema.TABLES ORDER BY 1, 2",
                                              error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[0] || !row[1])
                        continue;
                if (!precheck_carries(check, row[0], row[1]))
                        continue;
                g_autofree char *name = sql_table(row[0], row[1]);
                bool view = g_strcmp0(row[2], "VIEW") == 0;
                g_autofree char *hint =
                                g_strdup_printf("when nobody needs it, on the destination: DROP %s %s;",
                                                view ? "VIEW" : "TABLE", name);
                precheck_add(check, CHECK_ERROR, PS_ERROR_ALREADY_EXISTS, hint,
                             "%s %s exists on the destination and would be overwritten",
                             view ? "view" : "table", name);
        }
        return true;
}

bool precheck_disk_space(Precheck *check, GError **error) {
        guint64 bytes = 0;
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                bytes += table->data_bytes + table->index_bytes;
        }
        g_autofree char *size = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED,
                     "see to room for twice that on the destination: the copy is written to its binary log, "
                     "too",
                     "the source's tables take about %s; how much room the destination has cannot be seen "
                     "from here",
                     size);
        return true;
}

/* ---- settings */

bool precheck_lower_case(Precheck *check, GError **error) {
        const char *a = precheck_variable(check, SIDE_SOURCE, "lower_case_table_names");
        const char *b = precheck_variable(check, SIDE_DESTINATION, "lower_case_table_names");
        if (strcmp(a, b) != 0)
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "set it in the destination's configuration before it has data, and restart it",
                             "lower_case_table_names is %s on the source and %s on the destination", a, b);
        return true;
}

/* A collation's name begins with that of its character set. */
static char *charset_of(const char *collation) {
        return g_strndup(collation, strcspn(collation, "_"));
}

bool precheck_charsets(Precheck *check, GError **error) {
        if (!check->objects)
                return true;
        g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(ConnRows) rows =
                        conn_query(check->input->servers[SIDE_DESTINATION],
                                   "SELECT COLLATION_NAME FROM information_schema.COLLATIONS", error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[0])
                        continue;
                g_hash_table_add(known, g_strdup(row[0]));
                /* utf8_… is called utf8mb3_… on newer servers and understood by either name. */
                if (g_str_has_prefix(row[0], "utf8mb3_"))
                        g_hash_table_add(known, g_strconcat("utf8_", row[0] + strlen("utf8mb3_"), NULL));
        }
        for (guint i = 0; i < check->objects->databases->len; i++) {
                const DatabaseDefaults *database = check->objects->databases->pdata[i];
                if (!database->collation || g_hash_table_contains(known, database->collation))
                        continue;
                g_autofree char *name = sql_identifier(database->name), *charset = charset_of(database->collation);
                g_autofree char *hint = g_strdup_printf("on the source, another collation of that character set: ALTER DATABASE %s CHARACTER SET %s;", name, charset);
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint, "the destination does not know the collation %s of database %s",
                             database->collation, database->name);
        }
        for (guint i = 0; i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                for (guint j = 0; j < table->columns->len; j++) {
                        const Column *column = table->columns->pdata[j];
                        if (!column->collation || g_hash_table_contains(known, column->collation))
                                continue;
                        g_autofree char *name = sql_table(table->database, table->name);
                        g_autofree char *charset = charset_of(column->collation);
                        g_autofree char *hint = g_strdup_printf("on the source, another collation of that character set, which compares otherwise: "
                                                                "ALTER TABLE %s CONVERT TO CHARACTER SET %s;", name, charset);
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                                     "the destination does not know the collation %s of column %s of %s",
                                     column->collation, column->name, name);
                        break;
                }
        }
        return true;
}

bool precheck_timestamp_defaults(Precheck *check, GError **error) {
        /* Where it is a session's setting (MariaDB 10.8.4), objects_create() sets it. */
        if (!conn_flavor(check->input->servers[SIDE_DESTINATION])->mariadb &&
            precheck_variable_on(check, SIDE_SOURCE, "explicit_defaults_for_timestamp") &&
            !precheck_variable_on(check, SIDE_DESTINATION, "explicit_defaults_for_timestamp"))
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED,
                             "explicit_defaults_for_timestamp=1 in the destination's configuration",
                             "explicit_defaults_for_timestamp is on on the source only: TIMESTAMP columns "
                             "would get other defaults");
        return true;
}

bool precheck_innodb_format(Precheck *check, GError **error) {
        static const char *const names[] = {"innodb_file_format", "innodb_large_prefix",
                                            "innodb_file_per_table"};
        if (g_strcmp0(precheck_variable(check, SIDE_SOURCE, "innodb_page_size"),
                      precheck_variable(check, SIDE_DESTINATION, "innodb_page_size")) != 0 &&
            precheck_variable_number(check, SIDE_SOURCE, "innodb_page_size") >
                            precheck_variable_number(check, SIDE_DESTINATION, "innodb_page_size"))
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED,
                             "initialise the destination with the source's innodb_page_size",
                             "the destination's InnoDB pages are smaller than the source's: wide rows may "
                             "not fit");
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
                /* Newer servers have nothing but Barracuda with long prefixes. */
                if (!precheck_has_variable(check, SIDE_DESTINATION, names[i]) ||
                    conn_flavor(check->input->servers[SIDE_DESTINATION])->mariadb)
                        continue;
                const char *a = precheck_variable(check, SIDE_SOURCE, names[i]),
                           *b = precheck_variable(check, SIDE_DESTINATION, names[i]);
                g_autofree char *hint = g_strdup_printf(
                                "on the destination: SET GLOBAL %s='%s'; and in its configuration", names[i],
                                a);
                if (g_ascii_strcasecmp(a, b) != 0)
                        precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, hint,
                                     "%s is %s on the source and %s on the destination: row formats or long "
                                     "index prefixes may not be had there",
                                     names[i], a, b);
        }
        return true;
}

bool precheck_max_packet(Precheck *check, GError **error) {
        guint64 a = precheck_variable_number(check, SIDE_SOURCE, "max_allowed_packet");
        guint64 b = precheck_variable_number(check, SIDE_DESTINATION, "max_allowed_packet");
        if (b < a) {
                g_autofree char *hint = g_strdup_printf(
                                "on the destination: SET GLOBAL max_allowed_packet=%" G_GUINT64_FORMAT
                                "; and in its configuration",
                                a);
                precheck_add(check, CHECK_ERROR, PS_ERROR_CHECK_FAILED, hint,
                             "max_allowed_packet is %" G_GUINT64_FORMAT
                             " on the destination, less than the source's %" G_GUINT64_FORMAT
                             ": large values could not be written",
                             b, a);
        } else if (a < b)
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL,
                             "max_allowed_packet is larger on the destination; after the switch values above "
                             "the source's %" G_GUINT64_FORMAT " bytes would stop the way back",
                             a);
        if (b >= a && b < 2 * a && b < (1 << 30))
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL,
                             "max_allowed_packet is less than twice the source's: in statements bytes are escaped, and a value of more "
                             "than %" G_GUINT64_FORMAT " bytes may need more than it allows; replication stops there until it is raised",
                             b / 2);
        return true;
}

bool precheck_sql_mode(Precheck *check, GError **error) {
        const char *a = precheck_variable(check, SIDE_SOURCE, "sql_mode"), *b = precheck_variable(check, SIDE_DESTINATION, "sql_mode");
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        g_autofree char *known = parameter_known_modes(a, flavor), *quoted = sql_string(known);
        g_autofree char *hint = g_strdup_printf("on the destination: SET GLOBAL sql_mode=%s; and in its configuration", quoted);
        if (parameter_is_alike("sql_mode", known, b))
                return true;
        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, hint,
                     "sql_mode is '%s' on the source and '%s' on the destination: applications that do not set it meet other rules%s", a, b,
                     strcmp(a, known) != 0 ? "; the destination does not have all of its modes" : "");
        return true;
}

/* These have a check of their own, which says more. */
static bool has_own_check(const char *name) {
        static const char *const names[] = {"sql_mode", "time_zone", "max_allowed_packet", "max_connections", "lower_case_table_names", "binlog_format",
                                            "binlog_row_image", NULL};
        return g_strv_contains(names, name);
}

/* Variables that applications notice. Start carries what it can; behind it they are expected to be the same. */
bool precheck_parameters(Precheck *check, GError **error) {
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        g_autoptr(GPtrArray) parameters = parameters_compare(check->variables[SIDE_SOURCE], check->variables[SIDE_DESTINATION], flavor);
        bool start = check->input->stage == PRECHECK_START, whole = spec_is_whole_instance(check->input->spec);
        for (guint i = 0; i < parameters->len; i++) {
                const Parameter *parameter = parameters->pdata[i];
                if ((parameter->outcome != PARAMETER_CARRIED && parameter->outcome != PARAMETER_NOT_CARRIED) || has_own_check(parameter->name))
                        continue;
                bool carried = parameter->outcome == PARAMETER_CARRIED;
                g_autofree char *set = parameter_set(parameter, parameter->wanted, /* persist= */ false);
                g_autofree char *hint = carried ? g_strdup_printf("on the destination: %s; and in its configuration: %s", set, parameter->line)
                                                : g_strdup_printf("in the destination's configuration: %s", parameter->line);
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, hint, "%s is '%s' on the destination and '%s' on the source%s", parameter->name,
                             parameter->before, parameter->source,
                             !carried           ? ", and is not carried"
                             : start && whole   ? "; Start sets it on the destination"
                             : start            ? ", and is not carried, since only a part of the source is migrated"
                                                : "");
        }
        return true;
}

static bool is_system_zone(const Precheck *check, Side side) {
        return g_ascii_strcasecmp(precheck_variable(check, side, "time_zone"), "SYSTEM") == 0;
}

static const char *zone_of(const Precheck *check, Side side) {
        return precheck_variable(check, side, is_system_zone(check, side) ? "system_time_zone" : "time_zone");
}

bool precheck_time_zone(Precheck *check, GError **error) {
        const char *a = zone_of(check, SIDE_SOURCE), *b = zone_of(check, SIDE_DESTINATION);
        /* The name of the source's host's zone means nothing to another server, unless it has the same. */
        bool by_name = !is_system_zone(check, SIDE_SOURCE), by_host = strcmp(a, precheck_variable(check, SIDE_DESTINATION, "system_time_zone")) == 0;
        g_autofree char *quoted = sql_string(by_name ? a : "SYSTEM");
        g_autofree char *hint = by_name || by_host
                ? g_strdup_printf("on the destination: SET GLOBAL time_zone=%s; and default-time-zone in its configuration", quoted)
                : g_strdup("default-time-zone in the destination's configuration, with the zone of the source's host");
        if (strcmp(a, b) != 0)
                precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, hint,
                             "the time zone is %s on the source and %s on the destination: NOW() and TIMESTAMP columns read differently", a, b);
        return true;
}
