// Chromium publishes its picture in three sizes, and another gets the one that fits its line: a smaller one while the line
// is narrow, and the biggest again afterwards.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, serveSdk } from '../lib/browser.mjs';
import { narrowLine } from '../lib/narrow.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const WIDTH = 960;

let server;
let browser;
let viewers;
let sdk;
let line;
let publisher;
let viewer;

before(async () => {
  server = await startServer({ args: ['--no-demo'] });
  [browser, viewers, sdk, line] = await Promise.all([launchBrowser(), launchBrowser(), serveSdk(), narrowLine(server.media)]);
  [publisher, viewer] = await Promise.all([openPage(browser, sdk.origin), openPage(viewers, sdk.origin)]);
});

after(async () => {
  await Promise.all([browser?.close(), viewers?.close()]);
  await sdk?.close();
  line?.close();
  await server?.stop();
});

/** What the sizes of the picture have been sent so far, by name. */
function sent() {
  return publisher.evaluate(async () => {
    const layers = {};
    for (const connection of window.connections) {
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== 'outbound-rtp' || entry.kind !== 'video') continue;
        layers[entry.rid ?? ''] = { frames: entry.framesSent, width: entry.frameWidth, bytes: entry.bytesSent };
      }
    }
    return layers;
  });
}

/** What the viewer has decoded so far. */
function seen() {
  return viewer.evaluate(async () => {
    for (const entry of (await window.watching.getStats()).values()) {
      if (entry.type !== 'inbound-rtp' || entry.kind !== 'video') continue;
      const { framesDecoded: frames, frameWidth: width, freezeCount: freezes, keyFramesDecoded: keyFrames } = entry;
      return { frames, width, freezes, keyFrames };
    }
    return { frames: 0, width: 0 };
  });
}

test('Chromium publishes three sizes', async () => {
  await publisher.evaluate(
    async ({ url, width }) => {
      window.pusher = new window.stentor.LivePusher({ url, simulcast: true, maxBitrate: 1800 });
      await window.pusher.start({ width, height: (width * 9) / 16, frameRate: 20 });
    },
    { url: `${server.http}/whip/live/sizes`, width: WIDTH },
  );
  const all = await until(
    'pictures of three sizes',
    async () => {
      const layers = await sent();
      return ['l', 'm', 'h'].every((name) => layers[name]?.frames > 15) && layers;
    },
    { timeoutMs: 30_000 },
  );
  assert.deepEqual([all.l.width, all.m.width, all.h.width], [WIDTH / 4, WIDTH / 2, WIDTH]);
});

test('a viewer with a wide line gets the biggest', async () => {
  await viewer.evaluate(
    async ({ url, port }) => {
      const connection = new RTCPeerConnection();
      window.watching = connection;
      connection.addTransceiver('audio', { direction: 'recvonly' });
      connection.addTransceiver('video', { direction: 'recvonly' });
      const stream = new MediaStream();
      connection.addEventListener('track', ({ track }) => stream.addTrack(track));
      const video = document.createElement('video');
      video.muted = true;
      video.autoplay = true;
      video.srcObject = stream;
      document.body.append(video);
      await connection.setLocalDescription();
      const body = connection.localDescription.sdp;
      const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body });
      // By the narrow line and no other way.
      const lines = (await answer.text()).split('\r\n').filter((line) => !/^a=candidate:.* tcp /.test(line));
      const sdp = lines.map((line) => line.replace(/^(a=candidate:\S+ 1 udp \d+ \S+) \d+ /, `$1 ${port} `)).join('\r\n');
      await connection.setRemoteDescription({ type: 'answer', sdp });
    },
    { url: `${server.http}/whep/live/sizes`, port: line.port },
  );
  await until('the biggest picture', async () => (await seen()).width === WIDTH, { timeoutMs: 90_000 });
});

test('on a narrow line it gets a smaller one, and pictures go on', async () => {
  const before = await seen();
  // Half of what the biggest takes.
  const [first, at] = [await sent(), performance.now()];
  await until('thirty pictures', async () => (await seen()).frames > before.frames + 30, { timeoutMs: 30_000 });
  const bps = ((await sent()).h.bytes - first.h.bytes) * 8000 / (performance.now() - at);
  console.log(`# the biggest takes ${Math.round(bps / 1000)} kbit/s`);
  line.limit(bps / 2);
  const began = performance.now();
  const small = await until('a smaller picture', async () => (await seen()).width < WIDTH && seen(), { timeoutMs: 20_000 });
  console.log(`# smaller after ${Math.round(performance.now() - began)} ms, ${line.dropped()} datagrams dropped`);
  assert.ok(small.keyFrames > before.keyFrames, 'it began with a key frame');
  await until('a hundred pictures more', async () => (await seen()).frames > small.frames + 100, { timeoutMs: 30_000 });
  assert.ok((await seen()).width < WIDTH);
});

test('on a wide line it gets the biggest again', async () => {
  line.limit(undefined);
  const began = performance.now();
  await until('the biggest picture', async () => (await seen()).width === WIDTH, { timeoutMs: 90_000 });
  console.log(`# biggest after ${Math.round(performance.now() - began)} ms`);
  const { frames } = await seen();
  await until('pictures go on', async () => (await seen()).frames > frames + 30, { timeoutMs: 30_000 });
});

test('frames for everybody else are of the biggest', async () => {
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  assert.ok(streams.find((entry) => entry.stream === 'sizes')?.video);
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  const switches = [...metrics.matchAll(/^stentor_media_layer_switches_total\S* (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
  assert.ok(switches >= 2, `${switches} switches`);
});
