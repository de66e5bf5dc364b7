/* fuzz_camera.c - fuzz targets of the rooms that speak with IP cameras: camerasdp, depay, dialog.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined fuzz_camera.c -o fuzz_camera -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 *   FUZZ=dialog ./fuzz_camera CORPUS
 *   cc -g -DFUZZ_REPLAY fuzz_camera.c ...     without libFuzzer: FUZZ=dialog ./fuzz_camera FILE... runs each file once
 *
 * Random numbers are the same in each run, time is made up.
 */
#ifndef FUZZ_SOURCE
#define FUZZ_SOURCE "../webrtc_cam.c"
#endif
#include FUZZ_SOURCE

#define must(x) ((x) ? (void)0 : fuzz_bad(__func__, __LINE__, #x))

static void fuzz_bad(const char *where, int line, const char *what) {
    fprintf(stderr, "fuzz_camera.c:%d: %s: this must hold: %s\n", line, where, what);
    abort();
}

static struct span fuzz_take(struct rd *in, size_t n) {
    return bytes_take(in, n < bytes_left(in) ? n : bytes_left(in));
}

static bool fuzz_more(const struct rd *in) { return !in->bad && bytes_left(in); }

static struct span fuzz_own(struct span s) {
    uint8_t *p = malloc(s.n ? s.n : 1);
    must(p);
    if (s.n) memcpy(p, s.p, s.n);
    return base_span(p, s.n);
}

static void fuzz_free(struct span s) { free((void *)(uintptr_t)s.p); }

/* ---- camerasdp: any text as the SDP of a camera ---- */

static void fuzz_camerasdp(struct rd in) {
    struct span text = fuzz_own(base_span(in.p, bytes_left(&in)));
    struct rtsp_sdp sdp;
    uint8_t sets[RTSP_SETS];
    char url[RTSP_URL];
    struct wr w = bytes_wr(sets, sizeof sets);
    rtsp_read_sdp(text, &sdp);
    const struct span parts[] = {sdp.control, sdp.video.control, sdp.video.kind, sdp.video.sets, sdp.audio.control};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        must(!parts[i].n || (parts[i].p >= text.p && parts[i].p + parts[i].n <= text.p + text.n));
    must(sdp.video.pt < 128 && sdp.audio.pt < 128);
    must(strlen(sdp.video.name) < sizeof sdp.video.name);
    rtsp_put_sets(&w, sdp.video.sets);
    must(!w.bad && w.n <= sizeof sets);
    if (rtsp_resolve(url, "rtsp://h/a/", sdp.video.control))
        for (const char *c = url; *c; c++) must((uint8_t)*c > ' ' && *c != 127);
    fuzz_free(text);
}

/* ---- depay: payloads as packets: flags, advance of the sequence, timestamp, length:16, bytes ---- */

static void fuzz_depay(struct rd in) {
    enum { ROOM = 8192 };
    static uint8_t *room;
    struct depay d;
    struct span unit;
    uint64_t units = 0, given = 0;
    if (!room) room = malloc(ROOM);
    must(room);
    size_t cap = 64 + 32 * (size_t)bytes_r8(&in);
    depay_start(&d, room, cap < ROOM ? cap : ROOM);
    while (fuzz_more(&in)) {
        uint8_t flags = bytes_r8(&in), step = bytes_r8(&in);
        size_t n = bytes_r16(&in) & 2047;
        struct span payload = fuzz_own(fuzz_take(&in, n));
        struct rtp_in p = {.marker = flags & 1, .payload = payload, .pt = 96};
        p.seq = (uint16_t)(d.next + (flags & 2 ? (int8_t)step : flags & 4 ? step << 8 : 0));
        p.timestamp = d.timestamp + (flags & 8 ? 3000u * (flags >> 4) : 0);
        given += payload.n + 64;
        if (depay_over(&d, &p) && depay_end(&d, &unit)) must(unit.n && unit.n <= d.cap), units++;
        must(d.n <= d.cap);
        if (depay_input(&d, &p) && depay_end(&d, &unit)) {
            must(unit.n && unit.n <= d.cap && unit.p == room);
            struct span copy = fuzz_own(unit), rest = copy;
            while (h264_next(&rest).n) continue;
            fuzz_free(copy);
            units++;
        }
        must(d.n <= d.cap);
        fuzz_free(payload);
    }
    must(units <= given);
}

/* ---- dialog: a whole camera: pieces of what it says, and time that passes ---- */

static struct crypt fuzz_crypt;
static int fuzz_entropy(void *none, unsigned char *p, size_t n) {
    (void)none;
    memset(p, 0x5a, n);
    return 0;
}

/* What we send: whole lines without control bytes. */
static void fuzz_check_sent(struct dialog *d) {
    must(d->out_n <= sizeof d->out);
    for (size_t i = 0; i < d->out_n; i++) {
        uint8_t c = d->out[i];
        if (c == '\r') must(i + 1 < d->out_n && d->out[i + 1] == '\n');
        else if (c == '\n') must(i && d->out[i - 1] == '\r');
        else must(c >= ' ' && c != 127);
    }
    if (d->out_n) must(d->out_n > 4 && !memcmp(d->out + d->out_n - 4, "\r\n\r\n", 4));
    d->out_n = 0;
}

