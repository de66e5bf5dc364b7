/* poll_loop.c - a camera within somebody else's poll(2) loop. Its own descriptor is standard input: each line typed
 * asks how many are watching; its end is the end.
 *
 *     cc -O2 poll_loop.c ../webrtc_cam.c -o poll_loop -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 */
#define _POSIX_C_SOURCE 200809L
#include "../webrtc_cam.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { OWN = 1, MOST = WCAM_FDS_MAX };

int main(int argc, char **argv) {
    static struct wcam_config config; /* zero: this machine only, port 8080, 64 viewers */
    wcam *w;
    config.listen = argc > 1 ? argv[1] : NULL;
    if (wcam_create(&config, &w) || wcam_add(w, "cam", "test:", 0) < 0)
        return fprintf(stderr, "poll_loop: %s\n", w ? wcam_why(w) : "out of memory"), 1;
    printf("open %s\n", wcam_url(w));
    fflush(stdout);
    for (int due; (due = wcam_service(w, 0)) >= 0;) { /* does what is due, and says in how many ms there is more */
        static struct pollfd watched[OWN + MOST];
        static int fds[MOST];
        static short events[MOST];
        int n = wcam_fds(w, fds, events, MOST); /* other ones after each wcam_service */
        for (int i = 0; i < n; i++) watched[OWN + i].fd = fds[i], watched[OWN + i].events = events[i];
        watched[0].fd = STDIN_FILENO, watched[0].events = POLLIN;
        if (poll(watched, (nfds_t)(OWN + n), due) < 0) break;
        if (watched[0].revents) {
            char line[256];
            struct wcam_stats stats;
            if (read(STDIN_FILENO, line, sizeof line) <= 0) break;
            wcam_get_stats(w, &stats);
            printf("%d watching, %llu packets sent\n", stats.viewers, (unsigned long long)stats.packets);
            fflush(stdout);
        }
    }
    wcam_destroy(w);
    return 0;
}
