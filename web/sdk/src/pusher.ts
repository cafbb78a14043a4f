import { Backoff, pause } from './backoff.js';
import {
  type CameraOptions,
  cameraConstraints,
  type Facing,
  openCamera,
  openScreen,
  type ScreenOptions,
} from './capture.js';
import type { VideoCodecName } from './codecs.js';
import { Emitter } from './emitter.js';
import { LiveError, worthPushingAgain } from './errors.js';
import { deferred } from './session.js';
import type { PusherStats } from './stats.js';
import { type LiveUrl, parseLiveUrl, type UrlContext } from './url.js';
import { type PushSession, pushWhip } from './whip.js';

/** Where a pusher is. `failed` and `stopped` end it; `start` begins again. */
export type PusherState = 'idle' | 'connecting' | 'publishing' | 'reconnecting' | 'stopped' | 'failed';

/** Everything a `LivePusher` may be told. */
export interface LivePusherOptions extends UrlContext {
  /** `trtc://host/push/...`, a WHIP address, or `https://host/app/stream`. */
  url: string;
  /** Sent as `Authorization: Bearer`. A `usersig` in the URL needs none. */
  token?: string;
  /** The picture's codec if the browser has it; H.264 by default, which every door of the server can pass on as it is. */
  codec?: VideoCodecName;
  /**
   * Sends the picture in three sizes side by side, so that the server can give each WebRTC viewer the one that fits its
   * line. There is a third more to encode: the smaller ones have half and a quarter of the width. Off by default.
   */
  simulcast?: boolean;
  /** Limits of the picture, kbit/s; of all its sizes together. */
  minBitrate?: number;
  maxBitrate?: number;
  /** Stops the pusher when aborted. */
  signal?: AbortSignal;
}

/** What to publish: a stream of one's own (a canvas, a file, Web Audio), the camera, or the screen. */
export type PushSource =
  | MediaStream
  | ({ screen?: false } & CameraOptions)
  | ({ screen: true } & ScreenOptions);

/** Events of a `LivePusher` and their details. */
export interface LivePusherEvents {
  statechange: { state: PusherState; previous: PusherState };
  /** Camera, microphone or screen are open; show the stream as the preview. */
  captured: { stream: MediaStream };
  connected: undefined;
  stats: PusherStats;
  reconnecting: { attempt: number; delayMs: number; error: LiveError };
  /** A source ended by itself: the user stopped sharing, a camera was unplugged. */
  'source-ended': { kind: string };
  /** The pusher gave up. */
  error: LiveError;
}

/** Publishes one live stream over WebRTC and comes back by itself after any outage until it is stopped. */
export class LivePusher extends Emitter<LivePusherEvents> {
  readonly #options: LivePusherOptions;
  readonly #backoff = new Backoff();
  #state: PusherState = 'idle';
  #stats: PusherStats | undefined;
  #stream: MediaStream | undefined;
  #camera: CameraOptions | undefined;
  #owned = false;
  #session: PushSession | undefined;
  #run: AbortController | undefined;
  #hasPublished = false;
  #limits: { min: number | undefined; max: number | undefined };

  constructor(options: LivePusherOptions) {
    super();
    this.#options = options;
    this.#limits = { min: options.minBitrate, max: options.maxBitrate };
    options.signal?.addEventListener('abort', () => this.stop(), { once: true });
  }

  get state(): PusherState {
    return this.#state;
  }

  /** The last statistics; undefined before the first second. */
  get stats(): PusherStats | undefined {
    return this.#stats;
  }

  /** What is being published, for the preview. */
  get stream(): MediaStream | undefined {
    return this.#stream;
  }

  /** Opens the source without publishing it yet; `start` then publishes the same. */
  async preview(source: PushSource = {}): Promise<MediaStream> {
    const stream = await capture(source);
    this.#dropStream();
    this.#stream = stream;
    this.#owned = !(source instanceof MediaStream);
    this.#camera = source instanceof MediaStream || source.screen ? undefined : { ...source };
    for (const track of stream.getTracks()) this.#watchTrack(track);
    this.emit('captured', { stream });
    return stream;
  }

