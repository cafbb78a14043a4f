// What is published with HEVC, AV1, VP9 or Opus comes back intact by RTMP, FLV and HLS: every packet and every timestamp
// is compared with the file that was published.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { currentFfmpeg } from '../lib/ffmpeg.mjs';
import { faults, packetsOf } from '../lib/packets.mjs';
import { run, start } from '../lib/process.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const SECONDS = 9;
const GOP = 25;
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
function compare(source, played, { toleranceMs, soundToleranceMs = toleranceMs, pictures }) {
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
  assert.ok(picture.packets.length >= pictures, `${picture.packets.length} pictures`);
  assert.equal(picture.extradata, source[0].extradata, "the pictures' configuration");
}

for (const [at, [title, { encoder, names, codecs, filter = [] }]] of Object.entries(combinations).entries()) {
  describe(title, () => {
    const name = `codecs${at}`;
    let source;
    let played;
    let playlist;
    let entry;

    before(async () => {
      const made = await make(path.join(folder, `${name}-made.flv`), encoder);
      // Copying loses what ffmpeg knows of VP9's colours, and so changes its record: what is published is a copy of a copy.
      const file = path.join(folder, `${name}.flv`);
      await run(ffmpeg, ['-v', 'error', '-i', made, '-c', 'copy', file]);
      source = await packetsOf(ffmpeg, file, { filter });
      const publisher = publish(file, name);
      entry = await until('the stream has both tracks', async () => {
        const entry = await listed(name);
        return entry?.video && entry.audio && entry;
      });
      const http = `${server.http}/live/${name}`;
      const hls = async () => {
        playlist = await (await fetch(`${http}.m3u8`)).text();
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
        compare(source, played[door], { toleranceMs: 0.001, pictures: (SECONDS - 3) * 25 });
        assert.equal(played[door][1].extradata, source[1].extradata, "the sound's configuration");
      });
    }

    test('intact over HLS', () => {
      // The file has its sound in whole milliseconds, HLS has it where it belongs.
      compare(source, played.segments, { toleranceMs: 0.001, soundToleranceMs: 2, pictures: (SECONDS - 3) * 25 });
      assert.match(playlist.match(/CODECS="([^"]*)"/)?.[1] ?? playlist, codecs);
      assert.match(playlist, /RESOLUTION=320x180/);
    });
  });
}
