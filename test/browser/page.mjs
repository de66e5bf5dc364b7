// The viewer page as people meet it: `node page.mjs [WORD ...]` runs the tests whose name has one of the words, or all.
// Needs Chromium, ffmpeg with x264, axe-core (npm), and the binary (WCAM_BIN). Screenshots go to build/page-shots.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { BIN, Skip, check, inbound, live, needProgram, open, runTests, serve, shut, spread, status, tmp,
  until } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const shots = join(here, '../../build/page-shots');
mkdirSync(shots, { recursive: true });
const tests = [];
const test = (name, body) => tests.push({ name, body });
const note = words => console.log('# ' + words);
const complaints = [];   // of all pages: errors of scripts, violations of the policy
let browser;

async function withServer(args, body, options) {
  const server = await serve(args, options);
  try {
    return await body(server);
  } finally {
    await server.stop();
  }
}

function listen(page) {
  page.on('pageerror', e => complaints.push(`script: ${e.message}`));
  page.on('console', m => {   // Chromium reports every status from 400 on as an error; those are what is tested here
    if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) complaints.push(`console: ${m.text()}`);
  });
}

// A page on which everything that the status line ever said is kept, and violations of the policy are.
const record = () => {
  window.__said = [];
  addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
  addEventListener('DOMContentLoaded', () => {
    const line = document.getElementById('status'), add = () => window.__said.push(line.textContent);
    if (!line) return;
    add();
    new MutationObserver(add).observe(line, { childList: true, characterData: true, subtree: true });
  });
};

async function withPage(url, { init = null, context = {}, before = () => {} } = {}, body = async () => {}) {
  const page = await open(browser, 'about:blank', { context, init: record });
  listen(page);
  try {
    if (init) await page.addInitScript(init);
    await before(page);
    page.answer = await page.goto(url);
    return await body(page);
  } finally {
    await shut(page);
  }
}

// An H.264 file by x264, made once a run.
const films = new Map();
function film(name, ...args) {
  const path = join(tmp, `${name}.h264`);
  if (films.has(name)) return path;
  try {
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', ...args, '-c:v', 'libx264', '-preset', 'ultrafast',
      '-pix_fmt', 'yuv420p', '-f', 'h264', path], { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`ffmpeg with libx264 is needed: ${String(e.stderr || e.message).trim()}`);
  }
  films.set(name, path);
  return path;
}

const visible = (page, selector) => page.locator(selector).first().isVisible();
const all = (page, words = 'all live') => status(page, new RegExp(words));
const FOUR = ['yard=test:640x368@15', 'door=test:640x480@15', 'door/sub=test:320x240@15', 'gate=test:320x240@10', 'shed=test:1280x720'];

// ---- what the status line says

test('from the question to the picture in words', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  const said = await page.evaluate(() => window.__said);
  const order = [/^Asking the server/, /^Looking for a way|^Encrypting/, /^Encrypting|^Connected\. Waiting for the first picture/, /^Live/];
  let at = -1;
  for (const words of order) {
    const next = said.findIndex((s, i) => i > at && words.test(s));
    check(next > at, `${words} is not said in its place: ${JSON.stringify(said)}`);
    at = next;
  }
  await status(page, /^Live · 1280×720 · \d+ fps$/);
})));

test('the server is asked only while a picture is missing', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  const asked = [];
  await page.waitForFunction(() => tiles.get('cam').now.told, null, { timeout: 15000 });   // the last question, for remarks
  page.on('request', r => asked.push(r.url()));
  const frames = (await inbound(page)).framesDecoded;
  await until(() => inbound(page), s => s.framesDecoded > frames + 120, 15000, 'four seconds of pictures');
  check(!asked.length, `while all is well the page fetches ${asked}`);
})));

test('no H.264 in the browser: said, by the page or by the server', () => withServer(['test:'], async server => {
  const strip = sdp => sdp.replace(/^a=rtpmap:(\d+) H264\/90000\r\n/gm, '');
  await withPage(server.url + '/cam', { init: `{
    const make = RTCPeerConnection.prototype.createOffer;
    RTCPeerConnection.prototype.createOffer = async function () {
      const { type, sdp } = await make.apply(this, arguments);
      return { type, sdp: (${strip})(sdp) };
    }; }` }, page => status(page, /^This browser has no H\.264 decoder.*Firefox.*Chrome, Edge or Safari\. Trying again…$/));
  await withPage(server.url + '/cam', { init: `{
    const ask = window.fetch;
    window.fetch = (url, o) => ask(url, o && o.body ? { ...o, body: (${strip})(o.body) } : o); }` },
  page => status(page, /offered no H\.264\.? Trying again…$/));
}));

