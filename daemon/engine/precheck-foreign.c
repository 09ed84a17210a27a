/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The check of foreign keys: what they point to is carried, and what they cascade is the same on both sides. */

#include <stdlib.h>
#include <string.h>

#include "engine/precheck-internal.h"
#include "mysql/sql.h"

/* See cascade.h. */
static void note_cascades(Precheck *check) {
        const Flavor *flavor = conn_flavor(check->input->servers[SIDE_DESTINATION]);
        guint n = 0;
        for (guint i = 0; i < check->objects->tables->len; i++)
                n += ((const TableSchema *) check->objects->tables->pdata[i])->has_cascade;
        if (n == 0)
                return;
        precheck_add(check, CHECK_NOTE, PS_ERROR_CHECK_FAILED, NULL,
                     "%u tables have foreign keys that cascade, which the binary log does not show: those that belong together are copied "
                     "under one brief lock that waits for their writers, and are applied in order by one worker", n);
        if (!flavor->mariadb && flavor->version >= 90600 &&
            !precheck_variable_on(check, SIDE_DESTINATION, "innodb_native_foreign_keys"))
                precheck_add(check, CHECK_WARNING, PS_ERROR_UNSUPPORTED_OBJECT,
                             "start the destination with innodb_native_foreign_keys=ON",
                             "the destination carries out cascades above InnoDB, and refuses some that MySQL 5.6 allows: several levels of "
                             "ON UPDATE CASCADE over keys of several columns, or more than 30 tables and levels; replication would "
                             "stop at such a statement");
}

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The keys that cascade between carried tables on one side, as sorted text. */
static GPtrArray *describe_cascades(const Precheck *check, Side side, GError **error) {
        g_autoptr(GPtrArray) keys = foreign_keys_load(check->input->servers[side], /* database= */ NULL, /* name= */ NULL, error);
        if (!keys)
                return NULL;
        GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; i < keys->len; i++) {
                const ForeignKey *key = keys->pdata[i];
                if (foreign_key_cascades(key) && precheck_carries(check, key->database, key->table))
                        g_ptr_array_add(texts, foreign_key_describe(key));
        }
        qsort(texts->pdata, texts->len, sizeof(void *), compare_texts);
        return texts;
}

/* What one side cascades and the other does not is in no binary log. */
static bool compare_cascades(Precheck *check, GError **error) {
        g_autoptr(GPtrArray) source = describe_cascades(check, SIDE_SOURCE, error);
        g_autoptr(GPtrArray) destination = source ? describe_cascades(check, SIDE_DESTINATION, error) : NULL;
        if (!destination)
                return false;
        for (guint i = 0, k = 0; i < source->len || k < destination->len;) {
                int order = i >= source->len ? 1 : k >= destination->len ? -1 : strcmp(source->pdata[i], destination->pdata[k]);
                if (order != 0)
                        precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                                     "make the keys alike on both sides, then Verify",
                                     "the foreign key %s is only on the %s", (const char *) (order < 0 ? source->pdata[i] : destination->pdata[k]),
                                     side_to_string(order < 0 ? SIDE_SOURCE : SIDE_DESTINATION));
                i += order <= 0;
                k += order >= 0;
        }
        return true;
}

/* Foreign keys are made as they are; one that points to a table that stays behind would refuse every row
 * after the switch. */
bool precheck_foreign_keys(Precheck *check, GError **error) {
        if (!check->objects)
                return true;
        note_cascades(check);
        if (check->input->stage == PRECHECK_SWITCH && !compare_cascades(check, error))
                return false;
        g_autoptr(GPtrArray) keys = foreign_keys_load(check->input->servers[SIDE_SOURCE], /* database= */ NULL, /* name= */ NULL, error);
        if (!keys)
                return false;
        for (guint i = 0; i < keys->len; i++) {
                const ForeignKey *key = keys->pdata[i];
                if (!precheck_carries(check, key->database, key->table) || precheck_carries(check, key->parent_database, key->parent))
                        continue;
                g_autofree char *child = sql_table(key->database, key->table), *parent = sql_table(key->parent_database, key->parent);
                g_autofree char *name = sql_identifier(key->name);
                g_autofree char *hint = g_strdup_printf("include %s as well, or ALTER TABLE %s DROP FOREIGN KEY %s;", parent, child, name);
                precheck_add(check, CHECK_ERROR, PS_ERROR_UNSUPPORTED_OBJECT, hint,
                             "foreign key %s of %s points to %s, which is not carried", name, child, parent);
        }
        return true;
}
