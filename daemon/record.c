/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See record.h. Strict like the engine's part: what is not understood is refused, since the file says who may
 * write where. */

#include "record.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

Record *record_new(MigrationSpec *spec, guint64 now, guint32 uid) {
        Record *record = g_new0(Record, 1);
        record->spec = spec;
        record->phase = MIGRATION_PHASE_CREATED;
        record->reason = g_strdup("");
        record->generation = 1;
        record->created_at = now;
        record->created_by = uid;
        record->last.error = -1;
        record->next_operation_id = 1;
        record->state = engine_state_new();
        return record;
}

Record *record_copy(const Record *record) {
        Record *copy = g_new0(Record, 1);
        *copy = *record;
        copy->spec = spec_copy(record->spec);
        copy->reason = g_strdup(record->reason);
        copy->last.message = g_strdup(record->last.message);
        copy->state = engine_state_copy(record->state);
        return copy;
}

void record_free(Record *record) {
        if (!record)
                return;
        spec_free(record->spec);
        g_free(record->reason);
        g_free(record->last.message);
        engine_state_free(record->state);
        g_free(record);
}

guint64 record_expires_at(const Record *record) {
        if (record->synchronizing_at == 0 || migration_phase_is_final(record->phase))
                return 0;
        return record->synchronizing_at + record->spec->limits.expire_after * (guint64) USEC_PER_SEC;
}

/* ---- writing ---- */

static JsonObject *operation_object(const RecordOperation *operation) {
        const EngineOperation *r = &operation->request;
        JsonObject *object = json_object_new();
        json_object_set_int_member(object, "id", (gint64) r->id);
        json_object_set_string_member(object, "kind", operation_kind_to_string(r->kind));
        json_object_set_int_member(object, "flags", (gint64) r->flags);
        json_object_set_double_member(object, "max-delay", r->max_delay);
        json_object_set_double_member(object, "deadline", r->deadline);
        json_object_set_boolean_member(object, "kill-sessions", r->kill_sessions);
        json_object_set_boolean_member(object, "disable-binlog", r->disable_binlog);
        json_object_set_double_member(object, "confirm-within", operation->confirm_within);
        return object;
}

static JsonObject *last_object(const RecordLast *last) {
        JsonObject *object = json_object_new();
        json_object_set_int_member(object, "id", (gint64) last->id);
        json_object_set_string_member(object, "kind", operation_kind_to_string(last->kind));
        json_object_set_string_member(object, "result", operation_result_to_string(last->result));
        const char *error = last->error >= 0 ? ps_error_code_to_string((PsErrorCode) last->error) : NULL;
        json_object_set_string_member(object, "error", error ? error : "");
        g_autofree char *message = g_utf8_make_valid(last->message ? last->message : "", -1);
        json_object_set_string_member(object, "message", message);
        json_object_set_int_member(object, "finished-at", (gint64) last->finished_at);
        return object;
}

char *record_to_text(const Record *record) {
        g_autoptr(JsonObject) object = json_object_new();
        json_object_set_int_member(object, "version", RECORD_VERSION);
        json_object_set_member(object, "request", spec_to_json(record->spec));
        json_object_set_string_member(object, "phase", migration_phase_to_string(record->phase));
        json_object_set_string_member(object, "reason", record->reason);
        json_object_set_boolean_member(object, "paused", record->paused);
        json_object_set_int_member(object, "generation", (gint64) record->generation);
        json_object_set_int_member(object, "created-at", (gint64) record->created_at);
        json_object_set_int_member(object, "created-by", record->created_by);
        json_object_set_int_member(object, "synchronizing-at", (gint64) record->synchronizing_at);
        json_object_set_int_member(object, "announced", record->announced);
        json_object_set_int_member(object, "confirm-by", (gint64) record->confirm_by);
        if (record->operation.request.id != 0)
                json_object_set_object_member(object, "operation", operation_object(&record->operation));
        else
                json_object_set_null_member(object, "operation");
        if (record->last.id != 0)
                json_object_set_object_member(object, "last-operation", last_object(&record->last));
        else
                json_object_set_null_member(object, "last-operation");
        json_object_set_int_member(object, "next-operation-id", (gint64) record->next_operation_id);
        json_object_set_int_member(object, "final-operation-id", (gint64) record->final_operation_id);
        json_object_set_member(object, "engine", engine_state_to_json(record->state));

        g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
        return json_to_string(node, /* pretty= */ TRUE);
}

/* ---- reading: members are taken one by one, and all must have been taken at the end ---- */

typedef struct Reader {
        JsonObject *object;
        const char *where;
        guint taken;
        GError **error;
        bool failed;
} Reader;

static void refuse(Reader *reader, const char *member, const char *what) {
        if (!reader->failed)
                g_set_error(reader->error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "%s: member '%s' %s",
                            reader->where, member, what);
        reader->failed = true;
}

static JsonNode *take(Reader *reader, const char *member, GType type) {
        JsonNode *node = reader->failed ? NULL : json_object_get_member(reader->object, member);
        if (!node) {
                refuse(reader, member, "is missing");
                return NULL;
        }
        reader->taken++;
        if (type != G_TYPE_NONE && (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != type)) {
                refuse(reader, member, "is not what it should be");
                return NULL;
        }
        return node;
}

static guint64 take_number(Reader *reader, const char *member, guint64 max) {
        JsonNode *node = take(reader, member, G_TYPE_INT64);
        gint64 value = node ? json_node_get_int(node) : 0;
        if (value < 0 || (guint64) value > max) {
                refuse(reader, member, "is out of range");
                return 0;
        }
        return (guint64) value;
}

static const char *take_string(Reader *reader, const char *member) {
        JsonNode *node = take(reader, member, G_TYPE_STRING);
        return node ? json_node_get_string(node) : "";
}

