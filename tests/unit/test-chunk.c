/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys, the map of chunks and the overlay of rows, each by itself; how they work together is in test-model.c. */

#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "engine/chunk.h"
#include "engine/copy-rows.h"
#include "engine/ledger.h"
#include "engine/throttle.h"
#include "fixture.h"

#define INTEGER "column a integer 0 0 0 0 0 0 0 4 - int(11)"
#define TEXT "column b text 0 0 0 0 0 0 0 0 latin1_bin varchar(9)"

static TableSchema *make_table(const char *columns, const char *key) {
        TableSchema *table = fixture_table(columns, key);
        table->key_order = KEY_ORDER_AGENT;
        return table;
}

static Key make_key(const char *literal) {
        return (Key){.data = literal ? g_strdup(literal) : NULL, .size = literal ? strlen(literal) + 1 : 0};
}

/* --- keys --- */

static void test_key_valid(void) {
        static const struct {
                const char *columns, *key;
                const char *data;
                gsize size;
                bool valid;
        } table[] = {
#define DATA(text) text, sizeof text - 1
                { INTEGER, "a", DATA("5\0"), true },
                { INTEGER, "a", DATA("-5\0"), true },
                { INTEGER, "a", DATA("5"), false },
                { INTEGER, "a", DATA(""), false },
                { INTEGER, "a", DATA("\0"), false },
                { INTEGER, "a", DATA("5\0" "6\0"), false },
                { INTEGER, "a", DATA("5 OR 1=1\0"), false },
                { INTEGER, "a", DATA("5--1\0"), false },
                { INTEGER, "a", DATA("'5'\0"), false },
                { INTEGER, "a", DATA("-\0"), false },
                { TEXT, "b", DATA("'x'\0"), true },
                { TEXT, "b", DATA("''\0"), true },
                { TEXT, "b", DATA("'\\''\0"), true },
                { TEXT, "b", DATA("'\\\\'\0"), true },
                { TEXT, "b", DATA("'\\'\0"), false },
                { TEXT, "b", DATA("'\0"), false },
                { TEXT, "b", DATA("x\0"), false },
                { TEXT, "b", DATA("'x' OR '1'\0"), false },
                { TEXT, "b", DATA("x'0g'\0"), false },
                { TEXT, "b", DATA("x'00ff'\0"), true },
                { INTEGER "\n" TEXT, "a,b", DATA("5\0'x'\0"), true },
                { INTEGER "\n" TEXT, "b,a", DATA("5\0'x'\0"), false },
                { INTEGER "\n" TEXT, "a,b", DATA("5\0"), false },
                { INTEGER "\n" TEXT, "a,b", DATA("5\0'x'\0'y'\0"), false },
#undef DATA
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                TableSchema *schema = make_table(table[i].columns, table[i].key);
                g_autofree char *copy = g_memdup2(table[i].data, table[i].size);
                if (key_valid(schema, copy ? copy : "", table[i].size) != table[i].valid)
                        g_error("case %zu: %s", i, table[i].data);
                fixture_table_free(schema);
        }
}

static void test_key_order(void) {
        TableSchema *schema = make_table(INTEGER "\n" TEXT, "a,b");
        static const char *const ordered[] = {"-10\0'b'", "-9\0''", "-9\0'a'", "0\0'z'", "2\0'a'", "2\0'ab'", "10\0'a'"};
        for (gsize i = 0; i < G_N_ELEMENTS(ordered); i++)
                for (gsize k = 0; k < G_N_ELEMENTS(ordered); k++) {
                        int r = key_compare(schema, ordered[i], ordered[k]);
                        g_assert_cmpint((r > 0) - (r < 0), ==, (i > k) - (i < k));
                }
        g_assert_cmpint(key_compare(schema, "1\0'a'", "1\0'a  '"), ==, 0); /* PAD SPACE */
        const char *parts[2];
        key_split(schema, ordered[5], parts);
        g_assert_cmpstr(parts[0], ==, "2");
        g_assert_cmpstr(parts[1], ==, "'ab'");
        fixture_table_free(schema);
}

