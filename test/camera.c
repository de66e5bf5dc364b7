/* Unit tests of what speaks with IP cameras: rooms rtsp, dialog, depay, camera, dial. A scripted camera, a made-up clock.
 *
 *   cc -std=c99 test/camera.c -o build/camera -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto && build/camera
 *
 * Run from the project's root. build/rtsp_vectors.txt (test/rtsp_vectors.py) brings dialogs of real cameras; what needs
 * them is skipped without. Prints only what fails, a line a room, and at the end "N passed, N failed".
 */
#include "../webrtc_cam.c"

#include "unit.h"

#define NO_RTSP   "build/rtsp_vectors.txt is absent: test/rtsp_vectors.py found no shared data to make it from"
#define T0        (100 * BASE_S) /* where made-up clocks begin */
#define HEAD      "RTSP/1.0 200 OK\r\nCSeq: 9\r\n"
#define SETS      "Z0LAHtkA,aMuM" /* base64 of two NAL units; what is in them is no matter here */
#define SDP_HEAD  "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=cam\r\nt=0 0\r\n"
#define SDP_VIDEO "m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 H264/90000\r\n"
#define SDP_FMTP  "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=" SETS "\r\n"
#define SDP_ALL   SDP_HEAD "a=control:*\r\n" SDP_VIDEO SDP_FMTP "a=control:track1\r\n"

static struct crypt dice;

/* ==== a camera that answers as it is told ==== */

static bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

/* What we send: whole lines, no byte that ends or splits one, no name or password in an address. */
static bool sound_head(const char *s, size_t n) {
    const char *end = s + n;
    if (n < 4 || memcmp(end - 4, "\r\n\r\n", 4)) return false;
    for (const char *p = s; p < end; p++) {
        if (*p == '\r' && p + 1 < end && p[1] == '\n') p++;
        else if ((uint8_t)*p < 0x20 || (uint8_t)*p == 0x7f) return false;
    }
    return true;
}

static bool sound_request(const char *s, size_t n) {
    char line[2 * RTSP_URL];
    const char *url = strchr(s, ' '), *stop = strchr(s, '\r');
    if (!sound_head(s, n)) return false;
    if (!strncmp(s, "RTSP/1.0 ", 9)) return true; /* an answer */
    if (!url || !stop || (size_t)(stop - s) >= sizeof line) return false;
    const char *version = NULL;
    for (const char *p = url + 1; p < stop; p++)
        if (*p == ' ') {
            if (version) return false; /* a blank in the address */
            version = p + 1;
        }
    if (!version || strncmp(version, "RTSP/1.0\r", 9)) return false;
    const char *host = strstr(url, "://");
    for (const char *p = host ? host + 3 : stop; p < stop && *p != '/' && *p != ' '; p++)
        if (*p == '@') return false;
    return host && host < stop;
}

/* Takes out what is to be sent. Lives until the next call. */
static const char *asked(struct dialog *d) {
    static char text[DIALOG_OUT + 1];
    memcpy(text, d->out, d->out_n);
    text[d->out_n] = 0;
    size_t n = d->out_n;
    d->out_n = 0;
    for (const char *p = text; n;) { /* one by one */
        const char *end = strstr(p, "\r\n\r\n");
        size_t one = end ? (size_t)(end + 4 - p) : n;
        char copy[DIALOG_OUT + 1];
        memcpy(copy, p, one);
        copy[one] = 0;
        if (!CHECK_AS(sound_request(copy, one), "what we send is malformed") && test_complaints < 2)
            printf("%s\n", copy);
        p += one;
        n -= one;
    }
    return text;
}

/* The address in a request; the fourth next call reuses it. */
static const char *asked_url(const char *request) {
    struct span s = text_of(request);
    text_word(&s);
    return vec_text(text_word(&s));
}

static bool is_request(const char *request, const char *method) {
    size_t n = strlen(method);
    return !strncmp(request, method, n) && request[n] == ' ';
}

/* Gives the dialog bytes, all of them in one block of exact size. Returns how many it left. */
static size_t told(struct dialog *d, const void *p, size_t n, int64_t now) {
    struct span all = exact(p, n), rest = all;
    for (;;) {
        size_t used;
        struct span payload = {NULL, 0};
        enum dialog_event e = dialog_input(d, rest, now, &used, &payload);
        if (!CHECK(used <= rest.n)) break;
        if (e == DIALOG_MORE) break;
        if (!CHECK(used > 0)) break;
        rest = base_span(rest.p + used, rest.n - used);
    }
    size_t left = rest.n;
    gone(all);
    return left;
}

static void tell(struct dialog *d, const char *text, int64_t now) {
    CHECK_AS(told(d, text, strlen(text), now) == 0, text);
}

static const char *described(const char *lines, const char *sdp) {
    static char text[8192];
    if (!strncmp(lines, "RTSP/", 5)) snprintf(text, sizeof text, "%s", lines);
    else snprintf(text, sizeof text, HEAD "%sContent-Length: %zu\r\n\r\n%s", lines, strlen(sdp), sdp);
    return text;
}

static const char *answer(const char *lines) { /* a whole answer, or the lines of one */
    static char text[4096];
    snprintf(text, sizeof text, strncmp(lines, "RTSP/", 5) ? HEAD "%s\r\n" : "%s", lines);
    return text;
}

static void start(struct dialog *d, const char *url) {
    struct rtsp_url u;
    if (!CHECK_AS(rtsp_read_url(text_of(url), &u), url)) memset(&u, 0, sizeof u);
    dialog_start(d, &u, false, NULL, &dice, T0);
    text_copy(d->cnonce, sizeof d->cnonce, lit("0a4f113b"));
}

/* ==== rtsp: what is sent and read ==== */

