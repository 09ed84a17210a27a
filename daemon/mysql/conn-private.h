/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What conn.c and binlog-stream.c share: the client library's handle. Nobody else includes this or <mysql.h>.
 */

#include <mysql.h>

#include "mysql/conn.h"

MYSQL *conn_handle(Conn *conn);
/* Sets ERROR from the handle's last error, notes a lost connection; always false. */
bool conn_fail(Conn *conn, GError **error);
bool conn_is_aborted(const Conn *conn);
/* As conn_open(), with the time-out of each read in seconds. */
Conn *conn_open_with_timeout(const ConnParams *params, ConnFlags flags, unsigned read_timeout,
                             GError **error);
