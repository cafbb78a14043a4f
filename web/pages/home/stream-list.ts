import { h, say } from '../parts/dom.js';
import { bitrate, codec, sentence, since, size } from '../parts/format.js';
import type { StreamFacts } from '../parts/server.js';
import { badge, setBadge } from './health.js';
import { Pictures } from './pictures.js';

/** The names of one stream. */
export interface StreamName {
  app: string;
  stream: string;
}

/** The grid of live streams. Cards stay in place while their facts change, so that focus and pictures stay too. */
export class StreamList {
  readonly #list: HTMLElement;
  readonly #empty: HTMLElement;
  readonly #cards = new Map<string, Card>();
  readonly #pictures = new Pictures((key) => this.#cards.get(key)?.renewPicture());
  #chosen: string | undefined;

  constructor(list: HTMLElement, empty: HTMLElement) {
    this.#list = list;
    this.#empty = empty;
    empty.className = 'empty card';
    empty.append(
      h('h2', {}, 'Nothing is live yet'),
      h(
        'p',
        { className: 'soft' },
        'Publish from this browser, OBS or ffmpeg; it appears here within two seconds.',
      ),
      h('a', { className: 'button primary', href: '#publish' }, 'Publish'),
    );
  }

  show(streams: readonly StreamFacts[]): void {
    const byKey = new Map(streams.map((stream) => [keyOf(stream), stream]));
    for (const [key, card] of this.#cards) {
      if (byKey.has(key)) continue;
      card.element.remove();
      this.#cards.delete(key);
    }
    for (const [key, stream] of byKey) {
      let card = this.#cards.get(key);
      if (!card) {
        card = new Card(stream, this.#pictures.of(key));
        this.#cards.set(key, card);
        this.#list.append(card.element);
      }
      card.update(stream);
      card.element.classList.toggle('chosen', key === this.#chosen);
    }
    this.#empty.hidden = byKey.size > 0;
    void this.#pictures.refresh(byKey);
  }

  choose(name: StreamName | undefined): void {
    this.#chosen = name && keyOf(name);
    for (const [key, card] of this.#cards) card.element.classList.toggle('chosen', key === this.#chosen);
  }
}

class Card {
  readonly element: HTMLLIElement;
  readonly #picture: ReturnType<Pictures['of']>;
  readonly #hint = h('span', { className: 'small' });
  readonly #viewers = h('span', { className: 'viewers' });
  readonly #format = h('p', { className: 'small soft' });
  readonly #origin = h('p', { className: 'small soft' });
  readonly #warnings = h('div');
  readonly #badge = badge();
  #stream: StreamFacts;

  constructor(stream: StreamFacts, picture: ReturnType<Pictures['of']>) {
    this.#stream = stream;
    this.#picture = picture;
    picture.canvas.hidden = !picture.taken;
    const href = `#/${encodeURIComponent(stream.app)}/${encodeURIComponent(stream.stream)}`;
    const shown = h('div', { className: 'picture' }, this.#hint, picture.canvas, this.#viewers);
    const about = h(
      'div',
      { className: 'about' },
      h('div', { className: 'title' }, h('h2', {}, `${stream.app}/${stream.stream}`), this.#badge),
      this.#format,
      this.#origin,
    );
    this.element = h('li', { className: 'stream card' }, h('a', { href }, shown, about), this.#warnings);
  }

  update(stream: StreamFacts): void {
    this.#stream = stream;
    const { video, audio, viewers, publisher } = stream;
    const watching = viewers.webrtc + viewers.rtmp + viewers.flv + viewers.hls;
    say(this.#viewers, watching === 1 ? '1 viewer' : `${watching} viewers`);
    const parts = [
      video && codec(video.codec),
      video?.width && size(video.width, video.height),
      audio && codec(audio.codec),
      bitrate(stream.bitrate),
    ];
    say(this.#format, parts.filter(Boolean).join(' · '));
    const age = since(publisher.since, Date.now());
    say(this.#origin, `${PROTOCOLS[publisher.protocol] ?? publisher.protocol}${age && ` · ${age}`}`);
    setBadge(this.#badge, stream.health.score, stream.warnings.length);
    this.renewPicture();
  }

  renewPicture(): void {
    const { taken, refusal, canvas } = this.#picture;
    canvas.hidden = !taken;
    say(this.#hint, this.#stream.video ? (refusal === undefined ? '' : 'No preview') : 'Sound only');
    // The worst of them here; all of them where the stream is opened.
    const sentences = this.#stream.warnings.slice(0, 1).map((warning) => sentence(warning.message));
    if (refusal && sentences.length === 0) sentences.push(sentence(refusal));
    const before = [...this.#warnings.children].map((child) => child.textContent);
    if (before.join('\n') === sentences.join('\n')) return;
    this.#warnings.replaceChildren(...sentences.map((text) => h('p', { className: 'notice warn' }, text)));
  }
}

export function keyOf({ app, stream }: StreamName): string {
  return `${app}/${stream}`;
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  rtmp: 'by RTMP',
  whip: 'by WHIP',
  demo: 'built-in demo',
};
