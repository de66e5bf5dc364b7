// IP cameras in Chromium: `node rtsp.mjs [WORD ...]` runs the tests whose name has one of the words, or all. The cameras
// are GStreamer's RTSP server (test/gst_server.py) and VLC. Lines `# ` are measurements.
// Needs Chromium and the binary (WCAM_BIN); what needs GStreamer, VLC, ffmpeg, openssl or a C compiler is skipped without.
// WCAM_WATCH: seconds for which eight cameras are watched (30).
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { BIN, Skip, check, executable, inbound, needProgram, open, runTests, serve, shut, spread, status, tmp, until } from './harness.mjs';
import { relay } from './relay.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const WATCH = Number(process.env.WCAM_WATCH || 30);
const tests = [];
const test = (name, body) => tests.push({ name, body });
const note = words => console.log('# ' + words);
const pause = ms => new Promise(done => setTimeout(done, ms));   // for what is counted per second, not to await anything
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];
const children = new Set();
process.on('exit', () => children.forEach(c => c.kill('SIGKILL')));
let browser;

// ---- cameras

// A child, killed with us at the latest. `ended` resolves when it is gone.
function run(command, args, options) {
  const child = spawn(command, args, options);
  children.add(child);
  const ended = new Promise(done => { child.once('exit', done); child.once('error', done); });
  ended.then(() => children.delete(child));
  return { child, ended, stop: () => { child.kill('SIGKILL'); return ended; } };
}

// GStreamer's server. options: see gst_server.py; file: of H.264, or what --pattern makes of it.
async function gstreamer(file, ...options) {
  const python = executable('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
  const it = run(python, [join(here, '../gst_server.py'), file, 'none', '', '', ...options], { stdio: ['pipe', 'pipe', 'pipe'] });
  let log = '';
  it.child.stdin.on('error', () => {});
  it.child.stderr.setEncoding('utf8').on('data', text => { log = (log + text).slice(-4000); });
  const port = await new Promise((ok, no) => {
    it.child.stdout.setEncoding('utf8').once('data', text => ok(Number(text)));
    it.ended.then(() => no(/GStreamer (cannot be used|has no element)/.test(log) || !log
      ? new Skip(log.trim() || `${python} cannot be started`) : new Error(`gst_server.py ended: ${log}`)));
  });
  return { ...it, port, url: `rtsp://127.0.0.1:${port}/cam` };
}

// The test picture in real time, made by a program of its own.
let generator = null;
function pattern() {
  if (generator) return generator;
  const path = join(tmp, 'pattern_pipe');
  try {
    execFileSync('cc', ['-std=c99', '-O2', join(here, '../pattern_pipe.c'), '-o', path, '-lsrtp2', '-lmbedtls',
      '-lmbedx509', '-lmbedcrypto'], { stdio: 'pipe' });
  } catch (e) {
    throw e.code === 'ENOENT' ? new Skip('a C compiler is needed') : e;
  }
  return generator = path;
}

const camera = (spec, ...options) => gstreamer(spec, '--pattern', pattern(), ...options);

// A film by x264 that fills 2 Mbit/s.
let made = null;
function film() {
  const path = join(tmp, 'film.h264');
  if (made) return made;
  try {
    execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', '-f', 'lavfi', '-i',
      'testsrc2=size=640x360:rate=25:duration=8,noise=alls=30:allf=t', '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g',
      '50', '-b:v', '2M', '-maxrate', '2M', '-bufsize', '1M', '-pix_fmt', 'yuv420p', '-f', 'h264', path], { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`ffmpeg with libx264 is needed: ${String(e.stderr || e.message).trim()}`);
  }
  return made = path;
}

async function withAll(things, body) {   // what has a stop(), stopped at the end
  try {
    return await body(...things);
  } finally {
    for (const thing of things) await thing.stop();
  }
}

async function withServer(args, body) {
  const server = await serve(args);
  return withAll([server], body);
}

async function withPage(url, body, options) {
  const page = await open(browser, url, options);
  try {
    return await body(page);
  } finally {
    await shut(page);
  }
}

const SPEC = '320x240@25,gop=25';   // a picture that is no burden
const settled = page => status(page, /^Live .* fps/);

