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

#include "engine/stream-private.h"

#include "base/clock.h"
#include "base/thread.h"
#include "engine/change.h"
#include "mysql/sql.h"
#include "mysql/value.h"


Stream *stream_new(const StreamConfig *config, GError **error) {
        const Place *place = config->begin;
        g_autoptr(Proof) proof = proof_new(config->rows, config->n_rows, place, config->seq, config->server, error);
        if (!proof)
                return NULL;
        bool elsewhere = proof_by_gtids(proof), again = !elsewhere && place->start > 0;
        g_autoptr(Executed) executed = executed_new(place->gtids, config->mariadb);
        /* The plain dump takes 32 bits, and reads the file from its beginning for the sake of anything behind them. */
        bool far = !again && place->offset > G_MAXUINT32 && executed_known(executed);
        BinlogStreamParams params = {
                .server = config->upstream,
                .file = elsewhere ? NULL : place->file,
                .position = again ? place->start : place->offset,
                .executed = elsewhere || far ? executed : NULL,
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

bool stream_refuse(Stream *stream, const BinlogEvent *event, PsErrorCode code, const char *what, GError **error) {
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
                return stream_refuse(stream, event, PS_ERROR_DATA_MISMATCH, "the end of a transaction that did not begin", error);
        if (stream->held)
                return stream_refuse(stream, event, PS_ERROR_DATA_MISMATCH, "an XA transaction that ends like an ordinary one", error);
        if (stream->config.halt_seq > 0 && stream->started >= stream->config.halt_seq)
                return stream_refuse(stream, event, PS_ERROR_DATA_MISMATCH, "where a statement was carried before, there is another transaction", error);
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
        return event.type == BINLOG_EVENT_TABLE_MAP ? stream_take_table_map(stream, &event, error) : stream_take_rows(stream, &event, error);
}

/* What was held back is part of the transaction that is read now. */
static bool release(Stream *stream, Held *held, GError **error) {
        g_autoptr(Held) owned = held;
        return held_replay(owned, release_record, stream, error);
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
                return stream_refuse(stream, event, PS_ERROR_DATA_MISMATCH, "the end of an XA transaction that did not begin", error);
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

/* A statement that changed rows which are not in the log. */
static bool take_data(Stream *stream, const BinlogEvent *event, const BinlogQuery *query, const Statement *statement, GError **error) {
        bool inside = stream->in_transaction;
        if (!inside)
                begin(stream);
        const LinkTable *table = *statement->table ? link_tables_find(stream->config.tables, statement->database, statement->table) : NULL;
        bool passed = stream->started <= MAX(stream->config.skip_ddl_seq, stream->config.settled_seq); /* the operator said so; it is done */
        passed |= table && stream->started <= table->again_seq;           /* read when it is copied again */
        passed |= statement->all_rows && stream_is_left_out(stream, statement->database, statement->table); /* no trigger fires for that */
        if (!passed)
                return stream_halt_for_rows(stream, query, statement, NULL);
        return inside || end(stream, event, error);
}

bool stream_is_passed_over(Stream *stream, guint32 connection) {
        pthread_mutex_lock(&stream->lock);
        bool passed = stream->passed_over != 0 && stream->passed_over == connection;
        pthread_mutex_unlock(&stream->lock);
        return passed;
}

static bool take_query(Stream *stream, const BinlogEvent *event, GError **error) {
        g_auto(BinlogQuery) query = {0};
        if (!binlog_query_parse(event, &query, error))
                return false;
        if (stream->commit.gtid.without_effect) { /* of an ALTER in two phases only the end that succeeded counts */
                begin(stream);
                return end(stream, event, error);
        }

        Statement statement;
        statement_classify(query.sql, query.sql_length, query.database, stream->config.spec, &statement);
        if ((statement.kind == STATEMENT_PROGRAM || statement.kind == STATEMENT_ACCOUNT) && !stream_is_passed_over(stream, query.thread_id))
                stream_note_programs(stream);
        bool inside;
        switch (statement.kind) {
        case STATEMENT_BEGIN:
                stream->begun_by = query.thread_id;
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
                return stream_refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT,
                              "a transaction that was rolled back after it changed a non-transactional table", error);
        case STATEMENT_IGNORED: /* alone, or inside (DROP TEMPORARY TABLE) */
        case STATEMENT_PROGRAM: /* followed by comparing: engine-programs.c */
        case STATEMENT_ACCOUNT:
        case STATEMENT_NOT_CARRIED:
                if (statement.kind == STATEMENT_NOT_CARRIED)
                        stream->config.on_note(stream->config.userdata, statement.what);
                else if (statement.kind == STATEMENT_ACCOUNT && !spec_is_whole_instance(stream->config.spec)) {
                        g_autofree char *note = g_strdup_printf("%s is not carried: accounts stay with their server when only a part of it is migrated",
                                                                statement.what);
                        stream->config.on_note(stream->config.userdata, note);
                }
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
                return take_data(stream, event, &query, &statement, error);
        case _STATEMENT_MAX:
                break;
        }
        return stream_refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT, "a statement that is not understood", error);
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
        if (binlog_stream_packets(stream->dump) == stream->folded) /* one more of the events of a compressed transaction */
                return;
        stream->folded = binlog_stream_packets(stream->dump);
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
                return stream_take_rows(stream, event, error);

        switch (event->type) {
        case BINLOG_EVENT_TABLE_MAP:
                return stream_take_table_map(stream, event, error);
        case BINLOG_EVENT_XID:
                return end(stream, event, error);
        case BINLOG_EVENT_XA_PREPARE:
                return take_xa_prepare(stream, event, error);
        case BINLOG_EVENT_QUERY:
        case BINLOG_EVENT_EXECUTE_LOAD_QUERY:
        case BINLOG_EVENT_MARIADB_QUERY_COMPRESSED:
                return take_query(stream, event, error);
        case BINLOG_EVENT_GTID:
        case BINLOG_EVENT_GTID_TAGGED:
        case BINLOG_EVENT_MARIADB_GTID:
                return take_gtid(stream, event, error);
        case BINLOG_EVENT_ANONYMOUS_GTID: /* nothing is known by GTID from there on */
        case BINLOG_EVENT_BEGIN_LOAD_QUERY: /* the file of a LOAD DATA, and … */
        case BINLOG_EVENT_APPEND_BLOCK:
        case BINLOG_EVENT_DELETE_FILE:
        case BINLOG_EVENT_INTVAR: /* … these three stand before a statement: what it changes is copied again */
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
                return stream_take_partial_rows(stream, event, error);
        default:
                if (event->flags & BINLOG_FLAG_IGNORABLE)
                        return true;
                return stream_refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT, "an event that this version does not understand", error);
        }
}