test('UDP is blocked: the port to open is named', () => withServer(['test:'], server => withPage(server.url + '/cam', { init: () => {
  const take = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    return take.call(this, { type, sdp: sdp.replace(/^(a=candidate:\S+ \d \S+ \d+ \S+) \d+/gm, '$1 9') });
  };
} }, async page => {
  await status(page, /^No answer to the network checks yet/);
  await status(page, new RegExp(`^No network check arrived: .*UDP port ${server.port} .*Open it;`));
  check(await visible(page, '.words'), 'the sentence is not on the picture');
  await page.screenshot({ path: join(shots, 'blocked-desktop.png') });
})));

test('standard input ends: said', async () => {
  const path = film('short', 'testsrc2=size=320x240:rate=25:duration=4', '-bf', '0', '-g', '25');
  const feed = spawn('ffmpeg', ['-v', 'error', '-re', '-i', path, '-c', 'copy', '-f', 'h264', '-'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const child = spawn(BIN, ['-l', '127.0.0.1:0', '-'], { stdio: [feed.stdout, 'ignore', 'pipe'] });
  const kill = () => { feed.kill('SIGKILL'); child.kill('SIGKILL'); };
  process.on('exit', kill);
  try {
    const port = await new Promise((ok, no) => {
      child.once('exit', () => no(new Error('the server ended')));
      child.stderr.setEncoding('utf8').on('data', text => /localhost:(\d+)/.test(text) && ok(/localhost:(\d+)/.exec(text)[1]));
    });
    await withPage(`http://127.0.0.1:${port}/cam`, {}, async page => {
      await live(page);
      await status(page, /^The input has ended\./);
    });
  } finally {
    kill();
  }
});

test('a file that loses its pictures: said', async () => {
  const path = film('lost', 'testsrc2=size=320x240:rate=25:duration=2', '-bf', '0', '-g', '25'), copy = join(tmp, 'gone.h264');
  copyFileSync(path, copy);
  await withServer([copy], server => withPage(server.url + '/cam', {}, async page => {
    await live(page);
    truncateSync(copy);
    await status(page, /^The file holds no picture\./);
  }));
});

test('B-frames: said beside the figures', () => {
  const path = film('bframes', 'testsrc2=size=320x240:rate=25:duration=4', '-bf', '3', '-b_strategy', '0', '-g', '25', '-x264-params', 'b-pyramid=normal');
  return withServer([path], server => withPage(server.url + '/cam', {}, page => status(page, /^Live · 320×240.* The stream has B-frames/)));
});

test('a keyframe every 8 s: said while waiting for it', () => {
  const path = film('rare', 'testsrc2=size=640x360:rate=30:duration=8,noise=alls=60:allf=t', '-bf', '0', '-g', '999',
    '-sc_threshold', '0', '-b:v', '24M', '-maxrate', '24M', '-bufsize', '24M');
  return withServer([path], async server => {
    const stream = async () => (await server.api()).streams[0];
    await until(stream, s => s.keyframe_interval_ms > 7000 && s.reason, 30000, 'a GOP that outgrew the history');
    await withPage(server.url + '/cam', {}, async page => {
      await status(page, /keyframe.* The camera sends one every 8 s\./);
      await live(page);
    });
  });
});

// Three cameras of the worst kind. The second and third are played by a few lines that speak just enough RTSP.
test('a camera that is away, wants another password, sends no H.264: said', async () => {
  const sdp = 'v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n';
  const camera = createServer(socket => socket.on('error', () => {}).on('data', data => {
    const [, method, url, seq] = /^(\w+) (\S+) [^]*?cseq: *(\d+)/i.exec(data) || [];
    const answer = method === 'OPTIONS' ? ['200 OK', 'Public: OPTIONS, DESCRIBE, SETUP, PLAY'] :
      url.endsWith('locked') ? ['401 Unauthorized', 'WWW-Authenticate: Digest realm="x", nonce="0"'] :
        ['200 OK', `Content-Type: application/sdp\r\nContent-Length: ${sdp.length}`, sdp];
    socket.write(`RTSP/1.0 ${answer[0]}\r\nCSeq: ${seq}\r\n${answer[1]}\r\n\r\n${answer[2] || ''}`);
  }));
  await new Promise(up => camera.listen(0, '127.0.0.1', up));
  const at = `127.0.0.1:${camera.address().port}`;
  try {
    await withServer(['away=rtsp://127.0.0.1:1/', `locked=rtsp://me:wrong@${at}/locked`, `other=rtsp://${at}/other`], server =>
      withPage(server.url, {}, async page => {
        for (const [name, words] of [['away', /^The camera cannot be reached/], ['locked', /^The camera refuses the name or the password/],
          ['other', /^The camera sends H265, which is not H\.264/]]) {
          await until(() => page.locator(`a[href="${name}"] .words`).textContent(), w => words.test(w), 15000, name);
        }
        await status(page, /^3 cameras, none live/);
        await page.screenshot({ path: join(shots, 'cameras-away-desktop.png') });
      }));
  } finally {
    camera.close();
  }
});

test('a camera is opened by its address, where that is allowed, and goes with its viewer', async () => {
  await withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
    await status(page, /^Live/);
    await page.keyboard.press('o');
    check(await page.isHidden('#add') && await page.isHidden('#open'), 'the form is there although nothing is allowed');
  }));
  const camera = createServer(socket => socket.destroy());   // it hangs up
  await new Promise(done => camera.listen(0, '127.0.0.1', done));
  const { port } = camera.address();
  try {
    await withServer(['--allow-source', `rtsp://127.0.0.1:${port}/live`, 'yard=test:320x240', 'door=test:320x240'], server => withPage(server.url + '/', {}, async page => {
      await page.click('#add');
      for (const wrong of [`rtsp://127.0.0.1:${port}/other`, `rtsp://127.0.0.1:${port}/live/../other`, `rtsp://127.0.0.1:${port}/livelier`]) {
        await page.fill('#address', wrong);
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => /may be opened/.test(document.querySelector('#open [role=alert]').textContent));
        await page.evaluate(() => { document.querySelector('#open [role=alert]').textContent = ''; });
      }
      await page.fill('#address', `rtsp://ann:hunter2@127.0.0.1:${port}/live/1`);
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/open-/);
      await status(page, /broke the connection off/);
      const streams = JSON.stringify(await server.api());
      check(/"opened":true/.test(streams) && !/hunter2/.test(streams + server.log() + page.url()), 'the camera is missing, or its password shows');
      check(await page.inputValue('#address') === '', 'the address stays in the form');
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => tiles.size === 2);
      await until(async () => (await server.api()).streams.length, n => n === 2, 20000, 'the opened camera to go');
    }));
  } finally {
    camera.close();
  }
});

