/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/serve.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/meta.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256u
#define IDLE_TIMEOUT_S 60u
#define ETAG_LEN 64

struct forge_server {
    struct MHD_Daemon *daemon;
    int dir;
    bool log;
    uint16_t port;
};

/* Decimal digits only, as much as fits 63 bits. */
static const char *
read_number(const char *p, uint64_t *out)
{
    uint64_t v = 0;
    const char *start = p;

    for (; *p >= '0' && *p <= '9'; p++) {
        v = v < UINT64_C(1) << 59 ? v * 10 + (uint64_t)(*p - '0') : UINT64_C(1) << 60;
    }
    *out = v;
    return p > start ? p : NULL;
}

enum forge_range
forge_range_parse(const char *header, uint64_t len, uint64_t *first, uint64_t *count)
{
    uint64_t a = 0;
    uint64_t b = 0;

    if (header == NULL || strncmp(header, "bytes=", 6) != 0) {
        return FORGE_RANGE_WHOLE;
    }
    const char *p = header + 6;
    if (*p == '-') { /* the last b bytes */
        p = read_number(p + 1, &b);
        if (p == NULL || *p != '\0') {
            return FORGE_RANGE_WHOLE;
        }
        if (b == 0 || len == 0) {
            return FORGE_RANGE_NONE;
        }
        *count = b < len ? b : len;
        *first = len - *count;
        return FORGE_RANGE_PART;
    }
    p = read_number(p, &a);
    if (p == NULL || *p != '-') {
        return FORGE_RANGE_WHOLE;
    }
    b = UINT64_MAX;
    if (p[1] != '\0') {
        p = read_number(p + 1, &b);
        if (p == NULL || *p != '\0' || b < a) {
            return FORGE_RANGE_WHOLE;
        }
    }
    if (a >= len) {
        return FORGE_RANGE_NONE;
    }
    *first = a;
    *count = (b < len - 1 ? b : len - 1) - a + 1;
    return FORGE_RANGE_PART;
}

/* Open a file below the repository. The name has no empty, "." or ".." segment, and no segment may be a symbolic
 * link, so nothing outside metadata/ and targets/ can be reached. */
static int
open_below(int dir, const char *name)
{
    if ((strncmp(name, "metadata/", 9) != 0 && strncmp(name, "targets/", 8) != 0) || !rb_meta_name_valid(name)) {
        return -1;
    }
    char *segments = rb_text("%s", name);
    char *rest = segments;
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);

    while (fd >= 0) {
        char *slash = strchr(rest, '/');
        int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (slash != NULL ? O_DIRECTORY : 0);
        if (slash != NULL) {
            *slash = '\0';
        }
        int next = openat(fd, rest, flags);
        (void)close(fd);
        fd = next;
        if (slash == NULL) {
            break;
        }
        rest = slash + 1;
    }
    free(segments);
    return fd;
}

