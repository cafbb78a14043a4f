import { DelayControl, type DelayWindow } from './delay.js';
import type { LiveError } from './errors.js';
import { LiveError as Failure } from './errors.js';
import { Liveness } from './liveness.js';
import { type SessionInput, TICK_MS } from './session.js';
import { type PlayerStats, perSecond } from './stats.js';
import type { LiveProtocol } from './url.js';

/** What only the library below knows. Read once a second. */
export interface BufferedSource {
  protocol: LiveProtocol;
  /** Bytes received so far. */
  bytes(): number;
  codecs(): { video: string | undefined; audio: string | undefined };
  /** Seconds behind the newest media that the server has, where that is more than what is buffered. */
  behind?(): number | undefined;
  /** How long the buffer may go without growing before the stream counts as gone, milliseconds. */
  silenceMsMax: number;
}

/** Drives an element that plays from a buffer (FLV, HLS): delay control four times a second, statistics once. */
export class Buffered {
  readonly #input: SessionInput;
  readonly #source: BufferedSource;
  readonly #control: DelayControl;
  readonly #liveness: Liveness;
  readonly #lost: (error: LiveError) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #stop = new AbortController();
  #measuredAt = performance.now();
  #bytes = 0;
  #frames = 0;
  #stalls = 0;
  #rate = 1;
  #shown = false;

  constructor(input: SessionInput, source: BufferedSource, lost: (error: LiveError) => void) {
    this.#input = input;
    this.#source = source;
    this.#control = new DelayControl(input.window);
    this.#liveness = new Liveness(source.silenceMsMax);
    this.#lost = lost;
    this.#frames = this.#quality().totalVideoFrames;
    const options = { signal: this.#stop.signal };
    input.video.addEventListener('waiting', () => this.#waiting(), options);
    input.video.addEventListener('playing', () => (this.#shown = true), options);
    this.#timer = setInterval(() => this.#tick(), CONTROL_MS);
  }

  setWindow(window: DelayWindow): void {
    this.#control.setWindow(window);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stop.abort();
    this.#input.video.playbackRate = 1;
  }

  #waiting(): void {
    if (!this.#shown || this.#input.video.seeking) return;
    this.#stalls += 1;
    this.#control.stalled(performance.now());
  }

  #tick(): void {
    const now = performance.now();
    const { video } = this.#input;
    const end = bufferedEnd(video);
    if (end !== undefined && !video.paused) this.#steer(now, end);
    if (now - this.#measuredAt < TICK_MS) return;
    this.#measure(now, end);
    if (this.#liveness.silent(now, this.#source.bytes())) {
      this.#lost(new Failure('disconnected', 'No media has come for a while.'));
    }
  }

  #steer(now: number, end: number): void {
    const { video } = this.#input;
    const step = this.#control.step(now, end - video.currentTime);
    if (step.jumpTo !== undefined) video.currentTime = Math.max(end - step.jumpTo, 0);
    if (Math.abs(step.rate - this.#rate) >= RATE_STEP || step.rate === 1) {
      this.#rate = step.rate;
      if (video.playbackRate !== step.rate) video.playbackRate = step.rate;
    }
  }

  #measure(now: number, end: number | undefined): void {
    const { video } = this.#input;
    const quality = this.#quality();
    const decoded = quality.totalVideoFrames - quality.droppedVideoFrames;
    const bytes = this.#source.bytes();
    const ms = now - this.#measuredAt;
    const codecs = this.#source.codecs();
    const ahead = end === undefined ? undefined : Math.max(end - video.currentTime, 0);
    const behind = this.#source.behind?.() ?? ahead;
    const stats: PlayerStats = {
      at: now,
      protocol: this.#source.protocol,
      width: video.videoWidth,
      height: video.videoHeight,
      fps: perSecond(quality.totalVideoFrames - this.#frames, ms),
      bitrate: perSecond(bytes - this.#bytes, ms) * 8,
      framesDecoded: decoded,
      framesDropped: quality.droppedVideoFrames,
      freezeCount: this.#stalls,
      packetsReceived: 0,
      packetsLost: 0,
      jitterBufferDelay: undefined,
      rtt: undefined,
      delay: behind === undefined ? undefined : behind * 1000,
      rate: this.#rate,
      videoCodec: codecs.video,
      audioCodec: codecs.audio,
      audioLevel: undefined,
    };
    this.#measuredAt = now;
    this.#bytes = bytes;
    this.#frames = quality.totalVideoFrames;
    this.#input.onStats(stats);
  }

  #quality(): { totalVideoFrames: number; droppedVideoFrames: number } {
    return this.#input.video.getVideoPlaybackQuality?.() ?? { totalVideoFrames: 0, droppedVideoFrames: 0 };
  }
}

function bufferedEnd(video: HTMLVideoElement): number | undefined {
  const { buffered } = video;
  return buffered.length > 0 ? buffered.end(buffered.length - 1) : undefined;
}

/** Names a codec string of MSE ("avc1.42c01f") as the statistics of WebRTC do ("H264"). */
export function codecName(codec: string | undefined): string | undefined {
  if (!codec) return undefined;
  const known = CODEC_NAMES.find(([start]) => codec.toLowerCase().startsWith(start));
  return known?.[1] ?? codec;
}

const CODEC_NAMES: ReadonlyArray<readonly [string, string]> = [
  ['avc', 'H264'],
  ['hvc1', 'H265'],
  ['hev1', 'H265'],
  ['av01', 'AV1'],
  ['vp09', 'VP9'],
  ['mp4a', 'AAC'],
  ['opus', 'opus'],
];
const CONTROL_MS = 250;
const RATE_STEP = 0.01;
