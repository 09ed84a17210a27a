/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* All transactions up to some place of a binary log, by their GTIDs: MySQL's set or MariaDB's position, or "not known" when one of them has
 * no number. It is what finds the place again on another server. Pure. */

#include "mysql/binlog-decode.h"
#include "mysql/gtid.h"

typedef struct Executed Executed;

/* TEXT as servers print it; NULL, or what cannot be read: not known. */
Executed *executed_new(const char *text, bool mariadb);
void executed_free(Executed *executed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Executed, executed_free)

/* The next transaction; a number of another family, or none, makes everything that follows not known. */
void executed_add(Executed *executed, const BinlogGtid *gtid);
bool executed_known(const Executed *executed);
bool executed_is_mariadb(const Executed *executed);
char *executed_to_string(const Executed *executed); /* NULL: not known */
/* Both known, and the same transactions. */
bool executed_equal(const Executed *a, const Executed *b);
/* Whether SET holds all of SUBSET; for MariaDB: no domain of SUBSET is ahead of it. Both known. */
bool executed_contains(const Executed *set, const Executed *subset);
/* For MySQL: what is in A and not in B, for messages. */
char *executed_missing(const Executed *a, const Executed *b);
char *executed_gtid_to_string(const BinlogGtid *gtid); /* of one transaction; NULL: it has none */
/* Takes one transaction out again, for MySQL; TEXT from the function above. false: it was not in it. */
bool executed_remove(Executed *executed, const char *text);
/* For COM_BINLOG_DUMP_GTID; MySQL only. */
GByteArray *executed_encode(const Executed *executed);
