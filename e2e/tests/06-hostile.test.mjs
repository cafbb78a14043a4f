// Ten thousand connections of rubbish and ten thousand that are cut short, at every port, while a stream plays: every
// frame of it still arrives, and the server counts what it refused.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { Agent, request as askHttp } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { tags } from '../lib/flv.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const EACH = 10_000;
/** Sessions that are opened and abandoned, at each door: ten thousand in all, or more by the environment. */
const ABANDONED = Number(process.env.STENTOR_ABANDONED ?? 834);
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

const offers = Object.fromEntries(
  await Promise.all(
    ['play', 'publish'].map(async (name) => [
      name,
      await readFile(new URL(`../../crates/rtc/tests/data/chromium-${name}.sdp`, import.meta.url), 'utf8'),
    ]),
  ),
);

/** Who comes at a limit of the server is turned away in words; that is as good an end as being let go. */
let turnedAway = 0;
const isFull = (text) => {
  const full = /at its limit of \d+/.test(text);
  turnedAway += Number(full);
  return full;
};

/** One request, answered with this status; its answer is read to the end or left unread, and never followed up. */
function ask(path, { body, type, leave = false, expect = 200, headers = {} }) {
  const whole = { ...headers, ...(type && { 'content-type': type }) };
  return new Promise((resolve, reject) => {
    const options = { method: body === undefined ? 'GET' : 'POST', headers: whole, agent };
    const sent = askHttp(`${server.http}${path}`, options, (response) => {
      let text = '';
      if (leave) {
        // The first bytes are there; the rest is never asked for.
        response.once('data', () => {
          response.destroy();
          resolve();
        });
        return;
      }
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => (isFull(text) || response.statusCode === expect && !/"code":[1-9](?!00)/.test(text) ? resolve(text) : reject(new Error(`${path}: ${response.statusCode} ${text}`))));
    });
    sent.on('upgrade', (_, socket) => {
      socket.once('data', () => {
        socket.destroy();
        resolve();
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
const json = (value) => JSON.stringify(value);
const artc = (name, more) => json({ version: 2, ...more, jsep: { type: 'offer', sdp: name } });
const abandoned = {
  WHIP: (at) => ask(`/whip/live/a${at}`, { body: offers.publish, type: 'application/sdp', expect: 201 }),
  WHEP: () => ask('/whep/live/demo', { body: offers.play, type: 'application/sdp', expect: 201 }),
  'trtc push': (at) => ask(`/v1/push/b${at}`, { body: offers.publish, type: 'application/sdp', expect: 201 }),
  'trtc play': () => ask('/v1/play/demo', { body: offers.play, type: 'application/sdp', expect: 201 }),
  'artc push': (at) => ask(`/live/c${at}`, { body: artc(offers.publish, { push_stream: `artc://h/live/c${at}` }) }),
  'artc play': () => ask('/live/demo', { body: artc(offers.play, { pull_streams: [{ url: 'artc://h/live/demo' }] }) }),
  'SRS publish': (at) => ask('/rtc/v1/publish/', { body: json({ sdp: offers.publish, streamurl: `webrtc://h/live/d${at}` }) }),
  'SRS play': () => ask('/rtc/v1/play/', { body: json({ sdp: offers.play, streamurl: 'webrtc://h/live/demo' }) }),
  FLV: () => ask('/live/demo.flv', { leave: true }),
  'WS-FLV': () =>
    ask('/live/demo.flv', {
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' },
    }),
  HLS: () => ask('/live/demo.m3u8', {}),
  RTMP: () => poke(Number(new URL(server.rtmp).port), rtmpSession),
};

/** What has to be again as it was: streams, legs, and viewers at every door. */
async function held() {
  const lines = (await counters()).split('\n').filter((line) => /^stentor_(streams |viewers\{|media_legs\{|media_tracks)/.test(line));
  return lines.sort().join('\n');
}

test(`${ABANDONED} sessions opened and abandoned at each door are let go`, { timeout: 900_000 }, async (t) => {
  const before = await until('nothing is left of the tests before', async () => {
    const now = await held();
    return /door="flv"\} 0/.test(now) && /legs\{\S+ 0/.test(now) && now;
  }, { timeoutMs: 60_000 });
  const steps = await watchDuring(async () => {
    for (const [door, open] of Object.entries(abandoned)) {
      const began = performance.now();
      await inParallel(ABANDONED, open);
      t.diagnostic(`${door}: ${Math.round(performance.now() - began)} ms, ${turnedAway} turned away so far`);
      const { status } = await fetch(`${server.http}/healthz`);
      assert.equal(status, 200, door);
      // A server holds so many WebRTC sessions and no more; the next door's are let in when these have gone.
      if (ABANDONED > 1_000) await until(`${door} is let go`, async () => /legs\{\S+ 0/.test(await held()), { timeoutMs: 120_000 });
    }
  });
  assertUndisturbed(steps);
  // The limits are above what this test opens where nobody asks for more of it.
  if (ABANDONED <= 2_500) assert.equal(turnedAway, 0);
  const over = performance.now();
  let now;
  try {
    await until('all is as before', async () => (now = await held()) === before, { timeoutMs: 90_000 });
  } catch {
    assert.equal(now, before);
  }
  t.diagnostic(`all is as before ${Math.round(performance.now() - over)} ms after the last`);
  assert.match(await counters(), /stentor_webrtc_ended_total\{action="play",reason="connection-over"\} \d{3,}/);
});

test('what was refused is counted, and nothing is left open', async () => {
  const text = await counters();
  assert.match(text, /stentor_rtmp_closed_total\{reason="[a-z-]+"\} \d{3,}/);
  assert.match(text, /stentor_http_closed_total\{reason="malformed"\} \d{3,}/);
  assert.match(text, /stentor_media_dropped_total\{shard="\d+",reason="unknown-address"\} \d{3,}/);
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  assert.deepEqual(streams.map((entry) => entry.stream), ['demo'], 'only the demo is live');
});
