/* fuzz.c - one fuzz target per parser of webrtc_cam.c, and one for a whole viewer, in one program.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined fuzz.c -o fuzz -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 *   FUZZ=stun ./fuzz CORPUS     or call it by the name fuzz_stun; test/fuzz.sh does all of that
 *   cc -g -DFUZZ_REPLAY fuzz.c ...     without libFuzzer: FUZZ=stun ./fuzz FILE... runs each file once
 *
 * A target takes bytes and checks what must hold for all bytes; must() names what does not. Whatever is parsed stands
 * in a heap block of its exact size. Random numbers are the same in each run, time is made up: a run can be repeated.
 */
#ifndef FUZZ_SOURCE
#define FUZZ_SOURCE "../webrtc_cam.c"
#endif
#include FUZZ_SOURCE

#define must(x) ((x) ? (void)0 : fuzz_bad(__func__, __LINE__, #x))

static void fuzz_bad(const char *where, int line, const char *what) {
    fprintf(stderr, "fuzz.c:%d: %s: this must hold: %s\n", line, where, what);
    abort();
}

/* ---- bytes of the input ---- */

/* At most n bytes; the input reads as zeros behind its end. */
static struct span fuzz_take(struct rd *in, size_t n) {
    return bytes_take(in, n < bytes_left(in) ? n : bytes_left(in));
}

static struct span fuzz_block(struct rd *in) {
    size_t n = bytes_r16(in);
    return fuzz_take(in, n);
}

static bool fuzz_more(const struct rd *in) { return !in->bad && bytes_left(in); }

/* A copy in a block of exactly its size: a byte too far is seen. To be freed by fuzz_free. */
static struct span fuzz_own(struct span s) {
    uint8_t *p = malloc(s.n);
    must(p || !s.n);
    if (s.n) memcpy(p, s.p, s.n);
    return base_span(p, s.n);
}

static void fuzz_free(struct span s) { free((void *)(uintptr_t)s.p); }

static bool fuzz_inside(struct span part, struct span all) {
    return !part.n || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static struct span fuzz_find(struct span in, struct span what) {
    for (; in.n >= what.n; in = base_span(in.p + 1, in.n - 1))
        if (!memcmp(in.p, what.p, what.n)) return in;
    return base_span(NULL, 0);
}

static bool fuzz_status(int status) { return strcmp(http_reason(status), "Unknown") != 0; }

/* ---- a server without sockets, and random numbers that repeat ---- */

enum { WORLD_VIEWERS = 4, WORLD_HISTORY = 64 * 1024 };

static wcam *world;
static int64_t world_now;
static void world_send(void *user_data, const struct wcam_addr *to, const void *bytes, size_t n);
static void world_keyframe(void *user_data, int stream) { (void)user_data, must(stream >= 0 && stream < 2); }

static int world_entropy(void *none, unsigned char *p, size_t n) {
    (void)none;
    memset(p, 0x5a, n);
    return 0;
}

static void world_seed(struct crypt *c) {
    mbedtls_ctr_drbg_free(&c->drbg);
    mbedtls_ctr_drbg_init(&c->drbg);
    must(!mbedtls_ctr_drbg_seed(&c->drbg, world_entropy, NULL, NULL, 0));
}

/* The certificate is made once; all else is as new. */
static struct site *world_reset(void) {
    if (!world) {
        static const struct wcam_config config = {.listen = "",
                                                  .max_viewers = WORLD_VIEWERS,
                                                  .history = WORLD_HISTORY,
                                                  .keyframe = world_keyframe,
                                                  .send = world_send};
        must(!wcam_create(&config, &world));
        must(wcam_add(world, "cam", NULL, 0) == 0);
        must(wcam_push(world, 0, "\0\0\1\x09\xf0", 5, 0) == WCAM_EINVAL); /* nobody has told the time */
        must(wcam_push_bytes(world, 0, "\0\0\1\x09\xf0", 5) == WCAM_EINVAL);
        wcam_tick(world, BASE_S, BASE_S);
    }
    struct server *s = &world->server;
    for (int i = 0; i < s->site.lobby.max; i++)
        if (s->site.lobby.slot[i]) viewer_close(s->site.lobby.slot[i], "reset", world_now);
    server_reap_viewers(s);
    must(!s->site.lobby.count);
    for (int i = 0; i < s->site.streams; i++) source_close(s->source[i]);
    s->site.streams = s->ids = 0;
    s->site.lobby.joined = 0;
    memset(&s->site.lobby.left, 0, sizeof s->site.lobby.left);
    s->site.lobby.wall = s->told = 0;
    s->told_joined = 0;
    s->site.candidates = 0;
    memset(s->site.lobby.hint, 0, sizeof s->site.lobby.hint);
    memset(s->site.drops, 0, sizeof s->site.drops);
    memset(&s->site.guard, 0, sizeof s->site.guard);
    world_seed(&s->site.crypt);
    world_now = s->site.born = BASE_S;
    must(wcam_add(world, "cam", NULL, 0) == 0 && wcam_add(world, "cam/low", NULL, 0) == 1);
    return &s->site;
}

/* ---- stun: messages to one agent, as they come or completed with a length, credentials and a fingerprint ---- */

static struct wcam_addr stun_addr(unsigned i) {
    struct wcam_addr a = {.family = i & 4 ? 6 : 4, .port = (uint16_t)(4000 + i), .ip = {192, 0, 2, (uint8_t)i}};
    return a;
}

static void stun_check_ice(const struct ice *ice) {
    must(ice->path_count >= 0 && ice->path_count <= ICE_PATHS && ice->path_next >= 0 && ice->path_next < ICE_PATHS);
    must(!ice->path_count || ice_knows(ice, &ice->active));
    for (int i = 0; i < ice->path_count; i++)
        for (int k = 0; k < i; k++) must(!base_path_same(&ice->paths[i], &ice->paths[k]));
}

/* HMAC-SHA1 by mbedTLS, to compare with ours. */
static bool stun_truly_authentic(struct span s, const struct stun_msg *m, const char *pwd) {
    uint8_t mac[CRYPT_SHA1], head[2048];
    size_t n = (size_t)(m->integrity.p - 4 - s.p);
    memcpy(head, s.p, n);
    head[2] = (uint8_t)((n + 4) >> 8); /* n - 20 + 24 */
    head[3] = (uint8_t)(n + 4);
    mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), (const uint8_t *)pwd, strlen(pwd), head, n, mac);
    return !memcmp(mac, m->integrity.p, sizeof mac);
}

static void stun_check_reply(const struct ice *ice, const struct path *path, const struct stun_msg *m, enum drop d,
                             const struct wr *reply) {
    struct stun_msg a;
    struct span s = fuzz_own(bytes_written(reply));
    must(!reply->bad && !stun_read(s, &a) && a.fingerprint && !memcmp(a.id, m->id, 12));
    bool signed_too = d != DROP_STUN_NO_CREDENTIALS && d != DROP_STUN_INTEGRITY && d != DROP_STUN_USERNAME;
    must(signed_too == (a.integrity.p != NULL) && (!signed_too || stun_authentic(s, &a, text_of(ice->pwd))));
    must(a.type == (d ? STUN_ERROR : STUN_SUCCESS) && (d ? a.error >= 400 : a.mapped.family != 0));
    must(d || base_addr_same(&a.mapped, &path->remote));
    fuzz_free(s);
}

static void stun_one(struct ice *ice, const struct path *path, struct span s, int64_t now) {
    struct stun_msg m, part;
    uint8_t bytes[256];
    struct wr reply = bytes_wr(bytes, sizeof bytes);
    struct ice before = *ice;
    if (stun_read(s, &m)) return;
    must(m.id == s.p + 8 && fuzz_inside(m.username, s) && fuzz_inside(m.integrity, s) && s.n % 4 == 0);
    must(m.unknown_count >= 0 && m.error <= 955);
    must(!m.fingerprint || !memcmp(s.p + s.n - 8, "\x80\x28\0\4", 4));
    for (size_t n = 0; n < s.n; n++) must(stun_read(base_span(s.p, n), &part) == DROP_STUN_MALFORMED);
    enum drop d = ice_input(ice, path, s, &m, now, &reply);
    stun_check_ice(ice);
    must((m.type == STUN_BINDING) == (reply.n != 0));
    if (reply.n) stun_check_reply(ice, path, &m, d, &reply);
    if (d || m.type == STUN_INDICATION) {
        must(!memcmp(&before, ice, sizeof before));
        return;
    }
    must(m.integrity.p && stun_truly_authentic(s, &m, ice->pwd) && ice_username(ice, m.username));
    bool active = base_path_same(&ice->active, path); /* consent is for one path */
    must(ice_knows(ice, path) && ice->heard == (active ? now : before.heard) && (!m.use_candidate || active));
}

/* flags: 1 raw, 2 the right username, 4 integrity, 8 fingerprint, 16 USE-CANDIDATE; the upper three choose the path. */
static struct span stun_make(struct wr *w, const struct ice *ice, unsigned flags, struct span attributes) {
    char name[300];
    struct span none = {NULL, 0};
    snprintf(name, sizeof name, "%s:%s", ice->ufrag, ice->peer_ufrag);
    stun_begin(w, flags & 32 ? STUN_INDICATION : STUN_BINDING, (const uint8_t *)"transaction.");
    if (flags & 2) stun_put(w, STUN_USERNAME, text_of(name));
    bytes_put(w, attributes.p, attributes.n & ~(size_t)3);
    if (flags & 16) stun_put(w, STUN_USE_CANDIDATE, none);
    if (flags & 12) stun_finish(w, flags & 4 ? text_of(ice->pwd) : none);
    else bytes_w16_at(w, 2, (unsigned)(w->n - STUN_HEADER));
    return w->bad ? none : bytes_written(w);
}

static void fuzz_stun(struct rd in) {
    static struct ice ice;
    uint8_t bytes[BASE_DATAGRAM_IN];
    memset(&ice, 0, sizeof ice);
    strcpy(ice.ufrag, "0000abcd");
    strcpy(ice.pwd, "abcdefghijklmnopqrstuvwx");
    strcpy(ice.peer_ufrag, "them");
    for (int64_t now = 1; fuzz_more(&in); now++) {
        unsigned flags = bytes_r8(&in);
        struct wr w = bytes_wr(bytes, sizeof bytes);
        struct path path = {stun_addr(bytes_r8(&in) & 15), {0}};
        struct span s = fuzz_block(&in);
        if (!(flags & 1)) s = stun_make(&w, &ice, flags, s);
        if (s.n > BASE_DATAGRAM_IN) continue;
        s = fuzz_own(s);
        stun_one(&ice, &path, s, now);
        fuzz_free(s);
    }
}

/* ---- dtls: records to a server, fragments of a hello, and two of ours over a bad link ---- */

enum { LINK_QUEUE = 64, LINK_STEPS = 400 };

struct link {
    int n;
    size_t size[LINK_QUEUE];
    uint8_t bytes[LINK_QUEUE][BASE_DATAGRAM];
};

static void link_add(struct link *l, struct span s) {
    if (l->n == LINK_QUEUE) return;
    memcpy(l->bytes[l->n], s.p, s.n);
    l->size[l->n++] = s.n;
}

static void link_send(void *to, const struct path *path, const uint8_t *p, size_t n) {
    (void)path;
    must(n > 0 && n <= BASE_DATAGRAM);
    link_add(to, base_span(p, n));
}

static struct span link_take(struct link *l) {
    struct span s = fuzz_own(base_span(l->bytes[0], l->size[0]));
    memmove(l->bytes[0], l->bytes[1], sizeof l->bytes - sizeof l->bytes[0]);
    memmove(l->size, l->size + 1, sizeof l->size - sizeof l->size[0]);
    l->n--;
    return s;
}

static void dtls_peer(struct dtls *d, struct dtls_home *home, bool server, struct link *out) {
    char line[160];
    memset(d, 0, sizeof *d);
    out->n = 0;
    snprintf(line, sizeof line, "sha-256 %s", home->fingerprint);
    must(dtls_read_fingerprint(text_of(line), &d->peer_hash, d->peer_print));
    must(!dtls_open(d, home, server, (struct emit){link_send, out}));
}

static void dtls_records(struct dtls_home *home, struct rd in) {
    static struct link out;
    static struct dtls d;
    struct path path = {{0}, {0}};
    int64_t now = 1;
    dtls_peer(&d, home, true, &out);
    dtls_start(&d, &path, now);
    for (int i = 0; i < 64 && fuzz_more(&in); i++) {
        now += bytes_r8(&in) * 10 * BASE_MS;
        struct span s = fuzz_own(fuzz_block(&in));
        int64_t due = dtls_tick(&d, now);
        must(due > now);
        dtls_input(&d, s, now);
        must(d.state != DTLS_READY && d.hello.length <= DTLS_HELLO && !d.datagram.n);
        must((d.state == DTLS_FAILED) == (d.why != NULL));
        fuzz_free(s);
    }
    dtls_close(&d, now);
}

static struct span dtls_fragment(struct wr *w, struct span body, uint16_t seq, size_t at, size_t n) {
    bytes_put(w, "\x16\xfe\xff\0\0\0\0\0\0\0\1", 11);
    bytes_w16(w, (unsigned)(DTLS_HANDSHAKE_HEADER + n));
    bytes_w8(w, 1);
    bytes_w24(w, (uint32_t)body.n);
    bytes_w16(w, seq);
    bytes_w24(w, (uint32_t)at);
    bytes_w24(w, (uint32_t)n);
    bytes_put(w, body.p + at, n);
    return fuzz_own(bytes_written(w));
}

/* Fragments of one message, in any order, overlapping or twice: whole exactly when every byte has come. */
static void dtls_fragments(struct rd in) {
    static struct dtls d;
    static uint8_t bytes[DTLS_HELLO + 64], seen[DTLS_HELLO];
    size_t n = bytes_r16(&in) % DTLS_HELLO + 1, count = 0;
    struct span rest = fuzz_take(&in, bytes_left(&in) / 2), body;
    for (size_t i = 0; i < n; i++) bytes[i] = rest.n ? (uint8_t)(rest.p[i % rest.n] + i / rest.n) : (uint8_t)i;
    body = fuzz_own(base_span(bytes, n));
    memset(&d, 0, sizeof d);
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 200 && fuzz_more(&in); i++) {
        struct wr w = bytes_wr(bytes, sizeof bytes);
        size_t at = bytes_r16(&in) % n, part = bytes_r8(&in) * (size_t)16 + 1;
        if (part > n - at) part = n - at;
        struct span s = dtls_fragment(&w, body, 7, at, part);
        must(dtls_is_hello_fragment(s) == (part != n));
        struct span whole = dtls_gather(&d, s);
        for (size_t k = at; k < at + part; k++) count += !seen[k], seen[k] = 1;
        must((count == n) == (whole.n != 0));
        if (whole.n) {
            must(whole.n == n + 25 && !memcmp(whole.p + 25, body.p, n) && !dtls_is_hello_fragment(whole));
            memset(seen, 0, sizeof seen);
            count = 0;
        }
        fuzz_free(s);
    }
    fuzz_free(body);
}

/* One datagram passes the bad link. Returns true when it was changed, so that nothing is promised any more. */
static bool link_pass(struct dtls *to, struct link *back, struct span s, struct rd *in, int64_t now, int *lost) {
    unsigned what = bytes_left(in) ? bytes_r8(in) : 0;
    struct rd head = bytes_rd(s);
    uint8_t bytes[BASE_DATAGRAM + 64];
    switch (what & 7) {
    case 1: /* lost; after many losses the handshake may give up */
        if (++*lost > 2) break;
        return false;
    case 2: dtls_input(to, s, now); break;
    case 3:
        if (s.n) ((uint8_t *)(uintptr_t)s.p)[(what >> 3) * s.n / 32] ^= (uint8_t)(1 << (what >> 5));
        dtls_input(to, s, now);
        return true;
    case 4: dtls_input(to, base_span(s.p, s.n * (what >> 3) / 32), now); return true;
    case 5: /* a hello in two pieces */
        bytes_take(&head, 13);
        if (s.n < 40 || s.p[0] != 22 || bytes_r8(&head) != 1 || s.p[3] || s.p[4] || !to->server) break;
        struct span body = base_span(s.p + 25, s.n - 25);
        size_t cut = 1 + (what >> 3) * (body.n - 2) / 32;
        for (int k = 0; k < 2; k++) {
            struct wr w = bytes_wr(bytes, sizeof bytes);
            struct span part =
                dtls_fragment(&w, body, (uint16_t)(s.p[17] << 8 | s.p[18]), k ? cut : 0, k ? body.n - cut : cut);
            dtls_input(to, part, now);
            fuzz_free(part);
        }
        return false;
    case 6: link_add(back, s); return false; /* the next ones overtake it */
    default: break;
    }
    dtls_input(to, s, now);
    return false;
}

