/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens connections and prepares their sessions; see conn.h. A session must not depend on what an
 * administrator set globally: character sets, SQL mode, limits and even the language of messages are set
 * here, since rows, binary log and mysql_info() are read on that assumption. Statements and rows are in
 * conn-query.c. */

#include "mysql/conn-private.h"

#include <arpa/inet.h>
#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "mysql/conn-query.h"
#include "mysql/error-text.h"

#define CONNECT_TIMEOUT 10u
#define IO_TIMEOUT 60u
#define MAX_PACKET (1UL << 30)
#define HANDSHAKE_PLUGINS                                                                                    \
        "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,parsec,unix_socket,"     \
        "auth_socket"

struct Conn {
        MYSQL *mysql;
        char *label;
        char *host; /* NULL: the socket */
        guint16 port;
        Flavor flavor;
        guint64 id, max_packet;
        char *uuid;
        pthread_t owner; /* whose number of connections it is counted in */
        atomic_bool dead, aborted;
        pthread_mutex_t lock; /* of socket */
        int socket; /* our duplicate: the library closes its own when a connection is lost, and the number may
                     * then be anybody's by the time another thread shuts it down */
        ConnUpload upload;
};

/* ---- the library */

static pthread_once_t library_once = PTHREAD_ONCE_INIT; /* the library's own state is global too */
static __thread unsigned thread_connections;

static void library_start(void) {
        (void)mysql_library_init(0, NULL, NULL);
}

MYSQL *conn_handle(Conn *conn) {
        return conn->mysql;
}

ConnUpload *conn_upload(Conn *conn) {
        return &conn->upload;
}

bool conn_is_aborted(const Conn *conn) {
        return atomic_load(&conn->aborted);
}

bool conn_is_dead(const Conn *conn) {
        return atomic_load(&conn->dead) || atomic_load(&conn->aborted);
}

const Flavor *conn_flavor(const Conn *conn) {
        return &conn->flavor;
}

const char *conn_label(const Conn *conn) {
        return conn->label;
}

const char *conn_host(const Conn *conn, guint16 *ret_port) {
        *ret_port = conn->port;
        return conn->host;
}

guint64 conn_id(const Conn *conn) {
        return conn->id;
}

const char *conn_host_uuid(const Conn *conn) {
        return conn->uuid;
}

guint64 conn_max_packet(const Conn *conn) {
        return conn->max_packet;
}

char *conn_local_address(const Conn *conn) {
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } address;
        socklen_t length = sizeof address;
        char text[INET6_ADDRSTRLEN];
        if (getsockname(conn->socket, &address.any, &length) < 0)
                return NULL;
        const void *number = address.any.sa_family == AF_INET ? (const void *) &address.v4.sin_addr
                             : address.any.sa_family == AF_INET6 ? (const void *) &address.v6.sin6_addr : NULL;
        return number && inet_ntop(address.any.sa_family, number, text, sizeof text) ? g_strdup(text) : NULL;
}

/* ---- errors */

/* Text of a server may be of any bytes; ours ends on the bus, which takes UTF-8 only. */
static void set_mysql_error(GError **error, const char *label, MYSQL *mysql) {
        g_autofree char *said = g_utf8_make_valid(mysql_error(mysql), -1), *text = error_text(mysql_errno(mysql), said);
        const char *state = mysql_sqlstate(mysql);
        g_set_error(error, MYSQL_ERROR, (int)mysql_errno(mysql), "%s: %s (%u, %.5s)", label, text,
                    mysql_errno(mysql), state && state[0] ? state : "HY000");
}

static void close_socket(Conn *conn) {
        pthread_mutex_lock(&conn->lock);
        if (conn->socket >= 0)
                close(conn->socket);
        conn->socket = -1;
        pthread_mutex_unlock(&conn->lock);
}

static bool loses_connection(unsigned code) {
        switch (code) {
        case CR_SERVER_GONE_ERROR:
        case CR_SERVER_LOST:
        case CR_SERVER_LOST_EXTENDED:
        case CR_MALFORMED_PACKET:
        case CR_NET_PACKET_TOO_LARGE:
        case 1927: /* killed, MariaDB */
        case 4031: /* idle for too long, MySQL 8 */
                return true;
        default:
                return false;
        }
}

