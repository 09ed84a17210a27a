/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine's durable state as JSON; see state.h. One table of members drives writing, reading, copying and freeing, so that none of
 * them can forget one. Reading is strict: a member that is missing, unknown or of the wrong kind makes the state unreadable, since guessing
 * where a migration stood could cost rows. */

#include "engine/state.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

static const char *const check_severity_table[_CHECK_MAX] = {
        [CHECK_OK] = "ok",
        [CHECK_NOTE] = "note",
        [CHECK_WARNING] = "warning",
        [CHECK_ERROR] = "error",
};
ENUM_TABLE_DEFINE(check_severity, CheckSeverity, check_severity_table);

static const char *const verification_state_table[_VERIFICATION_MAX] = {
        [VERIFICATION_NONE] = "none",
        [VERIFICATION_RUNNING] = "running",
        [VERIFICATION_EQUAL] = "equal",
        [VERIFICATION_DIFFERENT] = "different",
};
ENUM_TABLE_DEFINE(verification_state, VerificationState, verification_state_table);

static const char *const switch_step_table[_SWITCH_STEP_MAX] = {
        [SWITCH_STEP_NONE] = "none",
        [SWITCH_STEP_GUARD] = "guard",
        [SWITCH_STEP_FENCE] = "fence",
        [SWITCH_STEP_END_POSITION] = "end-position",
        [SWITCH_STEP_DRAIN] = "drain",
        [SWITCH_STEP_FINAL_CHECK] = "final-check",
        [SWITCH_STEP_EPOCH] = "epoch",
        [SWITCH_STEP_FLIP] = "flip",
        [SWITCH_STEP_REVERSE_START] = "reverse-start",
        [SWITCH_STEP_COMMIT] = "commit",
        [SWITCH_STEP_RELEASE] = "release",
        [SWITCH_STEP_REVERSE] = "reverse",
};
ENUM_TABLE_DEFINE(switch_step, SwitchStep, switch_step_table);

typedef enum MemberType {
        MEMBER_STRING, /* or null */
        MEMBER_U64,
        MEMBER_U32,
        MEMBER_BOOL,
        MEMBER_DOUBLE,
        MEMBER_POSITION, /* [file, offset], [file, offset, GTIDs] or null */
        MEMBER_SIDE,
        MEMBER_STEP,
        MEMBER_VERIFICATION,
        MEMBER_CHECKS,
        MEMBER_LINES,
} MemberType;

typedef struct Member {
        const char *name;
        MemberType type;
        gsize offset;
        bool newer; /* the first agents did not write it: may be missing, and has then the value of a fresh state */
} Member;

#define MEMBER(name, type, field) { name, type, G_STRUCT_OFFSET(EngineState, field), false }
#define MEMBER_NEWER(name, type, field) { name, type, G_STRUCT_OFFSET(EngineState, field), true }

