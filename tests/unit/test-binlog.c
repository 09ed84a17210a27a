/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events taken from real servers, decoded, against what SELECT said about the same rows; and events that are damaged. */

#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "fixture.h"
#include "mysql/binlog-row.h"
#include "mysql/binlog-types.h"
#include "mysql/bytes.h"
#include "mysql/query-session.h"
#include "mysql/sql.h"
#include "mysql/value.h"

/* The literal that the copy would write for a value as SELECT showed it. */
static void append_expected(const Column *column, const char *word, GString *out) {
        g_autoptr(GError) error = NULL;

        if (strcmp(word, "N") == 0) {
                g_assert_true(value_literal_from_text(column, NULL, 0, out, &error));
                return;
        }
        g_assert_cmpint(word[0], ==, 'x');
        g_autoptr(GByteArray) bytes = fixture_unhex(word + 1);
        guint8 nul = 0;
        g_byte_array_append(bytes, &nul, 1);
        bool ok = value_literal_from_text(column, (const char *) bytes->data, bytes->len - 1, out, &error);
        g_assert_no_error(error);
        g_assert_true(ok);
}

static void check_image(const Fixture *fixture, const RowImage *image, char **values) {
        bool complete = true;
        g_assert_cmpuint(g_strv_length(values), ==, fixture->table->columns->len);
        for (unsigned i = 0; i < image->n_columns; i++) {
                const Column *column = fixture->table->columns->pdata[i];
                const char *literal = row_image_literal(image, i);
                g_assert_cmpuint(strlen(literal) + 1, ==, image->offsets[i + 1] - image->offsets[i]);
                if (strcmp(values[i], "-") == 0) {
                        g_assert_cmpstr(literal, ==, "");
                        complete = false;
                        continue;
                }
                g_autoptr(GString) expected = g_string_new(NULL);
                append_expected(column, values[i], expected);
                if (strcmp(literal, expected->str) != 0)
                        g_error("%s %s: log %s, SELECT %s", column->name, column->type, literal, expected->str);
        }
        g_assert_true(image->complete == complete);
}

typedef struct Walk {
        Fixture *fixture;
        guint next; /* item */
        BinlogFormat format;
        BinlogTableMap *map;
        RowImage before, after;
        unsigned n_rows, n_queries;
} Walk;

static const FixtureItem *take_item(Walk *walk, FixtureWhat what) {
        g_assert_cmpuint(walk->next, <, walk->fixture->items->len);
        const FixtureItem *item = walk->fixture->items->pdata[walk->next++];
        g_assert_cmpint(item->what, ==, what);
        return item;
}

static void walk_rows(Walk *walk, const BinlogEvent *event) {
        g_autoptr(GError) error = NULL;
        BinlogRows rows;
        bool more;

        bool partial;
        g_assert_nonnull(walk->map);
        g_assert_true(binlog_rows_partial(event, walk->map, walk->fixture->table, &partial, NULL));
        binlog_rows_begin(&rows, event, walk->map, walk->fixture->table, &error);
        g_assert_no_error(error);
        while (binlog_rows_next(&rows, &walk->before, &walk->after, &more, &error) && more) {
                walk->n_rows++;
                if (rows.operation != ROW_OPERATION_INSERT)
                        check_image(walk->fixture, &walk->before, take_item(walk, FIXTURE_BEFORE)->values);
                if (rows.operation != ROW_OPERATION_DELETE)
                        check_image(walk->fixture, &walk->after, take_item(walk, FIXTURE_AFTER)->values);
        }
        g_assert_no_error(error);
        binlog_rows_end(&rows);
        if (walk->next < walk->fixture->items->len)
                g_assert_cmpint(((FixtureItem *) walk->fixture->items->pdata[walk->next])->what, ==, FIXTURE_EVENT);
}

static void walk_query(Walk *walk, const BinlogEvent *event) {
        g_autoptr(GError) error = NULL;
        BinlogQuery query;

        binlog_query_parse(event, &query, &error);
        QuerySession session;
        if (!error)
                (void) query_session_parse(event, &query, &session, &error);
        g_assert_no_error(error);
        if (walk->next < walk->fixture->items->len &&
            ((FixtureItem *) walk->fixture->items->pdata[walk->next])->what == FIXTURE_QUERY) {
                g_autofree char *sql = g_strndup(query.sql, query.sql_length);
                g_assert_cmpstr(sql, ==, take_item(walk, FIXTURE_QUERY)->text);
                walk->n_queries++;
        }
        binlog_query_clear(&query);
}

