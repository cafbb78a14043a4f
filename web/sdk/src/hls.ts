import type HlsTypes from 'hls.js';
import type { ErrorData, HlsConfig, LevelDetails } from 'hls.js';
import { Buffered, codecName } from './buffered.js';
import type { DelayWindow } from './delay.js';
import { errorFromAnswer, LiveError } from './errors.js';
import { deferred, type Session, type SessionInput } from './session.js';

/** Plays HLS and low-latency HLS: through Media Source Extensions where there are any (loaded when needed), else natively. */
export async function playHls(input: SessionInput): Promise<Session> {
  if ('MediaSource' in globalThis || 'ManagedMediaSource' in globalThis) return playByMediaSource(input);
  if (input.video.canPlayType('application/vnd.apple.mpegurl')) return playNatively(input);
  throw new LiveError('not-supported', 'This browser cannot play HLS. Use the WebRTC address.');
}

async function playByMediaSource(input: SessionInput): Promise<Session> {
  const { default: Hls } = await import('hls.js/light');
  if (input.signal.aborted) throw new LiveError('aborted', 'The call was cancelled.');
  const lost = deferred<LiveError>();
  const hls = new Hls(configOf(input.token));
  const seen = follow(hls, Hls, input, lost.resolve);
  input.video.srcObject = null;
  hls.attachMedia(input.video);
  hls.loadSource(input.endpoint);
  input.startElement();
  const codecs = () => ({ video: codecName(seen.video), audio: codecName(seen.audio) });
  const source = {
    protocol: 'hls' as const,
    bytes: () => seen.bytes,
    codecs,
    behind: () => (hls.latency > 0 ? hls.latency : undefined),
    silenceMsMax: SILENCE_MS_MAX,
  };
  const buffered = new Buffered(input, source, lost.resolve);
  let wanted = input.window;
  hls.on(Hls.Events.LEVEL_UPDATED, (_event, { details }) => buffered.setWindow(widened(wanted, details)));
  return {
    lost: lost.promise,
    setWindow: (window) => {
      wanted = window;
      buffered.setWindow(window);
    },
    close: () => {
      buffered.close();
      hls.destroy();
    },
  };
}

/** What has come so far. */
interface Seen {
  bytes: number;
  video: string | undefined;
  audio: string | undefined;
}

/** Counts bytes, tells of the connection and turns fatal errors into the reason of the loss; a decoder's fault is mended once. */
function follow(
  hls: HlsTypes,
  Hls: typeof HlsTypes,
  input: SessionInput,
  lost: (error: LiveError) => void,
): Seen {
  const seen: Seen = { bytes: 0, video: undefined, audio: undefined };
  let mended = false;
  hls.on(Hls.Events.MANIFEST_PARSED, (_event, { levels }) => {
    seen.video = levels[0]?.videoCodec ?? seen.video;
    seen.audio = levels[0]?.audioCodec ?? seen.audio;
    input.onConnected();
  });
  hls.on(Hls.Events.FRAG_LOADED, (_event, loaded) => {
    seen.bytes += (loaded.part ?? loaded.frag).stats.loaded;
  });
  hls.on(Hls.Events.BUFFER_CODECS, (_event, { video, audio }) => {
    seen.video = video?.codec ?? seen.video;
    seen.audio = audio?.codec ?? seen.audio;
  });
  hls.on(Hls.Events.ERROR, (_event, problem) => {
    if (!problem.fatal) return;
    if (problem.type === Hls.ErrorTypes.MEDIA_ERROR && !mended) {
      mended = true;
      hls.recoverMediaError();
      return;
    }
    lost(explain(problem, problem.type === Hls.ErrorTypes.NETWORK_ERROR));
  });
  input.video.addEventListener('ended', () => lost(new LiveError('disconnected', 'The stream has ended.')), {
    signal: input.signal,
    once: true,
  });
  return seen;
}

function playNatively(input: SessionInput): Session {
  const lost = deferred<LiveError>();
  const stop = new AbortController();
  const { video } = input;
  const options = { signal: stop.signal };
  video.addEventListener('loadedmetadata', () => input.onConnected(), options);
  video.addEventListener(
    'error',
    () => lost.resolve(new LiveError('network', video.error?.message || 'The playlist cannot be loaded.')),
    options,
  );
  video.addEventListener(
    'ended',
    () => lost.resolve(new LiveError('disconnected', 'The stream has ended.')),
    options,
  );
  video.srcObject = null;
  video.src = input.endpoint;
  input.startElement();
  return {
    lost: lost.promise,
    setWindow: () => {},
    close: () => {
      stop.abort();
      video.removeAttribute('src');
      video.load();
    },
  };
}

/** Segments come whole: a window narrower than what one segment brings would jump at each of them. */
function widened(window: DelayWindow, details: LevelDetails): DelayWindow {
  const piece = details.partTarget > 0 ? details.partTarget : details.targetduration;
  const minCache = Math.max(window.minCache, piece * PIECES_MIN);
  const maxCache = Math.max(window.maxCache, minCache + piece * PIECES_MIN);
  return { minCache, maxCache, floor: piece * PIECES_FLOOR };
}

function explain(problem: ErrorData, network: boolean): LiveError {
  const status = problem.response?.code ?? 0;
  if (status >= 400) {
    const body = bodyOf(problem.networkDetails);
    return errorFromAnswer(status, body.startsWith('{') ? 'application/json' : null, body);
  }
  const text = problem.error?.message ?? problem.details;
  return network ? new LiveError('network', text) : new LiveError('decode', text, { retryable: true });
}

/** What the server said: the library keeps the request, but only the status line of its answer. */
function bodyOf(request: unknown): string {
  const asked = request instanceof XMLHttpRequest && request.responseType !== 'arraybuffer';
  return asked ? request.responseText : '';
}

function configOf(token: string | undefined): Partial<HlsConfig> {
  const config: Partial<HlsConfig> = {
    enableWorker: false,
    lowLatencyMode: true,
    backBufferLength: 30,
    maxLiveSyncPlaybackRate: 1,
  };
  if (token) {
    config.xhrSetup = (request, url) => {
      request.open('GET', url, true);
      request.setRequestHeader('authorization', `Bearer ${token}`);
    };
  }
  return config;
}

const PIECES_MIN = 1.5;
const PIECES_FLOOR = 0.4;
const SILENCE_MS_MAX = 12_000;
