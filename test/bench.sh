#!/bin/sh
# Measures: size, memory idle and per viewer, latency and time to first picture in Chromium, then bad networks (minutes).
cd "$(dirname "$0")/.." || exit 1
libs="-lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto"
mkdir -p build
cc -std=c99 -Os -DWCAM_MAIN webrtc_cam.c -o build/bench_small $libs && strip build/bench_small
echo "stripped program, -Os, dynamic: $(stat -c %s build/bench_small) bytes"
node test/browser/run.mjs memory plays POST | grep -E '^(# |not ok|[0-9]+ passed)'
node test/browser/network.mjs | grep -E '^(# |not ok|[0-9]+ passed)'
cc -std=c99 -O2 test/link.c -o build/link_fast $libs && LINK_HANDSHAKES=10000 build/link_fast | grep -E '^(# |not ok|[0-9]+ passed)'
