/** Tells from a counter that should grow whether the other end is still there, in virtual time. */
export class Liveness {
  readonly #silenceMsMax: number;
  #count: number | undefined;
  #lookedAt = 0;
  #silenceMs = 0;

  /** @param silenceMsMax how long the counter may stand still. */
  constructor(silenceMsMax: number) {
    this.#silenceMsMax = silenceMsMax;
  }

  /**
   * Takes the counter's value and returns whether the silence has lasted too long.
   * A long gap between two looks (a sleeping laptop, a throttled tab) counts as one short one: nobody looked, so nobody knows.
   */
  silent(nowMs: number, count: number): boolean {
    const sinceLook = Math.min(nowMs - this.#lookedAt, LOOK_MS_MAX);
    this.#lookedAt = nowMs;
    if (count === this.#count) {
      this.#silenceMs += sinceLook;
    } else {
      this.#count = count;
      this.#silenceMs = 0;
    }
    return this.#silenceMs >= this.#silenceMsMax;
  }
}

const LOOK_MS_MAX = 1500;
