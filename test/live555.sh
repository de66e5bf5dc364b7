#!/bin/sh
# Build test/live555_server.cpp, a camera of another make for test/camera.py.
#
# usage: live555.sh [DIR]         default build/live555; leaves DIR/server, a second run returns at once
#
# The library is the installed one (Debian's liblivemedia-dev), else that of the PyPI package liblivemedia, whose archive
# holds its sources: they are checked by their hash and compiled as they are. CXX and CC choose the compilers.
# Exit status 77, with the reason on one line, when there is neither.
set -u

dir=${1:-build/live555}
source=$(cd "$(dirname "$0")" && pwd)/live555_server.cpp
hash=564f65501ea5e823e5c53b1847ce3f41bd7b71ee2e9f3ba154a7e955817dfb48
CXX=${CXX:-g++} CC=${CC:-cc}

skip() { echo "live555: $*" >&2; exit 77; }
fail() { echo "live555: $*" >&2; [ ! -s log ] || tail -20 log >&2; exit 1; }

[ ! "$dir/server" -nt "$source" ] || exit 0 # it is there and as new as its source
mkdir -p "$dir" && cd "$dir" || exit 1
command -v "$CXX" >/dev/null || skip "no C++ compiler"

if flags=$(pkg-config --cflags live555 2>/dev/null) && libs=$(pkg-config --libs live555 2>/dev/null); then
    # shellcheck disable=SC2086  # several words each
    "$CXX" -std=c++20 $flags "$source" -o server $libs >log 2>&1 && exit 0
fi

folders='UsageEnvironment BasicUsageEnvironment groupsock liveMedia'
flags='-std=c++20 -DNO_OPENSSL=1'
for folder in $folders; do flags="$flags -isystem work/$folder/include"; done
if [ ! -e live555.a ]; then
    rm -rf work && mkdir -p work/o || exit 1
    echo "liblivemedia==1.0.5 --hash=sha256:$hash" >work/wanted
    python3 -m pip download -q --disable-pip-version-check --retries 1 --timeout 20 --no-deps --no-binary liblivemedia \
        --require-hashes -r work/wanted -d work >log 2>&1 || skip "cannot fetch the sources: $(grep -i error log | tail -n 1)"
    tar -xzf work/liblivemedia-1.0.5.tar.gz -C work --strip-components=1 || fail "cannot unpack the sources"
    jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
    # shellcheck disable=SC2016  # the inner shell's
    for folder in $folders; do ls work/$folder/*.cpp work/$folder/inet.c work/$folder/rtcp_from_spec.c 2>/dev/null; done |
        FLAGS="$flags -DSOCKLEN_T=socklen_t -w" CXX=$CXX CC=$CC xargs -P "$jobs" -n 8 sh -c 'for file; do
            case $file in *.c) compile="$CC -w -Iwork/groupsock/include -Iwork/liveMedia/include" ;; *) compile="$CXX $FLAGS" ;; esac
            $compile -c "$file" -o "work/o/$(basename "$file").o" || exit 255
        done' sh >log 2>&1 || fail "the library does not build"
    ar rcs live555.new work/o/*.o && mv live555.new live555.a || fail "the library cannot be written"
fi
# shellcheck disable=SC2086
"$CXX" -Wall -Wextra $flags "$source" live555.a -o server >>log 2>&1 || fail "the server does not build"
