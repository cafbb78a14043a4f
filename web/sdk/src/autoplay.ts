/** What the autoplay rescue tells. */
export interface AutoplayEvents {
  /** The browser refused sound, or any playing at all, before the user has touched the page. */
  onFailed(muted: boolean): void;
  /** The user touched the page: sound is on. */
  onResumed(): void;
}

/**
 * Starts an element as far as the browser allows: with sound, else muted until the first gesture anywhere on the page,
 * else from the first gesture on.
 */
export class AutoplayRescue {
  readonly #video: HTMLVideoElement;
  readonly #events: AutoplayEvents;
  #waiting: AbortController | undefined;

  constructor(video: HTMLVideoElement, events: AutoplayEvents) {
    this.#video = video;
    this.#events = events;
  }

  /** Whether a gesture is awaited. */
  get waiting(): boolean {
    return this.#waiting !== undefined;
  }

  async start(): Promise<void> {
    if (await this.#tryPlay()) return;
    const wasMuted = this.#video.muted;
    this.#video.muted = true;
    const silently = wasMuted ? false : await this.#tryPlay();
    this.#awaitGesture(!wasMuted);
    this.#events.onFailed(silently);
  }

  /** To be called in a gesture (a click on a button of one's own): plays, with sound if it was wanted. */
  resume(): void {
    this.#waiting?.abort();
    this.#waiting = undefined;
    this.#video.muted = false;
    void this.#tryPlay().then((plays) => {
      if (plays) this.#events.onResumed();
    });
  }

  stop(): void {
    this.#waiting?.abort();
    this.#waiting = undefined;
  }

  #awaitGesture(unmute: boolean): void {
    if (this.#waiting) return;
    this.#waiting = new AbortController();
    const options = { capture: true, signal: this.#waiting.signal };
    const touched = (): void => {
      if (unmute) {
        this.resume();
        return;
      }
      this.stop();
      void this.#tryPlay();
    };
    for (const gesture of GESTURES) document.addEventListener(gesture, touched, options);
  }

  /** False only when the browser forbids it; a source that was replaced meanwhile is nobody's fault. */
  async #tryPlay(): Promise<boolean> {
    try {
      await this.#video.play();
      return true;
    } catch (thrown) {
      return !(thrown instanceof DOMException && thrown.name === 'NotAllowedError');
    }
  }
}

const GESTURES = ['pointerup', 'keydown', 'touchend'] as const;
