/* SPDX-License-Identifier: Apache-2.0 */
#include "ota/fetch.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "ota/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

volatile sig_atomic_t ota_stop;

static void
retrying(void *ctx, const char *url, unsigned attempt, unsigned wait_ms, rb_err err)
{
    ota_event(ctx, "warn", "fetch.retry", "attempt=%u wait_ms=%u err=%s url=%s detail=\"%s\"", attempt, wait_ms,
              rb_err_name(err), url, rb_fail_detail());
}

rb_err
ota_http_open(struct ota_device *d, struct rb_http **out)
{
    const struct rb_http_options options = {
        .ca_file = d->settings.ca_file,
        .attempts = d->say != NULL ? 3 : 5, /* someone waiting rather hears what is wrong */
        .retrying = retrying,
        .ctx = d,
        .stop = &ota_stop,
    };

    if (d->settings.repository_url == NULL) {
        return rb_fail(RB_ERR_AGENT_SETTINGS, "no repository_url");
    }
    return rb_http_open(&options, out);
}

struct repository {
    const struct rb_settings *settings;
    struct rb_http *http;
};

static rb_err
fetch_metadata(void *ctx, const char *name, void *buffer, size_t limit, size_t *len)
{
    const struct repository *r = ctx;
    char *url = rb_text("%smetadata/%s", r->settings->repository_url, name);
    rb_err err = rb_http_get_small(r->http, url, buffer, limit, len);

    free(url);
    return err == RB_ERR_NET_TOO_LARGE ? RB_ERR_META_TOO_LARGE : err;
}

rb_err
ota_metadata(const struct ota_device *d, struct rb_http *http, struct rb_tuf **out)
{
    struct repository r = {.settings = &d->settings, .http = http};
    struct rb_tuf *tuf = NULL;

    RB_TRY(rb_tuf_open(d->trust_dir, (int64_t)time(NULL), &tuf));
    rb_err err = http != NULL ? rb_tuf_refresh(tuf, fetch_metadata, &r) : RB_OK;
    if (err != RB_OK) {
        rb_tuf_close(tuf);
        return err;
    }
    *out = tuf;
    return RB_OK;
}

char *
ota_target_url(const struct rb_settings *settings, const char *name, const uint8_t sha256[RB_SHA256_LEN])
{
    struct rb_tuf_target target = {.name = name};
    char *encoded;
    char *to;

    memcpy(target.sha256, sha256, sizeof target.sha256);
    char *path = rb_tuf_target_path(&target);
    encoded = rb_alloc(3 * strlen(path) + 1);
    to = encoded;
    for (const char *at = path; *at != '\0'; at++) {
        if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9')
            || strchr("-._~/+", *at) != NULL) {
            *to++ = *at;
        } else {
            to += snprintf(to, 4, "%%%02X", (unsigned)(unsigned char)*at);
        }
    }
    char *url = rb_text("%stargets/%s", settings->repository_url, encoded);
    free(encoded);
    free(path);
    return url;
}
