/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text order computed here against the server's own: by hand where no server is needed, and on servers (live.h) for every collation that
 * is taken for simple, with every character, with spaces, control characters and NULs at the end, and with random strings. */

#include "live.h"

#include "mysql/collation-load.h"
#include "mysql/sql.h"
#include "mysql/value.h"

typedef struct Word {
        GBytes *bytes;
        char *literal;
} Word;

static void word_free(gpointer data) {
        Word *word = data;
        g_bytes_unref(word->bytes);
        g_free(word->literal);
        g_free(word);
}

static int compare_words(const void *a, const void *b, gpointer userdata) {
        const Word *x = *(Word *const *) a, *y = *(Word *const *) b;
        int order = collation_compare(userdata, x->literal, y->literal);
        return order != 0 ? order : g_bytes_compare(x->bytes, y->bytes);
}

static void add_word(GPtrArray *words, const GString *bytes) {
        Word *word = g_new0(Word, 1);
        GString *literal = g_string_new(NULL);
        sql_append_string(literal, bytes->str, bytes->len);
        word->bytes = g_bytes_new(bytes->str, bytes->len);
        word->literal = g_string_free(literal, FALSE);
        g_ptr_array_add(words, word);
}

/* --- without a server --- */

static Collation *made_up(CharForm form, guint16 (*weight)(guint c), guint16 above) {
        g_autofree guint16 *weights = g_new(guint16, collation_n_weights(form));
        for (guint c = 0; c < collation_n_weights(form); c++)
                weights[c] = weight(c);
        return collation_new(form, weights, above);
}

static guint16 upper(guint c) {
        return (guint16) (c >= 'a' && c <= 'z' ? c - 32 : c);
}

static guint16 digits_alike(guint c) {
        return (guint16) (c >= '0' && c <= '9' ? '0' : c);
}

static guint16 dotless(guint c) {
        return (guint16) (c == 'i' ? '1' : c);
}

static guint64 hash_of(const Collation *collation, const char *literal) {
        return collation_hash(collation, G_GUINT64_CONSTANT(0xcbf29ce484222325), literal);
}

static void assert_order(const Collation *collation, const char *const *ascending) {
        for (guint i = 0; ascending[i]; i++)
                for (guint k = 0; ascending[k]; k++) {
                        int order = collation_compare(collation, ascending[i], ascending[k]);
                        if ((order > 0) - (order < 0) != (i > k) - (i < k))
                                g_error("%s and %s: %d", ascending[i], ascending[k], order);
                        g_assert_true((hash_of(collation, ascending[i]) == hash_of(collation, ascending[k])) == (i == k));
                }
}

static void assert_same(const Collation *collation, const char *a, const char *b) {
        g_assert_cmpint(collation_compare(collation, a, b), ==, 0);
        g_assert_cmpuint(hash_of(collation, a), ==, hash_of(collation, b));
}

static void test_bytes(void) {
        g_autoptr(Collation) collation = made_up(CHAR_FORM_BYTE, upper, 0);
        static const char *const ascending[] = {"'\\0'", "'\\n'", "''", "'a\\0'", "'A\\n'", "'a'", "'a  b'", "'a!'", "'aB'", "'b'",
                                                "'b\\\\'", "'\xe9'", NULL};
        assert_order(collation, ascending);
        assert_same(collation, "'a'", "'A  '");
        assert_same(collation, "''", "'   '");
        assert_same(collation, "'it\\'S'", "'IT\\'s '");
        g_assert_cmpuint(hash_of(collation, "'a b'"), !=, hash_of(collation, "'a  b'"));
}

static void test_forms(void) {
        static const struct {
                CharForm form;
                const char *ascending[8];
                const char *same[2];
        } cases[] = {
                {CHAR_FORM_UTF8,
                 {"'\t'", "''", "'a'", "'\xc3\xa9'", "'\xe2\x82\xac'", "'\xf0\x9f\x98\x80'", "'\xf0\x9f\x98\x80\x61'", NULL},
                 {"'\xf0\x9f\x98\x80'", "'\xf0\x9f\x98\x81 '"}},
                {CHAR_FORM_UCS2, {"'\\0\t'", "''", "'\\0a'", "'\\0\xe9'", "' \xac'", NULL}, {"'\\0a'", "'\\0A\\0 '"}},
                {CHAR_FORM_UTF16, {"'\\0\t'", "''", "'\\0a'", "' \xac'", "'\xd8=\xde\\0'", NULL}, {"'\xd8=\xde\\0'", "'\xd8=\xde\x01'"}},
                {CHAR_FORM_UTF16LE, {"'\t\\0'", "''", "'a\\0'", "'\xac '", "'=\xd8\\0\xde'", NULL}, {"'=\xd8\\0\xde'", "'=\xd8\x01\xde'"}},
                {CHAR_FORM_UTF32, {"'\\0\\0\\0\t'", "''", "'\\0\\0\\0a'", "'\\0\\0 \xac'", NULL}, {"'\\0\x01\xf6\\0'", "'\\0\x01\xf6\x01'"}},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(Collation) collation = made_up(cases[i].form, upper, 0xfffd);
                assert_order(collation, cases[i].ascending);
                assert_same(collation, cases[i].same[0], cases[i].same[1]);
        }
}

