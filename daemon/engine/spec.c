/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of CreateMigration; see spec.h. One table names each option with its type, place and limits: the bus, the configuration
 * and the state file all go through it, so that none accepts what another refuses. */

#include "engine/spec.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "engine/allow-list.h"
#include "engine/spec-select.h"

#define NAME_MAX_LENGTH 48
#define TEXT_MAX_LENGTH 4096
#define LIST_MAX_LENGTH 1024
#define THREADS_MAX 256
#define LOAD_MAX 100000
#define EXPIRE_MAX (G_GUINT64_CONSTANT(100) * 366 * 86400)

static const char *const create_type_table[_CREATE_TYPE_MAX] = {
        [CREATE_TYPE_MIGRATE] = "migrate",
        [CREATE_TYPE_CLONE] = "clone",
};
ENUM_TABLE_DEFINE(create_type, CreateType, create_type_table);

static const char *const fence_kind_table[_FENCE_MAX] = {
        [FENCE_GLOBAL] = "global",
        [FENCE_ACCOUNTS] = "accounts",
        [FENCE_HOOK] = "hook",
};
ENUM_TABLE_DEFINE(fence_kind, FenceKind, fence_kind_table);

static const char *const verify_policy_table[_VERIFY_MAX] = {
        [VERIFY_REQUIRED] = "required",
        [VERIFY_ADVISORY] = "advisory",
};
ENUM_TABLE_DEFINE(verify_policy, VerifyPolicy, verify_policy_table);

static const char *const unfit_policy_table[_UNFIT_MAX] = {
        [UNFIT_REFUSE] = "refuse",
        [UNFIT_SKIP] = "skip",
};
ENUM_TABLE_DEFINE(unfit_policy, UnfitPolicy, unfit_policy_table);

typedef enum OptionType {
        OPTION_URI,
        OPTION_CREDENTIAL,
        OPTION_PATTERNS,
        OPTION_ALLOW_LIST,
        OPTION_SECONDS, /* double */
        OPTION_U32,
        OPTION_U64,
        OPTION_CREATE_TYPE,
        OPTION_FENCE,
        OPTION_VERIFY,
        OPTION_UNFIT,
        OPTION_CLUSTER,        /* s, not there yet */
        OPTION_CREATE_CLUSTER, /* a{sv}, not there yet */
} OptionType;

typedef struct Option {
        const char *key;
        OptionType type;
        gsize offset; /* for OPTION_URI that of the ServerSpec */
        guint64 min, max;
        bool limit;
} Option;

#define AT(field) G_STRUCT_OFFSET(MigrationSpec, field)

static const Option option_table[] = {
        { "source", OPTION_URI, AT(servers[SIDE_SOURCE]) },
        { "destination", OPTION_URI, AT(servers[SIDE_DESTINATION]) },
        { "cluster", OPTION_CLUSTER },
        { "create-cluster", OPTION_CREATE_CLUSTER },
        { "create-type", OPTION_CREATE_TYPE, AT(create_type) },
        { "source-credential", OPTION_CREDENTIAL, AT(servers[SIDE_SOURCE].credential) },
        { "source-ca", OPTION_CREDENTIAL, AT(servers[SIDE_SOURCE].ca) },
        { "source-cert", OPTION_CREDENTIAL, AT(servers[SIDE_SOURCE].cert) },
        { "source-key", OPTION_CREDENTIAL, AT(servers[SIDE_SOURCE].key) },
        { "destination-credential", OPTION_CREDENTIAL, AT(servers[SIDE_DESTINATION].credential) },
        { "destination-ca", OPTION_CREDENTIAL, AT(servers[SIDE_DESTINATION].ca) },
        { "destination-cert", OPTION_CREDENTIAL, AT(servers[SIDE_DESTINATION].cert) },
        { "destination-key", OPTION_CREDENTIAL, AT(servers[SIDE_DESTINATION].key) },
        { "include", OPTION_PATTERNS, AT(include) },
        { "exclude", OPTION_PATTERNS, AT(exclude) },
        { "max-delay", OPTION_SECONDS, AT(limits.max_delay), 0, 60, true },
        { "expire-after", OPTION_U64, AT(limits.expire_after), 1, EXPIRE_MAX, true },
        { "copy-threads", OPTION_U32, AT(limits.copy_threads), 0, THREADS_MAX, true },
        { "apply-threads", OPTION_U32, AT(limits.apply_threads), 0, THREADS_MAX, true },
        { "max-source-load", OPTION_U32, AT(limits.max_source_load), 0, LOAD_MAX, true },
        { "max-copy-rate", OPTION_U64, AT(limits.max_copy_rate), 0, G_MAXINT64, true },
        { "fence", OPTION_FENCE, AT(fence) },
        { "verify", OPTION_VERIFY, AT(verify) },
        { "unfit", OPTION_UNFIT, AT(unfit) },
        { "allow-list", OPTION_ALLOW_LIST, AT(allow_list) },
};

