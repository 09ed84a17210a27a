/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See binlog-payload.h. In front stand fields of (type, length, value), all length-encoded integers: 1 the size of what follows, 2 how
 * it is compressed, 3 its size when unpacked; the type 0 alone ends them (libbinlogevents, Transaction_payload_event). */

#include "mysql/binlog-payload.h"

#include <zstd.h>

#include "base/error.h"
#include "mysql/bytes.h"

#define EVENT_MAX (1024u * 1024 * 1024 + 64u * 1024 * 1024) /* max_allowed_packet, and some */
#define STEP (256u * 1024)
#define RATIO_MAX 32768u /* a block of one repeated byte: 128 KiB in 4 bytes */

enum {
        FIELD_END = 0,
        FIELD_SIZE = 1,
        FIELD_COMPRESSION = 2,
        FIELD_UNPACKED_SIZE = 3,
        COMPRESSION_ZSTD = 0,
        COMPRESSION_NONE = 255,
};

struct BinlogPayload {
        ZSTD_DCtx *zstd; /* NULL: the events stand there as they are */
        ZSTD_inBuffer in;
        bool frame_ended;
        guint64 left; /* unpacked bytes that may still come */
        GByteArray *event;
};

static bool malformed(const char *what, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "Malformed TRANSACTION_PAYLOAD event: %s", what);
        return false;
}

typedef struct Fields {
        guint64 size, compression, unpacked_size;
        bool has_size, has_unpacked_size;
} Fields;

static bool read_fields(const guint8 **p, const guint8 *end, Fields *ret, GError **error) {
        Fields fields = {.compression = COMPRESSION_NONE};
        guint64 type, length, value;
        for (;;) {
                if (!bytes_lenenc(p, end, &type))
                        return malformed("its fields do not end", error);
                if (type == FIELD_END)
                        break;
                if (!bytes_lenenc(p, end, &length) || length > (guint64) (end - *p))
                        return malformed("a field is longer than the event", error);
                const guint8 *field = *p, *field_end = *p + length;
                *p = field_end;
                if (type > FIELD_UNPACKED_SIZE)
                        continue; /* of later versions, which say so by another type when it must be understood */
                if (!bytes_lenenc(&field, field_end, &value))
                        return malformed("a field is not a number", error);
                if (type == FIELD_SIZE) {
                        fields.size = value;
                        fields.has_size = true;
                } else if (type == FIELD_COMPRESSION)
                        fields.compression = value;
                else {
                        fields.unpacked_size = value;
                        fields.has_unpacked_size = true;
                }
        }
        *ret = fields;
        return true;
}

BinlogPayload *binlog_payload_open(const BinlogEvent *event, GError **error) {
        const guint8 *p = event->body, *end = p + event->body_size;
        Fields fields;
        if (!read_fields(&p, end, &fields, error))
                return NULL;
        if (!fields.has_size || fields.size != (guint64) (end - p)) {
                malformed("its size is not that of what it holds", error);
                return NULL;
        }
        if (fields.compression != COMPRESSION_ZSTD && fields.compression != COMPRESSION_NONE) {
                g_set_error(error, PS_ERROR, PS_ERROR_UNSUPPORTED_OBJECT,
                            "a transaction in the binary log is compressed in a way that this version does not know (%" G_GUINT64_FORMAT ")",
                            fields.compression);
                return NULL;
        }
        g_autoptr(BinlogPayload) payload = g_new0(BinlogPayload, 1);
        payload->in = (ZSTD_inBuffer){.src = p, .size = (gsize) (end - p)};
        payload->left = fields.size;
        payload->event = g_byte_array_new();
        if (fields.compression == COMPRESSION_NONE)
                return g_steal_pointer(&payload);
        if (!fields.has_unpacked_size) {
                malformed("it does not say how much it unpacks to", error);
                return NULL;
        }
        if (fields.unpacked_size / RATIO_MAX > fields.size) {
                malformed("it cannot unpack to as much as it says", error);
                return NULL;
        }
        payload->left = fields.unpacked_size;
        payload->zstd = ZSTD_createDCtx();
        if (!payload->zstd)
                g_error("Out of memory");
        return g_steal_pointer(&payload);
}

void binlog_payload_free(BinlogPayload *payload) {
        if (!payload)
                return;
        ZSTD_freeDCtx(payload->zstd);
        if (payload->event)
                g_byte_array_unref(payload->event);
        g_free(payload);
}

/* N bytes; fewer only when there are no more. */
static bool unpack(BinlogPayload *payload, guint8 *out, gsize n, gsize *ret, GError **error) {
        if (!payload->zstd) {
                *ret = MIN(n, payload->in.size - payload->in.pos);
                memcpy(out, (const guint8 *) payload->in.src + payload->in.pos, *ret);
                payload->in.pos += *ret;
                return true;
        }
        ZSTD_outBuffer buffer = {.dst = out, .size = n};
        while (buffer.pos < buffer.size) {
                gsize before_in = payload->in.pos, before_out = buffer.pos;
                gsize hint = ZSTD_decompressStream(payload->zstd, &buffer, &payload->in);
                if (ZSTD_isError(hint))
                        return malformed("its zstd data is damaged", error);
                if (payload->in.pos == before_in && buffer.pos == before_out)
                        break; /* nothing left to read, and nothing came: behind a frame it asks for the next one */
                payload->frame_ended = hint == 0;
        }
        *ret = buffer.pos;
        return true;
}

/* Adds up to N bytes in steps: a size that is made up reserves no more than what really comes. */
static bool append(BinlogPayload *payload, gsize n, gsize *ret, GError **error) {
        gsize done = 0;
        while (done < n) {
                gsize step = MIN(n - done, STEP), got;
                guint old = payload->event->len;
                g_byte_array_set_size(payload->event, old + (guint) step);
                if (!unpack(payload, payload->event->data + old, step, &got, error))
                        return false;
                g_byte_array_set_size(payload->event, old + (guint) got);
                if (got > payload->left)
                        return malformed("it unpacks to more than it says", error);
                payload->left -= got;
                done += got;
                if (got < step)
                        break;
        }
        *ret = done;
        return true;
}

bool binlog_payload_next(BinlogPayload *payload, BinlogEvent *ret, bool *ret_more, GError **error) {
        gsize got;
        g_byte_array_set_size(payload->event, 0);
        if (!append(payload, BINLOG_HEADER_SIZE, &got, error))
                return false;
        if (got == 0) {
                if (payload->left > 0 || (payload->zstd && !payload->frame_ended))
                        return malformed("it ends before its end", error);
                *ret_more = false;
                return true;
        }
        if (got < BINLOG_HEADER_SIZE)
                return malformed("an event in it is cut off", error);
        guint32 size = bytes_le32(payload->event->data + 9);
        if (size < BINLOG_HEADER_SIZE || size > EVENT_MAX)
                return malformed("an event in it has an impossible size", error);
        if (!append(payload, size - BINLOG_HEADER_SIZE, &got, error))
                return false;
        if (got < size - BINLOG_HEADER_SIZE)
                return malformed("an event in it is cut off", error);
        BinlogEvent event;
        if (!binlog_event_parse(payload->event->data, payload->event->len, /* with_crc= */ false, &event, error))
                return false;
        if (event.type == BINLOG_EVENT_TRANSACTION_PAYLOAD)
                return malformed("it holds another one", error);
        *ret = event;
        *ret_more = true;
        return true;
}