/* One key, spelled in several ways: the same place, the same worker. */
static void test_key_spellings(void) {
        guint16 weights[256];
        for (guint c = 0; c < 256; c++)
                weights[c] = (guint16) (g_ascii_isalpha((char) c) ? g_ascii_toupper((char) c) : (char) c) & 0xff;
        Collation *collation = collation_new(CHAR_FORM_BYTE, weights, 0);
        TableSchema *schema = make_table(INTEGER "\n" TEXT, "a,b");
        schema->key_has_text = true;
        static const char *const groups[][3] = {
                {"1\0'a'", "1\0'A'", "1\0'a  '"}, {"1\0'a b'", "1\0'A B'", "1\0'a B '"}, {"1\0''", "1\0' '", "1\0'   '"},
                {"11\0''", "11\0' '", "11\0'  '"}, {"1\0'1'", "1\0'1 '", "1\0'1  '"},
        };
        for (guint folded = 0; folded < 2; folded++) { /* without weights case counts */
                if (folded)
                        ((Column *) schema->columns->pdata[1])->order = collation;
                for (gsize i = 0; i < G_N_ELEMENTS(groups) * 3; i++)
                        for (gsize k = 0; k < G_N_ELEMENTS(groups) * 3; k++) {
                                const char *a = groups[i / 3][i % 3], *b = groups[k / 3][k % 3];
                                gsize size_a = strlen(a) + 1, size_b = strlen(b) + 1;
                                size_a += strlen(a + size_a) + 1;
                                size_b += strlen(b + size_b) + 1;
                                bool same = key_compare(schema, a, b) == 0;
                                g_assert_true(!folded || same == (i / 3 == k / 3));
                                g_assert_true(same == (key_hash_value(schema, a, size_a) == key_hash_value(schema, b, size_b)));
                        }
        }
        ((Column *) schema->columns->pdata[1])->order = NULL;
        collation_unref(collation);
        fixture_table_free(schema);
}

static void test_key_identity(void) {
        Key a = make_key("1"), b = make_key("1"), c = make_key("10"), none = {0}, copy = key_copy(&a), no_copy = key_copy(&none);
        g_assert_true(key_identical(&a, &b) && key_identical(&a, &copy) && key_identical(&none, &no_copy));
        g_assert_false(key_identical(&a, &c) || key_identical(&a, &none) || key_identical(&none, &a));
        g_assert_cmpuint(key_hash(a.data, a.size), ==, key_hash(b.data, b.size));
        /* The low bits spread: they choose the worker. */
        guint count[4] = {0};
        for (int i = 0; i < 4000; i++) {
                g_autofree char *text = g_strdup_printf("%d", i * 4);
                count[key_hash(text, strlen(text) + 1) % 4]++;
        }
        for (int i = 0; i < 4; i++)
                g_assert_cmpuint(count[i], >, 800);
        Key *const keys[] = {&a, &b, &c, &none, &copy, &no_copy};
        for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
                key_clear(keys[i]);
}

/* --- the map --- */

static void claim(ChunkMap *map, const char *lo, const char *hi) {
        Key got_lo = {0}, got_hi = {0};
        bool complete;
        g_assert_true(chunk_map_claim_hole(map, &got_lo, &got_hi, &complete));
        g_assert_false(complete);
        g_assert_cmpstr(got_lo.data, ==, lo);
        g_assert_cmpstr(got_hi.data, ==, hi);
        key_clear(&got_lo);
        key_clear(&got_hi);
}

static Chunk *enter(ChunkMap *map, const char *lo, const char *hi, guint64 seq) {
        Key a = make_key(lo), b = make_key(hi);
        Chunk *chunk = chunk_map_register(map, &a, &b, seq);
        key_clear(&a);
        key_clear(&b);
        return chunk;
}

