// Browser tests of webrtc_cam: `node run.mjs [WORD ...]` runs those whose name has one of the words, or all.
// Lines `# ` are measurements: reported, never judged. Needs Chromium, ffmpeg for the made file, and the binary (WCAM_BIN).
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firefox } from './firefox.mjs';
import { BIN, Skip, check, executable, inbound, launch, live, needProgram, open, runTests, serve, shut, spread,
  status, tmp, until } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const tests = [];
const test = (name, body) => tests.push({ name, body });
const note = words => console.log('# ' + words);
let browser;

// Runs `body` with a server and stops that server whatever happens.
async function withServer(args, body, options) {
  const server = await serve(args, options);
  try {
    return await body(server);
  } finally {
    await server.stop();
  }
}

async function withPage(url, options, body) {
  const page = await open(browser, url, options);
  try {
    return await body(page);
  } finally {
    await shut(page);
  }
}

// A foreign page of twenty lines: the least a WHEP client needs. The test reads `pc`, `session` and `refused`.
const CLIENT = `<!doctype html><video autoplay muted playsinline></video><script>
const pc = new RTCPeerConnection();
let session, refused, done = play().catch(e => { refused = String(e); });
async function play() {
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.ontrack = e => { document.querySelector('video').srcObject = new MediaStream([e.track]); };
  await pc.setLocalDescription();
  const whep = new URLSearchParams(location.search).get('whep');
  const r = await fetch(whep, {
    method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp,
  });
  if (r.status !== 201) throw new Error(r.status + ' ' + await r.text());
  session = new URL(r.headers.get('Location'), whep).href;
  await pc.setRemoteDescription({ type: 'answer', sdp: await r.text() });
}
</script>`;

async function withForeignOrigin(body) {
  const web = createServer((q, r) => r.writeHead(200, { 'Content-Type': 'text/html' }).end(CLIENT));
  await new Promise(up => web.listen(0, '127.0.0.1', up));
  const origin = `http://127.0.0.1:${web.address().port}`;
  try {
    return await body(origin, server => `${origin}/?whep=${encodeURIComponent(server.url + '/cam/whep')}`);
  } finally {
    web.closeAllConnections();
    web.close();
  }
}

// Live, and so for a second or more: what was replayed to the joiner from the last key picture on is over.
const settled = page => status(page, /^Live .* fps/);

test('pattern plays and its clock can be read', () => withServer(['test:'], server =>
  withPage(server.url + '/cam', {}, async page => {
    await settled(page);
    const { distinct, bad, ages } = await page.evaluate(() => window.__watch(3000));
    note(`glass to glass: ${spread(ages)}`);
    note(`status: ${await page.textContent('#status')}`);
    check(distinct >= 60, `${distinct} different stamps in 3 s, expected 60`);
    check(bad === 0, `${bad} frames with a wrong check value`);
    check(Math.max(...ages) < 2000 && Math.min(...ages) > -50, `latency is not sane: ${spread(ages)}`);
    await live(page);
  })));

test('one camera is shown at / as well', () => withServer(['test:'], server =>
  withPage(server.url + '/', {}, async page => {
    await live(page);
    check(await page.textContent('h1') === 'cam', 'the page does not name the camera');
  })));

test('several cameras are listed at /', () => withServer(['yard=test:320x240@15', 'door=test:320x240@15'], server =>
  withPage(server.url + '/', {}, async page => {
    await page.click('a[href="door"]');
    await live(page);
    check(await page.textContent('h1') === 'door', 'the link does not lead to the camera');
  })));

test('another stream of a camera by ?stream=', () => withServer(['cam=test:640x480@15', 'cam/sub=test:320x240@15'], server =>
  withPage(server.url + '/cam?stream=sub', {}, async page => {
    await status(page, /^Live · 320×240/);
  })));

// Viewers as bare connections in one page: what the server pays for each.
const JOIN = async whep => {
  const pc = new RTCPeerConnection();
  pc.addTransceiver('video', { direction: 'recvonly' });
  const up = new Promise(ok => { pc.onconnectionstatechange = () => pc.connectionState === 'connected' && ok(); });
  await pc.setLocalDescription();
  const r = await fetch(whep, {
    method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp,
  });
  await pc.setRemoteDescription({ type: 'answer', sdp: await r.text() });
  await up;
};

test('memory: idle and per viewer', () => withServer(['test:'], server => withPage(server.url, {}, async page => {
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);
  await live(page);
  await page.evaluate(JOIN, '/cam/whep');
  const one = rss(), more = 16;
  for (let i = 0; i < more; i++) await page.evaluate(JOIN, '/cam/whep');
  await until(server.viewers, n => n === more + 2, 10000, 'viewers');
  note(`RSS with two viewers ${one} kB; each of ${more} more: ${((rss() - one) / more).toFixed(1)} kB`);
  check(rss() - one < more * 1000, 'a viewer costs more than 1 MB');
})));

