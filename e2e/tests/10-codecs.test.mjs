// What is published with HEVC, AV1, VP9 or Opus comes back intact by RTMP, FLV and HLS: every packet and every timestamp
// is compared with the file that was published.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launchBrowser, openPage, play, serveSdk } from '../lib/browser.mjs';
import { currentFfmpeg } from '../lib/ffmpeg.mjs';
import { faults, packetsOf } from '../lib/packets.mjs';
import { run, start } from '../lib/process.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const SECONDS = 9;
const GOP = 25;
/** Pictures that every viewer has to get: one that comes a little late begins at the newest key frame. */
const PICTURES_MIN = (SECONDS - 3) * 25;
const AAC = ['-c:a', 'aac', '-ar', '48000'];
const OPUS = ['-c:a', 'libopus', '-ar', '48000'];

/** Encoders, and what `/v1/streams` calls what they make. */
const combinations = {
  'HEVC with B-frames and AAC': {
    encoder: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:bframes=2', ...AAC],
    names: ['H265', 'AAC'],
    codecs: /^hvc1\.1\.6\.L\d+\.90,mp4a\.40\.2$/,
  },
  'AV1 and Opus': {
    encoder: ['-c:v', 'libsvtav1', '-preset', '11', '-svtav1-params', 'pred-struct=1', ...OPUS],
    names: ['AV1', 'opus'],
    // Temporal delimiters have no place in MP4, and are left out everywhere.
    filter: ['-bsf:v', 'av1_metadata=td=remove'],
    codecs: /^av01\.0\.\d\dM\.08,opus$/,
  },
  'VP9 and Opus': {
    encoder: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '300k', ...OPUS],
    names: ['VP9', 'opus'],
    codecs: /^vp09\.00\.\d\d\.08,opus$/,
  },
  'H.264 and Opus': {
    encoder: ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', ...OPUS],
    names: ['H264', 'opus'],
    codecs: /^avc1\.[0-9A-F]{6},opus$/,
  },
};

let server;
let ffmpeg;
let folder;

before(async () => {
  [server, ffmpeg, folder] = await Promise.all([
    startServer(),
    currentFfmpeg(),
    mkdtemp(path.join(tmpdir(), 'stentor-codecs-')),
  ]);
});

