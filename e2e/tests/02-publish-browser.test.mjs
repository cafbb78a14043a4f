// A browser publishes by WHIP: its H.264 and Opus go out over RTMP, FLV and HLS as H.264 and AAC, and over WHEP as they
// are; VP8 stays between WebRTC ends.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, play, serveSdk } from '../lib/browser.mjs';
import { decode, probe } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

let server;
let browser;
let viewers;
let sdk;
let page;

before(async () => {
  server = await startServer({ args: ['--no-demo'] });
  [browser, viewers, sdk] = await Promise.all([launchBrowser(), launchBrowser(), serveSdk()]);
  page = await openPage(browser, sdk.origin);
});

after(async () => {
  await Promise.all([browser?.close(), viewers?.close()]);
  await sdk?.close();
  await server?.stop();
});

async function listed(stream) {
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  return streams.find((entry) => entry.stream === stream);
}

/** Publishes the fake camera and microphone under a name with a codec. */
async function publishCamera(stream, codec) {
  await page.evaluate(
    async ({ url, codec }) => {
      window.pushers ??= {};
      const pusher = new window.stentor.LivePusher({ url, codec });
      window.pushers[url] = pusher;
      await pusher.start({ width: 640, height: 480, frameRate: 30 });
    },
    { url: `${server.http}/whip/live/${stream}`, codec },
  );
  return until(`${stream} in /v1/streams`, async () => (await listed(stream))?.video);
}

test('Chromium publishes H.264 and Opus', async () => {
  const video = await publishCamera('camera', 'h264');
  assert.equal(video.codec, 'H264');
  assert.equal((await listed('camera')).audio.codec, 'opus');
});

for (const [name, url] of Object.entries({
  RTMP: () => `${server.rtmp}/live/camera`,
  FLV: () => `${server.http}/live/camera.flv`,
  HLS: () => `${server.http}/live/camera.m3u8`,
})) {
  test(`ffmpeg pulls it over ${name} as H.264 and AAC`, async () => {
    const { video, audio } = await probe(url(), { seconds: 4, timeoutMs: 60_000 });
    assert.equal(video.stream.codec_name, 'h264');
    assert.equal(audio.stream.codec_name, 'aac');
    assert.ok(video.stream.width >= 320 && video.stream.height >= 180, `${video.stream.width}x${video.stream.height}`);
    assert.ok(video.packets[0].flags.startsWith('K'), 'it begins with a key frame');
    const keys = video.packets.filter((packet) => packet.flags.startsWith('K'));
    assert.ok(keys.length >= 2, `the browser is asked for key frames: ${keys.length} in 4 s`);
    // HLS comes in segments of two seconds, picture before sound, so the last of the sound may be missing.
    assert.ok(audio.packets.length >= 80, `${audio.packets.length} AAC frames in 4 s`);
    assert.equal(await decode(url(), { timeoutMs: 60_000 }), '');
  });
}

test('another Chromium plays it by WHEP, with sound', async () => {
  const seen = await play(await openPage(viewers, sdk.origin), `${server.http}/whep/live/camera`, { seconds: 4, muted: false });
  assert.ok(seen.stats.framesDecoded > 40, JSON.stringify(seen.stats));
  assert.ok(seen.changes >= 2, 'the picture moves');
  assert.ok(seen.audio.energy > 0, `there is sound: ${JSON.stringify(seen.audio)}`);
  assert.deepEqual(seen.reconnects, []);
});

test('VP8 goes from WHIP to WHEP', async () => {
  const video = await publishCamera('vp8', 'vp8');
  assert.equal(video.codec, 'VP8');
  const seen = await play(await openPage(viewers, sdk.origin), `${server.http}/whep/live/vp8`, { seconds: 3 });
  assert.ok(seen.stats.framesDecoded > 20, JSON.stringify(seen.stats));
  const flv = await fetch(`${server.http}/live/vp8.flv`);
  assert.equal(flv.status, 406, 'VP8 has no place in FLV');
  assert.match((await flv.json()).detail, /VP8/);
});

test('a second publisher of the name is refused in words', async () => {
  const refused = await page.evaluate(async (url) => {
    const pusher = new window.stentor.LivePusher({ url });
    try {
      await pusher.start();
      return undefined;
    } catch (error) {
      return { code: error.code, message: error.message };
    } finally {
      pusher.stop();
    }
  }, `${server.http}/whip/live/camera`);
  assert.match(refused?.message ?? '', /already being published/);
});

test('DELETE ends the stream and its viewers', async () => {
  await page.evaluate((url) => window.pushers[url].stop(), `${server.http}/whip/live/camera`);
  await until('the stream has gone from the list', async () => !(await listed('camera')));
  const gone = await fetch(`${server.http}/live/camera.flv`);
  assert.equal(gone.status, 404);
});
