# webrtc_cam: make run  builds and serves the test picture; make run ARGS='front=camera.h264' a file
#             make test installs what the tests need and runs them
#             make install PREFIX=/usr/local  program, libraries, header, manual page, systemd unit
CFLAGS ?= -O2
STD = -std=c99 -pedantic -Wall -Wextra
LIBS = -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
STRICT = $(STD) -Werror
VERSION = $(shell sed -n 's/^.define WCAM_VERSION "\(.*\)"/\1/p' webrtc_cam.h)
SONAME = libwebrtc_cam.so.$(firstword $(subst ., ,$(VERSION)))
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
UNITDIR = $(PREFIX)/lib/systemd/system
SYSCONFDIR = /etc
INSTALL = install

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
	python3 test/rfc.py check

# every way to compile it: library, program, core alone, each switch alone, and nothing but POSIX
SWITCHES = $(filter-out -DWCAM_NO_LINUX,$(addprefix -D,$(shell grep -ho 'WCAM_NO_[A-Z0-9_]*' webrtc_cam.c | sort -u)))
POSIX = -DWCAM_NO_LINUX -D_POSIX_C_SOURCE=200809L
strict:
	@mkdir -p build
	$(CC) $(STRICT) $(CFLAGS) -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -DWCAM_MAIN -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -DWCAM_MAIN -DWCAM_MINIMAL -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -DWCAM_MAIN $(POSIX) -c webrtc_cam.c -o build/strict.o
	$(CC) $(STRICT) $(CFLAGS) -O0 -DWCAM_MAIN -DWCAM_MINIMAL $(POSIX) -DNDEBUG -c webrtc_cam.c -o build/strict.o
	for switch in $(SWITCHES); do \
	  $(CC) $(STRICT) $(CFLAGS) -O0 -DWCAM_MAIN $$switch -c webrtc_cam.c -o build/strict.o || exit 1; done

# one file that needs no library beside it: mbedTLS 3.6 from source, of it what is needed; with musl where it is installed
static: MUSL = $(if $(filter default,$(origin CC)),$(shell command -v musl-gcc))
static: STATIC_CC = $(or $(MUSL),$(CC))
static: STATIC = build/static/$(notdir $(firstword $(STATIC_CC)))
static:
	@sh test/setup.sh build
	@mkdir -p $(STATIC)
	@[ $(STATIC)/ok -nt test/mbedtls_small.h ] || rm -f $(STATIC)/ok
	@printf '#!/bin/sh\nexec %s -static "$$@" -DMBEDTLS_CONFIG_FILE=\\"%s\\"\n' '$(STATIC_CC)' '$(CURDIR)/test/mbedtls_small.h' \
	  >$(STATIC)/cc && chmod +x $(STATIC)/cc
	CC='$(CURDIR)/$(STATIC)/cc' sh test/mbedtls36.sh $(STATIC)
	$(STATIC)/cc $(STD) $(CPPFLAGS) -Os -ffunction-sections -fdata-sections -DWCAM_MAIN `cat $(STATIC)/cflags` webrtc_cam.c \
	  -o webrtc_cam -s -Wl,--gc-sections `cat $(STATIC)/libs`
	@ls -l webrtc_cam

# the libraries; nothing but wcam_... is visible in them
build/libwebrtc_cam.a: webrtc_cam.c webrtc_cam.h Makefile
	@mkdir -p build
	$(CC) $(STD) $(CPPFLAGS) $(CFLAGS) -c webrtc_cam.c -o build/webrtc_cam.o
	$(AR) rcs $@ build/webrtc_cam.o

build/$(SONAME): webrtc_cam.c webrtc_cam.h Makefile
	@mkdir -p build
	$(CC) $(STD) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -Wl,-soname,$(SONAME) -Wl,-z,defs webrtc_cam.c -o $@ $(LDFLAGS) $(LIBS)

lib: build/libwebrtc_cam.a build/$(SONAME)

# the manual page's options are those that the program tells (RUN: an emulator, when it is built for another machine)
build/webrtc_cam.1: webrtc_cam test/manual.sh
	@mkdir -p build
	$(RUN) ./webrtc_cam --help | sh test/manual.sh $(VERSION) $(SYSCONFDIR) >$@.new
	mv $@.new $@

PC = 'prefix=$(PREFIX)' 'libdir=$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))' \
  'includedir=$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))' '' 'Name: webrtc_cam' 'Version: $(VERSION)' \
  'Description: any H.264 camera in any browser, below a second' \
  'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lwebrtc_cam' 'Libs.private: $(LIBS)'

# DESTDIR stands in front of every path; an existing configuration file is kept
install: webrtc_cam lib build/webrtc_cam.1
	$(INSTALL) -d $(addprefix '$(DESTDIR)',$(BINDIR) $(INCLUDEDIR) $(LIBDIR)/pkgconfig $(MANDIR)/man1 $(UNITDIR) $(SYSCONFDIR))
	$(INSTALL) -m 755 webrtc_cam '$(DESTDIR)$(BINDIR)'
	$(INSTALL) -m 644 webrtc_cam.h '$(DESTDIR)$(INCLUDEDIR)'
	$(INSTALL) -m 644 build/libwebrtc_cam.a '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 755 build/$(SONAME) '$(DESTDIR)$(LIBDIR)/libwebrtc_cam.so.$(VERSION)'
	ln -sf libwebrtc_cam.so.$(VERSION) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libwebrtc_cam.so'
	$(INSTALL) -m 644 build/webrtc_cam.1 '$(DESTDIR)$(MANDIR)/man1'
	printf '%s\n' $(PC) >'$(DESTDIR)$(LIBDIR)/pkgconfig/webrtc_cam.pc'
	sed 's|/usr/local/bin/|$(BINDIR)/|; s|/etc/|$(SYSCONFDIR)/|' examples/webrtc_cam.service \
	  >'$(DESTDIR)$(UNITDIR)/webrtc_cam.service'
	chmod 644 '$(DESTDIR)$(LIBDIR)/pkgconfig/webrtc_cam.pc' '$(DESTDIR)$(UNITDIR)/webrtc_cam.service'
	[ -e '$(DESTDIR)$(SYSCONFDIR)/webrtc_cam.conf' ] || \
	  $(INSTALL) -m 600 examples/webrtc_cam.conf '$(DESTDIR)$(SYSCONFDIR)/webrtc_cam.conf'
	[ -n '$(DESTDIR)' ] || ldconfig 2>/dev/null || :

# the configuration file stays: it is yours
uninstall:
	rm -f $(addprefix '$(DESTDIR)',$(BINDIR)/webrtc_cam $(INCLUDEDIR)/webrtc_cam.h $(LIBDIR)/libwebrtc_cam.a \
	  $(LIBDIR)/libwebrtc_cam.so $(LIBDIR)/$(SONAME) $(LIBDIR)/libwebrtc_cam.so.$(VERSION) \
	  $(LIBDIR)/pkgconfig/webrtc_cam.pc $(MANDIR)/man1/webrtc_cam.1 $(UNITDIR)/webrtc_cam.service)

# other C libraries and machines, by emulation; make cross TARGETS='arm64 s390x'
cross:
	@sh test/setup.sh cross
	@sh test/cross.sh $(TARGETS)

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

.PHONY: run test check strict static lib install uninstall cross fuzz bench clean
