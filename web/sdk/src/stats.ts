import type { LiveProtocol } from './url.js';

/** What is known about a playing stream, once a second. */
export interface PlayerStats {
  /** When it was measured: `performance.now()` milliseconds. */
  at: number;
  protocol: LiveProtocol;
  width: number;
  height: number;
  /** Pictures decoded in the last second. */
  fps: number;
  /** Bits received in the last second, sound and picture. */
  bitrate: number;
  framesDecoded: number;
  framesDropped: number;
  freezeCount: number;
  packetsReceived: number;
  packetsLost: number;
  /** Milliseconds that pictures waited in the jitter buffer, mean of the last second. WebRTC only. */
  jitterBufferDelay: number | undefined;
  /** Round trip to the server, milliseconds. WebRTC only. */
  rtt: number | undefined;
  /** Milliseconds from the server having the picture to its being shown; it leaves out what lies before the server. */
  delay: number | undefined;
  /** Playback rate of the delay control; 1 where there is none. */
  rate: number;
  videoCodec: string | undefined;
  audioCodec: string | undefined;
  /** Loudness 0 to 1. WebRTC only. */
  audioLevel: number | undefined;
}

/** What is known about a stream being published, once a second. */
export interface PusherStats {
  at: number;
  width: number;
  height: number;
  fps: number;
  /** Bits sent in the last second, sound and picture. */
  bitrate: number;
  videoBitrate: number;
  audioBitrate: number;
  /** What the bandwidth estimate allows, bits per second. */
  availableBitrate: number | undefined;
  packetsSent: number;
  /** As the server reports it. */
  packetsLost: number;
  rtt: number | undefined;
  videoCodec: string | undefined;
  /** Why the picture is not better: `none`, `cpu`, `bandwidth` or `other`. */
  limitedBy: string;
  audioLevel: number | undefined;
}

/** One entry of an `RTCStatsReport`, as loosely typed as browsers fill it. */
export type StatsEntry = Readonly<Record<string, unknown>> & { type?: unknown };

/** A counter's value at the last look, to make rates of. */
interface Look {
  at: number;
  bytes: number;
  videoBytes: number;
  frames: number;
  waited: number;
  emitted: number;
}

/** Turns the reports of a receiving connection into `PlayerStats`. Keeps the last look for the rates. */
export class ReceiverStats {
  #last: Look | undefined;

  read(at: number, entries: readonly StatsEntry[]): PlayerStats {
    const video = entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'video');
    const audio = entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'audio');
    const rtt = roundTrip(entries);
    const timing = num(video?.jitterBufferEmittedCount) > 0 ? video : audio;
    const look: Look = {
      at,
      bytes: num(video?.bytesReceived) + num(audio?.bytesReceived),
      videoBytes: num(video?.bytesReceived),
      frames: num(video?.framesDecoded),
      waited: num(timing?.jitterBufferDelay),
      emitted: num(timing?.jitterBufferEmittedCount),
    };
    const last = this.#last ?? look;
    this.#last = look;
    const emitted = look.emitted - last.emitted;
    const waited = emitted > 0 ? ((look.waited - last.waited) / emitted) * 1000 : undefined;
    return {
      at,
      protocol: 'webrtc',
      width: num(video?.frameWidth),
      height: num(video?.frameHeight),
      fps: perSecond(look.frames - last.frames, at - last.at),
      bitrate: perSecond(look.bytes - last.bytes, at - last.at) * 8,
      framesDecoded: look.frames,
      framesDropped: num(video?.framesDropped),
      freezeCount: num(video?.freezeCount),
      packetsReceived: packetsReceived(entries),
      packetsLost: num(video?.packetsLost) + num(audio?.packetsLost),
      jitterBufferDelay: waited,
      rtt,
      delay: waited === undefined ? undefined : waited + (rtt ?? 0) / 2,
      rate: 1,
      videoCodec: codecOf(entries, video),
      audioCodec: codecOf(entries, audio),
      audioLevel: optional(audio?.audioLevel),
    };
  }
}

/** Turns the reports of a sending connection into `PusherStats`. Keeps the last look for the rates. */
export class SenderStats {
  #last: Look | undefined;

