/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Segments of 64 MiB, appended to by one thread and read by another; see relay.h. Records are written through a buffer, the
 * reader reads blocks: the page cache makes the detour over files cheap. Nothing is synced, since nothing must survive. */

#include "engine/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"

#define SEGMENT_SIZE (64u * 1024 * 1024)
#define WRITE_BUFFER (256u * 1024)
#define READ_BLOCK (256u * 1024)
#define LARGE_RECORD (1024u * 1024)

typedef struct Header {
        guint32 size; /* of what follows */
        guint8 kind, type;
        guint16 flags;
        guint32 timestamp;
} Header;

struct Relay {
        char *directory;

        /* The writer's. Offsets count from the relay's beginning, over all segments; a segment starts at a transaction. */
        int write_fd;
        guint64 segment_start;  /* offset at which the written segment begins */
        GString *buffer;        /* not written yet */
        guint64 flushed;        /* offset up to which bytes are in files */
        guint64 end;            /* offset of the next record */

        /* Shared. */
        pthread_mutex_t lock;
        pthread_cond_t readable;
        guint64 committed;      /* records before it may be read */
        guint64 kept;           /* committed by the writer; the same unless kept back */
        bool kept_back;
        GArray *segments;       /* of guint64: start offsets, oldest first */
        bool woken;

        /* The reader's. */
        int read_fd;
        guint64 read_segment, read_next; /* start of the open segment; offset of the next record */
        guint8 *block;
        gsize block_size;       /* allocated */
        guint64 block_start;    /* offset of block[0] */
        gsize block_length;
};

static char *segment_path(const Relay *relay, guint64 start) {
        return g_strdup_printf("%s/%016" G_GINT64_MODIFIER "x", relay->directory, start);
}

static bool open_segment(Relay *relay, guint64 start, GError **error) {
        g_autofree char *path = segment_path(relay, start);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot create the relay log %s: %s", path, g_strerror(errno));
                return false;
        }
        if (relay->write_fd >= 0)
                close(relay->write_fd);
        relay->write_fd = fd;
        relay->segment_start = start;
        pthread_mutex_lock(&relay->lock);
        g_array_append_val(relay->segments, start);
        pthread_mutex_unlock(&relay->lock);
        return true;
}

Relay *relay_new(const char *directory, GError **error) {
        if (!fs_remove_tree(directory, error) || !fs_make_dir(directory, error))
                return NULL;
        g_autoptr(Relay) relay = g_new0(Relay, 1);
        relay->directory = g_strdup(directory);
        relay->write_fd = relay->read_fd = -1;
        relay->buffer = g_string_sized_new(WRITE_BUFFER + 65536);
        relay->segments = g_array_new(FALSE, FALSE, sizeof(guint64));
        pthread_mutex_init(&relay->lock, /* attr= */ NULL);
        clock_cond_init(&relay->readable);
        if (!open_segment(relay, 0, error))
                return NULL;
        return g_steal_pointer(&relay);
}

void relay_free(Relay *relay) {
        if (!relay)
                return;
        if (relay->write_fd >= 0)
                close(relay->write_fd);
        if (relay->read_fd >= 0)
                close(relay->read_fd);
        (void) fs_remove_tree(relay->directory, /* error= */ NULL);
        g_string_free(relay->buffer, TRUE);
        g_array_unref(relay->segments);
        pthread_cond_destroy(&relay->readable);
        pthread_mutex_destroy(&relay->lock);
        g_free(relay->block);
        g_free(relay->directory);
        g_free(relay);
}

static bool write_out(Relay *relay, const void *data, gsize size, GError **error) {
        gsize done = 0;
        while (done < size) {
                ssize_t n = pwrite(relay->write_fd, (const char *) data + done, size - done,
                                   (off_t) (relay->flushed + done - relay->segment_start));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        g_set_error(error, PS_ERROR, PS_ERROR_FAILED,
                                    "cannot write the relay log in %s: %s; make room there, then Resume", relay->directory,
                                    g_strerror(n < 0 ? errno : ENOSPC));
                        return false;
                }
                done += (gsize) n;
        }
        relay->flushed += done;
        return true;
}

