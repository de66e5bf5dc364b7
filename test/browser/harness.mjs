// What the browser tests stand on: the server as a child process, Chromium, and what is injected into every page.
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
export const BIN = resolve(here, process.env.WCAM_BIN || '../../webrtc_cam');
export const tmp = mkdtempSync(join(tmpdir(), 'wcam-browser-'));

const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(tmp, { recursive: true, force: true });
});
for (const sig of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(sig, () => process.exit(1));

export class Skip extends Error {}

export function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function check(truth, words) {
  if (!truth) throw new Error(words);
}

// Starts a child that is killed with us at the latest. Resolves when a line of its stderr matches `ready`.
export function start(path, args, ready, { deadline = 20000, env = {} } = {}) {
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  children.add(child);
  const ended = new Promise(done => {
    child.once('exit', done);
    child.once('error', done);
  });
  ended.then(() => children.delete(child));
  const stop = async (signal = 'SIGTERM') => {
    const hard = setTimeout(() => child.kill('SIGKILL'), 5000);
    child.kill(signal);
    await ended;
    clearTimeout(hard);
  };
  return new Promise((done, refuse) => {
    let log = '';
    const late = setTimeout(() => refuse(new Error(`${path} is not ready after ${deadline} ms: ${log}`)), deadline);
    child.stderr.setEncoding('utf8').on('data', text => {
      log = (log + text).slice(-100000);
      const match = ready.exec(log);
      if (match) {
        clearTimeout(late);
        done({ match, stop, pid: child.pid, signal: name => child.kill(name), log: () => log });
      }
    });
    ended.then(() => {
      clearTimeout(late);
      refuse(new Error(`${path} ${args.join(' ')} ended before it was ready: ${log}`));
    });
  });
}

// The server under test, on a free port of loopback unless one is given.
export async function serve(args, { port = 0, env = {} } = {}) {
  const s = await start(BIN, ['-l', `127.0.0.1:${port}`, ...args], /http:\/\/(?:127\.0\.0\.1|localhost):(\d+)/, { env });
  const url = `http://127.0.0.1:${s.match[1]}`;
  const api = async () => (await fetch(url + '/api/streams')).json();
  return { ...s, url, api, port: Number(s.match[1]), viewers: async () => (await api()).viewers };
}

// Asks again and again until `ask` gives something `good`: for what only an API can tell.
export async function until(ask, good, ms, what) {
  const end = Date.now() + ms;
  let last;
  do {
    last = await ask();
    if (good(last)) return last;
    await new Promise(next => setTimeout(next, 25));
  } while (Date.now() < end);
  throw new Error(`${what}: still ${JSON.stringify(last)} after ${ms} ms`);
}

export const launch = () => chromium.launch({
  executablePath: process.env.WCAM_CHROMIUM || '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-quic'],
});

// A page in a context (cookies, credentials) of its own. `context` are Playwright's options, `init` a further script.
export async function open(browser, url, { context = {}, init = null } = {}) {
  const page = await (await browser.newContext(context)).newPage();
  page.setDefaultTimeout(30000);
  page.setDefaultNavigationTimeout(30000);
  await page.addInitScript(inject);
  if (init) await page.addInitScript(init);
  page.answer = await page.goto(url);
  return page;
}

export const shut = page => page.context().close();

export const status = (page, pattern, timeout = 30000) => page.waitForFunction(
  ([source, flags]) => new RegExp(source, flags).test(document.getElementById('status')?.textContent || ''),
  [pattern.source, pattern.flags], { timeout },
).catch(async () => {
  const words = await page.textContent('#status', { timeout: 1000 }).catch(() => '(no status line)');
  throw new Error(`status is '${words}', expected ${pattern}`);
});

export const live = (page, timeout) => status(page, /^Live/, timeout);

// What getStats says of the video that the newest connection receives.
export const inbound = page => page.evaluate(async () => {
  const stats = await window.__pcs.at(-1).getStats();
  return [...stats.values()].find(s => s.type === 'inbound-rtp' && s.kind === 'video') || {};
});

export function spread(values) {
  const v = [...values].sort((a, b) => a - b);
  const at = q => Math.round(v[Math.min(v.length - 1, Math.floor(q * v.length))]);
  return v.length ? `median ${at(0.5)} p95 ${at(0.95)} min ${at(0)} max ${at(1)} ms (n=${v.length})` : 'none';
}

