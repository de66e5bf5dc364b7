/* webrtc_cam.h - the C API of webrtc_cam: any H.264 camera in any browser, below a second.
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
 * Copy webrtc_cam.c and webrtc_cam.h, link -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto. The smallest use:
 *
 *     wcam *w;
 *     if (wcam_create(NULL, &w) == 0 && wcam_add(w, "cam", "test:", 0) >= 0) wcam_run(w);
 *     wcam_destroy(w);
 *
 * Threads: an instance belongs to one thread at a time; only wcam_stop may be called from anywhere. Instances are
 * independent of each other. Signals: none is touched; writing to closed connections raises no SIGPIPE.
 * Errors: a function that returns int gives 0 or more for success, a negative WCAM_E... else; wcam_why has the sentence.
 * Memory: what is passed in is copied before the call returns; what comes out says how long it lives.
 */
#ifndef WEBRTC_CAM_H
#define WEBRTC_CAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WCAM_VERSION "0.1.0"

typedef struct wcam wcam;

enum wcam_error {
    WCAM_EINVAL = -1,  /* an argument or option is not valid */
    WCAM_ENOMEM = -2,  /* out of memory */
    WCAM_ESYSTEM = -3, /* the operating system refused: port in use, no such file */
    WCAM_ECRYPTO = -4, /* mbedTLS or libsrtp2 refused */
    WCAM_EFULL = -5,   /* a limit is reached: streams, viewers, buffer */
    WCAM_EOFFER = -6,  /* the SDP offer cannot be read */
    WCAM_EMEDIA = -7,  /* the offer can be read and has nothing that can be served */
    WCAM_EGONE = -8    /* no such stream or viewer */
};

/* Formats of sound that browsers take unchanged: G.711 (8,000 samples a second, one channel), Opus (RFC 6716). */
enum wcam_audio { WCAM_PCMU = 1, WCAM_PCMA, WCAM_OPUS };

enum wcam_log_level { WCAM_LOG_ERROR, WCAM_LOG_INFO, WCAM_LOG_DEBUG };

/* An IPv4 or IPv6 address with its UDP or TCP port in host byte order. */
struct wcam_addr {
    uint8_t family; /* 4, 6; 0: none */
    uint16_t port;
    uint8_t ip[16]; /* network byte order; IPv4 in the first four */
};

/* Every zero is a safe default. Lists end with NULL. Strings are copied. */
struct wcam_config {
    const char *listen;            /* "[ADDR:]PORT"; NULL: "127.0.0.1:8080"; port 0: any free; "": no sockets at all */
    const char *token;             /* let in who brings this token (Bearer, ?token=, cookie); NULL: none */
    const char *user;              /* "NAME:PASSWORD" for HTTP Basic (RFC 7617); NULL: none */
    int open;                      /* 1: beyond loopback without token and user, too */
    const char *const *hosts;      /* names by which browsers reach this server, besides IP addresses and localhost */
    const char *const *origins;    /* CORS: other pages' origins that may use it, "https://example.org", or "*" */
    const char *const *public_ips; /* further addresses by which browsers reach this server: in front of a NAT */
    const char *const *allow_sources; /* rtsp:// addresses without password, below which the page may open cameras */
    int max_viewers;                  /* 0: 64; at most 4096 */
    size_t history;    /* bytes of packets kept per stream, 0: 8 MiB, at least 64 KiB; holds a GOP to join */
    int keep_warm;     /* 1: stay connected to RTSP cameras while nobody watches; 0: call them on demand */
    int insecure_rtsp; /* 1: take any certificate of an rtsps:// camera */
    int no_audio;      /* 1: leave the cameras' sound out */
    void *user_data;   /* for the callbacks */
    /* One line without newline; never a secret. NULL: silent. */
    void (*log)(void *user_data, enum wcam_log_level level, const char *line);
    /* A viewer of a pushed stream needs an IDR: encode one soon. At most once a second and stream. NULL: no matter. */
    void (*keyframe)(void *user_data, int stream);
    /* Without sockets: send these bytes as one UDP datagram. They live during the call. */
    void (*send)(void *user_data, const struct wcam_addr *to, const void *bytes, size_t n);
};

/* Makes an instance and, unless listen is "", opens its sockets: HTTP on the TCP port, media on the same UDP port.
 * config may be NULL. *out is the caller's, to be freed by wcam_destroy; on an error too, so that wcam_why can be asked
 * (NULL only for WCAM_ENOMEM).
 *     struct wcam_config config = {.listen = "0.0.0.0:8080", .token = "s3cret"};
 *     if (wcam_create(&config, &w)) puts(wcam_why(w)); */
int wcam_create(const struct wcam_config *config, wcam **out);

/* Says goodbye to all viewers, closes and frees everything. NULL is fine.
 *     wcam_destroy(w); */
void wcam_destroy(wcam *w);

/* Adds a stream. name: "NAME" or "NAME/STREAM", each [A-Za-z0-9_-]{1,32}; NAME is none of api, metrics, healthz, hub.
 * Streams of one NAME are added from the best to the least: a viewer of NAME is moved to the next one, at its IDR, while
 * its network does not carry the one before.
 * source: "rtsp://NAME:PASSWORD@HOST[:PORT]/PATH" or rtsps://, an IP camera; a path to an H.264 byte stream (Annex B),
 * looped; "-": one on standard input; "test:[WxH][@FPS][,gop=N][,beep]"; NULL: access units come by wcam_push.
 * fps: frames per second of a file without VUI timing, or to overrule it; 0: VUI, else 25.
 * Returns the stream's number, 0 or more; WCAM_EINVAL, WCAM_EFULL, WCAM_ESYSTEM.
 *     int front = wcam_add(w, "front", NULL, 0); */
