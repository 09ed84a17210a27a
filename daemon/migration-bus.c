/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See migration-bus.h. The vtable is the truth about the interface; dbus/org.polarshift1.Migration.xml is taken from it. */

#include "migration-bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus-error.h"

/* ---- finding the object ---- */

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *ret_error) {
        Manager *manager = userdata;
        char *decoded = NULL;
        g_autoptr(GError) error = NULL;

        int r = sd_bus_path_decode(path, MIGRATION_PREFIX, &decoded);
        if (r <= 0)
                return r;
        g_autofree char *name = g_strdup(decoded);
        free(decoded);
        if (!spec_name_valid(name)) /* the bare prefix decodes to an empty name */
                return 0;
        Migration *m = manager_get(manager, name, &error);
        if (m) {
                *ret_found = m;
                return 1;
        }
        /* an object whose state cannot be read says so; one that is not there does likewise */
        return bus_error_set(ret_error, error);
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *ret_error) {
        Manager *manager = userdata;
        GHashTableIter iter;
        Migration *m;
        guint n = 0;
        /* libsystemd frees it: malloc, not GLib */
        char **nodes = calloc(g_hash_table_size(manager->migrations) + 1, sizeof(char *));
        if (!nodes)
                return -ENOMEM;
        g_hash_table_iter_init(&iter, manager->migrations);
        while (g_hash_table_iter_next(&iter, NULL, (gpointer *) &m))
                nodes[n++] = strdup(m->path);
        *ret_nodes = nodes;
        return 0;
}

/* ---- properties ---- */

typedef enum Property {
        PROPERTY_SOURCE,
        PROPERTY_DESTINATION,
        PROPERTY_PHASE,
        PROPERTY_PHASE_REASON,
        PROPERTY_PAUSED,
        PROPERTY_GENERATION,
        PROPERTY_ALLOWED_ACTIONS,
        PROPERTY_OPERATION,
        PROPERTY_OPERATION_STEP,
        PROPERTY_OPERATION_ID,
        PROPERTY_LAST_OPERATION,
        PROPERTY_SOURCE_READ_WRITE,
        PROPERTY_DESTINATION_READ_WRITE,
        PROPERTY_READ_WRITE,
        PROPERTY_REPLICATION_STATE,
        PROPERTY_REPLICATION_DIRECTION,
        PROPERTY_REPLICATION_DELAY,
        PROPERTY_LAST_ERROR,
        PROPERTY_VERIFICATION_STATE,
        PROPERTY_VERIFIED_AT,
        PROPERTY_WRITE_INTERRUPTION,
        PROPERTY_REVERSE_PROVEN,
        PROPERTY_FOREIGN_WRITES,
        PROPERTY_EXPIRES_AT,
        PROPERTY_CONFIRM_BY,
        _PROPERTY_MAX,
} Property;

static const char *const property_names[_PROPERTY_MAX] = {
        [PROPERTY_SOURCE] = "Source",
        [PROPERTY_DESTINATION] = "Destination",
        [PROPERTY_PHASE] = "Phase",
        [PROPERTY_PHASE_REASON] = "PhaseReason",
        [PROPERTY_PAUSED] = "Paused",
        [PROPERTY_GENERATION] = "Generation",
        [PROPERTY_ALLOWED_ACTIONS] = "AllowedActions",
        [PROPERTY_OPERATION] = "Operation",
        [PROPERTY_OPERATION_STEP] = "OperationStep",
        [PROPERTY_OPERATION_ID] = "OperationId",
        [PROPERTY_LAST_OPERATION] = "LastOperation",
        [PROPERTY_SOURCE_READ_WRITE] = "SourceReadWriteStatus",
        [PROPERTY_DESTINATION_READ_WRITE] = "DestinationReadWriteStatus",
        [PROPERTY_READ_WRITE] = "ReadWriteStatus",
        [PROPERTY_REPLICATION_STATE] = "ReplicationState",
        [PROPERTY_REPLICATION_DIRECTION] = "ReplicationDirection",
        [PROPERTY_REPLICATION_DELAY] = "ReplicationDelay",
        [PROPERTY_LAST_ERROR] = "LastError",
        [PROPERTY_VERIFICATION_STATE] = "VerificationState",
        [PROPERTY_VERIFIED_AT] = "VerifiedAt",
        [PROPERTY_WRITE_INTERRUPTION] = "WriteInterruption",
        [PROPERTY_REVERSE_PROVEN] = "ReverseProven",
        [PROPERTY_FOREIGN_WRITES] = "ForeignWrites",
        [PROPERTY_EXPIRES_AT] = "ExpiresAt",
        [PROPERTY_CONFIRM_BY] = "ConfirmBy",
};

