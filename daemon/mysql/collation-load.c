/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See collation-load.h. What is asked, and what it proves (server and client send bytes: SET NAMES binary):
 *
 *   1. WEIGHT_STRING() of all characters in order: as many weights as characters.
 *   2. The same of other orders of them: the weights have moved with their characters. So each character has one weight. For the
 *      8-bit character sets it is a sequence with every pair of characters in it, so that none weighs anything else because of
 *      its neighbour. For Unicode it is one permutation, and only the *_general_ci (and ucs2_bin) are asked for.
 *   3. STRCMP() of 'a' and 'a' with one more character: shorter strings are filled up with spaces, and characters below the
 *      space sort before the end.
 *
 * tests/unit/test-collation.c compares order and equality with what servers say, for every collation that is taken for simple. */

#include "mysql/collation-load.h"

#include <string.h>

#include "mysql/bytes.h"
#include "mysql/value.h"

#define PAGE 8192u              /* characters asked for at a time */
#define N_BMP 63488u            /* without the surrogates */
#define STRIDE 40503u           /* without a common divisor with N_BMP */
#define N_ABOVE 64u

static const struct {
        const char *charset;
        CharForm form;
        bool above; /* has characters beyond U+FFFF */
} unicode[] = {
        {"utf8", CHAR_FORM_UTF8, false},
        {"utf8mb3", CHAR_FORM_UTF8, false},
        {"utf8mb4", CHAR_FORM_UTF8, true},
        {"ucs2", CHAR_FORM_UCS2, false},
        {"utf16", CHAR_FORM_UTF16, true},
        {"utf16le", CHAR_FORM_UTF16LE, true},
        {"utf32", CHAR_FORM_UTF32, true},
};

typedef struct Asker {
        Conn *conn;
        const char *charset, *collation;
        CharForm form;
        GString *sql;
        GByteArray *text;
} Asker;