bool conn_fail(Conn *conn, GError **error) {
        if (atomic_load(&conn->aborted)) {
                atomic_store(&conn->dead, true);
                g_set_error(error, MYSQL_ERROR, CR_SERVER_LOST, "%s: The connection was given up (%d, HY000)",
                            conn->label, CR_SERVER_LOST);
                return false;
        }
        set_mysql_error(error, conn->label, conn->mysql);
        if (loses_connection(mysql_errno(conn->mysql)) || !conn->mysql->net.pvio) {
                atomic_store(&conn->dead, true);
                close_socket(conn); /* else ours would keep it open */
        }
        return false;
}

/* ---- TLS: the library takes files only, so the texts are put into memory files that live until it has read
 * them */

typedef struct TlsFiles {
        int fds[3];
        char paths[3][32];
} TlsFiles;

static void tls_files_clear(TlsFiles *files) {
        for (gsize i = 0; i < G_N_ELEMENTS(files->fds); i++)
                if (files->fds[i] >= 0)
                        close(files->fds[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TlsFiles, tls_files_clear)

/* → its path, NULL without ERROR when there is no text. */
static const char *tls_file(TlsFiles *files, gsize i, const char *text, GError **error) {
        if (!text)
                return NULL;
        files->fds[i] = memfd_create("polarshift-pem", MFD_CLOEXEC);
        gsize done = 0, length = strlen(text);
        while (files->fds[i] >= 0 && done < length) {
                ssize_t n = write(files->fds[i], text + done, length - done);
                if (n < 0 && errno != EINTR)
                        break;
                done += n > 0 ? (gsize)n : 0;
        }
        if (files->fds[i] < 0 || done < length) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "Cannot hold a certificate in memory: %s",
                            g_strerror(errno));
                return NULL;
        }
        g_snprintf(files->paths[i], sizeof files->paths[i], "/proc/self/fd/%d", files->fds[i]);
        return files->paths[i];
}

static SslMode effective_ssl_mode(const ConnParams *params) {
        if (params->endpoint->ssl_mode != _SSL_MODE_INVALID)
                return params->endpoint->ssl_mode;
        /* A caller that left it open over TCP without a CA was refused long before; here the safe choice is
         * made. */
        return params->endpoint->socket ? SSL_MODE_DISABLED : SSL_MODE_VERIFY_IDENTITY;
}

static bool set_tls(MYSQL *mysql, const ConnParams *params, SslMode mode, TlsFiles *files, GError **error) {
        GError *local = NULL;
        my_bool enforce = mode != SSL_MODE_DISABLED, verify = mode == SSL_MODE_VERIFY_IDENTITY;
        if (!enforce)
                return true;
        if (mode == SSL_MODE_VERIFY_CA && !params->tls.ca) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "ssl-mode=verify-ca needs the certificate of the authority: give source-ca or "
                            "destination-ca");
                return false;
        }
        /* With a CA the library verifies the chain; whether the name is looked at too is the other option. */
        const char *ca = mode == SSL_MODE_REQUIRED ? NULL : tls_file(files, 0, params->tls.ca, &local);
        const char *cert = local ? NULL : tls_file(files, 1, params->tls.cert, &local);
        const char *key = local ? NULL : tls_file(files, 2, params->tls.key, &local);
        if (local) {
                g_propagate_error(error, local);
                return false;
        }
        mysql_ssl_set(mysql, key, cert, ca, NULL, NULL);
        mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &enforce);
        mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
        /* When a server says that it has no TLS, the library goes on without unless names are verified, and
         * we notice only afterwards. Until then the password must not go out under a key that an impostor
         * made up. (The library forgets to free this when it cannot connect: ten bytes.) */
        if (mode == SSL_MODE_VERIFY_CA)
                mysql_optionsv(mysql, MYSQL_SERVER_PUBLIC_KEY, "/dev/null");
        return true;
}

/* ---- connecting */

