/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See control.h. */

#include "engine/control.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/failover.h"
#include "engine/fence.h"

/* A host that dies without closing its connections leaves sessions behind; the server ends one that says nothing for IDLE seconds, and the
 * lock goes with it. So ours have to say something now and then, and a new agent waits for that long. */
#define IDLE 20 /* s */
#define FEED_USEC (5 * USEC_PER_SEC)
#define LOCK_WAIT 10     /* s: the server may take a moment to notice that a killed agent is gone */
#define TAKE_OVER 30     /* s: the first time that this process asks */
#define LOCK_SLICE 2     /* s, between looks whether the agent stops */
#define CONNECT 10       /* s */

/* A session of ours that was given up while it waited for something still holds the lock. */
static void end_own_orphan(Engine *engine, Side side, Conn *conn) {
        guint64 holder = 0;
        g_autofree char *sql = g_strdup_printf("SELECT COALESCE(IS_USED_LOCK('polarshift.%s'), 0)", engine->ledger->task);
        if (engine->control_id[side] != 0 && conn_query_uint64(conn, sql, &holder, NULL) && holder == engine->control_id[side])
                (void) conn_execf(conn, NULL, "KILL %" G_GUINT64_FORMAT, holder);
}

static bool take_lock(Engine *engine, Side side, Conn *conn, GError **error) {
        gint64 until = clock_monotonic() + (engine->control_id[side] == 0 ? TAKE_OVER : LOCK_WAIT) * USEC_PER_SEC;
        guint64 got = 0;
        end_own_orphan(engine, side, conn);
        g_autofree char *sql = g_strdup_printf("SELECT COALESCE(GET_LOCK('polarshift.%s', %d), 0)", engine->ledger->task, LOCK_SLICE);
        while (got != 1 && clock_monotonic() < until && !engine_stopping(engine))
                if (!conn_query_uint64(conn, sql, &got, error))
                        return false;
        if (got == 1)
                return conn_execf(conn, error, "SET SESSION wait_timeout=%d, net_read_timeout=%d, net_write_timeout=%d", IDLE, IDLE, IDLE);
        if (engine_stopping(engine))
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
        else
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "another agent holds the lock of this migration on %s; stop it first", conn_label(conn));
        return false;
}

static bool is_meant(const Engine *engine, Side side, Conn *conn) {
        const char *known = engine->state->identity[side], *now = conn_host_uuid(conn);
        return !known || !*known || !now || strcmp(known, now) == 0;
}

static bool check_owner(Engine *engine, Side side, Conn *conn, GError **error) {
        OwnerRow owner;
        if (!ledger_read_owner(engine->ledger, conn, &owner, error))
                return false;
        if (owner.present && owner.epoch > engine->state->epoch) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s says epoch %" G_GUINT64_FORMAT " for this migration, our state says %" G_GUINT64_FORMAT
                            ": another agent went on with it, or the state was restored from a copy; use the newest state",
                            conn_label(conn), owner.epoch, engine->state->epoch);
                return false;
        }
        /* One that went on with a copy of our state, while we stood still, counts from where we did. A standby, or a server that lost the end of what it had,
         * may know the last one only. */
        if (!engine->owned[side] && owner.agent != engine->config.agent_id)
                engine->owned_before[side] = owner.agent;
        if (engine->owned[side] && owner.present && is_meant(engine, side, conn) && owner.agent != engine->config.agent_id && owner.agent != engine->owned_before[side]) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s says epoch %" G_GUINT64_FORMAT " for this migration, and that another agent wrote that since this one did: it went on with it; use "
                            "the newest state (where no other one runs, the server was put back to what it had earlier: restart the agent)", conn_label(conn), owner.epoch);
                return false;
        }
        /* Between operations both servers say what we say; the epoch alone does not tell when ours was raised since. */
        if (owner.present && owner.writer != engine->state->writer && engine->state->step == SWITCH_STEP_NONE) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s says that the %s takes writes, our state says the %s: the state was restored from a copy; use the newest state",
                            conn_label(conn), side_to_string(owner.writer), side_to_string(engine->state->writer));
                return false;
        }
        return true;
}

static bool check_identity(Engine *engine, Side side, Conn *conn, GError **error) {
        return is_meant(engine, side, conn) || failover_accept(engine, side, conn, error);
}

typedef struct Opening {
        Engine *engine;
        Side side;
} Opening;

/* So that control_abort() finds CONN already; NULL: it is none any more that is being opened. */
static void now_opening(gpointer userdata, Conn *conn) {
        const Opening *opening = userdata;
        Engine *engine = opening->engine;
        pthread_mutex_lock(&engine->lock);
        engine->control_opening[opening->side] = conn;
        if (conn && engine->control_given_up[opening->side])
                conn_abort(conn);
        pthread_mutex_unlock(&engine->lock);
}

/* Whoever answers: whether it is the one that is meant is looked at here. */
static Conn *open_any(Opening *opening, GError **error) {
        Engine *engine = opening->engine;
        Side side = opening->side;
        if (!engine_params(engine, side, error))
                return NULL;
        ConnParams params = *engine->params[side];
        params.identity = NULL;
        params.opening = now_opening;
        params.userdata = opening;
        if (engine->control_until[side] != 0) {
                gint64 left = engine->control_until[side] - clock_monotonic();
                params.connect_timeout = (unsigned) CLAMP((left + USEC_PER_SEC - 1) / USEC_PER_SEC, 1, CONNECT);
        }
        return conn_open(&params, 0, error);
}

