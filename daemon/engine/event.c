/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the engine's events; see event.h. */

#include "engine/event.h"

static const char *const engine_event_table[_ENGINE_EVENT_MAX] = {
        [ENGINE_EVENT_COPY_STARTED] = "copy-started",
        [ENGINE_EVENT_TABLE_COPIED] = "table-copied",
        [ENGINE_EVENT_COPY_FINISHED] = "copy-finished",
        [ENGINE_EVENT_COPY_AGAIN] = "copy-again",
        [ENGINE_EVENT_CAUGHT_UP] = "caught-up",
        [ENGINE_EVENT_LINK_RUNNING] = "link-running",
        [ENGINE_EVENT_LINK_RETRYING] = "link-retrying",
        [ENGINE_EVENT_LINK_FAILED] = "link-failed",
        [ENGINE_EVENT_OPERATION_STEP] = "operation-step",
        [ENGINE_EVENT_RECOVERED] = "recovered",
        [ENGINE_EVENT_FENCED] = "fenced",
        [ENGINE_EVENT_UNFENCED] = "unfenced",
        [ENGINE_EVENT_SESSIONS_KILLED] = "sessions-killed",
        [ENGINE_EVENT_WRITE_INTERRUPTION] = "write-interruption",
        [ENGINE_EVENT_REVERSE_PROVEN] = "reverse-proven",
        [ENGINE_EVENT_FOREIGN_WRITES] = "foreign-writes",
        [ENGINE_EVENT_VERIFICATION_STARTED] = "verification-started",
        [ENGINE_EVENT_VERIFICATION_FINISHED] = "verification-finished",
        [ENGINE_EVENT_NOT_CARRIED] = "not-carried",
        [ENGINE_EVENT_PARAMETER_CHANGED] = "parameter-changed",
        [ENGINE_EVENT_LOGIN_FAILED] = "login-failed",
        [ENGINE_EVENT_STALE_STATE] = "stale-state",
        [ENGINE_EVENT_NOTE] = "note",
};
ENUM_TABLE_DEFINE(engine_event, EngineEventKind, engine_event_table);

void engine_event_free(EngineEvent *event) {
        if (!event)
                return;
        g_free(event->message);
        g_free(event->error_name);
        g_free(event);
}
