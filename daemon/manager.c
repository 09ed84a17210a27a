/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See manager.h. */

#include "manager.h"

#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/message-ids.h"
#include "log-control.h"
#include "manager-bus.h"
#include "migration-bus.h"
#include "operation.h"

#define STATE_MAX (64 * 1024 * 1024)
#define STOP_USEC (9 * USEC_PER_SEC)
#define RETIRED_EXIT_STATUS 1
#define STATUS_SHOWN_MAX 4 /* systemctl status has one line */

static bool fail(GError **error, int r, const char *what) {
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot %s: %s", what, g_strerror(-r));
        return false;
}

Manager *manager_new(GError **error) {
        g_autoptr(Manager) manager = g_new0(Manager, 1);
        const char *state_directory = g_getenv("STATE_DIRECTORY");

        manager->log = log_new();
        manager->settings = settings_load(manager->log);
        log_set_level(manager->log, manager->settings->log_level);
        manager->mailbox = mailbox_new();
        manager->hooks = hooks_new(manager->settings->hooks, manager->log);
        manager->state_directory = g_strdup(state_directory && *state_directory ? state_directory
                                                                                : "/var/lib/polarshift");
        manager->agent_id = ((guint64) g_random_int() << 32) | g_random_int();
        manager->migrations =
                        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) migration_free);
        manager->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
        manager->unreadable = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        manager->calls = g_hash_table_new(g_int64_hash, g_int64_equal);

        manager->credentials = credentials_new(manager->state_directory, error);
        if (!manager->credentials)
                return NULL;
        int r = sd_event_default(&manager->event);
        if (r < 0) {
                fail(error, r, "make an event loop");
                return NULL;
        }
        return g_steal_pointer(&manager);
}

static void free_calls(Manager *manager) {
        g_autoptr(GList) calls = g_hash_table_get_values(manager->calls);
        for (GList *l = calls; l; l = l->next)
                call_free(l->data);
        g_hash_table_unref(manager->calls);
}

void manager_free(Manager *manager) {
        if (!manager)
                return;
        if (manager->calls)
                free_calls(manager);
        g_clear_pointer(&manager->by_id, g_hash_table_unref);
        g_clear_pointer(&manager->migrations, g_hash_table_unref);
        g_clear_pointer(&manager->unreadable, g_hash_table_unref);
        sd_event_source_disable_unref(manager->tick);
        sd_event_source_disable_unref(manager->stop_timer);
        sd_event_source_disable_unref(manager->mailbox_source);
        sd_bus_flush_close_unref(manager->bus);
        sd_event_unref(manager->event);
        mailbox_free(manager->mailbox);
        credentials_free(manager->credentials);
        hooks_free(manager->hooks);
        settings_free(manager->settings);
        log_free(manager->log);
        g_free(manager->state_directory);
        g_free(manager->status_shown);
        g_free(manager);
}

/* ---- the migrations ---- */

Migration *manager_find(Manager *manager, const char *name) {
        return g_hash_table_lookup(manager->migrations, name);
}

Migration *manager_get(Manager *manager, const char *name, GError **error) {
        Migration *m = manager_find(manager, name);
        if (m)
                return m;
        const char *why = g_hash_table_lookup(manager->unreadable, name);
        if (why)
                g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE,
                            "the state of migration '%s' cannot be read (%s); bring back its state.json and "
                            "restart the agent",
                            name, why);
        else
                g_set_error(error, PS_ERROR, PS_ERROR_NO_SUCH_MIGRATION, "there is no migration '%.64s'",
                            name);
        return NULL;
}

void manager_attach(Manager *manager, Migration *m) {
        g_hash_table_insert(manager->migrations, m->name, m);
        g_hash_table_insert(manager->by_id, &m->id, m);
}

void manager_detach(Manager *manager, Migration *m) {
        if (manager->bus)
                (void) sd_bus_emit_object_removed(manager->bus, m->path);
        g_hash_table_remove(manager->by_id, &m->id);
        g_hash_table_remove(manager->migrations, m->name);
        manager_show_status(manager);
}

