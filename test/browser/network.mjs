// What becomes of the video on bad networks: Chromium behind a relay (relay.mjs) that loses, delays, shuffles and queues.
// `node network.mjs [WORD ...]` runs the tests whose name has one of the words, or all. Lines `# ` are measurements.
// Needs Chromium, ffmpeg with x264, and the binary (WCAM_BIN). WCAM_WATCH=60 watches for that many seconds, WCAM_SEED=N
// gives other chances.
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Skip, check, inbound, launch, needProgram, runTests, serve, spread, tmp } from './harness.mjs';
import { relay } from './relay.mjs';

const tests = [];
const test = (name, body) => tests.push({ name, body });
const note = words => console.log('# ' + words);
const sleep = ms => new Promise(next => setTimeout(next, ms));
const SEED = Number(process.env.WCAM_SEED || 1);
const watch = seconds => Number(process.env.WCAM_WATCH || seconds);
const FPS = 30;
let browser;

// The row of blocks that the pattern has as well, here with the number of the frame: 1, 0, 24 bits, 6 bits of check.
function blocks(count) {
  const bytes = Buffer.alloc(count * 512 * 16);
  for (let n = 0; n < count; n++) {
    const sum = ((n >> 16) + ((n >> 8) & 255) + (n & 255)) % 61;
    const bits = '10' + n.toString(2).padStart(24, '0') + sum.toString(2).padStart(6, '0');
    for (let y = 0; y < 16; y++)
      for (let x = 0; x < 512; x++) bytes[(n * 16 + y) * 512 + x] = bits[x >> 4] === '1' ? 255 : 0;
  }
  return bytes;
}

// A film of `seconds` with numbered frames, made once. `picture` is a source for ffmpeg's lavfi, `args` are x264's.
const films = new Map();
function film(name, seconds, picture, args) {
  const path = join(tmp, `${name}.h264`), count = seconds * FPS;
  if (films.has(name)) return films.get(name);
  const raw = join(tmp, 'blocks.gray');
  writeFileSync(raw, blocks(count));
  try {
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', picture, '-f', 'rawvideo', '-pix_fmt', 'gray', '-s', '512x16',
      '-r', String(FPS), '-i', raw, '-filter_complex', '[0][1]overlay=shortest=1', '-frames:v', String(count), '-c:v', 'libx264',
      '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-bf', '0', '-sc_threshold', '0', ...args, '-f', 'h264', path],
    { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`ffmpeg with libx264 is needed: ${String(e.stderr || e.message).trim()}`);
  }
  check(existsSync(path), 'ffmpeg made nothing');
  films.set(name, { path, count });
  return films.get(name);
}

const noisy = size => `testsrc2=size=${size}:rate=${FPS},noise=alls=12:allf=t`;
const rate = (kbit, gop) => ['-g', String(gop), '-keyint_min', String(gop), '-b:v', `${kbit}k`, '-maxrate', `${kbit}k`,
  '-bufsize', `${kbit}k`];
const common = () => film('720p-2M', 12, noisy('1280x720'), rate(2000, 60));
const longGop = () => film('720p-4M-300', 20, noisy('1280x720'), rate(4000, 300));
// a still picture of noise: large IDRs, and little in between
const hugeKey = () => film('1080p-huge', 10, `testsrc2=size=1920x1080:rate=${FPS},noise=alls=40,loop=-1:1`,
  ['-g', '30', '-keyint_min', '30', '-crf', '34']);

const PAGE = '<!doctype html><title>network</title><video autoplay muted playsinline></video>';

