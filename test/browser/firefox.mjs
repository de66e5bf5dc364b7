// Just enough of Marionette, Firefox's own remote control, to open a page and run a script in it.
// Wire: `LENGTH:JSON`, where JSON is [0, id, command, parameters] one way and [1, id, error, result] the other.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { start, tmp } from './harness.mjs';

export async function firefox(path) {
  const profile = mkdtempSync(join(tmp, 'firefox-'));
  writeFileSync(join(profile, 'user.js'), 'user_pref("marionette.port", 0);\n');
  const args = ['--headless', '--no-remote', '--marionette', '--profile', profile];
  // it tells its port on stdout or stderr, depending on the version
  const child = await start('/bin/sh', ['-c', 'exec "$0" "$@" 1>&2', path, ...args], /Listening on port (\d+)/, { deadline: 60000 });
  const socket = connect(Number(child.match[1]), '127.0.0.1');
  const waiting = new Map();
  let bytes = Buffer.alloc(0), id = 0;

  socket.on('data', data => {
    bytes = Buffer.concat([bytes, data]);
    for (;;) {
      const colon = bytes.indexOf(':');
      if (colon < 0) return;
      const end = colon + 1 + Number(bytes.subarray(0, colon));
      if (bytes.length < end) return;
      const message = JSON.parse(bytes.subarray(colon + 1, end));
      bytes = bytes.subarray(end);
      if (Array.isArray(message)) waiting.get(message[1])(message);   // else the greeting
    }
  });
  socket.on('error', () => { /* the command's deadline tells */ });

  const command = (name, parameters = {}) => new Promise((done, refuse) => {
    const text = JSON.stringify([0, ++id, name, parameters]);
    const late = setTimeout(() => refuse(new Error(`Firefox does not answer ${name}`)), 30000);
    waiting.set(id, ([, , error, result]) => {
      clearTimeout(late);
      if (error) refuse(new Error(error.message));
      else done(result);
    });
    socket.write(`${Buffer.byteLength(text)}:${text}`);
  });

  const quit = async () => {
    socket.destroy();
    await child.stop();
  };
  try {
    await command('WebDriver:NewSession');
  } catch (e) {
    await quit();
    throw e;
  }
  return {
    quit,
    goto: url => command('WebDriver:Navigate', { url }),
    run: async script => (await command('WebDriver:ExecuteScript', { script, args: [] })).value,
  };
}
