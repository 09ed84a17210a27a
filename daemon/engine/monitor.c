/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See monitor.h. */

#include "engine/monitor.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/thread.h"
#include "engine/fence.h"

#define BEAT_USEC USEC_PER_SEC
#define IO_TIMEOUT 5 /* s */
#define HEARTBEAT_ROW 1
#define BOOT_ROW 2 /* in the same table: conn_boot_time() of the server that was last seen taking writes */
#define BOOT_AGE 2 /* s: a younger one is not noted yet, since two boots may begin in one second */

struct Monitor {
        MonitorConfig config;
        ConnParams params[_SIDE_MAX]; /* as the configuration's, with shorter time-outs */
        Thread *thread;

        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool stop, held, beating, due; /* due: beat now */
        Side writer;
        guint64 epoch;
        bool changed_sides, reconnect;
        char *seen[_SIDE_MAX];  /* the thread's: what parameters said last */
        guint64 boot;           /* the thread's: of the side that takes writes, while it is too young to be noted; else 0 */
        Conn *conns[_SIDE_MAX]; /* changed under the lock, used by the thread */
        ReadWriteStatus status[_SIDE_MAX];
};

static void set_conn(Monitor *monitor, Side side, Conn *conn) {
        pthread_mutex_lock(&monitor->lock);
        Conn *old = monitor->conns[side];
        monitor->conns[side] = conn;
        pthread_mutex_unlock(&monitor->lock);
        conn_free(old);
}

static void set_status(Monitor *monitor, Side side, ReadWriteStatus status) {
        pthread_mutex_lock(&monitor->lock);
        bool changed = monitor->status[side] != status;
        monitor->status[side] = status;
        pthread_mutex_unlock(&monitor->lock);
        if (changed)
                monitor->config.on_change(monitor->config.userdata);
}

/* Ours to close and to write on? */
static bool is_meant(const Monitor *monitor, Side side, Conn *conn, guint64 epoch, OwnerRow *ret_owner, bool *ret) {
        const char *known = monitor->config.identity[side], *now = conn_host_uuid(conn);
        if (!ledger_read_owner(monitor->config.ledger, conn, ret_owner, NULL))
                return false;
        *ret = (!known || !*known || g_strcmp0(known, now) == 0) && (!ret_owner->present || ret_owner->epoch <= epoch);
        return true;
}

static bool write_row(const Monitor *monitor, Conn *conn, unsigned id, guint64 value) {
        return conn_execf(conn, NULL,
                          "INSERT INTO %s (id, value) VALUES (%u, %" G_GUINT64_FORMAT ") ON DUPLICATE KEY UPDATE value=%" G_GUINT64_FORMAT,
                          monitor->config.ledger->watermark, id, value, value);
}

/* Whether it was started anew since it was last seen taking writes. */
static bool restarted(const Monitor *monitor, Conn *conn, guint64 boot) {
        guint64 seen;
        g_autofree char *sql = g_strdup_printf("SELECT COALESCE(MAX(value), 0) FROM %s WHERE id=%u", monitor->config.ledger->watermark, BOOT_ROW);
        return conn_query_uint64(conn, sql, &seen, NULL) && seen != boot;
}

static void note_boot(Monitor *monitor, Conn *conn, guint64 boot) {
        guint64 now;
        monitor->boot = 0;
        if (conn_query_uint64(conn, "SELECT UNIX_TIMESTAMP()", &now, NULL) && now < boot + BOOT_AGE && now >= boot)
                monitor->boot = boot;
        else
                (void) write_row(monitor, conn, BOOT_ROW, boot);
}

/* A side that took over may have read_only in its configuration, as a fence that outlives a restart: behind the switch that would keep
 * everybody out after the next one. The owner row says who takes writes. Whoever closed it by hand, without a restart, is left alone. */
