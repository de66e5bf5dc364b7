/* A browser behind a bad link: the server and players in one process, joined by links that lose, delay, shuffle and
 * queue. Time is a number; what is due first happens first. All chances come from seeds, so that runs can be repeated.
 *
 *   cc -std=c99 -O2 test/link.c -o build/link -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto && build/link [WORD ...]
 *
 * WORDs choose tests by their names. LINK_HANDSHAKES=10000 shakes hands that often, LINK_SEED=N gives other chances.
 * Lines "# " are measurements; the last line is "N passed, N failed".
 */
#include "../webrtc_cam.c"

#include "unit.h"

#define PEER_PARTS
#include "peer.h"

#define LINK_BEGIN  (1000 * BASE_S)
#define LINK_FRAME  (BASE_S / 30)
#define LINK_FREEZE (LINK_FRAME + 150 * BASE_MS) /* between two pictures: what getStats calls a freeze */
#define LINK_YOUNG  (100 * BASE_MS)              /* a live picture's age, beyond the link's own delay */
#define LINK_IP_UDP 28
#define PEER_TICK   (20 * BASE_MS)  /* Chromium looks at its list of lost packets that often */
#define PEER_RTT    (100 * BASE_MS) /* until it knows better */
#define PEER_STUCK  BASE_S          /* without a picture, then it sends a PLI */
#define PEER_EMPTY  (200 * BASE_MS) /* the same, before the first picture */
#define PEER_LOOK   (200 * BASE_MS) /* between its looks at the link */
#define PEER_RISE   (10 * BASE_MS)  /* of the least wait from one look to the next: the link is overused */
enum link_sizes {
    LINK_SEQS = 1 << 18,  /* sequence numbers of one stream that are watched */
    PEER_RING = 8192,     /* packets that a player keeps */
    PEER_LOST = 1000,     /* as Chromium: packets that it misses at once, */
    PEER_TRIES = 10,      /* NACKs for one, */
    PEER_SHUFFLE = 128,   /* packets out of order that it remembers, */
    PEER_BUCKETS = 10,    /* how late they were, the last one: or more */
    PEER_SHOWN = 1 << 14, /* pictures */
    SCENE_UNIT = 400000,
    SCENE_SUB = 1 << 27 /* a bit in the numbers of the lesser stream's pictures */
};

static uint64_t link_seed = 1;

/* ==== chances ==== */

static uint32_t chance(uint64_t *state, uint32_t below) { /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1du >> 32) * below >> 32);
}

static void chance_seed(uint64_t *state, uint64_t seed) {
    *state = (seed + 1000 * link_seed) * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 8; i++) chance(state, 2);
}

static int chance_entropy(void *state, unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (unsigned char)chance(state, 256);
    return 0;
}

/* Nothing is random any more: SSRCs, sequence numbers, keys come from a seed. */
static void chance_crypt(struct crypt *c, uint64_t *state, uint64_t seed) {
    chance_seed(state, seed);
    mbedtls_ctr_drbg_free(&c->drbg);
    mbedtls_ctr_drbg_init(&c->drbg);
    CHECK(!mbedtls_ctr_drbg_seed(&c->drbg, chance_entropy, state, NULL, 0));
}

