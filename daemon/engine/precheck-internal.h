/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the files of the check share: the facts read once, the table of checks, and how a check adds its rows.
 */

#include "base/error.h"
#include "engine/account.h"
#include "engine/objects.h"
#include "engine/precheck.h"
#include "engine/program.h"

/* One line of SHOW GRANTS. */
typedef struct Grant {
        GHashTable *privileges; /* set of char *: "SELECT", "READ ONLY ADMIN", "ALL PRIVILEGES" */
        char *database;         /* NULL: *.*; else the pattern as the server shows it (with % and _ and \_) */
} Grant;
void grant_free(Grant *grant);
/* NULL: not a grant on *.* or on a whole database (a table's, a role, a proxy). Pure. */
Grant *grant_parse(const char *line);
/* Whether a database pattern of GRANT covers DATABASE. Pure. */
bool grant_pattern_matches(const char *pattern, const char *database);

typedef struct Precheck {
        const PrecheckInput *input;
        GPtrArray *rows;                  /* of CheckRow */
        const char *id;                   /* of the check that runs */
        GHashTable *variables[_SIDE_MAX]; /* global variables, char * → char * */
        GPtrArray *grants[_SIDE_MAX];     /* of Grant */
        char *account[_SIDE_MAX];         /* 'user'@'host' of our session, quoted */
        ObjectList *objects;              /* of the source; NULL when it could not be read: */
        GError *objects_error;
        GPtrArray *programs;  /* of Program, of the side that takes writes; NULL when they could not be read: */
        GError *programs_error;
        GPtrArray *accounts[_SIDE_MAX]; /* of Account; precheck-accounts.c reads them when first asked */
        char *own_user[_SIDE_MAX];      /* the agent's; set with them */
        GHashTable *carried; /* set of `db`.`table` */
        GPtrArray *texts;    /* precheck-words.c's: of the source's programs; NULL: not read */
} Precheck;

typedef enum PrecheckStages {
        STAGE_START = 1 << PRECHECK_START,
        STAGE_SWITCH = 1 << PRECHECK_SWITCH,
        STAGE_BOTH = STAGE_START | STAGE_SWITCH,
        NOT_FOR_A_CLONE = 1 << 8, /* it is about the switch and the way back */
} PrecheckStages;

/* A check adds its rows; when it adds none, all is well. An error that is not a lost connection becomes a
 * row. The table is in precheck.c. */
typedef bool (*PrecheckFunc)(Precheck *check, GError **error);

/* precheck-server.c */
bool precheck_source_version(Precheck *check, GError **error);
bool precheck_destination_version(Precheck *check, GError **error);
bool precheck_is_destination(const Flavor *flavor); /* whether one can be migrated to. Pure */
bool precheck_same_server(Precheck *check, GError **error);
bool precheck_source_read_only(Precheck *check, GError **error);
bool precheck_source_replica(Precheck *check, GError **error);
bool precheck_source_standby(Precheck *check, GError **error);
bool precheck_binlog(Precheck *check, GError **error);
bool precheck_binlog_format(Precheck *check, GError **error);
bool precheck_binlog_filter(Precheck *check, GError **error);
bool precheck_binlog_order(Precheck *check, GError **error);
bool precheck_binlog_compression(Precheck *check, GError **error);
bool precheck_binlog_retention(Precheck *check, GError **error);
bool precheck_server_id(Precheck *check, GError **error);
bool precheck_gtid(Precheck *check, GError **error);
bool precheck_durability(Precheck *check, GError **error);
bool precheck_xa(Precheck *check, GError **error);
bool precheck_tls(Precheck *check, GError **error);
bool precheck_socket_visible(Precheck *check, GError **error);
bool precheck_places(Precheck *check, GError **error);
/* precheck-access.c */
bool precheck_privileges(Precheck *check, GError **error);
bool precheck_other_migrations(Precheck *check, GError **error);
bool precheck_fence_scope(Precheck *check, GError **error);
bool precheck_fence_durable(Precheck *check, GError **error);
bool precheck_fence_hook(Precheck *check, GError **error);
/* precheck-accounts.c */
bool precheck_accounts(Precheck *check, GError **error);
bool precheck_closed_accounts(Precheck *check, GError **error); /* fence=accounts: whom it closes */
bool precheck_super_accounts(Precheck *check, GError **error);
/* precheck-data.c */
bool precheck_objects(Precheck *check, GError **error);
bool precheck_row_keys(Precheck *check, GError **error);
bool precheck_destination_empty(Precheck *check, GError **error);
bool precheck_lower_case(Precheck *check, GError **error);
bool precheck_charsets(Precheck *check, GError **error);
bool precheck_sql_mode(Precheck *check, GError **error);
bool precheck_time_zone(Precheck *check, GError **error);
bool precheck_parameters(Precheck *check, GError **error);
bool precheck_timestamp_defaults(Precheck *check, GError **error);
bool precheck_innodb_format(Precheck *check, GError **error);
bool precheck_max_packet(Precheck *check, GError **error);
bool precheck_disk_space(Precheck *check, GError **error);

/* precheck-tables.c */
bool precheck_zero_dates(Precheck *check, GError **error);
bool precheck_float_columns(Precheck *check, GError **error);
bool precheck_long_members(Precheck *check, GError **error);
bool precheck_long_names(Precheck *check, GError **error);
bool precheck_row_format(Precheck *check, GError **error);
bool precheck_index_prefixes(Precheck *check, GError **error);
bool precheck_old_names(Precheck *check, GError **error);
bool precheck_full_text(Precheck *check, GError **error);
bool precheck_spatial(Precheck *check, GError **error);
bool precheck_encryption(Precheck *check, GError **error);
/* precheck-storage.c */
bool precheck_partitioning(Precheck *check, GError **error);
bool precheck_data_directory(Precheck *check, GError **error);
/* precheck-words.c */
bool precheck_reserved_words(Precheck *check, GError **error);
bool precheck_removed_sql(Precheck *check, GError **error);
/* precheck-instance.c */
bool precheck_zone_tables(Precheck *check, GError **error);
bool precheck_other_objects(Precheck *check, GError **error);
bool precheck_node_specification(Precheck *check, GError **error);
/* precheck-programs.c */
bool precheck_programs(Precheck *check, GError **error);
bool precheck_triggers(Precheck *check, GError **error);
bool precheck_definers(Precheck *check, GError **error);
bool precheck_event_scheduler(Precheck *check, GError **error);
/* precheck-foreign.c */
bool precheck_foreign_keys(Precheck *check, GError **error);

/* Whether the migration's own owner row is there: then what is in the way on the destination is what an interrupted start left. */
bool precheck_destination_is_ours(Precheck *check, bool *ret, GError **error);
/* Whether the account user@host of the side that takes writes is carried to the other one. */
bool precheck_will_carry(Precheck *check, const char *account_at_host);

/* Adds a row for the running check. HINT may be NULL. */
void precheck_add(Precheck *check, CheckSeverity severity, PsErrorCode error, const char *hint,
                  const char *format, ...) G_GNUC_PRINTF(5, 6);
const char *precheck_variable(const Precheck *check, Side side, const char *name); /* "" when there is none */
guint64 precheck_variable_number(const Precheck *check, Side side, const char *name);
bool precheck_variable_on(const Precheck *check, Side side, const char *name); /* ON or 1 */
bool precheck_has_variable(const Precheck *check, Side side, const char *name);
bool precheck_carries(const Precheck *check, const char *database, const char *name); /* is this table one of those? */
bool precheck_may(const Precheck *check, Side side, const char *privilege, const char *database);