static void append_status(GString *text, const Migration *m) {
        const Record *record = m->record;
        g_string_append_printf(text, "; %s: %s", m->name, migration_phase_to_string(record->phase));
        if (record->paused)
                g_string_append(text, ", paused");
        if (record->operation.request.id != 0)
                g_string_append_printf(text, ", %s%s%s", operation_kind_to_string(record->operation.request.kind),
                                       *m->status.step ? " at " : " running", m->status.step);
        if (m->status.error >= 0)
                g_string_append_printf(text, ", link %s", replication_state_to_string(m->status.replication));
}

void manager_show_status(Manager *manager) {
        GHashTableIter iter;
        Migration *m;
        guint count = g_hash_table_size(manager->migrations), shown = 0, unreadable = g_hash_table_size(manager->unreadable);
        g_autoptr(GString) text = g_string_new(NULL);

        if (manager->stopping)
                return;
        g_string_printf(text, "STATUS=%u migration%s", count, count == 1 ? "" : "s");
        if (unreadable > 0)
                g_string_append_printf(text, "; the state of %u cannot be read", unreadable);
        g_hash_table_iter_init(&iter, manager->migrations);
        while (shown < STATUS_SHOWN_MAX && g_hash_table_iter_next(&iter, NULL, (gpointer *) &m))
                if (!migration_phase_is_final(m->record->phase)) {
                        append_status(text, m);
                        shown++;
                }
        if (g_strcmp0(text->str, manager->status_shown) == 0) /* the socket blocks when nobody reads it */
                return;
        (void) sd_notify(0, text->str);
        g_free(manager->status_shown);
        manager->status_shown = g_strdup(text->str);
}

/* ---- recovery ---- */

static void recover_one(Manager *manager, const char *name) {
        g_autoptr(GError) error = NULL;
        g_autofree char *folder = migration_folder(manager, name);
        g_autofree char *path = g_build_filename(folder, "state.json", NULL);
        g_autofree char *text = NULL;
        gsize length = 0;
        g_autoptr(Record) record = NULL;

        if (fs_read(path, STATE_MAX, &text, &length, &error))
                record = record_from_text(text, length, &error);
        if (record && strcmp(record->spec->name, name) != 0)
                g_set_error(&error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "it belongs to migration '%s'",
                            record->spec->name);
        if (error) {
                g_autofree char *field = g_strdup_printf("MIGRATION=%s", name);
                const char *fields[] = {field, NULL};
                log_write(manager->log, LOG_ERR, MESSAGE_ID_STATE_UNREADABLE, fields,
                          "migration '%s': state unreadable, so neither it nor its servers are touched: %s",
                          name, error->message);
                g_hash_table_insert(manager->unreadable, g_strdup(name), g_strdup(error->message));
                return;
        }
        manager_attach(manager, migration_new(manager, g_steal_pointer(&record)));
}

/* What a crash left of a creation or a removal. */
static void sweep(Manager *manager, const char *name) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = migration_folder(manager, name);
        if (!fs_remove_tree(path, &error))
                log_write(manager->log, LOG_WARNING, NULL, NULL, "%s", error->message);
}

static bool recover(Manager *manager, GError **error) {
        g_autofree char *folder = g_build_filename(manager->state_directory, "migrations", NULL);
        if (!fs_make_dir(folder, error))
                return false;
        g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
        if (!dir)
                return false;
        for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
                if (g_str_has_prefix(name, ".new-") || g_str_has_prefix(name, ".removed-"))
                        sweep(manager, name);
                else if (spec_name_valid(name))
                        recover_one(manager, name);
                else
                        log_write(manager->log, LOG_WARNING, NULL, NULL,
                                  "%s/%s is no migration; it is left alone", folder, name);
        }
        return true;
}

/* ---- the loop ---- */

