/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The allow list: addresses and prefixes that may reach the destination, in CIDR notation, and whether the host pattern of an account lies in it.
 * Values only; nothing is asked of a server or of a resolver. */

#include <stdbool.h>

#include <glib.h>

#define ALLOW_LIST_MAX 1024 /* entries */

/* The one spelling of an address or prefix ("10.0.0.0/8", "2001:db8::1"); NULL: it is none. Bits behind the prefix's length must be 0. */
char *allow_list_normalize(const char *entry);
/* Each of ENTRIES in that spelling, and once. NULL: the one with the number *ret_wrong is none. */
char **allow_list_collect(const char *const *entries, guint *ret_wrong);

typedef enum AllowListCover {
        ALLOW_LIST_UNKNOWN, /* a name, '%', a pattern that is no prefix, or this host itself: not to be told from the pattern */
        ALLOW_LIST_COVERED, /* one entry holds all addresses of the pattern */
        ALLOW_LIST_PARTLY,  /* no entry holds all of them, some are on the list */
        ALLOW_LIST_OUTSIDE, /* none of them is on the list */
} AllowListCover;
/* HOST: as in 'user'@'host'; ENTRIES: normalized. */
AllowListCover allow_list_covers(char *const *entries, const char *host);
