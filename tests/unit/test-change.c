/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker makes of row changes: the statements are run by a small interpreter that counts as a server does, and the rows must be
 * what they are when every change is made one by one. */

#include <string.h>

#include "base/error.h"
#include "engine/change-multiset.h"
#include "engine/change.h"
#include "engine/key.h"
#include "fixture.h"

#define COLUMNS "column id integer 0 0 0 0 0 0 0 8 - bigint(20)\ncolumn v text 0 1 0 0 0 0 0 0 latin1_bin varchar(9)"

static const Flavor mysql56 = {.mariadb = false, .version = 50624};

typedef struct Bench {
        LinkTable table;
        GPtrArray *packets;
        Batch batch;
        guint partial; /* every so many UPDATEs is one of a part of the columns; 0: none */
        guint updates;
} Bench;

static void bench_init(Bench *bench, bool ordered) {
        *bench = (Bench){0};
        bench->table.schema = fixture_table(COLUMNS, "id");
        bench->table.schema->key_order = KEY_ORDER_AGENT;
        bench->table.ordered = ordered;
        bench->packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
        batch_init(&bench->batch);
}

static void bench_clear(Bench *bench) {
        batch_clear(&bench->batch);
        g_ptr_array_unref(bench->packets);
        fixture_table_free(bench->table.schema);
}

static void set_image(RowImage *image, guint n, const char *const *literals) {
        image->n_columns = n;
        image->offsets = g_renew(guint32, image->offsets, n + 1);
        g_string_truncate(image->text, 0);
        for (guint i = 0; i < n; i++) {
                image->offsets[i] = (guint32) image->text->len;
                g_string_append_len(image->text, literals[i], (gssize) strlen(literals[i]) + 1);
        }
        image->offsets[n] = (guint32) image->text->len;
        image->complete = true;
}

static void add(Bench *bench, RowOperation operation, const char *id, const char *value) {
        RowImage image;
        row_image_init(&image, 2);
        const char *literals[] = {id, value};
        set_image(&image, 2, literals);
        if (operation == ROW_OPERATION_UPDATE && bench->partial > 0)
                image.complete = ++bench->updates % bench->partial != 0;
        g_autoptr(GString) key = g_string_new(NULL);
        key_append_from_image(key, bench->table.schema, &image);
        if (bench->packets->len == 0)
                g_ptr_array_add(bench->packets, packet_new());
        packet_add(g_ptr_array_index(bench->packets, bench->packets->len - 1), &bench->table, operation, key->str, key->len,
                   key_hash(key->str, key->len), &image, false, false);
        row_image_clear(&image);
}

/* --- a server for the statements that are written here --- */

typedef struct Result {
        guint64 affected, records, duplicates;
} Result;

static const char *expect(const char *p, const char *text) {
        if (!g_str_has_prefix(p, text))
                g_error("expected '%s' at '%.60s'", text, p);
        return p + strlen(text);
}

/* "(1,'a')": digits, then a value without commas and parentheses. */
static const char *take_tuple(const char *p, char **ret_id, char **ret_value) {
        p = expect(p, "(");
        const char *comma = strchr(p, ','), *close = strchr(p, ')');
        *ret_id = g_strndup(p, (gsize) (comma - p));
        *ret_value = g_strndup(comma + 1, (gsize) (close - comma - 1));
        return close + 1;
}

static const char *run_insert(GHashTable *rows, const char *p, Result *result) {
        g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free), values = g_ptr_array_new_with_free_func(g_free);
        p = expect(p, "INSERT INTO `db`.`t` (`id`,`v`) VALUES ");
        do {
                char *id, *value;
                if (*p == ',')
                        p++;
                p = take_tuple(p, &id, &value);
                g_ptr_array_add(ids, id);
                g_ptr_array_add(values, value);
        } while (*p == ',');
        bool upsert = *p == ' ';
        if (upsert)
                p = expect(p, " ON DUPLICATE KEY UPDATE `v`=VALUES(`v`)");
        for (guint i = 0; i < ids->len; i++) {
                const char *id = ids->pdata[i];
                bool exists = g_hash_table_contains(rows, id);
                if (exists && !upsert)
                        g_error("duplicate key %s", id);
                result->records++;
                result->duplicates += exists;
                result->affected += exists ? 2 : 1;
                g_hash_table_replace(rows, g_strdup(id), g_strdup(values->pdata[i]));
        }
        return p;
}

