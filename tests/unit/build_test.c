/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/payload.h"
#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "server-tools/delta.h"
#include "tests/support/test.h"

#include <stdlib.h>

/* The linker puts this in front of the device's decoder (tests/module.mk), so that it can disagree with the encoder
 * as a bug in either would make it. */
static bool decoder_disagrees;
rb_err __real_rb_payload_decode(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len);
rb_err __wrap_rb_payload_decode(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len);

rb_err
__wrap_rb_payload_decode(struct rb_payload_decoder *d, const uint8_t *segment, uint32_t len)
{
    return decoder_disagrees ? RB_OK : __real_rb_payload_decode(d, segment, len);
}

static void
write_file(const char *path, const char *text)
{
    CHECK_OK(rb_file_replace(path, text, strlen(text), 0644));
}

TEST(BUILD_05_a_payload_that_does_not_apply_is_not_written)
{
    uint8_t *kept = NULL;
    size_t len = 0;

    write_file("old", "the quick brown fox jumps over the lazy dog, and the dog does not mind at all");
    write_file("new", "the quick brown fox jumped over the lazy dog, and the dog did not mind that at all");
    write_file("patch", "an earlier patch");
    decoder_disagrees = true;
    CHECK_ERR(forge_payload_create("old", "new", NULL, "patch", NULL), RB_ERR_INTERNAL);
    CHECK(strstr(rb_fail_detail(), "does not give the new file back") != NULL);
    rb_fail_clear();
    CHECK_OK(rb_file_read("patch", 100, &kept, &len));
    CHECK(strcmp((const char *)kept, "an earlier patch") == 0);
    free(kept);

    decoder_disagrees = false;
    CHECK_OK(forge_payload_create("old", "new", NULL, "patch", NULL));
    CHECK_OK(forge_payload_apply("old", "patch", "again"));
    CHECK_OK(rb_file_read("again", 100, &kept, &len));
    CHECK(strncmp((const char *)kept, "the quick brown fox jumped", 26) == 0);
    free(kept);
}
