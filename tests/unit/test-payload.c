/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed transactions: packed here as MySQL does it, unpacked again, and damaged in every place. (Real ones: test_new_servers.py.) */

#include <string.h>
#include <zstd.h>

#include "base/error.h"
#include "mysql/binlog-payload.h"

#define EVENTS 3

static void put_event(GByteArray *out, guint8 type, gsize body_size) {
        guint32 size = (guint32) (BINLOG_HEADER_SIZE + body_size);
        guint8 header[BINLOG_HEADER_SIZE] = {0};
        header[4] = type;
        for (unsigned i = 0; i < 4; i++)
                header[9 + i] = (guint8) (size >> 8 * i);
        g_byte_array_append(out, header, sizeof header);
        for (gsize i = 0; i < body_size; i++)
                g_byte_array_append(out, (const guint8 *) "abc" + i % 3, 1);
}

static void put_field(GByteArray *out, guint8 type, guint32 value) {
        guint8 field[] = {type, 4, 253, (guint8) value, (guint8) (value >> 8), (guint8) (value >> 16)};
        g_byte_array_append(out, field, sizeof field);
}

/* The body of an event; PROMISED: the unpacked size that it tells. */
static GByteArray *pack(const GByteArray *inner, bool zstd, guint32 promised) {
        GByteArray *body = g_byte_array_new();
        gsize bound = ZSTD_compressBound(inner->len);
        g_autofree guint8 *packed = g_malloc(bound);
        gsize size = zstd ? ZSTD_compress(packed, bound, inner->data, inner->len, 3) : inner->len;
        if (!zstd)
                memcpy(packed, inner->data, inner->len);
        put_field(body, 2, zstd ? 0 : 255);
        put_field(body, 3, promised);
        put_field(body, 1, (guint32) size);
        g_byte_array_append(body, (const guint8 *) "\0", 1);
        g_byte_array_append(body, packed, (guint) size);
        return body;
}

/* → how many events came before the end, -1 for a refusal. */
static int unpack(const guint8 *body, gsize size) {
        BinlogEvent outer = {.type = BINLOG_EVENT_TRANSACTION_PAYLOAD, .body = body, .body_size = size}, event;
        g_autoptr(GError) error = NULL;
        g_autoptr(BinlogPayload) payload = binlog_payload_open(&outer, &error);
        bool more = payload != NULL;
        int n = 0;
        for (; more; n += more)
                if (!binlog_payload_next(payload, &event, &more, &error))
                        break;
        if (error)
                g_assert_true(error->domain == PS_ERROR);
        return error ? -1 : n;
}

static GByteArray *three_events(void) {
        GByteArray *inner = g_byte_array_new();
        put_event(inner, BINLOG_EVENT_QUERY, 40);
        put_event(inner, BINLOG_EVENT_WRITE_ROWS, 600000);
        put_event(inner, BINLOG_EVENT_XID, 8);
        return inner;
}

static void test_whole(void) {
        g_autoptr(GByteArray) inner = three_events();
        for (int zstd = 0; zstd < 2; zstd++) {
                g_autoptr(GByteArray) body = pack(inner, zstd, inner->len);
                g_assert_cmpint(unpack(body->data, body->len), ==, EVENTS);
        }
}

static void test_content(void) {
        g_autoptr(GByteArray) inner = three_events(), body = pack(inner, true, inner->len);
        BinlogEvent outer = {.type = BINLOG_EVENT_TRANSACTION_PAYLOAD, .body = body->data, .body_size = body->len}, event;
        g_autoptr(BinlogPayload) payload = binlog_payload_open(&outer, NULL);
        bool more;
        g_assert_true(binlog_payload_next(payload, &event, &more, NULL) && more);
        g_assert_cmpuint(event.type, ==, BINLOG_EVENT_QUERY);
        g_assert_true(binlog_payload_next(payload, &event, &more, NULL) && more);
        g_assert_cmpuint(event.type, ==, BINLOG_EVENT_WRITE_ROWS);
        g_assert_cmpmem(event.body, event.body_size, inner->data + 19 + 40 + 19, 600000);
}

static void test_cut(void) {
        g_autoptr(GByteArray) inner = three_events(), body = pack(inner, true, inner->len);
        for (gsize size = 0; size < body->len; size++)
                g_assert_cmpint(unpack(body->data, size), ==, -1);
        /* Inside: the size that is told fits, the data does not. */
        for (guint32 cut = 1; cut < 60; cut++) {
                g_autoptr(GByteArray) shorter = g_byte_array_new();
                g_byte_array_append(shorter, inner->data, inner->len - cut);
                g_autoptr(GByteArray) again = pack(shorter, true, shorter->len);
                g_assert_cmpint(unpack(again->data, again->len), ==, cut == 19 + 8 ? EVENTS - 1 : -1);
        }
}

static void test_promises(void) {
        g_autoptr(GByteArray) inner = three_events();
        g_autoptr(GByteArray) less = pack(inner, true, inner->len - 1), more = pack(inner, true, inner->len + 1);
        g_assert_cmpint(unpack(less->data, less->len), ==, -1);
        g_assert_cmpint(unpack(more->data, more->len), ==, -1);
        g_autoptr(GByteArray) unknown = pack(inner, true, inner->len);
        unknown->data[3] = 1; /* the kind of compression */
        g_assert_cmpint(unpack(unknown->data, unknown->len), ==, -1);
}

static void test_nested(void) {
        g_autoptr(GByteArray) inner = g_byte_array_new();
        put_event(inner, BINLOG_EVENT_TRANSACTION_PAYLOAD, 30);
        g_autoptr(GByteArray) body = pack(inner, true, inner->len);
        g_assert_cmpint(unpack(body->data, body->len), ==, -1);
}

int main(int argc, char *argv[]) {
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/payload/whole", test_whole);
        g_test_add_func("/payload/content", test_content);
        g_test_add_func("/payload/cut", test_cut);
        g_test_add_func("/payload/promises", test_promises);
        g_test_add_func("/payload/nested", test_nested);
        return g_test_run();
}
