/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which tables belong together, and which row changes cascade silently. */

#include <string.h>

#include "base/error.h"
#include "engine/cascade.h"
#include "fixture.h"

static TableSchema *table(GPtrArray *schemas, const char *name) {
        TableSchema *schema = fixture_table("column id integer 0 0 0 0 0 0 0 8 - bigint(20)\n"
                                            "column v integer 0 1 0 0 0 0 0 8 - bigint(20)", "id");
        g_free(schema->name);
        schema->name = g_strdup(name);
        schema->key_order = KEY_ORDER_AGENT;
        g_ptr_array_add(schemas, schema);
        return schema;
}

static void refer(TableSchema *child, const char *parent, const char *column, ForeignAction on_delete, ForeignAction on_update) {
        ForeignKey *key = g_new0(ForeignKey, 1);
        *key = (ForeignKey){
                .name = g_strdup("f"), .database = g_strdup("db"), .table = g_strdup(child->name),
                .parent_database = g_strdup("db"), .parent = g_strdup(parent),
                .columns = g_ptr_array_new_with_free_func(g_free), .parent_columns = g_ptr_array_new_with_free_func(g_free),
                .on_delete = on_delete, .on_update = on_update,
        };
        g_ptr_array_add(key->columns, g_strdup("v"));
        g_ptr_array_add(key->parent_columns, g_strdup(column));
        if (!child->foreign_keys)
                child->foreign_keys = g_ptr_array_new_with_free_func((GDestroyNotify) foreign_key_free);
        g_ptr_array_add(child->foreign_keys, key);
        child->has_cascade |= foreign_key_cascades(key);
}

/* a <-cascade- b <-plain- c, b -plain-> d; c <-plain- e: e's rows are neither changed nor looked at. f alone with a plain key to g. */
static LinkTables *tables_make(bool copying) {
        GPtrArray *schemas = g_ptr_array_new();
        (void) table(schemas, "a");
        TableSchema *b = table(schemas, "b");
        refer(table(schemas, "c"), "b", "id", FOREIGN_RESTRICT, FOREIGN_RESTRICT);
        (void) table(schemas, "d");
        refer(b, "a", "V", FOREIGN_SET_NULL, FOREIGN_CASCADE);
        refer(b, "d", "id", FOREIGN_RESTRICT, FOREIGN_RESTRICT);
        refer(table(schemas, "e"), "c", "id", FOREIGN_RESTRICT, FOREIGN_RESTRICT);
        refer(table(schemas, "f"), "g", "id", FOREIGN_RESTRICT, FOREIGN_RESTRICT);
        (void) table(schemas, "g");
        TableSchema *s = table(schemas, "s");
        refer(s, "s", "id", FOREIGN_CASCADE, FOREIGN_RESTRICT);
        return link_tables_new(schemas, copying, NULL);
}

static LinkTable *find(const LinkTables *tables, const char *name) {
        LinkTable *found = link_tables_find(tables, "db", name);
        g_assert_nonnull(found);
        return found;
}

static void test_families(void) {
        g_autoptr(LinkTables) tables = tables_make(/* copying= */ false);
        const LinkTable *a = find(tables, "a"), *s = find(tables, "s");
        g_assert_cmpuint(tables->families->len, ==, 2);
        g_assert_cmpuint(a->family->tables->len, ==, 4);
        g_assert_cmpuint(a->family->cascaded->len, ==, 1);
        for (const char *name = "abcd"; *name; name++) {
                const char one[] = {*name, '\0'};
                g_assert_true(find(tables, one)->family == a->family && find(tables, one)->hash == a->hash);
        }
        g_assert_true(s->family && s->family != a->family && s->family->tables->len == 1 && s->family->cascaded->len == 1);
        for (const char *name = "efg"; *name; name++) {
                const char one[] = {*name, '\0'};
                g_assert_true(!find(tables, one)->family && find(tables, one)->hash != a->hash);
        }
        g_assert_true(a->delete_cascades && a->update_cascades->len == 1 && g_array_index(a->update_cascades, int, 0) == 1);
        g_assert_true(s->delete_cascades && !s->update_cascades);
        g_assert_true(!find(tables, "b")->delete_cascades && !find(tables, "d")->delete_cascades);
        g_assert_true(families_complete(tables, NULL));
}

