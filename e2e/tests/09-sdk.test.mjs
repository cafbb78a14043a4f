// What the SDK promises, against the real server: the tags' events and numbers, tokens, waiting for a stream, and that
// whoever stops is gone from the server at once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, openPage, serveSdk } from '../lib/browser.mjs';
import { startServing } from '../lib/server.mjs';
import { nodeToken, signed } from '../lib/tokens.mjs';
import { until } from '../lib/wait.mjs';

const application = {
  sdkAppId: 1_400_000_000,
  secretKey: '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e',
};
const token = nodeToken(application, 'ann');
const query = signed(application.sdkAppId, 'ann', token);

let server;
let browser;
let sdk;
let page;

before(async () => {
  server = await startServing(`
[[application]]
sdk_app_id = ${application.sdkAppId}
keys = ["${application.secretKey}"]
`);
  [browser, sdk] = await Promise.all([launchBrowser(), serveSdk()]);
  page = await openPage(browser, sdk.origin);
  await page.evaluate(async () => {
    await import('/element.js');
    /** A tag with these attributes, on the page; its events are kept in `seen`. */
    window.tag = (name, attributes) => {
      const element = document.createElement(name);
      const seen = { codes: [], errors: [], info: undefined };
      element.addEventListener('statechange', ({ detail }) => seen.codes.push(detail.code));
      element.addEventListener('netstatus', ({ detail }) => (seen.info = { ...detail.info, stats: undefined }));
      element.addEventListener('error', ({ detail }) => seen.errors.push({ ...detail, error: undefined }));
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      document.body.append(element);
      return { element, seen };
    };
  });
});

after(async () => {
  await browser?.close();
  await sdk?.close();
  await server?.stop();
});

async function listed(stream) {
  const { streams } = await (await fetch(`${server.http}/v1/streams?${query}`)).json();
  return streams.find((entry) => entry.stream === stream);
}

/** Puts a tag on the page under a name; `look` gives what its events have told so far. */
async function put(id, name, attributes) {
  await page.evaluate(([id, name, attributes]) => (window[id] = window.tag(name, attributes)), [id, name, attributes]);
  const look = () => page.evaluate((id) => window[id].seen, id);
  return { look, told: (code) => until(`${id} tells ${code}`, async () => (await look()).codes.includes(code)) };
}

/** Plays in the page until the first picture; gives the error's words if there is none. */
function tryToPlay(url, options = {}) {
  return page.evaluate(
    async ({ url, options }) => {
      const player = new window.stentor.LivePlayer({ url, muted: true, ...options });
      try {
        await player.start();
        return { played: true };
      } catch ({ code, status, serverCode, message }) {
        return { code, status, serverCode, message };
      } finally {
        player.stop();
      }
    },
    { url, options },
  );
}

test('<live-pusher> publishes and tells it in the numbers of the original', async () => {
  const pusher = await put('pusher', 'live-pusher', { url: `${server.http}/live/tag`, token, mode: 'HD', autopush: '' });
  await pusher.told(1002);
  const { codes, errors } = await pusher.look();
  assert.deepEqual(codes, [1003, 1007, 1001, 1008, 1002], 'camera, picture, connected, encoder, published');
  assert.deepEqual(errors, []);
  const { info } = await until('netstatus', async () => ((await pusher.look()).info?.videoFPS ?? 0) > 0 && pusher.look());
  assert.ok(info.videoBitrate > 0 && info.netSpeed > 0 && info.videoWidth > 0, JSON.stringify(info));
  await until('the stream', async () => (await listed('tag'))?.video?.codec === 'H264');
});

