/* SPDX-License-Identifier: Apache-2.0
 *
 * A transfer is a row of attempts, an attempt a row of hops (redirects). Everything the server says passes two gates
 * before a byte reaches the sink:
 *
 *   header_line      collects status, lengths, range, ETag; bounds the header
 *   response_check   at the blank line: may this response carry our bytes, and at which position do they start?
 *   body_bytes       skips what was given before, never gives more than was asked for
 *
 * Redirects are followed here and not by libcurl, so that each new URL is looked at before anything connects to it.
 */
#include "lib/host/http.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define REDIRECTS_MAX 5
#define HEADER_BYTES_MAX 32768u     /* of one response; real ones have a few hundred */
#define ERROR_BODY_MAX 4096u        /* read and dropped so that the connection can be kept; more closes it */
#define STALL_BYTES_PER_S 256L
#define BACKOFF_MS_MAX 60000u
#define RETRY_AFTER_S_MAX 300u
#define PROGRESS_BYTES 65536u       /* an attempt that brought so much does not count as failed */
#define UNKNOWN UINT64_MAX

struct rb_http {
    CURL *easy;
    struct rb_http_options options;
    char *ca_file;
    char *proxy;
    uint64_t received;
    char message[CURL_ERROR_SIZE];
};

/* What one response said. */
struct response {
    long status;
    bool checked; /* the header is complete and was accepted or refused */
    bool body_is_ours;
    bool enough;  /* everything asked for was given; the rest of the body is not wanted */
    bool encoded;
    size_t header_bytes;
    uint64_t content_length; /* UNKNOWN when not said */
    uint64_t range_first;    /* UNKNOWN when there is no (valid) Content-Range */
    uint64_t range_last;
    uint64_t range_total;
    unsigned retry_after_s;
    char etag[128]; /* "" when there is none or it is weak */
};

struct transfer {
    struct rb_http *http;
    uint64_t offset; /* first byte wanted */
    uint64_t limit;
    uint64_t length; /* of the whole file; 0 unknown */
    rb_err (*sink)(void *ctx, const void *data, size_t len);
    void *ctx;

    uint64_t given;  /* bytes the sink has */
    char etag[128];  /* of the response the first bytes came from */

    /* of the attempt under way */
    bool ranged;        /* a range was asked for */
    uint64_t skip;      /* body bytes to drop before the next wanted one */
    bool foreign_host;  /* a redirect led to another host */
    rb_err err;         /* why a callback ended the transfer */
    struct response response;
};

static rb_err
refuse(struct transfer *t, rb_err err)
{
    t->err = err;
    return err;
}

static bool
stopping(const struct rb_http *http)
{
    return http->options.stop != NULL && *http->options.stop != 0;
}

/* The decimal number that `text` starts with; UNKNOWN for none or one that does not fit. */
static uint64_t
number(const char *text, const char **end)
{
    char *stop = NULL;

    *end = text;
    if (*text < '0' || *text > '9') {
        return UNKNOWN;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &stop, 10);
    if (errno != 0) {
        return UNKNOWN;
    }
    *end = stop;
    return value;
}

/* RFC 9110 14.4: "bytes 5-9/100", or a star for the length. Anything else leaves range_first UNKNOWN. */
static void
parse_content_range(struct response *r, const char *value)
{
    const char *at = value;

    if (strncasecmp(at, "bytes ", 6) != 0) {
        return;
    }
    uint64_t first = number(at + 6, &at);
    if (first == UNKNOWN || *at != '-') {
        return;
    }
    uint64_t last = number(at + 1, &at);
    if (last == UNKNOWN || last < first || *at != '/') {
        return;
    }
    uint64_t total = UNKNOWN;
    if (strcmp(at + 1, "*") != 0) {
        total = number(at + 1, &at);
        if (total == UNKNOWN || *at != '\0' || last >= total) {
            return;
        }
    }
    r->range_first = first;
    r->range_last = last;
    r->range_total = total;
}