static void set_options(MYSQL *mysql, const ConnParams *params, ConnFlags flags, unsigned read_timeout,
                        bool over_socket) {
        unsigned connect_timeout = params->connect_timeout > 0 ? params->connect_timeout : CONNECT_TIMEOUT;
        unsigned write_timeout = params->io_timeout > 0 ? params->io_timeout : IO_TIMEOUT;
        unsigned protocol = over_socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
        unsigned local_infile = (flags & CONN_LOCAL_INFILE) != 0;
        unsigned long max_packet = MAX_PACKET;
        my_bool reconnect = 0;
        mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
        mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
        mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &write_timeout);
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
        mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
        mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &max_packet);
        mysql_options(mysql, MYSQL_OPT_RECONNECT, &reconnect);
        mysql_options(mysql, MYSQL_SET_CHARSET_NAME,
                      "utf8mb4"); /* of the user's name; SET NAMES comes later */
        mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "polarshiftd");
        /* A server may ask for any plugin: not for one that sends the password as it is. */
        mysql_optionsv(mysql, MARIADB_OPT_RESTRICTED_AUTH, HANDSHAKE_PLUGINS);
}

static void wipe_password(MYSQL *mysql) {
        if (mysql->passwd)
                explicit_bzero(mysql->passwd, strlen(mysql->passwd));
}

/* With no read time-out on a connection a peer that vanished has to be noticed by the kernel. */
static void set_keepalive(int fd) {
        int on = 1, idle = 30, interval = 10, count = 3, user_timeout = 60000;
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
}

/* One candidate; HOST NULL: the socket. */
static bool connect_one(Conn *conn, const ConnParams *params, const EndpointHost *host, ConnFlags flags,
                        unsigned read_timeout, GError **error) {
        const Endpoint *endpoint = params->endpoint;
        SslMode mode = effective_ssl_mode(params);
        g_auto(TlsFiles) files = {.fds = {-1, -1, -1}};
        unsigned long client_flags = CLIENT_MULTI_RESULTS;
        if (flags & CONN_FOUND_ROWS)
                client_flags |= CLIENT_FOUND_ROWS;
        if (flags & CONN_MULTI_STATEMENTS)
                client_flags |= CLIENT_MULTI_STATEMENTS;

        g_free(conn->host);
        conn->host = host ? g_strdup(host->host) : NULL;
        conn->port = host ? host->port : 0;
        g_free(conn->label);
        conn->label = !host ? g_strdup(endpoint->socket)
                            : g_strdup_printf(strchr(host->host, ':') ? "[%s]:%u" : "%s:%u", host->host,
                                              host->port);
        /* The library takes a name with these for a connection string or a list. */
        if (host && strpbrk(host->host, ";,=")) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "'%s' is not the name of a host",
                            host->host);
                return false;
        }
        conn->mysql = mysql_init(NULL);
        if (!conn->mysql)
                g_error("Out of memory");
        set_options(conn->mysql, params, flags, read_timeout, !host);
        conn_upload_prepare(conn);
        if (!set_tls(conn->mysql, params, mode, &files, error))
                return false;
        /* NULL would let the library look into the environment. */
        bool connected = mysql_real_connect(conn->mysql, host ? host->host : NULL, endpoint->user ?: "",
                                            params->password ?: "", NULL, host ? host->port : 0,
                                            host ? NULL : endpoint->socket, client_flags) != NULL;
        wipe_password(conn->mysql);
        if (connected)
                mysql_optionsv(conn->mysql, MYSQL_SERVER_PUBLIC_KEY,
                               NULL); /* which frees it; closing would not */
        if (!connected) {
                set_mysql_error(error, conn->label, conn->mysql);
                return false;
        }
        if (mode != SSL_MODE_DISABLED && !mysql_get_ssl_cipher(conn->mysql)) {
                g_set_error(error, MYSQL_ERROR, CR_SSL_CONNECTION_ERROR,
                            "%s: The connection is not encrypted although ssl-mode=%s; set ssl-mode=disabled "
                            "when the "
                            "network is trusted (%d, HY000)",
                            conn->label, ssl_mode_to_string(mode), CR_SSL_CONNECTION_ERROR);
                return false;
        }
        pthread_mutex_lock(&conn->lock);
        conn->socket = fcntl(mysql_get_socket(conn->mysql), F_DUPFD_CLOEXEC, 3);
        pthread_mutex_unlock(&conn->lock);
        if (conn->socket < 0) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: %s", conn->label, g_strerror(errno));
                return false;
        }
        if (host)
                set_keepalive(conn->socket);
        return true;
}

