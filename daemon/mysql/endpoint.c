/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The URI of a server; see endpoint.h. Error messages quote no part in which a password could stand. */

#include "mysql/endpoint.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"

#define URI_LENGTH_MAX 4096
#define HOSTS_MAX 32
#define WORD_LENGTH_MAX 128

static const char *const ssl_mode_table[_SSL_MODE_MAX] = {
        [SSL_MODE_DISABLED] = "disabled",
        [SSL_MODE_REQUIRED] = "required",
        [SSL_MODE_VERIFY_CA] = "verify-ca",
        [SSL_MODE_VERIFY_IDENTITY] = "verify-identity",
};
ENUM_TABLE_DEFINE(ssl_mode, SslMode, ssl_mode_table);

static bool G_GNUC_PRINTF(3, 4) refuse(const char *option, GError **error, const char *format, ...) {
        va_list args;
        va_start(args, format);
        g_autofree char *what = g_strdup_vprintf(format, args);
        va_end(args);
        g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "Option %s: %s", option, what);
        return false;
}

static void endpoint_host_free(gpointer data) {
        EndpointHost *host = data;
        g_free(host->host);
        g_free(host);
}

static Endpoint *endpoint_new(void) {
        Endpoint *endpoint = g_new0(Endpoint, 1);
        endpoint->hosts = g_ptr_array_new_with_free_func(endpoint_host_free);
        endpoint->ssl_mode = _SSL_MODE_INVALID;
        return endpoint;
}

void endpoint_free(Endpoint *endpoint) {
        if (!endpoint)
                return;
        g_free(endpoint->user);
        g_ptr_array_unref(endpoint->hosts);
        g_free(endpoint->socket);
        g_free(endpoint->region);
        g_free(endpoint->zone);
        g_free(endpoint);
}

static void add_host(Endpoint *endpoint, const char *name, guint16 port) {
        EndpointHost *host = g_new0(EndpointHost, 1);
        host->host = g_strdup(name);
        host->port = port;
        g_ptr_array_add(endpoint->hosts, host);
}

Endpoint *endpoint_copy(const Endpoint *endpoint) {
        Endpoint *copy = endpoint_new();
        copy->user = g_strdup(endpoint->user);
        for (guint i = 0; i < endpoint->hosts->len; i++) {
                const EndpointHost *host = g_ptr_array_index(endpoint->hosts, i);
                add_host(copy, host->host, host->port);
        }
        copy->socket = g_strdup(endpoint->socket);
        copy->ssl_mode = endpoint->ssl_mode;
        copy->region = g_strdup(endpoint->region);
        copy->zone = g_strdup(endpoint->zone);
        return copy;
}

char *endpoint_label(const Endpoint *endpoint) {
        if (endpoint->socket)
                return g_strdup(endpoint->socket);
        GString *label = g_string_new(NULL);
        for (guint i = 0; i < endpoint->hosts->len; i++) {
                const EndpointHost *host = g_ptr_array_index(endpoint->hosts, i);
                g_string_append_printf(label, strchr(host->host, ':') ? "%s[%s]:%u" : "%s%s:%u", i > 0 ? "," : "",
                                       host->host, host->port);
        }
        return g_string_free(label, /* free_segment= */ FALSE);
}

/* Percent-decoded text without control characters; NULL when it is not that. */
static char *decode(const char *text, gsize length) {
        g_autofree char *encoded = g_strndup(text, length);
        g_autofree char *decoded = g_uri_unescape_string(encoded, /* illegal_characters= */ NULL);
        if (!decoded || !g_utf8_validate(decoded, -1, NULL))
                return NULL;
        for (const char *p = decoded; *p; p++)
                if ((guint8) *p < 0x20 || *p == 0x7f)
                        return NULL;
        return g_steal_pointer(&decoded);
}

static bool parse_user(Endpoint *endpoint, const char *option, const char *text, gsize length, GError **error) {
        if (memchr(text, ':', length))
                return refuse(option, error, "a password must not stand in the URI; give it as a credential");
        if (memchr(text, '@', length))
                return refuse(option, error, "\"@\" in a user name is written %%40");
        endpoint->user = decode(text, length);
        if (!endpoint->user || !endpoint->user[0] || strlen(endpoint->user) > WORD_LENGTH_MAX)
                return refuse(option, error, "the user name before \"@\" is missing or not valid");
        return true;
}

static bool parse_port(const char *text, guint16 *ret) {
        guint64 port;
        if (!g_ascii_isdigit(text[0]) ||
            !g_ascii_string_to_unsigned(text, 10, 1, 65535, &port, /* error= */ NULL))
                return false;
        *ret = (guint16) port;
        return true;
}

static bool host_is_valid(const char *name, bool brackets) {
        struct in6_addr address;
        if (brackets)
                return inet_pton(AF_INET6, name, &address) == 1;
        return name[0] && strlen(name) <= 253 && name[0] != '-' && name[0] != '.' &&
                strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name);
}

static bool parse_host(Endpoint *endpoint, const char *option, const char *text, GError **error) {
        g_autofree char *name = NULL;
        const char *port_text = NULL;
        guint16 port = 3306;
        bool brackets = text[0] == '[';

        if (brackets) {
                const char *close = strchr(text, ']');
                if (!close || (close[1] && close[1] != ':'))
                        return refuse(option, error, "an IPv6 address stands in brackets: [2001:db8::1]:3306");
                name = g_strndup(text + 1, (gsize) (close - text - 1));
                port_text = close[1] ? close + 2 : NULL;
        } else {
                const char *colon = strchr(text, ':');
                name = g_strndup(text, colon ? (gsize) (colon - text) : strlen(text));
                port_text = colon ? colon + 1 : NULL;
        }
        /* Not quoted: with a user name that is not encoded a part of a password could be taken for the host. */
        if (!host_is_valid(name, brackets))
                return refuse(option, error, "a host is neither a name nor an address");
        if (port_text && !parse_port(port_text, &port))
                return refuse(option, error, "a port is not a number from 1 to 65535");
        for (guint i = 0; i < endpoint->hosts->len; i++) {
                const EndpointHost *other = g_ptr_array_index(endpoint->hosts, i);
                if (other->port == port && g_ascii_strcasecmp(other->host, name) == 0)
                        return refuse(option, error, "host %s:%u is given twice", name, port);
        }
        add_host(endpoint, name, port);
        return true;
}

