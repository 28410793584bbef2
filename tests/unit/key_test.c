/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/key.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "lib/tuf/ecdsa.h"
#include "tests/support/test.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void
shell(const char *command)
{
    if (system(command) != 0) {
        test_fail(__FILE__, __LINE__, "%s", command);
    }
}

static void
digest_of(const char *text, uint8_t digest[RB_SHA256_LEN])
{
    rb_sha256(text, strlen(text), digest);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
    CHECK_OK(rb_file_replace(path, text, strlen(text), mode));
    CHECK(chmod(path, mode) == 0);
}

/* The key of RFC 6979 A.2.5, whose signatures are known. */
static const char rfc6979_key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                  "MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\n"
                                  "AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\n"
                                  "maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
                                  "-----END EC PRIVATE KEY-----\n";

TEST(p256_signatures_are_deterministic_as_rfc_6979_says)
{
    struct forge_key *key = NULL;
    uint8_t digest[RB_SHA256_LEN];
    uint8_t signature[RB_P256_SIGNATURE_LEN];
    uint8_t public_key[RB_P256_KEY_LEN];
    char hex[129];

    write_file("rfc.pem", rfc6979_key, 0600);
    CHECK_OK(forge_key_open("rfc.pem", &key));
    CHECK(forge_key_type(key) == FORGE_KEY_P256);
    CHECK_OK(forge_key_public_p256(key, public_key));
    rb_hex(public_key, 32, hex);
    CHECK(strcmp(hex, "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6") == 0);
    digest_of("sample", digest);
    CHECK_OK(forge_key_sign_p256(key, digest, signature));
    rb_hex(signature, 64, hex);
    CHECK(strcmp(hex, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                      "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8")
          == 0);
    CHECK_OK(rb_p256_verify(public_key, digest, signature));
    forge_key_free(key);
}

TEST(p256_keys_of_openssl_are_read_in_each_form)
{
    static const char *const commands[] = {
        "openssl ecparam -name prime256v1 -genkey -out k.pem 2>err", /* parameters, then SEC 1 */
        "openssl ecparam -name prime256v1 -genkey -noout -out k.pem 2>err",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k.pem 2>err", /* PKCS#8 */
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct forge_key *key = NULL;
        uint8_t from_private[RB_P256_KEY_LEN];
        uint8_t from_public[RB_P256_KEY_LEN];
        uint8_t digest[RB_SHA256_LEN];
        uint8_t signature[RB_P256_SIGNATURE_LEN];
        uint8_t der[RB_P256_DER_SIGNATURE_MAX];

        shell(commands[i]);
        shell("chmod 600 k.pem; openssl pkey -in k.pem -pubout -out pub.pem");
        CHECK_OK(forge_key_open("file:k.pem", &key));
        CHECK_OK(forge_public_p256_read("k.pem", from_private));
        CHECK_OK(forge_public_p256_read("pub.pem", from_public));
        CHECK(memcmp(from_private, from_public, sizeof from_public) == 0);

        digest_of("text", digest);
        CHECK_OK(forge_key_sign_p256(key, digest, signature));
        size_t len = rb_p256_signature_to_der(signature, der);
        CHECK_OK(rb_file_replace("sig.der", der, len, 0644));
        shell("printf text | openssl dgst -sha256 -verify pub.pem -signature sig.der >out");
        forge_key_free(key);
    }
}

TEST(public_pem_is_what_openssl_writes)
{
    struct forge_key *key = NULL;
    char *pem = NULL;
    uint8_t *data = NULL;
    size_t len = 0;

    CHECK_OK(forge_key_create_p256("new.pem"));
    shell("openssl pkey -in new.pem -pubout -out pub.pem");
    CHECK_OK(forge_key_open("new.pem", &key));
    CHECK_OK(forge_key_public_pem(key, &pem));
    CHECK_OK(rb_file_read("pub.pem", 4096, &data, &len));
    CHECK(strcmp(pem, (const char *)data) == 0);
    free(pem);
    free(data);
    forge_key_free(key);
}

TEST(BUILD_04_a_key_file_others_can_read_is_refused)
{
    static const mode_t bad[] = {0604, 0640, 0620, 0602, 0644, 0666};
    struct forge_key *key = NULL;
    struct stat st;

    CHECK_OK(forge_key_create_p256("k.pem"));
    CHECK(stat("k.pem", &st) == 0 && (st.st_mode & 07777) == 0600);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(chmod("k.pem", bad[i]) == 0);
        rb_fail_clear();
        CHECK_ERR(forge_key_open("k.pem", &key), RB_ERR_KEY_PERMISSIONS);
    }
    CHECK(chmod("k.pem", 0400) == 0);
    rb_fail_clear();
    CHECK_OK(forge_key_open("k.pem", &key));
    forge_key_free(key);
}

TEST(a_new_key_replaces_nothing)
{
    write_file("k.pem", "precious", 0600);
    CHECK_ERR(forge_key_create_p256("k.pem"), RB_ERR_IO_EXISTS);
    rb_fail_clear();
    CHECK_ERR(forge_key_create_rsa("new.pem", "k.pem", 2048, "me"), RB_ERR_IO_EXISTS);
    CHECK(!rb_file_exists("new.pem"));
    rb_fail_clear();
    CHECK_ERR(forge_key_create_rsa("k.pem", "cert.pem", 2048, "me"), RB_ERR_IO_EXISTS);
    CHECK(!rb_file_exists("cert.pem"));
}