// In the page: joins by WHEP, changes offer and answer, and keeps [unix ms, stamp or -1, frames so far, RTP time, width] of frames.
const JOIN = async ({ strip, candidate }) => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  canvas.width = 512;
  canvas.height = 16;
  const g = canvas.getContext('2d', { willReadFrequently: true });
  const read = () => {
    g.drawImage(video, 0, 0, 512, 16, 0, 0, 512, 16);
    const { data } = g.getImageData(0, 8, 512, 1);
    let n = 0, sum = 0;
    for (let i = 2; i < 26; i++) n = n * 2 + (data[(i * 16 + 8) * 4 + 1] > 127);
    for (let i = 26; i < 32; i++) sum = sum * 2 + (data[(i * 16 + 8) * 4 + 1] > 127);
    return ((n >> 16) + ((n >> 8) & 255) + (n & 255)) % 61 === sum ? n : -1;
  };
  window.__log = [];
  video.requestVideoFrameCallback(function look(now, meta) {
    window.__log.push([performance.timeOrigin + now, read(), meta.presentedFrames, meta.rtpTimestamp, meta.width]);
    video.requestVideoFrameCallback(look);
  });
  const pc = new RTCPeerConnection();
  window.__pcs = [pc];
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.ontrack = e => { video.srcObject = new MediaStream([e.track]); };
  const offer = await pc.createOffer();
  if (strip) {   // no RTX in the offer
    const rtx = [...offer.sdp.matchAll(/^a=rtpmap:(\d+) (?:rtx|red|ulpfec|flexfec-03)\//gm)].map(m => m[1]);
    offer.sdp = offer.sdp.split('\r\n').filter(l => !rtx.some(pt => new RegExp(`^a=(rtpmap|fmtp|rtcp-fb):${pt} `).test(l)))
      .map(l => !l.startsWith('m=video') ? l : l.split(' ').filter((word, i) => i < 3 || !rtx.includes(word)).join(' '))
      .join('\r\n');
  }
  await pc.setLocalDescription(offer);
  const posted = performance.timeOrigin + performance.now();
  const r = await fetch('/cam/whep', {
    method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: offer.sdp,
  });
  if (r.status !== 201) throw new Error(r.status + ' ' + await r.text());
  const answer = await r.text();
  if (strip && /rtx/.test(answer)) throw new Error('the answer has RTX that nobody offered');
  const lines = answer.split('\r\n').filter(line => !candidate || !/^a=(candidate:|end-of-candidates)/.test(line));
  if (candidate) lines.splice(lines.findIndex(line => line.startsWith('a=ice-ufrag')), 0, candidate);
  await pc.setRemoteDescription({ type: 'answer', sdp: lines.join('\r\n') });
  return posted;
};

// The unix ms at which a file's server took frame 0: the least that its frame counts allow, to some milliseconds.
async function epoch(server) {
  let zero = Infinity;
  for (const end = Date.now() + 700; Date.now() < end; await sleep(3)) {
    const [stream] = (await server.api()).streams;
    if (stream.frames) zero = Math.min(zero, Date.now() - (stream.frames - 1) * 1000 / FPS);
  }
  return zero;
}

// What is on screen, with each frame's age: by the pattern's blocks, or by the number of the film's frame.
const log = async (page, age) => (await page.evaluate(() => window.__log))
  .map(([at, n, , , width]) => ({ at, n, width, age: n < 0 ? NaN : age(at, n) }));
const ageOfPattern = (at, n) => (at - n + 1.5 * 2 ** 24) % 2 ** 24 - 2 ** 23;
const ageOfFilm = (zero, count) => (at, n) => {
  const length = count * 1000 / FPS, then = zero + n * 1000 / FPS;
  return (at - then + 1000) % length - 1000;
};

// The gaps between frames on screen in [from, to]: the longest, and all that is above two frames and 100 ms.
function gaps(frames, from, to) {
  const at = [from, ...frames.map(f => f.at).filter(t => t > from && t < to), to];
  const all = at.slice(1).map((t, i) => t - at[i]).filter(gap => gap > 0);
  const frozen = all.filter(gap => gap > 100 + 2000 / FPS);
  return {
    longest: Math.round(Math.max(0, ...all)), count: frozen.length, total: Math.round(frozen.reduce((a, b) => a + b, 0)),
    list: frozen.map(Math.round),
  };
}

// [ms to the first picture, ms to the first of the frames from which on all are younger than `young`]
function timesOf(frames, posted, young = 300, hold = 500) {
  const first = frames[0] && frames[0].at - posted;
  let live = null;
  for (const f of frames) {
    if (Number.isNaN(f.age)) continue;
    if (f.age > young) live = null;
    else if (live === null) live = f.at;
    else if (f.at - live > hold) break;
  }
  return [first, live === null ? null : live - posted];
}

const ms = v => v === null || v === undefined ? 'never' : `${Math.round(v)} ms`;

// A server (of one source, or of a camera's streams), a relay and a page that has joined: `body` gets them all.
async function withNet(source, { up, down, strip = false, ready = null }, body) {
  const server = await serve([source].flat());
  let net, page;
  try {
    const zero = typeof source === 'string' && source.startsWith('test:') ? null : await epoch(server);
    net = up || down ? await relay(server.port, { up, down, seed: SEED }) : null;
    page = await (await browser.newContext()).newPage();
    await page.route('**/network', route => route.fulfill({ contentType: 'text/html', body: PAGE }));
    await page.goto(server.url + '/network');
    const join = () => page.evaluate(JOIN,
      { strip, candidate: net && `a=candidate:1 1 udp 2130706431 127.0.0.1 ${net.port} typ host` });
    if (ready) await ready(server, zero);
    return await body({ server, net, page, zero, join });
  } finally {
    if (page) await page.context().close();
    if (net) await net.close();
    await server.stop();
  }
}

const session = async server => (await server.api()).sessions[0] || {};

// Waits until so many frames were shown.
const shown = (page, n, timeout = 15000) => page.waitForFunction(k => window.__log.length > k, n, { timeout });

// Plays `of` for a while over that network: what the browser and the server counted, and the freezes on screen.
async function play(title, of, seconds, options) {
  return withNet(of.path, options, async ({ server, net, page, zero, join }) => {
    const posted = await join();
    await shown(page, 0);
    await sleep(1000);
    const from = Date.now(), before = await inbound(page);
    await sleep(seconds * 1000);
    const to = Date.now(), s = await inbound(page), its = await session(server);
    const frames = await log(page, ageOfFilm(zero, of.count)), [first, live] = timesOf(frames, posted);
    const g = gaps(frames, from, to), d = key => (s[key] || 0) - (before[key] || 0);
    const ages = frames.filter(f => f.at > from && !Number.isNaN(f.age)).map(f => f.age);
    const buffer = 1000 * d('jitterBufferDelay') / (d('jitterBufferEmittedCount') || 1);
    note(`${title}: first picture ${ms(first)}, live ${ms(live)}`);
    note(`${title}: ${d('framesDecoded')} frames in ${seconds} s, longest gap ${g.longest} ms, ${g.count} freezes of ` +
      `${g.total} ms [${g.list.join(' ')}]; by getStats ${d('freezeCount')} of ${Math.round(1000 * d('totalFreezesDuration'))} ms`);
    note(`${title}: age ${spread(ages)}, jitter buffer ${Math.round(buffer)} ms, NACK ${d('nackCount')} PLI ${d('pliCount')} ` +
      `lost ${d('packetsLost')} repaired ${d('retransmittedPacketsReceived')}`);
    note(`${title}: server ${JSON.stringify(its)}`);
    if (net) note(`${title}: down ${net.down}; up ${net.up}`);
    return { ...g, first, live, stats: s, decoded: d('framesDecoded'), seconds, ages, its, dropped: net ? net.down.count.dropped : 0 };
  });
}

const lossy = (loss, more = {}) => ({ up: { loss, delay: 20, ...more }, down: { loss, delay: 20, ...more } });

test('loss of 5 %: no gap above 0.5 s', async () => {
  const r = await play('5 % loss', common(), watch(30), lossy(0.05));
  check(r.decoded > r.seconds * FPS * 0.9, `${r.decoded} frames in ${r.seconds} s`);
  check(r.longest <= 500, `the longest gap on screen is ${r.longest} ms`);
});

test('loss of 10 %: frozen for less than 5 % of the time', async () => {
  const r = await play('10 % loss', common(), watch(30), lossy(0.1));
  check(r.total < r.seconds * 50, `frozen for ${r.total} ms of ${r.seconds} s`);
});

test('loss of 20 %: reported', async () => {
  const r = await play('20 % loss', common(), watch(30), lossy(0.2));
  check(r.decoded > 0, 'nothing was decoded');
});

test('jitter of 30 ms with reordering: plays', async () => {
  const r = await play('jitter', common(), watch(30), {
    up: { delay: 10, jitter: 30, reorder: true }, down: { delay: 10, jitter: 30, reorder: true },
  });
  check(r.decoded > r.seconds * FPS * 0.9, `${r.decoded} frames in ${r.seconds} s`);
});

test('without RTX: 5 % loss is repaired by plain resends', async () => {
  const r = await play('no RTX', common(), watch(30), { ...lossy(0.05), strip: true });
  check(r.decoded > r.seconds * FPS * 0.8, `${r.decoded} frames in ${r.seconds} s`);
  check(!r.stats.retransmittedPacketsReceived, 'there is RTX all the same');
  check(r.its.retransmitted !== 0, 'the server repeated nothing');
});

// Waits until the film's current GOP is so many frames old.
const phase = (zero, gop, frame) => sleep(((frame - (Date.now() - zero) * FPS / 1000) % gop + gop) % gop * 1000 / FPS);

async function joinLate(title, of, gop, frame, options, young = 300) {
  return withNet(of.path, { ...options, ready: (server, zero) => phase(zero, gop, frame) },
    async ({ server, net, page, zero, join }) => {
      const posted = await join();
      const states = [];
      const until = Date.now() + 4000;
      while (Date.now() < until) {
        const { state } = await session(server);
        if (states.at(-1)?.[1] !== state) states.push([Math.round(Date.now() - posted), state]);
        await sleep(20);
      }
      const frames = await log(page, ageOfFilm(zero, of.count)), [first, live] = timesOf(frames, posted, young);
      const s = await inbound(page), g = gaps(frames, posted + (first || 0), frames.at(-1)?.at || posted);
      note(`${title}: first picture ${ms(first)}, live ${ms(live)}; server ${states.map(([t, w]) => `${t} ${w}`).join(', ')}`);
      note(`${title}: decoded ${s.framesDecoded}, gaps ${g.longest} ms at most [${g.list.join(' ')}], NACK ${s.nackCount} ` +
        `PLI ${s.pliCount} lost ${s.packetsLost} repaired ${s.retransmittedPacketsReceived}` + (net ? `; down ${net.down}` : ''));
      return { first, live, frames, stats: s, net, longest: g.longest };
    });
}

for (const queue of [100000, 30000]) {
  test(`20 Mbit/s and a queue of ${queue / 1000} kB: join in mid-GOP`, async () => {
    const first = [], live = [], dropped = [];
    for (let i = 0; i < 10; i++) {
      const r = await joinLate(`20 Mbit/s, ${queue / 1000} kB`, longGop(), 300, 165,
        { down: { rate: 20e6, queue, delay: 5 }, up: { delay: 5 } });
      first.push(r.first);
      dropped.push(r.net.down.count.dropped);
      if (r.live !== null) live.push(r.live);
    }
    note(`20 Mbit/s, ${queue / 1000} kB: first picture ${spread(first)}; live ${spread(live)}; dropped ${dropped.join(' ')}`);
    check(first.every(t => t < 3000), `the first picture took ${spread(first)}`);
  });
}

test('loss of 3 %: join in mid-GOP', async () => {
  const first = [], live = [];
  for (let i = 0; i < 3; i++) {
    const r = await joinLate('3 % loss', longGop(), 300, 165, lossy(0.03));
    first.push(r.first);
    if (r.live !== null) live.push(r.live);
  }
  note(`3 % loss, frame 165 of 300: first picture ${spread(first)}; live ${spread(live)}`);
  check(first.every(t => t < 3000), `the first picture took ${spread(first)}`);
});

test('jitter of 30 ms with reordering: join in mid-GOP', async () => {
  const first = [];
  for (let i = 0; i < 3; i++) {
    const shaken = { delay: 10, jitter: 30, reorder: true };
    first.push((await joinLate('jitter', longGop(), 300, 165, { up: shaken, down: shaken })).first ?? 4000);
  }
  note(`jitter, frame 165 of 300: first picture ${spread(first)}`);
  check(first.every(t => t < 3000), `the first picture took ${spread(first)}`);
});

test('loopback: join in mid-GOP, a file', async () => {
  const first = [], live = [];
  for (let i = 0; i < 10; i++) {
    const r = await joinLate('loopback', longGop(), 300, 165, {});
    first.push(r.first);
    if (r.live !== null) live.push(r.live);
  }
  note(`loopback, frame 165 of 300: first picture ${spread(first)}; live ${spread(live)}`);
  check(live.length === 10, `${10 - live.length} of 10 joins never became live`);
});

test('the pattern stays fresh after a join in mid-GOP', async () => {
  const first = [], live = [];
  let stale = 1, seconds = watch(60);
  for (let i = 0; i < 10; i++) {
    const last = i === 9;
    await withNet('test:1280x720@30,gop=300', {}, async ({ server, page, join }) => {
      for (let n = 0; n < 50;) {   // a young GOP is replayed; an old one makes the pattern begin a new one
        n = (await server.api()).streams[0].frames % 300;
        await sleep(20);
      }
      const posted = await join();
      await shown(page, 0);
      await sleep(last ? 2000 + seconds * 1000 : 1500);
      const frames = await log(page, ageOfPattern), [a, b] = timesOf(frames, posted, 200);
      first.push(a);
      if (b !== null) live.push(b);
      if (!last) return;
      const rest = frames.filter(f => f.at > posted + a + 2000).map(f => f.age);
      stale = rest.filter(age => age > 200).length / rest.length;   // other work on the machine delays one or the other
      note(`pattern: from 2 s after the join on, for ${seconds} s: age ${spread(rest)}`);
      note(`pattern: gaps ${JSON.stringify(gaps(frames, posted + a + 2000, frames.at(-1).at))}`);
    });
  }
  note(`pattern: first picture ${spread(first)}; live ${spread(live)}`);
  check(live.length === 10, `${10 - live.length} of 10 joins never became live`);
  check(stale < 0.03, `${(stale * 100).toFixed(1)} % of the frames were above 200 ms old`);
});

test('huge IDRs on a fast link', async () => {
  const r = await play('huge IDR, loopback', hugeKey(), watch(20), {});
  check(r.longest < 300, `the longest gap on screen is ${r.longest} ms`);
});

test('huge IDRs over 20 Mbit/s and a queue of 100 kB', async () => {
  const r = await play('huge IDR, 20 Mbit/s', hugeKey(), watch(20), { down: { rate: 20e6, queue: 100000, delay: 5 }, up: { delay: 5 } });
  check(r.longest <= 1000, `the longest gap on screen is ${r.longest} ms`);
  check(r.dropped * 4 < r.its.packets, `the queue dropped ${r.dropped}, beside ${r.its.packets} packets`);   // the pace is found
});

// The lesser stream of the same camera: 320x180.
const lesser = () => film('180p-300k', 12, noisy('320x180'), rate(300, 60));

// Waits until the video is that wide. Returns the unix ms.
async function wide(page, width, timeout) {
  const ok = await page.waitForFunction(w => document.querySelector('video').videoWidth === w, width, { timeout, polling: 50 })
    .catch(() => null);
  check(ok, `the video is ${await page.evaluate(() => document.querySelector('video').videoWidth)} wide, not ${width}, after ${timeout} ms`);
  return Date.now();
}

test('a link too narrow: the lesser stream in the same session, and back when the link is wide again', async () => {
  const main = common(), sub = lesser();
  await withNet([`cam=${main.path}`, `cam/sub=${sub.path}`],
    { up: { delay: 20 }, down: { rate: 1e6, queue: 100000, delay: 20 } }, async ({ server, net, page, join }) => {
      const posted = await join();
      await shown(page, 0);
      const before = await inbound(page), { stream: first } = await session(server);
      check(before.ssrc && first === '', `it began with the stream '${first}'`);
      const small = await wide(page, 320, 10000);
      const probed = small + 25000;   // the first try begins 10 s after the move, and lasts 6 s at most
      let its = await session(server);
      check(its.stream === 'sub' && its.moves === 1, `the server says ${JSON.stringify(its)}`);
      while (Date.now() < probed && !its.probes) {
        await sleep(100);
        its = await session(server);
      }
      const tried = Date.now();
      check(its.probes === 1, `no try within 25 s: ${JSON.stringify(its)}`);
      await sleep(7000);
      const held = Date.now();
      its = await session(server);
      check(its.stream === 'sub' && its.moves === 1, `1 Mbit/s carried the try: ${JSON.stringify(its)}`);
      net.down.set({ rate: 0 });
      const large = await wide(page, 1280, 45000);
      await sleep(2000);
      const frames = await log(page, () => NaN), now = frames.at(-1).at;
      const at = (from, width) => frames.find(f => f.at > from && f.width === width)?.at;
      const one = at(posted, 320), two = at(held, 1280);
      const calm = gaps(frames, one + 3000, tried), during = gaps(frames, tried, held), after = gaps(frames, two, now);
      note(`1 Mbit/s: the lesser stream's first frame ${ms(one - posted)} after the join, ${gaps(frames, posted, one).longest} ms ` +
        `without one before at most; then until the try ${calm.longest} ms at most`);
      note(`1 Mbit/s, a try that fails: longest gap ${during.longest} ms, ${during.count} freezes of ${during.total} ms [${during.list.join(' ')}]`);
      note(`wide again: the better stream's first frame after ${ms(two - held)}, no frame for ${gaps(frames, held, two + 1000).longest} ms at most`);
      const stats = await inbound(page);
      const count = await page.evaluate(async () => [...(await window.__pcs[0].getStats()).values()]
        .filter(s => s.type === 'inbound-rtp' && s.kind === 'video').length);
      its = await session(server);
      const { sessions, joined } = await server.api();
      check(count === 1 && stats.ssrc === before.ssrc, `${count} streams, SSRC ${stats.ssrc} after ${before.ssrc}`);
      check(sessions.length === 1 && joined === 1 && its.stream === '' && its.moves === 2, `the server says ${JSON.stringify(its)}`);
      check(calm.longest <= 1000, `before the try no frame for ${calm.longest} ms`);
      check(during.longest <= 1000, `while the try runs no frame for ${during.longest} ms`);
      check(frames.filter(f => f.at > two && f.width === 1280).length > FPS && Date.now() - now < 1000, 'the better stream stands still');
      check(large - held < 45000, 'too late');
    });
});

needProgram();
browser = await launch();
await runTests(tests, { done: () => browser.close() });
