import { withToken } from './token.js';

/** `GET /v1/server`. */
export interface ServerFacts {
  version: string;
  mode: 'dev' | 'serve';
  sdkAppId: number | null;
  rtmpPort: number;
  rtmpUrl: string;
  open: boolean;
}

/** One entry of `GET /v1/streams`. */
export interface StreamFacts {
  app: string;
  stream: string;
  publisher: { protocol: string; since: string };
  /** The size is known once somebody has needed the stream as frames. */
  video: {
    codec: string;
    width: number | null;
    height: number | null;
    frameRate: number;
    bFrames: string;
  } | null;
  audio: { codec: string; sampleRate: number | null; channels: number | null } | null;
  /** Bits per second. */
  bitrate: number;
  viewers: { webrtc: number; rtmp: number; flv: number; hls: number };
  warnings: { code: string; message: string }[];
  health: { score: Score };
}

export type Score = 'good' | 'fair' | 'bad';

/** Something that is wrong with what a publisher sends, and what to do about it. */
export interface Fault {
  code: string;
  severity: 'info' | 'warn' | 'error';
  message: string;
  count: number;
  since: string;
  last: string;
}

/** What a publisher sends, in `GET /v1/streams/{app}/{stream}`. What is not known is null. */
export interface HealthFacts {
  score: Score;
  video: {
    codec: string | null;
    profile: string | null;
    level: string | null;
    width: number | null;
    height: number | null;
    frameRate: number | null;
    frameRateClaimed: number | null;
    bitrate: number | null;
    gopMs: number | null;
    gopMsMax: number | null;
    gopFrames: number | null;
    bFrames: string;
  } | null;
  audio: {
    codec: string | null;
    profile: string | null;
    sampleRate: number | null;
    channels: number | null;
    bitrate: number | null;
  } | null;
  bitrate: number;
  speed: number | null;
  interleaveMs: number | null;
  stalls: number;
  faults: Fault[];
  history: Fault[];
  /** A value for each whole second, the oldest first. */
  lastMinute: { bitrate: number[]; frameRate: number[] };
}

/** What the server said no with. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

/** One line about the server, for the top of a page. */
export function describeServer({ version, mode, sdkAppId }: ServerFacts): string {
  const application = sdkAppId === null ? 'no application' : `application ${sdkAppId}`;
  return `${version} · ${mode === 'dev' ? 'development' : 'serving'} · ${application}`;
}

export function fetchServer(): Promise<ServerFacts> {
  return get<ServerFacts>('/v1/server');
}

export async function fetchStreams(): Promise<StreamFacts[]> {
  const { streams } = await get<{ streams: StreamFacts[] }>('/v1/streams');
  return streams;
}

/** One stream with its health; nothing while it is not live. */
export async function fetchHealth(app: string, stream: string): Promise<HealthFacts | undefined> {
  try {
    const path = `/v1/streams/${encodeURIComponent(app)}/${encodeURIComponent(stream)}`;
    return (await get<{ health: HealthFacts }>(path)).health;
  } catch (thrown) {
    if (thrown instanceof Refusal && thrown.status === 404) return undefined;
    throw thrown;
  }
}

/** Asks again and again while the page is visible: at once when it becomes visible, then every `everyMs`. Never two at a time. */
export function poll<T>(
  everyMs: number,
  ask: () => Promise<T>,
  told: (answer: T) => void,
  failed: (thrown: unknown) => void,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let busy = false;
  let over = false;
  const round = async (): Promise<void> => {
    clearTimeout(timer);
    if (busy || over) return;
    busy = true;
    try {
      const answer = await ask();
      if (!over) told(answer);
    } catch (thrown) {
      if (!over) failed(thrown);
    }
    busy = false;
    if (!over && !document.hidden) timer = setTimeout(round, everyMs);
  };
  const shown = (): void => void (document.hidden || round());
  document.addEventListener('visibilitychange', shown);
  void round();
  return () => {
    over = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', shown);
  };
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(withToken(path), { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (response.ok) return (await response.json()) as T;
  const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string };
  throw new Refusal(
    response.status,
    problem.detail ?? problem.title ?? `The server answered with ${response.status}.`,
  );
}

const ANSWER_MS_MAX = 8000;
