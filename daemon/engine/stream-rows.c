/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reader's row events: whose they are, which of them are kept, what the chunks in flight are told, and whether the log says enough. */

#include "engine/stream-private.h"

#include "base/trim.h"
#include "engine/change.h"
#include "engine/partial.h"
#include "mysql/sql.h"
#include "mysql/value.h"

#define SIDE_QUEUE_MAX (8u * 1024 * 1024)

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
        buffer_trim(stream->before.text);
        buffer_trim(stream->after.text);
        buffer_trim(stream->tuple);
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

bool stream_take_table_map(Stream *stream, const BinlogEvent *event, GError **error) {
        const MapEntry *entry;
        if (!map_cache_add(&stream->maps, event, is_past(stream), &entry, error))
                return false;
        if (!stream->first_table_seen) {
                stream->first_table_seen = true;
                stream->ours = is_ours(stream, entry->map);
        }
        if (statement_table_is_of_accounts(entry->map->database, entry->map->table) && !stream_is_passed_over(stream, stream->begun_by))
                stream_note_programs(stream);
        return stream->ours || !entry->table || keep(stream, event, error);
}

bool stream_is_left_out(const Stream *stream, const char *database, const char *table) {
        g_autofree char *name = sql_table(database, table), *left_out = g_strdup_printf("table %s: ", name);
        for (guint i = 0; stream->config.left_out && i < stream->config.left_out->len; i++)
                if (g_str_has_prefix(g_ptr_array_index(stream->config.left_out, i), left_out))
                        return true;
        return false;
}

/* Rows of a table that the downstream does not have: not ours to carry, or something went wrong. */
static bool may_pass_over(Stream *stream, const BinlogEvent *event, const BinlogTableMap *map, GError **error) {
        if (!spec_selects(stream->config.spec, map->database, map->table))
                return true;
        if (stream_is_left_out(stream, map->database, map->table))
                return true;
        g_autofree char *name = sql_table(map->database, map->table);
        g_autofree char *what = g_strdup_printf("rows of %s, which the other side does not have,", name);
        return stream_refuse(stream, event, PS_ERROR_DATA_MISMATCH, what, error);
}

/* Reading ends here, because the log does not tell what the rows of a table are from here on. QUERY NULL: of ENTRY's table, by row images. */
bool stream_halt_for_rows(Stream *stream, const BinlogQuery *query, const Statement *statement, const BinlogTableMap *map) {
        LinkHalt halt = {
                .kind = LINK_HALT_ROWS,
                .seq = stream->started,
                .file = (char *) binlog_stream_file(stream->dump),
                .offset = binlog_stream_position(stream->dump),
        };
        if (query) {
                g_strlcpy(halt.what, statement->what, sizeof halt.what);
                g_strlcpy(halt.row_database, statement->database, sizeof halt.row_database);
                g_strlcpy(halt.row_table, statement->table, sizeof halt.row_table);
                halt.database = (char *) query->database;
                halt.sql = g_bytes_new(query->sql, query->sql_length);
        } else {
                g_snprintf(halt.what, sizeof halt.what, "rows of `%.40s`.`%.40s`", map->database, map->table);
                g_strlcpy(halt.row_database, map->database, sizeof halt.row_database);
                g_strlcpy(halt.row_table, map->table, sizeof halt.row_table);
        }
        stream->config.on_halt(stream->config.userdata, &halt);
        g_clear_pointer(&halt.sql, g_bytes_unref);
        return false;
}

/* Whether what a row event says is enough; false without an error: it is not, and reading ends. */
static bool look_at_images(Stream *stream, const BinlogEvent *event, const MapEntry *entry, GError **error) {
        BinlogRows rows;
        bool partial, more = true;
        if (!binlog_rows_partial(event, entry->map, entry->table->schema, &partial, error))
                return false;
        if (!partial)
                return true;
        if (!binlog_rows_begin(&rows, event, entry->map, entry->table->schema, error))
                return false;
        bool good = true, lost = false;
        while (good && more && !lost) {
                good = binlog_rows_next(&rows, &stream->before, &stream->after, &more, error);
                lost = good && more && row_make_whole(rows.operation, &stream->before, &stream->after, entry->table->schema,
                                                      stream->config.mariadb) == ROW_LOST;
        }
        binlog_rows_end(&rows);
        return good && (!lost || stream_halt_for_rows(stream, NULL, NULL, entry->map));
}

bool stream_take_rows(Stream *stream, const BinlogEvent *event, GError **error) {
        const MapEntry *entry;
        g_autoptr(GError) local = NULL;
        if (!stream->in_transaction)
                return stream_refuse(stream, event, PS_ERROR_DATA_MISMATCH, "a row event outside a transaction", error);
        if (!map_cache_find(&stream->maps, event, &entry, &local)) {
                if (binlog_rows_is_dummy(event))
                        return true;
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
        }
        if (stream->ours)
                return read_own_rows(stream, event, entry, error);
        if (!entry->table)
                return entry->past || may_pass_over(stream, event, entry->map, error);
        stream->carried = true;
        if (!stream->held && stream->started <= entry->table->again_seq)
                return true; /* read when it is copied again */
        if (!stream->held && stream->started > stream->config.settled_seq && !look_at_images(stream, event, entry, error))
                return false;
        if (!stream->held && entry->table->chunks && chunk_map_collecting(entry->table->chunks) && !feed_chunks(stream, event, entry, error))
                return false;
        return keep(stream, event, error);
}

/* MySQL's updates that name only what changed inside of JSON values. */
bool stream_take_partial_rows(Stream *stream, const BinlogEvent *event, GError **error) {
        const MapEntry *entry;
        if (!map_cache_find(&stream->maps, event, &entry, error))
                return false;
        if (!entry->table)
                return true;
        return stream_refuse(stream, event, PS_ERROR_UNSUPPORTED_OBJECT,
                      "a session wrote only parts of JSON values: set binlog_row_value_options='' for every session, and start a new "
                      "migration", error);
}