static void dtls_pair(struct dtls_home *home, struct rd in) {
    static struct link queue[2];
    static struct dtls d[2];
    struct path path = {{0}, {0}};
    int64_t now = 1;
    bool changed = false;
    int lost = 0, steps = 0;
    for (int i = 0; i < 2; i++) dtls_peer(&d[i], home, i, &queue[i]);
    for (int i = 1; i >= 0; i--) dtls_start(&d[i], &path, now);
    for (; steps < LINK_STEPS &&
           (d[0].state == DTLS_HANDSHAKING || d[1].state == DTLS_HANDSHAKING || queue[0].n || queue[1].n);
         steps++) {
        int from = queue[0].n ? 0 : 1;
        if (!queue[from].n) {
            int64_t a = dtls_tick(&d[0], now), b = dtls_tick(&d[1], now), next = base_min(a, b);
            if (queue[0].n || queue[1].n) continue;
            if (next == BASE_NEVER) break;
            must(next > now);
            now = next;
            continue;
        }
        struct span s = link_take(&queue[from]);
        changed |= link_pass(&d[!from], &queue[from], s, &in, now, &lost);
        fuzz_free(s);
    }
    bool both = d[0].state == DTLS_READY && d[1].state == DTLS_READY;
    must(changed || both);
    if (both) must(d[0].have_keys && d[1].have_keys && !memcmp(d[0].keys, d[1].keys, DTLS_KEYS));
    dtls_close(&d[0], now);
    if (both && !changed) {
        must(queue[0].n == 1);
        struct span s = link_take(&queue[0]);
        dtls_input(&d[1], s, now);
        must(d[1].state == DTLS_CLOSED);
        fuzz_free(s);
    }
    dtls_close(&d[1], now);
}

static void fuzz_dtls(struct rd in) {
    static struct crypt crypt;
    static struct dtls_home home;
    static bool open;
    if (!open) must(!crypt_open(&crypt) && !dtls_home_open(&home, &crypt));
    open = true;
    world_seed(&crypt);
    switch (bytes_r8(&in) & 3) {
    case 0: dtls_records(&home, in); break;
    case 1: dtls_fragments(in); break;
    default: dtls_pair(&home, in); break;
    }
}

/* ---- rtcp ---- */

static void rtcp_check(const struct rtcp_packet *p, uint32_t ssrc) {
    struct rtcp_report report;
    int n = 0;
    while (rtcp_report(p, n, &report)) {
        must(++n <= 31);
        must(report.lost_total >= -(1 << 23) && report.lost_total < 1 << 23);
    }
    if (rtcp_whole(p) && (p->type == RTCP_SR || p->type == RTCP_RR)) must(n == p->count);
    must(rtcp_remb(p) < 1ull << 58);
    uint32_t reference;
    if (rtcp_reference_time(p, &reference)) must(p->type == RTCP_XR && p->body.n >= 12);
    if (rtcp_wants_keyframe(p, ssrc)) must(p->type == RTCP_PSFB && (p->count == RTCP_PLI || p->count == RTCP_FIR));
}

static void rtcp_datagram(struct span s) {
    struct rtcp_packet p;
    struct span all = s, rest = s;
    int more;
    while ((more = rtcp_next(&rest, &p)) > 0) {
        must(rest.n < s.n && rest.p + rest.n == all.p + all.n && fuzz_inside(p.body, base_span(s.p, s.n - rest.n)));
        must(p.count < 32 && p.type >= 192 && p.type < 224);
        rtcp_check(&p, 0x01020304);
        /* cut inside a packet, it is none */
        for (size_t n = 1; n < s.n - rest.n; n++) {
            struct span part = base_span(s.p, n);
            struct rtcp_packet q;
            must(rtcp_next(&part, &q) == -1);
        }
        s = rest;
    }
    must(more < 0 || !rest.n);
}

/* What we write, we can read. */
static void rtcp_written(struct rd in) {
    uint8_t bytes[256];
    char cname[BASE_NAME + 1];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    struct rtcp_packet p;
    uint32_t ssrc = bytes_r32(&in);
    uint64_t ntp = rtcp_ntp((int64_t)bytes_take_uint(&in, 6));
    text_copy(cname, sizeof cname, fuzz_take(&in, bytes_r8(&in) % (BASE_NAME + 1)));
    size_t n = strlen(cname);
    rtcp_put_sr(&w, ssrc, ntp, bytes_r32(&in), 5, 6);
    rtcp_put_sdes(&w, ssrc, cname);
    rtcp_put_bye(&w, ssrc, cname);
    must(!w.bad);
    struct span s = bytes_written(&w);
    static const uint8_t types[] = {RTCP_SR, RTCP_SDES, RTCP_RR, RTCP_SDES, RTCP_BYE};
    for (int i = 0; i < 5; i++) {
        must(rtcp_next(&s, &p) == 1 && p.type == types[i] && p.sender == ssrc && rtcp_whole(&p));
        if (p.type == RTCP_SDES)
            must(p.body.n >= n + 3 && p.body.p[1] == n && !memcmp(p.body.p + 2, cname, n) && !p.body.p[n + 2]);
    }
    must(rtcp_next(&s, &p) == 0);
}

/* ---- sdp: an offer and our answer to it ---- */

static bool sdp_in_group(struct span group, struct span mid) {
    while (group.n)
        if (text_same(text_word(&group), mid)) return true;
    return false;
}

static void sdp_check_answer(struct span text, const struct sdp_offer *offer, const struct sdp_answer *a) {
    struct sdp_offer o;
    const char *why;
    struct span lines = text;
    while (lines.n) { /* every line ends in CR LF and holds no other control character */
        struct span line = text_cut(&lines, '\n');
        must(line.n > 2 && line.p[line.n - 1] == '\r' && line.p[1] == '=');
    }
    must(!sdp_read(text, &o, &why) && o.count == offer->count);
    for (int i = 0; i < o.count; i++) {
        const struct sdp_section *s = &o.section[i], *from = &offer->section[i];
        must(text_same(s->kind, from->kind) && text_same(s->protocol, from->protocol) && text_same(s->mid, from->mid));
        must(s->offered == (i == a->section));
        must(s->direction == (i == a->section ? SDP_SENDONLY : SDP_INACTIVE));
        if (i != a->section) continue;
        must(s->codec_count == 1 + (a->rtx != NULL) && s->codec[0].pt == a->codec->pt && s->codec[0].h264 && s->mux);
        if (a->rtx) must(s->codec[1].pt == a->rtx->pt && s->codec[1].rtx && s->codec[1].apt == a->codec->pt);
        must(!a->rtx || (s->codec[0].feedback & SDP_NACK && a->rtx->pt != a->codec->pt));
        must(s->codec[0].mode == a->codec->mode && s->codec[0].profile == a->codec->profile);
        must(!(s->codec[0].feedback & ~a->codec->feedback) && s->rsize == from->rsize);
        must(text_is(s->transport.ufrag, a->ufrag) && text_is(s->transport.pwd, a->pwd));
        must(s->transport.setup == (a->server ? SDP_PASSIVE : SDP_ACTIVE));
        /* who offered to receive only is told that we send only, which our reader takes for none */
        bool send_time = a->rtx && !from->abs_send_time_oneway;
        must(s->abs_send_time == (send_time ? from->abs_send_time : 0));
        must(s->playout_delay == (from->playout_delay_oneway ? 0 : from->playout_delay));
    }
    struct span group = o.bundle;
    while (group.n) must(sdp_in_group(offer->bundle, text_word(&group)));
}

/* The answer for one profile, or nothing. */
static size_t sdp_answer_to(const struct sdp_offer *o, uint32_t profile, uint8_t *bytes, size_t cap) {
    static const struct wcam_addr here[2] = {{4, 8080, {192, 0, 2, 1}}, {6, 8080, {0x20, 1, 0xd, 0xb8}}};
    const char *why;
    struct sdp_answer a = {.session = 1,
                           .ssrc = 2,
                           .rtx_ssrc = 3,
                           .cname = "cname",
                           .ufrag = "0000abcd",
                           .pwd = "abcdefghijklmnopqrstuvwx",
                           .fingerprint = "AB:CD",
                           .name = "cam",
                           .candidate = here,
                           .candidates = 2};
    a.section = sdp_choose(o, profile, &why);
    must(a.section >= 0 || (why && *why));
    if (a.section < 0) return 0;
    const struct sdp_section *s = &o->section[a.section];
    uint8_t hash[CRYPT_HASH_MAX];
    mbedtls_md_type_t kind;
    dtls_read_fingerprint(s->transport.fingerprint, &kind, hash);
    a.codec = sdp_best(s, profile);
    a.rtx = sdp_rtx(s, a.codec);
    a.server = sdp_we_serve(s);
    must(a.codec && a.codec->h264 && a.codec->mode <= 1 && s->transport.ufrag.n >= 4 && s->transport.ufrag.n <= 256);
    struct wr w = bytes_wr(bytes, cap);
    must(sdp_write(&w, o, &a) == !w.bad && w.n <= cap);
    if (w.bad) return 0;
    struct span text = fuzz_own(bytes_written(&w));
    sdp_check_answer(text, o, &a);
    fuzz_free(text);
    return w.n;
}

/* LF becomes CR LF where it stands alone. */
static struct span sdp_crlf(struct span text) {
    uint8_t *p = malloc(text.n * 2 + 1);
    size_t n = 0;
    must(p);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n' && (!i || text.p[i - 1] != '\r')) p[n++] = '\r';
        p[n++] = text.p[i];
    }
    return base_span(p, n);
}

static void fuzz_sdp(struct rd in) {
    static const uint32_t profiles[] = {0, 0x42e01f, 0x4d401f, 0x640028};
    static uint8_t bytes[2][BASE_SDP];
    static struct sdp_offer o, same;
    const char *why = NULL;
    unsigned flags = bytes_r8(&in);
    uint32_t profile = profiles[flags & 3];
    size_t cap = flags & 4 ? bytes_r8(&in) * 8u : sizeof bytes[0];
    struct span s = fuzz_own(fuzz_take(&in, BASE_SDP)), crlf = sdp_crlf(s);
    int rc = sdp_read(s, &o, &why);
    must(rc ? why && *why : o.count > 0 && o.count <= SDP_SECTIONS);
    must(sdp_read(crlf, &same, &why) == rc);
    for (int i = 0; !rc && i < o.count; i++) {
        const struct sdp_section *p = &o.section[i];
        must(p->codec_count >= 0 && p->codec_count <= SDP_CODECS && p->kind.n && p->protocol.n && p->format.n);
        must(fuzz_inside(p->mid, s) && fuzz_inside(p->transport.ufrag, s) && fuzz_inside(p->transport.pwd, s));
        must(p->abs_send_time >= 0 && p->abs_send_time < 15 && p->playout_delay >= 0 && p->playout_delay < 15);
    }
    if (!rc) {
        size_t n = sdp_answer_to(&o, profile, bytes[0], cap), m = sdp_answer_to(&same, profile, bytes[1], cap);
        must(n == m && !memcmp(bytes[0], bytes[1], n));
    }
    fuzz_free(s);
    fuzz_free(crlf);
}

/* ---- http: heads and chunked bodies; what comes later never changes a verdict ---- */

/* The verdict on the first n bytes, in a block of their own. */
static int http_verdict(struct span s, size_t n, struct http_req *q) {
    struct span part = fuzz_own(base_span(s.p, n));
    int rc = http_read(part, q);
    must(rc >= -1 && rc <= (int)n);
    if (rc <= 0) {
        fuzz_free(part);
        return rc;
    }
    must(rc >= 4 && !memcmp(part.p + rc - 4, "\r\n\r\n", 4) && fuzz_inside(q->method, part) &&
         fuzz_inside(q->target, part) && fuzz_inside(q->authority, part));
    must(q->fields >= 0 && q->fields <= HTTP_FIELDS && q->minor >= 0 && q->minor <= 9 &&
         !(q->chunked && q->has_length));
    must(q->method.n && q->target.n && (!q->minor || http_header(q, "host").p));
    for (int i = 0; i < q->fields; i++) {
        must(q->field[i].name.n && fuzz_inside(q->field[i].name, part) && fuzz_inside(q->field[i].value, part));
        must(!memchr(q->field[i].value.p, '\n', q->field[i].value.n) &&
             !memchr(q->field[i].value.p, '\r', q->field[i].value.n));
    }
    fuzz_free(part);
    return rc;
}

static void http_prefixes(struct span s) {
    static struct http_req q;
    size_t step = 1 + s.n / 300;
    int verdict = 0, status = 0;
    for (size_t n = 0; n <= s.n; n = n < s.n && n + step > s.n ? s.n : n + step) {
        int rc = http_verdict(s, n, &q);
        if (rc < 0) must(q.status >= 400 && q.why && fuzz_status(q.status));
        if (verdict) {
            must(rc == verdict);
            must(rc > 0 || q.status == status);
        } else if (rc) {
            verdict = rc;
            status = q.status;
        }
    }
}

/* A chunked body as it comes in: what is held, and how much of it is decoded. */
struct http_chunks {
    uint8_t *p;
    size_t n, body;
    int result;
};

/* step bytes at a time, 0: all at once; the block always has the exact size of what is held. */
static struct http_chunks http_feed(struct span s, size_t step) {
    struct http_chunks c = {malloc(1), 0, 0, 0};
    must(c.p);
    for (size_t used = 0, more; !c.result && used <= s.n; used += more) {
        more = step && step < s.n - used ? step : s.n - used;
        size_t body = c.body, held = c.n + more;
        uint8_t *grown = malloc(held ? held : 1);
        must(grown);
        memcpy(grown, c.p, c.n);
        if (more) memcpy(grown + c.n, s.p + used, more);
        free(c.p);
        c.p = grown;
        c.n = held;
        c.result = http_unchunk(c.p, &c.n, &c.body);
        must(c.result >= -2 && c.result <= 1 && c.body >= body && c.body <= HTTP_BODY);
        if (c.result >= 0) must(c.body <= c.n && c.n <= held);
        if (!c.result) must(c.n - c.body <= HTTP_BODY + HTTP_HEAD + HTTP_CHUNK_LINE + 4); /* it waits for no more */
        if (!more) break;
    }
    return c;
}

/* However the bytes come, the same body comes out, and the same bytes are left for the next request. */
static void http_chunked(struct span s, size_t step) {
    struct http_chunks whole = http_feed(s, 0), parts = http_feed(s, step ? step : 1);
    must(whole.result == parts.result);
    if (whole.result >= 0) must(whole.body == parts.body && !memcmp(whole.p, parts.p, whole.body));
    if (!whole.result) must(whole.n == parts.n && !memcmp(whole.p, parts.p, whole.n));
    if (whole.result == 1) { /* what parts has not read yet stands behind it as it came */
        struct span rest = base_span(whole.p + whole.body, whole.n - whole.body);
        struct span begun = base_span(parts.p + parts.body, parts.n - parts.body);
        must(begun.n <= rest.n && !memcmp(begun.p, rest.p, begun.n));
        must(!memcmp(rest.p, s.p + s.n - rest.n, rest.n));
    }
    free(whole.p);
    free(parts.p);
}

static void fuzz_http(struct rd in) {
    static struct http_req q;
    unsigned kind = bytes_r8(&in);
    struct span s = fuzz_take(&in, 3 * HTTP_HEAD);
    if (kind & 1) {
        http_chunked(s, kind >> 1);
        return;
    }
    http_prefixes(s);
    int n = http_verdict(s, s.n, &q);
    if (n > 0) http_chunked(base_span(s.p + n, s.n - (size_t)n), kind >> 1);
}

/* ---- h264: NAL units in any chunking, parameter sets, slices ---- */

static bool h264_has_zeros(struct span nal) {
    static const uint8_t zeros[3];
    return fuzz_find(nal, base_span(zeros, 3)).p != NULL;
}

