// The pages as people use them: the list with its pictures, a stream watched by each protocol, publishing in one click,
// what the page says of B-frames, of a token and of a server that is gone, and the co-anchoring and competition of two.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launchBrowser } from '../lib/browser.mjs';
import { publish } from '../lib/ffmpeg.mjs';
import { startServer, startServing } from '../lib/server.mjs';
import { nodeToken } from '../lib/tokens.mjs';
import { until } from '../lib/wait.mjs';

const X264_DEFAULT_B_FRAMES = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '3', '-pix_fmt', 'yuv420p', '-g', '30'];
const application = {
  sdkAppId: 1_400_000_000,
  secretKey: '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e',
};

let server;
let browser;
const visits = [];
const open = new Set();

before(async () => {
  [server, browser] = await Promise.all([startServer(), launchBrowser()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

// A page that stays open looks at every stream of the tests after it, and is counted among their viewers.
afterEach(async () => {
  await Promise.all([...open].map((context) => context.close()));
  open.clear();
});

/** A visitor of their own, with camera and clipboard. What goes wrong in the page, and whatever it asks of others, is kept. */
async function visit(url) {
  const { origin } = new URL(url);
  const permissions = ['camera', 'microphone', 'clipboard-read', 'clipboard-write'];
  const context = await browser.newContext({ permissions, viewport: { width: 1280, height: 900 } });
  open.add(context);
  const page = await context.newPage();
  const seen = { errors: [], foreign: [] };
  page.on('pageerror', (error) => seen.errors.push(`${page.url()}: ${error.message}`));
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.origin !== origin && !['blob:', 'data:'].includes(asked.protocol)) seen.foreign.push(asked.href);
  });
  visits.push(seen);
  await page.goto(url);
  return page;
}

async function streams() {
  return (await (await fetch(`${server.http}/v1/streams`)).json()).streams;
}

/** Waits until exactly `count` videos under `selector` play: each has a picture, and its time goes on. */
async function playing(page, selector, count, what) {
  const times = () =>
    page.$$eval(`${selector} video`, (videos) => videos.map((video) => (video.videoWidth > 0 ? video.currentTime : 0)));
  const begun = await until(`${what}: ${count} pictures`, async () => {
    const now = await times();
    return now.length === count && now.every((time) => time > 0) && now;
  });
  await until(`${what}: the pictures move`, async () => {
    const now = await times();
    return now.length === count && now.every((time, at) => time > begun[at] + 0.3);
  });
}

const text = (page, selector) => page.locator(selector).innerText();

test('the first page lists the demo with a picture, and plays it by each protocol', async () => {
  const page = await visit(`${server.http}/`);
  const card = page.locator('.stream', { hasText: 'live/demo' });
  await card.locator('canvas:not([hidden])').waitFor();
  const colours = await card.locator('canvas').evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
  assert.ok(colours > 20, `a picture, not a blank: ${colours} colours`);
  assert.match(await card.innerText(), /H\.264 · 640×360 · AAC · \d+ kbit\/s/);

  await card.getByRole('link').click();
  for (const [id, codecs] of [['whep', 'H.264 + Opus'], ['flv', 'H.264 + AAC'], ['hls', 'H.264 + AAC']]) {
    await page.click(`.watch [data-id=${id}]`);
    await playing(page, '.watch', 1, id);
    await until(`${id}: statistics`, async () => (await text(page, '.figures')).includes(codecs));
    assert.match(await text(page, '.figures'), /Picture\s+640×360/);
    assert.equal(await page.locator('.watch .say').isVisible(), false, 'nothing covers the picture');
  }
});

test('every address can be copied, and every HTTP address answers', async () => {
  const page = await visit(`${server.http}/#/live/demo`);
  const rows = page.locator('.watch .copy-row');
  await until('all addresses', async () => (await rows.count()) === 9);
  const copied = {};
  for (const row of await rows.all()) {
    await row.getByRole('button').click();
    await until('the button says so', async () => (await row.getByRole('button').innerText()) === 'Copied');
    copied[await row.locator('span').innerText()] = await page.evaluate(() => navigator.clipboard.readText());
  }
  const { http, rtmp } = server;
  const host = new URL(http).host;
  assert.deepEqual(copied, {
    WHEP: `${http}/whep/live/demo`,
    WebRTC: `webrtc://${host}/live/demo`,
    trtc: `trtc://${host}/play/demo`,
    artc: `artc://${host}/live/demo`,
    FLV: `${http}/live/demo.flv`,
    'WS-FLV': `ws://${host}/live/demo.flv`,
    HLS: `${http}/live/demo.m3u8`,
    RTMP: `${rtmp}/live/demo`,
    WHIP: `${http}/whip/live/demo`,
  });
  for (const name of ['FLV', 'HLS']) {
    const answer = await fetch(copied[name]);
    assert.equal(answer.status, 200, name);
    await answer.body.cancel();
  }
});

test('a stream with B-frames: the page says what to change, and offers FLV', async () => {
  const page = await visit(`${server.http}/`);
  const publisher = publish([
    ...['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
    ...[...X264_DEFAULT_B_FRAMES, '-c:a', 'aac', '-f', 'flv', `${server.rtmp}/live/b-frames`],
  ]);
  try {
    const card = page.locator('.stream', { hasText: 'live/b-frames' });
    await card.locator('.notice').waitFor();
    assert.match(await card.locator('.notice').innerText(), /B-frames.*OBS.*-bf 0/s);
    await card.getByRole('link').click();
    const offer = page.getByRole('button', { name: 'Play by FLV' });
    await offer.waitFor();
    assert.match(await text(page, '.watch .say'), /B-frames/);
    await offer.click();
    await playing(page, '.watch', 1, 'FLV');
  } finally {
    await publisher.stop();
  }
});

test('one click publishes, another watches it', async () => {
  const page = await visit(`${server.http}/`);
  await page.fill('#publish input', 'mine');
  await page.getByRole('button', { name: 'Test picture' }).click();
  await until('live', async () => (await text(page, '#publish')).includes('Live: H.264'));
  await page.getByRole('link', { name: 'Watch it' }).click();
  await playing(page, '.watch', 1, 'my own stream');
  await page.getByRole('button', { name: 'Stop' }).click();
  await until('the page says that it has ended', async () => (await text(page, '.watch .say')).includes('live/mine is not live now'));
  await until('the list as well', async () => (await page.locator('.stream', { hasText: 'live/mine' }).count()) === 0);
});

test('co-anchoring: B goes on the mic, A, B and the audience see both, and B leaves', async () => {
  const part = (as) => visit(`${server.http}/demo/co-anchor?as=${as}&mode=mic&show=duet`);
  const [a, b, viewer] = await Promise.all(['a', 'b', 'viewer'].map(part));
  assert.equal(await b.getByRole('button', { name: 'Go on the mic' }).isDisabled(), true, 'nobody to join yet');
  await a.getByRole('button', { name: 'Go live' }).click();
  await Promise.all([playing(b, '.tile', 1, 'B'), playing(viewer, '.tile', 1, 'audience')]);

  await b.getByRole('button', { name: 'Go on the mic' }).click();
  await Promise.all([playing(a, '.tile', 2, 'A'), playing(b, '.tile', 2, 'B'), playing(viewer, '.tile', 2, 'audience')]);
  const [left, right] = await viewer.$$eval('.tile', (tiles) =>
    tiles.map((tile) => ({ ...tile.getBoundingClientRect().toJSON(), who: tile.querySelector('.who').textContent })),
  );
  assert.deepEqual([left.who, right.who], ['A', 'B on the mic']);
  assert.ok(left.right <= right.left && left.top === right.top, 'side by side');
  assert.ok(Math.abs(left.width - right.width) < 1, 'of one size');
  const viewers = Object.fromEntries((await streams()).map((entry) => [entry.stream, entry.viewers.webrtc]));
  assert.deepEqual([viewers.duet_a, viewers.duet_b], [2, 2], 'each is played by the other and by the audience');
  assert.equal(await viewer.locator('.steps .done').count(), 5);

  await b.getByRole('button', { name: 'Leave the mic' }).click();
  await Promise.all([a, b, viewer].map((page) => playing(page, '.tile', 1, 'A alone')));
  await a.getByRole('button', { name: 'Stop' }).click();
  await until('all streams have ended', async () => !(await streams()).some(({ stream }) => stream.startsWith('duet')));
});

test('competition: both anchors and both audiences see both, their own anchor first', async () => {
  const page = await visit(`${server.http}/demo/co-anchor?as=all&mode=pk&show=match`);
  const goLive = (name) => page.getByRole('region', { name, exact: true }).getByRole('button', { name: 'Go live' }).click();
  await goLive('Anchor A');
  await playing(page, '.tile', 3, 'A, at A, at B and before its audience');
  await goLive('Anchor B');
  await playing(page, '.tile', 8, 'four seats');
  const seats = await page.$$eval('.seat', (seats) =>
    seats.map((seat) => {
      const left = (tile) => tile.getBoundingClientRect().left;
      return [...seat.querySelectorAll('.tile')].sort((x, y) => left(x) - left(y)).map((tile) => tile.querySelector('.who').textContent);
    }),
  );
  assert.deepEqual(seats, [['A', 'B'], ['B', 'A'], ['A', 'B'], ['B', 'A']]);
});

test('a server that wants a token: the page asks for it, and plays with it', async () => {
  const guarded = await startServing(`
[[application]]
sdk_app_id = ${application.sdkAppId}
keys = ["${application.secretKey}"]
`);
  let gone = false;
  try {
    const page = await visit(`${guarded.http}/`);
    await page.locator('.access.asked input').waitFor();
    const enter = async (token) => {
      await page.fill('.access input', token);
      await page.click('.access button');
    };
    await page.getByRole('button', { name: 'Test picture' }).click();
    await until('the refusal', async () => /wants a UserSig/.test(await text(page, '#publish')));
    await enter(nodeToken(application, 'ann'));
    await until('the page anew', async () => (await page.locator('.access.asked').count()) === 0);
    await page.getByRole('button', { name: 'Test picture' }).click();
    await page.getByRole('link', { name: 'Watch it' }).click();
    await playing(page, '.watch', 1, 'with a token');
    assert.match(await text(page, '.watch .copy-row:nth-child(5)'), /\.flv\?usersig=/, 'addresses carry it');

    await guarded.stop('SIGKILL');
    gone = true;
    await until('the page says so', async () => /cannot be reached/.test(await text(page, '#notice')));
    await until('and the player', async () => /Trying again/.test(await text(page, '.watch .say')));
  } finally {
    if (!gone) await guarded.stop();
  }
});

test('no page had an error or asked anybody else for anything', () => {
  assert.ok(visits.length >= 8);
  assert.deepEqual(visits.flatMap(({ errors }) => errors), []);
  assert.deepEqual(visits.flatMap(({ foreign }) => foreign), []);
});
