/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What conn.c and conn-query.c share about LOAD DATA LOCAL. */

#include "mysql/conn.h"

/* What the server may read by LOAD DATA LOCAL: our memory, and only while conn_load_data() runs. A server may
 * ask for a file in answer to any statement, so every connection has the handler, which refuses when there is
 * nothing. */
typedef struct ConnUpload {
        bool active;
        const char *data;
        gsize length, offset;
} ConnUpload;

ConnUpload *conn_upload(Conn *conn);
void conn_upload_prepare(Conn *conn);