static void walk_event(Walk *walk, const GByteArray *bytes) {
        g_autoptr(GError) error = NULL;
        BinlogEvent event;
        BinlogGtid gtid;
        guint64 id;

        if (bytes->data[4] == BINLOG_EVENT_FORMAT_DESCRIPTION) {
                binlog_format_parse(bytes->data, bytes->len, &walk->format, &error);
                g_assert_no_error(error);
                g_assert_cmpuint(walk->format.version, ==, 4);
                return;
        }
        binlog_event_parse(bytes->data, bytes->len, walk->format.with_crc, &event, &error);
        g_assert_no_error(error);
        if (event.type == BINLOG_EVENT_TABLE_MAP) {
                g_clear_pointer(&walk->map, binlog_table_map_free);
                binlog_table_map_parse(&event, &walk->map, &error);
                g_assert_no_error(error);
                g_assert_cmpstr(walk->map->table, ==, walk->fixture->table->name);
        } else if (binlog_row_operation(event.type) != _ROW_OPERATION_INVALID) {
                g_assert_true(binlog_rows_table_id(&event, &id, NULL));
                g_assert_cmpuint(id, ==, walk->map->table_id);
                walk_rows(walk, &event);
        } else if (event.type == BINLOG_EVENT_QUERY || event.type == BINLOG_EVENT_MARIADB_QUERY_COMPRESSED)
                walk_query(walk, &event);
        else if (event.type == BINLOG_EVENT_GTID || event.type == BINLOG_EVENT_MARIADB_GTID) {
                g_assert_true(binlog_gtid_parse(&event, &gtid, NULL));
                g_assert_true(gtid.mariadb == (event.type == BINLOG_EVENT_MARIADB_GTID));
                g_assert_cmpuint(gtid.gno, >, 0);
        }
}

static void test_fixture(gconstpointer name) {
        Walk walk = {.fixture = fixture_load(name)};
        g_autoptr(GString) select = g_string_new(NULL);

        sql_append_select_list(select, walk.fixture->table);
        g_assert_cmpstr(select->str, ==, walk.fixture->select);
        row_image_init(&walk.before, 1); /* of another width: it adapts itself */
        row_image_init(&walk.after, walk.fixture->table->columns->len);
        while (walk.next < walk.fixture->items->len)
                walk_event(&walk, take_item(&walk, FIXTURE_EVENT)->event);
        g_assert_cmpuint(walk.n_rows, >=, strstr(name, "changes") ? 12 : strstr(name, "old") ? 4 : 6);
        g_assert_cmpuint(walk.n_queries, ==, strcmp(name, "mariadb-changes.txt") == 0 ? 1 : 0);
        row_image_clear(&walk.before);
        row_image_clear(&walk.after);
        binlog_table_map_free(walk.map);
        fixture_free(walk.fixture);
}

/* Decodes as far as it goes, whatever comes. */
static void try_event(const BinlogEvent *event, const BinlogTableMap *map, const TableSchema *table) {
        BinlogRows rows;
        bool more = true;
        if (!binlog_rows_begin(&rows, event, map, table, NULL))
                return;
        RowImage before, after;
        row_image_init(&before, rows.n_columns);
        row_image_init(&after, rows.n_columns);
        while (more && binlog_rows_next(&rows, &before, &after, &more, NULL))
                ;
        row_image_clear(&before);
        row_image_clear(&after);
        binlog_rows_end(&rows);
}

