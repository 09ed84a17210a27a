/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KEY=VALUE options and their D-Bus types; see settings.h. */

#include "settings.h"

#include <errno.h>
#include <math.h>
#include <string.h>

typedef enum SettingType {
        SETTING_STRING,
        SETTING_LIST,     /* as, commas outside backticks separate */
        SETTING_BOOL,     /* b */
        SETTING_COUNT,    /* u */
        SETTING_NUMBER,   /* t */
        SETTING_SIZE,     /* t, bytes */
        SETTING_SECONDS,  /* t, whole seconds */
        SETTING_DURATION, /* d, seconds */
        SETTING_TABLE,    /* a{sv}, each value is KEY=VALUE */
} SettingType;

static const struct {
        const char *key;
        SettingType type;
} key_table[] = {
        { "include", SETTING_LIST },
        { "exclude", SETTING_LIST },
        { "allow-list", SETTING_LIST },
        { "create-cluster", SETTING_TABLE },
        { "max-delay", SETTING_DURATION },
        { "deadline", SETTING_DURATION },
        { "confirm-within", SETTING_DURATION },
        { "expire-after", SETTING_SECONDS },
        { "copy-threads", SETTING_COUNT },
        { "apply-threads", SETTING_COUNT },
        { "max-source-load", SETTING_COUNT },
        { "max-copy-rate", SETTING_SIZE },
        { "expected-generation", SETTING_NUMBER },
        { "kill-sessions", SETTING_BOOL },
        { "disable-binlog", SETTING_BOOL },
        { "delete-data", SETTING_BOOL },
        { "binlog", SETTING_BOOL }, /* of a cluster */
};

typedef struct Setting {
        char *key;
        SettingType type;
        bool flag;
        uint64_t number;
        double seconds;
        GPtrArray *strings; /* one, or a list */
        Settings *table;
} Setting;

struct Settings {
        GPtrArray *items;
};

static void setting_free(void *data) {
        Setting *setting = data;

        if (!setting)
                return;
        g_free(setting->key);
        g_clear_pointer(&setting->strings, g_ptr_array_unref);
        settings_free(setting->table);
        g_free(setting);
}

Settings *settings_new(void) {
        Settings *settings = g_new0(Settings, 1);

        settings->items = g_ptr_array_new_with_free_func(setting_free);
        return settings;
}

void settings_free(Settings *settings) {
        if (!settings)
                return;
        g_ptr_array_unref(settings->items);
        g_free(settings);
}

static SettingType type_of(const char *key) {
        for (gsize i = 0; i < G_N_ELEMENTS(key_table); i++)
                if (strcmp(key_table[i].key, key) == 0)
                        return key_table[i].type;
        return SETTING_STRING;
}

static Setting *settings_find(const Settings *settings, const char *key) {
        for (guint i = 0; i < settings->items->len; i++) {
                Setting *setting = g_ptr_array_index(settings->items, i);

                if (strcmp(setting->key, key) == 0)
                        return setting;
        }
        return NULL;
}

bool settings_has(const Settings *settings, const char *key) {
        return settings_find(settings, key) != NULL;
}

bool settings_empty(const Settings *settings) {
        return settings->items->len == 0;
}

bool settings_parse_duration(const char *text, double *ret_seconds) {
        static const struct {
                const char *suffix;
                double seconds;
        } units[] = {
                { "ms", 0.001 }, { "min", 60 }, { "m", 60 },    { "sec", 1 },
                { "s", 1 },      { "h", 3600 }, { "d", 86400 }, { "w", 604800 },
        };
        double total = 0;

        if (!*text)
                return false;
        while (*text) {
                double factor = 1;
                gsize skip = 0;
                double value;
                char *end;

                if (!g_ascii_isdigit(*text) && *text != '.')
                        return false;
                value = g_ascii_strtod(text, &end);
                if (end == text || !isfinite(value))
                        return false;
                for (gsize i = 0; i < G_N_ELEMENTS(units) && skip == 0; i++)
                        if (g_str_has_prefix(end, units[i].suffix)) {
                                factor = units[i].seconds;
                                skip = strlen(units[i].suffix);
                        }
                text = end + skip;
                while (*text == ' ')
                        text++;
                if (skip == 0 && *text)
                        return false;
                total += value * factor;
        }
        *ret_seconds = total;
        return true;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret) {
        guint64 value;

        if (!g_ascii_string_to_unsigned(text, 10, 0, max, &value, NULL))
                return false;
        *ret = value;
        return true;
}

static bool parse_size(const char *text, uint64_t *ret) {
        static const char letters[] = "KMGTP";
        const char *letter;
        char *end;
        guint64 value;
        unsigned shift = 0;

        if (!g_ascii_isdigit(*text))
                return false;
        errno = 0;
        value = g_ascii_strtoull(text, &end, 10);
        if (errno != 0)
                return false;
        if (*end) {
                letter = strchr(letters, g_ascii_toupper(*end));
                if (!letter || !*letter ||
                    (end[1] && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0))
                        return false;
                shift = 10 * (unsigned) (letter - letters + 1);
        }
        if (value > (G_MAXUINT64 >> shift))
                return false;
        *ret = value << shift;
        return true;
}

static bool parse_bool(const char *text, bool *ret) {
        static const char *const yes[] = { "true", "yes", "on", "1", NULL };
        static const char *const no[] = { "false", "no", "off", "0", NULL };

        if (!g_strv_contains(yes, text) && !g_strv_contains(no, text))
                return false;
        *ret = g_strv_contains(yes, text);
        return true;
}

