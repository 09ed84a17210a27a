/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Sets of MySQL GTIDs ("uuid:1-5:7:tag:1-2,uuid:…"; MySQL 9 has tags) and MariaDB positions ("0-1-100,1-2-7"). Pure. */

#include <stdbool.h>

#include <glib.h>

typedef struct GtidSet GtidSet; /* MySQL: intervals per uuid */

GtidSet *gtid_set_new(void);
/* PS_ERROR_INVALID_OPTION on malformed text; white space and newlines are allowed as servers print them. */
GtidSet *gtid_set_parse(const char *text, GError **error);
void gtid_set_free(GtidSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GtidSet, gtid_set_free)
char *gtid_set_to_string(const GtidSet *set); /* canonical: sorted uuids, merged intervals */
void gtid_set_add(GtidSet *set, const guint8 sid[16], guint64 first, guint64 last);
#define GTID_TAG_MAX 32
/* TAG: at most GTID_TAG_MAX of a-z, 0-9 and _, or "". */
void gtid_set_add_tagged(GtidSet *set, const guint8 sid[16], const char *tag, guint64 first, guint64 last);
void gtid_set_union(GtidSet *set, const GtidSet *other);
bool gtid_set_contains(const GtidSet *set, const GtidSet *subset);
bool gtid_set_equal(const GtidSet *a, const GtidSet *b);
GtidSet *gtid_set_subtract(const GtidSet *set, const GtidSet *other); /* what OTHER lacks */
/* As COM_BINLOG_DUMP_GTID wants it, without the length in front: number of uuids, and for each its bytes, the number of
 * intervals and their starts and exclusive ends, all of 64 bits. With tags the number says so in its first and last byte, and each uuid is
 * followed by the tag's doubled length, in one byte, and the tag. */
GByteArray *gtid_set_encode(const GtidSet *set);

typedef struct MariadbGtid {
        guint32 domain_id, server_id;
        guint64 sequence;
} MariadbGtid;
/* → GArray of MariadbGtid, one per domain. */
GArray *mariadb_gtid_parse(const char *text, GError **error);
char *mariadb_gtid_to_string(const GArray *list);