#define FIELD(spec, option, Type) (*(Type *) G_STRUCT_MEMBER_P((spec), (option)->offset))
#define CONST_FIELD(spec, option, Type) (*(Type const *) G_STRUCT_MEMBER_P((spec), (option)->offset))

static const Option *find_option(const char *key) {
        for (gsize i = 0; i < G_N_ELEMENTS(option_table); i++)
                if (strcmp(option_table[i].key, key) == 0)
                        return &option_table[i];
        return NULL;
}

bool spec_key_known(const char *key) {
        return find_option(key) != NULL;
}

bool spec_key_is_limit(const char *key) {
        const Option *option = find_option(key);
        return option && option->limit;
}

/* ---- names ---- */

static gsize name_span(const char *text) {
        return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
}

bool spec_name_valid(const char *name) {
        gsize length = strlen(name);
        return length >= 1 && length <= NAME_MAX_LENGTH && g_ascii_islower(name[0]) && name_span(name) == length;
}

bool spec_credential_name_valid(const char *name) {
        const char *dot = strchr(name, '.');
        if (!dot)
                return spec_name_valid(name);
        g_autofree char *first = g_strndup(name, (gsize) (dot - name));
        return spec_name_valid(first) && spec_name_valid(dot + 1);
}

/* ---- one value ---- */

static bool invalid(GError **error, const char *key, const char *what) {
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "option '%s': %s", key, what);
        return false;
}

static bool unsupported(GError **error, const char *key, const char *what) {
        g_set_error(error, PS_ERROR, PS_ERROR_NOT_SUPPORTED, "option '%s': %s", key, what);
        return false;
}

static bool want_string(const char *key, const SpecValue *value, GError **error) {
        if (value->type != SPEC_VALUE_STRING)
                return invalid(error, key, "must be a string");
        if (strlen(value->string) > TEXT_MAX_LENGTH)
                return invalid(error, key, "is too long");
        return g_utf8_validate(value->string, -1, NULL) || invalid(error, key, "is not UTF-8");
}

static bool set_uri(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        if (!want_string(option->key, value, error))
                return false;
        Endpoint *endpoint = endpoint_parse(option->key, value->string, error);
        if (!endpoint)
                return false;
        ServerSpec *server = &FIELD(spec, option, ServerSpec);
        g_free(server->uri);
        endpoint_free(server->endpoint);
        server->uri = g_strdup(value->string);
        server->endpoint = endpoint;
        return true;
}

static bool set_credential(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        if (!want_string(option->key, value, error))
                return false;
        if (!spec_credential_name_valid(value->string))
                return invalid(error, option->key,
                               "must name a credential: a lower-case letter, then letters, digits, '_' or '-', "
                               "48 at most, and one '.' between two such parts");
        char **field = &FIELD(spec, option, char *);
        g_free(*field);
        *field = g_strdup(value->string);
        return true;
}

static bool set_strv(MigrationSpec *spec, const Option *option, char **list /* consumed */) {
        char ***field = &FIELD(spec, option, char **);
        g_strfreev(*field);
        *field = list;
        return true;
}

