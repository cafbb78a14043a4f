import { LiveError, LivePusher } from 'stentor';
import { h, say } from '../parts/dom.js';
import { sentence } from '../parts/format.js';
import { type TestCard, testCard } from '../parts/test-card.js';
import { withToken } from '../parts/token.js';
import { labelOf, type Mode, type OnAir, type Role, sideOf, streamOf, tilesFor, titleOf } from './plan.js';
import { TileView } from './tile.js';

/** One role at work: its stage, and its button when it is one that publishes. */
export class Seat {
  readonly element: HTMLElement;
  readonly #role: Role;
  readonly #mode: Mode;
  readonly #show: string;
  readonly #refused: () => void;
  readonly #stage = h('div', { className: 'tiles' });
  readonly #wait = h('p', { className: 'wait' });
  readonly #state = h('span', { className: 'state small soft', role: 'status' });
  readonly #trouble = h('p', { className: 'notice bad', role: 'alert', hidden: true });
  readonly #button = h('button', { type: 'button', className: 'primary' });
  readonly #tiles = new Map<string, TileView>();
  #onAir: OnAir = { a: false, b: false };
  #pusher: LivePusher | undefined;
  #card: TestCard | undefined;
  #muted: boolean;

  /** @param refused runs when the server wants a token, or another one. */
  constructor(role: Role, mode: Mode, show: string, muted: boolean, refused: () => void) {
    this.#refused = refused;
    this.#role = role;
    this.#mode = mode;
    this.#show = show;
    this.#muted = muted;
    this.#button.addEventListener('click', () => (this.#pusher ? this.#leave() : void this.#publish()));
    this.#stage.append(this.#wait);
    const publishes = sideOf(role) !== undefined;
    this.element = h(
      'section',
      { className: 'seat card', 'aria-label': titleOf(role, mode) },
      h('header', {}, h('h2', {}, titleOf(role, mode)), this.#state),
      this.#stage,
      publishes && h('div', { className: 'row' }, this.#button),
      this.#trouble,
    );
    this.#render();
  }

  update(onAir: OnAir): void {
    this.#onAir = onAir;
    this.#render();
  }

  set muted(muted: boolean) {
    this.#muted = muted;
    for (const tile of this.#tiles.values()) tile.muted = muted;
  }

  close(): void {
    this.#leave();
    for (const tile of this.#tiles.values()) tile.close();
    this.#tiles.clear();
  }

  async #publish(): Promise<void> {
    const side = sideOf(this.#role);
    if (!side) return;
    this.#trouble.hidden = true;
    const pusher = new LivePusher({
      url: withToken(`/whip/live/${encodeURIComponent(streamOf(this.#show, side))}`),
      maxBitrate: 1500,
    });
    this.#pusher = pusher;
    pusher.on('statechange', () => this.#render());
    pusher.on('captured', () => this.#render());
    this.#render();
    try {
      await this.#open(pusher, side);
      await pusher.start();
    } catch (thrown) {
      const error = LiveError.from(thrown);
      if (this.#pusher !== pusher) return;
      this.#leave();
      if (error.code === 'aborted') return;
      if (error.code === 'unauthorized' || error.code === 'forbidden') this.#refused();
      say(this.#trouble, sentence(error.message));
      this.#trouble.hidden = false;
    }
  }

  /** The camera, or a drawn picture where there is none or it is forbidden. */
  async #open(pusher: LivePusher, side: 'a' | 'b'): Promise<void> {
    try {
      await pusher.preview({ width: 640, height: 480 });
    } catch (thrown) {
      const error = LiveError.from(thrown);
      if (this.#pusher !== pusher) throw error;
      this.#card = testCard(labelOf(side, this.#mode), side === 'a' ? 175 : 285);
      await pusher.preview(this.#card.stream);
      say(this.#trouble, `${error.message} A drawn picture is sent instead.`);
      this.#trouble.hidden = false;
    }
  }

  #leave(): void {
    const pusher = this.#pusher;
    this.#pusher = undefined;
    pusher?.stop();
    this.#card?.stop();
    this.#card = undefined;
    this.#trouble.hidden = true;
    this.#render();
  }

  #render(): void {
    this.#renderTiles();
    this.#renderButton();
    const { a, b } = this.#onAir;
    const together = a && b;
    say(
      this.#state,
      together ? (this.#mode === 'mic' ? 'B is on the mic' : 'Competing') : a || b ? 'Live' : 'Off air',
    );
  }

  #renderTiles(): void {
    const camera = this.#pusher?.stream;
    const wanted = tilesFor(this.#role, this.#mode, this.#onAir, camera !== undefined);
    const keys = wanted.map((tile) => `${tile.side}${tile.own ? '!' : ''}`);
    for (const [key, view] of this.#tiles) {
      if (keys.includes(key)) continue;
      view.close();
      this.#tiles.delete(key);
    }
    for (const { side, own } of wanted) {
      const key = `${side}${own ? '!' : ''}`;
      if (this.#tiles.has(key)) continue;
      const view = new TileView(labelOf(side, this.#mode), this.#refused);
      this.#tiles.set(key, view);
      if (own && camera) view.showOwn(camera, this.#card === undefined);
      else view.play(streamOf(this.#show, side), this.#muted);
    }
    const views = keys.flatMap((key) => this.#tiles.get(key)?.element ?? []);
    const versus = this.#mode === 'pk' && views.length === 2 && h('span', { className: 'versus' }, 'PK');
    this.#place(views, versus || undefined);
  }

  /** Moves nodes only when the order has changed: moving a playing video pauses it. */
  #place(views: HTMLElement[], versus: HTMLElement | undefined): void {
    say(this.#wait, this.#waiting());
    this.#wait.hidden = views.length > 0;
    const shown = [...this.#stage.querySelectorAll('.tile')];
    if (shown.length === views.length && shown.every((tile, index) => tile === views[index])) return;
    for (const old of this.#stage.querySelectorAll('.versus')) old.remove();
    for (const view of views) if (view.parentElement !== this.#stage) this.#stage.append(view);
    views.forEach((view, index) => {
      view.style.order = String(index);
    });
    if (versus) this.#stage.append(versus);
  }

  #waiting(): string {
    if (this.#role === 'a') return 'Press the button to go live.';
    if (this.#role === 'b' && this.#mode === 'pk') return 'Press the button to go live.';
    return this.#role === 'viewer-b'
      ? 'Waiting for anchor B to go live.'
      : 'Waiting for anchor A to go live.';
  }

  #renderButton(): void {
    const mic = this.#role === 'b' && this.#mode === 'mic';
    const running = this.#pusher !== undefined;
    const going = mic ? 'Go on the mic' : 'Go live';
    say(this.#button, running ? (mic ? 'Leave the mic' : 'Stop') : going);
    this.#button.className = running ? 'stop' : 'primary';
    this.#button.disabled = mic && !running && !this.#onAir.a;
  }
}