static bool parse_hosts(Endpoint *endpoint, const char *option, const char *text, gsize length, GError **error) {
        g_autofree char *list = g_strndup(text, length);
        if (!list[0])
                return true;
        g_auto(GStrv) parts = g_strsplit(list, ",", -1);
        if (g_strv_length(parts) > HOSTS_MAX)
                return refuse(option, error, "more than %d hosts", HOSTS_MAX);
        for (char **part = parts; *part; part++)
                if (!parse_host(endpoint, option, *part, error))
                        return false;
        return true;
}

static bool parse_word(const char *option, const char *key, const char *value, char **field, GError **error) {
        if (strlen(value) > WORD_LENGTH_MAX)
                return refuse(option, error, "%s is longer than %d characters", key, WORD_LENGTH_MAX);
        *field = g_strdup(value);
        return true;
}

static bool parse_parameter(Endpoint *endpoint, const char *option, const char *text, GError **error) {
        static const char *const keys[] = {"region", "zone", "ssl-mode", "socket", NULL};
        const char *equals = strchr(text, '=');
        g_autofree char *key = g_strndup(text, equals ? (gsize) (equals - text) : strlen(text));

        if (!equals || !g_strv_contains(keys, key))
                return refuse(option, error, "unknown parameter in the URI; known: region, zone, ssl-mode, socket");
        g_autofree char *value = decode(equals + 1, strlen(equals + 1));
        if (!value)
                return refuse(option, error, "the value of %s is not valid percent-encoded text", key);
        if (!value[0])
                return true; /* as not given */

        if (strcmp(key, "region") == 0 && !endpoint->region)
                return parse_word(option, key, value, &endpoint->region, error);
        if (strcmp(key, "zone") == 0 && !endpoint->zone)
                return parse_word(option, key, value, &endpoint->zone, error);
        if (strcmp(key, "ssl-mode") == 0 && endpoint->ssl_mode == _SSL_MODE_INVALID) {
                endpoint->ssl_mode = ssl_mode_from_string(value);
                if (endpoint->ssl_mode == _SSL_MODE_INVALID)
                        return refuse(option, error,
                                      "ssl-mode is one of disabled, required, verify-ca, verify-identity");
                return true;
        }
        if (strcmp(key, "socket") == 0 && !endpoint->socket) {
                if (value[0] != '/' || strlen(value) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
                        return refuse(option, error, "socket is not an absolute path that a socket can have");
                endpoint->socket = g_strdup(value);
                return true;
        }
        return refuse(option, error, "%s is given twice", key);
}

static bool parse_parameters(Endpoint *endpoint, const char *option, const char *text, GError **error) {
        if (text[0] == '/')
                text++;
        if (!text[0])
                return true;
        if (text[0] != '?')
                return refuse(option, error,
                              "no database belongs into the URI; behind the hosts \"/?key=value\" may stand");
        g_auto(GStrv) parts = g_strsplit(text + 1, "&", -1);
        for (char **part = parts; *part; part++)
                if ((*part)[0] && !parse_parameter(endpoint, option, *part, error))
                        return false;
        return true;
}

/* A socket needs no host; "localhost" beside it says the same and is dropped. */
static bool check_where(Endpoint *endpoint, const char *option, GError **error) {
        if (!endpoint->socket)
                return endpoint->hosts->len > 0 || refuse(option, error, "neither a host nor a socket is given");
        if (endpoint->hosts->len == 0)
                return true;
        const EndpointHost *host = g_ptr_array_index(endpoint->hosts, 0);
        if (endpoint->hosts->len > 1 || strcmp(host->host, "localhost") != 0 || host->port != 3306)
                return refuse(option, error, "both a host and a socket are given");
        g_ptr_array_set_size(endpoint->hosts, 0);
        return true;
}

Endpoint *endpoint_parse(const char *option, const char *uri, GError **error) {
        g_autoptr(Endpoint) endpoint = endpoint_new();

        if (strlen(uri) > URI_LENGTH_MAX || !g_utf8_validate(uri, -1, NULL)) {
                refuse(option, error, "the URI is too long or not valid UTF-8");
                return NULL;
        }
        if (!g_str_has_prefix(uri, "mysql://")) {
                refuse(option, error, "a URI of the form mysql://user@host:3306/ is expected");
                return NULL;
        }
        const char *authority = uri + strlen("mysql://");
        const char *rest = authority + strcspn(authority, "/?#");
        gsize length = (gsize) (rest - authority);
        const char *at = memrchr(authority, '@', length);
        if (!at) {
                refuse(option, error, "the user name before \"@\" is missing or not valid");
                return NULL;
        }
        if (!parse_user(endpoint, option, authority, (gsize) (at - authority), error) ||
            !parse_hosts(endpoint, option, at + 1, (gsize) (rest - at - 1), error) ||
            !parse_parameters(endpoint, option, rest, error) || !check_where(endpoint, option, error))
                return NULL;
        return g_steal_pointer(&endpoint);
}