static const char *run_delete(GHashTable *rows, const char *p, Result *result) {
        p = expect(p, "DELETE FROM `db`.`t` WHERE `id` IN (");
        for (;;) {
                gsize n = strcspn(p, ",)");
                g_autofree char *id = g_strndup(p, n);
                result->affected += g_hash_table_remove(rows, id);
                p += n;
                if (*p++ == ')')
                        return p;
        }
}

static const char *run_update(GHashTable *rows, const char *p, Result *result) {
        p = expect(p, "UPDATE `db`.`t` SET `id`=");
        gsize n = strcspn(p, ",");
        g_autofree char *id = g_strndup(p, n);
        p = expect(p + n, ",`v`=");
        n = strcspn(p, " ");
        g_autofree char *value = g_strndup(p, n);
        p = expect(p + n, " WHERE `id`=");
        p = expect(p, id);
        if (g_hash_table_contains(rows, id)) {
                result->affected++;
                g_hash_table_replace(rows, g_strdup(id), g_strdup(value));
        }
        return p;
}

/* Runs the batch; every count must be as the batch expects it. */
static void run_batch(const Batch *batch, GHashTable *rows, gsize max_statement) {
        gsize at = 0;
        for (guint i = 0; i < batch->statements->len; i++) {
                const BatchStatement *statement = &g_array_index(batch->statements, BatchStatement, i);
                g_assert_cmpuint(statement->start, ==, at);
                at += statement->size;
                g_autofree char *sql = g_strndup(batch->text->str + statement->start, statement->size);
                Result result = {0};
                const char *end = *sql == 'I' ? run_insert(rows, sql, &result) : *sql == 'D' ? run_delete(rows, sql, &result)
                                                                                              : run_update(rows, sql, &result);
                g_assert_cmpstr(end, ==, ";");
                if (statement->rule == COUNT_AFFECTED)
                        g_assert_cmpuint(result.affected, ==, statement->expected);
                else {
                        g_assert_cmpuint(result.records, ==, statement->expected);
                        g_assert_cmpuint(result.duplicates, ==, statement->expected);
                        g_assert_cmpuint(statement->expected, >=, 2); /* mysql_info() says nothing about one row */
                }
                /* the suffix and the second copy of a single row come on top */
                g_assert_cmpuint(statement->size, <=, MAX(max_statement, 100) + 120);
        }
        g_assert_cmpuint(at, ==, batch->text->len);
}

