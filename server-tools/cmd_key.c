/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/commands.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/host/json.h"
#include "server-tools/key.h"

#include <stdlib.h>
#include <string.h>

static int
say_new(const char *path, const char *type, const char *certificate)
{
    if (rb_cli_flag("--json")) {
        json_t *facts = json_pack("{s:s, s:s, s:s*}", "key", path, "type", type, "certificate", certificate);
        rb_json_print(facts);
        json_decref(facts);
        return RB_EXIT_DONE;
    }
    printf("%s: new %s private key, mode 0600\n", path, type);
    if (certificate != NULL) {
        printf("%s: its self-signed certificate\n", certificate);
    }
    return RB_EXIT_DONE;
}

static int
new_p256(const char *path)
{
    if (rb_cli_option("--cert") != NULL || rb_cli_option("--subject") != NULL) {
        return rb_cli_usage("--cert and --subject are for RSA keys");
    }
    rb_err err = forge_key_create_p256(path);
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    return say_new(path, "p256", NULL);
}

static int
new_rsa(const char *path, unsigned bits)
{
    const char *certificate = rb_cli_option("--cert");
    const char *subject = rb_cli_option("--subject");

    if (certificate == NULL) {
        return rb_cli_usage("an RSA key signs packages and needs a certificate: --cert FILE");
    }
    if (subject != NULL && (subject[0] == '\0' || strlen(subject) > 128)) {
        return rb_cli_usage("--subject is empty or longer than 128 bytes");
    }
    rb_err err = forge_key_create_rsa(path, certificate, bits, subject != NULL ? subject : "riverbank");
    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    return say_new(path, bits == 2048 ? "rsa2048" : "rsa4096", certificate);
}

static int
key_new(void)
{
    const char *type = rb_cli_option("--type");
    const char *path = rb_cli_argument(0);

    if (type == NULL || strcmp(type, "p256") == 0) {
        return new_p256(path);
    }
    if (strcmp(type, "rsa2048") == 0 || strcmp(type, "rsa4096") == 0) {
        return new_rsa(path, strcmp(type, "rsa2048") == 0 ? 2048 : 4096);
    }
    return rb_cli_usage("--type %s is none of p256, rsa2048, rsa4096", type);
}

/* Facts of a public P-256 key: what image headers and loader configurations name. */
static json_t *
p256_facts(const uint8_t key[RB_P256_KEY_LEN])
{
    uint8_t digest[RB_SHA256_LEN];
    char id[17];
    char bytes[2 * RB_P256_KEY_LEN + 1];

    rb_sha256(key, RB_P256_KEY_LEN, digest);
    rb_hex(digest, 8, id);
    rb_hex(key, RB_P256_KEY_LEN, bytes);
    return json_pack("{s:s, s:s, s:s}", "type", "p256", "image_key_id", id, "public", bytes);
}

static rb_err
private_facts(const char *reference, json_t **out)
{
    struct forge_key *key = NULL;
    uint8_t public_key[RB_P256_KEY_LEN];
    char *pem = NULL;
    json_t *facts = NULL;

    RB_TRY(forge_key_open(reference, &key));
    rb_err err = forge_key_public_pem(key, &pem);
    if (err == RB_OK && forge_key_type(key) == FORGE_KEY_P256) {
        err = forge_key_public_p256(key, public_key);
        facts = err == RB_OK ? p256_facts(public_key) : NULL;
    } else if (err == RB_OK) {
        facts = json_pack("{s:s}", "type", "rsa");
    }
    forge_key_free(key);
    if (err == RB_OK) {
        (void)json_object_set_new(facts, "public_pem", json_string(pem));
        *out = facts;
    }
    free(pem);
    return err;
}

static int
key_show(void)
{
    const char *reference = rb_cli_argument(0);
    uint8_t public_key[RB_P256_KEY_LEN];
    json_t *facts = NULL;

    /* A public key first: showing it needs no secret and no particular mode. */
    rb_err err = forge_public_p256_read(reference, public_key);
    if (err == RB_ERR_KEY_FORMAT) {
        rb_fail_clear();
        err = private_facts(reference, &facts);
    } else if (err == RB_OK) {
        facts = p256_facts(public_key);
    }
    if (err != RB_OK) {
        return rb_cli_error(err, reference);
    }
    if (rb_cli_flag("--json")) {
        rb_json_print(facts);
    } else {
        const char *key;
        json_t *value;
        json_object_foreach(facts, key, value) {
            printf("%-14s%s%s", key, strcmp(key, "public_pem") == 0 ? "\n" : "", json_string_value(value));
            printf("%s", strcmp(key, "public_pem") == 0 ? "" : "\n");
        }
    }
    json_decref(facts);
    return RB_EXIT_DONE;
}

static const struct rb_option new_options[] = {
    {"--type", "TYPE", "p256 (default), rsa2048 or rsa4096", false},
    {"--cert", "FILE", "where the certificate of an RSA key goes", false},
    {"--subject", "NAME", "subject of the certificate: a common name, or CN=...,O=...", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb forge_key_verbs[] = {
    {"key new", "FILE", "make a private key in a new file", new_options, 1, 1, key_new},
    {"key show", "KEY", "show the public half of a key", NULL, 1, 1, key_show},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
