/* offline.c - bytes and time in, bytes out: the caller owns the socket and the clock. Reads an SDP offer on standard
 * input; prints the answer and then the candidate, for pc.setRemoteDescription and pc.addIceCandidate; serves.
 *
 *     cc -O2 offline.c ../webrtc_cam.c -o offline -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 */
#define _POSIX_C_SOURCE 200809L
#include "../webrtc_cam.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * (int64_t)1000000 + t.tv_nsec / 1000;
}

static void leave(void *socket, const struct wcam_addr *to, const void *bytes, size_t n) {
    struct sockaddr_in a;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET, a.sin_port = htons(to->port);
    memcpy(&a.sin_addr, to->ip, 4);
    sendto(*(int *)socket, bytes, n, 0, (struct sockaddr *)&a, sizeof a); /* lost like any datagram if that fails */
}

int main(void) {
    static char offer[65536], answer[65536];
    static struct wcam_config config;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    char id[24];
    wcam *w;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET, a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(udp, (struct sockaddr *)&a, size) || getsockname(udp, (struct sockaddr *)&a, &size)) return 1;
    config.listen = "", config.send = leave, config.user_data = &udp;
    if (wcam_create(&config, &w) || wcam_add(w, "cam", "test:640x360", 0)) return 1;
    int64_t next = wcam_tick(w, us(CLOCK_MONOTONIC), us(CLOCK_REALTIME));
    size_t n = fread(offer, 1, sizeof offer, stdin);
    if (wcam_offer(w, 0, offer, n, answer, sizeof answer, id)) return fprintf(stderr, "offline: %s\n", wcam_why(w)), 1;
    printf("%sa=candidate:1 1 udp 2130706431 127.0.0.1 %d typ host\r\n", answer, ntohs(a.sin_port));
    fflush(stdout);
    for (struct pollfd in = {udp, POLLIN, 0};; next = wcam_tick(w, us(CLOCK_MONOTONIC), us(CLOCK_REALTIME))) {
        int64_t left = next - us(CLOCK_MONOTONIC);
        if (poll(&in, 1, left <= 0 ? 0 : left < 1000000 ? (int)(left / 1000) + 1 : 1000) < 1) continue;
        unsigned char bytes[2048];
        ssize_t got = recvfrom(udp, bytes, sizeof bytes, 0, (struct sockaddr *)&a, &size);
        struct wcam_addr from = {4, ntohs(a.sin_port), {0}};
        memcpy(from.ip, &a.sin_addr, 4);
        if (got > 0) wcam_input(w, &from, bytes, (size_t)got, us(CLOCK_MONOTONIC));
    }
}