static bool set_list(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        if (value->type != SPEC_VALUE_STRV)
                return invalid(error, option->key, "must be a list of strings");
        guint n = 0;
        for (; value->strv[n]; n++) {
                const char *text = value->strv[n];
                if (strlen(text) > TEXT_MAX_LENGTH || !g_utf8_validate(text, -1, NULL))
                        return invalid(error, option->key, "holds an entry that is too long or not UTF-8");
                if (!spec_pattern_valid(text))
                        return invalid(error, option->key,
                                       "holds an entry that is neither 'database' nor 'database.table' (put names "
                                       "with dots in backticks)");
        }
        if (n > LIST_MAX_LENGTH)
                return invalid(error, option->key, "has too many entries");
        return set_strv(spec, option, g_strdupv((char **) value->strv));
}

static bool set_allow_list(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        if (value->type != SPEC_VALUE_STRV)
                return invalid(error, option->key, "must be a list of strings");
        if (g_strv_length((char **) value->strv) > ALLOW_LIST_MAX)
                return invalid(error, option->key, "has too many entries");
        guint wrong;
        char **entries = allow_list_collect(value->strv, &wrong);
        if (entries)
                return set_strv(spec, option, entries);
        g_autofree char *shown = g_utf8_make_valid(value->strv[wrong], (gssize) MIN(strlen(value->strv[wrong]), 64));
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                    "option '%s': '%s' is neither an address nor a prefix (10.1.2.3, 10.0.0.0/8, 2001:db8::/32, with no bits "
                    "behind the prefix)", option->key, shown);
        return false;
}

static bool set_seconds(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        double seconds;
        if (value->type == SPEC_VALUE_DOUBLE)
                seconds = value->real;
        else if (value->type == SPEC_VALUE_INTEGER)
                seconds = (double) value->integer.magnitude * (value->integer.negative ? -1 : 1);
        else
                return invalid(error, option->key, "must be a number of seconds");
        if (!isfinite(seconds) || seconds <= (double) option->min || seconds > (double) option->max) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "option '%s': must be above %" G_GUINT64_FORMAT " and at most %" G_GUINT64_FORMAT
                            " seconds",
                            option->key, option->min, option->max);
                return false;
        }
        FIELD(spec, option, double) = seconds;
        return true;
}

static bool set_integer(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        if (value->type != SPEC_VALUE_INTEGER)
                return invalid(error, option->key, "must be an integer");
        if ((value->integer.negative && value->integer.magnitude > 0) || value->integer.magnitude < option->min ||
            value->integer.magnitude > option->max) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "option '%s': must lie between %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT, option->key,
                            option->min, option->max);
                return false;
        }
        if (option->type == OPTION_U32)
                FIELD(spec, option, guint32) = (guint32) value->integer.magnitude;
        else
                FIELD(spec, option, guint64) = value->integer.magnitude;
        return true;
}

bool spec_allows(const MigrationSpec *spec, OperationKind kind, MigrationPhase phase) {
        if (spec->create_type != CREATE_TYPE_CLONE)
                return operation_allowed(kind, phase);
        if (kind == OPERATION_COMPLETE)
                return phase == MIGRATION_PHASE_SYNCHRONIZING;
        return kind != OPERATION_SWITCH && kind != OPERATION_ROLLBACK && operation_allowed(kind, phase);
}

static bool set_word(MigrationSpec *spec, const Option *option, const SpecValue *value, GError **error) {
        if (!want_string(option->key, value, error))
                return false;
        const char *word = value->string;
        CreateType create_type = create_type_from_string(word);
        FenceKind fence = fence_kind_from_string(word);
        VerifyPolicy verify = verify_policy_from_string(word);
        UnfitPolicy unfit = unfit_policy_from_string(word);

        if (option->type == OPTION_CREATE_TYPE) {
                if (create_type == _CREATE_TYPE_INVALID)
                        return invalid(error, option->key, "must be 'migrate' or 'clone'");
                spec->create_type = create_type;
        } else if (option->type == OPTION_FENCE) {
                if (fence == _FENCE_INVALID)
                        return invalid(error, option->key, "must be 'global', 'accounts' or 'hook'");
                spec->fence = fence;
        } else if (option->type == OPTION_VERIFY) {
                if (verify == _VERIFY_INVALID)
                        return invalid(error, option->key, "must be 'required' or 'advisory'");
                spec->verify = verify;
        } else {
                if (unfit == _UNFIT_INVALID)
                        return invalid(error, option->key, "must be 'refuse' or 'skip'");
                spec->unfit = unfit;
        }
        return true;
}