static bool flush(Relay *relay, GError **error) {
        if (!write_out(relay, relay->buffer->str, relay->buffer->len, error))
                return false;
        g_string_truncate(relay->buffer, 0);
        return true;
}

static bool append(Relay *relay, const Header *header, const void *a, gsize a_size, const void *b, gsize b_size,
                   GError **error) {
        g_string_append_len(relay->buffer, (const char *) header, sizeof *header);
        if (a_size > LARGE_RECORD) { /* without another copy of it */
                if (!flush(relay, error) || !write_out(relay, a, a_size, error))
                        return false;
        } else
                g_string_append_len(relay->buffer, a, (gssize) a_size);
        if (b_size > 0)
                g_string_append_len(relay->buffer, b, (gssize) b_size);
        relay->end += sizeof *header + a_size + b_size;
        return relay->buffer->len < WRITE_BUFFER || flush(relay, error);
}

bool relay_append(Relay *relay, const RelayRecord *record, GError **error) {
        Header header = {
                .size = (guint32) record->size,
                .kind = RELAY_EVENT,
                .type = (guint8) record->type,
                .flags = record->flags,
                .timestamp = record->timestamp,
        };
        return append(relay, &header, record->data, record->size, NULL, 0, error);
}

/* Under the lock. */
static void hand_over(Relay *relay) {
        if (relay->kept_back)
                return;
        relay->committed = relay->kept;
        pthread_cond_signal(&relay->readable);
}

void relay_keep_back(Relay *relay) {
        pthread_mutex_lock(&relay->lock);
        relay->kept_back = true;
        pthread_mutex_unlock(&relay->lock);
}

void relay_hand_over(Relay *relay) {
        pthread_mutex_lock(&relay->lock);
        relay->kept_back = false;
        hand_over(relay);
        pthread_mutex_unlock(&relay->lock);
}

bool relay_commit(Relay *relay, const char *file, const RelayCommit *given, const RelayHold *hold, GError **error) {
        RelayCommit commit = *given;
        commit.file_length = (guint32) strlen(file);
        commit.hold_seq = hold->seq;
        commit.hold_offset = hold->offset;
        commit.hold_file_length = hold->file ? (guint32) strlen(hold->file) : 0;
        g_autofree char *files = g_strconcat(file, hold->file, NULL); /* either of them may end the list */
        gsize length = commit.file_length + commit.hold_file_length;
        Header header = {
                .size = (guint32) (sizeof commit + length),
                .kind = RELAY_COMMIT,
                .timestamp = commit.timestamp,
        };
        if (!append(relay, &header, &commit, sizeof commit, files, length, error) || !flush(relay, error))
                return false;

        pthread_mutex_lock(&relay->lock);
        relay->kept = relay->end;
        hand_over(relay);
        pthread_mutex_unlock(&relay->lock);

        if (relay->end - relay->segment_start >= SEGMENT_SIZE)
                return open_segment(relay, relay->end, error);
        return true;
}

void relay_rollback(Relay *relay) {
        pthread_mutex_lock(&relay->lock);
        guint64 committed = relay->kept;
        pthread_mutex_unlock(&relay->lock);
        g_string_truncate(relay->buffer, 0);
        relay->end = relay->flushed = committed;
        /* Bytes behind it in the segment are overwritten; the reader never looks past `committed`. */
}

