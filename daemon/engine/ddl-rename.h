/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Names that must not be given to a table in one step. InnoDB keeps a foreign key's generated name ("db/table_ibfk_1") in as many bytes as
 * it had at first, and gives it more when the table's new name is longer *as the name of a file*. Where a `\` takes five bytes there and
 * one in the key's name, `t\` becomes `tab2` without more room, and what lies behind is overwritten: the server ends when somebody asks
 * for the table's definition. A name in between that is long enough makes the room. So in MySQL 5.6, MariaDB 10.11 and 11.8. Pure. */

#include <stdbool.h>

#include <glib.h>

/* Whether a rename could write behind a key's name. It may say so too often: how long the name of a file is is not known to the byte. */
bool ddl_rename_overflows(const char *database, const char *name, const char *to_database, const char *to_name);
/* The name in between, in DATABASE; NULL: there is none, NAME is too long. */
char *ddl_rename_detour(const char *name);
