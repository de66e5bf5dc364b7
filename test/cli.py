#!/usr/bin/env python3
"""Black-box tests of the program: command line, HTTP, WHEP, abuse. Loopback only, standard library only.

usage: cli.py [WORD ...]      only the tests whose name contains one of the words
WCAM_BIN names the binary (./webrtc_cam); a sanitizer build is fine. Prints `ok - name` or `not ok - name: why`,
last `N passed, N failed`; exit status 0 when none failed.
"""
import array
import base64
import contextlib
import fcntl
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import zlib

BIN = os.path.abspath(os.environ.get('WCAM_BIN', './webrtc_cam'))
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TMP = tempfile.mkdtemp(prefix='wcam_cli_')
ENV = dict(os.environ)
# a sanitizer's quarantine of freed memory would look like a leak
ENV['ASAN_OPTIONS'] = 'quarantine_size_mb=1:thread_local_quarantine_size_kb=64:' + ENV.get('ASAN_OPTIONS', '')
ENV['UBSAN_OPTIONS'] = 'halt_on_error=1:print_stacktrace=1:' + ENV.get('UBSAN_OPTIONS', '')
TESTS = []
IPV6 = True
try:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(('::1', 0))
except OSError:
    IPV6 = False


def test(f):
    TESTS.append(f)
    return f


