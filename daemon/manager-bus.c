/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See manager-bus.h. */

#include "manager-bus.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "bus-error.h"
#include "config.h"
#include "migration-bus.h"
#include "operation.h"
#include "options.h"
#include "polkit.h"

#define MANAGE "org.polarshift1.manage"
#define VALIDATE_ONLY 1U

/* ---- CreateMigration ---- */

typedef struct CreateRequest {
        MigrationSpec *spec;
        guint64 flags;
} CreateRequest;

static void create_request_free(gpointer data) {
        CreateRequest *request = data;
        spec_free(request->spec);
        g_free(request);
}

static bool name_taken(Manager *manager, const char *name) {
        g_autofree char *folder = migration_folder(manager, name);
        return g_file_test(folder, G_FILE_TEST_EXISTS);
}

static char *make_up_name(Manager *manager) {
        for (;;) {
                g_autofree char *name = g_strdup_printf("migration-%06x", g_random_int() & 0xffffff);
                if (!name_taken(manager, name))
                        return g_steal_pointer(&name);
        }
}

static MigrationSpec *read_spec(Manager *manager, sd_bus_message *message, guint64 *ret_flags, GError **error) {
        const char *given;
        if (sd_bus_message_read_basic(message, 's', &given) < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "the name cannot be read");
                return NULL;
        }
        g_autofree char *name = *given ? g_strdup(given) : make_up_name(manager);
        if (!spec_name_valid(name)) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "a migration's name begins with a lower-case letter, then lower-case letters, digits, '_' or '-', 48 at "
                            "most");
                return NULL;
        }
        g_autoptr(Options) options = options_read(message, error);
        if (!options)
                return NULL;
        g_autoptr(MigrationSpec) spec = spec_new(name);
        settings_apply(manager->settings, spec);
        if (!options_apply(options, spec, /* limits= */ false, error) || !flags_read(message, VALIDATE_ONLY, ret_flags, error) ||
            !spec_validate(spec, error))
                return NULL;
        return g_steal_pointer(&spec);
}

static int run_create(Call *call) {
        CreateRequest *request = call->request;
        Manager *manager = call->manager;
        GError *error = NULL;
        g_autofree char *name = g_strdup(request->spec->name);
        const char *unreadable = g_hash_table_lookup(manager->unreadable, name);

        if (unreadable)
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_STATE_UNREADABLE,
                                                   "migration '%s' is there already, and its state cannot be read: %s", name,
                                                   unreadable));
        if (manager_find(manager, name) || name_taken(manager, name))
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_ALREADY_EXISTS, "migration '%s' is there already", name));
        if (request->flags & VALIDATE_ONLY)
                return call_done(call, "o", "/");
        if (g_hash_table_size(manager->migrations) + g_hash_table_size(manager->unreadable) >= manager->settings->max_migrations)
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_LIMITS_EXCEEDED,
                                                   "there are %u migrations, which is the limit; remove ended ones",
                                                   manager->settings->max_migrations));

        g_autoptr(Record) record = record_new(g_steal_pointer(&request->spec), clock_real(), (guint32) call->uid);
        if (!migration_create_folder(manager, record, &error))
                return call_fail(call, error);
        Migration *m = migration_new(manager, g_steal_pointer(&record));
        manager_attach(manager, m);
        migration_note(m, LOG_NOTICE, NULL, "created", NULL, "created");
        migration_run(m);
        (void) sd_bus_emit_object_added(manager->bus, m->path);
        manager_show_status(manager);
        return call_done(call, "o", m->path);
}

