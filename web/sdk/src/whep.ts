import type { LiveError } from './errors.js';
import { LiveError as Failure } from './errors.js';
import { Liveness } from './liveness.js';
import { connectPeer } from './peer.js';
import { withOpusExtras } from './sdp.js';
import { deferred, type Session, type SessionInput, TICK_MS } from './session.js';
import { entriesOf, packetsReceived, ReceiverStats, type StatsEntry } from './stats.js';

/** Plays over WebRTC by WHEP. @throws LiveError when the server refuses. */
export async function playWhep(input: SessionInput): Promise<Session> {
  const lost = deferred<LiveError>();
  const screen = new Screen(input);
  const peer = await connectPeer({
    endpoint: input.endpoint,
    token: input.token,
    signal: input.signal,
    prepare: (connection) => screen.prepare(connection),
    editOffer: withOpusExtras,
    onLost: lost.resolve,
    onConnected: () => input.onConnected(),
  });
  const stats = new ReceiverStats();
  const liveness = new Liveness(SILENCE_MS_MAX);
  let closed = false;
  let looks = 0;
  const tick = async (): Promise<void> => {
    const entries = entriesOf(await peer.connection.getStats());
    if (closed) return;
    screen.addFlowing(entries, peer.connection);
    const now = performance.now();
    looks += 1;
    if (looks % LOOKS_PER_STATS === 0) input.onStats(stats.read(now, entries));
    if (peer.established() && liveness.silent(now, packetsReceived(entries))) {
      lost.resolve(new Failure('disconnected', 'No media has come for three seconds.'));
    }
  };
  const timer = setInterval(() => void tick(), TICK_MS / LOOKS_PER_STATS);
  return {
    lost: lost.promise,
    setWindow: () => {},
    close: () => {
      closed = true;
      clearInterval(timer);
      peer.close();
    },
  };
}

/**
 * Puts tracks on the element when their first packet arrives, so that a stream without picture (or without sound) plays and does
 * not wait for it. The last picture of the session before stays visible until then.
 */
class Screen {
  readonly #stream = new MediaStream();
  readonly #input: SessionInput;

  constructor(input: SessionInput) {
    this.#input = input;
  }

  prepare(connection: RTCPeerConnection): void {
    const receivers = [
      connection.addTransceiver('audio', { direction: 'recvonly' }).receiver,
      connection.addTransceiver('video', { direction: 'recvonly' }).receiver,
    ];
    for (const receiver of receivers) {
      if (this.#input.jitterBufferTarget !== undefined && 'jitterBufferTarget' in receiver) {
        receiver.jitterBufferTarget = this.#input.jitterBufferTarget;
      }
      receiver.track.addEventListener('unmute', () => this.#show(receiver.track));
    }
  }

  /** For browsers that do not tell by `unmute`: the counters do. */
  addFlowing(entries: readonly StatsEntry[], connection: RTCPeerConnection): void {
    for (const { track } of connection.getReceivers()) {
      const flows = entries.some(
        (entry) =>
          entry.type === 'inbound-rtp' && entry.kind === track.kind && Number(entry.packetsReceived) > 0,
      );
      if (flows) this.#show(track);
    }
  }

  #show(track: MediaStreamTrack): void {
    if (this.#stream.getTracks().includes(track)) return;
    this.#stream.addTrack(track);
    const { video } = this.#input;
    if (video.srcObject !== this.#stream) video.srcObject = this.#stream;
    this.#input.startElement();
  }
}

const SILENCE_MS_MAX = 3000;
const LOOKS_PER_STATS = 2;
