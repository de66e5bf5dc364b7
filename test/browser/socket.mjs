// Signaling over a WebSocket: Chromium, the `ws` package as a client of another make, and raw TCP for what neither would send.
// `node socket.mjs [WORD ...]` runs the tests whose name has one of the words, or all. Lines `# ` are measurements.
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import WebSocket from 'ws';
import { BIN, Skip, check, inbound, launch, needProgram, open, runTests, serve, shut, start, tmp,
  until } from './harness.mjs';

const tests = [];
const test = (name, body) => tests.push({ name, body });
const note = words => console.log('# ' + words);
let browser;

async function withServer(args, body, options) {
  const server = await serve(args, options);
  try {
    return await body(server);
  } finally {
    await server.stop();
  }
}

const within = (promise, ms, what) => {
  let timer;
  const late = new Promise((_, refuse) => { timer = setTimeout(() => refuse(new Error(`${what}: nothing in ${ms} ms`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// A client by the ws package: `next(type)` is the next message of that type, read over others; `closed` the close code.
const sockets = new Set();
class Talk {
  constructor(server, path = '/cam/ws', options = {}) {
    this.ws = new WebSocket(server.url.replace('http', 'ws') + path, { perMessageDeflate: false, ...options });
    this.heard = [];
    sockets.add(this.ws);
    this.closed = new Promise(done => this.ws.once('close', (code, reason) => done({ code, reason: String(reason) })));
    this.closed.then(() => sockets.delete(this.ws));
    this.ws.on('error', e => { this.error = e; });
    this.ws.on('message', (data, binary) => {
      check(!binary, 'a binary message came');
      this.heard.push(JSON.parse(data));
      this.wake?.();
    });
  }
  opened() {
    return within(Promise.race([once(this.ws, 'open'), once(this.ws, 'error').then(([e]) => { throw e; })]), 5000, 'open').then(() => this);
  }
  say(what) {
    this.ws.send(typeof what === 'string' ? what : JSON.stringify(what));
  }
  async next(type, good = () => true, ms = 5000) {
    const end = Date.now() + ms;
    for (;;) {
      const at = this.heard.findIndex(m => m.type === type && good(m));
      if (at >= 0) return this.heard.splice(0, at + 1).at(-1);
      check(Date.now() < end, `no '${type}' in ${ms} ms: ${JSON.stringify(this.heard)} ${this.error || ''}`);
      await Promise.race([new Promise(wake => { this.wake = wake; }), new Promise(next => setTimeout(next, 100))]);
    }
  }
}

const talk = (server, path, options) => new Talk(server, path, options).opened();

const FINGERPRINT = Array.from({ length: 32 }, (_, i) => (i + 160).toString(16).toUpperCase()).join(':');
const OFFER = ['v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', 'a=group:BUNDLE 0', 'm=video 9 UDP/TLS/RTP/SAVPF 102',
  'c=IN IP4 0.0.0.0', 'a=mid:0', 'a=recvonly', 'a=rtcp-mux', 'a=ice-ufrag:peer', 'a=ice-pwd:abcdefghijklmnopqrstuvwx',
  `a=fingerprint:sha-256 ${FINGERPRINT}`, 'a=setup:actpass', 'a=rtpmap:102 H264/90000', 'a=rtcp-fb:102 nack',
  'a=fmtp:102 packetization-mode=1;profile-level-id=42e01f', ''].join('\r\n');
const offer = { type: 'offer', sdp: OFFER };

// A raw connection. `upgrade` asks for a WebSocket and gives the response's head; frames that come are taken apart.
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==', ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
async function upgrade(server, { path = '/cam/ws', headers = {} } = {}) {
  const socket = connect(server.port, '127.0.0.1');
  let got = Buffer.alloc(0), ended = false, wake = () => {};
  socket.on('error', () => {});
  socket.on('data', data => { got = Buffer.concat([got, data]); wake(); });
  socket.on('close', () => { ended = true; wake(); });
  const all = {
    Host: `127.0.0.1:${server.port}`, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY, ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const more = async (enough, what) => {
    for (const end = Date.now() + 5000; !enough();) {
      check(Date.now() < end && !ended, `${what}: ${ended ? 'the connection ended' : 'nothing in 5 s'}: ${got.toString('latin1')}`);
      await Promise.race([new Promise(next => { wake = next; }), new Promise(next => setTimeout(next, 100))]);
    }
  };
  await more(() => got.includes('\r\n\r\n'), 'response');
  const at = got.indexOf('\r\n\r\n'), head = got.subarray(0, at + 2).toString('latin1');
  got = got.subarray(at + 4);
  const need = () => {
    if (got.length < 2) return 2;
    const n = got[1] & 127, form = n === 126 ? 2 : n === 127 ? 8 : 0;
    if (got.length < 2 + form) return 2 + form;
    return 2 + form + (form === 2 ? got.readUInt16BE(2) : form === 8 ? Number(got.readBigUInt64BE(2)) : n);
  };
  const frame = async () => {
    await more(() => got.length >= need(), 'frame');
    const size = need(), one = got.subarray(0, size), form = { 126: 2, 127: 8 }[one[1]] || 0;
    got = got.subarray(size);
    check(one[0] & 0x80 && !(one[1] & 0x80), 'a frame in pieces, or masked');
    return { opcode: one[0] & 15, payload: one.subarray(2 + form) };
  };
  return {
    socket, head, status: Number(head.split(' ')[1]), frame,
    // The code of the Close frame, with the connection's end behind it.
    close: async () => {
      for (;;) {
        const { opcode, payload } = await frame();
        if (opcode !== 8) continue;
        for (const end = Date.now() + 5000; !ended && Date.now() < end;) await new Promise(next => setTimeout(next, 5));
        check(ended, 'the connection stays open behind Close');
        return payload.length ? payload.readUInt16BE(0) : 1005;
      }
    },
    end: () => socket.destroy(),
  };
}

async function statusOf(server, options) {
  const raw = await upgrade(server, options);
  raw.end();
  return raw.status;
}

function masked(first, payload, form) {
  const body = Buffer.from(payload), n = body.length, mask = Buffer.from([1, 2, 3, 4]);
  form ??= n < 126 ? 0 : n < 65536 ? 126 : 127;
  const head = Buffer.alloc(2 + { 0: 0, 126: 2, 127: 8 }[form]);
  head[0] = first;
  head[1] = 0x80 | (form || n);
  if (form === 126) head.writeUInt16BE(n, 2);
  if (form === 127) head.writeBigUInt64BE(BigInt(n), 2);
  return Buffer.concat([head, mask, body.map((b, i) => b ^ mask[i % 4])]);
}

const descriptors = server => readdirSync(`/proc/${server.pid}/fd`).length;
const rss = server => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);   // KiB
const procOnly = () => {
  if (process.platform !== 'linux') throw new Skip('this reads /proc');
};

// In the page: joins by WebSocket alone and keeps what was told.
const PLAY = async url => {
  const ws = window.__ws = new WebSocket(url), pc = window.__pcs[0] || new RTCPeerConnection();
  const video = document.querySelector('video');
  window.__told = [];
  window.__closed = new Promise(done => { ws.onclose = e => done({ code: e.code, clean: e.wasClean }); });
  pc.addTransceiver('video', { direction: 'recvonly' });
  pc.ontrack = e => { video.srcObject = new MediaStream([e.track]); };
  pc.onicecandidate = e => ws.readyState === 1 && ws.send(JSON.stringify({ type: 'candidate', candidate: e.candidate }));
  await new Promise((up, down) => { ws.onopen = up; ws.onerror = () => down(new Error('no WebSocket')); });
  const answered = new Promise((done, refuse) => {
    ws.onmessage = async e => {
      const m = JSON.parse(e.data);
      window.__told.push(m);
      if (m.type === 'answer') pc.setRemoteDescription(m).then(() => done(m.session), refuse);
      if (m.type === 'error') refuse(new Error(e.data));
    };
  });
  await pc.setLocalDescription();
  ws.send(JSON.stringify(pc.localDescription));
  return answered;
};

async function withForeignOrigin(body) {
  const html = '<!doctype html><meta charset=utf-8><title>foreign</title><video autoplay muted playsinline></video>';
  const web = createServer((q, r) => r.writeHead(200, { 'Content-Type': 'text/html' }).end(html));
  await new Promise(up => web.listen(0, '127.0.0.1', up));
  try {
    return await body(`http://127.0.0.1:${web.address().port}`);
  } finally {
    web.closeAllConnections();
    web.close();
  }
}

const plays = (page, frames) => until(() => inbound(page), s => s.framesDecoded >= frames, 15000, 'frames decoded');

test('Chromium plays by WebSocket alone, from a listed page', () => withForeignOrigin(origin =>
  withServer(['--cors', origin, 'cam=test:640x480@30', 'cam/sub=test:320x240@30'], async server => {
    const page = await open(browser, origin + '/');
    const session = await page.evaluate(PLAY, server.url.replace('http', 'ws') + '/cam/ws?stream=sub');
    check(/^\/cam\/whep\/[\w-]{22}$/.test(session), `session ${session}`);
    await plays(page, 30);
    check(await page.evaluate(() => document.querySelector('video').videoWidth) === 320, '?stream=sub was not obeyed');
    const told = await until(() => page.evaluate(() => window.__told), t => t.some(m => m.viewers === 1), 5000, 'told');
    check(told.some(m => m.type === 'stream' && m.stream === 'sub' && m.state === 'live'), JSON.stringify(told));
    check(!told.some(m => m.type === 'error'), JSON.stringify(told));   // its candidates are taken without a word
    check(await server.viewers() === 1, 'one viewer');
    await page.evaluate(() => window.__ws.close(1000));
    const { code, clean } = await page.evaluate(() => window.__closed);
    check(code === 1000 && clean, `closed with ${code}`);
    await until(server.viewers, n => n === 0, 5000, 'viewers behind Close');
    await shut(page);
  })));

test('Chromium on the own page may open its WebSocket, and a foreign page may not', () => withForeignOrigin(origin =>
  withServer(['test:'], async server => {
    const url = server.url.replace('http', 'ws') + '/cam/ws';
    const page = await open(browser, server.url + '/cam'), foreign = await open(browser, origin + '/');
    const tries = of => of.evaluate(address => new Promise(done => {
      const ws = new WebSocket(address);
      ws.onmessage = e => done(JSON.parse(e.data).type);
      ws.onerror = () => done('refused');
    }), url);
    check(await tries(page) === 'stream', 'the own page is refused (Content-Security-Policy?)');
    check(await tries(foreign) === 'refused', 'a foreign page is let in');
    await shut(page);
    await shut(foreign);
  })));

test('an offer is answered, another one replaces it, bye ends it', () => withServer(['test:'], async server => {
  const t = await talk(server);
  const first = await t.next('stream');
  check(first.name === 'cam' && first.stream === '' && first.viewers === 0, JSON.stringify(first));
  t.say(offer);
  const a = await t.next('answer');
  check(a.sdp.includes('a=ice-lite\r\n') && /^\/cam\/whep\//.test(a.session), JSON.stringify(a));
  await t.next('stream', m => m.viewers === 1);
  t.say(offer);
  const b = await t.next('answer');
  check(a.session !== b.session, 'the same session twice');
  check((await fetch(server.url + a.session)).status === 404 && (await fetch(server.url + b.session)).status === 200, 'sessions');
  check(await server.viewers() === 1, 'the first one is left');
  t.say({ type: 'bye' });
  await t.next('stream', m => m.viewers === 0);
  t.say(offer);
  const c = await t.next('answer');
  check((await fetch(server.url + c.session, { method: 'DELETE' })).ok, 'DELETE');   // by other means: it is told
  check((await t.next('ended')).reason === 'the viewer hung up', 'no reason');
  for (const [text, status] of [['hello', 400], ['{"type":"offer"}', 400], ['{"type":"x"}', 400],
    [JSON.stringify({ type: 'offer', sdp: OFFER.replace(/H264/g, 'VP8') }), 422]]) {
    t.say(text);
    const e = await t.next('error');
    check(e.status === status && e.detail.length > 10, `${text}: ${JSON.stringify(e)}`);
  }
  t.ws.close(3000, 'done');
  check((await within(t.closed, 5000, 'close')).code === 3000, 'the code does not come back');
}));

test('viewers are counted for everybody', () => withServer(['test:'], async server => {
  const [a, b, other] = [await talk(server), await talk(server), await talk(server)];
  a.say(offer);
  b.say(offer);
  await other.next('stream', m => m.viewers === 2);
  a.ws.close(1000);
  await other.next('stream', m => m.viewers === 1);
  b.say({ type: 'bye' });
  const last = await other.next('stream', m => m.viewers === 0);
  check(last.state === 'live' && last.width > 0 && /^H\.264/.test(last.codec) && last.reason === '', JSON.stringify(last));
  await new Promise(next => setTimeout(next, 500));   // nothing more is told: only changes are
  check(other.heard.length === 0, JSON.stringify(other.heard));
}));

test('Close hangs up, a broken connection does not', () => withServer(['test:'], async server => {
  procOnly();
  const idle = descriptors(server), t = await talk(server);
  t.say(offer);
  const { session } = await t.next('answer');
  t.ws.terminate();
  await until(() => descriptors(server), n => n <= idle, 5000, 'the server has not noticed');
  check((await fetch(server.url + session)).status === 200, 'the viewer went with its connection');
  check(await server.viewers() === 1, 'viewers');
  const u = await talk(server);
  u.say(offer);
  await u.next('answer');
  u.ws.close();
  await u.closed;
  await until(server.viewers, n => n === 1, 5000, 'viewers behind Close');
  const bad = await upgrade(server);   // neither does a fault: the browser may be fine
  bad.socket.write(masked(0x81, JSON.stringify(offer)));
  while (!String((await bad.frame()).payload).includes('answer'));
  bad.socket.write(masked(0xc1, ''));
  check(await bad.close() === 1002, 'close code');
  check(await server.viewers() === 2, 'the viewer went with a bad frame');
}));

test('a stream that begins and ends is told', async () => {
  const film = join(tmp, 'events.h264'), fifo = join(tmp, 'events.fifo');
  try {
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-frames:v', '50', '-c:v', 'libx264',
      '-preset', 'veryfast', '-tune', 'zerolatency', '-bf', '0', '-g', '25', '-pix_fmt', 'yuv420p', '-f', 'h264', film], { stdio: 'pipe' });
  } catch (e) {
    throw new Skip(`ffmpeg with libx264 is needed: ${String(e.stderr || e.message).trim()}`);
  }
  execFileSync('mkfifo', [fifo]);
  const writer = createWriteStream(fifo);   // opens once the shell has
  const s = await start('/bin/sh', ['-c', 'exec "$0" "$@" <"$FIFO"', BIN, '-l', '127.0.0.1:0', '-'],
    /http:\/\/(?:127\.0\.0\.1|localhost):(\d+)/, { env: { FIFO: fifo } });
  try {
    const t = await talk({ url: `http://127.0.0.1:${s.match[1]}` });
    const before = await t.next('stream');
    check(before.state === 'waiting' && before.reason.length > 10 && before.width === 0, JSON.stringify(before));
    writer.write(readFileSync(film));
    const up = await t.next('stream', m => m.state === 'live');
    check(up.width === 320 && up.height === 240 && up.reason === '', JSON.stringify(up));
    t.say(offer);
    await t.next('answer');
    writer.end();
    const down = await t.next('stream', m => m.state === 'ended');
    check(down.reason.length > 10, JSON.stringify(down));
    t.say(offer);
    check((await t.next('error')).status === 409, 'an offer for a stream that ended');
  } finally {
    writer.destroy();
    await s.stop();
  }
});

test('SIGTERM says closing, then 1001', async () => {
  const server = await serve(['test:']);
  const t = await talk(server), raw = await upgrade(server);
  t.say(offer);
  await t.next('answer');
  const [closed] = await Promise.all([within(t.closed, 5000, 'close'), server.stop('SIGTERM')]);
  check(closed.code === 1001, `close code ${closed.code}`);
  check((await t.next('closing')).reason.length > 5, 'no reason');
  check(await raw.close() === 1001, 'close code of the raw one');
});

test('the handshake by hand', () => withForeignOrigin(origin => withServer(['--cors', origin, 'test:'], async server => {
  const raw = await upgrade(server), own = server.url;
  check(raw.status === 101 && raw.head.includes(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`), raw.head);
  check(!/^(content-length|sec-websocket-(extensions|protocol)):/im.test(raw.head), raw.head);
  raw.end();
  const plain = await fetch(server.url + '/cam/ws');
  check(plain.status === 426 && (await plain.json()).status === 426, `plain GET: ${plain.status}`);
  check(plain.headers.get('upgrade') === 'websocket', 'no Upgrade header');
  for (const [what, want, options] of [
    ['no Origin', 101, {}],
    ['own Origin', 101, { headers: { Origin: own } }],
    ['listed Origin', 101, { headers: { Origin: origin } }],
    ['foreign Origin', 403, { headers: { Origin: 'http://evil.example' } }],
    ['the own host at another port', 403, { headers: { Origin: 'http://127.0.0.1:1' } }],
    ['Origin null', 403, { headers: { Origin: 'null' } }],
    ['foreign Host', 421, { headers: { Host: 'evil.example' } }],
    ['version 8', 426, { headers: { 'Sec-WebSocket-Version': '8' } }],
    ['no key', 400, { headers: { 'Sec-WebSocket-Key': null } }],
    ['a short key', 400, { headers: { 'Sec-WebSocket-Key': 'AAAA' } }],
    ['no Connection: Upgrade', 426, { headers: { Connection: 'keep-alive' } }],
    ['Firefox\'s Connection', 101, { headers: { Connection: 'keep-alive, Upgrade' } }],
    ['unknown camera', 404, { path: '/none/ws' }],
    ['unknown stream', 404, { path: '/cam/ws?stream=none' }],
  ]) {
    const got = await statusOf(server, options);
    check(got === want, `${what}: ${got}, not ${want}`);
  }
})));

test('token and password are asked for', async () => {
  await withServer(['--token', 's3cret', 'test:'], async server => {
    for (const [want, options] of [[401, {}], [401, { path: '/cam/ws?token=wrong' }], [101, { path: '/cam/ws?token=s3cret' }],
      [101, { headers: { Authorization: 'Bearer s3cret' } }], [401, { headers: { Authorization: 'Bearer x' } }], [401, { path: '/none/ws' }]])
      check(await statusOf(server, options) === want, `${JSON.stringify(options)}: not ${want}`);
    const page = await fetch(server.url + '/cam?token=s3cret', { headers: { Accept: 'text/html' } });
    const Cookie = page.headers.get('set-cookie').split(';')[0];
    check(await statusOf(server, { headers: { Cookie, Origin: server.url } }) === 101, 'the cookie with the own Origin');
    check(await statusOf(server, { headers: { Cookie, Origin: 'http://evil.example' } }) === 403, 'the cookie with a foreign Origin');
    check(await statusOf(server, { headers: { Cookie } }) === 403, 'the cookie without Origin');
  });
  await withServer(['--user', 'ann:pass:word', 'test:'], async server => {
    check(await statusOf(server) === 401, 'no password');
    const basic = text => ({ headers: { Authorization: 'Basic ' + Buffer.from(text).toString('base64') } });
    check(await statusOf(server, basic('ann:pass:word')) === 101 && await statusOf(server, basic('ann:x')) === 401, 'password');
  });
});

test('bad frames end with the right code', () => withServer(['test:'], async server => {
  const cases = [
    ['not masked', 1002, Buffer.from('810548656c6c6f', 'hex')],
    ['RSV1', 1002, masked(0xc1, 'x')],
    ['opcode 3', 1002, masked(0x83, '')],
    ['opcode 11', 1002, masked(0x8b, '')],
    ['a ping of 126 bytes', 1002, masked(0x89, Buffer.alloc(126))],
    ['a ping in pieces', 1002, masked(0x09, '')],
    ['a continuation of nothing', 1002, masked(0x80, '')],
    ['text within text', 1002, Buffer.concat([masked(0x01, 'a'), masked(0x81, 'b')])],
    ['a length not in its shortest form', 1002, masked(0x81, 'hello', 126)],
    ['a Close of one byte', 1002, masked(0x88, '\x03')],
    ['code 1005', 1002, masked(0x88, Buffer.from('03ed', 'hex'))],
    ['binary', 1003, masked(0x82, 'x')],
    ['text that is no UTF-8', 1007, masked(0x81, Buffer.from('cea0ff', 'hex'))],
    ['a reason that is no UTF-8', 1007, masked(0x88, Buffer.from('03e8ff', 'hex'))],
    ['8 EiB', 1009, Buffer.from('81ff7fffffffffffffff00000000', 'hex')],
    ['Close', 1000, masked(0x88, Buffer.from('03e8', 'hex'))],
    ['an empty Close', 1005, masked(0x88, '')],
  ];
  for (const [what, want, bytes] of cases) {
    const raw = await upgrade(server);
    check(raw.status === 101, `${what}: ${raw.status}`);
    raw.socket.write(bytes);
    const got = await raw.close();
    check(got === want, `${what}: closed with ${got}, not ${want}`);
    const slow = await upgrade(server);   // and byte by byte
    slow.socket.setNoDelay(true);
    for (const byte of bytes.subarray(0, 20)) {
      slow.socket.write(Buffer.from([byte]));
      await new Promise(next => setImmediate(next));
    }
    slow.socket.write(bytes.subarray(20));
    const again = await slow.close();
    check(again === want, `${what}, byte by byte: closed with ${again}, not ${want}`);
  }
  const { drops } = await server.api();
  check(drops.ws_bad_frame === 2 * (cases.length - 2), `counted: ${JSON.stringify(drops)}`);
}));

test('what is too large ends with 1009, and the client hears it', () => withServer(['test:'], async server => {
  let heard = 0;
  const codes = {};
  for (let i = 0; i < 20; i++) {
    const t = await talk(server);
    if (i % 2) t.say(JSON.stringify({ type: 'offer', sdp: 'x'.repeat(70000) }));
    else for (let k = 0; k < 40; k++) t.ws.send('y'.repeat(8192), { fin: false });   // a message without end
    const { code } = await within(t.closed, 5000, 'close');
    codes[code] = (codes[code] || 0) + 1;
    heard += code === 1009;
  }
  check(heard === 20, `closed with ${JSON.stringify(codes)}`);
  const t = await talk(server), most = JSON.stringify({ type: 'candidate', x: '' });
  t.say(most.replace('""', `"${'x'.repeat(65536 - most.length)}"`));   // the largest that is taken
  t.say('hello');
  check((await t.next('error')).status === 400, 'the largest message ended the connection');
}));

test('memory is bounded: 200 sockets with 60 KB pending each', () => withServer(['test:'], async server => {
  procOnly();
  const all = [];
  for (let i = 0; i < 200; i++) all.push(await upgrade(server));
  const before = rss(server), piece = masked(0x01, Buffer.alloc(60000, 'x')), ping = masked(0x89, 'here');
  const answered = all.map(async raw => {
    raw.socket.write(piece);
    raw.socket.write(ping);
    for (;;) if ((await raw.frame()).opcode === 10) return;   // behind it, the piece was taken
  });
  await Promise.all(answered);
  const after = rss(server);
  note(`200 sockets, 60 KB pending each: RSS ${before} -> ${after} KiB, ${((after - before) / 200).toFixed(1)} KiB a socket`);
  check(after - before < 200 * 120, `RSS grew by ${after - before} KiB`);
  for (const raw of all) raw.end();
}));

test('ping is answered by pong, between the pieces of a message too', () => withServer(['test:'], async server => {
  const t = await talk(server);
  t.ws.ping('hello');
  check(String((await within(once(t.ws, 'pong'), 5000, 'pong'))[0]) === 'hello', 'another payload');
  const text = JSON.stringify(offer), pong = once(t.ws, 'pong');
  t.ws.send(text.slice(0, 100), { fin: false });
  t.ws.ping(Buffer.alloc(125, 7));
  t.ws.send(text.slice(100), { fin: true });
  check((await within(pong, 5000, 'pong'))[0].equals(Buffer.alloc(125, 7)), 'the longest payload');
  await t.next('answer');
}));

test('300 connections leave the descriptors as they were', () => withServer(['test:'], async server => {
  procOnly();
  await server.api();
  const before = await until(() => descriptors(server), n => n > 0, 1000, 'descriptors');
  for (let i = 0; i < 100; i++) {
    const [a, b, raw] = [await talk(server), await talk(server), await upgrade(server)];
    a.say({ type: 'candidate' });
    a.ws.close();
    b.ws.terminate();
    raw.socket.write(masked(0x81, 'half').subarray(0, 7));
    raw.end();
    await Promise.all([a.closed, b.closed]);
  }
  const after = await until(() => descriptors(server), n => n <= before, 5000, 'descriptors');
  note(`300 connections: ${before} -> ${after} descriptors, RSS ${rss(server)} KiB`);
}));

test('270 connections: some give way, HTTP is still answered', () => withServer(['test:'], async server => {
  const all = [];
  for (let i = 0; i < 270; i++) all.push(await talk(server));
  await Promise.all(all.slice(-5).map(t => t.next('stream')));
  const { drops } = await server.api();
  check(drops.http_too_many_connections >= 14, JSON.stringify(drops));
  const alive = all.filter(t => t.ws.readyState === WebSocket.OPEN).length;
  check(alive >= 250 && alive <= 256, `${alive} are alive`);
  all.at(-1).ws.ping();
  await within(once(all.at(-1).ws, 'pong'), 5000, 'pong of the last');
}));

test('/metrics over HTTP', () => withServer(['yard=test:', 'door=test:320x240@15'], async server => {
  const t = await talk(server, '/yard/ws');
  t.say(offer);
  await t.next('answer');
  const r = await fetch(server.url + '/metrics'), text = await r.text();
  check(r.status === 200 && r.headers.get('content-type') === 'text/plain; version=0.0.4; charset=utf-8', r.headers.get('content-type'));
  const samples = new Map();
  for (const line of text.trimEnd().split('\n')) {
    if (/^# (HELP \w+ \S.*|TYPE \w+ (counter|gauge))$/.test(line)) continue;
    const m = /^([a-z_]+(?:\{[a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*\})?) (\d+(?:\.\d+)?)$/.exec(line);
    check(m && !samples.has(m[1]), `line '${line}'`);
    samples.set(m[1], Number(m[2]));
  }
  check(samples.get('webrtc_cam_viewers{camera="yard",stream="",state="checking"}') === 1, text);
  check(samples.get('webrtc_cam_viewers{camera="door",stream="",state="checking"}') === 0, text);
  check((await fetch(server.url + '/metrics', { method: 'POST' })).status === 405, 'POST');
  check((await fetch(server.url + '/metrics', { method: 'HEAD' })).status === 200, 'HEAD');
}));

test('/metrics as prometheus_client reads it', () => {
  const python = ['import sys', 'from prometheus_client.parser import text_string_to_metric_families as parse',
    'families = list(parse(sys.stdin.read()))', 'print(len(families), sum(len(f.samples) for f in families))'].join('\n');
  if (spawnSync('python3', ['-c', 'import prometheus_client']).status !== 0) throw new Skip('python3 has no prometheus_client');
  return withServer(['test:'], async server => {
    const input = await (await fetch(server.url + '/metrics')).text(), helps = input.match(/^# HELP/gm).length;
    const [families, samples] = String(execFileSync('python3', ['-c', python], { input })).trim().split(' ').map(Number);
    check(families === helps && samples === input.match(/^[^#]/gm).length, `${families} families, ${samples} samples`);
  });
});

needProgram();
browser = await launch();
await runTests(tests, { after: () => { for (const ws of sockets) ws.terminate(); }, done: () => browser.close() });
