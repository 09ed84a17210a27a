/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See audit.h. Each goes to the journal (or standard error) and to the history of the migration that it was
 * about. */

#include "audit.h"

#include "base/error.h"
#include "base/message-ids.h"
#include "history.h"
#include "manager.h"
#include "migration.h"

static void add_field(GPtrArray *fields, const char *name, const char *value) {
        if (value)
                g_ptr_array_add(fields, g_strdup_printf("%s=%s", name, value));
}

static char *describe(const Call *call, const GError *error) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_string_append(text, call->method);
        if (call->migration)
                g_string_append_printf(text, " of migration '%s'", call->migration);
        if (call->subject)
                g_string_append_printf(text, " (%s)", call->subject);
        if (call->answer)
                g_string_append_printf(text, " as operation %" G_GUINT64_FORMAT, call->answer);
        g_string_append_printf(text, " asked for by ");
        if (call->uid == (uid_t) -1)
                g_string_append(text, "an unknown user");
        else
                g_string_append_printf(text, "uid %lu", (unsigned long) call->uid);
        if (call->login.user)
                g_string_append_printf(text, " in a session of %s%s%s", call->login.user, call->login.remote_host ? " from " : "",
                                       call->login.remote_host ? call->login.remote_host : "");
        g_string_append_printf(text, " (pid %ld, %s", (long) call->pid,
                               call->caller ? call->caller : "no bus name");
        if (call->authorized_by)
                g_string_append_printf(text, ", authorized by %s", call->authorized_by);
        g_string_append_c(text, ')');
        if (error)
                g_string_append_printf(text, ": refused: %s: %s",
                                       ps_error_code_to_string(ps_error_code_of(error)), error->message);
        else
                g_string_append(text, ": accepted");
        return g_string_free(g_steal_pointer(&text), /* free_segment= */ FALSE);
}

static void add_history(const Call *call, const char *message, const char *error_name) {
        Migration *migration = call->migration ? manager_find(call->manager, call->migration) : NULL;
        /* somebody who may do nothing must not be able to fill the disk by asking */
        if (!migration || (!call->authorized_by && !migration_may_note_refusal(migration)))
                return;
        g_autofree char *uid = g_strdup_printf("%ld", call->uid == (uid_t) -1 ? -1L : (long) call->uid);
        g_autofree char *pid = g_strdup_printf("%ld", (long) call->pid);
        g_autofree char *operation =
                        call->answer ? g_strdup_printf("%" G_GUINT64_FORMAT, call->answer) : NULL;
        g_autoptr(GError) error = NULL;
        if (!history_append(migration->directory, "call", error_name ? 4 : 5, message, &error, "method",
                            call->method, "result", error_name ? "refused" : "accepted", "error", error_name,
                            "operation", operation, "uid", uid, "pid", pid, "bus-name", call->caller,
                            "authorized-by", call->authorized_by, "login-user", call->login.user, "remote-host",
                            call->login.remote_host, "session", call->login.session, NULL))
                log_write(call->manager->log, LOG_WARNING, NULL, NULL, "%s", error->message);
}

void audit_call(const Call *call, const GError *error) {
        /* looking is on record only when it was refused for want of a permission */
        if (!call->mutating && !(error && ps_error_code_of(error) == PS_ERROR_ACCESS_DENIED))
                return;
        g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *message = describe(call, error);
        const char *error_name = error ? ps_error_code_to_string(ps_error_code_of(error)) : NULL;
        g_autofree char *uid = g_strdup_printf("%ld", call->uid == (uid_t) -1 ? -1L : (long) call->uid);
        g_autofree char *pid = g_strdup_printf("%ld", (long) call->pid);
        g_autofree char *operation =
                        call->answer ? g_strdup_printf("%" G_GUINT64_FORMAT, call->answer) : NULL;

        add_field(fields, "OPERATION", call->method);
        add_field(fields, "MIGRATION", call->migration);
        add_field(fields, "JOB_ID", operation);
        add_field(fields, "RESULT", error ? "refused" : "accepted");
        add_field(fields, "ERROR_NAME", error_name);
        add_field(fields, "POLKIT_ACTION", call->action);
        add_field(fields, "AUTHORIZED_BY", call->authorized_by);
        add_field(fields, "CALLER_UID", uid);
        add_field(fields, "CALLER_PID", pid);
        add_field(fields, "CALLER_BUS_NAME", call->caller);
        add_field(fields, "CALLER_SESSION", call->login.session);
        add_field(fields, "CALLER_LOGIN_USER", call->login.user);
        add_field(fields, "CALLER_REMOTE_HOST", call->login.remote_host);
        add_field(fields, "CALLER_SERVICE", call->login.service);
        g_ptr_array_add(fields, NULL);
        log_write(call->manager->log, error ? LOG_WARNING : LOG_NOTICE, MESSAGE_ID_AUDIT,
                  (const char *const *) fields->pdata, "%s", message);
        add_history(call, message, error_name);
}
