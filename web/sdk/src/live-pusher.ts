import { choice, flag, number, reflect } from './attributes.js';
import type { CameraOptions } from './capture.js';
import { DEAD_ATTEMPTS, DeviceRefusal, LinkCode, PushCode, type StateChange } from './codes.js';
import { adoptStyle } from './element-style.js';
import { LiveError } from './errors.js';
import { LivePusher, type LivePusherOptions } from './pusher.js';
import type { PusherStats } from './stats.js';

/**
 * `<live-pusher url mode enable-camera enable-mic muted min-bitrate max-bitrate autopush device-position mirror aspect orientation
 * video-width video-height fps enable-agc enable-ans audio-quality background-mute codec debug token>`: attributes, events
 * (`statechange`, `netstatus`, `audiovolumenotify`, `error`) and numbers of the mini-program tag.
 */
export class LivePusherElement extends HTMLElement {
  static readonly observedAttributes = [
    'url',
    'muted',
    'enable-camera',
    'min-bitrate',
    'max-bitrate',
    'device-position',
    'mirror',
    'local-mirror',
    'debug',
  ];
  declare url: string;
  declare token: string;
  declare muted: boolean;
  declare autopush: boolean;
  readonly #video = document.createElement('video');
  readonly #debug = document.createElement('pre');
  #pusher: LivePusher | undefined;
  #life: AbortController | undefined;
  #size = '';
  #busy = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    adoptStyle(root);
    this.#video.part.add('video');
    this.#video.playsInline = true;
    this.#video.muted = true;
    this.#video.autoplay = true;
    this.#debug.hidden = true;
    root.append(this.#video, this.#debug);
  }

  /** The preview. */
  get video(): HTMLVideoElement {
    return this.#video;
  }

  /** The pusher below, while there is a preview or a publication. */
  get pusher(): LivePusher | undefined {
    return this.#pusher;
  }