// ---- a camera that goes and comes

test('the camera is killed and started again: the same page goes on', async () => {
  let cam = await camera(SPEC, '--sound', 'pcmu');
  const { port } = cam, whole = [], ours = [];
  try {
    await withServer(['cam=' + cam.url], server => withPage(server.url + '/cam', async page => {
      await settled(page);
      await page.evaluate(() => { window.__same = true; });
      for (let i = 0; i < 5; i++) {
        const began = Date.now();
        await cam.stop();
        cam = await camera(SPEC, '--sound', 'pcmu', '--port', String(port));
        const up = Date.now(), still = (await inbound(page)).framesDecoded;
        await until(() => inbound(page), s => s.framesDecoded > still + 2, 15000, 'pictures after the restart');
        whole.push(Date.now() - began);
        ours.push(Date.now() - up);
      }
      note(`from the kill to pictures: ${spread(whole)}`);
      note(`from when the camera takes calls again to pictures: ${spread(ours)}`);
      await settled(page);
      // the browser needs some more seconds to forget the gaps: that there is sound again is all that is asked here
      const s = await together(page, Infinity), connections = await page.evaluate(() => window.__same && window.__pcs.length);
      note(`after five restarts: ${s.words}, ${connections} connection(s) made by the page`);
      check(connections === 1, `the page made ${connections} connections, or was loaded again`);
    }));
  } finally {
    await cam.stop();
  }
});

// ---- picture and sound

// What the newest connection receives: both kinds in one look.
const received = page => page.evaluate(async () => {
  const stats = [...(await window.__pcs.at(-1).getStats()).values()].filter(s => s.type === 'inbound-rtp');
  return Object.fromEntries(['video', 'audio'].map(kind => [kind, stats.find(s => s.kind === kind) || {}]));
});

// With sound: it is loud, and no further from the picture than the ear forgives. What the browser itself keeps in store of
// either, which on a busy machine is much, and which it evens out by and by, is told apart from that: `ours` is without it.
async function together(page, bound = 100) {
  await page.evaluate(() => { document.querySelector('video').muted = false; });
  const apart = s => s.video.estimatedPlayoutTimestamp - s.audio.estimatedPlayoutTimestamp;
  const ready = s => s.video.framesDecoded > 30 && s.audio.packetsReceived > 50 && s.audio.audioLevel > 0.05;
  const first = await until(() => received(page), s => ready(s) && Number.isFinite(apart(s)), 15000, 'picture and sound');
  const found = [];
  const last = await until(() => received(page), s => found.push(apart(s)) >= 30, 15000, 'picture and sound');
  const stored = kind => (last[kind].jitterBufferDelay - first[kind].jitterBufferDelay) /
    (last[kind].jitterBufferEmittedCount - first[kind].jitterBufferEmittedCount) * 1000;
  const all = quantile(found, 0.5), ours = all - (stored('audio') - stored('video'));
  check(Math.abs(ours) <= bound, `the picture is ${ours} ms ahead of the sound, without what the browser has in store; ${all} ms with it`);
  return { ...last, words: `picture ${Math.round(all)} ms ahead of the sound, ${Math.round(ours)} ms without what the browser has in store` };
}

for (const [name, gst, url, sound] of [
  ['TCP, PCMU', ['--sound', 'pcmu'], '', 'PCMU'],
  ['TCP, PCMA', ['--sound', 'pcma'], '', 'PCMA'],
  ['UDP as asked, PCMU', ['--transport', 'udp', '--sound', 'pcmu'], '?transport=udp', 'PCMU'],
  ['a server that only does UDP, Opus', ['--transport', 'udp', '--sound', 'opus'], '', 'opus'],
]) {
  test(`GStreamer by ${name}: picture and sound, together`, async () => withAll([await camera(SPEC, ...gst)], cam =>
    withServer(['cam=' + cam.url + url], server => withPage(server.url + '/cam', async page => {
      await settled(page);
      const s = await together(page), state = await server.api(), [stream] = state.streams;
      note(`${name}: ${s.video.framesDecoded} frames, ${s.audio.packetsReceived} packets of sound, level ` +
        `${s.audio.audioLevel.toFixed(2)}, ${s.words}, drops ${JSON.stringify(state.drops)}`);
      check(stream.source === 'rtsp' && stream.state === 'live' && stream.reason === '', JSON.stringify(stream));
      check(stream.audio === sound && stream.audio_reason === '', JSON.stringify(stream));
      check(s.audio.packetsLost === 0 && s.video.packetsLost === 0, `${s.audio.packetsLost} and ${s.video.packetsLost} packets are lost`);
    }))));
}

