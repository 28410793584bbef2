/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/commands.h"
#include "server-tools/image.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "lib/host/pubkey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX 4u

/* --- image build ------------------------------------------------------------------------------------------------ */

/* An address: decimal, or hexadecimal with 0x. */
static bool
address_option(const char *name, uint64_t fallback, uint64_t *out)
{
    const char *text = rb_cli_option(name);
    char *end = NULL;

    *out = fallback;
    if (text == NULL) {
        return true;
    }
    bool hex = strncmp(text, "0x", 2) == 0;
    const char *digits = hex ? text + 2 : text;
    errno = 0;
    *out = strtoull(digits, &end, hex ? 16 : 10);
    if (strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") == 0 || *end != '\0' || errno != 0) {
        (void)rb_cli_usage("option %s: '%s' is not an address (decimal, or hexadecimal with 0x)", name, text);
        return false;
    }
    return true;
}

static bool
slot_option(uint8_t *affinity)
{
    static const char *const names[] = {"any", "a", "b"};
    const char *text = rb_cli_option("--slot");

    *affinity = RB_IMAGE_ANY_SLOT;
    for (uint8_t i = 0; text != NULL && i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *affinity = i;
            return true;
        }
    }
    if (text != NULL) {
        (void)rb_cli_usage("option --slot: '%s' is not any, a or b", text);
    }
    return text == NULL;
}

static bool
spec_from_options(struct forge_image_spec *spec)
{
    uint64_t counter = 0;
    const char *id = NULL;

    *spec = (struct forge_image_spec){.version = rb_cli_option("--version"), .type = RB_IMAGE_APP};
    while ((id = rb_cli_option_nth("--hardware", (int)spec->hardware_count)) != NULL) {
        if (spec->hardware_count == RB_IMAGE_HARDWARE_MAX) {
            (void)rb_cli_usage("--hardware: an image names at most %u", RB_IMAGE_HARDWARE_MAX);
            return false;
        }
        spec->hardware[spec->hardware_count++] = id;
    }
    if (!rb_cli_number("--security-counter", false, 0, UINT32_MAX, 0, &counter) || !slot_option(&spec->affinity)
        || !address_option("--load-address", 0, &spec->load_address)
        || !address_option("--entry", spec->load_address, &spec->entry_address)) {
        return false;
    }
    spec->security_counter = (uint32_t)counter;
    return true;
}

/* *subject: the file to blame. */
static rb_err
build(const struct forge_image_spec *spec, const char *body_path, const char *key_reference, const char *out_path,
      const char **subject)
{
    struct forge_key *key = NULL;
    uint8_t *body = NULL;
    uint8_t *image = NULL;
    size_t body_len = 0;
    size_t len = 0;

    *subject = key_reference;
    rb_err err = forge_key_open(key_reference, &key);
    if (err == RB_OK) {
        *subject = body_path;
        err = rb_file_read(body_path, UINT32_MAX, &body, &body_len);
    }
    if (err == RB_OK) {
        err = forge_image_build(spec, body, body_len, key, &image, &len);
    }
    if (err == RB_OK) {
        *subject = out_path;
        err = rb_file_replace(out_path, image, len, 0644);
    }
    free(image);
    free(body);
    forge_key_free(key);
    return err;
}

static int
image_build(void)
{
    struct forge_image_spec spec;
    const char *body = rb_cli_option("--body");
    const char *key = rb_cli_option("--key");
    const char *out = rb_cli_option("-o");
    const char *subject = NULL;

    if (body == NULL || rb_cli_option("--version") == NULL || rb_cli_option("--hardware") == NULL || key == NULL
        || out == NULL) {
        return rb_cli_usage("image build needs --body, --version, --hardware, --key and -o");
    }
    if (!spec_from_options(&spec)) {
        return RB_EXIT_USAGE;
    }
    rb_err err = build(&spec, body, key, out, &subject);
    return err == RB_OK ? RB_EXIT_DONE : rb_cli_error(err, subject);
}

/* --- image show ------------------------------------------------------------------------------------------------- */

/* An image file, read in pieces: it may be larger than memory. */
struct image_file {
    int fd;
    uint64_t len;
    uint8_t header[RB_IMAGE_HEADER_LEN];
};

