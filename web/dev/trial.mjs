// Tries the built pages in headless Chromium against a fake server (WebRTC by a second page, FLV and HLS by ffmpeg):
//   npm run build && node dev/trial.mjs [folder for screenshots]
// Environment: CHROMIUM (default /usr/bin/chromium), FFMPEG (default ffmpeg).
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');
const shots = process.argv[2] ?? join(tmpdir(), 'stentor-shots');
const hls = mkdtempSync(join(tmpdir(), 'stentor-hls-'));
const ffmpeg = process.env.FFMPEG ?? 'ffmpeg';
mkdirSync(shots, { recursive: true });

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.m4s': 'video/mp4',
  '.mp4': 'video/mp4',
};
const children = new Set();
let media;
let down = false;
let nextId = 1;

function stream(app, name, more) {
  const facts = {
    app,
    stream: name,
    publisher: { protocol: 'whip', since: new Date(Date.now() - 1000 * 60 * 7).toISOString() },
    video: { codec: 'H264', width: 640, height: 360, frameRate: 25, bFrames: 'none' },
    audio: null,
    bitrate: 842_000,
    viewers: { webrtc: 3, rtmp: 0, flv: 1, hls: 0 },
    warnings: [],
  };
  return { ...facts, ...more };
}

const REFUSED =
  'This stream has B-frames that other frames refer to, and WebRTC cannot show them. Publish with B-frames 0 (OBS: x264 option bf=0; ffmpeg: -bf 0), or watch by FLV or HLS.';

async function streams() {
  const keys = await media.evaluate(() => window.keys());
  const found = keys.map((key) => {
    const [app, name] = key.split('/');
    return stream(
      app,
      name,
      name === 'demo' ? { publisher: { protocol: 'demo', since: new Date().toISOString() } } : {},
    );
  });
  found.push(
    stream('live', 'obs', {
      publisher: { protocol: 'rtmp', since: new Date(Date.now() - 5e6).toISOString() },
      video: { codec: 'H264', width: 1920, height: 1080, frameRate: 30, bFrames: 'referenced' },
      audio: { codec: 'AAC', sampleRate: 48000, channels: 2 },
      bitrate: 4_200_000,
      warnings: [{ code: 'b-frames', message: REFUSED }],
    }),
  );
  found.push(
    stream('live', 'radio', {
      video: null,
      audio: { codec: 'opus', sampleRate: 48000, channels: 2 },
      bitrate: 96_000,
    }),
  );
  return found;
}

function problem(response, status, title, detail) {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ type: 'about:blank', title, status, detail }));
}

async function offer(request, response, door, key) {
  let body = '';
  for await (const chunk of request) body += chunk;
  if (key === 'live/obs') return problem(response, 406, 'Not Acceptable', REFUSED);
  const id = `r${nextId++}`;
  const answer = await media.evaluate(([verb, ...rest]) => window[verb](...rest), [door, id, key, body]);
  if (!answer)
    return problem(response, 404, 'Not Found', `Nobody publishes ${key}. Start publishing, then play again.`);
  response.writeHead(201, { 'content-type': 'application/sdp', location: `/resource/${id}`, etag: '"1"' });
  response.end(answer);
}

function flv(response) {
  response.writeHead(200, { 'content-type': 'video/x-flv' });
  const source = [
    '-re',
    '-f',
    'lavfi',
    '-i',
    'testsrc2=size=640x360:rate=25',
    '-f',
    'lavfi',
    '-i',
    'sine=frequency=440',
  ];
  const child = spawn(ffmpeg, [
    '-loglevel',
    'error',
    ...source,
    '-c:v',
    'libx264',
    '-preset',
    'ultrafast',
    '-tune',
    'zerolatency',
    '-g',
    '25',
    '-pix_fmt',
    'yuv420p',
    '-c:a',
    'aac',
    '-f',
    'flv',
    '-',
  ]);
  children.add(child);
  child.stdout.pipe(response);
  response.on('close', () => child.kill());
}

function startHls() {
  const source = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25'];
  children.add(
    spawn(ffmpeg, [
      '-loglevel',
      'error',
      ...source,
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-tune',
      'zerolatency',
      '-g',
      '25',
      '-pix_fmt',
      'yuv420p',
      '-f',
      'hls',
      '-hls_time',
      '1',
      '-hls_list_size',
      '6',
      '-hls_flags',
      'delete_segments',
      '-hls_segment_type',
      'fmp4',
      join(hls, 'demo.m3u8'),
    ]),
  );
}