  connectedCallback(): void {
    this.#life = new AbortController();
    const options = { signal: this.#life.signal };
    document.addEventListener('visibilitychange', () => this.#mute(), options);
    this.#look();
    if (this.url && flag(this, 'autopush', false)) this.start();
  }

  disconnectedCallback(): void {
    this.#life?.abort();
    this.#life = undefined;
    this.stop();
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now || !this.isConnected) return;
    const running = this.#pusher && this.#pusher.state !== 'idle';
    if (name === 'url') {
      if (running && this.url) this.start();
      else if (!this.url) this.stop();
      else if (flag(this, 'autopush', false)) this.start();
    } else if (name.endsWith('bitrate')) {
      this.#pusher?.setBitrate(...this.#bitrate());
    } else if (name === 'device-position') {
      this.#turn();
    } else if (name === 'enable-camera' && running && flag(this, name, true) && this.#lacksPicture()) {
      this.start();
    }
    this.#mute();
    this.#look();
  }

  /** Publishes to `url`. Trouble is told by events. */
  start(): void {
    const pusher = this.#renew();
    pusher.start(this.#camera()).catch(() => {});
  }

  /** Opens camera and microphone without publishing. */
  startPreview(): void {
    const pusher = this.#renew();
    pusher
      .preview(this.#camera())
      .catch((thrown: unknown) => this.#failed(LiveError.from(thrown, 'no-device')));
  }

  stopPreview(): void {
    if (this.#pusher?.state === 'idle') this.stop();
  }

  stop(): void {
    this.#pusher?.stop();
    this.#pusher = undefined;
    this.#video.srcObject = null;
    this.#size = '';
  }

  /** Sends black and silence until `resume`. */
  pause(): void {
    this.#pusher?.mute({ audio: true, video: true });
  }

  resume(): void {
    this.#mute();
  }

  switchCamera(): void {
    const front = choice(this, 'device-position', ['front', 'back'], 'front') === 'front';
    this.setAttribute('device-position', front ? 'back' : 'front');
  }

  /** Switches the camera's light. Resolves with whether there is one. */
  async toggleTorch(on = true): Promise<boolean> {
    const track = this.#pusher?.stream?.getVideoTracks()[0];
    const light = { torch: on } as MediaTrackConstraintSet;
    return track
      ? track.applyConstraints({ advanced: [light] }).then(
          () => true,
          () => false,
        )
      : false;
  }

  /** The preview's picture. @throws DOMException when there is none. */
  async snapshot(type = 'image/png'): Promise<Blob> {
    const canvas = document.createElement('canvas');
    canvas.width = this.#video.videoWidth;
    canvas.height = this.#video.videoHeight;
    canvas.getContext('2d')?.drawImage(this.#video, 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, type));
    if (!blob) throw new DOMException('There is no picture to take.', 'InvalidStateError');
    return blob;
  }

  #renew(): LivePusher {
    this.#pusher?.stop();
    const [minBitrate, maxBitrate] = this.#bitrate();
    const codec = choice(this, 'codec', ['h264', 'vp8', 'vp9', 'av1'], 'h264');
    const options: LivePusherOptions = { url: this.url, minBitrate, maxBitrate, codec };
    const token = this.getAttribute('token');
    if (token) options.token = token;
    const pusher = new LivePusher(options);
    this.#pusher = pusher;
    this.#listen(pusher);
    return pusher;
  }

  #mode(): Mode {
    return MODES[choice(this, 'mode', ['SD', 'HD', 'FHD', 'RTC'], 'RTC')];
  }

  #bitrate(): [number, number] {
    const mode = this.#mode();
    const min = number(this, 'min-bitrate', 1, KBPS_MAX) ?? mode.minKbps;
    return [min, Math.max(number(this, 'max-bitrate', 1, KBPS_MAX) ?? mode.maxKbps, min)];
  }

  #camera(): CameraOptions {
    const mode = this.#mode();
    const portrait = choice(this, 'orientation', ['vertical', 'horizontal'], 'horizontal') === 'vertical';
    const wide = choice(this, 'aspect', ['9:16', '3:4'], '9:16') === '9:16';
    const short = mode.height;
    const long = Math.round((short * (wide ? 16 / 9 : 4 / 3)) / 2) * 2;
    return {
      video: flag(this, 'enable-camera', true),
      audio: flag(this, 'enable-mic', true),
      facing: choice(this, 'device-position', ['front', 'back'], 'front'),
      width: number(this, 'video-width', 16, PIXELS_MAX) ?? (portrait ? short : long),
      height: number(this, 'video-height', 16, PIXELS_MAX) ?? (portrait ? long : short),
      frameRate: number(this, 'fps', 1, 60) ?? 30,
      autoGainControl: flag(this, 'enable-agc', true),
      noiseSuppression: flag(this, 'enable-ans', true),
    };
  }

  #lacksPicture(): boolean {
    return this.#pusher?.stream?.getVideoTracks().length === 0;
  }

  #turn(): void {
    const to = choice(this, 'device-position', ['front', 'back'], 'front');
    this.#pusher?.switchCamera(to).catch((thrown: unknown) => this.#failed(LiveError.from(thrown)));
  }

