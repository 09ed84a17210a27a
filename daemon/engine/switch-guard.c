/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See switch-guard.h. */

#include "engine/switch-guard.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/failpoint.h"
#include "engine/control.h"
#include "engine/fence.h"
#include "engine/objects.h"
#include "mysql/sql.h"

#define LINK_USEC (15 * USEC_PER_SEC) /* for a link that has to begin anew */
#define LINK_RETRY_USEC (USEC_PER_SEC / 2)
#define LINK_SLICE_USEC (100 * USEC_PER_MSEC)
#define ANSWER_USEC (10 * USEC_PER_SEC)
#define DEFINITION_TRIES 3
#define DEFINITION_USEC (10 * USEC_PER_SEC)
#define LONG_TRANSACTION 60 /* s */
#define LONG_STATEMENT 5 /* s */
#define STATEMENT_USEC (10 * USEC_PER_SEC) /* for one to end */
#define STATEMENT_LOOK_USEC (USEC_PER_SEC / 2)
#define COUNTER_TRIES 5
#define COUNTER_APPLIED_USEC USEC_PER_SEC

bool switch_no_foreign_writes(Engine *engine, GError **error) {
        guint64 open = engine->state->foreign_writes - engine->state->foreign_writes_acknowledged;
        if (open == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_FOREIGN_WRITES,
                    "%" G_GUINT64_FORMAT " transactions of others were written on the %s; look at them, Verify, and AcknowledgeForeignWrites",
                    open, side_to_string(engine_reader(engine)));
        return false;
}

static bool check_link(Engine *engine, const EngineOperation *operation, GError **error) {
        if (engine->carry) {
                g_set_error(error, PS_ERROR, PS_ERROR_DELAY_UNKNOWN, "%s is being carried to the other side; try again when it is done", engine->halt->what);
                return false;
        }
        if (!engine->link || engine->status.replication != REPLICATION_RUNNING) {
                g_set_error(error, PS_ERROR, PS_ERROR_DELAY_UNKNOWN, "replication is not running; LastError says why");
                return false;
        }
        LinkStatus status;
        link_get_status(engine->link, &status);
        double limit = operation->max_delay >= 0 ? operation->max_delay : engine->spec->limits.max_delay;
        if (status.delay < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_DELAY_UNKNOWN, "the replication delay is not known yet; try again in a moment");
                return false;
        }
        if (status.delay >= limit) {
                g_set_error(error, PS_ERROR, PS_ERROR_DELAY_TOO_HIGH, "the replication delay is %.1f s, the limit %.1f s; wait until it is lower",
                            status.delay, limit);
                return false;
        }
        return true;
}

/* Not by its silence: whoever has nothing to write does not notice that the other side was restarted, and would find out behind the fence. */
static bool link_answers(Engine *engine, const EngineOperation *operation, gint64 until, GError **error) {
        int asked = link_ask(engine->link);
        for (;;) {
                g_autoptr(GError) local = NULL;
                if (link_wait_answers(engine->link, asked, LINK_SLICE_USEC, &local))
                        return true;
                bool aborted = engine_aborted(engine, operation->id), waits = g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED);
                if (waits && !aborted && clock_monotonic() < until)
                        continue;
                g_autoptr(GError) broken = waits ? NULL : link_error(engine->link); /* says more than that it has ended */
                g_propagate_error(error, broken ? g_steal_pointer(&broken) : g_steal_pointer(&local));
                engine_name_link_error(engine, error);
                return false;
        }
}

/* A link that has failed, or that fails when it is asked, gets its successor now, as between operations. */
static bool bring_link(Engine *engine, const EngineOperation *operation, GError **error) {
        gint64 until = clock_monotonic() + LINK_USEC;
        for (;;) {
                g_autoptr(GError) local = NULL;
                if (check_link(engine, operation, &local) && link_answers(engine, operation, until, &local))
                        return true;
                bool final = g_error_matches(local, PS_ERROR, PS_ERROR_DELAY_TOO_HIGH) || g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED) ||
                             engine->carry || !engine_link_may_come(engine);
                if (final || clock_monotonic() >= until || engine_aborted(engine, operation->id)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                engine->link_retry_at = MIN(engine->link_retry_at, clock_monotonic() + LINK_RETRY_USEC);
                engine_wait(engine, LINK_SLICE_USEC);
                engine_step(engine);
        }
}

bool switch_link_answers(Engine *engine, const EngineOperation *operation, GError **error) {
        return check_link(engine, operation, error) && link_answers(engine, operation, clock_monotonic() + ANSWER_USEC, error);
}

static bool check_verified(Engine *engine, GError **error) {
        if (engine->state->recovered_xa && engine->spec->verify != VERIFY_ADVISORY) {
                g_set_error(error, PS_ERROR, PS_ERROR_VERIFICATION_FAILED,
                            "the %s crashed, and XA transactions that outlived that may still be prepared there (XA RECOVER lists them): end them; both sides "
                            "are compared after that", side_to_string(engine->state->writer));
                return false;
        }
        if (engine->spec->verify == VERIFY_ADVISORY || engine->state->verification == VERIFICATION_EQUAL)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_VERIFICATION_FAILED, "both sides are not verified equal (%s); run Verify first",
                    verification_state_to_string(engine->state->verification));
        return false;
}

