#!/usr/bin/env python3
"""Seeds for test/fuzz.c: small valid inputs for each target, and what WCAM_DATA holds besides, when it is there.

usage: corpus.py OUT      writes OUT/TARGET/NAME

The formats of the inputs are those that the targets in fuzz.c read; all numbers are big endian.
"""
import hashlib
import hmac
import json
import os
import struct
import sys
import tarfile
import zlib

LARGEST = 48 * 1024  # a larger seed only makes the fuzzer slow


def u8(*values):
    return bytes(values)


def u16(value):
    return struct.pack('>H', value)


def u24(value):
    return struct.pack('>I', value)[1:]


def u32(value):
    return struct.pack('>I', value)


def block(data):
    return u16(len(data)) + data


# ---- stun: flags, address, block; flags 1 raw, 2 username, 4 integrity, 8 fingerprint, 16 nominate, 32 indication ----

def stun_attribute(kind, value):
    return u16(kind) + u16(len(value)) + value + bytes(-len(value) % 4)


def stun_message(kind, attributes, key=None):
    head = lambda n: u16(kind) + u16(n) + u32(0x2112a442) + b'transaction.'
    if key is not None:
        mac = hmac.new(key, head(len(attributes) + 24) + attributes, hashlib.sha1).digest()
        attributes += stun_attribute(8, mac)
    crc = zlib.crc32(head(len(attributes) + 8) + attributes) ^ 0x5354554e
    return head(len(attributes) + 8) + attributes + stun_attribute(0x8028, u32(crc))


def stun_seeds():
    pwd = b'abcdefghijklmnopqrstuvwx'
    user = stun_attribute(6, b'0000abcd:them')
    check = user + stun_attribute(0x24, u32(0x6e0001ff)) + stun_attribute(0x802a, bytes(8))
    raw = lambda message: u8(1, 1) + block(message)
    yield 'check', raw(stun_message(1, check, pwd))
    yield 'nominated', raw(stun_message(1, check + stun_attribute(0x25, b''), pwd))
    yield 'controlled', raw(stun_message(1, user + stun_attribute(0x8029, bytes(8)), pwd))
    yield 'unknown', raw(stun_message(1, user + stun_attribute(0x7777, b'what') + stun_attribute(0x4001, b''), pwd))
    yield 'wrong_password', raw(stun_message(1, check, b'wrong'))
    yield 'anonymous', raw(stun_message(1, b''))
    yield 'indication', raw(stun_message(0x11, b''))
    yield 'success', raw(stun_message(0x101, stun_attribute(0x20, u8(0, 1) + u16(0x1234) + bytes(4)), pwd))
    yield 'success6', raw(stun_message(0x101, stun_attribute(0x20, u8(0, 2) + u16(0x1234) + bytes(16)), pwd))
    yield 'error', raw(stun_message(0x111, stun_attribute(9, u8(0, 0, 4, 1)) + stun_attribute(10, u16(1)), pwd))
    wide = stun_message(1, b'')[:-8]
    wide = wide[:2] + u16(12) + wide[4:]
    yield 'wide_fingerprint', raw(wide + u16(0x8028) + u16(8) + u32(zlib.crc32(wide) ^ 0x5354554e) + bytes(4))
    yield 'paths', b''.join(u8(6 | (i % 3 == 0) << 4, i) + block(b'') for i in range(16))
    yield 'built', b''.join(u8(flags, flags & 15) + block(stun_attribute(0x24, bytes(4))) for flags in range(0, 64, 2))


# ---- dtls: mode 0 records: time, block; 1 fragments; 2 and 3 two peers, a byte for each datagram ----

def dtls_hello(seq=0, srtp=True):
    extension = lambda kind, body: u16(kind) + block(body)
    extensions = extension(10, u16(2) + u16(23)) + extension(11, u8(1, 0)) + extension(13, u16(4) + u16(0x403) + u16(0x401))
    if srtp:
        extensions += extension(14, u16(2) + u16(1) + u8(0))
    body = u16(0xfefd) + bytes(range(32)) + u8(0, 0) + u16(4) + u16(0xc02b) + u16(0xc02f) + u8(1, 0) + block(extensions)
    return u8(1) + u24(len(body)) + u16(seq) + u24(0) + u24(len(body)) + body


def dtls_record(kind, body, number=0, epoch=0):
    return u8(kind) + u16(0xfefd) + u16(epoch) + bytes(2) + u32(number) + block(body)


def dtls_cut(message, at):
    head, body = message[:6], message[12:]
    for number, (begin, part) in enumerate([(0, body[:at]), (at, body[at:])]):
        yield dtls_record(22, head + u24(begin) + u24(len(part)) + part, number)


def dtls_seeds():
    hello = dtls_hello()
    yield 'hello', u8(0, 0) + block(dtls_record(22, hello))
    yield 'hello_without_srtp', u8(0, 0) + block(dtls_record(22, dtls_hello(0, False)))
    yield 'hello_twice', u8(0) + (u8(20) + block(dtls_record(22, hello))) * 2
    yield 'hello_cut', u8(0) + b''.join(u8(0) + block(r) for r in dtls_cut(hello, 40))
    yield 'hello_cut_reversed', u8(0) + b''.join(u8(0) + block(r) for r in reversed(list(dtls_cut(hello, 40))))
    yield 'alert', u8(0, 0) + block(dtls_record(21, u8(2, 40)))
    yield 'two_records', u8(0, 0) + block(dtls_record(22, hello) + dtls_record(21, u8(1, 0), 1))
    yield 'silence', u8(0) + u8(255, 0, 0) * 20
    yield 'fragments', u8(1) + u16(1500) + bytes(range(20)) + b''.join(u16(at) + u8(30) for at in (1000, 0, 481, 962, 0))
    yield 'fragments_again', u8(1) + u16(600) + bytes(90) + b''.join(u16(at) + u8(3) for at in range(0, 900, 40))
    for what in range(8):
        yield 'pair_%d' % what, u8(2, 0, what | 64, 0, what | 128, 0, 0, what)
    yield 'pair_hard', u8(2) + u8(5, 6, 2, 6, 1, 2, 6, 2, 5, 2, 6, 1, 6, 2)


