/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the agent says: structured records in the journal, or readable lines on standard error where systemd did not connect one
 * (JOURNAL_STREAM unset). Any thread. */

#include <stdbool.h>

#include <glib.h>
#include <syslog.h>

typedef struct Log Log;

Log *log_new(void);
void log_free(Log *log);
bool log_has_journal(const Log *log);
void log_set_level(Log *log, int level); /* syslog's; what is less urgent is dropped */
int log_level(Log *log);
/* The name of a level as LogControl1 has it ("info"), and back (-1). */
const char *log_level_to_string(int level);
int log_level_from_string(const char *name);

/* FIELDS: "NAME=value" strings up to a NULL, or NULL. MESSAGE_ID may be NULL. */
void log_write(Log *log, int priority, const char *message_id, const char *const *fields, const char *format, ...)
        G_GNUC_PRINTF(5, 6);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Log, log_free)
