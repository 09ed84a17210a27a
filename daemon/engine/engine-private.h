/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What the files of the engine share: the migration's thread owns everything here that is not marked otherwise. */

#include <pthread.h>

#include "base/thread.h"
#include "engine/account-store.h"
#include "engine/ddl-carry.h"
#include "engine/engine.h"
#include "engine/fence.h"
#include "engine/ledger.h"
#include "engine/link.h"
#include "engine/monitor.h"
#include "engine/precheck.h"
#include "engine/program-store.h"
#include "engine/sessions.h"
#include "engine/throttle.h"
#include "engine/verify-point.h"
#include "engine/watch.h"

#define ENGINE_COPIERS_MAX 16
#define ENGINE_COPIERS_DEFAULT 4
#define ENGINE_WORKERS_MAX 64
#define ENGINE_WORKERS_DEFAULT 4

struct Engine {
        EngineConfig config; /* spec, state and directory point to our own copies */
        MigrationSpec *spec;
        char *directory;
        Ledger *ledger;
        Fence fence;                     /* how sides are closed */
        EngineState *state;
        MigrationPhase phase;
        Thread *thread;

        ConnParams *params[_SIDE_MAX];   /* NULL until needed, or after credentials may have changed */
        Conn *control[_SIDE_MAX];        /* holds GET_LOCK on the migration; see control.h. Set under the lock */
        guint64 control_id[_SIDE_MAX];   /* the number of the last one */
        bool owned[_SIDE_MAX];           /* this process wrote its owner row: nobody else may have done so since, … */
        guint64 owned_before[_SIDE_MAX]; /* … and before it this agent had */
        gint64 control_fed_at;           /* monotonic */
        gint64 control_until[_SIDE_MAX]; /* monotonic: no connection is waited for beyond that; 0: no limit */
        Conn *control_opening[_SIDE_MAX]; /* asked before it becomes control[]. Under the lock, as is … */
        bool control_given_up[_SIDE_MAX]; /* … this: control_abort() was called */
        SessionLook session_looks[_SIDE_MAX];
        Monitor *monitor;
        Watch *watch;
        Throttle *throttle;
        DirtyKeys *dirty;                /* what changed since both sides were found equal */
        guint32 link_leg;                /* of the link, or of the last one */
        guint64 link_epoch;              /* likewise: what is applied is under it, though a switch that was undone may have raised ours. Set under the lock */
        guint32 dirty_leg;               /* everything that was logged in this leg … */
        guint64 dirty_seq;               /* … up to here is in it */
        bool dirty_taken;                /* from the file of an earlier process: not proven yet */
        gint64 link_retry_at;            /* monotonic; 0: at once */
        unsigned link_failures;          /* in a row: the wait before the next try grows with it */
        bool link_broken;                /* failed for good: Resume tries again */
        gint64 verify_at;                /* monotonic: when to verify by ourselves; 0: not planned */
        gint64 verify_kept_at;           /* monotonic: when the state was told last how far it is */
        gint64 prove_at;                 /* monotonic: when to try the canary again */
        gint64 refresh_at;               /* monotonic: not before that between tries */
        gint64 mend_at;                  /* monotonic: when to try again to close or open a side that is not as it has to be; 0: at once */
        bool may_fail_over;              /* a promoted standby may take the place of a server: failover.h */
        gint64 settle_until;             /* monotonic: how long what was read before the link halted may still be applied … */
        guint64 settle_low;              /* … if no more than this gets through */
        LinkHalt *halt;                  /* what the link stopped at: being carried, or waiting for the operator */
        guint64 stopped_at_seq;          /* the latter: its transaction; 0: none */
        Carry *carry;                    /* at work; there is no link then */
        bool carry_passed, carry_by_hand; /* the operator's choice */
        gint64 compare_at;               /* monotonic: when to look whether it came out alike; 0: no need */
        char *difference;                /* what was seen then: a difference that stays is no statement on its way */
        bool carried;                    /* the next link goes on where the last one halted: no news */
        guint64 transactions_before, rows_before; /* applied by earlier links of this process */
        PairStore *programs;          /* NULL: not read yet */
        PairStore *accounts;          /* NULL: not read yet */
        bool programs_pending;           /* something may have changed since they were compared */
        bool programs_failed;            /* the last comparison did, and that was said */
        gint64 programs_at;              /* monotonic: when to try again */
        gint64 recovered_xa_at;          /* monotonic: when to look again; only while the state says recovered_xa */
        bool recovered_xa_told;          /* that there are some */
        guint64 programs_seen;           /* link_programs_changed() when they were compared */
        BinlogPosition programs_position; /* to be applied before they are; unset: none */
        LinkTarget programs_target;      /* the same */
        char *wrong_log[_SIDE_MAX];      /* why a side's binary log could not be followed as its server is set now; NULL: it can */
        bool log_stopped;                /* there is no link for that */
        gint64 progress_since;           /* monotonic; with the progress then: for the estimate */
        double progress_first;