static uint64_t hash_of(uint64_t h, const uint8_t *p, size_t n) { /* FNV-1a */
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
#define HASH_BEGIN 0xcbf29ce484222325u

/* ==== link: one direction ==== */

struct link {
    double loss;           /* of packets, 0..1; in bursts when burst is above 1 */
    double burst;          /* packets in a row that a burst loses, in the mean */
    int64_t delay, jitter; /* us; jitter is added evenly from 0 to it */
    bool shuffle;          /* jitter may reorder; else who is late holds up who follows */
    int64_t rate;          /* bit/s; 0: no limit */
    int64_t queue;         /* bytes before a limited rate; what does not fit is dropped */
    uint64_t random;
    bool bad;           /* in a burst */
    int64_t free, last; /* when the queue is empty; when the newest one arrives */
    int packets, lost, dropped;
    int64_t bytes, most; /* most: bytes in the queue */
};

static bool link_loses(struct link *l) {
    double dice = chance(&l->random, 1u << 30) / (double)(1u << 30);
    if (l->burst <= 1) return dice < l->loss;
    /* Gilbert: mean length of the bad state is burst, its share is loss */
    if (l->bad) l->bad = dice >= 1 / l->burst;
    else l->bad = dice < l->loss / (1 - l->loss) / l->burst;
    return l->bad;
}

/* When a packet that is sent now arrives; -1: never. */
static int64_t link_carry(struct link *l, int64_t now, size_t n) {
    int64_t at = now;
    l->packets++;
    l->bytes += (int64_t)n;
    if (l->rate) {
        int64_t wait = base_max(0, l->free - now) * l->rate / (8 * BASE_S) + (int64_t)n + LINK_IP_UDP;
        if (wait > l->queue) return l->dropped++, -1;
        l->most = base_max(l->most, wait);
        at = l->free = base_max(now, l->free) + ((int64_t)n + LINK_IP_UDP) * 8 * BASE_S / l->rate;
    }
    if (link_loses(l)) return l->lost++, -1;
    at += l->delay + (l->jitter ? chance(&l->random, (uint32_t)l->jitter) : 0);
    if (!l->shuffle) at = base_max(at, l->last);
    l->last = base_max(at, l->last);
    return at;
}

/* The same queue is emptied at another rate. */
static void link_widens(struct link *l, int64_t now, int64_t rate) {
    if (l->free > now) l->free = now + (l->free - now) * l->rate / rate;
    l->rate = rate;
}

/* ==== scene: pictures with the pattern's headers, noise behind them, and their number at the end ==== */

struct scene {
    struct pattern pattern;
    uint8_t *cells, *unit, *noise;
    int gop, kbps;
    size_t key;     /* bytes of an IDR */
    uint32_t phase; /* so many pictures before the first IDR; SCENE_SUB: there is none */
    uint32_t number, mark;
    int64_t next;
    uint64_t random;
    uint64_t hash[PEER_RING]; /* of the newest pictures' slices */
};

static void scene_open(struct scene *c, int gop, int kbps, size_t key, uint64_t seed) {
    const char *why;
    *c = (struct scene){.gop = gop, .kbps = kbps, .key = key};
    chance_seed(&c->random, seed);
    CHECK(!pattern_spec("64x64@30,gop=36000", &c->pattern, &why));
    c->cells = malloc(pattern_cells(&c->pattern));
    c->unit = malloc(SCENE_UNIT);
    c->noise = malloc(SCENE_UNIT * 2);
    if (!c->cells || !c->unit || !c->noise) abort();
    for (size_t i = 0; i < SCENE_UNIT * 2; i++) c->noise[i] = (uint8_t)(1 + chance(&c->random, 255));
    pattern_start(&c->pattern, c->cells);
}

static void scene_close(struct scene *c) {
    free(c->cells);
    free(c->unit);
    free(c->noise);
}

static size_t scene_size(struct scene *c, bool key) {
    if (key) return c->key;
    int64_t gop = (int64_t)c->kbps * 1000 / 8 * c->gop / 30, rest = (gop - (int64_t)c->key) / base_max(1, c->gop - 1);
    rest = base_max(rest, 200);
    return (size_t)(rest * (70 + chance(&c->random, 61)) / 100);
}

static struct span scene_picture(struct scene *c) {
    struct wr w = bytes_wr(c->unit, SCENE_UNIT);
    bool key = c->number >= c->phase && (c->number - c->phase) % (uint32_t)c->gop == 0;
    uint32_t number = c->number | c->mark;
    size_t size = scene_size(c, key);
    CHECK(pattern_frame(&c->pattern, key, c->number * 33, c->number * 33, &w));
    if (w.n < size) bytes_put(&w, c->noise + chance(&c->random, SCENE_UNIT), size - w.n);
    for (int i = 0; i < 4; i++) bytes_w8(&w, 0x80 | (number >> (21 - 7 * i) & 127));
    CHECK(!w.bad);
    struct span unit = bytes_written(&w), rest = unit, nal, slice = {0};
    while ((nal = h264_next(&rest)).n) slice = nal;
    c->hash[c->number % PEER_RING] = hash_of(HASH_BEGIN, slice.p + 1, slice.n - 1);
    c->number++;
    return unit;
}

/* ==== world: the server, its players, and what is under way ==== */

struct datagram {
    int64_t at, sent;
    uint64_t order;
    uint32_t peer; /* its number: peers come and go */
    bool down;
    size_t n;
    uint8_t bytes[1500];
};

/* All that was sealed with one SSRC. */
struct watch {
    uint32_t ssrc;
    int64_t newest; /* extended sequence number, -1: none */
    uint64_t *hash; /* of each packet; 0: not sent */
    int again, forged;
};

struct peer_packet {
    int64_t seq; /* extended; 0: none */
    uint32_t timestamp;
    bool marker, key;
    uint16_t n;
    uint8_t bytes[BASE_DATAGRAM];
};

struct peer_lost {
    int64_t seq, ask_at, asked; /* ask_at: once this number came; asked: when, 0: not yet */
    int tries;
};

struct shown {
    int64_t at;
    uint32_t number;
    bool sub; /* of the lesser stream */
};

struct peer {
    struct world *x;
    uint32_t number;
    struct wcam_addr addr;
    struct link up, down;
    char id[24], answer[8192], ufrag[80], pwd[80];
    bool client, rtx, mute; /* mute: never NACKs of its own accord */
    bool remb;              /* it tells what it takes the link for */
    struct dtls dtls;
    srtp_t in, out;
    int64_t joined, next_check, answered, ready, media_at; /* 0: not yet */
    int checks;
    uint8_t hello[1500]; /* a DTLS datagram that came before the first answer */
    size_t hello_n;
    uint32_t ssrc, rtx_ssrc;

    struct watch sent[2]; /* by the server: media, RTX */
    uint32_t sent_timestamp;
    bool sent_marker;
    int64_t sent_bytes, held;       /* held: the longest from a picture's push to its last packet's leaving */
    int timestamps_bad, broken_off; /* broken off: pictures without a last packet */

    struct peer_packet *ring;
    int64_t newest, base, wrap;                                 /* extended; base: of the first */
    int got, recovered, replayed, undecryptable, early, across; /* across: lost before a wrap, repaired after it */
    int64_t got_before, expected_before;
    double jitter;
    int64_t transit;
    struct peer_lost lost[PEER_LOST];
    int lost_n, asked, nacks, plis, gave_up;
    int shuffled[PEER_SHUFFLE], shuffled_n;
    int64_t rtt, next_tick, next_report, pli_at, sr_at, key_at; /* key_at: the last packet of an IDR */
    uint32_t sr;

    int64_t tail;   /* the last packet of the newest decoded picture; 0: none yet */
    int64_t key[8]; /* first packets of IDRs */
    int key_n, wrong;
    struct shown *shown;
    int shown_n;

    int64_t next_look, taken[3], wait[3]; /* of the newest looks: bytes that came, the least wait on the way */
    int looks;
    double estimate; /* bit/s; 0: none yet */
};

struct world {
    wcam *w;
    int64_t now, wake;
    struct scene scene, sub; /* sub: of the lesser stream, if there is one */
    int streams, asked;      /* asked: the stream that players ask for */
    int64_t filmed;          /* the newest picture */
    struct crypt crypt;
    struct dtls_home home;
    uint64_t random[2];
    struct peer *peer[4];
    uint32_t peers;
    struct datagram **heap, *spare[64];
    int heap_n, heap_cap, spare_n;
    uint64_t order;
};

static bool datagram_before(const struct datagram *a, const struct datagram *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void world_put(struct world *x, struct datagram *d) {
    if (x->heap_n == x->heap_cap) {
        x->heap_cap = x->heap_cap ? 2 * x->heap_cap : 256;
        x->heap = realloc(x->heap, (size_t)x->heap_cap * sizeof *x->heap);
        if (!x->heap) abort();
    }
    int i = x->heap_n++;
    d->order = x->order++;
    for (; i && datagram_before(d, x->heap[(i - 1) / 2]); i = (i - 1) / 2) x->heap[i] = x->heap[(i - 1) / 2];
    x->heap[i] = d;
}

static struct datagram *world_take(struct world *x) {
    struct datagram *first = x->heap[0], *d = x->heap[--x->heap_n];
    int i = 0, k;
    for (; (k = 2 * i + 1) < x->heap_n; i = k) {
        if (k + 1 < x->heap_n && datagram_before(x->heap[k + 1], x->heap[k])) k++;
        if (!datagram_before(x->heap[k], d)) break;
        x->heap[i] = x->heap[k];
    }
    x->heap[i] = d;
    return first;
}

static void world_send(struct world *x, struct peer *p, bool down, const uint8_t *bytes, size_t n) {
    int64_t at = link_carry(down ? &p->down : &p->up, x->now, n);
    if (at < 0) return;
    struct datagram *d = x->spare_n ? x->spare[--x->spare_n] : malloc(sizeof *d);
    if (!d) abort();
    d->at = at;
    d->sent = x->now;
    d->peer = p->number;
    d->down = down;
    d->n = n;
    memcpy(d->bytes, bytes, n);
    world_put(x, d);
}

/* poll() waits whole milliseconds, rounded up: so does this. */
static void world_tick(struct world *x) {
    int64_t next = wcam_tick(x->w, x->now, SIM_UNIX + x->now);
    x->wake = next == BASE_NEVER ? next : x->now + base_max(1, (next - x->now + BASE_MS - 1) / BASE_MS) * BASE_MS;
}

static void world_input(struct world *x, const struct wcam_addr *from, const uint8_t *bytes, size_t n) {
    struct span copy = exact(bytes, n);
    wcam_input(x->w, from, (void *)(uintptr_t)copy.p, n, x->now);
    gone(copy);
    world_tick(x);
}

/* ==== watch: what the server may send at all ==== */

static int64_t seq_extend(int64_t newest, uint16_t seq) {
    return newest < 0 ? 0x10000 + seq : newest + (int16_t)(uint16_t)(seq - (uint16_t)newest);
}

/* One key stream covers one text (RFC 3711 9.1). A picture's packets share a timestamp, which is above the one before. */
static void watch_packet(struct peer *p, const uint8_t *bytes, size_t n) {
    struct rd r = bytes_rd(base_span(bytes, n));
    bytes_r8(&r);
    bool marker = bytes_r8(&r) >> 7;
    uint16_t seq = bytes_r16(&r);
    uint32_t timestamp = bytes_r32(&r), ssrc = bytes_r32(&r);
    bool rtx = (bytes[1] & 127) == 103;
    struct watch *w = &p->sent[rtx];
    uint64_t hash = hash_of(HASH_BEGIN, bytes, n);
    if (!w->hash && !(w->hash = calloc(LINK_SEQS, sizeof *w->hash))) abort();
    if (w->newest < 0) w->ssrc = ssrc;
    int64_t at = seq_extend(w->newest, seq);
    if (!CHECK(ssrc == w->ssrc && at > 0 && at < LINK_SEQS)) return;
    bool fresh = at > w->newest;
    w->again += !fresh && w->hash[at] == hash;
    w->forged += !fresh && w->hash[at] != hash; /* a number that was skipped counts, too */
    if (fresh && !rtx) {
        bool first = w->newest < 0, begins = timestamp != p->sent_timestamp;
        if (!first && (at != w->newest + 1 || (p->sent_marker && !begins))) p->timestamps_bad++;
        if (!first && begins && (int32_t)(timestamp - p->sent_timestamp) <= 0) p->timestamps_bad++;
        p->broken_off += !first && begins && !p->sent_marker;
        p->sent_timestamp = timestamp;
        p->sent_marker = marker;
        if (marker) p->held = base_max(p->held, p->x->now - p->x->filmed);
    }
    if (fresh) w->newest = at;
    w->hash[at] = hash;
    p->sent_bytes += (int64_t)n;
}

static struct peer *world_peer(struct world *x, const struct wcam_addr *to) {
    for (int i = 0; i < 4; i++)
        if (x->peer[i] && base_addr_same(&x->peer[i]->addr, to)) return x->peer[i];
    return NULL;
}

static void world_output(void *to, const struct wcam_addr *addr, const void *bytes, size_t n) {
    struct world *x = to;
    struct peer *p = world_peer(x, addr);
    const uint8_t *b = bytes;
    CHECK(n <= BASE_DATAGRAM);
    if (!p) return;
    if (b[0] >= 128 && (b[1] < 192 || b[1] > 223)) watch_packet(p, b, n);
    world_send(x, p, true, b, n);
}

/* ==== peer: RTCP ==== */

static size_t peer_seal(struct peer *p, struct wr *w) {
    int n = (int)w->n;
    if (!p->out || w->bad || !CHECK(srtp_protect_rtcp(p->out, w->p, &n) == srtp_err_status_ok)) return 0;
    return (size_t)n;
}

static void peer_rtcp(struct peer *p, struct wr *w) {
    size_t n = peer_seal(p, w);
    if (n) world_send(p->x, p, false, w->p, n);
}

static void peer_pli(struct peer *p) {
    uint8_t bytes[64];
    struct wr w = bytes_wr(bytes, sizeof bytes - 16);
    bytes_w32(&w, 0x81ce0002);
    bytes_w32(&w, 1);
    bytes_w32(&w, p->ssrc);
    peer_rtcp(p, &w);
    p->plis++;
}

/* Numbers in rising order. */
static void peer_nack(struct peer *p, const int64_t *seq, int n) {
    uint8_t bytes[1200];
    struct wr w = bytes_wr(bytes, sizeof bytes - 16);
    for (int i = 0; i < n; p->nacks++) {
        w.n = 0;
        bytes_w32(&w, 0x81cd0000);
        bytes_w32(&w, 1);
        bytes_w32(&w, p->ssrc);
        while (i < n && w.n < 1000) {
            int64_t first = seq[i++];
            unsigned mask = 0;
            for (; i < n && seq[i] - first <= 16; i++) mask |= 1u << (seq[i] - first - 1);
            bytes_w16(&w, (uint16_t)first);
            bytes_w16(&w, mask);
        }
        bytes_w16_at(&w, 2, (unsigned)w.n / 4 - 1);
        peer_rtcp(p, &w);
    }
}

/* RFC 3550 6.4.2 and A.3; behind it the receiver's time (RFC 3611 4.4), whose answer tells the round trip. */
static void peer_report(struct peer *p) {
    uint8_t bytes[128];
    struct wr w = bytes_wr(bytes, sizeof bytes - 16);
    int64_t expected = p->newest - p->base + 1, lost = base_max(0, expected - p->got);
    int64_t expects = expected - p->expected_before, loses = expects - (p->got - p->got_before);
    p->expected_before = expected;
    p->got_before = p->got;
    bytes_w32(&w, 0x81c90007);
    bytes_w32(&w, 1);
    bytes_w32(&w, p->ssrc);
    bytes_w8(&w, expects > 0 && loses > 0 ? (unsigned)base_min(255, loses * 256 / expects) : 0);
    bytes_w24(&w, (uint32_t)lost);
    bytes_w32(&w, (uint32_t)p->newest);
    bytes_w32(&w, (uint32_t)p->jitter);
    bytes_w32(&w, p->sr);
    bytes_w32(&w, p->sr ? (uint32_t)((p->x->now - p->sr_at) * 65536 / BASE_S) : 0);
    bytes_w32(&w, 0x80cf0004);
    bytes_w32(&w, 1);
    bytes_w32(&w, 0x04000002);
    bytes_w64(&w, rtcp_ntp(SIM_UNIX + p->x->now));
    peer_rtcp(p, &w);
}

static void peer_take_rtcp(struct peer *p, uint8_t *bytes, size_t size) {
    int n = (int)size;
    struct rtcp_packet packet;
    if (!p->in) return (void)p->early++;
    if (srtp_unprotect_rtcp(p->in, bytes, &n) != srtp_err_status_ok) return (void)p->undecryptable++;
    struct span rest = base_span(bytes, (size_t)n);
    uint32_t middle = (uint32_t)(rtcp_ntp(SIM_UNIX + p->x->now) >> 16);
    while (rtcp_next(&rest, &packet) > 0) {
        struct rd r = bytes_rd(packet.body);
        if (packet.type == RTCP_SR) {
            uint32_t high = bytes_r32(&r), low = bytes_r32(&r);
            p->sr = high << 16 | low >> 16;
            p->sr_at = p->x->now;
        } else if (packet.type == RTCP_XR && bytes_r32(&r) == 0x05000003) {
            bytes_r32(&r);
            uint32_t sent = bytes_r32(&r), held = bytes_r32(&r);
            p->rtt = base_max(BASE_MS, (int64_t)(uint32_t)(middle - sent - held) * BASE_S / 65536);
        }
    }
}

/* ==== peer: what is missing, as Chromium's nack_requester does it ==== */

/* So many packets it waits before it takes a gap for a loss: the median of how far off late ones were. */
static int peer_patience(const struct peer *p) {
    int n = p->shuffled_n < PEER_SHUFFLE ? p->shuffled_n : PEER_SHUFFLE, count[PEER_BUCKETS] = {0}, sum = 0, i = 0;
    for (int k = 0; k < n; k++) count[p->shuffled[k]]++;
    while (i < PEER_BUCKETS && 2 * sum < n) sum += count[i++];
    return i;
}

static void peer_forget(struct peer *p, int64_t below) {
    int n = 0;
    for (int i = 0; i < p->lost_n; i++)
        if (p->lost[i].seq >= below) p->lost[n++] = p->lost[i];
    p->lost_n = n;
}

static void peer_ask(struct peer *p, bool by_time) {
    int64_t seq[PEER_LOST];
    int n = 0, kept = 0;
    for (int i = 0; i < p->lost_n; i++) {
        struct peer_lost *l = &p->lost[i];
        bool ask = by_time ? !l->asked || p->x->now - l->asked >= p->rtt : !l->asked && p->newest >= l->ask_at;
        if (ask) {
            seq[n++] = l->seq;
            l->asked = p->x->now;
            p->gave_up += ++l->tries == PEER_TRIES;
        }
        if (l->tries < PEER_TRIES) p->lost[kept++] = *l;
    }
    p->lost_n = kept;
    p->asked += n;
    if (n && !p->mute) peer_nack(p, seq, n);
}

static void peer_gap(struct peer *p, int64_t from, int64_t to) {
    if (p->lost_n + (to - from) > PEER_LOST) {
        peer_forget(p, p->key_n ? p->key[(p->key_n - 1) % 8] : INT64_MAX);
        if (p->lost_n + (to - from) > PEER_LOST) {
            p->lost_n = 0;
            peer_pli(p);
            return;
        }
    }
    for (int64_t s = from; s < to; s++) p->lost[p->lost_n++] = (struct peer_lost){s, s + peer_patience(p), 0, 0};
}

/* A packet came; recovered: by RTX. */
static void peer_arrived(struct peer *p, int64_t seq, bool recovered) {
    if (seq > p->newest) {
        if (recovered) return;
        peer_gap(p, p->newest + 1, seq);
        p->newest = seq;
        peer_ask(p, false);
        return;
    }
    for (int i = 0; i < p->lost_n; i++) {
        if (p->lost[i].seq != seq) continue;
        p->across += p->lost[i].tries && seq >> 16 != p->newest >> 16;
        memmove(&p->lost[i], &p->lost[i + 1], (size_t)(--p->lost_n - i) * sizeof *p->lost);
        break;
    }
    if (!recovered) p->shuffled[p->shuffled_n++ % PEER_SHUFFLE] = (int)base_min(p->newest - seq, PEER_BUCKETS - 1);
}

/* ==== peer: pictures ==== */

static struct peer_packet *peer_at(struct peer *p, int64_t seq) {
    struct peer_packet *k = &p->ring[seq % PEER_RING];
    return k->seq == seq ? k : NULL;
}

/* The hash of the slices in a payload. */
static uint64_t peer_hash(uint64_t h, const struct peer_packet *k) {
    struct rd r = bytes_rd(base_span(k->bytes, k->n));
    unsigned type = k->bytes[0] & 31;
    if (type == RTP_FU_A) return hash_of(h, k->bytes + 2, k->n - 2u);
    if (type != RTP_STAP_A) return hash_of(h, k->bytes + 1, k->n - 1u);
    bytes_r8(&r);
    while (bytes_left(&r)) {
        struct span nal = bytes_take(&r, bytes_r16(&r));
        if (nal.n && ((nal.p[0] & 31) == 1 || (nal.p[0] & 31) == 5)) h = hash_of(h, nal.p + 1, nal.n - 1);
    }
    return h;
}

static bool peer_begins_idr(const uint8_t *payload, size_t n) {
    return n > 3 && (payload[0] & 31) == RTP_STAP_A && (payload[3] & 31) == H264_SPS;
}

/* Decodes the picture that begins at seq if it is complete. */
static bool peer_decode(struct peer *p, int64_t seq) {
    int64_t end = seq;
    struct peer_packet *k = peer_at(p, seq);
    uint32_t number = 0, timestamp = k ? k->timestamp : 0;
    while (k && !k->marker && k->timestamp == timestamp) k = peer_at(p, ++end);
    if (!k || k->timestamp != timestamp) return false; /* broken off: as libwebrtc, it waits for an IDR */
    uint64_t h = HASH_BEGIN;
    bool same = true, key = peer_begins_idr(peer_at(p, seq)->bytes, peer_at(p, seq)->n);
    for (int64_t s = seq; s <= end; s++) {
        k = peer_at(p, s);
        h = peer_hash(h, k);
        same = same && k->timestamp == timestamp;
        /* the number may be cut in two: the last four bytes, without a fragment's header */
        for (int i = k->n > 6 ? k->n - 4 : 2; i < k->n; i++) number = (number << 7 | (k->bytes[i] & 127u)) & 0xfffffff;
    }
    bool sub = number & SCENE_SUB;
    struct scene *c = sub ? &p->x->sub : &p->x->scene;
    number &= SCENE_SUB - 1;
    same = same && (key || (p->shown_n && p->shown[p->shown_n - 1].sub == sub)); /* it refers to its own stream */
    same = same && number < c->number && c->number - number < PEER_RING && c->hash[number % PEER_RING] == h;
    p->wrong += !same;
    p->tail = end;
    if (p->shown_n < PEER_SHOWN) p->shown[p->shown_n++] = (struct shown){p->x->now, number, sub};
    peer_forget(p, end + 1);
    return true;
}

/* What has become complete: the next picture, and the next; or a newer IDR. */
static void peer_play(struct peer *p) {
    for (bool more = true; more;) {
        more = p->tail && peer_decode(p, p->tail + 1);
        for (int i = 0; i < 8 && !more; i++)
            if (p->key[i] > p->tail) more = peer_decode(p, p->key[i]);
    }
}

static void peer_keep(struct peer *p, int64_t seq, uint32_t timestamp, bool marker, struct span payload) {
    struct peer_packet *k = &p->ring[seq % PEER_RING];
    if (k->seq >= seq || !CHECK(payload.n && payload.n <= sizeof k->bytes)) return;
    k->seq = seq;
    k->timestamp = timestamp;
    k->marker = marker;
    k->n = (uint16_t)payload.n;
    memcpy(k->bytes, payload.p, payload.n);
    if (peer_begins_idr(payload.p, payload.n)) p->key[p->key_n++ % 8] = seq;
    if (peer_begins_idr(payload.p, payload.n) ||
        (payload.n > 1 && (payload.p[0] & 31) == RTP_FU_A && (payload.p[1] & 31) == 5))
        p->key_at = p->x->now;
    peer_play(p);
}

static void peer_count(struct peer *p, int64_t seq, uint32_t timestamp) { /* RFC 3550 A.8 */
    int64_t transit = (int64_t)(uint32_t)rtp_clock(p->x->now) - timestamp;
    int32_t d = (int32_t)(uint32_t)(transit - p->transit);
    if (p->got++ && seq > p->base) p->jitter += ((d < 0 ? -(double)d : d) - p->jitter) / 16;
    p->transit = transit;
}

static void peer_take_rtp(struct peer *p, uint8_t *bytes, size_t size) {
    int n = (int)size;
    if (!p->in) return (void)p->early++;
    srtp_err_status_t rc = srtp_unprotect(p->in, bytes, &n);
    if (rc == srtp_err_status_replay_fail || rc == srtp_err_status_replay_old) return (void)p->replayed++;
    if (rc != srtp_err_status_ok) return (void)p->undecryptable++;
    struct rd r = bytes_rd(base_span(bytes, (size_t)n));
    bool x = bytes_r8(&r) & 0x10;
    unsigned second = bytes_r8(&r), pt = second & 127;
    uint16_t seq = bytes_r16(&r);
    uint32_t timestamp = bytes_r32(&r), ssrc = bytes_r32(&r);
    if (x) {
        bytes_r16(&r);
        bytes_take(&r, bytes_r16(&r) * 4u);
    }
    bool rtx = pt == 103;
    CHECK((pt == 102 || (rtx && p->rtx)) && ssrc == (rtx ? p->rtx_ssrc : p->ssrc));
    if (rtx) seq = bytes_r16(&r);
    struct span payload = bytes_take(&r, bytes_left(&r));
    if (!CHECK(!r.bad)) return;
    if (!p->media_at) p->media_at = p->x->now;
    if (p->newest < 0 && rtx) return;
    if (p->newest < 0) {
        p->ring = calloc(PEER_RING, sizeof *p->ring);
        p->shown = calloc(PEER_SHOWN, sizeof *p->shown);
        if (!p->ring || !p->shown) abort();
        p->newest = p->base = seq_extend(-1, seq);
        p->next_tick = p->x->now + PEER_TICK;
        p->next_report = p->x->now + BASE_S;
        p->next_look = p->x->now + PEER_LOOK;
        p->wait[0] = BASE_NEVER;
        p->pli_at = p->x->now;
    }
    int64_t whole = seq_extend(p->newest, seq);
    p->recovered += rtx;
    p->taken[0] += n;
    if (!rtx) peer_count(p, whole, timestamp);
    peer_arrived(p, whole, rtx);
    if (whole > p->tail) peer_keep(p, whole, timestamp, second >> 7, payload);
}

/* ==== peer: what it takes the link for, much as Chromium's goog-remb ==== */

static void peer_remb(struct peer *p) {
    uint8_t bytes[64];
    struct wr w = bytes_wr(bytes, sizeof bytes - 16);
    uint64_t mantissa = (uint64_t)p->estimate;
    unsigned exponent = 0;
    for (; mantissa >> 18; mantissa >>= 1) exponent++;
    bytes_w32(&w, 0x8fce0005);
    bytes_w32(&w, 1);
    bytes_w32(&w, 0);
    bytes_w32(&w, 0x52454d42);
    bytes_w32(&w, 1u << 24 | exponent << 18 | (uint32_t)mantissa);
    bytes_w32(&w, p->ssrc);
    peer_rtcp(p, &w);
}

/* While packets wait longer and longer, 0.85 of what arrives; else 8 % more each second, but not above 1.5 times that. */
static void peer_look(struct peer *p) {
    double came = (double)(p->taken[0] + p->taken[1] + p->taken[2]) * 8 * BASE_S / (3 * PEER_LOOK);
    double more = p->estimate * (1 + 0.08 * PEER_LOOK / BASE_S), less = 0.85 * came, top = 1.5 * came + 10000;
    bool seen = p->looks > 2 && p->wait[0] < BASE_NEVER && p->wait[1] < BASE_NEVER;
    bool overused = seen && p->wait[0] > 2 * PEER_RISE && p->wait[0] - p->wait[1] > PEER_RISE;
    if (overused && (p->estimate <= 0 || less < p->estimate)) p->estimate = less;
    else if (!overused && p->estimate > 0 && p->estimate < top) p->estimate = more < top ? more : top;
    else if (p->estimate <= 0 && p->looks >= 5 * BASE_S / PEER_LOOK) p->estimate = came;
    for (int i = 2; i; i--) p->taken[i] = p->taken[i - 1], p->wait[i] = p->wait[i - 1];
    p->taken[0] = 0;
    p->wait[0] = BASE_NEVER;
    p->looks++;
    if (p->estimate > 0) peer_remb(p);
}

/* ==== peer: the way to there ==== */

static void peer_dtls_out(void *to, const struct path *path, const uint8_t *bytes, size_t n) {
    struct peer *p = to;
    (void)path;
    world_send(p->x, p, false, bytes, n);
}

static void peer_keys(struct peer *p) {
    if (p->in || p->dtls.state != DTLS_READY) return;
    const uint8_t *client[2] = {p->dtls.keys, p->dtls.keys + 32}, *server[2] = {p->dtls.keys + 16, p->dtls.keys + 46};
    const uint8_t **ours = p->client ? client : server, **theirs = p->client ? server : client;
    CHECK(sim_srtp(&p->in, theirs[0], theirs[1], ssrc_any_inbound));
    CHECK(sim_srtp(&p->out, ours[0], ours[1], ssrc_any_outbound));
    p->ready = p->x->now;
}

/* Chromium begins with the first answer to a check, and keeps one ClientHello that came before. */
static void peer_answered(struct peer *p) {
    struct path path = {p->addr, {0}};
    if (p->answered) return;
    p->answered = p->next_check = p->x->now;
    dtls_start(&p->dtls, &path, p->x->now);
    if (p->hello_n && !p->client) dtls_input(&p->dtls, base_span(p->hello, p->hello_n), p->x->now);
    peer_keys(p);
}

static void peer_input(struct peer *p, uint8_t *bytes, size_t n) {
    struct stun_msg m;
    if (bytes[0] <= 3) {
        CHECK(stun_read(base_span(bytes, n), &m) == DROP_NONE);
        if (m.type == STUN_SUCCESS) peer_answered(p);
    } else if (bytes[0] >= 20 && bytes[0] <= 63) {
        if (p->answered) dtls_input(&p->dtls, base_span(bytes, n), p->x->now);
        else memcpy(p->hello, bytes, p->hello_n = n);
        peer_keys(p);
    } else if (bytes[1] >= 192 && bytes[1] <= 223) peer_take_rtcp(p, bytes, n);
    else peer_take_rtp(p, bytes, n);
}

static void peer_check(struct peer *p) {
    uint8_t out[512], number[12] = {0x6e, 0, 0x1e, 0xff, 1, 2, 3, 4};
    char username[200];
    struct wr w = bytes_wr(out, sizeof out);
    number[11] = (uint8_t)p->checks++;
    snprintf(username, sizeof username, "%s:peer", p->ufrag);
    stun_begin(&w, STUN_BINDING, number);
    stun_put(&w, STUN_USERNAME, text_of(username));
    stun_put(&w, STUN_ICE_CONTROLLING, base_span(number, 8));
    if (p->answered) stun_put(&w, STUN_USE_CANDIDATE, lit(""));
    stun_put(&w, STUN_PRIORITY, base_span(number, 4));
    stun_finish(&w, text_of(p->pwd));
    world_send(p->x, p, false, w.p, w.n);
    int64_t young = p->answered && p->x->now - p->answered > 2 * BASE_S ? 2500 * BASE_MS : 480 * BASE_MS;
    p->next_check = p->x->now + (p->answered ? young : 48 * BASE_MS);
}

static int64_t peer_due(const struct peer *p) {
    int64_t due = p->next_check;
    if (p->dtls.state == DTLS_HANDSHAKING && p->dtls.full_time) due = base_min(due, p->dtls.full_time);
    if (p->newest < 0) return due;
    if (p->remb) due = base_min(due, p->next_look);
    return base_min(due, base_min(p->next_tick, p->next_report));
}

static void peer_tick(struct peer *p) {
    int64_t now = p->x->now;
    if (now >= p->next_check) peer_check(p);
    dtls_tick(&p->dtls, now);
    peer_keys(p);
    if (p->newest < 0) return;
    if (now >= p->next_tick) {
        p->next_tick += PEER_TICK;
        peer_ask(p, true);
        int64_t seen = base_max(p->pli_at, p->shown_n ? p->shown[p->shown_n - 1].at : 0);
        bool coming = !p->shown_n && p->key_at && now - p->key_at < PEER_EMPTY; /* an IDR is on its way */
        if (now - seen >= (p->shown_n ? PEER_STUCK : PEER_EMPTY) && !coming) {
            p->pli_at = now;
            peer_pli(p);
        }
    }
    if (now >= p->next_report) {
        p->next_report += BASE_S;
        peer_report(p);
    }
    if (p->remb && now >= p->next_look) {
        p->next_look += PEER_LOOK;
        peer_look(p);
    }
}

/* A player that has posted its offer; HTTP takes no time here. */
static struct peer *peer_join(struct world *x, bool client, bool rtx, struct link up, struct link down) {
    static struct sdp_offer a;
    char offer[2048];
    const char *why;
    int at = 0;
    while (at < 3 && x->peer[at]) at++;
    struct peer *p = x->peer[at] = calloc(1, sizeof *p);
    if (!p) abort();
    *p = (struct peer){.x = x, .number = ++x->peers, .client = client, .rtx = rtx, .up = up, .down = down};
    p->addr = (struct wcam_addr){4, (uint16_t)(1024 + p->number % 60000), {198, 51, 100, 7}};
    p->rtt = PEER_RTT;
    p->newest = p->sent[0].newest = p->sent[1].newest = -1;
    chance_seed(&p->up.random, 2 * p->number);
    chance_seed(&p->down.random, 2 * p->number + 1);
    snprintf(offer, sizeof offer, sim_offer_text, x->home.fingerprint, client ? "active" : "actpass",
             rtx ? sim_offer_rtx : "");
    CHECK(!wcam_offer(x->w, x->asked, offer, strlen(offer), p->answer, sizeof p->answer, p->id));
    CHECK(!sdp_read(text_of(p->answer), &a, &why) && a.count == 1);
    const struct sdp_transport *t = &a.section[0].transport;
    text_copy(p->ufrag, sizeof p->ufrag, t->ufrag);
    text_copy(p->pwd, sizeof p->pwd, t->pwd);
    CHECK(dtls_read_fingerprint(t->fingerprint, &p->dtls.peer_hash, p->dtls.peer_print));
    CHECK(!dtls_open(&p->dtls, &x->home, !client, (struct emit){peer_dtls_out, p}));
    const struct viewer *v = viewer_by_id(&x->w->server.site.lobby, text_of(p->id));
    p->ssrc = v->sender.ssrc;
    p->rtx_ssrc = v->sender.rtx_ssrc;
    p->joined = p->next_check = x->now;
    return p;
}

static struct viewer *peer_viewer(struct peer *p) { return viewer_by_id(&p->x->w->server.site.lobby, text_of(p->id)); }

static void peer_free(struct peer *p) {
    struct world *x = p->x;
    for (int i = 0; i < 4; i++)
        if (x->peer[i] == p) x->peer[i] = NULL;
    wcam_hang_up(x->w, p->id);
    p->dtls.state = DTLS_CLOSED; /* without a goodbye */
    dtls_close(&p->dtls, x->now);
    if (p->in) srtp_dealloc(p->in);
    if (p->out) srtp_dealloc(p->out);
    free(p->ring);
    free(p->shown);
    free(p->sent[0].hash);
    free(p->sent[1].hash);
    free(p);
}

/* ==== world: time ==== */

/* A server with one camera: an IDR of so many bytes every gop pictures, and in all so many kbit/s. */
static struct world *world_new(int gop, int kbps, size_t key, uint64_t seed) {
    struct world *x = calloc(1, sizeof *x);
    if (!x) abort();
    x->now = LINK_BEGIN;
    struct wcam_config config = {.listen = "", .user_data = x, .send = world_output};
    CHECK(wcam_create(&config, &x->w) == 0 && wcam_add(x->w, "cam", NULL, 0) == 0);
    chance_crypt(&x->w->server.site.crypt, &x->random[0], seed);
    CHECK(!crypt_open(&x->crypt) && !dtls_home_open(&x->home, &x->crypt));
    chance_crypt(&x->crypt, &x->random[1], seed + 1);
    /* a browser's timer (BoringSSL as Chromium sets it): 50 ms, doubling for ever */
    for (int i = 0; i < 2; i++) mbedtls_ssl_conf_handshake_timeout(&x->home.role[i], 50, 60000);
    scene_open(&x->scene, gop, kbps, key, seed);
    x->scene.next = x->now;
    x->streams = 1;
    world_tick(x);
    return x;
}

/* The camera has a lesser stream, too, taken at the same times; its first IDR is so many pictures later. */
static void world_add_sub(struct world *x, int gop, int kbps, size_t key, uint32_t phase) {
    CHECK(wcam_add(x->w, "cam/sub", NULL, 0) == x->streams);
    scene_open(&x->sub, gop, kbps, key, 99);
    x->sub.phase = phase;
    x->sub.pattern.need_idr = false; /* it would begin with one */
    x->sub.mark = SCENE_SUB;
    x->streams++;
}

static void world_free(struct world *x) {
    for (int i = 0; i < 4; i++)
        if (x->peer[i]) peer_free(x->peer[i]);
    wcam_destroy(x->w);
    while (x->heap_n) free(x->heap[--x->heap_n]);
    while (x->spare_n) free(x->spare[--x->spare_n]);
    free(x->heap);
    scene_close(&x->scene);
    if (x->streams > 1) scene_close(&x->sub);
    dtls_home_close(&x->home);
    crypt_close(&x->crypt);
    free(x);
}

static void world_deliver(struct world *x) {
    struct datagram *d = world_take(x);
    for (int i = 0; i < 4; i++) {
        struct peer *p = x->peer[i];
        if (!p || p->number != d->peer) continue;
        if (d->down) p->wait[0] = base_min(p->wait[0], d->at - d->sent - p->down.delay);
        if (d->down) peer_input(p, d->bytes, d->n);
        else world_input(x, &p->addr, d->bytes, d->n);
        break;
    }
    if (x->spare_n < 64) x->spare[x->spare_n++] = d;
    else free(d);
}

static void world_film(struct world *x) {
    struct span unit = scene_picture(&x->scene);
    x->filmed = x->now;
    CHECK(wcam_push(x->w, 0, unit.p, unit.n, x->scene.next) == 0);
    if (x->streams > 1) { /* a moment later */
        world_tick(x);
        unit = scene_picture(&x->sub);
        CHECK(wcam_push(x->w, 1, unit.p, unit.n, x->scene.next) == 0);
    }
    x->scene.next += LINK_FRAME;
    world_tick(x);
}

/* The next thing that happens, but not beyond end. */
static void world_step(struct world *x, int64_t end) {
    struct peer *first = NULL;
    int64_t due = BASE_NEVER, mail = x->heap_n ? x->heap[0]->at : BASE_NEVER;
    int64_t film = x->scene.next;
    for (int i = 0; i < 4; i++) {
        if (!x->peer[i] || peer_due(x->peer[i]) >= due) continue;
        first = x->peer[i];
        due = peer_due(first);
    }
    x->now = base_max(x->now, base_min(base_min(base_min(mail, film), base_min(due, x->wake)), end));
    if (mail <= x->now) world_deliver(x);
    else if (film <= x->now) world_film(x);
    else if (due <= x->now) peer_tick(first);
    else if (x->wake <= x->now) world_tick(x);
}

static void world_run(struct world *x, int64_t us) {
    for (int64_t end = x->now + us; x->now < end;) world_step(x, end);
}

static void world_film_until(struct world *x, uint32_t number) {
    while (x->scene.number < number) world_step(x, BASE_NEVER);
}

/* ==== what came of it ==== */

struct result {
    int64_t first, live;           /* us after the join; -1: never */
    int freezes;                   /* after the first picture */
    int64_t longest, frozen, seen; /* seen: from the first picture to now */
    int64_t age[3];                /* median, 95th percentile, maximum; from 2 s after the first picture on */
    double share;                  /* of the camera's pictures that were shown */
};

static int64_t shown_age(const struct peer *p, int i) {
    return p->shown[i].at - (p->x->scene.next - (int64_t)(p->x->scene.number - p->shown[i].number) * LINK_FRAME);
}

static int compare_times(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Live: from here on all are young, for half a second at least. */
static int64_t result_live(const struct peer *p, int64_t young) {
    int64_t live = -1;
    for (int i = 0; i < p->shown_n; i++) {
        if (shown_age(p, i) > young) live = -1;
        else if (live < 0) live = p->shown[i].at;
        else if (p->shown[i].at - live > BASE_S / 2) break;
    }
    return live;
}

static struct result result_of(const struct peer *p) {
    struct result r = {-1, -1, 0, 0, 0, 0, {0}, 0};
    static int64_t ages[PEER_SHOWN];
    int n = 0;
    if (!p->shown_n) return r;
    int64_t live = result_live(p, LINK_YOUNG + p->down.delay);
    r.first = p->shown[0].at - p->joined;
    r.live = live < 0 ? -1 : live - p->joined;
    r.seen = p->x->now - p->shown[0].at;
    for (int i = 1; i <= p->shown_n; i++) {
        int64_t gap = (i < p->shown_n ? p->shown[i].at : p->x->now) - p->shown[i - 1].at;
        r.longest = base_max(r.longest, gap);
        r.freezes += gap > LINK_FREEZE;
        r.frozen += gap > LINK_FREEZE ? gap : 0;
    }
    for (int i = 0; i < p->shown_n; i++)
        if (p->shown[i].at > p->shown[0].at + 2 * BASE_S) ages[n++] = shown_age(p, i);
    qsort(ages, (size_t)n, sizeof *ages, compare_times);
    if (n) r.age[0] = ages[n / 2], r.age[1] = ages[n * 95 / 100], r.age[2] = ages[n - 1];
    r.share = (double)p->shown_n * LINK_FRAME / (double)base_max(1, r.seen);
    return r;
}

static double in_ms(int64_t us) { return us < 0 ? -1 : (double)us / BASE_MS; }

static void result_print(const char *name, const struct peer *p, const struct result *r) {
    printf("# %-30s first %4.0f ms, live %5.0f ms; %4.1f %% shown, %d freezes of %.0f ms (%.2f %%), longest gap %.0f; "
           "age %.0f/%.0f/%.0f ms; lost %d, dropped %d, RTX %d, NACKs %d, PLI %d, gave up %d\n",
           name, in_ms(r->first), in_ms(r->live), 100 * r->share, r->freezes, in_ms(r->frozen),
           100.0 * (double)r->frozen / (double)base_max(1, r->seen), in_ms(r->longest), in_ms(r->age[0]),
           in_ms(r->age[1]), in_ms(r->age[2]), p->down.lost, p->down.dropped, p->rtx ? p->recovered : p->sent[0].again,
           p->nacks, p->plis, p->gave_up);
}

/* What must hold on every link. */
static void result_sound(const struct peer *p) {
    CHECK(!p->undecryptable && !p->wrong && !p->timestamps_bad);
    CHECK(p->broken_off <= p->plis); /* only to begin again at an IDR */
    CHECK(!p->sent[0].forged && !p->sent[1].forged && !p->sent[1].again);
    CHECK(!p->rtx || !p->sent[0].again);
    CHECK(p->newest >= 0 && p->shown_n < PEER_SHOWN);
}

/* ==== loss ==== */

static struct link link_of(double loss, int64_t delay_ms) {
    return (struct link){.loss = loss, .delay = delay_ms * BASE_MS};
}

/* Plays for a minute with a GOP of 2 s at 2 Mbit/s; the camera makes no IDR on demand. */
static struct result link_plays(const char *name, bool rtx, struct link up, struct link down) {
    static uint32_t runs;
    struct world *x = world_new(60, 2000, 40000, 7);
    x->peers = 10 * runs++; /* each has its own chances */
    struct peer *p = peer_join(x, false, rtx, up, down);
    world_run(x, 61 * BASE_S);
    struct result r = result_of(p);
    result_sound(p);
    result_print(name, p, &r);
    CHECK(peer_viewer(p) && peer_viewer(p)->sender.state == SENDER_LIVE);
    CHECK(r.seen > 55 * BASE_S);
    CHECK(p->shown_n && x->now - p->shown[p->shown_n - 1].at < 3 * BASE_S); /* it goes on */
    world_free(x);
    return r;
}

static struct result link_loses_some(int percent, bool rtx) {
    char name[64];
    snprintf(name, sizeof name, "loss %d %%%s", percent, rtx ? "" : ", without RTX");
    return link_plays(name, rtx, link_of(percent / 100., 20), link_of(percent / 100., 20));
}

static void loss_0(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        struct result r = link_loses_some(0, rtx);
        CHECK(r.freezes == 0 && r.share > 0.999 && r.age[2] < 60 * BASE_MS);
    }
}

static void loss_5(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        struct result r = link_loses_some(5, rtx);
        CHECK(r.longest <= BASE_S / 2 && r.share > 0.99);
    }
}

static void loss_10(void) {
    struct result r, sum = {0};
    for (int i = 0; i < 3; i++) {
        r = link_loses_some(10, true);
        sum.frozen += r.frozen;
        sum.seen += r.seen;
        CHECK(r.longest < BASE_S && r.share > 0.99);
    }
    CHECK(sum.frozen * 20 < sum.seen);
    r = link_loses_some(10, false); /* a browser takes what is repeated for late: it waits longer before it asks */
    CHECK(r.frozen * 10 < r.seen && r.longest < BASE_S && r.share > 0.95);
}

static void loss_20(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        struct result r = link_loses_some(20, rtx);
        CHECK(r.longest < 4 * BASE_S && r.share > 0.5);
    }
}