static void
response_start(struct response *r)
{
    size_t header_bytes = r->header_bytes;

    memset(r, 0, sizeof *r);
    r->header_bytes = header_bytes; /* an endless row of "100 Continue" counts as one header */
    r->content_length = UNKNOWN;
    r->range_first = UNKNOWN;
    r->range_total = UNKNOWN;
}

/* One "Name: value" line, NUL-terminated, without the line end. */
static void
parse_header(struct response *r, const char *name, const char *value)
{
    const char *end;

    if (strcasecmp(name, "content-length") == 0) {
        r->content_length = number(value, &end);
    } else if (strcasecmp(name, "content-range") == 0) {
        parse_content_range(r, value);
    } else if (strcasecmp(name, "content-encoding") == 0) {
        r->encoded = strcasecmp(value, "identity") != 0;
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        r->encoded = r->encoded || strcasecmp(value, "chunked") != 0;
    } else if (strcasecmp(name, "retry-after") == 0) {
        uint64_t seconds = number(value, &end); /* a date is UNKNOWN: then our own back-off holds */
        if (seconds != UNKNOWN) {
            r->retry_after_s = seconds < RETRY_AFTER_S_MAX ? (unsigned)seconds : RETRY_AFTER_S_MAX;
        }
    } else if (strcasecmp(name, "etag") == 0 && value[0] == '"' && strlen(value) < sizeof r->etag) {
        (void)snprintf(r->etag, sizeof r->etag, "%s", value);
    }
}

static rb_err
check_length(const struct transfer *t, uint64_t said)
{
    if (said == t->length) {
        return RB_OK;
    }
    return rb_fail(said > t->length ? RB_ERR_NET_TOO_LARGE : RB_ERR_NET_SHORT, "server has %llu bytes, want %llu",
                   (unsigned long long)said, (unsigned long long)t->length);
}

/* A 200 holds the whole file. */
static rb_err
check_whole(struct transfer *t)
{
    const struct response *r = &t->response;

    if (t->length != 0 && r->content_length != UNKNOWN) {
        RB_TRY(check_length(t, r->content_length));
    }
    if (t->length == 0 && r->content_length != UNKNOWN && r->content_length > t->offset
        && r->content_length - t->offset > t->limit) {
        return rb_fail(RB_ERR_NET_TOO_LARGE, "server has %llu bytes, at most %llu are taken",
                       (unsigned long long)r->content_length, (unsigned long long)t->limit);
    }
    t->skip = t->offset + t->given;
    return RB_OK;
}

/* A 206 must start at the byte asked for and be a part of the file we mean. */
static rb_err
check_part(struct transfer *t)
{
    const struct response *r = &t->response;
    uint64_t first = t->offset + t->given;

    if (t->length != 0 && r->range_total != UNKNOWN) {
        RB_TRY(check_length(t, r->range_total));
    }
    if (!t->ranged || r->range_first != first || r->range_last - r->range_first >= t->limit - t->given) {
        return rb_fail(RB_ERR_NET_RANGE, "asked for bytes from %llu on", (unsigned long long)first);
    }
    t->skip = 0;
    return RB_OK;
}

/* The header is complete: decide what its body is. Redirects and errors have a body nobody reads. */
static rb_err
response_check(struct transfer *t)
{
    struct response *r = &t->response;

    r->checked = true;
    if (r->status != 200 && r->status != 206) {
        return RB_OK;
    }
    if (r->encoded) {
        return rb_fail(RB_ERR_NET_STATUS, "the body is encoded, which nobody asked for");
    }
    if (t->given > 0 && t->etag[0] != '\0' && r->etag[0] != '\0' && strcmp(t->etag, r->etag) != 0) {
        return rb_fail(RB_ERR_NET_RANGE, "the file changed on the server");
    }
    RB_TRY(r->status == 200 ? check_whole(t) : check_part(t));
    memcpy(t->etag, r->etag, sizeof t->etag);
    r->body_is_ours = true;
    return RB_OK;
}

