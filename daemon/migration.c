/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See migration.h. */

#include "migration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/message-ids.h"
#include "bus-error.h"
#include "history.h"
#include "migration-bus.h"

static const char *const message_ids[_ENGINE_EVENT_MAX] = {
#define ID(kind) [ENGINE_EVENT_##kind] = MESSAGE_ID_EVENT_##kind
                ID(COPY_STARTED),
                ID(TABLE_COPIED),
                ID(COPY_FINISHED),
                ID(COPY_AGAIN),
                ID(CAUGHT_UP),
                ID(LINK_RUNNING),
                ID(LINK_RETRYING),
                ID(LINK_FAILED),
                ID(OPERATION_STEP),
                ID(RECOVERED),
                ID(FENCED),
                ID(UNFENCED),
                ID(SESSIONS_KILLED),
                ID(WRITE_INTERRUPTION),
                ID(REVERSE_PROVEN),
                ID(FOREIGN_WRITES),
                ID(VERIFICATION_STARTED),
                ID(VERIFICATION_FINISHED),
                ID(NOT_CARRIED),
                ID(PARAMETER_CHANGED),
                ID(LOGIN_FAILED),
                ID(STALE_STATE),
                ID(NOTE),
#undef ID
};

char *migration_folder(Manager *manager, const char *name) {
        return g_build_filename(manager->state_directory, "migrations", name, NULL);
}

/* What is known without an engine. */
static void status_from_record(const Record *record, EngineStatus *ret) {
        const EngineState *state = record->state;
        *ret = (EngineStatus) {
                        .direction = migration_phase_direction(record->phase),
                        .delay = -1,
                        .error = -1,
                        .progress = state->copied ? 1 : -1,
                        .verification = state->verification,
                        .verified_at = state->verified_at,
                        .reverse_proven = state->reverse_proven,
                        .foreign_writes = state->foreign_writes -
                                          MIN(state->foreign_writes, state->foreign_writes_acknowledged),
                        .write_interruption = state->write_interruption,
                        .rows_copied = state->rows_copied,
                        .rows_total = state->rows_copied,
                        .bytes_copied = state->bytes_copied,
                        .bytes_total = state->bytes_copied,
                        .transactions_applied = state->transactions_applied,
                        .rows_applied = state->rows_applied,
        };
}

Migration *migration_new(Manager *manager, Record *record) {
        Migration *m = g_new0(Migration, 1);
        m->manager = manager;
        m->id = ++manager->last_migration_id;
        m->name = g_strdup(record->spec->name);
        m->directory = migration_folder(manager, m->name);
        m->record = record;
        status_from_record(record, &m->status);
        char *path = NULL; /* libsystemd's */
        if (sd_bus_path_encode(MIGRATION_PREFIX, m->name, &path) < 0)
                g_error("cannot encode a path");
        m->path = g_strdup(path);
        free(path);
        return m;
}

void migration_free(Migration *m) {
        if (!m)
                return;
        engine_free(m->engine);
        sd_event_source_disable_unref(m->due);
        sd_event_source_disable_unref(m->emit);
        migration_shown_free(m->shown);
        record_free(m->record);
        g_free(m->name);
        g_free(m->path);
        g_free(m->directory);
        g_free(m);
}

/* ---- the folder ---- */

static bool write_record(const char *directory, const Record *record, GError **error) {
        g_autofree char *path = g_build_filename(directory, "state.json", NULL);
        g_autofree char *text = record_to_text(record);
        return fs_replace(path, text, -1, 0600, error);
}

static bool move_folder(const char *from, const char *to, GError **error) {
        if (rename(from, to) == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot move %s to %s: %s", from, to,
                    g_strerror(errno));
        return false;
}

bool migration_create_folder(Manager *manager, const Record *record, GError **error) {
        g_autofree char *folder = migration_folder(manager, record->spec->name);
        g_autofree char *hidden_name = g_strconcat(".new-", record->spec->name, NULL);
        g_autofree char *hidden = migration_folder(manager, hidden_name);
        return fs_remove_tree(hidden, error) && fs_make_dir(hidden, error) &&
               write_record(hidden, record, error) && move_folder(hidden, folder, error);
}

bool migration_remove_folder(Migration *m, GError **error) {
        g_autofree char *hidden_name = g_strconcat(".removed-", m->name, NULL);
        g_autofree char *hidden = migration_folder(m->manager, hidden_name);
        return fs_remove_tree(hidden, error) && move_folder(m->directory, hidden, error) &&
               fs_remove_tree(hidden, error);
}

/* ---- telling ---- */