static void h264_check_sets(const struct h264_sets *t) {
    size_t at = 0;
    must(t->count >= 0 && t->count <= H264_SETS && t->raw_n <= H264_RAW);
    for (int i = 0; i < t->count; i++) {
        must(t->set[i].at == at && t->set[i].n && (t->raw[at] & 31) == t->set[i].type);
        must(t->set[i].type == H264_SPS ? t->sps[t->set[i].id].known : t->pps[t->set[i].id].known);
        at += t->set[i].n;
        for (int k = 0; k < i; k++) must(t->set[i].type != t->set[k].type || t->set[i].id != t->set[k].id);
    }
    must(at == t->raw_n);
    int known = 0; /* what slices may refer to can be sent to who joins */
    for (int i = 0; i < H264_SPS_IDS; i++) known += t->sps[i].known;
    for (int i = 0; i < H264_PPS_IDS; i++) known += t->pps[i].known;
    must(known == t->count);
    for (int i = 0; i < H264_SPS_IDS; i++) {
        const struct h264_sps *s = &t->sps[i];
        if (!s->known) continue;
        must(s->width > 0 && s->width <= H264_SIDE && s->height > 0 && s->height <= H264_SIDE);
        must(s->chroma_format <= 3 && s->bit_depth >= 8 && s->bit_depth <= 14 && s->poc_type <= 2);
        must(s->frame_num_bits >= 4 && s->frame_num_bits <= 16 && s->poc_lsb_bits <= 16);
    }
}

static void h264_parse(struct h264_sets *t, struct h264_border *border, struct span from) {
    struct span nal = fuzz_own(from);
    struct h264_slice s;
    unsigned type = h264_type(nal);
    if (type == H264_SPS || type == H264_PPS) {
        enum h264_stored got = h264_store(t, nal);
        h264_check_sets(t);
        if (got == H264_NEW) must(h264_store(t, nal) == H264_SAME);
    }
    h264_begins(border, t, nal);
    if (h264_read_slice(t, nal, &s)) must(s.known && s.type <= 4 && t->pps[s.pps].known && (!s.bottom || s.field));
    fuzz_free(nal);
}

/* The same NAL units come out of the whole and out of its chunks. */
static void h264_chunks(struct rd in) {
    static struct h264_sets sets;
    struct h264_border border = {0};
    size_t cut[64], cuts = bytes_r8(&in) % 64, capped = 16 + bytes_r16(&in), used = 0, i = 0;
    for (size_t k = 0; k < cuts; k++) cut[k] = bytes_r8(&in);
    struct span all = fuzz_own(fuzz_take(&in, bytes_left(&in))), whole = all;
    struct h264_split split = {.buf = malloc(capped), .cap = capped};
    bool end = false;
    must(split.buf);
    memset(&sets, 0, sizeof sets);
    for (;;) {
        struct span nal = h264_split_next(&split, end);
        must(split.at <= split.scan && split.scan <= split.n && split.n <= split.cap);
        if (!nal.n && end) break;
        if (nal.n) {
            must(fuzz_inside(nal, base_span(split.buf, split.n)) && nal.p[nal.n - 1]);
            must(!h264_has_zeros(nal)); /* B.1: it ends there */
            h264_parse(&sets, &border, nal);
            if (split.too_large) continue;
            struct span same = h264_next(&whole);
            must(text_same(nal, same));
            continue;
        }
        size_t room;
        uint8_t *p = h264_room(&split, &room);
        must(room > 0 && p + room == split.buf + split.cap);
        size_t n = cuts ? cut[i++ % cuts] + 1 : room;
        if (n > room) n = room;
        if (n > all.n - used) n = all.n - used;
        if (n) memcpy(p, all.p + used, n);
        used += n;
        h264_fed(&split, n);
        end = used == all.n;
    }
    if (!split.too_large) must(!h264_next(&whole).n);
    for (whole = all; h264_next(&whole).n;) must(fuzz_inside(whole, all));
    free(split.buf);
    fuzz_free(all);
}

/* ---- media: access units into a small history, and out of it again ---- */

static void media_check(const struct media *m) {
    must(m->oldest <= m->head && m->head <= m->next && m->next - m->oldest <= MEDIA_SLOTS && m->write <= m->cap);
    must(m->open || m->head == m->next);
    must(m->gop == MEDIA_NONE || m->gop < m->next);
    int wraps = 0;
    for (uint64_t i = m->oldest; i < m->next; i++) {
        const struct media_packet *p = media_at(m, i), *q = media_at(m, i + 1);
        must(p->n && p->n <= RTP_PAYLOAD && p->at + p->n <= m->cap);
        if (i + 1 == m->next) break;
        must(q->time >= p->time);
        wraps += q->at < p->at;
        must(q->at < p->at || p->at + p->n <= q->at);
        must(!(q->flags & MEDIA_FIRST) == !(p->flags & MEDIA_LAST));
    }
    must(wraps <= 1);
    if (wraps) must(media_at(m, m->next - 1)->at + media_at(m, m->next - 1)->n <= media_at(m, m->oldest)->at);
    if (media_joinable(m)) must((media_at(m, m->gop)->flags & (MEDIA_KEY | MEDIA_FIRST)) == (MEDIA_KEY | MEDIA_FIRST));
    must(media_reason(m) && media_state(m) && media_codec(m));
}

enum { UNPACK_NALS = 32 * 1024 };

/* Takes payloads apart again (RFC 6184); the NAL units of one access unit, one after the other. */
struct unpack {
    uint8_t bytes[256 * 1024];
    size_t n, at[UNPACK_NALS], size[UNPACK_NALS];
    int count;
    bool open;
};

static void unpack_begin(struct unpack *u) {
    must(!u->open && u->count < UNPACK_NALS);
    u->at[u->count] = u->n;
    u->size[u->count] = 0;
}

static void unpack_put(struct unpack *u, const uint8_t *p, size_t n) {
    must(u->n + n <= sizeof u->bytes);
    memcpy(u->bytes + u->n, p, n);
    u->n += n;
    u->size[u->count] += n;
}

static void unpack_payload(struct unpack *u, struct span s) {
    unsigned type = s.p[0] & 31;
    if (type == RTP_STAP_A) {
        struct rd r = bytes_rd(base_span(s.p + 1, s.n - 1));
        while (bytes_left(&r)) {
            struct span nal = bytes_take(&r, bytes_r16(&r));
            must(!r.bad && nal.n);
            unpack_begin(u);
            unpack_put(u, nal.p, nal.n);
            u->count++;
        }
    } else if (type == RTP_FU_A) {
        must(s.n > 2 && (s.p[1] & 0xc0) != 0xc0 && !(s.p[1] & 0x20));
        if (s.p[1] & 0x80) {
            uint8_t head = (uint8_t)((s.p[0] & 0xe0) | (s.p[1] & 31));
            unpack_begin(u);
            unpack_put(u, &head, 1);
            u->open = true;
        }
        must(u->open);
        unpack_put(u, s.p + 2, s.n - 2);
        if (s.p[1] & 0x40) u->open = false, u->count++;
    } else {
        must(type > 0 && type < 24);
        unpack_begin(u);
        unpack_put(u, s.p, s.n);
        u->count++;
    }
}

/* The slices of the newest access unit are those that were pushed, as far as they are kept, in order. */
static void media_check_unit(const struct media *m, struct span unit) {
    static struct unpack u;
    uint64_t from = m->unit;
    u.n = 0;
    u.count = 0;
    u.open = false;
    if (from < m->oldest) return;
    for (uint64_t i = from; i < m->next; i++) {
        const struct media_packet *p = media_at(m, i);
        must(!(p->flags & MEDIA_FIRST) == (i != from) && !(p->flags & MEDIA_LAST) == (i + 1 != m->next));
        unpack_payload(&u, base_span(m->bytes + p->at, p->n));
    }
    must(!u.open);
    struct span nal = base_span(NULL, 0);
    for (int i = 0; i < u.count; i++) {
        struct span got = base_span(u.bytes + u.at[i], u.size[i]);
        unsigned type = h264_type(got);
        must(type == H264_SLICE || type == H264_IDR || type == H264_SPS || type == H264_PPS);
        if (type == H264_SPS || type == H264_PPS) continue;
        do nal = h264_next(&unit), must(nal.n);
        while (!text_same(nal, got));
    }
}

/* 0: an access unit; 1: its last NAL unit made longer; 2: NAL units one by one; 3: a break. */
static void h264_media(struct rd in) {
    static uint8_t history[MEDIA_HISTORY_MIN], unit[UINT16_MAX + 256 * 600];
    static struct media_packet packets[MEDIA_SLOTS];
    static struct media m;
    static uint64_t drops[DROP_COUNT];
    int64_t now = 1;
    memset(&m, 0, sizeof m);
    m.kind = "push";
    media_start(&m, history, sizeof history, packets, drops);
    for (int i = 0; i < 200 && fuzz_more(&in); i++) {
        unsigned what = bytes_r8(&in);
        now += 1 + bytes_r8(&in) * 10 * BASE_MS;
        size_t longer = what & 1 ? (bytes_r8(&in) + 1) * 600u : 0;
        struct span s = fuzz_block(&in);
        uint64_t before = m.next;
        memcpy(unit, s.p, s.n);
        memset(unit + s.n, 0x5a, longer);
        s = fuzz_own(base_span(unit, s.n + longer));
        struct span rest = s, nal;
        if ((what & 6) == 6) media_break(&m);
        else if ((what & 6) == 2) {
            media_begin(&m, now);
            for (int k = 0; (nal = h264_next(&rest)).n; k++) {
                media_nal(&m, nal);
                if (k < 20) media_check(&m); /* it looks at all packets */
            }
            if (what & 8) media_end(&m);
        } else {
            bool pushed = media_push(&m, s, now);
            must(pushed == (h264_next(&rest).n > 0) && !(pushed && m.open));
            if (m.next > before) media_check_unit(&m, s);
        }
        if (what & 16) media_ask_key(&m, now);
        media_check(&m);
        h264_check_sets(&m.sets);
        fuzz_free(s);
    }
}

static void fuzz_h264(struct rd in) {
    if (bytes_r8(&in) & 1) h264_media(in);
    else h264_chunks(in);
}

/* ---- intake: a byte stream in any chunking and at any pace ---- */

enum { INTAKE_BUFFER = 64 * 1024, INTAKE_STEPS = 60 };

/* Memory of two streams: what came by intake, and what it is compared with. */
static struct {
    struct media m[2];
    uint8_t history[2][MEDIA_HISTORY_MIN], buffer[INTAKE_BUFFER], unit[2 * INTAKE_BUFFER];
    struct media_packet packets[2][MEDIA_SLOTS];
    uint64_t drops[2][DROP_COUNT];
    struct intake in;
    int64_t now;
} taken;

static void intake_reset(void) {
    memset(&taken.m, 0, sizeof taken.m);
    memset(&taken.drops, 0, sizeof taken.drops);
    for (int i = 0; i < 2; i++) {
        taken.m[i].kind = "push";
        media_start(&taken.m[i], taken.history[i], sizeof taken.history[i], taken.packets[i], taken.drops[i]);
    }
    intake_start(&taken.in, &taken.m[0], taken.buffer, sizeof taken.buffer);
    taken.now = BASE_S;
}

static void intake_check(void) {
    const struct intake *in = &taken.in;
    must(in->strikes <= INTAKE_STRIKES && in->pause == INTAKE_PAUSE << in->strikes);
    must(in->quiet == BASE_NEVER || (in->quiet <= taken.now + in->pause && in->strikes < INTAKE_STRIKES));
    must(taken.drops[0][DROP_H264_PAUSE] == in->strikes && in->split.n <= in->split.cap);
    must(in->split.at <= in->split.scan && in->split.scan <= in->split.n);
    media_check(&taken.m[0]);
    h264_check_sets(&taken.m[0].sets);
}

static void intake_feed(struct span s) {
    struct span own = fuzz_own(s);
    intake_bytes(&taken.in, own, taken.now);
    fuzz_free(own);
}

static void intake_wait(int64_t time) {
    taken.now += time;
    int64_t next = intake_tick(&taken.in, taken.now);
    must(next > taken.now);
}

/* A bit string of a slice's head. */
struct made_bits {
    uint64_t bits;
    int n;
};

static void made_u(struct made_bits *b, int n, unsigned v) {
    b->bits = b->bits << n | v;
    b->n += n;
}

static void made_ue(struct made_bits *b, unsigned v) {
    int n = 0;
    while ((v + 1) >> (n + 1)) n++;
    made_u(b, 2 * n + 1, v + 1);
}

/* A sequence parameter set of 4x4 macroblocks, Baseline, and a picture parameter set. */
static void made_sets(struct wr *w) {
    bytes_put(w, "\000\000\000\001\147\102\300\036\332\020\231\000\000\000\001\150\316\070\200", 19);
}

/* A slice says in its first bytes what it is part of: picture, slice, slices, size. Its bytes are never zero. */
static void made_slice(struct wr *w, bool idr, unsigned picture, unsigned slice, unsigned slices, size_t size) {
    struct made_bits b = {0, 0};
    size_t tag[] = {picture >> 7, picture, slice, slices, size >> 14, size >> 7, size};
    made_ue(&b, slice);
    made_ue(&b, idr ? 7 : 5);
    made_ue(&b, 0);
    made_u(&b, 4, idr ? 0 : picture & 15);
    if (idr) made_ue(&b, picture & 1);
    while (b.n < 40) made_u(&b, 1, 1);
    bytes_put(w, "\0\0\0\1", 4);
    bytes_w8(w, idr ? 0x65 : 0x41);
    bytes_put_uint(w, b.bits, 5);
    for (int i = 0; i < 7; i++) bytes_w8(w, (unsigned)(tag[i] & 127) | 128);
    for (size_t i = 0; i < size; i++) bytes_w8(w, 0x5a);
}

enum { MADE_HEAD = 1 + 5 + 7 };

struct made_tag {
    unsigned picture, slice, slices;
    bool whole;
};

static struct made_tag made_read(struct span nal) {
    const uint8_t *p = nal.p + 6;
    must(nal.n >= MADE_HEAD);
    size_t size = (size_t)(p[4] & 127) << 14 | (size_t)(p[5] & 127) << 7 | (p[6] & 127);
    must(nal.n <= MADE_HEAD + size);
    return (struct made_tag){(unsigned)(p[0] & 127) << 7 | (p[1] & 127), p[2] & 127, p[3] & 127,
                             nal.n == MADE_HEAD + size};
}

/* What viewers get of well-formed pictures: each from its first slice on; one that is not whole breaks off, and
 * nothing follows it but an IDR from its first slice on. */
static void made_check(uint64_t *checked, bool *broken, unsigned *cut) {
    static struct unpack u;
    const struct media *m = &taken.m[0];
    if (*checked < m->oldest) {
        *checked = m->oldest;
        while (*checked < m->head && !(media_at(m, *checked)->flags & MEDIA_FIRST)) ++*checked;
    }
    for (;;) {
        uint64_t end = *checked;
        while (end < m->head && !(media_at(m, end)->flags & MEDIA_LAST)) end++;
        if (end >= m->head) return;
        u.n = 0, u.count = 0, u.open = false;
        for (uint64_t i = *checked; i <= end; i++)
            unpack_payload(&u, base_span(m->bytes + media_at(m, i)->at, media_at(m, i)->n));
        bool key = media_at(m, *checked)->flags & MEDIA_KEY;
        struct made_tag last = {0, 0, 0, false};
        unsigned count = 0;
        for (int i = 0; i < u.count; i++) {
            struct span nal = base_span(u.bytes + u.at[i], u.size[i]);
            if (!intake_is_slice(nal)) continue;
            struct made_tag tag;
            if (nal.n < MADE_HEAD) { /* cut inside of the tag by a guess */
                must(i + 1 == u.count);
                last.whole = false;
                count++;
                break;
            }
            tag = made_read(nal);
            must(tag.slice == count && (!count || (last.whole && tag.picture == last.picture)));
            last = tag;
            count++;
        }
        must(count && (!*broken || key));
        *broken = !last.whole || count != last.slices;
        *cut += *broken;
        *checked = end + 1;
    }
}

/* Feeds a picture; where: the bytes of it after which the source pauses, 0: nowhere. */
static void made_feed(struct span s, size_t chunk, size_t where, int64_t pause) {
    for (size_t at = 0; at < s.n;) {
        size_t n = chunk && chunk < s.n - at ? chunk : s.n - at;
        if (where > at && where < at + n) n = where - at;
        intake_feed(base_span(s.p + at, n));
        at += n;
        if (at == where) intake_wait(pause);
    }
}

