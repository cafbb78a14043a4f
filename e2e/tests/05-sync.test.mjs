// Sound against picture on every path, by the flash and the beep of the demo clip. The clip's own skew is taken off.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchBrowser, openPage, serveSdk } from '../lib/browser.mjs';
import { quantile } from '../lib/clock.mjs';
import { currentFfmpeg, publish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { pageSource, skewsOf, skewsOfStream } from '../lib/sync.mjs';
import { until } from '../lib/wait.mjs';

const CLIP = fileURLToPath(new URL('../../demo/demo.flv', import.meta.url));
const SECONDS = 10;
const LIMIT_MS = 20;
/** A page sees pictures by the frame and sound by the buffer of its output, and on a busy machine the browser makes its
 * audio buffer longer and lets the picture follow slowly: the figure is printed, and only a gross fault fails. What the
 * server has in its hands, the clocks of its sender reports, is held to 5 ms by a test in virtual time (crates/sfu). */
const PAGE_LIMIT_MS = 300;

let server;
let browser;
let sdk;
let publisher;
let own;

before(async () => {
  server = await startServer();
  [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
  own = quantile(await skewsOf(CLIP), 0.5);
  publisher = publish(
    [...['-re', '-stream_loop', '-1', '-i', CLIP, '-c:v', 'copy', '-c:a', 'libopus', '-ar', '48000', '-ac', '2', '-f', 'whip'], `${server.http}/whip/live/whip`],
    { program: await currentFfmpeg() },
  );
  await until('the WHIP publisher', async () => {
    const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
    return streams.some(({ stream }) => stream === 'whip');
  });
});

after(async () => {
  await publisher?.stop();
  await browser?.close();
  await sdk?.close();
  await server?.stop();
});

const doors = {
  RTMP: (stream) => `${server.rtmp}/live/${stream}`,
  FLV: (stream) => `${server.http}/live/${stream}.flv`,
  HLS: (stream) => `${server.http}/live/${stream}.m3u8`,
};

for (const [source, stream] of [['RTMP', 'demo'], ['WHIP', 'whip']]) {
  for (const [door, url] of Object.entries(doors)) {
    test(`${source} to ${door}`, async () => {
      const skews = (await skewsOfStream(url(stream), SECONDS)).map((skew) => skew - own);
      const [middle, worst] = [quantile(skews, 0.5), Math.max(...skews.map(Math.abs))];
      console.log(`sound after picture, ${source} to ${door}: ${middle.toFixed(1)} ms, at most ${worst.toFixed(1)} ms over ${skews.length} beeps`);
      assert.ok(skews.length >= SECONDS / 2, `${skews.length} beeps and flashes`);
      assert.ok(Math.abs(middle) <= LIMIT_MS, `${middle} ms`);
    });
  }

  test(`${source} to WHEP`, async () => {
    const page = await openPage(browser, sdk.origin);
    const { skews, browser: apart } = await page.evaluate(
      async ({ url, pageSource, count }) => {
        const { measureSkews } = new Function(`${pageSource}; return { measureSkews };`)();
        const video = document.createElement('video');
        document.body.append(video);
        const player = new window.stentor.LivePlayer({ url, video });
        await player.start();
        const skews = await measureSkews(video, count);
        // What the browser itself thinks is being played, by the server's sender reports.
        const playout = {};
        for (const entry of (await window.connections.at(-1).getStats()).values()) {
          if (entry.type === 'inbound-rtp') playout[entry.kind] = entry.estimatedPlayoutTimestamp;
        }
        player.stop();
        return { skews, browser: playout.video - playout.audio };
      },
      { url: `${server.http}/whep/live/${stream}`, pageSource, count: SECONDS },
    );
    await page.close();
    const late = skews.slice(-5).map((skew) => skew - own);
    console.log(`sound after picture, ${source} to WHEP, as a page sees it: ${skews.map((skew) => Math.round(skew - own)).join(' ')} ms; by the browser's own reckoning ${apart} ms`);
    assert.ok(late.length >= 4, `${skews.length} beeps and flashes`);
    assert.ok(Math.abs(quantile(late, 0.5)) <= PAGE_LIMIT_MS, `${late} ms`);
  });
}
