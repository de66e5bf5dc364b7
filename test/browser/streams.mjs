// Every stream of the test data in Chromium: it plays, or the server says why it cannot.
// The data (WCAM_DATA, default beside the project) is not part of the project: without it this is skipped.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, serve, shut } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const data = join(resolve(process.env.WCAM_DATA || join(here, '../../../shared/data')), 'h264');
if (!existsSync(join(data, 'MANIFEST.json'))) {
  console.log('skip - streams: the test data is not here');
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}
const only = process.argv.slice(2);
const files = JSON.parse(readFileSync(join(data, 'MANIFEST.json'))).files
  .filter(f => /\.(h?264|jsv|avc)$/.test(f.file))
  .filter(f => !only.length || only.some(word => f.file.includes(word)));
const SECONDS = 3;
// One picture of megabytes, one of 8,160 slices: repeated 25 times a second they would be streams that nobody has.
const SLOW = /huge_idr|allslice/;

// Joins one stream without the page's patience: frames decoded in the given time, and how far apart.
const WATCH = async ([whep, seconds]) => {
  const pc = new RTCPeerConnection();
  pc.addTransceiver('video', { direction: 'recvonly' });
  const video = document.createElement('video');
  video.muted = true;
  pc.ontrack = e => { video.srcObject = new MediaStream([e.track]); video.play().catch(() => {}); };
  document.body.append(video);
  await pc.setLocalDescription();
  const r = await fetch(whep, {
    method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp,
  });
  if (r.status !== 201) return { refused: (await r.json()).detail };
  await pc.setRemoteDescription({ type: 'answer', sdp: await r.text() });
  await new Promise(done => setTimeout(done, seconds * 1000)); // a measurement over time, not a wait for an event
  let found = {};
  for (const s of (await pc.getStats()).values())
    if (s.type === 'inbound-rtp') found = { decoded: s.framesDecoded, received: s.framesReceived, pli: s.pliCount };
  pc.close();
  video.remove();
  return found;
};

let passed = 0, failed = 0;
const browser = await launch();
const parts = [files.filter(f => SLOW.test(f.file))], fast = files.filter(f => !SLOW.test(f.file));
for (let at = 0; at < fast.length; at += 24) parts.push(fast.slice(at, at + 24));
for (const part of parts.filter(p => p.length)) {
  const usable = [];
  for (const f of part) {
    try { // a file that holds no stream at all must be refused at the start, in words
      const alone = await serve([join(data, f.file)]);
      await alone.stop();
      usable.push(f);
    } catch (e) {
      const said = String(e.message).includes('webrtc_cam: ');
      console.log(`${said ? 'ok' : 'not ok'} - ${f.file}: refused at the start`);
      said ? passed++ : failed++;
    }
  }
  const slow = SLOW.test(part[0].file) ? ['--fps', '2'] : [];
  const server = await serve([...slow, ...usable.map((f, i) => `s${i}=${join(data, f.file)}`)]);
  const page = await (await browser.newContext()).newPage();
  await page.goto(server.url + '/healthz');
  for (let k = 0; k < usable.length; k += 6) {
    const six = usable.slice(k, k + 6);
    const seen = await Promise.all(six.map((f, i) => page.evaluate(WATCH, [`/s${k + i}/whep`, SECONDS])));
    const { streams } = await server.api();
    six.forEach((f, i) => {
      const s = streams.find(x => x.name === `s${k + i}`), w = seen[i];
      const plays = w.decoded >= 2 || (w.decoded >= 1 && f.decoded.frames <= 1);
      const ok = plays || s.reason;
      ok ? passed++ : failed++;
      console.log(`${ok ? 'ok' : 'not ok'} - ${f.file}: ` + (plays ? `${w.decoded} of ${w.received} frames` : `decoded ${w.decoded} of ${w.received}`) +
        `, ${f.decoded.frames} in the file` + (s.reason ? `; ${s.reason}` : '') + (w.refused ? `; ${w.refused}` : ''));
    });
  }
  await page.context().close();
  await server.stop();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
