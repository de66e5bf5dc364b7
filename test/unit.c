/* Unit tests: the whole program in one translation unit, so that every static is in reach. Same order as its rooms.
 *
 *   cc -std=c99 test/unit.c -o build/unit -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto && build/unit
 *
 * Run from the project's root. build/vectors.txt (test/vectors.py) brings public vectors; what needs them is skipped
 * without. Prints only what fails, a line a room, and at the end "N passed, N failed".
 */
#include "../webrtc_cam.c"

#include <locale.h>

#include "unit.h"

/* ==== base ==== */

static void base_names(void) {
    for (int i = 0; i < DROP_COUNT; i++) {
        CHECK(base_drop_names[i] && *base_drop_names[i]);
        for (int k = 0; k < i; k++) CHECK_AS(strcmp(base_drop_names[i], base_drop_names[k]), base_drop_names[i]);
    }
    CHECK(sizeof base_drop_names / sizeof *base_drop_names == DROP_COUNT);
}

static void base_addresses(void) {
    struct wcam_addr a, b;
    CHECK(text_ip(lit("127.0.0.1"), &a) && base_addr_loopback(&a) && !base_addr_any(&a));
    CHECK(text_ip(lit("::1"), &b) && base_addr_loopback(&b) && !base_addr_any(&b));
    CHECK(!base_addr_same(&a, &b));
    b = a;
    b.ip[9] = 7; /* beyond an IPv4 address */
    CHECK(base_addr_same(&a, &b));
    b.port = 1;
    CHECK(!base_addr_same(&a, &b));
    CHECK(text_ip(lit("::"), &a) && base_addr_any(&a) && !base_addr_loopback(&a));
    CHECK(text_ip(lit("0.0.0.0"), &a) && base_addr_any(&a));
}

/* ==== bytes ==== */

static void bytes_cursors_stick(void) {
    struct span s = exact("\1\2\3\4\5\6\7", 7);
    struct rd r = bytes_rd(s);
    CHECK(bytes_r8(&r) == 1 && bytes_r16(&r) == 0x203 && bytes_r24(&r) == 0x40506 && bytes_left(&r) == 1);
    CHECK(bytes_r16(&r) == 0 && r.bad);
    CHECK(bytes_r8(&r) == 0 && r.bad && bytes_take(&r, 0).n == 0);
    r = bytes_rd(s);
    CHECK(bytes_take(&r, SIZE_MAX).n == 0 && r.bad);
    gone(s);
    uint8_t out[4];
    struct wr w = bytes_wr(out, 4);
    bytes_w16(&w, 0x102);
    bytes_w24(&w, 0x30405);
    CHECK(w.bad && w.n == 2);
    bytes_w8(&w, 9);
    CHECK(w.bad && w.n == 2 && out[0] == 1 && out[1] == 2);
    w = bytes_wr(out, 4);
    bytes_w32(&w, 0);
    bytes_w16_at(&w, 2, 0xabcd);
    bytes_w16_at(&w, 3, 0x1234); /* beyond what was written: no effect */
    CHECK(!w.bad && out[2] == 0xab && out[3] == 0xcd);
}

static void bytes_crc(void) {
    CHECK(bytes_crc32(lit("123456789")) == 0xcbf43926u);
    CHECK(bytes_crc32(lit("")) == 0);
}

static bool base64_gives(struct span text, struct span plain) {
    uint8_t out[512];
    struct wr w = bytes_wr(out, sizeof out);
    return bytes_unbase64(&w, text) && text_same(bytes_written(&w), plain);
}

static void bytes_base64_own(void) {
    static const struct {
        const char *text, *plain;
    } good[] = {{"", ""},
                {"TQ==", "M"},
                {"TWE=", "Ma"},
                {"TWFu", "Man"},
                {"dXNlcjpwYTpzcw==", "user:pa:ss"},
                {"/+8=", "\xff\xef"}};
    static const char *const bad[] = {
        "TQ", "TQ=", "TQ==TQ==", "=TWE", "T===", "====", "TW u", "TWF-", "TWF_", "TWFu\n"};
    uint8_t out[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_AS(base64_gives(lit(good[i].text), lit(good[i].plain)), good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wr w = bytes_wr(out, sizeof out);
        struct span s = exact(bad[i], strlen(bad[i]));
        CHECK_AS(!bytes_unbase64(&w, s), bad[i]);
        gone(s);
    }
    struct wr w = bytes_wr(out, 2);
    CHECK(!bytes_unbase64(&w, lit("TWFu"))); /* does not fit */
}

static void bytes_base64_vectors(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    for (struct vec *v = NULL; (v = vec_next("base64", v));)
        CHECK_AS(base64_gives(v->f[0], v->n > 1 ? v->f[1] : lit("")), vec_text(v->f[0]));
    for (struct vec *v = NULL; (v = vec_next("base64bad", v));) {
        uint8_t out[64];
        struct wr w = bytes_wr(out, sizeof out);
        CHECK_AS(!bytes_unbase64(&w, v->f[0]), vec_text(v->f[0]));
    }
}

static void bytes_base64_out(void) {
    static const char *const cases[][2] = {/* RFC 4648 10 */
                                           {"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xef\xbe", "/+++"}};
    uint8_t text[100], back[64], raw[48];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wr w = bytes_wr(text, sizeof text);
        bytes_base64(&w, lit(cases[i][0]));
        CHECK_AS(text_is(bytes_written(&w), cases[i][1]), cases[i][1]);
        w = bytes_wr(text, w.n ? w.n - 1 : 0); /* one byte too few */
        bytes_base64(&w, lit(cases[i][0]));
        CHECK_AS(w.bad == (cases[i][1][0] != 0), cases[i][1]);
    }
    rnd_seed(2);
    for (size_t n = 0; n < sizeof raw; n++) {
        rnd_fill(raw, n);
        struct wr w = bytes_wr(text, sizeof text), b = bytes_wr(back, sizeof back);
        struct span own = exact(raw, n);
        bytes_base64(&w, own);
        CHECK(w.n == (n + 2) / 3 * 4 && bytes_unbase64(&b, bytes_written(&w)) && text_same(bytes_written(&b), own));
        gone(own);
    }
    for (struct vec *v = NULL; (v = vec_next("base64", v));) {
        struct wr w = bytes_wr(text, sizeof text);
        bytes_base64(&w, v->n > 1 ? v->f[1] : lit(""));
        CHECK_AS(text_same(bytes_written(&w), v->f[0]), vec_text(v->f[0]));
    }
}

static void bytes_base64_names(void) { /* the URL alphabet, put back into the plain one, decodes to what it was */
    rnd_seed(1);
    for (size_t n = 0; n < 48; n++) {
        uint8_t raw[48], text[80], back[64];
        rnd_fill(raw, n);
        struct wr w = bytes_wr(text, sizeof text);
        bytes_base64url(&w, base_span(raw, n));
        CHECK(w.n == (n * 4 + 2) / 3);
        for (size_t i = 0; i < w.n; i++) {
            CHECK(text[i] != '+' && text[i] != '/' && text[i] != '=');
            if (text[i] == '-' || text[i] == '_') text[i] = text[i] == '-' ? '+' : '/';
        }
        while (w.n % 4) bytes_w8(&w, '=');
        struct wr b = bytes_wr(back, sizeof back);
        CHECK(bytes_unbase64(&b, bytes_written(&w)) && text_same(bytes_written(&b), base_span(raw, n)));
    }
}

/* ==== text ==== */

static void text_numbers(void) {
    uint64_t v;
    uint32_t h;
    CHECK(text_uint(lit("0"), 9, &v) && v == 0);
    CHECK(text_uint(lit("65535"), 65535, &v) && v == 65535);
    CHECK(!text_uint(lit("65536"), 65535, &v) && !text_uint(lit(""), 9, &v) && !text_uint(lit("+1"), 9, &v));
    CHECK(!text_uint(lit("1 "), 9, &v) && !text_uint(lit("0x1"), 9, &v));
    CHECK(!text_uint(lit("18446744073709551617"), UINT64_MAX, &v)); /* 2^64 + 1 */
    CHECK(text_hex(lit("fFfFfFfF"), &h) && h == 0xffffffffu);
    CHECK(!text_hex(lit("100000000"), &h) && !text_hex(lit(""), &h) && !text_hex(lit("g"), &h));
}

static void text_pieces(void) {
    struct span s = lit("a=b=c"), t = lit("  one  two\tthree "), lines = lit("x\r\ny\n\r\nz");
    CHECK(text_is(text_cut(&s, '='), "a") && text_is(s, "b=c"));
    CHECK(text_is(text_cut(&s, '='), "b") && text_is(text_cut(&s, '='), "c") && s.n == 0);
    CHECK(text_cut(&s, '=').n == 0);
    CHECK(text_is(text_word(&t), "one") && text_is(text_word(&t), "two\tthree") && text_word(&t).n == 0);
    CHECK(text_is(text_line(&lines), "x") && text_is(text_line(&lines), "y") && text_line(&lines).n == 0);
    CHECK(text_is(text_line(&lines), "z") && lines.n == 0);
    CHECK(text_like(lit("HoSt"), "host") && !text_like(lit("hos"), "host") && !text_is(lit("Host"), "host"));
    s = lit("ice-ufrag:x");
    CHECK(!text_after(&s, "ice-pwd:") && text_after(&s, "ice-ufrag:") && text_is(s, "x"));
    char small[4];
    text_copy(small, sizeof small, lit("abcdef"));
    CHECK(!strcmp(small, "abc"));
}

static void text_escapes(void) {
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    text_json(&w, BIN("a\"\\\n\0\x7f\xc3z"));
    CHECK(text_is(bytes_written(&w), "\"a\\\"\\\\\\u000a\\u0000\\u007f\\u00c3z\""));
    static const struct {
        const char *in, *out; /* NULL: refused */
    } percent[] = {{"abc", "abc"},  {"%41%7a", "Az"}, {"%2", NULL}, {"%", NULL},
                   {"a%00b", NULL}, {"%4g", NULL},    {"+", "+"}};
    for (size_t i = 0; i < sizeof percent / sizeof *percent; i++) {
        struct span s = exact(percent[i].in, strlen(percent[i].in));
        w = bytes_wr(out, sizeof out);
        bool ok = text_unpercent(&w, s);
        CHECK_AS(ok == (percent[i].out != NULL), percent[i].in);
        CHECK_AS(!ok || text_is(bytes_written(&w), percent[i].out), percent[i].in);
        gone(s);
    }
    w = bytes_wr(out, 16);
    text_putf(&w, "%s", "longer than sixteen bytes");
    CHECK(w.bad && w.n == 0);
}

static void text_names(void) {
    CHECK(text_name(lit("Front-door_2")) && text_name(lit("abcdefghijklmnopqrstuvwxyz012345")));
    CHECK(!text_name(lit("abcdefghijklmnopqrstuvwxyz0123456")) && !text_name(lit("")) && !text_name(lit("a/b")));
    CHECK(!text_name(lit("a.b")) && !text_name(lit("\xc3\xa9")) && !text_name(lit("a b")));
}

static void text_addresses(void) {
    static const char *const good[][2] = {{"0.0.0.0", "0.0.0.0"},
                                          {"192.0.2.255", "192.0.2.255"},
                                          {"::", "0:0:0:0:0:0:0:0"},
                                          {"::1", "0:0:0:0:0:0:0:1"},
                                          {"1::", "1:0:0:0:0:0:0:0"},
                                          {"2001:db8::A:b", "2001:db8:0:0:0:0:a:b"},
                                          {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
                                          {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
                                          {"::ffff:192.0.2.1", "0:0:0:0:0:ffff:c000:201"},
                                          {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"}};
    static const char *const bad[] = {"",
                                      "1.2.3",
                                      "1.2.3.4.",
                                      "1.2.3.256",
                                      "1.2.3.0004",
                                      "1.2.3.-4",
                                      ".1.2.3",
                                      ":",
                                      ":::",
                                      "1",
                                      "1:2",
                                      "1::2::3",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7:8::",
                                      "12345::",
                                      "::g",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "[::1]",
                                      "fe80::1%eth0",
                                      "::1 ",
                                      ":1::",
                                      "::1:",
                                      "1.2.3.4::"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct wcam_addr a;
        uint8_t out[64];
        struct wr w = bytes_wr(out, sizeof out);
        CHECK_AS(text_ip(lit(good[i][0]), &a), good[i][0]);
        text_put_ip(&w, &a);
        CHECK_AS(text_is(bytes_written(&w), good[i][1]), good[i][0]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wcam_addr a;
        struct span s = exact(bad[i], strlen(bad[i]));
        CHECK_AS(!text_ip(s, &a), bad[i]);
        gone(s);
    }
    rnd_seed(2);
    static const char letters[] = "0123456789abcdef:::...";
    for (int i = 0; i < 20000; i++) { /* whatever is taken, prints and reads back the same */
        char text[24];
        size_t n = rnd(sizeof text);
        for (size_t k = 0; k < n; k++) text[k] = letters[rnd(sizeof letters - 1)];
        struct span s = exact(text, n);
        struct wcam_addr a, b;
        uint8_t out[64];
        struct wr w = bytes_wr(out, sizeof out);
        if (text_ip(s, &a)) {
            text_put_ip(&w, &a);
            CHECK(text_ip(bytes_written(&w), &b) && base_addr_same(&a, &b));
        }
        gone(s);
    }
}

static void text_dates(void) {
    static const struct {
        int64_t unix_s;
        const char *text;
    } cases[] = {{0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
                 {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},  {951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
                 {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"}, {1735689600, "Wed, 01 Jan 2025 00:00:00 GMT"},
                 {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[64];
        struct wr w = bytes_wr(out, sizeof out);
        text_put_date(&w, cases[i].unix_s);
        CHECK_AS(text_is(bytes_written(&w), cases[i].text), cases[i].text);
    }
}

/* ---- JSON that is read ---- */

/* Is {"x":VALUE} an object? VALUE as it stands there goes to *got. */
static bool json_member(const char *value, struct span *got) {
    char text[400];
    int n = snprintf(text, sizeof text, "{\"x\":%s}", value);
    struct span s = exact(text, (size_t)n), at;
    bool ok = text_json_object(s, "x", &at);
    static char keep[400];
    if (ok && got) memcpy(keep, at.p, at.n), *got = base_span(keep, at.n);
    gone(s);
    return ok;
}

static void text_json_grammar(void) { /* RFC 8259 2 to 7 */
    static const char *const good[] = {"0",
                                       "-0",
                                       "1",
                                       "-10",
                                       "1.5",
                                       "-0.0",
                                       "1e5",
                                       "1E+05",
                                       "1.0e-10",
                                       "123456789012345678901234567890",
                                       "true",
                                       "false",
                                       "null",
                                       "\"\"",
                                       "\"a\"",
                                       "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                       "\"\\u00e9\\uD83d\\uDe00\"",
                                       "\"\\\\\"",
                                       "[]",
                                       "[ ]",
                                       "{}",
                                       "{ }",
                                       "[1,[2],{\"a\":[3]}]",
                                       "{\"a\":{\"b\":[]},\"c\":1}",
                                       " \t\r\n1",
                                       "[\nnull ,\ttrue\r]",
                                       "{ \"a\" : 1 , \"b\" : 2 }",
                                       "\"\x7f\"",
                                       "\"\xc3\xa9\xf0\x9f\x98\x80\"",
                                       "\"1}\""};
    static const char *const bad[] = {"",
                                      " ",
                                      "01",
                                      "-01",
                                      "-",
                                      "--1",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "1.e5",
                                      "1e",
                                      "1e+",
                                      "1e5.5",
                                      "0x1",
                                      "1f",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "tru",
                                      "True",
                                      "nul",
                                      "truee",
                                      "undefined",
                                      "'a'",
                                      "a",
                                      "\"",
                                      "\"a",
                                      "\"1",
                                      "\"true",
                                      "\"null ",
                                      "\"a\nb\"",
                                      "\"\t\"",
                                      "\"1\n",
                                      "\"\x1f\"",
                                      "\"\\",
                                      "\"\\\"",
                                      "\"\\q\"",
                                      "\"\\U0041\"",
                                      "\"\\u12g4\"",
                                      "\"\\u123\"",
                                      "\"\\u\"",
                                      "\"\\\n\"",
                                      "\"\\'\"",
                                      "\"a\"b\"",
                                      "\"a\"\"b\"",
                                      "[",
                                      "]",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,1]",
                                      "[,]",
                                      "[1 2]",
                                      "[1}",
                                      "[\"1]",
                                      "{",
                                      "}",
                                      "{]",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,}",
                                      "{,}",
                                      "{a:1}",
                                      "{1:2}",
                                      "{\"a\" 1}",
                                      "{\"a\"::1}",
                                      "{\"a\":1 \"b\":2}",
                                      "{\"a\":1,,\"b\":2}",
                                      "{'a':1}",
                                      "{null:1}",
                                      "{\"a:1}",
                                      "1 2",
                                      "1,",
                                      "1}",
                                      "\f1",
                                      "\v1",
                                      "\xc2\xa0"
                                      "1",
                                      "\xef\xbb\xbf"
                                      "1",
                                      "/**/1",
                                      "1//",
                                      "#",
                                      "\"\xff\"",
                                      "\"\xc0\x80\"",
                                      "\"\xed\xa0\x80\""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct span got;
        CHECK_AS(json_member(good[i], &got) && text_is(got, good[i]), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_AS(!json_member(bad[i], NULL), bad[i]);
    static const char *const none[] = {"",  " ",   "[]",   "1",    "\"x\"",  "null",
                                       "x", "{}}", "{}{}", "{} x", "\"{}\"", "[{}]"};
    struct span value;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK_AS(!text_json_object(lit(none[i]), "x", &value), none[i]);
    CHECK(!text_json_object(BIN("{}\0"), "x", &value) && !text_json_object(BIN("{}\0\0"), "x", &value));
    CHECK(!text_json_object(BIN("\0{}"), "x", &value) && !text_json_object(BIN("{\"x\":1\0}"), "x", &value));
    CHECK(!text_json_object(BIN("{\"x\":\"\0\"}"), "x", &value));
}

/* All that is cut off early is refused, and so is what has more behind it; white space around changes nothing. */
static void text_json_prefixes(void) {
    static const char *const texts[] = {
        "{}",
        "{\"x\":1}",
        "{\"x\":\"1}\"}",
        "{\"x\":\"a\\\"}\"}",
        "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\n\"}",
        "{\"a\":[1,2.5e3,\"]}\",{\"b\":null}],\"x\":true,\"c\":\"\\ud83d\\ude00\xf0\x9f\x98\x80\"}",
        "{\"x\":{\"x\":\"0\"},\"y\":\"{\\\"x\\\":1}\",\"z\":[\"[\",\"}\"]}"};
    static const char behind[] = "\0x}],\"{1\x80";
    struct span value;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char more[300];
        for (size_t n = 0; n < strlen(texts[i]); n++) {
            struct span s = exact(texts[i], n);
            CHECK_AS(!text_json_object(s, "x", &value), vec_text(s));
            gone(s);
        }
        for (size_t k = 0; k < sizeof behind; k++) {
            struct wr w = bytes_wr(more, sizeof more);
            text_put(&w, texts[i]);
            bytes_w8(&w, (uint8_t)behind[k]);
            CHECK_AS(!text_json_object(bytes_written(&w), "x", &value), texts[i]);
        }
        snprintf(more, sizeof more, "\r\n\t %s \t\n\r", texts[i]);
        CHECK_AS(text_json_object(lit(more), "x", &value), texts[i]);
    }
}

static void text_json_depth(void) {
    struct span value;
    for (int n = 1; n < 2 * TEXT_DEPTH; n++)
        for (int kind = 0; kind < 2; kind++) { /* n levels, the outer one an object */
            char text[200];
            struct wr w = bytes_wr(text, sizeof text);
            text_put(&w, "{\"x\":");
            for (int i = 1; i < n; i++) text_put(&w, kind ? "[" : "{\"x\":");
            text_put(&w, "1");
            for (int i = 1; i < n; i++) text_put(&w, kind ? "]" : "}");
            text_put(&w, "}");
            CHECK(text_json_object(bytes_written(&w), "x", &value) == (n <= TEXT_DEPTH));
        }
    size_t many = 100000;
    uint8_t *p = malloc(many + 5);
    if (!p) abort();
    memcpy(p, "{\"x\":", 5);
    memset(p + 5, '[', many);
    CHECK(!text_json_object(base_span(p, many + 5), "x", &value)); /* and the stack holds */
    free(p);
}

static void text_json_members(void) {
    static const struct {
        const char *text, *value; /* of x; NULL: there is none */
    } cases[] = {{"{}", NULL},
                 {"{\"y\":1}", NULL},
                 {"{\"x\":1}", "1"},
                 {"{\"y\":\"x\",\"x\":2}", "2"},
                 {"{\"x\":1,\"x\":2,\"x\":3}", "1"}, /* of several the first */
                 {"{\"y\":{\"x\":1}}", NULL},
                 {"{\"y\":[{\"x\":1}],\"x\":{\"x\":5}}", "{\"x\":5}"},
                 {"{\"X\":1,\"xx\":2,\"\":3}", NULL},
                 {"{\"\\u0078\":1}", NULL}, /* names count as they are written */
                 {"{\"x\" :\"\\\"x\\\":7\"}", "\"\\\"x\\\":7\""},
                 {"{\"x\":null}", "null"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span value = lit("?");
        CHECK_AS(text_json_object(lit(cases[i].text), "x", &value), cases[i].text);
        CHECK_AS(cases[i].value ? text_is(value, cases[i].value) : !value.p, cases[i].text);
    }
}

static void text_json_strings(void) {
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {{"\"\"", ""},
                 {" \t\"a\"", "a"},
                 {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
                 {"\"v=0\\r\\no=-\\r\\n\"", "v=0\r\no=-\r\n"},
                 {"\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
                 {"\"\\uD834\\uDD1E\"", "\xf0\x9d\x84\x9e"}, /* RFC 8259 7's own */
                 {"\"\\u0001\\u001f\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
                  "\x01\x1f\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
                 {"\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
                 {"\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80"},
                 {"\"\xc3\xa9\x7f\"", "\xc3\xa9\x7f"},
                 {"\"\\\\u0041\"", "\\u0041"},
                 {"\"a\\u0000b\"", NULL},
                 {"\"\\ud83d\"", NULL},
                 {"\"\\ude00\"", NULL},
                 {"\"\\ude00\\ud83d\"", NULL},
                 {"\"\\ud83d\\ud83d\\ude00\"", NULL},
                 {"\"\\ud83dx\"", NULL},
                 {"\"\\ud83d\\ue000\"", NULL},
                 {"\"\\ud83d\\n\"", NULL},
                 {"\"\\ud83d\\u0041\"", NULL},
                 {"\"\\ud83d\\ude0\"", NULL},
                 {"\"\\ud83d\\\\ude00\"", NULL},
                 {"\"\\q\"", NULL},
                 {"\"\\u12\"", NULL},
                 {"\"\\u12g4\"", NULL},
                 {"\"\\u+123\"", NULL},
                 {"\"\n\"", NULL},
                 {"\"a", NULL},
                 {"a", NULL},
                 {"1", NULL},
                 {"null", NULL},
                 {"[\"a\"]", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int over = 0; over < 2; over++) { /* into a buffer of its own, over its own text */
            uint8_t out[200];
            struct span s = exact(cases[i].in, strlen(cases[i].in));
            struct wr w = over ? bytes_wr((void *)(uintptr_t)s.p, s.n) : bytes_wr(out, sizeof out);
            bool ok = text_unjson(&w, s);
            CHECK_AS(ok == (cases[i].out != NULL) && (!ok || text_is(bytes_written(&w), cases[i].out)), cases[i].in);
            gone(s);
        }
    uint8_t two[2];
    struct wr w = bytes_wr(two, 2);
    CHECK(!text_unjson(&w, lit("\"abc\""))); /* does not fit */
    w = bytes_wr(two, 2);
    CHECK(!text_unjson(&w, lit("\"\\u20ac\"")));
}

/* What is written reads back: any text of one-byte characters but NUL. */
static void text_json_round(void) {
    rnd_seed(31);
    for (int i = 0; i < 2000; i++) {
        uint8_t plain[40], text[300], back[300];
        size_t n = rnd(sizeof plain);
        for (size_t k = 0; k < n; k++) plain[k] = (uint8_t)(1 + rnd(127));
        struct wr w = bytes_wr(text, sizeof text), b = bytes_wr(back, sizeof back);
        struct span value;
        text_put(&w, "{\"x\":");
        text_json(&w, base_span(plain, n));
        text_put(&w, "}");
        bool ok = text_json_object(bytes_written(&w), "x", &value) && text_unjson(&b, value);
        CHECK(ok && text_same(bytes_written(&b), base_span(plain, n)));
    }
}

static void text_json_bad_input(void) {
    static const char *const seeds[] = {
        "{\"type\":\"offer\",\"sdp\":\"v=0\\r\\na=x:\\u00e9\\ud83d\\ude00\\\"\\\\\\r\\n\"}",
        "{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"\",\"sdpMid\":null,\"sdpMLineIndex\":0,\"x\":[1.5e-3]}"
        "}"};
    rnd_seed(32);
    for (int i = 0; i < 30000; i++) {
        struct span s = mutated(lit(seeds[i % 2])), value;
        if (text_json_object(s, i & 2 ? "sdp" : "type", &value) && value.p) {
            struct wr w = bytes_wr((void *)(uintptr_t)s.p, s.n); /* in place, as signaling does */
            CHECK(value.p > s.p && value.p + value.n < s.p + s.n);
            if (text_unjson(&w, value)) CHECK(text_utf8(bytes_written(&w)) && !(w.n && memchr(w.p, 0, w.n)));
        }
        gone(s);
    }
}

/* ---- UTF-8: the Unicode Standard's table 3-7, written once more ---- */

static size_t utf8_one(const uint8_t *p, size_t n) { /* the length of the character at p, 0: ill-formed */
    static const struct {
        uint8_t first[2], second[2];
        size_t n;
    } row[] = {{{0x00, 0x7f}, {0}, 1},          {{0xc2, 0xdf}, {0x80, 0xbf}, 2}, {{0xe0, 0xe0}, {0xa0, 0xbf}, 3},
               {{0xe1, 0xec}, {0x80, 0xbf}, 3}, {{0xed, 0xed}, {0x80, 0x9f}, 3}, {{0xee, 0xef}, {0x80, 0xbf}, 3},
               {{0xf0, 0xf0}, {0x90, 0xbf}, 4}, {{0xf1, 0xf3}, {0x80, 0xbf}, 4}, {{0xf4, 0xf4}, {0x80, 0x8f}, 4}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (p[0] < row[i].first[0] || p[0] > row[i].first[1]) continue;
        if (n < row[i].n) return 0;
        if (row[i].n > 1 && (p[1] < row[i].second[0] || p[1] > row[i].second[1])) return 0;
        for (size_t k = 2; k < row[i].n; k++)
            if (p[k] < 0x80 || p[k] > 0xbf) return 0;
        return row[i].n;
    }
    return 0;
}

static bool utf8_well(const uint8_t *p, size_t n) {
    for (size_t i = 0, one; i < n; i += one)
        if (!(one = utf8_one(p + i, n - i))) return false;
    return true;
}

static void text_utf8_all(void) {
    static const uint8_t tail[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    uint8_t b[8];
    size_t wrong = 0, good = 0;
    for (uint32_t v = 0; v < 65536; v++) { /* every two bytes */
        b[0] = (uint8_t)(v >> 8), b[1] = (uint8_t)v;
        for (size_t n = 1; n <= 2; n++) wrong += text_utf8(base_span(b, n)) != utf8_well(b, n);
    }
    for (uint32_t v = 0; v < 64 * 256 * 100; v++) { /* three and four, the latter ones about every border */
        b[0] = (uint8_t)(0xc0 + v / 25600), b[1] = (uint8_t)(v / 100), b[2] = tail[v / 10 % 10], b[3] = tail[v % 10];
        for (size_t n = 3; n <= 4; n++) wrong += text_utf8(base_span(b, n)) != utf8_well(b, n);
    }
    CHECK(!wrong);
    for (uint32_t c = 0; c < 0x110000; c++) { /* every character, as written */
        struct wr w = bytes_wr(b, sizeof b);
        text_put_utf8(&w, c);
        bool half = c >= 0xd800 && c < 0xe000;
        good += text_utf8(bytes_written(&w)) == !half && utf8_one(b, w.n) == (half ? 0 : w.n);
    }
    CHECK(good == 0x110000);
    struct span cut = exact("\xf0\x9f\x98\x80", 4), early = exact(cut.p, 3);
    CHECK(text_utf8(cut) && !text_utf8(early) && text_utf8(base_span(NULL, 0)));
    gone(cut);
    gone(early);
}

static void text_thousandths(void) {
    static const struct {
        int64_t v;
        const char *text;
    } cases[] = {
        {0, "0.000"},      {1, "0.001"},      {-1, "-0.001"},    {999, "0.999"},   {1000, "1.000"},
        {-1500, "-1.500"}, {25000, "25.000"}, {29970, "29.970"}, {-999, "-0.999"}, {INT64_MAX, "9223372036854775.807"}};
    char out[40];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wr w = bytes_wr(out, sizeof out);
        text_put_thousandths(&w, cases[i].v);
        CHECK_AS(text_is(bytes_written(&w), cases[i].text), cases[i].text);
    }
}

/* printf writes %f, %e and %g by the locale, and JSON and Prometheus know the point only: no format has one of them. */
static void text_no_locale(void) {
    size_t n, formats = 0;
    uint8_t *p = file_read("webrtc_cam.c", &n);
    SKIP_UNLESS(p, "webrtc_cam.c is not in this directory");
    struct span all = base_span(p, n);
    bool page = false; /* that room has percent signs of another kind */
    while (all.n) {
        struct span line = text_line(&all), rest = text_trim(line);
        if (text_after(&rest, "/* ==== ")) {
            text_word(&rest);
            page = text_is(text_word(&rest), "page");
        }
        if (page || !rest.n || rest.p[0] == '*' || text_after(&rest, "/*")) continue;
        for (size_t i = 0; i < line.n; i++) {
            if (line.p[i] != '%') continue;
            while (++i < line.n && (text_digits(line, i) || strchr("*.+-#", line.p[i]))) continue;
            formats += i < line.n && line.p[i] == 's';
            CHECK_AS(i == line.n || !strchr("eEfFgGaA", line.p[i]), vec_text(line));
        }
    }
    CHECK(formats > 20); /* they were seen at all */
    free(p);
}

/* ==== crypt ==== */

static void crypt_hmac(void) { /* RFC 2202 3, test cases 1, 2 and 6 */
    uint8_t mac[CRYPT_SHA1], key[80];
    memset(key, 0x0b, 20);
    crypt_hmac_sha1(base_span(key, 20), lit("Hi "), lit("There"), mac);
    CHECK(bytes_are(base_span(mac, 20), "b617318655057264e28bc0b6fb378c8ef146be00"));
    crypt_hmac_sha1(lit("Jefe"), lit("what do ya want "), lit("for nothing?"), mac);
    CHECK(bytes_are(base_span(mac, 20), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
    memset(key, 0xaa, 80); /* longer than a block: the key is hashed first */
    crypt_hmac_sha1(base_span(key, 80), lit("Test Using Larger Than Block-Size Key - Hash Key First"), lit(""), mac);
    CHECK(bytes_are(base_span(mac, 20), "aa4ae5e15272d00e95705637ce8a3b55ed402112"));
}

static void crypt_hashes(void) {
    uint8_t h[CRYPT_HASH_MAX];
    CHECK(crypt_hash(MBEDTLS_MD_SHA256, lit("abc"), h) == 32);
    CHECK(bytes_are(base_span(h, 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    CHECK(crypt_hash(MBEDTLS_MD_SHA384, lit("abc"), h) == 48 && crypt_hash(MBEDTLS_MD_SHA512, lit("abc"), h) == 64);
    CHECK(crypt_hash(MBEDTLS_MD_NONE, lit("abc"), h) == 0);
}

static void crypt_comparison(void) {
    CHECK(crypt_same("abc", "abc", 3) && !crypt_same("abc", "abd", 3));
    CHECK(crypt_same_text(lit("s3cret"), lit("s3cret")));
    CHECK(!crypt_same_text(lit("s3creT"), lit("s3cret")) && !crypt_same_text(lit("s3cre"), lit("s3cret")));
    CHECK(!crypt_same_text(lit("s3crets3cret"), lit("s3cret")) && !crypt_same_text(lit(""), lit("s3cret")));
}

static void crypt_names(void) {
    struct crypt c;
    char a[32], b[32];
    CHECK(!crypt_open(&c));
    crypt_name(&c, 16, a, sizeof a);
    crypt_name(&c, 16, b, sizeof b);
    CHECK(strlen(a) == 22 && strlen(b) == 22 && strcmp(a, b));
    crypt_close(&c);
}

#define SIM_BEGIN (1000 * BASE_S) /* where fake clocks begin */

/* ==== stun ==== */

struct check {
    const char *username, *key;
    const char *id; /* 12 characters */
    bool nominate, controlled;
    unsigned extra; /* one more attribute of this type */
};

/* A binding request as a browser sends it. */
static struct span check_write(struct wr *w, const struct check *c) {
    uint8_t number[8] = {0x6e, 0, 0x1e, 0xff, 1, 2, 3, 4};
    w->n = 0;
    w->bad = false;
    stun_begin(w, STUN_BINDING, (const uint8_t *)(c->id ? c->id : "abcdefghijkl"));
    if (c->username) stun_put(w, STUN_USERNAME, text_of(c->username));
    if (c->extra) stun_put(w, c->extra, lit("x"));
    stun_put(w, c->controlled ? STUN_ICE_CONTROLLED : STUN_ICE_CONTROLLING, base_span(number, 8));
    if (c->nominate) stun_put(w, STUN_USE_CANDIDATE, lit(""));
    stun_put(w, STUN_PRIORITY, base_span(number, 4));
    stun_finish(w, c->key ? text_of(c->key) : lit(""));
    return bytes_written(w);
}

static void stun_own(void) {
    uint8_t out[512];
    struct wr w = bytes_wr(out, sizeof out);
    struct stun_msg m;
    struct check c = {.username = "ours:theirs", .key = "a password of some length", .nominate = true};
    struct span s = check_write(&w, &c), e = exact(s.p, s.n);
    CHECK(!w.bad && stun_read(e, &m) == DROP_NONE && m.type == STUN_BINDING && !memcmp(m.id, "abcdefghijkl", 12));
    CHECK(text_is(m.username, "ours:theirs") && m.use_candidate && m.fingerprint && !m.unknown_count && !m.controlled);
    CHECK(stun_authentic(e, &m, text_of(c.key)) && !stun_authentic(e, &m, lit("another password")));
    gone(e);
    c.controlled = true;
    c.extra = 0x7777;
    s = check_write(&w, &c);
    CHECK(stun_read(s, &m) == DROP_NONE && m.controlled && m.unknown_count == 1 && m.unknown[0] == 0x7777);
    c.extra = 0xc057; /* comprehension-optional, unknown: passed over */
    CHECK(stun_read(check_write(&w, &c), &m) == DROP_NONE && m.unknown_count == 0);
}

static void stun_mapped(void) {
    static const char *const ips[] = {"192.0.2.33", "2001:db8::1234"};
    for (int i = 0; i < 2; i++) {
        uint8_t out[256];
        struct wr w = bytes_wr(out, sizeof out);
        struct stun_msg m;
        struct wcam_addr a;
        text_ip(lit(ips[i]), &a);
        a.port = 54321;
        stun_begin(&w, STUN_SUCCESS, (const uint8_t *)"0123456789ab");
        stun_put_mapped(&w, a);
        stun_finish(&w, lit("key"));
        CHECK(stun_read(bytes_written(&w), &m) == DROP_NONE && base_addr_same(&m.mapped, &a));
    }
    struct wr none = bytes_wr(NULL, 0); /* a writer without room: bad, nothing touched */
    struct wcam_addr a = {.family = 4};
    stun_begin(&none, STUN_SUCCESS, (const uint8_t *)"0123456789ab");
    stun_put_mapped(&none, a);
    stun_finish(&none, lit("key"));
    CHECK(none.bad && none.n == 0);
}

static void stun_refusals(void) {
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    struct stun_msg q = {.id = (const uint8_t *)"0123456789ab", .unknown_count = 3, .unknown = {1, 2, 3}}, m;
    stun_refuse(&w, &q, 420, lit("key"));
    CHECK(stun_read(bytes_written(&w), &m) == DROP_NONE && m.type == STUN_ERROR && m.error == 420);
    CHECK(stun_authentic(bytes_written(&w), &m, lit("key")));
    q.unknown_count = 1000; /* more than are kept */
    w = bytes_wr(out, sizeof out);
    stun_refuse(&w, &q, 420, lit("key"));
    CHECK(!w.bad && stun_read(bytes_written(&w), &m) == DROP_NONE);
    static const unsigned codes[] = {400, 401, 420, 487};
    for (int i = 0; i < 4; i++) {
        w = bytes_wr(out, sizeof out);
        stun_refuse(&w, &q, codes[i], lit(""));
        CHECK(stun_read(bytes_written(&w), &m) == DROP_NONE && m.error == codes[i] && !m.integrity.p);
    }
}

/* Messages that break a rule each; the rule is in the name. */
static void stun_malformed(void) {
#define HEAD(type, length)         \
    type length "\x21\x12\xa4\x42" \
                "abcdefghijkl"
    static const struct {
        const char *rule;
        struct span s;
        enum drop want;
    } cases[] = {
        {"no attributes at all", RAW(HEAD("\0\1", "\0\0")), DROP_NONE},
        {"first two bits", RAW(HEAD("\x40\1", "\0\0")), DROP_STUN_MALFORMED},
        {"cookie",
         RAW("\0\1\0\0\x21\x12\xa4\x43"
             "abcdefghijkl"),
         DROP_STUN_MALFORMED},
        {"length below what follows", RAW(HEAD("\0\1", "\0\0") "\0\6\0\0"), DROP_STUN_MALFORMED},
        {"length above what follows", RAW(HEAD("\0\1", "\0\10") "\0\6\0\0"), DROP_STUN_MALFORMED},
        {"length no multiple of 4", RAW(HEAD("\0\1", "\0\5") "\0\6\0\1x"), DROP_STUN_MALFORMED},
        {"attribute past the end", RAW(HEAD("\0\1", "\0\4") "\0\6\0\4"), DROP_STUN_MALFORMED},
        {"value without its padding", RAW(HEAD("\0\1", "\0\4") "\0\6\377\377"), DROP_STUN_MALFORMED},
        {"padding that is not zero", RAW(HEAD("\0\1", "\0\10") "\0\6\0\1xyzw"), DROP_NONE},
        {"integrity of 4 bytes", RAW(HEAD("\0\1", "\0\10") "\0\10\0\4abcd"), DROP_STUN_MALFORMED},
        {"fingerprint wrong", RAW(HEAD("\0\1", "\0\10") "\x80\x28\0\4abcd"), DROP_STUN_FINGERPRINT},
        {"priority of 8 bytes", RAW(HEAD("\0\1", "\0\14") "\0\x24\0\10abcdefgh"), DROP_STUN_MALFORMED},
        {"mapped address of no family", RAW(HEAD("\1\1", "\0\14") "\0\x20\0\10\0\3\0\0abcd"), DROP_STUN_MALFORMED},
        {"mapped IPv6 address of 4 bytes", RAW(HEAD("\1\1", "\0\14") "\0\x20\0\10\0\2\0\0abcd"), DROP_STUN_MALFORMED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stun_msg m;
        struct span s = exact(cases[i].s.p, cases[i].s.n);
        CHECK_AS(stun_read(s, &m) == cases[i].want, cases[i].rule);
        gone(s);
    }
    /* behind MESSAGE-INTEGRITY nothing counts but FINGERPRINT; behind FINGERPRINT nothing may stand */
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    struct stun_msg m;
    struct check c = {.username = "a:b", .key = "key"};
    check_write(&w, &c);
    w.n -= 8; /* off with the fingerprint */
    stun_put(&w, STUN_USE_CANDIDATE, lit(""));
    stun_put(&w, 0x7777, lit(""));
    bytes_w16_at(&w, 2, (unsigned)w.n - 20);
    CHECK(stun_read(bytes_written(&w), &m) == DROP_NONE && !m.use_candidate && !m.unknown_count);
    CHECK(stun_authentic(bytes_written(&w), &m, lit("key")));
    for (int last = 0; last < 2; last++) { /* a right checksum, with the length it will have; in front or at the end */
        w = bytes_wr(out, sizeof out);
        stun_begin(&w, STUN_BINDING, (const uint8_t *)"abcdefghijkl");
        if (last) stun_put(&w, 0x8022, lit("soft"));
        bytes_w16_at(&w, 2, 16);
        uint32_t crc = bytes_crc32(bytes_written(&w)) ^ STUN_FINGERPRINT_XOR;
        bytes_w32(&w, 0x80280004);
        bytes_w32(&w, crc);
        if (!last) stun_put(&w, 0x8022, lit("soft"));
        CHECK(stun_read(bytes_written(&w), &m) == (last ? DROP_NONE : DROP_STUN_FINGERPRINT));
    }
    char name[600];
    memset(name, 'u', sizeof name);
    uint8_t large[1024];
    w = bytes_wr(large, sizeof large);
    for (size_t n = 508; n <= 509; n++) { /* RFC 8489 14.3 */
        name[n] = 0;
        c.username = name;
        CHECK(stun_read(check_write(&w, &c), &m) == (n == 508 ? DROP_NONE : DROP_STUN_MALFORMED));
        name[n] = 'u';
    }
}

static void stun_bad_input(void) {
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    struct check c = {.username = "ours:theirs", .key = "secret", .nominate = true, .extra = 0x7001};
    struct span s = check_write(&w, &c);
    struct stun_msg m;
    for (size_t n = 0; n < s.n; n++) {
        struct span e = exact(s.p, n);
        CHECK(stun_read(e, &m) == DROP_STUN_MALFORMED);
        gone(e);
    }
    for (size_t bit = 0; bit < s.n * 8; bit++) { /* no flipped bit goes unnoticed */
        struct span e = exact(s.p, s.n);
        ((uint8_t *)(uintptr_t)e.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(stun_read(e, &m) != DROP_NONE || !stun_authentic(e, &m, lit("secret")) || !m.fingerprint);
        gone(e);
    }
    rnd_seed(3);
    for (int i = 0; i < 30000; i++) {
        struct span e = mutated(s);
        if (i % 3 == 0 && e.n >= 20) { /* get past the header */
            memcpy((void *)(uintptr_t)e.p, s.p, 20);
            ((uint8_t *)(uintptr_t)e.p)[2] = (uint8_t)((e.n - 20) >> 8);
            ((uint8_t *)(uintptr_t)e.p)[3] = (uint8_t)(e.n - 20);
        }
        if (stun_read(e, &m) == DROP_NONE) (void)stun_authentic(e, &m, lit("secret"));
        gone(e);
    }
}

static void stun_vectors(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    int n = 0;
    for (struct vec *v = NULL; (v = vec_next("stun", v)); n++) {
        struct stun_msg m;
        const char *name = vec_text(v->f[0]);
        CHECK_AS(stun_read(v->f[1], &m) == DROP_NONE, name);
        CHECK_AS(stun_authentic(v->f[1], &m, v->f[2]) == text_is(v->f[3], "1"), name);
        CHECK_AS(m.fingerprint == text_is(v->f[4], "1"), name);
        if (v->n > 5 && v->f[5].n) {
            uint8_t out[64];
            struct wr w = bytes_wr(out, sizeof out);
            struct wcam_addr a;
            struct span ip = v->f[5], all = ip;
            while (ip.n && ip.p[ip.n - 1] != ':') ip.n--;
            ip.n--;
            if (ip.p[0] == '[') ip = base_span(ip.p + 1, ip.n - 2);
            CHECK_AS(text_ip(ip, &a), name);
            a.port = m.mapped.port;
            CHECK_AS(base_addr_same(&a, &m.mapped), name);
            text_putf(&w, ":%u", m.mapped.port);
            CHECK_AS(all.n > w.n && !memcmp(all.p + all.n - w.n, w.p, w.n), name);
        }
        for (size_t k = 0; k < v->f[1].n; k++) {
            struct span e = exact(v->f[1].p, k);
            CHECK_AS(stun_read(e, &m) != DROP_NONE, name);
            gone(e);
        }
    }
    CHECK(n == 5);
}

/* ==== ice ==== */

static struct path path_to(unsigned host, unsigned port) {
    struct path p = {{4, (uint16_t)port, {10, 0, 0, (uint8_t)host}}, {0}};
    return p;
}

static struct ice ice_new(void) {
    struct ice ice = {.ufrag = "ours", .pwd = "our password, long", .peer_ufrag = "theirs"};
    return ice;
}

/* Feeds a check, gives the response's error code (0: success, -1: none) and checks its signature. */
static int ice_feed(struct ice *ice, const struct path *path, const struct check *c, int64_t now, enum drop *drop) {
    uint8_t in[512], out[512];
    struct wr w = bytes_wr(in, sizeof in), reply = bytes_wr(out, sizeof out);
    struct stun_msg m, r;
    struct span s = check_write(&w, c);
    CHECK(stun_read(s, &m) == DROP_NONE);
    *drop = ice_input(ice, path, s, &m, now, &reply);
    if (!reply.n) return -1;
    CHECK(stun_read(bytes_written(&reply), &r) == DROP_NONE && !memcmp(r.id, m.id, 12) && r.fingerprint);
    CHECK(reply.n <= s.n + 40);
    bool is_signed = stun_authentic(bytes_written(&reply), &r, text_of(ice->pwd));
    CHECK(is_signed == (r.error != 400 && r.error != 401));
    if (r.type != STUN_SUCCESS) return (int)r.error;
    CHECK(base_addr_same(&r.mapped, &path->remote));
    return 0;
}

static void ice_answers(void) {
    struct ice ice = ice_new();
    struct path path = path_to(1, 5000);
    enum drop d;
    const struct check good = {.username = "ours:theirs", .key = "our password, long"};
    struct check c = good;
    CHECK(ice_feed(&ice, &path, &c, 7, &d) == 0 && d == DROP_NONE && ice_connected(&ice) && ice.heard == 7);
    CHECK(!ice.nominated && base_path_same(&ice.active, &path));
    static const struct {
        struct check c;
        int code;
        enum drop drop;
    } bad[] = {{{.key = "our password, long"}, 400, DROP_STUN_NO_CREDENTIALS},
               {{.username = "ours:theirs"}, 400, DROP_STUN_NO_CREDENTIALS},
               {{.username = "ours:theirs", .key = "wrong"}, 401, DROP_STUN_INTEGRITY},
               {{.username = "ours:other", .key = "our password, long"}, 401, DROP_STUN_USERNAME},
               {{.username = "theirs:ours", .key = "our password, long"}, 401, DROP_STUN_USERNAME},
               {{.username = "ours", .key = "our password, long"}, 401, DROP_STUN_USERNAME},
               {{.username = "ours:theirs:x", .key = "our password, long"}, 401, DROP_STUN_USERNAME},
               {{.username = "ours:theirs", .key = "our password, long", .extra = 0x7001}, 420, DROP_STUN_ATTRIBUTE},
               {{.username = "ours:theirs", .key = "our password, long", .controlled = true}, 487, DROP_ICE_ROLE}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct path other = path_to(2, 6000 + (unsigned)i);
        CHECK(ice_feed(&ice, &other, &bad[i].c, 99, &d) == bad[i].code);
        CHECK(d == bad[i].drop);
        CHECK(ice.heard == 7 && ice.path_count == 1 && !ice_knows(&ice, &other)); /* nothing changed */
    }
}

static void ice_other_methods(void) {
    struct ice ice = ice_new();
    struct path path = path_to(1, 5000);
    static const unsigned types[] = {STUN_INDICATION, STUN_SUCCESS, STUN_ERROR, 3};
    for (int i = 0; i < 4; i++) {
        uint8_t in[256], out[256];
        struct wr w = bytes_wr(in, sizeof in), reply = bytes_wr(out, sizeof out);
        struct stun_msg m;
        stun_begin(&w, types[i], (const uint8_t *)"abcdefghijkl");
        stun_put(&w, STUN_USERNAME, lit("ours:theirs"));
        stun_finish(&w, text_of(ice.pwd));
        CHECK(stun_read(bytes_written(&w), &m) == DROP_NONE);
        CHECK(ice_input(&ice, &path, bytes_written(&w), &m, 5, &reply) == (i ? DROP_STUN_METHOD : DROP_NONE));
        CHECK(!reply.n && !ice.heard && !ice_connected(&ice)); /* no answer, no consent, no path */
    }
}

static void ice_nominates(void) {
    struct ice ice = ice_new();
    struct path a = path_to(1, 1), b = path_to(2, 2), c = path_to(3, 3);
    ice_prove(&ice, &a, false);
    ice_prove(&ice, &b, false);
    CHECK(base_path_same(&ice.active, &b)); /* before nomination the latest */
    ice_prove(&ice, &a, true);
    CHECK(ice.nominated && base_path_same(&ice.active, &a));
    ice_prove(&ice, &b, false);
    ice_prove(&ice, &c, false);
    CHECK(base_path_same(&ice.active, &a)); /* then what was nominated */
    ice_prove(&ice, &c, true);
    CHECK(base_path_same(&ice.active, &c)); /* until another one is */
    CHECK(ice.path_count == 3);
    /* consent is for the path in use: checks on another one do not prolong it */
    const struct check good = {.username = "ours:theirs", .key = "our password, long"};
    enum drop d;
    CHECK(ice_feed(&ice, &c, &good, 50, &d) == 0 && ice.heard == 50);
    CHECK(ice_feed(&ice, &a, &good, 99, &d) == 0 && ice.heard == 50);
    CHECK(ice_feed(&ice, &c, &good, 100, &d) == 0 && ice.heard == 100);
}

static void ice_eviction(void) { /* more paths than are kept: the one in use is never forgotten */
    rnd_seed(4);
    for (int round = 0; round < 50; round++) {
        struct ice ice = ice_new();
        for (int i = 0; i < 200; i++) {
            struct path p = path_to(rnd(3), 1000 + rnd(20));
            ice_prove(&ice, &p, !rnd(20));
            CHECK(ice_knows(&ice, &ice.active) && ice_knows(&ice, &p));
            CHECK(ice.path_count <= ICE_PATHS);
        }
    }
    struct ice ice = ice_new();
    struct path keep = path_to(9, 9);
    ice_prove(&ice, &keep, true);
    for (unsigned i = 0; i < 100; i++) {
        struct path p = path_to(1, i);
        ice_prove(&ice, &p, false);
        CHECK(ice_knows(&ice, &keep) && base_path_same(&ice.active, &keep));
    }
}

/* ==== dtls ==== */

static struct crypt home_crypt;
static struct dtls_home home; /* ours, for these tests; made once */

static bool home_ready(void) {
    if (home.crypt) return true;
    return !crypt_open(&home_crypt) && !dtls_home_open(&home, &home_crypt);
}

/* What one side sends, kept. */
struct box {
    int n;
    size_t size[64];
    uint8_t bytes[64][1500];
};

static void box_take(void *to, const struct path *path, const uint8_t *p, size_t n) {
    struct box *b = to;
    (void)path;
    if (!CHECK(b->n < 64 && n <= 1500)) return;
    memcpy(b->bytes[b->n], p, n);
    b->size[b->n++] = n;
}

static void dtls_home_is_fit(void) {
    CHECK(home_ready());
    CHECK(strlen(home.fingerprint) == 95);
    char line[128];
    uint8_t hash[CRYPT_HASH_MAX], own[CRYPT_HASH_MAX];
    mbedtls_md_type_t kind;
    snprintf(line, sizeof line, "sha-256 %s", home.fingerprint);
    CHECK(dtls_read_fingerprint(lit(line), &kind, hash) && kind == MBEDTLS_MD_SHA256);
    crypt_hash(MBEDTLS_MD_SHA256, base_span(home.cert.raw.p, home.cert.raw.len), own);
    CHECK(!memcmp(own, hash, 32));
}

static void dtls_fingerprints(void) {
    char line[256];
    uint8_t hash[CRYPT_HASH_MAX];
    mbedtls_md_type_t kind;
    static const struct {
        const char *name;
        int n, ok;
    } cases[] = {{"sha-256", 32, 1}, {"SHA-256", 32, 1}, {"sha-384", 48, 1}, {"sha-512", 64, 1}, {"sha-1", 20, 0},
                 {"sha-256", 31, 0}, {"sha-256", 33, 0}, {"md5", 16, 0},     {"sha-256", 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wr w = bytes_wr(line, sizeof line - 1);
        text_put(&w, cases[i].name);
        for (int k = 0; k < cases[i].n; k++) text_putf(&w, k ? ":%02x" : " %02X", k + 1);
        struct span s = exact(line, w.n);
        CHECK_AS(dtls_read_fingerprint(s, &kind, hash) == (cases[i].ok != 0), cases[i].name);
        CHECK(!cases[i].ok || (hash[0] == 1 && hash[cases[i].n - 1] == cases[i].n));
        for (size_t n = 0; n < s.n; n++) {
            struct span cut = exact(s.p, n);
            CHECK(!cases[i].ok || !dtls_read_fingerprint(cut, &kind, hash));
            gone(cut);
        }
        gone(s);
    }
}

/* A record with one fragment [at, at + n) of a handshake message. */
static struct span fragment_of(struct span message, unsigned type, size_t at, size_t n, unsigned seq, unsigned record) {
    uint8_t out[8192];
    struct wr w = bytes_wr(out, sizeof out);
    bytes_w8(&w, 22);
    bytes_w16(&w, 0xfefd);
    bytes_put_uint(&w, record, 8);
    bytes_w16(&w, (unsigned)(DTLS_HANDSHAKE_HEADER + n));
    bytes_w8(&w, type);
    bytes_w24(&w, (uint32_t)message.n);
    bytes_w16(&w, seq);
    bytes_w24(&w, (uint32_t)at);
    bytes_w24(&w, (uint32_t)n);
    bytes_put(&w, message.p + at, n);
    CHECK(!w.bad);
    return exact(out, w.n);
}

static struct dtls *dtls_new(bool server, struct box *box, int64_t now) {
    struct dtls *d = calloc(1, sizeof *d);
    struct path path = path_to(1, 1);
    CHECK(home_ready() && d && !dtls_open(d, &home, server, (struct emit){box_take, box}));
    d->peer_hash = MBEDTLS_MD_SHA256;
    dtls_start(d, &path, now);
    return d;
}

static void dtls_done(struct dtls *d) {
    dtls_close(d, 0);
    free(d);
}

/* Fragments in any order, overlapping and doubled, give the message; what does not belong to it gives nothing. */
static void dtls_gathers(void) {
    uint8_t body[DTLS_HELLO];
    struct box *box = calloc(1, sizeof *box);
    struct dtls *d = dtls_new(true, box, 0);
    rnd_seed(5);
    for (int round = 0; round < 300; round++) {
        size_t n = round ? 1 + rnd(round < 250 ? 2000 : DTLS_HELLO) : DTLS_HELLO, have = 0;
        uint8_t seen[DTLS_HELLO] = {0};
        rnd_fill(body, n);
        struct span message = base_span(body, n), got = {NULL, 0};
        for (int k = 0; k < 10000 && have < n; k++) {
            size_t at = rnd((uint32_t)n), part = 1 + rnd((uint32_t)(n - at));
            struct span f = fragment_of(message, 1, at, part, (unsigned)round & 0xffff, (unsigned)k);
            for (size_t i = at; i < at + part; i++) have += !seen[i], seen[i] = 1;
            CHECK(part == n || dtls_is_hello_fragment(f));
            got = dtls_gather(d, f);
            CHECK((got.n != 0) == (have == n));
            gone(f);
        }
        CHECK(got.n == DTLS_RECORD + DTLS_HANDSHAKE_HEADER + n && !memcmp(got.p + 25, body, n));
        struct span whole = fragment_of(message, 1, 0, n, (unsigned)round & 0xffff, 0);
        CHECK(got.n == whole.n && !memcmp(got.p, whole.p, 3) && !memcmp(got.p + 11, whole.p + 11, got.n - 11));
        CHECK(!dtls_is_hello_fragment(whole));
        gone(whole);
    }
    /* refused: longer than the bound, past its length, of no bytes, cut short, followed by something */
    memset(body, 7, sizeof body);
    struct span f = fragment_of(base_span(body, 4096), 1, 0, 100, 0, 0), g;
    uint8_t *p = (uint8_t *)(uintptr_t)f.p;
    p[14] = 0x10, p[15] = 0x10; /* 4112 */
    CHECK(!dtls_gather(d, f).n);
    p[14] = 0x00, p[15] = 0x63; /* 99 */
    CHECK(!dtls_gather(d, f).n);
    p[14] = 0x0f, p[15] = 0xff, p[19] = 0xff, p[20] = 0xff, p[21] = 0xff; /* offset 2^24 - 1 */
    CHECK(!dtls_gather(d, f).n);
    gone(f);
    f = fragment_of(base_span(body, 200), 1, 100, 0, 9, 0);
    CHECK(!dtls_gather(d, f).n && dtls_is_hello_fragment(f));
    gone(f);
    f = fragment_of(base_span(body, 200), 1, 0, 100, 9, 0);
    for (size_t n = 0; n < f.n; n++) {
        g = exact(f.p, n);
        CHECK(!dtls_is_hello_fragment(g) && !dtls_gather(d, g).n);
        gone(g);
    }
    gone(f);
    /* another message_seq begins anew */
    f = fragment_of(base_span(body, 200), 1, 0, 100, 1, 0);
    g = fragment_of(base_span(body, 200), 1, 100, 100, 2, 1);
    CHECK(!dtls_gather(d, f).n && !dtls_gather(d, g).n && !dtls_gather(d, f).n);
    gone(f);
    gone(g);
    dtls_done(d);
    free(box);
}

/* Is there a record with this handshake message in the box? */
static bool box_has(const struct box *b, unsigned handshake) {
    for (int i = 0; i < b->n; i++)
        for (size_t at = 0; at + 25 <= b->size[i];
             at += 13 + (size_t)(b->bytes[i][at + 11] << 8 | b->bytes[i][at + 12]))
            if (b->bytes[i][at] == 22 && b->bytes[i][at + 13] == handshake) return true;
    return false;
}

/* order: indices of two parts; 2 ends. A fresh server gets them and must answer with ServerHello, not before. */
static bool dtls_hello_answered(struct span parts[2], const char *order) {
    struct box *box = calloc(1, sizeof *box);
    struct dtls *d = dtls_new(true, box, 0);
    bool have[2] = {false, false}, ok = true;
    for (; *order; order++) {
        int i = *order - '0';
        int before = box->n;
        enum drop drop = dtls_input(d, parts[i], BASE_MS);
        ok = ok && drop == DROP_NONE;
        if (have[0] && have[1]) continue;
        have[i] = true;
        ok = ok && (have[0] && have[1] ? box_has(box, 2) : box->n == before);
    }
    ok = ok && d->state == DTLS_HANDSHAKING && box_has(box, 2) && box_has(box, 11) && box_has(box, 14);
    for (int i = 0; i < box->n; i++) ok = ok && box->size[i] <= BASE_DATAGRAM;
    dtls_done(d);
    free(box);
    return ok;
}

static void dtls_browser_hellos(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    static const char *const orders[] = {"01", "10", "001", "0011", "110", "1010", "0101"};
    int n = 0;
    for (struct vec *v = NULL; (v = vec_next("hello", v)); n++)
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
            char what[64];
            snprintf(what, sizeof what, "%s, in order %s", vec_text(v->f[0]), orders[i]);
            CHECK_AS(dtls_hello_answered(&v->f[1], orders[i]), what);
        }
    CHECK(n == 6);
    for (struct vec *v = NULL; (v = vec_next("joined", v));) { /* the re-assembly gives what a reference gave */
        struct vec *h = NULL;
        while ((h = vec_next("hello", h)) && h->f[0].p[0] != v->f[0].p[0]) continue;
        struct box *box = calloc(1, sizeof *box);
        struct dtls *d = dtls_new(true, box, 0);
        CHECK(h && !dtls_gather(d, h->f[1]).n);
        struct span got = dtls_gather(d, h->f[2]);
        CHECK(got.n == v->f[1].n && !memcmp(got.p + 11, v->f[1].p + 11, got.n - 11));
        dtls_done(d);
        free(box);
    }
}

/* Our own ClientHello, cut in pieces: what came out of the client goes into the server. */
static void dtls_own_hello(void) {
    struct box *box = calloc(1, sizeof *box);
    struct dtls *client = dtls_new(false, box, 0);
    CHECK(box->n == 1 && box_has(box, 1));
    struct span message = base_span(box->bytes[0] + 25, box->size[0] - 25);
    for (size_t cut = 1; cut < message.n; cut += message.n / 7) {
        struct span parts[2] = {fragment_of(message, 1, 0, cut, 0, 0),
                                fragment_of(message, 1, cut, message.n - cut, 0, 1)};
        CHECK(dtls_hello_answered(parts, "01") && dtls_hello_answered(parts, "10"));
        CHECK(dtls_hello_answered(parts, "0001"));
        gone(parts[0]);
        gone(parts[1]);
    }
    dtls_done(client);
    free(box);
}

static void dtls_bad_input(void) {
    struct box *box = calloc(1, sizeof *box);
    struct dtls *client = dtls_new(false, box, 0);
    struct span hello = exact(box->bytes[0], box->size[0]);
    dtls_done(client);
    struct span parts[2] = {fragment_of(base_span(hello.p + 25, hello.n - 25), 1, 0, 50, 0, 0),
                            fragment_of(base_span(hello.p + 25, hello.n - 25), 1, 50, hello.n - 75, 0, 1)};
    struct dtls *idle = calloc(1, sizeof *idle);
    CHECK(idle && dtls_input(idle, hello, 1) == DROP_DTLS_EARLY);
    free(idle);
    rnd_seed(6);
    for (int round = 0; round < 400; round++) {
        box->n = 0;
        struct dtls *d = dtls_new(round & 1, box, 0);
        for (int i = 0; i < 20; i++) {
            struct span s = mutated(rnd(3) ? parts[rnd(2)] : hello);
            if (s.n > 13 && rnd(2)) { /* a record length that fits gets further */
                ((uint8_t *)(uintptr_t)s.p)[11] = (uint8_t)((s.n - 13) >> 8);
                ((uint8_t *)(uintptr_t)s.p)[12] = (uint8_t)(s.n - 13);
            }
            if (box->n > 40) box->n = 0;
            dtls_input(d, s, i * BASE_MS);
            gone(s);
        }
        CHECK(d->state != DTLS_READY);
        dtls_done(d);
    }
    box->n = 0;
    struct dtls *d = dtls_new(true, box, 0);
    for (size_t n = 0; n < 13; n++) {
        struct span s = exact(hello.p, n);
        CHECK(dtls_input(d, s, 1) == DROP_DTLS_RECORD);
        gone(s);
    }
    dtls_done(d);
    gone(hello);
    gone(parts[0]);
    gone(parts[1]);
    free(box);
}

/* ==== seal ==== */

/* libsrtp2 is initialized by the first instance. */
static bool seal_ready(void) {
    static bool ready;
    wcam *w;
    struct wcam_config config = {.listen = ""};
    if (ready) return true;
    ready = !wcam_create(&config, &w);
    wcam_destroy(w);
    return ready;
}

static void seal_vector(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    struct vec *v = vec_next("srtp", NULL);
    uint8_t keys[DTLS_KEYS], p[64];
    struct seal us = {0}, them = {0};
    CHECK(seal_ready());
    memset(keys, 0x55, sizeof keys);
    memcpy(keys, v->f[0].p, 16); /* we are the client */
    memcpy(keys + 32, v->f[1].p, 14);
    CHECK(seal_open(&us, keys, false) && seal_open(&them, keys, true));
    size_t n = v->f[2].n;
    memcpy(p, v->f[2].p, n);
    CHECK(seal_rtp(&us, p, &n) && text_same(base_span(p, n), v->f[3]));
    n = v->f[4].n;
    memcpy(p, v->f[4].p, n);
    CHECK(seal_rtcp(&us, p, &n) && text_same(base_span(p, n), v->f[5]));
    CHECK(seal_unrtcp(&them, p, &n) && text_same(base_span(p, n), v->f[4]));
    seal_close(&us);
    seal_close(&them);
}

static void seal_both_ways(void) {
    uint8_t keys[DTLS_KEYS], p[128], copy[128];
    struct seal client = {0}, server = {0};
    CHECK(seal_ready());
    for (int i = 0; i < DTLS_KEYS; i++) keys[i] = (uint8_t)(i * 7);
    CHECK(seal_open(&client, keys, false) && seal_open(&server, keys, true));
    for (int way = 0; way < 2; way++) {
        struct seal *from = way ? &server : &client, *to = way ? &client : &server;
        struct wr w = bytes_wr(p, sizeof p);
        rtcp_put_bye(&w, 0x1234, "cam");
        size_t n = w.n, plain = w.n;
        memcpy(copy, p, n);
        CHECK(seal_rtcp(from, p, &n) && n == plain + 14 && plain + SEAL_ROOM >= n);
        for (size_t bit = 0; bit < n * 8; bit += 5) { /* tampered with */
            uint8_t bad[128];
            size_t k = n;
            memcpy(bad, p, n);
            bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(!seal_unrtcp(to, bad, &k));
        }
        for (size_t k = 0; k < n; k++) {
            struct span s = exact(p, k);
            size_t cut = k;
            CHECK(!seal_unrtcp(to, (uint8_t *)(uintptr_t)s.p, &cut));
            gone(s);
        }
        uint8_t again[128];
        size_t k = n;
        memcpy(again, p, n);
        CHECK(!seal_unrtcp(from, again, &k)); /* the other direction has another key */
        memcpy(again, p, n);
        k = n;
        CHECK(seal_unrtcp(to, p, &n) && n == plain && !memcmp(p, copy, n));
        CHECK(!seal_unrtcp(to, again, &k)); /* a replay */
    }
    seal_close(&client);
    seal_close(&client);
    seal_close(&server);
    size_t n = 64;
    CHECK(!seal_rtp(&client, p, &n) && !seal_rtcp(&client, p, &n) && !seal_unrtcp(&client, p, &n));
}

/* ==== sdp ==== */

static const char some_print[] =
    "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

/* In the manner of Chromium: video between audio and a data channel. %s: the fingerprint. */
static const char offer_chromium[] =
    "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 "
    "2\r\na=extmap-allow-mixed\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 "
    "0.0.0.0\r\na=ice-ufrag:peer\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
    "a=fingerprint:%s\r\na=setup:actpass\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 106 35\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=ice-ufrag:peer\r\na=ice-pwd:0123456789abcdefghijklmn\r\na=ice-options:trickle\r\na=fingerprint:%s\r\n"
    "a=setup:actpass\r\na=mid:1\r\na=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
    "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\na=recvonly\r\na=rtcp-mux\r\n"
    "a=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\n"
    "a=rtcp-fb:102 goog-remb\r\na=rtcp-fb:102 ccm fir\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\n"
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\na=rtpmap:103 rtx/90000\r\n"
    "a=fmtp:103 apt=102\r\na=rtpmap:104 H264/90000\r\na=rtcp-fb:104 nack pli\r\n"
    "a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\r\na=rtpmap:106 H264/90000\r\n"
    "a=rtcp-fb:106 nack pli\r\na=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=rtpmap:35 H264/90000\r\na=fmtp:35 packetization-mode=1;profile-level-id=4d001f\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:peer\r\n"
    "a=ice-pwd:0123456789abcdefghijklmn\r\na=fingerprint:%s\r\na=setup:actpass\r\na=mid:2\r\na=sctp-port:5000\r\n";

/* In the manner of Firefox: attributes in alphabetical order, fingerprint and direction at session level, LF alone. */
static const char offer_firefox[] =
    "v=0\no=mozilla...THIS_IS_SDPARTA 1 0 IN IP4 0.0.0.0\ns=-\nt=0 0\na=sendrecv\na=fingerprint:%s\na=group:BUNDLE 0\n"
    "a=ice-options:trickle\nm=video 9 UDP/TLS/RTP/SAVPF 120 126 97\nc=IN IP4 0.0.0.0\na=recvonly\n"
    "a=extmap:4/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\n"
    "a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1\n"
    "a=fmtp:97 profile-level-id=42e01f;level-asymmetry-allowed=1\na=ice-pwd:abcdef0123456789abcdef0123456789\n"
    "a=ice-ufrag:12345678\na=mid:0\na=rtcp-fb:126 nack\na=rtcp-fb:126 nack pli\na=rtcp-mux\na=rtpmap:120 VP8/90000\n"
    "a=rtpmap:126 H264/90000\na=rtpmap:97 H264/90000\na=setup:actpass\n";

static struct span offer_of(const char *format) {
    char text[8192];
    int n = snprintf(text, sizeof text, format, some_print, some_print, some_print);
    return exact(text, (size_t)n);
}

/* The offer with one piece of its text replaced everywhere. */
static struct span offer_with(const char *format, const char *from, const char *to) {
    char out[8192];
    struct span s = offer_of(format);
    struct wr w = bytes_wr(out, sizeof out);
    size_t n = strlen(from);
    for (size_t i = 0; i < s.n;) {
        if (n && s.n - i >= n && !memcmp(s.p + i, from, n)) text_put(&w, to), i += n;
        else bytes_w8(&w, s.p[i++]);
    }
    CHECK(!w.bad);
    gone(s);
    return exact(out, w.n);
}

static bool sdp_answer_to(struct wr *w, const struct sdp_offer *o, int section) {
    static const struct wcam_addr candidates[] = {{4, 8080, {192, 0, 2, 1}}, {6, 8080, {0x20, 1, 0xd, 0xb8}}};
    struct sdp_answer a = {.section = section,
                           .codec = sdp_best(&o->section[section], 0x42e01f),
                           .rtx = sdp_rtx(&o->section[section], sdp_best(&o->section[section], 0x42e01f)),
                           .rtx_ssrc = 4243,
                           .cname = "cname",
                           .session = 77,
                           .ssrc = 4242,
                           .ufrag = "ouru",
                           .pwd = "our-password-of-24-chars",
                           .fingerprint = some_print + 8,
                           .name = "cam",
                           .server = sdp_we_serve(&o->section[section]),
                           .candidate = candidates,
                           .candidates = 2};
    return sdp_write(w, o, &a);
}

/* What RFC 3264 and 8829 ask of an answer to o, chosen section included. */
static void sdp_check_answer(const struct sdp_offer *o, int chosen, struct span answer, const char *name) {
    static struct sdp_offer a;
    const char *why;
    if (!CHECK_AS(sdp_read(answer, &a, &why) == 0 && a.count == o->count, name)) return;
    for (int i = 0; i < a.count; i++) {
        const struct sdp_section *ours = &a.section[i], *theirs = &o->section[i];
        CHECK_AS(text_same(ours->kind, theirs->kind) && text_same(ours->protocol, theirs->protocol), name);
        CHECK_AS(text_same(ours->mid, theirs->mid), name);
        CHECK_AS(ours->offered == (i == chosen), name);
        CHECK_AS(ours->direction == (i == chosen ? SDP_SENDONLY : SDP_INACTIVE), name);
    }
    const struct sdp_section *v = &a.section[chosen], *offered = &o->section[chosen];
    const struct sdp_codec *best = sdp_best(offered, 0x42e01f), *rtx = sdp_rtx(offered, best);
    CHECK_AS(v->codec_count == 1 + (rtx != NULL) && v->codec[0].h264 && v->codec[0].pt == best->pt, name);
    CHECK_AS(v->codec[0].mode == best->mode && v->codec[0].profile == best->profile, name);
    CHECK_AS((v->codec[0].feedback & ~best->feedback) == 0, name);
    CHECK_AS(v->mux && (!v->rsize || offered->rsize), name);
    CHECK_AS(!rtx || (v->codec[1].rtx && v->codec[1].pt == rtx->pt && v->codec[1].apt == best->pt), name);
    /* without RTX a packet is repeated as it was, so no time of sending may be in it */
    CHECK_AS(v->abs_send_time == (rtx && !offered->abs_send_time_oneway ? offered->abs_send_time : 0) &&
                 v->playout_delay == (offered->playout_delay_oneway ? 0 : offered->playout_delay),
             name);
    CHECK_AS(text_is(v->transport.ufrag, "ouru") && text_is(v->transport.pwd, "our-password-of-24-chars"), name);
    CHECK_AS(v->transport.setup == (offered->transport.setup == SDP_ACTIVE ? SDP_PASSIVE : SDP_ACTIVE), name);
    CHECK_AS(!a.bundle.n || text_same(a.bundle, v->mid), name);
    /* RFC 9143 7.3: the answer's group holds nothing that the offer's did not */
    struct span group = o->bundle;
    bool in_group = false;
    while (group.n && !in_group) in_group = text_same(text_word(&group), v->mid);
    CHECK_AS(in_group || !a.bundle.n, name);
    for (size_t i = 0; i + 1 < answer.n; i++) CHECK_AS(answer.p[i + 1] != '\n' || answer.p[i] == '\r', name);
}

static void sdp_own_offers(void) {
    static struct sdp_offer o;
    const char *why;
    uint8_t out[4096];
    for (int i = 0; i < 2; i++) {
        struct span s = offer_of(i ? offer_firefox : offer_chromium);
        struct wr w = bytes_wr(out, sizeof out);
        CHECK(sdp_read(s, &o, &why) == 0);
        int chosen = sdp_choose(&o, 0x42e01f, &why);
        CHECK(chosen == (i ? 0 : 1));
        const struct sdp_codec *c = sdp_best(&o.section[chosen], 0x42e01f);
        CHECK(c->pt == (i ? 126 : 106) && c->mode == 1);
        CHECK(o.section[chosen].abs_send_time == (i ? 4 : 2) && o.section[chosen].playout_delay == (i ? 0 : 5));
        CHECK(text_is(o.section[chosen].transport.fingerprint, some_print));
        CHECK(sdp_answer_to(&w, &o, chosen));
        sdp_check_answer(&o, chosen, bytes_written(&w), i ? "like Firefox" : "like Chromium");
        struct wr small = bytes_wr(out, 300);
        CHECK(!sdp_answer_to(&small, &o, chosen));
        gone(s);
    }
}

/* One change each, and what is to become of the offer. */
static void sdp_verdicts(void) {
    static const struct {
        const char *from, *to, *reason; /* reason: part of it; NULL: accepted */
    } cases[] = {
        {"", "", NULL},
        {"a=setup:actpass", "a=setup:active", NULL},
        {"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", NULL},
        {"H264/90000", "h264/90000", NULL},
        {"a=recvonly", "a=sendrecv", NULL},
        {"m=video 9 ", "m=video 0 ", "port 0"},
        {"a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n", NULL},
        {"a=recvonly", "a=sendonly", "does not receive"},
        {"a=recvonly", "a=inactive", "does not receive"},
        {"H264/90000", "VP9/90000", "no H.264"},
        {"packetization-mode=1", "packetization-mode=2", NULL}, /* 104 has mode 0 */
        {"a=rtcp-mux", "a=rtcp-no", "rtcp-mux"},
        {"a=ice-ufrag:peer", "a=ice-ufrag:abc", "ice-ufrag"},
        {"a=ice-pwd:0123456789abcdefghijklmn", "a=ice-pwd:0123456789abcdefghijk", "ice-ufrag"},
        {"a=fingerprint:sha-256", "a=fingerprint:sha-1", "fingerprint"},
        {"m=video", "m=text", "no video"},
        {"UDP/TLS/RTP/SAVPF", "RTP/AVP", "UDP/TLS/RTP/SAVPF"},
        {"v=0", "v=1", "v=0"},
        {"s=-", "nonsense", "x=value"},
        {"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 106 35", "m=video 9", "m= line"},
        {"m=video 9 ", "m=video 99999 ", "m= line"},
    };
    static struct sdp_offer o;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span s = offer_with(offer_chromium, cases[i].from, cases[i].to);
        const char *why = "", *expect = cases[i].reason;
        bool ok = sdp_read(s, &o, &why) == 0 && sdp_choose(&o, 0x42e01f, &why) >= 0;
        CHECK_AS(ok == !expect, cases[i].to);
        CHECK_AS(ok || (why && strstr(why, expect)), why ? why : cases[i].to);
        gone(s);
    }
    struct span s = offer_with(offer_chromium, "m=audio", "m=video"); /* two videos: the first that can be served */
    const char *why;
    CHECK(sdp_read(s, &o, &why) == 0 && sdp_choose(&o, 0, &why) == 1);
    gone(s);
    uint8_t out[4096];
    struct wr w = bytes_wr(out, sizeof out);
    s = offer_with(offer_chromium, "a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 2"); /* video stands outside the group */
    CHECK(sdp_read(s, &o, &why) == 0 && sdp_choose(&o, 0, &why) == 1 && sdp_answer_to(&w, &o, 1));
    sdp_check_answer(&o, 1, bytes_written(&w), "video outside of the BUNDLE group");
    gone(s);
}

/* A section may go without ICE and DTLS lines of its own only inside the bundle, whose first section has them. */
static void sdp_bundle_lends(void) {
    static const char format[] =
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE %s\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:peer\r\na=ice-pwd:0123456789abcdefghijklmn\r\n"
        "a=fingerprint:%s\r\na=setup:active\r\na=recvonly\r\na=rtcp-mux\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 102\r\n%sa=recvonly\r\na=rtcp-mux\r\na=rtpmap:102 H264/90000\r\n"
        "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n";
    static const struct {
        const char *group, *mid;
        bool lends;
    } cases[] = {{"0 1", "a=mid:1\r\n", true},  {"0", "a=mid:1\r\n", false}, {"1", "a=mid:1\r\n", false},
                 {"1 0", "a=mid:1\r\n", false}, {"0 1", "", false},          {"0 11", "a=mid:1\r\n", false},
                 {"", "a=mid:1\r\n", false}};
    static struct sdp_offer o;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        const char *why = "";
        int n = snprintf(text, sizeof text, format, cases[i].group, some_print, cases[i].mid);
        struct span s = exact(text, (size_t)n);
        CHECK(sdp_read(s, &o, &why) == 0 && o.count == 2);
        int chosen = sdp_choose(&o, 0x42e01f, &why);
        const struct sdp_transport *v = &o.section[1].transport;
        CHECK_AS(chosen == (cases[i].lends ? 1 : -1), cases[i].group);
        if (cases[i].lends)
            CHECK(text_is(v->ufrag, "peer") && text_is(v->fingerprint, some_print) && v->setup == SDP_ACTIVE);
        else
            CHECK_AS(!v->ufrag.n && !v->pwd.n && !v->fingerprint.n && !v->has_setup && why &&
                         !strcmp(why, "the offer lacks a=ice-ufrag and a=ice-pwd"),
                     why ? why : cases[i].group);
        gone(s);
    }
}

static void sdp_profiles(void) {
    static struct sdp_offer o;
    const char *why;
    struct span s = offer_of(offer_chromium);
    CHECK(sdp_read(s, &o, &why) == 0);
    CHECK(sdp_best(&o.section[1], 0x4d0028)->pt == 35);  /* a Main stream: Main was offered */
    CHECK(sdp_best(&o.section[1], 0x640028)->pt == 106); /* High was not: the one that every browser takes */
    CHECK(sdp_best(&o.section[1], 0x42e01f)->pt == 106);
    CHECK(sdp_best(&o.section[1], 0)->pt == 106);
    gone(s);
}

static void sdp_limits_hold(void) {
    static struct sdp_offer o;
    static char text[300000];
    const char *why;
    struct wr w = bytes_wr(text, sizeof text);
    text_put(&w, "v=0\r\n");
    for (int i = 0; i < 17; i++) text_put(&w, "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n");
    CHECK(sdp_read(bytes_written(&w), &o, &why) == -1 && strstr(why, "16"));
    w = bytes_wr(text, sizeof text);
    text_put(&w, "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF");
    for (int i = 0; i < 1000; i++) text_putf(&w, " %d", i % 128);
    text_put(&w, "\r\n");
    CHECK(sdp_read(bytes_written(&w), &o, &why) == 0 && o.section[0].codec_count == SDP_CODECS);
    w = bytes_wr(text, sizeof text);
    text_put(&w, "v=0\r\na=");
    for (int i = 0; i < 5000; i++) bytes_w8(&w, 'x');
    text_put(&w, "\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n");
    CHECK(sdp_read(bytes_written(&w), &o, &why) == -1);
}

static void sdp_bad_input(void) {
    static struct sdp_offer o;
    uint8_t out[8192];
    const char *why;
    rnd_seed(7);
    for (int kind = 0; kind < 2; kind++) {
        struct span whole = offer_of(kind ? offer_firefox : offer_chromium);
        for (size_t n = 0; n <= whole.n; n++) {
            struct span s = exact(whole.p, n);
            bool read = sdp_read(s, &o, &why) == 0;
            CHECK(read || (why && *why));
            if (read) (void)sdp_choose(&o, 0x42e01f, &why);
            gone(s);
        }
        for (int i = 0; i < 4000; i++) {
            struct span s = mutated(whole);
            struct wr w = bytes_wr(out, sizeof out);
            if (sdp_read(s, &o, &why) == 0) {
                int chosen = sdp_choose(&o, 0x42e01f, &why);
                CHECK(chosen >= 0 || why);
                if (chosen >= 0) CHECK(sdp_answer_to(&w, &o, chosen));
            }
            gone(s);
        }
        gone(whole);
    }
}

static void sdp_browsers(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    static struct sdp_offer o;
    const char *reason[16] = {NULL};
    int answered = 0, refused = 0, unreadable = 0, sections = 0, zero = 0, times[16] = {0};
    for (struct vec *v = NULL; (v = vec_next("sdp", v));) {
        const char *why = NULL, *name = vec_text(v->f[0]);
        uint8_t out[16384];
        struct wr w = bytes_wr(out, sizeof out);
        if (sdp_read(v->f[1], &o, &why)) {
            CHECK_AS(why && *why, name);
            unreadable++;
            printf("# sdp: %s cannot be read: %s\n", name, why);
            continue;
        }
        int chosen = sdp_choose(&o, 0x42e01f, &why);
        if (chosen < 0) {
            CHECK_AS(why && *why, name);
            refused++;
            int k = 0;
            while (k < 15 && reason[k] && strcmp(reason[k], why)) k++;
            reason[k] = why;
            times[k]++;
            continue;
        }
        answered++;
        sections += o.count;
        zero += o.count - 1;
        CHECK_AS(sdp_answer_to(&w, &o, chosen), name);
        sdp_check_answer(&o, chosen, bytes_written(&w), name);
    }
    printf("# sdp: %d offers: %d answered (%d sections, %d of them refused by port 0), %d refused with a reason, %d "
           "not SDP\n",
           answered + refused + unreadable, answered, sections, zero, refused, unreadable);
    for (int k = 0; k < 16 && reason[k]; k++) printf("# sdp: refused %d times: %s\n", times[k], reason[k]);
    CHECK(answered == 16 && unreadable == 0);
    for (struct vec *v = NULL; (v = vec_next("sdp", v));) {
        struct span name = v->f[0];
        const char *why;
        bool ours = text_after(&name, "live_chromium156_recvonly") || text_after(&name, "live_chromium156_two_video");
        CHECK_AS(!ours || (!sdp_read(v->f[1], &o, &why) && sdp_choose(&o, 0x42e01f, &why) >= 0), vec_text(v->f[0]));
    }
}

/* ==== h264 ==== */

struct sps_kind {
    unsigned profile, id, poc_type, wide, high;
    bool fields, crop, vui;
    uint32_t tick, scale, crop_by;
};

/* ue(v) (9.1) of any 32 bits but the largest: pattern_ue is made for small ones. */
static void ue_write(struct pattern_bits *b, uint32_t v) {
    uint64_t code = (uint64_t)v + 1;
    unsigned n = 0;
    while (code >> (n + 1)) n++;
    pattern_u(b, n, 0);
    pattern_u(b, 1, 1);
    pattern_u(b, n, (uint32_t)code);
}

/* Closes a NAL unit that begins at from; the span is without its start code. */
static struct span nal_end(struct pattern_bits *b, struct wr *w, size_t from) {
    pattern_trailing(b);
    return base_span(w->p + from + 4, w->n - from - 4);
}

static struct span sps_write(struct wr *w, const struct sps_kind *k) {
    size_t from = w->n;
    struct pattern_bits b = pattern_nal(w, 0x67);
    pattern_u(&b, 8, k->profile);
    pattern_u(&b, 8, 0);
    pattern_u(&b, 8, 40);
    ue_write(&b, k->id);
    if (k->profile == 100) {
        ue_write(&b, 1); /* 4:2:0, 8 bit, a scaling matrix whose first list is present */
        ue_write(&b, 0);
        ue_write(&b, 0);
        pattern_u(&b, 3, 3);
        for (int i = 0; i < 16; i++) pattern_se(&b, i % 3 - 1);
        pattern_u(&b, 7, 0);
    }
    ue_write(&b, 4); /* frame_num has 8 bits */
    ue_write(&b, k->poc_type);
    if (k->poc_type == 0) ue_write(&b, 2); /* 6 bits */
    if (k->poc_type == 1) {
        pattern_u(&b, 1, 0);
        pattern_se(&b, -3);
        pattern_se(&b, 3);
        ue_write(&b, 2);
        pattern_se(&b, 5);
        pattern_se(&b, -5);
    }
    ue_write(&b, 1);
    pattern_u(&b, 1, 0);
    ue_write(&b, k->wide - 1);
    ue_write(&b, k->high - 1);
    pattern_u(&b, 1, !k->fields);
    if (k->fields) pattern_u(&b, 1, 0);
    pattern_u(&b, 1, 1);
    pattern_u(&b, 1, k->crop);
    for (int i = 0; i < 4 && k->crop; i++) ue_write(&b, i & 1 ? k->crop_by : 0);
    pattern_u(&b, 1, k->vui);
    if (k->vui) {
        pattern_u(&b, 1, 1); /* Extended_SAR */
        pattern_u(&b, 8, 255);
        pattern_u(&b, 32, 0x00010001);
        pattern_u(&b, 2, 0);
        pattern_u(&b, 1, 0);
        pattern_u(&b, 1, 1);
        pattern_u(&b, 32, k->tick);
        pattern_u(&b, 32, k->scale);
        pattern_u(&b, 1, 1);
        pattern_u(&b, 4, 0);
    }
    return nal_end(&b, w, from);
}

static struct span pps_write(struct wr *w, unsigned id, unsigned sps, bool order) {
    size_t from = w->n;
    struct pattern_bits b = pattern_nal(w, 0x68);
    ue_write(&b, id);
    ue_write(&b, sps);
    pattern_u(&b, 1, 0);
    pattern_u(&b, 1, order);
    pattern_u(&b, 8, 0xff);
    return nal_end(&b, w, from);
}

struct slice_kind {
    unsigned header, first, type, pps, frame_num, idr_id, poc;
    int delta;
    bool fields, field, bottom, order; /* of the parameter sets: fields, order */
    unsigned poc_type;
    size_t payload;
};

static struct span slice_write(struct wr *w, const struct slice_kind *k) {
    size_t from = w->n;
    struct pattern_bits b = pattern_nal(w, k->header);
    ue_write(&b, k->first);
    ue_write(&b, k->type);
    ue_write(&b, k->pps);
    pattern_u(&b, 8, k->frame_num);
    if (k->fields) pattern_u(&b, 1, k->field);
    if (k->field) pattern_u(&b, 1, k->bottom);
    if ((k->header & 31) == 5) ue_write(&b, k->idr_id);
    if (k->poc_type == 0) pattern_u(&b, 6, k->poc);
    if (k->poc_type == 1) pattern_se(&b, k->delta);
    if (k->order && !k->field) pattern_se(&b, k->poc_type ? 0 : k->delta);
    for (size_t i = 0; i < k->payload; i++) pattern_u(&b, 8, rnd(256));
    return nal_end(&b, w, from);
}

static void h264_parameter_sets(void) {
    static const struct {
        struct sps_kind k;
        int width, height;
    } cases[] = {
        {{.profile = 66, .poc_type = 2, .wide = 40, .high = 30}, 640, 480},
        {{.profile = 77, .poc_type = 0, .wide = 120, .high = 68, .crop = true, .crop_by = 4}, 1912, 1080},
        {{.profile = 100, .poc_type = 1, .wide = 1, .high = 1}, 16, 16},
        {{.profile = 100, .poc_type = 0, .wide = 45, .high = 18, .fields = true}, 720, 576},
        {{.profile = 66, .id = 31, .poc_type = 2, .wide = 1024, .high = 1024}, 16384, 16384},
        {{.profile = 66, .poc_type = 0, .wide = 20, .high = 15, .vui = true, .tick = 1001, .scale = 60000}, 320, 240}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[256];
        struct wr w = bytes_wr(out, sizeof out);
        struct h264_sps sps;
        uint32_t id;
        struct span made = sps_write(&w, &cases[i].k), s = exact(made.p, made.n);
        CHECK(h264_read_sps(s, &sps, &id) && id == cases[i].k.id);
        CHECK(sps.width == cases[i].width && sps.height == (cases[i].k.crop ? cases[i].height : cases[i].height));
        CHECK(sps.profile == cases[i].k.profile && sps.poc_type == cases[i].k.poc_type && sps.frame_num_bits == 8);
        CHECK(sps.tick == cases[i].k.tick && sps.time_scale == cases[i].k.scale);
        CHECK(sps.frame_mbs_only == !cases[i].k.fields && sps.chroma_format == 1 && sps.bit_depth == 8);
        gone(s);
        for (size_t n = 1; n < made.n; n++) {
            s = exact(made.p, n);
            (void)h264_read_sps(s, &sps, &id);
            gone(s);
        }
    }
}

/* Exp-Golomb values that no stream has. */
static void h264_absurd_parameter_sets(void) {
    static const struct {
        const char *what;
        struct sps_kind k;
    } cases[] = {
        {"id 32", {.profile = 66, .id = 32, .poc_type = 2, .wide = 1, .high = 1}},
        {"poc type 3", {.profile = 66, .poc_type = 3, .wide = 1, .high = 1}},
        {"poc type 256", {.profile = 66, .poc_type = 256, .wide = 1, .high = 1}},
        {"wider than any level", {.profile = 66, .poc_type = 2, .wide = 1025, .high = 1}},
        {"wide as 2^32", {.profile = 66, .poc_type = 2, .wide = 0xffffffffu, .high = 1}},
        {"higher than any level", {.profile = 66, .poc_type = 2, .wide = 1, .high = 0x7fffffffu}},
        {"cropped to nothing", {.profile = 66, .poc_type = 2, .wide = 1, .high = 1, .crop = true, .crop_by = 8}},
        {"cropped by 2^31", {.profile = 66, .poc_type = 2, .wide = 1, .high = 1, .crop = true, .crop_by = 0x7ffffffe}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[256];
        struct wr w = bytes_wr(out, sizeof out);
        struct h264_sps sps;
        uint32_t id;
        struct span s = sps_write(&w, &cases[i].k), e = exact(s.p, s.n);
        CHECK_AS(!h264_read_sps(e, &sps, &id), cases[i].what);
        gone(e);
    }
    /* chroma_format_idc, bit depths, a scaling list of huge steps, a POC cycle without end */
    static const uint32_t chroma[] = {4, 256, 257, 0xfffffffe}, depth[] = {7, 256, 262, 0xfffffffe};
    for (int i = 0; i < 8; i++) {
        uint8_t out[256];
        struct wr w = bytes_wr(out, sizeof out);
        struct h264_sps sps;
        uint32_t id;
        struct pattern_bits b = pattern_nal(&w, 0x67);
        pattern_u(&b, 24, 0x640028);
        ue_write(&b, 0);
        ue_write(&b, i < 4 ? chroma[i] : 1);
        ue_write(&b, i < 4 ? 0 : depth[i - 4]);
        ue_write(&b, 0);
        pattern_u(&b, 2, 0);
        ue_write(&b, 0);
        ue_write(&b, 2);
        ue_write(&b, 1);
        pattern_u(&b, 1, 0);
        ue_write(&b, 9);
        ue_write(&b, 9);
        pattern_u(&b, 4, 12);
        char what[64];
        snprintf(what, sizeof what, "%s of %u", i < 4 ? "chroma_format_idc" : "bit_depth_luma_minus8",
                 (unsigned)(i < 4 ? chroma[i] : depth[i - 4]));
        CHECK_AS(!h264_read_sps(nal_end(&b, &w, 0), &sps, &id), what);
    }
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    struct h264_sps sps;
    uint32_t id;
    struct pattern_bits b = pattern_nal(&w, 0x67);
    pattern_u(&b, 24, 0x640028);
    ue_write(&b, 0);
    ue_write(&b, 1);
    ue_write(&b, 0);
    ue_write(&b, 0);
    pattern_u(&b, 3, 3);                                /* a scaling matrix, its first list */
    ue_write(&b, 0xfffffffdu);                          /* delta_scale 2^31 - 1 */
    (void)h264_read_sps(nal_end(&b, &w, 0), &sps, &id); /* UBSan watches */
    w = bytes_wr(out, sizeof out);
    b = pattern_nal(&w, 0x67);
    pattern_u(&b, 24, 0x420028);
    ue_write(&b, 0);
    ue_write(&b, 0);
    ue_write(&b, 1);
    pattern_u(&b, 1, 0);
    pattern_u(&b, 2, 3);
    ue_write(&b, 0xfffffffeu);
    CHECK(!h264_read_sps(nal_end(&b, &w, 0), &sps, &id));
    static const uint8_t zeros[64] = {0x67};
    CHECK(!h264_read_sps(base_span(zeros, sizeof zeros), &sps, &id));
}

static void h264_sprops(void) { /* parameter sets of cameras, as SDP carries them */
    SKIP_UNLESS(vec_count, NO_VECTORS);
    static struct h264_sets t;
    for (struct vec *v = NULL; (v = vec_next("sprop", v));) {
        memset(&t, 0, sizeof t);
        for (int i = 0; i < v->n; i++) {
            uint8_t out[256];
            struct wr w = bytes_wr(out, sizeof out);
            CHECK_AS(bytes_unbase64(&w, v->f[i]), vec_text(v->f[i]));
            struct span s = exact(out, w.n);
            bool whole = v->f[0].n > 16; /* one of them is cut short: refused, and no byte behind it is read */
            CHECK_AS(h264_store(&t, s) == H264_NEW || !whole, vec_text(v->f[i]));
            gone(s);
        }
        for (int i = 0; i < t.count; i++)
            CHECK(t.set[i].type == H264_PPS || (t.sps[0].width > 0 && t.sps[0].height > 0));
    }
}

static void h264_emulation(void) { /* what the writer guards against, the reader takes out again */
    rnd_seed(8);
    for (int round = 0; round < 500; round++) {
        uint8_t raw[64], out[160];
        size_t n = 1 + rnd(sizeof raw);
        for (size_t i = 0; i < n; i++) raw[i] = (uint8_t)(rnd(3) ? rnd(4) : rnd(256));
        struct wr w = bytes_wr(out, sizeof out);
        struct pattern_bits b = pattern_nal(&w, 0x67);
        for (size_t i = 0; i < n; i++) pattern_u(&b, 8, raw[i]);
        struct span s = nal_end(&b, &w, 0), e = exact(s.p, s.n);
        for (size_t i = 1; i + 2 < e.n; i++) CHECK(e.p[i] || e.p[i + 1] || e.p[i + 2] > 2);
        struct h264_bits r = h264_rbsp(e);
        for (size_t i = 0; i < n; i++) CHECK(h264_u(&r, 8) == raw[i]);
        CHECK(!r.bad && h264_u(&r, 8) == 0x80 && !r.bad);
        h264_u(&r, 1);
        CHECK(r.bad);
        gone(e);
    }
    static const uint32_t values[] = {0, 1, 2, 3, 254, 255, 65534, 0x7fffffff, 0xfffffffe};
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    struct pattern_bits b = pattern_nal(&w, 0x67);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) ue_write(&b, values[i]);
    for (int v = -70000; v <= 70000; v += 9999) ue_write(&b, (uint32_t)(v > 0 ? 2 * v - 1 : -2 * v));
    struct h264_bits r = h264_rbsp(nal_end(&b, &w, 0));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) CHECK(h264_ue(&r) == values[i]);
    for (int v = -70000; v <= 70000; v += 9999) CHECK(h264_se(&r) == v);
}

static void h264_store_replaces(void) {
    static struct h264_sets t;
    uint8_t out[4096];
    struct wr w = bytes_wr(out, sizeof out);
    struct sps_kind k = {.profile = 66, .poc_type = 2, .wide = 10, .high = 10};
    memset(&t, 0, sizeof t);
    struct span small = sps_write(&w, &k);
    k.wide = 500;
    struct span wide = sps_write(&w, &k);
    k.id = 5;
    struct span other = sps_write(&w, &k), pps = pps_write(&w, 0, 0, false), pps2 = pps_write(&w, 0, 5, false);
    CHECK(h264_store(&t, small) == H264_NEW && h264_store(&t, small) == H264_SAME);
    CHECK(h264_store(&t, other) == H264_NEW && h264_store(&t, pps) == H264_NEW);
    CHECK(t.count == 3 && t.raw_n == small.n + other.n + pps.n && t.sps[0].width == 160);
    CHECK(h264_store(&t, wide) == H264_NEW && t.count == 3 && t.sps[0].width == 8000);
    CHECK(h264_store(&t, pps2) == H264_NEW && t.count == 3 && t.pps[0].sps == 5);
    CHECK(t.raw_n == wide.n + other.n + pps2.n);
    for (int i = 0; i < t.count; i++) {
        struct span s = base_span(t.raw + t.set[i].at, t.set[i].n);
        CHECK(text_same(s, t.set[i].type == H264_PPS ? pps2 : t.set[i].id ? other : wide));
    }
    CHECK(h264_store(&t, base_span("\x67", 1)) == H264_REFUSED && h264_store(&t, BIN("\x68\0\0")) == H264_REFUSED);
    uint8_t big[2000]; /* a set that is valid and longer than any */
    memset(big, 0xaa, sizeof big);
    memcpy(big, pps.p, pps.n - 1);
    CHECK(h264_store(&t, base_span(big, sizeof big)) == H264_REFUSED && t.count == 3);
    /* as many as there are: the store stays in order and within its bounds */
    rnd_seed(9);
    for (int i = 0; i < 2000; i++) {
        w = bytes_wr(out, sizeof out);
        k = (struct sps_kind){.profile = 66, .id = rnd(32), .poc_type = 2, .wide = 1 + rnd(1000), .high = 1};
        struct span set = rnd(2) ? sps_write(&w, &k) : pps_write(&w, rnd(256), rnd(32), rnd(2));
        if (!rnd(3)) { /* padded: cabac_zero_words and the like */
            size_t n = set.n + rnd(900);
            memset(big, 0x11, sizeof big);
            memcpy(big, set.p, set.n);
            set = base_span(big, n);
        }
        bool had = false;
        struct h264_sps sps;
        struct h264_pps p;
        uint32_t id;
        CHECK(h264_type(set) == H264_SPS ? h264_read_sps(set, &sps, &id) : h264_read_pps(set, &p, &id));
        for (int j = 0; j < t.count; j++) had = had || (t.set[j].type == h264_type(set) && t.set[j].id == id);
        enum h264_stored got = h264_store(&t, set);
        size_t sum = 0;
        bool has = false;
        for (int j = 0; j < t.count; j++) {
            CHECK(t.set[j].at == sum);
            sum += t.set[j].n;
            has = has || (t.set[j].type == h264_type(set) && t.set[j].id == id);
        }
        CHECK(sum == t.raw_n && t.raw_n <= H264_RAW && t.count <= H264_SETS);
        CHECK_AS(got == H264_REFUSED || has, "a set that was taken is kept");
        CHECK_AS(got != H264_REFUSED || has == had, "a refused set leaves the one of its id in place");
    }
}

/* Access units of several kinds, each NAL unit with whether it begins one. */
static void h264_borders(void) {
    for (int kind = 0; kind < 4; kind++) { /* poc type 0, 1, 2; and fields */
        static struct h264_sets t;
        struct h264_border at = {0};
        uint8_t out[8192];
        struct wr w = bytes_wr(out, sizeof out);
        bool fields = kind == 3;
        unsigned poc_type = kind == 3 ? 0 : (unsigned)kind;
        struct sps_kind sk = {.profile = 77, .poc_type = poc_type, .wide = 4, .high = 4, .fields = fields};
        memset(&t, 0, sizeof t);
        rnd_seed(10);
        struct span sps = sps_write(&w, &sk), pps = pps_write(&w, 0, 0, true), aud = BIN("\x09\xf0"),
                    sei = BIN("\x06\x05\x01\x02\x80");
        bool ok = !h264_begins(&at, &t, aud) && !h264_begins(&at, &t, sps) && !h264_begins(&at, &t, pps);
        CHECK(ok && h264_store(&t, sps) == H264_NEW && h264_store(&t, pps) == H264_NEW);
        struct slice_kind s = {
            .header = 0x65, .type = 7, .fields = fields, .order = true, .poc_type = poc_type, .payload = 9};
        CHECK(!h264_begins(&at, &t, slice_write(&w, &s)));
        for (unsigned i = 1; i < 4; i++) { /* more slices of the same picture */
            s.first = i;
            CHECK(!h264_begins(&at, &t, slice_write(&w, &s)));
        }
        for (unsigned i = 1; i < 5; i++) { /* pictures without anything in between: frame_num tells */
            s = (struct slice_kind){.header = 0x41,
                                    .type = 5,
                                    .frame_num = i,
                                    .poc = 2 * i,
                                    .fields = fields,
                                    .order = true,
                                    .poc_type = poc_type,
                                    .payload = 5};
            CHECK(h264_begins(&at, &t, slice_write(&w, &s)));
            s.first = 7;
            CHECK(!h264_begins(&at, &t, slice_write(&w, &s)));
        }
        s.first = 0;
        s.header = 0x01; /* the same numbers, but no reference */
        CHECK(h264_begins(&at, &t, slice_write(&w, &s)));
        s.header = 0x65, s.type = 7;
        CHECK(h264_begins(&at, &t, slice_write(&w, &s)));
        s.idr_id = 1; /* one IDR picture after another */
        CHECK(h264_begins(&at, &t, slice_write(&w, &s)));
        s.delta = 3;
        CHECK(h264_begins(&at, &t, slice_write(&w, &s)) == (poc_type != 2));
        if (fields) { /* the second field goes with the first one */
            s.field = true;
            CHECK(h264_begins(&at, &t, slice_write(&w, &s)));
            s.bottom = true;
            CHECK(!h264_begins(&at, &t, slice_write(&w, &s)));
            s.first = 9;
            CHECK(!h264_begins(&at, &t, slice_write(&w, &s)));
            s.first = 0;
            s.bottom = false; /* a third field begins the next frame */
            CHECK(h264_begins(&at, &t, slice_write(&w, &s)));
        }
        CHECK(h264_begins(&at, &t, sei) && !h264_begins(&at, &t, sps));
        s.frame_num = 77;
        CHECK(!h264_begins(&at, &t, slice_write(&w, &s))); /* the SEI began it */
        CHECK(!h264_begins(&at, &t, BIN("\x0c\xff\xff"))); /* filler follows the slices of its picture */
        CHECK(!h264_begins(&at, &t, BIN("\x0b")));         /* so do end of stream */
        CHECK(h264_begins(&at, &t, aud) && !h264_begins(&at, &t, sps));
    }
    /* without parameter sets first_mb_in_slice tells */
    static struct h264_sets none;
    struct h264_border at = {0};
    CHECK(!h264_begins(&at, &none, BIN("\x41\x9a\x00")) && h264_begins(&at, &none, BIN("\x41\x9a\x01")));
    CHECK(!h264_begins(&at, &none, BIN("\x41\x4a\x01")));
}

/* Picture order counts by hand (8.2.1): type 0 with its wrap, type 1 with a cycle, type 2. */
static void h264_orders(void) {
    struct h264_order o = {1, 2, 3, 4};
    struct h264_sps sps = {
        .known = true, .frame_mbs_only = true, .poc_type = 0, .poc_lsb_bits = 4, .frame_num_bits = 4};
    static const struct {
        bool idr, reference;
        uint32_t lsb;
        int64_t want;
    } zero[] = {{true, true, 0, 0},    {false, true, 8, 8},  {false, false, 4, 4},   {false, true, 14, 14},
                {false, false, 2, 18}, {false, true, 6, 22}, {false, false, 14, 30}, {false, false, 15, 15},
                {false, true, 12, 28}, {true, true, 0, 0}};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) {
        struct h264_slice s = {
            .known = true, .idr = zero[i].idr, .reference = zero[i].reference, .poc_lsb = zero[i].lsb};
        CHECK(h264_poc(&o, &sps, &s) == zero[i].want);
    }
    struct h264_slice low = {
        .known = true, .reference = true, .poc_lsb = 4, .delta = {-1}}; /* the bottom field is first */
    CHECK(h264_poc(&o, &sps, &low) == 3);
    sps.poc_type = 2;
    for (uint32_t i = 0; i < 40; i++) {
        struct h264_slice s = {.known = true, .idr = i == 0, .reference = i % 2 == 0, .frame_num = i & 15};
        CHECK(h264_poc(&o, &sps, &s) == (int64_t)i * 2 - (i % 2));
    }
    sps = (struct h264_sps){.known = true,
                            .frame_mbs_only = true,
                            .poc_type = 1,
                            .frame_num_bits = 4,
                            .cycle = 2,
                            .poc_ref = {2, 4},
                            .poc_non_ref = -1};
    static const int64_t one[] = {0, 2, 6, 8, 12, 14, 18}; /* sums of 2, 4, 2, 4, ... */
    for (uint32_t i = 0; i < 7; i++) {
        struct h264_slice s = {.known = true, .idr = i == 0, .reference = true, .frame_num = i};
        CHECK(h264_poc(&o, &sps, &s) == one[i]);
    }
    struct h264_slice b = {.known = true, .reference = false, .frame_num = 7};
    CHECK(h264_poc(&o, &sps, &b) == 17);
}

struct nals {
    int n;
    uint32_t crc[4096];
    size_t size[4096];
};

static void nals_add(struct nals *list, struct span nal) {
    if (list->n == 4096) return;
    list->crc[list->n] = bytes_crc32(nal.n < 4096 ? nal : base_span(nal.p, 4096));
    list->size[list->n++] = nal.n;
}

static bool nals_same(const struct nals *a, const struct nals *b) {
    return a->n == b->n && !memcmp(a->crc, b->crc, (size_t)a->n * sizeof *a->crc) &&
           !memcmp(a->size, b->size, (size_t)a->n * sizeof *a->size);
}

static void nals_whole(struct nals *list, struct span s) {
    list->n = 0;
    for (struct span nal; (nal = h264_next(&s)).n;) nals_add(list, nal);
}

/* The same bytes through the splitter: first bytes at once, then chunk bytes at a time (0: what rnd says). */
static void nals_chunked(struct nals *list, struct span s, size_t first, size_t chunk, size_t cap) {
    struct h264_split split = {.buf = malloc(cap), .cap = cap};
    struct span nal;
    list->n = 0;
    for (size_t at = 0, room; at < s.n;) {
        size_t n = at ? (chunk ? chunk : 1 + rnd(3000)) : first ? first : 1 + rnd(5);
        uint8_t *p = h264_room(&split, &room);
        if (!CHECK(room > 0)) break;
        n = n < room ? n : room;
        n = n < s.n - at ? n : s.n - at;
        memcpy(p, s.p + at, n);
        h264_fed(&split, n);
        at += n;
        while ((nal = h264_split_next(&split, false)).n) nals_add(list, nal);
    }
    while ((nal = h264_split_next(&split, true)).n) nals_add(list, nal);
    CHECK(!split.too_large);
    free(split.buf);
}

static void h264_splits(void) {
    static struct nals whole, parts;
    static const struct {
        const char *what;
        struct span s;
        int n;
    } cases[] = {{"nothing", RAW(""), 0},
                 {"no start code", RAW("abcdefgh"), 0},
                 {"start codes alone", RAW("\0\0\0\1\0\0\1\0\0\1"), 0},
                 {"3 and 4 bytes, leading garbage, trailing zeros",
                  RAW("xy\0\0\1\x67"
                      "abc\0\0\0\1\x68"
                      "de\0\0\0\0\0\1\x65"
                      "fgh\0\0\0"),
                  3},
                 {"one byte each", RAW("\0\0\1\x09\0\0\1\x41\0\0\1\x41"), 3},
                 {"emulation prevention", RAW("\0\0\1\x65\0\0\3\1\0\0\3\0\0\3\2\0\0\1\x41z"), 2},
                 {"an end in the middle of a start code",
                  RAW("\0\0\1\x65"
                      "a\0\0"),
                  1},
                 {"an end in a start code that is whole",
                  RAW("\0\0\1\x65"
                      "a\0\0\1"),
                  1},
                 /* B.1: 0x000000 ends a NAL unit; what stands between it and the next start code belongs to none */
                 {"three zeros inside, and junk behind", RAW("\0\0\1\x65\x11\0\0\0\5\x22\0\0\1\x41\x33"), 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span s = exact(cases[i].s.p, cases[i].s.n);
        nals_whole(&whole, s);
        CHECK_AS(whole.n == cases[i].n, cases[i].what);
        for (size_t first = 1; first <= s.n; first++) {
            nals_chunked(&parts, s, first, s.n, 64);
            CHECK_AS(nals_same(&whole, &parts), cases[i].what);
            nals_chunked(&parts, s, first, 1, 64);
            CHECK_AS(nals_same(&whole, &parts), cases[i].what);
        }
        gone(s);
    }
    rnd_seed(11);
    for (int i = 0; i < 3000; i++) { /* random bytes of 0, 1, 3 and some: no crash, and what both see alike is alike */
        uint8_t raw[200];
        size_t n = rnd(sizeof raw);
        for (size_t k = 0; k < n; k++) raw[k] = (uint8_t) "\0\0\0\1\1\3\x65\x41"[rnd(8)];
        struct span s = exact(raw, n);
        nals_whole(&whole, s);
        nals_chunked(&parts, s, 0, 1 + rnd(9), 256);
        bool three = false; /* known to differ: three zeros that no start code follows */
        for (size_t k = 0; k + 3 < n; k++) {
            size_t z = k;
            while (z < n && !raw[z]) z++;
            three = three || (z - k >= 3 && z < n && raw[z] != 1);
        }
        CHECK(three || nals_same(&whole, &parts));
        gone(s);
    }
}

/* A NAL unit larger than the buffer is counted and skipped, and its neighbours are whole. */
static void h264_split_too_large(void) {
    uint8_t raw[1000];
    struct wr w = bytes_wr(raw, sizeof raw);
    bytes_put(&w,
              "\0\0\1\x67"
              "ab\0\0\1\x65",
              10);
    for (int i = 0; i < 600; i++) bytes_w8(&w, 0xaa);
    bytes_put(&w, "\0\0\1\x41xyz\0\0\1\x41", 11);
    for (size_t chunk = 1; chunk < 120; chunk++) {
        struct h264_split split = {.buf = malloc(64), .cap = 64};
        struct span nal;
        int n = 0;
        bool whole = true;
        for (size_t at = 0, room; at < w.n;) {
            uint8_t *p = h264_room(&split, &room);
            size_t k = chunk < room ? chunk : room;
            if (!CHECK(room)) break;
            k = k < w.n - at ? k : w.n - at;
            memcpy(p, raw + at, k);
            h264_fed(&split, k);
            at += k;
            while ((nal = h264_split_next(&split, false)).n) n++, whole = whole && nal.n <= 4;
        }
        while ((nal = h264_split_next(&split, true)).n) n++, whole = whole && nal.n <= 4;
        CHECK(n == 3 && whole && split.too_large >= 1);
        free(split.buf);
    }
}

static void h264_bad_input(void) {
    static struct h264_sets t;
    uint8_t out[4096];
    struct wr w = bytes_wr(out, sizeof out);
    struct sps_kind k = {
        .profile = 100, .poc_type = 1, .wide = 20, .high = 15, .fields = true, .vui = true, .tick = 1, .scale = 50};
    struct slice_kind s = {.header = 0x65, .type = 7, .fields = true, .order = true, .poc_type = 1, .payload = 30};
    rnd_seed(12);
    struct span good[3];
    good[0] = sps_write(&w, &k);
    good[1] = pps_write(&w, 0, 0, true);
    good[2] = slice_write(&w, &s);
    struct h264_border at = {0};
    for (int i = 0; i < 60000; i++) {
        struct span m = mutated(good[i % 3]);
        if (m.n) {
            (void)h264_begins(&at, &t, m);
            unsigned type = h264_type(m);
            if (type == H264_SPS || type == H264_PPS) (void)h264_store(&t, m);
        }
        gone(m);
        if (i % 5000 == 0) memset(&t, 0, sizeof t);
    }
    CHECK(t.count <= H264_SETS);
}

/* Streams of cameras and the conformance suite: sizes, pictures, and any chunking gives the same NAL units. */
static void h264_files(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    static struct nals whole, parts;
    static struct h264_sets t;
    int files = 0, sized = 0, counted = 0, alike = 0;
    rnd_seed(13);
    for (struct vec *v = NULL; (v = vec_next("h264", v));) {
        size_t n;
        uint8_t *bytes = file_read(vec_text(v->f[1]), &n);
        const char *name = vec_text(v->f[0]);
        if (!bytes) continue;
        files++;
        struct span rest = base_span(bytes, n), nal;
        struct h264_border at = {0};
        bool clean = text_is(v->f[6], "1"), progressive = text_is(v->f[5], "progressive"), differs = false;
        int units = 0, width = 0, height = 0;
        bool begins_idr = false;
        memset(&t, 0, sizeof t);
        for (whole.n = 0; (nal = h264_next(&rest)).n;) {
            nals_add(&whole, nal);
            unsigned type = h264_type(nal);
            bool had = at.slices;
            begins_idr = begins_idr || (!units && type == H264_IDR);
            if (h264_begins(&at, &t, nal) || (!had && at.slices && !units)) units += had || at.slices;
            if (type == H264_SPS || type == H264_PPS) (void)h264_store(&t, nal);
            struct h264_slice s;
            if (!width && (type == 1 || type == 5) && h264_read_slice(&t, nal, &s)) {
                width = t.sps[t.pps[s.pps].sps].width;
                height = t.sps[t.pps[s.pps].sps].height;
            }
        }
        for (size_t k = 0; k + 4 < n; k++)
            differs = differs || (!bytes[k] && !bytes[k + 1] && !bytes[k + 2] && bytes[k + 3] > 1);
        nals_chunked(&parts, base_span(bytes, n), 0, n > 300000 ? 4096 + rnd(9999) : 0, BASE_AU);
        if (!differs) alike++, CHECK_AS(nals_same(&whole, &parts), name);
        if (clean && width)
            sized++, CHECK_AS(atoi(vec_text(v->f[2])) == width && atoi(vec_text(v->f[3])) == height, name);
        if (clean && progressive) {
            int frames = atoi(vec_text(v->f[4]));
            counted += units == frames;
            CHECK_AS(units == frames || (!begins_idr && units > frames), name); /* decoders begin at the first IDR */
        }
        free(bytes);
    }
    printf("# h264: %d files; %d give the same NAL units in any chunking, %d sizes and %d picture counts agree\n",
           files, alike, sized, counted);
    CHECK(files > 50 && alike > 50);
}

/* ==== pattern ==== */

static void pattern_specs(void) {
    static const char *const good[] = {"",           "640x480", "64x64@1", "@120", ",gop=1", "4096x2304@120,gop=36000",
                                       "@15,gop=150"};
    static const char *const bad[] = {"640",
                                      "640x",
                                      "63x64",
                                      "65x64",
                                      "4098x64",
                                      "64x2306",
                                      "640x480@0",
                                      "640x480@121",
                                      "@",
                                      ",gop=0",
                                      ",gop=36001",
                                      ",gop=",
                                      "640x480,gop",
                                      "640x480 ",
                                      "x480",
                                      "99999999999x64",
                                      "640x480@30,gop=60x",
                                      "@30@30"};
    struct pattern p;
    const char *why;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK_AS(!pattern_spec(good[i], &p, &why) && !why, good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_AS(pattern_spec(bad[i], &p, &why) == -1 && why && *why, bad[i]);
}

static void pattern_streams(void) {
    static const char *const specs[] = {"64x64@30,gop=5",    "66x98@5,gop=3",       "320x240@25,gop=10",
                                        "1280x720@30,gop=7", "4096x2304@120,gop=2", "4096x64@1,gop=1"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct pattern p;
        const char *why;
        static struct h264_sets t;
        CHECK(!pattern_spec(specs[i], &p, &why));
        uint8_t *cells = malloc(pattern_cells(&p));
        size_t cap = pattern_cells(&p) * SOURCE_MACROBLOCK + 256;
        uint8_t *picture = malloc(cap);
        memset(&t, 0, sizeof t);
        pattern_start(&p, cells);
        uint32_t last_idr = 99;
        for (unsigned f = 0; f < 3 * p.gop + 2; f++) {
            struct wr w = bytes_wr(picture, cap);
            bool want = f == 2 * p.gop + 1;
            bool idr = f % p.gop == 0 ? f <= 2 * p.gop : want;
            CHECK_AS(pattern_frame(&p, want, f * 33, f * 33, &w), specs[i]);
            struct span rest = bytes_written(&w), nal[4];
            int n = 0;
            while (n < 4 && (nal[n] = h264_next(&rest)).n) n++;
            if (want || f > 2 * p.gop)
                idr = h264_type(nal[0]) == H264_SPS; /* after the wanted one the count begins anew */
            CHECK_AS(n == (idr ? 3 : 1) && rest.n < 3, specs[i]);
            CHECK_AS(!want || idr, specs[i]);
            for (int k = 0; k + 1 < n; k++) CHECK(h264_store(&t, nal[k]) != H264_REFUSED);
            struct h264_slice s;
            if (!CHECK_AS(h264_read_slice(&t, nal[n - 1], &s), specs[i])) break;
            CHECK(s.idr == idr && s.first_mb == 0 && s.type == (idr ? 2 : 0) && s.reference);
            CHECK(!idr || (s.frame_num == 0 && s.idr_id != last_idr));
            if (idr) last_idr = s.idr_id;
        }
        CHECK_AS(t.sps[0].width == (int)p.width && t.sps[0].height == (int)p.height, specs[i]);
        CHECK_AS(t.sps[0].tick == 1 && t.sps[0].time_scale == 2 * p.fps && t.sps[0].profile == 66, specs[i]);
        struct wr none = bytes_wr(picture, 40); /* no room: said so, and the next one is an IDR */
        CHECK(!pattern_frame(&p, false, 0, 0, &none) || none.n <= 40);
        if (none.bad) {
            struct wr w = bytes_wr(picture, cap);
            CHECK(pattern_frame(&p, false, 0, 0, &w) && h264_type(base_span(picture + 4, 1)) == H264_SPS);
        }
        free(cells);
        free(picture);
    }
}

/* A stream of some pictures in one block. */
static struct span pattern_file(const char *spec, unsigned frames) {
    struct pattern p;
    const char *why;
    CHECK(!pattern_spec(spec, &p, &why));
    uint8_t *cells = malloc(pattern_cells(&p));
    size_t cap = (pattern_cells(&p) * SOURCE_MACROBLOCK + 256) * (frames < 8 ? frames : 8);
    uint8_t *bytes = malloc(cap);
    struct wr w = bytes_wr(bytes, cap);
    pattern_start(&p, cells);
    for (unsigned f = 0; f < frames; f++) CHECK(pattern_frame(&p, false, f * 40, f * 40, &w));
    struct span s = exact(bytes, w.n);
    free(cells);
    free(bytes);
    return s;
}

static void pattern_cut_anywhere(void) {
    static struct nals whole, parts;
    struct span s = pattern_file("96x64@25,gop=4", 9);
    nals_whole(&whole, s);
    CHECK(whole.n == 9 + 2 * 3);
    for (size_t first = 1; first < s.n; first++) { /* every two-way split */
        nals_chunked(&parts, s, first, s.n, 4096);
        CHECK(nals_same(&whole, &parts));
    }
    for (size_t chunk = 1; chunk < 40; chunk++) {
        nals_chunked(&parts, s, chunk, chunk, 4096);
        CHECK(nals_same(&whole, &parts));
    }
    gone(s);
}

/* ==== rtp ==== */

/* An H.264 payload back to NAL units (RFC 6184 5), as strictly as it says. fu collects fragments. */
static bool depay(struct wr *fu, struct span payload, struct nals *list) {
    unsigned type = payload.n ? payload.p[0] & 31u : 0;
    struct rd r = bytes_rd(payload);
    if (type >= 1 && type <= 23) {
        nals_add(list, payload);
        return fu->n == 0;
    }
    uint8_t indicator = bytes_r8(&r);
    if (type == RTP_STAP_A) {
        uint8_t nri = 0;
        while (bytes_left(&r)) {
            struct span nal = bytes_take(&r, bytes_r16(&r));
            if (r.bad || !nal.n) return false;
            if ((nal.p[0] & 0x60) > nri) nri = nal.p[0] & 0x60;
            nals_add(list, nal);
        }
        return fu->n == 0 && payload.n > 3 && (indicator & 0xe0) == nri;
    }
    uint8_t head = bytes_r8(&r);
    if (type != RTP_FU_A || r.bad || (head & 0xc0) == 0xc0 || head & 0x20 || !bytes_left(&r)) return false;
    if (!(head & 0x80) == !fu->n) return false; /* begins where one is under way, or goes on where none is */
    if (head & 0x80) bytes_w8(fu, (indicator & 0xe0) | (head & 31));
    if (fu->n && (fu->p[0] & 31) != (head & 31)) return false;
    bytes_put(fu, r.p, bytes_left(&r));
    if (fu->bad) return false;
    if (head & 0x40) {
        nals_add(list, bytes_written(fu));
        fu->n = 0;
    }
    return true;
}

static void rtp_headers(void) {
    uint8_t out[64];
    struct rtp_packet h = {.pt = 102, .marker = true, .seq = 0xfffe, .timestamp = 0x01020304, .ssrc = 0xa0b0c0d0};
    struct wr w = bytes_wr(out, sizeof out);
    rtp_put(&w, &h, lit("pay"));
    CHECK(bytes_are(bytes_written(&w), "80e6fffe01020304a0b0c0d0706179"));
    h.marker = false;
    h.abs_send_time = 2;
    h.now = 65 * BASE_S + 500 * BASE_MS; /* 64 s wrap: 1.5 s is 0x060000 in 6.18 */
    w = bytes_wr(out, sizeof out);
    rtp_put(&w, &h, lit("p"));
    CHECK(bytes_are(bytes_written(&w), "9066fffe01020304a0b0c0d0bede00012206000070"));
    h.playout_delay = 14;
    h.delay_min_ms = 20;
    h.delay_max_ms = 400;
    w = bytes_wr(out, sizeof out);
    rtp_put(&w, &h, lit("p"));
    CHECK(bytes_are(bytes_written(&w), "9066fffe01020304a0b0c0d0bede000222060000e200202870"));
    h.abs_send_time = 0;
    w = bytes_wr(out, sizeof out);
    rtp_put(&w, &h, lit("p"));
    CHECK(bytes_are(bytes_written(&w), "9066fffe01020304a0b0c0d0bede0001e200202870"));
    w = bytes_wr(out, 20);
    rtp_put(&w, &h, lit("p"));
    CHECK(w.bad);
    CHECK(RTP_PAYLOAD + RTP_HEADER + RTP_EXTENSIONS + SEAL_TAG <= BASE_DATAGRAM);
    CHECK(rtp_clock(0) == 0 && rtp_clock(BASE_S) == 90000 && rtp_clock(99) == 8 && rtp_clock(100) == 9);
    CHECK(rtp_clock(1000000 * BASE_S + 1) == 90000000000LL);
}

static void rtp_fragments(void) {
    static uint8_t nal[300000], again[300000];
    static struct nals list;
    rnd_seed(14);
    rnd_fill(nal, sizeof nal);
    for (int i = 0; i < 60; i++) {
        static const size_t sizes[] = {
            1, 2, RTP_PAYLOAD - 1, RTP_PAYLOAD, RTP_PAYLOAD + 1, 2 * RTP_PAYLOAD - 4, 2 * RTP_PAYLOAD - 3, sizeof nal};
        size_t n = i < 8 ? sizes[i] : 1 + rnd(20000), at = 0, used = 0;
        nal[0] = (uint8_t)(rnd(4) << 5 | (1 + rnd(23)));
        struct span s = exact(nal, n);
        struct wr fu = bytes_wr(again, sizeof again);
        list.n = 0;
        for (int k = 0;; k++) {
            uint8_t out[RTP_PAYLOAD];
            struct wr w = bytes_wr(out, sizeof out);
            if (!rtp_fragment(s, &at, &w)) break;
            CHECK(!w.bad && w.n);
            if (n > RTP_PAYLOAD) {
                bool last = at == n;
                CHECK(out[0] == ((nal[0] & 0xe0) | 28) &&
                      out[1] == ((k ? 0 : 0x80) | (last ? 0x40 : 0) | (nal[0] & 31)));
            } else CHECK(k == 0 && w.n == n);
            used += w.n;
            CHECK(depay(&fu, bytes_written(&w), &list));
        }
        CHECK(at == n && fu.n == 0 && list.n == 1 && list.size[0] == n && used >= n);
        CHECK(n <= RTP_PAYLOAD || !memcmp(again, nal, n));
        gone(s);
    }
    size_t at = 0;
    uint8_t out[RTP_PAYLOAD];
    struct wr w = bytes_wr(out, sizeof out);
    CHECK(!rtp_fragment(lit(""), &at, &w));
}

/* The pion vector cuts to 5 bytes; our payloads have one size, so the same NAL unit is laid out by the rule it shows. */
static void rtp_vectors(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    static struct nals list;
    struct vec *v = vec_next("fragment", NULL);
    uint8_t again[64], long_nal[3 * RTP_PAYLOAD], out[RTP_PAYLOAD];
    struct wr fu = bytes_wr(again, sizeof again);
    list.n = 0;
    for (int i = 2; i < v->n; i++) CHECK(depay(&fu, v->f[i], &list));
    CHECK(list.n == 1 && list.size[0] == v->f[0].n && !memcmp(again, v->f[0].p, v->f[0].n));
    for (size_t i = 0; i < sizeof long_nal; i++) long_nal[i] = v->f[0].p[i % v->f[0].n]; /* the same header */
    long_nal[0] = v->f[0].p[0] | 0x60 | 5;
    size_t at = 0;
    for (int i = 2; i < 5; i++) { /* start, middle, end: first two bytes as in the vector, but for NRI and type */
        int like = i == 2 ? 2 : i == 3 ? 3 : v->n - 1;
        struct wr w = bytes_wr(out, sizeof out);
        CHECK(rtp_fragment(base_span(long_nal, 3 * (RTP_PAYLOAD - 2)), &at, &w));
        CHECK(out[0] == (v->f[like].p[0] | 0x60) && out[1] == (v->f[like].p[1] | 5));
    }
    CHECK(at == 3 * (RTP_PAYLOAD - 2));
    for (v = NULL; (v = vec_next("stap", v));) {
        struct wr w = bytes_wr(out, sizeof out);
        struct span two = {NULL, 0};
        for (int i = 1; i < v->n; i++) CHECK(rtp_aggregate(&w, v->f[i]));
        two = bytes_written(&w);
        CHECK(two.n == v->f[0].n && !memcmp(two.p + 1, v->f[0].p + 1, two.n - 1));
        /* the vectors' first byte says 0x78 (NRI 3) whatever the NAL units say; ours is their maximum (RFC 6184 5.7) */
        CHECK((two.p[0] & 0x9f) == 24 && (two.p[0] & 0x60) >= (v->f[1].p[0] & 0x60));
        struct wr none = bytes_wr(again, sizeof again);
        list.n = 0;
        CHECK(depay(&none, two, &list) && list.n == v->n - 1);
    }
}

static void rtp_aggregates(void) {
    uint8_t out[RTP_PAYLOAD], big[RTP_PAYLOAD];
    struct wr w = bytes_wr(out, sizeof out), fu = bytes_wr(big, sizeof big);
    static struct nals list;
    CHECK(rtp_aggregate(&w, BIN("\x27\1\2")) && rtp_aggregate(&w, BIN("\x48\3")) && rtp_aggregate(&w, BIN("\x01\4")));
    CHECK(bytes_are(bytes_written(&w), "580003270102000248030002"
                                       "0104"));
    list.n = 0;
    CHECK(depay(&fu, bytes_written(&w), &list) && list.n == 3);
    memset(big, 0x61, sizeof big);
    w = bytes_wr(out, sizeof out);
    CHECK(!rtp_aggregate(&w, base_span(big, RTP_PAYLOAD - 2)) && w.n == 0);
    CHECK(rtp_aggregate(&w, base_span(big, RTP_PAYLOAD - 3)) && w.n == RTP_PAYLOAD && !w.bad);
    CHECK(!rtp_aggregate(&w, BIN("\x61")) && w.n == RTP_PAYLOAD);
}

/* Small NAL units share a packet, whatever it was before. */
static void rtp_joins(void) {
    static struct nals want, got;
    rnd_seed(24);
    for (int i = 0; i < 2000; i++) {
        uint8_t out[RTP_PAYLOAD], nal[RTP_PAYLOAD], fu_bytes[16];
        struct wr w = bytes_wr(out, sizeof out), fu = bytes_wr(fu_bytes, sizeof fu_bytes);
        size_t n = 1 + rnd(300);
        want.n = got.n = 0;
        rnd_fill(nal, sizeof nal);
        nal[0] = (uint8_t)(rnd(4) << 5 | (1 + rnd(5)));
        bytes_put(&w, nal, n);
        nals_add(&want, base_span(nal, n));
        for (bool fits = true; fits;) {
            nal[0] = (uint8_t)(rnd(4) << 5 | (1 + rnd(5)));
            n = 1 + rnd(rnd(2) ? 20 : 500);
            size_t before = w.n, more = (out[0] & 31) == RTP_STAP_A ? 2 : 5;
            fits = rtp_join(&w, base_span(nal, n));
            CHECK(!w.bad && (fits ? w.n == before + more + n : w.n == before) &&
                  (fits || before + more + n + 1 > RTP_PAYLOAD));
            if (fits) nals_add(&want, base_span(nal, n));
        }
        CHECK(depay(&fu, bytes_written(&w), &got) && nals_same(&want, &got));
    }
    for (size_t n = 1; n < RTP_PAYLOAD - 6;
         n++) { /* one that just fits, and just does not: nothing happens by halves */
        uint8_t full[RTP_PAYLOAD], nal[RTP_PAYLOAD];
        memset(full, 0x41, sizeof full);
        memset(nal, 0x41, sizeof nal);
        for (size_t over = 0; over < 3; over++) {
            struct wr w = {full, n, sizeof full, false};
            bool fits = rtp_join(&w, base_span(nal, RTP_PAYLOAD - 6 - n + over));
            CHECK_AS(fits ? w.n == RTP_PAYLOAD - 1 + over && !w.bad : w.n == n && full[0] == 0x41 && full[1] == 0x41,
                     "a packet that takes nothing in is as it was");
            memset(full, 0x41, sizeof full);
        }
    }
    uint8_t out[RTP_PAYLOAD] = {0x7c, 0x45, 1, 2};
    struct wr w = {out, 4, sizeof out, false};
    CHECK(!rtp_join(&w, BIN("\x41z")) && w.n == 4); /* the end of a fragmented one takes nothing in */
}

/* ==== rtcp ==== */

static bool rtcp_accepts(struct span s) {
    struct rtcp_packet p;
    int more;
    if (!s.n) return false;
    while ((more = rtcp_next(&s, &p)) > 0)
        if (!rtcp_whole(&p)) return false;
    return more == 0;
}

static void rtcp_own(void) {
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    for (size_t n = 0; n < 33; n++) { /* CNAMEs of every length: padded, ended by a zero byte */
        char cname[40];
        memset(cname, 'c', sizeof cname);
        cname[n] = 0;
        w = bytes_wr(out, sizeof out);
        rtcp_put_sr(&w, 0x11223344, 0x0102030405060708u, 9, 10, 11);
        CHECK(w.n == 28);
        rtcp_put_sdes(&w, 0x11223344, cname);
        CHECK(w.n % 4 == 0 && w.p[w.n - 1] == 0 && w.p[28 + 9] == n);
        struct span s = exact(w.p, w.n);
        CHECK(rtcp_accepts(s));
        gone(s);
    }
    w = bytes_wr(out, sizeof out);
    rtcp_put_bye(&w, 0xdeadbeef, "cam");
    struct span s = bytes_written(&w);
    struct rtcp_packet p;
    CHECK(rtcp_next(&s, &p) == 1 && p.type == RTCP_RR && p.count == 0 && p.sender == 0xdeadbeef);
    CHECK(rtcp_next(&s, &p) == 1 && p.type == RTCP_SDES && p.count == 1);
    CHECK(rtcp_next(&s, &p) == 1 && p.type == RTCP_BYE && p.count == 1 && p.sender == 0xdeadbeef);
    CHECK(rtcp_next(&s, &p) == 0);
    CHECK(rtcp_ntp(0) == 2208988800u * (1ull << 32) && (rtcp_ntp(1500000) & 0xffffffffu) == 0x80000000u);
}

static void rtcp_feedback(void) {
    struct span s = vec_field(lit("81c90007"
                                  "00000001"
                                  "00001092"
                                  "40fffffe"
                                  "00010005"
                                  "0000005a"
                                  "11223344"
                                  "00010000" /* RR */
                                  "81ce0002"
                                  "00000001"
                                  "00001092" /* PLI */
                                  "84ce0006"
                                  "00000001"
                                  "00000000"
                                  "00000009"
                                  "01000000"
                                  "00001092"
                                  "07000000" /* FIR, twice */
                                  "8fce0005"
                                  "00000001"
                                  "00000000"
                                  "52454d42"
                                  "010d86a0"
                                  "00001092")),
                rest = s; /* REMB */
    struct rtcp_packet p;
    struct rtcp_report r;
    CHECK(rtcp_accepts(s));
    CHECK(rtcp_next(&rest, &p) == 1 && rtcp_report(&p, 0, &r) && !rtcp_report(&p, 1, &r) &&
          !rtcp_wants_keyframe(&p, 0x1092));
    CHECK(rtcp_report(&p, 0, &r) && r.ssrc == 0x1092 && r.lost == 64 && r.lost_total == -2 && r.highest == 0x10005);
    CHECK(r.jitter == 90 && r.last_sr == 0x11223344 && r.delay == 65536);
    CHECK(rtcp_next(&rest, &p) == 1 && rtcp_wants_keyframe(&p, 0x1092) && !rtcp_wants_keyframe(&p, 0x1093) &&
          !rtcp_remb(&p));
    CHECK(rtcp_next(&rest, &p) == 1 && rtcp_wants_keyframe(&p, 0x1092) && rtcp_wants_keyframe(&p, 9) &&
          !rtcp_wants_keyframe(&p, 8));
    CHECK(rtcp_next(&rest, &p) == 1 && rtcp_remb(&p) == 800000 && !rtcp_wants_keyframe(&p, 0x1092));
    CHECK(rtcp_next(&rest, &p) == 0);
    for (size_t n = 0; n < s.n; n++) { /* only where a packet ends does a prefix hold */
        struct span cut = exact(s.p, n);
        CHECK(rtcp_accepts(cut) == (n == 32 || n == 44 || n == 72));
        gone(cut);
    }
    gone(s);
}

static void rtcp_nacks(void) {
    struct span s = vec_field(lit("81cd0004"
                                  "00000001"
                                  "00001092"
                                  "fffe8001"
                                  "00100000")),
                rest = s;
    struct rtcp_packet p;
    uint16_t seq, mask;
    CHECK(rtcp_accepts(s) && rtcp_next(&rest, &p) == 1);
    CHECK(rtcp_nack(&p, 0x1092, 0, &seq, &mask) && seq == 0xfffe && mask == 0x8001);
    CHECK(rtcp_nack(&p, 0x1092, 1, &seq, &mask) && seq == 0x10 && mask == 0);
    CHECK(!rtcp_nack(&p, 0x1092, 2, &seq, &mask) && !rtcp_nack(&p, 0x1093, 0, &seq, &mask));
    gone(s);
    s = rest = vec_field(lit("81cd0002"
                             "00000001"
                             "00001092")); /* RFC 4585 6.2.1: at least one entry */
    CHECK(!rtcp_accepts(s) && rtcp_next(&rest, &p) == 1 && !rtcp_nack(&p, 0x1092, 0, &seq, &mask));
    gone(s);
    s = rest = vec_field(lit("81ce0003"
                             "00000001"
                             "00001092"
                             "fffe8001")); /* PSFB, not RTPFB */
    CHECK(rtcp_next(&rest, &p) == 1 && !rtcp_nack(&p, 0x1092, 0, &seq, &mask));
    gone(s);
}

static void rtcp_padding(void) {
    static const struct {
        const char *hex;
        bool ok;
    } cases[] = {{"a0c9000200000001"
                  "00000004",
                  true},
                 {"a0c9000200000001"
                  "00000000",
                  false},
                 {"a0c9000200000001"
                  "00000003",
                  false},
                 {"a0c9000200000001"
                  "00000008",
                  true},
                 {"a0c9000200000001"
                  "0000000c",
                  false},
                 {"a0c9000200000001"
                  "00000004"
                  "80c9000100000001",
                  false},
                 {"a0c90000", false},
                 {"80c9000100000001"
                  "a0c9000200000001"
                  "00000004",
                  true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span s = vec_field(text_of(cases[i].hex));
        CHECK_AS(rtcp_accepts(s) == cases[i].ok, cases[i].hex);
        gone(s);
    }
}

static void rtcp_vectors(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    /* Pion's cases test one type's decoder each. Where the verdict of a parser that takes any type differs: */
    static const struct {
        const char *name, *why;
    } differs[] = {
        /* a packet of another type than the decoder under test, sound in itself */
        {"full_intra_request: wrong fmt", "laxer"},
        /* Pion's length field counts bytes here, or is of a header alone: longer than the datagram */
        {"goodbye: valid", "stricter: length beyond the datagram"},
        {"goodbye: short reason", "stricter: length beyond the datagram"},
        {"goodbye: empty packet", "stricter: length beyond the datagram"},
        {"source_description: no chunks", "stricter: length beyond the datagram"},
        {"source_description: zero item chunk", "stricter: length beyond the datagram"},
        {"source_description: empty string", "stricter: length beyond the datagram"},
        {"source_description: two items", "stricter: length beyond the datagram"},
        {"source_description: two chunks", "stricter: length beyond the datagram"},
        {"packet: NAME", "stricter: not RTCP at all"},
        {"packet: invalidPacket", "stricter: length beyond the datagram"},
        {"header: valid", "stricter: length beyond the datagram"},
        {"header: also valid", "stricter: length beyond the datagram"},
        {"compound_packet: shortHeader", "stricter: half a header"},
        {"sender_report: valid", "stricter: its length field ends it before its block"},
        /* RFC 3550 6.4.1 wants padding in fours; libwebrtc's transport-cc does not, but that is not negotiated */
        {"transport_layer_cc: example1", "stricter: padding of 1 byte"},
        {"transport_layer_cc: example2", "stricter: padding of 3 bytes"},
        {"transport_layer_cc: example3", "stricter"},
        {"transport_layer_cc: example4", "stricter"},
        {"transport_layer_cc: example5", "stricter"},
        {"transport_layer_cc: example6", "stricter"},
    };
    int n = 0, same = 0;
    bool used[64] = {false};
    for (struct vec *v = NULL; (v = vec_next("rtcp", v)); n++) {
        bool ours = rtcp_accepts(v->f[1]), theirs = v->n < 3 || !v->f[2].n, listed = false;
        for (size_t i = 0; i < sizeof differs / sizeof *differs; i++)
            if (text_is(v->f[0], differs[i].name) && (differs[i].why[0] == 'l') == ours)
                listed = used[i] = used[i] || ours != theirs;
        char what[200];
        snprintf(what, sizeof what, "%s: ours %d, Pion's %d", vec_text(v->f[0]), ours, theirs);
        CHECK_AS(ours == theirs || listed, what);
        same += ours == theirs;
        for (size_t k = 0; k < v->f[1].n; k++) {
            struct span s = exact(v->f[1].p, k);
            (void)rtcp_accepts(s);
            gone(s);
        }
    }
    for (size_t i = 0; i < sizeof differs / sizeof *differs; i++) CHECK_AS(used[i], differs[i].name);
    CHECK(n == 66);
    printf("# rtcp: %d packets, %d verdicts as Pion's, the others listed with their reason\n", n, same);
}

/* RFC 3611 4.4: a reference time is found behind other blocks; a block that is longer than the packet ends the search. */
static void rtcp_extended(void) {
    static const uint8_t good[] = {7, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0};
    static const uint8_t bad[] = {7, 0, 0xff, 0xff, 0, 0, 0, 0};
    struct rtcp_packet p = {.type = RTCP_XR, .body = base_span(good, sizeof good)};
    uint32_t time = 0;
    CHECK(rtcp_reference_time(&p, &time) && time == 0x12345678);
    for (size_t n = 0; n < sizeof good; n++) {
        struct span part = exact(good, n);
        p.body = part;
        CHECK(!rtcp_reference_time(&p, &time));
        gone(part);
    }
    p.body = base_span(bad, sizeof bad);
    CHECK(!rtcp_reference_time(&p, &time));
}

static void rtcp_bad_input(void) {
    uint8_t out[256];
    struct wr w = bytes_wr(out, sizeof out);
    rtcp_put_sr(&w, 1, 2, 3, 4, 5);
    rtcp_put_bye(&w, 1, "camera");
    bytes_put(&w,
              "\x8f\xce\0\5\0\0\0\1\0\0\0\0REMB\1\15\206\240\0\0\20\222\x84\xce\0\4\0\0\0\1\0\0\0\0\0\0\0\11\1\0\0\0",
              44);
    CHECK(rtcp_accepts(bytes_written(&w)));
    rnd_seed(15);
    for (int i = 0; i < 40000; i++) {
        struct span s = mutated(bytes_written(&w)), all = s;
        struct rtcp_packet p;
        struct rtcp_report r;
        for (int k = 0; k < 50 && rtcp_next(&s, &p) > 0; k++) {
            (void)rtcp_whole(&p);
            for (int j = 0; rtcp_report(&p, j, &r); j++) CHECK(j < 31);
            CHECK(rtcp_remb(&p) <= (uint64_t)0x3ffff << 40);
            (void)rtcp_wants_keyframe(&p, 1);
        }
        gone(all);
    }
}

/* ==== http ==== */

static struct http_req http_q;

/* Head, then body: how a whole request fares. 1 complete and *used, 0 more is needed, -1 bad. */
static int http_whole(struct span in, size_t *used) {
    int head = http_read(in, &http_q);
    if (head <= 0) return head;
    *used = (size_t)head;
    if (http_q.chunked) {
        size_t n = in.n - (size_t)head, decoded = 0;
        struct span rest = exact(in.p + head, n);
        int got = http_unchunk((uint8_t *)(uintptr_t)rest.p, &n, &decoded);
        *used = in.n - (n - decoded); /* behind the body stands what follows it */
        gone(rest);
        return got < 0 ? -1 : got;
    }
    *used += (size_t)http_q.length;
    return *used <= in.n;
}

static void http_requests(void) {
    static const struct {
        const char *text;
        int want; /* 1: taken; else the status of the refusal, 0: more is needed */
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1},
        {"\r\n\r\nGET / HTTP/1.0\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\nHost: a\r\n", 0},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\tb\r\n\r\n", 1},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"GET / HTTP/1.12\r\nHost: a\r\n\r\n", 400},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 1},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 0},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span s = exact(cases[i].text, strlen(cases[i].text));
        size_t used = 0;
        int got = http_whole(s, &used);
        CHECK_AS(got >= 0 ? got == cases[i].want : http_q.status == cases[i].want && http_q.why, cases[i].text);
        CHECK_AS(got != 1 || used == s.n, cases[i].text);
        for (size_t n = 0; n < s.n; n++) { /* a prefix asks for more or is refused as the whole is */
            struct span cut = exact(s.p, n);
            int early = http_whole(cut, &used);
            CHECK_AS(early == 0 || (early < 0 && got < 0), cases[i].text);
            gone(cut);
        }
        gone(s);
    }
}

static void http_fields(void) {
    struct span s =
        lit("GET /cam/whep?stream=sub&token=a%20b&x HTTP/1.1\r\nHost: A:1\r\nConnection: Keep-Alive, Close\r\n"
            "Accept: a\r\naccept: b\r\nEmpty:\r\nExpect: 100-continue\r\n\r\n");
    CHECK(http_read(s, &http_q) == (int)s.n);
    CHECK(text_is(http_q.method, "GET") && text_is(http_q.path, "/cam/whep") && http_q.minor == 1);
    CHECK(text_is(http_query(http_q.query, "stream"), "sub") && text_is(http_query(http_q.query, "token"), "a%20b"));
    CHECK(!http_query(http_q.query, "tok").p && http_query(http_q.query, "x").n == 0);
    CHECK(text_is(http_header(&http_q, "HOST"), "A:1") && text_is(http_header(&http_q, "accept"), "a"));
    CHECK(http_header(&http_q, "empty").p && !http_header(&http_q, "empty").n && !http_header(&http_q, "none").p);
    CHECK(http_has(&http_q, "connection", "close") && !http_has(&http_q, "connection", "clos"));
    CHECK(!http_q.keep_alive && http_q.expects);
    s = lit("GET http://other:80/p?q#f HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(http_read(s, &http_q) > 0 && text_is(http_q.path, "/p") && text_is(http_q.query, "q") && http_q.keep_alive);
    s = lit("GET http://other HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(http_read(s, &http_q) > 0 && text_is(http_q.path, "/") && http_q.keep_alive);
    s = lit("OPTIONS * HTTP/1.0\r\n\r\n");
    CHECK(http_read(s, &http_q) > 0 && text_is(http_q.path, "*") && !http_q.keep_alive);
}

static void http_limits_hold(void) {
    static char text[40000];
    for (int kind = 0; kind < 4; kind++) {
        struct wr w = bytes_wr(text, sizeof text);
        text_put(&w, kind == 0 ? "GET /" : "GET / HTTP/1.1\r\nHost: a\r\n");
        if (kind == 0)
            for (int i = 0; i < HTTP_HEAD; i++) bytes_w8(&w, 'a');
        if (kind == 1) {
            text_put(&w, "X: ");
            for (int i = 0; i < HTTP_HEAD; i++) bytes_w8(&w, 'a');
        }
        for (int i = 0; kind == 2 && i < 64; i++) text_put(&w, "X: y\r\n");
        if (kind == 3) /* all together just fits */
            while (w.n + 4 + 3 < HTTP_HEAD) text_put(&w, w.n + 4 + 3 + 400 < HTTP_HEAD ? "X: " : "Y:");
        if (kind == 3) w.n = HTTP_HEAD - 4;
        text_put(&w, kind == 0 ? " HTTP/1.1\r\nHost: a\r\n\r\n" : kind == 2 ? "\r\n" : "\r\n\r\n");
        int got = http_read(bytes_written(&w), &http_q), want[] = {414, 431, 431};
        if (kind < 3) CHECK(got == -1 && http_q.status == want[kind]);
        else CHECK(got == HTTP_HEAD);
        int early = http_read(base_span(text, HTTP_HEAD + 1 < w.n ? HTTP_HEAD + 1 : w.n), &http_q);
        CHECK(kind > 1 || (early == -1 && http_q.status == want[kind]));
        CHECK(kind > 1 || http_read(base_span(text, HTTP_HEAD), &http_q) == 0);
    }
}

/* Feeds a chunked body: first bytes, then step at a time. Returns the last verdict; on 1 the body is compared. */
static int chunks_fed(struct span in, size_t first, size_t step, const char *body) {
    size_t n = 0, decoded = 0, at = 0;
    int got = 0;
    uint8_t *p = malloc(in.n + 1);
    for (size_t more = first; got == 0; more = step) {
        more = more < in.n - at ? more : in.n - at;
        if (more) memcpy(p + n, in.p + at, more);
        at += more;
        struct span e = exact(p, n + more);
        n += more;
        got = http_unchunk((uint8_t *)(uintptr_t)e.p, &n, &decoded);
        if (got >= 0) memcpy(p, e.p, n);
        gone(e);
        CHECK(got < 0 || (decoded <= n && n <= in.n));
        if (at == in.n) break;
    }
    if (got == 1) CHECK(!body || text_is(base_span(p, decoded), body));
    if (got == 1) CHECK(n - decoded == 0 || at < in.n || step);
    free(p);
    return got;
}

static void http_chunks(void) {
    static const struct {
        const char *text, *body; /* body NULL: bad */
        bool more;
    } cases[] = {
        {"0\r\n\r\n", "", false},
        {"5\r\nhello\r\n0\r\n\r\n", "hello", false},
        {"1;ext=\"v\"\r\na\r\n00A\r\n0123456789\r\n0;x\r\nTrailer: y\r\nZ: y\r\n\r\n", "a0123456789", false},
        {"5\r\nhello\r\n0\r\n", NULL, true},
        {"5\r\nhello\r\n", NULL, true},
        {"5\r\nhell", NULL, true},
        {"5\r", NULL, true},
        {"5\nhello\r\n0\r\n\r\n", NULL, false},
        {"5\r\nhello\n0\r\n\r\n", NULL, false},
        {"5\r\nhelloX\r\n0\r\n\r\n", NULL, false},
        {"g\r\n", NULL, false},
        {"-1\r\n", NULL, false},
        {"0x5\r\nhello\r\n0\r\n\r\n", NULL, false},
        {" 5\r\nhello\r\n0\r\n\r\n", NULL, false},
        {"5 \r\nhello\r\n0\r\n\r\n", NULL, false},
        {"\r\n", NULL, false},
        {"FFFFFFFFF\r\n", NULL, false},
        {"0\r\n\n", NULL, false}, /* RFC 9112 2.2 lets LF alone end header lines only where nobody else disagrees */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t all = strlen(cases[i].text);
        for (size_t first = 0; first <= all; first++) { /* whole, and cut in two anywhere: the same verdict */
            int want = cases[i].body ? 1 : cases[i].more ? 0 : -1;
            CHECK_AS(chunks_fed(lit(cases[i].text), first, all, cases[i].body) == want, cases[i].text);
            CHECK_AS(chunks_fed(lit(cases[i].text), first, 1, cases[i].body) == want, cases[i].text);
        }
        for (size_t n = 0; n < all; n++) {
            int early = chunks_fed(base_span(cases[i].text, n), n, n, NULL);
            CHECK_AS(early == 0 || (early < 0 && !cases[i].body && !cases[i].more), cases[i].text);
        }
    }
}

/* Long lines, in one piece and in many. */
static void http_chunks_in_pieces(void) {
    static char text[200000];
    static const struct {
        const char *what, *head, *tail;
        int n, want;
    } cases[] = {{"a chunk extension of 200 bytes", "1;", "\r\na\r\n0\r\n\r\n", 200, 1},
                 {"a chunk extension of 400 bytes", "1;", "\r\na\r\n0\r\n\r\n", 400, -1},
                 {"a trailer line of 10,000 bytes", "0\r\nX: ", "\r\n\r\n", 10000, 1},
                 {"a trailer line of 20,000 bytes", "0\r\nX: ", "\r\n\r\n", 20000, -1},
                 {"a chunk of 64 KB", "10000\r\n", "\r\n0\r\n\r\n", 65536, 1},
                 {"a chunk of more", "10001\r\n", "\r\n0\r\n\r\n", 65537, -2},
                 {"two chunks of more together", "1\r\na\r\n10000\r\n", "\r\n0\r\n\r\n", 65536, -2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wr w = bytes_wr(text, sizeof text);
        text_put(&w, cases[i].head);
        for (int k = 0; k < cases[i].n; k++) bytes_w8(&w, 'x');
        text_put(&w, cases[i].tail);
        CHECK_AS(chunks_fed(bytes_written(&w), w.n, w.n, NULL) == cases[i].want, cases[i].what);
        CHECK_AS(chunks_fed(bytes_written(&w), 1, 97, NULL) == cases[i].want, cases[i].what);
        CHECK_AS(chunks_fed(bytes_written(&w), w.n - 1, 1, NULL) == cases[i].want, cases[i].what);
    }
}

/* All requests of a block one after the other. -1: one is refused, else how many were complete. */
static int http_pipeline(struct span s) {
    int n = 0;
    for (;;) {
        size_t used = 0;
        int got = http_whole(s, &used);
        if (got < 0) return -1;
        if (!got) return n;
        n++;
        s = base_span(s.p + used, s.n - used);
    }
}

static void http_vectors(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    /* Every case on which the two disagree, in classes with their reason. + : we take it, - : we refuse it. */
    static const struct {
        const char *section, *why;
    } differs[] = {
        /* llhttp reports the upgrade or CONNECT by an error code of its own; to us they are requests like others */
        {"Setting a flag and pausing", "+ upgrade is not acted on"},
        {"CONNECT request with CAPS", "+ CONNECT is a method like others here"},
        {"Underscore in hostname", "+ CONNECT is a method like others here"},
        /* methods are tokens, the routes know which ones they take */
        {"HTTP protocol and ANNOUNCE method", "+ any token is a method"},
        {"Invalid method", "+ any token is a method"},
        {"Disallow UTF-8 in URI path in strict mode", "+ bytes above 127 match no route"},
        /* chunk extensions are read over to the end of their line */
        {"No extension after semicolon", "+ chunk extensions are not looked at"},
        {"Unbalanced chunk extensions quoting", "+ chunk extensions are not looked at"},
        /* RFC 9112 3.2: HTTP/1.1 without Host gets 400 (the second request of a pipeline) */
        {"Restarting when keep-alive is explicitly", "- HTTP/1.1 without Host"},
        {"Should parse multiple events", "- HTTP/1.1 without Host"},
        /* other protocols and other codings */
        {"SOURCE request with ICE", "- only HTTP/1.x is spoken"},
        {"OPTIONS request with RTSP", "- only HTTP/1.x is spoken"},
        {"ANNOUNCE request with RTSP", "- only HTTP/1.x is spoken"},
        {"No HTTP version", "- HTTP/0.9 is not spoken"},
        {"POST with `chunked` as last transfer-encoding", "- chunked alone: no other coding is undone here"},
        {"POST with `chunked` as last transfer-encoding (multiple headers)", "- chunked alone"},
        {"CRLF between requests, explicit `close`", "- the case carries its own log as a second request"},
    };
    bool used[64] = {false};
    int n = 0, same = 0;
    for (struct vec *v = NULL; (v = vec_next("http", v)); n++) {
        bool ours = http_pipeline(v->f[1]) >= 0, theirs = v->n < 3 || !v->f[2].n, listed = false;
        for (size_t i = 0; i < sizeof differs / sizeof *differs; i++)
            if (text_is(v->f[0], differs[i].section) && (differs[i].why[0] == '+') == ours && ours != theirs)
                listed = used[i] = true;
        char what[300];
        snprintf(what, sizeof what, "%s: ours %d (%s), llhttp's %d (%s)", vec_text(v->f[0]), ours,
                 http_q.why ? http_q.why : "", theirs, v->n > 2 ? vec_text(v->f[2]) : "");
        CHECK_AS(ours == theirs || listed, what);
        same += ours == theirs;
        int last = 0; /* requests complete in a prefix never become fewer, and a refusal stays */
        for (size_t k = 0; k <= v->f[1].n; k++) {
            struct span cut = exact(v->f[1].p, k);
            int got = http_pipeline(cut);
            CHECK_AS(last < 0 ? got < 0 : got < 0 || got >= last, what);
            last = got;
            gone(cut);
        }
    }
    for (size_t i = 0; i < sizeof differs / sizeof *differs; i++) CHECK_AS(used[i], differs[i].section);
    CHECK(n == 131);
    printf("# http: %d request cases of llhttp, %d verdicts the same, %zu differ as listed\n", n, same,
           sizeof differs / sizeof *differs);
}

static void http_bad_input(void) {
    static const char *const seeds[] = {"POST /cam/whep?token=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                                        "5\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n",
                                        "GET http://a/b?c#d HTTP/1.0\r\nConnection: close\r\nCookie: wcam8080=abc; "
                                        "x=y\r\nAuthorization: Basic YTpi\r\n\r\n",
                                        "PATCH / HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: "
                                        "chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"};
    rnd_seed(16);
    for (int i = 0; i < 30000; i++) {
        struct span s = mutated(lit(seeds[i % 3]));
        int got = http_pipeline(s);
        CHECK(got >= 0 || http_q.status >= 400 || http_q.chunked);
        gone(s);
    }
}

static void http_answers(void) {
    static uint8_t body[300], out[4096];
    struct http_resp r;
    struct wr w = bytes_wr(out, sizeof out);
    http_respond(&r, body, sizeof body);
    r.status = 200;
    r.type = "text/plain";
    text_put(&r.body, "hello");
    text_put(&r.extra, "X-One: 1\r\n");
    CHECK(http_finish(&r, &w));
    out[w.n] = 0;
    CHECK(!strncmp((char *)out, "HTTP/1.1 200 OK\r\n", 17) && strstr((char *)out, "Content-Length: 5\r\n"));
    CHECK(strstr((char *)out, "X-One: 1\r\n") && strstr((char *)out, "\r\n\r\nhello") &&
          !strstr((char *)out, "Connection: close"));
    CHECK(strstr((char *)out, "Cache-Control: no-store\r\n") && strstr((char *)out, "nosniff"));
    r.head = true;
    r.close = true;
    w = bytes_wr(out, sizeof out);
    CHECK(http_finish(&r, &w));
    out[w.n] = 0;
    CHECK(strstr((char *)out, "Content-Length: 5\r\n") && strstr((char *)out, "Connection: close\r\n"));
    CHECK(!memcmp(out + w.n - 4, "\r\n\r\n", 4));
    http_respond(&r, body, sizeof body);
    r.status = 200;
    for (int i = 0; i < 100; i++) text_put(&r.body, "too long");
    w = bytes_wr(out, sizeof out);
    CHECK(http_finish(&r, &w));
    out[w.n] = 0;
    CHECK(!strncmp((char *)out, "HTTP/1.1 500 ", 13) && strstr((char *)out, "application/problem+json"));
    http_respond(&r, body, sizeof body);
    r.status = 204;
    w = bytes_wr(out, sizeof out);
    CHECK(http_finish(&r, &w));
    out[w.n] = 0;
    CHECK(!strstr((char *)out, "Content-Length"));
}

/* ==== ws ==== */

#define WS_ASK "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
#define WS_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* Opens by a whole request; what is sent back goes to text. */
static int ws_ask(struct span request, char *text, size_t cap) {
    static uint8_t body[1024];
    struct http_resp r;
    struct wr w = bytes_wr(text, cap - 1);
    http_respond(&r, body, sizeof body);
    if (!CHECK(http_read(request, &http_q) == (int)request.n)) return 0;
    ws_open(&http_q, &r);
    int status = r.status;
    CHECK(http_finish(&r, &w) && r.status == status);
    text[w.n] = 0;
    return status;
}

static void ws_handshakes(void) {
    static const struct {
        const char *first, *headers;
        int status;
    } cases[] = {{"GET / HTTP/1.1", WS_ASK WS_KEY, 101},
                 {"GET / HTTP/1.2", WS_ASK WS_KEY, 101},
                 {"GET / HTTP/1.1",
                  "Host: a\r\nupgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n"
                  "sec-websocket-version: 13\r\n" WS_KEY,
                  101}, /* as Firefox asks */
                 {"GET / HTTP/1.1",
                  "Host: a\r\nUpgrade: h2c, websocket\r\nConnection: x\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
                  "Sec-WebSocket-Protocol: chat\r\n" WS_KEY,
                  101},
                 {"GET / HTTP/1.1", "Host: a\r\n", 426},
                 {"GET / HTTP/1.1", "Host: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" WS_KEY, 426},
                 {"GET / HTTP/1.1", "Host: a\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" WS_KEY, 426},
                 {"GET / HTTP/1.1",
                  "Host: a\r\nUpgrade: websockets\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" WS_KEY, 426},
                 {"GET / HTTP/1.1", "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" WS_KEY, 426},
                 {"GET / HTTP/1.1",
                  "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" WS_KEY, 426},
                 {"GET / HTTP/1.0", WS_ASK WS_KEY, 400},
                 {"POST / HTTP/1.1", WS_ASK WS_KEY, 400},
                 {"HEAD / HTTP/1.1", WS_ASK WS_KEY, 400},
                 {"GET / HTTP/1.1", WS_ASK, 400},
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key:\r\n", 400},
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n", 400},     /* 15 bytes */
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n", 400}, /* 17 */
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n", 400}, /* 18 */
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA\r\n", 400},   /* no padding */
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==AAAA\r\n", 400},
                 {"GET / HTTP/1.1", WS_ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n", 400},
                 {"GET / HTTP/1.1",
                  WS_ASK "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n", 400}};
    char text[2048];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[700];
        snprintf(request, sizeof request, "%s\r\n%s\r\n", cases[i].first, cases[i].headers);
        struct span own = exact(request, strlen(request));
        CHECK_AS(ws_ask(own, text, sizeof text) == cases[i].status, request);
        gone(own);
        bool open = cases[i].status == 101;
        CHECK_AS(open == !strncmp(text, "HTTP/1.1 101 Switching Protocols\r\n", 34), request);
        CHECK_AS(open == (strstr(text, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != NULL), request);
        CHECK_AS(open == !strstr(text, "Content-Length"), request);
        /* RFC 9110 15.5.22, RFC 6455 4.4: with 426 comes what is spoken here */
        bool told = strstr(text, "\r\nUpgrade: websocket\r\n") && strstr(text, "\r\nConnection: Upgrade\r\n");
        CHECK_AS(told == (cases[i].status != 400), request);
        CHECK_AS((strstr(text, "\r\nSec-WebSocket-Version: 13\r\n") != NULL) == (cases[i].status == 426), request);
        /* RFC 6455 4.2.2: neither extension nor subprotocol */
        CHECK_AS(!strstr(text, "Extensions") && !strstr(text, "Sec-WebSocket-Protocol"), request);
        if (open) CHECK_AS(!strcmp(strstr(text, "\r\n\r\n"), "\r\n\r\n"), request);
    }
}

/* A server's receiving end: its bytes in a block of exactly their size, its events as a line of text. */
struct wire {
    struct ws ws;
    uint8_t *p;
    size_t n;
    bool over;
    int code; /* of the end */
    struct wr log;
    char text[4000];
};

static struct wire *wire_new(void) {
    struct wire *k = calloc(1, sizeof *k);
    if (!k) abort();
    k->log = bytes_wr(k->text, sizeof k->text - 1);
    return k;
}

static void wire_free(struct wire *k) {
    free(k->p);
    free(k);
}

static void wire_note(struct wire *k, const char *what, struct span s) {
    text_putf(&k->log, "%s%zu:%08x ", what, s.n, (unsigned)bytes_crc32(s));
}

static void wire_feed(struct wire *k, struct span s) {
    if (k->over) return;
    uint8_t *p = malloc(k->n + s.n + (k->n + s.n == 0));
    if (!p) abort();
    if (k->n) memcpy(p, k->p, k->n);
    if (s.n) memcpy(p + k->n, s.p, s.n);
    free(k->p);
    k->p = p;
    k->n += s.n;
    while (!k->over) {
        size_t before = k->n, held = k->ws.message;
        bool whole = k->ws.whole;
        enum ws_event event = ws_read(&k->ws, k->p, &k->n);
        CHECK(k->ws.message <= WS_MESSAGE && k->ws.message <= k->n && k->n <= before);
        switch (event) {
        case WS_GOT_NOTHING: CHECK(k->ws.message == (whole ? 0 : held)); return;
        case WS_GOT_PART: text_put(&k->log, "."); break;
        case WS_GOT_TEXT: wire_note(k, "T", base_span(k->p, k->ws.message)); break;
        case WS_GOT_PING: wire_note(k, "P", base_span(k->ws.control, k->ws.control_n)); break;
        case WS_GOT_PONG: wire_note(k, "O", base_span(k->ws.control, k->ws.control_n)); break;
        case WS_GOT_CLOSE:
        case WS_GOT_FAULT:
            text_putf(&k->log, "%c%d", event == WS_GOT_CLOSE ? 'C' : 'F', k->ws.code);
            k->code = k->ws.code;
            k->over = true;
        }
    }
}

/* What events these bytes are; lives until the next call. */
static const char *wire_events(struct span s) {
    static char text[4000];
    struct wire *k = wire_new();
    wire_feed(k, s);
    k->text[k->log.n] = 0;
    strcpy(text, k->text);
    wire_free(k);
    return text;
}

static int wire_fault(struct span s) { /* the code of the fault, 0: none */
    const char *events = wire_events(s), *fault = strchr(events, 'F');
    return fault ? atoi(fault + 1) : 0;
}

static const char *wire_event(const char *what, struct span s) {
    static char text[2][64];
    static int at;
    snprintf(text[at ^= 1], sizeof text[0], "%s%zu:%08x ", what, s.n, (unsigned)bytes_crc32(s));
    return text[at];
}

/* A client's frame: masked, of the shortest form unless form says 126 or 127. */
static void ws_frame(struct wr *w, unsigned first, struct span payload, unsigned form) {
    const uint8_t mask[4] = {(uint8_t)rnd(256), (uint8_t)rnd(256), (uint8_t)rnd(256), (uint8_t)rnd(256)};
    if (!form) form = payload.n < 126 ? 0 : payload.n < 65536 ? 126 : 127;
    bytes_w8(w, first);
    bytes_w8(w, 0x80 | (form ? form : (unsigned)payload.n));
    if (form) bytes_put_uint(w, payload.n, form == 126 ? 2 : 8);
    bytes_put(w, mask, 4);
    for (size_t i = 0; i < payload.n; i++) bytes_w8(w, payload.p[i] ^ mask[i % 4]);
}

static void ws_own_frames(void) { /* RFC 6455 5.7, and the borders of each form */
    static uint8_t payload[70000], out[70100];
    static const struct {
        size_t n;
        const char *head;
    } forms[] = {{0, "8200"},
                 {125, "827d"},
                 {126, "827e007e"},
                 {256, "827e0100"},
                 {65535, "827effff"},
                 {65536, "827f0000000000010000"},
                 {70000, "827f0000000000011170"}};
    struct wr w = bytes_wr(out, sizeof out);
    ws_put(&w, WS_TEXT, lit("Hello"));
    CHECK(bytes_are(bytes_written(&w), "810548656c6c6f"));
    w = bytes_wr(out, sizeof out);
    ws_put(&w, WS_PING, lit("Hello"));
    CHECK(bytes_are(bytes_written(&w), "890548656c6c6f"));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t head = strlen(forms[i].head) / 2;
        w = bytes_wr(out, sizeof out);
        ws_put(&w, WS_BINARY, base_span(payload, forms[i].n));
        CHECK(!w.bad && w.n == head + forms[i].n && head <= WS_HEAD && bytes_are(base_span(out, head), forms[i].head));
        w = bytes_wr(out, head + forms[i].n - 1);
        ws_put(&w, WS_BINARY, base_span(payload, forms[i].n));
        CHECK(w.bad);
    }
    w = bytes_wr(out, sizeof out);
    ws_put_close(&w, WS_GOING_AWAY);
    ws_put_close(&w, WS_NO_CODE); /* never on the wire: an empty frame */
    CHECK(bytes_are(bytes_written(&w), "880203e98800"));
}

static void ws_frames_in(void) {
    rnd_seed(40);
    CHECK(!strcmp(wire_events(BIN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")), wire_event("T", lit("Hello"))));
    CHECK(!strcmp(wire_events(BIN("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")), wire_event("O", lit("Hello"))));
    CHECK(!strcmp(wire_events(BIN("\x81\x80....")), wire_event("T", lit(""))));
    /* a message in pieces, control frames between them (5.4), and another one behind */
    static uint8_t bytes[2000], out[2000], full[WS_CONTROL];
    struct wr w = bytes_wr(bytes, sizeof bytes), e = bytes_wr(out, sizeof out - 1);
    rnd_fill(full, sizeof full);
    ws_frame(&w, 0x01, lit("Hel"), 0);
    ws_frame(&w, 0x89, base_span(full, sizeof full), 0);
    ws_frame(&w, 0x00, lit(""), 0);
    ws_frame(&w, 0x8a, lit(""), 0);
    ws_frame(&w, 0x00, lit("l"), 0);
    ws_frame(&w, 0x80, lit("o \xf0\x9f"), 0); /* a character is no unit of framing */
    struct span bad = bytes_written(&w);
    CHECK(wire_fault(bad) == WS_INVALID); /* but half of one ends no message */
    w.n -= 10;
    ws_frame(&w, 0x00, lit("o \xf0\x9f"), 0);
    ws_frame(&w, 0x89, lit("x"), 0);
    ws_frame(&w, 0x80, lit("\x98\x80"), 0);
    ws_frame(&w, 0x81, lit("next"), 0);
    ws_frame(&w, 0x01, lit("never whole"), 0);
    ws_frame(&w, 0x88,
             lit("\x03\xe8"
                 "done"),
             0); /* a Close may stand between the pieces, too */
    ws_frame(&w, 0x81, lit("after the end"), 0);
    text_put(&e, ".");
    text_put(&e, wire_event("P", base_span(full, sizeof full)));
    text_put(&e, ".");
    text_put(&e, wire_event("O", lit("")));
    text_put(&e, "..");
    text_put(&e, wire_event("P", lit("x")));
    text_put(&e, wire_event("T", lit("Hello \xf0\x9f\x98\x80")));
    text_put(&e, wire_event("T", lit("next")));
    text_put(&e, ".C1000");
    out[e.n] = 0;
    CHECK(!w.bad && !e.bad);
    if (!CHECK(!strcmp(wire_events(bytes_written(&w)), (char *)out)))
        printf("%s\n%s\n", wire_events(bytes_written(&w)), out);
}

static void ws_refusals(void) {
    static const struct {
        const char *hex;
        int code;
    } cases[] = {{"810548656c6c6f", 1002}, /* not masked */
                 {"8100", 1002},           /* not even an empty one */
                 {"8900", 1002},
                 {"c18000000000", 1002}, /* RSV1, RSV2, RSV3 */
                 {"a18000000000", 1002},
                 {"918000000000", 1002},
                 {"c98000000000", 1002},
                 {"838000000000", 1002}, /* reserved opcodes */
                 {"878000000000", 1002},
                 {"8b8000000000", 1002},
                 {"8f8000000000", 1002},
                 {"098000000000", 1002}, /* a control frame in pieces */
                 {"088000000000", 1002},
                 {"89fe007e", 1002}, /* a long one */
                 {"88ff0000000000000080", 1002},
                 {"808000000000", 1002}, /* a continuation of nothing */
                 {"008000000000", 1002},
                 {"01818888888898"
                  "818188888888"
                  "88",
                  1002}, /* a message within a message */
                 {"01818888888898"
                  "018188888888"
                  "88",
                  1002},
                 {"01818888888898"
                  "828188888888"
                  "88",
                  1002},
                 {"81fe0005", 1002}, /* not the shortest form */
                 {"81fe007d", 1002},
                 {"81ff000000000000007e", 1002},
                 {"81ff000000000000ffff", 1002},
                 {"81ff8000000000000000", 1002}, /* the top bit */
                 {"81ffffffffffffffffff", 1002},
                 {"828000000000", 1003}, /* binary */
                 {"028000000000", 1003},
                 {"81ff7fffffffffffffff", 1009}, /* before a byte of it has come */
                 {"81ff0000000000010001", 1009},
                 {"01ff0000000000010001", 1009},
                 {"88810000000003", 1002},   /* a Close of one byte */
                 {"88820000000003e7", 1002}, /* code 999 */
                 {"88820000000003ed", 1002}, /* 1005, 1006, 1015: never on the wire */
                 {"88820000000003ee", 1002},
                 {"88820000000003f7", 1002},
                 {"888400000000"
                  "03e8ff80",
                  1007}, /* a reason that is not UTF-8 */
                 {"888400000000"
                  "03e8c3a9",
                  0},
                 {"818300000000"
                  "ceffff",
                  1007}, /* text that is not UTF-8 */
                 {"818200000000"
                  "c080",
                  1007},
                 {"818300000000"
                  "eda080",
                  1007},
                 {"818100000000"
                  "ce",
                  1007},
                 {"018100000000"
                  "ce"
                  "808100000000"
                  "ba",
                  0}, /* a character in two frames */
                 {"018100000000"
                  "ce"
                  "808100000000"
                  "ce",
                  1007}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span s = vec_field(lit(cases[i].hex));
        CHECK_AS(wire_fault(s) == cases[i].code, cases[i].hex);
        gone(s);
    }
}

static void ws_vectors(void) {
    SKIP_UNLESS(vec_count, NO_VECTORS);
    char text[2048], want[100];
    int n = 0;
    for (struct vec *v = NULL; (v = vec_next("wsopen", v)); n++) {
        CHECK(ws_ask(v->f[0], text, sizeof text) == 101);
        snprintf(want, sizeof want, "\r\nSec-WebSocket-Accept: %s\r\n", vec_text(v->f[1]));
        CHECK_AS(strstr(text, want), want);
    }
    for (struct vec *v = NULL; (v = vec_next("wsframe", v)); n++) {
        struct span s = v->f[1];
        if (text_is(v->f[2], "client")) CHECK_AS(!wire_fault(s) && *wire_events(s), vec_text(v->f[0]));
        else { /* unmasked: the server's, written and never read */ uint8_t out[16];
            struct wr w = bytes_wr(out, sizeof out);
            CHECK_AS(wire_fault(s) == WS_PROTOCOL, vec_text(v->f[0]));
            if (s.p[0] & 0x80 && s.n == 2u + s.p[1])
                ws_put(&w, (enum ws_opcode)(s.p[0] & 15), base_span(s.p + 2, s.p[1]));
            CHECK_AS(!w.n || text_same(bytes_written(&w), s), vec_text(v->f[0]));
        }
    }
    for (struct vec *v = NULL; (v = vec_next("wsbad", v)); n++) {
        int got = wire_fault(v->f[1]), must = atoi(vec_text(v->f[2]));
        /* a binary frame of any size is not taken at all */
        CHECK_AS(got == must || (must == WS_TOO_BIG && got == WS_UNSUPPORTED), vec_text(v->f[0]));
    }
    CHECK(n >= 20);
}

/* However the bytes are cut, the events are the same. */
static void ws_any_chunking(void) {
    static uint8_t bytes[4000], text[300];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    rnd_seed(41);
    memset(text, 'x', sizeof text);
    ws_frame(&w, 0x81, lit("{\"type\":\"bye\"}"), 0);
    ws_frame(&w, 0x81, base_span(text, sizeof text), 0);
    ws_frame(&w, 0x01, lit("a \xc3"), 0);
    ws_frame(&w, 0x89, lit("ping"), 0);
    ws_frame(&w, 0x00, base_span("\xa9 b", 3), 0);
    ws_frame(&w, 0x8a, lit(""), 0);
    ws_frame(&w, 0x80, base_span(text, 130), 0);
    ws_frame(&w, 0x81, lit(""), 0);
    size_t body = w.n;
    for (int end = 0; end < 3; end++) {
        w.n = body;
        if (end == 0)
            ws_frame(&w, 0x88,
                     lit("\x03\xe9"
                         "going"),
                     0);
        if (end == 1) ws_frame(&w, 0xc1, lit("x"), 0);
        if (end == 2) ws_frame(&w, 0x81, lit("\xff"), 0);
        ws_frame(&w, 0x81, lit("more"), 0);
        char whole[4000];
        strcpy(whole, wire_events(bytes_written(&w)));
        CHECK(!w.bad && strstr(whole, end == 0 ? "C1001" : end == 1 ? "F1002" : "F1007"));
        for (size_t cut = 0; cut <= w.n; cut++) {
            struct wire *k = wire_new();
            wire_feed(k, base_span(bytes, cut));
            wire_feed(k, base_span(bytes + cut, w.n - cut));
            if (!CHECK(!strcmp(k->text, whole))) printf("cut %zu: %s\n", cut, k->text);
            wire_free(k);
        }
        for (size_t step = 1; step < 9; step += 3) { /* byte by byte, and some at a time */
            struct wire *k = wire_new();
            for (size_t i = 0; i < w.n; i += step) wire_feed(k, base_span(bytes + i, w.n - i < step ? w.n - i : step));
            CHECK(!strcmp(k->text, whole));
            wire_free(k);
        }
    }
}

static void ws_close_codes(void) {
    int wrong = 0;
    rnd_seed(42);
    for (unsigned code = 0; code < 65536; code++) {
        uint8_t bytes[16], payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        struct wr w = bytes_wr(bytes, sizeof bytes);
        size_t n;
        struct ws s = {0};
        ws_frame(&w, 0x88, base_span(payload, 2), 0);
        n = w.n;
        enum ws_event event = ws_read(&s, bytes, &n);
        /* RFC 6455 7.4: 1004 to 1006 and 1015 are reserved, below 1000 and from 5000 on is nothing, 1016 to 2999 is for
         * later versions of the protocol; 1012 to 1014 came by IANA's registry */
        bool good = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                    (code >= 3000 && code < 5000);
        wrong += event != (good ? WS_GOT_CLOSE : WS_GOT_FAULT) || s.code != (good ? (int)code : WS_PROTOCOL);
    }
    CHECK(!wrong);
    CHECK(!strcmp(wire_events(BIN("\x88\x80....")), "C1005"));
}

static void ws_largest(void) {
    static uint8_t text[WS_MESSAGE + 1], bytes[2 * WS_MESSAGE];
    memset(text, 'a', sizeof text);
    rnd_seed(43);
    struct wr w = bytes_wr(bytes, sizeof bytes);
    struct span most = base_span(text, WS_MESSAGE);
    ws_frame(&w, 0x81, most, 0);
    CHECK(!strcmp(wire_events(bytes_written(&w)), wire_event("T", most)));
    w = bytes_wr(bytes, sizeof bytes);
    ws_frame(&w, 0x81, base_span(text, WS_MESSAGE + 1), 0);
    CHECK(wire_fault(bytes_written(&w)) == WS_TOO_BIG && wire_fault(base_span(bytes, 10)) == WS_TOO_BIG);
    CHECK(!*wire_events(base_span(bytes, 9)));
    for (size_t more = 0; more < 2; more++) { /* in pieces, with a ping that does not count */
        w = bytes_wr(bytes, sizeof bytes);
        ws_frame(&w, 0x01, base_span(text, 30000), 0);
        ws_frame(&w, 0x00, base_span(text, WS_MESSAGE - 30000 - 7), 0);
        ws_frame(&w, 0x89, base_span(text, WS_CONTROL), 0);
        ws_frame(&w, 0x00, base_span(text, 7), 0);
        ws_frame(&w, 0x80, base_span(text, more), 0);
        const char *events = wire_events(bytes_written(&w));
        CHECK(more ? strstr(events, "F1009") != NULL : strstr(events, wire_event("T", most)) != NULL);
    }
    /* the largest message twice in a row, in reads of a server's size: its buffer never overflows */
    struct wire *k = wire_new();
    size_t top = 0;
    for (int i = 0; i < 2; i++) {
        w = bytes_wr(bytes, sizeof bytes);
        ws_frame(&w, 0x01, base_span(text, WS_MESSAGE - 9), 0);
        for (int p = 0; p < 9; p++) {
            ws_frame(&w, 0x89, base_span(text, WS_CONTROL), 0);
            ws_frame(&w, p < 8 ? 0x00 : 0x80, base_span(text, 1), 0);
        }
        for (size_t at = 0; at < w.n; at += 4096) {
            wire_feed(k, base_span(bytes + at, w.n - at < 4096 ? w.n - at : 4096));
            top = k->n > top ? k->n : top;
        }
    }
    CHECK(!k->over && top < SERVER_IN - 4096);
    wire_free(k);
}

static void ws_bad_input(void) {
    static uint8_t bytes[1000];
    struct wr w = bytes_wr(bytes, sizeof bytes);
    rnd_seed(44);
    ws_frame(&w, 0x81, lit("{\"type\":\"bye\"}"), 0);
    ws_frame(&w, 0x01, lit("abc"), 0);
    ws_frame(&w, 0x89, lit("ping"), 0);
    ws_frame(&w, 0x80, base_span(bytes, 30), 0);
    ws_frame(&w, 0x88, lit("\x03\xe8"), 0);
    for (int i = 0; i < 20000; i++) { /* wire_feed checks what must hold; and whole or cut is the same */
        struct span s = mutated(bytes_written(&w));
        struct wire *k = wire_new();
        size_t cut = rnd((uint32_t)s.n + 1);
        wire_feed(k, base_span(s.p, cut));
        wire_feed(k, base_span(s.p + cut, s.n - cut));
        CHECK(!strcmp(k->text, wire_events(s)));
        wire_free(k);
        gone(s);
    }
}

/* ==== media ==== */

struct shadow { /* what finished access units left in the history, by packet index */
    uint32_t crc[1 << 16];
    uint16_t size[1 << 16];
    uint8_t flags[1 << 16];
    uint64_t next;
};

static void media_check(const struct media *m, const struct shadow *s) {
    CHECK(m->oldest <= m->head && m->head <= m->next && m->next - m->oldest <= MEDIA_SLOTS);
    CHECK(m->head == (m->open && m->sliced ? m->next - 1 : m->next));
    CHECK(media_joinable(m) == (m->gop != MEDIA_NONE && m->gop >= m->oldest && m->gop < m->head));
    CHECK(m->gop == MEDIA_NONE || m->gop <= m->next);
    size_t bytes = 0;
    for (uint64_t i = m->oldest; i < m->next; i++) {
        const struct media_packet *p = media_at(m, i);
        CHECK(p->at + p->n <= m->cap && p->n <= RTP_PAYLOAD && p->n);
        bytes += p->n;
        if (i >= s->next) continue;
        bool ok = p->n == s->size[i & 0xffff] && p->flags == s->flags[i & 0xffff];
        ok = ok && bytes_crc32(base_span(m->bytes + p->at, p->n)) == s->crc[i & 0xffff];
        if (!CHECK_AS(ok, "a kept packet reads back as it was")) break;
    }
    CHECK(bytes <= m->cap);
    if (media_joinable(m)) CHECK(media_at(m, m->gop)->flags & MEDIA_KEY && media_at(m, m->gop)->flags & MEDIA_FIRST);
}

/* The access unit is over: its packets hold the NAL units that were pushed, and no other. */
static void media_check_unit(const struct media *m, struct shadow *s, const struct nals *pushed) {
    static uint8_t whole[400000];
    static struct nals got;
    struct wr fu = bytes_wr(whole, sizeof whole);
    bool all = s->next >= m->oldest;
    got.n = 0;
    for (uint64_t i = s->next > m->oldest ? s->next : m->oldest; i < m->next; i++) {
        const struct media_packet *p = media_at(m, i);
        struct span payload = base_span(m->bytes + p->at, p->n);
        if (all) CHECK(depay(&fu, payload, &got));
        CHECK(!(p->flags & MEDIA_FIRST) == (i != s->next) && !(p->flags & MEDIA_LAST) == (i + 1 != m->next));
        s->crc[i & 0xffff] = bytes_crc32(payload);
        s->size[i & 0xffff] = p->n;
        s->flags[i & 0xffff] = p->flags;
    }
    s->next = m->next;
    CHECK(!all || (nals_same(pushed, &got) && !fu.n));
}

/* Random access units through a small history, some larger than all of it. */
static void media_ring(void) {
    static struct media m;
    static struct shadow s;
    static struct nals pushed;
    static uint8_t sets[256], unit[400000], bytes[MEDIA_HISTORY_MIN];
    static struct media_packet packets[MEDIA_SLOTS];
    uint64_t drops[DROP_COUNT] = {0};
    rnd_seed(17);
    memset(&m, 0, sizeof m);
    memset(&s, 0, sizeof s);
    media_start(&m, bytes, sizeof bytes, packets, drops);
    struct wr w = bytes_wr(sets, sizeof sets);
    struct sps_kind sk = {.profile = 66, .poc_type = 2, .wide = 20, .high = 15};
    struct span sps = sps_write(&w, &sk), pps = pps_write(&w, 0, 0, false);
    int joinable = 0, lost = 0, rewinds = 0;
    for (unsigned i = 0; i < 4000; i++) {
        bool idr = i == 0 || !rnd(12), large = !rnd(60);
        size_t write = m.write;
        media_begin(&m, (int64_t)i * 40000 + 1);
        media_check(&m, &s);
        pushed.n = 0;
        if (idr) {
            media_nal(&m, sps);
            media_nal(&m, pps);
            nals_add(&pushed, sps);
            nals_add(&pushed, pps);
        }
        for (unsigned k = 0, slices = 1 + rnd(6); k < slices; k++) {
            struct wr out = bytes_wr(unit, sizeof unit);
            struct slice_kind kind = {.header = idr ? 0x65 : 0x41,
                                      .first = k,
                                      .type = idr ? 7 : 5,
                                      .poc_type = 2,
                                      .frame_num = i,
                                      .payload = large ? 20000 + rnd(60000) : rnd(rnd(2) ? 400 : 3000)};
            struct span nal = slice_write(&out, &kind);
            nals_add(&pushed, nal);
            media_nal(&m, nal);
            media_nal(&m, BIN("\x0c\xff\xff\x80")); /* filler: not forwarded */
            if (i % 16 == 0) media_check(&m, &s);
        }
        media_end(&m);
        media_check_unit(&m, &s, &pushed);
        rewinds += m.write < write;
        joinable += media_joinable(&m);
        lost += !media_joinable(&m);
        if (i % 8 == 0 || large) media_check(&m, &s);
    }
    CHECK(joinable > 1000 && lost > 100 && rewinds > 20 && m.frames == 4000 && !drops[DROP_H264_NAL]);
}

/* Small GOPs in a large history: it starts over at its front, so that memory is not touched for nothing. */
static void media_early_rewind(void) {
    static struct media m;
    uint64_t drops[DROP_COUNT] = {0};
    struct media_packet *packets = malloc(MEDIA_SLOTS * sizeof *packets);
    size_t cap = 4 << 20, highest = 0;
    uint8_t *bytes = malloc(cap);
    struct span s = pattern_file("320x240@25,gop=10", 10);
    memset(&m, 0, sizeof m);
    media_start(&m, bytes, cap, packets, drops);
    for (int i = 0; i < 400; i++) {
        CHECK(media_push(&m, s, 1 + i * 40000)); /* ten pictures pushed as one access unit: the ring does not mind */
        if (m.write > highest) highest = m.write;
        CHECK(media_joinable(&m) && m.oldest <= m.gop && m.gop < m.head);
    }
    CHECK(highest < MEDIA_HISTORY_MIN + 4 * s.n + 2 * RTP_PAYLOAD);
    CHECK(highest >= MEDIA_HISTORY_MIN);
    CHECK(!media_push(&m, lit("no start code in here"), 1));
    free(packets);
    free(bytes);
    gone(s);
}

static void media_keyframes(void) {
    static struct media m;
    static uint8_t bytes[MEDIA_HISTORY_MIN], out[8192];
    static struct media_packet packets[MEDIA_SLOTS];
    uint64_t drops[DROP_COUNT] = {0};
    memset(&m, 0, sizeof m);
    media_start(&m, bytes, sizeof bytes, packets, drops);
    struct wr w = bytes_wr(out, sizeof out);
    struct sps_kind sk = {.profile = 66, .poc_type = 2, .wide = 20, .high = 15};
    struct span sps = sps_write(&w, &sk), pps = pps_write(&w, 0, 0, false);
    sk.wide = 40;
    struct span sps2 = sps_write(&w, &sk);
    struct slice_kind k = {.header = 0x41, .type = 5, .poc_type = 2, .payload = 1140};
    struct span p = slice_write(&w, &k);
    k.header = 0x65, k.type = 7;
    struct span idr = slice_write(&w, &k);
    CHECK(strstr(media_reason(&m), "Nothing has come") && !strcmp(media_state(&m), "waiting"));
    media_begin(&m, 1);
    media_nal(&m, p); /* a slice without parameter sets */
    CHECK(drops[DROP_H264_PARAMETERS] == 1 && strstr(media_reason(&m), "SPS and PPS"));
    media_nal(&m, sps);
    media_nal(&m, pps);
    media_nal(&m, p);
    CHECK(drops[DROP_H264_NO_IDR] == 1 && m.next == 0 && strstr(media_reason(&m), "IDR"));
    media_begin(&m, 2);
    media_nal(&m, idr); /* its sets came before: they precede it all the same */
    media_end(&m);
    CHECK(m.next == 2 && bytes[0] == 0x78 && media_joinable(&m) && !*media_reason(&m) &&
          !strcmp(media_state(&m), "live"));
    media_begin(&m, 3);
    media_nal(&m, p);
    CHECK(m.head == 2); /* the last packet is held: its marker is not known */
    media_nal(&m, p);
    CHECK(m.head == 3);
    media_begin(&m, 4);
    CHECK(m.head == 4 && media_at(&m, 3)->flags == MEDIA_LAST && media_at(&m, 2)->flags == MEDIA_FIRST);
    media_nal(&m, sps); /* the same again changes nothing */
    CHECK(media_joinable(&m));
    media_nal(&m, sps2); /* another size: what was kept starts no decoder any more */
    CHECK(!media_joinable(&m) && strstr(media_reason(&m), "IDR"));
    media_nal(&m, p);
    CHECK(m.next == 4 && drops[DROP_H264_NO_IDR] == 2);
    media_begin(&m, 5);
    media_nal(&m, idr);
    media_end(&m);
    CHECK(media_joinable(&m) && m.gop == 4 && m.sps->width == 640 && m.keys == 2 && media_profile(&m) == 0x420028);
    media_nal(&m, BIN("\xe5\x88"));
    media_nal(&m, BIN("\x65"));
    CHECK(drops[DROP_H264_NAL] == 2);
    /* a break keeps the GOP for joiners; what follows it needs an IDR */
    uint64_t next = m.next;
    media_break(&m);
    CHECK(media_joinable(&m));
    media_begin(&m, 6);
    media_nal(&m, p);
    media_end(&m);
    CHECK(m.next == next && drops[DROP_H264_NO_IDR] == 3);
    media_begin(&m, 7);
    media_nal(&m, idr);
    media_end(&m);
    CHECK(m.next > next && media_joinable(&m) && m.gop == next);
    m.asked = 0;
    media_ask_key(&m, 10 * BASE_S);
    CHECK(m.want_key);
    m.want_key = false;
    media_ask_key(&m, 11 * BASE_S - 1); /* at most once a second */
    CHECK(!m.want_key);
    media_ask_key(&m, 11 * BASE_S);
    CHECK(m.want_key);
}

/* More sets than one packet holds: all precede the IDR, SPS before PPS. */
static void media_many_sets(void) {
    static struct media m;
    static uint8_t bytes[MEDIA_HISTORY_MIN], out[8192], again[4096];
    static struct media_packet packets[MEDIA_SLOTS];
    static struct nals list;
    uint64_t drops[DROP_COUNT] = {0};
    memset(&m, 0, sizeof m);
    media_start(&m, bytes, sizeof bytes, packets, drops);
    media_begin(&m, 1);
    size_t sum = 0;
    for (int i = 0; i < 24; i++) {
        struct wr w = bytes_wr(out, sizeof out);
        struct sps_kind sk = {.profile = 66, .id = (unsigned)i / 2, .poc_type = 2, .wide = 20, .high = 15};
        struct span set = i & 1 ? pps_write(&w, (unsigned)i / 2, (unsigned)i / 2, false) : sps_write(&w, &sk);
        memset(out + 4 + set.n, 0x11, 300);
        set.n += i % 5 == 4 ? 300 : 100; /* what stands behind its end is kept, too */
        sum += set.n;
        media_nal(&m, set);
    }
    struct wr w = bytes_wr(out, sizeof out), fu = bytes_wr(again, sizeof again);
    struct slice_kind k = {.header = 0x65, .type = 7, .poc_type = 2, .payload = 20};
    media_nal(&m, slice_write(&w, &k));
    media_end(&m);
    CHECK(m.sets.count == 24 && m.sets.raw_n == sum && m.next > 3);
    list.n = 0;
    for (uint64_t i = m.gop; i < m.head; i++) {
        const struct media_packet *p = media_at(&m, i);
        CHECK(depay(&fu, base_span(m.bytes + p->at, p->n), &list) && p->n <= RTP_PAYLOAD);
        CHECK(!(p->flags & MEDIA_FIRST) == (i != m.gop) && !(p->flags & MEDIA_LAST) == (i + 1 != m.head));
    }
    CHECK(list.n == 25);
}

/* G.711 in packets that fit, each with its own time; Opus is one packet, or none. */
static void media_sounds(void) {
    static struct media m;
    static struct media_sound sounds[MEDIA_SOUNDS];
    static uint8_t bytes[MEDIA_HISTORY_MIN], samples[1440];
    static struct media_packet packets[MEDIA_SLOTS];
    uint64_t drops[DROP_COUNT] = {0};
    media_start(&m, bytes, sizeof bytes, packets, drops);
    rnd_seed(41);
    rnd_fill(samples, sizeof samples);
    media_push_sound(&m, BASE_PCMU, base_span(samples, 160), 5, BASE_S); /* nobody made room for it */
    CHECK(!m.sounds);
    m.sound = sounds;
    static const size_t lengths[] = {1, 160, RTP_PAYLOAD, RTP_PAYLOAD + 1, 1440};
    for (size_t i = 0; i < 2 * (sizeof lengths / sizeof *lengths); i++) {
        const enum base_sounds kind = i % 2 ? BASE_PCMA : BASE_PCMU;
        const uint32_t ticks = 0xffffff00u + 7 * (uint32_t)i; /* they wrap */
        const int64_t time = 3 * BASE_S + 125;
        uint64_t k = m.sounds;
        struct span s = exact(samples, lengths[i / 2]);
        size_t n = 0;
        media_push_sound(&m, kind, s, ticks, time);
        CHECK(m.sounds - k == (s.n + RTP_PAYLOAD - 1) / RTP_PAYLOAD);
        for (; k < m.sounds; k++) {
            const struct media_sound *p = &sounds[k % MEDIA_SOUNDS];
            CHECK(p->kind == kind && p->n && p->n <= RTP_PAYLOAD && n + p->n <= s.n &&
                  !memcmp(p->bytes, samples + n, p->n));
            CHECK(p->ticks == (uint32_t)(ticks + n) && p->time == time + (int64_t)n * 125); /* 8,000 in a second */
            n += p->n;
        }
        CHECK(n == s.n);
        gone(s);
    }
    CHECK(!drops[DROP_SOUND_LARGE]);
    uint64_t k = m.sounds;
    media_push_sound(&m, BASE_OPUS, base_span(samples, RTP_PAYLOAD), 9, 9);
    CHECK(m.sounds == k + 1 && sounds[k % MEDIA_SOUNDS].n == RTP_PAYLOAD && !drops[DROP_SOUND_LARGE]);
    media_push_sound(&m, BASE_OPUS, base_span(samples, RTP_PAYLOAD + 1), 9, 9);
    CHECK(m.sounds == k + 1 && drops[DROP_SOUND_LARGE] == 1);
    for (int kind = BASE_PCMU; kind <= BASE_OPUS; kind++)
        media_push_sound(&m, (enum base_sounds)kind, base_span(samples, 0), 9, 9);
    CHECK(m.sounds == k + 1 && drops[DROP_SOUND_LARGE] == 1);
}

/* Pictures in an order in which they are not shown: what is forwarded of them. */
static void media_b_frames(void) {
    static const struct {
        const char *what,
            *pocs; /* of the pictures of a GOP after its IDR, in decoding order; upper case: a reference */
        unsigned profile;
        enum media_policy want;
    } cases[] = {{"in order", "BCDEFG", 77, MEDIA_ALL},
                 {"in order, some unreferenced", "bCdEfG", 77, MEDIA_ALL},
                 {"B-frames that nothing refers to", "DbcGef", 77, MEDIA_REFERENCES},
                 {"a pyramid", "ECbdIGfh", 77, MEDIA_IDRS},
                 {"Baseline has none: counts that go back are losses", "DbcGef", 66, MEDIA_ALL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct media m;
        static uint8_t bytes[MEDIA_HISTORY_MIN], out[8192];
        static struct media_packet packets[MEDIA_SLOTS];
        uint64_t drops[DROP_COUNT] = {0};
        int forwarded = 0, references = 0;
        memset(&m, 0, sizeof m);
        media_start(&m, bytes, sizeof bytes, packets, drops);
        struct wr w = bytes_wr(out, sizeof out);
        struct sps_kind sk = {.profile = cases[i].profile, .poc_type = 0, .wide = 20, .high = 15};
        media_nal(&m, sps_write(&w, &sk));
        media_nal(&m, pps_write(&w, 0, 0, false));
        for (int gop = 0; gop < 4; gop++) {
            struct slice_kind k = {.header = 0x65, .type = 7, .idr_id = (unsigned)gop & 1, .payload = 40};
            w = bytes_wr(out, sizeof out);
            media_begin(&m, gop * BASE_S + 1);
            media_nal(&m, slice_write(&w, &k));
            media_end(&m);
            CHECK_AS(media_at(&m, m.next - 1)->time == gop * BASE_S + 1,
                     cases[i].what); /* an IDR always gets through */
            for (const char *c = cases[i].pocs; *c; c++) {
                bool reference = *c < 'a';
                uint64_t before = m.next;
                k = (struct slice_kind){.header = reference ? 0x41 : 0x01,
                                        .type = 5,
                                        .frame_num = (unsigned)(c - cases[i].pocs) + 1,
                                        .poc = 2u * (unsigned)(*c - (reference ? 'A' : 'a')),
                                        .payload = 40};
                media_begin(&m, gop * BASE_S + 2);
                media_nal(&m, slice_write(&w, &k));
                media_end(&m);
                if (gop == 3) forwarded += m.next > before, references += reference;
            }
        }
        int all = (int)strlen(cases[i].pocs), want[] = {all, references, 0};
        CHECK_AS(m.policy == cases[i].want && forwarded == want[m.policy], cases[i].what);
        CHECK_AS((drops[DROP_H264_B_FRAME] > 0) == (m.policy != MEDIA_ALL), cases[i].what);
        CHECK_AS((strstr(media_reason(&m), "B-frames") != NULL) == (m.policy != MEDIA_ALL), cases[i].what);
    }
}

/* ==== intake ==== */

struct taken { /* what an intake made of a stream */
    struct media m;
    struct intake in;
    uint64_t drops[DROP_COUNT];
    uint8_t bytes[1 << 20], buf[1 << 16], fu[1 << 16];
    struct media_packet packets[MEDIA_SLOTS];
};

static struct taken *taken_new(void) {
    struct taken *t = calloc(1, sizeof *t);
    if (!t) abort();
    media_start(&t->m, t->bytes, sizeof t->bytes, t->packets, t->drops);
    intake_start(&t->in, &t->m, t->buf, sizeof t->buf);
    return t;
}

static void taken_nals(struct taken *t, struct nals *list) {
    struct wr fu = bytes_wr(t->fu, sizeof t->fu);
    list->n = 0;
    for (uint64_t i = t->m.oldest; i < t->m.next; i++) {
        const struct media_packet *p = media_at(&t->m, i);
        CHECK(depay(&fu, base_span(t->m.bytes + p->at, p->n), list));
    }
}

/* In any chunking the same pictures; the end of the input ends the last one. */
static void intake_any_chunking(void) {
    static struct nals whole, got;
    struct span s = pattern_file("96x64@25,gop=4", 40);
    nals_whole(&whole, s);
    for (size_t chunk = 1; chunk < s.n * 2; chunk += 1 + chunk / 4) {
        struct taken *t = taken_new();
        int64_t now = SIM_BEGIN;
        for (size_t at = 0; at < s.n; at += chunk) {
            struct span part = exact(s.p + at, chunk < s.n - at ? chunk : s.n - at);
            intake_bytes(&t->in, part, now += 100);
            intake_tick(&t->in, now);
            gone(part);
        }
        intake_end(&t->in);
        taken_nals(t, &got);
        CHECK(nals_same(&whole, &got) && t->m.frames == 40 && t->m.keys == 10 && t->m.ended);
        CHECK(!t->drops[DROP_H264_PAUSE] && intake_tick(&t->in, BASE_NEVER - 1) == BASE_NEVER);
        free(t);
    }
    gone(s);
}

/* Once the stream is known, a pause ends a picture: it need not wait for the next. A wrong guess is not sent on. */
static void intake_pauses_in(bool aud) {
    struct span s = pattern_file("96x64@25,gop=60", 60), rest = s, nal;
    struct taken *t = taken_new();
    int64_t now = SIM_BEGIN;
    uint64_t unit = 0;
    while ((nal = h264_next(&rest)).n) {
        uint8_t out[8192];
        struct wr w = bytes_wr(out, sizeof out);
        bool slice = h264_type(nal) == H264_SLICE || h264_type(nal) == H264_IDR;
        unit += slice;
        if (aud && (h264_type(nal) == H264_SPS || h264_type(nal) == H264_SLICE)) bytes_put(&w, "\0\0\0\1\x09\xf0", 6);
        bytes_w32(&w, 1);
        bytes_put(&w, nal.p, nal.n);
        intake_bytes(&t->in, bytes_written(&w), now);
        bool armed = t->in.quiet != BASE_NEVER;
        if (unit < INTAKE_STEADY || !slice) CHECK(!armed);
        if (unit > INTAKE_STEADY + 3 && unit <= 50) CHECK(armed && t->in.quiet == now + INTAKE_PAUSE);
        if (armed) {
            uint64_t frames = t->m.frames;
            CHECK(intake_tick(&t->in, t->in.quiet - 1) == t->in.quiet && t->m.frames == frames);
            intake_tick(&t->in, t->in.quiet);
            CHECK(t->m.frames == (unit < 50 ? unit : 50) && t->m.head == t->m.next && t->in.guessed);
        }
        if (armed && unit == 50) { /* a guess that proves wrong: the slice goes on */
            intake_bytes(&t->in, lit("more"), now + 6 * BASE_MS);
            CHECK(t->drops[DROP_H264_PAUSE] == 1 && t->in.pause == 2 * INTAKE_PAUSE && !t->in.guessed);
        }
        now += 40 * BASE_MS;
    }
    CHECK(t->m.frames == 50 && t->in.strikes == 1);
    intake_flush(&t->in);
    CHECK(t->m.frames == 50 && t->drops[DROP_H264_NO_IDR] == 10); /* after the strike nothing till an IDR */
    free(t);
    gone(s);
}

static void intake_pauses_with_aud(void) { intake_pauses_in(true); }
static void intake_pauses_without(void) { intake_pauses_in(false); }

static void intake_bad_input(void) {
    struct span s = pattern_file("96x64@25,gop=4", 20);
    rnd_seed(23);
    for (int i = 0; i < 200; i++) {
        struct taken *t = taken_new();
        struct span m = mutated(s);
        int64_t now = SIM_BEGIN;
        for (size_t at = 0; at < m.n;) {
            size_t n = 1 + rnd(300);
            struct span part = exact(m.p + at, n < m.n - at ? n : m.n - at);
            intake_bytes(&t->in, part, now);
            at += part.n;
            now += rnd(3) * 5 * BASE_MS;
            if (now >= t->in.quiet) intake_tick(&t->in, now);
            gone(part);
        }
        intake_end(&t->in);
        CHECK(t->m.head == t->m.next && !t->m.open);
        gone(m);
        free(t);
    }
    gone(s);
}

#include "peer.h"

/* ==== adapt ==== */

/* A link and what a browser tells of it. */
struct carrier {
    struct adapt a;
    struct adapt_view v;
    int64_t now;
};

static struct carrier carrier_of(bool lesser, bool better, unsigned kbps) {
    struct carrier c = {.now = SIM_BEGIN};
    c.v = (struct adapt_view){.lesser = lesser, .better = better, .kbps = kbps, .seq = 0x10000, .rtt = 20 * BASE_MS};
    adapt_look(&c.a, &c.v, c.now);
    return c;
}

/* A second later, with a report: 200 packets more, of which some percent were lost. */
static enum adapt_advice carrier_second(struct carrier *c, unsigned percent, unsigned remb, int64_t rtt_ms) {
    c->now += BASE_S;
    c->v.reports++;
    c->v.seq += 200;
    c->v.lost += 2 * percent;
    c->v.remb_kbps = remb;
    c->v.rtt = rtt_ms * BASE_MS;
    return adapt_look(&c->a, &c->v, c->now);
}

static enum adapt_advice carrier_seconds(struct carrier *c, int n, unsigned percent, unsigned remb, int64_t rtt_ms) {
    enum adapt_advice got = ADAPT_STAY;
    while (n-- > 0 && got == ADAPT_STAY) got = carrier_second(c, percent, remb, rtt_ms);
    return got;
}

/* The better stream of 2,000 kbit/s is strained, and the lesser one of 300 takes over. */
static void carrier_falls(struct carrier *c) {
    c->v.lesser = true;
    c->v.better = false;
    c->v.kbps = 2000;
    CHECK(carrier_seconds(c, 3, 20, 2500, 20) == ADAPT_LOWER);
    c->v.lesser = false;
    c->v.better = true;
    c->v.kbps = 300;
    adapt_changed(&c->a, &c->v, false, true, c->now);
}

static void carrier_rises(struct carrier *c) {
    c->v.lesser = true;
    c->v.better = false;
    c->v.kbps = 2000;
    adapt_changed(&c->a, &c->v, true, true, c->now);
}

/* Whole seconds on a good link until a try begins. */
static int carrier_waits(struct carrier *c) {
    int n = 0;
    for (enum adapt_advice got = ADAPT_STAY; got == ADAPT_STAY && n < 1000; n++) got = carrier_second(c, 0, 400, 20);
    CHECK(c->a.tried == c->now);
    return n;
}

/* Looks after 100 ms. */
static enum adapt_advice carrier_glances(struct carrier *c) {
    c->now += ADAPT_GLANCE;
    return adapt_look(&c->a, &c->v, c->now);
}

/* The try's padding fills the link: the estimate falls. */
static void carrier_fails(struct carrier *c) {
    c->v.remb_kbps = 300;
    CHECK(carrier_glances(c) == ADAPT_END && !c->a.tried);
}

/* The try goes well; reports come after so many glances each. Returns the milliseconds to its end. */
static int carrier_tries(struct carrier *c, int step, enum adapt_advice *got) {
    int64_t begun = c->now;
    *got = ADAPT_STAY;
    for (int i = 1; i < 1000 && *got == ADAPT_STAY; i++) {
        if (step && i % step == 0) c->v.reports++, c->v.seq += 200;
        c->v.remb_kbps += 10;
        *got = carrier_glances(c);
    }
    return (int)((c->now - begun) / BASE_MS);
}

static void adapt_needs_two_looks(void) {
    for (unsigned percent = ADAPT_LOSS; percent <= 100; percent += 30) { /* loss needs no other sign */
        struct carrier c = carrier_of(true, false, 2000);
        CHECK(carrier_seconds(&c, 10, 0, 2500, 20) == ADAPT_STAY);
        for (int i = 0; i < 10; i++) { /* never twice in a row */
            CHECK(carrier_second(&c, percent, 2500, 20) == ADAPT_STAY && c.a.strained == c.now);
            CHECK(carrier_second(&c, 0, 2500, 20) == ADAPT_STAY && !c.a.strained);
        }
        CHECK(carrier_second(&c, percent, 2500, 20) == ADAPT_STAY);
        CHECK(carrier_second(&c, percent, 2500, 20) == ADAPT_LOWER);
    }
    struct carrier c = carrier_of(true, false, 2000); /* between two looks nothing is looked at */
    CHECK(carrier_second(&c, 50, 2500, 20) == ADAPT_STAY);
    for (int i = 0; i < 9; i++) CHECK(carrier_glances(&c) == ADAPT_STAY);
    for (int i = 0; i < 100; i++) { /* and without a report nothing is known, whatever the rest says */
        c.now += BASE_S;
        c.v.lost += 100, c.v.remb_kbps = 1, c.v.rtt = BASE_S;
        CHECK(adapt_look(&c.a, &c.v, c.now) == ADAPT_STAY);
    }
}

static void adapt_signs(void) {
    static const struct {
        unsigned percent, remb;
        int64_t rtt;
        bool strained;
        const char *what;
    } cases[] = {{0, 100, 20, false, "an estimate alone"},
                 {0, 0, 3000, false, "a queue alone"},
                 {0, 1800, 3000, false, "a queue, and enough of an estimate"},
                 {0, 1799, 3000, true, "a queue, and less than enough"},
                 {0, 1799, 20 + 150, false, "a short queue"},
                 {0, 1799, 20 + 151, true, "a queue that is no longer short"},
                 {1, 100, 20, false, "a little loss with a low estimate"},
                 {2, 100, 20, true, "some loss with a low estimate"},
                 {2, 0, 20, false, "some loss, and no estimate"},
                 {9, 2500, 20, false, "much loss"},
                 {9, 2500, 3000, false, "much loss and a queue"},
                 {10, 2500, 20, true, "too much loss"},
                 {10, 0, 20, true, "too much loss, and no estimate"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct carrier c = carrier_of(true, false, 2000);
        CHECK(carrier_seconds(&c, 3, 0, 2500, 20) == ADAPT_STAY);
        carrier_second(&c, cases[i].percent, cases[i].remb, cases[i].rtt);
        CHECK_AS((c.a.strained != 0) == cases[i].strained, cases[i].what);
        if (cases[i].strained) continue;
        CHECK_AS(carrier_seconds(&c, 60, cases[i].percent, cases[i].remb, 20) == ADAPT_STAY, cases[i].what);
    }
    struct carrier c = carrier_of(true, false, 2000); /* three of ten packets: too few to tell */
    for (int i = 0; i < 20; i++) {
        c.now += BASE_S;
        c.v.reports++, c.v.seq += 10, c.v.lost += ADAPT_FEW;
        CHECK(adapt_look(&c.a, &c.v, c.now) == ADAPT_STAY);
    }
    c = carrier_of(true, false, 2000); /* a longer way is, after a while, the way */
    CHECK(carrier_seconds(&c, 5, 0, 2500, 20) == ADAPT_STAY && carrier_seconds(&c, 300, 0, 2500, 400) == ADAPT_STAY);
    CHECK(carrier_seconds(&c, 60, 0, 100, 400) == ADAPT_STAY);
}

static void adapt_waits(void) {
    static const int waits[] = {10, 20, 40, 80, 160, 160, 160};
    struct carrier c = carrier_of(true, false, 2000);
    carrier_falls(&c);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        CHECK(carrier_waits(&c) == waits[i]);
        carrier_fails(&c);
    }
    c = carrier_of(true, false, 2000); /* while the lesser stream strains the link, too, it is not tried */
    carrier_falls(&c);
    for (int i = 0; i < 60; i++) CHECK(carrier_second(&c, 20, 100, 20) == ADAPT_STAY);
    for (int i = 0; i < 60; i++) CHECK(carrier_second(&c, 0, 400, 800) == ADAPT_STAY); /* nor while it queues */
    c.now = SIM_BEGIN + 200 * BASE_S;
    CHECK(carrier_waits(&c) < 60);
    c = carrier_of(true, false, 2000); /* an IDR of the better stream that never came counts as a failure */
    carrier_falls(&c);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        enum adapt_advice got;
        CHECK(carrier_waits(&c) == waits[i]);
        carrier_tries(&c, 10, &got);
        CHECK(got == ADAPT_HIGHER);
        adapt_changed(&c.a, &c.v, true, false, c.now);
    }
}

static void adapt_judges(void) {
    static const struct {
        unsigned remb, percent;
        int64_t rtt;
        bool ends;
    } signs[] = {{400, 0, 20, false},  {350, 0, 20, false}, {349, 0, 20, true},  {1, 0, 20, true},
                 {400, 0, 170, false}, {400, 0, 171, true}, {400, 4, 20, false}, {400, 5, 20, true}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        struct carrier c = carrier_of(true, false, 2000);
        carrier_falls(&c);
        carrier_waits(&c);
        for (int k = 0; k < 20; k++) CHECK(carrier_glances(&c) == ADAPT_STAY);
        c.v.remb_kbps = signs[i].remb;
        c.v.seq += 200;
        c.v.lost += 2 * signs[i].percent;
        c.v.rtt = signs[i].rtt * BASE_MS;
        char what[100];
        snprintf(what, sizeof what, "estimate %u, %u %%, %d ms", signs[i].remb, signs[i].percent, (int)signs[i].rtt);
        CHECK_AS(carrier_glances(&c) == (signs[i].ends ? ADAPT_END : ADAPT_STAY), what);
        CHECK_AS(!signs[i].ends || (!c.a.tried && c.a.due == c.now + 20 * BASE_S), what);
    }
    for (int reports = 0; reports <= 3; reports++) { /* two reports at least have to tell of it */
        struct carrier c = carrier_of(true, false, 2000);
        enum adapt_advice got;
        carrier_falls(&c);
        carrier_waits(&c);
        c.v.reports += (uint32_t)reports;
        CHECK(carrier_tries(&c, 0, &got) == ADAPT_VERDICT / BASE_MS);
        CHECK(got == (reports >= 2 ? ADAPT_HIGHER : ADAPT_END) && !c.a.tried);
    }
}

static void adapt_falls_back(void) {
    struct carrier c = carrier_of(true, false, 2000);
    enum adapt_advice got;
    static const int waits[] = {10, 20, 40, 80, 160, 160};
    carrier_falls(&c);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) { /* it carries the padding, but not the stream */
        CHECK(carrier_waits(&c) == waits[i]);
        carrier_tries(&c, 10, &got);
        CHECK(got == ADAPT_HIGHER);
        carrier_rises(&c);
        CHECK(carrier_seconds(&c, 50, 0, 2500, 20) == ADAPT_STAY);
        carrier_falls(&c);
    }
    carrier_waits(&c);
    carrier_tries(&c, 10, &got);
    carrier_rises(&c);
    CHECK(carrier_seconds(&c, 60, 0, 2500, 20) == ADAPT_STAY); /* it was stable: what was before is forgotten */
    carrier_falls(&c);
    CHECK(carrier_waits(&c) == 10);
    carrier_fails(&c);
    CHECK(carrier_waits(&c) == 20);
}

static void adapt_without_choice(void) {
    for (int i = 0; i < 2; i++) { /* nothing lesser; nothing better */
        struct carrier c = carrier_of(false, false, 2000);
        for (int k = 0; k < 300; k++) CHECK(carrier_second(&c, i ? 0 : 30, i ? 2500 : 100, 20) == ADAPT_STAY);
    }
}

/* Numbers that wrap, jump, or make no sense. */
static void adapt_any_numbers(void) {
    static const uint32_t edges[] = {0, 1, 3, 4, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    static const int64_t rtts[] = {0, 1, BASE_MS, 60 * BASE_S, INT64_MAX / 2, INT64_MAX};
    enum { EDGES = sizeof edges / sizeof *edges, RTTS = sizeof rtts / sizeof *rtts };
    struct adapt a = {0};
    struct adapt_view v = {0};
    int64_t now = SIM_BEGIN;
    int given[ADAPT_END + 1] = {0};
    rnd_seed(26);
    for (int i = 0; i < 300000; i++) {
        if (!rnd(4)) v.seq = edges[rnd(EDGES)];
        else v.seq += rnd(400);
        if (!rnd(8)) v.lost = edges[rnd(EDGES)];
        if (!rnd(8)) v.remb_kbps = edges[rnd(EDGES)];
        if (!rnd(8)) v.kbps = edges[rnd(EDGES)];
        v.reports = rnd(1000) ? v.reports + rnd(2) : edges[rnd(EDGES)];
        v.rtt = rnd(4) ? 20 * BASE_MS : rtts[rnd(RTTS)];
        now += rnd(16) ? rnd(400) * BASE_MS : rnd(100) * BASE_S;
        bool trying = a.tried;
        enum adapt_advice got = adapt_look(&a, &v, now);
        given[got]++;
        CHECK(got != ADAPT_LOWER || v.lesser);
        CHECK(got != ADAPT_TRY || (v.better && !trying && now >= a.due));
        CHECK((got != ADAPT_END && got != ADAPT_HIGHER) || trying);
        CHECK((a.wait == 0 || a.wait >= ADAPT_WAIT) && a.wait <= ADAPT_WAIT_MAX && a.due <= now + ADAPT_WAIT_MAX);
        if (got == ADAPT_LOWER || got == ADAPT_HIGHER) {
            bool done = rnd(4);
            if (done) v.better = got == ADAPT_LOWER, v.lesser = got == ADAPT_HIGHER || !rnd(3);
            adapt_changed(&a, &v, got == ADAPT_HIGHER, done, now);
        } else if (!a.tried && !rnd(50)) v.lesser = rnd(2), v.better = rnd(2);
    }
    for (int i = 0; i <= ADAPT_END; i++) CHECK(given[i] > 100);
}

/* ==== sender ==== */

static void sim_nack(struct sim *s, uint16_t seq, uint16_t mask) {
    uint32_t ssrc = s->rtp[0].ssrc;
    uint8_t p[16] = {0x81, 205, 0, 3, 0, 0, 0, 1};
    struct wr w = bytes_wr(p + 8, 8);
    bytes_w32(&w, ssrc);
    bytes_w16(&w, seq);
    bytes_w16(&w, mask);
    sim_send_rtcp(s, p, sizeof p);
}

/* NACKs are answered from the history; by RTX, or by the very same bytes: never another text under one key stream. */
static void sender_repairs(bool rtx) {
    struct sim *s = sim_new("test:1280x720@30,gop=15");
    sim_run(s, 300 * BASE_MS);
    s->rtx = rtx;
    CHECK(sim_join(s, false, false) == 0);
    CHECK((strstr(s->answer, "rtx/90000") != NULL) == rtx && strstr(s->answer, "a=rtcp-fb:102 nack\r\n"));
    CHECK((strstr(s->answer, "abs-send-time") != NULL) == rtx);
    sim_viewer(s)->sender.seq = 0x1ff50; /* the 16 bits of RTP wrap soon */
    sim_connect(s);
    sim_live(s, 2 * BASE_S);
    int *repaired = rtx ? &s->rtx_good : &s->repeats;
    CHECK(*repaired == 0 && s->rtp_n >= 60);
    rnd_seed(25);
    int asked = 0;
    for (int i = 0; i < 60; i++) { /* single ones, some of them the newest, some with a mask */
        int at = s->rtp_n - 1 - (int)rnd(i < 20 ? 5 : 60), before = *repaired, more = at + 3 < s->rtp_n ? 2 : 0;
        sim_nack(s, s->rtp[at].seq, more ? 5 : 0); /* itself, the next and the third behind it */
        asked += 1 + more;
        CHECK(*repaired == before + 1 + more);
        sim_nack(s, s->rtp[at].seq, 0); /* at once again: the repair is on its way */
        CHECK(*repaired == before + 1 + more);
        sim_run(s, 100 * BASE_MS);
        if (i % 10 == 0) sim_check(s, true);
    }
    CHECK(sim_viewer(s)->sender.repaired == (uint32_t)asked);
    int before = *repaired;
    sim_nack(s, (uint16_t)(s->rtp[s->rtp_n - 1].seq + 1), 0xffff); /* not sent yet */
    sim_nack(s, (uint16_t)(s->rtp[0].seq - 20), 0xffff);           /* never sent */
    sim_run(s, 100 * BASE_MS);
    CHECK(*repaired == before && !s->forged && !s->rtx_bad);
    int oldest = s->rtp_n > 1500 ? s->rtp_n - 1500 : 0;
    for (int i = oldest; i < s->rtp_n; i++) sim_nack(s, s->rtp[i].seq, 0); /* a storm: bounded by the pacer */
    CHECK(*repaired - before < 200);
    sim_live(s, BASE_S);
    s->rtx = false;
    sim_check_stream(s);
    CHECK(!s->forged && !s->rtx_bad);
    sim_free(s);
}

static void sender_repairs_by_rtx(void) { sender_repairs(true); }
static void sender_repairs_plainly(void) { sender_repairs(false); }

/* A burst of loss makes the pacer slower, chance does not; calm makes it fast again. */
static void sender_slows_down(void) {
    struct sim *s = sim_new("test:320x240@30,gop=30");
    s->rtx = true;
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    sim_live(s, 2 * BASE_S);
    struct sender *x = &sim_viewer(s)->sender;
    CHECK(x->pace.rate == PACE_BURST);
    for (int i = 0; i < 20; i++) {
        sim_nack(s, s->rtp[s->rtp_n - 1].seq, 0);
        sim_run(s, 100 * BASE_MS);
        if (i % 10 == 0) sim_check(s, true);
    }
    CHECK(x->pace.rate == PACE_BURST);
    sim_nack(s, (uint16_t)(s->rtp[s->rtp_n - 1].seq - 40), 0xffff);
    CHECK(x->pace.rate == PACE_BURST * 3 / 4 && x->pace.ceiling == PACE_BURST * 7 / 8);
    sim_nack(s, (uint16_t)(s->rtp[s->rtp_n - 1].seq - 20), 0xffff); /* at once again: the same queue */
    CHECK(x->pace.rate == PACE_BURST * 3 / 4);
    uint32_t ssrc = s->rtp[0].ssrc;
    uint8_t report[32] = {0x81, 201, 0, 7, 0, 0, 0, 1};
    struct wr w = bytes_wr(report + 8, 4);
    bytes_w32(&w, ssrc);
    report[23] = 0;
    report[22] = 40; /* jitter 10240: 113 ms, so at most half of the largest delay */
    for (int i = 0; i < 40; i++) {
        sim_check(s, true);
        sim_run(s, BASE_S);
        sim_send_rtcp(s, report, sizeof report);
        CHECK(x->delay_min == SENDER_DELAY_MAX / 2);
    }
    CHECK(x->pace.rate == PACE_BURST);
    report[22] = 0;
    for (int i = 0; i < 60; i++) {
        unsigned last = x->delay_min;
        sim_check(s, true);
        sim_run(s, BASE_S);
        sim_send_rtcp(s, report, sizeof report);
        CHECK(x->delay_min <= last && x->delay_min + 10 >= last);
    }
    CHECK(x->delay_min <= 20);
    sim_check_stream(s);
    sim_free(s);
}

/* Timestamps of sound on one SSRC only rise: when the codec or the camera's clock is another one, they go on by the time
 * of recording, and evenly from there. */
static void sender_sound_clocks(void) {
    static const struct {
        const char *what;
        enum base_sounds kind;
        int64_t ticks, ms;
        int rises; /* by how much, from the one before */
    } steps[] = {{"evenly", BASE_PCMU, 160, 20, 160},
                 {"what was lost", BASE_PCMU, 1600, 200, 1600},
                 {"another codec", BASE_OPUS, 123456789, 20, 1 + 960},
                 {"it goes on", BASE_OPUS, 960, 20, 960},
                 {"a clock that lies before", BASE_OPUS, -48000 * 60, 100, 1 + 4800},
                 {"it goes on", BASE_OPUS, 960, 20, 960},
                 {"back, after a pause", BASE_PCMA, -5000, 3000, 1 + 24000},
                 {"it goes on", BASE_PCMA, 160, 20, 160},
                 {"G.711 in its other form", BASE_PCMU, 160, 20, 1 + 160},
                 {"a clock that stands", BASE_PCMU, 0, 20, 1 + 160},
                 {"recorded before the last", BASE_PCMU, -800, -100, 1},
                 {"it goes on", BASE_PCMU, 160, 20, 160},
                 {"half the range back", BASE_PCMU, -0x7fffffff, 40, 1 + 320},
                 {"half the range on", BASE_PCMU, 0x80000000, 40, 1 + 320},
                 {"it goes on", BASE_PCMU, 160, 20, 160}};
    static struct sender s;
    struct media_sound p = {.kind = BASE_PCMU, .ticks = 0xffffff00u, .time = 100 * BASE_S};
    memset(&s, 0, sizeof s);
    uint32_t last = sender_sound_timestamp(&s, &p);
    s.sound.spoke = true;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        p.kind = steps[i].kind;
        p.ticks += (uint32_t)steps[i].ticks;
        p.time += steps[i].ms * BASE_MS;
        uint32_t timestamp = sender_sound_timestamp(&s, &p);
        if (!CHECK_AS(timestamp - last == (uint32_t)steps[i].rises, steps[i].what))
            printf("  by %d in place of %d\n", (int)(timestamp - last), steps[i].rises);
        last = timestamp;
    }
    p.ticks += 8000 * 3600; /* a clock that lies after */
    uint32_t timestamp = sender_sound_timestamp(&s, &p);
    CHECK(timestamp - last == 1);
    last = timestamp;
    p.ticks += 160;
    CHECK(sender_sound_timestamp(&s, &p) - last == 160);
    last += 160;
    rnd_seed(42);
    for (int i = 0; i < 20000; i++) {
        p.kind = rnd(4) ? p.kind : (enum base_sounds)(BASE_PCMU + rnd(3));
        p.ticks = rnd(4) ? p.ticks + rnd(2000) : rnd(UINT32_MAX);
        p.time += (int64_t)rnd(60000) - 10000;
        timestamp = sender_sound_timestamp(&s, &p);
        if (!CHECK((int32_t)(timestamp - last) > 0)) break;
        last = timestamp;
    }
}

/* A source that cannot make an IDR: a PLI is answered by a small GOP, at most once in SENDER_REPLAY_GAP. */
static void sender_replays(void) {
    struct sim *s = sim_new(NULL);
    s->w->server.config.keyframe = NULL;
    s->w->server.site.stream[0]->on_demand = false;
    struct pattern p;
    const char *why;
    CHECK(!pattern_spec("64x64@30,gop=90", &p, &why));
    uint8_t *cells = malloc(pattern_cells(&p)), picture[4096];
    pattern_start(&p, cells);
    int idrs = 0, at = 0;
    for (int f = 0; f < 270; f++) {
        struct wr w = bytes_wr(picture, sizeof picture);
        CHECK(pattern_frame(&p, false, (uint32_t)f * 33, (uint32_t)f * 33, &w));
        CHECK(wcam_push(s->w, s->stream, w.p, w.n, f * 33333LL) == 0);
        if (f == 2) {
            CHECK(sim_join(s, false, false) == 0);
            sim_connect(s);
        }
        if (f > 2 && f % 30 == 0) sim_check(s, true);
        sim_run(s, 33333);
        if (f >= 120 && f < 200) { /* a PLI with each picture */
            uint32_t ssrc = s->rtp[0].ssrc;
            uint8_t pli[12] = {0x81, 206, 0, 2, 0, 0, 0, 1};
            struct wr q = bytes_wr(pli + 8, 4);
            bytes_w32(&q, ssrc);
            sim_send_rtcp(s, pli, sizeof pli);
        }
    }
    for (; at < s->rtp_n; at++)
        idrs += (s->rtp[at].types >> H264_IDR & 1) &&
                (!at || s->rtp[at].timestamp != s->rtp[at - 1].timestamp || !(s->rtp[at - 1].types >> H264_IDR & 1));
    CHECK(idrs >= 4 && idrs <= 5); /* three of its own, and a replay at 0 and 2 s of 2.7 s */
    sim_check_stream(s);
    free(cells);
    sim_free(s);
}

/* ==== viewer ==== */

/* The whole way in both DTLS roles: checks, handshake, first picture, catching up, live, reports, goodbye. */
static void viewer_watches(bool client) {
    struct sim *s = sim_new("test:320x240@30,gop=30");
    sim_run(s, 700 * BASE_MS); /* in the middle of a GOP */
    CHECK(sim_join(s, client, false) == 0);
    CHECK(s->sent == 0); /* nothing leaves before a check came */
    sim_run(s, 100 * BASE_MS);
    CHECK(s->sent == 0 && !strcmp(viewer_ranks[viewer_rank(sim_viewer(s))], "checking"));
    sim_connect(s);
    CHECK(s->stun_ok == 2 && !s->stun_error);
    int64_t asked = s->now;
    sim_run(s, 100 * BASE_MS);
    CHECK(s->dtls.state == DTLS_READY && s->rtp_n > 0 && s->rtp[0].at - asked < 20 * BASE_MS);
    sim_live(s, 3 * BASE_S);
    sim_check_stream(s);
    struct viewer *v = sim_viewer(s);
    CHECK(v && v->sender.state == SENDER_LIVE && v->ice.nominated);
    CHECK(s->rtp[0].delay);
    /* sender reports: one a second, with the counts and the clock of the stream; none before it is live */
    CHECK(s->sr >= 2 && s->sr <= 5 && s->sdes == s->sr && s->sr_ssrc == s->rtp[0].ssrc);
    CHECK(s->sr_packets > 10 && s->sr_packets <= (uint32_t)s->rtp_n);
    CHECK(s->sr_ntp >> 32 == (uint64_t)(SIM_UNIX + s->now) / BASE_S + 2208988800u ||
          s->sr_ntp >> 32 == (uint64_t)(SIM_UNIX + s->now) / BASE_S + 2208988800u - 1);
    const struct peer_packet *p = &s->rtp[s->rtp_n - 1];
    int64_t sr_us = (int64_t)((s->sr_ntp >> 32) - 2208988800u) * BASE_S +
                    (int64_t)((s->sr_ntp & 0xffffffffu) * 1000000 >> 32) - SIM_UNIX;
    int64_t by_report = sr_us + (int64_t)(int32_t)(p->timestamp - s->sr_timestamp) * 100 / 9;
    CHECK(by_report <= p->at && by_report > p->at - 40 * BASE_MS); /* a picture's timestamp is the time it was taken */
    int units = 0;
    for (int i = 0; i < s->rtp_n; i++) units += s->rtp[i].marker;
    CHECK(units >= 110 && units <= 126); /* 21 of the GOP under way, then 3.1 s at 30/s */
    /* goodbye */
    CHECK(wcam_hang_up(s->w, s->id) == 0 && wcam_hang_up(s->w, s->id) == WCAM_EGONE);
    CHECK(s->bye == 1 && s->alerts == 1 && s->queue_n == 1);
    int sent = s->sent;
    sim_deliver(s);
    CHECK(s->dtls.state == DTLS_CLOSED); /* close_notify */
    s->dtls.home->turn = NULL;
    sim_run(s, BASE_S);
    CHECK(s->sent == sent);
    struct wcam_stats stats;
    wcam_get_stats(s->w, &stats);
    CHECK(stats.viewers == 0 && stats.joined == 1 && stats.packets == (uint64_t)s->rtp_n && stats.dropped == 0);
    sim_free(s);
}

static void viewer_as_client(void) { viewer_watches(false); } /* offer actpass: we are active */
static void viewer_as_server(void) { viewer_watches(true); }  /* offer active: we are passive */

static void viewer_wrong_fingerprint(void) {
    for (int client = 0; client < 2; client++) {
        struct sim *s = sim_new("test:320x240@30,gop=30");
        CHECK(sim_join(s, client, true) == 0);
        sim_connect(s);
        for (int i = 0; i < 20 && sim_viewer(s); i++) sim_live(s, BASE_S);
        CHECK(s->rtp_n == 0 && s->undecryptable == 0 && s->sr == 0 && !sim_viewer(s));
        CHECK(sim_drops(s)[DROP_DTLS_HANDSHAKE] == 1);
        int sent = s->sent;
        sim_run(s, 5 * BASE_S);
        CHECK(s->sent == sent); /* not even an answer: the viewer is gone */
        sim_free(s);
    }
}

/* RFC 7675 5.1: consent expires 30 s after the last check, to the microsecond. */
static void viewer_consent(void) {
    for (int client = 0; client < 2; client++) {
        struct sim *s = sim_new("test:320x240@30,gop=30");
        CHECK(sim_join(s, client, false) == 0);
        sim_connect(s);
        sim_live(s, 2 * BASE_S);
        sim_check(s, true);
        int64_t last = s->now, end = last + 30 * BASE_S;
        while (s->now < end - 1) {
            /* what is not an authenticated check gives no consent: RTCP, a wrong check, an indication */
            if (s->now - last == 20 * BASE_S) {
                struct check c = {.username = "nobody:peer", .key = "wrong"};
                uint8_t out[256];
                struct wr w = bytes_wr(out, sizeof out);
                sim_send_rtcp(s, "\x80\xc9\0\1\0\0\0\1", 8);
                check_write(&w, &c);
                wcam_input(s->w, &s->addr, out, w.n, s->now);
                out[0] = 0, out[1] = 0x11;
                wcam_input(s->w, &s->addr, out, w.n, s->now);
            }
            sim_step(s, base_min(BASE_MS, end - 1 - s->now));
        }
        CHECK(sim_viewer(s) && s->last_sent > end - 40 * BASE_MS);
        int sent = s->sent;
        sim_step(s, 1); /* now */
        CHECK(s->sent == sent && !sim_viewer(s) && !s->bye && !s->alerts);
        sim_run(s, 3 * BASE_S);
        CHECK(s->sent == sent && s->last_sent < end);
        sim_free(s);
    }
}

/* The same when nobody ticked in time: input alone must not make it send, nor give consent anew. */
static void viewer_consent_without_tick(void) {
    struct sim *s = sim_new("test:320x240@30,gop=30");
    CHECK(sim_join(s, true, false) == 0);
    s->lose_to_server = 0xfffffffe; /* the client's second flight never arrives: the server would repeat its own */
    sim_connect(s);
    sim_run(s, 50 * BASE_MS);
    CHECK(s->dtls_to_server >= 1 && sim_viewer(s) && sim_viewer(s)->state == VIEWER_SHAKING);
    int sent = s->sent;
    s->now += 31 * BASE_S;
    s->lose_to_server = 0;
    dtls_tick(&s->dtls, s->now); /* the peer repeats its flight, which asks for an answer */
    CHECK(s->sent == sent);
    sim_free(s);
}

/* Every single and every double loss among the first datagrams of the handshake; retransmission mends it in time. */
static void viewer_dtls_loss(void) {
    int64_t worst = 0;
    for (int client = 0; client < 2; client++)
        for (int way = 0; way < 2; way++)
            for (int a = 0; a < 6; a++)
                for (int b = a; b < 6; b += 2) {
                    struct sim *s = sim_new("test:64x64@30,gop=30");
                    CHECK(sim_join(s, client, false) == 0);
                    uint32_t mask = 1u << a | 1u << b;
                    s->lose_to_peer = way ? 0 : mask;
                    s->lose_to_server = way ? mask : 0;
                    int64_t begin = s->now;
                    sim_connect(s);
                    for (int i = 0; i < 400 && !s->rtp_n; i++) {
                        if (i % 100 == 0) sim_check(s, true);
                        sim_run(s, 10 * BASE_MS);
                    }
                    char what[80];
                    snprintf(what, sizeof what, "peer %s, datagrams %d and %d to the %s are lost",
                             client ? "client" : "server", a, b, way ? "server" : "peer");
                    CHECK_AS(s->rtp_n > 0 && s->dtls.state == DTLS_READY, what);
                    if (s->now - begin > worst) worst = s->now - begin;
                    sim_live(s, 500 * BASE_MS);
                    /* when our Finished is lost, media overtakes it: no key to open it with yet */
                    if (!s->early) sim_check_stream(s);
                    CHECK_AS(!s->early || (client && !way), what);
                    CHECK_AS(!s->undecryptable, what);
                    sim_free(s);
                }
    printf("# viewer: first packet at most %d ms after the first check with two DTLS datagrams lost\n",
           (int)(worst / 1000));
    CHECK(worst < 3 * BASE_S);
}

/* A handshake that gets no answer ends, in words and without RTP. */
static void viewer_dtls_silence(void) {
    struct sim *s = sim_new("test:64x64@30,gop=30");
    CHECK(sim_join(s, false, false) == 0);
    s->deaf = true;
    sim_connect(s);
    int sent = s->dtls_to_peer;
    for (int i = 0; i < 60 && sim_viewer(s); i++) sim_live(s, BASE_S);
    CHECK(!sim_viewer(s) && s->rtp_n == 0 && s->now - SIM_BEGIN < 52 * BASE_S && sent == 1);
    CHECK(s->dtls_to_peer >= 3 && s->dtls_to_peer <= 32);
    sim_free(s);
    s = sim_new("test:64x64@30,gop=30"); /* nobody ever checks */
    CHECK(sim_join(s, false, false) == 0);
    sim_run(s, 30 * BASE_S - 1);
    CHECK(sim_viewer(s));
    sim_step(s, 1);
    CHECK(!sim_viewer(s) && s->sent == 0);
    sim_free(s);
}

/* Pushed pictures, joined late: the IDR first, then every picture of the GOP, then live; bytes as they were pushed. */
static void viewer_joins_late(void) {
    struct sim *s = sim_new(NULL);
    static struct nals pushed;
    struct pattern p;
    const char *why;
    CHECK(!pattern_spec("320x240@30,gop=60", &p, &why));
    uint8_t *cells = malloc(pattern_cells(&p));
    size_t cap = pattern_cells(&p) * SOURCE_MACROBLOCK + 256;
    uint8_t *picture = malloc(cap);
    pattern_start(&p, cells);
    pushed.n = 0;
    int live_at = -1;
    for (int f = 0; f < 150; f++) {
        struct wr w = bytes_wr(picture, cap);
        CHECK(pattern_frame(&p, false, (uint32_t)f * 33, (uint32_t)f * 33, &w));
        struct span rest = bytes_written(&w), nal;
        bool keep = f >= 60; /* the GOP that is kept when the viewer joins at picture 100 */
        while ((nal = h264_next(&rest)).n)
            if (keep) nals_add(&pushed, nal);
        struct span unit = exact(w.p, w.n);
        CHECK(wcam_push(s->w, s->stream, unit.p, unit.n, f * 33333LL) == 0);
        gone(unit);
        if (f == 100) {
            CHECK(sim_join(s, false, false) == 0);
            sim_connect(s);
        }
        if (f > 100 && f % 30 == 0) sim_check(s, true);
        sim_run(s, 33333);
        if (f > 100 && live_at < 0 && sim_viewer(s)->sender.state == SENDER_LIVE) live_at = f;
        if (f > 100 && live_at < 0) CHECK(s->sr == 0); /* no report while timestamps are those of a replay */
    }
    sim_check_stream(s);
    CHECK(nals_same(&pushed, &s->nals));
    CHECK(live_at > 100 && live_at < 125); /* 41 pictures at 8 ms, and what comes meanwhile */
    int gaps = 0;
    for (int i = 1; i < s->rtp_n && s->rtp[i].at < s->first_sr; i++)
        if (s->rtp[i].timestamp != s->rtp[i - 1].timestamp) gaps += s->rtp[i].at - s->rtp[i - 1].at < 8 * BASE_MS;
    CHECK(gaps <= 1); /* replayed pictures are paced */
    CHECK(wcam_push(s->w, s->stream, "no start code", 13, 0) == WCAM_EINVAL &&
          wcam_push(s->w, 7, "", 0, 0) == WCAM_EGONE);
    free(cells);
    free(picture);
    sim_free(s);
}

static void viewer_timestamps_advance(void) { /* pushers whose clock stands still, runs back or jumps */
    struct sim *s = sim_new(NULL);
    struct span unit = pattern_file("64x64@30,gop=1", 1);
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    rnd_seed(18);
    for (int i = 0; i < 300; i++) {
        int64_t pts = i < 50    ? 0
                      : i < 100 ? -i * 1000
                      : i < 150 ? rnd(1000000)
                      : i < 200 ? i * 3600 * BASE_S
                                : i * 33333;
        CHECK(wcam_push(s->w, s->stream, unit.p, unit.n, pts) == 0);
        if (i % 40 == 0) sim_check(s, true);
        sim_run(s, rnd(2) ? 0 : 33333);
    }
    sim_run(s, BASE_S);
    sim_check_stream(s);
    gone(unit);
    sim_free(s);
}

static void viewer_asks_for_keyframes(void) {
    struct sim *s = sim_new(NULL);
    struct span unit = pattern_file("64x64@30,gop=1", 1);
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    sim_run(s, 100 * BASE_MS);
    CHECK(s->keyframes_asked == 1 && s->rtp_n == 0); /* there is nothing to begin with */
    CHECK(wcam_push(s->w, s->stream, unit.p, unit.n, 0) == 0);
    sim_run(s, 2 * BASE_S);
    CHECK(s->rtp_n > 0);
    int before = s->keyframes_asked;
    uint32_t ssrc = s->rtp[0].ssrc;
    uint8_t pli[12] = {
        0x81, 206, 0, 2, 0, 0, 0, 1, (uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc};
    for (int i = 0; i < 30; i++) { /* 3 s of PLIs: once a second is enough */
        sim_send_rtcp(s, pli, sizeof pli);
        sim_run(s, 100 * BASE_MS);
    }
    CHECK(s->keyframes_asked - before == 3 && sim_viewer(s)->sender.keyframe_requests == 30);
    pli[11] ^= 1; /* somebody else's SSRC */
    sim_run(s, 2 * BASE_S);
    sim_send_rtcp(s, pli, sizeof pli);
    sim_run(s, 100 * BASE_MS);
    CHECK(s->keyframes_asked - before == 3);
    uint8_t report[32] = {0x81,
                          201,
                          0,
                          7,
                          0,
                          0,
                          0,
                          1,
                          (uint8_t)(ssrc >> 24),
                          (uint8_t)(ssrc >> 16),
                          (uint8_t)(ssrc >> 8),
                          (uint8_t)ssrc,
                          10,
                          0,
                          0,
                          5,
                          0,
                          0,
                          0,
                          1,
                          0,
                          0,
                          0,
                          180};
    uint64_t ntp = s->sr_ntp >> 16;
    for (int i = 0; i < 4; i++) report[24 + i] = (uint8_t)(ntp >> (24 - 8 * i));
    sim_send_rtcp(s, report, sizeof report);
    CHECK(sim_viewer(s)->sender.lost == 5 && sim_viewer(s)->sender.jitter == 180 && sim_viewer(s)->sender.rtt >= 0 &&
          sim_viewer(s)->sender.rtt < BASE_S + 10 * BASE_MS);
    gone(unit);
    sim_free(s);
}

static uint64_t drops_sum(const uint64_t *drops) {
    uint64_t sum = 0;
    for (int i = 1; i < DROP_COUNT; i++) sum += drops[i];
    return sum + drops[DROP_NONE] * 1000000;
}

/* Strangers' datagrams raise a named counter each, get no answer but a STUN refusal, and touch nobody's stream. */
static void viewer_strangers(void) {
    struct sim *s = sim_new("test:320x240@30,gop=30");
    struct wcam_addr peer = s->addr;
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    sim_live(s, BASE_S);
    rnd_seed(19);
    uint8_t seed[512];
    struct wr w = bytes_wr(seed, sizeof seed);
    struct check c = {.username = "0000AAAAAAAA:peer", .key = "wrong"};
    check_write(&w, &c);
    static const struct {
        const char *bytes;
        size_t n;
        enum drop want;
        bool known; /* from the viewer's own address */
    } one[] = {{"", 0, DROP_UDP_EMPTY, false},
               {"\x05", 1, DROP_UDP_UNKNOWN_KIND, false},
               {"\x13xxxx", 5, DROP_UDP_UNKNOWN_KIND, false},
               {"\x40xxxx", 5, DROP_UDP_UNKNOWN_KIND, false},
               {"\xff", 1, DROP_UDP_UNKNOWN_KIND, false},
               {"\x16\xfe\xfd", 3, DROP_UDP_STRANGER, false},
               {"\x80\xc9\0\1\0\0\0\1", 8, DROP_UDP_STRANGER, false},
               {"\x80", 1, DROP_UDP_STRANGER, false},
               {"\0", 1, DROP_STUN_MALFORMED, false},
               {"\x16\xfe\xfd", 3, DROP_DTLS_RECORD, true},
               {"\x80", 1, DROP_RTP_UNEXPECTED, true},
               {"\x80\x66\0\1\0\0\0\1\0\0\0\1", 12, DROP_RTP_UNEXPECTED, true},
               {"\x80\xc9\0\1\0\0\0\1", 8, DROP_RTCP_UNSEAL, true},
               {"\x80\xc9", 2, DROP_RTCP_SSRC, true}};
    uint64_t *drops = sim_drops(s);
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        struct span b = exact(one[i].bytes, one[i].n);
        uint64_t before = drops[one[i].want], all = drops_sum(drops);
        int sent = s->sent;
        if (!one[i].known) s->addr.port++;
        wcam_input(s->w, &s->addr, (void *)(uintptr_t)b.p, b.n, s->now);
        CHECK_AS(drops[one[i].want] == before + 1 && drops_sum(drops) == all + 1, base_drop_names[one[i].want]);
        CHECK(s->sent == sent);
        s->addr = peer;
        gone(b);
    }
    static uint8_t huge[BASE_DATAGRAM_IN + 1];
    wcam_input(s->w, &peer, huge, sizeof huge, s->now);
    CHECK(drops[DROP_UDP_LARGE] == 1);
    uint64_t all = drops_sum(drops);
    int packets = s->rtp_n, other = s->sent - s->rtp_n - s->sr, inputs = 0;
    for (int i = 0; i < 3000; i++) {
        struct span m = rnd(2) ? mutated(bytes_written(&w)) : exact(huge, 0);
        if (!m.n) {
            uint8_t noise[200];
            size_t n = 1 + rnd(199);
            rnd_fill(noise, n);
            gone(m);
            m = exact(noise, n);
        }
        s->addr = (struct wcam_addr){4, (uint16_t)(1024 + rnd(60000)), {203, 0, 113, (uint8_t)rnd(256)}};
        wcam_input(s->w, &s->addr, (void *)(uintptr_t)m.p, m.n, s->now);
        inputs++;
        s->addr = peer;
        if (i % 10 == 0) sim_step(s, BASE_MS);
        gone(m);
    }
    /* an indication may pass without a drop; nothing else does */
    CHECK(drops_sum(drops) - all <= (uint64_t)inputs && drops_sum(drops) - all > (uint64_t)inputs - 20);
    CHECK(s->sent - s->rtp_n - s->sr == other && s->rtp_n > packets); /* this port reflects nothing */
    sim_live(s, BASE_S);
    sim_check_stream(s);
    CHECK(sim_viewer(s) && sim_viewer(s)->ice.path_count == 1 && sim_viewer(s)->peer_ssrcs == 0);
    sim_free(s);
}

/* Mutated copies of the peer's own datagrams, from its own address: the stream goes on. */
static void viewer_bad_input(void) {
    struct sim *s = sim_new("test:64x64@30,gop=30");
    CHECK(sim_join(s, true, false) == 0);
    sim_connect(s);
    sim_live(s, BASE_S);
    CHECK(s->rtp_n > 0);
    rnd_seed(20);
    uint8_t sealed[64] = {0x81, 201, 0, 7, 0, 0, 0, 1};
    int n = 32;
    CHECK(srtp_protect_rtcp(s->out, sealed, &n) == srtp_err_status_ok);
    uint8_t record[64] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 51};
    for (int i = 0; i < 20000; i++) {
        struct span m = mutated(i & 1 ? base_span(sealed, (size_t)n) : base_span(record, sizeof record));
        wcam_input(s->w, &s->addr, (void *)(uintptr_t)m.p, m.n, s->now);
        gone(m);
        if (i % 100 == 0) sim_step(s, BASE_MS);
    }
    sim_send_rtcp(s, "\x80\xc9\0\1\0\0\0\1", 8); /* the unchanged kind is still taken */
    sim_live(s, BASE_S);
    sim_check_stream(s);
    CHECK(sim_viewer(s) && sim_viewer(s)->peer_ssrcs <= 2);
    sim_free(s);
}

static void viewer_moves(void) { /* another path is checked and nominated: media follows */
    struct sim *s = sim_new("test:64x64@30,gop=30");
    struct wcam_addr old = s->addr;
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    sim_live(s, BASE_S);
    s->addr.port = 50000;
    int before = s->rtp_n;
    sim_check(s, true);
    sim_run(s, 500 * BASE_MS); /* sim_take checks where each datagram goes */
    CHECK(s->rtp_n > before + 10);
    sim_check_stream(s);
    s->addr = old;
    sim_check(s, true);
    sim_run(s, 500 * BASE_MS);
    CHECK(s->rtp_n > before + 20 && sim_viewer(s)->ice.path_count == 2);
    sim_free(s);
}

/* Pictures larger than the whole history: nothing but IDRs that still fit gets through, and that soundly. */
static void viewer_overrun(void) {
    sim_history = MEDIA_HISTORY_MIN;
    struct sim *s = sim_new(NULL);
    sim_history = 0;
    static uint8_t unit[200000];
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    rnd_seed(21);
    for (unsigned i = 0; i < 200; i++) {
        struct wr w = bytes_wr(unit, sizeof unit);
        struct sps_kind sk = {.profile = 66, .poc_type = 2, .wide = 20, .high = 15};
        struct slice_kind k = {.header = i % 10 ? 0x41 : 0x65,
                               .type = i % 10 ? 5 : 7,
                               .poc_type = 2,
                               .frame_num = i % 10,
                               .payload = i % 10 ? 1000 + rnd(90000) : 5000};
        if (i % 10 == 0) sps_write(&w, &sk), pps_write(&w, 0, 0, false);
        slice_write(&w, &k);
        CHECK(!w.bad && wcam_push(s->w, s->stream, unit, w.n, i * 33333LL) == 0);
        if (i % 30 == 0) sim_check(s, true);
        sim_run(s, 33333);
    }
    CHECK(s->rtp_n > 100 && !s->undecryptable && sim_viewer(s) && s->keyframes_asked >= 3 && s->keyframes_asked <= 8);
    for (int i = 1; i < s->rtp_n; i++) {
        const struct peer_packet *p = &s->rtp[i], *last = p - 1;
        CHECK(p->seq == (uint16_t)(last->seq + 1) && (int32_t)(p->timestamp - last->timestamp) >= 0);
        CHECK(p->timestamp != last->timestamp || !last->marker);
        CHECK(p->timestamp == last->timestamp || last->marker ||
              p->types >> H264_SPS & 1); /* what breaks off, goes on at an IDR */
    }
    sim_free(s);
}

static void viewer_many(void) { /* places are given back, and no viewer gets another's check */
    struct sim *s = sim_new("test:64x64@30,gop=30");
    char first[80];
    for (int i = 0; i < 200; i++) {
        CHECK(sim_join(s, i & 1, false) == 0);
        if (i == 0) memcpy(first, s->ufrag, sizeof first);
        CHECK(i == 0 || strcmp(first, s->ufrag));
        if (i % 10 == 0) {
            s->dtls_to_peer = s->dtls_to_server = s->queue_n = 0;
            sim_connect(s);
            sim_run(s, 50 * BASE_MS);
            CHECK(s->in && s->rtp_n > 0);
        }
        s->dtls.state = DTLS_CLOSED;
        dtls_close(&s->dtls, s->now);
        memset(&s->dtls, 0, sizeof s->dtls);
        if (s->in) srtp_dealloc(s->in), srtp_dealloc(s->out), s->in = s->out = NULL;
        s->rtp_n = s->undecryptable = 0;
        CHECK(wcam_hang_up(s->w, s->id) == 0);
        s->queue_n = 0;
        s->fu.n = 0;
        s->undecryptable = 0;
        sim_step(s, BASE_MS);
        for (int k = 0; k < s->w->server.site.lobby.max; k++) CHECK(!s->w->server.site.lobby.slot[k]);
    }
    s->payload_bad = false;
    char id[24], answer[8192], offer[2048];
    snprintf(offer, sizeof offer, sim_offer_text, s->home.fingerprint, "actpass", "");
    for (int i = 0; i < 64; i++) CHECK(wcam_offer(s->w, 0, offer, strlen(offer), answer, sizeof answer, id) == 0);
    CHECK(wcam_offer(s->w, 0, offer, strlen(offer), answer, sizeof answer, id) == WCAM_EFULL && *wcam_why(s->w));
    CHECK(wcam_offer(s->w, 1, offer, strlen(offer), answer, sizeof answer, id) == WCAM_EGONE);
    sim_run(s, 5 * BASE_S); /* who never sent a check gives way by then */
    CHECK(wcam_offer(s->w, 0, offer, strlen(offer), answer, sizeof answer, id) == 0);
    CHECK(wcam_offer(s->w, 0, offer, strlen(offer), answer, sizeof answer, id) == 0);
    CHECK(s->w->server.site.lobby.count == 64);
    wcam_hang_up(s->w, id);
    sim_free(s);
}

/* ==== guard ==== */

static bool guard_request(struct http_req *q, const char *method, const char *target, const char *headers) {
    char text[2048];
    int n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n%s\r\n", method, target, headers);
    static uint8_t keep[2048]; /* the request's spans point here */
    memcpy(keep, text, (size_t)n);
    return CHECK_AS(http_read(base_span(keep, (size_t)n), q) == n, text);
}

static void guard_hosts(void) {
    static struct guard g = {.host = {"cam.example.org"}, .hosts = 1};
    static const struct {
        const char *host;
        bool ok;
    } cases[] = {{"localhost", true},
                 {"LOCALHOST:8080", true},
                 {"127.0.0.1:1", true},
                 {"192.168.1.5", true},
                 {"[::1]:8080", true},
                 {"[2001:db8::1]", true},
                 {"Cam.Example.Org:443", true},
                 {"evil.example", false},
                 {"localhost.evil.example", false},
                 {"127.0.0.1.evil.example", false},
                 {"cam.example.org.evil.example", false},
                 {"", false},
                 {"[evil]", false},
                 {"127.1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[100];
        snprintf(line, sizeof line, "Host: %s\r\n", cases[i].host);
        if (guard_request(&http_q, "GET", "/", line)) CHECK_AS(guard_host(&g, &http_q) == cases[i].ok, cases[i].host);
    }
}

static void guard_origins(void) {
    static struct guard g = {.origin = {"https://ok.example"}, .origins = 1};
    static const struct {
        const char *method, *origin;
        bool foreign, cors;
    } cases[] = {{"POST", "", false, false},
                 {"POST", "Origin: http://localhost:80\r\n", false, false},
                 {"POST", "Origin: https://localhost:80\r\n", false, false},
                 {"POST", "Origin: http://localhost:81\r\n", true, false},
                 {"POST", "Origin: null\r\n", true, false},
                 {"DELETE", "Origin: http://evil.example\r\n", true, false},
                 {"PATCH", "Origin: https://ok.example\r\n", false, true},
                 {"POST", "Origin: https://ok.example.evil\r\n", true, false},
                 {"GET", "Origin: http://evil.example\r\n", false, false},
                 {"GET", "Origin: https://OK.example\r\n", false, true},
                 {"OPTIONS", "Origin: https://ok.example\r\n", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char lines[300];
        uint8_t body[16];
        struct http_resp r;
        snprintf(lines, sizeof lines, "Host: localhost:80\r\n%s", cases[i].origin);
        http_respond(&r, body, sizeof body);
        if (!guard_request(&http_q, cases[i].method, "/", lines)) continue;
        CHECK_AS(guard_foreign(&g, &http_q) == cases[i].foreign, cases[i].origin);
        guard_cors(&g, &http_q, &r);
        bytes_w8(&r.extra, 0);
        CHECK_AS((strstr(r.lines, "Access-Control-Allow-Origin: ") != NULL) == cases[i].cors, cases[i].origin);
        CHECK(strstr(r.lines, "Vary: Origin\r\n"));
        CHECK((strstr(r.lines, "Allow-Methods") != NULL) == (cases[i].method[0] == 'O'));
    }
    static struct guard any = {.origin = {"*"}, .origins = 1};
    guard_request(&http_q, "POST", "/", "Host: a\r\nOrigin: http://anything.example\r\n");
    CHECK(!guard_foreign(&any, &http_q));
}

static void guard_credentials(void) {
    struct crypt c;
    static struct guard g, none;
    char cookie[200], twice[300];
    CHECK(!crypt_open(&c));
    guard_start(&g, &c, 8080);
    guard_start(&none, &c, 8080);
    strcpy(g.token, "s3 cret&");
    strcpy(g.user, "me:pa:ss");
    CHECK(strlen(g.cookie) == 32 && strcmp(g.cookie, none.cookie) && !strcmp(g.cookie_name, "wcam8080"));
    snprintf(cookie, sizeof cookie, "Cookie: a=b; wcam8080=%s ; c=d\r\n", g.cookie);
    snprintf(twice, sizeof twice, "Cookie: wcam8080=wrong\r\nCookie: wcam8080=%s\r\n", g.cookie);
    const struct {
        const char *target, *header;
        bool ok;
    } cases[] = {{"/", "", false},
                 {"/?token=s3%20cret%26", "", true},
                 {"/?x=1&token=s3%20cret%26&y", "", true},
                 {"/?token=s3 ", "X: y\r\n", false},
                 {"/?token=", "", false},
                 {"/?token", "", false},
                 {"/?token=s3%20cret%26x", "", false},
                 {"/?token=%00", "", false},
                 {"/", "Authorization: Bearer s3 cret&\r\n", true},
                 {"/", "Authorization: bearer   s3 cret&\r\n", true},
                 {"/", "Authorization: Bearer wrong\r\n", false},
                 {"/", "Authorization: Bearer\r\n", false},
                 {"/", "Authorization: Basic bWU6cGE6c3M=\r\n", true},
                 {"/", "Authorization: BASIC bWU6cGE6c3M=\r\n", true},
                 {"/", "Authorization: Basic bWU6cGE6c3M\r\n", false},
                 {"/", "Authorization: Basic bWU6cGE6c3Q=\r\n", false},
                 {"/", "Authorization: Basic\r\n", false},
                 {"/", "Authorization: Digest me\r\n", false},
                 {"/", "Cookie: wcam8080=\r\n", false},
                 {"/", "Cookie: wcam8080\r\n", false},
                 {"/", "Cookie: wcam8081=x\r\n", false},
                 {"/", cookie, true},
                 {"/", twice, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char lines[400];
        snprintf(lines, sizeof lines, "Host: a\r\n%s", cases[i].header);
        if (strchr(cases[i].target, ' ')) continue;
        if (!guard_request(&http_q, "GET", cases[i].target, lines)) continue;
        CHECK_AS(guard_admits(&g, &http_q) == cases[i].ok, *cases[i].header ? cases[i].header : cases[i].target);
        CHECK(guard_admits(&none, &http_q)); /* nothing is asked for, everybody may */
    }
    g.user[0] = 0; /* no empty secret admits anybody */
    guard_request(&http_q, "GET", "/", "Host: a\r\nAuthorization: Basic Og==\r\n");
    CHECK(!guard_admits(&g, &http_q));
    guard_request(&http_q, "GET", "/", "Host: a\r\nAuthorization: Basic \r\n");
    CHECK(!guard_admits(&g, &http_q));
    strcpy(g.user, "a:b");
    g.token[0] = 0;
    guard_request(&http_q, "GET", "/?token=", "Host: a\r\nAuthorization: Bearer \r\n");
    CHECK(!guard_admits(&g, &http_q));
    crypt_close(&c);
}

/* Asks, and pays when it is let in. */
static bool guard_stops(struct guard *g, const struct wcam_addr *from, int64_t now) {
    if (guard_exhausted(g, from, now)) return true;
    guard_charge(g, from, now);
    return false;
}

static void guard_rates(void) {
    static struct guard g;
    struct wcam_addr a = {4, 1, {10, 0, 0, 1}}, b = {4, 1, {10, 0, 0, 2}};
    int64_t now = SIM_BEGIN;
    for (int i = 0; i < GUARD_BURST; i++) {
        a.port++; /* the port is no other visitor */
        CHECK(!guard_stops(&g, &a, now));
    }
    CHECK(guard_stops(&g, &a, now) && !guard_stops(&g, &b, now));
    int let_in = 0;
    for (int i = 0; i < 1000; i++) let_in += !guard_stops(&g, &a, now += 10 * BASE_MS);
    CHECK(let_in >= 10 * GUARD_RATE - 1 && let_in <= 10 * GUARD_RATE + 1);
    now += 3600 * BASE_S; /* an hour of silence saves no more than one burst */
    let_in = 0;
    for (int i = 0; i < 2 * GUARD_BURST; i++) let_in += !guard_stops(&g, &a, now);
    CHECK(let_in == GUARD_BURST);
    struct wcam_addr six = {6, 1, {0x20, 1, 0xd, 0xb8}}; /* a /64 is one visitor */
    for (int i = 0; i < GUARD_BURST; i++) {
        six.ip[8 + i % 8]++;
        CHECK(!guard_stops(&g, &six, now));
    }
    CHECK(guard_stops(&g, &six, now));
    six.ip[7]++;
    CHECK(!guard_stops(&g, &six, now));
    for (unsigned i = 0; i < 500; i++) { /* more addresses than are remembered: the longest unseen gives way */
        struct wcam_addr x = {4, 1, {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
        CHECK(!guard_stops(&g, &x, ++now));
        CHECK(i % 20 || guard_stops(&g, &a, ++now));
    }
}

/* ==== signal ==== */

/* The server's end of one WebSocket, without the socket. */
struct talk {
    wcam *w;
    struct signal s;
    uint8_t answer[BASE_SDP], out[3 * BASE_SDP];
    struct wr o;
    struct wcam_addr candidate;
    int64_t now;
};

static struct talk *talk_new(int viewers) {
    struct talk *k = calloc(1, sizeof *k);
    struct wcam_config config = {.listen = "", .max_viewers = viewers};
    if (!k) abort();
    k->now = SIM_BEGIN;
    k->candidate = (struct wcam_addr){4, 8080, {192, 0, 2, 1}};
    CHECK(wcam_create(&config, &k->w) == 0 && wcam_add(k->w, "cam", "test:64x64@30", 0) == 0);
    CHECK(wcam_add(k->w, "cam/sub", NULL, 0) == 1);
    wcam_tick(k->w, k->now, SIM_UNIX);
    signal_start(&k->s, k->w->server.site.stream[0], false);
    return k;
}

static void talk_free(struct talk *k) {
    wcam_destroy(k->w);
    free(k);
}

static void talk_frame(struct talk *k) {
    k->now += 33333;
    wcam_tick(k->w, k->now, SIM_UNIX + k->now);
}

static struct lobby *talk_lobby(struct talk *k) { return &k->w->server.site.lobby; }

/* Says it; what is answered lies in k->o, empty when nothing is. */
static struct span talk_say(struct talk *k, struct span text) {
    struct signal_peer peer = {talk_lobby(k), &k->w->server.site.guard, {4, 5000, {10, 0, 0, 1}}, &k->candidate, 1};
    struct wr answer = bytes_wr(k->answer, sizeof k->answer);
    struct span own = exact(text.p, text.n), got;
    k->o = bytes_wr(k->out, sizeof k->out);
    server_reserve_viewer(&k->w->server);
    signal_input(&k->s, &peer, (uint8_t *)(uintptr_t)own.p, own.n, k->now, &answer, &k->o);
    gone(own);
    got = bytes_written(&k->o);
    CHECK(!k->o.bad && (!got.n || text_json_object(got, "type", &own)));
    return got;
}

/* A string member of what was said last; lives until the fourth next call. */
static const char *talk_word(struct talk *k, const char *name) {
    static char text[4][8192];
    static int at;
    struct span value;
    struct wr w = bytes_wr(text[at = (at + 1) % 4], sizeof text[0] - 1);
    if (!text_json_object(bytes_written(&k->o), name, &value) || !value.p || !text_unjson(&w, value)) return "";
    text[at][w.n] = 0;
    return text[at];
}

static int talk_number(struct talk *k, const char *name) {
    struct span value;
    uint64_t v;
    bool ok = text_json_object(bytes_written(&k->o), name, &value) && value.p && text_uint(value, INT_MAX, &v);
    return ok ? (int)v : -1;
}

/* An offer as JSON.stringify writes it, or with each character escaped. */
static struct span talk_offer(struct span sdp, bool escaped) {
    static uint8_t text[60000];
    struct wr w = bytes_wr(text, sizeof text);
    text_put(&w, "{\"type\":\"offer\",\"sdp\":");
    if (escaped) {
        text_put(&w, "\"");
        for (size_t i = 0; i < sdp.n; i++) text_putf(&w, "\\u%04X", sdp.p[i]);
        text_put(&w, "\"");
    } else text_json(&w, sdp);
    text_put(&w, "}");
    CHECK(!w.bad);
    return bytes_written(&w);
}

static bool talk_joins(struct talk *k, const char *offer) {
    struct span sdp = offer_of(offer);
    talk_say(k, talk_offer(sdp, false));
    gone(sdp);
    return !strcmp(talk_word(k, "type"), "answer");
}

static bool talk_news(struct talk *k) {
    k->o = bytes_wr(k->out, sizeof k->out);
    bool news = signal_news(&k->s, talk_lobby(k), &k->o);
    struct span type;
    CHECK(!k->o.bad && (!news || (text_json_object(bytes_written(&k->o), "type", &type) && type.p)));
    return news;
}

static void signal_answers(void) {
    static struct sdp_offer a;
    struct talk *k = talk_new(0);
    const char *why;
    for (int i = 0; i < 3; i++) {
        struct span sdp = offer_of(i == 2 ? offer_firefox : offer_chromium);
        talk_say(k, talk_offer(sdp, i == 1));
        gone(sdp);
        const char *session = talk_word(k, "session"), *answer = talk_word(k, "sdp");
        CHECK(!strcmp(talk_word(k, "type"), "answer") && !strncmp(session, "/cam/whep/", 10));
        CHECK(!sdp_read(text_of(answer), &a, &why) && strstr(answer, "a=ice-lite") && strstr(answer, "\r\n"));
        CHECK(strstr(answer, "192.0.2.1 8080 typ host") && strstr(answer, "H264/90000"));
        struct viewer *v = strlen(session) > 10 ? viewer_by_id(talk_lobby(k), text_of(session + 10)) : NULL;
        CHECK(v && !strcmp(v->id, k->s.viewer) && v->media == k->w->server.site.stream[0]);
        CHECK(v && strstr(answer, v->ice.ufrag) && strstr(answer, v->ice.pwd));
        CHECK(talk_lobby(k)->count == 1 && talk_lobby(k)->joined == (uint64_t)i + 1); /* each replaces the one before */
    }
    /* the members' order, further ones and white space do not matter */
    struct span sdp = offer_of(offer_chromium);
    static uint8_t text[9000];
    struct wr w = bytes_wr(text, sizeof text);
    text_put(&w, "\n{ \"more\" : [ {} ] , \"sdp\" : ");
    text_json(&w, sdp);
    text_put(&w, " , \"x\":{\"type\":\"bye\"} ,\t\"type\" : \"of\\u0066er\" } ");
    talk_say(k, bytes_written(&w));
    CHECK(!strcmp(talk_word(k, "type"), "answer"));
    gone(sdp);
    talk_free(k);
}

static void signal_refusals(void) {
    static const struct {
        const char *text;
        int status; /* 0: nothing is said */
    } cases[] = {
        {"", 400},
        {"hello", 400},
        {"[]", 400},
        {"\"offer\"", 400},
        {"{}", 400},
        {"{\"type\":\"offer\"", 400},
        {"{\"type\":1}", 400},
        {"{\"type\":null}", 400},
        {"{\"type\":[\"offer\"]}", 400},
        {"{\"type\":\"\"}", 400},
        {"{\"type\":\"Offer\"}", 400},
        {"{\"type\":\"answer\",\"sdp\":\"v=0\"}", 400},
        {"{\"type\":\"a type of more than sixteen bytes\"}", 400},
        {"{\"type\":\"offer\"}", 400},
        {"{\"type\":\"offer\",\"sdp\":null}", 400},
        {"{\"type\":\"offer\",\"sdp\":{\"type\":\"offer\"}}", 400},
        {"{\"type\":\"offer\",\"sdp\":\"\"}", 400},
        {"{\"type\":\"offer\",\"sdp\":\"v=0\\r\\n\\u0000\"}", 400},
        {"{\"type\":\"offer\",\"sdp\":\"\\ud800\"}", 400},
        {"{\"type\":\"offer\",\"sdp\":\"v=0\\r\\nbroken\"}", 400},
        {"{\"type\":\"candidate\",\"candidate\":{\"candidate\":\"\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0}}", 0},
        {"{\"type\":\"candidate\",\"candidate\":null}", 0},
        {"{\"type\":\"candidate\"}", 0},
        {"{\"type\":\"bye\"}", 0}};
    struct talk *k = talk_new(2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(k->w->server.site.guard.rate, 0, sizeof k->w->server.site.guard.rate);
        talk_say(k, lit(cases[i].text));
        CHECK_AS(cases[i].status ? talk_number(k, "status") == cases[i].status && !strcmp(talk_word(k, "type"), "error")
                                 : !k->o.n,
                 cases[i].text);
        CHECK_AS(!cases[i].status || strlen(talk_word(k, "detail")) > 10, cases[i].text);
    }
    CHECK(talk_lobby(k)->joined == 0);
    struct span no = offer_with(offer_chromium, "H264/90000", "VP9/90000");
    talk_say(k, talk_offer(no, false));
    CHECK(talk_number(k, "status") == 422 && strstr(talk_word(k, "detail"), "no H.264"));
    gone(no);
    k->s.media->ended = true;
    CHECK(!talk_joins(k, offer_chromium) && talk_number(k, "status") == 409);
    k->s.media->ended = false;
    CHECK(talk_joins(k, offer_chromium));
    memset(&k->s.viewer, 0, sizeof k->s.viewer); /* as of other connections */
    CHECK(talk_joins(k, offer_chromium));
    memset(&k->s.viewer, 0, sizeof k->s.viewer);
    CHECK(!talk_joins(k, offer_chromium) && talk_number(k, "status") == 503 && talk_lobby(k)->count == 2);
    memset(k->w->server.site.guard.rate, 0, sizeof k->w->server.site.guard.rate);
    for (int i = 0; i < GUARD_BURST; i++) { /* offers are what costs; nothing else is counted */
        talk_say(k, lit("{\"type\":\"candidate\"}"));
        CHECK(!talk_joins(k, offer_chromium) && talk_number(k, "status") == 503);
    }
    CHECK(!talk_joins(k, offer_chromium) && talk_number(k, "status") == 429);
    k->now += BASE_S;
    CHECK(!talk_joins(k, offer_chromium) && talk_number(k, "status") == 503);
    talk_free(k);
}

static void signal_hangs_up(void) {
    struct talk *k = talk_new(0);
    CHECK(talk_joins(k, offer_chromium) && talk_lobby(k)->count == 1);
    CHECK(!talk_say(k, lit("{\"type\":\"bye\"}")).n && talk_lobby(k)->count == 0 && !k->s.viewer[0]);
    CHECK(!talk_say(k, lit("{\"type\":\"bye\"}")).n && talk_lobby(k)->count == 0);
    CHECK(talk_joins(k, offer_chromium) && talk_lobby(k)->count == 1);
    struct span no = offer_with(offer_chromium, "H264/90000", "VP9/90000");
    talk_say(k, talk_offer(no, false)); /* one that fails leaves the session before it alone */
    gone(no);
    CHECK(talk_number(k, "status") == 422 && talk_lobby(k)->count == 1 && k->s.viewer[0]);
    struct talk *other = talk_new(0); /* a signal that never had one */
    signal_close(&other->s, talk_lobby(k), k->now);
    CHECK(talk_lobby(k)->count == 1);
    signal_close(&k->s, talk_lobby(k), k->now); /* the connection's Close */
    CHECK(talk_lobby(k)->count == 0);
    talk_free(other);
    talk_free(k);
}

static void signal_tells(void) {
    struct talk *k = talk_new(0);
    CHECK(talk_news(k) && !strcmp(talk_word(k, "type"), "stream") && !strcmp(talk_word(k, "name"), "cam"));
    CHECK(!strcmp(talk_word(k, "stream"), "") && talk_number(k, "viewers") == 0);
    CHECK(!strcmp(talk_word(k, "state"), media_state(k->s.media)));
    for (int i = 0; i < 60; i++) talk_frame(k);
    talk_news(k);
    CHECK(!strcmp(media_state(k->s.media), "live"));
    for (int i = 0; i < 60; i++) { /* pictures come: that is no news */
        talk_frame(k);
        CHECK(!talk_news(k) && k->s.media->frames > 60);
    }
    struct signal sub;
    signal_start(&sub, k->w->server.site.stream[1], true);
    k->o = bytes_wr(k->out, sizeof k->out);
    CHECK(signal_news(&sub, talk_lobby(k), &k->o) && !strcmp(talk_word(k, "stream"), "sub"));
    CHECK(!strcmp(talk_word(k, "state"), "waiting") && *talk_word(k, "reason") && talk_number(k, "width") == 0);
    k->o = bytes_wr(k->out, sizeof k->out);
    CHECK(!signal_news(&sub, talk_lobby(k), &k->o));
    CHECK(talk_joins(k, offer_chromium));
    CHECK(talk_news(k) && talk_number(k, "viewers") == 1 && talk_number(k, "width") == 64 && !talk_news(k));
    CHECK(!strcmp(talk_word(k, "state"), "live") && !*talk_word(k, "reason") && *talk_word(k, "codec"));
    k->o = bytes_wr(k->out, sizeof k->out);
    CHECK(!signal_news(&sub, talk_lobby(k), &k->o)); /* another stream's viewers are not its own */
    CHECK(!talk_say(k, lit("{\"type\":\"bye\"}")).n && talk_news(k) && talk_number(k, "viewers") == 0 && !talk_news(k));
    CHECK(!strcmp(talk_word(k, "type"), "stream")); /* who hung up is not told that it is over */
    k->s.media->ended = true;
    CHECK(talk_news(k) && !strcmp(talk_word(k, "state"), "ended") && *talk_word(k, "reason") && !talk_news(k));
    k->s.media->ended = false;
    CHECK(talk_news(k) && !strcmp(talk_word(k, "state"), "live") && !talk_news(k));
    talk_free(k);
}

/* Gives the connection a place in the server, so that it hears what the server's tick does. */
static struct signal *talk_connect(struct talk *k) {
    struct server_conn *c = &k->w->server.conn[k->w->server.conns++];
    memset(c, 0, sizeof *c);
    c->fd = -1;
    c->socket = true;
    c->signal = k->s;
    return &c->signal;
}

static void signal_tells_the_end(void) {
    struct talk *k = talk_new(2);
    CHECK(talk_joins(k, offer_chromium));
    struct signal *s = talk_connect(k);
    char id[VIEWER_ID + 1];
    strcpy(id, s->viewer);
    CHECK(!wcam_hang_up(k->w, id));       /* by other means than its connection */
    server_reserve_viewer(&k->w->server); /* a place without a viewer is reaped as well */
    server_reap_viewers(&k->w->server);
    k->s = *s;
    CHECK(talk_news(k) && !strcmp(talk_word(k, "type"), "ended") && !strcmp(talk_word(k, "reason"), "hung up"));
    CHECK(!k->s.viewer[0] && talk_news(k) && !strcmp(talk_word(k, "type"), "stream") && !talk_news(k));
    k->w->server.conns = 0;
    talk_free(k);

    /* a viewer whose place another one gets is told, too */
    k = talk_new(1);
    CHECK(talk_joins(k, offer_chromium));
    s = talk_connect(k);
    memset(&k->s.viewer, 0, sizeof k->s.viewer);
    k->now += VIEWER_PATIENCE;
    CHECK(talk_joins(k, offer_chromium) && talk_lobby(k)->joined == 2); /* another connection's */
    server_reap_viewers(&k->w->server);
    k->s = *s;
    CHECK(talk_news(k) && !strcmp(talk_word(k, "type"), "ended") && *talk_word(k, "reason"));
    k->w->server.conns = 0;
    talk_free(k);
}

/* Whatever comes, what goes out is a whole frame of JSON, or the connection ends. */
static void signal_answers_are_whole(void) {
    struct talk *k = talk_new(0);
    static uint8_t sdp[BASE_SDP], text[2 * BASE_SDP];
    char mid[4000];
    struct wr s = bytes_wr(sdp, sizeof sdp), w = bytes_wr(text, sizeof text);
    struct span offer = offer_with(offer_chromium, "127.0.0.1", "127.0.0.1");
    for (size_t i = 0; i + 1 < sizeof mid; i += 2) memcpy(mid + i, "\xc3\xa9", 2);
    bytes_put(&s, offer.p, offer.n);
    for (int i = 0; i < 13; i++) {
        text_put(&s, "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:");
        bytes_put(&s, mid, sizeof mid - 10);
        text_put(&s, "\r\n");
    }
    gone(offer);
    text_put(&w, "{\"type\":\"offer\",\"sdp\":\"");
    for (size_t i = 0; i < s.n; i++) {
        if (sdp[i] == '\r' || sdp[i] == '\n') text_put(&w, sdp[i] == '\r' ? "\\r" : "\\n");
        else bytes_w8(&w, sdp[i]);
    }
    text_put(&w, "\"}");
    CHECK(!w.bad && !s.bad && w.n <= WS_MESSAGE);
    talk_connect(k);
    struct server_conn *c = k->w->server.conn;
    c->in = text;
    c->in_n = c->ws.message = w.n;
    if (server_message(&k->w->server, c, k->now)) {
        struct rd r = bytes_rd(base_span(c->out, c->out_n));
        struct span value;
        CHECK(bytes_r8(&r) == 0x81);
        bytes_take(&r, c->out[1] == 127 ? 9 : c->out[1] == 126 ? 3 : 1);
        CHECK(text_json_object(bytes_take(&r, bytes_left(&r)), "type", &value) && value.p);
    }
    free(c->out);
    k->w->server.conns = 0;
    talk_free(k);
}

/* ==== site ==== */

/* One line of Prometheus' text format 0.0.4. */
struct series {
    char name[80], labels[200];
    double value;
};

struct scrape {
    struct series *s;
    int n;
};

static bool series_name(struct span s) { /* [a-zA-Z_:][a-zA-Z0-9_:]* */
    for (size_t i = 0; i < s.n; i++)
        if (!text_digits(s, i) && s.p[i] != '_' && !(text_lower(s.p[i]) >= 'a' && text_lower(s.p[i]) <= 'z'))
            return false;
    return s.n && !text_digits(s, 0);
}

/* name="value",... with nothing in a value that would need an escape */
static bool series_labels(struct span s) {
    do {
        struct span name = text_cut(&s, '=');
        if (!series_name(name) || !text_after(&s, "\"")) return false;
        struct span value = text_cut(&s, '"');
        for (size_t i = 0; i < value.n; i++)
            if (value.p[i] < ' ' || value.p[i] > '~' || value.p[i] == '\\') return false;
    } while (text_after(&s, ","));
    return !s.n;
}

/* Digits, and a point with more of them: no exponent, no comma, no sign is ever needed. */
static bool series_value(struct span s, double *v) {
    size_t whole = text_digits(s, 0), part = whole < s.n && s.p[whole] == '.' ? text_digits(s, whole + 1) : 0;
    if (!whole || whole + (part ? part + 1 : 0) != s.n) return false;
    *v = 0;
    for (size_t i = 0; i < whole; i++) *v = *v * 10 + (s.p[i] - '0');
    for (double i = (double)part, k = whole + 1, unit = 0.1; i > 0; i--, k++, unit /= 10)
        *v += (s.p[(size_t)k] - '0') * unit;
    return true;
}

static struct scrape scrape_read(struct span text) {
    struct scrape got = {calloc(6000, sizeof(struct series)), 0};
    char type[16] = "", family[80] = "", families[100][80];
    int count = 0;
    if (!got.s) abort();
    CHECK(text.n && text.p[text.n - 1] == '\n');
    while (text.n && got.n < 6000) {
        struct span line = text_cut(&text, '\n'), rest = line;
        bool help = text_after(&rest, "# HELP "), typed = !help && text_after(&rest, "# TYPE ");
        if (help) { /* begins a family that was not there before */
            text_copy(family, sizeof family, text_word(&rest));
            CHECK_AS(series_name(text_of(family)) && rest.n > 3 && !memchr(rest.p, '\\', rest.n), vec_text(line));
            for (int i = 0; i < count; i++) CHECK_AS(strcmp(families[i], family) != 0, family);
            if (CHECK(count < 100)) strcpy(families[count++], family);
            type[0] = 0;
            continue;
        }
        if (typed) { /* directly behind its HELP, in front of all samples */
            CHECK_AS(text_is(text_word(&rest), family) && !type[0], vec_text(line));
            text_copy(type, sizeof type, rest);
            bool total = strlen(family) > 6 && !strcmp(family + strlen(family) - 6, "_total");
            CHECK_AS(!strcmp(type, "counter") || !strcmp(type, "gauge"), vec_text(line));
            CHECK_AS(total == !strcmp(type, "counter"), vec_text(line));
            continue;
        }
        struct series *s = &got.s[got.n++];
        size_t name = 0;
        while (name < rest.n && rest.p[name] != '{' && rest.p[name] != ' ') name++;
        text_copy(s->name, sizeof s->name, base_span(rest.p, name));
        CHECK_AS(type[0] && !strcmp(s->name, family), vec_text(line));
        rest = base_span(rest.p + name, rest.n - name);
        if (text_after(&rest, "{")) {
            struct span labels = text_cut(&rest, '}');
            CHECK_AS(series_labels(labels), vec_text(line));
            text_copy(s->labels, sizeof s->labels, labels);
        }
        CHECK_AS(text_after(&rest, " ") && series_value(rest, &s->value), vec_text(line));
        for (int i = 0; i < got.n - 1 && got.n < 1000; i++)
            CHECK_AS(strcmp(got.s[i].name, s->name) || strcmp(got.s[i].labels, s->labels), vec_text(line));
    }
    return got;
}

static double scrape_value(const struct scrape *k, const char *name, const char *labels) {
    for (int i = 0; i < k->n; i++)
        if (!strcmp(k->s[i].name + 11, name) && !strcmp(k->s[i].labels, labels)) return k->s[i].value;
    return -1;
}

static struct scrape scrape_site(struct talk *k) {
    static uint8_t text[SERVER_OUT];
    struct wr w = bytes_wr(text, sizeof text);
    k->w->server.site.born = SIM_BEGIN; /* without sockets it goes with the time */
    site_metrics(&k->w->server.site, &w, k->now);
    CHECK(!w.bad);
    return scrape_read(bytes_written(&w));
}

static void site_metrics_format(void) {
    struct talk *k = talk_new(0);
    struct scrape before = scrape_site(k);
    CHECK(scrape_value(&before, "info", "version=\"" WCAM_VERSION "\"") == 1);
    CHECK(scrape_value(&before, "viewers_limit", "") == 64 && scrape_value(&before, "viewers_joined_total", "") == 0);
    CHECK(scrape_value(&before, "stream_up", "camera=\"cam\",stream=\"sub\"") == 0);
    CHECK(talk_joins(k, offer_chromium));
    for (int i = 0; i < 75; i++) talk_frame(k);
    k->w->server.site.drops[DROP_WS_FRAME] = 7;
    struct scrape after = scrape_site(k);
    CHECK(after.n == before.n + 1); /* the one viewer's own */
    for (int i = 0; i < before.n; i++) {
        const struct series *s = &before.s[i];
        if (strstr(s->name, "_total")) CHECK_AS(scrape_value(&after, s->name + 11, s->labels) >= s->value, s->name);
    }
    const struct media *m = k->s.media;
    CHECK(scrape_value(&after, "stream_up", "camera=\"cam\",stream=\"\"") == 1);
    CHECK(scrape_value(&after, "stream_frames_total", "camera=\"cam\",stream=\"\"") == (double)m->frames &&
          m->frames > 60);
    CHECK(scrape_value(&after, "stream_bytes_total", "camera=\"cam\",stream=\"\"") == (double)m->octets && m->octets);
    double fps = scrape_value(&after, "stream_frames_per_second", "camera=\"cam\",stream=\"\"");
    CHECK(fps > 29 && fps < 31);
    double uptime = scrape_value(&after, "uptime_seconds", "") - scrape_value(&before, "uptime_seconds", "");
    CHECK(uptime > 2.49 && uptime < 2.51);
    CHECK(scrape_value(&after, "viewers_joined_total", "") == 1);
    CHECK(scrape_value(&after, "viewers", "camera=\"cam\",stream=\"\",state=\"checking\"") == 1);
    CHECK(scrape_value(&after, "viewers", "camera=\"cam\",stream=\"\",state=\"live\"") == 0);
    CHECK(scrape_value(&after, "viewers", "camera=\"cam\",stream=\"sub\",state=\"checking\"") == 0);
    CHECK(scrape_value(&after, "dropped_total", "reason=\"ws_bad_frame\"") == 7);
    struct viewer *v = viewer_by_id(talk_lobby(k), text_of(k->s.viewer)); /* what it was sent stays when it goes */
    if (CHECK(v != NULL)) v->sender.packets = 5, v->sender.octets = 1000, v->sender.nacked = 3, v->sender.repaired = 2;
    struct scrape with = scrape_site(k);
    talk_say(k, lit("{\"type\":\"bye\"}"));
    struct scrape gone_again = scrape_site(k);
    const char *const lasting[] = {"sent_packets_total", "sent_bytes_total", "nacked_packets_total",
                                   "repaired_packets_total"};
    const double values[] = {5, 1000, 3, 2};
    for (int i = 0; i < 4; i++) {
        CHECK_AS(scrape_value(&with, lasting[i], "") == values[i], lasting[i]);
        CHECK_AS(scrape_value(&gone_again, lasting[i], "") == values[i], lasting[i]);
    }
    CHECK(gone_again.n == before.n);
    free(before.s);
    free(after.s);
    free(with.s);
    free(gone_again.s);
    talk_free(k);
}

/* In the first locale at hand that writes a comma. */
static void site_locale(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8",
                                        "nl_NL.utf8",  "ru_RU.utf8", "de_DE",       "fr_FR"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
        found = setlocale(LC_NUMERIC, names[i]);
        if (found && *localeconv()->decimal_point != ',') found = NULL;
    }
    SKIP_UNLESS(found, "no locale with a decimal comma is installed (text_no_locale looks at the formats)");
    struct talk *k = talk_new(0);
    static uint8_t text[SERVER_OUT];
    struct wr w = bytes_wr(text, sizeof text);
    struct span value;
    for (int i = 0; i < 50; i++) talk_frame(k);
    struct scrape got = scrape_site(k);
    CHECK(got.n > 20);
    site_json(&k->w->server.site, &w, k->now);
    CHECK(text_json_object(bytes_written(&w), "streams", &value) && value.p);
    setlocale(LC_NUMERIC, "C");
    free(got.s);
    talk_free(k);
}

/* /api/streams by the project's own reader, with a name and a reason that need escapes. */
static void site_json_reads_back(void) {
    struct talk *k = talk_new(0);
    static uint8_t text[SERVER_OUT], plain[300];
    struct wr w = bytes_wr(text, sizeof text);
    struct span value, stream, inner;
    CHECK(talk_joins(k, offer_chromium));
    for (int i = 0; i < 60; i++) talk_frame(k);
    snprintf(k->w->server.site.stream[1]->trouble, sizeof k->s.media->trouble, "The \"file\"\tis \\bad\x7f.");
    k->w->server.site.drops[DROP_WS_FRAME] = 3;
    k->w->server.site.born = k->now - 2 * BASE_S;
    site_json(&k->w->server.site, &w, k->now);
    struct span all = bytes_written(&w);
    static const char *const members[][2] = {{"version", "\"" WCAM_VERSION "\""},
                                             {"viewers", "1"},
                                             {"max_viewers", "64"},
                                             {"joined", "1"},
                                             {"packets", "0"},
                                             {"uptime_s", "2"},
                                             {"drops", "{\"ws_bad_frame\":3}"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        CHECK_AS(text_json_object(all, members[i][0], &value) && text_is(value, members[i][1]), members[i][0]);
    CHECK(text_json_object(all, "streams", &value) && text_json_sign(&value, '['));
    stream = value;
    CHECK(text_json_value(&value, TEXT_DEPTH, NULL, NULL));
    stream.n = (size_t)(value.p - stream.p);
    CHECK(text_json_object(stream, "fps", &inner) && inner.n >= 5 && inner.p[inner.n - 4] == '.' && inner.p[0] != '0');
    CHECK(text_json_object(stream, "state", &inner) && text_is(inner, "\"live\""));
    CHECK(text_json_sign(&value, ','));
    stream = value;
    CHECK(text_json_value(&value, TEXT_DEPTH, NULL, NULL) && text_json_sign(&value, ']'));
    stream.n = (size_t)(value.p - stream.p) - 1;
    w = bytes_wr(plain, sizeof plain);
    CHECK(text_json_object(stream, "reason", &inner) && text_unjson(&w, inner));
    CHECK(text_is(bytes_written(&w), "The \"file\"\tis \\bad\x7f."));
    CHECK(text_json_object(all, "sessions", &value) && text_json_sign(&value, '['));
    stream = value;
    CHECK(text_json_value(&value, TEXT_DEPTH, NULL, NULL));
    stream.n = (size_t)(value.p - stream.p);
    CHECK(text_json_object(stream, "rtt_ms", &inner) && text_is(inner, "0.000"));
    all.n--; /* its line end */
    for (size_t n = 0; n < all.n; n++) CHECK(!text_json_object(base_span(all.p, n), "version", &value));
    talk_free(k);
}

/* Streams of one camera stand in a row, from the best one to the least, in whatever order they come. */
static void site_streams_in_a_row(void) {
    static const struct {
        const char *name[4], *row; /* row: cam's */
    } cases[] = {{{"cam/", "cam/sub", NULL}, " sub"},
                 {{"cam/sub", "cam/", NULL}, " sub"},
                 {{"cam/", "cam/sub", "cam/low", NULL}, " sub low"},
                 {{"cam/sub", "cam/low", "cam/", NULL}, " sub low"},
                 {{"cam/sub", "cam/", "cam/low", NULL}, " sub low"},
                 {{"cam/sub", "cam/low", NULL}, "sub low"},
                 {{"door/", "cam/sub", "door/sub", "cam/"}, " sub"},
                 {{"cam/", "door/", "garden/sub", "cam/sub"}, " sub"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct site s;
        struct media m[4];
        memset(&s, 0, sizeof s);
        memset(m, 0, sizeof m);
        int n = 0;
        for (; n < 4 && cases[i].name[n]; n++) {
            struct span sub = lit(cases[i].name[n]), name = text_cut(&sub, '/');
            text_copy(m[n].name, sizeof m[n].name, name);
            text_copy(m[n].sub, sizeof m[n].sub, sub);
            site_add(&s, &m[n]);
        }
        CHECK(s.streams == n);
        char row[64] = "";
        const struct media *best = &m[0];
        for (int k = 0; k < n; k++) {
            CHECK(s.stream[k] == &m[k]); /* their numbers are the API's */
            CHECK(!m[k].lesser || (m[k].lesser->better == &m[k] && !strcmp(m[k].lesser->name, m[k].name)));
            CHECK(!m[k].better || m[k].better->lesser == &m[k]);
            CHECK(m[k].sub[0] || !m[k].better);
            if (!strcmp(m[k].name, "cam") && !m[k].better) best = &m[k];
            if (strcmp(m[k].name, "garden") == 0) CHECK(!m[k].better && !m[k].lesser);
        }
        for (; best; best = best->lesser) {
            strcat(row, best->sub);
            if (best->lesser) strcat(row, " ");
        }
        CHECK_AS(!strcmp(row, cases[i].row), row);
    }
}

static void site_finds_streams(void) {
    static struct site s;
    static struct media m[7];
    static const char *const names[][2] = {{"cam", "sub"},  {"cam", ""},      {"door", ""}, {"door", "main"},
                                           {"yard", "low"}, {"gate", "main"}, {"gate", ""}};
    memset(&s, 0, sizeof s);
    for (int i = 0; i < 7; i++) {
        strcpy(m[i].name, names[i][0]);
        strcpy(m[i].sub, names[i][1]);
        site_add(&s, &m[i]);
    }
    static const struct {
        const char *name, *sub;
        int at; /* -1: none */
    } cases[] = {{"cam", "", 1},       {"cam", "sub", 0},  {"cam", "main", 1},   {"cam", "Main", -1},
                 {"cam", "none", -1},  {"door", "", 2},    {"door", "main", 3}, /* its real name */
                 {"yard", "", 4},      {"yard", "low", 4}, {"yard", "main", -1}, {"none", "", -1},
                 {"none", "main", -1}, {"cam", "su", -1},  {"ca", "", -1},       {"gate", "main", 5},
                 {"gate", "", 6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct media *got = site_stream(&s, lit(cases[i].name), lit(cases[i].sub));
        CHECK_AS(got == (cases[i].at < 0 ? NULL : &m[cases[i].at]), cases[i].sub);
    }
    CHECK(site_stream(&s, lit("cam"), (struct span){NULL, 0}) == &m[1]); /* no ?stream= */
}

/* ==== route ==== */

/* A small JSON checker (RFC 8259): 1 when s is one value. Returns the bytes of the value at s, 0 when it is none. */
static size_t json_value(struct span s, int depth);

static size_t json_blank(struct span s) {
    size_t n = 0;
    while (n < s.n && strchr(" \t\r\n", s.p[n]) && s.p[n]) n++;
    return n;
}

static size_t json_string(struct span s) {
    if (!s.n || s.p[0] != '"') return 0;
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '"') return i + 1;
        if (s.p[i] < 0x20) return 0;
        if (s.p[i] != '\\') continue;
        if (++i == s.n || !strchr("\"\\/bfnrtu", s.p[i])) return 0;
        for (int k = 0; s.p[i - (size_t)k] == 'u' && k == 0; k++) {
            uint32_t v;
            if (s.n - i < 5 || !text_hex(base_span(s.p + i + 1, 4), &v)) return 0;
            i += 4;
        }
    }
    return 0;
}

static size_t json_number(struct span s) {
    size_t i = s.n && s.p[0] == '-', from = i;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') i++;
    if (i == from || (s.p[from] == '0' && i > from + 1)) return 0;
    if (i < s.n && s.p[i] == '.') {
        from = ++i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') i++;
        if (i == from) return 0;
    }
    return i;
}

static size_t json_list(struct span s, char open, int depth) {
    size_t i = 1 + json_blank(base_span(s.p + 1, s.n - 1));
    char close = open == '{' ? '}' : ']';
    if (i < s.n && s.p[i] == close) return i + 1;
    for (;;) {
        i += json_blank(base_span(s.p + i, s.n - i));
        if (open == '{') {
            size_t n = json_string(base_span(s.p + i, s.n - i));
            i += n;
            i += json_blank(base_span(s.p + i, s.n - i));
            if (!n || i >= s.n || s.p[i++] != ':') return 0;
            i += json_blank(base_span(s.p + i, s.n - i));
        }
        size_t n = json_value(base_span(s.p + i, s.n - i), depth + 1);
        if (!n) return 0;
        i += n;
        i += json_blank(base_span(s.p + i, s.n - i));
        if (i >= s.n) return 0;
        if (s.p[i] == close) return i + 1;
        if (s.p[i++] != ',') return 0;
    }
}

static size_t json_value(struct span s, int depth) {
    if (!s.n || depth > 20) return 0;
    if (s.p[0] == '{' || s.p[0] == '[') return json_list(s, (char)s.p[0], depth);
    if (s.p[0] == '"') return json_string(s);
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        struct span rest = s;
        if (text_after(&rest, words[i])) return strlen(words[i]);
    }
    return json_number(s);
}

static bool json_is(struct span s) {
    size_t at = json_blank(s), n = json_value(base_span(s.p + at, s.n - at), 0);
    at += n;
    return n && at + json_blank(base_span(s.p + at, s.n - at)) == s.n;
}

/* Sound: in the bundle, on its own SSRC, even timestamps, begun when the picture is live, tied to the picture by reports. */
static void viewer_hears(void) {
    struct sim *s = sim_new("test:64x64@25,gop=25,beep");
    s->hears = true;
    if (!CHECK(!sim_join(s, false, false))) return sim_free(s);
    CHECK(strstr(s->answer, "a=group:BUNDLE 1 0\r\n") && strstr(s->answer, "m=audio 9 UDP/TLS/RTP/SAVPF 0 8 111\r\n"));
    CHECK(strstr(s->answer, "a=rtpmap:111 opus/48000/2\r\n") && !strstr(s->answer, "G722"));
    sim_connect(s);
    sim_live(s, 4 * BASE_S);
    CHECK(s->heard_n >= 190 && s->heard_n <= 205 && s->rtp_n && s->heard[0].at >= s->rtp[0].at);
    for (int i = 0; i < s->heard_n; i++) {
        CHECK(s->heard[i].pt == 0 && s->heard[i].n == PATTERN_SAMPLES && s->heard[i].marker == (i == 0));
        CHECK(!i || s->heard[i].timestamp - s->heard[i - 1].timestamp == PATTERN_SAMPLES);
    }
    /* both clocks at the time of day of the sound's report */
    CHECK(s->sr >= 3 && s->sound_sr >= 3);
    const struct peer_packet *k = &s->heard[s->heard_n - 1];
    int64_t report = (int64_t)((s->sound_ntp >> 32) - 2208988800u) * BASE_S +
                     (int64_t)((s->sound_ntp & 0xffffffff) * 1000000 >> 32) - SIM_UNIX;
    int64_t said = (int32_t)(k->timestamp - s->sound_timestamp) * BASE_S / 8000 + report;
    CHECK(said <= k->at && k->at - said < 25 * BASE_MS);
    CHECK(!s->undecryptable);
    sim_free(s);

    s = sim_new("test:64x64@25,gop=25"); /* a source without sound: the section is refused */
    s->hears = true;
    CHECK(!sim_join(s, false, false) && strstr(s->answer, "m=audio 0 ") && strstr(s->answer, "a=group:BUNDLE 0\r\n"));
    sim_free(s);
}

/* Sound that the program pushes: any length of G.711, Opus by the packet; on the clock of the pictures. */
static void viewer_hears_pushed(void) {
    struct sim *s = sim_new(NULL);
    struct span film = pattern_file("64x64@25,gop=25", 25);
    uint8_t samples[4000] = {0};
    CHECK(wcam_push_audio(s->w, s->stream + 1, WCAM_PCMU, samples, 160, 0) == WCAM_EGONE);
    CHECK(wcam_push_audio(s->w, s->stream, (enum wcam_audio)9, samples, 160, 0) == WCAM_EINVAL);
    CHECK(wcam_push_audio(s->w, s->stream, WCAM_OPUS, samples, 1155, 0) == WCAM_EFULL);
    s->hears = true;
    struct span rest = film;
    CHECK(wcam_push(s->w, s->stream, film.p, film.n, 0) == 0); /* all as one unit: only its IDR counts */
    if (!CHECK(!sim_join(s, false, false))) return sim_free(s);
    sim_connect(s);
    (void)rest;
    sim_run(s, 200 * BASE_MS);
    CHECK(s->rtp_n && !s->heard_n);
    CHECK(!wcam_push_audio(s->w, s->stream, WCAM_PCMA, samples, 4000, 40000));
    sim_run(s, 20 * BASE_MS);
    CHECK(s->heard_n == 4 && s->heard[0].pt == 8 && s->heard[3].n == 4000 - 3 * RTP_PAYLOAD);
    for (int i = 1; i < s->heard_n; i++) CHECK(s->heard[i].timestamp - s->heard[i - 1].timestamp == RTP_PAYLOAD);
    CHECK(!wcam_push_audio(s->w, s->stream, WCAM_OPUS, samples, 100, 600000));
    CHECK(!wcam_push_audio(s->w, s->stream, WCAM_OPUS, samples, 90, 620000));
    sim_run(s, 20 * BASE_MS);
    CHECK(s->heard_n == 6 && s->heard[5].pt == 111 && s->heard[5].timestamp - s->heard[4].timestamp == 960);
    gone(film);
    sim_free(s);
}

/* What may be opened: whole segments of the same place, and nothing that a camera could resolve to something else. */
static void rtsp_places(void) {
    static const struct {
        const char *allowed, *url;
        bool below;
    } cases[] = {
        {"rtsp://cam/", "rtsp://cam/any/thing?x=1", true},
        {"rtsp://cam", "rtsp://u:p@CAM:554/live", true},
        {"rtsp://cam/live", "rtsp://cam/live", true},
        {"rtsp://cam/live/", "rtsp://cam/live/1", true},
        {"rtsp://cam/live", "rtsp://cam/lively", false},
        {"rtsp://cam/live", "rtsp://cam/", false},
        {"rtsp://cam/live", "rtsp://cam/live/../admin", false},
        {"rtsp://cam/live", "rtsp://cam/live/%2e%2e/admin", false},
        {"rtsp://cam/live", "rtsp://cam/live/..\\admin", false},
        {"rtsp://cam/live", "rtsp://cam:8554/live", false},
        {"rtsp://cam/live", "rtsps://cam:554/live", false},
        {"rtsp://cam/live", "rtsp://camera/live", false},
        {"rtsp://cam/live", "rtsp://cam@evil/live", false},
        {"rtsp://10.0.0.1/", "rtsp://10.0.0.10/", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rtsp_url allowed, url;
        CHECK_AS(rtsp_read_url(lit(cases[i].allowed), &allowed) && rtsp_read_url(lit(cases[i].url), &url),
                 cases[i].url);
        CHECK_AS(rtsp_below(&allowed, &url) == cases[i].below, cases[i].url);
    }
}

/* A server without sockets, its routes called directly. */
static struct http_resp route_r;
static struct signal route_signal;
static uint8_t route_body[SERVER_OUT];
static char route_lines[HTTP_EXTRA + 1];

static int route_ask(wcam *w, const char *method, const char *target, const char *headers, struct span body) {
    char lines[1024];
    struct site *site = &w->server.site;
    struct route t = {site,      &http_q,        body,         {4, 1, {127, 0, 0, 1}}, {4, 8080, {127, 0, 0, 1}},
                      SIM_BEGIN, w->server.open, &route_signal};
    snprintf(lines, sizeof lines, "%s%s", strstr(headers, "Host:") ? "" : "Host: localhost\r\n", headers);
    http_respond(&route_r, route_body, sizeof route_body);
    if (!guard_request(&http_q, method, target, lines)) return 0;
    server_reserve_viewer(&w->server);
    memset(site->guard.rate, 0, sizeof site->guard.rate);
    route_serve(&t, &route_r);
    memcpy(route_lines, route_r.lines, route_r.extra.n);
    route_lines[route_r.extra.n] = 0;
    CHECK_AS(!route_r.body.bad && !route_r.extra.bad, target);
    bool json = route_r.type && strstr(route_r.type, "json");
    CHECK_AS(!json || json_is(bytes_written(&route_r.body)), target);
    CHECK_AS(route_r.status < 400 || json || (route_r.type && strstr(route_r.type, "html")), target);
    /* RFC 9110 15.5.6, 11.6.1: what must come with the status */
    CHECK_AS(route_r.status != 405 || strstr(route_lines, "Allow: "), target);
    CHECK_AS(route_r.status != 401 || strstr(route_lines, "WWW-Authenticate: "), target);
    return route_r.status;
}

static bool route_says(const char *text) {
    struct span s = bytes_written(&route_r.body);
    for (size_t n = strlen(text); s.n >= n; s = base_span(s.p + 1, s.n - 1))
        if (!memcmp(s.p, text, n)) return true;
    return false;
}

static wcam *route_site(void) {
    wcam *w;
    struct wcam_config config = {.listen = ""};
    CHECK(wcam_create(&config, &w) == 0);
    guard_start(&w->server.site.guard, &w->server.site.crypt, 8080);
    CHECK(wcam_add(w, "cam", "test:64x64@30", 0) == 0 && wcam_add(w, "door", NULL, 0) == 1 &&
          wcam_add(w, "door/sub", NULL, 0) == 2);
    wcam_tick(w, SIM_BEGIN, SIM_UNIX);
    return w;
}

static void route_urls(void) {
    wcam *w = route_site();
    static const struct {
        const char *method, *target, *headers;
        int status;
    } cases[] = {{"GET", "/", "", 200},
                 {"HEAD", "/", "", 200},
                 {"GET", "/cam", "", 200},
                 {"GET", "/door?stream=sub", "", 200},
                 {"GET", "/cam/", "", 307},
                 {"GET", "/healthz", "", 200},
                 {"HEAD", "/healthz", "", 200},
                 {"GET", "/api/streams", "", 200},
                 {"HEAD", "/api/streams", "", 200},
                 {"GET", "/favicon.ico", "", 204},
                 {"GET", "/cam/whep", "", 200},
                 {"HEAD", "/cam/whep", "", 200},
                 {"OPTIONS", "/cam/whep", "", 200},
                 {"OPTIONS", "/anything", "", 200},
                 {"OPTIONS", "*", "", 200},
                 {"GET", "/none", "", 404},
                 {"GET", "/none", "Accept: text/html\r\n", 404},
                 {"GET", "/cam?stream=none", "", 404},
                 {"GET", "/cam/none", "", 404},
                 {"GET", "/door/whep?stream=none", "", 404},
                 {"GET", "/none/whep", "", 404},
                 {"GET", "/api/none", "", 404},
                 {"GET", "/cam/whep/", "", 200},
                 {"GET", "/cam/whep/AAAAAAAAAAAAAAAAAAAAAA", "", 404},
                 {"DELETE", "/cam/whep/x", "", 404},
                 {"PATCH", "/cam/whep/x/y", "", 404},
                 {"GET", "/../etc/passwd", "", 404},
                 {"GET", "/%63am", "", 404},
                 {"GET", "//cam", "", 404},
                 {"GET", "/CAM", "", 404},
                 {"POST", "/cam", "", 405},
                 {"PUT", "/cam/whep", "", 405},
                 {"DELETE", "/cam/whep", "", 405},
                 {"DELETE", "/", "", 405},
                 {"POST", "/api/streams", "", 405},
                 {"POST", "/cam/whep", "", 415},
                 {"POST", "/cam/whep", "Content-Type: text/plain\r\n", 415},
                 {"POST", "/cam/whep", "Content-Type: application/sdpx\r\n", 415},
                 {"POST", "/cam/whep", "Content-Type: application/sdp\r\n", 400},
                 {"GET", "/", "Host: evil.example\r\n", 421},
                 {"OPTIONS", "/", "Host: evil.example\r\n", 421},
                 {"GET", "/healthz", "Host: evil.example\r\n", 421},
                 {"POST", "/cam/whep", "Origin: http://evil.example\r\nContent-Type: application/sdp\r\n", 403},
                 {"GET", "http://localhost/cam", "", 200},
                 {"GET", "cam", "", 400},
                 {"GET", "*", "", 400}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char what[200];
        int got = route_ask(w, cases[i].method, cases[i].target, cases[i].headers, lit("x"));
        snprintf(what, sizeof what, "%s %s %s: %d, not %d", cases[i].method, cases[i].target, cases[i].headers, got,
                 cases[i].status);
        CHECK_AS(got == cases[i].status, what);
        CHECK(route_r.head == !strcmp(cases[i].method, "HEAD"));
    }
    CHECK(route_ask(w, "GET", "/none", "Accept: text/html,*/*\r\n", lit("")) == 404 && strstr(route_r.type, "html"));
    CHECK(strstr(route_lines, "Content-Security-Policy: ") && route_says("<h1>"));
    CHECK(route_ask(w, "GET", "/", "", lit("")) == 200 && strstr(route_lines, "Content-Security-Policy: ") &&
          route_says("<script>"));
    CHECK(route_ask(w, "GET", "/none", "", lit("")) == 404 && !strcmp(route_r.type, "application/problem+json"));
    wcam_destroy(w);
}

static void route_whep(void) {
    wcam *w = route_site();
    struct span offer = offer_of(offer_chromium), no = offer_with(offer_chromium, "H264/90000", "VP9/90000");
    char path[100], other[100], tag[100], match[200], id[40] = "";
    CHECK(route_ask(w, "POST", "/cam/whep", "Content-Type: application/sdp; charset=x\r\n", no) == 422 &&
          route_says("no H.264"));
    CHECK(route_ask(w, "POST", "/cam/whep", "Content-Type: application/sdp\r\n", lit("v=0\r\nbroken")) == 400);
    CHECK(route_ask(w, "POST", "/door/whep?stream=sub", "Content-Type: Application/SDP\r\n", offer) == 201);
    const char *location = strstr(route_lines, "Location: /door/whep/"), *etag = strstr(route_lines, "ETag: \"");
    CHECK(location && etag && !strcmp(route_r.type, "application/sdp") && route_says("a=ice-lite") &&
          route_says("127.0.0.1 8080 typ host"));
    if (location) text_copy(id, 23, text_of(location + 21));
    snprintf(path, sizeof path, "/door/whep/%s", id);
    snprintf(other, sizeof other, "/cam/whep/%s", id);
    if (etag) text_copy(tag, 31, text_of(etag));
    snprintf(match, sizeof match, "Content-Type: application/trickle-ice-sdpfrag\r\nIf-Match: %.24s\r\n", tag + 6);
    struct span fragment = lit("a=ice-ufrag:peer\r\na=ice-pwd:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 "
                               "udp 1 10.0.0.1 5 typ host\r\n");
    CHECK(route_ask(w, "PATCH", path, match, fragment) == 204);
    CHECK(route_ask(w, "PATCH", path, "Content-Type: application/trickle-ice-sdpfrag\r\nIf-Match: *\r\n", fragment) ==
          204);
    CHECK(route_ask(w, "PATCH", path, "Content-Type: application/trickle-ice-sdpfrag\r\n", fragment) == 428);
    CHECK(route_ask(w, "PATCH", path, "Content-Type: application/trickle-ice-sdpfrag\r\nIf-Match: \"x\"\r\n",
                    fragment) == 412);
    CHECK(route_ask(w, "PATCH", path, "Content-Type: text/plain\r\nIf-Match: *\r\n", fragment) == 415);
    CHECK(route_ask(w, "PATCH", path, match, lit("a=ice-ufrag:new1\r\na=ice-pwd:y\r\n")) == 422);
    CHECK(route_ask(w, "PATCH", path, match, lit("a=candidate:1 1 udp 1 10.0.0.1 5 typ host\r\n")) == 400);
    CHECK(route_ask(w, "PUT", path, match, fragment) == 405);
    CHECK(route_ask(w, "POST", path, "Content-Type: application/sdp\r\n", offer) == 405);
    CHECK(route_ask(w, "GET", path, "", lit("")) == 200 && strstr(route_lines, "ETag: "));
    CHECK(route_ask(w, "DELETE", other, "", lit("")) == 404); /* another camera's */
    CHECK(route_ask(w, "GET", "/api/streams", "", lit("")) == 200 && route_says("\"viewers\":1") &&
          route_says("checking"));
    CHECK(route_ask(w, "DELETE", path, "", lit("")) == 200);
    CHECK(route_ask(w, "DELETE", path, "", lit("")) == 404);
    w->server.site.stream[1]->ended = true;
    CHECK(route_ask(w, "POST", "/door/whep", "Content-Type: application/sdp\r\n", offer) == 409 &&
          strstr(route_lines, "Retry-After: "));
    for (int i = 0; i < 64; i++) {
        CHECK(route_ask(w, "POST", "/cam/whep", "Content-Type: application/sdp\r\n", offer) == (i < 63    ? 201
                                                                                                : i == 63 ? 201
                                                                                                          : 503) ||
              i == 63);
        if (i == 0) wcam_tick(w, SIM_BEGIN, SIM_UNIX);
    }
    CHECK(route_ask(w, "POST", "/cam/whep", "Content-Type: application/sdp\r\n", offer) == 503 &&
          strstr(route_lines, "Retry-After: "));
    CHECK(route_ask(w, "GET", "/api/streams", "", lit("")) == 200);
    gone(offer);
    gone(no);
    wcam_destroy(w);
}

/* ?stream= names one stream, and that is then the one to watch. */
static void route_pins(void) {
    wcam *w = route_site();
    struct site *site = &w->server.site;
    static const struct {
        const char *target;
        int stream;
        bool pinned;
    } cases[] = {{"/door/whep", 1, false},
                 {"/door/whep?stream=sub", 2, true},
                 {"/door/whep?stream=main", 1, true},
                 {"/door/whep?stream=", 1, false},
                 {"/door/whep?x=1&stream=sub", 2, true},
                 {"/cam/whep", 0, false},
                 {"/cam/whep?stream=main", 0, true},
                 {"/door/ws", 1, false},
                 {"/door/ws?stream=sub", 2, true},
                 {"/door/ws?stream=main", 1, true},
                 {"/door/ws?stream=", 1, false}};
    struct span offer = offer_of(offer_chromium);
    strcpy(site->guard.host[site->guard.hosts++], "a"); /* WS_ASK's */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct viewer *v = NULL;
        const char *what = cases[i].target;
        if (strstr(what, "/ws")) {
            static uint8_t answer[BASE_SDP], out[3 * BASE_SDP];
            struct wr a = bytes_wr(answer, sizeof answer), o = bytes_wr(out, sizeof out);
            struct wcam_addr candidate = {4, 8080, {192, 0, 2, 1}};
            struct signal_peer peer = {&site->lobby, &site->guard, {4, 5000, {10, 0, 0, 1}}, &candidate, 1};
            memset(&route_signal, 0, sizeof route_signal);
            if (!CHECK_AS(route_ask(w, "GET", what, WS_ASK WS_KEY, lit("")) == 101, what)) continue;
            CHECK_AS(route_signal.media == site->stream[cases[i].stream] && route_signal.pinned == cases[i].pinned,
                     what);
            struct span say = talk_offer(offer, false), own = exact(say.p, say.n);
            signal_input(&route_signal, &peer, (uint8_t *)(uintptr_t)own.p, own.n, SIM_BEGIN, &a, &o);
            gone(own);
            v = viewer_by_id(&site->lobby, text_of(route_signal.viewer));
        } else {
            CHECK_AS(route_ask(w, "POST", what, "Content-Type: application/sdp\r\n", offer) == 201, what);
            const char *at = strstr(route_lines, "/whep/");
            v = at ? viewer_by_id(&site->lobby, base_span(at + 6, VIEWER_ID)) : NULL;
        }
        CHECK_AS(v && v->media == site->stream[cases[i].stream] && v->sender.media == v->media, what);
        /* on the lesser stream by its name one stays there anyway */
        CHECK_AS(v && v->pinned == cases[i].pinned, what);
    }
    CHECK(route_ask(w, "POST", "/cam/whep?stream=sub", "Content-Type: application/sdp\r\n", offer) == 404);
    CHECK(route_ask(w, "GET", "/api/streams", "", lit("")) == 200 && route_says("\"asked\":\"sub\",\"pinned\":true"));
    CHECK(route_says("\"stream\":\"\"") && route_says("\"pinned\":false,\"moves\":0,\"probes\":0"));
    /* a session's address has no ?stream=: it is found all the same, and ends */
    for (int i = 0; i < site->lobby.max; i++) {
        char path[100];
        struct viewer *v = site->lobby.slot[i];
        if (!viewer_active(v)) continue;
        snprintf(path, sizeof path, "/%s/whep/%s", v->media->name, v->id);
        CHECK_AS(route_ask(w, "DELETE", path, "", lit("")) == 200 && !viewer_active(v), path);
    }
    CHECK(site->lobby.count == 0);
    gone(offer);
    wcam_destroy(w);
}

static void route_private(void) {
    wcam *w = route_site();
    struct guard *g = &w->server.site.guard;
    strcpy(g->token, "s3cret");
    CHECK(route_ask(w, "GET", "/", "", lit("")) == 401 && !strstr(route_lines, "Set-Cookie"));
    CHECK(route_ask(w, "GET", "/", "Accept: text/html\r\n", lit("")) == 401 && strstr(route_r.type, "html"));
    CHECK(route_ask(w, "GET", "/healthz", "", lit("")) == 200);
    CHECK(route_ask(w, "OPTIONS", "/cam/whep", "", lit("")) == 200);
    CHECK(route_ask(w, "GET", "/none", "", lit("")) == 401); /* what exists is nobody's business */
    CHECK(route_ask(w, "GET", "/cam?token=s3cret", "", lit("")) == 200 && strstr(route_lines, "Set-Cookie: wcam8080="));
    CHECK(strstr(route_lines, "HttpOnly; SameSite=Strict; Path=/") && !route_says("s3cret"));
    char cookie[200];
    snprintf(cookie, sizeof cookie, "Cookie: wcam8080=%s\r\n", g->cookie);
    CHECK(route_ask(w, "GET", "/api/streams", cookie, lit("")) == 200 && !strstr(route_lines, "Set-Cookie"));
    snprintf(cookie, sizeof cookie, "Cookie: wcam8080=%s\r\nOrigin: http://evil.example\r\n", g->cookie);
    CHECK(route_ask(w, "POST", "/cam/whep", cookie, lit("")) == 403);
    CHECK(route_ask(w, "GET", "/api/streams?token=s3cret", "", lit("")) == 200 && !strstr(route_lines, "Set-Cookie"));
    CHECK(route_ask(w, "GET", "/api/streams?token=wrong", "", lit("")) == 401);
    CHECK(route_ask(w, "POST", "/cam/whep", "Authorization: Bearer s3cret\r\nContent-Type: application/sdp\r\n",
                    lit("")) == 400);
    for (int i = 0; i < 200; i++) { /* without the reset of route_ask */
        struct route t = {&w->server.site, &http_q,        lit(""), {4, 1, {9, 9, 9, 9}}, {0},
                          SIM_BEGIN,       w->server.open, NULL};
        http_respond(&route_r, route_body, sizeof route_body);
        route_serve(&t, &route_r);
        CHECK(route_r.status == (i < GUARD_BURST ? 400 : 429));
    }
    wcam_destroy(w);
}

static void route_socket(void) {
    wcam *w = route_site();
    static const struct {
        const char *target, *headers;
        int status;
    } cases[] = {{"/cam/ws", WS_ASK WS_KEY, 101},
                 {"/door/ws?stream=sub", WS_ASK WS_KEY, 101},
                 {"/cam/ws", "", 426},
                 {"/cam/ws", "Accept: text/html\r\n", 426},
                 {"/cam/ws", WS_ASK, 400},
                 {"/none/ws", WS_ASK WS_KEY, 404},
                 {"/door/ws?stream=none", WS_ASK WS_KEY, 404},
                 {"/cam/ws/x", WS_ASK WS_KEY, 404},
                 {"/cam/ws",
                  "Host: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\n" WS_KEY,
                  421},
                 {"/cam/ws", WS_ASK WS_KEY "Origin: http://a\r\n", 101}, /* WS_ASK names the host a */
                 {"/cam/ws", WS_ASK WS_KEY "Origin: https://a\r\n", 101},
                 {"/cam/ws", WS_ASK WS_KEY "Origin: http://a:81\r\n", 403},
                 {"/cam/ws", WS_ASK WS_KEY "Origin: http://evil.example\r\n", 403},
                 {"/cam/ws", WS_ASK WS_KEY "Origin: null\r\n", 403},
                 {"/cam/ws", WS_ASK WS_KEY "Origin: https://page.example\r\n", 101}};
    struct guard *g = &w->server.site.guard;
    strcpy(g->host[g->hosts++], "a");
    strcpy(g->origin[g->origins++], "https://page.example");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char what[300];
        memset(&route_signal, 0, sizeof route_signal);
        int got = route_ask(w, "GET", cases[i].target, cases[i].headers, lit(""));
        snprintf(what, sizeof what, "%s %s: %d", cases[i].target, cases[i].headers, got);
        CHECK_AS(got == cases[i].status, what);
        CHECK_AS((route_signal.media != NULL) == (got == 101), what);
        CHECK_AS(got != 426 || strstr(route_lines, "Upgrade: websocket\r\n"), what);
    }
    CHECK(route_ask(w, "GET", "/door/ws?stream=sub", WS_ASK WS_KEY, lit("")) == 101);
    CHECK(route_signal.media == w->server.site.stream[2]);
    CHECK(route_ask(w, "POST", "/cam/ws", WS_ASK WS_KEY, lit("")) == 400);
    strcpy(g->token, "s3cret");
    char cookie[500];
    CHECK(route_ask(w, "GET", "/cam/ws", WS_ASK WS_KEY, lit("")) == 401);
    CHECK(route_ask(w, "GET", "/cam/ws?token=s3cret", WS_ASK WS_KEY, lit("")) == 101);
    CHECK(!strstr(route_lines, "Set-Cookie") && !strstr(route_lines, "s3cret"));
    CHECK(route_ask(w, "GET", "/cam/ws?token=wrong", WS_ASK WS_KEY, lit("")) == 401);
    CHECK(route_ask(w, "GET", "/cam/ws", WS_ASK WS_KEY "Authorization: Bearer s3cret\r\n", lit("")) == 101);
    /* a cookie comes along by itself: it counts only from where it can be seen that the page is ours */
    snprintf(cookie, sizeof cookie, WS_ASK WS_KEY "Cookie: wcam8080=%s\r\n", g->cookie);
    CHECK(route_ask(w, "GET", "/cam/ws", cookie, lit("")) == 403);
    snprintf(cookie, sizeof cookie, WS_ASK WS_KEY "Cookie: wcam8080=%s\r\nOrigin: http://a\r\n", g->cookie);
    CHECK(route_ask(w, "GET", "/cam/ws", cookie, lit("")) == 101);
    snprintf(cookie, sizeof cookie, WS_ASK WS_KEY "Cookie: wcam8080=%s\r\nOrigin: http://b\r\n", g->cookie);
    CHECK(route_ask(w, "GET", "/cam/ws", cookie, lit("")) == 403);
    wcam_destroy(w);
}

static void route_metrics(void) {
    wcam *w = route_site();
    CHECK(route_ask(w, "GET", "/metrics", "", lit("")) == 200);
    CHECK(!strcmp(route_r.type, "text/plain; version=0.0.4; charset=utf-8"));
    struct scrape got = scrape_read(bytes_written(&route_r.body));
    CHECK(scrape_value(&got, "stream_up", "camera=\"door\",stream=\"sub\"") == 0);
    free(got.s);
    CHECK(route_ask(w, "POST", "/metrics", "", lit("")) == 405);
    strcpy(w->server.site.guard.token, "s3cret");
    CHECK(route_ask(w, "GET", "/metrics", "", lit("")) == 401);
    CHECK(route_ask(w, "GET", "/metrics", "Authorization: Bearer s3cret\r\n", lit("")) == 200);
    wcam_destroy(w);
}

/* /api/streams with as many viewers as may be configured. */
static void route_state_of_many(void) {
    wcam *w;
    struct wcam_config config = {.listen = "", .max_viewers = WCAM_VIEWERS_MAX};
    CHECK(wcam_create(&config, &w) == 0 &&
          wcam_add(w, "a-camera-of-32-characters-in-all-", "test:64x64", 0) == WCAM_EINVAL);
    CHECK(wcam_add(w, "a-camera-of-32-characters-in-all", "test:64x64", 0) == 0);
    struct viewer *v = calloc(1, sizeof *v); /* one that stands for all: the state only reads it */
    v->state = VIEWER_WATCHING;
    v->sender.state = SENDER_LIVE;
    v->sender.media = w->server.site.stream[0];
    v->media = w->server.site.stream[0];
    v->sender.packets = v->sender.octets = UINT32_MAX;
    for (int i = 0; i < WCAM_VIEWERS_MAX; i++) w->server.site.lobby.slot[i] = v;
    struct route t = {&w->server.site, &http_q, lit(""), {0}, {0}, SIM_BEGIN, w->server.open, NULL};
    guard_request(&http_q, "GET", "/api/streams", "Host: localhost\r\n");
    http_respond(&route_r, route_body, sizeof route_body);
    route_serve(&t, &route_r);
    CHECK(!route_r.body.bad && json_is(bytes_written(&route_r.body)));
    guard_request(&http_q, "GET", "/metrics", "Host: localhost\r\n");
    http_respond(&route_r, route_body, sizeof route_body);
    route_serve(&t, &route_r);
    CHECK(!route_r.body.bad && route_r.body.n > SERVER_OUT / 2);
    free(scrape_read(bytes_written(&route_r.body)).s);
    for (int i = 0; i < WCAM_VIEWERS_MAX; i++) w->server.site.lobby.slot[i] = NULL;
    free(v);
    wcam_destroy(w);
}

/* ==== source ==== */

static void source_times(void) { /* uneven rates: the schedule does not drift */
    static struct source s;
    s.fps = 30000.0 / 1001;
    s.due = SIM_BEGIN;
    for (int i = 0; i < 30000; i++) source_schedule(&s, source_interval(&s), s.due);
    CHECK(s.due - SIM_BEGIN >= 1001 * BASE_S - 2 && s.due - SIM_BEGIN <= 1001 * BASE_S + 2);
    int64_t late = s.due + 5 * BASE_S; /* far behind: anew from now, no burst */
    source_schedule(&s, source_interval(&s), late);
    CHECK(s.due > late && s.due < late + 40 * BASE_MS);
}

static void source_files(void) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } bad[] = {{"", 0, "empty"},
               {"\0\0\0\x18"
                "ftypisom",
                12, "MP4"},
               {"\x1a\x45\xdf\xa3xxxx", 8, "Matroska"},
               {"hello, world", 12, "Annex B"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span s = exact(bad[i].bytes, bad[i].n);
        const char *said = source_sniff(s);
        CHECK(said && strstr(said, bad[i].says));
        gone(s);
    }
    CHECK(!source_sniff(BIN("\0\0\1\x67")));
    /* a file is looped; each round gives the same pictures, in time */
    struct span stream = pattern_file("64x64@25,gop=5", 12);
    FILE *f = fopen("build/unit.h264", "wb");
    SKIP_UNLESS(f, "build/ cannot be written to");
    fwrite(stream.p, 1, stream.n, f);
    fclose(f);
    struct sim *s = sim_new("build/unit.h264");
    CHECK(sim_join(s, false, false) == 0);
    sim_connect(s);
    sim_live(s, 2 * BASE_S);
    sim_check_stream(s);
    struct media *m = s->w->server.site.stream[0];
    CHECK(m->frames >= 49 && m->frames <= 52 && m->sps->width == 64 && !*media_reason(m));
    CHECK(drops_sum(sim_drops(s)) == 0);
    static struct nals whole;
    nals_whole(&whole, stream);
    for (int i = 0; i < s->nals.n; i++) CHECK(s->nals.crc[i] == whole.crc[i % whole.n]); /* parameter sets included */
    sim_free(s);
    remove("build/unit.h264");
    gone(stream);
}

/* ==== server ==== */

/* A WebSocket between two ends of a pair, the server's clock made up. */
static int pair_new(wcam *w, int64_t now) { /* the peer's end, -1: none */
    int fds[2];
    struct server *s = &w->server;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) return -1;
    CHECK(net_prepare(fds[0]) && net_prepare(fds[1]));
    s->conn[s->conns++] = (struct server_conn){.fd = fds[0], .socket = true, .deadline = now + SERVER_IDLE};
    signal_start(&s->conn[s->conns - 1].signal, s->site.stream[0], false);
    return fds[1];
}

/* What the server sent, in hexadecimal. */
static const char *pair_got(int fd) {
    static char text[600];
    uint8_t bytes[256];
    struct wr w = bytes_wr(text, sizeof text - 1);
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    for (ssize_t i = 0; i < n; i++) text_putf(&w, "%02x", bytes[i]);
    text[w.n] = 0;
    return text;
}

/* RFC 6455 5.5.2: a ping tells whether a silent peer is still there; a pong, or anything, says so. */
static void server_pings(void) {
    wcam *w;
    struct wcam_config config = {.listen = ""};
    CHECK(wcam_create(&config, &w) == 0 && wcam_add(w, "cam", "test:64x64@30", 0) == 0);
    struct server *s = &w->server;
    int64_t now = SIM_BEGIN;
    int fd = pair_new(w, now);
    SKIP_UNLESS(fd >= 0, "no pair of sockets");
    struct server_conn *c = s->conn;
    CHECK(server_conn_tick(s, c, 0, now += SERVER_IDLE - 1) && !c->pinged);
    CHECK(server_conn_tick(s, c, 0, now += 1) && c->pinged);
    CHECK(server_conn_tick(s, c, POLLOUT, now) && !strcmp(pair_got(fd), "8900"));
    CHECK(server_conn_tick(s, c, 0, now += SERVER_REQUEST - 1));
    CHECK(send(fd, "\x8a\x80....", 6, 0) == 6 && server_conn_tick(s, c, POLLIN, now) && !c->pinged);
    CHECK(server_conn_tick(s, c, 0, now += SERVER_IDLE - 1) && !c->pinged);
    for (int i = 0; i < 100; i++) { /* what we send ourselves shows nothing: pings come on time */
        now += BASE_S;
        if (!c->out) CHECK(server_frame(c, WS_TEXT, lit("{}")));
        if (!server_conn_tick(s, c, POLLOUT, now)) break;
        CHECK_AS(i < 12 && (i < 1 || c->pinged), "a peer that is silent for long is given up");
        if (i >= 12) break;
    }
    CHECK(c->pinged && now - SIM_BEGIN <= 2 * SERVER_IDLE + 2 * SERVER_REQUEST + 2 * BASE_S);
    close(fd);
    while (s->conns) server_drop(s, s->conn);
    wcam_destroy(w);
}

/* Each frame that wants an answer gets it, in order, whatever fits into one read. */
static void server_answers_frames(void) {
    wcam *w;
    struct wcam_config config = {.listen = ""};
    static uint8_t bytes[4000];
    char want[600] = "";
    struct wr f = bytes_wr(bytes, sizeof bytes);
    CHECK(wcam_create(&config, &w) == 0 && wcam_add(w, "cam", "test:64x64@30", 0) == 0);
    struct server *s = &w->server;
    int fd = pair_new(w, SIM_BEGIN);
    SKIP_UNLESS(fd >= 0, "no pair of sockets");
    rnd_seed(50);
    for (int i = 0; i < 20; i++) {
        uint8_t n = (uint8_t)i;
        ws_frame(&f, 0x8a, lit("unasked"), 0);
        ws_frame(&f, 0x81, lit("{\"type\":\"candidate\"}"), 0);
        ws_frame(&f, 0x89, base_span(&n, 1), 0);
        snprintf(want + strlen(want), 10, "8a01%02x", n);
    }
    ws_frame(&f, 0x88, lit("\x03\xe9"), 0);
    strcat(want, "880203e9");
    CHECK(send(fd, bytes, f.n, 0) == (ssize_t)f.n);
    bool alive = server_conn_tick(s, s->conn, POLLIN, SIM_BEGIN);
    for (int i = 0; i < 30 && alive; i++) alive = server_conn_tick(s, s->conn, 0, SIM_BEGIN);
    CHECK(!strcmp(pair_got(fd), want) && s->conn[0].close);
    close(fd);
    while (s->conns) server_drop(s, s->conn);
    wcam_destroy(w);
}

/* ==== wcam ==== */

static void wcam_arguments(void) {
    wcam *w;
    struct wcam_config config = {.listen = ""};
    static const char *const names[] = {"",        "a b",   "api",   "metrics",
                                        "healthz", "hub",   "api/x", "cam/",
                                        "/cam",    "a/b/c", "cam.1", "a-name-of-33-characters-is-too-long"};
    CHECK(wcam_create(&config, &w) == 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_AS(wcam_add(w, names[i], NULL, 0) == WCAM_EINVAL && *wcam_why(w), names[i]);
    CHECK(wcam_add(w, "cam", NULL, 0) == 0 && wcam_add(w, "cam", NULL, 0) == WCAM_EINVAL &&
          wcam_add(w, "cam/x", NULL, 0) == 1);
    CHECK(wcam_add(w, "file", "build/there-is-no-such-file", 0) == WCAM_ESYSTEM &&
          strstr(wcam_why(w), "there-is-no-such-file"));
    CHECK(wcam_add(w, "test", "test:1x1", 0) == WCAM_ESYSTEM);
    for (int i = 2; i < BASE_STREAMS; i++) {
        char name[20];
        snprintf(name, sizeof name, "n%d", i);
        CHECK(wcam_add(w, name, NULL, 0) == i);
    }
    CHECK(wcam_add(w, "more", NULL, 0) == WCAM_EFULL);
    uint8_t *large = calloc(1, BASE_AU + 1);
    CHECK(wcam_push(w, 0, large, BASE_AU + 1, 0) == WCAM_EFULL && wcam_push(w, 0, large, 100, 0) == WCAM_EINVAL);
    free(large);
    char answer[100], id[24];
    wcam_tick(w, SIM_BEGIN, SIM_UNIX);
    CHECK(wcam_push(w, 0, "abc", 3, 0) == WCAM_EINVAL);
    CHECK(wcam_offer(w, 0, "", 0, answer, sizeof answer, id) == WCAM_EOFFER);
    CHECK(wcam_offer(w, -1, "", 0, answer, sizeof answer, id) == WCAM_EGONE);
    CHECK(wcam_offer(w, 0, "", 0, answer, 0, id) == WCAM_EFULL);
    struct span offer = offer_of(offer_chromium);
    CHECK(wcam_offer(w, 0, (const char *)offer.p, offer.n, answer, sizeof answer, id) == WCAM_EFULL);
    struct wcam_stats stats;
    wcam_get_stats(w, &stats);
    CHECK(stats.streams == BASE_STREAMS && stats.viewers == 0);
    gone(offer);
    CHECK(wcam_hang_up(w, "nobody") == WCAM_EGONE);
    wcam_destroy(w);
    wcam_destroy(NULL);
    static const struct {
        struct wcam_config c;
        int error;
    } bad[] = {{{.listen = "", .max_viewers = -1}, WCAM_EINVAL},
               {{.listen = "", .max_viewers = 4097}, WCAM_EINVAL},
               {{.listen = "", .history = 1000}, WCAM_EINVAL},
               {{.listen = "", .token = ""}, WCAM_EINVAL},
               {{.listen = "", .user = "nocolon"}, WCAM_EINVAL},
               {{.listen = "", .user = ":x"}, WCAM_EINVAL},
               {{.listen = "nonsense"}, WCAM_EINVAL},
               {{.listen = "0.0.0.0:0"}, WCAM_EINVAL},
               {{.listen = "1.2.3.4:70000"}, WCAM_EINVAL}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(wcam_create(&bad[i].c, &w) == bad[i].error && w && *wcam_why(w));
        wcam_destroy(w);
    }
    for (int e = 0; e >= -8; e--) CHECK(strcmp(wcam_strerror(e), wcam_strerror(-99)));
}

static void wcam_addresses(void) {
    static const struct {
        const char *text, *ip;
        int port;
    } cases[] = {{"8080", "127.0.0.1", 8080}, {":80", "::", 80},     {"localhost:1", "127.0.0.1", 1},
                 {"0.0.0.0:0", "0.0.0.0", 0}, {"[::1]:9", "::1", 9}, {"::1:9", "::1", 9},
                 {"[::]:65535", "::", 65535}, {"", NULL, 0},         {"a:1", NULL, 0},
                 {"1.2.3.4", NULL, 0},        {"1.2.3.4:", NULL, 0}, {"1.2.3.4:65536", NULL, 0},
                 {"[::1]", NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wcam_addr a, want;
        bool ok = wcam_listen_address(cases[i].text, &a);
        CHECK_AS(ok == (cases[i].ip != NULL), cases[i].text);
        if (ok && cases[i].ip && text_ip(text_of(cases[i].ip), &want)) {
            want.port = (uint16_t)cases[i].port;
            CHECK_AS(base_addr_same(&a, &want), cases[i].text);
        }
    }
}

/* Noise into everything that reads bytes of others. */
static void wcam_noise(void) {
    static struct sdp_offer o;
    static struct h264_sets t;
    struct stun_msg m;
    struct h264_border at = {0};
    const char *why;
    struct box *box = calloc(1, sizeof *box);
    struct dtls *d = dtls_new(true, box, 0);
    rnd_seed(22);
    for (int i = 0; i < 40000; i++) {
        uint8_t raw[400];
        size_t n = rnd(i % 4 ? 40 : sizeof raw);
        rnd_fill(raw, n);
        if (i % 5 == 0)
            for (size_t k = 0; k < n; k++) raw[k] = (uint8_t) "\0\1\x16\xfe\xfd\x80\xc9\r\n:=vma 0 9"[rnd(18)];
        struct span s = exact(raw, n), rest = s;
        (void)stun_read(s, &m);
        (void)rtcp_accepts(s);
        (void)http_read(s, &http_q);
        struct span chunks = exact(raw, n);
        size_t left = n, decoded = 0;
        (void)http_unchunk((uint8_t *)(uintptr_t)chunks.p, &left, &decoded);
        CHECK(decoded <= left && left <= n);
        gone(chunks);
        (void)sdp_read(s, &o, &why);
        if (n) (void)h264_begins(&at, &t, s);
        if (n > 1) (void)h264_store(&t, s);
        for (struct span nal; (nal = h264_next(&rest)).n;) CHECK(nal.n <= n);
        (void)dtls_input(d, s, i);
        gone(s);
    }
    CHECK(d->state != DTLS_READY);
    dtls_done(d);
    free(box);
}

/* The first tick tells the time; before it, what needs it is refused. The clock may say anything, zero too. */
static void wcam_any_clock(void) {
    for (int kind = 0; kind < 2; kind++) {
        wcam *w;
        struct wcam_config config = {.listen = ""};
        struct span offer = offer_of(offer_chromium), unit = pattern_file("64x64", 1);
        char answer[8192], id[24];
        int64_t now = kind ? SIM_BEGIN : 0;
        CHECK(wcam_create(&config, &w) == 0 && wcam_add(w, "cam", NULL, 0) == 0);
        CHECK(wcam_offer(w, 0, (const char *)offer.p, offer.n, answer, sizeof answer, id) == WCAM_EINVAL);
        CHECK(strstr(wcam_why(w), "wcam_tick") && wcam_push(w, 0, unit.p, unit.n, 0) == WCAM_EINVAL);
        CHECK(wcam_push_bytes(w, 0, unit.p, unit.n) == WCAM_EINVAL);
        wcam_tick(w, now, SIM_UNIX);
        CHECK(wcam_offer(w, 0, (const char *)offer.p, offer.n, answer, sizeof answer, id) == 0);
        CHECK(wcam_push(w, 0, unit.p, unit.n, 0) == 0);
        wcam_tick(w, now + BASE_S, SIM_UNIX);
        CHECK(viewer_by_id(&w->server.site.lobby, text_of(id)) != NULL);
        gone(offer);
        gone(unit);
        wcam_destroy(w);
    }
}

static void wcam_two_instances(void) { /* one goes, the other stays */
    struct sim *a = sim_new("test:64x64@30,gop=30"), *b = sim_new("test:64x64@30,gop=30");
    CHECK(sim_join(a, false, false) == 0 && sim_join(b, true, false) == 0);
    sim_connect(a);
    sim_connect(b);
    for (int i = 0; i < 500; i++) sim_step(a, BASE_MS), sim_step(b, BASE_MS);
    sim_check_stream(a);
    sim_free(a);
    sim_live(b, BASE_S);
    sim_check_stream(b);
    CHECK(b->rtp_n > 30);
    sim_free(b);
}

/* ---- all of them ---- */

#define T(room, name) \
    { #room, #name, name }
static const struct test tests[] = {
    T(base, base_names),
    T(base, base_addresses),
    T(bytes, bytes_cursors_stick),
    T(bytes, bytes_crc),
    T(bytes, bytes_base64_own),
    T(bytes, bytes_base64_vectors),
    T(bytes, bytes_base64_out),
    T(bytes, bytes_base64_names),
    T(text, text_numbers),
    T(text, text_pieces),
    T(text, text_escapes),
    T(text, text_names),
    T(text, text_addresses),
    T(text, text_dates),
    T(text, text_json_grammar),
    T(text, text_json_prefixes),
    T(text, text_json_depth),
    T(text, text_json_members),
    T(text, text_json_strings),
    T(text, text_json_round),
    T(text, text_json_bad_input),
    T(text, text_utf8_all),
    T(text, text_thousandths),
    T(text, text_no_locale),
    T(crypt, crypt_hmac),
    T(crypt, crypt_hashes),
    T(crypt, crypt_comparison),
    T(crypt, crypt_names),
    T(stun, stun_own),
    T(stun, stun_mapped),
    T(stun, stun_refusals),
    T(stun, stun_malformed),
    T(stun, stun_bad_input),
    T(stun, stun_vectors),
    T(ice, ice_answers),
    T(ice, ice_other_methods),
    T(ice, ice_nominates),
    T(ice, ice_eviction),
    T(dtls, dtls_home_is_fit),
    T(dtls, dtls_fingerprints),
    T(dtls, dtls_gathers),
    T(dtls, dtls_browser_hellos),
    T(dtls, dtls_own_hello),
    T(dtls, dtls_bad_input),
    T(seal, seal_vector),
    T(seal, seal_both_ways),
    T(sdp, sdp_own_offers),
    T(sdp, sdp_verdicts),
    T(sdp, sdp_bundle_lends),
    T(sdp, sdp_profiles),
    T(sdp, sdp_limits_hold),
    T(sdp, sdp_bad_input),
    T(sdp, sdp_browsers),
    T(h264, h264_parameter_sets),
    T(h264, h264_absurd_parameter_sets),
    T(h264, h264_sprops),
    T(h264, h264_emulation),
    T(h264, h264_store_replaces),
    T(h264, h264_borders),
    T(h264, h264_orders),
    T(h264, h264_splits),
    T(h264, h264_split_too_large),
    T(h264, h264_bad_input),
    T(h264, h264_files),
    T(pattern, pattern_specs),
    T(pattern, pattern_streams),
    T(pattern, pattern_cut_anywhere),
    T(rtp, rtp_headers),
    T(rtp, rtp_fragments),
    T(rtp, rtp_aggregates),
    T(rtp, rtp_joins),
    T(rtp, rtp_vectors),
    T(rtcp, rtcp_own),
    T(rtcp, rtcp_feedback),
    T(rtcp, rtcp_nacks),
    T(rtcp, rtcp_padding),
    T(rtcp, rtcp_vectors),
    T(rtcp, rtcp_extended),
    T(rtcp, rtcp_bad_input),
    T(http, http_requests),
    T(http, http_fields),
    T(http, http_limits_hold),
    T(http, http_chunks),
    T(http, http_chunks_in_pieces),
    T(http, http_vectors),
    T(http, http_bad_input),
    T(http, http_answers),
    T(ws, ws_handshakes),
    T(ws, ws_own_frames),
    T(ws, ws_frames_in),
    T(ws, ws_refusals),
    T(ws, ws_vectors),
    T(ws, ws_any_chunking),
    T(ws, ws_close_codes),
    T(ws, ws_largest),
    T(ws, ws_bad_input),
    T(rtsp, rtsp_places),
    T(media, media_ring),
    T(media, media_early_rewind),
    T(media, media_keyframes),
    T(media, media_many_sets),
    T(media, media_b_frames),
    T(media, media_sounds),
    T(intake, intake_any_chunking),
    T(intake, intake_pauses_with_aud),
    T(intake, intake_pauses_without),
    T(intake, intake_bad_input),
    T(adapt, adapt_needs_two_looks),
    T(adapt, adapt_signs),
    T(adapt, adapt_waits),
    T(adapt, adapt_judges),
    T(adapt, adapt_falls_back),
    T(adapt, adapt_without_choice),
    T(adapt, adapt_any_numbers),
    T(sender, sender_repairs_by_rtx),
    T(sender, sender_repairs_plainly),
    T(sender, sender_slows_down),
    T(sender, sender_replays),
    T(sender, sender_sound_clocks),
    T(viewer, viewer_as_client),
    T(viewer, viewer_as_server),
    T(viewer, viewer_wrong_fingerprint),
    T(viewer, viewer_consent),
    T(viewer, viewer_consent_without_tick),
    T(viewer, viewer_dtls_loss),
    T(viewer, viewer_dtls_silence),
    T(viewer, viewer_joins_late),
    T(viewer, viewer_timestamps_advance),
    T(viewer, viewer_hears),
    T(viewer, viewer_hears_pushed),
    T(viewer, viewer_asks_for_keyframes),
    T(viewer, viewer_strangers),
    T(viewer, viewer_bad_input),
    T(viewer, viewer_moves),
    T(viewer, viewer_overrun),
    T(viewer, viewer_many),
    T(guard, guard_hosts),
    T(guard, guard_origins),
    T(guard, guard_credentials),
    T(guard, guard_rates),
    T(signal, signal_answers),
    T(signal, signal_refusals),
    T(signal, signal_hangs_up),
    T(signal, signal_tells),
    T(signal, signal_tells_the_end),
    T(signal, signal_answers_are_whole),
    T(site, site_streams_in_a_row),
    T(site, site_finds_streams),
    T(site, site_metrics_format),
    T(site, site_locale),
    T(site, site_json_reads_back),
    T(route, route_urls),
    T(route, route_whep),
    T(route, route_pins),
    T(route, route_private),
    T(route, route_socket),
    T(route, route_metrics),
    T(route, route_state_of_many),
    T(source, source_times),
    T(source, source_files),
    T(server, server_pings),
    T(server, server_answers_frames),
    T(wcam, wcam_arguments),
    T(wcam, wcam_addresses),
    T(wcam, wcam_noise),
    T(wcam, wcam_any_clock),
    T(wcam, wcam_two_instances),
};

int main(void) {
    vec_load("build/vectors.txt");
    int rc = test_main(tests, sizeof tests / sizeof *tests);
    if (home.crypt) dtls_home_close(&home), crypt_close(&home_crypt);
    vec_free();
    return rc;
}