static rb_err
open_image(const char *path, struct image_file *out)
{
    struct stat st;

    out->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (out->fd < 0) {
        return rb_fail_errno("%s", path);
    }
    rb_err err = fstat(out->fd, &st) == 0 ? RB_OK : rb_fail_errno("%s", path);
    if (err == RB_OK) {
        out->len = (uint64_t)st.st_size;
        err = rb_pread_all(out->fd, out->header, sizeof out->header, 0);
    }
    if (err == RB_ERR_TRUNCATED) {
        err = rb_fail(RB_ERR_IMAGE_SIZE, "it is shorter than a header");
    }
    if (err != RB_OK) {
        (void)close(out->fd);
    }
    return err;
}

static const char *
slot_name(const struct rb_image *image)
{
    static const char *const names[] = {"any", "A", "B"};

    return names[image->affinity];
}

static json_t *
describe(const struct rb_image *image)
{
    char hex[2 * RB_SHA256_LEN + 1];
    char address[32];
    json_t *hardware = json_array();
    json_t *o = json_pack("{s:s, s:s, s:s, s:I}", "version", image->version, "type",
                          image->type == RB_IMAGE_APP ? "app" : "recovery", "slot", slot_name(image),
                          "security_counter", (json_int_t)image->security_counter);

    for (unsigned i = 0; i < image->hardware_count; i++) {
        (void)json_array_append_new(hardware, json_string(image->hardware[i]));
    }
    (void)json_object_set_new(o, "hardware", hardware);
    (void)snprintf(address, sizeof address, "0x%" PRIx64, image->load_address);
    (void)json_object_set_new(o, "load_address", json_string(address));
    (void)snprintf(address, sizeof address, "0x%" PRIx64, image->entry_address);
    (void)json_object_set_new(o, "entry_address", json_string(address));
    (void)json_object_set_new(o, "length", json_integer(rb_image_len(image)));
    (void)json_object_set_new(o, "body_offset", json_integer(RB_IMAGE_BODY_OFFSET));
    (void)json_object_set_new(o, "body_length", json_integer(image->body_len));
    (void)json_object_set_new(o, "chunks", json_integer(image->chunk_count));
    rb_hex(image->body_sha256, RB_SHA256_LEN, hex);
    (void)json_object_set_new(o, "body_sha256", json_string(hex));
    rb_hex(image->chunk_root, RB_SHA256_LEN, hex);
    (void)json_object_set_new(o, "chunk_root", json_string(hex));
    rb_hex(image->key_id, RB_IMAGE_KEY_ID_LEN, hex);
    (void)json_object_set_new(o, "key_id", json_string(hex));
    rb_hex(image->digest, RB_SHA256_LEN, hex);
    (void)json_object_set_new(o, "digest", json_string(hex));
    return o;
}

static void
print_for_people(const struct rb_image *image)
{
    char hex[2 * RB_SHA256_LEN + 1];

    printf("version           %s\n", image->version);
    printf("hardware         ");
    for (unsigned i = 0; i < image->hardware_count; i++) {
        printf(" %s", image->hardware[i]);
    }
    printf("\nsecurity counter  %" PRIu32 "\n", image->security_counter);
    printf("type, slot        %s, %s\n", image->type == RB_IMAGE_APP ? "app" : "recovery", slot_name(image));
    printf("load, entry       0x%" PRIx64 ", 0x%" PRIx64 "\n", image->load_address, image->entry_address);
    printf("length            %" PRIu32 " (body %" PRIu32 " at %u, %" PRIu32 " chunks)\n",
           rb_image_len(image), image->body_len, RB_IMAGE_BODY_OFFSET, image->chunk_count);
    rb_hex(image->body_sha256, RB_SHA256_LEN, hex);
    printf("body SHA-256      %s\n", hex);
    rb_hex(image->key_id, RB_IMAGE_KEY_ID_LEN, hex);
    printf("key id            %s\n", hex);
    rb_hex(image->digest, RB_SHA256_LEN, hex);
    printf("digest            %s\n", hex);
}

static int
image_show(void)
{
    const char *path = rb_cli_argument(0);
    struct image_file file;
    struct rb_image image;
    rb_err err = open_image(path, &file);

    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    (void)close(file.fd);
    err = rb_image_header_parse(file.header, &image);
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    if (rb_cli_flag("--json")) {
        json_t *document = describe(&image);
        rb_json_print(document);
        json_decref(document);
    } else {
        print_for_people(&image);
        rb_cli_note("nothing was verified; 'otaforge image verify' does that");
    }
    return RB_EXIT_DONE;
}

