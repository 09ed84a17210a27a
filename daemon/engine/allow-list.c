/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See allow-list.h. GInetAddressMask reads prefixes; what its strtoul() would take beyond digits (signs, blanks) is refused before. */

#include "engine/allow-list.h"

#include <string.h>

#include <gio/gio.h>

#define ENTRY_MAX 64 /* the longest IPv6 prefix is shorter */
#define OCTETS 4

static GInetAddressMask *parse(const char *entry) {
        const char *slash = strchr(entry, '/');
        if (strlen(entry) > ENTRY_MAX || strspn(entry, "0123456789abcdefABCDEF.:/") != strlen(entry))
                return NULL;
        if (slash && (strlen(slash + 1) == 0 || strlen(slash + 1) > 3 || strspn(slash + 1, "0123456789") != strlen(slash + 1)))
                return NULL;
        return g_inet_address_mask_new_from_string(entry, NULL);
}

char *allow_list_normalize(const char *entry) {
        g_autoptr(GInetAddressMask) mask = parse(entry);
        return mask ? g_inet_address_mask_to_string(mask) : NULL;
}

char **allow_list_collect(const char *const *entries, guint *ret_wrong) {
        g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
        g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; entries[i]; i++) {
                char *entry = allow_list_normalize(entries[i]);
                if (!entry) {
                        *ret_wrong = i;
                        return NULL;
                }
                if (g_hash_table_add(seen, entry))
                        g_strv_builder_add(builder, entry);
        }
        return g_strv_builder_end(builder);
}

/* "10.1.%" → 10.1.0.0/16 */
static GInetAddressMask *parse_wildcard(const char *host) {
        g_auto(GStrv) parts = g_strsplit(host, ".", OCTETS + 1);
        guint n = g_strv_length(parts);
        if (n < 2 || n > OCTETS || strcmp(parts[n - 1], "%") != 0)
                return NULL;
        g_autoptr(GString) text = g_string_new(NULL);
        for (guint i = 0; i < OCTETS; i++)
                g_string_append_printf(text, "%s%s", i > 0 ? "." : "", i < n - 1 ? parts[i] : "0");
        g_string_append_printf(text, "/%u", (n - 1) * 8);
        return parse(text->str);
}

/* "10.1.0.0/255.255.0.0" */
static GInetAddressMask *parse_netmask(const char *host, const char *slash) {
        g_autofree char *address = g_strndup(host, (gsize) (slash - host));
        g_autoptr(GInetAddress) mask = g_inet_address_new_from_string(slash + 1);
        if (!mask || g_inet_address_get_family(mask) != G_SOCKET_FAMILY_IPV4)
                return NULL;
        const guint8 *bytes = g_inet_address_to_bytes(mask);
        guint32 bits = (guint32) bytes[0] << 24 | (guint32) bytes[1] << 16 | (guint32) bytes[2] << 8 | bytes[3];
        guint length = 0;
        for (; length < 32 && bits & (1u << 31); length++)
                bits <<= 1;
        if (bits != 0)
                return NULL; /* with a hole */
        g_autofree char *text = g_strdup_printf("%s/%u", address, length);
        return parse(text);
}

static GInetAddressMask *parse_host(const char *host) {
        const char *slash = strchr(host, '/');
        if (slash)
                return parse_netmask(host, slash);
        GInetAddressMask *mask = parse(host);
        return mask ? mask : parse_wildcard(host);
}

/* All of B is in A. */
static bool holds(GInetAddressMask *a, GInetAddressMask *b) {
        return g_inet_address_mask_get_length(a) <= g_inet_address_mask_get_length(b) &&
               g_inet_address_mask_matches(a, g_inet_address_mask_get_address(b));
}

AllowListCover allow_list_covers(char *const *entries, const char *host) {
        g_autoptr(GInetAddressMask) pattern = parse_host(host);
        if (!pattern || g_inet_address_get_is_loopback(g_inet_address_mask_get_address(pattern)))
                return ALLOW_LIST_UNKNOWN;
        AllowListCover cover = ALLOW_LIST_OUTSIDE;
        for (guint i = 0; entries[i]; i++) {
                g_autoptr(GInetAddressMask) entry = parse(entries[i]);
                if (entry && holds(entry, pattern))
                        return ALLOW_LIST_COVERED;
                if (entry && holds(pattern, entry))
                        cover = ALLOW_LIST_PARTLY;
        }
        return cover;
}
