// RTMPS and RTMP on one port: two generations of ffmpeg publish and play over TLS.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { currentFfmpeg, decode, probe, publish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const TEST_PICTURE = [
  ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '30', '-c:a', 'aac', '-f', 'flv'],
];

let server;
let current;
const publishers = [];

async function publishTo(url, program) {
  const stream = new URL(url.replace(/^rtmps?/, 'http')).pathname.split('/').pop();
  // The certificate is self-made, and ffmpeg verifies since version 8.
  const trusting = program === current ? ['-tls_verify', '0'] : [];
  const publisher = publish([...TEST_PICTURE, ...trusting, url], { program });
  publishers.push(publisher);
  const ended = publisher.ended.then((code) => {
    throw new Error(`ffmpeg ended with ${code}: ${publisher.output.stderr}\n${server.log()}`);
  });
  ended.catch(() => {});
  const listed = async () => (await (await fetch(`${server.http}/v1/streams`)).json()).streams.find((entry) => entry.stream === stream)?.video;
  await Promise.race([until(`${stream} in /v1/streams`, listed), ended]);
}

before(async () => {
  [server, current] = await Promise.all([startServer({ args: ['--no-demo'] }), currentFfmpeg()]);
  await publishTo(`${server.rtmps}/live/secure`, current);
  await publishTo(`${server.rtmp}/live/plain`, 'ffmpeg');
});

after(async () => {
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  await server?.stop();
});

test('one port speaks both', () => {
  assert.match(server.rtmps, /^rtmps:\/\//);
  assert.equal(new URL(server.rtmps).port, new URL(server.rtmp).port);
});

for (const [stream, from] of [['secure', 'RTMPS'], ['plain', 'RTMP']]) {
  for (const door of ['rtmps', 'rtmp']) {
    test(`what came by ${from} is read over ${door}`, async () => {
      const { video, audio } = await probe(`${server[door]}/live/${stream}`, { seconds: 2 });
      assert.equal(video.stream.codec_name, 'h264');
      assert.deepEqual([video.stream.width, video.stream.height], [640, 360]);
      assert.equal(audio.stream.codec_name, 'aac');
      assert.ok(video.packets.length >= 40, `${video.packets.length} pictures in 2 s`);
      assert.equal(await decode(`${server[door]}/live/${stream}`), '');
    });
  }
}

test('a name that nobody publishes is refused over TLS as well, in words', async () => {
  await assert.rejects(probe(`${server.rtmps}/live/nobody`, { timeoutMs: 10_000 }), /ended with/);
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  assert.match(metrics, /stentor_rtmp_closed_total\{reason="refused"\} 1/);
});
