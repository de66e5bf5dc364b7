#!/usr/bin/env python3
"""Turn the shared dialogs of real IP cameras into one flat text file that test/camera.c reads.

usage: rtsp_vectors.py OUT        the data: $WCAM_DATA, else ../shared/data beside the project

One vector a line: a kind, then its fields in hexadecimal, "-" for an empty one. Kinds: digest, basic, stream (an H.264
file), scene (the fields of camera.c's struct scene: what the camera says, what must come of it). What must come of it
is worked out here from the text, by other means than the program's. Exit status 1, with the reason, when the data is
absent; the tests then skip what needs it and run on texts of their own.
"""
import base64
import json
import os
import re
import sys

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
data = os.environ.get("WCAM_DATA") or os.path.join(root, "..", "shared", "data")
lines = []
URL = "rtsp://cam.test/live"
SETS = ("name", "url", "challenge", "describe", "sdp", "setup", "play", "setup_url", "play_url", "why", "session",
        "authorization", "channel", "sets", "alive")


def put(kind, *fields):
    lines.append(" ".join([kind] + [(f if isinstance(f, bytes) else str(f).encode()).hex() or "-" for f in fields]))


def scene(name, **kw):
    unknown = set(kw) - set(SETS)
    assert not unknown, unknown
    kw["name"] = name
    put("scene", *[kw.get(key, "") for key in SETS])


def load(*name):
    with open(os.path.join(data, "vectors", *name), encoding="utf-8") as f:
        return json.load(f)


# ---- what an SDP means to a client ----

def clean(url):
    """A doubled scheme and a name with password go."""
    while url.startswith("rtsp://rtsp://"):
        url = url[7:]
    return re.sub(r"^(rtsps?://)[^/]*@", r"\1", url)


def join(base, control):
    if not control or control == "*":
        return base
    if control.startswith("rtsp://"):
        return clean(control)
    return base.rstrip("/") + "/" + control.lstrip("/")


def meaning(sdp, base):
    """setup_url, play_url, why, sets of a DESCRIBE's answer."""
    base = clean(base) if base.startswith("rtsp://") else URL
    head, *media = re.split(r"(?m)^m=", sdp.replace("\r", ""))
    control = re.search(r"(?m)^a=control:(.*)$", head)
    out = {"play_url": join(base, control.group(1).strip() if control else "")}
    videos = [m for m in media if m.startswith("video ")]
    if not videos:
        return {"why": "no video"}

    def codec(m):
        number = m.split("\n")[0].split()[3]
        found = re.search(r"(?m)^a=rtpmap:%s +([^/ ]+)/" % number, m)
        return found.group(1) if found else {"26": "JPEG"}.get(number, "unknown")
    video = next((m for m in videos if codec(m) == "H264"), videos[0])
    if codec(video) != "H264":
        return {"why": codec(video) + ", which is not H.264"}
    control = re.findall(r"(?m)^a=control:(.*)$", video)
    out["setup_url"] = join(base, control[-1].strip() if control else "")
    sets = re.search(r"sprop-parameter-sets=([^; \n]*)", video)
    out["sets"] = len([s for s in (sets.group(1) if sets else "").split(",") if s and base64.b64decode(s)])
    return out


def describe(name, headers, sdp, **kw):
    """An answer to DESCRIBE; headers end without an empty line."""
    base = re.search(r"(?im)^content-base: *(.*?)\s*$", headers)
    headers = re.sub(r"(?im)^(rtsp/1\.0 .*|content-length:.*)\r?\n", "", headers)
    scene(name, describe=headers, sdp=sdp, **dict(meaning(sdp, base.group(1) if base else ""), **kw))


def set_up(name, text, **kw):
    """An answer to SETUP, whole."""
    session = re.search(r"(?im)^session: *([^;\s]*)(?:; *timeout=(\d+))?", text)
    channel = re.search(r"interleaved=(\d+)", text)
    if "client_port" in text:
        kw["why"] = "over TCP"
    if session:
        kw["session"], kw["alive"] = session.group(1), min(60, int(session.group(2) or 60))
    if channel:
        kw["channel"] = channel.group(1)
    scene(name, setup=text, **kw)


# ---- the files ----

def digests():
    d = load("http_digest.json")
    for v in d["vectors"]:
        challenge = 'WWW-Authenticate: Digest realm="%s", nonce="%s", algorithm=%s' % (v["realm"], v["nonce"], v["alg"])
        challenge += ', qop="%s"' % v["qop"] if v["qop"] else ""
        challenge += ', opaque="%s"' % v["opaque"] if v.get("opaque") else ""
        put("digest", v["source"], challenge + "\r\n", v["username"], v["password"], v["method"], v["uri"],
            v.get("cnonce", ""), v["response"])
    for v in d["basic"]:
        put("basic", v["source"], v["user"], v["password"], v["header"])