static void loss_bursts(void) { /* 5 %, in the mean five packets in a row */
    struct link down = link_of(0.05, 20);
    down.burst = 5;
    struct result r = link_plays("loss 5 % in bursts of 5", true, link_of(0.05, 20), down);
    CHECK(r.longest < BASE_S && r.share > 0.97);
}

static void loss_jitter(void) { /* live, nothing is lost: what was only late is asked for in vain */
    struct link l = {.delay = 5 * BASE_MS, .jitter = 30 * BASE_MS, .shuffle = true};
    struct result r = link_plays("20 ms +- 15 ms, shuffled", true, l, l);
    CHECK(r.longest < 300 * BASE_MS && r.share > 0.99);
}

/* ==== handshakes ==== */

static int handshakes(bool client, double loss, int count, int64_t *took) {
    struct world *x = world_new(30, 300, 3000, client ? 31 : 30);
    int done = 0, within = 0, closed = 0;
    int64_t shaken = 0;
    for (int i = 0; i < count; i++) {
        struct peer *p = peer_join(x, client, true, link_of(loss, 20), link_of(loss, 20));
        int64_t end = x->now + 30 * BASE_S;
        while (x->now < end && !p->media_at && peer_viewer(p)) world_step(x, end);
        closed += !peer_viewer(p);
        CHECK(!p->undecryptable && !p->wrong);
        if (p->media_at) {
            took[done++] = p->media_at - p->joined;
            within += p->media_at - p->joined <= 10 * BASE_S;
            shaken += p->ready - p->answered;
        }
        peer_free(p);
        world_run(x, BASE_MS);
    }
    qsort(took, (size_t)done, sizeof *took, compare_times);
    if (CHECK(done))
        printf(
            "# %d handshakes, %.0f %% loss, browser %s: %d in 10 s, %d never (%d given up); first packet median %.0f, "
            "p90 %.0f, p95 %.0f, p99 %.0f, p99.9 %.0f, max %.0f ms; DTLS mean %.0f ms\n",
            count, 100 * loss, client ? "is DTLS client" : "is DTLS server", within, count - done, closed,
            in_ms(took[done / 2]), in_ms(took[done * 90 / 100]), in_ms(took[done * 95 / 100]),
            in_ms(took[done * 99 / 100]), in_ms(took[(int)(done * 999LL / 1000)]), in_ms(took[done - 1]),
            in_ms(shaken / done));
    fflush(stdout);
    world_free(x);
    return within;
}

