/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Tables that are copied again while everything else goes on: a session wrote to them in a way that the log does not tell what their rows are
 * (binlog_format=STATEMENT; an incomplete row image). Kept in the engine's state as lines "SEQ `db`.`t`", with '!' in front until the table
 * was emptied downstream. Events of the table up to transaction SEQ are passed over: its copy includes them, for it is read later. Pure. */

#include <stdbool.h>

#include <glib.h>

/* Adds NAME (quoted, as sql_table() does), to be emptied; one that is there already begins anew. */
void again_add(GPtrArray *again, const char *name, guint64 seq);
guint64 again_seq(const GPtrArray *again, const char *name); /* 0: it is not copied again */
const char *again_name(const GPtrArray *again, guint i); /* of the Ith */
/* The first one that is to be emptied, a copy; NULL: none. */
char *again_to_empty(const GPtrArray *again);
void again_emptied(GPtrArray *again, const char *name);
