import { LiveError } from './errors.js';
import { exchange, release } from './exchange.js';

/** What `connectPeer` needs to know. */
export interface PeerInput {
  endpoint: string;
  token: string | undefined;
  signal: AbortSignal;
  /** Adds transceivers; runs before the offer is made. */
  prepare(connection: RTCPeerConnection): void;
  /** Edits the offer before it is set and sent. */
  editOffer?(sdp: string): string;
  /** Edits the server's answer before it is set. */
  editAnswer?(sdp: string): string;
  /** The connection broke after it had been made or while it was. Called once at most. */
  onLost(error: LiveError): void;
  onConnected(): void;
}

/** A connection to the server that was accepted over HTTP. */
export interface Peer {
  connection: RTCPeerConnection;
  /** Whether media could flow at some time. */
  established(): boolean;
  /** Ends media and tells the server. */
  close(): void;
}

/**
 * Makes one WHIP or WHEP connection. The offer goes out at once, without waiting for candidates: the server is ICE-lite and learns
 * ours from the first check.
 * @throws LiveError when the server refuses or is not there. Later trouble goes to `onLost`.
 */
export async function connectPeer(input: PeerInput): Promise<Peer> {
  if (typeof RTCPeerConnection === 'undefined') {
    throw new LiveError('not-supported', 'This browser has no WebRTC. Use the FLV or HLS address.');
  }
  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  let resource: string | undefined;
  const leave = (event: PageTransitionEvent): void => {
    if (!event.persisted) close();
  };
  const close = (): void => {
    watched.stop();
    globalThis.removeEventListener('pagehide', leave);
    part(connection, resource, input.token);
    resource = undefined;
  };
  const watched = watch(connection, input);
  try {
    input.prepare(connection);
    const offer = await connection.createOffer();
    const sdp = input.editOffer?.(offer.sdp ?? '') ?? offer.sdp ?? '';
    await connection.setLocalDescription({ type: 'offer', sdp });
    const accepted = await exchange(input.endpoint, sdp, input.token, input.signal);
    resource = accepted.resource;
    if (input.signal.aborted) throw new LiveError('aborted', 'The call was cancelled.');
    const answer = input.editAnswer?.(accepted.answer) ?? accepted.answer;
    await connection.setRemoteDescription({ type: 'answer', sdp: answer });
    watched.transport();
  } catch (thrown) {
    close();
    throw LiveError.from(thrown, 'not-supported');
  }
  globalThis.addEventListener('pagehide', leave);
  return { connection, established: watched.established, close };
}

/**
 * Ends both halves of a session: DELETE first, since a server that sees the media connection go has ended the session before the
 * DELETE is there, and answers it with 404. A server that said goodbye itself is told nothing.
 */
function part(connection: RTCPeerConnection, resource: string | undefined, token: string | undefined): void {
  const gone = connection.getTransceivers()[0]?.receiver.transport?.state === 'closed';
  if (gone || !resource || connection.connectionState === 'closed') {
    connection.close();
    return;
  }
  for (const sender of connection.getSenders()) void sender.replaceTrack(null).catch(() => {});
  const end = (): void => connection.close();
  const timer = setTimeout(end, GOODBYE_MS_MAX);
  void release(resource, token).then(() => {
    clearTimeout(timer);
    end();
  });
}

interface Watch {
  established(): boolean;
  /** From now on there is a transport, whose end (the server said goodbye) is seen sooner than the connection's. */
  transport(): void;
  stop(): void;
}

/** Follows the connection's state: failure at once, disconnection after a grace, no connection at all after ten seconds. */
function watch(connection: RTCPeerConnection, input: PeerInput): Watch {
  const stop = new AbortController();
  const options = { signal: stop.signal };
  let established = false;
  let timer = setTimeout(() => lose('timeout', CONNECT_SENTENCE), CONNECT_MS_MAX);
  const end = (): void => {
    stop.abort();
    clearTimeout(timer);
  };
  const lose = (code: 'timeout' | 'disconnected', sentence: string): void => {
    end();
    input.onLost(new LiveError(code, sentence));
  };
  const changed = (): void => {
    const state = connection.connectionState;
    if (state === 'new' || state === 'connecting') return;
    clearTimeout(timer);
    if (state === 'disconnected') {
      timer = setTimeout(() => lose('disconnected', LOST_SENTENCE), GRACE_MS);
    } else if (state !== 'connected') {
      lose('disconnected', LOST_SENTENCE);
    } else if (!established) {
      established = true;
      input.onConnected();
    }
  };
  connection.addEventListener('connectionstatechange', changed, options);
  return {
    established: () => established,
    transport: () => {
      const transport = connection.getTransceivers()[0]?.receiver.transport;
      const ended = (): void => {
        if (transport?.state === 'closed' || transport?.state === 'failed')
          lose('disconnected', LOST_SENTENCE);
      };
      transport?.addEventListener('statechange', ended, options);
    },
    stop: end,
  };
}

const CONNECT_MS_MAX = 10_000;
const GRACE_MS = 1500;
const GOODBYE_MS_MAX = 1000;
const LOST_SENTENCE = 'The connection to the server was lost.';
const CONNECT_SENTENCE =
  'The server accepted, but no media connection came about. Is its UDP port reachable from here?';