/* Every event of a fixture, cut at every length and with single bytes changed: an error or a result, never a crash. */
static void test_damaged(gconstpointer name) {
        g_autoptr(Fixture) fixture = fixture_load(name);
        g_autoptr(BinlogTableMap) map = NULL;
        BinlogFormat format = {0};

        for (guint i = 0; i < fixture->items->len; i++) {
                const FixtureItem *item = fixture->items->pdata[i];
                BinlogEvent event;
                if (item->what != FIXTURE_EVENT)
                        continue;
                if (item->event->data[4] == BINLOG_EVENT_FORMAT_DESCRIPTION) {
                        g_assert_true(binlog_format_parse(item->event->data, item->event->len, &format, NULL));
                        continue;
                }
                g_autofree guint8 *copy = g_memdup2(item->event->data, item->event->len);
                copy[item->event->len / 2] ^= 1;
                g_autoptr(GError) error = NULL;
                g_assert_false(binlog_event_parse(copy, item->event->len, true, &event, &error));
                g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
                g_assert_true(binlog_event_parse(item->event->data, item->event->len, true, &event, NULL));
                if (event.type == BINLOG_EVENT_TABLE_MAP) {
                        g_clear_pointer(&map, binlog_table_map_free);
                        g_assert_true(binlog_table_map_parse(&event, &map, NULL));
                }
                for (gsize size = 0; size < event.body_size; size += 1 + size / 256) {
                        g_autofree guint8 *cut = g_memdup2(event.body, size); /* so that sanitizers see an overrun */
                        g_autoptr(BinlogTableMap) other = NULL;
                        BinlogEvent part = event;
                        BinlogQuery query;
                        BinlogGtid gtid;
                        part.body = cut;
                        part.body_size = size;
                        if (event.type == BINLOG_EVENT_TABLE_MAP)
                                binlog_table_map_parse(&part, &other, NULL);
                        else if (binlog_row_operation(event.type) != _ROW_OPERATION_INVALID)
                                try_event(&part, map, fixture->table);
                        else if (event.type == BINLOG_EVENT_QUERY &&
                                 binlog_query_parse(&part, &query, NULL))
                                binlog_query_clear(&query);
                        else if (event.type == BINLOG_EVENT_GTID || event.type == BINLOG_EVENT_GTID_TAGGED || event.type == BINLOG_EVENT_MARIADB_GTID)
                                (void) !binlog_gtid_parse(&part, &gtid, NULL);
                }
        }
}

/* An event made by hand, without checksum. */
static GByteArray *make_event(unsigned type, guint32 log_pos, const char *body_hex) {
        GByteArray *event = g_byte_array_new();
        g_autoptr(GByteArray) body = fixture_unhex(body_hex);
        guint8 header[19] = {0};
        guint32 size = (guint32) (19 + body->len);
        header[4] = (guint8) type;
        for (unsigned i = 0; i < 4; i++) {
                header[9 + i] = (guint8) (size >> 8 * i);
                header[13 + i] = (guint8) (log_pos >> 8 * i);
        }
        g_byte_array_append(event, header, sizeof header);
        g_byte_array_append(event, body->data, body->len);
        return event;
}

static void test_small_events(void) {
        BinlogEvent event;
        BinlogRotate rotate;
        BinlogHeartbeat heartbeat;
        BinlogQuery query;
        g_autoptr(GByteArray) a = make_event(BINLOG_EVENT_ROTATE, 0, "0400000001000000" "62696e2e303032");
        g_autoptr(GByteArray) b = make_event(BINLOG_EVENT_HEARTBEAT, 1234, "62696e2e303032");
        g_autoptr(GByteArray) c = make_event(BINLOG_EVENT_HEARTBEAT_V2, 0, "010762696e2e303032" "0204fdcdab12" "00");
        g_autoptr(GByteArray) d = make_event(BINLOG_EVENT_QUERY, 0, "07000000000000000200000300" "000000" "646200" "424547");

        g_assert_true(binlog_event_parse(a->data, a->len, false, &event, NULL));
        g_assert_true(binlog_rotate_parse(&event, &rotate, NULL));
        g_assert_cmpuint(rotate.position, ==, G_GUINT64_CONSTANT(0x100000004));
        g_assert_cmpstr(rotate.file, ==, "bin.002");
        g_free(rotate.file);

        g_assert_true(binlog_event_parse(b->data, b->len, false, &event, NULL));
        g_assert_true(binlog_heartbeat_parse(&event, &heartbeat, NULL));
        g_assert_cmpuint(heartbeat.position, ==, 1234);
        g_assert_cmpstr(heartbeat.file, ==, "bin.002");
        g_free(heartbeat.file);

        g_assert_true(binlog_event_parse(c->data, c->len, false, &event, NULL));
        g_assert_true(binlog_heartbeat_parse(&event, &heartbeat, NULL));
        g_assert_cmpuint(heartbeat.position, ==, 0x12abcd);
        g_free(heartbeat.file);

        g_assert_true(binlog_event_parse(d->data, d->len, false, &event, NULL));
        g_assert_true(binlog_query_parse(&event, &query, NULL));
        g_assert_cmpstr(query.database, ==, "db");
        g_assert_cmpuint(query.thread_id, ==, 7);
        g_assert_cmpuint(query.status_length, ==, 3);
        g_assert_cmpmem(query.sql, query.sql_length, "BEG", 3);

        g_assert_false(binlog_event_parse(d->data, d->len - 1, false, &event, NULL));
        g_assert_false(binlog_event_parse(d->data, 18, false, &event, NULL));
        g_assert_cmpstr(binlog_event_type_name(BINLOG_EVENT_UPDATE_ROWS), ==, "UPDATE_ROWS");
        g_assert_cmpstr(binlog_event_type_name(77), ==, "event 77");
}

