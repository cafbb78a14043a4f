// What publishers send is measured and judged: a good stream is good, and a wrong setting is told by name, over the REST
// interface and on the page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser } from '../lib/browser.mjs';
import { publish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const SOURCES = [
  ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30'],
  ...['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
];
const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-b:v', '800k', '-sc_threshold', '0'];
const AAC = ['-c:a', 'aac', '-b:a', '96k', '-ac', '2'];

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([startServer({ args: ['--no-demo'] }), launchBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

function start(stream, ...video) {
  return publish([...SOURCES, ...X264, ...video, ...AAC, '-f', 'flv', `${server.rtmp}/live/${stream}`]);
}

/** The stream's health, once `enough` of it is known. */
function health(stream, what, enough) {
  return until(what, async () => {
    const answer = await fetch(`${server.http}/v1/streams/live/${stream}`);
    if (answer.status === 404) return undefined;
    assert.equal(answer.status, 200);
    const told = (await answer.json()).health;
    return enough(told) ? told : undefined;
  });
}

const codes = (told) => told.faults.map(({ code }) => code);

test('a good stream is good, and has the measures of its encoder', async () => {
  const publisher = start('good', '-g', '30', '-bf', '0');
  try {
    const measured = (told) => told.video?.gopMs && told.video.frameRate && told.speed && told.interleaveMs !== null;
    // What a busy machine holds up while everything starts is a fault as well, and is gone after half a minute.
    const told = await health('good', 'a good score and all measures', (told) => measured(told) && told.score === 'good');
    assert.deepEqual([told.video.codec, told.video.width, told.video.height], ['H264', 640, 360]);
    assert.match(told.video.profile, /Baseline/);
    assert.ok(Math.abs(told.video.frameRate - 30) < 0.5, `${told.video.frameRate} pictures a second`);
    assert.equal(told.video.frameRateClaimed, 30);
    assert.deepEqual([told.video.gopFrames, told.video.bFrames], [30, 'none']);
    assert.ok(Math.abs(told.video.gopMs - 1000) <= 2, `${told.video.gopMs} ms`);
    assert.ok(told.video.bitrate > 300_000 && told.video.bitrate < 1_600_000, `${told.video.bitrate} bit/s`);
    assert.deepEqual([told.audio.profile, told.audio.sampleRate, told.audio.channels], ['AAC-LC', 48_000, 2]);
    assert.ok(told.speed > 0.9 && told.speed < 1.1, `speed ${told.speed}`);
    assert.ok(told.interleaveMs < 500, `${told.interleaveMs} ms`);
  } finally {
    await publisher.stop();
  }
});

test('a browser that publishes has its codings and its bitrate, and no fault', async () => {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  try {
    await page.goto(`${server.http}/`);
    await page.fill('#publish input', 'browser');
    await page.getByRole('button', { name: 'Test picture' }).click();
    const told = await health('browser', 'a bitrate', (told) => told.bitrate > 0 && told.lastMinute.bitrate.length >= 6);
    assert.deepEqual([told.video.codec, told.audio.codec], ['H264', 'opus']);
    assert.deepEqual(told.faults.filter(({ code }) => code !== 'stalled'), []);
    const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
    assert.ok(streams.find(({ stream }) => stream === 'browser').bitrate > 0, 'the list has it as well');
    await page.getByRole('link', { name: 'Watch it' }).click();
    const panel = page.locator('.watch .health');
    await until('the panel', async () => /Good|Fair/.test(await panel.innerText()));
    assert.doesNotMatch(await panel.locator('.measures').innerText(), /–/, 'what is not known is not shown');
  } finally {
    await context.close();
  }
});

test('key frames far apart, and B-frames: each is told, and what to change', async () => {
  const long = start('long', '-g', '300', '-bf', '0');
  const bent = start('bent', '-g', '30', '-bf', '2', '-b_strategy', '0', '-x264-params', 'b-pyramid=normal:bframes=3');
  try {
    const told = await health('long', 'the fault', (told) => codes(told).includes('key-frame-interval-long'));
    const fault = told.faults.find(({ code }) => code === 'key-frame-interval-long');
    assert.equal(fault.severity, 'warn');
    assert.match(fault.message, /Keyframe Interval.*-g 60/);
    assert.ok(!codes(told).includes('b-frames'));

    const second = await health('bent', 'the fault', (told) => codes(told).includes('b-frames'));
    assert.equal(second.video.bFrames, 'referenced');
    assert.ok(!codes(second).includes('key-frame-interval-long'));
    const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
    const warnings = Object.fromEntries(streams.map((entry) => [entry.stream, entry.warnings.map(({ code }) => code)]));
    assert.ok(warnings.long.includes('key-frame-interval-long') && warnings.bent.includes('b-frames'), JSON.stringify(warnings));

    const page = await browser.newPage();
    await page.goto(`${server.http}/`);
    const card = page.locator('.stream', { hasText: 'live/long' });
    await card.locator('.badge').waitFor();
    await until('the badge says so', async () => /^(Fair|Bad) · /.test(await card.locator('.badge').innerText()));
    await card.getByRole('link').click();
    const panel = page.locator('.watch .health');
    await panel.waitFor();
    await until('the sentence', async () => /Key frames come [\d.]+ s apart.*Keyframe Interval/.test(await panel.innerText()));
    const figures = await panel.locator('.measures').innerText();
    assert.match(figures, /H\.264/);
    assert.match(figures, /640×360/);
    const drawn = await panel.locator('canvas').first().evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, at) => at % 4 === 3 && value > 0).length;
    });
    assert.ok(drawn > 100, `the plot has ${drawn} points`);
    await page.close();
  } finally {
    await Promise.all([long.stop(), bent.stop()]);
  }
});
