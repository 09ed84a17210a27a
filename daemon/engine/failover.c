/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See failover.h. */

#include "engine/failover.h"

#include "base/error.h"
#include "engine/control.h"
#include "engine/fence.h"
#include "mysql/executed.h"

#define PROBE_TIMEOUT 5 /* s */

/* --- is it promoted? --- */

typedef struct Role {
        bool read_only;
        bool replicates; /* now */
        bool follows;    /* somebody, when it is told to */
} Role;

static bool read_role(Conn *conn, Role *ret, GError **error) {
        const Flavor *flavor = conn_flavor(conn);
        const char *sql = flavor->mariadb ? "SHOW ALL SLAVES STATUS" : flavor->version >= 80022 ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
        *ret = (Role){0};
        g_autoptr(ConnRows) rows = conn_query(conn, sql, error);
        if (!rows || !fence_is_read_only(conn, &ret->read_only, error))
                return false;
        for (char **row; (row = conn_rows_take(rows)); ret->follows = true) {
                for (unsigned i = 0; i < conn_rows_columns(rows); i++)
                        if (g_str_has_suffix(conn_rows_column_name(rows, i), "_SQL_Running") && row[i] && g_ascii_strcasecmp(row[i], "No") != 0)
                                ret->replicates = true;
        }
        return true;
}

/* A standby whose replication somebody has stopped is no primary yet. On the side that takes writes it is opened to become one; the other side is
 * closed in any case, so there it may also be one that follows nobody any more. */
static const char *why_not_promoted(const Engine *engine, Side side, const Role *role) {
        if (role->replicates)
                return "it still replicates";
        if (!role->read_only || (side != engine->state->writer && !role->follows))
                return NULL;
        return "read_only=1";
}

static bool is_promoted(const Engine *engine, Side side, Conn *conn, GError **error) {
        Role role;
        if (!read_role(conn, &role, error))
                return false;
        const char *why = why_not_promoted(engine, side, &role);
        if (!why)
                return true;
        g_set_error(error, PS_ERROR, side == SIDE_SOURCE ? PS_ERROR_SOURCE_UNREACHABLE : PS_ERROR_DESTINATION_UNREACHABLE,
                    "the %s cannot be reached; %s is another server, and not promoted yet (%s)", side_to_string(side), conn_label(conn), why);
        return false;
}

/* --- the side that takes writes: does it hold what we have? --- */

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

/* From the checkpoints on the other side. Their sets contain each other, in the order of their transactions. What a link still brings in of the
 * old server's log, or an earlier one's session that is about to commit, has to be in them (tests/model/switch.pml, MISTAKE_ACCEPT_EARLY). */
static bool load_ours(Engine *engine, Conn *conn, Ours *ret, GError **error) {
        Side reader = engine_reader(engine);
        engine_stop_link(engine);
        Conn *down = control_acquire(engine, reader, error);
        /* Behind the commit point of a switch it may not have been released yet. */
        bool settled = down && fence_let_go(&engine->fence, down, /* lock= */ NULL, error) && engine_raise_epoch(engine, reader, down, error);
        g_autoptr(GArray) rows = settled ? ledger_load_checkpoints(engine->ledger, down, engine->state->leg, error) : NULL;
        const Checkpoint *oldest = NULL, *newest = NULL;
        if (!rows) {
                engine_name_error(engine, reader, error);
                return false;
        }
        for (guint i = 0; i < rows->len; i++) {
                const Checkpoint *row = &g_array_index(rows, Checkpoint, i);
                if (row->worker >= LEDGER_REPAIR_SLOT || (row->worker >= LEDGER_COPIER_BASE && row->seq == 0) || !*row->place->file)
                        continue;
                if (*row->hold_file)
                        return unknown(conn, "an XA transaction that was prepared on the old one is open", error);
                if (!oldest || (row->worker < LEDGER_COPIER_BASE && row->seq < oldest->seq))
                        oldest = row;
                if (!newest || row->seq > newest->seq)
                        newest = row;
        }
        bool mariadb = conn_flavor(conn)->mariadb;
        const char *start = engine->state->leg_start.gtids; /* of a leg that has not begun yet */
        ret->oldest = executed_new(oldest ? oldest->place->gtids : start, mariadb);
        ret->newest = executed_new(newest ? newest->place->gtids : start, mariadb);
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

/* --- the other side: does it hold what is not sent again? --- */

/* Right behind the commit point of a switch the leg has no checkpoints yet: the standby of the side that was left has to hold all that it was left with. */
static bool holds_end(Engine *engine, Conn *conn, bool *ret, GError **error) {
        const EngineState *state = engine->state;
        bool mariadb = conn_flavor(conn)->mariadb;
        *ret = false;
        if (state->step < SWITCH_STEP_RELEASE || !state->end_position.gtids)
                return true;
        g_autofree char *text = conn_executed_gtids(conn, error);
        if (!text)
                return false;
        g_autoptr(Executed) executed = executed_new(text, mariadb), end = executed_new(state->end_position.gtids, mariadb);
        *ret = executed_known(executed) && executed_known(end) && executed_contains(executed, end);
        return true;
}

/* Rows and checkpoints are committed together, so a standby that lost the end of its primary's log says itself from where on it needs what the
 * other side logged. Only a copy that was recorded as complete, and what was written to it while it took writes, is not sent again: the
 * checkpoints of this leg came after that. */
static bool holds_copies(Engine *engine, Conn *conn, GError **error) {
        const EngineState *state = engine->state;
        g_autoptr(GArray) rows = ledger_load_checkpoints(engine->ledger, conn, state->leg, error);
        guint64 oldest = G_MAXUINT64;
        bool begun = true; /* their rows are made in the guard of a switch, but a place they get when it is committed */
        if (!rows)
                return false;
        for (guint i = 0; i < rows->len; i++) {
                const Checkpoint *row = &g_array_index(rows, Checkpoint, i);
                if (row->worker >= LEDGER_COPIER_BASE)
                        continue;
                oldest = MIN(oldest, row->seq);
                begun = begun && *row->place->file;
        }
        begun = begun && oldest != G_MAXUINT64;
        bool all = false, known = !state->copied || state->leg > 1 || state->copied_seq > 0;
        if (!begun && !holds_end(engine, conn, &all, error))
                return false;
        if (all || (begun && known && (!state->copied || oldest >= state->copied_seq)))
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "%s was promoted, and %s. Point the endpoint at the server that it was, or cancel and start a new migration",
                    conn_label(conn), !begun ? "lacks the beginning of this direction's replication, and perhaps rows before it"
                                      : known ? "lacks rows that were copied to the old one" : "nothing says whether it has all rows that were copied to the old one");
        return false;
}

