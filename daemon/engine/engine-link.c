/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a migration does between operations: keeps the link running in the direction that its phase says, the monitor and the watch beside
 * it; moves from copying to synchronizing; says what is wrong and tries again. */

#include "engine/engine-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/control.h"
#include "engine/failover.h"
#include "engine/fence.h"
#include "engine/parameter.h"

#define RETRY_MIN_USEC (USEC_PER_SEC / 2)
#define RETRY_MAX_USEC (15 * USEC_PER_SEC)
#define SETTLE_USEC (60 * USEC_PER_SEC)
#define LOST_SETTLE_USEC (5 * USEC_PER_SEC)
#define CAUGHT_UP_DELAY 5.0 /* s */
#define SIGN_WAIT 2 /* s, for locks of others */

Direction engine_direction(const Engine *engine) {
        return migration_phase_direction(engine->phase);
}

bool engine_is_clone(const Engine *engine) {
        return engine->spec->create_type == CREATE_TYPE_CLONE;
}

guint32 engine_workers(const Engine *engine) {
        guint32 asked = engine->spec->limits.apply_threads;
        return asked > 0 ? MIN(asked, ENGINE_WORKERS_MAX) : ENGINE_WORKERS_DEFAULT;
}

Side engine_reader(const Engine *engine) {
        return side_other(engine->state->writer);
}

/* --- connection parameters --- */

static bool read_pem(Engine *engine, const char *name, char **ret, GError **error) {
        if (!name)
                return true;
        *ret = engine->config.read_credential(name, engine->config.userdata, error);
        if (!*ret && error && !*error)
                g_set_error(error, PS_ERROR, PS_ERROR_CREDENTIAL_MISSING, "there is no credential %s; store it with set-credential", name);
        return *ret != NULL;
}

bool engine_params(Engine *engine, Side side, GError **error) {
        if (engine->params[side])
                return true;
        const ServerSpec *server = &engine->spec->servers[side];
        g_autofree char *standard = g_strdup_printf("%s.%s", engine->spec->name, side_to_string(side));
        const char *credential = server->credential ? server->credential : standard;
        ConnParams *params = g_new0(ConnParams, 1);
        g_autoptr(GError) local = NULL;

        params->endpoint = endpoint_copy(server->endpoint);
        params->identity = engine->state->leg > 0 ? g_strdup(engine->state->identity[side]) : NULL;
        params->password = engine->config.read_credential(credential, engine->config.userdata, &local);
        bool good = !local;
        if (good && !params->password && server->credential) {
                g_set_error(&local, PS_ERROR, PS_ERROR_CREDENTIAL_MISSING, "there is no credential %s; store it with set-credential", credential);
                good = false;
        }
        good = good && read_pem(engine, server->ca, &params->tls.ca, &local) && read_pem(engine, server->cert, &params->tls.cert, &local) &&
               read_pem(engine, server->key, &params->tls.key, &local);
        if (!good) {
                conn_params_free(params);
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        failover_choose_host(engine, side, params);
        engine->params[side] = params;
        return true;
}

/* Those of Start were made before it was known who is meant. */
static bool knows_identities(const Engine *engine) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (engine->params[side] && !engine->params[side]->identity && engine->state->identity[side])
                        return false;
        return true;
}

void engine_drop_params(Engine *engine) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                g_clear_pointer(&engine->params[side], conn_params_free);
}

/* --- parts --- */

static void on_table(gpointer userdata, const char *database, const char *table) {
        engine_event(userdata, ENGINE_EVENT_TABLE_COPIED, 6, "`%s`.`%s` is copied", database, table);
}

static void on_burst(gpointer userdata, const char *database, const char *table) {
        engine_event(userdata, ENGINE_EVENT_NOTE, 5,
                     "`%s`.`%s` has to be copied as it was at one moment, which max-copy-rate would make too long: the rest of it is copied "
                     "without a limit, and nothing else before the rate is kept again", database, table);
}

static void on_note(gpointer userdata, const char *message) {
        engine_event(userdata, ENGINE_EVENT_NOT_CARRIED, 4, "%s", message);
}