static int on_mailbox(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Manager *manager = userdata;
        Message *next;
        for (Message *message = mailbox_take_all(manager->mailbox); message; message = next) {
                next = message->next;
                if (message->id == 0) {
                        credential_call_take(manager, message->data);
                } else {
                        Migration *m = g_hash_table_lookup(manager->by_id, &message->id);
                        if (m) /* else it was removed */
                                migration_take_message(m, message);
                }
                message_free(message);
        }
        manager_check_stopped(manager);
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;
        GHashTableIter iter;
        Migration *m;
        g_hash_table_iter_init(&iter, manager->migrations);
        while (g_hash_table_iter_next(&iter, NULL, (gpointer *) &m))
                migration_sample(m);
        manager_show_status(manager);
        (void) sd_event_source_set_time(source, usec + (guint64) USEC_PER_SEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        manager_stop(userdata);
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = userdata;
        log_write(manager->log, LOG_ERR, NULL, NULL, "the bus is gone; stopping");
        manager_stop(manager);
        return 0;
}

static bool arm_loop(Manager *manager, GError **error) {
        sd_event *e = manager->event;
        int r = sd_event_add_signal(e, NULL, SIGTERM, on_signal, manager);
        if (r >= 0)
                r = sd_event_add_signal(e, NULL, SIGINT, on_signal, manager);
        if (r >= 0)
                r = sd_event_add_io(e, &manager->mailbox_source, mailbox_fd(manager->mailbox), EPOLLIN,
                                    on_mailbox, manager);
        if (r >= 0)
                r = sd_event_add_time_relative(e, &manager->tick, CLOCK_MONOTONIC, (guint64) USEC_PER_SEC,
                                               50000, on_tick, manager);
        if (r >= 0)
                r = sd_event_set_watchdog(e, true);
        return r >= 0 || fail(error, r, "set up the event loop");
}

static bool join_bus(Manager *manager, GError **error) {
        int r = sd_bus_open_system(&manager->bus);
        if (r < 0)
                return fail(error, r, "connect to the system bus");
        r = manager_bus_register(manager);
        if (r >= 0)
                r = log_control_register(manager);
        if (r >= 0)
                r = sd_bus_attach_event(manager->bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal(manager->bus, NULL, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_disconnected, manager);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(manager->bus, false);
        if (r < 0)
                return fail(error, r, "offer the bus objects");
        /* last of all: whoever sees the name finds everything in place */
        r = sd_bus_request_name(manager->bus, BUS_NAME, 0);
        return r >= 0 || fail(error, r, "take the bus name " BUS_NAME);
}

bool manager_start(Manager *manager, GError **error) {
        if (!arm_loop(manager, error) || !recover(manager, error) || !join_bus(manager, error))
                return false;
        g_autoptr(GList) list = g_hash_table_get_values(manager->migrations);
        for (GList *l = list; l; l = l->next)
                migration_run(l->data);
        manager_show_status(manager);
        return true;
}

/* ---- the end ---- */

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Manager *manager = userdata;
        log_write(manager->log, LOG_ERR, NULL, NULL,
                  "some work did not end in time; leaving it to the next start");
        return sd_event_exit(manager->event, RETIRED_EXIT_STATUS);
}

void manager_check_stopped(Manager *manager) {
        if (!manager->stopping || manager->reading > 0)
                return;
        GHashTableIter iter;
        Migration *m;
        g_hash_table_iter_init(&iter, manager->migrations);
        while (g_hash_table_iter_next(&iter, NULL, (gpointer *) &m))
                if (!migration_is_stopped(m))
                        return;
        (void) sd_event_exit(manager->event, 0);
}

void manager_stop(Manager *manager) {
        if (manager->stopping)
                return;
        manager->stopping = true;
        (void) sd_notify(0, "STOPPING=1\nSTATUS=stopping");
        hooks_stop(manager->hooks);
        GHashTableIter iter;
        Migration *m;
        g_hash_table_iter_init(&iter, manager->migrations);
        while (g_hash_table_iter_next(&iter, NULL, (gpointer *) &m))
                migration_stop(m);
        (void) sd_event_add_time_relative(manager->event, &manager->stop_timer, CLOCK_MONOTONIC,
                                         (guint64) STOP_USEC, 0, on_stop_timeout, manager);
        manager_check_stopped(manager);
}