/* Whatever bytes there are: an order, and nothing read behind the end. */
static void test_ill_formed(void) {
        static const char *const literals[] = {"'\x80'", "'\xc3'", "'\xc3\xc3'", "'\xe2\x82'", "'\xe2\x82\\0'", "'\xf0\x9f\x98'", "'\xff'",
                                               "'\xf5\x80\x80\x80'", "'\\", "'", "", "a", "'\xd8='", "'\xd8'", "'\\0\\0\\0'"};
        for (CharForm form = 0; form < _CHAR_FORM_MAX; form++) {
                g_autoptr(Collation) collation = made_up(form, upper, 0xfffd);
                for (gsize i = 0; i < G_N_ELEMENTS(literals); i++)
                        for (gsize k = 0; k < G_N_ELEMENTS(literals); k++) {
                                int ab = collation_compare(collation, literals[i], literals[k]);
                                int ba = collation_compare(collation, literals[k], literals[i]);
                                g_assert_true((ab > 0) - (ab < 0) == (ba < 0) - (ba > 0));
                                (void) hash_of(collation, literals[i]);
                        }
        }
}

static void test_join(void) {
        g_autoptr(Collation) a = made_up(CHAR_FORM_BYTE, digits_alike, 0), b = made_up(CHAR_FORM_BYTE, upper, 0);
        g_autoptr(Collation) c = made_up(CHAR_FORM_BYTE, dotless, 0);
        g_autoptr(Collation) ab = collation_join(a, b), ac = collation_join(a, c), aa = collation_join(a, a);
        g_assert_cmpint(collation_compare(ab, "'1'", "'2'"), ==, 0); /* the order of the first */
        g_assert_cmpint(collation_compare(ab, "'x'", "'X'"), !=, 0);
        g_assert_cmpuint(hash_of(ab, "'x1'"), ==, hash_of(ab, "'X2 '"));
        g_assert_cmpuint(hash_of(ab, "'x'"), !=, hash_of(ab, "'y'"));
        g_assert_cmpuint(hash_of(ac, "'i'"), ==, hash_of(ac, "'7'")); /* by way of '1' */
        g_assert_cmpuint(hash_of(ac, "'i'"), !=, hash_of(ac, "'I'"));
        g_assert_cmpuint(collation_digest(aa), !=, collation_digest(ab));
        g_assert_cmpuint(collation_digest(ab), !=, collation_digest(ac));
        g_autoptr(Collation) again = collation_join(a, b);
        g_assert_cmpuint(collation_digest(ab), ==, collation_digest(again));
}

/* --- on servers --- */

static guint32 random_char(GRand *random, CharForm form) {
        static const guint32 special[] = {0, '\t', '\n', ' ', ' ', ' ', '!', '\'', '\\', 0x1a, 0x7f, 0xdf, 0xe9, 0x131, 0xa0, 0xfffd, 0xffff};
        switch (g_rand_int_range(random, 0, 4)) {
        case 0:
                return special[g_rand_int_range(random, 0, form == CHAR_FORM_BYTE ? 11 : (gint32) G_N_ELEMENTS(special))];
        case 1:
                return (guint32) g_rand_int_range(random, '0', 'z');
        default:
                break;
        }
        if (form == CHAR_FORM_BYTE)
                return (guint32) g_rand_int_range(random, 0, 256);
        guint32 c = (guint32) g_rand_int_range(random, 0, g_rand_boolean(random) ? 0x600 : 0x10000);
        return c >= 0xd800 && c < 0xe000 ? 0x20ac : c;
}

