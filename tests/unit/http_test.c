/* SPDX-License-Identifier: Apache-2.0
 *
 * rb_http_get against a server that misbehaves (tests/support/faultserver.py). The names of rows of the attack
 * catalogue stand in the tests' names.
 */
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/http.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_LEN 200000u

static uint8_t content[FILE_LEN];
static char base[64];

struct got {
    uint8_t data[FILE_LEN + 1];
    size_t len;
    size_t stop_at; /* 0: never */
};

static struct got got;
static unsigned retries;
static unsigned waited_ms;

static rb_err
take(void *ctx, const void *data, size_t len)
{
    struct got *g = ctx;

    CHECK(len <= sizeof g->data - g->len);
    memcpy(g->data + g->len, data, len);
    g->len += len;
    return g->stop_at != 0 && g->len >= g->stop_at ? RB_ERR_NO_SPACE : RB_OK;
}

static void
count_retry(void *ctx, const char *url, unsigned attempt, unsigned wait_ms, rb_err err)
{
    (void)ctx;
    (void)url;
    (void)attempt;
    (void)err;
    retries++;
    waited_ms += wait_ms;
}

/* A server of its own for each test: it dies with the test's process. */
static void
start_server(void)
{
    int out[2];
    char *script = rb_text("%s/tests/support/faultserver.py", test_tree());

    for (size_t i = 0; i < FILE_LEN; i++) {
        content[i] = (uint8_t)((i * 7919u) >> 3);
    }
    CHECK_OK(rb_file_replace("file", content, FILE_LEN, 0644));
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(out[1], 1);
        int log = open("requests", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(log, 2);
        (void)execlp("python3", "python3", script, ".", (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    FILE *f = fdopen(out[0], "r");
    CHECK(f != NULL && fgets(base, sizeof base, f) != NULL);
    base[strcspn(base, "\n")] = '\0';
    (void)fclose(f);
    free(script);
}

static struct rb_http *
client(void)
{
    const struct rb_http_options options = {
        .connect_timeout_s = 2, .stall_s = 1, .attempts = 3, .backoff_ms = 10, .retrying = count_retry};
    struct rb_http *http = NULL;

    CHECK_OK(rb_http_open(&options, &http));
    return http;
}

static rb_err
get_with(struct rb_http *http, const char *faults, const char *name, uint64_t offset, uint64_t limit, uint64_t length)
{
    char *url = rb_text("%s/~%s/%s", base, faults, name);

    memset(&got, 0, sizeof got);
    rb_fail_clear();
    rb_err err = rb_http_get(http, url, offset, limit, length, take, &got);
    free(url);
    return err;
}

/* One request with a fault, of the whole file. */
static rb_err
get(const char *faults)
{
    if (base[0] == '\0') {
        start_server();
    }
    struct rb_http *http = client();
    rb_err err = get_with(http, faults, "file", 0, FILE_LEN, FILE_LEN);
    rb_http_close(http);
    return err;
}

static bool
whole(void)
{
    return got.len == FILE_LEN && memcmp(got.data, content, FILE_LEN) == 0;
}

/* Whether the server was asked for a range that starts at `first`. It writes its log after the answer. */
static bool
asked_from(unsigned first)
{
    const struct timespec moment = {.tv_nsec = 20 * 1000000L};
    char text[32];
    bool found = false;

    (void)snprintf(text, sizeof text, "bytes=%u-", first);
    for (int i = 0; i < 100 && !found; i++) {
        uint8_t *log = NULL;
        size_t len = 0;
        CHECK_OK(rb_file_read("requests", 1 << 20, &log, &len));
        found = strstr((const char *)log, text) != NULL;
        free(log);
        (void)nanosleep(&moment, NULL);
    }
    return found;
}

TEST(http_get_whole_and_slice)
{
    CHECK_OK(get(""));
    CHECK(whole());
    struct rb_http *http = client();
    CHECK_OK(get_with(http, "", "file", 1000, 500, FILE_LEN));
    CHECK(got.len == 500 && memcmp(got.data, content + 1000, 500) == 0);
    CHECK_OK(get_with(http, "", "file", FILE_LEN - 10, 500, FILE_LEN));
    CHECK(got.len == 10);
    CHECK(rb_http_received(http) == 510);
    rb_http_close(http);
}

TEST(http_NET_01_reset_at_any_byte_is_resumed)
{
    static const unsigned at[] = {0, 1, 16383, 16384, 70000, FILE_LEN - 1};

    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        char faults[64];
        (void)snprintf(faults, sizeof faults, "close=%u,times=1", at[i]);
        CHECK_OK(get(faults));
        CHECK(whole());
        CHECK(at[i] == 0 || asked_from(at[i]));
    }
    CHECK(retries == sizeof at / sizeof at[0]);
}

TEST(http_progress_renews_the_attempts)
{
    /* Each connection brings 70000 bytes: more than three of them are needed, and none counts as failed. */
    CHECK_OK(get("close=70000"));
    CHECK(whole());
    CHECK_ERR(get("close=1000"), RB_ERR_NET_SHORT);
    CHECK(got.len == 3000);
}

TEST(http_NET_02_stall_ends)
{
    struct timespec start, end;

    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK_ERR(get("stall=1000"), RB_ERR_NET_TIMEOUT);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK(end.tv_sec - start.tv_sec < 15);
    CHECK_OK(get("stall=1000,times=1"));
    CHECK(whole());
}

TEST(http_NET_03_endless_body_stops_at_the_limit)
{
    CHECK_ERR(get("endless"), RB_ERR_NET_TOO_LARGE);
    CHECK(got.len == FILE_LEN);
    uint8_t small[100];
    size_t len = 7;
    struct rb_http *http = client();
    char *url = rb_text("%s/~endless/file", base);
    rb_fail_clear();
    CHECK_ERR(rb_http_get_small(http, url, small, sizeof small, &len), RB_ERR_NET_TOO_LARGE);
    CHECK(len == 7);
    free(url);
    rb_http_close(http);
}

TEST(http_NET_04_lies_about_the_length)
{
    CHECK_ERR(get("lie=5"), RB_ERR_NET_TOO_LARGE);
    CHECK(got.len == 0);
    CHECK_ERR(get("lie=-5"), RB_ERR_NET_SHORT);
    CHECK(got.len == 0);
    CHECK_ERR(get("more=1"), RB_ERR_NET_TOO_LARGE);
    CHECK(got.len == 0);
    CHECK_ERR(get("cut=100"), RB_ERR_NET_SHORT);
}

TEST(http_length_over_the_limit_is_refused_before_the_body)
{
    start_server();
    struct rb_http *http = client();
    CHECK_ERR(get_with(http, "", "file", 0, FILE_LEN - 1, 0), RB_ERR_NET_TOO_LARGE);
    CHECK(got.len == 0);
    CHECK_OK(get_with(http, "", "file", 0, FILE_LEN, 0));
    CHECK(whole());
    rb_http_close(http);
}

TEST(http_NET_05_ignored_range_gives_no_byte_twice)
{
    CHECK_OK(get("close=50000,norange,times=1"));
    CHECK(whole());
    start_server();
    struct rb_http *http = client();
    CHECK_OK(get_with(http, "norange", "file", 150000, 50000, FILE_LEN));
    CHECK(got.len == 50000 && memcmp(got.data, content + 150000, 50000) == 0);
    CHECK_OK(get_with(http, "norange", "file", 1000, 500, FILE_LEN));
    CHECK(got.len == 500 && memcmp(got.data, content + 1000, 500) == 0);
    rb_http_close(http);
}

TEST(http_NET_06_another_range_or_another_file)
{
    start_server();
    struct rb_http *http = client();
    CHECK_ERR(get_with(http, "range=1", "file", 1000, 500, FILE_LEN), RB_ERR_NET_RANGE);
    CHECK(got.len == 0);
    CHECK_ERR(get_with(http, "wrongrange=16", "file", 1000, 500, FILE_LEN), RB_ERR_NET_RANGE);
    CHECK(got.len == 0);
    CHECK_ERR(get_with(http, "wrongrange=-1", "file", 1000, 500, FILE_LEN), RB_ERR_NET_RANGE);
    CHECK_ERR(get_with(http, "more=1", "file", 1000, 500, FILE_LEN), RB_ERR_NET_TOO_LARGE);
    CHECK_ERR(get_with(http, "cut=900", "file", 1000, 500, FILE_LEN), RB_ERR_NET_RANGE); /* 416 */
    CHECK_ERR(get_with(http, "etag,close=1000", "file", 0, FILE_LEN, FILE_LEN), RB_ERR_NET_RANGE);
    CHECK(got.len == 1000);
    rb_http_close(http);
}

TEST(http_NET_07_answers_that_say_later)
{
    CHECK_OK(get("status=503,times=2"));
    CHECK(whole() && retries == 2);
    CHECK_ERR(get("status=503"), RB_ERR_NET_STATUS);
    CHECK(retries == 4);
    waited_ms = 0;
    CHECK_OK(get("status=429,retry=1,times=1"));
    CHECK(whole() && waited_ms == 1000);
    CHECK_ERR(get("status=401"), RB_ERR_NET_STATUS);
    CHECK_ERR(get("status=404"), RB_ERR_NET_NOT_FOUND);
    CHECK_ERR(get("status=410"), RB_ERR_NET_NOT_FOUND);
    CHECK_ERR(get("status=204"), RB_ERR_NET_STATUS);
    CHECK(retries == 5);
}

static volatile sig_atomic_t stop;

static void
stop_at_first_retry(void *ctx, const char *url, unsigned attempt, unsigned wait_ms, rb_err err)
{
    count_retry(ctx, url, attempt, wait_ms, err);
    stop = 1; /* nobody wants to wait for it here */
}

TEST(http_NET_07_retry_after_has_a_cap)
{
    const struct rb_http_options options = {.attempts = 2, .retrying = stop_at_first_retry, .stop = &stop};
    struct rb_http *http = NULL;

    start_server();
    CHECK_OK(rb_http_open(&options, &http));
    CHECK_ERR(get_with(http, "status=429,retry=100000", "file", 0, FILE_LEN, FILE_LEN), RB_ERR_NET_STOPPED);
    CHECK(retries == 1 && waited_ms == 300000);
    rb_http_close(http);
}

TEST(http_NET_08_redirects_have_an_end)
{
    CHECK_OK(get("to=5"));
    CHECK(whole());
    CHECK_ERR(get("to=6"), RB_ERR_NET_REDIRECT);
    CHECK_ERR(get("to=loop"), RB_ERR_NET_REDIRECT);
}

static char *
redirect_to(const char *url)
{
    char hex[600];

    rb_hex(url, strlen(url), hex);
    return rb_text("to=%s", hex);
}

TEST(http_NET_09_redirect_to_another_scheme)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/file", "gopher://127.0.0.1:70/x",
                                       "dict://127.0.0.1/x", "FILE:///etc/passwd", "javascript:alert(1)"};

    start_server();
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char *fault = redirect_to(urls[i]);
        CHECK_ERR(get(fault), RB_ERR_NET_REDIRECT);
        CHECK(got.len == 0);
        free(fault);
    }
}