  #mute(): void {
    const background = document.hidden && flag(this, 'background-mute', false);
    const audio = flag(this, 'muted', false) || background || !flag(this, 'enable-mic', true);
    this.#pusher?.mute({ audio, video: !flag(this, 'enable-camera', true) });
  }

  #look(): void {
    const front = choice(this, 'device-position', ['front', 'back'], 'front') === 'front';
    const wish = choice(this, 'local-mirror', ['auto', 'enable', 'disable'], 'auto');
    const mirrored = wish === 'enable' || (wish === 'auto' && (front || flag(this, 'mirror', false)));
    this.#video.style.transform = mirrored ? 'scaleX(-1)' : '';
    this.#debug.hidden = !flag(this, 'debug', false);
  }

  #listen(pusher: LivePusher): void {
    let began = false;
    pusher.on('captured', ({ stream }) => {
      this.#video.srcObject = stream;
      this.#mute();
      if (began) return;
      if (stream.getVideoTracks().length > 0) this.#tell(PushCode.cameraOpen, 'The camera is open.');
      this.#tell(PushCode.firstFrame, 'The first picture is captured.');
    });
    pusher.on('connected', () => {
      this.#tell(PushCode.connected, 'Connected to the server.');
      if (!began) this.#tell(PushCode.encoderStart, 'The encoder has started.');
      this.#tell(PushCode.pushBegin, 'Publishing begins.');
      began = true;
    });
    pusher.on('reconnecting', ({ attempt, error }) => {
      const dropped = error.code === 'disconnected';
      this.#tell(dropped ? LinkCode.dropped : LinkCode.connectFailed, error.message);
      this.#tell(PushCode.reconnecting, 'Connecting again.');
      if (attempt === DEAD_ATTEMPTS) this.#tell(PushCode.dead, error.message);
    });
    pusher.on('error', (error) => this.#failed(error));
    pusher.on('stats', (stats) => this.#status(stats));
  }

  #failed(error: LiveError): void {
    const device = DEVICE_TROUBLE.has(error.code);
    const camera = flag(this, 'enable-camera', true);
    const code = device ? (camera ? PushCode.cameraFailed : PushCode.microphoneFailed) : PushCode.dead;
    this.#tell(code, error.message);
    const forbidden = camera ? DeviceRefusal.camera : DeviceRefusal.microphone;
    const errCode = error.code === 'permission-denied' ? forbidden : code;
    const detail = { errCode, errMsg: error.message, code: error.code, error };
    this.dispatchEvent(new CustomEvent('error', { detail }));
  }

  #status(stats: PusherStats): void {
    const size = `${stats.width}x${stats.height}`;
    if (stats.width > 0 && size !== this.#size) {
      if (this.#size) this.#tell(PushCode.resolutionChanged, size);
      this.#size = size;
    }
    const busy = stats.limitedBy === 'bandwidth';
    if (busy && !this.#busy)
      this.#tell(PushCode.networkBusy, 'The network is too slow for the wished quality.');
    this.#busy = busy;
    const info = {
      videoBitrate: Math.round(stats.videoBitrate / 1000),
      audioBitrate: Math.round(stats.audioBitrate / 1000),
      videoFPS: Math.round(stats.fps),
      videoGOP: 0,
      netSpeed: Math.round(stats.bitrate / 1000),
      netJitter: 0,
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
    if (!this.#debug.hidden) {
      this.#debug.textContent = `${stats.videoCodec ?? ''} ${size} ${stats.fps.toFixed(0)} fps\n${info.netSpeed} kbit/s`;
    }
  }

  #tell(code: number, message: string): void {
    const detail: StateChange = { code, message };
    this.dispatchEvent(new CustomEvent('statechange', { detail }));
  }
}

reflect(
  LivePusherElement.prototype,
  ['url', 'token', 'mode', 'min-bitrate', 'max-bitrate', 'device-position', 'orientation', 'aspect', 'codec'],
  { muted: false, autopush: false, debug: false, 'enable-camera': true, 'enable-mic': true, mirror: false },
);

interface Mode {
  height: number;
  minKbps: number;
  maxKbps: number;
}

const MODES: Readonly<Record<'SD' | 'HD' | 'FHD' | 'RTC', Mode>> = {
  SD: { height: 360, minKbps: 300, maxKbps: 800 },
  HD: { height: 540, minKbps: 600, maxKbps: 1200 },
  FHD: { height: 720, minKbps: 600, maxKbps: 1800 },
  RTC: { height: 360, minKbps: 200, maxKbps: 1000 },
};
const KBPS_MAX = 100_000;
const PIXELS_MAX = 8192;
const DEVICE_TROUBLE: ReadonlySet<string> = new Set([
  'permission-denied',
  'no-device',
  'device-busy',
  'not-supported',
]);
