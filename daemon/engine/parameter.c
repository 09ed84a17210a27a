/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See parameter.h. What is in the table is what an application can notice: values, errors, waits. Sizes of caches and the like are the new server's
 * own affair. Nothing is carried that could keep the agent's own sessions from seeing all rows (sql_select_limit and its kin). */

#include "engine/parameter.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "base/error.h"
#include "mysql/sql.h"

typedef struct Entry {
        const char *name, *older; /* older: how MySQL 5.6 and MariaDB call it; or NULL */
        const char *fixed;        /* a variable that came later: what makes the destination do as MySQL 5.6 did; or NULL */
        const char *not_carried;  /* why it is only listed; NULL: it is carried */
} Entry;

#define AT_START_ONLY "it can only be set when the server starts"
#define BY_HAND "it is left to the administrator"
#define LOG "the agent needs its own value"

/* In the order in which they are set: a character set sets its collation, too. */
static const Entry entries[] = {
        {"character_set_collations", NULL, "", NULL},
        {"default_collation_for_utf8mb4", NULL, "utf8mb4_general_ci", NULL},
        {"character_set_server", NULL, NULL, NULL},
        {"collation_server", NULL, NULL, NULL},
        {"sql_mode", NULL, NULL, NULL},
        {"time_zone", NULL, NULL, NULL},
        {"transaction_isolation", "tx_isolation", NULL, NULL},
        {"autocommit", NULL, NULL, NULL},
        {"auto_increment_increment", NULL, NULL, NULL},
        {"auto_increment_offset", NULL, NULL, NULL},
        {"block_encryption_mode", NULL, NULL, NULL},
        {"default_storage_engine", NULL, NULL, NULL},
        {"default_week_format", NULL, NULL, NULL},
        {"div_precision_increment", NULL, NULL, NULL},
        {"explicit_defaults_for_timestamp", NULL, NULL, NULL},
        {"group_concat_max_len", NULL, NULL, NULL},
        {"innodb_lock_wait_timeout", NULL, NULL, NULL},
        {"innodb_strict_mode", NULL, NULL, NULL},
        {"innodb_snapshot_isolation", NULL, "OFF", NULL}, /* on since MariaDB 11.6.2: an update of a row that changed since the snapshot fails */
        {"interactive_timeout", NULL, NULL, NULL},
        {"lc_messages", NULL, NULL, NULL},
        {"lc_time_names", NULL, NULL, NULL},
        {"lock_wait_timeout", NULL, NULL, NULL},
        {"max_error_count", NULL, NULL, NULL},
        {"max_sort_length", NULL, NULL, NULL},
        {"max_sp_recursion_depth", NULL, NULL, NULL},
        {"net_read_timeout", NULL, NULL, NULL},
        {"net_write_timeout", NULL, NULL, NULL},
        {"restrict_fk_on_non_standard_key", NULL, "OFF", NULL}, /* MySQL 8.4 and later: keys that point to no unique key */
        {"updatable_views_with_limit", NULL, NULL, NULL},
        {"wait_timeout", NULL, NULL, NULL},
        {"innodb_autoinc_lock_mode", NULL, NULL, AT_START_ONLY},
        {"innodb_rollback_on_timeout", NULL, NULL, AT_START_ONLY},
        {"lower_case_table_names", NULL, NULL, AT_START_ONLY},
        {"completion_type", NULL, NULL, BY_HAND},
        {"foreign_key_checks", NULL, NULL, BY_HAND},
        {"init_connect", NULL, NULL, BY_HAND},
        {"local_infile", NULL, NULL, BY_HAND},
        {"max_allowed_packet", NULL, NULL, BY_HAND},
        {"max_connections", NULL, NULL, BY_HAND},
        {"max_join_size", NULL, NULL, BY_HAND},
        {"sql_auto_is_null", NULL, NULL, BY_HAND},
        {"sql_safe_updates", NULL, NULL, BY_HAND},
        {"sql_select_limit", NULL, NULL, BY_HAND},
        {"transaction_read_only", "tx_read_only", NULL, BY_HAND},
        {"unique_checks", NULL, NULL, BY_HAND},
        {"max_statement_time", NULL, "0.000000", BY_HAND}, /* MariaDB: ends statements; MySQL: */
        {"max_execution_time", NULL, "0", BY_HAND},
        {"idle_transaction_timeout", NULL, "0", BY_HAND}, /* MariaDB, as the next two: ends sessions */
        {"idle_readonly_transaction_timeout", NULL, "0", BY_HAND},
        {"idle_write_transaction_timeout", NULL, "0", BY_HAND},
        {"innodb_force_primary_key", NULL, "OFF", BY_HAND}, /* MariaDB: no table without one; MySQL: */
        {"sql_require_primary_key", NULL, "OFF", BY_HAND},
        {"sql_generate_invisible_primary_key", NULL, "OFF", BY_HAND}, /* what such a table is logged as a MySQL 5.6 does not understand */
        {"binlog_format", NULL, NULL, LOG},
        {"binlog_row_image", NULL, NULL, LOG},
};