test('<live-player> plays, tells it in numbers, and stop() ends the session at the server', async () => {
  const deleted = [];
  page.on('response', (answer) => {
    const request = answer.request();
    if (request.method() === 'DELETE') deleted.push([new URL(request.url()).pathname, answer.status()]);
  });
  const player = await put('player', 'live-player', { src: `${server.http}/whep/live/tag?${query}`, muted: '' });
  await player.told(2004);
  const order = [2001, 2002, 2008, 2003, 2004];
  const { codes } = await player.look();
  assert.deepEqual(codes.filter((code) => order.includes(code)), order, JSON.stringify(codes));
  const { info } = await until('netstatus', async () => ((await player.look()).info?.videoFPS ?? 0) > 0 && player.look());
  assert.ok(info.videoWidth > 0 && info.videoBitrate > 0, JSON.stringify(info));
  assert.equal((await listed('tag')).viewers.webrtc, 1);

  await page.evaluate(() => window.player.element.stop());
  await player.told(2006);
  await until('no viewers', async () => (await listed('tag')).viewers.webrtc === 0, { timeoutMs: 3_000 });
  await until('the answer to DELETE', () => deleted.length > 0);
  assert.match(deleted[0][0], /^\/whep\/live\/tag\/./);
  assert.equal(deleted[0][1], 200, 'it came before the media connection had ended the session');
});

test('a refusal is one error event, with the number of the original and the sentence of the server', async () => {
  const player = await put('refused', 'live-player', { src: `${server.http}/whep/live/nobody?${query}`, muted: '' });
  await player.told(-2301);
  const { errors: [error, ...more] } = await player.look();
  assert.deepEqual(more, []);
  assert.equal(error.errCode, -2301);
  assert.equal(error.code, 'not-found');
  assert.match(error.errMsg, /live\/nobody/);
  const pusher = await put('second', 'live-pusher', { url: `${server.http}/whip/live/tag?${query}`, autopush: '' });
  await pusher.told(-1307);
  const [refusal] = (await pusher.look()).errors;
  assert.equal(refusal.errCode, -1307);
  assert.equal(refusal.code, 'conflict');
  assert.match(refusal.errMsg, /already being published/);
});

for (const [name, url] of Object.entries({
  WebRTC: () => `${server.http}/whep/live/tag`,
  FLV: () => `${server.http}/live/tag.flv`,
  HLS: () => `${server.http}/live/tag.m3u8`,
})) {
  test(`${name}: a token opens as query and as bearer; without one the reason is told`, async () => {
    assert.deepEqual(await tryToPlay(`${url()}?${query}`), { played: true });
    assert.deepEqual(await tryToPlay(url(), { token }), { played: true });
    const refused = await tryToPlay(url());
    assert.equal(refused.code, 'unauthorized');
    assert.equal(refused.status, 401);
    assert.match(refused.message, /wants a UserSig/);
    const expired = await tryToPlay(url(), { token: nodeToken(application, 'ann', -10) });
    assert.equal(expired.serverCode, -70001, JSON.stringify(expired));
  });
}

test('stop() of an FLV player leaves no viewer behind', async () => {
  await tryToPlay(`${server.http}/live/tag.flv?${query}`);
  await until('no viewers', async () => (await listed('tag')).viewers.flv === 0, { timeoutMs: 3_000 });
});

test('a player that waits for its stream plays when it begins; one that does not is told', async () => {
  const url = `${server.http}/whep/live/later`;
  assert.equal((await tryToPlay(url, { token })).code, 'not-found');
  await page.evaluate(
    ({ url, token }) => {
      const player = new window.stentor.LivePlayer({ url, token, muted: true, waitForStream: true });
      window.waiting = { player, attempts: 0, played: false };
      player.on('reconnecting', () => (window.waiting.attempts += 1));
      player.start().then(() => (window.waiting.played = true));
    },
    { url, token },
  );
  await until('a second attempt', () => page.evaluate(() => window.waiting.attempts >= 2));
  await page.evaluate(
    ({ url, token }) => {
      window.later = new window.stentor.LivePusher({ url, token });
      return window.later.start({ width: 320, height: 240 });
    },
    { url: `${server.http}/whip/live/later`, token },
  );
  await until('it plays', () => page.evaluate(() => window.waiting.played));
  await page.evaluate(() => window.later.stop());
  await until('the stream has ended', async () => !(await listed('later')));
  await page.evaluate(() => window.waiting.player.stop());
});

test('the page had no error', () => assert.deepEqual(page.errors, []));
