/* A browser in memory: offers, sends STUN checks, shakes hands by mbedTLS in either role, opens SRTP by libsrtp2 and
 * judges what comes. Its clock is a number; nothing sleeps. Included by unit.c, after unit.h. link.c has a browser of its
 * own, one that plays; it takes only the first part (PEER_PARTS). */
#define SIM_UNIX (1700000000LL * BASE_S)

static bool sim_srtp(srtp_t *to, const uint8_t *key, const uint8_t *salt, srtp_ssrc_type_t way) {
    uint8_t both[30];
    srtp_policy_t policy;
    memset(&policy, 0, sizeof policy);
    memcpy(both, key, 16);
    memcpy(both + 16, salt, 14);
    srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
    srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    policy.ssrc.type = way;
    policy.key = both;
    policy.window_size = 1024;
    return srtp_create(to, &policy) == srtp_err_status_ok;
}

static const char sim_offer_text[] =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 102 103\r\n"
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:peer\r\na=ice-pwd:0123456789abcdefghijklmn\r\na=fingerprint:sha-256 %s\r\n"
    "a=setup:%s\r\na=mid:0\r\na=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
    "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\na=recvonly\r\na=rtcp-mux\r\n"
    "a=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\n"
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n%s";
static const char sim_offer_rtx[] = "a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n";
static const char sim_offer_sound[] =
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n"; /* 0 by its static type */

#ifndef PEER_PARTS
#define PEER_MAX   20000
#define PEER_HEARD 1000

struct peer_packet {
    int64_t at;
    uint16_t seq;
    uint32_t timestamp, ssrc;
    bool marker, delay; /* delay: a playout-delay extension */
    uint8_t pt;
    uint8_t type;
    uint32_t types, crc, raw; /* bit per NAL unit type within; checksums of the payload, of the sealed packet */
    uint16_t n;
};

/* One server and one browser, joined by a wire that can lose DTLS datagrams. */
struct sim {
    wcam *w;
    int64_t now;
    int stream;
    struct wcam_addr addr; /* the peer's */
    char id[24], answer[8192], ufrag[80], pwd[80];
    bool client; /* the peer is the DTLS client */
    struct crypt crypt;
    struct dtls_home home;
    struct dtls dtls;
    srtp_t in, out;
    uint32_t lose_to_peer, lose_to_server; /* bit n: the n-th DTLS datagram that way is lost */
    int dtls_to_peer, dtls_to_server;
    int queue_n;
    size_t queue_size[64];
    uint8_t queue[64][1500];
    bool deaf; /* DTLS from the server is not even queued */

    struct peer_packet *rtp;
    int rtp_n, undecryptable, early;
    struct peer_packet heard[PEER_HEARD]; /* sound */
    int heard_n, sound_sr;
    uint64_t sound_ntp;
    uint32_t sound_timestamp;
    int rtx_good, rtx_bad, repeats, forged;
    bool rtx, hears;   /* hears: the offer has an audio section, too */
    uint16_t rtx_seq;  /* early: came before there was a key */
    int64_t last_sent; /* when the server last sent anything */
    int sent;
    int stun_ok, stun_error;
    unsigned stun_code;
    int sr, sdes, bye, alerts;
    int64_t first_sr;
    uint32_t sr_ssrc, sr_timestamp, sr_packets;
    uint64_t sr_ntp;
    struct nals nals; /* re-assembled */
    struct wr fu;
    uint8_t fu_bytes[1 << 18];
    bool payload_bad;
    int keyframes_asked;
};