static const char *const parameter_outcome_table[_PARAMETER_MAX] = {
        [PARAMETER_SAME] = "same",
        [PARAMETER_CARRIED] = "carried",
        [PARAMETER_PERSISTED] = "persisted",
        [PARAMETER_NOT_CARRIED] = "not-carried",
        [PARAMETER_ABSENT] = "absent",
};
ENUM_TABLE_DEFINE(parameter_outcome, ParameterOutcome, parameter_outcome_table);

void parameter_free(Parameter *parameter) {
        if (!parameter)
                return;
        g_free(parameter->name);
        g_free(parameter->source);
        g_free(parameter->wanted);
        g_free(parameter->before);
        g_free(parameter->why);
        g_free(parameter->line);
        g_free(parameter->drift);
        g_free(parameter);
}

static void free_parameter(gpointer p) {
        parameter_free(p);
}

/* ---- reading */

static GHashTable *read_pairs(Conn *conn, const char *sql, GError **error) {
        g_autoptr(GHashTable) values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return NULL;
        for (char **row; (row = conn_rows_take(rows));) {
                if (row[0])
                        g_hash_table_insert(values, g_ascii_strdown(row[0], -1), g_utf8_make_valid(row[1] ?: "", -1));
        }
        return g_steal_pointer(&values);
}

GHashTable *parameters_read(Conn *conn, GError **error) {
        return read_pairs(conn, "SHOW GLOBAL VARIABLES", error);
}

static const char *value_of(GHashTable *values, const Entry *entry, const char **ret_name) {
        const char *value = g_hash_table_lookup(values, entry->name);
        *ret_name = entry->name;
        if (value || !entry->older)
                return value;
        *ret_name = entry->older;
        return g_hash_table_lookup(values, entry->older);
}

/* ---- what is wanted */

static bool is_mode_gone(const char *mode, const Flavor *flavor) {
        static const char *const mysql8[] = {"NO_AUTO_CREATE_USER", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "NO_FIELD_OPTIONS", "POSTGRESQL", "ORACLE", "MSSQL",
                                             "DB2", "MAXDB", "MYSQL323", "MYSQL40", NULL};
        static const char *const mariadb[] = {"ORACLE", NULL}; /* there it means another language for routines */
        if (flavor->mariadb)
                return g_strv_contains(mariadb, mode);
        return flavor->version >= 80000 && g_strv_contains(mysql8, mode);
}

char *parameter_known_modes(const char *modes, const Flavor *flavor) {
        g_auto(GStrv) parts = g_strsplit(modes, ",", -1);
        g_autoptr(GString) left = g_string_new(NULL);
        for (char **part = parts; *part; part++)
                if (**part && !is_mode_gone(*part, flavor))
                        g_string_append_printf(left, "%s%s", left->len > 0 ? "," : "", *part);
        return g_string_free(g_steal_pointer(&left), FALSE);
}

/* Newer servers say utf8mb3 for what MySQL 5.6 calls utf8. */
static char *plain_charset(const char *value, const Flavor *flavor) {
        bool old = !flavor->mariadb && flavor->version < 80000;
        if (!old && (strcmp(value, "utf8") == 0 || g_str_has_prefix(value, "utf8_")))
                return g_strconcat("utf8mb3", value + strlen("utf8"), NULL);
        return g_strdup(value);
}

static char *wanted_value(const Entry *entry, const char *value, const Flavor *flavor) {
        if (strcmp(entry->name, "sql_mode") == 0)
                return parameter_known_modes(value, flavor);
        if (strcmp(entry->name, "character_set_server") == 0 || strcmp(entry->name, "collation_server") == 0)
                return plain_charset(value, flavor);
        return g_strdup(value);
}