/* Pictures of ours, with pauses; flags: 1 AUD, 2 filler behind each slice, 4 parameter sets, 8 an IDR first. */
static void intake_made(struct rd in) {
    uint64_t checked = 0;
    bool broken = false, clean = true;
    unsigned picture = 0, cut = 0;
    for (int step = 0; step < INTAKE_STEPS && fuzz_more(&in); step++) {
        unsigned n = bytes_r8(&in) % 40, flags = bytes_r8(&in), slices = 1 + (flags >> 4 & 3);
        size_t size = bytes_r8(&in) * (flags & 64 ? 16u : 1u), chunk = bytes_r8(&in) * 8u, where = 0;
        unsigned pausing = bytes_r8(&in);
        if (flags & 128) where = bytes_r16(&in);
        for (unsigned i = 0; i < n; i++, picture++) {
            bool idr = flags & 8 && !i;
            struct wr w = bytes_wr(taken.unit, sizeof taken.unit);
            if (flags & 1) bytes_put(&w, "\0\0\0\1\x09\xf0", 6);
            if (flags & 4 || idr) made_sets(&w);
            for (unsigned k = 0; k < slices; k++) {
                made_slice(&w, idr, picture, k, slices, size);
                if (flags & 2) bytes_put(&w, "\0\0\1\x0c\xff\xff\x80", 7);
            }
            must(!w.bad);
            clean = clean && where % w.n < 4; /* a pause inside of the start code tells nothing */
            made_feed(bytes_written(&w), chunk, where % w.n, (pausing & 15) * BASE_MS);
            if (pausing & 16) intake_wait(33 * BASE_MS);
            made_check(&checked, &broken, &cut);
        }
        intake_check();
    }
    intake_flush(&taken.in);
    made_check(&checked, &broken, &cut);
    must(cut <= taken.in.strikes + 1);
    if (clean) must(!taken.in.strikes && !cut);
}

/* Without pauses the same packets come out as when whole access units are pushed. */
static void intake_same(struct rd in) {
    static struct h264_sets sets;
    struct h264_border border = {0};
    size_t cut[16], cuts = bytes_r8(&in) % 16, i = 0;
    for (size_t k = 0; k < cuts; k++) cut[k] = bytes_r8(&in) + 1u;
    struct span all = fuzz_own(fuzz_take(&in, INTAKE_BUFFER - 16)), rest = all, nal;
    struct wr w = bytes_wr(taken.unit, sizeof taken.unit);
    memset(&sets, 0, sizeof sets);
    for (size_t at = 0, n; at < all.n; at += n) {
        n = cuts ? cut[i++ % cuts] : all.n;
        if (n > all.n - at) n = all.n - at;
        intake_feed(base_span(all.p + at, n));
        must(intake_tick(&taken.in, taken.now) > taken.now);
    }
    intake_flush(&taken.in);
    while ((nal = h264_next(&rest)).n) {
        if (h264_begins(&border, &sets, nal)) {
            must(media_push(&taken.m[1], bytes_written(&w), taken.now));
            w.n = 0;
        }
        bool set = h264_type(nal) == H264_SPS || h264_type(nal) == H264_PPS;
        if (set && nal.n > 1 && !(nal.p[0] & 0x80)) h264_store(&sets, nal);
        bytes_put(&w, "\0\0\1", 3);
        bytes_put(&w, nal.p, nal.n);
        must(!w.bad);
    }
    if (w.n) media_push(&taken.m[1], bytes_written(&w), taken.now);
    intake_check();
    const struct media *a = &taken.m[0], *b = &taken.m[1];
    must(a->next == b->next && a->head == b->head && a->oldest == b->oldest && a->gop == b->gop);
    must(a->frames == b->frames && a->keys == b->keys && a->seen == b->seen && a->policy == b->policy);
    must(!memcmp(taken.drops[0], taken.drops[1], sizeof taken.drops[0]));
    for (uint64_t k = a->oldest; k < a->next; k++) {
        const struct media_packet *p = media_at(a, k), *q = media_at(b, k);
        must(p->n == q->n && p->flags == q->flags && p->time == q->time);
        must(!memcmp(a->bytes + p->at, b->bytes + q->at, p->n));
    }
    fuzz_free(all);
}

/* Any bytes, any pauses; flags & 4: behind pictures that made the source trusted. */
static void intake_any(struct rd in, unsigned flags) {
    for (unsigned i = 0; flags & 4 && i < INTAKE_STEADY + 3; i++) {
        struct wr w = bytes_wr(taken.unit, sizeof taken.unit);
        if (!i) made_sets(&w);
        made_slice(&w, !i, i, 0, 1, 5);
        intake_feed(bytes_written(&w));
        taken.now += 33 * BASE_MS;
    }
    for (int i = 0; i < 200 && fuzz_more(&in); i++) {
        unsigned what = bytes_r8(&in);
        intake_feed(what & 128 ? fuzz_block(&in) : fuzz_take(&in, what & 15));
        intake_check();
        if (what & 16) intake_wait((what >> 5 & 3) * 3 * BASE_MS);
        intake_check();
    }
    intake_end(&taken.in);
    intake_check();
    must(!taken.m[0].open && taken.m[0].ended);
}

static void fuzz_intake(struct rd in) {
    unsigned flags = bytes_r8(&in);
    intake_reset();
    switch (flags & 3) {
    case 0: intake_any(in, flags); break;
    case 1: intake_same(in); break;
    default: intake_made(in); break;
    }
}

/* ---- rtcp with a state: a true sender, its stream, and a browser that asks for whatever the input says ---- */

enum { FEED_HISTORY = 512 * 1024, FEED_PACKETS = 70000, FEED_STEPS = 300 };

/* What went out under a sequence number. */
struct feed_sent {
    uint32_t run, timestamp, crc, payload;
    int64_t repeated;
    uint16_t n;
    bool marker;
};

static struct feed {
    uint32_t run; /* which input: what is remembered of others counts nothing */
    struct sender s;
    struct media m;
    struct seal peer;
    int64_t now, begun, rate; /* rate: the highest so far */
    bool asked;               /* feedback is under way: nothing new may leave, only repetitions */
    uint32_t newest;          /* the sender's seq behind the newest packet: what leaves without moving it is repeated */
    bool started, marker, rtx_started;
    uint16_t rtx_seq;
    uint32_t timestamp, packets, octets, resent, emitted;
    uint64_t spent;
    unsigned picture;
    uint64_t drops[DROP_COUNT];
} feed;

static struct {
    struct feed_sent sent[65536];
    uint8_t history[FEED_HISTORY], unit[FEED_HISTORY];
    struct media_packet packets[MEDIA_SLOTS];
} feed_memory;

static void feed_new(const struct rtp_packet *h, struct span s, size_t payload) {
    const struct media_packet *p = media_at(&feed.m, feed.s.cursor);
    struct feed_sent *sent = &feed_memory.sent[h->seq];
    uint32_t ahead = h->timestamp - feed.timestamp;
    feed.newest = feed.s.seq;
    must(!feed.asked && h->seq == (uint16_t)(feed.s.seq - 1) && h->pt == feed.s.pt && payload == p->n);
    must(h->marker == !!(p->flags & MEDIA_LAST));
    if (feed.started && feed.marker) must(ahead > 0 && ahead < 1u << 31);
    if (feed.started && !feed.marker && ahead) must(p->flags & MEDIA_FIRST);
    *sent = (struct feed_sent){feed.run, h->timestamp, bytes_crc32(s), 0, INT64_MIN, (uint16_t)s.n, h->marker};
    sent->payload = bytes_crc32(base_span(feed.m.bytes + p->at, p->n));
    feed.started = true;
    feed.marker = h->marker;
    feed.timestamp = h->timestamp;
    feed.packets++;
    feed.octets += p->n;
}

/* Repeated: after at least 10 ms, and byte by byte what it was, or the same payload by RTX. */
static void feed_repeated(const struct rtp_packet *h, struct span s, struct span plain) {
    bool rtx = feed.s.rtx_pt != 0;
    struct rd r = bytes_rd(plain);
    uint16_t seq = rtx ? (uint16_t)bytes_r16(&r) : h->seq;
    struct feed_sent *sent = &feed_memory.sent[seq];
    must(sent->run == feed.run && (rtx ? h->pt == feed.s.rtx_pt : h->pt == feed.s.pt));
    must(h->timestamp == sent->timestamp && h->marker == sent->marker);
    must(sent->repeated == INT64_MIN || feed.now / BASE_MS - sent->repeated / BASE_MS >= 10);
    sent->repeated = feed.now;
    feed.resent++;
    if (!rtx) {
        must(s.n == sent->n && bytes_crc32(s) == sent->crc);
        return;
    }
    must(!feed.rtx_started || h->seq == (uint16_t)(feed.rtx_seq + 1));
    must(bytes_crc32(bytes_take(&r, bytes_left(&r))) == sent->payload);
    feed.rtx_started = true;
    feed.rtx_seq = h->seq;
}

static void feed_emit(void *to, const struct path *path, const uint8_t *bytes, size_t n) {
    uint8_t copy[BASE_DATAGRAM + SEAL_ROOM];
    int plain = (int)n;
    struct span s = base_span(bytes, n);
    (void)to, (void)path;
    must(n <= BASE_DATAGRAM && n > RTP_HEADER && ++feed.emitted);
    memcpy(copy, bytes, n);
    if (bytes[1] >= 200 && bytes[1] <= 206) {
        must(srtp_unprotect_rtcp(feed.peer.in, copy, &plain) == srtp_err_status_ok);
        /* reports while live; a receiver's reference time is answered at once, in any state */
        must(bytes[1] == RTCP_SR ? feed.s.state == SENDER_LIVE && !feed.asked : feed.asked);
        return;
    }
    struct rd r = bytes_rd(s);
    uint8_t first = bytes_r8(&r), second = bytes_r8(&r);
    struct rtp_packet h = {.pt = second & 127, .marker = second & 128, .seq = (uint16_t)bytes_r16(&r)};
    h.timestamp = bytes_r32(&r);
    h.ssrc = bytes_r32(&r);
    bool rtx = h.ssrc == feed.s.rtx_ssrc;
    must((first & 0xef) == 0x80 && (rtx ? feed.s.rtx_pt != 0 : h.ssrc == feed.s.ssrc));
    if (first & 0x10) bytes_take(&r, 2), bytes_take(&r, bytes_r16(&r) * (size_t)4);
    must(!r.bad && bytes_left(&r) > SEAL_TAG);
    size_t head = (size_t)(r.p - bytes), payload = bytes_left(&r) - SEAL_TAG;
    feed.spent += payload - (rtx ? RTP_OSN : 0);
    if (rtx || (feed.s.seq != feed.newest && feed.packets < 2000))
        must(srtp_unprotect(feed.peer.in, copy, &plain) == srtp_err_status_ok && (size_t)plain == head + payload);
    if (rtx || feed.s.seq == feed.newest) feed_repeated(&h, s, base_span(copy + head, payload));
    else feed_new(&h, s, payload);
}

static void feed_check(void) {
    const struct sender *s = &feed.s;
    must(s->state <= SENDER_LIVE && s->pace.rate >= PACE_SLOWEST && s->pace.rate <= PACE_FASTEST);
    feed.rate = base_max(base_max(feed.rate, PACE_FASTEST), pace_rate(&s->pace, s->media->kbps));
    must(s->pace.budget >= -(int64_t)PACE_BURST - RTP_PAYLOAD && s->pace.budget <= feed.rate);
    /* one burst at once, as much debt, and what was earned since the start */
    int64_t earned = (feed.now - feed.begun) / PACE_REFILL * feed.rate + feed.rate;
    must((int64_t)feed.spent <= earned + 2 * PACE_BURST + RTP_PAYLOAD);
    must(s->cursor <= feed.m.head && s->packets == feed.packets && s->octets == feed.octets);
    must(s->repaired >= feed.resent && s->nacked >= s->repaired && s->delay_min <= SENDER_DELAY_MAX / 2);
    must(s->wanted_n - s->wanted_at <= SENDER_RESENT);
    must(s->announce <= SENDER_ANNOUNCE && s->rtt >= 0 && s->rtt <= 60 * BASE_S);
}

static int64_t feed_tick(void) {
    int64_t next = 0;
    for (int i = 0; i < 10 && next <= feed.now; i++) next = sender_tick(&feed.s, feed.now, 1700000000 * BASE_S);
    must(next > feed.now);
    feed_check();
    return next;
}

static void feed_wait(int64_t time) {
    int64_t end = feed.now + time;
    for (int i = 0; i < 4000 && feed.emitted < FEED_PACKETS; i++) {
        int64_t next = feed_tick();
        if (next > end) break;
        feed.now = next;
    }
    feed.now = end;
    feed_tick();
}

/* One datagram of decrypted RTCP. */
static void feed_rtcp(struct wr *w) {
    struct span own = fuzz_own(bytes_written(w)), s = own;
    struct rtcp_packet p;
    uint32_t packets = feed.packets;
    feed.asked = true;
    while (rtcp_next(&s, &p) > 0 && rtcp_whole(&p)) sender_feedback(&feed.s, &p, feed.now, 1700000000 * BASE_S);
    feed.asked = false;
    must(feed.packets == packets);
    fuzz_free(own);
    feed_check();
}

/* count requests, each for a sequence number and the 16 behind it, step apart. */
static void feed_nack(unsigned back, unsigned mask, unsigned count, unsigned step) {
    uint8_t bytes[1200];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    bytes_w32(&w, 0x81cd0000 | (2 + count));
    bytes_w32(&w, 1);
    bytes_w32(&w, feed.s.ssrc);
    for (unsigned i = 0; i < count; i++) bytes_w16(&w, (feed.s.seq - back + i * step) & 0xffff), bytes_w16(&w, mask);
    feed_rtcp(&w);
}

static void feed_pli(bool fir) {
    uint8_t bytes[64];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    bytes_w32(&w, fir ? 0x84ce0004 : 0x81ce0002);
    bytes_w32(&w, 1);
    bytes_w32(&w, fir ? 0 : feed.s.ssrc);
    if (fir) bytes_w32(&w, feed.s.ssrc), bytes_w32(&w, 0);
    feed_rtcp(&w);
}

static void feed_report(struct rd *in) {
    uint8_t bytes[64];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    bytes_w32(&w, 0x81c90007);
    bytes_w32(&w, 1);
    bytes_w32(&w, feed.s.ssrc);
    for (int i = 0; i < 20; i++) bytes_w8(&w, fuzz_more(in) ? bytes_r8(in) : 0);
    feed_rtcp(&w);
}

/* nals NAL units of one picture; one byte above what a packet holds makes two packets of each. */
static void feed_picture(bool key, unsigned nals, size_t size) {
    struct wr w = bytes_wr(feed_memory.unit, sizeof feed_memory.unit);
    if (key) made_sets(&w);
    for (unsigned i = 0; i < nals && w.n + size + 64 < w.cap; i++)
        made_slice(&w, key, feed.picture, i & 127, nals & 127, size);
    feed.picture++;
    must(!w.bad);
    media_push(&feed.m, bytes_written(&w), feed.now);
}

static void feed_step(struct rd *in) {
    unsigned what = bytes_r8(in), a = bytes_r8(in), b = bytes_r8(in);
    switch (what % 9) {
    case 0: feed_picture(a & 1, 1 + (a >> 1), a & 64 ? b * 16u : b); break;
    case 1: feed_wait((a & 1 ? 100 * BASE_MS : BASE_MS) * b); break;
    case 2: feed_nack(a << 8 | b, bytes_r16(in), 1, 0); break;
    case 3: feed_nack(a * 16, b & 1 ? 0xffff : b, 250, b & 2 ? 17 : b >> 2); break;
    case 4: /* a decoder that never gets well */
        for (unsigned i = 0; i < b && feed.emitted < FEED_PACKETS; i++) {
            feed_pli(a & 1);
            feed_wait((a >> 1) * 20 * BASE_MS);
        }
        break;
    case 5: feed_report(in); break;
    case 6: {
        uint8_t bytes[BASE_DATAGRAM_IN];
        struct wr w = bytes_wr(bytes, sizeof bytes);
        struct span s = fuzz_take(in, a);
        bytes_put(&w, s.p, s.n);
        feed_rtcp(&w);
        break;
    }
    case 7: /* a live stream */
        for (unsigned i = 0; i < b && feed.emitted < FEED_PACKETS; i++) {
            feed_picture(a & 1 && !i, 1, (a >> 1) * 20u);
            feed_wait(33 * BASE_MS);
        }
        break;
    default: /* a slide show: one picture of many packets */
        feed_picture(true, a, RTP_PAYLOAD + 1 - MADE_HEAD + b);
        break;
    }
    feed_tick();
    media_check(&feed.m);
}

