/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See failover.h. */

#include "engine/failover.h"

#include "base/error.h"
#include "engine/control.h"
#include "engine/fence.h"
#include "mysql/executed.h"

#define PROBE_TIMEOUT 5 /* s */

/* --- is it promoted? --- */

static bool replicates(Conn *conn, bool *ret, GError **error) {
        const Flavor *flavor = conn_flavor(conn);
        const char *sql = flavor->mariadb ? "SHOW ALL SLAVES STATUS" : flavor->version >= 80022 ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows)
                return false;
        *ret = false;
        for (char **row; (row = conn_rows_take(rows));) {
                for (unsigned i = 0; i < conn_rows_columns(rows); i++)
                        if (g_str_has_suffix(conn_rows_column_name(rows, i), "_SQL_Running") && row[i] && g_ascii_strcasecmp(row[i], "No") != 0)
                                *ret = true;
        }
        return true;
}

static bool is_promoted(Side side, Conn *conn, GError **error) {
        bool read_only, replica;
        if (!fence_is_read_only(conn, &read_only, error) || !replicates(conn, &replica, error))
                return false;
        if (!read_only && !replica)
                return true;
        g_set_error(error, PS_ERROR, side == SIDE_SOURCE ? PS_ERROR_SOURCE_UNREACHABLE : PS_ERROR_DESTINATION_UNREACHABLE,
                    "the %s that takes writes cannot be reached; %s is another server, and not promoted yet (%s)", side_to_string(side), conn_label(conn),
                    read_only ? "read_only=1" : "it still replicates");
        return false;
}

/* --- does it hold what we have? --- */

typedef struct Ours {
        Executed *oldest, *newest;
} Ours;

static void ours_clear(Ours *ours) {
        g_clear_pointer(&ours->oldest, executed_free);
        g_clear_pointer(&ours->newest, executed_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Ours, ours_clear)

static bool unknown(Conn *conn, const char *why, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                    "%s is another server than before, and %s: the place in its log cannot be found. Point the endpoint at the server that it was, or cancel "
                    "and start a new migration", conn_label(conn), why);
        return false;
}

/* From the checkpoints on the other side. Their sets contain each other, in the order of their transactions. */
static bool load_ours(Engine *engine, Conn *conn, Ours *ret, GError **error) {
        Conn *down = control_acquire(engine, engine_reader(engine), error);
        g_autoptr(GArray) rows = down ? ledger_load_checkpoints(engine->ledger, down, engine->state->leg, error) : NULL;
        const Checkpoint *oldest = NULL, *newest = NULL;
        if (!rows)
                return false;
        for (guint i = 0; i < rows->len; i++) {
                const Checkpoint *row = &g_array_index(rows, Checkpoint, i);
                if (row->worker >= LEDGER_REPAIR_SLOT || (row->worker >= LEDGER_COPIER_BASE && row->seq == 0))
                        continue;
                if (*row->hold_file)
                        return unknown(conn, "an XA transaction that was prepared on the old one is open", error);
                if (!oldest || (row->worker < LEDGER_COPIER_BASE && row->seq < oldest->seq))
                        oldest = row;
                if (!newest || row->seq > newest->seq)
                        newest = row;
        }
        bool mariadb = conn_flavor(conn)->mariadb;
        ret->oldest = executed_new(oldest ? oldest->place->gtids : NULL, mariadb);
        ret->newest = executed_new(newest ? newest->place->gtids : NULL, mariadb);
        return (executed_known(ret->oldest) && executed_known(ret->newest)) ||
               unknown(conn, "what was applied so far is not known by GTID (gtid_mode=ON is needed from the start)", error);
}

