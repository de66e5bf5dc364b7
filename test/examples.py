#!/usr/bin/env python3
"""The examples and the header's snippets, compiled as a user would (C99 and C++, gcc and clang); the examples run, with
sanitizers, until they show a live stream."""
import hmac, json, re, shutil, socket, struct, subprocess, sys, time, urllib.request, zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / 'build' / 'examples'
LIBS = '-lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto'.split()
STRICT = '-pedantic -Wall -Wextra -Werror'.split()
SANITIZE = '-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined'.split()
COMPILERS = {'gcc': '-std=c99 -x c', 'clang': '-std=c99 -x c', 'g++': '-std=c++11 -x c++', 'clang++': '-std=c++11 -x c++'}
EXAMPLES = sorted((ROOT / 'examples').glob('*.c'))
LONGEST = {'push': 75, 'offline': 60}  # lines; 45 for the others
counts = {'ok': 0, 'not ok': 0, 'skip': 0}


def say(word, name, why=''):
    counts[word] += 1
    print(f'{word} - {name}' + (f': {why}' if why else ''), flush=True)


def test(name, body, *args):
    try:
        body(*args)
        say('ok', name)
    except Exception as why:
        say('not ok', name, why or type(why).__name__)


def check(truth, words):
    if not truth:
        raise RuntimeError(words)


def run(*command, cwd=ROOT):
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    check(not done.returncode, done.stderr.strip()[:2000] or f'status {done.returncode}')


def compiled(path, compiler, *flags):
    run(compiler, *COMPILERS[compiler].split(), *STRICT, *flags, '-O2', '-c', str(path), '-o', str(OUT / 'any.o'))


def well_formed(path):
    """Short, and its build line on top."""
    text = path.read_text()
    most = LONGEST.get(path.stem, 45)
    check(text.count('\n') < most, f'{most} lines or more')
    build = f'cc -O2 {path.name} ../webrtc_cam.c -o {path.stem} ' + ' '.join(LIBS)
    check(build in text.split('*/')[0], f'its first comment does not say: {build}')


def build_line():
    """The build line of minimal.c, as it stands, in a folder that holds nothing else."""
    place = OUT / 'copy' / 'examples'
    shutil.rmtree(place.parent, ignore_errors=True)
    place.mkdir(parents=True)
    for name in 'webrtc_cam.c', 'webrtc_cam.h', 'examples/minimal.c':
        shutil.copy(ROOT / name, place.parent / name)
    run('sh', '-c', re.search(r'^ \* +(cc .*)', (place / 'minimal.c').read_text(), re.M).group(1), cwd=place)
    live(str(place / 'minimal'), '127.0.0.1:0')


# ---- the header's snippets ----

# What they may take for granted.
AROUND = '''#define _POSIX_C_SOURCE 200809L
#include "webrtc_cam.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
extern wcam *w;
extern struct wcam_addr from;
extern struct wcam_stats s;
extern int fd, fds[WCAM_FDS_MAX], front;
extern short events[WCAM_FDS_MAX];
extern ssize_t n;
extern long frame_number, block_number;
extern size_t unit_size;
extern int64_t now_us, unix_us, next;
extern unsigned char buffer[4096], bytes[2048], samples[160], *unit;
extern char offer[8192], answer[8192], id[24];
struct encoded { const void *p; size_t n; int64_t pts; };
int encode(struct encoded *unit);
void send_back(const char *answer);
'''


def snippets():
    """(code, the function declared below it), from comments: lines that are indented by five or more."""
    text = (ROOT / 'webrtc_cam.h').read_text()
    for comment, after in re.findall(r'/\*(.*?)\*/([^/]*)', text, re.S):
        code = '\n'.join(re.findall(r'^ \*     (\S.*)', comment, re.M))
        declared = re.search(r'\b(wcam_\w+)\(', after)
        if code:
            yield code, declared.group(1) if declared and ';' in after else None


def header_complete():
    text = re.sub(r'/\*.*?\*/', '', (ROOT / 'webrtc_cam.h').read_text(), flags=re.S)
    functions = set(re.findall(r'^\w[\w *]*?\b(wcam_\w+)\(', text, re.M))
    shown = {name for code, name in snippets() if name and name + '(' in code}
    check(functions, 'no function is declared')
    check(functions == shown, 'no example of ' + ', '.join(sorted(functions - shown)))


def header_compiles(compiler, standard):
    source = OUT / 'snippets.c'
    text = AROUND
    for i, (code, _) in enumerate(snippets()):
        own = 'struct encoded picture;\n' if 'encode(' in code else ''
        text += f'void example_{i}(void);\nvoid example_{i}(void) {{\n{own}{code}\n}}\n'
    source.write_text(text)
    run(compiler, standard, '-x', 'c++' if '++' in compiler else 'c', *STRICT, '-Wno-unused', '-Wno-missing-field-initializers',
        '-I', str(ROOT), '-c', str(source), '-o', str(OUT / 'any.o'))


# ---- running ----

def link(name, compiler='cc'):
    """An example with the sanitized server. Returns the program's path."""
    cplusplus = compiler == 'c++'
    program = str(OUT / name) + ('_cpp' if cplusplus else '')
    run(compiler, *('-x', 'c++') if cplusplus else ('-std=c99',), *SANITIZE, f'examples/{name}.c', '-x', 'none', str(OUT / 'webrtc_cam.o'),
        '-o', program, *LIBS)
    return program


def frames(url):
    with urllib.request.urlopen(url + 'api/streams', timeout=5) as answer:
        return json.load(answer)['streams'][0]['frames']


