import { addressesOf, rtmpBase } from '../parts/addresses.js';
import { copyRow, h, tabs } from '../parts/dom.js';
import type { ServerFacts } from '../parts/server.js';
import { token, withToken } from '../parts/token.js';
import { BrowserPublisher } from './browser-publisher.js';

/**
 * The three ways to publish: from this browser, OBS, ffmpeg.
 * @param refused runs when the server wants a token, or another one.
 * @returns a function that writes the recipes anew, for when the server's facts have come.
 */
export function publishPanel(
  place: HTMLElement,
  server: () => ServerFacts | undefined,
  refused: () => void,
): () => void {
  const name = h('input', { value: savedName(), maxLength: 64, spellcheck: false, autocapitalize: 'off' });
  name.pattern = '[A-Za-z0-9_.\\-]+';
  const body = h('div');
  const browser = new BrowserPublisher(() => cleanName(name.value), refused);
  let way = 'browser';
  const show = (): void => {
    const stream = cleanName(name.value);
    if (way === 'browser') body.replaceChildren(browser.element);
    else body.replaceChildren(way === 'obs' ? obs(stream, server()) : ffmpeg(stream, server()));
  };
  name.addEventListener('input', () => {
    localStorage.setItem(NAME_KEY, cleanName(name.value));
    show();
  });
  const choose = (id: string): void => {
    way = id;
    show();
  };
  place.append(
    h(
      'div',
      { className: 'card publish' },
      h('h2', { id: 'publish-title' }, 'Publish'),
      h(
        'div',
        { className: 'row end' },
        h('label', { className: 'name' }, 'Stream name', name),
        tabs('Way to publish', WAYS, way, choose),
      ),
      body,
    ),
  );
  show();
  return show;
}

function obs(stream: string, server: ServerFacts | undefined): HTMLElement {
  const rtmp = h(
    'div',
    {},
    h('h3', {}, 'RTMP'),
    h('p', { className: 'small soft' }, 'Settings, Stream, Service: Custom.'),
    h(
      'div',
      {},
      copyRow('Server', `${rtmpBase(server) ?? DEFAULT_RTMP}/live`),
      copyRow('Key', withToken(stream)),
    ),
  );
  const whip = h(
    'div',
    {},
    h('h3', {}, 'WHIP, the lower delay'),
    h('p', { className: 'small soft' }, 'Settings, Stream, Service: WHIP.'),
    h(
      'div',
      {},
      copyRow('Server', addressesOf('live', stream, server).whip),
      server && !server.open && !token() && copyRow('Token', 'your UserSig'),
    ),
  );
  const advice = h(
    'ul',
    { className: 'small soft' },
    h('li', {}, 'Encoder H.264, keyframe interval 1 s or 2 s, tune zerolatency.'),
    h('li', {}, 'B-frames 0: WebRTC viewers cannot show pictures out of order. FLV and HLS viewers can.'),
    h('li', {}, 'Sound AAC 48 kHz for RTMP, Opus for WHIP; either reaches every viewer.'),
  );
  return h('div', {}, h('div', { className: 'half' }, rtmp, whip), advice);
}

function ffmpeg(stream: string, server: ServerFacts | undefined): HTMLElement {
  const { whip } = addressesOf('live', stream, server);
  const rtmp = withToken(`${rtmpBase(server) ?? DEFAULT_RTMP}/live/${stream}`);
  const video = '-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 -pix_fmt yuv420p -b:v 2500k';
  const lines: [string, string][] = [
    [
      'A file',
      `ffmpeg -re -stream_loop -1 -i input.mp4 ${video} -c:a aac -ar 48000 -b:a 128k -f flv "${rtmp}"`,
    ],
    [
      'Test',
      `ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 ${video} -c:a aac -b:a 128k -f flv "${rtmp}"`,
    ],
    ['WHIP', `ffmpeg -re -i input.mp4 ${video} -c:a libopus -ar 48000 -ac 2 -b:a 96k -f whip "${whip}"`],
  ];
  return h(
    'div',
    {},
    h('div', {}, ...lines.map(([label, line]) => copyRow(label, line, true))),
    h('p', { className: 'small soft' }, 'The WHIP line needs ffmpeg 8 or newer.'),
  );
}

function savedName(): string {
  return localStorage.getItem(NAME_KEY) || 'me';
}

function cleanName(text: string): string {
  return text.replace(/[^A-Za-z0-9_.-]/g, '') || 'me';
}

const NAME_KEY = 'stentor-name';
const DEFAULT_RTMP = 'rtmp://localhost:1935';
const WAYS = [
  ['browser', 'This browser'],
  ['obs', 'OBS'],
  ['ffmpeg', 'ffmpeg'],
] as const;