static void test_holes(void) {
        TableSchema *schema = make_table(INTEGER, "a");
        ChunkMap *map = chunk_map_new(schema, false);
        Key none = {0}, got_lo, got_hi;
        bool complete;
        guint64 max_h;

        claim(map, NULL, NULL);
        g_assert_false(chunk_map_claim_hole(map, &got_lo, &got_hi, &complete)); /* one at a time */
        g_assert_false(complete);
        chunk_map_release(map);
        claim(map, NULL, NULL);
        Chunk *first = enter(map, NULL, "10", 5);
        claim(map, "10", NULL);
        Chunk *second = enter(map, "10", "20", 6);
        claim(map, "20", NULL);
        Chunk *third = enter(map, "20", NULL, 7);
        g_assert_false(chunk_map_claim_hole(map, &got_lo, &got_hi, &complete));
        g_assert_false(complete || chunk_map_complete(map, &max_h));

        chunk_map_cancel(map, second);
        claim(map, "10", "20");
        second = enter(map, "10", "20", 9);
        Key hi = make_key("15");
        chunk_map_shrink(map, second, &hi);
        claim(map, "15", "20");
        Chunk *fourth = enter(map, "15", "20", 9);
        key_clear(&hi);

        g_assert_cmpint(chunk_map_judge(map, "10", 5), ==, CHUNK_VERDICT_DROP);
        g_assert_cmpint(chunk_map_judge(map, "10", 6), ==, CHUNK_VERDICT_WAIT);
        g_assert_cmpint(chunk_map_judge(map, "11", 9), ==, CHUNK_VERDICT_DROP);
        g_assert_cmpint(chunk_map_judge(map, "15", 10), ==, CHUNK_VERDICT_WAIT);
        chunk_map_finish(map, first, 12);
        g_assert_cmpint(chunk_map_judge(map, "10", 12), ==, CHUNK_VERDICT_DROP);
        g_assert_cmpint(chunk_map_judge(map, "10", 13), ==, CHUNK_VERDICT_APPLY);
        g_assert_cmpint(chunk_map_judge(map, "-9999", 13), ==, CHUNK_VERDICT_APPLY);
        chunk_map_finish(map, third, 30);
        chunk_map_finish(map, second, 11);
        g_assert_false(chunk_map_complete(map, &max_h));
        chunk_map_cancel(map, fourth);
        g_assert_cmpint(chunk_map_judge(map, "16", 99), ==, CHUNK_VERDICT_DROP); /* a hole */
        g_assert_cmpint(chunk_map_judge(map, "15", 99), ==, CHUNK_VERDICT_APPLY);
        g_assert_cmpint(chunk_map_judge(map, "21", 30), ==, CHUNK_VERDICT_DROP);
        claim(map, "15", "20");
        chunk_map_finish(map, enter(map, "15", "20", 40), 41);
        g_assert_true(chunk_map_complete(map, &max_h));
        g_assert_cmpuint(max_h, ==, 41);
        g_assert_false(chunk_map_claim_hole(map, &got_lo, &got_hi, &complete));
        g_assert_true(complete);
        chunk_map_free(map);

        /* Loaded in any order. */
        map = chunk_map_new(schema, false);
        Key ten = make_key("10"), twenty = make_key("20");
        chunk_map_load(map, &twenty, &none, 3);
        chunk_map_load(map, &none, &ten, 9);
        claim(map, "10", "20");
        chunk_map_finish(map, enter(map, "10", "20", 1), 4);
        g_assert_true(chunk_map_complete(map, &max_h));
        g_assert_cmpuint(max_h, ==, 9);
        key_clear(&ten);
        key_clear(&twenty);
        chunk_map_free(map);
        fixture_table_free(schema);
}

/* The last row read is the chunk's bound in another spelling: nothing is left between the two. */
static void test_shrink_spelling(void) {
        TableSchema *schema = make_table(TEXT, "b");
        ChunkMap *map = chunk_map_new(schema, false);
        guint64 max_h;
        Chunk *second = enter(map, "'a'", NULL, 1), *first = enter(map, NULL, "'a'", 1);
        Key hi = make_key("'a '");
        chunk_map_shrink(map, first, &hi);
        chunk_map_finish(map, first, 2);
        chunk_map_finish(map, second, 2);
        g_assert_true(chunk_map_complete(map, &max_h));
        g_assert_cmpint(chunk_map_judge(map, "'a '", 3), ==, CHUNK_VERDICT_APPLY);
        key_clear(&hi);
        chunk_map_free(map);
        fixture_table_free(schema);
}