/* "HTTP/1.1 206 Partial Content": three digits behind the first space; 0 for anything else. */
static long
status_of(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);

    if (space == NULL || len - (size_t)(space - line) < 4) {
        return 0;
    }
    long status = 0;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9') {
            return 0;
        }
        status = status * 10 + (space[i] - '0');
    }
    return status;
}

static size_t
header_line(char *line, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    struct response *r = &t->response;
    size_t len = size * count;
    char text[1024];

    r->header_bytes += len;
    if (r->header_bytes > HEADER_BYTES_MAX) {
        (void)refuse(t, rb_fail(RB_ERR_NET_TOO_LARGE, "response header"));
        return 0;
    }
    if (r->checked) {
        return len; /* trailers say nothing we use */
    }
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        response_start(r);
        r->status = status_of(line, len);
        return len;
    }
    while (len > 0 && strchr("\r\n \t", line[len - 1]) != NULL) {
        len--;
    }
    if (len == 0) {
        bool final = r->status >= 200; /* 100 Continue and its kind come before the real one */
        return final && refuse(t, response_check(t)) != RB_OK ? 0 : size * count;
    }
    if (len < sizeof text && memchr(line, '\0', len) == NULL) {
        memcpy(text, line, len);
        text[len] = '\0';
        char *colon = strchr(text, ':');
        if (colon != NULL) {
            *colon = '\0';
            parse_header(r, text, colon + 1 + strspn(colon + 1, " \t"));
        }
    }
    return size * count;
}

static size_t
body_bytes(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    struct response *r = &t->response;
    size_t len = size * count;
    const char *at = data;

    t->http->received += len;
    if (!r->body_is_ours) {
        r->header_bytes += len;
        return r->header_bytes > HEADER_BYTES_MAX + ERROR_BODY_MAX || len > ERROR_BODY_MAX ? 0 : len;
    }
    if (t->skip >= len) {
        t->skip -= len;
        return len;
    }
    at += t->skip;
    uint64_t left = len - t->skip;
    t->skip = 0;
    uint64_t room = t->limit - t->given;
    uint64_t take = left < room ? left : room;
    if (take > 0 && refuse(t, t->sink(t->ctx, at, (size_t)take)) != RB_OK) {
        return 0;
    }
    t->given += take;
    if (left <= room) {
        return len;
    }
    /* More than was asked for. Of a whole file that is known to be longer (the server ignores ranges) that is no
     * offence, and the rest is not wanted; anything else is. */
    r->enough = r->status == 200 && t->length != 0 && t->length - t->offset > t->limit;
    if (!r->enough) {
        (void)refuse(t, rb_fail(RB_ERR_NET_TOO_LARGE, "more than %llu bytes", (unsigned long long)t->limit));
    }
    return 0;
}

static int
watch_stop(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return stopping(ctx) ? 1 : 0;
}

/* Addresses that mean this machine or the link it hangs on; a cloud's metadata service lives there as well. */
static bool
is_local_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        uint32_t ip = ntohl(v4.sin_addr.s_addr);
        return (ip >> 24) == 127 || (ip >> 24) == 0 || (ip >> 16) == 0xa9fe;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        const struct in6_addr *ip = &v6.sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(ip)) {
            const uint8_t *b = ip->s6_addr + 12;
            return b[0] == 127 || b[0] == 0 || (b[0] == 169 && b[1] == 254);
        }
        return IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_UNSPECIFIED(ip);
    }
    return true;
}

/* A server may send us to a CDN, but not to this machine's own services (NET-18). Looked at after the name was
 * resolved, so a name that points here does not help. */
static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = ctx;

    if (purpose == CURLSOCKTYPE_IPCXN && t->foreign_host && t->http->proxy == NULL
        && is_local_address(&address->addr)) {
        (void)refuse(t, rb_fail(RB_ERR_NET_REDIRECT, "to an address of this machine"));
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static rb_err
curl_failure(const struct rb_http *http, CURLcode code)
{
    rb_err err = RB_ERR_NET_CONNECT;

    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED: /* a user name in the URL */
        err = RB_ERR_NET_URL;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        err = RB_ERR_NET_TIMEOUT;
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        err = RB_ERR_NET_SHORT;
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR:
        err = RB_ERR_NET_TLS;
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        err = RB_ERR_NET_STATUS;
        break;
    case CURLE_OUT_OF_MEMORY:
        err = RB_ERR_NO_MEMORY;
        break;
    case CURLE_ABORTED_BY_CALLBACK:
        return RB_ERR_NET_STOPPED;
    default:
        break;
    }
    return rb_fail(err, "%s", http->message[0] != '\0' ? http->message : curl_easy_strerror(code));
}

