// examples/own_page.html in Chromium, served by a static server of another origin: it plays with --cors, and says in
// words why it cannot.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, inbound, launch, open, serve, shut, until } from './harness.mjs';

const html = readFileSync(join(dirname(fileURLToPath(import.meta.url)), '../../examples/own_page.html'));
const web = createServer((q, r) => r.writeHead(200, { 'Content-Type': 'text/html' }).end(html));
await new Promise(up => web.listen(0, '127.0.0.1', up));
const origin = `http://127.0.0.1:${web.address().port}`;
const browser = await launch();
const count = { passed: 0, failed: 0 };

async function test(name, args, body, camera = 'cam') {
  let server, page;
  try {
    server = await serve(args);
    page = await open(browser, `${origin}/?${encodeURIComponent(`${server.url}/${camera}/whep`)}`);
    await body(page, server);
    count.passed++;
    console.log(`ok - ${name}`);
  } catch (e) {
    count.failed++;
    console.log(`not ok - ${name}: ${String(e.message).split('\n').join(' | ')}`);
  } finally {
    if (page) await shut(page).catch(() => {});
    if (server) await server.stop();
  }
}

const says = (page, pattern) => until(() => page.textContent('p'), words => pattern.test(words), 20000, 'the page says');

await test('own page: plays with --cors, and hangs up when it is left', ['--cors', origin, 'test:640x360'], async (page, server) => {
  await says(page, /^connected$/);
  await until(() => inbound(page), s => s.framesDecoded >= 30, 20000, 'frames decoded');
  check(await page.evaluate(() => document.querySelector('video').videoWidth) === 640, 'another size');
  check(await server.viewers() === 1, 'one viewer was expected');
  await page.goto('about:blank');
  await until(server.viewers, n => n === 0, 20000, 'viewers');
});
await test("own page: the server's sentence for a camera that does not exist", ['--cors', origin, 'test:'],
  page => says(page, /no camera|no stream|not found|There is no/i), 'nobody');
await test('own page: says what to do without --cors', ['test:'], page => says(page, new RegExp(`--cors ${origin}`)));
await test('own page: a password that it does not have', ['--cors', origin, '--user', 'me:secret', 'test:'],
  page => says(page, /password|token|log in|credentials/i));

await browser.close();
web.closeAllConnections();
web.close();
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed ? 1 : 0);