void migration_note(Migration *m, int priority, const char *message_id, const char *event,
                    const char *error_name, const char *format, ...) {
        va_list args;
        va_start(args, format);
        g_autofree char *message = g_strdup_vprintf(format, args);
        va_end(args);

        g_autofree char *name_field = g_strdup_printf("MIGRATION=%s", m->name);
        g_autofree char *error_field = error_name ? g_strdup_printf("ERROR_NAME=%s", error_name) : NULL;
        const char *fields[] = {name_field, error_field, NULL};
        log_write(m->manager->log, priority, message_id, fields, "migration '%s': %s", m->name, message);

        g_autoptr(GError) error = NULL;
        if (!history_append(m->directory, event, priority, message, &error, "error", error_name, NULL))
                log_write(m->manager->log, LOG_WARNING, NULL, fields, "migration '%s': %s", m->name,
                          error->message);
}

bool migration_may_note_refusal(Migration *m) {
        gint64 now = clock_monotonic();
        if (now - m->refusal_at > USEC_PER_SEC) {
                guint64 earned = (guint64) ((now - m->refusal_at) / USEC_PER_SEC);
                m->refusals -= (guint) MIN(earned, m->refusals);
                m->refusal_at = now;
        }
        if (m->refusals >= 20)
                return false;
        m->refusals++;
        return true;
}

/* ---- the record ---- */

static void tell_phase(Migration *m, MigrationPhase old) {
        const Record *record = m->record;
        g_autofree char *name_field = g_strdup_printf("MIGRATION=%s", m->name);
        g_autofree char *old_field = g_strdup_printf("OLD_PHASE=%s", migration_phase_to_string(old));
        g_autofree char *new_field =
                        g_strdup_printf("NEW_PHASE=%s", migration_phase_to_string(record->phase));
        const char *fields[] = {name_field, old_field, new_field, NULL};
        g_autofree char *message =
                        g_strdup_printf("phase %s → %s%s%s%s", migration_phase_to_string(old),
                                        migration_phase_to_string(record->phase), *record->reason ? " (" : "",
                                        record->reason, *record->reason ? ")" : "");
        g_autoptr(GError) error = NULL;
        log_write(m->manager->log, LOG_NOTICE, MESSAGE_ID_PHASE, fields, "migration '%s': %s", m->name,
                  message);
        if (!history_append(m->directory, "phase", LOG_NOTICE, message, &error, "phase",
                            migration_phase_to_string(record->phase), NULL))
                log_write(m->manager->log, LOG_WARNING, NULL, fields, "migration '%s': %s", m->name,
                          error->message);
}

bool migration_store(Migration *m, Record *next, GError **error) {
        MigrationPhase old = m->record->phase;
        g_autoptr(Record) owned = next;

        if (next->phase != old && !migration_phase_may_follow(old, next->phase)) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_PHASE, "phase '%s' cannot follow '%s'",
                            migration_phase_to_string(next->phase), migration_phase_to_string(old));
                return false;
        }
        if (next->phase != old) {
                next->generation++;
                if (next->phase == MIGRATION_PHASE_SYNCHRONIZING && next->synchronizing_at == 0)
                        next->synchronizing_at = clock_real();
                next->confirm_by = 0;
                if (m->record->operation.confirm_within > 0) /* of a switch or a rollback */
                        next->confirm_by = clock_real() + (guint64) (m->record->operation.confirm_within *
                                                                    (double) USEC_PER_SEC);
                if (migration_phase_is_final(next->phase)) {
                        next->paused = false;
                        next->final_operation_id = m->record->operation.request.id;
                }
        }
        if (!write_record(m->directory, next, error)) {
                g_autofree char *field = g_strdup_printf("MIGRATION=%s", m->name);
                const char *fields[] = {field, NULL};
                log_write(m->manager->log, LOG_ERR, MESSAGE_ID_STATE_NOT_WRITTEN, fields,
                          "migration '%s': state not written%s%s", m->name, error && *error ? ": " : "",
                          error && *error ? (*error)->message : "");
                return false;
        }
        record_free(m->record);
        m->record = g_steal_pointer(&owned);
        if (m->record->phase != old)
                tell_phase(m, old);
        if (!m->engine)
                status_from_record(m->record, &m->status);
        migration_bus_touch(m);
        return true;
}

/* ---- operations ---- */

static bool refuse(GError **error, PsErrorCode code, const char *format, ...) G_GNUC_PRINTF(3, 4);
static bool refuse(GError **error, PsErrorCode code, const char *format, ...) {
        va_list args;
        va_start(args, format);
        g_autofree char *message = g_strdup_vprintf(format, args);
        va_end(args);
        g_set_error_literal(error, PS_ERROR, (gint) code, message);
        return false;
}

static bool refused_while_paused(OperationKind kind) {
        return kind == OPERATION_SWITCH || kind == OPERATION_ROLLBACK || kind == OPERATION_COMPLETE ||
               kind == OPERATION_VERIFY || kind == OPERATION_REPAIR;
}

