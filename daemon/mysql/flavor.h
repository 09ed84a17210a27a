/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a server is and what it can do: one place for differences between MySQL 5.6, newer MySQL and MariaDB. */

#include <stdbool.h>

#include <glib.h>

typedef struct Flavor {
        bool mariadb;
        unsigned version; /* 50624, 101119, 90704 */
} Flavor;

/* From the text of VERSION(): "5.6.24-log", "10.11.14-MariaDB-0+deb12u2-log", "5.5.5-10.11…" handshake prefix. */
Flavor flavor_parse(const char *version_text);
/* "MySQL 5.6.24" */
char *flavor_to_string(const Flavor *flavor);

/* "SHOW MASTER STATUS", or "SHOW BINARY LOG STATUS" where the former is gone (MySQL ≥ 8.4). Columns File, Position. */
const char *flavor_position_statement(const Flavor *flavor);
/* INSERT … AS new ON DUPLICATE KEY UPDATE c = new.c (MySQL ≥ 8.0.19); VALUES(c) elsewhere. */
bool flavor_has_row_alias(const Flavor *flavor);
/* Array binding of a whole batch (COM_STMT_BULK_EXECUTE): MariaDB ≥ 10.2. */
bool flavor_has_bulk_execute(const Flavor *flavor);
bool flavor_has_negative_zero(const Flavor *flavor); /* MariaDB stores 0 whatever is written */
bool flavor_has_dictionary(const Flavor *flavor); /* of tables, above the engines (MySQL ≥ 8.0) */
bool flavor_has_super_read_only(const Flavor *flavor); /* MySQL ≥ 5.7.8 */
/* The table with status variables, VARIABLE_NAME and VARIABLE_VALUE; everybody may read it. */
const char *flavor_status_table(const Flavor *flavor);
/* CONNECTION_ADMIN and the like in place of SUPER (MySQL ≥ 8.0). */
bool flavor_has_dynamic_privileges(const Flavor *flavor);
bool flavor_persists_variables(const Flavor *flavor); /* SET PERSIST: MySQL ≥ 8.0 */
/* The COMMIT of an XA transaction that outlived a restart is logged (MySQL ≥ 5.7.7, MariaDB). */
bool flavor_logs_recovered_xa(const Flavor *flavor);
/* SUPER passes read_only on MySQL (on ≥ 8.0 CONNECTION_ADMIN too); on MariaDB ≥ 10.11 READ ONLY ADMIN does. */
bool flavor_super_bypasses_read_only(const Flavor *flavor);