static void on_crash(gpointer userdata, const char *file) {
        Engine *engine = userdata;
        engine_event(engine, ENGINE_EVENT_NOTE, 4, "the upstream crashed: %s has no proper end. Both sides are compared again before a switch", file);
        pthread_mutex_lock(&engine->lock);
        engine->crashed = true;
        pthread_mutex_unlock(&engine->lock);
        engine_poke(engine);
}

static void on_gap(gpointer userdata) {
        engine_event(userdata, ENGINE_EVENT_FOREIGN_WRITES, 3,
                     "the binary log of the read-only side was purged before it was looked through: whether others wrote there meanwhile is not known; Verify, "
                     "and AcknowledgeForeignWrites");
}

static void on_refenced(gpointer userdata, Side side) {
        engine_event(userdata, ENGINE_EVENT_FENCED, 4, "the %s had become writable (a restart?) and is read-only again", side_to_string(side));
}

bool engine_start_monitor(Engine *engine, GError **error) {
        if (engine->monitor)
                return true;
        if (!engine_params(engine, SIDE_SOURCE, error) || !engine_params(engine, SIDE_DESTINATION, error))
                return false;
        MonitorConfig config = {
                .servers = {engine->params[SIDE_SOURCE], engine->params[SIDE_DESTINATION]},
                .ledger = engine->ledger,
                .fence = &engine->fence,
                .identity = {engine->state->identity[SIDE_SOURCE], engine->state->identity[SIDE_DESTINATION]},
                .writer = engine->state->writer,
                .epoch = engine->state->epoch,
                .changed_sides = engine->state->leg > 1,
                .status = {engine->status.read_write[SIDE_SOURCE], engine->status.read_write[SIDE_DESTINATION]},
                .on_change = engine_poke,
                .on_refenced = on_refenced,
                .on_wrong = engine_found_wrong,
                .on_reopened = engine_tell_reopened,
                .parameters = parameters_watch_statement(),
                .on_parameters = engine_parameters_seen,
                .userdata = engine,
        };
        engine->monitor = monitor_start(&config);
        return true;
}

/* Dump connections of one server must have numbers of their own; ours come from the agent's random id. */
guint32 engine_dump_id(const Engine *engine, guint32 which) {
        return (guint32) ((engine->config.agent_id + engine->config.id * 4 + which) % 2000000000u) + 1000000000u;
}

void engine_start_watch(Engine *engine) {
        if (engine->watch || engine_is_clone(engine) || !engine_params(engine, engine_reader(engine), NULL))
                return;
        WatchConfig config = {
                .server = engine->params[engine_reader(engine)],
                .identity = engine->state->identity[engine_reader(engine)],
                .ledger = engine->ledger,
                .spec = engine->spec,
                .server_id = engine_dump_id(engine, 1),
                .from = engine->state->watched,
                .foreign = engine->state->foreign_writes,
                .on_change = engine_poke,
                .on_gap = on_gap,
                .userdata = engine,
        };
        engine->watch = watch_start(&config);
}

/* What others wrote is in no comparison that was made before: another one has to be made before a switch. */
void engine_take_watch(Engine *engine) {
        guint64 before = engine->state->foreign_writes;
        watch_get(engine->watch, &engine->state->foreign_writes, &engine->state->watched);
        if (engine->state->foreign_writes > before && engine->state->verification == VERIFICATION_EQUAL)
                engine->state->verification = VERIFICATION_NONE;
}

void engine_stop_watch(Engine *engine) {
        if (!engine->watch)
                return;
        engine_take_watch(engine);
        g_clear_pointer(&engine->watch, watch_free);
}

void engine_stop_link(Engine *engine) {
        engine_stop_carry(engine);
        pthread_mutex_lock(&engine->lock);
        Link *link = engine->link;
        pthread_mutex_unlock(&engine->lock);
        if (!link)
                return;
        /* The verifier may be waiting in it: stopping makes it return, and only then the link goes. */
        link_stop(link);
        if (engine->dirty_leg != engine->link_leg)
                engine->dirty_seq = 0;
        engine->dirty_leg = engine->link_leg;
        engine->dirty_seq = MAX(engine->dirty_seq, link_dispatched(link));
        pthread_mutex_lock(&engine->lock);
        engine->link = NULL;
        while (engine->link_users > 0)
                pthread_cond_wait(&engine->answered, &engine->lock);
        engine->status.replication = REPLICATION_STOPPED;
        engine->status.direction = DIRECTION_NONE;
        engine->status.delay = -1;
        pthread_mutex_unlock(&engine->lock);
        link_free(link);
}

