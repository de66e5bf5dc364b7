/* push.c - an encoder's access units, pushed as they come.
 *
 *     cc -O2 push.c ../webrtc_cam.c -o push -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 *     x264 --tune zerolatency --keyint 60 --aud -o units.h264 film.y4m
 *     ./push units.h264 30
 *
 * The file stands in for the encoder: it has an access unit delimiter (NAL unit type 9) in front of each access unit,
 * and next_unit hands out one at a time, as an encoder's callback would.
 */
#define _POSIX_C_SOURCE 200809L
#include "../webrtc_cam.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct encoder {
    unsigned char *bytes;
    size_t size, at;
};

static int delimiter(const struct encoder *e, size_t i) {
    const unsigned char *p = e->bytes + i;
    return i + 4 < e->size && !p[0] && !p[1] && !p[2] && p[3] == 1 && (p[4] & 31) == 9;
}

static size_t next_unit(struct encoder *e, const unsigned char **unit) {
    size_t from = e->at, to = from + 1;
    while (to < e->size && !delimiter(e, to)) to++;
    e->at = to < e->size ? to : 0; /* over again */
    *unit = e->bytes + from;
    return to - from;
}

static long long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void wants_keyframe(void *user_data, int stream) {
    (void)user_data;
    printf("a viewer of stream %d needs a keyframe\n", stream); /* a real encoder: make the next picture an IDR */
}

int main(int argc, char **argv) {
    static struct wcam_config config;
    static unsigned char bytes[64 * 1024 * 1024];
    struct encoder encoder = {bytes, 0, 0};
    FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;
    int fps = argc > 2 ? atoi(argv[2]) : 0;
    config.listen = argc > 3 ? argv[3] : NULL;
    config.keyframe = wants_keyframe;
    if (f) encoder.size = fread(bytes, 1, sizeof bytes, f);
    if (!encoder.size || fps < 1) return fprintf(stderr, "usage: push UNITS.h264 FPS [LISTEN]\n"), 2;
    fclose(f);

    wcam *w;
    int front = wcam_create(&config, &w) ? -1 : wcam_add(w, "front", NULL, 0);
    if (front < 0) return fprintf(stderr, "push: %s\n", w ? wcam_why(w) : "out of memory"), 1;
    printf("open %sfront\n", wcam_url(w));
    fflush(stdout);
    for (long long start = now_us(), n = 0, left;; n++) {
        const unsigned char *unit;
        size_t size = next_unit(&encoder, &unit);
        if (wcam_push(w, front, unit, size, n * 1000000 / fps)) fprintf(stderr, "push: %s\n", wcam_why(w));
        wcam_service(w, 0);                                             /* out with it */
        while ((left = start + (n + 1) * 1000000 / fps - now_us()) > 0) /* until the next picture: serve */
            if (wcam_service(w, (int)(left / 1000)) < 0) return 1;
    }
}