static void append_char(GString *out, CharForm form, bool wide, guint32 c) {
        char utf8[6];
        switch (form) {
        case CHAR_FORM_UTF8:
                g_string_append_len(out, utf8, g_unichar_to_utf8(wide && c % 7 == 0 && c > 255 ? c + 0x10000 : c, utf8));
                return;
        case CHAR_FORM_UCS2:
        case CHAR_FORM_UTF16:
                g_string_append_c(out, (char) (c >> 8));
                g_string_append_c(out, (char) c);
                return;
        case CHAR_FORM_UTF16LE:
                g_string_append_c(out, (char) c);
                g_string_append_c(out, (char) (c >> 8));
                return;
        case CHAR_FORM_UTF32:
                g_string_append_len(out, "\0", 1);
                g_string_append_c(out, (char) (wide && c % 7 == 0 && c > 255));
                g_string_append_c(out, (char) (c >> 8));
                g_string_append_c(out, (char) c);
                return;
        case CHAR_FORM_BYTE:
        case _CHAR_FORM_MAX:
        case _CHAR_FORM_INVALID:
                break;
        }
        g_string_append_c(out, (char) c);
}

static GPtrArray *make_words(CharForm form, bool wide, guint singles, guint randoms, GRand *random) {
        GPtrArray *words = g_ptr_array_new_with_free_func(word_free);
        g_autoptr(GString) bytes = g_string_new(NULL);
        for (guint32 c = 0; c < singles; c++) {
                if (c >= 0xd800 && c < 0xe000)
                        continue;
                for (guint shape = 0; shape < (c < 256 ? 3 : 1); shape++) { /* c, ac, "c " */
                        g_string_truncate(bytes, 0);
                        if (shape == 1)
                                append_char(bytes, form, false, 'a');
                        append_char(bytes, form, false, c);
                        if (shape == 2)
                                append_char(bytes, form, false, ' ');
                        add_word(words, bytes);
                }
        }
        for (guint i = 0; i < randoms; i++) {
                g_string_truncate(bytes, 0);
                guint length = (guint) g_rand_int_range(random, 0, 7);
                for (guint k = 0; k < length; k++)
                        append_char(bytes, form, wide, random_char(random, form));
                for (guint k = (guint) g_rand_int_range(random, -4, 4); k < 4; k++)
                        append_char(bytes, form, false, ' ');
                add_word(words, bytes);
        }
        return words;
}

/* Returns the number of warnings: about bytes that are no text, in the opinion of newer servers. */
static guint insert_words(Conn *conn, const GPtrArray *words) {
        g_autoptr(GString) sql = g_string_new(NULL);
        GError *error = NULL;
        guint warnings = 0;
        for (guint i = 0; i < words->len; i++) {
                g_string_append_printf(sql, "%s(%u,%s)", sql->len == 0 ? "INSERT INTO words VALUES " : ",", i,
                                       ((const Word *) words->pdata[i])->literal);
                if (sql->len < 200000 && i + 1 < words->len)
                        continue;
                ConnResult result;
                conn_exec(conn, sql->str, (gssize) sql->len, &result, &error);
                g_assert_no_error(error);
                warnings += result.warnings;
                g_string_truncate(sql, 0);
        }
        return warnings;
}

/* Leaves only those that the table holds as they are. */
static void drop_bad_words(Conn *conn, GPtrArray *words) {
        GError *error = NULL;
        char **row;
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT c FROM words ORDER BY n DESC", &error);
        g_assert_no_error(error);
        for (guint i = words->len; (row = conn_rows_take(rows)) && i > 0; i--) {
                gsize size;
                const void *bytes = g_bytes_get_data(((const Word *) words->pdata[i - 1])->bytes, &size);
                if (size != conn_rows_lengths(rows)[0] || memcmp(bytes, row[0], size) != 0)
                        g_ptr_array_remove_index(words, i - 1);
        }
        g_assert_cmpuint(words->len, >, 500);
}

