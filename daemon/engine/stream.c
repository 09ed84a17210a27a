/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transaction boundaries, by server (seen in binary logs of all):
 *
 *   MySQL:   [GTID] QUERY "BEGIN"  TABLE_MAP ROWS …  XID      a transaction
 *            [GTID] QUERY …                                   a DDL statement, alone
 *   MariaDB: GTID                  TABLE_MAP ROWS …  XID      a transaction (GTID stands for BEGIN)
 *            GTID (standalone)  QUERY …                       a DDL statement
 *            (without an XID engine the end is QUERY "COMMIT")
 *
 *   both:    [GTID] QUERY "XA START"  TABLE_MAP ROWS …  QUERY "XA END"  XA_PREPARE        a prepared transaction (MariaDB: no XA START)
 *            [GTID] QUERY "XA COMMIT" or "XA ROLLBACK"                                    its end, any time later
 *            (MySQL 5.6 logs neither: an XA transaction is in its log as an ordinary one when it is committed)
 *
 * What is only prepared is held back (held.h): its rows take the place and the number of its XA COMMIT. The checkpoints name the place
 * before the oldest one that is open, and reading begins there again after a restart, so that its rows come again.
 *
 * Every transaction and every statement that stands alone gets one number, ours and those of other databases too: numbers
 * must come out the same when the log is read again. */

#include "engine/stream.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "engine/change.h"
#include "engine/ddl.h"
#include "engine/held.h"
#include "engine/partial.h"
#include "engine/proof.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define SIDE_QUEUE_MAX (8u * 1024 * 1024)

struct Stream {
        StreamConfig config;
        BinlogStream *dump;
        Thread *thread;
        gint stop;
        MapCache maps;
        RowImage before, after;
        GString *key, *tuple;
        TableSchema *pair; /* of our (id, value) tables */

        /* The transaction being read. */
        bool in_transaction, ours, first_table_seen;
        bool carried; /* it has rows of tables that are carried */
        bool open;    /* its first event was seen */
        RelayCommit commit;
        guint64 folded; /* the end of the event that was added to its sum last */
        unsigned last_type; /* of the events that are in the file itself */
        Proof *proof;
        Place *again; /* the transaction to be read again first; or NULL */
        Held *held;   /* it is an XA transaction: its events are gathered here; else NULL */
        HeldSet *prepared;

        pthread_mutex_t lock;
        pthread_cond_t moved;
        guint64 started, completed, programs_changed;
        char *file; /* how far everything was read */
        guint64 offset;
        Place *done;          /* where COMPLETED ended; NULL: not made yet of the two members below */
        char *done_file;
        RelayCommit done_commit;
        Executed *executed;   /* everything up to there */
        bool failed;
};

Stream *stream_new(const StreamConfig *config, GError **error) {
        const Place *place = config->begin;
        g_autoptr(Proof) proof = proof_new(config->rows, config->n_rows, place, config->seq, config->server, error);
        if (!proof)
                return NULL;
        bool elsewhere = proof_by_gtids(proof), again = !elsewhere && place->start > 0;
        g_autoptr(Executed) executed = executed_new(place->gtids, config->mariadb);
        BinlogStreamParams params = {
                .server = config->upstream,
                .file = elsewhere ? NULL : place->file,
                .position = again ? place->start : place->offset,
                .executed = elsewhere ? executed : NULL,
                .server_id = config->server_id,
        };
        g_autoptr(BinlogStream) dump = binlog_stream_open(&params, error);
        if (!dump)
                return NULL;
        if (strcmp(binlog_stream_identity(dump), config->server) != 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "%s is another server than a moment ago", binlog_stream_label(dump));
                return NULL;
        }

        Stream *stream = g_new0(Stream, 1);
        stream->config = *config;
        stream->dump = g_steal_pointer(&dump);
        stream->config.rows = NULL;
        stream->config.begin = NULL;
        stream->config.server = NULL;
        stream->started = stream->completed = config->seq;
        stream->file = g_strdup(elsewhere ? "" : place->file);
        stream->offset = elsewhere ? 0 : place->offset;
        stream->done = place_ref(place);
        stream->again = again ? place_ref(place) : NULL;
        stream->executed = g_steal_pointer(&executed);
        stream->proof = g_steal_pointer(&proof);
        if (proof_next(stream->proof) != G_MAXUINT64)
                relay_keep_back(config->relay);
        pthread_mutex_init(&stream->lock, /* attr= */ NULL);
        clock_cond_init(&stream->moved);
        map_cache_init(&stream->maps, config->tables);
        row_image_init(&stream->before, 0);
        row_image_init(&stream->after, 0);
        stream->key = g_string_new(NULL);
        stream->tuple = g_string_new(NULL);
        stream->pair = change_pair_schema();
        g_autofree char *directory = g_strdup_printf("%s/prepared", config->directory);
        stream->prepared = held_set_new(directory);
        return stream;
}

