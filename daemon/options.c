/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See options.h. */

#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define OPTIONS_MAX 64

typedef struct Option {
        char *key;
        SpecValue value; /* type -1: none that an option can have */
        char *text;      /* what value points to */
        char **list;
        bool taken;
        bool dictionary; /* a{sv} */
} Option;

struct Options {
        GPtrArray *list; /* of Option */
};

static void option_free(Option *option) {
        if (!option)
                return;
        g_free(option->key);
        g_free(option->text);
        g_strfreev(option->list);
        g_free(option);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Option, option_free)

void options_free(Options *options) {
        if (!options)
                return;
        g_ptr_array_unref(options->list);
        g_free(options);
}

guint options_count(const Options *options) {
        return options->list->len;
}

static bool malformed(GError **error, int r) {
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "cannot read the arguments: %s",
                    g_strerror(-r));
        return false;
}

static void set_signed(Option *option, gint64 number) {
        option->value.type = SPEC_VALUE_INTEGER;
        option->value.integer.negative = number < 0;
        option->value.integer.magnitude = number < 0 ? -(guint64) number : (guint64) number;
}

static void set_unsigned(Option *option, guint64 number) {
        option->value.type = SPEC_VALUE_INTEGER;
        option->value.integer.magnitude = number;
}

/* One basic value; the message stands inside the variant. */
static int read_basic(sd_bus_message *m, char type, Option *option) {
        union {
                guint8 y;
                gint16 n;
                guint16 q;
                gint32 i;
                guint32 u;
                gint64 x;
                guint64 t;
                double d;
                int b;
                const char *s;
        } v;
        int r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case SD_BUS_TYPE_BYTE:
                set_unsigned(option, v.y);
                break;
        case SD_BUS_TYPE_INT16:
                set_signed(option, v.n);
                break;
        case SD_BUS_TYPE_UINT16:
                set_unsigned(option, v.q);
                break;
        case SD_BUS_TYPE_INT32:
                set_signed(option, v.i);
                break;
        case SD_BUS_TYPE_UINT32:
                set_unsigned(option, v.u);
                break;
        case SD_BUS_TYPE_INT64:
                set_signed(option, v.x);
                break;
        case SD_BUS_TYPE_UINT64:
                set_unsigned(option, v.t);
                break;
        case SD_BUS_TYPE_DOUBLE:
                option->value.type = SPEC_VALUE_DOUBLE;
                option->value.real = v.d;
                break;
        case SD_BUS_TYPE_BOOLEAN:
                option->value.type = SPEC_VALUE_BOOLEAN;
                option->value.boolean = v.b != 0;
                break;
        case SD_BUS_TYPE_STRING:
                option->text = g_strdup(v.s);
                option->value.type = SPEC_VALUE_STRING;
                option->value.string = option->text;
                break;
        default: /* an object path, a signature: no option has those */
                break;
        }
        return 0;
}

static int read_list(sd_bus_message *m, Option *option) {
        char **list = NULL; /* libsystemd's: freed by free() */
        int r = sd_bus_message_read_strv(m, &list);
        if (r < 0)
                return r;
        option->list = list ? g_strdupv(list) : g_new0(char *, 1);
        for (char **s = list; s && *s; s++)
                free(*s);
        free(list);
        option->value.type = SPEC_VALUE_STRV;
        option->value.strv = (const char *const *) option->list;
        return 0;
}

static int read_variant(sd_bus_message *m, Option *option) {
        const char *contents;
        char type;
        option->value.type = (SpecValueType) -1;

        int r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (type != SD_BUS_TYPE_VARIANT)
                return -EBADMSG;
        if (strlen(contents) == 1 && strchr("ynqiuxtdbs", contents[0])) {
                char inner = contents[0];
                r = sd_bus_message_enter_container(m, 'v', contents);
                if (r >= 0)
                        r = read_basic(m, inner, option);
                return r < 0 ? r : sd_bus_message_exit_container(m);
        }
        if (strcmp(contents, "as") == 0) {
                r = sd_bus_message_enter_container(m, 'v', contents);
                if (r >= 0)
                        r = read_list(m, option);
                return r < 0 ? r : sd_bus_message_exit_container(m);
        }
        option->dictionary = strcmp(contents, "a{sv}") == 0;
        return sd_bus_message_skip(m, "v");
}

static Option *find(const Options *options, const char *key) {
        for (guint i = 0; i < options->list->len; i++) {
                Option *option = g_ptr_array_index(options->list, i);
                if (strcmp(option->key, key) == 0)
                        return option;
        }
        return NULL;
}