static GHashTable *rows_new(void) {
        return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static void assert_same(GHashTable *a, GHashTable *b) {
        g_assert_cmpuint(g_hash_table_size(a), ==, g_hash_table_size(b));
        GHashTableIter iter;
        gpointer key, value;
        g_hash_table_iter_init(&iter, a);
        while (g_hash_table_iter_next(&iter, &key, &value))
                g_assert_cmpstr(g_hash_table_lookup(b, key), ==, value);
}

/* --- tests --- */

/* Every series of up to five changes of one key. */
static void test_series(gconstpointer data) {
        bool ordered = GPOINTER_TO_INT(data);
        guint total = 1;
        for (guint length = 1; length <= 5; length++) {
                total *= 3;
                for (guint code = 0; code < total; code++) {
                        Bench bench;
                        bench_init(&bench, ordered);
                        g_autoptr(GHashTable) rows = rows_new(), expected = rows_new();
                        bool possible = true, exists = code % 3 != ROW_OPERATION_INSERT, existed = exists;
                        if (exists) {
                                g_hash_table_replace(rows, g_strdup("7"), g_strdup("'old'"));
                                g_hash_table_replace(expected, g_strdup("7"), g_strdup("'old'"));
                        }
                        for (guint i = 0, left = code; i < length; i++, left /= 3) {
                                RowOperation operation = (RowOperation) (left % 3);
                                g_autofree char *value = g_strdup_printf("'v%u'", i);
                                possible = possible && exists == (operation != ROW_OPERATION_INSERT);
                                exists = operation != ROW_OPERATION_DELETE;
                                if (exists)
                                        g_hash_table_replace(expected, g_strdup("7"), g_strdup(value));
                                else
                                        g_hash_table_remove(expected, "7");
                                add(&bench, operation, "7", value);
                        }
                        g_autoptr(GError) error = NULL;
                        bool good = batch_build(&bench.batch, bench.packets, &mysql56, 1000, &error);
                        g_assert_cmpuint(bench.batch.changes, ==, length);
                        if (!ordered) {
                                g_assert_cmpint(good, ==, possible);
                                if (!good)
                                        g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
                        }
                        if (good && possible) {
                                run_batch(&bench.batch, rows, 1000);
                                assert_same(rows, expected);
                                guint n = bench.batch.statements->len;
                                if (!ordered) /* one at most, and none when nothing is left of it */
                                        g_assert_cmpuint(n, ==, existed || exists ? 1 : 0);
                        }
                        bench_clear(&bench);
                }
        }
}

static void random_batch(bool ordered, guint partial, GRand *rand) {
        Bench bench;
        bench_init(&bench, ordered);
        bench.partial = partial;
        g_autoptr(GHashTable) rows = rows_new(), expected = rows_new();
        guint keys = (guint) g_rand_int_range(rand, 1, 40);
        for (guint k = 0; k < keys; k += 2) {
                g_hash_table_replace(rows, g_strdup_printf("%u", k), g_strdup("'old'"));
                g_hash_table_replace(expected, g_strdup_printf("%u", k), g_strdup("'old'"));
        }
        for (int i = g_rand_int_range(rand, 0, 200); i > 0; i--) {
                if (g_rand_int_range(rand, 0, 8) == 0)
                        g_ptr_array_add(bench.packets, packet_new());
                g_autofree char *id = g_strdup_printf("%d", g_rand_int_range(rand, 0, (gint) keys));
                g_autofree char *value = g_strdup_printf("'%0*d'", g_rand_int_range(rand, 1, 60), i);
                bool exists = g_hash_table_contains(expected, id);
                RowOperation operation = !exists                          ? ROW_OPERATION_INSERT :
                                         g_rand_int_range(rand, 0, 3) == 0 ? ROW_OPERATION_DELETE :
                                                                             ROW_OPERATION_UPDATE;
                add(&bench, operation, id, value);
                if (operation == ROW_OPERATION_DELETE)
                        g_hash_table_remove(expected, id);
                else
                        g_hash_table_replace(expected, g_strdup(id), g_strdup(value));
        }
        gsize max_statement = (gsize) g_rand_int_range(rand, 1, 1500);
        g_autoptr(GError) error = NULL;
        for (int again = 0; again < 2; again++) /* a batch can be built again */
                g_assert_true(batch_build(&bench.batch, bench.packets, &mysql56, max_statement, &error));
        run_batch(&bench.batch, rows, max_statement);
        assert_same(rows, expected);
        bench_clear(&bench);
}

static void test_random(gconstpointer data) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(5);
        for (int i = 0; i < 1000; i++)
                random_batch(GPOINTER_TO_INT(data), /* partial= */ 0, rand);
}

static void test_random_partial(gconstpointer data) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(6);
        for (guint i = 0; i < 1000; i++)
                random_batch(GPOINTER_TO_INT(data), 1 + i % 5, rand);
}

static void test_bounds(void) {
        Bench bench;
        bench_init(&bench, /* ordered= */ false);
        for (int i = 0; i < 2500; i++) {
                g_autofree char *id = g_strdup_printf("%d", i);
                add(&bench, ROW_OPERATION_INSERT, id, "'x'");
        }
        g_assert_true(batch_build(&bench.batch, bench.packets, &mysql56, 1 << 20, NULL));
        g_assert_cmpuint(bench.batch.statements->len, ==, 3); /* 1000 rows each */
        guint64 sum = 0;
        for (guint i = 0; i < 3; i++)
                sum += g_array_index(bench.batch.statements, BatchStatement, i).expected;
        g_assert_cmpuint(sum, ==, 2500);
        g_assert_cmpuint(packet_weight(bench.packets->pdata[0]), >, 2500 * sizeof(Change));
        bench_clear(&bench);

        bench_init(&bench, /* ordered= */ false);
        g_assert_true(batch_build(&bench.batch, bench.packets, &mysql56, 1000, NULL));
        g_assert_cmpuint(bench.batch.statements->len, ==, 0);
        bench_clear(&bench);
}