static void handshakes_at_10(void) {
    const char *text = getenv("LINK_HANDSHAKES");
    int count = text ? atoi(text) : 240;
    int64_t *took = calloc((size_t)count + 1, sizeof *took);
    if (!took || !CHECK(count >= 20)) return;
    CHECK(handshakes(false, 0, 5, took) == 5 && took[4] < BASE_S / 2);
    CHECK(handshakes(true, 0, 5, took) == 5 && took[4] < BASE_S / 2);
    for (int client = 0; client <= 1; client++) {
        int n = client ? count - count * 3 / 4 : count * 3 / 4, within = handshakes(client, 0.1, n, took);
        CHECK(within * 100LL >= n * 99LL && took[within * 95 / 100] < BASE_S);
    }
    free(took);
}

/* ==== storms and forgeries ==== */

/* The player asks for n packets every step us, 1,000 times: the newest n, or always the same. Returns the bytes that
 * the server sent. */
static int64_t storm_run(struct peer *p, int n, bool newest, int64_t step) {
    static int64_t all[PEER_LOST];
    int64_t before = p->sent_bytes, last = p->newest;
    for (int i = 0; i < 1000; i++) {
        if (newest) last = p->newest;
        for (int k = 0; k < n; k++) all[k] = last - n + 1 + k;
        peer_nack(p, all, n);
        world_run(p->x, step);
    }
    return p->sent_bytes - before;
}

