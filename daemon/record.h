/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What state.json holds: everything about a migration that must survive a crash, as one value. Changes are made on a copy, which takes the
 * old one's place once it is on disk. */

#include "engine/engine.h"

#define RECORD_VERSION 1

typedef struct RecordOperation {
        EngineOperation request; /* request.id 0: none is running */
        double confirm_within;   /* s; 0: not asked for */
} RecordOperation;

typedef struct RecordLast {
        guint64 id; /* 0: there was none */
        OperationKind kind;
        OperationResult result;
        int error; /* PsErrorCode, or -1 */
        char *message;
        guint64 finished_at;
} RecordLast;

typedef struct Record {
        MigrationSpec *spec;
        MigrationPhase phase;
        char *reason; /* "" */
        bool paused;
        guint64 generation;
        guint64 created_at;
        guint32 created_by;
        guint64 synchronizing_at; /* first reached; 0: not yet */
        guint32 announced;        /* how many of the announcements of expiry were made */
        guint64 confirm_by;       /* 0: nothing to confirm */
        RecordOperation operation;
        RecordLast last;
        guint64 next_operation_id;
        guint64 final_operation_id; /* the one that ended the migration */
        EngineState *state;
} Record;

Record *record_new(MigrationSpec *spec /* taken over */, guint64 now, guint32 uid);
Record *record_copy(const Record *record);
void record_free(Record *record);
/* 0: not set */
guint64 record_expires_at(const Record *record);
char *record_to_text(const Record *record);
/* PS_ERROR_STATE_UNREADABLE. */
Record *record_from_text(const char *text, gsize length, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Record, record_free)