bool spec_set(MigrationSpec *spec, const char *key, const SpecValue *value, GError **error) {
        const Option *option = find_option(key);
        if (!option) {
                g_autofree char *shown = g_utf8_make_valid(key, (gssize) MIN(strlen(key), 64));
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "unknown option '%s'", shown);
                return false;
        }
        switch (option->type) {
        case OPTION_URI:
                return set_uri(spec, option, value, error);
        case OPTION_CREDENTIAL:
                return set_credential(spec, option, value, error);
        case OPTION_PATTERNS:
                return set_list(spec, option, value, error);
        case OPTION_ALLOW_LIST:
                return set_allow_list(spec, option, value, error);
        case OPTION_SECONDS:
                return set_seconds(spec, option, value, error);
        case OPTION_U32:
        case OPTION_U64:
                return set_integer(spec, option, value, error);
        case OPTION_CREATE_TYPE:
        case OPTION_FENCE:
        case OPTION_VERIFY:
        case OPTION_UNFIT:
                return set_word(spec, option, value, error);
        case OPTION_CLUSTER:
                return want_string(key, value, error) &&
                       unsupported(error, key, "this version has no clusters; give 'destination'");
        case OPTION_CREATE_CLUSTER: /* its dictionary never gets here: the bus refuses it */
                return unsupported(error, key, "this version has no clusters; give 'destination'");
        }
        g_assert_not_reached();
}

bool spec_set_text(MigrationSpec *spec, const char *key, const char *text, GError **error) {
        const Option *option = find_option(key);
        SpecValue value = { .type = SPEC_VALUE_STRING, .string = text };
        g_auto(GStrv) list = NULL;

        if (option && (option->type == OPTION_PATTERNS || option->type == OPTION_ALLOW_LIST)) {
                list = g_strsplit(text, ";", -1);
                guint kept = 0;
                for (guint i = 0; list[i]; i++) {
                        if (*g_strstrip(list[i]))
                                list[kept++] = list[i];
                        else
                                g_free(list[i]);
                }
                list[kept] = NULL;
                value = (SpecValue) { .type = SPEC_VALUE_STRV, .strv = (const char *const *) list };
        } else if (option && (option->type == OPTION_U32 || option->type == OPTION_U64)) {
                guint64 number;
                if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &number, NULL))
                        return invalid(error, key, "must be a whole number");
                value = (SpecValue) { .type = SPEC_VALUE_INTEGER };
                value.integer.magnitude = number;
        } else if (option && option->type == OPTION_SECONDS) {
                char *end = NULL;
                double number = g_ascii_strtod(text, &end);
                if (end == text || *end)
                        return invalid(error, key, "must be a number");
                value = (SpecValue) { .type = SPEC_VALUE_DOUBLE, .real = number };
        }
        return spec_set(spec, key, &value, error);
}

/* ---- the whole ---- */

MigrationSpec *spec_new(const char *name) {
        MigrationSpec *spec = g_new0(MigrationSpec, 1);
        spec->name = g_strdup(name);
        spec->include = g_new0(char *, 1);
        spec->exclude = g_new0(char *, 1);
        spec->allow_list = g_new0(char *, 1);
        spec->limits = (MigrationLimits) { .max_source_load = 25, .max_delay = 60, .expire_after = 604800 };
        return spec;
}

static void server_clear(ServerSpec *server) {
        g_free(server->uri);
        endpoint_free(server->endpoint);
        g_free(server->credential);
        g_free(server->ca);
        g_free(server->cert);
        g_free(server->key);
}

void spec_free(MigrationSpec *spec) {
        if (!spec)
                return;
        g_free(spec->name);
        for (int side = 0; side < _SIDE_MAX; side++)
                server_clear(&spec->servers[side]);
        g_strfreev(spec->include);
        g_strfreev(spec->exclude);
        g_strfreev(spec->allow_list);
        g_free(spec);
}