static void put(ChunkMap *map, guint64 seq, const char *key, const char *tuple) {
        chunk_map_collect(map, seq, key, strlen(key) + 1, tuple, tuple ? strlen(tuple) : 0, /* enum_zeros= */ 0, tuple == NULL, 100);
}

static void test_side(void) {
        TableSchema *schema = make_table(INTEGER, "a");
        ChunkMap *map = chunk_map_new(schema, false);
        put(map, 1, "5", "(5)"); /* into no chunk */
        g_assert_false(chunk_map_collecting(map));
        Chunk *chunk = enter(map, NULL, "10", 1);
        g_assert_true(chunk_map_collecting(map));
        put(map, 2, "5", "(5)");
        put(map, 2, "11", "(11)");
        put(map, 3, "6", NULL);
        put(map, 4, "7", "(7)");
        g_autoptr(GPtrArray) side = chunk_map_close_side(map, chunk, 3, /* locked= */ false);
        g_assert_cmpuint(side->len, ==, 2);
        g_assert_cmpuint(((SideRow *) side->pdata[1])->seq, ==, 3);
        g_assert_true(((SideRow *) side->pdata[1])->deleted);
        g_assert_false(chunk_map_collecting(map));
        put(map, 5, "5", "(5)"); /* closed */
        chunk_map_finish(map, chunk, 3);

        chunk = enter(map, "10", NULL, 5);
        for (int i = 0; i < 100; i++)
                put(map, 6, "12", "(12)");
        g_assert_null(chunk_map_close_side(map, chunk, 6, /* locked= */ false)); /* overflown */
        chunk_map_cancel(map, chunk);

        /* What cannot be laid over a row: the chunk is given up, unless its rows were read under locks. */
        chunk = enter(map, "10", NULL, 6);
        put(map, 7, "12", "(12)");
        chunk_map_spoil(map, "9");
        g_assert_false(chunk->spoiled);
        chunk_map_spoil(map, "13");
        put(map, 8, "12", "(13)");
        g_assert_true(chunk->spoiled);
        g_assert_null(chunk_map_close_side(map, chunk, 8, /* locked= */ false));
        g_assert_false(chunk->h_known);
        chunk_map_cancel(map, chunk);
        chunk = enter(map, "10", NULL, 8);
        chunk_map_spoil(map, "13");
        g_autoptr(GPtrArray) none = chunk_map_close_side(map, chunk, 9, /* locked= */ true);
        g_assert_cmpuint(none->len, ==, 0);
        g_assert_true(chunk->h_known);
        chunk_map_cancel(map, chunk);
        g_assert_false(chunk_map_collecting(map));
        chunk_map_free(map);
        fixture_table_free(schema);
}

static void finish_later(gpointer data) {
        gpointer *args = data;
        chunk_map_finish(args[0], args[1], 7);
}

static void test_wait(void) {
        TableSchema *schema = make_table(INTEGER, "a");
        ChunkMap *map = chunk_map_new(schema, false);
        gpointer args[] = {map, enter(map, NULL, NULL, 1)};
        gint64 began = clock_monotonic();
        chunk_map_wait(map, 20 * USEC_PER_MSEC);
        g_assert_cmpint(clock_monotonic() - began, >=, 19 * USEC_PER_MSEC);
        Thread *thread = thread_start("finish", finish_later, args);
        while (chunk_map_judge(map, "1", 8) == CHUNK_VERDICT_WAIT)
                chunk_map_wait(map, USEC_PER_SEC);
        g_assert_cmpint(clock_monotonic() - began, <, 10 * USEC_PER_SEC);
        thread_join(thread);
        chunk_map_free(map);
        fixture_table_free(schema);
}

/* --- the overlay --- */

