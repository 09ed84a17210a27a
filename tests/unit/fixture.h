/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Reads what fixtures/capture.py took from real servers. A fixture is lines of words:
 *
 *   table DATABASE NAME
 *   column NAME KIND UNSIGNED NULLABLE GENERATED LENGTH PRECISION SCALE FSP INT_BYTES COLLATION TYPE…
 *   select LIST                what sql_append_select_list() said when the rows below were read
 *   event HEX                  one event as it stands in the log, with its checksum where the log has them
 *   before VALUE…, after VALUE…  the rows of the event above, as SELECT showed them: N for NULL, - for not in the image, or x and hex
 *   query TEXT                 the statement of the event above */

#include "mysql/schema.h"

typedef enum FixtureWhat {
        FIXTURE_EVENT,
        FIXTURE_BEFORE,
        FIXTURE_AFTER,
        FIXTURE_QUERY,
} FixtureWhat;

typedef struct FixtureItem {
        FixtureWhat what;
        GByteArray *event;
        char **values; /* as in the file */
        char *text;
} FixtureItem;

typedef struct Fixture {
        TableSchema *table;
        char *select;
        GPtrArray *items; /* of FixtureItem, in order */
} Fixture;

Fixture *fixture_parse(const char *text);
Fixture *fixture_load(const char *name); /* under FIXTURES, a macro of the build */
void fixture_free(Fixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

GByteArray *fixture_unhex(const char *hex);
/* A table for tests that need none of a server: SPEC is lines as above; KEY names of key columns, comma-separated. */
TableSchema *fixture_table(const char *spec, const char *key);
void fixture_table_free(TableSchema *table);