test('GStreamer with AAC: the picture alone, and why', async () => withAll([await camera(SPEC, '--sound', 'aac')], cam =>
  withServer(['cam=' + cam.url], server => withPage(server.url + '/cam', async page => {
    await settled(page);
    await status(page, /^Live · 320×240 .* The camera's sound is \S+, which browsers do not take\.$/);
    const [stream] = (await server.api()).streams, s = await received(page);
    check(stream.audio === '' && /browsers do not take/.test(stream.audio_reason), JSON.stringify(stream));
    check(stream.state === 'live' && stream.reason === '', JSON.stringify(stream));
    check(!s.audio.packetsReceived, `${s.audio.packetsReceived} packets of sound came`);
    note(`AAC: ${stream.audio_reason}`);
  }))));

// The cameras are called and left as the viewer comes and goes between their streams; the sound changes its codec meanwhile.
test('main and sub of a camera: moved on a slow network and back, with sound', async () => withAll(
  [await gstreamer(film(), '--loop', '--sound', 'pcmu'), await camera(SPEC, '--sound', 'opus')], (main, sub) =>
    withServer([`cam=${main.url}`, `cam/sub=${sub.url}`], async server => {
      const net = await relay(server.port, { down: { rate: 1e6, queue: 60000, delay: 10 }, up: { delay: 10 } });
      const page = await open(browser, 'about:blank');
      await page.route('**/cam/whep', async route => {
        const response = await route.fetch(), body = await response.text();
        await route.fulfill({ response, body: route.request().method() === 'POST' ? net.rewrite(body) : body });
      });
      try {
        await page.goto(server.url + '/cam');
        const begun = Date.now(), took = () => ((Date.now() - begun) / 1000).toFixed(1);
        const viewer = async () => (await server.api()).sessions[0] || {};
        const heard = async () => (await received(page)).audio.packetsReceived;
        const sources = async () => (await server.api()).streams.map(s => s.reason);
        await until(viewer, v => v.stream === 'sub', 15000, 'the move to sub');
        await status(page, /320×240 .* the network is too slow for the large picture/);
        const moved = took(), then = await heard();
        await until(heard, n => n > then + 50, 5000, 'sound of sub');
        await until(sources, r => /when somebody watches/.test(r[0]) && !r[1], 15000, 'main to be left');
        net.down.set({ rate: 0 });
        await until(viewer, v => v.stream === '', 45000, 'the way back');
        await status(page, /^Live · 640×360/);
        const before = await heard();
        await until(heard, n => n > before + 50, 5000, 'sound of main');
        note(`1 Mbit/s for 2: on sub after ${moved} s; main again ${took()} s after the beginning, with ${(await viewer()).probes} tries`);
        check(await page.evaluate(() => window.__pcs.length) === 1, 'the page made another connection');
      } finally {
        await shut(page);
        await net.close();
      }
    })));

// GStreamer gives all pictures of a raw file the same timestamp: only the marker tells them apart. Parameter sets come with
// every keyframe, and belong to it.
test('a camera whose RTP clock stands still: whole, with its keyframes', async () => withAll([await gstreamer(film(), '--loop')], cam =>
  withServer(['cam=' + cam.url], server => withPage(server.url + '/cam', async page => {
    await settled(page);
    const state = await until(server.api, s => s.streams[0].frames > 120, 15000, 'frames');
    const { drops, streams: [stream] } = state;
    note(`a standing clock: ${stream.frames} frames, ${stream.keyframes} keyframes, drops ${JSON.stringify(drops)}`);
    check(stream.keyframes >= 3 && !drops.rtp_incomplete_picture, JSON.stringify([stream, drops]));
  }))));

// ---- TLS

test('rtsps: a certificate that nobody vouches for is refused in words, and taken with --insecure-rtsp', async () => {
  const key = join(tmp, 'key.pem'), cert = join(tmp, 'cert.pem');
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
      '/CN=camera', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`openssl is needed: ${String(e.stderr || e.message).trim().split('\n')[0]}`);
  }
  await withAll([await camera(SPEC, '--sound', 'pcmu')], async cam => {
    const proxy = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, client => {
      const inner = connect(cam.port, '127.0.0.1');
      for (const [a, b] of [[client, inner], [inner, client]]) a.on('error', () => b.destroy()).on('close', () => b.destroy()).pipe(b);
    }).on('tlsClientError', () => {});
    await new Promise(done => proxy.listen(0, '127.0.0.1', done));
    const source = `cam=rtsps://127.0.0.1:${proxy.address().port}/cam`;
    try {
      await withServer([source], server => withPage(server.url + '/cam', async page => {
        await status(page, /certificate/);
        const [stream] = (await server.api()).streams;
        note(`rtsps: ${stream.reason}`);
        check(/certificate/.test(stream.reason) && stream.frames === 0, JSON.stringify(stream));
      }));
      await withServer(['--insecure-rtsp', source], server => withPage(server.url + '/cam', async page => {
        await settled(page);
        const s = await together(page);
        check(s.video.packetsLost === 0, `${s.video.packetsLost} packets are lost`);
      }));
    } finally {
      proxy.close();
    }
  });
});