static rb_err
status_failure(long status)
{
    switch (status) {
    case 404:
    case 410:
        return rb_fail(RB_ERR_NET_NOT_FOUND, "HTTP %ld", status);
    case 416:
        return rb_fail(RB_ERR_NET_RANGE, "HTTP %ld", status);
    default:
        return rb_fail(RB_ERR_NET_STATUS, "HTTP %ld", status);
    }
}

static bool
is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Whether `to` may follow on `from`: the same scheme or up to https, nothing else. */
static bool
scheme_allowed(const char *from, const char *to)
{
    return strncasecmp(to, "https://", 8) == 0
           || (strncasecmp(to, "http://", 7) == 0 && strncasecmp(from, "http://", 7) == 0);
}

/* Scheme, host and port: everything up to the path. */
static bool
same_host(const char *a, const char *b)
{
    const char *host_a = strstr(a, "://");
    const char *host_b = strstr(b, "://");

    if (host_a == NULL || host_b == NULL) {
        return false;
    }
    size_t len_a = strcspn(host_a + 3, "/?#");
    size_t len_b = strcspn(host_b + 3, "/?#");
    return len_a == len_b && strncasecmp(host_a + 3, host_b + 3, len_a) == 0;
}

/* Ask for what is missing: "bytes=from-to". Nothing when that is the whole file. */
static void
set_range(struct transfer *t)
{
    uint64_t first = t->offset + t->given;
    bool slice = t->length != 0 && t->length - t->offset > t->limit;
    char range[64];

    t->ranged = first > 0 || slice;
    if (slice) {
        (void)snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)first,
                       (unsigned long long)(t->offset + t->limit - 1));
    } else {
        (void)snprintf(range, sizeof range, "%llu-", (unsigned long long)first);
    }
    (void)curl_easy_setopt(t->http->easy, CURLOPT_RANGE, t->ranged ? range : NULL);
}

/* Bytes to come in all; the file's length must be known. */
static uint64_t
wanted(const struct transfer *t)
{
    return t->length - t->offset < t->limit ? t->length - t->offset : t->limit;
}

static rb_err
one_request(struct transfer *t, const char *url)
{
    struct rb_http *http = t->http;
    struct curl_slist *headers = NULL;
    char if_range[160];

    memset(&t->response, 0, sizeof t->response);
    t->err = RB_OK;
    http->message[0] = '\0';
    set_range(t);
    if (t->given > 0 && t->etag[0] != '\0') {
        (void)snprintf(if_range, sizeof if_range, "If-Range: %s", t->etag);
        headers = curl_slist_append(NULL, if_range); /* without it the ETag check still holds */
    }
    (void)curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(http->easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(http->easy, CURLOPT_OPENSOCKETDATA, t);
    CURLcode code = curl_easy_setopt(http->easy, CURLOPT_URL, url); /* copies it */
    if (code == CURLE_OK) {
        code = curl_easy_perform(http->easy);
    }
    (void)curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);

    if (t->err != RB_OK) {
        return t->err;
    }
    if (t->response.enough) {
        return RB_OK;
    }
    if (t->response.checked && !t->response.body_is_ours) {
        return is_redirect(t->response.status) ? RB_OK : status_failure(t->response.status);
    }
    if (code != CURLE_OK && (t->length == 0 || t->given < wanted(t))) { /* else: all is here, whatever came after it */
        return curl_failure(http, code);
    }
    if (!t->response.checked) {
        return rb_fail(RB_ERR_NET_STATUS, "no HTTP response");
    }
    return RB_OK;
}

