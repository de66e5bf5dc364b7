#!/usr/bin/env python3
"""IP cameras, black box: scripted RTSP servers against the program, and GStreamer's, live555 and VLC where they are.
Loopback only, standard library only.

usage: camera.py [WORD ...]      only the tests whose name contains one of the words
WCAM_BIN names the binary (./webrtc_cam); a sanitizer build is fine. The tests run side by side, since most of their
time is waiting. Prints `ok - name` or `not ok - name: why`, last `N passed, N failed`; exit status 0 when none failed.
"""
import base64
import concurrent.futures
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cli import Server as OneServer, Skip, TMP, annexb, ask, check, free_port, fresh, get, problem, same, until, whep  # pylint: disable=wrong-import-position

TESTS = []
ODD = 'p@s#s%:w/?'[:8]  # each of these has its own meaning in an address
SDP = ('v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n'
       'a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n')


class Server(OneServer):
    """One that may be stopped within its `with`."""
    last = ''

    def has_stopped(self):
        with open('/proc/%d/stat' % self.p.pid) as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'T'

    def stop(self, number=signal.SIGTERM):
        if self in OneServer.all:
            self.last = super().stop(number)
        return self.last

    def __exit__(self, kind, *rest):
        if self in OneServer.all:
            super().__exit__(kind, *rest)


def test(f):
    TESTS.append(f)
    return f


def pictures():
    """Access units: lists of NAL units."""
    units, unit = [], []
    for nal in annexb(pictures=50).split(b'\0\0\0\1')[1:]:
        unit.append(nal)
        if nal[0] & 31 in (1, 5):
            units.append(unit)
            unit = []
    return units


PICTURES = pictures()