/* LOAD DATA in statement format: 13 bytes more before the rest of a QUERY. */
static void test_load_query(void) {
        BinlogEvent event;
        BinlogQuery query;
        g_autoptr(GByteArray) a = make_event(BINLOG_EVENT_EXECUTE_LOAD_QUERY, 0,
                                             "07000000" "00000000" "02" "0000" "0300" "05000000" "09000000" "1b000000" "01" "000000" "646200" "4c4f41");
        g_assert_true(binlog_event_parse(a->data, a->len, false, &event, NULL));
        g_assert_true(binlog_query_parse(&event, &query, NULL));
        g_assert_cmpstr(query.database, ==, "db");
        g_assert_cmpmem(query.sql, query.sql_length, "LOA", 3);
        event.body_size = 25;
        g_assert_false(binlog_query_parse(&event, &query, NULL));
}

static void test_xa_prepare(void) {
        BinlogEvent event;
        BinlogXaPrepare prepare;
        g_autoptr(GByteArray) a = make_event(BINLOG_EVENT_XA_PREPARE, 0, "00" "07000000" "03000000" "02000000" "00ff27" "0102");
        g_autoptr(GByteArray) b = make_event(BINLOG_EVENT_XA_PREPARE, 0, "01" "ffffffff" "01000000" "00000000" "61");
        g_autoptr(GByteArray) c = make_event(BINLOG_EVENT_XA_PREPARE, 0, "00" "01000000" "ffffffff" "01000000" "61");
        g_autoptr(GByteArray) d = make_event(BINLOG_EVENT_GTID, 0, "00");

        g_assert_true(binlog_event_parse(a->data, a->len, false, &event, NULL));
        g_assert_true(binlog_xa_prepare_parse(&event, &prepare, NULL));
        g_assert_false(prepare.one_phase);
        g_assert_cmpstr(prepare.xid, ==, "X'00ff27',X'0102',7");
        event.body_size--;
        g_assert_false(binlog_xa_prepare_parse(&event, &prepare, NULL));
        g_assert_true(binlog_event_parse(b->data, b->len, false, &event, NULL));
        g_assert_true(binlog_xa_prepare_parse(&event, &prepare, NULL));
        g_assert_true(prepare.one_phase);
        g_assert_cmpstr(prepare.xid, ==, "X'61',X'',4294967295");
        g_assert_true(binlog_event_parse(c->data, c->len, false, &event, NULL));
        g_assert_false(binlog_xa_prepare_parse(&event, &prepare, NULL));
        g_assert_true(binlog_event_parse(d->data, d->len, false, &event, NULL));
        g_assert_false(binlog_xa_prepare_parse(&event, &prepare, NULL));
}