/* An update of a row that fits the server's packet once but not twice. */
static void test_large_row(void) {
        Bench bench;
        bench_init(&bench, /* ordered= */ false);
        g_autofree char *text = g_strnfill(5000, 'x'), *value = g_strdup_printf("'%s'", text);
        add(&bench, ROW_OPERATION_UPDATE, "1", "'a'");
        add(&bench, ROW_OPERATION_UPDATE, "2", value);
        add(&bench, ROW_OPERATION_UPDATE, "3", "'c'");
        g_assert_true(batch_build(&bench.batch, bench.packets, &mysql56, 4000, NULL));
        g_autoptr(GHashTable) rows = rows_new();
        for (int i = 1; i <= 3; i++)
                g_hash_table_replace(rows, g_strdup_printf("%d", i), g_strdup("'old'"));
        run_batch(&bench.batch, rows, 5000);
        g_assert_cmpstr(g_hash_table_lookup(rows, "1"), ==, "'a'");
        g_assert_cmpstr(g_hash_table_lookup(rows, "2"), ==, value);
        g_assert_cmpstr(g_hash_table_lookup(rows, "3"), ==, "'c'");
        bench_clear(&bench);
}

/* Literals that are not equal to the stored value when they stand in IN (…), and keys of several columns. */
static void test_delete_keys(void) {
        static const struct {
                const char *columns, *key;
                const char *literals[2];
                const char *sql;
        } table[] = {
                { "column a text 0 0 0 0 0 0 0 0 latin1_bin varchar(9)\ncolumn b integer 0 0 0 0 0 0 0 4 - int(11)", "a",
                  { "'x'", "1" }, "DELETE FROM `db`.`t` WHERE `a` IN ('x');" },
                { "column a float 0 0 0 0 0 0 0 0 - float\ncolumn b integer 0 0 0 0 0 0 0 4 - int(11)", "a",
                  { "0.1", "1" }, "DELETE FROM `db`.`t` WHERE (`a`=0.10000000149011612e0);" },
                { "column a bit 0 0 0 9 0 0 0 0 - bit(9)\ncolumn b integer 0 0 0 0 0 0 0 4 - int(11)", "a",
                  { "x'0101'", "1" }, "DELETE FROM `db`.`t` WHERE (`a`=257);" },
                { "column a integer 0 0 0 0 0 0 0 4 - int(11)\ncolumn b text 0 0 0 0 0 0 0 0 latin1_bin varchar(9)", "b,a",
                  { "1", "'y'" }, "DELETE FROM `db`.`t` WHERE (`b`='y' AND `a`=1);" },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                LinkTable link = {.schema = fixture_table(table[i].columns, table[i].key), .ordered = true};
                g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
                g_autoptr(GString) key = g_string_new(NULL);
                RowImage image;
                Batch batch;
                batch_init(&batch);
                row_image_init(&image, 2);
                set_image(&image, 2, table[i].literals);
                key_append_from_image(key, link.schema, &image);
                Packet *packet = packet_new();
                g_ptr_array_add(packets, packet);
                packet_add(packet, &link, ROW_OPERATION_DELETE, key->str, key->len, 1, &image, false, false);
                g_assert_true(batch_build(&batch, packets, &mysql56, 1000, NULL));
                g_assert_cmpstr(batch.text->str, ==, table[i].sql);
                row_image_clear(&image);
                batch_clear(&batch);
                fixture_table_free(link.schema);
        }
}

/* 'a' and 'A' are one key under the table's collation, so their hashes are the same, and at most one of them is there at any time. Each
 * spelling is folded by itself: what is left removes the first one and adds the last one, in this order. */