function file(response, path) {
  if (!existsSync(path)) return problem(response, 404, 'Not Found', 'There is no such file.');
  response.writeHead(200, {
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'cache-control': 'no-store',
  });
  createReadStream(path).pipe(response);
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://x');
  const [first, ...rest] = pathname.slice(1).split('/');
  if (down && first !== 'dev') return request.destroy();
  if (pathname === '/v1/server')
    return response.end(
      JSON.stringify({
        version: '0.1.0',
        mode: 'dev',
        sdkAppId: 1400000001,
        rtmpPort: 1935,
        rtmpUrl: 'rtmp://127.0.0.1:1935',
        open: true,
      }),
    );
  if (pathname === '/v1/streams') return response.end(JSON.stringify({ streams: await streams() }));
  if (request.method === 'POST' && (first === 'whip' || first === 'whep'))
    return offer(request, response, first, rest.join('/'));
  if (request.method === 'DELETE') {
    await media.evaluate((id) => window.remove(id), rest[0]);
    return response.end();
  }
  if (pathname.endsWith('.flv')) return flv(response);
  if (first === 'live') return file(response, join(hls, rest.join('/')));
  if (first === 'dev') return file(response, join(web, pathname));
  if (pathname === '/') return file(response, join(web, 'dist/index.html'));
  if (pathname === '/demo/co-anchor') return file(response, join(web, 'dist/demo/co-anchor/index.html'));
  return file(response, join(web, 'dist', pathname));
}

const FLAGS =
  '--no-sandbox --headless=new --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required --use-fake-device-for-media-stream --use-fake-ui-for-media-stream --disable-features=WebRtcHideLocalIpsWithMdns'.split(
    ' ',
  );

const server = createServer((request, response) =>
  serve(request, response).catch((error) => problem(response, 500, 'Error', String(error))),
);
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
  headless: true,
});
let failed = 0;

function check(what, holds, seen = '') {
  console.log(`${holds ? 'ok  ' : 'FAIL'} ${what} ${seen}`);
  if (!holds) failed += 1;
}

function ended(child) {
  return new Promise((resolve) => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
}

async function page(width, height, scheme, path) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const opened = await context.newPage();
  opened.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      console.log(`     [${message.type()}] ${message.text().slice(0, 200)}`);
  });
  opened.on('pageerror', (error) => check('page error', false, error.message));
  opened.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(origin))
      check('no external request', false, request.url());
  });
  await opened.goto(origin + path);
  return opened;
}