void engine_stop_all(Engine *engine) {
        engine_stop_link(engine);
        engine_stop_watch(engine);
        g_clear_pointer(&engine->monitor, monitor_free);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                control_release(engine, side);
}

bool engine_wait_applied(Engine *engine, const char *file, guint64 offset, gint64 timeout_usec, GError **error) {
        gint64 end = clock_monotonic() + timeout_usec;
        LinkTarget target = {.file = file, .offset = offset};
        for (;;) {
                pthread_mutex_lock(&engine->lock);
                Link *link = engine->link;
                bool stop = engine->stop || g_atomic_int_get(&engine->verify_stop);
                engine->link_users += link != NULL;
                pthread_mutex_unlock(&engine->lock);

                g_autoptr(GError) local = NULL;
                gint64 left = timeout_usec < 0 ? USEC_PER_SEC : end - clock_monotonic();
                bool there = link && !stop && link_wait_applied(link, &target, MIN(left, USEC_PER_SEC), &local);

                pthread_mutex_lock(&engine->lock);
                engine->link_users -= link != NULL;
                pthread_cond_broadcast(&engine->answered);
                if (!there && !stop && (!link || g_error_matches(local, PS_ERROR, PS_ERROR_STOPPED))) {
                        struct timespec until = clock_deadline(100 * USEC_PER_MSEC); /* until there is a link again */
                        (void) pthread_cond_timedwait(&engine->answered, &engine->lock, &until);
                }
                pthread_mutex_unlock(&engine->lock);
                if (there)
                        return true;
                if (stop) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
                        return false;
                }
                if (timeout_usec >= 0 && clock_monotonic() >= end) {
                        g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                                    "the other side had not applied %s:%" G_GUINT64_FORMAT " in time", file, offset);
                        return false;
                }
        }
}

bool engine_wait_link(Engine *engine, const char *file, guint64 offset, gint64 timeout_usec, GError **error) {
        gint64 end = clock_monotonic() + timeout_usec;
        LinkTarget target = {.file = file, .offset = offset};
        for (;;) {
                g_autoptr(GError) local = NULL;
                gint64 left = MAX(end - clock_monotonic(), 0);
                if (link_wait_applied(engine->link, &target, MIN(left, 100 * USEC_PER_MSEC), &local))
                        return true;
                pthread_mutex_lock(&engine->lock);
                guint64 running = engine->running;
                pthread_mutex_unlock(&engine->lock);
                if (engine_aborted(engine, running)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
                        return false;
                }
                if (left == 0 || !g_error_matches(local, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED)) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
        }
}

/* --- the link --- */

/* What waits there for the transactions of another agent waits in vain when that one's host died. */
bool engine_raise_epoch(Engine *engine, Side reader, Conn *down, GError **error) {
        g_autoptr(GError) local = NULL;
        if (ledger_raise_epoch(engine->ledger, down, engine->state->epoch, &local))
                return true;
        unsigned ended = mysql_error_is_retryable(local) ? sessions_end_orphans(down) : 0;
        if (ended > 0)
                engine_event(engine, ENGINE_EVENT_NOTE, 4, "%u sessions were ended on the %s, which an earlier agent had left in the middle of a transaction",
                             ended, side_to_string(reader));
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
}

/* An agent that stood still all the time finds another name in the owner row, and is stale from here on (control.c). The stream does without: a backup, or
 * a full disk, does not hold it up. */
static void sign(Engine *engine, Side side) {
        Conn *conn = control_acquire(engine, side, NULL);
        if (!conn || !control_wait_for_locks(conn, SIGN_WAIT, NULL))
                return;
        (void) control_own(engine, side, engine->state->writer, engine->state->epoch, "", NULL);
        conn = control_acquire(engine, side, NULL);
        if (conn)
                (void) control_wait_for_locks(conn, 0, NULL);
}