static void disconnect(Conn *conn) {
        close_socket(conn);
        if (conn->mysql)
                mysql_close(conn->mysql);
        conn->mysql = NULL;
}

static bool connect_any(Conn *conn, const ConnParams *params, ConnFlags flags, unsigned read_timeout,
                        GError **error) {
        const Endpoint *endpoint = params->endpoint;
        if (endpoint->socket)
                return connect_one(conn, params, NULL, flags, read_timeout, error);
        g_autoptr(GError) first = NULL;
        for (guint i = 0; i < endpoint->hosts->len; i++) {
                g_autoptr(GError) local = NULL;
                if (connect_one(conn, params, endpoint->hosts->pdata[i], flags, read_timeout, &local))
                        return true;
                disconnect(conn);
                /* Only a host that does not answer is passed over. */
                if (!mysql_error_is_connection(local) || endpoint->hosts->len == 1) {
                        g_propagate_error(error, g_steal_pointer(&local));
                        return false;
                }
                if (first)
                        g_prefix_error(&local, "%s; ", first->message);
                g_clear_error(&first);
                first = g_steal_pointer(&local);
        }
        if (first)
                g_propagate_error(error, g_steal_pointer(&first));
        else
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION, "The endpoint names no host");
        return false;
}

/* ---- the session */

static bool read_identity(Conn *conn, GError **error) {
        g_autoptr(ConnRows) rows =
                        conn_query(conn, "SELECT VERSION(), CONNECTION_ID(), @@max_allowed_packet", error);
        if (!rows)
                return false;
        char **row = conn_rows_take(rows);
        if (!row || !row[0] || !row[1] || !row[2]) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "%s: The server does not say what it is",
                            conn->label);
                return false;
        }
        conn->flavor = flavor_parse(row[0]);
        conn->id = g_ascii_strtoull(row[1], NULL, 10);
        conn->max_packet = g_ascii_strtoull(row[2], NULL, 10);
        return true;
}

/* By SHOW, since naming a variable that a flavor does not have is an error. */
static bool read_uuid(Conn *conn, GError **error) {
        g_autoptr(ConnRows) rows = conn_query(conn, "SHOW GLOBAL VARIABLES LIKE 'server_u%id'", error);
        if (!rows)
                return false;
        for (char **row; (row = conn_rows_take(rows));)
                if (row[0] && row[1] &&
                    g_str_equal(row[0], conn->flavor.mariadb ? "server_uid" : "server_uuid")) {
                        g_free(conn->uuid);
                        conn->uuid = g_strdup(row[1]);
                }
        return true;
}

static bool set_session(Conn *conn, GError **error) {
        if (!conn_exec(conn,
                       "SET NAMES binary, character_set_results=NULL, time_zone='+00:00', "
                       "sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks=0, "
                       "unique_checks=1, "
                       "autocommit=1, completion_type=0, sql_safe_updates=0, sql_big_selects=1, "
                       "sql_select_limit=18446744073709551615, sql_quote_show_create=1, "
                       "wait_timeout=31536000, "
                       "net_read_timeout=3600, net_write_timeout=3600, lc_messages='en_US'",
                       -1, NULL, error) ||
            !conn_exec(conn, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE", -1, NULL,
                       error) ||
            !read_identity(conn, error) || !read_uuid(conn, error))
                return false;
        /* A global limit on run time would cut off long reads. */
        if (conn->flavor.mariadb)
                return conn_exec(conn, "SET max_statement_time=0", -1, NULL, error);
        if (conn->flavor.version >= 50708)
                return conn_exec(conn, "SET max_execution_time=0", -1, NULL, error);
        return true;
}