static int method_create_migration(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = userdata;
        GError *error = NULL;
        Call *call = call_new(manager, message, "CreateMigration", /* mutating= */ true);
        CreateRequest *request = g_new0(CreateRequest, 1);
        call_set_request(call, request, create_request_free);

        request->spec = read_spec(manager, message, &request->flags, &error);
        if (!request->spec)
                return call_fail(call, error);
        call->migration = g_strdup(request->spec->name);
        GPtrArray *details = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(details, g_strdup("migration"));
        g_ptr_array_add(details, g_strdup(call->migration));
        g_ptr_array_add(details, g_strdup("operation"));
        g_ptr_array_add(details, g_strdup("create"));
        for (int side = 0; side < _SIDE_MAX; side++) {
                g_ptr_array_add(details, g_strdup(side_to_string((Side) side)));
                g_ptr_array_add(details, endpoint_label(request->spec->servers[side].endpoint));
        }
        return call_authorize(call, MANAGE, details, run_create);
}

/* ---- looking ---- */

static int method_get_migration(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        g_autoptr(GError) error = NULL;
        const char *name;
        int r = sd_bus_message_read_basic(message, 's', &name);
        if (r < 0)
                return r;
        Migration *m = manager_get(userdata, name, &error);
        if (!m)
                return bus_error_set(ret_error, error);
        return sd_bus_reply_method_return(message, "o", m->path);
}

static int compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(a, b);
}

static int append_migration(sd_bus_message *reply, Manager *manager, const char *name) {
        char *path = NULL;
        const Migration *m = manager_find(manager, name);
        int r = sd_bus_path_encode(MIGRATION_PREFIX, name, &path);
        if (r >= 0) /* one that cannot be read has no phase that is known */
                r = sd_bus_message_append(reply, "(sso)", name, m ? migration_phase_to_string(m->record->phase) : "", path);
        free(path);
        return r;
}

static int method_list_migrations(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = userdata;
        sd_bus_message *reply = NULL;
        GList *names = g_list_concat(g_hash_table_get_keys(manager->migrations), g_hash_table_get_keys(manager->unreadable));
        names = g_list_sort(names, compare_names);

        int r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sso)");
        for (GList *l = names; r >= 0 && l; l = l->next)
                r = append_migration(reply, manager, l->data);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        g_list_free(names);
        return r;
}

/* ---- clusters: not there yet ---- */

static int run_create_cluster(Call *call) {
        return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_NOT_SUPPORTED,
                                           "this version makes no clusters; give a server that is there as 'destination'"));
}

static int method_create_cluster(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Call *call = call_new(userdata, message, "CreateCluster", /* mutating= */ true);
        return call_open(call, run_create_cluster);
}

static int no_clusters(sd_bus_error *ret_error) {
        return sd_bus_error_set(ret_error, bus_error_name(PS_ERROR_NOT_SUPPORTED), "this version has no clusters; give a server that is there as 'destination'");
}

static int method_get_cluster(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return no_clusters(ret_error);
}

static int method_list_clusters(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return no_clusters(ret_error);
}

/* ---- GetPermissions: one question to polkit per action ---- */

typedef struct Permissions {
        PolkitCheck **checks; /* per action; NULL once it was answered */
        const char **answers;
        struct Asked {
                Call *call;
                guint index;
        } *asked;
        guint open, n;
} Permissions;

static void permissions_free(gpointer data) {
        Permissions *permissions = data;
        for (guint i = 0; i < permissions->n; i++)
                polkit_check_free(permissions->checks[i]);
        g_free(permissions->checks);
        g_free(permissions->answers);
        g_free(permissions->asked);
        g_free(permissions);
}