/* The pacer bounds what repairs take: 32 KiB every 2.5 ms at most. Who stands beside sees nothing of it. */
static void storm_of_nacks(void) {
    struct world *x = world_new(60, 2000, 40000, 40);
    struct peer *a = peer_join(x, false, true, link_of(0, 10), link_of(0, 10));
    struct peer *b = peer_join(x, false, true, link_of(0, 10), link_of(0, 10));
    world_run(x, 6 * BASE_S);
    int64_t asked = a->up.bytes, sent = storm_run(a, PEER_LOST, true, 2 * BASE_MS);
    asked = a->up.bytes - asked;
    printf("# storm, 1,000 packets 1,000 times in 2 s: %.1f Mbit/s, %.1f bytes for each of a NACK\n",
           (double)sent * 8 / 2e6, (double)sent / (double)asked);
    CHECK(sent < 32768 * 2000 / 5 * 2 * 11 / 10);
    world_run(x, BASE_S);
    int before = a->recovered;
    sent = storm_run(a, 1, false, BASE_MS);
    printf("# storm, one packet 1,000 times in 1 s: repeated %d times\n", a->recovered - before);
    CHECK(a->recovered - before > 0 && a->recovered - before <= 1000 / 10 + 1); /* not again within 10 ms */
    struct result ra = result_of(a), rb = result_of(b);
    printf("# storm: longest gap %.0f ms for who makes it, %.0f ms for another viewer\n", in_ms(ra.longest),
           in_ms(rb.longest));
    CHECK(rb.freezes == 0 && rb.longest < 60 * BASE_MS && b->held < 30 * BASE_MS && b->recovered == 0);
    int shown = a->shown_n;
    world_run(x, 3 * BASE_S); /* who made it is served on, too */
    CHECK(peer_viewer(a) && a->shown_n - shown > 85);
    result_sound(a);
    result_sound(b);
    world_free(x);
}

