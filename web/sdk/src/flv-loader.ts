import type Mpegts from 'mpegts.js';
import { errorFromAnswer, LiveError } from './errors.js';
import { authorization } from './exchange.js';

/** What the loader tells the session: the demuxer never hears of trouble, since reconnecting is the player's business. */
export interface FlvLoaderEvents {
  token: string | undefined;
  onAccepted(): void;
  onBytes(count: number): void;
  onOver(error: LiveError): void;
}

/** The shape that the demuxer constructs and drives. */
type LoaderClass = Mpegts.CustomLoaderConstructor;

/** A loader for the demuxer that reads the live response as it comes, counts its bytes and keeps the server's sentence on a refusal. */
export function flvLoader(events: FlvLoaderEvents): LoaderClass {
  return class FlvLoader implements Mpegts.BaseLoader {
    _status = 0;
    _needStash = false;
    readonly type = 'stentor-fetch';
    readonly needStashBuffer = false;
    onContentLengthKnown: Mpegts.BaseLoader['onContentLengthKnown'] = () => {};
    onURLRedirect: Mpegts.BaseLoader['onURLRedirect'] = () => {};
    onDataArrival: Mpegts.BaseLoader['onDataArrival'] = () => {};
    onError: Mpegts.BaseLoader['onError'] = () => {};
    onComplete: Mpegts.BaseLoader['onComplete'] = () => {};
    readonly #abort = new AbortController();

    get status(): number {
      return this._status;
    }

    isWorking(): boolean {
      return this._status === CONNECTING || this._status === BUFFERING;
    }

    open(source: Mpegts.MediaSegment): void {
      this._status = CONNECTING;
      this.#read(source.url).catch((thrown: unknown) => {
        if (!this.#abort.signal.aborted) events.onOver(LiveError.from(thrown, 'network'));
      });
    }

    abort(): void {
      this._status = IDLE;
      this.#abort.abort();
    }

    destroy(): void {
      this.abort();
    }

    async #read(url: string): Promise<void> {
      const headers = authorization(events.token);
      const response = await fetch(url, { headers, cache: 'no-store', signal: this.#abort.signal });
      if (!response.ok || !response.body) {
        const type = response.headers.get('content-type');
        throw errorFromAnswer(response.status, type, await response.text());
      }
      events.onAccepted();
      this._status = BUFFERING;
      const reader = response.body.getReader();
      let received = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done || !value) break;
        const start = received;
        received += value.byteLength;
        events.onBytes(value.byteLength);
        this.onDataArrival(whole(value), start, received);
      }
      throw new LiveError('disconnected', 'The server ended the stream.');
    }
  };
}

/** The chunk as a buffer of its own: a view into a larger one is copied. */
function whole(chunk: Uint8Array<ArrayBuffer>): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = chunk;
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}

const IDLE = 0;
const CONNECTING = 1;
const BUFFERING = 2;
