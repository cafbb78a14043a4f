// A headless Chromium, and a page in it that plays by the built SDK.

import { access, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const sdk = fileURLToPath(new URL('../../web/sdk/dist/', import.meta.url));

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FLAGS = [
  '--no-sandbox',
  '--headless=new',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

/** The browser: `CHROMIUM`, else the first that is found on the path. */
export async function findBrowser() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const candidates = [process.env.CHROMIUM, ...NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)))];
  for (const candidate of candidates.filter(Boolean)) {
    if (await access(candidate).then(() => true, () => false)) return candidate;
  }
  throw new Error(`no browser was found (${NAMES.join(', ')}); set CHROMIUM to its path`);
}

/** A browser; `close` it. */
export async function launchBrowser() {
  const executablePath = await findBrowser();
  return chromium.launch({ executablePath, args: FLAGS, ignoreDefaultArgs: ['--mute-audio'] });
}

/**
 * Serves an empty page and the built SDK from an origin of its own, so that what is played is cross-origin as it is on
 * users' sites.
 */
export async function serveSdk() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/') {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><title>e2e</title><body></body>');
      return;
    }
    const file = path.join(sdk, path.normalize(pathname));
    if (!file.startsWith(sdk)) return response.writeHead(404).end();
    try {
      const content = await readFile(file);
      response.setHeader('content-type', 'text/javascript').end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

/** A page with the SDK loaded as `window.stentor`. Errors of the page are gathered in `page.errors`. */
export async function openPage(browser, origin) {
  const page = await browser.newPage();
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  // What the SDK does not tell is read from its connections.
  await page.addInitScript(() => {
    window.connections = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) {
        super(...args);
        window.connections.push(this);
      }
    };
    window.audioOf = async () => {
      const found = { energy: 0, samples: 0, concealed: 0 };
      for (const connection of window.connections) {
        for (const entry of (await connection.getStats()).values()) {
          if (entry.type !== 'inbound-rtp' || entry.kind !== 'audio') continue;
          found.energy += entry.totalAudioEnergy ?? 0;
          found.samples += entry.totalSamplesReceived ?? 0;
          found.concealed += entry.concealedSamples ?? 0;
        }
      }
      return found;
    };
  });
  await page.goto(origin);
  await page.evaluate(async () => {
    window.stentor = await import('/stentor.js');
  });
  return page;
}

/**
 * Plays a URL in the page for some seconds after its first picture and gives what was seen: milliseconds to the first
 * picture, the last statistics, pictures that differed from the one before, and the mean brightness of the last.
 */
export function play(page, url, { seconds = 3, muted = true, ...options } = {}) {
  return page.evaluate(
    async ({ url, seconds, muted, options }) => {
      const video = document.createElement('video');
      video.muted = muted;
      document.body.append(video);
      const player = new window.stentor.LivePlayer({ url, video, ...options });
      const began = performance.now();
      const reconnects = [];
      player.on('reconnecting', (event) => reconnects.push(String(event.error ?? event)));
      await player.start();
      const firstFrameMs = performance.now() - began;
      const canvas = new OffscreenCanvas(64, 36);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      let last;
      let changes = 0;
      let brightness = 0;
      const look = () => {
        context.drawImage(video, 0, 0, canvas.width, canvas.height);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        brightness = data.reduce((sum, value, at) => (at % 4 === 3 ? sum : sum + value), 0) / (data.length * 0.75);
        if (last && data.some((value, at) => Math.abs(value - last[at]) > 8)) changes += 1;
        last = data;
      };
      // Statistics come once a second, and are what the seconds are counted by.
      const stats = [];
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no statistics of ${url}`)), (seconds + 10) * 1000);
        player.on('stats', (event) => {
          stats.push(structuredClone(event));
          look();
          if (stats.length < seconds) return;
          clearTimeout(timer);
          resolve();
        });
      });
      const seen = {
        firstFrameMs,
        audio: await window.audioOf(),
        stats: stats.at(-1),
        changes,
        brightness,
        reconnects,
        width: video.videoWidth,
        height: video.videoHeight,
        currentTime: video.currentTime,
      };
      player.stop();
      video.remove();
      return seen;
    },
    { url, seconds, muted, options },
  );
}