static void fuzz_sender(struct rd in) {
    uint8_t keys[DTLS_KEYS];
    unsigned flags = bytes_r8(&in);
    uint32_t random[SENDER_RANDOM] = {1, 2, 3}, run = feed.run + 1;
    random[3] = bytes_r16(&in);
    random[4] = bytes_r16(&in);
    for (uint32_t i = 5; i < SENDER_RANDOM; i++) random[i] = i;
    must(wcam_srtp_ready());
    memset(&feed, 0, sizeof feed);
    memset(keys, 7, sizeof keys);
    feed.run = run;
    feed.now = feed.begun = BASE_S;
    feed.m.on_demand = flags & 8;
    media_start(&feed.m, feed_memory.history, flags & 16 ? MEDIA_HISTORY_MIN : FEED_HISTORY, feed_memory.packets,
                feed.drops);
    must(seal_open(&feed.s.seal, keys, true) && seal_open(&feed.peer, keys, false));
    sender_start(&feed.s, &feed.m, random, feed.now);
    strcpy(feed.s.cname, "cname");
    feed.rate = feed.s.pace.rate;
    feed.s.out = (struct emit){feed_emit, NULL};
    feed.s.pt = 96;
    feed.s.rtx_pt = flags & 1 ? 97 : 0;
    feed.s.abs_send_time = flags & 2 ? 3 : 0;
    feed.s.playout_delay = flags & 4 ? 4 : 0;
    for (int i = 0; i < FEED_STEPS && fuzz_more(&in) && feed.emitted < FEED_PACKETS; i++) feed_step(&in);
    seal_close(&feed.s.seal);
    seal_close(&feed.peer);
}

/* The first byte says which: 0 a datagram, 1 a sender. */
static void fuzz_rtcp(struct rd in) {
    if (bytes_r8(&in) & 1) {
        fuzz_sender(in);
        return;
    }
    rtcp_written(in);
    struct span s = fuzz_own(fuzz_take(&in, BASE_DATAGRAM_IN));
    rtcp_datagram(s);
    fuzz_free(s);
}

/* ---- route: whole requests to a site in memory ---- */

/* JSON (RFC 8259), enough to tell whether it is well-formed. */
static bool json_value(struct span *s, int depth);

static void json_blank(struct span *s) {
    while (s->n && strchr(" \t\r\n", s->p[0]) && s->p[0]) *s = base_span(s->p + 1, s->n - 1);
}

static bool json_string(struct span *s) {
    if (!text_after(s, "\"")) return false;
    while (s->n && s->p[0] != '"') {
        size_t n = s->p[0] == '\\' ? 2 : 1;
        uint32_t hex;
        if (s->n < n || s->p[0] < 0x20 || s->p[0] == 0x7f) return false;
        if (n == 2 && (!s->p[1] || !strchr("\"\\/bfnrtu", s->p[1]))) return false;
        if (n == 2 && s->p[1] == 'u') n = 6;
        if (n == 6 && (s->n < 6 || !text_hex(base_span(s->p + 2, 4), &hex))) return false;
        *s = base_span(s->p + n, s->n - n);
    }
    return text_after(s, "\"");
}

static bool json_list(struct span *s, char end, int depth) {
    char closing[2] = {end, 0};
    json_blank(s);
    if (text_after(s, closing)) return true;
    for (;;) {
        json_blank(s);
        if (end == '}') {
            if (!json_string(s)) return false;
            json_blank(s);
            if (!text_after(s, ":")) return false;
        }
        if (!json_value(s, depth)) return false;
        json_blank(s);
        if (text_after(s, closing)) return true;
        if (!text_after(s, ",")) return false;
    }
}

static bool json_value(struct span *s, int depth) {
    json_blank(s);
    if (depth > 8 || !s->n) return false;
    if (s->p[0] == '"') return json_string(s);
    if (text_after(s, "true") || text_after(s, "false")) return true;
    if (text_after(s, "{")) return json_list(s, '}', depth + 1);
    if (text_after(s, "[")) return json_list(s, ']', depth + 1);
    size_t n = 0;
    while (n < s->n && strchr("-.0123456789", s->p[n]) && s->p[n]) n++;
    *s = base_span(s->p + n, s->n - n);
    return n > 0;
}

static void route_check_response(struct span all, const struct http_resp *r) {
    struct span s = all, line = text_cut(&s, '\n');
    char status[32];
    int lengths = 0, types = 0;
    uint64_t length = 0;
    snprintf(status, sizeof status, "HTTP/1.1 %d ", r->status);
    must(text_after(&line, status) && line.n > 1 && line.p[line.n - 1] == '\r' && fuzz_status(r->status));
    for (;;) {
        must(s.n);
        line = text_cut(&s, '\n');
        must(line.n && line.p[line.n - 1] == '\r');
        line.n--;
        if (!line.n) break;
        struct span value = line, name = text_cut(&value, ':');
        must(http_token(name) && value.n && value.p[0] == ' ');
        for (size_t i = 0; i < value.n; i++) must((value.p[i] >= ' ' || value.p[i] == '\t') && value.p[i] != 127);
        if (text_like(name, "content-length")) must(!lengths++ && text_uint(text_trim(value), SERVER_OUT, &length));
        if (text_like(name, "content-type")) types++;
    }
    must(types <= 1 && lengths == (r->status != 204 && r->status != 101) && s.n == (r->head ? 0 : length));
    if (!r->type || !strstr(r->type, "json") || r->head) return;
    must(json_value(&s, 0));
    json_blank(&s);
    must(!s.n);
}

static const char route_token[] = "let-me-in", route_user[] = "ann:secret", route_basic[] = "YW5uOnNlY3JldA==";

/* Nobody gets in without something that could be the secret. */
static void route_check_secret(const struct guard *g, const struct http_req *q, struct span head, int status) {
    if (!g->token[0] && !g->user[0]) return;
    if (text_is(q->method, "OPTIONS") || text_is(q->path, "/healthz")) return;
    if (g->token[0] && (fuzz_find(head, text_of(route_token)).p || memchr(head.p, '%', head.n))) return;
    if (g->user[0] && fuzz_find(head, base_span(route_basic, 13)).p) return; /* spare bits may differ behind */
    if (fuzz_find(head, text_of(g->cookie)).p) return;
    must(status == 401 || status == 421 || status == 429);
}

/* f1: the newest viewer's id, f2: its ETag, f3: the cookie. */
static struct span route_expand(const struct site *s, struct span in) {
    uint8_t *p = malloc(in.n * CRYPT_HASH_MAX + 1);
    const struct viewer *v = NULL;
    struct wr w = bytes_wr(p, in.n * CRYPT_HASH_MAX);
    must(p);
    for (int i = 0; i < s->lobby.max; i++)
        if (viewer_active(s->lobby.slot[i]) && (!v || s->lobby.slot[i]->joined >= v->joined)) v = s->lobby.slot[i];
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] < 0xf1 || in.p[i] > 0xf3) bytes_w8(&w, in.p[i]);
        else if (in.p[i] == 0xf3) text_put(&w, s->guard.cookie);
        else text_put(&w, !v ? "none" : in.p[i] == 0xf1 ? v->id : v->etag);
    }
    struct span out = fuzz_own(bytes_written(&w));
    free(p);
    return out;
}

static void route_configure(struct site *s, unsigned flags) {
    struct guard *g = &s->guard;
    guard_start(g, &s->crypt, 8080);
    if (flags & 1) strcpy(g->token, route_token);
    if (flags & 2) strcpy(g->user, route_user);
    if (flags & 4) strcpy(g->host[g->hosts++], "camera.example");
    if (flags & 8) strcpy(g->origin[g->origins++], flags & 16 ? "*" : "https://page.example");
    if (flags & 32) s->candidate[s->candidates++] = (struct wcam_addr){4, 8080, {192, 0, 2, 1}};
    if (flags & 32) s->candidate[s->candidates++] = (struct wcam_addr){4, 8080, {127, 0, 0, 1}};
    if (flags & 64) snprintf(s->stream[0]->trouble, sizeof s->stream[0]->trouble, "The \"file\" is\tbad.");
    if (flags & 128) s->stream[1]->ended = true;
}

/* Serves the request at the front. Returns how many bytes it took, 0 when it is none. */
static size_t route_one(struct site *s, struct span in, unsigned flags) {
    static struct http_req q;
    static struct http_resp r;
    static struct signal socket;
    static uint8_t page[SERVER_OUT], out[SERVER_OUT + 4096];
    int head = http_read(in, &q);
    if (head <= 0) return 0;
    struct span rest = base_span(in.p + head, in.n - (size_t)head), body = rest;
    size_t used = (size_t)q.length;
    if (q.chunked) {
        struct http_chunks c = http_feed(rest, 0);
        body = base_span(c.p, c.body);
        used = rest.n - (c.n - c.body);
        bool whole = c.result == 1;
        if (whole) body = fuzz_own(body);
        free(c.p);
        if (!whole) return 0;
    } else if (used > rest.n || used > HTTP_BODY) return 0;
    else body = fuzz_own(base_span(rest.p, used));
    struct route t = {
        s, &q, body, {4, 5000, {127, 0, 0, 1}}, {4, 8080, {127, 0, 0, 1}}, world_now, world->server.open, &socket};
    struct wr w = bytes_wr(out, sizeof out);
    server_reserve_viewer(&world->server);
    http_respond(&r, page, flags & 1 ? 1024 : sizeof page);
    route_serve(&t, &r);
    must((r.status == 101 || r.status >= 200) && r.status < 600 && !r.extra.bad);
    if (r.status == 101) must(ws_asked_for(&q) && socket.media && text_is(q.method, "GET"));
    route_check_secret(&s->guard, &q, base_span(in.p, (size_t)head), r.status);
    must(http_finish(&r, &w));
    fuzz_free(body);
    struct span response = fuzz_own(bytes_written(&w));
    route_check_response(response, &r);
    fuzz_free(response);
    return (size_t)head + used;
}

static void lobby_check(const struct lobby *l) {
    int active = 0;
    for (int i = 0; i < l->max; i++) active += viewer_active(l->slot[i]);
    must(active == l->count);
}

static void fuzz_route(struct rd in) {
    struct site *s = world_reset();
    unsigned more;
    route_configure(s, bytes_r8(&in));
    for (int i = 0; i < 12 && fuzz_more(&in); i++) {
        more = bytes_r8(&in);
        world_now += (int64_t)(more >> 4) * 100 * BASE_MS;
        struct span request = route_expand(s, fuzz_block(&in)), rest = request;
        for (int k = 0; k < 8; k++) { /* pipelined */
            size_t n = route_one(s, rest, more);
            if (!n) break;
            rest = base_span(rest.p + n, rest.n - n);
            lobby_check(&s->lobby);
        }
        fuzz_free(request);
        server_tick(&world->server, world_now);
        lobby_check(&s->lobby);
    }
}

/* ---- viewer: the whole of it without sockets; the input is a script ---- */

enum { PLAY_ADDRESSES = 12, PLAY_PUSHES = 100, PLAY_STEPS = 400 };

static struct play {
    int64_t wall;
    struct link out; /* DTLS that was sent, for the peer */
    struct wcam_addr asking;
    bool asked;   /* a datagram from there is under way */
    bool reports; /* RTCP is under way: what was sent may be repeated */
    int pushes, handshakes;
    char how[2]; /* a stream is pushed by units (u) or by bytes (b) */
    struct pattern pattern;
    uint8_t cells[64];
    struct {
        char id[24];
        struct seal seal; /* the browser's side */
        bool sealed, started;
        uint16_t seq, rtx_seq;
        uint32_t timestamp;
        bool marker, rtx_started;
    } peer[WORLD_VIEWERS];
} play;

static struct wcam_addr play_addr(unsigned i) { return stun_addr(i % PLAY_ADDRESSES); }

static struct viewer *play_viewer(unsigned i) {
    struct viewer *v = world->server.site.lobby.slot[i % WORLD_VIEWERS];
    return viewer_active(v) ? v : NULL;
}

/* What a browser sees: SRTP that opens, with sequence numbers in a row and time that advances. */
static void play_receive(const struct viewer *v, struct span s) {
    uint8_t copy[BASE_DATAGRAM + 64];
    int n = (int)s.n;
    int i = v->slot;
    memcpy(copy, s.p, s.n);
    if (s.p[1] >= 192 && s.p[1] <= 223) {
        must(srtp_unprotect_rtcp(play.peer[i].seal.in, copy, &n) == srtp_err_status_ok);
        struct span rest = base_span(copy, (size_t)n);
        struct rtcp_packet p;
        int more;
        while ((more = rtcp_next(&rest, &p)) > 0) must(rtcp_whole(&p) && p.sender == v->sender.ssrc);
        must(!more);
        return;
    }
    srtp_err_status_t opened = srtp_unprotect(play.peer[i].seal.in, copy, &n);
    const struct sender *sender = &v->sender;
    if (opened == srtp_err_status_replay_fail) { /* repeated as it was, on request */
        must(!sender->rtx_pt);
        return;
    }
    must(opened == srtp_err_status_ok);
    struct rd r = bytes_rd(base_span(copy, (size_t)n));
    uint8_t first = bytes_r8(&r), second = bytes_r8(&r);
    uint16_t seq = bytes_r16(&r);
    uint32_t timestamp = bytes_r32(&r), ssrc = bytes_r32(&r), ahead = timestamp - play.peer[i].timestamp;
    if (first & 0x10) bytes_take(&r, 2), bytes_take(&r, bytes_r16(&r) * (size_t)4);
    must((first & 0xef) == 0x80 && !r.bad && bytes_left(&r));
    if (ssrc == sender->rtx_ssrc) {
        must(sender->rtx_pt && (second & 127) == sender->rtx_pt && bytes_left(&r) > RTP_OSN);
        must(!play.peer[i].rtx_started || seq == (uint16_t)(play.peer[i].rtx_seq + 1));
        play.peer[i].rtx_started = true;
        play.peer[i].rtx_seq = seq;
        return;
    }
    must((second & 127) == sender->pt && ssrc == sender->ssrc && !play.reports);
    if (play.peer[i].started) {
        must(seq == (uint16_t)(play.peer[i].seq + 1));
        /* a picture is left unfinished when the history lost its end, or when all is shown again */
        must(play.peer[i].marker ? ahead > 0 && ahead < 1u << 31 : !ahead || v->media->oldest || sender->replayed);
    }
    play.peer[i].started = true;
    play.peer[i].seq = seq;
    play.peer[i].timestamp = timestamp;
    play.peer[i].marker = second & 0x80;
}

static void world_send(void *user_data, const struct wcam_addr *to, const void *bytes, size_t n) {
    struct span s = base_span(bytes, n);
    struct lobby *l = &world->server.site.lobby;
    (void)user_data;
    must(n > 0 && n <= BASE_DATAGRAM);
    if (s.p[0] <= 3) {
        must(play.asked && base_addr_same(to, &play.asking)); /* an answer goes where the question came from */
        return;
    }
    /* all else goes to proven addresses with consent only */
    const struct viewer *v = NULL;
    struct path path = {*to, {0}};
    for (int i = 0; i < l->max && !v; i++)
        if (viewer_active(l->slot[i]) && ice_knows(&l->slot[i]->ice, &path)) v = l->slot[i];
    must(v && world_now - v->ice.heard < ICE_CONSENT);
    if (s.p[0] < 128) {
        must(s.p[0] >= 20 && s.p[0] <= 23);
        link_add(&play.out, s);
        return;
    }
    for (int i = 0; i < l->max; i++) { /* two viewers may share an address: the SSRC tells */
        struct viewer *w = l->slot[i];
        struct rd r = bytes_rd(s);
        bool rtcp = s.p[1] >= 192 && s.p[1] <= 223;
        bytes_take(&r, rtcp ? 4 : 8);
        uint32_t ssrc = bytes_r32(&r);
        if (!viewer_active(w) || (w->sender.ssrc != ssrc && w->sender.rtx_ssrc != ssrc)) continue;
        must(ice_knows(&w->ice, &path) && w->state == VIEWER_WATCHING);
        /* as DTLS server we have the keys before the peer: a goodbye then is for nobody */
        if (play.peer[i].sealed) play_receive(w, s);
        return;
    }
    fuzz_bad(__func__, __LINE__, "the SSRC is a viewer's");
}

