// How long a picture takes from where it is drawn to where it is seen, read from a clock in the picture, and how far
// sound is from the picture. The figures are printed; only gross faults fail, since the machine's own pace is in them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { pageSource, quantile } from '../lib/clock.mjs';
import { launchBrowser, openPage, serveSdk } from '../lib/browser.mjs';
import { publishClockByRtmp } from '../lib/rtmp-clock.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const FRAMES = 90;

let server;
let browser;
let viewers;
let sdk;

before(async () => {
  server = await startServer({ args: ['--no-demo'] });
  [browser, viewers, sdk] = await Promise.all([launchBrowser(), launchBrowser(), serveSdk()]);
});

after(async () => {
  await Promise.all([browser?.close(), viewers?.close()]);
  await sdk?.close();
  await server?.stop();
});

/** A page that publishes a canvas with the clock, and a tone that beeps while the canvas flashes. */
async function publishClock(stream) {
  const page = await openPage(browser, sdk.origin);
  await page.evaluate(
    async ({ url, pageSource }) => {
      const { drawClock, dayMillis, WIDTH, HEIGHT } = new Function(`${pageSource}; return { drawClock, dayMillis, WIDTH, HEIGHT };`)();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [WIDTH, HEIGHT];
      document.body.append(canvas);
      const context = canvas.getContext('2d');
      context.fillStyle = '#555';
      context.fillRect(0, 0, WIDTH, HEIGHT);
      setInterval(() => drawClock(context, dayMillis()), 33);
      const audio = new AudioContext();
      const tone = new OscillatorNode(audio, { frequency: 440 });
      const out = audio.createMediaStreamDestination();
      tone.connect(out);
      tone.start();
      const media = new MediaStream([...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]);
      window.pusher = new window.stentor.LivePusher({ url });
      await window.pusher.start(media);
    },
    { url: `${server.http}/whip/live/${stream}`, pageSource },
  );
  await until(`${stream} is live`, async () => {
    const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
    return streams.some((entry) => entry.stream === stream && entry.video);
  });
}

async function measure(name, url) {
  const page = await openPage(viewers, sdk.origin);
  const { delays, unreadable, stats } = await page.evaluate(
    async ({ url, pageSource, count }) => {
      const { measureDelay } = new Function(`${pageSource}; return { measureDelay };`)();
      const video = document.createElement('video');
      video.muted = true;
      document.body.append(video);
      const player = new window.stentor.LivePlayer({ url, video, minCache: 0.2, maxCache: 1 });
      await player.start();
      const early = await measureDelay(video, 5);
      // The player has a second to reach the live edge.
      await measureDelay(video, 30);
      const measured = await measureDelay(video, count);
      const stats = player.stats;
      player.stop();
      return { ...measured, early: early.delays, stats };
    },
    { url, pageSource, count: FRAMES },
  );
  await page.close();
  assert.ok(delays.length >= FRAMES / 2, `${name}: ${delays.length} readable pictures, ${unreadable} unreadable, ${JSON.stringify(stats)}`);
  const [p50, p95] = [quantile(delays, 0.5), quantile(delays, 0.95)];
  console.log(`delay ${name}: p50 ${p50} ms, p95 ${p95} ms over ${delays.length} pictures`);
  return p50;
}

test('WHIP to WHEP and WHIP to FLV', async () => {
  await publishClock('clock');
  assert.ok((await measure('WHIP to WHEP', `${server.http}/whep/live/clock`)) < 1_000);
  assert.ok((await measure('WHIP to FLV', `${server.http}/live/clock.flv`)) < 3_000);
});

test('RTMP to WHEP', async () => {
  const stop = await publishClockByRtmp(server, 'rtmp-clock');
  try {
    assert.ok((await measure('RTMP to WHEP', `${server.http}/whep/live/rtmp-clock`)) < 1_000);
  } finally {
    await stop();
  }
});
