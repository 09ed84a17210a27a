/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One string table per enum, and the two functions that use it. A value without a string is a bug that the
 * round-trip test of the enum finds. Strings are what the bus, the state file and the journal carry. */

#include <string.h>

#include <glib.h>

#define ENUM_TABLE_DECLARE(name, Type)                                                                       \
        const char *name##_to_string(Type value);                                                            \
        Type name##_from_string(const char *string)

/* TABLE is an array of const char * indexed by the enum; -1 is each enum's _INVALID. */
#define ENUM_TABLE_DEFINE(name, Type, table)                                                                 \
        const char *name##_to_string(Type value) {                                                           \
                if ((int) value < 0 || (gsize) value >= G_N_ELEMENTS(table))                                 \
                        return NULL;                                                                         \
                return table[value];                                                                         \
        }                                                                                                    \
        Type name##_from_string(const char *string) {                                                        \
                for (gsize i = 0; string && i < G_N_ELEMENTS(table); i++)                                    \
                        if (table[i] && strcmp(table[i], string) == 0)                                       \
                                return (Type) i;                                                             \
                return (Type) -1;                                                                            \
        }                                                                                                    \
        G_STATIC_ASSERT(G_N_ELEMENTS(table) > 0)