after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** An encoded file. */
async function make(file, encoder, inputs = []) {
  const picture = ['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=25:duration=${SECONDS}`];
  const sound = ['-f', 'lavfi', '-i', `sine=frequency=440:sample_rate=48000:duration=${SECONDS}`];
  const args = ['-v', 'error', '-y', ...picture, ...sound, ...inputs, '-pix_fmt', 'yuv420p', '-g', String(GOP), ...encoder, file];
  await run(ffmpeg, args, { timeoutMs: 120_000, env: { SVT_LOG: '1' } });
  return file;
}

const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');

/** The stream's entry in the list that the REST interface gives. */
async function listed(name) {
  const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
  return streams.find(({ stream }) => stream === name);
}

/** Publishes a file as it is, at the speed of its times. */
function publish(file, name, maps = ['0']) {
  const args = ['-v', 'error', '-nostdin', '-re', '-i', file, ...maps.flatMap((map) => ['-map', map])];
  return start(ffmpeg, [...args, '-c', 'copy', '-f', 'flv', `${server.rtmp}/live/${name}`]);
}

/** Compares the tracks that a door gave with those of the source. */
function compare(source, played, { toleranceMs, soundToleranceMs = toleranceMs }) {
  const [picture, sound] = played;
  assert.deepEqual(
    played.map(({ codec, size }) => [codec, size]),
    source.map(({ codec, size }) => [codec, size]),
  );
  const begin = source[0].packets.findIndex(({ hash }) => hash === picture.packets[0].hash);
  assert.equal(begin % GOP, 0, 'it begins with a key frame');
  const offset = picture.packets[0].dts - source[0].packets[begin].dts;
  assert.deepEqual(faults(source[0].packets, picture.packets, { toleranceMs, offset }), []);
  assert.deepEqual(faults(source[1].packets, sound.packets, { toleranceMs: soundToleranceMs, offset }), []);
  assert.equal(picture.packets.at(-1).hash, source[0].packets.at(-1).hash, 'to the last picture');
  assert.ok(picture.packets.length >= PICTURES_MIN, `${picture.packets.length} pictures`);
  assert.ok(sound.packets.length >= (PICTURES_MIN / 25) * 45, `${sound.packets.length} sounds`);
  // ffmpeg makes no extradata of the record of VP9 in MP4; the test looks at the box itself.
  if (picture.extradata) assert.equal(picture.extradata, source[0].extradata, "the pictures' configuration");
}

for (const [at, [title, { encoder, names, codecs, filter = [] }]] of Object.entries(combinations).entries()) {
  describe(title, () => {
    const name = `codecs${at}`;
    let source;
    let played;
    let playlist;
    let init;
    let record;
    let entry;

    before(async () => {
      const made = await make(path.join(folder, `${name}-made.flv`), encoder);
      // Copying loses what ffmpeg knows of VP9's colours, and so changes its record: what is published is a copy of a copy.
      const file = path.join(folder, `${name}.flv`);
      await run(ffmpeg, ['-v', 'error', '-i', made, '-c', 'copy', file]);
      record = (await packetsOf(ffmpeg, made))[0].extradata;
      source = await packetsOf(ffmpeg, file, { filter });
      const publisher = publish(file, name);
      entry = await until('the stream has both tracks', async () => {
        const entry = await listed(name);
        return entry?.video && entry.audio && entry;
      });
      const http = `${server.http}/live/${name}`;
      const hls = async () => {
        playlist = await (await fetch(`${http}.m3u8`)).text();
        init = Buffer.from(await (await fetch(`${http}/init0.mp4`)).arrayBuffer());
        return packetsOf(ffmpeg, `${http}.m3u8`, { before: ['-live_start_index', '0'], filter });
      };
      const read = (url) => packetsOf(ffmpeg, url, { filter });
      const doors = [read(`${server.rtmp}/live/${name}`), read(`${http}.flv`), hls()];
      const [rtmp, flv, segments, code] = await Promise.all([...doors, publisher.ended]);
      assert.equal(code, 0, publisher.output.stderr);
      played = { rtmp, flv, segments };
    });

    test('the list names codecs and size', () => {
      assert.deepEqual([entry.video.codec, entry.audio.codec], names);
      assert.deepEqual([entry.video.width, entry.video.height], [320, 180]);
      assert.equal(entry.audio.sampleRate, 48_000);
    });

    for (const door of ['rtmp', 'flv']) {
      test(`intact over ${door}`, () => {
        compare(source, played[door], { toleranceMs: 0.001 });
        assert.ok(played[door][0].extradata, 'there is a configuration of the pictures');
        assert.equal(played[door][1].extradata, source[1].extradata, "the sound's configuration");
      });
    }

    test('intact over HLS', () => {
      // The file has its sound in whole milliseconds, HLS has it where it belongs.
      compare(source, played.segments, { toleranceMs: 0.001, soundToleranceMs: 2 });
      assert.match(playlist.match(/CODECS="([^"]*)"/)?.[1] ?? playlist, codecs);
      assert.match(playlist, /RESOLUTION=320x180/);
      const vp9 = init.indexOf('vpcC');
      assert.equal(vp9 >= 0, names[0] === 'VP9');
      // Version, flags and 8 bytes of record. The copy has the matrix of RGB, which 4:2:0 cannot have and MP4 must not:
      // it becomes "not said", as it was before the copy.
      if (vp9 >= 0) assert.equal(md5(init.subarray(vp9 + 4, vp9 + 16)), record);
    });
  });
}

describe('several tracks', () => {
  // Two pictures and two sounds: HEVC and H.264, AAC and Opus.
  let source;
  let played;
  let published;
  let entry;

  before(async () => {
    const made = path.join(folder, 'tracks.mp4');
    const second = ['-f', 'lavfi', '-i', `testsrc=size=160x90:rate=25:duration=${SECONDS}`];
    const maps = ['-map', '0:v', '-map', '2:v', '-map', '1:a', '-map', '1:a'];
    const video = ['-c:v:0', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:bframes=0', '-c:v:1', 'libx264', '-bf', '0'];
    await make(made, [...maps, ...video, '-ar', '48000', '-c:a:0', 'aac', '-c:a:1', 'libopus'], second);
    const file = path.join(folder, 'tracks.flv');
    await run(ffmpeg, ['-v', 'error', '-i', made, '-map', '0', '-c', 'copy', file]);
    source = await packetsOf(ffmpeg, file, { maps: ['0:v:0', '0:v:1', '0:a:0', '0:a:1'] });
    const publisher = publish(file, 'tracks');
    entry = await until('the further track is listed', async () => {
      const entry = await listed('tracks');
      return entry?.furtherTracks?.[0]?.audio && entry.furtherTracks[0].video && entry;
    });
    const http = `${server.http}/live/tracks`;
    const urls = [`${http}.flv`, `${http}.flv?track=1`, `${server.rtmp}/live/tracks?track=1`, `${http}.m3u8?track=1`];
    const hls = { before: ['-live_start_index', '0'] };
    const reading = urls.map((url) => packetsOf(ffmpeg, url, url.includes('m3u8') ? hls : {}));
    published = await Promise.all([...reading, publisher.ended]).then((all) => {
      played = all.slice(0, -1);
      return all.at(-1);
    });
  });

  test('the list names them', () => {
    assert.equal(published, 0);
    assert.deepEqual([entry.video.codec, entry.audio.codec], ['H265', 'AAC']);
    assert.deepEqual(entry.furtherTracks, [{ track: 1, video: 'H264', width: 160, height: 90, audio: 'opus' }]);
  });

  for (const [at, door] of ['FLV without a number', 'FLV', 'RTMP', 'HLS'].entries()) {
    test(`intact over ${door}`, () => {
      const [v0, v1, a0, a1] = source;
      compare(at === 0 ? [v0, a0] : [v1, a1], played[at], { toleranceMs: 0.001, soundToleranceMs: door === 'HLS' ? 2 : 0.001 });
    });
  }
});

test('what there is not is said in a sentence', async () => {
  const made = await make(path.join(folder, 'refused.flv'), combinations['VP9 and Opus'].encoder);
  const publisher = publish(made, 'refused');
  await until('the stream has both tracks', async () => {
    const entry = await listed('refused');
    return entry?.video && entry.audio;
  });
  const told = async (address, request) => {
    const response = await fetch(`${server.http}${address}`, request);
    return `${response.status} ${(await response.json()).detail}`;
  };
  assert.equal(await told('/live/refused.flv?track=7'), "404 'live/refused' has no track 7; its only track is 0");
  assert.equal(await told('/live/refused.m3u8?track=7'), "404 'live/refused' has no track 7; its only track is 0");
  assert.match(await told('/live/refused.flv?track=x'), /^400 \?track= wants the number of a track.*got 'x'$/);
  const sdp = await offer();
  const whep = { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: sdp };
  assert.match(await told('/whep/live/refused', whep), /^406 .*VP9.*RTMP, FLV or HLS/);
  await publisher.stop();
});

test('Opus of an encoder reaches a browser by WebRTC', async () => {
  const made = await make(path.join(folder, 'whep.flv'), combinations['H.264 and Opus'].encoder);
  const [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
  const page = await openPage(browser, sdk.origin);
  const publisher = publish(made, 'whep');
  await until('the stream has both tracks', async () => {
    const entry = await listed('whep');
    return entry?.video && entry.audio;
  });
  const seen = await play(page, `${server.http}/whep/live/whep`, { seconds: 3, muted: false });
  await publisher.stop();
  await Promise.all([browser.close(), sdk.close()]);
  assert.deepEqual([seen.width, seen.height], [320, 180]);
  assert.ok(seen.audio.energy > 0, `there is sound: ${JSON.stringify(seen.audio)}`);
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  assert.doesNotMatch(metrics, /^stentor_bridges_ended_total\{.*\} [1-9]/m);
});

/** An offer to receive, as a browser writes it. */
async function offer() {
  const media = (kind, mid, payload) =>
    [
      `m=${kind} 9 UDP/TLS/RTP/SAVPF ${payload.split(' ')[0]}`,
      'c=IN IP4 0.0.0.0',
      'a=rtcp-mux',
      'a=recvonly',
      `a=mid:${mid}`,
      'a=ice-ufrag:abcd',
      'a=ice-pwd:abcdefghijklmnopqrstuvwx',
      `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
      'a=setup:actpass',
      `a=rtpmap:${payload}`,
    ].join('\r\n');
  const head = 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1';
  return `${[head, media('video', 0, '96 H264/90000'), media('audio', 1, '111 opus/48000/2')].join('\r\n')}\r\n`;
}
