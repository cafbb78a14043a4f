import type { DelayWindow } from './delay.js';
import type { LiveError } from './errors.js';
import type { PlayerStats } from './stats.js';

/** One attempt to play over one protocol. It shows its picture in the video element and speaks through `SessionEvents`. */
export interface Session {
  /** Resolves, once, with the reason why no more media comes. Stays pending after `close`. */
  readonly lost: Promise<LiveError>;
  /** Holds the delay in another window; without effect where the protocol has no such thing. */
  setWindow(window: DelayWindow): void;
  close(): void;
}

/** What every protocol is handed to play. */
export interface SessionInput {
  video: HTMLVideoElement;
  endpoint: string;
  token: string | undefined;
  window: DelayWindow;
  /** Least milliseconds in the jitter buffer, where the browser can be told. */
  jitterBufferTarget: number | undefined;
  /** Ends the attempt to open; after that, `close` does. */
  signal: AbortSignal;
  /** The media connection stands; the first picture may still be on its way. */
  onConnected(): void;
  onStats(stats: PlayerStats): void;
  /** Starts the element once it has a source. */
  startElement(): void;
}

/** A promise with its key outside. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** How often statistics are made and silence is looked for. */
export const TICK_MS = 1000;