/* Before anything is applied: ours alone, the fence up, the epoch ours. */
static bool prepare_servers(Engine *engine, GError **error) {
        Side reader = engine_reader(engine);
        engine->may_fail_over = true;
        Conn *up = control_acquire(engine, engine->state->writer, error), *down = up ? control_acquire(engine, reader, error) : NULL;
        engine->may_fail_over = false;
        if (!down)
                return false;
        if (fence_shut(&engine->fence, reader, down, error) && engine_remember_closed(engine, reader, down, error) &&
            engine_raise_epoch(engine, reader, down, error) && engine_empty_again(engine, down, error)) {
                sign(engine, engine->state->writer);
                sign(engine, reader);
                return engine_programs_disarm(engine, reader, error); /* what is applied must not fire anything */
        }
        engine_name_error(engine, reader, error);
        return false;
}

static bool start_link(Engine *engine, GError **error) {
        g_autofree char *directory = g_build_filename(engine->directory, "relay", NULL);
        if (!engine_start_monitor(engine, error) || !prepare_servers(engine, error) || !engine_start_monitor(engine, error))
                return false;
        guint32 copiers = engine->spec->limits.copy_threads ? engine->spec->limits.copy_threads : ENGINE_COPIERS_DEFAULT;
        LinkConfig config = {
                .spec = engine->spec,
                .ledger = engine->ledger,
                .upstream = engine->params[engine->state->writer],
                .downstream = engine->params[engine_reader(engine)],
                .throttle = engine->throttle,
                .directory = directory,
                .server_id = engine_dump_id(engine, 0),
                .leg = engine->state->leg,
                .epoch = engine->state->epoch,
                .copying = !engine->state->copied,
                .again = engine->state->again,
                .copiers = MIN(copiers, ENGINE_COPIERS_MAX),
                .left_out = engine->state->unfit,
                .dirty = engine->dirty,
                .on_change = engine_poke,
                .on_table = on_table,
                .on_burst = on_burst,
                .on_note = on_note,
                .on_crash = on_crash,
                .userdata = engine,
        };
        Link *link = link_start(&config, error);
        if (!link) {
                engine_name_link_error(engine, error);
                return false;
        }
        /* It hands on again what is behind its beginning: before that nothing may be missing in what an earlier process left. */
        if (engine->dirty_taken && (engine->dirty_leg != config.leg || link_begin(link) > engine->dirty_seq))
                dirty_forget(engine->dirty);
        engine->dirty_taken = false;
        engine->link_leg = config.leg;
        engine_programs_forget(engine);
        pthread_mutex_lock(&engine->lock);
        engine->link = link;
        engine->link_epoch = config.epoch;
        engine->transactions_before = engine->state->transactions_applied;
        engine->rows_before = engine->state->rows_applied;
        engine->status.replication = REPLICATION_RUNNING;
        engine->status.direction = engine_direction(engine);
        pthread_cond_broadcast(&engine->answered);
        pthread_mutex_unlock(&engine->lock);
        if (!engine->carried)
                engine_event(engine, ENGINE_EVENT_LINK_RUNNING, 5, "replication runs %s", direction_to_string(engine_direction(engine)));
        engine->carried = false;
        return true;
}

static bool worth_retrying(const GError *error) {
        switch (ps_error_code_of(error)) {
        case PS_ERROR_SOURCE_UNREACHABLE:
        case PS_ERROR_DESTINATION_UNREACHABLE:
        case PS_ERROR_STOPPED:
        case PS_ERROR_DEADLINE_EXCEEDED:
        case PS_ERROR_HOOK_FAILED: /* of a fence */
                return true;
        case PS_ERROR_FAILED:
        case PS_ERROR_NO_SUCH_MIGRATION:
        case PS_ERROR_NO_SUCH_CLUSTER:
        case PS_ERROR_NO_SUCH_CREDENTIAL:
        case PS_ERROR_ALREADY_EXISTS:
        case PS_ERROR_INVALID_OPTION:
        case PS_ERROR_INVALID_PHASE:
        case PS_ERROR_NOT_SUPPORTED:
        case PS_ERROR_OPERATION_IN_PROGRESS:
        case PS_ERROR_STALE_GENERATION:
        case PS_ERROR_STALE_STATE:
        case PS_ERROR_DELAY_TOO_HIGH:
        case PS_ERROR_DELAY_UNKNOWN:
        case PS_ERROR_CHECK_FAILED:
        case PS_ERROR_VERIFICATION_FAILED:
        case PS_ERROR_AUTHENTICATION_FAILED:
        case PS_ERROR_INSUFFICIENT_PRIVILEGE:
        case PS_ERROR_CREDENTIAL_MISSING:
        case PS_ERROR_REVERSE_NOT_PROVEN:
        case PS_ERROR_FOREIGN_WRITES:
        case PS_ERROR_UNSUPPORTED_OBJECT:
        case PS_ERROR_DATA_MISMATCH:
        case PS_ERROR_BINLOG_UNAVAILABLE:
        case PS_ERROR_STATE_UNREADABLE:
        case PS_ERROR_LIMITS_EXCEEDED:
        case PS_ERROR_ACCESS_DENIED:
        case _PS_ERROR_MAX:
        case _PS_ERROR_INVALID:
                break;
        }
        return false;
}