static void buffer_add(RowBuffer *buffer, int key, int value) {
        BufferedRow row = {.tuple = buffer->text->len};
        g_string_append_printf(buffer->text, "(%d,%d)", key, value);
        row.tuple_size = (guint32) (buffer->text->len - row.tuple);
        row.key = buffer->text->len;
        g_string_append_printf(buffer->text, "%d", key);
        g_string_append_c(buffer->text, '\0');
        row.key_size = (guint32) (buffer->text->len - row.key);
        g_array_append_val(buffer->rows, row);
        buffer->total_rows++;
        buffer->total_bytes += row.tuple_size;
}

static SideRow *side_row(int key, int value) {
        g_autofree char *text = g_strdup_printf("%d", key), *tuple = value ? g_strdup_printf("(%d,%d)", key, value) : g_strdup("");
        SideRow *row = g_malloc0(sizeof *row + strlen(text) + 1 + strlen(tuple));
        row->deleted = value == 0;
        row->key_size = strlen(text) + 1;
        row->tuple_size = strlen(tuple);
        memcpy(row->data, text, row->key_size);
        memcpy(row->data + row->key_size, tuple, row->tuple_size);
        return row;
}

static void random_overlay(GRand *rand, const TableSchema *schema) {
        enum { KEYS = 60 };
        int value[KEYS] = {0}, limit = g_rand_int_range(rand, 0, KEYS);
        bool bounded = g_rand_boolean(rand);
        RowBuffer buffer;
        g_autoptr(GPtrArray) side = g_ptr_array_new_with_free_func(g_free);
        row_buffer_init(&buffer);
        for (int key = 0; key < (bounded ? limit + 1 : KEYS); key++)
                if (g_rand_boolean(rand))
                        buffer_add(&buffer, key, value[key] = g_rand_int_range(rand, 1, 1000));
        for (int i = g_rand_int_range(rand, 0, 100); i > 0; i--) {
                int key = g_rand_int_range(rand, 0, KEYS), v = g_rand_int_range(rand, 0, 3) ? g_rand_int_range(rand, 1, 1000) : 0;
                g_ptr_array_add(side, side_row(key, v));
                if (!bounded || key <= limit)
                        value[key] = v;
        }
        g_autofree char *bound = g_strdup_printf("%d", limit);
        Key hi = {.data = bounded ? bound : NULL, .size = bounded ? strlen(bound) + 1 : 0};
        row_buffer_overlay(&buffer, schema, &hi, side);

        guint rows = 0;
        gsize bytes = 0;
        for (guint i = 0; i < buffer.rows->len; i++) {
                const BufferedRow *row = &g_array_index(buffer.rows, BufferedRow, i);
                g_autofree char *tuple = g_strndup(buffer.text->str + row->tuple, row->tuple_size);
                char *p = tuple + 1;
                int key = (int) g_ascii_strtoll(p, &p, 10);
                g_assert_cmpint(value[key], ==, (int) g_ascii_strtoll(p + 1, NULL, 10));
                value[key] = 0; /* each once */
                rows++;
                bytes += row->tuple_size;
        }
        for (int key = 0; key < KEYS; key++)
                g_assert_cmpint(value[key], ==, 0);
        g_assert_cmpuint(buffer.total_rows, ==, rows);
        g_assert_cmpuint(buffer.total_bytes, ==, bytes);
        row_buffer_clear(&buffer);
}

static void test_overlay(void) {
        TableSchema *schema = make_table(INTEGER "\n" TEXT, "a");
        g_autoptr(GRand) rand = g_rand_new_with_seed(7);
        for (int i = 0; i < 3000; i++)
                random_overlay(rand, schema);
        fixture_table_free(schema);
}

