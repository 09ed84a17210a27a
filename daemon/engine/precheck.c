/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The check: reads the facts of both servers once, runs the table of checks in its order and judges the rows.
 * The checks themselves are in the other files precheck-*.c; a new one is a
 * function there and a line in the table here. Statements are few and their number does not depend on how
 * many tables there are. */

#include "engine/precheck-internal.h"

#include <string.h>

#include "mysql/sql.h"

void precheck_add(Precheck *check, CheckSeverity severity, PsErrorCode error, const char *hint,
                  const char *format, ...) {
        va_list ap;
        va_start(ap, format);
        g_autofree char *message = g_strdup_vprintf(format, ap);
        va_end(ap);
        /* Names may be any bytes, the bus wants UTF-8. */
        g_autofree char *valid = g_utf8_make_valid(message, -1),
                        *valid_hint = g_utf8_make_valid(hint ? hint : "", -1);
        g_ptr_array_add(check->rows, check_row_new(check->id, severity, (int)error, valid, valid_hint));
}

const char *precheck_variable(const Precheck *check, Side side, const char *name) {
        const char *value = g_hash_table_lookup(check->variables[side], name);
        return value ? value : "";
}

bool precheck_has_variable(const Precheck *check, Side side, const char *name) {
        return g_hash_table_contains(check->variables[side], name);
}

guint64 precheck_variable_number(const Precheck *check, Side side, const char *name) {
        return g_ascii_strtoull(precheck_variable(check, side, name), NULL, 10);
}

bool precheck_variable_on(const Precheck *check, Side side, const char *name) {
        const char *value = precheck_variable(check, side, name);
        return g_ascii_strcasecmp(value, "ON") == 0 || strcmp(value, "1") == 0;
}

/* ---- facts */

static bool read_variables(Precheck *check, Side side, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(check->input->servers[side], "SHOW GLOBAL VARIABLES", error);
        if (!rows)
                return false;
        check->variables[side] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        for (char **row; (row = conn_rows_take(rows));) {
                if (row[0])
                        g_hash_table_insert(check->variables[side], g_ascii_strdown(row[0], -1),
                                            g_strdup(row[1] ? row[1] : ""));
        }
        return true;
}

static void free_grant(gpointer p) {
        grant_free(p);
}

static bool read_grants(Precheck *check, Side side, GError **error) {
        g_autoptr(GError) e = NULL;
        g_autofree char *user = conn_query_string(check->input->servers[side], "SELECT CURRENT_USER()", &e);
        if (e) {
                g_propagate_error(error, g_steal_pointer(&e));
                return false;
        }
        /* The host cannot contain '@', a user name can. */
        const char *at = user ? strrchr(user, '@') : NULL;
        g_autofree char *name = at ? g_strndup(user, (gsize)(at - user)) : g_strdup("");
        g_autofree char *quoted_name = sql_string(name), *quoted_host = sql_string(at ? at + 1 : "%");
        check->account[side] = g_strdup_printf("%s@%s", quoted_name, quoted_host);

        g_autoptr(ConnRows) rows = conn_query(check->input->servers[side], "SHOW GRANTS", error);
        if (!rows)
                return false;
        check->grants[side] = g_ptr_array_new_with_free_func(free_grant);
        for (char **row; (row = conn_rows_take(rows));) {
                Grant *grant = row[0] ? grant_parse(row[0]) : NULL;
                if (grant)
                        g_ptr_array_add(check->grants[side], grant);
        }
        return true;
}

static void precheck_clear(Precheck *check) {
        for (Side side = 0; side < _SIDE_MAX; side++) {
                g_clear_pointer(&check->variables[side], g_hash_table_unref);
                g_clear_pointer(&check->grants[side], g_ptr_array_unref);
                g_clear_pointer(&check->account[side], g_free);
                g_clear_pointer(&check->accounts[side], g_ptr_array_unref);
                g_clear_pointer(&check->own_user[side], g_free);
        }
        g_clear_pointer(&check->objects, object_list_free);
        g_clear_error(&check->objects_error);
        g_clear_pointer(&check->programs, g_ptr_array_unref);
        g_clear_error(&check->programs_error);
        g_clear_pointer(&check->carried, g_hash_table_unref);
        g_clear_pointer(&check->texts, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Precheck, precheck_clear)

static bool lost(const Precheck *check, const GError *error) {
        return mysql_error_is_connection(error) || conn_is_dead(check->input->servers[SIDE_SOURCE]) ||
               conn_is_dead(check->input->servers[SIDE_DESTINATION]);
}

static bool read_facts(Precheck *check, GError **error) {
        for (Side side = 0; side < _SIDE_MAX; side++)
                if (!read_variables(check, side, error) || !read_grants(check, side, error))
                        return false;
        check->objects = objects_list(check->input->servers[SIDE_SOURCE], check->input->spec,
                                      &check->objects_error);
        if (!check->objects && lost(check, check->objects_error)) {
                g_propagate_error(error, g_steal_pointer(&check->objects_error));
                return false;
        }
        Side writer = check->input->stage == PRECHECK_START ? SIDE_SOURCE : check->input->writer;
        check->programs = programs_list(check->input->servers[writer], check->input->spec, &check->programs_error);
        if (!check->programs && lost(check, check->programs_error)) {
                g_propagate_error(error, g_steal_pointer(&check->programs_error));
                return false;
        }
        check->carried = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; check->objects && i < check->objects->tables->len; i++) {
                const TableSchema *table = check->objects->tables->pdata[i];
                g_hash_table_add(check->carried, sql_table(table->database, table->name));
        }
        return true;
}