bool migration_allows(const Migration *m, OperationKind kind, GError **error) {
        const Record *record = m->record;
        if (m->removing)
                return refuse(error, PS_ERROR_NO_SUCH_MIGRATION, "migration '%s' is being removed", m->name);
        if (!spec_allows(record->spec, kind, record->phase))
                return refuse(error, PS_ERROR_INVALID_PHASE,
                              "%s is not possible: migration '%s' is %sin phase %s",
                              operation_kind_to_string(kind), m->name,
                              record->spec->create_type == CREATE_TYPE_CLONE ? "a clone, " : "",
                              migration_phase_to_string(record->phase));
        if (record->paused && refused_while_paused(kind))
                return refuse(error, PS_ERROR_INVALID_PHASE,
                              "%s is not possible while migration '%s' is paused; resume it first",
                              operation_kind_to_string(kind), m->name);
        if (record->operation.request.id != 0)
                return refuse(error, PS_ERROR_OPERATION_IN_PROGRESS,
                              "operation %" G_GUINT64_FORMAT
                              " (%s) of migration '%s' is running; wait for its end, or abort it",
                              record->operation.request.id,
                              operation_kind_to_string(record->operation.request.kind), m->name);
        if (!m->engine || m->engine_stopping)
                return refuse(error, PS_ERROR_FAILED, "migration '%s' is not running: the agent stops",
                              m->name);
        return true;
}

bool migration_begin(Migration *m, const RecordOperation *operation, guint64 *ret_id, GError **error) {
        Record *next = record_copy(m->record);
        guint64 id = next->next_operation_id++;
        next->operation = *operation;
        next->operation.request.id = id;
        if (!migration_store(m, next, error))
                return false;
        migration_note(m, LOG_NOTICE, NULL, "operation-started", NULL,
                       "operation %" G_GUINT64_FORMAT " (%s) started", id,
                       operation_kind_to_string(operation->request.kind));
        engine_operate(m->engine, &m->record->operation.request);
        *ret_id = id;
        return true;
}

static void tell_finished(Migration *m) {
        const RecordLast *last = &m->record->last;
        const char *error_name = last->error >= 0 ? ps_error_code_to_string((PsErrorCode) last->error) : NULL;
        migration_note(m, last->result == OPERATION_RESULT_DONE ? LOG_NOTICE : LOG_WARNING,
                       MESSAGE_ID_OPERATION_FINISHED, "operation-finished", error_name,
                       "operation %" G_GUINT64_FORMAT " (%s) ended: %s%s%s", last->id,
                       operation_kind_to_string(last->kind), operation_result_to_string(last->result),
                       last->message && *last->message ? ": " : "", last->message ? last->message : "");
        migration_bus_operation_finished(m);
}

bool migration_supersede(Migration *m, const RecordOperation *operation, guint64 *ret_id, GError **error) {
        Record *next = record_copy(m->record);
        guint64 id = next->next_operation_id++;
        g_free(next->last.message);
        next->last = (RecordLast) {
                        .id = next->operation.request.id,
                        .kind = next->operation.request.kind,
                        .result = OPERATION_RESULT_DONE, /* the other side takes writes since its commit point */
                        .error = -1,
                        .message = g_strdup(""),
                        .finished_at = clock_real(),
        };
        next->operation = *operation;
        next->operation.request.id = id;
        if (!migration_store(m, next, error))
                return false;
        tell_finished(m);
        migration_note(m, LOG_NOTICE, NULL, "operation-started", NULL,
                       "operation %" G_GUINT64_FORMAT " (%s) started; it does without the side that was left", id,
                       operation_kind_to_string(operation->request.kind));
        engine_operate(m->engine, &m->record->operation.request);
        *ret_id = id;
        return true;
}

/* ---- the engine's messages ---- */

