/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See log-control.h. Setting needs no polkit action: sd-bus lets only root (and the service's own user)
 * write. */

#include "log-control.h"

#include <errno.h>

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Manager *manager = userdata;
        return sd_bus_message_append(reply, "s", log_level_to_string(log_level(manager->log)));
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *value, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;
        const char *text;
        int r = sd_bus_message_read_basic(value, 's', &text);
        if (r < 0)
                return r;
        int level = log_level_from_string(text);
        if (level < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "no log level is called '%s'",
                                         text);
        log_set_level(manager->log, level);
        return 0;
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Manager *manager = userdata;
        return sd_bus_message_append(reply, "s", log_has_journal(manager->log) ? "journal" : "console");
}

static int set_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *value, void *userdata, sd_bus_error *error) {
        return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                "the target is what the agent was started with");
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", "polarshiftd");
}

static const sd_bus_vtable log_control_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
                SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, 0),
                SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_VTABLE_END,
};

int log_control_register(Manager *manager) {
        return sd_bus_add_object_vtable(manager->bus, NULL, "/org/freedesktop/LogControl1",
                                        "org.freedesktop.LogControl1", log_control_vtable, manager);
}