static void test_incomplete(void) {
        GPtrArray *schemas = g_ptr_array_new();
        refer(table(schemas, "a"), "elsewhere", "id", FOREIGN_CASCADE, FOREIGN_RESTRICT);
        g_autoptr(LinkTables) tables = link_tables_new(schemas, /* copying= */ false, NULL);
        g_autoptr(GError) error = NULL;
        g_assert_false(families_complete(tables, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT);
}

static void set_image(RowImage *image, const char *id, const char *v) {
        row_image_init(image, 2);
        image->offsets[0] = 0;
        g_string_append_len(image->text, id, (gssize) strlen(id) + 1);
        image->offsets[1] = (guint32) image->text->len;
        g_string_append_len(image->text, v, (gssize) strlen(v) + 1);
        image->offsets[2] = (guint32) image->text->len;
}

static void test_silent(void) {
        g_autoptr(LinkTables) tables = tables_make(/* copying= */ false);
        const LinkTable *a = find(tables, "a");
        RowImage one, key, value;
        set_image(&one, "1", "1");
        set_image(&key, "2", "1");
        set_image(&value, "1", "2");
        g_assert_true(cascade_is_silent(a, ROW_OPERATION_DELETE, 0, &one, NULL));
        g_assert_true(cascade_is_silent(a, ROW_OPERATION_DELETE, ROWS_END_OF_STATEMENT, &one, NULL));
        g_assert_false(cascade_is_silent(a, ROW_OPERATION_DELETE, ROWS_NO_FOREIGN_KEY_CHECKS, &one, NULL));
        g_assert_false(cascade_is_silent(a, ROW_OPERATION_DELETE, ROWS_CASCADES_LOGGED, &one, NULL));
        g_assert_false(cascade_is_silent(a, ROW_OPERATION_INSERT, 0, NULL, &one));
        g_assert_false(cascade_is_silent(a, ROW_OPERATION_UPDATE, 0, &one, &key));
        g_assert_true(cascade_is_silent(a, ROW_OPERATION_UPDATE, 0, &one, &value));
        g_assert_false(cascade_is_silent(find(tables, "b"), ROW_OPERATION_DELETE, 0, &one, NULL));
        row_image_clear(&one);
        row_image_clear(&key);
        row_image_clear(&value);
}

/* The cascaded table is copied when the others are, and only then may a change cascade, from behind its h_seq on. */
static void test_copy(void) {
        static const Key infinite = {NULL, 0};
        g_autoptr(LinkTables) tables = tables_make(/* copying= */ true);
        LinkTable *b = find(tables, "b");
        ChunkMap *waits = NULL;
        g_assert_true(chunk_map_is_whole(b->chunks) && !chunk_map_is_whole(find(tables, "a")->chunks));
        g_assert_true(family_may_copy(find(tables, "a")) && family_may_copy(find(tables, "s")));
        for (const char *name = "acd"; *name; name++) {
                const char one[] = {*name, '\0'};
                g_assert_false(family_may_copy(b));
                chunk_map_load(find(tables, one)->chunks, &infinite, &infinite, 5);
        }
        g_assert_true(family_may_copy(b));
        g_assert_cmpint(family_judge(b->family, 7, &waits), ==, CHUNK_VERDICT_DROP);
        Chunk *chunk = chunk_map_register(b->chunks, &infinite, &infinite, 8);
        g_assert_cmpint(family_judge(b->family, 8, &waits), ==, CHUNK_VERDICT_DROP);
        g_assert_cmpint(family_judge(b->family, 9, &waits), ==, CHUNK_VERDICT_WAIT);
        g_assert_true(waits == b->chunks);
        chunk_map_know_h(b->chunks, chunk, 9);
        g_assert_cmpint(family_judge(b->family, 9, &waits), ==, CHUNK_VERDICT_DROP);
        g_assert_cmpint(family_judge(b->family, 10, &waits), ==, CHUNK_VERDICT_WAIT);
        chunk_map_finish(b->chunks, chunk, 9);
        g_assert_cmpint(family_judge(b->family, 9, &waits), ==, CHUNK_VERDICT_DROP);
        g_assert_cmpint(family_judge(b->family, 10, &waits), ==, CHUNK_VERDICT_APPLY);
}

/* After a statement brought tables together: when what is copied may stay. */
static void test_copy_holds(void) {
        static const Key infinite = {NULL, 0};
        static const struct {
                guint64 a, b, c, d, done; /* h_seq; 0: not copied */
                bool holds;
        } table[] = {
                {0, 0, 0, 0, 9, true},  {5, 0, 5, 5, 9, true},  {5, 7, 5, 5, 3, true},  {7, 7, 7, 7, 3, true},
                {8, 7, 5, 5, 7, false}, {8, 7, 5, 5, 8, true},  {0, 7, 5, 5, 9, false}, {5, 7, 5, 0, 9, false},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                g_autoptr(LinkTables) tables = tables_make(/* copying= */ true);
                const guint64 h[] = {table[i].a, table[i].b, table[i].c, table[i].d};
                for (guint k = 0; k < G_N_ELEMENTS(h); k++) {
                        const char one[] = {(char) ('a' + k), '\0'};
                        if (h[k] > 0)
                                chunk_map_load(find(tables, one)->chunks, &infinite, &infinite, h[k]);
                }
                g_test_message("case %zu", i);
                g_assert_true(family_copy_holds(find(tables, "a")->family, table[i].done) == table[i].holds);
        }
        g_autoptr(LinkTables) tables = tables_make(/* copying= */ true);
        ChunkMap *chunks = find(tables, "b")->chunks;
        Key lo = {0}, hi = {0};
        bool complete;
        chunk_map_load(chunks, &infinite, &infinite, 4);
        g_assert_false(chunk_map_claim_hole(chunks, &lo, &hi, &complete));
        chunk_map_forget(chunks);
        g_assert_true(chunk_map_is_empty(chunks) && chunk_map_claim_hole(chunks, &lo, &hi, &complete) && !complete);
}

static void test_doubled(void) {
        static const guint16 direct = ROWS_CASCADES_LOGGED, cascaded = ROWS_CASCADES_LOGGED | ROWS_NO_FOREIGN_KEY_CHECKS;
        g_autoptr(LinkTables) tables = tables_make(/* copying= */ false);
        const LinkTable *b = find(tables, "b"), *s = find(tables, "s");
        CascadedKeys *keys = cascaded_keys_new();
        g_assert_false(cascaded_keys_doubled(keys, b, ROW_OPERATION_DELETE, direct, "1", 2));
        g_assert_false(cascaded_keys_doubled(keys, b, ROW_OPERATION_DELETE, cascaded, "1", 2));
        g_assert_false(cascaded_keys_doubled(keys, b, ROW_OPERATION_DELETE, cascaded, "2", 2));
        g_assert_false(cascaded_keys_doubled(keys, s, ROW_OPERATION_DELETE, direct, "1", 2));
        g_assert_true(cascaded_keys_doubled(keys, b, ROW_OPERATION_DELETE, direct, "1", 2));
        g_assert_false(cascaded_keys_doubled(keys, b, ROW_OPERATION_INSERT, direct, "2", 2));
        g_assert_false(cascaded_keys_doubled(keys, b, ROW_OPERATION_DELETE, direct, "2", 2));
        cascaded_keys_end(keys);
        g_assert_false(cascaded_keys_doubled(keys, b, ROW_OPERATION_DELETE, direct, "1", 2));
        cascaded_keys_free(keys);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/cascade/families", test_families);
        g_test_add_func("/cascade/incomplete", test_incomplete);
        g_test_add_func("/cascade/silent", test_silent);
        g_test_add_func("/cascade/copy", test_copy);
        g_test_add_func("/cascade/copy-holds", test_copy_holds);
        g_test_add_func("/cascade/doubled", test_doubled);
        return g_test_run();
}