struct MigrationShown {
        char *values[_PROPERTY_MAX]; /* as text: only compared */
        gint64 delay_at;             /* monotonic: when the delay was last told */
};

void migration_shown_free(MigrationShown *shown) {
        if (!shown)
                return;
        for (int i = 0; i < _PROPERTY_MAX; i++)
                g_free(shown->values[i]);
        g_free(shown);
}

static bool may_now(const Migration *m, OperationKind kind) {
        return migration_allows(m, kind, NULL);
}

void migration_allowed_actions(const Migration *m, const char *ret[MIGRATION_ACTIONS_MAX]) {
        static const struct {
                OperationKind kind;
                const char *method;
        } table[] = {
                { OPERATION_CHECK, "Check" },   { OPERATION_START, "Start" },       { OPERATION_VERIFY, "Verify" },
                { OPERATION_REPAIR, "Repair" }, { OPERATION_SWITCH, "Switch" },     { OPERATION_ROLLBACK, "Rollback" },
                { OPERATION_CANCEL, "Cancel" }, { OPERATION_COMPLETE, "Complete" },
        };
        const Record *record = m->record;
        bool linked = migration_phase_direction(record->phase) != DIRECTION_NONE;
        bool running = record->operation.request.id != 0;
        guint n = 0;

        if (!m->removing) {
                for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
                        if (may_now(m, table[i].kind))
                                ret[n++] = table[i].method;
                if (linked && !record->paused && !running)
                        ret[n++] = "Pause";
                if (linked)
                        ret[n++] = "Resume";
                if (record->confirm_by && !running)
                        ret[n++] = "Confirm";
                if (running)
                        ret[n++] = "Abort";
                if (linked && m->status.foreign_writes > 0)
                        ret[n++] = "AcknowledgeForeignWrites";
                if (!migration_phase_is_final(record->phase))
                        ret[n++] = "SetLimits";
                if (linked && record->paused && !running)
                        ret[n++] = "SetEndpoint";
                if (!linked && !running)
                        ret[n++] = "Remove";
        }
        ret[n] = NULL;
}

static char *endpoint_text(const Migration *m, Side side) {
        const Endpoint *endpoint = m->record->spec->servers[side].endpoint;
        return endpoint ? endpoint_label(endpoint) : g_strdup("");
}

static const char *error_name(int code) {
        return code >= 0 ? bus_error_name((PsErrorCode) code) : "";
}

static char *number(guint64 n) {
        return g_strdup_printf("%" G_GUINT64_FORMAT, n);
}

/* All properties that announce their changes, as text. */
static void snapshot(const Migration *m, char *values[_PROPERTY_MAX]) {
        const Record *r = m->record;
        const EngineStatus *s = &m->status;
        const char *actions[MIGRATION_ACTIONS_MAX];
        migration_allowed_actions(m, actions);

        values[PROPERTY_SOURCE] = endpoint_text(m, SIDE_SOURCE);
        values[PROPERTY_DESTINATION] = endpoint_text(m, SIDE_DESTINATION);
        values[PROPERTY_PHASE] = g_strdup(migration_phase_to_string(r->phase));
        values[PROPERTY_PHASE_REASON] = g_strdup(r->reason);
        values[PROPERTY_PAUSED] = number(r->paused);
        values[PROPERTY_GENERATION] = number(r->generation);
        values[PROPERTY_ALLOWED_ACTIONS] = g_strjoinv(" ", (char **) actions);
        values[PROPERTY_OPERATION] = number(r->operation.request.id ? (guint64) r->operation.request.kind + 1 : 0);
        values[PROPERTY_OPERATION_STEP] = g_strdup(r->operation.request.id ? s->step : "");
        values[PROPERTY_OPERATION_ID] = number(r->operation.request.id);
        values[PROPERTY_LAST_OPERATION] = number(r->last.id);
        values[PROPERTY_SOURCE_READ_WRITE] = number(s->read_write[SIDE_SOURCE]);
        values[PROPERTY_DESTINATION_READ_WRITE] = number(s->read_write[SIDE_DESTINATION]);
        values[PROPERTY_READ_WRITE] = number(s->read_write[SIDE_DESTINATION]);
        values[PROPERTY_REPLICATION_STATE] = number(s->replication);
        values[PROPERTY_REPLICATION_DIRECTION] = number(s->direction);
        values[PROPERTY_REPLICATION_DELAY] = g_strdup_printf("%.6g", s->delay);
        values[PROPERTY_LAST_ERROR] = g_strdup_printf("%d %s", s->error, s->error >= 0 ? s->error_message : "");
        values[PROPERTY_VERIFICATION_STATE] = number(s->verification);
        values[PROPERTY_VERIFIED_AT] = number(s->verified_at);
        values[PROPERTY_WRITE_INTERRUPTION] = g_strdup_printf("%.6g", s->write_interruption);
        values[PROPERTY_REVERSE_PROVEN] = number(s->reverse_proven);
        values[PROPERTY_FOREIGN_WRITES] = number(s->foreign_writes);
        values[PROPERTY_EXPIRES_AT] = number(record_expires_at(r));
        values[PROPERTY_CONFIRM_BY] = number(r->confirm_by);
}