TEST(files_that_are_no_usable_key_are_refused)
{
    static const char *const commands[] = {
        ": >k.pem",
        "echo hello >k.pem",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out k.pem 2>err",
        "openssl genpkey -algorithm ed25519 -out k.pem 2>err",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out k.pem 2>err",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes128 -pass pass:x -out k.pem 2>err",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>err | openssl pkey -pubout -out k.pem",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>err | head -c 150 >k.pem",
        "head -c 100000 /dev/zero >k.pem",
    };
    struct forge_key *key = NULL;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        shell(commands[i]);
        shell("chmod 600 k.pem");
        rb_fail_clear();
        CHECK_ERR(forge_key_open("k.pem", &key), RB_ERR_KEY_FORMAT);
        CHECK(rb_fail_detail()[0] != '\0');
    }
    rb_fail_clear();
    CHECK_ERR(forge_key_open("none.pem", &key), RB_ERR_IO_NOT_FOUND);
    rb_fail_clear();
    CHECK_ERR(forge_key_open("pkcs11:object=x", &key), RB_ERR_KEY_FORMAT);
}

TEST(rsa_keys_come_with_a_certificate_that_openssl_accepts)
{
    struct forge_key *key = NULL;
    uint8_t digest[RB_SHA256_LEN];
    uint8_t signature[512];
    uint8_t public_key[RB_P256_KEY_LEN];
    size_t len = 0;

    CHECK_OK(forge_key_create_rsa("k.pem", "c.pem", 2048, "demo developer"));
    shell("openssl verify -check_ss_sig -CAfile c.pem c.pem >out 2>&1");
    shell("openssl x509 -in c.pem -noout -subject | grep -q 'CN = demo developer'");
    shell("openssl x509 -in c.pem -noout -text | grep -q 'CA:TRUE'");
    CHECK_OK(forge_key_open("k.pem", &key));
    CHECK(forge_key_type(key) == FORGE_KEY_RSA);
    CHECK_ERR(forge_key_public_p256(key, public_key), RB_ERR_KEY_FORMAT);
    digest_of("text", digest);
    CHECK_OK(forge_key_sign_rsa(key, digest, signature, &len));
    CHECK(len == 256);
    CHECK_OK(rb_file_replace("sig", signature, len, 0644));
    shell("openssl x509 -in c.pem -noout -pubkey >pub.pem");
    shell("printf text | openssl dgst -sha256 -verify pub.pem -signature sig >out");
    forge_key_free(key);
}

TEST(rsa_sizes_outside_2048_to_4096_are_refused)
{
    CHECK_ERR(forge_key_create_rsa("k.pem", "c.pem", 1024, "x"), RB_ERR_ARG);
    CHECK_ERR(forge_key_create_rsa("k.pem", "c.pem", 8192, "x"), RB_ERR_ARG);
    CHECK(!rb_file_exists("k.pem") && !rb_file_exists("c.pem"));
}

/* Hex in, RB_OK or not out. */
static rb_err
der(const char *hex)
{
    uint8_t raw[128];
    uint8_t out[RB_P256_SIGNATURE_LEN];
    size_t len = strlen(hex) / 2;

    CHECK_OK(rb_unhex(hex, raw, len));
    return rb_p256_signature_from_der(raw, len, out);
}

TEST(TRUST_20_signature_der_has_one_accepted_encoding)
{
    static const char *const bad[] = {
        "",
        "30",
        "3000",
        "3003020101",             /* s missing */
        "300602010002010101",     /* a byte more than the SEQUENCE says */
        "30060201010201",         /* a byte less */
        "3006020100020101",       /* r = 0 */
        "3006020101020100",       /* s = 0 */
        "3006020181020101",       /* r negative */
        "300702020001020101",     /* r with a zero byte it does not need */
        "3006020101020101ff",     /* bytes after */
        "3007020101020101ff",     /* bytes after, inside */
        "308106020101020101",     /* long form of the length */
        "3106020101020101",       /* not a SEQUENCE */
        "3006030101020101",       /* not an INTEGER */
        "30050201010200",         /* empty INTEGER */
        "3080020101020101" "0000", /* indefinite length */
        "3026" "0221" "01" "0000000000000000000000000000000000000000000000000000000000000000" "020101", /* 33 bytes */
        "3027" "0222" "00ff" "0000000000000000000000000000000000000000000000000000000000000000" "020101",
    };

    CHECK_OK(der("3006020101020101"));
    CHECK_OK(der("30080202008102020081"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (der(bad[i]) == RB_OK) {
            test_fail(__FILE__, __LINE__, "accepted %s", bad[i]);
        }
    }
}

TEST(signature_der_goes_there_and_back)
{
    uint8_t raw[RB_P256_SIGNATURE_LEN];
    uint8_t back[RB_P256_SIGNATURE_LEN];
    uint8_t encoded[RB_P256_DER_SIGNATURE_MAX];

    for (unsigned zeros = 0; zeros < 32; zeros++) {
        for (unsigned first = 1; first < 256; first = first * 2 + 1) {
            memset(raw, 0x5a, sizeof raw);
            memset(raw, 0, zeros);
            raw[zeros] = (uint8_t)first;
            raw[32] = (uint8_t)(0xff - first / 2);
            size_t len = rb_p256_signature_to_der(raw, encoded);
            CHECK_OK(rb_p256_signature_from_der(encoded, len, back));
            CHECK(memcmp(raw, back, sizeof raw) == 0);
        }
    }
}
