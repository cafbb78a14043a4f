import { type LiveError, LivePlayer } from 'stentor';
import { h, say } from '../parts/dom.js';
import { milliseconds, sentence, size } from '../parts/format.js';
import { withToken } from '../parts/token.js';

/** One picture of a stage: a remote stream played over WebRTC, or one's own camera. */
export class TileView {
  readonly element: HTMLElement;
  readonly #video = h('video', { playsInline: true, autoplay: true });
  readonly #how = h('span', { className: 'how' });
  readonly #sound = h('button', { type: 'button', className: 'sound tiny', hidden: true }, 'Tap for sound');
  #player: LivePlayer | undefined;

  readonly #refused: () => void;

  /** @param refused runs when the server wants a token, or another one. */
  constructor(label: string, refused: () => void) {
    this.#refused = refused;
    this.element = h(
      'div',
      { className: 'tile' },
      this.#video,
      h('span', { className: 'who' }, label),
      this.#how,
      this.#sound,
    );
    this.#sound.addEventListener('click', () => this.#player?.unmute());
  }

  /** Shows a camera, mirrored as people know themselves, without its sound. */
  showOwn(stream: MediaStream, mirrored: boolean): void {
    this.#video.muted = true;
    this.#video.srcObject = stream;
    this.#video.style.transform = mirrored ? 'scaleX(-1)' : '';
    say(this.#how, 'you');
  }

  play(stream: string, muted: boolean): void {
    const player = new LivePlayer({
      url: withToken(`/whep/live/${encodeURIComponent(stream)}`),
      video: this.#video,
      muted,
      waitForStream: true,
    });
    this.#player = player;
    player.on('stats', ({ width, height, delay }) => {
      say(this.#how, size(width, height) + (delay === undefined ? '' : ` · ${milliseconds(delay)}`));
    });
    player.on('reconnecting', ({ error }) => {
      say(this.#how, error.code === 'not-found' ? 'Gone. Waiting…' : 'Connecting again…');
    });
    player.on('autoplay-failed', () => {
      this.#sound.hidden = false;
    });
    player.on('autoplay-resumed', () => {
      this.#sound.hidden = true;
    });
    player.start().catch((error: LiveError) => {
      if (error.code === 'aborted') return;
      if (error.code === 'unauthorized' || error.code === 'forbidden') this.#refused();
      say(this.#how, sentence(error.message));
    });
  }

  set muted(muted: boolean) {
    if (this.#player) this.#video.muted = muted;
  }

  close(): void {
    this.#player?.stop();
    this.#video.srcObject = null;
    this.element.remove();
  }
}