static void asker_clear(Asker *asker) {
        g_string_free(g_steal_pointer(&asker->sql), TRUE);
        g_clear_pointer(&asker->text, g_byte_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Asker, asker_clear)

static void put(Asker *asker, guint8 byte) {
        g_byte_array_append(asker->text, &byte, 1);
}

static void put_utf8(Asker *asker, guint32 c) {
        char bytes[6];
        g_byte_array_append(asker->text, (const guint8 *) bytes, (guint) g_unichar_to_utf8(c, bytes));
}

static void put_unit(Asker *asker, guint32 unit, bool little) {
        put(asker, (guint8) (little ? unit : unit >> 8));
        put(asker, (guint8) (little ? unit >> 8 : unit));
}

static void put_char(Asker *asker, guint32 c) {
        bool little = asker->form == CHAR_FORM_UTF16LE;
        switch (asker->form) {
        case CHAR_FORM_UTF8:
                put_utf8(asker, c);
                return;
        case CHAR_FORM_UCS2:
        case CHAR_FORM_UTF16:
        case CHAR_FORM_UTF16LE:
                if (c >= 0x10000) {
                        put_unit(asker, 0xd800 + ((c - 0x10000) >> 10), little);
                        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
                }
                put_unit(asker, c, little);
                return;
        case CHAR_FORM_UTF32:
                put_unit(asker, c >> 16, little);
                put_unit(asker, c & 0xffff, little);
                return;
        case CHAR_FORM_BYTE:
        case _CHAR_FORM_MAX:
        case _CHAR_FORM_INVALID:
                break;
        }
        put(asker, (guint8) c);
}

/* _latin1 x'…' COLLATE latin1_swedish_ci, of what was put; forgets it. */
static void append_string(Asker *asker) {
        static const char digits[] = "0123456789abcdef";
        g_string_append_printf(asker->sql, "_%s x'", asker->charset);
        for (guint i = 0; i < asker->text->len; i++) {
                g_string_append_c(asker->sql, digits[asker->text->data[i] >> 4]);
                g_string_append_c(asker->sql, digits[asker->text->data[i] & 15]);
        }
        g_string_append_printf(asker->sql, "' COLLATE %s", asker->collation);
        g_byte_array_set_size(asker->text, 0);
}

/* The weights of the N characters that were put, appended to OUT; *ret_simple false: not one of WIDTH bytes for each. */
static bool ask_weights(Asker *asker, guint n, guint width, GArray *out, bool *ret_simple, GError **error) {
        g_string_assign(asker->sql, "SELECT WEIGHT_STRING(");
        append_string(asker);
        g_string_append_c(asker->sql, ')');
        g_autoptr(ConnRows) rows = conn_query(asker->conn, asker->sql->str, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        const unsigned long *lengths = conn_rows_lengths(rows);
        *ret_simple = row && row[0] && lengths[0] == (gsize) n * width;
        for (guint i = 0; *ret_simple && i < n; i++) {
                const guint8 *p = (const guint8 *) row[0] + (gsize) i * width;
                guint16 weight = (guint16) (width == 1 ? p[0] : p[0] << 8 | p[1]);
                g_array_append_val(out, weight);
        }
        return true;
}

/* Whether 'a' and 'a' with one more character compare as the weights say: N characters from 0 on. */
static bool ask_padding(Asker *asker, guint n, const guint16 *weights, bool *ret_simple, GError **error) {
        g_string_assign(asker->sql, "SELECT ");
        for (guint32 c = 0; c < n; c++) {
                g_string_append(asker->sql, c > 0 ? ",STRCMP(" : "STRCMP(");
                put_char(asker, 'a');
                put_char(asker, c);
                append_string(asker);
                g_string_append_c(asker->sql, ',');
                put_char(asker, 'a');
                append_string(asker);
                g_string_append_c(asker->sql, ')');
        }
        g_autoptr(ConnRows) rows = conn_query(asker->conn, asker->sql->str, error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        *ret_simple = row != NULL;
        for (guint32 c = 0; *ret_simple && c < n; c++) {
                int expected = (weights[c] > weights[' ']) - (weights[c] < weights[' ']);
                *ret_simple = row[c] && (gint64) g_ascii_strtoll(row[c], NULL, 10) == expected;
        }
        return true;
}

/* --- 8-bit character sets --- */

/* A sequence that has every pair of bytes in it: for each A all pairs A B with B > A, there and back, and A A. */
static void put_pairs(GArray *sequence) {
        for (guint a = 0; a < 256; a++) {
                guint8 pair[2] = {(guint8) a, (guint8) a};
                g_array_append_vals(sequence, pair, 2);
                for (guint b = a + 1; b < 256; b++) {
                        pair[0] = (guint8) b;
                        g_array_append_vals(sequence, pair, 2);
                }
        }
}

static bool load_bytes(Asker *asker, Collation **ret, GError **error) {
        g_autoptr(GArray) weights = g_array_new(FALSE, FALSE, sizeof(guint16));
        g_autoptr(GArray) sequence = g_array_new(FALSE, FALSE, 1), found = g_array_new(FALSE, FALSE, sizeof(guint16));
        bool simple;
        for (guint c = 0; c < 256; c++)
                put(asker, (guint8) c);
        if (!ask_weights(asker, 256, 1, weights, &simple, error))
                return false;
        if (!simple)
                return true;
        put_pairs(sequence);
        g_byte_array_append(asker->text, (const guint8 *) sequence->data, sequence->len);
        if (!ask_weights(asker, sequence->len, 1, found, &simple, error))
                return false;
        for (guint i = 0; simple && i < found->len; i++)
                simple = g_array_index(found, guint16, i) == g_array_index(weights, guint16, g_array_index(sequence, guint8, i));
        if (simple && !ask_padding(asker, 256, (const guint16 *) weights->data, &simple, error))
                return false;
        if (simple)
                *ret = collation_new(CHAR_FORM_BYTE, (const guint16 *) weights->data, 0);
        return true;
}

/* --- Unicode --- */

static guint32 bmp_char(guint32 i) {
        return i < 0xd800 ? i : i + 0x800;
}

/* The characters bmp_char(I × STRIDE) for all I. */
static bool ask_bmp(Asker *asker, guint32 stride, GArray *out, bool *ret_simple, GError **error) {
        *ret_simple = true;
        for (guint32 first = 0; *ret_simple && first < N_BMP; first += PAGE) {
                guint32 n = MIN(PAGE, N_BMP - first);
                for (guint32 i = 0; i < n; i++)
                        put_char(asker, bmp_char((guint32) ((guint64) (first + i) * stride % N_BMP)));
                if (!ask_weights(asker, n, 2, out, ret_simple, error))
                        return false;
        }
        return true;
}

static bool ask_above(Asker *asker, guint16 *ret, bool *ret_simple, GError **error) {
        g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(guint16));
        for (guint32 i = 0; i < N_ABOVE; i++) /* the first and the last one, and between them */
                put_char(asker, 0x10000 + (guint32) ((guint64) i * 0xfffff / (N_ABOVE - 1)));
        if (!ask_weights(asker, N_ABOVE, 2, found, ret_simple, error))
                return false;
        for (guint i = 0; *ret_simple && i < N_ABOVE; i++)
                *ret_simple = g_array_index(found, guint16, i) == g_array_index(found, guint16, 0);
        if (*ret_simple)
                *ret = g_array_index(found, guint16, 0);
        return true;
}

static bool load_unicode(Asker *asker, bool has_above, Collation **ret, GError **error) {
        g_autoptr(GArray) ordered = g_array_new(FALSE, FALSE, sizeof(guint16)), mixed = g_array_new(FALSE, FALSE, sizeof(guint16));
        g_autofree guint16 *weights = g_new(guint16, collation_n_weights(asker->form));
        guint16 above = 0xffff;
        bool simple;
        if (!ask_bmp(asker, 1, ordered, &simple, error) || (simple && !ask_bmp(asker, STRIDE, mixed, &simple, error)) ||
            (simple && has_above && !ask_above(asker, &above, &simple, error)))
                return false;
        if (!simple)
                return true;
        for (guint32 c = 0; c < 65536; c++) /* a lone surrogate, which utf8 of 5.6 takes, has no page of weights: it is its own */
                weights[c] = (guint16) c;
        for (guint32 i = 0; i < N_BMP; i++)
                weights[bmp_char(i)] = g_array_index(ordered, guint16, i);
        for (guint32 i = 0; simple && i < N_BMP; i++)
                simple = g_array_index(mixed, guint16, i) == weights[bmp_char((guint32) ((guint64) i * STRIDE % N_BMP))];
        /* Servers look at bytes, not at characters, to see whether more than spaces is left of the longer string. */
        for (guint32 c = 0; simple && c < 65536; c++)
                simple = (weights[c] < weights[' ']) == (c < ' ') && (weights[c] == weights[' ']) == (c == ' ');
        if (simple && !ask_padding(asker, 256, weights, &simple, error))
                return false;
        if (simple)
                *ret = collation_new(asker->form, weights, above);
        return true;
}

/* --- */

static bool plain_name(const char *name) {
        return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

bool collation_load(Conn *conn, const char *charset, const char *collation, Collation **ret, GError **error) {
        if (!plain_name(charset) || !plain_name(collation) || g_str_equal(charset, "binary"))
                return true;
        /* What we call utf8 is utf8mb3 on newer servers, where utf8 may be something else (old_mode). */
        g_autofree char *statement = g_strdup_printf(
                "SELECT MAX(COLLATION_NAME) FROM information_schema.COLLATIONS WHERE COLLATION_NAME IN ('%s','utf8mb3%s')", collation,
                g_str_has_prefix(collation, "utf8_") ? collation + strlen("utf8") : "?");
        g_autoptr(GError) local = NULL;
        g_autofree char *name = conn_query_string(conn, statement, &local);
        if (local) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (!name)
                return true;

        g_auto(Asker) asker = {
                .conn = conn,
                .charset = g_str_has_prefix(name, "utf8mb3") ? "utf8mb3" : charset,
                .collation = name,
                .form = CHAR_FORM_BYTE,
                .sql = g_string_new(NULL),
                .text = g_byte_array_new(),
        };
        for (gsize i = 0; i < G_N_ELEMENTS(unicode); i++)
                if (g_str_equal(charset, unicode[i].charset)) {
                        asker.form = unicode[i].form;
                        bool candidate = g_str_has_suffix(collation, "_general_ci") ||
                                         g_str_has_suffix(collation, "_general_mysql500_ci") || g_str_equal(collation, "ucs2_bin");
                        return !candidate || load_unicode(&asker, unicode[i].above, ret, error);
                }
        guint64 bytes;
        g_autofree char *length = g_strdup_printf(
                "SELECT COALESCE(MAX(MAXLEN),0) FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME='%s'", charset);
        if (!conn_query_uint64(conn, length, &bytes, error))
                return false;
        return bytes != 1 || load_bytes(&asker, ret, error);
}

static void entry_free(gpointer data) {
        CollationEntry *entry = data;
        collation_unref(entry->order);
        g_free(entry);
}

CollationSet *collation_set_new(void) {
        CollationSet *set = g_new0(CollationSet, 1);
        set->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
        return set;
}

void collation_set_free(CollationSet *set) {
        if (!set)
                return;
        g_hash_table_unref(set->by_name);
        g_free(set);
}

static CollationEntry *find(CollationSet *set, Conn *up, Conn *down, const Column *column, GError **error) {
        CollationEntry *entry = g_hash_table_lookup(set->by_name, column->collation);
        if (entry)
                return entry;
        g_autoptr(Collation) a = NULL, b = NULL;
        if (!collation_load(up, column->charset, column->collation, &a, error) ||
            (a && !collation_load(down, column->charset, column->collation, &b, error)))
                return NULL;
        entry = g_new0(CollationEntry, 1);
        entry->order = a && b ? collation_join(a, b) : NULL;
        g_hash_table_insert(set->by_name, g_strdup(column->collation), entry);
        return entry;
}

bool collation_set_resolve(CollationSet *set, Conn *up, Conn *down, TableSchema *schema, GError **error) {
        if (schema->key_order != KEY_ORDER_SERVER || schema->key_prefix)
                return true;
        for (guint i = 0; i < schema->key->len; i++) {
                Column *column = g_ptr_array_index(schema->columns, g_array_index(schema->key, unsigned, i));
                if (column->kind != COLUMN_KIND_TEXT || !column->charset || !column->collation || value_comparable(column))
                        continue;
                CollationEntry *entry = find(set, up, down, column, error);
                if (!entry)
                        return false;
                if (entry->order && !column->order)
                        column->order = collation_ref(entry->order);
        }
        table_schema_order_key(schema);
        return true;
}

guint64 collation_entry_digest(const CollationEntry *entry) {
        return entry->order ? collation_digest(entry->order) : 0;
}
