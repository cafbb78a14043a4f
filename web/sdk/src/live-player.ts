import { choice, flag, number, reflect } from './attributes.js';
import { DEAD_ATTEMPTS, LinkCode, PlayCode, type StateChange } from './codes.js';
import { DELAY_WINDOW_DEFAULT } from './delay.js';
import { adoptStyle } from './element-style.js';
import type { LiveError } from './errors.js';
import { LivePlayer, type LivePlayerOptions } from './player.js';
import type { PlayerStats } from './stats.js';

/**
 * `<live-player src min-cache max-cache muted autoplay mode object-fit orientation debug token wait-for-stream background-mute>`:
 * attributes, events (`statechange`, `netstatus`, `audiovolumenotify`, `fullscreenchange`, `error`) and numbers of the mini-program
 * tag. `autoplay` is on unless `autoplay="false"`.
 */
export class LivePlayerElement extends HTMLElement {
  static readonly observedAttributes = [
    'src',
    'token',
    'muted',
    'min-cache',
    'max-cache',
    'mode',
    'object-fit',
    'orientation',
    'debug',
  ];
  declare src: string;
  declare token: string;
  declare muted: boolean;
  declare autoplay: boolean;
  readonly #video = document.createElement('video');
  readonly #sound = document.createElement('button');
  readonly #debug = document.createElement('pre');
  #player: LivePlayer | undefined;
  #life: AbortController | undefined;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    adoptStyle(root);
    this.#video.part.add('video');
    this.#video.playsInline = true;
    this.#sound.part.add('sound');
    this.#sound.type = 'button';
    this.#sound.hidden = true;
    this.#debug.hidden = true;
    root.append(this.#video, this.#sound, this.#debug);
  }

  /** The element inside, for `requestVideoFrameCallback`, `captureStream` and the like. */
  get video(): HTMLVideoElement {
    return this.#video;
  }

  /** The player below, while something is played. */
  get player(): LivePlayer | undefined {
    return this.#player;
  }

