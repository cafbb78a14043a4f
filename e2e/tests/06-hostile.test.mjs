// Ten thousand connections of rubbish and ten thousand that are cut short, at every port, while a stream plays: every
// frame of it still arrives, and the server counts what it refused.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { tags } from '../lib/flv.mjs';
import { startServer } from '../lib/server.mjs';

const EACH = 10_000;
const AT_ONCE = 100;

let server;

before(async () => {
  server = await startServer();
});

after(() => server?.stop());

/** Bytes that are the same in every run: a hash chain. */
function noise(seed, length) {
  const parts = [];
  for (let at = 0; at * 32 < length; at += 1) parts.push(createHash('sha256').update(`${seed}/${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** Connects, writes, and closes after the peer's answer or its close, or at once. */
function poke(port, bytes) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const over = () => {
      socket.destroy();
      resolve();
    };
    socket.on('error', over);
    socket.on('close', resolve);
    socket.on('connect', () => socket.end(bytes));
    socket.setTimeout(5_000, over);
    socket.resume();
  });
}

async function inParallel(count, job) {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const number = next;
      next += 1;
      await job(number);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Watches the demo over FLV while `attack` runs; gives the steps between pictures in milliseconds. */
async function watchDuring(attack) {
  const controller = new AbortController();
  const times = [];
  const watching = (async () => {
    for await (const tag of tags(server.demo.flv, { signal: controller.signal })) {
      if (tag.kind === 'video' && !tag.header) times.push(tag.time);
    }
  })().catch((error) => {
    if (!controller.signal.aborted) throw error;
  });
  await attack();
  // Some pictures more, so that what the attack held up is seen.
  const enough = times.length + 30;
  while (times.length < enough) await Promise.race([watching.then(() => assert.fail('the stream ended')), new Promise((resolve) => setTimeout(resolve, 50))]);
  controller.abort();
  await watching;
  return times.slice(1).map((time, at) => time - times[at]);
}

function assertUndisturbed(steps) {
  const worst = Math.max(...steps);
  assert.ok(steps.length >= 29 && worst <= 40, `${steps.length} pictures, the longest step ${worst} ms: none may be missing`);
}

async function counters() {
  return (await fetch(`${server.http}/metrics`)).text();
}

const rtmpSession = Buffer.concat([Buffer.from([3]), noise('c1', 1536), noise('c2', 1536), Buffer.from('0300000000001114000000000200076f6e6e656374', 'hex')]);
const request = Buffer.from('POST /whip/live/x HTTP/1.1\r\nhost: a\r\ncontent-type: application/sdp\r\ncontent-length: 40\r\n\r\nv=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n');

for (const [name, port, whole] of [
  ['RTMP', () => new URL(server.rtmp).port, rtmpSession],
  ['HTTP', () => new URL(server.http).port, request],
  ['media TCP', () => server.media.split(':').pop(), Buffer.concat([Buffer.from([0, 100]), noise('stun', 100)])],
]) {
  test(`${name}: ten thousand random and ten thousand truncated connections`, async () => {
    const steps = await watchDuring(async () => {
      await inParallel(EACH, (number) => poke(Number(port()), noise(`${name}${number}`, 1 + (number % 700))));
      await inParallel(EACH, (number) => poke(Number(port()), whole.subarray(0, number % whole.length)));
    });
    assertUndisturbed(steps);
    assert.equal((await fetch(`${server.http}/healthz`)).status, 200);
  });
}

test('media UDP: random datagrams, truncated STUN and DTLS', async () => {
  const socket = createSocket('udp4');
  const port = Number(server.media.split(':').pop());
  const stun = Buffer.from('000100182112a442000102030405060708090a0b0006000968656c6c6f3a776f7200000080280004deadbeef', 'hex');
  const dtls = Buffer.concat([Buffer.from('16feff0000000000000000008c010000800000000000000080fefd', 'hex'), noise('dtls', 128)]);
  const send = (bytes) => new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', resolve));
  const steps = await watchDuring(async () => {
    await inParallel(EACH, (number) => send(noise(`udp${number}`, 1 + (number % 1200))));
    await inParallel(EACH, (number) => send((number % 2 ? stun : dtls).subarray(0, 1 + (number % (number % 2 ? stun.length : dtls.length)))));
  });
  socket.close();
  assertUndisturbed(steps);
});

test('what was refused is counted, and nothing is left open', async () => {
  const text = await counters();
  assert.match(text, /stentor_rtmp_closed_total\{reason="[a-z-]+"\} \d{3,}/);
  assert.match(text, /stentor_http_closed_total\{reason="malformed"\} \d{3,}/);
  assert.match(text, /stentor_media_dropped_total\{shard="0",reason="unknown-address"\} \d{3,}/);
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  assert.deepEqual(streams.map((entry) => entry.stream), ['demo'], 'only the demo is live');
});