static bool greet_writer(Monitor *monitor, Side side, Conn *conn, const OwnerRow *owner) {
        guint64 boot;
        bool closed;
        monitor->boot = 0;
        if (!conn_boot_time(conn, &boot, NULL) || !fence_is_closed(monitor->config.fence, conn, &closed, NULL))
                return !conn_is_dead(conn);
        pthread_mutex_lock(&monitor->lock);
        bool ours = monitor->changed_sides;
        pthread_mutex_unlock(&monitor->lock);
        if (closed) {
                if (!fence_may_come_back(monitor->config.fence) || !ours || !owner->present || owner->writer != side || !restarted(monitor, conn, boot))
                        return !conn_is_dead(conn);
                if (fence_is_slow(monitor->config.fence)) {
                        monitor->config.on_wrong(monitor->config.userdata, side);
                        return !conn_is_dead(conn);
                }
                if (!fence_open(monitor->config.fence, side, conn, /* how= */ NULL, NULL))
                        return !conn_is_dead(conn);
                monitor->config.on_reopened(monitor->config.userdata, side);
        }
        note_boot(monitor, conn, boot);
        return !conn_is_dead(conn);
}

static bool connect_side(Monitor *monitor, Side side, Side writer, guint64 epoch) {
        bool meant;
        OwnerRow owner;
        g_autoptr(Conn) fresh = conn_open(&monitor->params[side], 0, NULL);
        if (!fresh || !is_meant(monitor, side, fresh, epoch, &owner, &meant))
                return false;
        if (meant && side == writer && !greet_writer(monitor, side, fresh, &owner))
                return false;
        set_conn(monitor, side, g_steal_pointer(&fresh));
        g_clear_pointer(&monitor->seen[side], g_free); /* a server that was restarted is told of, whatever its variables are */
        return true;
}

/* false: it cannot be reached. What cannot be read for another reason is looked at again at the next beat. */
static bool look_at_parameters(Monitor *monitor, Side side, Conn *conn) {
        g_autoptr(GHashTable) values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(ConnRows) rows = conn_query(conn, monitor->config.parameters, NULL);
        if (!rows)
                return !conn_is_dead(conn);
        for (char **row; (row = conn_rows_take(rows));) {
                if (!row[0] || !row[1])
                        continue;
                g_hash_table_insert(values, g_ascii_strdown(row[0], -1), g_utf8_make_valid(row[1], -1));
                g_string_append_printf(text, "%s=%s\n", row[0], row[1]);
        }
        guint64 boot;
        if (g_strcmp0(text->str, monitor->seen[side]) == 0)
                return true;
        if (!conn_boot_time(conn, &boot, NULL))
                return !conn_is_dead(conn);
        g_free(monitor->seen[side]);
        monitor->seen[side] = g_string_free(g_steal_pointer(&text), FALSE);
        monitor->config.on_parameters(monitor->config.userdata, side, values, boot);
        return true;
}

/* false: it cannot be reached. Who owns the migration is asked at each beat: while this process stood still another agent may have gone on with it,
 * and the connections are as they were. */
static bool beat_side(Monitor *monitor, Side side, Side writer, guint64 epoch) {
        if (!monitor->conns[side] && !connect_side(monitor, side, writer, epoch))
                return false;
        Conn *conn = monitor->conns[side];
        bool closed, meant;
        OwnerRow owner;
        if (!is_meant(monitor, side, conn, epoch, &owner, &meant))
                return false;
        if (!meant) {
                set_conn(monitor, side, NULL);
                set_status(monitor, side, READ_WRITE_STATUS_UNKNOWN);
                return true;
        }
        if (!fence_is_closed(monitor->config.fence, conn, &closed, NULL))
                return false;

        if (side == writer && !write_row(monitor, conn, HEARTBEAT_ROW, clock_real()) && conn_is_dead(conn))
                return false;
        if (side == writer && !closed && monitor->boot != 0)
                note_boot(monitor, conn, monitor->boot);
        if (side != writer && !closed && fence_is_slow(monitor->config.fence))
                monitor->config.on_wrong(monitor->config.userdata, side);
        else if (side != writer && !closed) {
                if (!fence_shut(monitor->config.fence, side, conn, NULL))
                        return false;
                closed = true;
                monitor->config.on_refenced(monitor->config.userdata, side);
        }
        set_status(monitor, side, closed ? READ_WRITE_STATUS_READ_ONLY : READ_WRITE_STATUS_READ_WRITE);
        return look_at_parameters(monitor, side, conn);
}