MigrationSpec *spec_copy(const MigrationSpec *spec) {
        MigrationSpec *copy = g_new0(MigrationSpec, 1);
        *copy = *spec; /* scalars; what is owned follows */
        copy->name = g_strdup(spec->name);
        for (int side = 0; side < _SIDE_MAX; side++) {
                const ServerSpec *from = &spec->servers[side];
                copy->servers[side] = (ServerSpec) {
                        .uri = g_strdup(from->uri),
                        .endpoint = from->endpoint ? endpoint_copy(from->endpoint) : NULL,
                        .credential = g_strdup(from->credential),
                        .ca = g_strdup(from->ca),
                        .cert = g_strdup(from->cert),
                        .key = g_strdup(from->key),
                };
        }
        copy->include = g_strdupv(spec->include);
        copy->exclude = g_strdupv(spec->exclude);
        copy->allow_list = g_strdupv(spec->allow_list);
        return copy;
}

static bool validate_server(const MigrationSpec *spec, Side side, GError **error) {
        const ServerSpec *server = &spec->servers[side];
        const char *option = side_to_string(side);
        if (!server->endpoint)
                return invalid(error, option, "is required: mysql://user@host[:port]/");
        if (!server->endpoint->socket && server->endpoint->ssl_mode == _SSL_MODE_INVALID && !server->ca) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "option '%s': choose how to protect the connection: give '%s-ca', or ssl-mode= in the URI "
                            "(disabled, required, verify-ca, verify-identity)",
                            option, option);
                return false;
        }
        if (server->endpoint->ssl_mode == SSL_MODE_DISABLED && (server->ca || server->cert || server->key))
                return invalid(error, option, "has ssl-mode=disabled although a certificate is given");
        if (!server->cert != !server->key)
                return invalid(error, option, "needs its -cert and its -key together");
        return true;
}

static bool same_server(const Endpoint *a, const Endpoint *b) {
        if (a->socket && b->socket)
                return strcmp(a->socket, b->socket) == 0;
        for (guint i = 0; i < a->hosts->len; i++)
                for (guint j = 0; j < b->hosts->len; j++) {
                        const EndpointHost *x = g_ptr_array_index(a->hosts, i), *y = g_ptr_array_index(b->hosts, j);
                        if (x->port == y->port && g_ascii_strcasecmp(x->host, y->host) == 0)
                                return true;
                }
        return false;
}

bool spec_validate(const MigrationSpec *spec, GError **error) {
        if (!validate_server(spec, SIDE_SOURCE, error) || !validate_server(spec, SIDE_DESTINATION, error))
                return false;
        if (same_server(spec->servers[SIDE_SOURCE].endpoint, spec->servers[SIDE_DESTINATION].endpoint))
                return invalid(error, "destination", "is the same server as the source");
        return true;
}

/* ---- JSON ---- */

static void add_string(JsonObject *object, const char *key, const char *value) {
        if (value)
                json_object_set_string_member(object, key, value);
}

static void add_list(JsonObject *object, const char *key, char **list) {
        JsonArray *array = json_array_new();
        for (guint i = 0; list[i]; i++)
                json_array_add_string_element(array, list[i]);
        json_object_set_array_member(object, key, array);
}

static void add_option(JsonObject *object, const MigrationSpec *spec, const Option *o) {
        switch (o->type) {
        case OPTION_URI:
                add_string(object, o->key, CONST_FIELD(spec, o, ServerSpec).uri);
                break;
        case OPTION_CREDENTIAL:
                add_string(object, o->key, CONST_FIELD(spec, o, char *));
                break;
        case OPTION_PATTERNS:
        case OPTION_ALLOW_LIST:
                add_list(object, o->key, CONST_FIELD(spec, o, char **));
                break;
        case OPTION_SECONDS:
                json_object_set_double_member(object, o->key, CONST_FIELD(spec, o, double));
                break;
        case OPTION_U32:
                json_object_set_int_member(object, o->key, CONST_FIELD(spec, o, guint32));
                break;
        case OPTION_U64:
                json_object_set_int_member(object, o->key, (gint64) CONST_FIELD(spec, o, guint64));
                break;
        case OPTION_CREATE_TYPE:
                add_string(object, o->key, create_type_to_string(spec->create_type));
                break;
        case OPTION_FENCE:
                add_string(object, o->key, fence_kind_to_string(spec->fence));
                break;
        case OPTION_VERIFY:
                add_string(object, o->key, verify_policy_to_string(spec->verify));
                break;
        case OPTION_UNFIT:
                add_string(object, o->key, unfit_policy_to_string(spec->unfit));
                break;
        case OPTION_CLUSTER:
        case OPTION_CREATE_CLUSTER:
                break;
        }
}

