/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Whether the carried tables are defined alike on both sides: columns, their character sets and defaults, and keys. A statement can be
 * accepted on the other side and mean something else there (a default collation, CHECK, an implicit default); this is where it shows. */

#include <stdbool.h>

#include "engine/spec.h"
#include "mysql/schema.h"

typedef struct Definitions Definitions;

/* What CONN's server has now. LEFT_OUT: see StreamConfig. */
Definitions *definitions_read(Conn *conn, const MigrationSpec *spec, const GPtrArray *left_out, GError **error);
void definitions_free(Definitions *definitions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Definitions, definitions_free)

/* The first difference, "`db`.`t`: column a differs in its collation"; NULL: none. New text. */
char *definitions_difference(const Definitions *a, const Definitions *b);
