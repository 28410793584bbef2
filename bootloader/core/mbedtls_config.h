/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * mbedTLS as a bootloader needs it: SHA-256 and ECDSA P-256 verification, small. For bare builds, by
 * -DMBEDTLS_CONFIG_FILE. It asks its environment for memory functions and, through MBEDTLS_PLATFORM_MEMORY, for a
 * pool of a few KiB.
 */
#ifndef RB_BOOTLOADER_MBEDTLS_CONFIG_H
#define RB_BOOTLOADER_MBEDTLS_CONFIG_H

#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_NO_STD_FUNCTIONS
#define MBEDTLS_NO_PLATFORM_ENTROPY
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECP_WINDOW_SIZE 2
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
#define MBEDTLS_MPI_WINDOW_SIZE 1
#define MBEDTLS_MPI_MAX_SIZE 40
/* mbedTLS 2.28 only; 3.x has neither. */
#define MBEDTLS_ECP_NO_INTERNAL_RNG
#define MBEDTLS_ECP_MAX_BITS 256

#endif
