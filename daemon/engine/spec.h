/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A validated request: the options of CreateMigration with their defaults. Keys, types, defaults and limits are the
 * contract's. Values come from the bus, from the configuration ([Migration]) and from the state file. Pure. */

#include <stdbool.h>

#include <glib.h>
#include <json-glib/json-glib.h>

#include "base/enum-table.h"
#include "engine/phase.h"
#include "mysql/endpoint.h"

typedef enum CreateType { CREATE_TYPE_MIGRATE, CREATE_TYPE_CLONE, _CREATE_TYPE_MAX, _CREATE_TYPE_INVALID = -1 } CreateType;
ENUM_TABLE_DECLARE(create_type, CreateType);
typedef enum FenceKind { FENCE_GLOBAL, FENCE_ACCOUNTS, FENCE_HOOK, _FENCE_MAX, _FENCE_INVALID = -1 } FenceKind;
ENUM_TABLE_DECLARE(fence_kind, FenceKind);
typedef enum VerifyPolicy { VERIFY_REQUIRED, VERIFY_ADVISORY, _VERIFY_MAX, _VERIFY_INVALID = -1 } VerifyPolicy;
ENUM_TABLE_DECLARE(verify_policy, VerifyPolicy);
typedef enum UnfitPolicy { UNFIT_REFUSE, UNFIT_SKIP, _UNFIT_MAX, _UNFIT_INVALID = -1 } UnfitPolicy;
ENUM_TABLE_DECLARE(unfit_policy, UnfitPolicy);

typedef struct ServerSpec {
        char *uri; /* as given */
        Endpoint *endpoint;
        char *credential; /* NULL: the default names */
        char *ca, *cert, *key; /* names of credentials, or NULL */
} ServerSpec;

/* What SetLimits may change while the migration runs. */
typedef struct MigrationLimits {
        guint32 copy_threads, apply_threads; /* 0 = automatic */
        guint32 max_source_load;             /* Threads_running; 0 = off */
        guint64 max_copy_rate;               /* bytes/s; 0 = off */
        double max_delay;                    /* s */
        guint64 expire_after;                /* s */
} MigrationLimits;

typedef struct MigrationSpec {
        char *name;
        CreateType create_type;
        ServerSpec servers[_SIDE_MAX];
        char **include, **exclude; /* NULL-terminated globs, never NULL themselves */
        MigrationLimits limits;
        FenceKind fence;
        VerifyPolicy verify;
        UnfitPolicy unfit;
        char **allow_list; /* normalized, never NULL; empty: not given */
} MigrationSpec;

/* One value for an option, whatever it came from. */
typedef enum SpecValueType { SPEC_VALUE_STRING, SPEC_VALUE_INTEGER, SPEC_VALUE_DOUBLE, SPEC_VALUE_BOOLEAN, SPEC_VALUE_STRV } SpecValueType;
typedef struct SpecValue {
        SpecValueType type;
        union {
                const char *string;
                struct {
                        bool negative; /* INTEGER: any D-Bus integer; magnitude and sign */
                        guint64 magnitude;
                } integer;
                double real;
                bool boolean;
                const char *const *strv;
        };
} SpecValue;

bool spec_name_valid(const char *name); /* [a-z][a-z0-9_-]{0,47} */
bool spec_credential_name_valid(const char *name); /* the same, with at most one '.' between two such parts */
MigrationSpec *spec_new(const char *name); /* with the defaults */
/* PS_ERROR_INVALID_OPTION for an unknown key, a wrong type, a value out of range; PS_ERROR_NOT_SUPPORTED for `cluster`, `create-cluster`
 * and what is not there yet. */
bool spec_set(MigrationSpec *spec, const char *key, const SpecValue *value, GError **error);
/* The same from the text of a configuration file: parsed as the key's type; lists are separated by ';'. */
bool spec_set_text(MigrationSpec *spec, const char *key, const char *text, GError **error);
bool spec_key_known(const char *key);
bool spec_key_is_limit(const char *key);
/* What only the whole can tell: source and destination given and different, ssl-mode chosen, … PS_ERROR_INVALID_OPTION. */
bool spec_validate(const MigrationSpec *spec, GError **error);
void spec_free(MigrationSpec *spec);
MigrationSpec *spec_copy(const MigrationSpec *spec);
JsonNode *spec_to_json(const MigrationSpec *spec);
MigrationSpec *spec_from_json(JsonNode *node, GError **error);
/* Whether DATABASE.TABLE is asked for by include and exclude (system schemas never are). TABLE NULL: could any table of the database be. */
bool spec_selects(const MigrationSpec *spec, const char *database, const char *table);
/* Whether KIND may run in PHASE: a clone is never switched, and Complete ends it from synchronizing. */
bool spec_allows(const MigrationSpec *spec, OperationKind kind, MigrationPhase phase);
/* No include and no exclude: the whole instance, as fence=global wants it. */
bool spec_is_whole_instance(const MigrationSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigrationSpec, spec_free)
