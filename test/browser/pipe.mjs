// Standard input in Chromium: `node pipe.mjs [WORD ...]`. How much later than the built-in pattern is the same pattern
// when another program writes it into `webrtc_cam -`? And does what ffmpeg writes play?
// Lines `# ` are measurements. Needs Chromium, a C compiler, ffmpeg with libx264, and the binary (WCAM_BIN).
import { execFileSync, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BIN, Skip, check, inbound, launch, needProgram, open, runTests, shut, spread, start, status, tmp,
  until } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const tests = [];
const test = (name, body) => tests.push({ name, body });
const note = words => console.log('# ' + words);
const writers = new Set();
process.on('exit', () => writers.forEach(w => w.kill('SIGKILL')));
let browser, fifos = 0;

// A server whose standard input is a pipe that `command` writes; both are stopped when `body` is done.
async function piped(command, args, sources, body) {
  const fifo = join(tmp, `fifo${fifos++}`);
  execFileSync('mkfifo', [fifo]);
  const writer = spawn('/bin/sh', ['-c', 'exec "$0" "$@" >"$FIFO"', command, ...args],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, FIFO: fifo } });
  writers.add(writer);
  const ended = new Promise(done => { writer.once('exit', done); writer.once('error', done); });
  let server;
  try {
    server = await start('/bin/sh', ['-c', 'exec "$0" "$@" <"$FIFO"', BIN, '-l', '127.0.0.1:0', ...sources],
      /http:\/\/(?:127\.0\.0\.1|localhost):(\d+)/, { env: { FIFO: fifo } });
    const url = `http://127.0.0.1:${server.match[1]}`;
    await body({ url, api: async () => (await fetch(url + '/api/streams')).json() });
  } finally {
    writer.kill('SIGKILL');
    await ended;
    writers.delete(writer);
    await server?.stop();
  }
}

async function withPages(urls, body) {
  const pages = [];
  try {
    for (const url of urls) pages.push(await open(browser, url));
    return await body(...pages);
  } finally {
    for (const page of pages) await shut(page);
  }
}

const settled = page => status(page, /^Live .* fps/);
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor(q * values.length)];

// 29 frames a second, so that neither stream keeps its place between two refreshes of the screen.
test('a picture on standard input is no frame later than the built-in one', async () => {
  const fps = 29, spec = `1280x720@${fps}`, generator = join(tmp, 'pattern_pipe');
  try {
    execFileSync('cc', ['-std=c99', '-O2', join(here, '../pattern_pipe.c'), '-o', generator, '-lsrtp2', '-lmbedtls',
      '-lmbedx509', '-lmbedcrypto'], { stdio: 'pipe' });
  } catch (e) {
    throw e.code === 'ENOENT' ? new Skip('a C compiler is needed') : e;
  }
  await piped(generator, [spec], [`direct=test:${spec}`, 'pipe=-'], server =>
    withPages([server.url + '/direct', server.url + '/pipe'], async (direct, pipe) => {
      await settled(direct);
      await settled(pipe);
      const found = [[], []];
      for (let i = 0; i < 2; i++) { // by turns, each with the machine to itself as far as there is such a thing
        for (const [k, page] of [direct, pipe].entries()) {
          const { distinct, bad, ages } = await page.evaluate(() => window.__watch(2000));
          check(bad === 0, `${bad} frames with a wrong check value`);
          check(distinct >= fps / 2, `${distinct} different stamps in 2 s, expected ${2 * fps}`);
          found[k].push(...ages);
        }
      }
      const added = q => quantile(found[1], q) - quantile(found[0], q);
      note(`glass to glass, test: ${spread(found[0])}`);
      note(`glass to glass, standard input: ${spread(found[1])}`);
      note(`standard input adds: median ${added(0.5)} p95 ${added(0.95)} ms; a frame lasts ${Math.round(1000 / fps)} ms`);
      const { drops } = await server.api();
      note(`drops: ${JSON.stringify(drops)}`);
      check(added(0.5) < 1000 / fps, `standard input adds ${added(0.5)} ms: a picture waits for the next one`);
    }));
});

test('ffmpeg and x264 play through a pipe', async () => {
  try {
    if (!/ libx264 /.test(execFileSync('ffmpeg', ['-v', 'error', '-encoders'], { stdio: 'pipe' }).toString()))
      throw new Skip('ffmpeg has no libx264');
  } catch (e) {
    throw e.code === 'ENOENT' ? new Skip('ffmpeg is needed') : e;
  }
  const args = ['-v', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-c:v', 'libx264', '-tune',
    'zerolatency', '-bf', '0', '-g', '60', '-pix_fmt', 'yuv420p', '-f', 'h264', '-'];
  await piped('ffmpeg', args, ['-'], server => withPages([server.url + '/cam'], async page => {
    await settled(page);
    const first = await inbound(page), began = Date.now();
    let last = first.framesDecoded, grew = began, gap = 0;
    const now = await until(() => inbound(page), s => {
      const at = Date.now();
      if (s.framesDecoded > last) {
        gap = Math.max(gap, at - grew);
        [last, grew] = [s.framesDecoded, at];
      }
      return at - began > 5000;
    }, 20000, 'watching');
    gap = Math.max(gap, Date.now() - grew);
    const frames = now.framesDecoded - first.framesDecoded, freezes = now.freezeCount - first.freezeCount;
    const state = await server.api(), [stream] = state.streams;
    note(`${frames} frames of ${now.frameWidth}x${now.frameHeight} in 5 s, longest gap ${gap} ms, freezes ${freezes}, ` +
      `drops ${JSON.stringify(state.drops)}`);
    check(now.frameWidth === 640 && now.frameHeight === 360, `the size is ${now.frameWidth}x${now.frameHeight}`);
    check(frames >= 120, `${frames} frames in 5 s, expected 150`);
    check(gap < 1500, `no new frame for ${gap} ms`);
    check(stream.state === 'live' && stream.reason === '', JSON.stringify(stream));
  }));
});

needProgram();
browser = await launch();
await runTests(tests, { done: () => browser.close() });