/* As MariaDB 10.11 and 11.8 log them under binlog_alter_two_phase, and what is no such thing. */
static void test_two_phase_alter(void) {
        static const struct {
                const char *body;
                bool without_effect;
        } cases[] = {
                {"0400000000000000" "00000000" "29" "020000000000", true},
                {"0400000000000000" "00000000" "29" "120b00000000", true},
                {"0900000000000000" "00000000" "29" "080800000000000000", true},
                {"0500000000000000" "00000000" "29" "040400000000000000", false},
                {"0200000000000000" "00000000" "29" "000000000000", false},
                {"0200000000000000" "00000000" "29", false},
                {"0700000000000000" "00000000" "0e" "0a00000000000000", false}, /* FL_GROUP_COMMIT_ID: not flags, but its number */
                {"0700000000000000" "00000000" "2b" "000000000000000002", true},
                {"0700000000000000" "00000000" "4c" "01000000" "0101" "0202", false}, /* FL_PREPARED_XA */
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GByteArray) bytes = make_event(BINLOG_EVENT_MARIADB_GTID, 0, cases[i].body);
                BinlogEvent event;
                BinlogGtid gtid;
                g_assert_true(binlog_event_parse(bytes->data, bytes->len, false, &event, NULL));
                g_assert_true(binlog_gtid_parse(&event, &gtid, NULL));
                g_assert_true(gtid.without_effect == cases[i].without_effect);
        }
}

/* Numbers are of variable length: the ones at the low end of the first byte count the bytes that follow. */
static void test_tagged_gtid(void) {
        static const struct {
                const char *body;
                guint64 gno; /* 0: refused */
                const char *tag;
        } cases[] = {
                /* version 1, size, last field, 0: flags, 1: uuid (0x00…0x0e, 0xff in two bytes), 2: number, 3: tag */
                {"02" "20" "0c" "0002" "02" "00020406080a0c0e10121416181a1c" "fd03" "0414" "0608626c7565", 5, "blue"},
                {"02" "20" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "0414" "0600", 5, ""},
                {"02" "20" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "04" "ffffffffffffffff7f", 0, NULL},
                {"02" "20" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "0416" "0600", 0, NULL}, /* negative */
                {"02" "20" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "0414" "060a626c7565", 0, NULL},
                {"02" "20" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "0414" "0608426c7565", 0, NULL},
                {"04" "20" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "0414" "0600", 0, NULL},
                {"02" "20" "0c" "0414" "0600", 0, NULL},
                {"02" "fe" "0c" "02" "00020406080a0c0e10121416181a1c" "fd03" "0414" "0600", 0, NULL}, /* longer than it is */
                {"02", 0, NULL},
                {"", 0, NULL},
        };
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GByteArray) bytes = make_event(BINLOG_EVENT_GTID_TAGGED, 0, cases[i].body);
                BinlogEvent event;
                BinlogGtid gtid;
                g_assert_true(binlog_event_parse(bytes->data, bytes->len, false, &event, NULL));
                bool good = binlog_gtid_parse(&event, &gtid, NULL);
                g_assert_true(good == (cases[i].gno > 0));
                if (!good)
                        continue;
                g_assert_cmpuint(gtid.gno, ==, cases[i].gno);
                g_assert_cmpstr(gtid.tag, ==, cases[i].tag);
                for (guint j = 0; j < 15; j++)
                        g_assert_cmpuint(gtid.sid[j], ==, j);
                g_assert_cmpuint(gtid.sid[15], ==, 255);
        }
}

/* A type nobody knows makes itself and all behind it unreadable, but is no error before the table is asked for. */
static void test_unknown_type(void) {
        g_autoptr(GByteArray) bytes = make_event(BINLOG_EVENT_TABLE_MAP, 0,
                                                 "0100000000000100" "026462" "00" "0174" "00" "03" "03f3fe" "03010203"
                                                 "00");
        g_autoptr(BinlogTableMap) map = NULL;
        g_autoptr(GError) error = NULL;
        BinlogEvent event;

        g_assert_true(binlog_event_parse(bytes->data, bytes->len, false, &event, NULL));
        g_assert_true(binlog_table_map_parse(&event, &map, NULL));
        g_assert_cmpuint(map->types[0], ==, 3);
        g_assert_cmpuint(map->types[2], ==, 6);

        TableSchema *table = fixture_table("column id integer 0 0 0 0 0 0 0 4 - int(11)\n"
                                           "column v unsupported 0 0 0 0 0 0 0 0 - vector(3)\n"
                                           "column c text 0 0 0 10 0 0 0 0 latin1_bin char(10)", "id");
        g_assert_false(binlog_table_map_matches(map, table, &error));
        g_assert_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT);
        g_assert_nonnull(strstr(error->message, "vector(3)"));
        fixture_table_free(table);
}

