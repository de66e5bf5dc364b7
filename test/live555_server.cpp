// live555's RTSP server, which is inside very many cameras, with one stream at /cam, for test/camera.py.
//
//   live555_server FILE.h264 SOUND.wav|- PORT TIMEOUT [USER PASSWORD]
//
// PORT 0: any free one. TIMEOUT: seconds without a sign of life after which it lets a client go. USER, PASSWORD: asks for
// them by Digest. Prints its port; ends with standard input. Each client gets the file once, in real time; sound becomes PCMU.
#include <BasicUsageEnvironment.hh>
#include <liveMedia.hh>

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <sys/socket.h>
#include <unistd.h>

// On a socket made here: its own takes no port that was in use a minute ago, and every address.
struct Server : RTSPServer {
    Server(UsageEnvironment &env, int fd, Port port, UserAuthenticationDatabase *users, unsigned timeout)
        : RTSPServer(env, fd, -1, port, users, timeout) {}
};

static void on_input(void *, int) {
    char bytes[64];
    if (read(0, bytes, sizeof bytes) <= 0) exit(0);
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 7) return 2;
    UsageEnvironment *env = BasicUsageEnvironment::createNew(*BasicTaskScheduler::createNew());
    UserAuthenticationDatabase *users = nullptr;
    if (argc == 7) {
        users = new UserAuthenticationDatabase;
        users->addUserRecord(argv[5], argv[6]);
    }
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons(uint16_t(atoi(argv[3])));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (sockaddr *)&address, sizeof address) || listen(fd, 20) ||
        getsockname(fd, (sockaddr *)&address, &size))
        return perror("live555_server"), 1;
    Server *server = new Server(*env, fd, Port(ntohs(address.sin_port)), users, unsigned(atoi(argv[4])));
    OutPacketBuffer::maxSize = 1 << 20;
    ServerMediaSession *session = ServerMediaSession::createNew(*env, "cam");
    session->addSubsession(H264VideoFileServerMediaSubsession::createNew(*env, argv[1], False));
    if (argv[2][0] != '-')
        session->addSubsession(WAVAudioFileServerMediaSubsession::createNew(*env, argv[2], False, True));
    server->addServerMediaSession(session);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    env->taskScheduler().setBackgroundHandling(0, SOCKET_READABLE, on_input, nullptr);
    env->taskScheduler().doEventLoop();
}