static void play_check(void) {
    struct site *s = &world->server.site;
    lobby_check(&s->lobby);
    for (int i = 0; i < s->streams; i++) media_check(s->stream[i]);
    for (int i = 0; i < s->lobby.max; i++) {
        const struct viewer *v = s->lobby.slot[i];
        if (!v || v->state == VIEWER_FREE) continue;
        must(v->state <= VIEWER_CLOSED && v->slot == i);
        const struct sender *sender = &v->sender;
        if (v->state == VIEWER_CLOSED)
            must(!sender->seal.out && !sender->seal.in && !v->dtls.home && v->why && *v->why);
        if (!viewer_active(v)) continue;
        stun_check_ice(&v->ice);
        must((v->state > VIEWER_CHECKING) == ice_connected(&v->ice));
        must((v->state == VIEWER_WATCHING) == (sender->seal.out != NULL));
        must(sender->state <= SENDER_LIVE && sender->pace.rate >= PACE_SLOWEST && sender->pace.rate <= PACE_FASTEST);
        must(sender->pace.budget >= -(int64_t)PACE_BURST - RTP_PAYLOAD);
        must(sender->cursor <= v->media->head || sender->state == SENDER_WAITING);
        must(v->peer_ssrcs >= 0 && v->peer_ssrcs <= VIEWER_SSRCS);
    }
}

/* Does what is due; the time to come again must come to lie ahead, or the event loop would spin. */
static int64_t play_tick(void) {
    int64_t next = 0;
    for (int i = 0; i < 10 && next <= world_now; i++) next = wcam_tick(world, world_now, play.wall + world_now);
    must(next > world_now);
    for (int i = 0; i < WORLD_VIEWERS; i++) {
        const struct viewer *v = play_viewer((unsigned)i);
        must(!v || world_now - v->ice.heard < ICE_CONSENT);
        if (v || !play.peer[i].sealed) continue;
        seal_close(&play.peer[i].seal);
        memset(&play.peer[i], 0, sizeof play.peer[i]);
    }
    return next;
}

static void play_datagram(const struct wcam_addr *from, struct span s) {
    struct span own = fuzz_own(s);
    play.asking = *from;
    play.asked = true;
    wcam_input(world, from, (void *)(uintptr_t)own.p, own.n, world_now);
    play.asked = false;
    fuzz_free(own);
}

static void play_check_to(struct viewer *v, unsigned from, unsigned flags, struct span attributes) {
    uint8_t bytes[BASE_DATAGRAM_IN];
    struct wcam_addr a = play_addr(from);
    struct path path = {a, {0}};
    struct wr w = bytes_wr(bytes, sizeof bytes);
    struct ice ice = v->ice;
    if (flags & 64) strcpy(ice.pwd, "not the password at all.");
    play_datagram(&a, stun_make(&w, &ice, flags, attributes));
    if (viewer_active(v) && (flags & 126) == 6 && !attributes.n) must(ice_knows(&v->ice, &path));
}

static const char play_sdp[] =
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF %u 120\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\n"
    "a=rtcp-mux\r\na=rtcp-rsize\r\na=ice-ufrag:peer\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    "a=fingerprint:sha-256 %s\r\na=setup:%s\r\na=rtpmap:%u H264/90000\r\n"
    "a=fmtp:%u packetization-mode=1;profile-level-id=42e01f\r\na=rtcp-fb:* nack\r\n%s%s%s";

/* Odd flags: the text of the input; else a good offer. */
static void play_offer(unsigned flags, struct span text) {
    char offer[2048], answer[4096], id[24];
    unsigned pt = 96 + (flags >> 4);
    if (!(flags & 1)) {
        int n = snprintf(offer, sizeof offer, play_sdp, pt, world->server.site.dtls.fingerprint,
                         flags & 2 ? "active" : "actpass", pt, pt,
                         flags & 4 ? "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n" : "",
                         flags & 8 ? "a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n" : "",
                         flags & 32 ? "a=rtpmap:120 rtx/90000\r\n" : "");
        if (flags & 32) n += snprintf(offer + n, sizeof offer - (size_t)n, "a=fmtp:120 apt=%u\r\n", pt);
        text = base_span(offer, (size_t)n);
    }
    struct span own = fuzz_own(text);
    size_t cap = sizeof answer;
    int rc = wcam_offer(world, (flags >> 6) & 1, (const char *)own.p, own.n, answer, cap, id);
    must(rc <= 0 && (!rc || *wcam_why(world)));
    if (!rc) must(strlen(answer) < cap && strlen(id) == VIEWER_ID);
    if (!(flags & 1)) must(!rc || rc == WCAM_EFULL);
    fuzz_free(own);
}

/* Units and bytes are not to be mixed on one stream: the first decides. */
static bool play_how(int stream, char how) {
    if (!play.how[stream]) play.how[stream] = how;
    return play.how[stream] == how;
}

/* A frame of the test picture, its last NAL unit made longer. */
static void play_frame(int stream, bool key, unsigned longer, int64_t pts) {
    uint8_t bytes[64 * SOURCE_MACROBLOCK + 512 + 255 * 400];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    must(pattern_frame(&play.pattern, key, 0, 0, &w));
    for (unsigned i = 0; i < longer * 100; i++) bytes_w32(&w, 0x5a5a5a5a);
    struct span own = fuzz_own(bytes_written(&w));
    must(!w.bad);
    if (play_how(stream, 'u')) must(!wcam_push(world, stream, own.p, own.n, pts));
    fuzz_free(own);
}

static void play_sealed(struct viewer *v, const uint8_t *keys) {
    int i = v->slot;
    if (v->state != VIEWER_WATCHING || play.peer[i].sealed) return;
    must(seal_open(&play.peer[i].seal, keys, !v->dtls.server));
    play.peer[i].sealed = true;
}

/* Keys as if the handshake were over: the quick way to SRTP. */
static void play_keys(struct viewer *v) {
    uint8_t keys[DTLS_KEYS];
    if (v->state != VIEWER_SHAKING || v->dtls.state != DTLS_HANDSHAKING) return;
    for (int i = 0; i < DTLS_KEYS; i++) keys[i] = v->dtls.keys[i] = (uint8_t)(i + v->slot);
    v->dtls.state = DTLS_READY;
    viewer_keys(v, world_now);
    play_sealed(v, keys);
}

/* A true handshake with a peer of our own making. */
static void play_shake(struct viewer *v, bool goodbye) {
    static struct dtls peer;
    static struct link out;
    uint8_t keys[DTLS_KEYS] = {0};
    struct wcam_addr from = v->ice.active.remote;
    if (v->state != VIEWER_SHAKING || play.handshakes++) return;
    dtls_peer(&peer, v->lobby->dtls, !v->dtls.server, &out);
    dtls_start(&peer, &v->ice.active, world_now);
    for (int i = 0; i < 40 && (out.n || play.out.n); i++) {
        bool ours = play.out.n != 0;
        struct span s = link_take(ours ? &play.out : &out);
        if (ours) dtls_input(&peer, s, world_now);
        else play_datagram(&from, s);
        fuzz_free(s);
        if (peer.state == DTLS_READY) memcpy(keys, peer.keys, sizeof keys);
        if (peer.state == DTLS_READY && v->state == VIEWER_WATCHING) break;
    }
    if (peer.state == DTLS_READY && viewer_active(v)) play_sealed(v, keys);
    if (goodbye) dtls_close(&peer, world_now);
    while (out.n) {
        struct span s = link_take(&out);
        play_datagram(&from, s);
        fuzz_free(s);
    }
    peer.state = DTLS_CLOSED;
    dtls_close(&peer, world_now);
}

/* RTCP from the browser: the input's, or one of the usual ones. */
static void play_rtcp(struct viewer *v, unsigned kind, struct span text) {
    uint8_t bytes[BASE_DATAGRAM_IN + SEAL_ROOM];
    struct wr w = bytes_wr(bytes, BASE_DATAGRAM_IN - SEAL_ROOM);
    uint32_t from = 0x1000 + (kind >> 4);
    if (!play.peer[v->slot].sealed) return;
    switch (kind & 7) {
    case 0: bytes_put(&w, text.p, text.n & ~(size_t)3); break;
    case 1: bytes_w32(&w, 0x81ce0002), bytes_w32(&w, from), bytes_w32(&w, v->sender.ssrc); break; /* PLI */
    case 2:                                                                                       /* FIR */
        bytes_w32(&w, 0x84ce0004), bytes_w32(&w, from), bytes_w32(&w, 0), bytes_w32(&w, v->sender.ssrc),
            bytes_w32(&w, 0);
        break;
    case 3: /* NACK */
        bytes_w32(&w, 0x81cd0003), bytes_w32(&w, from), bytes_w32(&w, v->sender.ssrc);
        bytes_w32(&w, (v->sender.seq - kind) << 16 | 0xffff);
        break;
    case 4: /* REMB */
        bytes_w32(&w, 0x8fce0005), bytes_w32(&w, from), bytes_w32(&w, 0), bytes_w32(&w, 0x52454d42);
        bytes_w32(&w, 0x01000000 | (uint32_t)text.n << 8), bytes_w32(&w, v->sender.ssrc);
        break;
    case 5: bytes_w32(&w, 0x80c90001), bytes_w32(&w, from), rtcp_put_sdes(&w, from, "b"); break;
    default: /* RR with a block from the input */
        bytes_w32(&w, 0x81c90007), bytes_w32(&w, from), bytes_w32(&w, v->sender.ssrc);
        for (size_t i = 0; i < 20; i++) bytes_w8(&w, i < text.n ? text.p[i] : 0);
    }
    size_t n = w.n;
    if (w.bad || n < 8 || !seal_rtcp(&play.peer[v->slot].seal, bytes, &n)) return;
    play.reports = true;
    play_datagram(&v->ice.active.remote, base_span(bytes, n));
    play.reports = false;
}

/* Time goes on without input until nothing more is to be sent: who has a picture has the newest then. */
static void play_settle(void) {
    int64_t end = world_now + 2 * BASE_S;
    for (int i = 0; i < 4000; i++) {
        int64_t next = play_tick();
        if (next > end) break;
        world_now = next;
    }
    for (unsigned i = 0; i < WORLD_VIEWERS; i++) {
        const struct viewer *v = play_viewer(i);
        if (!v || v->state != VIEWER_WATCHING) continue;
        if (v->sender.state == SENDER_WAITING) must(!media_joinable(v->media) || v->media->gop == v->sender.still);
        else must(v->sender.cursor == v->media->head);
    }
}

static void play_step(struct rd *in) {
    unsigned what = bytes_r8(in), a = bytes_r8(in), b = bytes_r8(in);
    struct viewer *v = play_viewer(a);
    struct wcam_addr from = play_addr(a);
    int64_t steps[] = {100, 10 * BASE_MS, BASE_S / 4, 20 * BASE_S};
    switch (what % 15) {
    case 0: play_datagram(&from, fuzz_block(in)); break;
    case 1:
        if (v) play_check_to(v, b, 6 | (b & 16), base_span(NULL, 0));
        break;
    case 2:
        if (v) play_check_to(v, b, bytes_r8(in), fuzz_block(in));
        break;
    case 3: /* six hours are the most that 32-bit timestamps tell from going back */
        if (world_now + steps[a & 3] * (b + 1) < 6 * 3600 * BASE_S) world_now += steps[a & 3] * (b + 1);
        break;
    case 4:
        if (play.pushes++ < PLAY_PUSHES) {
            struct span own = fuzz_own(fuzz_block(in));
            int64_t pts = world_now + (b - 128) * 10 * BASE_MS;
            int rc = play_how(a & 1, 'u') ? wcam_push(world, a & 1, own.p, own.n, pts) : 0;
            must(!rc || rc == WCAM_EINVAL);
            fuzz_free(own);
        }
        break;
    case 5:
        if (play.pushes++ < PLAY_PUSHES) play_frame(a & 1, a & 2, b, world_now - (a >> 2) * 5 * BASE_MS);
        break;
    case 6: play_offer(a, a & 1 ? fuzz_block(in) : base_span(NULL, 0)); break;
    case 7:
        if (v) play_keys(v);
        break;
    case 8:
        if (v) play_shake(v, b & 1);
        break;
    case 9:
        if (v) play_rtcp(v, b, b & 7 ? fuzz_take(in, 20) : fuzz_block(in));
        break;
    case 10:
        if (v) must(!wcam_hang_up(world, v->id) && !viewer_active(v));
        break;
    case 11: play_settle(); break;
    case 12: /* several frames, a little time between */
        for (unsigned i = 0; i < (b & 31) && play.pushes++ < PLAY_PUSHES; i++) {
            play_frame(a & 1, (a & 2) && !i, b >> 5, world_now);
            world_now += 33 * BASE_MS;
            play_tick();
        }
        break;
    case 13: /* any presentation time */
        if (play.pushes++ < PLAY_PUSHES) {
            int64_t pts = (int64_t)bytes_take_uint(in, 8);
            struct span own = fuzz_own(fuzz_block(in));
            int rc = play_how(a & 1, 'u') ? wcam_push(world, a & 1, own.p, own.n, pts) : 0;
            must(!rc || rc == WCAM_EINVAL);
            fuzz_free(own);
        }
        break;
    case 14: /* a piece of a byte stream */
        if (play.pushes++ < PLAY_PUSHES) {
            struct span own = fuzz_own(fuzz_block(in));
            if (play_how(a & 1, 'b')) must(!wcam_push_bytes(world, a & 1, own.p, own.n));
            fuzz_free(own);
        }
        break;
    default: break;
    }
    play_tick();
    play_check();
}

static void fuzz_viewer(struct rd in) {
    const char *why;
    for (int i = 0; i < WORLD_VIEWERS; i++) seal_close(&play.peer[i].seal);
    memset(&play, 0, sizeof play);
    play.wall = 1700000000 * BASE_S;
    must(!pattern_spec("64x64@30,gop=1000", &play.pattern, &why) && pattern_cells(&play.pattern) <= sizeof play.cells);
    pattern_start(&play.pattern, play.cells);
    world_reset();
    for (int i = 0; i < PLAY_STEPS && fuzz_more(&in); i++) play_step(&in);
    struct wcam_stats stats;
    wcam_get_stats(world, &stats);
    must(stats.streams == 2 && stats.viewers <= WORLD_VIEWERS);
    for (unsigned i = 0; i < WORLD_VIEWERS; i++)
        if (play_viewer(i)) viewer_close(play_viewer(i), "the end", world_now);
    for (int i = 0; i < WORLD_VIEWERS; i++) seal_close(&play.peer[i].seal);
    world_reset();
}

/* ---- json: the reader against one written another way, from the grammar ---- */

enum { READ_DEPTH = TEXT_DEPTH };

/* Each returns where what it reads ends, NULL: none is there. The text ends with a NUL that is no part of it. */
static const uint8_t *read_value(const uint8_t *p, int depth);

static const uint8_t *read_blank(const uint8_t *p) {
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') p++;
    return p;
}

static const uint8_t *read_string(const uint8_t *p) {
    if (*p++ != '"') return NULL;
    while (*p != '"') {
        if (*p < 0x20) return NULL;
        if (*p++ != '\\') continue;
        if (*p == 'u') {
            for (int i = 1; i < 5; i++)
                if (!p[i] || !strchr("0123456789abcdefABCDEF", p[i])) return NULL;
            p += 4;
        } else if (!*p || !strchr("\"\\/bfnrt", *p)) return NULL;
        p++;
    }
    return p + 1;
}

static const uint8_t *read_number(const uint8_t *p) {
    if (*p == '-') p++;
    if (*p < '0' || *p > '9') return NULL;
    if (*p == '0') p++;
    else
        while (*p >= '0' && *p <= '9') p++;
    for (int part = 0; part < 2; part++) {
        if (part ? *p != 'e' && *p != 'E' : *p != '.') continue;
        p++;
        if (part && (*p == '+' || *p == '-')) p++;
        if (*p < '0' || *p > '9') return NULL;
        while (*p >= '0' && *p <= '9') p++;
    }
    return p;
}