static rb_err
check_complete(const struct transfer *t)
{
    if (t->length == 0) {
        return RB_OK; /* libcurl has compared the body with its Content-Length */
    }
    if (t->given < wanted(t)) {
        return rb_fail(RB_ERR_NET_SHORT, "%llu of %llu bytes came", (unsigned long long)t->given,
                       (unsigned long long)wanted(t));
    }
    return RB_OK;
}

/* One attempt: the URL and the redirects behind it. */
static rb_err
attempt(struct transfer *t, const char *url)
{
    char *hop = rb_text("%s", url);
    rb_err err = RB_OK;

    t->foreign_host = false;
    for (int redirects = 0;; redirects++) {
        err = one_request(t, hop);
        if (err != RB_OK || !is_redirect(t->response.status)) {
            break;
        }
        char *next = NULL;
        (void)curl_easy_getinfo(t->http->easy, CURLINFO_REDIRECT_URL, &next);
        if (next == NULL || redirects == REDIRECTS_MAX || !scheme_allowed(hop, next)) {
            err = rb_fail(RB_ERR_NET_REDIRECT, "%s",
                          next == NULL                    ? "without a place to go"
                          : redirects == REDIRECTS_MAX ? "more than 5 in a row"
                                                          : next);
            break;
        }
        t->foreign_host = !same_host(url, next);
        char *copy = rb_text("%s", next);
        free(hop);
        hop = copy;
    }
    free(hop);
    return err == RB_OK ? check_complete(t) : err;
}

/* Errors of the transport and answers that say "later". A 403 will not change in a minute. */
static bool
worth_retrying(const struct transfer *t, rb_err err)
{
    switch (err) {
    case RB_ERR_NET_CONNECT:
    case RB_ERR_NET_TIMEOUT:
    case RB_ERR_NET_SHORT:
        return true;
    case RB_ERR_NET_STATUS:
        return t->response.status == 408 || t->response.status == 425 || t->response.status == 429
               || t->response.status >= 500;
    default:
        return false;
    }
}

static unsigned
backoff_ms(const struct transfer *t, unsigned failures)
{
    uint64_t wait = t->http->options.backoff_ms;
    uint32_t random = 0;

    if (t->response.retry_after_s > 0) {
        return t->response.retry_after_s * 1000u;
    }
    for (unsigned i = 1; i < failures && wait < BACKOFF_MS_MAX; i++) {
        wait *= 2;
    }
    if (wait > BACKOFF_MS_MAX) {
        wait = BACKOFF_MS_MAX;
    }
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        random = (uint32_t)getpid(); /* jitter only has to differ between devices that wake up together */
    }
    return (unsigned)(wait / 2 + random % (wait / 2 + 1));
}

/* Sleep in slices, so that a stop is heard whatever call the signal met. */
static void
wait_ms(const struct rb_http *http, unsigned ms)
{
    while (ms > 0 && !stopping(http)) {
        unsigned slice = ms < 200 ? ms : 200;
        struct timespec t = {.tv_sec = 0, .tv_nsec = (long)slice * 1000000L};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
        ms -= slice;
    }
}

rb_err
rb_http_get(struct rb_http *http, const char *url, uint64_t offset, uint64_t limit, uint64_t length,
            rb_err (*sink)(void *ctx, const void *data, size_t len), void *ctx)
{
    struct transfer t = {.http = http, .offset = offset, .limit = limit, .length = length, .sink = sink, .ctx = ctx};

    if (length != 0 && offset > length) {
        return rb_fail(RB_ERR_ARG, "offset past the end of the file");
    }
    if (limit == 0 || (length != 0 && offset == length)) {
        return RB_OK;
    }
    for (unsigned failures = 1;; failures++) {
        uint64_t before = t.given;
        if (stopping(http)) {
            return RB_ERR_NET_STOPPED;
        }
        rb_err err = attempt(&t, url);
        if (err == RB_OK || !worth_retrying(&t, err)) {
            return err;
        }
        if (t.given - before >= PROGRESS_BYTES) {
            failures = 1;
        }
        if (failures >= http->options.attempts) {
            return err;
        }
        unsigned wait = backoff_ms(&t, failures);
        if (http->options.retrying != NULL) {
            http->options.retrying(http->options.ctx, url, failures, wait, err);
        }
        rb_fail_clear();
        wait_ms(http, wait);
    }
}

