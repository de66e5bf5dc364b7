/* Viewers without a browser: real HTTP, UDP, DTLS and SRTP against a running server on 127.0.0.1. What they get is
 * decrypted and put together again, nothing is decoded, nothing is asked for twice.
 *
 *   cc -O2 test/joiner.c -o joiner -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 *   joiner PORT NAME cycles N   N times: join, wait for a whole picture, leave; by DELETE and by close_notify in turn
 *   joiner PORT NAME hold N     N viewers at once, until standard input ends
 *   joiner PORT NAME watch 1    one line for each access unit, until standard input ends:
 *     unit FIRST LAST TIMESTAMP PACKETS MARKERS [TYPE:SIZE:CRC32]...
 *     FIRST, LAST: when its first and its last packet came, microseconds of CLOCK_MONOTONIC
 * Prints "watching" once every viewer has had a whole picture, and at the end "N pictures, N packets, N missing".
 * Exit status 0, or 1 and a sentence.
 */
#include "../webrtc_cam.c"

enum joiner_limits {
    JOINER_MAX = 4096,
    JOINER_NALS = 64,                     /* of an access unit, by name; more are lost */
    JOINER_PER_ADDRESS = 20,              /* joins from one address: below what the server allows at once */
    JOINER_SOCKET_BYTES = 4 * 1024 * 1024 /* receive buffer asked for: this process may be late */
};
#define JOINER_PATIENCE (10 * BASE_S) /* with a join, from the offer to the first whole picture */

struct joiner {
    int fd;
    char ufrag[80], pwd[80], path[128];
    struct dtls dtls;
    struct seal seal;
    bool open, keyed;
    int64_t began, checked; /* checked: when the last check was sent */

    struct wr nal; /* the fragments so far */
    uint8_t bytes[1 << 20];
    int nals;
    struct {
        unsigned type, crc;
        size_t n;
    } found[JOINER_NALS];
    int64_t first, last; /* of the access unit under way */
    uint32_t timestamp;
    unsigned packets, markers;
    uint16_t seq;
    bool torn; /* something of it is missing */
    uint64_t pictures, total, missing;
};

static struct crypt joiner_crypt;
static struct dtls_home joiner_home;
static uint16_t joiner_port;
static const char *joiner_camera;
static bool joiner_prints;
static unsigned joiner_count; /* joins so far */

static void joiner_die(const char *what, const char *why) {
    fprintf(stderr, "joiner: %s: %s\n", what, why);
    exit(1);
}

/* ---- HTTP ---- */

/* A request on a connection of its own; the answer's status, and the whole of it in answer[]. */
static int joiner_ask(const char *method, const char *path, const char *body, char *answer, size_t cap) {
    char request[8192];
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(joiner_port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), n, got;
    size_t have = 0;
    /* rates are limited by address, and 127.0.0.0/8 is all ours */
    from.sin_addr.s_addr =
        htonl(0x7f400001u + ((unsigned)getpid() & 1023) * 256 + joiner_count / JOINER_PER_ADDRESS % 254);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    n = snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/sdp\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 method, path, strlen(body), body);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to) ||
        send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        joiner_die(method, strerror(errno));
    while (have < cap - 1 && (got = (int)recv(fd, answer + have, cap - 1 - have, 0)) > 0) have += (size_t)got;
    answer[have] = 0;
    close(fd);
    return have > 12 ? atoi(answer + 9) : 0;
}

/* What stands behind this word, up to the end of the line. */
static bool joiner_find(const char *text, const char *word, char *to, size_t cap) {
    const char *p = strstr(text, word), *end = p ? strstr(p + strlen(word), "\r\n") : NULL;
    if (!end) return false;
    p += strlen(word);
    if ((size_t)(end - p) >= cap) return false;
    text_copy(to, cap, base_span(p, (size_t)(end - p)));
    return true;
}

