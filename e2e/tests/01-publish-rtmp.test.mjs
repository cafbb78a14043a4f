// What comes in by RTMP goes out by every door: RTMP, FLV and HLS to ffmpeg, and WebRTC, FLV and HLS to a browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, play, serveSdk } from '../lib/browser.mjs';
import { decode, probe, publish, readmePublish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const STREAM = 'e2e';

let server;
let publisher;
let browser;
let sdk;
let page;

/** The stream's entry in the list that the REST interface gives. */
async function listed() {
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  return streams.find(({ app, stream }) => app === 'live' && stream === STREAM);
}

before(async () => {
  server = await startServer();
  publisher = publish(await readmePublish(server.rtmp, STREAM));
  const ended = publisher.ended.then((code) => {
    throw new Error(`ffmpeg ended with ${code}: ${publisher.output.stderr}\n${server.log()}`);
  });
  ended.catch(() => {});
  await Promise.race([until('the stream in /v1/streams', async () => (await listed())?.video), ended]);
  [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
  page = await openPage(browser, sdk.origin);
});

after(async () => {
  await browser?.close();
  await sdk?.close();
  await publisher?.stop();
  await server?.stop();
});

test('the list says what is published', async () => {
  const entry = await listed();
  assert.equal(entry.publisher.protocol, 'rtmp');
  assert.equal(entry.video.codec, 'H264');
  assert.deepEqual([entry.video.width, entry.video.height], [1280, 720]);
  assert.equal(entry.audio.codec, 'AAC');
  assert.equal(entry.audio.sampleRate, 48_000);
});

/** The doors that ffmpeg reads. */
const doors = {
  RTMP: () => `${server.rtmp}/live/${STREAM}`,
  FLV: () => `${server.http}/live/${STREAM}.flv`,
  HLS: () => `${server.http}/live/${STREAM}.m3u8`,
};

for (const [name, url] of Object.entries(doors)) {
  test(`ffprobe reads it back over ${name}`, async () => {
    const { video, audio } = await probe(url(), { seconds: 3 });
    assert.equal(video.stream.codec_name, 'h264');
    assert.deepEqual([video.stream.width, video.stream.height], [1280, 720]);
    assert.equal(audio.stream.codec_name, 'aac');
    assert.equal(audio.stream.sample_rate, '48000');
    assert.ok(video.packets[0].flags.startsWith('K'), 'it begins with a key frame');
    assert.ok(video.packets.length >= 60, `${video.packets.length} pictures in 3 s`);
    assert.ok(audio.packets.length >= 90, `${audio.packets.length} audio frames in 3 s`);
    for (const { packets } of [video, audio]) {
      const times = packets.map((packet) => Number(packet.dts_time));
      assert.ok(times.every((time, at) => at === 0 || time >= times[at - 1]), 'times never go back');
    }
    const apart = Math.abs(Number(video.packets[0].pts_time) - Number(audio.packets[0].pts_time));
    assert.ok(apart < 1, `sound and picture begin ${apart} s apart`);
  });

  test(`ffmpeg decodes it without complaint over ${name}`, async () => {
    assert.equal(await decode(url()), '');
  });
}

const played = {
  WebRTC: () => `${server.http}/whep/live/${STREAM}`,
  FLV: () => `${server.http}/live/${STREAM}.flv`,
  HLS: () => `${server.http}/live/${STREAM}.m3u8`,
};

for (const [name, url] of Object.entries(played)) {
  test(`Chromium plays it over ${name}`, async () => {
    const seen = await play(page, url(), { seconds: 4, muted: false });
    assert.deepEqual([seen.width, seen.height], [1280, 720]);
    assert.ok(seen.changes >= 2, `the picture moves: it changed ${seen.changes} times in 4 looks`);
    assert.ok(seen.brightness > 10, `the picture is not black: brightness ${seen.brightness}`);
    assert.ok(seen.stats.framesDecoded > 20, JSON.stringify(seen.stats));
    if (name === 'WebRTC') assert.ok(seen.audio.energy > 0, `there is sound: ${JSON.stringify(seen.audio)}`);
    assert.deepEqual(seen.reconnects, [], 'without reconnecting');
    assert.deepEqual(page.errors, []);
  });
}

test('the stream ends with its publisher', async () => {
  await publisher.stop();
  await until('the stream has gone from the list', async () => !(await listed()));
});