/* A link that was brought just now learns only from the log that A had crashed: by now it has read up to here. */
static bool check_still_verified(Engine *engine, GError **error) {
        engine_take_crash(engine);
        return check_verified(engine, error);
}

/* What was written while it was open would undo the switch when people wait already. An account is also open for a moment when the agent has carried
 * it there: whoever looks first closes it, and what is written is looked for later. */
static bool check_closed(Engine *engine, Side to, bool dry, GError **error) {
        Conn *b = control_acquire(engine, to, error);
        bool closed;
        if (!b)
                return false;
        if (!fence_is_closed(&engine->fence, b, &closed, error) || (!closed && !dry && !engine_shut_again(engine, to, b, error))) {
                engine_name_error(engine, to, error);
                return false;
        }
        if (!closed && fence_is_of_accounts(&engine->fence))
                return true;
        if (!closed)
                g_set_error(error, PS_ERROR, PS_ERROR_FOREIGN_WRITES, "the %s was opened by somebody else; the agent closes it again: see whether anything was written there (ForeignWrites), and try "
                            "again", side_to_string(to));
        return closed;
}

static bool check_servers(Engine *engine, GError **error) {
        Conn *source = control_acquire(engine, SIDE_SOURCE, error);
        Conn *destination = source ? control_acquire(engine, SIDE_DESTINATION, error) : NULL;
        if (!destination)
                return false;
        return engine_run_checks(engine, (Conn *[]){source, destination}, PRECHECK_SWITCH, error) &&
               precheck_verdict(engine->state->checks, /* accept_warnings= */ true, error);
}

/* A statement may have been taken on the other side and mean something else there, or was passed over. */
static bool check_definitions(Engine *engine, GError **error) {
        g_autofree char *difference = NULL;
        for (guint tries = 0; tries < DEFINITION_TRIES; tries++) { /* one may come in between */
                g_clear_pointer(&difference, g_free);
                if (!engine_compare_definitions(engine, DEFINITION_USEC, &difference, error))
                        return false;
                if (!difference)
                        return true;
        }
        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED, "tables are not defined alike on both sides: %s; change one of them", difference);
        return false;
}

static bool check_sessions(Engine *engine, const EngineOperation *operation, Side from, GError **error) {
        unsigned sessions;
        guint64 oldest;
        Conn *a = control_acquire(engine, from, error);
        if (!a)
                return false;
        if (!fence_survey(&engine->fence, a, &engine->session_looks[from], operation->kill_sessions, &sessions, &oldest, error)) {
                engine_name_error(engine, from, error);
                return false;
        }
        if (oldest <= failpoint_limit("long-transaction", LONG_TRANSACTION) || operation->kill_sessions)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                    "a transaction on the %s has been open for %" G_GUINT64_FORMAT " s and would be lost; let it end, or use kill-sessions",
                    side_to_string(from), oldest);
        return false;
}

/* A statement that changes rows or tables holds up read_only until it ends, and so does LOCK TABLES. */
static bool check_statements(Engine *engine, const EngineOperation *operation, Side from, GError **error) {
        for (gint64 until = clock_monotonic() + STATEMENT_USEC;; engine_wait(engine, STATEMENT_LOOK_USEC)) {
                guint64 id, seconds;
                g_autoptr(GError) local = NULL;
                g_autofree char *locked = NULL;
                Conn *a = control_acquire(engine, from, error);
                if (!a)
                        return false;
                if (!fence_blocker(&engine->fence, a, LONG_STATEMENT, &id, &seconds, error)) {
                        engine_name_error(engine, from, error);
                        return false;
                }
                locked = id == 0 ? fence_locked_table(&engine->fence, a, &local) : NULL;
                if (local) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        engine_name_error(engine, from, error);
                        return false;
                }
                if (id == 0 && !locked)
                        return true;
                if (clock_monotonic() < until && !engine_aborted(engine, operation->id))
                        continue;
                if (locked)
                        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                                    "a session on the %s has locked %s (LOCK TABLES); the fence would wait for that, and everybody who writes behind it: let it end, or end "
                                    "it, and try again", side_to_string(from), locked);
                else
                        g_set_error(error, PS_ERROR, PS_ERROR_CHECK_FAILED,
                            "session %" G_GUINT64_FORMAT " on the %s has been changing something, or waiting for a locked table, for %" G_GUINT64_FORMAT " s; the fence would wait for "
                            "that, and everybody who writes behind it: let it end, or end it, and try again", id, side_to_string(from), seconds);
                return false;
        }
}

/* ALTER TABLE waits for the appliers' transactions, and they wait behind it; where foreign keys lead from table to table InnoDB and the
 * server can wait for each other, unseen by either: so short waits, and again. */