        pthread_mutex_t lock;            /* guards all below */
        pthread_cond_t wake;             /* something for the thread to do */
        pthread_cond_t answered;         /* a commit was answered, the link changed */
        GQueue operations;               /* of EngineOperation */
        guint64 running;                 /* id of the operation that runs */
        bool stop, paused, poked;
        guint64 abort_id;
        bool limits_changed;
        MigrationLimits limits;
        ServerSpec *new_server[_SIDE_MAX];
        ResumeDdl ddl;
        bool resume;                     /* Resume was called: try a broken link again */
        guint64 acknowledge;
        bool commit_answered;
        GError *commit_error;
        bool crashed;                    /* the reader saw that the upstream had crashed */
        bool wrong[_SIDE_MAX];           /* the monitor's news: see engine_found_wrong() */
        unsigned link_users;             /* who waits in the link, beside the thread */
        Link *link;                      /* set and freed by the thread under the lock; used by the verifier in between */
        GHashTable *parameters_seen[_SIDE_MAX]; /* the monitor's news; NULL: none */
        guint64 boot_seen[_SIDE_MAX];           /* with them */
        EngineStatus status;             /* what get_status() shows, apart from what is asked at once */

        /* The verifier. */
        Thread *verifier;
        gint verify_stop;                /* atomic */
        bool verify_running, verify_done;
        guint64 verify_operation;        /* 0: by ourselves */
        bool verify_repair;
        VerifyPoint *verify_point;       /* how far it is, as it said last */
        bool verify_point_news;          /* … since it was put into the state */
        bool verify_point_void;          /* what was compared before has to be compared again */
        guint64 verify_foreign;          /* foreign writes when it began */
        VerifyResult verify_result;
        GError *verify_error;
};

/* engine.c */
G_GNUC_PRINTF(4, 5)
void engine_event(Engine *engine, EngineEventKind kind, int priority, const char *format, ...);
/* Makes the state durable; with PHASE (or _INVALID) a phase change. */
bool engine_commit(Engine *engine, MigrationPhase phase, const char *reason, GError **error);
/* The same, and the end of OPERATION. ERROR_IN is the operation's (not consumed), NULL when DONE. A commit that fails is tried again until
 * it works or the agent stops: an outcome must not be lost. */
void engine_finish(Engine *engine, guint64 id, OperationResult result, const GError *error_in, MigrationPhase phase, const char *reason);
bool engine_stopping(Engine *engine);
bool engine_aborted(Engine *engine, guint64 id); /* Abort was asked for, or the agent stops */
bool engine_superseded(Engine *engine); /* what runs behind its commit point is to make way for the next operation */
/* Waits without holding anything up: wakes on stop, abort and news. */
void engine_wait(Engine *engine, gint64 usec);
/* Inside an operation that has to get done: takes what Resume, SetLimits and SetEndpoint changed; REFRESH: hosts and credentials anew, too, though not
 * at each of many tries. */
void engine_wait_to_retry(Engine *engine, gint64 usec, bool refresh);
bool engine_may_be_mended(const GError *error); /* by a new credential */
void engine_set_step(Engine *engine, const char *step); /* OperationStep */
void engine_set_error(Engine *engine, const GError *error); /* LastError; NULL: healthy */
GError *engine_last_error(Engine *engine);                  /* a copy; NULL: healthy */
void engine_poke(gpointer engine); /* any thread */
/* What a server's error means on SIDE, in the contract's names. */
void engine_name_error(Engine *engine, Side side, GError **error);
void engine_name_link_error(Engine *engine, GError **error);

