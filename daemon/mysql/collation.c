/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See collation.h. */

#include "mysql/collation.h"

#include <string.h>

#include "mysql/value-format.h"

#define BMP_SIZE 65536u
#define ILL_FORMED 0x110000u /* + byte: no column holds such text, but every comparison must have an answer */

struct Collation {
        gint references;
        CharForm form;
        guint size;       /* of weights */
        guint16 *weights;
        guint32 above;
        guint32 *classes; /* of the characters, and last of all above; NULL: the weights themselves */
};

guint collation_n_weights(CharForm form) {
        return form == CHAR_FORM_BYTE ? 256 : BMP_SIZE;
}

Collation *collation_new(CharForm form, const guint16 *weights, guint16 above) {
        Collation *collation = g_new0(Collation, 1);
        collation->references = 1;
        collation->form = form;
        collation->size = collation_n_weights(form);
        collation->weights = g_memdup2(weights, collation->size * sizeof *weights);
        collation->above = above;
        return collation;
}

Collation *collation_ref(Collation *collation) {
        g_atomic_int_inc(&collation->references);
        return collation;
}

void collation_unref(Collation *collation) {
        if (!collation || !g_atomic_int_dec_and_test(&collation->references))
                return;
        g_free(collation->weights);
        g_free(collation->classes);
        g_free(collation);
}

/* --- characters --- */

/* The continuation bytes of a character that began with LEAD; nothing is taken when they are not there. */
static guint32 next_utf8(const char **p, guint lead) {
        guint more = lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0;
        guint32 c = lead & (0x3fu >> more);
        const char *ahead = *p;
        if (more == 0)
                return ILL_FORMED + lead;
        for (guint i = 0; i < more; i++) {
                int byte = value_next_byte(&ahead);
                if (byte < 0 || (byte & 0xc0) != 0x80)
                        return ILL_FORMED + lead;
                c = c << 6 | ((guint) byte & 0x3f);
        }
        *p = ahead;
        return c < ILL_FORMED ? c : ILL_FORMED + lead;
}

static guint32 next_unit(const char **p, guint first, guint bytes, bool little) {
        guint32 unit = first;
        const char *ahead = *p;
        for (guint i = 1; i < bytes; i++) {
                int byte = value_next_byte(&ahead);
                if (byte < 0)
                        return ILL_FORMED + first;
                unit = little ? unit | (guint) byte << (8 * i) : unit << 8 | (guint) byte;
        }
        *p = ahead;
        return unit < ILL_FORMED ? unit : ILL_FORMED + first;
}