void stream_free(Stream *stream) {
        if (!stream)
                return;
        stream_stop(stream);
        binlog_stream_free(stream->dump);
        map_cache_clear(&stream->maps);
        row_image_clear(&stream->before);
        row_image_clear(&stream->after);
        g_string_free(stream->key, TRUE);
        g_string_free(stream->tuple, TRUE);
        table_schema_free(stream->pair);
        held_free(stream->held);
        held_set_free(stream->prepared);
        pthread_cond_destroy(&stream->moved);
        pthread_mutex_destroy(&stream->lock);
        proof_free(stream->proof);
        executed_free(stream->executed);
        place_unref(stream->done);
        place_unref(stream->again);
        g_free(stream->done_file);
        g_free(stream->file);
        g_free(stream);
}

/* --- positions and numbers --- */

/* Under the lock, as what comes out of it has to be. */
static void complete(Stream *stream, const char *file) {
        stream->completed = stream->started;
        g_clear_pointer(&stream->done, place_unref);
        if (!stream->done_file || strcmp(stream->done_file, file) != 0) {
                g_free(stream->done_file);
                stream->done_file = g_strdup(file);
        }
        stream->done_commit = stream->commit;
        executed_add(stream->executed, &stream->commit.gtid);
}

/* Made when it is asked for, since a set of GTIDs may be long. */
static Place *done_place(Stream *stream) {
        const RelayCommit *commit = &stream->done_commit;
        if (!stream->done) {
                g_autofree char *gtid = executed_gtid_to_string(&commit->gtid), *gtids = executed_to_string(stream->executed);
                stream->done = place_new(binlog_stream_identity(stream->dump), stream->done_file, commit->start, commit->offset, commit->crc, gtid, gtids);
        }
        return place_ref(stream->done);
}

static void move(Stream *stream, bool transaction_ended) {
        const char *file = binlog_stream_file(stream->dump);
        pthread_mutex_lock(&stream->lock);
        if (transaction_ended)
                complete(stream, file);
        if (!stream->file || strcmp(stream->file, file) != 0) {
                g_free(stream->file);
                stream->file = g_strdup(file);
        }
        stream->offset = binlog_stream_position(stream->dump);
        pthread_cond_broadcast(&stream->moved);
        pthread_mutex_unlock(&stream->lock);
}

static void begin(Stream *stream) {
        stream->in_transaction = true;
        stream->ours = stream->first_table_seen = stream->carried = false;
        pthread_mutex_lock(&stream->lock);
        stream->started++;
        pthread_mutex_unlock(&stream->lock);
}

static bool refuse(Stream *stream, const BinlogEvent *event, PsErrorCode code, const char *what, GError **error) {
        g_set_error(error, PS_ERROR, code, "%s at %s:%" G_GUINT64_FORMAT " (%s event)", what, binlog_stream_file(stream->dump),
                    binlog_stream_position(stream->dump), binlog_event_type_name(event->type));
        return false;
}