TEST(http_NET_18_redirect_to_this_machine)
{
    /* From a host that is another name of this machine to the loopback address, to a metadata service, to IPv6. */
    static const char *const hosts[] = {"127.0.0.2", "localhost", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"};

    start_server();
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char *url = rb_text("http://%s%s/file", hosts[i], strrchr(base, ':'));
        char *fault = redirect_to(url);
        rb_err err = get(fault);
        CHECK(err != RB_OK && got.len == 0);
        CHECK(err == RB_ERR_NET_REDIRECT || strchr(hosts[i], '[') != NULL); /* without IPv6: cannot be reached */
        free(fault);
        free(url);
    }
}

TEST(http_NET_10_captive_portal)
{
    CHECK(get("html") != RB_OK);
    CHECK(got.len == 0);
}

TEST(http_NET_15_encoded_body_is_refused)
{
    start_server();
    struct rb_http *http = client();
    CHECK_ERR(get_with(http, "gzip", "file", 0, FILE_LEN, 0), RB_ERR_NET_STATUS);
    CHECK(got.len == 0);
    rb_http_close(http);
}

TEST(http_NET_16_header_has_a_limit)
{
    CHECK_OK(get("headers=20000"));
    CHECK_ERR(get("headers=60000"), RB_ERR_NET_TOO_LARGE);
}

