import type { ServerFacts } from './server.js';
import { withToken } from './token.js';

/** Every address under which a stream is reached, as the person looking at the page would write it. */
export interface Addresses {
  whep: string;
  webrtc: string;
  /** Names no AppName, so only streams of the default one have it. */
  trtc: string | undefined;
  artc: string;
  flv: string;
  wsFlv: string;
  hls: string;
  rtmp: string | undefined;
  whip: string;
}

export function addressesOf(app: string, stream: string, server: ServerFacts | undefined): Addresses {
  const path = `${encodeURIComponent(app)}/${encodeURIComponent(stream)}`;
  const { origin, host } = location;
  const rtmp = rtmpBase(server);
  return {
    whep: withToken(`${origin}/whep/${path}`),
    webrtc: withToken(`webrtc://${host}/${path}`),
    trtc: app === APP_DEFAULT ? withToken(`trtc://${host}/play/${encodeURIComponent(stream)}`) : undefined,
    artc: withToken(`artc://${host}/${path}`),
    flv: withToken(`${origin}/${path}.flv`),
    wsFlv: withToken(`${origin.replace(/^http/, 'ws')}/${path}.flv`),
    hls: withToken(`${origin}/${path}.m3u8`),
    rtmp: rtmp && withToken(`${rtmp}/${path}`),
    whip: withToken(`${origin}/whip/${path}`),
  };
}

/** `rtmp://host:port` without a slash at the end. */
export function rtmpBase(server: ServerFacts | undefined): string | undefined {
  return server?.rtmpUrl.replace(/\/+$/, '');
}

const APP_DEFAULT = 'live';