/* Compares what the checkpoints know of the transaction that was just read; behind the last of them the appliers may go on. */
static bool prove(Stream *stream, GError **error) {
        if (stream->completed < proof_next(stream->proof))
                return true;
        pthread_mutex_lock(&stream->lock);
        g_autoptr(Place) place = done_place(stream);
        pthread_mutex_unlock(&stream->lock);
        const char *gtids = NULL;
        if (!proof_take(stream->proof, stream->completed, place, stream->executed, &gtids, error))
                return false;
        /* Begun before the oldest checkpoint, for the sake of an XA transaction. */
        if (gtids && !executed_known(stream->executed)) {
                pthread_mutex_lock(&stream->lock);
                executed_free(stream->executed);
                stream->executed = executed_new(gtids, stream->config.mariadb);
                g_clear_pointer(&stream->done, place_unref);
                pthread_mutex_unlock(&stream->lock);
        }
        if (proof_next(stream->proof) == G_MAXUINT64)
                relay_hand_over(stream->config.relay);
        return true;
}

static bool end(Stream *stream, const BinlogEvent *event, GError **error) {
        if (!stream->in_transaction) /* counting it would shift the numbers of all that follow */
                return refuse(stream, event, PS_ERROR_DATA_MISMATCH, "the end of a transaction that did not begin", error);
        if (stream->held)
                return refuse(stream, event, PS_ERROR_DATA_MISMATCH, "an XA transaction that ends like an ordinary one", error);
        if (stream->config.halt_seq > 0 && stream->started >= stream->config.halt_seq)
                return refuse(stream, event, PS_ERROR_DATA_MISMATCH, "where a statement was carried before, there is another transaction", error);
        stream->in_transaction = stream->open = false;
        stream->commit.offset = binlog_stream_position(stream->dump);
        stream->commit.timestamp = event->timestamp;
        RelayHold hold = {0};
        (void) held_set_oldest(stream->prepared, &hold.seq, &hold.file, &hold.offset);
        if (!relay_commit(stream->config.relay, binlog_stream_file(stream->dump), &stream->commit, &hold, error))
                return false;
        move(stream, /* transaction_ended= */ true);
        return prove(stream, error);
}

/* --- row events --- */

static bool is_name(const BinlogTableMap *map, const char *name) {
        return strcmp(map->database, LEDGER_DATABASE) == 0 && strcmp(map->table, name) == 0;
}

/* The first table of a transaction tells whose it is (engine.md §7). */
static bool is_ours(const Stream *stream, const BinlogTableMap *map) {
        const Ledger *ledger = stream->config.ledger;
        return is_name(map, ledger->checkpoint_name) || is_name(map, ledger->watermark_name) ||
               is_name(map, ledger->canary_name) || is_name(map, ledger->intent_name) || is_name(map, "owner");
}

static bool read_own_rows(Stream *stream, const BinlogEvent *event, const MapEntry *entry, GError **error) {
        bool heartbeat = is_name(entry->map, stream->config.ledger->watermark_name);
        bool canary = is_name(entry->map, stream->config.ledger->canary_name);
        if (!heartbeat && !canary)
                return true;

        BinlogRows rows;
        if (!binlog_rows_begin(&rows, event, entry->map, stream->pair, error))
                return false;
        for (;;) {
                bool more;
                if (!binlog_rows_next(&rows, &stream->before, &stream->after, &more, error)) {
                        binlog_rows_end(&rows);
                        return false;
                }
                if (!more)
                        break;
                if (rows.operation == ROW_OPERATION_DELETE)
                        continue;
                guint64 id = g_ascii_strtoull(row_image_literal(&stream->after, 0), NULL, 10);
                guint64 value = g_ascii_strtoull(row_image_literal(&stream->after, 1), NULL, 10);
                if (heartbeat && id == 1)
                        stream->config.on_heartbeat(stream->config.userdata, stream->started, value);
                else if (canary && id == LEDGER_CANARY)
                        stream->config.on_canary(stream->config.userdata, stream->started, value);
        }
        binlog_rows_end(&rows);
        return true;
}

static void collect(Stream *stream, LinkTable *table, const RowImage *image, bool deleted) {
        g_string_truncate(stream->key, 0);
        key_append_from_image(stream->key, table->schema, image);
        g_string_truncate(stream->tuple, 0);
        if (!deleted)
                change_append_tuple(stream->tuple, table->schema, image);
        chunk_map_collect(table->chunks, stream->started, stream->key->str, stream->key->len, stream->tuple->str,
                          stream->tuple->len, deleted ? 0 : change_enum_zeros(table->schema, image), deleted, SIDE_QUEUE_MAX);
}

