/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the engine must find again after a crash, beside what the checkpoint tables on the servers hold: a plain value, kept
 * by the loop inside state.json. The engine changes its own copy and hands a whole new value up (engine.h: commit). */

#include <stdbool.h>

#include <glib.h>
#include <json-glib/json-glib.h>

#include "engine/phase.h"

typedef struct BinlogPosition {
        char *file; /* NULL: not set */
        guint64 offset;
        char *gtids; /* of all transactions up to there (mysql/executed.h); NULL: not known, or of no use for this position */
} BinlogPosition;

typedef enum CheckSeverity { CHECK_OK, CHECK_NOTE, CHECK_WARNING, CHECK_ERROR, _CHECK_MAX, _CHECK_INVALID = -1 } CheckSeverity;
ENUM_TABLE_DECLARE(check_severity, CheckSeverity);

typedef struct CheckRow {
        char *id; /* "binlog-format" */
        CheckSeverity severity;
        char *message, *hint; /* hint: "" or what to do, with SQL */
        int error; /* PsErrorCode that Start answers for this row when it is an error; PS_ERROR_CHECK_FAILED usually */
} CheckRow;
CheckRow *check_row_new(const char *id, CheckSeverity severity, int error, const char *message, const char *hint);
void check_row_free(CheckRow *row);

typedef enum VerificationState {
        VERIFICATION_NONE,
        VERIFICATION_RUNNING,
        VERIFICATION_EQUAL,
        VERIFICATION_DIFFERENT,
        _VERIFICATION_MAX,
        _VERIFICATION_INVALID = -1,
} VerificationState;
ENUM_TABLE_DECLARE(verification_state, VerificationState);

/* The steps of the switch protocol, in its order (life-cycle.md). */
typedef enum SwitchStep {
        SWITCH_STEP_NONE,
        SWITCH_STEP_GUARD,
        SWITCH_STEP_FENCE,
        SWITCH_STEP_END_POSITION,
        SWITCH_STEP_DRAIN,
        SWITCH_STEP_FINAL_CHECK,
        SWITCH_STEP_EPOCH,
        SWITCH_STEP_FLIP,
        SWITCH_STEP_REVERSE_START,
        SWITCH_STEP_COMMIT,
        SWITCH_STEP_RELEASE,
        SWITCH_STEP_REVERSE,
        _SWITCH_STEP_MAX,
        _SWITCH_STEP_INVALID = -1,
} SwitchStep;
ENUM_TABLE_DECLARE(switch_step, SwitchStep);

/* What opening a side has to put back (fence.h). */
typedef struct FenceKept {
        bool events_on; /* the event scheduler ran, and was switched off */
        char *closed;   /* accounts and events, as fence-record.h writes them; NULL: none */
} FenceKept;

typedef struct EngineState {
        char *uuid;        /* of the migration, made at its creation */
        guint64 epoch;     /* rises with each change of owner */
        Side writer;       /* the side that applications may write to */
        guint32 leg;       /* number of the period of one direction, from 1; 0: not started */
        guint32 workers;   /* apply workers of the leg */
        BinlogPosition leg_start; /* on the writer's side: where the leg's stream begins (ordinal 0) */
        bool copied;       /* every chunk is in the destination */
        guint64 copied_seq; /* transaction of this leg that all checkpoints had reached when a copy was recorded as complete: a server whose checkpoints
                             * are older lacks some of it; 0: nothing was copied in this leg, or an older agent recorded it */
        bool ending;       /* Complete, Cancel or expiry takes our tables down: no link any more, only forward */
        char *opening_sql[_SIDE_MAX]; /* what opens accounts again on a side that stays closed for good; NULL: none are */
        char *left_sql[_SIDE_MAX]; /* what is left to run on a side that the end did without; NULL: nothing */
        char *identity[_SIDE_MAX]; /* server uuid seen at Start; NULL before */

        /* The operation journal: which operation is in which step. Written before the step runs. */
        guint64 operation_id; /* 0: none */
        SwitchStep step;
        BinlogPosition end_position, reverse_start;
        char *reverse_start_server; /* whose log that is in; NULL: of the server that is there now */
        guint64 fenced_at; /* µs since the epoch: begin of the write interruption */
        FenceKept kept[_SIDE_MAX]; /* before we closed it */

        VerificationState verification;
        guint64 verified_at;
        bool recovered_xa; /* the writer's side crashed; XA transactions that outlived it may still be prepared there */
        char *verification_summary; /* JSON object text: tables, rows, differences (no row values); or NULL */
        char *verification_progress; /* how far a comparison is that has not ended (verify-point.h); or NULL */
        bool reverse_proven;
        double write_interruption; /* s of the last switch or rollback; -1: none yet */
        char *interruption_parts;  /* JSON object: what that was made of (switch-account.h); NULL: the agent was restarted meanwhile */
        guint64 foreign_writes_acknowledged; /* how many of those seen were looked at */
        guint64 foreign_writes;              /* seen in all */
        BinlogPosition watched;              /* how far the read-only side was watched */

        guint64 rows_copied, bytes_copied;            /* for the certificate */
        guint64 transactions_applied, rows_applied;   /* over all directions */

        guint64 checked_at;
        GPtrArray *checks;  /* of CheckRow */
        GPtrArray *unfit;   /* of char *: what is not carried (unfit=skip), one line each */
        GPtrArray *again;   /* of char *: tables of this leg that are being copied again; see again.h */
        char *final_check;  /* JSON object: what the final check of the last switch compared (switch-final.h); or NULL */
        BinlogPosition left_at; /* where the log of the side that was left last ends: leg_start is the same place on the other one */
        char *sessions_left; /* JSON array: who was still connected to it; or NULL */
        guint64 parameters_boot; /* since when the destination ran that has them (conn_boot_time()); 0: not known */
        char *parameters;   /* JSON text: the servers' variables as they were and what was carried (parameter.h); NULL before Start */
        char *last_plan;    /* JSON text of the last dry run; or NULL */
        char *allow_list;   /* of the source's provider, as a hook told it at Start: entries of allow-list.h, parted by blanks; NULL: none */
        char *allow_list_error; /* why that is not known; or NULL */
        char *binlog_left;  /* why the destination's binary log is still on, although it was to be switched off; or NULL */
} EngineState;

EngineState *engine_state_new(void); /* with a fresh uuid */
EngineState *engine_state_copy(const EngineState *state);
void engine_state_free(EngineState *state);
JsonNode *engine_state_to_json(const EngineState *state);
/* PS_ERROR_STATE_UNREADABLE names the member. Unknown members are refused: a newer agent wrote them. */
EngineState *engine_state_from_json(JsonNode *node, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngineState, engine_state_free)
void binlog_position_set(BinlogPosition *position, const char *file, guint64 offset);
void binlog_position_set_gtids(BinlogPosition *position, const char *gtids);
void binlog_position_clear(BinlogPosition *position);