test('all places are taken: said, and the next free one is taken', () => withServer(['--max-viewers', '1', 'test:'], server =>
  withPage(server.url + '/cam', {}, async first => {
    await live(first);
    await withPage(server.url + '/cam', {}, async second => {
      await status(second, /^All viewers' places are taken\. Trying again…/);
      await first.goto('about:blank');   // leaves: DELETE
      await live(second);
    });
  })));

test('the server stops and starts again: four cameras come back', async () => {
  const server = await serve(FOUR);
  try {
    await withPage(server.url, {}, async page => {
      await all(page, '4 cameras, all live');
      await server.stop();
      await status(page, /4 cameras, none live/);
      await until(() => page.locator('.words').allTextContents(),
        words => words.every(w => w === 'The server cannot be reached. Trying again…'), 10000, 'what the tiles say');
      await page.screenshot({ path: join(shots, 'stopped-desktop.png') });
      const began = Date.now();
      await withServer(FOUR, async () => {
        await all(page, '4 cameras, all live');
        note(`four cameras are live again ${Date.now() - began} ms after the restart began`);
        const pcs = await page.evaluate(() => window.__pcs.filter(pc => pc.connectionState !== 'closed').length);
        check(pcs === 4, `${pcs} connections are open`);
      }, { port: server.port });
    });
  } finally {
    await server.stop();
  }
});

// ---- signing in

test('a token is asked for by a form: wrong, right, and again when the server has forgotten', async () => {
  let server = await serve(['--token', 'open sesame', 'test:']);
  try {
    await withPage(server.url + '/cam', {}, async page => {
      check(page.answer.status() === 401, `the page comes with ${page.answer.status()}`);
      const enter = async token => {
        await page.fill('#token', token);
        await page.keyboard.press('Enter');
      };
      await page.waitForSelector('#signin:not([hidden])');
      await status(page, /^Wrong or missing password or token/);
      await enter('open barley');
      await page.waitForFunction(() => /wrong/.test(document.getElementById('wrong').textContent));
      await page.screenshot({ path: join(shots, 'signin-desktop.png') });
      await enter('open sesame');
      await live(page);
      check(!await visible(page, '#signin'), 'the form is still there');
      check(!/token|sesame/.test(page.url()), `the address shows it: ${page.url()}`);
      check(!await page.evaluate(() => document.cookie), 'a script can read the cookie');
      await page.reload();
      await live(page);
      const { port } = server;
      await server.stop();
      server = await serve(['--token', 'open sesame', 'test:'], { port });   // the cookie of before is worth nothing
      await page.waitForSelector('#signin:not([hidden])', { timeout: 30000 });
      await enter('open sesame');
      await live(page);
    });
  } finally {
    await server.stop();
  }
});

test('a password: refused in words, let in, and again when it changes', async () => {
  let server = await serve(['--user', 'ann:s3cret', 'test:']);
  try {
    const refused = await fetch(server.url + '/cam', { headers: { Accept: 'text/html' } });   // a browser asks, then shows this
    const words = await refused.text();
    check(refused.status === 401 && /^Basic /.test(refused.headers.get('www-authenticate')), 'the browser is not made to ask');
    check(/name or password is missing or wrong/.test(words), words);
    const httpCredentials = { username: 'ann', password: 's3cret' };
    await withPage(server.url + '/cam', { context: { httpCredentials } }, async page => {
      await live(page);
      const { port } = server;
      await server.stop();
      server = await serve(['--user', 'ann:other', 'test:'], { port });
      await status(page, /^Wrong or missing password or token\. Reload to sign in\.$/);
    });
  } finally {
    await server.stop();
  }
});

// ---- several cameras

test('grid, one camera, and the address: click, Escape, back, reload, arrows', () => withServer(FOUR, server => withPage(server.url + '/', {}, async page => {
  const at = async (path, words) => {
    await status(page, words);
    check(new URL(page.url()).pathname + new URL(page.url()).search === path, `the address is ${page.url()}, not ${path}`);
  };
  const openPcs = () => page.evaluate(() => window.__pcs.filter(pc => pc.connectionState !== 'closed').length);
  await at('/', /4 cameras, all live/);
  check(await page.evaluate(() => tiles.get('door').video.videoWidth) === 320, 'the grid does not take the small stream');
  await page.click('a[href="door"]');
  await at('/door', /^Live · 640×480/);
  check(await page.textContent('h1') === 'door' && await page.title() === 'door', 'the camera is not named');
  await until(openPcs, n => n === 1, 3000, 'connections with one camera on screen');
  await page.keyboard.press('Escape');
  await at('/', /all live/);
  check(await page.evaluate(() => document.activeElement.getAttribute('href')) === 'door', 'the focus is not where it was');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  await at('/yard', /^Live · 640×368/);
  await page.goBack();
  await at('/', /all live/);
  await page.goForward();
  await at('/yard', /^Live · 640×368/);
  await page.reload();
  await at('/yard', /^Live · 640×368/);
  await page.waitForSelector('#back:not([hidden])');   // the other cameras are known again
  await page.keyboard.press('ArrowRight');
  await at('/door', /^Live · 640×480/);
  await page.selectOption('#stream', 'sub');
  await at('/door?stream=sub', /^Live · 320×240/);
  await page.reload();
  await at('/door?stream=sub', /^Live · 320×240/);
  await page.waitForFunction(() => !document.getElementById('stream').hidden && document.getElementById('stream').value === 'sub');
  const session = async () => (await server.api()).sessions[0];
  await page.selectOption('#stream', 'main');
  await at('/door?stream=main', /^Live · 640×480/);
  check((await session()).pinned, 'main was chosen and is not pinned');
  await page.selectOption('#stream', { label: 'automatic' });
  await at('/door', /^Live · 640×480/);
  await until(session, s => s && !s.pinned, 3000, 'the automatic choice');
  await page.click('#back');
  await at('/', /all live/);
  await until(server.viewers, n => n === 4, 5000, 'viewers');
  await page.goto(server.url + '/?stream=sub');
  await all(page);
  const widths = await page.evaluate(() => [...tiles.values()].map(t => t.video.videoWidth));
  check(widths.join() === '640,320,320,1280', `?stream=sub shows ${widths}`);
  await page.goto('about:blank');
  await until(server.viewers, n => n === 0, 3000, 'viewers after leaving');
})));

// What a page sends while it is being left, the browser's own instruments do not show: a proxy looks.
test('who leaves the page deletes the sessions', () => withServer(FOUR, async server => {
  let deleted = 0;
  const proxy = createServer(socket => {
    const up = connect(server.port, '127.0.0.1');
    for (const end of [socket, up]) end.on('error', () => {});
    socket.on('data', data => { deleted += /^DELETE .*[/]whep[/]/.test(data); });
    socket.pipe(up).pipe(socket);
  });
  await new Promise(up => proxy.listen(0, '127.0.0.1', up));
  try {
    await withPage(`http://127.0.0.1:${proxy.address().port}/`, {}, async page => {
      await all(page, '4 cameras, all live');
      await page.goto('about:blank');
      await until(() => deleted, n => n === 4, 5000, 'sessions deleted');
      await until(server.viewers, n => n === 0, 3000, 'viewers');
    });
  } finally {
    proxy.close();
  }
}));

test('a finger: tap, draw to the next camera', () => withServer(FOUR, server => withPage(server.url + '/', {
  context: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
}, async page => {
  await all(page);
  await page.tap('a[href="yard"]');
  await status(page, /^Live · 640×368/);
  await page.tap('#info');
  await page.waitForSelector('#panel:not([hidden])');
  await page.tap('#panel .close');
  await page.tap('#back');
  await all(page);
  await page.tap('a[href="yard"]');
  await status(page, /^Live · 640×368/);
  const cdp = await page.context().newCDPSession(page), touch = (type, x) =>
    cdp.send('Input.dispatchTouchEvent', { type, touchPoints: type === 'touchEnd' ? [] : [{ x, y: 400 }] });
  await touch('touchStart', 300);
  for (let x = 280; x > 100; x -= 20) await touch('touchMove', x);
  await touch('touchEnd');
  await status(page, /^Live · 640×480/);
})));

test('controls fade, and come back', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  const opacity = wanted => page.waitForFunction(o => getComputedStyle(document.getElementById('bar')).opacity === o, wanted);
  await page.mouse.move(200, 200);
  await opacity('1');
  await opacity('0');
  await page.mouse.move(220, 200);
  await opacity('1');
  await opacity('0');
  await page.keyboard.press('Tab');   // who uses the keyboard sees where the focus is
  await opacity('1');
})));