// ---- VLC

test('VLC as a camera plays', async () => {
  if (!['/usr/bin/cvlc', '/usr/bin/vlc'].some(executable)) throw new Skip('VLC is not installed');
  const probe = createServer();
  await new Promise(done => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address();
  await new Promise(done => probe.close(done));
  const path = film(), root = process.getuid() === 0;
  if (root) execFileSync('chmod', ['755', tmp]);   // VLC does not run as root
  const args = ['-I', 'dummy', '--loop', '--no-audio', '--demux', 'h264', '--h264-fps', '25', path, '--sout-keep', '--sout',
    `#gather:rtp{sdp=rtsp://127.0.0.1:${port}/cam}`];
  const vlc = run(root ? 'setpriv' : 'vlc', [...(root ? ['--reuid=65534', '--regid=65534', '--clear-groups', 'vlc'] : []), ...args],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: tmp } });
  let log = '';
  vlc.child.stderr.setEncoding('utf8').on('data', text => { log = (log + text).slice(-2000); });
  await withAll([vlc], () => withServer([`cam=rtsp://127.0.0.1:${port}/cam`], server => withPage(server.url + '/cam', async page => {
    await settled(page).catch(async e => { throw new Error(`${e.message}; ${JSON.stringify((await server.api()).streams[0])}; VLC: ${log}`); });
    const { framesDecoded } = await inbound(page);
    await until(() => inbound(page), s => s.framesDecoded > framesDecoded + 50, 10000, 'two seconds of pictures');
    const state = await server.api();
    note(`VLC: ${(await inbound(page)).framesDecoded} frames, drops ${JSON.stringify(state.drops)}`);
    check(state.streams[0].state === 'live' && state.streams[0].reason === '', JSON.stringify(state.streams[0]));
  })));
});

const TOGETHER = tests.length;   // what does not measure may share the machine

// ---- latency

