/** The window that the buffered delay is held in. Seconds. */
export interface DelayWindow {
  minCache: number;
  maxCache: number;
  /** Below this it plays slower, also before the first stall: where media comes in large pieces, the buffer falls deep between two. */
  floor?: number;
}

/** What the video element should do now. */
export interface DelayStep {
  /** Playback rate, 0.95 to 1.1. */
  rate: number;
  /** Seconds behind the newest buffered picture to jump to, when catching up would take too long. */
  jumpTo?: number;
}

/**
 * Holds the delay of a buffered live stream in a window, in virtual time.
 *
 * It plays at the normal rate inside the window, faster (1.1 at most, where voices still sound right) above it until the target is
 * reached, and jumps beyond `maxCache` + 2 s. The target slides: each stall raises it, calm lowers it again to `minCache`. A lone
 * `minCache` above `maxCache` lifts `maxCache`.
 */
export class DelayControl {
  #window: DelayWindow;
  #target: number;
  #catchingUp = false;
  #calmSince: number | undefined;

  constructor(window: DelayWindow) {
    this.#window = ordered(window);
    this.#target = this.#window.minCache;
  }

  /** Seconds of buffer that are aimed at now. */
  get target(): number {
    return this.#target;
  }

  /** Takes over another window from now on. */
  setWindow(window: DelayWindow): void {
    this.#window = ordered(window);
    this.#target = clamp(this.#target, this.#window.minCache, this.#window.maxCache);
  }

  /** The element ran out of pictures: aim higher from now on. */
  stalled(nowMs: number): void {
    this.#target = Math.min(this.#target + STALL_RAISE_S, this.#window.maxCache);
    this.#catchingUp = false;
    this.#calmSince = nowMs;
  }

  /**
   * Decides the next quarter of a second.
   * @param nowMs monotonic milliseconds.
   * @param ahead seconds of media between the picture shown and the newest one received.
   */
  step(nowMs: number, ahead: number): DelayStep {
    this.#relax(nowMs);
    const { minCache, maxCache, floor = 0 } = this.#window;
    if (ahead > maxCache + JUMP_BEYOND_S) {
      this.#catchingUp = false;
      return { rate: 1, jumpTo: this.#target };
    }
    if (ahead > maxCache) this.#catchingUp = true;
    if (ahead <= this.#target + REACHED_S) this.#catchingUp = false;
    if (this.#catchingUp) {
      const over = ahead - this.#target;
      return { rate: 1 + Math.min(RATE_GAIN * over, RATE_OVER_MAX) };
    }
    const refill = ahead < floor || (this.#target > minCache && ahead < this.#target / 2);
    return { rate: refill ? RATE_REFILL : 1 };
  }

  #relax(nowMs: number): void {
    this.#calmSince ??= nowMs;
    if (nowMs - this.#calmSince < CALM_MS) return;
    this.#calmSince = nowMs;
    this.#target = Math.max(this.#target - CALM_LOWER_S, this.#window.minCache);
  }
}

function ordered(window: DelayWindow): DelayWindow {
  const minCache = clamp(window.minCache, CACHE_S_MIN, CACHE_S_MAX);
  const floor = clamp(window.floor ?? 0, 0, minCache);
  return { minCache, maxCache: clamp(window.maxCache, minCache, CACHE_S_MAX), floor };
}

function clamp(value: number, low: number, high: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(value, low), high) : low;
}

/** The window of the mini-program tag when nothing is said. */
export const DELAY_WINDOW_DEFAULT: Readonly<DelayWindow> = { minCache: 1, maxCache: 3 };

const CACHE_S_MIN = 0.1;
const CACHE_S_MAX = 60;
const JUMP_BEYOND_S = 2;
const RATE_OVER_MAX = 0.1;
const RATE_GAIN = 0.1;
const RATE_REFILL = 0.95;
const REACHED_S = 0.1;
const STALL_RAISE_S = 0.5;
const CALM_MS = 10_000;
const CALM_LOWER_S = 0.25;