struct small {
    uint8_t *to;
    size_t len;
};

static rb_err
small_sink(void *ctx, const void *data, size_t len)
{
    struct small *s = ctx;

    memcpy(s->to + s->len, data, len); /* rb_http_get gives at most `limit` bytes */
    s->len += len;
    return RB_OK;
}

rb_err
rb_http_get_small(struct rb_http *http, const char *url, void *buffer, size_t limit, size_t *len)
{
    struct small s = {.to = buffer, .len = 0};

    RB_TRY(rb_http_get(http, url, 0, limit, 0, small_sink, &s));
    *len = s.len;
    return RB_OK;
}

uint64_t
rb_http_received(const struct rb_http *http)
{
    return http->received;
}

/* Everything that stays the same for the life of the handle. Options that this libcurl does not know would mean that
 * a promise does not hold, so each must succeed. */
static CURLcode
configure(struct rb_http *http)
{
    CURL *c = http->easy;
    const struct rb_http_options *o = &http->options;
    CURLcode bad = CURLE_OK;

#define SET(option, value)                                       \
    do {                                                         \
        CURLcode set_code_ = curl_easy_setopt(c, option, value); \
        bad = bad == CURLE_OK ? set_code_ : bad;                 \
    } while (0)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_USERAGENT, "riverbank/" RB_VERSION);
    SET(CURLOPT_BUFFERSIZE, 16384L);
    SET(CURLOPT_MAXCONNECTS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, (long)o->connect_timeout_s);
    SET(CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S);
    SET(CURLOPT_LOW_SPEED_TIME, (long)o->stall_s);
    SET(CURLOPT_PROXY, http->proxy != NULL ? http->proxy : ""); /* "": none, whatever the environment says */
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->ca_file != NULL) {
        SET(CURLOPT_CAINFO, http->ca_file);
        SET(CURLOPT_CAPATH, NULL); /* that file alone */
    }
    SET(CURLOPT_ERRORBUFFER, http->message);
    SET(CURLOPT_HEADERFUNCTION, header_line);
    SET(CURLOPT_WRITEFUNCTION, body_bytes);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    if (o->stop != NULL) {
        SET(CURLOPT_NOPROGRESS, 0L);
        SET(CURLOPT_XFERINFOFUNCTION, watch_stop);
        SET(CURLOPT_XFERINFODATA, http);
    }
#undef SET
    return bad;
}

rb_err
rb_http_open(const struct rb_http_options *options, struct rb_http **out)
{
    static bool ready;

    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return rb_fail(RB_ERR_INTERNAL, "libcurl does not start");
    }
    ready = true;
    struct rb_http *http = rb_alloc(sizeof *http);
    http->options = *options;
    http->options.connect_timeout_s = options->connect_timeout_s != 0 ? options->connect_timeout_s : 15;
    http->options.stall_s = options->stall_s != 0 ? options->stall_s : 30;
    http->options.attempts = options->attempts != 0 ? options->attempts : 5;
    http->options.backoff_ms = options->backoff_ms != 0 ? options->backoff_ms : 500;
    http->ca_file = options->ca_file != NULL ? rb_text("%s", options->ca_file) : NULL;
    http->proxy = options->proxy != NULL ? rb_text("%s", options->proxy) : NULL;
    http->easy = curl_easy_init();
    CURLcode code = http->easy != NULL ? configure(http) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        rb_http_close(http);
        return rb_fail(RB_ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(code));
    }
    *out = http;
    return RB_OK;
}

void
rb_http_close(struct rb_http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->easy != NULL) {
        curl_easy_cleanup(http->easy);
    }
    free(http->ca_file);
    free(http->proxy);
    free(http);
}