test('full screen, picture in picture, keys', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  await page.keyboard.press('f');
  await page.waitForFunction(() => document.fullscreenElement);
  await page.keyboard.press('f');
  await page.waitForFunction(() => !document.fullscreenElement);
  if (await page.evaluate(() => document.pictureInPictureEnabled)) {
    await page.click('#pip');
    const shown = await page.waitForFunction(() => document.pictureInPictureElement, null, { timeout: 3000 }).catch(() => null);
    note(`picture in picture: ${shown ? 'works' : 'not in this browser'}`);
    if (shown) {
      await page.keyboard.press('p');
      await page.waitForFunction(() => !document.pictureInPictureElement);
    }
  }
  await page.keyboard.press('?');
  await page.waitForSelector('#help:not([hidden])');
  check(/full screen/.test(await page.innerText('#help')), 'the keys are not listed');
  await page.screenshot({ path: join(shots, 'keys-desktop.png') });
  await page.keyboard.press('Escape');
  check(!await visible(page, '#help'), 'Escape does not close it');
  check(!await visible(page, '#mute'), 'a button for sound where there is none');
})));

test('a saved picture shows what the camera shows', () => withServer(['yard=test:640x368'], server => withPage(server.url + '/yard', {}, async page => {
  await live(page);
  const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('s')]);
  const name = download.suggestedFilename(), bytes = readFileSync(await download.path());
  check(/^yard-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d\.png$/.test(name), `it is called ${name}`);
  const { size, colours } = await page.evaluate(async data => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(data), c => c.charCodeAt(0))], { type: 'image/png' }));
    const canvas = document.createElement('canvas'), g = canvas.getContext('2d');
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    g.drawImage(bitmap, 0, 0);
    const row = g.getImageData(0, bitmap.height / 4 | 0, bitmap.width, 1).data, found = new Set();
    for (let i = 0; i < row.length; i += 4) found.add([row[i] >> 6, row[i + 1] >> 6, row[i + 2] >> 6].join());
    return { size: [bitmap.width, bitmap.height].join('x'), colours: found.size };
  }, bytes.toString('base64'));
  check(size === '640x368', `it is ${size}`);
  check(colours >= 6, `a row across the colour bars has ${colours} colours`);
})));