# ---- rtcp: 0, a datagram; 1, flags (rtx, send time, delay, on demand, small history), sequence numbers, commands ----

def rtcp_packet(kind, count, words, padding=0):
    words += bytes(padding - 1) + u8(padding) if padding else b''
    return u8(0x80 | (0x20 if padding else 0) | count, kind) + u16(len(words) // 4) + words


def rtcp_seeds():
    me, you = u32(0x1000), u32(0x01020304)
    block_ = you + u8(12) + u24(0xfffffe) + u32(70000) + u32(90) + u32(0x12345678) + u32(65536)
    report = rtcp_packet(201, 1, me + block_)
    yield 'rr', u8(0) + report
    yield 'sr', u8(0) + rtcp_packet(200, 2, me + bytes(20) + block_ * 2)
    yield 'compound', u8(0) + report + rtcp_packet(202, 1, me + u8(1, 1) + b'b\0\0\0\0\0') + rtcp_packet(206, 1, me + you)
    yield 'nack', u8(0) + rtcp_packet(205, 1, me + you + u16(1) + u16(0xffff))
    yield 'fir', u8(0) + rtcp_packet(206, 4, me + bytes(4) + you + u8(1, 0, 0, 0))
    yield 'remb', u8(0) + rtcp_packet(206, 15, me + bytes(4) + b'REMB' + u8(1) + u24(0x4ffff) + you)
    yield 'remb_largest', u8(0) + rtcp_packet(206, 15, me + bytes(4) + b'REMB' + u8(1) + u24(0xffffff) + you)
    clock = rtcp_packet(207, 0, me + u8(4, 0) + u16(2) + bytes(range(8)))
    yield 'reference_time', u8(0) + clock + rtcp_packet(207, 0, me + u8(9, 0) + u16(1) + bytes(4) + u8(4, 0) + u16(2) + bytes(8)) + rtcp_packet(207, 0, me + u8(4, 0) + u16(9))
    yield 'bye', u8(0) + rtcp_packet(203, 1, me)
    yield 'bye_of_nobody', u8(0) + rtcp_packet(203, 0, b'')
    yield 'padded', u8(0) + report + rtcp_packet(206, 1, me + you, 8)
    yield 'full', u8(0) + rtcp_packet(201, 31, me + block_ * 31)
    picture = lambda key, nals=1, size=200: u8(0, key | (nals - 1) << 1, size)
    wait = lambda ms: u8(1, 0, ms) if ms < 256 else u8(1, 1, ms // 100)
    nack = lambda back, mask=0: u8(2) + u16(back) + u16(mask)
    storm = lambda back, b: u8(3, back // 16, b)
    plis = lambda n, ms, fir=False: u8(4, fir | ms // 20 << 1, n)
    live = lambda n, size=200: u8(7, 1 | size // 20 << 1, n)
    slides = lambda nals, longer=0: u8(8, nals, longer)
    for flags in range(32):
        start = u8(1, flags) + u16(0x7ff0) + u16(0x7fff)
        yield 'sender_%d' % flags, start + live(9) + nack(3) + nack(3) + wait(20) + nack(9, 0xffff) + live(40, 2500) + storm(64, 3) + wait(30) + storm(32, 1) + plis(3, 100)
    start = u8(1, 4) + u16(5) + u16(6)
    yield 'sender_report', start + live(40) + (u8(5) + bytes(2) + u8(255, 0, 0, 9) + bytes(4) + u32(9000) + bytes(8) + wait(200)) * 5
    yield 'sender_storm', start + live(90, 2000) + (storm(400, 3) + wait(12)) * 30
    yield 'sender_storm_rtx', u8(1, 7) + start[2:] + live(90, 2000) + (storm(400, 3) + wait(12)) * 30
    yield 'sender_still', start + live(255, 20) + live(255, 20) + live(255, 20) + plis(9, 2100) + picture(1)
    yield 'sender_slides', start + slides(200) + wait(300) + plis(20, 2400) + nack(300, 0xffff)
    yield 'sender_long_ago', start + slides(220) + wait(300) + plis(110, 2100) + nack(33000, 0xffff) + plis(90, 2100)
    yield 'sender_reference_time', start + u8(6, len(clock), 0) + clock + live(9) + (u8(6, len(clock), 0) + clock + wait(100)) * 5
    yield 'sender_remb', start + live(3) + u8(6, 24, 0) + rtcp_packet(206, 15, me + bytes(4) + b'REMB' + u8(1) + u24(0x4ffff) + u32(1))


# ---- sdp: flags (profile, small buffer), text ----

OFFER = '''v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtcp-mux
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 %(print)s
a=setup:actpass
a=rtpmap:111 opus/48000/2
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98
c=IN IP4 0.0.0.0
a=mid:1
a=recvonly
a=bundle-only
a=rtcp-mux
a=rtcp-rsize
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 %(print)s
a=setup:actpass
a=extmap:3/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=rtpmap:96 VP8/90000
a=rtpmap:97 H264/90000
a=rtcp-fb:97 nack pli
a=rtcp-fb:* ccm fir
a=rtcp-fb:97 goog-remb
a=fmtp:97 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:98 rtx/90000
a=fmtp:98 apt=97
''' % {'print': ':'.join(['AB'] * 32)}


def sdp_seeds():
    for flags in range(4):
        yield 'offer_%d' % flags, u8(flags) + OFFER.replace('\n', '\r\n').encode()
    yield 'line_feeds', u8(0) + OFFER.encode()
    yield 'small_buffer', u8(4, 60) + OFFER.encode()
    yield 'active', u8(0) + OFFER.replace('actpass', 'active').encode()
    session = 'a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=setup:active\na=fingerprint:sha-512 %s\n' % ':'.join(['01'] * 64)
    video = 'm=video 0/2 TCP/TLS/RTP/SAVPF 1\na=rtcp-mux\na=bundle-only\na=rtpmap:1 h264/90000\n'
    yield 'session_level', u8(0) + ('v=0\n' + session + 'a=recvonly\n' + video).encode()
    yield 'bundled_transport', u8(1) + ('v=0\na=group:BUNDLE a v\nm=audio 9 X 1\na=mid:a\n' + session + video + 'a=mid:v\n').encode()
    yield 'data', u8(0) + b'v=0\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=sctp-port:5000\n'
    yield 'mid_not_in_group', u8(0) + OFFER.replace('BUNDLE 0 1', 'BUNDLE 0').encode()
    yield 'many', u8(0) + ('v=0\n' + 'm=audio 9 RTP/AVP 0\n' * 16).encode()


# ---- http: kind (0 head, 1 chunked body; above: the bytes that come at once), bytes ----

UPGRADE = b' HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
REQUESTS = {
    'metrics': b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'socket': b'GET /cam/ws?stream=low' + UPGRADE + b'\r\n',
    'socket_foreign': b'GET /cam/ws' + UPGRADE + b'Origin: http://evil.example\r\n\r\n',
    'socket_plain': b'GET /cam/ws HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'get': b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'old': b'GET /cam HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    'absolute': b'GET http://localhost:8080/cam?stream=low#x HTTP/1.1\r\nHost: localhost:8080\r\n\r\n',
    'state': b'GET /api/streams HTTP/1.1\r\nHost: [::1]:8080\r\nAccept: */*\r\nConnection: close, x\r\n\r\n',
    'head': b'HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'health': b'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'icon': b'GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'preflight': b'OPTIONS /cam/whep HTTP/1.1\r\nHost: localhost\r\nOrigin: https://page.example\r\n\r\n',
    'token': b'GET /?token=let-me-in HTTP/1.1\r\nHost: camera.example\r\n\r\n',
    'bearer': b'GET /cam/whep HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer let-me-in\r\n\r\n',
    'basic': b'GET /cam HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n\r\n',
    'cookie': b'GET /cam HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; wcam8080=\xf3\r\n\r\n',
    'nothing': b'GET /no/where HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n',
    'rebound': b'GET / HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html,*/*\r\n\r\n',
    'foreign': b'POST /cam/whep HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n',
    'expects': b'POST /cam/whep HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi',
    'session': b'GET /cam/whep/\xf1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'delete': b'DELETE /cam/whep/\xf1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
}
CHUNKED = b'4;x=y\r\nv=0\n\r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n'


def http_post(body, path=b'/cam/whep', kind=b'application/sdp', method=b'POST', extra=b''):
    head = b'%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n'
    return head % (method, path, kind, extra, len(body)) + body


def http_seeds():
    for name, request in REQUESTS.items():
        yield name, u8(0) + request
    yield 'post', u8(0) + http_post(b'v=0\r\n')
    yield 'chunked', u8(0) + b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' + CHUNKED
    for step in (1, 2, 3, 7, 100):
        yield 'body_%d' % step, u8(1 | step << 1) + CHUNKED + REQUESTS['get']
    yield 'body_large', u8(1 | 99 << 1) + b'4000\r\n' + bytes(0x4000) + b'\r\n' + b'fff\r\n' + bytes(0xfff) + b'\r\n0\r\n\r\n'
    yield 'body_too_large', u8(1) + b'10001\r\n'
    yield 'body_long_extension', u8(1) + b'4;x=' + b'y' * 300 + b'\r\nv=0\n\r\n0\r\n\r\n'
    yield 'body_long_trailer', u8(1) + b'0\r\nx: ' + b'y' * 17000 + b'\r\n\r\n'
    yield 'body_empty', u8(1) + b'0\r\n\r\n'
    yield 'many_fields', u8(0) + b'GET / HTTP/1.1\r\nHost: a\r\n' + b'a:b\r\n' * 64 + b'\r\n'
    yield 'long_target', u8(0) + b'GET /' + b'a' * 17000
    yield 'pipelined', u8(0) + REQUESTS['get'] + REQUESTS['old']


# ---- h264: 0: cuts, their sizes, capacity, bytes; 1: what, time[, longer], block ----

class Bits:
    def __init__(self):
        self.text = ''

    def u(self, n, value):
        self.text += format(value, '0%db' % n)
        return self

    def ue(self, *values):
        for value in values:
            bits = format(value + 1, 'b')
            self.text += '0' * (len(bits) - 1) + bits
        return self

    def nal(self, head, tail=b''):
        text = self.text + '1'
        text += '0' * (-len(text) % 8)
        raw, out = bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8)) + tail, bytearray()
        for byte in raw:
            if len(out) > 1 and not out[-1] and not out[-2] and byte < 4:
                out.append(3)
            out.append(byte)
        return u8(head) + bytes(out)


def h264_sps(profile=66, poc=2, interlaced=False, crop=False, vui=False, scaling=None, sps=0, size=(4, 4)):
    b = Bits().u(8, profile).u(8, 0xc0 if profile == 66 else 0).u(8, 30).ue(sps)
    if profile == 100:
        b.ue(1, 0, 0).u(1, 0).u(1, scaling is not None)
        if scaling is not None:
            b.u(1, 1).ue(scaling, *[1] * 7 + [2] * 8).u(7, 0)  # one list of 16, seven left out
    b.ue(0, poc)
    if poc == 0:
        b.ue(2)
    if poc == 1:
        b.u(1, 0).ue(0, 0, 2, 1, 2)
    b.ue(1).u(1, 0).ue(size[0] - 1, size[1] - 1).u(1, not interlaced)
    if interlaced:
        b.u(1, 0)
    b.u(1, 1).u(1, crop)
    if crop:
        b.ue(0, 1, 0, 1)
    b.u(1, vui)
    if vui:
        b.u(1, 1).u(8, 255).u(32, 0x10001).u(1, 0).u(1, 1).u(4, 5).u(1, 1).u(24, 0x010101).u(1, 0)
        b.u(1, 1).u(32, 1).u(32, 60).u(1, 1)
    return b.nal(0x67)


def h264_pps(sps=0, pps=0):
    return Bits().ue(pps, sps).u(2, 0).ue(0, 0, 0).u(3, 0).ue(0, 0, 0).u(3, 0).nal(0x68)


def h264_slice(idr, frame, first=0, kind=None, pps=0, tail=b'\x55' * 9):
    b = Bits().ue(first, (7 if idr else 5) if kind is None else kind, pps).u(4, frame)
    if idr:
        b.ue(frame & 1)
    return b.nal(0x65 if idr else 0x41, tail)


def annexb(*nals):
    return b''.join(b'\0\0\0\1' + nal for nal in nals)


def h264_stream():
    idr = annexb(u8(9, 0xf0), h264_sps(), h264_pps(), u8(6, 5, 2, 1, 2, 0x80), h264_slice(True, 0), h264_slice(True, 0, 8))
    return [idr] + [annexb(h264_slice(False, i), h264_slice(False, i, 8)) for i in range(1, 6)]


def h264_chunks(data, cuts=(), cap=4096):
    return u8(0, len(cuts), *cuts) + u16(cap - 16) + data


def h264_seeds():
    units = h264_stream()
    stream = b''.join(units)
    yield 'whole', h264_chunks(stream)
    yield 'bytes', h264_chunks(stream, (0,))
    yield 'cut', h264_chunks(stream, (3, 17, 0, 90))
    yield 'large', h264_chunks(stream, (20,), 40)
    yield 'short_codes', h264_chunks(stream.replace(b'\0\0\0\1', b'\0\0\1'), (5,))
    yield 'zeros', h264_chunks(stream.replace(b'\0\0\0\1', bytes(9) + u8(1)) + bytes(7), (5, 6))
    variants = {'high': {'profile': 100}, 'scaling': {'profile': 100, 'scaling': 1}, 'scaling_far': {'profile': 100, 'scaling': 2**32 - 3}, 'poc0': {'poc': 0}, 'poc1': {'poc': 1},
                'fields': {'interlaced': True, 'profile': 77}, 'crop': {'crop': True}, 'vui': {'vui': True},
                'large_picture': {'size': (1024, 1024)}, 'too_large': {'size': (4, 1024), 'interlaced': True, 'profile': 77}}
    for name, options in variants.items():
        yield 'sps_' + name, h264_chunks(annexb(h264_sps(**options), h264_pps()) + stream[40:])
    push = lambda unit, what=0: u8(what, 3) + block(unit)
    yield 'media', u8(1) + b''.join(map(push, units))
    yield 'media_large', u8(1) + push(units[0]) + b''.join(u8(1, 4, size) + block(units[1]) for size in (1, 20, 120, 200))
    yield 'media_large_idr', u8(1) + b''.join(u8(1, 4, size) + block(units[0]) for size in (120, 30, 20, 10, 2, 2, 2))
    yield 'media_pieces', u8(1) + push(units[0], 2) + push(units[1], 10) + push(b'', 6) + push(units[2]) + push(units[0], 16)
    many = annexb(*[h264_sps(sps=i) for i in range(12)] + [h264_pps(i, i) for i in range(20)])
    yield 'media_many_sets', u8(1) + push(many + units[0])
    padded = [h264_sps(sps=i) + b'\x55' * 980 for i in range(1, 9)]
    yield 'media_sets_full', u8(1) + push(units[0]) + push(annexb(*padded)) + push(annexb(padded[0], h264_sps() + b'\x55' * 500)) + push(units[0])
    yield 'media_b_frames', u8(1) + push(units[0]) + push(annexb(h264_slice(False, 1, kind=6)))


# ---- intake: 0: steps, bytes, 4 behind a steady source; 1: cuts, their sizes, bytes; 2: pictures with pauses ----

def intake_seeds():
    units = h264_stream()
    stream = b''.join(units)
    for cuts in ((), (0,), (3, 17, 0, 90), (254, 9)):
        yield 'same_%d' % len(cuts), u8(1, len(cuts), *cuts) + stream
        yield 'same_sets_%d' % len(cuts), u8(1, len(cuts), *cuts) + annexb(h264_pps()) + stream + annexb(h264_sps(sps=1), h264_pps(1, 1)) + stream + bytes(5)
    for flags in (0, 4):
        yield 'any_%d' % flags, u8(flags) + b''.join(u8(128) + block(unit) for unit in units)
        yield 'any_paused_%d' % flags, u8(flags) + b''.join(u8(128 | 16 | 3 << 5) + block(unit) for unit in units)
    picture = annexb(h264_slice(False, 3))
    for cut in range(1, len(picture)):
        yield 'any_cut_%d' % cut, u8(4) + u8(128 | 3 << 5 | 16) + block(picture[:cut]) + u8(128) + block(picture[cut:]) + u8(128) + block(picture)
    # pictures, flags, size, chunk, pausing (16: behind each, below: ms within), where
    made = lambda n, flags, size=20, chunk=0, pausing=16, where=None: u8(n, flags | (0 if where is None else 128), size, chunk, pausing) + (b'' if where is None else u16(where))
    for slices in range(4):
        for extra in range(4):
            steady = made(35, 8 | slices << 4 | extra)
            yield 'made_%d_%d' % (slices, extra), u8(2) + steady + made(9, slices << 4 | extra, 200, 5) + made(9, 8 | slices << 4)
            for key in (0, 8):
                for where in range(1, 120, 7):
                    yield 'broken_%d_%d_%d_%d' % (slices, extra, key, where), u8(2) + steady + made(1, key | slices << 4 | extra, 20, 0, 8, where) + made(3, extra) + made(35, 8 | slices << 4)
    for where in range(5): # between the pictures, inside of the start code
        yield 'start_code_%d' % where, u8(2) + made(35, 8, 20, 0, 0) + made(1, 0, 20, 0, 8, where) + made(3, 0) + made(35, 8)
    sets = len(annexb(h264_sps(), h264_pps()))
    for where in list(range(8)) + [30, 36, 37, 38, 39, 50, sets + 30, sets + 37, sets + 38]:
        for flags in (0, 0x10, 0x18, 0x12, 0x1a, 0x38):
            yield 'more_slices_%d_%d' % (flags, where), u8(2) + made(35, 8) + made(1, flags, 20, 0, 24, where) + made(3, 0) + made(35, 8)


# ---- route: configuration, then for each request: flags, block ----

def route_seeds():
    one = lambda request: u8(0) + block(request)
    for name, request in REQUESTS.items():
        for flags in (0, 3, 12, 0x3f):
            yield '%s_%d' % (name, flags), u8(flags) + one(request)
    offer = OFFER.replace('\n', '\r\n').encode()
    post = http_post(offer)
    yield 'session', u8(0) + one(post) + one(REQUESTS['session']) + one(REQUESTS['state']) + one(REQUESTS['delete']) * 2
    fragment = b'a=ice-ufrag:abcd\r\na=ice-pwd:x\r\n'
    for match in (b'If-Match: "\xf2"\r\n', b'If-Match: *\r\n', b'If-Match: "x"\r\n', b''):
        patch = http_post(fragment, b'/cam/whep/\xf1', b'application/trickle-ice-sdpfrag', b'PATCH', match)
        yield 'patch_%d' % len(match), u8(0) + one(post) + one(patch)
    yield 'full', u8(0) + one(post) * 5 + one(REQUESTS['state'])
    yield 'bad_offer', u8(0) + one(http_post(b'hello')) + one(http_post(b'v=0\r\nm=audio 9 X 1\r\n'))
    yield 'low', u8(0) + one(http_post(offer, b'/cam/whep?stream=low')) + u8(128) + one(http_post(offer, b'/cam/whep?stream=low'))
    yield 'pipelined', u8(8) + one(REQUESTS['get'] + post + REQUESTS['state'] + REQUESTS['delete'])
    yield 'hurried', u8(1) + one(http_post(b'', extra=b'Authorization: Bearer let-me-in\r\n') * 8) * 9
    chunked = b'POST /cam/whep HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp;x=y\r\nTransfer-Encoding: chunked\r\n\r\n'
    yield 'chunked', u8(0) + one(chunked + b'%x\r\n' % len(offer) + offer + b'\r\n0\r\n\r\n')


# ---- viewer: command, a, b, then what the command takes ----

def viewer_seeds():
    datagram = lambda address, data: u8(0, address, 0) + block(data)
    check = lambda viewer, address, nominate=True: u8(1, viewer, address | nominate << 4)
    wait = lambda scale, n: u8(3, scale, n)
    push = lambda data, stream=0: u8(4, stream, 128) + block(data)
    frame = lambda key, longer=0, stream=0: u8(5, stream | key << 1, longer)
    offer = lambda active=False, extensions=True: u8(6, active << 1 | extensions * 12, 0)
    keys = lambda viewer: u8(7, viewer, 0)
    shake = lambda viewer, goodbye=0: u8(8, viewer, goodbye)
    offer_rtx = lambda: u8(6, 12 | 32, 0)
    pour = lambda data, stream=0: u8(14, stream, 0) + block(data)
    rtcp = lambda viewer, kind: u8(9, viewer, kind) + bytes(20)
    hang_up = lambda viewer: u8(10, viewer, 0)
    settle = u8(11, 0, 0)
    frames = lambda n, key=True, longer=0: u8(12, key << 1, n | longer << 5)
    watch = offer() + check(0, 1) + keys(0)
    yield 'watch', frame(1) + watch + settle + frames(20) + settle
    yield 'shake', frame(1) + offer() + check(0, 1) + shake(0) + frames(9) + settle
    yield 'shake_active', frame(1) + offer(True) + check(0, 1) + shake(0) + frames(9) + settle
    yield 'goodbye', frame(1) + offer() + check(0, 1) + shake(0, 1) + frames(9)
    yield 'early', watch + frames(3, False) + settle + frames(3) + settle
    yield 'large', frame(1, 120) + watch + settle + frame(0, 250) + settle + frame(0, 255) + frame(1, 200) + settle
    yield 'overrun', frame(1, 20) + watch + frames(20, True, 7) * 3 + settle
    yield 'replay', frames(31) + frames(31, False) + frames(20, False) + watch + settle
    yield 'feedback', frame(1) + watch + settle + b''.join(rtcp(0, kind) for kind in range(1, 8)) + frames(5) + rtcp(0, 0x16)
    yield 'consent', frame(1) + watch + settle + wait(2, 60) + check(0, 1) + wait(2, 60) + wait(2, 60) + frame(1)
    yield 'roaming', frame(1) + watch + b''.join(check(0, i, i % 2) for i in range(12)) + frames(4) + settle
    yield 'four', frame(1) + b''.join(offer() + check(i, i) + keys(i) for i in range(5)) + frames(9) + settle + hang_up(1) + frames(3)
    yield 'low', frame(1, 0, 1) + u8(6, 64, 0) + check(0, 2) + keys(0) + settle
    yield 'handshake_alone', offer() + check(0, 1) + wait(1, 20) * 30
    yield 'handshake_late', offer() + check(0, 1) + wait(3, 1)
    yield 'at_zero', frame(1) + watch + frame(0) + settle
    yield 'any_time', b''.join(u8(13, 0, 0) + struct.pack('>q', t) + block(h264_stream()[0]) for t in (0, -2**63, 2**63 - 1, 5))
    yield 'stale', offer() + wait(2, 130)
    yield 'strangers', b''.join(datagram(i, data) for i, data in enumerate(
        [stun_message(1, b''), stun_message(1, stun_attribute(6, b'0000abcd:x'), b'x'), dtls_record(22, dtls_hello()),
         rtcp_packet(201, 0, bytes(4)), b'\x80\x60' + bytes(20), b'', b'\x50'])) + offer() + u8(2, 0, 1, 64) + block(b'')
    yield 'hello', offer(True) + check(0, 1) + b''.join(datagram(1, r) for r in dtls_cut(dtls_hello(), 50))
    yield 'pushed', b''.join(map(push, h264_stream())) + watch + settle + b''.join(map(push, h264_stream()))
    again = b''.join(rtcp(0, kind) for kind in (3, 0x13, 1, 3, 0x23, 6)) + wait(1, 3)
    yield 'repair', frame(1) + watch + (frames(9) + again) * 3 + settle
    yield 'repair_rtx', frame(1) + offer_rtx() + check(0, 1) + keys(0) + (frames(9, 1, 2) + again) * 3 + settle
    yield 'poured', b''.join(map(pour, h264_stream())) + watch + settle + b''.join(pour(unit) + wait(1, 3) for unit in h264_stream() * 8) + settle
    yield 'bad_offer', u8(6, 1, 0) + block(OFFER.encode()) + u8(6, 1, 0) + block(b'v=0\n') + check(0, 1)


# ---- text, guard ----

def text_seeds():
    for i, text in enumerate(['', '0', '18446744073709551615', '9999999999999999999', 'ffffffff', 'front-door_1', '1.2.3.4', '::',
                              '::1', '2001:db8::1:2', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::ffff:192.0.2.1', '1::2::3',
                              '[::1]:8080', '0.0.0.0:0', '8080', 'a%20b%00', '%zz%4', 'a"b\\c\n', 'YW5uOnNlY3JldA==', 'a b\tc\r\nd',
                              '64x64@10,gop=5', '4096x2304@120,gop=36000', '@25', ',gop=1', '\u00e9\u20ac']):
        yield str(i), text.encode()


def guard_seeds():
    for flags in range(0, 4):
        for which in range(4):
            yield 'secret_%d_%d' % (flags, which), u8(flags, which) + b'let-me-in'
    yield 'secret_basic', u8(3, 2) + b'YW5uOnNlY3JldA=='
    yield 'rate', u8(0x40) + bytes(range(256))
    yield 'rate_one', u8(0x40) + bytes(300)
    for name, request in REQUESTS.items():
        yield name, u8(0x80 | 0x0f) + request
        yield name + '_any', u8(0x80 | 0x1c) + request.replace(b'\r\n\r\n', b'\r\nOrigin: http://localhost\r\n\r\n')


# ---- json: which name, text; ws: 1 raw, step, frames or what makes them; signal: commands ----

JSON = ['{}', '{"type":"bye"}', ' {"x" : [1, -2.5e+3, true, null, {"x":"\\ud83d\\ude00\\n"}] , "x":2}\r\n', '{"sdp":"v=0\\r\\n","type":"offer"}',
        '{"type":"candidate","candidate":{"candidate":"","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}}', '{"":"\u00e9\u20ac"}',
        '{"x":"1}', '{"x":"\\q"}', '{"x":' + '[' * 7 + ']' * 7 + '}', '{"x":' + '[' * 8 + ']' * 8 + '}', '{"x":01}', '{"x":"\\ud800"}', '{}\0', '"\\u0041"', '']


def json_seeds():
    for i, text in enumerate(JSON):
        for name in range(4):
            yield '%d_%d' % (i, name), u8(name) + text.encode()


def ws_frame(first, data, mask=b'\x37\xfa\x21\x3d'):
    n = len(data)
    head = u8(0x80 | n) if n < 126 else u8(0xfe) + u16(n) if n < 65536 else u8(0xff) + struct.pack('>Q', n)
    return u8(first) + head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def ws_seeds():
    raw = lambda *frames: u8(1, 5) + b''.join(frames)
    text, part = ws_frame(0x81, b'{"type":"bye"}'), ws_frame(1, b'a\xc3')
    for name, frames in {
            'text': [text] * 3, 'pieces': [part, ws_frame(0x89, b'ping'), ws_frame(0, b'\xa9b'), ws_frame(0x8a, b''), ws_frame(0x80, b''), text],
            'close': [text, ws_frame(0x88, u16(1000) + b'bye'), text], 'close_empty': [ws_frame(0x88, b'')], 'close_1': [ws_frame(0x88, b'x')],
            'close_999': [ws_frame(0x88, u16(999))], 'close_utf8': [ws_frame(0x88, u16(1001) + b'\xff')], 'utf8': [ws_frame(0x81, b'\xce\xa0\xff')],
            'cut_utf8': [part, ws_frame(0x80, b'x')], 'unmasked': [bytes.fromhex('810548656c6c6f')], 'rsv': [ws_frame(0xc1, b'')], 'opcode': [ws_frame(0x83, b'')],
            'binary': [ws_frame(0x82, b'x')], 'long_ping': [ws_frame(0x89, bytes(126))], 'cut_ping': [ws_frame(9, b'')], 'nothing': [ws_frame(0x80, b'')],
            'nested': [part, text], 'not_shortest': [bytes.fromhex('81fe0001000000007a')], 'top_bit': [bytes.fromhex('81ff8000000000000000')],
            'huge': [bytes.fromhex('81ff7fffffffffffffff')], 'large': [ws_frame(0x81, b'x' * 40000)], 'many': [ws_frame(0x8a, b'')] * 900}.items():
        yield name, raw(*frames)
    make = lambda what, data=b'', more=None: u8(what) + (b'' if more is None else u16(more)) + u8(len(data)) + data
    yield 'made_largest', u8(0, 200) + make(8, b'', 65535) + make(1 | 8, b'', 65535) + make(3, b'y')
    yield 'made_too_large', u8(0, 90) + make(1 | 8, b'', 65535) + make(4, b'ping') + make(3, b'yy')
    yield 'made_pieces', u8(0, 3) + make(1, b'a') + make(2) + make(4, b'p') * 3 + make(2 | 8, b'', 300) + make(3, b'b') + make(6, u16(1001))
    yield 'made_forms', u8(0, 9) + make(16 | 8, b'', 126) + make(16, b'short')
    yield 'made_cut', u8(0, 9) + make(64, b'one byte is missing')


def signal_seeds():
    offer = lambda who, text=b'': u8(who << 4 | 1) + block(text)
    raw = lambda who, text: u8(who << 4) + block(text)
    bye = lambda who: u8(who << 4 | 2) + block(b'')
    wait = lambda n: u8(5, n)
    yield 'all', b''.join(raw(0, text.encode()) for text in JSON)
    yield 'session', offer(0) + offer(0) + bye(0) + offer(1) + u8(1 << 4 | 6) + offer(2) + u8(2 << 4 | 7)
    yield 'full', b''.join(offer(i) for i in range(5)) + wait(80) + offer(4) + offer(4) + wait(255) + wait(255) + offer(0)
    yield 'hung_up', (offer(0) + u8(7) + offer(1) + offer(2)) * 3 + wait(255) + offer(0) + offer(1)
    yield 'ended', offer(0) + u8(7 | 8) + offer(0) + u8(7 | 8) + offer(0)
    yield 'hurried', offer(0) * 70
    yield 'text', u8(3) + block(OFFER.replace('\n', '\r\n').encode()) + u8(0x13) + block(b'v=0\r\n')
    yield 'large', raw(0, json.dumps({'type': 'offer', 'sdp': OFFER.replace('\n', '\r\n') + ''.join(
        'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:' + '\u00e9' * 1500 + '\r\n' for _ in range(12))}, ensure_ascii=False).encode())


# ---- IP cameras ----

CAMERA = ('v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=cam\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n'
          'a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAHpWoKA9k,aM48gA==\r\na=control:track1\r\n'
          'm=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000/1\r\na=control:rtsp://10.0.0.1/track2?x=1\r\n')


def camerasdp_seeds():
    yield 'camera', CAMERA.encode()
    yield 'bare', b'm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:trackID=0\n'
    yield 'others', b'm=video 0 RTP/AVP 26\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 98\r\na=rtpmap:98  h264/90000\r\na=fmtp:98\r\n'


def depay_seeds():
    packet = lambda flags, ahead, time, data: u8(flags, ahead, time) + u16(len(data)) + data
    yield 'one', packet(1, 0, 0, b'\x65\x88\x84') * 3
    yield 'stap', packet(1, 0, 1, b'\x18\0\3\x67\x42\0\0\2\x68\xce\0\3\x65\x88\x84')
    yield 'broken_stap', packet(1, 0, 1, b'\x18\xff\xff\x65\x61\x62\x63\x64')
    yield 'fu', packet(0, 0, 1, b'\x7c\x85\x88ab') + packet(0, 0, 0, b'\x7c\5cd') + packet(1, 0, 0, b'\x7c\x45ef')
    yield 'lost', packet(0, 0, 1, b'\x7c\x85\x88ab') + packet(1, 2, 0, b'\x7c\x45ef') + packet(1, 0, 1, b'\x61\x9a')


def dialog_seeds():
    said = lambda text: u8(9) + u16(len(text)) + text
    playing = u8(0, 1, 2, 0)
    yield 'plays', playing + u8(128) + u16(15) + u8(0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0x65, 0x88, 0x84) + u8(4) + u16(5000)
    yield 'password', u8(0, 3, 1, 2, 3, 0, 4) + u16(9000) + u8(3, 3)
    yield 'refused', u8(0) + said(b'RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n') + u8(4) + u16(3000) + u8(0, 1)
    yield 'moved', u8(0) + said(b'RTSP/1.0 302 Moved\r\nLocation: rtsp://h/b\r\n\r\n') + u8(0, 1)
    yield 'web', said(b'HTTP/1.1 400 Bad Request\r\n\r\n') + u8(4) + u16(40000) + playing
    yield 'asked', playing + said(b'OPTIONS rtsp://x RTSP/1.0\r\nCSeq: 7\r\n\r\n') * 3
    yield 'rubbish', playing + said(b'RTSXGET$\0\0\1x' * 40)


# ---- what others have collected ----

def data_files(root, folder):
    path = os.path.join(root, folder)
    for name in sorted(os.listdir(path)) if os.path.isdir(path) else ():
        if os.path.isfile(os.path.join(path, name)) and os.path.getsize(os.path.join(path, name)) <= LARGEST:
            with open(os.path.join(path, name), 'rb') as file:
                yield name, file.read()


def data_json(root, name):
    path = os.path.join(root, 'vectors', name)
    if not os.path.isfile(path):
        return ()
    with open(path) as file:
        got = json.load(file)
    return got['cases'] if isinstance(got, dict) else got


def data_seeds(root):
    for i, case in enumerate(data_json(root, 'stun.json')):
        yield 'stun', str(i), u8(1, 1) + block(bytes.fromhex(case['hex']))
    for i, case in enumerate(data_json(root, 'rtcp_pion.json')):
        yield 'rtcp', str(i), u8(0) + bytes.fromhex(case['hex'])
    for i, case in enumerate(data_json(root, 'http_llhttp.json')):
        raw = case['raw_latin1'].encode('latin-1')
        if (case['type'] or '').startswith('request'):
            yield 'http', str(i), u8(0) + raw
            yield 'route', str(i), u8(0, 0) + block(raw)
            yield 'guard', str(i), u8(0x8f) + raw
    for name, data in data_files(root, 'vectors/sdp_browsers'):
        yield 'sdp', name, u8(1) + data
        yield 'signal', name, u8(3) + block(data)
        yield 'route', name, u8(0, 0) + block(http_post(data))
    for name, data in data_files(root, 'vectors/rtsp/retina'):
        yield 'camerasdp', name, data.partition(b'\r\n\r\n')[2] or data
        yield 'dialog', name, u8(0, 9) + u16(min(len(data), 4095)) + data[:4095] + u8(1, 2, 0)
    for name, data in data_files(root, 'h264'):
        if not name.endswith('.json'):
            yield 'h264', name, h264_chunks(data, (99, 254), 65535)
            yield 'h264', 'media_' + name, u8(1, 0, 3) + block(data)
            yield 'intake', 'same_' + name, u8(1, 2, 99, 254) + data
            yield 'intake', 'any_' + name, u8(4, 128 | 16) + block(data)
    hellos = dict(data_files(root, 'dtls'))
    for name, data in hellos.items():
        if name.endswith('_1.bin'):
            yield 'dtls', name, u8(0, 0) + block(data) + u8(0) + block(hellos.get(name.replace('_1', '_2'), b''))
        elif name.endswith('_joined.bin'):
            yield 'dtls', name, u8(0, 0) + block(data)
    archive = os.path.join(root, 'vectors', 'corpus', 'mbedtls_dtls_corpus.tar.xz')
    if os.path.isfile(archive):
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                if member.isfile() and 'dtls' in os.path.basename(member.name):
                    yield 'dtls', os.path.basename(member.name), u8(0) + tar.extractfile(member).read()


OWN = {'stun': stun_seeds, 'dtls': dtls_seeds, 'rtcp': rtcp_seeds, 'sdp': sdp_seeds, 'http': http_seeds, 'h264': h264_seeds, 'intake': intake_seeds,
       'route': route_seeds, 'viewer': viewer_seeds, 'text': text_seeds, 'guard': guard_seeds, 'json': json_seeds, 'ws': ws_seeds, 'signal': signal_seeds,
       'camerasdp': camerasdp_seeds, 'depay': depay_seeds, 'dialog': dialog_seeds}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    out = sys.argv[1]

    def write(target, name, data):
        os.makedirs(os.path.join(out, target), exist_ok=True)
        with open(os.path.join(out, target, name), 'wb') as file:
            file.write(data)

    for target, seeds in OWN.items():
        for name, data in seeds():
            write(target, 'own_' + name, data)
    root = os.environ.get('WCAM_DATA') or os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'shared', 'data')
    for target, name, data in data_seeds(root) if os.path.isdir(root) else ():
        write(target, 'data_' + name, data)


main()
