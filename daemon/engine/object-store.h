/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What became of databases and tables, in objects.json in the migration's folder: lines of the report's "objects", found by comparing what both
 * servers say of them. Rewritten when tables have changed. The report needs neither server. */

#include <json-glib/json-glib.h>

#include "engine/objects.h"

/* SOURCE: what is carried; DESTINATION: of TableSchema, all tables there. */
bool object_store_save(const char *directory, const ObjectList *source, const GPtrArray *destination, GError **error);
/* The array of lines; NULL: there is none, or it cannot be read. */
JsonNode *object_store_load(const char *directory);
/* In what a table came out otherwise: "row format Compact" → "row format Dynamic", several separated by "; ". false: it is alike. Pure. */
bool object_store_difference(const TableSchema *source, const TableSchema *destination, char **ret_from, char **ret_to);
