import { type LiveError, LivePusher, type PusherStats, type PushSource, type VideoCodecName } from 'stentor';
import { h, say } from '../parts/dom.js';
import { bitrate, codec, milliseconds, perSecond, sentence, size } from '../parts/format.js';
import { type TestCard, testCard } from '../parts/test-card.js';
import { withToken } from '../parts/token.js';

type Kind = 'camera' | 'screen' | 'card';

/** Publishes camera, screen or a drawn picture in one click. */
export class BrowserPublisher {
  readonly element: HTMLElement;
  readonly #name: () => string;
  readonly #refused: () => void;
  readonly #video = h('video', { muted: true, autoplay: true, playsInline: true });
  readonly #say = h('p', { className: 'say' }, 'Your picture appears here.');
  readonly #status = h('p', { className: 'small soft', role: 'status' });
  readonly #trouble = h('p', { className: 'notice bad', role: 'alert', hidden: true });
  readonly #codec = h('select', {}, ...CODECS.map(([value, text]) => h('option', { value }, text)));
  readonly #rate = h(
    'select',
    {},
    ...RATES.map((kbps) => h('option', { value: String(kbps) }, bitrate(kbps * 1000))),
  );
  readonly #start = h('div', { className: 'row' });
  readonly #running = h('div', { className: 'row', hidden: true });
  readonly #watch = h('a', { className: 'button' }, 'Watch it');
  #pusher: LivePusher | undefined;
  #card: TestCard | undefined;

  /** @param refused runs when the server wants a token, or another one. */
  constructor(name: () => string, refused: () => void) {
    this.#name = name;
    this.#refused = refused;
    this.#rate.value = '2500';
    for (const [kind, text] of KINDS) {
      const look = kind === 'camera' ? 'primary' : '';
      this.#start.append(
        h('button', { type: 'button', className: look, onclick: () => void this.#go(kind) }, text),
      );
    }
    const choices = h(
      'div',
      { className: 'row' },
      h('label', {}, 'Codec', this.#codec),
      h('label', {}, 'At most', this.#rate),
    );
    this.element = h(
      'div',
      { className: 'half' },
      h('div', { className: 'stage' }, this.#video, this.#say),
      h('div', {}, choices, this.#start, this.#running, this.#status, this.#trouble),
    );
    this.#video.hidden = true;
  }

  async #go(kind: Kind): Promise<void> {
    this.#end();
    const name = this.#name();
    const pusher = new LivePusher({
      url: withToken(`/whip/live/${encodeURIComponent(name)}`),
      codec: this.#codec.value as VideoCodecName,
      maxBitrate: Number(this.#rate.value),
    });
    this.#pusher = pusher;
    pusher.on('captured', ({ stream }) => this.#preview(stream));
    pusher.on('connected', () => say(this.#status, 'Live.'));
    pusher.on('stats', (stats) => this.#show(stats));
    pusher.on('reconnecting', ({ error }) => say(this.#status, `${sentence(error.message)} Trying again…`));
    pusher.on('source-ended', () => this.#end());
    pusher.on('error', (error) => this.#fail(error));
    this.#watch.href = `#/live/${encodeURIComponent(name)}`;
    this.#running.replaceChildren(
      h('button', { type: 'button', className: 'stop', onclick: () => this.#end() }, 'Stop'),
      this.#toggle('Mute sound', 'Unmute sound', (muted) => this.#pusher?.mute({ audio: muted })),
      this.#toggle('Hide picture', 'Show picture', (muted) => this.#pusher?.mute({ video: muted })),
      this.#watch,
    );
    this.#start.hidden = true;
    this.#running.hidden = false;
    say(this.#status, 'Connecting…');
    await pusher.start(this.#source(kind, name)).catch(() => {});
  }

  #source(kind: Kind, name: string): PushSource {
    if (kind === 'screen') return { screen: true };
    if (kind === 'camera') return {};
    this.#card = testCard(name, 175);
    return this.#card.stream;
  }

  #end(): void {
    this.#pusher?.stop();
    this.#pusher = undefined;
    this.#card?.stop();
    this.#card = undefined;
    this.#preview(undefined);
    this.#start.hidden = false;
    this.#running.hidden = true;
    this.#trouble.hidden = true;
    say(this.#status, '');
  }

  #fail(error: LiveError): void {
    this.#end();
    say(this.#trouble, sentence(error.message));
    this.#trouble.hidden = false;
    if (error.code === 'unauthorized' || error.code === 'forbidden') this.#refused();
  }

  #preview(stream: MediaStream | undefined): void {
    this.#video.srcObject = stream ?? null;
    this.#video.hidden = !stream;
    this.#say.hidden = Boolean(stream);
  }

  #show(stats: PusherStats): void {
    const parts = [
      stats.videoCodec ? codec(stats.videoCodec) : 'sound only',
      size(stats.width, stats.height),
      perSecond(stats.fps),
      bitrate(stats.bitrate),
      `round trip ${milliseconds(stats.rtt)}`,
    ];
    if (stats.limitedBy !== 'none') parts.push(`held back by ${stats.limitedBy}`);
    say(this.#status, `Live: ${parts.join(' · ')}`);
  }

  #toggle(off: string, on: string, apply: (muted: boolean) => void): HTMLElement {
    const button = h('button', { type: 'button', 'aria-pressed': 'false' }, off);
    button.addEventListener('click', () => {
      const muted = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(muted));
      say(button, muted ? on : off);
      apply(muted);
    });
    return button;
  }
}

const KINDS: ReadonlyArray<readonly [Kind, string]> = [
  ['camera', 'Camera'],
  ['screen', 'Screen'],
  ['card', 'Test picture'],
];
const CODECS = [
  ['h264', 'H.264, for every viewer'],
  ['vp8', 'VP8'],
  ['vp9', 'VP9'],
  ['av1', 'AV1'],
] as const;
const RATES = [800, 1500, 2500, 5000, 8000];
