// kill -9 and a new start: players and publishers that reconnect come back by themselves.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, serveSdk } from '../lib/browser.mjs';
import { publish } from '../lib/ffmpeg.mjs';
import { startServing } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const CONFIGURATION = `
[live]
takeover = true
[[application]]
sdk_app_id = 1400000000
keys = ["5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"]
open = true
`;

let server;
let browser;
let sdk;
let publishing = true;
let publisher;

/** A publisher as OBS is one: it begins again when its connection is lost. */
async function publishAgainAndAgain(rtmp) {
  while (publishing) {
    publisher = publish([
      ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '30', '-c:a', 'aac'],
      ...['-f', 'flv', `${rtmp}/live/show`],
    ]);
    await publisher.ended;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

before(async () => {
  server = await startServing(CONFIGURATION);
  [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
  publishAgainAndAgain(server.rtmp);
  await until('the stream', async () => (await (await fetch(`${server.http}/v1/streams`)).json()).streams.length > 0);
});

after(async () => {
  publishing = false;
  await publisher?.stop();
  await browser?.close();
  await sdk?.close();
  await server?.stop();
});

test('<live-player> and the publisher come back after kill -9', async () => {
  const page = await openPage(browser, sdk.origin);
  await page.evaluate(async (http) => {
    await import('/element.js');
    for (const [id, src] of [['webrtc', `${http}/whep/live/show`], ['flv', `${http}/live/show.flv`]]) {
      const player = document.createElement('live-player');
      player.id = id;
      player.setAttribute('muted', '');
      player.setAttribute('autoplay', '');
      player.setAttribute('src', src);
      document.body.append(player);
    }
  }, server.http);
  const time = (id) =>
    page.evaluate((id) => {
      const player = document.getElementById(id);
      return (player.shadowRoot ?? player).querySelector('video')?.currentTime ?? 0;
    }, id);
  const moves = async (id) => {
    const before = await time(id);
    await until(`${id} plays`, async () => (await time(id)) !== before && (await time(id)) > 0, { timeoutMs: 40_000 });
    const first = await time(id);
    await until(`${id} goes on`, async () => (await time(id)) > first + 0.5, { timeoutMs: 40_000 });
  };
  await Promise.all([moves('webrtc'), moves('flv')]);
  server = await server.restart('SIGKILL');
  await until('the publisher is back', async () => (await (await fetch(`${server.http}/v1/streams`)).json()).streams.length > 0, { timeoutMs: 30_000 });
  await Promise.all([moves('webrtc'), moves('flv')]);
  assert.deepEqual(page.errors, []);
});
