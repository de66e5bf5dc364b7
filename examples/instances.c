/* instances.c - several servers in one process and one thread: each argument is the port of one. They share nothing.
 *
 *     cc -O2 instances.c ../webrtc_cam.c -o instances -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 *     ./instances 8081 8082
 */
#define _POSIX_C_SOURCE 200809L
#include "../webrtc_cam.h"

#include <poll.h>
#include <stdio.h>

enum { SERVERS = 8, MOST = WCAM_FDS_MAX };

int main(int argc, char **argv) {
    static wcam *server[SERVERS];
    static struct pollfd watched[SERVERS * MOST];
    int servers = argc - 1 < SERVERS ? argc - 1 : SERVERS;
    for (int i = 0; i < servers; i++) {
        static struct wcam_config config; /* copied by wcam_create */
        config.listen = argv[1 + i];
        if (wcam_create(&config, &server[i]) || wcam_add(server[i], "cam", "test:640x360", 0) < 0)
            return fprintf(stderr, "instances: %s\n", server[i] ? wcam_why(server[i]) : "out of memory"), 1;
        printf("open %s\n", wcam_url(server[i]));
        fflush(stdout);
    }
    while (servers > 0) {
        int soonest = -1, all = 0; /* -1: poll waits for ever */
        for (int i = 0; i < servers; i++) {
            static int fds[MOST];
            static short events[MOST];
            int due = wcam_service(server[i], 0), n = wcam_fds(server[i], fds, events, MOST);
            if (due < 0) return fprintf(stderr, "instances: %s\n", wcam_why(server[i])), 1;
            if (soonest < 0 || due < soonest) soonest = due;
            for (int k = 0; k < n && k < MOST; k++, all++) watched[all].fd = fds[k], watched[all].events = events[k];
        }
        if (poll(watched, (nfds_t)all, soonest) < 0) return perror("instances"), 1;
    }
    return fprintf(stderr, "usage: instances [ADDR:]PORT ...\n"), 2;
}