static size_t forge_nack(struct peer *p, uint8_t out[64], uint32_t sender, uint32_t media, int64_t seq) {
    struct wr w = bytes_wr(out, 64 - 16);
    bytes_w32(&w, 0x81cd0003);
    bytes_w32(&w, sender);
    bytes_w32(&w, media);
    bytes_w32(&w, (uint32_t)(uint16_t)seq << 16);
    return peer_seal(p, &w);
}

static uint64_t forge_drops(struct world *x) {
    uint64_t sum = 0;
    for (int i = 0; i < DROP_COUNT; i++) sum += x->w->server.site.drops[i];
    return sum;
}

/* The datagram is dropped under that name (DROP_NONE: not at all) and has no effect. */
static bool forge_ignored(struct peer *p, const struct wcam_addr *from, const uint8_t *bytes, size_t n, enum drop why) {
    struct world *x = p->x;
    const struct sender *s = &peer_viewer(p)->sender;
    struct sender was = *s;
    uint64_t all = forge_drops(x), one = x->w->server.site.drops[why];
    int64_t sent = p->sent_bytes;
    world_input(x, from, bytes, n);
    bool still = s->nacked == was.nacked && s->repaired == was.repaired && s->rtt == was.rtt && s->lost == was.lost &&
                 s->keyframe_requests == was.keyframe_requests && p->sent_bytes == sent;
    return still && forge_drops(x) == all + (why != DROP_NONE) &&
           x->w->server.site.drops[why] == one + (why != DROP_NONE);
}

static void forged_rtcp(void) {
    struct world *x = world_new(60, 2000, 40000, 41);
    struct peer *p = peer_join(x, false, true, link_of(0, 10), link_of(0, 10));
    world_run(x, 3 * BASE_S + 20 * BASE_MS); /* between two pictures: nothing else is sent */
    uint8_t bytes[64], bad[64];
    struct wcam_addr other = p->addr;
    other.port++;
    size_t n = forge_nack(p, bytes, 1, p->ssrc, p->newest - 5);
    for (size_t i = 0; i < n; i++) { /* any byte wrong: refused, by what it then looks like */
        uint64_t all = forge_drops(x);
        int64_t sent = p->sent_bytes;
        memcpy(bad, bytes, n);
        bad[i] ^= 0x40;
        bool tag = i >= 8;
        if (tag) CHECK(forge_ignored(p, &p->addr, bad, n, DROP_RTCP_UNSEAL));
        else world_input(x, &p->addr, bad, n);
        CHECK(forge_drops(x) == all + 1 && p->sent_bytes == sent);
    }
    for (size_t cut = 2; cut < n; cut++) {
        uint64_t all = forge_drops(x);
        world_input(x, &p->addr, bytes, cut);
        CHECK(forge_drops(x) == all + 1);
    }
    CHECK(forge_ignored(p, &other, bytes, n, DROP_UDP_STRANGER));
    int64_t sent = p->sent_bytes;
    uint64_t all = forge_drops(x);
    world_input(x, &p->addr, bytes, n); /* all of that has not spoilt the real one */
    CHECK(p->sent_bytes > sent && forge_drops(x) == all && peer_viewer(p)->sender.repaired == 1);
    for (int i = 0; i < 3; i++) CHECK(forge_ignored(p, &p->addr, bytes, n, DROP_RTCP_UNSEAL)); /* replayed */
    n = forge_nack(p, bytes, 1, p->ssrc ^ 1, p->newest - 6);
    CHECK(forge_ignored(p, &p->addr, bytes, n, DROP_NONE)); /* asks for another's packet */
    n = forge_nack(p, bytes, 1, p->rtx_ssrc, p->newest - 6);
    CHECK(forge_ignored(p, &p->addr, bytes, n, DROP_NONE));
    struct wr w = bytes_wr(bytes, 48);
    bytes_w32(&w, 0x81ce0002); /* PLI */
    bytes_w32(&w, 1);
    bytes_w32(&w, p->ssrc ^ 1);
    n = peer_seal(p, &w);
    CHECK(forge_ignored(p, &p->addr, bytes, n, DROP_NONE));
    for (uint32_t i = 0; i < 20; i++) { /* the peer may report with eight SSRCs; it has used one */
        n = forge_nack(p, bytes, 100 + i, p->ssrc ^ 1, 7);
        CHECK(forge_ignored(p, &p->addr, bytes, n, i < 7 ? DROP_NONE : DROP_RTCP_SSRC));
    }
    world_run(x, 3 * BASE_S);
    struct result r = result_of(p);
    CHECK(r.freezes == 0 && r.longest < 60 * BASE_MS);
    result_sound(p);
    world_free(x);
}

/* ==== wraps ==== */

/* The viewer's sequence numbers begin shortly before 65536, RTX's too, and its timestamps 3 s before 2^32. */
static struct peer *wrap_join(struct world *x, bool rtx, struct link up, struct link down, uint32_t before) {
    struct peer *p = peer_join(x, false, rtx, up, down);
    struct sender *s = &peer_viewer(p)->sender;
    s->seq = s->pace.slow_seq = s->pace.window[0].seq = s->pace.window[1].seq = 0x20000 - before;
    s->rtx_seq = 0xffc0;
    s->clock_offset = 0u - (uint32_t)rtp_clock(x->now + 3 * BASE_S);
    return p;
}

/* 20 Mbit/s, so that numbers wrap twice in 33 s; without RTX once. */
static void wrap_by_loss(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        struct world *x = world_new(60, 20000, 150000, 50);
        struct link down = {.loss = 0.05, .delay = 15 * BASE_MS, .jitter = 10 * BASE_MS, .shuffle = true};
        struct peer *p = wrap_join(x, rtx, link_of(0.05, 20), down, 600);
        world_run(x, (rtx ? 33 : 5) * BASE_S);
        struct result r = result_of(p);
        result_sound(p);
        result_print(rtx ? "two wraps, 5 %, shuffled" : "a wrap, 5 %, without RTX", p, &r);
        printf("# across a wrap: %d repairs\n", p->across);
        CHECK(p->base < 0x20000 && p->newest > (rtx ? 0x30000 : 0x20000));
        CHECK(!rtx || p->sent[1].newest > 0x20000);
        CHECK(p->across > 0 && r.longest < BASE_S / 2 && r.share > 0.98);
        world_free(x);
    }
}

/* What was lost just before the wrap is asked for long after it. */
static void wrap_repaired_late(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        struct world *x = world_new(600, 2000, 40000, 51);
        struct peer *p = wrap_join(x, rtx, link_of(0, 20), link_of(0, 20), 400);
        static int64_t lost[64];
        int n = 0;
        p->mute = true;
        while (p->sent[0].newest < 0x1fff0) world_step(x, BASE_NEVER);
        p->down.loss = 1;
        for (int64_t s = p->sent[0].newest + 1; s < 0x20004; s++) lost[n++] = s;
        while (p->sent[0].newest < 0x20003) world_step(x, BASE_NEVER);
        for (int64_t s = 0x20004; s <= p->sent[0].newest; s++) lost[n++] = s;
        p->down.loss = 0;
        while (p->newest < 0x20000 + 150) world_step(x, BASE_NEVER);
        CHECK(n > 5 && n < 64 && p->tail <= 0x1ffff && p->wrong == 0);
        peer_nack(p, lost, n);
        world_run(x, 200 * BASE_MS);
        CHECK(p->tail > 0x20000 + 150 && (rtx ? p->recovered : p->sent[0].again) == n);
        result_sound(p);
        world_free(x);
    }
}

/* ==== rates ==== */

static const char *spread_of(int64_t *v, int n) { /* "median (least to most)"; lives until the fourth next call */
    static char text[4][64];
    static int at;
    qsort(v, (size_t)n, sizeof *v, compare_times);
    snprintf(text[at = (at + 1) % 4], sizeof text[0], "%.0f (%.0f to %.0f) ms", in_ms(v[n / 2]), in_ms(v[0]),
             in_ms(v[n - 1]));
    return text[at];
}

enum { JOIN_RUNS = 5, JOIN_AT = 165, JOIN_GOP = 300 };

struct joins {
    int64_t first[JOIN_RUNS], live[JOIN_RUNS], next; /* next: when the next IDR came, after the join */
    int lost, asked, late;                           /* late: runs that were not live before the next IDR */
};