static int emit_changes(sd_event_source *source, void *userdata) {
        Migration *m = userdata;
        g_autofree MigrationShown *now = g_new0(MigrationShown, 1);
        char *names[_PROPERTY_MAX + 1];
        guint n = 0;

        snapshot(m, now->values);
        for (int i = 0; i < _PROPERTY_MAX; i++) {
                bool changed = g_strcmp0(now->values[i], m->shown->values[i]) != 0;
                if (changed && i == PROPERTY_REPLICATION_DELAY) {
                        gint64 time = clock_monotonic();
                        if (m->shown->delay_at && time - m->shown->delay_at < 950 * USEC_PER_MSEC)
                                changed = false; /* the next sample tells it */
                        else
                                m->shown->delay_at = time;
                }
                if (changed) {
                        names[n++] = (char *) property_names[i];
                        g_free(m->shown->values[i]);
                        m->shown->values[i] = now->values[i];
                } else {
                        g_free(now->values[i]);
                }
        }
        names[n] = NULL;
        if (n > 0)
                (void) sd_bus_emit_properties_changed_strv(m->manager->bus, m->path, MIGRATION_INTERFACE, names);
        return 0;
}

void migration_bus_touch(Migration *m) {
        if (!m->manager->bus)
                return;
        if (!m->shown) { /* the first look: nobody was told anything yet */
                m->shown = g_new0(MigrationShown, 1);
                snapshot(m, m->shown->values);
                return;
        }
        if (!m->emit) {
                if (sd_event_add_defer(m->manager->event, &m->emit, emit_changes, m) < 0)
                        return;
                (void) sd_event_source_set_priority(m->emit, SD_EVENT_PRIORITY_IDLE);
        }
        (void) sd_event_source_set_enabled(m->emit, SD_EVENT_ONESHOT);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error) {
        const Migration *m = userdata;
        const Record *r = m->record;
        const EngineStatus *s = &m->status;
        g_autofree char *owned = NULL;
        const char *text = "";

        if (strcmp(property, "Name") == 0)
                text = m->name;
        else if (strcmp(property, "CreateType") == 0)
                text = create_type_to_string(r->spec->create_type);
        else if (strcmp(property, "Source") == 0)
                text = owned = endpoint_text(m, SIDE_SOURCE);
        else if (strcmp(property, "Destination") == 0)
                text = owned = endpoint_text(m, SIDE_DESTINATION);
        else if (strcmp(property, "Phase") == 0)
                text = migration_phase_to_string(r->phase);
        else if (strcmp(property, "PhaseReason") == 0)
                text = r->reason;
        else if (strcmp(property, "Operation") == 0)
                text = r->operation.request.id ? operation_kind_to_string(r->operation.request.kind) : "";
        else if (strcmp(property, "OperationStep") == 0)
                text = r->operation.request.id ? s->step : "";
        else if (strcmp(property, "SourceReadWriteStatus") == 0)
                text = read_write_status_to_string(s->read_write[SIDE_SOURCE]);
        else if (strcmp(property, "DestinationReadWriteStatus") == 0 || strcmp(property, "ReadWriteStatus") == 0)
                text = read_write_status_to_string(s->read_write[SIDE_DESTINATION]);
        else if (strcmp(property, "ReplicationState") == 0)
                text = replication_state_to_string(s->replication);
        else if (strcmp(property, "ReplicationDirection") == 0)
                text = direction_to_string(s->direction);
        else if (strcmp(property, "VerificationState") == 0)
                text = verification_state_to_string(s->verification);
        g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
        return sd_bus_message_append(reply, "s", valid);
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error) {
        const Migration *m = userdata;
        const Record *r = m->record;
        const EngineStatus *s = &m->status;
        const struct {
                const char *name;
                guint64 value;
        } table[] = {
                { "CreatedAt", r->created_at },
                { "Generation", r->generation },
                { "OperationId", r->operation.request.id },
                { "BytesCopied", s->bytes_copied },
                { "BytesTotal", s->bytes_total },
                { "RowsCopied", s->rows_copied },
                { "RowsTotal", s->rows_total },
                { "TransactionsApplied", s->transactions_applied },
                { "RowsApplied", s->rows_applied },
                { "EstimatedEnd", s->estimated_end },
                { "VerifiedAt", s->verified_at },
                { "ForeignWrites", s->foreign_writes },
                { "ExpiresAt", record_expires_at(r) },
                { "ConfirmBy", r->confirm_by },
        };
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
                if (strcmp(table[i].name, property) == 0)
                        return sd_bus_message_append(reply, "t", table[i].value);
        return -ENOENT;
}

