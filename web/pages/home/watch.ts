import { type LiveError, LivePlayer, type PlayerStats } from 'stentor';
import { addressesOf } from '../parts/addresses.js';
import { copyRow, h, say, tabs } from '../parts/dom.js';
import { bitrate, codec, milliseconds, perSecond, sentence, size } from '../parts/format.js';
import { Plot } from '../parts/plot.js';
import type { ServerFacts, StreamFacts } from '../parts/server.js';
import { HealthPanel } from './health.js';
import { keyOf, type StreamName } from './stream-list.js';

type Door = 'whep' | 'flv' | 'hls';

/** One stream large: a player with a tab for each protocol, its statistics, and every address to copy. */
export class Watch {
  readonly #place: HTMLElement;
  readonly #server: () => ServerFacts | undefined;
  readonly #refused: () => void;
  #view: View | undefined;

  /** @param refused runs when the server wants a token, or another one. */
  constructor(place: HTMLElement, server: () => ServerFacts | undefined, refused: () => void) {
    this.#place = place;
    this.#server = server;
    this.#refused = refused;
  }

  choose(name: StreamName | undefined): void {
    this.#view?.close();
    this.#view = name && new View(name, this.#server, this.#refused);
    this.#place.replaceChildren(...(this.#view ? [this.#view.element] : []));
  }

  update(streams: readonly StreamFacts[]): void {
    const view = this.#view;
    if (view) view.update(streams.find((stream) => keyOf(stream) === keyOf(view.name)));
  }

  renewAddresses(): void {
    this.#view?.renewAddresses();
  }
}

class View {
  readonly element: HTMLElement;
  readonly name: StreamName;
  readonly #server: () => ServerFacts | undefined;
  readonly #refused: () => void;
  readonly #video = h('video', { controls: true, playsInline: true });
  readonly #say = h('p', { role: 'status' });
  readonly #notice = h('div', { className: 'say' }, this.#say);
  readonly #sound = h('button', { type: 'button', className: 'sound', hidden: true });
  readonly #other = h('button', { type: 'button', hidden: true }, 'Play by FLV');
  readonly #health: HealthPanel;
  readonly #figures = h('dl', { className: 'figures' });
  readonly #values = new Map<string, HTMLElement>();
  readonly #bitrate = new Plot('Bitrate');
  readonly #delay = new Plot('Delay behind the server');
  readonly #addresses = h('div');
  #door: Door = 'whep';
  #doors: HTMLElement | undefined;
  #player: LivePlayer | undefined;
  #viewers = '';

