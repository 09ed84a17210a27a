/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the files of the verification share: one table's texts, ranges of keys, and the closer look. */

#include "engine/verify.h"

/* A table with what its statements are made of. Not copied: TABLE has to live longer. */
typedef struct VerifyTable {
        const TableSchema *table;
        TableSchema key_view; /* the row key's columns alone, so that keys are read and rendered like rows */
        char *name;           /* `db`.`t` */
        char *from;           /* " FROM `db`.`t` FORCE INDEX (`PRIMARY`)" */
        char *key_select;     /* the key's columns as they are read */
        char *key_order;      /* " ORDER BY `a`,`b`" */
        char *row_hash;
        bool zeros_alike; /* to row_hash */
        guint64 chunk_rows;
} VerifyTable;
VerifyTable *verify_table_new(const TableSchema *table, guint64 chunk_bytes);
void verify_table_tell_zeros_apart(VerifyTable *table); /* for sides that both have a negative zero */
void verify_table_free(VerifyTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VerifyTable, verify_table_free)

/* " WHERE key > LO AND key <= HI"; a bound that is NULL is open. */
void verify_append_range(GString *sql, const VerifyTable *table, char *const *lo, char *const *hi);
/* The key at the head of ROW as literals, one per key column. */
char **verify_key_of_row(const VerifyTable *table, char **row, const unsigned long *lengths, GError **error);
char *verify_key_text(char *const *key); /* "1,'a'": unambiguous */

/* Aggregate of a range: COUNT and the two sums as one text. */
bool verify_aggregate(Conn *conn, const VerifyTable *table, char *const *lo, char *const *hi, char **ret_sum,
                      guint64 *ret_rows, GError **error);

typedef struct Verify {
        const VerifyInput *input;
        VerifyResult *result;
        Conn *down;           /* downstream */
        Conn *hold;           /* upstream: the closer look; its locks. Opened when first needed */
        GHashTable *reported; /* key texts of the page that were found different: a key under a collation that
                               * ignores case brings another one with it */
        const struct VerifyPoint *resume; /* of an earlier run, in the first pass */
        double seconds_before;            /* that it took */
        gint64 begin;
        guint64 unpaid;   /* bytes that were read and not yet told to wait_for_room() */
        bool behind_done; /* nothing that comes can be left out after a restart */
        bool again; /* a repair had to remove rows beside those it looked at: compare the table once more */
} Verify;

bool verify_stopped(const VerifyInput *input, GError **error);
void verify_add_difference(Verify *verify, const VerifyTable *table, const char *key, const char *what);
/* A range whose aggregates differ: finds the rows, and settles each of them for good. */
bool verify_look_closer(Verify *verify, const VerifyTable *table, char *const *lo, char *const *hi,
                        GError **error);
GHashTable *verify_hashes_new(void); /* text of a key → hash of its row */
Conn *verify_open_upstream(const VerifyInput *input, GError **error);
/* The rows of N keys (arrays of literals) from FIRST on, into HASHES, and into KEY_INDEX (may be NULL): text of the key → its literals. */
bool verify_read_keys(Conn *conn, const VerifyTable *table, const GPtrArray *keys, guint first, guint n, bool lock,
                      GHashTable *hashes, GHashTable *key_index, GError **error);
/* Compares a table without a row key as a whole (verify-multiset.c). */
bool verify_multiset(Verify *verify, const TableSchema *schema, GError **error);