/* Row images for the chunks of TABLE that are in flight. */
static bool feed_chunks(Stream *stream, const BinlogEvent *event, const MapEntry *entry, GError **error) {
        BinlogRows rows;
        if (!binlog_rows_begin(&rows, event, entry->map, entry->table->schema, error))
                return false;
        for (;;) {
                bool more;
                if (!binlog_rows_next(&rows, &stream->before, &stream->after, &more, error)) {
                        binlog_rows_end(&rows);
                        return false;
                }
                if (!more)
                        break;
                RowVerdict verdict = row_make_whole(rows.operation, &stream->before, &stream->after, entry->table->schema,
                                                    stream->config.mariadb);
                if (verdict == ROW_LOST) {
                        partial_set_lost(entry->table->schema, error);
                        binlog_rows_end(&rows);
                        return false;
                }
                if (verdict == ROW_PARTIAL) { /* laid over a row it would make a new one, and the row is not at hand */
                        g_string_truncate(stream->key, 0);
                        key_append_from_image(stream->key, entry->table->schema, &stream->after);
                        chunk_map_spoil(entry->table->chunks, stream->key->str);
                        continue;
                }
                if (rows.operation != ROW_OPERATION_INSERT)
                        collect(stream, entry->table, &stream->before, /* deleted= */ true);
                if (rows.operation != ROW_OPERATION_DELETE)
                        collect(stream, entry->table, &stream->after, /* deleted= */ false);
        }
        binlog_rows_end(&rows);
        return true;
}

static bool keep(Stream *stream, const BinlogEvent *event, GError **error) {
        RelayRecord record = {
                .type = event->type,
                .flags = event->flags,
                .timestamp = event->timestamp,
                .data = event->body,
                .size = event->body_size,
        };
        return stream->held ? held_append(stream->held, &record, error) : relay_append(stream->config.relay, &record, error);
}

/* Reading may begin far back, at an XA transaction that was prepared there. What was written before the last statement that changed tables
 * is applied, and cannot be read with what the tables are now. The table of a prepared transaction cannot be changed meanwhile. */
static bool is_past(const Stream *stream) {
        return !stream->held && stream->started < stream->config.skip_ddl_seq;
}

static bool take_table_map(Stream *stream, const BinlogEvent *event, GError **error) {
        const MapEntry *entry;
        if (!map_cache_add(&stream->maps, event, is_past(stream), &entry, error))
                return false;
        if (!stream->first_table_seen) {
                stream->first_table_seen = true;
                stream->ours = is_ours(stream, entry->map);
        }
        return stream->ours || !entry->table || keep(stream, event, error);
}

/* Rows of a table that the downstream does not have: not ours to carry, or something went wrong. */
static bool may_pass_over(Stream *stream, const BinlogEvent *event, const BinlogTableMap *map, GError **error) {
        if (!spec_selects(stream->config.spec, map->database, map->table))
                return true;
        g_autofree char *name = sql_table(map->database, map->table), *left_out = g_strdup_printf("table %s: ", name);
        for (guint i = 0; stream->config.left_out && i < stream->config.left_out->len; i++)
                if (g_str_has_prefix(g_ptr_array_index(stream->config.left_out, i), left_out))
                        return true;
        g_autofree char *what = g_strdup_printf("rows of %s, which the other side does not have,", name);
        return refuse(stream, event, PS_ERROR_DATA_MISMATCH, what, error);
}

static bool take_rows(Stream *stream, const BinlogEvent *event, GError **error) {
        const MapEntry *entry;
        guint64 id;
        if (!stream->in_transaction)
                return refuse(stream, event, PS_ERROR_DATA_MISMATCH, "a row event outside a transaction", error);
        if (!binlog_rows_table_id(event, &id, error))
                return false;
        if (id == 0xffffff) /* MySQL's dummy event that only ends a statement */
                return true;
        if (!map_cache_find(&stream->maps, event, &entry, error))
                return false;
        if (stream->ours)
                return read_own_rows(stream, event, entry, error);
        if (!entry->table)
                return entry->past || may_pass_over(stream, event, entry->map, error);
        stream->carried = true;
        if (!stream->held && entry->table->chunks && chunk_map_collecting(entry->table->chunks) && !feed_chunks(stream, event, entry, error))
                return false;
        return keep(stream, event, error);
}