// Counted by a library that stands before libc's (test/malloc_count.c): sending pictures must not touch the heap.
test('no allocation per packet or frame', async () => {
  const counter = join(tmp, 'malloc_count.so'), file = join(tmp, 'mallocs');
  if (/libnss3/.test(execFileSync('ldd', [BIN]).toString())) throw new Skip('this libsrtp2 encrypts by NSS, which allocates');
  try {
    execFileSync('cc', ['-O2', '-shared', '-fPIC', join(here, '../malloc_count.c'), '-o', counter], { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`glibc and a compiler are needed: ${String(e.stderr || e.message).split(String.fromCharCode(10))[0]}`);
  }
  const env = { LD_PRELOAD: counter, MALLOC_COUNT: file };
  await withServer(['test:'], server => withPage(server.url + '/healthz', {}, async page => {
    const mallocs = () => Number(readFileSync(file).readBigUInt64LE());
    for (let i = 0; i < 3; i++) await page.evaluate(JOIN, '/cam/whep');
    const decoded = () => page.evaluate(() => Promise.all(window.__pcs.map(async pc =>
      [...(await pc.getStats()).values()].find(s => s.type === 'inbound-rtp')?.framesDecoded || 0)));
    await until(decoded, n => Math.min(...n) > 30, 15000, 'thirty frames in each connection');
    const before = mallocs(), start = Math.min(...await decoded());
    await until(decoded, n => Math.min(...n) > start + 90, 15000, 'ninety more');
    note(`${mallocs() - before} allocations while 3 viewers saw 90 frames each`);
    check(mallocs() - before === 0, `${mallocs() - before} allocations while sending`);
  }), { env });
});

test('two tabs, one leaves', () => withServer(['test:'], async server => {
  const one = await open(browser, server.url + '/cam');
  const two = await open(browser, server.url + '/cam');
  try {
    await live(one);
    await live(two);
    check(await server.viewers() === 2, 'the API does not count 2 viewers');
    await two.goto('about:blank');
    await until(server.viewers, n => n === 1, 5000, 'viewers after one tab left');
    const before = (await inbound(one)).framesDecoded;
    await until(() => inbound(one), s => s.framesDecoded > before + 10, 5000, 'frames of the other tab');
  } finally {
    await shut(one);
    await shut(two);
  }
}));

test('a file made by x264 plays across its loop', async () => {
  const file = join(tmp, 'x264.h264');
  try {
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25', '-t', '4',
      '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-bf', '0', '-g', '50', '-f', 'h264', file], { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`ffmpeg with libx264 is needed: ${String(e.stderr || e.message).trim()}`);
  }
  await withServer([file], server => withPage(server.url + '/cam', {}, async page => {
    await live(page);
    const first = await inbound(page);
    let last = first.framesDecoded, grew = Date.now(), gap = 0;
    const end = Date.now() + 9000;
    const now = await until(() => inbound(page), s => {
      if (s.framesDecoded > last) {
        gap = Math.max(gap, Date.now() - grew);
        [last, grew] = [s.framesDecoded, Date.now()];
      }
      return Date.now() > end;
    }, 20000, 'watching');
    const frames = now.framesDecoded - first.framesDecoded;
    const size = `${now.frameWidth}x${now.frameHeight}`;
    note(`${frames} frames of ${size} in 9 s, longest gap ${gap} ms, freezes ${now.freezeCount}`);
    check(Date.now() - grew < 2000 && gap < 2000, `no new frame for ${Math.max(gap, Date.now() - grew)} ms`);
    check(frames > 150, `${frames} frames in 9 s, expected about 225`);
    check(await page.evaluate(() => window.__pcs.length) === 1, 'the page had to reconnect');
  }));
});

test('POST to first frame', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  const first = [], caughtUp = [];
  for (let i = 0; i < 10; i++) {
    await page.reload();
    const [a, b] = await page.evaluate(() => window.__times);
    first.push(a);
    if (b !== null) caughtUp.push(b);
  }
  note(`POST to the first frame on screen: ${spread(first)}`);
  note(`POST to a frame less than 300 ms old: ${spread(caughtUp)}`);
  check(caughtUp.length === first.length, `${10 - caughtUp.length} of 10 joins did not catch up within 5 s`);
})));

test('an unknown camera is told in words', () => withServer(['test:'], server =>
  withPage(server.url + '/nosuch', {}, async page => {
    await page.waitForFunction(() => /no (such )?camera/i.test(document.body.innerText));
  })));