static bool take_boolean(Reader *reader, const char *member) {
        JsonNode *node = take(reader, member, G_TYPE_BOOLEAN);
        return node && json_node_get_boolean(node);
}

static double take_double(Reader *reader, const char *member) {
        JsonNode *node = take(reader, member, G_TYPE_NONE);
        if (!node || !JSON_NODE_HOLDS_VALUE(node) ||
            (json_node_get_value_type(node) != G_TYPE_DOUBLE &&
             json_node_get_value_type(node) != G_TYPE_INT64) ||
            !isfinite(json_node_get_double(node))) {
                refuse(reader, member, "is not what it should be");
                return 0;
        }
        return json_node_get_double(node);
}

static int take_word(Reader *reader, const char *member, int (*from_string)(const char *)) {
        int value = from_string(take_string(reader, member));
        if (value < 0)
                refuse(reader, member, "has an unknown value");
        return value;
}

static int phase_word(const char *s) {
        return migration_phase_from_string(s);
}
static int kind_word(const char *s) {
        return operation_kind_from_string(s);
}
static int result_word(const char *s) {
        return operation_result_from_string(s);
}

static void finish(Reader *reader) {
        if (!reader->failed && json_object_get_size(reader->object) != reader->taken)
                refuse(reader, "?", "is unknown: a newer agent wrote the file");
}

/* null, or an object to read */
static JsonObject *take_optional_object(Reader *reader, const char *member) {
        JsonNode *node = take(reader, member, G_TYPE_NONE);
        if (!node || JSON_NODE_HOLDS_NULL(node))
                return NULL;
        if (!JSON_NODE_HOLDS_OBJECT(node)) {
                refuse(reader, member, "is not what it should be");
                return NULL;
        }
        return json_node_get_object(node);
}

static void read_operation(Reader *outer, RecordOperation *ret) {
        JsonObject *object = take_optional_object(outer, "operation");
        if (!object)
                return;
        Reader r = {.object = object, .where = "operation", .error = outer->error};
        ret->request.id = take_number(&r, "id", G_MAXINT64);
        ret->request.kind = (OperationKind) take_word(&r, "kind", kind_word);
        ret->request.flags = take_number(&r, "flags", G_MAXUINT32);
        ret->request.max_delay = take_double(&r, "max-delay");
        ret->request.deadline = take_double(&r, "deadline");
        ret->request.kill_sessions = take_boolean(&r, "kill-sessions");
        ret->request.disable_binlog = take_boolean(&r, "disable-binlog");
        ret->confirm_within = take_double(&r, "confirm-within");
        finish(&r);
        outer->failed = outer->failed || r.failed;
}

static void read_last(Reader *outer, RecordLast *ret) {
        JsonObject *object = take_optional_object(outer, "last-operation");
        if (!object)
                return;
        Reader r = {.object = object, .where = "last operation", .error = outer->error};
        ret->id = take_number(&r, "id", G_MAXINT64);
        ret->kind = (OperationKind) take_word(&r, "kind", kind_word);
        ret->result = (OperationResult) take_word(&r, "result", result_word);
        const char *error = take_string(&r, "error");
        ret->error = *error ? (int) ps_error_code_from_string(error) : -1;
        ret->message = g_strdup(take_string(&r, "message"));
        ret->finished_at = take_number(&r, "finished-at", G_MAXINT64);
        finish(&r);
        outer->failed = outer->failed || r.failed;
}

static void read_parts(Reader *reader, Record *record) {
        JsonNode *request = take(reader, "request", G_TYPE_NONE);
        JsonNode *engine = take(reader, "engine", G_TYPE_NONE);
        if (reader->failed)
                return;
        record->spec = spec_from_json(request, reader->error);
        if (record->spec)
                record->state = engine_state_from_json(engine, reader->error);
        reader->failed = !record->spec || !record->state;
}

Record *record_from_text(const char *text, gsize length, GError **error) {
        g_autoptr(JsonParser) parser = json_parser_new_immutable();
        g_autoptr(GError) why = NULL;
        if (!json_parser_load_from_data(parser, text, (gssize) length, &why)) {
                g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "no JSON: %s", why->message);
                return NULL;
        }
        JsonNode *root = json_parser_get_root(parser);
        if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
                g_set_error(error, PS_ERROR, PS_ERROR_STATE_UNREADABLE, "no JSON object");
                return NULL;
        }

        g_autoptr(Record) record = g_new0(Record, 1);
        Reader r = {.object = json_node_get_object(root), .where = "state", .error = error};
        if (take_number(&r, "version", G_MAXINT64) != RECORD_VERSION)
                refuse(&r, "version", "is not one that this agent knows");
        read_parts(&r, record);
        record->phase = (MigrationPhase) take_word(&r, "phase", phase_word);
        record->reason = g_strdup(take_string(&r, "reason"));
        record->paused = take_boolean(&r, "paused");
        record->generation = take_number(&r, "generation", G_MAXINT64);
        record->created_at = take_number(&r, "created-at", G_MAXINT64);
        record->created_by = (guint32) take_number(&r, "created-by", G_MAXUINT32);
        record->synchronizing_at = take_number(&r, "synchronizing-at", G_MAXINT64 / 2);
        record->announced = (guint32) take_number(&r, "announced", 2);
        record->confirm_by = take_number(&r, "confirm-by", G_MAXINT64);
        record->last.error = -1;
        read_operation(&r, &record->operation);
        read_last(&r, &record->last);
        record->next_operation_id = take_number(&r, "next-operation-id", G_MAXINT64);
        record->final_operation_id = take_number(&r, "final-operation-id", G_MAXINT64);
        finish(&r);
        return r.failed ? NULL : g_steal_pointer(&record);
}