// A client that only looks: the access units of an RTSP server's first track over TCP, each with the time it was whole.
// Resolves to { units, stop }; the units are added while it runs.
async function pull(url) {
  const { hostname, port } = new URL(url.replace('rtsp:', 'http:')), units = [], answers = [];
  const socket = connect(Number(port), hostname);
  let bytes = Buffer.alloc(0), cseq = 0, nals = [];
  const code = Buffer.from([0, 0, 0, 1]);
  const packet = p => {   // RFC 6184 5.6 to 5.8, as far as GStreamer uses it
    const payload = p.subarray(12 + 4 * (p[0] & 15)), type = payload[0] & 31;
    if (type === 24) {
      for (let i = 1; i + 2 < payload.length; i += 2 + payload.readUInt16BE(i))
        nals.push(code, payload.subarray(i + 2, i + 2 + payload.readUInt16BE(i)));
    } else if (type === 28) {
      if (payload[1] & 128) nals.push(code, Buffer.from([(payload[0] & 224) | (payload[1] & 31)]));
      nals.push(payload.subarray(2));
    } else nals.push(code, payload);
    if (!(p[1] & 128)) return;
    units.push({ at: Date.now(), bytes: Buffer.concat(nals) });
    nals = [];
  };
  socket.on('error', () => {}).on('data', data => {
    bytes = Buffer.concat([bytes, data]);
    for (;;) {
      let n;
      if (bytes[0] === 36) {
        n = bytes.length < 4 ? Infinity : 4 + bytes.readUInt16BE(2);
        if (n > bytes.length) return;
        if (bytes[1] === 0) packet(bytes.subarray(4, n));
      } else {
        const end = bytes.indexOf('\r\n\r\n'), head = bytes.subarray(0, Math.max(end, 0)).toString();
        n = end < 0 ? Infinity : end + 4 + Number((/content-length: *(\d+)/i.exec(head) || [0, 0])[1]);
        if (n > bytes.length) return;
        answers.shift()?.(head + '\n' + bytes.subarray(end + 4, n));
      }
      bytes = bytes.subarray(n);
    }
  });
  const ask = async (method, to, ...headers) => {
    socket.write([`${method} ${to} RTSP/1.0`, `CSeq: ${++cseq}`, ...headers, '', ''].join('\r\n'));
    const answer = await new Promise((ok, no) => { answers.push(ok); socket.once('close', () => no(new Error(`${method}: hung up`))); });
    check(/^RTSP\/1.0 200/.test(answer), `${method}: ${answer}`);
    return answer;
  };
  const sdp = await ask('DESCRIBE', url, 'Accept: application/sdp');
  const control = /m=video[^]*?a=control:(\S+)/.exec(sdp)[1];
  const setup = await ask('SETUP', /^rtsp:/.test(control) ? control : `${url}/${control}`, 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1');
  await ask('PLAY', url, `Session: ${/session: *([^;\s]+)/i.exec(setup)[1]}`);
  return { units, stop: () => socket.destroy() };
}

// How old each access unit was when it was whole, by the blocks of its picture.
function agesOf(units) {
  const from = units.findIndex(u => u.bytes.includes(Buffer.from([0, 0, 1, 0x67])));
  check(from >= 0, 'no keyframe came');
  const used = units.slice(from);
  const { stdout, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-f', 'h264', '-i', '-', '-vf', 'crop=512:16:0:0', '-vsync', 'passthrough',
    '-pix_fmt', 'gray', '-f', 'rawvideo', '-'], { input: Buffer.concat(used.map(u => u.bytes)), maxBuffer: 1 << 28 });
  if (!stdout) throw new Skip('ffmpeg is needed');
  check(stdout.length === used.length * 512 * 16, `${stdout.length / 8192} pictures of ${used.length} access units: ${stderr}`);
  return used.map(({ at }, k) => {
    const bit = i => (stdout[k * 8192 + 8 * 512 + 16 * i + 8] > 127 ? 1 : 0);
    let t = 0, sum = 0;
    for (let i = 2; i < 26; i++) t = t * 2 + bit(i);
    for (let i = 26; i < 32; i++) sum = sum * 2 + bit(i);
    check(bit(0) && !bit(1) && sum === ((t >> 16) + ((t >> 8) & 255) + (t & 255)) % 61, 'the blocks cannot be read');
    return (at - t + 1.5 * 2 ** 24) % 2 ** 24 - 2 ** 23;
  });
}