async function wide(opened, name) {
  const overflow = await opened.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(`${name} fits its width`, overflow <= 0, `${overflow}`);
  await opened.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

const playing = (opened, nth = 0) =>
  opened.waitForFunction(
    (n) => {
      const video = document.querySelectorAll('.watch video, .tile video')[n];
      return video && video.videoWidth > 0 && !video.paused && video.readyState >= 3;
    },
    nth,
    { timeout: 20_000 },
  );

const figure = (opened, label) =>
  opened.evaluate(
    (wanted) =>
      [...document.querySelectorAll('.figures dt')].find((dt) => dt.textContent === wanted)
        ?.nextElementSibling?.textContent,
    label,
  );

async function tryHome() {
  const home = await page(1280, 900, 'light', '/');
  await home.waitForFunction(
    () => [...document.querySelectorAll('.picture canvas')].some((canvas) => !canvas.hidden),
    undefined,
    { timeout: 15_000 },
  );
  check('a picture was taken', true);
  await wide(home, 'home-1280-light');
  for (const [door, wait] of [
    ['WebRTC', 3500],
    ['FLV', 4500],
    ['HLS', 7000],
  ]) {
    await home.goto(`${origin}/#/live/demo`);
    await home.getByRole('tab', { name: door }).click();
    await playing(home);
    await home.waitForTimeout(wait);
    const fps = Number.parseInt(await figure(home, 'Frame rate'), 10);
    check(
      `${door} plays`,
      fps > 5,
      `${fps} fps, delay ${await figure(home, 'Delay')}, ${await figure(home, 'Codecs')}, ${await figure(home, 'Bitrate')}`,
    );
    await wide(home, `watch-${door}-1280`);
  }
  await home.goto(`${origin}/#/live/obs`);
  await home.waitForFunction(
    () => document.querySelector('.stage .say')?.textContent.includes('B-frames'),
    undefined,
    { timeout: 5000 },
  );
  check("the server's refusal is shown", true);
  await wide(home, 'watch-refused-1280');
  await home.context().close();
}

async function tryRestart() {
  const home = await page(1280, 900, 'dark', '/#/live/demo');
  await playing(home);
  const began = Date.now();
  down = true;
  await media.evaluate(() => window.restart());
  await home.waitForFunction(
    () => document.querySelector('.watch .say')?.textContent.includes('Trying again'),
    undefined,
    { timeout: 10_000 },
  );
  check('the loss is noticed', true, `after ${Date.now() - began} ms`);
  await wide(home, 'watch-lost-1280-dark');
  down = false;
  const back = Date.now();
  await home.waitForFunction(() => document.querySelector('.watch .say')?.hidden, undefined, {
    timeout: 15_000,
  });
  check('the picture returns', true, `${Date.now() - back} ms after the server`);
  await home.context().close();
}

async function trySilence() {
  const home = await page(1280, 900, 'light', '/#/live/demo');
  await playing(home);
  const began = Date.now();
  await media.evaluate(() => window.silence());
  await home.waitForFunction(
    () => document.querySelector('.watch .say')?.textContent.includes('three seconds'),
    undefined,
    { timeout: 10_000 },
  );
  check('silence without a goodbye is noticed', Date.now() - began > 2500, `after ${Date.now() - began} ms`);
  await home.waitForFunction(() => document.querySelector('.watch .say')?.hidden, undefined, {
    timeout: 15_000,
  });
  check('the picture returns', true);
  await home.context().close();
}

async function tryAutoplay() {
  const strict = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS.map((flag) => flag.replace('no-user-gesture-required', 'document-user-activation-required')),
    headless: true,
  });
  const opened = await (await strict.newContext()).newPage();
  // What playwright evaluates counts as a gesture: nothing is asked before the player had to decide.
  await opened.goto(`${origin}/dev/autoplay.html`);
  await opened.waitForTimeout(4000);
  const look = () =>
    opened.evaluate(() => {
      const { video, shadowRoot } = document.getElementById('strict');
      return {
        muted: video.muted,
        plays: !video.paused && video.readyState >= 3,
        hidden: shadowRoot.querySelector('button').hidden,
      };
    });
  const before = await look();
  check(
    'autoplay: muted start with a button',
    before.muted && before.plays && !before.hidden,
    JSON.stringify(before),
  );
  await opened.mouse.click(300, 8);
  await opened.waitForTimeout(500);
  const after = await look();
  check(
    'autoplay: the first gesture brings sound',
    !after.muted && after.plays && after.hidden,
    JSON.stringify(after),
  );
  await strict.close();
}

async function tryPublish() {
  const home = await page(390, 844, 'light', '/#publish');
  await home.getByRole('button', { name: 'Camera' }).click();
  await home.getByText(/^Live: /).waitFor({ timeout: 15_000 });
  await home.waitForTimeout(3000);
  const status = await home.locator('.publish [role=status]').textContent();
  check('the browser publishes H.264', status.includes('H.264'), status);
  await wide(home, 'publish-390');
  down = true;
  await media.evaluate(() => window.restart());
  const lostAt = Date.now();
  await home
    .locator('.publish [role=status]')
    .getByText(/Trying again/)
    .waitFor({ timeout: 15_000 });
  console.log(`     noticed after ${Date.now() - lostAt} ms`);
  down = false;
  await home.getByText(/^Live: /).waitFor({ timeout: 15_000 });
  check('the publisher comes back', (await media.evaluate(() => window.keys())).includes('live/me'));
  await home.getByRole('button', { name: 'Stop' }).click();
  await home.waitForTimeout(500);
  check('stopping deletes', !(await media.evaluate(() => window.keys())).includes('live/me'));
  await home.getByRole('tab', { name: 'OBS' }).click();
  await wide(home, 'publish-obs-390');
  await home.getByRole('tab', { name: 'ffmpeg' }).click();
  await wide(home, 'publish-ffmpeg-390');
  await home.context().close();
}