/* Joins a GOP of 10 s and 4 Mbit/s, with an IDR of 150 kB, in the middle. */
static struct joins join_late(const char *name, struct link up, struct link down) {
    struct joins j = {0};
    int64_t rate = INT64_MAX;
    for (int i = 0; i < JOIN_RUNS; i++) {
        struct world *x = world_new(JOIN_GOP, 4000, 150000, 60 + (uint64_t)i);
        up.random = down.random = 0;
        x->peers = (uint32_t)(10 * i); /* other chances */
        world_film_until(x, JOIN_AT);
        struct peer *p = peer_join(x, false, true, up, down);
        j.next = (JOIN_GOP - JOIN_AT) * LINK_FRAME;
        for (int64_t end = x->now + j.next + 2 * BASE_S; x->now < end;) {
            world_step(x, end);
            rate = base_min(rate, peer_viewer(p)->sender.pace.rate);
        }
        struct result r = result_of(p);
        result_sound(p);
        j.first[i] = r.first < 0 ? 60 * BASE_S : r.first;
        j.live[i] = r.live < 0 ? 60 * BASE_S : r.live;
        j.lost += p->down.lost + p->down.dropped;
        j.asked += p->asked;
        j.late += j.live[i] > j.next;
        world_free(x);
    }
    printf("# %-34s first %s, live %s, %d of %d only at the next IDR (%.0f ms); lost %d, asked for %d; slowest %.1f "
           "Mbit/s\n",
           name, spread_of(j.first, JOIN_RUNS), spread_of(j.live, JOIN_RUNS), j.late, JOIN_RUNS, in_ms(j.next),
           j.lost / JOIN_RUNS, j.asked / JOIN_RUNS, (double)rate * 8 / 2500);
    /* sorted now */
    CHECK(j.first[JOIN_RUNS - 1] < 3 * BASE_S && j.live[JOIN_RUNS - 1] < j.next + BASE_S);
    return j;
}

static void join_unlimited(void) {
    struct joins j = join_late("join in mid-GOP, no limit", link_of(0, 5), link_of(0, 5));
    CHECK(j.lost == 0 && j.first[JOIN_RUNS - 1] < 300 * BASE_MS && j.live[JOIN_RUNS - 1] < 2 * BASE_S);
}

static void join_20_mbit(void) {
    struct link down = {.delay = 5 * BASE_MS, .rate = 20000000, .queue = 100000};
    struct joins wide = join_late("join, 20 Mbit/s, queue 100 kB", link_of(0, 5), down);
    down.queue = 30000;
    struct joins narrow = join_late("join, 20 Mbit/s, queue 30 kB", link_of(0, 5), down);
    CHECK(wide.first[JOIN_RUNS / 2] < BASE_S && narrow.first[JOIN_RUNS / 2] < BASE_S);
}

static void join_loss(void) { join_late("join, loss 3 %, 20 ms", link_of(0.03, 20), link_of(0.03, 20)); }

/* Nothing is lost, much is asked for in vain. */
static void join_jitter(void) {
    struct link l = {.delay = 5 * BASE_MS, .jitter = 30 * BASE_MS, .shuffle = true};
    struct joins j = join_late("join, 20 ms +- 15 ms, shuffled", l, l);
    CHECK(j.lost == 0 && j.first[JOIN_RUNS - 1] < BASE_S);
    l.shuffle = false;
    j = join_late("join, 20 ms +- 15 ms, in order", l, l);
    CHECK(j.lost == 0 && j.asked == 0 && j.live[JOIN_RUNS - 1] < 2 * BASE_S);
}

/* Nobody queues where nothing is limited: a picture leaves when it comes, an IDR of 150 kB within some 25 ms. */
static void rate_unlimited(void) {
    struct world *x = world_new(60, 4000, 150000, 70);
    struct peer *p = peer_join(x, false, true, link_of(0, 5), link_of(0, 5));
    world_film_until(x, 300);
    world_run(x, 25 * BASE_MS);
    p->held = 0;
    world_film_until(x, 301); /* an IDR */
    while (p->sent_marker || !p->held) world_step(x, BASE_NEVER);
    world_run(x, 30 * BASE_MS);
    int64_t key = p->held;
    p->held = 0;
    world_film_until(x, 359);
    struct result r = result_of(p);
    printf("# no limit: an IDR of 150 kB leaves within %.1f ms, other pictures within %.1f ms; age %.0f/%.0f/%.0f ms\n",
           in_ms(key), in_ms(p->held), in_ms(r.age[0]), in_ms(r.age[1]), in_ms(r.age[2]));
    CHECK(key > 0 && key < 40 * BASE_MS && p->held < 5 * BASE_MS && r.freezes == 0);
    result_sound(p);
    world_free(x);
}

static void rate_tight(void) { /* 2 Mbit/s through 2.5 Mbit/s */
    struct link down = {.delay = 5 * BASE_MS, .rate = 2500000, .queue = 100000};
    struct result r = link_plays("2.5 Mbit/s, queue 100 kB", true, link_of(0, 5), down);
    CHECK(r.share > 0.9);
    down.queue = 30000;
    r = link_plays("2.5 Mbit/s, queue 30 kB", true, link_of(0, 5), down);
    CHECK(r.share > 0.5);
}

/* Large IDRs that the queue of a 20 Mbit/s link does not hold: the pace is found. */
static void rate_huge(void) {
    struct link down = {.delay = 5 * BASE_MS, .rate = 20000000, .queue = 100000};
    struct world *x = world_new(30, 5400, 390000, 71);
    struct peer *p = peer_join(x, false, true, link_of(0, 5), down);
    world_run(x, 30 * BASE_S);
    struct result r = result_of(p);
    result_sound(p);
    result_print("390 kB IDRs, 20 Mbit/s", p, &r);
    CHECK(p->down.dropped * 5 < peer_viewer(p)->sender.packets);
    world_free(x);
}

/* The camera's pictures stay away for 6 s and come all at once: what stands before the newest IDR is left out. */
static void rate_backlog(void) {
    struct link down = {.delay = 5 * BASE_MS, .rate = 20000000, .queue = 200000};
    struct world *x = world_new(60, 4000, 60000, 72);
    struct peer *p = peer_join(x, false, true, link_of(0, 5), down);
    world_run(x, 10 * BASE_S);
    int64_t next = x->scene.next;
    x->scene.next = BASE_NEVER;
    world_run(x, 6 * BASE_S);
    x->scene.next = next;
    int before = p->shown_n, backlog = 0;
    for (; x->scene.next <= x->now; backlog++) world_film(x);
    int64_t resumed = x->now;
    world_run(x, 4 * BASE_S);
    int shown = 0, late = 0;
    for (int i = before; i < p->shown_n; i++) shown += (int64_t)p->shown[i].number < x->scene.number - 120;
    for (int i = before; i < p->shown_n; i++)
        if (shown_age(p, i) > LINK_YOUNG + down.delay) late = i;
    int64_t live = late ? p->shown[late].at - resumed : 0;
    printf("# a backlog of %d pictures: %d of them shown, live after %.0f ms; %d later, %d wrong\n", backlog, shown,
           in_ms(live), p->shown_n - before, p->wrong);
    CHECK(backlog > 170 && shown > 0 && shown <= 62 && live < BASE_S && !p->wrong && p->shown_n - before > 100);
    world_free(x);
}

/* ==== a link that does not carry the main stream ==== */

enum { SUB_KBPS = 300, SUB_KEY = 6000 };
#define SUB_NEVER SCENE_SUB       /* no IDR comes */
#define SUB_TRY   (800 * BASE_MS) /* without a picture, at most, because a try fills the queue */

/* A camera of 2 Mbit/s with a lesser stream of 300 kbit/s, its GOP and where its IDRs stand; 10 s old. */
static struct world *sub_world_of(int gop, int kbps, size_t key, uint32_t phase) {
    static uint32_t runs;
    struct world *x = world_new(60, 2000, 40000, 80);
    world_add_sub(x, gop, kbps, key, phase);
    x->peers = 1000 + 10 * runs++;
    world_film_until(x, 300);
    return x;
}

static struct world *sub_world(int gop, uint32_t phase) { return sub_world_of(gop, SUB_KBPS, SUB_KEY, phase); }

/* The rate limit begins with the media: signatures have no fixed size, and would make each run another one. */
static struct peer *sub_join(struct world *x, bool rtx, struct link down) {
    int64_t rate = down.rate;
    down.rate = 0;
    struct peer *p = peer_join(x, false, rtx, link_of(0, 20), down);
    p->remb = true;
    while (!p->ready && x->now - p->joined < 5 * BASE_S) world_step(x, BASE_NEVER);
    CHECK(p->ready);
    p->down.rate = rate;
    return p;
}

static bool sub_shown(const struct peer *p) { return p->shown_n && p->shown[p->shown_n - 1].sub; }

/* Runs until the newest picture is of that stream. Returns how long it took, -1: too long. */
static int64_t sub_until(struct peer *p, bool sub, int64_t most) {
    int64_t begun = p->x->now;
    while (sub_shown(p) != sub && p->x->now - begun < most) world_step(p->x, begun + most);
    return sub_shown(p) == sub ? p->x->now - begun : -1;
}

/* The same for the server's decision: so many moves. */
static int64_t sub_moved(struct peer *p, int moves, int64_t most) {
    int64_t begun = p->x->now;
    const struct viewer *v = peer_viewer(p);
    while (v->moves < moves && p->x->now - begun < most) world_step(p->x, begun + most);
    return v->moves == moves ? p->x->now - begun : -1;
}

/* The longest gap between pictures from a time on. */
static int64_t sub_gap(const struct peer *p, int64_t from) {
    int64_t longest = 0;
    for (int i = 1; i < p->shown_n; i++)
        if (p->shown[i].at >= from) longest = base_max(longest, p->shown[i].at - base_max(from, p->shown[i - 1].at));
    return base_max(longest, p->x->now - base_max(from, p->shown[p->shown_n - 1].at));
}

static struct link sub_link(int64_t queue) {
    return (struct link){.delay = 20 * BASE_MS, .rate = 1000000, .queue = queue};
}