/* Everything up to here is the upstream as it was at one moment. Heartbeats of ours come each second, so that it is soon. */
static bool ends_here(Stream *stream) {
        if (!g_atomic_int_get(&stream->ending) || stream->in_transaction || stream->open || proof_next(stream->proof) != G_MAXUINT64)
                return false;
        LinkHalt halt = {.kind = LINK_HALT_POSITION, .seq = stream->started, .file = stream->file, .offset = stream->offset, .what = "the end of a clone"};
        stream->config.on_halt(stream->config.userdata, &halt);
        return true;
}

static void reader(gpointer data) {
        Stream *stream = data;
        g_autoptr(GError) error = NULL;
        BinlogEvent event;

        bool good = !stream->again || proof_read_again(stream->dump, stream->again, &error);
        while (good && !g_atomic_int_get(&stream->stop))
                if (ends_here(stream) || !binlog_stream_next(stream->dump, &event, &error) || !take(stream, &event, &error))
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

void stream_end(Stream *stream) {
        g_atomic_int_set(&stream->ending, 1);
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

void stream_note_programs(Stream *stream) {
        pthread_mutex_lock(&stream->lock);
        stream->programs_changed++;
        pthread_mutex_unlock(&stream->lock);
}

void stream_pass_over_programs(Stream *stream, guint64 connection) {
        pthread_mutex_lock(&stream->lock);
        stream->passed_over = (guint32) connection; /* as the log has it */
        pthread_mutex_unlock(&stream->lock);
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