/* Pieces: kind, then its data. Most kinds are whole answers, so that the conversation gets somewhere. */
static void fuzz_dialog(struct rd in) {
    enum { HISTORY = 64 * 1024, UNIT = 64 * 1024, WIRE = SOURCE_WIRE };
    static const char *const said[] = {
        "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: GET_PARAMETER\r\n\r\n",
        "RTSP/1.0 200 OK\r\nContent-Length: 86\r\n\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 "
        "H264/90000\r\na=control:t\r\na=x:1234567890123456789\r\n",
        "RTSP/1.0 200 OK\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1;timeout=4\r\n\r\n",
        "RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n"};
    static struct media media;
    static struct media_packet packets[MEDIA_SLOTS];
    static uint8_t *history, *unit, *wire;
    static uint64_t drops[DROP_COUNT];
    static struct camera c;
    struct rtsp_url url;
    int64_t now = 100 * BASE_S, next;
    size_t wire_n = 0;
    if (!history) {
        history = malloc(HISTORY);
        unit = malloc(UNIT);
        wire = malloc(WIRE);
        mbedtls_ctr_drbg_init(&fuzz_crypt.drbg);
    }
    mbedtls_ctr_drbg_free(&fuzz_crypt.drbg);
    mbedtls_ctr_drbg_init(&fuzz_crypt.drbg);
    must(!mbedtls_ctr_drbg_seed(&fuzz_crypt.drbg, fuzz_entropy, NULL, NULL, 0));
    must(rtsp_read_url(text_of("rtsp://ann:pw@h/a"), &url));
    memset(&media, 0, sizeof media);
    media_start(&media, history, HISTORY, packets, drops);
    camera_start(&c, &url, &media, &fuzz_crypt, unit, UNIT);
    for (int steps = 0; fuzz_more(&in) && steps < 4000; steps++) {
        uint8_t kind = bytes_r8(&in);
        struct span s = {NULL, 0};
        uint8_t frame[4] = {'$', 0, 0, 0};
        if (kind < 4) s = text_of(said[kind]);
        else if (kind < 8) now += (int64_t)bytes_r16(&in) * (kind < 6 ? BASE_MS : 20);
        else s = fuzz_take(&in, bytes_r16(&in) & 4095);
        if (camera_tick(&c, kind != 5, now, &next)) {
            if (kind == 7) camera_failed(&c, "refused", now);
            else camera_connected(&c, NULL, NULL, now);
            wire_n = 0;
        }
        must(next >= now || c.state == CAMERA_IDLE || c.state == CAMERA_RESTING);
        if (kind >= 128) { /* framed */
            frame[1] = kind & 3;
            frame[2] = (uint8_t)(s.n >> 8);
            frame[3] = (uint8_t)s.n;
        }
        if (c.state == CAMERA_TALKING && WIRE - wire_n >= s.n + 4) {
            if (kind >= 128) memcpy(wire + wire_n, frame, 4), wire_n += 4;
            if (s.n) memcpy(wire + wire_n, s.p, s.n);
            wire_n += s.n;
            struct span all = fuzz_own(base_span(wire, wire_n));
            size_t used = camera_input(&c, all, now);
            fuzz_free(all);
            must(used <= wire_n);
            memmove(wire, wire + used, wire_n - used);
            wire_n -= used;
        } else if (c.state == CAMERA_TALKING) wire_n = 0;
        fuzz_check_sent(&c.dialog);
        must(c.depay.n <= c.depay.cap && c.dialog.sets_n <= sizeof c.dialog.sets);
        for (const char *p = media.trouble; *p; p++) must((uint8_t)*p >= ' ' && (uint8_t)*p < 127);
        must(c.video_clock.last <= now || !c.video_clock.running);
        must(media.next - media.oldest <= MEDIA_SLOTS);
    }
}

/* ---- the frame ---- */

static const struct fuzz_target {
    const char *name;
    void (*run)(struct rd in);
} fuzz_targets[] = {{"camerasdp", fuzz_camerasdp}, {"depay", fuzz_depay}, {"dialog", fuzz_dialog}};
static const struct fuzz_target *fuzz_chosen;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *name = getenv("FUZZ");
    (void)argc, (void)argv;
    for (size_t i = 0; i < sizeof fuzz_targets / sizeof *fuzz_targets; i++)
        if (name && !strcmp(name, fuzz_targets[i].name)) fuzz_chosen = &fuzz_targets[i];
    if (fuzz_chosen) return 0;
    fprintf(stderr, "fuzz_camera: choose a target by FUZZ=camerasdp, depay or dialog\n");
    exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    static const uint8_t none[1];
    fuzz_chosen->run(bytes_rd(base_span(n ? p : none, n)));
    return 0;
}

#if defined(FUZZ_REPLAY)
int main(int argc, char **argv) {
    static uint8_t bytes[1 << 20];
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) return 1;
        struct span s = fuzz_own(base_span(bytes, fread(bytes, 1, sizeof bytes, f)));
        fclose(f);
        fprintf(stderr, "%s\n", argv[i]);
        LLVMFuzzerTestOneInput(s.p, s.n);
        fuzz_free(s);
    }
    printf("%d runs\n", argc - 1);
    return 0;
}
#endif
