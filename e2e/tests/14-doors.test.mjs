// Every address that a page shows, played in a browser: by the SDK, by a few lines of a page's own script as SRS's and
// trtc's players have them, by mpegts.js as it is, and by a plain WebSocket. And the SDK publishes by each that can be published to.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, play, serveSdk } from '../lib/browser.mjs';
import { publish, readmePublish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const STREAM = 'doors';

let server;
let publisher;
let browser;
let sdk;
let page;
let host;

async function listed(stream) {
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  return streams.find((entry) => entry.stream === stream);
}

before(async () => {
  server = await startServer({ args: ['--no-demo'] });
  host = new URL(server.http).host;
  publisher = publish(await readmePublish(server.rtmp, STREAM));
  await until('the stream', async () => (await listed(STREAM))?.video && (await listed(STREAM))?.audio);
  [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
  page = await openPage(browser, sdk.origin);
});

after(async () => {
  await browser?.close();
  await sdk?.close();
  await publisher?.stop();
  await server?.stop();
});

for (const [name, url, protocol] of [
  ['trtc', () => `trtc://${host}/play/${STREAM}?userId=ann`, 'webrtc'],
  ['artc', () => `artc://${host}/live/${STREAM}`, 'webrtc'],
  ['webrtc', () => `webrtc://${host}/live/${STREAM}`, 'webrtc'],
  ['a bare address', () => `${server.http}/live/${STREAM}`, 'webrtc'],
  ['/v1/play', () => `${server.http}/v1/play/${STREAM}`, 'webrtc'],
  ['WS-FLV', () => `ws://${host}/live/${STREAM}.flv`, 'flv'],
]) {
  test(`LivePlayer plays ${name}`, async () => {
    const seen = await play(page, url(), { seconds: 3 });
    assert.deepEqual([seen.width, seen.height, seen.stats.protocol], [1280, 720, protocol]);
    assert.ok(seen.changes > 0 && seen.brightness > 20, JSON.stringify(seen));
    assert.ok(seen.stats.bitrate > 100_000, `${seen.stats.bitrate} bit/s`);
    assert.deepEqual(seen.reconnects, []);
    await until('the viewer is gone', async () => Object.values((await listed(STREAM)).viewers).every((count) => count === 0));
  });
}

test('LivePlayer tells over WS-FLV what the server says of a stream that is not there', async () => {
  const error = await page.evaluate(async (url) => {
    const player = new window.stentor.LivePlayer({ url, muted: true });
    return player.start().then(() => 'played', ({ code, message }) => ({ code, message })).finally(() => player.stop());
  }, `ws://${host}/live/nobody.flv`);
  assert.equal(error.code, 'not-found');
  assert.match(error.message, /live\/nobody/);
});

for (const [name, url] of [
  ['trtc', (stream) => `trtc://${host}/push/${stream}`],
  ['artc', (stream) => `artc://${host}/live/${stream}`],
  ['webrtc', (stream) => `webrtc://${host}/live/${stream}`],
]) {
  test(`LivePusher publishes by ${name}`, async () => {
    const stream = `by-${name}`;
    await page.evaluate(async (url) => {
      window.pusher = new window.stentor.LivePusher({ url });
      await window.pusher.start({ width: 320, height: 240, frameRate: 15 });
    }, url(stream));
    await until(`${stream} with a picture`, async () => (await listed(stream))?.video);
    await page.evaluate(() => window.pusher.stop());
    await until(`${stream} has ended`, async () => !(await listed(stream)));
  });
}

/** Plays in the page by a signalling of its own until 30 pictures and some sound were decoded. */
function playBy(signal, facts) {
  return page.evaluate(
    async ({ signal, facts }) => {
      const connection = new RTCPeerConnection();
      connection.addTransceiver('audio', { direction: 'recvonly' });
      connection.addTransceiver('video', { direction: 'recvonly' });
      const offer = await connection.createOffer();
      await connection.setLocalDescription(offer);
      const sdp = await new Function('offer', 'facts', `return (${signal})(offer, facts)`)(offer.sdp, facts);
      // Sound is decoded only where it is heard.
      const video = document.createElement('video');
      video.autoplay = true;
      video.srcObject = new MediaStream(connection.getReceivers().map((receiver) => receiver.track));
      document.body.append(video);
      await connection.setRemoteDescription({ type: 'answer', sdp });
      try {
        for (const end = performance.now() + 20_000; performance.now() < end; ) {
          const found = {};
          for (const entry of (await connection.getStats()).values()) if (entry.type === 'inbound-rtp') found[entry.kind] = entry;
          if (found.video?.framesDecoded > 30 && found.audio?.totalAudioEnergy > 0) return true;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        return false;
      } finally {
        connection.close();
        video.remove();
      }
    },
    { signal: String(signal), facts },
  );
}

test("a page plays as SRS's players do", async () => {
  const played = await playBy(
    async (sdp, { http, streamurl }) => {
      const body = JSON.stringify({ api: `${http}/rtc/v1/play/`, tid: '1a2b3c4', streamurl, clientip: null, sdp });
      const response = await fetch(`${http}/rtc/v1/play/`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
      const answer = await response.json();
      if (answer.code) throw new Error(JSON.stringify(answer));
      return answer.sdp;
    },
    { http: server.http, streamurl: `webrtc://${host}/live/${STREAM}` },
  );
  assert.ok(played, 'picture and sound');
});

test("a page plays as trtc's players do, and ends the session by DELETE", async () => {
  const played = await playBy(
    async (sdp, { http, stream, app }) => {
      const options = { method: 'POST', body: sdp, headers: { 'content-type': 'application/sdp' } };
      const response = await fetch(`${http}/v1/play/${stream}?sdkappid=${app}&userid=ann`, options);
      if (response.status !== 201) throw new Error(await response.text());
      window.session = new URL(response.headers.get('location'), response.url).href;
      return response.text();
    },
    { http: server.http, stream: STREAM, app: server.sdkAppId },
  );
  assert.ok(played, 'picture and sound');
  const status = await page.evaluate(async () => (await fetch(window.session, { method: 'DELETE' })).status);
  // The connection was closed first, so the session may have ended by that.
  assert.ok([200, 404].includes(status), String(status));
  await until('nobody watches', async () => (await listed(STREAM)).viewers.webrtc === 0);
});

test('mpegts.js, as it is, plays WS-FLV', async () => {
  const content = await readFile(new URL('../../web/node_modules/mpegts.js/dist/mpegts.js', import.meta.url), 'utf8');
  await page.addScriptTag({ content });
  const seen = await page.evaluate(async (url) => {
    const video = document.createElement('video');
    video.muted = true;
    document.body.append(video);
    const player = window.mpegts.createPlayer({ type: 'flv', isLive: true, url });
    const failed = new Promise((_, reject) => player.on(window.mpegts.Events.ERROR, (...all) => reject(new Error(all.join(' ')))));
    player.attachMediaElement(video);
    player.load();
    void player.play();
    const pictures = new Promise((resolve) => {
      let count = 0;
      const next = () => (++count === 30 ? resolve() : video.requestVideoFrameCallback(next));
      video.requestVideoFrameCallback(next);
    });
    await Promise.race([pictures, failed]);
    const seen = { width: video.videoWidth, height: video.videoHeight, audio: player.mediaInfo.hasAudio };
    player.destroy();
    return seen;
  }, `ws://${host}/live/${STREAM}.flv`);
  assert.deepEqual(seen, { width: 1280, height: 720, audio: true });
});

test('a plain WebSocket gets the bytes of HTTP-FLV', async () => {
  const { first, bytes } = await page.evaluate(
    (url) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.binaryType = 'arraybuffer';
        let bytes = 0;
        let first;
        socket.onerror = () => reject(new Error('refused'));
        socket.onmessage = ({ data }) => {
          first ??= [...new Uint8Array(data, 0, 5)];
          bytes += data.byteLength;
          if (bytes < 200_000) return;
          socket.close();
          resolve({ first, bytes });
        };
      }),
    `ws://${host}/live/${STREAM}.flv`,
  );
  assert.deepEqual(first, [0x46, 0x4c, 0x56, 1, 5], 'FLV 1 with sound and picture');
  assert.ok(bytes >= 200_000);
  await until('nobody watches', async () => (await listed(STREAM)).viewers.flv === 0);
});

test('the page met no error', () => assert.deepEqual(page.errors, []));
