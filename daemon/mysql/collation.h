/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Order and equality of text under a collation, computed here from the server's own weights, so that row keys in the usual
 * collations (latin1_swedish_ci, utf8_general_ci, utf8mb4_general_ci …) need not be compared by the server.
 *
 * That is exact for a *simple* collation: every character has one weight, whatever stands beside it, and the shorter string counts as
 * filled up with spaces. Which collations are simple is asked of the server each time (collation-load.c): nothing here is
 * known by heart. latin1_german2_ci (ß is two), the Czech, Thai and Unicode (UCA) ones and those without padding are not.
 *
 * Immutable and counted: threads share one. Pure. */

#include <stdbool.h>

#include <glib.h>

/* How characters are made of bytes. */
typedef enum CharForm {
        CHAR_FORM_BYTE,    /* the 8-bit character sets */
        CHAR_FORM_UTF8,    /* one to four bytes: utf8 and utf8mb4 */
        CHAR_FORM_UCS2,
        CHAR_FORM_UTF16,
        CHAR_FORM_UTF16LE,
        CHAR_FORM_UTF32,
        _CHAR_FORM_MAX,
        _CHAR_FORM_INVALID = -1,
} CharForm;

typedef struct Collation Collation;

/* WEIGHTS: of the characters 0 to 255 for CHAR_FORM_BYTE, else 0 to 65535 (surrogates: any). ABOVE: of all other ones. */
Collation *collation_new(CharForm form, const guint16 *weights, guint16 above);
Collation *collation_ref(Collation *collation);
void collation_unref(Collation *collation); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Collation, collation_unref)
guint collation_n_weights(CharForm form);

/* The order of A; but its hash is the same for all strings that are equal under A *or* B (or by a chain of both): what is written to a
 * server that thinks otherwise must not be spread over workers that know nothing of each other. The same character set. */
Collation *collation_join(const Collation *a, const Collation *b);

/* Two literals '…' as the server compares them; <0, 0, >0. */
int collation_compare(const Collation *collation, const char *a, const char *b);
/* Continues HASH with a literal; the same for all spellings of one value. */
guint64 collation_hash(const Collation *collation, guint64 hash, const char *literal);
/* Of the order and of what is equal: changes when a server has other weights than it had. */
guint64 collation_digest(const Collation *collation);

static inline guint64 collation_hash_byte(guint64 hash, guint8 byte) {
        return (hash ^ byte) * G_GUINT64_CONSTANT(0x100000001b3); /* FNV-1a */
}
