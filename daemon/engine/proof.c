/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See proof.h. */

#include "engine/proof.h"

#include <string.h>
#include <zlib.h>

#include "base/error.h"

#define WHAT_TO_DO "Transactions were lost there, or replaced, and which is not known: cancel, and start a new migration"

typedef struct Mark {
        guint64 seq;
        Place *place;
} Mark;

struct Proof {
        bool by_gtids; /* from the oldest checkpoint on */
        char *server;
        GArray *marks; /* of Mark, by seq */
        guint next;
};

static void mark_clear(gpointer data) {
        place_unref(((Mark *) data)->place);
}

static gint by_seq(gconstpointer a, gconstpointer b) {
        guint64 x = ((const Mark *) a)->seq, y = ((const Mark *) b)->seq;
        return x < y ? -1 : x > y;
}

static bool of_server(const Place *place, const char *server) {
        return strcmp(place->server, server) == 0;
}

/* Rows of the same transaction must agree before anything is read. */
static bool rows_agree(const Place *begin, guint64 seq, const Checkpoint *row, GError **error) {
        if (row->seq != seq || begin->start == 0 || !of_server(row->place, begin->server) || place_same(row->place, begin))
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE,
                    "two checkpoints of transaction %" G_GUINT64_FORMAT " name different places in the log: they were changed by somebody else",
                    row->seq);
        return false;
}

Proof *proof_new(const Checkpoint *rows, guint n, const Place *begin, guint64 seq, const char *server, GError **error) {
        g_autoptr(Proof) proof = g_new0(Proof, 1);
        proof->server = g_strdup(server);
        proof->marks = g_array_new(FALSE, FALSE, sizeof(Mark));
        g_array_set_clear_func(proof->marks, mark_clear);
        proof->by_gtids = !of_server(begin, server);
        if (proof->by_gtids && !begin->gtids) {
                g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                            "another server answers now (%s instead of %s), and without GTIDs (gtid_mode=ON, no XA transaction open) the place in its log "
                            "cannot be found. Point the endpoint at the server that it was, or cancel and start a new migration",
                            server, begin->server);
                return NULL;
        }
        for (guint i = 0; i < n; i++) {
                const Checkpoint *row = &rows[i];
                if (row->worker >= LEDGER_REPAIR_SLOT)
                        continue;
                if (!rows_agree(begin, seq, row, error))
                        return NULL;
                /* The first changes of a transaction that is not named: another server may have another one next. */
                if (row->part > 0 && row->worker < LEDGER_COPIER_BASE && !of_server(row->place, server)) {
                        g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE,
                                    "another server answers now (%s), and a transaction of the old one (%s) is half applied. Point the endpoint at "
                                    "the old one until it is whole, or cancel and start a new migration",
                                    server, row->place->server);
                        return NULL;
                }
                if (row->seq <= seq)
                        continue;
                Mark mark = {row->seq, place_ref(row->place)};
                g_array_append_val(proof->marks, mark);
        }
        g_array_sort(proof->marks, by_seq);
        return g_steal_pointer(&proof);
}

void proof_free(Proof *proof) {
        if (!proof)
                return;
        g_array_unref(proof->marks);
        g_free(proof->server);
        g_free(proof);
}

bool proof_by_gtids(const Proof *proof) {
        return proof->by_gtids;
}

guint64 proof_next(const Proof *proof) {
        return proof->next < proof->marks->len ? g_array_index(proof->marks, Mark, proof->next).seq : G_MAXUINT64;
}

static bool refuse(const Place *place, guint64 seq, const char *found, GError **error) {
        g_autofree char *wanted = place_describe(place);
        g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE, "transaction %" G_GUINT64_FORMAT " was applied from %s, but %s. " WHAT_TO_DO, seq,
                    wanted, found);
        return false;
}

static bool absent(const BinlogStream *dump, const Place *place, const char *found, GError **error) {
        g_autofree char *wanted = place_describe(place);
        g_set_error(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE, "%s does not have the transaction any more that was applied last, %s: %s. " WHAT_TO_DO
                    " (purged: let the server keep its logs for longer; crashed: set sync_binlog=1)", binlog_stream_label(dump), wanted, found);
        return false;
}

bool proof_read_again(BinlogStream *dump, const Place *place, GError **error) {
        guint32 crc = 0;
        for (;;) {
                BinlogEvent event;
                GError *local = NULL;
                if (!binlog_stream_next(dump, &event, &local)) {
                        /* A lost connection says nothing; anything else, that the bytes there are no events now. */
                        if (local->domain != PS_ERROR) {
                                g_propagate_error(error, local);
                                return false;
                        }
                        const char *reason = binlog_stream_reason(dump);
                        absent(dump, place, *reason ? reason : local->message, error);
                        g_error_free(local);
                        return false;
                }
                bool here = strcmp(binlog_stream_file(dump), place->file) == 0;
                bool end_of_log = event.type == BINLOG_EVENT_HEARTBEAT || event.type == BINLOG_EVENT_HEARTBEAT_V2;
                if (!here || end_of_log)
                        return absent(dump, place, "the log ends before", error);
                if (event.type == BINLOG_EVENT_ROTATE || event.type == BINLOG_EVENT_FORMAT_DESCRIPTION)
                        continue;
                crc = proof_fold(crc, binlog_stream_crc(dump));
                binlog_stream_drop_payload(dump);
                if (binlog_stream_position(dump) >= place->offset)
                        break;
        }
        if (binlog_stream_position(dump) == place->offset && crc == place->crc)
                return true;
        return absent(dump, place, "another one is there", error);
}

guint32 proof_fold(guint32 crc, guint32 event_crc) {
        guint8 bytes[4] = {(guint8) event_crc, (guint8) (event_crc >> 8), (guint8) (event_crc >> 16), (guint8) (event_crc >> 24)};
        return (guint32) crc32(crc, bytes, sizeof bytes);
}

static bool same_executed(const Place *place, const Executed *executed) {
        g_autofree char *now = executed_to_string(executed);
        g_autoptr(Executed) then = now ? executed_new(place->gtids, executed_is_mariadb(executed)) : NULL;
        return then && executed_equal(then, executed);
}

bool proof_take(Proof *proof, guint64 seq, const Place *place, const Executed *executed, const char **ret_gtids, GError **error) {
        while (seq == proof_next(proof)) {
                const Place *wanted = g_array_index(proof->marks, Mark, proof->next).place;
                if (of_server(wanted, proof->server)) {
                        if (!place_same(wanted, place)) {
                                g_autofree char *now = place_describe(place), *found = g_strdup_printf("%s is at its place now", now);
                                return refuse(wanted, seq, found, error);
                        }
                } else if (!same_executed(wanted, executed))
                        return refuse(wanted, seq, "the server that is read now has other transactions up to there, or in another order", error);
                if (wanted->gtids)
                        *ret_gtids = wanted->gtids;
                proof->next++;
        }
        return true;
}

bool proof_take_end(const Proof *proof, guint64 seq, GError **error) {
        /* By GTID a server may say that nothing is new while it still passes over what was not asked for. */
        if (proof->by_gtids || proof_next(proof) == G_MAXUINT64)
                return true;
        const Mark *mark = &g_array_index(proof->marks, Mark, proof->next);
        g_autofree char *found = g_strdup_printf("the log ends behind transaction %" G_GUINT64_FORMAT, seq);
        return refuse(mark->place, mark->seq, found, error);
}