static const uint8_t *read_list(const uint8_t *p, uint8_t end, int depth) {
    p = read_blank(p + 1);
    if (*p == end) return p + 1;
    for (;; p++) {
        p = read_blank(p);
        if (end == '}') {
            if (!(p = read_string(p))) return NULL;
            p = read_blank(p);
            if (*p++ != ':') return NULL;
        }
        if (!(p = read_value(p, depth - 1))) return NULL;
        p = read_blank(p);
        if (*p == end) return p + 1;
        if (*p != ',') return NULL;
    }
}

static const uint8_t *read_value(const uint8_t *p, int depth) {
    p = read_blank(p);
    if (*p == '"') return read_string(p);
    if (*p == '{' || *p == '[') return depth ? read_list(p, *p == '{' ? '}' : ']', depth) : NULL;
    for (size_t i = 0; i < 3; i++) {
        const char *word = i == 0 ? "true" : i == 1 ? "false" : "null";
        if (!strncmp((const char *)p, word, strlen(word))) return p + strlen(word);
    }
    return read_number(p);
}

/* UTF-8 by its numbers: decoded, and encoded again it must be the same. */
static bool read_utf8(struct span s) {
    for (size_t i = 0; i < s.n;) {
        uint8_t again[4];
        struct wr w = bytes_wr(again, sizeof again);
        size_t n = s.p[i] < 0x80 ? 1 : s.p[i] >> 5 == 6 ? 2 : s.p[i] >> 4 == 14 ? 3 : s.p[i] >> 3 == 30 ? 4 : 0;
        if (!n || s.n - i < n) return false;
        uint32_t c = n == 1 ? s.p[i] : s.p[i] & (0x7fu >> n);
        for (size_t k = 1; k < n; k++) {
            if (s.p[i + k] >> 6 != 2) return false;
            c = c << 6 | (s.p[i + k] & 63u);
        }
        if (c > 0x10ffff || c >> 11 == 27) return false;
        text_put_utf8(&w, c);
        if (!text_same(bytes_written(&w), base_span(s.p + i, n))) return false;
        i += n;
    }
    return true;
}

/* One string value: what it says, where it lies over itself; and escaped whole it says the same again. */
static void json_check_string(struct span value) {
    struct span own = fuzz_own(value);
    struct wr w = bytes_wr((void *)(uintptr_t)own.p, own.n), e;
    bool ok = text_unjson(&w, own);
    must(!ok || (read_utf8(bytes_written(&w)) && !(w.n && memchr(w.p, 0, w.n)) && w.n + 2 <= value.n));
    if (!ok || w.n > 4096) {
        fuzz_free(own);
        return;
    }
    uint8_t *p = malloc(w.n * 6 + 2), *back = malloc(w.n * 6 + 2);
    must(p && back);
    e = bytes_wr(p, w.n * 6 + 2);
    bytes_w8(&e, '"');
    bool plain = true; /* \uXXXX of each byte says the same as long as the bytes are characters */
    for (size_t i = 0; i < w.n; i++) text_putf(&e, "\\u%04X", w.p[i]), plain = plain && w.p[i] < 0x80;
    bytes_w8(&e, '"');
    struct wr b = bytes_wr(back, w.n * 6 + 2);
    must(!e.bad && text_unjson(&b, bytes_written(&e)));
    must(!plain || text_same(bytes_written(&b), bytes_written(&w)));
    free(p);
    free(back);
    fuzz_free(own);
}

static void fuzz_json(struct rd in) {
    static const char *const names[] = {"type", "sdp", "x", ""};
    const char *name = names[bytes_r8(&in) & 3];
    struct span s = fuzz_own(fuzz_take(&in, 65536)), value = base_span((const uint8_t *)"?", 1);
    uint8_t *c = malloc(s.n + 1);
    must(c);
    if (s.n) memcpy(c, s.p, s.n);
    c[s.n] = 0;
    bool utf8 = text_utf8(s), ok = text_json_object(s, name, &value);
    must(utf8 == read_utf8(s));
    const uint8_t *begin = read_blank(c), *end = *begin == '{' ? read_value(begin, READ_DEPTH) : NULL;
    must(ok == (utf8 && end && read_blank(end) == c + s.n));
    if (ok && value.p) {
        must(fuzz_inside(value, s) && value.n);
        uint8_t *v = malloc(value.n + 1);
        must(v);
        memcpy(v, value.p, value.n);
        v[value.n] = 0;
        must(read_value(v, READ_DEPTH) == v + value.n); /* exactly one value */
        free(v);
        json_check_string(value);
    }
    if (ok)
        for (size_t n = s.n; n-- && n + 40 > s.n;) { /* cut off early it is none, unless only white space was cut */
            const uint8_t *blank = read_blank(c + n);
            struct span cut = fuzz_own(base_span(s.p, n));
            must(text_json_object(cut, name, &value) == (blank == c + s.n));
            fuzz_free(cut);
        }
    if (utf8) json_check_string(s);
    free(c);
    fuzz_free(s);
}

/* ---- ws: frames in any chunking, against a reader that has all bytes at once ---- */

enum { WIRE_EVENTS = 4096 };

static struct wire {
    struct ws ws;
    uint8_t *p;
    size_t n, cap, eaten;
    bool over;
    uint32_t sum; /* of all events, in their order */
    size_t events, texts;
} wire;

static uint32_t wire_sum(uint32_t sum, enum ws_event what, int code, struct span s) {
    uint8_t b[16];
    struct wr w = bytes_wr(b, sizeof b);
    bytes_w32(&w, sum);
    bytes_w16(&w, what);
    bytes_w16(&w, (unsigned)code);
    bytes_w32(&w, bytes_crc32(s));
    return bytes_crc32(bytes_written(&w));
}

static void wire_feed(struct span s) {
    if (wire.over) return;
    uint8_t *p = malloc(wire.n + s.n + 1);
    must(p);
    if (wire.n) memcpy(p, wire.p, wire.n);
    if (s.n) memcpy(p + wire.n, s.p, s.n);
    free(wire.p);
    wire.p = p;
    wire.n += s.n;
    for (size_t rounds = wire.n + 2; !wire.over; rounds--) {
        must(rounds); /* each event but the last takes a byte at least */
        size_t before = wire.n;
        enum ws_event event = ws_read(&wire.ws, wire.p, &wire.n);
        must(wire.n <= before && wire.ws.message <= wire.n && wire.ws.message <= WS_MESSAGE);
        must(wire.ws.control_n <= WS_CONTROL);
        struct span control = base_span(wire.ws.control, wire.ws.control_n);
        if (event == WS_GOT_NOTHING) {
            must(wire.n - wire.ws.message < WS_MESSAGE - wire.ws.message + WS_HEAD + WS_CONTROL);
            must(wire.n < SERVER_IN); /* what the server can hold: it never has to drop a good peer */
            return;
        }
        wire.over = event == WS_GOT_CLOSE || event == WS_GOT_FAULT;
        if (event == WS_GOT_PART) continue;
        wire.events++;
        wire.texts += event == WS_GOT_TEXT;
        if (event == WS_GOT_TEXT) must(read_utf8(base_span(wire.p, wire.ws.message)));
        struct span what = event == WS_GOT_TEXT                           ? base_span(wire.p, wire.ws.message)
                           : event == WS_GOT_PING || event == WS_GOT_PONG ? control
                                                                          : base_span(NULL, 0);
        wire.sum = wire_sum(wire.sum, event, wire.over ? wire.ws.code : 0, what);
        if (event == WS_GOT_FAULT)
            must(wire.ws.code == WS_PROTOCOL || wire.ws.code == WS_UNSUPPORTED || wire.ws.code == WS_INVALID ||
                 wire.ws.code == WS_TOO_BIG);
        if (event == WS_GOT_CLOSE) { /* what may be echoed */
            uint8_t frame[WS_HEAD];
            struct wr w = bytes_wr(frame, sizeof frame);
            ws_put_close(&w, wire.ws.code);
            must(!w.bad && w.n == (wire.ws.code == WS_NO_CODE ? 2 : 4) && wire.ws.code >= 1000 && wire.ws.code < 5000);
        }
    }
}

