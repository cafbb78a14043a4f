// Strangers send what they like to the media port, much of it, while two hundred watch: nobody misses a packet, what was
// refused is counted by its reason, and the server's memory stays what it was.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run, start } from '../lib/process.mjs';
import { binary, startServing } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const load = process.env.STENTOR_LOAD ?? path.join(path.dirname(binary), 'stentor-load');
const VIEWERS = 200;
/** Few packets for each viewer and no sound: a debug build on two slow processors has to keep up. A picture that is lost
 * on its way in, because the kernel's buffer is full of the strangers', is asked for again. */
const MEDIA = ['--sound-bytes', '0', '--fps', '5', '--gop', '5', '--bitrate', '60000', '--arrive', '50/s'];
const FLOOD = ['--seconds', '5', '--per-second', '3000'];
/** What the server may take more than before, whatever strangers send. */
const GROWTH_BYTES_MAX = 16 * 1024 * 1024;

describe('a flood from one address', { skip: process.platform !== 'linux' && 'memory is read from /proc' }, () => {
  let server;
  let folder;
  before(async () => {
    server = await startServing('[[application]]\nsdk_app_id = 1\nopen = true\n');
    folder = await mkdtemp(path.join(tmpdir(), 'stentor-flood-'));
  });
  after(async () => {
    await server?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** The sum of a series over all media threads, of one reason where it is given. */
  const counted = async (name, reason) => {
    const text = await (await fetch(`${server.http}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
    const wanted = lines.filter((line) => reason === undefined || line.includes(`reason="${reason}"`));
    return wanted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  const memory = async () => {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
  };

  test('two hundred viewers miss nothing, what was refused is counted, and memory stays', async () => {
    const urls = ['--whip', `${server.http}/whip/live/a`, '--whep', `${server.http}/whep/live/a`];
    const record = path.join(folder, 'record');
    const watching = start(load, [
      ...['packets', '--json', '--viewers', `${VIEWERS}`, '--seconds', '15', '--record', record],
      ...[...urls, ...MEDIA],
    ]);
    const connected = async () => (await counted('stentor_media_legs_connected')) > VIEWERS;
    await Promise.race([
      until('everybody to watch', connected, { timeoutMs: 60_000 }),
      watching.ended.then(() => assert.fail(`nobody watches: ${watching.output.stdout} ${watching.output.stderr}`)),
    ]);
    const before = await memory();
    const flood = async (...args) => JSON.parse((await run(load, ['hostile', server.media, ...FLOOD, ...args])).stdout);
    const [all, replayed] = await Promise.all([flood('--mode', 'all'), flood('--mode', 'replay', '--file', record)]);
    assert.ok(all.sent > 0 && replayed.sent > 0, JSON.stringify([all, replayed]));
    const grown = (await memory()) - before;
    await watching.ended;
    const said = JSON.parse(watching.output.stdout);
    assert.deepEqual(said.faults, []);
    assert.equal(said.packets.missing, 0, JSON.stringify(said.packets));
    assert.ok(said.packets.received > VIEWERS * 15 * 4, `${said.packets.received} packets`);
    assert.ok(grown < GROWTH_BYTES_MAX, `${grown} bytes more than before`);
    for (const reason of ['unknown-user', 'unknown-address']) {
      assert.ok((await counted('stentor_media_dropped_total', reason)) > 0, reason);
    }
    assert.ok((await counted('stentor_socket_received_datagrams_total')) > 0, 'what came to the sockets is counted');
    await until('the sessions to be over', async () => (await counted('stentor_media_legs')) === 0);
  });
});
