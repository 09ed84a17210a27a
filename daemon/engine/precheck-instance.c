/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of what an instance is besides its databases: time zones, what lives in the system's own schemas, and how large a server it is. */

#include <string.h>

#include "engine/precheck-internal.h"
#include "mysql/sql.h"

/* The first column of all rows, as a set. */
static GHashTable *set_of(Conn *conn, const char *sql, GError **error) {
        g_autoptr(GHashTable) set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return NULL;
        for (char **row; (row = conn_rows_take(rows));) {
                if (row[0])
                        g_hash_table_add(set, g_strdup(row[0]));
        }
        return g_steal_pointer(&set);
}

static int compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(a, b);
}

/* Those of A that B does not have, in order. The names belong to A. */
static GList *only_in(GHashTable *a, GHashTable *b) {
        GList *list = NULL;
        GHashTableIter iter;
        gpointer name;
        g_hash_table_iter_init(&iter, a);
        while (g_hash_table_iter_next(&iter, &name, NULL))
                if (!b || !g_hash_table_contains(b, name))
                        list = g_list_prepend(list, name);
        return g_list_sort(list, compare_names);
}

/* ---- time zones */

static bool is_offset_or_system(const char *zone) {
        return g_ascii_strcasecmp(zone, "SYSTEM") == 0 || *zone == '+' || *zone == '-' || !*zone;
}

static bool knows_zone(Conn *conn, const char *zone, bool *ret, GError **error) {
        g_autofree char *quoted = sql_string(zone);
        g_autofree char *sql = g_strdup_printf("SELECT CONVERT_TZ('2000-01-01 12:00:00', %s, '+00:00') IS NOT NULL", quoted);
        guint64 known;
        if (!conn_query_uint64(conn, sql, &known, error))
                return false;
        *ret = known != 0;
        return true;
}

#define LOAD_ZONES "fill the destination's tables: mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql"

/* Zones by name exist where the tables of zones were filled. */
bool precheck_zone_tables(Precheck *check, GError **error) {
        Conn *source = check->input->servers[SIDE_SOURCE], *destination = check->input->servers[SIDE_DESTINATION];
        g_autoptr(GHashTable) used = set_of(source, "SELECT DISTINCT TIME_ZONE FROM information_schema.EVENTS", error);
        if (!used)
                return false;
        const char *global = precheck_variable(check, SIDE_SOURCE, "time_zone");
        g_hash_table_add(used, g_strdup(global));
        g_autoptr(GList) zones = only_in(used, NULL);
        for (GList *l = zones; l; l = l->next) {
                bool known;
                if (is_offset_or_system(l->data))
                        continue;
                if (!knows_zone(destination, l->data, &known, error))
                        return false;
                if (!known)
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, LOAD_ZONES,
                                     "the time zone %s, which %s of the source names, is not known on the destination", (const char *) l->data,
                                     strcmp(l->data, global) == 0 ? "time_zone" : "an event");
        }
        guint64 there, here;
        static const char count[] = "SELECT COUNT(*) FROM (SELECT 1 FROM mysql.time_zone_name LIMIT 1) z";
        if (!conn_query_uint64(source, count, &there, error) || !conn_query_uint64(destination, count, &here, error))
                return false;
        if (there > 0 && here == 0)
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, LOAD_ZONES,
                             "the source has tables of time zones and the destination has none: CONVERT_TZ() and SET time_zone with a name give NULL, or fail, there");
        return true;
}

/* ---- what lives in the system's schemas */

/* Of MySQL 5.6 itself, and of the cloud services that run it. */
static bool is_system_table(const char *name) {
        static const char *const names[] = {
                "columns_priv", "db", "event", "func", "general_log", "help_category", "help_keyword", "help_relation", "help_topic", "host",
                "innodb_index_stats", "innodb_table_stats", "ndb_binlog_index", "plugin", "proc", "procs_priv", "proxies_priv", "servers",
                "slave_master_info", "slave_relay_log_info", "slave_worker_info", "slow_log", "tables_priv", "time_zone", "time_zone_leap_second",
                "time_zone_name", "time_zone_transition", "time_zone_transition_type", "user", "ha_health_check", "general_log_backup", "slow_log_backup",
                NULL};
        return g_strv_contains(names, name) || g_str_has_prefix(name, "rds_");
}