static void rtsp_urls(void) {
    static const struct {
        const char *text, *url, *host, *user, *password;
        int port; /* 0: it is refused */
        bool tls;
    } cases[] = {
        {"rtsp://192.0.2.9/live", "rtsp://192.0.2.9/live", "192.0.2.9", "", "", 554, false},
        {"rtsps://cam.test/live", "rtsps://cam.test/live", "cam.test", "", "", 322, true},
        {"rtsp://cam.test:8554", "rtsp://cam.test:8554", "cam.test", "", "", 8554, false},
        {"rtsp://ann:secret@cam.test/a", "rtsp://cam.test/a", "cam.test", "ann", "secret", 554, false},
        {"rtsp://ann:p%40ss%3a%23@cam.test/a", "rtsp://cam.test/a", "cam.test", "ann", "p@ss:#", 554, false},
        {"rtsp://ann:p@ss:#%x@cam.test:99/a@b", "rtsp://cam.test:99/a@b", "cam.test", "ann", "p@ss:#%x", 99, false},
        {"rtsp://ann@cam.test/", "rtsp://cam.test/", "cam.test", "ann", "", 554, false},
        {"rtsp://:@cam.test/", "rtsp://cam.test/", "cam.test", "", "", 554, false},
        {"rtsp://ann:a?b@cam.test?x=1", "rtsp://cam.test?x=1", "cam.test", "ann", "a?b", 554, false},
        {"rtsp://[2001:db8::7]/a", "rtsp://[2001:db8::7]/a", "2001:db8::7", "", "", 554, false},
        {"rtsp://[2001:db8::7]:88/a", "rtsp://[2001:db8::7]:88/a", "2001:db8::7", "", "", 88, false},
        {"rtsp://::ffff:192.0.2.9/a/", "rtsp://::ffff:192.0.2.9/a/", "::ffff:192.0.2.9", "", "", 554, false},
        {"rtsp://h/a?b=1&transport=tcp&c=2", "rtsp://h/a?b=1&c=2", "h", "", "", 554, false},
        {"rtsp://h/a?transport=tcp", "rtsp://h/a", "h", "", "", 554, false},
        {"rtsp://h/a?transportmode=unicast", "rtsp://h/a?transportmode=unicast", "h", "", "", 554, false},
        {"rtsp://h:0/", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://h:65536/", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://h:x/", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp:///x", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://ann:pw@/x", NULL, NULL, NULL, NULL, 0, false},
        {"http://h/", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://h/a b", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://h/a\r\nX: y", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://h/a\x7f", NULL, NULL, NULL, NULL, 0, false},
        {"rtsp://[::1]x/", NULL, NULL, NULL, NULL, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rtsp_url u;
        const char *t = cases[i].text;
        struct span s = exact(t, strlen(t));
        bool ok = rtsp_read_url(s, &u);
        gone(s);
        if (!CHECK_AS(ok == (cases[i].port != 0), t) || !ok) continue;
        CHECK_AS(!strcmp(u.url, cases[i].url) && !strcmp(u.host, cases[i].host), t);
        CHECK_AS(!strcmp(u.user, cases[i].user) && !strcmp(u.password, cases[i].password), t);
        CHECK_AS(u.port == cases[i].port && u.tls == cases[i].tls, t);
    }
    char longest[2048];
    for (size_t n = 1; n < sizeof longest - 32; n += 37) { /* every part at every length: refused, or whole */
        static const char *const forms[] = {"rtsp://h/%s", "rtsp://%s/", "rtsp://%s:p@h/", "rtsp://u:%s@h/"};
        char part[2048];
        memset(part, 'a', n);
        part[n] = 0;
        for (size_t k = 0; k < 4; k++) {
            struct rtsp_url u;
            snprintf(longest, sizeof longest, forms[k], part);
            if (!rtsp_read_url(text_of(longest), &u)) continue;
            CHECK(k != 0 || strlen(u.url) == n + 9);
            CHECK(k != 1 || strlen(u.host) == n);
            CHECK(k != 2 || strlen(u.user) == n);
            CHECK(k != 3 || strlen(u.password) == n);
        }
    }
}

/* A name decoded from an address cannot break a header line. */
static void rtsp_url_injection(void) {
    static const char *const urls[] = {"rtsp://ann%0d%0aX:pw@h/", "rtsp://a%22b:pw@h/", "rtsp://a%5c:pw@h/",
                                       "rtsp://a%00b:pw@h/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct rtsp_url u;
        struct rtsp_auth a = {.strength = 2, .realm = "r", .nonce = "n"};
        char line[2048];
        struct wr w = bytes_wr(line, sizeof line - 5);
        if (!rtsp_read_url(text_of(urls[i]), &u)) continue;
        rtsp_authorize(&a, &u, "PLAY", u.url, "c", &w);
        line[w.n] = 0;
        CHECK_AS(!w.bad && !has(line, "\r\nX") && strchr(line, '\r') == line + w.n - 2, urls[i]);
        const char *name = strstr(line, "username=\"");
        size_t quotes = 0;
        for (const char *p = name ? name + 10 : line; *p; p++) { /* pairs of them */
            if (*p == '\\' && p[1]) p++;
            else quotes += *p == '"';
        }
        CHECK_AS(name && quotes % 2 == 1 && has(line, "\", realm=\"r\", nonce=\"n\""), urls[i]);
    }
}

static struct span read_one(const char *text, struct rtsp_message *m, int *rc) {
    struct span s = exact(text, strlen(text));
    memset(m, 0, sizeof *m);
    *rc = rtsp_read(s, m);
    return s;
}

static void rtsp_messages(void) {
    static const struct {
        const char *text;
        int rc, status; /* rc: -2: all of it */
        size_t body;
    } cases[] = {
        {"RTSP/1.0 200 OK\r\n\r\n", -2, 200, 0},
        {"RTSP/1.0 200 OK\n\n", -2, 200, 0},
        {"RTSP/1.0 200\r\n\r\n", -2, 200, 0},
        {"RTSP/1.0  404  None\r\nA: b\r\n\r\n", -2, 404, 0},
        {"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", -2, 200, 3},
        {"RTSP/1.0 200 OK\r\ncontent-LENGTH:3  \r\n\r\nabc", -2, 200, 3},
        {"RTSP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabc", 0, 0, 0},
        {"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", -1, 0, 0},
        {"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", -1, 0, 0},
        {"RTSP/1.0 200 OK\r\nContent-Length: 65537\r\n\r\n", -1, 0, 0},
        {"RTSP/1.0 200 OK\r\nContent-Length: 0x3\r\n\r\nabc", -1, 0, 0},
        {"RTSP/1.0 200 OK\r\nContent-Length: \r\n\r\n", -1, 0, 0},
        {"RTSP/1.0 abc\r\n\r\n", -1, 0, 0},
        {"RTSP/1.0 1000 X\r\n\r\n", -1, 0, 0},
        {"RTSP/1.0 -200 X\r\n\r\n", -1, 0, 0},
        {"RTSP/1.0\r\n\r\n", -1, 0, 0},
        {"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", -2, 0, 0},
        {"ANNOUNCE rtsp://h/ RTSP/1.0\r\nContent-Length: 2\r\n\r\nxy", -2, 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *t = cases[i].text;
        struct rtsp_message m;
        int rc, want = cases[i].rc == -2 ? (int)strlen(t) : cases[i].rc;
        struct span s = read_one(t, &m, &rc);
        CHECK_AS(rc == want, t);
        if (rc > 0) CHECK_AS(m.status == cases[i].status && m.body.n == cases[i].body, t);
        gone(s);
        for (size_t n = 0; n < strlen(t); n++) { /* a part of it is never a whole one */
            struct span part = exact(t, n);
            int some = rtsp_read(part, &m);
            CHECK_AS(some <= 0 && (some == 0 || want <= 0), t);
            gone(part);
        }
    }
    char *endless = malloc(4 * RTSP_HEAD);
    if (!endless) abort();
    struct rtsp_message m;
    int at = snprintf(endless, 64, "RTSP/1.0 200 OK\r\n");
    while (at < 3 * RTSP_HEAD) at += snprintf(endless + at, 64, "X-Filler-%d: filler\r\n", at);
    CHECK(rtsp_read(base_span(endless, (size_t)at), &m) == -1);
    memset(endless, 'R', 4 * RTSP_HEAD);
    CHECK(rtsp_read(base_span(endless, 4 * RTSP_HEAD), &m) == -1);
    CHECK(rtsp_read(base_span(endless, RTSP_HEAD / 2), &m) == 0);
    free(endless);
}

/* The wire buffer holds the largest message that is taken: else it could never be read whole. */
static void rtsp_fits_the_wire(void) {
    CHECK((size_t)SOURCE_WIRE >= (size_t)RTSP_HEAD + RTSP_BODY);
    CHECK((size_t)SOURCE_WIRE >= 4 + 65535);
}

static bool challenged(struct rtsp_auth *a, const char *lines) {
    char text[4096];
    struct rtsp_message m;
    int rc;
    snprintf(text, sizeof text, "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n%s\r\n", lines);
    struct span s = read_one(text, &m, &rc);
    bool ok = CHECK_AS(rc > 0, lines) && rtsp_challenged(a, &m);
    gone(s);
    return ok;
}

#define W "WWW-Authenticate: "
static void rtsp_challenges(void) {
    static const struct {
        const char *lines, *realm, *nonce, *opaque;
        int strength;
        bool qop, session;
    } cases[] = {
        {W "Basic realm=\"a\"\r\n", "a", "", "", 1, false, false},
        {W "basic REALM=a\r\n", "a", "", "", 1, false, false},
        {W "Digest realm=\"a b\", nonce=\"c=,d\"\r\n", "a b", "c=,d", "", 2, false, false},
        {W "Digest realm=\"a\",nonce=\"b\",algorithm=MD5,qop=\"auth,auth-int\",opaque=\"o\"\r\n", "a", "b", "o", 2,
         true, false},
        {W "Digest realm=\"a\", nonce=\"b\", algorithm=\"md5-SESS\", qop=auth\r\n", "a", "b", "", 2, true, true},
        {W "Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256\r\n", "a", "b", "", 3, false, false},
        {W "Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256-sess\r\n", "a", "b", "", 3, false, true},
        {W "Digest realm = \"a\" , nonce = \"b\"\r\n", "a", "b", "", 2, false, false},
        {W "Digest realm=\"a\", nonce=\"b\", stale=TRUE\r\n", "a", "b", "", 2, false, false},
        {W "Digest realm=\"a\", nonce=\"1\"\r\n" W "Basic realm=\"z\"\r\n", "a", "1", "", 2, false, false},
        {W "Basic realm=\"z\"\r\n" W "Digest realm=\"a\", nonce=\"1\"\r\n", "a", "1", "", 2, false, false},
        {W "Basic realm=\"z\", Digest realm=\"a\", nonce=\"1\"\r\n", "a", "1", "", 2, false, false},
        {W "Digest realm=\"a\", nonce=\"1\", Basic realm=\"z\"\r\n", "a", "1", "", 2, false, false},
        {W "Digest realm=\"a\", nonce=\"1\", algorithm=MD5\r\n" W
           "Digest realm=\"b\", nonce=\"2\", algorithm=SHA-256\r\n",
         "b", "2", "", 3, false, false},
        {W "Digest realm=\"a\", nonce=\"1\", algorithm=SHA-256, Digest realm=\"b\", nonce=\"2\"\r\n", "a", "1", "", 3,
         false, false},
        {W "Negotiate\r\n" W "Basic realm=\"z\"\r\n", "z", "", "", 1, false, false},
        {W "Negotiate, Basic realm=\"z\"\r\n", "z", "", "", 1, false, false},
        {W "Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256\r\n", "", "", "", 0, false, false},
        {W "Digest realm=\"a\", nonce=\"1\", algorithm=XYZ\r\n" W "Basic realm=\"z\"\r\n", "z", "", "", 1, false,
         false},
        {W "Bearer realm=\"z\"\r\n", "", "", "", 0, false, false},
        {W "\r\n", "", "", "", 0, false, false},
        {"", "", "", "", 0, false, false},
        {W "Digest\r\n", "", "", "", 0, false, false},
        {W "Digest realm=\"open, nonce=\"x\"\r\n", "open, nonce=", "", "", 2, false, false},
        {W ",,,Basic realm=\"a\",,\r\n", "a", "", "", 1, false, false},
        {W "Digest\trealm=\"a\",\tnonce=\"1\"\r\n", "a", "1", "", 2, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rtsp_auth a;
        const char *t = cases[i].lines;
        CHECK_AS(challenged(&a, t) == (cases[i].strength > 0) && a.strength == cases[i].strength, t);
        CHECK_AS(!strcmp(a.realm, cases[i].realm) && !strcmp(a.nonce, cases[i].nonce), t);
        CHECK_AS(!strcmp(a.opaque, cases[i].opaque) && a.qop == cases[i].qop && a.session == cases[i].session, t);
    }
    rnd_seed(11);
    for (int i = 0; i < 20000; i++) { /* anything: sanitizers watch, and what we would send is checked */
        struct span s = lit(cases[rnd(sizeof cases / sizeof *cases)].lines), broken = mutated(s);
        struct rtsp_message m = {.fields = broken, .status = 401};
        struct rtsp_auth a;
        struct rtsp_url u = {.user = "ann", .password = "pw"};
        char line[4096];
        struct wr w = bytes_wr(line, sizeof line);
        if (rtsp_challenged(&a, &m)) {
            rtsp_authorize(&a, &u, "PLAY", "rtsp://h/", "c", &w);
            text_put(&w, "\r\n");
            CHECK(!w.bad && sound_head(line, w.n));
        }
        gone(broken);
    }
}

/* A nonce that is cut would make a wrong answer, which looks like a wrong password. */
static void rtsp_long_nonces(void) {
    for (size_t n = 100; n < 400; n += 30) {
        char lines[1024], nonce[512];
        struct rtsp_auth a;
        memset(nonce, 'n', n);
        nonce[n] = 0;
        snprintf(lines, sizeof lines, W "Digest realm=\"a\", nonce=\"%s\"\r\n", nonce);
        CHECK(!challenged(&a, lines) || strlen(a.nonce) == n);
    }
}

struct digest {
    const char *what, *challenge, *user, *password, *method, *uri, *cnonce, *want;
};
#define RFC7616                                                 \
    "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", " \
    "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
#define RFC7616_CNONCE "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

static void check_digest(const struct digest *t) {
    struct rtsp_auth a;
    struct rtsp_url u = {0};
    char line[4096], want[256];
    struct wr w = bytes_wr(line, sizeof line - 1);
    text_copy(u.user, sizeof u.user, text_of(t->user));
    text_copy(u.password, sizeof u.password, text_of(t->password));
    if (!CHECK_AS(challenged(&a, t->challenge), t->what)) return;
    rtsp_authorize(&a, &u, t->method, t->uri, t->cnonce, &w);
    line[w.n] = 0;
    snprintf(want, sizeof want, "response=\"%s\"", t->want);
    if (!CHECK_AS(has(line, want), t->what)) printf("%s", line);
    CHECK_AS(has(line, "nc=00000001") == a.qop && has(line, "qop=auth") == a.qop, t->what);
    CHECK_AS(has(line, "cnonce=\"") == (a.qop || a.session), t->what);
    w.n = 0;
    rtsp_authorize(&a, &u, t->method, t->uri, t->cnonce, &w);
    line[w.n] = 0;
    CHECK_AS(has(line, "nc=00000002") == a.qop, t->what);
}

static void rtsp_digests(void) {
    static const struct digest cases[] = {
        {"RFC 7616 3.9.1, MD5", W "Digest " RFC7616 ", algorithm=MD5\r\n", "Mufasa", "Circle of Life", "GET",
         "/dir/index.html", RFC7616_CNONCE, "8ca523f5e9506fed4657c9700eebdbec"},
        {"RFC 7616 3.9.1, SHA-256", W "Digest " RFC7616 ", algorithm=SHA-256\r\n", "Mufasa", "Circle of Life", "GET",
         "/dir/index.html", RFC7616_CNONCE, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
        {"MD5-sess", W "Digest " RFC7616 ", algorithm=MD5-sess\r\n", "Mufasa", "Circle of Life", "GET",
         "/dir/index.html", RFC7616_CNONCE, "e783283f46242139c486a698fec7211d"},
        {"SHA-256-sess", W "Digest " RFC7616 ", algorithm=SHA-256-sess\r\n", "Mufasa", "Circle of Life", "GET",
         "/dir/index.html", RFC7616_CNONCE, "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"},
        {"MD5-sess without qop",
         W "Digest realm=\"http-auth@example.org\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
           "algorithm=MD5-sess\r\n",
         "Mufasa", "Circle of Life", "GET", "/dir/index.html", RFC7616_CNONCE, "37a7f42db2090a3fcac4e26e747d4fc8"},
        {"RFC 2617 3.5",
         W "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
           "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n",
         "Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b", "6629fae49393a05397450978507c4ef1"},
        {"without qop (RFC 2617 3.2.2.1)",
         W "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"\r\n", "Mufasa",
         "CircleOfLife", "GET", "/dir/index.html", "", "1949323746fe6a43ef61f9606e7febea"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_digest(&cases[i]);
    struct rtsp_auth basic = {.strength = 1};
    struct rtsp_url u = {.user = "Aladdin", .password = "open sesame"};
    char line[512];
    struct wr w = bytes_wr(line, sizeof line - 1);
    rtsp_authorize(&basic, &u, "PLAY", "rtsp://h/", "", &w);
    line[w.n] = 0;
    CHECK(!strcmp(line, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
    memset(&u, 'x', sizeof u); /* the longest name and password */
    u.user[RTSP_WORD - 1] = u.password[RTSP_WORD - 1] = 0;
    w.n = 0;
    rtsp_authorize(&basic, &u, "PLAY", "rtsp://h/", "", &w);
    CHECK(!w.bad && w.n == 21 + ((2 * RTSP_WORD - 1 + 2) / 3) * 4 + 2);
}

static void rtsp_digest_vectors(void) {
    SKIP_UNLESS(vec_next("digest", NULL), NO_RTSP);
    for (struct vec *v = NULL; (v = vec_next("digest", v));) { /* name challenge user password method uri cnonce want */
        char f[8][1024];
        for (int i = 0; i < 8; i++) text_copy(f[i], sizeof f[i], v->f[i]);
        check_digest(&(struct digest){f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]});
    }
    for (struct vec *v = NULL; (v = vec_next("basic", v));) { /* name user password want */
        struct rtsp_auth a = {.strength = 1};
        struct rtsp_url u = {0};
        char line[512], want[512];
        struct wr w = bytes_wr(line, sizeof line - 1);
        text_copy(u.user, sizeof u.user, v->f[1]);
        text_copy(u.password, sizeof u.password, v->f[2]);
        rtsp_authorize(&a, &u, "PLAY", "rtsp://h/", "", &w);
        line[w.n] = 0;
        snprintf(want, sizeof want, "Authorization: %s\r\n", vec_text(v->f[3]));
        CHECK_AS(!strcmp(line, want), vec_text(v->f[0]));
    }
}

static void rtsp_addresses_join(void) {
    static const struct {
        const char *base, *control, *want; /* NULL: refused */
    } cases[] = {
        {"rtsp://h/a/", "track1", "rtsp://h/a/track1"},
        {"rtsp://h/a", "track1", "rtsp://h/a/track1"},
        {"rtsp://h/a/", "/track1", "rtsp://h/a/track1"},
        {"rtsp://h/a/", "*", "rtsp://h/a/"},
        {"rtsp://h/a/", "", "rtsp://h/a/"},
        {"rtsp://h/a?x=1&y=2/", "t", "rtsp://h/a?x=1&y=2/t"},
        {"rtsp://h/a?x=1", "t", "rtsp://h/a?x=1/t"},
        {"rtsp://h/a/", "rtsp://k:99/z?q=1", "rtsp://k:99/z?q=1"},
        {"rtsp://h/a/", "rtsp://ann:pw@h/z", "rtsp://h/z"},
        {"rtsp://h/a/", "rtsp://rtsp://h/z", "rtsp://h/z"},
        {"rtsp://h/a/", "rtsp://proxy/?src=rtsp://k/z", "rtsp://proxy/?src=rtsp://k/z"},
        {"rtsp://h/a/", "ctype=video", "rtsp://h/a/ctype=video"},
        {"rtsp://h/a/", "rtsp://", NULL},
        {"rtsp://h/a/", "track\r1", NULL},
        {"rtsp://h/a/", "track 1", NULL},
        {"rtsp://h/a/", "\x1b[31m", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char to[RTSP_URL] = "";
        struct span s = exact(cases[i].control, strlen(cases[i].control));
        bool ok = rtsp_resolve(to, cases[i].base, s);
        gone(s);
        if (CHECK_AS(ok == (cases[i].want != NULL), cases[i].control) && ok)
            CHECK_AS(!strcmp(to, cases[i].want), cases[i].control);
    }
    char longest[2 * RTSP_URL];
    memset(longest, 'x', sizeof longest);
    for (size_t n = RTSP_URL - 40; n < 2 * RTSP_URL; n++) {
        char to[RTSP_URL];
        bool ok = rtsp_resolve(to, "rtsp://h/", base_span(longest, n));
        CHECK(ok == (n + 9 < RTSP_URL) && (!ok || strlen(to) == n + 9));
    }
}

static void rtsp_sdps(void) {
    static const struct {
        const char *what, *sdp, *kind, *name, *control, *audio;
        int pt;
    } cases[] = {
        {"plain", SDP_ALL, "video", "H264", "track1", "", 96},
        {"LF alone", "m=video 0 RTP/AVP 97\na=rtpmap:97 h264/90000\na=control:t\n", "video", "h264", "t", "", 97},
        {"audio first", SDP_HEAD "m=audio 0 RTP/AVP 0\r\na=control:a\r\n" SDP_VIDEO "a=control:v\r\n", "video", "H264",
         "v", "PCMU", 96},
        {"static types", SDP_HEAD "m=video 0 RTP/AVP 26\r\na=control:v\r\nm=audio 0 RTP/AVP 8\r\n", "video", "JPEG",
         "v", "PCMA", 26},
        {"the second video can be shown",
         SDP_HEAD "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\na=control:a\r\n" SDP_VIDEO "a=control:b\r\n",
         "video", "H264", "b", "", 96},
        {"no video", SDP_HEAD "m=audio 0 RTP/AVP 0\r\n", "", "", "", "PCMU", 0},
        {"empty", "", "", "", "", "", 0},
        {"no payload type", "m=video 0 RTP/AVP\r\n", "video", "unknown", "", "", 127},
        {"rubbish", "m=\r\na=\r\na=rtpmap:\r\na=fmtp:96\r\nm=video\r\na=rtpmap:x y\r\n===\r\n", "video", "unknown", "",
         "", 127},
        {"another type's map", "m=video 0 RTP/AVP 96\r\na=rtpmap:97 H264/90000\r\n", "video", "unknown", "", "", 96},
        {"several formats",
         "m=video 0 RTP/AVP 98 96 97\r\na=rtpmap:98 H265/90000\r\na=rtpmap:96 H264/90000\r\n"
         "a=rtpmap:97 H264/90000\r\na=control:v\r\nm=audio 0 RTP/AVP 97 8\r\n"
         "a=rtpmap:97 MPEG4-GENERIC/16000\r\na=rtpmap:8 PCMA/8000\r\n",
         "video", "H264", "v", "PCMA", 96},
        {"a format that is not listed",
         "m=video 0 RTP/AVP 98 96\r\na=rtpmap:98 H265/90000\r\na=rtpmap:97 H264/90000\r\n", "video", "H265", "", "",
         98},
        {"blanks", "m=video  0  RTP/AVP  96 \r\na=rtpmap:96   H264/90000 \r\na=control: t \r\n", "video", "H264", "t",
         "", 96},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rtsp_sdp sdp;
        struct span s = exact(cases[i].sdp, strlen(cases[i].sdp));
        rtsp_read_sdp(s, &sdp);
        CHECK_AS(text_is(sdp.video.kind, cases[i].kind) && !strcmp(sdp.video.name, cases[i].name), cases[i].what);
        CHECK_AS(text_is(sdp.video.control, cases[i].control) && sdp.video.pt == cases[i].pt, cases[i].what);
        CHECK_AS(!strcmp(sdp.audio.name, cases[i].audio), cases[i].what);
        for (size_t n = 0; n < s.n; n++) { /* any part of it, in a block of its size */
            struct span part = exact(s.p, n);
            rtsp_read_sdp(part, &sdp);
            gone(part);
        }
        gone(s);
    }
    rnd_seed(12);
    for (int i = 0; i < 20000; i++) {
        struct span s = mutated(lit(cases[rnd(sizeof cases / sizeof *cases)].sdp));
        struct rtsp_sdp sdp;
        uint8_t sets[RTSP_SETS];
        struct wr w = bytes_wr(sets, sizeof sets);
        rtsp_read_sdp(s, &sdp);
        rtsp_put_sets(&w, sdp.video.sets);
        CHECK(!w.bad && w.n <= sizeof sets);
        gone(s);
    }
}

static void rtsp_parameter_sets(void) {
    static const struct {
        const char *list;
        int nals;
    } cases[] = {{"", 0},
                 {"Z0LAHtkA,aMuM", 2},
                 {" Z0LAHtkA , aMuM ", 2},
                 {"Z0LAHtkA", 1},
                 {",", 0},
                 {"Z0LAHtkA,,aMuM,", 2},
                 {"!!!!,aMuM", 1},
                 {"Z0LAHtk,aMuM", 1},
                 {"aMuMAAAAAQ==", 1},
                 {"Z0LAHtkAAAAAAQ==,aMuMAAAAAQ==", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[256];
        struct wr w = bytes_wr(out, sizeof out);
        struct span s = exact(cases[i].list, strlen(cases[i].list));
        rtsp_put_sets(&w, s);
        gone(s);
        struct span all = bytes_written(&w);
        int n = 0;
        while (h264_next(&all).n) n++;
        CHECK_AS(!w.bad && n == cases[i].nals, cases[i].list);
    }
    char big[4096]; /* more than there is room for: what fits stays whole */
    memset(big, 'A', sizeof big);
    for (size_t i = 0; i + 9 <= sizeof big; i += 9) memcpy(big + i, "Z0LAHtkA,", 9);
    uint8_t out[RTSP_SETS];
    struct wr w = bytes_wr(out, sizeof out);
    rtsp_put_sets(&w, base_span(big, sizeof big));
    CHECK(!w.bad && w.n > RTSP_SETS - 24 && w.n <= RTSP_SETS);
}

/* ==== dialog ==== */

/* A conversation: what the camera says, and what must come of it. NULL says or expects the usual. A text that begins
 * with RTSP/ is a whole message, else the header lines of one. */
struct scene {
    const char *name, *url, *challenge, *describe, *sdp, *setup, *play;
    const char *setup_url, *play_url, *why, *session, *authorization;
    int channel, sets, alive_s; /* 0, -1, 0: no matter */
};

static void play_scene(const struct scene *s) {
    static struct dialog d;
    const char *setup = s->setup ? s->setup : "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 4711\r\n";
    bool setup_seen = false, play_seen = false;
    char url[RTSP_URL];
    start(&d, s->url ? s->url : s->challenge ? "rtsp://ann:pw@cam.test/live" : "rtsp://cam.test/live");
    for (int i = 0; i < 12 && d.state < DIALOG_PLAYING; i++) {
        const char *r = asked(&d);
        CHECK_AS(!has(r, "Require:"), s->name); /* some cameras refuse it */
        text_copy(url, sizeof url, text_of(asked_url(r)));
        if (s->challenge && !has(r, "Authorization:") && !is_request(r, "OPTIONS")) {
            CHECK_AS(i < 3, s->name); /* from then on every request has it */
            tell(&d, answer(s->challenge), T0);
        } else if (is_request(r, "OPTIONS")) tell(&d, HEAD "Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n\r\n", T0);
        else if (is_request(r, "DESCRIBE"))
            tell(&d, described(s->describe ? s->describe : "", s->sdp ? s->sdp : SDP_ALL), T0);
        else if (is_request(r, "SETUP")) {
            setup_seen = true;
            if (s->setup_url && !CHECK_AS(!strcmp(url, s->setup_url), s->name)) printf("  %s\n", url);
            CHECK_AS(has(r, "Transport: RTP/AVP/TCP;unicast;interleaved="), s->name);
            if (s->authorization && !CHECK_AS(has(r, s->authorization), s->name)) printf("%s", r);
            char uri[RTSP_URL + 8];
            snprintf(uri, sizeof uri, "uri=\"%s\"", url);
            CHECK_AS(!has(r, "Digest") || has(r, uri), s->name);
            tell(&d, answer(setup), T0);
        } else if (is_request(r, "PLAY")) {
            play_seen = true;
            if (s->play_url && !CHECK_AS(!strcmp(url, s->play_url), s->name)) printf("  %s\n", url);
            CHECK_AS(!s->session || !strcmp(d.session, s->session), s->name);
            CHECK_AS(!d.session[0] || has(r, d.session), s->name);
            tell(&d, answer(s->play ? s->play : ""), T0);
        } else CHECK_AS(!"an unknown request", s->name);
    }
    if (s->why) {
        if (!CHECK_AS(d.state == DIALOG_FAILED && has(d.why, s->why), s->name)) printf("  %d %s\n", d.state, d.why);
        return;
    }
    if (!CHECK_AS(d.state == DIALOG_PLAYING && setup_seen && play_seen, s->name)) printf("  %d %s\n", d.state, d.why);
    if (s->channel) CHECK_AS(d.video.channel == s->channel, s->name);
    struct span sets = base_span(d.sets, d.sets_n);
    int n = 0;
    while (h264_next(&sets).n) n++;
    if (s->sets >= 0 && !CHECK_AS(n == s->sets, s->name)) printf("  %d parameter sets\n", n);
    if (!s->alive_s) return;
    int64_t next = dialog_tick(&d, T0); /* a sign of life at the latest in half of the time that the camera gives */
    CHECK_AS(next > T0 && next - T0 <= s->alive_s * BASE_S / 2, s->name);
    dialog_tick(&d, next);
    const char *r = asked(&d);
    CHECK_AS(is_request(r, "GET_PARAMETER") && (!s->challenge || has(r, "Authorization:")), s->name);
}

#define DIGEST_401 "RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\n" W "Digest realm=\"cam\", nonce=\"5f2a\"\r\n\r\n"
#define TCP        "Transport: RTP/AVP/TCP;unicast;interleaved="

/* What real cameras do, in texts of our own. */
static const struct scene scenes[] = {
    {.name = "all as it should be",
     .setup_url = "rtsp://cam.test/live/track1",
     .play_url = "rtsp://cam.test/live",
     .session = "4711",
     .sets = 2},
    {.name = "parameter sets only in the stream",
     .sdp = SDP_HEAD SDP_VIDEO "a=fmtp:96 profile-level-id=42e01f;packetization-mode=0\r\na=control:t\r\n"},
    {.name = "sprop-parameter-sets without a value",
     .sdp = SDP_HEAD SDP_VIDEO "a=fmtp:96 packetization-mode=1; sprop-parameter-sets=\r\na=control:t\r\n"},
    {.name = "an SDP of three lines",
     .sdp = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n",
     .setup_url = "rtsp://cam.test/live/trackID=0"},
    {.name = "doubled scheme in Content-Base",
     .describe = "Content-Base: rtsp://rtsp://cam.test:8554/one/\r\n",
     .setup_url = "rtsp://cam.test:8554/one/track1",
     .play_url = "rtsp://cam.test:8554/one/",
     .sets = 2},
    {.name = "Content-Base without scheme",
     .describe = "Content-Base: 192.0.2.7:8554/\r\n",
     .setup_url = "rtsp://cam.test/live/track1",
     .play_url = "rtsp://cam.test/live",
     .sets = 2},
    {.name = "Content-Base that only begins like one",
     .describe = "Content-Base: rtsp-server/one/\r\n",
     .setup_url = "rtsp://cam.test/live/track1",
     .sets = 2},
    {.name = "Content-Location in its place",
     .describe = "Content-Location: rtsp://cam.test/two/\r\n",
     .setup_url = "rtsp://cam.test/two/track1",
     .sets = 2},
    {.name = "no control of the session",
     .sdp = SDP_HEAD SDP_VIDEO "a=control:track0\r\n",
     .setup_url = "rtsp://cam.test/live/track0",
     .play_url = "rtsp://cam.test/live"},
    {.name = "control is an address with a query",
     .sdp = SDP_HEAD "a=control:rtsp://cam.test:554/ch/1/?mode=u&p=P1\r\n" SDP_VIDEO
                     "a=control:rtsp://cam.test:554/ch/1/trackID=1?mode=u&p=P1\r\n",
     .setup_url = "rtsp://cam.test:554/ch/1/trackID=1?mode=u&p=P1",
     .play_url = "rtsp://cam.test:554/ch/1/?mode=u&p=P1"},
    {.name = "PLAY wants the session's control",
     .describe = "Content-Base: rtsp://cam.test:554/media.amp/\r\n",
     .sdp = SDP_HEAD "a=control:rtsp://cam.test/media.amp?sw=true\r\n" SDP_VIDEO
                     "a=control:rtsp://cam.test/media.amp/stream=0?sw=true\r\n",
     .setup_url = "rtsp://cam.test/media.amp/stream=0?sw=true",
     .play_url = "rtsp://cam.test/media.amp?sw=true"},
    {.name = "name and password in the control",
     .challenge = DIGEST_401,
     .sdp = SDP_HEAD SDP_VIDEO "a=control:rtsp://ann:pw@cam.test:8554/h264/main/\r\n",
     .setup_url = "rtsp://cam.test:8554/h264/main/",
     .authorization = "uri=\"rtsp://cam.test:8554/h264/main/\""},
    {.name = "name and password in Content-Base",
     .challenge = DIGEST_401,
     .describe = "Content-Base: rtsp://ann:pw@cam.test/live/\r\n",
     .setup_url = "rtsp://cam.test/live/track1",
     .sets = 2},
    {.name = "two challenges: Digest",
     .challenge = "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n" W
                  "Digest realm=\"IP Camera(X1)\", nonce=\"a0f8\", stale=\"FALSE\"\r\n" W
                  "Basic realm=\"IP Camera(X1)\"\r\nDate:  Mon, 1 Jan 2024\r\n\r\n",
     .authorization = "Digest username=\"ann\", realm=\"IP Camera(X1)\", nonce=\"a0f8\", uri=",
     .sets = 2,
     .alive_s = 60},
    {.name = "qop and a nonce of digits",
     .challenge = "RTSP/1.0 401 Unauthorized\r\n" W "Digest realm=\"Phone\", nonce=\"15584\", qop=\"auth\"\r\n\r\n",
     .authorization = "qop=auth, nc=0000000",
     .sets = 2},
    {.name = "a blank behind CSeq",
     .challenge = "RTSP/1.0 401 Unauthorized\r\nCSeq: 1 \r\nServer: S 1920*1080\r\n" W
                  "Digest realm=\"S\", nonce=\"98481\"\r\n\r\n",
     .authorization = "nonce=\"98481\"",
     .sets = 2},
    {.name = "Basic, without CSeq, with a body",
     .challenge = "RTSP/1.0 401 Unauthorized\r\n" W
                  "Basic realm=\"x\"\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\n<html>",
     .authorization = "Authorization: Basic YW5uOnB3",
     .sets = 2},
    {.name = "other channels than asked for", .setup = TCP "4-5\r\nSession: 1\r\n", .channel = 4, .sets = 2},
    {.name = "one channel", .setup = TCP "6\r\nSession: 1\r\n", .channel = 6, .sets = 2},
    {.name = "SETUP without channels", .setup = "Transport: RTP/AVP/TCP;unicast\r\nSession: 1\r\n", .sets = 2},
    {.name = "SETUP without Transport", .setup = "Session: 1\r\n", .sets = 2},
    {.name = "TCP asked, UDP answered",
     .setup = "Transport: "
              "RTP/"
              "AVP;unicast;mode=PLAY;source=192.0.2.7;client_port=18714-18715;server_port=40004-40005;ssrc="
              "0\r\nSession: 1\r\n",
     .why = "over TCP"},
    {.name = "TCP asked, UDP answered, no client_port",
     .setup = "Transport: RTP/AVP;unicast;server_port=40004-40005\r\nSession: 1\r\n",
     .why = "over TCP"},
    {.name = "a blank in ssrc", .setup = TCP "8-9;ssrc= d6d6627\r\nSession: 1\r\n", .channel = 8, .sets = 2},
    {.name = "timeout behind a blank",
     .setup = TCP "0-1\r\nSession: 9a90; timeout=60\r\n",
     .session = "9a90",
     .sets = 2,
     .alive_s = 60},
    {.name = "timeout of 15 s",
     .setup = TCP "0-1\r\nSession:   77;timeout=15\r\n",
     .session = "77",
     .sets = 2,
     .alive_s = 15},
    {.name = "timeout in odd letters",
     .setup = TCP "0-1\r\nSession: 77;Timeout=15\r\n",
     .session = "77",
     .sets = 2,
     .alive_s = 15},
    {.name = "timeout of no use",
     .setup = TCP "0-1\r\nSession: 77;timeout=abc\r\n",
     .session = "77",
     .sets = 2,
     .alive_s = 60},
    {.name = "no Session at all", .setup = TCP "0-1\r\n", .sets = 2, .alive_s = 60},
    {.name = "Cseq, transport, SESSION",
     .setup = "RTSP/1.0 200 OK\r\nCseq: 3\r\ntransport: RTP/AVP/TCP;Interleaved=2-3\r\nSESSION: 5\r\n\r\n",
     .channel = 2,
     .session = "5",
     .sets = 2},
    {.name = "a wrong CSeq everywhere",
     .describe = "CSeq: 100\r\n",
     .setup = "RTSP/1.0 200 OK\r\nCSeq: 0\r\nSession: 1\r\n\r\n",
     .play = "RTSP/1.0 200 OK\r\nCSeq: -1\r\n\r\n",
     .sets = 2},
    {.name = "transport refused", .setup = "RTSP/1.0 461 Unsupported transport\r\nCSeq: 3\r\n\r\n", .why = "over TCP"},
    {.name = "RTP-Info of no use",
     .play = "RTP-Info: url=trackID=1;seq=1;rtptime=-1,;\r\nRange: npt=0.0-\r\n",
     .sets = 2},
    {.name = "o= and c= cut short",
     .sdp = "v=0\r\no=- 1001 1 IN\r\ns=x\r\nm=video 0 RTP/AVP "
            "105\r\nc=IN\r\na=control:rtsp://cam.test/media/video\r\na=rtpmap:105 H264/90000\r\na=fmtp:105 "
            "packetization-mode=1; sprop-parameter-sets=" SETS
            "\r\nm=application 0 RTP/AVP 107\r\nc=IN\r\na=control:rtsp://cam.test/media/meta\r\na=rtpmap:107 "
            "vnd.onvif.metadata/90000\r\n",
     .setup_url = "rtsp://cam.test/media/video",
     .sets = 2},
    {.name = "control is ctype=video",
     .describe = "Content-Base: rtsp://cam.test:554/ch01.264/\r\n",
     .sdp = SDP_HEAD SDP_VIDEO "a=control:ctype=video\r\n",
     .setup_url = "rtsp://cam.test:554/ch01.264/ctype=video"},
    {.name = "c= behind a=, trackID=video",
     .sdp = SDP_HEAD "a=control:*\r\na=range:npt=0-\r\nc=IN IP4 0.0.0.0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 "
                     "H264/90000\r\na=control:trackID=video\r\na=cliprect:0,0,720,1280\r\n" SDP_FMTP
                     "m=audio 0 RTP/AVP 0\r\na=control:trackID=audio\r\n",
     .setup_url = "rtsp://cam.test/live/trackID=video",
     .sets = 2},
    {.name = "audio without rtpmap",
     .sdp = SDP_HEAD SDP_VIDEO
     "a=control:track1\r\nm=audio 0 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\nb=AS:64\r\na=control:track2\r\n",
     .setup_url = "rtsp://cam.test/live/track1"},
    {.name = "& in the base, relative control",
     .describe = "Content-Base: rtsp://cam.test/694?device=3&connid=4&sessionid=2/\r\n",
     .setup_url = "rtsp://cam.test/694?device=3&connid=4&sessionid=2/track1",
     .sets = 2},
    {.name = "no c= line",
     .sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
     .setup_url = "rtsp://cam.test/live"},
    {.name = "no Content-Type", .describe = "Session: l0T\r\n", .sets = 2},
    {.name = "MJPEG",
     .sdp = SDP_HEAD
     "m=video 0 RTP/AVP 26\r\na=control:t1\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97  G726-32/8000\r\na=fmtp:97\r\n",
     .why = "JPEG, which is not H.264"},
    {.name = "H.265",
     .sdp = SDP_HEAD "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\na=control:t1\r\n",
     .why = "H265, which is not H.264"},
    {.name = "sound alone", .sdp = SDP_HEAD "m=audio 0 RTP/AVP 0\r\n", .why = "no video"},
    {.name = "no SDP", .sdp = "", .why = "no video"},
    {.name = "no such path", .describe = "RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n", .why = "404"},
    {.name = "busy", .setup = "RTSP/1.0 453 Not Enough Bandwidth\r\nCSeq: 2\r\n\r\n", .why = "busy"},
    {.name = "another refusal", .play = "RTSP/1.0 455 Method Not Valid\r\nCSeq: 2\r\n\r\n", .why = "455"},
    {.name = "parameter sets that end in a start code",
     .sdp = SDP_HEAD SDP_VIDEO "a=fmtp:96 sprop-parameter-sets=Z0LAHtkAAAAAAQ==,aMuMAAAAAQ==\r\na=control:t\r\n",
     .sets = 2},
    {.name = "a header's value on several sides",
     .describe = "Content-Base:rtsp://cam.test/x/\t\r\n",
     .setup_url = "rtsp://cam.test/x/track1",
     .sets = 2},
};

static void dialog_quirks(void) {
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) play_scene(&scenes[i]);
}

static void dialog_real_cameras(void) {
    SKIP_UNLESS(vec_next("scene", NULL), NO_RTSP);
    int n = 0;
    for (struct vec *v = NULL; (v = vec_next("scene", v)); n++) { /* the fields of struct scene; "" is NULL */
        static char f[15][8192];
        const char *s[15];
        for (int i = 0; i < 15; i++) {
            text_copy(f[i], sizeof f[i], i < v->n ? v->f[i] : base_span(NULL, 0));
            s[i] = f[i][0] ? f[i] : NULL;
        }
        struct scene q = {s[0],       s[1], s[2], s[3],  s[4],  s[5],        s[6],
                          s[7],       s[8], s[9], s[10], s[11], atoi(f[12]), s[13] ? atoi(f[13]) : -1,
                          atoi(f[14])};
        if (s[3] && !strncmp(s[3], "RTSP/", 5)) q.sdp = "";
        play_scene(&q);
    }
    CHECK(n >= 60);
}

/* To where the picture runs; what was asked meanwhile is thrown away. */
static void run_up(struct dialog *d, const char *url, const char *challenge) {
    start(d, url);
    for (int i = 0; i < 12 && d->state < DIALOG_PLAYING; i++) {
        const char *r = asked(d);
        if (challenge && !has(r, "Authorization:")) tell(d, challenge, T0);
        else if (is_request(r, "OPTIONS")) tell(d, HEAD "Public: OPTIONS, GET_PARAMETER\r\n\r\n", T0);
        else if (is_request(r, "DESCRIBE")) tell(d, described("", SDP_ALL), T0);
        else tell(d, answer("Session: 4711;timeout=60\r\n"), T0);
    }
    CHECK(d->state == DIALOG_PLAYING && !d->out_n);
}

/* Lets time pass; returns the requests of signs of life up to then, their answers given by the caller meanwhile. */
static int64_t until_asked(struct dialog *d, int64_t now, int64_t end) {
    while (now < end && !d->out_n) {
        int64_t next = dialog_tick(d, now);
        if (d->out_n) break;
        if (!CHECK(next > now)) break;
        now = base_min(next, end);
    }
    return now;
}

/* A sign of life that a camera counts reaches it within its timeout, whatever it thinks of GET_PARAMETER. */
static void dialog_keeps_alive(void) {
    static const struct {
        const char *what, *answer;
    } cases[] = {{"it is refused with 454", "RTSP/1.0 454 Session Not Found\r\nCSeq: 6\r\n\r\n"},
                 {"it is refused with 400 and a wrong CSeq", "RTSP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n"},
                 {"it is refused with 501", "RTSP/1.0 501 Not Implemented\r\n\r\n"},
                 {"it is never answered", NULL}};
    static struct dialog d;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int seconds = 15; seconds <= 60; seconds += 45) {
            char setup[64];
            run_up(&d, "rtsp://cam.test/live", NULL);
            d.alive = seconds * BASE_S / 2;
            d.next_alive = T0 + d.alive;
            snprintf(setup, sizeof setup, "%d s", seconds);
            int64_t now = until_asked(&d, T0, T0 + 600 * BASE_S), counted = T0, worst = 0;
            bool options = false;
            for (int k = 0; k < 20; k++) {
                const char *r = asked(&d);
                CHECK_AS(has(r, "Session: 4711"), cases[i].what);
                if (is_request(r, "OPTIONS")) {
                    options = true;
                    worst = base_max(worst, now - counted);
                    counted = now;
                    tell(&d, HEAD "\r\n", now + BASE_MS);
                } else if (cases[i].answer) tell(&d, cases[i].answer, now + BASE_MS);
                now = until_asked(&d, now + BASE_MS, now + 600 * BASE_S);
            }
            CHECK_AS(options && d.state == DIALOG_PLAYING, cases[i].what);
            if (!CHECK_AS(worst < seconds * BASE_S, cases[i].what))
                printf("  timeout %s, first counted sign of life after %lld ms\n", setup, (long long)(worst / BASE_MS));
        }
    run_up(&d, "rtsp://cam.test/live", NULL); /* answered: it goes on for ever, twice in each timeout */
    int64_t now = T0;
    for (int k = 0; k < 20; k++) {
        int64_t at = until_asked(&d, now + BASE_MS, now + 600 * BASE_S);
        CHECK(is_request(asked(&d), "GET_PARAMETER") && at - now <= 31 * BASE_S && at - now >= 10 * BASE_S);
        tell(&d, HEAD "Session: 4711\r\n\r\n", now = at);
    }
}

/* While the picture runs, no answer to a sign of life ends it. */
static void dialog_keeps_playing(void) {
    static const char *const answers[] = {
        "RTSP/1.0 401 Unauthorized\r\n\r\n",
        "RTSP/1.0 401 Unauthorized\r\n" W "Bearer x=\"y\"\r\n\r\n",
        "RTSP/1.0 401 Unauthorized\r\n" W "Digest realm=\"r\", nonce=\"2\", algorithm=SHA-512-256\r\n\r\n",
        DIGEST_401,
        "RTSP/1.0 302 Moved\r\nLocation: rtsp://192.0.2.66/\r\n\r\n",
        "RTSP/1.0 404 Not Found\r\n\r\n",
        "RTSP/1.0 454 Session Not Found\r\n\r\n",
        "RTSP/1.0 461 Unsupported\r\n\r\n",
        "RTSP/1.0 500 Oops\r\nContent-Length: 2\r\n\r\nno",
        "RTSP/1.0 503 Unavailable\r\n\r\n",
        "RTSP/1.0 200 OK\r\nContent-Length: 70000\r\n\r\n",
    };
    static struct dialog d;
    for (int named = 0; named < 2; named++)
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
            run_up(&d, named ? "rtsp://ann:pw@cam.test/live" : "rtsp://cam.test/live", named ? DIGEST_401 : NULL);
            int64_t now = T0;
            for (int k = 0; k < 6; k++) {
                now = until_asked(&d, now, now + 100 * BASE_S);
                asked(&d);
                tell(&d, answers[i], now);
                if (d.out_n) asked(&d), tell(&d, answers[i], now); /* it was repeated with the password: again */
                CHECK_AS(!d.out_n, answers[i]);
                now += BASE_MS;
            }
            if (!CHECK_AS(d.state == DIALOG_PLAYING, answers[i])) printf("  %s\n", d.why);
        }
}

static void dialog_new_nonce(void) {
    static struct dialog d;
    run_up(&d, "rtsp://ann:pw@cam.test/live", DIGEST_401);
    int64_t now = until_asked(&d, T0, T0 + 100 * BASE_S);
    CHECK(has(asked(&d), "nonce=\"5f2a\""));
    tell(&d, "RTSP/1.0 401 Unauthorized\r\n" W "Digest realm=\"cam\", nonce=\"second\", stale=true\r\n\r\n", now);
    const char *r = asked(&d);
    CHECK(is_request(r, "GET_PARAMETER") && has(r, "nonce=\"second\""));
    tell(&d, HEAD "\r\n", now);
    now = until_asked(&d, now, now + 100 * BASE_S);
    CHECK(has(asked(&d), "nonce=\"second\"") && d.state == DIALOG_PLAYING);
    dialog_teardown(&d, now);
    r = asked(&d);
    CHECK(is_request(r, "TEARDOWN") && has(r, "nonce=\"second\"") && has(r, "Session: 4711"));
    /* stale: the password was right, only the nonce was too old (RFC 7616 3.3); but not without end */
    start(&d, "rtsp://ann:pw@cam.test/live");
    asked(&d);
    tell(&d, DIGEST_401, T0);
    asked(&d);
    tell(&d, "RTSP/1.0 401 Unauthorized\r\n" W "Digest realm=\"cam\", nonce=\"n2\", stale=TRUE\r\n\r\n", T0);
    CHECK(d.state == DIALOG_OPTIONS && has(asked(&d), "nonce=\"n2\""));
    for (int i = 0; i < 100 && d.state != DIALOG_FAILED; i++) {
        tell(&d, "RTSP/1.0 401 Unauthorized\r\n" W "Digest realm=\"cam\", nonce=\"n3\", stale=TRUE\r\n\r\n", T0);
        d.out_n = 0;
    }
    CHECK(d.state == DIALOG_FAILED);
}

static void dialog_passwords(void) {
    static struct dialog d;
    for (int state = 0; state < 4; state++) { /* 401 for ever, first asked for at each request */
        start(&d, "rtsp://ann:wr0ng@cam.test/live");
        int asks = 0;
        for (int i = 0; i < 50 && d.state != DIALOG_FAILED; i++) {
            const char *r = asked(&d);
            int at = is_request(r, "OPTIONS") ? 0 : is_request(r, "DESCRIBE") ? 1 : is_request(r, "SETUP") ? 2 : 3;
            CHECK(!has(r, "wr0ng"));
            if (at >= state) asks++, tell(&d, DIGEST_401, T0);
            else tell(&d, at == 1 ? described("", SDP_ALL) : answer("Session: 1\r\n"), T0);
        }
        CHECK(d.state == DIALOG_FAILED && d.forbidden && asks == 2 && has(d.why, "password"));
        CHECK(!has(d.why, "wr0ng") && !has(d.why, "ann"));
    }
    start(&d, "rtsp://cam.test/live");
    tell(&d, DIGEST_401, T0);
    CHECK(d.state == DIALOG_FAILED && d.forbidden && has(d.why, "asks for a name and password"));
    start(&d, "rtsp://ann:pw@cam.test/live");
    tell(&d, "RTSP/1.0 401 Unauthorized\r\n" W "Negotiate abc\r\n\r\n", T0);
    CHECK(d.state == DIALOG_FAILED && has(d.why, "not understood"));
    start(&d, "rtsp://:@cam.test/live"); /* some cameras have an empty name: it was given on purpose */
    tell(&d, DIGEST_401, T0);
    (void)asked(&d);
}

/* What a camera puts into realm, nonce, session, control, base, CSeq, Location comes back in our requests: asked()
 * looks at each of them. */
static void dialog_injection(void) {
    static const char *const bad[] = {"x\ry", "x\r\r\nA: b", "x\x01y", "x\x1b[2Jy", "x\ty", "x\"y",
                                      "x\\",  "x y",         "x\x7fy", "\xff\xfe",  "x\0y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int where = 0; where < 10; where++) {
            static struct dialog d;
            char text[10][1024];
            const char *b = bad[i];
            for (int k = 0; k < 10; k++) {
                const char *put = k == where ? b : "x";
                static const char *const forms[] = {W "Digest realm=\"%s\", nonce=\"n\"\r\n",
                                                    W "Digest realm=\"r\", nonce=\"%s\"\r\n",
                                                    W "Digest realm=\"r\", nonce=\"n\", opaque=\"%s\"\r\n",
                                                    W "Digest realm=\"r\", nonce=\"n\", algorithm=%s\r\n" W
                                                      "Digest realm=\"r\", nonce=\"n\"\r\n",
                                                    "Content-Base: rtsp://h/%s/\r\n",
                                                    "a=control:%s\r\n",
                                                    "a=control:rtsp://h/%s\r\n",
                                                    "Session: %s;timeout=60\r\n",
                                                    "OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: %s\r\n\r\n",
                                                    "a=rtpmap:96 %s/90000\r\n"};
                snprintf(text[k], sizeof text[k], forms[k], put);
            }
            char sdp[4096];
            const char *control = where == 5 ? text[5] : where == 6 ? text[6] : "a=control:t\r\n";
            snprintf(sdp, sizeof sdp, SDP_HEAD "%sm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n%s%s", control,
                     control, where == 9 ? text[9] : "");
            start(&d, "rtsp://ann:pw@h/");
            for (int k = 0; k < 14 && d.state < DIALOG_PLAYING; k++) {
                const char *r = asked(&d);
                if (where == 8 && k < 3) told(&d, text[8], strlen(text[8]), T0);
                if (where < 4 && !has(r, "Authorization:")) {
                    char challenge[1200];
                    snprintf(challenge, sizeof challenge, "RTSP/1.0 401 No\r\n%s\r\n", text[where]);
                    told(&d, challenge, strlen(challenge), T0);
                } else if (is_request(r, "DESCRIBE")) {
                    const char *a = described(where == 4 ? text[4] : "", sdp);
                    told(&d, a, strlen(a), T0);
                } else {
                    const char *a = answer(where == 7 ? text[7] : "Session: 1\r\n");
                    told(&d, a, strlen(a), T0);
                }
                if (!r[0]) break;
            }
            dialog_teardown(&d, T0);
            asked(&d);
            for (const char *p = d.why; *p; p++) /* it stands in logs */
                if (!CHECK_AS((uint8_t)*p >= 0x20 && (uint8_t)*p < 0x7f, "control bytes in a reason")) break;
        }
}

/* All that came of bytes from a camera, as text: it must be the same however they are cut. */
struct trace {
    char text[32768];
    size_t n;
};

static void trace_add(struct trace *t, const char *what, const void *p, size_t n) {
    struct wr w = bytes_wr(t->text + t->n, sizeof t->text - t->n - 1);
    text_putf(&w, "%s %zu %08x\n", what, n, bytes_crc32(base_span(p, n)));
    t->n += w.n;
    t->text[t->n] = 0;
}

/* In two pieces cut at first, or in pieces of step bytes. What was asked is in the trace: a step later is fine. */
static void trace_bytes(struct trace *t, struct span s, size_t first, size_t step) {
    static struct dialog d;
    static const char *const names[] = {"more", "step", "video", "audio", "control", "sets"};
    size_t begin = 0;
    t->n = 0;
    t->text[0] = 0;
    start(&d, "rtsp://ann:pw@cam.test/live");
    d.out_n = 0; /* the first request */
    for (size_t end = step ? 0 : first;; end = step && end + step < s.n ? end + step : s.n) {
        struct span all = exact(s.p + begin, end - begin), rest = all;
        for (;;) {
            size_t used;
            struct span payload = {NULL, 0};
            enum dialog_event e = dialog_input(&d, rest, T0, &used, &payload);
            CHECK(used <= rest.n && (e == DIALOG_MORE) == (used == 0));
            if (d.out_n) trace_add(t, "ask", d.out, d.out_n), d.out_n = 0;
            if (e == DIALOG_MORE || !used) break;
            if (e > DIALOG_STEP) trace_add(t, names[e], payload.p, payload.n);
            rest = base_span(rest.p + used, rest.n - used);
        }
        begin = end - rest.n;
        gone(all);
        if (end == s.n) break;
    }
    trace_add(t, d.why, &d.state, sizeof d.state);
    if (begin == s.n) trace_add(t, "all", NULL, 0);
}

static void check_splits(const char *what, struct span s) {
    static struct trace whole, split;
    trace_bytes(&whole, s, s.n, 0);
    for (size_t i = 0; i < s.n; i++) {
        trace_bytes(&split, s, i, 0);
        if (CHECK_AS(!strcmp(whole.text, split.text), what)) continue;
        printf("  cut at %zu of %zu\n%s---\n%s", i, s.n, whole.text, split.text);
        return;
    }
    for (size_t step = 1; step < 6; step++) {
        trace_bytes(&split, s, 0, step);
        if (!CHECK_AS(!strcmp(whole.text, split.text), what)) printf("  in pieces of %zu\n", step);
    }
}

/* What a camera says in one conversation, in one piece: it comes to the same however TCP cuts it. */
static struct span conversation(uint8_t *to, size_t cap, const char *between, size_t between_n) {
    struct wr w = bytes_wr(to, cap);
    text_put(&w, HEAD "Public: OPTIONS\r\n\r\n");
    text_put(&w, DIGEST_401);
    bytes_put(&w, between, between_n);
    text_put(&w, described("Content-Base: rtsp://cam.test/live/\r\n", SDP_ALL));
    bytes_put(&w, between, between_n);
    text_put(&w, answer(TCP "0-1\r\nSession: 4711;timeout=60\r\n"));
    text_put(&w, HEAD "\r\n");
    for (int i = 0; i < 4; i++) {
        uint8_t frame[] = {'$', (uint8_t)i, 0, 6, 0x80, 96, '\r', '\n', '$', 'R'};
        bytes_put(&w, frame, sizeof frame);
        bytes_put(&w, between, between_n);
    }
    text_put(&w, HEAD "Session: 4711\r\n\r\n");
    CHECK(!w.bad);
    return bytes_written(&w);
}

static void dialog_any_cut(void) {
    static const struct {
        const char *what, *between;
        size_t n;
    } cases[] = {{"nothing between", "", 0},
                 {"frames of unknown channels", "$\x07\0\3abc$\xff\0\0", 11},
                 {"empty lines", "\r\n\r\n", 4},
                 {"a request", "OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 77\r\n\r\n", 41},
                 {"a request behind an empty line", "\r\nOPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 77\r\n\r\n", 43},
                 {"rubbish", "\x01\x02 abc RTS RTSP XYZ\r\n", 21},
                 {"rubbish in capitals", "\0QUARK Q\0ABRR", 13}};
    uint8_t text[8192];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_splits(cases[i].what, conversation(text, sizeof text, cases[i].between, cases[i].n));
}

/* After stray bytes the conversation goes on with the next thing that can be understood. */
static void dialog_finds_its_place(void) {
    static const struct {
        const char *what, *stray;
        size_t n;
    } cases[] = {{"frames of another session", "$\x04\0\5abcde$\x09\0\1x", 14},
                 {"the end of a frame", "\x80\x60\x12\x34....................", 24},
                 {"its end in capitals", "ZYXWVUTSRQPONMLKJIHGFEDCBA", 26},
                 {"RT", "RTRTRT", 6},
                 {"empty lines", "\r\n\r\n\r\n", 6}};
    static struct dialog d;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_up(&d, "rtsp://cam.test/live", NULL);
        uint8_t text[256];
        struct wr w = bytes_wr(text, sizeof text);
        bytes_put(&w, cases[i].stray, cases[i].n);
        bytes_put(&w, "$\0\0\4good$\0\0\4fine", 16);
        struct span rest = exact(text, w.n), block = rest;
        int video = 0;
        for (size_t used = 1; used; rest = base_span(rest.p + used, rest.n - used)) {
            struct span payload = {NULL, 0};
            enum dialog_event e = dialog_input(&d, rest, T0, &used, &payload);
            if (e == DIALOG_VIDEO)
                CHECK_AS(payload.n == 4 && !memcmp(payload.p, video ? "fine" : "good", 4), cases[i].what);
            video += e == DIALOG_VIDEO;
        }
        CHECK_AS(video == 2 && rest.n == 0 && d.state == DIALOG_PLAYING, cases[i].what);
        CHECK_AS(!d.out_n, cases[i].what); /* rubbish is no request and gets no answer */
        gone(block);
    }
}

/* Some cameras send the first picture ahead of the answer to PLAY. */
static void dialog_early_pictures(void) {
    static struct dialog d;
    start(&d, "rtsp://cam.test/live");
    tell(&d, HEAD "\r\n", T0);
    tell(&d, described("", SDP_ALL), T0);
    tell(&d, answer(TCP "0-1\r\nSession: 1\r\n"), T0);
    CHECK(d.state == DIALOG_PLAY);
    const char *bytes = "$\0\0\4IDR!" HEAD "\r\n$\0\0\4next";
    struct span rest = base_span(bytes, 8 + strlen(HEAD) + 2 + 8);
    int video = 0;
    for (size_t used = 1; used; rest = base_span(rest.p + used, rest.n - used)) {
        struct span payload;
        video += dialog_input(&d, rest, T0, &used, &payload) == DIALOG_VIDEO;
    }
    CHECK(video == 2 && d.state == DIALOG_PLAYING);
}

static void dialog_other_protocols(void) {
    static const char *const texts[] = {
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n", "220 mail ESMTP\r\n\r\n", "<html>Hello</html>\r\n\r\n"};
    static struct dialog d;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        start(&d, "rtsp://cam.test/live");
        asked(&d);
        told(&d, texts[i], strlen(texts[i]), T0);
        CHECK_AS(!has(asked(&d), "200 OK"), texts[i]); /* that was no request */
        for (int64_t now = T0; d.state != DIALOG_FAILED && now < T0 + 60 * BASE_S; now += BASE_S) dialog_tick(&d, now);
        CHECK_AS(d.state == DIALOG_FAILED, texts[i]);
    }
}

static void dialog_requests_of_the_camera(void) {
    static struct dialog d;
    run_up(&d, "rtsp://cam.test/live", NULL);
    tell(&d, "OPTIONS rtsp://cam.test/ RTSP/1.0\r\nCSeq: 33\r\n\r\n", T0);
    const char *r = asked(&d);
    CHECK(has(r, "RTSP/1.0 200") && has(r, "CSeq: 33\r\n"));
    for (int i = 0; i < DIALOG_CHATTER - 1; i++) tell(&d, "OPTIONS rtsp://cam.test/ RTSP/1.0\r\nCSeq: 33\r\n\r\n", T0);
    CHECK(d.out_n <= sizeof d.out && d.state == DIALOG_PLAYING);
    int64_t now = T0; /* there is no room for a sign of life: that alone is no reason to end it */
    for (int i = 0; i < 10; i++) now = base_max(now + BASE_MS, base_min(dialog_tick(&d, now), now + BASE_S));
    asked(&d);
    CHECK(d.state == DIALOG_PLAYING || has(d.why, "camera"));
    run_up(&d, "rtsp://cam.test/live", NULL);
    tell(&d, "ANNOUNCE rtsp://cam.test/ RTSP/1.0\r\nCSeq: 5\r\nContent-Length: 4\r\n\r\nv=0\n", T0);
    CHECK(has(asked(&d), "CSeq: 5\r\n"));
    for (int i = 0; i <= DIALOG_CHATTER; i++) tell(&d, "OPTIONS rtsp://cam.test/ RTSP/1.0\r\nCSeq: 33\r\n\r\n", T0);
    CHECK(d.state == DIALOG_FAILED && has(d.why, "messages without end"));
}

/* What is no RTSP: borne in small amounts, and told in words. */
static void dialog_noise(void) {
    static struct dialog d;
    static char noise[1024], frame[8] = {'$', 0, 0, 4};
    memset(noise, 'x', sizeof noise - 1);
    run_up(&d, "rtsp://cam.test/live", NULL);
    for (int i = 0; i < 1000; i++) { /* between frames it may be any amount */
        tell(&d, noise, T0);
        told(&d, frame, sizeof frame, T0);
    }
    CHECK(d.state == DIALOG_PLAYING);
    for (int i = 0; i < DIALOG_NOISE / 1023 + 1; i++) tell(&d, noise, T0);
    CHECK(d.state == DIALOG_FAILED && has(d.why, "no RTSP"));
    start(&d, "rtsp://cam.test/live");
    tell(&d, "what?\r\n\r\n", T0);
    CHECK(dialog_tick(&d, T0 + 10 * BASE_S) == BASE_NEVER && has(d.why, "can be read"));
}

static void dialog_silence(void) {
    for (int state = 0; state < 4; state++) {
        static struct dialog d;
        start(&d, "rtsp://cam.test/live");
        for (int i = 0; i < state; i++) tell(&d, i == 1 ? described("", SDP_ALL) : answer("Session: 1\r\n"), T0);
        int64_t now = T0, next = dialog_tick(&d, now);
        CHECK(next > now && next <= now + 10 * BASE_S);
        dialog_tick(&d, next - 1);
        CHECK(d.state != DIALOG_FAILED);
        tell(&d, "RTSP/1.0 100 Continue\r\n\r\n", next - 1); /* that is no answer */
        CHECK(dialog_tick(&d, next) == BASE_NEVER && d.state == DIALOG_FAILED && has(d.why, "does not answer"));
    }
}

static void dialog_random(void) {
    static struct dialog d;
    uint8_t text[8192];
    rnd_seed(13);
    for (int round = 0; round < 3000; round++) {
        struct span all = conversation(text, sizeof text, "", 0), s = rnd(4) ? mutated(all) : exact(text, rnd(400));
        if (!rnd(4)) rnd_fill((void *)(uintptr_t)s.p, s.n);
        start(&d, "rtsp://ann:pw@cam.test/live");
        for (size_t used = 1, at = 0; used; at += used) {
            struct span payload = {NULL, 0};
            dialog_input(&d, base_span(s.p + at, s.n - at), T0, &used, &payload);
            CHECK(d.out_n <= sizeof d.out && d.sets_n <= sizeof d.sets && payload.n <= 65535);
            if (d.out_n) asked(&d);
        }
        int64_t now = T0;
        for (int i = 0; i < 5 && now < BASE_NEVER; i++) {
            int64_t next = dialog_tick(&d, now);
            CHECK(next > now);
            now = next;
            asked(&d);
        }
        gone(s);
    }
}

/* ==== depay ==== */

enum { WIRE_MAX = 20000, WIRE_UNITS = 4000 };

/* A stream as packets, and what they were made of. */
struct wire {
    struct wire_packet {
        struct span p; /* a block of its own */
        int unit;
        bool slice; /* it carries one, or a part of one */
    } packet[WIRE_MAX];
    int packets, units;
    struct span nal[WIRE_MAX];                           /* of all access units, one after the other */
    int nal_unit[WIRE_MAX], nals, first[WIRE_UNITS + 1]; /* first: NAL unit of each */
};
static struct wire wire;

enum { WIRE_AGGREGATE = 1, WIRE_ANNEX_B = 2, WIRE_NO_MARKER = 4, WIRE_ALL_MARKERS = 8, WIRE_SAME_TIME = 16 };

static void wire_reset(struct wire *w) {
    for (int i = 0; i < w->packets; i++) gone(w->packet[i].p);
    w->packets = w->units = w->nals = 0;
}

static void wire_put(struct wire *w, struct span payload, bool last, bool slice_ends, uint16_t seq, unsigned how) {
    uint8_t packet[4 + RTP_HEADER + RTP_PAYLOAD + 8];
    struct wr out = bytes_wr(packet, sizeof packet);
    struct rtp_packet h = {.pt = 96, .seq = seq, .ssrc = 7};
    h.marker = !(how & WIRE_NO_MARKER) && (last || (how & WIRE_ALL_MARKERS && slice_ends));
    h.timestamp = how & WIRE_SAME_TIME ? 5 : 0xffffff00u + 3000u * (unsigned)w->units;
    rtp_put(&out, &h, payload);
    if (out.bad || w->packets == WIRE_MAX) return;
    unsigned type = payload.n ? payload.p[0] & 31 : 0;
    w->packet[w->packets++] =
        (struct wire_packet){exact(packet, out.n), w->units, type == 1 || type == 5 || type == RTP_FU_A};
}

/* One access unit as packets. */
static void wire_unit(struct wire *w, const struct span *nal, int n, unsigned how) {
    uint8_t payload[RTP_PAYLOAD + 8];
    uint16_t seq = (uint16_t)(65500 + w->packets); /* it wraps soon */
    for (int i = 0; i < n;) {
        struct wr out = bytes_wr(payload, RTP_PAYLOAD);
        int taken = 0;
        if (w->nals + n >= WIRE_MAX) return;
        while (how & WIRE_AGGREGATE && i + taken < n && rtp_aggregate(&out, nal[i + taken])) taken++;
        if (taken > 1) {
            i += taken;
            wire_put(w, bytes_written(&out), i == n, true, seq++, how);
            continue;
        }
        if (how & WIRE_ANNEX_B && nal[i].n + 4 <= RTP_PAYLOAD) {
            out = bytes_wr(payload, RTP_PAYLOAD);
            bytes_put(&out, i % 2 ? "\0\0\1" : "\0\0\0\1", i % 2 ? 3 : 4);
            bytes_put(&out, nal[i].p, nal[i].n);
            wire_put(w, bytes_written(&out), i == n - 1, true, seq++, how);
            i++;
            continue;
        }
        for (size_t at = 0; out = bytes_wr(payload, RTP_PAYLOAD), rtp_fragment(nal[i], &at, &out);)
            wire_put(w, bytes_written(&out), i == n - 1 && at == nal[i].n, at == nal[i].n, seq++, how);
        i++;
    }
    w->first[w->units] = w->nals;
    for (int i = 0; i < n; i++) {
        w->nal[w->nals] = nal[i];
        w->nal_unit[w->nals++] = w->units;
    }
    w->units++;
}

/* What came out: for each access unit whether it came (1), came whole in its slices only (2), and what else (strange). */
struct caught {
    uint8_t came[WIRE_UNITS];
    int units, strange, last;
};

static bool wire_slice(struct span nal) { return h264_type(nal) == 1 || h264_type(nal) == 5; }

/* Which access unit is it? The one whose slices are the same, in order, if any; -1: none. */
static int wire_match(const struct wire *w, struct span unit, int from, bool *whole) {
    struct span got[256];
    int n = 0;
    for (struct span nal; n < 256 && (nal = h264_next(&unit)).n; n++) got[n] = nal;
    for (int u = from; u < w->units; u++) {
        int i = w->first[u], k = 0, slices = 0, missing = 0, all = 0;
        for (int j = i; j < w->nals && w->nal_unit[j] == u; j++, all++) {
            if (k < n && text_same(got[k], w->nal[j])) k++, slices += wire_slice(w->nal[j]);
            else missing += wire_slice(w->nal[j]);
        }
        *whole = k == all;
        if (n && k == n && !missing && (slices || *whole)) return u;
    }
    return -1;
}

static void catch_unit(struct depay *d, const struct wire *w, struct caught *c) {
    struct span unit;
    bool whole;
    if (!depay_end(d, &unit)) return;
    struct span copy = exact(unit.p, unit.n);
    int u = wire_match(w, copy, c->last, &whole);
    if (u < 0) u = wire_match(w, copy, 0, &whole);
    if (u < 0) c->strange++;
    else c->came[u] = whole ? 1 : 2, c->last = u;
    c->units++;
    gone(copy);
}

static void catch_packet(struct depay *d, const struct wire *w, struct span packet, struct caught *c) {
    struct rtp_in p;
    if (!CHECK(rtp_read(packet, &p))) return;
    if (depay_over(d, &p)) catch_unit(d, w, c);
    if (depay_input(d, &p)) catch_unit(d, w, c);
}

static uint8_t depay_room[BASE_AU];

/* All packets, without those from skip on, count of them; one comes twice, one changes places with the next one. */
static struct caught *catch_all(const struct wire *w, int skip, int count, int twice, int swap) {
    static struct caught c;
    struct depay d;
    memset(&c, 0, sizeof c);
    depay_start(&d, depay_room, sizeof depay_room);
    for (int i = 0; i < w->packets; i++) {
        int k = i == swap && i + 1 < w->packets ? i + 1 : i == swap + 1 && swap >= 0 ? swap : i;
        if (k >= skip && k < skip + count) continue;
        catch_packet(&d, w, w->packet[k].p, &c);
        if (k == twice) catch_packet(&d, w, w->packet[k].p, &c);
    }
    if (d.open) catch_unit(&d, w, &c);
    return &c;
}

static int lost_units(const struct wire *w, const struct caught *c) {
    int n = 0;
    for (int i = 0; i < w->units; i++) n += c->came[i] != 1;
    return n;
}

/* A byte stream as packets: as many pictures as fit. NAL units that RTP has no way for are left out. */
static void wire_stream(struct wire *w, struct span stream, unsigned how, int most) {
    static struct h264_sets sets;
    struct h264_border border = {0};
    struct span nal[256];
    int n = 0;
    memset(&sets, 0, sizeof sets);
    wire_reset(w);
    for (struct span one; (one = h264_next(&stream)).n && w->units < most;) {
        if (h264_type(one) >= 24 || !h264_type(one)) continue;
        if (h264_type(one) == H264_SPS || h264_type(one) == H264_PPS) h264_store(&sets, one);
        if ((h264_begins(&border, &sets, one) || n == 250) && n) wire_unit(w, nal, n, how), n = 0;
        nal[n++] = one;
    }
    if (n && w->units < most) wire_unit(w, nal, n, how);
}

/* The built-in picture: small and large access units. To be freed. */
static struct span pattern_stream(int pictures) {
    static struct pattern p;
    const char *why = NULL;
    CHECK(!pattern_spec("320x192@25,gop=10", &p, &why));
    uint8_t *cells = malloc(pattern_cells(&p)), *out = malloc(1 << 20);
    if (!cells || !out) abort();
    pattern_start(&p, cells);
    struct wr w = bytes_wr(out, 1 << 20);
    for (int i = 0; i < pictures; i++) CHECK(pattern_frame(&p, false, (uint32_t)i * 40, (uint32_t)i * 40, &w));
    struct span s = exact(out, w.n);
    free(out);
    free(cells);
    return s;
}

/* Slices that nobody decodes: sizes[] of each, per picture; the first of a picture begins at macroblock 0. */
static void wire_slices(struct wire *w, const int *sizes, int slices, int pictures, unsigned how, bool sets,
                        uint8_t *room) {
    wire_reset(w);
    for (int u = 0; u < pictures; u++) {
        struct span nal[16];
        int n = 0;
        if (sets && u % 5 == 0) {
            nal[n++] = base_span((const uint8_t *)"\x67\x42\xc0\x1f\x11", 5);
            nal[n++] = base_span((const uint8_t *)"\x68\xce\x3c\x80", 4);
        }
        for (int i = 0; i < slices; i++) {
            uint8_t *p = room;
            for (int k = 0; k < sizes[i]; k++) p[k] = (uint8_t)(1 + rnd(255));
            p[0] = u % 5 ? 0x41 : 0x65;
            p[1] = i ? 0x55 : 0xd5;
            nal[n++] = base_span(p, (size_t)sizes[i]);
            room += sizes[i];
        }
        wire_unit(w, nal, n, how);
    }
}

static void check_round_trip(const char *what, struct span stream) {
    for (unsigned how = 0; how < 4; how++) {
        if (how == (WIRE_AGGREGATE | WIRE_ANNEX_B)) continue;
        for (unsigned marks = 0; marks <= WIRE_NO_MARKER; marks += WIRE_NO_MARKER) {
            wire_stream(&wire, stream, how | marks, WIRE_UNITS);
            struct caught *c = catch_all(&wire, -1, 0, -1, -1);
            int lost = lost_units(&wire, c), allowed = 0;
            if (how & WIRE_ANNEX_B) allowed = 1; /* the first one, which is not seen to be a beginning */
            if (wire.packets == WIRE_MAX) allowed++;
            for (int u = 0; u < wire.units;
                 u++) { /* three pictures that look like one are taken for a clock that stands */
                int firsts = 0;
                for (int i = wire.first[u]; i < wire.nals && wire.nal_unit[i] == u; i++)
                    firsts += wire_slice(wire.nal[i]) && wire.nal[i].n > 1 && wire.nal[i].p[1] & 0x80;
                allowed += firsts > 2;
            }
            if (wire.units && wire.nals && wire.nal_unit[0] == 0 && h264_type(wire.nal[0]) != 7 &&
                h264_type(wire.nal[0]) != 9)
                allowed = 1;
            if (!CHECK_AS(lost <= allowed && c->strange <= allowed, what))
                printf("  way %u: %d of %d lost, %d strange\n", how | marks, lost, wire.units, c->strange);
        }
    }
}

static void depay_round_trip(void) {
    struct span s = pattern_stream(60);
    check_round_trip("pattern", s);
    CHECK(wire.units == 60);
    gone(s);
}

static void depay_round_trip_of_files(void) {
    SKIP_UNLESS(vec_next("stream", NULL), NO_RTSP);
    for (struct vec *v = NULL; (v = vec_next("stream", v));) {
        size_t n;
        uint8_t *p = file_read(vec_text(v->f[1]), &n);
        size_t most = 150000; /* enough, and quick */
        if (!CHECK_AS(p != NULL, vec_text(v->f[0]))) continue;
        check_round_trip(vec_text(v->f[0]), base_span(p, n < most ? n : most));
        free(p);
    }
}

/* Each packet lost by itself: its access unit is gone, or whole in its slices (a delimiter or SEI was lost); every other
 * one is there. */
static void check_losses(const char *what, int count) {
    for (int i = 1; i + count < wire.packets; i++) {
        struct caught *c = catch_all(&wire, i, count, -1, -1);
        bool bad = c->strange > 0;
        int first = wire.packet[i].unit, last = wire.packet[i + count - 1].unit;
        for (int u = 0; u < wire.units; u++) {
            bool hit = u >= first && u <= last, slice = false;
            for (int k = i; k < i + count; k++) slice = slice || (wire.packet[k].unit == u && wire.packet[k].slice);
            bad = bad || (hit ? slice && c->came[u] : c->came[u] != 1);
        }
        if (CHECK_AS(!bad, what)) continue;
        printf("  without packet %d of unit %d: %d strange, %d lost\n", i, first, c->strange, lost_units(&wire, c));
        return;
    }
}

static void depay_losses(void) {
    static uint8_t room[400000];
    static const int small[] = {60, 61, 62}, mixed[] = {40, 3000, 50, 2600}, one[] = {30}, large[] = {9000};
    rnd_seed(20);
    for (int count = 1; count < 4; count++) {
        wire_slices(&wire, small, 3, 12, 0, true, room);
        check_losses("three small slices", count);
        wire_slices(&wire, mixed, 4, 12, 0, true, room);
        check_losses("small and large slices", count);
        wire_slices(&wire, one, 1, 20, 0, false, room);
        check_losses("one packet each", count);
        wire_slices(&wire, large, 1, 10, 0, false, room);
        check_losses("one large slice", count);
        wire_slices(&wire, small, 3, 12, WIRE_AGGREGATE, true, room);
        check_losses("slices in one STAP-A", count);
    }
    struct span s = pattern_stream(25);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    check_losses("pattern", 1);
    gone(s);
}

/* Without markers a loss between two access units may cost both, and never brings half of one. */
static void depay_losses_without_markers(void) {
    static uint8_t room[400000];
    static const int small[] = {60, 61, 62}, large[] = {3000, 2600};
    rnd_seed(21);
    for (int round = 0; round < 4; round++) {
        unsigned how = round & 1 ? WIRE_ALL_MARKERS : WIRE_NO_MARKER;
        wire_slices(&wire, round & 2 ? large : small, round & 2 ? 2 : 3, 20, how, true, room);
        int start = 0; /* behind the first lies: they teach */
        while (wire.packet[start].unit < 6) start++;
        for (int i = start; i + 1 < wire.packets; i++) {
            struct caught *c = catch_all(&wire, i, 1, -1, -1);
            int lost = 0, half = 0;
            for (int u = 6; u < wire.units; u++) lost += !c->came[u];
            for (int u = 6; u < wire.units; u++) half += u == wire.packet[i].unit && wire.packet[i].slice && c->came[u];
            if (!CHECK_AS(lost <= 2 && !half && !(how & WIRE_NO_MARKER && c->strange),
                          how & WIRE_NO_MARKER ? "no markers" : "markers everywhere")) {
                printf("  without packet %d: %d lost, %d half\n", i, lost, half);
                break;
            }
        }
    }
}

static void depay_order(void) {
    static uint8_t room[400000];
    static const int sizes[] = {60, 3000, 62};
    rnd_seed(22);
    wire_slices(&wire, sizes, 3, 30, 0, true, room);
    for (int i = 1; i + 2 < wire.packets; i++) { /* in order over TCP; by UDP two may change places */
        struct caught *c = catch_all(&wire, -1, 0, -1, i);
        CHECK(!c->strange && lost_units(&wire, c) <= 2);
        for (int u = 0; u < wire.units; u++)
            CHECK(c->came[u] == 1 || u == wire.packet[i].unit || u == wire.packet[i + 1].unit);
        c = catch_all(&wire, -1, 0, i, -1); /* and one may come twice */
        if (!CHECK(!c->strange && !lost_units(&wire, c))) break;
    }
}

static void depay_markers_lie(void) {
    static uint8_t room[800000];
    static const int sizes[] = {60, 2000, 62};
    rnd_seed(23);
    wire_slices(&wire, sizes, 3, 60, WIRE_ALL_MARKERS, true, room);
    struct caught *c = catch_all(&wire, -1, 0, -1, -1);
    for (int u = 5; u < wire.units; u++) CHECK(c->came[u] == 1);
    wire_slices(&wire, sizes, 3, 60, WIRE_NO_MARKER, true, room);
    c = catch_all(&wire, -1, 0, -1, -1);
    CHECK(!lost_units(&wire, c) && !c->strange);
    /* parameter sets with markers of their own are no lie */
    static const int one[] = {60};
    wire_slices(&wire, one, 1, 60, WIRE_ALL_MARKERS, true, room);
    c = catch_all(&wire, -1, 0, -1, -1);
    for (int u = 0; u < wire.units; u++) CHECK(u % 5 == 0 || c->came[u] == 1);
}

/* Timestamps that stand still: the markers are what there is, and pictures go on coming. */
static void depay_same_timestamp(void) {
    static uint8_t room[800000];
    static const int sizes[] = {60, 62};
    rnd_seed(24);
    wire_slices(&wire, sizes, 2, 400, WIRE_SAME_TIME, false, room);
    struct caught *c = catch_all(&wire, -1, 0, -1, -1);
    int last = 0;
    for (int u = 0; u < wire.units; u++) last += u >= 100 && c->came[u] == 1;
    if (!CHECK(last >= 290)) printf("  %d of the last 300\n", last);
}

/* A stream that begins anew (the camera restarted its encoder): the first new access unit is not lost with the old one. */
static void depay_restarts(void) {
    for (unsigned how = 0; how <= WIRE_NO_MARKER; how += WIRE_NO_MARKER)
        for (unsigned jump = 100; jump < 65000; jump += 7001) {
            static uint8_t room[400000];
            static const int sizes[] = {60, 62};
            rnd_seed(25);
            wire_slices(&wire, sizes, 2, 20, how, true, room);
            int from = 0;
            while (wire.packet[from].unit < 10) from++;
            for (int i = from; i < wire.packets; i++) { /* other sequence numbers and timestamps */
                uint8_t *p = (uint8_t *)(uintptr_t)wire.packet[i].p.p;
                uint16_t seq = (uint16_t)((p[2] << 8 | p[3]) + (int)jump);
                p[2] = (uint8_t)(seq >> 8);
                p[3] = (uint8_t)seq;
                p[4] ^= 0x40;
            }
            struct caught *c = catch_all(&wire, -1, 0, -1, -1);
            for (int u = 0; u < wire.units; u++)
                if (!CHECK(c->came[u] == 1 || u == 9)) {
                    printf("  way %u, jump by %u: unit %d\n", how, jump, u);
                    break;
                }
        }
}

/* Payloads as they should not be: each in a block of its size. */
static void depay_odd_payloads(void) {
    static const struct span odd[] = {RAW(""),
                                      RAW("\x1c"),
                                      RAW("\x7c\x85"),
                                      RAW("\x7c\x45"),
                                      RAW("\x7c\xc5x"),
                                      RAW("\x7c\x05x"),
                                      RAW("\x18"),
                                      RAW("\x18\0"),
                                      RAW("\x18\0\0"),
                                      RAW("\x18\0\1"),
                                      RAW("\x18\0\5\x65"
                                          "a"),
                                      RAW("\x18\xff\xff\x65"),
                                      RAW("\x18\xff\xff\x65"
                                          "abcdefgh"),
                                      RAW("\x18\0\1\x67\0\x99"
                                          "abcdefgh"),
                                      RAW("\x18\0\2\x67"
                                          "a\0\2\x68"
                                          "b\0\7c"),
                                      RAW("\x19\0\0\0\0"),
                                      RAW("\x1a\0"),
                                      RAW("\x1d\x85"),
                                      RAW("\x1f"),
                                      RAW("\0"),
                                      RAW("\0\0\0\1"),
                                      RAW("\0\0\1"),
                                      RAW("\0\0\0\0"),
                                      RAW("\x65\x88"),
                                      RAW("\x41\x9a"),
                                      RAW("\x80\x80\x80")};
    static struct depay d;
    rnd_seed(26);
    for (size_t cap = 0; cap < 64; cap += 7) {
        uint8_t *room = malloc(cap ? cap : 1);
        if (!room) abort();
        depay_start(&d, room, cap);
        for (int i = 0; i < 20000; i++) {
            struct span payload = odd[rnd(sizeof odd / sizeof *odd)], block = exact(payload.p, payload.n), unit;
            struct rtp_in p = {.pt = 96,
                               .marker = !rnd(3),
                               .seq = (uint16_t)(d.next + (rnd(5) ? 0 : rnd(200) - 100)),
                               .timestamp = rnd(3),
                               .payload = block};
            if (depay_over(&d, &p)) depay_end(&d, &unit);
            if (depay_input(&d, &p) && depay_end(&d, &unit)) CHECK(unit.n > 0 && unit.n <= cap && unit.p == room);
            CHECK(d.n <= d.cap);
            gone(block);
        }
        free(room);
    }
}

static void depay_odd_fragments(void) {
    static const struct {
        const char *what;
        struct span p[4];
        bool whole;
    } cases[] = {{"as it should be",
                  {RAW("\x7c\x85"
                       "ab"),
                   RAW("\x7c\x05"
                       "cd"),
                   RAW("\x7c\x45"
                       "ef")},
                  true},
                 {"no start",
                  {RAW("\x7c\x05"
                       "ab"),
                   RAW("\x7c\x05"
                       "cd"),
                   RAW("\x7c\x45"
                       "ef")},
                  false},
                 {"start and end in one",
                  {RAW("\x7c\xc5"
                       "ab"),
                   RAW("\x7c\xc5"
                       "cd"),
                   RAW("\x7c\xc5"
                       "ef")},
                  true},
                 {"a NAL unit in its midst, whose end is missing",
                  {RAW("\x7c\x85"
                       "ab"),
                   RAW("\x06"
                       "cd"),
                   RAW("\x7c\x45"
                       "ef")},
                  false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t room[256];
        struct depay d;
        struct span unit = {NULL, 0};
        bool whole = false;
        depay_start(&d, room, sizeof room);
        struct rtp_in p = {.seq = 1, .timestamp = 1, .marker = true, .payload = BIN("\x65\x88")};
        CHECK(depay_input(&d, &p) && depay_end(&d, &unit));
        for (int k = 0; cases[i].p[k].n; k++) {
            p = (struct rtp_in){
                .seq = (uint16_t)(2 + k), .timestamp = 2, .marker = !cases[i].p[k + 1].n, .payload = cases[i].p[k]};
            if (depay_input(&d, &p)) whole = depay_end(&d, &unit);
        }
        CHECK_AS(whole == cases[i].whole, cases[i].what);
    }
}

static void depay_rtp_headers(void) {
    static const struct {
        const char *what, *hex;
        int n; /* of the payload; -1: refused */
    } cases[] = {{"plain", "8060000100000002000000036588", 2},
                 {"nothing inside", "806000010000000200000003", 0},
                 {"version 1", "4060000100000002000000036588", -1},
                 {"version 0", "0060000100000002000000036588", -1},
                 {"short", "80600001000000020000", -1},
                 {"one CSRC", "8160000100000002000000030000000a6588", 2},
                 {"CSRCs that are not there", "8f60000100000002000000036588", -1},
                 {"an extension", "906000010000000200000003bede0001112233446588", 2},
                 {"an empty extension", "906000010000000200000003bede00006588", 2},
                 {"an extension too long", "906000010000000200000003bedeffff6588", -1},
                 {"half an extension", "906000010000000200000003bede", -1},
                 {"padding", "a0600001000000020000000365880002", 2},
                 {"all of it padding", "a06000010000000200000003000003", 0},
                 {"padding of 0", "a060000100000002000000036500", -1},
                 {"padding too long", "a060000100000002000000036509", -1},
                 {"padding of nothing", "a06000010000000200000003", -1},
                 {"all of them", "b16000010000000200000003000000aabede00010102030465880002", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span s = vec_field(lit(cases[i].hex));
        struct rtp_in p = {0};
        bool ok = rtp_read(s, &p);
        CHECK_AS(ok == (cases[i].n >= 0), cases[i].what);
        if (ok)
            CHECK_AS((int)p.payload.n == cases[i].n && p.pt == 96 && p.seq == 1 && p.timestamp == 2 && p.ssrc == 3,
                     cases[i].what);
        for (size_t n = 0; n < s.n; n++) {
            struct span part = exact(s.p, n);
            if (rtp_read(part, &p)) CHECK_AS(p.payload.n <= n, cases[i].what);
            gone(part);
        }
        gone(s);
    }
}

/* ==== depay by UDP: the window ==== */

static struct depay_window window;
static int window_got[4096], window_n; /* the numbers, as they come out */

static void window_take(bool force, int64_t now) {
    struct span packet;
    struct rtp_in p;
    while (depay_next(&window, force, now, &packet)) {
        struct span copy = exact(packet.p, packet.n);
        if (CHECK(rtp_read(copy, &p) && window_n < 4096)) window_got[window_n++] = p.seq;
        gone(copy);
        force = false;
    }
}

/* A packet comes, of which only the number counts; what may leave does so. */
static void window_put(uint16_t seq, int64_t now) {
    uint8_t packet[RTP_HEADER + 2] = {0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq};
    struct span s = exact(packet, sizeof packet);
    struct rtp_in p;
    CHECK(rtp_read(s, &p));
    for (int i = 0; i <= DEPAY_WINDOW && !depay_store(&window, &p, s, now); i++)
        if (!CHECK(i < DEPAY_WINDOW)) break;
        else window_take(true, now);
    gone(s);
    window_take(false, now);
}

static void window_start(uint16_t seq, int64_t now) {
    memset(&window, 0, sizeof window);
    window_n = 0;
    window_put(seq, now);
}

static bool window_gave(const char *numbers) {
    char text[256] = "";
    struct wr w = bytes_wr(text, sizeof text - 1);
    for (int i = 0; i < window_n; i++) text_putf(&w, i ? " %d" : "%d", window_got[i]);
    window_n = 0;
    if (!strcmp(text, numbers)) return true;
    printf("  wanted %s, got %s\n", numbers, text);
    return false;
}

/* Out of order as far as the window reaches, some twice, across the wrap: in order and once. */
static void depay_window_sorts(void) {
    enum { COUNT = 60 * DEPAY_WINDOW };
    rnd_seed(40);
    for (int round = 0; round < 20; round++) {
        int order[DEPAY_WINDOW];
        int64_t now = T0;
        window_start(64000, now);
        for (int block = 1; block < COUNT; block += DEPAY_WINDOW) {
            for (int i = 0; i < DEPAY_WINDOW; i++) order[i] = i;
            for (int i = DEPAY_WINDOW - 1; i > 0; i--) {
                int k = (int)rnd((uint32_t)i + 1), swap = order[i];
                order[i] = order[k], order[k] = swap;
            }
            for (int i = 0; i < DEPAY_WINDOW; i++) {
                window_put((uint16_t)(64000 + block + order[i]), now += BASE_MS);
                if (!rnd(3)) window_put((uint16_t)(64000 + block + order[rnd((uint32_t)i + 1)]), now);
            }
        }
        if (!CHECK(window_n == COUNT + 1 && !window.held)) printf("  %d of %d came out\n", window_n, COUNT + 1);
        for (int i = 0; i < window_n; i++)
            if (!CHECK(window_got[i] == (uint16_t)(64000 + i))) break;
    }
}

/* What is missing is waited for, and not for longer than DEPAY_WAIT; what comes later than that stays out. */
static void depay_window_gives_up(void) {
    int64_t gap = T0 + BASE_S, now = gap;
    window_start(65534, T0);
    window_put(0, now); /* 65535 is missing */
    CHECK(window_gave("65534"));
    for (uint16_t seq = 1; (now += 5 * BASE_MS) < gap + DEPAY_WAIT; seq++)
        window_put(seq, now); /* others do not prolong it */
    CHECK(window_gave(""));
    window_take(false, gap + DEPAY_WAIT - 1);
    CHECK(window_gave("") && window.held == 8);
    window_take(false, gap + DEPAY_WAIT);
    CHECK(window_gave("0 1 2 3 4 5 6 7"));
    window_put(65535, gap + DEPAY_WAIT); /* it comes after all */
    window_put(3, gap + DEPAY_WAIT);
    CHECK(window_gave(""));
    window_put(8, gap + DEPAY_WAIT);
    CHECK(window_gave("8"));
    window_put(10, now = gap + BASE_S); /* in time: nothing is lost, and the next gap has its own wait */
    window_put(9, now += DEPAY_WAIT - 1);
    CHECK(window_gave("9 10"));
    window_put(12, now += DEPAY_WAIT);
    window_take(false, now + DEPAY_WAIT - 1);
    CHECK(window_gave(""));
    window_take(false, now + DEPAY_WAIT);
    CHECK(window_gave("12"));
}

/* Two gaps at a time are waited for together. */
static void depay_window_two_gaps(void) {
    window_start(10, T0);
    window_put(12, T0);               /* 11 is missing */
    window_put(14, T0 + 5 * BASE_MS); /* and 13 */
    CHECK(window_gave("10"));
    window_take(false, T0 + DEPAY_WAIT);
    CHECK(window_gave("12"));
    window_take(false, T0 + 5 * BASE_MS + DEPAY_WAIT - 1);
    CHECK(window_gave(""));
    window_take(false, T0 + 5 * BASE_MS + DEPAY_WAIT);
    CHECK(window_gave("14"));
}

/* Beyond the window nothing waits: what is held goes first. Far behind is a new beginning. */
static void depay_window_jumps(void) {
    window_start(100, T0);
    window_put(100 + DEPAY_WINDOW + 1, T0); /* just beyond */
    CHECK(window_gave("100 133"));
    window_put(1000, T0);
    CHECK(window_gave("1000"));
    window_put(1002, T0);
    window_put(1001 + DEPAY_WINDOW - 1, T0); /* the last that the window has room for */
    CHECK(window_gave(""));
    window_put(1001 + DEPAY_WINDOW, T0); /* one more: 1001 is given up, the rest still waits for 1003 */
    CHECK(window_gave("1002"));
    window_put(5000, T0);
    CHECK(window_gave("1032 1033 5000"));
    window_put((uint16_t)(5001 - DEPAY_STRANGE + 1), T0); /* late */
    CHECK(window_gave(""));
    window_put((uint16_t)(5001 - DEPAY_STRANGE), T0); /* so late that it is none */
    CHECK(window_gave("4937"));
    window_put(4939, T0);
    window_put(7, T0); /* the camera begins anew while something is held */
    window_put(8, T0);
    CHECK(window_gave("4939 7 8"));
    uint8_t large[DEPAY_PACKET + 1] = {0x80, 96, 0, 9};
    struct rtp_in p;
    struct span s = exact(large, sizeof large), packet;
    CHECK(rtp_read(s, &p) && depay_store(&window, &p, s, T0) && !depay_next(&window, true, T0, &packet));
    gone(s);
}

/* ==== camera ==== */

struct cam {
    struct media media;
    uint64_t drops[DROP_COUNT];
    struct camera c;
    int64_t now, next;
    int dials;
};
static struct cam cam;
static uint8_t cam_history[1 << 20];
static struct media_packet cam_packets[MEDIA_SLOTS];

static void cam_open(const char *url) {
    struct rtsp_url u;
    memset(&cam, 0, sizeof cam);
    CHECK(rtsp_read_url(text_of(url), &u));
    media_start(&cam.media, cam_history, sizeof cam_history, cam_packets, cam.drops);
    camera_start(&cam.c, &u, &cam.media, &dice, depay_room, sizeof depay_room);
    cam.now = T0;
}

static bool cam_tick(bool viewers) {
    bool dial = camera_tick(&cam.c, viewers, cam.now, &cam.next);
    cam.dials += dial;
    CHECK(!dial || cam.c.state == CAMERA_DIALING);
    return dial;
}

/* Lets time pass up to end, or until a connection is to be made. */
static bool cam_wait(bool viewers, int64_t end) {
    for (;;) {
        if (cam_tick(viewers)) return true;
        if (cam.now >= end) return false;
        if (!CHECK(cam.next > cam.now)) return false;
        cam.now = base_min(cam.next, end);
    }
}

static void cam_say(const void *p, size_t n) {
    struct span s = exact(p, n);
    size_t used = camera_input(&cam.c, s, cam.now);
    CHECK(used <= n && (used == n || cam.c.state != CAMERA_TALKING));
    gone(s);
}

static void cam_tell(const char *text) { cam_say(text, strlen(text)); }

/* The camera's part up to the answer to PLAY; steps: how many answers it gives. */
static void cam_answers(int steps, int64_t pause, const char *sdp) {
    for (int i = 0; i < steps && cam.c.state == CAMERA_TALKING; i++) {
        int64_t end = cam.now + pause;
        const char *r = asked(&cam.c.dialog);
        char method[32];
        text_copy(method, sizeof method, lit(r));
        while (cam.now < end && cam.c.state == CAMERA_TALKING) {
            cam_tick(true);
            cam.now = base_min(base_max(cam.next, cam.now + 1), end);
        }
        if (cam.c.state != CAMERA_TALKING) return;
        cam_tell(is_request(method, "DESCRIBE") ? described("", sdp) : answer("Session: 4711;timeout=60\r\n"));
    }
}

static void cam_connect(void) {
    CHECK(cam_wait(true, cam.now + 100 * BASE_S));
    camera_connected(&cam.c, NULL, NULL, cam.now);
}

/* One access unit over the connection. */
static void cam_frames(const struct wire *w, int unit) {
    for (int i = 0; i < w->packets; i++) {
        if (w->packet[i].unit != unit) continue;
        uint8_t frame[4 + RTP_HEADER + RTP_PAYLOAD + 8];
        struct wr out = bytes_wr(frame, sizeof frame);
        bytes_w8(&out, '$');
        bytes_w8(&out, 0);
        bytes_w16(&out, (unsigned)w->packet[i].p.n);
        bytes_put(&out, w->packet[i].p.p, w->packet[i].p.n);
        cam_say(frame, out.n);
    }
}

static int64_t picture_time(uint32_t timestamp, int64_t now) {
    return camera_time(&cam.c.video_clock, 90000, timestamp, now);
}

static void camera_on_demand(void) {
    struct span s = pattern_stream(30);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    cam_open("rtsp://cam.test/live");
    CHECK(!cam_wait(false, cam.now + 3600 * BASE_S) && cam.c.state == CAMERA_IDLE);
    CHECK(has(media_reason(&cam.media), "when somebody watches"));
    CHECK(cam_wait(true, cam.now) && has(media_reason(&cam.media), "Calling"));
    CHECK(!cam_tick(true));
    camera_connected(&cam.c, NULL, NULL, cam.now);
    CHECK(is_request(asked(&cam.c.dialog), "OPTIONS"));
    camera_connected(&cam.c, NULL, NULL, cam.now);
    cam_answers(4, BASE_MS, SDP_ALL);
    CHECK(cam.c.dialog.state == DIALOG_PLAYING);
    for (int i = 0; i < 20; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i);
    if (!CHECK(cam.media.frames == 20 && !*media_reason(&cam.media) && media_joinable(&cam.media)))
        printf("  %d frames, %s\n", (int)cam.media.frames, media_reason(&cam.media));
    /* nobody watches: it lingers, in case somebody comes back */
    int64_t left = cam.now;
    cam_tick(true);
    for (int i = 20; i < 30; i++) {
        cam.now += 40 * BASE_MS;
        cam_frames(&wire, i);
        cam_tick(false);
        CHECK(cam.c.state == CAMERA_TALKING);
    }
    cam.now = left + CAMERA_LINGER - BASE_MS;
    cam.c.heard = cam.now;
    cam_tick(false);
    CHECK(cam.c.state == CAMERA_TALKING && cam.next <= left + CAMERA_LINGER);
    asked(&cam.c.dialog);
    cam.now = left + CAMERA_LINGER;
    cam_tick(false);
    CHECK(cam.c.state == CAMERA_IDLE && is_request(asked(&cam.c.dialog), "TEARDOWN"));
    CHECK(!media_joinable(&cam.media)); /* nobody begins with an old picture */
    CHECK(has(media_reason(&cam.media), "when somebody watches") && cam.dials == 1);
    gone(s);
}

/* How long it rests after each failure. */
static void camera_rests(void) {
    static const int want[] = {1, 2, 4, 8, 10, 10, 10};
    int64_t shortest = BASE_NEVER, longest = 0;
    for (int round = 0; round < 40; round++) {
        cam_open("rtsp://cam.test/live");
        CHECK(cam_wait(true, cam.now));
        for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
            int64_t failed = cam.now;
            camera_failed(&cam.c, "The camera cannot be reached: refused.", cam.now);
            CHECK(has(media_reason(&cam.media), "refused"));
            CHECK(cam_wait(true, cam.now + 20 * BASE_S));
            int64_t rest = cam.now - failed;
            CHECK(rest >= want[i] * BASE_S && rest <= want[i] * BASE_S * 5 / 4);
            if (want[i] == 10) shortest = base_min(shortest, rest), longest = base_max(longest, rest);
        }
    }
    CHECK(longest - shortest > BASE_S / 2); /* not in step */
}

static void camera_never_connects(void) {
    cam_open("rtsp://cam.test/live");
    CHECK(cam_wait(true, cam.now));
    int64_t began = cam.now;
    CHECK(cam_wait(true, cam.now + 100 * BASE_S) && cam.now - began >= CAMERA_DIAL + CAMERA_REST);
    CHECK(cam.now - began < CAMERA_DIAL + 2 * CAMERA_REST && has(media_reason(&cam.media), "cannot be reached"));
}

static void camera_silent_at_each_step(void) {
    struct span s = pattern_stream(3);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    for (int step = 0; step < 6; step++) {
        cam_open("rtsp://cam.test/live");
        cam_connect();
        cam_answers(step < 4 ? step : 4, BASE_MS, SDP_ALL);
        if (step == 5)
            for (int i = 0; i < 3; i++) cam_frames(&wire, i);
        CHECK(step < 5 || !*media_reason(&cam.media));
        int64_t silent = cam.now;
        CHECK(cam.c.state == CAMERA_TALKING);
        while (cam.c.state == CAMERA_TALKING && cam.now < silent + 60 * BASE_S) {
            cam_tick(true);
            if (cam.c.state != CAMERA_TALKING) break;
            if (cam.c.dialog.state == DIALOG_PLAYING && cam.c.dialog.out_n) asked(&cam.c.dialog), cam_tell(HEAD "\r\n");
            cam.now = base_max(cam.now + 1, base_min(cam.next, silent + 60 * BASE_S));
        }
        CHECK(cam.c.state == CAMERA_RESTING && cam.now - silent <= 11 * BASE_S);
        const char *why = media_reason(&cam.media), *want = step < 4    ? "does not answer"
                                                            : step == 4 ? "no picture comes"
                                                                        : "sends no picture any more";
        if (!CHECK(has(why, want))) printf("  step %d: %s\n", step, why);
        CHECK(!media_joinable(&cam.media));
        CHECK(cam_wait(true, cam.now + 20 * BASE_S));
    }
    gone(s);
}

/* Slow is not silent: each answer comes after 6 s. */
static void camera_slow(void) {
    cam_open("rtsp://cam.test/live");
    cam_connect();
    cam_answers(4, 6 * BASE_S, SDP_ALL);
    if (!CHECK(cam.c.state == CAMERA_TALKING && cam.c.dialog.state == DIALOG_PLAYING))
        printf("  %s\n", media_reason(&cam.media));
}

static void camera_wrong_password(void) {
    cam_open("rtsp://ann:wr0ng@cam.test/live");
    int64_t last = 0;
    for (int i = 0; i < 4; i++) {
        cam_connect();
        CHECK(i == 0 || (cam.now - last >= 60 * BASE_S && cam.now - last <= 76 * BASE_S));
        for (int k = 0; k < 9 && cam.c.state == CAMERA_TALKING; k++) asked(&cam.c.dialog), cam_tell(DIGEST_401);
        CHECK(cam.c.state == CAMERA_RESTING && has(media_reason(&cam.media), "password"));
        CHECK(!has(media_reason(&cam.media), "wr0ng"));
        last = cam.now;
    }
    /* the viewer goes and another one comes: the camera would lock us out all the same */
    CHECK(!cam_wait(false, cam.now + 15 * BASE_S));
    CHECK(cam_wait(true, cam.now + 100 * BASE_S));
    if (!CHECK(cam.now - last >= 60 * BASE_S)) printf("  tried again after %d s\n", (int)((cam.now - last) / BASE_S));
}

static void camera_recovers(void) {
    struct span s = pattern_stream(12);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    cam_open("rtsp://cam.test/live");
    for (int i = 0; i < 6; i++) {
        CHECK(cam_wait(true, cam.now + 20 * BASE_S));
        camera_failed(&cam.c, "refused", cam.now);
    }
    cam_connect();
    cam_answers(4, BASE_MS, SDP_ALL);
    for (int i = 0; i < 5; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i);
    CHECK(!*media_reason(&cam.media) && cam.media.frames == 5);
    uint64_t keys = cam.media.keys;
    camera_failed(&cam.c, "The camera broke the connection off.", cam.now);
    int64_t failed = cam.now;
    cam_connect();
    CHECK(cam.now - failed <= BASE_S * 5 / 4); /* as if there had been none before */
    cam_answers(4, BASE_MS, SDP_ALL);
    for (int i = 5; i < 10; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i); /* it does not begin with an IDR */
    CHECK(!media_joinable(&cam.media) && has(media_reason(&cam.media), "keyframe"));
    for (int i = 10; i < 12; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i);
    CHECK(cam.media.keys == keys + 1 && media_joinable(&cam.media) && !*media_reason(&cam.media));
    gone(s);
}

/* Redirects: to the same host alone, and not for ever. */
static void camera_redirects(void) {
    cam_open("rtsp://ann:pw@cam.test/live");
    cam_connect();
    asked(&cam.c.dialog);
    cam_answers(1, 0, SDP_ALL);
    cam_tell("RTSP/1.0 302 Moved\r\nLocation: rtsp://cam.test:8554/other\r\n\r\n");
    int64_t then = cam.now;
    CHECK(cam_wait(true, cam.now + BASE_S) && cam.now == then);
    CHECK(!strcmp(cam.c.url.url, "rtsp://cam.test:8554/other") && cam.c.url.port == 8554 &&
          !strcmp(cam.c.url.user, "ann"));
    camera_connected(&cam.c, NULL, NULL, cam.now);
    CHECK(has(asked(&cam.c.dialog), " rtsp://cam.test:8554/other "));
    static const char *const others[] = {
        "rtsp://192.0.2.66/live",      "rtsp://cam.test.evil.example/", "http://cam.test/", "",
        "rtsp://cam.test@192.0.2.66/", "rtsps://cam.test/live"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char text[256];
        cam_open("rtsp://ann:pw@cam.test/live");
        cam_connect();
        cam_answers(1, 0, SDP_ALL);
        snprintf(text, sizeof text, "RTSP/1.0 302 Moved\r\nLocation: %s\r\n\r\n", others[i]);
        cam_tell(text);
        then = cam.now;
        CHECK_AS(cam_wait(true, cam.now + 5 * BASE_S) && cam.now - then >= BASE_S, others[i]);
        CHECK_AS(!strcmp(cam.c.url.host, "cam.test") && !cam.c.url.tls, others[i]);
    }
    cam_open("rtsp://cam.test/live"); /* to itself, for ever */
    int64_t end = cam.now + 120 * BASE_S;
    int dials = 0;
    while (cam_wait(true, end) && dials < 10000) {
        dials++;
        camera_connected(&cam.c, NULL, NULL, cam.now);
        asked(&cam.c.dialog);
        cam_tell(HEAD "\r\n");
        asked(&cam.c.dialog);
        cam_tell("RTSP/1.0 302 Moved\r\nLocation: rtsp://cam.test/live\r\n\r\n");
        CHECK(cam.c.state == CAMERA_RESTING);
    }
    if (!CHECK(dials <= 80)) printf("  %d connections in two minutes\n", dials);
    /* where it leads is down for a while: it is followed again afterwards */
    cam_open("rtsp://cam.test/live");
    bool moved = false;
    for (int i = 0; i < 30; i++) {
        CHECK(cam_wait(true, cam.now + 20 * BASE_S));
        moved = !strcmp(cam.c.url.url, "rtsp://cam.test:99/x");
        if (moved) camera_failed(&cam.c, "The camera cannot be reached: refused.", cam.now);
        else {
            camera_connected(&cam.c, NULL, NULL, cam.now);
            cam_answers(1, 0, SDP_ALL);
            cam_tell("RTSP/1.0 302 Moved\r\nLocation: rtsp://cam.test:99/x\r\n\r\n");
        }
    }
    bool again = moved;
    for (int i = 0; i < 2 && !again; i++) {
        CHECK(cam_wait(true, cam.now + 20 * BASE_S));
        again = !strcmp(cam.c.url.url, "rtsp://cam.test:99/x");
        camera_connected(&cam.c, NULL, NULL, cam.now);
        cam_answers(1, 0, SDP_ALL);
        cam_tell("RTSP/1.0 302 Moved\r\nLocation: rtsp://cam.test:99/x\r\n\r\n");
    }
    CHECK_AS(again, "a redirect is followed after failures, too");
}

/* TCP refused: not tried again and again without a rest. */
static void camera_transport_refused(void) {
    cam_open("rtsp://cam.test/live?transport=tcp");
    int64_t end = cam.now + 60 * BASE_S;
    int dials = 0;
    while (cam_wait(true, end) && dials < 1000) {
        dials++;
        camera_connected(&cam.c, NULL, NULL, cam.now);
        cam_answers(2, 0, SDP_ALL);
        cam_tell("RTSP/1.0 461 Unsupported\r\n\r\n");
        CHECK(cam.c.state == CAMERA_RESTING && has(media_reason(&cam.media), "over TCP"));
    }
    CHECK(dials >= 3 && dials <= 15);
}

/* Parameter sets only in the SDP, only in the stream, in none. */
static void camera_parameter_sets(void) {
    struct span s = pattern_stream(3), rest = s, nal, sets[2] = {{NULL, 0}, {NULL, 0}};
    uint8_t bare[65536];
    struct wr out = bytes_wr(bare, sizeof bare);
    while ((nal = h264_next(&rest)).n) {
        if (h264_type(nal) == H264_SPS) sets[0] = nal;
        else if (h264_type(nal) == H264_PPS) sets[1] = nal;
        else bytes_w32(&out, 1), bytes_put(&out, nal.p, nal.n);
    }
    char sprop[512], sdp[1024];
    struct wr b = bytes_wr(sprop, sizeof sprop - 1);
    bytes_base64(&b, sets[0]);
    text_put(&b, ",");
    bytes_base64(&b, sets[1]);
    sprop[b.n] = 0;
    for (int way = 0; way < 4; way++) {
        snprintf(sdp, sizeof sdp,
                 SDP_HEAD SDP_VIDEO "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=%s\r\na=control:t\r\n",
                 way & 1 ? sprop : "");
        wire_stream(&wire, way & 2 ? s : bytes_written(&out), 0, WIRE_UNITS);
        cam_open("rtsp://cam.test/live");
        cam_connect();
        cam_answers(4, BASE_MS, sdp);
        for (int i = 0; i < 3; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i);
        CHECK(media_joinable(&cam.media) == (way != 0));
        if (way)
            CHECK(cam.media.packet[cam.media.gop % MEDIA_SLOTS].n > 20 &&
                  (cam.media.bytes[cam.media.packet[cam.media.gop % MEDIA_SLOTS].at] & 31) == RTP_STAP_A);
        else if (!CHECK(has(media_reason(&cam.media), "SPS and PPS"))) printf("  %s\n", media_reason(&cam.media));
    }
    /* what is no parameter set has no business there */
    wire_stream(&wire, s, 0, WIRE_UNITS);
    out.n = 0;
    rest = s;
    while ((nal = h264_next(&rest)).n && h264_type(nal) != H264_IDR) continue;
    b.n = 0;
    char *big = malloc(32768);
    if (!big) abort();
    b = bytes_wr(big, 16384);
    for (int i = 0; i < 2; i++) bytes_base64(&b, sets[i]), text_put(&b, ",");
    bytes_base64(&b, base_span(nal.p, nal.n < 300 ? nal.n / 3 * 3 : 300));
    big[b.n] = 0;
    snprintf(sdp, sizeof sdp, SDP_HEAD SDP_VIDEO "a=fmtp:96 sprop-parameter-sets=%s\r\na=control:t\r\n", big);
    cam_open("rtsp://cam.test/live");
    cam_connect();
    cam_answers(4, BASE_MS, sdp);
    CHECK(cam.c.dialog.state == DIALOG_PLAYING && !cam.media.frames && !cam.media.next && !media_joinable(&cam.media));
    free(big);
    gone(s);
}

/* Why there is no picture is told exactly: a stream without IDR is not "waiting". */
static void camera_reasons(void) {
    struct span s = pattern_stream(9);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    cam_open("rtsp://cam.test/live");
    CHECK(has(media_reason(&cam.media), "somebody watches"));
    cam_connect();
    CHECK(has(media_reason(&cam.media), "answered"));
    cam_answers(4, BASE_MS, SDP_ALL);
    CHECK(has(media_reason(&cam.media), "waiting for its picture"));
    uint8_t sets[2][64];
    struct span rest = s, nal;
    int n = 0;
    while (n < 2 && (nal = h264_next(&rest)).n) {
        sets[n][0] = 0, sets[n][1] = 0, sets[n][2] = 1;
        memcpy(sets[n] + 3, nal.p, nal.n);
        media_nal(&cam.media, nal);
        n++;
    }
    for (int i = 1; i < 8; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i);
    if (!CHECK(has(media_reason(&cam.media), "keyframe"))) printf("  %s\n", media_reason(&cam.media));
    gone(s);
}

struct beat {
    double fps, ppm; /* of the camera's clock against ours */
    int jitter_us, seconds;
};

/* Times of pictures: largest error of an interval and lag behind the arrival, in the last quarter; microseconds. */
static void beat_run(const struct beat *b, int64_t *uneven, int64_t *lag, int64_t *early) {
    cam_open("rtsp://cam.test/live");
    int64_t last = 0, n = (int64_t)(b->seconds * b->fps), arrived = 0;
    *uneven = *lag = *early = 0;
    for (int64_t i = 0; i < n; i++) {
        double camera_s = (double)i / b->fps, real_us = camera_s * 1e6 / (1 + b->ppm / 1e6);
        int64_t now = T0 + (int64_t)real_us + (b->jitter_us ? (int64_t)rnd((uint32_t)b->jitter_us) : 0);
        now = base_max(now, arrived); /* TCP keeps the order */
        arrived = now;
        int64_t at = picture_time((uint32_t)(int64_t)(0xfff00000 + camera_s * 90000), now);
        CHECK(at <= now && at >= last);
        if (i > n / 4 && i < n / 2) *early = base_max(*early, now - at);
        if (i > n * 3 / 4) {
            int64_t step = at - last - (int64_t)(1e6 / b->fps);
            *uneven = base_max(*uneven, step < 0 ? -step : step);
            *lag = base_max(*lag, now - at);
        }
        last = at;
    }
}

/* ==== sound and sender reports: pictures take 40 ms from the lens to us, sound 340 ms ==== */

enum { LAG_PICTURE = 40 * BASE_MS, LAG_SOUND = 340 * BASE_MS };

static struct media_sound cam_sounds[MEDIA_SOUNDS];

static void cam_open_sound(void) {
    cam_open("rtsp://cam.test/live");
    cam.media.sound = cam_sounds;
    cam.c.dialog.audio = (struct dialog_track){.sound = BASE_PCMU, .pt = 0};
    cam.c.ssrc = 7;
}

/* What was recorded at `then` arrives: at last, how much later than that the sound is said to be. */
static int64_t cam_hear(int64_t then) {
    uint8_t packet[RTP_HEADER + 160] = {0x80, 0};
    struct wr w = bytes_wr(packet + 2, RTP_HEADER - 2);
    bytes_w16(&w, (unsigned)(then / (20 * BASE_MS)));
    bytes_w32(&w, (uint32_t)(then * 8 / BASE_MS) + 1234567);
    bytes_w32(&w, 8);
    picture_time((uint32_t)(then * 90 / BASE_MS) + 99, then + LAG_PICTURE);
    camera_sound(&cam.c, base_span(packet, sizeof packet), then + LAG_SOUND);
    return cam_sounds[(cam.media.sounds - 1) % MEDIA_SOUNDS].time - then;
}

/* A sender report of a track: 7 is the pictures', 8 the sound's. wall: the camera's time of day minus the test's time. */
static void cam_report(uint32_t ssrc, int64_t then, int64_t wall, uint32_t timestamp) {
    uint8_t packet[28];
    struct wr w = bytes_wr(packet, sizeof packet);
    int64_t us = then + wall;
    bytes_w32(&w, 0x80c80006);
    bytes_w32(&w, ssrc);
    bytes_w32(&w, (uint32_t)(us / BASE_S));
    bytes_w32(&w, (uint32_t)(((uint64_t)(us % BASE_S) << 32) / BASE_S));
    bytes_w32(&w, timestamp);
    bytes_w64(&w, 0);
    camera_control(&cam.c, bytes_written(&w), then + LAG_SOUND);
}

static void cam_reports(int64_t then, int64_t wall_picture, int64_t wall_sound) {
    cam_report(7, then, wall_picture, (uint32_t)(then * 90 / BASE_MS) + 99);
    cam_report(8, then, wall_sound, (uint32_t)(then * 8 / BASE_MS) + 1234567);
}

static bool about(int64_t us, int64_t wanted) { return us > wanted - 5 * BASE_MS && us < wanted + 5 * BASE_MS; }

static void camera_sound_follows_reports(void) {
    const int64_t wall = 3900000000 * BASE_S + 123456, later = wall + 3600 * BASE_S;
    int64_t then = T0;
    cam_open_sound();
    for (int i = 0; i < 50; i++, then += 20 * BASE_MS)
        CHECK(about(cam_hear(then), LAG_SOUND)); /* nothing else is known */
    cam_report(7, then, wall, (uint32_t)(then * 90 / BASE_MS) + 99);
    CHECK(about(cam_hear(then += 20 * BASE_MS), LAG_SOUND)); /* one track's alone tells nothing */
    cam_reports(then, wall, wall);
    for (int i = 0; i < 500; i++) CHECK(about(cam_hear(then += 20 * BASE_MS), LAG_PICTURE));
    /* the camera's time of day is set, and each track's report tells so in its turn */
    cam_report(7, then, later, (uint32_t)(then * 90 / BASE_MS) + 99);
    CHECK(about(cam_hear(then += 20 * BASE_MS), LAG_SOUND));
    cam_report(8, then, later, (uint32_t)(then * 8 / BASE_MS) + 1234567);
    for (int i = 0; i < 50; i++) CHECK(about(cam_hear(then += 20 * BASE_MS), LAG_PICTURE));
    /* clocks that have nothing to do with each other; a report without a time; one of a stranger */
    cam_open_sound();
    cam_hear(then);
    cam_reports(then, wall, wall + 3 * BASE_S);
    CHECK(about(cam_hear(then += 20 * BASE_MS), LAG_SOUND));
    cam_open_sound();
    cam_hear(then += 20 * BASE_MS);
    cam_reports(then, -then, -then);
    cam_report(9, then, wall, 5);
    CHECK(about(cam_hear(then += 20 * BASE_MS), LAG_SOUND) && !cam.c.video_clock.told && !cam.c.sound_clock.told);
}

/* RTCP BYE: the session is given back and the camera called again, without a silence in between. */
static void camera_says_goodbye(void) {
    static const uint8_t strange[] = {0x24, 1, 0, 8, 0x81, 203, 0, 1, 0, 0, 0, 8};
    uint8_t bye[sizeof strange];
    struct span s = pattern_stream(4);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    cam_open("rtsp://cam.test/live");
    cam_connect();
    cam_answers(4, BASE_MS, SDP_ALL);
    for (int i = 0; i < 4; i++) cam.now += 40 * BASE_MS, cam_frames(&wire, i);
    cam_say(strange, sizeof strange); /* another source */
    CHECK(cam.c.state == CAMERA_TALKING);
    asked(&cam.c.dialog);
    memcpy(bye, strange, sizeof bye);
    struct wr w = bytes_wr(bye + 8, 4);
    bytes_w32(&w, cam.c.ssrc);
    cam_say(bye, sizeof bye);
    CHECK(cam.c.state == CAMERA_RESTING && has(media_reason(&cam.media), "ended its stream"));
    CHECK(is_request(asked(&cam.c.dialog), "TEARDOWN"));
    CHECK(cam_wait(true, cam.now + 2 * BASE_S));
    gone(s);
}

static void camera_clock_even(void) {
    static const struct beat beats[] = {
        {25, 0, 0, 600}, {30, 0, 20000, 600}, {15, 0, 30000, 600}, {60, 0, 10000, 600}, {5, 0, 20000, 600}};
    rnd_seed(30);
    for (size_t i = 0; i < sizeof beats / sizeof *beats; i++) {
        int64_t uneven, lag, early;
        beat_run(&beats[i], &uneven, &lag, &early);
        if (!CHECK(uneven <= 100 + beats[i].jitter_us / 4 && lag <= 1000 + beats[i].jitter_us * 5 / 4))
            printf("  %.0f fps, jitter %d us: uneven by %lld us, lag %lld us\n", beats[i].fps, beats[i].jitter_us,
                   (long long)uneven, (long long)lag);
        printf("# %.0f fps, arrival jitter %d us: uneven by %lld us, lag %lld us\n", beats[i].fps, beats[i].jitter_us,
               (long long)uneven, (long long)lag);
    }
}

static void camera_clock_drifts(void) {
    static const double ppm[] = {-200, -50, 50, 200};
    rnd_seed(31);
    for (size_t i = 0; i < sizeof ppm / sizeof *ppm; i++)
        for (int jitter = 0; jitter <= 20000; jitter += 20000) {
            struct beat b = {30, ppm[i], jitter, 3600};
            int64_t uneven, lag, early;
            beat_run(&b, &uneven, &lag, &early);
            if (!CHECK(lag - early < 3000 && lag <= 6000 + jitter * 5 / 4 && uneven <= 500 + jitter / 4))
                printf("  %.0f ppm, jitter %d us: lag %lld us early, %lld us late, uneven by %lld us\n", ppm[i], jitter,
                       (long long)early, (long long)lag, (long long)uneven);
            printf("# %.0f ppm for an hour, jitter %d us: lag %lld us, uneven by %lld us\n", ppm[i], jitter,
                   (long long)lag, (long long)uneven);
        }
}

static void camera_clock_jumps(void) {
    static const int64_t jumps[] = {-90000LL * 3600, -90000 * 10, 90000 * 10, 90000LL * 3600, 0x7fffffff, 0x80000000LL};
    for (size_t k = 0; k < sizeof jumps / sizeof *jumps; k++) {
        cam_open("rtsp://cam.test/live");
        int64_t last = 0;
        uint32_t ts = 77;
        for (int i = 0; i < 300; i++) {
            int64_t now = T0 + i * 40 * BASE_MS;
            if (i == 100) ts += (uint32_t)jumps[k];
            int64_t at = picture_time(ts, now);
            CHECK(at > last && at <= now && now - at < 100 * BASE_MS); /* at once */
            last = at;
            ts += 3600;
        }
    }
    cam_open("rtsp://cam.test/live"); /* the camera pauses for a minute, and goes on */
    int64_t last = 0;
    for (int i = 0; i < 300; i++) {
        int64_t now = T0 + i * 40 * BASE_MS + (i >= 150 ? 60 * BASE_S : 0), at = picture_time((uint32_t)i * 3600, now);
        CHECK(at > last && now - at < 100 * BASE_MS);
        last = at;
    }
}

/* Timestamps of no use: the pictures' times are near their arrival, and go on evenly where nothing else is known. */
static void camera_clock_of_no_use(void) {
    rnd_seed(32);
    for (int way = 0; way < 4; way++) {
        cam_open("rtsp://cam.test/live");
        int64_t last = 0, worst = 0, uneven = 0;
        for (int i = 0; i < 20000; i++) {
            int64_t now = T0 + i * 40 * BASE_MS;
            uint32_t ts = way == 0   ? 5
                          : way == 1 ? rnd(0xffffffff)
                          : way == 2 ? (uint32_t)i
                                     : (uint32_t)i * 0x7fffffffu;
            int64_t at = picture_time(ts, now), off = at - last - 40 * BASE_MS;
            CHECK(at > last && at <= now);
            if (i > 1000) worst = base_max(worst, now - at), uneven = base_max(uneven, off < 0 ? -off : off);
            last = at;
        }
        static const char *const names[] = {"the same for ever", "random", "counted in pictures",
                                            "half the range at a time"};
        if (!CHECK_AS(worst <= CAMERA_LATE, names[way])) printf("  late by %lld us\n", (long long)worst);
        if (way == 0 && !CHECK_AS(worst <= 100 * BASE_MS, names[way])) printf("  late by %lld us\n", (long long)worst);
        printf("# timestamps %s: late by %lld us, uneven by %lld us\n", names[way], (long long)worst,
               (long long)uneven);
    }
}

/* Two pictures in one read: their times differ all the same. */
static void camera_clock_bursts(void) {
    cam_open("rtsp://cam.test/live");
    int64_t last = 0, same = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t now = T0 + i / 10 * 400 * BASE_MS, at = picture_time((uint32_t)i * 3600, now);
        CHECK(at >= last && at <= now);
        same += at == last;
        last = at;
    }
    printf("# ten pictures at a time: %lld of 1000 share a time\n", (long long)same);
}

/* ==== by UDP ==== */

/* A report that is due; false: none is. */
static bool cam_told(struct rtcp_report *r, uint32_t *sender) {
    uint8_t out[64];
    struct wr w = bytes_wr(out, sizeof out);
    struct rtcp_packet p;
    if (!camera_report(&cam.c, &w, cam.now)) return false;
    struct span s = bytes_written(&w), rest = s = exact(s.p, s.n);
    CHECK(rtcp_next(&rest, &p) == 1 && p.type == RTCP_RR && rtcp_whole(&p) && p.count <= 1);
    *sender = p.sender;
    memset(r, 0, sizeof *r);
    if (p.count) CHECK(rtcp_report(&p, 0, r));
    gone(s);
    return true;
}

static void cam_connect_udp(void) {
    static const uint16_t ports[2] = {50000, 50002};
    struct rtcp_report r;
    uint32_t sender;
    CHECK(cam.c.udp && cam.c.state == CAMERA_DIALING);
    camera_connected(&cam.c, ports, &window, cam.now);
    cam_answers(3, 0, SDP_ALL);
    CHECK(cam.c.dialog.state == DIALOG_PLAY && !cam_told(&r, &sender));
    cam_answers(1, 0, SDP_ALL);
    CHECK(cam.c.dialog.state == DIALOG_PLAYING);
}

/* Packets from first on, without each lost-th; the last of them always comes. shift: added to their numbers. Returns how
 * many were left out. */
static int cam_datagrams(int first, int count, int lost, unsigned shift) {
    int left = 0;
    for (int i = first; i < first + count && CHECK(i < wire.packets); i++) {
        bool out = lost && i % lost == 0 && i != first + count - 1;
        struct span s = exact(wire.packet[i].p.p, wire.packet[i].p.n);
        struct wr seq = bytes_wr((uint8_t *)(uintptr_t)s.p + 2, 2);
        bytes_w16(&seq, (uint16_t)((unsigned)(s.p[2] << 8 | s.p[3]) + shift));
        left += out;
        if (!out) camera_datagram(&cam.c, s, cam.now);
        gone(s);
    }
    for (int i = 0; i < DEPAY_WINDOW; i++, cam.now += DEPAY_WAIT) {
        cam_tick(true);
        CHECK(!window.held || cam.next <= cam.now + DEPAY_WAIT); /* nothing else need come for what is held to go on */
    }
    return left;
}

/* What the camera is told of its packets (RFC 3550 6.4.1), across the wrap of their numbers. */
static void camera_reports(void) {
    static const int one[] = {60};
    static uint8_t room[40000];
    struct rtcp_report r;
    uint32_t ours = 0, sender;
    wire_slices(&wire, one, 1, 400, 0, true, room);
    cam_open("rtsp://cam.test/live?transport=udp");
    CHECK(cam_wait(true, cam.now) && !cam_told(&r, &ours));
    cam_connect_udp();
    int lost = cam_datagrams(0, 20, 5, 0); /* the first packet is one of them */
    CHECK(lost == 4 && cam_told(&r, &ours) && ours && r.ssrc == 7 && !r.lost && r.lost_total == 3);
    if (!CHECK(r.highest == 65500 + 19)) printf("  highest %u\n", (unsigned)r.highest);
    CHECK(!r.last_sr && !r.delay);
    int64_t told = cam.now;
    lost = cam_datagrams(20, 100, 4, 0);
    cam.now = told + CAMERA_REPORT - 1;
    CHECK(!cam_told(&r, &sender));
    cam_tick(true);
    CHECK(cam.next <= told + CAMERA_REPORT);
    cam_report(7, cam.now, 0, 5); /* arrives LAG_SOUND later */
    uint32_t stamp = cam.c.last_sr;
    cam.now += LAG_SOUND + 1500 * BASE_MS;
    CHECK(cam_told(&r, &sender) && sender == ours && r.ssrc == 7);
    if (!CHECK(r.highest == 65500 + 119 && r.lost == lost * 256 / 100 && r.lost_total == 3 + lost))
        printf("  highest %u, fraction %d, lost %d of 100, in all %d\n", (unsigned)r.highest, r.lost, lost,
               r.lost_total);
    CHECK(stamp == (uint32_t)((uint64_t)(cam.now - LAG_SOUND - 1500 * BASE_MS) / BASE_S << 16 |
                              (uint64_t)((cam.now - LAG_SOUND - 1500 * BASE_MS) % BASE_S * 65536 / BASE_S)));
    CHECK(r.last_sr == stamp && r.delay == 65536 * 3 / 2);
    cam.now += CAMERA_REPORT;
    int more = cam_datagrams(120, 50, 0, 0);
    CHECK(!more && cam_told(&r, &sender) && !r.lost && r.lost_total == 3 + lost && r.highest == 65500 + 169);
    cam.now += CAMERA_REPORT;
    more = cam_datagrams(170, 200, 2, 0);
    CHECK(cam_told(&r, &sender) && r.lost == more * 256 / 200 && r.lost_total == 3 + lost + more);
    /* low numbers: the first report has nothing to compare with, and none was lost before the first packet */
    cam_open("rtsp://cam.test/live?transport=udp");
    CHECK(cam_wait(true, cam.now));
    cam_connect_udp();
    cam_datagrams(0, 20, 5, 36 + 10);
    CHECK(cam_told(&r, &sender) && r.highest == 10 + 19 && !r.lost && r.lost_total == 3);
    /* over TCP, where nothing gets lost, none is sent */
    cam_open("rtsp://cam.test/live");
    cam_connect();
    cam_answers(4, 0, SDP_ALL);
    CHECK(cam.c.dialog.state == DIALOG_PLAYING && !cam_told(&r, &sender));
}

/* Nothing was heard yet: there is nothing to report on, neither from now nor from the connection before. */
static void camera_reports_afresh(void) {
    static const int one[] = {60};
    static uint8_t room[40000];
    struct rtcp_report r;
    uint32_t sender;
    wire_slices(&wire, one, 1, 100, 0, true, room);
    cam_open("rtsp://cam.test/live?transport=udp");
    for (unsigned shift = 0; shift < 3; shift++) {
        CHECK(cam_wait(true, cam.now + 20 * BASE_S));
        cam_connect_udp();
        CHECK(cam_told(&r, &sender) && !r.ssrc && !r.highest && !r.lost && !r.lost_total);
        uint32_t first = (uint16_t)(65500 + 20000 * shift);
        cam_datagrams(0, 40, 0, 20000 * shift);
        cam.now += CAMERA_REPORT;
        CHECK(cam_told(&r, &sender) && r.ssrc == 7 && r.highest == first + 39 && !r.lost);
        int lost = cam_datagrams(40, 40, 4, 20000 * shift);
        cam.now += CAMERA_REPORT;
        CHECK(cam_told(&r, &sender) && r.highest == first + 79 && r.lost == lost * 256 / 40 && r.lost_total == lost);
        camera_failed(&cam.c, "The camera broke the connection off.", cam.now);
    }
}

static const char udp_wanted[] = "RTSP/1.0 461 Unsupported Transport\r\n\r\n";

/* 461 to TCP: by UDP at once. Nothing comes that way: it is said, and TCP has its turn again. */
static void camera_udp_fails(void) {
    struct span s = pattern_stream(3);
    wire_stream(&wire, s, 0, WIRE_UNITS);
    cam_open("rtsp://cam.test/live");
    for (int round = 0; round < 3; round++) {
        CHECK(cam_wait(true, cam.now + 20 * BASE_S) && !cam.c.udp);
        camera_connected(&cam.c, NULL, NULL, cam.now);
        cam_answers(2, 0, SDP_ALL);
        CHECK(has(asked(&cam.c.dialog), "Transport: RTP/AVP/TCP;"));
        cam_tell(udp_wanted);
        int64_t then = cam.now;
        CHECK(cam_wait(true, then + BASE_S) && cam.now == then && cam.c.udp);
        cam_connect_udp();
        if (round == 2) break;
        asked(&cam.c.dialog);
        then = cam.now;
        while (cam.c.state == CAMERA_TALKING && cam.now < then + 60 * BASE_S)
            cam_tick(true), cam.now = base_max(cam.now + 1, base_min(cam.next, cam.now + BASE_S));
        CHECK(cam.c.state == CAMERA_RESTING && cam.now - then <= CAMERA_SILENCE + BASE_S && !cam.c.udp);
        CHECK(is_request(asked(&cam.c.dialog), "TEARDOWN"));
        if (!CHECK(has(media_reason(&cam.media), "UDP") && has(media_reason(&cam.media), "firewall")))
            printf("  %s\n", media_reason(&cam.media));
    }
    cam_datagrams(0, wire.packets, 0, 0); /* this time pictures come: that way is kept */
    CHECK(cam.media.frames == 3);
    camera_failed(&cam.c, "The camera broke the connection off.", cam.now);
    CHECK(cam_wait(true, cam.now + 20 * BASE_S) && cam.c.udp);
    /* UDP asked for in the address stays */
    cam_open("rtsp://cam.test/live?transport=udp");
    CHECK(cam_wait(true, cam.now));
    cam_connect_udp();
    camera_failed(&cam.c, "The camera broke the connection off.", cam.now);
    CHECK(cam_wait(true, cam.now + 20 * BASE_S) && cam.c.udp);
    gone(s);
}

/* What was to go by TLS does not go by plain UDP because the camera wants it. */
static void camera_tls_stays(void) {
    cam_open("rtsps://cam.test/live");
    int64_t end = cam.now + 60 * BASE_S;
    int dials = 0;
    while (cam_wait(true, end) && dials++ < 1000) {
        CHECK(!cam.c.udp);
        camera_connected(&cam.c, NULL, NULL, cam.now);
        cam_answers(2, 0, SDP_ALL);
        CHECK(has(asked(&cam.c.dialog), "Transport: RTP/AVP/TCP;"));
        cam_tell(dials % 2 ? udp_wanted : HEAD "Session: 1\r\nTransport: RTP/AVP;unicast;client_port=4-5\r\n\r\n");
        CHECK(cam.c.state == CAMERA_RESTING && !cam.c.udp && has(media_reason(&cam.media), "over TCP"));
    }
    CHECK(dials >= 3 && dials <= 15);
}

/* ==== dial: TLS with a camera in the same process ==== */

static int tls_send(void *to, const unsigned char *p, size_t n) {
    ssize_t sent = send(*(int *)to, p, n, MSG_NOSIGNAL);
    return sent >= 0 ? (int)sent : MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int tls_receive(void *from, unsigned char *p, size_t n) {
    ssize_t got = recv(*(int *)from, p, n, 0);
    return got > 0 ? (int)got : got ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* The certificate of ours stands for the camera's. trusted: among this machine's. Returns why it was refused. */
static const char *tls_dialed(struct dtls_home *ours, const char *host, bool trusted, bool trusting) {
    static struct dial d;
    int pair[2], rc;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&conf);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || !net_prepare(pair[0]) || !net_prepare(pair[1])) abort();
    rc = mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_max_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &dice.drbg);
    CHECK(!rc && !mbedtls_ssl_conf_own_cert(&conf, &ours->cert, &ours->key) && !mbedtls_ssl_setup(&ssl, &conf));
    mbedtls_ssl_set_bio(&ssl, &pair[1], tls_send, tls_receive, NULL);
    d = (struct dial){.fd = pair[0], .state = DIAL_CONNECTING, .secure = true, .trusting = trusting, .crypt = &dice};
    text_copy(d.host, sizeof d.host, text_of(host));
    rc = dial_ready(&d);
    CHECK(!rc && d.state == DIAL_SECURING && d.tls);
    if (trusted && d.tls) CHECK(!mbedtls_x509_crt_parse_der(&d.tls->roots, ours->cert.raw.p, ours->cert.raw.len));
    for (int i = 0; i < 100 && !rc; i++) {
        mbedtls_ssl_handshake(&ssl);
        rc = dial_ready(&d);
    }
    CHECK(rc == 1 ? d.state == DIAL_OPEN : rc == -1 && d.state == DIAL_CLOSED && d.fd < 0);
    dial_close(&d);
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&conf);
    net_shut(&pair[1]);
    return rc == 1 ? "" : d.why;
}

/* Who vouches for a certificate is not all: it has to be this camera's. */
static void dial_checks_names(void) {
    struct dtls_home ours;
    static const char name[] = "webrtc_cam"; /* the certificate's subject */
    if (!CHECK(!dtls_home_open(&ours, &dice))) return;
    CHECK_AS(!*tls_dialed(&ours, name, true, false), "its own name");
    CHECK(has(tls_dialed(&ours, "cam.test", true, false), "another name"));
    CHECK(has(tls_dialed(&ours, "192.0.2.7", true, false), "certificate"));
    CHECK(has(tls_dialed(&ours, name, false, false), "certificate is not one that this machine trusts"));
    CHECK_AS(!*tls_dialed(&ours, "cam.test", false, true), "any will do");
    dtls_home_close(&ours);
}

static void camera_random(void) {
    struct span s = pattern_stream(12);
    rnd_seed(33);
    for (int round = 0; round < 300; round++) {
        cam_open("rtsp://ann:pw@cam.test/live");
        wire_stream(&wire, s, round & 3, WIRE_UNITS);
        for (int step = 0; step < 60; step++) {
            cam.now += rnd(4) ? rnd(50000) : rnd(5000000);
            if (cam_tick(rnd(8) > 0)) {
                if (rnd(4)) camera_connected(&cam.c, NULL, NULL, cam.now);
                else camera_failed(&cam.c, "refused", cam.now);
            }
            if (cam.c.state == CAMERA_TALKING && cam.c.dialog.out_n) {
                const char *r = asked(&cam.c.dialog);
                const char *a =
                    is_request(r, "DESCRIBE") ? described("", SDP_ALL) : answer("Session: 4711;timeout=2\r\n");
                struct span t = rnd(6) ? exact(a, strlen(a)) : mutated(lit(a));
                size_t used = camera_input(&cam.c, t, cam.now);
                CHECK(used <= t.n);
                gone(t);
            }
            if (cam.c.state == CAMERA_TALKING && wire.packets) {
                struct span p = wire.packet[rnd((uint32_t)wire.packets)].p, broken = mutated(p);
                uint8_t frame[4096];
                struct wr w = bytes_wr(frame, sizeof frame);
                bytes_w8(&w, '$');
                bytes_w8(&w, rnd(3) ? 0 : rnd(4));
                bytes_w16(&w, (unsigned)broken.n);
                bytes_put(&w, broken.p, broken.n);
                struct span one = exact(frame, w.n);
                camera_input(&cam.c, one, cam.now);
                gone(one);
                gone(broken);
            }
            CHECK(cam.c.depay.n <= cam.c.depay.cap && cam.c.state <= CAMERA_RESTING);
        }
    }
    gone(s);
}

#define T(room, name) \
    { #room, #name, name }
static const struct test tests[] = {
    T(rtsp, rtsp_urls),
    T(rtsp, rtsp_url_injection),
    T(rtsp, rtsp_messages),
    T(rtsp, rtsp_fits_the_wire),
    T(rtsp, rtsp_challenges),
    T(rtsp, rtsp_long_nonces),
    T(rtsp, rtsp_digests),
    T(rtsp, rtsp_digest_vectors),
    T(rtsp, rtsp_addresses_join),
    T(rtsp, rtsp_sdps),
    T(rtsp, rtsp_parameter_sets),
    T(dialog, dialog_quirks),
    T(dialog, dialog_real_cameras),
    T(dialog, dialog_keeps_alive),
    T(dialog, dialog_keeps_playing),
    T(dialog, dialog_new_nonce),
    T(dialog, dialog_passwords),
    T(dialog, dialog_injection),
    T(dialog, dialog_any_cut),
    T(dialog, dialog_finds_its_place),
    T(dialog, dialog_early_pictures),
    T(dialog, dialog_other_protocols),
    T(dialog, dialog_requests_of_the_camera),
    T(dialog, dialog_noise),
    T(dialog, dialog_silence),
    T(dialog, dialog_random),
    T(depay, depay_round_trip),
    T(depay, depay_round_trip_of_files),
    T(depay, depay_losses),
    T(depay, depay_losses_without_markers),
    T(depay, depay_order),
    T(depay, depay_markers_lie),
    T(depay, depay_same_timestamp),
    T(depay, depay_restarts),
    T(depay, depay_odd_payloads),
    T(depay, depay_odd_fragments),
    T(depay, depay_rtp_headers),
    T(depay, depay_window_sorts),
    T(depay, depay_window_gives_up),
    T(depay, depay_window_jumps),
    T(depay, depay_window_two_gaps),
    T(camera, camera_on_demand),
    T(camera, camera_rests),
    T(camera, camera_never_connects),
    T(camera, camera_silent_at_each_step),
    T(camera, camera_slow),
    T(camera, camera_wrong_password),
    T(camera, camera_recovers),
    T(camera, camera_redirects),
    T(camera, camera_transport_refused),
    T(camera, camera_parameter_sets),
    T(camera, camera_reasons),
    T(camera, camera_clock_even),
    T(camera, camera_clock_drifts),
    T(camera, camera_clock_jumps),
    T(camera, camera_clock_of_no_use),
    T(camera, camera_clock_bursts),
    T(camera, camera_sound_follows_reports),
    T(camera, camera_says_goodbye),
    T(camera, camera_reports),
    T(camera, camera_reports_afresh),
    T(camera, camera_udp_fails),
    T(camera, camera_tls_stays),
    T(camera, camera_random),
    T(dial, dial_checks_names),
};

int main(void) {
    alarm(300); /* an endless loop ends here */
    if (crypt_open(&dice)) return 1;
    vec_load("build/rtsp_vectors.txt");
    int rc = test_main(tests, sizeof tests / sizeof *tests);
    wire_reset(&wire);
    crypt_close(&dice);
    vec_free();
    return rc;
}
