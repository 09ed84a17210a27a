/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Passwords and PEM texts by name. Stored ones are 0600 files in a 0700 folder, encrypted (seal.h) where systemd hands over a
 * `polarshift-key`; then come those that it hands over themselves (CREDENTIALS_DIRECTORY). credentials_read() may be called on any thread. */

#include <stdbool.h>

#include <glib.h>

#define CREDENTIAL_MAX (1024 * 1024)
#define CREDENTIAL_READ_USEC (5 * G_USEC_PER_SEC)

typedef struct Credentials Credentials;

Credentials *credentials_new(const char *state_directory, GError **error);
void credentials_free(Credentials *credentials);

/* NULL without error: there is none. The caller wipes and frees. */
char *credentials_read(const Credentials *credentials, const char *name, GError **error);
/* Refused where they are to be encrypted and the key is no good. */
bool credentials_may_store(const Credentials *credentials, const char *name, GError **error);
bool credentials_store(const Credentials *credentials, const char *name, const char *secret, gsize length, GError **error);
bool credentials_remove(const Credentials *credentials, const char *name, GError **error);
/* Sorted names of both kinds. */
char **credentials_list(const Credentials *credentials);

/* Reads FD to its end: 5 s and 1 MiB at most, one newline at the end of a single line dropped. Blocks: not for the loop. */
bool credentials_read_fd(int fd, char **ret_secret, gsize *ret_length, GError **error);
/* Wipes and frees. */
void credentials_wipe(char *secret, gsize length);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Credentials, credentials_free)