static bool raise_counter(Conn *b, const char *table, guint64 wanted, GError **error) {
        for (guint tries = 0;; tries++) {
                g_autoptr(GError) local = NULL;
                if (conn_execf(b, &local, "ALTER TABLE /* polarshift */ %s AUTO_INCREMENT=%" G_GUINT64_FORMAT, table, wanted) ||
                    g_error_matches(local, MYSQL_ERROR, 1146)) /* a table that is not carried */
                        return true;
                if (!mysql_error_is_retryable(local) || tries >= COUNTER_TRIES) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
}

/* B must hand out numbers above all that A handed out, those of deleted rows too. */
static bool raise_counters(Engine *engine, Side from, Side to, GError **error) {
        Conn *a = control_acquire(engine, from, error), *b = a ? control_acquire(engine, to, error) : NULL;
        if (!b)
                return false;
        static const char counters[] = "SELECT table_schema, table_name, auto_increment FROM information_schema.tables "
                                       "WHERE auto_increment > 1 AND table_type = 'BASE TABLE'";
        g_autoptr(ConnRows) there = conn_query(a, counters, error);
        /* What is only on its way there raises the counter by itself. */
        g_autofree char *file = NULL;
        guint64 offset;
        bool good = there && conn_binlog_position(a, &file, &offset, error);
        if (good)
                (void) engine_wait_link(engine, file, offset, COUNTER_APPLIED_USEC, NULL);
        g_autoptr(ConnRows) here = good && control_wait_for_locks(b, 1, error)
                                           ? conn_query(b, counters, error) : NULL;
        if (!here) {
                engine_name_link_error(engine, error);
                return false;
        }
        g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        for (char **row; (row = conn_rows_take(here));) {
                g_hash_table_replace(known, sql_table(row[0], row[1]), g_strdup(row[2]));
        }
        for (char **row; (row = conn_rows_take(there));) {
                if (!spec_selects(engine->spec, row[0], row[1]))
                        continue;
                g_autofree char *table = sql_table(row[0], row[1]);
                const char *current = g_hash_table_lookup(known, table);
                guint64 wanted = g_ascii_strtoull(row[2], NULL, 10);
                g_autoptr(GError) local = NULL;
                if ((!current || g_ascii_strtoull(current, NULL, 10) < wanted) &&
                    !raise_counter(b, table, wanted, &local)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        engine_name_error(engine, to, error);
                        (void) (conn_is_dead(b) || control_wait_for_locks(b, 0, NULL));
                        return false;
                }
        }
        if (control_wait_for_locks(b, 0, error))
                return true;
        engine_name_error(engine, to, error);
        return false;
}

/* Where the agent may not set it, it has to be so. */
static bool make_durable(Conn *b, const char *variable, GError **error) {
        g_autoptr(GError) local = NULL;
        g_autofree char *ask = g_strdup_printf("SELECT @@global.%s", variable);
        guint64 value = 0;
        if (conn_execf(b, &local, "SET GLOBAL %s=1", variable))
                return true;
        if (!mysql_error_is_privilege(local)) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (!conn_query_uint64(b, ask, &value, error))
                return false;
        if (value != 1)
                g_set_error(error, PS_ERROR, PS_ERROR_INSUFFICIENT_PRIVILEGE, "%s=%" G_GUINT64_FORMAT " on %s, and the agent may not set it: set it to 1, so that what is "
                            "committed there outlives a crash", variable, value, conn_label(b));
        return value == 1;
}

/* From the commit point on B is the only copy: what it acknowledges must survive a crash. And A gets its checkpoints for the way back now, so
 * that nothing is written there behind the fence. */
static bool prepare_sides(Engine *engine, Side from, Side to, GError **error) {
        EngineState *state = engine->state;
        Conn *a = control_acquire(engine, from, error), *b = a ? control_acquire(engine, to, error) : NULL;
        if (!b)
                return false;
        if (!make_durable(b, "innodb_flush_log_at_trx_commit", error) || !make_durable(b, "sync_binlog", error)) {
                engine_name_error(engine, to, error);
                return false;
        }
        state->workers = engine_workers(engine);
        if (!ledger_forget_leg(engine->ledger, a, state->leg + 1, error) ||
            !ledger_begin_leg(engine->ledger, a, state->leg + 1, state->workers, 0, state->epoch + 1, error)) {
                engine_name_error(engine, from, error);
                return false;
        }
        return true;
}

bool switch_guard(Engine *engine, const EngineOperation *operation, Side from, Side to, GError **error) {
        engine_verify_collect(engine);
        engine_take_crash(engine);
        engine_start_watch(engine);
        bool dry = operation->flags & 1; /* looks only; of what it writes there is but the canary */
        return bring_link(engine, operation, error) && engine_is_complete(engine, error) && check_verified(engine, error) && switch_no_foreign_writes(engine, error) &&
               check_servers(engine, error) && check_definitions(engine, error) && check_still_verified(engine, error) &&
               check_sessions(engine, operation, from, error) && check_statements(engine, operation, from, error) && check_closed(engine, to, dry, error) &&
               engine_prove_reverse(engine, error) &&
               (dry ? engine_programs_complete(engine, to, error) :
                (engine_programs_ready(engine, from, to, error) && raise_counters(engine, from, to, error) && prepare_sides(engine, from, to, error)));
}
