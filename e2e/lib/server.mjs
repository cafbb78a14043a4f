// A Stentor of the test's own: on ports that the system chose, ended by its own process id.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { start } from './process.mjs';
import { until } from './wait.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ANY_PORT = '127.0.0.1:0';

/** The binary under test: `STENTOR_BIN`, else the one of a debug build. */
export const binary =
  process.env.STENTOR_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'debug', 'stentor');

/**
 * `stentor dev`, ready. Gives what it printed (`http`, `rtmp`, `media`, `sdkAppId`, `secretKey`, `demo`), `stop` and
 * `log`.
 */
export async function startServer({ args = [], env = {} } = {}) {
  const all = ['dev', '--http', ANY_PORT, '--rtmp', ANY_PORT, '--media', ANY_PORT, '--json', ...args];
  const server = start(binary, all, { env });
  const ready = until('the line that says the server is ready', () => server.output.stdout.split('\n', 1)[0].endsWith('}'));
  await Promise.race([ready, endedEarly(server)]);
  const told = JSON.parse(server.output.stdout.split('\n', 1)[0]);
  return { ...told, stop: server.stop, log: () => server.output.stderr, pid: server.child.pid };
}

/** `stentor serve` with this configuration (without addresses, which are chosen here), ready. */
export async function startServing(configuration) {
  const folder = await mkdtemp(path.join(tmpdir(), 'stentor-e2e-'));
  const file = path.join(folder, 'stentor.toml');
  await writeFile(file, configuration);
  const [http, rtmp, media] = await freePorts(3);
  const on = (port) => `127.0.0.1:${port}`;
  const args = ['serve', '--config', file, '--http', on(http), '--rtmp', on(rtmp), '--media', on(media)];
  const url = `http://${on(http)}`;
  const launch = async () => {
    const server = start(binary, args);
    const ready = until('a server that is ready', async () => (await fetch(`${url}/healthz`)).ok);
    await Promise.race([ready, endedEarly(server)]);
    const stop = async (signal) => {
      const code = await server.stop(signal);
      await rm(folder, { recursive: true, force: true });
      return code;
    };
    /** Ends it by a signal and starts it anew, on the same ports. */
    const restart = async (signal) => {
      await server.stop(signal);
      return launch();
    };
    const { pid } = server.child;
    return { http: url, rtmp: `rtmp://${on(rtmp)}`, media: on(media), pid, stop, restart, log: () => server.output.stderr };
  };
  return launch();
}

async function endedEarly(server) {
  const code = await server.ended;
  throw new Error(`the server ended with ${code} before it was ready: ${server.output.stderr}`);
}

/** Ports that were free a moment ago; `serve` cannot be asked which one it got. */
async function freePorts(count) {
  const holders = await Promise.all(
    Array.from({ length: count }, async () => {
      const holder = createServer();
      await new Promise((resolve) => holder.listen(0, '127.0.0.1', resolve));
      return holder;
    }),
  );
  const ports = holders.map((holder) => holder.address().port);
  await Promise.all(holders.map((holder) => new Promise((resolve) => holder.close(resolve))));
  return ports;
}