/* ---- the table */

typedef struct PrecheckEntry {
        const char *id;
        unsigned stages; /* of PrecheckStages */
        PrecheckFunc run;
        const char *ok; /* said when it adds no row */
} PrecheckEntry;

static const PrecheckEntry precheck_table[] = {
                {"source-version", STAGE_BOTH, precheck_source_version, ""},
                {"destination-version", STAGE_BOTH, precheck_destination_version, ""},
                {"same-server", STAGE_BOTH, precheck_same_server, "source and destination are two servers"},
                {"server-id", STAGE_BOTH, precheck_server_id, "both server ids are set and differ"},
                {"privileges", STAGE_BOTH, precheck_privileges, "the agent's accounts have what they need"},
                {"source-read-only", STAGE_START, precheck_source_read_only, "the source takes writes"},
                {"source-replica", STAGE_START, precheck_source_replica, "the source is no replica"},
                {"source-standby", STAGE_START, precheck_source_standby,
                 "a standby of the source is connected"},
                {"binlog", STAGE_BOTH, precheck_binlog, "both servers write a binary log"},
                {"binlog-format", STAGE_BOTH, precheck_binlog_format, "both binary logs hold whole rows"},
                {"binlog-filter", STAGE_BOTH, precheck_binlog_filter, "no binary log leaves databases out"},
                {"binlog-order", STAGE_BOTH, precheck_binlog_order,
                 "transactions are committed in the order of the binary log"},
                {"binlog-compression", STAGE_BOTH, precheck_binlog_compression,
                 "no binary log is compressed"},
                {"binlog-retention", STAGE_BOTH, precheck_binlog_retention,
                 "binary logs are kept for at least a day"},
                {"gtid", STAGE_BOTH, precheck_gtid, ""},
                {"durability", STAGE_BOTH, precheck_durability, "both servers flush each commit"},
                {"xa", STAGE_BOTH, precheck_xa, "no prepared XA transaction is left open"},
                {"objects", STAGE_BOTH, precheck_objects, ""},
                {"programs", STAGE_BOTH, precheck_programs, "there are no views, routines, triggers and events"},
                {"triggers", STAGE_BOTH, precheck_triggers, "nothing fires on what is applied"},
                {"definers", STAGE_BOTH, precheck_definers, "the accounts that views, routines, triggers and events run as exist"},
                {"accounts", STAGE_BOTH, precheck_accounts, "there is no account to carry"},
                {"super-accounts", STAGE_BOTH | NOT_FOR_A_CLONE, precheck_super_accounts,
                 "no account but the agent's passes read_only"},
                {"foreign-keys", STAGE_BOTH, precheck_foreign_keys,
                 "every foreign key points to a carried table"},
                {"row-keys", STAGE_START, precheck_row_keys, "every carried table has a key that names its rows"},
                {"destination-empty", STAGE_START, precheck_destination_empty,
                 "nothing on the destination is in the way"},
                {"lower-case-table-names", STAGE_BOTH, precheck_lower_case,
                 "both servers treat the case of names alike"},
                {"charsets", STAGE_BOTH, precheck_charsets,
                 "the destination knows all collations that are used"},
                {"timestamp-defaults", STAGE_START, precheck_timestamp_defaults,
                 "TIMESTAMP columns keep their definitions"},
                {"innodb-format", STAGE_START, precheck_innodb_format,
                 "the destination can hold the tables' row formats"},
                {"row-format", STAGE_START, precheck_row_format, "the destination writes compressed tables, or there are none"},
                {"index-prefixes", STAGE_START, precheck_index_prefixes, "the destination takes all indexes"},
                {"long-names", STAGE_START, precheck_long_names, "no name is too long for the destination"},
                {"old-names", STAGE_START, precheck_old_names, "no name is from before MySQL 5.1"},
                {"long-members", STAGE_START, precheck_long_members, "no member of an ENUM or SET is too long for the destination"},
                {"float-columns", STAGE_START, precheck_float_columns, "the destination takes all FLOAT and DOUBLE columns"},
                {"zero-dates", STAGE_START, precheck_zero_dates, "no default is a date that the destination forbids"},
                {"partitioning", STAGE_START, precheck_partitioning, "the destination takes all partitioned tables, or there are none"},
                {"data-directory", STAGE_START, precheck_data_directory, "all tables lie in the source's data directory"},
                {"full-text", STAGE_START, precheck_full_text, "full-text indexes are built alike, or there are none"},
                {"spatial", STAGE_START, precheck_spatial, "there are no spatial columns that mean something else on the destination"},
                {"reserved-words", STAGE_START, precheck_reserved_words, "no name became a reserved word"},
                {"removed-sql", STAGE_START, precheck_removed_sql, "views, routines, triggers and events use nothing that the destination no longer has"},
                {"max-allowed-packet", STAGE_BOTH, precheck_max_packet,
                 "the destination takes packets as large as the source does"},
                {"sql-mode", STAGE_BOTH, precheck_sql_mode, "sql_mode is the same on both servers"},
                {"time-zone", STAGE_BOTH, precheck_time_zone, "the time zone is the same on both servers"},
                {"parameters", STAGE_BOTH, precheck_parameters, "what applications notice is set alike on both servers"},
                {"zone-tables", STAGE_BOTH, precheck_zone_tables, "the destination knows the time zones that the source knows"},
                {"event-scheduler", STAGE_BOTH, precheck_event_scheduler, ""},
                {"other-migrations", STAGE_BOTH, precheck_other_migrations,
                 "no other migration uses one of the servers"},
                {"fence-global", STAGE_BOTH | NOT_FOR_A_CLONE, precheck_fence_scope,
                 "the whole instance is migrated and fenced"},
                {"fence-durable", STAGE_BOTH | NOT_FOR_A_CLONE, precheck_fence_durable, ""},
                {"fence-hook", STAGE_BOTH | NOT_FOR_A_CLONE, precheck_fence_hook, "no hook is needed to close a side"},
                {"disk-space", STAGE_START, precheck_disk_space, ""},
                {"node-specification", STAGE_BOTH, precheck_node_specification, "the destination is set up at least as large as the source"},
                {"other-objects", STAGE_START, precheck_other_objects, "nothing outside of the databases stays behind"},
                {"encryption", STAGE_START, precheck_encryption, ""},
                {"tls", STAGE_BOTH, precheck_tls, "both connections are encrypted"},
                {"socket-visible", STAGE_BOTH, precheck_socket_visible,
                 "no socket is in a place that the service cannot see"},
                {"places", STAGE_START, precheck_places, "region and zone are the same, or not given"},
};

