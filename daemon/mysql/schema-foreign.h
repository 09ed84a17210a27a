/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Foreign keys: which rows follow which, and what the server does to them on its own account. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/conn.h"

/* What becomes of the child's rows. RESTRICT and NO ACTION are one in InnoDB. */
typedef enum ForeignAction { FOREIGN_RESTRICT, FOREIGN_CASCADE, FOREIGN_SET_NULL } ForeignAction;

typedef struct ForeignKey {
        char *name;
        char *database, *table; /* the child */
        char *parent_database, *parent;
        GPtrArray *columns, *parent_columns; /* of char *: pairs */
        ForeignAction on_delete, on_update;
        bool away; /* the parent is not there, and may come back: link.c sets it */
} ForeignKey;
void foreign_key_free(ForeignKey *key);
static inline bool foreign_key_cascades(const ForeignKey *key) {
        return key->on_delete != FOREIGN_RESTRICT || key->on_update != FOREIGN_RESTRICT;
}
/* `db`.`child` (`a`,…) → `db`.`parent` (`x`,…) and the actions: the same on two servers when the keys do the same, whatever their names. */
char *foreign_key_describe(const ForeignKey *key);

/* Those of one database (or, DATABASE NULL, of all but the system's), of one table when NAME is given; two statements,
 * which read all there are (as the server keeps them: 10,000 are read in well under a second). → GPtrArray of ForeignKey. */
GPtrArray *foreign_keys_load(Conn *conn, const char *database, const char *name, GError **error);