static void sim_rtcp(struct sim *s, const uint8_t *p, size_t size) {
    uint8_t plain[1500];
    int n = (int)size;
    struct rtcp_packet packet;
    memcpy(plain, p, size);
    if (!s->in) {
        s->early++;
        return;
    }
    if (srtp_unprotect_rtcp(s->in, plain, &n) != srtp_err_status_ok) {
        s->undecryptable++;
        return;
    }
    struct span rest = base_span(plain, (size_t)n);
    bool first = true;
    int more;
    while ((more = rtcp_next(&rest, &packet)) > 0) {
        CHECK(rtcp_whole(&packet) && (!first || packet.type == RTCP_SR || packet.type == RTCP_RR));
        first = false;
        s->sdes += packet.type == RTCP_SDES;
        s->bye += packet.type == RTCP_BYE && packet.sender == s->sr_ssrc;
        if (packet.type == RTCP_RR) s->sr_ssrc = packet.sender;
        if (packet.type != RTCP_SR) continue;
        struct rd r = bytes_rd(packet.body);
        if (s->heard_n && packet.sender == s->heard[0].ssrc) {
            s->sound_sr++;
            s->sound_ntp = (uint64_t)bytes_r32(&r) << 32;
            s->sound_ntp |= bytes_r32(&r);
            s->sound_timestamp = bytes_r32(&r);
            continue;
        }
        if (!s->sr++) s->first_sr = s->now;
        s->sr_ssrc = packet.sender;
        s->sr_ntp = (uint64_t)bytes_r32(&r) << 32;
        s->sr_ntp |= bytes_r32(&r);
        s->sr_timestamp = bytes_r32(&r);
        s->sr_packets = bytes_r32(&r);
    }
    CHECK(more == 0);
}

/* The packet with this sequence number, if it came. */
static struct peer_packet *sim_find(struct sim *s, uint16_t seq) {
    for (int i = s->rtp_n - 1; i >= 0 && i > s->rtp_n - 3000; i--)
        if (s->rtp[i].seq == seq) return &s->rtp[i];
    return NULL;
}

static uint32_t sim_types(struct span payload) {
    uint32_t types = 0;
    struct rd r = bytes_rd(payload);
    unsigned type = bytes_r8(&r) & 31;
    if (type == RTP_FU_A) return 1u << (bytes_r8(&r) & 31);
    if (type != RTP_STAP_A) return 1u << type;
    while (bytes_left(&r)) {
        struct span nal = bytes_take(&r, bytes_r16(&r));
        if (nal.n) types |= 1u << (nal.p[0] & 31);
    }
    return types;
}

static void sim_extensions(struct sim *s, struct rd *r, struct peer_packet *k) {
    CHECK(bytes_r16(r) == 0xbede);
    struct rd x = bytes_rd(bytes_take(r, bytes_r16(r) * 4u));
    while (bytes_left(&x)) {
        uint8_t head = bytes_r8(&x);
        struct span value = head ? bytes_take(&x, (head & 15u) + 1) : base_span(x.p, 0);
        k->delay = k->delay || head >> 4 == 5;
        CHECK(!head || (((head >> 4 == 2 && s->rtx) || head >> 4 == 5) && value.n == 3));
    }
    CHECK(!x.bad);
}

