// ffmpeg's own WHIP muxer publishes, with either part in the DTLS handshake.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { currentFfmpeg, probe, publish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

let server;
let program;

before(async () => {
  [server, program] = await Promise.all([startServer({ args: ['--no-demo'] }), currentFfmpeg()]);
});

after(() => server?.stop());

const SOURCE = [
  ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-pix_fmt', 'yuv420p', '-g', '30'],
  ...['-c:a', 'libopus', '-ar', '48000', '-ac', '2', '-f', 'whip'],
];

for (const [role, flags] of Object.entries({ passive: [], active: ['-whip_flags', 'dtls_active'] })) {
  test(`setup:${role}`, async () => {
    const stream = `whip-${role}`;
    const publisher = publish([...SOURCE, ...flags, `${server.http}/whip/live/${stream}`], { program });
    try {
      const ended = publisher.ended.then((code) => {
        throw new Error(`ffmpeg ended with ${code}: ${publisher.output.stderr}\n${server.log()}`);
      });
      ended.catch(() => {});
      const listed = until(`${stream} is live`, async () => {
        const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
        return streams.some((entry) => entry.stream === stream);
      });
      await Promise.race([listed, ended]);
      const { video, audio } = await Promise.race([probe(`${server.http}/live/${stream}.flv`, { seconds: 3, timeoutMs: 40_000 }), ended]);
      assert.deepEqual([video.stream.codec_name, video.stream.width, video.stream.height], ['h264', 640, 360]);
      assert.equal(audio.stream.codec_name, 'aac');
      assert.ok(video.packets.length > 50, `${video.packets.length} pictures`);
    } finally {
      await publisher.stop();
    }
  });
}