typedef struct OtherKind {
        const char *what, *sql, *hint;
        CheckSeverity severity;
        bool (*skip)(const char *name);
} OtherKind;

static const OtherKind other_kinds[] = {
        {"loadable function", "SELECT name FROM mysql.func", "install it on the destination: CREATE FUNCTION … SONAME …, or do without", CHECK_WARNING, NULL},
        {"plugin", "SELECT name FROM mysql.plugin UNION SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_LIBRARY IS NOT NULL",
         "what it is for may be a part of the destination, or another plugin: INSTALL PLUGIN … SONAME …, or do without", CHECK_NOTE, NULL},
        {"server (for FEDERATED tables)", "SELECT Server_name FROM mysql.servers", "make it on the destination: CREATE SERVER …, or do without", CHECK_WARNING, NULL},
        {"a table in the database mysql,", "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='mysql' AND TABLE_TYPE='BASE TABLE'",
         "move it into a database of its own, or do without", CHECK_WARNING, is_system_table},
};

/* Only tables of the system's own make this one: the database comes with MySQL 5.7, MariaDB 10.6, and the package for MySQL 5.6, as views. */
static bool look_at_sys(Precheck *check, GError **error) {
        g_autoptr(GHashTable) tables = set_of(check->input->servers[SIDE_SOURCE],
                                              "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA='sys' AND TABLE_TYPE='BASE TABLE' "
                                              "AND TABLE_NAME<>'sys_config'", error);
        if (!tables)
                return false;
        g_autoptr(GList) names = only_in(tables, NULL);
        if (names)
                precheck_add(check, CHECK_WARNING, PS_ERROR_UNSUPPORTED_OBJECT,
                             "RENAME TABLE … into a database of another name, on the source",
                             "the database sys is the server's own on newer servers, and is not carried; on the source it holds a table (`%s`)",
                             (const char *) names->data);
        return true;
}

/* What belongs to the instance and to none of its databases. */
bool precheck_other_objects(Precheck *check, GError **error) {
        if (!spec_is_whole_instance(check->input->spec))
                return true;
        for (gsize i = 0; i < G_N_ELEMENTS(other_kinds); i++) {
                const OtherKind *kind = &other_kinds[i];
                g_autoptr(GHashTable) source = set_of(check->input->servers[SIDE_SOURCE], kind->sql, error);
                g_autoptr(GHashTable) destination = source ? set_of(check->input->servers[SIDE_DESTINATION], kind->sql, error) : NULL;
                if (!destination)
                        return false;
                g_autoptr(GList) missing = only_in(source, destination);
                for (GList *l = missing; l; l = l->next) {
                        g_autofree char *quoted = sql_identifier(l->data);
                        if (!kind->skip || !kind->skip(l->data))
                                precheck_add(check, kind->severity, PS_ERROR_UNSUPPORTED_OBJECT, kind->hint, "%s %s is on the source only, and is not carried",
                                             kind->what, quoted);
                }
        }
        return look_at_sys(check, error);
}

/* ---- how large a server it is */

/* Processors, memory and disks of a server cannot be asked for by SQL; what it was set up to use of them can. */
bool precheck_node_specification(Precheck *check, GError **error) {
        static const char *const names[] = {"innodb_buffer_pool_size", "max_connections"};
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        bool resizes = flavor->mariadb || flavor->version >= 50700;
        for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
                guint64 a = precheck_variable_number(check, SIDE_SOURCE, names[i]), b = precheck_variable_number(check, SIDE_DESTINATION, names[i]);
                if (b >= a)
                        continue;
                g_autofree char *hint = i > 0 || resizes
                        ? g_strdup_printf("on the destination: SET GLOBAL %s=%" G_GUINT64_FORMAT "; and in its configuration", names[i], a)
                        : g_strdup_printf("in the destination's configuration: %s=%" G_GUINT64_FORMAT ", and restart it", names[i], a);
                precheck_add(check, CHECK_WARNING, PS_ERROR_CHECK_FAILED, hint,
                             "%s is %" G_GUINT64_FORMAT " on the destination and %" G_GUINT64_FORMAT " on the source: the destination should be at least as large", names[i], b, a);
        }
        return true;
}