/* 1 Mbit/s: moved once, and tries do not take the picture away for long. Then 10 Mbit/s: back, and it stays there. */
static void sub_narrow(int64_t queue, int gop, uint32_t phase, bool rtx, int64_t stay) {
    struct world *x = sub_world(gop, phase);
    struct peer *p = sub_join(x, rtx, sub_link(queue));
    const struct viewer *v = peer_viewer(p);
    int64_t moved = sub_moved(p, 1, 30 * BASE_S), shown = sub_until(p, true, 30 * BASE_S), begun = x->now;
    CHECK(moved > 0 && shown >= 0 && v->moves == 1 && v->sender.media == v->media->lesser);
    world_run(x, 85 * BASE_S);
    int tries = v->probes;
    int64_t gap = sub_gap(p, begun + 5 * BASE_S);
    CHECK(tries >= 2 && tries <= 3 && v->moves == 1 && sub_shown(p));
    link_widens(&p->down, x->now, 10000000);
    int64_t wait = base_max(0, v->adapt.due - x->now), opened = x->now, back = sub_until(p, false, wait + 10 * BASE_S);
    CHECK(back > 0 && v->moves == 2 && v->sender.media == v->media);
    world_run(x, stay);
    CHECK(v->moves == 2 && v->probes <= tries + 2 && !sub_shown(p));
    int64_t later = sub_gap(p, opened + 2 * BASE_S);
    printf("# 1 Mbit/s, queue %4d kB, sub's GOP %3d%s: moved after %.1f s, shown %.1f s later; %d tries, longest gap "
           "%.0f ms; 10 Mbit/s: back %.1f s after the wait, longest gap %.0f ms\n",
           (int)(queue / 1000), gop, rtx ? "" : ", no RTX", in_ms(moved) / 1000, in_ms(shown) / 1000, tries, in_ms(gap),
           in_ms(back - wait) / 1000, in_ms(later));
    CHECK(moved <= (gop > 100 ? 12 : 8) * BASE_S && shown <= 9 * BASE_S && gap < SUB_TRY && later < 300 * BASE_MS);
    result_sound(p);
    world_free(x);
}

static void sub_narrow_links(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        sub_narrow(30000, 30, 0, rtx, 10 * BASE_S);
        sub_narrow(30000, 300, 190, rtx, 10 * BASE_S);
        sub_narrow(100000, 30, 17, rtx, rtx ? ADAPT_STABLE + 5 * BASE_S : 10 * BASE_S);
        sub_narrow(100000, 300, 0, rtx, 10 * BASE_S);
        sub_narrow(1000000, 30, 0, rtx, 10 * BASE_S);
        sub_narrow(1000000, 300, 190, rtx, 10 * BASE_S);
    }
}

/* Five minutes: 10 + 20 + 40 + 80 + 160 s between tries, and that is all they take. */
static void sub_tries_get_rare(void) {
    for (int rtx = 1; rtx >= 0; rtx--) {
        struct world *x = sub_world(30, 0);
        struct peer *p = sub_join(x, rtx, sub_link(100000));
        const struct viewer *v = peer_viewer(p);
        CHECK(sub_moved(p, 1, 10 * BASE_S) > 0);
        world_run(x, 10 * BASE_S);
        int before = p->shown_n, filmed = (int)x->scene.number;
        world_run(x, 290 * BASE_S);
        double share = (double)(p->shown_n - before) / (x->scene.number - (unsigned)filmed);
        printf("# 1 Mbit/s for 5 minutes%s: %d tries, %.2f %% of the pictures shown, longest gap %.0f ms\n",
               rtx ? "" : ", no RTX", v->probes, 100 * share, in_ms(sub_gap(p, x->now - 290 * BASE_S)));
        CHECK(v->moves == 1 && v->probes >= 3 && v->probes <= 6 && share > 0.98);
        CHECK(sub_gap(p, x->now - 290 * BASE_S) < SUB_TRY);
        result_sound(p);
        world_free(x);
    }
}

/* Links that carry the main stream, one way or the other: nobody is moved, and nothing is padded. */
static void sub_good_links(void) {
    static const struct {
        const char *name;
        struct link down;
    } links[] = {{"5 Mbit/s, queue 100 kB", {.delay = 20 * BASE_MS, .rate = 5000000, .queue = 100000}},
                 {"5 Mbit/s, queue 30 kB", {.delay = 20 * BASE_MS, .rate = 5000000, .queue = 30000}},
                 {"loss 5 %", {.delay = 20 * BASE_MS, .loss = 0.05}},
                 {"20 ms +- 15 ms, shuffled", {.delay = 5 * BASE_MS, .jitter = 30 * BASE_MS, .shuffle = true}},
                 {"300 ms", {.delay = 300 * BASE_MS}}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        for (int rtx = 1; rtx >= 0; rtx--) {
            struct world *x = sub_world(30, 0);
            struct peer *p = sub_join(x, rtx, links[i].down);
            const struct viewer *v = peer_viewer(p);
            int64_t strained = 0;
            for (int k = 0; k < 400; k++) {
                world_run(x, 100 * BASE_MS);
                strained += v->adapt.strained != 0;
                if (!CHECK_AS(v->moves == 0 && !v->sender.next && v->probes == 0, links[i].name)) break;
            }
            if (strained)
                printf("# %s%s: strained for %.1f of 40 s\n", links[i].name, rtx ? "" : ", no RTX",
                       (double)strained / 10);
            CHECK_AS(v->sender.remb && !sub_shown(p), links[i].name);
            result_sound(p);
            world_free(x);
        }
}

/* It does not help that there is a lesser stream: it gives no IDR. The main stream goes on meanwhile, and afterwards. */
static void sub_without_idr(void) {
    struct world *x = sub_world(30, SUB_NEVER);
    struct peer *p = sub_join(x, true, link_of(0.15, 20));
    const struct viewer *v = peer_viewer(p);
    for (int i = 0; i < 2; i++) {
        while (!v->sender.next && x->now - p->joined < 60 * BASE_S) world_step(x, BASE_NEVER);
        int64_t begun = x->now;
        int shown = p->shown_n;
        while (v->sender.next && x->now - begun < 60 * BASE_S) world_step(x, BASE_NEVER);
        CHECK(x->now - begun >= 20 * BASE_S && x->now - begun < 21 * BASE_S);
        CHECK(p->shown_n - shown > 500 && !v->moves && !v->sender.next && v->sender.media == v->media);
    }
    CHECK(!sub_shown(p) && sub_gap(p, p->joined + 3 * BASE_S) < 2 * BASE_S);
    result_sound(p);
    world_free(x);
}

/* Whoever named a stream gets that one. A viewer beside him whose link is good sees nothing of all that. */
static void sub_pinned(void) {
    struct world *x = sub_world(30, 0);
    struct peer *p = sub_join(x, true, sub_link(100000)), *good = sub_join(x, true, link_of(0, 20));
    peer_viewer(p)->pinned = true;
    x->asked = 1;
    struct peer *sub = sub_join(x, true, link_of(0, 20)); /* nothing better than what he asked for */
    world_run(x, 40 * BASE_S);
    CHECK(peer_viewer(p)->moves == 0 && peer_viewer(p)->probes == 0 && !peer_viewer(p)->sender.next && !sub_shown(p));
    CHECK(peer_viewer(sub)->moves == 0 && peer_viewer(sub)->probes == 0 && !peer_viewer(sub)->sender.next);
    CHECK(sub->shown_n && sub->shown[0].sub && sub_shown(sub));
    peer_viewer(p)->pinned = false;
    CHECK(sub_moved(p, 1, 10 * BASE_S) > 0);
    world_run(x, 20 * BASE_S);
    struct result r = result_of(good), s = result_of(sub);
    CHECK(r.freezes == 0 && r.share > 0.999 && s.freezes == 0 && !sub_shown(good) && peer_viewer(good)->moves == 0);
    result_sound(p);
    result_sound(good);
    result_sound(sub);
    world_free(x);
}

/* What was sent before the change is another stream's: a NACK for it must not be answered out of this one. Both have the
 * same rate and GOP here, so that their packets are numbered alike and their IDRs meet: the change waits for a picture's end. */
static void sub_old_numbers(void) {
    for (int rtx = 1; rtx >= 0; rtx--)
        for (int back = 0; back < 2; back++) {
            static int64_t seq[100];
            struct world *x = sub_world_of(60, 2000, 40000, 0);
            struct peer *p = sub_join(x, rtx, link_of(0, 20));
            struct viewer *v = peer_viewer(p);
            p->mute = true;
            world_film_until(x, 410);
            sender_move(&v->sender, v->media->lesser, x->now);
            v->move = ADAPT_LOWER;
            CHECK(sub_moved(p, 1, 5 * BASE_S) >= 0);
            if (back) {
                world_film_until(x, 470);
                sender_move(&v->sender, v->media, x->now);
                v->move = ADAPT_HIGHER;
                CHECK(sub_moved(p, 2, 5 * BASE_S) >= 0);
            }
            world_run(x, 300 * BASE_MS);
            int64_t floor = v->sender.floor, sent = p->sent_bytes;
            CHECK(floor > p->base + 100 && floor < p->newest && sub_shown(p) != back);
            while (p->sent[0].newest == p->newest && x->now % LINK_FRAME < LINK_FRAME / 2) world_run(x, BASE_MS);
            for (int i = 0; i < 100; i++) seq[i] = floor - 100 + i;
            int again = p->sent[0].again, got = p->recovered;
            peer_nack(p, seq, 100);
            world_run(x, 200 * BASE_MS);
            CHECK(v->sender.nacked == 100 && v->sender.repaired == 0 && p->sent[0].again == again &&
                  p->recovered == got);
            for (int i = 0; i < 4; i++) seq[i] = floor + i;
            peer_nack(p, seq, 4);
            world_run(x, 200 * BASE_MS);
            CHECK(v->sender.repaired == 4 && (rtx ? p->recovered - got : p->sent[0].again - again) == 4);
            CHECK(p->sent_bytes > sent && !p->wrong && p->lost_n == 0);
            p->mute = false;
            world_run(x, 2 * BASE_S);
            struct result r = result_of(p);
            CHECK(r.longest < 150 * BASE_MS && r.freezes == 0); /* a change by itself is seamless */
            result_sound(p);
            world_free(x);
        }
}

/* ==== all ==== */

#define T(room, f) \
    { #room, #f, f }
static const struct test tests[] = {
    T(loss, loss_0),
    T(loss, loss_5),
    T(loss, loss_10),
    T(loss, loss_20),
    T(loss, loss_bursts),
    T(loss, loss_jitter),
    T(wrap, wrap_by_loss),
    T(wrap, wrap_repaired_late),
    T(storm, storm_of_nacks),
    T(storm, forged_rtcp),
    T(rate, rate_unlimited),
    T(rate, rate_tight),
    T(rate, rate_huge),
    T(rate, rate_backlog),
    T(join, join_unlimited),
    T(join, join_20_mbit),
    T(join, join_loss),
    T(join, join_jitter),
    T(join, handshakes_at_10),
    T(sub, sub_narrow_links),
    T(sub, sub_tries_get_rare),
    T(sub, sub_good_links),
    T(sub, sub_without_idr),
    T(sub, sub_pinned),
    T(sub, sub_old_numbers),
};

int main(int argc, char **argv) {
    static struct test chosen[sizeof tests / sizeof *tests];
    const char *seed = getenv("LINK_SEED");
    size_t n = 0;
    if (seed) link_seed = (uint64_t)atoi(seed);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        bool take = argc < 2;
        for (int k = 1; k < argc; k++) take = take || strstr(tests[i].name, argv[k]);
        if (take) chosen[n++] = tests[i];
    }
    return test_main(chosen, n);
}