static void link_trouble(Engine *engine, const GError *error) {
        engine->link_broken = !worth_retrying(error);
        gint64 wait = MIN(RETRY_MIN_USEC << MIN(engine->link_failures, 6), RETRY_MAX_USEC);
        engine->link_retry_at = clock_monotonic() + wait;
        engine_set_error(engine, error);
        pthread_mutex_lock(&engine->lock);
        engine->status.replication = engine->link_broken ? REPLICATION_FAILED : REPLICATION_RETRYING;
        pthread_mutex_unlock(&engine->lock);
        /* Once when it begins, not at every try. */
        if (engine->link_failures++ == 0 || engine->link_broken)
                engine_event(engine, engine->link_broken ? ENGINE_EVENT_LINK_FAILED : ENGINE_EVENT_LINK_RETRYING, engine->link_broken ? 3 : 4,
                             "%s", error->message);
        engine_drop_idle_connections(engine);
}

void engine_drop_idle_connections(Engine *engine) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (engine->control[side] && conn_is_dead(engine->control[side]))
                        control_release(engine, side);
}

/* --- what the loop is shown --- */

void engine_sample(Engine *engine) {
        LinkStatus link = {.delay = -1};
        if (engine->link)
                link_get_status(engine->link, &link);
        if (engine->watch)
                engine_take_watch(engine);

        pthread_mutex_lock(&engine->lock);
        EngineStatus *status = &engine->status;
        guint64 foreign = status->foreign_writes;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                status->read_write[side] = engine->monitor ? monitor_status(engine->monitor, side) : READ_WRITE_STATUS_UNKNOWN;
        status->delay = link.delay;
        if (engine->link) {
                EngineState *state = engine->state;
                if (!state->copied || link.rows_copied > state->rows_copied) { /* later links do not count it, or only what is copied again */
                        state->rows_copied = link.rows_copied;
                        state->bytes_copied = link.bytes_copied;
                }
                state->transactions_applied = engine->transactions_before + link.transactions;
                state->rows_applied = engine->rows_before + link.rows_applied;
                status->bytes_copied = state->bytes_copied;
                status->bytes_total = MAX(link.bytes_total, state->bytes_copied);
                status->rows_copied = state->rows_copied;
                status->rows_total = state->copied ? state->rows_copied : MAX(link.rows_total, state->rows_copied);
                status->transactions_applied = state->transactions_applied;
                status->rows_applied = state->rows_applied;
                status->progress = engine->state->copied ? 1
                                   : link.rows_total > 0 ? MIN((double) link.rows_copied / (double) link.rows_total, 0.999) : -1;
        }
        if (engine->state->copied && engine->state->again->len > 0)
                status->progress = link.rows_total > 0 ? MIN((double) link.rows_copied / (double) link.rows_total, 0.999) : -1;
        status->verification = engine->verify_running ? VERIFICATION_RUNNING : engine->state->verification;
        status->verified_at = engine->state->verified_at;
        status->reverse_proven = engine->state->reverse_proven;
        status->write_interruption = engine->state->write_interruption;
        guint64 acknowledged = engine->state->foreign_writes_acknowledged + engine->acknowledge;
        status->foreign_writes = engine->state->foreign_writes - MIN(engine->state->foreign_writes, acknowledged);
        bool alarm = status->foreign_writes > foreign;
        foreign = status->foreign_writes;
        pthread_mutex_unlock(&engine->lock);
        if (alarm)
                engine_event(engine, ENGINE_EVENT_FOREIGN_WRITES, 3,
                             "%" G_GUINT64_FORMAT " transactions of others were written on the %s, which must not take writes", foreign,
                             side_to_string(engine_reader(engine)));
}