class Camera:
    """An RTSP server with one stream. script: method -> what to do instead of the usual answer, a function of
    (request, connection) that gives bytes, None for silence, or False to hang up. What a client sends is checked."""

    def __init__(self, auth='', user='ann', password='pw', script=None, timeout=60, channels='0-1', sdp=SDP, after=0,
                 pieces=0, per_second=50):
        self.auth, self.user, self.password, self.script = auth.split(), user, password, script or {}
        self.timeout, self.channels, self.sdp, self.after, self.pieces = timeout, channels, sdp, after, pieces
        self.interval = 1 / per_second
        self.nonce, self.asked, self.wrong, self.connections, self.seq = 'n0nce', [], [], 0, 0
        self.clock = time.monotonic()
        self.s = socket.create_server(('127.0.0.1', 0))
        self.port = self.s.getsockname()[1]
        self.stopped = False
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, credentials=None, path='/live'):
        if credentials is None:
            credentials = '%s:%s@' % (self.user, self.password) if self.auth else ''
        return 'rtsp://%s127.0.0.1:%d%s' % (credentials, self.port, path)

    def stop(self):
        self.stopped = True
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        same(self.wrong, [], 'requests that are wrong:')

    def methods(self):
        return [r['method'] for r in list(self.asked)]

    def accept(self):
        while not self.stopped:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    # ---- requests ----

    def read(self, c, state):
        """The next request as a dictionary; None: none yet, False: the end."""
        try:
            got = c.recv(65536)
            if not got:
                return False
            state['data'] += got
        except socket.timeout:
            pass
        except OSError:
            return False
        if b'\r\n\r\n' not in state['data']:
            return None
        head, state['data'] = state['data'].split(b'\r\n\r\n', 1)
        if re.search(rb'[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n', head):
            self.wrong.append(head)
        lines = head.decode('latin-1').split('\r\n')
        m = re.fullmatch(r'([A-Z_]+) (rtsp://[^@ ]+) RTSP/1\.0', lines[0])
        if not m:
            self.wrong.append(lines[0])
            return False
        r = {k.lower(): v.strip() for k, v in (line.split(':', 1) for line in lines[1:])}
        r['method'], r['url'] = m.groups()
        if not r.get('cseq', '').isdigit():
            self.wrong.append(lines)
        self.asked.append(r)
        return r

    def allowed(self, r):
        given = r.get('authorization', '')
        if given.startswith('Basic '):
            return 'basic' in self.auth and 'digest' not in self.auth and \
                base64.b64decode(given[6:]) == ('%s:%s' % (self.user, self.password)).encode()
        if not given.startswith('Digest '):
            return False
        p = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^\s,]+)', given)}
        sha = 'sha256' in self.auth
        if p.get('nonce') != self.nonce or p.get('uri') != r['url'] or ('algorithm' in p) != sha:
            return False

        def h(*parts):
            return (hashlib.sha256 if sha else hashlib.md5)(':'.join(parts).encode()).hexdigest()
        a1, a2 = h(self.user, 'cam', self.password), h(r['method'], r['url'])
        want = h(a1, p['nonce'], p['nc'], p['cnonce'], p['qop'], a2) if 'qop' in self.auth else h(a1, p['nonce'], a2)
        return p['response'] == want and p['username'] == self.user

    def refuse(self, r):
        out = 'RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\n' % r['cseq']
        if 'digest' in self.auth:
            out += 'WWW-Authenticate: Digest realm="cam", nonce="%s"' % self.nonce
            out += ', algorithm=SHA-256' * ('sha256' in self.auth) + ', qop="auth"' * ('qop' in self.auth) + '\r\n'
        if 'basic' in self.auth:
            out += 'WWW-Authenticate: Basic realm="cam"\r\n'
        return (out + '\r\n').encode()

    def ok(self, r, lines='', body=''):
        return ('RTSP/1.0 200 OK\r\nCSeq: %s\r\n%s%s\r\n%s' % (
            r['cseq'], lines, 'Content-Length: %d\r\n' % len(body) if body else '', body)).encode()

    def usual(self, r):
        session = 'Session: 4711;timeout=%d\r\n' % self.timeout
        if r['method'] == 'OPTIONS':
            return self.ok(r, 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n')
        if r['method'] == 'DESCRIBE':
            return self.ok(r, 'Content-Type: application/sdp\r\n', self.sdp)
        if r['method'] == 'SETUP':
            return self.ok(r, 'Transport: RTP/AVP/TCP;unicast;interleaved=%s\r\n' % self.channels + session)
        return self.ok(r, session)

    # ---- one connection ----

    def send(self, c, data):
        step = self.pieces or len(data) or 1
        for i in range(0, len(data), step):
            c.sendall(data[i:i + step])

    def packets(self, unit):
        """One access unit as interleaved frames."""
        ticks = int((time.monotonic() - self.clock) * 90000) & 0xffffffff
        out = b''
        for i, nal in enumerate(unit):
            last = 0x80 if i == len(unit) - 1 else 0
            rtp = struct.pack('!BBHII', 0x80, last | 96, self.seq & 0xffff, ticks, 7) + nal
            out += struct.pack('!BBH', 0x24, int(self.channels.split('-')[0]), len(rtp)) + rtp
            self.seq += 1
        return out

    def serve(self, c):
        state, playing, sent, due = {'data': b''}, False, 0, 0
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while not self.stopped:
                c.settimeout(max(0.001, due - time.monotonic()) if playing else 0.2)
                r = self.read(c, state)
                if r is False:
                    break
                if r:
                    hook = self.script.get(r['method'])
                    answer = self.refuse(r) if self.auth and not self.allowed(r) else \
                        hook(r, self) if hook else self.usual(r)
                    if answer is False:
                        break
                    if answer:
                        self.send(c, answer)
                    if r['method'] == 'PLAY' and answer and b' 200 ' in answer[:20]:
                        playing, due = True, time.monotonic()
                    if r['method'] == 'TEARDOWN':
                        break
                while playing and time.monotonic() >= due:
                    if self.after and sent >= self.after:
                        return
                    self.send(c, self.packets(PICTURES[sent % len(PICTURES)]))
                    sent += 1
                    due += self.interval
        except OSError:
            pass
        finally:
            c.close()


def status(code, lines=''):
    return lambda r, _: ('RTSP/1.0 %d No\r\nCSeq: %s\r\n%s\r\n' % (code, r['cseq'], lines)).encode()


def silent(_r, _c):
    return None


def stream(s, i=0):
    return s.state()['streams'][i]


def until_reason(s, words, i=0, seconds=15.0):
    last = [None]

    def told():
        last[0] = stream(s, i)['reason']
        return words in last[0]
    try:
        until(told, words, seconds)
    except AssertionError:
        raise AssertionError('wanted %r, the last reason is %r' % (words, last[0])) from None


def until_frames(s, n, i=0, seconds=10.0):
    until(lambda: stream(s, i)['frames'] >= n or None, 'picture %d: %s' % (n, stream(s, i)['reason']), seconds)


def watch(s, name='cam'):
    """A viewer that exists for 30 s; its URL."""
    r = whep(s.port, path='/%s/whep' % name)
    same(r.status, 201, r.body[:300])
    return r['location']


def has_no_secret(log, *secrets):
    for secret in secrets:
        for form in (secret, urllib.parse.quote(secret, safe='')):
            check(form not in log, 'a secret stands in the log')


# ---- tests ----

def plays(auth, password='pw', url_password=None, **kw):
    with Camera(auth, password=password, **kw) as cam:
        credentials = 'ann:%s@' % (url_password or password) if auth else ''
        with Server('cam=' + cam.url(credentials)) as s:
            same(cam.connections, 0, 'called before anybody watches')
            check('when somebody watches' in stream(s)['reason'], stream(s))
            watch(s)
            until_frames(s, 30)
            v = stream(s)
            same((v['state'], v['reason'], v['width'], v['height'], v['source']), ('live', '', 64, 64, 'rtsp'))
            check(10 < v['fps'] < 90 or v['fps'] == 0, v)
            until(lambda: re.search(r'webrtc_cam_stream_up\{camera="cam",stream=""\} 1\n', get(s.port, '/metrics').body.decode()), 'stream_up')
            state = json.dumps(s.state()) + get(s.port, '/metrics').body.decode()
            same(cam.methods()[-2:], ['SETUP', 'PLAY'])
            same(cam.connections, 1)
            s.stop()
            until(lambda: 'TEARDOWN' in cam.methods(), 'TEARDOWN at the end')
            if auth:
                check(all('authorization' in r for r in cam.asked[2:]), 'a request without Authorization')
        # the log's file is gone with the server: it was read by stop()
        return state


def logged(auth, password, url_password):
    """The same again with an eye on the log."""
    with Camera(auth, password=password) as cam, Server('cam=' + cam.url('ann:%s@' % url_password)) as s:
        watch(s)
        until_frames(s, 5)
        cam.auth, cam.password = auth.split(), 'changed'  # now it is wrong
        cam.after = 1
        until_reason(s, 'refuses the name or the password')
        state = json.dumps(s.state()) + get(s.port, '/metrics').body.decode() + get(s.port, '/cam').body.decode()
        until(lambda: stream(s) and 'refuses the name or the password' in s.log(), 'the log says why')
        log = s.stop()
        has_no_secret(log + state, password, url_password)


@test
def plays_without_password():
    plays('')


@test
def plays_with_basic():
    plays('basic')


@test
def plays_with_digest():
    plays('digest')


@test
def plays_with_digest_and_qop():
    plays('digest qop')


@test
def plays_with_sha256():
    plays('digest sha256 qop')


@test
def plays_with_two_challenges():
    plays('digest basic')


@test
def plays_byte_by_byte():
    plays('digest', pieces=1, per_second=25)


@test
def plays_on_other_channels():
    plays('', channels='4-5')


@test
def odd_password_as_it_stands():
    logged('digest', ODD, ODD)


@test
def odd_password_percent_encoded():
    logged('basic', ODD, urllib.parse.quote(ODD, safe=''))


@test
def new_nonce_at_a_sign_of_life():
    with Camera('digest', timeout=2) as cam, Server('cam=' + cam.url()) as s:
        watch(s)
        until_frames(s, 5)
        for i in range(3):
            cam.nonce = 'n%d' % i
            n = len(cam.asked)
            until(lambda: len(cam.asked) >= n + 2, 'signs of life')
            until(lambda: cam.allowed(cam.asked[-1]), 'the new nonce')
        until_frames(s, stream(s)['frames'] + 20)
        same((cam.connections, stream(s)['reason']), (1, ''))


@test
def signs_of_life_refused():
    for how in (status(454), silent):
        with Camera(timeout=2, script={'GET_PARAMETER': how}) as cam, Server('cam=' + cam.url()) as s:
            watch(s)
            until_frames(s, 5)
            until(lambda: cam.methods().count('OPTIONS') >= 3, 'OPTIONS in place of GET_PARAMETER', 15)
            until_frames(s, stream(s)['frames'] + 20)
            same((cam.connections, stream(s)['reason']), (1, ''))


@test
def closes_in_mid_stream():
    with Camera(after=40) as cam, Server('cam=' + cam.url()) as s:
        watch(s)
        until_frames(s, 30)
        session = s.state()['sessions'][0]
        until_reason(s, 'broke the connection off')
        until(lambda: cam.connections >= 3, 'it is called again', 8)
        until_frames(s, 90)
        now = s.state()['sessions']
        same(len(now), 1, 'the viewer stays')
        check(now[0]['seconds'] >= session['seconds'], now)
        s.alive()


@test
def leaves_after_the_last_viewer():
    with Camera() as cam, Server('cam=' + cam.url()) as s:
        where = watch(s)
        until_frames(s, 20)
        same(ask(s.port, 'DELETE', where).status, 200)
        left = time.monotonic()
        until(lambda: 'TEARDOWN' in cam.methods(), 'TEARDOWN', 16)
        lingered = time.monotonic() - left
        check(8 < lingered < 14, 'left after %.1f s' % lingered)
        same(cam.asked[-1].get('session'), '4711')
        until_reason(s, 'when somebody watches')
        same(cam.connections, 1)
        frames = stream(s)['frames']
        watch(s)
        until_frames(s, frames + 10)
        same((cam.connections, stream(s)['reason']), (2, ''))


@test
def keep_warm_needs_no_viewer():
    with Camera() as cam, Server('--keep-warm', 'cam=' + cam.url()) as s:
        until_frames(s, 20)
        same((cam.connections, stream(s)['viewers'], stream(s)['state']), (1, 0, 'live'))


@test
def sound_is_asked_for_and_its_lack_explained():
    def methods(codec, *options):
        sdp = SDP + 'm=audio 0 RTP/AVP 97\r\na=rtpmap:97 %s\r\na=control:track2\r\n' % codec
        with Camera(sdp=sdp) as cam, Server('--keep-warm', *options, 'cam=' + cam.url()) as s:
            until_frames(s, 10)
            return cam.methods().count('SETUP'), stream(s)['audio_reason']
    same(methods('PCMA/8000'), (2, ''))
    same(methods('PCMA/8000', '--no-audio'), (1, ''))
    setups, why = methods('MPEG4-GENERIC/16000')
    check(setups == 1 and 'MPEG4-GENERIC' in why, setups, why)


@test
def reasons():
    """Each with its own words, all at once; the server goes on meanwhile."""
    def html(_r, _c):
        return b'HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>'
    h265 = SDP.replace('H264', 'H265')
    moved = 'Location: rtsp://192.0.2.66/live\r\n'
    cases = [
        ('closed', None, 'rtsp://127.0.0.1:%d/' % free_port(), 'cannot be reached: Connection refused'),
        ('far', None, 'rtsp://192.0.2.1:9/', 'cannot be reached'),
        ('name', None, 'rtsp://no-such-camera.invalid/', 'name is not known'),
        ('html', Camera(script={'OPTIONS': html}), None, 'web server'),
        ('path', Camera(script={'DESCRIBE': status(404)}), None, '404'),
        ('busy', Camera(script={'SETUP': status(453)}), None, 'busy'),
        ('h265', Camera(sdp=h265), None, 'H265, which is not H.264'),
        ('none', Camera(sdp=SDP.replace('m=video', 'm=audio')), None, 'no video'),
        ('udp', Camera(script={'SETUP': status(461)}), '?transport=tcp', 'over TCP'),
        ('pass', Camera('digest', password='right'), 'ann:wr0ng@', 'refuses the name or the password'),
        ('nopass', Camera('digest'), '', 'asks for a name and password'),
        ('hangup', Camera(script={'DESCRIBE': lambda r, c: False}), None, 'broke the connection off'),
        ('moved', Camera(script={'DESCRIBE': status(302, moved)}), None, 'another host'),
        ('still1', Camera(script={'OPTIONS': silent}), None, 'does not answer'),
        ('still2', Camera(script={'DESCRIBE': silent}), None, 'does not answer'),
        ('still3', Camera(script={'SETUP': silent}), None, 'does not answer'),
        ('still4', Camera(script={'PLAY': silent}), None, 'does not answer'),
        ('dark', Camera(per_second=0.001), None, 'no picture'),
    ]
    args = []
    for name, cam, url, _ in cases:
        if cam:
            url = cam.url() + url if url and url[0] == '?' else cam.url(url)
        args.append('%s=%s' % (name, url))
    with Server(*args) as s:
        for name, _, _, _ in cases:
            watch(s, name)
        begin = time.monotonic()
        for _ in range(20):
            one = time.monotonic()
            same(get(s.port, '/healthz').body, b'ok\n')
            check(time.monotonic() - one < 1, 'others wait while a name is looked up')
        missing, seen = dict((c[0], c[3]) for c in cases), {}
        while missing and time.monotonic() - begin < 28:
            for v in s.state()['streams']:
                if v['reason'] not in seen.setdefault(v['name'], []):
                    seen[v['name']].append(v['reason'])
                if missing.get(v['name'], '\n') in v['reason']:
                    del missing[v['name']]
            time.sleep(0.02)
        check(not missing, *['%s: wanted %r, saw %r;' % (k, w, seen[k]) for k, w in missing.items()])
        for v in s.state()['streams']:
            same(v['state'], 'waiting', v)
        log = s.stop()
        has_no_secret(log, 'wr0ng')
        for name, cam, _, _ in cases:
            if cam:
                same(cam.wrong, [], name)
                cam.stop()
        wrong = next(c[1] for c in cases if c[0] == 'pass')
        check(wrong.connections <= 1, 'a wrong password was tried %d times within seconds' % wrong.connections)


@test
def a_hostile_camera():
    """What would break a header line of ours, or the log."""
    def bad(_r, c):
        return (b'RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm="a\rX: y", nonce="b\x1b[2J"\r\n\r\n'
                if c.connections % 2 else b'RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm="a", nonce="\x00\x01"\r\n\r\n')

    def odd(r, c):
        return c.ok(r, '', SDP.replace('track1', 'a\rb\x1b[2Jc').replace('H264', 'H\x1b[31m264' if c.connections % 2 else 'H264'))
    cams = [Camera(script={'OPTIONS': bad}), Camera(script={'DESCRIBE': odd})]
    with cams[0] as a, cams[1] as b, Server('a=' + a.url('ann:pw@'), 'b=' + b.url()) as s:
        watch(s, 'a')
        watch(s, 'b')
        until(lambda: a.connections >= 2 and b.connections >= 2, 'two calls each', 12)
        s.alive()
        log = s.stop()
        check(not re.search(r'[\x00-\x09\x0b-\x1f\x7f]', log), 'control bytes in the log: %r' % log)


@test
def a_truncated_aggregate():
    """A STAP-A that promises more than it has must not keep the server busy for ever."""
    with Camera() as cam, Server('cam=' + cam.url()) as s:
        bad = [b'\x18\xff\xff\x65abcdefgh', b'\x18\0\1\x67\0\x99abcdefgh', b'\x18', b'\x1c', b'']
        good = cam.packets
        count = [0]

        def packets(unit):
            count[0] += 1
            return good([bad[count[0] // 5 % len(bad)]]) if count[0] % 5 == 0 else good(unit)
        cam.packets = packets
        watch(s)
        until_frames(s, 60)
        s.alive()


@test
def plays_without_range():
    """Live media cannot be played from a place: some servers refuse any Range (RFC 2326 11.3.8)."""
    for code in 457, 503:
        def no_range(r, c, number=code):
            return status(number)(r, c) if 'range' in r else c.usual(r)
        with Camera('digest', script={'PLAY': no_range}) as cam, Server('cam=' + cam.url()) as s:
            watch(s)
            until_frames(s, 20)
            same((stream(s)['state'], stream(s)['reason']), ('live', ''))
            same([('range' in r) for r in cam.asked if r['method'] == 'PLAY'], [True, False])
            same(cam.connections, 1, 'connections')


@test
def goodbye_is_heard():
    """RTCP BYE: the session is given back and the camera called again, without ten seconds of silence."""
    with Camera() as cam:
        whole, units = cam.packets, [0]

        def packets(unit):
            units[0] += 1
            bye = struct.pack('!BBHBBHI', 0x24, 1, 8, 0x81, 203, 1, 7) if units[0] == 30 else b''
            return whole(unit) + bye if units[0] <= 30 or cam.connections > 1 else b''
        cam.packets = packets
        with Server('cam=' + cam.url()) as s:
            watch(s)
            until(lambda: cam.connections == 2, 'the second call', 6)
            until_frames(s, 50)
            same(cam.methods().count('TEARDOWN'), 1)


@test
def silence_gives_the_session_back():
    with Camera() as cam:
        whole = cam.packets
        cam.packets = lambda unit: whole(unit) if cam.seq < 60 else b''
        with Server('cam=' + cam.url()) as s:
            watch(s)
            until_frames(s, 20)
            until_reason(s, 'sends no picture any more', seconds=15)
            until(lambda: 'TEARDOWN' in cam.methods(), 'TEARDOWN', 3)


@test
def many_reconnects():
    """Fifty connections that end: descriptors and memory stay where they were."""
    cams = [Camera(after=12) for _ in range(8)]
    with Server(*['c%d=%s' % (i, c.url()) for i, c in enumerate(cams)]) as s:
        for i in range(len(cams)):
            watch(s, 'c%d' % i)

        def count():
            return sum(c.connections for c in cams)
        until(lambda: count() >= 3 * len(cams), 'the first connections', 20)
        fds, rss = max(s.fds() for _ in range(20)), s.rss()
        until(lambda: count() >= 3 * len(cams) + 50, 'fifty more', 40)
        more, grown = max(s.fds() for _ in range(20)), s.rss() - rss
        check(more <= fds + len(cams), 'descriptors: %d, then %d' % (fds, more))
        limit = (24 if s.has_asan() else 4) << 20
        check(grown < limit, 'memory grew by %d bytes' % grown)
        print('# %d connections: descriptors %d, then %d; memory grew by %d KiB' % (count(), fds, more, grown >> 10))
    for c in cams:
        same(c.wrong, [])
        c.stop()


@test
def stops_while_it_dials():
    """No camera holds up the end."""
    with Camera(script={'OPTIONS': silent}) as cam:
        s = Server('a=' + cam.url(), 'b=rtsp://no-such-camera.invalid/', 'c=rtsp://192.0.2.1/')
        for name in 'abc':
            watch(s, name)
        until(lambda: cam.connections, 'the call')
        begin = time.monotonic()
        s.stop(signal.SIGINT)
        check(time.monotonic() - begin < 4, 'took %.1f s' % (time.monotonic() - begin))


# ---- media by UDP ----

class UdpCamera(Camera):
    """One that takes UDP alone. order(packets of an access unit, its number): what is sent of them, in which order.
    pinholes, reports: (when, from which port, bytes) of what comes to its two ports."""

    def __init__(self, order=lambda packets, _: packets, size=1200, swell=0, **kw):
        self.order, self.size, self.swell, self.units, self.client = order, size, swell, 0, 0
        self.pinholes, self.reports, self.sent_report = [], [], None
        self.udp = self.pair()
        for i, heard in enumerate((self.pinholes, self.reports)):
            threading.Thread(target=self.hear, args=(self.udp[i], heard), daemon=True).start()
        super().__init__(script={'SETUP': self.set_up, **kw.pop('script', {})}, **kw)

    @staticmethod
    def pair():
        while True:
            a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            a.bind(('127.0.0.1', 0))
            try:
                b.bind(('127.0.0.1', a.getsockname()[1] + 1))
                return a, b
            except OSError:
                a.close()
                b.close()

    @staticmethod
    def hear(s, heard):
        with contextlib.suppress(OSError):
            while True:
                data, where = s.recvfrom(2048)
                if not where:  # it is closed
                    return
                heard.append((time.monotonic(), where[1], data))

    def stop(self):
        super().stop()
        for s in self.udp:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)  # ends recvfrom
            s.close()

    def set_up(self, r, _):
        m = re.search(r'RTP/AVP;unicast;client_port=(\d+)-(\d+)', r['transport'])
        if not m:
            return status(461)(r, self)
        self.client = int(m.group(1))
        same((self.client % 2, int(m.group(2))), (0, self.client + 1))
        return self.ok(r, 'Transport: RTP/AVP;unicast;client_port=%d-%d;server_port=%d-%d\r\nSession: 4711\r\n' % (
            self.client, self.client + 1, self.udp[0].getsockname()[1], self.udp[1].getsockname()[1]))

    def packets(self, unit):
        """Sends one access unit, its slice made larger by swell bytes, in pieces of at most size bytes."""
        ticks = int((time.monotonic() - self.clock) * 90000) & 0xffffffff
        payloads = [nal for nal in unit[:-1]]
        nal = unit[-1] + bytes(i % 251 + 1 for i in range(self.swell))
        pieces = [nal[i:i + self.size] for i in range(1, len(nal), self.size)]
        payloads += [bytes([nal[0] & 0xe0 | 28, (i == 0) << 7 | (i == len(pieces) - 1) << 6 | nal[0] & 31]) + p
                     for i, p in enumerate(pieces)]
        packets = []
        for i, p in enumerate(payloads):
            last = 0x80 if i == len(payloads) - 1 else 0
            packets.append(struct.pack('!BBHII', 0x80, last | 96, self.seq & 0xffff, ticks, 7) + p)
            self.seq += 1
        for p in self.order(packets, self.units):
            self.udp[0].sendto(p, ('127.0.0.1', self.client))
        self.units += 1
        if self.units == 10:  # a sender report
            self.sent_report = time.monotonic()
            self.udp[1].sendto(struct.pack('!BBHIIIIII', 0x80, 200, 6, 7, 0xe1234567, 0x89abcdef, ticks, 0, 0),
                               ('127.0.0.1', self.client + 1))
        return b''


def incomplete(s):
    return s.state()['drops'].get('rtp_incomplete_picture', 0)


@test
def reports_to_a_udp_camera():
    """Who sends by UDP hears how it arrives (RFC 3550 6.4.2); an empty packet keeps the way to the other port open."""
    with UdpCamera() as cam, Server('cam=' + cam.url()) as s:
        watch(s)
        until(lambda: cam.pinholes and cam.reports, 'the first packets to both ports', 3)
        check(cam.pinholes[0][0] <= cam.reports[0][0] + 0.5, 'an empty packet not before the first report')
        until(lambda: len(cam.reports) > 1, 'the second report', 8)
        check(len(cam.pinholes) > 1 or until(lambda: len(cam.pinholes) > 1, 'a second empty packet', 1))
        for _, port, data in cam.pinholes:
            same((port, data[:1], len(data)), (cam.client, b'\x80', 12))
        when, port, data = cam.reports[1]
        same(port, cam.client + 1)
        check(3.5 < when - cam.reports[0][0] < 6.5, 'the second report after %.1f s' % (when - cam.reports[0][0]))
        same(data[:4], b'\x81\xc9\0\7')
        ours, ssrc, lost, highest, _, stamp, delay = struct.unpack('!7I', data[4:32])
        check(ours and data[4:8] == cam.reports[0][2][4:8], 'the SSRC of the reports:', cam.reports)
        same((ssrc, lost, stamp), (7, 0, 0x456789ab))
        check(cam.seq * 2 // 3 < highest < cam.seq, 'the highest number is %d of %d' % (highest, cam.seq))
        check(abs(delay / 65536 - (when - cam.sent_report)) < 0.5, 'DLSR %.2f s' % (delay / 65536))


@test
def udp_out_of_order():
    """Neighbours change places, each third comes twice: every picture is whole."""
    def order(packets, number):
        if number:  # before the first one nothing is known
            for i in range(number % 2, len(packets) - 1, 2):
                packets[i], packets[i + 1] = packets[i + 1], packets[i]
        return [p for i, p in enumerate(packets) for _ in range(1 + (i % 3 == 0))]
    with UdpCamera(order, size=100, swell=1500) as cam, Server('cam=' + cam.url()) as s:
        watch(s)
        until_frames(s, 60)
        same((incomplete(s), stream(s)['reason'], cam.connections), (0, '', 2))


@test
def a_keyframe_at_once_by_udp():
    """150 KB arrive while the program has no time: the kernel keeps them for it."""
    with open('/proc/sys/net/core/rmem_max') as f:
        if int(f.read()) < 200000:
            raise Skip('net.core.rmem_max is below 200,000')
    with UdpCamera() as cam, Server('cam=' + cam.url()) as s:
        watch(s)
        until_frames(s, 20)
        units, send = [], cam.packets
        cam.packets = lambda unit: units.append(unit) or b''  # it pauses
        until(lambda: len(units) > 1, 'the pause')
        frames, seen = stream(s)['frames'], cam.seq
        s.p.send_signal(signal.SIGSTOP)
        try:
            until(lambda: s.has_stopped(), 'it stands')
            cam.swell = 150000
            send(PICTURES[0])
        finally:
            s.p.send_signal(signal.SIGCONT)
        check(cam.seq - seen > 120, cam.seq - seen)
        until(lambda: stream(s)['frames'] > frames or incomplete(s), 'the keyframe', 3)
        same((stream(s)['frames'], incomplete(s), stream(s)['reason']), (frames + 1, 0, ''))


# ---- cameras that viewers open ----

@test
def cameras_opened_by_viewers_are_few():
    with Camera(per_second=5) as cam, Server('--allow-source', cam.url(path='/'), 'test:64x64') as s:
        def open_camera(i):
            return ask(s.port, 'POST', '/api/cameras', {'Content-Type': 'application/json'},
                       json.dumps({'url': cam.url('j0hn:p%40w%2F@', '/live%d' % i)}), source=fresh())
        names, sessions = [], []
        for i in range(8):
            r = open_camera(i)
            same(r.status, 201, r.body)
            names.append(json.loads(r.body)['name'])
            sessions.append(watch(s, names[i]))
        same(len(set(names)), 8)
        r = open_camera(8)
        problem(r, 503, 'too many cameras are open seconds after its last viewer has left')
        same(r['retry-after'], '30')
        r = open_camera(3)  # the same address is the same camera, also when there is no room
        same((r.status, json.loads(r.body)['name']), (201, names[3]))
        same(len(s.state()['streams']), 9)
        same(ask(s.port, 'DELETE', sessions[5], source=fresh()).status, 200)
        left = time.monotonic()
        same(open_camera(8).status, 503, 'at once, while the one that was left lingers')
        until(lambda: names[5] not in [v['name'] for v in s.state()['streams']], 'the one that was left goes', 14)
        check(time.monotonic() - left > 8, 'it went after %.1f s' % (time.monotonic() - left))
        r = open_camera(8)
        same(r.status, 201, r.body)
        have = [v['name'] for v in s.state()['streams']]
        check(set(names) - {names[5]} < set(have) and json.loads(r.body)['name'] in have, have)
        same(open_camera(9).status, 503)
        same(get(s.port, '/' + names[5]).status, 404)
        has_no_secret(json.dumps(s.state()) + get(s.port, '/metrics').body.decode() + s.stop(), 'p@w/', 'j0hn')


# ---- secrets ----

@test
def a_cameras_password_is_not_in_ps():
    with Camera('digest', 'j0hn', 'p@s/w') as cam:
        at = '127.0.0.1:%d' % cam.port
        urls = {'a': 'rtsp://j0hn:s3cr3t@' + at + '/live', 'b': 'rtsp://j0hn:s3@cr3t@' + at + '/live', 'c': cam.url('j0hn:p@s%2Fw@'),
                'd': 'rtsp://j0hn:12/s3cr3t@' + at + '/live',  # by mistake: it is no password to us, and is one all the same
                'e': 'rtsps://j0hn:s3cr3t%40@' + at + '/live', 'f/sub': 'rtsp://j0hn:s3cr3t@' + at + '/live?transport=udp'}
        with Server(*['%s=%s' % one for one in urls.items()], urls['a']) as s:
            with open('/proc/%d/cmdline' % s.p.pid, 'rb') as f:
                line = f.read().decode()
            check(line.count('@' + at) == len(urls) + 1, 'the address stays:', line)
            for name in 'abcdef':
                watch(s, name)
            until_frames(s, 5, 2)
            until_reason(s, 'refuses the name or the password', 0)
            until_reason(s, 'refuses the name or the password', 1)
            until(lambda: stream(s, 3)['reason'] and 'when somebody' not in stream(s, 3)['reason'], 'a reason')
            told = [line, json.dumps(s.state()), get(s.port, '/metrics').body.decode(), get(s.port, '/').body.decode(), s.stop()]
        for where, text in zip(('ps', '/api/streams', '/metrics', 'the page', 'the log'), told):
            for secret in ('s3', 'cr3t', 'p@s', 's/w', 's%2Fw', 'j0hn'):
                check(secret not in text, '%r is in %s' % (secret, where))


# ---- floods ----

class Flood(Camera):
    """Answers as long as there are answers, then says the same for ever."""

    def __init__(self, said, answers=0):
        self.said, self.answers = said, answers
        super().__init__()

    def serve(self, c):
        state = {'data': b''}
        c.settimeout(5)
        try:
            for _ in range(self.answers):
                r = None
                while r is None:
                    r = self.read(c, state)
                c.sendall(self.usual(r))
            while not self.stopped:
                c.sendall(self.said)
        except OSError:
            pass
        finally:
            c.close()


@test
def floods_are_given_up_and_hold_nobody_up():
    announce = b'ANNOUNCE rtsp://cam/ RTSP/1.0\r\nCSeq: 1\r\n\r\n' * 500
    floods = [(b'x' * 65536, 0, 'sends what is no RTSP'), (b'x' * 65536, 4, 'sends what is no RTSP'),
              (announce, 0, 'sends messages without end'), (announce, 4, 'sends messages without end'),
              ((b'$\1\xff\xff' + bytes(65535)) * 64, 4, '')]  # RTCP's channel: this one is borne for a while
    cams = [Flood(said, answers) for said, answers, _ in floods]
    with Server(*['c%d=%s' % (i, c.url()) for i, c in enumerate(cams)]) as s:
        for i in range(len(cams)):
            watch(s, 'c%d' % i)
        seen, took, end = {}, [], time.monotonic() + 20
        while (len(seen) < len(cams) or len(took) < 100) and time.monotonic() < end:
            begin = time.monotonic()
            same(get(s.port, '/healthz').body, b'ok\n')
            took.append(time.monotonic() - begin)
            for i, v in enumerate(s.state()['streams']):
                if floods[i][2] in v['reason']:
                    seen[i] = 1
            time.sleep(0.01)
        check(len(seen) == len(cams), 'given up:', sorted(seen), [v['reason'] for v in s.state()['streams']])
        until(lambda: all(c.connections > 1 for c in cams[:4]), 'each is called again')
        took.sort()
        print('# floods: /healthz within %.1f ms (median of %d), %.1f ms at most' % (
            1000 * took[len(took) // 2], len(took), 1000 * took[-1]))
        check(took[len(took) // 2] < 0.2, '/healthz takes %.3f s' % took[len(took) // 2])
        for c in cams:
            c.stop()


# ---- servers of other makes ----

SYSTEM = '/usr/bin/python3'  # Debian's gi belongs to Debian's Python
TEST = os.path.dirname(os.path.abspath(__file__))
GST = [sys.executable if importlib.util.find_spec('gi') or not os.path.exists(SYSTEM) else SYSTEM,
       os.path.join(TEST, 'gst_server.py')]
MAKING, BUILDING = threading.Lock(), threading.Lock()  # one test at a time makes what they share


def made(name, *options):
    """A file by ffmpeg, made once."""
    path = os.path.join(TMP, name)
    with MAKING:
        if os.path.exists(path):
            return path
        try:
            done = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-y', '-f', 'lavfi', '-i', *options, path + '.new'],
                                  stderr=subprocess.PIPE, check=False)
        except OSError:
            raise Skip('ffmpeg is not installed') from None
        if done.returncode:
            raise Skip('ffmpeg cannot make a stream: %s' % done.stderr.decode().strip()[-200:])
        os.rename(path + '.new', path)
    return path


def film(size='320x240'):
    """20 s of H.264, 25 pictures a second, an IDR each second."""
    return made('film_%s.h264' % size, 'testsrc=size=%s:rate=25' % size, '-t', '20', '-c:v', 'libx264', '-preset', 'ultrafast',
                '-tune', 'zerolatency', '-bf', '0', '-g', '25', '-pix_fmt', 'yuv420p', '-f', 'h264')


class Other:
    """A server's process, which may be killed and started again at the same port. It prints its port, then perhaps what
    it is asked, a line each; words: those lines."""

    def __init__(self):
        self.words, self.port = [], 0
        self.p = self.start()

    def command(self):
        """At self.port; 0: at any."""
        raise NotImplementedError

    def start(self):
        command = self.command()
        p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = p.stdout.readline().strip()
        if not line:
            why = p.communicate()[1].strip().splitlines()
            raise Skip((why or ['%s said nothing' % command[0]])[-1])
        self.port = int(line)
        threading.Thread(target=lambda: self.words.extend(said.strip() for said in p.stdout), daemon=True).start()
        threading.Thread(target=p.stderr.read, daemon=True).start()
        return p

    def url(self, credentials='', path='/cam'):
        return 'rtsp://%s127.0.0.1:%d%s' % (credentials, self.port, path)

    def kill(self):
        self.p.kill()
        self.p.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def is_live(s, i=0, shared=False, **more):
    """shared: others get the same pictures, so the first packet may come from within one."""
    v = stream(s, i)
    want = {'state': 'live', 'reason': '', 'width': 320, 'height': 240, **more}
    same({k: v[k] for k in want}, want)
    check(s.state()['drops'].get('rtp_incomplete_picture', 0) <= shared, 'access units that were not whole:', s.state()['drops'])


def goes_on(s, cam, shared=False):
    """The camera is killed and started again: the same viewers get its pictures."""
    frames, viewers = stream(s)['frames'], len(s.state()['sessions'])
    cam.kill()
    until_reason(s, 'broke the connection off')
    cam.p = cam.start()
    until_frames(s, frames + 20, seconds=15)
    is_live(s, shared=2 * shared)
    same(len(s.state()['sessions']), viewers, 'the viewers stay')


# ---- GStreamer's RTSP server ----

class GStreamer(Other):
    def __init__(self, auth='none', *options):
        self.rest = [auth, 'ann', 'p@ss', *options]
        super().__init__()

    def command(self):
        return GST + [film(), *self.rest, '--port', str(self.port)]


def gstreamer(auth):
    credentials = 'ann:p%40ss@' if auth != 'none' else ''
    with GStreamer(auth) as cam:
        with Server('cam=' + cam.url(credentials)) as s:
            watch(s)
            until_frames(s, 40, seconds=20)
            is_live(s)
            goes_on(s, cam)
        if auth != 'none':
            with Server('cam=' + cam.url('ann:no@')) as s:
                watch(s)
                until_reason(s, 'refuses the name or the password')
        with Server('cam=' + cam.url(credentials, '/nowhere')) as s:
            watch(s)
            until_reason(s, '404')


@test
def gstreamer_without_password():
    gstreamer('none')


@test
def gstreamer_basic():
    gstreamer('basic')


@test
def gstreamer_digest():
    gstreamer('digest')


@test
def gstreamer_sees_each_client_leave():
    """Three programs at one server, by TCP and, where it takes nothing else, by UDP."""
    for transport in 'tcp', 'udp':
        with GStreamer('none', '--tell', '--transport', transport) as cam, contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Server('cam=' + cam.url())) for _ in range(3)]
            for s in clients:
                watch(s)
            for s in clients:
                until_frames(s, 10, seconds=20)
                is_live(s, shared=True)
            same((cam.words.count('PLAY /cam'), cam.words.count('TEARDOWN /cam')), (3, 0))
            for gone, s in enumerate(clients, 1):
                s.stop()
                until(lambda n=gone: cam.words.count('TEARDOWN /cam') == n, 'TEARDOWN of client %d' % gone)


@test
def two_streams_of_one_camera():
    """Each is a conversation of its own, and begins when that one is watched."""
    with GStreamer('digest', '--tell', '--sub', film('160x128')) as cam:
        with Server('front=' + cam.url('ann:p%40ss@'), 'front/sub=' + cam.url('ann:p%40ss@', '/sub')) as s:
            same([(v['name'], v['stream'], v['whep']) for v in s.state()['streams']],
                 [('front', '', '/front/whep'), ('front', 'sub', '/front/whep?stream=sub')])
            same(whep(s.port, path='/front/whep?stream=sub').status, 201)
            until_frames(s, 10, 1, 20)
            is_live(s, 1, width=160, height=128, viewers=1)
            same({w for w in cam.words if w.endswith('/cam')}, set(), 'the first stream, which nobody watches:')
            v = stream(s)
            same((v['frames'], v['viewers'], v['reason']), (0, 0, 'The camera is called when somebody watches.'))
            same(whep(s.port, path='/front/whep').status, 201)
            until_frames(s, 10, 0, 20)
            is_live(s, 0, viewers=1)
            is_live(s, 1, width=160, height=128, viewers=1)
            same([cam.words.count('PLAY ' + path) for path in ('/cam', '/sub')], [1, 1])
            same(whep(s.port, path='/front/whep?stream=no').status, 404)
            s.stop()
            until(lambda: {'TEARDOWN /cam', 'TEARDOWN /sub'} <= set(cam.words), 'TEARDOWN of both')


# ---- live555, which is inside very many cameras ----

class Live555(Other):
    def __init__(self, timeout, *password, sound=True):
        with BUILDING:
            built = subprocess.run(['sh', 'live555.sh', '../build/live555'], cwd=TEST, capture_output=True, text=True, check=False)
        if built.returncode == 77:
            raise Skip(built.stderr.strip())
        same(built.returncode, 0, built.stderr)
        self.tone = made('tone.wav', 'sine=frequency=440', '-t', '20', '-ar', '8000', '-ac', '1', '-fflags', '+bitexact',
                         '-flags:a', '+bitexact', '-c:a', 'pcm_s16le', '-f', 'wav') if sound else '-'
        self.rest = [str(timeout), *password]
        super().__init__()

    def command(self):
        return [os.path.join(TEST, '../build/live555/server'), film(), self.tone, str(self.port), *self.rest]


def live555(query):
    """It lets a client go that gives no sign of life for 2 s. Its PCMU has no rtpmap."""
    with Live555(2) as cam:
        with Server('cam=' + cam.url(path='/cam' + query)) as s:
            watch(s)
            until_frames(s, 130)
            is_live(s, audio='PCMU')
            check('broke' not in s.log(), s.log())
            goes_on(s, cam)


@test
def live555_over_tcp():
    live555('')


@test
def live555_over_udp():
    live555('?transport=udp')


@test
def live555_digest():
    with Live555(65, 'ann', 'p@ss', sound=False) as cam:
        with Server('cam=' + cam.url('ann:p%40ss@'), 'pass=' + cam.url('ann:no@'), 'none=' + cam.url(),
                    'path=' + cam.url('ann:p%40ss@', '/nowhere')) as s:
            for name in 'cam', 'pass', 'none', 'path':
                watch(s, name)
            until_frames(s, 40)
            is_live(s, audio='')
            until_reason(s, 'refuses the name or the password', 1)
            until_reason(s, 'asks for a name and password', 2)
            until_reason(s, '404', 3)


# ---- VLC ----

class Vlc(Other):
    def command(self):
        root = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] if os.getuid() == 0 else []  # it refuses to
        return root + ['vlc', '-I', 'dummy', '--loop', '--no-audio', '--demux', 'h264', '--h264-fps', '25', film(), '--sout-keep',
                       '--sout', '#gather:rtp{sdp=%s}' % self.url()]

    def start(self):
        if not shutil.which('vlc'):
            raise Skip('VLC is not installed')
        self.port = self.port or free_port()
        os.chmod(TMP, 0o755)
        p = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env={**os.environ, 'HOME': TMP})

        def answers():
            check(p.poll() is None, 'VLC ended with status %s' % p.returncode)
            with socket.socket() as c:
                return not c.connect_ex(('127.0.0.1', self.port))
        try:
            until(answers, 'VLC listens', 15)
        except AssertionError:
            p.kill()
            p.wait()
            raise
        return p


def vlc(query):
    with Vlc() as cam, Server('cam=' + cam.url(path='/cam' + query), 'path=' + cam.url(path='/nowhere' + query)) as s:
        watch(s)
        watch(s, 'path')
        until_frames(s, 40, seconds=15)
        is_live(s, shared=True)
        until_reason(s, '404', 1)
        goes_on(s, cam, shared=True)


@test
def vlc_over_tcp():
    vlc('')


@test
def vlc_over_udp():
    vlc('?transport=udp')


def one(f):
    begin = time.monotonic()
    try:
        f()
    except Skip as e:
        return 'skip - %s: %s' % (f.__name__.replace('_', ' '), e)
    except Exception as e:  # pylint: disable=broad-except
        where = [x for x in traceback.extract_tb(e.__traceback__) if os.path.basename(x.filename) == 'camera.py'][-1]
        kind = '' if isinstance(e, AssertionError) else type(e).__name__ + ': '
        return 'not ok - %s: line %d: %s%s' % (f.__name__.replace('_', ' '), where.lineno, kind, ' '.join(str(e).split()))
    took = ' (%.1f s)' % (time.monotonic() - begin) if os.environ.get('WCAM_TIMES') else ''
    return 'ok - ' + f.__name__.replace('_', ' ') + took


def main():
    words = sys.argv[1:]
    chosen = [t for t in TESTS if not words or any(w in t.__name__ for w in words)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        lines = []
        for future in concurrent.futures.as_completed([pool.submit(one, t) for t in chosen]):
            lines.append(future.result())
            print(lines[-1], flush=True)
    failed = sum(line.startswith('not ok') for line in lines)
    skipped = sum(line.startswith('skip') for line in lines)
    print('%d passed, %d failed' % (len(lines) - failed - skipped, failed) + (', %d skipped' % skipped if skipped else ''))
    return failed != 0


if __name__ == '__main__':
    try:
        result = main()
    finally:
        for left in list(OneServer.all):
            left.kill()
        shutil.rmtree(TMP, ignore_errors=True)
    sys.exit(result)