/* Neighbours in our order: the server says the same of each two. And nothing is out of order in its index. */
static void compare_order(Conn *conn, const char *name, const Collation *collation, const GPtrArray *words) {
        GError *error = NULL;
        char **row;
        g_autoptr(ConnRows) rows = conn_query(
                conn, "SELECT a.n, a.c < b.c, a.c = b.c FROM words a JOIN words b ON b.n = a.n + 1 ORDER BY a.n", &error);
        g_assert_no_error(error);
        g_assert_cmpuint(conn_rows_count(rows), ==, words->len - 1);
        for (guint i = 0; (row = conn_rows_take(rows)); i++) {
                const Word *a = words->pdata[i], *b = words->pdata[i + 1];
                int order = collation_compare(collation, a->literal, b->literal);
                g_assert_cmpint(order, <=, 0);
                if ((order < 0) != (row[1][0] == '1') || (order == 0) != (row[2][0] == '1'))
                        g_error("%s: %s and %s are %d here, < %s = %s there", name, a->literal, b->literal, order, row[1], row[2]);
                /* Nearly always; that it is always so for equal ones is what matters. */
                if ((order == 0) != (hash_of(collation, a->literal) == hash_of(collation, b->literal)))
                        g_error("%s: the hashes of %s and %s", name, a->literal, b->literal);
        }
        g_autoptr(ConnRows) index = conn_query(conn, "SELECT n FROM words FORCE INDEX (c) ORDER BY c", &error);
        g_assert_no_error(error);
        const Word *before = NULL;
        while ((row = conn_rows_take(index))) {
                const Word *word = words->pdata[g_ascii_strtoull(row[0], NULL, 10)];
                if (before && collation_compare(collation, before->literal, word->literal) > 0)
                        g_error("%s: %s comes before %s in the index", name, before->literal, word->literal);
                before = word;
        }
}

/* What a chunk is read by: "c > literal" follows the column's collation, whatever the literal's. */
static void compare_range(Conn *conn, const char *name, const Collation *collation, const GPtrArray *words) {
        const Word *bound = words->pdata[words->len / 3];
        guint64 expected = 0, found;
        GError *error = NULL;
        for (guint i = 0; i < words->len; i++)
                expected += collation_compare(collation, ((const Word *) words->pdata[i])->literal, bound->literal) > 0;
        g_autofree char *sql = g_strdup_printf("SELECT COUNT(*) FROM words FORCE INDEX (c) WHERE c > %s", bound->literal);
        conn_query_uint64(conn, sql, &found, &error);
        g_assert_no_error(error);
        if (found != expected)
                g_error("%s: %" G_GUINT64_FORMAT " words, not %" G_GUINT64_FORMAT " are behind %s", name, found, expected, bound->literal);
}

static void compare_with_server(Conn *conn, const char *charset, const char *name, const Collation *collation, GRand *random) {
        static const struct {
                const char *charset;
                CharForm form;
                bool wide;
        } forms[] = {
                {"utf8", CHAR_FORM_UTF8, false}, {"utf8mb3", CHAR_FORM_UTF8, false}, {"utf8mb4", CHAR_FORM_UTF8, true},
                {"ucs2", CHAR_FORM_UCS2, false}, {"utf16", CHAR_FORM_UTF16, false}, {"utf16le", CHAR_FORM_UTF16LE, false},
                {"utf32", CHAR_FORM_UTF32, true},
        };
        CharForm form = CHAR_FORM_BYTE;
        char high_bytes[129] = "";
        for (guint i = 0; i < 128; i++)
                high_bytes[i] = (char) (128 + i);
        bool wide = false, whole = g_str_has_prefix(name, "utf8mb4_general"); /* every character of the BMP in one of them */
        for (gsize i = 0; i < G_N_ELEMENTS(forms); i++)
                if (g_str_equal(charset, forms[i].charset)) {
                        form = forms[i].form;
                        wide = forms[i].wide;
                }
        g_autoptr(GPtrArray) words = make_words(form, wide, whole ? 0x10000 : form == CHAR_FORM_BYTE ? 256 : 128, 1000, random);
        /* MySQL 9 stores anything in its 7-bit set, but takes no such literal. */
        for (guint i = words->len; g_str_equal(charset, "swe7") && i > 0; i--)
                if (strpbrk(((const Word *) words->pdata[i - 1])->literal, high_bytes))
                        g_ptr_array_remove_index(words, i - 1);
        g_ptr_array_sort_with_data(words, (GCompareDataFunc) compare_words, (gpointer) collation);

        g_autofree char *table = g_strdup_printf(
                "CREATE TABLE words (n INT PRIMARY KEY, c VARCHAR(12) CHARACTER SET %s COLLATE %s NOT NULL, KEY c (c)) ENGINE=InnoDB",
                charset, name);
        run(conn, "DROP TABLE IF EXISTS words");
        run(conn, table);
        if (insert_words(conn, words) > 0) {
                drop_bad_words(conn, words);
                run(conn, "DELETE FROM words");
                g_assert_cmpuint(insert_words(conn, words), ==, 0);
        }
        compare_order(conn, name, collation, words);
        compare_range(conn, name, collation, words);
}