static const char joiner_offer[] =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\n"
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:peer\r\na=ice-pwd:0123456789abcdefghijklmn\r\na=fingerprint:sha-256 %s\r\n"
    "a=setup:actpass\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack pli\r\n"
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n";

/* ---- UDP ---- */

static void joiner_send(void *to, const struct path *path, const uint8_t *p, size_t n) {
    struct joiner *j = to;
    (void)path;
    send(j->fd, p, n, 0);
}

/* A binding request as a browser sends it; it carries our consent, too. */
static void joiner_check(struct joiner *j, int64_t now) {
    uint8_t out[512], number[8] = {0x6e, 0, 0x1e, 0xff, 1, 2, 3, 4}, id[12];
    char username[100];
    struct wr w = bytes_wr(out, sizeof out);
    snprintf(username, sizeof username, "%s:peer", j->ufrag);
    crypt_random(&joiner_crypt, id, sizeof id);
    stun_begin(&w, STUN_BINDING, id);
    stun_put(&w, STUN_USERNAME, text_of(username));
    stun_put(&w, STUN_ICE_CONTROLLING, base_span(number, 8));
    stun_put(&w, STUN_USE_CANDIDATE, base_span("", 0));
    stun_put(&w, STUN_PRIORITY, base_span(number, 4));
    stun_finish(&w, text_of(j->pwd));
    send(j->fd, w.p, w.n, 0);
    j->checked = now;
}

static void joiner_join(struct joiner *j) {
    char offer[2048], answer[16384], path[64], print[128];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(joiner_port)};
    memset(j, 0, sizeof *j);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(path, sizeof path, "/%s/whep", joiner_camera);
    snprintf(offer, sizeof offer, joiner_offer, joiner_home.fingerprint);
    j->began = net_now();
    joiner_count++;
    if (joiner_ask("POST", path, offer, answer, sizeof answer) != 201) joiner_die("POST", answer);
    if (!joiner_find(answer, "\r\nLocation: ", j->path, sizeof j->path) ||
        !joiner_find(answer, "\r\na=ice-ufrag:", j->ufrag, sizeof j->ufrag) ||
        !joiner_find(answer, "\r\na=ice-pwd:", j->pwd, sizeof j->pwd) ||
        !joiner_find(answer, "\r\na=fingerprint:", print, sizeof print) || !strstr(answer, "\r\na=setup:active\r\n") ||
        !dtls_read_fingerprint(text_of(print), &j->dtls.peer_hash, j->dtls.peer_print))
        joiner_die("the answer", answer);
    j->fd = socket(AF_INET, SOCK_DGRAM, 0);
    net_set(j->fd, SOL_SOCKET, SO_RCVBUF, JOINER_SOCKET_BYTES);
#if defined(SO_RCVBUFFORCE)
    net_set(j->fd, SOL_SOCKET, SO_RCVBUFFORCE, JOINER_SOCKET_BYTES);
#endif
    if (j->fd < 0 || !net_prepare(j->fd) || connect(j->fd, (struct sockaddr *)&to, sizeof to))
        joiner_die("socket", strerror(errno));
    if (dtls_open(&j->dtls, &joiner_home, true, (struct emit){joiner_send, j})) joiner_die("DTLS", "no memory");
    j->nal = bytes_wr(j->bytes, sizeof j->bytes);
    j->open = true;
    joiner_check(j, net_now());
}

static void joiner_leave(struct joiner *j, bool by_http) {
    char answer[4096];
    if (by_http && joiner_ask("DELETE", j->path, "", answer, sizeof answer) != 200) joiner_die("DELETE", answer);
    if (by_http) j->dtls.state = DTLS_CLOSED; /* nobody is there to say goodbye to */
    dtls_close(&j->dtls, net_now());
    seal_close(&j->seal);
    close(j->fd);
    j->open = false;
}

/* ---- RTP ---- */