// Runs in every page before its own script: keeps the connections and the time of the last POST, times what follows
// it, and reads the time blocks of the test pattern.
function inject() {
  window.__pcs = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      window.__pcs.push(this);
    }
  };
  const fetch = window.fetch;
  window.fetch = (url, options = {}) => {
    if (options.method === 'POST') window.__posted = performance.now();
    return fetch(url, options);
  };
  // [ms from POST to the first frame, ms to the first one younger than 300 ms or null if none came within 5 s]
  window.__times = new Promise(done => addEventListener('DOMContentLoaded', () => {
    const video = document.querySelector('video');
    let first = 0;
    video?.requestVideoFrameCallback(function look() {
      const now = performance.now() - window.__posted, { good, age } = stamp(video);
      first = first || now;
      if (good && age < 300) done([first, now]);
      else if (now > 5000) done([first, null]);
      else video.requestVideoFrameCallback(look);
    });
  }));

  // 32 cells of 16x16: white, black, 24 bits of unix ms (first bit first), 6 bits of the three bytes' sum modulo 61.
  const canvas = document.createElement('canvas');
  function stamp(video) {
    const at = Date.now(), width = video.videoWidth, cols = Math.min(width >> 4, 32), rows = Math.ceil(32 / cols);
    canvas.width = cols * 16;
    canvas.height = rows * 16;
    const g = canvas.getContext('2d', { willReadFrequently: true });
    g.drawImage(video, 0, 0, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
    const data = g.getImageData(0, 0, canvas.width, canvas.height).data;
    const bit = i => {
      const x = (i % cols) * 16 + 8, y = Math.floor(i / cols) * 16 + 8;
      return data[(y * canvas.width + x) * 4 + 1] > 127 ? 1 : 0;
    };
    const number = (from, to) => {
      let n = 0;
      for (let i = from; i < to; i++) n = n * 2 + bit(i);
      return n;
    };
    const t = number(2, 26), sum = ((t >> 16) + ((t >> 8) & 255) + (t & 255)) % 61;
    const age = (at - t + 1.5 * 2 ** 24) % 2 ** 24 - 2 ** 23;   // both clocks run modulo 2^24
    return { t, age, good: bit(0) === 1 && bit(1) === 0 && number(26, 32) === sum };
  }

  // Watches the video for `ms`: how many frames with different stamps, how many unreadable, and each one's age in ms.
  window.__watch = ms => new Promise(done => {
    const video = document.querySelector('video'), ages = [], seen = new Set(), end = performance.now() + ms;
    let bad = 0;
    const finish = setTimeout(() => done({ distinct: seen.size, bad, ages }), ms + 2000);   // no frames at all
    video.requestVideoFrameCallback(function look() {
      const { t, age, good } = stamp(video);
      if (!good) bad++;
      else if (!seen.has(t)) {
        seen.add(t);
        ages.push(age);
      }
      if (performance.now() < end) return video.requestVideoFrameCallback(look);
      clearTimeout(finish);
      done({ distinct: seen.size, bad, ages });
    });
  });
}

// The list of a test file: { name, body } each. With words on the command line only those whose name has one of them run.
// `after` is called behind each; `lanes` of them run at once, as far as the first `alone` go. Prints the count, and ends.
export async function runTests(tests, { after = () => {}, lanes = 1, alone = tests.length, done = () => {} } = {}) {
  const words = process.argv.slice(2), count = { passed: 0, failed: 0, skipped: 0 };
  const run = async ({ name, body }) => {
    if (words.length && !words.some(w => name.includes(w))) return;
    try {
      await body();
      count.passed++;
      console.log(`ok - ${name}`);
    } catch (e) {
      count[e instanceof Skip ? 'skipped' : 'failed']++;
      const why = String(e.message).split('\n').join(' | ').slice(0, 1000);
      console.log(e instanceof Skip ? `skip - ${name}: ${why}` : `not ok - ${name}: ${why}`);
    }
    after();
  };
  const queue = tests.slice(0, alone), lane = async () => { while (queue.length) await run(queue.shift()); };
  await Promise.all(Array.from({ length: lanes }, lane));
  for (const one of tests.slice(alone)) await run(one);
  await done();
  console.log(`${count.passed} passed, ${count.failed} failed` + (count.skipped ? `, ${count.skipped} skipped` : ''));
  process.exit(count.failed ? 1 : 0);
}

// Without the program there is nothing to test.
export function needProgram() {
  if (executable(BIN)) return;
  console.log(`not ok - ${BIN} is not there: build it first, or set WCAM_BIN`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}
