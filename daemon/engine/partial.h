/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Row images that lack columns (binlog_row_image MINIMAL or NOBLOB, which a session may set without a privilege), made whole where the log
 * says enough. Pure.
 *
 * What servers leave out, as seen in the logs of MySQL 5.6, 9.7 and MariaDB:
 *
 *   INSERT   columns that the statement does not name and that take a constant default (what a function or expression gives is logged)
 *   DELETE   all but the key; nothing, where there is none
 *   UPDATE   before: the same. After: what does not change. MySQL logs all columns where REPLACE or ON DUPLICATE KEY UPDATE become an
 *            UPDATE; MariaDB does not even then, and a REPLACE sets what is not in the image to its default: it cannot be told from an
 *            UPDATE that leaves it alone. */

#include "mysql/binlog-row.h"

typedef enum RowVerdict {
        ROW_WHOLE,   /* what is needed is there: for a DELETE the key */
        ROW_PARTIAL, /* an UPDATE of the columns that AFTER has, of the row with AFTER's key, which it does not change */
        ROW_LOST,    /* the log does not say what the row is now: the table has to be copied again */
} RowVerdict;

void partial_set_lost(const TableSchema *schema, GError **error); /* PS_ERROR_UNSUPPORTED_OBJECT */
/* Fills in what is known. MARIADB: the log is MariaDB's. */
RowVerdict row_make_whole(RowOperation operation, RowImage *before, RowImage *after, const TableSchema *schema, bool mariadb);
