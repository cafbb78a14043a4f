import { AutoplayRescue } from './autoplay.js';
import { Backoff, pause } from './backoff.js';
import { DELAY_WINDOW_DEFAULT, type DelayWindow } from './delay.js';
import { Emitter } from './emitter.js';
import { LiveError, worthPlayingAgain } from './errors.js';
import { deferred, type Session, type SessionInput } from './session.js';
import type { PlayerStats } from './stats.js';
import { type LiveProtocol, type LiveUrl, parseLiveUrl, type UrlContext } from './url.js';
import { playWhep } from './whep.js';

/** Where a player is. `failed` and `stopped` end it; `start` begins again. */
export type PlayerState =
  | 'idle'
  | 'connecting'
  | 'playing'
  | 'buffering'
  | 'reconnecting'
  | 'stopped'
  | 'failed';

/** Everything a `LivePlayer` may be told. */
export interface LivePlayerOptions extends UrlContext {
  /** `webrtc:`, `trtc:`, a WHEP address, `.flv`, `.m3u8`, or `https://host/app/stream`. */
  url: string;
  /** Where the picture goes; without it the player makes an element (`player.video`). */
  video?: HTMLVideoElement;
  /** Sent as `Authorization: Bearer`. A `usersig` in the URL needs none. */
  token?: string;
  muted?: boolean;
  /** Seconds of delay to stay above and below (FLV, HLS). Default 1 and 3. */
  minCache?: number;
  maxCache?: number;
  /** Keep asking when the stream does not exist yet, instead of failing with `not-found`. */
  waitForStream?: boolean;
  /** Least milliseconds in the jitter buffer (WebRTC, where the browser can be told). */
  jitterBufferTarget?: number;
  /** Stops the player when aborted. */
  signal?: AbortSignal;
}

/** Events of a `LivePlayer` and their details. */
export interface LivePlayerEvents {
  statechange: { state: PlayerState; previous: PlayerState };
  connected: { protocol: LiveProtocol };
  /** The first picture (or sound) of each connection; milliseconds since that attempt began. */
  firstframe: { ms: number };
  resize: { width: number; height: number };
  stats: PlayerStats;
  reconnecting: { attempt: number; delayMs: number; error: LiveError };
  'autoplay-failed': { muted: boolean };
  'autoplay-resumed': undefined;
  /** The player gave up. */
  error: LiveError;
}

/**
 * Plays one live stream over whatever its address says, shows statistics every second and comes back by itself after any outage
 * until it is stopped.
 */
export class LivePlayer extends Emitter<LivePlayerEvents> {
  readonly video: HTMLVideoElement;
  readonly #options: LivePlayerOptions;
  readonly #autoplay: AutoplayRescue;
  readonly #backoff = new Backoff();
  #url: string;
  #window: DelayWindow;
  #state: PlayerState = 'idle';
  #stats: PlayerStats | undefined;
  #session: Session | undefined;
  #run: AbortController | undefined;
  #hasPlayed = false;
  #attemptAt = 0;
  #awaitsFrame = false;

