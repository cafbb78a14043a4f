// The load tool says what is so: all packets of a server that is well, those that were thrown away, a server that stood
// still, and nothing where it cannot know.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { start } from '../lib/process.mjs';
import { binary, startServing } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const load = process.env.STENTOR_LOAD ?? path.join(path.dirname(binary), 'stentor-load');
const VIEWERS = 5;

describe('load by WebRTC', () => {
  let server;
  before(async () => {
    server = await startServing('[[application]]\nsdk_app_id = 1\nopen = true\n');
  });
  after(() => server?.stop());

  const packets = (stream, ...args) => {
    const urls = ['--whip', `${server.http}/whip/live/${stream}`, '--whep', `${server.http}/whep/live/${stream}`];
    return start(load, ['packets', '--json', '--viewers', `${VIEWERS}`, '--seconds', '3', ...urls, ...args]);
  };
  const figures = async (running) => {
    await running.ended;
    return JSON.parse(running.output.stdout);
  };
  const forwarded = async () => {
    const text = await (await fetch(`${server.http}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith('stentor_media_forwarded_packets_total{'));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };

  test('every packet is counted, and the server counts as many', async () => {
    const said = await figures(packets('whole'));
    assert.deepEqual(said.faults, []);
    assert.equal(said.packets.missing, 0);
    assert.equal(said.packets.viewersWithoutGap, VIEWERS);
    assert.ok(said.packets.received > VIEWERS * 3 * 150, `${said.packets.received} packets`);
    for (const stage of ['answer', 'ice', 'connected', 'firstPacket', 'firstKeyFrame']) {
      assert.equal(said.joinMs[stage].count, VIEWERS, stage);
    }
    await until('the server to have counted', async () => (await forwarded()) >= said.packets.receivedInAll);
    const metrics = await (await fetch(`${server.http}/metrics`)).text();
    assert.match(metrics, /^stentor_sessions\{door="whip",action="play"\} 0$/m, 'all sessions are ended');
  });

  test('what is thrown away is asked for again, and is missing where nobody can repair it', async () => {
    const running = packets('lossy', '--drop-every', '20');
    const said = await figures(running);
    assert.equal(await running.ended, 1, 'a run with missing packets is no good one');
    assert.ok(said.packets.nacked > 0 && said.packets.repaired > 0);
    assert.ok(said.packets.missingAudio > 0, 'sound is not repaired');
    assert.equal(said.good, false);
  });

  test('a viewer that nobody lets in is said', async () => {
    const urls = ['--whip', `${server.http}/whip/live/here`, '--whep', `${server.http}/whep/live/elsewhere`];
    const running = start(load, ['packets', '--json', '--seconds', '1', ...urls]);
    const said = await figures(running);
    assert.equal(said.good, false);
    assert.match(said.faults[0], /404/);
  });

  test('another machine is refused', async () => {
    const running = start(load, ['packets', '--whip', 'http://192.0.2.1/a', '--whep', 'http://192.0.2.1/b']);
    assert.equal(await running.ended, 2);
    assert.match(running.output.stderr, /another machine/);
  });
});