test('sound: off at first, a button only where there is some', () => withServer(['test:,beep'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  await page.waitForSelector('#mute:not([hidden])');
  const muted = () => page.evaluate(() =>
    [document.querySelector('video').muted, document.getElementById('mute').getAttribute('aria-pressed')].join());
  check(await muted() === 'true,false', `at first: ${await muted()}`);
  await page.screenshot({ path: join(shots, 'sound-desktop.png') });
  await page.click('#mute');
  check(await muted() === 'false,true', `after a click: ${await muted()}`);
  await page.keyboard.press('m');
  check(await muted() === 'true,false', `after m: ${await muted()}`);
})));

// ---- staying alive

// Sleep: no timer, no promise, nothing of the page runs for a while. Meanwhile the server is another one.
test('asleep while the server is restarted: awake, it plays', async () => {
  let server = await serve(['test:']);
  try {
    await withPage(server.url + '/cam', {}, async page => {
      await live(page);
      const { port } = server;
      const asleep = page.evaluate(() => { for (const end = Date.now() + 8000; Date.now() < end;); });
      await server.stop('SIGKILL');
      server = await serve(['test:'], { port });
      await asleep;
      const began = Date.now();
      await until(server.viewers, n => n === 1, 15000, 'viewers');
      await live(page);
      note(`live ${Date.now() - began} ms after waking up`);
      check(await page.evaluate(() => window.__pcs.filter(pc => pc.connectionState !== 'closed').length) === 1, 'connections pile up');
    });
  } finally {
    await server.stop();
  }
});

