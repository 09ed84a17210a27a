/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Manager's methods about credentials. A descriptor is read by a thread: its other end may be slow, or a
 * trap. */

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/message-ids.h"
#include "base/thread.h"
#include "engine/spec.h"
#include "manager-bus.h"
#include "operation.h"
#include "options.h"

#define SET_CREDENTIAL "org.polarshift1.set-credential"
#define INSPECT "org.polarshift1.inspect"
#define READING_MAX 64

typedef struct Reading {
        Thread *thread;
        Mailbox *mailbox;
        guint64 call_id;
        int fd;
        char *secret;
        gsize length;
        GError *error;
} Reading;

typedef struct Request {
        char *name;
        int fd;
} Request;

static void request_free(gpointer data) {
        Request *request = data;
        g_free(request->name);
        if (request->fd >= 0)
                close(request->fd);
        g_free(request);
}

static Call *begin(sd_bus_message *message, Manager *manager, const char *method, Request **ret) {
        Call *call = call_new(manager, message, method, /* mutating= */ true);
        *ret = g_new0(Request, 1);
        (*ret)->fd = -1;
        call_set_request(call, *ret, request_free);
        return call;
}

static bool check_name(Call *call, Request *request, const char *name, GError **error) {
        if (!spec_credential_name_valid(name)) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "a credential's name begins with a lower-case letter, then letters, digits, '_' "
                            "or '-', 48 at most, and "
                            "may have one '.' between two such parts");
                return false;
        }
        request->name = g_strdup(name);
        call->subject = g_strdup_printf("credential '%s'", name);
        return true;
}

static bool read_no_options(Call *call, GError **error) {
        guint64 flags;
        g_autoptr(Options) options = options_read(call->message, error);
        return options && options_refuse_rest(options, error) && flags_read(call->message, 0, &flags, error);
}

static GPtrArray *details(const Request *request, const char *operation) {
        GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(list, g_strdup("operation"));
        g_ptr_array_add(list, g_strdup(operation));
        if (request && request->name) {
                g_ptr_array_add(list, g_strdup("credential"));
                g_ptr_array_add(list, g_strdup(request->name));
        }
        return list;
}

/* ---- SetCredential ---- */

static void reading_free(gpointer data) {
        Reading *reading = data;
        credentials_wipe(reading->secret, reading->length);
        g_clear_error(&reading->error);
        if (reading->fd >= 0)
                close(reading->fd);
        g_free(reading);
}

static void read_descriptor(gpointer data) {
        Reading *reading = data;
        (void) credentials_read_fd(reading->fd, &reading->secret, &reading->length, &reading->error);
        mailbox_post(reading->mailbox, 0, AGENT_MESSAGE_CREDENTIAL, reading, reading_free);
}

void credential_call_take(Manager *manager, gpointer data) {
        Reading *reading = data;
        Call *call = call_find(manager, reading->call_id);
        thread_join(reading->thread);
        manager->reading--;
        if (!call) /* the caller has left */
                return;
        const Request *request = call->request;
        if (reading->error || !credentials_store(manager->credentials, request->name, reading->secret,
                                                 reading->length, &reading->error)) {
                (void) call_fail(call, g_steal_pointer(&reading->error));
                return;
        }
        log_write(manager->log, LOG_NOTICE, MESSAGE_ID_CREDENTIAL_CHANGED, NULL, "credential '%s' was set",
                  request->name);
        (void) call_done(call, NULL);
}

static int run_set(Call *call) {
        Request *request = call->request;
        Manager *manager = call->manager;
        GError *error = NULL;

        if (!credentials_may_store(manager->credentials, request->name, &error))
                return call_fail(call, error);
        if (manager->reading >= READING_MAX)
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_LIMITS_EXCEEDED,
                                                   "too many credentials are being read; try again"));
        if (!call_wait(call))
                return 1;
        Reading *reading = g_new0(Reading, 1);
        reading->mailbox = manager->mailbox;
        reading->call_id = call->id;
        reading->fd = request->fd;
        request->fd = -1;
        manager->reading++;
        reading->thread = thread_start("credential", read_descriptor, reading);
        return 1;
}

int method_set_credential(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        const char *name;
        int fd;
        Call *call = begin(message, userdata, "SetCredential", &request);

        if (sd_bus_message_read(message, "sh", &name, &fd) < 0)
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_INVALID_OPTION,
                                                   "name and descriptor cannot be read"));
        request->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (request->fd < 0)
                return call_fail(call,
                                 g_error_new(PS_ERROR, PS_ERROR_FAILED, "the descriptor cannot be taken"));
        if (!check_name(call, request, name, &error) || !read_no_options(call, &error))
                return call_fail(call, error);
        return call_authorize(call, SET_CREDENTIAL, details(request, "set-credential"), run_set);
}

/* ---- RemoveCredential, ListCredentials ---- */

static int run_remove(Call *call) {
        const Request *request = call->request;
        GError *error = NULL;
        if (!credentials_remove(call->manager->credentials, request->name, &error))
                return call_fail(call, error);
        log_write(call->manager->log, LOG_NOTICE, MESSAGE_ID_CREDENTIAL_CHANGED, NULL,
                  "credential '%s' was removed", request->name);
        return call_done(call, NULL);
}

int method_remove_credential(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Request *request;
        GError *error = NULL;
        const char *name;
        Call *call = begin(message, userdata, "RemoveCredential", &request);
        if (sd_bus_message_read_basic(message, 's', &name) < 0)
                return call_fail(call,
                                 g_error_new(PS_ERROR, PS_ERROR_INVALID_OPTION, "the name cannot be read"));
        if (!check_name(call, request, name, &error) || !read_no_options(call, &error))
                return call_fail(call, error);
        return call_authorize(call, SET_CREDENTIAL, details(request, "remove-credential"), run_remove);
}

static int run_list(Call *call) {
        sd_bus_message *reply = NULL;
        g_auto(GStrv) names = credentials_list(call->manager->credentials);
        int r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = sd_bus_message_append_strv(reply, names);
        if (r < 0) {
                sd_bus_message_unref(reply);
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_FAILED, "cannot build the answer: %s",
                                                   g_strerror(-r)));
        }
        return call_send(call, reply);
}

int method_list_credentials(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Call *call = call_new(userdata, message, "ListCredentials", /* mutating= */ false);
        return call_authorize(call, INSPECT, details(NULL, "list-credentials"), run_list);
}