/* Strong: files here are replaced by rename, so other bytes come with another inode or time. */
static void
entity_tag(const struct stat *st, char out[ETAG_LEN])
{
    (void)snprintf(out, ETAG_LEN, "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "%08lx\"", (uint64_t)st->st_ino,
                   (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec);
}

static bool
tag_listed(const char *header, const char *tag)
{
    return header != NULL && (strcmp(header, "*") == 0 || strstr(header, tag) != NULL);
}

static const char *
header_of(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result
answer(const struct forge_server *server, struct MHD_Connection *connection, const char *method, const char *url,
       unsigned status, struct MHD_Response *response, uint64_t len)
{
    if (server->log) {
        char line[300];
        (void)snprintf(line, sizeof line, "%s %s %u %" PRIu64, method, url, status, len);
        for (char *p = line; *p != '\0'; p++) {
            *p = *p < ' ' || *p == 0x7f ? '?' : *p;
        }
        (void)fprintf(stderr, "%s\n", line);
    }
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result
answer_text(const struct forge_server *server, struct MHD_Connection *connection, const char *method,
            const char *url, unsigned status, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                                    MHD_RESPMEM_MUST_COPY);

    if (response != NULL && status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    return answer(server, connection, method, url, status, response, strlen(text));
}

/* Versioned metadata and content-named targets never change. */
static const char *
cache_control(const char *name)
{
    return strcmp(name, "metadata/timestamp.json") == 0 ? "no-cache" : "max-age=31536000, immutable";
}

/* Sends bytes [first, first + count) of `fd`, which it takes. */
static enum MHD_Result
answer_file(const struct forge_server *server, struct MHD_Connection *connection, const char *method,
            const char *url, int fd, const struct stat *st)
{
    uint64_t len = (uint64_t)st->st_size;
    uint64_t first = 0;
    uint64_t part = len;
    unsigned status = MHD_HTTP_OK;
    char tag[ETAG_LEN];
    char content_range[96] = "";
    const char *if_range = header_of(connection, "If-Range");
    const char *range = header_of(connection, "Range");
    struct MHD_Response *response = NULL;

    entity_tag(st, tag);
    if (tag_listed(header_of(connection, "If-None-Match"), tag)) {
        status = MHD_HTTP_NOT_MODIFIED;
    } else if (range != NULL && (if_range == NULL || strcmp(if_range, tag) == 0)) {
        enum forge_range kind = forge_range_parse(range, len, &first, &part);
        if (kind == FORGE_RANGE_PART) {
            status = MHD_HTTP_PARTIAL_CONTENT;
            (void)snprintf(content_range, sizeof content_range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                           first + part - 1, len);
        } else if (kind == FORGE_RANGE_NONE) {
            status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
            (void)snprintf(content_range, sizeof content_range, "bytes */%" PRIu64, len);
        }
    }
    if (status == MHD_HTTP_OK || status == MHD_HTTP_PARTIAL_CONTENT) {
        response = MHD_create_response_from_fd_at_offset64(part, fd, first);
    } else {
        part = 0;
        response = MHD_create_response_from_buffer(0, tag, MHD_RESPMEM_MUST_COPY);
        (void)close(fd);
        fd = -1;
    }
    if (response == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "ETag", tag);
    (void)MHD_add_response_header(response, "Accept-Ranges", "bytes");
    (void)MHD_add_response_header(response, "Cache-Control", cache_control(url + 1));
    (void)MHD_add_response_header(response, "Content-Type",
                                  strncmp(url, "/metadata/", 10) == 0 ? "application/json"
                                                                      : "application/octet-stream");
    if (content_range[0] != '\0') {
        (void)MHD_add_response_header(response, "Content-Range", content_range);
    }
    return answer(server, connection, method, url, status, response, part);
}

/* %XX in place, except that a name with %00 stays as it is: decoded it would end there, and '%' is in no name here. */
static size_t
unescape(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx;
    (void)connection;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

static enum MHD_Result
handle(void *ctx, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
       const char *upload, size_t *upload_len, void **state)
{
    const struct forge_server *server = ctx;
    static int seen;
    struct stat st;

    (void)version;
    (void)upload;
    if (*state == NULL) { /* the headers; the answer comes at the second call, after a body that is not wanted */
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        *upload_len = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        return answer_text(server, connection, method, url, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    int fd = url[0] == '/' ? open_below(server->dir, url + 1) : -1;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0) {
        return answer_text(server, connection, method, url, MHD_HTTP_NOT_FOUND, "not here\n");
    }
    return answer_file(server, connection, method, url, fd, &st);
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static rb_err
parse_listen(const char *listen, union address *out)
{
    const char *colon = strrchr(listen, ':');
    uint64_t port = 0;
    char host[64];

    const char *end = colon != NULL ? read_number(colon + 1, &port) : NULL;
    size_t len = colon != NULL ? (size_t)(colon - listen) : 0;
    if (end == NULL || *end != '\0' || port > 65535 || len == 0 || len >= sizeof host) {
        return rb_fail(RB_ERR_ARG, "%s is not ADDRESS:PORT", listen);
    }
    memset(out, 0, sizeof *out);
    bool v6 = listen[0] == '[' && listen[len - 1] == ']';
    (void)snprintf(host, sizeof host, "%.*s", (int)(v6 ? len - 2 : len), v6 ? listen + 1 : listen);
    if (v6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
    } else {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
    }
    if (inet_pton(out->any.sa_family, host, v6 ? (void *)&out->v6.sin6_addr : (void *)&out->v4.sin_addr) != 1) {
        return rb_fail(RB_ERR_ARG, "%s is no numeric address", host);
    }
    return RB_OK;
}

rb_err
forge_server_start(const char *dir, const char *listen, bool log, struct forge_server **out)
{
    union address address;
    char *timestamp = rb_text("%s/metadata/timestamp.json", dir);
    bool there = rb_file_exists(timestamp);

    free(timestamp);
    if (!there) {
        return rb_fail(RB_ERR_IO_NOT_FOUND, "%s has no metadata/timestamp.json", dir);
    }
    RB_TRY(parse_listen(listen, &address));
    struct forge_server *server = rb_alloc(sizeof *server);
    server->log = log;
    server->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server->dir < 0) {
        free(server);
        return rb_fail_errno("%s", dir);
    }
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD
                     | (address.any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    errno = 0;
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR, &address.any,
                                      MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                      IDLE_TIMEOUT_S, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);
    if (server->daemon == NULL) {
        rb_err err = rb_fail_errno("cannot listen on %s", listen);
        (void)close(server->dir);
        free(server);
        return err == RB_OK ? RB_ERR_IO : err;
    }
    server->port = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    *out = server;
    return RB_OK;
}

uint16_t
forge_server_port(const struct forge_server *server)
{
    return server->port;
}

void
forge_server_stop(struct forge_server *server)
{
    if (server != NULL) {
        MHD_stop_daemon(server->daemon);
        (void)close(server->dir);
        free(server);
    }
}
