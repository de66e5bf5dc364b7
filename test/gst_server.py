#!/usr/bin/python3
"""GStreamer's RTSP server with one H.264 file at /cam, for test/camera.py.

usage: gst_server.py FILE.h264 none|basic|digest USER PASSWORD      prints its port; ends with standard input
Without python3-gi or the GStreamer packages it says so and ends with status 1.
"""
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


def main():
    path, kind, user, password = sys.argv[1:]
    Gst.init(None)
    for element in ('h264parse', 'rtph264pay'):
        if not Gst.ElementFactory.find(element):
            sys.exit('GStreamer has no element %s here' % element)
    server, factory = GstRtspServer.RTSPServer.new(), GstRtspServer.RTSPMediaFactory.new()
    server.set_address('127.0.0.1')
    server.set_service('0')
    factory.set_launch('( filesrc location=%s ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )' % path)
    factory.set_shared(True)
    factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
    if kind != 'none':
        with_password(server, factory, kind, user, password)
    server.get_mount_points().add_factory('/cam', factory)
    if not server.attach(None):
        sys.exit('GStreamer cannot open a port')
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), GLib.idle_add(loop.quit)), daemon=True).start()
    loop.run()


main()
