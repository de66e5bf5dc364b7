#!/bin/sh
# Fuzz webrtc_cam.c: for each target of fuzz.c, replay the corpus, then explore from it for a while.
#
# usage: fuzz.sh SECONDS [TARGET...]      0: replay only. What is explored is kept in build/fuzz/corpus.
#
# SEED=N explores the same way each time; CLANG names the compiler; WCAM_DATA a directory with more seeds (see corpus.py). On a failure the input that caused
# it is in build/fuzz/bad; run it again by
#     FUZZ=TARGET build/fuzz/fuzz build/fuzz/bad/FILE
set -u
cd "$(dirname "$0")/.." || exit 1

seconds=${1:?usage: fuzz.sh SECONDS [TARGET...]}
shift
[ $# -gt 0 ] || set -- stun dtls rtcp sdp http h264 intake route viewer text guard json ws signal camerasdp depay dialog
cc=${CLANG:-clang}
out=build/fuzz
flags='-std=c99 -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined'
libraries='-lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto'
passed=0
failed=0

skip() {
    echo "ok - fuzz # SKIP $1"
    echo '0 passed, 0 failed'
    exit 0
}

# The largest input, in bytes: what the target can use up in reasonable time.
largest() {
    case $1 in
    stun | rtcp | text | guard | viewer | json | camerasdp) echo 4096 ;;
    *) echo 49200 ;; # the seeds with whole pictures are that large
    esac
}

# How many runs a log of libFuzzer tells of.
runs() { sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$1"; }

fuzz() {
    name=$1
    log=$out/$name.log
    mkdir -p "$out/corpus/$name"
    # first the seeds alone, so that a failure of theirs is told from a new find; then from there
    if FUZZ=$name "$out/fuzz" -runs=0 -rss_limit_mb=1024 -timeout=10 -artifact_prefix="$out/bad/$name-" \
        "$out/seeds/$name" "$out/corpus/$name" >"$log" 2>&1 &&
        { [ "$seconds" = 0 ] ||
            FUZZ=$name "$out/fuzz" -seed="${SEED:-0}" -max_total_time="$seconds" -max_len="$(largest "$name")" -rss_limit_mb=1024 \
                -timeout=10 -artifact_prefix="$out/bad/$name-" "$out/corpus/$name" "$out/seeds/$name" >"$log" 2>&1; }
    then
        passed=$((passed + 1))
        echo "ok - fuzz $name: $(runs "$log") runs"
    else
        failed=$((failed + 1))
        # what a person looks for: the invariant or sanitizer's sentence, and the file that shows it
        why=$(grep -a -m1 -E 'this must hold|runtime error|ERROR: [A-Za-z]+Sanitizer|ERROR: libFuzzer' "$log")
        file=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
        echo "not ok - fuzz $name: ${why:-see $log} (${file:-$log})"
    fi
}

command -v "$cc" >/dev/null || skip "there is no $cc"
mkdir -p "$out/bad" || exit 1
echo 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n); int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { return p && n == 0; }' |
    $cc -x c - -fsanitize=fuzzer,address,undefined -o "$out/probe" 2>"$out/probe.log" ||
    skip "$cc has no fuzzer runtime"

# shellcheck disable=SC2086  # the flags are several words
if [ ! -x "$out/fuzz" ] || [ -n "$(find webrtc_cam.c webrtc_cam.h test/fuzz.c -newer "$out/fuzz")" ]; then
    rm -f "$out/fuzz"
    $cc $flags ${CFLAGS:-} test/fuzz.c -o "$out/fuzz" $libraries || { echo 'not ok - fuzz: the build'; exit 1; }
fi
rm -rf "$out/seeds"
python3 test/corpus.py "$out/seeds" || { echo 'not ok - fuzz: the seeds'; exit 1; }

for target; do fuzz "$target"; done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