  /**
   * Publishes `source`, or what `preview` opened. Resolves when the server takes media.
   * @throws LiveError when a device, the address or the server refuses for good, `aborted` when it was stopped before.
   */
  async start(source?: PushSource): Promise<void> {
    this.#endRun();
    const run = new AbortController();
    this.#run = run;
    this.#hasPublished = false;
    this.#backoff.reset();
    const outcome = deferred<LiveError | undefined>();
    run.signal.addEventListener('abort', () =>
      outcome.resolve(new LiveError('aborted', 'The pusher was stopped.')),
    );
    this.on('connected', () => outcome.resolve(undefined), { signal: run.signal, once: true });
    void this.#prepare(run.signal, source).then((refusal) => {
      outcome.resolve(refusal);
      if (this.#run === run) this.#endRun();
    });
    const error = await outcome.promise;
    if (error) throw error;
  }

  /** Ends publishing, tells the server, and closes the devices that it opened. */
  stop(): void {
    if (!this.#run && !this.#stream) return;
    this.#endRun();
    this.#dropStream();
    this.#setState('stopped');
  }

  /** Sends silence or a black picture while muted; the publication stays. */
  mute(what: { audio?: boolean; video?: boolean }): void {
    for (const track of this.#stream?.getTracks() ?? []) {
      const muted = track.kind === 'audio' ? what.audio : what.video;
      if (muted !== undefined) track.enabled = !muted;
    }
  }

  /** Turns to the other camera of a phone, or to the camera named by `deviceId`. */
  async switchCamera(to?: Facing | { deviceId: string }): Promise<void> {
    const camera = this.#camera;
    const old = this.#stream?.getVideoTracks()[0];
    if (!camera || !old)
      throw new LiveError('not-supported', 'There is no camera to switch: another source is published.');
    if (typeof to === 'object') camera.deviceId = to.deviceId;
    else {
      delete camera.deviceId;
      camera.facing = to ?? (camera.facing === 'back' ? 'front' : 'back');
    }
    old.stop();
    const fresh = await openCamera({ ...camera, audio: false });
    const track = fresh.getVideoTracks()[0];
    if (track) await this.replace(track);
  }

  /** Sends another track of the same kind from now on. */
  async replace(track: MediaStreamTrack): Promise<void> {
    const stream = this.#stream;
    const old = stream?.getTracks().find((candidate) => candidate.kind === track.kind);
    if (!stream || !old) throw new LiveError('not-supported', `No ${track.kind} is being published.`);
    track.enabled = old.enabled;
    stream.removeTrack(old);
    if (this.#owned) old.stop();
    stream.addTrack(track);
    this.#watchTrack(track);
    await this.#session?.replace(track);
    this.emit('captured', { stream });
  }

  /** Changes the limits of the picture, kbit/s. The lower one counts from the next connection on. */
  setBitrate(min: number | undefined, max: number | undefined): void {
    this.#limits = { min, max };
    this.#session?.setLimits(this.#limits);
  }

  /** Applies new wishes of size and rate to the open camera. */
  async setCamera(options: CameraOptions): Promise<void> {
    if (!this.#camera) return;
    Object.assign(this.#camera, options);
    await this.#stream?.getVideoTracks()[0]?.applyConstraints(cameraConstraints(this.#camera));
  }

  async #prepare(signal: AbortSignal, source: PushSource | undefined): Promise<LiveError | undefined> {
    try {
      const target = parseLiveUrl(this.#options.url, 'push', this.#options);
      if (source || !this.#stream) await this.preview(source);
      if (signal.aborted) {
        if (!this.#run) this.#dropStream();
        return undefined;
      }
      return await this.#keepPushing(target, signal);
    } catch (thrown) {
      const error = LiveError.from(thrown, 'no-device');
      if (signal.aborted) return error;
      this.#fail(error);
      return error;
    }
  }

  async #keepPushing(target: LiveUrl, signal: AbortSignal): Promise<LiveError | undefined> {
    this.#setState('connecting');
    while (!signal.aborted) {
      const error = await this.#attempt(target, signal);
      if (signal.aborted) break;
      if (!worthPushingAgain(error, this.#hasPublished)) {
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

  /** One publication from its offer to its loss. */
  async #attempt(target: LiveUrl, signal: AbortSignal): Promise<LiveError> {
    const stream = this.#stream;
    if (!stream) return new LiveError('no-device', 'There is nothing to publish.');
    try {
      const session = await pushWhip({
        stream,
        endpoint: target.endpoint,
        token: this.#options.token,
        codec: this.#options.codec ?? 'h264',
        simulcast: this.#options.simulcast ?? false,
        limits: this.#limits,
        signal,
        onConnected: () => this.#connected(),
        onStats: (stats) => {
          this.#stats = stats;
          this.emit('stats', stats);
        },
      });
      if (signal.aborted) {
        session.close();
        return new LiveError('aborted', 'The pusher was stopped.');
      }
      this.#session = session;
      const stopped = deferred<LiveError>();
      signal.addEventListener('abort', () =>
        stopped.resolve(new LiveError('aborted', 'The pusher was stopped.')),
      );
      const error = await Promise.race([session.lost, stopped.promise]);
      if (this.#session === session) this.#closeSession();
      return error;
    } catch (thrown) {
      return LiveError.from(thrown, 'network');
    }
  }

  #connected(): void {
    this.#hasPublished = true;
    this.#backoff.reset();
    this.#setState('publishing');
    this.emit('connected', undefined);
  }

  #watchTrack(track: MediaStreamTrack): void {
    track.addEventListener('ended', () => {
      if (this.#stream?.getTracks().includes(track)) this.emit('source-ended', { kind: track.kind });
    });
  }

  #endRun(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#closeSession();
  }

  #closeSession(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  #dropStream(): void {
    if (this.#owned) for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    this.#owned = false;
  }

  #fail(error: LiveError): void {
    this.#setState('failed');
    this.emit('error', error);
  }

  #setState(state: PusherState): void {
    if (state === this.#state) return;
    const previous = this.#state;
    this.#state = state;
    this.emit('statechange', { state, previous });
  }
}

async function capture(source: PushSource): Promise<MediaStream> {
  if (source instanceof MediaStream) return source;
  return source.screen ? openScreen(source) : openCamera(source);
}
