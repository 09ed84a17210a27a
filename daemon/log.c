/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See log.h. */

#include "log.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "base/enum-table.h"

struct Log {
        bool journal;
        gint level; /* atomic: LogControl1 changes it while engine threads write */
};

static const char *const level_table[] = {
                [LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",     [LOG_CRIT] = "crit",
                [LOG_ERR] = "err",     [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
                [LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};
ENUM_TABLE_DEFINE(log_level, int, level_table);

Log *log_new(void) {
        Log *log = g_new0(Log, 1);
        log->journal = g_getenv("JOURNAL_STREAM") != NULL;
        log->level = LOG_INFO;
        return log;
}

void log_free(Log *log) {
        g_free(log);
}

bool log_has_journal(const Log *log) {
        return log->journal;
}

void log_set_level(Log *log, int level) {
        g_atomic_int_set(&log->level, level);
}

int log_level(Log *log) {
        return g_atomic_int_get(&log->level);
}

static void add_field(GArray *iov, GPtrArray *owned, char *text /* taken over */) {
        struct iovec field = {.iov_base = text, .iov_len = strlen(text)};
        g_array_append_val(iov, field);
        g_ptr_array_add(owned, text);
}

void log_write(Log *log, int priority, const char *message_id, const char *const *fields, const char *format,
               ...) {
        if (priority > log_level(log))
                return;

        va_list args;
        va_start(args, format);
        g_autofree char *message = g_strdup_vprintf(format, args);
        va_end(args);

        if (!log->journal) {
                /* one record is one line, whatever a caller put into a name */
                for (char *c = message; *c; c++)
                        if (g_ascii_iscntrl(*c))
                                *c = ' ';
                fprintf(stderr, "polarshiftd: %s: %s\n", log_level_to_string(priority), message);
                return;
        }
        g_autoptr(GArray) iov = g_array_new(FALSE, FALSE, sizeof(struct iovec));
        g_autoptr(GPtrArray) owned = g_ptr_array_new_with_free_func(g_free);
        add_field(iov, owned, g_strdup_printf("MESSAGE=%s", message));
        add_field(iov, owned, g_strdup_printf("PRIORITY=%d", priority));
        add_field(iov, owned, g_strdup("SYSLOG_IDENTIFIER=polarshiftd"));
        if (message_id)
                add_field(iov, owned, g_strdup_printf("MESSAGE_ID=%s", message_id));
        for (guint i = 0; fields && fields[i]; i++)
                add_field(iov, owned, g_strdup(fields[i]));
        (void) sd_journal_sendv((const struct iovec *)(void *)iov->data, (int) iov->len);
}