static void test_spellings(void) {
        static const struct {
                const char *changes[7]; /* operation and key */
                const char *sql;
        } table[] = {
                {{"Ua", "Da", "IA", "UA"}, "DELETE FROM `db`.`t` WHERE `k` IN ('a');INSERT INTO `db`.`t` (`k`) VALUES ('A');"},
                {{"Da", "IA", "DA"}, "DELETE FROM `db`.`t` WHERE `k` IN ('a');"},
                {{"Ia", "Da", "IA"}, "INSERT INTO `db`.`t` (`k`) VALUES ('A');"},
                {{"Ia", "Da", "IA", "DA"}, ""},
                {{"DA", "Ia", "Da", "IA"},
                 "INSERT INTO `db`.`t` (`k`) VALUES ('A'),('A') ON DUPLICATE KEY UPDATE `db`.`t`.`k`=`db`.`t`.`k`;"},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                LinkTable link = {.schema = fixture_table("column k text 0 0 0 0 0 0 0 0 latin1_swedish_ci varchar(9)", "k")};
                g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
                Packet *packet = packet_new();
                g_ptr_array_add(packets, packet);
                RowImage image;
                row_image_init(&image, 1);
                for (const char *const *change = table[i].changes; *change; change++) {
                        char literal[] = {'\'', (*change)[1], '\'', '\0'};
                        const char *literals[] = {literal};
                        set_image(&image, 1, literals);
                        packet_add(packet, &link,
                                   **change == 'I' ? ROW_OPERATION_INSERT : **change == 'U' ? ROW_OPERATION_UPDATE : ROW_OPERATION_DELETE,
                                   literal, sizeof literal, /* hash= */ 7, &image, false, false);
                }
                Batch batch;
                batch_init(&batch);
                GError *error = NULL;
                batch_build(&batch, packets, &mysql56, 1000, &error);
                g_assert_no_error(error);
                g_assert_cmpstr(batch.text->str, ==, table[i].sql);
                batch_clear(&batch);
                row_image_clear(&image);
                fixture_table_free(link.schema);
        }
}

/* Generated columns are not written, in no form. */
static void test_generated(void) {
        LinkTable link = {.schema = fixture_table("column id integer 0 0 0 0 0 0 0 8 - bigint(20)\n"
                                                  "column g integer 0 0 1 0 0 0 0 8 - bigint(20)\n"
                                                  "column e enum 0 0 0 3 0 0 0 0 latin1_bin enum", "id")};
        RowImage image;
        row_image_init(&image, 3);
        const char *literals[] = {"5", "6", "0"};
        set_image(&image, 3, literals);
        g_autoptr(GString) tuple = g_string_new(NULL);
        change_append_tuple(tuple, link.schema, &image);
        g_assert_cmpstr(tuple->str, ==, "(5,0)");
        g_assert_cmpuint(change_enum_zeros(link.schema, &image), ==, 1);

        g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
        Packet *packet = packet_new();
        Batch batch;
        batch_init(&batch);
        g_ptr_array_add(packets, packet);
        link.ordered = true;
        packet_add(packet, &link, ROW_OPERATION_UPDATE, "5", 2, 1, &image, false, false);
        g_assert_true(batch_build(&batch, packets, &mysql56, 1000, NULL));
        g_assert_cmpstr(batch.text->str, ==, "UPDATE `db`.`t` SET `id`=5,`e`=0 WHERE `id`=5;");
        g_assert_cmpuint(g_array_index(batch.statements, BatchStatement, 0).warnings, ==, 1);
        batch_clear(&batch);
        row_image_clear(&image);
        fixture_table_free(link.schema);
}

/* --- tables without a key --- */

#define KEYLESS "column d double 0 1 0 0 0 0 0 0 - double\ncolumn v text 0 1 0 0 0 0 0 0 latin1_bin varchar(9)\n" \
        "column e enum 0 1 0 3 0 0 0 0 latin1_bin enum"

static void add_image(Packet *packet, LinkTable *table, RowOperation operation, const char *d, const char *v, const char *e) {
        RowImage image;
        row_image_init(&image, 3);
        const char *literals[] = {d, v, e};
        set_image(&image, 3, literals);
        g_autoptr(GString) tuple = g_string_new(NULL);
        multiset_append_tuple(tuple, table, &image);
        packet_add(packet, table, operation, tuple->str, tuple->len, key_hash(tuple->str, tuple->len), &image, /* cascades= */ false,
                   /* maybe_gone= */ false);
        row_image_clear(&image);
}

static gint64 net_of(const Batch *batch, const char *tuple) {
        const Multiset *set = g_ptr_array_index(batch->multisets, 0);
        const MultisetItem *item = multiset_find(set, tuple, strlen(tuple), key_hash(tuple, strlen(tuple)));
        return item ? item->net : G_MAXINT64;
}

