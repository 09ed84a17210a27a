/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a migration does because it is time: announce its expiry, undo a change of side that nobody confirmed, expire. Due
 * at once: the running operation first, then confirmation, then expiry. The wall clock counts, also while the
 * agent was down, paused or failed. */

#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/message-ids.h"
#include "migration.h"

#define CLONE_RETRY (5 * (guint64) USEC_PER_SEC)
#define HOUR (3600 * (guint64) USEC_PER_SEC)

static guint64 before(guint64 at, guint64 span) {
        return at > span ? at - span : 0;
}

static void begin(Migration *m, OperationKind kind) {
        RecordOperation operation = {.request = {.kind = kind, .max_delay = -1}};
        g_autoptr(GError) error = NULL;
        guint64 id;
        if (!migration_begin(m, &operation, &id, &error)) {
                migration_note(m, LOG_ERR, NULL, "note", NULL, "cannot begin the automatic %s: %s",
                               operation_kind_to_string(kind), error->message);
                m->retry_at = clock_real() + 60 * (guint64) USEC_PER_SEC;
        }
}

/* A paused link could not drain: the promise to roll back weighs more than the pause. */
static void unpause(Migration *m) {
        g_autoptr(GError) error = NULL;
        if (!m->record->paused)
                return;
        Record *next = record_copy(m->record);
        next->paused = false;
        if (migration_store(m, next, &error))
                engine_set_paused(m->engine, false, RESUME_DDL_RETRY);
}

static void announce(Migration *m, guint64 now) {
        static const guint64 spans[] = {24 * HOUR, HOUR};
        guint64 expires = record_expires_at(m->record);
        guint32 due = m->record->announced;
        g_autoptr(GError) error = NULL;

        while (due < G_N_ELEMENTS(spans) && now >= before(expires, spans[due]))
                due++;
        if (due == m->record->announced)
                return;
        Record *next = record_copy(m->record);
        next->announced = due;
        if (!migration_store(m, next, &error))
                return;
        guint64 minutes = expires > now ? (expires - now) / (60 * (guint64) USEC_PER_SEC) : 0;
        migration_note(m, LOG_WARNING, MESSAGE_ID_EXPIRY_ANNOUNCED, "expiry-announced", NULL,
                       "expires in %" G_GUINT64_FORMAT " h %" G_GUINT64_FORMAT " min", minutes / 60,
                       minutes % 60);
}

/* A clone ends by itself as soon as it was found equal. When that fails it is tried again. */
static bool is_finished_clone(const Migration *m) {
        return m->record->spec->create_type == CREATE_TYPE_CLONE && m->record->state->verification == VERIFICATION_EQUAL && !m->record->paused &&
               spec_allows(m->record->spec, OPERATION_COMPLETE, m->record->phase);
}

static void do_what_is_due(Migration *m, guint64 now) {
        guint64 expires = record_expires_at(m->record);
        if (expires && now < expires)
                announce(m, now);
        if (m->record->operation.request.id != 0 || now < m->retry_at)
                return;
        if (m->record->confirm_by && now >= m->record->confirm_by) {
                bool switched = m->record->phase == MIGRATION_PHASE_SWITCHED;
                migration_note(m, LOG_WARNING, NULL, "note", NULL, "nobody confirmed the %s in time: %s", switched ? "switch" : "rollback",
                               switched ? "rolling back" : "switching again");
                unpause(m);
                begin(m, switched ? OPERATION_ROLLBACK : OPERATION_SWITCH);
        } else if (expires && now >= expires) {
                begin(m, OPERATION_EXPIRE);
        } else if (is_finished_clone(m)) {
                m->retry_at = now + CLONE_RETRY;
                begin(m, OPERATION_COMPLETE);
        }
}

static guint64 next_time(const Migration *m, guint64 now) {
        guint64 expires = record_expires_at(m->record);
        guint64 times[] = {m->record->confirm_by, expires, expires ? before(expires, HOUR) : 0,
                           expires ? before(expires, 24 * HOUR) : 0, m->retry_at};
        guint64 next = 0;
        for (gsize i = 0; i < G_N_ELEMENTS(times); i++)
                if (times[i] > now && (next == 0 || times[i] < next))
                        next = times[i];
        return next;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        migration_look_at_clock(userdata);
        return 0;
}

void migration_look_at_clock(Migration *m) {
        if (!m->engine || m->engine_stopping || m->manager->stopping || m->removing ||
            migration_phase_is_final(m->record->phase)) {
                if (m->due)
                        (void) sd_event_source_set_enabled(m->due, SD_EVENT_OFF);
                return;
        }
        guint64 now = clock_real();
        do_what_is_due(m, now);
        guint64 next = next_time(m, now);
        if (!m->due) {
                int r = sd_event_add_time(m->manager->event, &m->due, CLOCK_REALTIME,
                                          next ? next : G_MAXUINT64 - 1, 100 * (guint64) USEC_PER_MSEC,
                                          on_time, m);
                if (r < 0) {
                        log_write(m->manager->log, LOG_ERR, NULL, NULL, "cannot set a timer: %s",
                                  g_strerror(-r));
                        return;
                }
        }
        (void) sd_event_source_set_time(m->due, next ? next : G_MAXUINT64 - 1);
        (void) sd_event_source_set_enabled(m->due, next ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}
