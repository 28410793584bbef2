/* SPDX-License-Identifier: Apache-2.0
 *
 * The worked examples of docs/format.md sections 1 to 3 are real output: made here again, they stand there byte by
 * byte. A test that fails prints the dump that belongs there.
 */
#include "lib/host/file.h"
#include "tests/support/device.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

/* Sixteen bytes a line; equal lines after the first are one "*", as hexdump prints them. */
static char *
dump(const uint8_t *data, size_t len)
{
    char *text = rb_text("%s", "");
    bool starred = false;

    for (size_t at = 0; at < len; at += 16) {
        size_t n = len - at < 16 ? len - at : 16;
        char line[64] = "";
        if (at > 0 && n == 16 && at + 16 < len && memcmp(data + at, data + at - 16, 16) == 0) {
            if (!starred) {
                char *more = rb_text("%s*\n", text);
                free(text);
                text = more;
                starred = true;
            }
            continue;
        }
        starred = false;
        for (size_t i = 0; i < n; i++) {
            (void)snprintf(line + 3 * i, sizeof line - 3 * i, " %02x", data[at + i]);
        }
        char *more = rb_text("%s%04zx %s\n", text, at, line);
        free(text);
        text = more;
    }
    return text;
}

static void
stands_in_the_document(const void *data, size_t len)
{
    char *path = rb_text("%s/docs/format.md", test_tree());
    uint8_t *document = NULL;
    size_t document_len = 0;
    char *text = dump(data, len);

    CHECK_OK(rb_file_read(path, 1u << 22, &document, &document_len));
    if (strstr((const char *)document, text) == NULL) {
        test_fail(__FILE__, __LINE__, "docs/format.md does not hold this:\n%s", text);
    }
    free(text);
    free(document);
    free(path);
}

static struct rb_loader_config config;
static struct device_image image;

static void
make_examples(void)
{
    static const char body[] = "Hello, Riverbank.\n";
    const struct forge_image_spec spec = {
        .version = "2.0.0", .hardware = {DEVICE_HARDWARE}, .hardware_count = 1, .security_counter = 3};

    device_config(&config, 4096, 8);
    device_image_of(&image, &spec, (const uint8_t *)body, sizeof body - 1, 0);
}

TEST(example_of_a_loader_configuration)
{
    uint8_t raw[RB_LOADER_CONFIG_LEN];

    make_examples();
    CHECK_OK(rb_loader_config_encode(&config, raw));
    stands_in_the_document(raw, sizeof raw);
}

TEST(example_of_an_image)
{
    make_examples();
    stands_in_the_document(image.data, image.len);
}

TEST(example_of_a_journal)
{
    struct rb_flashfile f;
    uint8_t raw[4 * RB_RECORD_LEN];
    struct rb_record record = {
        .floor = 2, .active = RB_SLOT_A, .trial = RB_SLOT_NONE, .cause = RB_CAUSE_FACTORY};

    make_examples();
    rb_flashfile_memory(&f, config.flash_size, config.sector_size, config.program_unit);
    const struct rb_journal journal = {&f.flash, {config.journal[0], config.journal[1]}};
    memset(record.active_digest, 0xa1, sizeof record.active_digest);
    CHECK_OK(rb_journal_append(&journal, &record));
    CHECK_OK(rb_journal_arm(&journal, RB_SLOT_B, image.parsed.digest, 3));
    record = (struct rb_record){0};
    struct rb_journal_view view;
    CHECK_OK(rb_journal_load(&journal, &view));
    record = view.record;
    record.tries_left--;
    record.cause = RB_CAUSE_TRY;
    CHECK_OK(rb_journal_append(&journal, &record));
    CHECK_OK(rb_journal_confirm(&journal, image.parsed.digest, image.parsed.security_counter));
    CHECK_OK(f.flash.read(&f, config.journal[0], raw, sizeof raw));
    rb_flashfile_close(&f);
    stands_in_the_document(raw, sizeof raw);
}