/* --- from now on --- */

static bool take_over(Engine *engine, Side side, Conn *conn, GError **error) {
        EngineState *state = engine->state;
        VerificationState verification = state->verification;
        bool writer = side == state->writer, proven = state->reverse_proven;
        if (!writer) /* it read the old one's log */
                engine_stop_watch(engine);
        BinlogPosition watched = writer ? (BinlogPosition){0} : state->watched;
        char *old = state->identity[side];
        state->identity[side] = g_strdup(conn_host_uuid(conn));
        state->verification = VERIFICATION_NONE; /* a standby may have drifted */
        engine_verify_void(engine);
        dirty_forget(engine->dirty);
        if (!writer) {
                state->watched = (BinlogPosition){0};
                state->reverse_proven = false;
        }
        if (!engine_commit(engine, _MIGRATION_PHASE_INVALID, NULL, error)) {
                g_free(state->identity[side]);
                state->identity[side] = old;
                state->verification = verification;
                if (!writer) {
                        state->watched = watched;
                        state->reverse_proven = proven;
                }
                return false;
        }
        binlog_position_clear(&watched);
        engine->owned[side] = false;
        engine_event(engine, ENGINE_EVENT_NOTE, 4, "the %s failed over: %s (%s) %s now, instead of %s, and holds all that %s", side_to_string(side), conn_label(conn),
                     state->identity[side], writer ? "takes writes" : "is applied to", old, writer ? "was applied" : "is not sent again");
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
        if (!engine->may_fail_over || !owner.present) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s is not the server that this migration started with (%s instead of %s); point the endpoint at that server", conn_label(conn),
                            conn_host_uuid(conn), engine->state->identity[side]);
                return false;
        }
        if (side == engine->state->writer && owner.writer != side) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                            "%s is another server than before, and lacks the row that says that the %s takes writes: in the middle of a switch restart the agent, which undoes it "
                            "then; else point the endpoint at the server that it was", conn_label(conn), side_to_string(side));
                return false;
        }
        if (!is_promoted(engine, side, conn, error))
                return false;
        engine_verify_cancel(engine); /* it waits for places in the old one's log */
        return (side == engine->state->writer ? holds_ours(engine, conn, error) : holds_copies(engine, conn, error)) && take_over(engine, side, conn, error);
}

/* --- several hosts --- */

static bool is_candidate(const Engine *engine, Side side, Conn *conn) {
        Role role;
        return read_role(conn, &role, NULL) && !why_not_promoted(engine, side, &role);
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
                if (found || (chosen < 0 && is_candidate(engine, side, conn)))
                        chosen = i;
        }
        if (chosen < 0)
                return;
        g_ptr_array_remove_range(hosts, (guint) chosen + 1, hosts->len - (guint) chosen - 1);
        if (chosen > 0)
                g_ptr_array_remove_range(hosts, 0, (guint) chosen);
}
