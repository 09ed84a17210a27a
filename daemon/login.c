/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See login.h. Two questions one after the other: which session a process belongs to, and what that session is. Both go without
 * starting logind and are given up after a while: the record is then written without. */

#include "login.h"

#include <stdbool.h>
#include <string.h>

#define BUS_NAME "org.freedesktop.login1"
#define NAME_MAX_LENGTH 256

struct LoginQuery {
        sd_bus *bus;
        sd_bus_slot *slot;
        Login *login;
        LoginAnswered answered;
        gpointer userdata;
};

void login_clear(Login *login) {
        g_clear_pointer(&login->session, g_free);
        g_clear_pointer(&login->user, g_free);
        g_clear_pointer(&login->remote_host, g_free);
        g_clear_pointer(&login->service, g_free);
}

void login_query_free(LoginQuery *query) {
        if (!query)
                return;
        sd_bus_slot_unref(query->slot);
        g_free(query);
}

static int end(LoginQuery *query) {
        LoginAnswered answered = query->answered;
        gpointer userdata = query->userdata;
        login_query_free(query);
        answered(userdata);
        return 0;
}

static int ask(LoginQuery *query, const char *path, const char *interface, const char *method, sd_bus_message_handler_t handler,
               const char *type, ...) {
        sd_bus_message *m = NULL;
        va_list args;

        int r = sd_bus_message_new_method_call(query->bus, &m, BUS_NAME, path, interface, method);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0) {
                va_start(args, type);
                r = sd_bus_message_appendv(m, type, args);
                va_end(args);
        }
        query->slot = sd_bus_slot_unref(query->slot);
        if (r >= 0)
                r = sd_bus_call_async(query->bus, &query->slot, m, handler, query, LOGIN_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        return r;
}

/* Names and hosts come from whoever logged in: one line of text, whatever they are. */
static void keep(char **place, const char *value) {
        if (!*value)
                return;
        g_free(*place);
        *place = g_utf8_make_valid(value, (gssize) strnlen(value, NAME_MAX_LENGTH));
        for (char *p = *place; *p; p++)
                if ((guchar) *p < 0x20 || *p == 0x7f)
                        *p = ' ';
}

static int read_property(sd_bus_message *reply, Login *login) {
        static const struct {
                const char *name;
                gsize offset;
        } wanted[] = {
                        {"Id", G_STRUCT_OFFSET(Login, session)},
                        {"Name", G_STRUCT_OFFSET(Login, user)},
                        {"RemoteHost", G_STRUCT_OFFSET(Login, remote_host)},
                        {"Service", G_STRUCT_OFFSET(Login, service)},
        };
        const char *name, *value;

        int r = sd_bus_message_read_basic(reply, 's', &name);
        if (r < 0)
                return r;
        for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
                if (g_str_equal(wanted[i].name, name)) {
                        r = sd_bus_message_read(reply, "v", "s", &value);
                        if (r >= 0)
                                keep(G_STRUCT_MEMBER_P(login, wanted[i].offset), value);
                        return r;
                }
        return sd_bus_message_skip(reply, "v");
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        LoginQuery *query = userdata;
        int r = sd_bus_message_is_method_error(reply, NULL) ? -1 : sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = read_property(reply, query->login);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return end(query);
}

static int on_session(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        LoginQuery *query = userdata;
        const char *path;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read_basic(reply, 'o', &path) >= 0 &&
            ask(query, path, "org.freedesktop.DBus.Properties", "GetAll", on_properties, "s", "org.freedesktop.login1.Session") >= 0)
                return 0;
        return end(query);
}

LoginQuery *login_query(sd_bus *bus, pid_t pid, Login *login, LoginAnswered answered, gpointer userdata) {
        LoginQuery *query = g_new0(LoginQuery, 1);
        query->bus = bus;
        query->login = login;
        query->answered = answered;
        query->userdata = userdata;
        if (ask(query, "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "GetSessionByPID", on_session, "u",
                (uint32_t) pid) < 0)
                g_clear_pointer(&query, login_query_free);
        return query;
}
