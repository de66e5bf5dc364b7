/* The test pattern as a live encoder's output: access units on standard output, each in one write, at the pattern's
 * rate, with the time of day in its blocks. No delimiter tells where a picture ends.
 *
 *   cc -O2 test/pattern_pipe.c -o pattern_pipe -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 *   pattern_pipe [WxH][@FPS][,gop=N] | webrtc_cam -
 */
#include "../webrtc_cam.c"

static bool pipe_write(const uint8_t *p, size_t n) {
    while (n) {
        ssize_t done = write(STDOUT_FILENO, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

int main(int argc, char **argv) {
    struct source *s = calloc(1, sizeof *s);
    const struct source_terms terms = {.silent = true};
    char why[256] = "out of memory";
    if (!s) return 1;
    s->fd = s->dial.fd = -1;
    for (int i = 0; i < SOURCE_UDP; i++) s->udp[i] = -1;
    signal(SIGPIPE, SIG_IGN);
    if (argc > 2 || source_open_test(s, argc > 1 ? argv[1] : "", &terms, why, sizeof why)) {
        fprintf(stderr, "pattern_pipe: %s\n", argc > 2 ? "one argument at most" : why);
        return 2;
    }
    for (bool open = true; open;) {
        struct wr w = bytes_wr(s->picture, s->picture_cap);
        int64_t now = net_now(), wall = net_wall() / BASE_MS;
        if (pattern_frame(&s->pattern, false, (uint32_t)(wall % 86400000), (uint32_t)(wall & 0xffffff), &w))
            open = pipe_write(w.p, w.n);
        source_schedule(s, 1e6 / s->fps, now);
        int64_t rest = base_max(0, s->due - net_now());
        struct timespec pause = {(time_t)(rest / BASE_S), (long)(rest % BASE_S * 1000)};
        nanosleep(&pause, NULL);
    }
    source_close(s);
    return 0;
}
