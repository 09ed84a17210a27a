/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What servers say about errors, without what is nobody else's business: accounts, values of rows and pieces of SQL. Errors end in properties and
 * signals, which everybody on the bus may read. Pure. */

#include <glib.h>

/* TEXT of a server's error CODE as it may be shown; names of tables, columns and keys stay. Whatever language it is in: where it is not known how a
 * text goes on behind what has to go, its end goes, too. */
char *error_text(unsigned code, const char *text);