/* Random changes come to the difference between the rows before and after them, image by image. */
static void test_multiset(void) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(7);
        for (int round = 0; round < 200; round++) {
                LinkTable table = {.schema = fixture_table(KEYLESS, ""), .multiset = true, .ordered = true};
                g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
                Batch batch;
                gint64 net[40] = {0};
                bool seen[40] = {false};
                batch_init(&batch);
                for (int i = g_rand_int_range(rand, 1, 300); i > 0; i--) {
                        if (packets->len == 0 || g_rand_int_range(rand, 0, 9) == 0)
                                g_ptr_array_add(packets, packet_new());
                        int which = g_rand_int_range(rand, 0, 40);
                        RowOperation operation = g_rand_boolean(rand) ? ROW_OPERATION_INSERT : ROW_OPERATION_DELETE;
                        g_autofree char *d = g_strdup_printf("%d", which);
                        add_image(packets->pdata[packets->len - 1], &table, operation, d, "'a,)\\'('", "0");
                        net[which] += operation == ROW_OPERATION_INSERT ? 1 : -1;
                        seen[which] = true;
                }
                for (int again = 0; again < 2; again++)
                        g_assert_true(batch_build(&batch, packets, &mysql56, 1000, NULL));
                g_assert_cmpuint(batch.statements->len, ==, 1);
                g_assert_cmpint(g_array_index(batch.statements, BatchStatement, 0).rule, ==, COUNT_MULTISET);
                g_assert_cmpuint(batch.text->len, ==, 0);
                g_assert_cmpuint(batch.multisets->len, ==, 1);
                for (int i = 0; i < 40; i++) {
                        g_autofree char *tuple = g_strdup_printf("(%d,'a,)\\'(',0)", i);
                        g_assert_cmpint(net_of(&batch, tuple), ==, seen[i] ? net[i] : G_MAXINT64);
                }
                const Multiset *set = g_ptr_array_index(batch.multisets, 0);
                for (guint i = 0; i < set->items->len; i++) /* known of what goes, too: some of it may have to come back */
                        g_assert_cmpuint(g_array_index(set->items, MultisetItem, i).enum_zeros, ==, 1);
                batch_clear(&batch);
                fixture_table_free(table.schema);
        }
}

static void test_multiset_zeros(gconstpointer data) {
        bool alike = GPOINTER_TO_INT(data);
        LinkTable table = {.schema = fixture_table(KEYLESS, ""), .multiset = true, .ordered = true, .zeros_alike = alike};
        g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify) packet_free);
        Batch batch;
        batch_init(&batch);
        g_ptr_array_add(packets, packet_new());
        add_image(packets->pdata[0], &table, ROW_OPERATION_DELETE, "-0e0", "'-0e0'", "1");
        add_image(packets->pdata[0], &table, ROW_OPERATION_INSERT, "0", "'-0e0'", "1");
        g_assert_true(batch_build(&batch, packets, &mysql56, 1000, NULL));
        g_assert_cmpint(net_of(&batch, "(0,'-0e0',1)"), ==, alike ? 0 : 1);
        g_assert_cmpint(net_of(&batch, "(-0e0,'-0e0',1)"), ==, alike ? G_MAXINT64 : -1);
        batch_clear(&batch);
        fixture_table_free(table.schema);
}

/* What rows are looked for by. No list has one value alone: a server would put it in the place of the column, where 0 is not -0. */
static void test_multiset_filter(void) {
        static const struct {
                const char *tuples[2];
                const char *sql;
        } table[] = {
                { { "(0,NULL,1)", "(0,NULL,2)" }, "(`d` IN (0e0,0e0)) AND (`v` IS NULL)" },
                { { "(NULL,'a',1)", "(2,'a',2)" }, "(`d` IN (2e0,2e0) OR `d` IS NULL) AND (CRC32(`v`) IN (3904355907,3904355907))" },
                { { "(NULL,NULL,1)", "(NULL,'\\'\\\\',0)" }, "(`d` IS NULL) AND (CRC32(`v`) IN (4190223685,4190223685) OR `v` IS NULL)" },
        };
        TableSchema *schema = fixture_table(KEYLESS, "");
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
                MultisetItem items[2];
                g_autoptr(GPtrArray) list = g_ptr_array_new();
                g_autoptr(GString) sql = g_string_new(NULL);
                for (guint k = 0; k < 2; k++) {
                        items[k] = (MultisetItem){.tuple = table[i].tuples[k], .size = strlen(table[i].tuples[k])};
                        g_ptr_array_add(list, &items[k]);
                }
                multiset_append_filter(sql, schema, list, 1000);
                g_assert_cmpstr(sql->str, ==, table[i].sql);
                g_string_truncate(sql, 0);
                multiset_append_filter(sql, schema, list, 0); /* no room for any value */
                g_assert_true(strcmp(sql->str, "TRUE") == 0 || strstr(sql->str, "IS NULL"));
        }
        fixture_table_free(schema);
}

