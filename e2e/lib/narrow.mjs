// A narrow line: UDP between a browser and the server passes here, and on the way to the browser no faster than is said.

import { createSocket } from 'node:dgram';

/** A queue on the line is this long at most, as in a cheap router. */
const QUEUE_MS_MAX = 200;

/**
 * Passes datagrams between whoever sends them here and `server` (`host:port`). Gives `port`, `limit(bps)` (undefined for
 * none), `dropped` and `close`.
 */
export async function narrowLine(server) {
  const [host, port] = server.split(':');
  const front = createSocket('udp4');
  const backs = new Map();
  const line = { bps: undefined, freeAt: 0, timers: new Set(), dropped: 0 };

  const toBrowser = (bytes, peer) => {
    const now = performance.now();
    if (line.bps === undefined) return front.send(bytes, peer.port, peer.address);
    if (line.freeAt > now + QUEUE_MS_MAX) {
      line.dropped += 1;
      return;
    }
    line.freeAt = Math.max(line.freeAt, now) + (bytes.length * 8000) / line.bps;
    const timer = setTimeout(() => {
      line.timers.delete(timer);
      front.send(bytes, peer.port, peer.address);
    }, line.freeAt - now);
    line.timers.add(timer);
  };
  front.on('message', (bytes, peer) => {
    const key = `${peer.address}:${peer.port}`;
    let back = backs.get(key);
    if (!back) {
      back = createSocket('udp4');
      back.on('message', (reply) => toBrowser(reply, peer));
      backs.set(key, back);
    }
    back.send(bytes, Number(port), host);
  });
  await new Promise((resolve) => front.bind(0, '127.0.0.1', resolve));
  return {
    port: front.address().port,
    limit: (bps) => (line.bps = bps),
    dropped: () => line.dropped,
    close: () => {
      for (const timer of line.timers) clearTimeout(timer);
      for (const back of backs.values()) back.close();
      front.close();
    },
  };
}
