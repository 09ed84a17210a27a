/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See operation.h. */

#include "operation.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "base/clock.h"
#include "bus-error.h"
#include "manager.h"
#include "polkit.h"

static void end(Call *call, GError *error);
static int authorize(Call *call, GPtrArray *details);

static void on_login(gpointer userdata) {
        Call *call = userdata;
        GPtrArray *details = g_steal_pointer(&call->details);
        call->login_query = NULL;
        if (call->answered)
                end(call, g_steal_pointer(&call->answer_error));
        else if (details)
                (void) authorize(call, details);
}

Call *call_new(Manager *manager, sd_bus_message *message, const char *method, bool mutating) {
        sd_bus_creds *creds = NULL;
        Call *call = g_new0(Call, 1);
        call->manager = manager;
        call->id = ++manager->last_call_id;
        call->message = sd_bus_message_ref(message);
        call->method = method;
        call->mutating = mutating;
        call->caller = g_strdup(sd_bus_message_get_sender(message));
        call->uid = (uid_t) -1;

        if (sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID | SD_BUS_CREDS_PID, &creds) >= 0) {
                if (sd_bus_creds_get_euid(creds, &call->uid) < 0)
                        call->uid = (uid_t) -1;
                (void) sd_bus_creds_get_pid(creds, &call->pid);
        }
        sd_bus_creds_unref(creds);
        g_hash_table_insert(manager->calls, &call->id, call);
        if (mutating && call->pid > 0)
                call->login_query = login_query(sd_bus_message_get_bus(message), call->pid, &call->login, on_login, call);
        return call;
}

void call_free(Call *call) {
        if (!call)
                return;
        if (call->answered && call->login_query) /* the agent stops before logind answered */
                audit_call(call, call->answer_error);
        g_hash_table_remove(call->manager->calls, &call->id);
        login_query_free(call->login_query);
        login_clear(&call->login);
        g_clear_pointer(&call->details, g_ptr_array_unref);
        g_clear_error(&call->answer_error);
        polkit_check_free(call->check);
        sd_bus_track_unref(call->track);
        if (call->free_request && call->request)
                call->free_request(call->request);
        sd_bus_message_unref(call->message);
        g_free(call->migration);
        g_free(call->subject);
        g_free(call->caller);
        g_free(call);
}

Call *call_find(Manager *manager, guint64 id) {
        return g_hash_table_lookup(manager->calls, &id);
}

void call_set_request(Call *call, gpointer request, GDestroyNotify free_request) {
        call->request = request;
        call->free_request = free_request;
}

bool call_is_privileged(const Call *call) {
        return call->uid == 0 || (call->uid != (uid_t) -1 && call->uid == geteuid());
}

/* ---- answers ---- */

/* It was answered, with ERROR if it was refused. */
static void end(Call *call, GError *error) {
        if (call->login_query) { /* see on_login() */
                call->answered = true;
                call->answer_error = error;
                return;
        }
        audit_call(call, error);
        g_clear_error(&error);
        call_free(call);
}

int call_send(Call *call, sd_bus_message *reply) {
        int r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        end(call, /* error= */ NULL);
        return r < 0 ? r : 1;
}

int call_done(Call *call, const char *types, ...) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0 && types && *types) {
                va_list args;
                va_start(args, types);
                r = sd_bus_message_appendv(reply, types, args);
                va_end(args);
        }
        if (r < 0) {
                sd_bus_message_unref(reply);
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_FAILED, "cannot build the answer: %s",
                                                   g_strerror(-r)));
        }
        return call_send(call, reply);
}

static int fail_named(Call *call, const char *name, GError *error) {
        g_autofree char *message = g_utf8_make_valid(error->message, -1);
        (void) sd_bus_reply_method_errorf(call->message, name, "%s", message);
        end(call, error);
        return 1;
}

int call_fail(Call *call, GError *error) {
        return fail_named(call, bus_error_name_of(error), error);
}

