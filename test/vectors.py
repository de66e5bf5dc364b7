#!/usr/bin/env python3
"""Turn the shared test vectors into one flat text file that test/unit.c reads.

usage: vectors.py OUT        the data: $WCAM_DATA, else ../shared/data beside the project

One vector a line: a kind, then its fields in hexadecimal, "-" for an empty one. Exit status 1, with the reason, when
the data is absent; the unit tests then skip what needs it and run on their own vectors.
"""
import json
import os
import re
import sys

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
data = os.environ.get("WCAM_DATA") or os.path.join(root, "..", "shared", "data")
lines = []


def field(value):
    if isinstance(value, str):
        value = value.encode()
    return value.hex() or "-"


def put(kind, *fields):
    lines.append(" ".join([kind] + [field(f) for f in fields]))


def vector(name):
    with open(os.path.join(data, "vectors", name), encoding="utf-8") as f:
        return json.load(f)


def stun():
    for v in vector("stun.json"):
        key = bytes.fromhex(v["key_md5"]) if "key_md5" in v else v.get("password", "").encode()
        sound = "1" if v.get("mi_valid") else "0"
        print_mark = "1" if v.get("fingerprint_valid") else "0"
        put("stun", v["name"], bytes.fromhex(v["hex"]), key, sound, print_mark, v.get("mapped", ""))


def base64():
    v = vector("base64.json")
    for plain, text in v["rfc4648_10"]:
        put("base64", text, plain)
    for text in v["reject_strict"]:
        put("base64bad", text)
    for sets in v["sprop_seen_in_the_wild"]:
        put("sprop", *sets.split(","))


def rfc6184():
    v = vector("rfc6184.json")
    f = v["fragment"]
    put("fragment", bytes.fromhex(f["nal"]), str(f["max_payload"]), *[bytes.fromhex(x) for x in f["fu_a"]])
    s = v["stap_a"]
    put("stap", bytes.fromhex(s["payload"]), *[bytes.fromhex(x) for x in s["nals"]])
    s = v["sps_pps_aggregation"]
    put("stap", bytes.fromhex(s["out"][0]), *[bytes.fromhex(x) for x in s["in"][:2]])


def rtcp():
    for v in vector("rtcp_pion.json"):
        error = v["pion_error"] or ""
        put("rtcp", v["test"] + ": " + v["name"], bytes.fromhex(v["hex"]), "" if error == "nil" else error)


def http():
    """The file lost each case's last blank line; two are put back, of which parsers read over the second (one where
    llhttp waits for a body). llhttp does not ask for a Host, a server must: the first request gets one where it has
    none."""
    for v in vector("http_llhttp.json")["cases"]:
        if v["type"] != "request":
            continue
        waits = not v["llhttp_error"] and not v["message_completes"]
        raw = v["raw_latin1"] + ("\r\n" if waits else "\r\n\r\n")
        if not re.search(r"\nhost *:", raw, re.IGNORECASE) and re.match(r"(\r\n)?[^\r\n]* HTTP/1\.1\r\n", raw):
            raw = re.sub(r" HTTP/1\.1\r\n", " HTTP/1.1\r\nHost: a\r\n", raw, count=1)
        put("http", v["section"], raw.encode("latin-1"), v["llhttp_error"] or "")


def srtp():
    v = vector("srtp.json")["full_packet_aes_cm_128_hmac_sha1_80"]
    put("srtp", *[bytes.fromhex(x) for x in (v["master_key"], v["master_salt"], v["rtp_packet"], v["srtp_packet"],
                                             v["srtcp"]["rtcp_packet"], v["srtcp"]["srtcp_packet"])])


def sdp():
    folder = os.path.join(data, "vectors", "sdp_browsers")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            text = re.sub(rb"\r+\n\Z", b"\r\n", f.read())  # some files end in a doubled CR
        if not name.endswith(".json"):
            put("sdp", name, text)
            continue
        entries = json.loads(text)
        for i, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            body = entry.get("sdp") if isinstance(entry, dict) else None
            if body and entry.get("type") == "offer":
                put("sdp", "%s %d" % (name, i), body if isinstance(body, str) else "\r\n".join(body) + "\r\n")


def hello():
    folder = os.path.join(data, "dtls")
    for browser in ("chromium", "firefox"):
        for first in (1, 3, 5):
            parts = []
            for i in (first, first + 1):
                with open(os.path.join(folder, "%s_%d.bin" % (browser, i)), "rb") as f:
                    parts.append(f.read())
            put("hello", "%s %d" % (browser, first), *parts)
        with open(os.path.join(folder, browser + "_joined.bin"), "rb") as f:
            put("joined", browser, f.read())


def h264():
    """Width, height and pictures of the streams that are what they claim to be."""
    with open(os.path.join(data, "h264", "MANIFEST.json"), encoding="utf-8") as f:
        files = json.load(f)["files"]
    for v in files:
        probe, decoded = v.get("ffprobe") or {}, v.get("decoded") or {}
        if not v["file"].endswith(("264", "avc", "jsv")):
            continue
        path = os.path.join(data, "h264", v["file"])
        clean = not v.get("ffprobe_errors") and not v.get("decode_error_lines") and decoded.get("frames")
        clean = clean and len(decoded.get("sizes", [])) == 1 and v["nal"].get("forbidden_bit_1") == 0
        put("h264", v["file"], path, str(probe.get("width", 0)), str(probe.get("height", 0)),
            str(decoded.get("frames", 0)), probe.get("field_order", ""), "1" if clean else "0")


def websocket():
    v = vector("websocket.json")
    h = v["handshake"]
    put("wsopen", h["request"], h["accept"])
    pair = h["captured_pair"]
    put("wsopen", h["request"].replace(h["key"], pair["key"]), pair["accept_in_capture"])
    for f in v["frames_rfc6455_5_7"]:
        if "dir" in f:  # the others are heads alone
            put("wsframe", f["name"], bytes.fromhex(f["hex"]), f["dir"])
    for f in v["client_frames_server_must_reject"]:
        code = re.search(r"\((1\d\d\d)\)", f["name"])
        put("wsbad", f["name"], bytes.fromhex(f["hex"]), code.group(1) if code else "1002")


def main():
    if not os.path.isdir(os.path.join(data, "vectors")):
        sys.exit("vectors.py: there is no test data in %s" % data)
    for convert in (stun, base64, rfc6184, rtcp, http, srtp, sdp, hello, h264, websocket):
        convert()
    os.makedirs(os.path.dirname(sys.argv[1]) or ".", exist_ok=True)
    with open(sys.argv[1], "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


main()