static bool is_list_alike(const char *a, const char *b) {
        g_auto(GStrv) x = g_strsplit(a, ",", -1), y = g_strsplit(b, ",", -1);
        for (char **p = x; *p; p++)
                if (!g_strv_contains((const char *const *) y, *p))
                        return false;
        return g_strv_length(x) == g_strv_length(y);
}

bool parameter_is_alike(const char *name, const char *a, const char *b) {
        if (strcmp(name, "sql_mode") == 0)
                return is_list_alike(a, b);
        return g_ascii_strcasecmp(a, b) == 0;
}

/* `SYSTEM` is the host's zone, whose name is another variable. */
static void resolve_zone(GHashTable *source, GHashTable *destination, Parameter *parameter) {
        const char *there = g_hash_table_lookup(source, "system_time_zone"), *here = g_hash_table_lookup(destination, "system_time_zone");
        const char *a = g_ascii_strcasecmp(parameter->source, "SYSTEM") == 0 && there ? there : parameter->source;
        const char *b = g_ascii_strcasecmp(parameter->before, "SYSTEM") == 0 && here ? here : parameter->before;
        parameter->outcome = strcmp(a, b) == 0 ? PARAMETER_SAME : PARAMETER_CARRIED;
        if (parameter->outcome == PARAMETER_SAME || a != there)
                return;
        parameter->outcome = PARAMETER_NOT_CARRIED;
        parameter->why = g_strdup_printf("it is the zone of the source's host (%s; the destination's is %s), which the destination may know by another name", a, b);
}

static char *config_value(const char *value) {
        bool plain = *value != 0;
        for (const char *p = value; *p; p++)
                plain &= g_ascii_isalnum(*p) || strchr("_-+,./:", *p);
        return plain ? g_strdup(value) : g_strdup_printf("\"%s\"", value);
}

static char *config_line(const char *name, const char *value) {
        g_autofree char *quoted = config_value(value);
        if (strcmp(name, "time_zone") == 0)
                return g_strdup_printf("default_time_zone=%s", quoted);
        return g_strdup_printf("%s=%s", name, quoted);
}

static Parameter *compare_one(const Entry *entry, GHashTable *source, GHashTable *destination, const Flavor *flavor) {
        const char *source_name, *name;
        const char *value = value_of(source, entry, &source_name), *before = value_of(destination, entry, &name);
        if (!value && (!entry->fixed || !before))
                return NULL;
        Parameter *parameter = g_new0(Parameter, 1);
        parameter->name = g_strdup(before ? name : source_name);
        parameter->source = g_strdup(value ?: entry->fixed);
        parameter->wanted = wanted_value(entry, parameter->source, flavor);
        parameter->before = g_strdup(before);
        if (!before) {
                parameter->outcome = PARAMETER_ABSENT;
                parameter->why = g_strdup("the destination has no such variable");
                return parameter;
        }
        if (strcmp(name, "time_zone") == 0)
                resolve_zone(source, destination, parameter);
        else
                parameter->outcome = parameter_is_alike(name, parameter->wanted, before) ? PARAMETER_SAME : PARAMETER_CARRIED;
        if (parameter->outcome == PARAMETER_CARRIED && entry->not_carried) {
                parameter->outcome = PARAMETER_NOT_CARRIED;
                parameter->why = g_strdup(entry->not_carried);
        }
        if (parameter->outcome != PARAMETER_SAME)
                parameter->line = config_line(name, parameter->wanted);
        return parameter;
}

GPtrArray *parameters_compare(GHashTable *source, GHashTable *destination, const Flavor *flavor) {
        GPtrArray *parameters = g_ptr_array_new_with_free_func(free_parameter);
        for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
                Parameter *parameter = compare_one(&entries[i], source, destination, flavor);
                if (parameter)
                        g_ptr_array_add(parameters, parameter);
        }
        return parameters;
}

/* ---- setting */

char *parameter_set(const Parameter *parameter, const char *value, bool persist) {
        bool number = *value && strspn(value, "0123456789") == strlen(value);
        g_autofree char *quoted = number ? g_strdup(value) : sql_string(value);
        return g_strdup_printf("SET %s %s=%s", persist ? "PERSIST" : "GLOBAL", parameter->name, quoted);
}

static bool has_persist(const Conn *conn) {
        return !conn_flavor(conn)->mariadb && conn_flavor(conn)->version >= 80000;
}

