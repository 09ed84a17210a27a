/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See watch.h. */

#include "engine/watch.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "engine/change.h"
#include "engine/ddl.h"
#include "mysql/binlog-row.h"
#include "mysql/binlog-stream.h"
#include "mysql/bytes.h"

#define RECONNECT_USEC USEC_PER_SEC

struct Watch {
        WatchConfig config;
        Thread *thread;
        TableSchema *pair;
        GHashTable *canary_maps; /* table number → BinlogTableMap, of our canary table */
        RowImage before, after;

        /* The transaction being read. */
        bool in_transaction, first_seen, ours, foreign_transaction;
        guint32 own_thread; /* a connection of ours that is about to run a statement that changes tables; 0: none */

        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool stop, over; /* over: it does not count any more */
        BinlogStream *dump;
        BinlogPosition position;
        guint64 foreign, canary;
        char problem[256]; /* why it is not reading now; "" */
};

static void move(Watch *watch, const BinlogStream *dump, bool foreign) {
        pthread_mutex_lock(&watch->lock);
        binlog_position_set(&watch->position, binlog_stream_file(dump), binlog_stream_position(dump));
        foreign = foreign && !watch->over;
        watch->foreign += foreign;
        pthread_cond_broadcast(&watch->changed);
        pthread_mutex_unlock(&watch->lock);
        if (foreign)
                watch->config.on_change(watch->config.userdata);
}

static void end(Watch *watch, const BinlogStream *dump) {
        bool foreign = watch->foreign_transaction;
        watch->in_transaction = watch->first_seen = watch->foreign_transaction = false;
        move(watch, dump, foreign);
}

static bool take_table_map(Watch *watch, const BinlogEvent *event, GError **error) {
        const Ledger *ledger = watch->config.ledger;
        BinlogTableMap *map;
        if (!binlog_table_map_parse(event, &map, error))
                return false;
        bool own_database = strcmp(map->database, LEDGER_DATABASE) == 0;
        if (!watch->first_seen) {
                bool ours = own_database && (strcmp(map->table, ledger->checkpoint_name) == 0 ||
                                             strcmp(map->table, ledger->watermark_name) == 0 ||
                                             strcmp(map->table, ledger->canary_name) == 0 ||
                                             g_str_has_suffix(map->table, ledger->task) || strcmp(map->table, "owner") == 0);
                watch->first_seen = true;
                watch->ours = ours;
        }
        /* Any of its tables may be the one that is carried. */
        watch->foreign_transaction |= !watch->ours && spec_selects(watch->config.spec, map->database, map->table);
        if (own_database && strcmp(map->table, ledger->canary_name) == 0)
                g_hash_table_replace(watch->canary_maps, &map->table_id, map);
        else { /* after a restart of the server a number may be another table's */
                g_hash_table_remove(watch->canary_maps, &map->table_id);
                binlog_table_map_free(map);
        }
        return true;
}

static bool take_rows(Watch *watch, const BinlogEvent *event, GError **error) {
        guint64 id;
        if (!binlog_rows_table_id(event, &id, error))
                return false;
        const BinlogTableMap *map = g_hash_table_lookup(watch->canary_maps, &id);
        if (!map)
                return true;
        BinlogRows rows;
        bool more = false;
        if (!binlog_rows_begin(&rows, event, map, watch->pair, error))
                return false;
        bool good = binlog_rows_next(&rows, &watch->before, &watch->after, &more, error);
        bool row = good && more && rows.operation != ROW_OPERATION_DELETE;
        guint64 number = row ? g_ascii_strtoull(row_image_literal(&watch->after, 0), NULL, 10) : 0;
        guint64 value = row ? g_ascii_strtoull(row_image_literal(&watch->after, 1), NULL, 10) : 0;
        if (number == LEDGER_CANARY_STATEMENT && watch->ours)
                watch->own_thread = (guint32) value;
        else if (number == LEDGER_CANARY) {
                pthread_mutex_lock(&watch->lock);
                watch->canary = value;
                pthread_cond_broadcast(&watch->changed);
                pthread_mutex_unlock(&watch->lock);
        }
        binlog_rows_end(&rows);
        return good;
}