/* ---- waiting ---- */

static int on_caller_left(sd_bus_track *track, void *userdata) {
        Call *call = userdata;
        end(call, g_error_new(PS_ERROR, PS_ERROR_STOPPED, "the caller left before it was answered"));
        return 0;
}

static guint count_waiting(Manager *manager, const char *caller) {
        guint n = 0;
        GHashTableIter iter;
        Call *other;
        g_hash_table_iter_init(&iter, manager->calls);
        while (g_hash_table_iter_next(&iter, NULL, (gpointer *) &other))
                if (other->waiting && g_strcmp0(other->caller, caller) == 0)
                        n++;
        return n;
}

bool call_wait(Call *call) {
        if (call->waiting)
                return true;
        if (count_waiting(call->manager, call->caller) >= CALLS_PER_CALLER_MAX) {
                call_fail(call, g_error_new(PS_ERROR, PS_ERROR_LIMITS_EXCEEDED,
                                            "%d calls of this caller wait for an answer already; let those "
                                            "end first",
                                            CALLS_PER_CALLER_MAX));
                return false;
        }
        int r = sd_bus_track_new(sd_bus_message_get_bus(call->message), &call->track, on_caller_left, call);
        if (r >= 0)
                r = sd_bus_track_add_sender(call->track, call->message);
        if (r < 0) {
                call_fail(call, g_error_new(PS_ERROR, PS_ERROR_FAILED,
                                            "the caller has left, or cannot be watched: %s", g_strerror(-r)));
                return false;
        }
        call->waiting = true;
        return true;
}

static GError *denied(const char *action, const char *why) {
        return g_error_new(PS_ERROR, PS_ERROR_ACCESS_DENIED, "not authorized for %s: %s", action, why);
}

static void on_answer(PolkitAnswer answer, gpointer userdata) {
        Call *call = userdata;
        call->check = NULL;
        call->waiting = false;
        call->track = sd_bus_track_unref(call->track);

        switch (answer) {
        case POLKIT_YES:
                call->authorized_by = "polkit";
                (void) call->run(call);
                break;
        case POLKIT_NO:
                (void) call_fail(call, denied(call->action, "polkit refused"));
                break;
        case POLKIT_CHALLENGE:
                (void) fail_named(call, BUS_ERROR_INTERACTIVE,
                                 denied(call->action, "authentication is needed; call with interactive "
                                                      "authorization allowed"));
                break;
        case POLKIT_TIMEOUT:
                (void) call_fail(call, denied(call->action, "nobody answered the prompt in time"));
                break;
        case POLKIT_ABSENT:
                (void) call_fail(call, denied(call->action,
                                             "polkit is not there, so only root and the service's user may"));
                break;
        }
}

int call_open(Call *call, CallRun run) {
        call->authorized_by = "nobody";
        return run(call);
}

int call_authorize(Call *call, const char *action, GPtrArray *details, CallRun run) {
        call->action = action;
        call->run = run;
        if (!call->login_query)
                return authorize(call, details);
        call->details = details;
        return 1;
}

static int authorize(Call *call, GPtrArray *details) {
        if (call_is_privileged(call)) {
                call->authorized_by = call->uid == 0 ? "root" : "service";
                g_ptr_array_unref(details);
                return call->run(call);
        }
        if (!call_wait(call)) {
                g_ptr_array_unref(details);
                return 1;
        }
        g_ptr_array_add(details, NULL);
        int r = polkit_check(sd_bus_message_get_bus(call->message), call->caller, call->action,
                             (char *const *) details->pdata,
                             sd_bus_message_get_allow_interactive_authorization(call->message) > 0,
                             call->manager->settings->authorization_timeout * G_USEC_PER_SEC, on_answer, call,
                             &call->check);
        g_ptr_array_unref(details);
        if (r < 0)
                return call_fail(call, denied(call->action, "polkit cannot be asked"));
        return 1;
}
