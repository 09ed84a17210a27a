/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See held.h. Nothing here must survive a crash: the checkpoints say where reading has to begin so that every transaction that is open comes
 * again. */

#include "engine/held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fs.h"

#define PIECE_MAX (256u * 1024)            /* of one transaction in memory, while it is being read */
#define SET_MAX (8u * 1024 * 1024)         /* of all that are kept */

typedef struct Header {
        guint32 size; /* of what follows */
        guint32 timestamp;
        guint16 flags;
        guint8 type, unused;
} Header;

struct Held {
        HeldSet *set;
        guint64 seq, offset;
        char *file;
        GString *text;  /* records that are not in the file: the last ones */
        char *path;     /* NULL: all are in memory */
        guint64 in_file; /* bytes */
};

struct HeldSet {
        char *directory;
        GHashTable *by_xid; /* → Held */
        GQueue order;       /* of Held, oldest first */
        gsize bytes;        /* of all that are kept, in memory */
        guint64 files;      /* made so far: their names */
};

HeldSet *held_set_new(const char *directory) {
        HeldSet *set = g_new0(HeldSet, 1);
        set->directory = g_strdup(directory);
        set->by_xid = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) held_free);
        g_queue_init(&set->order);
        return set;
}

void held_set_free(HeldSet *set) {
        if (!set)
                return;
        g_hash_table_unref(set->by_xid);
        g_queue_clear(&set->order);
        (void) fs_remove_tree(set->directory, /* error= */ NULL);
        g_free(set->directory);
        g_free(set);
}

Held *held_new(HeldSet *set, guint64 seq, const char *file, guint64 offset) {
        Held *held = g_new0(Held, 1);
        held->set = set;
        held->seq = seq;
        held->file = g_strdup(file);
        held->offset = offset;
        held->text = g_string_new(NULL);
        return held;
}

void held_free(Held *held) {
        if (!held)
                return;
        if (held->path)
                (void) unlink(held->path);
        g_free(held->path);
        g_free(held->file);
        g_string_free(held->text, TRUE);
        g_free(held);
}

static bool file_failed(const Held *held, const char *what, GError **error) {
        g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot %s %s, where a prepared transaction is kept: %s; make room there, then Resume",
                    what, held->path, g_strerror(errno));
        return false;
}

/* What is in memory goes behind what is in the file. */
static bool spill(Held *held, GError **error) {
        if (!held->path) {
                if (!fs_make_dir(held->set->directory, error))
                        return false;
                held->path = g_strdup_printf("%s/%" G_GUINT64_FORMAT, held->set->directory, held->set->files++);
        }
        int fd = open(held->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return file_failed(held, "create", error);
        gsize done = 0;
        while (done < held->text->len) {
                ssize_t n = write(fd, held->text->str + done, held->text->len - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        errno = n < 0 ? errno : ENOSPC;
                        (void) file_failed(held, "write", error);
                        close(fd);
                        return false;
                }
                done += (gsize) n;
        }
        close(fd);
        held->in_file += held->text->len;
        g_string_free(held->text, TRUE); /* a large event's buffer is not kept */
        held->text = g_string_new(NULL);
        return true;
}

bool held_append(Held *held, const RelayRecord *record, GError **error) {
        Header header = {
                .size = (guint32) record->size,
                .timestamp = record->timestamp,
                .flags = record->flags,
                .type = (guint8) record->type,
        };
        g_string_append_len(held->text, (const char *) &header, sizeof header);
        if (record->size > 0)
                g_string_append_len(held->text, (const char *) record->data, (gssize) record->size);
        return held->text->len < PIECE_MAX || spill(held, error);
}

bool held_set_keep(HeldSet *set, const char *xid, Held *held, GError **error) {
        g_autoptr(Held) owned = held;
        if (g_hash_table_contains(set->by_xid, xid)) {
                g_set_error(error, PS_ERROR, PS_ERROR_DATA_MISMATCH, "the binary log has XA PREPARE of %s twice", xid);
                return false;
        }
        if (held->text->len > 0 && (held->path || set->bytes + held->text->len > SET_MAX) && !spill(held, error))
                return false;
        set->bytes += held->text->len;
        g_hash_table_insert(set->by_xid, g_strdup(xid), held);
        g_queue_push_tail(&set->order, g_steal_pointer(&owned));
        return true;
}

Held *held_set_take(HeldSet *set, const char *xid) {
        g_autofree char *name = NULL;
        Held *held = NULL;
        if (!g_hash_table_steal_extended(set->by_xid, xid, (gpointer *) &name, (gpointer *) &held))
                return NULL;
        g_queue_remove(&set->order, held);
        set->bytes -= held->text->len;
        return held;
}

bool held_set_oldest(const HeldSet *set, guint64 *ret_seq, const char **ret_file, guint64 *ret_offset) {
        const Held *held = set->order.head ? set->order.head->data : NULL;
        if (!held)
                return false;
        *ret_seq = held->seq;
        *ret_file = held->file;
        *ret_offset = held->offset;
        return true;
}

static RelayRecord record_of(const Header *header, const guint8 *data) {
        return (RelayRecord){
                .kind = RELAY_EVENT,
                .type = header->type,
                .flags = header->flags,
                .timestamp = header->timestamp,
                .data = data,
                .size = header->size,
        };
}

static bool replay_file(Held *held, bool (*take)(gpointer userdata, const RelayRecord *record, GError **error), gpointer userdata,
                        GError **error) {
        FILE *f = fopen(held->path, "re");
        if (!f)
                return file_failed(held, "open", error);
        g_autoptr(GByteArray) body = g_byte_array_new();
        Header header;
        guint64 got = 0;
        bool good = true;
        errno = EIO; /* what a file that has become shorter amounts to */
        while (good && fread(&header, sizeof header, 1, f) == 1) {
                g_byte_array_set_size(body, header.size);
                if (header.size > 0 && fread(body->data, header.size, 1, f) != 1)
                        good = file_failed(held, "read", error);
                got += sizeof header + header.size;
                RelayRecord record = record_of(&header, body->data);
                good = good && take(userdata, &record, error);
        }
        if (good && got != held->in_file)
                good = file_failed(held, "read all of", error);
        (void) fclose(f);
        return good;
}

bool held_replay(Held *held, bool (*take)(gpointer userdata, const RelayRecord *record, GError **error), gpointer userdata,
                 GError **error) {
        if (held->path && !replay_file(held, take, userdata, error))
                return false;
        for (gsize at = 0; at < held->text->len;) {
                Header header;
                memcpy(&header, held->text->str + at, sizeof header);
                at += sizeof header;
                RelayRecord record = record_of(&header, (const guint8 *) held->text->str + at);
                at += header.size;
                if (!take(userdata, &record, error))
                        return false;
        }
        return true;
}
