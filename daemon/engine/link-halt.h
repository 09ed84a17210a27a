/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Why a link stops on purpose: the reader met something that has to be done downstream before anything behind it is read. What lies before it
 * is applied and said by every checkpoint row; then the link ends, the engine does it, and a new link goes on. A plain value. */

#include <stdbool.h>

#include <glib.h>

#include "mysql/query-session.h"

typedef enum LinkHaltKind {
        LINK_HALT_ROWS,      /* what a table's rows are now is not in the log: it has to be copied again */
        LINK_HALT_POSITION,  /* it was asked to: between two transactions */
        LINK_HALT_STATEMENT, /* changes what is carried (or is not understood): to be run downstream */
        _LINK_HALT_MAX,
        _LINK_HALT_INVALID = -1,
} LinkHaltKind;

typedef struct LinkHalt {
        LinkHaltKind kind;
        guint64 seq;        /* of the transaction that it is, or is in: all before it are settled when the link has ended */
        char *file;         /* where it stands in the upstream's log: its end */
        guint64 offset;

        /* LINK_HALT_ROWS: the table that the statement names, or that the rows are of; "" when it cannot be told. `sql` is the statement, or NULL. */
        char row_database[200], row_table[200];

        /* LINK_HALT_STATEMENT */
        bool understood;    /* false: it cannot be told what it changes */
        bool inside;        /* rows of the same transaction follow (CREATE TABLE … SELECT) */
        char what[128];     /* safe for a message, see Statement; the text is not */
        char *database;     /* the session's; "": none */
        GBytes *sql;
        QuerySession session;
} LinkHalt;

LinkHalt *link_halt_copy(const LinkHalt *halt); /* of NULL: NULL */
void link_halt_free(LinkHalt *halt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LinkHalt, link_halt_free)
