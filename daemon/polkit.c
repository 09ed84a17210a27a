/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See polkit.h. The subject is the caller's bus name, never a process id, which could have passed to another
 * process by the time that polkit looks. */

#include "polkit.h"

#include <errno.h>

#define BUS_NAME "org.freedesktop.PolicyKit1"
#define PATH "/org/freedesktop/PolicyKit1/Authority"
#define INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define ALLOW_INTERACTION 1U

const char *const polkit_actions[] = {
                POLKIT_PREFIX "inspect",        POLKIT_PREFIX "manage",
                POLKIT_PREFIX "set-credential", POLKIT_PREFIX "switch",
                POLKIT_PREFIX "rollback",       POLKIT_PREFIX "complete",
                POLKIT_PREFIX "destroy",        NULL,
};

struct PolkitCheck {
        sd_bus *bus;
        sd_bus_slot *slot;
        char *cancellation;
        PolkitAnswered answered;
        gpointer userdata;
};

/* Takes a prompt that nobody waits for any more off the screen. */
static void withdraw(PolkitCheck *check) {
        (void) sd_bus_call_method_async(check->bus, NULL, BUS_NAME, PATH, INTERFACE,
                                       "CancelCheckAuthorization",
                                       /* callback= */ NULL, /* userdata= */ NULL, "s", check->cancellation);
}

void polkit_check_free(PolkitCheck *check) {
        if (!check)
                return;
        if (check->slot) {
                sd_bus_slot_unref(check->slot);
                withdraw(check);
        }
        g_free(check->cancellation);
        g_free(check);
}

static PolkitAnswer read_answer(PolkitCheck *check, sd_bus_message *reply) {
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        int authorized, challenge;

        if (error) {
                if (sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT,
                                           "org.freedesktop.DBus.Error.TimedOut")) {
                        withdraw(check);
                        return POLKIT_TIMEOUT;
                }
                if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                           SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                           "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
                                           "org.freedesktop.systemd1.NoSuchUnit",
                                           "org.freedesktop.systemd1.UnitMasked"))
                        return POLKIT_ABSENT;
                return POLKIT_NO;
        }
        if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
            sd_bus_message_read(reply, "bb", &authorized, &challenge) < 0)
                return POLKIT_NO;
        return authorized ? POLKIT_YES : challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        PolkitCheck *check = userdata;
        PolkitAnswer answer = read_answer(check, reply);
        PolkitAnswered answered = check->answered;
        gpointer data = check->userdata;
        check->slot = sd_bus_slot_unref(check->slot);
        polkit_check_free(check);
        answered(answer, data);
        return 0;
}

static int append_question(sd_bus_message *m, const char *caller, const char *action, char *const *details,
                           bool interactive, const char *cancellation) {
        int r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", caller, action);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (guint i = 0; r >= 0 && details && details[i] && details[i + 1]; i += 2)
                r = sd_bus_message_append(m, "{ss}", details[i], details[i + 1]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", interactive ? ALLOW_INTERACTION : 0U, cancellation);
        return r;
}

int polkit_check(sd_bus *bus, const char *caller, const char *action, char *const *details, bool interactive,
                 guint64 timeout_usec, PolkitAnswered answered, gpointer userdata, PolkitCheck **ret) {
        sd_bus_message *m = NULL;
        PolkitCheck *check = g_new0(PolkitCheck, 1);
        check->bus = bus;
        check->cancellation = g_uuid_string_random();
        check->answered = answered;
        check->userdata = userdata;

        int r = sd_bus_message_new_method_call(bus, &m, BUS_NAME, PATH, INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = append_question(m, caller, action, details, interactive, check->cancellation);
        if (r >= 0)
                r = sd_bus_call_async(bus, &check->slot, m, on_reply, check, timeout_usec);
        sd_bus_message_unref(m);
        if (r < 0) {
                polkit_check_free(check);
                return r;
        }
        *ret = check;
        return 0;
}