/* Names with commas stand in backticks. */
static void split_list(const char *text, GPtrArray *items) {
        g_autoptr(GString) item = g_string_new(NULL);
        bool quoted = false;

        for (;; text++) {
                if (*text == '`')
                        quoted = !quoted;
                if (*text && (*text != ',' || quoted)) {
                        g_string_append_c(item, *text);
                        continue;
                }
                if (item->len > 0)
                        g_ptr_array_add(items, g_strdup(item->str));
                g_string_truncate(item, 0);
                if (!*text)
                        return;
        }
}

static bool set_value(Setting *setting, const char *value, char **ret_message) {
        double seconds;

        switch (setting->type) {
        case SETTING_STRING:
                g_ptr_array_set_size(setting->strings, 0);
                g_ptr_array_add(setting->strings, g_strdup(value));
                return true;
        case SETTING_LIST:
                split_list(value, setting->strings);
                return true;
        case SETTING_BOOL:
                if (parse_bool(value, &setting->flag))
                        return true;
                *ret_message = g_strdup_printf("%s takes yes or no, not \"%s\".", setting->key, value);
                return false;
        case SETTING_COUNT:
                if (parse_number(value, G_MAXUINT32, &setting->number))
                        return true;
                *ret_message = g_strdup_printf("%s takes a number, not \"%s\".", setting->key, value);
                return false;
        case SETTING_NUMBER:
                if (parse_number(value, G_MAXUINT64, &setting->number))
                        return true;
                *ret_message = g_strdup_printf("%s takes a number, not \"%s\".", setting->key, value);
                return false;
        case SETTING_SIZE:
                if (parse_size(value, &setting->number))
                        return true;
                *ret_message = g_strdup_printf("%s takes a size such as 500K or 10M, not \"%s\".",
                                               setting->key, value);
                return false;
        case SETTING_SECONDS:
                if (settings_parse_duration(value, &seconds) && seconds < 1e15 && seconds == floor(seconds)) {
                        setting->number = (uint64_t) seconds;
                        return true;
                }
                *ret_message = g_strdup_printf(
                                "%s takes a time of whole seconds such as 3600 or 7d, not \"%s\".",
                                setting->key, value);
                return false;
        case SETTING_DURATION:
                if (settings_parse_duration(value, &setting->seconds))
                        return true;
                *ret_message = g_strdup_printf("%s takes a time such as 30 or 1min, not \"%s\".",
                                               setting->key, value);
                return false;
        case SETTING_TABLE:
                return settings_add_word(setting->table, value, ret_message);
        }
        g_return_val_if_reached(false);
}

bool settings_add(Settings *settings, const char *key, const char *value, char **ret_message) {
        Setting *setting;

        if (!*key || !g_utf8_validate(key, -1, NULL) || !g_utf8_validate(value, -1, NULL)) {
                *ret_message = g_strdup("An option needs a name, and both name and value have to be UTF-8.");
                return false;
        }
        setting = settings_find(settings, key);
        if (!setting) {
                setting = g_new0(Setting, 1);
                setting->key = g_strdup(key);
                setting->type = type_of(key);
                setting->strings = g_ptr_array_new_with_free_func(g_free);
                setting->table = settings_new();
                g_ptr_array_add(settings->items, setting);
        }
        return set_value(setting, value, ret_message);
}

bool settings_add_word(Settings *settings, const char *word, char **ret_message) {
        const char *equals = strchr(word, '=');
        g_autofree char *key = NULL;

        if (!equals || equals == word) {
                *ret_message = g_strdup_printf("\"%s\" is not of the form KEY=VALUE.", word);
                return false;
        }
        key = g_strndup(word, (gsize) (equals - word));
        return settings_add(settings, key, equals + 1, ret_message);
}

static int append_list(sd_bus_message *message, GPtrArray *strings) {
        int r;

        r = sd_bus_message_open_container(message, 'v', "as");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(message, 'a', "s");
        if (r < 0)
                return r;
        for (guint i = 0; i < strings->len; i++) {
                r = sd_bus_message_append_basic(message, 's', g_ptr_array_index(strings, i));
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(message);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(message);
}

static int append_value(const Setting *setting, sd_bus_message *message) {
        int r;

        switch (setting->type) {
        case SETTING_STRING:
                return sd_bus_message_append(message, "v", "s", g_ptr_array_index(setting->strings, 0));
        case SETTING_LIST:
                return append_list(message, setting->strings);
        case SETTING_BOOL:
                return sd_bus_message_append(message, "v", "b", (int) setting->flag);
        case SETTING_COUNT:
                return sd_bus_message_append(message, "v", "u", (uint32_t) setting->number);
        case SETTING_NUMBER:
        case SETTING_SIZE:
        case SETTING_SECONDS:
                return sd_bus_message_append(message, "v", "t", setting->number);
        case SETTING_DURATION:
                return sd_bus_message_append(message, "v", "d", setting->seconds);
        case SETTING_TABLE:
                r = sd_bus_message_open_container(message, 'v', "a{sv}");
                if (r < 0)
                        return r;
                r = settings_append(setting->table, message);
                if (r < 0)
                        return r;
                return sd_bus_message_close_container(message);
        }
        g_return_val_if_reached(-EINVAL);
}

int settings_append(const Settings *settings, sd_bus_message *message) {
        int r;

        r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r < 0)
                return r;
        for (guint i = 0; i < settings->items->len; i++) {
                const Setting *setting = g_ptr_array_index(settings->items, i);

                r = sd_bus_message_open_container(message, 'e', "sv");
                if (r < 0)
                        return r;
                r = sd_bus_message_append_basic(message, 's', setting->key);
                if (r < 0)
                        return r;
                r = append_value(setting, message);
                if (r < 0)
                        return r;
                r = sd_bus_message_close_container(message);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(message);
}