static void joiner_nal(struct joiner *j, struct span nal) {
    if (!nal.n || j->nals == JOINER_NALS) {
        j->torn = true;
        return;
    }
    j->found[j->nals].type = nal.p[0] & 31;
    j->found[j->nals].crc = bytes_crc32(nal);
    j->found[j->nals++].n = nal.n;
}

/* RFC 6184 5 */
static void joiner_payload(struct joiner *j, struct rd r) {
    unsigned indicator = bytes_r8(&r), type = indicator & 31;
    if (type == RTP_STAP_A) {
        while (bytes_left(&r)) joiner_nal(j, bytes_take(&r, bytes_r16(&r)));
    } else if (type == RTP_FU_A) {
        unsigned head = bytes_r8(&r);
        j->torn = j->torn || !(head & 0x80) == !j->nal.n;
        if (head & 0x80) {
            j->nal.n = 0;
            bytes_w8(&j->nal, (indicator & 0xe0) | (head & 31));
        }
        struct span part = bytes_take(&r, bytes_left(&r));
        bytes_put(&j->nal, part.p, part.n);
        if (!(head & 0x40)) return;
        joiner_nal(j, bytes_written(&j->nal));
        j->nal.n = 0;
    } else joiner_nal(j, base_span(r.p - 1, bytes_left(&r) + 1));
}

static void joiner_unit(struct joiner *j) {
    if (!j->packets) return;
    j->torn = j->torn || j->nal.n || j->nal.bad;
    j->pictures += !j->torn && j->markers == 1;
    if (joiner_prints) {
        printf("%s %lld %lld %u %u %u", j->torn ? "torn" : "unit", (long long)j->first, (long long)j->last,
               (unsigned)j->timestamp, j->packets, j->markers);
        for (int i = 0; i < j->nals; i++) printf(" %u:%zu:%u", j->found[i].type, j->found[i].n, j->found[i].crc);
        puts("");
        fflush(stdout);
    }
    j->packets = j->markers = 0;
    j->nals = 0;
    j->nal = bytes_wr(j->bytes, sizeof j->bytes);
    j->torn = false;
}

static void joiner_rtp(struct joiner *j, uint8_t *p, int n, int64_t now) {
    if (!j->keyed || srtp_unprotect(j->seal.in, p, &n) != srtp_err_status_ok) joiner_die("RTP", "cannot be decrypted");
    struct rd r = bytes_rd(base_span(p, (size_t)n));
    uint8_t first = bytes_r8(&r), second = bytes_r8(&r);
    uint16_t seq = bytes_r16(&r), gap = (uint16_t)(seq - j->seq - 1);
    uint32_t timestamp = bytes_r32(&r);
    bytes_r32(&r);
    if (first & 0x10) bytes_r16(&r), bytes_take(&r, bytes_r16(&r) * 4u);
    if (r.bad || !bytes_left(&r)) joiner_die("RTP", "a packet without payload");
    if (j->packets && timestamp != j->timestamp) joiner_unit(j); /* without a marker: the line tells */
    if (j->total && gap) j->missing += gap, j->torn = true;
    if (!j->packets++) j->first = now;
    j->timestamp = timestamp;
    j->last = now;
    j->seq = seq;
    j->total++;
    joiner_payload(j, r);
    if (!(second & 0x80)) return;
    j->markers++;
    joiner_unit(j);
}

/* Reads what is there. */
static void joiner_read(struct joiner *j, int64_t now) {
    uint8_t p[2048];
    struct path path = {{0}, {0}};
    int n;
    while (j->open && (n = (int)recv(j->fd, p, sizeof p, 0)) > 1) {
        if (p[0] >= 20 && p[0] <= 63) {
            dtls_start(&j->dtls, &path, now);
            dtls_input(&j->dtls, base_span(p, (size_t)n), now);
            if (j->dtls.state == DTLS_FAILED) joiner_die("DTLS", j->dtls.why);
            if (j->dtls.state == DTLS_CLOSED) joiner_die("DTLS", "the server closed the session");
            if (j->dtls.state == DTLS_READY && !j->keyed) j->keyed = seal_open(&j->seal, j->dtls.keys, true);
        } else if (p[0] >= 128 && (p[1] < 192 || p[1] > 223)) joiner_rtp(j, p, n, now);
    }
}