/* --- image verify ----------------------------------------------------------------------------------------------- */

static rb_err
verify(struct image_file *file, const struct rb_image_keys *keys, const char *hardware, uint32_t floor,
       struct rb_image *image)
{
    RB_TRY(rb_image_header_verify(file->header, keys, image));
    /* What is not asked for is taken from the image: it then says nothing against itself. */
    const struct rb_image_policy policy = {
        .hardware = hardware != NULL ? hardware : image->hardware[0],
        .floor = floor,
        .slot_size = UINT32_MAX,
        .type = image->type,
        .slot = image->affinity == RB_IMAGE_SLOT_B ? 1 : 0,
    };
    uint8_t *data = rb_alloc(file->len);
    rb_err err = rb_pread_all(file->fd, data, file->len, 0);
    if (err == RB_OK) {
        err = forge_image_verify(data, file->len, keys, &policy, image);
    }
    free(data);
    return err;
}

static void
print_verified(const char *path, const struct rb_image *image)
{
    char key_id[2 * RB_IMAGE_KEY_ID_LEN + 1];

    if (rb_cli_flag("--json")) {
        json_t *document = describe(image);
        (void)json_object_set_new(document, "verified", json_true());
        rb_json_print(document);
        json_decref(document);
        return;
    }
    rb_hex(image->key_id, sizeof image->key_id, key_id);
    printf("%s: valid: version %s, security counter %" PRIu32 ", signed with key %s\n", path, image->version,
           image->security_counter, key_id);
}

static int
image_verify(void)
{
    const char *path = rb_cli_argument(0);
    const char *hardware = rb_cli_option("--hardware");
    uint8_t key[KEYS_MAX][RB_P256_KEY_LEN];
    struct rb_image_keys keys = {(const uint8_t (*)[RB_P256_KEY_LEN])key, 0};
    const char *reference = NULL;
    uint64_t floor = 0;
    struct image_file file;
    struct rb_image image;

    if (rb_cli_option("--key") == NULL) {
        return rb_cli_usage("image verify needs --key: whose signature counts?");
    }
    if (!rb_cli_number("--security-counter", false, 0, UINT32_MAX, 0, &floor)) {
        return RB_EXIT_USAGE;
    }
    while ((reference = rb_cli_option_nth("--key", (int)keys.count)) != NULL) {
        if (keys.count == KEYS_MAX) {
            return rb_cli_usage("--key: at most %u", KEYS_MAX);
        }
        rb_err err = rb_pubkey_read_p256(reference, key[keys.count]);
        if (err != RB_OK) {
            return rb_cli_error(err, reference);
        }
        keys.count++;
    }
    rb_err err = open_image(path, &file);
    if (err == RB_OK) {
        err = verify(&file, &keys, hardware, (uint32_t)floor, &image);
        (void)close(file.fd);
    }
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    print_verified(path, &image);
    return RB_EXIT_DONE;
}

static const struct rb_option build_options[] = {
    {"--body", "FILE", "what the image carries", false},
    {"--version", "TEXT", "version for people; never used to order", false},
    {"--hardware", "ID", "hardware it runs on, whole id; up to 4", true},
    {"--security-counter", "N", "rises when older images must not run any more (default 0)", false},
    {"--load-address", "ADDRESS", "where the body runs (default 0)", false},
    {"--entry", "ADDRESS", "where it starts (default: its first byte)", false},
    {"--slot", "any|a|b", "slot it is linked for, when it runs in place (default any)", false},
    {"--key", "KEY", "private P-256 key", false},
    {"-o", "FILE", "the image", false},
    {NULL, NULL, NULL, false},
};

static const struct rb_option verify_options[] = {
    {"--key", "KEY", "key that must have signed it; up to 4", true},
    {"--hardware", "ID", "the image must be for this hardware", false},
    {"--security-counter", "FLOOR", "lowest counter allowed", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb forge_image_verbs[] = {
    {"image build", "", "sign a body and make a boot image of it", build_options, 0, 0, image_build},
    {"image show", "IMAGE", "what an image says about itself", NULL, 1, 1, image_show},
    {"image verify", "IMAGE", "check an image as a device does", verify_options, 1, 1, image_verify},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