  constructor(name: StreamName, server: () => ServerFacts | undefined, refused: () => void) {
    this.name = name;
    this.#server = server;
    this.#refused = refused;
    this.#health = new HealthPanel(name);
    for (const label of FIGURES) {
      const value = h('dd', {}, '–');
      this.#values.set(label, value);
      this.#figures.append(h('div', {}, h('dt', {}, label), value));
    }
    this.#sound.addEventListener('click', () => this.#player?.unmute());
    this.#other.addEventListener('click', () =>
      this.#doors?.querySelector<HTMLElement>('[data-id=flv]')?.click(),
    );
    this.#notice.append(this.#other);
    this.element = this.#build();
    this.renewAddresses();
    this.#play();
  }

  close(): void {
    this.#player?.stop();
    this.#health.close();
  }

  update(stream: StreamFacts | undefined): void {
    if (!stream) return;
    const { webrtc, flv, hls, rtmp } = stream.viewers;
    this.#viewers = String(webrtc + flv + hls + rtmp);
    this.#write('Viewers', this.#viewers);
  }

  renewAddresses(): void {
    const found = addressesOf(this.name.app, this.name.stream, this.#server());
    const rows: [string, string | undefined][] = [
      ['WHEP', found.whep],
      ['WebRTC', found.webrtc],
      ['trtc', found.trtc],
      ['artc', found.artc],
      ['FLV', found.flv],
      ['WS-FLV', found.wsFlv],
      ['HLS', found.hls],
      ['RTMP', found.rtmp],
      ['WHIP', found.whip],
    ];
    this.#addresses.replaceChildren(...rows.flatMap(([label, url]) => (url ? [copyRow(label, url)] : [])));
  }

  #build(): HTMLElement {
    const choose = (id: string): void => {
      this.#door = id as Door;
      this.#play();
    };
    this.#doors = tabs('Protocol', DOORS, this.#door, choose);
    const stage = h('div', { className: 'stage' }, this.#video, this.#notice, this.#sound);
    const figures = h('div', { className: 'card panel' }, h('h3', {}, 'Right now'), this.#figures);
    figures.append(this.#bitrate.element, this.#delay.element);
    const addresses = h('div', { className: 'card panel' }, h('h3', {}, 'Addresses'), this.#addresses);
    return h(
      'section',
      { className: 'watch', 'aria-label': `Watching ${keyOf(this.name)}` },
      h(
        'header',
        {},
        h('h2', {}, keyOf(this.name)),
        h('a', { href: '#', className: 'small' }, 'Close'),
        this.#doors,
      ),
      h('div', { className: 'left' }, stage, this.#health.element, addresses),
      h('div', { className: 'right' }, figures),
    );
  }

  #play(): void {
    this.#player?.stop();
    this.#bitrate.clear();
    this.#delay.clear();
    this.#sound.hidden = true;
    this.#tell('Connecting…');
    const url = addressesOf(this.name.app, this.name.stream, this.#server())[this.#door];
    const player = new LivePlayer({ url, video: this.#video, waitForStream: true });
    this.#player = player;
    player.on('firstframe', () => this.#tell(''));
    player.on('reconnecting', ({ error }) => this.#tell(this.#waiting(error)));
    player.on('stats', (stats) => this.#show(stats));
    player.on('autoplay-failed', ({ muted }) => {
      say(this.#sound, muted ? 'Tap for sound' : 'Tap to play');
      this.#sound.hidden = false;
    });
    player.on('autoplay-resumed', () => {
      this.#sound.hidden = true;
    });
    player.start().catch((error: LiveError) => {
      if (this.#player !== player || error.code === 'aborted') return;
      this.#tell(sentence(error.message));
      if (error.code === 'unauthorized' || error.code === 'forbidden') this.#refused();
      this.#other.hidden = this.#door !== 'whep' || error.code !== 'not-supported';
    });
  }

  #waiting(error: LiveError): string {
    if (error.code !== 'not-found') return `${sentence(error.message)} Trying again…`;
    return `${keyOf(this.name)} is not live now. It plays here as soon as somebody publishes it.`;
  }

  #tell(text: string): void {
    say(this.#say, text);
    this.#notice.hidden = !text;
    this.#other.hidden = true;
  }

  #show(stats: PlayerStats): void {
    this.#write('Picture', size(stats.width, stats.height));
    this.#write('Frame rate', perSecond(stats.fps));
    const codecs = [stats.videoCodec, stats.audioCodec].flatMap((name) => (name ? [codec(name)] : []));
    this.#write('Codecs', codecs.join(' + ') || '–');
    this.#write('Bitrate', bitrate(stats.bitrate));
    this.#write('Delay', milliseconds(stats.delay));
    this.#write('Jitter buffer', milliseconds(stats.jitterBufferDelay));
    this.#write('Round trip', milliseconds(stats.rtt));
    this.#write('Packets lost', stats.protocol === 'webrtc' ? String(stats.packetsLost) : '–');
    this.#write('Freezes', String(stats.freezeCount));
    this.#write('Frames dropped', String(stats.framesDropped));
    this.#write('Playback rate', `${stats.rate.toFixed(2)}×`);
    this.#bitrate.add(stats.bitrate, bitrate(stats.bitrate));
    this.#delay.add(stats.delay, milliseconds(stats.delay));
  }

  #write(label: string, text: string): void {
    const value = this.#values.get(label);
    if (value) say(value, text);
  }
}

const DOORS = [
  ['whep', 'WebRTC'],
  ['flv', 'FLV'],
  ['hls', 'HLS'],
] as const;

const FIGURES = [
  'Picture',
  'Frame rate',
  'Codecs',
  'Bitrate',
  'Delay',
  'Jitter buffer',
  'Round trip',
  'Packets lost',
  'Freezes',
  'Frames dropped',
  'Playback rate',
  'Viewers',
];
