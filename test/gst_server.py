#!/usr/bin/python3
"""GStreamer's RTSP server with a stream at /cam, and another at /sub, for test/camera.py and test/browser/rtsp.mjs.

usage: gst_server.py FILE.h264 none|basic|digest USER PASSWORD [OPTION ...]     prints its port; ends with standard input
  --port N              this port instead of any free one
  --transport tcp|udp   what a client may ask for (tcp)
  --loop                the file again and again
  --apart               each client is served by itself, not all in step
  --pattern PROGRAM     FILE is an argument for this program, which writes access units, each by one write, as they are made
  --sound KIND          a tone: pcmu, pcma, opus or aac
  --sub FILE            a second stream of the camera, at /sub, made as the first one is, without sound
  --tell                a line for each DESCRIBE, PLAY and TEARDOWN: the method and the path
Without python3-gi or the GStreamer packages it says so and ends with status 1.
"""
import argparse
import socket
import subprocess
import sys
import threading

try:
    import gi
    gi.require_version('Gst', '1.0')
    gi.require_version('GstRtsp', '1.0')
    gi.require_version('GstRtspServer', '1.0')
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
except (ImportError, ValueError) as e:
    sys.exit('GStreamer cannot be used from Python here: %s' % e)

PERMISSIONS = ('media.factory.access', 'media.factory.construct')
SOUNDS = {  # kind: sampling rate, samples of 20 ms, encoder and payloader
    'pcmu': (8000, 160, 'mulawenc ! rtppcmupay pt=0'),
    'pcma': (8000, 160, 'alawenc ! rtppcmapay pt=8'),
    'opus': (48000, 960, 'opusenc ! rtpopuspay pt=97'),
    'aac': (48000, 1024, 'voaacenc ! aacparse ! rtpmp4gpay pt=97'),
}


def with_password(server, factory, kind, user, password):
    """Only this user may see the media: a token names his role, the factory says what the role may do."""
    auth, token = GstRtspServer.RTSPAuth.new(), GstRtspServer.RTSPToken()
    token.set_string('media.factory.role', 'viewer')
    if kind == 'basic':
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
    else:
        auth.add_digest(user, password, token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    allowed = GstRtspServer.RTSPPermissions()
    for name in PERMISSIONS:
        allowed.add_permission_for_role('viewer', name, True)
    factory.set_permissions(allowed)
    server.set_auth(auth)


def not_seekable(_pad, info):
    asked = info.get_query().type == Gst.QueryType.SEEKING
    return Gst.PadProbeReturn.DROP if asked else Gst.PadProbeReturn.OK


def feed(source, packets):
    """What was written at once comes at once: nothing has to wait for the next access unit to know where one ends."""
    while True:
        unit = packets.recv(1 << 22)
        if not unit:
            break
        source.emit('push-buffer', Gst.Buffer.new_wrapped(unit))
    packets.close()


def from_program(factory, program, argument):
    """Runs the program while the media exist; the time of an access unit is that of its arrival."""
    def run(_factory, media):
        reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = subprocess.Popen([program, argument], stdin=subprocess.DEVNULL, stdout=writing)
        writing.close()
        sound = media.get_element().get_by_name('pay1')
        if sound:  # the test tone could be played from anywhere, so the server would try to
            sound.get_static_pad('src').add_probe(Gst.PadProbeType.QUERY_UPSTREAM, not_seekable)
        media.connect('unprepared', lambda _media: (child.kill(), child.wait()))
        source = media.get_element().get_by_name('program')
        threading.Thread(target=feed, args=(source, reading), daemon=True).start()

    factory.connect('media-configure', run)
    return ('appsrc name=program is-live=true do-timestamp=true format=time '
            'caps=video/x-h264,stream-format=byte-stream,alignment=au')


def pipeline(o, factory, file, sound):
    if o.pattern:
        video = from_program(factory, o.pattern, file)
    else:
        video = '%s location=%s%s ! h264parse' % (('multifilesrc', file, ' loop=true') if o.loop else ('filesrc', file, ''))
    tracks = [video + ' ! rtph264pay config-interval=-1 name=pay0 pt=96']
    if sound:
        rate, samples, encoder = SOUNDS[sound]
        tracks.append('audiotestsrc is-live=%s samplesperbuffer=%d ! audio/x-raw,rate=%d,channels=1 ! %s name=pay1'
                      % ('true' if o.pattern else 'false', samples, rate, encoder))
    return tracks


def mounted(o, server, path, file, sound):
    factory = GstRtspServer.RTSPMediaFactory.new()
    tracks = pipeline(o, factory, file, sound)
    for element in [word.split()[0] for track in tracks for word in track.split(' ! ')]:
        if '/' not in element and not Gst.ElementFactory.find(element):
            sys.exit('GStreamer has no element %s here' % element)
    factory.set_launch('( %s )' % ' '.join(tracks))
    factory.set_shared(not o.apart)
    factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP if o.transport == 'tcp' else GstRtsp.RTSPLowerTrans.UDP)
    if o.auth != 'none':
        with_password(server, factory, o.auth, o.user, o.password)
    server.get_mount_points().add_factory(path, factory)


def told(server):
    def asked(_client, context, method):
        print(method, context.uri.abspath, flush=True)

    def connected(_server, client):
        for method in ('describe', 'play', 'teardown'):
            client.connect(method + '-request', asked, method.upper())
    server.connect('client-connected', connected)


def main():
    p = argparse.ArgumentParser()
    for name in ('file', 'auth', 'user', 'password'):
        p.add_argument(name)
    p.add_argument('--port', default='0')
    p.add_argument('--transport', choices=('tcp', 'udp'), default='tcp')
    p.add_argument('--loop', action='store_true')
    p.add_argument('--apart', action='store_true')
    p.add_argument('--pattern')
    p.add_argument('--sound', choices=SOUNDS)
    p.add_argument('--sub')
    p.add_argument('--tell', action='store_true')
    o = p.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address('127.0.0.1')
    server.set_service(o.port)
    mounted(o, server, '/cam', o.file, o.sound)
    if o.sub:
        mounted(o, server, '/sub', o.sub, None)
    if o.tell:
        told(server)
    if not server.attach(None):
        sys.exit('GStreamer cannot open a port')
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), GLib.idle_add(loop.quit)), daemon=True).start()
    loop.run()


main()