static bool given_up(Engine *engine, Side side, GError **error) {
        pthread_mutex_lock(&engine->lock);
        bool over = engine->control_given_up[side];
        pthread_mutex_unlock(&engine->lock);
        if (over)
                g_set_error(error, PS_ERROR, side == SIDE_SOURCE ? PS_ERROR_SOURCE_UNREACHABLE : PS_ERROR_DESTINATION_UNREACHABLE,
                            "the %s was not asked any further: the deadline was over, or Abort was called", side_to_string(side));
        return over;
}

/* A restart forgets read_only, and whoever asks next relies on it. Not in the middle of a switch, nor before there is a link. */
static bool fence_again(Engine *engine, Side side, Conn *conn, GError **error) {
        if (engine->state->leg == 0 || engine->state->step != SWITCH_STEP_NONE || side == engine->state->writer ||
            engine_direction(engine) == DIRECTION_NONE)
                return true;
        if (engine->state->ending) { /* a side of which nothing of ours is left was opened, or closed for good, before that */
                OwnerRow owner;
                if (!ledger_read_owner(engine->ledger, conn, &owner, error))
                        return false;
                if (!owner.present)
                        return true;
        }
        return engine_shut_again(engine, side, conn, error);
}

void control_feed(Engine *engine) {
        gint64 now = clock_monotonic();
        if (now < engine->control_fed_at + FEED_USEC)
                return;
        engine->control_fed_at = now;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                guint64 one;
                if (engine->control[side] && !conn_is_dead(engine->control[side]))
                        (void) conn_query_uint64(engine->control[side], "SELECT 1", &one, NULL);
        }
}

Conn *control_acquire(Engine *engine, Side side, GError **error) {
        Conn *conn = engine->control[side];
        if (given_up(engine, side, error))
                return NULL;
        if (conn && !conn_is_dead(conn)) {
                guint64 one;
                if (conn_query_uint64(conn, "SELECT 1", &one, NULL))
                        return conn;
        }
        control_release(engine, side);
        if (given_up(engine, side, error))
                return NULL;
        Opening opening = {engine, side};
        g_autoptr(Conn) fresh = open_any(&opening, error);
        bool good = fresh && check_owner(engine, side, fresh, error) && check_identity(engine, side, fresh, error) && take_lock(engine, side, fresh, error) &&
                    check_owner(engine, side, fresh, error) && fence_again(engine, side, fresh, error);
        now_opening(&opening, NULL);
        if (!good) {
                engine_name_error(engine, side, error);
                return NULL;
        }
        engine->control_id[side] = conn_id(fresh);
        pthread_mutex_lock(&engine->lock);
        conn = engine->control[side] = g_steal_pointer(&fresh);
        if (engine->control_given_up[side])
                conn_abort(conn);
        pthread_mutex_unlock(&engine->lock);
        return conn;
}

void control_release(Engine *engine, Side side) {
        pthread_mutex_lock(&engine->lock);
        Conn *conn = g_steal_pointer(&engine->control[side]);
        pthread_mutex_unlock(&engine->lock);
        conn_free(conn);
}

void control_limit(Engine *engine, Side side, gint64 until) {
        engine->control_until[side] = until;
}

void control_unlimit(Engine *engine, Side side) {
        engine->control_until[side] = 0;
        pthread_mutex_lock(&engine->lock);
        engine->control_given_up[side] = false;
        pthread_mutex_unlock(&engine->lock);
}

void control_abort(Engine *engine, Side side) {
        pthread_mutex_lock(&engine->lock);
        Conn *both[] = {engine->control[side], engine->control_opening[side]};
        engine->control_given_up[side] = true;
        for (gsize i = 0; i < G_N_ELEMENTS(both); i++)
                if (both[i])
                        conn_abort(both[i]);
        pthread_mutex_unlock(&engine->lock);
}

bool control_wait_for_locks(Conn *conn, unsigned seconds, GError **error) {
        return seconds > 0 ? conn_execf(conn, error, "SET SESSION lock_wait_timeout=%u, innodb_lock_wait_timeout=%u", seconds, seconds)
                           : conn_exec(conn, "SET SESSION lock_wait_timeout=DEFAULT, innodb_lock_wait_timeout=DEFAULT", -1, NULL, error);
}

bool control_own(Engine *engine, Side side, Side writer, guint64 epoch, const char *step, GError **error) {
        Conn *conn = control_acquire(engine, side, error);
        if (!conn)
                return false;
        if (ledger_write_owner(engine->ledger, conn, engine->config.agent_id, epoch, writer,
                               migration_phase_to_string(engine->phase), step, error)) {
                engine->owned[side] = true;
                return true;
        }
        engine_name_error(engine, side, error);
        return false;
}

bool control_acquire_sides(Engine *engine, Side wanted, bool both, Conn *conns[_SIDE_MAX], GError **error) {
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                if (side != wanted && !both)
                        continue;
                conns[side] = control_acquire(engine, side, error);
                if (!conns[side])
                        return false;
        }
        return true;
}