static void test_insert(void) {
        TableSchema *schema = make_table(INTEGER "\n" TEXT, "a");
        RowBuffer buffer;
        g_autoptr(GString) sql = g_string_new(NULL);
        guint warnings, next = 0, statements = 0;
        row_buffer_init(&buffer);
        for (int i = 0; i < 12000; i++)
                buffer_add(&buffer, i, i);
        while (next < buffer.rows->len) {
                g_string_truncate(sql, 0);
                guint n = row_buffer_append_insert(&buffer, schema, next, 1 << 20, sql, &warnings);
                g_assert_cmpuint(n, >, 0);
                g_assert_cmpuint(warnings, ==, 0);
                g_assert_true(g_str_has_prefix(sql->str, "INSERT INTO `db`.`t` (`a`,`b`) VALUES ("));
                next += n;
                statements++;
        }
        g_assert_cmpuint(statements, ==, 3); /* 5000 rows each */
        g_string_truncate(sql, 0);
        g_assert_cmpuint(row_buffer_append_insert(&buffer, schema, 0, 1, sql, &warnings), ==, 1); /* never none */
        g_string_truncate(sql, 0);
        g_assert_cmpuint(row_buffer_append_insert(&buffer, schema, 0, 100, sql, &warnings), >, 1);
        g_assert_cmpuint(sql->len, <=, 101);
        row_buffer_next(&buffer);
        g_assert_cmpuint(buffer.total_rows, ==, 12000);
        row_buffer_reset(&buffer);
        g_assert_cmpuint(buffer.total_rows, ==, 0);
        row_buffer_clear(&buffer);
        fixture_table_free(schema);
}

static void test_range(void) {
        TableSchema *schema = make_table(INTEGER, "a");
        schema->key_is_primary = true;
        Key none = {0}, lo = make_key("5"), hi = make_key("9");
        const struct {
                const Key *lo, *hi;
                const char *sql;
        } table[] = {
                { &none, &none, " FROM `db`.`t` FORCE INDEX (`PRIMARY`)" },
                { &lo, &none, " FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE (`a`>5)" },
                { &none, &hi, " FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE (`a`<=9)" },
                { &lo, &hi, " FROM `db`.`t` FORCE INDEX (`PRIMARY`) WHERE (`a`>5) AND (`a`<=9)" },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                g_autoptr(GString) sql = g_string_new(NULL);
                copy_append_range(sql, schema, table[i].lo, table[i].hi);
                g_assert_cmpstr(sql->str, ==, table[i].sql);
        }
        char *row[] = {(char *) "7"};
        unsigned long length = 1;
        Key key;
        g_assert_true(copy_key_from_row(schema, row, &length, &key, NULL));
        g_assert_true(key_valid(schema, key.data, key.size));
        key_clear(&key);
        key_clear(&lo);
        key_clear(&hi);
        fixture_table_free(schema);
}

/* --- small neighbours --- */

static void test_throttle_rate(void) {
        gint stop = 0;
        g_autoptr(Throttle) throttle = throttle_new(/* max_source_load= */ 0, /* max_copy_rate= */ 0);
        gint64 began = clock_monotonic();
        g_assert_true(throttle_wait(throttle, NULL, G_MAXUINT32, &stop, NULL)); /* no limit */
        g_assert_cmpint(clock_monotonic() - began, <, 50 * USEC_PER_MSEC);
        throttle_set(throttle, 0, 1000000);
        began = clock_monotonic();
        for (int i = 0; i < 4; i++)
                g_assert_true(throttle_wait(throttle, NULL, 25000, &stop, NULL));
        gint64 took = clock_monotonic() - began;
        g_assert_cmpint(took, >=, 95 * USEC_PER_MSEC);
        g_assert_cmpint(took, <, 5 * USEC_PER_SEC);
}

/* About a second's worth at a time, so that a restart lets no more than that through. */
static void test_throttle_portion(void) {
        g_autoptr(Throttle) throttle = throttle_new(/* max_source_load= */ 0, /* max_copy_rate= */ 0);
        g_assert_cmpuint(throttle_portion(throttle, 4 << 20), ==, 4 << 20);
        throttle_set(throttle, 0, 1 << 20);
        g_assert_cmpuint(throttle_portion(throttle, 4 << 20), ==, 1 << 20);
        throttle_set(throttle, 0, 1);
        g_assert_cmpuint(throttle_portion(throttle, 4 << 20), ==, 64 << 10);
        throttle_set(throttle, 0, 1 << 30);
        g_assert_cmpuint(throttle_portion(throttle, 4 << 20), ==, 4 << 20);
}

