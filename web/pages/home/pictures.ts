import { type LiveError, LivePlayer } from 'stentor';
import type { StreamFacts } from '../parts/server.js';
import { withToken } from '../parts/token.js';

/** What a card shows: a canvas that keeps its last picture, and why there is none. */
export interface Picture {
  canvas: HTMLCanvasElement;
  taken: boolean;
  /** The server's sentence when it refused to play the stream. */
  refusal: string | undefined;
}

/** Takes one picture of each stream by playing it muted for a moment (over WebRTC, or FLV where B-frames forbid that): one stream at a time, each once a minute, while the page is visible. */
export class Pictures {
  readonly #pictures = new Map<string, Picture & { dueAt: number }>();
  readonly #changed: (key: string) => void;
  #busy = false;

  constructor(changed: (key: string) => void) {
    this.#changed = changed;
  }

  of(key: string): Picture {
    let picture = this.#pictures.get(key);
    if (!picture) {
      picture = { canvas: document.createElement('canvas'), taken: false, refusal: undefined, dueAt: 0 };
      this.#pictures.set(key, picture);
    }
    return picture;
  }

  /** Forgets streams that are gone and takes the picture that is due the longest, if none is being taken. */
  async refresh(streams: ReadonlyMap<string, StreamFacts>): Promise<void> {
    for (const key of this.#pictures.keys()) if (!streams.has(key)) this.#pictures.delete(key);
    if (this.#busy || document.hidden) return;
    const due = [...streams]
      .filter(([, stream]) => stream.video)
      .slice(0, STREAMS_MAX)
      .find(([key]) => (this.#pictures.get(key)?.dueAt ?? 0) <= performance.now());
    if (!due) return;
    const [key, stream] = due;
    this.#busy = true;
    this.of(key);
    const refusal = await this.#take(stream, this.of(key).canvas);
    this.#busy = false;
    const picture = this.#pictures.get(key);
    if (!picture) return;
    picture.dueAt = performance.now() + EVERY_MS;
    picture.taken ||= refusal === undefined;
    picture.refusal = refusal;
    this.#changed(key);
  }

  async #take(stream: StreamFacts, canvas: HTMLCanvasElement): Promise<string | undefined> {
    const path = `${encodeURIComponent(stream.app)}/${encodeURIComponent(stream.stream)}`;
    const url = withToken(stream.video?.bFrames === 'referenced' ? `/${path}.flv` : `/whep/${path}`);
    const signal = AbortSignal.timeout(TAKE_MS_MAX);
    const player = new LivePlayer({ url, muted: true, signal });
    try {
      await player.start();
      draw(player.video, canvas);
      return undefined;
    } catch (thrown) {
      const { status, message } = thrown as LiveError;
      // That a token is needed is told once, at the top of the page.
      return status === undefined || status === 401 ? '' : message;
    } finally {
      player.stop();
    }
  }
}

function draw(video: HTMLVideoElement, canvas: HTMLCanvasElement): void {
  if (video.videoWidth === 0) return;
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.getContext('2d')?.drawImage(video, 0, 0, canvas.width, canvas.height);
}

const WIDTH = 480;
const EVERY_MS = 60_000;
const TAKE_MS_MAX = 8000;
const STREAMS_MAX = 24;