def retina():
    folder = os.path.join(data, "vectors", "rtsp", "retina")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            text = f.read().decode("utf-8")
        if name.endswith("_sdp.txt"):
            describe(name, "", text)
            continue
        head, _, body = text.partition("\r\n\r\n")
        if "\r\nContent-Length:" in head:
            describe(name, head + "\r\n", body)
        elif "_setup" in name:
            set_up(name, text)
        elif "unauthorized" in name:
            nonce = re.search(r'nonce="([^"]*)"', text).group(1)
            scene(name, challenge=text, authorization='nonce="%s"' % nonce)
        elif "options" in name or "play" in name or "rtptime" in name or "teardown" in name:
            scene(name, play=text)  # an answer that says yes
        else:  # the camera asks something ahead of its answer
            scene(name, play=text + "RTSP/1.0 200 OK\r\n\r\n")


def go2rtc():
    for v in load("rtsp", "go2rtc_cases.json"):
        if v["text"].startswith("v=") or v["text"].startswith("m="):
            describe("go2rtc " + v["name"], "", v["text"])
        elif v["text"].startswith("rtsp://::"):
            scene("go2rtc " + v["text"], url=v["text"], setup_url=v["text"] + "track1")
        else:  # addresses as they came from cameras
            describe("go2rtc " + v["text"], "Content-Base: %s\r\n" % v["text"],
                     "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:t\n")


def quirks():
    """Each quirk's data as a conversation. What its expectation says in words is told here by fields; those without
    data are in camera.c, as conversations of its own."""
    plain = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    for q in load("rtsp", "quirks.json"):
        name, d, want = q["quirk"], q["data"], q["expected_of_our_client"]
        base = "Content-Base: %s\r\n" % d["content_base"] if "content_base" in d else ""
        if "sdp" in d:
            describe(name, base, d["sdp"])
        elif "fmtp" in d:
            describe(name, base, plain + "a=fmtp:%s\r\n" % d["fmtp"])
        elif "audio" in d:
            describe(name, base, plain + d["audio"].replace("\\r\\n", "\r\n") + "\r\n")
        elif "session_control" in d:
            sdp = "a=control:%s\r\n%sa=control:%s\r\n" % (d["session_control"], plain, d["media_control"])
            describe(name, base, sdp)
        elif "control" in d or "media_control" in d:
            describe(name, base, plain + "a=control:%s\r\n" % (d.get("control") or d["media_control"]))
        elif base:
            describe(name, base, plain + "a=control:t\r\n")
        elif "response" in d:
            body = "x" * int((re.search(r"Content-Length: (\d+)", d["response"]) or [0, 0])[1])
            kind = "Digest username=" if "Digest" in want else "Basic " if "Basic" in d["response"] else ""
            scene(name, challenge=d["response"] + body, authorization="Authorization: " + kind)
        elif "www_authenticate" in d:
            scene(name, challenge="WWW-Authenticate: %s\r\n" % d["www_authenticate"], authorization="qop=auth, nc=0000000")
            lines.pop()  # below, with its status line
            scene(name, authorization="qop=auth, nc=0000000", challenge="RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n"
                  "WWW-Authenticate: %s\r\n\r\n" % d["www_authenticate"])
        elif "nonce" in d:
            scene(name, authorization='nonce="%s"' % d["nonce"], challenge="RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\n"
                  'WWW-Authenticate: Digest realm="S", nonce="%s"\r\n\r\n' % (d["cseq"], d["nonce"]))
        elif "returned" in d:
            scene(name, setup="Transport: RTP/AVP/TCP;unicast;interleaved=%s\r\nSession: 1\r\n" % d["returned"],
                  channel=d["returned"].split("-")[0])
        elif "transport" in d:
            set_up(name, "Transport: %s\r\nSession: 1\r\n" % d["transport"])
        elif "session" in d:
            set_up(name, "Session: %s\r\n" % (d["session"] if ";" in d["session"] else "1;" + d["session"]))
        elif "status" in d:
            scene(name, setup="RTSP/1.0 %d No\r\nCSeq: 3\r\n\r\n" % d["status"], why="over TCP")
        elif "rtp_info" in d:
            scene(name, play="RTP-Info: %s\r\n" % d["rtp_info"])


def streams():
    with open(os.path.join(data, "h264", "MANIFEST.json"), encoding="utf-8") as f:
        for v in json.load(f)["files"]:
            if v["file"].endswith(("264", "avc", "jsv")):
                put("stream", v["file"], os.path.join(data, "h264", v["file"]))


def main():
    if not os.path.isdir(os.path.join(data, "vectors", "rtsp")):
        sys.exit("rtsp_vectors.py: there is no test data in %s" % data)
    for convert in (digests, retina, go2rtc, quirks, streams):
        convert()
    os.makedirs(os.path.dirname(sys.argv[1]) or ".", exist_ok=True)
    with open(sys.argv[1], "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


main()