static bool take_query(Watch *watch, const BinlogStream *dump, const BinlogEvent *event, GError **error) {
        BinlogQuery query;
        if (!binlog_query_parse(event, &query, error))
                return false;
        Statement statement;
        statement_classify(query.sql, query.sql_length, query.database, watch->config.spec, &statement);
        bool own = memmem(query.sql, query.sql_length, "/* polarshift */", 16) != NULL;
        if (statement.kind == STATEMENT_DDL && watch->own_thread != 0 && query.thread_id == watch->own_thread) {
                own = true;
                watch->own_thread = 0;
        }
        binlog_query_clear(&query);
        switch (statement.kind) {
        case STATEMENT_BEGIN:
        case STATEMENT_XA_BEGIN:
                watch->in_transaction = true;
                return true;
        case STATEMENT_SAVEPOINT:
        case STATEMENT_ROLLBACK_TO:
                return true;
        case STATEMENT_DDL:
        case STATEMENT_DATA:
                watch->foreign_transaction |= !own;
                break;
        case STATEMENT_COMMIT:
        case STATEMENT_ROLLBACK:
        case STATEMENT_PROGRAM:
        case STATEMENT_ACCOUNT:
        case STATEMENT_XA_COMMIT: /* the prepare was counted */
        case STATEMENT_XA_ROLLBACK:
        case STATEMENT_NOT_CARRIED:
        case STATEMENT_IGNORED:
        case _STATEMENT_MAX:
        case _STATEMENT_INVALID:
                break;
        }
        bool inside = watch->in_transaction && statement.kind != STATEMENT_COMMIT && statement.kind != STATEMENT_ROLLBACK &&
                      statement.kind != STATEMENT_XA_COMMIT && statement.kind != STATEMENT_XA_ROLLBACK;
        if (!inside)
                end(watch, dump);
        return true;
}

static bool take(Watch *watch, const BinlogStream *dump, const BinlogEvent *event, GError **error) {
        if (binlog_row_operation(event->type) != _ROW_OPERATION_INVALID)
                return take_rows(watch, event, error);
        switch (event->type) {
        case BINLOG_EVENT_TABLE_MAP:
                return take_table_map(watch, event, error);
        case BINLOG_EVENT_XID:
        case BINLOG_EVENT_XA_PREPARE: /* its rows can still be committed, whatever read_only says */
                end(watch, dump);
                return true;
        case BINLOG_EVENT_QUERY:
        case BINLOG_EVENT_MARIADB_QUERY_COMPRESSED:
                return take_query(watch, dump, event, error);
        case BINLOG_EVENT_FORMAT_DESCRIPTION: /* after a restart the numbers of connections begin anew; the time is there then only */
                if (event->body_size >= 56 && bytes_le32(event->body + 52) != 0)
                        watch->own_thread = 0;
                if (!watch->in_transaction)
                        move(watch, dump, /* foreign= */ false);
                return true;
        case BINLOG_EVENT_MARIADB_GTID: {
                BinlogGtid gtid;
                if (!binlog_gtid_parse(event, &gtid, error))
                        return false;
                watch->in_transaction = !gtid.standalone;
                return true;
        }
        default:
                if (!watch->in_transaction && event->type != BINLOG_EVENT_GTID && event->type != BINLOG_EVENT_GTID_TAGGED)
                        move(watch, dump, /* foreign= */ false);
                return true;
        }
}

/* Positions of one server's log mean nothing on another one: seen from there, old transactions look new. */
static Conn *open_meant(const Watch *watch, GError **error) {
        g_autoptr(Conn) conn = conn_open(watch->config.server, 0, error);
        const char *known = watch->config.identity;
        if (conn && known && *known && g_strcmp0(known, conn_host_uuid(conn)) != 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_STALE_STATE, "%s is not the server that this migration started with", conn_label(conn));
                return NULL;
        }
        return g_steal_pointer(&conn);
}

/* From the current end, when there is no position yet or it is gone. */
static bool find_end(Watch *watch, Conn *conn, GError **error) {
        g_autofree char *file = NULL;
        guint64 offset;
        if (!conn_binlog_position(conn, &file, &offset, error))
                return false;
        pthread_mutex_lock(&watch->lock);
        binlog_position_set(&watch->position, file, offset);
        pthread_mutex_unlock(&watch->lock);
        return true;
}

static bool follow(Watch *watch, GError **error) {
        g_autoptr(Conn) conn = open_meant(watch, error);
        if (!conn || (!watch->position.file && !find_end(watch, conn, error)))
                return false;
        g_clear_pointer(&conn, conn_free);
        BinlogStreamParams params = {
                .server = watch->config.server,
                .file = watch->position.file,
                .position = watch->position.offset,
                .server_id = watch->config.server_id,
        };
        g_autofree char *file = g_strdup(watch->position.file);
        params.file = file;
        BinlogStream *dump = binlog_stream_open(&params, error);
        if (!dump)
                return false;
        watch->in_transaction = watch->first_seen = watch->foreign_transaction = false;
        pthread_mutex_lock(&watch->lock);
        watch->dump = dump;
        bool stop = watch->stop;
        watch->problem[0] = '\0';
        pthread_mutex_unlock(&watch->lock);

        BinlogEvent event;
        while (!stop && binlog_stream_next(dump, &event, error) && take(watch, dump, &event, error)) {
                pthread_mutex_lock(&watch->lock);
                stop = watch->stop;
                pthread_mutex_unlock(&watch->lock);
        }
        pthread_mutex_lock(&watch->lock);
        watch->dump = NULL;
        pthread_mutex_unlock(&watch->lock);
        binlog_stream_free(dump);
        return stop;
}

