/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server's version text says; see flavor.h. */

#include "mysql/flavor.h"

#include <string.h>

static unsigned parse_number(const char **p) {
        unsigned v = 0;
        for (; g_ascii_isdigit(**p); (*p)++)
                v = MIN(v * 10 + (unsigned) (**p - '0'), 9999u);
        return v;
}

static unsigned parse_version(const char *p) {
        unsigned part[3] = {0};
        for (int i = 0; i < 3; i++) {
                part[i] = parse_number(&p);
                if (*p != '.')
                        break;
                p++;
        }
        return part[0] * 10000 + MIN(part[1], 99u) * 100 + MIN(part[2], 99u);
}

Flavor flavor_parse(const char *version_text) {
        const char *text = version_text ?: "";
        Flavor flavor = {.mariadb = strcasestr(text, "mariadb") != NULL};

        /* MariaDB's handshake claims to be 5.5.5 for the sake of old replicas. */
        if (flavor.mariadb && g_str_has_prefix(text, "5.5.5-"))
                text += strlen("5.5.5-");
        flavor.version = parse_version(text);
        return flavor;
}

char *flavor_to_string(const Flavor *flavor) {
        return g_strdup_printf("%s %u.%u.%u", flavor->mariadb ? "MariaDB" : "MySQL", flavor->version / 10000,
                               flavor->version / 100 % 100, flavor->version % 100);
}

const char *flavor_position_statement(const Flavor *flavor) {
        return !flavor->mariadb && flavor->version >= 80400 ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
}

bool flavor_has_row_alias(const Flavor *flavor) {
        return !flavor->mariadb && flavor->version >= 80019;
}

bool flavor_has_bulk_execute(const Flavor *flavor) {
        return flavor->mariadb && flavor->version >= 100200;
}

bool flavor_has_negative_zero(const Flavor *flavor) {
        return !flavor->mariadb;
}

bool flavor_has_dictionary(const Flavor *flavor) {
        return !flavor->mariadb && flavor->version >= 80000;
}

bool flavor_has_super_read_only(const Flavor *flavor) {
        return !flavor->mariadb && flavor->version >= 50708;
}

const char *flavor_status_table(const Flavor *flavor) {
        return flavor->mariadb || flavor->version < 50706 ? "information_schema.GLOBAL_STATUS" : "performance_schema.global_status";
}

bool flavor_super_bypasses_read_only(const Flavor *flavor) {
        return !flavor->mariadb || flavor->version < 101100;
}

bool flavor_has_dynamic_privileges(const Flavor *flavor) {
        return !flavor->mariadb && flavor->version >= 80000;
}

bool flavor_persists_variables(const Flavor *flavor) {
        return !flavor->mariadb && flavor->version >= 80000;
}

bool flavor_logs_recovered_xa(const Flavor *flavor) {
        return flavor->mariadb || flavor->version >= 50707;
}