static const Member members[] = {
        MEMBER("uuid", MEMBER_STRING, uuid),
        MEMBER("epoch", MEMBER_U64, epoch),
        MEMBER("writer", MEMBER_SIDE, writer),
        MEMBER("leg", MEMBER_U32, leg),
        MEMBER("workers", MEMBER_U32, workers),
        MEMBER("leg-start", MEMBER_POSITION, leg_start),
        MEMBER("copied", MEMBER_BOOL, copied),
        MEMBER_NEWER("copied-seq", MEMBER_U64, copied_seq),
        MEMBER("ending", MEMBER_BOOL, ending),
        MEMBER("source-left-sql", MEMBER_STRING, left_sql[SIDE_SOURCE]),
        MEMBER("destination-left-sql", MEMBER_STRING, left_sql[SIDE_DESTINATION]),
        MEMBER("source-identity", MEMBER_STRING, identity[SIDE_SOURCE]),
        MEMBER("destination-identity", MEMBER_STRING, identity[SIDE_DESTINATION]),
        MEMBER("operation-id", MEMBER_U64, operation_id),
        MEMBER("step", MEMBER_STEP, step),
        MEMBER("end-position", MEMBER_POSITION, end_position),
        MEMBER("reverse-start", MEMBER_POSITION, reverse_start),
        MEMBER_NEWER("reverse-start-server", MEMBER_STRING, reverse_start_server),
        MEMBER("source-events-were-on", MEMBER_BOOL, kept[SIDE_SOURCE].events_on),
        MEMBER("destination-events-were-on", MEMBER_BOOL, kept[SIDE_DESTINATION].events_on),
        MEMBER_NEWER("source-opening-sql", MEMBER_STRING, opening_sql[SIDE_SOURCE]),
        MEMBER_NEWER("destination-opening-sql", MEMBER_STRING, opening_sql[SIDE_DESTINATION]),
        MEMBER_NEWER("source-closed", MEMBER_STRING, kept[SIDE_SOURCE].closed),
        MEMBER_NEWER("destination-closed", MEMBER_STRING, kept[SIDE_DESTINATION].closed),
        MEMBER("fenced-at", MEMBER_U64, fenced_at),
        MEMBER("verification", MEMBER_VERIFICATION, verification),
        MEMBER("verified-at", MEMBER_U64, verified_at),
        MEMBER_NEWER("recovered-xa", MEMBER_BOOL, recovered_xa),
        MEMBER("verification-summary", MEMBER_STRING, verification_summary),
        MEMBER("verification-progress", MEMBER_STRING, verification_progress),
        MEMBER("reverse-proven", MEMBER_BOOL, reverse_proven),
        MEMBER("write-interruption", MEMBER_DOUBLE, write_interruption),
        MEMBER_NEWER("interruption-parts", MEMBER_STRING, interruption_parts),
        MEMBER("foreign-writes-acknowledged", MEMBER_U64, foreign_writes_acknowledged),
        MEMBER("foreign-writes", MEMBER_U64, foreign_writes),
        MEMBER("watched", MEMBER_POSITION, watched),
        MEMBER("rows-copied", MEMBER_U64, rows_copied),
        MEMBER("bytes-copied", MEMBER_U64, bytes_copied),
        MEMBER("transactions-applied", MEMBER_U64, transactions_applied),
        MEMBER("rows-applied", MEMBER_U64, rows_applied),
        MEMBER("checked-at", MEMBER_U64, checked_at),
        MEMBER("checks", MEMBER_CHECKS, checks),
        MEMBER("unfit", MEMBER_LINES, unfit),
        MEMBER("again", MEMBER_LINES, again),
        MEMBER("final-check", MEMBER_STRING, final_check),
        MEMBER("left-at", MEMBER_POSITION, left_at),
        MEMBER("sessions-left", MEMBER_STRING, sessions_left),
        MEMBER("parameters-boot", MEMBER_U64, parameters_boot),
        MEMBER("parameters", MEMBER_STRING, parameters),
        MEMBER("last-plan", MEMBER_STRING, last_plan),
        MEMBER_NEWER("allow-list", MEMBER_STRING, allow_list),
        MEMBER_NEWER("allow-list-error", MEMBER_STRING, allow_list_error),
        MEMBER_NEWER("binlog-left", MEMBER_STRING, binlog_left),
};

#define FIELD(state, member, Type) (*(Type *) G_STRUCT_MEMBER_P((state), (member)->offset))
#define CONST_FIELD(state, member, Type) (*(Type const *) G_STRUCT_MEMBER_P((state), (member)->offset))

CheckRow *check_row_new(const char *id, CheckSeverity severity, int error, const char *message, const char *hint) {
        CheckRow *row = g_new0(CheckRow, 1);
        row->id = g_strdup(id);
        row->severity = severity;
        row->error = error;
        row->message = g_strdup(message ? message : "");
        row->hint = g_strdup(hint ? hint : "");
        return row;
}

void check_row_free(CheckRow *row) {
        if (!row)
                return;
        g_free(row->id);
        g_free(row->message);
        g_free(row->hint);
        g_free(row);
}

void binlog_position_set(BinlogPosition *position, const char *file, guint64 offset) {
        char *copy = g_strdup(file); /* FILE may be the position's own */
        g_free(position->file);
        position->file = copy;
        position->offset = offset;
        g_clear_pointer(&position->gtids, g_free);
}

void binlog_position_set_gtids(BinlogPosition *position, const char *gtids) {
        char *copy = g_strdup(gtids);
        g_free(position->gtids);
        position->gtids = copy;
}

void binlog_position_clear(BinlogPosition *position) {
        g_clear_pointer(&position->file, g_free);
        g_clear_pointer(&position->gtids, g_free);
        position->offset = 0;
}

EngineState *engine_state_new(void) {
        EngineState *state = g_new0(EngineState, 1);
        state->uuid = g_uuid_string_random();
        state->write_interruption = -1;
        state->checks = g_ptr_array_new_with_free_func((GDestroyNotify) check_row_free);
        state->unfit = g_ptr_array_new_with_free_func(g_free);
        state->again = g_ptr_array_new_with_free_func(g_free);
        return state;
}

