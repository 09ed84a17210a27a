/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Tables whose rows change without a row event. MySQL 5.6 and MariaDB do not log what ON DELETE/UPDATE CASCADE and SET NULL do to the
 * children (MySQL 9.7 does), so the downstream has to cascade by itself, from the same state:
 *
 *   - A *family* is what one cascade can change or look at: a table with a cascading key (*cascaded*: its rows change silently), the table
 *     that such a key refers to, and every table that a foreign key connects with one of these. One worker applies all of it in the order
 *     of the log.
 *   - A DELETE, and an UPDATE of a column that is referred to, runs with foreign_key_checks=1 when the upstream ran it so; all else with 0,
 *     as anywhere. Such an UPDATE stays one statement.
 *   - The cascaded tables of a family are copied at one point of the log, under one brief lock, when all the others are complete. A row
 *     event up to there does not cascade downstream, since the copy has what came of it.
 *
 * So whenever a statement may cascade, each table of the family is exactly what it was upstream at that moment. */

#include <stdbool.h>

#include <glib.h>

#include "engine/chunk.h"
#include "engine/link-table.h"

typedef struct Family {
        GPtrArray *tables;   /* of LinkTable, borrowed, in order of the set */
        GPtrArray *cascaded; /* the ones among them whose rows change without an event */
} Family;

/* Sets family, hash, delete_cascades and update_cascades of each table. → GPtrArray of Family. */
GPtrArray *families_make(const LinkTables *tables);

/* PS_ERROR_UNSUPPORTED_OBJECT when a foreign key cascades changes of a table that is not carried, since nothing would tell of them, or
 * from or to a table without a row key. */
bool families_complete(const LinkTables *tables, GError **error);

/* Whether the row change, which the upstream ran under EVENT_FLAGS, changed other rows that are not in the log. Pure. */
bool cascade_is_silent(const LinkTable *table, RowOperation operation, guint16 event_flags, const RowImage *before, const RowImage *after);
/* What holds for the cascaded tables of FAMILY at transaction SEQ: APPLY: the downstream has to cascade; DROP: what came of it is in the copy,
 * or will be; WAIT: the copy is not there yet, and does not hold it. */
ChunkVerdict family_judge(const Family *family, guint64 seq, ChunkMap **ret_waits_for);
/* Whether what is copied of FAMILY is as above, or makes no difference because all of it is behind transaction DONE_SEQ; false: the cascaded
 * tables have to be copied again. */
bool family_copy_holds(const Family *family, guint64 done_seq);
/* Whether a copier may begin with TABLE: a cascaded table waits for the others of its family, and is done together with its cascaded ones. */
bool family_may_copy(const LinkTable *table);

/* MySQL 9.7 logs a row that a cascade deleted a second time when the statement names its table, too (DELETE parent, child …; its own replicas
 * stop there). This remembers the keys of cascaded rows until the end of the statement. */
typedef struct CascadedKeys CascadedKeys;
CascadedKeys *cascaded_keys_new(void);
void cascaded_keys_free(CascadedKeys *keys);
/* To be told of each row of a cascaded table, with the flags of its event. true: the row is gone already, the change is to be passed over. */
bool cascaded_keys_doubled(CascadedKeys *keys, const LinkTable *table, RowOperation operation, guint16 event_flags, const char *key,
                           gsize key_size);
void cascaded_keys_end(CascadedKeys *keys); /* the statement, or the transaction, has ended */
