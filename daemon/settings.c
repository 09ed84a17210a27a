/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See settings.h. */

#include "settings.h"

#include <string.h>

#include "config.h"

#define MIGRATIONS_MAX 256
#define AUTHORIZATION_TIMEOUT 120

static int compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The main file, then the drop-ins in the order of their names. */
static GPtrArray *list_files(void) {
        const char *given = g_getenv("POLARSHIFT_CONFIG");
        g_autofree char *path = g_strdup(given ? given : POLARSHIFT_SYSCONFDIR "/polarshift.conf");
        g_autofree char *folder = g_strconcat(path, ".d", NULL);
        GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

        g_ptr_array_add(files, g_steal_pointer(&path));
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir))
                if (g_str_has_suffix(name, ".conf"))
                        g_ptr_array_add(names, g_strdup(name));
        g_ptr_array_sort(names, compare_names);
        for (guint i = 0; i < names->len; i++)
                g_ptr_array_add(files, g_build_filename(folder, g_ptr_array_index(names, i), NULL));
        return files;
}

static void wrong(Log *log, const char *file, const char *group, const char *key, const char *why) {
        log_write(log, LOG_WARNING, NULL, NULL, "%s: [%s] %s: %s; it is left out", file, group, key, why);
}

static void read_agent_key(Settings *settings, GKeyFile *key_file, const char *key, const char *file,
                           Log *log) {
        g_autofree char *text = g_key_file_get_string(key_file, "Agent", key, NULL);
        guint64 number;

        if (!text) {
                wrong(log, file, "Agent", key, "not a valid text");
        } else if (strcmp(key, "log-level") == 0) {
                int level = log_level_from_string(text);
                if (level < 0)
                        wrong(log, file, "Agent", key, "not a log level");
                else
                        settings->log_level = level;
        } else if (strcmp(key, "max-migrations") == 0) {
                if (g_ascii_string_to_unsigned(text, 10, 1, 4096, &number, NULL))
                        settings->max_migrations = (guint) number;
                else
                        wrong(log, file, "Agent", key, "not a number from 1 to 4096");
        } else if (strcmp(key, "authorization-timeout") == 0) {
                if (g_ascii_string_to_unsigned(text, 10, 1, AUTHORIZATION_TIMEOUT, &number, NULL))
                        settings->authorization_timeout = number;
                else
                        wrong(log, file, "Agent", key, "not a number of seconds from 1 to 120");
        } else if (strcmp(key, "hooks") == 0) {
                g_strfreev(settings->hooks);
                settings->hooks = g_strsplit(text, ";", -1);
        } else {
                wrong(log, file, "Agent", key, "unknown key");
        }
}

static void read_migration_key(Settings *settings, GKeyFile *key_file, const char *key, const char *file,
                               Log *log) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_key_file_get_string(key_file, "Migration", key, NULL);
        g_autoptr(MigrationSpec) scratch = spec_new("scratch");

        if (!text)
                wrong(log, file, "Migration", key, "not a valid text");
        else if (!spec_set_text(scratch, key, text, &error))
                wrong(log, file, "Migration", key, error->message);
        else {
                g_ptr_array_add(settings->defaults, g_strdup(key));
                g_ptr_array_add(settings->defaults, g_steal_pointer(&text));
        }
}

static void read_file(Settings *settings, const char *file, Log *log) {
        g_autoptr(GKeyFile) key_file = g_key_file_new();
        g_autoptr(GError) error = NULL;

        if (!g_key_file_load_from_file(key_file, file, G_KEY_FILE_NONE, &error)) {
                if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
                        log_write(log, LOG_WARNING, NULL, NULL, "%s: %s; the file is left out", file,
                                  error->message);
                return;
        }
        g_auto(GStrv) groups = g_key_file_get_groups(key_file, NULL);
        for (guint i = 0; groups[i]; i++) {
                bool agent = strcmp(groups[i], "Agent") == 0;
                if (!agent && strcmp(groups[i], "Migration") != 0) {
                        wrong(log, file, groups[i], "*", "unknown group");
                        continue;
                }
                g_auto(GStrv) keys = g_key_file_get_keys(key_file, groups[i], NULL, NULL);
                for (guint k = 0; keys && keys[k]; k++)
                        if (agent)
                                read_agent_key(settings, key_file, keys[k], file, log);
                        else
                                read_migration_key(settings, key_file, keys[k], file, log);
        }
}

Settings *settings_load(Log *log) {
        static const char *const hooks[] = {"/usr/lib/polarshift/hooks.d", "/etc/polarshift/hooks.d", NULL};
        Settings *settings = g_new0(Settings, 1);
        settings->log_level = LOG_INFO;
        settings->max_migrations = MIGRATIONS_MAX;
        settings->authorization_timeout = AUTHORIZATION_TIMEOUT;
        settings->hooks = g_strdupv((char **) hooks);
        settings->defaults = g_ptr_array_new_with_free_func(g_free);

        g_autoptr(GPtrArray) files = list_files();
        for (guint i = 0; i < files->len; i++)
                read_file(settings, g_ptr_array_index(files, i), log);
        return settings;
}

void settings_free(Settings *settings) {
        if (!settings)
                return;
        g_strfreev(settings->hooks);
        g_ptr_array_unref(settings->defaults);
        g_free(settings);
}

void settings_apply(const Settings *settings, MigrationSpec *spec) {
        for (guint i = 0; i + 1 < settings->defaults->len; i += 2)
                /* each was tried when the file was read */
                (void) spec_set_text(spec, g_ptr_array_index(settings->defaults, i),
                                    g_ptr_array_index(settings->defaults, i + 1), NULL);
}
