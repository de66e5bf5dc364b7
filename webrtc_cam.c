/* webrtc_cam.c - any H.264 camera in any browser, below a second, in one C99 file.
 *
 * SPDX-License-Identifier: MIT
 * Copyright (c) 2026 the webrtc_cam authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
 * documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
 * rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
 * persons to whom the Software is furnished to do so, subject to the following conditions: the above copyright notice
 * and this permission notice shall be included in all copies or substantial portions of the Software.
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
 * WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
 * COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
 * OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 *
 * Program:  cc -O2 -DWCAM_MAIN webrtc_cam.c -o webrtc_cam -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 * Library:  cc -O2 -c webrtc_cam.c                    (webrtc_cam.h is its manual)
 *
 * The file is a house of rooms, read bottom-up: a room calls only itself and rooms above it in this list. A function
 * carries its room's name. A pure room knows no socket, file, clock or heap: bytes and time go in, bytes come out.
 *
 * ground, pure
 *    1 base     limits, spans, addresses, the names of everything that is dropped
 *    2 bytes    cursors over wire bytes, base64, CRC-32
 *    3 text     words, numbers, JSON strings, percent-encoding
 *    4 crypt    random bytes, hashes, HMAC, comparison in constant time
 * protocols, no I/O
 *    5 stun     messages of RFC 8489
 *    6 ice      the lite agent of RFC 8445, consent of RFC 7675
 *    7 dtls     DTLS 1.2 in both roles, certificate, ClientHello re-assembly, SRTP keys
 *    8 seal     SRTP and SRTCP
 *    9 sdp      reads an offer, writes the answer
 *   10 h264     NAL units, parameter sets, slice headers, access units
 *   11 pattern  the test picture: a tiny H.264 encoder
 *   12 rtp      packets and the H.264 payload format (RFC 6184)
 *   13 depay    RTP packets of a camera become access units
 *   14 rtcp     reports, feedback, goodbye
 *   15 http     HTTP/1.1 requests and responses
 *   16 ws       WebSocket: opening handshake and frames
 *   17 rtsp     RTSP messages, passwords, the SDP of a camera
 *   18 dialog   one conversation with a camera
 * session, pure
 *   19 media    one stream: intake, parameter sets, the shared packet history
 *   20 intake   a live byte stream becomes access units
 *   21 camera   an IP camera as a source: when to call it, its clock
 *   22 adapt   which stream of a camera a viewer's link carries
 *   23 pace     how fast packets may leave towards one viewer
 *   24 sender   one viewer's RTP stream: replay, pacing, repair, reports
 *   25 viewer   one browser: demultiplexing, handshake, consent
 *   26 whep     signaling over HTTP
 *   27 guard    who may come in: Host, Origin, token, password
 *   28 signal   signaling over a WebSocket
 *   29 page     the viewer page
 *   30 site     what one instance serves, and its state in JSON and for Prometheus
 *   31 route    from an HTTP request to its response
 * world
 *   32 net      sockets and the clock
 *   33 dial     the connection to a camera
 *   34 source   where pictures come from: files, the pattern, the embedding program
 *   35 server   connections and the event loop
 *   36 wcam     the C API
 *   37 main     the command line
 *
 * Follow a datagram in:  net_receive -> server_udp -> viewer_input (RFC 7983) -> stun_read, ice_input: a check, answered
 *   | dtls_input: a handshake record; its end gives seal_open the keys | seal_unrtcp, rtcp_next -> sender_feedback: a report or a
 *   request.
 * Follow a frame out:    source_read_camera -> dialog_input (RTSP) -> depay_input: access units | source_tick: a file's, the
 *   pattern's -> media_push: NAL units -> rtp_fragment: payloads, once for all viewers, into the
 *   history -> sender_pump, per viewer: rtp_put, seal_rtp -> emit -> net_send.
 */
#if !defined(_GNU_SOURCE) && !defined(WCAM_NO_LINUX)
#define _GNU_SOURCE /* sendmmsg, in_pktinfo */
#endif
#if !defined(_POSIX_C_SOURCE) && defined(WCAM_NO_LINUX)
#define _POSIX_C_SOURCE 200809L
#endif
#if defined(WCAM_MINIMAL) /* the core alone */
#define WCAM_NO_PATTERN 1
#endif
#include "webrtc_cam.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha1.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif
#include <srtp2/srtp.h>

#if !defined(MBEDTLS_SSL_DTLS_SRTP)
#error "mbedTLS is built without MBEDTLS_SSL_DTLS_SRTP: switch it on in its configuration"
#endif

/* ==== 1 base ================================================================
 * What every room shares: borrowed bytes, addresses, time, the limits, and the name of each reason to drop input.
 * Time is int64_t microseconds of one monotonic clock and is always an argument.
 * pure
 */
#define BASE_MS    1000LL
#define BASE_S     1000000LL
#define BASE_NEVER INT64_MAX

enum base_limits {
    BASE_DATAGRAM = 1200,     /* the largest UDP payload sent; browsers use the same, it passes every VPN in use */
    BASE_DATAGRAM_IN = 2048,  /* the largest UDP payload taken */
    BASE_NAME = 32,           /* a camera's or stream's name */
    BASE_STREAMS = 32,        /* streams of one instance */
    BASE_CANDIDATES = 12,     /* our addresses in one answer */
    BASE_SDP = 64 * 1024,     /* an offer; browsers send 3 to 8 KB */
    BASE_AU = 4 * 1024 * 1024 /* an access unit; a 4K IDR of a good camera is below 1 MB */
};

/* What sound may be: the formats that browsers take as cameras send them. */
enum base_sounds { BASE_SILENT, BASE_PCMU = WCAM_PCMU, BASE_PCMA = WCAM_PCMA, BASE_OPUS = WCAM_OPUS, BASE_SOUNDS };
static const struct {
    const char *name; /* in SDP */
    unsigned rate;    /* of the RTP clock */
} base_sound[BASE_SOUNDS] = {{"", 1}, {"PCMU", 8000}, {"PCMA", 8000}, {"opus", 48000}};

/* Borrowed bytes: never owned, valid as long as what they were cut from. */
struct span {
    const uint8_t *p;
    size_t n;
};

/* Both ends of a datagram. local.family is 0 where the platform does not tell which address was reached. */
struct path {
    struct wcam_addr remote, local;
};

/* Where outgoing datagrams go. The bytes live only during the call. */
struct emit {
    void (*send)(void *to, const struct path *path, const uint8_t *p, size_t n);
    void *to;
};

/* The peer's faults. They are counted and never logged one by one; their names appear in /api/streams. */
#define BASE_DROPS(X)                                  \
    X(DROP_NONE, "none")                               \
    X(DROP_UDP_EMPTY, "udp_empty")                     \
    X(DROP_UDP_LARGE, "udp_large")                     \
    X(DROP_UDP_UNKNOWN_KIND, "udp_unknown_kind")       \
    X(DROP_UDP_STRANGER, "udp_stranger")               \
    X(DROP_UDP_SEND, "udp_send")                       \
    X(DROP_STUN_MALFORMED, "stun_malformed")           \
    X(DROP_STUN_FINGERPRINT, "stun_fingerprint")       \
    X(DROP_STUN_METHOD, "stun_method")                 \
    X(DROP_STUN_NO_CREDENTIALS, "stun_no_credentials") \
    X(DROP_STUN_USERNAME, "stun_username")             \
    X(DROP_STUN_INTEGRITY, "stun_integrity")           \
    X(DROP_STUN_ATTRIBUTE, "stun_unknown_attribute")   \
    X(DROP_ICE_ROLE, "ice_role_conflict")              \
    X(DROP_DTLS_RECORD, "dtls_record")                 \
    X(DROP_DTLS_FRAGMENT, "dtls_fragment")             \
    X(DROP_DTLS_EARLY, "dtls_early")                   \
    X(DROP_DTLS_HANDSHAKE, "dtls_handshake")           \
    X(DROP_RTP_UNEXPECTED, "rtp_unexpected")           \
    X(DROP_RTP_MALFORMED, "rtp_malformed")             \
    X(DROP_RTP_INCOMPLETE, "rtp_incomplete_picture")   \
    X(DROP_SOUND_LARGE, "sound_large")                 \
    X(DROP_RTCP_EARLY, "rtcp_early")                   \
    X(DROP_RTCP_UNSEAL, "rtcp_unseal")                 \
    X(DROP_RTCP_MALFORMED, "rtcp_malformed")           \
    X(DROP_RTCP_SSRC, "rtcp_too_many_ssrc")            \
    X(DROP_HTTP_BAD, "http_bad_request")               \
    X(DROP_HTTP_SLOW, "http_too_slow")                 \
    X(DROP_HTTP_FULL, "http_too_many_connections")     \
    X(DROP_WS_FRAME, "ws_bad_frame")                   \
    X(DROP_H264_NAL, "h264_bad_nal")                   \
    X(DROP_H264_PARAMETERS, "h264_bad_parameter_set")  \
    X(DROP_H264_LARGE, "h264_access_unit_too_large")   \
    X(DROP_H264_NO_IDR, "h264_before_first_idr")       \
    X(DROP_H264_B_FRAME, "h264_b_frame")               \
    X(DROP_H264_PAUSE, "h264_pause_in_picture")

#define BASE_ENUM(id, name)   id,
#define BASE_STRING(id, name) name,
enum drop { BASE_DROPS(BASE_ENUM) DROP_COUNT };
static const char *const base_drop_names[] = {BASE_DROPS(BASE_STRING)};

static struct span base_span(const void *p, size_t n) { return (struct span){p, n}; }

static int64_t base_min(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t base_max(int64_t a, int64_t b) { return a > b ? a : b; }

static bool base_addr_same(const struct wcam_addr *a, const struct wcam_addr *b) {
    return a->family == b->family && a->port == b->port && !memcmp(a->ip, b->ip, a->family == 6 ? 16 : 4);
}

static bool base_path_same(const struct path *a, const struct path *b) {
    return base_addr_same(&a->remote, &b->remote) && base_addr_same(&a->local, &b->local);
}

static bool base_addr_loopback(const struct wcam_addr *a) {
    static const uint8_t one[16] = {[15] = 1};
    return a->family == 4 ? a->ip[0] == 127 : a->family == 6 && !memcmp(a->ip, one, 16);
}

static bool base_addr_any(const struct wcam_addr *a) {
    static const uint8_t zero[16];
    return !memcmp(a->ip, zero, a->family == 6 ? 16 : 4);
}

/* ==== 2 bytes ===============================================================
 * Cursors over wire bytes (big endian), base64 (RFC 4648), CRC-32.
 * A cursor that runs past its end turns bad and stays bad: reads give 0, writes do nothing. It is checked once, before
 * anything depends on what was read or written.
 * pure; uses base
 */
struct rd {
    const uint8_t *p, *end;
    bool bad;
};

struct wr {
    uint8_t *p;
    size_t n, cap;
    bool bad;
};

static struct rd bytes_rd(struct span s) { return (struct rd){s.p, s.n ? s.p + s.n : s.p, false}; }

static struct wr bytes_wr(void *p, size_t cap) { return (struct wr){p, 0, cap, false}; }

static struct span bytes_written(const struct wr *w) { return (struct span){w->p, w->n}; }

static size_t bytes_left(const struct rd *r) { return (size_t)(r->end - r->p); }

static struct span bytes_take(struct rd *r, size_t n) {
    if (r->bad || n > bytes_left(r)) {
        r->bad = true;
        return base_span(r->p, 0);
    }
    r->p += n;
    return base_span(r->p - n, n);
}

static uint64_t bytes_take_uint(struct rd *r, size_t n) {
    struct span s = bytes_take(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) v = v << 8 | s.p[i];
    return v;
}

static uint8_t bytes_r8(struct rd *r) { return (uint8_t)bytes_take_uint(r, 1); }
static uint16_t bytes_r16(struct rd *r) { return (uint16_t)bytes_take_uint(r, 2); }
static uint32_t bytes_r24(struct rd *r) { return (uint32_t)bytes_take_uint(r, 3); }
static uint32_t bytes_r32(struct rd *r) { return (uint32_t)bytes_take_uint(r, 4); }

static void bytes_put(struct wr *w, const void *p, size_t n) {
    if (w->bad || n > w->cap - w->n) {
        w->bad = true;
        return;
    }
    if (n) memcpy(w->p + w->n, p, n);
    w->n += n;
}

static void bytes_put_uint(struct wr *w, uint64_t v, size_t n) {
    uint8_t b[8];
    for (size_t i = 0; i < n; i++) b[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    bytes_put(w, b, n);
}

static void bytes_w8(struct wr *w, unsigned v) { bytes_put_uint(w, v, 1); }
static void bytes_w16(struct wr *w, unsigned v) { bytes_put_uint(w, v, 2); }
static void bytes_w24(struct wr *w, uint32_t v) { bytes_put_uint(w, v, 3); }
static void bytes_w32(struct wr *w, uint32_t v) { bytes_put_uint(w, v, 4); }
static void bytes_w64(struct wr *w, uint64_t v) { bytes_put_uint(w, v, 8); }

/* Overwrites two bytes already written: a length that is known only afterwards. */
static void bytes_w16_at(struct wr *w, size_t at, unsigned v) {
    if (w->bad || at + 2 > w->n) return;
    w->p[at] = (uint8_t)(v >> 8);
    w->p[at + 1] = (uint8_t)v;
}

/* CRC-32 of ISO 3309, as STUN's FINGERPRINT uses it (RFC 8489 14.7); no table: it runs over some hundred bytes. */
static uint32_t bytes_crc32(struct span s) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= s.p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

static int bytes_base64_value(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict: whole quads, padding only at the end, spare bits ignored. false leaves w in an unspecified state. */
static bool bytes_unbase64(struct wr *w, struct span s) {
    if (s.n % 4) return false;
    for (size_t i = 0; i < s.n; i += 4) {
        bool last = i + 4 == s.n;
        size_t pad = last && s.p[i + 3] == '=' ? (s.p[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t quad = 0;
        for (size_t k = 0; k < 4; k++) {
            int v = k >= 4 - pad ? 0 : bytes_base64_value(s.p[i + k]);
            if (v < 0) return false;
            quad = quad << 6 | (uint32_t)v;
        }
        bytes_put_uint(w, quad >> 8 * pad, 3 - pad);
    }
    return !w->bad;
}

static void bytes_encode64(struct wr *w, struct span s, const char *abc) {
    for (size_t i = 0; i < s.n; i += 3) {
        size_t have = s.n - i < 3 ? s.n - i : 3;
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) v = v << 8 | (k < have ? s.p[i + k] : 0u);
        for (size_t k = 0; k <= have; k++) bytes_w8(w, (uint8_t)abc[v >> (18 - 6 * k) & 63]);
    }
}

static void bytes_base64(struct wr *w, struct span s) { /* RFC 4648 4 */
    bytes_encode64(w, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    bytes_put(w, "==", (3 - s.n % 3) % 3);
}

/* The URL-safe alphabet without padding (RFC 4648 5): for names made of random bytes. */
static void bytes_base64url(struct wr *w, struct span s) {
    bytes_encode64(w, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

/* ==== 3 text ================================================================
 * Words, numbers, lines; printing into a cursor; JSON strings (RFC 8259), percent-encoding (RFC 3986), HTTP dates.
 * pure; uses base, bytes
 */
enum text_limits { TEXT_DEPTH = 8 /* of JSON that is read */ };

static struct span text_of(const char *s) { return base_span(s, strlen(s)); }

static uint8_t text_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c; }

static bool text_same(struct span a, struct span b) { return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n)); }

static bool text_is(struct span a, const char *b) { return text_same(a, text_of(b)); }

/* ASCII case folded: header names, SDP encoding names. */
static bool text_like(struct span a, const char *b) {
    if (a.n != strlen(b)) return false;
    for (size_t i = 0; i < a.n; i++)
        if (text_lower(a.p[i]) != text_lower((uint8_t)b[i])) return false;
    return true;
}

/* If s starts with prefix, cuts it off. */
static bool text_after(struct span *s, const char *prefix) {
    size_t n = strlen(prefix);
    if (s->n < n || memcmp(s->p, prefix, n)) return false;
    *s = base_span(s->p + n, s->n - n);
    return true;
}

/* Cuts s at the first sep: returns what stands before it, leaves what stands behind it. */
static struct span text_cut(struct span *s, char sep) {
    struct span head = *s;
    if (!s->n) return head;
    const uint8_t *hit = memchr(s->p, sep, s->n);
    if (hit) head.n = (size_t)(hit - s->p);
    *s = hit ? base_span(hit + 1, s->n - head.n - 1) : base_span(s->p + s->n, 0);
    return head;
}

static bool text_blank(uint8_t c) { return c == ' ' || c == '\t'; }

static struct span text_trim(struct span s) {
    while (s.n && text_blank(s.p[0])) s = base_span(s.p + 1, s.n - 1);
    while (s.n && text_blank(s.p[s.n - 1])) s.n--;
    return s;
}

/* The next word between blanks. */
static struct span text_word(struct span *s) {
    *s = text_trim(*s);
    return text_cut(s, ' ');
}

/* The next line; CR LF and LF alone both end it (RFC 8866 5 asks parsers of SDP to accept both). */
static struct span text_line(struct span *s) {
    struct span line = text_cut(s, '\n');
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    return line;
}

/* Decimal digits only, at most max. */
static bool text_uint(struct span s, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    if (!s.n || s.n > 19) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return v <= max;
}

static int text_hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool text_hex(struct span s, uint32_t *out) {
    uint32_t v = 0;
    if (!s.n || s.n > 8) return false;
    for (size_t i = 0; i < s.n; i++) {
        int d = text_hex_value(s.p[i]);
        if (d < 0) return false;
        v = v << 4 | (uint32_t)d;
    }
    *out = v;
    return true;
}

static void text_put(struct wr *w, const char *s) { bytes_put(w, s, strlen(s)); }

static void text_putf(struct wr *w, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line) w->bad = true;
    else bytes_put(w, line, (size_t)n);
}

/* v / 1000 as a decimal fraction, whatever the locale: printf's %f may write a comma. */
static void text_put_thousandths(struct wr *w, int64_t v) {
    text_putf(w, "%s%lld.%03d", v < 0 ? "-" : "", (long long)(v < 0 ? -v : v) / 1000, (int)((v < 0 ? -v : v) % 1000));
}

/* A C string for a span that is known to fit or may be cut. */
static void text_copy(char *to, size_t cap, struct span s) {
    size_t n = s.n < cap - 1 ? s.n : cap - 1;
    if (n) memcpy(to, s.p, n);
    to[n] = 0;
}

/* Well-formed UTF-8: shortest forms, no surrogates, nothing above U+10FFFF (RFC 3629 3, 4). */
static bool text_utf8(struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;
        if (more == 3 && (c < 0xf0 || c > 0xf4)) return false;
        if (s.n - i <= more) return false;
        uint32_t v = more == 0 ? c : c & (0x3fu >> more);
        for (size_t k = 1; k <= more; k++) {
            if ((s.p[i + k] & 0xc0) != 0x80) return false;
            v = v << 6 | (s.p[i + k] & 0x3fu);
        }
        if ((more == 2 && (v < 0x800 || (v >= 0xd800 && v < 0xe000))) || (more == 3 && (v < 0x10000 || v > 0x10ffff)))
            return false;
        i += more;
    }
    return true;
}

/* A JSON string with its quotes. What is not UTF-8 becomes escapes byte by byte. */
static void text_json(struct wr *w, struct span s) {
    uint8_t plain = text_utf8(s) ? 0xff : 0x7e;
    bytes_w8(w, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] > plain) text_putf(w, "\\u%04x", s.p[i]);
        else {
            if (s.p[i] == '"' || s.p[i] == '\\') bytes_w8(w, '\\');
            bytes_w8(w, s.p[i]);
        }
    }
    bytes_w8(w, '"');
}

static void text_put_utf8(struct wr *w, uint32_t c) {
    if (c < 0x80) bytes_w8(w, c);
    else if (c < 0x800) bytes_w16(w, 0xc080 | (c & 0x7c0) << 2 | (c & 0x3f));
    else if (c < 0x10000) bytes_w24(w, 0xe08080 | (c & 0xf000) << 4 | (c & 0xfc0) << 2 | (c & 0x3f));
    else bytes_w32(w, 0xf0808080u | (c & 0x1c0000) << 6 | (c & 0x3f000) << 4 | (c & 0xfc0) << 2 | (c & 0x3f));
}

static void text_json_blank(struct span *s) {
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\r' || s->p[0] == '\n'))
        *s = base_span(s->p + 1, s->n - 1);
}

/* The next character of JSON text behind white space is c: reads over it. */
static bool text_json_sign(struct span *s, char c) {
    text_json_blank(s);
    if (!s->n || s->p[0] != (uint8_t)c) return false;
    *s = base_span(s->p + 1, s->n - 1);
    return true;
}

/* The length of the escape at the begin of s (RFC 8259 7), 0: it is none. */
static size_t text_json_escape(struct span s) {
    uint32_t c;
    if (s.n < 2 || !s.p[1] || !strchr("\"\\/bfnrtu", s.p[1])) return 0;
    if (s.p[1] != 'u') return 2;
    return s.n >= 6 && text_hex(base_span(s.p + 2, 4), &c) ? 6 : 0;
}

/* Reads over a string (RFC 8259 7); *inside is what stands between its quotes, escapes and all. */
static bool text_json_string(struct span *s, struct span *inside) {
    if (!text_json_sign(s, '"')) return false;
    for (size_t i = 0, step = 1; i < s->n && s->p[i] >= 0x20 && step; i += step) {
        if (s->p[i] == '"') {
            *inside = base_span(s->p, i);
            *s = base_span(s->p + i + 1, s->n - i - 1);
            return true;
        }
        step = s->p[i] == '\\' ? text_json_escape(base_span(s->p + i, s->n - i)) : 1;
    }
    return false;
}

static size_t text_digits(struct span s, size_t at) {
    size_t n = 0;
    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9') n++;
    return n;
}

/* Reads over a number (RFC 8259 6), or true, false, null. */
static bool text_json_word(struct span *s) {
    if (text_after(s, "true") || text_after(s, "false") || text_after(s, "null")) return true;
    size_t at = s->n && s->p[0] == '-', whole = text_digits(*s, at);
    if (!whole || (whole > 1 && s->p[at] == '0')) return false;
    at += whole;
    if (at < s->n && s->p[at] == '.') {
        size_t part = text_digits(*s, at + 1);
        if (!part) return false;
        at += 1 + part;
    }
    if (at < s->n && text_lower(s->p[at]) == 'e') {
        at += 1 + (at + 1 < s->n && (s->p[at + 1] == '+' || s->p[at + 1] == '-'));
        size_t power = text_digits(*s, at);
        if (!power) return false;
        at += power;
    }
    *s = base_span(s->p + at, s->n - at);
    return true;
}

/* Reads over any value, at most depth levels deep. In an object: when name is one of its members' (as written, without
 * escapes), *value is that member's text. The first of several of one name counts. */
static bool text_json_value(struct span *s, int depth, const char *name, struct span *value) {
    struct span key;
    bool object = text_json_sign(s, '{'), array = !object && text_json_sign(s, '[');
    if (!object && !array) return s->n && s->p[0] == '"' ? text_json_string(s, &key) : text_json_word(s);
    if (!depth) return false;
    if (text_json_sign(s, object ? '}' : ']')) return true;
    do {
        if (object && !(text_json_string(s, &key) && text_json_sign(s, ':'))) return false;
        struct span before = *s;
        if (!text_json_value(s, depth - 1, NULL, NULL)) return false;
        if (object && name && !value->p && text_is(key, name)) *value = base_span(before.p, before.n - s->n);
    } while (text_json_sign(s, ','));
    return text_json_sign(s, object ? '}' : ']');
}

/* Is the whole text a JSON object? Then *value is its member of that name; p is NULL when there is none. */
static bool text_json_object(struct span text, const char *name, struct span *value) {
    struct span s = text, rest = text;
    *value = base_span(NULL, 0);
    if (!text_utf8(text) || !text_json_sign(&s, '{') || !text_json_value(&rest, TEXT_DEPTH, name, value)) return false;
    text_json_blank(&rest);
    return !rest.n;
}

/* \uXXXX at s, if that is there. */
static bool text_json_code(struct span s, uint32_t *c) {
    return text_after(&s, "\\u") && s.n >= 4 && text_hex(base_span(s.p, 4), c);
}

/* The characters of a string value. Never longer than its text, so w may lie over it. false: no string, or one with
 * NUL or half a surrogate pair. */
static bool text_unjson(struct wr *w, struct span value) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    struct span s;
    if (!text_json_string(&value, &s)) return false;
    while (s.n) {
        uint32_t c = s.p[0], low;
        size_t used = 1;
        const char *simple = c == '\\' && s.n > 1 && s.p[1] ? strchr(from, s.p[1]) : NULL;
        if (simple) {
            bytes_w8(w, (uint8_t)to[simple - from]);
            used = 2;
        } else if (c == '\\') {
            if (!text_json_code(s, &c) || !c || (c >= 0xdc00 && c < 0xe000)) return false;
            used = 6;
            if (c >= 0xd800 && c < 0xdc00) {
                if (!text_json_code(base_span(s.p + 6, s.n - 6), &low) || low < 0xdc00 || low >= 0xe000) return false;
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                used = 12;
            }
            text_put_utf8(w, c);
        } else bytes_w8(w, c);
        s = base_span(s.p + used, s.n - used);
    }
    return !w->bad;
}

/* %XX becomes its byte (RFC 3986 2.1). NUL is refused: the result is compared and printed as text. */
static bool text_unpercent(struct wr *w, struct span s) {
    for (size_t i = 0; i < s.n; i++) {
        uint32_t c = s.p[i];
        if (c == '%' && (s.n - i < 3 || !text_hex(base_span(s.p + i + 1, 2), &c))) return false;
        if (s.p[i] == '%') i += 2;
        if (!c) return false;
        bytes_w8(w, c);
    }
    return !w->bad;
}

/* [A-Za-z0-9_-]{1,32}: a camera or a stream of it. */
static bool text_name(struct span s) {
    if (!s.n || s.n > BASE_NAME) return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = text_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
    }
    return true;
}

/* An HTTP date (RFC 9110 5.6.7) from Unix time: "Sun, 06 Nov 1994 08:49:37 GMT". */
static void text_put_date(struct wr *w, int64_t unix_s) {
    static const char days[] = "ThuFriSatSunMonTueWed", months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    int64_t day = unix_s / 86400, z = day + 719468, era = z / 146097, doe = z - era * 146097; /* since 0000-03-01 */
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int month = (int)(5 * doy + 2) / 153, s = (int)(unix_s % 86400);
    text_putf(w, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + day % 7 * 3, (int)doy - (153 * month + 2) / 5 + 1,
              months + month * 3, (int)(yoe + era * 400) + (month >= 10), s / 3600, s / 60 % 60, s % 60);
}

static int text_ip4(struct span s, uint8_t *ip) {
    for (int i = 0; i < 4; i++) {
        uint64_t v;
        struct span rest = s, part = text_cut(&s, '.');
        bool last = part.n == rest.n, padded = part.n > 1 && part.p[0] == '0'; /* octal to some, decimal to others */
        if (part.n > 3 || padded || last != (i == 3) || !text_uint(part, 255, &v)) return -1;
        ip[i] = (uint8_t)v;
    }
    return 0;
}

/* The groups of one side of "::" (RFC 4291 2.2); at the end of the address stands dotted IPv4 perhaps. Returns bytes
 * written or -1. */
static int text_ip6_side(struct span s, uint8_t *ip, size_t room, bool end) {
    struct wr w = bytes_wr(ip, room);
    bool more = s.n > 0;
    while (more) {
        struct span before = s, part = text_cut(&s, ':');
        uint8_t v4[4];
        uint32_t v;
        more = part.n < before.n;
        if (end && !more && !text_ip4(part, v4)) bytes_put(&w, v4, 4);
        else if (part.n <= 4 && text_hex(part, &v)) bytes_w16(&w, v);
        else return -1;
    }
    return w.bad ? -1 : (int)w.n;
}

/* An IPv4 or IPv6 literal, without port, brackets or zone. */
static bool text_ip(struct span s, struct wcam_addr *a) {
    uint8_t tail[16];
    memset(a, 0, sizeof *a);
    a->family = 4;
    if (!text_ip4(s, a->ip)) return true;
    memset(a, 0, sizeof *a);
    a->family = 6;
    struct span left = s;
    size_t gap = 0;
    while (gap + 1 < s.n && memcmp(s.p + gap, "::", 2)) gap++;
    if (gap + 1 >= s.n) return text_ip6_side(left, a->ip, 16, true) == 16;
    int head = text_ip6_side(base_span(s.p, gap), a->ip, 14, false);
    int n = text_ip6_side(base_span(s.p + gap + 2, s.n - gap - 2), tail, head < 0 ? 0 : (size_t)(14 - head), true);
    if (head < 0 || n < 0) return false;
    memcpy(a->ip + 16 - n, tail, (size_t)n);
    return true;
}

static void text_put_ip(struct wr *w, const struct wcam_addr *a) {
    if (a->family == 4) text_putf(w, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
    for (int i = 0; a->family == 6 && i < 16; i += 2)
        text_putf(w, "%s%x", i ? ":" : "", (unsigned)a->ip[i] << 8 | a->ip[i + 1]);
}

/* ==== 4 crypt ===============================================================
 * Random bytes, SHA-1 HMAC for STUN, the hashes of certificate fingerprints, comparison in constant time.
 * no I/O; mbedTLS gathers entropy and allocates; uses base, bytes
 */
enum crypt_sizes { CRYPT_SHA1 = 20, CRYPT_HASH_MAX = 64 };

struct crypt {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
};

#if MBEDTLS_VERSION_MAJOR >= 3
#define CRYPT_SHA1_STARTS mbedtls_sha1_starts
#define CRYPT_SHA1_UPDATE mbedtls_sha1_update
#define CRYPT_SHA1_FINISH mbedtls_sha1_finish
#else
#define CRYPT_SHA1_STARTS mbedtls_sha1_starts_ret
#define CRYPT_SHA1_UPDATE mbedtls_sha1_update_ret
#define CRYPT_SHA1_FINISH mbedtls_sha1_finish_ret
#endif

static int crypt_open(struct crypt *c) {
    mbedtls_entropy_init(&c->entropy);
    mbedtls_ctr_drbg_init(&c->drbg);
#if MBEDTLS_VERSION_MAJOR >= 3
    if (psa_crypto_init() != PSA_SUCCESS) return -1; /* 3.x routes TLS through PSA in some configurations */
#endif
    return mbedtls_ctr_drbg_seed(&c->drbg, mbedtls_entropy_func, &c->entropy, NULL, 0);
}

static void crypt_close(struct crypt *c) {
    mbedtls_ctr_drbg_free(&c->drbg);
    mbedtls_entropy_free(&c->entropy);
}

static void crypt_wipe(void *p, size_t n) { mbedtls_platform_zeroize(p, n); }

/* A generator that fails has lost its entropy source; predictable keys would be worse than a stop. */
static void crypt_random(struct crypt *c, void *p, size_t n) {
    if (mbedtls_ctr_drbg_random(&c->drbg, p, n)) abort();
}

static uint32_t crypt_random32(struct crypt *c) {
    uint32_t v;
    crypt_random(c, &v, sizeof v);
    return v;
}

/* n random bytes as text that is safe in URLs and SDP: 4 characters for each 3 bytes, then a NUL. */
static void crypt_name(struct crypt *c, size_t n, char *to, size_t cap) {
    uint8_t raw[48];
    struct wr w = bytes_wr(to, cap - 1);
    assert(n <= sizeof raw && cap > (n * 4 + 2) / 3);
    crypt_random(c, raw, n);
    bytes_base64url(&w, base_span(raw, n));
    to[w.n] = 0;
}

static bool crypt_same(const void *a, const void *b, size_t n) {
    const uint8_t *x = a, *y = b;
    uint8_t d = 0;
    for (size_t i = 0; i < n; i++) d |= x[i] ^ y[i];
    return d == 0;
}

/* Secrets typed by people: the time taken tells nothing but the length of what was given. */
static bool crypt_same_text(struct span given, struct span secret) {
    uint8_t d = given.n != secret.n;
    for (size_t i = 0; i < given.n; i++) d |= given.p[i] ^ (secret.n ? secret.p[i % secret.n] : 1);
    return d == 0;
}

/* HMAC-SHA1 (RFC 2104) over two pieces. By hand over SHA-1, since mbedtls_md allocates and this runs per packet. */
static void crypt_hmac_sha1(struct span key, struct span a, struct span b, uint8_t out[CRYPT_SHA1]) {
    uint8_t pad[64], k[64] = {0};
    mbedtls_sha1_context sha;
    mbedtls_sha1_init(&sha);
    if (key.n > sizeof k) {
        CRYPT_SHA1_STARTS(&sha);
        CRYPT_SHA1_UPDATE(&sha, key.p, key.n);
        CRYPT_SHA1_FINISH(&sha, k);
    } else if (key.n) memcpy(k, key.p, key.n);
    for (size_t i = 0; i < sizeof k; i++) pad[i] = k[i] ^ 0x36;
    CRYPT_SHA1_STARTS(&sha);
    CRYPT_SHA1_UPDATE(&sha, pad, sizeof pad);
    CRYPT_SHA1_UPDATE(&sha, a.p, a.n);
    CRYPT_SHA1_UPDATE(&sha, b.p, b.n);
    CRYPT_SHA1_FINISH(&sha, out);
    for (size_t i = 0; i < sizeof k; i++) pad[i] = k[i] ^ 0x5c;
    CRYPT_SHA1_STARTS(&sha);
    CRYPT_SHA1_UPDATE(&sha, pad, sizeof pad);
    CRYPT_SHA1_UPDATE(&sha, out, CRYPT_SHA1);
    CRYPT_SHA1_FINISH(&sha, out);
    mbedtls_sha1_free(&sha);
    crypt_wipe(k, sizeof k);
    crypt_wipe(pad, sizeof pad);
}

/* Returns the hash's length, 0 when mbedTLS does not have it. */
static size_t crypt_hash(mbedtls_md_type_t kind, struct span s, uint8_t out[CRYPT_HASH_MAX]) {
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(kind);
    return md && !mbedtls_md(md, s.p, s.n, out) ? mbedtls_md_get_size(md) : 0;
}

/* ==== 5 stun ================================================================
 * STUN messages (RFC 8489): parse, build, integrity, fingerprint.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |0 0|     message type          |  length of the attributes     |
 *   |                 magic cookie 0x2112a442                       |
 *   |                 transaction id (96 bits)                      |
 *   |  attribute type               |  length of its value          |  then the value, padded to 4 bytes, ...
 *
 * pure; uses base, bytes, crypt
 */
enum stun_numbers {
    STUN_COOKIE = 0x2112a442,
    STUN_HEADER = 20,
    STUN_BINDING = 0x0001,
    STUN_INDICATION = 0x0011,
    STUN_SUCCESS = 0x0101,
    STUN_ERROR = 0x0111,
    STUN_MAPPED_ADDRESS = 0x0001,
    STUN_USERNAME = 0x0006,
    STUN_INTEGRITY = 0x0008,
    STUN_ERROR_CODE = 0x0009,
    STUN_UNKNOWN = 0x000a,
    STUN_XOR_MAPPED_ADDRESS = 0x0020,
    STUN_PRIORITY = 0x0024,
    STUN_USE_CANDIDATE = 0x0025,
    STUN_FINGERPRINT = 0x8028,
    STUN_ICE_CONTROLLED = 0x8029,
    STUN_ICE_CONTROLLING = 0x802a,
    STUN_FINGERPRINT_XOR = 0x5354554e,
    STUN_UNKNOWN_MAX = 8 /* reported back in a 420; more are counted as one refusal all the same */
};

struct stun_msg {
    uint16_t type;
    const uint8_t *id;       /* 12 bytes */
    struct span username;    /* p is NULL when absent */
    struct span integrity;   /* its 20 bytes; p is NULL when absent */
    struct wcam_addr mapped; /* family 0 when absent */
    unsigned error;          /* ERROR-CODE, 0 when absent */
    bool use_candidate, controlled, fingerprint;
    int unknown_count; /* comprehension-required attributes not known here */
    uint16_t unknown[STUN_UNKNOWN_MAX];
};

/* XOR-MAPPED-ADDRESS (RFC 8489 14.2): the port is xored with the cookie's top half, the address with cookie and id. */
static void stun_xor(struct wcam_addr *a, const uint8_t *header) {
    a->port ^= STUN_COOKIE >> 16;
    for (int i = 0; i < (a->family == 6 ? 16 : 4); i++) a->ip[i] ^= header[4 + i];
}

static struct wcam_addr stun_read_addr(struct span value) {
    struct rd r = bytes_rd(value);
    struct wcam_addr a = {0};
    bytes_r8(&r);
    uint8_t family = bytes_r8(&r);
    a.port = bytes_r16(&r);
    struct span ip = bytes_take(&r, family == 2 ? 16 : 4);
    if (r.bad || bytes_left(&r) || (family != 1 && family != 2)) return (struct wcam_addr){0};
    memcpy(a.ip, ip.p, ip.n);
    a.family = family == 2 ? 6 : 4;
    return a;
}

/* false: the value has a length that this attribute cannot have. */
static bool stun_attribute(struct stun_msg *m, const uint8_t *header, unsigned type, struct span value) {
    switch (type) {
    case STUN_USERNAME: m->username = value; return value.n <= 508; /* RFC 8489 14.3: below 509 bytes */
    case STUN_INTEGRITY: m->integrity = value; return value.n == CRYPT_SHA1;
    case STUN_USE_CANDIDATE: m->use_candidate = true; return true;
    case STUN_ICE_CONTROLLED: m->controlled = true; return value.n == 8;
    case STUN_XOR_MAPPED_ADDRESS:
        m->mapped = stun_read_addr(value);
        stun_xor(&m->mapped, header);
        return m->mapped.family != 0;
    case STUN_ERROR_CODE: m->error = value.n < 4 ? 0 : (value.p[2] & 7) * 100u + value.p[3]; return value.n >= 4;
    case STUN_PRIORITY: return value.n == 4;
    case STUN_MAPPED_ADDRESS:
    case STUN_UNKNOWN: return true;
    default: break;
    }
    /* RFC 8489 14: types below 0x8000 must be understood, the others may be passed over. */
    if (type < 0x8000 && m->unknown_count++ < STUN_UNKNOWN_MAX) m->unknown[m->unknown_count - 1] = (uint16_t)type;
    return true;
}

/* One whole message. Spans point into s. */
static enum drop stun_read(struct span s, struct stun_msg *m) {
    struct rd r = bytes_rd(s);
    *m = (struct stun_msg){.type = bytes_r16(&r)};
    size_t length = bytes_r16(&r);
    uint32_t cookie = bytes_r32(&r);
    m->id = bytes_take(&r, 12).p;
    /* RFC 8489 6.3: two zero bits, the cookie, a length that is a multiple of 4 and covers all that follows */
    if (r.bad || m->type & 0xc000 || cookie != STUN_COOKIE || length % 4 || length != bytes_left(&r))
        return DROP_STUN_MALFORMED;
    while (bytes_left(&r)) {
        const uint8_t *at = r.p;
        unsigned type = bytes_r16(&r);
        struct span value = bytes_take(&r, bytes_r16(&r));
        bytes_take(&r, -value.n & 3); /* the padding may hold anything (RFC 8489 14) */
        if (r.bad) return DROP_STUN_MALFORMED;
        if (type == STUN_FINGERPRINT) {
            /* RFC 8489 14.7: it is the last attribute, over all that stands before it */
            uint32_t crc = bytes_crc32(base_span(s.p, (size_t)(at - s.p))) ^ STUN_FINGERPRINT_XOR;
            struct rd v = bytes_rd(value);
            if (bytes_r32(&v) != crc || v.bad || bytes_left(&v) || bytes_left(&r)) return DROP_STUN_FINGERPRINT;
            m->fingerprint = true;
        } else if (m->integrity.p) continue; /* RFC 8489 14.5: ignored behind MESSAGE-INTEGRITY */
        else if (!stun_attribute(m, s.p, type, value)) return DROP_STUN_MALFORMED;
    }
    return DROP_NONE;
}

/* The HMAC covers what precedes the attribute, with a header length that ends with the attribute (RFC 8489 14.5). */
static void stun_hmac(struct span before, struct span key, uint8_t out[CRYPT_SHA1]) {
    uint8_t head[4];
    struct wr w = bytes_wr(head, sizeof head);
    bytes_put(&w, before.p, 2);
    bytes_w16(&w, (unsigned)(before.n - STUN_HEADER + 4 + CRYPT_SHA1));
    crypt_hmac_sha1(key, bytes_written(&w), base_span(before.p + 4, before.n - 4), out);
}

static bool stun_authentic(struct span s, const struct stun_msg *m, struct span key) {
    uint8_t mac[CRYPT_SHA1];
    if (!m->integrity.p) return false;
    stun_hmac(base_span(s.p, (size_t)(m->integrity.p - 4 - s.p)), key, mac);
    return crypt_same(mac, m->integrity.p, sizeof mac);
}

static void stun_begin(struct wr *w, unsigned type, const uint8_t id[12]) {
    bytes_w16(w, type);
    bytes_w16(w, 0);
    bytes_w32(w, STUN_COOKIE);
    bytes_put(w, id, 12);
}

static void stun_put(struct wr *w, unsigned type, struct span value) {
    bytes_w16(w, type);
    bytes_w16(w, (unsigned)value.n);
    bytes_put(w, value.p, value.n);
    bytes_put_uint(w, 0, -value.n & 3);
}

static void stun_put_mapped(struct wr *w, struct wcam_addr a) {
    bool six = a.family == 6;
    bytes_w16(w, STUN_XOR_MAPPED_ADDRESS);
    bytes_w16(w, six ? 20 : 8);
    if (!w->bad) stun_xor(&a, w->p);
    bytes_w16(w, six ? 2 : 1);
    bytes_w16(w, a.port);
    bytes_put(w, a.ip, six ? 16 : 4);
}

/* Sets the length, adds MESSAGE-INTEGRITY when there is a key, and FINGERPRINT. w holds this message alone. */
static void stun_finish(struct wr *w, struct span key) {
    uint8_t mac[CRYPT_SHA1];
    if (key.n && !w->bad) {
        stun_hmac(bytes_written(w), key, mac);
        stun_put(w, STUN_INTEGRITY, base_span(mac, sizeof mac));
    }
    bytes_w16_at(w, 2, (unsigned)(w->n - STUN_HEADER + 8));
    uint32_t crc = bytes_crc32(bytes_written(w)) ^ STUN_FINGERPRINT_XOR;
    bytes_w16(w, STUN_FINGERPRINT);
    bytes_w16(w, 4);
    bytes_w32(w, crc);
}

/* An error response (RFC 8489 6.3.1). Never longer than a request with credentials: no use for amplification. */
static void stun_refuse(struct wr *w, const struct stun_msg *m, unsigned code, struct span key) {
    stun_begin(w, STUN_ERROR, m->id);
    uint8_t value[4] = {0, 0, (uint8_t)(code / 100), (uint8_t)(code % 100)};
    stun_put(w, STUN_ERROR_CODE, base_span(value, sizeof value));
    if (code == 420) {
        int n = m->unknown_count < STUN_UNKNOWN_MAX ? m->unknown_count : STUN_UNKNOWN_MAX;
        bytes_w16(w, STUN_UNKNOWN);
        bytes_w16(w, (unsigned)n * 2);
        for (int i = 0; i < n; i++) bytes_w16(w, m->unknown[i]);
        if (n & 1) bytes_w16(w, 0);
    }
    stun_finish(w, key);
}

/* ==== 6 ice =================================================================
 * The lite agent (RFC 8445 2.5): it never sends checks, it answers them; the browser finds the way and nominates.
 * A path is usable once an authenticated check came over it.
 * DEVIATION: consent (RFC 7675) is taken to last as long as the browser's own checks go on; a lite agent sends none of
 * its own. Who was let in could therefore direct a stream to an address that is not his, until his checks stop.
 * pure; uses base, bytes, text, stun
 */
enum ice_sizes { ICE_UFRAG = 16, ICE_PWD = 24, ICE_PATHS = 8 };
#define ICE_CONSENT (30 * BASE_S) /* RFC 7675 5.1: consent expires 30 s after the last one */

struct ice {
    char ufrag[ICE_UFRAG + 1], pwd[ICE_PWD + 1]; /* ours; RFC 8445 5.3 asks for 24 and 128 bits at least */
    char peer_ufrag[257];
    struct path paths[ICE_PATHS]; /* proven by a check, oldest first replaced */
    int path_count, path_next;
    struct path active; /* where media goes: the latest proven path, then the nominated one */
    bool nominated;
    int64_t heard; /* the last authenticated check; consent runs from here */
};

static bool ice_connected(const struct ice *ice) { return ice->path_count > 0; }

static bool ice_knows(const struct ice *ice, const struct path *path) {
    for (int i = 0; i < ice->path_count; i++)
        if (base_path_same(&ice->paths[i], path)) return true;
    return false;
}

/* RFC 8445 7.3.2, for a lite agent: the check itself makes the pair valid.
 * DEVIATION: media may leave over the latest proven path before nomination (RFC 8445 12.1 waits for it in ICE-lite);
 * browsers accept it, and the first picture comes a round trip earlier. */
static void ice_prove(struct ice *ice, const struct path *path, bool nominate) {
    if (!ice_knows(ice, path)) {
        if (ice->path_count == ICE_PATHS && base_path_same(&ice->paths[ice->path_next], &ice->active))
            ice->path_next = (ice->path_next + 1) % ICE_PATHS; /* never the one in use */
        ice->paths[ice->path_next] = *path;
        ice->path_next = (ice->path_next + 1) % ICE_PATHS;
        if (ice->path_count < ICE_PATHS) ice->path_count++;
    }
    if (!nominate && ice->nominated) return;
    ice->active = *path;
    ice->nominated = ice->nominated || nominate;
}

/* USERNAME is "our ufrag:their ufrag" (RFC 8445 7.2.2). */
static bool ice_username(const struct ice *ice, struct span username) {
    struct span ours = text_cut(&username, ':');
    return text_is(ours, ice->ufrag) && text_is(username, ice->peer_ufrag);
}

/* A binding request or indication for this agent. reply may stay empty. */
static enum drop ice_input(struct ice *ice, const struct path *path, struct span s, const struct stun_msg *m,
                           int64_t now, struct wr *reply) {
    struct span key = text_of(ice->pwd);
    if (m->type == STUN_INDICATION) return DROP_NONE; /* a keep-alive (RFC 8445 11): no answer, no consent */
    if (m->type != STUN_BINDING) return DROP_STUN_METHOD;
    /* RFC 8489 9.1.3: 400 without credentials, 401 when they are wrong; neither is signed */
    if (!m->username.p || !m->integrity.p) {
        stun_refuse(reply, m, 400, base_span(NULL, 0));
        return DROP_STUN_NO_CREDENTIALS;
    }
    if (!ice_username(ice, m->username) || !stun_authentic(s, m, key)) {
        stun_refuse(reply, m, 401, base_span(NULL, 0));
        return ice_username(ice, m->username) ? DROP_STUN_INTEGRITY : DROP_STUN_USERNAME;
    }
    if (m->unknown_count) { /* RFC 8489 6.3.1 */
        stun_refuse(reply, m, 420, key);
        return DROP_STUN_ATTRIBUTE;
    }
    /* RFC 8445 6.1.1: the lite agent is controlled, always. RFC 8445 7.3.1.1: a second controlled agent is told so. */
    if (m->controlled) {
        stun_refuse(reply, m, 487, key);
        return DROP_ICE_ROLE;
    }
    ice_prove(ice, path, m->use_candidate);
    if (base_path_same(path, &ice->active)) ice->heard = now; /* RFC 7675 5.1: consent is for one path */
    stun_begin(reply, STUN_SUCCESS, m->id);
    stun_put_mapped(reply, path->remote);
    stun_finish(reply, key);
    return DROP_NONE;
}

/* ==== 7 dtls ================================================================
 * DTLS 1.2 (RFC 6347) by mbedTLS, datagram in, datagrams out; the fingerprint check (RFC 8122), the use_srtp keys
 * (RFC 5764). As the active side in general; as the passive side behind a re-assembly of the ClientHello, because
 * browsers send one of 1.4 KB in two fragments, which mbedTLS before 3.6.6 refuses.
 * no I/O; mbedTLS allocates; uses base, bytes, text, crypt
 */
enum dtls_sizes {
    DTLS_RESEND = 50,      /* ms before a flight is sent again, doubled each time, */
    DTLS_RESEND_MAX = 400, /* up to this */
    DTLS_HELLO = 4096,     /* bound on a re-assembled ClientHello; browsers send 1.5 KB */
    DTLS_KEYS = 60,        /* two keys of 16 bytes, two salts of 14 (RFC 5764 4.2) */
    DTLS_RECORD = 13,
    DTLS_HANDSHAKE_HEADER = 12, /* RFC 6347 4.1, 4.2.2 */
    DTLS_FINGERPRINT = 3 * 32   /* "AB:CD:...": sha-256 in text with its NUL */
};

/* One per instance: the key, its self-signed certificate, the settings of both roles. */
struct dtls_home {
    struct crypt *crypt;
    mbedtls_pk_context key;
    mbedtls_x509_crt cert;
    mbedtls_ssl_config role[2]; /* MBEDTLS_SSL_IS_CLIENT 0, MBEDTLS_SSL_IS_SERVER 1 */
    char fingerprint[DTLS_FINGERPRINT];
    struct dtls *turn; /* whose handshake runs: 2.28 exports keys per configuration, not per connection */
};

enum dtls_state { DTLS_IDLE, DTLS_HANDSHAKING, DTLS_READY, DTLS_CLOSED, DTLS_FAILED };

struct dtls {
    struct dtls_home *home;
    enum dtls_state state;
    const char *why; /* a sentence when FAILED */
    bool server;
    mbedtls_md_type_t peer_hash; /* the offer's a=fingerprint */
    uint8_t peer_print[CRYPT_HASH_MAX];
    mbedtls_ssl_context ssl;
    struct span datagram; /* what mbedTLS reads next; empty: nothing there */
    struct emit out;
    struct path path;
    int64_t now, half_time, full_time; /* the handshake's two timers (mbedtls_ssl_set_timer_cb); full_time 0: off */
    uint8_t keys[DTLS_KEYS];
    bool have_keys;
    struct { /* the ClientHello under re-assembly */
        uint16_t seq;
        size_t length; /* 0: none begun */
        uint8_t seen[DTLS_HELLO / 8];
        uint8_t record[DTLS_RECORD + DTLS_HANDSHAKE_HEADER + DTLS_HELLO];
    } hello;
};

/* RFC 5764 4.2: client key, server key, client salt, server salt from the exporter of RFC 5705. */
static void dtls_derive(struct dtls *d, mbedtls_tls_prf_types prf, const uint8_t *master, const uint8_t *client_random,
                        const uint8_t *server_random) {
    uint8_t random[64];
    memcpy(random, client_random, 32);
    memcpy(random + 32, server_random, 32);
    d->have_keys =
        !mbedtls_ssl_tls_prf(prf, master, 48, "EXTRACTOR-dtls_srtp", random, sizeof random, d->keys, sizeof d->keys);
    crypt_wipe(random, sizeof random);
}

#if MBEDTLS_VERSION_MAJOR >= 3
static void dtls_export(void *to, mbedtls_ssl_key_export_type type, const uint8_t *secret, size_t n,
                        const uint8_t client_random[32], const uint8_t server_random[32], mbedtls_tls_prf_types prf) {
    if (type == MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET && n == 48)
        dtls_derive(to, prf, secret, client_random, server_random);
}
#else
static int dtls_export(void *to, const uint8_t *master, const uint8_t *block, size_t mac, size_t key, size_t iv,
                       const uint8_t client_random[32], const uint8_t server_random[32], mbedtls_tls_prf_types prf) {
    struct dtls_home *home = to;
    (void)block, (void)mac, (void)key, (void)iv;
    dtls_derive(home->turn, prf, master, client_random, server_random);
    return 0;
}
#endif

static int dtls_make_certificate(struct dtls_home *h) {
    uint8_t der[1024], serial[16];
    mbedtls_x509write_cert w;
    mbedtls_x509write_crt_init(&w);
    crypt_random(h->crypt, serial, sizeof serial);
    serial[0] &= 0x7f; /* RFC 5280 4.1.2.2: positive */
    serial[0] |= 0x40;
    int rc = mbedtls_pk_setup(&h->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (!rc)
        rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(h->key), mbedtls_ctr_drbg_random,
                                 &h->crypt->drbg);
    mbedtls_x509write_crt_set_subject_key(&w, &h->key);
    mbedtls_x509write_crt_set_issuer_key(&w, &h->key);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    if (!rc) rc = mbedtls_x509write_crt_set_subject_name(&w, "CN=webrtc_cam");
    if (!rc) rc = mbedtls_x509write_crt_set_issuer_name(&w, "CN=webrtc_cam");
    /* WebRTC trusts the fingerprint, nobody checks the dates (RFC 8827 6.5); a device's clock may be wrong. */
    if (!rc) rc = mbedtls_x509write_crt_set_validity(&w, "20000101000000", "20491231235959");
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    if (!rc) rc = mbedtls_x509write_crt_set_serial_raw(&w, serial, sizeof serial);
#else
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    if (!rc) rc = mbedtls_mpi_read_binary(&number, serial, sizeof serial);
    if (!rc) rc = mbedtls_x509write_crt_set_serial(&w, &number);
    mbedtls_mpi_free(&number);
#endif
    int n = rc ? rc : mbedtls_x509write_crt_der(&w, der, sizeof der, mbedtls_ctr_drbg_random, &h->crypt->drbg);
    mbedtls_x509write_crt_free(&w);
    /* the DER stands at the end of the buffer */
    return n < 0 ? n : mbedtls_x509_crt_parse_der(&h->cert, der + sizeof der - n, (size_t)n);
}

static int dtls_configure(struct dtls_home *h, int role) {
    static const mbedtls_ssl_srtp_profile profiles[] = {MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80,
                                                        MBEDTLS_TLS_SRTP_UNSET};
    mbedtls_ssl_config *conf = &h->role[role];
    int rc = mbedtls_ssl_config_defaults(conf, role, MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (!rc) rc = mbedtls_ssl_conf_own_cert(conf, &h->cert, &h->key);
    if (!rc) rc = mbedtls_ssl_conf_dtls_srtp_protection_profiles(conf, profiles);
    mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, &h->crypt->drbg);
    /* The chain is not checked, the fingerprint is: dtls_verify. */
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
    /* RFC 6347 4.2.4.1 recommends 1 s to begin with; RFC 9147 5.8.2 lets real-time applications start lower. At the maximum
     * mbedTLS would give up: dtls_set_timer bounds the time, and the viewer's own deadline ends the handshake. */
    mbedtls_ssl_conf_handshake_timeout(conf, DTLS_RESEND, INT32_MAX);
#if MBEDTLS_VERSION_MAJOR >= 3 /* DTLS 1.2 and nothing else (RFC 8827 6.5) */
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_export_keys_ext_cb(conf, dtls_export, h);
#endif
#if defined(MBEDTLS_SSL_DTLS_HELLO_VERIFY) && defined(MBEDTLS_SSL_SRV_C)
    /* No cookie exchange (RFC 6347 4.2.1): the address has passed an authenticated STUN check already. */
    if (role == MBEDTLS_SSL_IS_SERVER) mbedtls_ssl_conf_dtls_cookies(conf, NULL, NULL, NULL);
#endif
    return rc;
}

/* 0 or mbedTLS's error. The home stays where it is: connections point to it. */
static int dtls_home_open(struct dtls_home *h, struct crypt *crypt) {
    uint8_t hash[CRYPT_HASH_MAX];
    memset(h, 0, sizeof *h);
    h->crypt = crypt;
    mbedtls_pk_init(&h->key);
    mbedtls_x509_crt_init(&h->cert);
    mbedtls_ssl_config_init(&h->role[0]);
    mbedtls_ssl_config_init(&h->role[1]);
    int rc = dtls_make_certificate(h);
    if (!rc) rc = dtls_configure(h, MBEDTLS_SSL_IS_CLIENT);
    if (!rc) rc = dtls_configure(h, MBEDTLS_SSL_IS_SERVER);
    size_t n = rc ? 0 : crypt_hash(MBEDTLS_MD_SHA256, base_span(h->cert.raw.p, h->cert.raw.len), hash);
    struct wr w = bytes_wr(h->fingerprint, sizeof h->fingerprint);
    for (size_t i = 0; i < n; i++) text_putf(&w, i ? ":%02X" : "%02X", hash[i]);
    return rc ? rc : n ? 0 : -1;
}

static void dtls_home_close(struct dtls_home *h) {
    mbedtls_ssl_config_free(&h->role[0]);
    mbedtls_ssl_config_free(&h->role[1]);
    mbedtls_x509_crt_free(&h->cert);
    mbedtls_pk_free(&h->key);
}

static int dtls_send(void *to, const uint8_t *p, size_t n) {
    struct dtls *d = to;
    d->out.send(d->out.to, &d->path, p, n);
    return (int)n;
}

static int dtls_recv(void *from, uint8_t *p, size_t cap) {
    struct dtls *d = from;
    size_t n = d->datagram.n < cap ? d->datagram.n : cap;
    if (!n) return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(p, d->datagram.p, n);
    d->datagram.n = 0;
    return (int)n;
}

static void dtls_set_timer(void *to, uint32_t half_ms, uint32_t full_ms) {
    struct dtls *d = to;
    if (full_ms > DTLS_RESEND_MAX) half_ms = full_ms = DTLS_RESEND_MAX;
    d->half_time = d->now + half_ms * BASE_MS;
    d->full_time = full_ms ? d->now + full_ms * BASE_MS : 0;
}

static int dtls_get_timer(void *from) {
    struct dtls *d = from;
    if (!d->full_time) return -1;
    return d->now >= d->full_time ? 2 : d->now >= d->half_time ? 1 : 0;
}

/* mbedTLS takes the hash of an SDP fingerprint line: "sha-256 AB:CD:..." (RFC 8122 5). false: not one we can check. */
static bool dtls_read_fingerprint(struct span line, mbedtls_md_type_t *kind, uint8_t hash[CRYPT_HASH_MAX]) {
    static const struct {
        const char *name;
        mbedtls_md_type_t kind;
        size_t n;
    } known[] = {
        {"sha-256", MBEDTLS_MD_SHA256, 32}, {"sha-384", MBEDTLS_MD_SHA384, 48}, {"sha-512", MBEDTLS_MD_SHA512, 64}};
    struct span name = text_word(&line);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (!text_like(name, known[k].name) || line.n != known[k].n * 3 - 1) continue;
        for (size_t i = 0; i < known[k].n; i++) {
            uint32_t v;
            if (!text_hex(text_cut(&line, ':'), &v) || v > 255) return false;
            hash[i] = (uint8_t)v;
        }
        *kind = known[k].kind;
        return true;
    }
    return false;
}

/* d is zeroed storage that stays where it is until dtls_close. */
static int dtls_open(struct dtls *d, struct dtls_home *home, bool server, struct emit out) {
    d->home = home;
    d->server = server;
    d->out = out;
    mbedtls_ssl_init(&d->ssl);
    int rc = mbedtls_ssl_setup(&d->ssl, &home->role[server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT]);
    if (rc) return rc;
    mbedtls_ssl_set_bio(&d->ssl, d, dtls_send, dtls_recv, NULL);
    mbedtls_ssl_set_timer_cb(&d->ssl, d, dtls_set_timer, dtls_get_timer);
    mbedtls_ssl_set_mtu(&d->ssl, BASE_DATAGRAM);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_set_export_keys_cb(&d->ssl, dtls_export, d);
#endif
    return mbedtls_ssl_set_hostname(&d->ssl, NULL);
}

static void dtls_fail(struct dtls *d, const char *why) {
    d->state = DTLS_FAILED;
    d->why = why;
}

/* RFC 8827 6.5: the certificate must be the one whose fingerprint the signaling carried, or nothing is sent. */
static bool dtls_verify(const struct dtls *d) {
    uint8_t hash[CRYPT_HASH_MAX];
    const mbedtls_x509_crt *cert = mbedtls_ssl_get_peer_cert(&d->ssl);
    size_t n = cert ? crypt_hash(d->peer_hash, base_span(cert->raw.p, cert->raw.len), hash) : 0;
    return n && crypt_same(hash, d->peer_print, n);
}

static void dtls_finish(struct dtls *d) {
    mbedtls_dtls_srtp_info srtp;
    mbedtls_ssl_get_dtls_srtp_negotiation_result(&d->ssl, &srtp);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_srtp_profile profile = srtp.MBEDTLS_PRIVATE(chosen_dtls_srtp_profile);
#else
    mbedtls_ssl_srtp_profile profile = srtp.chosen_dtls_srtp_profile;
#endif
    if (!dtls_verify(d)) {
        mbedtls_ssl_send_alert_message(&d->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
        dtls_fail(d, "the browser's certificate is not the one its offer announced");
    } else if (profile != MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80)
        dtls_fail(d, "the browser did not agree to SRTP_AES128_CM_HMAC_SHA1_80");
    else if (!d->have_keys) dtls_fail(d, "mbedTLS exported no keys");
    else d->state = DTLS_READY;
}

/* Lets mbedTLS work on what is there: the datagram, or a timer that ran out. */
static void dtls_step(struct dtls *d) {
    uint8_t sink[256];
    int rc = 0;
    d->home->turn = d;
    if (d->state == DTLS_HANDSHAKING) {
        rc = mbedtls_ssl_handshake(&d->ssl);
        if (!rc) dtls_finish(d);
    }
    while (d->state == DTLS_READY && (rc = mbedtls_ssl_read(&d->ssl, sink, sizeof sink)) > 0) continue;
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ||
        (rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE && d->state == DTLS_READY))
        d->state = DTLS_CLOSED;
    else if (rc == MBEDTLS_ERR_SSL_TIMEOUT) dtls_fail(d, "the encryption handshake got no answer");
    else if (rc && rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE && d->state == DTLS_HANDSHAKING)
        dtls_fail(d, "the encryption handshake failed");
}

/* Begins to shake hands over path, which an authenticated check has proven. */
static void dtls_start(struct dtls *d, const struct path *path, int64_t now) {
    if (d->state != DTLS_IDLE) return;
    d->state = DTLS_HANDSHAKING;
    d->path = *path;
    d->now = now;
    dtls_step(d);
}

/* Takes one fragment of a ClientHello record (RFC 6347 4.2.3):
 *   type 22, version 2, epoch 2 (0), sequence 6, length 2 | msg 1, length 3, message_seq 2, offset 3, fragment length 3
 * Returns the whole as one record once every byte is there, else an empty span. */
static struct span dtls_gather(struct dtls *d, struct span record) {
    struct rd r = bytes_rd(record);
    bytes_take(&r, DTLS_RECORD + 1);
    size_t length = bytes_r24(&r);
    uint16_t seq = bytes_r16(&r);
    size_t at = bytes_r24(&r), n = bytes_r24(&r);
    struct span part = bytes_take(&r, n);
    struct span none = base_span(record.p, 0);
    if (r.bad || bytes_left(&r) || !n || length > DTLS_HELLO || at + n > length) return none;
    if (d->hello.length != length || d->hello.seq != seq) {
        memset(d->hello.seen, 0, sizeof d->hello.seen);
        d->hello.length = length;
        d->hello.seq = seq;
    }
    uint8_t *body = d->hello.record + DTLS_RECORD + DTLS_HANDSHAKE_HEADER;
    memcpy(body + at, part.p, n);
    for (size_t i = at; i < at + n; i++) d->hello.seen[i / 8] |= (uint8_t)(1 << i % 8);
    for (size_t i = 0; i < length; i++)
        if (!(d->hello.seen[i / 8] >> i % 8 & 1)) return none;
    struct wr w = bytes_wr(d->hello.record, DTLS_RECORD + DTLS_HANDSHAKE_HEADER);
    bytes_put(&w, record.p, 11); /* the last fragment's record number */
    bytes_w16(&w, (unsigned)(DTLS_HANDSHAKE_HEADER + length));
    bytes_w8(&w, record.p[DTLS_RECORD]);
    bytes_w24(&w, (uint32_t)length);
    bytes_w16(&w, seq);
    bytes_w24(&w, 0);
    bytes_w24(&w, (uint32_t)length);
    d->hello.length = 0;
    return base_span(d->hello.record, DTLS_RECORD + DTLS_HANDSHAKE_HEADER + length);
}

/* A fragment of a ClientHello: handshake record of epoch 0, message type 1, shorter than the whole. */
static bool dtls_is_hello_fragment(struct span s) {
    struct rd r = bytes_rd(s);
    uint8_t type = bytes_r8(&r);
    bytes_take(&r, 2);
    uint16_t epoch = bytes_r16(&r);
    bytes_take(&r, 6);
    size_t record = bytes_r16(&r);
    uint8_t message = bytes_r8(&r);
    size_t length = bytes_r24(&r);
    bytes_take(&r, 5);
    size_t part = bytes_r24(&r);
    return !r.bad && type == 22 && epoch == 0 && message == 1 && part != length && record + DTLS_RECORD == s.n;
}

/* One datagram from a proven path. */
static enum drop dtls_input(struct dtls *d, struct span s, int64_t now) {
    struct rd r = bytes_rd(s);
    if (d->state != DTLS_HANDSHAKING && d->state != DTLS_READY) return DROP_DTLS_EARLY;
    bytes_take(&r, 11);
    if (bytes_r16(&r) > bytes_left(&r) || r.bad) return DROP_DTLS_RECORD;
    if (d->server && d->state == DTLS_HANDSHAKING && dtls_is_hello_fragment(s)) {
        size_t before = d->hello.length;
        s = dtls_gather(d, s);
        if (!s.n) return d->hello.length || before ? DROP_NONE : DROP_DTLS_FRAGMENT;
    }
    d->now = now;
    d->datagram = s;
    dtls_step(d);
    d->datagram.n = 0;
    return d->state == DTLS_FAILED ? DROP_DTLS_HANDSHAKE : DROP_NONE;
}

static int64_t dtls_tick(struct dtls *d, int64_t now) {
    d->now = now;
    if (d->state == DTLS_HANDSHAKING && d->full_time && now >= d->full_time) dtls_step(d);
    return d->state == DTLS_HANDSHAKING && d->full_time ? d->full_time : BASE_NEVER;
}

/* Says goodbye (close_notify) when there is someone to say it to. Idempotent; wipes the keys. */
static void dtls_close(struct dtls *d, int64_t now) {
    if (!d->home) return;
    d->now = now;
    d->home->turn = d;
    if (d->state == DTLS_READY) mbedtls_ssl_close_notify(&d->ssl);
    mbedtls_ssl_free(&d->ssl);
    crypt_wipe(d->keys, sizeof d->keys);
    d->have_keys = false;
    d->home = NULL;
    d->state = DTLS_CLOSED;
}

/* ==== 8 seal ================================================================
 * SRTP and SRTCP (RFC 3711) by libsrtp2, AES128_CM_HMAC_SHA1_80.
 * no I/O; libsrtp2 allocates; uses crypt, dtls
 */
enum seal_sizes {
    SEAL_TAG = 10,         /* the authentication tag of SRTP */
    SEAL_WINDOW = 2048,    /* packets back that can still be repeated; browsers ask for the last 1,000 */
    SEAL_ROOM = 10 + 4 + 4 /* SRTCP: tag, index; and a word of slack */
};

struct seal {
    srtp_t out, in;
};

static void seal_close(struct seal *s) {
    if (s->out) srtp_dealloc(s->out);
    if (s->in) srtp_dealloc(s->in);
    s->out = s->in = NULL;
}

static bool seal_make(srtp_t *to, srtp_ssrc_type_t direction, const uint8_t *key, const uint8_t *salt) {
    uint8_t both[30];
    srtp_policy_t policy;
    memset(&policy, 0, sizeof policy);
    memcpy(both, key, 16);
    memcpy(both + 16, salt, 14);
    srtp_crypto_policy_set_rtp_default(&policy.rtp);
    srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
    policy.ssrc.type = direction;
    policy.key = both;
    policy.window_size = SEAL_WINDOW;
    policy.allow_repeat_tx = 1; /* sender_repair resends such packets byte by byte the same, or not at all */
    bool ok = srtp_create(to, &policy) == srtp_err_status_ok;
    crypt_wipe(both, sizeof both);
    return ok;
}

/* keys as RFC 5764 4.2 lays them out: client key, server key, client salt, server salt. */
static bool seal_open(struct seal *s, const uint8_t keys[DTLS_KEYS], bool we_are_server) {
    const uint8_t *client_salt = keys + 32, *server_salt = keys + 46;
    bool ok =
        seal_make(&s->out, ssrc_any_outbound, keys + (we_are_server ? 16 : 0),
                  we_are_server ? server_salt : client_salt) &&
        seal_make(&s->in, ssrc_any_inbound, keys + (we_are_server ? 0 : 16), we_are_server ? client_salt : server_salt);
    if (!ok) seal_close(s);
    return ok;
}

/* Both encrypt in place; SEAL_ROOM bytes must be free behind *n. */
static bool seal_rtp(struct seal *s, uint8_t *p, size_t *n) {
    int length = (int)*n;
    if (!s->out || srtp_protect(s->out, p, &length) != srtp_err_status_ok) return false;
    *n = (size_t)length;
    return true;
}

static bool seal_rtcp(struct seal *s, uint8_t *p, size_t *n) {
    int length = (int)*n;
    if (!s->out || srtp_protect_rtcp(s->out, p, &length) != srtp_err_status_ok) return false;
    *n = (size_t)length;
    return true;
}

/* Checks the tag and the replay window, then decrypts in place. */
static bool seal_unrtcp(struct seal *s, uint8_t *p, size_t *n) {
    int length = (int)*n;
    if (!s->in || *n < 8 || srtp_unprotect_rtcp(s->in, p, &length) != srtp_err_status_ok) return false;
    *n = (size_t)length;
    return true;
}

/* ==== 9 sdp =================================================================
 * Reads an offer (RFC 8866, 9429) and writes the answer: one H.264 video section, sendonly, and one for sound where there
 * may be some; what cannot be served gets port 0 in its own section and leaves the others alone.
 * pure; uses base, bytes, text
 */
enum sdp_limits { SDP_SECTIONS = 16, SDP_CODECS = 64, SDP_LINE = 4096, SDP_FEEDBACKS = 4 };
enum sdp_setup { SDP_ACTPASS, SDP_ACTIVE, SDP_PASSIVE };
enum sdp_direction { SDP_SENDRECV, SDP_RECVONLY, SDP_SENDONLY, SDP_INACTIVE };
enum sdp_feedback { SDP_NACK = 1, SDP_PLI = 2, SDP_FIR = 4, SDP_REMB = 8 };
static const char *const sdp_feedbacks[] = {"nack", "nack pli", "ccm fir", "goog-remb"}; /* for each bit */

/* One payload type of a section. */
struct sdp_codec {
    uint8_t pt, apt; /* apt: what an rtx type repairs */
    bool h264, rtx;
    enum base_sounds sound;
    uint8_t mode;     /* packetization-mode; missing means 0 (RFC 6184 8.1) */
    uint32_t profile; /* profile-level-id; missing means 42000a (RFC 6184 8.1) */
    unsigned feedback;
};

/* What may stand at session level, or in a section and then counts more. */
struct sdp_transport {
    struct span ufrag, pwd, fingerprint; /* fingerprint: the first line whose hash can be checked */
    enum sdp_setup setup;
    bool has_setup;
};

struct sdp_section {
    struct span kind, protocol, format, mid; /* format: the first of the m= line, for a refusal */
    struct sdp_transport transport;
    enum sdp_direction direction;
    bool receiver_rtt;                /* a=rtcp-xr:rcvr-rtt: the receiver wants to know the round trip (RFC 3611 5.1) */
    bool offered, mux, rsize;         /* offered: the port was not 0, or a=bundle-only says why it is (RFC 9143 6) */
    int abs_send_time, playout_delay; /* header extension ids 1..14, 0: none */
    bool abs_send_time_oneway, playout_delay_oneway; /* offered as recvonly: to be answered as sendonly (RFC 8285 7) */
    int codec_count;
    struct sdp_codec codec[SDP_CODECS];
};

struct sdp_offer {
    struct sdp_transport transport;
    enum sdp_direction direction;
    struct span bundle; /* the mids of the first BUNDLE group */
    bool mixed;         /* extmap-allow-mixed */
    int count;
    struct sdp_section section[SDP_SECTIONS];
};

static struct sdp_codec *sdp_codec_of(struct sdp_section *s, struct span pt) {
    uint64_t v;
    if (!text_uint(pt, 127, &v)) return NULL;
    for (int i = 0; i < s->codec_count; i++)
        if (s->codec[i].pt == v) return &s->codec[i];
    return NULL;
}

/* m=video 9 UDP/TLS/RTP/SAVPF 96 97 ... */
static bool sdp_media_line(struct sdp_offer *o, struct span line) {
    if (o->count == SDP_SECTIONS) return false;
    struct sdp_section *s = &o->section[o->count++];
    uint64_t port, pt;
    memset(s, 0, sizeof *s);
    s->kind = text_word(&line);
    struct span port_word = text_word(&line);
    port_word = text_cut(&port_word, '/'); /* a port count may follow */
    s->protocol = text_word(&line);
    s->direction = o->direction;
    struct span rest = line;
    s->format = text_word(&rest);
    if (!text_uint(port_word, 65535, &port) || !s->protocol.n || !s->format.n) return false;
    s->offered = port != 0;
    while (line.n && s->codec_count < SDP_CODECS) {
        if (!text_uint(text_word(&line), 127, &pt)) continue;
        struct sdp_codec *c = &s->codec[s->codec_count++];
        *c = (struct sdp_codec){.pt = (uint8_t)pt, .profile = 0x42000a};
        if (pt == 0) c->sound = BASE_PCMU; /* the static types of G.711 need no rtpmap (RFC 3551 6) */
        if (pt == 8) c->sound = BASE_PCMA;
    }
    return true;
}

/* a=fmtp:PT key=value;key=value (blanks anywhere, keys in any case and order) */
static void sdp_fmtp(struct sdp_section *s, struct span line) {
    struct sdp_codec *c = sdp_codec_of(s, text_word(&line));
    while (c && line.n) {
        struct span value = text_trim(text_cut(&line, ';'));
        struct span key = text_trim(text_cut(&value, '='));
        uint64_t number;
        uint32_t hex;
        value = text_trim(value);
        if (text_like(key, "packetization-mode") && text_uint(value, 2, &number)) c->mode = (uint8_t)number;
        else if (text_like(key, "apt") && text_uint(value, 127, &number)) c->apt = (uint8_t)number;
        else if (text_like(key, "profile-level-id") && value.n == 6 && text_hex(value, &hex)) c->profile = hex;
    }
}

static void sdp_rtpmap(struct sdp_section *s, struct span line) {
    struct sdp_codec *c = sdp_codec_of(s, text_word(&line));
    if (!c) return;
    c->h264 = text_like(text_trim(line), "H264/90000");
    c->rtx = text_like(text_trim(line), "rtx/90000");
    struct span rate = text_trim(line), name = text_cut(&rate, '/');
    uint64_t hertz = 0;
    c->sound = BASE_SILENT;
    text_uint(text_cut(&rate, '/'), 192000, &hertz);
    for (int i = 1; i < BASE_SOUNDS; i++)
        if (text_like(name, base_sound[i].name) && hertz == base_sound[i].rate) c->sound = (enum base_sounds)i;
}

/* a=rtcp-fb:PT what, where PT may be * (RFC 4585 4.2) */
static void sdp_rtcp_fb(struct sdp_section *s, struct span line) {
    struct span pt = text_word(&line), what = text_trim(line);
    struct sdp_codec *one = sdp_codec_of(s, pt);
    unsigned bit = 0;
    for (int i = 0; i < SDP_FEEDBACKS; i++)
        if (text_is(what, sdp_feedbacks[i])) bit = 1u << i;
    for (int i = 0; i < s->codec_count; i++)
        if (&s->codec[i] == one || text_is(pt, "*")) s->codec[i].feedback |= bit;
}

/* a=extmap:ID[/direction] URI (RFC 8285 5); ids above 14 need the two-byte form, which is not worth its bytes here. */
static void sdp_extmap(struct sdp_section *s, struct span line) {
    struct span id = text_word(&line);
    struct span number = text_cut(&id, '/');
    struct span uri = text_word(&line);
    uint64_t v;
    if (!text_uint(number, 14, &v) || !v || text_is(id, "sendonly") || text_is(id, "inactive")) return;
    bool oneway = text_is(id, "recvonly");
    if (text_is(uri, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"))
        s->abs_send_time = (int)v, s->abs_send_time_oneway = oneway;
    if (text_is(uri, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"))
        s->playout_delay = (int)v, s->playout_delay_oneway = oneway;
}

static bool sdp_checkable(struct span fingerprint) {
    struct span hash = text_word(&fingerprint);
    return text_like(hash, "sha-256") || text_like(hash, "sha-384") || text_like(hash, "sha-512");
}

static bool sdp_transport_line(struct sdp_transport *t, struct span line) {
    if (text_after(&line, "ice-ufrag:")) t->ufrag = text_trim(line);
    else if (text_after(&line, "ice-pwd:")) t->pwd = text_trim(line);
    else if (text_after(&line, "fingerprint:")) {
        if (!t->fingerprint.n && sdp_checkable(line)) t->fingerprint = line;
    } else if (text_after(&line, "setup:")) {
        line = text_trim(line);
        t->has_setup = text_is(line, "actpass") || text_is(line, "active") || text_is(line, "passive");
        t->setup = text_is(line, "active") ? SDP_ACTIVE : text_is(line, "passive") ? SDP_PASSIVE : SDP_ACTPASS;
    } else return false;
    return true;
}

static bool sdp_direction_line(enum sdp_direction *d, struct span line) {
    static const char *const names[] = {"sendrecv", "recvonly", "sendonly", "inactive"};
    for (int i = 0; i < 4; i++)
        if (text_is(line, names[i])) return *d = (enum sdp_direction)i, true;
    return false;
}

static void sdp_attribute(struct sdp_offer *o, struct span line) {
    struct sdp_section *s = o->count ? &o->section[o->count - 1] : NULL;
    if (sdp_transport_line(s ? &s->transport : &o->transport, line)) return;
    if (sdp_direction_line(s ? &s->direction : &o->direction, line)) return;
    if (text_is(line, "extmap-allow-mixed")) o->mixed = true;
    else if (!s && !o->bundle.n && text_after(&line, "group:BUNDLE ")) o->bundle = line;
    else if (!s) return;
    else if (text_is(line, "bundle-only")) s->offered = true;
    else if (text_is(line, "rtcp-mux")) s->mux = true;
    else if (text_is(line, "rtcp-rsize")) s->rsize = true;
    else if (text_after(&line, "rtcp-xr:"))
        while (line.n) s->receiver_rtt = text_is(text_word(&line), "rcvr-rtt=all") || s->receiver_rtt;
    else if (text_after(&line, "mid:")) s->mid = text_trim(line);
    else if (text_after(&line, "rtpmap:")) sdp_rtpmap(s, line);
    else if (text_after(&line, "fmtp:")) sdp_fmtp(s, line);
    else if (text_after(&line, "rtcp-fb:")) sdp_rtcp_fb(s, line);
    else if (text_after(&line, "extmap:")) sdp_extmap(s, line);
}

static void sdp_inherit_from(struct sdp_transport *t, const struct sdp_transport *from) {
    if (!t->ufrag.n) t->ufrag = from->ufrag;
    if (!t->pwd.n) t->pwd = from->pwd;
    if (!t->fingerprint.n) t->fingerprint = from->fingerprint;
    if (!t->has_setup) t->setup = from->setup, t->has_setup = from->has_setup;
}

static bool sdp_bundled(const struct sdp_offer *o, const struct sdp_section *s) {
    struct span group = o->bundle;
    while (s->mid.n && group.n)
        if (text_same(text_word(&group), s->mid)) return true;
    return false;
}

/* What a section does not say for itself, the session level says; in a bundle, the section named first (RFC 9143 7). */
static void sdp_inherit(struct sdp_offer *o) {
    struct span rest = o->bundle, tag = text_word(&rest);
    const struct sdp_section *first = NULL;
    for (int i = 0; i < o->count; i++) {
        sdp_inherit_from(&o->section[i].transport, &o->transport);
        if (!first && tag.n && text_same(o->section[i].mid, tag)) first = &o->section[i];
    }
    for (int i = 0; i < o->count && first; i++)
        if (sdp_bundled(o, &o->section[i])) sdp_inherit_from(&o->section[i].transport, &first->transport);
}

/* 0, or -1 and why it is no offer. Spans point into text. */
static int sdp_read(struct span text, struct sdp_offer *o, const char **why) {
    *why = "the body is not SDP: it does not begin with v=0";
    memset(o, 0, offsetof(struct sdp_offer, section));
    if (!text_is(text_line(&text), "v=0")) return -1;
    *why = "the SDP has a line that is not of the form x=value, or one of over 4096 bytes";
    while (text.n) {
        struct span line = text_line(&text);
        if (!line.n && !text.n) break; /* a blank line at the end */
        if (line.n < 2 || line.p[1] != '=' || line.n > SDP_LINE || memchr(line.p, 0, line.n) ||
            memchr(line.p, '\r', line.n))
            return -1;
        char type = (char)line.p[0];
        line = base_span(line.p + 2, line.n - 2);
        if (type == 'm' && !sdp_media_line(o, line)) {
            *why = "the SDP has a malformed m= line, or more than 16 of them";
            return -1;
        }
        if (type == 'a') sdp_attribute(o, line);
    }
    *why = "the SDP has no m= line";
    sdp_inherit(o);
    return o->count ? 0 : -1;
}

/* How well a payload type fits: mode 1 first; then the stream's own profile, then the one that every browser takes.
 * DEVIATION: packetization-mode 0 allows single NAL unit packets only (RFC 6184 6.2); when nothing else is offered, its
 * payload type gets the same packets as the others, since browsers take them all the same. */
static int sdp_score(const struct sdp_codec *c, uint32_t profile) {
    if (!c->h264 || c->mode > 1) return 0;
    bool same = c->profile >> 16 == profile >> 16;
    /* constraint_set1 of Baseline: Constrained Baseline, 42e01f; any decoder of Main and High takes it */
    bool common = c->profile >> 8 == 0x42e0;
    return 1 + 16 * (c->mode == 1) + 4 * same + 2 * common;
}

static const struct sdp_codec *sdp_best(const struct sdp_section *s, uint32_t profile) {
    const struct sdp_codec *best = NULL;
    for (int i = 0; i < s->codec_count; i++)
        if (sdp_score(&s->codec[i], profile) > (best ? sdp_score(best, profile) : 0)) best = &s->codec[i];
    return best;
}

/* The retransmission format that repairs c (RFC 4588 8.6), or NULL. Without NACK nobody would ask for it. */
static const struct sdp_codec *sdp_rtx(const struct sdp_section *s, const struct sdp_codec *c) {
    for (int i = 0; i < s->codec_count && c->feedback & SDP_NACK; i++)
        if (s->codec[i].rtx && s->codec[i].apt == c->pt) return &s->codec[i];
    return NULL;
}

/* NULL when the section can carry our video, else why not. */
static const char *sdp_refusal(const struct sdp_section *s, uint32_t profile) {
    size_t ufrag = s->transport.ufrag.n, pwd = s->transport.pwd.n;
    if (!text_is(s->kind, "video")) return "the offer has no video section";
    if (!text_is(s->protocol, "UDP/TLS/RTP/SAVPF") && !text_is(s->protocol, "TCP/TLS/RTP/SAVPF"))
        return "the video section is not offered as UDP/TLS/RTP/SAVPF";
    if (s->direction == SDP_SENDONLY || s->direction == SDP_INACTIVE)
        return "the video section does not receive: offer recvonly or sendrecv";
    if (!sdp_best(s, profile)) return "the browser offered no H.264";
    if (!s->mux) return "the video section lacks a=rtcp-mux";
    if (ufrag < 4 || ufrag > 256 || pwd < 22) /* RFC 8839 5.4 */
        return "the offer lacks a=ice-ufrag and a=ice-pwd";
    if (!s->transport.fingerprint.n) return "the offer lacks an a=fingerprint of sha-256, sha-384 or sha-512";
    return s->offered ? NULL : "the video section is switched off by its port 0";
}

/* The section that gets our video, or -1 and why there is none. */
static int sdp_choose(const struct sdp_offer *o, uint32_t profile, const char **why) {
    *why = NULL;
    for (int i = 0; i < o->count; i++) {
        const char *reason = sdp_refusal(&o->section[i], profile);
        if (!reason) return i;
        if (!*why || text_is(o->section[i].kind, "video")) *why = reason;
    }
    return -1;
}

static const struct sdp_codec *sdp_sound(const struct sdp_section *s, enum base_sounds kind) {
    for (int i = 0; i < s->codec_count; i++)
        if (s->codec[i].sound == kind) return &s->codec[i];
    return NULL;
}

/* The section that can carry sound beside the chosen video, over the same transport; NULL: none. */
static const struct sdp_section *sdp_choose_sound(const struct sdp_offer *o, int video) {
    for (int i = 0; i < o->count && sdp_bundled(o, &o->section[video]); i++) {
        const struct sdp_section *s = &o->section[i];
        bool known = false, receives = s->direction == SDP_RECVONLY || s->direction == SDP_SENDRECV;
        for (int k = 1; k < BASE_SOUNDS; k++) known = known || sdp_sound(s, (enum base_sounds)k);
        bool same = text_same(s->protocol, o->section[video].protocol);
        if (text_is(s->kind, "audio") && same && known && receives && s->mux && s->offered && sdp_bundled(o, s))
            return s;
    }
    return NULL;
}

/* What the answer says of us. */
struct sdp_answer {
    int section;                     /* from sdp_choose */
    const struct sdp_section *sound; /* from sdp_choose_sound */
    uint32_t sound_ssrc;
    const struct sdp_codec *codec, *rtx; /* rtx: NULL when none is offered */
    uint64_t session;                    /* o= line */
    uint32_t ssrc, rtx_ssrc;
    const char *ufrag, *pwd, *fingerprint, *name, *cname;
    bool server; /* DTLS role */
    const struct wcam_addr *candidate;
    int candidates;
};

/* The answer to actpass is active: our ClientHello is small and saves half a round trip (RFC 8842 5.3). */
static bool sdp_we_serve(const struct sdp_section *s) { return s->transport.setup == SDP_ACTIVE; }

static void sdp_put_line(struct wr *w, const char *name, struct span value) {
    text_put(w, name);
    bytes_put(w, value.p, value.n);
    text_put(w, "\r\n");
}

static void sdp_put_refused(struct wr *w, const struct sdp_section *s) {
    text_put(w, "m=");
    bytes_put(w, s->kind.p, s->kind.n);
    text_put(w, " 0 "); /* RFC 3264 6: a refused stream has port 0 */
    bytes_put(w, s->protocol.p, s->protocol.n);
    sdp_put_line(w, " ", s->format);
    text_put(w, "c=IN IP4 0.0.0.0\r\n");
    if (s->mid.n) sdp_put_line(w, "a=mid:", s->mid);
    text_put(w, "a=inactive\r\n");
}

/* Host candidates (RFC 8839 5.1). Priority as RFC 8445 5.1.2.1 computes it: type 126, local preference by order,
 * IPv6 not above IPv4: the caller's order counts. */
static void sdp_put_candidates(struct wr *w, const struct sdp_answer *a) {
    for (int i = 0; i < a->candidates; i++) {
        text_putf(w, "a=candidate:%d 1 udp %u ", i + 1, 126u << 24 | (65535u - (unsigned)i) << 8 | 255u);
        text_put_ip(w, &a->candidate[i]);
        text_putf(w, " %u typ host\r\n", a->candidate[i].port);
    }
    text_put(w, "a=end-of-candidates\r\n");
}

static void sdp_put_codec(struct wr *w, const struct sdp_codec *c, const struct sdp_codec *rtx) {
    text_putf(w, "a=rtpmap:%u H264/90000\r\n", c->pt);
    text_putf(w, "a=fmtp:%u level-asymmetry-allowed=1;packetization-mode=%u;profile-level-id=%06x\r\n", c->pt, c->mode,
              (unsigned)c->profile);
    for (int i = 0; i < SDP_FEEDBACKS; i++)
        if (c->feedback & 1u << i) text_putf(w, "a=rtcp-fb:%u %s\r\n", c->pt, sdp_feedbacks[i]);
    if (rtx) text_putf(w, "a=rtpmap:%u rtx/90000\r\na=fmtp:%u apt=%u\r\n", rtx->pt, rtx->pt, c->pt);
}

static void sdp_put_extmap(struct wr *w, int id, bool oneway, const char *name) {
    text_putf(w, "a=extmap:%d%s http://www.webrtc.org/experiments/rtp-hdrext/%s\r\n", id, oneway ? "/sendonly" : "",
              name);
}

/* What every section of the bundle says alike. */
static void sdp_put_transport(struct wr *w, const struct sdp_section *s, const struct sdp_answer *a) {
    text_put(w, "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n");
    if (s->mid.n) sdp_put_line(w, "a=mid:", s->mid);
    text_put(w, "a=sendonly\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n");
    /* DEVIATION: RFC 8858 4.3 has rtcp-mux-only in offers alone, WHEP wants it in each bundled section */
    if (s->rsize) text_put(w, "a=rtcp-rsize\r\n");
    text_putf(w, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=ice-options:trickle ice2\r\n", a->ufrag, a->pwd);
    text_putf(w, "a=fingerprint:sha-256 %s\r\na=setup:%s\r\n", a->fingerprint, a->server ? "passive" : "active");
}

static void sdp_put_video(struct wr *w, const struct sdp_section *s, const struct sdp_answer *a) {
    text_put(w, "m=video 9 ");
    bytes_put(w, s->protocol.p, s->protocol.n);
    text_putf(w, " %u", a->codec->pt);
    if (a->rtx) text_putf(w, " %u", a->rtx->pt);
    sdp_put_transport(w, s, a);
    if (s->receiver_rtt) text_put(w, "a=rtcp-xr:rcvr-rtt=all\r\n"); /* RFC 3611 5.1 */
    if (s->abs_send_time && a->rtx) /* a plain resend repeats every byte: no time of sending may be in it */
        sdp_put_extmap(w, s->abs_send_time, s->abs_send_time_oneway, "abs-send-time");
    if (s->playout_delay) sdp_put_extmap(w, s->playout_delay, s->playout_delay_oneway, "playout-delay");
    sdp_put_codec(w, a->codec, a->rtx);
    text_putf(w, "a=msid:%s %s-video\r\n", a->name, a->name);
    if (a->rtx) text_putf(w, "a=ssrc-group:FID %u %u\r\n", (unsigned)a->ssrc, (unsigned)a->rtx_ssrc); /* RFC 5576 4.2 */
    text_putf(w, "a=ssrc:%u cname:%s\r\n", (unsigned)a->ssrc, a->cname);
    if (a->rtx) text_putf(w, "a=ssrc:%u cname:%s\r\n", (unsigned)a->rtx_ssrc, a->cname);
    sdp_put_candidates(w, a);
}

/* All formats that may come: which one it is, is known when the camera has been called. */
static void sdp_put_sound(struct wr *w, const struct sdp_section *s, const struct sdp_answer *a) {
    text_put(w, "m=audio 9 ");
    bytes_put(w, s->protocol.p, s->protocol.n);
    for (int i = 1; i < BASE_SOUNDS; i++) {
        const struct sdp_codec *c = sdp_sound(s, (enum base_sounds)i);
        if (c) text_putf(w, " %u", c->pt);
    }
    sdp_put_transport(w, s, a);
    for (int i = 1; i < BASE_SOUNDS; i++) {
        const struct sdp_codec *c = sdp_sound(s, (enum base_sounds)i);
        const char *channels = i == BASE_OPUS ? "/2" : "";
        if (c) text_putf(w, "a=rtpmap:%u %s/%u%s\r\n", c->pt, base_sound[i].name, base_sound[i].rate, channels);
    }
    /* the video's stream: the browser keeps lips and sound together */
    text_putf(w, "a=msid:%s %s-audio\r\n", a->name, a->name);
    text_putf(w, "a=ssrc:%u cname:%s\r\n", (unsigned)a->sound_ssrc, a->cname);
    sdp_put_candidates(w, a);
}

/* RFC 9143 7.3: the group names what was accepted of those that the offered group named, in its order. */
static void sdp_put_bundle(struct wr *w, const struct sdp_offer *o, const struct sdp_answer *a) {
    struct span group = o->bundle;
    bool any = false;
    while (group.n) {
        struct span mid = text_word(&group);
        bool ours = text_same(mid, o->section[a->section].mid) || (a->sound && text_same(mid, a->sound->mid));
        if (!ours || !mid.n) continue;
        text_put(w, any ? " " : "a=group:BUNDLE ");
        bytes_put(w, mid.p, mid.n);
        any = true;
    }
    if (any) text_put(w, "\r\n");
}

static bool sdp_write(struct wr *w, const struct sdp_offer *o, const struct sdp_answer *a) {
    text_putf(w, "v=0\r\no=- %llu 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", (unsigned long long)a->session);
    sdp_put_bundle(w, o, a);
    if (o->mixed) text_put(w, "a=extmap-allow-mixed\r\n");
    text_put(w, "a=ice-lite\r\n"); /* RFC 8839 5.3 */
    for (int i = 0; i < o->count; i++) {
        if (i == a->section) sdp_put_video(w, &o->section[i], a);
        else if (&o->section[i] == a->sound) sdp_put_sound(w, &o->section[i], a);
        else sdp_put_refused(w, &o->section[i]);
    }
    return !w->bad;
}

/* ==== 10 h264 ===============================================================
 * H.264 (ITU-T H.264): NAL units in a byte stream (Annex B), parameter sets (7.3.2), slice headers (7.3.3), and where
 * an access unit begins (7.4.1.2). Nothing is decoded.
 * pure; uses base
 */
enum h264_nal {
    H264_SLICE = 1,
    H264_PARTITION_A = 2,
    H264_PARTITION_C = 4,
    H264_IDR = 5,
    H264_SEI = 6,
    H264_SPS = 7,
    H264_PPS = 8,
    H264_AUD = 9
};
enum h264_limits {
    H264_CYCLE = 16, /* entries of a POC type 1 cycle that are kept; 7.4.2.1.1 allows 255, encoders use 1 or 2 */
    H264_RAW = 8192, /* bytes of parameter sets kept per stream; cameras need 40 */
    H264_SETS = 32,  /* how many of them */
    H264_SET_MAX = 1024,
    H264_SPS_IDS = 32,
    H264_PPS_IDS = 256, /* 7.4.2.1.1, 7.4.2.2 */
    H264_SIDE = 16384   /* width and height; level 6.2 allows 16,880 */
};

static unsigned h264_type(struct span nal) { return nal.n ? nal.p[0] & 31u : 0; }

/* Reads bits of an RBSP, stepping over the emulation prevention bytes (7.4.1). */
struct h264_bits {
    const uint8_t *p, *end;
    unsigned bit, zeros; /* bits used of *p; zero bytes in a row before it */
    bool bad;
};

static unsigned h264_bit(struct h264_bits *b) {
    if (b->p >= b->end) return b->bad = true, 0;
    unsigned v = *b->p >> (7 - b->bit) & 1;
    if (++b->bit < 8) return v;
    b->zeros = *b->p ? 0 : b->zeros + 1;
    b->bit = 0;
    b->p++;
    if (b->zeros >= 2 && b->p < b->end && *b->p == 3) b->p++, b->zeros = 0;
    return v;
}

static uint32_t h264_u(struct h264_bits *b, unsigned n) {
    uint32_t v = 0;
    while (n--) v = v << 1 | h264_bit(b);
    return v;
}

/* Exp-Golomb (9.1). */
static uint32_t h264_ue(struct h264_bits *b) {
    unsigned zeros = 0;
    while (!b->bad && !h264_bit(b))
        if (++zeros > 31) b->bad = true;
    return b->bad ? 0 : (uint32_t)((1ull << zeros) - 1 + h264_u(b, zeros));
}

static int32_t h264_se(struct h264_bits *b) {
    uint32_t v = h264_ue(b);
    return v & 1 ? (int32_t)(v / 2 + 1) : -(int32_t)(v / 2);
}

static struct h264_bits h264_rbsp(struct span nal) {
    return (struct h264_bits){nal.p + 1, nal.p + nal.n, 0, 0, !nal.n};
}

struct h264_sps {
    bool known;
    uint8_t profile, constraints, level;
    bool frame_mbs_only, delta_always_zero, separate_planes;
    uint8_t chroma_format, bit_depth;
    uint8_t frame_num_bits, poc_type, poc_lsb_bits, cycle; /* cycle: num_ref_frames_in_pic_order_cnt_cycle */
    int32_t poc_non_ref, poc_bottom, poc_ref[H264_CYCLE];  /* the offsets of POC type 1 */
    int width, height;
    uint32_t tick, time_scale; /* VUI timing; one frame lasts 2 * tick / time_scale s (E.2.1); 0: not said */
};

struct h264_pps {
    bool known;
    uint8_t sps;
    bool field_order;  /* bottom_field_pic_order_in_frame_present_flag */
    bool slice_groups; /* more than one: flexible macroblock ordering */
};

/* The parameter sets in force, parsed and as they came, so that they can precede every IDR. */
struct h264_sets {
    struct h264_sps sps[H264_SPS_IDS];
    struct h264_pps pps[H264_PPS_IDS];
    struct {
        uint16_t at, n;
        uint8_t type, id;
    } set[H264_SETS];
    int count;
    size_t raw_n;
    uint8_t raw[H264_RAW];
};

static bool h264_high(uint8_t profile) { /* 7.3.2.1.1: these carry chroma_format_idc and what follows */
    static const uint8_t high[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    return memchr(high, profile, sizeof high) != NULL;
}

static void h264_skip_scaling_lists(struct h264_bits *b, int lists) {
    for (int i = 0; i < lists; i++) {
        int last = 8, next = 8, size = i < 6 ? 16 : 64;
        bool present = h264_bit(b);
        for (int k = 0; present && k < size && !b->bad; k++) { /* 7.3.2.1.1.1 */
            if (next) next = (int)(((uint32_t)last + (uint32_t)h264_se(b)) & 255);
            if (next) last = next;
        }
    }
}

static void h264_read_chroma(struct h264_bits *b, struct h264_sps *s) {
    s->chroma_format = 1;
    s->bit_depth = 8;
    if (!h264_high(s->profile)) return;
    uint32_t format = h264_ue(b);
    if (format > 3) b->bad = true;
    s->chroma_format = (uint8_t)format;
    if (s->chroma_format == 3) s->separate_planes = h264_bit(b);
    uint32_t luma = h264_ue(b), chroma = h264_ue(b);
    if (luma > 6 || chroma > 6) b->bad = true;
    s->bit_depth = (uint8_t)(8 + (luma > chroma ? luma : chroma));
    h264_bit(b); /* qpprime_y_zero_transform_bypass_flag */
    if (h264_bit(b)) h264_skip_scaling_lists(b, s->chroma_format == 3 ? 12 : 8);
}

static void h264_read_poc(struct h264_bits *b, struct h264_sps *s) {
    uint32_t frame_num = h264_ue(b), type = h264_ue(b);
    if (frame_num > 12 || type > 2) b->bad = true;
    s->frame_num_bits = (uint8_t)(frame_num + 4);
    s->poc_type = (uint8_t)type;
    if (type == 0) {
        uint32_t lsb = h264_ue(b);
        if (lsb > 12) b->bad = true;
        s->poc_lsb_bits = (uint8_t)(lsb + 4);
    } else if (type == 1) {
        s->delta_always_zero = h264_bit(b);
        s->poc_non_ref = h264_se(b);
        s->poc_bottom = h264_se(b);
        uint32_t cycle = h264_ue(b);
        if (cycle > 255) b->bad = true;
        s->cycle = (uint8_t)cycle;
        for (uint32_t i = 0; i < cycle && !b->bad; i++) {
            int32_t offset = h264_se(b);
            if (i < H264_CYCLE) s->poc_ref[i] = offset;
        }
    }
}

static void h264_read_size(struct h264_bits *b, struct h264_sps *s) {
    uint32_t wide = h264_ue(b) + 1, high = h264_ue(b) + 1;
    s->frame_mbs_only = h264_bit(b);
    if (!s->frame_mbs_only) h264_bit(b);
    h264_bit(b); /* direct_8x8_inference_flag */
    if (b->bad || !wide || !high || wide > H264_SIDE / 16 || high > H264_SIDE / (s->frame_mbs_only ? 16 : 32)) {
        b->bad = true;
        return;
    }
    unsigned fields = s->frame_mbs_only ? 1 : 2;
    unsigned unit_x = s->chroma_format == 1 || s->chroma_format == 2 ? 2 : 1; /* 7.4.2.1.1: CropUnitX, CropUnitY */
    unsigned unit_y = (s->chroma_format == 1 ? 2 : 1) * fields;
    int64_t width = wide * 16, height = (int64_t)high * 16 * fields;
    if (h264_bit(b)) {
        int64_t x = (int64_t)h264_ue(b) + h264_ue(b), y = (int64_t)h264_ue(b) + h264_ue(b);
        width -= x * unit_x;
        height -= y * unit_y;
    }
    if (width <= 0 || height <= 0) b->bad = true;
    s->width = (int)width;
    s->height = (int)height;
}

/* E.1.1 up to the timing. A VUI that breaks off costs the timing, not the stream. */
static void h264_read_vui(struct h264_bits *b, struct h264_sps *s) {
    if (!h264_bit(b)) return;
    if (h264_bit(b) && h264_u(b, 8) == 255) h264_u(b, 32); /* aspect_ratio_idc 255: Extended_SAR */
    if (h264_bit(b)) h264_bit(b);
    if (h264_bit(b)) { /* video_signal_type */
        h264_u(b, 4);
        if (h264_bit(b)) h264_u(b, 24);
    }
    if (h264_bit(b)) h264_ue(b), h264_ue(b);
    if (!h264_bit(b)) return;
    uint32_t tick = h264_u(b, 32), scale = h264_u(b, 32);
    if (b->bad || !tick || !scale) return;
    s->tick = tick;
    s->time_scale = scale;
}

static bool h264_read_sps(struct span nal, struct h264_sps *s, uint32_t *id) {
    struct h264_bits b = h264_rbsp(nal);
    memset(s, 0, sizeof *s);
    s->profile = (uint8_t)h264_u(&b, 8);
    s->constraints = (uint8_t)h264_u(&b, 8);
    s->level = (uint8_t)h264_u(&b, 8);
    *id = h264_ue(&b);
    h264_read_chroma(&b, s);
    h264_read_poc(&b, s);
    h264_ue(&b); /* max_num_ref_frames */
    h264_bit(&b);
    h264_read_size(&b, s);
    s->known = !b.bad && *id < H264_SPS_IDS;
    if (s->known) h264_read_vui(&b, s);
    return s->known;
}

static bool h264_read_pps(struct span nal, struct h264_pps *p, uint32_t *id) {
    struct h264_bits b = h264_rbsp(nal);
    *id = h264_ue(&b);
    uint32_t sps = h264_ue(&b);
    h264_bit(&b); /* entropy_coding_mode_flag */
    bool order = h264_bit(&b);
    bool groups = h264_ue(&b) > 0;
    bool ok = !b.bad && *id < H264_PPS_IDS && sps < H264_SPS_IDS;
    *p = (struct h264_pps){ok, (uint8_t)sps, order, groups};
    return ok;
}

static void h264_forget(struct h264_sets *t, int i) {
    size_t n = t->set[i].n, at = t->set[i].at;
    memmove(t->raw + at, t->raw + at + n, t->raw_n - at - n);
    t->raw_n -= n;
    t->count--;
    for (int k = i; k < t->count; k++) t->set[k] = t->set[k + 1], t->set[k].at = (uint16_t)(t->set[k].at - n);
}

enum h264_stored { H264_REFUSED, H264_SAME, H264_NEW };

/* Keeps a parameter set; a set of the same type and id is replaced. */
static enum h264_stored h264_store(struct h264_sets *t, struct span nal) {
    struct h264_sps sps;
    struct h264_pps pps;
    uint32_t id;
    uint8_t type = (uint8_t)h264_type(nal);
    bool ok = type == H264_SPS ? h264_read_sps(nal, &sps, &id) : h264_read_pps(nal, &pps, &id);
    if (!ok || nal.n > H264_SET_MAX) return H264_REFUSED;
    int old = -1;
    for (int i = 0; i < t->count; i++)
        if (t->set[i].type == type && t->set[i].id == id) old = i;
    size_t freed = old < 0 ? 0 : t->set[old].n;
    if (old >= 0 && freed == nal.n && !memcmp(t->raw + t->set[old].at, nal.p, nal.n)) return H264_SAME;
    if ((old < 0 && t->count == H264_SETS) || t->raw_n - freed + nal.n > H264_RAW) return H264_REFUSED;
    if (old >= 0) h264_forget(t, old);
    t->set[t->count].at = (uint16_t)t->raw_n;
    t->set[t->count].n = (uint16_t)nal.n;
    t->set[t->count].type = type;
    t->set[t->count++].id = (uint8_t)id;
    memcpy(t->raw + t->raw_n, nal.p, nal.n);
    t->raw_n += nal.n;
    if (type == H264_SPS) t->sps[id] = sps;
    else t->pps[id] = pps;
    return H264_NEW;
}

/* The fields of a slice header that tell pictures apart (7.4.1.2.4). */
struct h264_slice {
    bool known, idr, reference, field, bottom;
    uint8_t type; /* 0 P, 1 B, 2 I, 3 SP, 4 SI */
    uint32_t first_mb, pps, frame_num, idr_id, poc_lsb;
    int32_t delta[3]; /* delta_pic_order_cnt_bottom, delta_pic_order_cnt[0], [1] */
};

static bool h264_read_slice(const struct h264_sets *t, struct span nal, struct h264_slice *s) {
    struct h264_bits b = h264_rbsp(nal);
    *s = (struct h264_slice){.idr = h264_type(nal) == H264_IDR, .reference = nal.n && nal.p[0] & 0x60};
    s->first_mb = h264_ue(&b);
    s->type = (uint8_t)(h264_ue(&b) % 5);
    s->pps = h264_ue(&b);
    if (b.bad || s->pps >= H264_PPS_IDS || !t->pps[s->pps].known || !t->sps[t->pps[s->pps].sps].known) return false;
    const struct h264_pps *pps = &t->pps[s->pps];
    const struct h264_sps *sps = &t->sps[pps->sps];
    if (sps->separate_planes) h264_u(&b, 2);
    s->frame_num = h264_u(&b, sps->frame_num_bits);
    if (!sps->frame_mbs_only) s->field = h264_bit(&b);
    if (s->field) s->bottom = h264_bit(&b);
    if (s->idr) s->idr_id = h264_ue(&b);
    if (sps->poc_type == 0) {
        s->poc_lsb = h264_u(&b, sps->poc_lsb_bits);
        if (pps->field_order && !s->field) s->delta[0] = h264_se(&b);
    } else if (sps->poc_type == 1 && !sps->delta_always_zero) {
        s->delta[1] = h264_se(&b);
        if (pps->field_order && !s->field) s->delta[2] = h264_se(&b);
    }
    return s->known = !b.bad;
}

/* 7.4.1.2.4: b is of another primary coded picture than a. */
static bool h264_new_picture(const struct h264_slice *a, const struct h264_slice *b) {
    return a->frame_num != b->frame_num || a->pps != b->pps || a->field != b->field || a->bottom != b->bottom ||
           a->reference != b->reference || a->idr != b->idr || a->idr_id != b->idr_id || a->poc_lsb != b->poc_lsb ||
           memcmp(a->delta, b->delta, sizeof a->delta) != 0;
}

/* What decoding picture order counts remembers (8.2.1). */
struct h264_order {
    int64_t msb, lsb;               /* type 0: of the previous reference picture */
    int64_t frame_num, frame_cycle; /* types 1, 2: frame_num and FrameNumOffset of the previous picture */
};

/* 8.2.1.1. memory_management_control_operation 5, which resets the count like an IDR, is not looked for. */
static int64_t h264_poc_0(struct h264_order *o, const struct h264_sps *sps, const struct h264_slice *s) {
    int64_t max = 1LL << sps->poc_lsb_bits, lsb = s->poc_lsb, msb = o->msb;
    if (lsb < o->lsb && o->lsb - lsb >= max / 2) msb += max;
    else if (lsb > o->lsb && lsb - o->lsb > max / 2) msb -= max;
    if (s->reference) o->msb = msb, o->lsb = lsb;
    return msb + lsb + (s->delta[0] < 0 ? s->delta[0] : 0); /* of a frame: the lower one of its fields */
}

/* 8.2.1.2 */
static int64_t h264_poc_1(const struct h264_order *o, const struct h264_sps *sps, const struct h264_slice *s) {
    int64_t number = sps->cycle ? o->frame_cycle + s->frame_num : 0, sum = 0, expected = 0;
    if (!s->reference && number > 0) number--;
    for (int i = 0; i < sps->cycle && i < H264_CYCLE; i++) sum += sps->poc_ref[i];
    if (number > 0) {
        expected = (number - 1) / sps->cycle * sum;
        for (int64_t i = 0; i <= (number - 1) % sps->cycle && i < H264_CYCLE; i++) expected += sps->poc_ref[i];
    }
    if (!s->reference) expected += sps->poc_non_ref;
    int64_t top = expected + s->delta[1], bottom = top + sps->poc_bottom + s->delta[2];
    if (s->field) return s->bottom ? expected + sps->poc_bottom + s->delta[1] : top;
    return base_min(top, bottom);
}

/* The picture order count of the picture that this slice begins: call once per picture, in decoding order. */
static int64_t h264_poc(struct h264_order *o, const struct h264_sps *sps, const struct h264_slice *s) {
    if (s->idr) *o = (struct h264_order){0};
    if (sps->poc_type == 0) return h264_poc_0(o, sps, s);
    if (s->frame_num < o->frame_num) o->frame_cycle += 1LL << sps->frame_num_bits;
    o->frame_num = s->frame_num;
    if (sps->poc_type == 1) return h264_poc_1(o, sps, s);
    return 2 * (o->frame_cycle + s->frame_num) - !s->reference; /* 8.2.1.3: output order is decoding order */
}

/* Where access units begin in a sequence of NAL units. */
struct h264_border {
    struct h264_slice last; /* of the current access unit, when it has one */
    bool slices, paired;    /* paired: it holds both fields of a frame */
};

/* b is the other field of a's frame (3.30, complementary field pair). */
static bool h264_other_field(const struct h264_slice *a, const struct h264_slice *b) {
    return a->field && b->field && a->bottom != b->bottom && a->frame_num == b->frame_num && (a->idr || !b->idr) &&
           (a->reference || !b->reference);
}

/* Does this NAL unit begin a new access unit (7.4.1.2.3)? Call once per NAL unit, in order, parameter sets stored.
 * DEVIATION: the second field of a frame, its own access unit in H.264, goes with the first one, since browsers' decoders
 * want whole frames; unless a delimiter stands between them. */
static bool h264_begins(struct h264_border *at, const struct h264_sets *t, struct span nal) {
    struct h264_slice s;
    unsigned type = h264_type(nal);
    if (type == H264_SLICE || type == H264_PARTITION_A || type == H264_IDR) {
        bool known = h264_read_slice(t, nal, &s) && at->last.known;
        bool begins = at->slices && (known ? h264_new_picture(&at->last, &s) : s.first_mb == 0);
        bool pair = begins && known && !at->paired && h264_other_field(&at->last, &s);
        at->paired = pair || (at->paired && !begins);
        at->last = s;
        at->slices = true;
        return begins && !pair;
    }
    bool opens = (type >= H264_SEI && type <= H264_AUD) || (type >= 14 && type <= 18);
    bool begins = opens && at->slices;
    if (opens) at->slices = at->paired = false;
    return begins;
}

static struct span h264_strip(struct span nal) { /* trailing_zero_8bits (B.1) */
    while (nal.n && !nal.p[nal.n - 1]) nal.n--;
    return nal;
}

/* The next NAL unit of a complete piece of byte stream, without start code and trailing zeros; n is 0 at the end. */
static struct span h264_next(struct span *s) {
    size_t from = 0;
    struct span nal = base_span(s->p, 0);
    while (!nal.n && s->n >= 3) {
        for (from = 0; from + 3 <= s->n && (s->p[from] || s->p[from + 1] || s->p[from + 2] != 1);) from++;
        if (from + 3 > s->n) break;
        size_t to = from += 3;
        while (to < s->n && (to + 3 > s->n || s->p[to] || s->p[to + 1] || s->p[to + 2] > 1)) to++;
        nal = h264_strip(base_span(s->p + from, to - from));
        *s = base_span(s->p + to, s->n - to);
    }
    return nal;
}

/* The same over bytes that come in any chunking. The caller owns buf; a NAL unit that does not fit is dropped. */
struct h264_split {
    uint8_t *buf;
    size_t cap, n, at, scan; /* bytes held; where the current NAL unit begins; how far was searched */
    bool inside;             /* a start code was seen: buf[at] is inside a NAL unit */
    uint64_t too_large;
};

/* Free space to write the next bytes to; follow with h264_fed. Spans of h264_split_next end here. */
static uint8_t *h264_room(struct h264_split *s, size_t *room) {
    memmove(s->buf, s->buf + s->at, s->n - s->at);
    s->n -= s->at;
    s->scan -= s->at;
    s->at = 0;
    if (s->n == s->cap) { /* a NAL unit larger than the buffer: keep the last bytes, a start code may begin there */
        s->too_large += s->inside;
        s->inside = false;
        memmove(s->buf, s->buf + s->n - 3, 3);
        s->n = 3;
        s->scan = 0;
    }
    *room = s->cap - s->n;
    return s->buf + s->n;
}

static void h264_fed(struct h264_split *s, size_t n) { s->n += n; }

/* The next whole NAL unit, valid until h264_room; n is 0 when more bytes are needed. end: no more bytes will come. */
static struct span h264_split_next(struct h264_split *s, bool end) {
    while (s->scan + 3 <= s->n) {
        const uint8_t *p = s->buf + s->scan;
        bool start = !p[0] && !p[1] && p[2] == 1, zeros = !p[0] && !p[1] && !p[2]; /* B.1: both end a NAL unit */
        if (!start && !(zeros && s->inside)) {
            s->scan++;
            continue;
        }
        struct span nal = h264_strip(base_span(s->buf + s->at, s->inside ? s->scan - s->at : 0));
        s->scan += start ? 3 : 0;
        s->at = s->scan;
        s->inside = start;
        if (nal.n) return nal;
    }
    if (!s->inside) s->at = s->scan; /* what stands before the first start code is no NAL unit */
    if (!end || !s->inside) return base_span(s->buf, 0);
    struct span nal = h264_strip(base_span(s->buf + s->at, s->n - s->at));
    size_t zeros = s->n - s->at - nal.n; /* they may begin the next start code, should more bytes come after all */
    s->at = s->scan = s->n - (zeros < 2 ? zeros : 2);
    s->inside = false;
    return nal;
}

/* ==== 11 pattern ============================================================
 * The built-in test picture of flat 16x16 cells, and the small H.264 encoder (ITU-T H.264, Constrained Baseline) that
 * codes one cell as one macroblock. Clause numbers below are those of the standard.
 *
 * The picture, top to bottom: the time blocks; 75 % colour bars, with the person's clock on a dark plate in their middle;
 * a block that sweeps to and fro; and a tick whose column is the frame number modulo the columns. A picture too small for
 * all keeps the blocks first, then the clock.
 *
 * Reading the time blocks: of the whole cells only, cols = min(width/16, 32) and block i is the cell at column i % cols,
 * row i / cols. Its luma is 235 for 1 and 16 for 0; compare the cell's centre with 128.
 *     block 0, 1     guard: 1, 0
 *     block 2..25    stamp: unix time in ms modulo 2^24, first bit highest
 *     block 26..31   check: sum of the stamp's three bytes, modulo 61
 * A picture of fewer than 32 whole cells has no blocks.
 * Beyond the core: -DWCAM_NO_PATTERN leaves it out, 430 lines and 5 KB.
 * pure; uses base, bytes
 */
enum pattern_limits { PATTERN_BLOCKS = 32, PATTERN_FRAME_NUM_BITS = 8, PATTERN_SAMPLES = 160 /* 20 ms of sound */ };
#if defined(WCAM_NO_PATTERN)
struct pattern {
    unsigned fps;
    bool beep;
};

static int pattern_spec(const char *spec, struct pattern *p, const char **why) {
    (void)spec, (void)p;
    *why = "this program was built without the test picture: name another source";
    return -1;
}

static size_t pattern_cells(const struct pattern *p) { return (void)p, 0; }

static void pattern_start(struct pattern *p, uint8_t *cells) { (void)p, (void)cells; }

static void pattern_sound(uint32_t ms, uint8_t samples[PATTERN_SAMPLES]) { memset(samples, (int)ms, PATTERN_SAMPLES); }

static bool pattern_frame(struct pattern *p, bool want_idr, uint32_t ms_of_day, uint32_t stamp_ms, struct wr *out) {
    (void)p, (void)want_idr, (void)ms_of_day, (void)stamp_ms, (void)out;
    return false;
}
#else

/* Colours 0..7 are the bars, left to right; the order is that of pattern_palette. */
enum pattern_colour { PATTERN_BLACK = 7, PATTERN_WHITE, PATTERN_DARK, PATTERN_TRACK, PATTERN_ORANGE, PATTERN_MID };

/* Y, Cb, Cr; BT.709, studio range: the SPS says so (E.2.1). */
static const uint8_t pattern_palette[][3] = {
    {180, 128, 128}, {168, 44, 136}, {145, 147, 44}, {133, 63, 52},  /* white yellow cyan green */
    {63, 193, 204},  {51, 109, 212}, {28, 212, 120}, {16, 128, 128}, /* magenta red blue black */
    {235, 128, 128}, {34, 128, 128}, {62, 128, 128}, {149, 55, 184}, /* white dark track orange */
    {128, 128, 128},                                                 /* mid: DC prediction from nothing */
};

/* In cells.  len 0: the picture has no room for a clock. */
struct pattern_clock {
    unsigned from, len;           /* the part of "HH:MM:SS.mmm" that is shown */
    unsigned digit, stroke;       /* width of a digit, thickness of its lines */
    unsigned x, y, width, height; /* the text, without the dark plate */
};

struct pattern {
    unsigned width, height, fps, gop;
    unsigned mbw, mbh;    /* macroblocks, the cropped ones at the edges included */
    unsigned cols, rows;  /* whole cells */
    unsigned across;      /* time blocks in a row; 0: no room for them */
    unsigned top, bottom; /* rows of the bars: top <= row < bottom */
    unsigned block, tick; /* heights of the moving parts; 0: no room for them */
    struct pattern_clock clock;
    uint8_t *want, *have; /* colour of each macroblock: in this picture, in the decoder's last one */
    uint32_t frames;      /* pictures drawn since the start */
    uint32_t since_idr;   /* pictures since the last IDR picture */
    bool need_idr, idr_odd;
    bool beep; /* with sound */
};

/* ---- the text after "test:" ---- */

static bool pattern_number(const char **s, unsigned lo, unsigned hi, unsigned *out) {
    const char *c = *s;
    unsigned v = 0;
    for (; *c >= '0' && *c <= '9' && v <= hi; c++) v = v * 10 + (unsigned)(*c - '0');
    if (c == *s || v < lo || v > hi) return false;
    *s = c;
    *out = v;
    return true;
}

static bool pattern_size(const char **s, struct pattern *p) {
    if (!pattern_number(s, 64, 4096, &p->width) || *(*s)++ != 'x') return false;
    return pattern_number(s, 64, 2304, &p->height) && p->width % 2 == 0 && p->height % 2 == 0;
}

/* [WIDTHxHEIGHT][@FPS][,gop=N][,beep]; 0, or -1 and *why. */
static int pattern_spec(const char *spec, struct pattern *p, const char **why) {
    const char *s = spec;
    *p = (struct pattern){.width = 1280, .height = 720, .fps = 30, .gop = 60};
    *why = "the size is not WIDTHxHEIGHT, two even numbers from 64x64 to 4096x2304";
    if (*s && *s != '@' && *s != ',' && !pattern_size(&s, p)) return -1;
    *why = "the frame rate after '@' is not a number from 1 to 120";
    if (*s == '@' && (s++, !pattern_number(&s, 1, 120, &p->fps))) return -1;
    *why = "the key frame interval after ',gop=' is not a number from 1 to 36000";
    if (!strncmp(s, ",gop=", 5) && (s += 5, !pattern_number(&s, 1, 36000, &p->gop))) return -1;
    *why = "only WIDTHxHEIGHT@FPS,gop=N,beep is understood";
    if (!strncmp(s, ",beep", 5)) s += 5, p->beep = true;
    if (*s) return -1;
    *why = NULL;
    return 0;
}

/* ---- layout, in cells ---- */

/* The longest text that fits into 7/8 of the width, with the largest digits for it.  A digit is two
 * square loops that share a line; points, and the gaps between characters, are a stroke wide. */
static struct pattern_clock pattern_clock_fit(unsigned cols, unsigned rows) {
    static const struct { unsigned from, len, digits; } text[] = {{0, 12, 9}, {0, 8, 6}, {3, 5, 4}, {6, 2, 2}};
    unsigned tallest = rows < 5 ? 0 : rows < 15 ? 5 : rows / 3;
    struct pattern_clock k = {0};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        for (k.digit = cols / 2; k.digit >= 3; k.digit--) {
            k.stroke = (k.digit + 2) / 4;
            k.height = 2 * k.digit - k.stroke;
            k.width = text[i].digits * k.digit + (2 * text[i].len - text[i].digits - 1) * k.stroke;
            if (k.height > tallest || k.width > cols * 7 / 8) continue;
            k.from = text[i].from;
            k.len = text[i].len;
            k.x = (cols - k.width) / 2;
            return k;
        }
    return (struct pattern_clock){0};
}

static void pattern_layout(struct pattern *p) {
    unsigned side = p->cols < p->rows ? p->cols : p->rows;
    if (p->cols * p->rows >= PATTERN_BLOCKS) p->across = p->cols < PATTERN_BLOCKS ? p->cols : PATTERN_BLOCKS;
    if (p->across) p->top = (PATTERN_BLOCKS + p->across - 1) / p->across;
    if (p->rows >= 20) p->top++; /* a dark row sets the time blocks off from the bars */
    p->clock = pattern_clock_fit(p->cols, p->rows - p->top);
    p->block = side < 22 ? 1 : side / 11;
    p->tick = (p->block + 3) / 4;
    if (p->top + p->clock.height + p->block + p->tick > p->rows) p->block = p->tick = 0;
    p->bottom = p->rows - p->block - p->tick;
    p->clock.y = p->top + (p->bottom - p->top - p->clock.height + 1) / 2;
}

/* Two arrays, want and have, of one byte per macroblock. */
static size_t pattern_cells(const struct pattern *p) {
    return 2 * (size_t)((p->width + 15) / 16) * ((p->height + 15) / 16);
}

static void pattern_start(struct pattern *p, uint8_t *cells) {
    *p = (struct pattern){
        .width = p->width, .height = p->height, .fps = p->fps, .gop = p->gop, .beep = p->beep, .need_idr = true};
    p->mbw = (p->width + 15) / 16;
    p->mbh = (p->height + 15) / 16;
    p->cols = p->width / 16;
    p->rows = p->height / 16;
    p->want = cells;
    p->have = cells + pattern_cells(p) / 2;
    pattern_layout(p);
}

/* ---- drawing, in cells ---- */

static void pattern_fill(struct pattern *p, unsigned x, unsigned y, unsigned w, unsigned h, unsigned colour) {
    for (unsigned r = y; r < y + h && r < p->mbh; r++)
        for (unsigned c = x; c < x + w && c < p->mbw; c++) p->want[r * p->mbw + c] = (uint8_t)colour;
}

/* Which parts of a glyph the cell x, y belongs to.  Bits 0..6 are the segments a..g of a seven-segment
 * digit (top, clockwise, middle), 7 the stem of the 1, 8 the colon. */
static unsigned pattern_parts(const struct pattern_clock *k, unsigned x, unsigned y) {
    unsigned s = k->stroke, mid = (k->height - s) / 2, stem = (k->digit - s) / 2, dot = (k->height + s) / 4;
    bool upper = y < mid + s, lower = y >= mid, head = y < s, foot = y >= k->height - s;
    unsigned up = k->height - 1 - y, parts = head * 0x01u | foot * 0x08u | (upper && lower) * 0x40u;
    if (x >= k->digit - s) parts |= upper * 0x02u | lower * 0x04u;
    if (x < s) parts |= upper * 0x20u | lower * 0x10u;
    if (x < stem + s && (x >= stem || head)) parts |= 0x80;
    if ((y >= dot && y < dot + s) || (up >= dot && up < dot + s)) parts |= 0x100;
    return parts;
}

/* Glyph 10 is ':', 11 '.'; the answer is the glyph's width. */
static unsigned pattern_draw_glyph(struct pattern *p, unsigned x, unsigned glyph) {
    static const uint16_t lit[] = {0x3f, 0x88, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f, 0x100, 0x08};
    unsigned width = glyph < 10 ? p->clock.digit : p->clock.stroke;
    for (unsigned r = 0; r < p->clock.height; r++)
        for (unsigned c = 0; c < width; c++)
            if (pattern_parts(&p->clock, c, r) & lit[glyph])
                pattern_fill(p, x + c, p->clock.y + r, 1, 1, PATTERN_WHITE);
    return width;
}

static void pattern_draw_clock(struct pattern *p, uint32_t ms) {
    static const uint8_t radix[12] = {10, 10, 0, 6, 10, 0, 6, 10, 0, 10, 10, 10}; /* HH:MM:SS.mmm */
    const struct pattern_clock *k = &p->clock;
    unsigned glyph[12], x = k->x, pad = (k->height + 1) / 5;
    if (!k->len) return;
    for (unsigned i = 12; i--;) {
        glyph[i] = radix[i] ? ms % radix[i] : i == 8 ? 11 : 10;
        if (radix[i]) ms /= radix[i];
    }
    pattern_fill(p, 0, k->y - pad, p->mbw, k->height + 2 * pad, PATTERN_DARK);
    for (unsigned i = 0; i < k->len; i++) x += pattern_draw_glyph(p, x, glyph[k->from + i]) + k->stroke;
}

static void pattern_draw_moving(struct pattern *p) {
    unsigned span = p->cols - p->block, step = p->frames / 2 % (2 * span), y = p->bottom + p->block;
    if (!p->block) return;
    pattern_fill(p, step < span ? step : 2 * span - step, p->bottom, p->block, p->block, PATTERN_ORANGE);
    pattern_fill(p, 0, y, p->mbw, p->tick + 1, PATTERN_TRACK); /* + 1: the cropped row, if there is one */
    pattern_fill(p, p->frames % p->cols, y, 1, p->tick + 1, PATTERN_WHITE);
}

/* Layout: see the card. */
static void pattern_draw_blocks(struct pattern *p, uint32_t stamp) {
    uint32_t check = ((stamp >> 16 & 255) + (stamp >> 8 & 255) + (stamp & 255)) % 61;
    uint32_t bits = UINT32_C(2) << 30 | (stamp & 0xffffff) << 6 | check;
    for (unsigned i = 0; i < PATTERN_BLOCKS && p->across; i++)
        pattern_fill(p, i % p->across, i / p->across, 1, 1, bits >> (31 - i) & 1 ? PATTERN_WHITE : PATTERN_BLACK);
}

static void pattern_draw(struct pattern *p, uint32_t ms_of_day, uint32_t stamp) {
    pattern_fill(p, 0, 0, p->mbw, p->mbh, PATTERN_DARK);
    for (unsigned x = 0; x < p->mbw; x++) pattern_fill(p, x, p->top, 1, p->bottom - p->top, x * 8 / p->mbw);
    pattern_draw_clock(p, ms_of_day);
    pattern_draw_moving(p);
    pattern_draw_blocks(p, stamp);
}

/* ---- bits of a NAL unit ---- */

struct pattern_bits {
    struct wr *w;
    unsigned byte, have; /* the unfinished byte, and how many bits it has */
    unsigned zeros;      /* zero bytes just written, for 7.4.1 */
};

/* B.1.1 start code, 7.3.1 header. */
static struct pattern_bits pattern_nal(struct wr *w, unsigned header) {
    bytes_w32(w, 1);
    bytes_w8(w, header);
    return (struct pattern_bits){.w = w};
}

/* 7.3.1, 7.4.1: two zero bytes are never followed by 0..3; a 3 goes between. */
static void pattern_byte(struct pattern_bits *b, unsigned byte) {
    if (b->zeros >= 2 && byte <= 3) {
        bytes_w8(b->w, 3);
        b->zeros = 0;
    }
    bytes_w8(b->w, byte);
    b->zeros = byte ? 0 : b->zeros + 1;
}

/* u(n), 7.2: the low n bits of v */
static void pattern_u(struct pattern_bits *b, unsigned n, uint32_t v) {
    while (n--) {
        b->byte = b->byte << 1 | (v >> n & 1);
        if (++b->have < 8) continue;
        pattern_byte(b, b->byte);
        b->byte = b->have = 0;
    }
}

/* ue(v), 9.1: v + 1 in binary, behind as many zeros as it has bits after the first. */
static void pattern_ue(struct pattern_bits *b, uint32_t v) {
    unsigned n = 0;
    while ((v + 1) >> (n + 1)) n++;
    pattern_u(b, 2 * n + 1, v + 1);
}

/* se(v), 9.1.1: 1, -1, 2, -2 ... count as 1, 2, 3, 4 ... */
static void pattern_se(struct pattern_bits *b, int v) { pattern_ue(b, (uint32_t)(v > 0 ? 2 * v - 1 : -2 * v)); }

/* 7.3.2.11 */
static void pattern_trailing(struct pattern_bits *b) {
    pattern_u(b, 1, 1);
    while (b->have) pattern_u(b, 1, 0);
}

/* ---- parameter sets ---- */

/* Table A-1 and A.3.1: the first level whose limits on macroblocks per second, macroblocks per
 * picture and picture side (its square at most 8 * MaxFS) all hold.  Levels that add only bit rate
 * are left out, and those below 2: there the bit rate would be the tighter limit. */
static unsigned pattern_level_idc(const struct pattern *p) {
    static const struct {
        uint32_t idc, max_mbps, max_fs;
    } level[] = {
        {20, 11880, 396},     {21, 19800, 792},      {22, 20250, 1620},     {30, 40500, 1620},   {31, 108000, 3600},
        {32, 216000, 5120},   {40, 245760, 8192},    {42, 522240, 8704},    {50, 589824, 22080}, {51, 983040, 36864},
        {52, 2073600, 36864}, {60, 4177920, 139264}, {61, 8355840, 139264},
    };
    uint32_t fs = p->mbw * p->mbh, side = p->mbw > p->mbh ? p->mbw : p->mbh;
    size_t i = 0;
    while (fs * p->fps > level[i].max_mbps || fs > level[i].max_fs || side * side > 8 * level[i].max_fs) i++;
    return level[i].idc; /* 4096x2304 at 120 needs the last one */
}

/* E.1.1 */
static void pattern_vui(struct pattern_bits *b, const struct pattern *p) {
    pattern_u(b, 2, 0);           /* aspect_ratio_info_, overscan_info_present_flag */
    pattern_u(b, 1, 1);           /* video_signal_type_present_flag */
    pattern_u(b, 3, 5);           /* video_format: unspecified */
    pattern_u(b, 1, 0);           /* video_full_range_flag */
    pattern_u(b, 1, 1);           /* colour_description_present_flag */
    pattern_u(b, 24, 0x010101);   /* colour_primaries, transfer_, matrix_: BT.709, see pattern_palette */
    pattern_u(b, 1, 0);           /* chroma_loc_info_present_flag */
    pattern_u(b, 1, 1);           /* timing_info_present_flag */
    pattern_u(b, 32, 1);          /* num_units_in_tick: half a frame */
    pattern_u(b, 32, 2 * p->fps); /* time_scale */
    pattern_u(b, 1, 1);           /* fixed_frame_rate_flag */
    pattern_u(b, 3, 0);           /* nal_hrd_, vcl_hrd_parameters_, pic_struct_present_flag */
    pattern_u(b, 1, 1);           /* bitstream_restriction_flag */
    pattern_u(b, 1, 0);           /* motion_vectors_over_pic_boundaries_flag */
    pattern_u(b, 2, 3);           /* max_bytes_per_pic_denom, max_bits_per_mb_denom: ue 0, no limit */
    pattern_u(b, 2, 3);           /* log2_max_mv_length_horizontal, _vertical: ue 0, all are zero */
    pattern_ue(b, 0);             /* max_num_reorder_frames */
    pattern_ue(b, 1);             /* max_dec_frame_buffering */
}

/* 7.3.2.1.1; profile and constraints: A.2.1.1; the crop counts pairs of luma samples (7.4.2.1.1) */
static void pattern_sps(struct wr *w, const struct pattern *p) {
    struct pattern_bits b = pattern_nal(w, 0x67);
    pattern_u(&b, 8, 66);                       /* profile_idc: Baseline */
    pattern_u(&b, 8, 0xe0);                     /* constraint_set0_flag, 1, 2: Constrained */
    pattern_u(&b, 8, pattern_level_idc(p));     /* level_idc */
    pattern_ue(&b, 0);                          /* seq_parameter_set_id */
    pattern_ue(&b, PATTERN_FRAME_NUM_BITS - 4); /* log2_max_frame_num_minus4 */
    pattern_ue(&b, 2);                          /* pic_order_cnt_type: output in decoding order */
    pattern_ue(&b, 1);                          /* max_num_ref_frames */
    pattern_u(&b, 1, 0);                        /* gaps_in_frame_num_value_allowed_flag */
    pattern_ue(&b, p->mbw - 1);                 /* pic_width_in_mbs_minus1 */
    pattern_ue(&b, p->mbh - 1);                 /* pic_height_in_map_units_minus1 */
    pattern_u(&b, 2, 3);                        /* frame_mbs_only_flag, direct_8x8_inference_flag */
    pattern_u(&b, 1, 1);                        /* frame_cropping_flag: left, right, top, bottom */
    pattern_ue(&b, 0);
    pattern_ue(&b, (p->mbw * 16 - p->width) / 2);
    pattern_ue(&b, 0);
    pattern_ue(&b, (p->mbh * 16 - p->height) / 2);
    pattern_u(&b, 1, 1); /* vui_parameters_present_flag */
    pattern_vui(&b, p);
    pattern_trailing(&b);
}

/* 7.3.2.2; the QPs make a level equal a sample difference, see pattern_macroblock */
static void pattern_pps(struct wr *w) {
    struct pattern_bits b = pattern_nal(w, 0x68);
    pattern_u(&b, 2, 3); /* pic_parameter_set_id, seq_parameter_set_id: ue 0 */
    pattern_u(&b, 2, 0); /* entropy_coding_mode_flag: CAVLC, bottom_field_pic_order_.._flag */
    pattern_u(&b, 3, 7); /* num_slice_groups_minus1, num_ref_idx_l0_, l1_default_active_minus1: ue 0 */
    pattern_u(&b, 3, 0); /* weighted_pred_flag, weighted_bipred_idc */
    pattern_se(&b, 2);   /* pic_init_qp_minus26: QP 28 */
    pattern_se(&b, 0);   /* pic_init_qs_minus26 */
    pattern_se(&b, -6);  /* chroma_qp_index_offset: QPc 22 */
    pattern_u(&b, 1, 1); /* deblocking_filter_control_present_flag */
    pattern_u(&b, 2, 0); /* constrained_intra_pred_flag, redundant_pic_cnt_present_flag */
    pattern_trailing(&b);
}

/* ---- macroblocks ---- */

/* coeff_token, Table 9-5, as {bits, code}: no coefficient, one of +-1 (a trailing one), one other */
static const uint8_t pattern_luma_token[3][2] = {{1, 1}, {2, 1}, {6, 5}};   /* nC 0 */
static const uint8_t pattern_chroma_token[3][2] = {{2, 1}, {1, 1}, {6, 7}}; /* nC -1 */

/* 9.2.2 with suffixLength 0: level_prefix zeros and a one, then level_suffix.  The level is not
 * +-1, that would have been a trailing one; hence levelCode starts at 0 for 2, 1 for -2. */
static void pattern_level(struct pattern_bits *b, int level) {
    unsigned code = (unsigned)(level > 0 ? 2 * level - 4 : -2 * level - 3);
    unsigned prefix = code < 14 ? code : code < 30 ? 14 : 15;
    pattern_u(b, prefix + 1, 1);
    if (prefix == 14) pattern_u(b, 4, code - 14);
    if (prefix == 15) pattern_u(b, 12, code - 30);
}

/* 7.3.5.3.2: a block whose only coefficient is its DC */
static void pattern_residual(struct pattern_bits *b, const uint8_t token[3][2], int level) {
    unsigned kind = level == 0 ? 0 : level == 1 || level == -1 ? 1 : 2;
    pattern_u(b, token[kind][0], token[kind][1]);
    if (kind == 0) return;
    if (kind == 1) pattern_u(b, 1, level < 0); /* trailing_ones_sign_flag */
    if (kind == 2) pattern_level(b, level);
    pattern_u(b, 1, 1); /* total_zeros 0, Tables 9-7 and 9-9 */
}

/* 7.3.5, always I_16x16.  The prediction is one flat colour, for the neighbour is flat: Horizontal,
 * Vertical in the first column, DC with no neighbour (8.3.3, 8.3.4: 128).  At QP 28 and QPc 22
 * LevelScale(4,0,0) is 256: a DC level L becomes 64 L (8.5.10, 8.5.11), then L in every sample
 * (8.5.12).  nC of the luma block is 0, as no AC level is ever coded (9.2.1). */
static void pattern_macroblock(struct pattern_bits *b, const struct pattern *p, unsigned i, bool in_p) {
    enum { VERTICAL, HORIZONTAL, DC } mode = i % p->mbw ? HORIZONTAL : i ? VERTICAL : DC;
    unsigned from = mode == DC ? PATTERN_MID : p->want[mode == HORIZONTAL ? i - 1 : i - p->mbw];
    const uint8_t *pred = pattern_palette[from], *want = pattern_palette[p->want[i]];
    bool chroma = want[1] != pred[1] || want[2] != pred[2];
    pattern_ue(b, 1 + mode + (chroma ? 4 : 0) + (in_p ? 5 : 0)); /* mb_type, Tables 7-11 and 7-13 */
    pattern_ue(b, 2 - mode);                                     /* intra_chroma_pred_mode, Table 7-16 */
    pattern_se(b, 0);                                            /* mb_qp_delta */
    pattern_residual(b, pattern_luma_token, want[0] - pred[0]);
    if (!chroma) return;
    pattern_residual(b, pattern_chroma_token, want[1] - pred[1]);
    pattern_residual(b, pattern_chroma_token, want[2] - pred[2]);
}

/* ---- slices and pictures ---- */

/* 7.3.3 */
static void pattern_slice_header(struct pattern_bits *b, const struct pattern *p, bool idr) {
    pattern_ue(b, 0);                                   /* first_mb_in_slice */
    pattern_ue(b, idr ? 7 : 5);                         /* slice_type: all slices I, all P */
    pattern_ue(b, 0);                                   /* pic_parameter_set_id */
    pattern_u(b, PATTERN_FRAME_NUM_BITS, p->since_idr); /* frame_num; u(n) takes it modulo 2^n */
    if (idr) pattern_ue(b, p->idr_odd);                 /* idr_pic_id: consecutive ones differ, 7.4.3 */
    if (!idr) pattern_u(b, 2, 0); /* num_ref_idx_active_override_flag, ref_pic_list_modification_flag_l0 */
    pattern_u(b, idr ? 2 : 1, 0); /* 7.3.3.3: no_output_of_prior_pics_, long_term_reference_; or adaptive_.._flag */
    pattern_se(b, 0);             /* slice_qp_delta */
    pattern_ue(b, 1);             /* disable_deblocking_filter_idc */
}

/* 7.3.4.  P_Skip repeats the decoder's last picture: all vectors are zero, so is its own (8.4.1.1). */
static void pattern_slice(struct wr *w, struct pattern *p, bool idr) {
    struct pattern_bits b = pattern_nal(w, idr ? 0x65 : 0x41);
    unsigned skipped = 0;
    pattern_slice_header(&b, p, idr);
    for (unsigned i = 0; i < p->mbw * p->mbh; i++) {
        if (!idr && p->have[i] == p->want[i]) {
            skipped++;
            continue;
        }
        if (!idr) pattern_ue(&b, skipped); /* mb_skip_run */
        pattern_macroblock(&b, p, i, !idr);
        p->have[i] = p->want[i];
        skipped = 0;
    }
    if (skipped) pattern_ue(&b, skipped); /* mb_skip_run */
    pattern_trailing(&b);
}

/* Appends one access unit.  When it did not fit, have[] is not what the decoder shows: an IDR mends it. */
/* 20 ms of G.711 mu-law that begin at this millisecond of the day: a tone of 1 kHz in the first tenth of each second. */
static void pattern_sound(uint32_t ms, uint8_t samples[PATTERN_SAMPLES]) {
    static const uint8_t tone[8] = {0xff, 0xa9, 0xa0, 0xa9, 0xff, 0x29, 0x20, 0x29}; /* a quarter of full scale */
    for (unsigned i = 0; i < PATTERN_SAMPLES; i++) samples[i] = (ms + i / 8) % 1000 < 100 ? tone[i % 8] : 0xff;
}

static bool pattern_frame(struct pattern *p, bool want_idr, uint32_t ms_of_day, uint32_t stamp_ms, struct wr *out) {
    bool idr = want_idr || p->need_idr || p->since_idr >= p->gop;
    pattern_draw(p, ms_of_day, stamp_ms);
    p->frames++;
    if (idr) {
        p->since_idr = 0;
        pattern_sps(out, p);
        pattern_pps(out);
    }
    pattern_slice(out, p, idr);
    p->since_idr++;
    p->idr_odd ^= idr && !out->bad;
    p->need_idr = out->bad;
    return !out->bad;
}
#endif
/* ==== 12 rtp ================================================================
 * RTP packets (RFC 3550) with one-byte header extensions (RFC 8285), and H.264 payloads (RFC 6184).
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *   |                           timestamp (90 kHz)                  |
 *   |                             SSRC                              |
 *   |       0xBEDE                  |  length in 32-bit words       |  then id:4 length-1:4 value, ..., padding
 *
 * pure; uses base, bytes
 */
enum rtp_sizes {
    RTP_HEADER = 12,
    RTP_EXTENSIONS = 4 + 4 + 4, /* head, abs-send-time, playout-delay */
    RTP_OSN = 2,                /* the original sequence number in front of a retransmission (RFC 4588 4) */
    RTP_TAG = 16,               /* of any SRTP profile */
    RTP_CHANNEL = 4,            /* a TURN ChannelData header in front (RFC 8656 12.4) */
    /* the fragment budget, once for the worst case: the same payload serves every viewer */
    RTP_PAYLOAD = BASE_DATAGRAM - RTP_HEADER - RTP_EXTENSIONS - RTP_OSN - RTP_TAG - RTP_CHANNEL,
    RTP_STAP_A = 24,
    RTP_FU_A = 28,
    RTP_DELAY_UNIT = 10 /* playout-delay counts in 10 ms */
};

/* 90 kHz from microseconds: 9/100, exact in integers for 290,000 years. */
static int64_t rtp_clock(int64_t us) { return us / 100 * 9 + us % 100 * 9 / 100; }

struct rtp_packet {
    uint8_t pt;
    bool marker;
    uint16_t seq;
    uint32_t timestamp, ssrc;
    int abs_send_time, playout_delay; /* extension ids, 0: not negotiated */
    int64_t now;                      /* for abs-send-time */
    unsigned delay_min_ms, delay_max_ms;
};

static void rtp_put_extensions(struct wr *w, const struct rtp_packet *h) {
    bytes_w16(w, 0xbede);
    bytes_w16(w, (h->abs_send_time ? 1 : 0) + (h->playout_delay ? 1 : 0));
    if (h->abs_send_time) { /* seconds in 6.18 fixed point */
        bytes_w8(w, (unsigned)h->abs_send_time << 4 | 2);
        bytes_w24(w, (uint32_t)((uint64_t)(h->now % (64 * BASE_S)) * (1 << 18) / BASE_S) & 0xffffff);
    }
    if (h->playout_delay) { /* 12 bits minimum, 12 bits maximum */
        bytes_w8(w, (unsigned)h->playout_delay << 4 | 2);
        bytes_w24(w, h->delay_min_ms / RTP_DELAY_UNIT << 12 | h->delay_max_ms / RTP_DELAY_UNIT);
    }
}

static void rtp_put(struct wr *w, const struct rtp_packet *h, struct span payload) {
    bool x = h->abs_send_time || h->playout_delay;
    bytes_w8(w, 0x80 | (x ? 0x10 : 0));
    bytes_w8(w, (h->marker ? 0x80 : 0) | h->pt);
    bytes_w16(w, h->seq);
    bytes_w32(w, h->timestamp);
    bytes_w32(w, h->ssrc);
    if (x) rtp_put_extensions(w, h);
    bytes_put(w, payload.p, payload.n);
}

/* The next payload of a NAL unit: itself when it fits, else FU-A fragments (RFC 6184 5.8). *at begins at 0.
 *   FU indicator: F NRI 28 | FU header: start, end, reserved, type | fragment
 * false when the NAL unit is used up. */
static bool rtp_fragment(struct span nal, size_t *at, struct wr *payload) {
    if (*at >= nal.n) return false;
    if (nal.n <= RTP_PAYLOAD) {
        bytes_put(payload, nal.p, nal.n);
        *at = nal.n;
        return true;
    }
    bool start = *at == 0;
    if (start) *at = 1; /* the NAL header travels in the FU bytes */
    size_t n = nal.n - *at < RTP_PAYLOAD - 2 ? nal.n - *at : RTP_PAYLOAD - 2;
    bool end = *at + n == nal.n;
    bytes_w8(payload, (nal.p[0] & 0xe0) | RTP_FU_A);
    bytes_w8(payload, (start ? 0x80 : 0) | (end ? 0x40 : 0) | (nal.p[0] & 0x1f));
    bytes_put(payload, nal.p + *at, n);
    *at += n;
    return true;
}

/* Begins or continues a STAP-A (RFC 6184 5.7.1): 24 | size, NAL unit | ... false: it does not fit, nothing written. */
static bool rtp_aggregate(struct wr *payload, struct span nal) {
    if (payload->n + (payload->n ? 2 : 3) + nal.n > RTP_PAYLOAD) return false;
    if (!payload->n) bytes_w8(payload, RTP_STAP_A);
    /* RFC 6184 5.7: F is the OR, NRI the maximum of the aggregated ones */
    uint8_t nri = nal.p[0] & 0x60;
    if (nri > (payload->p[0] & 0x60)) payload->p[0] = (uint8_t)((payload->p[0] & 0x9f) | nri);
    payload->p[0] |= nal.p[0] & 0x80;
    bytes_w16(payload, (unsigned)nal.n);
    bytes_put(payload, nal.p, nal.n);
    return true;
}

/* Adds nal to a payload that is one NAL unit or a STAP-A, if it fits. */
static bool rtp_join(struct wr *payload, struct span nal) {
    size_t head = payload->p[0] & 31, n = payload->n;
    if (head == RTP_FU_A || n + (head == RTP_STAP_A ? 2 : 5) + nal.n > RTP_PAYLOAD) return false;
    if (head != RTP_STAP_A) {
        memmove(payload->p + 3, payload->p, n);
        payload->p[0] = (uint8_t)((payload->p[3] & 0xe0) | RTP_STAP_A);
        payload->n += 3;
        bytes_w16_at(payload, 1, (unsigned)n);
    }
    return rtp_aggregate(payload, nal);
}

/* One received RTP packet. */
struct rtp_in {
    uint8_t pt;
    bool marker;
    uint16_t seq;
    uint32_t timestamp, ssrc;
    struct span payload;
};

static bool rtp_read(struct span s, struct rtp_in *p) {
    struct rd r = bytes_rd(s);
    uint8_t first = bytes_r8(&r), second = bytes_r8(&r);
    p->marker = second & 0x80;
    p->pt = second & 0x7f;
    p->seq = bytes_r16(&r);
    p->timestamp = bytes_r32(&r);
    p->ssrc = bytes_r32(&r);
    bytes_take(&r, 4u * (first & 15));
    if (first & 0x10) { /* RFC 3550 5.3.1 */
        bytes_r16(&r);
        bytes_take(&r, 4u * bytes_r16(&r));
    }
    if (r.bad || first >> 6 != 2) return false;
    p->payload = base_span(r.p, bytes_left(&r));
    if (!(first & 0x20)) return true;
    size_t pad = p->payload.n ? p->payload.p[p->payload.n - 1] : 0;
    if (!pad || pad > p->payload.n) return false;
    p->payload.n -= pad;
    return true;
}

/* ==== 13 depay ==============================================================
 * RTP packets of a camera become access units with start codes (RFC 6184 5): single NAL units, STAP-A, FU-A. The marker
 * ends an access unit, or the next timestamp; a camera whose markers lie is believed its timestamps only. What lost a
 * packet is dropped whole.
 * pure; uses base, bytes, rtp
 */
enum depay_limits {
    DEPAY_LIES = 3,
    DEPAY_STRANGE = 64, /* packets behind: not late, but a new beginning */
    DEPAY_WINDOW = 32,  /* packets that may wait for one before them */
    DEPAY_PACKET = 2048
};
#define DEPAY_WAIT (40 * BASE_MS) /* for a packet that may be lost */

struct depay {
    uint8_t *unit; /* the caller's */
    size_t n, cap;
    bool started, open, lost; /* open: something of an access unit has come */
    bool sliced;              /* slices, too */
    bool fragment;            /* a FU-A without its end */
    bool ended;               /* the last packet had the marker */
    bool large;
    uint16_t next;
    uint32_t timestamp;
    unsigned lies, pictures; /* pictures: begun with this timestamp */
    bool stuck;              /* the timestamps stand still: the markers are all there is */
    uint64_t missing;        /* packets */
};

static void depay_start(struct depay *d, uint8_t *unit, size_t cap) {
    memset(d, 0, sizeof *d);
    d->unit = unit;
    d->cap = cap;
}

/* Appends bytes of a NAL unit; a new one gets its start code, unless the camera wrote one. */
static void depay_put(struct depay *d, struct span bytes, bool begins) {
    static const uint8_t code[] = {0, 0, 0, 1};
    struct wr w = {d->unit, d->n, d->cap, false};
    bool coded = bytes.n > 3 && !bytes.p[0] && !bytes.p[1] && (bytes.p[2] == 1 || (!bytes.p[2] && bytes.p[3] == 1));
    if (begins && !coded) bytes_put(&w, code, sizeof code);
    bytes_put(&w, bytes.p, bytes.n);
    if (w.bad) d->lost = d->large = true;
    else d->n = w.n;
}

/* FU indicator | FU header: start, end, type | fragment (RFC 6184 5.8) */
static void depay_fragment(struct depay *d, struct span s) {
    if (s.n < 2) return;
    bool start = s.p[1] & 0x80, end = s.p[1] & 0x40;
    uint8_t header = (uint8_t)((s.p[0] & 0xe0) | (s.p[1] & 0x1f));
    if (!start && !d->fragment) d->lost = true;
    if (start) depay_put(d, base_span(&header, 1), true);
    if (!d->lost) depay_put(d, base_span(s.p + 2, s.n - 2), false);
    d->fragment = !end;
}

static void depay_payload(struct depay *d, struct span s) {
    unsigned type = s.n ? s.p[0] & 31 : 0;
    if (type == RTP_FU_A) {
        depay_fragment(d, s);
        return;
    }
    d->fragment = false;
    if (type != RTP_STAP_A) {
        if (s.n && type < RTP_STAP_A) depay_put(d, s, true); /* above: vendors' own */
        return;
    }
    struct rd r = bytes_rd(base_span(s.p + 1, s.n - 1));
    while (!r.bad && bytes_left(&r) > 2) {
        struct span nal = bytes_take(&r, bytes_r16(&r));
        if (!r.bad && nal.n) depay_put(d, nal, true);
    }
    d->lost = d->lost || r.bad;
}

/* Does the packet begin a picture? After a gap nobody knows else what was before it. */
static bool depay_fresh(struct span s) {
    while (s.n && !s.p[0]) s = base_span(s.p + 1, s.n - 1); /* a start code, from cameras that send one */
    if (s.n > 3 && s.p[0] == 1) s = base_span(s.p + 1, s.n - 1);
    if (s.n > 4 && (s.p[0] & 31) == RTP_STAP_A) s = base_span(s.p + 3, s.n - 3);
    unsigned type = s.n > 1 ? s.p[0] & 31 : 0;
    if (type == RTP_FU_A) return s.n > 2 && s.p[1] & 0x80 && s.p[2] & 0x80; /* first_mb_in_slice is 0 */
    return type == 7 || type == 9 || ((type == 1 || type == 5) && s.p[1] & 0x80);
}

/* Does it begin a picture's slices? */
static bool depay_first_slice(struct span s) {
    unsigned type = s.n > 1 ? s.p[0] & 31 : 0;
    return depay_fresh(s) && (type == 1 || type == 5 || type == RTP_FU_A);
}

/* Takes the access unit out, whole: true and *unit, which lives until the next packet. */
static bool depay_end(struct depay *d, struct span *unit) {
    bool whole = d->open && !d->lost && !d->fragment && d->n;
    *unit = base_span(d->unit, d->n);
    d->open = d->lost = d->fragment = d->sliced = false;
    d->n = 0;
    return whole;
}

/* Before depay_input: does the packet show that the access unit before it is over? Then depay_end is to be called. What
 * is missing between the two may have been its end. */
static bool depay_over(struct depay *d, const struct rtp_in *p) {
    int16_t ahead = (int16_t)(p->seq - d->next);
    if (!d->open || p->timestamp == d->timestamp || (ahead < 0 && ahead > -DEPAY_STRANGE)) return false;
    d->lost = d->lost || ahead;
    return true;
}

/* Takes a packet. true: it ended its access unit, depay_end is to be called. Packets come in order; one that is late is
 * left out. */
static bool depay_input(struct depay *d, const struct rtp_in *p) {
    int16_t ahead = (int16_t)(p->seq - d->next);
    if (d->started && ahead < 0 && ahead > -DEPAY_STRANGE) return false;
    bool gap = d->started && ahead != 0;
    if (gap && ahead > 0) d->missing += (uint64_t)ahead;
    if (gap && d->open) d->lost = true;
    if (p->timestamp != d->timestamp) d->pictures = 0;
    if (depay_first_slice(p->payload)) {
        if (++d->pictures > 2) { /* more than two fields: the timestamps lie */
            d->lies = 0;
            d->stuck = true;
            d->lost = d->lost || d->sliced; /* one picture in another's access unit; parameter sets may well be open */
        }
        d->sliced = true;
    }
    if (d->ended && !d->open && !gap && p->timestamp == d->timestamp && !d->stuck) d->lies++;
    if (!d->open) d->lost = (gap || !d->started) && !depay_fresh(p->payload);
    d->started = d->open = true;
    d->next = (uint16_t)(p->seq + 1);
    d->timestamp = p->timestamp;
    depay_payload(d, p->payload);
    d->ended = p->marker && d->lies < DEPAY_LIES;
    return d->ended;
}

/* What came by UDP, back in its order: a packet that is early waits for those before it, but not for long. */
struct depay_window {
    bool started;
    uint16_t next;
    int held;
    int64_t since; /* when the first of those that are held came: the wait for next began */
    struct {
        int64_t at; /* when it came */
        uint16_t n; /* 0: empty */
        uint8_t bytes[DEPAY_PACKET];
    } slot[DEPAY_WINDOW];
};

/* Stores a packet. false: no room, depay_next with force makes some. */
static bool depay_store(struct depay_window *w, const struct rtp_in *p, struct span packet, int64_t now) {
    int16_t ahead = (int16_t)(p->seq - w->next);
    bool strange = !w->started || ahead <= -DEPAY_STRANGE;
    if (packet.n > DEPAY_PACKET || (!strange && ahead < 0)) return true; /* too large, or too late */
    if ((strange || ahead >= DEPAY_WINDOW) && w->held) return false;
    if (strange || ahead >= DEPAY_WINDOW) w->next = p->seq;
    w->started = true;
    if (!w->held) w->since = now;
    if (!w->slot[p->seq % DEPAY_WINDOW].n) w->held++, w->slot[p->seq % DEPAY_WINDOW].at = now;
    w->slot[p->seq % DEPAY_WINDOW].n = (uint16_t)packet.n;
    memcpy(w->slot[p->seq % DEPAY_WINDOW].bytes, packet.p, packet.n);
    return true;
}

/* The next packet whose turn it is; it lives until the next depay_store. */
static bool depay_next(struct depay_window *w, bool force, int64_t now, struct span *packet) {
    if (!w->held) return false;
    force = force || now - w->since >= DEPAY_WAIT;
    while (force && !w->slot[w->next % DEPAY_WINDOW].n) w->next++;
    size_t at = w->next % DEPAY_WINDOW;
    if (!w->slot[at].n) return false;
    *packet = base_span(w->slot[at].bytes, w->slot[at].n);
    w->slot[at].n = 0;
    w->held--;
    w->next++;
    w->since = now;
    for (int i = 0; i < DEPAY_WINDOW && w->held; i++)
        if (w->slot[i].n) w->since = base_min(w->since, w->slot[i].at);
    return true;
}

/* ==== 14 rtcp ===============================================================
 * RTCP (RFC 3550 6), feedback (RFC 4585), FIR (RFC 5104), REMB: compound or reduced-size (RFC 5506) in, SR + SDES and
 * BYE out.
 *   |V=2|P|  count  |  packet type  |  length in words - 1          | then the sender's SSRC, ...
 * pure; uses base, bytes
 */
enum rtcp_types {
    RTCP_SR = 200,
    RTCP_RR = 201,
    RTCP_SDES = 202,
    RTCP_BYE = 203,
    RTCP_RTPFB = 205,
    RTCP_PSFB = 206,
    RTCP_XR = 207,
    RTCP_NACK = 1,
    RTCP_PLI = 1,
    RTCP_FIR = 4,
    RTCP_AFB = 15,
    RTCP_BLOCK = 24 /* one reception report */
};

struct rtcp_packet {
    uint8_t type, count; /* count: of blocks, or the feedback format */
    uint32_t sender;
    struct span body; /* behind the sender's SSRC, padding taken off */
};

/* 1 and the next packet, 0 at the end, -1 for a datagram that is not RTCP from here on. */
static int rtcp_next(struct span *s, struct rtcp_packet *out) {
    struct rd r = bytes_rd(*s);
    if (!s->n) return 0;
    uint8_t first = bytes_r8(&r);
    out->type = bytes_r8(&r);
    size_t length = bytes_r16(&r) * 4u;
    struct span all = bytes_take(&r, length);
    if (r.bad || first >> 6 != 2 || out->type < 192 || out->type > 223) return -1; /* RFC 5761 4 */
    bool last = !bytes_left(&r);
    if (first & 0x20) { /* RFC 3550 6.4.1: padding in the last packet only; its last byte counts it */
        uint8_t pad = all.n ? all.p[all.n - 1] : 0;
        if (!last || !pad || pad % 4 || pad > all.n) return -1;
        all.n -= pad;
    }
    out->count = first & 31;
    struct rd b = bytes_rd(all);
    out->sender = all.n ? bytes_r32(&b) : 0;
    out->body = bytes_take(&b, bytes_left(&b));
    *s = bytes_take(&r, bytes_left(&r));
    return b.bad ? -1 : 1;
}

struct rtcp_report {
    uint32_t ssrc, highest, jitter, last_sr, delay; /* delay since that SR in 1/65536 s */
    uint8_t lost;                                   /* fraction of the last interval in 1/256 */
    int32_t lost_total;
};

/* The i-th reception report of an SR or RR (RFC 3550 6.4). */
static bool rtcp_report(const struct rtcp_packet *p, int i, struct rtcp_report *out) {
    struct rd r = bytes_rd(p->body);
    if (p->type != RTCP_SR && p->type != RTCP_RR) return false;
    if (i >= p->count) return false;
    bytes_take(&r, (p->type == RTCP_SR ? 20u : 0u) + (size_t)i * RTCP_BLOCK);
    out->ssrc = bytes_r32(&r);
    out->lost = bytes_r8(&r);
    uint32_t total = bytes_r24(&r);
    out->lost_total = (int32_t)(total << 8) / 256;
    out->highest = bytes_r32(&r);
    out->jitter = bytes_r32(&r);
    out->last_sr = bytes_r32(&r);
    out->delay = bytes_r32(&r);
    return !r.bad;
}

/* Does this packet ask for a keyframe of ssrc: PLI (RFC 4585 6.3.1) or FIR (RFC 5104 4.3.1)? */
static bool rtcp_wants_keyframe(const struct rtcp_packet *p, uint32_t ssrc) {
    struct rd r = bytes_rd(p->body);
    uint32_t media = bytes_r32(&r);
    if (p->type != RTCP_PSFB || r.bad) return false;
    if (p->count == RTCP_PLI) return media == ssrc;
    while (p->count == RTCP_FIR && bytes_left(&r) >= 8) {
        if (bytes_r32(&r) == ssrc) return true;
        bytes_r32(&r);
    }
    return false;
}

/* The i-th entry of a generic NACK (RFC 4585 6.2.1): a sequence number, and a mask of the 16 that follow it. */
static bool rtcp_nack(const struct rtcp_packet *p, uint32_t ssrc, int i, uint16_t *seq, uint16_t *mask) {
    struct rd r = bytes_rd(p->body);
    if (p->type != RTCP_RTPFB || p->count != RTCP_NACK || bytes_r32(&r) != ssrc) return false;
    bytes_take(&r, (size_t)i * 4);
    *seq = bytes_r16(&r);
    *mask = bytes_r16(&r);
    return !r.bad;
}

/* A receiver report (RFC 3550 6.4.2) with one block; r NULL: nothing was heard, it has none. ssrc: ours. */
static void rtcp_put_rr(struct wr *w, uint32_t ssrc, const struct rtcp_report *r) {
    bytes_w8(w, r ? 0x81 : 0x80);
    bytes_w8(w, RTCP_RR);
    bytes_w16(w, r ? 1 + RTCP_BLOCK / 4 : 1);
    bytes_w32(w, ssrc);
    if (!r) return;
    bytes_w32(w, r->ssrc);
    bytes_w8(w, r->lost);
    bytes_w24(w, (uint32_t)r->lost_total & 0xffffff);
    bytes_w32(w, r->highest);
    bytes_w32(w, r->jitter);
    bytes_w32(w, r->last_sr);
    bytes_w32(w, r->delay);
}

/* REMB: media 0, "REMB", number of SSRCs, 6 bits exponent, 18 bits mantissa. Bits per second, 0 when it is none. */
static uint64_t rtcp_remb(const struct rtcp_packet *p) {
    struct rd r = bytes_rd(p->body);
    if (p->type != RTCP_PSFB || p->count != RTCP_AFB) return 0;
    bytes_r32(&r);
    bool remb = bytes_r32(&r) == 0x52454d42;
    bytes_r8(&r);
    uint32_t v = bytes_r24(&r);
    return r.bad || !remb ? 0 : (uint64_t)(v & 0x3ffff) << (v >> 18 < 40 ? v >> 18 : 40);
}

/* The time in a Receiver Reference Time block (RFC 3611 4.4), the middle 32 bits of its NTP time. */
static bool rtcp_reference_time(const struct rtcp_packet *p, uint32_t *out) {
    struct rd r = bytes_rd(p->body);
    while (p->type == RTCP_XR && !r.bad && bytes_left(&r) >= 4) {
        uint8_t type = bytes_r8(&r);
        bytes_r8(&r);
        struct span block = bytes_take(&r, bytes_r16(&r) * 4u);
        if (r.bad || type != 4 || block.n != 8) continue;
        struct rd b = bytes_rd(base_span(block.p + 2, 4));
        *out = bytes_r32(&b);
        return true;
    }
    return false;
}

/* What every packet of one type that we understand must hold (RFC 3550 6.4-6.6, RFC 4585 6.1). */
static bool rtcp_whole(const struct rtcp_packet *p) {
    size_t n = p->body.n;
    switch (p->type) {
    case RTCP_SR: return n >= 20u + (size_t)p->count * RTCP_BLOCK;
    case RTCP_RR: return n >= (size_t)p->count * RTCP_BLOCK;
    case RTCP_BYE: return !p->count || n >= ((size_t)p->count - 1) * 4;
    case RTCP_XR: return n % 4 == 0;
    case RTCP_RTPFB: return n >= 4 && (p->count != RTCP_NACK || n >= 8);
    case RTCP_PSFB: return n >= 4 && (p->count != RTCP_FIR || n >= 12);
    default: return true;
    }
}

/* NTP time (RFC 3550 4) of a Unix time in microseconds. */
static uint64_t rtcp_ntp(int64_t unix_us) {
    uint64_t s = (uint64_t)(unix_us / BASE_S) + 2208988800u, us = (uint64_t)(unix_us % BASE_S);
    return s << 32 | (us << 32) / BASE_S;
}

/* SDES with a CNAME, in every compound packet (RFC 3550 6.1). */
static void rtcp_put_sdes(struct wr *w, uint32_t ssrc, const char *cname) {
    size_t n = strlen(cname), pad = 4 - (n + 2) % 4; /* at least one zero byte ends the chunk */
    bytes_w8(w, 0x81);
    bytes_w8(w, RTCP_SDES);
    bytes_w16(w, (unsigned)(4 + n + 2 + pad) / 4);
    bytes_w32(w, ssrc);
    bytes_w8(w, 1);
    bytes_w8(w, (unsigned)n);
    bytes_put(w, cname, n);
    bytes_put_uint(w, 0, pad);
}

static void rtcp_put_sr(struct wr *w, uint32_t ssrc, uint64_t ntp, uint32_t timestamp, uint32_t packets,
                        uint32_t octets) {
    bytes_w8(w, 0x80);
    bytes_w8(w, RTCP_SR);
    bytes_w16(w, 6);
    bytes_w32(w, ssrc);
    bytes_w64(w, ntp);
    bytes_w32(w, timestamp);
    bytes_w32(w, packets);
    bytes_w32(w, octets);
}

/* Answers a receiver's reference time at once (DLRR, RFC 3611 4.5): it learns the round trip, by which browsers repeat
 * their NACKs; without it Chromium takes it for 100 ms. */
static void rtcp_put_dlrr(struct wr *w, uint32_t ssrc, const char *cname, uint32_t receiver, uint32_t time) {
    bytes_w32(w, 0x80c90001);
    bytes_w32(w, ssrc);
    rtcp_put_sdes(w, ssrc, cname);
    bytes_w32(w, 0x80cf0005);
    bytes_w32(w, ssrc);
    bytes_w32(w, 0x05000003);
    bytes_w32(w, receiver);
    bytes_w32(w, time);
    bytes_w32(w, 0); /* no delay */
}

/* A compound packet begins with a report (RFC 3550 6.1): an empty RR in front of the BYE. */
static void rtcp_put_bye(struct wr *w, uint32_t ssrc, const char *cname) {
    bytes_w32(w, 0x80c90001);
    bytes_w32(w, ssrc);
    rtcp_put_sdes(w, ssrc, cname);
    bytes_w32(w, 0x81cb0001);
    bytes_w32(w, ssrc);
}

/* ==== 15 http ===============================================================
 * HTTP/1.1 (RFC 9112): requests in, responses out. Strict where leniency lets two parsers disagree: one Content-Length
 * or one Transfer-Encoding, no folded lines, no bare CR, no blank before the colon.
 * pure; uses base, bytes, text
 */
enum http_limits {
    HTTP_HEAD = 16 * 1024, /* request line and headers */
    HTTP_BODY = BASE_SDP,  /* of a request, decoded */
    HTTP_CHUNK_LINE = 256, /* with its extensions */
    HTTP_FIELDS = 64,
    HTTP_EXTRA = 1536 /* header lines of one response */
};

struct http_field {
    struct span name, value;
};

struct http_req {
    struct span method, target, path, query; /* path and query are raw: not percent-decoded */
    struct span authority;                   /* of an absolute-form target; p is NULL: there is none */
    int minor;                               /* HTTP/1.minor */
    uint64_t length;                         /* Content-Length */
    bool chunked, has_length, keep_alive, expects;
    int status; /* what to answer when the head is bad: 400, 414, 431, 501, 505 */
    const char *why;
    int fields;
    struct http_field field[HTTP_FIELDS];
};

static bool http_token(struct span s) { /* RFC 9110 5.6.2 */
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr("\"(),/:;<=>?@[\\]{}", s.p[i])) return false;
    return s.n > 0;
}

static int http_bad(struct http_req *q, int status, const char *why) {
    q->status = status;
    q->why = why;
    return -1;
}

/* The value of a header, its first if there are several; p is NULL when absent. */
static struct span http_header(const struct http_req *q, const char *name) {
    for (int i = 0; i < q->fields; i++)
        if (text_like(q->field[i].name, name)) return q->field[i].value;
    return (struct span){NULL, 0};
}

/* GET, or HEAD, which is a GET without the body (RFC 9110 9.3.2). */
static bool http_gets(const struct http_req *q) { return text_is(q->method, "GET") || text_is(q->method, "HEAD"); }

/* A method that changes nothing (RFC 9110 9.2.1). */
static bool http_safe(const struct http_req *q) { return http_gets(q) || text_is(q->method, "OPTIONS"); }

/* Is word in a header's comma-separated list? */
static bool http_has(const struct http_req *q, const char *name, const char *word) {
    for (int i = 0; i < q->fields; i++) {
        struct span list = q->field[i].value;
        while (text_like(q->field[i].name, name) && list.n)
            if (text_like(text_trim(text_cut(&list, ',')), word)) return true;
    }
    return false;
}

/* The value of a query parameter, raw. */
static struct span http_query(struct span query, const char *name) {
    while (query.n) {
        struct span value = text_cut(&query, '&');
        struct span key = text_cut(&value, '=');
        if (text_is(key, name)) return value;
    }
    return (struct span){NULL, 0};
}

static int http_request_line(struct http_req *q, struct span line) {
    q->method = text_cut(&line, ' ');
    q->target = text_cut(&line, ' ');
    if (!http_token(q->method)) return http_bad(q, 400, "the request line has no method");
    if (!q->target.n) return http_bad(q, 400, "the request line has no target");
    for (size_t i = 0; i < q->target.n; i++)
        if (q->target.p[i] <= ' ' || q->target.p[i] == 127) return http_bad(q, 400, "control character in the target");
    if (!text_after(&line, "HTTP/") || line.n != 3 || line.p[1] != '.' || line.p[0] < '0' || line.p[0] > '9' ||
        line.p[2] < '0' || line.p[2] > '9')
        return http_bad(q, 400, "the request line does not end in an HTTP version");
    if (line.p[0] != '1') return http_bad(q, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    q->minor = line.p[2] - '0';
    struct span rest = q->target; /* absolute-form (RFC 9112 3.2.2): what counts is the path */
    if (text_after(&rest, "http://") || text_after(&rest, "https://")) {
        const uint8_t *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
        q->authority = base_span(rest.p, slash ? (size_t)(slash - rest.p) : rest.n);
        rest = slash ? base_span(slash, (size_t)(rest.p + rest.n - slash)) : base_span("/", 1);
    }
    rest = text_cut(&rest, '#');
    q->path = text_cut(&rest, '?');
    q->query = rest;
    return 0;
}

static int http_field_line(struct http_req *q, struct span line) {
    if (q->fields == HTTP_FIELDS) return http_bad(q, 431, "more than 64 header lines");
    struct span value = line, name = text_cut(&value, ':');
    /* RFC 9112 5.1, 5.2: no blank between name and colon, no folded line */
    if (name.n == line.n || !http_token(name)) return http_bad(q, 400, "a header line without a proper name");
    for (size_t i = 0; i < value.n; i++)
        if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 127)
            return http_bad(q, 400, "control character in a header");
    q->field[q->fields++] = (struct http_field){name, text_trim(value)};
    return 0;
}

/* RFC 9112 6.3: how long the body is. Two answers to that question are an attack. */
static int http_framing(struct http_req *q) {
    int hosts = 0, lengths = 0, codings = 0;
    for (int i = 0; i < q->fields; i++) {
        struct span name = q->field[i].name, value = q->field[i].value;
        hosts += text_like(name, "host");
        if (text_like(name, "content-length")) {
            if (lengths++ || !text_uint(value, UINT64_MAX / 2, &q->length))
                return http_bad(q, 400, "Content-Length is not one decimal number");
            q->has_length = true;
        }
        if (text_like(name, "transfer-encoding")) {
            if (codings++ || !text_like(value, "chunked"))
                return http_bad(q, 501, "the only Transfer-Encoding taken is chunked");
            q->chunked = true;
        }
    }
    if (q->chunked && (q->has_length || !q->minor))
        return http_bad(q, 400, "Transfer-Encoding with Content-Length, or in HTTP/1.0");
    /* RFC 9112 3.2: a server must answer 400 to HTTP/1.1 without Host, or with two */
    if (hosts > 1 || (!hosts && q->minor)) return http_bad(q, 400, "there must be one Host header");
    return 0;
}

/* Cuts the next line off. 1: it ends in CR LF, 0: its end has not come yet, -1: it ends in LF alone. */
static int http_line(struct span *s, struct span *line) {
    struct span before = *s;
    *line = text_cut(s, '\n');
    if (line->n == before.n) return *s = before, 0;
    if (!line->n || line->p[line->n - 1] != '\r') return -1;
    line->n--;
    return 1;
}

/* Reads a request's head. Returns its length with the blank line, 0 when more is needed, -1 when it is bad. */
static int http_read(struct span in, struct http_req *q) {
    memset(q, 0, offsetof(struct http_req, field));
    struct span all = in, line;
    while (in.n && (in.p[0] == '\r' || in.p[0] == '\n')) in = base_span(in.p + 1, in.n - 1); /* RFC 9112 2.2 */
    for (bool first = true;; first = false) {
        int whole = http_line(&in, &line);
        size_t used = whole ? all.n - in.n : all.n;
        if (used > HTTP_HEAD)
            return http_bad(q, first ? 414 : 431, first ? "the request line is too long" : "the headers are too long");
        if (!whole) return 0;
        if (whole < 0) return http_bad(q, 400, "a line does not end in CR LF");
        if (!line.n && !first) {
            q->keep_alive = q->minor ? !http_has(q, "connection", "close") : http_has(q, "connection", "keep-alive");
            q->expects = q->minor && text_like(http_header(q, "expect"), "100-continue");
            return http_framing(q) ? -1 : (int)used;
        }
        if (first ? http_request_line(q, line) : http_field_line(q, line)) return -1;
    }
}

/* Reads over the trailer fields behind the last chunk. 1: its blank line was there, 0: not yet, -1: bad. */
static int http_trailer(struct span *s) {
    struct span all = *s, line;
    for (;;) {
        int whole = http_line(s, &line);
        size_t used = whole ? all.n - s->n : all.n;
        if (whole < 0 || used > HTTP_HEAD) return -1;
        if (!whole || !line.n) return whole;
    }
}

/* The chunked body of a request (RFC 9112 7.1), as far as it has come: p[0, *body) is decoded already, p[*body, *n) is not.
 * Decodes in place what is complete and closes the gap. Returns 1 at the end of the body (behind *body stands the next
 * request), 0 when more is needed, -1 when it is bad, -2 when it is larger than HTTP_BODY. */
static int http_unchunk(uint8_t *p, size_t *n, size_t *body) {
    struct span rest = base_span(p + *body, *n - *body); /* what is not decoded */
    int end = 0;
    while (!end) {
        struct span s = rest, line;
        uint32_t size;
        int whole = http_line(&s, &line);
        if (whole < 0 || (whole ? rest.n - s.n : rest.n) > HTTP_CHUNK_LINE) return -1;
        if (!whole) break;
        struct span digits = text_cut(&line, ';');
        if (digits.n > 7 || !text_hex(digits, &size)) return -1;
        if (size > HTTP_BODY - *body) return -2;
        if (size) {
            if (s.n < size + 2u) break;
            if (s.p[size] != '\r' || s.p[size + 1] != '\n') return -1;
            memmove(p + *body, s.p, size);
            *body += size;
            s = base_span(s.p + size + 2, s.n - size - 2);
        } else if ((end = http_trailer(&s)) <= 0) break;
        rest = s;
    }
    memmove(p + *body, rest.p, rest.n);
    *n = *body + rest.n;
    return end;
}

/* A response in the making: the caller lends both buffers, http_finish puts them together. */
struct http_resp {
    int status;
    const char *type;   /* of the body; NULL: none */
    const char *detail; /* of a problem: its sentence */
    struct wr extra, body;
    char lines[HTTP_EXTRA];
    bool head;        /* HEAD: the body is measured and left out (RFC 9110 9.3.2) */
    bool close, keep; /* what Connection says; keep: to an HTTP/1.0 client that asked for it */
    int64_t unix_s;   /* for Date; 0: no clock, no Date (RFC 9110 6.6.1) */
};

static void http_respond(struct http_resp *r, void *body, size_t cap) {
    memset(r, 0, sizeof *r);
    r->extra = bytes_wr(r->lines, sizeof r->lines);
    r->body = bytes_wr(body, cap);
}

static const char *http_reason(int status) {
    static const char *const known[] = {"101 Switching Protocols",
                                        "200 OK",
                                        "201 Created",
                                        "204 No Content",
                                        "307 Temporary Redirect",
                                        "400 Bad Request",
                                        "401 Unauthorized",
                                        "403 Forbidden",
                                        "404 Not Found",
                                        "405 Method Not Allowed",
                                        "408 Request Timeout",
                                        "409 Conflict",
                                        "412 Precondition Failed",
                                        "413 Content Too Large",
                                        "414 URI Too Long",
                                        "415 Unsupported Media Type",
                                        "421 Misdirected Request",
                                        "422 Unprocessable Content",
                                        "426 Upgrade Required",
                                        "428 Precondition Required",
                                        "429 Too Many Requests",
                                        "431 Request Header Fields Too Large",
                                        "500 Internal Server Error",
                                        "501 Not Implemented",
                                        "503 Service Unavailable",
                                        "505 HTTP Version Not Supported"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (atoi(known[i]) == status) return known[i] + 4;
    return "Unknown";
}

/* Problem details (RFC 9457). detail is a sentence for a person, never repeats input, and lives as long as r. */
static void http_problem(struct http_resp *r, int status, const char *detail) {
    r->status = status;
    r->type = "application/problem+json";
    r->detail = detail;
    r->body.n = 0;
    r->body.bad = false;
    text_put(&r->body, "{\"type\":\"about:blank\",\"title\":");
    text_json(&r->body, text_of(http_reason(status)));
    text_putf(&r->body, ",\"status\":%d,\"detail\":", status);
    text_json(&r->body, text_of(detail));
    text_put(&r->body, "}\n");
}

/* allow: the methods that this address takes (RFC 9110 15.5.6). */
static void http_not_allowed(struct http_resp *r, const char *allow, const char *detail) {
    text_putf(&r->extra, "Allow: %s\r\n", allow);
    http_problem(r, 405, detail);
}

/* The whole response into w. */
static bool http_finish(struct http_resp *r, struct wr *w) {
    if (r->body.bad || r->extra.bad) http_problem(r, 500, "The answer did not fit its buffer.");
    text_putf(w, "HTTP/1.1 %d %s\r\n", r->status, http_reason(r->status));
    if (r->type) text_putf(w, "Content-Type: %s\r\n", r->type);
    bool bodiless = r->status == 101 || r->status == 204; /* RFC 9110 8.6: then no Content-Length */
    if (!bodiless) text_putf(w, "Content-Length: %zu\r\n", r->body.n);
    text_put(w, "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n");
    if (r->close) text_put(w, "Connection: close\r\n");
    else if (r->keep) text_put(w, "Connection: keep-alive\r\n");
    if (r->unix_s) {
        text_put(w, "Date: ");
        text_put_date(w, r->unix_s);
        text_put(w, "\r\n");
    }
    bytes_put(w, r->lines, r->extra.n);
    text_put(w, "\r\n");
    if (!r->head && !bodiless) bytes_put(w, r->body.p, r->body.n);
    return !w->bad;
}

/* ==== 16 ws =================================================================
 * WebSocket (RFC 6455), the server's side: the opening handshake, frames in, frames out. Text messages only; no
 * extension, no subprotocol.
 *
 *    0               1               2 .. 3, 2 .. 9          4 bytes     length bytes
 *   |F|R R R|opcode |M| length      | length, if 126 or 127 | mask      | payload, XOR mask
 *
 * pure; uses base, bytes, text, crypt, http
 */
enum ws_limits { WS_MESSAGE = HTTP_BODY, WS_CONTROL = 125 /* RFC 6455 5.5 */, WS_HEAD = 14 };
enum ws_opcode { WS_CONTINUATION, WS_TEXT, WS_BINARY, WS_CLOSE = 8, WS_PING, WS_PONG };
enum ws_code { /* RFC 6455 7.4.1 */
               WS_NORMAL = 1000,
               WS_GOING_AWAY = 1001,
               WS_PROTOCOL = 1002,
               WS_UNSUPPORTED = 1003,
               WS_NO_CODE = 1005, /* never on the wire */
               WS_INVALID = 1007,
               WS_TOO_BIG = 1009
};

/* What came. For WS_GOT_CLOSE and WS_GOT_FAULT code says what to answer. */
enum ws_event { WS_GOT_NOTHING, WS_GOT_PART, WS_GOT_TEXT, WS_GOT_PING, WS_GOT_PONG, WS_GOT_CLOSE, WS_GOT_FAULT };

struct ws {
    size_t message;    /* bytes of the message put together so far */
    size_t taken;      /* bytes behind it that were read already; cut out when more are needed, all at once */
    bool begun, whole; /* whole: it was returned, and goes when the next frame is read */
    int code;
    uint8_t control_n, control[WS_CONTROL]; /* the payload of the last control frame */
};

static bool ws_asked_for(const struct http_req *q) {
    return http_has(q, "upgrade", "websocket") && http_has(q, "connection", "upgrade");
}

/* The opening handshake (RFC 6455 4.2). r is 101 when it succeeds. */
static void ws_open(const struct http_req *q, struct http_resp *r) {
    struct span key = http_header(q, "sec-websocket-key");
    uint8_t nonce[24], both[24 + 36], hash[CRYPT_HASH_MAX];
    struct wr n = bytes_wr(nonce, sizeof nonce), w = bytes_wr(both, sizeof both);
    if (!ws_asked_for(q) || !text_is(http_header(q, "sec-websocket-version"), "13")) {
        text_put(&r->extra, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
        http_problem(r, 426, "This address speaks WebSocket, version 13.");
    } else if (!text_is(q->method, "GET") || !q->minor || !bytes_unbase64(&n, key) || n.n != 16) {
        http_problem(r, 400, "A WebSocket begins with an HTTP/1.1 GET and a Sec-WebSocket-Key of 16 bytes.");
    } else {
        bytes_put(&w, key.p, key.n);
        text_put(&w, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455 1.3 */
        r->status = 101;
        text_put(&r->extra, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
        bytes_base64(&r->extra, base_span(hash, crypt_hash(MBEDTLS_MD_SHA1, bytes_written(&w), hash)));
        text_put(&r->extra, "\r\n");
    }
}

static enum ws_event ws_fault(struct ws *s, int code) {
    s->code = code;
    return WS_GOT_FAULT;
}

/* RFC 6455 7.4: what may stand in a Close frame. */
static bool ws_code_ok(unsigned code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum ws_event ws_control(struct ws *s, unsigned opcode, struct span payload) {
    struct rd r = bytes_rd(payload);
    memcpy(s->control, payload.p, payload.n);
    s->control_n = (uint8_t)payload.n;
    if (opcode != WS_CLOSE) return opcode == WS_PING ? WS_GOT_PING : WS_GOT_PONG;
    s->code = payload.n ? bytes_r16(&r) : WS_NO_CODE;
    if (r.bad || (payload.n && !ws_code_ok((unsigned)s->code))) return ws_fault(s, WS_PROTOCOL);
    return text_utf8(base_span(r.p, bytes_left(&r))) ? WS_GOT_CLOSE : ws_fault(s, WS_INVALID);
}

/* Is a frame with this head allowed here? 0, or the code to fail with. */
static int ws_judge(const struct ws *s, unsigned first, bool masked, uint64_t length, bool minimal) {
    unsigned opcode = first & 15;
    bool fin = first & 0x80, control = opcode & 8;
    if (first & 0x70) return WS_PROTOCOL;             /* RFC 6455 5.2: RSV bits MUST be 0 without an extension */
    if (!masked) return WS_PROTOCOL;                  /* 5.1: the server MUST close upon an unmasked frame */
    if (!minimal || length >> 63) return WS_PROTOCOL; /* 5.2: the shortest form, the top bit MUST be 0 */
    if (opcode > WS_PONG || (opcode > WS_BINARY && !control)) return WS_PROTOCOL;
    if (control) return !fin || length > WS_CONTROL ? WS_PROTOCOL : 0; /* 5.5 */
    if ((opcode == WS_CONTINUATION) != s->begun) return WS_PROTOCOL;   /* 5.4 */
    if (opcode == WS_BINARY) return WS_UNSUPPORTED;
    return length > WS_MESSAGE - s->message ? WS_TOO_BIG : 0;
}

/* A data frame's payload joins the message. */
static enum ws_event ws_collect(struct ws *s, uint8_t *p, const uint8_t *payload, size_t n, bool fin) {
    memmove(p + s->message, payload, n);
    s->message += n;
    s->begun = true;
    s->whole = fin;
    if (!fin) return WS_GOT_PART;
    /* RFC 6455 8.1: text that is not UTF-8 MUST fail the connection */
    return text_utf8(base_span(p, s->message)) ? WS_GOT_TEXT : ws_fault(s, WS_INVALID);
}

/* Makes room: only now do bytes move, so that many small frames cost no more than one large one. */
static enum ws_event ws_more(struct ws *s, uint8_t *p, size_t *n) {
    *n -= s->taken;
    if (s->taken) memmove(p + s->message, p + s->message + s->taken, *n - s->message);
    s->taken = 0;
    return WS_GOT_NOTHING;
}

/* Takes one frame. p[0, message) is what of a message has come, p[message + taken, *n) are frames. WS_GOT_TEXT: p[0, message)
 * is a whole message, until the next call. WS_GOT_NOTHING: more bytes are needed, to be put at p + *n; before that, none may. */
static enum ws_event ws_read(struct ws *s, uint8_t *p, size_t *n) {
    if (s->whole) {
        s->taken += s->message;
        s->message = 0;
        s->whole = s->begun = false;
    }
    size_t at = s->message + s->taken;
    struct rd r = bytes_rd(base_span(p + at, *n - at));
    unsigned first = bytes_r8(&r), second = bytes_r8(&r), form = second & 127;
    uint64_t length = form == 126 ? bytes_r16(&r) : form == 127 ? bytes_take_uint(&r, 8) : form;
    if (r.bad) return ws_more(s, p, n);
    int bad = ws_judge(s, first, second & 0x80, length, form < 126 || length > (form == 126 ? 125 : 65535));
    if (bad) return ws_fault(s, bad);
    struct span mask = bytes_take(&r, 4);
    if (r.bad || bytes_left(&r) < length) return ws_more(s, p, n);
    uint8_t *payload = p + (*n - bytes_left(&r));
    size_t size = (size_t)length;
    for (size_t i = 0; i < size; i++) payload[i] ^= mask.p[i % 4];
    enum ws_event event =
        first & 8 ? ws_control(s, first & 15, base_span(payload, size)) : ws_collect(s, p, payload, size, first & 0x80);
    s->taken = (size_t)(payload + size - p) - s->message;
    return event;
}

/* One frame, whole and unmasked (RFC 6455 5.1: a server MUST NOT mask). */
static void ws_put(struct wr *w, enum ws_opcode opcode, struct span payload) {
    bytes_w8(w, 0x80u | opcode);
    bytes_w8(w, payload.n < 126 ? (unsigned)payload.n : payload.n < 65536 ? 126 : 127);
    if (payload.n >= 126) bytes_put_uint(w, payload.n, payload.n < 65536 ? 2 : 8);
    bytes_put(w, payload.p, payload.n);
}

static void ws_put_close(struct wr *w, int code) {
    uint8_t bytes[2];
    struct wr payload = bytes_wr(bytes, sizeof bytes);
    if (code != WS_NO_CODE) bytes_w16(&payload, (unsigned)code);
    ws_put(w, WS_CLOSE, bytes_written(&payload));
}

/* ==== 17 rtsp ===============================================================
 * RTSP 1.0 (RFC 2326) as cameras speak it: addresses, messages, interleaved frames, Basic and Digest (RFC 7616), the SDP
 * of a camera. What a camera gets wrong and can be understood all the same is taken.
 * pure; uses base, bytes, text, crypt
 */
enum rtsp_limits {
    RTSP_HEAD = 16 * 1024,
    RTSP_BODY = 48 * 1024, /* a camera's SDP has about 1 KB; with the head it fits SOURCE_WIRE */
    RTSP_URL = 512,
    RTSP_WORD = 128,  /* user, password, host, session, realm */
    RTSP_NONCE = 256, /* nonce, opaque */
    RTSP_SETS = 1024  /* parameter sets in the SDP, with start codes */
};
enum rtsp_transport { RTSP_ANY, RTSP_TCP, RTSP_UDP };

struct rtsp_url {
    bool tls;
    uint16_t port;
    enum rtsp_transport transport; /* ?transport=udp or tcp, which is ours and not sent */
    bool named;                    /* a name and password were given, perhaps empty ones */
    char user[RTSP_WORD], password[RTSP_WORD], host[RTSP_WORD];
    char url[RTSP_URL]; /* as it stands in requests: a name and password there breaks some cameras' Digest */
};

/* No control bytes: it may stand in a header line. */
static bool rtsp_plain(struct span s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] == 127) return false;
    return true;
}

/* What comes back in our requests: whole, or not at all. The text of a quoted string keeps its backslashes. */
static bool rtsp_keep_text(char *to, size_t cap, struct span s) {
    to[0] = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || (s.p[i] == '\\' && ++i == s.n)) return false;
    }
    if (s.n >= cap || !rtsp_plain(s)) return false;
    text_copy(to, cap, s);
    return true;
}

/* host, host:port, [v6], [v6]:port; IPv6 without brackets and without port is understood too. */
static bool rtsp_read_host(struct rtsp_url *u, struct span s) {
    struct span host = s, port = {NULL, 0};
    size_t colons = 0;
    uint64_t number = u->tls ? 322 : 554; /* RFC 7826 4.2 */
    for (size_t i = 0; i < s.n; i++) colons += s.p[i] == ':';
    if (s.n && s.p[0] == '[') {
        port = base_span(s.p + 1, s.n - 1);
        host = text_cut(&port, ']');
        if (port.n && !text_after(&port, ":")) return false;
    } else if (colons == 1) {
        port = s;
        host = text_cut(&port, ':');
    }
    if (port.n && (!text_uint(port, 65535, &number) || !number)) return false;
    u->port = (uint16_t)number;
    text_copy(u->host, sizeof u->host, host);
    return host.n && host.n < sizeof u->host;
}

/* What stands behind the authority, without our own ?transport=. */
static void rtsp_put_path(struct rtsp_url *u, struct wr *w, struct span s) {
    struct span query = s, path = text_cut(&query, '?');
    char sep = '?';
    bytes_put(w, path.p, path.n);
    while (query.n) {
        struct span part = text_cut(&query, '&');
        if (text_is(part, "transport=udp")) u->transport = RTSP_UDP;
        else if (text_is(part, "transport=tcp")) u->transport = RTSP_TCP;
        else {
            bytes_w8(w, (uint8_t)sep);
            bytes_put(w, part.p, part.n);
            sep = '&';
        }
    }
}

static bool rtsp_unpercent(char *to, size_t cap, struct span s) {
    struct wr w = bytes_wr(to, cap - 1);
    bool ok = text_unpercent(&w, s);
    if (!ok) { /* a lone % is meant as it stands */
        w = bytes_wr(to, cap - 1);
        bytes_put(&w, s.p, s.n);
    }
    to[w.n] = 0;
    return !w.bad;
}

/* rtsp://user:password@host:port/path?query. The password may hold @, : and #: the last @ before the first / counts.
 * false: it is none. */
static bool rtsp_read_url(struct span s, struct rtsp_url *u) {
    memset(u, 0, sizeof *u);
    u->tls = text_after(&s, "rtsps://");
    if (!u->tls && !text_after(&s, "rtsp://")) return false;
    if (!rtsp_plain(s) || memchr(s.p, ' ', s.n)) return false;
    size_t end = 0, at = 0;
    while (end < s.n && s.p[end] != '/') end++;
    for (size_t i = 0; i < end; i++)
        if (s.p[i] == '@') at = i + 1;
    struct span password = base_span(s.p, at ? at - 1 : 0), user = text_cut(&password, ':');
    struct span host = base_span(s.p + at, end - at), path = base_span(s.p + end, s.n - end);
    const uint8_t *mark = host.n ? memchr(host.p, '?', host.n) : NULL;
    if (mark) {
        path = base_span(mark, (size_t)(s.p + s.n - mark));
        host.n = (size_t)(mark - host.p);
    }
    struct wr w = bytes_wr(u->url, sizeof u->url - 1);
    text_put(&w, u->tls ? "rtsps://" : "rtsp://");
    bytes_put(&w, host.p, host.n);
    rtsp_put_path(u, &w, path);
    u->url[w.n] = 0;
    u->named = at > 0;
    return rtsp_read_host(u, host) && rtsp_unpercent(u->user, sizeof u->user, user) &&
           rtsp_unpercent(u->password, sizeof u->password, password) && !w.bad && rtsp_plain(text_of(u->user));
}

static struct span rtsp_path(const struct rtsp_url *u) {
    struct span s = text_of(u->url);
    for (int i = 0; i < 3; i++) text_cut(&s, '/'); /* "rtsp:", "", the authority */
    return text_cut(&s, '?');
}

/* Is u below the address allowed: same scheme, host and port, and the path begins with the same whole segments? Dots and
 * escapes, which a camera might resolve to something else, are below nothing. */
static bool rtsp_below(const struct rtsp_url *allowed, const struct rtsp_url *u) {
    struct span want = rtsp_path(allowed), have = rtsp_path(u), all = have;
    bool same = u->tls == allowed->tls && u->port == allowed->port && text_like(text_of(u->host), allowed->host);
    if (!same || (all.n && (memchr(all.p, '%', all.n) || memchr(all.p, '\\', all.n)))) return false;
    while (all.n) {
        struct span part = text_cut(&all, '/');
        if (text_is(part, ".") || text_is(part, "..")) return false;
    }
    while (want.n) {
        struct span part = text_cut(&want, '/');
        if (part.n && !text_same(part, text_cut(&have, '/'))) return false;
    }
    return true;
}

/* One message from a camera: a response, or (status 0) a request of its own. */
struct rtsp_message {
    int status;
    struct span first, fields, body;
};

/* The next value of a header; rest begins as fields. p is NULL at the end. */
static struct span rtsp_next(struct span *rest, const char *name) {
    while (rest->n) {
        struct span value = text_line(rest), key = text_cut(&value, ':');
        if (text_like(text_trim(key), name)) return text_trim(value);
    }
    return base_span(NULL, 0);
}

static struct span rtsp_header(const struct rtsp_message *m, const char *name) {
    struct span rest = m->fields;
    return rtsp_next(&rest, name);
}

/* Does a message begin here? 0: too few bytes to know, -1: no. */
static int rtsp_begins(struct span s) {
    static const char *const words[] = {"RTSP/",     "HTTP/",          "OPTIONS ",       "ANNOUNCE ",
                                        "DESCRIBE ", "GET_PARAMETER ", "SET_PARAMETER ", "PAUSE ",
                                        "PLAY ",     "REDIRECT ",      "TEARDOWN "};
    int found = -1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (memcmp(s.p, words[i], n < s.n ? n : s.n)) continue;
        if (s.n >= n) return 1;
        found = 0;
    }
    return found;
}

/* Takes one message. Returns its length, 0 when more is needed, -1 when it is none or too large. */
static int rtsp_read(struct span in, struct rtsp_message *m) {
    struct span s = in;
    uint64_t length = 0, status = 0;
    m->first = text_line(&s);
    m->fields = s;
    while (s.n) {
        struct span before = s, line = text_line(&s);
        if (line.n || before.p[before.n - s.n - 1] != '\n') continue;
        m->fields.n = (size_t)(before.p - m->fields.p);
        size_t head = (size_t)(s.p - in.p);
        struct span value = rtsp_header(m, "content-length"), word = m->first;
        if (value.p && (!text_uint(value, RTSP_BODY, &length))) return -1;
        bool response = text_is(text_cut(&word, '/'), "RTSP"); /* RTSP/1.0 200 OK */
        text_word(&word);
        if (response && !text_uint(text_word(&word), 999, &status)) return -1;
        m->status = (int)status;
        if (head > RTSP_HEAD) return -1;
        if (in.n - head < length) return 0;
        m->body = base_span(s.p, (size_t)length);
        return (int)(head + length);
    }
    return in.n > RTSP_HEAD ? -1 : 0;
}

/* How a camera wants to be shown the password. */
struct rtsp_auth {
    int strength;                  /* 0: nothing asked for, 1: Basic, 2: Digest with MD5, 3: with SHA-256 */
    bool session, qop, stale, bad; /* bad: something of it cannot be sent back */
    char realm[RTSP_WORD], nonce[RTSP_NONCE], opaque[RTSP_NONCE], algorithm[24];
    unsigned count; /* requests with this nonce */
};

/* The next key=value of a WWW-Authenticate header (RFC 9110 11.6.1); a scheme may stand in front of the key. */
static bool rtsp_next_param(struct span *s, struct span *scheme, struct span *key, struct span *value) {
    *s = text_trim(*s);
    if (!s->n) return false;
    size_t n = 0;
    while (n < s->n && s->p[n] != '=' && s->p[n] != ',') n++;
    *key = text_trim(base_span(s->p, n));
    *scheme = base_span(NULL, 0);
    *value = base_span(NULL, 0);
    bool valued = n < s->n && s->p[n] == '=';
    *s = base_span(s->p + n + (n < s->n), s->n - n - (n < s->n));
    for (size_t i = key->n; i-- > 0;)
        if (text_blank(key->p[i])) {
            *scheme = text_trim(base_span(key->p, i));
            *key = base_span(key->p + i + 1, key->n - i - 1);
            break;
        }
    if (!valued) return true;
    *s = text_trim(*s);
    if (text_after(s, "\"")) {
        size_t end = 0;
        while (end < s->n && s->p[end] != '"') end += s->p[end] == '\\' ? 2 : 1;
        end = end < s->n ? end : s->n;
        *value = base_span(s->p, end);
        *s = base_span(s->p + end, s->n - end);
        text_cut(s, ',');
    } else *value = text_trim(text_cut(s, ','));
    return true;
}

static void rtsp_rank(struct rtsp_auth *a, const struct rtsp_auth *seen, struct span scheme) {
    struct span algorithm = text_of(seen->algorithm);
    struct rtsp_auth t = *seen;
    t.strength = 0;
    if (text_like(scheme, "basic")) t.strength = 1;
    if (text_like(scheme, "digest")) {
        if (algorithm.n > 5 && text_like(base_span(algorithm.p + algorithm.n - 5, 5), "-sess")) {
            t.session = true;
            algorithm.n -= 5;
        }
        t.strength = !algorithm.n || text_like(algorithm, "md5") ? 2 : text_like(algorithm, "sha-256") ? 3 : 0;
    }
    if (t.strength == 2 && !mbedtls_md_info_from_type(MBEDTLS_MD_MD5)) t.strength = 0; /* a small mbedTLS */
    if (t.strength > a->strength && !t.bad) *a = t;
}

/* The strongest of all challenges (RFC 7616 3.7). false: none that is known. */
static bool rtsp_challenged(struct rtsp_auth *a, const struct rtsp_message *m) {
    struct span rest = m->fields, header, scheme, key, value;
    memset(a, 0, sizeof *a);
    while ((header = rtsp_next(&rest, "www-authenticate")).p) {
        struct rtsp_auth seen = {0};
        struct span current = {NULL, 0};
        while (rtsp_next_param(&header, &scheme, &key, &value)) {
            if (scheme.p) {
                rtsp_rank(a, &seen, current);
                memset(&seen, 0, sizeof seen);
                current = scheme;
            }
            if (text_like(key, "realm")) seen.bad |= !rtsp_keep_text(seen.realm, sizeof seen.realm, value);
            else if (text_like(key, "nonce")) seen.bad |= !rtsp_keep_text(seen.nonce, sizeof seen.nonce, value);
            else if (text_like(key, "opaque")) seen.bad |= !rtsp_keep_text(seen.opaque, sizeof seen.opaque, value);
            else if (text_like(key, "stale")) seen.stale = text_like(value, "true");
            else if (text_like(key, "algorithm")) text_copy(seen.algorithm, sizeof seen.algorithm, value);
            else if (text_like(key, "qop"))
                while (value.n) seen.qop = text_like(text_trim(text_cut(&value, ',')), "auth") || seen.qop;
        }
        rtsp_rank(a, &seen, current);
    }
    return a->strength > 0;
}

/* H(parts joined by colons) in hexadecimal; parts end with NULL. */
static void rtsp_digest(const struct rtsp_auth *a, char out[2 * CRYPT_HASH_MAX + 1], const char *const *parts) {
    uint8_t text[2 * RTSP_URL + 2 * RTSP_WORD + RTSP_NONCE], hash[CRYPT_HASH_MAX];
    struct wr w = bytes_wr(text, sizeof text), hex = bytes_wr(out, 2 * CRYPT_HASH_MAX);
    for (int i = 0; parts[i]; i++) text_putf(&w, "%s%s", i ? ":" : "", parts[i]);
    size_t n = crypt_hash(a->strength == 3 ? MBEDTLS_MD_SHA256 : MBEDTLS_MD_MD5, bytes_written(&w), hash);
    for (size_t i = 0; i < n; i++) text_putf(&hex, "%02x", hash[i]);
    out[hex.n] = 0;
    crypt_wipe(text, sizeof text);
}

/* The Authorization line of one request: Basic (RFC 7617 2) or Digest (RFC 7616 3.4). cnonce: random text of this
 * conversation. */
static void rtsp_authorize(struct rtsp_auth *a, const struct rtsp_url *u, const char *method, const char *uri,
                           const char *cnonce, struct wr *w) {
    char ha1[2 * CRYPT_HASH_MAX + 1], ha2[sizeof ha1], response[sizeof ha1], nc[12];
    if (a->strength == 1) {
        uint8_t both[2 * RTSP_WORD];
        struct wr b = bytes_wr(both, sizeof both);
        text_putf(&b, "%s:%s", u->user, u->password);
        text_put(w, "Authorization: Basic ");
        bytes_base64(w, bytes_written(&b));
        text_put(w, "\r\n");
        crypt_wipe(both, sizeof both);
    }
    if (a->strength < 2) return;
    snprintf(nc, sizeof nc, "%08x", ++a->count);
    rtsp_digest(a, ha1, (const char *const[]){u->user, a->realm, u->password, NULL});
    if (a->session) rtsp_digest(a, ha1, (const char *const[]){ha1, a->nonce, cnonce, NULL});
    rtsp_digest(a, ha2, (const char *const[]){method, uri, NULL});
    if (a->qop) rtsp_digest(a, response, (const char *const[]){ha1, a->nonce, nc, cnonce, "auth", ha2, NULL});
    else rtsp_digest(a, response, (const char *const[]){ha1, a->nonce, ha2, NULL});
    text_put(w, "Authorization: Digest username=\"");
    for (const char *c = u->user; *c; c++) text_putf(w, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    text_putf(w, "\", realm=\"%s\", nonce=\"%s\", ", a->realm, a->nonce);
    text_putf(w, "uri=\"%s\", response=\"%s\"", uri, response);
    if (a->algorithm[0]) text_putf(w, ", algorithm=%s", a->algorithm);
    if (a->opaque[0]) text_putf(w, ", opaque=\"%s\"", a->opaque);
    if (a->qop) text_putf(w, ", qop=auth, nc=%s", nc);
    if (a->qop || a->session) text_putf(w, ", cnonce=\"%s\"", cnonce);
    text_put(w, "\r\n");
    crypt_wipe(ha1, sizeof ha1);
}

/* One m= section of a camera's SDP. */
struct rtsp_track {
    struct span kind, control, sets; /* sets: sprop-parameter-sets */
    bool listed[128];                /* the payload types of the m= line */
    bool h264;
    enum base_sounds sound;
    char name[24]; /* of the codec, as the camera writes it */
    uint8_t pt;
};

struct rtsp_sdp {
    struct span control; /* of the session */
    struct rtsp_track video, audio;
};

static void rtsp_set_codec(struct rtsp_track *t, struct span name) {
    text_copy(t->name, sizeof t->name, name);
    for (char *c = t->name; *c; c++) /* it is told in words, in logs too */
        if (*c <= ' ' || *c > '~') *c = '?';
    t->h264 = text_like(name, "H264");
    t->sound = BASE_SILENT;
    for (int i = 1; i < BASE_SOUNDS; i++)
        if (text_like(name, base_sound[i].name)) t->sound = (enum base_sounds)i;
}

/* m=video 0 RTP/AVP 96 97; the static payload types need no rtpmap (RFC 3551 6). */
static void rtsp_media_line(struct rtsp_track *t, struct span line) {
    uint64_t pt;
    struct span format;
    memset(t, 0, sizeof *t);
    t->kind = text_word(&line);
    text_word(&line);
    text_word(&line);
    t->pt = 127;
    for (bool first = true; (format = text_word(&line)).n; first = false) {
        if (!text_uint(format, 127, &pt)) continue;
        if (first) t->pt = (uint8_t)pt;
        t->listed[pt] = true;
    }
    pt = t->pt;
    rtsp_set_codec(t, text_of(pt == 0 ? "PCMU" : pt == 8 ? "PCMA" : pt == 26 ? "JPEG" : pt == 33 ? "MP2T" : "unknown"));
}

/* Of several formats the first that can be shown counts. */
static void rtsp_map(struct rtsp_track *t, uint8_t pt, struct span line) {
    struct span rate = line, name = text_cut(&rate, '/');
    struct rtsp_track seen = *t;
    uint64_t hertz;
    seen.pt = pt;
    rtsp_set_codec(&seen, name);
    bool odd = text_uint(text_cut(&rate, '/'), 192000, &hertz) && hertz != base_sound[seen.sound].rate;
    if (seen.sound && odd) rtsp_set_codec(&seen, line); /* G.711 at 16 kHz: no browser plays that */
    bool better = t->listed[pt] && !t->h264 && !t->sound && (seen.h264 || seen.sound);
    if (pt == t->pt || better) *t = seen;
}

static void rtsp_attribute(struct rtsp_track *t, struct span line) {
    uint64_t pt;
    if (text_after(&line, "control:")) t->control = text_trim(line);
    bool map = text_after(&line, "rtpmap:"), fmtp = !map && text_after(&line, "fmtp:");
    if ((!map && !fmtp) || !text_uint(text_word(&line), 127, &pt)) return;
    line = text_trim(line);
    if (map) rtsp_map(t, (uint8_t)pt, line);
    if (pt != t->pt) return;
    while (fmtp && line.n) {
        struct span value = text_trim(text_cut(&line, ';')), key = text_cut(&value, '=');
        if (text_like(text_trim(key), "sprop-parameter-sets")) t->sets = text_trim(value);
    }
}

/* Of several tracks of a kind the first that can be shown counts. */
static void rtsp_keep(struct rtsp_sdp *sdp, const struct rtsp_track *t) {
    struct rtsp_track *to = text_is(t->kind, "video") ? &sdp->video : text_is(t->kind, "audio") ? &sdp->audio : NULL;
    if (to && (!to->kind.n || (!to->h264 && !to->sound && (t->h264 || t->sound)))) *to = *t;
}

/* Takes any text: lines that are none are left out. Spans point into it. */
static void rtsp_read_sdp(struct span text, struct rtsp_sdp *sdp) {
    struct rtsp_track t = {0};
    memset(sdp, 0, sizeof *sdp);
    while (text.n) {
        struct span line = text_line(&text);
        if (text_after(&line, "m=")) {
            rtsp_keep(sdp, &t);
            rtsp_media_line(&t, line);
        } else if (text_after(&line, "a=")) {
            if (t.kind.n) rtsp_attribute(&t, line);
            else if (text_after(&line, "control:")) sdp->control = text_trim(line);
        }
    }
    rtsp_keep(sdp, &t);
}

/* sprop-parameter-sets (RFC 6184 8.1) as NAL units with start codes. */
static void rtsp_put_sets(struct wr *w, struct span list) {
    while (list.n) {
        struct wr undo = *w;
        struct span set = text_trim(text_cut(&list, ','));
        bytes_w32(w, 1);
        if (!set.n || !bytes_unbase64(w, set)) *w = undo;
    }
}

/* An address in a camera's message, joined with base as cameras mean it: literally, with one slash; never with a name and
 * password. false: it does not fit, or is none. */
static bool rtsp_resolve(char to[RTSP_URL], const char *base, struct span s) {
    struct rtsp_url u;
    char joined[RTSP_URL];
    struct wr w = bytes_wr(joined, sizeof joined - 1);
    if (!s.n || text_is(s, "*")) return text_copy(to, RTSP_URL, text_of(base)), true;
    if (!rtsp_plain(s) || memchr(s.p, ' ', s.n)) return false;
    struct span rest = s;
    while (text_after(&rest, "rtsp://") || text_after(&rest, "rtsps://")) { /* some double the scheme */
        struct span more = rest;
        if (text_after(&more, "rtsp://") || text_after(&more, "rtsps://")) s = rest;
        else return rtsp_read_url(s, &u) && (text_copy(to, RTSP_URL, text_of(u.url)), true);
    }
    text_put(&w, base);
    if (w.n && w.p[w.n - 1] != '/' && s.p[0] != '/') text_put(&w, "/");
    if (w.n && w.p[w.n - 1] == '/' && s.p[0] == '/') w.n--;
    bytes_put(&w, s.p, s.n);
    joined[w.n] = 0;
    text_copy(to, RTSP_URL, bytes_written(&w));
    return !w.bad;
}

/* ==== 18 dialog =============================================================
 * One conversation with a camera, from OPTIONS to TEARDOWN: bytes and time in, bytes and events out.
 *
 *   OPTIONS -> DESCRIBE -> SETUP (video) -> SETUP (audio) -> PLAY -> PLAYING
 *   any --refused, silence, nothing to show--> FAILED
 *
 * One request is under way at a time. DEVIATION: of what a camera answers the status counts, not its CSeq (RFC 2326
 * 12.17): some get that wrong.
 * pure; uses base, bytes, text, crypt, rtsp
 */
enum dialog_state {
    DIALOG_OPTIONS,
    DIALOG_DESCRIBE,
    DIALOG_SETUP_VIDEO,
    DIALOG_SETUP_AUDIO,
    DIALOG_PLAY,
    DIALOG_PLAYING,
    DIALOG_FAILED
};
enum dialog_limits {
    DIALOG_OUT = 4096,
    DIALOG_STALE = 3,
    DIALOG_NOISE = 64 * 1024, /* bytes in a row that are neither message nor media */
    DIALOG_CHATTER = 1000     /* messages in a row that are no answers */
};
#define DIALOG_PATIENCE (10 * BASE_S) /* with an unanswered request */
#define DIALOG_ALIVE    (30 * BASE_S) /* between two signs of life; less when the camera's timeout is shorter */

/* What dialog_input found: the caller goes on with the rest of its bytes. */
enum dialog_event {
    DIALOG_MORE,  /* more bytes are needed */
    DIALOG_STEP,  /* a message, or rubbish, was read */
    DIALOG_VIDEO, /* payload is an RTP packet */
    DIALOG_AUDIO,
    DIALOG_CONTROL, /* payload is RTCP */
    DIALOG_SETS     /* payload holds parameter sets with start codes */
};

struct dialog_track {
    enum base_sounds sound;
    char name[24]; /* of the codec */
    uint8_t pt;
    char control[RTSP_URL];
    int channel;             /* of its RTP packets; RTCP's is the next one; -1: none */
    uint16_t server_port[2]; /* by UDP: RTP, RTCP; 0: not told */
};

struct dialog {
    enum dialog_state state;
    char why[192];           /* a sentence once FAILED */
    bool forbidden;          /* it is the password: trying again at once would lock us out */
    bool refused;            /* the camera does not take this transport */
    char location[RTSP_URL]; /* where the camera sent us; "" : nowhere */
    struct rtsp_url url;
    struct rtsp_auth auth;
    char cnonce[24], base[RTSP_URL], control[RTSP_URL], session[RTSP_WORD];
    struct dialog_track video, audio;
    bool want_audio, udp;
    uint16_t client_port[2]; /* by UDP: for video, for audio; RTCP's is one higher */
    bool has_get_parameter;
    bool tried;       /* the request was repeated with credentials */
    bool tried_range; /* PLAY was refused with a Range */
    unsigned stale;   /* times that they were right and their nonce too old */
    unsigned cseq;
    int64_t sent, next_alive, alive; /* sent: when the request under way left; 0: none is */
    uint8_t sets[RTSP_SETS];
    size_t sets_n;
    size_t noise, chatter;
    uint8_t out[DIALOG_OUT]; /* to be sent: the caller takes it out */
    size_t out_n;
};

static void dialog_fail(struct dialog *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(d->why, sizeof d->why, format, args);
    va_end(args);
    d->state = DIALOG_FAILED;
}

static void dialog_request(struct dialog *d, const char *method, const char *url, const char *extra, int64_t now) {
    struct wr w = bytes_wr(d->out + d->out_n, sizeof d->out - d->out_n);
    text_putf(&w, "%s %s RTSP/1.0\r\nCSeq: %u\r\nUser-Agent: webrtc_cam/" WCAM_VERSION "\r\n", method, url, ++d->cseq);
    if (d->session[0]) text_putf(&w, "Session: %s\r\n", d->session);
    rtsp_authorize(&d->auth, &d->url, method, url, d->cnonce, &w);
    text_putf(&w, "%s\r\n", extra);
    d->sent = w.bad ? 0 : now;
    if (!w.bad) d->out_n += w.n;
    else if (d->state != DIALOG_PLAYING) dialog_fail(d, "The camera does not read what is sent to it.");
}

/* The last word. */
static void dialog_teardown(struct dialog *d, int64_t now) {
    if (d->session[0] && d->state != DIALOG_FAILED) dialog_request(d, "TEARDOWN", d->control, "", now);
}

static void dialog_setup(struct dialog *d, struct dialog_track *t, bool audio, int64_t now) {
    char extra[160];
    unsigned n = audio ? 2 : 0;
    if (d->udp)
        snprintf(extra, sizeof extra, "Transport: RTP/AVP;unicast;client_port=%u-%u\r\n", d->client_port[audio],
                 d->client_port[audio] + 1u);
    else snprintf(extra, sizeof extra, "Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u\r\n", n, n + 1);
    t->channel = (int)n;
    dialog_request(d, "SETUP", t->control, extra, now);
}

/* The request of the present state. */
static void dialog_ask(struct dialog *d, int64_t now) {
    switch (d->state) {
    case DIALOG_OPTIONS: dialog_request(d, "OPTIONS", d->url.url, "", now); break;
    case DIALOG_DESCRIBE: dialog_request(d, "DESCRIBE", d->url.url, "Accept: application/sdp\r\n", now); break;
    case DIALOG_SETUP_VIDEO: dialog_setup(d, &d->video, false, now); break;
    case DIALOG_SETUP_AUDIO: dialog_setup(d, &d->audio, true, now); break;
    case DIALOG_PLAY: dialog_request(d, "PLAY", d->control, d->tried_range ? "" : "Range: npt=0.000-\r\n", now); break;
    case DIALOG_PLAYING:
        dialog_request(d, d->has_get_parameter ? "GET_PARAMETER" : "OPTIONS", d->control, "", now);
        break;
    case DIALOG_FAILED: break;
    }
}

static void dialog_go(struct dialog *d, enum dialog_state state, int64_t now) {
    d->state = state;
    d->tried = false;
    dialog_ask(d, now);
}

/* The connection stands. client_port NULL: media come over it; else by UDP to these. */
static void dialog_start(struct dialog *d, const struct rtsp_url *url, bool want_audio, const uint16_t *client_port,
                         struct crypt *c, int64_t now) {
    memset(d, 0, sizeof *d);
    d->url = *url;
    d->want_audio = want_audio;
    d->udp = client_port != NULL;
    for (int i = 0; i < 2 && client_port; i++) d->client_port[i] = client_port[i];
    d->video.channel = d->audio.channel = -1;
    d->alive = DIALOG_ALIVE;
    crypt_name(c, 12, d->cnonce, sizeof d->cnonce);
    dialog_go(d, DIALOG_OPTIONS, now);
}

/* 401. Once per request; again when the nonce is only stale (RFC 7616 3.3). */
static void dialog_unauthorized(struct dialog *d, const struct rtsp_message *m, int64_t now) {
    struct rtsp_auth asked;
    bool understood = rtsp_challenged(&asked, m);
    if (d->state == DIALOG_PLAYING && (d->tried || !d->url.named || !understood)) return; /* the picture runs */
    if (!d->url.named) {
        d->forbidden = true;
        dialog_fail(d, "The camera asks for a name and password: write rtsp://NAME:PASSWORD@ADDRESS.");
    } else if (!understood) dialog_fail(d, "The camera asks for the password in a way that is not understood here.");
    else if (d->tried && (!asked.stale || ++d->stale > DIALOG_STALE)) {
        d->forbidden = true;
        dialog_fail(d, "The camera refuses the name or the password.");
    } else {
        d->tried = true;
        d->auth = asked;
        dialog_ask(d, now);
    }
}

static void dialog_options(struct dialog *d, const struct rtsp_message *m, int64_t now) {
    struct span list = rtsp_header(m, "public");
    while (list.n)
        d->has_get_parameter = text_like(text_trim(text_cut(&list, ',')), "GET_PARAMETER") || d->has_get_parameter;
    dialog_go(d, DIALOG_DESCRIBE, now);
}

static bool dialog_track(struct dialog *d, struct dialog_track *t, const struct rtsp_track *from) {
    t->sound = from->sound;
    t->pt = from->pt;
    return rtsp_resolve(t->control, d->base, from->control);
}

/* What there is to see, and where: addresses are relative to the first one known (RFC 2326 C.1.1). */
static void dialog_described(struct dialog *d, const struct rtsp_message *m, int64_t now) {
    struct rtsp_sdp sdp;
    struct span base = rtsp_header(m, "content-base");
    struct wr sets = bytes_wr(d->sets, sizeof d->sets);
    if (!base.n) base = rtsp_header(m, "content-location");
    /* one without a scheme, or for which there is no room, is not used */
    if (!base.n || !rtsp_resolve(d->base, "", base) ||
        (strncmp(d->base, "rtsp://", 7) && strncmp(d->base, "rtsps://", 8)))
        text_copy(d->base, sizeof d->base, text_of(d->url.url));
    rtsp_read_sdp(m->body, &sdp);
    if (!sdp.video.kind.n) {
        dialog_fail(d, "The camera offers no video at this address.");
        return;
    }
    if (!sdp.video.h264) {
        dialog_fail(d,
                    "The camera sends %s, which is not H.264: choose H.264 in its settings, or another stream of it.",
                    sdp.video.name);
        return;
    }
    rtsp_put_sets(&sets, sdp.video.sets);
    d->sets_n = sets.bad ? 0 : sets.n;
    bool ok = rtsp_resolve(d->control, d->base, sdp.control) && dialog_track(d, &d->video, &sdp.video);
    if (d->want_audio) text_copy(d->audio.name, sizeof d->audio.name, text_of(sdp.audio.name));
    if (d->want_audio && sdp.audio.sound) ok = ok && dialog_track(d, &d->audio, &sdp.audio);
    if (ok) dialog_go(d, DIALOG_SETUP_VIDEO, now);
    else dialog_fail(d, "The camera's addresses cannot be used.");
}

/* "a-b" or "a" */
static bool dialog_pair(struct span s, uint64_t max, uint64_t out[2]) {
    struct span first = text_trim(text_cut(&s, '-'));
    if (!text_uint(first, max, &out[0])) return false;
    if (!text_uint(text_trim(s), max, &out[1])) out[1] = out[0] + 1;
    return true;
}

/* RFC 2326 12.37 and 12.39: what the session is called and how long it lives, which way its packets go. */
static void dialog_set_up(struct dialog *d, struct dialog_track *t, const struct rtsp_message *m, int64_t now) {
    struct span list = rtsp_header(m, "transport"), session = rtsp_header(m, "session");
    bool interleaved = false, ported = false;
    uint64_t pair[2], seconds;
    if (session.n) rtsp_keep_text(d->session, sizeof d->session, text_trim(text_cut(&session, ';')));
    while (session.n) {
        struct span value = text_trim(text_cut(&session, ';')), key = text_cut(&value, '=');
        if (text_like(text_trim(key), "timeout") && text_uint(text_trim(value), 86400, &seconds) && seconds)
            d->alive = base_max(BASE_S, base_min(DIALOG_ALIVE, (int64_t)seconds * BASE_S / 2));
    }
    while (list.n) {
        struct span value = text_trim(text_cut(&list, ';')), key = text_cut(&value, '=');
        if (text_like(key, "interleaved") && dialog_pair(value, 254, pair))
            t->channel = (int)pair[0], interleaved = true;
        if (text_like(key, "client_port") || text_like(key, "server_port")) ported = true;
        if (text_like(key, "server_port") && dialog_pair(value, 65534, pair))
            t->server_port[0] = (uint16_t)pair[0], t->server_port[1] = (uint16_t)pair[1];
    }
    if (d->udp ? interleaved : ported && !interleaved) { /* it does as it likes */
        dialog_teardown(d, now);
        d->refused = true;
        dialog_fail(d, "The camera does not send media over %s.", d->udp ? "UDP" : "TCP");
        return;
    }
    bool more = t == &d->video && d->audio.control[0];
    dialog_go(d, more ? DIALOG_SETUP_AUDIO : DIALOG_PLAY, now);
}

/* An answer with 200. */
static void dialog_ok(struct dialog *d, const struct rtsp_message *m, int64_t now) {
    switch (d->state) {
    case DIALOG_OPTIONS: dialog_options(d, m, now); break;
    case DIALOG_DESCRIBE: dialog_described(d, m, now); break;
    case DIALOG_SETUP_VIDEO: dialog_set_up(d, &d->video, m, now); break;
    case DIALOG_SETUP_AUDIO: dialog_set_up(d, &d->audio, m, now); break;
    case DIALOG_PLAY:
        d->state = DIALOG_PLAYING;
        d->next_alive = now + d->alive;
        break;
    case DIALOG_PLAYING:
    case DIALOG_FAILED: break;
    }
}

/* Not every camera counts GET_PARAMETER as a sign of life: before its timeout is over, the other one is tried. */
static void dialog_other_sign(struct dialog *d, int64_t now) {
    if (d->has_get_parameter) d->next_alive = now;
    d->has_get_parameter = false;
}

/* Any other answer. */
static void dialog_refused(struct dialog *d, const struct rtsp_message *m, int64_t now) {
    struct span location = rtsp_header(m, "location");
    if (d->state == DIALOG_PLAYING) dialog_other_sign(d, now); /* the picture runs: a sign of life may fail */
    else if (d->state == DIALOG_OPTIONS) dialog_go(d, DIALOG_DESCRIBE, now);
    else if (d->state == DIALOG_SETUP_AUDIO) {
        d->audio.control[0] = 0; /* then without sound */
        d->audio.channel = -1;
        dialog_go(d, DIALOG_PLAY, now);
    } else if (m->status / 100 == 3 && location.n && location.n < sizeof d->location) {
        text_copy(d->location, sizeof d->location, location);
        dialog_fail(d, "The camera moved to another address.");
    } else if (d->state == DIALOG_PLAY && !d->tried_range) { /* some take the Range of a live stream for a seek */
        d->tried_range = true;
        dialog_go(d, DIALOG_PLAY, now);
    } else if (m->status == 461) {
        d->refused = true;
        dialog_fail(d, "The camera does not send media over %s.", d->udp ? "UDP" : "TCP");
    } else if (m->status == 404)
        dialog_fail(d, "The camera has no stream at this path (404): look it up in its manual.");
    else if (m->status == 453 || m->status == 503)
        dialog_fail(d, "The camera is busy: it serves no more viewers (%d).", m->status);
    else dialog_fail(d, "The camera refuses with status %d.", m->status);
}

/* Some cameras ask us things; any answer keeps them going. */
static void dialog_answer(struct dialog *d, const struct rtsp_message *m) {
    struct wr w = bytes_wr(d->out + d->out_n, sizeof d->out - d->out_n);
    struct span cseq = rtsp_header(m, "cseq");
    if (!rtsp_plain(cseq)) return;
    text_put(&w, "RTSP/1.0 200 OK\r\nCSeq: ");
    bytes_put(&w, cseq.p, cseq.n);
    text_put(&w, "\r\n\r\n");
    if (!w.bad) d->out_n += w.n;
}

static enum dialog_event dialog_message(struct dialog *d, const struct rtsp_message *m, int64_t now) {
    bool asked = d->sent != 0 && m->status >= 200, playing = d->state == DIALOG_PLAY;
    d->chatter = asked ? 0 : d->chatter + 1;
    if (d->chatter > DIALOG_CHATTER) dialog_fail(d, "The camera sends messages without end.");
    if (d->state == DIALOG_FAILED) return DIALOG_STEP;
    if (!m->status) dialog_answer(d, m);
    if (m->status < 200) return DIALOG_STEP;
    d->sent = 0;
    if (!asked) return DIALOG_STEP; /* nothing was asked: a late answer */
    if (m->status == 401) dialog_unauthorized(d, m, now);
    else if (m->status / 100 == 2) dialog_ok(d, m, now);
    else dialog_refused(d, m, now);
    return !playing && d->state == DIALOG_PLAY && d->sets_n ? DIALOG_SETS : DIALOG_STEP;
}

static void dialog_count_noise(struct dialog *d, size_t n) {
    d->noise += n;
    if (d->noise > DIALOG_NOISE)
        dialog_fail(d, "The camera sends what is no RTSP: look its address and port up in its manual.");
}

/* What an interleaved frame of n bytes is. Some send the first picture ahead of the answer to PLAY. */
static enum dialog_event dialog_frame(struct dialog *d, int channel, size_t n) {
    bool sound = d->audio.channel >= 0, media = (d->state == DIALOG_PLAY || d->state == DIALOG_PLAYING) && !d->udp;
    enum dialog_event e = DIALOG_STEP;
    if (media && channel == d->video.channel) e = DIALOG_VIDEO;
    else if (media && sound && channel == d->audio.channel) e = DIALOG_AUDIO;
    else if (media && channel == d->video.channel + 1) e = DIALOG_CONTROL;
    else if (media && sound && channel == d->audio.channel + 1) e = DIALOG_CONTROL;
    if (e == DIALOG_STEP) dialog_count_noise(d, n);
    else d->noise = d->chatter = 0;
    return e;
}

/* Reads the next thing from the connection's bytes: sets *used and, for media, *payload. What is neither a frame nor a
 * message is skipped up to where one may begin. */
static enum dialog_event dialog_input(struct dialog *d, struct span in, int64_t now, size_t *used,
                                      struct span *payload) {
    struct rtsp_message m;
    size_t n = 0;
    *used = 0;
    if (!in.n) return DIALOG_MORE;
    if (in.p[0] == '$') { /* RFC 2326 10.12: $ | channel | length | data */
        struct rd r = bytes_rd(in);
        bytes_r8(&r);
        int channel = bytes_r8(&r);
        *payload = bytes_take(&r, bytes_r16(&r));
        if (r.bad) return DIALOG_MORE;
        *used = in.n - bytes_left(&r);
        return dialog_frame(d, channel, *used);
    }
    int begins = rtsp_begins(in), rc = begins <= 0 ? begins : rtsp_read(in, &m);
    if (begins > 0 && in.p[0] == 'H' && d->state != DIALOG_PLAYING) {
        dialog_fail(d, "This is a web server's port, not the one of RTSP, which is mostly 554.");
        *used = in.n;
        return DIALOG_STEP;
    }
    if (rc == 0) return DIALOG_MORE;
    if (rc > 0) {
        *used = (size_t)rc;
        d->noise = 0;
        enum dialog_event e = dialog_message(d, &m, now);
        if (e == DIALOG_SETS) *payload = base_span(d->sets, d->sets_n);
        return e;
    }
    n = 1;
    while (n < in.n && in.p[n] != '$' && rtsp_begins(base_span(in.p + n, in.n - n)) < 0) n++;
    *used = n;
    dialog_count_noise(d, n);
    return DIALOG_STEP;
}

static int64_t dialog_tick(struct dialog *d, int64_t now) {
    if (d->state == DIALOG_FAILED) return BASE_NEVER;
    bool playing = d->state == DIALOG_PLAYING;
    int64_t patience = playing ? base_min(DIALOG_PATIENCE, d->alive / 2) : DIALOG_PATIENCE;
    if (d->sent && now - d->sent >= patience) {
        d->sent = 0;
        if (playing) dialog_other_sign(d, now); /* some never answer GET_PARAMETER */
        else {
            dialog_fail(
                d, d->noise
                       ? "The camera's answer is no RTSP that can be read: look its address and port up in its manual."
                       : "The camera does not answer.");
            return BASE_NEVER;
        }
    }
    if (d->state == DIALOG_PLAYING && !d->sent && now >= d->next_alive) {
        d->tried = false;
        d->next_alive = now + d->alive;
        dialog_ask(d, now);
    }
    if (d->sent) return d->sent + patience;
    return d->state == DIALOG_PLAYING ? d->next_alive : BASE_NEVER;
}

/* ==== 19 media ==============================================================
 * One stream: takes NAL units in, keeps the parameter sets in force, and packetizes each access unit once into the
 * history that all viewers send from.
 *
 *   packets   oldest ........ gop ............ head   next        indices only grow; slot = index % MEDIA_SLOTS
 *             | kept for repair | the current GOP | held
 *
 * [oldest, head) may be sent. The last packet of an unfinished access unit is held, since its marker bit is not known.
 * A joiner begins at gop, the first packet of the newest IDR, as long as that is still kept.
 * SEI, AUD, filler and vendors' NAL units are not forwarded: no WebRTC decoder needs them.
 * pure; uses base, bytes, text, h264, rtp
 */
enum media_limits {
    MEDIA_SOUNDS = 64,
    MEDIA_SLOTS = 16384,
    MEDIA_HISTORY = 8 * 1024 * 1024,
    MEDIA_HISTORY_MIN = 64 * 1024
};
enum media_flags { MEDIA_FIRST = 1, MEDIA_LAST = 2, MEDIA_KEY = 4 };
#define MEDIA_NONE UINT64_MAX

/* WebRTC decoders show pictures in the order in which they come. Pictures that nothing refers to can be left out without
 * harm; that helps when the others are in order. Else only IDRs are left, which are always in order. */
enum media_policy { MEDIA_ALL, MEDIA_REFERENCES, MEDIA_IDRS };

struct media_packet {
    int64_t time; /* of its access unit, on the server's clock */
    uint32_t at;  /* of its payload in bytes[] */
    uint16_t n;
    uint8_t flags;
};

/* One packet of sound. */
struct media_sound {
    int64_t time;
    uint32_t ticks; /* of its clock */
    enum base_sounds kind;
    uint16_t n;
    uint8_t bytes[RTP_PAYLOAD];
};

struct media {
    char name[BASE_NAME + 1], sub[BASE_NAME + 1];
    struct media *better, *lesser; /* streams of the same camera; NULL: none */
    const char *kind;              /* "rtsp", "file", "pipe", "test", "push" */
    struct h264_sets sets;
    uint64_t *drops;

    uint8_t *bytes; /* payloads; the caller's, as packet[] is */
    size_t cap, write;
    struct media_packet *packet; /* MEDIA_SLOTS of them */
    uint64_t oldest, head, next, gop;
    uint64_t unit; /* first packet of the newest access unit */
    size_t gop_bytes, gop_bytes_max;

    bool open, key, sliced; /* the access unit in work: begun, an IDR, something of it was stored */
    bool pictured, dropped; /* of it: a slice was seen, its slices are left out */
    bool broken;            /* pictures are left out until the next IDR */
    bool idr_field;         /* the picture before was one field of an IDR */
    bool fresh;             /* a parameter set came that viewers do not have yet */
    int64_t time;           /* of it */
    bool on_demand;         /* the source can make an IDR when asked */
    bool want_key;          /* a viewer needs an IDR: for the source to read and clear */
    int64_t asked;
    bool ended;

    uint64_t frames, keys, octets, seen; /* seen: NAL units, stored or not */
    int gop_frames, key_interval_ms;
    int64_t key_time, window; /* window: begin of the second that is measured */
    uint64_t window_octets, window_frames;
    unsigned kbps, mean_kbps;
    double fps;
    const struct h264_sps *sps; /* of the newest slice */
    enum media_policy policy;
    struct h264_order order;
    int64_t poc_all, poc_references; /* the highest since the IDR: of all pictures, of reference pictures */
    bool opened;                     /* by a viewer */
    bool may_sound;                  /* the source may have sound: browsers are told to expect some */
    struct media_sound *sound;       /* MEDIA_SOUNDS of them, the caller's; NULL: none may come */
    uint64_t sounds;                 /* packets so far; the newest are kept */
    char silence[96];                /* why there is no sound, in words; "": nobody has to be told */
    const char *unplayable; /* a property of the stream that no browser's decoder takes, in words; NULL: none */
    char trouble[160];      /* the source's own words when it has none to give */
};

static void media_start(struct media *m, uint8_t *bytes, size_t cap, struct media_packet *packets, uint64_t *drops) {
    m->bytes = bytes;
    m->cap = cap;
    m->packet = packets;
    m->drops = drops;
    m->gop = MEDIA_NONE;
    m->poc_all = m->poc_references = INT64_MIN;
}

static const struct media_packet *media_at(const struct media *m, uint64_t index) {
    return &m->packet[index % MEDIA_SLOTS];
}

/* Can a viewer begin now? */
static bool media_joinable(const struct media *m) {
    return m->gop != MEDIA_NONE && m->gop >= m->oldest && m->gop < m->head;
}

/* Drops the oldest packets that lie in [from, to) of bytes[]. Behind the write position lie the oldest ones, in order. */
static void media_evict(struct media *m, size_t from, size_t to) {
    while (m->oldest < m->next && media_at(m, m->oldest)->at >= from && media_at(m, m->oldest)->at < to) m->oldest++;
}

static void media_rewind(struct media *m) {
    media_evict(m, m->write, m->cap);
    m->write = 0;
}

/* Room for one payload in the history. */
static struct wr media_reserve(struct media *m) {
    if (m->write + RTP_PAYLOAD > m->cap) media_rewind(m);
    media_evict(m, m->write, m->write + RTP_PAYLOAD);
    if (m->next - m->oldest == MEDIA_SLOTS) m->oldest++;
    return bytes_wr(m->bytes + m->write, RTP_PAYLOAD);
}

/* Stores what was written to the reserved room, and lets go of the packet that was held. */
static void media_commit(struct media *m, const struct wr *w) {
    uint8_t flags = (uint8_t)((m->sliced ? 0 : MEDIA_FIRST) | (m->key ? MEDIA_KEY : 0));
    assert(!w->bad);
    m->packet[m->next % MEDIA_SLOTS] = (struct media_packet){m->time, (uint32_t)m->write, (uint16_t)w->n, flags};
    if (!m->sliced) {
        m->unit = m->next;
        if (m->key) m->gop = m->next;
    }
    m->sliced = true;
    m->head = m->next++;
    m->write += w->n;
    m->gop_bytes += w->n;
    m->octets += w->n;
}

/* Small NAL units share a packet: the held one, which no viewer has seen, takes them in as long as they fit. */
static bool media_join(struct media *m, struct span nal) {
    struct media_packet *p = &m->packet[(m->next - 1) % MEDIA_SLOTS];
    if (!m->sliced) return false;
    struct wr w = {m->bytes + p->at, p->n, RTP_PAYLOAD, false};
    if (!rtp_join(&w, nal)) return false;
    m->write += w.n - p->n;
    m->gop_bytes += w.n - p->n;
    m->octets += w.n - p->n;
    p->n = (uint16_t)w.n;
    return true;
}

static void media_append(struct media *m, struct span nal) {
    if (media_join(m, nal)) return;
    for (size_t at = 0; at < nal.n;) {
        struct wr w = media_reserve(m);
        rtp_fragment(nal, &at, &w);
        media_commit(m, &w);
    }
}

/* The current parameter sets in front of an IDR: in one STAP-A as far as they fit. */
static void media_append_sets(struct media *m) {
    const struct h264_sets *t = &m->sets;
    struct wr w = media_reserve(m);
    for (int type = H264_SPS; type <= H264_PPS; type++)
        for (int i = 0; i < t->count; i++) {
            struct span nal = base_span(t->raw + t->set[i].at, t->set[i].n);
            if (t->set[i].type != type || rtp_aggregate(&w, nal)) continue;
            if (w.n) {
                media_commit(m, &w);
                w = media_reserve(m);
            }
            if (!rtp_aggregate(&w, nal)) bytes_put(&w, nal.p, nal.n); /* H264_SET_MAX is below RTP_PAYLOAD */
        }
    if (w.n) media_commit(m, &w);
    m->fresh = false;
}

/* A GOP begins. When the last ones were small, the history starts over at its front: memory that is never touched is
 * never resident, and two GOPs are history enough. */
static void media_begin_gop(struct media *m) {
    m->gop_bytes_max = m->gop_bytes > m->gop_bytes_max ? m->gop_bytes : m->gop_bytes_max - m->gop_bytes_max / 16;
    m->gop_bytes = 0;
    if (m->write > MEDIA_HISTORY_MIN && m->write > 2 * m->gop_bytes_max) media_rewind(m);
    if (m->key_time) m->key_interval_ms = (int)base_min((m->time - m->key_time) / BASE_MS, INT_MAX);
    m->key_time = m->time;
    m->gop_frames = 0;
    m->keys++;
    media_append_sets(m);
}

/* What comes next does not continue what came before: nothing more is stored until the next IDR. */
static void media_break(struct media *m) { m->broken = m->dropped = true; }

/* Looks whether pictures come in the order in which they are shown, and decides what is forwarded. */
static void media_watch_order(struct media *m, const struct h264_slice *s) {
    int64_t poc = h264_poc(&m->order, m->sps, s);
    enum media_policy need = m->policy;
    if (m->sps->profile == 66)
        return; /* Baseline has no B slices (A.2.1); counts that go back come from lost pictures */
    if (s->idr) m->poc_all = m->poc_references = INT64_MIN;
    if (poc < m->poc_all && need == MEDIA_ALL) need = MEDIA_REFERENCES;
    if (s->reference && poc < m->poc_references) need = MEDIA_IDRS;
    m->poc_all = base_max(m->poc_all, poc);
    if (s->reference) m->poc_references = base_max(m->poc_references, poc);
    if (need == m->policy) return;
    m->policy = need;
    m->broken = !s->idr;
}

static void media_watch_playable(struct media *m, const struct h264_slice *s) {
    const char *why = m->sps->chroma_format != 1 || m->sps->bit_depth != 8
                          ? "The stream is not 8-bit 4:2:0, which browsers do not decode over WebRTC."
                      : m->sets.pps[s->pps].slice_groups
                          ? "The stream uses flexible macroblock ordering, which browsers do not decode."
                      : s->type >= 3
                          ? "The stream uses SP or SI slices (Extended profile), which browsers do not decode."
                          : NULL;
    if (why) m->unplayable = why;
}

/* The first slice of a picture decides what becomes of it. */
static void media_picture(struct media *m, const struct h264_slice *s) {
    m->key = s->idr;
    media_watch_playable(m, s);
    media_watch_order(m, s);
    bool second = s->field && m->idr_field; /* the other field of an IDR is no IDR (7.4.1.2.4) */
    bool left_out = (m->policy == MEDIA_REFERENCES && !s->reference) || (m->policy == MEDIA_IDRS && !s->idr && !second);
    m->idr_field = s->idr && s->field;
    m->broken = (m->broken || m->gop == MEDIA_NONE) && !s->idr;
    m->dropped = left_out || m->broken;
    if (m->dropped) m->drops[left_out ? DROP_H264_B_FRAME : DROP_H264_NO_IDR]++;
    else if (m->key) media_begin_gop(m);
    else if (m->fresh) media_append_sets(m); /* a new PPS inside a GOP (7.4.1.2.1) */
}

static void media_slice(struct media *m, struct span nal) {
    struct h264_slice s;
    if (!h264_read_slice(&m->sets, nal, &s)) {
        m->drops[DROP_H264_PARAMETERS]++;
        return;
    }
    m->sps = &m->sets.sps[m->sets.pps[s.pps].sps];
    if (!m->pictured) media_picture(m, &s);
    m->pictured = true;
    if (!m->dropped) media_append(m, nal);
}

/* The rate figures, once a second. */
static void media_measure(struct media *m) {
    int64_t span = m->time - m->window;
    if (m->window && span < BASE_S && span >= 0) return;
    if (m->window && span < 10 * BASE_S && span > 0) {
        m->kbps = (unsigned)((m->octets - m->window_octets) * 8000 / (uint64_t)span);
        m->mean_kbps = m->mean_kbps ? (m->mean_kbps * 3 + m->kbps) / 4 : m->kbps;
        m->fps = (double)(m->frames - m->window_frames) * 1e6 / (double)span;
    }
    m->window = m->time;
    m->window_octets = m->octets;
    m->window_frames = m->frames;
}

/* The access unit is complete: its last packet gets the marker (RFC 6184 5.1) and may leave. */
static void media_end(struct media *m) {
    if (!m->open) return;
    m->open = false;
    if (!m->sliced) return;
    m->packet[(m->next - 1) % MEDIA_SLOTS].flags |= MEDIA_LAST;
    m->head = m->next;
    m->frames++;
    m->gop_frames++;
    media_measure(m);
}

/* time: when its picture was taken, on the server's clock, microseconds. */
static void media_begin(struct media *m, int64_t time) {
    media_end(m);
    m->open = true;
    m->key = m->sliced = m->pictured = m->dropped = false;
    m->time = time;
}

/* An SPS that changes in mid-stream makes the GOP so far useless to joiners: an IDR must follow (7.4.1.2.1). */
static void media_set(struct media *m, struct span nal) {
    enum h264_stored got = h264_store(&m->sets, nal);
    if (got == H264_REFUSED) m->drops[DROP_H264_PARAMETERS]++;
    m->fresh = m->fresh || got == H264_NEW;
    if (got != H264_NEW || h264_type(nal) != H264_SPS) return;
    if (m->frames) m->gop = MEDIA_NONE;
    m->policy = MEDIA_ALL; /* another encoder, perhaps without B-frames */
    m->unplayable = NULL;
}

/* One NAL unit of the access unit that media_begin began. */
static void media_nal(struct media *m, struct span nal) {
    unsigned type = h264_type(nal);
    m->seen++;
    if (nal.n < 2 || nal.p[0] & 0x80) { /* 7.4.1: forbidden_zero_bit */
        m->drops[DROP_H264_NAL]++;
        return;
    }
    if (type == H264_SPS || type == H264_PPS) media_set(m, nal);
    else if (type == H264_SLICE || type == H264_IDR) media_slice(m, nal);
    else if (type >= H264_PARTITION_A && type <= H264_PARTITION_C)
        m->unplayable = "The stream has data partitions (Extended profile), which browsers do not decode.";
}

/* One whole access unit with start codes. false: there is no NAL unit in it. */
static bool media_push(struct media *m, struct span unit, int64_t time) {
    struct span nal = h264_next(&unit);
    if (!nal.n) return false;
    media_begin(m, time);
    for (; nal.n; nal = h264_next(&unit)) media_nal(m, nal);
    media_end(m);
    return true;
}

/* The source pauses: nobody begins with what is old. */
static void media_stop(struct media *m) {
    media_break(m);
    m->gop = MEDIA_NONE;
}

/* The source's own words about what is wrong; "": nothing is. */
static void media_trouble(struct media *m, const char *words) {
    text_copy(m->trouble, sizeof m->trouble, text_of(words));
}

static void media_store_sound(struct media *m, enum base_sounds kind, struct span payload, uint32_t ticks,
                              int64_t time) {
    struct media_sound *to = &m->sound[m->sounds++ % MEDIA_SOUNDS];
    *to = (struct media_sound){.time = time, .ticks = ticks, .kind = kind, .n = (uint16_t)payload.n};
    memcpy(to->bytes, payload.p, payload.n);
}

/* Sound that begins at time: one packet of Opus; G.711 of any length, a byte for a tick, in as many packets as it needs. */
static void media_push_sound(struct media *m, enum base_sounds kind, struct span payload, uint32_t ticks,
                             int64_t time) {
    if (!m->sound) return;
    if (kind == BASE_OPUS && payload.n > RTP_PAYLOAD) m->drops[DROP_SOUND_LARGE]++;
    else if (kind == BASE_OPUS && payload.n) media_store_sound(m, kind, payload, ticks, time);
    for (size_t n; kind != BASE_OPUS && payload.n; payload = base_span(payload.p + n, payload.n - n)) {
        n = (size_t)base_min((int64_t)payload.n, RTP_PAYLOAD);
        media_store_sound(m, kind, base_span(payload.p, n), ticks, time);
        ticks += (uint32_t)n;
        time += (int64_t)n * BASE_S / base_sound[kind].rate;
    }
}

/* A viewer cannot go on without an IDR. Sources that can make one look at want_key; once a second is enough. */
static void media_ask_key(struct media *m, int64_t now) {
    if (m->asked && now - m->asked < BASE_S) return;
    m->asked = now;
    m->want_key = true;
}

/* Why there is no picture, or may be none, in words; "" when all is well. */
static const char *media_reason(const struct media *m) {
    if (m->trouble[0]) return m->trouble;
    if (m->ended) return "The source has ended.";
    if (!m->seen) return "Nothing has come from the source yet.";
    if (m->unplayable) return m->unplayable;
    if (!m->sps) return "The stream carries no usable SPS and PPS, so no decoder can start.";
    if (m->policy == MEDIA_REFERENCES)
        return "The stream has B-frames, which browsers do not play over WebRTC: they are left out. Encode without "
               "them (bframes=0) for the full frame rate.";
    if (m->policy == MEDIA_IDRS)
        return "The stream has B-frames, which browsers do not play over WebRTC: only its keyframes are shown. Encode "
               "without them (bframes=0).";
    if (m->gop == MEDIA_NONE) return "No keyframe (IDR) has come yet, and a viewer can only start at one.";
    if (!media_joinable(m)) return "The keyframe interval is too long for the history: the next keyframe starts it.";
    return "";
}

static const char *media_state(const struct media *m) {
    return m->ended ? "ended" : m->frames && m->gop != MEDIA_NONE ? "live" : "waiting";
}

static const char *media_codec(const struct media *m) {
    if (!m->sps) return "";
    switch (m->sps->profile) {
    case 66: return m->sps->constraints & 0x40 ? "H.264 Constrained Baseline" : "H.264 Baseline";
    case 77: return "H.264 Main";
    case 88: return "H.264 Extended";
    case 100: return "H.264 High";
    default: return "H.264";
    }
}

/* profile-level-id (RFC 6184 8.1), 0 while unknown. */
static uint32_t media_profile(const struct media *m) {
    return m->sps ? (uint32_t)m->sps->profile << 16 | (uint32_t)m->sps->constraints << 8 | m->sps->level : 0;
}

/* ==== 20 intake =============================================================
 * A live byte stream (Annex B) in any chunking becomes access units, as early as can be known where they end.
 *
 * A NAL unit ends where the next start code begins, which is a picture later. So that the last one does not wait that
 * long, a pause in the stream ends it too, and with it the access unit. That is a guess: it is made only once the number
 * of slices per picture was the same for INTAKE_STEADY pictures and this picture has as many. When bytes of the same
 * NAL unit or slices of the same picture follow all the same, the picture on its way was broken: nothing is sent until
 * the next IDR and the pause gets twice as long; after the second time this source is not guessed at any more.
 * pure; uses base, h264, media
 */
enum intake_limits {
    INTAKE_STEADY = 30,
    INTAKE_STRIKES = 2,
    INTAKE_HEADER = 64 /* bytes that surely hold all of a slice header that h264_begins looks at */
};
#define INTAKE_PAUSE (4 * BASE_MS)

struct intake {
    struct media *media;
    struct h264_split split;
    struct h264_border border;
    int64_t began;                /* when the NAL unit in split began to come */
    int64_t pause, quiet;         /* the idle time that ends a NAL unit; when it is over, BASE_NEVER: not armed */
    unsigned slices, usual, same; /* of this picture; of the one before; pictures in a row with as many */
    bool guessed, skipping;       /* the access unit was ended by a pause; wrongly, and its rest is coming */
    unsigned zeros, strikes;      /* zeros: since the guess; 3 means that a start code followed */
    bool ended;
};

/* buf lives as long as in; a NAL unit larger than it is dropped. */
static void intake_start(struct intake *in, struct media *m, uint8_t *buf, size_t cap) {
    *in = (struct intake){.media = m, .split = {.buf = buf, .cap = cap}, .pause = INTAKE_PAUSE, .quiet = BASE_NEVER};
}

static bool intake_is_slice(struct span nal) { return h264_type(nal) == H264_SLICE || h264_type(nal) == H264_IDR; }

/* The guess was wrong. */
static void intake_strike(struct intake *in) {
    in->strikes++;
    in->pause *= 2;
    in->guessed = false;
    in->skipping = true; /* the rest of a picture is none, not even of an IDR */
    in->media->drops[DROP_H264_PAUSE]++;
    media_break(in->media);
}

static void intake_nal(struct intake *in, struct span nal) {
    struct media *m = in->media;
    bool slice = intake_is_slice(nal), begins = h264_begins(&in->border, &m->sets, nal);
    if (in->guessed && !slice && !begins) return; /* filler behind the picture that was ended: it says nothing yet */
    if (in->guessed && !begins) intake_strike(in);
    if (begins) in->skipping = false;
    if (in->skipping && slice) return;
    if (begins || !m->open) {
        if (slice || begins) {
            in->same = in->slices == in->usual ? in->same + 1 : 0;
            in->usual = in->slices;
            in->slices = 0;
        }
        media_begin(m, in->began);
    }
    in->slices += slice;
    in->guessed = false;
    media_nal(m, nal);
}

/* After a guess a start code must come, zeros before it allowed. */
static void intake_check_guess(struct intake *in, struct span bytes) {
    for (size_t i = 0; i < bytes.n && in->guessed && in->zeros < 3; i++) {
        if (!bytes.p[i]) in->zeros = in->zeros < 2 ? in->zeros + 1 : 2;
        else if (bytes.p[i] == 1 && in->zeros == 2) in->zeros = 3;
        else intake_strike(in);
    }
}

/* May a pause end the NAL unit that is coming in? If it is the last slice of its picture, as far as can be known. */
static bool intake_may_guess(const struct intake *in) {
    struct span nal = base_span(in->split.buf + in->split.at, in->split.n - in->split.at);
    struct h264_border peek = in->border;
    if (!in->split.inside || nal.n < 2 || !intake_is_slice(nal) || in->strikes >= INTAKE_STRIKES) return false;
    bool begins = h264_begins(&peek, &in->media->sets, nal); /* then in->slices counts the picture before it */
    unsigned have = begins ? 1 : in->slices + 1;
    return in->same >= INTAKE_STEADY && have == in->usual && (!begins || in->slices == in->usual);
}

/* The header of the slice that is coming in tells that the picture before it is complete: that need not wait for the rest. */
static void intake_peek(struct intake *in) {
    struct span nal = base_span(in->split.buf + in->split.at, in->split.n - in->split.at);
    struct h264_border peek = in->border;
    if (!in->media->open || !in->split.inside || nal.n < INTAKE_HEADER || !intake_is_slice(nal)) return;
    if (h264_begins(&peek, &in->media->sets, nal)) media_end(in->media);
}

static void intake_bytes(struct intake *in, struct span bytes, int64_t now) {
    intake_check_guess(in, bytes);
    if (!in->split.inside) in->began = now;
    while (bytes.n) {
        size_t room;
        uint8_t *to = h264_room(&in->split, &room);
        size_t n = bytes.n < room ? bytes.n : room;
        memcpy(to, bytes.p, n);
        h264_fed(&in->split, n);
        bytes = base_span(bytes.p + n, bytes.n - n);
        for (struct span nal; (nal = h264_split_next(&in->split, false)).n; in->began = now) intake_nal(in, nal);
    }
    in->media->drops[DROP_H264_LARGE] += in->split.too_large;
    in->split.too_large = 0;
    intake_peek(in);
    in->quiet = intake_may_guess(in) ? now + in->pause : BASE_NEVER;
}

/* Ends what is unfinished: after a pause, or at the end of the input. */
static void intake_flush(struct intake *in) {
    struct span nal = h264_split_next(&in->split, true);
    if (nal.n) intake_nal(in, nal);
    media_end(in->media);
    in->quiet = BASE_NEVER;
}

static void intake_end(struct intake *in) {
    intake_flush(in);
    in->ended = in->media->ended = true;
}

/* Returns when to call again. */
static int64_t intake_tick(struct intake *in, int64_t now) {
    if (now < in->quiet) return in->quiet;
    intake_flush(in);
    in->guessed = true;
    in->zeros = (unsigned)(in->split.n - in->split.at); /* that came already, at most 2 */
    return BASE_NEVER;
}

/* ==== 21 camera =============================================================
 * One IP camera as a source: when to dial it, what it says, its packets as access units on the server's clock.
 *
 *   IDLE --somebody watches--> DIALING --connected--> TALKING --nobody watches for CAMERA_LINGER--> IDLE
 *    ^                            |                      |
 *    '---nobody watches-- RESTING <------failed----------'    RESTING lasts longer with every failure
 *
 * pure; uses base, bytes, text, crypt, h264, rtp, depay, rtcp, rtsp, dialog, media
 */
#define CAMERA_LINGER   (10 * BASE_S) /* after the last viewer */
#define CAMERA_SILENCE  (10 * BASE_S) /* without a packet the camera counts as gone */
#define CAMERA_DIAL     (10 * BASE_S) /* for the connection to stand */
#define CAMERA_REST     (1 * BASE_S)  /* after the first failure; doubled up to CAMERA_REST_MAX */
#define CAMERA_REST_MAX (10 * BASE_S)
#define CAMERA_BARRED   (60 * BASE_S) /* after a wrong password: cameras lock out who tries again and again */
#define CAMERA_REPORT   (5 * BASE_S)
#define CAMERA_ASLEEP   "The camera is called when somebody watches."
enum camera_limits { CAMERA_STILL = 3 /* pictures with one timestamp: fields have two; more say nothing */ };
#define CAMERA_STEP (200 * BASE_MS) /* of its time of day: more is no drift */
#define CAMERA_LATE (2 * BASE_S)    /* between what the timestamps say and the arrival: more is a jump */

enum camera_state { CAMERA_IDLE, CAMERA_DIALING, CAMERA_TALKING, CAMERA_RESTING };

/* Maps the timestamps of one track to the server's time. */
struct camera_clock {
    bool running, jumped; /* jumped: at the last timestamp */
    uint32_t timestamp;
    int still;                   /* times in a row that the timestamp was the same */
    int64_t ticks, offset, last; /* unwrapped; server time minus the camera's; the last time given */
    bool told;                   /* the camera's sender report came: */
    int64_t zero;                /* its time of day at ticks 0, microseconds */
};

struct camera {
    enum camera_state state;
    struct media *media;
    struct crypt *crypt;
    struct rtsp_url url; /* now; home: as configured */
    struct rtsp_url home;
    struct dialog dialog;
    struct depay depay;
    bool keep_warm, udp;
    int moves;                           /* redirects followed */
    int64_t since, watched, heard, rest; /* since: in this state; rest: after the last failure */
    int64_t due;                         /* not called before */
    uint64_t frames;                     /* of the stream, when the connection stood */
    struct depay_window *window;         /* the caller's, for UDP; NULL: TCP keeps the order */
    int64_t reported;
    uint32_t ssrc, ssrc_sent, last_sr, cycles; /* the camera's, ours; of its last sender report */
    uint32_t sound_ssrc;
    int64_t sr_at;
    uint16_t highest;
    uint32_t told;    /* by the last receiver report: the highest number, */
    uint64_t missing; /* and how many were missing */
    struct camera_clock video_clock, sound_clock;
    uint16_t sound_seq;    /* of the last packet of sound */
    uint32_t sound_offset; /* ticks sent minus the camera's */
};

static void camera_start(struct camera *c, const struct rtsp_url *url, struct media *m, struct crypt *crypt,
                         uint8_t *unit, size_t cap) {
    memset(c, 0, sizeof *c);
    c->home = c->url = *url;
    c->media = m;
    c->crypt = crypt;
    c->udp = url->transport == RTSP_UDP;
    c->watched = -CAMERA_LINGER;
    depay_start(&c->depay, unit, cap);
    media_trouble(m, CAMERA_ASLEEP);
}

static void camera_set(struct camera *c, enum camera_state state, int64_t now) {
    c->state = state;
    c->since = now;
}

/* The connection stands. client_port and window: NULL, or media come by UDP to these ports. */
static void camera_connected(struct camera *c, const uint16_t *client_port, struct depay_window *window, int64_t now) {
    camera_set(c, CAMERA_TALKING, now);
    c->heard = now;
    c->frames = c->media->frames;
    c->video_clock.running = c->sound_clock.running = false;
    c->window = window;
    if (window) memset(window, 0, sizeof *window);
    c->reported = 0;
    c->missing = 0;
    c->last_sr = c->cycles = c->told = c->ssrc = c->sound_ssrc = 0;
    c->highest = 0;
    c->ssrc_sent = crypt_random32(c->crypt);
    depay_start(&c->depay, c->depay.unit, c->depay.cap);
    dialog_start(&c->dialog, &c->url, c->media->may_sound, client_port, c->crypt, now);
    c->media->silence[0] = 0;
    media_trouble(c->media, "The camera answered; waiting for its picture.");
}

/* The conversation is over, whatever the reason: a later one starts afresh, and nobody begins with an old picture. */
static void camera_over(struct camera *c, enum camera_state state, const char *why, int64_t now) {
    camera_set(c, state, now);
    media_stop(c->media);
    media_trouble(c->media, why);
}

/* A failed attempt. */
static void camera_failed(struct camera *c, const char *why, int64_t now) {
    struct dialog *d = &c->dialog;
    bool again = false; /* at once, in another way */
    /* what TLS was asked for does not go by plain UDP because the camera likes that better */
    if (c->state == CAMERA_TALKING && d->refused && c->home.transport == RTSP_ANY && !c->home.tls && c->moves++ < 3) {
        c->udp = !c->udp;
        again = true;
    }
    if (c->state == CAMERA_TALKING && d->location[0] && c->moves++ < 3) {
        struct rtsp_url to;
        again = rtsp_read_url(text_of(d->location), &to) && !strcmp(to.host, c->home.host) && to.tls == c->home.tls;
        if (again) {
            to.named = c->home.named;
            text_copy(to.user, sizeof to.user, text_of(c->home.user));
            text_copy(to.password, sizeof to.password, text_of(c->home.password));
            c->url = to;
        } else why = "The camera sends us to another host, which is not followed.";
    }
    int64_t jitter = (int64_t)(crypt_random32(c->crypt) % 256);
    bool forbidden = c->state == CAMERA_TALKING && d->forbidden;
    camera_over(c, CAMERA_RESTING, why, now);
    c->due = now;
    if (again) return;
    c->rest = forbidden ? CAMERA_BARRED : base_min(CAMERA_REST_MAX, base_max(CAMERA_REST, c->rest * 2));
    c->due +=
        c->rest + c->rest * jitter / 1024; /* up to a quarter longer: cameras of one house do not come back in step */
    c->moves = 0;
    c->url = c->home;
    if (c->media->frames == c->frames) c->udp = c->home.transport == RTSP_UDP; /* that way gave no picture */
}

/* When something was recorded, on the server's clock. The least delay seen so far is taken for the camera's own; it
 * creeps up, so that a camera's slow clock is followed. Jumps begin anew: then *jumped. */
static int64_t camera_time(struct camera_clock *c, unsigned rate, uint32_t timestamp, int64_t now) {
    int32_t step = (int32_t)(timestamp - c->timestamp);
    c->ticks += c->running ? step : 0;
    c->still = step ? 0 : c->still + 1;
    c->timestamp = timestamp;
    int64_t us = c->ticks * BASE_S / rate, at = us + c->offset;
    c->jumped = !c->running || now - at > CAMERA_LATE || at - now > CAMERA_LATE;
    if (c->jumped || c->still > CAMERA_STILL) c->ticks = us = 0, c->offset = now, c->told = false;
    else if (at > now) c->offset = now - us;
    else c->offset += (now - at) / 256;
    c->running = true;
    at = base_max(us + c->offset, c->last + 1);
    return c->last = base_min(at, now);
}

/* A sender report ties timestamps to the camera's time of day (RFC 3550 6.4.1). When that was set anew meanwhile, what
 * the other track was told does not go with it. */
static void camera_tie(struct camera_clock *c, struct camera_clock *other, unsigned rate, uint64_t ntp,
                       uint32_t timestamp) {
    int64_t us = (int64_t)(ntp >> 32) * BASE_S + (int64_t)((ntp & 0xffffffff) * BASE_S >> 32);
    int64_t zero = us - (c->ticks + (int32_t)(timestamp - c->timestamp)) * BASE_S / rate;
    if (!ntp || !c->running) return;
    if (c->told && (zero - c->zero > CAMERA_STEP || c->zero - zero > CAMERA_STEP)) other->told = false;
    c->told = true;
    c->zero = zero;
}

/* When sound was recorded: on the clock of the pictures, if the camera tells how both go together. */
static int64_t camera_sound_time(struct camera *c, unsigned rate, uint32_t timestamp, int64_t now) {
    struct camera_clock *s = &c->sound_clock, *v = &c->video_clock;
    int64_t alone = camera_time(s, rate, timestamp, now);
    int64_t tied = s->ticks * BASE_S / rate + s->zero - v->zero + v->offset;
    bool sense = s->told && v->told && tied - alone < CAMERA_LATE && alone - tied < CAMERA_LATE;
    return sense ? tied : alone;
}

static void camera_unit(struct camera *c, int64_t now) {
    struct span unit;
    uint32_t timestamp = c->depay.timestamp;
    if (c->depay.large) c->media->drops[DROP_H264_LARGE]++;
    if (!depay_end(&c->depay, &unit)) {
        if (c->depay.started) c->media->drops[DROP_RTP_INCOMPLETE]++;
        c->depay.large = false;
        return;
    }
    if (!media_push(c->media, unit, camera_time(&c->video_clock, 90000, timestamp, now))) return;
    media_trouble(c->media, ""); /* what is wrong with the stream, if anything, media knows better */
    if (c->media->frames == c->frames) return;
    c->rest = 0;
    c->moves = 0;
}

static void camera_video(struct camera *c, struct span packet, int64_t now) {
    struct rtp_in p;
    if (!rtp_read(packet, &p)) {
        c->media->drops[DROP_RTP_MALFORMED]++;
        return;
    }
    if (p.pt != c->dialog.video.pt) return;
    c->heard = now;
    c->ssrc = p.ssrc;
    if (c->depay.started && p.seq < 0x4000 && c->highest > 0xc000) c->cycles += 0x10000;
    c->highest = p.seq;
    if (depay_over(&c->depay, &p)) camera_unit(c, now);
    if (depay_input(&c->depay, &p)) camera_unit(c, now);
}

/* Sound passes as it is. Its clock goes on evenly; only a jump of the camera's moves it. */
static void camera_sound(struct camera *c, struct span packet, int64_t now) {
    struct rtp_in p;
    enum base_sounds kind = c->dialog.audio.sound;
    struct camera_clock *k = &c->sound_clock;
    if (!rtp_read(packet, &p) || p.pt != c->dialog.audio.pt || !kind) return;
    if (k->running && (int16_t)(p.seq - c->sound_seq) <= 0 && (int16_t)(p.seq - c->sound_seq) > -DEPAY_STRANGE) return;
    c->sound_seq = p.seq;
    c->sound_ssrc = p.ssrc;
    int64_t time = camera_sound_time(c, base_sound[kind].rate, p.timestamp, now);
    if (k->jumped) c->sound_offset = (uint32_t)(time * base_sound[kind].rate / BASE_S) - p.timestamp;
    media_push_sound(c->media, kind, p.payload, p.timestamp + c->sound_offset, time);
}

/* By UDP: in order again. */
static void camera_datagram(struct camera *c, struct span packet, int64_t now) {
    struct rtp_in p;
    struct span next;
    if (!rtp_read(packet, &p)) {
        c->media->drops[DROP_RTP_MALFORMED]++;
        return;
    }
    if (p.pt != c->dialog.video.pt) return;
    while (!depay_store(c->window, &p, packet, now) && depay_next(c->window, true, now, &next))
        camera_video(c, next, now);
    while (depay_next(c->window, false, now, &next)) camera_video(c, next, now);
}

/* RTCP from the camera: its sender reports, and its goodbye. */
static void camera_control(struct camera *c, struct span s, int64_t now) {
    struct rtcp_packet p;
    while (rtcp_next(&s, &p) > 0) {
        struct rd r = bytes_rd(p.body);
        if (p.type == RTCP_BYE && p.sender == c->ssrc && c->dialog.state == DIALOG_PLAYING) {
            dialog_teardown(&c->dialog, now);
            camera_failed(c, "The camera ended its stream.", now);
            return;
        }
        if (p.type != RTCP_SR || (p.sender != c->ssrc && p.sender != c->sound_ssrc)) continue;
        uint64_t high = bytes_r32(&r), ntp = high << 32 | bytes_r32(&r);
        uint32_t timestamp = bytes_r32(&r);
        if (r.bad) return;
        if (p.sender != c->ssrc) {
            camera_tie(&c->sound_clock, &c->video_clock, base_sound[c->dialog.audio.sound].rate, ntp, timestamp);
            continue;
        }
        camera_tie(&c->video_clock, &c->sound_clock, 90000, ntp, timestamp);
        c->last_sr = (uint32_t)(ntp >> 16);
        c->sr_at = now;
    }
}

/* What the camera is told of its packets by UDP, every CAMERA_REPORT: some stop sending to who never reports. It also
 * opens the way through a firewall on our side. false: not yet. */
static bool camera_report(struct camera *c, struct wr *w, int64_t now) {
    if (!c->window || c->dialog.state != DIALOG_PLAYING || (c->reported && now - c->reported < CAMERA_REPORT))
        return false;
    struct rtcp_report r = {.ssrc = c->ssrc, .highest = c->cycles + c->highest, .last_sr = c->last_sr};
    int64_t lost = (int64_t)(c->depay.missing - c->missing), expected = (int64_t)(r.highest - c->told);
    if (c->told && expected > 0) r.lost = (uint8_t)base_min(lost * 256 / expected, 255);
    c->told = r.highest;
    r.lost_total = (int32_t)base_min((int64_t)c->depay.missing, 0x7fffff);
    if (c->last_sr) r.delay = (uint32_t)((now - c->sr_at) * 65536 / BASE_S);
    c->missing = c->depay.missing;
    c->reported = now;
    rtcp_put_rr(w, c->ssrc_sent, c->depay.started ? &r : NULL);
    rtcp_put_sdes(w, c->ssrc_sent, c->dialog.cnonce); /* RFC 3550 6.1: in each compound packet; random, too */
    return !w->bad;
}

/* The parameter sets of the SDP, for cameras that send none in the stream. */
static void camera_sets(struct camera *c, struct span sets) {
    for (struct span nal; (nal = h264_next(&sets)).n;)
        if (h264_type(nal) == H264_SPS || h264_type(nal) == H264_PPS) media_nal(c->media, nal);
}

/* Why there is no sound, when the camera has some. */
static void camera_tell_silence(struct camera *c) {
    const struct dialog *d = &c->dialog;
    char *to = c->media->silence;
    if (d->state != DIALOG_PLAYING || !d->audio.name[0] || *to) return;
    if (!d->audio.sound)
        snprintf(to, sizeof c->media->silence, "The camera's sound is %.24s, which browsers do not take.",
                 d->audio.name);
    else if (!d->audio.control[0]) snprintf(to, sizeof c->media->silence, "The camera refuses to send its sound.");
}

/* Bytes from the connection. Returns how many were used up; the rest comes again, with more. */
static size_t camera_input(struct camera *c, struct span in, int64_t now) {
    size_t all = 0;
    while (c->state == CAMERA_TALKING) {
        size_t used;
        struct span payload;
        enum dialog_event e = dialog_input(&c->dialog, base_span(in.p + all, in.n - all), now, &used, &payload);
        if (e == DIALOG_MORE) break;
        if (e == DIALOG_SETS) camera_sets(c, payload);
        else if (e == DIALOG_VIDEO) camera_video(c, payload, now);
        else if (e == DIALOG_AUDIO) camera_sound(c, payload, now);
        else if (e == DIALOG_CONTROL) camera_control(c, payload, now);
        else camera_tell_silence(c);
        if (c->dialog.state != DIALOG_PLAYING || e == DIALOG_SETS) c->heard = now; /* it is slow, not silent */
        all += used;
        if (c->dialog.state == DIALOG_FAILED) camera_failed(c, c->dialog.why, now);
    }
    return all;
}

/* Lets the camera go, when nobody needs it. */
static void camera_leave(struct camera *c, int64_t now) {
    if (c->state == CAMERA_TALKING) dialog_teardown(&c->dialog, now);
    camera_over(c, CAMERA_IDLE, CAMERA_ASLEEP, now);
}

/* Ends a conversation that has failed, or in which nothing comes any more. */
static void camera_watch(struct camera *c, int64_t now) {
    if (c->state != CAMERA_TALKING) return;
    if (c->dialog.state == DIALOG_FAILED) camera_failed(c, c->dialog.why, now);
    if (c->state != CAMERA_TALKING || c->dialog.state != DIALOG_PLAYING || now - c->heard < CAMERA_SILENCE) return;
    const char *why = c->media->frames != c->frames ? "The camera sends no picture any more."
                      : c->window ? "No picture comes from the camera by UDP: a firewall may stand in the way."
                                  : "The camera answered, but no picture comes.";
    dialog_teardown(&c->dialog, now); /* it may be there, and keep the session for us */
    camera_failed(c, why, now);
}

/* viewers: somebody watches. *next: when to call again. true: a connection is to be made now; in CAMERA_IDLE and
 * CAMERA_RESTING there is to be none. */
static bool camera_tick(struct camera *c, bool viewers, int64_t now, int64_t *next) {
    if (viewers || c->keep_warm) c->watched = now;
    bool wanted = now - c->watched < CAMERA_LINGER;
    bool barred = c->state == CAMERA_RESTING && now < c->due; /* who goes and comes does not make it sooner */
    if (!wanted && c->state != CAMERA_IDLE && !barred) camera_leave(c, now);
    if (c->state == CAMERA_DIALING && now - c->since >= CAMERA_DIAL)
        camera_failed(c, "The camera cannot be reached: no answer.", now);
    int64_t talk = c->state == CAMERA_TALKING ? dialog_tick(&c->dialog, now) : BASE_NEVER;
    if (c->window && c->state == CAMERA_TALKING && c->dialog.state == DIALOG_PLAYING) {
        struct span packet;
        while (depay_next(c->window, false, now, &packet)) camera_video(c, packet, now);
        if (c->window->held) talk = base_min(talk, c->window->since + DEPAY_WAIT);
        talk = base_min(talk, c->reported ? c->reported + CAMERA_REPORT : now);
    }
    camera_watch(c, now);
    *next = viewers || c->keep_warm || !wanted ? BASE_NEVER : c->watched + CAMERA_LINGER;
    if (!wanted) {
        if (c->state == CAMERA_RESTING) *next = c->due;
        return false;
    }
    if (now >= c->due && (c->state == CAMERA_IDLE || c->state == CAMERA_RESTING)) {
        if (c->state == CAMERA_IDLE) media_trouble(c->media, "Calling the camera.");
        camera_set(c, CAMERA_DIALING, now);
        *next = base_min(*next, now + CAMERA_DIAL);
        return true;
    }
    *next = base_min(*next, c->state == CAMERA_RESTING          ? c->due
                            : c->state == CAMERA_DIALING        ? c->since + CAMERA_DIAL
                            : c->dialog.state == DIALOG_PLAYING ? base_min(talk, c->heard + CAMERA_SILENCE)
                                                                : talk);
    return false;
}

/* ==== 22 adapt ==============================================================
 * Which stream of a camera a link carries: the one place where that is decided, from what the browser reports. From time
 * to time there is advice, and viewer and sender follow it.
 *
 *   the link is strained for ADAPT_PATIENCE: ADAPT_LOWER, to the lesser stream
 *   later, when it is not: ADAPT_TRY, padding makes as much of it as the better stream would
 *   it carried that, or the lesser stream is of no use: ADAPT_HIGHER
 *   at the first sign that it does not: ADAPT_END, and twice the wait to the next try
 *
 * pure; uses base
 */
#define ADAPT_LOOK     (1 * BASE_S) /* browsers report about once a second */
#define ADAPT_PATIENCE (1 * BASE_S)
#define ADAPT_GLANCE   (100 * BASE_MS) /* between looks at a try: an estimate that falls is told at once */
#define ADAPT_PADDING  (4 * BASE_S)    /* of one try; it grows for the first ADAPT_RAMP: reports come late */
#define ADAPT_RAMP     (3 * BASE_S)
#define ADAPT_STUCK    (700 * BASE_MS) /* an estimate below what is sent grows within this while the link has room */
#define ADAPT_VERDICT  (6 * BASE_S)    /* from the try's beginning: what the last report of it may take */
#define ADAPT_WAIT     (10 * BASE_S)   /* on the lesser stream before the first try; doubled by failures */
#define ADAPT_WAIT_MAX (160 * BASE_S)  /* up to this */
#define ADAPT_STABLE   (60 * BASE_S)   /* on the better stream: what came before is forgotten */
#define ADAPT_QUEUE    (150 * BASE_MS) /* that packets wait on the way, beyond the least round trip */
#define ADAPT_UNFIT    (5 * BASE_S)    /* that a lesser stream gives nothing, until the better one has to do */
enum adapt_limits {
    ADAPT_LOSS = 10,  /* percent of packets that no repair makes up for */
    ADAPT_SOME = 2,   /* percent that say something together with an estimate below the stream's rate */
    ADAPT_FEW = 3,    /* packets whose loss says nothing */
    ADAPT_ENOUGH = 90 /* percent of the stream's rate that the estimate has to have: it swings */
};
enum adapt_advice { ADAPT_STAY, ADAPT_LOWER, ADAPT_HIGHER, ADAPT_TRY, ADAPT_END };

/* What is known of the link and the streams. */
struct adapt_view {
    bool lesser, better;         /* there is such a stream */
    bool unfit;                  /* the one that is sent gives no pictures */
    unsigned kbps;               /* of the stream that is sent, in the mean */
    unsigned remb_kbps;          /* the browser's estimate of the link; 0: unknown */
    unsigned sent_kbps;          /* with the padding, as far as the estimate sees it; 0: it does not */
    uint32_t reports, seq, lost; /* receiver reports so far; the newest one's highest number, and packets lost in all */
    int64_t rtt;
};

struct adapt {
    int64_t looked, strained, unfit; /* the last two: since when; 0: it is not */
    int64_t wait, due, shut;         /* for the next try; the lesser stream gave nothing: it is not asked for before */
    int64_t tried, raised;           /* when the try that runs began, 0: none; when the better stream was taken last */
    int64_t rtt;                     /* the least */
    int64_t grown;                   /* when the estimate grew last during a try, or did not have to, */
    unsigned most;                   /* and to what */
    struct adapt_view before;        /* when it was looked at last, or when the try began */
};

/* Packets lost since then, in percent. */
static int64_t adapt_loss(const struct adapt *a, const struct adapt_view *v) {
    int32_t sent = (int32_t)(v->seq - a->before.seq), lost = (int32_t)(v->lost - a->before.lost);
    return sent > 0 && lost > ADAPT_FEW ? (int64_t)lost * 100 / sent : 0;
}

static bool adapt_queued(const struct adapt *a, const struct adapt_view *v) { return v->rtt - a->rtt > ADAPT_QUEUE; }

/* An estimate alone says little: on the best link, too, it is no more than half above what was sent. */
static bool adapt_strained(const struct adapt *a, const struct adapt_view *v) {
    int64_t loss = adapt_loss(a, v);
    bool little = v->remb_kbps && (uint64_t)v->remb_kbps * 100 < (uint64_t)v->kbps * ADAPT_ENOUGH;
    return loss >= ADAPT_LOSS || (little && (loss >= ADAPT_SOME || adapt_queued(a, v)));
}

static void adapt_fail(struct adapt *a, int64_t now) {
    a->wait = base_min(ADAPT_WAIT_MAX, base_max(ADAPT_WAIT, a->wait * 2));
    a->due = now + a->wait;
}

/* A change that was advised has taken place, or (done false) its stream gave no picture to begin at. */
static void adapt_changed(struct adapt *a, const struct adapt_view *v, bool higher, bool done, int64_t now) {
    bool soon = a->raised && now - a->raised < ADAPT_STABLE;
    if (!done || (!higher && soon)) adapt_fail(a, now);
    else if (higher) a->raised = now;
    else a->wait = ADAPT_WAIT, a->due = now + a->wait;
    if (!done && !higher) a->shut = a->due;
    a->strained = a->unfit = 0;
    a->looked = now;
    a->before = *v;
}

/* Does the link carry the padding? */
static enum adapt_advice adapt_judge(struct adapt *a, const struct adapt_view *v, int64_t now) {
    bool fell = v->remb_kbps < a->before.remb_kbps - a->before.remb_kbps / 8;
    if (v->remb_kbps >= v->sent_kbps || v->remb_kbps > a->most) a->most = v->remb_kbps, a->grown = now;
    bool stuck = v->remb_kbps && now - a->grown >= ADAPT_STUCK;
    bool bad = fell || stuck || adapt_queued(a, v) || adapt_loss(a, v) >= ADAPT_LOSS / 2;
    if (!bad && now - a->tried < ADAPT_VERDICT) return ADAPT_STAY;
    a->tried = 0;
    if (!bad && v->reports - a->before.reports >= 2) return ADAPT_HIGHER;
    adapt_fail(a, now);
    a->before = *v;
    return ADAPT_END;
}

static enum adapt_advice adapt_look(struct adapt *a, const struct adapt_view *v, int64_t now) {
    if (now - a->looked < (a->tried ? ADAPT_GLANCE : ADAPT_LOOK)) return ADAPT_STAY;
    a->looked = now;
    if (v->rtt && (!a->rtt || v->rtt < a->rtt)) a->rtt = v->rtt;
    a->unfit = !v->unfit ? 0 : a->unfit ? a->unfit : now;
    if (v->better && v->unfit && now - a->unfit >= ADAPT_UNFIT) return a->tried = 0, ADAPT_HIGHER;
    if (a->tried) return adapt_judge(a, v, now);
    if (v->reports == a->before.reports) return a->before = *v, ADAPT_STAY;
    bool strained = adapt_strained(a, v);
    a->strained = !strained ? 0 : a->strained ? a->strained : now;
    a->before = *v;
    bool lower = v->lesser && now >= a->shut && strained && now - a->strained >= ADAPT_PATIENCE;
    if (strained) return lower ? ADAPT_LOWER : ADAPT_STAY;
    bool queued = adapt_queued(a, v);
    a->rtt += base_min(v->rtt - a->rtt, ADAPT_QUEUE) / 64; /* networks change */
    if (!v->better || queued || now < a->due) return ADAPT_STAY;
    a->tried = a->grown = now;
    a->most = v->remb_kbps;
    return ADAPT_TRY;
}

/* ==== 23 pace ===============================================================
 * How fast packets may leave towards one viewer: bursts are bounded, and losses slow them down.
 *
 *   a budget of bytes refills at a rate; who sends pays, and waits when it is spent
 *   many packets lost within two windows: slower, and for a while below the rate at which that happened
 *   no such losses: faster again; above where it began only as long as packets are held up
 *
 * The rate bounds bursts, not the stream, which always gets twice what it has. Repairs have an allowance of their own.
 * pure; uses base
 */
enum pace_limits {
    PACE_BURST = 16 * 1024,  /* bytes at once, and where the rate begins: short queues on the way take that */
    PACE_SLOWEST = 2 * 1024, /* per PACE_REFILL: 6.5 Mbit/s */
    PACE_FASTEST = 32 * 1024,
    PACE_MANY = 12,               /* packets lost within two windows: a queue that was too short, not chance */
    PACE_MEND = 1000,             /* kbit/s that a stream counts for at least when repairs are measured by it */
    PACE_MEND_BURST = 256 * 1024, /* bytes of repairs at once */
};
#define PACE_REFILL   (BASE_MS * 5 / 2) /* rates are bytes per this: PACE_BURST makes 52 Mbit/s */
#define PACE_WINDOW   (100 * BASE_MS)   /* in which losses are counted; and between two steps down */
#define PACE_SPEED_UP (250 * BASE_MS)   /* between two steps up */
#define PACE_MEMORY   (30 * BASE_S)     /* of a rate that was too fast */

struct pace {
    int64_t rate, budget, paid;    /* bytes per PACE_REFILL; to spend; since when it refills */
    int64_t mending;               /* bytes that repairs may take now */
    int64_t slowed, sped, ceiling; /* last step down, last step up; the rate to stay below */
    int64_t pressed;               /* when a packet was held up */
    uint32_t slow_seq;             /* losses of packets before it led to the last step down */
    uint32_t asked_for, asked_seq; /* packets NACKed since loss was judged last; the highest one ever */
    uint32_t lost_before;          /* by the report then */
    bool late;                     /* this network delivers late and out of order: a NACK says little of loss */
    struct {
        int64_t since, lost;
        uint32_t seq;
    } window[2]; /* this PACE_WINDOW and the one before */
};

/* seq: of the first packet. */
static void pace_start(struct pace *p, uint32_t seq, int64_t now) {
    p->slow_seq = p->asked_seq = p->window[0].seq = p->window[1].seq = seq;
    p->slowed = p->sped = now - PACE_MEMORY;
    p->pressed = now - BASE_S;
    p->rate = p->budget = PACE_BURST;
    p->mending = PACE_MEND_BURST;
    p->paid = now;
}

/* Bytes per PACE_REFILL: as loss allows, but always twice what the stream has (kbit/s * 2.5 ms / 8 * 2). */
static int64_t pace_rate(const struct pace *p, unsigned kbps) { return base_max(p->rate, (int64_t)kbps * 5 / 8); }

/* NACKs came. Many losses at once mean that a queue on the way was too short: slower, and for a while no faster than this
 * rate, at which it overflowed. A packet lost here and there says nothing of the rate. seq: of the next packet. */
static void pace_slow_down(struct pace *p, uint32_t seq, int64_t now) {
    int64_t sent = (int64_t)(uint32_t)(seq - p->window[1].seq), lost = p->window[0].lost + p->window[1].lost;
    if (p->late || now - p->slowed < PACE_WINDOW || lost < PACE_MANY || lost * 8 < sent) return;
    p->slowed = now;
    p->slow_seq = seq;
    p->window[0].lost = p->window[1].lost = 0;
    p->ceiling = p->rate * 7 / 8;
    p->rate = base_max(PACE_SLOWEST, p->rate * 3 / 4);
}

/* Without such losses the rate grows back, and above where it began when packets are held up. */
static void pace_speed_up(struct pace *p, int64_t now) {
    if (now - p->sped < PACE_SPEED_UP || now - p->slowed < PACE_SPEED_UP) return;
    p->sped = now;
    int64_t top = now - p->pressed < BASE_S ? PACE_FASTEST : PACE_BURST;
    if (now - p->slowed < PACE_MEMORY) top = p->ceiling;
    if (p->rate < top) p->rate = base_min(top, p->rate + p->rate / 8);
}

/* No more than one burst is saved. */
static void pace_earn(struct pace *p, unsigned kbps, int64_t now) {
    int64_t rate = pace_rate(p, kbps), earned = base_min(now - p->paid, PACE_REFILL) * rate / PACE_REFILL;
    if (earned <= 0) return;
    p->mending = base_min(p->mending + (now - p->paid) * base_max(kbps, PACE_MEND) / 4000, PACE_MEND_BURST);
    p->budget = base_min(p->budget + earned, rate);
    p->paid = now;
}

/* Before packets are sent. kbps: of the stream; seq: of the next packet. */
static void pace_tick(struct pace *p, unsigned kbps, uint32_t seq, int64_t now) {
    pace_earn(p, kbps, now);
    if (now - p->window[0].since >= PACE_WINDOW) {
        p->window[1] = p->window[0];
        p->window[0].since = now;
        p->window[0].seq = seq;
        p->window[0].lost = 0;
    }
    pace_speed_up(p, now);
}

/* A packet was asked for and is repeated; first: for the first time. */
static void pace_lost(struct pace *p, uint32_t seq, bool first) {
    if ((int32_t)(seq - p->asked_seq) > 0) { /* asked for again it says nothing new */
        p->asked_for++;
        p->asked_seq = seq;
    }
    if ((int32_t)(seq - p->slow_seq) >= 0 && first) p->window[0].lost++;
}

/* What was NACKed and is not among the lost, as the receiver reports them, came late. Then the pace was lowered for
 * nothing. */
static void pace_judge(struct pace *p, uint32_t lost, int64_t now) {
    if (p->asked_for < PACE_MANY) return; /* reports come often: not enough to tell */
    bool late = (int32_t)(lost - p->lost_before) * 4 < (int32_t)p->asked_for;
    if (late && !p->late) {
        p->rate = base_max(p->rate, PACE_BURST);
        p->slowed = now - PACE_MEMORY;
    }
    p->late = late;
    p->asked_for = 0;
    p->lost_before = lost;
}

/* ==== 24 sender =============================================================
 * One viewer's RTP stream: where it stands in the history, when what may leave, what can be repaired.
 *
 *   WAITING --an IDR is kept--> CATCHING_UP --at the newest picture--> LIVE
 *      ^------- what comes next has left the history ---------'---------'
 *
 * A sender is a cursor into the stream's history. Behind the newest picture it replays, at most a frame per
 * SENDER_FRAME_GAP, and a newer IDR ends the replay; in all states it keeps pace.
 * Sequence numbers are contiguous. Which packet of the history went out under which number is kept in runs, one for
 * each access unit: a NACK is answered through them, and what has left them or the history is not.
 * Another stream of the camera takes over at its IDR: the same SSRC goes on, the number where it did so is the floor of
 * what is repeated. Padding, to try what a link carries, is the newest packets once more.
 * pure; uses base, bytes, seal, rtp, rtcp, media, adapt, pace
 */
enum sender_limits {
    SENDER_TRIES = 3,       /* beginnings at an IDR whose first packets got lost */
    SENDER_RUNS = 128,      /* access units that can be repaired */
    SENDER_RESENT = 256,    /* memory of repairs, against storms of NACKs; and how many may wait */
    SENDER_RANDOM = 8,      /* words that sender_start needs */
    SENDER_REPEATS = 16,    /* of one packet */
    SENDER_REPLAY = 60,     /* frames; for a longer replay we also ask the source for an IDR */
    SENDER_DELAY_MAX = 400, /* ms of playout delay that the browser may take; 0/0 would forbid it to smooth */
    SENDER_ANNOUNCE = 50,   /* packets that carry a changed delay */
    SENDER_PADS = 64        /* packets that are sent again as padding */
};
#define SENDER_FRAME_GAP   (8 * BASE_MS)   /* between replayed frames: decoders queue few */
#define SENDER_TOO_LONG    (5 * BASE_S)    /* a replay that would take this long is not begun */
#define SENDER_REPORT      (1 * BASE_S)    /* between sender reports */
#define SENDER_TELL        (200 * BASE_MS) /* between answers to a receiver's reference time */
#define SENDER_REPLAY_GAP  (2 * BASE_S)    /* between replays that PLIs cause: one that causes the next is a livelock */
#define SENDER_SMALL       (256 * 1024)    /* bytes; a larger GOP is not replayed for a PLI */
#define SENDER_AGAIN       (250 * BASE_MS) /* after an IDR left, before a PLI means that its beginning was lost */
#define SENDER_FIRST       (3 * BASE_S)    /* of a viewer's time, in which that may be so */
#define SENDER_CALM        (10 * BASE_S)   /* without loss, before the delay shrinks */
#define SENDER_SOUND_AHEAD (2 * BASE_S)    /* of its time of recording: more is another clock */
#define SENDER_IDR         (3 * BASE_S) /* that another stream's next IDR is waited for, before its last one has to do */

enum sender_state { SENDER_WAITING, SENDER_CATCHING_UP, SENDER_LIVE };

/* Packets first, first + 1, ... are index, index + 1, ... of the history, up to the next run. */
struct sender_run {
    uint32_t first, timestamp;
    uint64_t index;
};

struct sender {
    enum sender_state state;
    struct media *media;
    struct seal seal;
    struct emit out;
    struct path path;

    uint8_t pt, rtx_pt;               /* rtx_pt 0: none, packets are repeated as they were */
    int abs_send_time, playout_delay; /* header extension ids, 0: none */
    uint32_t ssrc, rtx_ssrc, clock_offset;
    char cname[17]; /* random, so that it follows nobody from session to session (RFC 7022 4.2) */
    uint32_t seq;   /* of the next packet; RTP's 16 bits are its lower half */
    uint16_t rtx_seq;
    int64_t ticks; /* the newest timestamp before clock_offset: strictly increasing */

    struct media *next; /* the stream to go on with when it has an IDR; NULL: none */
    uint64_t next_from; /* where its next IDR will be at least */
    int64_t next_since; /* when that was asked for */
    unsigned limit;     /* kbit/s of a replay: this network carries little; 0: nothing is known */
    uint32_t floor;     /* packets before it were another stream's: they are not repeated */
    uint64_t cursor;    /* the next packet of the history to send */
    uint64_t still;     /* a GOP too long to replay, of which the IDR was shown; MEDIA_NONE: none */
    int64_t next_frame; /* when the next replayed frame may leave */
    struct pace pace;
    int64_t started, begun;       /* at an IDR: first, last */
    int again;                    /* times that its first packets got lost */
    unsigned wanted_at, wanted_n; /* NACKed, not yet repeated: packets wait nowhere, their numbers do */
    uint16_t wanted[SENDER_RESENT];
    int64_t next_report, told;
    unsigned delay_min, announce; /* ms; packets that still have to say so */
    int64_t lost_at, replayed;    /* the last NACK; the last replay for a PLI */

    unsigned run_count;
    struct sender_run run[SENDER_RUNS];
    struct {
        uint16_t seq, times;
        uint32_t at_ms;
    } resent[SENDER_RESENT];

    struct {
        uint8_t pt[BASE_SOUNDS]; /* 255: not negotiated */
        bool open, spoke;        /* negotiated at all; something was sent */
        uint32_t ssrc, offset, packets, octets;
        uint16_t seq;
        uint64_t cursor;
        enum base_sounds kind; /* of the last packet, */
        uint32_t timestamp;    /* and when it was recorded */
        int64_t time;
    } sound;

    uint32_t packets, octets; /* as sender reports count them (RFC 3550 6.4.1) */
    uint32_t lost, jitter;    /* from the receiver reports: packets, 90 kHz units */
    int64_t rtt;
    uint64_t remb;
    uint32_t reports, highest;
    uint32_t keyframe_requests, nacked, repaired;

    struct {
        int64_t begun, paid, bytes; /* bytes: to be sent now */
        unsigned kbps;
        uint32_t sent;
    } pad;
};

/* s is zeroed; ssrcs and offsets are random (RFC 3550 5.1). */
static void sender_start(struct sender *s, struct media *media, const uint32_t random[SENDER_RANDOM], int64_t now) {
    s->media = media;
    s->ssrc = random[0];
    s->rtx_ssrc = random[1] == random[0] ? ~random[1] : random[1];
    s->clock_offset = random[2];
    s->seq = 0x10000 + (random[3] & 0x7fff); /* below 2^15: losing the first packets is no wrap (RFC 3711 3.3.1) */
    s->floor = s->seq;
    s->highest = (uint16_t)s->seq;
    s->rtx_seq = random[4] & 0x7fff;
    s->sound.ssrc = random[5];
    while (s->sound.ssrc == s->ssrc || s->sound.ssrc == s->rtx_ssrc) s->sound.ssrc++;
    s->sound.offset = random[6];
    s->sound.seq = random[7] & 0x7fff;
    pace_start(&s->pace, s->seq, now);
    s->still = MEDIA_NONE;
}

static void sender_emit_rtcp(struct sender *s, struct wr *w) {
    size_t n = w->n;
    if (!w->bad && n + SEAL_ROOM <= w->cap && seal_rtcp(&s->seal, w->p, &n)) s->out.send(s->out.to, &s->path, w->p, n);
}

static void sender_bye(struct sender *s) {
    uint8_t packet[256];
    struct wr w = bytes_wr(packet, sizeof packet);
    rtcp_put_bye(&w, s->ssrc, s->cname);
    sender_emit_rtcp(s, &w);
}

/* The same for sound: its clock is tied to the same time of day, so that the browser can keep it with the picture. */
static void sender_report_sound(struct sender *s, int64_t now, int64_t wall) {
    uint8_t packet[256];
    struct wr w = bytes_wr(packet, sizeof packet);
    if (!s->sound.spoke || !s->media->sounds) return;
    const struct media_sound *last = &s->media->sound[(s->media->sounds - 1) % MEDIA_SOUNDS];
    int64_t since = (now - last->time) * base_sound[last->kind].rate / BASE_S;
    rtcp_put_sr(&w, s->sound.ssrc, rtcp_ntp(now + wall), last->ticks + (uint32_t)since + s->sound.offset,
                s->sound.packets, s->sound.octets);
    rtcp_put_sdes(&w, s->sound.ssrc, s->cname);
    sender_emit_rtcp(s, &w);
}

static void sender_report(struct sender *s, int64_t now, int64_t wall) {
    uint8_t packet[256];
    struct wr w = bytes_wr(packet, sizeof packet);
    uint32_t timestamp = (uint32_t)rtp_clock(now) + s->clock_offset;
    rtcp_put_sr(&w, s->ssrc, rtcp_ntp(now + wall), timestamp, s->packets, s->octets);
    rtcp_put_sdes(&w, s->ssrc, s->cname);
    sender_emit_rtcp(s, &w);
    sender_report_sound(s, now, wall);
    s->next_report = now + SENDER_REPORT;
}

/* Seals and sends one packet of the history under a sequence number. */
static void sender_emit(struct sender *s, const struct media_packet *p, const struct rtp_packet *h, struct span osn) {
    uint8_t packet[BASE_DATAGRAM + SEAL_ROOM], body[RTP_OSN + RTP_PAYLOAD];
    struct wr w = bytes_wr(packet, BASE_DATAGRAM), payload = bytes_wr(body, sizeof body);
    bytes_put(&payload, osn.p, osn.n);
    bytes_put(&payload, s->media->bytes + p->at, p->n);
    rtp_put(&w, h, bytes_written(&payload));
    size_t n = w.n;
    if (w.bad || payload.bad || !seal_rtp(&s->seal, packet, &n)) return;
    s->pace.budget -= p->n;
    s->out.send(s->out.to, &s->path, packet, n);
}

/* The header of a packet. Without RTX it depends on nothing but the packet and its run, so that a repeated packet is
 * the same byte by byte: the same key stream must never cover two texts (RFC 3711 9.1). */
static struct rtp_packet sender_header(struct sender *s, const struct media_packet *p, uint32_t seq, uint32_t timestamp,
                                       int64_t now) {
    bool rtx = s->rtx_pt != 0, delay = p->flags & MEDIA_KEY || (rtx && s->announce);
    return (struct rtp_packet){.pt = s->pt,
                               .marker = p->flags & MEDIA_LAST,
                               .seq = (uint16_t)seq,
                               .timestamp = timestamp,
                               .ssrc = s->ssrc,
                               .abs_send_time = rtx ? s->abs_send_time : 0,
                               .playout_delay = delay ? s->playout_delay : 0,
                               .now = now,
                               .delay_min_ms = rtx ? s->delay_min : 0,
                               .delay_max_ms = SENDER_DELAY_MAX};
}

static void sender_send(struct sender *s, const struct media_packet *p, int64_t now) {
    const struct sender_run *run = &s->run[(s->run_count - 1) % SENDER_RUNS];
    struct rtp_packet h = sender_header(s, p, s->seq++, run->timestamp, now);
    sender_emit(s, p, &h, base_span("", 0));
    s->announce -= s->announce > 0;
    s->packets++;
    s->octets += p->n;
}

/* How long a replay of the current GOP would take. */
static int64_t sender_replay_time(const struct sender *s) {
    const struct media *m = s->media;
    return base_max(m->gop_frames * SENDER_FRAME_GAP,
                    (int64_t)m->gop_bytes * PACE_REFILL / pace_rate(&s->pace, m->kbps));
}

/* A new viewer, or one that fell out of the history: begins at the newest IDR. false: there is none to begin at. */
static bool sender_begin(struct sender *s, int64_t now) {
    struct media *m = s->media;
    s->state = SENDER_WAITING;
    if (!media_joinable(m) || m->gop == s->still) {
        media_ask_key(m, now);
        return false;
    }
    bool too_long = sender_replay_time(s) > SENDER_TOO_LONG;
    if (too_long || m->gop_frames > SENDER_REPLAY) media_ask_key(m, now);
    s->still = too_long ? m->gop : MEDIA_NONE;
    if (!s->started) s->started = now;
    s->begun = now;
    s->cursor = m->gop;
    s->state = SENDER_CATCHING_UP;
    return true;
}

/* Another stream of the camera takes over at its next IDR. */
static void sender_move(struct sender *s, struct media *to, int64_t now) {
    s->next = to;
    s->next_from = to->next;
    s->next_since = now;
    media_ask_key(to, now);
}

/* An IDR that is past will do when what follows it can be replayed soon. */
static bool sender_may_move(const struct sender *s, int64_t now) {
    const struct media *m = s->next;
    if (!m || !media_joinable(m) || m->unplayable) return false;
    if (m->gop >= s->next_from) return true;
    int64_t replay = s->limit ? (int64_t)m->gop_bytes * 8000 / s->limit : m->gop_frames * SENDER_FRAME_GAP;
    return now - s->next_since >= SENDER_IDR && replay <= SENDER_TOO_LONG;
}

/* The same SSRC goes on with the other stream. What was lost of the one before is not worth repeating any more. */
static void sender_change(struct sender *s) {
    s->media = s->next;
    s->next = NULL;
    s->floor = s->seq;
    s->wanted_at = s->wanted_n;
    s->cursor = s->media->gop;
    s->still = MEDIA_NONE;
    s->state = SENDER_CATCHING_UP;
    s->sound.cursor = s->media->sounds;
    s->pad.kbps = 0;
}

/* Puts the cursor where sending can begin or go on. false: nowhere yet. */
static bool sender_seek(struct sender *s, int64_t now) {
    const struct media *m = s->media;
    bool lost = s->state == SENDER_WAITING || s->cursor < m->oldest, all = s->cursor >= m->head;
    bool between = all ? !m->open || s->cursor <= m->unit : media_at(m, s->cursor)->flags & MEDIA_FIRST;
    if ((lost || between) && sender_may_move(s, now)) return sender_change(s), true;
    if (lost) return sender_begin(s, now);
    if (!between && !all) return true;
    /* a newer IDR makes what stands before it superfluous */
    if (media_joinable(m) && m->gop > s->cursor) s->cursor = m->gop;
    if (s->still == MEDIA_NONE || s->cursor <= s->still || s->cursor >= m->head) return true;
    return media_at(m, s->cursor)->flags & MEDIA_KEY ? (s->still = MEDIA_NONE, true) : sender_begin(s, now);
}

/* How long after the access unit at the cursor the next replayed one may leave. */
static int64_t sender_frame_gap(const struct sender *s) {
    const struct media *m = s->media;
    int64_t bytes = 0;
    if (!s->limit || s->state != SENDER_CATCHING_UP) return SENDER_FRAME_GAP;
    for (uint64_t i = s->cursor; i < m->head; i++) {
        if (i > s->cursor && media_at(m, i)->flags & MEDIA_FIRST) break;
        bytes += media_at(m, i)->n;
    }
    int64_t gap = bytes * 8000 / s->limit, most = m->fps > 1 ? (int64_t)(BASE_S / 2 / m->fps) : BASE_S / 2;
    return base_max(SENDER_FRAME_GAP, base_min(gap, most)); /* in the end it has to catch up */
}

/* Begins the access unit at the cursor. false: its time has not come. Its timestamp: live, when the picture was taken;
 * replayed, when it leaves; always above the one before, for a browser drops what does not advance. */
static bool sender_begin_unit(struct sender *s, const struct media_packet *p, int64_t now) {
    bool newest = s->cursor >= s->media->unit;
    if (newest && s->state == SENDER_CATCHING_UP) s->state = SENDER_LIVE;
    if (!newest && s->state == SENDER_CATCHING_UP && now < s->next_frame) return false;
    s->next_frame = now + sender_frame_gap(s);
    /* the first one too gets the time it leaves: its picture may be hours old when the source pauses */
    int64_t ticks = rtp_clock(s->state == SENDER_LIVE && s->run_count ? p->time : now);
    s->ticks = s->run_count ? base_max(s->ticks + 1, ticks) : ticks;
    s->run[s->run_count++ % SENDER_RUNS] = (struct sender_run){s->seq, (uint32_t)s->ticks + s->clock_offset, s->cursor};
    return true;
}

/* Was this packet repaired a moment ago? Then the repair may still be on its way. Or often enough: browsers ask ten times,
 * who asks more asks for nothing. */
static bool sender_repaired_lately(struct sender *s, uint16_t seq, int64_t now) {
    uint32_t now_ms = (uint32_t)(now / BASE_MS), wait = (uint32_t)base_max(10, s->rtt / 2 / BASE_MS);
    size_t at = seq % SENDER_RESENT;
    bool again = s->resent[at].times && s->resent[at].seq == seq;
    if (again && (now_ms - s->resent[at].at_ms < wait || s->resent[at].times == SENDER_REPEATS)) return true;
    s->resent[at].times = again ? (uint16_t)(s->resent[at].times + 1) : 1;
    s->resent[at].seq = seq;
    s->resent[at].at_ms = now_ms;
    return false;
}

/* The packet that went out under a number, and its run. NULL: it left the history or the runs. */
static const struct media_packet *sender_find(const struct sender *s, uint32_t whole, const struct sender_run **run) {
    unsigned back = 1, kept = s->run_count < SENDER_RUNS ? s->run_count : SENDER_RUNS;
    while (back <= kept && (int32_t)(whole - s->run[(s->run_count - back) % SENDER_RUNS].first) < 0) back++;
    /* libsrtp2 would take a number from beyond its window for one that is to come, and count a roll-over */
    if (back > kept || whole == s->seq || s->seq - whole >= SEAL_WINDOW || (int32_t)(whole - s->floor) < 0) return NULL;
    *run = &s->run[(s->run_count - back) % SENDER_RUNS];
    uint64_t index = (*run)->index + (whole - (*run)->first);
    return index < s->media->oldest || index >= s->media->head ? NULL : media_at(s->media, index);
}

/* Sends a packet again, by RTX (RFC 4588) or as it was. */
static void sender_repeat(struct sender *s, const struct media_packet *p, uint32_t whole, uint32_t timestamp,
                          int64_t now) {
    struct rtp_packet h = sender_header(s, p, whole, timestamp, now);
    uint8_t osn[RTP_OSN] = {(uint8_t)(whole >> 8), (uint8_t)whole};
    if (s->rtx_pt) h.pt = s->rtx_pt, h.ssrc = s->rtx_ssrc, h.seq = s->rtx_seq++;
    sender_emit(s, p, &h, base_span(osn, s->rtx_pt ? sizeof osn : 0));
}

/* A packet that was asked for; what left the history or the runs stays lost. */
static void sender_repair(struct sender *s, uint16_t seq, int64_t now) {
    uint32_t whole = s->seq - (uint16_t)(s->seq - seq);
    const struct sender_run *run;
    const struct media_packet *p = sender_find(s, whole, &run);
    s->nacked++;
    if (!p) return;
    bool fresh = !s->resent[seq % SENDER_RESENT].times || s->resent[seq % SENDER_RESENT].seq != seq;
    if (sender_repaired_lately(s, seq, now)) return;
    sender_repeat(s, p, whole, run->timestamp, now);
    s->repaired++;
    pace_lost(&s->pace, whole, fresh);
}

/* Repairs go first, as the pacer allows; those of a live stream may take twice what the stream takes, and who asks for
 * more has to ask again. true: none is left. */
static bool sender_mend(struct sender *s, int64_t now) {
    struct pace *pace = &s->pace;
    while (s->wanted_at != s->wanted_n && pace->budget > 0) {
        int64_t before = pace->budget;
        if (s->state == SENDER_LIVE && pace->mending <= 0) s->wanted_at = s->wanted_n;
        else sender_repair(s, s->wanted[s->wanted_at++ % SENDER_RESENT], now);
        if (s->state == SENDER_LIVE) pace->mending -= before - pace->budget;
    }
    return s->wanted_at == s->wanted_n;
}

/* Padding begins: so many kbit/s for ADAPT_PADDING. 0: it ends. */
static void sender_probe(struct sender *s, unsigned kbps, int64_t now) {
    s->pad.begun = s->pad.paid = now;
    s->pad.bytes = 0;
    s->pad.kbps = kbps;
}

/* The padding's rate now, kbit/s: it grows, and ends. */
static int64_t sender_pad_rate(const struct sender *s, int64_t now) {
    int64_t age = now - s->pad.begun;
    return age >= ADAPT_PADDING ? 0 : s->pad.kbps * base_min(age, ADAPT_RAMP) / ADAPT_RAMP;
}

/* The newest packets go once more, round and round. Returns when to call again. */
static int64_t sender_pad(struct sender *s, int64_t now) {
    int64_t age = now - s->pad.begun, budget = s->pace.budget;
    const struct sender_run *run;
    const struct media_packet *p;
    if (age >= ADAPT_PADDING || !s->pad.kbps) return BASE_NEVER;
    s->pad.bytes += (now - s->pad.paid) * sender_pad_rate(s, now) / 8000;
    s->pad.paid = now;
    while (s->pad.bytes > 0) {
        uint32_t whole = s->seq - 1 - s->pad.sent++ % SENDER_PADS;
        p = sender_find(s, whole, &run);
        s->pad.bytes -= p ? p->n : RTP_PAYLOAD;
        if (p) sender_repeat(s, p, whole, run->timestamp, now);
    }
    s->pace.budget = budget; /* padding has a rate of its own */
    return now + 2 * PACE_REFILL;
}

/* Sends what may leave now. Returns when to come again; BASE_NEVER: when the stream has more. */
static int64_t sender_pump(struct sender *s, int64_t now) {
    pace_tick(&s->pace, s->media->kbps, s->seq, now);
    if (!sender_mend(s, now)) return now + PACE_REFILL / 2;
    while (sender_seek(s, now) && s->cursor < s->media->head) {
        const struct media_packet *p = media_at(s->media, s->cursor);
        if (s->pace.budget < p->n) return s->pace.pressed = now, now + PACE_REFILL / 2;
        if (p->flags & MEDIA_FIRST && !sender_begin_unit(s, p, now)) return s->next_frame;
        sender_send(s, p, now);
        s->cursor++;
    }
    return sender_pad(s, now);
}

/* The timestamp of a packet of sound. A camera that begins anew, or another stream, has another clock: it goes on from
 * the last packet as the server's clock does, for a browser plays nothing that goes back. */
static uint32_t sender_sound_timestamp(struct sender *s, const struct media_sound *p) {
    uint32_t timestamp = p->ticks + s->sound.offset;
    int64_t rate = base_sound[p->kind].rate, ahead = (int32_t)(timestamp - s->sound.timestamp);
    int64_t since = base_max(0, p->time - s->sound.time) * rate / BASE_S;
    bool on = p->kind == s->sound.kind && ahead > 0 && ahead - since < SENDER_SOUND_AHEAD * rate / BASE_S;
    if (s->sound.spoke && !on) timestamp = s->sound.timestamp + 1 + (uint32_t)since;
    s->sound.offset = timestamp - p->ticks;
    s->sound.timestamp = timestamp;
    s->sound.time = p->time;
    s->sound.kind = p->kind;
    return timestamp;
}

/* Sound begins when the picture is live, with what is new then; it is small and neither paced nor repeated. */
static void sender_sound(struct sender *s, int64_t now) {
    uint8_t packet[BASE_DATAGRAM + SEAL_ROOM];
    const struct media *m = s->media;
    if (!s->sound.open || s->state != SENDER_LIVE) s->sound.cursor = m->sounds;
    if (m->sounds - s->sound.cursor > MEDIA_SOUNDS / 2) s->sound.cursor = m->sounds - 1;
    for (; s->sound.cursor < m->sounds; s->sound.cursor++) {
        const struct media_sound *p = &m->sound[s->sound.cursor % MEDIA_SOUNDS];
        if (s->sound.pt[p->kind] > 127) continue;
        struct rtp_packet h = {.pt = s->sound.pt[p->kind],
                               .marker = !s->sound.spoke, /* RFC 3551 4.1 */
                               .seq = s->sound.seq++,
                               .timestamp = sender_sound_timestamp(s, p),
                               .ssrc = s->sound.ssrc,
                               .now = now};
        struct wr w = bytes_wr(packet, BASE_DATAGRAM);
        rtp_put(&w, &h, base_span(p->bytes, p->n));
        size_t n = w.n;
        if (w.bad || !seal_rtp(&s->seal, packet, &n)) continue;
        s->out.send(s->out.to, &s->path, packet, n);
        s->sound.spoke = true;
        s->sound.packets++;
        s->sound.octets += p->n;
    }
}

/* Reports wait until live: a replay's timestamps are not those of its pictures. Returns when to call again. */
static int64_t sender_tick(struct sender *s, int64_t now, int64_t wall) {
    int64_t pump = sender_pump(s, now);
    sender_sound(s, now);
    if (s->state != SENDER_LIVE) return pump;
    if (now >= s->next_report) sender_report(s, now, wall);
    return base_min(pump, s->next_report);
}

/* Is there something that was not there when sender_tick ran? */
static bool sender_has_news(const struct sender *s, int64_t now) {
    return s->cursor < s->media->head || s->sound.cursor < s->media->sounds || sender_may_move(s, now);
}

/* More than fit are forgotten: the browser asks again. */
static void sender_want(struct sender *s, uint16_t seq) {
    if (s->wanted_n - s->wanted_at < SENDER_RESENT) s->wanted[s->wanted_n++ % SENDER_RESENT] = seq;
}

static void sender_nack(struct sender *s, uint16_t seq, uint16_t mask, int64_t now) {
    sender_want(s, seq);
    for (unsigned i = 0; i < 16; i++)
        if (mask >> i & 1) sender_want(s, (uint16_t)(seq + 1 + i));
    sender_mend(s, now);
    s->lost_at = now;
    pace_slow_down(&s->pace, s->seq, now);
}

/* How long the IDR may take to arrive before a PLI means that its beginning was lost. */
static int64_t sender_patience(const struct sender *s) {
    int64_t n = 0;
    for (uint64_t i = s->media->gop; i < s->media->head && media_at(s->media, i)->flags & MEDIA_KEY; i++)
        n += media_at(s->media, i)->n;
    return SENDER_AGAIN + n * PACE_REFILL / PACE_SLOWEST;
}

/* The browser's decoder lost its references, or never had any: a browser asks for nothing that was sent before the first
 * packet that reached it. A source that can makes an IDR. Else the beginning is repeated; later, a small GOP is replayed. */
static void sender_refresh(struct sender *s, int64_t now) {
    s->keyframe_requests++;
    media_ask_key(s->media, now);
    bool first = s->run_count && now - s->started < SENDER_FIRST && s->again < SENDER_TRIES && !s->media->on_demand;
    if (first && media_joinable(s->media) && now - s->begun >= sender_patience(s) << s->again) {
        s->again++;
        sender_begin(s, now);
        return;
    }
    if (s->media->on_demand || s->media->ended || s->state != SENDER_LIVE || !media_joinable(s->media)) return;
    if (s->media->gop_bytes > SENDER_SMALL || (s->replayed && now - s->replayed < SENDER_REPLAY_GAP)) return;
    s->replayed = now;
    s->cursor = s->media->gop;
    s->state = SENDER_CATCHING_UP;
}

/* The least playout delay that hides what this viewer's network does: four times its jitter, and a repair's round trip
 * while packets get lost. It grows at once and shrinks slowly; below 20 ms it is not worth leaving 0. */
static void sender_adapt(struct sender *s, int64_t now) {
    int64_t jitter_ms = (int64_t)s->jitter / 90, need = jitter_ms * 4;
    if (s->lost_at && now - s->lost_at < SENDER_CALM) need += s->rtt / BASE_MS + 10;
    unsigned want = need < 20 ? 0 : (unsigned)base_min(need, SENDER_DELAY_MAX / 2);
    if (want < s->delay_min) want = want + 20 < s->delay_min ? s->delay_min - 10 : s->delay_min;
    if (want != s->delay_min) s->announce = SENDER_ANNOUNCE;
    s->delay_min = want;
}

static void sender_take_report(struct sender *s, const struct rtcp_report *r, int64_t now, int64_t wall) {
    if (r->ssrc != s->ssrc) return;
    /* repairs by RTX do not count as received (RFC 4588 6.3 keeps the streams' reports apart), packets sent again do */
    if (s->rtx_pt) pace_judge(&s->pace, (uint32_t)r->lost_total, now);
    s->reports++;
    s->highest = r->highest;
    s->lost = r->lost_total > 0 ? (uint32_t)r->lost_total : 0;
    s->jitter = r->jitter;
    /* RFC 3550 6.4.1: round trip = arrival - last SR - delay since it, in 1/65536 s */
    uint32_t rtt = (uint32_t)(rtcp_ntp(now + wall) >> 16) - r->last_sr - r->delay;
    if (r->last_sr && rtt < 60u * 65536) s->rtt = (int64_t)rtt * BASE_S / 65536;
    sender_adapt(s, now);
}

/* The receiver's clock comes back to it, so that it can tell the round trip. */
static void sender_dlrr(struct sender *s, uint32_t receiver, uint32_t time, int64_t now) {
    uint8_t packet[256];
    struct wr w = bytes_wr(packet, sizeof packet);
    if (s->told && now - s->told < SENDER_TELL) return;
    s->told = now;
    rtcp_put_dlrr(&w, s->ssrc, s->cname, receiver, time);
    sender_emit_rtcp(s, &w);
}

/* One packet of decrypted RTCP. */
static void sender_feedback(struct sender *s, const struct rtcp_packet *p, int64_t now, int64_t wall) {
    struct rtcp_report report;
    uint16_t seq, mask;
    uint32_t reference;
    uint64_t remb = rtcp_remb(p);
    for (int i = 0; rtcp_report(p, i, &report); i++) sender_take_report(s, &report, now, wall);
    for (int i = 0; rtcp_nack(p, s->ssrc, i, &seq, &mask); i++) sender_nack(s, seq, mask, now);
    if (remb) s->remb = remb;
    if (rtcp_reference_time(p, &reference)) sender_dlrr(s, p->sender, reference, now);
    if (rtcp_wants_keyframe(p, s->ssrc)) sender_refresh(s, now);
}

/* ==== 25 viewer =============================================================
 * One browser that watches one stream, and the lobby in which all are found. All datagrams of all viewers come through
 * one socket; the ufrag of a check and then the path tell the viewers apart (RFC 7983 tells the protocols apart).
 *
 *   CHECKING --first check--> SHAKING --keys--> WATCHING
 *   any --close_notify, consent lost, time-out, DELETE--> CLOSED
 *
 * pure; uses base, bytes, text, crypt, stun, ice, dtls, seal, sdp, rtcp, media, adapt, sender
 */
enum viewer_limits {
    VIEWER_ID = 22,      /* 128 random bits in base64url: nobody guesses a session's URL */
    VIEWER_HINTS = 1024, /* cache: path -> slot */
    VIEWER_SSRCS = 8     /* SSRCs a peer may report with */
};
#define VIEWER_PATIENCE  (5 * BASE_S)  /* with one that sends no check, when all places are taken */
#define VIEWER_HANDSHAKE (50 * BASE_S) /* from the answer to the keys; the first check alone may take 30 */
#define VIEWER_MOVE      (20 * BASE_S) /* for another stream to give an IDR: its camera may have to be called first */

enum viewer_state { VIEWER_FREE, VIEWER_CHECKING, VIEWER_SHAKING, VIEWER_WATCHING, VIEWER_CLOSED };

struct viewer {
    enum viewer_state state;
    const char *why; /* a sentence when CLOSED */
    struct lobby *lobby;
    struct media *media; /* the stream that was asked for; what is sent is sender.media */
    bool pinned;         /* that one and no other */
    struct adapt adapt;
    enum adapt_advice move; /* to another stream, under way; ADAPT_STAY: none */
    struct media *useless;  /* it was to be moved to and gave nothing */
    bool moved;             /* not told yet */
    int moves, probes;
    char id[VIEWER_ID + 1], etag[VIEWER_ID + 1];
    int slot;
    int64_t joined, closed, due; /* due: when viewer_tick has to run again */
    int64_t shaken;              /* when our first handshake message left; 0: it was answered */
    struct ice ice;
    struct dtls dtls;
    struct sender sender;
    uint32_t peer_ssrc[VIEWER_SSRCS];
    int peer_ssrcs;
};

struct viewer_totals {
    uint64_t packets, octets, nacked, repaired, keyframe_requests;
};

struct lobby {
    struct viewer **slot; /* max of them; NULL: none allocated. The caller allocates and frees. */
    int max, count;
    uint16_t hint[VIEWER_HINTS];
    struct crypt *crypt;
    struct dtls_home *dtls;
    struct emit out;
    uint64_t *drops;
    uint64_t joined;
    struct viewer_totals left; /* of viewers that are no more */
    int64_t wall;              /* Unix time minus the monotonic clock, microseconds */
};

static bool viewer_active(const struct viewer *v) { return v && v->state > VIEWER_FREE && v->state < VIEWER_CLOSED; }

static void viewer_set(struct viewer *v, enum viewer_state state) { v->state = state; }

/* How far a viewer is, in words; those of one that watches are its sender's. */
enum viewer_ranks { VIEWER_RANK_WATCHING = 3, VIEWER_RANKS = 6 };
static const char *const viewer_ranks[VIEWER_RANKS] = {
    "free", "checking", "shaking hands", "waiting for a keyframe", "catching up", "live"};

static int viewer_rank(const struct viewer *v) {
    return v->state == VIEWER_WATCHING ? VIEWER_RANK_WATCHING + (int)v->sender.state : (int)v->state;
}

static void viewer_add(struct viewer_totals *t, const struct sender *s) {
    t->packets += s->packets + s->sound.packets;
    t->octets += s->octets + s->sound.octets;
    t->nacked += s->nacked;
    t->repaired += s->repaired;
    t->keyframe_requests += s->keyframe_requests;
}

/* The one death. Idempotent; says BYE and close_notify, frees and wipes what the libraries hold. */
static void viewer_close(struct viewer *v, const char *why, int64_t now) {
    if (!viewer_active(v)) return;
    bool heard = now - v->ice.heard < ICE_CONSENT; /* RFC 7675 5.1: without consent, silence */
    if (heard && v->state == VIEWER_WATCHING) sender_bye(&v->sender);
    if (!heard) v->dtls.state = DTLS_CLOSED;
    dtls_close(&v->dtls, now);
    seal_close(&v->sender.seal);
    crypt_wipe(v->ice.pwd, sizeof v->ice.pwd);
    v->lobby->count--;
    viewer_add(&v->lobby->left, &v->sender);
    v->why = why;
    v->closed = now;
    viewer_set(v, VIEWER_CLOSED);
}

/* An empty slot with storage, or NULL. When the house is full, who came before and never sent a check gives way:
 * offers that nobody follows up must not lock others out. */
static struct viewer *viewer_vacancy(struct lobby *l, int64_t now) {
    struct viewer *idle = NULL;
    for (int i = 0; i < l->max; i++) {
        struct viewer *v = l->slot[i];
        if (v && v->state == VIEWER_FREE) return v->slot = i, v;
        if (v && v->state == VIEWER_CHECKING && (!idle || v->joined < idle->joined)) idle = v;
    }
    if (!idle || now - idle->joined < VIEWER_PATIENCE) return NULL;
    viewer_close(idle, "it sent no check and its place was needed", now);
    return idle;
}

static struct viewer *viewer_by_id(struct lobby *l, struct span id) {
    for (int i = 0; i < l->max; i++)
        if (viewer_active(l->slot[i]) && id.n == VIEWER_ID && crypt_same(id.p, l->slot[i]->id, VIEWER_ID))
            return l->slot[i];
    return NULL;
}

/* Our ufrag begins with the slot in hexadecimal, so that a check finds its viewer without a search. */
static void viewer_name(struct viewer *v) {
    struct crypt *c = v->lobby->crypt;
    snprintf(v->ice.ufrag, sizeof v->ice.ufrag, "%04x", (unsigned)v->slot);
    crypt_name(c, 6, v->ice.ufrag + 4, sizeof v->ice.ufrag - 4);
    crypt_name(c, 18, v->ice.pwd, sizeof v->ice.pwd);
    crypt_name(c, 16, v->id, sizeof v->id);
    crypt_name(c, 16, v->etag, sizeof v->etag);
    /* base64url's - and _ are no ice-char (RFC 8839 5.4) */
    for (char *p = v->ice.ufrag; *p; p++)
        if (*p == '-' || *p == '_') *p = *p == '-' ? '+' : '/';
    for (char *p = v->ice.pwd; *p; p++)
        if (*p == '-' || *p == '_') *p = *p == '-' ? '+' : '/';
}

static struct viewer *viewer_by_ufrag(struct lobby *l, struct span username) {
    struct span ufrag = text_cut(&username, ':');
    uint32_t slot;
    if (ufrag.n < 4 || !text_hex(base_span(ufrag.p, 4), &slot) || slot >= (uint32_t)l->max) return NULL;
    struct viewer *v = l->slot[slot];
    return viewer_active(v) && text_is(ufrag, v->ice.ufrag) ? v : NULL;
}

static uint16_t *viewer_hint(struct lobby *l, const struct path *path) {
    uint32_t h = path->remote.port * 40503u;
    for (int i = 0; i < 16; i++) h = (h ^ path->remote.ip[i]) * 16777619u;
    return &l->hint[(h >> 16 ^ h) % VIEWER_HINTS];
}

static struct viewer *viewer_by_path(struct lobby *l, const struct path *path) {
    uint16_t *hint = viewer_hint(l, path);
    struct viewer *v = *hint < l->max ? l->slot[*hint] : NULL;
    if (viewer_active(v) && ice_knows(&v->ice, path)) return v;
    for (int i = 0; i < l->max; i++) {
        v = l->slot[i];
        if (!viewer_active(v) || !ice_knows(&v->ice, path)) continue;
        *hint = (uint16_t)i;
        return v;
    }
    return NULL;
}

/* Everything an answer needs besides the offer. */
struct viewer_join {
    struct media *media;
    struct span offer;
    const struct wcam_addr *candidate;
    int candidates;
    bool pinned; /* this stream and no other of the camera */
};

static int viewer_open(struct viewer *v, struct lobby *l, const struct sdp_section *s, struct media *media,
                       int64_t now) {
    int slot = v->slot;
    memset(v, 0, sizeof *v);
    v->slot = slot;
    v->lobby = l;
    v->media = media;
    v->joined = v->ice.heard = now;
    viewer_name(v);
    text_copy(v->ice.peer_ufrag, sizeof v->ice.peer_ufrag, s->transport.ufrag);
    if (!dtls_read_fingerprint(s->transport.fingerprint, &v->dtls.peer_hash, v->dtls.peer_print)) return WCAM_EOFFER;
    if (dtls_open(&v->dtls, l->dtls, sdp_we_serve(s), l->out)) return WCAM_ECRYPTO;
    const struct sdp_codec *codec = sdp_best(s, media_profile(media)), *rtx = sdp_rtx(s, codec);
    uint32_t random[SENDER_RANDOM];
    crypt_random(l->crypt, random, sizeof random);
    sender_start(&v->sender, media, random, now);
    crypt_name(l->crypt, 12, v->sender.cname, sizeof v->sender.cname);
    v->sender.out = l->out;
    v->sender.pt = codec->pt;
    v->sender.rtx_pt = rtx ? rtx->pt : 0;
    v->sender.abs_send_time = s->abs_send_time;
    v->sender.playout_delay = s->playout_delay;
    viewer_set(v, VIEWER_CHECKING);
    return 0;
}

static void viewer_open_sound(struct viewer *v, const struct sdp_section *section) {
    for (int i = 1; i < BASE_SOUNDS && section; i++) {
        const struct sdp_codec *c = sdp_sound(section, (enum base_sounds)i);
        v->sender.sound.pt[i] = c ? c->pt : 255;
        v->sender.sound.open = true;
    }
}

static bool viewer_write_answer(const struct viewer *v, const struct viewer_join *j, const struct sdp_offer *o,
                                int chosen, struct wr *w) {
    const struct sdp_section *s = &o->section[chosen];
    struct sdp_answer a = {.section = chosen, .codec = sdp_best(s, media_profile(v->media))};
    a.rtx = sdp_rtx(s, a.codec);
    a.session = crypt_random32(v->lobby->crypt);
    a.sound = v->sender.sound.open ? sdp_choose_sound(o, chosen) : NULL;
    a.sound_ssrc = v->sender.sound.ssrc;
    a.ssrc = v->sender.ssrc;
    a.rtx_ssrc = v->sender.rtx_ssrc;
    a.ufrag = v->ice.ufrag;
    a.pwd = v->ice.pwd;
    a.fingerprint = v->lobby->dtls->fingerprint;
    a.name = v->media->name;
    a.cname = v->sender.cname;
    a.server = v->dtls.server;
    a.candidate = j->candidate;
    a.candidates = j->candidates;
    return sdp_write(w, o, &a);
}

/* Takes an offer, writes the answer. 0 and *out, or WCAM_E... and *why. */
static int viewer_answer(struct lobby *l, const struct viewer_join *j, int64_t now, struct wr *answer,
                         struct viewer **out, const char **why) {
    struct sdp_offer offer;
    if (j->offer.n > BASE_SDP) return *why = "The offer is larger than 64 KB.", WCAM_EOFFER;
    if (sdp_read(j->offer, &offer, why)) return WCAM_EOFFER;
    int chosen = sdp_choose(&offer, media_profile(j->media), why);
    if (chosen < 0) return WCAM_EMEDIA;
    struct viewer *v = viewer_vacancy(l, now);
    if (!v) return *why = "All viewers' places are taken.", WCAM_EFULL;
    int rc = viewer_open(v, l, &offer.section[chosen], j->media, now);
    if (!rc && j->media->may_sound) viewer_open_sound(v, sdp_choose_sound(&offer, chosen));
    if (!rc && !viewer_write_answer(v, j, &offer, chosen, answer)) rc = WCAM_EFULL;
    if (rc) {
        dtls_close(&v->dtls, now);
        memset(v, 0, sizeof *v);
        *why = rc == WCAM_EOFFER  ? "The offer's a=fingerprint is malformed."
               : rc == WCAM_EFULL ? "The answer did not fit its buffer."
                                  : "No memory for another viewer.";
        return rc;
    }
    v->pinned = j->pinned || j->media->better;
    l->count++;
    l->joined++;
    *out = v;
    return 0;
}

/* An authenticated peer may not make us (libsrtp2) remember any number of SSRCs. */
static bool viewer_knows_ssrc(struct viewer *v, const uint8_t *p, size_t n) {
    struct rd r = bytes_rd(base_span(p, n));
    bytes_r32(&r);
    uint32_t ssrc = bytes_r32(&r);
    for (int i = 0; i < v->peer_ssrcs; i++)
        if (v->peer_ssrc[i] == ssrc) return true;
    return v->peer_ssrcs < VIEWER_SSRCS && !r.bad;
}

static void viewer_learn_ssrc(struct viewer *v, uint32_t ssrc) {
    for (int i = 0; i < v->peer_ssrcs; i++)
        if (v->peer_ssrc[i] == ssrc) return;
    if (v->peer_ssrcs < VIEWER_SSRCS) v->peer_ssrc[v->peer_ssrcs++] = ssrc;
}

static enum drop viewer_rtcp(struct viewer *v, uint8_t *p, size_t n, int64_t now) {
    struct rtcp_packet packet;
    int more;
    if (v->state != VIEWER_WATCHING) return DROP_RTCP_EARLY;
    if (!viewer_knows_ssrc(v, p, n)) return DROP_RTCP_SSRC;
    if (!seal_unrtcp(&v->sender.seal, p, &n)) return DROP_RTCP_UNSEAL;
    struct span s = base_span(p, n);
    struct rd r = bytes_rd(s);
    bytes_r32(&r);
    viewer_learn_ssrc(v, bytes_r32(&r));
    while ((more = rtcp_next(&s, &packet)) > 0) {
        if (!rtcp_whole(&packet)) return DROP_RTCP_MALFORMED;
        sender_feedback(&v->sender, &packet, now, v->lobby->wall);
    }
    return more < 0 ? DROP_RTCP_MALFORMED : DROP_NONE;
}

/* What the handshake's end means. */
static void viewer_keys(struct viewer *v, int64_t now) {
    if (v->dtls.state == DTLS_CLOSED) viewer_close(v, "the browser said goodbye", now);
    else if (v->dtls.state == DTLS_FAILED) viewer_close(v, v->dtls.why, now);
    else if (v->state == VIEWER_SHAKING && v->dtls.state == DTLS_READY) {
        if (!seal_open(&v->sender.seal, v->dtls.keys, v->dtls.server))
            viewer_close(v, "libsrtp2 refused the keys", now);
        else viewer_set(v, VIEWER_WATCHING);
        crypt_wipe(v->dtls.keys, sizeof v->dtls.keys);
    }
}

/* RFC 7675 5.1: without consent for 30 s, not one packet more. */
static void viewer_expire(struct viewer *v, int64_t now) {
    if (viewer_active(v) && now - v->ice.heard >= ICE_CONSENT)
        viewer_close(v, v->state == VIEWER_CHECKING ? "no check arrived: UDP may be blocked" : "consent expired", now);
}

static enum drop viewer_stun(struct lobby *l, const struct path *path, struct span s, int64_t now) {
    uint8_t bytes[256];
    struct wr reply = bytes_wr(bytes, sizeof bytes);
    struct stun_msg m;
    enum drop d = stun_read(s, &m);
    if (d) return d;
    struct viewer *v = viewer_by_ufrag(l, m.username);
    viewer_expire(v, now);
    /* DEVIATION: RFC 8489 9.1.3 answers 400 or 401 to strangers; silence makes this port no reflector */
    if (!viewer_active(v)) return m.username.p ? DROP_STUN_USERNAME : DROP_STUN_NO_CREDENTIALS;
    d = ice_input(&v->ice, path, s, &m, now, &reply);
    if (reply.n && !reply.bad) l->out.send(l->out.to, path, reply.p, reply.n);
    if (d || !ice_connected(&v->ice)) return d;
    if (v->state == VIEWER_CHECKING) {
        viewer_set(v, VIEWER_SHAKING);
        v->shaken = v->dtls.server ? 0 : now;
        dtls_start(&v->dtls, path, now);
        viewer_keys(v, now);
    }
    v->dtls.path = v->sender.path = v->ice.active;
    v->due = 0;
    return DROP_NONE;
}

/* One datagram (RFC 7983 7): the first byte tells STUN 0..3, DTLS 20..63, RTP and RTCP 128..191 apart. */
static enum drop viewer_datagram(struct lobby *l, const struct path *path, uint8_t *p, size_t n, int64_t now) {
    if (!n) return DROP_UDP_EMPTY;
    if (n > BASE_DATAGRAM_IN) return DROP_UDP_LARGE;
    if (p[0] <= 3) return viewer_stun(l, path, base_span(p, n), now);
    bool dtls = p[0] >= 20 && p[0] <= 63, rtp = p[0] >= 128 && p[0] <= 191;
    if (!dtls && !rtp) return DROP_UDP_UNKNOWN_KIND;
    struct viewer *v = viewer_by_path(l, path);
    viewer_expire(v, now);
    if (!viewer_active(v)) return DROP_UDP_STRANGER;
    v->due = 0;
    if (dtls) {
        enum drop d = dtls_input(&v->dtls, base_span(p, n), now);
        if (v->shaken) v->sender.rtt = now - v->shaken; /* until reports tell */
        v->shaken = 0;
        viewer_keys(v, now);
        return d;
    }
    /* RFC 5761 4: 192..223 in the second byte is RTCP */
    if (n < 2 || p[1] < 192 || p[1] > 223) return DROP_RTP_UNEXPECTED;
    return viewer_rtcp(v, p, n, now);
}

static void viewer_input(struct lobby *l, const struct path *path, uint8_t *p, size_t n, int64_t now) {
    enum drop d = viewer_datagram(l, path, p, n, now);
    if (d) l->drops[d]++;
}

/* What adapt has to know. */
static struct adapt_view viewer_view(const struct viewer *v, int64_t now) {
    const struct sender *s = &v->sender;
    const struct media *m = s->media;
    struct adapt_view view = {.lesser = m->lesser != NULL,
                              .better = m != v->media,
                              .unfit = m->ended || m->gop == MEDIA_NONE || m->unplayable,
                              .kbps = m->mean_kbps,
                              .remb_kbps = (unsigned)(s->remb / 1000),
                              .reports = s->reports,
                              .seq = s->highest,
                              .lost = s->lost,
                              .rtt = s->rtt};
    /* what is repeated as it was, the browser takes for a replay: its estimate does not see that */
    int64_t padding = s->rtx_pt ? sender_pad_rate(s, now) : 0;
    if (padding) view.sent_kbps = m->mean_kbps + (unsigned)padding;
    return view;
}

/* To a neighbour of the present stream; what gave nothing the last time is passed over, if there is another behind it. */
static void viewer_move(struct viewer *v, bool higher, int64_t now) {
    struct sender *s = &v->sender;
    struct media *to = higher ? s->media->better : s->media->lesser, *behind = higher ? to->better : to->lesser;
    v->move = higher ? ADAPT_HIGHER : ADAPT_LOWER;
    s->limit = higher ? 0 : s->remb ? (unsigned)(s->remb / 1000) : s->media->mean_kbps / 2;
    sender_move(s, to == v->useless && behind ? behind : to, now);
}

/* Follows adapt's advice. Returns when to call again. */
static int64_t viewer_adapt(struct viewer *v, int64_t now) {
    struct sender *s = &v->sender;
    struct adapt_view view = viewer_view(v, now);
    if (v->pinned || (!view.lesser && !view.better)) return BASE_NEVER;
    if (v->move && s->next && now - s->next_since < VIEWER_MOVE) return s->next_since + VIEWER_MOVE;
    if (v->move) {
        v->moved = !s->next;
        v->useless = s->next;
        v->moves += v->moved;
        adapt_changed(&v->adapt, &view, v->move == ADAPT_HIGHER, v->moved, now);
        v->move = ADAPT_STAY;
        s->next = NULL;
    }
    enum adapt_advice advice = adapt_look(&v->adapt, &view, now);
    if (advice == ADAPT_TRY) {
        unsigned kbps = s->media->mean_kbps, better = s->media->better->mean_kbps;
        sender_probe(s, better > kbps ? better - kbps : 0, now);
        v->probes++;
    } else if (advice == ADAPT_END) sender_probe(s, 0, now);
    else if (advice != ADAPT_STAY) viewer_move(v, advice == ADAPT_HIGHER, now);
    return v->adapt.looked + (v->adapt.tried ? ADAPT_GLANCE : ADAPT_LOOK);
}

static int64_t viewer_work(struct viewer *v, int64_t now) {
    viewer_expire(v, now);
    if (v->state == VIEWER_SHAKING && now - v->joined >= VIEWER_HANDSHAKE)
        viewer_close(v, "the encryption handshake took too long", now);
    if (!viewer_active(v)) return BASE_NEVER;
    int64_t handshake = dtls_tick(&v->dtls, now);
    if (v->state == VIEWER_SHAKING) viewer_keys(v, now);
    if (!viewer_active(v)) return BASE_NEVER;
    int64_t media = BASE_NEVER;
    if (v->state == VIEWER_WATCHING)
        media = base_min(viewer_adapt(v, now), sender_tick(&v->sender, now, v->lobby->wall));
    return base_min(base_min(handshake, v->ice.heard + ICE_CONSENT), media);
}

/* How many watch a stream. */
static int viewer_count(const struct lobby *l, const struct media *m) {
    int n = 0;
    for (int i = 0; i < l->max; i++) n += viewer_active(l->slot[i]) && l->slot[i]->sender.media == m;
    return n;
}

/* Does somebody watch a stream, or wait to be moved to it? */
static bool viewer_needs(const struct lobby *l, const struct media *m) {
    for (int i = 0; i < l->max; i++)
        if (viewer_active(l->slot[i]) && (l->slot[i]->sender.media == m || l->slot[i]->sender.next == m)) return true;
    return false;
}

/* Of all viewers since the start. */
static struct viewer_totals viewer_total(const struct lobby *l) {
    struct viewer_totals t = l->left;
    for (int i = 0; i < l->max; i++)
        if (viewer_active(l->slot[i])) viewer_add(&t, &l->slot[i]->sender);
    return t;
}

/* Does what is due, or what new packets of the stream make possible. Returns when to call again. */
static int64_t viewer_tick(struct viewer *v, int64_t now) {
    if (!viewer_active(v)) return BASE_NEVER;
    if (now >= v->due || (v->state == VIEWER_WATCHING && sender_has_news(&v->sender, now)))
        v->due = viewer_work(v, now);
    return v->due;
}

/* ==== 26 whep ===============================================================
 * WHEP (draft-ietf-wish-whep-03): an offer is posted, the answer comes back; the session is deleted, or patched with
 * candidates, which a lite agent need not look at. No ICE restart: the page makes a new session, which costs one round
 * trip more.
 * pure; uses base, text, http, media, viewer
 */

/* One request to /NAME/whep or /NAME/whep/ID. */
struct whep {
    const struct http_req *req;
    struct span body;
    struct lobby *lobby;
    struct media *media;
    struct span id; /* empty for the endpoint itself */
    const struct wcam_addr *candidate;
    int candidates;
    int64_t now;
    bool pinned; /* ?stream= named the stream */
};

static bool whep_is_type(const struct http_req *q, const char *type) {
    struct span value = http_header(q, "content-type");
    return text_like(text_trim(text_cut(&value, ';')), type);
}

/* Takes an offer. Returns the HTTP status, 201 when the answer was written; else *why is a sentence. */
static int whep_join(struct lobby *l, const struct viewer_join *join, int64_t now, struct wr *answer,
                     struct viewer **out, const char **why) {
    if (join->media->ended) return *why = media_reason(join->media), 409;
    switch (viewer_answer(l, join, now, answer, out, why)) {
    case 0: return 201;
    case WCAM_EOFFER: return 400;
    case WCAM_EMEDIA: return 422;
    default: return 503;
    }
}

static void whep_post(const struct whep *w, struct http_resp *r) {
    struct viewer *v = NULL;
    const char *why = "";
    struct viewer_join join = {w->media, w->body, w->candidate, w->candidates, w->pinned};
    if (!whep_is_type(w->req, "application/sdp")) {
        http_problem(r, 415, "Post an SDP offer as application/sdp.");
        return;
    }
    int status = whep_join(w->lobby, &join, w->now, &r->body, &v, &why);
    if (status != 201) {
        if (status == 409 || status == 503) text_put(&r->extra, "Retry-After: 5\r\n");
        http_problem(r, status, why);
        return;
    }
    r->status = 201;
    r->type = "application/sdp";
    text_putf(&r->extra, "Location: /%s/whep/%s\r\nETag: \"%s\"\r\n", w->media->name, v->id, v->etag);
}

/* The first value of an attribute of an SDP fragment. */
static struct span whep_fragment_value(struct span body, const char *attribute) {
    while (body.n) {
        struct span line = text_line(&body);
        if (text_after(&line, attribute)) return line;
    }
    return (struct span){NULL, 0};
}

/* Trickle ICE (RFC 8840 9): candidates are taken and not used. A new ufrag would be a restart (RFC 9725 4.3.3). */
static void whep_patch(const struct whep *w, const struct viewer *v, struct http_resp *r) {
    struct span match = http_header(w->req, "if-match"), quoted = match;
    struct span ufrag = whep_fragment_value(w->body, "a=ice-ufrag:");
    bool any = text_is(match, "*") || text_is(match, "\"*\"");
    bool same = text_after(&quoted, "\"") && quoted.n == VIEWER_ID + 1 && quoted.p[VIEWER_ID] == '"' &&
                !memcmp(quoted.p, v->etag, VIEWER_ID);
    if (!whep_is_type(w->req, "application/trickle-ice-sdpfrag"))
        http_problem(r, 415, "Patch with application/trickle-ice-sdpfrag.");
    else if (!match.p) http_problem(r, 428, "If-Match is missing.");
    else if (!any && !same) http_problem(r, 412, "If-Match names another ICE session.");
    else if (!ufrag.n) http_problem(r, 400, "The SDP fragment has no a=ice-ufrag.");
    else if (!text_is(ufrag, v->ice.peer_ufrag))
        http_problem(r, 422, "ICE restart is not supported: delete this session and post a new offer.");
    else r->status = 204;
}

static void whep_endpoint(const struct whep *w, struct http_resp *r) {
    if (text_is(w->req->method, "POST")) whep_post(w, r);
    else if (http_gets(w->req)) {
        r->status = 200;
        r->type = "application/sdp";
    } else http_not_allowed(r, "GET, HEAD, OPTIONS, POST", "The WHEP endpoint takes POST.");
}

static void whep_session(const struct whep *w, struct http_resp *r) {
    struct span method = w->req->method;
    struct viewer *v = viewer_by_id(w->lobby, w->id);
    if (!v || v->media != w->media) {
        http_problem(r, 404, "There is no such session: it has ended.");
    } else if (text_is(method, "DELETE")) {
        viewer_close(v, "the viewer hung up", w->now);
        r->status = 200;
    } else if (text_is(method, "PATCH")) whep_patch(w, v, r);
    else if (http_gets(w->req)) {
        r->status = 200;
        text_putf(&r->extra, "ETag: \"%s\"\r\n", v->etag);
    } else http_not_allowed(r, "DELETE, GET, HEAD, OPTIONS, PATCH", "A WHEP session takes PATCH and DELETE.");
}

static void whep_serve(const struct whep *w, struct http_resp *r) {
    if (w->id.n) whep_session(w, r);
    else whep_endpoint(w, r);
}

/* ==== 27 guard ==============================================================
 * Who may come in: the Host check (DNS rebinding), CORS, Origin, token and password, and how often.
 * pure; uses base, bytes, text, crypt, http, ws
 */
enum guard_limits { GUARD_LIST = 16, GUARD_TEXT = 128, GUARD_ADDRESSES = 64, GUARD_BURST = 60, GUARD_RATE = 20 };

struct guard_rate {
    struct wcam_addr from;
    int64_t tokens, at; /* millionths of an attempt, as of at */
};

struct guard {
    char host[GUARD_LIST][GUARD_TEXT], origin[GUARD_LIST][GUARD_TEXT]; /* --host, --cors */
    int hosts, origins;
    char token[GUARD_TEXT], user[GUARD_TEXT]; /* "" : none */
    char cookie[CRYPT_HASH_MAX], cookie_name[24];
    struct guard_rate rate[GUARD_ADDRESSES];
};

/* The cookie proves that its owner once brought the token and is worthless to another server. */
static void guard_start(struct guard *g, struct crypt *c, uint16_t port) {
    /* a cookie belongs to a host, not to a port (RFC 6265 8.5): the port goes into its name */
    snprintf(g->cookie_name, sizeof g->cookie_name, "wcam%u", port);
    crypt_name(c, 24, g->cookie, sizeof g->cookie);
}

/* The host of "host:port", "[v6]:port". */
static struct span guard_host_of(struct span authority) {
    if (authority.n && authority.p[0] == '[') {
        struct span inner = base_span(authority.p + 1, authority.n - 1);
        return text_cut(&inner, ']');
    }
    return text_cut(&authority, ':');
}

/* A browser that was tricked into sending a foreign name here must not be served: its page would own our answers. */
static bool guard_host(const struct guard *g, const struct http_req *q) {
    struct span host = guard_host_of(q->authority.p ? q->authority : http_header(q, "host")); /* RFC 9112 3.2.2 */
    struct wcam_addr ip;
    if (text_ip(host, &ip) || text_like(host, "localhost") || (!host.n && !q->minor)) return true;
    for (int i = 0; i < g->hosts; i++)
        if (text_like(host, g->host[i])) return true;
    return false;
}

static bool guard_listed(const struct guard *g, struct span origin) {
    for (int i = 0; i < g->origins; i++)
        if (text_is(text_of("*"), g->origin[i]) || text_like(origin, g->origin[i])) return true;
    return false;
}

/* Is the Origin that of our own page? */
static bool guard_same_origin(const struct http_req *q, struct span origin) {
    struct span host = http_header(q, "host");
    return (text_after(&origin, "http://") || text_after(&origin, "https://")) && text_same(origin, host);
}

/* The headers that let a listed origin read the answer; also on errors, so that it can read why. */
static void guard_cors(const struct guard *g, const struct http_req *q, struct http_resp *r) {
    struct span origin = http_header(q, "origin");
    if (g->origins) text_put(&r->extra, "Vary: Origin\r\n");
    if (!origin.p || origin.n > GUARD_TEXT || !guard_listed(g, origin)) return;
    text_put(&r->extra, "Access-Control-Allow-Origin: ");
    bytes_put(&r->extra, origin.p, origin.n);
    text_put(&r->extra, "\r\nAccess-Control-Expose-Headers: Location, ETag, Link, Retry-After\r\n");
    if (!text_is(q->method, "OPTIONS")) return;
    text_put(&r->extra, "Access-Control-Allow-Methods: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n"
                        "Access-Control-Allow-Headers: Authorization, Content-Type, If-Match\r\n"
                        "Access-Control-Max-Age: 600\r\n");
}

static bool guard_has_cookie(const struct guard *g, const struct http_req *q) {
    for (int i = 0; i < q->fields; i++) {
        struct span list = q->field[i].value;
        while (text_like(q->field[i].name, "cookie") && list.n) {
            struct span value = text_trim(text_cut(&list, ';'));
            if (text_is(text_cut(&value, '='), g->cookie_name) && crypt_same_text(value, text_of(g->cookie)))
                return true;
        }
    }
    return false;
}

/* An unsafe method from a foreign page that is not listed: refused, whatever credentials the browser attaches. A browser
 * says where an unsafe request comes from; with a cookie, who does not say it is refused too. */
static bool guard_foreign(const struct guard *g, const struct http_req *q) {
    struct span origin = http_header(q, "origin");
    if (http_safe(q) && !ws_asked_for(q)) return false; /* no CORS guards a WebSocket: RFC 6455 10.2 */
    if (!origin.p) return guard_has_cookie(g, q) && !http_header(q, "authorization").p;
    return !guard_same_origin(q, origin) && !guard_listed(g, origin);
}

static bool guard_query_token(const struct guard *g, const struct http_req *q) {
    uint8_t plain[GUARD_TEXT];
    struct wr w = bytes_wr(plain, sizeof plain);
    bool ok = g->token[0] && text_unpercent(&w, http_query(q->query, "token")) &&
              crypt_same_text(bytes_written(&w), text_of(g->token));
    crypt_wipe(plain, sizeof plain);
    return ok;
}

/* Bearer (RFC 6750 2.1) with the token, Basic (RFC 7617) with the name and password. */
static bool guard_authorization(const struct guard *g, const struct http_req *q) {
    uint8_t plain[2 * GUARD_TEXT];
    struct wr w = bytes_wr(plain, sizeof plain);
    struct span value = http_header(q, "authorization"), scheme = text_word(&value);
    value = text_trim(value);
    if (text_like(scheme, "bearer")) return g->token[0] && crypt_same_text(value, text_of(g->token));
    bool ok = g->user[0] && text_like(scheme, "basic") && bytes_unbase64(&w, value) &&
              crypt_same_text(bytes_written(&w), text_of(g->user));
    crypt_wipe(plain, sizeof plain);
    return ok;
}

static bool guard_admits(const struct guard *g, const struct http_req *q) {
    if (!g->token[0] && !g->user[0]) return true;
    return guard_authorization(g, q) || guard_has_cookie(g, q) || guard_query_token(g, q);
}

static void guard_challenge(const struct guard *g, struct http_resp *r) {
    if (g->user[0]) text_put(&r->extra, "WWW-Authenticate: Basic realm=\"webrtc_cam\", charset=\"UTF-8\"\r\n");
    if (g->token[0]) text_put(&r->extra, "WWW-Authenticate: Bearer realm=\"webrtc_cam\"\r\n");
    http_problem(r, 401,
                 g->user[0] ? "The name or password is missing or wrong."
                            : "The token is missing or wrong: open the address with ?token=... at its end.");
}

/* What an address may still do, refilled up to now; IPv6 by its /64, since whoever has one address there has all of them. A
 * new address takes the place that was idle for longest. */
static int64_t *guard_tokens(struct guard *g, const struct wcam_addr *from, int64_t now) {
    struct wcam_addr key = *from;
    struct guard_rate *r = &g->rate[0];
    key.port = 0;
    if (key.family == 6) memset(key.ip + 8, 0, 8);
    for (int i = 0; i < GUARD_ADDRESSES && !base_addr_same(&r->from, &key); i++)
        if (g->rate[i].at < r->at || base_addr_same(&g->rate[i].from, &key)) r = &g->rate[i];
    if (!base_addr_same(&r->from, &key)) *r = (struct guard_rate){key, GUARD_BURST * BASE_S, now};
    r->tokens = base_min(r->tokens + (now - r->at) * GUARD_RATE, GUARD_BURST * BASE_S);
    r->at = now;
    return &r->tokens;
}

/* Joins cost a handshake each, and passwords can be guessed: GUARD_RATE per second and address, GUARD_BURST at once. */
static bool guard_exhausted(struct guard *g, const struct wcam_addr *from, int64_t now) {
    return *guard_tokens(g, from, now) < BASE_S;
}

static void guard_charge(struct guard *g, const struct wcam_addr *from, int64_t now) {
    *guard_tokens(g, from, now) -= BASE_S;
}

/* Does the request bring credentials, right or wrong? */
static bool guard_tries(const struct guard *g, const struct http_req *q) {
    return (g->token[0] || g->user[0]) && (http_header(q, "authorization").p || http_query(q->query, "token").p);
}

/* ==== 28 signal =============================================================
 * Signaling over a WebSocket: JSON messages in and out. What the browser sends are its own objects as JSON.stringify
 * writes them, and what it gets fits setRemoteDescription.
 *
 *   browser  {"type":"offer","sdp":"..."}   answered by answer or error; another one replaces the session before
 *            {"type":"candidate",...}       taken and not used: a lite agent needs none
 *            {"type":"bye"}                 ends the session
 *   server   {"type":"answer","sdp":"...","session":"/NAME/whep/ID"}
 *            {"type":"error","status":422,"detail":"..."}   what HTTP would have answered
 *            {"type":"stream","state":"live","reason":"",...}   at once, and whenever something of it changes
 *            {"type":"ended","reason":"..."}   the session is over
 *            {"type":"closing","reason":"..."} the server goes down
 *
 * pure; uses base, bytes, text, media, viewer, whep, guard
 */
struct signal {
    struct media *media;
    bool pinned;                /* ?stream= named it */
    char viewer[VIEWER_ID + 1]; /* "": no session */
    const char *ended;          /* why it is over, as long as that is to be told; NULL */
    uint32_t told;              /* checksum of the last "stream" */
};

/* The peer of a signal, and who serves it. */
struct signal_peer {
    struct lobby *lobby;
    struct guard *guard;
    struct wcam_addr from;
    const struct wcam_addr *candidate;
    int candidates;
};

static void signal_start(struct signal *s, struct media *media, bool pinned) {
    memset(s, 0, sizeof *s);
    s->media = media;
    s->pinned = pinned;
}

static void signal_error(struct wr *out, int status, const char *detail) {
    text_putf(out, "{\"type\":\"error\",\"status\":%d,\"detail\":", status);
    text_json(out, text_of(detail));
    text_put(out, "}");
}

static void signal_reason(struct wr *out, const char *type, const char *reason) {
    text_putf(out, "{\"type\":\"%s\",\"reason\":", type);
    text_json(out, text_of(reason));
    text_put(out, "}");
}

/* The browser hung up. */
static void signal_close(struct signal *s, struct lobby *l, int64_t now) {
    struct viewer *v = s->viewer[0] ? viewer_by_id(l, text_of(s->viewer)) : NULL;
    s->viewer[0] = 0;
    if (v) viewer_close(v, "the viewer hung up", now);
}

/* answer is room for the SDP before it becomes a JSON string. */
static void signal_offer(struct signal *s, const struct signal_peer *peer, struct span sdp, int64_t now,
                         struct wr *answer, struct wr *out) {
    struct viewer *v = NULL;
    const char *why = "";
    struct viewer_join join = {s->media, sdp, peer->candidate, peer->candidates, s->pinned};
    if (guard_exhausted(peer->guard, &peer->from, now)) {
        signal_error(out, 429, "Too many requests from this address: wait a second.");
        return;
    }
    guard_charge(peer->guard, &peer->from, now);
    int status = whep_join(peer->lobby, &join, now, answer, &v, &why);
    if (status != 201) {
        signal_error(out, status, why);
        return;
    }
    signal_close(s, peer->lobby, now);
    text_copy(s->viewer, sizeof s->viewer, text_of(v->id));
    text_put(out, "{\"type\":\"answer\",\"sdp\":");
    text_json(out, bytes_written(answer));
    text_putf(out, ",\"session\":\"/%s/whep/%s\"}", s->media->name, v->id);
}

/* One message, at p; strings in it are decoded in place. What is written to out is to be sent. */
static void signal_input(struct signal *s, const struct signal_peer *peer, uint8_t *p, size_t n, int64_t now,
                         struct wr *answer, struct wr *out) {
    uint8_t word[16];
    struct span value, sdp;
    struct wr type = bytes_wr(word, sizeof word), w;
    bool json = text_json_object(base_span(p, n), "type", &value) && text_json_object(base_span(p, n), "sdp", &sdp);
    if (!json || !value.p || !text_unjson(&type, value)) {
        signal_error(out, 400, "Send a JSON object with a type: offer, candidate or bye.");
    } else if (text_is(bytes_written(&type), "offer")) {
        w = bytes_wr(p, n);
        if (sdp.p && text_unjson(&w, sdp)) signal_offer(s, peer, bytes_written(&w), now, answer, out);
        else signal_error(out, 400, "The offer has no sdp, or one that is no string.");
    } else if (text_is(bytes_written(&type), "bye")) signal_close(s, peer->lobby, now);
    else if (!text_is(bytes_written(&type), "candidate"))
        signal_error(out, 400, "There is no such type of message: send offer, candidate or bye.");
}

/* A viewer has left; its slot is about to be freed. */
static void signal_ended(struct signal *s, const struct viewer *v) {
    if (!s->viewer[0] || strcmp(s->viewer, v->id) != 0) return;
    s->viewer[0] = 0;
    s->ended = v->why;
}

/* Writes what the browser has not been told yet. false: nothing. */
static bool signal_news(struct signal *s, struct lobby *l, struct wr *out) {
    const struct viewer *v = s->viewer[0] ? viewer_by_id(l, text_of(s->viewer)) : NULL;
    const struct media *m = v ? v->sender.media : s->media;
    if (s->viewer[0] && !s->ended && !v) { /* its place was given away */
        s->viewer[0] = 0;
        s->ended = "the session is over";
    }
    if (s->ended) {
        signal_reason(out, "ended", s->ended);
        s->ended = NULL;
        return true;
    }
    text_putf(out, "{\"type\":\"stream\",\"name\":\"%s\",\"stream\":\"%s\",\"state\":\"%s\",\"reason\":", m->name,
              m->sub, media_state(m));
    text_json(out, text_of(media_reason(m)));
    text_putf(out, ",\"codec\":\"%s\",\"width\":%d,\"height\":%d,\"viewers\":%d}", media_codec(m),
              m->sps ? m->sps->width : 0, m->sps ? m->sps->height : 0, viewer_count(l, m));
    uint32_t sum = bytes_crc32(bytes_written(out));
    if (sum == s->told) return false;
    s->told = sum;
    return true;
}

/* ==== 29 page ===============================================================
 * The viewer page: one file, no framework, nothing fetched but this server's own API. One string per line of it; no
 * double quote and no backslash occur, so test/page.py can take it out for editing and fold it back.
 * pure; uses base, bytes, text, crypt
 */
/* clang-format off */
static const char *const page_html[] = {
    "<!doctype html>\n",
    "<html lang='en'>\n",
    "<head>\n",
    "<meta charset='utf-8'>\n",
    "<meta name='viewport' content='width=device-width, initial-scale=1, viewport-fit=cover'>\n",
    "<title>Cameras</title>\n",
    "<link rel='icon' href='data:image/svg+xml,%3Csvg xmlns=%27http://www.w3.org/2000/svg%27 viewBox=%270 0 8 8%27\n",
    "%3E%3Ccircle cx=%274%27 cy=%274%27 r=%273%27 fill=%27%231c9c73%27/%3E%3C/svg%3E'>\n",
    "<style>\n",
    ":root { color-scheme: light dark; --ground: #f3f3f0; --ink: #1b1c1e; --soft: #5b6067; --accent: #0b7457; --bad: #b22 }\n",
    "@media (prefers-color-scheme: dark) {\n",
    "  :root { --ground: #121315; --ink: #ededeb; --soft: #a2a7ae; --accent: #3ecf9c; --bad: #ff7a70 }\n",
    "}\n",
    "/* whatever lies over a picture is dark, in both schemes */\n",
    ".one #bar, .caption, .words, aside { color-scheme: dark; --ink: #fff; --soft: #ced1d6; --accent: #3ecf9c;\n",
    "  --bad: #ff7a70; color: var(--ink) }\n",
    "* { box-sizing: border-box; margin: 0 }\n",
    "[hidden] { display: none !important }\n",
    "body { position: fixed; inset: 0; display: flex; flex-direction: column; overflow: hidden; background: var(--ground);\n",
    "  color: var(--ink); font: 15px/1.4 system-ui, sans-serif; -webkit-tap-highlight-color: transparent }\n",
    ".one { background: #000 }\n",
    "main { flex: 1; min-height: 0; position: relative }\n",
    ":focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; border-radius: .5em }\n",
    "\n",
    "#list { height: 100%; padding: 6px; list-style: none; display: grid; gap: 6px; place-content: center;\n",
    "  grid-template-columns: repeat(var(--columns, 1), var(--width, 100%)) }\n",
    ".one #list { display: block; padding: 0 }\n",
    "li { position: relative; aspect-ratio: 16 / 9; overflow: hidden; border-radius: .6em; background: #000 }\n",
    ".one li { height: 100%; aspect-ratio: auto; border-radius: 0; touch-action: pinch-zoom }\n",
    "li a { display: block; height: 100%; color: inherit; text-decoration: none }\n",
    "video { display: block; width: 100%; height: 100%; object-fit: contain }\n",
    "li:not(.live) video { opacity: .35; transition: opacity .4s }   /* dims slowly, comes back at once */\n",
    ".words { position: absolute; inset: 0; display: grid; place-content: center; padding: 1em 1.2em 2.2em;\n",
    "  text-align: center; text-wrap: balance; text-shadow: 0 0 .4em #000, 0 0 1em #000 }\n",
    ".one .words { padding: 2em max(2em, 50% - 15em); font-size: 1.15em }\n",
    ".live .words, .one .caption { display: none }\n",
    ".caption { position: absolute; left: 0; bottom: 0; max-width: 100%; display: flex; align-items: center; gap: .5em;\n",
    "  padding: .2em .8em .25em .7em; border-radius: 0 .6em 0 0; background: #000a; font-size: .9em; font-weight: 600 }\n",
    ".dot { flex: none; width: .6em; height: .6em; border-radius: 50%; border: 2px solid var(--accent);\n",
    "  animation: pulse 1.2s .6s infinite alternate }\n",
    ".live > .dot, .live .caption .dot { background: var(--accent); animation: none }\n",
    ".bad > .dot, .bad .caption .dot { background: var(--bad); border-color: var(--bad); animation: none }\n",
    "@keyframes pulse { to { opacity: .3 } }\n",
    "\n",
    "#bar { display: flex; align-items: center; gap: .3em; transition: opacity .4s; padding: .35em .6em;\n",
    "  padding-bottom: max(.35em, env(safe-area-inset-bottom)) }\n",
    ".one #bar { position: absolute; inset: auto 0 0; padding-top: 2em; background: linear-gradient(#0000, #000a 40%) }\n",
    ".one.still #bar:not(:has(:focus-visible)) { opacity: 0; pointer-events: none }\n",
    ".one.still { cursor: none }\n",
    "#about { flex: 1; min-width: 0; display: flex; flex-wrap: wrap; gap: 0 .7em; margin: 0 .4em; padding: .4em 0 }\n",
    "h1 { font-size: 1em }\n",
    "#status { color: var(--soft); font-variant-numeric: tabular-nums }\n",
    ".one #bar:not(.live) #status { position: absolute; opacity: 0; pointer-events: none }   /* .words says it large */\n",
    "#bar .dot { margin-left: .5em }\n",
    "button, .button, select, input { font: inherit; color: inherit; border: 0; border-radius: .5em; background: none }\n",
    "button, .button { flex: none; display: grid; place-content: center; min-width: 44px; height: 44px; cursor: pointer }\n",
    "button:hover, .button:hover, select { background: #8884 }\n",
    "select { height: 34px; flex: 1 1 4em; min-width: 0; max-width: 9em }\n",
    "option { color: #000; background: #fff }\n",
    "svg { display: block; width: 24px; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round;\n",
    "  stroke-linejoin: round }\n",
    "[aria-pressed=true] .off, [aria-pressed=false] .on { display: none }\n",
    "@media (max-width: 600px) {\n",
    "  .one #bar { flex-wrap: wrap }\n",
    "  .one #bar .dot { order: -2 }\n",
    "  .one #about { order: -1; flex-basis: calc(100% - 3em) }\n",
    "  #back { margin-right: auto }\n",
    "}\n",
    "\n",
    "aside { position: absolute; inset: .6em .6em auto auto; width: min(27em, 100% - 1.2em); max-height: calc(100% - 1.2em);\n",
    "  overflow: auto; padding: .3em .5em 1em 1.1em; border-radius: .8em; background: #0e0f11e8; font-size: .87em }\n",
    "aside:focus { outline: 0 }\n",
    "aside header { display: flex; align-items: center }\n",
    "h2 { flex: 1; font-size: 1.1em }\n",
    "dl { display: grid; grid-template-columns: auto 1fr; gap: .15em 1em; padding-right: .6em }\n",
    "dt { color: var(--soft) }\n",
    "dd { text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }\n",
    "#help dd { text-align: left }\n",
    "figure { padding: 0 .6em .5em 0 }\n",
    "figcaption { display: flex; justify-content: space-between; color: var(--soft); font-variant-numeric: tabular-nums }\n",
    "canvas { display: block; width: 100%; height: 38px; border-bottom: 1px solid #555 }\n",
    "\n",
    "#signin { position: absolute; inset: 0; display: grid; place-content: center; gap: .6em; padding: 1.5em;\n",
    "  grid-template-columns: min(20em, 100%); background: var(--ground); color: var(--ink) }\n",
    "#signin input { height: 44px; padding: 0 .8em; border: 1px solid var(--soft) }\n",
    "#signin button { background: var(--accent); color: var(--ground); font-weight: 600 }\n",
    "#open form { display: grid; gap: .6em; padding: 0 .6em .3em 0 }\n",
    "#open input { height: 44px; padding: 0 .8em; border: 1px solid var(--soft) }\n",
    "#open form button { background: var(--accent); color: #101214; font-weight: 600 }\n",
    "#open [role=alert], #wrong { min-height: 1.4em; color: var(--bad) }\n",
    "@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important } }\n",
    "</style>\n",
    "</head>\n",
    "<body>\n",
    "<main>\n",
    "<noscript>This page needs JavaScript to show the cameras.</noscript>\n",
    "<ul id='list'></ul>\n",
    "<form id='signin' hidden>\n",
    "<h2>Sign in</h2>\n",
    "<label for='token'>This server asks for a token.</label>\n",
    "<input id='token' type='password' autocomplete='current-password' required aria-describedby='wrong'>\n",
    "<button>Show the cameras</button>\n",
    "<p id='wrong' role='alert'></p>\n",
    "</form>\n",
    "</main>\n",
    "<footer id='bar'>\n",
    "<a id='back' class='button' href='./' aria-label='All cameras (Esc)' hidden>\n",
    "<svg viewBox='0 0 24 24'><path d='M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z'/></svg></a>\n",
    "<span class='dot'></span>\n",
    "<div id='about'><h1 id='name'>Cameras</h1>\n",
    "<p id='status' role='status'><span id='words'></span><span id='figures' aria-live='off'></span></p></div>\n",
    "<button id='add' aria-label='Open a camera by its address (o)' hidden>\n",
    "<svg viewBox='0 0 24 24'><path d='M12 5v14M5 12h14'/></svg></button>\n",
    "<select id='stream' aria-label='Stream' hidden></select>\n",
    "<button id='mute' aria-label='Sound (m)' aria-pressed='false' hidden>\n",
    "<svg viewBox='0 0 24 24'><path d='M4 9v6h4l5 4V5L8 9z'/><path class='off' d='M17 9.500l5 5M22 9.500l-5 5'/>\n",
    "<path class='on' d='M16.500 9q2 3 0 6M19.500 6.500q4 5.500 0 11'/></svg></button>\n",
    "<button id='shot' aria-label='Save this picture (s)' hidden>\n",
    "<svg viewBox='0 0 24 24'><path d='M3 8h4l2-3h6l2 3h4v11H3z'/><circle cx='12' cy='13' r='3.500'/></svg></button>\n",
    "<button id='pip' aria-label='Picture in picture (p)' hidden>\n",
    "<svg viewBox='0 0 24 24'><path d='M3 5h18v14H3zM12 12h6v4h-6z'/></svg></button>\n",
    "<button id='full' aria-label='Full screen (f)' hidden>\n",
    "<svg viewBox='0 0 24 24'><path d='M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5'/></svg></button>\n",
    "<button id='info' aria-label='Diagnostics (i); ? lists the keys' aria-expanded='false'>\n",
    "<svg viewBox='0 0 24 24'><circle cx='12' cy='12' r='9'/><path d='M12 11v5.500M12 7.500v.1'/></svg></button>\n",
    "</footer>\n",
    "<aside id='panel' aria-label='Diagnostics' tabindex='-1' hidden>\n",
    "<header><h2></h2><button id='copy'>Copy</button><button class='close' aria-label='Close'>✕</button></header>\n",
    "<figure><figcaption><span>Bitrate</span><b></b></figcaption><canvas></canvas></figure>\n",
    "<figure><figcaption><span>Frame rate</span><b></b></figcaption><canvas></canvas></figure>\n",
    "<figure><figcaption><span>Latency, server to screen</span><b></b></figcaption><canvas></canvas></figure>\n",
    "<dl></dl>\n",
    "</aside>\n",
    "<aside id='help' aria-label='Keys' tabindex='-1' hidden>\n",
    "<header><h2>Keys</h2><button class='close' aria-label='Close'>✕</button></header>\n",
    "<dl></dl>\n",
    "</aside>\n",
    "<aside id='open' aria-label='Open a camera' tabindex='-1' hidden>\n",
    "<header><h2>Open a camera</h2><button class='close' aria-label='Close'>✕</button></header>\n",
    "<form><label for='address'>Its address</label>\n",
    "<input id='address' placeholder='rtsp://name:password@camera/path' autocomplete='off' spellcheck='false' required>\n",
    "<button>Show it</button><p role='alert'></p></form>\n",
    "</aside>\n",
    "<template id='tile'><li><a><video autoplay muted playsinline></video><span class='words'></span>\n",
    "<span class='caption'><i class='dot'></i><span></span></span></a></li></template>\n",
    "<script>\n",
    "'use strict';\n",
    "// The viewer of webrtc_cam: asking the server; a camera on screen (Tile), with one attempt at a time to show it; which\n",
    "// cameras those are; the clock that watches over all; controls; diagnostics.\n",
    "const $ = id => document.getElementById(id);\n",
    "const make = kind => document.createElement(kind);\n",
    "const fill = (at, text) => { if (at.textContent !== text) at.textContent = text; };   // spares screen readers repeats\n",
    "const tiles = new Map();   // camera name -> Tile\n",
    "const every = () => [...tiles.values()];\n",
    "let big = null;            // the Tile that fills the page; null: the grid\n",
    "let listing = null;        // what the server last said of its streams; null: nothing yet\n",
    "let locked = false;        // the server wants a password or token first\n",
    "let trouble = '';          // why there is no list of cameras\n",
    "let opens = false;         // the server lets us open cameras by their address\n",
    "\n",
    "// ---- asking the server\n",
    "\n",
    "// Its message is a sentence for the status line. status 0: there was no answer at all.\n",
    "class Refusal extends Error {\n",
    "  constructor(words, status = 0, wait = 0) { Object.assign(super(words), {status, wait}); }\n",
    "}\n",
    "\n",
    "async function ask(url, options = {}) {\n",
    "  const abort = new AbortController(), limit = setTimeout(() => abort.abort(), 8000);\n",
    "  try {\n",
    "    const r = await fetch(url, {...options, signal: abort.signal}), body = await r.text();\n",
    "    if (!r.ok) throw refusal(r, body);\n",
    "    if (locked) unlock();\n",
    "    return {body, r};\n",
    "  } catch (e) {\n",
    "    if (e instanceof Refusal) throw e;\n",
    "    throw new Refusal(navigator.onLine ? 'The server cannot be reached.' : 'This device is offline.');\n",
    "  } finally {\n",
    "    clearTimeout(limit);\n",
    "  }\n",
    "}\n",
    "\n",
    "function refusal(r, body) {\n",
    "  const host = location.hostname, name = decodeURIComponent(new URL(r.url).pathname.split('/')[1]);\n",
    "  let detail = '';\n",
    "  try { detail = JSON.parse(body).detail; } catch (e) { /* not problem details: the status has to do */ }\n",
    "  if (r.status === 401) lock(r.headers.get('WWW-Authenticate') || '');\n",
    "  return new Refusal({\n",
    "    401: 'Wrong or missing password or token.' + ($('signin').hidden ? ' Reload to sign in.' : ''),\n",
    "    404: 'There is no camera named ' + name + ' here.',\n",
    "    421: 'The server does not go by the name ' + host + '. Start it with --host ' + host + '.',\n",
    "  }[r.status] || detail || 'The server answered with status ' + r.status + '.',\n",
    "  r.status, Math.min(Number(r.headers.get('Retry-After')) || 0, 30) * 1000);\n",
    "}\n",
    "\n",
    "// Names and passwords are asked for by the browser itself (Basic); for a token there is a form. A token on the address\n",
    "// of a page is exchanged for a cookie that scripts cannot read: fetching that address does it as well.\n",
    "function lock(challenge) {\n",
    "  locked = true;\n",
    "  if (!/Bearer/.test(challenge) || !$('signin').hidden) return;\n",
    "  $('signin').hidden = false;\n",
    "  $('token').focus();\n",
    "}\n",
    "\n",
    "function unlock() {\n",
    "  locked = false;\n",
    "  $('signin').hidden = true;\n",
    "  $('token').value = $('wrong').textContent = '';\n",
    "}\n",
    "\n",
    "async function signIn(e) {\n",
    "  e.preventDefault();\n",
    "  try {\n",
    "    await ask('./?token=' + encodeURIComponent($('token').value));\n",
    "    wake();\n",
    "  } catch (x) {\n",
    "    $('wrong').textContent = x.status === 401 ? 'This token is wrong.' : x.message;\n",
    "    $('token').select();\n",
    "  }\n",
    "}\n",
    "\n",
    "// ---- a camera on screen\n",
    "\n",
    "class Tile {\n",
    "  constructor(name) {\n",
    "    Object.assign(this, {name, mood: '', words: '', figures: '',\n",
    "      stream: null,      // which of its streams; empty: as the network allows; null: off screen\n",
    "      now: null,         // the attempt under way\n",
    "      timer: 0,          // the next attempt\n",
    "      backoff: 500,      // ms; doubles up to 10 s, starts again once pictures flow\n",
    "      server: null,      // what the server last said of this stream, and when (at)\n",
    "      plot: [[], [], []] // of the last minute: kbit/s, frames/s, latency in ms\n",
    "    });\n",
    "    this.li = $('tile').content.firstElementChild.cloneNode(true);\n",
    "    [this.link, this.video] = this.li.querySelectorAll('a, video');\n",
    "    this.video.muted = true;   // or browsers would not start it without a click\n",
    "    this.video.setAttribute('aria-label', 'Live picture of ' + name);\n",
    "    fill(this.li.querySelector('.caption span'), name);\n",
    "    this.link.onclick = e => this.click(e);\n",
    "    this.link.onpointerdown = e => { this.touched = e.clientX; };\n",
    "    this.link.onpointerup = e => {   // a finger drawn across the picture: the next camera\n",
    "      const way = this.touched - e.clientX;\n",
    "      if (big && e.pointerType === 'touch' && Math.abs(way) > 60) step(Math.sign(way), 0);\n",
    "    };\n",
    "    $('list').append(this.li);\n",
    "  }\n",
    "\n",
    "  say(mood, words, figures = '') {\n",
    "    Object.assign(this, {mood, words, figures});\n",
    "    this.li.className = mood;\n",
    "    fill(this.li.querySelector('.words'), words);\n",
    "    render();\n",
    "  }\n",
    "\n",
    "  remove() {\n",
    "    this.open(null);\n",
    "    this.li.remove();\n",
    "    tiles.delete(this.name);\n",
    "  }\n",
    "\n",
    "  click(e) {\n",
    "    if (e.ctrlKey || e.metaKey || e.shiftKey) return;   // a new tab or window, as with every link\n",
    "    e.preventDefault();\n",
    "    this.video.play().catch(() => {});\n",
    "    if (!big) go(this.link.href);\n",
    "  }\n",
    "\n",
    "  // Shows this stream, or (null) nothing: no connection is kept for what nobody sees.\n",
    "  open(stream) {\n",
    "    this.li.hidden = stream === null;\n",
    "    if (stream === this.stream) return;\n",
    "    this.stream = stream;\n",
    "    this.server = null;\n",
    "    this.backoff = 500;\n",
    "    this.close();\n",
    "    this.say('', '');\n",
    "    if (stream !== null) return this.connect();\n",
    "  }\n",
    "\n",
    "  // One attempt lives in this.now. Whatever goes wrong ends in fail(), which closes it and sets one timer for the next;\n",
    "  // what arrives late for an old attempt is dropped.\n",
    "  async connect() {\n",
    "    this.close();\n",
    "    if (!window.RTCPeerConnection) return this.say('bad', 'WebRTC is missing or switched off in this browser.');\n",
    "    const a = this.now = {pc: null, media: new MediaStream(), rx: null, session: '', answer: '',\n",
    "      begun: Date.now(), seen: Date.now(),                 // the last sign of life\n",
    "      live: 0, told: false,                                // since when; the server was asked for its remarks\n",
    "      last: null, fps: 0, kbps: 0, age: NaN, blocks: NaN,  // what was counted then, and computed from it\n",
    "      looking: false, stats: null};\n",
    "    if (this.mood !== 'bad') this.say('wait', 'Asking the server…');   // else the reason of the retry stays readable\n",
    "    if (this.gone) await this.gone;   // one connection at a time\n",
    "    if (a !== this.now) return;\n",
    "    const pc = a.pc = new RTCPeerConnection();\n",
    "    try {\n",
    "      a.rx = pc.addTransceiver('video', {direction: 'recvonly'}).receiver;\n",
    "      pc.addTransceiver('audio', {direction: 'recvonly'});\n",
    "      pc.ontrack = e => this.show(a, e.track);\n",
    "      pc.oniceconnectionstatechange = pc.onconnectionstatechange = () => this.progress(a);\n",
    "      const offer = await pc.createOffer();\n",
    "      if (!offer.sdp.includes('H264/90000')) throw new Refusal('This browser has no H.264 decoder. ' +\n",
    "        'Firefox loads one (OpenH264) by itself within minutes; otherwise use Chrome, Edge or Safari.');\n",
    "      await pc.setLocalDescription(offer);   // the server is ICE-lite: it needs no candidates of ours, so no waiting\n",
    "      const {body, r} = await ask(where(this.name, this.stream, '/whep'),\n",
    "        {method: 'POST', headers: {'Content-Type': 'application/sdp'}, body: offer.sdp});\n",
    "      a.session = new URL(r.headers.get('Location') || '', r.url).href;\n",
    "      if (a !== this.now) return void hangUp(a);\n",
    "      if (!/^m=video [1-9]/m.test(body)) throw new Refusal('The server and this browser share no video format.');\n",
    "      await pc.setRemoteDescription({type: 'answer', sdp: body});\n",
    "      a.answer = body;\n",
    "      a.seen = Date.now();\n",
    "      if (a.rx.transport) a.rx.transport.onstatechange = () => this.progress(a);\n",
    "      this.progress(a);\n",
    "    } catch (e) {\n",
    "      this.fail(a, e instanceof Refusal ? e.message : 'The browser refused: ' + e.message, e);\n",
    "    }\n",
    "  }\n",
    "\n",
    "  // The way up in words, and the ends that the transport itself reports.\n",
    "  progress(a) {\n",
    "    if (a !== this.now || !a.answer) return;\n",
    "    const {iceConnectionState: ice, connectionState: all} = a.pc, dtls = a.rx.transport ? a.rx.transport.state : '';\n",
    "    if (ice === 'failed' && !a.live) return this.fail(a, blocked(a));\n",
    "    if (dtls === 'failed') return this.fail(a, 'The encryption handshake failed.');\n",
    "    if (dtls === 'closed') a.session = '';   // the server's doing\n",
    "    if (dtls === 'closed' || all === 'closed') return this.fail(a, 'The server ended the connection.');\n",
    "    if (ice === 'disconnected' || all === 'failed') return this.fail(a, 'The connection was lost.');\n",
    "    if (a.live) return;\n",
    "    if (all === 'connected') this.say('wait', 'Connected. Waiting for the first picture…');\n",
    "    else if (ice === 'connected' || ice === 'completed') this.say('wait', 'Encrypting…');\n",
    "    else this.say('wait', 'Looking for a way through the network…');\n",
    "  }\n",
    "\n",
    "  show(a, track) {\n",
    "    if (a !== this.now) return;\n",
    "    a.media.addTrack(track);\n",
    "    if (this.video.srcObject !== a.media) this.video.srcObject = a.media;\n",
    "    this.video.onresize = () => { a.told = false; };   // another stream: the server is asked about that one\n",
    "    this.video.onloadeddata = () => {\n",
    "      if (a !== this.now) return;\n",
    "      a.live = a.seen = Date.now();\n",
    "      this.figure(a);\n",
    "      controls();\n",
    "    };\n",
    "    this.video.play().catch(() => {});\n",
    "    controls();\n",
    "  }\n",
    "\n",
    "  // Live, with its figures, and the server's remark if it has one: B-frames, for instance.\n",
    "  figure(a) {\n",
    "    const v = this.video, s = this.server;\n",
    "    if (v.paused) return this.say('wait', 'Tap the picture to start it.');   // autoplay is blocked\n",
    "    if (s && s.state === 'ended' && s.at > a.live) return this.say('wait', s.reason);   // what moves is a repetition\n",
    "    const fps = a.fps < 2 ? a.fps.toFixed(1) : Math.round(a.fps);\n",
    "    const slow = s && s.stream && !this.stream && 'the network is too slow for the large picture';\n",
    "    this.say('live', 'Live', [v.videoWidth && v.videoWidth + '×' + v.videoHeight, a.fps && fps + ' fps', slow,\n",
    "      s && s.state === 'live' && (s.reason || s.audio_reason)]\n",
    "      .map(x => x && ' · ' + x).filter(Boolean).join(''));\n",
    "  }\n",
    "\n",
    "  fail(a, words, {status, wait} = {}) {\n",
    "    if (a !== this.now) return;\n",
    "    this.close();\n",
    "    this.say('bad', locked || status === 421 ? words : words + ' Trying again…');\n",
    "    if (!locked && status !== 421) this.retry(wait);\n",
    "  }\n",
    "\n",
    "  // Later each time, and not all viewers at the same moment: a server that comes back is not run over.\n",
    "  retry(wait = 0) {\n",
    "    clearTimeout(this.timer);\n",
    "    this.timer = setTimeout(() => this.connect(), Math.max(wait, this.backoff * (0.75 + Math.random() / 2)));\n",
    "    this.backoff = Math.min(this.backoff * 2, document.hidden ? 60000 : 10000);\n",
    "  }\n",
    "\n",
    "  close() {\n",
    "    const a = this.now;\n",
    "    clearTimeout(this.timer);\n",
    "    this.now = null;\n",
    "    if (!a) return;\n",
    "    if (a.pc) a.pc.ontrack = a.pc.oniceconnectionstatechange = a.pc.onconnectionstatechange = null;\n",
    "    this.gone = hangUp(a);\n",
    "    return a;\n",
    "  }\n",
    "\n",
    "  // Once a second: are there new pictures?\n",
    "  async watch() {\n",
    "    const a = this.now;\n",
    "    if (!a || !a.answer) return;\n",
    "    const stats = await a.rx.getStats().catch(() => null);\n",
    "    if (a !== this.now || !stats) return;\n",
    "    a.stats = stats;\n",
    "    stats.forEach(s => { if (s.type === 'inbound-rtp' && s.framesDecoded >= 0) this.count(a, s); });\n",
    "    this.look(a);\n",
    "    const idle = Date.now() - a.seen, ice = a.pc.iceConnectionState;\n",
    "    if (document.hidden || idle < 2000) return;\n",
    "    if (a.pc.connectionState === 'connected') return (a.live && idle < 5000) || this.explain(a, idle);\n",
    "    const words = !/new|checking/.test(ice) ? 'The encryption handshake does not finish.' :\n",
    "      idle < 5000 ? 'No answer to the network checks yet…' : blocked(a);\n",
    "    if (idle > 15000) this.fail(a, words); else this.say('wait', words);\n",
    "  }\n",
    "\n",
    "  count(a, s) {\n",
    "    const b = a.last, seconds = b ? (s.timestamp - b.timestamp) / 1000 : 0;\n",
    "    if (b && seconds < 0.5) return;\n",
    "    a.last = s;\n",
    "    if (b && s.pliCount > b.pliCount) a.told = false;   // something was amiss: the server may know what\n",
    "    const fps = b ? (s.framesDecoded - b.framesDecoded) / seconds : 0;\n",
    "    a.fps = fps > 2 * a.fps || fps < a.fps / 2 ? fps : a.fps + (fps - a.fps) / 3;   // smooth, but not across a jump\n",
    "    a.kbps = b ? (s.bytesReceived - b.bytesReceived) / 125 / seconds : 0;\n",
    "    if (b) [a.kbps, fps, a.age].forEach((x, i) => { if (this.plot[i].push(x) > 60) this.plot[i].shift(); });\n",
    "    if (b ? !fps : !s.framesDecoded) return;\n",
    "    a.seen = Date.now();\n",
    "    this.backoff = 500;\n",
    "    if (a.live || this.video.paused) this.figure(a);\n",
    "  }\n",
    "\n",
    "  // How old is a picture when it comes on screen? Of one frame a second. The browser knows when the server took it from\n",
    "  // the RTCP sender reports, the difference of the clocks being found by their round trips.\n",
    "  look(a) {\n",
    "    const v = this.video;\n",
    "    if (a.looking || !v.requestVideoFrameCallback) return;\n",
    "    a.looking = true;\n",
    "    v.requestVideoFrameCallback((now, frame) => {\n",
    "      a.looking = false;\n",
    "      a.age = frame.captureTime ? frame.expectedDisplayTime - frame.captureTime : NaN;\n",
    "      a.blocks = $('panel').hidden || this !== chosen() ? NaN : patternAge(v);\n",
    "    });\n",
    "  }\n",
    "\n",
    "  // Connected, but no picture for a while: the server knows whether the camera is away or the fault lies on this side.\n",
    "  explain(a, idle) {\n",
    "    const s = this.server && this.server.at > a.seen ? this.server : {state: '', reason: ''};\n",
    "    const patience = s.reason ? 30000 : a.live ? Math.max(5000, 3000 / s.fps || 0) : 15000;\n",
    "    if (s.state === 'live' && idle >= patience) {\n",
    "      return this.fail(a, s.reason || (a.live ? 'The picture stood still.' : 'No picture came.'));\n",
    "    }\n",
    "    const every = /keyframe/i.test(s.reason) && Math.round(s.keyframe_interval_ms / 1000);\n",
    "    this.say('wait', s.reason ? s.reason + (every > 1 ? ' The camera sends one every ' + every + ' s.' : '') :\n",
    "      a.live ? 'The picture stands still.' : 'Connected. Waiting for the first picture…');\n",
    "  }\n",
    "\n",
    "  // Does the server have to be asked? While the picture is missing, and once more after it came, for remarks.\n",
    "  puzzled() {\n",
    "    const a = this.now, t = Date.now();\n",
    "    if (this.stream === null) return false;\n",
    "    if (!a || !a.live) return !a || t - a.begun > 1000;\n",
    "    if (a.told || t - a.live < 3000) return t - a.seen > 3000;\n",
    "    return a.told = true;\n",
    "  }\n",
    "\n",
    "  // What the server says. What has become possible since it was last asked need not wait for the next attempt.\n",
    "  hear(s) {\n",
    "    const before = this.server;\n",
    "    this.server = s ? {...s, at: Date.now()} : null;\n",
    "    controls();\n",
    "    if (s && s.state === 'live' && !this.now && !(before && before.state === 'live')) {\n",
    "      this.backoff = 500;\n",
    "      this.retry();\n",
    "    }\n",
    "  }\n",
    "\n",
    "  // Back from sleep, from another tab, or online again: do not sit out a back-off; give a standing picture two seconds.\n",
    "  async wake() {\n",
    "    if (this.stream === null) return;\n",
    "    this.backoff = 500;\n",
    "    if (!this.now) return this.connect();\n",
    "    this.video.play().catch(() => {});\n",
    "    this.progress(this.now);\n",
    "    await this.watch();   // frames from before the sleep are no sign of life\n",
    "    if (this.now) this.now.seen = Date.now() - 3000;\n",
    "  }\n",
    "}\n",
    "\n",
    "// Tells the server that this viewer goes, then closes: the other way round the session would no longer be known.\n",
    "async function hangUp({pc, session}) {\n",
    "  const told = session && fetch(session, {method: 'DELETE', keepalive: true}).catch(() => {});\n",
    "  await Promise.race([told, new Promise(late => setTimeout(late, session ? 300 : 0))]);\n",
    "  if (pc) pc.close();\n",
    "}\n",
    "\n",
    "// The ports are those of the candidates in the server's answer.\n",
    "function blocked({answer}) {\n",
    "  const port = kind => (new RegExp(' 1 ' + kind + ' [0-9]+ [^ ]+ ([0-9]+)', 'i').exec(answer) || [])[1];\n",
    "  return 'No network check arrived: a firewall may block UDP port ' + port('udp') +\n",
    "    (port('tcp') ? ' and TCP port ' + port('tcp') : '') +\n",
    "    ' between here and the server. Open it; behind a NAT start the server with --public-ip.';\n",
    "}\n",
    "\n",
    "// ---- which cameras are on screen: the address says it\n",
    "\n",
    "const query = () => new URLSearchParams(location.search);\n",
    "const address = () => [decodeURIComponent(location.pathname.split('/').pop()), query().get('stream')];\n",
    "const where = (name, stream, what = '') =>\n",
    "  encodeURIComponent(name) + what + (stream ? '?stream=' + encodeURIComponent(stream) : '');\n",
    "const streamsOf = t => (listing || []).filter(s => s.name === t.name);\n",
    "const nameOf = s => s.stream || 'main';\n",
    "const chosen = () => big || every().find(t => t.link === document.activeElement) || every()[0];\n",
    "\n",
    "// The stream that is asked for; else the main one; in a grid the smallest, since its pictures are small.\n",
    "function pick(t, asked, small) {\n",
    "  const all = streamsOf(t);\n",
    "  if (!all.length) return asked || '';\n",
    "  if (all.some(s => nameOf(s) === asked)) return asked;\n",
    "  const best = small ? all.filter(s => s.width).sort((x, y) => x.width - y.width)[0] : all.find(s => !s.stream);\n",
    "  return (best || all[0]).stream;\n",
    "}\n",
    "\n",
    "// What the list says of the stream on screen. Which one the network allows is seen by its size.\n",
    "function said(t) {\n",
    "  const all = streamsOf(t), width = t.video.videoWidth, named = all.find(s => s.stream === t.stream);\n",
    "  const other = !t.stream && named && width && named.width !== width && all.find(s => s.width === width);\n",
    "  return other || named || all.find(s => nameOf(s) === t.stream);\n",
    "}\n",
    "\n",
    "function view() {\n",
    "  const [name, asked] = address(), before = big;\n",
    "  for (const t of every()) if (t.name !== name && leaves(t)) t.remove();\n",
    "  if (name && !tiles.has(name)) tiles.set(name, new Tile(name));\n",
    "  big = tiles.get(name) || (listing && tiles.size === 1 ? chosen() : null);\n",
    "  document.body.classList.toggle('one', Boolean(big));\n",
    "  for (const t of every()) {\n",
    "    if (big) t.link.removeAttribute('href'); else t.link.href = where(t.name, pick(t, asked));\n",
    "    t.open(big && t !== big ? null : pick(t, asked, !big));\n",
    "  }\n",
    "  document.title = big ? big.name : 'Cameras';\n",
    "  fill($('name'), document.title);\n",
    "  $('back').hidden = !big || tiles.size < 2;\n",
    "  controls();\n",
    "  if (!big) layout();\n",
    "  render();\n",
    "  if (before && !big) before.link.focus();\n",
    "}\n",
    "\n",
    "// A camera that somebody opened goes with its last viewer: the grid does not keep it.\n",
    "function leaves(t) {\n",
    "  const known = listing && listing.find(s => s.name === t.name);\n",
    "  return Boolean(listing && (!known || known.opened));\n",
    "}\n",
    "\n",
    "function go(url, replace) {\n",
    "  history[replace ? 'replaceState' : 'pushState'](replace ? history.state : {grid: !big}, '', url);\n",
    "  view();\n",
    "  stir();\n",
    "}\n",
    "\n",
    "// From one camera back to the grid, to where it was opened.\n",
    "function back() {\n",
    "  if ($('back').hidden) return;\n",
    "  if (history.state && history.state.grid) history.back(); else go('./');\n",
    "}\n",
    "\n",
    "// Left, right, up, down: to another camera; in the grid the focus moves.\n",
    "function step(across, down) {\n",
    "  const all = every(), columns = Number($('list').style.getPropertyValue('--columns')) || 1;\n",
    "  const at = all.indexOf(chosen()) + across + down * (big ? 1 : columns);\n",
    "  const next = all[big ? (at + all.length) % all.length : at];\n",
    "  if (big && next && next !== big) go(where(next.name, pick(next)), true);\n",
    "  else if (!big && next) (document.activeElement === document.body ? chosen() : next).link.focus();\n",
    "}\n",
    "\n",
    "// As many columns as make the tiles largest.\n",
    "function layout() {\n",
    "  const {clientWidth: w, clientHeight: h, style} = $('list'), n = tiles.size;\n",
    "  let columns = 1, width = 0;\n",
    "  for (let c = 1; c <= n; c++) {\n",
    "    const rows = Math.ceil(n / c), fit = Math.min((w - 6) / c - 6, ((h - 6) / rows - 6) * 16 / 9);\n",
    "    if (fit > width) [columns, width] = [c, fit];\n",
    "  }\n",
    "  style.setProperty('--columns', columns);\n",
    "  style.setProperty('--width', Math.floor(width) + 'px');\n",
    "}\n",
    "\n",
    "// The status line: of the camera that fills the page, or of all together.\n",
    "function render() {\n",
    "  const {mood, words, figures = ''} = big || summary();\n",
    "  $('bar').className = mood;\n",
    "  fill($('words'), words);\n",
    "  fill($('figures'), figures);\n",
    "}\n",
    "\n",
    "function summary() {\n",
    "  const n = tiles.size, live = every().filter(t => t.mood === 'live').length;\n",
    "  if (trouble && !n) return {mood: 'bad', words: trouble};\n",
    "  if (!n) return {mood: 'wait', words: listing ? 'No camera is set up.' : 'Asking the server…'};\n",
    "  if (live === n) return {mood: 'live', words: n + ' cameras, all live'};\n",
    "  return {mood: live ? 'wait' : 'bad', words: n + ' cameras, ' + (live || 'none') + ' live'};\n",
    "}\n",
    "\n",
    "// ---- the clock that watches over all\n",
    "\n",
    "let ticked = Date.now();   // a gap between two ticks: this device slept\n",
    "let due = 0;               // when the server may be asked again\n",
    "let failures = 0;          // of asking, in a row\n",
    "\n",
    "function tick() {\n",
    "  const slept = Date.now() - ticked > 6000;\n",
    "  ticked = Date.now();\n",
    "  if (slept) wake();\n",
    "  for (const t of every()) t.watch().then(() => { if (!$('panel').hidden && t === chosen()) diagnose(t); });\n",
    "  if (every().filter(t => t.puzzled()).length || !listing) poll();   // filter: each has to take note\n",
    "}\n",
    "\n",
    "// One question for all cameras: seldom when it fails or nobody looks, never while all is well.\n",
    "async function poll() {\n",
    "  if (locked || Date.now() < due) return;\n",
    "  due = Infinity;\n",
    "  try {\n",
    "    const state = JSON.parse((await ask('api/streams')).body);\n",
    "    listing = state.streams;\n",
    "    opens = state.may_open;\n",
    "    failures = 0;\n",
    "    trouble = '';\n",
    "    for (const s of listing) if (!tiles.has(s.name) && !s.opened) tiles.set(s.name, new Tile(s.name));\n",
    "    view();\n",
    "    for (const t of every()) t.hear(said(t));\n",
    "  } catch (e) {\n",
    "    failures++;\n",
    "    trouble = e.message;\n",
    "    for (const t of every()) {\n",
    "      t.server = null;\n",
    "      if (t.now && t.now.answer && t.puzzled()) t.fail(t.now, e.message, e);\n",
    "    }\n",
    "    render();\n",
    "  }\n",
    "  due = Date.now() + (document.hidden ? 15000 : Math.min(900 * 2 ** failures, 5000));\n",
    "}\n",
    "\n",
    "function wake() {\n",
    "  if (document.hidden) return;\n",
    "  locked = false;\n",
    "  for (const t of every()) t.wake();\n",
    "  due = Math.min(due, ticked);   // the next tick may ask\n",
    "}\n",
    "\n",
    "// ---- controls\n",
    "\n",
    "let resting = 0;\n",
    "\n",
    "// Whoever moves sees the controls; three seconds later only the picture is left.\n",
    "function stir() {\n",
    "  clearTimeout(resting);\n",
    "  document.body.classList.remove('still');\n",
    "  resting = setTimeout(() => {\n",
    "    if (big && big.mood === 'live' && !shown()) document.body.classList.add('still');\n",
    "  }, 3000);\n",
    "}\n",
    "\n",
    "// Only what works here and now is offered.\n",
    "function controls() {\n",
    "  $('add').hidden = !opens;\n",
    "  const v = big && big.video, streams = big ? streamsOf(big) : [], select = $('stream');\n",
    "  const told = big && big.server, silent = told && told.state === 'live' && !told.audio;   // it may have come to nothing\n",
    "  const sound = Boolean(big && big.now && big.now.media.getAudioTracks().length && !silent);\n",
    "  $('mute').hidden = !sound;\n",
    "  $('mute').setAttribute('aria-pressed', sound && !v.muted);\n",
    "  $('shot').hidden = !v || !v.videoWidth;\n",
    "  $('pip').hidden = $('shot').hidden || !document.pictureInPictureEnabled;\n",
    "  $('full').hidden = !document.fullscreenEnabled && !(v && v.webkitEnterFullscreen);\n",
    "  select.hidden = streams.length < 2;\n",
    "  if (select.hidden) return;\n",
    "  const options = streams.map(s => [nameOf(s) + (s.width ? ' ' + s.width + '×' + s.height : ''), nameOf(s)]);\n",
    "  if (streams.some(s => !s.stream)) options.unshift(['automatic', '']);\n",
    "  if (options.join() !== [...select.options].map(o => [o.text, o.value]).join()) {\n",
    "    select.replaceChildren(...options.map(o => new Option(...o)));\n",
    "  }\n",
    "  select.value = big.stream;\n",
    "}\n",
    "\n",
    "function full() {\n",
    "  if (document.fullscreenElement) document.exitFullscreen();\n",
    "  else if (document.fullscreenEnabled) document.documentElement.requestFullscreen().catch(() => {});\n",
    "  else if (big && big.video.webkitEnterFullscreen) big.video.webkitEnterFullscreen();   // iPhone: the video alone\n",
    "}\n",
    "\n",
    "function pip() {\n",
    "  if (document.pictureInPictureElement) document.exitPictureInPicture();\n",
    "  else if (!$('pip').hidden) big.video.requestPictureInPicture().catch(() => {});\n",
    "}\n",
    "\n",
    "function mute() {\n",
    "  if ($('mute').hidden) return;\n",
    "  big.video.muted = !big.video.muted;\n",
    "  big.video.play().catch(() => {});\n",
    "  controls();\n",
    "}\n",
    "\n",
    "function shot() {\n",
    "  const t = chosen(), canvas = make('canvas'), link = make('a'), now = new Date();\n",
    "  if (!t || !t.video.videoWidth) return;\n",
    "  [canvas.width, canvas.height] = [t.video.videoWidth, t.video.videoHeight];\n",
    "  canvas.getContext('2d').drawImage(t.video, 0, 0);\n",
    "  canvas.toBlob(blob => {\n",
    "    const time = new Date(now - now.getTimezoneOffset() * 60000).toISOString().slice(0, 19).replace(/[T:]/g, '-');\n",
    "    link.href = URL.createObjectURL(blob);\n",
    "    link.download = t.name + '-' + time + '.png';\n",
    "    link.click();\n",
    "    setTimeout(() => URL.revokeObjectURL(link.href), 10000);\n",
    "  });\n",
    "}\n",
    "\n",
    "let focused = document.body;   // before a panel was opened\n",
    "\n",
    "// The panel, the keys or the form for a camera's address, whichever is open.\n",
    "function shown() { return document.querySelector('aside:not([hidden])'); }\n",
    "\n",
    "function toggle(id) {\n",
    "  const before = shown(), t = chosen(), open = !before || before.id !== id;\n",
    "  if (!before) focused = document.activeElement;\n",
    "  if (before) before.hidden = true;\n",
    "  $(id).hidden = !open;\n",
    "  $('info').setAttribute('aria-expanded', !$('panel').hidden);\n",
    "  (open ? $(id).querySelector('input') || $(id) : focused).focus();\n",
    "  if (open && id === 'panel' && t) diagnose(t);\n",
    "  stir();\n",
    "}\n",
    "\n",
    "// The server opens the camera and gives it a name: from then on it is one like the others.\n",
    "async function openCamera(e) {\n",
    "  e.preventDefault();\n",
    "  const words = e.target.querySelector('[role=alert]'), url = $('address').value.trim();\n",
    "  fill(words, 'Asking the server…');\n",
    "  try {\n",
    "    const headers = {'Content-Type': 'application/json'};\n",
    "    const {name} = JSON.parse((await ask('api/cameras', {method: 'POST', headers, body: JSON.stringify({url})})).body);\n",
    "    fill(words, '');\n",
    "    $('address').value = '';   // it may hold a password\n",
    "    toggle('open');\n",
    "    go(where(name, ''));\n",
    "  } catch (x) {\n",
    "    fill(words, x.message);\n",
    "    $('address').select();\n",
    "  }\n",
    "}\n",
    "\n",
    "function escape() {\n",
    "  if (shown()) toggle(shown().id); else back();\n",
    "}\n",
    "\n",
    "const keys = [\n",
    "  ['Escape', 'back', escape],\n",
    "  ['ArrowLeft', 'the camera before', () => step(-1, 0)],\n",
    "  ['ArrowRight', 'the next camera', () => step(1, 0)],\n",
    "  ['ArrowUp', 'the camera above', () => step(0, -1)],\n",
    "  ['ArrowDown', 'the camera below', () => step(0, 1)],\n",
    "  ['f', 'full screen', full],\n",
    "  ['p', 'picture in picture', pip],\n",
    "  ['m', 'sound on, off', mute],\n",
    "  ['s', 'save this picture', shot],\n",
    "  ['o', 'open a camera by its address', () => { if (opens) toggle('open'); }],\n",
    "  ['i', 'diagnostics; Ctrl+Shift+A as well', () => toggle('panel')],\n",
    "  ['?', 'these keys', () => toggle('help')]];\n",
    "\n",
    "function key(e) {\n",
    "  stir();\n",
    "  const other = e.ctrlKey || e.metaKey || e.altKey, typing = /INPUT|SELECT|TEXTAREA/.test(e.target.tagName);\n",
    "  const name = e.ctrlKey && e.shiftKey && e.code === 'KeyA' ? 'i' : !other && !typing ? e.key : '';\n",
    "  const found = keys.find(k => k[0] === name);\n",
    "  if (!found || (/Arrow/.test(name) && e.target.closest('aside'))) return;   // arrows scroll a panel\n",
    "  e.preventDefault();\n",
    "  found[2]();\n",
    "}\n",
    "\n",
    "// A list of names and what belongs to them, written over what was there.\n",
    "function table(list, rows) {\n",
    "  while (list.children.length < 2 * rows.length) list.append(make('dt'), make('dd'));\n",
    "  rows.forEach(([name, text], i) => {\n",
    "    fill(list.children[2 * i], name);\n",
    "    fill(list.children[2 * i + 1], String(text));\n",
    "  });\n",
    "}\n",
    "\n",
    "// ---- diagnostics\n",
    "\n",
    "const ms = x => x >= 0 ? (x < 10 ? x.toFixed(1) : Math.round(x)) + ' ms' : '–';\n",
    "const n = x => x || 0;\n",
    "const rate = kbps => kbps < 1000 ? Math.round(kbps) + ' kbit/s' : (kbps / 1000).toFixed(2) + ' Mbit/s';\n",
    "\n",
    "// A row for each figure: what it is called, what it says.\n",
    "function figures(t) {\n",
    "  const a = t.now || {}, s = a.last || {}, all = a.stats ? [...a.stats.values()] : [];\n",
    "  const sum = s.packetsReceived + s.packetsLost;\n",
    "  const by = id => all.find(x => x.id === id) || {};\n",
    "  const {selectedCandidatePairId} = all.find(x => x.type === 'transport') || {};   // Firefox marks the pair itself\n",
    "  const pair = all.find(x => x.type === 'candidate-pair' && (x.selected || x.id === selectedCandidatePairId)) || {};\n",
    "  const codec = by(s.codecId), profile = /profile-level-id=([0-9a-f]+)/i.exec(codec.sdpFmtpLine);\n",
    "  const end = ({candidateType, protocol, relayProtocol, address, port}) => !candidateType ? '–' :\n",
    "    [candidateType, relayProtocol, protocol, (address || 'hidden') + ' ' + port].filter(Boolean).join(' ');\n",
    "  return [\n",
    "    ['This side', end(by(pair.localCandidateId))],\n",
    "    ['Server', end(by(pair.remoteCandidateId))],\n",
    "    ['Round trip', ms(pair.currentRoundTripTime * 1000)],\n",
    "    ['Codec', codec.mimeType ? codec.mimeType.replace('video/', '') + ' ' + (profile ? profile[1] : '') : '–'],\n",
    "    ['Size', s.frameWidth ? s.frameWidth + '×' + s.frameHeight : '–'],\n",
    "    ['Frames decoded', n(s.framesDecoded) + ', ' + n(s.keyFramesDecoded) + ' key, ' + n(s.framesDropped) + ' dropped'],\n",
    "    ['Freezes', n(s.freezeCount) + ', ' + n(s.totalFreezesDuration).toFixed(1) + ' s'],\n",
    "    ['Packets lost', n(s.packetsLost) + (sum ? ' (' + (100 * s.packetsLost / sum).toFixed(2) + ' %)' : '')],\n",
    "    ['Packets repaired', n(s.retransmittedPacketsReceived)],\n",
    "    ['NACK / PLI / FIR', [s.nackCount, s.pliCount, s.firCount].map(n).join(' / ')],\n",
    "    ['Jitter', ms(s.jitter * 1000)],\n",
    "    ['Jitter buffer', ms(1000 * s.jitterBufferDelay / s.jitterBufferEmittedCount)],\n",
    "    ['Decoding', ms(1000 * s.totalDecodeTime / s.framesDecoded)],\n",
    "    ['Latency by sender reports', ms(a.age)],\n",
    "    ['Latency by the test picture', a.blocks > -5000 ? Math.round(a.blocks) + ' ms, if both clocks agree' : '–'],\n",
    "  ];\n",
    "}\n",
    "\n",
    "function diagnose(t) {\n",
    "  const panel = $('panel'), [kbps, fps, age] = t.plot.map(p => p[p.length - 1]);\n",
    "  const words = [rate(kbps || 0), (fps || 0).toFixed(1) + ' fps', ms(age)];\n",
    "  fill(panel.querySelector('h2'), t.name + (t.stream ? ' / ' + t.stream : ''));\n",
    "  panel.querySelectorAll('figure').forEach((f, i) => {\n",
    "    fill(f.querySelector('b'), words[i]);\n",
    "    draw(f.querySelector('canvas'), t.plot[i]);\n",
    "  });\n",
    "  table(panel.querySelector('dl'), figures(t));\n",
    "}\n",
    "\n",
    "// The last minute as a line, from zero to its highest value; without a value there is a gap.\n",
    "function draw(canvas, values) {\n",
    "  const g = canvas.getContext('2d'), w = canvas.width = canvas.clientWidth * devicePixelRatio;\n",
    "  const h = canvas.height = canvas.clientHeight * devicePixelRatio;\n",
    "  const top = Math.max(1, ...values.filter(x => x > 0)) * 1.15;\n",
    "  g.strokeStyle = getComputedStyle(canvas).getPropertyValue('--accent');\n",
    "  g.lineWidth = 1.5 * devicePixelRatio;\n",
    "  let pen = 'moveTo';\n",
    "  values.forEach((x, i) => {\n",
    "    if (x >= 0) g[pen](w * (60 - values.length + i) / 59, h - x / top * h);\n",
    "    pen = x >= 0 ? 'lineTo' : 'moveTo';\n",
    "  });\n",
    "  g.stroke();\n",
    "}\n",
    "\n",
    "// The test picture carries the time in its first 32 cells of 16x16 pixels: white, black, 24 bits of Unix milliseconds,\n",
    "// 6 bits of their bytes' sum modulo 61. Other pictures do not pass this check, or once in a million frames.\n",
    "const cells = make('canvas');\n",
    "function patternAge(video) {\n",
    "  const columns = Math.min(video.videoWidth >> 4, 32), rows = Math.ceil(32 / columns), now = Date.now();\n",
    "  if (!columns || rows * 16 > video.videoHeight) return NaN;\n",
    "  [cells.width, cells.height] = [columns * 16, rows * 16];\n",
    "  const g = cells.getContext('2d', {willReadFrequently: true});\n",
    "  g.drawImage(video, 0, 0);\n",
    "  const {data} = g.getImageData(0, 0, cells.width, cells.height);\n",
    "  const bit = i => data[4 * (((i / columns | 0) * 16 + 8) * cells.width + i % columns * 16 + 8) + 1] > 127 ? 1 : 0;\n",
    "  const number = (from, to) => { let n = 0; for (let i = from; i < to; i++) n = 2 * n + bit(i); return n; };\n",
    "  const time = number(2, 26), sum = ((time >> 16) + (time >> 8 & 255) + (time & 255)) % 61;\n",
    "  if (!bit(0) || bit(1) || number(26, 32) !== sum) return NaN;\n",
    "  return (now - time + 1.5 * 2 ** 24) % 2 ** 24 - 2 ** 23;   // both count modulo 2^24\n",
    "}\n",
    "\n",
    "// For a report to somebody who can help: the figures and all that the browser counted.\n",
    "async function copy() {\n",
    "  const t = chosen();\n",
    "  if (!t) return;\n",
    "  const [kbps, fps, latency] = t.plot, stats = t.now && t.now.stats ? [...t.now.stats.values()] : [];\n",
    "  const text = JSON.stringify({time: new Date().toISOString(), page: location.href, browser: navigator.userAgent,\n",
    "    camera: t.name, stream: t.stream, status: t.words + t.figures, figures: Object.fromEntries(figures(t)),\n",
    "    server: t.server, lastMinute: {kbps, fps, latency}, stats: stats.filter(s => s.type !== 'certificate')}, null, 1);\n",
    "  try {\n",
    "    await navigator.clipboard.writeText(text);   // exists on https: and localhost only\n",
    "  } catch (e) {\n",
    "    const box = make('textarea');\n",
    "    box.value = text;\n",
    "    $('panel').append(box);\n",
    "    box.select();\n",
    "    document.execCommand('copy');\n",
    "    box.remove();\n",
    "  }\n",
    "  fill($('copy'), 'Copied');\n",
    "  setTimeout(() => fill($('copy'), 'Copy'), 2000);\n",
    "}\n",
    "\n",
    "// ---- what happens\n",
    "\n",
    "for (const [id, action] of Object.entries({full, pip, mute, shot, copy})) $(id).onclick = action;\n",
    "$('info').onclick = () => toggle('panel');\n",
    "$('add').onclick = () => toggle('open');\n",
    "$('open').onsubmit = openCamera;\n",
    "$('back').onclick = e => { e.preventDefault(); back(); };\n",
    "$('stream').onchange = e => go(where(big.name, e.target.value), true);\n",
    "$('signin').onsubmit = signIn;\n",
    "document.querySelectorAll('#bar [aria-label]').forEach(b => { b.title = b.getAttribute('aria-label'); });\n",
    "document.querySelectorAll('.close').forEach(b => { b.onclick = () => toggle(b.closest('aside').id); });\n",
    "for (const type of ['pointermove', 'pointerdown', 'focusin']) addEventListener(type, stir);\n",
    "addEventListener('keydown', key);\n",
    "table($('help').querySelector('dl'), keys);\n",
    "addEventListener('resize', () => { if (!big) layout(); });\n",
    "addEventListener('popstate', () => { view(); stir(); });\n",
    "document.addEventListener('visibilitychange', wake);\n",
    "document.addEventListener('resume', wake);\n",
    "addEventListener('online', wake);\n",
    "addEventListener('pageshow', e => { if (e.persisted) wake(); });\n",
    "addEventListener('pagehide', () => {   // no time is left to wait for an answer\n",
    "  for (const t of every()) { const a = t.close(); if (a && a.pc) a.pc.close(); }\n",
    "});\n",
    "document.addEventListener('fullscreenchange', () => {   // nobody touches a screen on the wall; https: only\n",
    "  if (document.fullscreenElement && navigator.wakeLock) navigator.wakeLock.request('screen').catch(() => {});\n",
    "});\n",
    "\n",
    "const params = query();\n",
    "if (params.has('token')) {   // by now a cookie holds it\n",
    "  params.delete('token');\n",
    "  history.replaceState(null, '', location.pathname + (String(params) && '?' + params));\n",
    "}\n",
    "view();\n",
    "stir();\n",
    "setInterval(tick, 1000);\n",
    "if (tiles.size) setTimeout(poll, 400); else poll();   // the picture first, then the list\n",
    "</script>\n",
    "</body>\n",
    "</html>\n",
    NULL,
};
/* clang-format on */

static void page_write(struct wr *w) {
    for (size_t i = 0; page_html[i]; i++) text_put(w, page_html[i]);
}

/* ... <tag>this</tag> ... */
static struct span page_between(struct span html, const char *open, const char *close) {
    while (html.n && !text_after(&html, open)) html = base_span(html.p + 1, html.n - 1);
    struct span rest = html, mark = html;
    while (rest.n && !text_after(&mark, close)) mark = rest = base_span(rest.p + 1, rest.n - 1);
    return base_span(html.p, html.n - rest.n);
}

static void page_put_hash(struct wr *w, struct span content) {
    uint8_t hash[CRYPT_HASH_MAX];
    size_t n = content.n ? crypt_hash(MBEDTLS_MD_SHA256, content, hash) : 0;
    if (!n) {
        text_put(w, "'none'");
        return;
    }
    text_put(w, "'sha256-");
    bytes_base64(w, base_span(hash, n));
    text_put(w, "'");
}

/* The page may run its own script and nothing else, talk to this server and nobody else. */
static void page_policy(struct wr *headers, struct span html) {
    text_put(headers, "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; "
                      "connect-src 'self'; img-src data:; media-src blob:; script-src ");
    page_put_hash(headers, page_between(html, "<script>", "</script>"));
    text_put(headers, "; style-src ");
    page_put_hash(headers, page_between(html, "<style>", "</style>"));
    text_put(headers, "\r\n");
}

/* ==== 30 site ===============================================================
 * All that one instance serves, and its state for programs: JSON, and the text format of Prometheus.
 * pure; uses base, bytes, text, crypt, dtls, rtsp, media, pace, sender, viewer, guard, page
 */
#define SITE_MAIN "main" /* in URLs, so that it can be asked for: no other one then */
enum site_limits {
    SITE_ALLOWED = 16,
    SITE_RESERVE = 4096 /* for one viewer and the drop counters */
};

/* Storage belongs to the world. */
struct site {
    struct crypt crypt;
    struct dtls_home dtls;
    struct lobby lobby;
    struct guard guard;
    struct media *stream[BASE_STREAMS];
    int streams;
    struct wcam_addr candidate[BASE_CANDIDATES]; /* public ones first; ports set */
    int candidates;
    struct rtsp_url allowed[SITE_ALLOWED]; /* below which the page may open cameras */
    int allowances;
    uint64_t drops[DROP_COUNT];
    int64_t born;
    char policy[512]; /* the page's Content-Security-Policy header */
};

/* Once at the start; scratch holds the page meanwhile. */
static void site_start(struct site *s, void *scratch, size_t cap) {
    struct wr page = bytes_wr(scratch, cap), policy = bytes_wr(s->policy, sizeof s->policy - 1);
    page_write(&page);
    page_policy(&policy, bytes_written(&page));
    s->policy[policy.n] = 0;
}

/* A stream of a camera; sub "" or SITE_MAIN: the one that has no name of its own; sub "": else the best one. */
static struct media *site_stream(const struct site *s, struct span name, struct span sub) {
    struct media *best = NULL;
    for (int i = 0; i < s->streams; i++) {
        if (!text_is(name, s->stream[i]->name)) continue;
        if (text_is(sub, s->stream[i]->sub)) return s->stream[i];
        if (text_is(sub, SITE_MAIN) ? !s->stream[i]->sub[0] : !sub.n && !s->stream[i]->better) best = s->stream[i];
    }
    return best;
}

/* Puts a new stream behind those of the same camera, from the best to the least; the one without a name is the best. */
static void site_add(struct site *s, struct media *m) {
    struct media *first = NULL, *last = NULL;
    for (int i = 0; i < s->streams; i++) {
        if (strcmp(s->stream[i]->name, m->name) != 0) continue;
        if (!s->stream[i]->better) first = s->stream[i];
        if (!s->stream[i]->lesser) last = s->stream[i];
    }
    if (m->sub[0] && last) last->lesser = m, m->better = last;
    else if (first) first->better = m, m->lesser = first;
    s->stream[s->streams++] = m;
}

/* Our addresses for a browser at from that reached us at local: the configured ones, that one, the interfaces' own.
 * 127.0.0.1 helps only who came by it; and Firefox does not use it, therefore never alone if there is another. */
static int site_candidates(const struct site *s, const struct wcam_addr *from, const struct wcam_addr *local,
                           struct wcam_addr *out) {
    int n = 0;
    struct wcam_addr reached = *local;
    if (s->candidates) reached.port = s->candidate[0].port;
    for (int i = -1; i < s->candidates && n < BASE_CANDIDATES; i++) {
        const struct wcam_addr *a = i < 0 ? &reached : &s->candidate[i];
        bool known = !a->family || (i >= 0 && base_addr_loopback(a) && !base_addr_loopback(from));
        for (int k = 0; k < n && !known; k++) known = base_addr_same(&out[k], a);
        if (!known) out[n++] = *a;
    }
    return n;
}

static void site_json_stream(struct wr *w, const struct site *s, const struct media *m) {
    text_putf(w, "{\"name\":\"%s\",\"stream\":\"%s\",\"source\":\"%s\",\"state\":\"%s\",\"reason\":", m->name, m->sub,
              m->kind, media_state(m));
    text_json(w, text_of(media_reason(m)));
    text_putf(w, ",\"codec\":\"%s\",\"width\":%d,\"height\":%d,\"fps\":", media_codec(m), m->sps ? m->sps->width : 0,
              m->sps ? m->sps->height : 0);
    text_put_thousandths(w, (int64_t)(m->fps * 1000 + 0.5));
    text_putf(w, ",\"keyframe_interval_ms\":%d,\"bitrate_kbps\":%u,\"viewers\":%d,\"frames\":%llu,\"keyframes\":%llu",
              m->key_interval_ms, m->kbps, viewer_count(&s->lobby, m), (unsigned long long)m->frames,
              (unsigned long long)m->keys);
    text_putf(w, ",\"opened\":%s,\"audio\":\"%s\",\"audio_reason\":", m->opened ? "true" : "false",
              m->sounds ? base_sound[m->sound[(m->sounds - 1) % MEDIA_SOUNDS].kind].name : "");
    text_json(w, text_of(m->silence));
    text_putf(w, ",\"url\":\"/%s%s%s\",\"whep\":\"/%s/whep%s%s\"}", m->name, m->sub[0] ? "?stream=" : "", m->sub,
              m->name, m->sub[0] ? "?stream=" : "", m->sub);
}

static void site_json_viewer(struct wr *w, const struct viewer *v, int64_t now) {
    const struct sender *s = &v->sender;
    text_putf(w, "{\"camera\":\"%s\",\"stream\":\"%s\",\"state\":\"%s\",\"seconds\":%lld,\"packets\":%u,\"octets\":%u",
              v->media->name, s->media->sub, viewer_ranks[viewer_rank(v)], (long long)((now - v->joined) / BASE_S),
              (unsigned)s->packets, (unsigned)s->octets);
    text_putf(w, ",\"asked\":\"%s\",\"pinned\":%s,\"moves\":%d,\"probes\":%d", v->media->sub,
              v->pinned ? "true" : "false", v->moves, v->probes);
    text_putf(w, ",\"lost\":%u,\"jitter_ms\":", (unsigned)s->lost);
    text_put_thousandths(w, (int64_t)s->jitter * 1000 / 90);
    text_put(w, ",\"rtt_ms\":");
    text_put_thousandths(w, s->rtt);
    text_putf(w, ",\"remb_kbps\":%llu,\"keyframe_requests\":%u,\"nacked\":%u,\"repaired\":%u",
              (unsigned long long)(s->remb / 1000), (unsigned)s->keyframe_requests, (unsigned)s->nacked,
              (unsigned)s->repaired);
    text_putf(w, ",\"delay_min_ms\":%u,\"pace_kbps\":%lld}", s->delay_min,
              (long long)(pace_rate(&s->pace, s->media->kbps) * 8000 / PACE_REFILL));
}

static void site_json(const struct site *s, struct wr *w, int64_t now) {
    const char *comma = "";
    struct viewer_totals total = viewer_total(&s->lobby);
    text_putf(w, "{\"version\":\"" WCAM_VERSION "\",\"may_open\":%s,\"streams\":[", s->allowances ? "true" : "false");
    for (int i = 0; i < s->streams; i++) {
        if (i) text_put(w, ",\n");
        site_json_stream(w, s, s->stream[i]);
    }
    text_putf(
        w, "],\n\"viewers\":%d,\"max_viewers\":%d,\"joined\":%llu,\"packets\":%llu,\"octets\":%llu,\"uptime_s\":%lld",
        s->lobby.count, s->lobby.max, (unsigned long long)s->lobby.joined, (unsigned long long)total.packets,
        (unsigned long long)total.octets, (long long)((now - s->born) / BASE_S));
    text_put(w, ",\n\"sessions\":[");
    for (int i = 0; i < s->lobby.max && w->cap - w->n > SITE_RESERVE; i++) { /* as many as there is room for */
        if (!viewer_active(s->lobby.slot[i])) continue;
        text_put(w, comma);
        site_json_viewer(w, s->lobby.slot[i], now);
        comma = ",\n";
    }
    text_put(w, "],\n\"drops\":{");
    comma = "";
    for (int i = 1; i < DROP_COUNT; i++) {
        if (!s->drops[i]) continue;
        text_putf(w, "%s\"%s\":%llu", comma, base_drop_names[i], (unsigned long long)s->drops[i]);
        comma = ",";
    }
    text_put(w, "}}\n");
}

/* Names and units by Prometheus' conventions: base units, _total for what only grows. */
static void site_metric(struct wr *w, const char *name, const char *type, const char *help) {
    text_putf(w, "# HELP webrtc_cam_%s %s\n# TYPE webrtc_cam_%s %s\n", name, help, name, type);
}

static void site_sample(struct wr *w, const char *name, const struct media *m, const char *label, const char *value) {
    text_putf(w, "webrtc_cam_%s", name);
    if (m) text_putf(w, "{camera=\"%s\",stream=\"%s\"", m->name, m->sub);
    if (label) text_putf(w, "%s%s=\"%s\"", m ? "," : "{", label, value);
    text_put(w, m || label ? "} " : " ");
}

static void site_number(struct wr *w, uint64_t number) { text_putf(w, "%llu\n", (unsigned long long)number); }

static void site_metrics_streams(const struct site *s, struct wr *w) {
    enum { UP, FRAMES, KEYFRAMES, BYTES, RATE, INTERVAL, METRICS };
    static const char *const name[METRICS][3] = {
        [UP] = {"stream_up", "gauge", "1 when there are pictures that a viewer can begin at."},
        [FRAMES] = {"stream_frames_total", "counter", "Pictures taken from the source."},
        [KEYFRAMES] = {"stream_keyframes_total", "counter", "IDR pictures among them."},
        [BYTES] = {"stream_bytes_total", "counter", "Their size as RTP payload."},
        [RATE] = {"stream_frames_per_second", "gauge", "Pictures in the last second."},
        [INTERVAL] = {"stream_keyframe_interval_seconds", "gauge", "Between the last two IDR pictures."}};
    for (int k = 0; k < METRICS; k++) {
        site_metric(w, name[k][0], name[k][1], name[k][2]);
        for (int i = 0; i < s->streams; i++) {
            const struct media *m = s->stream[i];
            site_sample(w, name[k][0], m, NULL, NULL);
            if (k == RATE) text_put_thousandths(w, (int64_t)(m->fps * 1000 + 0.5));
            else if (k == INTERVAL) text_put_thousandths(w, m->key_interval_ms);
            else {
                const uint64_t of[] = {!strcmp(media_state(m), "live"), m->frames, m->keys, m->octets};
                text_putf(w, "%llu", (unsigned long long)of[k]);
            }
            text_put(w, "\n");
        }
    }
}

static void site_metrics_viewers(const struct site *s, struct wr *w) {
    char slot[16];
    site_metric(w, "viewers", "gauge", "Browsers connected, by how far they are.");
    for (int i = 0; i < s->streams; i++)
        for (int k = VIEWER_CHECKING; k < VIEWER_RANKS; k++) {
            uint64_t n = 0;
            for (int j = 0; j < s->lobby.max; j++) {
                const struct viewer *v = s->lobby.slot[j];
                n += viewer_active(v) && v->sender.media == s->stream[i] && viewer_rank(v) == k;
            }
            site_sample(w, "viewers", s->stream[i], "state", viewer_ranks[k]);
            site_number(w, n);
        }
    site_metric(w, "viewer_sent_bytes_total", "counter", "RTP payload sent to each viewer now connected.");
    for (int i = 0; i < s->lobby.max && w->cap - w->n > SITE_RESERVE; i++) {
        const struct viewer *v = s->lobby.slot[i];
        if (!viewer_active(v)) continue;
        snprintf(slot, sizeof slot, "%d", i);
        site_sample(w, "viewer_sent_bytes_total", v->media, "viewer", slot);
        site_number(w, v->sender.octets);
    }
}

static void site_metrics(const struct site *s, struct wr *w, int64_t now) {
    struct viewer_totals total = viewer_total(&s->lobby);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } one[] = {{"viewers_limit", "gauge", "Places for viewers.", (uint64_t)s->lobby.max},
               {"viewers_joined_total", "counter", "Viewers that came.", s->lobby.joined},
               {"sent_packets_total", "counter", "RTP packets sent, repairs not counted.", total.packets},
               {"sent_bytes_total", "counter", "Their payload.", total.octets},
               {"nacked_packets_total", "counter", "Packets that viewers reported as lost.", total.nacked},
               {"repaired_packets_total", "counter", "Packets sent again.", total.repaired},
               {"keyframe_requests_total", "counter", "PLI and FIR from viewers.", total.keyframe_requests}};
    site_metric(w, "info", "gauge", "Always 1; the label tells the version.");
    site_sample(w, "info", NULL, "version", WCAM_VERSION);
    site_number(w, 1);
    site_metric(w, "uptime_seconds", "gauge", "Since the start.");
    site_sample(w, "uptime_seconds", NULL, NULL, NULL);
    text_put_thousandths(w, (now - s->born) / BASE_MS);
    text_put(w, "\n");
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        site_metric(w, one[i].name, one[i].type, one[i].help);
        site_sample(w, one[i].name, NULL, NULL, NULL);
        site_number(w, one[i].value);
    }
    site_metrics_streams(s, w);
    site_metric(w, "dropped_total", "counter", "Input dropped, by reason.");
    for (int i = 1; i < DROP_COUNT; i++) {
        site_sample(w, "dropped_total", NULL, "reason", base_drop_names[i]);
        site_number(w, s->drops[i]);
    }
    site_metrics_viewers(s, w);
}

/* ==== 31 route ==============================================================
 * From one HTTP request to its response: the table of URLs, and the checks in front of it.
 * pure; uses base, bytes, text, http, ws, rtsp, media, viewer, whep, guard, signal, page, site
 */

/* One request with its surroundings. */
struct route {
    struct site *site;
    const struct http_req *req;
    struct span body;
    struct wcam_addr from, local; /* of its connection */
    int64_t now;
    char *open;            /* RTSP_URL bytes: a camera's address when the response is 201 and it is to be opened */
    struct signal *signal; /* begun when the response is 101: the connection is a WebSocket then */
};

static void route_page(const struct site *s, struct http_resp *r) {
    r->status = 200;
    r->type = "text/html; charset=utf-8";
    page_write(&r->body);
    text_put(&r->extra, s->policy);
}

/* ?token= on a page moves to a cookie; the page takes it out of the address bar. No redirect: a Strict cookie would
 * not come along when a link on another site led here. */
static void route_cookie(const struct route *t, struct http_resp *r) {
    const struct guard *g = &t->site->guard;
    text_putf(&r->extra, "Set-Cookie: %s=%s; HttpOnly; SameSite=Strict; Path=/\r\n", g->cookie_name, g->cookie);
}

/* Does a person's browser ask, not a program? */
static bool route_wants_html(const struct route *t) {
    struct span accept = http_header(t->req, "accept");
    return text_after(&accept, "text/html") && text_is(t->req->method, "GET");
}

/* A person's browser gets its sentence as a page, a program as JSON. */
static void route_humanize(const struct route *t, struct http_resp *r) {
    if (!r->detail || !route_wants_html(t)) return;
    r->type = "text/html; charset=utf-8";
    page_policy(&r->extra, base_span("", 0));
    r->body.n = 0;
    text_putf(&r->body,
              "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' "
              "content='width=device-width'><meta name='color-scheme' content='light dark'><title>%d %s</title>"
              "<h1>%s</h1><p>%s</p></html>\n",
              r->status, http_reason(r->status), http_reason(r->status), r->detail);
}

/* /NAME, /NAME/whep, /NAME/whep/ID */
static void route_camera(const struct route *t, struct span name, struct span rest, struct http_resp *r) {
    struct site *s = t->site;
    struct span sub = http_query(t->req->query, "stream"), what = text_cut(&rest, '/');
    struct media *m = site_stream(s, name, sub);
    if (rest.n && text_is(what, "whep")) { /* a session's URL stands without ?stream= */
        struct viewer *v = viewer_by_id(&s->lobby, rest);
        if (v && text_is(name, v->media->name)) m = v->media;
        else if (!m && s->streams) m = s->stream[0];
    }
    if (!m) {
        http_problem(r, 404, "There is no camera of this name here: the page / lists those that there are.");
    } else if (text_is(what, "whep")) {
        struct wcam_addr candidate[BASE_CANDIDATES];
        struct whep w = {t->req, t->body, &s->lobby, m, rest, candidate, 0, t->now, sub.n > 0};
        w.candidates = site_candidates(s, &t->from, &t->local, candidate);
        whep_serve(&w, r);
    } else if (text_is(what, "ws") && !rest.n) {
        ws_open(t->req, r);
        if (r->status == 101) signal_start(t->signal, m, sub.n > 0);
    } else if (what.n) http_problem(r, 404, "There is nothing at this address.");
    else if (!http_gets(t->req)) http_not_allowed(r, "GET, HEAD, OPTIONS", "This page can only be read.");
    else if (t->req->path.p[t->req->path.n - 1] == '/') { /* the page's own addresses are relative to /NAME */
        r->status = 307;
        text_putf(&r->extra, "Location: /%s\r\n", m->name);
    } else route_page(s, r);
}

/* POST /api/cameras: {"url":"rtsp://..."}. JSON, so that no foreign page can post it by a form. */
static void route_open(const struct route *t, struct http_resp *r) {
    const struct site *s = t->site;
    struct span value;
    struct wr w = bytes_wr(t->open, RTSP_URL - 1);
    struct rtsp_url u;
    bool below = false;
    if (!s->allowances) http_problem(r, 403, "Cameras cannot be opened from the page here: see --allow-source.");
    else if (!whep_is_type(t->req, "application/json"))
        http_problem(r, 415, "Post a JSON object with a url as application/json.");
    else if (!text_json_object(t->body, "url", &value) || !value.p || !text_unjson(&w, value) ||
             !rtsp_read_url(bytes_written(&w), &u))
        http_problem(r, 400, "The url must look like rtsp://NAME:PASSWORD@HOST:PORT/PATH.");
    else {
        for (int i = 0; i < s->allowances; i++) below = below || rtsp_below(&s->allowed[i], &u);
        if (below) r->status = 201;
        else http_problem(r, 403, "This address is not one that may be opened here: see --allow-source.");
    }
    t->open[below ? w.n : 0] = 0;
}

static void route_table(const struct route *t, struct http_resp *r) {
    struct span path = t->req->path;
    if (!text_after(&path, "/")) {
        http_problem(r, 400, "The request names no path.");
        return;
    }
    bool page = !path.n, state = text_is(path, "api/streams"), icon = text_is(path, "favicon.ico");
    bool metrics = text_is(path, "metrics");
    if ((page || state || icon || metrics) && !http_gets(t->req))
        http_not_allowed(r, "GET, HEAD, OPTIONS", "This address can only be read.");
    else if (page) route_page(t->site, r);
    else if (icon) r->status = 204;
    else if (text_is(path, "api/cameras")) {
        if (text_is(t->req->method, "POST")) route_open(t, r);
        else http_not_allowed(r, "OPTIONS, POST", "This address takes POST.");
    } else if (state || metrics) {
        r->status = 200;
        r->type = state ? "application/json" : "text/plain; version=0.0.4; charset=utf-8";
        (state ? site_json : site_metrics)(t->site, &r->body, t->now);
    } else {
        struct span name = text_cut(&path, '/');
        route_camera(t, name, path, r);
    }
}

static bool route_is_page(const struct route *t) {
    struct span path = t->req->path;
    text_after(&path, "/");
    return text_is(t->req->method, "GET") && (!path.n || text_name(path));
}

/* One request, head and body complete. r was set up by http_respond. */
static void route_serve(const struct route *t, struct http_resp *r) {
    const struct http_req *q = t->req;
    struct guard *g = &t->site->guard;
    bool safe = http_safe(q);
    r->head = text_is(q->method, "HEAD");
    if (!guard_host(g, q)) {
        http_problem(r, 421, "This server does not go by that name: start it with --host NAME to allow it.");
        route_humanize(t, r);
        return;
    }
    guard_cors(g, q, r);
    if (text_is(q->method, "OPTIONS")) { /* a preflight carries no credentials */
        r->status = 200;
        text_put(&r->extra, "Allow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\nAccept-Post: application/sdp\r\n");
    } else if (text_is(q->path, "/healthz")) {
        r->status = 200;
        r->type = "text/plain";
        text_put(&r->body, "ok\n");
    } else if ((!safe || guard_tries(g, q)) && guard_exhausted(g, &t->from, t->now)) {
        text_put(&r->extra, "Retry-After: 1\r\n");
        http_problem(r, 429, "Too many requests from this address: wait a second.");
    } else if (!guard_admits(g, q)) {
        if (guard_tries(g, q)) guard_charge(g, &t->from, t->now);
        guard_challenge(g, r);
        if (g->token[0] && !g->user[0] && route_is_page(t) && route_wants_html(t)) { /* the page asks for the token */
            r->body.n = 0;
            route_page(t->site, r);
            r->status = 401;
            return;
        }
    } else if (guard_foreign(g, q)) {
        http_problem(r, 403, "Pages of another origin may not do this: see --cors.");
    } else {
        if (!safe) guard_charge(g, &t->from, t->now);
        if (guard_query_token(g, q) && route_is_page(t)) route_cookie(t, r);
        route_table(t, r);
    }
    route_humanize(t, r);
}

/* ==== 32 net ================================================================
 * Sockets and the clock. One port number: TCP for HTTP, UDP for media; a socket per address family. Datagrams that
 * leave in a row, to one place and of one size, go to the kernel in one call (UDP_SEGMENT), which is where most of the
 * CPU time of a sender goes.
 * world; uses base
 */
/* The include wall: no room above sees what these headers declare. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#if !defined(WCAM_NO_LINUX)
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/udp.h>
#if defined(IP_PKTINFO) && defined(IPV6_RECVPKTINFO)
#define NET_PKTINFO 1 /* answers leave from the address that was reached */
#endif
#if defined(__linux__) && !defined(UDP_SEGMENT)
#define UDP_SEGMENT 103
#endif
#endif
enum net_limits { NET_BATCH = 60 * 1024, NET_SEGMENTS = 48, NET_SOCKET_BUFFER = 4 * 1024 * 1024 };

struct net {
    int tcp[2], udp[2]; /* IPv4, IPv6; -1: none */
    int wake[2];        /* a pipe: written to end a wait */
    uint16_t port;
    bool segment; /* the kernel knows UDP_SEGMENT */
    uint64_t *drops;
    struct path batch_path;
    size_t batch_n, batch_size; /* bytes waiting; of each datagram but the last, which may be shorter */
    bool batch_done;            /* a shorter one ended it */
    uint8_t batch[NET_BATCH];
};

static int64_t net_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * BASE_S + t.tv_nsec / 1000;
}

static int64_t net_now(void) { return net_clock(CLOCK_MONOTONIC); }
static int64_t net_wall(void) { return net_clock(CLOCK_REALTIME); }

static socklen_t net_to_os(const struct wcam_addr *a, struct sockaddr_storage *s) {
    memset(s, 0, sizeof *s);
    if (a->family == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)s;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        memcpy(&in6->sin6_addr, a->ip, 16);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)s;
    in->sin_family = AF_INET;
    in->sin_port = htons(a->port);
    memcpy(&in->sin_addr, a->ip, 4);
    return sizeof *in;
}

static struct wcam_addr net_from_os(const struct sockaddr *s) {
    struct wcam_addr a = {0};
    if (s->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, s, sizeof in6);
        a.family = 6;
        a.port = ntohs(in6.sin6_port);
        memcpy(a.ip, &in6.sin6_addr, 16);
    } else if (s->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, s, sizeof in);
        a.family = 4;
        a.port = ntohs(in.sin_port);
        memcpy(a.ip, &in.sin_addr, 4);
    }
    return a;
}

static bool net_prepare(int fd) { return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; }

static void net_set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

/* Did a call fail only for now: nothing to read, no room to write? */
static bool net_later(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/* errno stays: it tells why. */
static void net_shut(int *fd) {
    int why = errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    errno = why;
}

/* A bound socket, or -1 and errno. */
static int net_bind(const struct wcam_addr *a, int type) {
    struct sockaddr_storage s;
    socklen_t n = net_to_os(a, &s);
    int fd = socket(a->family == 6 ? AF_INET6 : AF_INET, type, 0);
    if (fd < 0) return -1;
    if (a->family == 6) net_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (type == SOCK_STREAM) net_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (net_prepare(fd) && !bind(fd, (struct sockaddr *)&s, n) && (type != SOCK_STREAM || !listen(fd, 64))) return fd;
    net_shut(&fd);
    return -1;
}

/* Our end of a socket; all zero when it has none. */
static struct wcam_addr net_local(int fd) {
    struct sockaddr_storage s = {0};
    socklen_t n = sizeof s;
    getsockname(fd, (struct sockaddr *)&s, &n);
    return net_from_os((struct sockaddr *)&s);
}

static void net_udp_options(struct net *n, int family) {
    int fd = n->udp[family == 6];
    net_set(fd, SOL_SOCKET, SO_SNDBUF, NET_SOCKET_BUFFER);
    net_set(fd, SOL_SOCKET, SO_RCVBUF, NET_SOCKET_BUFFER);
#if NET_PKTINFO
    if (family == 6) net_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    else net_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
#endif
#if defined(UDP_SEGMENT)
    int value = 0;
    socklen_t length = sizeof value;
    n->segment = getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &value, &length) == 0;
#endif
}

static void net_init(struct net *n, uint64_t *drops) {
    n->tcp[0] = n->tcp[1] = n->udp[0] = n->udp[1] = n->wake[0] = n->wake[1] = -1;
    n->drops = drops;
}

static void net_close(struct net *n) {
    for (int i = 0; i < 2; i++) net_shut(&n->tcp[i]), net_shut(&n->udp[i]), net_shut(&n->wake[i]);
}

/* TCP and UDP of one family on one port. Media of a server that serves HTTP on loopback alone listens on all
 * addresses: Firefox never uses 127.0.0.1. Nothing is answered there without the credentials that HTTP handed out. */
static bool net_open_family(struct net *n, struct wcam_addr a) {
    struct wcam_addr any = {.family = a.family};
    int six = a.family == 6;
    n->tcp[six] = net_bind(&a, SOCK_STREAM);
    if (n->tcp[six] < 0) return false;
    any.port = net_local(n->tcp[six]).port;
    if (!base_addr_loopback(&a)) memcpy(any.ip, a.ip, sizeof any.ip);
    n->udp[six] = net_bind(&any, SOCK_DGRAM);
    if (n->udp[six] < 0) return net_shut(&n->tcp[six]), false;
    n->port = any.port;
    net_udp_options(n, a.family);
    return true;
}

/* Opens what --listen names, in the other family too where it means both: localhost may resolve to ::1, and [::] is
 * everything. The other family may be missing here; taken by somebody else it must not be. */
static bool net_open_both(struct net *n, struct wcam_addr a) {
    struct wcam_addr other = {.family = a.family == 4 ? 6 : 4};
    bool loopback = base_addr_loopback(&a) && a.family == 4, any = base_addr_any(&a) && a.family == 6;
    if (!net_open_family(n, a) && (!any || errno == EADDRINUSE)) return false;
    other.port = n->port ? n->port : a.port;
    if (loopback) other.ip[15] = 1;
    if (loopback || any) return net_open_family(n, other) || (errno != EADDRINUSE && n->port);
    return true;
}

static int net_open(struct net *n, struct wcam_addr a) {
    if (pipe(n->wake) || !net_prepare(n->wake[0]) || !net_prepare(n->wake[1])) return -1;
    for (int tries = a.port ? 1 : 16; tries; tries--) { /* a free TCP port may be taken in UDP or the other family */
        if (net_open_both(n, a)) return 0;
        for (int i = 0; i < 2; i++) net_shut(&n->tcp[i]), net_shut(&n->udp[i]);
        n->port = 0;
        if (errno != EADDRINUSE) break;
    }
    return -1;
}

static void net_wake(struct net *n) {
    char byte = 0;
    if (n->wake[1] >= 0 && write(n->wake[1], &byte, 1) < 0) return; /* a full pipe wakes as well */
}

/* The addresses of this machine's interfaces that a browser may reach. */
static int net_interfaces(struct wcam_addr *out, int cap) {
    int n = 0;
#if !defined(WCAM_NO_LINUX)
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all)) return 0;
    for (struct ifaddrs *i = all; i && n < cap; i = i->ifa_next) {
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK) continue;
        struct wcam_addr a = net_from_os(i->ifa_addr);
        if (a.family == 6 && a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80) continue; /* link-local: needs a zone */
        if (a.family) out[n++] = a;
    }
    freeifaddrs(all);
#else
    (void)out, (void)cap;
#endif
    return n;
}

#if NET_PKTINFO
/* The local address of a datagram travels beside it, as a control message. */
static void net_read_local(struct msghdr *msg, struct wcam_addr *local) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            local->family = 4;
            memcpy(local->ip, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            local->family = 6;
            memcpy(local->ip, &info.ipi6_addr, 16);
        }
    }
}
#endif

/* One datagram, -1 when there is none. Larger ones are cut to cap. */
static int net_receive(int fd, uint8_t *p, size_t cap, struct path *path) {
    struct sockaddr_storage from;
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec io = {p, cap};
    struct msghdr msg = {.msg_name = &from,
                         .msg_namelen = sizeof from,
                         .msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &msg, 0);
    if (n < 0) return -1;
    memset(path, 0, sizeof *path);
    path->remote = net_from_os((struct sockaddr *)&from);
#if NET_PKTINFO
    net_read_local(&msg, &path->local);
#endif
    return (int)n;
}

#if NET_PKTINFO || defined(UDP_SEGMENT)
static void net_put_control(struct msghdr *msg, int level, int type, const void *value, size_t n) {
    struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)msg->msg_control + msg->msg_controllen);
    memset(c, 0, CMSG_SPACE(n));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), value, n);
    msg->msg_controllen += CMSG_SPACE(n);
}
#endif

static void net_put_local(struct msghdr *msg, const struct wcam_addr *local) {
#if NET_PKTINFO
    if (local->family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->ip, 4);
        net_put_control(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (local->family == 6) {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, local->ip, 16);
        net_put_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
#else
    (void)msg, (void)local;
#endif
}

/* size: of each datagram in p, when p holds several. */
static bool net_transmit(struct net *n, const struct path *path, const uint8_t *p, size_t length, size_t size) {
    struct sockaddr_storage to;
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec io = {(void *)(uintptr_t)p, length};
    struct msghdr msg = {.msg_name = &to,
                         .msg_namelen = net_to_os(&path->remote, &to),
                         .msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = &control};
    net_put_local(&msg, &path->local);
#if defined(UDP_SEGMENT)
    uint16_t segment = (uint16_t)size;
    if (size < length) net_put_control(&msg, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
#endif
    (void)size;
    if (!msg.msg_controllen) msg.msg_control = NULL;
    return sendmsg(n->udp[path->remote.family == 6], &msg, 0) >= 0;
}

static void net_flush(struct net *n) {
    size_t length = n->batch_n, size = n->batch_size;
    n->batch_n = 0;
    n->batch_done = false;
    if (!length) return;
    if (net_transmit(n, &n->batch_path, n->batch, length, size)) return;
    bool refused = size < length && (errno == EINVAL || errno == EIO || errno == ENOPROTOOPT || errno == EMSGSIZE);
    size_t sent = 0;
    for (size_t at = 0; at < length; at += size) {
        size_t part = length - at < size ? length - at : size;
        if (refused && net_transmit(n, &n->batch_path, n->batch + at, part, part)) sent++;
        else n->drops[DROP_UDP_SEND]++;
    }
    if (sent) n->segment = false; /* a device that cannot: one by one from now on */
}

/* Takes a datagram; it leaves with net_flush at the latest. */
static void net_send(void *to, const struct path *path, const uint8_t *p, size_t size) {
    struct net *n = to;
    bool fits = n->batch_n && n->segment && !n->batch_done && size <= n->batch_size && n->batch_n + size <= NET_BATCH &&
                n->batch_n < n->batch_size * NET_SEGMENTS && base_path_same(path, &n->batch_path);
    if (!fits) {
        net_flush(n);
        n->batch_path = *path;
        n->batch_size = size;
    }
    memcpy(n->batch + n->batch_n, p, size);
    n->batch_n += size;
    n->batch_done = size < n->batch_size;
}

/* ==== 33 dial ===============================================================
 * A connection to a camera, TCP or TLS: its name is looked up beside the event loop, its addresses are tried in turn.
 * world; uses text, crypt, net
 */
enum dial_limits { DIAL_ADDRS = 8, DIAL_HOST = 128 };
#define DIAL_TURN (2 * BASE_S) /* for an address to answer, when there is another */
enum dial_state { DIAL_CLOSED, DIAL_NAMING, DIAL_CONNECTING, DIAL_SECURING, DIAL_OPEN };

/* TLS, when the camera is addressed by rtsps. */
struct dial_tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt roots;
    bool writes;    /* it waits for the socket to take bytes */
    size_t pending; /* the length of a write that has to be repeated with it */
};

struct dial {
    enum dial_state state;
    int fd; /* to wait for; -1 when CLOSED */
    struct wcam_addr addr[DIAL_ADDRS], local;
    int count, at;
    int64_t since; /* when the present address was called */
    char host[DIAL_HOST];
    struct dial_tls *tls;  /* NULL: plain TCP */
    bool secure, trusting; /* secure: TLS is to be used; trusting: with any certificate */
    struct crypt *crypt;
    char why[160]; /* a sentence when it failed */
};

struct dial_question {
    int fd;
    uint16_t port;
    char host[DIAL_HOST];
};

static void dial_close(struct dial *d) {
    if (d->tls) {
        if (d->state == DIAL_OPEN) mbedtls_ssl_close_notify(&d->tls->ssl);
        mbedtls_ssl_free(&d->tls->ssl);
        mbedtls_ssl_config_free(&d->tls->conf);
        mbedtls_x509_crt_free(&d->tls->roots);
        free(d->tls);
        d->tls = NULL;
    }
    net_shut(&d->fd);
    d->state = DIAL_CLOSED;
}

/* Closes; the sentence is for d->why. Returns -1. */
static int dial_fail(struct dial *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(d->why, sizeof d->why, format, args);
    va_end(args);
    dial_close(d);
    return -1;
}

/* getaddrinfo blocks for as long as it likes; so it does in a thread of its own, which outlives its asker. */
static void *dial_answer(void *arg) {
    struct dial_question *q = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    struct wcam_addr addr[DIAL_ADDRS];
    size_t n = 0;
    if (!getaddrinfo(q->host, NULL, &hints, &list))
        for (struct addrinfo *i = list; i && n < DIAL_ADDRS; i = i->ai_next) {
            addr[n] = net_from_os(i->ai_addr);
            addr[n].port = q->port;
            n += addr[n].family != 0;
        }
    if (list) freeaddrinfo(list);
    send(q->fd, addr, n * sizeof *addr, MSG_NOSIGNAL);
    close(q->fd);
    free(q);
    return NULL;
}

/* Starts that thread; q and its end of the pair are the thread's then. */
static bool dial_spawn(struct dial_question *q) {
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all); /* the program's signals are its own threads' */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = !pthread_create(&thread, NULL, dial_answer, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok) pthread_detach(thread);
    return ok;
}

static int dial_ask(struct dial *d, const char *host, uint16_t port) {
    struct dial_question *q = calloc(1, sizeof *q);
    int pair[2] = {-1, -1};
    if (q && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
        net_prepare(pair[0]);
        fcntl(pair[1], F_SETFD, FD_CLOEXEC);
        *q = (struct dial_question){.fd = pair[1], .port = port};
        text_copy(q->host, sizeof q->host, text_of(host));
        d->fd = pair[0];
        d->state = DIAL_NAMING;
        if (dial_spawn(q)) return 0;
    }
    net_shut(&pair[1]);
    free(q);
    return dial_fail(d, "The camera's name cannot be looked up: there is no memory or descriptor for it.");
}

/* Tries the addresses from the present one on. 0, or -1: none is left, d->why says what the last one said. */
static int dial_connect(struct dial *d) {
    for (; d->at < d->count; d->at++) {
        struct sockaddr_storage s;
        const struct wcam_addr *a = &d->addr[d->at];
        socklen_t n = net_to_os(a, &s);
        d->fd = socket(a->family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
        if (d->fd >= 0 && net_prepare(d->fd) && (!connect(d->fd, (struct sockaddr *)&s, n) || errno == EINPROGRESS)) {
            net_set(d->fd, IPPROTO_TCP, TCP_NODELAY, 1);
            d->state = DIAL_CONNECTING;
            d->since = net_now();
            return 0;
        }
        dial_fail(d, "The camera cannot be reached: %s.", strerror(errno));
    }
    return -1;
}

/* The present address is given up. */
static int dial_next(struct dial *d) {
    dial_close(d);
    d->at++;
    return dial_connect(d);
}

/* 0, or -1 and d->why. */
static int dial_start(struct dial *d, const char *host, uint16_t port) {
    dial_close(d);
    d->at = d->count = 0;
    text_copy(d->host, sizeof d->host, text_of(host));
    if (text_ip(text_of(host), &d->addr[0])) {
        d->addr[0].port = port;
        d->count = 1;
        return dial_connect(d);
    }
    return dial_ask(d, host, port);
}

static int dial_named(struct dial *d) {
    ssize_t n = recv(d->fd, d->addr, sizeof d->addr, 0);
    d->count = n > 0 ? (int)((size_t)n / sizeof *d->addr) : 0;
    dial_fail(d, "The camera's name is not known here."); /* unless there is an address to try */
    return dial_connect(d);
}

/* The socket itself, below TLS or without it; failures in mbedTLS's words. */
static int dial_send(void *to, const unsigned char *p, size_t n) {
    ssize_t sent = send(((struct dial *)to)->fd, p, n, MSG_NOSIGNAL);
    return sent >= 0 ? (int)sent : net_later() ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int dial_receive(void *from, unsigned char *p, size_t n) {
    ssize_t got = recv(((struct dial *)from)->fd, p, n, 0);
    return got >= 0 ? (int)got : net_later() ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

static bool dial_later(int rc) { return rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE; }

/* The certificates that this machine trusts, wherever its system keeps them. */
static void dial_load_roots(mbedtls_x509_crt *roots) {
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (mbedtls_x509_crt_parse_file(roots, files[i]) >= 0) return;
}

static bool dial_secure(struct dial *d) {
    struct dial_tls *t = d->tls = calloc(1, sizeof *t);
    if (!t) return false;
    mbedtls_ssl_init(&t->ssl);
    mbedtls_ssl_config_init(&t->conf);
    mbedtls_x509_crt_init(&t->roots);
    if (!d->trusting) dial_load_roots(&t->roots);
    if (mbedtls_ssl_config_defaults(&t->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT))
        return false;
    mbedtls_ssl_conf_max_version(&t->conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_rng(&t->conf, mbedtls_ctr_drbg_random, &d->crypt->drbg);
    mbedtls_ssl_conf_ca_chain(&t->conf, &t->roots, NULL);
    mbedtls_ssl_conf_authmode(&t->conf, d->trusting ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (mbedtls_ssl_setup(&t->ssl, &t->conf) || mbedtls_ssl_set_hostname(&t->ssl, d->host)) return false;
    mbedtls_ssl_set_bio(&t->ssl, d, dial_send, dial_receive, NULL);
    return true;
}

/* 1: the connection stands, 0: not yet, -1: failed, d->why. */
static int dial_shake(struct dial *d) {
    int rc = mbedtls_ssl_handshake(&d->tls->ssl);
    d->tls->writes = rc == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (dial_later(rc)) return 0;
    if (!rc) return d->state = DIAL_OPEN, 1;
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED &&
        mbedtls_ssl_get_verify_result(&d->tls->ssl) == MBEDTLS_X509_BADCERT_CN_MISMATCH)
        return dial_fail(d, "The camera's certificate is for another name than the one in its address: --insecure-rtsp "
                            "takes it all the same.");
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
        return dial_fail(
            d, "The camera's certificate is not one that this machine trusts: --insecure-rtsp takes it all the same.");
    return dial_fail(d, "The camera's TLS handshake failed (-0x%04x).", (unsigned)-rc);
}

static int dial_connected(struct dial *d) {
    d->local = net_local(d->fd);
    d->state = d->secure ? DIAL_SECURING : DIAL_OPEN;
    if (!d->secure) return 1;
    return dial_secure(d) ? dial_shake(d) : dial_fail(d, "TLS to the camera cannot be set up.");
}

/* The descriptor is ready. 1: the connection stands, 0: not yet, -1: failed, d->why. */
static int dial_ready(struct dial *d) {
    int error = 0;
    socklen_t n = sizeof error;
    if (d->state == DIAL_NAMING) return dial_named(d);
    if (d->state == DIAL_SECURING) return dial_shake(d);
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n)) error = errno;
    if (!error) return dial_connected(d);
    dial_fail(d, "The camera cannot be reached: %s.", strerror(error));
    return dial_next(d);
}

/* An address that does not answer gives way to the next. Returns when to call again. */
static int64_t dial_tick(struct dial *d, int64_t now) {
    if (d->state != DIAL_CONNECTING || d->at + 1 >= d->count) return BASE_NEVER;
    if (now - d->since < DIAL_TURN) return d->since + DIAL_TURN;
    return dial_next(d) ? BASE_NEVER : now + DIAL_TURN;
}

/* Bytes read, 0: none now, -1: it is over. */
static int dial_read(struct dial *d, uint8_t *p, size_t cap) {
    int n = d->tls ? mbedtls_ssl_read(&d->tls->ssl, p, cap) : dial_receive(d, p, cap);
    return n > 0 ? n : dial_later(n) ? 0 : -1;
}

/* Bytes written, 0: none now, -1: it is over. */
static int dial_write(struct dial *d, const uint8_t *p, size_t n) {
    struct dial_tls *t = d->tls;
    if (t && t->pending) n = t->pending; /* the same bytes: more may have come behind them */
    int rc = t ? mbedtls_ssl_write(&t->ssl, p, n) : dial_send(d, p, n);
    if (t) t->pending = rc == MBEDTLS_ERR_SSL_WANT_WRITE ? n : 0;
    return rc >= 0 ? rc : dial_later(rc) ? 0 : -1;
}

/* Are decrypted bytes waiting, of which poll knows nothing? */
static bool dial_pending(const struct dial *d) {
    return d->state == DIAL_OPEN && d->tls && mbedtls_ssl_check_pending(&d->tls->ssl);
}

/* ==== 34 source =============================================================
 * Where pictures come from: IP cameras, a file that is looped, standard input, the test pattern, the embedding program.
 * world; uses base, bytes, text, crypt, h264, pattern, depay, rtsp, dialog, media, intake, camera, net, dial
 */
#define SOURCE_FPS   25.0           /* of a file that does not say */
#define SOURCE_SOUND (20 * BASE_MS) /* a packet of the test picture's sound */
#define SOURCE_LATE  (1 * BASE_S)   /* behind its schedule by this much, a source starts its schedule anew */
enum source_limits {
    SOURCE_CHUNK = 64 * 1024,
    SOURCE_READS = 8,        /* chunks of a pipe or a camera at once: then others have their turn */
    SOURCE_DATAGRAMS = 256,  /* the same of a camera by UDP */
    SOURCE_WIRE = 72 * 1024, /* of RTSP: an interleaved frame has up to 64 KiB */
    SOURCE_UDP = 4,
    SOURCE_FDS = 1 + SOURCE_UDP,
    SOURCE_PAIRS = 64,    /* attempts to find two free ports in a row */
    SOURCE_MACROBLOCK = 8 /* bytes per cell byte of the pattern at most */
};
enum source_kind { SOURCE_PUSH, SOURCE_FILE, SOURCE_PIPE, SOURCE_TEST, SOURCE_CAMERA };
static const char *const source_kinds[] = {"push", "file", "pipe", "test", "rtsp"};

struct source {
    enum source_kind kind;
    int id;                      /* for the embedding program; never used again */
    int64_t opened;              /* by a viewer: it goes when nobody watches; 0: it stays */
    uint8_t url[CRYPT_HASH_MAX]; /* its hash, to find it again */
    bool told;                   /* once: the log knows its state */
    char told_reason[160];       /* the one that was told last */
    struct media media;
    uint8_t *history;
    struct media_packet *packets;

    int64_t due; /* of the next access unit */
    double rest; /* of it, below a microsecond */
    double fps;  /* asked for; 0: what the stream says */

    int fd;
    struct intake intake; /* of a pipe and of pushed bytes */
    uint8_t *buffer;      /* NAL units as they come in */
    struct h264_split split;
    struct h264_border border;
    struct span held; /* the first NAL unit of the next access unit */
    bool ended, any;  /* the file's end was read; a slice came since its beginning */
    bool alone;       /* the access unit was one field */

    struct pattern pattern;
    int64_t sound_due;        /* of its next packet of sound */
    uint8_t *cells, *picture; /* picture: the encoded one */
    size_t picture_cap;

    struct camera camera;
    struct dial dial;
    uint8_t *wire; /* bytes from the camera that are not used up */
    size_t wire_n;
    int udp[SOURCE_UDP]; /* of its media: RTP and RTCP of video, of audio; -1: none */
    struct depay_window *window;

    int64_t push_offset, push_last; /* pushed: server time minus pts */
    bool pushed;
};

/* How a source is opened. */
struct source_terms {
    double fps;     /* of a file; 0: what it says */
    size_t history; /* bytes */
    uint64_t *drops;
    struct crypt *crypt;
    bool insecure, keep_warm; /* of cameras: take any certificate; stay connected without viewers */
    bool silent;              /* no sound */
};

/* The time from one access unit to the next. A field that came alone is half a frame. */
static double source_interval(const struct source *s) {
    const struct h264_sps *sps = s->media.sps;
    double fps = s->fps;
    if (fps <= 0 && sps && sps->tick) fps = (double)sps->time_scale / (2.0 * sps->tick);
    if (fps < 0.1 || fps > 1000) fps = SOURCE_FPS;
    return 1e6 / fps / (s->alone ? 2 : 1);
}

static void source_schedule(struct source *s, double interval, int64_t now) {
    if (!s->due || now - s->due > SOURCE_LATE) s->due = now, s->rest = 0;
    double next = s->rest + interval;
    s->due += (int64_t)next;
    s->rest = next - (double)(int64_t)next;
}

/* The next NAL unit of the file; n is 0 at its end and on errors. */
static struct span source_read_nal(struct source *s) {
    for (;;) {
        struct span nal = h264_split_next(&s->split, s->ended);
        if (nal.n || s->ended) return nal;
        size_t room;
        uint8_t *p = h264_room(&s->split, &room);
        ssize_t n = read(s->fd, p, room < SOURCE_CHUNK ? room : SOURCE_CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) snprintf(s->media.trouble, sizeof s->media.trouble, "The file cannot be read: %s.", strerror(errno));
        if (n <= 0) s->ended = true;
        else h264_fed(&s->split, (size_t)n);
    }
}

/* Back to the beginning. A file whose first picture is no IDR starts again at its first IDR. */
static void source_rewind(struct source *s) {
    struct span none = {NULL, 0};
    uint64_t too_large = s->split.too_large;
    s->split = (struct h264_split){.buf = s->split.buf, .cap = s->split.cap};
    s->media.drops[DROP_H264_LARGE] += too_large;
    s->border = (struct h264_border){0};
    s->held = none;
    s->ended = false;
    media_break(&s->media);
    if (!s->any) snprintf(s->media.trouble, sizeof s->media.trouble, "The file holds no picture.");
    if (lseek(s->fd, 0, SEEK_SET) < 0 || !s->any) s->media.ended = true;
    s->any = false;
}

/* Reads one access unit into the media. */
static void source_file_unit(struct source *s) {
    media_begin(&s->media, s->due);
    for (;;) {
        struct span nal = s->held.n ? s->held : source_read_nal(s);
        if (!nal.n) break;
        bool field = s->border.slices && s->border.last.field && !s->border.paired;
        if (!s->held.n && h264_begins(&s->border, &s->media.sets, nal)) {
            s->alone = field;
            s->held = nal;
            break;
        }
        s->held.n = 0;
        s->any = s->any || s->border.slices;
        media_nal(&s->media, nal);
    }
    media_end(&s->media);
    if (!s->held.n) source_rewind(s);
}

static uint32_t source_ms_of_day(int64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    return (uint32_t)((local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec) * 1000 + (uint32_t)(wall_ms % 1000);
}

static void source_test_unit(struct source *s) {
    struct wr w = bytes_wr(s->picture, s->picture_cap);
    int64_t wall = net_wall() / BASE_MS;
    bool key = s->media.want_key;
    s->media.want_key = false;
    if (pattern_frame(&s->pattern, key, source_ms_of_day(wall), (uint32_t)(wall & 0xffffff), &w))
        media_push(&s->media, bytes_written(&w), s->due);
}

/* The sound of the test picture, as far as it is due. Returns when to call again. */
static int64_t source_test_sound(struct source *s, int64_t now) {
    uint8_t samples[PATTERN_SAMPLES];
    if (!s->pattern.beep) return BASE_NEVER;
    if (!s->sound_due || now - s->sound_due > SOURCE_LATE) s->sound_due = now;
    for (; now >= s->sound_due; s->sound_due += SOURCE_SOUND) {
        pattern_sound(source_ms_of_day((net_wall() - (now - s->sound_due)) / BASE_MS), samples);
        media_push_sound(&s->media, BASE_PCMU, base_span(samples, sizeof samples),
                         (uint32_t)(s->sound_due * 8 / BASE_MS), s->sound_due);
    }
    return s->sound_due;
}

/* Reads what a pipe has now, so that its writer never waits for us. */
static void source_read_pipe(struct source *s, int64_t now) {
    uint8_t chunk[SOURCE_CHUNK];
    for (int i = 0; i < SOURCE_READS && s->fd >= 0; i++) {
        ssize_t n = read(s->fd, chunk, sizeof chunk);
        if (n < 0 && net_later()) return;
        if (n > 0) {
            intake_bytes(&s->intake, base_span(chunk, (size_t)n), now);
            continue;
        }
        if (n < 0) snprintf(s->media.trouble, sizeof s->media.trouble, "The input broke off: %s.", strerror(errno));
        else snprintf(s->media.trouble, sizeof s->media.trouble, "The input has ended.");
        intake_end(&s->intake);
        net_shut(&s->fd);
    }
}

/* Sends what the camera is to be told, as far as the connection takes it. */
static void source_flush(struct source *s, int64_t now) {
    struct dialog *d = &s->camera.dialog;
    if (s->dial.state != DIAL_OPEN || !d->out_n) return;
    int n = dial_write(&s->dial, d->out, d->out_n);
    if (n < 0 && s->camera.state == CAMERA_TALKING)
        camera_failed(&s->camera, "The camera broke the connection off.", now);
    if (n <= 0) return;
    memmove(d->out, d->out + n, d->out_n - (size_t)n);
    d->out_n -= (size_t)n;
}

static void source_close_udp(struct source *s) {
    for (int i = 0; i < SOURCE_UDP; i++) net_shut(&s->udp[i]);
}

/* Two ports in a row, the first one even (RFC 3550 11). 0: there are none. */
static uint16_t source_open_pair(struct source *s, int *fd) {
    struct wcam_addr any = {.family = s->dial.local.family};
    for (int i = 0; i < SOURCE_PAIRS; i++) {
        any.port = 0;
        fd[0] = net_bind(&any, SOCK_DGRAM);
        net_set(fd[0], SOL_SOCKET, SO_RCVBUF, NET_SOCKET_BUFFER); /* a keyframe comes at once */
        uint16_t port = fd[0] < 0 ? 1 : net_local(fd[0]).port;
        any.port = (uint16_t)(port + 1);
        fd[1] = port % 2 ? -1 : net_bind(&any, SOCK_DGRAM);
        if (fd[1] >= 0) return port;
        net_shut(fd);
    }
    return 0;
}

static bool source_open_udp(struct source *s, uint16_t port[2]) {
    if (!s->window) s->window = malloc(sizeof *s->window);
    for (int i = 0; i < 2; i++) port[i] = source_open_pair(s, s->udp + 2 * i);
    return s->window && port[0] && port[1];
}

static void source_say_udp(struct source *s, int which, struct span bytes) {
    struct sockaddr_storage to;
    struct wcam_addr a = s->dial.addr[s->dial.at];
    const struct dialog *d = &s->camera.dialog;
    a.port = (which < 2 ? &d->video : &d->audio)->server_port[which % 2];
    socklen_t n = net_to_os(&a, &to);
    if (a.port) sendto(s->udp[which], bytes.p, bytes.n, 0, (struct sockaddr *)&to, n);
}

/* Reports to the camera; an empty RTP packet with each keeps the way open for what comes to that port. */
static void source_report(struct source *s, int64_t now) {
    uint8_t report[128], empty[RTP_HEADER] = {0x80};
    struct wr w = bytes_wr(report, sizeof report);
    if (s->udp[0] < 0 || !camera_report(&s->camera, &w, now)) return;
    source_say_udp(s, 0, base_span(empty, sizeof empty));
    source_say_udp(s, 2, base_span(empty, sizeof empty));
    source_say_udp(s, 1, bytes_written(&w));
}

/* The camera's datagrams, and nobody else's. */
static void source_read_udp(struct source *s, int which, int64_t now) {
    uint8_t packet[DEPAY_PACKET];
    struct path path;
    for (int i = 0; i < SOURCE_DATAGRAMS; i++) {
        int n = net_receive(s->udp[which], packet, sizeof packet, &path);
        if (n < 0) return;
        path.remote.port = s->dial.addr[s->dial.at].port;
        if (!base_addr_same(&path.remote, &s->dial.addr[s->dial.at])) s->media.drops[DROP_UDP_STRANGER]++;
        else if (s->camera.state == CAMERA_TALKING && which == 2)
            camera_sound(&s->camera, base_span(packet, (size_t)n), now);
        else if (s->camera.state == CAMERA_TALKING && which == 0)
            camera_datagram(&s->camera, base_span(packet, (size_t)n), now);
        else if (s->camera.state == CAMERA_TALKING) camera_control(&s->camera, base_span(packet, (size_t)n), now);
    }
}

/* The connection to the camera stands. */
static void source_connected(struct source *s, int64_t now) {
    uint16_t port[2] = {0, 0};
    bool udp = s->camera.udp;
    if (udp && !source_open_udp(s, port)) camera_failed(&s->camera, "No two UDP ports in a row are free.", now);
    else camera_connected(&s->camera, udp ? port : NULL, udp ? s->window : NULL, now);
}

/* The connection follows the camera's state. */
static void source_settle(struct source *s, int64_t now) {
    source_flush(s, now);
    source_report(s, now);
    if (s->camera.state == CAMERA_DIALING || s->camera.state == CAMERA_TALKING) return;
    dial_close(&s->dial);
    source_close_udp(s);
    s->wire_n = 0;
    crypt_wipe(s->camera.dialog.out, sizeof s->camera.dialog.out);
    s->camera.dialog.out_n = 0;
}

static void source_read_camera(struct source *s, int64_t now) {
    for (int i = 0; (i < SOURCE_READS || dial_pending(&s->dial)) && s->camera.state == CAMERA_TALKING; i++) {
        int n = dial_read(&s->dial, s->wire + s->wire_n, SOURCE_WIRE - s->wire_n);
        if (!n) return;
        if (n < 0) {
            camera_failed(&s->camera, "The camera broke the connection off.", now);
            return;
        }
        s->wire_n += (size_t)n;
        size_t used = camera_input(&s->camera, base_span(s->wire, s->wire_n), now);
        memmove(s->wire, s->wire + used, s->wire_n - used);
        s->wire_n -= used;
    }
}

/* How many descriptors there are to wait for. poll refuses more entries than a process may have descriptors, also unused
 * ones: only what is open counts. */
static int source_fds(const struct source *s) {
    if (s->kind == SOURCE_PIPE) return s->fd >= 0;
    return s->kind != SOURCE_CAMERA ? 0 : s->udp[0] >= 0 ? SOURCE_FDS : s->dial.fd >= 0;
}

static void source_ready_camera(struct source *s, const struct pollfd *fds, int n, int64_t now) {
    for (int i = 1; i < n; i++)
        if (fds[i].revents && s->udp[i - 1] >= 0) source_read_udp(s, i - 1, now);
    if (fds[0].revents && s->dial.state == DIAL_OPEN) source_read_camera(s, now);
    else if (fds[0].revents && s->dial.fd >= 0) {
        int rc = dial_ready(&s->dial);
        if (rc < 0) camera_failed(&s->camera, s->dial.why, now);
        if (rc > 0) source_connected(s, now);
    }
    source_settle(s, now);
}

/* Descriptors are ready; fds as source_watch filled it in. Returns how many of them were its own. */
static int source_ready(struct source *s, const struct pollfd *fds, int64_t now) {
    int n = source_fds(s);
    if (n && s->kind == SOURCE_CAMERA) source_ready_camera(s, fds, n, now);
    else if (n && fds[0].revents) source_read_pipe(s, now);
    return n;
}

static int64_t source_tick_camera(struct source *s, bool viewers, int64_t now) {
    int64_t next;
    bool call = camera_tick(&s->camera, viewers, now, &next);
    if (call && dial_start(&s->dial, s->camera.url.host, s->camera.url.port)) {
        camera_failed(&s->camera, s->dial.why, now);
        next = now;
    }
    next = base_min(next, dial_tick(&s->dial, now));
    if (s->camera.state == CAMERA_DIALING && s->dial.state == DIAL_CLOSED) {
        camera_failed(&s->camera, s->dial.why, now);
        next = now;
    }
    source_settle(s, now);
    return next;
}

/* The descriptors to wait for. Returns how many. */
static int source_watch(const struct source *s, struct pollfd *fds) {
    int n = source_fds(s);
    bool camera = s->kind == SOURCE_CAMERA;
    for (int i = 0; i < n; i++) fds[i] = (struct pollfd){i ? s->udp[i - 1] : camera ? s->dial.fd : s->fd, POLLIN, 0};
    if (!n || !camera) return n;
    bool writes = s->dial.state == DIAL_CONNECTING || (s->dial.state == DIAL_SECURING && s->dial.tls->writes);
    if (writes) fds[0].events = POLLOUT;
    else if (s->dial.state == DIAL_OPEN && s->camera.dialog.out_n) fds[0].events = POLLIN | POLLOUT;
    return n;
}

/* What is due; viewers: somebody watches. Returns when to call again. */
static int64_t source_tick(struct source *s, bool viewers, int64_t now) {
    if (s->kind == SOURCE_CAMERA) return source_tick_camera(s, viewers, now);
    if (s->kind == SOURCE_PUSH || s->kind == SOURCE_PIPE) return s->buffer ? intake_tick(&s->intake, now) : BASE_NEVER;
    if (s->media.ended) return BASE_NEVER;
    if (!s->due) s->due = now;
    for (int i = 0; i < 8 && now >= s->due && !s->media.ended; i++) {
        if (s->kind == SOURCE_FILE) source_file_unit(s);
        else source_test_unit(s);
        source_schedule(s, source_interval(s), now);
    }
    int64_t sound = s->kind == SOURCE_TEST ? source_test_sound(s, now) : BASE_NEVER;
    return s->media.ended ? BASE_NEVER : base_min(s->due, sound);
}

/* The pusher's time on our clock; what is further from now than SOURCE_LATE is a jump, or drift: then it is now. */
static int64_t source_time(const struct source *s, int64_t pts, int64_t now) {
    int64_t at = pts + s->push_offset;
    return s->pushed && at - now <= SOURCE_LATE && now - at <= SOURCE_LATE ? at : now;
}

static bool source_push(struct source *s, struct span unit, int64_t pts, int64_t now) {
    if (pts > BASE_NEVER / 4 || pts < -(BASE_NEVER / 4)) return false;
    int64_t at = source_time(s, pts, now);
    s->push_offset = at - pts;
    if (s->pushed && at <= s->push_last) at = s->push_last + 1;
    if (!media_push(&s->media, unit, at)) return false;
    s->pushed = true;
    s->push_last = at;
    return true;
}

static uint32_t source_sound_clock(enum base_sounds kind, int64_t us) {
    int64_t rate = base_sound[kind].rate;
    return (uint32_t)(us / BASE_S * rate + us % BASE_S * rate / BASE_S);
}

/* Sound goes by the same clock as the pictures. */
static void source_push_sound(struct source *s, enum base_sounds kind, struct span bytes, int64_t pts, int64_t now) {
    int64_t at = source_time(s, pts, now);
    media_push_sound(&s->media, kind, bytes, source_sound_clock(kind, at), at);
}

/* Makes room for bytes in any chunking. */
static bool source_buffer(struct source *s) {
    if (!s->buffer) s->buffer = malloc(BASE_AU);
    if (s->buffer && !s->intake.media) intake_start(&s->intake, &s->media, s->buffer, BASE_AU);
    return s->buffer != NULL;
}

/* Says what a file is that holds no H.264 byte stream, so that its owner knows what to do. */
static const char *source_sniff(struct span head) {
    if (!head.n) return "is empty";
    if (head.n > 8 && !memcmp(head.p + 4, "ftyp", 4))
        return "is an MP4 file: take the H.264 out with ffmpeg -i FILE -c copy -bsf:v h264_mp4toannexb out.h264";
    if (head.n > 4 && !memcmp(head.p, "\x1a\x45\xdf\xa3", 4))
        return "is a Matroska file: take the H.264 out with ffmpeg -i FILE -c copy -bsf:v h264_mp4toannexb out.h264";
    for (size_t i = 0; i + 3 <= head.n; i++)
        if (!head.p[i] && !head.p[i + 1] && head.p[i + 2] == 1) return NULL;
    return "holds no H.264 byte stream (Annex B)";
}

/* How each kind is opened: 0, or -1 and a sentence; without one there was no memory. */
static int source_open_file(struct source *s, const char *path, char *why, size_t cap) {
    struct stat st;
    if (strstr(path, "://")) { /* it may hold a password: it is not repeated */
        snprintf(why, cap, "the scheme of the address is not one of rtsp:// and rtsps://, in small letters");
        return -1;
    }
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang the start */
    if (s->fd < 0 || fstat(s->fd, &st)) {
        snprintf(why, cap, "cannot open '%s': %s", path, strerror(errno));
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(why, cap, "'%s' is not a regular file", path);
        return -1;
    }
    s->split.cap = BASE_AU;
    s->split.buf = malloc(s->split.cap);
    if (!s->split.buf) return -1;
    ssize_t n = read(s->fd, s->split.buf, s->split.cap);
    const char *wrong = n < 0 ? strerror(errno) : source_sniff(base_span(s->split.buf, (size_t)n));
    if (!wrong && lseek(s->fd, 0, SEEK_SET) == 0) return 0;
    snprintf(why, cap, "'%s' %s", path, wrong ? wrong : strerror(errno));
    return -1;
}

/* Standard input. Its descriptor turns non-blocking, which its other users would see: there should be none. */
static int source_open_pipe(struct source *s, char *why, size_t cap) {
    s->fd = dup(STDIN_FILENO);
    if (s->fd < 0 || !net_prepare(s->fd)) {
        snprintf(why, cap, "cannot read standard input: %s", strerror(errno));
        return -1;
    }
    return source_buffer(s) ? 0 : -1;
}

/* Sound may come: makes room for it. */
static int source_may_sound(struct source *s, const struct source_terms *terms) {
    if (terms->silent) return 0;
    s->media.sound = calloc(MEDIA_SOUNDS, sizeof *s->media.sound);
    s->media.may_sound = s->media.sound != NULL;
    return s->media.may_sound ? 0 : -1;
}

static int source_open_camera(struct source *s, const char *url, const struct source_terms *terms, char *why,
                              size_t cap) {
    struct rtsp_url u;
    if (!rtsp_read_url(text_of(url), &u)) { /* the address may hold a password: it is not repeated */
        snprintf(why, cap, "a camera's address must look like rtsp://NAME:PASSWORD@HOST:PORT/PATH");
        return -1;
    }
    s->dial.secure = u.tls;
    s->dial.trusting = terms->insecure;
    s->dial.crypt = terms->crypt;
    s->buffer = malloc(BASE_AU);
    s->wire = malloc(SOURCE_WIRE);
    if (!s->buffer || !s->wire || source_may_sound(s, terms)) return -1;
    camera_start(&s->camera, &u, &s->media, terms->crypt, s->buffer, BASE_AU);
    s->camera.keep_warm = terms->keep_warm;
    return 0;
}

static int source_open_test(struct source *s, const char *spec, const struct source_terms *terms, char *why,
                            size_t cap) {
    const char *wrong = NULL;
    s->media.on_demand = true;
    if (pattern_spec(spec, &s->pattern, &wrong)) {
        snprintf(why, cap, "test:%s: %s", spec, wrong);
        return -1;
    }
    s->fps = s->pattern.fps;
    s->picture_cap = pattern_cells(&s->pattern) * SOURCE_MACROBLOCK + 256;
    s->cells = malloc(pattern_cells(&s->pattern));
    s->picture = malloc(s->picture_cap);
    if (!s->cells || !s->picture || (s->pattern.beep && source_may_sound(s, terms))) return -1;
    pattern_start(&s->pattern, s->cells);
    return 0;
}

static void source_close(struct source *s) {
    if (!s) return;
    net_shut(&s->fd);
    if (s->kind == SOURCE_CAMERA) {
        if (s->camera.state == CAMERA_TALKING) dialog_teardown(&s->camera.dialog, 0);
        source_flush(s, 0);
    }
    dial_close(&s->dial);
    source_close_udp(s);
    free(s->window);
    free(s->media.sound);
    crypt_wipe(&s->camera, sizeof s->camera);
    free(s->wire);
    free(s->split.buf);
    free(s->buffer);
    free(s->cells);
    free(s->picture);
    free(s->history);
    free(s->packets);
    free(s);
}

/* text NULL: access units will be pushed. */
static enum source_kind source_kind_of(const char *text) {
    if (!text) return SOURCE_PUSH;
    if (!strcmp(text, "-")) return SOURCE_PIPE;
    if (!strncmp(text, "test:", 5)) return SOURCE_TEST;
    return !strncmp(text, "rtsp:", 5) || !strncmp(text, "rtsps:", 6) ? SOURCE_CAMERA : SOURCE_FILE;
}

/* NULL and a sentence when it cannot be. */
static struct source *source_open(const char *text, const struct source_terms *terms, char *why, size_t cap) {
    struct source *s = calloc(1, sizeof *s);
    int rc = -1;
    snprintf(why, cap, "out of memory"); /* when nothing else is said */
    if (!s) return NULL;
    s->kind = source_kind_of(text);
    s->fd = s->dial.fd = -1;
    for (int i = 0; i < SOURCE_UDP; i++) s->udp[i] = -1;
    s->fps = terms->fps;
    s->history = malloc(terms->history);
    s->packets = malloc(MEDIA_SLOTS * sizeof *s->packets);
    s->media.kind = source_kinds[s->kind];
    if (!s->history || !s->packets) return source_close(s), NULL;
    media_start(&s->media, s->history, terms->history, s->packets, terms->drops);
    switch (s->kind) {
    case SOURCE_PUSH: rc = source_may_sound(s, terms); break;
    case SOURCE_FILE: rc = source_open_file(s, text, why, cap); break;
    case SOURCE_PIPE: rc = source_open_pipe(s, why, cap); break;
    case SOURCE_TEST: rc = source_open_test(s, text + 5, terms, why, cap); break;
    case SOURCE_CAMERA: rc = source_open_camera(s, text, terms, why, cap); break;
    }
    if (!rc) return s;
    source_close(s);
    return NULL;
}

/* ==== 35 server =============================================================
 * The event loop, and TCP connections that carry HTTP. A connection is bounded in memory and time at every step; how
 * many there are is bounded too, the longest idle one gives way to a new one.
 * world; uses base, bytes, text, crypt, http, ws, media, viewer, signal, site, route, net, source
 */
enum server_limits {
    SERVER_CONNS = 256,
    SERVER_FDS = 5 + SERVER_CONNS + BASE_STREAMS * SOURCE_FDS,
    SERVER_IN = HTTP_HEAD + HTTP_BODY + 8192, /* a request with chunk framing */
    SERVER_IN_FIRST = 4096,
    SERVER_OUT = 256 * 1024, /* the largest response body */
    SERVER_DATAGRAMS = 128,  /* per wait, so that nobody starves the rest */
    SERVER_ACCEPTS = 32,
    SERVER_OPENED = 8,  /* cameras opened by viewers */
    SERVER_PIPELINE = 4 /* requests of one connection per round */
};
typedef char server_fds_fit[(int)SERVER_FDS <= (int)WCAM_FDS_MAX ? 1 : -1];
#define SERVER_REQUEST (10 * BASE_S) /* for a whole request to come in, and a response to go out */
#define SERVER_DEAF    (200 * BASE_MS)
#define SERVER_LINGER  (1 * BASE_S)   /* for the peer to close after our last word */
#define SERVER_IDLE    (30 * BASE_S)  /* between two requests; of a WebSocket, before it is pinged */
#define SERVER_NEWS    (50 * BASE_MS) /* between two looks for what WebSockets are to be told */

struct server_conn {
    int fd;
    struct wcam_addr from, local;
    uint8_t *in;
    size_t in_n, in_cap;
    uint8_t *out; /* the response under way; NULL: none */
    size_t out_n, out_at;
    bool close, continued; /* continued: 100 was sent */
    bool said;             /* all of it, and our side is shut: what comes is thrown away until the peer closes */
    bool more;             /* complete requests are left for the next round */
    size_t chunked;        /* bytes of a chunked body decoded so far, behind the head */
    int64_t deadline;
    bool socket, pinged; /* socket: a WebSocket from here on; pinged: and the peer has not moved since */
    struct ws ws;
    struct signal signal;
};

struct server {
    struct site site;
    struct net net;
    struct source *source[BASE_STREAMS];
    struct server_conn conn[SERVER_CONNS];
    int conns;
    int64_t news; /* when the next look is due */
    bool unseen;  /* something happened since the last one */
    bool sockets;
    volatile sig_atomic_t stop;
    struct http_req req;
    uint8_t page[SERVER_OUT];
    int64_t deaf; /* no descriptors left: no accepting until then */
    uint64_t told_joined;
    int64_t told;              /* when the streams' states were last looked at for the log */
    struct wcam_config config; /* the callbacks; its strings are not kept */
    size_t history;            /* bytes for each stream */
    int ids;                   /* given to sources so far */
    char open[RTSP_URL];       /* a request's camera */
};

static void server_log(const struct server *s, enum wcam_log_level level, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (s->config.log) s->config.log(s->config.user_data, level, line);
}

static void server_drop(struct server *s, struct server_conn *c) {
    close(c->fd);
    free(c->in);
    free(c->out);
    *c = s->conn[--s->conns];
}

/* The response becomes the connection's output. false: no memory. */
static bool server_respond(const struct server *s, struct server_conn *c, struct http_resp *r) {
    size_t cap = 1024 + HTTP_EXTRA + r->body.n;
    uint8_t *p = malloc(cap);
    struct wr w = bytes_wr(p, cap);
    r->close = c->close;
    r->unix_s = (net_now() + s->site.lobby.wall) / BASE_S;
    if (!p || !http_finish(r, &w)) {
        free(p);
        return false;
    }
    c->out = p;
    c->out_n = w.n;
    c->out_at = 0;
    return true;
}

/* The same for one frame of a WebSocket. */
static bool server_frame(struct server_conn *c, enum ws_opcode opcode, struct span payload) {
    size_t cap = WS_HEAD + payload.n;
    struct wr w = bytes_wr(malloc(cap), cap);
    if (!w.p) return false;
    ws_put(&w, opcode, payload);
    c->out = w.p;
    c->out_n = w.n;
    c->out_at = 0;
    return true;
}

/* RFC 6455 7.1.1: our Close frame, then the connection ends. */
static bool server_end_socket(struct server_conn *c, int code) {
    uint8_t bytes[WS_HEAD];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    ws_put_close(&w, code);
    c->close = true;
    return server_frame(c, WS_CLOSE, base_span(w.p + 2, w.n - 2));
}

static bool server_refuse(struct server *s, struct server_conn *c, int status, const char *why, enum drop d) {
    struct http_resp r;
    http_respond(&r, s->page, sizeof s->page);
    http_problem(&r, status, why);
    s->site.drops[d]++;
    c->close = true;
    return server_respond(s, c, &r);
}

/* The viewers' storage comes from here and goes back here. */
static void server_reserve_viewer(struct server *s) {
    struct lobby *l = &s->site.lobby;
    int empty = -1;
    for (int i = 0; i < l->max; i++) {
        if (l->slot[i] && l->slot[i]->state == VIEWER_FREE) return;
        if (!l->slot[i] && empty < 0) empty = i;
    }
    if (empty < 0) return;
    l->slot[empty] = calloc(1, sizeof(struct viewer));
}

static void server_reap_viewers(struct server *s) {
    struct lobby *l = &s->site.lobby;
    for (int i = 0; i < l->max; i++) {
        struct viewer *v = l->slot[i];
        if (!v || (v->state != VIEWER_CLOSED && v->state != VIEWER_FREE)) continue;
        if (v->state == VIEWER_CLOSED)
            server_log(s, WCAM_LOG_INFO, "%s: a viewer left after %lld s: %s (%d watching)", v->media->name,
                       (long long)((v->closed - v->joined) / BASE_S), v->why, l->count);
        for (int k = 0; k < s->conns; k++)
            if (s->conn[k].socket) signal_ended(&s->conn[k].signal, v);
        free(v);
        l->slot[i] = NULL;
    }
}

/* Who gets another stream than before. */
static void server_tell_moves(struct server *s) {
    for (int i = 0; i < s->site.lobby.max; i++) {
        struct viewer *v = s->site.lobby.slot[i];
        if (!v || !v->moved) continue;
        v->moved = false;
        const char *to = v->sender.media->sub[0] ? v->sender.media->sub : SITE_MAIN;
        if (v->sender.media == v->media) server_log(s, WCAM_LOG_INFO, "%s: a viewer is back on %s", v->media->name, to);
        else
            server_log(s, WCAM_LOG_INFO, "%s: a viewer's network does not carry this stream: moved to %s",
                       v->media->name, to);
    }
}

/* Once a second: what became of the streams and who came, in words. Returns when to look again: what was put off. */
static int64_t server_tell(struct server *s, int64_t now) {
    if (now - s->told < BASE_S) return s->told + BASE_S;
    s->told = now;
    for (int i = 0; i < s->site.streams; i++) {
        struct source *source = s->source[i];
        const struct media *m = &source->media;
        const char *reason = media_reason(m);
        if (source->told && !strncmp(reason, source->told_reason, sizeof source->told_reason - 1)) continue;
        source->told = true;
        text_copy(source->told_reason, sizeof source->told_reason, text_of(reason));
        const char *slash = m->sub[0] ? "/" : "";
        if (*reason) server_log(s, WCAM_LOG_INFO, "%s%s%s: %s", m->name, slash, m->sub, reason);
        else
            server_log(s, WCAM_LOG_INFO, "%s%s%s: live, %s, %dx%d", m->name, slash, m->sub, media_codec(m),
                       m->sps->width, m->sps->height);
    }
    server_tell_moves(s);
    if (s->site.lobby.joined != s->told_joined)
        server_log(s, WCAM_LOG_INFO, "%d watching, %llu came since the start", s->site.lobby.count,
                   (unsigned long long)s->site.lobby.joined);
    s->told_joined = s->site.lobby.joined;
    return BASE_NEVER;
}

static void server_attach(struct server *s, struct source *source, struct span name, struct span sub) {
    struct site *site = &s->site;
    source->id = s->ids++;
    text_copy(source->media.name, sizeof source->media.name, name);
    text_copy(source->media.sub, sizeof source->media.sub, sub);
    s->source[site->streams] = source;
    site_add(site, &source->media);
}

static struct source_terms server_terms(struct server *s, double fps) {
    const struct wcam_config *c = &s->config;
    return (struct source_terms){
        fps, s->history, s->site.drops, &s->site.crypt, c->insecure_rtsp != 0, c->keep_warm != 0, c->no_audio != 0};
}

/* A camera that a viewer asked for; the same address gives the same camera. */
static void server_open(struct server *s, struct http_resp *r, int64_t now) {
    struct source_terms terms = server_terms(s, 0);
    uint8_t hash[CRYPT_HASH_MAX] = {0};
    char why[160], name[BASE_NAME] = "open-";
    struct source *source = NULL;
    int opened = 0;
    crypt_hash(MBEDTLS_MD_SHA256, text_of(s->open), hash);
    for (int i = 0; i < s->site.streams; i++) {
        opened += s->source[i]->opened != 0;
        if (s->source[i]->opened && !memcmp(s->source[i]->url, hash, sizeof hash)) source = s->source[i];
    }
    bool room = opened < SERVER_OPENED && s->site.streams < BASE_STREAMS;
    if (!source && room && (source = source_open(s->open, &terms, why, sizeof why))) {
        crypt_name(&s->site.crypt, 6, name + 5, sizeof name - 5);
        server_attach(s, source, text_of(name), text_of(""));
        memcpy(source->url, hash, sizeof hash);
        source->camera.keep_warm = false;
        source->media.opened = true;
    }
    crypt_wipe(s->open, sizeof s->open);
    if (!source) {
        text_put(&r->extra, "Retry-After: 30\r\n");
        http_problem(r, 503,
                     room ? "The camera could not be opened: the server's memory is full."
                          : "Too many cameras are open: one closes some seconds after its last viewer has left.");
        return;
    }
    source->opened = now;
    r->type = "application/json";
    text_putf(&r->body, "{\"name\":\"%s\",\"url\":\"/%s\"}\n", source->media.name, source->media.name);
}

/* A camera that a viewer opened goes when nobody watches it any more. */
static void server_close_opened(struct server *s, int64_t now) {
    struct site *site = &s->site;
    for (int i = site->streams - 1; i >= 0; i--) {
        struct source *source = s->source[i];
        bool idle = source->opened && source->camera.state == CAMERA_IDLE && now - source->opened >= CAMERA_LINGER;
        if (!idle || viewer_needs(&site->lobby, &source->media)) continue;
        for (int k = s->conns - 1; k >= 0; k--) { /* WebSockets that tell of it */
            struct server_conn *c = &s->conn[k];
            if (!c->socket || c->signal.media != &source->media || c->close) continue;
            if (c->out || !server_end_socket(c, WS_GOING_AWAY)) server_drop(s, c);
        }
        source_close(source);
        for (int k = i + 1; k < site->streams; k++) {
            s->source[k - 1] = s->source[k];
            site->stream[k - 1] = site->stream[k];
        }
        site->streams--;
    }
}

/* A message of a WebSocket. */
static bool server_message(struct server *s, struct server_conn *c, int64_t now) {
    struct wcam_addr candidate[BASE_CANDIDATES];
    struct signal_peer peer = {&s->site.lobby, &s->site.guard, c->from, candidate,
                               site_candidates(&s->site, &c->from, &c->local, candidate)};
    struct wr answer = bytes_wr(s->page, sizeof s->page / 8); /* as JSON it may get six times as long */
    struct wr out = bytes_wr(s->page + answer.cap, sizeof s->page - answer.cap);
    server_reserve_viewer(s);
    signal_input(&c->signal, &peer, c->in, c->ws.message, now, &answer, &out);
    return !out.bad && (!out.n || server_frame(c, WS_TEXT, bytes_written(&out)));
}

/* Takes frames until one is to be answered: then c->out holds that. false: the connection is to be dropped. */
static bool server_socket(struct server *s, struct server_conn *c, int64_t now) {
    while (!c->out && !c->close) {
        bool ok = true;
        switch (ws_read(&c->ws, c->in, &c->in_n)) {
        case WS_GOT_NOTHING: return true;
        case WS_GOT_TEXT: ok = server_message(s, c, now); break;
        case WS_GOT_PING: ok = server_frame(c, WS_PONG, base_span(c->ws.control, c->ws.control_n)); break;
        case WS_GOT_CLOSE:
            signal_close(&c->signal, &s->site.lobby, now);
            ok = server_end_socket(c, c->ws.code);
            break;
        case WS_GOT_FAULT:
            s->site.drops[DROP_WS_FRAME]++;
            ok = server_end_socket(c, c->ws.code);
            break;
        case WS_GOT_PART:
        case WS_GOT_PONG: break;
        }
        if (!ok) return false;
    }
    return true;
}

/* Nothing came for a while: is the peer still there? */
static bool server_ping(struct server_conn *c, int64_t now) {
    if (c->pinged || c->out) return false;
    c->pinged = true;
    c->deadline = now + SERVER_REQUEST;
    return server_frame(c, WS_PING, base_span("", 0));
}

/* Tells WebSockets what changed. Returns when to look again: what was put off. */
static int64_t server_news(struct server *s, int64_t now) {
    bool any = false;
    for (int i = 0; i < s->conns; i++) any = any || s->conn[i].socket;
    if (!any || !s->unseen) return BASE_NEVER;
    if (now < s->news) return s->news;
    s->news = now + SERVER_NEWS;
    s->unseen = false;
    for (int i = 0; i < s->conns; i++) {
        struct server_conn *c = &s->conn[i];
        struct wr out = bytes_wr(s->page, sizeof s->page);
        /* without memory the connection falls silent, and its ping ends it */
        if (c->socket && !c->out && !c->close && signal_news(&c->signal, &s->site.lobby, &out))
            server_frame(c, WS_TEXT, bytes_written(&out));
    }
    return BASE_NEVER;
}

/* The server goes down: WebSockets are told, as far as their buffers take it. */
static void server_farewell(struct server *s) {
    struct wr text = bytes_wr(s->page, 256), out = bytes_wr(s->page + 256, 512);
    signal_reason(&text, "closing", "The server was stopped.");
    ws_put(&out, WS_TEXT, bytes_written(&text));
    ws_put_close(&out, WS_GOING_AWAY);
    for (int i = 0; i < s->conns; i++)
        if (s->conn[i].socket && !s->conn[i].out) send(s->conn[i].fd, out.p, out.n, MSG_NOSIGNAL);
}

/* One complete request at the front of c->in: its head in s->req, its body. */
static bool server_request(struct server *s, struct server_conn *c, struct span body, int64_t now) {
    struct http_resp r;
    struct route t = {&s->site, &s->req, body, c->from, c->local, now, s->open, &c->signal};
    s->open[0] = 0;
    http_respond(&r, s->page, sizeof s->page);
    server_reserve_viewer(s);
    route_serve(&t, &r);
    if (r.status == 201 && s->open[0]) server_open(s, &r, now);
    c->socket = r.status == 101;
    c->close = !s->req.keep_alive && !c->socket;
    r.keep = !s->req.minor;
    return server_respond(s, c, &r);
}

/* RFC 9110 10.1.1: a client that waits for it gets 100 before its body. The few bytes fit any socket buffer. */
static void server_continue(struct server_conn *c) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->continued) return;
    c->continued = send(c->fd, line, sizeof line - 1, MSG_NOSIGNAL) == (ssize_t)sizeof line - 1;
}

/* Is the request's body complete? 1 and *body, 0: more is needed, -1: refused. */
static int server_body(struct server *s, struct server_conn *c, size_t head, struct span *body) {
    const struct http_req *q = &s->req;
    size_t n = c->in_n - head;
    int done = n >= q->length;
    *body = base_span(c->in + head, (size_t)q->length);
    if (q->chunked) {
        done = http_unchunk(c->in + head, &n, &c->chunked);
        c->in_n = head + n;
        *body = base_span(c->in + head, c->chunked);
    }
    bool large = q->length > HTTP_BODY || done == -2 || c->in_n == SERVER_IN;
    if (!large && done >= 0) return done;
    server_refuse(s, c, large ? 413 : 400, large ? "The body is larger than 64 KB." : "The chunked body is malformed.",
                  DROP_HTTP_BAD);
    return -1;
}

/* Serves the next complete request: then c->out holds the response. false: the connection is to be dropped. */
static bool server_serve(struct server *s, struct server_conn *c, int64_t now) {
    struct span body;
    if (c->socket) return server_socket(s, c, now);
    if (c->out || !c->in_n) return true;
    int head = http_read(base_span(c->in, c->in_n), &s->req);
    if (head < 0) return server_refuse(s, c, s->req.status, s->req.why, DROP_HTTP_BAD);
    int done = head ? server_body(s, c, (size_t)head, &body) : 0;
    if (done < 0) return c->out != NULL;
    if (!done) {
        if (head && s->req.expects) server_continue(c);
        return true;
    }
    if (!server_request(s, c, body, now)) return false;
    size_t used = (size_t)head + body.n;
    memmove(c->in, c->in + used, c->in_n - used);
    c->in_n -= used;
    c->continued = false;
    c->chunked = 0;
    c->deadline = now + (c->socket ? SERVER_IDLE : SERVER_REQUEST);
    return true;
}

static bool server_grow(struct server_conn *c) {
    if (c->in_n < c->in_cap) return true;
    size_t cap = c->in_cap ? c->in_cap * 2 : SERVER_IN_FIRST;
    if (cap > SERVER_IN) cap = SERVER_IN;
    uint8_t *p = cap > c->in_cap ? realloc(c->in, cap) : NULL;
    if (!p) return false;
    c->in = p;
    c->in_cap = cap;
    return true;
}

/* Reads what is there. false: closed by the peer, or more than any request may hold. */
static bool server_read(struct server_conn *c, int64_t now) {
    if (!server_grow(c)) return false;
    ssize_t n = recv(c->fd, c->in + c->in_n, c->in_cap - c->in_n, 0);
    if (n == 0) return false;
    if (n < 0) return net_later();
    if (c->socket) c->deadline = now + SERVER_IDLE, c->pinged = false;
    else if (!c->in_n) c->deadline = now + SERVER_REQUEST; /* for the whole request: drops feed no clock */
    c->in_n += (size_t)n;
    return true;
}

/* Writes what fits. false: broken, or all said and to be closed. */
static bool server_write(struct server_conn *c, int64_t now) {
    if (!c->out) return true;
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
    if (n < 0) return net_later();
    c->out_at += (size_t)n;
    if (c->out_at < c->out_n) return true;
    free(c->out);
    c->out = NULL;
    if (!c->socket) c->deadline = now + (c->in_n ? SERVER_REQUEST : SERVER_IDLE);
    if (!c->close) return true;
    /* A reset would destroy the answer on its way if unread bytes were left or still came: end our side, read on until the
     * peer ends its own (RFC 9112 9.6, RFC 6455 7.1.1). Until then it counts as idle. */
    c->said = shutdown(c->fd, SHUT_WR) == 0;
    c->socket = c->more = false;
    c->in_n = 0;
    c->deadline = now + SERVER_LINGER;
    return c->said;
}

/* Throws away what comes behind the last word. false: the peer has closed, too. */
static bool server_drain(struct server_conn *c) {
    ssize_t n = recv(c->fd, c->in, c->in_cap, 0);
    return n > 0 || (n < 0 && net_later());
}

static bool server_conn_tick(struct server *s, struct server_conn *c, short events, int64_t now) {
    bool alive = true, work = events || c->out || c->more;
    if (c->said) return (!events || server_drain(c)) && now < c->deadline;
    if (events & (POLLIN | POLLHUP | POLLERR) && !c->out && !c->more) alive = server_read(c, now);
    c->more = false;
    for (int i = 0; work && alive && (alive = server_serve(s, c, now)) && c->out; i++) {
        alive = server_write(c, now);
        if (c->out || !alive || c->said) break;
        c->more = i + 1 == SERVER_PIPELINE && c->in_n; /* the others have their turn */
        if (c->more) break;
    }
    if (!alive || now < c->deadline) return alive;
    if (c->socket) return server_ping(c, now);
    if (c->out || !c->in_n) return false;
    /* RFC 9110 15.5.9 */
    return server_refuse(s, c, 408, "The request took too long.", DROP_HTTP_SLOW) && server_write(c, now);
}

/* Every place is taken: the longest idle connection gives way, else the oldest of the address that has the most. */
static void server_make_room(struct server *s) {
    struct server_conn *victim = NULL;
    int most = 0;
    for (int i = 0; i < s->conns; i++) {
        struct server_conn *c = &s->conn[i];
        int same = !c->in_n && !c->out && !c->socket ? SERVER_CONNS + 1 : 0;
        for (int k = 0; k < s->conns && same <= SERVER_CONNS; k++) {
            struct wcam_addr other = s->conn[k].from;
            other.port = c->from.port;
            same += base_addr_same(&c->from, &other);
        }
        if (victim && (same < most || (same == most && c->deadline >= victim->deadline))) continue;
        victim = c;
        most = same;
    }
    s->site.drops[DROP_HTTP_FULL]++;
    if (victim) server_drop(s, victim);
}

static void server_accept(struct server *s, int listener, int64_t now) {
    for (int i = 0; i < SERVER_ACCEPTS; i++) {
        struct sockaddr_storage peer;
        socklen_t n = sizeof peer;
        int fd = accept(listener, (struct sockaddr *)&peer, &n);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) s->deaf = now + SERVER_DEAF;
            return;
        }
        if (!net_prepare(fd)) {
            close(fd);
            continue;
        }
        if (s->conns == SERVER_CONNS) server_make_room(s);
        struct server_conn *c = &s->conn[s->conns++];
        *c = (struct server_conn){.fd = fd,
                                  .from = net_from_os((struct sockaddr *)&peer),
                                  .local = net_local(fd),
                                  .deadline = now + SERVER_IDLE};
        net_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
}

static void server_udp(struct server *s, int fd, int64_t now) {
    uint8_t datagram[BASE_DATAGRAM_IN + 1];
    struct path path;
    for (int i = 0; i < SERVER_DATAGRAMS; i++) {
        int n = net_receive(fd, datagram, sizeof datagram, &path);
        if (n < 0) return;
        if (path.local.family) path.local.port = s->net.port;
        viewer_input(&s->site.lobby, &path, datagram, (size_t)n, now);
    }
}

/* Sources, then viewers: what is due. Returns when to call again. */
static int64_t server_tick(struct server *s, int64_t now) {
    struct lobby *l = &s->site.lobby;
    int64_t next = BASE_NEVER;
    for (int i = 0; i < s->site.streams; i++) {
        struct source *source = s->source[i];
        next = base_min(next, source_tick(source, viewer_needs(l, &source->media), now));
        if (source->kind != SOURCE_PUSH || !source->media.want_key) continue;
        source->media.want_key = false;
        if (s->config.keyframe) s->config.keyframe(s->config.user_data, source->id);
    }
    bool closed = false;
    for (int i = 0; i < l->max; i++) {
        if (!l->slot[i]) continue;
        next = base_min(next, viewer_tick(l->slot[i], now));
        closed = closed || l->slot[i]->state == VIEWER_CLOSED;
    }
    if (closed) server_reap_viewers(s);
    server_close_opened(s, now);
    next = base_min(next, server_tell(s, now));
    return base_min(next, server_news(s, now));
}

/* The descriptors to wait for, in a fixed order: wake, UDP, TCP, connections, sources. */
static int server_watch(const struct server *s, struct pollfd *fds) {
    int n = 0;
    bool deaf = net_now() < s->deaf;
    const int fixed[] = {s->net.wake[0], s->net.udp[0], s->net.udp[1], deaf ? -1 : s->net.tcp[0],
                         deaf ? -1 : s->net.tcp[1]};
    for (int i = 0; i < 5; i++) fds[n++] = (struct pollfd){fixed[i], POLLIN, 0};
    for (int i = 0; i < s->conns; i++)
        fds[n++] = (struct pollfd){s->conn[i].fd, (short)(s->conn[i].out ? POLLOUT : POLLIN), 0};
    for (int i = 0; i < s->site.streams; i++) n += source_watch(s->source[i], fds + n);
    return n;
}

static void server_handle(struct server *s, const struct pollfd *fds, int n, int64_t now) {
    uint8_t sink[64];
    if (fds[0].revents)
        while (read(s->net.wake[0], sink, sizeof sink) > 0) continue;
    for (int i = 0; i < 2; i++)
        if (fds[1 + i].revents) server_udp(s, s->net.udp[i], now);
    for (int i = 0, at = 5 + s->conns; i < s->site.streams && at < n; i++)
        at += source_ready(s->source[i], fds + at, now);
    for (int i = s->conns - 1; i >= 0; i--) /* downwards: a dropped one is replaced by the last */
        if (!server_conn_tick(s, &s->conn[i], fds[5 + i].revents, now)) server_drop(s, &s->conn[i]);
    for (int i = 0; i < 2; i++)
        if (fds[3 + i].revents) server_accept(s, s->net.tcp[i], now);
}

/* Does what is due and sends it. Returns when to call again. */
static int64_t server_due(struct server *s, int64_t now) {
    int64_t next = server_tick(s, now);
    net_flush(&s->net);
    for (int i = 0; i < s->conns; i++) next = base_min(next, s->conn[i].more ? 0 : s->conn[i].deadline);
    return s->deaf > now ? base_min(next, s->deaf) : next;
}

/* One round: wait at most wait_us, serve. Returns the microseconds until the next must come, -1 on errors. */
static int64_t server_round(struct server *s, int64_t wait_us) {
    struct pollfd fds[SERVER_FDS];
    int64_t now = net_now(), next = server_due(s, now);
    int n = server_watch(s, fds);
    int64_t wait = base_max(0, base_min(wait_us, base_min(next - now, 1000 * BASE_S)));
    int ready = poll(fds, (nfds_t)n, (int)((wait + BASE_MS - 1) / BASE_MS));
    if (ready < 0 && errno != EINTR) return -1;
    s->unseen = s->unseen || ready > 0 || next != s->news; /* the look itself is no event */
    now = net_now();
    server_handle(s, fds, n, now);
    return base_max(0, server_due(s, now) - now);
}

/* ==== 36 wcam ===============================================================
 * The C API; webrtc_cam.h is its manual.
 * world; uses base, bytes, text, crypt, dtls, rtsp, seal, media, intake, viewer, guard, site, net, source, server
 */
enum wcam_defaults { WCAM_VIEWERS = 64, WCAM_VIEWERS_MAX = 4096 };

struct wcam {
    struct server server;
    bool clocked; /* the time is known: from the system, or once wcam_tick told it */
    char url[96], why[320];
};

static int wcam_fail(wcam *w, int error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    return error;
}

/* The time: ours, or without sockets the caller's as last seen. */
static int64_t wcam_now(const wcam *w) { return w->server.sockets ? net_now() : w->server.site.born; }

static void wcam_emit(void *to, const struct path *path, const uint8_t *p, size_t n) {
    const struct wcam_config *c = &((struct server *)to)->config;
    if (c->send) c->send(c->user_data, &path->remote, p, n);
}

/* "[ADDR:]PORT"; a bare port means loopback, an empty address everything. */
static bool wcam_listen_address(const char *text, struct wcam_addr *a) {
    struct span s = text_of(text), host = {NULL, 0}, port = s;
    uint64_t number;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ':') host = base_span(s.p, i), port = base_span(s.p + i + 1, s.n - i - 1);
    if (!text_uint(port, 65535, &number)) return false;
    if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']') host = base_span(host.p + 1, host.n - 2);
    if (!host.p || text_is(host, "localhost")) text_ip(text_of("127.0.0.1"), a);
    else if (!host.n) text_ip(text_of("::"), a);
    else if (!text_ip(host, a)) return false;
    a->port = (uint16_t)number;
    return true;
}

static bool wcam_copy_list(const char *const *from, char to[][GUARD_TEXT], int *count) {
    for (; from && *from; from++) {
        if (*count == GUARD_LIST || strlen(*from) >= GUARD_TEXT) return false;
        text_copy(to[(*count)++], GUARD_TEXT, text_of(*from));
    }
    return true;
}

/* "*", "null", or scheme://host[:port] without a path (RFC 6454 6.2) */
static bool wcam_is_origin(struct span s) {
    if (text_is(s, "*") || text_is(s, "null")) return true;
    return (text_after(&s, "http://") || text_after(&s, "https://")) && s.n && !memchr(s.p, '/', s.n);
}

/* Below which addresses the page may open cameras. */
static int wcam_allow_sources(wcam *w, const struct wcam_config *c) {
    struct site *site = &w->server.site;
    for (const char *const *u = c->allow_sources; u && *u; u++) {
        if (site->allowances == SITE_ALLOWED)
            return wcam_fail(w, WCAM_EINVAL, "more than %d addresses to allow", SITE_ALLOWED);
        struct rtsp_url *to = &site->allowed[site->allowances++];
        if (!rtsp_read_url(text_of(*u), to) || to->named || strchr(to->url, '?'))
            return wcam_fail(
                w, WCAM_EINVAL,
                "an address to allow must look like rtsp://HOST:PORT/PATH, without a password and a query");
    }
    return 0;
}

static int wcam_configure_guard(wcam *w, const struct wcam_config *c) {
    struct guard *g = &w->server.site.guard;
    const char *token = c->token ? c->token : "", *user = c->user ? c->user : "";
    if ((c->token && !*token) || strlen(token) >= GUARD_TEXT)
        return wcam_fail(w, WCAM_EINVAL, "the token must have 1 to %d characters", GUARD_TEXT - 1);
    const char *colon = strchr(user, ':');
    if ((c->user && (!colon || colon == user || !colon[1])) || strlen(user) >= GUARD_TEXT)
        return wcam_fail(w, WCAM_EINVAL, "the user must be NAME:PASSWORD, at most %d characters", GUARD_TEXT - 1);
    for (const char *const *h = c->hosts; h && *h; h++)
        if (strpbrk(*h, "/:")) return wcam_fail(w, WCAM_EINVAL, "'%s' is not a host name: no port, no http://", *h);
    for (const char *const *o = c->origins; o && *o; o++)
        if (!wcam_is_origin(text_of(*o)))
            return wcam_fail(w, WCAM_EINVAL, "'%s' is not an origin: it looks like https://example.org, or is *", *o);
    text_copy(g->token, sizeof g->token, text_of(token));
    text_copy(g->user, sizeof g->user, text_of(user));
    if (!wcam_copy_list(c->hosts, g->host, &g->hosts) || !wcam_copy_list(c->origins, g->origin, &g->origins))
        return wcam_fail(w, WCAM_EINVAL, "at most %d hosts and origins of %d characters", GUARD_LIST, GUARD_TEXT - 1);
    return 0;
}

/* The addresses for candidates: public ones, then the interfaces' own as far as the socket listens there. */
static int wcam_find_candidates(wcam *w, const struct wcam_config *c, const struct wcam_addr *listen) {
    struct site *s = &w->server.site;
    struct wcam_addr own[BASE_CANDIDATES];
    for (const char *const *ip = c->public_ips; ip && *ip; ip++) {
        struct wcam_addr a;
        if (!text_ip(text_of(*ip), &a)) return wcam_fail(w, WCAM_EINVAL, "'%s' is not an IP address", *ip);
        if (s->candidates < BASE_CANDIDATES) s->candidate[s->candidates++] = a;
    }
    int n = base_addr_any(listen) || base_addr_loopback(listen) ? net_interfaces(own, BASE_CANDIDATES) : 0;
    for (int i = 0; i < n && s->candidates < BASE_CANDIDATES; i++)
        if (w->server.net.udp[own[i].family == 6] >= 0) s->candidate[s->candidates++] = own[i];
    for (int i = 0; i < s->candidates; i++) s->candidate[i].port = w->server.net.port;
    return 0;
}

static int wcam_open_sockets(wcam *w, const struct wcam_config *c) {
    const char *listen = c->listen ? c->listen : "127.0.0.1:8080";
    struct server *s = &w->server;
    struct wcam_addr a;
    if (!wcam_listen_address(listen, &a))
        return wcam_fail(w, WCAM_EINVAL, "'%s' is not an address to listen on: use PORT, ADDR:PORT or [IPv6]:PORT",
                         listen);
    if (!base_addr_loopback(&a) && !c->token && !c->user && !c->open)
        return wcam_fail(w, WCAM_EINVAL,
                         "listening beyond this machine needs --user NAME:PASSWORD or --token TOKEN, or --open "
                         "to let everybody watch");
    if (net_open(&s->net, a))
        return wcam_fail(w, WCAM_ESYSTEM, "cannot listen on port %u: %s%s", a.port, strerror(errno),
                         errno == EADDRINUSE ? " (choose another with --listen)" : "");
    s->sockets = true;
    struct wr url = bytes_wr(w->url, sizeof w->url - 1);
    static const uint8_t one[4] = {127, 0, 0, 1};
    bool local = base_addr_any(&a) || (base_addr_loopback(&a) && (a.family == 6 || !memcmp(a.ip, one, 4)));
    bool six = a.family == 6 && !local;
    text_put(&url, six ? "http://[" : "http://");
    if (local) text_put(&url, "localhost");
    else text_put_ip(&url, &a);
    text_putf(&url, "%s:%u/", six ? "]" : "", s->net.port);
    return wcam_find_candidates(w, c, &a);
}

static pthread_once_t wcam_once = PTHREAD_ONCE_INIT;

static void wcam_start_srtp(void) { srtp_init(); }

/* libsrtp2 starts once in a process and calls a second start an error, be it ours or the embedding program's: what
 * counts is whether it works. */
static bool wcam_srtp_ready(void) {
    static const uint8_t keys[DTLS_KEYS];
    struct seal probe = {0};
    pthread_once(&wcam_once, wcam_start_srtp);
    bool ok = seal_open(&probe, keys, false);
    seal_close(&probe);
    return ok;
}

static int wcam_open(wcam *w, const struct wcam_config *c) {
    struct server *s = &w->server;
    struct site *site = &s->site;
    int max = c->max_viewers ? c->max_viewers : WCAM_VIEWERS;
    s->history = c->history ? c->history : MEDIA_HISTORY;
    if (max < 1 || max > WCAM_VIEWERS_MAX)
        return wcam_fail(w, WCAM_EINVAL, "the number of viewers must be 1 to %d", WCAM_VIEWERS_MAX);
    if (s->history < MEDIA_HISTORY_MIN || s->history > UINT32_MAX / 2)
        return wcam_fail(w, WCAM_EINVAL, "the history must have 64 KiB to 2 GiB");
    int rc = wcam_configure_guard(w, c);
    if (!rc) rc = wcam_allow_sources(w, c);
    if (rc) return rc;
    if (crypt_open(&site->crypt) || dtls_home_open(&site->dtls, &site->crypt) || !wcam_srtp_ready())
        return wcam_fail(w, WCAM_ECRYPTO, "mbedTLS or libsrtp2 could not be started");
    site->lobby = (struct lobby){.max = max,
                                 .crypt = &site->crypt,
                                 .dtls = &site->dtls,
                                 .drops = site->drops,
                                 .out = {wcam_emit, s},
                                 .slot = calloc((size_t)max, sizeof(struct viewer *))};
    if (!site->lobby.slot) return wcam_fail(w, WCAM_ENOMEM, "out of memory");
    site_start(site, s->page, sizeof s->page);
    if (c->listen && !*c->listen) return 0;
    w->clocked = true;
    site->born = net_now();
    site->lobby.wall = net_wall() - net_now();
    site->lobby.out = (struct emit){net_send, &s->net};
    rc = wcam_open_sockets(w, c);
    guard_start(&site->guard, &site->crypt, s->net.port);
    return rc;
}

int wcam_create(const struct wcam_config *config, wcam **out) {
    static const struct wcam_config defaults;
    wcam *w = *out = calloc(1, sizeof *w);
    if (!w) return WCAM_ENOMEM;
    w->server.config = config ? *config : defaults;
    net_init(&w->server.net, w->server.site.drops);
    return wcam_open(w, &w->server.config);
}

void wcam_destroy(wcam *w) {
    if (!w) return;
    struct server *s = &w->server;
    int64_t now = wcam_now(w);
    for (int i = 0; i < s->site.lobby.max && s->site.lobby.slot; i++)
        if (s->site.lobby.slot[i]) viewer_close(s->site.lobby.slot[i], "the server stops", now);
    if (s->sockets) net_flush(&s->net);
    if (s->site.lobby.slot) server_reap_viewers(s);
    server_farewell(s);
    while (s->conns) server_drop(s, &s->conn[0]);
    net_close(&s->net);
    for (int i = 0; i < s->site.streams; i++) source_close(s->source[i]);
    if (s->site.dtls.crypt) dtls_home_close(&s->site.dtls);
    crypt_close(&s->site.crypt);
    free(s->site.lobby.slot);
    crypt_wipe(w, sizeof *w);
    free(w);
}

int wcam_add(wcam *w, const char *name, const char *source, double fps) {
    static const char *const reserved[] = {"api", "metrics", "healthz", "hub"};
    struct site *site = &w->server.site;
    struct span sub = text_of(name), camera = text_cut(&sub, '/');
    if (!text_name(camera) || (strchr(name, '/') && !text_name(sub)))
        return wcam_fail(w, WCAM_EINVAL, "'%s' is not a camera name: up to 32 of A-Z a-z 0-9 _ -", name);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (text_is(camera, reserved[i])) return wcam_fail(w, WCAM_EINVAL, "'%s' is a reserved name", reserved[i]);
    if (!w->server.sockets && source_kind_of(source) == SOURCE_CAMERA)
        return wcam_fail(w, WCAM_EINVAL, "without sockets there are no cameras: push their pictures");
    if (site_stream(site, camera, sub)) return wcam_fail(w, WCAM_EINVAL, "there are two cameras named '%s'", name);
    if (site->streams == BASE_STREAMS) return wcam_fail(w, WCAM_EFULL, "more than %d streams", BASE_STREAMS);
    struct source_terms terms = server_terms(&w->server, fps);
    struct source *s = source_open(source, &terms, w->why, sizeof w->why);
    if (!s) return WCAM_ESYSTEM;
    s->media.on_demand = s->media.on_demand || (!source && w->server.config.keyframe);
    server_attach(&w->server, s, camera, sub);
    return s->id;
}

static struct source *wcam_source(wcam *w, int stream) {
    for (int i = 0; i < w->server.site.streams; i++)
        if (w->server.source[i]->id == stream) return w->server.source[i];
    return NULL;
}

int wcam_push(wcam *w, int stream, const void *unit, size_t n, int64_t pts_us) {
    struct source *s = wcam_source(w, stream);
    if (!s || s->kind != SOURCE_PUSH) return wcam_fail(w, WCAM_EGONE, "stream %d is not one that is pushed", stream);
    if (n > BASE_AU) {
        w->server.site.drops[DROP_H264_LARGE]++;
        return wcam_fail(w, WCAM_EFULL, "the access unit is larger than 4 MiB");
    }
    if (!w->clocked) return wcam_fail(w, WCAM_EINVAL, "call wcam_tick first: it tells the time");
    if (!source_push(s, base_span(unit, n), pts_us, wcam_now(w)))
        return wcam_fail(w, WCAM_EINVAL, "there is no start code (Annex B) in the access unit, or its time is none");
    return 0;
}

int wcam_push_bytes(wcam *w, int stream, const void *bytes, size_t n) {
    struct source *s = wcam_source(w, stream);
    if (!s || s->kind != SOURCE_PUSH) return wcam_fail(w, WCAM_EGONE, "stream %d is not one that is pushed", stream);
    if (!w->clocked) return wcam_fail(w, WCAM_EINVAL, "call wcam_tick first: it tells the time");
    if (!source_buffer(s)) return wcam_fail(w, WCAM_ENOMEM, "out of memory");
    intake_bytes(&s->intake, base_span(bytes, n), wcam_now(w));
    return 0;
}

int wcam_push_audio(wcam *w, int stream, enum wcam_audio format, const void *bytes, size_t n, int64_t pts_us) {
    struct source *s = wcam_source(w, stream);
    if (!s || s->kind != SOURCE_PUSH) return wcam_fail(w, WCAM_EGONE, "stream %d is not one that is pushed", stream);
    if (!w->clocked) return wcam_fail(w, WCAM_EINVAL, "call wcam_tick first: it tells the time");
    bool known = format == WCAM_PCMU || format == WCAM_PCMA || format == WCAM_OPUS;
    if (!known || pts_us > BASE_NEVER / 4 || pts_us < -(BASE_NEVER / 4) || n > BASE_AU)
        return wcam_fail(w, WCAM_EINVAL, "the format, the length or the time of the sound is none");
    if (format == WCAM_OPUS && n > RTP_PAYLOAD)
        return wcam_fail(w, WCAM_EFULL, "the Opus packet is larger than a datagram");
    source_push_sound(s, (enum base_sounds)format, base_span(bytes, n), pts_us, wcam_now(w));
    return 0;
}

int wcam_run(wcam *w) {
    while (!w->server.stop)
        if (server_round(&w->server, BASE_NEVER) < 0) return wcam_fail(w, WCAM_ESYSTEM, "poll: %s", strerror(errno));
    w->server.stop = 0;
    return 0;
}

void wcam_stop(wcam *w) {
    int kept = errno; /* a signal handler may stand between a call and its errno */
    w->server.stop = 1;
    net_wake(&w->server.net);
    errno = kept;
}

int wcam_service(wcam *w, int wait_ms) {
    int64_t next = server_round(&w->server, wait_ms * BASE_MS);
    if (next < 0) return wcam_fail(w, WCAM_ESYSTEM, "poll: %s", strerror(errno));
    return (int)base_min((next + BASE_MS - 1) / BASE_MS, INT_MAX);
}

int wcam_fds(wcam *w, int *fds, short *events, int cap) {
    struct pollfd all[SERVER_FDS];
    int n = server_watch(&w->server, all), used = 0;
    for (int i = 0; i < n; i++) {
        if (all[i].fd < 0) continue;
        if (used < cap) fds[used] = all[i].fd, events[used] = all[i].events;
        used++;
    }
    return used;
}

const char *wcam_url(const wcam *w) { return w->url; }

int wcam_offer(wcam *w, int stream, const char *offer, size_t n, char *answer, size_t cap, char id[24]) {
    struct source *s = wcam_source(w, stream);
    struct site *site = &w->server.site;
    struct viewer *v;
    const char *why = "";
    if (!s) return wcam_fail(w, WCAM_EGONE, "there is no stream %d", stream);
    if (!cap) return wcam_fail(w, WCAM_EFULL, "no room for the answer");
    if (!w->clocked) return wcam_fail(w, WCAM_EINVAL, "call wcam_tick first: it tells the time");
    struct wr out = bytes_wr(answer, cap - 1);
    struct viewer_join join = {&s->media, base_span(offer, n), site->candidate, site->candidates, false};
    server_reserve_viewer(&w->server);
    int rc = viewer_answer(&site->lobby, &join, wcam_now(w), &out, &v, &why);
    if (rc) return wcam_fail(w, rc, "%s", why);
    answer[out.n] = 0;
    text_copy(id, 24, text_of(v->id));
    return 0;
}

int wcam_hang_up(wcam *w, const char *id) {
    struct viewer *v = viewer_by_id(&w->server.site.lobby, text_of(id));
    if (!v) return wcam_fail(w, WCAM_EGONE, "there is no such viewer");
    viewer_close(v, "hung up", wcam_now(w));
    return 0;
}

void wcam_input(wcam *w, const struct wcam_addr *from, void *bytes, size_t n, int64_t now_us) {
    struct path path = {*from, {0}};
    w->server.site.born = now_us;
    viewer_input(&w->server.site.lobby, &path, bytes, n, now_us);
}

int64_t wcam_tick(wcam *w, int64_t now_us, int64_t unix_us) {
    w->clocked = true;
    w->server.site.born = now_us;
    w->server.site.lobby.wall = unix_us - now_us;
    return server_tick(&w->server, now_us);
}

void wcam_get_stats(const wcam *w, struct wcam_stats *out) {
    const struct site *s = &w->server.site;
    *out = (struct wcam_stats){.streams = s->streams, .viewers = s->lobby.count, .joined = s->lobby.joined};
    struct viewer_totals total = viewer_total(&s->lobby);
    out->packets = total.packets;
    out->octets = total.octets;
    for (int i = 0; i < DROP_COUNT; i++) out->dropped += s->drops[i];
}

const char *wcam_why(const wcam *w) { return w->why; }

const char *wcam_strerror(int error) {
    switch (error) {
    case 0: return "no error";
    case WCAM_EINVAL: return "an argument is not valid";
    case WCAM_ENOMEM: return "out of memory";
    case WCAM_ESYSTEM: return "the operating system refused";
    case WCAM_ECRYPTO: return "mbedTLS or libsrtp2 refused";
    case WCAM_EFULL: return "a limit is reached";
    case WCAM_EOFFER: return "the SDP offer cannot be read";
    case WCAM_EMEDIA: return "nothing in the offer can be served";
    case WCAM_EGONE: return "there is no such stream or viewer";
    default: return "unknown error";
    }
}

/* ==== 37 main ===============================================================
 * The command line. Exit status: 0 stopped by a signal, 1 run-time failure, 2 bad usage.
 * world; uses base, text, guard, wcam
 */
#if defined(WCAM_MAIN)
enum main_limits { MAIN_ARGS = 512, MAIN_FILE = 64 * 1024 };
enum main_id {
    MAIN_LISTEN,
    MAIN_USER,
    MAIN_TOKEN,
    MAIN_OPEN,
    MAIN_HOST,
    MAIN_CORS,
    MAIN_PUBLIC_IP,
    MAIN_MAX_VIEWERS,
    MAIN_KEEP_WARM,
    MAIN_INSECURE,
    MAIN_NO_AUDIO,
    MAIN_ALLOW,
    MAIN_FPS,
    MAIN_LOG,
    MAIN_VERSION,
    MAIN_HELP
};

static const struct main_option {
    enum main_id id;
    const char *letter, *name, *value, *help;
} main_options[] = {
    {MAIN_LISTEN, "-l", "--listen", "[ADDR:]PORT", "HTTP and media on this port (127.0.0.1:8080)"},
    {MAIN_USER, "", "--user", "NAME:PASSWORD", "let in only who knows these"},
    {MAIN_TOKEN, "", "--token", "TOKEN", "let in who brings this token: Bearer, or ?token= on a page"},
    {MAIN_OPEN, "", "--open", NULL, "let everybody in, also beyond this machine"},
    {MAIN_HOST, "", "--host", "NAME", "a name by which browsers reach this server; repeatable"},
    {MAIN_CORS, "", "--cors", "ORIGIN", "another page's origin that may use this server, or *; repeatable"},
    {MAIN_PUBLIC_IP, "", "--public-ip", "ADDR", "this server's address in front of a NAT; repeatable"},
    {MAIN_MAX_VIEWERS, "", "--max-viewers", "N", "viewers at once (64)"},
    {MAIN_KEEP_WARM, "", "--keep-warm", NULL, "stay connected to cameras while nobody watches"},
    {MAIN_INSECURE, "", "--insecure-rtsp", NULL, "take any certificate of an rtsps:// camera"},
    {MAIN_NO_AUDIO, "", "--no-audio", NULL, "leave the cameras' sound out"},
    {MAIN_ALLOW, "", "--allow-source", "URL", "rtsp:// address below which the page may open cameras; repeatable"},
    {MAIN_FPS, "", "--fps", "N", "frames per second of files, in place of what they say"},
    {MAIN_LOG, "", "--log", "LEVEL", "error, info or debug (info)"},
    {MAIN_VERSION, "", "--version", NULL, "print the version"},
    {MAIN_HELP, "-h", "--help", NULL, "print this"},
};

struct main_args {
    int argc;
    char *argv[MAIN_ARGS];
    int sources;
    char *source[BASE_STREAMS];
    struct wcam_config config;
    char user[GUARD_TEXT + 1], token[GUARD_TEXT + 1];
    const char *hosts[GUARD_LIST + 1], *origins[GUARD_LIST + 1], *public_ips[GUARD_LIST + 1];
    const char *allowed[GUARD_LIST + 1];
    double fps;
    enum wcam_log_level level;
    char text[MAIN_FILE]; /* of the argument files, one after the other */
    size_t text_n;
};

static wcam *main_instance; /* for the signal handler */
static int main_stdin;      /* sources that are "-" */

static void main_signal(int number) {
    (void)number;
    if (main_instance) wcam_stop(main_instance);
}

static int main_bad(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("webrtc_cam: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return 2;
}

static void main_help(void) {
    puts("usage: webrtc_cam [options] [NAME[/STREAM]=]SOURCE ...\n\n"
         "Shows H.264 cameras in browsers over WebRTC: start it and open the address it prints.\n"
         "SOURCE is an IP camera's address, rtsp://NAME:PASSWORD@HOST[:PORT]/PATH; a path to an H.264\n"
         "byte stream (Annex B), looped; - for one on standard input; or test:[WxH][@FPS][,gop=N][,beep] for\n"
         "the built-in picture (default). @FILE reads further arguments from a file, one per line,\n"
         "which keeps passwords out of ps.\n");
    for (size_t i = 0; i < sizeof main_options / sizeof *main_options; i++) {
        const struct main_option *o = &main_options[i];
        char left[64];
        snprintf(left, sizeof left, "%s%s%s %s", o->letter, *o->letter ? ", " : "    ", o->name,
                 o->value ? o->value : "");
        printf("  %-30s %s\n", left, o->help);
    }
}

/* Takes the lines of an argument file as arguments; "--name value" on one line is two. */
static int main_read_file(struct main_args *a, const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) return main_bad("cannot open '%s': %s", path, strerror(errno)), 1;
    char *text = a->text + a->text_n;
    size_t n = fread(text, 1, MAIN_FILE - a->text_n - 1, f);
    bool whole = fgetc(f) == EOF, broken = ferror(f);
    fclose(f);
    if (broken) return main_bad("cannot read '%s'", path), 1;
    if (!whole) return main_bad("'%s' is too long for an argument file", path);
    text[n] = 0;
    a->text_n += n + 1;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        while (text_blank((uint8_t)*line)) line++;
        size_t end = strlen(line);
        while (end && (line[end - 1] == '\r' || text_blank((uint8_t)line[end - 1]))) line[--end] = 0;
        if (!end || *line == '#') continue;
        char *value = *line == '-' ? strpbrk(line, " \t=") : NULL;
        if (value && *value == '=') value = NULL; /* --name=value stays one */
        if (value) *value++ = 0;
        while (value && text_blank((uint8_t)*value)) value++;
        if (a->argc + 2 >= MAIN_ARGS) return main_bad("too many arguments");
        a->argv[a->argc++] = line;
        if (value) a->argv[a->argc++] = value;
    }
    return 0;
}

static int main_gather(struct main_args *a, int argc, char **argv) {
    int rc = 0;
    for (int i = 1; i < argc && !rc; i++) {
        if (a->argc + 2 >= MAIN_ARGS) return main_bad("too many arguments");
        if (argv[i][0] == '@') rc = main_read_file(a, argv[i] + 1);
        else a->argv[a->argc++] = argv[i];
    }
    return rc;
}

static int main_add(const char **list, const char *value, const char *option) {
    int n = 0;
    while (list[n]) n++;
    if (n == GUARD_LIST) return main_bad("%s may be given %d times", option, GUARD_LIST);
    list[n] = value;
    return 0;
}

static int main_number(const char *option, const char *value, uint64_t max, uint64_t *out) {
    if (text_uint(text_of(value), max, out) && *out > 0) return 0;
    return main_bad("%s takes a number from 1 to %llu, not '%s'", option, (unsigned long long)max, value);
}

/* A secret leaves the process list as soon as it has been read. One that does not fit is refused by wcam_create. */
static const char *main_secret(char *to, char *value) {
    text_copy(to, GUARD_TEXT + 1, text_of(value));
    memset(value, '*', strlen(value));
    return to;
}

static int main_option(struct main_args *a, const struct main_option *o, char *value) {
    static const char *const levels[] = {"error", "info", "debug"};
    uint64_t n = 0;
    int rc = 0;
    switch (o->id) {
    case MAIN_LISTEN: a->config.listen = *value ? value : "-"; return 0;
    case MAIN_USER: a->config.user = main_secret(a->user, value); return 0;
    case MAIN_TOKEN: a->config.token = main_secret(a->token, value); return 0;
    case MAIN_OPEN: a->config.open = 1; return 0;
    case MAIN_KEEP_WARM: a->config.keep_warm = 1; return 0;
    case MAIN_INSECURE: a->config.insecure_rtsp = 1; return 0;
    case MAIN_NO_AUDIO: a->config.no_audio = 1; return 0;
    case MAIN_HOST: return main_add(a->hosts, value, o->name);
    case MAIN_CORS: return main_add(a->origins, value, o->name);
    case MAIN_PUBLIC_IP: return main_add(a->public_ips, value, o->name);
    case MAIN_ALLOW: return main_add(a->allowed, value, o->name);
    case MAIN_MAX_VIEWERS:
        rc = main_number(o->name, value, WCAM_VIEWERS_MAX, &n);
        a->config.max_viewers = (int)n;
        return rc;
    case MAIN_FPS:
        rc = main_number(o->name, value, 240, &n);
        a->fps = (double)n;
        return rc;
    case MAIN_LOG:
        for (int i = 0; i < 3; i++)
            if (!strcmp(value, levels[i])) return a->level = (enum wcam_log_level)i, 0;
        return main_bad("--log takes error, info or debug, not '%s'", value);
    case MAIN_VERSION:
    case MAIN_HELP: break; /* answered by main_parse */
    }
    return 0;
}

/* -1: --help or --version was answered. */
static int main_parse(struct main_args *a) {
    for (int i = 0; i < a->argc; i++) {
        char *arg = a->argv[i], *equals = strchr(arg, '=');
        const struct main_option *o = NULL;
        if (arg[0] != '-' || !arg[1]) {
            if (a->sources == BASE_STREAMS) return main_bad("more than %d sources", BASE_STREAMS);
            a->source[a->sources++] = arg;
            continue;
        }
        struct span name = base_span(arg, arg[1] == '-' && equals ? (size_t)(equals - arg) : strlen(arg));
        for (size_t k = 0; k < sizeof main_options / sizeof *main_options; k++)
            if (text_is(name, main_options[k].name) || text_is(name, main_options[k].letter)) o = &main_options[k];
        if (!o) return main_bad("there is no option '%.*s': see --help", (int)name.n, arg);
        if (o->id == MAIN_HELP) return main_help(), -1;
        if (o->id == MAIN_VERSION) return puts("webrtc_cam " WCAM_VERSION), -1;
        char *value = equals && arg[1] == '-' ? equals + 1 : o->value && i + 1 < a->argc ? a->argv[++i] : NULL;
        if (o->value && !value) return main_bad("%s needs a value: %s", o->name, o->value);
        if (!o->value && value) return main_bad("%s takes no value", o->name);
        int rc = main_option(a, o, value);
        if (rc) return rc;
    }
    return 0;
}

/* A camera's name and password leave the process list. */
static void main_hide(char *source) {
    char *from = strstr(source, "://");
    from = from ? from + 3 : source + strlen(source);
    char *end = strrchr(from, '@'); /* the last one: a password may hold others, and slashes by mistake */
    if (end) memset(from, '*', (size_t)(end - from));
}

/* [NAME[/STREAM]=]SOURCE: what stands before the = is a name only if it can be one. */
static int main_add_source(wcam *w, char *arg, int number, double fps) {
    char made[BASE_NAME];
    const char *name = made;
    char *source = arg;
    struct span rest = text_of(arg), left = text_cut(&rest, '='), sub = left, camera = text_cut(&sub, '/');
    snprintf(made, sizeof made, number ? "cam%d" : "cam", number + 1);
    if (left.n < strlen(arg) && text_name(camera) && (camera.n == left.n || text_name(sub))) {
        arg[left.n] = 0;
        name = arg;
        source = arg + left.n + 1;
    }
    if (!*source) return main_bad("'%s=' names no source", name);
    bool named = name == made && left.n < strlen(arg) && !memchr(arg, ':', left.n);
    if (named && (!strncmp(arg + left.n + 1, "test:", 5) || !strncmp(arg + left.n + 1, "rtsp", 4)))
        return main_bad("'%.*s' is not a camera name: up to 32 of A-Z a-z 0-9 _ -", (int)left.n, arg);
    if (!strcmp(source, "-") && main_stdin++) return main_bad("standard input can be only one camera");
    int rc = wcam_add(w, name, source, fps);
    main_hide(source);
    if (rc >= 0) return 0;
    main_bad("%s", wcam_why(w));
    return rc == WCAM_EINVAL || !strncmp(source, "test:", 5) || !strncmp(source, "rtsp", 4) ? 2 : 1;
}

static void main_log(void *level, enum wcam_log_level at, const char *line) {
    if (at <= *(enum wcam_log_level *)level) fprintf(stderr, "webrtc_cam: %s\n", line);
}

static int main_serve(struct main_args *a) {
    char pattern[] = "test:";
    wcam *w;
    a->config.log = main_log;
    a->config.user_data = &a->level;
    a->config.hosts = a->hosts;
    a->config.origins = a->origins;
    a->config.public_ips = a->public_ips;
    a->config.allow_sources = a->allowed;
    int rc = wcam_create(&a->config, &w);
    if (rc) {
        main_bad("%s", w ? wcam_why(w) : wcam_strerror(rc));
        wcam_destroy(w);
        return rc == WCAM_EINVAL ? 2 : 1;
    }
    if (!a->sources) a->source[a->sources++] = pattern;
    for (int i = 0; i < a->sources && !rc; i++) rc = main_add_source(w, a->source[i], i, a->fps);
    if (!rc) {
        main_instance = w;
        signal(SIGINT, main_signal);
        signal(SIGTERM, main_signal);
        signal(SIGPIPE, SIG_IGN);
        if (a->level >= WCAM_LOG_INFO) fprintf(stderr, "webrtc_cam: open %s\n", wcam_url(w));
        rc = wcam_run(w) ? 1 : 0;
        if (rc) main_bad("%s", wcam_why(w));
        main_instance = NULL;
    }
    wcam_destroy(w);
    return rc;
}

/* A descriptor 0 to 2 that was closed at the start must not become one of our sockets. */
static void main_fill_descriptors(void) {
    int fd;
    while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= 2) continue;
    if (fd > 2) close(fd);
}

int main(int argc, char **argv) {
    main_fill_descriptors();
    struct main_args *a = calloc(1, sizeof *a);
    if (!a) return main_bad("out of memory"), 1;
    a->level = WCAM_LOG_INFO;
    int rc = main_gather(a, argc, argv);
    if (!rc) rc = main_parse(a);
    rc = rc < 0 ? 0 : rc ? rc : main_serve(a);
    free(a);
    return rc;
}
#endif