static void run(gpointer data) {
        Watch *watch = data;
        pthread_mutex_lock(&watch->lock);
        while (!watch->stop) {
                g_autoptr(GError) error = NULL;
                pthread_mutex_unlock(&watch->lock);
                bool good = follow(watch, &error);
                pthread_mutex_lock(&watch->lock);
                if (good || watch->stop)
                        continue;
                g_strlcpy(watch->problem, error ? error->message : "it ended", sizeof watch->problem);
                if (watch->position.file && g_error_matches(error, PS_ERROR, PS_ERROR_BINLOG_UNAVAILABLE)) {
                        binlog_position_clear(&watch->position); /* what was purged cannot be looked at any more */
                        watch->foreign += !watch->over;
                        watch->config.on_gap(watch->config.userdata);
                }
                struct timespec until = clock_deadline(RECONNECT_USEC);
                (void) pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
        }
        pthread_mutex_unlock(&watch->lock);
}

Watch *watch_start(const WatchConfig *config) {
        Watch *watch = g_new0(Watch, 1);
        watch->config = *config;
        watch->pair = change_pair_schema();
        watch->canary_maps = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify) binlog_table_map_free);
        row_image_init(&watch->before, 0);
        row_image_init(&watch->after, 0);
        if (config->from.file)
                binlog_position_set(&watch->position, config->from.file, config->from.offset);
        watch->config.from = (BinlogPosition){0};
        watch->config.identity = g_strdup(config->identity);
        watch->foreign = config->foreign;
        pthread_mutex_init(&watch->lock, /* attr= */ NULL);
        clock_cond_init(&watch->changed);
        watch->thread = thread_start("watch", run, watch);
        return watch;
}

void watch_free(Watch *watch) {
        if (!watch)
                return;
        pthread_mutex_lock(&watch->lock);
        watch->stop = true;
        if (watch->dump)
                binlog_stream_abort(watch->dump);
        pthread_cond_broadcast(&watch->changed);
        pthread_mutex_unlock(&watch->lock);
        thread_join(watch->thread);
        binlog_position_clear(&watch->position);
        g_free((char *) watch->config.identity);
        g_hash_table_unref(watch->canary_maps);
        row_image_clear(&watch->before);
        row_image_clear(&watch->after);
        table_schema_free(watch->pair);
        pthread_cond_destroy(&watch->changed);
        pthread_mutex_destroy(&watch->lock);
        g_free(watch);
}

void watch_stop_counting(Watch *watch) {
        pthread_mutex_lock(&watch->lock);
        watch->over = true;
        pthread_mutex_unlock(&watch->lock);
}

void watch_get(Watch *watch, guint64 *ret_foreign, BinlogPosition *ret_position) {
        pthread_mutex_lock(&watch->lock);
        *ret_foreign = watch->foreign;
        if (watch->position.file)
                binlog_position_set(ret_position, watch->position.file, watch->position.offset);
        pthread_mutex_unlock(&watch->lock);
}

bool watch_wait(Watch *watch, const char *file, guint64 offset, gint64 timeout_usec, GError **error) {
        struct timespec until = clock_deadline(timeout_usec);
        bool there = false, timed_out = false;
        pthread_mutex_lock(&watch->lock);
        for (;;) {
                there = watch->position.file &&
                        binlog_position_compare(watch->position.file, watch->position.offset, file, offset) >= 0;
                if (there || timed_out)
                        break;
                timed_out = pthread_cond_timedwait(&watch->changed, &watch->lock, &until) != 0;
        }
        if (!there)
                g_set_error(error, PS_ERROR, PS_ERROR_DEADLINE_EXCEEDED,
                            "the binary log of the read-only side was not looked through in time%s%s",
                            watch->problem[0] ? ": " : "", watch->problem);
        pthread_mutex_unlock(&watch->lock);
        return there;
}

bool watch_wait_canary(Watch *watch, guint64 value, gint64 timeout_usec, GError **error) {
        struct timespec until = clock_deadline(timeout_usec);
        bool timed_out = false;
        pthread_mutex_lock(&watch->lock);
        while (watch->canary != value && !timed_out)
                timed_out = pthread_cond_timedwait(&watch->changed, &watch->lock, &until) != 0;
        bool seen = watch->canary == value;
        if (!seen)
                g_set_error(error, PS_ERROR, PS_ERROR_REVERSE_NOT_PROVEN,
                            "a row written on the read-only side was not seen in its binary log%s%s",
                            watch->problem[0] ? ": " : "", watch->problem);
        pthread_mutex_unlock(&watch->lock);
        return seen;
}