/* RFC 6455 5, written once more over the whole input. */
static uint32_t wire_reference(struct span s) {
    uint8_t *message = malloc(WS_MESSAGE), *payload = malloc(WS_MESSAGE);
    size_t n = 0, at = 0;
    uint32_t sum = 0;
    bool begun = false;
    int fault = 0;
    must(message && payload);
    while (!fault && s.n - at >= 2) {
        unsigned a = s.p[at], b = s.p[at + 1], opcode = a & 15;
        size_t form = (b & 127) == 126 ? 2 : (b & 127) == 127 ? 8 : 0;
        if (s.n - at < 2 + form) break;
        uint64_t size = form ? 0 : b & 127;
        for (size_t i = 0; i < form; i++) size = size << 8 | s.p[at + 2 + i];
        if (a & 0x70 || !(b & 128)) fault = 1002;
        else if ((form == 2 && size < 126) || (form == 8 && (size < 65536 || size >> 63))) fault = 1002;
        else if (opcode > 10 || (opcode > 2 && opcode < 8)) fault = 1002;
        else if (opcode >= 8 && (!(a & 128) || size > 125)) fault = 1002;
        else if (opcode == 0 ? !begun : opcode < 8 && begun) fault = 1002;
        else if (opcode == 2) fault = 1003;
        else if (opcode < 8 && size + n > WS_MESSAGE) fault = 1009;
        if (fault || s.n - at < 6 + form || s.n - at - 6 - form < size) break;
        const uint8_t *mask = s.p + at + 2 + form;
        for (size_t i = 0; i < size; i++) payload[i] = mask[4 + i] ^ mask[i & 3];
        at += 6 + form + (size_t)size;
        struct span body = base_span(payload, (size_t)size);
        if (opcode == 9 || opcode == 10) sum = wire_sum(sum, opcode == 9 ? WS_GOT_PING : WS_GOT_PONG, 0, body);
        if (opcode == 8) {
            int code = size == 0 ? 1005 : size == 1 ? 0 : payload[0] << 8 | payload[1];
            bool known = code == 1005 ? size == 0
                                      : (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
                                            (code >= 3000 && code <= 4999);
            if (!known) fault = 1002;
            else if (size > 2 && !read_utf8(base_span(payload + 2, (size_t)size - 2))) fault = 1007;
            else {
                sum = wire_sum(sum, WS_GOT_CLOSE, code, base_span(NULL, 0));
                break;
            }
        }
        if (opcode > 1) continue;
        if (size) memcpy(message + n, payload, (size_t)size);
        n += (size_t)size;
        begun = !(a & 128);
        if (begun) continue;
        if (!read_utf8(base_span(message, n))) fault = 1007;
        else sum = wire_sum(sum, WS_GOT_TEXT, 0, base_span(message, n));
        n = 0;
    }
    if (fault) sum = wire_sum(sum, WS_GOT_FAULT, fault, base_span(NULL, 0));
    free(message);
    free(payload);
    return sum;
}

/* Half of the input's frames are made from it: first byte, form, a size, whether the payload is cut short. */
static struct span wire_make(struct rd *in, bool raw) {
    if (raw) return fuzz_own(fuzz_take(in, 3 * WS_MESSAGE));
    size_t cap = 4 * WS_MESSAGE;
    uint8_t *p = malloc(cap);
    must(p);
    struct wr w = bytes_wr(p, cap);
    while (fuzz_more(in) && w.n < 2 * WS_MESSAGE) {
        static const uint8_t firsts[] = {0x81, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x82};
        unsigned what = bytes_r8(in), first = what & 128 ? bytes_r8(in) : firsts[what & 7];
        size_t more = what & 8 ? bytes_r16(in) : 0, form;
        struct span part = fuzz_take(in, bytes_r8(in));
        size_t n = part.n + more, size = what & 64 ? n + 1 : n;
        form = what & 16 ? (what & 32 ? 8 : 2) : size < 126 ? 0 : size < 65536 ? 2 : 8;
        bytes_w8(&w, first);
        bytes_w8(&w, 0x80u | (form == 2 ? 126 : form == 8 ? 127 : (unsigned)size));
        if (form) bytes_put_uint(&w, size, form);
        bytes_w32(&w, 0);
        bytes_put(&w, part.p, part.n);
        for (size_t i = 0; i < more && w.n < cap; i++) bytes_w8(&w, 'x');
    }
    w.bad = false;
    struct span own = fuzz_own(bytes_written(&w));
    free(p);
    return own;
}

static void fuzz_ws(struct rd in) {
    unsigned flags = bytes_r8(&in), step = bytes_r8(&in);
    struct span s = wire_make(&in, flags & 1);
    uint32_t want = wire_reference(s);
    for (int how = 0; how < 3; how++) { /* whole, in two, in steps */
        size_t n = how == 0 ? s.n : how == 1 ? (s.n * step) >> 8 : s.n < 3000 ? 1u + step % 7 : 1000 + step * 16;
        if (how == 0 && s.n > SERVER_IN / 2) continue; /* no read brings more than there is room for */
        free(wire.p);
        memset(&wire, 0, sizeof wire);
        for (size_t at = 0; at < s.n;) {
            size_t now = s.n - at < n || !n ? s.n - at : n;
            if (now > 4096) now = 4096;
            if (how == 1 && at) n = s.n;
            wire_feed(base_span(s.p + at, now));
            at += now;
        }
        must(wire.sum == want);
    }
    free(wire.p);
    memset(&wire, 0, sizeof wire);
    fuzz_free(s);
    for (size_t n = 0; n < 300; n += 1 + n / 9) { /* what is written: one whole unmasked frame of the shortest form */
        uint8_t out[320], plain[300] = {0};
        struct wr w = bytes_wr(out, sizeof out);
        ws_put(&w, WS_TEXT, base_span(plain, n));
        must(!w.bad && w.n == n + (n < 126 ? 2 : 4) && out[0] == 0x81 && out[1] == (n < 126 ? n : 126));
    }
}

/* ---- signal: several WebSockets' messages to one lobby ---- */

enum { SIGNALS = WORLD_VIEWERS + 1 };

/* Returns whether it tells of an end. */
static bool signal_check_out(struct span out) {
    struct span type;
    if (!out.n) return false;
    must(text_utf8(out) && text_json_object(out, "type", &type) && type.p);
    static const char *const types[] = {"\"answer\"", "\"error\"", "\"stream\"", "\"ended\""};
    size_t i = 0;
    while (i < 4 && !text_is(type, types[i])) i++;
    must(i < 4);
    if (i == 1) {
        uint64_t status = 0;
        must(text_json_object(out, "status", &type) && text_uint(type, 599, &status) && fuzz_status((int)status));
        must(status == 400 || status == 409 || status == 422 || status == 429 || status == 503);
    }
    return i == 3;
}

/* A message: raw, or an offer whose SDP is the input's, or a good one. */
static struct span signal_make(struct rd *in, unsigned kind) {
    static uint8_t text[200000];
    char offer[2048];
    struct wr w = bytes_wr(text, sizeof text);
    struct span part = fuzz_block(in);
    if (kind == 0) return fuzz_own(part);
    if (kind == 1 || kind == 3) {
        snprintf(offer, sizeof offer, play_sdp, 96u, world->server.site.dtls.fingerprint, "actpass", 96u, 96u, "", "",
                 "");
        if (kind == 1) part = base_span(offer, strlen(offer));
        text_put(&w, "{\"type\":\"offer\",\"sdp\":");
        text_json(&w, part);
        text_put(&w, "}");
    } else text_put(&w, "{\"type\":\"bye\"}");
    return fuzz_own(bytes_written(&w));
}

static void fuzz_signal(struct rd in) {
    static uint8_t answer_bytes[BASE_SDP], out_bytes[3 * BASE_SDP];
    static struct signal s[SIGNALS];
    struct site *site = world_reset();
    struct lobby *l = &site->lobby;
    struct wcam_addr candidate = {4, 8080, {192, 0, 2, 1}};
    for (int i = 0; i < SIGNALS; i++) signal_start(&s[i], site->stream[i & 1], i & 1);
    for (int step = 0; step < 60 && fuzz_more(&in); step++) {
        unsigned what = bytes_r8(&in);
        struct signal *k = &s[(what >> 4) % SIGNALS];
        struct signal_peer peer = {l, &site->guard, {4, 5000, {10, 0, 0, (uint8_t)(what >> 6)}}, &candidate, 1};
        struct wr answer = bytes_wr(answer_bytes, sizeof answer_bytes), out = bytes_wr(out_bytes, sizeof out_bytes);
        char had[VIEWER_ID + 1];
        bool own = (what & 7) != 5 && (what & 7) != 7, before[SIGNALS];
        for (int i = 0; i < SIGNALS; i++) before[i] = s[i].viewer[0];
        uint64_t joined = l->joined;
        memcpy(had, k->viewer, sizeof had);
        switch (what & 7) {
        default: {
            struct span text = signal_make(&in, what & 3);
            server_reserve_viewer(&world->server);
            signal_input(k, &peer, (uint8_t *)(uintptr_t)text.p, text.n, world_now, &answer, &out);
            fuzz_free(text);
            if (!out.bad) signal_check_out(bytes_written(&out));
            if (l->joined != joined) { /* then it is this one's, and the one before is over */
                must(viewer_by_id(l, text_of(k->viewer)) && !viewer_by_id(l, text_of(had)));
                must(viewer_by_id(l, text_of(k->viewer))->media == k->media);
            }
            break;
        }
        case 5: world_now += (int64_t)bytes_r8(&in) * 100 * BASE_MS; break;
        case 6: signal_close(k, l, world_now); break;
        case 7:
            if (what & 8) k->media->ended = !k->media->ended;
            else if (k->viewer[0] && viewer_by_id(l, text_of(k->viewer)))
                viewer_close(viewer_by_id(l, text_of(k->viewer)), "of a reason", world_now);
            break;
        }
        for (int i = 0; i < l->max; i++) /* as the server does, whose connections these are not */
            if (l->slot[i] && (l->slot[i]->state == VIEWER_CLOSED || l->slot[i]->state == VIEWER_FREE))
                for (int j = 0; j < SIGNALS; j++) signal_ended(&s[j], l->slot[i]);
        server_tick(&world->server, world_now);
        lobby_check(l);
        for (int i = 0; i < SIGNALS; i++) {
            bool open = s[i].viewer[0] && viewer_by_id(l, text_of(s[i].viewer)), more = true, ended = false;
            for (int n = 0; more; n++) { /* what is to be told has an end */
                must(n < 3);
                out = bytes_wr(out_bytes, sizeof out_bytes);
                more = signal_news(&s[i], l, &out);
                must(!out.bad);
                if (more) ended = signal_check_out(bytes_written(&out)) || ended;
            }
            if (!own || &s[i] != k) must(ended == (before[i] && !open)); /* an end that it did not ask for is told */
            must(open == (s[i].viewer[0] != 0));                         /* who has no session any more knows it */
        }
    }
    world_reset();
}

/* ---- text: numbers, names, addresses, escapes, base64 ---- */

static void text_check_numbers(struct span s, const char *c) {
    uint64_t v = 0;
    uint32_t hex = 0;
    bool digits = s.n && strspn(c, "0123456789") == s.n, hexes = s.n && strspn(c, "0123456789abcdefABCDEF") == s.n;
    must(text_uint(s, UINT64_MAX, &v) == (digits && s.n <= 19));
    if (digits && s.n <= 19)
        must(v == strtoull(c, NULL, 10) && text_uint(s, v, &v) && (!v || !text_uint(s, v - 1, &v)));
    must(text_hex(s, &hex) == (hexes && s.n <= 8));
    if (hexes && s.n <= 8) must(hex == strtoul(c, NULL, 16));
    must(text_name(s) ==
         (s.n && s.n <= 32 && strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == s.n));
}

/* HTTP dates, against the C library's. */
static void text_check_date(struct span s) {
    char ours[64], theirs[64];
    struct wr w = bytes_wr(ours, sizeof ours - 1);
    uint64_t v;
    struct tm tm;
    if (!text_uint(s, UINT64_MAX, &v) || v > 253402300799u) return; /* the year 9999 */
    time_t t = (time_t)v;
    text_put_date(&w, (int64_t)v);
    ours[w.n] = 0;
    must(gmtime_r(&t, &tm) && strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", &tm));
    must(!w.bad && !strcmp(ours, theirs));
}

static void text_check_ip(struct span s, const char *c) {
    struct wcam_addr a, b;
    uint8_t four[4], six[16];
    char printed[64];
    struct wr w = bytes_wr(printed, sizeof printed - 1);
    bool is4 = strlen(c) == s.n && inet_pton(AF_INET, c, four) == 1,
         is6 = strlen(c) == s.n && inet_pton(AF_INET6, c, six) == 1;
    bool ok = text_ip(s, &a);
    if (is4) must(ok && a.family == 4 && !memcmp(a.ip, four, 4));
    if (is6) must(ok && a.family == 6 && !memcmp(a.ip, six, 16));
    if (wcam_listen_address(c, &b)) must(b.family == 4 || b.family == 6);
    if (!ok) return;
    text_put_ip(&w, &a);
    must(!w.bad && text_ip(bytes_written(&w), &b) && base_addr_same(&a, &b) &&
         inet_pton(a.family == 6 ? AF_INET6 : AF_INET, (printed[w.n] = 0, printed), six) == 1);
    must(a.family == 6 ? is6 : is4);
}

/* What text_json writes is a JSON string and means the same bytes. */
static void text_check_json(struct span s) {
    uint8_t *p = malloc(s.n * 6 + 2), *plain = malloc(s.n * 3 + 1);
    struct wr w = bytes_wr(p, s.n * 6 + 2), u = bytes_wr(plain, s.n);
    must(p && plain);
    text_json(&w, s);
    struct span rest = bytes_written(&w);
    must(!w.bad && text_utf8(rest) && json_string(&rest) && !rest.n);
    size_t at = 1;
    for (size_t i = 0; i < s.n; i++) {
        uint32_t v = p[at];
        if (v == '\\' && p[at + 1] == 'u') must(text_hex(base_span(p + at + 2, 4), &v)), at += 5;
        else if (v == '\\') v = p[++at];
        must(v == s.p[i]);
        at++;
    }
    must(at + 1 == w.n);
    bool ok = text_unpercent(&u, s); /* never longer than what came */
    must(u.n <= s.n && !u.bad && (!ok || !memchr(plain, 0, u.n)));
    if (s.n && !memchr(s.p, '%', s.n) && !memchr(s.p, 0, s.n)) must(ok && text_same(bytes_written(&u), s));
    u = bytes_wr(plain, s.n * 3); /* and back from escaping it all */
    for (size_t i = 0; i < s.n; i++) text_putf(&u, "%%%02x", s.p[i]);
    struct span escaped = fuzz_own(bytes_written(&u));
    u = bytes_wr(plain, s.n);
    ok = text_unpercent(&u, escaped);
    must(ok == (!s.n || !memchr(s.p, 0, s.n)) && (!ok || text_same(bytes_written(&u), s)));
    fuzz_free(escaped);
    free(p);
    free(plain);
}

static void text_check_base64(struct span s) {
    uint8_t *p = malloc(s.n * 2 + 8), *back = malloc(s.n + 1);
    struct wr w = bytes_wr(p, s.n * 2 + 8), u = bytes_wr(back, s.n);
    must(p && back);
    bytes_unbase64(&u, s);
    must(u.n <= s.n);
    bytes_base64url(&w, s);
    must(!w.bad && w.n == (s.n * 4 + 2) / 3);
    while (w.n % 4) bytes_w8(&w, '=');
    for (size_t i = 0; i < w.n; i++) p[i] = p[i] == '-' ? '+' : p[i] == '_' ? '/' : p[i];
    u = bytes_wr(back, s.n);
    struct span own = fuzz_own(bytes_written(&w));
    must(bytes_unbase64(&u, own) && text_same(bytes_written(&u), s));
    fuzz_free(own);
    struct wr plain = bytes_wr(p, (s.n + 2) / 3 * 4); /* the plain alphabet, padded, fits exactly */
    bytes_base64(&plain, s);
    u = bytes_wr(back, s.n);
    must(!plain.bad && plain.n == plain.cap && bytes_unbase64(&u, bytes_written(&plain)));
    must(text_same(bytes_written(&u), s));
    free(p);
    free(back);
}

static void text_check_cuts(struct span s) {
    struct span rest = s;
    size_t words = 0;
    while (rest.n) {
        struct span line = text_line(&rest);
        must(fuzz_inside(line, s) && !(line.n && memchr(line.p, '\n', line.n)));
        while (line.n) {
            struct span word = text_word(&line);
            must(fuzz_inside(word, s) && ++words <= s.n);
        }
    }
    struct span t = text_trim(s);
    must(!t.n || (!text_blank(t.p[0]) && !text_blank(t.p[t.n - 1])));
}

static void fuzz_text(struct rd in) {
    struct span s = fuzz_own(fuzz_take(&in, 4096));
    struct pattern p;
    const char *why;
    char *c = malloc(s.n + 1);
    must(c);
    if (s.n) memcpy(c, s.p, s.n);
    c[s.n] = 0;
    text_check_numbers(s, c);
    text_check_date(s);
    text_check_ip(s, c);
    text_check_json(s);
    text_check_base64(s);
    text_check_cuts(s);
    if (!pattern_spec(c, &p, &why)) must(p.width >= 64 && p.width <= 4096 && p.height <= 2304 && p.fps && p.gop);
    free(c);
    fuzz_free(s);
}

/* ---- guard: who may come in ---- */

static bool guard_ask(const struct guard *g, const char *format, const char *value, struct http_req *q) {
    static char head[2048];
    int n = snprintf(head, sizeof head, format, value);
    must(n > 0 && (size_t)n < sizeof head);
    return http_read(base_span(head, (size_t)n), q) == n && guard_admits(g, q);
}

/* Whoever brings a secret in one of the ways that there are gets in, and nobody else does. */
static void guard_secrets(const struct guard *g, struct rd in) {
    static struct http_req q;
    static const char *const forms[] = {
        "GET / HTTP/1.1\r\nHost: a\r\nauthorization: beARer  %s \r\n\r\n",
        "GET /?token=%s&a=b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: BASIC %s\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; wcam8080=%s;c\r\nCookie: d=e\r\n\r\n"};
    const char *const right[] = {route_token, route_token, route_basic, g->cookie};
    unsigned which = bytes_r8(&in) & 3;
    char value[256];
    bool counts = which == 3 || (which == 2 ? g->user[0] : g->token[0]) != 0;
    must(guard_ask(g, forms[which], right[which], &q) == (counts || (!g->token[0] && !g->user[0])));
    text_copy(value, sizeof value, fuzz_take(&in, 200)); /* the input for the secret */
    struct span s = text_trim(text_of(value));
    bool may = text_is(s, right[which]) || strchr(value, '%') || which == 2 || strchr(value, ',') ||
               strchr(value, ';') || strchr(value, '\r') || strchr(value, '&') || strchr(value, ' ') ||
               strchr(value, '#');
    bool open = !g->token[0] && !g->user[0];
    if (guard_ask(g, forms[which], value, &q)) must(open || (counts && may));
}

/* The rest of the head is the input's. */
static void guard_head(const struct guard *g, struct rd in) {
    static struct http_req q;
    static struct http_resp r;
    uint8_t page[2048];
    struct span s = fuzz_own(fuzz_take(&in, HTTP_HEAD));
    if (http_read(s, &q) <= 0) {
        fuzz_free(s);
        return;
    }
    struct span host = q.authority.p ? q.authority : http_header(&q, "host"), origin = http_header(&q, "origin");
    bool known = guard_host(g, &q);
    /* by its letters a name other than those configured is refused */
    bool letters = host.n && strchr("ghijkmnopqrstuvwxyzGHIJKMNOPQRSTUVWXYZ", host.p[0]) && host.p[0];
    if (letters) must(!known);
    guard_admits(g, &q);
    bool foreign = guard_foreign(g, &q);
    if (foreign)
        must((!text_is(q.method, "GET") || ws_asked_for(&q)) &&
             (origin.p ? !text_same(origin, host) : guard_has_cookie(g, &q)));
    http_respond(&r, page, sizeof page);
    guard_cors(g, &q, &r);
    must(!r.extra.bad);
    bool allowed = fuzz_find(bytes_written(&r.extra), text_of("Access-Control-Allow-Origin: ")).p != NULL;
    must(!allowed || (g->origins && origin.p));
    if (allowed && g->origin[0][0] != '*') must(text_like(origin, g->origin[0]));
    fuzz_free(s);
}

/* No address gets more than the burst and the rate allow. */
static void guard_rate(struct guard *g, struct rd in) {
    int64_t now = BASE_S, begin = now;
    int64_t let_in[4] = {0};
    for (int i = 0; i < 3000 && fuzz_more(&in); i++) {
        unsigned what = bytes_r8(&in);
        struct wcam_addr from = stun_addr(what & 3);
        from.port = (uint16_t)i;
        now += (what >> 2) * BASE_MS;
        for (int k = 0; k < 8; k++) {
            bool exhausted = guard_exhausted(g, &from, now);
            must(exhausted == guard_exhausted(g, &from, now)); /* a question costs nothing */
            if (exhausted) continue;
            guard_charge(g, &from, now);
            let_in[what & 3]++;
        }
        must(let_in[what & 3] <= GUARD_BURST + (now - begin) * GUARD_RATE / BASE_S + 1);
        must(let_in[what & 3] > 0);
    }
}

static void fuzz_guard(struct rd in) {
    struct site *s = world_reset();
    unsigned flags = bytes_r8(&in);
    route_configure(s, flags & 31);
    s->guard.hosts = 0;
    switch (flags >> 6) {
    case 0: guard_secrets(&s->guard, in); break;
    case 1: guard_rate(&s->guard, in); break;
    default: guard_head(&s->guard, in); break;
    }
}

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
    must(!mbedtls_ctr_drbg_seed(&fuzz_crypt.drbg, world_entropy, NULL, NULL, 0));
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

/* ---- the program ---- */

static const struct fuzz_target {
    const char *name;
    void (*run)(struct rd in);
} fuzz_targets[] = {{"stun", fuzz_stun},     {"dtls", fuzz_dtls},     {"rtcp", fuzz_rtcp},
                    {"sdp", fuzz_sdp},       {"http", fuzz_http},     {"h264", fuzz_h264},
                    {"intake", fuzz_intake}, {"route", fuzz_route},   {"viewer", fuzz_viewer},
                    {"text", fuzz_text},     {"guard", fuzz_guard},   {"json", fuzz_json},
                    {"ws", fuzz_ws},         {"signal", fuzz_signal}, {"camerasdp", fuzz_camerasdp},
                    {"depay", fuzz_depay},   {"dialog", fuzz_dialog}};
static const struct fuzz_target *fuzz_chosen;

/* By the environment's FUZZ, or by the program's name: fuzz_NAME. */
static void fuzz_choose(const char *program) {
    const char *name = getenv("FUZZ"), *under = strrchr(program, '_');
    if (!name) name = under ? under + 1 : "";
    for (size_t i = 0; i < sizeof fuzz_targets / sizeof *fuzz_targets; i++)
        if (!strcmp(name, fuzz_targets[i].name)) fuzz_chosen = &fuzz_targets[i];
    if (fuzz_chosen) return;
    fprintf(stderr, "fuzz: choose a target by FUZZ=NAME:");
    for (size_t i = 0; i < sizeof fuzz_targets / sizeof *fuzz_targets; i++)
        fprintf(stderr, " %s", fuzz_targets[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    fuzz_choose((*argv)[0]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    static const uint8_t none[1];
    fuzz_chosen->run(bytes_rd(base_span(n ? p : none, n)));
    return 0;
}

#if defined(FUZZ_REPLAY)
enum { REPLAY_LARGEST = 1 << 20 };

int main(int argc, char **argv) {
    static uint8_t bytes[REPLAY_LARGEST];
    fuzz_choose(argv[0]);
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 1;
        }
        struct span s = fuzz_own(base_span(bytes, fread(bytes, 1, sizeof bytes, f)));
        fclose(f);
        fprintf(stderr, "%s\n", argv[i]); /* the last one named is the one that fails */
        LLVMFuzzerTestOneInput(s.p, s.n);
        fuzz_free(s);
    }
    wcam_destroy(world);
    printf("%d runs\n", argc - 1);
    return 0;
}
#endif