static int get_double(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error) {
        const EngineStatus *s = &((const Migration *) userdata)->status;
        double value = strcmp(property, "ReplicationDelay") == 0 ? s->delay
                       : strcmp(property, "Progress") == 0       ? s->progress
                                                                 : s->write_interruption;
        return sd_bus_message_append(reply, "d", value);
}

static int get_boolean(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                       void *userdata, sd_bus_error *error) {
        const Migration *m = userdata;
        return sd_bus_message_append(reply, "b", strcmp(property, "Paused") == 0 ? m->record->paused : m->status.reverse_proven);
}

static int get_uid(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                   void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "u", ((const Migration *) userdata)->record->created_by);
}

static int get_actions(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                       void *userdata, sd_bus_error *error) {
        const char *actions[MIGRATION_ACTIONS_MAX];
        migration_allowed_actions(userdata, actions);
        return sd_bus_message_append_strv(reply, (char **) actions);
}

static int get_last_operation(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const RecordLast *last = &((const Migration *) userdata)->record->last;
        return sd_bus_message_append(reply, "(tsssst)", last->id, last->id ? operation_kind_to_string(last->kind) : "",
                                     last->id ? operation_result_to_string(last->result) : "", error_name(last->error),
                                     last->message ? last->message : "", last->finished_at);
}

static int get_last_error(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *error) {
        const EngineStatus *s = &((const Migration *) userdata)->status;
        g_autofree char *message = g_utf8_make_valid(s->error >= 0 ? s->error_message : "", -1);
        return sd_bus_message_append(reply, "(ss)", error_name(s->error), message);
}

void migration_bus_operation_finished(Migration *m) {
        const RecordLast *last = &m->record->last;
        if (m->manager->bus)
                (void) sd_bus_emit_signal(m->manager->bus, m->path, MIGRATION_INTERFACE, "OperationFinished", "tssss", last->id,
                                          operation_kind_to_string(last->kind), operation_result_to_string(last->result),
                                          error_name(last->error), last->message ? last->message : "");
}

/* ---- the interface ---- */

#define METHOD(name, in, in_names, out, out_names, handler)                                                            \
        SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler, SD_BUS_VTABLE_UNPRIVILEGED)
