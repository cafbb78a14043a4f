import { LiveError } from './errors.js';

/** The way in which media comes or goes. */
export type LiveProtocol = 'webrtc' | 'flv' | 'hls';

/** What a URL is wanted for. */
export type Direction = 'play' | 'push';

/** A live URL, resolved to what is asked for over HTTP. */
export interface LiveUrl {
  protocol: LiveProtocol;
  /** Absolute `http:`, `https:`, `ws:` or `wss:` URL, query included. */
  endpoint: string;
  /** First path segment; `live` where the URL names none. */
  app: string;
  stream: string;
}

/** How relative and scheme-less parts are completed. */
export interface UrlContext {
  /** Base of relative URLs; the page's address by default. */
  base?: string;
  /** Whether `webrtc:`, `trtc:` and `artc:` become https. By default: as the page was loaded, on the page's host; elsewhere https except on loopback. */
  secure?: boolean;
}

/**
 * Resolves every address that a Stentor server gives out: `webrtc:`, `trtc:`, `artc:`, WHEP and WHIP endpoints, `.flv`, `.m3u8`
 * and the bare `http(s)://host/app/stream`.
 * @throws LiveError `invalid-url` or `not-supported`, with a sentence that says what to write instead.
 */
export function parseLiveUrl(raw: string, direction: Direction, context: UrlContext = {}): LiveUrl {
  const url = toUrl(raw, context);
  switch (url.protocol) {
    case 'trtc:':
      return fromTrtc(url, direction, context);
    case 'webrtc:':
    case 'artc:':
      return fromBare(url, direction, httpOrigin(url, context));
    case 'http:':
    case 'https:':
      return fromHttp(url, direction);
    case 'ws:':
    case 'wss:':
      if (direction === 'play' && url.pathname.endsWith('.flv')) return fromFile(url, 'flv');
      throw invalid('WebSocket addresses play FLV only, and end in .flv.');
    case 'rtmp:':
    case 'rtmps:':
      throw unsupported('Browsers cannot speak RTMP. Use the WebRTC, FLV or HLS address of the same stream.');
    case 'room:':
      throw unsupported(
        'room: addresses work only inside the original closed client. Use trtc: or a WHEP address.',
      );
    default:
      throw unsupported(`The scheme ${url.protocol} is not known. Use https:, webrtc: or trtc:.`);
  }
}

function fromHttp(url: URL, direction: Direction): LiveUrl {
  const path = segments(url);
  const [door, second] = path;
  const verb = door === 'v1' ? second : undefined;
  const endpoint = url.href;
  if (door === 'whep' || (verb === 'play' && path.length === 3)) {
    if (direction === 'push') throw wrongWay(direction, door === 'whep' ? '/whip/' : '/v1/push/');
    return { protocol: 'webrtc', endpoint, ...named(path.slice(door === 'whep' ? 1 : 2)) };
  }
  if (door === 'whip' || (verb === 'push' && path.length === 3)) {
    if (direction === 'play') throw wrongWay(direction, door === 'whip' ? '/whep/' : '/v1/play/');
    return { protocol: 'webrtc', endpoint, ...named(path.slice(door === 'whip' ? 1 : 2)) };
  }
  for (const [ending, protocol] of FILES) {
    if (!url.pathname.endsWith(ending)) continue;
    if (direction === 'push')
      throw unsupported(`A ${ending} address can be played only. Push to /whip/{app}/{stream}.`);
    return fromFile(url, protocol);
  }
  return fromBare(url, direction, url.origin);
}

function fromFile(url: URL, protocol: LiveProtocol): LiveUrl {
  const path = segments(url);
  const names = named(path.slice(-2));
  return { protocol, endpoint: url.href, app: names.app, stream: names.stream.replace(/\.(flv|m3u8)$/, '') };
}

function fromBare(url: URL, direction: Direction, origin: string): LiveUrl {
  const names = named(segments(url));
  const door = direction === 'play' ? 'whep' : 'whip';
  const path = `/${door}/${encodeURIComponent(names.app)}/${encodeURIComponent(names.stream)}`;
  return { protocol: 'webrtc', endpoint: origin + path + url.search, ...names };
}

function fromTrtc(url: URL, direction: Direction, context: UrlContext): LiveUrl {
  const [verb, stream, ...rest] = segments(url);
  if ((verb !== 'play' && verb !== 'push') || !stream || rest.length > 0) {
    throw invalid('A trtc: address reads trtc://host/play/{stream} or trtc://host/push/{stream}.');
  }
  if (verb !== direction) throw wrongWay(direction, `/${direction}/`);
  const endpoint = `${httpOrigin(url, context)}/v1/${verb}/${encodeURIComponent(stream)}${url.search}`;
  return { protocol: 'webrtc', endpoint, app: APP_DEFAULT, stream };
}

function toUrl(raw: string, context: UrlContext): URL {
  const text = raw.trim();
  if (!text) throw invalid('The address is empty.');
  if (text.length > URL_CHARS_MAX) throw invalid(`The address is longer than ${URL_CHARS_MAX} characters.`);
  try {
    return new URL(text, context.base ?? globalThis.location?.href);
  } catch {
    throw invalid(`"${text}" is not a URL. Use https://host/app/stream or webrtc://host/app/stream.`);
  }
}

function httpOrigin(url: URL, context: UrlContext): string {
  if (!url.host) throw invalid(`The address ${url.href} names no host.`);
  const page = globalThis.location;
  const loopback = /^(localhost$|127\.|\[::1\])/.test(url.hostname);
  const secure = context.secure ?? (page?.hostname === url.hostname ? page.protocol !== 'http:' : !loopback);
  return `${secure ? 'https' : 'http'}://${url.host}`;
}

function segments(url: URL): string[] {
  return url.pathname
    .split('/')
    .filter(Boolean)
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        throw invalid(`The path ${url.pathname} is not well percent-encoded.`);
      }
    });
}

function named(path: string[]): { app: string; stream: string } {
  const [first, second, ...rest] = path;
  if (first === undefined || rest.length > 0) {
    throw invalid('The path names a stream as /{app}/{stream}, for example /live/demo.');
  }
  return second === undefined ? { app: APP_DEFAULT, stream: first } : { app: first, stream: second };
}

function wrongWay(direction: Direction, instead: string): LiveError {
  const doing = direction === 'play' ? 'publishes; to play, write' : 'plays; to publish, write';
  return invalid(`This address ${doing} ${instead} in it.`);
}

function invalid(sentence: string): LiveError {
  return new LiveError('invalid-url', sentence);
}

function unsupported(sentence: string): LiveError {
  return new LiveError('not-supported', sentence);
}

const APP_DEFAULT = 'live';
const URL_CHARS_MAX = 4096;
const FILES: ReadonlyArray<readonly [string, LiveProtocol]> = [
  ['.flv', 'flv'],
  ['.m3u8', 'hls'],
];
