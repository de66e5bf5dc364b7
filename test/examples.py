#!/usr/bin/env python3
"""Compiles the examples as a user would (C and C++ callers) and runs them until they show a live stream."""
import json, re, shutil, subprocess, sys, time, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / 'build' / 'examples'
LIBS = '-lsrtp2 -lmbedtls -lmbedx509 -lmbedcrypto'.split()
STRICT = '-pedantic -Wall -Wextra -Werror -O2'.split()
counts = {'ok': 0, 'not ok': 0, 'skip': 0}


def say(word, name, why=''):
    counts[word] += 1
    print(f'{word} - {name}' + (f': {why}' if why else ''), flush=True)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f'status {done.returncode}')


def frames(url):
    with urllib.request.urlopen(url + 'api/streams', timeout=5) as answer:
        return json.load(answer)['streams'][0]['frames']


def live(*command):
    """Starts an example and waits until its stream has ten frames more than at first sight."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as program:
        try:
            url = re.search(r'http://[^/]+/', program.stdout.readline()).group()
            first = frames(url)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:  # asked over and over: there is no event to wait for
                if frames(url) >= first + 10:
                    return
            raise RuntimeError('no ten frames came')
        finally:
            program.kill()


def test(name, body):
    try:
        body()
        say('ok', name)
    except Exception as why:
        say('not ok', name, why)


def minimal():
    assert len((ROOT / 'examples/minimal.c').read_text().splitlines()) < 40, 'minimal.c has 40 lines or more'
    run('cc', '-std=c99', *STRICT, 'examples/minimal.c', 'webrtc_cam.c', '-o', str(OUT / 'minimal'), *LIBS)
    live(str(OUT / 'minimal'), '127.0.0.1:0')


def cplusplus():
    run('cc', '-std=c99', *STRICT, '-c', 'webrtc_cam.c', '-o', str(OUT / 'webrtc_cam.o'))
    run('c++', '-x', 'c++', *STRICT, '-Wno-missing-field-initializers', 'examples/minimal.c', '-x', 'none', str(OUT / 'webrtc_cam.o'), '-o',
        str(OUT / 'minimal_cpp'), *LIBS)
    live(str(OUT / 'minimal_cpp'), '127.0.0.1:0')


def push():
    run('cc', '-std=c99', *STRICT, 'examples/push.c', 'webrtc_cam.c', '-o', str(OUT / 'push'), *LIBS)
    run('ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=30', '-t', '2', '-pix_fmt', 'yuv420p',
        '-f', 'yuv4mpegpipe', str(OUT / 'film.y4m'))
    run('x264', '--quiet', '--tune', 'zerolatency', '--keyint', '60', '--aud', '-o', str(OUT / 'units.h264'),
        str(OUT / 'film.y4m'))
    live(str(OUT / 'push'), str(OUT / 'units.h264'), '30', '127.0.0.1:0')


OUT.mkdir(parents=True, exist_ok=True)
test('minimal.c: below 40 lines, runs', minimal)
test('minimal.c as C++', cplusplus)
if shutil.which('x264') and shutil.which('ffmpeg'):
    test('push.c with access units of x264', push)
else:
    say('skip', 'push.c', 'x264 and ffmpeg are not installed')
print(f"{counts['ok']} passed, {counts['not ok']} failed" + (f", {counts['skip']} skipped" if counts['skip'] else ''))
sys.exit(counts['not ok'] > 0)
