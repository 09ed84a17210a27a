/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Closing a side to applications and opening it again, by the server's global read_only (fence=global). What it stops and what gets past
 * it was measured: life-cycle.md, 'What a fence costs and stops'. */

#include <stdbool.h>

#include <glib.h>

#include "engine/sessions.h"
#include "mysql/conn.h"

typedef struct FenceReport {
        bool events_were_on;  /* the event scheduler ran and was switched off */
        unsigned killed;      /* sessions */
} FenceReport;

/* Events off, read_only on, every foreign session that holds a transaction killed and gone (with KILL_SESSIONS also those of accounts that
 * read_only does not stop), and no prepared XA transaction left, within TIMEOUT_USEC. On an error the caller opens it again.
 * PS_ERROR_DEADLINE_EXCEEDED, PS_ERROR_CHECK_FAILED (XA), PS_ERROR_STOPPED (STOP said so). */
typedef bool (*FenceStop)(gpointer userdata);
bool fence_close(Conn *conn, SessionLook *look, bool kill_sessions, gint64 timeout_usec, FenceStop stop, gpointer userdata, FenceReport *ret, GError **error);
bool fence_open(Conn *conn, bool events_on, GError **error);
/* read_only alone, on a side that takes no writes anyhow. On servers that can keep it (MySQL 8 and later) it survives a restart. */
bool fence_shut(Conn *conn, GError **error);
bool fence_is_closed(Conn *conn, bool *ret, GError **error);
/* How many sessions fence_close() would kill now, and for how long the oldest transaction has been open (s). */
bool fence_survey(Conn *conn, SessionLook *look, bool kill_sessions, unsigned *ret_sessions, guint64 *ret_oldest, GError **error);
/* Of a session of others (sessions.h): whether fence_close() would end it. */
bool fence_would_end(const Session *session, bool kill_sessions);
/* Something that changes with every transaction logged and with nothing else: MariaDB also logs checkpoints of its own, which move the
 * position. */
bool fence_log_mark(Conn *conn, char **ret_mark, GError **error);