static void run(gpointer data) {
        Monitor *monitor = data;
        gint64 next = 0;

        pthread_mutex_lock(&monitor->lock);
        while (!monitor->stop) {
                gint64 wait = monitor->due ? 0 : next - clock_monotonic();
                if (monitor->held || wait > 0) {
                        struct timespec until = clock_deadline(monitor->held ? BEAT_USEC : wait);
                        (void) pthread_cond_timedwait(&monitor->changed, &monitor->lock, &until);
                        continue;
                }
                monitor->beating = true;
                monitor->due = false;
                Side writer = monitor->writer;
                guint64 epoch = monitor->epoch;
                bool reconnect = monitor->reconnect;
                monitor->reconnect = false;
                pthread_mutex_unlock(&monitor->lock);

                for (Side side = SIDE_SOURCE; reconnect && side < _SIDE_MAX; side++)
                        set_conn(monitor, side, NULL);
                next = clock_monotonic() + BEAT_USEC;
                for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                        if (!beat_side(monitor, side, writer, epoch)) {
                                set_conn(monitor, side, NULL);
                                set_status(monitor, side, READ_WRITE_STATUS_UNREACHABLE);
                        }

                pthread_mutex_lock(&monitor->lock);
                monitor->beating = false;
                pthread_cond_broadcast(&monitor->changed);
        }
        pthread_mutex_unlock(&monitor->lock);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                set_conn(monitor, side, NULL);
}

Monitor *monitor_start(const MonitorConfig *config) {
        Monitor *monitor = g_new0(Monitor, 1);
        monitor->config = *config;
        monitor->writer = config->writer;
        monitor->epoch = config->epoch;
        monitor->changed_sides = config->changed_sides;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                monitor->config.identity[side] = g_strdup(config->identity[side]);
                monitor->status[side] = config->status[side];
                monitor->params[side] = *config->servers[side];
                monitor->params[side].io_timeout = IO_TIMEOUT;
                monitor->params[side].connect_timeout = IO_TIMEOUT;
                monitor->params[side].identity = NULL; /* it shows a stranger as one */
        }
        pthread_mutex_init(&monitor->lock, /* attr= */ NULL);
        clock_cond_init(&monitor->changed);
        monitor->thread = thread_start("monitor", run, monitor);
        return monitor;
}

void monitor_free(Monitor *monitor) {
        if (!monitor)
                return;
        pthread_mutex_lock(&monitor->lock);
        monitor->stop = true;
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++)
                if (monitor->conns[side])
                        conn_abort(monitor->conns[side]);
        pthread_cond_broadcast(&monitor->changed);
        pthread_mutex_unlock(&monitor->lock);
        thread_join(monitor->thread);
        for (Side side = SIDE_SOURCE; side < _SIDE_MAX; side++) {
                g_free((char *) monitor->config.identity[side]);
                g_free(monitor->seen[side]);
        }
        g_free(monitor->config.parameters);
        pthread_cond_destroy(&monitor->changed);
        pthread_mutex_destroy(&monitor->lock);
        g_free(monitor);
}

void monitor_hold(Monitor *monitor) {
        pthread_mutex_lock(&monitor->lock);
        monitor->held = true;
        while (monitor->beating)
                pthread_cond_wait(&monitor->changed, &monitor->lock);
        pthread_mutex_unlock(&monitor->lock);
}

void monitor_release(Monitor *monitor, Side writer, guint64 epoch) {
        pthread_mutex_lock(&monitor->lock);
        monitor->held = false;
        monitor->due = true;
        if (monitor->writer != writer) { /* the new one is greeted */
                monitor->changed_sides = true;
                monitor->reconnect = true;
        }
        monitor->writer = writer;
        monitor->epoch = epoch;
        pthread_cond_broadcast(&monitor->changed);
        pthread_mutex_unlock(&monitor->lock);
}

void monitor_greet(Monitor *monitor) {
        pthread_mutex_lock(&monitor->lock);
        monitor->due = monitor->reconnect = true;
        pthread_cond_broadcast(&monitor->changed);
        pthread_mutex_unlock(&monitor->lock);
}

ReadWriteStatus monitor_status(Monitor *monitor, Side side) {
        pthread_mutex_lock(&monitor->lock);
        ReadWriteStatus status = monitor->status[side];
        pthread_mutex_unlock(&monitor->lock);
        return status;
}