def moves(url):
    """Waits until a stream has ten frames more than at first sight."""
    first = frames(url)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # asked over and over: there is no event to wait for
        if frames(url) >= first + 10:
            return
    raise RuntimeError('no ten frames came')


class Program:
    def __init__(self, *command):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate()

    def line(self):
        line = self.child.stdout.readline()
        check(line, 'it ended: ' + ('' if line else self.child.stderr.read()[:2000]))
        return line.strip()

    def url(self):
        return re.search(r'http://[^/]+/', self.line()).group()


def live(*command):
    with Program(*command) as program:
        moves(program.url())


def push():
    run('ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=30', '-t', '2', '-pix_fmt', 'yuv420p',
        '-f', 'yuv4mpegpipe', str(OUT / 'film.y4m'))
    run('x264', '--quiet', '--tune', 'zerolatency', '--keyint', '60', '--aud', '-o', str(OUT / 'units.h264'),
        str(OUT / 'film.y4m'))
    live(link('push'), str(OUT / 'units.h264'), '30', '127.0.0.1:0')


def poll_loop():
    with Program(link('poll_loop'), '127.0.0.1:0') as program:
        url = program.url()
        moves(url)
        program.child.stdin.write('how many?\n')
        program.child.stdin.flush()
        check(program.line() == '0 watching, 0 packets sent', 'its own descriptor is not served')
        moves(url)
        program.child.stdin.close()
        program.child.stdin = None
        check(program.child.wait(20) == 0, f'status {program.child.returncode}: {program.child.stderr.read()[:2000]}')


def instances():
    program = link('instances')
    with Program(program, '127.0.0.1:0', '127.0.0.1:0') as two:
        urls = two.url(), two.url()
        check(urls[0] != urls[1], 'both on one port')
        for url in urls:
            moves(url)
        taken = urls[0].split(':')[-1].strip('/')
        third = subprocess.run([program, '127.0.0.1:' + taken], capture_output=True, text=True)
        check(third.returncode == 1 and 'port ' + taken in third.stderr, f'a taken port: {third.stderr!r}')


OFFER = '''v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=video 9 UDP/TLS/RTP/SAVPF 102
c=IN IP4 0.0.0.0
a=ice-ufrag:peer
a=ice-pwd:0123456789abcdefghijklmn
a=fingerprint:sha-256 ''' + ':'.join(['5A'] * 32) + '''
a=setup:actpass
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:102 H264/90000
a=fmtp:102 packetization-mode=1;profile-level-id=42e01f
'''


def stun_check(user, password):
    """A Binding request as a browser sends it (RFC 8489, RFC 8445)."""
    def attribute(kind, value):
        return struct.pack('>HH', kind, len(value)) + value + bytes(-len(value) % 4)

    def head(body, more):
        return struct.pack('>HHI12s', 1, len(body) + more, 0x2112a442, b'transaction!')
    body = attribute(6, user.encode()) + attribute(0x24, struct.pack('>I', 1845494271)) + attribute(0x802a, bytes(8))
    body += attribute(8, hmac.digest(password.encode(), head(body, 24) + body, 'sha1'))
    return head(body, 8) + body + attribute(0x8028, struct.pack('>I', zlib.crc32(head(body, 8) + body) ^ 0x5354554e))


def offline():
    """An offer gives an answer; a check is answered; then the server begins the DTLS handshake."""
    with Program(link('offline')) as program, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        program.child.stdin.write(OFFER.replace('\n', '\r\n'))
        program.child.stdin.close()
        program.child.stdin = None
        answer = {}
        while 'candidate' not in answer:
            line = program.line()
            answer[line[2:].partition(':')[0]] = line.partition(':')[2]
        check(answer['setup'] == 'active', 'the answer is not active')
        peer.settimeout(20)
        peer.connect(('127.0.0.1', int(answer['candidate'].split()[5])))
        peer.send(stun_check(answer['ice-ufrag'] + ':peer', answer['ice-pwd']))
        kinds = {peer.recv(2048)[0] for _ in range(2)}
        check(kinds == {1, 22}, f'a success response and a handshake were expected, not {kinds}')


OUT.mkdir(parents=True, exist_ok=True)
test('every function of the header has an example', header_complete)
for compiler, standard in ('gcc', '-std=c99'), ('clang', '-std=c99'), ('g++', '-std=c++20'), ('clang++', '-std=c++20'):
    test(f"the header's examples compile: {compiler} {standard}", header_compiles, compiler, standard)
for path in EXAMPLES:
    test(f'{path.name}: short, its build line on top', well_formed, path)
    for compiler in COMPILERS:
        test(f'{path.name}: {compiler}', compiled, path, compiler)
test('the build line of minimal.c works as it stands', build_line)
test('the server, with sanitizers', run, 'cc', '-std=c99', *STRICT, *SANITIZE, '-c', 'webrtc_cam.c', '-o', str(OUT / 'webrtc_cam.o'))
test('minimal.c runs', lambda: live(link('minimal'), '127.0.0.1:0'))
test('minimal.c runs as C++', lambda: live(link('minimal', 'c++'), '127.0.0.1:0'))
test('poll_loop.c: streams, its own descriptor, the end', poll_loop)
test('instances.c: two servers, a taken port', instances)
test('offline.c: offer, check, handshake', offline)
if shutil.which('x264') and shutil.which('ffmpeg'):
    test('push.c with access units of x264', push)
else:
    say('skip', 'push.c', 'x264 and ffmpeg are not installed')
print(f"{counts['ok']} passed, {counts['not ok']} failed" + (f", {counts['skip']} skipped" if counts['skip'] else ''))
sys.exit(counts['not ok'] > 0)