// What the page says to answers that are hard to provoke: the refusal is put in the server's place.
test('refusals are told in words', () => withServer(['test:'], async server => {
  const problem = (status, detail) => route => route.fulfill({
    status, contentType: 'application/problem+json', body: JSON.stringify({ type: 'about:blank', title: 'No', status, detail }),
  });
  for (const [answer, words] of [
    [problem(401, 'x'), /^Wrong or missing password or token/],
    [problem(404, 'x'), /^There is no camera named cam here/],
    [problem(409, 'The camera is off.'), /^The camera is off\. Trying again/],
    [problem(421, 'x'), /^The server does not go by the name 127\.0\.0\.1/],
    [problem(503, 'All 64 places are taken.'), /^All 64 places are taken\. Trying again/],
    [route => route.abort(), /^The server cannot be reached\. Trying again/],
  ]) {
    await withPage('about:blank', {}, async page => {
      await page.route('**/whep*', answer);
      await page.goto(server.url + '/cam');
      await status(page, words);
      await page.unroute('**/whep*');
      await page.evaluate(() => dispatchEvent(new Event('online')));
      await live(page);   // the reason went away: nobody has to reload
    });
  }
}));

test('candidates that lead nowhere: the page suspects a firewall', () => withServer(['test:'], server =>
  withPage('about:blank', {}, async page => {
    await page.route('**/whep*', async route => {
      if (route.request().method() !== 'POST') return route.continue();
      const response = await route.fetch().catch(() => null);
      if (!response) return route.abort();
      const body = (await response.text()).replace(/^(a=candidate:\S+ \d \S+ \d+ \S+) \d+/gm, '$1 9');
      return route.fulfill({ response, body });
    });
    await page.goto(server.url + '/cam');
    await status(page, /^No network check arrived: a firewall may block UDP port \d+/);
  })));

test('a server that hangs for a while: the page comes back', () => withServer(['test:'], server =>
  withPage(server.url + '/cam', {}, async page => {
    await live(page);
    server.signal('SIGSTOP');
    try {
      await status(page, /lost|cannot be reached|stands still/);
    } finally {
      server.signal('SIGCONT');
    }
    await live(page, 40000);
  })));

test('server stops, starts again: the page comes back by itself', async () => {
  const server = await serve(['test:']);
  await withPage(server.url + '/cam', {}, async page => {
    await live(page);
    await server.stop();
    await status(page, /cannot be reached.*Trying again/);
    const began = Date.now();
    await withServer(['test:'], async () => {
      await live(page, 40000);
      note(`live again ${Date.now() - began} ms after the restart began`);
      const alive = await page.evaluate(() => window.__pcs.filter(pc => pc.connectionState !== 'closed').length);
      check(alive === 1, `${alive} connections are open, expected 1`);
    }, { port: server.port });
  }).finally(server.stop);
});

test('a killed server is noticed too', async () => {
  const server = await serve(['test:']);
  await withPage(server.url + '/cam', {}, async page => {
    await live(page);
    await server.stop('SIGKILL');
    await status(page, /cannot be reached.*Trying again/);
  }).finally(server.stop);
});

const TOKEN = 'tok-8f3a51';
test('--token: refused without, works with, and leaves the address bar', () => withServer(['--token', TOKEN], async server => {
  await withPage(server.url + '/cam', {}, async page => {
    if (page.answer.status() !== 401) await status(page, /password or token/);
    check((await page.innerText('body')).trim() !== '', 'the refusal has no words');
  });
  await withPage(server.url + `/cam?token=${TOKEN}`, {}, async page => {
    await live(page);
    check(!page.url().includes(TOKEN), `the address still shows the token: ${page.url()}`);
    check(!await page.evaluate(() => document.cookie), 'a script can read the cookie');
    await page.reload();
    await live(page);
  });
  const wrong = await fetch(server.url + '/api/streams', { headers: { Authorization: 'Bearer wrong' } });
  check(wrong.status === 401, `a wrong token gets ${wrong.status}`);
}));

test('--user: a password works', () => withServer(['--user', 'ann:s3cret', 'test:'], async server => {
  const headers = { 'Content-Type': 'application/sdp' };
  const bare = await fetch(server.url + '/cam/whep', { method: 'POST', headers, body: 'v=0' });
  check(bare.status === 401, `without a password: ${bare.status}`);
  const credentials = { username: 'ann', password: 's3cret' };
  await withPage(server.url + '/cam', { context: { httpCredentials: credentials } }, page => live(page));
}));

