/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a set of GTIDs: what is accepted comes back from its own text. */

#include "mysql/gtid.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
        g_autofree char *text = g_strndup((const char *) data, size);
        g_autoptr(GtidSet) set = gtid_set_parse(text, NULL);
        if (set) {
                g_autofree char *canonical = gtid_set_to_string(set);
                g_autoptr(GtidSet) again = gtid_set_parse(canonical, NULL);
                g_assert_nonnull(again);
                g_assert_true(gtid_set_equal(set, again));
                g_autofree char *text_again = gtid_set_to_string(again);
                g_assert_cmpstr(canonical, ==, text_again);
                gtid_set_union(again, set);
                g_assert_true(gtid_set_equal(set, again));
                g_autoptr(GByteArray) bytes = gtid_set_encode(set);
                g_assert_cmpuint(bytes->len, >=, 8);
        }
        g_autoptr(GArray) list = mariadb_gtid_parse(text, NULL);
        if (list) {
                g_autofree char *canonical = mariadb_gtid_to_string(list);
                g_autoptr(GArray) again = mariadb_gtid_parse(canonical, NULL);
                g_assert_nonnull(again);
                g_assert_cmpuint(list->len, ==, again->len);
        }
        return 0;
}