static void test_order(const void *uri) {
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(GRand) random = g_rand_new_with_seed(5);
        g_autoptr(GHashTable) simple = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        GError *error = NULL;
        char **row;
        g_autoptr(ConnRows) rows = conn_query(conn, "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATIONS "
                                              "WHERE CHARACTER_SET_NAME IS NOT NULL", &error);
        g_assert_no_error(error);
        while ((row = conn_rows_take(rows))) {
                g_autoptr(Collation) collation = NULL;
                collation_load(conn, row[0], row[1], &collation, &error);
                g_assert_no_error(error);
                if (!collation)
                        continue;
                g_hash_table_add(simple, g_strdup(row[1]));
                compare_with_server(conn, row[0], row[1], collation, random);
        }
        g_test_message("%u simple collations", g_hash_table_size(simple));
        static const char *const expected[] = {"latin1_swedish_ci", "latin1_general_cs", "latin1_german1_ci", "utf8mb4_general_ci",
                                               "ucs2_general_ci", "ucs2_bin", "cp1251_general_ci", "latin2_hungarian_ci", "ascii_general_ci"};
        static const char *const never[] = {"latin1_german2_ci", "latin2_czech_cs", "cp1250_czech_cs", "tis620_thai_ci",
                                            "utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci", "latin1_swedish_nopad_ci", "gbk_chinese_ci",
                                            "sjis_japanese_ci", "utf8mb4_general_nopad_ci", "binary"};
        for (gsize i = 0; i < G_N_ELEMENTS(expected); i++)
                if (!g_hash_table_contains(simple, expected[i]))
                        g_error("%s is not taken for simple", expected[i]);
        for (gsize i = 0; i < G_N_ELEMENTS(never); i++)
                if (g_hash_table_contains(simple, never[i]))
                        g_error("%s is taken for simple", never[i]);
        g_assert_true(g_hash_table_contains(simple, "utf8_general_ci") || g_hash_table_contains(simple, "utf8mb3_general_ci"));
        run(conn, "DROP TABLE words");
}

static void assert_resolved(Conn *conn, CollationSet *set, const char *columns, KeyOrder order) {
        GError *error = NULL;
        g_autofree char *sql = g_strdup_printf("CREATE TABLE resolved (%s) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_general_ci ROW_FORMAT=DYNAMIC", columns);
        run(conn, "DROP TABLE IF EXISTS resolved");
        run(conn, sql);
        g_autoptr(TableSchema) table = load_table(conn, "resolved");
        collation_set_resolve(set, conn, conn, table, &error);
        g_assert_no_error(error);
        g_assert_cmpint(table->key_order, ==, order);
        run(conn, "DROP TABLE resolved");
}

static void test_resolve(const void *uri) {
        g_autoptr(Conn) conn = open_fresh(uri, 0);
        g_autoptr(CollationSet) set = collation_set_new();
        assert_resolved(conn, set, "a VARCHAR(20) NOT NULL PRIMARY KEY", KEY_ORDER_AGENT);
        assert_resolved(conn, set, "a INT, b CHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci, c VARCHAR(9), PRIMARY KEY (b,a,c)", KEY_ORDER_AGENT);
        assert_resolved(conn, set, "a VARCHAR(20) COLLATE utf8_unicode_ci NOT NULL PRIMARY KEY", KEY_ORDER_SERVER);
        assert_resolved(conn, set, "a VARCHAR(20), b VARCHAR(20) COLLATE utf8_unicode_ci, PRIMARY KEY (a,b)", KEY_ORDER_SERVER);
        assert_resolved(conn, set, "a VARCHAR(20), b DOUBLE, PRIMARY KEY (a,b)", KEY_ORDER_SERVER);
        assert_resolved(conn, set, "a VARCHAR(20), PRIMARY KEY (a(5))", KEY_ORDER_SERVER);
        assert_resolved(conn, set, "a VARCHAR(20), KEY (a)", KEY_ORDER_NONE);
        g_assert_cmpuint(g_hash_table_size(set->by_name), ==, 3);
}

int main(int argc, char *argv[]) {
        static const LiveTest live[] = {
                {"collation-order", test_order},
                {"collation-resolve", test_resolve},
        };
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/collation/bytes", test_bytes);
        g_test_add_func("/collation/forms", test_forms);
        g_test_add_func("/collation/ill-formed", test_ill_formed);
        g_test_add_func("/collation/join", test_join);
        add_live_tests(live, G_N_ELEMENTS(live));
        return g_test_run();
}