test('WHEP from a foreign origin: with --cors', () => withForeignOrigin((origin, client) =>
  withServer(['--cors', origin, 'test:'], server => withPage(client(server), {}, async page => {
    await page.evaluate('done');
    check(!await page.evaluate('refused'), await page.evaluate('String(refused)'));
    check(await page.evaluate('session'), 'Location is not readable');
    await until(() => inbound(page), s => s.framesDecoded > 10, 15000, 'frames');
  }))));

test('WHEP from a foreign origin: refused without --cors', () => withForeignOrigin((origin, client) =>
  withServer(['test:'], server => withPage(client(server), {}, async page => {
    await page.evaluate('done');
    check(await page.evaluate('refused'), 'a foreign page was served');
    check(await server.viewers() === 0, 'it became a viewer');
  }))));

test('packetization-mode 0 alone: plays, or says why not', () => withServer(['test:'], server => withPage(server.url + '/cam', {
  init: () => {
    const add = RTCPeerConnection.prototype.addTransceiver;
    RTCPeerConnection.prototype.addTransceiver = function (...args) {
      const transceiver = add.apply(this, args);
      if (args[0] !== 'video') return transceiver;
      const { codecs } = RTCRtpReceiver.getCapabilities('video');
      const mode0 = codecs.filter(c => /H264/.test(c.mimeType) && /packetization-mode=0/.test(c.sdpFmtpLine));
      transceiver.setCodecPreferences(mode0);
      return transceiver;
    };
  },
}, async page => {
  await status(page, /^Live|Trying again|no H\.264/);
  const offer = await page.evaluate(() => window.__pcs.at(-1).localDescription?.sdp || '');
  check(!offer.includes('packetization-mode=1'), 'the offer still has mode 1');
  note(`packetization-mode 0: ${await page.textContent('#status')}`);
})));

test('closing a connection frees the viewer: close(), DELETE', () => withForeignOrigin((origin, client) =>
  withServer(['--cors', origin, 'test:'], async server => {
    for (const leave of ['pc.close()', 'fetch(session, { method: "DELETE" })']) {
      await withPage(client(server), {}, async page => {
        await until(() => inbound(page), s => s.framesDecoded > 10, 15000, 'frames');
        check(await server.viewers() === 1, 'the API does not count 1 viewer');
        const began = Date.now();
        await page.evaluate(`void ${leave}`);
        await until(server.viewers, n => n === 0, 3000, `viewers after ${leave}`);
        note(`viewer gone ${Date.now() - began} ms after ${leave}`);
      });
    }
  })));

for (const [size, w, h, fps] of [['320x240@15', 320, 240, 15], ['1920x1080@30', 1920, 1080, 30]]) {
  test(`test:${size} plays`, () => withServer([`test:${size}`], server => withPage(server.url + '/cam', {}, async page => {
    await settled(page);
    const { distinct, bad, ages } = await page.evaluate(() => window.__watch(2000));
    note(`${size}: ${distinct} stamps in 2 s, glass to glass ${spread(ages)}`);
    check(distinct >= fps, `${distinct} different stamps in 2 s, expected ${fps}`);
    check(bad === 0, `${bad} frames with a wrong check value`);
    await status(page, new RegExp(`^Live · ${w}×${h}`));
  })));
}

test('screenshots', () => {
  const folder = process.env.WCAM_SHOTS;
  if (!folder) throw new Skip('WCAM_SHOTS names no folder');
  return withServer(['yard=test:', 'door=test:640x480@15'], async server => {
    for (const [width, height] of [[1280, 800], [390, 844]]) {
      for (const colorScheme of ['light', 'dark']) {
        await withPage(server.url + '/yard', { context: { viewport: { width, height }, colorScheme } }, async page => {
          await settled(page);
          await page.screenshot({ path: join(folder, `page-${width}x${height}-${colorScheme}.png`) });
          await page.goto(server.url + '/');
          await page.waitForSelector('#list a');
          await page.screenshot({ path: join(folder, `list-${width}x${height}-${colorScheme}.png`) });
        });
      }
    }
  });
});

test('Firefox plays, or says that it has no H.264', () => {
  const path = process.env.WCAM_FIREFOX || '/usr/bin/firefox-esr';
  if (!executable(path)) throw new Skip(`${path} is not installed`);
  return withServer(['test:'], async server => {
    const fox = await firefox(path);
    try {
      await fox.goto(server.url + '/cam');
      const words = () => fox.run('return document.getElementById("status").textContent');
      note(`Firefox: ${await until(words, w => /^Live|no H\.264 decoder/.test(w), 30000, 'status')}`);
    } finally {
      await fox.quit();
    }
  });
});

needProgram();
browser = await launch();
await runTests(tests, { done: () => browser.close() });
