/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* One migration at work: the sole entry from the loop. An Engine owns threads; everything it wants from the loop comes as
 * a message in the mailbox, everything the loop wants from it is a call below, none of which blocks (except engine_free()).
 *
 * An engine exists for a migration in any phase that is not final. It contacts no server until an operation, or the phase it was
 * started in, asks for it.
 *
 *   loop: engine_new() → engine_run() … engine_operate()/engine_set_paused()/… → engine_stop() → [STOPPED] → engine_free() */

#include <stdbool.h>

#include <glib.h>

#include "base/mailbox.h"
#include "engine/event.h"
#include "engine/phase.h"
#include "engine/spec.h"
#include "engine/state.h"

typedef struct Engine Engine;

typedef enum EngineMessageKind {
        ENGINE_MESSAGE_COMMIT,  /* EngineCommit: persist, then engine_committed() */
        ENGINE_MESSAGE_EVENT,   /* EngineEvent */
        ENGINE_MESSAGE_CHANGED, /* no data: engine_get_status() has something new worth showing at once */
        ENGINE_MESSAGE_STOPPED, /* always the last one; no data */
} EngineMessageKind;

/* What must be on disk before the engine goes on: written to state.json in one piece. Each part but STATE may be absent. */
typedef struct EngineCommit {
        EngineState *state;
        MigrationPhase phase; /* the new phase, or _INVALID: unchanged */
        const char *reason;   /* PhaseReason; static string or NULL */
        struct {
                guint64 id; /* 0: no operation ends here */
                OperationResult result;
                int error; /* PsErrorCode; meaningful unless DONE */
                char *message;
        } finished;
} EngineCommit;
void engine_commit_free(EngineCommit *commit);

typedef enum ReadWriteStatus {
        READ_WRITE_STATUS_UNKNOWN,
        READ_WRITE_STATUS_READ_WRITE,
        READ_WRITE_STATUS_READ_ONLY,
        READ_WRITE_STATUS_UNREACHABLE,
        _READ_WRITE_STATUS_MAX,
        _READ_WRITE_STATUS_INVALID = -1,
} ReadWriteStatus;
ENUM_TABLE_DECLARE(read_write_status, ReadWriteStatus);

typedef enum ReplicationState {
        REPLICATION_STOPPED,
        REPLICATION_RUNNING,
        REPLICATION_RETRYING,
        REPLICATION_FAILED,
        _REPLICATION_MAX,
        _REPLICATION_INVALID = -1,
} ReplicationState;
ENUM_TABLE_DECLARE(replication_state, ReplicationState);

/* A snapshot of what is going on, sampled by the loop. */
typedef struct EngineStatus {
        ReadWriteStatus read_write[_SIDE_MAX];
        ReplicationState replication;
        Direction direction;
        double delay; /* s, -1 unknown */
        int error;    /* PsErrorCode of LastError, or -1: healthy */
        char error_message[512];
        double progress; /* 0..1, -1 unknown */
        guint64 bytes_copied, bytes_total, rows_copied, rows_total, transactions_applied, rows_applied;
        guint64 estimated_end; /* µs since the epoch; 0 unknown */
        VerificationState verification;
        guint64 verified_at;
        bool reverse_proven;
        guint64 foreign_writes; /* not acknowledged ones */
        double write_interruption;
        char step[64]; /* OperationStep; "" when none */
} EngineStatus;

/* One call of the administrator's hooks. */
typedef struct HookCall {
        const char *point;               /* "pre-switch" */
        const char *json;                /* on standard input */
        gint64 timeout_usec;             /* for all of them together; 0: 30 s for each */
        bool (*stop)(gpointer userdata); /* asked ten times a second: true ends the one that runs. NULL: never */
        gpointer userdata;               /* its */
        bool although_stopping;          /* not ended because the agent stops: what they do must not stay undone until its next start */
} HookCall;

typedef struct EngineConfig {
        guint64 id; /* tags the messages */
        Mailbox *mailbox;
        const MigrationSpec *spec;  /* copied */
        const EngineState *state;   /* copied */
        MigrationPhase phase;
        bool paused;
        const char *directory; /* of the migration, for the relay log */
        guint64 agent_id;      /* random, of this process */
        /* Called on an engine thread; both must be thread-safe and bounded in time.
         * A password or PEM text by the credential's name, or NULL without error when there is none; the caller wipes it. */
        char *(*read_credential)(const char *name, gpointer userdata, GError **error);
        /* PS_ERROR_HOOK_FAILED. RET_OUTPUT: what they wrote to standard output, which is text; NULL: it goes to the journal. */
        bool (*run_hooks)(const HookCall *call, char **ret_output, gpointer userdata, GError **error);
        bool (*has_hooks)(gpointer userdata); /* whether there are any; of which points they know anything cannot be told */
        gpointer userdata;
} EngineConfig;

/* An operation, accepted and recorded by the loop. Also given again after a restart when it had not finished: the engine
 * then finishes or undoes it, as its journal and the servers say. */
typedef struct EngineOperation {
        guint64 id;
        OperationKind kind;
        guint64 flags;         /* the contract's: Start 1 accept warnings; Switch and Rollback 1 dry run; Complete, Cancel 2 */
        double max_delay;      /* s; < 0: the migration's limit */
        double deadline;       /* s; 0 = 30 */
        bool kill_sessions, disable_binlog;
        bool resumed;          /* after a restart of the agent */
} EngineOperation;

Engine *engine_new(const EngineConfig *config);
void engine_run(Engine *engine); /* starts its thread */
/* One at a time; but a Complete or Cancel that does without a side may come while a switch or rollback behind its commit point still waits for that
 * side: it then takes the place of that operation, of which no end is told any more. */
void engine_operate(Engine *engine, const EngineOperation *operation);
/* Asks the running operation ID to end; it ends as `canceled` when its commit point was not passed. */
void engine_abort(Engine *engine, guint64 id);
typedef enum ResumeDdl { RESUME_DDL_RETRY, RESUME_DDL_SKIP, RESUME_DDL_DONE_BY_HAND } ResumeDdl;
void engine_set_paused(Engine *engine, bool paused, ResumeDdl ddl); /* false also retries a failed link */
void engine_set_limits(Engine *engine, const MigrationLimits *limits);
void engine_set_endpoint(Engine *engine, Side side, const ServerSpec *server); /* used from the next connection on */
void engine_acknowledge_foreign_writes(Engine *engine, guint64 count);
/* The loop's answer to a COMMIT message; ERROR NULL: it is on disk. */
void engine_committed(Engine *engine, const GError *error);
void engine_get_status(Engine *engine, EngineStatus *ret);
/* Asks everything to end, leaving servers and journal as they are (the work goes on at the next start). STOPPED follows. */
void engine_stop(Engine *engine);
void engine_free(Engine *engine); /* after STOPPED: joins */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Engine, engine_free)
