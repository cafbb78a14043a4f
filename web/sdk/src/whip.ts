import { preferCodec, type VideoCodecName } from './codecs.js';
import { LiveError } from './errors.js';
import { Liveness } from './liveness.js';
import { connectPeer } from './peer.js';
import { type BitrateLimits, withBitrateLimits } from './sdp.js';
import { deferred, TICK_MS } from './session.js';
import { shareOf, simulcastEncodings } from './simulcast.js';
import { entriesOf, type PusherStats, SenderStats, signsOfPeer } from './stats.js';

/** What one attempt to publish is handed. */
export interface PushInput {
  stream: MediaStream;
  endpoint: string;
  token: string | undefined;
  codec: VideoCodecName;
  simulcast: boolean;
  limits: BitrateLimits;
  signal: AbortSignal;
  onConnected(): void;
  onStats(stats: PusherStats): void;
}

/** One accepted publication. */
export interface PushSession {
  /** Resolves with the reason why the server no longer takes media. */
  readonly lost: Promise<LiveError>;
  /** Sends another track of the same kind from now on, without a new offer. */
  replace(track: MediaStreamTrack): Promise<void>;
  setLimits(limits: BitrateLimits): void;
  close(): void;
}

/** Publishes over WebRTC by WHIP (RFC 9725). @throws LiveError when the server refuses. */
export async function pushWhip(input: PushInput): Promise<PushSession> {
  const lost = deferred<LiveError>();
  const senders = new Map<string, RTCRtpSender>();
  const peer = await connectPeer({
    endpoint: input.endpoint,
    token: input.token,
    signal: input.signal,
    prepare: (connection) => addTracks(connection, input, senders),
    editAnswer: (sdp) => withBitrateLimits(sdp, input.limits),
    onLost: lost.resolve,
    onConnected: () => input.onConnected(),
  });
  const setLimits = (limits: BitrateLimits): void => void limit(senders.get('video'), limits);
  setLimits(input.limits);
  const stats = new SenderStats();
  const liveness = new Liveness(SILENCE_MS_MAX);
  let closed = false;
  let looks = 0;
  const tick = async (): Promise<void> => {
    const entries = entriesOf(await peer.connection.getStats());
    if (closed) return;
    const now = performance.now();
    looks += 1;
    if (looks % LOOKS_PER_STATS === 0) input.onStats(stats.read(now, entries));
    if (peer.established() && liveness.silent(now, signsOfPeer(entries))) {
      lost.resolve(new LiveError('disconnected', 'The server has been silent for four seconds.'));
    }
  };
  const timer = setInterval(() => void tick(), TICK_MS / LOOKS_PER_STATS);
  return {
    lost: lost.promise,
    replace: async (track) => senders.get(track.kind)?.replaceTrack(track),
    setLimits,
    close: () => {
      closed = true;
      clearInterval(timer);
      peer.close();
    },
  };
}

function addTracks(
  connection: RTCPeerConnection,
  input: PushInput,
  senders: Map<string, RTCRtpSender>,
): void {
  for (const kind of ['audio', 'video'] as const) {
    const track = input.stream.getTracks().find((candidate) => candidate.kind === kind);
    if (!track) continue;
    const layered = kind === 'video' && input.simulcast;
    const transceiver = connection.addTransceiver(track, {
      direction: 'sendonly',
      streams: [input.stream],
      ...(layered ? { sendEncodings: simulcastEncodings(input.limits.max) } : {}),
    });
    senders.set(kind, transceiver.sender);
    if (kind === 'video') choose(transceiver, input.codec);
  }
}

function choose(transceiver: RTCRtpTransceiver, codec: VideoCodecName): void {
  const capabilities = RTCRtpSender.getCapabilities?.('video')?.codecs;
  if (!capabilities || !('setCodecPreferences' in transceiver)) return;
  transceiver.setCodecPreferences(preferCodec(capabilities, codec));
}

/** The upper limit has an API that works while sending; the lower one stands in the answer. A browser that refuses sends at its own rate. */
async function limit(sender: RTCRtpSender | undefined, limits: BitrateLimits): Promise<void> {
  if (!sender || limits.max === undefined) return;
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) encoding.maxBitrate = shareOf(encoding.rid, limits.max);
  await sender.setParameters(parameters).catch(() => {});
}

/** Longer than the 2.5 s between two consent checks, which are the only sign of life of a server that has nothing to say. */
const SILENCE_MS_MAX = 4000;
const LOOKS_PER_STATS = 2;