/* engine-link.c: keeps the link, the monitor and the watch as the phase wants them. */
bool engine_params(Engine *engine, Side side, GError **error);
void engine_drop_params(Engine *engine);
void engine_step(Engine *engine);
bool engine_link_may_come(Engine *engine); /* if there is none: the next engine_step() may bring it */
void engine_sample(Engine *engine); /* what get_status() shows, brought up to date */
void engine_stop_link(Engine *engine);
/* Our epoch in all checkpoint rows of DOWN, the control connection to READER, behind the last transaction of any earlier link. */
bool engine_raise_epoch(Engine *engine, Side reader, Conn *down, GError **error);
void engine_stop_all(Engine *engine); /* link, monitor, watch, control connections */
bool engine_start_monitor(Engine *engine, GError **error);
void engine_start_watch(Engine *engine);
void engine_take_watch(Engine *engine); /* how far the watch is, into the state */
void engine_stop_watch(Engine *engine);
void engine_take_crash(Engine *engine); /* after a crash of the side that takes writes both sides have to be compared again */
void engine_drop_idle_connections(Engine *engine);
void engine_refresh_params(Engine *engine);
/* Until everything up to there is applied, on the engine's thread and with a link; Abort of the operation that runs ends it (PS_ERROR_STOPPED). */
bool engine_wait_link(Engine *engine, const char *file, guint64 offset, gint64 timeout_usec, GError **error);
/* Through whatever link there is, or will be within TIMEOUT_USEC (< 0: for ever). Any thread. */
bool engine_wait_applied(Engine *engine, const char *file, guint64 offset, gint64 timeout_usec, GError **error);
Direction engine_direction(const Engine *engine);
guint32 engine_dump_id(const Engine *engine, guint32 which); /* 0: link, 1: watch, 2: a look into the downstream's log */
guint32 engine_workers(const Engine *engine); /* how many the limits ask for; a leg keeps the number it began with */
bool engine_is_clone(const Engine *engine); /* there is no way back, and the destination's log is not looked at */
Side engine_reader(const Engine *engine); /* the side that does not take writes */

/* engine-again.c: tables that are copied again. */
/* Begins it, for what the link halted at. PS_ERROR_UNSUPPORTED_OBJECT: it cannot be told which tables. */
bool engine_copy_again(Engine *engine, const LinkHalt *halt, GError **error);
/* Before a link: empties what is to be copied, on the side DOWN. */
bool engine_empty_again(Engine *engine, Conn *down, GError **error);
bool engine_is_complete(Engine *engine, GError **error); /* PS_ERROR_VERIFICATION_FAILED: some tables are not */
void engine_again_copied(Engine *engine); /* the link says so */

/* engine-ddl.c: statements that are carried while there is no link. PASSED: the operator did it, or does without. */
bool engine_carry(Engine *engine, const LinkHalt *halt, bool passed, GError **error); /* false: it has not begun */
bool engine_collect_carry(Engine *engine, GError **error); /* false: it is not over; else with what it failed with, if it did */
void engine_stop_carry(Engine *engine);
bool engine_take_ddl_choice(Engine *engine); /* true: that has begun */
/* In what the tables of both sides are not defined alike, as far as everything up to now was applied; *ret NULL: they are. */
bool engine_compare_definitions(Engine *engine, gint64 timeout_usec, char **ret, GError **error);
void engine_look_at_definitions(Engine *engine); /* when a statement was carried a moment ago */

/* engine-start.c, switchover.c, engine-end.c, engine-verify.c: operations */
void engine_check(Engine *engine, const EngineOperation *operation);
void engine_begin(Engine *engine, const EngineOperation *operation);
void engine_switch(Engine *engine, const EngineOperation *operation);
void engine_end(Engine *engine, const EngineOperation *operation);
void engine_verify(Engine *engine, const EngineOperation *operation);
void engine_verify_soon(Engine *engine);
void engine_verify_collect(Engine *engine); /* takes the verifier's result, if it is there */
void engine_verify_cancel(Engine *engine);
void engine_verify_recover(Engine *engine); /* one that was running when the agent ended goes on as soon as it can */
void engine_verify_keep(Engine *engine);    /* how far it is, into the state, now and then */
void engine_verify_void(Engine *engine);    /* it cannot go on where it was: it has to begin again */

/* What became of databases and tables, for the report: again when a statement may have changed them. */
bool engine_objects_remember(Engine *engine, Conn *source, Conn *destination, GError **error);

