// WebRTC viewers of an RTMP stream start at once, from the cached key frame, and reach the live edge; streams with
// B-frames are refused in words, or go without those that nothing refers to.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, play, serveSdk } from '../lib/browser.mjs';
import { pageSource, quantile } from '../lib/clock.mjs';
import { probe, publish } from '../lib/ffmpeg.mjs';
import { publishClockByRtmp } from '../lib/rtmp-clock.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

let server;
let browser;
let sdk;

before(async () => {
  server = await startServer({ args: ['--no-demo'] });
  [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
});

after(async () => {
  await browser?.close();
  await sdk?.close();
  await server?.stop();
});

const metric = async (name) => {
  const text = await (await fetch(`${server.http}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
};

test('the picture is there before the next key frame, and soon it is the live one', async () => {
  const stop = await publishClockByRtmp(server, 'gop', { gop: 300 });
  try {
    const page = await openPage(browser, sdk.origin);
    const seen = await page.evaluate(
      async ({ url, pageSource }) => {
        const { measureDelay } = new Function(`${pageSource}; return { measureDelay };`)();
        const joins = [];
        for (let join = 0; join < 4; join += 1) {
          const video = document.createElement('video');
          video.muted = true;
          document.body.append(video);
          const player = new window.stentor.LivePlayer({ url, video });
          const began = performance.now();
          await player.start();
          const firstMs = performance.now() - began;
          const { delays } = await measureDelay(video, 60);
          joins.push({ firstMs, early: delays[0], late: delays.slice(40), freezes: player.stats?.freezeCount ?? 0 });
          player.stop();
          video.remove();
        }
        return joins;
      },
      { url: `${server.http}/whep/live/gop`, pageSource },
    );
    for (const { firstMs, early, late, freezes } of seen) {
      console.log(`start of WHEP: first picture after ${Math.round(firstMs)} ms, ${early} ms old; a second later ${quantile(late, 0.5)} ms old; ${freezes} freezes`);
      assert.ok(late.length > 10 && quantile(late, 0.5) < 1_000, `two seconds on, pictures are live: ${late}`);
    }
    // Key frames are ten seconds apart, so waiting for one would show in the slowest of four.
    assert.ok(Math.min(...seen.map(({ firstMs }) => firstMs)) < 3_000);
    assert.ok((await metric('stentor_media_starts_from_ring_total')) >= 1, 'the cached key frame was used');
  } finally {
    await stop();
  }
});

/** ffmpeg publishes a test picture with these encoder options. */
async function withEncoder(stream, options, run) {
  const publisher = publish([
    ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '30', ...options, '-c:a', 'aac'],
    ...['-f', 'flv', `${server.rtmp}/live/${stream}`],
  ]);
  try {
    const entry = await until(`${stream} with B-frames`, async () => {
      const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
      const found = streams.find((one) => one.stream === stream);
      return found?.video && found.video.bFrames !== 'none' && found;
    });
    await run(entry);
  } finally {
    await publisher.stop();
  }
}

test('B-frames that others refer to: WebRTC is refused in words, FLV plays', async () => {
  await withEncoder('b-pyramid', ['-bf', '3', '-x264-params', 'b-pyramid=normal'], async (entry) => {
    assert.equal(entry.video.bFrames, 'referenced');
    assert.match(entry.warnings[0].message, /B-frames/);
    const page = await openPage(browser, sdk.origin);
    const refused = await play(page, `${server.http}/whep/live/b-pyramid`).then(() => undefined, (error) => error.message);
    assert.match(refused ?? '', /Max B-frames/);
    const { video } = await probe(`${server.http}/live/b-pyramid.flv`, { seconds: 2 });
    assert.ok(video.packets.some((packet) => packet.pts_time !== packet.dts_time), 'the B-frames are there');
  });
});

test('B-frames that nothing refers to are left out for WebRTC', async () => {
  await withEncoder('b-plain', ['-bf', '2', '-x264-params', 'b-pyramid=none'], async (entry) => {
    assert.equal(entry.video.bFrames, 'droppable');
    const seen = await play(await openPage(browser, sdk.origin), `${server.http}/whep/live/b-plain`, { seconds: 4, muted: false });
    assert.ok(seen.stats.framesDecoded > 20, JSON.stringify(seen.stats));
    assert.equal(seen.stats.freezeCount, 0);
    assert.ok(seen.audio.energy > 0, 'sound at 44.1 kHz comes through');
  });
});
