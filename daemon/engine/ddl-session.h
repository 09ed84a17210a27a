/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Makes a session on one server like the one that ran a statement on another, so that the statement means the same. */

#include <stdbool.h>

#include "mysql/conn.h"
#include "mysql/query-session.h"

/* What is not logged and counts: of the upstream, asked once. */
typedef struct DdlUpstream {
        Flavor flavor;
        bool explicit_timestamp;  /* explicit_defaults_for_timestamp, where it is a global setting */
        char *system_time_zone;
        char *storage_engine;     /* the global default */
} DdlUpstream;
bool ddl_upstream_read(Conn *upstream, DdlUpstream *ret, GError **error);
void ddl_upstream_clear(DdlUpstream *upstream);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DdlUpstream, ddl_upstream_clear)

/* PS_ERROR_UNSUPPORTED_OBJECT when DOWN cannot have such a session. TIMESTAMPS: the statement speaks of such columns; DEFAULTS: it may make
 * something that takes its collation from the session. */
bool ddl_session_set(Conn *down, const QuerySession *session, const DdlUpstream *upstream, bool timestamps, bool defaults, GError **error);