async function tryShow(mode, width) {
  const show = await page(
    width,
    900,
    mode === 'pk' ? 'dark' : 'light',
    `/demo/co-anchor?as=all&mode=${mode}&show=t${mode}${width}`,
  );
  await show.getByRole('button', { name: 'Go live' }).first().click();
  if (mode === 'mic') await show.getByRole('button', { name: 'Go on the mic' }).click({ timeout: 10_000 });
  else await show.getByRole('button', { name: 'Go live' }).first().click();
  const tiles = mode === 'mic' ? 6 : 8;
  await show
    .waitForFunction(
      (n) => {
        const videos = [...document.querySelectorAll('.tile video')];
        return videos.length === n && videos.every((video) => video.videoWidth > 0 && !video.paused);
      },
      tiles,
      { timeout: 30_000 },
    )
    .catch(() => {});
  const seen = await show.evaluate(() =>
    [...document.querySelectorAll('.tile video')]
      .map((video) => `${video.videoWidth}${video.paused ? 'p' : ''}`)
      .join(' '),
  );
  check(`${mode}: ${tiles} pictures`, seen.split(' ').length === tiles && !/\b0|p/.test(seen), seen);
  await show.waitForTimeout(1500);
  await wide(show, `${mode}-${width}`);
  await show
    .getByRole('button', { name: mode === 'mic' ? 'Leave the mic' : 'Stop' })
    .first()
    .click();
  await show.waitForTimeout(4500);
  await wide(show, `${mode}-${width}-after`);
  await show.context().close();
}

async function tryElements() {
  const blank = await page(800, 600, 'light', '/');
  const events = await blank.evaluate(async () => {
    await import('/sdk/element.js');
    const codes = [];
    const player = document.createElement('live-player');
    player.addEventListener('statechange', ({ detail }) => codes.push(detail.code));
    player.addEventListener('error', ({ detail }) => codes.push(detail.code));
    player.setAttribute('min-cache', 'soon');
    player.src = '/live/demo';
    player.muted = true;
    document.body.append(player);
    const status = await new Promise((resolve) =>
      player.addEventListener('netstatus', ({ detail }) => detail.info.videoFPS > 0 && resolve(detail.info)),
    );
    const blob = await player.snapshot();
    player.setAttribute('object-fit', 'fillCrop');
    const fit = getComputedStyle(player.video).objectFit;
    player.remove();
    const missing = document.createElement('live-player');
    const failed = new Promise((resolve) =>
      missing.addEventListener('error', ({ detail }) => resolve(detail)),
    );
    missing.src = '/live/nobody';
    document.body.append(missing);
    const { code, errMsg } = await failed;
    const pusher = document.createElement('live-pusher');
    const pushed = [];
    pusher.addEventListener('statechange', ({ detail }) => pushed.push(detail.code));
    pusher.url = '/live/tag';
    pusher.setAttribute('autopush', '');
    document.body.append(pusher);
    await new Promise((resolve) =>
      pusher.addEventListener('netstatus', ({ detail }) => detail.info.videoFPS > 0 && resolve()),
    );
    pusher.remove();
    return { codes, status: { ...status, stats: undefined }, blob: blob.size, fit, code, errMsg, pushed };
  });
  check(
    '<live-player> codes',
    [2001, 2002, 2003, 2004].every((code) => events.codes.includes(code)),
    JSON.stringify(events),
  );
  check('<live-player> not found', events.code === 'not-found');
  check(
    '<live-pusher> codes',
    [1003, 1001, 1002, 1008].every((code) => events.pushed.includes(code)),
  );
  await blank.context().close();
}

try {
  media = await (await browser.newContext()).newPage();
  await media.goto(`${origin}/dev/fake-media.html`);
  await media.waitForFunction(() => window.keys?.().length === 1);
  startHls();
  const only = process.env.ONLY;
  const parts = {
    home: tryHome,
    restart: tryRestart,
    silence: trySilence,
    autoplay: tryAutoplay,
    publish: tryPublish,
    elements: tryElements,
    mic: () => tryShow('mic', 1280),
    pk: () => tryShow('pk', 1280),
    narrow: async () => {
      const home = await page(390, 844, 'dark', '/#/live/demo');
      await playing(home);
      await home.waitForTimeout(3000);
      await wide(home, 'watch-390-dark');
      await home.context().close();
      const lobby = await page(390, 844, 'light', '/demo/co-anchor');
      await wide(lobby, 'lobby-390');
      await lobby.setViewportSize({ width: 1280, height: 900 });
      await wide(lobby, 'lobby-1280');
      await lobby.context().close();
      await tryShow('mic', 390);
    },
  };
  for (const [name, run] of Object.entries(parts)) {
    if (only && only !== name) continue;
    console.log(`-- ${name}`);
    await run().catch((error) => check(name, false, error.message.split('\n')[0]));
  }
} finally {
  await browser.close();
  await Promise.all(
    [...children].filter((child) => child.exitCode === null && child.signalCode === null).map(ended),
  );
  server.close();
  rmSync(hls, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
console.log(`${failed} failed; screenshots in ${shots}`);
process.exit(failed ? 1 : 0);
