/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the engine tells the operator. The loop writes each to the journal with its MESSAGE_ID (base/message-ids.h) and to
 * history.jsonl. Texts carry no user name, row value or SQL. */

#include <glib.h>

#include "base/enum-table.h"

typedef enum EngineEventKind {
        ENGINE_EVENT_COPY_STARTED,
        ENGINE_EVENT_TABLE_COPIED,
        ENGINE_EVENT_COPY_FINISHED,
        ENGINE_EVENT_COPY_AGAIN, /* of single tables, whose rows the log does not tell */
        ENGINE_EVENT_CAUGHT_UP,
        ENGINE_EVENT_LINK_RUNNING,
        ENGINE_EVENT_LINK_RETRYING,
        ENGINE_EVENT_LINK_FAILED,
        ENGINE_EVENT_OPERATION_STEP,
        ENGINE_EVENT_RECOVERED, /* an operation was found unfinished after a restart */
        ENGINE_EVENT_FENCED,
        ENGINE_EVENT_UNFENCED,
        ENGINE_EVENT_SESSIONS_KILLED,
        ENGINE_EVENT_WRITE_INTERRUPTION,
        ENGINE_EVENT_REVERSE_PROVEN,
        ENGINE_EVENT_FOREIGN_WRITES,
        ENGINE_EVENT_VERIFICATION_STARTED,
        ENGINE_EVENT_VERIFICATION_FINISHED,
        ENGINE_EVENT_NOT_CARRIED,
        ENGINE_EVENT_PARAMETER_CHANGED, /* on the source, during the migration */
        ENGINE_EVENT_LOGIN_FAILED,      /* of accounts that were carried */
        ENGINE_EVENT_STALE_STATE,
        ENGINE_EVENT_NOTE,
        _ENGINE_EVENT_MAX,
        _ENGINE_EVENT_INVALID = -1,
} EngineEventKind;
ENUM_TABLE_DECLARE(engine_event, EngineEventKind);

typedef struct EngineEvent {
        EngineEventKind kind;
        int priority;  /* syslog's: 3 error, 4 warning, 5 notice, 6 info */
        char *message;
        char *error_name; /* "DataMismatch", or NULL */
} EngineEvent;
void engine_event_free(EngineEvent *event);