// The same picture, of the same rate, once on standard input and once through GStreamer. 29 frames a second, so that neither
// keeps its place between two refreshes of the screen.
test('a picture by RTSP is hardly later than one on standard input', async () => {
  const fps = 29, spec = `1280x720@${fps},gop=${fps}`, cam = await camera(spec);
  const writer = run(pattern(), [spec], { stdio: ['ignore', 'pipe', 'ignore'] });
  const it = run(BIN, ['-l', '127.0.0.1:0', 'pipe=-', 'rtsp=' + cam.url], { stdio: [writer.child.stdout, 'ignore', 'pipe'] });
  await withAll([it, writer, cam], async () => {
    const port = await new Promise((ok, no) => {
      it.ended.then(() => no(new Error('the server ended')));
      it.child.stderr.setEncoding('utf8').on('data', text => /http:\/\/\S+:(\d+)/.test(text) && ok(/http:\/\/\S+:(\d+)/.exec(text)[1]));
    });
    writer.child.stdout.destroy();   // our end of it
    const found = { pipe: [], rtsp: [] };
    await withPage(`http://127.0.0.1:${port}/pipe`, pipe => withPage(`http://127.0.0.1:${port}/rtsp`, async rtsp => {
      await settled(pipe);
      await settled(rtsp);
      for (let i = 0; i < 2; i++) { // by turns, each with the machine to itself as far as there is such a thing
        for (const [name, page] of [['pipe', pipe], ['rtsp', rtsp]]) {
          const { distinct, bad, ages } = await page.evaluate(() => window.__watch(2000));
          check(bad === 0, `${name}: ${bad} frames with a wrong check value`);
          check(distinct >= fps, `${name}: ${distinct} different stamps in 2 s, expected ${2 * fps}`);
          found[name].push(...ages);
        }
      }
    }));
    const raw = await pull(cam.url);
    await until(() => raw.units.length, n => n >= 3 * fps, 10000, 'access units');
    raw.stop();
    const wire = agesOf(raw.units.slice(fps));
    const added = q => quantile(found.rtsp, q) - quantile(found.pipe, q);
    note(`glass to glass, standard input: ${spread(found.pipe)}`);
    note(`glass to glass, RTSP: ${spread(found.rtsp)}`);
    note(`GStreamer alone, until the last byte of a picture came by RTSP: ${spread(wire)}`);
    note(`RTSP adds: median ${added(0.5)} p95 ${added(0.95)} ms, GStreamer's own ${quantile(wire, 0.5)} and ${quantile(wire, 0.95)} ms among it; ` +
      `a frame lasts ${Math.round(1000 / fps)} ms`);
    const ours = added(0.5) - quantile(wire, 0.5);
    check(ours < 700 / fps, `${ours} ms are added to GStreamer's own: a picture waits for the next one`);
  });
});

// ---- eight cameras

const proc = (pid, name) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
const ticks = pid => proc(pid, 'stat').replace(/^.*\) /, '').split(' ').slice(11, 13).reduce((a, b) => a + Number(b), 0);
const naps = pid => Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(proc(pid, 'status'))[1]);
const HZ = 100;   // of ticks, on every Linux

// Over some seconds: percent of a core and voluntary context switches per second.
async function effort(pid, ms) {
  const before = [ticks(pid), naps(pid), performance.now()];
  await pause(ms);
  const seconds = (performance.now() - before[2]) / 1000;
  return { cpu: (ticks(pid) - before[0]) / HZ / seconds * 100, naps: (naps(pid) - before[1]) / seconds };
}

const eight = url => Array.from({ length: 8 }, (_, i) => `c${i}=${url}`);

// In the page: twice a second and picture, its age and how far its RTP timestamp is from the time in its blocks.
const sample = () => {
  window.__samples = [...document.querySelectorAll('video')].map(video => {
    const found = [];
    let first = null, next = 0;
    video.requestVideoFrameCallback(function look(now, frame) {
      video.requestVideoFrameCallback(look);
      if (now < next) return;
      next = now + 500;
      const at = Date.now(), age = patternAge(video);   // of the page
      if (!Number.isFinite(age)) return;
      const t = at - age;
      first = first || [frame.rtpTimestamp, t];
      found.push({ at: performance.now(), age, offset: ((frame.rtpTimestamp - first[0]) | 0) / 90 - (t - first[1]) });
    });
    return found;
  });
};

