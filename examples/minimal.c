/* minimal.c - the least a program needs to show a camera: the test picture, at http://localhost:8080/
 *
 *     cc -O2 minimal.c ../webrtc_cam.c -o minimal -lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto
 */
#include "../webrtc_cam.h"

#include <stdio.h>

int main(int argc, char **argv) {
    static struct wcam_config config; /* zero: this machine only, port 8080, 64 viewers */
    wcam *w;
    if (argc > 1) config.listen = argv[1];
    if (wcam_create(&config, &w) || wcam_add(w, "cam", "test:", 0) < 0) {
        fprintf(stderr, "minimal: %s\n", w ? wcam_why(w) : "out of memory");
        wcam_destroy(w);
        return 1;
    }
    printf("open %s\n", wcam_url(w));
    fflush(stdout);
    int failed = wcam_run(w);
    wcam_destroy(w);
    return failed ? 1 : 0;
}
