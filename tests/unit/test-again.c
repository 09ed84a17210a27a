/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of tables that are copied again, as it is kept in the state. */

#include "engine/again.h"

static void test_list(void) {
        g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
        g_assert_null(again_to_empty(again));
        g_assert_cmpuint(again_seq(again, "`a`.`b`"), ==, 0);
        g_assert_cmpuint(again_seq(NULL, "`a`.`b`"), ==, 0);
        again_add(again, "`a`.`b`", 12);
        again_add(again, "`a`.`b c` d`", 18446744073709551614u);
        g_assert_cmpuint(again_seq(again, "`a`.`b`"), ==, 12);
        g_assert_cmpuint(again_seq(again, "`a`.`b c` d`"), ==, 18446744073709551614u);
        g_assert_cmpuint(again_seq(again, "`a`.`b c`"), ==, 0);
        g_autofree char *first = again_to_empty(again);
        g_assert_cmpstr(first, ==, "`a`.`b`");
        again_emptied(again, "`a`.`b`");
        again_emptied(again, "`a`.`b`");
        again_emptied(again, "`x`.`y`");
        g_assert_cmpuint(again_seq(again, "`a`.`b`"), ==, 12);
        g_autofree char *second = again_to_empty(again);
        g_assert_cmpstr(second, ==, "`a`.`b c` d`");
        again_emptied(again, second);
        g_assert_null(again_to_empty(again));
        again_add(again, "`a`.`b`", 15); /* once more: it begins anew */
        g_assert_cmpuint(again->len, ==, 2);
        g_assert_cmpuint(again_seq(again, "`a`.`b`"), ==, 15);
        g_autofree char *third = again_to_empty(again);
        g_assert_cmpstr(third, ==, "`a`.`b`");
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/again/list", test_list);
        return g_test_run();
}