/* What cascades stands alone, with foreign_key_checks=1, and nothing is folded across it. */
static void test_cascades(void) {
        Bench bench;
        bench_init(&bench, /* ordered= */ false);
        RowImage image;
        row_image_init(&image, 2);
        const char *literals[] = {"9", "'z'"};
        set_image(&image, 2, literals);
        add(&bench, ROW_OPERATION_INSERT, "1", "'a'");
        add(&bench, ROW_OPERATION_INSERT, "2", "'b'");
        Packet *packet = g_ptr_array_index(bench.packets, 0);
        packet_add(packet, &bench.table, ROW_OPERATION_DELETE, "1", 2, 1, &image, /* cascades= */ true, false);
        packet_add(packet, &bench.table, ROW_OPERATION_UPDATE, "2", 2, 2, &image, /* cascades= */ true, false);
        packet_add(packet, &bench.table, ROW_OPERATION_DELETE, "3", 2, 3, &image, false, /* maybe_gone= */ true);
        add(&bench, ROW_OPERATION_INSERT, "1", "'c'");
        packet_add(packet, &bench.table, ROW_OPERATION_DELETE, "4", 2, 4, &image, /* cascades= */ true, /* maybe_gone= */ true);
        g_assert_true(batch_build(&bench.batch, bench.packets, &mysql56, 1000, NULL));
        g_assert_cmpstr(bench.batch.text->str, ==,
                        "INSERT INTO `db`.`t` (`id`,`v`) VALUES (1,'a'),(2,'b');"
                        "SET foreign_key_checks=1;DELETE FROM `db`.`t` WHERE `id` IN (1);"
                        "UPDATE `db`.`t` SET `id`=9,`v`='z' WHERE `id`=2;"
                        "SET foreign_key_checks=0;DELETE FROM `db`.`t` WHERE `id` IN (3);"
                        "INSERT INTO `db`.`t` (`id`,`v`) VALUES (1,'c');"
                        "SET foreign_key_checks=1;DELETE FROM `db`.`t` WHERE `id` IN (4);SET foreign_key_checks=0;");
        static const CountRule rules[] = {COUNT_AFFECTED, COUNT_NOTHING, COUNT_AFFECTED, COUNT_AFFECTED, COUNT_NOTHING,
                                          COUNT_AT_MOST,  COUNT_AFFECTED, COUNT_NOTHING, COUNT_AT_MOST,  COUNT_NOTHING};
        g_assert_cmpuint(bench.batch.statements->len, ==, G_N_ELEMENTS(rules));
        for (gsize i = 0; i < G_N_ELEMENTS(rules); i++)
                g_assert_cmpint(g_array_index(bench.batch.statements, BatchStatement, i).rule, ==, rules[i]);
        row_image_clear(&image);
        bench_clear(&bench);
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_data_func("/change/series/folded", GINT_TO_POINTER(false), test_series);
        g_test_add_data_func("/change/series/ordered", GINT_TO_POINTER(true), test_series);
        g_test_add_data_func("/change/random/folded", GINT_TO_POINTER(false), test_random);
        g_test_add_data_func("/change/random/ordered", GINT_TO_POINTER(true), test_random);
        g_test_add_data_func("/change/random-partial/folded", GINT_TO_POINTER(false), test_random_partial);
        g_test_add_data_func("/change/random-partial/ordered", GINT_TO_POINTER(true), test_random_partial);
        g_test_add_func("/change/bounds", test_bounds);
        g_test_add_func("/change/large-row", test_large_row);
        g_test_add_func("/change/delete-keys", test_delete_keys);
        g_test_add_func("/change/spellings", test_spellings);
        g_test_add_func("/change/generated", test_generated);
        g_test_add_func("/change/multiset", test_multiset);
        g_test_add_data_func("/change/multiset/zeros-alike", GINT_TO_POINTER(true), test_multiset_zeros);
        g_test_add_data_func("/change/multiset/zeros-apart", GINT_TO_POINTER(false), test_multiset_zeros);
        g_test_add_func("/change/multiset/filter", test_multiset_filter);
        g_test_add_func("/change/cascades", test_cascades);
        return g_test_run();
}