static char *read_value(const Parameter *parameter, Conn *conn, GError **error) {
        g_autofree char *sql = g_strdup_printf("SELECT @@global.%s", parameter->name);
        return conn_query_string(conn, sql, error);
}

/* NOW: as it was selected. */
static bool has_wanted(const Parameter *parameter, const char *now) {
        bool on = strcmp(now, "1") == 0 && g_ascii_strcasecmp(parameter->wanted, "ON") == 0; /* these are selected as numbers */
        bool off = strcmp(now, "0") == 0 && g_ascii_strcasecmp(parameter->wanted, "OFF") == 0;
        return on || off || parameter_is_alike(parameter->name, parameter->wanted, now);
}

/* true: the destination has it; LOCAL: why not. */
static bool set_one(const Parameter *parameter, Conn *destination, bool persist, GError **local) {
        g_autofree char *sql = parameter_set(parameter, parameter->wanted, persist);
        if (!conn_exec(destination, sql, -1, NULL, local))
                return false;
        g_autofree char *now = read_value(parameter, destination, local);
        if (!now)
                return !*local;
        if (has_wanted(parameter, now))
                return true;
        g_set_error(local, PS_ERROR, PS_ERROR_FAILED, "the server made '%s' of it", now);
        return false;
}

bool parameters_carry(GPtrArray *parameters, Conn *destination, GError **error) {
        for (guint i = 0; i < parameters->len; i++) {
                Parameter *parameter = parameters->pdata[i];
                g_autoptr(GError) local = NULL;
                bool persist = has_persist(destination);
                if (parameter->outcome != PARAMETER_CARRIED)
                        continue;
                bool done = set_one(parameter, destination, persist, &local);
                if (!done && persist && !conn_is_dead(destination)) { /* persisting may be switched off, or not be allowed for this one */
                        g_clear_error(&local);
                        persist = false;
                        done = set_one(parameter, destination, persist, &local);
                }
                if (!done && conn_is_dead(destination)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                parameter->outcome = !done ? PARAMETER_NOT_CARRIED : persist ? PARAMETER_PERSISTED : PARAMETER_CARRIED;
                if (!done)
                        parameter->why = g_utf8_make_valid(local->message, -1);
                if (persist && done)
                        g_clear_pointer(&parameter->line, g_free);
        }
        return true;
}

bool parameters_set_again(const GPtrArray *parameters, Conn *destination, guint *ret_count, GError **error) {
        for (guint i = 0; i < parameters->len; i++) {
                const Parameter *parameter = parameters->pdata[i];
                g_autoptr(GError) local = NULL;
                if (parameter->outcome != PARAMETER_CARRIED)
                        continue;
                g_autofree char *now = read_value(parameter, destination, &local);
                if (now && has_wanted(parameter, now))
                        continue;
                if (now && set_one(parameter, destination, /* persist= */ false, &local))
                        (*ret_count)++;
                else if (conn_is_dead(destination)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
        return true;
}

bool parameters_restore(const GPtrArray *parameters, Conn *destination, GError **error) {
        for (guint i = 0; i < parameters->len; i++) {
                const Parameter *parameter = parameters->pdata[i];
                bool persisted = has_persist(destination); /* whether it was, an interrupted start does not tell */
                if (parameter->outcome != PARAMETER_PERSISTED && parameter->outcome != PARAMETER_CARRIED)
                        continue;
                g_autofree char *sql = parameter_set(parameter, parameter->before, /* persist= */ false);
                if ((persisted && !conn_execf(destination, error, "RESET PERSIST IF EXISTS %s", parameter->name)) ||
                    !conn_exec(destination, sql, -1, NULL, error))
                        return false;
        }
        return true;
}

/* ---- keeping */

typedef struct Field {
        const char *name;
        gsize offset;
} Field;

static const Field fields[] = {
        {"name", offsetof(Parameter, name)}, {"source", offsetof(Parameter, source)}, {"wanted", offsetof(Parameter, wanted)},
        {"before", offsetof(Parameter, before)}, {"why", offsetof(Parameter, why)}, {"line", offsetof(Parameter, line)}, {"drift", offsetof(Parameter, drift)},
};
#define FIELD(parameter, field) (*(char **) (void *) ((char *) (parameter) + (field)->offset))

char *parameters_to_text(const GPtrArray *parameters) {
        g_autoptr(JsonBuilder) b = json_builder_new();
        json_builder_begin_array(b);
        for (guint i = 0; i < parameters->len; i++) {
                Parameter *parameter = parameters->pdata[i];
                json_builder_begin_object(b);
                for (gsize j = 0; j < G_N_ELEMENTS(fields); j++) {
                        const char *text = FIELD(parameter, &fields[j]);
                        if (!text)
                                continue;
                        json_builder_set_member_name(b, fields[j].name);
                        json_builder_add_string_value(b, text);
                }
                json_builder_set_member_name(b, "outcome");
                json_builder_add_string_value(b, parameter_outcome_to_string(parameter->outcome));
                json_builder_end_object(b);
        }
        json_builder_end_array(b);
        g_autoptr(JsonNode) root = json_builder_get_root(b);
        return json_to_string(root, /* pretty= */ FALSE);
}

static const char *text_member(JsonObject *object, const char *name) {
        JsonNode *node = json_object_get_member(object, name);
        return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node) : NULL;
}

GPtrArray *parameters_from_text(const char *text) {
        g_autoptr(JsonNode) root = text ? json_from_string(text, NULL) : NULL;
        if (!root || !JSON_NODE_HOLDS_ARRAY(root))
                return NULL;
        JsonArray *array = json_node_get_array(root);
        g_autoptr(GPtrArray) parameters = g_ptr_array_new_with_free_func(free_parameter);
        for (guint i = 0; i < json_array_get_length(array); i++) {
                JsonNode *node = json_array_get_element(array, i);
                if (!JSON_NODE_HOLDS_OBJECT(node))
                        return NULL;
                JsonObject *object = json_node_get_object(node);
                Parameter *parameter = g_new0(Parameter, 1);
                g_ptr_array_add(parameters, parameter);
                for (gsize j = 0; j < G_N_ELEMENTS(fields); j++)
                        FIELD(parameter, &fields[j]) = g_strdup(text_member(object, fields[j].name));
                const char *outcome = text_member(object, "outcome");
                parameter->outcome = outcome ? parameter_outcome_from_string(outcome) : _PARAMETER_INVALID;
                if (parameter->outcome == _PARAMETER_INVALID || !parameter->name || !parameter->source || !parameter->wanted)
                        return NULL;
        }
        return g_steal_pointer(&parameters);
}

/* ---- watching */

char *parameters_watch_statement(void) {
        GString *sql = g_string_new("SHOW GLOBAL VARIABLES WHERE Variable_name IN (");
        for (gsize i = 0; i < G_N_ELEMENTS(entries); i++) {
                if (entries[i].fixed)
                        continue;
                g_string_append_printf(sql, "'%s',", entries[i].name);
                if (entries[i].older)
                        g_string_append_printf(sql, "'%s',", entries[i].older);
        }
        g_string_append(sql, "'system_time_zone')");
        return g_string_free(sql, FALSE);
}

/* A parameter's value at NOW, whatever it is called there; NULL: it is not known. */
static const char *value_now(GHashTable *now, const char *name) {
        const char *value = g_hash_table_lookup(now, name), *found;
        for (gsize i = 0; !value && i < G_N_ELEMENTS(entries); i++)
                if (g_strcmp0(entries[i].older, name) == 0 || (entries[i].older && strcmp(entries[i].name, name) == 0))
                        value = value_of(now, &entries[i], &found);
        return value;
}

void parameters_watch(GPtrArray *parameters, GHashTable *now, GPtrArray *ret_news) {
        for (guint i = 0; i < parameters->len; i++) {
                Parameter *parameter = parameters->pdata[i];
                const char *value = value_now(now, parameter->name);
                if (!value)
                        continue;
                const char *drift = parameter_is_alike(parameter->name, value, parameter->source) ? NULL : value;
                if (g_strcmp0(drift, parameter->drift) == 0)
                        continue;
                g_free(parameter->drift);
                parameter->drift = g_strdup(drift);
                g_ptr_array_add(ret_news, parameter);
        }
}

char *parameters_wrong_log(GHashTable *now) {
        static const char *const needed[][2] = {{"binlog_format", "ROW"}, {"binlog_row_image", "FULL"}};
        for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
                const char *value = g_hash_table_lookup(now, needed[i][0]);
                if (value && g_ascii_strcasecmp(value, needed[i][1]) != 0)
                        return g_strdup_printf("%s is %s, not %s: SET GLOBAL %s='%s'; synchronisation then goes on", needed[i][0], value,
                                               needed[i][1], needed[i][0], needed[i][1]);
        }
        return NULL;
}