static bool run_table(Precheck *check, GError **error) {
        for (gsize i = 0; i < G_N_ELEMENTS(precheck_table); i++) {
                const PrecheckEntry *entry = &precheck_table[i];
                if (!(entry->stages & (1u << check->input->stage)) ||
                    ((entry->stages & NOT_FOR_A_CLONE) && check->input->spec->create_type == CREATE_TYPE_CLONE))
                        continue;
                check->id = entry->id;
                guint before = check->rows->len;
                g_autoptr(GError) e = NULL;
                if (!entry->run(check, &e)) {
                        if (lost(check, e)) {
                                g_propagate_error(error, g_steal_pointer(&e));
                                return false;
                        }
                        PsErrorCode code = mysql_error_is_privilege(e) ? PS_ERROR_INSUFFICIENT_PRIVILEGE
                                                                       : PS_ERROR_CHECK_FAILED;
                        precheck_add(check, CHECK_ERROR, code, "mend what it says and check again",
                                     "it could not be looked at: %s", e->message);
                }
                if (check->rows->len == before)
                        precheck_add(check, CHECK_OK, PS_ERROR_FAILED, NULL, "%s", entry->ok);
        }
        return true;
}

static void free_row(gpointer p) {
        check_row_free(p);
}

GPtrArray *precheck_run(const PrecheckInput *input, GError **error) {
        g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(free_row);
        g_auto(Precheck) check = {.input = input, .rows = rows};

        if (!read_facts(&check, error) || !run_table(&check, error))
                return NULL;
        return g_steal_pointer(&rows);
}

/* ---- judging */

/* The verdict becomes a property that everybody may read; rows of these checks carry the names of accounts.
 */
static bool row_is_private(const CheckRow *row) {
        return strcmp(row->id, "accounts") == 0 || strcmp(row->id, "super-accounts") == 0 || strcmp(row->id, "definers") == 0 ||
               strcmp(row->id, "xa") == 0;
}

bool precheck_verdict(const GPtrArray *rows, bool accept_warnings, GError **error) {
        const CheckRow *first = NULL;
        unsigned errors = 0, warnings = 0;

        for (guint i = 0; i < rows->len; i++) {
                const CheckRow *row = rows->pdata[i];
                if (row->severity == CHECK_ERROR) {
                        if (errors++ == 0)
                                first = row;
                } else if (row->severity == CHECK_WARNING) {
                        if (warnings++ == 0 && errors == 0)
                                first = row;
                }
        }
        if (errors == 0 && (warnings == 0 || accept_warnings))
                return true;

        const char *message = row_is_private(first) ? "see the list of checks" : first->message;
        if (errors == 0)
                g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                            "check %s warns: %s (%u %s in all; see the list of checks, then start accepting "
                            "warnings)",
                            first->id, message, warnings, warnings == 1 ? "warning" : "warnings");
        else
                g_set_error(error, PS_ERROR,
                            first->error >= 0 && first->error < _PS_ERROR_MAX ? first->error
                                                                              : PS_ERROR_CHECK_FAILED,
                            "check %s failed: %s (%u %s in all; the list of checks says what to do)",
                            first->id, message, errors, errors == 1 ? "error" : "errors");
        return false;
}
