/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The side that takes writes crashed, as the end of its binary log tells. Without full durability its rows may then be older or newer than
 * its log, and no event speaks of that: what was compared before no longer counts. On MySQL 5.6 a prepared XA transaction outlives the
 * crash, and nothing is logged when it is committed afterwards [M]: what is compared while one is open does not count either. */

#include "base/clock.h"
#include "engine/control.h"

#define LOOK_USEC (5 * USEC_PER_SEC)

/* In memory; the caller commits. */
static void void_comparison(Engine *engine) {
        engine_verify_void(engine);
        dirty_forget(engine->dirty);
        engine->state->verification = VERIFICATION_NONE;
}

static bool prepared(Conn *conn, guint64 *ret, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, "XA RECOVER", error);
        if (!rows)
                return false;
        *ret = conn_rows_count(rows);
        return true;
}

/* Until the last of those that outlived the crash is ended there may be changes that nobody logs. */
static void look_for_recovered_xa(Engine *engine) {
        Side writer = engine->state->writer;
        guint64 n = 0;

        if (!engine->state->recovered_xa || clock_monotonic() < engine->recovered_xa_at)
                return;
        engine->recovered_xa_at = clock_monotonic() + LOOK_USEC;
        Conn *conn = control_acquire(engine, writer, NULL);
        if (!conn || (!flavor_logs_recovered_xa(conn_flavor(conn)) && !prepared(conn, &n, NULL)))
                return; /* cannot be reached now: later */
        if (n > 0) {
                if (!engine->recovered_xa_told)
                        engine_event(engine, ENGINE_EVENT_NOTE, 4,
                                     "%" G_GUINT64_FORMAT " prepared XA transactions outlived the crash of the %s, which will not log their COMMIT: end them "
                                     "(XA RECOVER lists them); both sides are compared again after that", n, side_to_string(writer));
                engine->recovered_xa_told = true;
                return;
        }
        engine->state->recovered_xa = false;
        void_comparison(engine);
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL)) {
                engine->state->recovered_xa = true;
                return;
        }
        engine_verify_soon(engine);
}

void engine_take_crash(Engine *engine) {
        pthread_mutex_lock(&engine->lock);
        bool crashed = engine->crashed;
        engine->crashed = false;
        pthread_mutex_unlock(&engine->lock);
        if (crashed) {
                engine->state->recovered_xa = true;
                engine->recovered_xa_at = 0;
                engine->recovered_xa_told = false;
                void_comparison(engine);
                if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, NULL))
                        engine->crashed = true;
        }
        look_for_recovered_xa(engine);
}