JsonNode *spec_to_json(const MigrationSpec *spec) {
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "name", spec->name);
        for (gsize i = 0; i < G_N_ELEMENTS(option_table); i++)
                add_option(object, spec, &option_table[i]);
        JsonNode *node = json_node_alloc();
        json_node_init_object(node, object);
        json_object_unref(object);
        return node;
}

static bool unreadable(GError **error, const char *member, const char *what) {
        g_clear_error(error);
        g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "request: member '%s' %s", member, what);
        return false;
}

static bool set_from_node(MigrationSpec *spec, const char *key, JsonNode *node, GError **error) {
        SpecValue value = { .type = SPEC_VALUE_STRING };
        g_autoptr(GPtrArray) list = NULL;

        if (JSON_NODE_HOLDS_ARRAY(node)) {
                JsonArray *array = json_node_get_array(node);
                list = g_ptr_array_new();
                for (guint i = 0; i < json_array_get_length(array); i++) {
                        JsonNode *entry = json_array_get_element(array, i);
                        if (!JSON_NODE_HOLDS_VALUE(entry) || json_node_get_value_type(entry) != G_TYPE_STRING)
                                return unreadable(error, key, "holds something that is no string");
                        g_ptr_array_add(list, (gpointer) json_node_get_string(entry));
                }
                g_ptr_array_add(list, NULL);
                value = (SpecValue) { .type = SPEC_VALUE_STRV, .strv = (const char *const *) list->pdata };
        } else if (!JSON_NODE_HOLDS_VALUE(node)) {
                return unreadable(error, key, "is not what it should be");
        } else if (json_node_get_value_type(node) == G_TYPE_STRING) {
                value.string = json_node_get_string(node);
        } else if (json_node_get_value_type(node) == G_TYPE_INT64) {
                gint64 number = json_node_get_int(node);
                value = (SpecValue) { .type = SPEC_VALUE_INTEGER };
                value.integer.negative = number < 0;
                value.integer.magnitude = number < 0 ? -(guint64) number : (guint64) number;
        } else if (json_node_get_value_type(node) == G_TYPE_DOUBLE) {
                value = (SpecValue) { .type = SPEC_VALUE_DOUBLE, .real = json_node_get_double(node) };
        } else {
                return unreadable(error, key, "is not what it should be");
        }

        g_autoptr(GError) refused = NULL;
        return spec_set(spec, key, &value, &refused) || unreadable(error, key, refused->message);
}

MigrationSpec *spec_from_json(JsonNode *node, GError **error) {
        if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
                g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "request: not an object");
                return NULL;
        }
        JsonObject *object = json_node_get_object(node);
        JsonNode *name = json_object_get_member(object, "name");
        if (!name || !JSON_NODE_HOLDS_VALUE(name) || json_node_get_value_type(name) != G_TYPE_STRING ||
            !spec_name_valid(json_node_get_string(name))) {
                unreadable(error, "name", "is missing or no valid name");
                return NULL;
        }

        g_autoptr(MigrationSpec) spec = spec_new(json_node_get_string(name));
        g_autoptr(GList) keys = json_object_get_members(object);
        for (GList *l = keys; l; l = l->next)
                if (strcmp(l->data, "name") != 0 &&
                    !set_from_node(spec, l->data, json_object_get_member(object, l->data), error))
                        return NULL;
        g_autoptr(GError) refused = NULL;
        if (!spec_validate(spec, &refused)) {
                unreadable(error, "source or destination", refused->message);
                return NULL;
        }
        return g_steal_pointer(&spec);
}
