#!/bin/sh
# Build mbedTLS 3.6 (with DTLS-SRTP) and libsrtp2 2.7 (on that mbedTLS) as static libraries.
#
# usage: mbedtls36.sh [DIR]       default build/mbedtls36; a second run returns at once
#
# Leaves DIR/include, DIR/lib, and the flags for a caller in DIR/cflags and DIR/libs, with paths as DIR was given.
# CC and AR choose the compiler. Exit status 77, with the reason on one line, when the sources cannot be had.
#
# The sources are those of Debian 13, taken by apt with a list and a state folder of its own: the system's configuration
# stays as it is, no root is needed, and apt verifies Debian's signature (Debian 12 carries the keys) and the checksums.
# Upstream's archives alone are taken; Debian's patches concern its packaging.
set -u

given=${1:-build/mbedtls36}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
CC=${CC:-cc} AR=${AR:-ar}

skip() { echo "mbedtls36: $*" >&2; exit 77; }
fail() { echo "mbedtls36: $*" >&2; [ ! -s "$log" ] || tail -20 "$log" >&2; exit 1; }

[ ! -e "$given/ok" ] || exit 0
mkdir -p "$given" && dir=$(cd "$given" && pwd) || exit 1
work=$dir/work log=$dir/log
rm -rf "$work" && mkdir -p "$work/lists/partial" "$work/cache/archives/partial" && : >"$log" && cd "$work" || exit 1

# 1. Sources.
command -v apt-get >/dev/null || skip "no apt-get to fetch the sources with"
[ -e $keyring ] || skip "no Debian keyring to verify the sources with (package debian-archive-keyring)"
echo "deb-src [signed-by=$keyring] $mirror trixie main" >sources.list
fetch() {
    apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
        "$@" >>"$log" 2>&1
}
fetch update && fetch source --download-only --tar-only mbedtls libsrtp2 ||
    skip "cannot fetch the sources from $mirror: $(grep '^[EW]:' "$log" | head -1)"
for archive in mbedtls_3.6.*.orig.tar.* libsrtp2_2.*.orig.tar.*; do
    [ -e "$archive" ] || skip "$mirror has no $archive"
    tar -xf "$archive" 2>>"$log" || python3 -m tarfile -e "$archive" . 2>>"$log" || fail "cannot unpack $archive"
done
srtp_version=$(echo libsrtp-2.* | sed 's/libsrtp-//')
mv mbedtls-3.6.* mbedtls && mv libsrtp-2.* srtp || fail "the archives hold other folders than expected"

# 2. mbedTLS. The option is set in the header, so that callers need no flag for it.
option=MBEDTLS_SSL_DTLS_SRTP config=mbedtls/include/mbedtls/mbedtls_config.h
sed "s|^//#define $option\$|#define $option|" $config >config.new && grep -q "^#define $option\$" config.new &&
    cp config.new $config || fail "cannot enable $option"
unset MAKEFLAGS MFLAGS MAKEOVERRIDES CFLAGS CPPFLAGS LDFLAGS
flags='-O2 -ffunction-sections -fdata-sections'
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
make -C mbedtls/library -j "$jobs" CC="$CC" AR="$AR" CFLAGS="$flags" GEN_FILES= static >>"$log" 2>&1 ||
    fail "mbedTLS does not build"
mkdir -p "$dir/include" "$dir/lib" && cp -r mbedtls/include/mbedtls mbedtls/include/psa "$dir/include" &&
    cp mbedtls/library/libmbed*.a "$dir/lib" || fail "cannot install mbedTLS"

# 3. libsrtp2. Its configure script does not know mbedTLS and its cmake file asks for an installed one; the
#    files are few, so they are compiled here.
cat >srtp/config.h <<H
#define PACKAGE_STRING "libsrtp2 $srtp_version"
#define PACKAGE_VERSION "$srtp_version"
#define MBEDTLS 1
#define GCM 1
#define CPU_CISC 1
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define WORDS_BIGENDIAN 1
#endif
#define HAVE_ARPA_INET_H 1
#define HAVE_NETINET_IN_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDINT_H 1
#define HAVE_STDLIB_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_UNISTD_H 1
#define HAVE_INET_ATON 1
#define HAVE_INLINE 1
#define HAVE_INT32_T 1
#define HAVE_UINT8_T 1
#define HAVE_UINT16_T 1
#define HAVE_UINT32_T 1
#define HAVE_UINT64_T 1
#define SIZEOF_UNSIGNED_LONG __SIZEOF_LONG__
#define SIZEOF_UNSIGNED_LONG_LONG __SIZEOF_LONG_LONG__
H
(
    cd srtp && for file in srtp/srtp crypto/cipher/cipher crypto/cipher/cipher_test_cases crypto/cipher/null_cipher \
        crypto/cipher/aes_icm_mbedtls crypto/cipher/aes_gcm_mbedtls crypto/hash/auth crypto/hash/auth_test_cases \
        crypto/hash/null_auth crypto/hash/hmac_mbedtls crypto/kernel/alloc crypto/kernel/crypto_kernel \
        crypto/kernel/err crypto/kernel/key crypto/math/datatypes crypto/replay/rdb crypto/replay/rdbx; do
        # shellcheck disable=SC2086
        $CC $flags -DHAVE_CONFIG_H -I. -Iinclude -Icrypto/include -I"$dir/include" -c $file.c || exit 1
    done && "$AR" rcs "$dir/lib/libsrtp2.a" ./*.o && mkdir -p "$dir/include/srtp2" &&
        cp include/srtp.h crypto/include/auth.h crypto/include/cipher.h crypto/include/crypto_types.h \
            "$dir/include/srtp2"
) >>"$log" 2>&1 || fail "libsrtp2 does not build"

# 4. The proof: a program that needs both links, and runs where the compiler is not a cross one.
cat >proof.c <<'C'
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <srtp2/srtp.h>
#include <stdio.h>
int main(void) {
    static const mbedtls_ssl_srtp_profile profiles[] = {MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80, MBEDTLS_TLS_SRTP_UNSET};
    mbedtls_ssl_config conf;
    mbedtls_ssl_config_init(&conf);
    int bad = mbedtls_ssl_conf_dtls_srtp_protection_profiles(&conf, profiles) || srtp_init() || srtp_shutdown();
    mbedtls_ssl_config_free(&conf);
    printf("%s, %s\n", "mbedTLS " MBEDTLS_VERSION_STRING, srtp_get_version_string());
    return bad;
}
C
libs="lib/libsrtp2.a lib/libmbedtls.a lib/libmbedx509.a lib/libmbedcrypto.a"
(cd "$dir" && $CC -Wall -Iinclude work/proof.c $libs -o work/proof) >>"$log" 2>&1 || fail "the libraries do not link"
said=$(./proof 2>>"$log")
case $? in
0) ;;
126 | 127) said="built for another machine" ;;
*) fail "the libraries do not work" ;;
esac
cd "$dir" && rm -rf "$work" "$log" || exit 1
echo "-isystem $given/include" >cflags
echo "$libs" | sed "s|lib/lib|$given/&|g" >libs
echo "$said" >ok
echo "mbedtls36: $said, in $given"
