#!/bin/sh
# Every test there is. usage: run.sh [STEP ...], steps: check unit fuzz cli examples install browser cross (all)
# Each step prints its own lines; the last line counts them all: "N passed, N failed".
cd "$(dirname "$0")/.." || exit 1
steps=${*:-check unit fuzz cli examples install browser cross}
libs="-lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto"
sanitize="-std=c99 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined"
passed=0 failed=0 skipped=0
mkdir -p build

ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; }
skip() { skipped=$((skipped + 1)); echo "skip - $1: $2"; }
quietly() { # NAME COMMAND...: one test, its output only when it fails
    name=$1; shift
    if "$@" >build/step.log 2>&1; then ok "$name"; else cat build/step.log; not_ok "$name"; fi
}
suite() { # NAME COMMAND...: many tests, counted by their last line
    name=$1; shift
    echo "== $name"
    "$@" >build/suite.log 2>&1; status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' build/suite.log | tail -n 1)
    if [ -z "$line" ]; then tail -n 40 build/suite.log; not_ok "$name ended without a count (status $status)"; return; fi
    if [ $status -ne 0 ]; then cat build/suite.log; else grep -E '^(skip|# )' build/suite.log; fi
    echo "$line"
    passed=$((passed + $(echo "$line" | sed 's/ .*//')))
    failed=$((failed + $(echo "$line" | sed 's/.* passed, //; s/ .*//')))
    case $line in *skipped*) skipped=$((skipped + $(echo "$line" | sed 's/.* failed, //; s/ .*//'))) ;; esac
}
newer_mbedtls() { # mbedTLS 3.6 from source, made once
    [ -n "${have36:-}" ] || { sh test/mbedtls36.sh build/mbedtls36 >build/mbedtls36.log 2>&1; have36=$?; }
    [ "$have36" -eq 0 ] || skip "$1" "$(tail -n 1 build/mbedtls36.log)"
    return "$have36"
}

for step in $steps; do case $step in
check) quietly "make check: format, warnings, linter, rooms, page" make --no-print-directory check ;;
unit)
    python3 test/vectors.py build/vectors.txt >build/step.log 2>&1 || rm -f build/vectors.txt
    quietly "unit tests build: gcc, sanitizers" gcc $sanitize test/unit.c -o build/unit $libs &&
        suite "unit: gcc, system mbedTLS, sanitizers" build/unit
    quietly "unit tests build: clang" clang -std=c99 -O2 test/unit.c -o build/unit_clang $libs &&
        suite "unit: clang, optimized" build/unit_clang
    python3 test/rtsp_vectors.py build/rtsp_vectors.txt >build/step.log 2>&1 || rm -f build/rtsp_vectors.txt
    quietly "camera tests build: gcc, sanitizers" gcc $sanitize test/camera.c -o build/camera $libs &&
        suite "unit: IP cameras, sanitizers" build/camera
    quietly "bad links build: gcc, sanitizers" gcc $sanitize -O2 test/link.c -o build/link $libs &&
        suite "link: a player behind bad links, sanitizers" build/link
    if newer_mbedtls "unit: mbedTLS 3.6"; then
        # shellcheck disable=SC2046  # several words each
        quietly "unit tests build: mbedTLS 3.6" gcc $sanitize $(cat build/mbedtls36/cflags) test/unit.c -o build/unit36 \
            $(cat build/mbedtls36/libs) && suite "unit: mbedTLS 3.6, sanitizers" build/unit36
    fi ;;
fuzz) SEED=1 suite "fuzz: the corpus, then 3 s each" sh test/fuzz.sh "${FUZZ_SECONDS:-3}" ;;
cli)
    quietly "program builds with sanitizers" gcc $sanitize -DWCAM_MAIN webrtc_cam.c -o build/webrtc_cam_asan $libs
    WCAM_BIN=build/webrtc_cam_asan suite "command line and HTTP" python3 test/cli.py
    WCAM_BIN=build/webrtc_cam_asan suite "IP cameras" python3 test/camera.py ;;
examples) suite "examples" python3 test/examples.py ;;
install) suite "make install" python3 test/install.py ;;
cross) suite "another C library, a big-endian machine" sh test/cross.sh ${CROSS:-musl powerpc} ;;
browser)
    quietly "make" make --no-print-directory
    suite "Chromium" node test/browser/run.mjs
    suite "Chromium, the viewer page" node test/browser/page.mjs
    suite "Chromium, real streams" node test/browser/streams.mjs
    suite "signaling by WebSocket" node test/browser/socket.mjs
    suite "Chromium, examples/own_page.html" node test/browser/own_page.mjs
    suite "Chromium, standard input" node test/browser/pipe.mjs
    suite "Chromium, IP cameras" node test/browser/rtsp.mjs
    suite "Chromium, bad networks" node test/browser/network.mjs gap fresh
    if newer_mbedtls "Chromium, mbedTLS 3.6"; then
        # shellcheck disable=SC2046
        quietly "program builds with mbedTLS 3.6" gcc -std=c99 -O2 -DWCAM_MAIN $(cat build/mbedtls36/cflags) \
            webrtc_cam.c -o build/webrtc_cam36 $(cat build/mbedtls36/libs)
        WCAM_BIN=$PWD/build/webrtc_cam36 suite "Chromium, mbedTLS 3.6" node test/browser/run.mjs plays tabs memory allocation
    fi ;;
*) echo "run.sh: there is no step '$step'" >&2; exit 2 ;;
esac; done

echo
if [ $skipped -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ $failed -eq 0 ]