#define ONE(name) SD_BUS_PARAM(name)
#define OPTIONS SD_BUS_PARAM(options) SD_BUS_PARAM(flags)
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable migration_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Check", "a{sv}t", OPTIONS, "t", ONE(operation), method_check),
        METHOD("GetChecks", NULL, , "ta(ssss)", ONE(checked_at) ONE(checks), method_get_checks),
        METHOD("Start", "a{sv}t", OPTIONS, "t", ONE(operation), method_start),
        METHOD("Pause", "a{sv}t", OPTIONS, NULL, , method_pause),
        METHOD("Resume", "a{sv}t", OPTIONS, NULL, , method_resume),
        METHOD("Verify", "a{sv}t", OPTIONS, "t", ONE(operation), method_verify),
        METHOD("Repair", "a{sv}t", OPTIONS, "t", ONE(operation), method_repair),
        METHOD("Plan", "sa{sv}t", ONE(operation) OPTIONS, "s", ONE(plan), method_plan),
        METHOD("GetPlan", NULL, , "s", ONE(plan), method_get_plan),
        METHOD("Switch", "a{sv}t", OPTIONS, "t", ONE(operation), method_switch),
        METHOD("Confirm", "a{sv}t", OPTIONS, NULL, , method_confirm),
        METHOD("Rollback", "a{sv}t", OPTIONS, "t", ONE(operation), method_rollback),
        METHOD("Complete", "a{sv}t", OPTIONS, "t", ONE(operation), method_complete),
        METHOD("Cancel", "a{sv}t", OPTIONS, "t", ONE(operation), method_cancel),
        METHOD("Abort", "ta{sv}t", ONE(operation) OPTIONS, NULL, , method_abort),
        METHOD("AcknowledgeForeignWrites", "ta{sv}t", ONE(count) OPTIONS, NULL, , method_acknowledge),
        METHOD("SetLimits", "a{sv}t", OPTIONS, NULL, , method_set_limits),
        METHOD("SetEndpoint", "ssa{sv}t", ONE(side) ONE(uri) OPTIONS, NULL, , method_set_endpoint),
        METHOD("GetReport", NULL, , "s", ONE(report), method_get_report),
        METHOD("GetHistory", "t", ONE(since), "s", ONE(history), method_get_history),
        METHOD("Remove", "a{sv}t", OPTIONS, NULL, , method_remove),

        SD_BUS_PROPERTY("Name", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("CreateType", "s", get_string, 0, CONSTANT),
        SD_BUS_PROPERTY("CreatedAt", "t", get_number, 0, CONSTANT),
        SD_BUS_PROPERTY("CreatedByUID", "u", get_uid, 0, CONSTANT),
        SD_BUS_PROPERTY("Source", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("Destination", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("Phase", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("PhaseReason", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("Paused", "b", get_boolean, 0, CHANGES),
        SD_BUS_PROPERTY("Generation", "t", get_number, 0, CHANGES),
        SD_BUS_PROPERTY("AllowedActions", "as", get_actions, 0, CHANGES),
        SD_BUS_PROPERTY("Operation", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("OperationStep", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("OperationId", "t", get_number, 0, CHANGES),
        SD_BUS_PROPERTY("LastOperation", "(tsssst)", get_last_operation, 0, CHANGES),
        SD_BUS_PROPERTY("SourceReadWriteStatus", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("DestinationReadWriteStatus", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("ReadWriteStatus", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("ReplicationState", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("ReplicationDirection", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("ReplicationDelay", "d", get_double, 0, CHANGES),
        SD_BUS_PROPERTY("LastError", "(ss)", get_last_error, 0, CHANGES),
        SD_BUS_PROPERTY("Progress", "d", get_double, 0, 0),
        SD_BUS_PROPERTY("BytesCopied", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("BytesTotal", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("RowsCopied", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("RowsTotal", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("TransactionsApplied", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("RowsApplied", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("EstimatedEnd", "t", get_number, 0, 0),
        SD_BUS_PROPERTY("VerificationState", "s", get_string, 0, CHANGES),
        SD_BUS_PROPERTY("VerifiedAt", "t", get_number, 0, CHANGES),
        SD_BUS_PROPERTY("WriteInterruption", "d", get_double, 0, CHANGES),
        SD_BUS_PROPERTY("ReverseProven", "b", get_boolean, 0, CHANGES),
        SD_BUS_PROPERTY("ForeignWrites", "t", get_number, 0, CHANGES),
        SD_BUS_PROPERTY("ExpiresAt", "t", get_number, 0, CHANGES),
        SD_BUS_PROPERTY("ConfirmBy", "t", get_number, 0, CHANGES),
        SD_BUS_SIGNAL_WITH_NAMES("OperationFinished", "tssss",
                                 ONE(id) ONE(operation) ONE(result) ONE(error_name) ONE(error_message), 0),
        SD_BUS_VTABLE_END,
};

int migration_bus_register(Manager *manager) {
        int r = sd_bus_add_fallback_vtable(manager->bus, NULL, MIGRATION_PREFIX, MIGRATION_INTERFACE, migration_vtable, find,
                                           manager);
        if (r < 0)
                return r;
        return sd_bus_add_node_enumerator(manager->bus, NULL, MIGRATION_PREFIX, enumerate, manager);
}