test('a gap of the clock alone wakes the page up', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await live(page);
  await page.evaluate(() => {
    window.__woken = 0;
    const { wake } = Tile.prototype;
    Tile.prototype.wake = function () { window.__woken++; return wake.call(this); };
    const now = Date.now;
    Date.now = () => now() + 3600000;   // an hour later
  });
  await page.waitForFunction(() => window.__woken === 1);
  await live(page);
})));

test('thirty reconnects leave nothing behind', () => withServer(['test:320x240@15'], async server => {
  const page = await (await browser.newContext()).newPage(), sessions = [];
  listen(page);
  page.on('response', r => r.status() === 201 && sessions.push(new URL(r.headers().location, server.url).href));
  await page.goto(server.url + '/cam');
  await live(page);
  const cdp = await page.context().newCDPSession(page);
  const count = async name => {
    const { result } = await cdp.send('Runtime.evaluate', { expression: `${name}.prototype` });
    const { objects } = await cdp.send('Runtime.queryObjects', { prototypeObjectId: result.objectId });
    const { result: length } = await cdp.send('Runtime.callFunctionOn', {
      objectId: objects.objectId, functionDeclaration: 'function () { return this.length }', returnByValue: true });
    for (const { objectId } of [result, objects]) await cdp.send('Runtime.releaseObject', { objectId });
    return length.value;
  };
  const measure = async () => {
    for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage');
    return (await cdp.send('Runtime.getHeapUsage')).usedSize;
  };
  const reconnect = async () => {
    const before = sessions.length;
    await fetch(sessions.at(-1), { method: 'DELETE' });
    await status(page, /^The server ended the connection\. Trying again…/).catch(() => { /* it was quicker */ });
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await until(() => sessions.length, n => n > before, 15000, 'sessions');
    await live(page);
  };
  for (let i = 0; i < 5; i++) await reconnect();
  const early = await measure();
  for (let i = 0; i < 30; i++) await reconnect();
  await until(() => count('RTCPeerConnection'), n => n <= 2, 10000, 'RTCPeerConnection objects');
  const grown = await measure() - early;
  note(`JavaScript heap after 5 reconnects ${(early / 1024).toFixed(0)} KiB, 30 later ${(grown / 1024).toFixed(0)} KiB more; ` +
    `objects: ${await count('RTCPeerConnection')} RTCPeerConnection, ${await count('MediaStream')} MediaStream`);
  check(grown < 300 * 1024, `30 reconnects cost ${grown} bytes`);
  check(await server.viewers() === 1, 'the server has more than one viewer');
  await shut(page);
}));

// ---- diagnostics

