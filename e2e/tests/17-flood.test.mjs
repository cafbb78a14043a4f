// Strangers send what they like to the media port while two hundred watch: whatever the server got, everybody gets; what
// was refused is counted by its reason; the server's memory stays what it was; and nobody is thrown out.
//
// What is missing is told apart by where it was lost: at the load tool's own sockets (`own.dropped`), at the server's, whose
// buffers the strangers fill (the kernel counts both), or by the server, which is what must not be.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { run, start } from '../lib/process.mjs';
import { binary, startServing } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const load = process.env.STENTOR_LOAD ?? path.join(path.dirname(binary), 'stentor-load');
const offer = fileURLToPath(new URL('../../crates/rtc/tests/data/chromium-play.sdp', import.meta.url));
const VIEWERS = 200;
/** Few packets for each viewer and no sound, since a debug build on two busy processors has to keep up; and key frames far
 * apart, so that a viewer that was not served for seconds need not be moved on to the next. */
const MEDIA = ['--sound-bytes', '0', '--fps', '5', '--gop', '50', '--bitrate', '30000'];
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
  /** Datagrams that the kernel dropped at the server's media sockets, since nobody had read those before them. */
  const unread = async () => {
    const port = Number(server.media.split(':').at(-1)).toString(16).toUpperCase().padStart(4, '0');
    const lines = (await readFile('/proc/net/udp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
    const own = lines.filter((fields) => fields[1]?.endsWith(`:${port}`));
    return own.reduce((sum, fields) => sum + Number(fields.at(-1)), 0);
  };
  const flood = async (...args) => JSON.parse((await run(load, ['hostile', server.media, ...args])).stdout);

  /** Lets so many watch, does something once all are connected, and gives what was seen and counted. */
  const watch = async (stream, viewers, args, meanwhile) => {
    const urls = ['--whip', `${server.http}/whip/live/${stream}`, '--whep', `${server.http}/whep/live/${stream}`];
    const watching = start(load, ['packets', '--json', '--viewers', `${viewers}`, ...urls, ...MEDIA, ...args]);
    const connected = async () => (await counted('stentor_media_legs_connected')) > viewers;
    await Promise.race([
      until('everybody to watch', connected, { timeoutMs: 60_000 }),
      watching.ended.then(() => assert.fail(`nobody watches: ${watching.output.stdout} ${watching.output.stderr}`)),
    ]);
    const [memoryBefore, unreadBefore, jumpsBefore] = [await memory(), await unread(), await counted('stentor_media_jumps_total')];
    const floods = await meanwhile();
    const grown = (await memory()) - memoryBefore;
    await watching.ended;
    assert.ok(watching.output.stdout.startsWith('{'), watching.output.stderr);
    const said = JSON.parse(watching.output.stdout);
    const figures = {
      floods: floods.map(({ mode, sent, perSecond }) => ({ mode, sent, perSecond: Math.round(perSecond) })),
      grown,
      unread: (await unread()) - unreadBefore,
      jumps: (await counted('stentor_media_jumps_total')) - jumpsBefore,
      repeatedFlights: await counted('stentor_media_repeated_flights_total'),
      packets: said.packets,
      ownDropped: said.own.dropped,
      refused: said.refused,
      starved: said.refused.some((reason) => /waited for a processor for ([4-9]\d|100) %/.test(reason)),
    };
    console.log(JSON.stringify(figures));
    assert.deepEqual(said.faults, [], 'nobody is thrown out');
    assert.ok(floods.every(({ sent }) => sent > 0));
    assert.ok(grown < GROWTH_BYTES_MAX, `${grown} bytes more than before`);
    await until('the sessions to be over', async () => (await counted('stentor_media_legs_connected')) === 0);
    return figures;
  };

  test('two hundred viewers miss nothing of what the server got, and what was refused is counted', async () => {
    // Somebody who is let in and does not come: what is forged is of a real user.
    const answer = await fetch(`${server.http}/whep/live/all`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: await readFile(offer, 'utf8'),
    }).then((response) => response.text());
    const ufrag = /^a=ice-ufrag:(\S+)/m.exec(answer)?.[1];
    const record = path.join(folder, 'record');
    const rate = ['--seconds', '6', '--per-second', '1000'];
    const figures = await watch('all', VIEWERS, ['--seconds', '8', '--arrive', '50/s', '--record', record], () =>
      Promise.all([
        flood('--mode', 'all', '--ufrag', ufrag ?? 'nobody', ...rate),
        flood('--mode', 'replay', '--file', record, ...rate),
      ]),
    );
    const { packets, ownDropped, jumps, unread: lost } = figures;
    assert.ok(packets.received > 0 && packets.receivedInAll >= VIEWERS, `${packets.received} packets`);
    for (const reason of ['unknown-user', 'unknown-address']) {
      assert.ok((await counted('stentor_media_dropped_total', reason)) > 0, reason);
    }
    assert.ok((await counted('stentor_socket_received_datagrams_total')) > 0, 'what came to the sockets is counted');
    if (figures.starved) {
      console.log('the load tool had no processor for most of the time: who lost what is not judged');
      return;
    }
    // Where the publisher's packets lay in a buffer that strangers had filled, the server never had them: it may move its
    // viewers on to the next key frame then, and only then.
    assert.ok(jumps === 0 || lost > 0, `${jumps} viewers were moved on, and nothing was lost on its way in`);
    // One that is lost on its way in is one packet less for everybody at most.
    assert.ok(packets.missing <= ownDropped + lost * VIEWERS, `${packets.missing} are missing, of which ${ownDropped} were lost in the tool and ${lost} on the way in`);
  });

  test('as much rubbish as goes lets nobody fall out, and costs packets only where the kernel dropped them', async () => {
    const figures = await watch('rate', 20, ['--seconds', '6', '--arrive', '20/s'], async () => [
      await flood('--mode', 'garbage', '--seconds', '3'),
    ]);
    const { packets, ownDropped, unread: lost } = figures;
    assert.ok(packets.missing <= ownDropped + lost * 20, `${packets.missing} are missing, and ${lost} were lost on the way in`);
    assert.ok(packets.received > 0);
  });
});
