# webrtc_cam: make run  builds and serves the test picture; make run ARGS='front=camera.h264' a file
#             make test installs what the tests need and runs them
CFLAGS ?= -O2
STD = -std=c99 -pedantic -Wall -Wextra
LIBS = -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
STRICT = $(STD) -Werror
STATIC = build/mbedtls36

webrtc_cam: webrtc_cam.c webrtc_cam.h Makefile
	$(CC) $(STD) $(CPPFLAGS) $(CFLAGS) -DWCAM_MAIN webrtc_cam.c -o $@ $(LDFLAGS) $(LIBS)

run:
	@sh test/setup.sh build
	@$(MAKE) --no-print-directory webrtc_cam
	@./webrtc_cam $(ARGS)

test:
	@sh test/setup.sh test
	@sh test/run.sh

# format, warnings as errors with both compilers, linter, architecture, page
check:
	clang-format --dry-run -Werror webrtc_cam.c webrtc_cam.h examples/*.c $(wildcard test/*.c)
	$(MAKE) --no-print-directory strict CC=gcc
	$(MAKE) --no-print-directory strict CC=clang
	cppcheck --std=c99 --quiet --error-exitcode=1 --inline-suppr --enable=warning,performance,portability \
	  --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -DWCAM_MAIN -DMBEDTLS_SSL_DTLS_SRTP --max-configs=1 webrtc_cam.c
	python3 test/rooms.py --self-test
	python3 test/rooms.py webrtc_cam.c
	python3 test/page.py check webrtc_cam.c

# every way to compile it: library, program, core alone, POSIX without Linux
strict:
	@mkdir -p build
	$(CC) $(STRICT) $(CFLAGS) -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -DWCAM_MAIN -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -DWCAM_MAIN -DWCAM_MINIMAL -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -DWCAM_MAIN -DWCAM_NO_LINUX -c webrtc_cam.c -o build/strict.o

# one file without any library beside it, with mbedTLS 3.6 from source
static:
	@sh test/setup.sh build
	@sh test/mbedtls36.sh $(STATIC)
	$(CC) $(STD) -Os -ffunction-sections -fdata-sections -DWCAM_MAIN `cat $(STATIC)/cflags` webrtc_cam.c \
	  -o webrtc_cam -static -s -Wl,--gc-sections `cat $(STATIC)/libs`

# SECONDS for each target; make fuzz TARGETS='sdp http' SECONDS=3600
SECONDS = 600
fuzz:
	@sh test/setup.sh test
	@sh test/fuzz.sh $(SECONDS) $(TARGETS)

bench:
	@sh test/setup.sh test
	@$(MAKE) --no-print-directory webrtc_cam
	@sh test/bench.sh

clean:
	rm -rf build webrtc_cam

.PHONY: run test check strict static fuzz bench clean
