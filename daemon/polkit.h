/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Asking polkit, without ever waiting for it on the loop. */

#include <stdbool.h>

#include <glib.h>
#include <systemd/sd-bus.h>

typedef enum PolkitAnswer {
        POLKIT_YES,
        POLKIT_NO,
        POLKIT_CHALLENGE, /* yes, if only the caller allowed a prompt */
        POLKIT_TIMEOUT,
        POLKIT_ABSENT, /* there is no polkit to ask */
} PolkitAnswer;

typedef struct PolkitCheck PolkitCheck;
/* Called once; the check is freed after it. */
typedef void (*PolkitAnswered)(PolkitAnswer answer, gpointer userdata);

/* Every action, with the prefix; ends with NULL. */
extern const char *const polkit_actions[];
#define POLKIT_PREFIX "org.polarshift1."

/* May CALLER (a unique bus name) do ACTION? DETAILS: pairs of key and value up to a NULL. */
int polkit_check(sd_bus *bus, const char *caller, const char *action, char *const *details, bool interactive,
                 guint64 timeout_usec, PolkitAnswered answered, gpointer userdata, PolkitCheck **ret);
/* Forgets the question: no answer will come. */
void polkit_check_free(PolkitCheck *check);