static void take_commit(Migration *m, EngineCommit *commit) {
        g_autoptr(GError) error = NULL;
        Record *next = record_copy(m->record);
        bool finished = commit->finished.id != 0 && commit->finished.id == next->operation.request.id;

        engine_state_free(next->state);
        next->state = g_steal_pointer(&commit->state);
        if (commit->phase != _MIGRATION_PHASE_INVALID && commit->phase != next->phase) {
                next->phase = commit->phase;
                g_free(next->reason);
                next->reason = g_strdup(commit->reason ? commit->reason : "");
        }
        if (finished) {
                bool done = commit->finished.result == OPERATION_RESULT_DONE;
                g_free(next->last.message);
                next->last = (RecordLast) {
                                .id = commit->finished.id,
                                .kind = next->operation.request.kind,
                                .result = commit->finished.result,
                                .error = done ? -1 : CLAMP(commit->finished.error, 0, _PS_ERROR_MAX - 1),
                                .message = done ? g_strdup("")
                                                : g_utf8_make_valid(commit->finished.message
                                                                                    ? commit->finished.message
                                                                                    : "",
                                                                    -1),
                                .finished_at = clock_real(),
                };
                next->operation = (RecordOperation) {.request.id = 0};
                if (!done && (next->last.kind == OPERATION_EXPIRE || next->last.kind == OPERATION_ROLLBACK || next->confirm_by))
                        m->retry_at = clock_real() + 60 * (guint64) USEC_PER_SEC;
        }
        if (!migration_store(m, next, &error)) {
                engine_committed(m->engine, error);
                return;
        }
        engine_committed(m->engine, NULL);
        migration_sample(m);
        if (finished)
                tell_finished(m);
        if (migration_phase_is_final(m->record->phase) && m->record->operation.request.id == 0)
                migration_stop(m);
        migration_look_at_clock(m);
        manager_show_status(m->manager);
}

static void take_event(Migration *m, const EngineEvent *event) {
        const char *id =
                        event->kind >= 0 && event->kind < _ENGINE_EVENT_MAX ? message_ids[event->kind] : NULL;
        const char *name = engine_event_to_string(event->kind);
        migration_note(m, CLAMP(event->priority, LOG_ERR, LOG_DEBUG), id, name ? name : "note",
                       event->error_name, "%s", event->message ? event->message : "");
}

static void take_stopped(Migration *m) {
        engine_free(g_steal_pointer(&m->engine));
        m->engine_stopping = false;
        status_from_record(m->record, &m->status);
        migration_bus_touch(m);
        if (m->removing)
                migration_bus_finish_removal(m); /* frees it */
}

void migration_take_message(Migration *m, Message *message) {
        switch ((EngineMessageKind) message->kind) {
        case ENGINE_MESSAGE_COMMIT:
                take_commit(m, message->data);
                break;
        case ENGINE_MESSAGE_EVENT:
                take_event(m, message->data);
                break;
        case ENGINE_MESSAGE_CHANGED:
                migration_sample(m);
                break;
        case ENGINE_MESSAGE_STOPPED:
                take_stopped(m);
                break;
        }
}

void migration_sample(Migration *m) {
        if (!m->engine || m->engine_stopping)
                return;
        engine_get_status(m->engine, &m->status);
        migration_bus_touch(m);
}

/* ---- start and stop ---- */

static char *read_credential(const char *name, gpointer userdata, GError **error) {
        const Manager *manager = userdata;
        return credentials_read(manager->credentials, name, error);
}

static bool run_hooks(const HookCall *call, char **ret_output, gpointer userdata, GError **error) {
        Manager *manager = userdata;
        return hooks_run(manager->hooks, call, ret_output, error);
}

static bool has_hooks(gpointer userdata) {
        Manager *manager = userdata;
        return hooks_are_there(manager->hooks);
}

/* The final phase is on disk, so the operation that led there was done; only its end was not recorded any
 * more. */
static void end_last_operation(Migration *m) {
        g_autoptr(GError) error = NULL;
        Record *next = record_copy(m->record);
        g_free(next->last.message);
        next->last = (RecordLast) {
                        .id = next->operation.request.id,
                        .kind = next->operation.request.kind,
                        .result = OPERATION_RESULT_DONE,
                        .error = -1,
                        .message = g_strdup(""),
                        .finished_at = clock_real(),
        };
        next->operation = (RecordOperation) {.request.id = 0};
        if (migration_store(m, next, &error))
                tell_finished(m);
}

void migration_run(Migration *m) {
        const Record *record = m->record;
        if (migration_phase_is_final(record->phase)) {
                if (record->operation.request.id != 0)
                        end_last_operation(m);
                return;
        }
        EngineConfig config = {
                        .id = m->id,
                        .mailbox = m->manager->mailbox,
                        .spec = record->spec,
                        .state = record->state,
                        .phase = record->phase,
                        .paused = record->paused,
                        .directory = m->directory,
                        .agent_id = m->manager->agent_id,
                        .read_credential = read_credential,
                        .run_hooks = run_hooks,
                        .has_hooks = has_hooks,
                        .userdata = m->manager,
        };
        m->engine = engine_new(&config);
        engine_run(m->engine);
        if (record->operation.request.id != 0) {
                EngineOperation again = record->operation.request;
                again.resumed = true;
                engine_operate(m->engine, &again);
        }
        migration_sample(m);
        migration_look_at_clock(m);
}

void migration_stop(Migration *m) {
        if (!m->engine || m->engine_stopping)
                return;
        m->engine_stopping = true;
        engine_stop(m->engine);
}

bool migration_is_stopped(const Migration *m) {
        return m->engine == NULL;
}