void engine_state_free(EngineState *state) {
        if (!state)
                return;
        for (gsize i = 0; i < G_N_ELEMENTS(members); i++) {
                const Member *m = &members[i];
                switch (m->type) {
                case MEMBER_STRING:
                        g_free(FIELD(state, m, char *));
                        break;
                case MEMBER_POSITION:
                        binlog_position_clear(&FIELD(state, m, BinlogPosition));
                        break;
                case MEMBER_CHECKS:
                case MEMBER_LINES:
                        g_clear_pointer(&FIELD(state, m, GPtrArray *), g_ptr_array_unref);
                        break;
                case MEMBER_U64:
                case MEMBER_U32:
                case MEMBER_BOOL:
                case MEMBER_DOUBLE:
                case MEMBER_SIDE:
                case MEMBER_STEP:
                case MEMBER_VERIFICATION:
                        break;
                }
        }
        g_free(state);
}

static GPtrArray *copy_checks(const GPtrArray *rows) {
        GPtrArray *copy = g_ptr_array_new_with_free_func((GDestroyNotify) check_row_free);
        for (guint i = 0; rows && i < rows->len; i++) {
                const CheckRow *r = g_ptr_array_index(rows, i);
                g_ptr_array_add(copy, check_row_new(r->id, r->severity, r->error, r->message, r->hint));
        }
        return copy;
}

static GPtrArray *copy_lines(const GPtrArray *lines) {
        GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);
        for (guint i = 0; lines && i < lines->len; i++)
                g_ptr_array_add(copy, g_strdup(g_ptr_array_index(lines, i)));
        return copy;
}

EngineState *engine_state_copy(const EngineState *state) {
        EngineState *copy = g_new0(EngineState, 1);
        *copy = *state; /* scalars; what is owned follows */
        for (gsize i = 0; i < G_N_ELEMENTS(members); i++) {
                const Member *m = &members[i];
                switch (m->type) {
                case MEMBER_STRING:
                        FIELD(copy, m, char *) = g_strdup(CONST_FIELD(state, m, char *));
                        break;
                case MEMBER_POSITION:
                        FIELD(copy, m, BinlogPosition).file = g_strdup(CONST_FIELD(state, m, BinlogPosition).file);
                        FIELD(copy, m, BinlogPosition).gtids = g_strdup(CONST_FIELD(state, m, BinlogPosition).gtids);
                        break;
                case MEMBER_CHECKS:
                        FIELD(copy, m, GPtrArray *) = copy_checks(CONST_FIELD(state, m, GPtrArray *));
                        break;
                case MEMBER_LINES:
                        FIELD(copy, m, GPtrArray *) = copy_lines(CONST_FIELD(state, m, GPtrArray *));
                        break;
                case MEMBER_U64:
                case MEMBER_U32:
                case MEMBER_BOOL:
                case MEMBER_DOUBLE:
                case MEMBER_SIDE:
                case MEMBER_STEP:
                case MEMBER_VERIFICATION:
                        break;
                }
        }
        return copy;
}

/* ---- writing ---- */

/* A server's message may hold any bytes; JSON that is not UTF-8 could not be read again. */
static JsonNode *string_node(const char *text) {
        if (!text)
                return json_node_init_null(json_node_alloc());
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        return json_node_init_string(json_node_alloc(), valid);
}

static JsonNode *position_node(const BinlogPosition *position) {
        if (!position->file)
                return string_node(NULL);
        JsonArray *pair = json_array_new();
        json_array_add_element(pair, string_node(position->file));
        json_array_add_int_element(pair, (gint64) position->offset);
        if (position->gtids)
                json_array_add_element(pair, string_node(position->gtids));
        JsonNode *node = json_node_alloc();
        json_node_init_array(node, pair);
        json_array_unref(pair);
        return node;
}

static JsonNode *array_node(JsonArray *array /* consumed */) {
        JsonNode *node = json_node_alloc();
        json_node_init_array(node, array);
        json_array_unref(array);
        return node;
}

static JsonNode *checks_node(const GPtrArray *rows) {
        JsonArray *array = json_array_new();
        for (guint i = 0; rows && i < rows->len; i++) {
                const CheckRow *r = g_ptr_array_index(rows, i);
                JsonObject *object = json_object_new();
                json_object_set_member(object, "id", string_node(r->id));
                json_object_set_string_member(object, "severity", check_severity_to_string(r->severity));
                json_object_set_member(object, "message", string_node(r->message));
                json_object_set_member(object, "hint", string_node(r->hint));
                const char *error = ps_error_code_to_string((PsErrorCode) r->error);
                json_object_set_string_member(object, "error", error ? error : "CheckFailed");
                json_array_add_object_element(array, object);
        }
        return array_node(array);
}