static Conn *conn_new(void) {
        pthread_once(&library_once, library_start);
        Conn *conn = g_new0(Conn, 1);
        conn->socket = -1;
        conn->uuid = g_strdup("");
        pthread_mutex_init(&conn->lock, NULL);
        (void)mysql_thread_init();
        conn->owner = pthread_self();
        thread_connections++;
        return conn;
}

static bool is_meant(const Conn *conn, const ConnParams *params, GError **error) {
        if (!params->identity || !*params->identity || strcmp(params->identity, conn->uuid) == 0)
                return true;
        g_set_error(error, PS_ERROR, PS_ERROR_STOPPED, "%s is another server than a moment ago (%s instead of %s)", conn->label,
                    conn->uuid, params->identity);
        return false;
}

Conn *conn_open_with_timeout(const ConnParams *params, ConnFlags flags, unsigned read_timeout,
                             GError **error) {
        g_autoptr(Conn) conn = conn_new();
        if (!connect_any(conn, params, flags, read_timeout, error))
                return NULL;
        if (params->opening)
                params->opening(params->userdata, conn);
        if (set_session(conn, error) && is_meant(conn, params, error))
                return g_steal_pointer(&conn);
        if (params->opening)
                params->opening(params->userdata, NULL);
        return NULL;
}

char *conn_log_in(const ConnParams *params, GError **error) {
        g_autoptr(Conn) conn = conn_new();
        if (!connect_any(conn, params, 0, params->io_timeout > 0 ? params->io_timeout : IO_TIMEOUT, error))
                return NULL;
        conn->flavor = flavor_parse(mysql_get_server_info(conn->mysql));
        if (!read_uuid(conn, error) || !is_meant(conn, params, error))
                return NULL;
        g_autofree char *who = conn_query_string(conn, "SELECT CURRENT_USER()", error);
        return who ? g_utf8_make_valid(who, -1) : NULL;
}

Conn *conn_open(const ConnParams *params, ConnFlags flags, GError **error) {
        unsigned read_timeout = params->io_timeout > 0 ? params->io_timeout : IO_TIMEOUT;
        return conn_open_with_timeout(params, flags, flags & CONN_LONG_IO ? 0 : read_timeout, error);
}

void conn_free(Conn *conn) {
        if (!conn)
                return;
        disconnect(conn);
        if (pthread_equal(conn->owner, pthread_self()) && --thread_connections == 0)
                mysql_thread_end();
        pthread_mutex_destroy(&conn->lock);
        g_free(conn->host);
        g_free(conn->label);
        g_free(conn->uuid);
        g_free(conn);
}

void conn_abort(Conn *conn) {
        atomic_store(&conn->aborted, true);
        pthread_mutex_lock(&conn->lock);
        if (conn->socket >= 0)
                (void)shutdown(conn->socket, SHUT_RDWR);
        pthread_mutex_unlock(&conn->lock);
}

static void wipe_string(char *text) {
        if (text)
                explicit_bzero(text, strlen(text));
        g_free(text);
}

ConnParams *conn_params_copy(const ConnParams *params) {
        ConnParams *copy = g_memdup2(params, sizeof *params);
        copy->endpoint = endpoint_copy(params->endpoint);
        copy->password = g_strdup(params->password);
        copy->tls.ca = g_strdup(params->tls.ca);
        copy->tls.cert = g_strdup(params->tls.cert);
        copy->tls.key = g_strdup(params->tls.key);
        copy->identity = g_strdup(params->identity);
        return copy;
}

void conn_params_set_account(ConnParams *params, const char *user, const char *password) {
        g_free(params->endpoint->user);
        params->endpoint->user = g_strdup(user);
        wipe_string(params->password);
        params->password = g_strdup(password);
}

void conn_params_free(ConnParams *params) {
        if (!params)
                return;
        endpoint_free(params->endpoint);
        wipe_string(params->password);
        g_free(params->tls.ca);
        g_free(params->tls.cert);
        wipe_string(params->tls.key);
        g_free(params->identity);
        g_free(params);
}