static bool read_entry(Options *options, sd_bus_message *m, GError **error) {
        g_autoptr(Option) option = g_new0(Option, 1);
        const char *key;
        int r = sd_bus_message_read_basic(m, 's', &key);
        if (r < 0)
                return malformed(error, r);
        option->key = g_strdup(key);
        r = read_variant(m, option);
        if (r < 0)
                return malformed(error, r);
        if (find(options, key) || options->list->len >= OPTIONS_MAX) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "option '%.64s' is given twice, or there are too many", key);
                return false;
        }
        g_ptr_array_add(options->list, g_steal_pointer(&option));
        return true;
}

Options *options_read(sd_bus_message *m, GError **error) {
        g_autoptr(Options) options = g_new0(Options, 1);
        options->list = g_ptr_array_new_with_free_func((GDestroyNotify) option_free);

        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if (!read_entry(options, m, error))
                        return NULL;
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                malformed(error, r);
                return NULL;
        }
        return g_steal_pointer(&options);
}

static Option *take(Options *options, const char *key) {
        Option *option = find(options, key);
        if (option)
                option->taken = true;
        return option;
}

static bool bad(GError **error, const char *key, const char *what) {
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "option '%.64s': %s", key, what);
        return false;
}

bool options_take_seconds(Options *options, const char *key, double min, double max, double *ret,
                          GError **error) {
        Option *option = take(options, key);
        double value;
        if (!option)
                return false;
        if (option->value.type == SPEC_VALUE_DOUBLE)
                value = option->value.real;
        else if (option->value.type == SPEC_VALUE_INTEGER)
                value = (double) option->value.integer.magnitude * (option->value.integer.negative ? -1 : 1);
        else
                return bad(error, key, "must be a number of seconds");
        if (!isfinite(value) || value < min || value > max) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "option '%s': must lie between %g and %g seconds", key, min, max);
                return false;
        }
        *ret = value;
        return true;
}

bool options_take_unsigned(Options *options, const char *key, guint64 *ret, GError **error) {
        Option *option = take(options, key);
        if (!option)
                return false;
        if (option->value.type != SPEC_VALUE_INTEGER ||
            (option->value.integer.negative && option->value.integer.magnitude))
                return bad(error, key, "must be an integer that is not negative");
        *ret = option->value.integer.magnitude;
        return true;
}

bool options_take_boolean(Options *options, const char *key, bool *ret, GError **error) {
        Option *option = take(options, key);
        if (!option)
                return false;
        if (option->value.type != SPEC_VALUE_BOOLEAN)
                return bad(error, key, "must be a boolean");
        *ret = option->value.boolean;
        return true;
}

bool options_take_string(Options *options, const char *key, const char **ret, GError **error) {
        Option *option = take(options, key);
        if (!option)
                return false;
        if (option->value.type != SPEC_VALUE_STRING)
                return bad(error, key, "must be a string");
        *ret = option->value.string;
        return true;
}

bool options_apply(const Options *options, MigrationSpec *spec, bool limits, GError **error) {
        for (guint i = 0; i < options->list->len; i++) {
                const Option *option = g_ptr_array_index(options->list, i);
                if (limits && !spec_key_is_limit(option->key))
                        return bad(error, option->key, "is none of the limits that can be changed");
                if (spec_key_known(option->key)) {
                        bool wants_dictionary = strcmp(option->key, "create-cluster") == 0;
                        if (wants_dictionary != option->dictionary)
                                return bad(error, option->key, "has the wrong type");
                        if ((int) option->value.type == -1 && !wants_dictionary)
                                return bad(error, option->key, "has a type that no option has");
                }
                if (!spec_set(spec, option->key, &option->value, error))
                        return false;
        }
        return true;
}

bool options_refuse_rest(const Options *options, GError **error) {
        for (guint i = 0; i < options->list->len; i++) {
                const Option *option = g_ptr_array_index(options->list, i);
                if (!option->taken) {
                        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "unknown option '%.64s'",
                                    option->key);
                        return false;
                }
        }
        return true;
}

bool flags_read(sd_bus_message *m, guint64 known, guint64 *ret, GError **error) {
        guint64 flags;
        int r = sd_bus_message_read_basic(m, 't', &flags);
        if (r < 0)
                return malformed(error, r);
        if (flags & ~known) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "unknown flags 0x%" G_GINT64_MODIFIER "x", flags & ~known);
                return false;
        }
        *ret = flags;
        return true;
}