static int send_permissions(Call *call) {
        const Permissions *permissions = call->request;
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(call->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{ss}");
        for (guint i = 0; r >= 0 && i < permissions->n; i++)
                r = sd_bus_message_append(reply, "{ss}", polkit_actions[i], permissions->answers[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0) {
                sd_bus_message_unref(reply);
                return call_fail(call, g_error_new(PS_ERROR, PS_ERROR_FAILED, "cannot build the answer: %s", g_strerror(-r)));
        }
        return call_send(call, reply);
}

static void on_permission(PolkitAnswer answer, gpointer userdata) {
        const struct Asked *asked = userdata;
        Permissions *permissions = asked->call->request;
        permissions->checks[asked->index] = NULL;
        permissions->answers[asked->index] = answer == POLKIT_YES ? "yes" : answer == POLKIT_CHALLENGE ? "challenge" : "no";
        if (--permissions->open == 0)
                (void) send_permissions(asked->call);
}

static int method_get_permissions(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        Manager *manager = userdata;
        Call *call = call_new(manager, message, "GetPermissions", /* mutating= */ false);
        Permissions *permissions = g_new0(Permissions, 1);
        while (polkit_actions[permissions->n])
                permissions->n++;
        permissions->checks = g_new0(PolkitCheck *, permissions->n);
        permissions->answers = g_new0(const char *, permissions->n);
        permissions->asked = g_new0(struct Asked, permissions->n);
        call_set_request(call, permissions, permissions_free);

        bool privileged = call_is_privileged(call);
        for (guint i = 0; i < permissions->n; i++)
                permissions->answers[i] = privileged ? "yes" : "no";
        if (privileged)
                return send_permissions(call);
        if (!call_wait(call))
                return 1;
        for (guint i = 0; i < permissions->n; i++) {
                permissions->asked[i] = (struct Asked) { .call = call, .index = i };
                if (polkit_check(manager->bus, call->caller, polkit_actions[i], /* details= */ NULL, /* interactive= */ false,
                                 manager->settings->authorization_timeout * G_USEC_PER_SEC, on_permission, &permissions->asked[i],
                                 &permissions->checks[i]) >= 0)
                        permissions->open++;
        }
        return permissions->open > 0 ? 1 : send_permissions(call);
}

/* ---- the interface ---- */

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                       void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", POLARSHIFT_VERSION);
}

/* What a client may rely on beside the first version of the contract. */
static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                        void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "as", 3, "migrate", "rollback", "verify");
}

#define METHOD(name, in, in_names, out, out_names, handler, flags)                                                     \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler, SD_BUS_VTABLE_UNPRIVILEGED | (flags))
#define ONE(name) SD_BUS_PARAM(name)
#define OPTIONS SD_BUS_PARAM(options) SD_BUS_PARAM(flags)

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("CreateMigration", "sa{sv}t", ONE(name) OPTIONS, "o", ONE(path), method_create_migration, 0),
        METHOD("GetMigration", "s", ONE(name), "o", ONE(path), method_get_migration, 0),
        METHOD("ListMigrations", NULL, , "a(sso)", ONE(migrations), method_list_migrations, 0),
        METHOD("CreateCluster", "sa{sv}t", ONE(name) OPTIONS, "o", ONE(path), method_create_cluster, 0),
        METHOD("GetCluster", "s", ONE(name), "o", ONE(path), method_get_cluster, 0),
        METHOD("ListClusters", NULL, , "a(sso)", ONE(clusters), method_list_clusters, 0),
        METHOD("SetCredential", "sha{sv}t", ONE(name) ONE(descriptor) OPTIONS, NULL, , method_set_credential,
               SD_BUS_VTABLE_SENSITIVE),
        METHOD("RemoveCredential", "sa{sv}t", ONE(name) OPTIONS, NULL, , method_remove_credential, 0),
        METHOD("ListCredentials", NULL, , "as", ONE(names), method_list_credentials, 0),
        METHOD("GetPermissions", NULL, , "a{ss}", ONE(permissions), method_get_permissions, 0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int manager_bus_register(Manager *manager) {
        int r = sd_bus_add_object_vtable(manager->bus, NULL, MANAGER_PATH, MANAGER_INTERFACE, manager_vtable, manager);
        if (r >= 0)
                r = sd_bus_add_object_manager(manager->bus, NULL, MANAGER_PATH);
        if (r >= 0)
                r = migration_bus_register(manager);
        return r;
}