static guint32 next_utf16(const char **p, guint first, bool little) {
        guint32 high = next_unit(p, first, 2, little);
        if (high < 0xd800 || high >= 0xdc00)
                return high;
        const char *ahead = *p;
        int byte = value_next_byte(&ahead);
        guint32 low = byte < 0 ? 0 : next_unit(&ahead, (guint) byte, 2, little);
        if (low < 0xdc00 || low >= 0xe000)
                return high;
        *p = ahead;
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The next character of the literal, false at its end. */
static inline bool next_char(CharForm form, const char **p, guint32 *ret) {
        int byte = value_next_byte(p);
        if (byte < 0)
                return false;
        switch (form) {
        case CHAR_FORM_UTF8:
                *ret = byte < 0x80 ? (guint32) byte : next_utf8(p, (guint) byte);
                return true;
        case CHAR_FORM_UCS2:
                *ret = next_unit(p, (guint) byte, 2, /* little= */ false);
                return true;
        case CHAR_FORM_UTF16:
        case CHAR_FORM_UTF16LE:
                *ret = next_utf16(p, (guint) byte, form == CHAR_FORM_UTF16LE);
                return true;
        case CHAR_FORM_UTF32:
                *ret = next_unit(p, (guint) byte, 4, /* little= */ false);
                return true;
        case CHAR_FORM_BYTE:
        case _CHAR_FORM_MAX:
        case _CHAR_FORM_INVALID:
                break;
        }
        *ret = (guint32) byte;
        return true;
}

/* --- order --- */

static inline guint32 weight_of(const Collation *collation, guint32 c) {
        return G_LIKELY(c < collation->size) ? collation->weights[c] : c < ILL_FORMED ? collation->above : c;
}

int collation_compare(const Collation *collation, const char *a, const char *b) {
        guint32 pad = collation->weights[' '];
        if (*a != '\'' || *b != '\'')
                return strcmp(a, b);
        a++, b++;
        for (;;) {
                guint32 x = 0, y = 0;
                bool more_a = next_char(collation->form, &a, &x), more_b = next_char(collation->form, &b, &y);
                if (!more_a && !more_b)
                        return 0;
                x = more_a ? weight_of(collation, x) : pad;
                y = more_b ? weight_of(collation, y) : pad;
                if (x != y)
                        return x < y ? -1 : 1;
        }
}

/* --- equality --- */

static inline guint32 class_of(const Collation *collation, guint32 c) {
        if (!collation->classes)
                return weight_of(collation, c);
        return G_LIKELY(c < collation->size) ? collation->classes[c] : c < ILL_FORMED ? collation->classes[collation->size] : c;
}

guint64 collation_hash(const Collation *collation, guint64 hash, const char *literal) {
        guint32 space = class_of(collation, ' '), c;
        guint64 spaces = 0; /* at the end they do not count */
        const char *p = literal + (*literal == '\'');
        while (next_char(collation->form, &p, &c)) {
                guint32 class = class_of(collation, c);
                if (class == space) {
                        spaces++;
                        continue;
                }
                for (; spaces > 0; spaces--)
                        hash = collation_hash_byte(hash, ' ');
                hash = collation_hash_byte(hash, (guint8) class);
                hash = collation_hash_byte(hash, (guint8) (class >> 8));
        }
        return hash;
}

static guint32 root(guint32 *classes, guint32 i) {
        while (classes[i] != i) {
                classes[i] = classes[classes[i]];
                i = classes[i];
        }
        return i;
}

/* Puts all characters of one weight into one class. */
static void unite(guint32 *classes, const Collation *collation) {
        g_autofree guint32 *first = g_new(guint32, BMP_SIZE); /* character of each weight */
        memset(first, 0xff, BMP_SIZE * sizeof *first);
        for (guint32 c = 0; c <= collation->size; c++) {
                guint32 weight = c < collation->size ? collation->weights[c] : collation->above;
                if (first[weight] == G_MAXUINT32)
                        first[weight] = c;
                guint32 a = root(classes, c), b = root(classes, first[weight]);
                classes[MAX(a, b)] = MIN(a, b);
        }
}

Collation *collation_join(const Collation *a, const Collation *b) {
        g_return_val_if_fail(a->form == b->form, NULL);
        Collation *joined = collation_new(a->form, a->weights, (guint16) a->above);
        guint32 n = joined->size + 1;
        joined->classes = g_new(guint32, n);
        for (guint32 c = 0; c < n; c++)
                joined->classes[c] = c;
        unite(joined->classes, a);
        unite(joined->classes, b);
        for (guint32 c = 0; c < n; c++)
                joined->classes[c] = root(joined->classes, c);
        return joined;
}

guint64 collation_digest(const Collation *collation) {
        guint64 hash = G_GUINT64_CONSTANT(0xcbf29ce484222325);
        for (guint32 c = 0; c <= collation->size; c++) {
                guint32 weight = c < collation->size ? collation->weights[c] : collation->above;
                guint32 class = !collation->classes ? weight : collation->classes[c];
                for (guint shift = 0; shift < 32; shift += 8) {
                        hash = collation_hash_byte(hash, (guint8) (weight >> shift));
                        hash = collation_hash_byte(hash, (guint8) (class >> shift));
                }
        }
        return hash;
}
