/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See ddl-rename.h. */

#include "engine/ddl-rename.h"

#include <string.h>

#define DETOUR "polarshift"
#define ENCODED '-'        /* takes this many bytes */
#define ENCODED_BYTES 5
#define MAX_CHARACTERS 50  /* the key's generated name has to fit, too */

/* The least and the most that the name of its file may take: digits, letters and _ stand for themselves, others are @hhhh or @xx. */
static void file_bytes(const char *name, gsize *least, gsize *most) {
        for (const char *p = name; *p; p++) {
                if ((*p & 0xc0) == 0x80) /* of the character before */
                        continue;
                bool plain = g_ascii_isalnum(*p) || *p == '_';
                *least += *p & 0x80 ? 3 : 1;
                *most += plain ? 1 : ENCODED_BYTES;
        }
}

bool ddl_rename_overflows(const char *database, const char *name, const char *to_database, const char *to_name) {
        gsize least = 0, most = 0, to_least = 0, to_most = 0;
        if (!g_str_equal(database, to_database)) { /* the key's name begins with it, as the file's does */
                file_bytes(database, &least, &most);
                file_bytes(to_database, &to_least, &to_most);
        }
        bool may_be_longer = to_most + strlen(to_name) > least + strlen(name);
        file_bytes(name, &least, &most);
        file_bytes(to_name, &to_least, &to_most);
        return may_be_longer && to_least <= most;
}

char *ddl_rename_detour(const char *name) {
        gsize least = 0, most = 0;
        file_bytes(name, &least, &most);
        GString *detour = g_string_new(DETOUR);
        for (gsize bytes = 0; bytes <= most && detour->len <= MAX_CHARACTERS; bytes += ENCODED_BYTES)
                g_string_append_c(detour, ENCODED);
        return g_string_free(detour, detour->len > MAX_CHARACTERS);
}