/* MySQL's updates that name only what changed inside of JSON values. */
static bool take_partial_rows(Stream *stream, const BinlogEvent *event, GError **error) {
        const MapEntry *entry;
        if (!map_cache_find(&stream->maps, event, &entry, error))
                return false;
        if (!entry->table)
                return true;
        return refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT,
                      "a session wrote only parts of JSON values: set binlog_row_value_options='' for every session, and start a new "
                      "migration", error);
}

/* --- what the engine has to deal with --- */

/* Reading ends in front of the statement; false without an error. */
static bool halt_at(Stream *stream, const BinlogEvent *event, const BinlogQuery *query, const Statement *statement, bool inside,
                    GError **error) {
        LinkHalt halt = {
                .kind = LINK_HALT_STATEMENT,
                .seq = stream->started,
                .file = (char *) binlog_stream_file(stream->dump),
                .offset = binlog_stream_position(stream->dump),
                .understood = statement->kind == STATEMENT_DDL,
                .inside = inside,
                .database = (char *) query->database,
        };
        if (!query_session_parse(event, query, &halt.session, error))
                return false;
        g_strlcpy(halt.what, *statement->what ? statement->what : "an empty statement", sizeof halt.what);
        halt.sql = g_bytes_new(query->sql, query->sql_length);
        stream->config.on_halt(stream->config.userdata, &halt);
        g_bytes_unref(halt.sql);
        return false;
}

/* --- XA --- */

static void begin_xa(Stream *stream) {
        pthread_mutex_lock(&stream->lock);
        stream->held = held_new(stream->prepared, stream->started, stream->file, stream->offset);
        pthread_mutex_unlock(&stream->lock);
        begin(stream);
}

static bool release_record(gpointer userdata, const RelayRecord *record, GError **error) {
        Stream *stream = userdata;
        BinlogEvent event = {
                .type = record->type,
                .flags = record->flags,
                .timestamp = record->timestamp,
                .body = record->data,
                .body_size = record->size,
        };
        if (g_atomic_int_get(&stream->stop)) {
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "told to stop");
                return false;
        }
        return event.type == BINLOG_EVENT_TABLE_MAP ? take_table_map(stream, &event, error) : take_rows(stream, &event, error);
}

/* What was held back is part of the transaction that is read now. */
static bool release(Stream *stream, Held *held, GError **error) {
        g_autoptr(Held) owned = held;
        return held_replay(held, release_record, stream, error);
}

/* For MariaDB the format is no part of a name: one that was prepared with format 4 can be ended with format 1. */
static void name_xid(const Stream *stream, const char *xid, char ret[static BINLOG_XID_TEXT]) {
        g_strlcpy(ret, xid, BINLOG_XID_TEXT);
        char *format = strrchr(ret, ',');
        if (format && stream->config.mariadb)
                *format = '\0';
}

/* MySQL 8 logs XA COMMIT … ONE PHASE in this form, too. */
static bool take_xa_prepare(Stream *stream, const BinlogEvent *event, GError **error) {
        BinlogXaPrepare prepare;
        if (!binlog_xa_prepare_parse(event, &prepare, error))
                return false;
        Held *held = g_steal_pointer(&stream->held);
        if (!held) /* its beginning was not recognised as one of XA */
                return refuse(stream, event, PS_ERROR_DATA_MISMATCH, "the end of an XA transaction that did not begin", error);
        char name[BINLOG_XID_TEXT];
        name_xid(stream, prepare.xid, name);
        if (prepare.one_phase ? !release(stream, held, error) : !held_set_keep(stream->prepared, name, held, error))
                return false;
        return end(stream, event, error);
}

