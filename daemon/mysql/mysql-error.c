/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the numbers of servers and of the client library mean to a caller: whether to reconnect, to try again,
 * or to ask the operator. Numbers rather than the headers' names, since MySQL and MariaDB give some of them
 * different names. */

#include <string.h>

#include "mysql/conn.h"

G_DEFINE_QUARK(polarshift - mysql - error, mysql_error)

static bool has_code(const GError *error, const int *codes, gsize n) {
        if (!error || error->domain != MYSQL_ERROR)
                return false;
        for (gsize i = 0; i < n; i++)
                if (codes[i] == error->code)
                        return true;
        return false;
}

#define HAS_CODE(error, ...)                                                                                 \
        has_code(error, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

bool mysql_error_is_connection(const GError *error) {
        /* Server: too many connections (1040, 1203), bad handshake, shutting down, net errors, killed (1927
         * MariaDB), host blocked, aborting, client idle too long (4031). Library: cannot connect, unknown
         * host, gone, lost, handshake, malformed packet, TLS, lost with detail. */
        return HAS_CODE(error, 1040, 1043, 1053, 1077, 1079, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1184,
                        1203, 1927, 2001, 2002, 2003, 2004, 2005, 2006, 2012, 2013, 2026, 2027, 2055, 4031);
}

bool mysql_error_is_authentication(const GError *error) {
        /* Access denied, host not allowed (1130), old authentication, plugin missing, account locked or
         * expired. */
        return HAS_CODE(error, 1045, 1130, 1131, 1251, 1275, 1524, 1698, 1820, 1862, 2049, 2054, 2058, 2059,
                        2061, 3118, 3159, 3955, 4151);
}

bool mysql_error_is_privilege(const GError *error) {
        return HAS_CODE(error, 1044, 1095, 1141, 1142, 1143, 1147, 1211, 1227, 1370, 1403, 1410, 1419, 1697,
                        3530);
}

bool mysql_error_is_retryable(const GError *error) {
        return HAS_CODE(error, 1205, 1213);
}

bool mysql_error_is_duplicate(const GError *error) {
        return HAS_CODE(error, 1022, 1062, 1586);
}

bool mysql_error_is_foreign_key(const GError *error) {
        return HAS_CODE(error, 1216, 1217, 1451, 1452, 1761, 1762);
}

bool mysql_error_is_cascade_limit(const GError *error) {
        return HAS_CODE(error, 3008, 6575);
}

bool mysql_error_is_value(const GError *error) {
        /* NULL, range, truncated, wrong for the character set, too long, no geometry; MySQL 8: JSON, SRID, CHECK; MariaDB: CHECK. */
        return HAS_CODE(error, 1048, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1416, 1690, 3037, 3055, 3140, 3548, 3616, 3617, 3731, 3819,
                        3957, 4025);
}

bool mysql_error_is_read_only(const GError *error) {
        return HAS_CODE(error, 1290, 1792, 1836);
}

bool mysql_error_is_full(const GError *error) {
        if (HAS_CODE(error, 1021, 1114))
                return true;
        /* Failed writes of files, engines and the binary log: full only when the system's error says so (28
         * is ENOSPC, 122 EDQUOT). */
        if (!HAS_CODE(error, 3, 1020, 1026, 1030, 1534, 1598, 1878, 3506))
                return false;
        static const char *const signs[] = {"error 28",  "Errcode: 28",  "errno: 28",     "No space left",
                                            "error 122", "Errcode: 122", "quota exceeded"};
        for (gsize i = 0; i < G_N_ELEMENTS(signs); i++)
                if (strstr(error->message, signs[i]))
                        return true;
        return false;
}
