import { h, say } from '../parts/dom.js';
import { bitrate, codec, milliseconds, perSecond, sentence, size } from '../parts/format.js';
import { Plot } from '../parts/plot.js';
import { type Fault, fetchHealth, type HealthFacts, poll, type Score } from '../parts/server.js';
import type { StreamName } from './stream-list.js';

/** A word and a colour for how a publisher does; empty until it is known. */
export function badge(): HTMLElement {
  return h('span', { className: 'badge', hidden: true });
}

export function setBadge(place: HTMLElement, score: Score, faults: number): void {
  place.hidden = false;
  place.dataset.score = score;
  const count = faults === 1 ? '1 fault' : `${faults} faults`;
  say(place, score === 'good' ? 'Good' : `${WORDS[score]} · ${count}`);
}

/** What the publisher of a stream sends, over the last minute, and what it should change. Asks for itself while it is shown. */
export class HealthPanel {
  readonly element: HTMLElement;
  readonly close: () => void;
  readonly #badge = badge();
  readonly #faults = h('ul', { className: 'faults', role: 'status' });
  readonly #past = h('p', { className: 'small soft', hidden: true });
  readonly #figures = h('dl', { className: 'measures' });
  readonly #values = new Map<string, HTMLElement>();
  readonly #bitrate = new Plot('Bitrate received');
  readonly #frameRate = new Plot('Pictures received');

  constructor({ app, stream }: StreamName) {
    for (const label of FIGURES) {
      const value = h('dd', {}, '–');
      this.#values.set(label, value);
      this.#figures.append(h('div', {}, h('dt', {}, label), value));
    }
    this.element = h(
      'section',
      { className: 'card panel health', hidden: true, 'aria-label': 'Health of the publisher' },
      h('div', { className: 'title' }, h('h3', {}, 'What the publisher sends'), this.#badge),
      this.#faults,
      this.#figures,
      h('div', { className: 'plots' }, this.#bitrate.element, this.#frameRate.element),
      this.#past,
    );
    const told = (facts: HealthFacts | undefined): void => this.#show(facts);
    // That the server is gone or wants a token is told at the top of the page.
    this.close = poll(
      EVERY_MS,
      () => fetchHealth(app, stream),
      told,
      () => told(undefined),
    );
  }

  #show(facts: HealthFacts | undefined): void {
    this.element.hidden = !facts;
    if (!facts) return;
    const { video, audio, lastMinute, history } = facts;
    setBadge(this.#badge, facts.score, facts.faults.filter(({ severity }) => severity !== 'info').length);
    this.#tell(facts.faults);
    this.#write('Picture', list(video?.codec && codec(video.codec), video?.profile, video?.level));
    this.#write('Size', size(video?.width ?? null, video?.height ?? null));
    this.#write('Frame rate', rate(video?.frameRate, video?.frameRateClaimed));
    this.#write('Picture bitrate', bitrate(video?.bitrate ?? undefined));
    this.#write('Key frame every', keyFrames(video));
    this.#write('B-frames', video?.frameRate ? (B_FRAMES[video.bFrames] ?? video.bFrames) : '–');
    this.#write('Sound', list(audio?.profile ?? (audio?.codec && codec(audio.codec))));
    this.#write(
      'Sample rate',
      audio?.sampleRate ? `${audio.sampleRate / 1000} kHz, ${audio.channels} ch` : '–',
    );
    this.#write('Sound bitrate', bitrate(audio?.bitrate ?? undefined));
    this.#write('Uplink speed', facts.speed === null ? '–' : `${facts.speed.toFixed(2)}×`);
    this.#write('Sound to picture', milliseconds(facts.interleaveMs ?? undefined));
    this.#write('Stalls', String(facts.stalls));
    this.#frameRate.element.hidden = !lastMinute.frameRate.some((pictures) => pictures > 0);
    this.#bitrate.show(lastMinute.bitrate, bitrate(lastMinute.bitrate.at(-1)));
    this.#frameRate.show(lastMinute.frameRate, perSecond(lastMinute.frameRate.at(-1) ?? 0));
    this.#past.hidden = history.length === 0;
    say(this.#past, `Over again: ${[...new Set(history.map(({ code }) => code))].join(', ')}.`);
  }

  #tell(faults: readonly Fault[]): void {
    const items = faults.map(({ severity, message, code }) => ({ severity, code, text: sentence(message) }));
    const key = items.map(({ severity, text }) => severity + text).join('\n');
    if (this.#faults.dataset.key === key) return;
    this.#faults.dataset.key = key;
    this.#faults.replaceChildren(
      ...items.map(({ severity, code, text }) =>
        h('li', { className: `notice ${LOOKS[severity]}`, title: code }, text),
      ),
    );
  }

  /** A measure that is not known is not shown: of a browser's packets most are not. */
  #write(label: string, text: string): void {
    const value = this.#values.get(label);
    if (!value) return;
    say(value, text);
    if (value.parentElement) value.parentElement.hidden = text === '–';
  }
}

function list(...parts: (string | null | undefined)[]): string {
  return parts.filter(Boolean).join(' ') || '–';
}

function rate(measured: number | null | undefined, claimed: number | null | undefined): string {
  if (!measured) return '–';
  return claimed && Math.abs(claimed - measured) > 1 ? `${measured} of ${claimed} fps` : `${measured} fps`;
}

function keyFrames(video: HealthFacts['video']): string {
  if (!video?.gopMs) return '–';
  return `${milliseconds(video.gopMs)}, ${video.gopFrames} frames`;
}

const EVERY_MS = 1000;
const WORDS: Readonly<Record<Score, string>> = { good: 'Good', fair: 'Fair', bad: 'Bad' };
const LOOKS: Readonly<Record<Fault['severity'], string>> = { info: 'quiet', warn: 'warn', error: 'bad' };
const B_FRAMES: Readonly<Record<string, string>> = {
  none: 'none',
  droppable: 'droppable',
  referenced: 'yes',
};
const FIGURES = [
  'Picture',
  'Size',
  'Frame rate',
  'Picture bitrate',
  'Key frame every',
  'B-frames',
  'Sound',
  'Sample rate',
  'Sound bitrate',
  'Uplink speed',
  'Sound to picture',
  'Stalls',
];