/* Copying has an estimate of its end once it moves. */
static void estimate(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        EngineStatus *status = &engine->status;
        gint64 now = clock_monotonic();
        if (engine->state->copied || status->progress <= 0)
                status->estimated_end = 0;
        else if (engine->progress_since == 0 || status->progress < engine->progress_first) {
                engine->progress_since = now;
                engine->progress_first = status->progress;
        } else if (status->progress > engine->progress_first && now > engine->progress_since) {
                double rate = (status->progress - engine->progress_first) / (double) (now - engine->progress_since);
                status->estimated_end = clock_real() + (guint64) ((1 - status->progress) / rate);
        }
        pthread_mutex_unlock(&engine->lock);
}

/* --- from copying to synchronizing --- */

static void copied(Engine *engine) {
        g_autoptr(GError) error = NULL;
        engine->state->copied = true;
        engine->state->copied_seq = MAX(link_copied_seq(engine->link), 1);
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, &error)) {
                engine->state->copied = false;
                engine_set_error(engine, error);
                return;
        }
        pthread_mutex_lock(&engine->lock);
        engine->status.progress = 1;
        engine->status.estimated_end = 0;
        pthread_mutex_unlock(&engine->lock);
        engine_event(engine, ENGINE_EVENT_COPY_FINISHED, 5, "every table is copied");
}

static void caught_up(Engine *engine) {
        g_autoptr(GError) error = NULL;
        engine_start_watch(engine);
        if (!engine_commit(engine, MIGRATION_PHASE_SYNCHRONIZING, "", &error)) {
                engine_set_error(engine, error);
                return;
        }
        engine_event(engine, ENGINE_EVENT_CAUGHT_UP, 5, "the destination has caught up with the source");
        engine_verify_soon(engine);
}

static void progress(Engine *engine) {
        engine_look_at_definitions(engine);
        if (!engine->link) /* a side has failed over meanwhile */
                return;
        if (!engine->state->copied && link_copied(engine->link))
                copied(engine);
        if (engine->state->copied && engine->state->again->len > 0 && link_copied(engine->link))
                engine_again_copied(engine);
        if (engine->phase == MIGRATION_PHASE_COPYING && engine->state->copied && engine->status.delay >= 0 &&
            engine->status.delay < MIN(CAUGHT_UP_DELAY, engine->spec->limits.max_delay))
                caught_up(engine);
        /* The way back is proven as soon as there is one, so that Switch can be offered; after a switch it is the other one, for Rollback, and
         * the first try at its end may have come too early: the watch had only begun. */
        bool linked = engine->phase == MIGRATION_PHASE_SYNCHRONIZING || engine->phase == MIGRATION_PHASE_SWITCHED;
        if (linked && !engine_is_clone(engine) && !engine->state->reverse_proven && clock_monotonic() >= engine->prove_at) {
                g_autoptr(GError) error = NULL;
                engine->prove_at = clock_monotonic() + 5 * USEC_PER_SEC;
                if (!engine_prove_reverse(engine, &error))
                        engine_event(engine, ENGINE_EVENT_NOTE, 4, "the way back is not proven yet: %s", error->message);
        }
        if (engine->verify_at != 0 && clock_monotonic() >= engine->verify_at && engine->status.replication == REPLICATION_RUNNING)
                engine_verify_soon(engine);
}

/* What the log holds before the halt has to be on the other side first. There is time for that as long as it gets on. */
static bool wait_until_drained(Engine *engine, gint64 patience_usec, GError **error) {
        guint64 low;
        if (link_drained(engine->link, USEC_PER_SEC / 2, &low))
                return true;
        gint64 now = clock_monotonic();
        if (engine->settle_until == 0 || low > engine->settle_low) {
                engine->settle_until = now + patience_usec;
                engine->settle_low = low;
        }
        if (now >= engine->settle_until)
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "what was read before a statement was not applied in time");
        return false;
}