static bool holds_ours(Engine *engine, Conn *conn, GError **error) {
        g_auto(Ours) ours = {0};
        bool numbered, mariadb = conn_flavor(conn)->mariadb;
        if (!load_ours(engine, conn, &ours, error) || !conn_numbers_transactions(conn, &numbered, error))
                return false;
        if (!numbered)
                return unknown(conn, "it has gtid_mode off", error);
        g_autofree char *executed_text = conn_executed_gtids(conn, error), *purged_text = executed_text ? conn_purged_gtids(conn, error) : NULL;
        if (!purged_text)
                return false;
        g_autoptr(Executed) executed = executed_new(executed_text, mariadb), purged = executed_new(purged_text, mariadb);
        if (!executed_known(executed) || !executed_known(purged))
                return unknown(conn, "its GTIDs cannot be read", error);
        if (!executed_contains(executed, ours.newest)) {
                g_autofree char *lost = executed_missing(ours.newest, executed);
                g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                            "%s was promoted without transactions that are applied on the other side already: %s. They are lost there and cannot be taken "
                            "back here; cancel, and start a new migration from it", conn_label(conn), lost);
                return false;
        }
        if (!executed_contains(ours.oldest, purged)) {
                g_autofree char *gone = executed_missing(purged, ours.oldest);
                g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                            "%s has purged transactions that were not applied yet: %s. Cancel, start a new migration, and let standbys keep their logs, too",
                            conn_label(conn), gone);
                return false;
        }
        return true;
}

/* --- from now on --- */

static bool take_over(Engine *engine, Side side, Conn *conn, GError **error) {
        EngineState *state = engine->state;
        VerificationState verification = state->verification;
        char *old = state->identity[side];
        state->identity[side] = g_strdup(conn_host_uuid(conn));
        state->verification = VERIFICATION_NONE; /* a standby may have drifted */
        dirty_forget(engine->dirty);
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error)) {
                g_free(state->identity[side]);
                state->identity[side] = old;
                state->verification = verification;
                return false;
        }
        engine_event(engine, ENGINE_EVENT_NOTE, 4, "the %s failed over: %s (%s) takes writes now, instead of %s, and holds all that was applied",
                     side_to_string(side), conn_label(conn), state->identity[side], old);
        g_free(old);
        /* These know the old one. */
        g_clear_pointer(&engine->monitor, monitor_free);
        g_free(engine->params[side]->identity);
        engine->params[side]->identity = g_strdup(state->identity[side]);
        if (verification != VERIFICATION_NONE)
                engine_verify_soon(engine);
        return true;
}

bool failover_accept(Engine *engine, Side side, Conn *conn, GError **error) {
        OwnerRow owner;
        if (!ledger_read_owner(engine->ledger, conn, &owner, error))
                return false;
        /* What it says of the epoch is looked at as of any server. */
        if (!engine->may_fail_over || side != engine->state->writer || !owner.present) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s is not the server that this migration started with (%s instead of %s); point the endpoint at that server", conn_label(conn),
                            conn_host_uuid(conn), engine->state->identity[side]);
                return false;
        }
        if (!is_promoted(side, conn, error))
                return false;
        engine_verify_cancel(engine); /* it waits for places in the old one's log */
        return holds_ours(engine, conn, error) && take_over(engine, side, conn, error);
}

/* --- several hosts --- */

static bool is_candidate(Conn *conn) {
        bool read_only;
        return fence_is_read_only(conn, &read_only, NULL) && !read_only;
}

void failover_choose_host(const Engine *engine, Side side, ConnParams *params) {
        GPtrArray *hosts = params->endpoint->hosts;
        const char *known = engine->state->identity[side];
        gint64 chosen = -1;
        bool found = false;
        if (hosts->len < 2 || !known || !*known)
                return;
        for (guint i = 0; i < hosts->len && !found; i++) {
                g_autoptr(Endpoint) one = endpoint_copy(params->endpoint);
                g_ptr_array_remove_range(one->hosts, i + 1, one->hosts->len - i - 1);
                if (i > 0)
                        g_ptr_array_remove_range(one->hosts, 0, i);
                ConnParams probe = *params;
                probe.endpoint = one;
                probe.identity = NULL;
                probe.connect_timeout = probe.io_timeout = PROBE_TIMEOUT;
                g_autoptr(Conn) conn = conn_open(&probe, 0, NULL);
                if (!conn)
                        continue;
                found = strcmp(conn_host_uuid(conn), known) == 0;
                if (found || (chosen < 0 && side == engine->state->writer && is_candidate(conn)))
                        chosen = i;
        }
        if (chosen < 0)
                return;
        g_ptr_array_remove_range(hosts, (guint) chosen + 1, hosts->len - (guint) chosen - 1);
        if (chosen > 0)
                g_ptr_array_remove_range(hosts, 0, (guint) chosen);
}
