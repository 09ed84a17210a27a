/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See error-text.h. Which texts hold what: share/errmsg-utf8.txt of MySQL 5.6 and of MariaDB 10.11, share/english/errmsg.sys of MySQL 9.7. */

#include "mysql/error-text.h"

#include <string.h>

#define GONE "'…'"

static const struct {
        unsigned code;
        const char *goes_on; /* what follows the part that goes, from its closing quote on; NULL: nothing is kept */
        const char *instead; /* of a text in which it is not quoted */
} told[] = {
        /* names of accounts, but for 'user'@'host' */
        {1080, NULL, NULL}, {1141, NULL, NULL}, {1147, "' on table ", NULL}, {1152, NULL, NULL}, {1184, NULL, NULL}, {1226, "' resource ", NULL},
        {1403, "' on routine ", NULL},
        {1203, NULL, "the account has as many connections as it may have"},
        {1700, NULL, "the account exists already"},
        /* values */
        {1062, "' for key ", NULL}, {1291, NULL, NULL}, {1292, "' for column ", NULL}, {1300, NULL, NULL}, {1366, "' for column ", NULL},
        {1367, NULL, NULL}, {1411, "' for function ", NULL}, {1525, NULL, NULL}, {1557, NULL, NULL}, {1569, "' for key ", NULL},
        {1586, "' for key ", NULL}, {1741, "' was not found in table ", NULL}, {1761, NULL, NULL}, {1762, NULL, NULL},
        {1912, "' for option ", NULL}, {1916, NULL, NULL}, {1917, NULL, NULL}, {1918, NULL, NULL}, {1977, NULL, NULL},
        {1978, "' for column ", NULL}, {2009, NULL, NULL}, {3854, NULL, NULL},
        {1526, NULL, "the table has no partition for a value"},
        /* SQL */
        {1064, "' at line ", NULL}, {1149, NULL, NULL}, {1690, NULL, NULL},
};

static char *without(const char *text, const char *from, const char *behind) {
        return g_strdup_printf("%.*s" GONE "%s", (int) (from - text), text, behind);
}

/* 'user'@'host', in whatever text; a user's name may hold the same again. NULL: none. */
static char *without_accounts(const char *text) {
        static const char *const signs[] = {"'@'", "`@`"};
        for (gsize i = 0; i < G_N_ELEMENTS(signs); i++) {
                const char *at = g_strrstr(text, signs[i]), *from = at ? strchr(text, *signs[i]) : NULL;
                if (!at || from == at)
                        continue;
                const char *end = strchr(at + strlen(signs[i]), *signs[i]);
                return without(text, from, end ? end + 1 : "");
        }
        return NULL;
}

char *error_text(unsigned code, const char *text) {
        for (gsize i = 0; i < G_N_ELEMENTS(told); i++) {
                if (told[i].code != code)
                        continue;
                if (told[i].instead)
                        return g_strdup(told[i].instead);
                const char *from = strpbrk(text, "'`\""), *behind = from && told[i].goes_on ? g_strrstr(from, told[i].goes_on) : NULL;
                return from ? without(text, from, behind ? behind + 1 : "") : g_strdup(text);
        }
        char *rest = without_accounts(text);
        return rest ? rest : g_strdup(text);
}