static void test_altered(void) {
        g_autoptr(GByteArray) bytes =
                make_event(BINLOG_EVENT_TABLE_MAP, 0, "0100000000000100" "026462" "00" "0174" "00" "01" "03" "00" "00");
        g_autoptr(BinlogTableMap) map = NULL;
        BinlogEvent event;
        static const struct {
                const char *columns;
                bool ok;
        } cases[] = {
                {"column id integer 0 0 0 0 0 0 0 4 - int(11)", true},
                {"column id integer 0 0 0 0 0 0 0 8 - bigint(20)", false},
                {"column id text 0 0 0 0 0 0 0 0 latin1_bin text", false},
                {"column id integer 0 0 0 0 0 0 0 4 - int(11)\ncolumn b integer 0 0 0 0 0 0 0 4 - int(11)", false},
        };

        g_assert_true(binlog_event_parse(bytes->data, bytes->len, false, &event, NULL));
        g_assert_true(binlog_table_map_parse(&event, &map, NULL));
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GError) error = NULL;
                TableSchema *table = fixture_table(cases[i].columns, "id");
                g_assert_true(binlog_table_map_matches(map, table, &error) == cases[i].ok);
                if (!cases[i].ok)
                        g_assert_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH);
                fixture_table_free(table);
        }
}

/* One column more is a hidden key only behind a table that has no primary key, only as a BIGINT, and only if it is never NULL. */
static void test_hidden_key(void) {
        g_autoptr(Fixture) fixture = fixture_load("mysql56-hidden.txt");
        g_autoptr(BinlogTableMap) map = NULL;
        for (guint i = 0; i < fixture->items->len && !map; i++) {
                const FixtureItem *item = fixture->items->pdata[i];
                BinlogEvent event;
                if (item->what == FIXTURE_EVENT && item->event->data[4] == BINLOG_EVENT_TABLE_MAP) {
                        g_assert_true(binlog_event_parse(item->event->data, item->event->len, true, &event, NULL));
                        g_assert_true(binlog_table_map_parse(&event, &map, NULL));
                }
        }
        g_assert_nonnull(map);
        g_assert_cmpuint(map->n_columns, ==, fixture->table->columns->len + 1);
        g_assert_true(binlog_table_map_matches(map, fixture->table, NULL));

        fixture->table->key_is_primary = true;
        g_assert_false(binlog_table_map_matches(map, fixture->table, NULL));
        fixture->table->key_is_primary = false;
        map->last_nullable = true;
        g_assert_false(binlog_table_map_matches(map, fixture->table, NULL));
        map->last_nullable = false;
        map->types[map->n_columns - 1] = BINLOG_TYPE_LONG;
        g_assert_false(binlog_table_map_matches(map, fixture->table, NULL));
        map->types[map->n_columns - 1] = BINLOG_TYPE_LONGLONG;
        g_ptr_array_set_size(fixture->table->columns, (int) fixture->table->columns->len - 1); /* two more */
        g_assert_false(binlog_table_map_matches(map, fixture->table, NULL));
}

int main(int argc, char *argv[]) {
        static const char *const fixtures[] = {
                "mysql56-values.txt", "mysql56-changes.txt", "mysql56-hidden.txt", "mariadb-values.txt", "mariadb-changes.txt",
                "mariadb-old-temporal.txt",
        };

        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(fixtures); i++) {
                g_autofree char *path = g_strconcat("/binlog/fixture/", fixtures[i], NULL);
                g_autofree char *damaged = g_strconcat("/binlog/damaged/", fixtures[i], NULL);
                g_test_add_data_func(path, fixtures[i], test_fixture);
                g_test_add_data_func(damaged, fixtures[i], test_damaged);
        }
        g_test_add_func("/binlog/small-events", test_small_events);
        g_test_add_func("/binlog/load-query", test_load_query);
        g_test_add_func("/binlog/xa-prepare", test_xa_prepare);
        g_test_add_func("/binlog/two-phase-alter", test_two_phase_alter);
        g_test_add_func("/binlog/tagged-gtid", test_tagged_gtid);
        g_test_add_func("/binlog/unknown-type", test_unknown_type);
        g_test_add_func("/binlog/altered", test_altered);
        g_test_add_func("/binlog/hidden-key", test_hidden_key);
        return g_test_run();
}
