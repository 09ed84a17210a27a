/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One row of information_schema.columns → Column. Pure but for schema.c, which runs the statement. */

#include "mysql/schema.h"

#define COLUMN_SELECT_LIST                                                                                   \
        "COLUMN_NAME,IS_NULLABLE,DATA_TYPE,CHARACTER_OCTET_LENGTH,NUMERIC_PRECISION,NUMERIC_SCALE,"          \
        "DATETIME_PRECISION,CHARACTER_SET_NAME,COLLATION_NAME,COLUMN_TYPE,EXTRA,COLUMN_DEFAULT IS NOT NULL,"           \
        "DATA_TYPE IN ('date','datetime','timestamp') AND COLUMN_DEFAULT LIKE '%-00%'"

/* ROW: the values of COLUMN_SELECT_LIST, any of which may be NULL. */
Column *column_from_row(char **row);
void column_free(Column *column);
/* At its place, counted from 1; the array grows with NULLs. */
void column_array_put(GPtrArray *columns, guint64 ordinal, Column *column);
/* About how many bytes it has in an index. */
guint64 column_key_bytes(const Column *column);
/* In what B cannot take A's values ("name", "sign" …); NULL when it can. */
const char *column_difference(const Column *a, const Column *b);
