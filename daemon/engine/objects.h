/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What there is on the source, what of it is carried, and making it on the destination. */

#include "engine/spec.h"
#include "mysql/schema.h"

/* Something that cannot be carried yet: named by the check, one line each. */
typedef struct UnfitObject {
        char *type; /* "table" */
        char *name; /* `db`.`name` */
        char *reason, *hint;
} UnfitObject;
void unfit_object_free(UnfitObject *object);

typedef struct DatabaseDefaults {
        char *name, *charset, *collation;
} DatabaseDefaults;
void database_defaults_free(DatabaseDefaults *database);

typedef struct ObjectList {
        GPtrArray *databases; /* of DatabaseDefaults: the selected ones, also those without a table, ordered by name */
        GPtrArray *tables;    /* of TableSchema: base tables that are carried, ordered by database and name */
        GPtrArray *unfit;     /* of UnfitObject */
} ObjectList;
void object_list_free(ObjectList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ObjectList, object_list_free)

/* Reads SOURCE. A table is unfit (with the reason) when it is not InnoDB, has a column of a kind that cannot
 * be taken exactly, or a foreign key that cascades changes of a table that is not carried; it is then in unfit and not in tables. */
ObjectList *objects_list(Conn *source, const MigrationSpec *spec, GError **error);

/* Why TABLE by itself cannot be carried yet and what to do about it (static text in *ret_reason, new text in *ret_hint); false: it can. */
bool objects_table_unfit(const TableSchema *table, char **ret_reason, char **ret_hint);

/* Makes databases (with their defaults) and tables on DESTINATION from what SOURCE shows. Tables that are there already are left alone
 * when they are empty and compatible (a start that was interrupted). FOREIGN KEYs are included (checks are off). */
bool objects_create(Conn *source, Conn *destination, const ObjectList *list, GError **error);

/* Makes the session one in which definitions of older servers mean what they meant there; sets sql_mode and foreign_key_checks. */
bool objects_session_for_create(Conn *conn, GError **error);

/* Drops TABLE on DESTINATION when it is there and empty: takes back what objects_create() made. A table with rows stays. */
bool objects_drop_empty(Conn *destination, const TableSchema *table, GError **error);