static JsonNode *lines_node(const GPtrArray *lines) {
        JsonArray *array = json_array_new();
        for (guint i = 0; lines && i < lines->len; i++)
                json_array_add_element(array, string_node(g_ptr_array_index(lines, i)));
        return array_node(array);
}

static JsonNode *member_node(const EngineState *state, const Member *m) {
        switch (m->type) {
        case MEMBER_STRING:
                return string_node(CONST_FIELD(state, m, char *));
        case MEMBER_U64:
                return json_node_init_int(json_node_alloc(), (gint64) CONST_FIELD(state, m, guint64));
        case MEMBER_U32:
                return json_node_init_int(json_node_alloc(), CONST_FIELD(state, m, guint32));
        case MEMBER_BOOL:
                return json_node_init_boolean(json_node_alloc(), CONST_FIELD(state, m, bool));
        case MEMBER_DOUBLE:
                return json_node_init_double(json_node_alloc(), CONST_FIELD(state, m, double));
        case MEMBER_POSITION:
                return position_node(&CONST_FIELD(state, m, BinlogPosition));
        case MEMBER_SIDE:
                return string_node(side_to_string(CONST_FIELD(state, m, Side)));
        case MEMBER_STEP:
                return string_node(switch_step_to_string(CONST_FIELD(state, m, SwitchStep)));
        case MEMBER_VERIFICATION:
                return string_node(verification_state_to_string(CONST_FIELD(state, m, VerificationState)));
        case MEMBER_CHECKS:
                return checks_node(CONST_FIELD(state, m, GPtrArray *));
        case MEMBER_LINES:
                return lines_node(CONST_FIELD(state, m, GPtrArray *));
        }
        g_assert_not_reached();
}

JsonNode *engine_state_to_json(const EngineState *state) {
        JsonObject *object = json_object_new();
        for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
                json_object_set_member(object, members[i].name, member_node(state, &members[i]));
        JsonNode *node = json_node_alloc();
        json_node_init_object(node, object);
        json_object_unref(object);
        return node;
}

/* ---- reading ---- */

static bool node_string(JsonNode *node, const char **ret) {
        if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
                return false;
        *ret = json_node_get_string(node);
        return *ret != NULL;
}

static bool node_unsigned(JsonNode *node, guint64 max, guint64 *ret) {
        if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
                return false;
        gint64 value = json_node_get_int(node);
        if (value < 0 || (guint64) value > max)
                return false;
        *ret = (guint64) value;
        return true;
}

static bool read_string(JsonNode *node, char **ret) {
        const char *text;
        if (JSON_NODE_HOLDS_NULL(node)) {
                *ret = NULL;
                return true;
        }
        if (!node_string(node, &text))
                return false;
        *ret = g_strdup(text);
        return true;
}

static bool read_position(JsonNode *node, BinlogPosition *ret) {
        const char *file, *gtids = NULL;
        guint64 offset;
        if (JSON_NODE_HOLDS_NULL(node))
                return true;
        if (!JSON_NODE_HOLDS_ARRAY(node))
                return false;
        JsonArray *pair = json_node_get_array(node);
        guint length = json_array_get_length(pair);
        if (length < 2 || length > 3 || !node_string(json_array_get_element(pair, 0), &file) ||
            !node_unsigned(json_array_get_element(pair, 1), G_MAXINT64, &offset) ||
            (length == 3 && !node_string(json_array_get_element(pair, 2), &gtids)))
                return false;
        binlog_position_set(ret, file, offset);
        binlog_position_set_gtids(ret, gtids);
        return true;
}

static bool read_check(JsonNode *node, CheckRow **ret) {
        const char *id, *severity_text, *message, *hint, *error_text;
        if (!JSON_NODE_HOLDS_OBJECT(node))
                return false;
        JsonObject *object = json_node_get_object(node);
        if (json_object_get_size(object) != 5 || !node_string(json_object_get_member(object, "id"), &id) ||
            !node_string(json_object_get_member(object, "severity"), &severity_text) ||
            !node_string(json_object_get_member(object, "message"), &message) ||
            !node_string(json_object_get_member(object, "hint"), &hint) ||
            !node_string(json_object_get_member(object, "error"), &error_text))
                return false;
        CheckSeverity severity = check_severity_from_string(severity_text);
        PsErrorCode error = ps_error_code_from_string(error_text);
        if (severity == _CHECK_INVALID || error == _PS_ERROR_INVALID)
                return false;
        *ret = check_row_new(id, severity, error, message, hint);
        return true;
}