  constructor(options: LivePlayerOptions) {
    super();
    this.#options = options;
    this.#url = options.url;
    this.#window = {
      minCache: options.minCache ?? DELAY_WINDOW_DEFAULT.minCache,
      maxCache: options.maxCache ?? DELAY_WINDOW_DEFAULT.maxCache,
    };
    this.video = options.video ?? document.createElement('video');
    this.video.playsInline = true;
    if (options.muted !== undefined) this.video.muted = options.muted;
    this.#autoplay = new AutoplayRescue(this.video, {
      onFailed: (muted) => this.emit('autoplay-failed', { muted }),
      onResumed: () => this.emit('autoplay-resumed', undefined),
    });
    options.signal?.addEventListener('abort', () => this.stop(), { once: true });
  }

  get state(): PlayerState {
    return this.#state;
  }

  /** The last statistics; undefined before the first second. */
  get stats(): PlayerStats | undefined {
    return this.#stats;
  }

  get url(): string {
    return this.#url;
  }

  /**
   * Plays. Resolves with the first picture.
   * @throws LiveError when the address is wrong or the server refuses for good, `aborted` when it was stopped before.
   */
  async start(): Promise<void> {
    this.#endRun();
    const target = this.#parse();
    const run = new AbortController();
    this.#run = run;
    this.#hasPlayed = false;
    this.#backoff.reset();
    this.#watchElement(run.signal);
    const outcome = deferred<LiveError | undefined>();
    run.signal.addEventListener('abort', () =>
      outcome.resolve(new LiveError('aborted', 'The player was stopped.')),
    );
    this.on('firstframe', () => outcome.resolve(undefined), { signal: run.signal, once: true });
    void this.#keepPlaying(target, run.signal).then((refusal) => {
      outcome.resolve(refusal);
      if (this.#run === run) this.#endRun();
    });
    const error = await outcome.promise;
    if (error) throw error;
  }

  /** Ends playing and tells the server. The last picture goes. */
  stop(): void {
    if (!this.#run) return;
    this.#endRun();
    this.video.srcObject = null;
    this.#setState('stopped');
  }

  /** Plays another address in the same element: another quality, another stream. */
  async switchTo(url: string): Promise<void> {
    this.#url = url;
    await this.start();
  }

  /** Holds the picture; the connection stays. */
  pause(): void {
    this.video.pause();
  }

  /** Goes on at the newest picture. */
  resume(): void {
    void this.#autoplay.start();
  }

  /** To be called in a click: brings back the sound that the browser refused. */
  unmute(): void {
    this.#autoplay.resume();
  }

  /** Holds the delay of FLV and HLS between other limits, in seconds. */
  setCache(minCache: number, maxCache: number): void {
    this.#window = { minCache, maxCache };
    this.#session?.setWindow(this.#window);
  }

  #parse(): LiveUrl {
    try {
      return parseLiveUrl(this.#url, 'play', this.#options);
    } catch (thrown) {
      const error = LiveError.from(thrown, 'invalid-url');
      this.#fail(error);
      throw error;
    }
  }

  /** Attempts until stopped or refused for good; resolves with that refusal, or nothing when stopped. */
  async #keepPlaying(target: LiveUrl, signal: AbortSignal): Promise<LiveError | undefined> {
    this.#setState('connecting');
    while (!signal.aborted) {
      const error = await this.#attempt(target, signal);
      if (signal.aborted) break;
      if (!worthPlayingAgain(error, this.#hasPlayed, this.#options.waitForStream === true)) {
        this.#fail(error);
        return error;
      }
      const delayMs = this.#backoff.nextDelayMs();
      this.#setState('reconnecting');
      this.emit('reconnecting', { attempt: this.#backoff.attempts, delayMs, error });
      await pause(delayMs, signal);
    }
    return undefined;
  }

  /** One connection from its beginning to its loss. */
  async #attempt(target: LiveUrl, signal: AbortSignal): Promise<LiveError> {
    this.#attemptAt = performance.now();
    this.#awaitsFrame = true;
    try {
      const session = await open(target.protocol, this.#input(target, signal));
      if (signal.aborted) {
        session.close();
        return new LiveError('aborted', 'The player was stopped.');
      }
      this.#session = session;
      const stopped = deferred<LiveError>();
      signal.addEventListener('abort', () =>
        stopped.resolve(new LiveError('aborted', 'The player was stopped.')),
      );
      const error = await Promise.race([session.lost, stopped.promise]);
      if (this.#session === session) this.#closeSession();
      return error;
    } catch (thrown) {
      return LiveError.from(thrown, 'network');
    }
  }

  #input(target: LiveUrl, signal: AbortSignal): SessionInput {
    return {
      video: this.video,
      endpoint: target.endpoint,
      token: this.#options.token,
      window: this.#window,
      jitterBufferTarget: this.#options.jitterBufferTarget,
      signal,
      onConnected: () => this.emit('connected', { protocol: target.protocol }),
      onStats: (stats) => {
        this.#stats = stats;
        this.emit('stats', stats);
      },
      startElement: () => void this.#autoplay.start(),
    };
  }

  #watchElement(signal: AbortSignal): void {
    const { video } = this;
    const options = { signal };
    const shows = (): void => {
      if (this.#awaitsFrame && video.readyState >= video.HAVE_CURRENT_DATA) {
        this.#awaitsFrame = false;
        this.#hasPlayed = true;
        this.#backoff.reset();
        this.emit('firstframe', { ms: performance.now() - this.#attemptAt });
      }
      if (!this.#awaitsFrame) this.#setState('playing');
    };
    video.addEventListener('playing', shows, options);
    video.addEventListener(
      'waiting',
      () => {
        if (this.#state === 'playing') this.#setState('buffering');
      },
      options,
    );
    video.addEventListener(
      'resize',
      () => {
        if (video.videoWidth > 0) this.emit('resize', { width: video.videoWidth, height: video.videoHeight });
      },
      options,
    );
  }

  #endRun(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#closeSession();
    this.#autoplay.stop();
  }

  #closeSession(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  #fail(error: LiveError): void {
    this.#setState('failed');
    this.emit('error', error);
  }

  #setState(state: PlayerState): void {
    if (state === this.#state) return;
    const previous = this.#state;
    this.#state = state;
    this.emit('statechange', { state, previous });
  }
}

/** FLV and HLS come in chunks of their own: whoever plays WebRTC never loads them. */
async function open(protocol: LiveProtocol, input: SessionInput): Promise<Session> {
  switch (protocol) {
    case 'webrtc':
      return playWhep(input);
    case 'flv':
      return (await import('./flv.js')).playFlv(input);
    case 'hls':
      return (await import('./hls.js')).playHls(input);
  }
}
