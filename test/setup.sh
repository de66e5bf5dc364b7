#!/bin/sh
# Install what is missing, and only that, on Debian and Ubuntu. Says nothing when nothing is missing.
#
# usage: setup.sh build     what `make` needs
#        setup.sh test      that, and what `make test` and `make check` need
#        setup.sh cross     that, and the compilers of `make cross`
set -u
cd "$(dirname "$0")" || exit 1

die() { echo "setup: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
known() { apt-cache show "$1" >/dev/null 2>&1; }

# Does the compiler take this program ($1), with these flags ($2...)?
takes() {
    program=$1; shift
    # shellcheck disable=SC2086  # CFLAGS are several words
    printf '%s\n' "$program" | "$cc" ${CFLAGS:-} "$@" -x c -o /dev/null - 2>/dev/null
}

# Names the missing packages. What counts is what works, not what dpkg lists: a compiler, a header or a tool
# that came another way is as good.
missing_build() {
    for cc in "${CC:-cc}" cc gcc clang ''; do have "${cc:-true}" && break; done
    [ -n "$cc" ] || { echo gcc libc6-dev libmbedtls-dev libsrtp2-dev; cc=false; }
    [ "$cc" = false ] || takes '#include <stdio.h>' -E || echo libc6-dev
    [ "$cc" = false ] || takes '#include <mbedtls/ssl.h>' -E || echo libmbedtls-dev
    [ "$cc" = false ] || takes '#include <srtp2/srtp.h>' -E || echo libsrtp2-dev
    have make || echo make
    have pkg-config || echo pkg-config
}

missing_test() {
    missing_build
    for tool in g++ clang clang-format cppcheck x264 ffmpeg npm python3; do have $tool || echo $tool; done
    have node || echo nodejs
    # GStreamer's RTSP server, a camera of another make; the system's Python is the one that finds it
    gst=$(python=/usr/bin/python3; [ -x $python ] || python=python3; $python -c '
import gi
for name in ("Gst", "GstRtsp", "GstRtspServer"): gi.require_version(name, "1.0")
from gi.repository import Gst, GstRtsp, GstRtspServer
Gst.init(None)
print("yes" if Gst.ElementFactory.find("h264parse") and Gst.ElementFactory.find("rtph264pay") else "")' 2>/dev/null)
    # tests skip without it, so it is asked for once
    [ "$gst" = yes ] || [ "$pass" -gt 1 ] || ! known gir1.2-gst-rtsp-server-1.0 ||
        echo python3-gi gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    have chromium || have chromium-browser || have google-chrome ||
        if known chromium || ! known chromium-browser; then echo chromium; else echo chromium-browser; fi
    # The fuzzer's runtime has the compiler's version in its name, so it is asked for once clang is there.
    cc=clang CFLAGS=''
    if have clang && ! takes 'int LLVMFuzzerTestOneInput(void) { return 0; }' -fsanitize=fuzzer,address,undefined; then
        version=$(echo __clang_major__ | clang -E -P -x c -)
        if known "libclang-rt-$version-dev"; then echo "libclang-rt-$version-dev"; else
            echo "libclang-common-$version-dev"; fi
    fi
}

# Worth having, and not worth failing for: gcc-multilib and the cross compilers exclude each other. A line is one install.
wanted() {
    have mandoc || echo mandoc
    have musl-gcc || echo musl-tools
    # cameras of other makes; VLC is 40 MB beside ffmpeg
    have vlc || echo vlc-bin vlc-plugin-base
    pkg-config --exists live555 2>/dev/null || ! apt-cache policy liblivemedia-dev 2>/dev/null | grep -q 'Candidate: [0-9]' ||
        echo liblivemedia-dev
    have qemu-ppc || have qemu-ppc-static || echo qemu-user-static
    for pair in powerpc-linux-gnu:powerpc $1; do
        have "${pair%:*}-gcc" || echo "gcc-${pair%:*}" "libc6-dev-${pair#*:}-cross"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o APT::Get::Remove=false \
        "$@" >"$log" 2>&1 </dev/null
}

# A package list that is absent or stale shows as a failed install; it is fetched once, then.
install() {
    have apt-get || die "missing: $*. There is no apt-get here to install it; please install it and run again."
    [ "$(id -u)" = 0 ] || have sudo ||
        die "missing: $*. As root: apt-get install --no-install-recommends $*"
    echo "setup: installing $*" >&2
    apt install --no-install-recommends "$@" && return
    if [ -z "$updated" ]; then
        updated=yes
        apt update
        apt install --no-install-recommends "$@" && return
    fi
    grep '^[EW]:' "$log" >&2
    die "apt-get could not install: $*"
}

# playwright-core drives the system's Chromium, so its own browsers are not wanted.
driver_version() { (cd browser && node -p "require('playwright-core/package.json').version") 2>/dev/null; }

browser_driver() {
    want=$(cd browser && node -p "require('./package.json').dependencies['playwright-core']")
    if [ "$(driver_version)" != "$want" ] || [ ! -d browser/node_modules/axe-core ] || [ ! -d browser/node_modules/ws ]; then
        echo "setup: installing playwright-core, axe-core, ws" >&2
        (cd browser && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --ignore-scripts \
            --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=3000) >"$log" 2>&1 ||
            { grep -i 'err' "$log" | head -5 >&2; die "npm could not install playwright-core into test/browser."; }
    fi
    (cd browser && node -e "require('playwright-core')") >/dev/null 2>&1 ||
        die "playwright-core $want does not run on the Node.js here ($(node --version))."
}

case "${1:-}" in
build | test) group=$1 others= ;;
cross) group=test others='i686-linux-gnu:i386 aarch64-linux-gnu:arm64 arm-linux-gnueabihf:armhf s390x-linux-gnu:s390x' ;;
*) echo "usage: setup.sh build|test|cross" >&2; exit 2 ;;
esac
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM
updated=
for pass in 1 2 3; do       # the second pass finds what hangs on the first; the third finds nothing
    missing=$(missing_$group | sort -u)
    [ -n "$missing" ] || break
    [ $pass -lt 3 ] || die "installed, and yet missing:" $missing
    # shellcheck disable=SC2086  # one word a package
    install $missing
done
[ $group = test ] || exit 0
browser_driver
wanted "$others" | while read -r packages; do
    # shellcheck disable=SC2086
    (install $packages) || echo "setup: the tests skip what needs $packages" >&2
done
sh live555.sh ../build/live555 || echo "setup: the tests skip what needs live555" >&2
