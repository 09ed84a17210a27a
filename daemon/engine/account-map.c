/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See account-map.h. */

#include "engine/account-map.h"

#include <string.h>

#include "base/error.h"
#include "engine/account.h"

struct AccountMap {
        GHashTable *mappings; /* account_name() → AccountMapping */
};

static void mapping_free(gpointer data) {
        AccountMapping *mapping = data;
        g_free(mapping->plugin);
        account_set(&mapping->secret, NULL);
        g_free(mapping);
}

void account_map_free(AccountMap *map) {
        if (!map)
                return;
        g_hash_table_unref(map->mappings);
        g_free(map);
}

const AccountMapping *account_map_find(const AccountMap *map, const char *user, const char *host) {
        g_autofree char *name = map ? account_name(user, host) : NULL;
        return name ? g_hash_table_lookup(map->mappings, name) : NULL;
}

/* 'it''s' or 'it\'s'; *P is moved behind it. */
static char *take_quoted(const char **p) {
        g_autoptr(GString) text = g_string_new(NULL);
        if (**p != '\'')
                return NULL;
        for (const char *c = *p + 1; *c; c++) {
                if (*c == '\\' && c[1])
                        c++;
                else if (*c == '\'' && c[1] == '\'')
                        c++;
                else if (*c == '\'') {
                        *p = c + 1;
                        return g_string_free(g_steal_pointer(&text), FALSE);
                }
                g_string_append_c(text, *c);
        }
        return NULL;
}

static bool take_word(const char **p, const char *word) {
        gsize length = strlen(word);
        if (strncmp(*p, word, length) != 0 || ((*p)[length] != '\0' && (*p)[length] != ' ' && (*p)[length] != '\t'))
                return false;
        *p += length;
        return true;
}

static void skip_blanks(const char **p) {
        while (**p == ' ' || **p == '\t')
                (*p)++;
}

/* What stands behind the name. */
static AccountMapping *take_mapping(const char *p) {
        AccountMapping mapping = {.kind = ACCOUNT_MAPPING_LEAVE};
        if (take_word(&p, "leave")) {
                skip_blanks(&p);
                return *p ? NULL : g_memdup2(&mapping, sizeof mapping);
        }
        if (take_word(&p, "password")) {
                if (*p == '\0' || p[1] == '\0') /* one blank belongs to the form, all others to the password */
                        return NULL;
                mapping.kind = ACCOUNT_MAPPING_PASSWORD;
                mapping.secret = g_strdup(p + 1);
                return g_memdup2(&mapping, sizeof mapping);
        }
        if (!take_word(&p, "hash"))
                return NULL;
        skip_blanks(&p);
        gsize length = strcspn(p, " \t");
        if (length == 0 || p[length] == '\0' || p[length + 1] == '\0')
                return NULL;
        mapping.kind = ACCOUNT_MAPPING_HASH;
        mapping.plugin = g_strndup(p, length);
        mapping.secret = g_strdup(p + length + 1);
        return g_memdup2(&mapping, sizeof mapping);
}

static bool take_line(AccountMap *map, const char *line) {
        const char *p = line;
        skip_blanks(&p);
        if (*p == '\0' || *p == '#')
                return true;
        g_autofree char *user = take_quoted(&p);
        if (!user || *p++ != '@')
                return false;
        g_autofree char *host = take_quoted(&p);
        if (!host || (*p != ' ' && *p != '\t'))
                return false;
        skip_blanks(&p);
        AccountMapping *mapping = take_mapping(p);
        return mapping && g_hash_table_insert(map->mappings, account_name(user, host), mapping);
}

AccountMap *account_map_parse(const char *text, GError **error) {
        g_autoptr(AccountMap) map = g_new0(AccountMap, 1);
        map->mappings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, mapping_free);
        guint number = 0;
        for (const char *line = text; *line;) {
                gsize length = strcspn(line, "\n"), end = length > 0 && line[length - 1] == '\r' ? length - 1 : length;
                char *copy = g_strndup(line, end);
                bool good = take_line(map, copy);
                account_set(&copy, NULL);
                number++;
                if (!good) {
                        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                                    "line %u of the list of accounts is none of: 'user'@'host' password …, 'user'@'host' hash PLUGIN …, 'user'@'host' leave; or names one twice",
                                    number);
                        return NULL;
                }
                line += length + (line[length] == '\n');
        }
        return g_steal_pointer(&map);
}
