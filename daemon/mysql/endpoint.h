/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Where a server is: mysql://user@host[:port][,host2[:port]]/?region=&zone=&ssl-mode=&socket= (contract, options of
 * CreateMigration). Pure parsing; a password in the URI is refused. Percent-encoding is decoded in user, socket, region
 * and zone; IPv6 addresses stand in brackets. */

#include <stdbool.h>

#include <glib.h>

#include "base/enum-table.h"

typedef enum SslMode {
        SSL_MODE_DISABLED,
        SSL_MODE_REQUIRED,
        SSL_MODE_VERIFY_CA,
        SSL_MODE_VERIFY_IDENTITY,
        _SSL_MODE_MAX,
        _SSL_MODE_INVALID = -1, /* not given: a socket means disabled, TCP verify-identity where a CA is set, else the
                                 * caller must choose (PS_ERROR_INVALID_OPTION, by spec.c) */
} SslMode;
ENUM_TABLE_DECLARE(ssl_mode, SslMode);

typedef struct EndpointHost {
        char *host;   /* without brackets */
        guint16 port; /* 3306 when not given */
} EndpointHost;

typedef struct Endpoint {
        char *user;
        GPtrArray *hosts; /* of EndpointHost, the candidates for fail-over in order; empty with a socket */
        char *socket;     /* absolute path, or NULL */
        SslMode ssl_mode;
        char *region, *zone; /* or NULL */
} Endpoint;

/* PS_ERROR_INVALID_OPTION that names OPTION ("source") and what is wrong, never echoing a password. */
Endpoint *endpoint_parse(const char *option, const char *uri, GError **error);
void endpoint_free(Endpoint *endpoint);
Endpoint *endpoint_copy(const Endpoint *endpoint);
/* Host and port, or the socket, only: what properties show ("db1:3306,db2:3306"). */
char *endpoint_label(const Endpoint *endpoint);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Endpoint, endpoint_free)