static bool read_checks(JsonNode *node, GPtrArray *into) {
        if (!JSON_NODE_HOLDS_ARRAY(node))
                return false;
        JsonArray *array = json_node_get_array(node);
        for (guint i = 0; i < json_array_get_length(array); i++) {
                CheckRow *row;
                if (!read_check(json_array_get_element(array, i), &row))
                        return false;
                g_ptr_array_add(into, row);
        }
        return true;
}

static bool read_lines(JsonNode *node, GPtrArray *into) {
        if (!JSON_NODE_HOLDS_ARRAY(node))
                return false;
        JsonArray *array = json_node_get_array(node);
        for (guint i = 0; i < json_array_get_length(array); i++) {
                const char *line;
                if (!node_string(json_array_get_element(array, i), &line))
                        return false;
                g_ptr_array_add(into, g_strdup(line));
        }
        return true;
}

static bool read_double(JsonNode *node, double *ret) {
        if (!JSON_NODE_HOLDS_VALUE(node))
                return false;
        GType type = json_node_get_value_type(node);
        if (type != G_TYPE_DOUBLE && type != G_TYPE_INT64)
                return false;
        double value = json_node_get_double(node);
        if (!isfinite(value))
                return false;
        *ret = value;
        return true;
}

static bool read_bool(JsonNode *node, bool *ret) {
        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
                return false;
        *ret = json_node_get_boolean(node);
        return true;
}

static bool read_member(EngineState *state, const Member *m, JsonNode *node) {
        const char *text;
        guint64 number;
        switch (m->type) {
        case MEMBER_STRING:
                return read_string(node, &FIELD(state, m, char *));
        case MEMBER_U64:
                return node_unsigned(node, G_MAXINT64, &FIELD(state, m, guint64));
        case MEMBER_U32:
                if (!node_unsigned(node, G_MAXUINT32, &number))
                        return false;
                FIELD(state, m, guint32) = (guint32) number;
                return true;
        case MEMBER_BOOL:
                return read_bool(node, &FIELD(state, m, bool));
        case MEMBER_DOUBLE:
                return read_double(node, &FIELD(state, m, double));
        case MEMBER_POSITION:
                return read_position(node, &FIELD(state, m, BinlogPosition));
        case MEMBER_SIDE:
                return node_string(node, &text) &&
                       (FIELD(state, m, Side) = side_from_string(text)) != _SIDE_INVALID;
        case MEMBER_STEP:
                return node_string(node, &text) &&
                       (FIELD(state, m, SwitchStep) = switch_step_from_string(text)) != _SWITCH_STEP_INVALID;
        case MEMBER_VERIFICATION:
                return node_string(node, &text) &&
                       (FIELD(state, m, VerificationState) = verification_state_from_string(text)) !=
                               _VERIFICATION_INVALID;
        case MEMBER_CHECKS:
                return read_checks(node, FIELD(state, m, GPtrArray *));
        case MEMBER_LINES:
                return read_lines(node, FIELD(state, m, GPtrArray *));
        }
        g_assert_not_reached();
}

static bool refuse_unknown(JsonObject *object, GError **error) {
        g_autoptr(GList) names = json_object_get_members(object);
        for (GList *l = names; l; l = l->next) {
                bool known = false;
                for (gsize i = 0; i < G_N_ELEMENTS(members) && !known; i++)
                        known = strcmp(members[i].name, l->data) == 0;
                if (!known) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE,
                                    "engine state: unknown member '%s'; was it written by a newer agent?",
                                    (const char *) l->data);
                        return false;
                }
        }
        return true;
}

EngineState *engine_state_from_json(JsonNode *node, GError **error) {
        if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
                g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "engine state: not an object");
                return NULL;
        }
        JsonObject *object = json_node_get_object(node);
        if (!refuse_unknown(object, error))
                return NULL;

        g_autoptr(EngineState) state = engine_state_new();
        g_clear_pointer(&state->uuid, g_free);
        for (gsize i = 0; i < G_N_ELEMENTS(members); i++) {
                JsonNode *value = json_object_get_member(object, members[i].name);
                if (!value && members[i].newer)
                        continue;
                if (!value || !read_member(state, &members[i], value)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "engine state: member '%s' is %s",
                                    members[i].name, value ? "not what it should be" : "missing");
                        return NULL;
                }
        }
        if (!state->uuid || !g_uuid_string_is_valid(state->uuid)) {
                g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "engine state: member 'uuid' is no UUID");
                return NULL;
        }
        return g_steal_pointer(&state);
}
