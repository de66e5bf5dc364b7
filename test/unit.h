/* The frame of the unit tests: checks, blocks of exact size, random bytes, vectors. Included by unit.c alone. */
#define TEST_COMPLAINTS 8 /* of one test; the first ones tell */

struct test {
    const char *room, *name;
    void (*run)(void);
};

static const char *test_name, *test_skipped;
static int test_complaints;

static bool test_check(bool ok, const char *what, const char *file, int line) {
    if (!ok && test_complaints++ < TEST_COMPLAINTS) printf("%s:%d: %s: %s\n", file, line, test_name, what);
    return ok;
}
#define CHECK(x)        test_check(x, #x, __FILE__, __LINE__)
#define CHECK_AS(x, as) test_check(x, as, __FILE__, __LINE__)
#define SKIP_UNLESS(x, why)     \
    do {                        \
        if (!(x)) {             \
            test_skipped = why; \
            return;             \
        }                       \
    } while (0)

static int test_main(const struct test *t, size_t n) {
    int counts[3] = {0}, room = 0;
    for (size_t i = 0; i < n; i++) {
        test_name = t[i].name;
        test_skipped = NULL;
        test_complaints = 0;
        t[i].run();
        counts[test_complaints ? 1 : test_skipped ? 2 : 0]++;
        if (test_complaints) printf("not ok - %s: %s\n", t[i].room, t[i].name);
        if (test_skipped && !test_complaints) printf("skip - %s: %s: %s\n", t[i].room, t[i].name, test_skipped);
        room++;
        if (i + 1 < n && !strcmp(t[i + 1].room, t[i].room)) continue;
        printf("%-8s %d tests\n", t[i].room, room);
        room = 0;
        fflush(stdout);
    }
    printf(counts[2] ? "%d passed, %d failed, %d skipped\n" : "%d passed, %d failed\n", counts[0], counts[1],
           counts[2]);
    return counts[1] != 0;
}

/* ---- bytes ---- */

/* A copy in a heap block of exactly its size, so that AddressSanitizer sees a read past its end. free((void *)s.p) */
static struct span exact(const void *p, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) abort();
    if (n) memcpy(copy, p, n);
    return base_span(copy, n);
}

static void gone(struct span s) { free((void *)(uintptr_t)s.p); }

static struct span lit(const char *text) { return text_of(text); }
/* A literal with zero bytes in it. */
#define BIN(s) base_span(s, sizeof(s) - 1)
#define RAW(s) \
    { (const uint8_t *)(s), sizeof(s) - 1 } /* the same for an initializer */

static uint64_t rnd_state;
static void rnd_seed(uint64_t seed) { rnd_state = seed * 0x9e3779b97f4a7c15u + 1; }

static uint32_t rnd(uint32_t below) { /* xorshift64* */
    rnd_state ^= rnd_state >> 12;
    rnd_state ^= rnd_state << 25;
    rnd_state ^= rnd_state >> 27;
    return (uint32_t)((rnd_state * 0x2545f4914f6cdd1du >> 32) * below >> 32);
}

static void rnd_fill(void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)rnd(256);
}

/* Some of: bytes changed, a piece cut out, a piece doubled, an end cut off. The result is a block of its own. */
static struct span mutated(struct span s) {
    uint8_t *p = malloc(2 * s.n + 8);
    size_t n = s.n;
    if (!p) abort();
    if (n) memcpy(p, s.p, n);
    for (uint32_t k = rnd(4); k && n; k--) p[rnd((uint32_t)n)] = (uint8_t)(rnd(3) ? rnd(256) : rnd(2) * 255);
    if (n > 4 && !rnd(3)) {
        size_t at = rnd((uint32_t)n), cut = rnd((uint32_t)(n - at)) % 64;
        memmove(p + at, p + at + cut, n - at - cut);
        n -= cut;
    }
    if (n > 4 && !rnd(4)) {
        size_t at = rnd((uint32_t)n), more = rnd((uint32_t)(n - at)) % 64;
        if (n + more <= 2 * s.n) {
            memmove(p + at + more, p + at, n - at);
            n += more;
        }
    }
    if (!rnd(4)) n = rnd((uint32_t)n + 1);
    struct span out = exact(p, n);
    free(p);
    return out;
}

/* ---- vectors: lines of test/vectors.py ---- */

struct vec {
    char kind[12];
    int n;
    struct span f[16];
};
static struct vec *vec_all;
static int vec_count;
#define NO_VECTORS "build/vectors.txt is absent: test/vectors.py found no shared data to make it from"

static struct span vec_field(struct span hex) {
    uint8_t *p = malloc(hex.n / 2 + 1);
    size_t n = 0;
    if (!p) abort();
    for (size_t i = 0; i + 1 < hex.n; i += 2)
        p[n++] = (uint8_t)(text_hex_value(hex.p[i]) << 4 | text_hex_value(hex.p[i + 1]));
    struct span out = exact(p, n);
    free(p);
    return out;
}

static uint8_t *file_read(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    uint8_t *p = NULL;
    *n = 0;
    if (!f) return NULL;
    for (size_t cap = 1 << 16, got = 1; got; cap *= 2) {
        uint8_t *more = realloc(p, cap);
        if (!more) abort();
        p = more;
        got = fread(p + *n, 1, cap - *n, f);
        *n += got;
    }
    fclose(f);
    return p;
}

static void vec_load(const char *path) {
    size_t n;
    uint8_t *text = file_read(path, &n);
    struct span all = base_span(text, n);
    if (!text) return;
    vec_all = calloc(4096, sizeof *vec_all);
    while (all.n && vec_all && vec_count < 4096) {
        struct span line = text_line(&all);
        struct vec *v = &vec_all[vec_count++];
        text_copy(v->kind, sizeof v->kind, text_word(&line));
        while (line.n && v->n < 16) v->f[v->n++] = vec_field(text_word(&line));
    }
    free(text);
}

static void vec_free(void) {
    for (int i = 0; i < vec_count; i++)
        for (int k = 0; k < vec_all[i].n; k++) gone(vec_all[i].f[k]);
    free(vec_all);
}

static struct vec *vec_next(const char *kind, struct vec *last) {
    for (struct vec *v = last ? last + 1 : vec_all; v && v < vec_all + vec_count; v++)
        if (!strcmp(v->kind, kind)) return v;
    return NULL;
}

static const char *vec_text(struct span s) { /* for a message or a number; lives until the fourth next call */
    static char text[4][256];
    static int at;
    text_copy(text[at = (at + 1) % 4], sizeof text[0], s);
    return text[at];
}

static bool bytes_are(struct span s, const char *hex) {
    struct span want = vec_field(text_of(hex));
    bool same = text_same(s, want);
    gone(want);
    return same;
}
