/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See seal.h. A file is the magic line, a random nonce of 12 bytes, the ciphertext, and the tag of 16; magic and name are
 * authenticated with it. Nonces are random: there are a few secrets under a key, far from where two could be alike. */

#include "seal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/error.h"

#define MAGIC "polarshift-sealed-1\n"
#define MAGIC_LENGTH (sizeof MAGIC - 1)
#define KEY_LENGTH 32
#define NONCE_LENGTH 12
#define TAG_LENGTH 16

G_STATIC_ASSERT(MAGIC_LENGTH + NONCE_LENGTH + TAG_LENGTH <= SEAL_OVERHEAD_MAX);

struct Seal {
        unsigned char key[KEY_LENGTH];
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_KDF, EVP_KDF_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_KDF_CTX, EVP_KDF_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

/* HKDF: the credential may be of any length and form. */
static bool derive(unsigned char key[static KEY_LENGTH], const char *material, gsize length) {
        char digest[] = "SHA256", info[] = "polarshift credentials 1";
        OSSL_PARAM params[] = {
                        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *) material, length),
                        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)),
                        OSSL_PARAM_construct_end(),
        };
        g_autoptr(EVP_KDF) kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
        g_autoptr(EVP_KDF_CTX) context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        return context && EVP_KDF_derive(context, key, KEY_LENGTH, params) == 1;
}

Seal *seal_new(const char *material, gsize length, GError **error) {
        g_autoptr(Seal) seal = g_new0(Seal, 1);
        if (length < SEAL_KEY_MIN) {
                g_set_error(error, PS_ERROR, PS_ERROR_INVALID_OPTION,
                            "the systemd credential 'polarshift-key' has %" G_GSIZE_FORMAT " bytes; give it %d at least, random ones",
                            length, SEAL_KEY_MIN);
                return NULL;
        }
        if (!derive(seal->key, material, length)) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "no key can be derived from the systemd credential 'polarshift-key'");
                return NULL;
        }
        return g_steal_pointer(&seal);
}

void seal_free(Seal *seal) {
        if (!seal)
                return;
        explicit_bzero(seal->key, sizeof seal->key);
        g_free(seal);
}

bool seal_is_sealed(const char *text, gsize length) {
        return length >= MAGIC_LENGTH && memcmp(text, MAGIC, MAGIC_LENGTH) == 0;
}

/* Key, nonce, and what is authenticated besides the text. */
static bool begin(EVP_CIPHER_CTX *context, const Seal *seal, const unsigned char *nonce, const char *name, int encrypt) {
        int n;
        return context && EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), seal->key, nonce, encrypt, NULL) == 1 &&
               EVP_CipherUpdate(context, NULL, &n, (const unsigned char *) MAGIC, (int) MAGIC_LENGTH) == 1 &&
               EVP_CipherUpdate(context, NULL, &n, (const unsigned char *) name, (int) strlen(name)) == 1;
}

bool seal_close(const Seal *seal, const char *name, const char *secret, gsize length, char **ret, gsize *ret_length, GError **error) {
        g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
        gsize size = MAGIC_LENGTH + NONCE_LENGTH + length + TAG_LENGTH;
        g_autofree unsigned char *sealed = g_malloc(size);
        unsigned char *nonce = sealed + MAGIC_LENGTH, *text = nonce + NONCE_LENGTH;
        int n, rest;

        memcpy(sealed, MAGIC, MAGIC_LENGTH);
        if (length > G_MAXINT || RAND_bytes(nonce, NONCE_LENGTH) != 1 || !begin(context, seal, nonce, name, 1) ||
            EVP_CipherUpdate(context, text, &n, (const unsigned char *) secret, (int) length) != 1 ||
            EVP_CipherFinal_ex(context, text + n, &rest) != 1 || (gsize) n + (gsize) rest != length ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_LENGTH, text + length) != 1) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "credential '%s' cannot be encrypted", name);
                return false;
        }
        *ret = (char *) g_steal_pointer(&sealed);
        *ret_length = size;
        return true;
}

bool seal_open(const Seal *seal, const char *name, const char *sealed, gsize length, char **ret, gsize *ret_length, GError **error) {
        g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
        const unsigned char *nonce = (const unsigned char *) sealed + MAGIC_LENGTH, *text = nonce + NONCE_LENGTH;
        unsigned char tag[TAG_LENGTH];
        int n, rest;

        if (!seal_is_sealed(sealed, length) || length < MAGIC_LENGTH + NONCE_LENGTH + TAG_LENGTH || length > G_MAXINT) {
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED, "credential '%s' is damaged; set it again", name);
                return false;
        }
        gsize size = length - MAGIC_LENGTH - NONCE_LENGTH - TAG_LENGTH;
        memcpy(tag, text + size, TAG_LENGTH);
        unsigned char *secret = g_malloc(size + 1);
        if (!begin(context, seal, nonce, name, 0) || EVP_CipherUpdate(context, secret, &n, text, (int) size) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_LENGTH, tag) != 1 ||
            EVP_CipherFinal_ex(context, secret + n, &rest) != 1 || (gsize) n + (gsize) rest != size) {
                explicit_bzero(secret, size);
                g_free(secret);
                g_set_error(error, PS_ERROR, PS_ERROR_FAILED,
                            "credential '%s' cannot be decrypted: it was stored under another polarshift-key, or is damaged; set it again",
                            name);
                return false;
        }
        secret[size] = 0;
        *ret = (char *) secret;
        *ret_length = size;
        return true;
}