/* engine-programs.c: views, routines, triggers and events, and accounts with each of these. */
bool engine_programs_carry(Engine *engine, GError **error); /* to the side that does not take writes */
/* Whether SIDE has all of them; unless unfit=skip. PS_ERROR_UNSUPPORTED_OBJECT. */
bool engine_programs_complete(Engine *engine, Side side, GError **error);
/* Both, for the guard: with all that the link has to apply first. */
bool engine_programs_ready(Engine *engine, Side from, Side to, GError **error);
/* Behind the end position: nothing was changed since then. */
bool engine_programs_unchanged(const Engine *engine, GError **error);
/* SIDE's triggers and events off, or its triggers on, or its events on. Each finds out what is left to do. */
bool engine_programs_disarm(Engine *engine, Side side, GError **error);
bool engine_programs_arm(Engine *engine, Side side, bool in_switch, GError **error);
/* Also notes how the triggers came out there. */
bool engine_programs_start_events(Engine *engine, Side side, GError **error);
void engine_programs_undo(Engine *engine);   /* what Start made */
void engine_programs_follow(Engine *engine); /* between operations, with a link */
void engine_programs_forget(Engine *engine); /* a new link: compare anew */

/* engine-hooks.c. OPERATION 0: none is named. */
bool engine_run_hooks(Engine *engine, const char *point, guint64 operation, GError **error);
/* Into the state: the allow list of the source's provider, unless the option gave one; and why the destination's binary log stays on. */
void engine_read_allow_list(Engine *engine, Conn *source, guint64 operation);
void engine_disable_binlog(Engine *engine, guint64 operation);
bool engine_run_fence_hooks(gpointer engine, const FenceCall *what, Conn *conn, GError **error);

/* engine-fence.c */
typedef enum EngineOpening {
        ENGINE_OPENING_BACK,      /* as it was when it was closed */
        ENGINE_OPENING_COMMITTED, /* it takes writes from now on, as the other side did */
        ENGINE_OPENING_END,       /* the migration is over; its events stay off */
} EngineOpening;
bool engine_open_side(Engine *engine, Side side, EngineOpening what, GError **error);
/* The monitor's thread: a side is not as it has to be, and only the engine's thread may close and open it; then that does. */
void engine_found_wrong(gpointer engine, Side side);
void engine_mend_sides(Engine *engine);
void engine_tell_reopened(gpointer engine, Side side);
bool engine_shut_again(Engine *engine, Side side, Conn *conn, GError **error); /* SIDE takes no writes: sees to it, and tells if it was open */
/* What is closed on SIDE, into the state. */
bool engine_remember_closed(Engine *engine, Side side, Conn *conn, GError **error);
bool engine_event_is_carried(Engine *engine, const char *database, const char *name);
bool engine_account_stays_closed(Engine *engine, Side side, const char *user, const char *host);

/* engine-accounts.c: accounts and grants; called by engine-programs.c. */
/* Keeps their rows in the state, to be committed with whatever comes next. */
bool engine_run_checks(Engine *engine, Conn *const servers[_SIDE_MAX], PrecheckStage stage, GError **error);
bool engine_accounts_map(Engine *engine, AccountMap **ret, GError **error); /* the credential NAME.accounts; *ret NULL: there is none */
bool engine_accounts_carry(Engine *engine, GError **error);
bool engine_accounts_complete(Engine *engine, Side side, GError **error);
bool engine_accounts_disarm(Engine *engine, Side side, GError **error);
bool engine_accounts_arm(Engine *engine, Side side, GError **error);
/* Once for each OPERATION, which opened SIDE: whether those can log in there whose password is known. 15 s and a try at most. */
void engine_accounts_log_in(Engine *engine, Side side, guint64 operation);
void engine_accounts_undo(Engine *engine);

/* engine-parameters.c: the servers' variables. */
bool engine_parameters_carry(Engine *engine, Conn *source, GError **error);
bool engine_parameters_undo(Engine *engine, GError **error); /* what Start set */
void engine_parameters_seen(gpointer engine, Side side, GHashTable *values, guint64 boot);
/* Takes the monitor's news. PS_ERROR_CHECK_FAILED: the log of the side that takes writes cannot be followed as that is set now. */
bool engine_parameters_look(Engine *engine, GError **error);

/* canary.c: PS_ERROR_REVERSE_NOT_PROVEN with why. */
bool engine_prove_reverse(Engine *engine, GError **error);