test('diagnostics agree with getStats', () => withServer(['test:'], server => withPage(server.url + '/cam', {}, async page => {
  await status(page, /^Live .* fps/);
  await page.keyboard.press('Control+Shift+A');
  await page.waitForSelector('#panel:not([hidden])');
  await page.waitForFunction(() => tiles.get('cam').plot[2].filter(x => x >= 0).length >= 2, null, { timeout: 15000 });
  const { shown, stats } = await page.evaluate(async () => {
    await tiles.get('cam').watch();   // now, so that both look at the same moment
    diagnose(tiles.get('cam'));
    const found = [...(await window.__pcs.at(-1).getStats()).values()], list = document.querySelector('#panel dl').children;
    return { stats: found, shown: Object.fromEntries(Array.from({ length: list.length / 2 }, (x, i) => [list[2 * i].textContent, list[2 * i + 1].textContent])) };
  });
  const s = stats.find(x => x.type === 'inbound-rtp' && x.kind === 'video'), pair = stats.find(x => x.id === stats.find(t => t.type === 'transport').selectedCandidatePairId);
  const [near, far] = [pair.localCandidateId, pair.remoteCandidateId].map(id => stats.find(x => x.id === id));
  const same = (name, value) => check(shown[name] === String(value), `${name}: shown is '${shown[name]}', getStats has '${value}'`);
  const close = (name, value, slack) => check(Math.abs(parseFloat(shown[name]) - value) <= slack, `${name}: shown is '${shown[name]}', getStats has ${value}`);
  same('Size', `${s.frameWidth}×${s.frameHeight}`);
  same('Packets lost', `${s.packetsLost} (0.00 %)`);
  same('NACK / PLI / FIR', `${s.nackCount} / ${s.pliCount} / ${s.firCount}`);
  same('Server', `${far.candidateType} ${far.protocol} ${far.address} ${far.port}`);
  check(shown['This side'].startsWith(`${near.candidateType} ${near.protocol}`) && shown['This side'].endsWith(` ${near.port}`), shown['This side']);
  check(shown.Codec === 'H264 42e01f', shown.Codec);
  close('Frames decoded', s.framesDecoded, 30);   // asked a moment apart, on a machine that may be busy
  close('Freezes', s.freezeCount, 0);
  close('Round trip', pair.currentRoundTripTime * 1000, 5);
  close('Decoding', 1000 * s.totalDecodeTime / s.framesDecoded, 3);
  close('Jitter buffer', 1000 * s.jitterBufferDelay / s.jitterBufferEmittedCount, 20);
  const reports = parseFloat(shown['Latency by sender reports']), blocks = parseFloat(shown['Latency by the test picture']);
  check(reports >= 0 && reports < 500 && blocks > -50 && blocks < 500, `latency: ${reports} ms and ${blocks} ms`);
  note(`latency by sender reports ${reports} ms, by the blocks in the same seconds ${blocks} ms`);
  const drawn = await page.evaluate(() => [...document.querySelectorAll('#panel canvas')].map(c =>
    c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(x => x)));
  check(drawn.every(Boolean), `plots with a line: ${drawn}`);
  await page.keyboard.press('Escape');
  check(!await visible(page, '#panel'), 'Escape does not close it');
})));

const checkReport = text => {
  const report = JSON.parse(text);
  check(report.camera === 'cam' && report.figures.Size === '1280×720' && report.stats.some(s => s.type === 'inbound-rtp') &&
    report.lastMinute.fps.length && /^Live/.test(report.status), 'the report is not complete');
  check(!text.includes('hush'), 'the report tells the token');
};

test('diagnostics are copied as JSON', () => withServer(['--token', 'hush', 'test:'], async server => {
  await withPage(server.url + '/cam?token=hush', { context: { permissions: ['clipboard-read', 'clipboard-write'] } }, async page => {
    await status(page, /^Live .* fps/);
    await page.click('#info');
    await page.click('#copy');
    await page.waitForFunction(() => document.getElementById('copy').textContent === 'Copied');
    checkReport(await page.evaluate(() => navigator.clipboard.readText()));
  });
}));