/* XA COMMIT and XA ROLLBACK of what was prepared before. */
static bool take_xa_end(Stream *stream, const BinlogEvent *event, const BinlogQuery *query, Statement *statement, GError **error) {
        char name[BINLOG_XID_TEXT];
        name_xid(stream, statement->xid, name);
        g_autoptr(Held) held = held_set_take(stream->prepared, name);
        if (!stream->in_transaction) /* MariaDB's GTID may have begun it */
                begin(stream);
        bool known = held != NULL, commit = statement->kind == STATEMENT_XA_COMMIT;
        if (commit && known && !release(stream, g_steal_pointer(&held), error))
                return false;
        if (known || !commit || stream->started <= stream->config.skip_ddl_seq)
                return end(stream, event, error);
        /* When a leg begins nothing is prepared on either side, and every checkpoint goes back far enough. */
        g_strlcpy(statement->what, "XA COMMIT of a transaction that was prepared before the migration began to read there", sizeof statement->what);
        return halt_at(stream, event, query, statement, /* inside= */ false, error);
}

/* --- statements --- */

static bool take_query(Stream *stream, const BinlogEvent *event, GError **error) {
        g_auto(BinlogQuery) query = {0};
        if (!binlog_query_parse(event, &query, error))
                return false;

        Statement statement;
        statement_classify(query.sql, query.sql_length, query.database, stream->config.spec, &statement);
        if (statement.kind == STATEMENT_PROGRAM || statement.kind == STATEMENT_DDL) {
                pthread_mutex_lock(&stream->lock);
                stream->programs_changed++;
                pthread_mutex_unlock(&stream->lock);
        }
        bool inside;
        switch (statement.kind) {
        case STATEMENT_BEGIN:
                if (!stream->in_transaction)
                        begin(stream);
                return true;
        case STATEMENT_XA_BEGIN:
                if (!stream->in_transaction)
                        begin_xa(stream);
                return true;
        case STATEMENT_XA_COMMIT:
        case STATEMENT_XA_ROLLBACK:
                return take_xa_end(stream, event, &query, &statement, error);
        case STATEMENT_COMMIT:
                return end(stream, event, error);
        case STATEMENT_SAVEPOINT:
                return true;
        case STATEMENT_ROLLBACK:
        case STATEMENT_ROLLBACK_TO:
                /* Temporary tables leave such transactions in the log (DROP TEMPORARY TABLE cannot be undone). */
                if (!stream->carried)
                        return statement.kind == STATEMENT_ROLLBACK_TO || end(stream, event, error);
                return refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT,
                              "a transaction that was rolled back after it changed a non-transactional table", error);
        case STATEMENT_IGNORED: /* alone, or inside (DROP TEMPORARY TABLE) */
        case STATEMENT_PROGRAM: /* followed by comparing: engine-programs.c */
        case STATEMENT_NOT_CARRIED:
                if (statement.kind == STATEMENT_NOT_CARRIED)
                        stream->config.on_note(stream->config.userdata, statement.what);
                if (stream->in_transaction)
                        return true;
                begin(stream);
                return end(stream, event, error);
        case _STATEMENT_INVALID: /* alone, it can be passed over like DDL when the operator says so */
                if (stream->in_transaction)
                        break;
                G_GNUC_FALLTHROUGH;
        case STATEMENT_DDL:
                inside = stream->in_transaction; /* CREATE TABLE … SELECT: rows follow */
                if (!inside)
                        begin(stream);
                /* Each one up to there was done, or passed over by the operator, one after the other; reading may begin before all of them. */
                if (stream->started <= stream->config.skip_ddl_seq)
                        return inside ? true : end(stream, event, error);
                return halt_at(stream, event, &query, &statement, inside, error);
        case STATEMENT_DATA:
                return refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT,
                              "a session wrote with binlog_format=STATEMENT; its rows are not in the binary log: copy the "
                              "table again with a new migration, and set binlog_format=ROW for every session", error);
        case _STATEMENT_MAX:
                break;
        }
        return refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT, "a statement that is not understood", error);
}

static bool take_gtid(Stream *stream, const BinlogEvent *event, GError **error) {
        BinlogGtid gtid;
        if (!binlog_gtid_parse(event, &gtid, error))
                return false;
        stream->commit.gtid = gtid;
        if (gtid.mariadb && gtid.prepared)
                begin_xa(stream);
        else if (gtid.mariadb && !gtid.standalone)
                begin(stream);
        return true;
}