int wcam_add(wcam *w, const char *name, const char *source, double fps);

/* Pushes one access unit (H.264 7.4.1.2): NAL units with start codes (Annex B), in decoding order, without B-frames;
 * SPS and PPS before the first IDR at least. pts_us: presentation time in microseconds of any clock that runs evenly; a
 * jump of over a second starts anew. WCAM_EINVAL: no start code in it; WCAM_EFULL: above 4 MiB.
 *     wcam_push(w, front, unit, unit_size, frame_number * 1000000LL / 30); */
int wcam_push(wcam *w, int stream, const void *unit, size_t n, int64_t pts_us);

/* Pushes an H.264 byte stream (Annex B) in any chunking, as an encoder's pipe delivers it. Where access units end is
 * found out; their time is the time of this call. Not to be mixed with wcam_push on one stream.
 *     while ((n = read(fd, buffer, sizeof buffer)) > 0) wcam_push_bytes(w, front, buffer, n); */
int wcam_push_bytes(wcam *w, int stream, const void *bytes, size_t n);

/* Pushes sound of a stream that is pushed: G.711 samples in any number, or one Opus packet (RFC 7587). pts_us: of its first
 * sample, on the clock of wcam_push. It reaches browsers whose offer has an audio section. WCAM_EINVAL, WCAM_EGONE;
 * WCAM_EFULL: an Opus packet of over 1,154 bytes.
 *     wcam_push_audio(w, front, WCAM_PCMU, samples, 160, block_number * 20000LL); */
int wcam_push_audio(wcam *w, int stream, enum wcam_audio format, const void *bytes, size_t n, int64_t pts_us);

/* Serves until wcam_stop. 0, or WCAM_ESYSTEM.
 *     wcam_run(w); */
int wcam_run(wcam *w);

/* Makes wcam_run return soon. From any thread and from signal handlers.
 *     wcam_stop(w); */
void wcam_stop(wcam *w);

/* Serves for a while: does what is due, waiting at most wait_ms milliseconds for something to happen (0: not at all).
 * Returns the milliseconds until it has to be called again even if no descriptor is ready (INT_MAX: no need), or
 * WCAM_ESYSTEM.
 *     while (encode(&picture)) { wcam_push(w, 0, picture.p, picture.n, picture.pts); wcam_service(w, 0); } */
int wcam_service(wcam *w, int wait_ms);

/* The descriptors to watch in somebody else's event loop; call wcam_service(w, 0) when one is ready or time is up.
 * Writes up to cap of them and for each POLLIN | POLLOUT (poll.h) to events. Returns how many there are, at most
 * WCAM_FDS_MAX: ask again after each wcam_service.
 *     n = wcam_fds(w, fds, events, WCAM_FDS_MAX); */
enum wcam_limits { WCAM_FDS_MAX = 448 };
int wcam_fds(wcam *w, int *fds, short *events, int cap);

/* The address to open in a browser, "http://localhost:8080/"; lives as long as w.
 *     puts(wcam_url(w)); */
const char *wcam_url(const wcam *w);

/* Signaling by other means than HTTP: takes an SDP offer (RFC 8866), writes the answer with a NUL to answer[cap]. The
 * viewer may be moved to a lesser stream of the same camera if stream is its best one; any other is kept. id
 * receives the viewer's name (at least 24 bytes). WCAM_EGONE, WCAM_EFULL, WCAM_EOFFER, WCAM_EMEDIA: see wcam_why.
 * Without sockets the answer has no candidate: the address at which you receive is for you to add.
 *     if (!wcam_offer(w, 0, offer, strlen(offer), answer, sizeof answer, id)) send_back(answer); */
int wcam_offer(wcam *w, int stream, const char *offer, size_t n, char *answer, size_t cap, char id[24]);

/* Ends a viewer. WCAM_EGONE: it has ended before.
 *     wcam_hang_up(w, id); */
int wcam_hang_up(wcam *w, const char *id);

/* Without sockets (listen ""): a UDP datagram has come; now_us is monotonic. Answers leave by config.send during the
 * call. The bytes are decrypted in place.
 *     wcam_input(w, &from, bytes, n, now_us); */
void wcam_input(wcam *w, const struct wcam_addr *from, void *bytes, size_t n, int64_t now_us);

/* Without sockets: tells the time, and does what is due at now_us; to be called before anything else. unix_us is the time
 * of day in microseconds since 1970 (for RTCP). Returns the time by which to call again, INT64_MAX when nothing is due.
 *     next = wcam_tick(w, now_us, unix_us); */
int64_t wcam_tick(wcam *w, int64_t now_us, int64_t unix_us);

struct wcam_stats {
    int streams, viewers;
    uint64_t joined;          /* viewers since the start */
    uint64_t packets, octets; /* RTP sent */
    uint64_t dropped;         /* input dropped, for any reason; by name in /api/streams */
};

/* Counters of the whole instance.
 *     wcam_get_stats(w, &s); */
void wcam_get_stats(const wcam *w, struct wcam_stats *out);

/* What is wrong with the last call that failed, one sentence; lives until the next call.
 *     fprintf(stderr, "%s\n", wcam_why(w)); */
const char *wcam_why(const wcam *w);

/* The general meaning of an error number; static.
 *     puts(wcam_strerror(WCAM_EFULL)); */
const char *wcam_strerror(int error);

#ifdef __cplusplus
}
#endif
#endif
