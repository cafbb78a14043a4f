// artc: Alibaba's own web SDK, as it is on npm, plays from Stentor and publishes to it; only the host in the URL is ours.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { launchBrowser } from '../lib/browser.mjs';
import { decode, probe, publish, readmePublish } from '../lib/ffmpeg.mjs';
import { rtsSdk } from '../lib/rts-sdk.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const STREAM = 'artc';

let server;
let publisher;
let browser;
let pages;
let page;
let host;
const posts = [];

before(async () => {
  const sdk = await rtsSdk();
  server = await startServer({ args: ['--no-demo'] });
  host = new URL(server.http).host;
  publisher = publish(await readmePublish(server.rtmp, STREAM));
  await until('the stream', async () => (await listed(STREAM))?.video && (await listed(STREAM))?.audio);
  // A site of its own: the SDK asks by the scheme that its page came by.
  pages = createServer((request, response) => {
    const isSdk = request.url === '/sdk.js';
    response.setHeader('content-type', isSdk ? 'text/javascript' : 'text/html');
    response.end(isSdk ? sdk : '<!doctype html><title>artc</title><body><script src="/sdk.js"></script></body>');
  });
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
  browser = await launchBrowser();
  page = await browser.newPage();
  // The SDK reports to its maker; nothing leaves this machine here.
  await page.route(/.*/, (route) => {
    const local = new URL(route.request().url()).hostname === '127.0.0.1';
    return local ? route.continue() : route.abort();
  });
  page.on('request', (request) => {
    if (new URL(request.url()).host === host) posts.push(`${request.method()} ${request.headers()['content-type'] ?? ''}`);
  });
  await page.addInitScript(() => {
    window.connections = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) {
        super(...args);
        window.connections.push(this);
      }
    };
    window.inbound = async () => {
      const found = {};
      for (const connection of window.connections) {
        for (const entry of (await connection.getStats()).values()) if (entry.type === 'inbound-rtp') found[entry.kind] = entry;
      }
      return structuredClone(found);
    };
  });
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
});

after(async () => {
  await browser?.close();
  pages?.closeAllConnections();
  await new Promise((resolve) => (pages ? pages.close(resolve) : resolve()));
  await publisher?.stop();
  await server?.stop();
});

async function listed(stream) {
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  return streams.find((entry) => entry.stream === stream);
}

/** Subscribes in the page; gives the error's words, or what was seen once pictures came. */
function subscribe(url, kinds = ['audio', 'video']) {
  return page.evaluate(
    async ({ url, kinds }) => {
      const { AliRTS } = window;
      window.client = AliRTS.createClient();
      let remote;
      try {
        remote = await window.client.subscribe(url);
      } catch ({ errorCode, message, ...more }) {
        return { errorCode, message, more: JSON.stringify(more) };
      }
      const video = document.createElement('video');
      document.body.append(video);
      remote.play(video);
      const look = async () => {
        const { audio, video: picture } = await window.inbound();
        const heard = !kinds.includes('audio') || audio?.totalAudioEnergy > 0;
        const seen = !kinds.includes('video') || picture?.framesDecoded > 45;
        return heard && seen && { audio, picture };
      };
      let found;
      for (const end = performance.now() + 20_000; !found && performance.now() < end; ) {
        found = await look();
        if (!found) await new Promise((resolve) => setTimeout(resolve, 100));
      }
      if (!found) return { nothing: await window.inbound() };
      const canvas = new OffscreenCanvas(64, 36);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      if (kinds.includes('video')) context.drawImage(video, 0, 0, 64, 36);
      const { data } = context.getImageData(0, 0, 64, 36);
      const brightness = data.reduce((sum, value, at) => (at % 4 === 3 ? sum : sum + value), 0) / (64 * 36 * 3);
      return { ...found, brightness, width: video.videoWidth, height: video.videoHeight, trace: remote.traceId };
    },
    { url, kinds },
  );
}

test('the SDK finds that the browser will do', async () => {
  const { errorCode } = await page.evaluate(async () => {
    const { AliRTS } = window;
    return AliRTS.createClient().isSupport({ isReceiveVideo: true });
  });
  assert.equal(errorCode, 0);
});

test('it plays artc:// with picture and sound, in one request without a preflight', async () => {
  posts.length = 0;
  const seen = await subscribe(`artc://${host}/live/${STREAM}`);
  assert.ok(seen.picture, JSON.stringify(seen));
  assert.ok(seen.picture.framesDecoded > 45 && seen.width === 1280 && seen.height === 720, JSON.stringify(seen.picture));
  assert.ok(seen.brightness > 20, `mean brightness ${seen.brightness}`);
  assert.ok(seen.audio.totalAudioEnergy > 0, 'the sound has energy');
  assert.match(seen.trace, /^[0-9a-f]{16}$/);
  assert.deepEqual(posts, ['POST application/x-www-form-urlencoded; charset=UTF-8']);
  assert.equal((await listed(STREAM)).viewers.webrtc, 1);
  await page.evaluate(() => window.client.unsubscribe());
  await until('the viewer is gone with its connection', async () => (await listed(STREAM)).viewers.webrtc === 0);
});

test('@subvideo=no plays the sound alone', async () => {
  const seen = await subscribe(`artc://${host}/live/${STREAM}@subvideo=no`, ['audio']);
  assert.ok(seen.audio?.totalAudioEnergy > 0, JSON.stringify(seen));
  await page.evaluate(() => window.client.unsubscribe());
  await until('the viewer is gone', async () => (await listed(STREAM)).viewers.webrtc === 0);
});

test('a stream that is not live is an error of the SDK, which names the status', async () => {
  const error = await subscribe(`artc://${host}/live/nobody`);
  assert.equal(error.errorCode, 10205, JSON.stringify(error));
  assert.match(error.message, /404/);
});

test('it publishes, and unpublish ends the stream', async () => {
  const trace = await page.evaluate(async (url) => {
    const { AliRTS } = window;
    window.client = AliRTS.createClient();
    const local = await AliRTS.createStream({ audio: true, video: true });
    return window.client.publish(url, local).catch((error) => JSON.stringify(error));
  }, `artc://${host}/live/camera`);
  assert.match(String(trace), /^[0-9a-f]{16}$/);
  const entry = await until('the picture', async () => (await listed('camera'))?.video && listed('camera'));
  assert.equal(entry.publisher.protocol, 'artc');
  const { video, audio } = await probe(`${server.http}/live/camera.flv`, { seconds: 3, timeoutMs: 60_000 });
  assert.ok(video.packets.length > 20 && audio.packets.length > 60, `${video.packets.length}, ${audio.packets.length}`);
  assert.equal(await decode(`${server.http}/live/camera.flv`), '');
  await page.evaluate(() => window.client.unpublish());
  await until('the stream is gone', async () => !(await listed('camera')));
});