  connectedCallback(): void {
    this.#life = new AbortController();
    const options = { signal: this.#life.signal };
    this.#sound.addEventListener('click', () => this.#player?.unmute(), options);
    this.addEventListener('fullscreenchange', () => this.#fullscreenChanged(), options);
    document.addEventListener('visibilitychange', () => this.#visibilityChanged(), options);
    this.#look();
    if (this.src && flag(this, 'autoplay', true)) this.play();
  }

  disconnectedCallback(): void {
    this.#life?.abort();
    this.#life = undefined;
    this.#player?.stop();
    this.#player = undefined;
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now || !this.isConnected) return;
    if (name === 'src' || name === 'token' || name === 'mode') {
      if (!this.src) this.stop();
      else if (this.#player || flag(this, 'autoplay', true)) this.play();
    } else if (name === 'min-cache' || name === 'max-cache') {
      const { minCache, maxCache } = this.#cache();
      this.#player?.setCache(minCache, maxCache);
    }
    this.#look();
  }

  /** Plays `src`; again from the beginning if it plays already. Trouble is told by events. */
  play(): void {
    this.#player?.stop();
    const options: LivePlayerOptions = {
      url: this.src,
      video: this.#video,
      muted: flag(this, 'muted', false),
      waitForStream: flag(this, 'wait-for-stream', false),
      ...this.#cache(),
    };
    if (this.token) options.token = this.token;
    const player = new LivePlayer(options);
    this.#player = player;
    this.#listen(player);
    player.start().catch(() => {});
  }

  stop(): void {
    if (!this.#player) return;
    this.#player.stop();
    this.#player = undefined;
    this.#sound.hidden = true;
    this.#tell(PlayCode.playEnd, 'Playing has ended.');
  }

  pause(): void {
    this.#player?.pause();
  }

  resume(): void {
    this.#player?.resume();
  }

  /** Turns the sound off or on; without a value, the other way. */
  mute(muted = !this.#video.muted): void {
    this.muted = muted;
  }

  /** The picture shown now. @throws DOMException when there is none. */
  async snapshot(type = 'image/png'): Promise<Blob> {
    const canvas = document.createElement('canvas');
    canvas.width = this.#video.videoWidth;
    canvas.height = this.#video.videoHeight;
    canvas.getContext('2d')?.drawImage(this.#video, 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, type));
    if (!blob) throw new DOMException('There is no picture to take.', 'InvalidStateError');
    return blob;
  }

  requestFullScreen(): Promise<void> {
    return this.requestFullscreen();
  }

  exitFullScreen(): Promise<void> {
    return document.exitFullscreen();
  }

  #cache(): { minCache: number; maxCache: number } {
    return {
      minCache: number(this, 'min-cache', 0, CACHE_S_MAX) ?? DELAY_WINDOW_DEFAULT.minCache,
      maxCache: number(this, 'max-cache', 0, CACHE_S_MAX) ?? DELAY_WINDOW_DEFAULT.maxCache,
    };
  }

  #look(): void {
    choice(this, 'mode', ['live', 'RTC'], 'live');
    const fit = choice(this, 'object-fit', ['contain', 'fillCrop', 'cover', 'fill'], 'contain');
    const turned = choice(this, 'orientation', ['vertical', 'horizontal'], 'vertical') === 'horizontal';
    const { style } = this.#video;
    style.objectFit = fit === 'fillCrop' ? 'cover' : fit;
    style.transform = turned ? 'rotate(-90deg)' : '';
    this.#video.muted = flag(this, 'muted', false);
    this.#debug.hidden = !flag(this, 'debug', false);
  }

  #listen(player: LivePlayer): void {
    let first = true;
    player.on('connected', () => {
      this.#tell(PlayCode.connected, 'Connected to the server.');
      this.#tell(PlayCode.streamBegin, 'The stream begins.');
    });
    player.on('firstframe', () => {
      this.#tell(PlayCode.decoderStart, 'The decoder has started.');
      this.#tell(PlayCode.firstFrame, 'The first picture is shown.');
      if (first) this.#tell(PlayCode.playBegin, 'Playing begins.');
      first = false;
    });
    player.on('resize', ({ width, height }) => this.#tell(PlayCode.resolutionChanged, `${width}x${height}`));
    player.on('statechange', ({ state }) => {
      if (state === 'buffering') this.#tell(PlayCode.stutter, 'The buffer has run empty.');
      if (state === 'connecting' || state === 'buffering') this.#tell(PlayCode.loading, 'Loading.');
    });
    player.on('reconnecting', ({ attempt, error }) => this.#reconnecting(attempt, error));
    player.on('error', (error) => this.#failed(error));
    player.on('stats', (stats) => this.#status(stats));
    player.on('autoplay-failed', ({ muted }) => {
      this.#sound.textContent = muted ? 'Tap for sound' : 'Tap to play';
      this.#sound.hidden = false;
      this.dispatchEvent(new CustomEvent('autoplay-failed', { detail: { muted } }));
    });
    player.on('autoplay-resumed', () => {
      this.#sound.hidden = true;
    });
  }

  #reconnecting(attempt: number, error: LiveError): void {
    const refused = error.status !== undefined;
    const code = refused
      ? LinkCode.refused
      : error.code === 'disconnected'
        ? LinkCode.dropped
        : LinkCode.connectFailed;
    this.#tell(code, error.message);
    this.#tell(PlayCode.reconnecting, 'Connecting again.');
    if (attempt === DEAD_ATTEMPTS) this.#tell(PlayCode.dead, error.message);
  }

  #failed(error: LiveError): void {
    this.#tell(PlayCode.dead, error.message);
    const detail = { errCode: PlayCode.dead, errMsg: error.message, code: error.code, error };
    this.dispatchEvent(new CustomEvent('error', { detail }));
  }

  #status(stats: PlayerStats): void {
    const info = {
      videoBitrate: Math.round(stats.bitrate / 1000),
      audioBitrate: 0,
      videoFPS: Math.round(stats.fps),
      videoGOP: 0,
      netSpeed: Math.round(stats.bitrate / 1000),
      netJitter: Math.round(stats.jitterBufferDelay ?? 0),
      netQualityLevel: 0,
      videoWidth: stats.width,
      videoHeight: stats.height,
      stats,
    };
    this.dispatchEvent(new CustomEvent('netstatus', { detail: { info } }));
    if (stats.audioLevel !== undefined) {
      const volume = Math.round(stats.audioLevel * 100);
      this.dispatchEvent(new CustomEvent('audiovolumenotify', { detail: { volume } }));
    }
    if (this.#debug.hidden) return;
    const { protocol, width, height, fps, bitrate, delay } = stats;
    this.#debug.textContent = `${protocol} ${width}x${height} ${fps.toFixed(0)} fps\n${(bitrate / 1000).toFixed(0)} kbit/s, delay ${delay?.toFixed(0) ?? '?'} ms`;
  }

  #fullscreenChanged(): void {
    const fullScreen = document.fullscreenElement === this;
    const { videoWidth, videoHeight } = this.#video;
    const direction = videoHeight > videoWidth ? 'vertical' : 'horizontal';
    const detail = { fullScreen, direction };
    this.dispatchEvent(new CustomEvent('fullscreenchange', { detail }));
  }

  #visibilityChanged(): void {
    if (!flag(this, 'background-mute', false)) return;
    this.#video.muted = document.hidden || flag(this, 'muted', false);
  }

  #tell(code: number, message: string): void {
    const detail: StateChange = { code, message };
    this.dispatchEvent(new CustomEvent('statechange', { detail }));
  }
}

reflect(
  LivePlayerElement.prototype,
  ['src', 'token', 'mode', 'min-cache', 'max-cache', 'object-fit', 'orientation'],
  { muted: false, autoplay: true, debug: false, 'wait-for-stream': false, 'background-mute': false },
);

const CACHE_S_MAX = 60;
