#!/bin/sh
# Other C libraries and machines: the unit tests, then Chromium in front of the program, both linked as `make static`
# does it (mbedTLS 3.6, of it what is needed), by emulation where the machine is another one.
#
# usage: cross.sh [TARGET ...]     all by default; what is not installed is skipped (setup.sh cross installs it)
#   musl     this machine, another C library           i386     32 bits, 64-bit integers aligned to 4
#   arm64    weak alignment and memory order           armhf    32 bits, the boards this is made for
#   powerpc  32 bits, big-endian, unsigned char        s390x    64 bits, big-endian
# Libraries and binaries stay in build/cross/TARGET; a second run builds only what is older than the source.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; }
skip() { skipped=$((skipped + 1)); echo "skip - $1: $2"; }
have() { command -v "$1" >/dev/null 2>&1; }

# TARGET: its compiler, archiver and emulator (empty: none is needed)
target() {
    case $1 in
    musl) cc=musl-gcc ar=ar run= ;;
    i386) cc=i686-linux-gnu-gcc ar=i686-linux-gnu-ar run=qemu-i386 ;;
    arm64) cc=aarch64-linux-gnu-gcc ar=aarch64-linux-gnu-ar run=qemu-aarch64 ;;
    armhf) cc=arm-linux-gnueabihf-gcc ar=arm-linux-gnueabihf-ar run=qemu-arm ;;
    powerpc) cc=powerpc-linux-gnu-gcc ar=powerpc-linux-gnu-ar run=qemu-ppc ;;
    s390x) cc=s390x-linux-gnu-gcc ar=s390x-linux-gnu-ar run=qemu-s390x ;;
    *) echo "cross.sh: there is no target '$1'" >&2; exit 2 ;;
    esac
    case $run-$(uname -m) in qemu-i386-x86_64 | qemu-i386-i?86 | qemu-aarch64-aarch64) run= ;; esac
    [ -z "$run" ] || have $run || run=$run-static
}

compile() { # OUT FLAG...
    out=$dir/$1; shift
    [ -e "$out" ] && [ -z "$(find webrtc_cam.[ch] test/unit.[ch] test/peer.h -newer "$out")" ] && return
    # shellcheck disable=SC2046  # several words each
    "$dir/cc" -std=c99 -O2 $(cat "$dir/cflags") "$@" -o "$out.new" $(cat "$dir/libs") \
        >"$dir/log" 2>&1 && mv "$out.new" "$out" || { head -n 40 "$dir/log"; return 1; }
}

# The emulated program, as one file that the browser tests can start.
starter() {
    printf '#!/bin/sh\nexec %s "%s/%s/webrtc_cam" "$@"\n' "$run" "$PWD" "$dir" >"$dir/start" && chmod +x "$dir/start"
}

counted() { # NAME COMMAND...: prints "ok" when the command's last count has no failure, else what it said
    name=$1; shift
    "$@" >"$dir/log" 2>&1
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$dir/log" | tail -n 1)
    case $line in
    '0 passed'* | '') tail -n 40 "$dir/log"; not_ok "$name: no test ran" ;;
    *' 0 failed'*) ok "$name: $line" ;;
    *) grep -E '^(not ok|[a-z/_.]+:[0-9]+:)' "$dir/log" | head -n 40; not_ok "$name: $line" ;;
    esac
}

for t in ${*:-musl i386 arm64 armhf powerpc s390x}; do
    target "$t"
    dir=build/cross/$t
    mkdir -p "$dir"
    if ! have $cc; then skip "$t" "$cc is not installed"; continue; fi
    if [ -n "$run" ] && ! have $run; then skip "$t" "$run is not installed"; continue; fi
    printf '#!/bin/sh\nexec %s -static "$@" -DMBEDTLS_CONFIG_FILE=\\"%s\\"\n' $cc "$PWD/test/mbedtls_small.h" >"$dir/cc"
    chmod +x "$dir/cc"
    [ "$dir/ok" -nt test/mbedtls_small.h ] || rm -f "$dir/ok" "$dir/unit" "$dir/webrtc_cam"
    if ! CC="$PWD/$dir/cc" AR=$ar sh test/mbedtls36.sh "$dir" >"$dir/mbedtls.log" 2>&1; then
        skip "$t" "$(tail -n 1 "$dir/mbedtls.log")"
        continue
    fi
    if ! compile unit test/unit.c; then not_ok "$t: the unit tests do not build"; else
        counted "$t: unit tests" $run "$dir/unit"; fi
    # qemu passes UDP_SEGMENT on as it is, in the wrong byte order: big-endian programs are built without it.
    case $t in powerpc | s390x) plain=-DWCAM_NO_LINUX ;; *) plain= ;; esac
    if ! compile webrtc_cam -pedantic -Wall -Wextra -Werror -DWCAM_MAIN $plain webrtc_cam.c || ! starter; then
        not_ok "$t: the program does not build"
        continue
    fi
    if have node && [ -d test/browser/node_modules ]; then
        counted "$t: Chromium plays" env WCAM_BIN="$PWD/$dir/start" node test/browser/run.mjs 'pattern plays'
    else skip "$t: Chromium plays" "Node.js or playwright-core is not installed"; fi
done
if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed -eq 0 ]