static void sim_rtp(struct sim *s, const uint8_t *p, size_t size) {
    uint8_t plain[1500];
    int n = (int)size;
    uint32_t raw = bytes_crc32(base_span(p, size));
    struct peer_packet one = {.at = s->now}, *k = &one;
    struct rd r = bytes_rd(base_span(p, size));
    bytes_take(&r, 2);
    struct peer_packet *known = sim_find(s, bytes_r16(&r));
    memcpy(plain, p, size);
    if (!s->in) {
        s->early++;
        return;
    }
    if ((p[1] & 127) == 102 && known) { /* repeated: byte by byte the same, or a key stream was used twice */
        s->repeats += known->raw == raw;
        s->forged += known->raw != raw;
        return;
    }
    if (srtp_unprotect(s->in, plain, &n) != srtp_err_status_ok || s->rtp_n == PEER_MAX) {
        s->undecryptable++;
        return;
    }
    r = bytes_rd(base_span(plain, (size_t)n));
    uint8_t first = bytes_r8(&r), second = bytes_r8(&r);
    k->raw = raw;
    k->marker = second >> 7;
    k->pt = second & 127;
    k->seq = bytes_r16(&r);
    k->timestamp = bytes_r32(&r);
    k->ssrc = bytes_r32(&r);
    if (first & 0x10) sim_extensions(s, &r, k);
    if (k->pt == 111 || k->pt == 0 || k->pt == 8) {
        struct peer_packet *before = s->heard_n ? &s->heard[s->heard_n - 1] : NULL;
        CHECK(k->ssrc != (s->rtp_n ? s->rtp[0].ssrc : 0) && (!before || k->ssrc == before->ssrc));
        CHECK(!before || k->seq == (uint16_t)(before->seq + 1));
        k->n = (uint16_t)bytes_left(&r);
        if (s->heard_n < PEER_HEARD) s->heard[s->heard_n++] = one;
        return;
    }
    struct peer_packet *lost = s->rtx && k->pt == 103 ? sim_find(s, bytes_r16(&r)) : NULL;
    struct span payload = bytes_take(&r, bytes_left(&r));
    CHECK((first & 0xef) == 0x80 && !r.bad && payload.n);
    k->type = payload.p[0] & 31;
    k->types = sim_types(payload);
    k->n = (uint16_t)payload.n;
    k->crc = bytes_crc32(payload);
    if (k->pt == 103) { /* RFC 4588 4: the lost packet under another SSRC, its timestamp and marker kept */
        bool good = lost && lost->crc == k->crc && lost->timestamp == k->timestamp && lost->marker == k->marker;
        good = good && k->ssrc != lost->ssrc && (!s->rtx_good || k->seq == (uint16_t)(s->rtx_seq + 1));
        s->rtx_seq = k->seq;
        s->rtx_good += good;
        s->rtx_bad += !good;
        return;
    }
    s->rtp[s->rtp_n++] = one;
    s->payload_bad = s->payload_bad || !depay(&s->fu, payload, &s->nals);
}

static void sim_take(void *to, const struct wcam_addr *addr, const void *bytes, size_t n) {
    struct sim *s = to;
    const uint8_t *p = bytes;
    struct stun_msg m;
    CHECK(n <= BASE_DATAGRAM);
    s->last_sent = s->now;
    s->sent++;
    if (!CHECK(base_addr_same(addr, &s->addr))) return;
    if (p[0] <= 3) {
        CHECK(stun_read(base_span(p, n), &m) == DROP_NONE);
        s->stun_ok += m.type == STUN_SUCCESS && base_addr_same(&m.mapped, &s->addr);
        s->stun_error += m.type == STUN_ERROR;
        s->stun_code = m.error;
    } else if (p[0] >= 20 && p[0] <= 63) {
        s->alerts += p[0] == 21;
        if (s->lose_to_peer >> (s->dtls_to_peer < 32 ? s->dtls_to_peer++ : 31) & 1 || s->deaf) return;
        if (!CHECK(s->queue_n < 64)) return;
        memcpy(s->queue[s->queue_n], p, n);
        s->queue_size[s->queue_n++] = n;
    } else if (p[1] >= 192 && p[1] <= 223) sim_rtcp(s, p, n);
    else sim_rtp(s, p, n);
}

/* The peer's DTLS datagrams on their way to the server. */
static void sim_peer_sends(void *to, const struct path *path, const uint8_t *p, size_t n) {
    struct sim *s = to;
    uint8_t copy[1500];
    (void)path;
    if (s->lose_to_server >> (s->dtls_to_server < 31 ? s->dtls_to_server++ : 31) & 1) return;
    memcpy(copy, p, n);
    wcam_input(s->w, &s->addr, copy, n, s->now);
}

static void sim_keyframe(void *to, int stream) {
    struct sim *s = to;
    (void)stream;
    s->keyframes_asked++;
}