/* What is in a file beside transactions. */
static bool is_between(unsigned type) {
        switch (type) {
        case BINLOG_EVENT_ROTATE:
        case BINLOG_EVENT_STOP:
        case BINLOG_EVENT_FORMAT_DESCRIPTION:
        case BINLOG_EVENT_PREVIOUS_GTIDS:
        case BINLOG_EVENT_MARIADB_GTID_LIST:
        case BINLOG_EVENT_MARIADB_BINLOG_CHECKPOINT:
        case BINLOG_EVENT_MARIADB_START_ENCRYPTION:
        case BINLOG_EVENT_HEARTBEAT:
        case BINLOG_EVENT_HEARTBEAT_V2:
                return true;
        default:
                return false;
        }
}

static bool is_heartbeat(const BinlogEvent *event) {
        return event->type == BINLOG_EVENT_HEARTBEAT || event->type == BINLOG_EVENT_HEARTBEAT_V2;
}

/* Where the transaction begins, and the sum of its events: what proves later that it is still there. */
static void follow(Stream *stream, const BinlogEvent *event) {
        guint64 position = binlog_stream_position(stream->dump);
        bool numbered = event->type == BINLOG_EVENT_GTID || event->type == BINLOG_EVENT_ANONYMOUS_GTID || event->type == BINLOG_EVENT_GTID_TAGGED ||
                        event->type == BINLOG_EVENT_MARIADB_GTID;
        if (is_between(event->type))
                return;
        if (numbered || !stream->open) {
                stream->open = true;
                stream->folded = 0;
                stream->commit = (RelayCommit){.start = position - event->size};
        }
        if (position == stream->folded) /* one more of the events of a compressed transaction */
                return;
        stream->folded = position;
        stream->commit.crc = proof_fold(stream->commit.crc, binlog_stream_crc(stream->dump));
}

/* An orderly stop ends the file with an event of its own, and so does a new file. */
static void look_for_crash(Stream *stream, const BinlogEvent *event) {
        bool artificial = event->log_pos == 0 || event->flags & BINLOG_FLAG_ARTIFICIAL;
        if (is_heartbeat(event))
                return;
        if (event->type == BINLOG_EVENT_ROTATE && artificial) {
                if (*stream->file && strcmp(stream->file, binlog_stream_file(stream->dump)) != 0 && stream->last_type != BINLOG_EVENT_STOP &&
                    stream->last_type != BINLOG_EVENT_ROTATE)
                        stream->config.on_crash(stream->config.userdata, stream->file);
        } else if (!artificial)
                stream->last_type = event->type;
}

static bool take(Stream *stream, const BinlogEvent *event, GError **error) {
        look_for_crash(stream, event);
        follow(stream, event);
        if (binlog_row_operation(event->type) != _ROW_OPERATION_INVALID)
                return take_rows(stream, event, error);

        switch (event->type) {
        case BINLOG_EVENT_TABLE_MAP:
                return take_table_map(stream, event, error);
        case BINLOG_EVENT_XID:
                return end(stream, event, error);
        case BINLOG_EVENT_XA_PREPARE:
                return take_xa_prepare(stream, event, error);
        case BINLOG_EVENT_QUERY:
        case BINLOG_EVENT_MARIADB_QUERY_COMPRESSED:
                return take_query(stream, event, error);
        case BINLOG_EVENT_GTID:
        case BINLOG_EVENT_MARIADB_GTID:
                return take_gtid(stream, event, error);
        case BINLOG_EVENT_ANONYMOUS_GTID:
        case BINLOG_EVENT_GTID_TAGGED: /* places are kept by file and offset; the transaction begins with its QUERY */
        case BINLOG_EVENT_INTVAR: /* these three stand before a statement, which is refused where it matters */
        case BINLOG_EVENT_RAND:
        case BINLOG_EVENT_USER_VAR:
        case BINLOG_EVENT_ROWS_QUERY:
        case BINLOG_EVENT_MARIADB_ANNOTATE_ROWS:
        case BINLOG_EVENT_IGNORABLE:
                return true;
        case BINLOG_EVENT_ROTATE:
        case BINLOG_EVENT_STOP:
        case BINLOG_EVENT_FORMAT_DESCRIPTION:
        case BINLOG_EVENT_PREVIOUS_GTIDS:
        case BINLOG_EVENT_MARIADB_GTID_LIST:
        case BINLOG_EVENT_MARIADB_BINLOG_CHECKPOINT:
        case BINLOG_EVENT_HEARTBEAT:
        case BINLOG_EVENT_HEARTBEAT_V2:
                if (!stream->in_transaction)
                        move(stream, /* transaction_ended= */ false);
                return !is_heartbeat(event) || proof_take_end(stream->proof, stream->completed, error);
        case BINLOG_EVENT_PARTIAL_UPDATE_ROWS:
                return take_partial_rows(stream, event, error);
        default:
                if (event->flags & BINLOG_FLAG_IGNORABLE)
                        return true;
                return refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT, "an event that this version does not understand", error);
        }
}