/* ---- the crowd ---- */

static struct joiner *joiners[JOINER_MAX];
static struct pollfd joiner_polls[JOINER_MAX + 1];

/* One round for the first n; false: standard input has ended. */
static bool joiner_round(int n) {
    char sink[64];
    for (int i = 0; i < n; i++) joiner_polls[i] = (struct pollfd){joiners[i]->fd, POLLIN, 0};
    joiner_polls[n] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    poll(joiner_polls, (nfds_t)n + 1, 20);
    int64_t now = net_now();
    for (int i = 0; i < n; i++) {
        struct joiner *j = joiners[i];
        if (joiner_polls[i].revents) joiner_read(j, now);
        dtls_tick(&j->dtls, now);
        if (now - j->checked > (j->keyed ? BASE_S : 50 * BASE_MS)) joiner_check(j, now);
        if (!j->pictures && now - j->began > JOINER_PATIENCE)
            joiner_die("no whole picture came", j->keyed ? "connected" : "no connection");
    }
    return !joiner_polls[n].revents || read(STDIN_FILENO, sink, sizeof sink) > 0;
}

static void joiner_cycles(int n) {
    uint64_t packets = 0;
    int64_t sum = 0, most = 0;
    for (int i = 0; i < n; i++) {
        joiner_join(joiners[0]);
        while (!joiners[0]->pictures)
            if (!joiner_round(1)) joiner_die("cycles", "standard input has ended");
        int64_t took = net_now() - joiners[0]->began;
        sum += took;
        most = base_max(most, took);
        packets += joiners[0]->total;
        joiner_leave(joiners[0], i % 2 == 0);
    }
    printf("%d joins, %.1f ms each, %.1f ms at most, %llu packets\n", n, (double)sum / n / 1000, (double)most / 1000,
           (unsigned long long)packets);
}

static void joiner_crowd(int n) {
    uint64_t pictures = 0, packets = 0, missing = 0;
    for (int i = 0; i < n; i++) { /* one after the other, and the others go on */
        joiner_join(joiners[i]);
        while (!joiners[i]->pictures)
            if (!joiner_round(i + 1)) joiner_die("joining", "standard input has ended");
    }
    puts("watching");
    fflush(stdout);
    while (joiner_round(n)) continue;
    for (int i = 0; i < n; i++) {
        pictures += joiners[i]->pictures;
        packets += joiners[i]->total;
        missing += joiners[i]->missing;
        joiner_leave(joiners[i], false);
    }
    printf("%llu pictures, %llu packets, %llu missing\n", (unsigned long long)pictures, (unsigned long long)packets,
           (unsigned long long)missing);
}

int main(int argc, char **argv) {
    int n = argc == 5 ? atoi(argv[4]) : 0;
    if (n < 1 || n > JOINER_MAX) joiner_die("usage", "joiner PORT NAME cycles|hold|watch N");
    joiner_port = (uint16_t)atoi(argv[1]);
    joiner_camera = argv[2];
    bool cycles = !strcmp(argv[3], "cycles");
    joiner_prints = !strcmp(argv[3], "watch");
    if (srtp_init() != srtp_err_status_ok || crypt_open(&joiner_crypt) || dtls_home_open(&joiner_home, &joiner_crypt))
        joiner_die("start", "the libraries refuse");
    for (int i = 0; i < (cycles ? 1 : n); i++)
        if (!(joiners[i] = calloc(1, sizeof *joiners[i]))) joiner_die("start", "no memory");
    if (cycles) joiner_cycles(n);
    else joiner_crowd(n);
    for (int i = 0; i < JOINER_MAX; i++) free(joiners[i]);
    dtls_home_close(&joiner_home);
    crypt_close(&joiner_crypt);
    return 0;
}