  read(at: number, entries: readonly StatsEntry[]): PusherStats {
    // The picture may be sent in several sizes: what is said of it is of the biggest that is sent.
    const videos = entries.filter((entry) => entry.type === 'outbound-rtp' && entry.kind === 'video');
    const video = videos.reduce(bigger, videos[0]);
    const ofAll = (name: 'bytesSent' | 'packetsSent'): number =>
      videos.reduce((sum, entry) => sum + num(entry[name]), 0);
    const audio = entries.find((entry) => entry.type === 'outbound-rtp' && entry.kind === 'audio');
    const source = entries.find((entry) => entry.type === 'media-source' && entry.kind === 'audio');
    const remote = entries.filter((entry) => entry.type === 'remote-inbound-rtp');
    const look: Look = {
      at,
      bytes: ofAll('bytesSent') + num(audio?.bytesSent),
      videoBytes: ofAll('bytesSent'),
      frames: num(video?.framesEncoded),
      waited: 0,
      emitted: 0,
    };
    const last = this.#last ?? look;
    this.#last = look;
    const bitrate = perSecond(look.bytes - last.bytes, at - last.at) * 8;
    const videoBitrate = perSecond(look.videoBytes - last.videoBytes, at - last.at) * 8;
    return {
      at,
      width: num(video?.frameWidth),
      height: num(video?.frameHeight),
      fps: perSecond(look.frames - last.frames, at - last.at),
      bitrate,
      videoBitrate,
      audioBitrate: bitrate - videoBitrate,
      availableBitrate: optional(selectedPair(entries)?.availableOutgoingBitrate),
      packetsSent: ofAll('packetsSent') + num(audio?.packetsSent),
      packetsLost: remote.reduce((sum, entry) => sum + num(entry.packetsLost), 0),
      rtt: roundTrip(entries),
      videoCodec: codecOf(entries, video),
      limitedBy: typeof video?.qualityLimitationReason === 'string' ? video.qualityLimitationReason : 'none',
      audioLevel: optional(source?.audioLevel),
    };
  }
}

/** Media packets received so far, sound and picture. */
export function packetsReceived(entries: readonly StatsEntry[]): number {
  return entries.reduce(
    (sum, entry) => sum + (entry.type === 'inbound-rtp' ? num(entry.packetsReceived) : 0),
    0,
  );
}

/** Bytes and answers to connectivity checks that came over the path in use: grows while the other end lives. */
export function signsOfPeer(entries: readonly StatsEntry[]): number {
  const pair = selectedPair(entries);
  return num(pair?.bytesReceived) + num(pair?.responsesReceived);
}

/** A report as a list. */
export function entriesOf(report: RTCStatsReport): StatsEntry[] {
  const entries: StatsEntry[] = [];
  report.forEach((entry: StatsEntry) => {
    entries.push(entry);
  });
  return entries;
}

/** Events in a second, from a difference and the milliseconds it took. Counters that jumped back count as none. */
export function perSecond(difference: number, ms: number): number {
  return ms > 0 && difference > 0 ? (difference * 1000) / ms : 0;
}

function selectedPair(entries: readonly StatsEntry[]): StatsEntry | undefined {
  const id = entries.find((entry) => entry.type === 'transport')?.selectedCandidatePairId;
  const pairs = entries.filter((entry) => entry.type === 'candidate-pair');
  return (
    pairs.find((pair) => id !== undefined && pair.id === id) ??
    pairs.find((pair) => pair.nominated === true && pair.state === 'succeeded')
  );
}

function roundTrip(entries: readonly StatsEntry[]): number | undefined {
  const seconds = optional(selectedPair(entries)?.currentRoundTripTime);
  return seconds === undefined ? undefined : seconds * 1000;
}

function codecOf(entries: readonly StatsEntry[], stream: StatsEntry | undefined): string | undefined {
  if (stream?.codecId === undefined) return undefined;
  const mime = entries.find((entry) => entry.type === 'codec' && entry.id === stream.codecId)?.mimeType;
  return typeof mime === 'string' ? mime.split('/')[1] : undefined;
}

function num(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function optional(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function bigger(best: StatsEntry | undefined, entry: StatsEntry): StatsEntry | undefined {
  const size = (of: StatsEntry | undefined): number =>
    num(of?.frameWidth) * Math.sign(num(of?.framesPerSecond));
  return size(entry) > size(best) ? entry : best;
}
