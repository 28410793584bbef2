/* SPDX-License-Identifier: Apache-2.0 */
#include "server-tools/commands.h"

#include "lib/host/fail.h"
#include "lib/host/file.h"
#include "server-tools/clock.h"
#include "server-tools/rpkbuild.h"

#include <stdlib.h>
#include <string.h>

static int
write_package(const char *path, const struct forge_bytes *package)
{
    uint8_t digest[RB_SHA256_LEN];
    char hex[65];
    rb_err err = rb_file_replace(path, package->data, package->len, 0644);

    if (err != RB_OK) {
        return rb_cli_error(err, path);
    }
    rb_sha256(package->data, package->len, digest);
    rb_hex(digest, sizeof digest, hex);
    printf("%s: %zu bytes, SHA-256 %s\n", path, package->len, hex);
    return RB_EXIT_DONE;
}

static bool
open_signer(struct forge_rpk_signer *signer, int *status)
{
    const char *key = rb_cli_option("--key");
    const char *certificate = rb_cli_option("--cert");

    if (key == NULL || certificate == NULL) {
        *status = rb_cli_usage("wants --key and --cert");
        return false;
    }
    rb_err err = forge_rpk_signer_open(key, certificate, signer);
    *status = err == RB_OK ? RB_EXIT_DONE : rb_cli_error(err, key);
    return err == RB_OK;
}

static int
rpk_build(void)
{
    const char *dir = rb_cli_argument(0);
    const char *out = rb_cli_option("-o");
    struct forge_rpk_signer signer;
    struct forge_bytes package = {NULL, 0, 0};
    int64_t now;
    int status;

    if (out == NULL) {
        return rb_cli_usage("wants -o PACKAGE");
    }
    if (!open_signer(&signer, &status)) {
        return status;
    }
    rb_err err = forge_now(&now);
    if (err == RB_OK) {
        err = forge_rpk_build(dir, &signer, now, &package);
    }
    status = err == RB_OK ? write_package(out, &package) : rb_cli_error(err, dir);
    free(package.data);
    forge_rpk_signer_close(&signer);
    return status;
}

static int
rpk_sign(void)
{
    const char *path = rb_cli_argument(0);
    const char *out = rb_cli_option("-o") != NULL ? rb_cli_option("-o") : path;
    struct forge_rpk_signer signer;
    struct forge_bytes package = {NULL, 0, 0};
    int status;

    if (!open_signer(&signer, &status)) {
        return status;
    }
    rb_err err = forge_rpk_resign(path, &signer, &package);
    status = err == RB_OK ? write_package(out, &package) : rb_cli_error(err, path);
    free(package.data);
    forge_rpk_signer_close(&signer);
    return status;
}

static const struct rb_option build_options[] = {
    {"--key", "KEY", "RSA private key", false},
    {"--cert", "FILE", "its certificate, PEM", false},
    {"-o", "PACKAGE", "the file to make", false},
    {NULL, NULL, NULL, false},
};

static const struct rb_option sign_options[] = {
    {"--key", "KEY", "RSA private key", false},
    {"--cert", "FILE", "its certificate, PEM", false},
    {"-o", "PACKAGE", "the file to make; the package itself when absent", false},
    {NULL, NULL, NULL, false},
};

const struct rb_verb forge_rpk_verbs[] = {
    {"rpk build", "DIR", "make and sign a package from an app tree", build_options, 1, 1, rpk_build},
    {"rpk sign", "PACKAGE", "sign a package again", sign_options, 1, 1, rpk_sign},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};
