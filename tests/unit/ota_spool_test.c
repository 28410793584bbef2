/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/host/file.h"
#include "ota/spool.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <unistd.h>

static const uint8_t HEADER[] = "a payload's header";

static void
header_hash(uint8_t digest[RB_SHA256_LEN])
{
    rb_sha256(HEADER, sizeof HEADER, digest);
}

TEST(ota_spool_header_is_believed_by_its_hash)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t back[sizeof HEADER];
    struct ota_spool s;

    CHECK_OK(rb_make_dirs("spool", 0700));
    header_hash(digest);
    CHECK_OK(ota_spool_init(&s, "spool", digest));
    CHECK_ERR(ota_spool_load_header(&s, back, sizeof back), RB_ERR_NOT_FOUND);
    CHECK_OK(ota_spool_keep_header(&s, HEADER, sizeof HEADER));
    CHECK_OK(ota_spool_load_header(&s, back, sizeof back));
    CHECK(memcmp(back, HEADER, sizeof HEADER) == 0);
    CHECK_OK(ota_spool_keep_header(&s, (const uint8_t *)"A payload's header", sizeof HEADER));
    CHECK_ERR(ota_spool_load_header(&s, back, sizeof back), RB_ERR_NOT_FOUND);
}

TEST(ota_spool_advance_keeps_the_tail)
{
    uint8_t digest[RB_SHA256_LEN];
    uint8_t buffer[3];
    char back[8];
    struct ota_spool s;
    uint32_t first = 0;
    uint64_t len = 0;

    CHECK_OK(rb_make_dirs("spool", 0700));
    header_hash(digest);
    CHECK_OK(ota_spool_init(&s, "spool", digest));
    CHECK_ERR(ota_spool_find(&s, 100, &first, &len), RB_ERR_NOT_FOUND);
    CHECK_OK(ota_spool_open(&s, 0));
    CHECK_OK(ota_spool_append(&s, "0123456789", 10));
    CHECK_OK(ota_spool_advance(&s, 4, 6, buffer, sizeof buffer));
    CHECK_OK(ota_spool_append(&s, "ab", 2));
    CHECK_OK(ota_spool_read(&s, 0, back, 6));
    CHECK(memcmp(back, "6789ab", 6) == 0);
    CHECK_ERR(ota_spool_read(&s, 1, back, 6), RB_ERR_TRUNCATED);
    CHECK_OK(ota_spool_truncate(&s, 3));
    CHECK_OK(ota_spool_append(&s, "X", 1));
    CHECK_OK(ota_spool_read(&s, 0, back, 4));
    CHECK(memcmp(back, "678X", 4) == 0);
    ota_spool_close(&s);
    CHECK_ERR(ota_spool_find(&s, 3, &first, &len), RB_ERR_NOT_FOUND);
    CHECK_OK(ota_spool_find(&s, 4, &first, &len));
    CHECK(first == 4 && len == 4);
}

TEST(ota_spool_of_another_payload_is_removed)
{
    uint8_t digest[RB_SHA256_LEN] = {1};
    struct ota_spool s;

    CHECK_OK(rb_make_dirs("spool", 0700));
    CHECK_OK(ota_spool_init(&s, "spool", digest));
    CHECK_OK(ota_spool_open(&s, 7));
    ota_spool_close(&s);
    char *path = rb_text("spool/%s.7", s.payload);
    CHECK(rb_file_exists(path));
    digest[0] = 2;
    CHECK_OK(ota_spool_init(&s, "spool", digest));
    CHECK(!rb_file_exists(path));
    free(path);
}

/* LOCAL-03: a link planted under the file's name is not followed. */
TEST(ota_spool_LOCAL_03_does_not_follow_links)
{
    uint8_t digest[RB_SHA256_LEN] = {1};
    struct ota_spool s;

    CHECK_OK(rb_make_dirs("spool", 0700));
    CHECK_OK(rb_file_replace("precious", "x", 1, 0600));
    CHECK_OK(ota_spool_init(&s, "spool", digest));
    char *path = rb_text("spool/%s.0", s.payload);
    CHECK(symlink("../precious", path) == 0);
    CHECK(ota_spool_open(&s, 0) != RB_OK);
    free(path);
}