static void reader(gpointer data) {
        Stream *stream = data;
        g_autoptr(GError) error = NULL;
        BinlogEvent event;

        bool good = !stream->again || proof_read_again(stream->dump, stream->again, &error);
        while (good && !g_atomic_int_get(&stream->stop))
                if (!binlog_stream_next(stream->dump, &event, &error) || !take(stream, &event, &error))
                        break;

        pthread_mutex_lock(&stream->lock);
        stream->failed = true;
        pthread_cond_broadcast(&stream->moved);
        pthread_mutex_unlock(&stream->lock);
        if (error && !g_atomic_int_get(&stream->stop))
                stream->config.on_failure(stream->config.userdata, error);
}

void stream_run(Stream *stream) {
        stream->thread = thread_start("reader", reader, stream);
}

void stream_stop(Stream *stream) {
        g_atomic_int_set(&stream->stop, 1);
        binlog_stream_abort(stream->dump);
        thread_join(g_steal_pointer(&stream->thread));
}

guint64 stream_started(Stream *stream) {
        pthread_mutex_lock(&stream->lock);
        guint64 seq = stream->started;
        pthread_mutex_unlock(&stream->lock);
        return seq;
}

guint64 stream_completed(Stream *stream) {
        pthread_mutex_lock(&stream->lock);
        guint64 seq = stream->completed;
        pthread_mutex_unlock(&stream->lock);
        return seq;
}

guint64 stream_programs_changed(Stream *stream) {
        pthread_mutex_lock(&stream->lock);
        guint64 changed = stream->programs_changed;
        pthread_mutex_unlock(&stream->lock);
        return changed;
}

bool stream_wait(Stream *stream, const char *file, guint64 offset, gint64 timeout_usec, guint64 *ret_seq, Place **ret_place, GError **error) {
        struct timespec until = clock_deadline(MAX(timeout_usec, 0));
        bool there, failed, timed_out = false;

        pthread_mutex_lock(&stream->lock);
        for (;;) {
                there = binlog_position_compare(stream->file, stream->offset, file, offset) >= 0;
                failed = stream->failed;
                if (there || failed || timed_out)
                        break;
                if (timeout_usec < 0)
                        pthread_cond_wait(&stream->moved, &stream->lock);
                else
                        timed_out = pthread_cond_timedwait(&stream->moved, &stream->lock, &until) != 0;
        }
        *ret_seq = stream->completed;
        if (there && ret_place)
                *ret_place = done_place(stream);
        pthread_mutex_unlock(&stream->lock);

        if (there)
                return true;
        if (failed)
                g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "the stream has ended");
        else
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED, "the binary log was not read up to %s:%" G_GUINT64_FORMAT
                            " in time", file, offset);
        return false;
}

void stream_position(Stream *stream, char **ret_file, guint64 *ret_offset) {
        pthread_mutex_lock(&stream->lock);
        *ret_file = g_strdup(stream->file);
        *ret_offset = stream->offset;
        pthread_mutex_unlock(&stream->lock);
}
