/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Files that must survive a crash at any moment: replaced whole and synced, or appended to and synced. */

#include <stdbool.h>

#include <glib.h>

/* Writes PATH so that after a crash it holds either the old or the new text: temporary file, fdatasync, rename, sync
 * of the folder. MODE is the file's. */
bool fs_replace(const char *path, const char *text, gssize length, unsigned mode, GError **error);
/* The whole of PATH, refused when larger than MAX bytes; a NUL byte is added behind it. */
bool fs_read(const char *path, gsize max, char **ret_text, gsize *ret_length, GError **error);
/* Adds LINE and a newline to PATH (created with 0600) and syncs. */
bool fs_append_line(const char *path, const char *line, GError **error);
/* The folder with its parents; mode 0700. */
bool fs_make_dir(const char *path, GError **error);
/* A folder and all in it; a folder that is not there is no error. */
bool fs_remove_tree(const char *path, GError **error);
