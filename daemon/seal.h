/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Secrets at rest: AES-256-GCM under a key that is derived from what systemd hands over as `polarshift-key`. A sealed text is bound
 * to its name: moved to another name it does not open. May be used on any thread. */

#include <stdbool.h>

#include <glib.h>

#define SEAL_KEY_MIN 16    /* bytes of the credential; fewer could be guessed */
#define SEAL_OVERHEAD_MAX 64

typedef struct Seal Seal;

/* PS_ERROR_INVALID_OPTION: too short. */
Seal *seal_new(const char *material, gsize length, GError **error);
void seal_free(Seal *seal); /* wipes the key */
bool seal_is_sealed(const char *text, gsize length);
bool seal_close(const Seal *seal, const char *name, const char *secret, gsize length, char **ret, gsize *ret_length, GError **error);
/* RET ends in a NUL byte that LENGTH does not count; the caller wipes it. PS_ERROR_FAILED: another key, another name, or damaged. */
bool seal_open(const Seal *seal, const char *name, const char *sealed, gsize length, char **ret, gsize *ret_length, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Seal, seal_free)