/* Makes SIZE bytes from OFFSET on available in the block. */
static bool fill(Relay *relay, guint64 offset, gsize size, guint64 limit, GError **error) {
        if (offset >= relay->block_start && offset + size <= relay->block_start + relay->block_length)
                return true;

        gsize want = MAX(size, (gsize) MIN((guint64) READ_BLOCK, limit - offset));
        if (want > relay->block_size) {
                relay->block = g_realloc(relay->block, want);
                relay->block_size = want;
        } else if (relay->block_size > 4 * READ_BLOCK && want <= READ_BLOCK) { /* after a huge row */
                relay->block = g_realloc(relay->block, READ_BLOCK);
                relay->block_size = READ_BLOCK;
        }
        gsize got = 0;
        while (got < want) {
                ssize_t n = pread(relay->read_fd, relay->block + got, want - got, (off_t) (offset + got - relay->read_segment));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break; /* a segment ends before `limit`: what was wanted for later may lack */
                got += (gsize) n;
        }
        relay->block_start = offset;
        relay->block_length = got;
        if (got < size) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the relay log in %s is damaged", relay->directory);
                return false;
        }
        return true;
}

/* Opens the segment that holds read_next, and removes the ones before it. */
static bool enter_segment(Relay *relay, GError **error) {
        guint64 start = 0, old = G_MAXUINT64;
        pthread_mutex_lock(&relay->lock);
        if (relay->read_fd >= 0 && relay->segments->len > 1 && g_array_index(relay->segments, guint64, 1) <= relay->read_next) {
                old = g_array_index(relay->segments, guint64, 0);
                g_array_remove_index(relay->segments, 0);
        }
        start = g_array_index(relay->segments, guint64, 0);
        pthread_mutex_unlock(&relay->lock);

        if (old != G_MAXUINT64) {
                g_autofree char *path = segment_path(relay, old);
                (void) unlink(path);
                close(relay->read_fd);
                relay->read_fd = -1;
        }
        if (relay->read_fd >= 0)
                return true;
        g_autofree char *path = segment_path(relay, start);
        relay->read_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (relay->read_fd < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "cannot read the relay log %s: %s", path, g_strerror(errno));
                return false;
        }
        relay->read_segment = start;
        relay->block_length = 0;
        return true;
}

bool relay_read(Relay *relay, gint64 timeout_usec, RelayRecord *ret, bool *ret_found, GError **error) {
        struct timespec until = clock_deadline(MAX(timeout_usec, 0));

        pthread_mutex_lock(&relay->lock);
        while (relay->committed == relay->read_next && !relay->woken)
                if (timeout_usec <= 0 || pthread_cond_timedwait(&relay->readable, &relay->lock, &until) != 0)
                        break;
        relay->woken = false;
        guint64 committed = relay->committed;
        pthread_mutex_unlock(&relay->lock);
        *ret_found = false;
        if (committed == relay->read_next)
                return true;

        Header header;
        if (!enter_segment(relay, error) || !fill(relay, relay->read_next, sizeof header, committed, error))
                return false;
        memcpy(&header, relay->block + (relay->read_next - relay->block_start), sizeof header);
        if (header.size > committed - relay->read_next - sizeof header) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "the relay log in %s is damaged", relay->directory);
                return false;
        }
        if (!fill(relay, relay->read_next + sizeof header, header.size, committed, error))
                return false;
        *ret = (RelayRecord){
                .kind = header.kind,
                .type = header.type,
                .flags = header.flags,
                .timestamp = header.timestamp,
                .data = relay->block + (relay->read_next + sizeof header - relay->block_start),
                .size = header.size,
        };
        pthread_mutex_lock(&relay->lock);
        relay->read_next += sizeof header + header.size;
        pthread_mutex_unlock(&relay->lock);
        *ret_found = true;
        return true;
}

void relay_wake(Relay *relay) {
        pthread_mutex_lock(&relay->lock);
        relay->woken = true;
        pthread_cond_signal(&relay->readable);
        pthread_mutex_unlock(&relay->lock);
}

guint64 relay_backlog(Relay *relay) {
        pthread_mutex_lock(&relay->lock);
        guint64 backlog = relay->committed - relay->read_next;
        pthread_mutex_unlock(&relay->lock);
        return backlog;
}