class Skip(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise AssertionError(' '.join(str(w) for w in what))


def same(got, want, what=''):
    check(got == want, what, 'got %r, want %r' % (got, want))


def until(f, what, seconds=5.0):
    """Polls f until it gives something true."""
    end = time.monotonic() + seconds
    while True:
        got = f()
        if got:
            return got
        check(time.monotonic() < end, 'timed out:', what)
        select.select([], [], [], 0.01)


# ---- the program ----

class Server:
    """A running instance; `with` stops it and insists on exit status 0 and a clean log."""
    all = []

    def __init__(self, *args, listen='0', quiet=False, cwd=None, stdin=subprocess.DEVNULL):
        self.log_file = tempfile.NamedTemporaryFile(dir=TMP, suffix='.log')
        self.args = [BIN] + (['-l', listen] if listen else []) + list(args)
        self.p = subprocess.Popen(self.args, stdin=stdin, stdout=self.log_file, stderr=self.log_file, env=ENV, cwd=cwd)
        Server.all.append(self)
        self.url = ''
        if quiet:
            return
        try:
            until(lambda: self.p.poll() is not None or '\n' in self.log(), 'no address printed')
            m = re.search(r'open (http://(\S+):(\d+)/)\n', self.log())
            check(m, 'did not start:', self.log().strip())
        except AssertionError:
            self.kill()
            raise
        self.url, self.host, self.port = m.group(1), m.group(2), int(m.group(3))

    def log(self):
        with open(self.log_file.name, errors='replace') as f:
            return f.read()

    def fds(self):
        return len(os.listdir('/proc/%d/fd' % self.p.pid))

    def rss(self):
        with open('/proc/%d/statm' % self.p.pid) as f:
            return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def has_asan(self):
        with open('/proc/%d/maps' % self.p.pid) as f:
            return 'libasan' in f.read()

    def state(self, **kw):
        r = get(self.port, '/api/streams', **kw)
        same(r.status, 200, '/api/streams')
        return json.loads(r.body)

    def end_input(self):
        if self.p.stdin:
            self.p.stdin.close()
            self.p.stdin = None

    def kill(self):
        self.p.kill()
        self.p.wait()
        self.end_input()
        self.log_file.close()
        Server.all.remove(self)

    def alive(self):
        check(self.p.poll() is None, 'the server died:', self.log()[-2000:])
        same(get(self.port, '/healthz').body, b'ok\n')

    def stop(self, number=signal.SIGTERM):
        if self.p.poll() is None:
            self.p.send_signal(number)
        try:
            rc = self.p.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('did not stop within 10 s of signal %d' % number)
        self.end_input()
        log = self.log()
        self.log_file.close()
        Server.all.remove(self)
        check('Sanitizer' not in log and 'runtime error' not in log, log[-3000:])
        same(rc, 0, 'exit status')
        return log

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not kind:
            self.stop()
            return
        log = self.log()
        self.kill()
        if 'Sanitizer' in log or 'runtime error' in log:
            print(log[-3000:], file=sys.stderr)


def run(*args, cwd=None):
    """Runs to its end: (status, stdout, stderr)."""
    p = subprocess.Popen([BIN] + list(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=ENV, cwd=cwd)
    try:
        out, err = p.communicate(timeout=4)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        raise AssertionError('%r: runs or hangs instead of refusing: %s' % (args, err.decode().strip()))
    return p.returncode, out.decode(), err.decode()


def refuses(status, words, *args, cwd=None):
    """Ends with this status and one sentence on stderr that has these words."""
    rc, out, err = run(*args, cwd=cwd)
    same(rc, status, '%r: %s: exit status' % (args, err.strip()[-500:]))
    same(out, '', '%r: stdout' % (args,))
    check(re.fullmatch(r'webrtc_cam: [^\n]{8,400}\n', err), '%r: not one sentence: %r' % (args, err[-500:]))
    for word in words.split():
        check(word.lower() in err.lower(), '%r: %r lacks %r' % (args, err, word))


def file(name, data):
    path = os.path.join(TMP, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    return path


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


# ---- HTTP, byte by byte ----

class Reply:
    def __init__(self, status, head, body):
        self.status, self.body, self.head = status, body, head

    def __getitem__(self, name):
        found = [v for k, v in self.head if k == name.lower()]
        return ', '.join(found) if found else None


class Conn:
    """One connection. source: our own address, as rate limits count by address."""

    def __init__(self, port, source=None, host='127.0.0.1', timeout=8.0, rcvbuf=0):
        self.s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.s.bind((source, 0))
        self.s.settimeout(timeout)
        self.s.connect((host, port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b''

    def send(self, data):
        self.s.sendall(data)

    def more(self):
        got = self.s.recv(65536)
        self.data += got
        return bool(got)

    def reply(self, head=False):
        while b'\r\n\r\n' not in self.data:
            check(self.more(), 'closed without a whole answer: %r' % self.data[:200])
        top, self.data = self.data.split(b'\r\n\r\n', 1)
        lines = top.decode('latin-1').split('\r\n')
        m = re.fullmatch(r'HTTP/1\.1 (\d{3}) [A-Za-z -]+', lines[0])
        check(m, 'bad status line', lines[0])
        status = int(m.group(1))
        fields = []
        for line in lines[1:]:
            k, v = line.split(':', 1)
            fields.append((k.lower(), v.strip()))
        r = Reply(status, fields, b'')
        if head or status < 200 or status == 204:
            return r
        n = int(r['content-length'])
        while len(self.data) < n:
            check(self.more(), 'closed within the body')
        r.body, self.data = self.data[:n], self.data[n:]
        return r

    def closed(self):
        """Waits for the end; whatever still comes is dropped."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(method, path, headers=None, body=None, version='1.1', host='localhost'):
    lines = ['%s %s HTTP/%s' % (method, path, version)]
    if host is not None:
        lines.append('Host: ' + host)
    for k, v in (headers or {}).items():
        lines.append('%s: %s' % (k, v))
    data = body.encode() if isinstance(body, str) else body
    if data is not None:
        lines.append('Content-Length: %d' % len(data))
    return '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + (data or b'')


def ask(port, method, path, headers=None, body=None, source=None, host='127.0.0.1', name='localhost'):
    with Conn(port, source, host) as c:
        c.send(request(method, path, headers, body, host=name))
        return c.reply(method == 'HEAD')


def get(port, path, headers=None, **kw):
    return ask(port, 'GET', path, headers, **kw)


def raw(port, data):
    """Sends bytes, gives the first answer, which must end the connection."""
    with Conn(port) as c:
        try:
            c.send(data)
        except OSError:  # the server may have answered and closed before all was taken
            pass
        r = c.reply()
        same(r['connection'], 'close')
        c.closed()
        return r


def problem(r, status, words=''):
    """The answer is this error as problem details (RFC 9457)."""
    same(r.status, status, r.body[:300])
    same(r['content-type'], 'application/problem+json')
    body = json.loads(r.body)
    same(sorted(body), ['detail', 'status', 'title', 'type'])
    same(body['status'], status)
    same(body['type'], 'about:blank')
    check(body['title'] and len(body['detail']) > 8, body)
    for word in words.split():
        check(word.lower() in body['detail'].lower(), body, 'lacks', word)
    same(r['cache-control'], 'no-store')
    return body


# ---- WHEP ----

PRINT = ':'.join('%02X' % (i * 7 & 255) for i in range(32))


def offer(codec='H264/90000', direction='recvonly', extra='', ufrag='abcd', mode=1, kind='video'):
    return ('v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n'
            'm=' + kind + ' 9 UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n'
            'a=ice-ufrag:' + ufrag + '\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 ' + PRINT + '\r\n'
            'a=setup:actpass\r\na=' + direction + '\r\na=rtcp-mux\r\na=rtcp-rsize\r\n'
            'a=rtpmap:102 ' + codec + '\r\na=rtcp-fb:102 nack pli\r\n'
            'a=fmtp:102 packetization-mode=' + str(mode) + ';profile-level-id=42e01f\r\n' + extra)


SDP = {'Content-Type': 'application/sdp'}
FRAG = 'application/trickle-ice-sdpfrag'
fresh_count = 0


def fresh():
    """A loopback address that no rate limit has met."""
    global fresh_count
    fresh_count += 1
    return '127.1.%d.%d' % (fresh_count // 250, fresh_count % 250 + 1)


def whep(port, body=None, path='/cam/whep', headers=SDP, **kw):
    kw.setdefault('source', fresh())
    return ask(port, 'POST', path, headers, offer() if body is None else body, **kw)


# ---- a byte stream that parses as H.264 (nobody decodes it here) ----

class Bits:
    def __init__(self):
        self.b = ''

    def u(self, n, v):
        self.b += format(v, '0%db' % n)

    def ue(self, v):
        s = format(v + 1, 'b')
        self.b += '0' * (len(s) - 1) + s

    def nal(self, header):
        b = self.b + '1'
        b += '0' * (-len(b) % 8)
        data, zeros = bytes([header]), 0
        for i in range(0, len(b), 8):
            v = int(b[i:i + 8], 2)
            if zeros >= 2 and v <= 3:
                data, zeros = data + b'\3', 0
            data += bytes([v])
            zeros = 0 if v else zeros + 1
        return b'\0\0\0\1' + data


def annexb(fps=50, pictures=100):
    """64x64, Baseline, an IDR every 10 pictures."""
    s = Bits()
    s.u(24, 0x42e01e)
    for v in (0, 0, 2, 1):  # id, frame_num of 4 bits, POC type 2, one reference
        s.ue(v)
    s.u(1, 0)
    s.ue(3)
    s.ue(3)
    s.u(4, 0b1101)  # frame_mbs_only, direct_8x8, no cropping, VUI
    s.u(5, 0b00001)  # of it only the timing
    s.u(32, 1)
    s.u(32, 2 * fps)
    s.u(1, 1)
    s.u(4, 0)
    p = Bits()
    p.u(8, 0b11001110)
    p.u(10, 0b0001111000)
    out = b''
    for i in range(pictures):
        b = Bits()
        b.ue(0)
        b.ue(7 if i % 10 == 0 else 5)
        b.ue(0)
        b.u(4, i % 10)
        if i % 10 == 0:
            b.ue(i // 10 % 2)
            out += s.nal(0x67) + p.nal(0x68)
        b.u(32, 0x5a5a5a5a)
        out += b.nal(0x65 if i % 10 == 0 else 0x41)
    return out


# ==== the command line ====

@test
def version_and_help():
    rc, out, err = run('--version')
    check(rc == 0 and not err and re.fullmatch(r'webrtc_cam \d+\.\d+\.\d+\n', out), rc, out, err)
    rc, out, err = run('--help')
    check(rc == 0 and not err and out.startswith('usage: webrtc_cam '), rc, err)
    same(run('-h'), (0, out, ''))
    names = re.findall(r'^  (?:-\w, |    )(--[\w-]+)', out, re.M) + re.findall(r'(-h, --help)', out)
    tested = {'--listen', '--user', '--token', '--open', '--host', '--cors', '--public-ip', '--max-viewers', '--fps',
              '--log', '--version', '--help'} | {'--keep-warm', '--insecure-rtsp', '--no-audio', '--allow-source'}  # camera.py, page.mjs
    missing = {n for n in names if n.startswith('--')} - tested
    check(not missing, 'options without a test:', missing)
    check(max(len(line) for line in out.splitlines()) <= 120, 'a line of the help is too long')


@test
def stopped_by_signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        s = Server('test:64x64@5')
        same(s.url, 'http://localhost:%d/' % s.port)
        log = s.stop(number)
        check(log.startswith('webrtc_cam: open '), log)


@test
def bad_usage_is_status_2():
    refuses(2, '--nonsense option', '--nonsense')
    refuses(2, 'option', '-x')
    refuses(2, 'option', '--')
    for name in ('--listen', '-l', '--user', '--token', '--host', '--cors', '--public-ip', '--max-viewers', '--fps',
                 '--log'):
        refuses(2, 'value', name)
    refuses(2, '--open no value', '--open=yes')
    for option, bad in (('--max-viewers', ['0', '-1', 'x', '', '5000', '1.5', '99999999999999999999']),
                        ('--fps', ['0', 'x', '', '1000', '-5'])):
        for value in bad:
            refuses(2, option + ' number', '%s=%s' % (option, value))
    refuses(2, '--log loud', '--log', 'loud')
    for value in ('', 'x', '70000', '1.2.3:80', '1.2.3.4.5:80', '[::1:80', ':', '127.0.0.1:', '-1'):
        refuses(2, 'listen', '--listen', value)
    refuses(2, 'IP address', '-l', '0', '--public-ip', 'example.org')
    refuses(2, 'NAME:PASSWORD', '-l', '0', '--user', 'nocolon')
    refuses(2, 'NAME:PASSWORD', '-l', '0', '--user', ':nobody')
    refuses(2, 'token', '-l', '0', '--token', '')
    refuses(2, 'token', '-l', '0', '--token', 'x' * 200)
    refuses(2, '--host', '-l', '0', *['--host=h%d' % i for i in range(17)])
    refuses(2, 'sources', '-l', '0', *['test:'] * 33)


@test
def bad_test_specs_are_status_2():
    for spec in ('1x1', '641x480', '640x', 'x480', '640x480@', '640x480@0', '640x480@121', '640x480,gop=0',
                 '640x480,gop=', '640x480,', 'abc', '99999999999x64', '640x480@30,gop=5,', '64x64 '):
        refuses(2, 'test:', '-l', '0', 'test:' + spec)


@test
def bad_names_are_status_2():
    for name in ('api', 'metrics', 'healthz', 'hub'):
        refuses(2, 'reserved ' + name, '-l', '0', name + '=test:')
    refuses(2, 'two front', '-l', '0', 'front=test:', 'front=test:')
    refuses(2, 'two front/a', '-l', '0', 'front/a=test:', 'front/a=test:')
    refuses(2, 'two cam2', '-l', '0', 'cam2=test:', 'test:')
    refuses(2, 'front', '-l', '0', 'front=')


@test
def impossible_names_are_status_2():
    for name in ('x' * 33, 'front door', 'k\u00fcche', 'a.b', 'a/b/c', 'a/', '/a', ''):
        refuses(2, 'name', '-l', '0', name + '=test:')
    for name in 'my.cam', 'x' * 33, 'a/b/c', 'front door':
        for source in 'rtsp://ann:hunter2@192.0.2.1/live', 'rtsps://192.0.2.1/?a=b', 'test:64x64':
            status, out, err = run('-l', '0', '%s=%s' % (name, source))
            same((status, out, err), (2, '', "webrtc_cam: '%s' is not a camera name: up to 32 of A-Z a-z 0-9 _ -\n" % name))


@test
def sources_of_later_versions_are_status_2():
    refuses(2, 'standard input', '-l', '0', '-', '-')
    refuses(2, 'rtsp', '-l', '0', 'rtsp://user:hunter2@/x')
    refuses(2, 'rtsp', '-l', '0', 'front=rtsps://user:hunter2@127.0.0.1:port/x')
    check('hunter2' not in run('-l', '0', 'rtsp://user:hunter2@/x')[2], 'the password is printed')


@test
def private_by_default():
    for listen in ('0.0.0.0:0', ':0', '[::]:0'):
        refuses(2, '--token --user --open', '-l', listen)
    with Server('--open', 'test:64x64', listen='0.0.0.0:0') as s:
        same(get(s.port, '/').status, 200)
    with Server('--token', 'sesame', 'test:64x64', listen='0.0.0.0:0') as s:
        same(get(s.port, '/').status, 401)
    with Server('--user', 'u:p', 'test:64x64', listen='0.0.0.0:0') as s:
        same(get(s.port, '/').status, 401)


@test
def files_that_cannot_be_shown_are_status_1():
    refuses(1, 'missing.h264 such', '-l', '0', os.path.join(TMP, 'missing.h264'))
    refuses(1, 'empty', '-l', '0', file('empty.h264', b''))
    refuses(1, 'regular', '-l', '0', TMP)
    refuses(1, 'Annex', '-l', '0', file('noise.h264', b'\xaa\x55' * 5000))
    refuses(1, 'MP4 ffmpeg', '-l', '0', file('small.mp4', b'\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\0\x08free'))


@test
def an_mp4_with_a_start_code_in_it_is_an_mp4():
    # a box of 0x140 bytes has 00 00 01 in its length: every real MP4 has some
    mp4 = b'\0\0\0\x18ftypisom\0\0\2\0isomiso2' + b'\0\0\1\x40moov' + bytes(0x138)
    refuses(1, 'MP4 ffmpeg', '-l', '0', file('real.mp4', mp4))
    mkv = b'\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1' + b'\0\0\1\x40' + bytes(300)
    refuses(1, 'Matroska ffmpeg', '-l', '0', file('real.mkv', mkv))


@test
def a_fifo_does_not_hang_the_start():
    path = os.path.join(TMP, 'fifo')
    os.mkfifo(path)
    refuses(1, 'regular', '-l', '0', path)


@test
def port_in_use_is_status_1():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        refuses(1, 'listen port use', '-l', str(s.getsockname()[1]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(('127.0.0.1', 0))
        refuses(1, 'listen port use', '-l', str(s.getsockname()[1]))


@test
def half_of_a_port_in_use_is_status_1():
    if not IPV6:
        raise Skip('no IPv6')
    with socket.socket() as s:  # IPv4 taken, IPv6 free: "everywhere" would lack the address that people type
        s.bind(('0.0.0.0', 0))
        s.listen()
        refuses(1, 'listen port use', '--open', '-l', ':%d' % s.getsockname()[1], 'test:64x64')


@test
def port_0_and_addresses():
    with Server('test:64x64') as s:
        check(s.port > 0)
        same(get(s.port, '/').status, 200)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.sendto(b'\xffhello', ('127.0.0.1', s.port))
        until(lambda: s.state()['drops'].get('udp_unknown_kind') == 1, 'the UDP port is not the TCP port')
    port = free_port()
    for listen in (str(port), '127.0.0.1:%d' % port, 'localhost:%d' % port):
        with Server('test:64x64', listen=listen) as s:
            same(s.port, port)


@test
def the_address_printed_is_reachable():
    with Server('test:64x64', listen='127.0.0.2:0') as s:
        host = '127.0.0.1' if s.host == 'localhost' else s.host
        same(get(s.port, '/', host=host).status, 200, s.url)


@test
def ipv6():
    if not IPV6:
        raise Skip('no IPv6')
    with Server('test:64x64', listen='[::1]:0') as s:
        same(get(s.port, '/', host='::1', name='[::1]:%d' % s.port).status, 200)
        r = whep(s.port, host='::1', source='::1')
        same(r.status, 201)
        check(re.search(rb'a=candidate:1 1 udp \d+ 0:0:0:0:0:0:0:1 %d typ host' % s.port, r.body), r.body)
    with Server('test:64x64') as s:  # localhost may mean ::1
        same(get(s.port, '/', host='::1').status, 200)


@test
def argument_files():
    port = free_port()
    text = '# a comment\n\n  --listen 127.0.0.1:%d  \n--token s3cret #1\r\n   # another\nfront=test:64x64\n' % port
    path = file('args', text)
    with Server('@' + path, 'back=test:64x64', listen=None) as s:
        same(s.port, port)
        names = [c['name'] for c in s.state(headers={'Authorization': 'Bearer s3cret #1'})['streams']]
        same(names, ['front', 'back'])
        check('s3cret' not in s.log())
    with Server('@' + file('args3', '\t--host\t\tcam.example  \r\n\r\n'), '@' + file('args4', '--open'),
                'test:64x64') as s:
        same(get(s.port, '/', name='cam.example').status, 200)
    refuses(1, 'missing.args', '@' + os.path.join(TMP, 'missing.args'))
    refuses(2, 'long', '@' + file('long', '# ' + 'x' * 70000))
    refuses(2, 'long', '@' + file('l1', '#' * 40000), '@' + file('l2', '#' * 40000))
    refuses(2, 'arguments', '@' + file('many', 'test:\n' * 600))
    refuses(2, '--nonsense', '@' + file('bad', '--nonsense\n'))
    refuses(2, 'value', '@' + file('novalue', '-l\n'))


@test
def an_argument_file_may_say_name_equals_value():
    for line in ('--user=ann:pass word', '--user ann:pass word', '--user\tann:pass word'):
        with Server('@' + file('blank', line + '\n'), 'test:64x64') as s:
            given = base64.b64encode(b'ann:pass word').decode()
            same(get(s.port, '/', {'Authorization': 'Basic ' + given}).status, 200, line)


@test
def argument_files_that_nest_or_cannot_be_read_are_refused():
    inner = file('inner', '--open\n')
    rc, _, err = run('-l', '0', '@' + file('outer', '@' + inner + '\n'))
    check(rc in (1, 2) and len(err.splitlines()) == 1, rc, err)
    refuses(1, TMP, '-l', '0', '@' + TMP)


@test
def secrets_stay_secret():
    args = file('secrets', '--token tok-from-file\n')
    for given in (['--token', 'tok-given', '--user', 'ann:pass-given'], ['--token=tok-equal', '--user=ann:pass-equal'],
                  ['@' + args, '--user', 'ann:pass-given']):
        with Server(*given, 'test:64x64') as s:
            with open('/proc/%d/cmdline' % s.p.pid, 'rb') as f:
                line = f.read()
            token = next(t for t in (b'tok-given', b'tok-equal', b'tok-from-file')
                         if get(s.port, '/', {'Authorization': 'Bearer ' + t.decode()}).status == 200)
            state = get(s.port, '/api/streams?token=' + token.decode())
            same(state.status, 200)
            for secret in (b'tok-', b'pass-', b'ann:'):
                check(secret not in line, 'in the process list:', line)
                check(secret not in state.body, 'in /api/streams')
                check(secret.decode() not in s.log(), 'in the log')


@test
def names_and_streams():
    with Server('test:64x64', 'test:64x64@15') as s:
        same([c['name'] for c in s.state()['streams']], ['cam', 'cam2'])
        for path, status in (('/', 200), ('/cam', 200), ('/cam2', 200), ('/cam3', 404), ('/cam/other', 404)):
            same(get(s.port, path).status, status, path)
    with Server('front=test:64x64', 'front/sub=test:96x96', 'Back_1-x=test:64x64') as s:
        streams = s.state()['streams']
        same([(c['name'], c['stream']) for c in streams], [('front', ''), ('front', 'sub'), ('Back_1-x', '')])
        same(streams[1]['whep'], '/front/whep?stream=sub')
        until(lambda: s.state()['streams'][1]['width'] == 96, 'the width of the sub-stream')
        for path, status in (('/front', 200), ('/front?stream=sub', 200), ('/front?stream=nope', 404),
                             ('/Back_1-x', 200), ('/Back_1-x?stream=sub', 404)):
            same(get(s.port, path).status, status, path)
        r = whep(s.port, path='/front/whep?stream=sub')
        same(r.status, 201)
        until(lambda: s.state()['streams'][1]['viewers'] == 1, 'the viewer is counted')
        same(ask(s.port, 'DELETE', r['location'], source=fresh()).status, 200)
        same(whep(s.port, path='/front/whep?stream=nope').status, 404)


@test
def a_sub_stream_without_its_main_stream():
    with Server('back=test:64x64', 'front/sub=test:96x96', 'front/tiny=test:64x64') as s:
        for path, status in (('/front', 200), ('/front?stream=sub', 200), ('/front?stream=tiny', 200), ('/front?stream=no', 404),
                             ('/fron', 404)):
            same(get(s.port, path).status, status, path)
        r = whep(s.port, path='/front/whep')
        same(r.status, 201)
        until(lambda: [v['viewers'] for v in s.state()['streams']] == [0, 1, 0], 'the viewer gets front/sub')
        same(ask(s.port, 'DELETE', r['location'], source=fresh()).status, 200)
        same(whep(s.port, path='/front/whep?stream=no').status, 404)


@test
def paths_with_equals_signs():
    data = annexb()
    os.makedirs(os.path.join(TMP, 'a=b'), exist_ok=True)
    path = file('a=b/c=d.h264', data)
    for arg, name in ((path, 'cam'), ('./c=d.h264', 'cam'), ('yard=c=d.h264', 'yard'), ('yard=' + path, 'yard')):
        with Server(arg, cwd=os.path.dirname(path)) as s:
            stream = s.state()['streams'][0]
            same((stream['name'], stream['source']), (name, 'file'), arg)


@test
def files_loop_at_their_rate_or_at_fps():
    path = file('loop.h264', annexb(50, 20))
    with Server(path) as a, Server(path, '--fps', '10') as b:
        def rates():
            x, y = a.state()['streams'][0], b.state()['streams'][0]
            return 40 < x['fps'] < 60 and 8 < y['fps'] < 12 and x
        x = until(rates, '50 and 10 fps', 8)
        same((x['state'], x['width'], x['height'], x['codec']), ('live', 64, 64, 'H.264 Constrained Baseline'))
        until(lambda: a.state()['streams'][0]['keyframes'] > 4, 'it does not loop')


@test
def log_levels():
    with Server('--log', 'info', 'test:64x64') as s:
        until(lambda: 'live' in s.log(), 'info says that the stream is live')
    port = free_port()
    s = Server('--log', 'error', 'test:64x64', listen=str(port), quiet=True)

    def up():
        try:
            return get(port, '/healthz').status == 200
        except OSError:
            return False
    until(up, 'it starts')
    same(s.stop(), '', 'the log at level error')
    with Server('--log', 'debug', 'test:64x64') as s:
        s.alive()


@test
def public_ip():
    with Server('--public-ip', '192.0.2.7', '--public-ip', '2001:db8::7', '--public-ip', '192.0.2.7',
                'test:64x64') as s:
        sdp = whep(s.port).body.decode()
        same(len(re.findall(r'a=candidate:\d+ 1 udp \d+ 192\.0\.2\.7 %d typ host' % s.port, sdp)), 1, sdp)
        check(re.search(r' 2001:db8:0:0:0:0:0:7 %d typ host' % s.port, sdp), sdp)
        numbers = [int(n) for n in re.findall(r'a=candidate:\d+ 1 udp (\d+)', sdp)]
        same(numbers, sorted(set(numbers), reverse=True), 'priorities')


@test
def max_viewers():
    with Server('--max-viewers', '2', 'test:64x64') as s:
        first, second, third = whep(s.port), whep(s.port), whep(s.port)
        same((first.status, second.status), (201, 201))
        problem(third, 503)
        check(int(third['retry-after']) > 0)
        same(s.state()['viewers'], 2)
        same(s.state()['max_viewers'], 2)
        same(ask(s.port, 'DELETE', first['location']).status, 200)
        same(whep(s.port).status, 201)


# ==== who may come in ====

@test
def user_and_password():
    with Server('--user', 'ann:a:b c%', 'test:64x64') as s:
        def basic(text):
            return {'Authorization': 'Basic ' + base64.b64encode(text.encode()).decode()}
        r = get(s.port, '/api/streams')
        problem(r, 401)
        check(r['www-authenticate'].startswith('Basic realm='), r['www-authenticate'])
        for bad in ('ann:a:b c', 'ann:a:b c%%', 'Ann:a:b c%', 'ann', ''):
            same(get(s.port, '/', basic(bad)).status, 401, bad)
        for bad in ('Basic', 'Basic !', 'Basic ' + 'A' * 4000, 'Bearer ann:a:b c%', 'Digest x', ''):
            same(get(s.port, '/', {'Authorization': bad}).status, 401, bad)
        same(get(s.port, '/api/streams', basic('ann:a:b c%')).status, 200)
        r = get(s.port, '/', {'Authorization': 'basic  ' + base64.b64encode(b'ann:a:b c%').decode()})
        same(r.status, 200, 'the scheme is case-insensitive')
        same(whep(s.port).status, 401)
        same(whep(s.port, headers=dict(SDP, **basic('ann:a:b c%'))).status, 201)
        same(get(s.port, '/healthz').status, 200)


@test
def token():
    with Server('--token', 's/3 cr&t', 'test:64x64') as s:
        query = '?token=s%2F3%20cr%26t'
        problem(get(s.port, '/cam'), 401)
        check('Bearer' in get(s.port, '/cam')['www-authenticate'])
        for path in ('/', '/cam', '/cam/whep', '/api/streams', '/nothing', '/favicon.ico'):
            same(get(s.port, path).status, 401, path)
        same(get(s.port, '/', {'Authorization': 'Bearer s/3 cr&t'}).status, 200)
        for bad in ('Bearer s/3 cr&', 'Bearer s/3 cr&tt', 'Bearer', 'Basic s/3 cr&t'):
            same(get(s.port, '/', {'Authorization': bad}).status, 401, bad)
        for bad in ('?token=', '?token=x', '?token=%', '?token=s%2F3%20cr%26', '?Token=s%2F3%20cr%26t',
                    '?token=s%2F3%20cr%26t%00'):
            same(get(s.port, '/' + bad).status, 401, bad)
        r = get(s.port, '/cam' + query)
        same(r.status, 200)
        cookie = r['set-cookie']
        check('HttpOnly' in cookie and 'SameSite=Strict' in cookie and '3 cr&t' not in cookie, cookie)
        same(get(s.port, '/api/streams' + query)['set-cookie'], None, 'only a page sets the cookie')
        jar = {'Cookie': 'a=b; ' + cookie.split(';')[0] + '; c=d'}
        same(get(s.port, '/api/streams', jar).status, 200)
        same(get(s.port, '/', {'Cookie': cookie.split('=')[0] + '='}).status, 401)
        problem(whep(s.port, headers=dict(SDP, **jar)), 403)  # a cookie alone, from nobody knows where
        problem(whep(s.port, headers=dict(SDP, Origin='http://evil.example', **jar)), 403)
        same(whep(s.port, headers=dict(SDP, Origin='http://localhost', **jar)).status, 201)
        r = whep(s.port, headers=dict(SDP, Authorization='Bearer s/3 cr&t'))
        same(r.status, 201)
        for method in ('GET', 'PATCH', 'DELETE'):
            same(ask(s.port, method, r['location'], source=fresh()).status, 401, method + ' on a session')
        same(get(s.port, '/healthz').status, 200)


@test
def token_and_user_together():
    with Server('--token', 'tok', '--user', 'a:b', 'test:64x64') as s:
        r = get(s.port, '/')
        same(r.status, 401)
        check('Basic' in r['www-authenticate'] and 'Bearer' in r['www-authenticate'], r['www-authenticate'])
        same(get(s.port, '/', {'Authorization': 'Bearer tok'}).status, 200)
        same(get(s.port, '/', {'Authorization': 'Basic YTpi'}).status, 200)


@test
def host_check():
    with Server('--host', 'cam.example', '--host', 'Other.Example', 'test:64x64') as s:
        for name in ('localhost', 'LOCALHOST:1', '127.0.0.1', '10.1.2.3:80', '[::1]', '[2001:db8::1]:99', 'cam.example',
                     'CAM.example:8080', 'other.example'):
            same(get(s.port, '/', name=name).status, 200, name)
        for name in ('evil.example', 'cam.example.evil', 'xcam.example', '', '1.2.3', '1.2.3.4.evil', 'localhost.evil'):
            problem(get(s.port, '/', name=name), 421, '--host')
        same(whep(s.port, name='evil.example').status, 421)
        same(get(s.port, '/healthz', name='evil.example').status, 421)
        with Conn(s.port) as c:
            c.send(b'GET /healthz HTTP/1.0\r\n\r\n')
            same(c.reply().status, 200, 'HTTP/1.0 has no Host')


@test
def cors():
    ask_first = {'Origin': 'https://a.example', 'Access-Control-Request-Method': 'POST',
                 'Access-Control-Request-Headers': 'content-type, if-match, authorization'}
    with Server('--cors', 'https://a.example', '--cors', 'http://b.example:81', '--token', 't', 'test:64x64') as s:
        r = ask(s.port, 'OPTIONS', '/cam/whep', ask_first)
        check(r.status in (200, 204), r.status)
        same(r['access-control-allow-origin'], 'https://a.example')
        for word in ('POST', 'PATCH', 'DELETE'):
            check(word in r['access-control-allow-methods'])
        for word in ('content-type', 'if-match', 'authorization'):
            check(word in r['access-control-allow-headers'].lower())
        same(r['accept-post'], 'application/sdp')
        r = whep(s.port, headers=dict(SDP, Origin='http://b.example:81', Authorization='Bearer t'))
        same(r.status, 201)
        same(r['access-control-allow-origin'], 'http://b.example:81')
        exposed = r['access-control-expose-headers'].lower()
        check(all(w in exposed for w in ('location', 'etag', 'link')), exposed)
        check('origin' in (r['vary'] or '').lower(), 'Vary')
        r = whep(s.port, headers=dict(SDP, Origin='https://a.example'))
        same((r.status, r['access-control-allow-origin']), (401, 'https://a.example'), 'readable errors')
        for origin in ('https://evil.example', 'http://a.example', 'https://a.example:444', 'null', ''):
            r = ask(s.port, 'OPTIONS', '/cam/whep', dict(ask_first, Origin=origin))
            same(r['access-control-allow-origin'], None, origin)
            problem(whep(s.port, headers=dict(SDP, Origin=origin, Authorization='Bearer t')), 403)
            same(get(s.port, '/api/streams?token=t', {'Origin': origin})['access-control-allow-origin'], None, origin)
    with Server('--cors', '*', 'test:64x64') as s:
        r = whep(s.port, headers=dict(SDP, Origin='https://any.example'))
        check(r.status == 201 and r['access-control-allow-origin'] in ('*', 'https://any.example'))
        same(r['access-control-allow-credentials'], None)
    with Server('test:64x64') as s:
        problem(whep(s.port, headers=dict(SDP, Origin='https://any.example')), 403)
        same(whep(s.port, headers=dict(SDP, Origin='http://localhost')).status, 201)
        r = get(s.port, '/api/streams', {'Origin': 'https://any.example'})
        same((r.status, r['access-control-allow-origin']), (200, None))


@test
def rate_limit():
    with Server('test:64x64') as s:
        with Conn(s.port, '127.2.0.1') as c:
            c.send(request('DELETE', '/cam/whep/none') * 150)
            got = [c.reply() for _ in range(150)]
        status = [r.status for r in got]
        same(set(status), {404, 429})
        check(40 <= status.index(429) <= 120, 'the limit comes after', status.index(429))
        r = problem(got[-1], 429) and got[-1]
        check(int(r['retry-after']) > 0)
        same(ask(s.port, 'DELETE', '/cam/whep/none', source='127.2.0.2').status, 404, 'another address')
        same(get(s.port, '/', source='127.2.0.1').status, 200, 'reading is not limited')
        until(lambda: ask(s.port, 'DELETE', '/cam/whep/none', source='127.2.0.1').status == 404, 'it is let in again')


# ==== HTTP ====

@test
def pages_and_headers():
    with Server('test:64x64') as s:
        r = get(s.port, '/cam')
        check(r['content-type'].startswith('text/html') and r.body.startswith(b'<!doctype html>'))
        csp = r['content-security-policy']
        check("default-src 'none'" in csp and 'unsafe' not in csp and '*' not in csp, csp)
        same((r['cache-control'], r['referrer-policy'], r['x-content-type-options']),
             ('no-store', 'no-referrer', 'nosniff'))
        same(get(s.port, '/healthz').body, b'ok\n')
        state = s.state()
        same({'version', 'streams', 'viewers', 'max_viewers', 'joined', 'packets', 'octets', 'uptime_s', 'sessions',
              'drops'} - set(state), set())
        problem(get(s.port, '/nope'), 404)
        for path in ('/nope', '/cam?stream=x', '/cam/nope'):
            r = get(s.port, path, {'Accept': 'text/html,application/xhtml+xml,*/*;q=0.8'})
            same(r.status, 404)
            check(r['content-type'].startswith('text/html') and b'<h1>' in r.body and b'{' not in r.body, r.body)
            check('content-security-policy' in dict(r.head))
        r = get(s.port, '/', {'Accept': 'text/html'}, name='evil.example')
        check(r.status == 421 and r['content-type'].startswith('text/html'), r.status, r['content-type'])


@test
def a_slash_behind_a_name_is_no_page():
    # relative addresses of the page would lead to /cam/api/streams
    with Server('test:64x64') as s:
        check(get(s.port, '/cam/').status in (301, 303, 307, 308, 404), 'GET /cam/ gives', get(s.port, '/cam/').status)


@test
def guessing_passwords_is_limited():
    with Server('--user', 'ann:secret', '--token', 'tok', 'test:64x64') as s:
        with Conn(s.port, '127.2.0.3') as c:
            c.send(request('GET', '/', {'Authorization': 'Basic ' + base64.b64encode(b'ann:guess').decode()}) * 500)
            got = {c.reply().status for _ in range(500)}
        check(429 in got, '500 wrong passwords in a row were all answered with', got)
        same(get(s.port, '/', {'Authorization': 'Bearer tok'}, source='127.2.0.4').status, 200, 'others are let in')


@test
def wrong_methods():
    with Server('test:64x64') as s:
        for method, path in (('PUT', '/cam'), ('POST', '/cam'), ('DELETE', '/cam/whep'), ('PUT', '/cam/whep')):
            r = ask(s.port, method, path, source=fresh())
            problem(r, 405)
            check(r['allow'], method, path, 'a 405 must say what is allowed (RFC 9110 15.5.6)')
        for method, path in (('POST', '/api/streams'), ('DELETE', '/'), ('BREW', '/cam')):
            check(ask(s.port, method, path, source=fresh()).status in (404, 405, 501), method, path)


@test
def head_is_get_without_body():
    with Server('test:64x64') as s:
        for path in ('/', '/cam', '/nope', '/healthz', '/cam/whep'):
            with Conn(s.port) as c:
                c.send(request('HEAD', path) + request('GET', path))
                head, full = c.reply(True), c.reply()
                same(head.status, full.status, path)
                same(head['content-length'], full['content-length'], path)
                same(head['content-type'], full['content-type'], path)


@test
def keep_alive_and_pipelining():
    with Server('test:64x64') as s:
        with Conn(s.port) as c:
            for _ in range(5):
                c.send(request('GET', '/healthz'))
                same(c.reply().body, b'ok\n')
            c.send(request('GET', '/healthz') + request('GET', '/nope') + request('GET', '/cam') +
                   request('POST', '/cam/whep', {'Content-Type': 'text/plain'}, 'x' * 100) + request('GET', '/healthz'))
            same([c.reply().status for _ in range(5)], [200, 404, 200, 415, 200])
            c.send(request('GET', '/healthz', {'Connection': 'foo, Close'}) + request('GET', '/healthz'))
            r = c.reply()
            same((r.status, r['connection']), (200, 'close'))
            check(c.closed() and not c.data, 'nothing follows')
        with Conn(s.port) as c:  # many at once, read only afterwards
            c.send(request('GET', '/healthz') * 500)
            same({c.reply().status for _ in range(500)}, {200})
        with Conn(s.port) as c:
            c.send(b'\r\n\r\n' + request('GET', '/healthz'))
            same(c.reply().status, 200, 'blank lines before a request')


@test
def http_1_0():
    with Server('test:64x64') as s:
        with Conn(s.port) as c:
            c.send(request('GET', '/healthz', version='1.0', host=None))
            r = c.reply()
            same((r.status, r['connection']), (200, 'close'))
            c.closed()
        with Conn(s.port) as c:
            for _ in range(2):
                c.send(request('GET', '/healthz', {'Connection': 'keep-alive'}, version='1.0'))
                same(c.reply().status, 200)


@test
def expect_100_continue():
    with Server('test:64x64') as s:
        body = offer().encode()
        for split in (0, 10):
            with Conn(s.port, fresh()) as c:
                head = request('POST', '/cam/whep', dict(SDP, Expect='100-continue', **{'Content-Length': len(body)}))
                c.send(head + body[:split])
                same(c.reply().status, 100)
                c.send(body[split:])
                same(c.reply().status, 201)
                c.send(request('GET', '/healthz'))
                same(c.reply().status, 200)
        with Conn(s.port, fresh()) as c:
            c.send(request('POST', '/cam/whep', dict(SDP, Expect='100-continue', **{'Content-Length': 10 ** 7})))
            same(c.reply().status, 413, 'a final answer instead of 100')


@test
def chunked_bodies():
    with Server('test:64x64') as s:
        body = offer().encode()

        def chunked(size, tail=b'0\r\n\r\n', extension=b''):
            parts = [body[i:i + size] for i in range(0, len(body), size)]
            return b''.join(b'%X%s\r\n%s\r\n' % (len(p), extension, p) for p in parts) + tail
        head = request('POST', '/cam/whep', dict(SDP, **{'Transfer-Encoding': 'chunked'}))
        for data in (chunked(5000), chunked(7), chunked(1), chunked(50, b'000\r\nX-Trailer: 1\r\n\r\n'),
                     chunked(100, extension=b';a="b"')):
            with Conn(s.port, fresh()) as c:
                c.send(head + data + request('GET', '/healthz'))
                same((c.reply().status, c.reply().status), (201, 200))
        with Conn(s.port, fresh()) as c:
            c.send(head)
            for part in (chunked(100)[:150], chunked(100)[150:151], chunked(100)[151:]):
                c.send(part)
            same(c.reply().status, 201)
        for bad in (b'G\r\nx\r\n0\r\n\r\n', b'3\r\nabcd\r\n0\r\n\r\n', b'-1\r\n', b'FFFFFFFFFFFFFFFF\r\nx', b'\r\n',
                    b'3\nabc\n0\n\n', b'1' * 300, b'0x3\r\nabc\r\n0\r\n\r\n', b'3 \r\nabc\r\n0\r\n\r\n'):
            problem(raw(s.port, head + bad), 400)
        problem(raw(s.port, head + b'FFFFF\r\n' + b'x' * 70000), 413)
        s.alive()


@test
def framing_that_two_parsers_read_differently():
    with Server('test:64x64') as s:
        post = 'POST /cam/whep HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\n'
        for lines, status in (('Content-Length: 5\r\nContent-Length: 6\r\n', 400), ('Content-Length: 5, 5\r\n', 400),
                              ('Content-Length: -5\r\n', 400), ('Content-Length: +5\r\n', 400),
                              ('Content-Length: 0x5\r\n', 400), ('Content-Length: \r\n', 400),
                              ('Content-Length: 99999999999999999999999\r\n', 400),
                              ('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', 400),
                              ('Transfer-Encoding: gzip\r\n', 501), ('Transfer-Encoding: chunked, chunked\r\n', 501),
                              ('Transfer-Encoding : chunked\r\n', 400), (' folded: line\r\n', 400),
                              ('X: a\r\n folded\r\n', 400), ('X: a\0b\r\n', 400), ('X: a\rb\r\n', 400),
                              ('Host: localhost\r\n', 400), ('NoColon\r\n', 400), (': empty\r\n', 400),
                              ('Bad Name: x\r\n', 400)):
            problem(raw(s.port, (post + lines + '\r\n').encode('latin-1')), status)
        for head, status in ((b'GET / HTTP/1.1\r\n\r\n', 400), (b'GET / HTTP/2.0\r\nHost: localhost\r\n\r\n', 505),
                             (b'GET /\r\n\r\n', 400), (b'GET  / HTTP/1.1\r\n\r\n', 400), (b'GET / HTTP/1.1\n\n', 400),
                             (b'G\0T / HTTP/1.1\r\n\r\n', 400), (b'GET /\0 HTTP/1.1\r\n\r\n', 400),
                             (b'GET / FTP/1.1\r\n\r\n', 400), (b'\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n', 400),
                             (b'\0' * 100 + b'\r\n', 400), (b'PRI * HTTP/2.0\r\n\r\n', 505)):
            same(raw(s.port, head).status, status, head)
        s.alive()


@test
def garbage():
    rng = random.Random(1)
    with Server('test:64x64') as s:
        fds = s.fds()
        for i in range(60):
            data = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 3000)))
            with Conn(s.port) as c:
                c.send(data + b'\r\n\r\n' if i % 2 else data)
                c.s.shutdown(socket.SHUT_WR)
                check(c.closed())
        s.alive()
        until(lambda: s.fds() <= fds, 'descriptors stay open')


@test
def oversized_heads():
    with Server('test:64x64') as s:
        problem(raw(s.port, b'GET /' + b'a' * 16400), 414)
        problem(raw(s.port, b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'a' * 16400), 431)
        problem(raw(s.port, b'GET / HTTP/1.1\r\nHost: localhost\r\n' + b'X: y\r\n' * 70 + b'\r\n'), 431)
        with Conn(s.port) as c:  # large, and allowed
            c.send(request('GET', '/healthz?' + 'a' * 8000, {'Cookie': 'b' * 7000}))
            same(c.reply().status, 200)


@test
def oversized_bodies():
    with Server('test:64x64') as s:
        head = request('POST', '/cam/whep', dict(SDP, **{'Content-Length': 70000}))
        problem(raw(s.port, head), 413)
        with Conn(s.port, fresh()) as c:
            c.send(request('POST', '/cam/whep', SDP, b'v=0\r\n' + b'a=x\r\n' * 13000))
            same(c.reply().status, 400, '64 KB are taken and found to be no offer')


@test
def an_early_answer_survives_a_client_that_goes_on_sending():
    # RFC 9112 9.6: close in stages, or the reset takes the answer away
    with Server('test:64x64') as s:
        for n in (300000, 3000000):
            head = request('POST', '/cam/whep', dict(SDP, **{'Content-Length': n}))
            problem(raw(s.port, head + b'x' * n), 413)
        problem(raw(s.port, b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ' + b'a' * 500000), 431)


@test
def a_slow_but_honest_client():
    with Server('test:64x64') as s:
        body = offer().encode()
        for data, status in ((request('GET', '/healthz'), 200),
                             (request('POST', '/cam/whep', SDP, body), 201),
                             (request('POST', '/cam/whep', dict(SDP, **{'Transfer-Encoding': 'chunked'})) +
                              b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body), 201)):
            with Conn(s.port, fresh()) as c:
                for i in range(len(data)):
                    c.send(data[i:i + 1])
                    if i % 20 == 0:
                        select.select([], [], [], 0.001)  # so that the bytes come one at a time indeed
                same(c.reply().status, status)


@test
def half_closed_clients():
    with Server('test:64x64') as s:
        fds = s.fds()
        with Conn(s.port) as c:
            c.send(request('GET', '/cam'))
            c.s.shutdown(socket.SHUT_WR)
            same(c.reply().status, 200)
            check(c.closed())
        with Conn(s.port) as c:
            c.send(b'GET / HT')
            c.s.shutdown(socket.SHUT_WR)
            check(c.closed() and not c.data)
        with Conn(s.port) as c:
            c.send(request('GET', '/cam') * 20)
            c.s.shutdown(socket.SHUT_WR)
            same({c.reply().status for _ in range(20)}, {200})
        for _ in range(50):  # a reset in the middle of everything
            c = Conn(s.port)
            c.send(request('GET', '/cam') * 3 + b'GET /')
            c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            c.close()
        s.alive()
        until(lambda: s.fds() <= fds, 'descriptors stay open')


@test
def three_hundred_connections():
    with Server('test:64x64') as s:
        fds = s.fds()
        for first in (b'', b'GET / HTTP/1.1\r\nHost: loc'):
            many = []
            for _ in range(300):
                c = Conn(s.port)
                try:
                    c.send(first)
                except OSError:
                    pass
                many.append(c)
            check(s.p.poll() is None, 'it died')
            if not first:  # idle ones give way
                s.alive()
            for c in many:
                c.close()
            until(lambda: s.fds() <= fds, 'descriptors stay open')
            for _ in range(20):
                s.alive()


@test
def unfinished_requests_cost_no_cpu():
    """Whoever leaves requests unfinished must not slow down the others: no parsing without new bytes."""
    with Server('test:64x64@60') as s:
        head = request('POST', '/cam/whep', dict(SDP, **{'Transfer-Encoding': 'chunked'}))
        many = [Conn(s.port, '127.3.0.%d' % (i % 200 + 1)) for i in range(200)]
        for c in many:
            c.send(head + b'1\r\nx\r\n' * 9000)
        same(get(s.port, '/healthz').status, 200)

        def ticks():
            with open('/proc/%d/stat' % s.p.pid) as f:
                fields = f.read().rsplit(')', 1)[1].split()
            return int(fields[11]) + int(fields[12])
        same(get(s.port, '/healthz').status, 200)
        before, start = ticks(), time.monotonic()
        for _ in range(60):
            s.alive()
        spent, took = (ticks() - before) / os.sysconf('SC_CLK_TCK'), time.monotonic() - start
        for c in many:
            c.close()
        check(spent < 0.5, '60 small requests took %.2f s of CPU, %.2f s in all' % (spent, took))


# ==== WHEP ====

@test
def whep_answer():
    with Server('test:64x64') as s:
        r = whep(s.port)
        same((r.status, r['content-type']), (201, 'application/sdp'))
        check(re.fullmatch(r'/cam/whep/[A-Za-z0-9_-]{22}', r['location']), r['location'])
        check(re.fullmatch(r'"[!-~]+"', r['etag']), r['etag'])
        sdp = r.body.decode()
        check(sdp.endswith('\r\n') and '\n' not in sdp.replace('\r\n', ''), 'line ends')
        for line in ('v=0', 's=-', 't=0 0', 'a=ice-lite', 'a=group:BUNDLE 0', 'a=mid:0', 'a=sendonly', 'a=rtcp-mux',
                     'a=setup:active', 'a=rtpmap:102 H264/90000', 'm=video 9 UDP/TLS/RTP/SAVPF 102',
                     'a=end-of-candidates', 'a=rtcp-fb:102 nack pli'):
            check(line + '\r\n' in sdp, line, 'is missing in', sdp)
        fmtp = re.search(r'a=fmtp:102 (.*)\r', sdp).group(1)
        check('packetization-mode=1' in fmtp and 'profile-level-id=42e01f' in fmtp, fmtp)
        check(re.search(r'a=candidate:1 1 udp \d+ 127\.0\.0\.1 %d typ host\r' % s.port, sdp), sdp)
        check(re.search(r'a=fingerprint:sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}\r', sdp), sdp)
        ufrag, pwd = re.search(r'a=ice-ufrag:(\S+)\r', sdp).group(1), re.search(r'a=ice-pwd:(\S+)\r', sdp).group(1)
        check(4 <= len(ufrag) <= 256 and 22 <= len(pwd) <= 256)
        again = whep(s.port)
        check(again['location'] != r['location'] and again['etag'] != r['etag'] and pwd not in again.body.decode())
        check(pwd not in json.dumps(s.state()) and r['location'][10:] not in json.dumps(s.state()), 'state leaks')


@test
def whep_answers_every_section():
    extra = ('m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\n'
             'm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n'
             'm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:3\r\n')
    with Server('test:64x64') as s:
        both = offer(extra=extra).replace('BUNDLE 0', 'BUNDLE 0 1 2 3')
        sdp = whep(s.port, both).body.decode()
        same(re.findall(r'^m=(\w+) (\d+)', sdp, re.M), [('video', '9'), ('audio', '0'), ('video', '0'),
                                                        ('application', '0')])
        same(re.findall(r'^a=mid:(\d)', sdp, re.M), ['0', '1', '2', '3'])
        check('a=group:BUNDLE 0\r\n' in sdp, sdp)
        sdp = whep(s.port, offer().replace('a=group:BUNDLE 0\r\n', '')).body.decode()
        check('BUNDLE' not in sdp, 'a group that was not offered')
        sdp = whep(s.port, offer().replace('BUNDLE 0', 'BUNDLE 7')).body.decode()
        check('BUNDLE 0' not in sdp, 'a section in the group that was not offered in it (RFC 9143 7.3)')
        for setup, answer in (('active', 'passive'), ('passive', 'active'), ('actpass', 'active')):
            sdp = whep(s.port, offer().replace('actpass', setup)).body.decode()
            check('a=setup:%s\r' % answer in sdp, setup)


@test
def whep_post_errors():
    with Server('test:64x64') as s:
        for kind in ('text/plain', 'application/json', 'application/x-www-form-urlencoded', 'application/sdpx', ''):
            problem(whep(s.port, headers={'Content-Type': kind}), 415)
        problem(whep(s.port, headers={}), 415)
        same(whep(s.port, headers={'Content-Type': 'Application/SDP; charset=utf-8'}).status, 201)
        for bad in ('', 'v=0', 'v=1\r\n', 'hello', offer().replace('m=video 9', 'm=video x'), offer() + 'no line\r\n',
                    'v=0\r\n' + 'm=video 9 UDP/TLS/RTP/SAVPF 96\r\n' * 17, 'v=0\r\na=' + 'x' * 5000 + '\r\n',
                    offer() + 'a=x\0y\r\n', '\0' * 1000):
            problem(whep(s.port, bad), 400)
        same(whep(s.port, offer().replace(PRINT, 'zz' + PRINT[2:])).status, 400, 'fingerprint')
        for bad, words in ((offer('VP8/90000'), 'H.264'), (offer(direction='sendonly'), 'recvonly'),
                           (offer(direction='inactive'), 'recvonly'), (offer(kind='audio'), 'video'),
                           (offer().replace('a=rtcp-mux\r\n', ''), 'rtcp-mux'), (offer(ufrag='abc'), 'ice-ufrag'),
                           (offer(ufrag='a' * 257), 'ice-ufrag'), (offer().replace('sha-256', 'sha-1'), 'sha-256'),
                           (offer().replace('m=video 9', 'm=video 0'), 'port 0'),
                           (offer().replace('UDP/TLS/RTP/SAVPF', 'RTP/AVP'), 'SAVPF'), (offer(mode=2), 'H.264')):
            problem(whep(s.port, bad), 422, words)
        problem(whep(s.port, path='/nope/whep'), 404)
        same(s.state()['viewers'], 1, 'refused ones are no viewers')


@test
def whep_get_head_options():
    with Server('test:64x64') as s:
        session = whep(s.port)['location']
        for path in ('/cam/whep', session):
            r = get(s.port, path)
            check(200 <= r.status < 300 and not r.body, path, r.status, r.body)
            same(ask(s.port, 'HEAD', path).status, r.status)
            r = ask(s.port, 'OPTIONS', path)
            check(200 <= r.status < 300 and not r.body)
            same(r['accept-post'], 'application/sdp')
        same(ask(s.port, 'HEAD', '/cam/whep')['content-type'], 'application/sdp')
        problem(ask(s.port, 'POST', session, SDP, offer(), source=fresh()), 405)


@test
def whep_patch():
    with Server('test:64x64') as s:
        r = whep(s.port)
        path, etag = r['location'], r['etag']
        good = 'a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=video 9 RTP/AVP 0\r\na=mid:0\r\n' \
               'a=candidate:1 1 udp 1 0b0c.local 9 typ host\r\n'

        def patch(body=good, kind=FRAG, match=etag, where=path):
            headers = {k: v for k, v in (('Content-Type', kind), ('If-Match', match)) if v is not None}
            return ask(s.port, 'PATCH', where, headers, body, source=fresh())
        r = patch()
        same((r.status, r['content-length'], r.body), (204, None, b''))
        same(patch(kind=FRAG + '; charset=utf-8').status, 204)
        problem(patch(kind='application/sdp'), 415)
        problem(patch(kind=None), 415)
        problem(patch(match=None), 428)
        for bad in ('"other"', etag[:-1], etag[1:], 'W/' + etag, etag[:-2] + '"', ''):
            problem(patch(match=bad), 412)
        problem(patch('hello'), 400)
        problem(patch(''), 400)
        restart = good.replace('abcd\r', 'efgh\r')
        for match in ('*', '"*"'):
            problem(patch(restart, match=match), 422)
        problem(patch(restart), 422)
        same(patch(where=path[:-1] + ('A' if path[-1] != 'A' else 'B')).status, 404)
        same(s.state()['viewers'], 1, 'the session survives all that')
        same(patch().status, 204)


@test
def whep_delete():
    with Server('test:64x64', 'yard=test:64x64') as s:
        path = whep(s.port)['location']
        problem(ask(s.port, 'DELETE', path.replace('/cam/', '/yard/'), source=fresh()), 404)
        problem(ask(s.port, 'DELETE', '/cam/whep/' + 'x' * 22, source=fresh()), 404)
        problem(ask(s.port, 'DELETE', '/cam/whep/' + 'x' * 2000, source=fresh()), 404)
        same(s.state()['viewers'], 1)
        same(ask(s.port, 'DELETE', path, {'If-Match': '"ignored"'}, source=fresh()).status, 200)
        for method in ('DELETE', 'GET', 'PATCH'):
            problem(ask(s.port, method, path, source=fresh()), 404)
        state = s.state()
        same((state['viewers'], state['joined'], state['sessions']), (0, 1, []))


# ==== viewers without a browser: test/joiner.c ====

tools = {}


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Skip(command + ' is not installed')


def joiner():
    """The program, compiled once."""
    if 'joiner' not in tools:
        path = os.path.join(TMP, 'joiner')
        done = subprocess.run([os.environ.get('CC', 'cc'), '-std=c99', '-O1', os.path.join(ROOT, 'test', 'joiner.c'), '-o',
                               path, '-lsrtp2', '-lmbedtls', '-lmbedx509', '-lmbedcrypto'], capture_output=True, text=True)
        same(done.returncode, 0, 'joiner.c: ' + done.stderr[-1000:])
        tools['joiner'] = path
    return tools['joiner']


class Unit:
    """An access unit as a viewer got it."""

    def __init__(self, words):
        self.torn = words[0] == 'torn'
        self.first, self.last, self.timestamp, self.packets, self.markers = map(int, words[1:6])
        self.nals = [tuple(map(int, w.split(':'))) for w in words[6:]]
        self.slices = tuple(n for n in self.nals if n[0] in (1, 5))
        self.key = any(n[0] == 5 for n in self.nals)


class Viewers:
    """joiner, which goes on until `with` ends; then exit status 0 is insisted on."""

    def __init__(self, s, how, n=1, name='cam'):
        self.p = subprocess.Popen([joiner(), str(s.port), name, how, str(n)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.units, self.error = [], [], ''
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.read, self.read_error)]
        for thread in self.threads:
            thread.start()

    def read(self):
        for line in self.p.stdout:
            words = line.split()
            if words[0] in ('unit', 'torn'):
                self.units.append(Unit(words))
            else:
                self.lines.append(line.strip())

    def read_error(self):
        self.error = self.p.stderr.read()

    def wait(self, condition, what, seconds=20.0):
        until(lambda: condition() or (self.p.poll() is not None and self.error), what, seconds)
        check(condition(), 'joiner:', self.error.strip()[-1000:])

    def watching(self):
        self.wait(lambda: 'watching' in self.lines, 'viewers watch', 60)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.p.kill()
        self.p.stdin.close()
        try:
            status = self.p.wait(30)
        except subprocess.TimeoutExpired:
            self.p.kill()
            status = self.p.wait()
        for thread in self.threads:
            thread.join(5)
        self.p.stdout.close()
        self.p.stderr.close()
        if not kind:
            same(status, 0, 'joiner: ' + self.error.strip()[-1000:])


# ==== standard input ====

def split_nals(data):
    return [(m.start(), m.end()) for m in re.finditer(rb'\x00*\x00\x00\x01', data)]


def access_units(data):
    """Annex B, cut where an access unit begins: SPS, PPS and SEI go with the slice that follows them."""
    cuts, before, sliced = [], None, False
    for at, end in split_nals(data):
        kind, first = data[end] & 31, data[end + 1] & 0x80  # first_mb_in_slice 0
        if kind in (1, 5):
            if first and sliced:
                cuts.append(before if before is not None else at)
            sliced, before = True, None
        elif before is None:
            before = at
    starts = [0] + cuts
    return [data[a:b] for a, b in zip(starts, cuts + [len(data)])]


def slices_of(unit):
    """As a viewer sees them: (type, size, CRC-32)."""
    marks = split_nals(unit)
    nals = [unit[end:marks[i + 1][0] if i + 1 < len(marks) else len(unit)] for i, (_, end) in enumerate(marks)]
    return tuple((n[0] & 31, len(n), zlib.crc32(n)) for n in nals if n[0] & 31 in (1, 5))


def encoded(seconds, slices=1, gop=25):
    """Access units of x264 without delimiters, 25 a second."""
    key = ('x264', seconds, slices, gop)
    if key not in tools:
        need('ffmpeg')
        done = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x192:rate=25', '-t',
                               str(seconds), '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-g',
                               str(gop), '-pix_fmt', 'yuv420p', '-threads', '1', '-x264-params',
                               'sliced-threads=0:slices=%d:scenecut=0' % slices, '-f', 'h264', '-'],
                              stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise Skip('ffmpeg has no libx264')
        tools[key] = access_units(done.stdout)
        same(len(tools[key]), seconds * 25, 'access units')
        same({len(slices_of(u)) for u in tools[key]}, {slices}, 'slices')
    return tools[key]


def feed(s, data):
    s.p.stdin.write(data)
    s.p.stdin.flush()


def feed_at(s, units, interval, begin=None):
    """One access unit per interval; gives when each was written, in CLOCK_MONOTONIC's microseconds."""
    due, times = begin or time.monotonic(), []
    for unit in units:
        time.sleep(max(0, due - time.monotonic()))  # an encoder's rate, not a wait
        times.append(time.monotonic_ns() // 1000)
        feed(s, unit)
        due += interval
    return times


FED = 3


def piped(*args):
    return Server(*args, '-', stdin=subprocess.PIPE)


def stream_of(s):
    return s.state()['streams'][0]


def watched(s, units):
    """Feeds the first FED pictures, and gives a viewer that has the first one: only the third one's start ends it."""
    feed(s, b''.join(units[:FED]))
    until(lambda: stream_of(s)['frames'], 'the first picture')
    v = Viewers(s, 'watch')
    try:
        v.watching()
    except AssertionError:
        v.p.kill()
        raise
    return v


def check_received(v, jumps=0):
    """What every decoder relies on: one time and one marker for each access unit, times that grow, nothing torn; but
    for `jumps` over what has left the history, which lead to a keyframe."""
    check(v.units, 'nothing came')
    torn = [i for i, u in enumerate(v.units) if u.torn]
    check(len(torn) <= jumps and all(v.units[i + 1].key for i in torn), 'torn access units:', torn)
    v.units = [u for u in v.units if not u.torn]
    for u in v.units:
        check(u.markers == 1 and u.slices, 'a broken access unit', vars(u))
    for a, b in zip(v.units, v.units[1:]):
        check(0 < (b.timestamp - a.timestamp) % 2**32 < 2**31, 'times do not grow')


def check_skipped(missing, gop=25):
    """A sender that was held up goes on at a newer keyframe: what is left out may only stand right before one."""
    for i in missing:
        check(all(k in missing for k in range(i, i - i % gop + gop)), 'left out, not before a keyframe:', i)
    check(len(missing) <= 12, 'left out:', sorted(missing))


@test
def stdin_in_any_chunking():
    units = encoded(4)
    stream, known = b''.join(units), [slices_of(u) for u in units]
    for size in (1, 7, 65536, len(stream)):
        with piped() as s:
            with watched(s, units) as v:
                rest = memoryview(stream)[len(b''.join(units[:FED])):]
                fd = s.p.stdin.fileno()
                for at in range(0, len(rest), size):
                    part = rest[at:at + size]
                    while part:  # the pipe paces
                        part = part[os.write(fd, part):]
                s.end_input()
                until(lambda: stream_of(s)['state'] == 'ended', 'the end is seen')
                state = s.state()
                pauses = state['drops'].get('h264_pause_in_picture', 0)  # this process may have been held up within a NAL unit
                check(pauses <= 2, 'chunks of', size, state['drops'])
                if not pauses:
                    same((state['streams'][0]['frames'], state['streams'][0]['keyframes'], state['drops']),
                         (len(units), 4, {}), 'chunks of %d' % size)
                    v.wait(lambda: v.units[-1].slices == known[-1], 'the last picture, chunks of %d' % size)
            check_received(v, jumps=1 if size > 7 else 0)
            wrong = [u for u in v.units if u.slices not in known]
            check(len(wrong) <= pauses, 'chunks of', size, len(wrong), 'pictures that were never sent', pauses)
            at = [known.index(u.slices) for u in v.units if u not in wrong]
            same(at, sorted(set(at)), 'the order of pictures')


@test
def stdin_that_stalls_in_a_nal():
    """A pause ends a picture. When that was wrong twice, pauses mean nothing any more; never two broken ones in a row."""
    units = encoded(8)
    known = [slices_of(u) for u in units]
    stalls = [60, 110, 160, 185]  # P pictures
    with piped() as s:
        with watched(s, units) as v:
            at = FED
            for stall in stalls:
                feed_at(s, units[at:stall], 0.012)
                unit = units[stall]
                feed(s, unit[:len(unit) // 2])
                time.sleep(0.3)  # the stall
                feed(s, unit[len(unit) // 2:])
                at = stall + 1
            feed_at(s, units[at:], 0.012)
            s.end_input()
            v.wait(lambda: v.units[-1].slices == known[-1], 'the last picture')
        check_received(v)
        state = s.state()
        same(state['drops'].get('h264_pause_in_picture'), 2, 'guesses that were wrong')
        wrong = [i for i, u in enumerate(v.units) if u.slices not in known]
        same(len(wrong), 2, 'broken pictures')
        for i in wrong:
            check(v.units[i + 1].key and v.units[i + 1].slices in known, 'a keyframe follows a broken picture')
        got = {known.index(u.slices) for u in v.units if u.slices in known}
        missing, broken = set(range(200)) - got, set(range(60, 75)) | set(range(110, 125))
        check(broken <= missing, 'sent behind a broken picture:', sorted(broken - missing))
        check_skipped(missing - broken)


@test
def stdin_slices_that_come_apart():
    """Pauses between the slices of a picture end nothing, the one behind the last slice does: no picture waits for the
    next one."""
    units = encoded(4, slices=4)
    known = [slices_of(u) for u in units]
    rng = random.Random(4)
    with piped() as s:
        with watched(s, units) as v:
            written, due = {}, time.monotonic()
            for i, unit in enumerate(units[FED:], FED):
                time.sleep(max(0, due - time.monotonic()))  # an encoder's rate
                cuts = [at for at, end in split_nals(unit) if unit[end] & 31 in (1, 5)][1:]
                for a, b in zip([0] + cuts, cuts + [len(unit)]):
                    if a:
                        time.sleep(rng.uniform(0.002, 0.003))  # one slice later
                    written[known[i]] = time.monotonic_ns() // 1000
                    feed(s, unit[a:b])
                due += 1 / 30
            v.wait(lambda: v.units[-1].slices == known[-1], 'the last picture: no other one follows it')
        check_received(v)
        check(all(u.slices in known for u in v.units), 'an access unit that was never sent')
        at = [known.index(u.slices) for u in v.units]
        same(at, sorted(set(at)), 'the order of pictures')
        check_skipped(set(range(len(known))) - set(at))
        same(s.state()['drops'], {})
        waits = sorted((u.last - written[u.slices]) / 1000 for u in v.units if u.slices in known[40:])
        print('# stdin, 4 slices 2-3 ms apart, 30 fps: last slice written to last packet received: median %.1f p95 %.1f ms'
              % (waits[len(waits) // 2], waits[len(waits) * 95 // 100]))
        check(waits[len(waits) // 2] < 25, 'a picture waits for the next one: median %.1f ms' % waits[len(waits) // 2])


@test
def stdin_ends():
    units = encoded(4)
    with piped() as s:
        with watched(s, units) as v:
            feed(s, b''.join(units[FED:30]))
            s.end_input()
            stream = until(lambda: (lambda t: t['state'] == 'ended' and t)(stream_of(s)), 'the end is seen')
            same((stream['reason'], stream['frames']), ('The input has ended.', 30), 'the last picture counts')
            v.wait(lambda: v.units[-1].slices == slices_of(units[29]), 'the last picture is sent')
            until(lambda: 'cam: The input has ended.' in s.log(), 'the log says so')
            s.alive()
            same(s.state()['viewers'], 1, 'who watches stays')
            fds = s.fds()
            ticks = cpu(s)
            time.sleep(0.5)  # an interval to measure
            check(cpu(s) - ticks < 0.2, 'an ended input costs CPU')
        until(lambda: s.fds() < fds or s.state()['viewers'] == 0, 'the viewer left')


@test
def stdin_without_pictures():
    with Server('-') as s:  # /dev/null
        until(lambda: stream_of(s)['state'] == 'ended', 'the end is seen')
        same(stream_of(s)['reason'], 'The input has ended.')
    with piped() as s:
        stream = stream_of(s)
        same((stream['state'], stream['source']), ('waiting', 'pipe'))
        check('Nothing has come' in stream['reason'], stream)
        feed(s, random.Random(1).randbytes(300000))
        until(lambda: unread(s) == 0, 'it is read')
        stream = stream_of(s)
        check(stream['state'] == 'waiting' and stream['reason'] and not stream['frames'], stream)
        s.alive()
    with piped() as s:  # starts in mid-GOP
        units = encoded(4)
        feed(s, b''.join(units[3:20]))
        until(lambda: 'SPS' in stream_of(s)['reason'], 'the reason')
        same(stream_of(s)['state'], 'waiting')
        feed(s, b''.join(units[20:50]))
        until(lambda: stream_of(s)['state'] == 'live', 'an IDR came')
        same(stream_of(s)['reason'], '')


def cpu(s):
    """Seconds of CPU so far."""
    with open('/proc/%d/stat' % s.p.pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def unread(s):
    """Bytes in the pipe."""
    n = array.array('i', [0])
    fcntl.ioctl(s.p.stdin.fileno(), termios.FIONREAD, n)
    return n[0]


# ==== the recipes of README.md ====
# Each line of the indented blocks is run as it stands there; what is put in the place of devices is in stand_in().

RPICAM = """#!/usr/bin/env python3
# Stands in for rpicam-vid: knows its options, and writes the way it does: a picture at a time through a stdio buffer,
# which keeps the end of each picture until the next one unless --flush is given.
import os, signal, subprocess, sys
FLAGS = set('help version list-cameras nopreview fullscreen qt-preview hflip vflip flush no-raw inline listen keypress '
            'signal split libav-audio low-latency'.split())
VALUES = set('camera verbose config info-text width height timeout output post-process-file preview rotation roi shutter '
             'analoggain gain metering exposure ev awb awbgains wrap brightness contrast saturation sharpness framerate '
             'denoise viewfinder-width viewfinder-height tuning-file lores-width lores-height mode viewfinder-mode '
             'buffer-count viewfinder-buffer-count autofocus-mode autofocus-range autofocus-speed autofocus-window '
             'lens-position hdr metadata metadata-format flicker-period bitrate profile level intra codec save-pts quality '
             'initial segment circular frames libav-video-codec libav-video-codec-opts libav-format audio-codec '
             'audio-source audio-device audio-channels audio-bitrate audio-samplerate av-sync sync'.split())
LETTERS = dict(h='help', v='verbose', c='config', t='timeout', o='output', n='nopreview', p='preview', f='fullscreen',
               b='bitrate', g='intra', q='quality', l='listen', k='keypress', s='signal', i='initial')
given, args = dict(width='640', height='480', framerate='30', codec='h264', intra='60', timeout='5000'), sys.argv[1:]
while args:
    word = args.pop(0)
    name, _, value = word[2:].partition('=') if word.startswith('--') else (LETTERS.get(word[1:]), '', '')
    if name not in FLAGS | VALUES or not word.startswith('-'):
        sys.exit("ERROR: *** unrecognised option '%s' ***" % word)
    given[name] = True if name in FLAGS else value or args.pop(0)
if given['codec'] != 'h264' or given.get('output') != '-' or given['timeout'] != '0':
    sys.exit('stand-in: only endless h264 on standard output')
x264 = 'sliced-threads=0:scenecut=0:repeat-headers=%d' % bool(given.get('inline'))
size = 'testsrc2=size=%sx%s:rate=%s' % (given['width'], given['height'], given['framerate'])
encoder = subprocess.Popen(['ffmpeg', '-v', 'error', '-re', '-f', 'lavfi', '-i', size, '-c:v', 'libx264', '-preset',
                            'ultrafast', '-tune', 'zerolatency', '-profile:v', 'high', '-pix_fmt', 'yuv420p', '-threads',
                            '1', '-x264-params', x264, '-g', given['intra'], '-f', 'h264', '-'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(encoder.kill()))
kept = b''
while True:
    picture = os.read(encoder.stdout.fileno(), 1 << 20)
    if not picture:
        break
    kept += picture
    whole = len(kept) if given.get('flush') else len(kept) // 4096 * 4096
    try:
        while whole:
            done = os.write(1, kept[:whole])
            kept, whole = kept[done:], whole - done
    except BrokenPipeError:
        break
encoder.kill()
"""


def readme_recipes():
    """The lines of the blocks in the order in which they stand there, then the commands within the text."""
    with open(os.path.join(ROOT, 'README.md')) as f:
        part = re.search(r'^## Recipes\n(.*?)^## ', f.read(), re.M | re.S).group(1)
    blocks = [[line[4:] for line in block.splitlines()] for block in re.findall(r'(?:^    .*\n)+', part, re.M)]
    inline = re.findall(r'`(\./webrtc_cam [^`]+)`', part)
    return blocks, inline, part


def ffmpeg(*args):
    done = subprocess.run(['ffmpeg', '-v', 'error', '-y'] + list(args), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    if done.returncode:
        raise Skip('ffmpeg: ' + done.stderr.strip()[-200:])


def film(folder, name, size, *options):
    ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=%s:rate=25' % size, '-t', '3', *options, '-pix_fmt', 'yuv420p',
           os.path.join(folder, name))


def kitchen():
    """A folder in which recipes work as written: the project, its program, films, the stand-in."""
    folder = os.path.join(TMP, 'recipes')
    if os.path.isdir(folder):
        return folder
    need('ffmpeg', 'make')
    os.makedirs(os.path.join(folder, 'bin'))
    for name in ('Makefile', 'webrtc_cam.c', 'webrtc_cam.h', 'test'):
        os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
    shutil.copyfile(BIN, os.path.join(folder, 'webrtc_cam'))  # newer than its source: make has nothing to do
    os.chmod(os.path.join(folder, 'webrtc_cam'), 0o755)
    with open(os.path.join(folder, 'bin', 'rpicam-vid'), 'w') as f:
        f.write(RPICAM)
    os.chmod(os.path.join(folder, 'bin', 'rpicam-vid'), 0o755)
    live = ('-c:v', 'libx264', '-bf', '0', '-g', '25')
    film(folder, 'some.h264', '320x192', *live)
    film(folder, 'yard.h264', '480x272', *live)
    film(folder, 'door.h264', '352x288', *live)
    film(folder, 'door-small.h264', '176x144', *live)
    film(folder, 'film.mp4', '416x240', *live)
    film(folder, 'film.avi', '400x224', '-c:v', 'mpeg4')
    return folder


class Cooking(Server):
    """A shell command that starts a server on this port somewhere."""

    def __init__(self, line, folder, port):  # pylint: disable=super-init-not-called
        self.log_file = tempfile.NamedTemporaryFile(dir=TMP, suffix='.log')
        self.port, self.line = port, line
        env = dict(ENV, PATH=os.path.join(folder, 'bin') + os.pathsep + ENV.get('PATH', ''))
        self.p = subprocess.Popen(['sh', '-c', line], cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log_file,
                                  stderr=self.log_file, env=env, start_new_session=True)
        Server.all.append(self)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', self.port)) == 0

    def up(self):
        until(lambda: self.answers() or self.p.poll() is not None, 'it listens: ' + self.line, 20)
        check(self.answers(), 'ended:', self.log()[-1000:])

    def kill(self):
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait()
        self.log_file.close()
        Server.all.remove(self)

    def stop(self, number=signal.SIGTERM):
        try:
            os.killpg(self.p.pid, number)
            until(lambda: not self.answers(), 'it does not stop', 10)
        finally:
            log = self.log()
            self.kill()
        check('Sanitizer' not in log and 'runtime error' not in log, log[-3000:])
        return log


def stand_in(line, port):
    """The command with what this machine lacks put in its place; the sizes that must be seen, by camera."""
    sizes = {'some.h264': (320, 192), 'yard.h264': (480, 272), 'door.h264': (352, 288), 'door-small.h264': (176, 144),
             'film.h264': None, '-': None}
    if 'rtsp://' in line and 'ffmpeg' in line:
        raise Skip('an RTSP server is needed')
    line = re.sub(r'(rtsp://[^@ ]*@)[^/ ]+', r'\g<1>127.0.0.1:%d' % free_port(), line)  # nobody is there
    if '/dev/video0' in line:
        check('-f v4l2 -i /dev/video0' in line, line)
        line = line.replace('-f v4l2 -i /dev/video0', '-re -f lavfi -i testsrc2=size=640x480:rate=30')
        sizes['-'] = (640, 480)
    if line.startswith('rpicam-vid'):
        sizes['-'] = tuple(int(re.search('--%s (\\d+)' % side, line).group(1)) for side in ('width', 'height'))
    if re.search(r'--listen \S*:?8080', line):
        line = re.sub(r'(--listen \S*?)8080', r'\g<1>%d' % port, line)
    else:
        line = re.sub(r"(\./webrtc_cam |ARGS=')", r'\g<1>--listen %d ' % port, line)
    check(str(port) in line, 'no place for the port:', line)
    seen = {}
    for word in re.split(r"[\s']+", line.split('./webrtc_cam')[-1].split("ARGS='")[-1]):
        name, source = re.match(r'(?:([\w/-]+)=)?(.*)', word).groups()
        spec = re.match(r'test:(?:(\d+)x(\d+))?', source)
        if spec:
            seen[name or 'cam'] = tuple(int(n or default) for n, default in zip(spec.groups(), (1280, 720)))
        elif sizes.get(source):
            seen[name or 'cam'] = sizes[source]
    return line, seen


def plays(s, sizes, **kw):
    """All streams are live, in this size, without a complaint; pictures go on."""
    def now():
        streams = {c['name'] + ('/' + c['stream'] if c['stream'] else ''): c for c in s.state(**kw)['streams']}
        same(sorted(streams), sorted(sizes), s.line)
        return streams

    def live():
        check(s.p.poll() is None, 'ended:', s.log()[-1000:])
        return all(c['state'] == 'live' for c in now().values())
    s.up()
    until(live, 'live: ' + s.line, 20)
    first = now()
    until(lambda: all(c['frames'] >= first[n]['frames'] + 40 for n, c in now().items()), 'forty pictures more', 20)
    for name, c in now().items():
        same((c['width'], c['height'], c['reason']), sizes[name] + ('',), name + ': ' + s.line)
    return s.state(**kw)['drops']


def cook(line, conf):
    folder, port = kitchen(), free_port()
    if re.match('ffmpeg [^|]*$', line) and not 'rtsp://' in line:  # makes a file
        done = subprocess.run(['sh', '-c', line], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        same(done.returncode, 0, done.stderr[-500:])
        out = line.split()[-1]
        size = (416, 240) if 'film.mp4' in line else (400, 224)
        with Cooking('./webrtc_cam -l %d %s' % (port, out), folder, port) as s:
            same(plays(s, {'cam': size}), {}, 'drops')
        os.unlink(os.path.join(folder, out))
        return
    kw = {}
    line, sizes = stand_in(line, port)
    if '@camera.conf' in line:
        check(conf, 'camera.conf is not in README.md')
        text = '\n'.join(conf) + '\n'
        secret = re.search('^--user (.+)$', text, re.M).group(1)
        file('recipes/camera.conf', re.sub(r'=/\S*/(\S+)$', r'=\1', text, flags=re.M))
        sizes = {'yard': (480, 272)}
        kw['headers'] = {'Authorization': 'Basic ' + base64.b64encode(secret.encode()).decode()}
        kw['name'] = re.search('^--host (.+)$', text, re.M).group(1)
    if re.search(r'=rtsp://', line):
        cook_rtsp(line, folder, port)
        return
    check(sizes, 'no camera is known in', line)
    with Cooking(line, folder, port) as s:
        drops = plays(s, sizes, **kw)
        if 'rpicam-vid' in line and '--flush' not in line:  # pictures without their ends: two guesses, no third
            check(drops.pop('h264_pause_in_picture', 0) <= 2, drops)
            drops.pop('h264_before_first_idr', 0)
        same(drops, {}, 'drops: ' + line)
        if kw:
            same(get(port, '/api/streams').status, 401)


def cook_rtsp(line, folder, port):
    """Without a camera at the other end: the server runs, and says what is wrong; not the password."""
    with Cooking(line, folder, port) as s:
        until(lambda: s.answers() or s.p.poll() is not None, 'it listens: ' + line, 20)
        check('password' not in s.log(), s.log()[-500:])
        if 'does not read rtsp' in s.log():
            raise Skip('this version does not read rtsp://')
        s.up()
        stream = until(lambda: (lambda t: t['state'] != 'live' and t['reason'] and t)(stream_of(s)), 'a reason')
        check('password' not in json.dumps(stream), stream)


def cook_whep(line, part):
    """In your own page: the address in the line, the option in the text before it."""
    cors = re.search('`(--cors (\\S+))`', part)
    path = re.search(r'http://\S+?(/\S+)', line).group(1)
    with Server(*cors.group(1).split(), 'test:64x64') as s:
        r = whep(s.port, path=path, headers=dict(SDP, Origin=cors.group(2)))
        same((r.status, r['access-control-allow-origin']), (201, cors.group(2)))


def add_recipes():
    blocks, inline, part = readme_recipes()
    conf = next((b[1:] for b in blocks if b[0].startswith('# camera.conf')), None)
    lines = [line for b in blocks if not b[0].startswith('#') for line in b if line] + \
            [line for line in inline if not line.endswith('--help')]
    for number, line in enumerate(lines):
        if line.startswith('POST '):
            run_it = (lambda text: lambda: cook_whep(text, part))(line)
        else:
            run_it = (lambda text: lambda: cook(text, conf))(line)
        run_it.__name__ = 'recipe_%d_%s' % (number + 1, ' '.join(line.split())[:70])
        TESTS.append(run_it)


add_recipes()


# ==== resources ====

@test
def join_and_leave_200_times():
    with Server('test:64x64') as s:
        def cycles(n, net):
            for k in range(n // 25):  # 25 cycles are 50 requests: below the burst that one address may send
                with Conn(s.port, '127.%d.0.%d' % (net, k + 1)) as c:
                    for _ in range(25):
                        c.send(request('POST', '/cam/whep', SDP, offer()))
                        r = c.reply()
                        same(r.status, 201)
                        c.send(request('DELETE', r['location']))
                        same(c.reply().status, 200)
        fds = s.fds()
        cycles(100, 4)
        before = s.rss()
        cycles(200, 5)
        until(lambda: s.fds() <= fds, 'descriptors stay open')
        grown = s.rss() - before
        check(grown < (16 if s.has_asan() else 1) << 20, 'memory grew by %d KiB' % (grown >> 10))
        same((s.state()['viewers'], s.state()['joined']), (0, 300))


@test
def join_and_leave_500_times_with_pictures():
    """Offer, checks, handshake, a whole picture; then DELETE or close_notify in turn. Nothing of it may stay."""
    with Server('test:320x192') as s:
        def cycles(n):
            joined, said = s.state()['joined'], []
            with contextlib.ExitStack() as stack:
                five = [stack.enter_context(Viewers(s, 'cycles', n // 5)) for _ in range(5)]
                for v in five:
                    v.wait(lambda: v.lines, 'joins', 120)  # pylint: disable=cell-var-from-loop
                    said.append(v.lines[0])
            until(lambda: not s.state()['viewers'], 'all have left')
            same(s.state()['joined'] - joined, n)
            return said[0]
        fds = s.fds()
        cycles(50)
        until(lambda: s.fds() <= fds, 'descriptors stay open')
        before = s.rss()
        said = cycles(450)
        until(lambda: s.fds() <= fds, 'descriptors stay open')
        grown = s.rss() - before
        print('# 5 at once: ' + said + '; memory after 50 joins %d KiB, 450 later %+d KiB' % (before >> 10, grown >> 10))
        check(grown < (4 if s.has_asan() else 1) << 20, 'memory grew by %d KiB' % (grown >> 10))
        same((s.fds(), s.state()['drops']), (fds, {}))


@test
def fifty_viewers_at_once():
    with Server('test:320x192') as s:
        fds, idle = s.fds(), s.rss()
        with Viewers(s, 'hold', 1) as v:
            v.watching()
            one = s.rss()
        with Viewers(s, 'hold', 50) as v:
            v.watching()
            frames = s.state()['streams'][0]['frames']
            until(lambda: s.state()['streams'][0]['frames'] > frames + 60, 'two seconds')
            state = s.state()
            check(state['viewers'] >= 50 and len(state['sessions']) == state['viewers'], state['viewers'])
            same({x['state'] for x in state['sessions']}, {'live'})
            many = s.rss()
        pictures, _, missing = map(int, re.match(r'(\d+) pictures, (\d+) packets, (\d+) missing', v.lines[-1]).groups())
        same(missing, 0, 'packets that did not come')
        check(pictures >= 50 * 60, pictures, 'whole pictures in all')
        until(lambda: not s.state()['viewers'] and s.fds() <= fds, 'all have left')
        left = s.rss()
        print('# memory idle %d KiB, 1 viewer %d, 50 viewers %d: %.1f KiB each; when they have left %d'
              % (idle >> 10, one >> 10, many >> 10, (many - one) / 49 / 1024, left >> 10))
        if not s.has_asan():
            check((many - one) / 49 < 200 << 10, 'a viewer costs %d KiB' % ((many - one) / 49 / 1024))


@test
def random_datagrams():
    rng = random.Random(2)
    with Server('test:64x64') as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        before = s.state()['drops']
        same(before, {})
        sdp = whep(s.port).body.decode()
        ufrag = re.search(r'a=ice-ufrag:(\S+)\r', sdp).group(1)
        for i in range(1000):
            n = rng.choice((0, 1, 2, 19, 20, 28, 100, 1200, 1500, 2048, 2049, 4000))
            data = bytearray(rng.randrange(256) for _ in range(n))
            if n and i % 3 == 0:
                data[0] = rng.choice((0, 1, 20, 22, 63, 128, 191))
            if n >= 20 and i % 5 == 0:  # looks like STUN, whose attributes are noise
                data[:8] = b'\0\1' + ((n - 20) & ~3).to_bytes(2, 'big') + b'\x21\x12\xa4\x42'
            if i % 50 == 0:  # the right name with a wrong HMAC
                name = (ufrag + ':abcd').encode()
                value = b'\0\6' + len(name).to_bytes(2, 'big') + name + bytes(-len(name) % 4)
                value += b'\0\x08\0\x14' + bytes(20)
                data = b'\0\1' + len(value).to_bytes(2, 'big') + b'\x21\x12\xa4\x42' + bytes(12) + value
            u.sendto(data, ('127.0.0.1', s.port))
            if i % 50 == 49:  # as fast as it takes them, so that no queue overflows
                s.alive()
        drops = until(lambda: (lambda d: sum(d.values()) >= 1000 and d)(s.state()['drops']), 'all are counted')
        same(sum(drops.values()), 1000, drops)
        for name in ('udp_empty', 'udp_large', 'udp_unknown_kind', 'udp_stranger', 'stun_malformed', 'stun_integrity'):
            check(drops.get(name), name, drops)
        same(drops['stun_integrity'], 20)
        same(s.state()['viewers'], 1)


@test
def strangers_get_no_more_than_they_send():
    """Sources of datagrams are forged easily: what is sent back must not be more than what came."""
    with Server('test:64x64') as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.settimeout(5)
        u.connect(('127.0.0.1', s.port))
        u.send(b'\0\1\0\0\x21\x12\xa4\x42' + bytes(12))
        until(lambda: s.state()['drops'], 'it was taken')
        ready = select.select([u], [], [], 0)[0]
        got = len(u.recv(2000)) if ready else 0
        check(got <= 20, 'an unauthenticated request of 20 bytes was answered with', got)


class Slow(threading.Thread):
    """Clients that never finish, all at once: takes the 10 s once, beside the other tests."""

    def __init__(self):
        super().__init__(daemon=True)
        self.results, self.error = {}, None

    def run(self):
        try:
            self.work()
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def work(self):
        post = request('POST', '/cam/whep', dict(SDP, **{'Content-Length': 5000}))
        chunk = request('POST', '/cam/whep', dict(SDP, **{'Transfer-Encoding': 'chunked'}))
        starts = {'request line': b'GET /', 'headers': b'GET / HTTP/1.1\r\nHost: localhost\r\nX: ',
                  'body': post, 'chunks': chunk + b'5\r\nabcde\r\n',
                  'second request': request('GET', '/healthz') + b'GET '}
        with Server('test:64x64') as s:
            fds = s.fds()
            open_ = {name: Conn(s.port, timeout=2) for name in starts}
            open_['deaf'] = Conn(s.port, timeout=2, rcvbuf=4096)
            begin = time.monotonic()
            for name, data in starts.items():
                open_[name].send(data)
            open_['deaf'].s.setblocking(False)
            bulk = request('GET', '/cam') * 500
            sent = 0
            while open_ and time.monotonic() - begin < 20:
                for name, c in list(open_.items()):
                    try:
                        if name == 'deaf':
                            sent += c.s.send(bulk[sent % len(bulk):])
                        else:
                            c.send(b'a' if name != 'chunks' else b'1\r\na\r\n')
                    except BlockingIOError:
                        pass
                    except OSError:
                        if name == 'deaf':
                            self.results[name] = (time.monotonic() - begin, 'closed')
                            open_.pop(name).close()
                reading = [c for n, c in open_.items() if n != 'deaf']
                ready = select.select(reading and [c.s for c in reading], [], [], 0.25)[0]
                for name, c in list(open_.items()):
                    if c.s not in ready:
                        continue
                    try:
                        if c.more():
                            continue
                    except OSError:
                        pass
                    self.results[name] = (time.monotonic() - begin, c.data)
                    open_.pop(name).close()
                same(get(s.port, '/healthz').status, 200, 'others are served meanwhile')
            for name in open_:
                self.results[name] = (99, 'still open')
            until(lambda: s.fds() <= fds, 'descriptors stay open')


@test
def slow_and_deaf_clients_are_closed():
    slow.join(25)
    check(not slow.is_alive(), 'did not end')
    if slow.error:
        raise slow.error
    for name in ('request line', 'headers', 'body', 'chunks', 'second request'):
        after, data = slow.results[name]
        check(8 < after < 14, name, 'closed after %.1f s' % after)
        check(b'HTTP/1.1 408 ' in data and b'problem+json' in data, name, data)
    after, data = slow.results['deaf']
    check(after < 16, 'the one that reads nothing:', after, data)


# ==== the frame ====

def main():
    words = sys.argv[1:]
    chosen = [t for t in TESTS if not words or any(w in t.__name__ for w in words)]
    passed = failed = 0
    check(os.access(BIN, os.X_OK), 'no binary at', BIN)
    if slow_and_deaf_clients_are_closed in chosen:
        slow.start()
    for t in chosen:
        name = t.__name__.replace('_', ' ')
        begin = time.monotonic()
        try:
            t()
        except Skip as e:
            print('ok - %s # skip %s' % (name, e))
            passed += 1
        except Exception as e:  # pylint: disable=broad-except
            where = sys.exc_info()[2]
            while where.tb_next and where.tb_next.tb_frame.f_code.co_name not in ('check', 'same', 'refuses', 'problem',
                                                                                  'raw', 'run', 'until', 'reply'):
                where = where.tb_next
            why = ' '.join(('%s: %s' % (type(e).__name__, e) if not isinstance(e, AssertionError) else str(e)).split())
            print('not ok - %s: line %d: %s' % (name, where.tb_lineno, why))
            failed += 1
        else:
            print('ok - %s' % name)
            passed += 1
        if os.environ.get('WCAM_TIMES'):
            print('#   %.2f s' % (time.monotonic() - begin))
        sys.stdout.flush()
    print('%d passed, %d failed' % (passed, failed))
    return failed != 0


slow = Slow()
if __name__ == '__main__':
    try:
        status = main()
    finally:
        for left in list(Server.all):
            left.kill()
        shutil.rmtree(TMP, ignore_errors=True)
    sys.exit(status)