/* RFC 5764 4.2 written once more: client key, server key, client salt, server salt. */
static void sim_keys(struct sim *s) {
    if (s->in || s->dtls.state != DTLS_READY) return;
    const uint8_t *client[2] = {s->dtls.keys, s->dtls.keys + 32}, *server[2] = {s->dtls.keys + 16, s->dtls.keys + 46};
    const uint8_t **ours = s->client ? client : server, **theirs = s->client ? server : client;
    CHECK(sim_srtp(&s->in, theirs[0], theirs[1], ssrc_any_inbound));
    CHECK(sim_srtp(&s->out, ours[0], ours[1], ssrc_any_outbound));
}

/* Delivers what is queued for the peer's DTLS. */
static void sim_deliver(struct sim *s) {
    for (int i = 0; i < s->queue_n; i++) {
        uint8_t copy[1500];
        size_t n = s->queue_size[i];
        memcpy(copy, s->queue[i], n);
        if (s->dtls.state == DTLS_IDLE) { /* the server's ClientHello came: our server side begins */
            struct path path = {s->addr, {0}};
            dtls_start(&s->dtls, &path, s->now);
        }
        dtls_input(&s->dtls, base_span(copy, n), s->now);
        sim_keys(s);
    }
    s->queue_n = 0;
}

/* One step of the clock. */
static void sim_step(struct sim *s, int64_t us) {
    s->now += us;
    wcam_tick(s->w, s->now, SIM_UNIX + s->now);
    sim_deliver(s);
    dtls_tick(&s->dtls, s->now);
    sim_keys(s);
}

static void sim_run(struct sim *s, int64_t us) {
    for (int64_t end = s->now + us; s->now < end;) sim_step(s, base_min(BASE_MS, end - s->now));
}

static void sim_check(struct sim *s, bool nominate) {
    uint8_t out[512];
    char username[200];
    struct wr w = bytes_wr(out, sizeof out);
    snprintf(username, sizeof username, "%s:peer", s->ufrag);
    struct check c = {.username = username, .key = s->pwd, .nominate = nominate};
    check_write(&w, &c);
    wcam_input(s->w, &s->addr, out, w.n, s->now);
}

/* Runs with a check each second, as browsers send them. */
static void sim_live(struct sim *s, int64_t us) {
    for (int64_t end = s->now + us; s->now < end;) {
        sim_check(s, true);
        sim_run(s, base_min(BASE_S, end - s->now));
    }
}

static size_t sim_history; /* of servers made from now on; 0: the default */

/* A server with one stream (source NULL: pushed) at the fake clock's begin. */
static struct sim *sim_new(const char *source) {
    struct sim *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->rtp = calloc(PEER_MAX, sizeof *s->rtp);
    s->now = SIM_BEGIN;
    s->addr = (struct wcam_addr){4, 40000, {198, 51, 100, 7}};
    s->fu = bytes_wr(s->fu_bytes, sizeof s->fu_bytes);
    struct wcam_config config = {
        .listen = "", .user_data = s, .send = sim_take, .keyframe = sim_keyframe, .history = sim_history};
    CHECK(s->rtp && wcam_create(&config, &s->w) == 0);
    CHECK(!crypt_open(&s->crypt) && !dtls_home_open(&s->home, &s->crypt));
    s->stream = wcam_add(s->w, "cam", source, 0);
    CHECK(s->stream == 0);
    wcam_tick(s->w, s->now, SIM_UNIX + s->now);
    return s;
}

