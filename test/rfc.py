#!/usr/bin/env python3
"""Which sections of which RFCs are obeyed, and where: a markdown table made from the citations in the source.

usage: rfc.py          print the table and the deviations
       rfc.py check    are the citations well formed, and is the README's part between the two markers up to date?
       rfc.py write    bring that part up to date

A citation stands in a comment: `RFC 8445 7.3.1.1`, `RFC 9112 5.1, 5.2`, `RFC 3550 6.4-6.6`, or the RFC alone. Other
specifications: `H.264 7.4.1.2`, `draft-ietf-wish-whep-03`. A comment that says `DEVIATION:` tells, to the end of the
sentence, where something else is done, and why.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ['webrtc_cam.c', 'webrtc_cam.h']
BEGIN, END = '<!-- rfc.py: begin -->', '<!-- rfc.py: end -->'
# number: (what it is, its last numbered section)
RFC = {
    1321: ('MD5', 4), 2046: ('MIME types: multipart', 9), 2104: ('HMAC', 7), 2326: ('RTSP 1.0', 16),
    3264: ('SDP offer/answer', 14), 3339: ('Internet timestamps', 8), 3550: ('RTP and RTCP', 15),
    3551: ('RTP/AVP profile', 11), 3611: ('RTCP extended reports', 9), 3629: ('UTF-8', 12), 3711: ('SRTP', 13), 3758: ('SCTP partial reliability', 9),
    3986: ('URI', 9), 4291: ('IPv6 addresses', 6), 4571: ('RTP over TCP', 8), 4585: ('RTP/AVPF feedback', 12),
    4588: ('RTP retransmission', 13), 4648: ('base64', 15), 5104: ('codec control messages: FIR', 10),
    5280: ('X.509', 11), 5285: ('RTP header extensions', 12), 5506: ('reduced-size RTCP', 10), 5576: ('SDP: sources', 14),
    5705: ('TLS key exporters', 9), 5761: ('RTP and RTCP on one port', 12), 5764: ('DTLS-SRTP', 10), 6184: ('H.264 over RTP', 16),
    6265: ('cookies', 10), 6347: ('DTLS 1.2', 9), 6381: ('codecs parameter', 9), 6454: ('origin', 12), 6455: ('WebSocket', 14),
    6544: ('ICE over TCP', 14), 6750: ('Bearer tokens', 7), 6797: ('HSTS', 16), 7022: ('CNAMEs', 8), 7519: ('JSON Web Token', 13),
    6716: ('Opus', 10), 7587: ('Opus over RTP', 10), 7616: ('HTTP Digest', 8), 7617: ('HTTP Basic', 6), 7675: ('consent', 10), 7826: ('RTSP 2.0', 26), 7983: ('demultiplexing', 9),
    8122: ('SDP: TLS fingerprints', 11), 8216: ('HLS', 11), 8246: ('immutable responses', 6), 8259: ('JSON', 13),
    8261: ('SCTP over DTLS', 11), 8285: ('RTP header extensions', 9), 8288: ('Web Linking', 8), 8445: ('ICE', 22), 8489: ('STUN', 20),
    8656: ('TURN', 26), 8825: ('WebRTC overview', 9), 8826: ('WebRTC security considerations', 7), 8827: ('WebRTC security', 10),
    8828: ('WebRTC IP handling', 11), 8829: ('JSEP', 11), 8831: ('data channels', 11), 8832: ('data channel establishment', 10),
    8834: ('WebRTC media', 16), 8835: ('WebRTC transports', 7), 8838: ('Trickle ICE', 22), 8839: ('SDP for ICE', 13), 8840: ('Trickle ICE for SIP', 18),
    8841: ('SDP: SCTP over DTLS', 18), 8842: ('SDP: DTLS', 14), 8843: ('BUNDLE', 22), 8858: ('SDP: rtcp-mux-only', 9), 8866: ('SDP', 12),
    9110: ('HTTP', 18), 9111: ('HTTP caching', 9), 9112: ('HTTP/1.1', 13), 9143: ('BUNDLE', 22), 9147: ('DTLS 1.3', 16),
    9260: ('SCTP', 20), 9429: ('JSEP', 11), 9457: ('problem details', 7), 9605: ('SFrame', 12), 9725: ('WHIP', 8),
}
NEWER = {2616: 9112, 3388: 5888, 4566: 8866, 5245: 8445, 5285: 8285, 5389: 8489, 5766: 8656, 7159: 8259, 7230: 9112, 7231: 9110,
         7235: 9110, 7540: 9113, 7807: 9457, 8829: 9429, 8843: 9143, 2617: 7616, 4960: 9260, 5988: 8288}
SECTION = r'\d{1,2}(?:\.\d+)*'
CITED = re.compile(r'\bRFC (\d+)((?:,? (?:and )?(?:\d{3,5}\b(?![.\d])|%s(?:-%s)?(?![\w%%])))*)' % (SECTION, SECTION))
LIKE = re.compile(r'\brfc(?=[\s\d_-]*\d)|\bRFC\b|\bSection \d|\u00a7', re.I)
OTHER = re.compile(r'\b(H\.264) (\d+(?:\.\d+)+|[A-Z]\.\d+(?:\.\d+)*)|\b(draft-[a-z0-9-]+\d)')


def comments(text):
    """(line, room, words) of each comment behind the first banner; the header's room is its file."""
    rooms = [(m.start(), m.group(1)) for m in re.finditer(r'^/\* ==== \d+ (\w+) =+$', text, re.M)]
    for m in re.finditer(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(/\*.*?\*/)', text, re.S):
        if not m.group(1):
            continue
        room = next((name for at, name in reversed(rooms) if at <= m.start()), '')
        words = re.sub(r'\n[ \t]*\*(?!/) ?', '\n', m.group(1)[2:-2])
        yield text.count('\n', 0, m.start()) + 1, room, words


def read():
    """{specification: {section: rooms in order}}, [(room, deviation)], [complaint], [remark]"""
    cited, deviations, wrong, notes = {}, [], [], []

    def cite(spec, section, room):
        rooms = cited.setdefault(spec, {}).setdefault(section, [])
        if room not in rooms:
            rooms.append(room)

    for name in FILES:
        for line, room, words in comments((ROOT / name).read_text()):
            flat, complain = ' '.join(words.split()), lambda said: wrong.append(f'{name}:{line}: {said}')
            known = set()
            for m in CITED.finditer(flat):
                known.add(m.start())
                spec, sections = int(m.group(1)), []
                tokens = re.findall(r'\d{3,5}\b(?![.\d])|%s(?:-%s)?' % (SECTION, SECTION), m.group(2))
                for token in [str(spec)] + tokens:
                    if not sections or re.fullmatch(r'\d{3,5}', token):
                        sections = [int(token)]
                        if sections[0] in NEWER:
                            notes.append(f'{name}:{line}: RFC {token} is replaced by RFC {NEWER[sections[0]]}')
                        if sections[0] not in RFC and sections[0] not in NEWER:
                            complain(f'RFC {token} is not in the list of this script')
                        if room:
                            cite(sections[0], '', room)
                    else:
                        last = RFC.get(sections[0], ('', 99))[1]
                        if int(re.split(r'[.-]', token)[0]) > last:
                            complain(f'RFC {sections[0]} ends with section {last}: {token}')
                        if room:
                            cite(sections[0], token, room)
            for m in LIKE.finditer(flat):
                if m.start() not in known:
                    complain(f'not a citation as this script knows them: "{flat[m.start():m.start() + 24]}"')
            for m in OTHER.finditer(flat):
                if room:
                    cite(m.group(1) or m.group(3), m.group(2) or '', room)
            for m in re.finditer(r'\bDEVIATION\b(:?) ?(.*?(?:\.(?= [A-Z])|$))', flat):
                if not m.group(1) or len(m.group(2)) < 20:
                    complain('DEVIATION: and what, and why')
                deviations.append((room or name, re.sub(r' pure; uses.*| (?:pure|no I/O|world); uses.*', '', m.group(2)).rstrip('. ;')))
    return cited, deviations, wrong, notes


def table(cited, deviations):
    def number(section):
        return [int(n) if n.isdigit() else ord(n[0]) for n in re.split(r'[.-]', section)] if section else []

    lines = ['| specification | sections, and the rooms that obey them |', '|---|---|']
    for spec in sorted(cited, key=lambda s: (isinstance(s, str), s if isinstance(s, int) else 0, str(s))):
        rooms = {}  # sections of one list of rooms stand together
        for section in sorted((s for s in cited[spec] if s), key=number):
            rooms.setdefault(', '.join(cited[spec][section]), []).append(section)
        rest = [r for r in cited[spec].get('', []) if not any(r in words.split(', ') for words in rooms)]
        if isinstance(spec, int):
            label = f'[RFC {spec}](https://www.rfc-editor.org/rfc/rfc{spec})' + (f' {RFC[spec][0]}' if spec in RFC else '')
        elif spec.startswith('draft-'):
            label = f'[{spec}](https://datatracker.ietf.org/doc/{re.sub("-[0-9]+$", "", spec)}/)'
        else:
            label = f'ITU-T {spec}'
        parts = [f'{", ".join(sections)} `{words.replace(", ", "` `")}`' for words, sections in rooms.items()]
        parts += [' '.join(f'`{r}`' for r in rest)] if rest else []
        lines.append(f'| {label} | {"; ".join(parts)} |')
    lines += ['', 'Where something else is done, and why:', '']
    lines += [f'- `{room}`: {words}.' for room, words in deviations]
    return '\n'.join(lines) + '\n'


def main(mode):
    cited, deviations, wrong, notes = read()
    words = table(cited, deviations)
    if mode == 'print':
        sys.stdout.write(words)
        return 0
    readme = ROOT / 'README.md'
    text = readme.read_text()
    part = re.search(re.escape(BEGIN) + r'\n(.*?)' + re.escape(END), text, re.S)
    if mode == 'write':
        if not part:
            sys.exit(f'rfc.py: README.md has no lines {BEGIN} and {END}')
        readme.write_text(text[:part.start(1)] + words + text[part.end(1):])
    elif part and part.group(1) != words:
        wrong.append('README.md: the list of RFCs is not up to date: python3 test/rfc.py write')
    for said in notes:
        print('#', said)
    for said in wrong:
        print(said, file=sys.stderr)
    print(f'{sum(map(len, cited.values()))} citations of {len(cited)} specifications, {len(deviations)} deviations')
    return 1 if wrong else 0


if __name__ == '__main__':
    if len(sys.argv) > 2 or sys.argv[1:] not in ([], ['check'], ['write']):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1] if sys.argv[1:] else 'print'))
