/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is shown of the texts of servers. */

#include "mysql/error-text.h"

static void test_texts(void) {
        static const struct {
                unsigned code;
                const char *text, *shown;
        } cases[] = {
                {1045, "Access denied for user 'pol'@'10.0.0.3' (using password: YES)", "Access denied for user '…' (using password: YES)"},
                {1045, "Access denied for user 'o'@'x'@'h' (using password: YES)", "Access denied for user '…' (using password: YES)"},
                {1045, "Zugriff verweigert für Benutzer 'pol'@'h' (verwendetes Passwort: JA)", "Zugriff verweigert für Benutzer '…' (verwendetes Passwort: JA)"},
                {1044, "Access denied for user 'pol'@'%' to database 'shop'", "Access denied for user '…' to database 'shop'"},
                {1142, "SELECT command denied to user 'pol'@'h' for table 'orders'", "SELECT command denied to user '…' for table 'orders'"},
                {1142, "SELECT command denied to user 'pol'@'h' for table `shop`.`orders`", "SELECT command denied to user '…' for table `shop`.`orders`"},
                {1045, "Access denied for user 'pol'@'trunc", "Access denied for user '…'"},
                {1396, "Operation CREATE USER failed for 'pol'@'%'", "Operation CREATE USER failed for '…'"},
                {3879, "Access denied for AuthId `pol`@`%` to database 'shop'.", "Access denied for AuthId '…' to database 'shop'."},
                {1449, "The user specified as a definer ('pol'@'%') does not exist", "The user specified as a definer ('…') does not exist"},
                {1147, "There is no such grant defined for user 'pol' on host '%' on table 't'", "There is no such grant defined for user '…' on table 't'"},
                {1226, "User 'pol' has exceeded the 'max_questions' resource (current value: 5)", "User '…' resource (current value: 5)"},
                {1203, "User pol already has more than 'max_user_connections' active connections", "the account has as many connections as it may have"},
                {1062, "Duplicate entry 'o'hara' for key 'x' for key 'name'", "Duplicate entry '…' for key 'name'"},
                {1062, "Doppelter Eintrag 'secret' für Schlüssel 'name'", "Doppelter Eintrag '…'"},
                {1366, "Incorrect integer value: 'secret' for column `d`.`t`.`c` at row 1", "Incorrect integer value: '…' for column `d`.`t`.`c` at row 1"},
                {1292, "Truncated incorrect DOUBLE value: 'secret'", "Truncated incorrect DOUBLE value: '…'"},
                {1526, "Table has no partition for value 7", "the table has no partition for a value"},
                {1064, "You have an error in your SQL syntax; … near 'select 'secret'' at line 1' at line 3",
                 "You have an error in your SQL syntax; … near '…' at line 3"},
                {1064, "syntax near 'select 'secret", "syntax near '…'"},
                {1064, "syntax error", "syntax error"},
                {1146, "Table 'shop.orders' doesn't exist", "Table 'shop.orders' doesn't exist"},
                {1146, "Table 'a.'@'' doesn't exist", "Table '…' doesn't exist"}, /* too much rather than too little */
                {2002, "Can't connect to server on 'db1' (115)", "Can't connect to server on 'db1' (115)"},
                {1064, "", ""},
                {1146, "'@'", "'@'"},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *shown = error_text(cases[i].code, cases[i].text);
                g_assert_cmpstr(shown, ==, cases[i].shown);
        }
}

int main(int argc, char **argv) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/error-text/texts", test_texts);
        return g_test_run();
}
