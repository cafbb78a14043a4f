/** How long to wait before the next attempt: half a second, doubling to eight, with jitter so that viewers do not return in one wave. */
export class Backoff {
  #attempts = 0;
  readonly #random: () => number;

  /** @param random numbers from 0 (included) to 1 (excluded). */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Attempts since the last `reset`. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Counts one more attempt and returns the milliseconds to wait before it: between 75 % and 125 % of the step. */
  nextDelayMs(): number {
    const step = Math.min(DELAY_MS_MIN * 2 ** Math.min(this.#attempts, DOUBLINGS_MAX), DELAY_MS_MAX);
    this.#attempts += 1;
    return Math.round(step * (1 - JITTER + 2 * JITTER * this.#random()));
  }

  /** Media flows again: the next outage begins with the shortest wait. */
  reset(): void {
    this.#attempts = 0;
  }
}

/** Waits, unless `signal` ends the wait: then it resolves at once, and the caller looks at the signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

const DELAY_MS_MIN = 500;
const DELAY_MS_MAX = 8000;
const DOUBLINGS_MAX = 10;
const JITTER = 0.25;