TEST(http_schemes_and_user_names)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "no url at all",
                                       "http://user:secret@127.0.0.1:1/"};
    struct rb_http *http = client();

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        rb_fail_clear();
        rb_err err = rb_http_get(http, urls[i], 0, 10, 0, take, &got);
        CHECK(err == RB_ERR_NET_URL);
    }
    rb_http_close(http);
}

TEST(http_server_gone)
{
    struct rb_http *http = client();

    CHECK_ERR(rb_http_get(http, "http://127.0.0.1:1/x", 0, 10, 0, take, &got), RB_ERR_NET_CONNECT);
    CHECK(retries == 2);
    rb_http_close(http);
}

TEST(http_LOCAL_07_environment_proxy_is_not_used)
{
    (void)setenv("http_proxy", "http://127.0.0.1:1/", 1);
    (void)setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    CHECK_OK(get(""));
    CHECK(whole());
}

TEST(http_sink_error_ends_the_transfer)
{
    start_server();
    struct rb_http *http = client();
    char *url = rb_text("%s/file", base);
    memset(&got, 0, sizeof got);
    got.stop_at = 40000;
    CHECK_ERR(rb_http_get(http, url, 0, FILE_LEN, FILE_LEN, take, &got), RB_ERR_NO_SPACE);
    CHECK(got.len >= 40000 && got.len < 80000 && retries == 0);
    free(url);
    rb_http_close(http);
}
