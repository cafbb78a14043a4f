// Chromium watches for long, by RTMP to WHEP and by WHIP to WHEP at once; before that it joins each twenty times. Prints
// Markdown, and ends with 1 where a picture froze or none came. No part of `make test`: what it says is also about the
// machine, which has to decode (and for WHIP encode) in time.
//
//   STENTOR_BIN=target/release/stentor node e2e/long/chromium.mjs [MINUTES]

import { cpus, loadavg } from 'node:os';
import { launchBrowser, serveSdk } from '../lib/browser.mjs';
import { publish, readmePublish } from '../lib/ffmpeg.mjs';
import { startServer } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const JOINS = 20;
/** Milliseconds between two looks at the statistics. */
const LOOK_MS = 1_000;

/** What pages can do: `join(url)` and `publish(url)`. */
function inPage() {
  const exchange = async (connection, url) => {
    await connection.setLocalDescription();
    const asked = performance.now();
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: connection.localDescription.sdp });
    const sdp = await answer.text();
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${sdp}`);
    await connection.setRemoteDescription({ type: 'answer', sdp });
    const session = answer.headers.get('location');
    return { asked, session: session && new URL(session, url).href };
  };

  window.join = async (url) => {
    const connection = new RTCPeerConnection();
    for (const kind of ['audio', 'video']) connection.addTransceiver(kind, { direction: 'recvonly' });
    const video = document.createElement('video');
    video.muted = true;
    video.width = 320;
    document.body.append(video);
    const media = new MediaStream();
    connection.ontrack = ({ track }) => media.addTrack(track);
    video.srcObject = media;
    video.autoplay = true;
    const shown = new Promise((resolve, reject) => {
      video.requestVideoFrameCallback((now, frame) => resolve({ ...frame, at: performance.now() }));
      setTimeout(() => reject(new Error(`${url}: no picture in 15 s, the connection is ${connection.connectionState}`)), 15_000);
    });
    const { asked, session } = await exchange(connection, url);
    const first = await shown;
    const decodedAt = first.receiveTime === undefined ? first.at : first.receiveTime + 1_000 * (first.processingDuration ?? 0);
    const leave = async () => {
      connection.close();
      video.remove();
      if (session) await fetch(session, { method: 'DELETE' });
    };
    return { connection, leave, decodedMs: decodedAt - asked, shownMs: first.at - asked };
  };

  window.publish = async (url) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [640, 360];
    document.body.append(canvas);
    const context = canvas.getContext('2d');
    let drawn = 0;
    setInterval(() => {
      context.fillStyle = `hsl(${drawn % 360} 60% 40%)`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = '#fff';
      context.fillRect((drawn * 5) % canvas.width, (drawn * 3) % canvas.height, 60, 60);
      drawn += 1;
    }, 1_000 / 30);
    const audio = new AudioContext();
    const tone = new OscillatorNode(audio, { frequency: 440 });
    const out = audio.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    const connection = new RTCPeerConnection();
    window.publishing = connection;
    for (const track of [...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]) {
      connection.addTransceiver(track, { direction: 'sendonly' });
    }
    await exchange(connection, url);
  };

  window.look = async (connection) => {
    const entries = [...(await connection.getStats()).values()];
    const video = entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'video');
    const codec = entries.find((entry) => entry.id === video?.codecId);
    const names = ['framesDecoded', 'framesDropped', 'freezeCount', 'totalFreezesDuration', 'jitterBufferDelay', 'jitterBufferEmittedCount'];
    const more = ['packetsReceived', 'packetsLost', 'nackCount', 'pliCount', 'frameWidth', 'frameHeight'];
    return { codec: codec?.mimeType, ...Object.fromEntries([...names, ...more].map((name) => [name, video?.[name] ?? 0])) };
  };
}

async function openPage(browser, origin) {
  const page = await browser.newPage();
  await page.addInitScript(inPage);
  await page.goto(origin);
  return page;
}

/** Milliseconds from the POST to the first picture that was decoded, and to the first that was shown. */
async function joinOften(page, url) {
  return page.evaluate(
    async ({ url, count }) => {
      const joins = [];
      for (let join = 0; join < count; join += 1) {
        const { leave, decodedMs, shownMs } = await window.join(url);
        joins.push({ decodedMs, shownMs });
        await leave();
        // Elsewhere in the group of pictures each time.
        await new Promise((resolve) => setTimeout(resolve, 150 + ((join * 370) % 1_000)));
      }
      return joins;
    },
    { url, count: JOINS },
  );
}

/** Plays all URLs together; gives the last statistics of each, and the seconds at which a freeze was counted. */
async function playLong(page, urls, minutes) {
  await page.evaluate(async (urls) => {
    window.playing = [];
    for (const url of urls) window.playing.push(await window.join(url));
  }, urls);
  const began = performance.now();
  const freezes = urls.map(() => []);
  let last = urls.map(() => ({ freezeCount: 0 }));
  while (performance.now() - began < minutes * 60_000) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const seen = await page.evaluate(() => Promise.all(window.playing.map(({ connection }) => window.look(connection))));
    for (const [at, stats] of seen.entries()) {
      if (stats.freezeCount > last[at].freezeCount) freezes[at].push(Math.round((performance.now() - began) / 1_000));
    }
    last = seen;
  }
  const seconds = (performance.now() - began) / 1_000;
  await page.evaluate(() => Promise.all(window.playing.map(({ leave }) => leave())));
  return last.map((stats, at) => ({ ...stats, seconds, freezes: freezes[at] }));
}

/** Of 20 values p95 is the nineteenth. */
function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(Math.ceil(q * sorted.length) - 1, 0)];
}

async function isLive(server, stream) {
  await until(`${stream} is live`, async () => {
    const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
    return streams.some((entry) => entry.stream === stream && entry.video);
  }, { timeoutMs: 30_000 });
}

function printJoins(paths, joins) {
  console.log(`\n${JOINS} joins each, one after another: milliseconds from the POST of the offer.\n`);
  console.log('| path | first picture decoded p50 | p95 | most | shown p50 | p95 |\n|---|---|---|---|---|---|');
  for (const [at, { name }] of paths.entries()) {
    const of = (key, q) => Math.round(quantile(joins[at].map((join) => join[key]), q));
    const cells = [of('decodedMs', 0.5), of('decodedMs', 0.95), of('decodedMs', 1), of('shownMs', 0.5), of('shownMs', 0.95)];
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}

function printPlays(paths, plays, minutes) {
  console.log(`\nBoth played together for ${minutes} minutes.\n`);
  console.log('| path | codec | pictures a second | freezes | frozen, s | at second | dropped | mean time in the jitter buffer, ms | packets lost | NACKs | PLIs |');
  console.log('|---|---|---|---|---|---|---|---|---|---|---|');
  for (const [at, { name }] of paths.entries()) {
    const play = plays[at];
    const buffered = (1_000 * play.jitterBufferDelay) / Math.max(play.jitterBufferEmittedCount, 1);
    const cells = [`${play.codec} ${play.frameWidth}x${play.frameHeight}`, (play.framesDecoded / play.seconds).toFixed(1), play.freezeCount];
    cells.push(play.totalFreezesDuration.toFixed(1), play.freezes.join(', ') || '-', play.framesDropped, buffered.toFixed(0));
    cells.push(`${play.packetsLost} of ${play.packetsReceived}`, play.nackCount, play.pliCount);
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}

async function main() {
  const minutes = Number(process.argv[2] ?? 30);
  if (!(minutes > 0)) throw new Error(`${process.argv[2]} is no number of minutes`);
  const load = loadavg()[0].toFixed(2);
  const open = [];
  const closing = async () => {
    for (const close of open.reverse()) await close();
  };
  try {
    const server = await startServer({ args: ['--no-demo'] });
    open.push(() => server.stop());
    const sdk = await serveSdk();
    open.push(() => sdk.close());
    const [sender, viewer] = await Promise.all([launchBrowser(), launchBrowser()]);
    open.push(() => Promise.all([sender.close(), viewer.close()]));
    const ffmpeg = publish(await readmePublish(server.rtmp, 'rtmp'));
    open.push(() => ffmpeg.stop());
    await (await openPage(sender, sdk.origin)).evaluate((url) => window.publish(url), `${server.http}/whip/live/whip`);
    await Promise.all([isLive(server, 'rtmp'), isLive(server, 'whip')]);
    const paths = [
      { name: 'RTMP (ffmpeg, as in README.md) to WHEP', url: `${server.http}/whep/live/rtmp` },
      { name: 'WHIP (Chromium) to WHEP', url: `${server.http}/whep/live/whip` },
    ];
    console.log(`Chromium ${viewer.version()}, headless; ${cpus().length} cores for the server, ffmpeg, one browser that encodes and one that decodes; load ${load} at the start.`);
    const page = await openPage(viewer, sdk.origin);
    const joins = [];
    for (const { url } of paths) joins.push(await joinOften(page, url));
    printJoins(paths, joins);
    const plays = await playLong(page, paths.map(({ url }) => url), minutes);
    printPlays(paths, plays, minutes);
    if (plays.some((play) => play.freezeCount > 0 || play.framesDecoded === 0)) process.exitCode = 1;
  } finally {
    await closing();
  }
}

await main();