/* Offers and opens the peer's DTLS. spoil: the fingerprint is another one's. */
static int sim_join(struct sim *s, bool client, bool spoil) {
    static struct sdp_offer a;
    char offer[4096], print[DTLS_FINGERPRINT];
    const char *why;
    memcpy(print, s->home.fingerprint, sizeof print);
    if (spoil) print[0] = print[0] == '0' ? '1' : '0';
    snprintf(offer, sizeof offer, sim_offer_text, print, client ? "active" : "actpass", s->rtx ? sim_offer_rtx : "");
    if (s->hears) {
        char *group = strstr(offer, "BUNDLE ") + 7;
        memmove(group + 2, group, strlen(group) + 1);
        memcpy(group, "1 ", 2); /* the group names sound first, as some pages have it */
        strcat(offer, sim_offer_sound);
    }
    int rc = wcam_offer(s->w, s->stream, offer, strlen(offer), s->answer, sizeof s->answer, s->id);
    if (rc) return rc;
    if (!CHECK(!sdp_read(text_of(s->answer), &a, &why) && a.count == 1 + s->hears)) return -1;
    const struct sdp_transport *t = &a.section[0].transport;
    text_copy(s->ufrag, sizeof s->ufrag, t->ufrag);
    text_copy(s->pwd, sizeof s->pwd, t->pwd);
    s->client = client;
    CHECK(t->setup == (client ? SDP_PASSIVE : SDP_ACTIVE));
    CHECK(dtls_read_fingerprint(t->fingerprint, &s->dtls.peer_hash, s->dtls.peer_print));
    CHECK(!dtls_open(&s->dtls, &s->home, !client, (struct emit){sim_peer_sends, s}));
    return 0;
}

/* The first checks; a peer that is the client says its hello. */
static void sim_connect(struct sim *s) {
    struct path path = {s->addr, {0}};
    sim_check(s, false);
    if (s->client) dtls_start(&s->dtls, &path, s->now);
    sim_step(s, 0);
    sim_check(s, true);
}

static struct viewer *sim_viewer(struct sim *s) { return viewer_by_id(&s->w->server.site.lobby, text_of(s->id)); }

static uint64_t *sim_drops(struct sim *s) { return s->w->server.site.drops; }

/* What any decoder relies on, over everything that came. */
static void sim_check_stream(const struct sim *s) {
    CHECK(s->rtp_n > 0 && !s->payload_bad && !s->undecryptable && !s->early);
    if (!s->rtp_n) return;
    const struct peer_packet *first = &s->rtp[0];
    uint32_t types = 0;
    for (int i = 0; i < s->rtp_n && s->rtp[i].timestamp == first->timestamp; i++) types |= s->rtp[i].types;
    CHECK(first->type == RTP_STAP_A && first->types >> H264_SPS & 1 && first->types >> H264_PPS & 1);
    CHECK(types >> H264_IDR & 1);
    for (int i = 0; i < s->rtp_n; i++) {
        const struct peer_packet *p = &s->rtp[i], *last = i ? p - 1 : NULL;
        CHECK(p->pt == 102 && p->ssrc == first->ssrc);
        if (!last) continue;
        bool begins = p->timestamp != last->timestamp;
        CHECK(p->seq == (uint16_t)(last->seq + 1));
        CHECK(last->marker == begins);
        CHECK(!begins || (int32_t)(p->timestamp - last->timestamp) > 0);
    }
}

static void sim_free(struct sim *s) {
    wcam_destroy(s->w);
    s->dtls.state = s->dtls.home ? DTLS_CLOSED : s->dtls.state; /* nobody is there to say goodbye to */
    dtls_close(&s->dtls, s->now);
    if (s->in) srtp_dealloc(s->in);
    if (s->out) srtp_dealloc(s->out);
    dtls_home_close(&s->home);
    crypt_close(&s->crypt);
    free(s->rtp);
    free(s);
}

/* The peer's own RTCP, sealed. */
static void sim_send_rtcp(struct sim *s, const void *bytes, size_t size) {
    uint8_t p[256];
    int n = (int)size;
    memcpy(p, bytes, size);
    if (CHECK(s->out && srtp_protect_rtcp(s->out, p, &n) == srtp_err_status_ok))
        wcam_input(s->w, &s->addr, p, (size_t)n, s->now);
}
#endif