// Beyond localhost, http: pages have no clipboard, no wake lock.
test('over plain http: from another address it plays, too, and copies', () => {
  const ip = Object.values(networkInterfaces()).flat().find(a => !a.internal && !a.scopeid)?.address;
  if (!ip) throw new Skip('this machine has no address but the loopback');
  return withServer(['-l', ip.includes(':') ? '[::]:0' : '0.0.0.0:0', '--open'], server =>
    withPage(`http://${ip.includes(':') ? `[${ip}]` : ip}:${server.port}/cam`, { init: () => {
    addEventListener('copy', e => { window.__copied = e.target.value; });
  } }, async page => {
    check(!await page.evaluate(() => isSecureContext || navigator.clipboard), 'this is a secure context');
    await status(page, /^Live .* fps/);
    await page.click('#info');
    await page.click('#copy');
    await page.waitForFunction(() => window.__copied);
    checkReport(await page.evaluate(() => window.__copied));
    await page.keyboard.press('Escape');
    await page.keyboard.press('f');
    await page.waitForFunction(() => document.fullscreenElement);
  }));
});

// ---- for everybody

test('axe finds nothing: desktop and phone, light and dark; screenshots', async () => {
  let source;
  try {
    source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  } catch {
    throw new Skip('axe-core is missing: npm ci in test/browser');
  }
  await withServer([...FOUR, '--allow-source', 'rtsp://127.0.0.1:1/'], server => withServer(['--token', 'x', 'test:'], async locked => {
    let looked = 0;
    for (const [device, viewport] of [['desktop', { width: 1280, height: 800 }], ['phone', { width: 390, height: 844 }]]) {
      for (const colorScheme of ['light', 'dark']) {
        const look = async (page, name) => {
          await page.evaluate(() => Promise.all(document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished)));
          await page.screenshot({ path: join(shots, `${name}-${device}-${colorScheme}.png`) });
          const { violations } = await page.evaluate(`${source}; axe.run(document, { resultTypes: ['violations'] })`);
          const words = violations.map(v => `${v.id}: ${v.nodes.map(n => n.html.slice(0, 80)).join('; ')}`);
          check(!words.length, `${name}, ${device}, ${colorScheme}: ${words.join(' | ')}`);
          looked++;
        };
        await withPage(server.url + '/', { context: { viewport, colorScheme } }, async page => {
          await all(page);
          await look(page, 'grid');
          await page.click('a[href="door"]');
          await status(page, /^Live .* fps/);
          await page.mouse.move(100, 100);
          await look(page, 'one');
          await page.keyboard.press('i');
          await page.waitForFunction(() => tiles.get('door').plot[1].length > 1);
          await look(page, 'diagnostics');
          await page.keyboard.press('?');
          await look(page, 'keys');
          await page.keyboard.press('o');
          await look(page, 'open');
          await page.keyboard.press('Escape');
          await page.route('**/whep*', route => route.abort());
          await page.evaluate(() => tiles.get('door').connect());
          await status(page, /cannot be reached/);
          await look(page, 'error');
        });
        await withPage(locked.url + '/', { context: { viewport, colorScheme } }, async page => {
          await page.waitForSelector('#signin:not([hidden])');
          await look(page, 'signin');
        });
      }
    }
    note(`axe looked at ${looked} pages`);
  }));
});

test('motion is reduced where asked', () => withServer(['test:'], server => withPage(server.url + '/cam', { context: { reducedMotion: 'reduce' } }, async page => {
  await live(page);
  const found = await page.evaluate(() => ['#bar', '#bar .dot', 'video'].map(q => getComputedStyle(document.querySelector(q)))
    .map(s => s.transitionDuration + s.animationName));
  check(found.every(x => x === '0snone'), found.join());
})));

// ---- alone, when the others are done

const alone = tests.length;

test('from the address to the first picture', () => withServer(['test:'], server => withPage(server.url + '/cam', { init: () => {
  addEventListener('DOMContentLoaded', () => document.querySelector('video').requestVideoFrameCallback(now => { window.__first = now; }));
} }, async page => {
  const took = [];
  for (let i = 0; i < 11; i++) {
    await page.goto(server.url + '/cam');
    took.push(await (await page.waitForFunction(() => window.__first)).jsonValue());
  }
  note(`page: ${(await (await fetch(server.url + '/')).text()).length} characters`);
  note(`navigation to the first picture: ${spread(took.slice(1))}`);
})));

test('no script failed, no policy was violated', () => check(!complaints.length, complaints.join(' | ')));

needProgram();
browser = await chromium.launch({
  executablePath: process.env.WCAM_CHROMIUM || '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync',
    '--disable-component-update', '--disable-quic'],
});
await runTests(tests, { lanes: 2, alone, done: () => browser.close() });   // most of the time is waiting