/* Where nobody can wait for long the rate is owed. */
static void test_throttle_debt(void) {
        gint stop = 0;
        bool room;
        gint64 patience = 150 * USEC_PER_MSEC;
        g_autoptr(Throttle) throttle = throttle_new(/* max_source_load= */ 0, /* max_copy_rate= */ 1000);
        gint64 began = clock_monotonic();
        throttle_charge(throttle, 3600 * 1000);
        g_assert_cmpint(clock_monotonic() - began, <, 10 * USEC_PER_SEC);
        throttle_wait_within(throttle, &patience, &stop);
        g_assert_cmpint(patience, <=, 0);
        g_assert_cmpint(clock_monotonic() - began, >=, 140 * USEC_PER_MSEC);
        g_assert_cmpint(clock_monotonic() - began, <, 10 * USEC_PER_SEC);
        throttle_wait_within(throttle, &patience, &stop);
        g_assert_true(throttle_wait_briefly(throttle, NULL, &room, NULL) && !room);
        g_assert_cmpint(clock_monotonic() - began, <, 20 * USEC_PER_SEC);

        throttle_set(throttle, 0, 0);
        throttle_charge(throttle, 3600 * 1000);
        patience = USEC_PER_SEC;
        throttle_wait_within(throttle, &patience, &stop);
        g_assert_cmpint(patience, ==, USEC_PER_SEC);
        g_assert_true(throttle_wait_briefly(throttle, NULL, &room, NULL) && room);
}

static void lift(gpointer data) {
        throttle_set(data, 0, 0);
}

static void test_throttle_change(void) {
        gint stop = 0;
        g_autoptr(Throttle) throttle = throttle_new(0, 1);
        Thread *thread = thread_start("lift", lift, throttle);
        gint64 began = clock_monotonic();
        g_assert_true(throttle_wait(throttle, NULL, 3600, &stop, NULL)); /* an hour, if nobody had lifted it */
        thread_join(thread);
        throttle_set(throttle, 0, 1);
        g_atomic_int_set(&stop, 1);
        throttle_wake(throttle);
        g_assert_true(throttle_wait(throttle, NULL, 3600, &stop, NULL));
        g_assert_cmpint(clock_monotonic() - began, <, 10 * USEC_PER_SEC);
}

static void test_ledger_names(void) {
        g_autoptr(Ledger) ledger = ledger_new("0A1B2c3d-4e5f-6071-8293-a4b5c6d7e8f9");
        g_assert_cmpstr(ledger->task, ==, "0a1b2c3d4e5f6071");
        g_assert_cmpstr(ledger->checkpoint, ==, "`polarshift`.`ckpt_0a1b2c3d4e5f6071`");
        g_assert_cmpstr(ledger->chunk, ==, "`polarshift`.`chunk_0a1b2c3d4e5f6071`");
        g_assert_cmpstr(ledger->watermark_name, ==, "wm_0a1b2c3d4e5f6071");
        g_assert_cmpstr(ledger->canary_name, ==, "canary_0a1b2c3d4e5f6071");
        /* Nothing but hexadecimal digits reaches a statement. */
        g_autoptr(Ledger) hostile = ledger_new("`; DROP DATABASE x");
        g_assert_cmpuint(strspn(hostile->task, "0123456789abcdef"), ==, strlen(hostile->task));
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/key/valid", test_key_valid);
        g_test_add_func("/key/order", test_key_order);
        g_test_add_func("/key/spellings", test_key_spellings);
        g_test_add_func("/key/identity", test_key_identity);
        g_test_add_func("/chunk/holes", test_holes);
        g_test_add_func("/chunk/shrink-spelling", test_shrink_spelling);
        g_test_add_func("/chunk/side", test_side);
        g_test_add_func("/chunk/wait", test_wait);
        g_test_add_func("/copy-rows/overlay", test_overlay);
        g_test_add_func("/copy-rows/insert", test_insert);
        g_test_add_func("/copy-rows/range", test_range);
        g_test_add_func("/throttle/rate", test_throttle_rate);
        g_test_add_func("/throttle/portion", test_throttle_portion);
        g_test_add_func("/throttle/debt", test_throttle_debt);
        g_test_add_func("/throttle/change", test_throttle_change);
        g_test_add_func("/ledger/names", test_ledger_names);
        return g_test_run();
}
