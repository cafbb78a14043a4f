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
    #received = 0;

    get status(): number {
      return this._status;
    }

    isWorking(): boolean {
      return this._status === CONNECTING || this._status === BUFFERING;
    }

    open(source: Mpegts.MediaSegment): void {
      this._status = CONNECTING;
      const read = source.url.startsWith('ws') ? this.#listen(source.url) : this.#read(source.url);
      read.catch((thrown: unknown) => {
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
      this.#accepted();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || !value) break;
        this.#take(whole(value));
      }
      throw new LiveError('disconnected', OVER);
    }

    /** The same over WebSocket, which tells no reason for a refusal: that is asked for over HTTP. */
    async #listen(url: string): Promise<void> {
      const socket = new WebSocket(signed(url, events.token));
      socket.binaryType = 'arraybuffer';
      this.#abort.signal.addEventListener('abort', () => socket.close());
      socket.addEventListener('open', () => this.#accepted());
      socket.addEventListener('message', ({ data }) => this.#take(data as ArrayBuffer));
      const { reason } = await new Promise<CloseEvent>((closed) => socket.addEventListener('close', closed));
      if (this._status === CONNECTING) await this.#whyNot(url.replace(/^ws/, 'http'));
      throw new LiveError('disconnected', reason || OVER);
    }

    async #whyNot(url: string): Promise<void> {
      const options = { headers: authorization(events.token), cache: 'no-store' as const };
      const stop = new AbortController();
      const response = await fetch(url, { ...options, signal: stop.signal });
      const refused =
        !response.ok &&
        errorFromAnswer(response.status, response.headers.get('content-type'), await response.text());
      stop.abort();
      throw refused || new LiveError('network', 'The server answers over HTTP, but takes no WebSocket.');
    }

    #accepted(): void {
      events.onAccepted();
      this._status = BUFFERING;
    }

    #take(bytes: ArrayBuffer): void {
      if (this.#abort.signal.aborted) return;
      const start = this.#received;
      this.#received += bytes.byteLength;
      events.onBytes(bytes.byteLength);
      this.onDataArrival(bytes, start, this.#received);
    }
  };
}

/** A WebSocket has no headers that a page could set, so the token goes into the query. */
function signed(url: string, token: string | undefined): string {
  if (!token) return url;
  const whole = new URL(url);
  whole.searchParams.set('usersig', token);
  return whole.href;
}

/** The chunk as a buffer of its own: a view into a larger one is copied. */
function whole(chunk: Uint8Array<ArrayBuffer>): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = chunk;
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
}

const OVER = 'The server ended the stream.';
const IDLE = 0;
const CONNECTING = 1;
const BUFFERING = 2;