/* The link has stopped on purpose. */
static void take_halt(Engine *engine, const LinkHalt *halt) {
        g_autoptr(GError) error = NULL;
        bool drained = wait_until_drained(engine, SETTLE_USEC, &error);
        if (!drained && !error)
                return; /* asked again at the next step */
        engine->settle_until = 0;
        engine_stop_link(engine);
        if (drained && halt->kind == LINK_HALT_POSITION) /* the end of a clone that was given up: on it goes */
                engine->link_retry_at = 0;
        else if (drained)
                drained = halt->kind == LINK_HALT_STATEMENT ? engine_carry(engine, halt, /* passed= */ false, &error) : engine_copy_again(engine, halt, &error);
        if (!drained)
                link_trouble(engine, error);
}

/* When the side that takes writes is lost, what was read from it is brought in before the link ends: on a server that takes its place the
 * checkpoints are found again most simply when all of them are at one transaction. */
static bool is_settled_without(Engine *engine, const GError *error) {
        bool lost = g_error_matches(error, PS_ERROR, engine->state->writer == SIDE_SOURCE ? PS_ERROR_SOURCE_UNREACHABLE : PS_ERROR_DESTINATION_UNREACHABLE);
        if (!lost)
                return true;
        engine_set_error(engine, error);
        g_autoptr(GError) late = NULL;
        return wait_until_drained(engine, LOST_SETTLE_USEC, &late) || late;
}

static void look_at_link(Engine *engine) {
        g_autoptr(LinkHalt) halt = link_get_halt(engine->link);
        if (halt) {
                take_halt(engine, halt);
                return;
        }
        g_autoptr(GError) error = link_error(engine->link);
        if (!error)
                return;
        engine_name_link_error(engine, &error);
        if (!is_settled_without(engine, error))
                return;
        engine->settle_until = 0;
        engine_stop_link(engine);
        link_trouble(engine, error);
}

/* A log in another format holds what cannot be followed exactly: nothing is read until it is set right. */
static void look_at_log(Engine *engine) {
        g_autoptr(GError) error = NULL;
        bool good = engine_parameters_look(engine, &error);
        if (good && engine->log_stopped) {
                engine->log_stopped = engine->link_broken = false;
                engine->link_retry_at = 0;
        } else if (!good && !engine->log_stopped) {
                engine->log_stopped = true;
                engine_stop_link(engine);
                link_trouble(engine, error);
        }
}

void engine_step(Engine *engine) {
        bool wanted = engine_direction(engine) != DIRECTION_NONE && engine->state->leg > 0;
        pthread_mutex_lock(&engine->lock);
        bool paused = engine->paused;
        pthread_mutex_unlock(&engine->lock);

        engine_verify_collect(engine);
        engine_take_crash(engine);
        engine_verify_keep(engine);
        look_at_log(engine);
        if (wanted && !engine->state->ending)
                engine_mend_sides(engine);
        if (engine->link)
                look_at_link(engine);
        if (engine->carry) {
                g_autoptr(GError) error = NULL;
                if (engine_collect_carry(engine, &error) && error)
                        link_trouble(engine, error);
        }
        if (engine->link && paused)
                engine_stop_link(engine);
        bool due = wanted && !engine->state->ending && !paused && !engine->link && !engine->carry && !engine->link_broken && !engine->log_stopped &&
                   clock_monotonic() >= engine->link_retry_at;
        if (due && !engine_take_ddl_choice(engine)) {
                g_autoptr(GError) error = NULL;
                if (engine->link_failures > 0 || !knows_identities(engine)) /* credentials and endpoints may have been mended */
                        engine_refresh_params(engine);
                if (start_link(engine, &error)) {
                        engine->link_failures = 0;
                        engine_set_error(engine, NULL);
                } else
                        link_trouble(engine, error);
        }
        if (wanted) /* also while paused or failed: a side that must not take writes has to stay closed */
                (void) engine_start_monitor(engine, NULL);
        if (wanted && engine->phase != MIGRATION_PHASE_COPYING && !engine->watch)
                engine_start_watch(engine);
        engine_sample(engine);
        estimate(engine);
        if (engine->link)
                progress(engine);
        if (engine->link)
                engine_programs_follow(engine);
}

bool engine_link_may_come(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool paused = engine->paused;
        pthread_mutex_unlock(&engine->lock);
        return !paused && !engine->link_broken;
}

/* The parts that use the parameters are stopped first. */
void engine_refresh_params(Engine *engine) {
        engine_stop_all(engine);
        engine_drop_params(engine);
}