test(`eight cameras for ${WATCH} s: nothing drifts`, async () => withAll([await camera('640x368@15,gop=15', '--apart')], cam =>
  withServer(eight(cam.url), server => withPage(server.url, async page => {
    await status(page, /^8 cameras, all live/);
    await page.evaluate(() => Promise.all([...tiles.values()].map(t => new Promise(done => t.video.requestVideoFrameCallback(done)))));
    const frames = async () => (await server.api()).streams.map(s => s.frames);
    const before = await frames();
    await page.evaluate(sample);
    const { cpu, naps: woken } = await effort(server.pid, WATCH * 1000);
    const after = await frames(), samples = await page.evaluate(() => window.__samples), state = await server.api();
    check(samples.length === 8, `${samples.length} pictures on the page`);
    const part = WATCH * 1000 / 6, drifts = [], creeps = [], ages = [];
    samples.forEach((found, k) => {
      const begin = found[0]?.at || 0, windows = [1, 2, 3, 4, 5].map(i => found.filter(s => s.at - begin >= part * i && s.at - begin < part * (i + 1)));
      check(windows.every(w => w.length >= part / 2000), `c${k}: ${windows.map(w => w.length)} pictures were looked at`);
      const offsets = windows.map(w => quantile(w.map(s => s.offset), 0.5)), age = windows.map(w => quantile(w.map(s => s.age), 0.5));
      drifts.push(Math.max(...offsets) - Math.min(...offsets));
      creeps.push(age[4] - age[0]);
      ages.push(...found.map(s => s.age));
    });
    const rate = after.map((n, k) => (n - before[k]) / WATCH);
    note(`eight cameras: glass to glass ${spread(ages)}`);
    note(`eight cameras: the RTP clock moved by ${drifts.map(d => d.toFixed(1)).join(' ')} ms against the camera's, ages by ` +
      `${creeps.map(d => d.toFixed(0)).join(' ')} ms; ${Math.min(...rate).toFixed(1)} to ${Math.max(...rate).toFixed(1)} frames/s`);
    note(`eight cameras of 15 frames/s, each watched: ${(cpu / 8).toFixed(2)} % of a core and ${(woken / 8).toFixed(1)} wake-ups/s per camera; ` +
      `drops ${JSON.stringify(state.drops)}`);
    check(drifts.every(d => d <= 50), `the RTP clocks drift: ${drifts}`);
    check(rate.every(r => r > 14), `frames a second: ${rate}`);
    check(await page.evaluate(() => window.__pcs.length) === 8, 'the page had to connect again');
  }, { context: { viewport: { width: 1600, height: 1400 } } }))));

test('idle cameras cost little, and nothing when they are not called', async () => withAll([await gstreamer(film(), '--loop', '--apart')], cam =>
  withServer(['--keep-warm', ...eight(cam.url)], warm => withServer(eight(cam.url), async cold => {
    await until(async () => (await warm.api()).streams, list => list.every(s => s.state === 'live' && s.frames > 25), 15000, 'eight cameras kept warm');
    const before = (await warm.api()).streams;
    const [idle, busy] = await Promise.all([effort(cold.pid, 5000), effort(warm.pid, 5000)]);
    const now = (await warm.api()).streams, sum = list => list.reduce((n, s) => n + s.frames, 0);
    note(`kept warm, nobody watches, ${now[0].width}x${now[0].height}, ${(now.reduce((n, s) => n + s.bitrate_kbps, 0) / 8000).toFixed(1)} Mbit/s, ` +
      `${((sum(now) - sum(before)) / 40).toFixed(1)} frames/s: ${(busy.cpu / 8).toFixed(2)} % of a core and ${(busy.naps / 8).toFixed(1)} wake-ups/s per camera`);
    note(`not called: ${(idle.cpu / 8).toFixed(2)} % of a core and ${(idle.naps / 8).toFixed(2)} wake-ups/s per camera`);
    check(idle.naps < 8, `${idle.naps} wake-ups/s although no camera is called`);
  }))));

needProgram();
browser = await chromium.launch({   // as the harness does, and sound starts without a click
  executablePath: process.env.WCAM_CHROMIUM || '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-quic', '--autoplay-policy=no-user-gesture-required'],
});
await runTests(tests, { lanes: 3, alone: TOGETHER, done: () => browser.close() });
