import { describe, expect, test } from 'vitest';
import { ReceiverStats, SenderStats, signsOfPeer } from '../src/stats.js';

const report = (bytes: number, frames: number, waited: number, emitted: number) => [
  {
    type: 'inbound-rtp',
    kind: 'video',
    codecId: 'c1',
    bytesReceived: bytes,
    framesDecoded: frames,
    frameWidth: 1280,
    frameHeight: 720,
    packetsReceived: 90,
    packetsLost: 2,
    jitterBufferDelay: waited,
    jitterBufferEmittedCount: emitted,
  },
  {
    type: 'inbound-rtp',
    kind: 'audio',
    bytesReceived: 0,
    packetsReceived: 10,
    packetsLost: 1,
    audioLevel: 0.5,
  },
  { type: 'codec', id: 'c1', mimeType: 'video/H264' },
  { type: 'candidate-pair', id: 'p0', currentRoundTripTime: 9 },
  { type: 'candidate-pair', id: 'p1', currentRoundTripTime: 0.04, bytesReceived: 770, responsesReceived: 7 },
  { type: 'transport', selectedCandidatePairId: 'p1' },
];

describe('ReceiverStats', () => {
  test('makes rates of two looks', () => {
    const stats = new ReceiverStats();
    expect(stats.read(1000, report(1000, 10, 1, 10))).toMatchObject({
      fps: 0,
      bitrate: 0,
      framesDecoded: 10,
    });
    const second = stats.read(3000, report(251_000, 70, 4, 70));
    expect(second).toMatchObject({
      fps: 30,
      bitrate: 1_000_000,
      width: 1280,
      height: 720,
      packetsReceived: 100,
      packetsLost: 3,
      rtt: 40,
      videoCodec: 'H264',
      audioLevel: 0.5,
    });
    expect(second.jitterBufferDelay).toBeCloseTo(50);
    expect(second.delay).toBeCloseTo(70);
  });

  test('knows nothing rather than something wrong', () => {
    const empty = new ReceiverStats().read(0, []);
    expect(empty).toMatchObject({
      width: 0,
      fps: 0,
      rtt: undefined,
      delay: undefined,
      videoCodec: undefined,
    });
  });

  test('a counter that fell makes no negative rate', () => {
    const stats = new ReceiverStats();
    stats.read(0, report(5000, 100, 1, 1));
    expect(stats.read(1000, report(10, 1, 1, 1))).toMatchObject({ fps: 0, bitrate: 0 });
  });
});

test('SenderStats tells sound and picture apart', () => {
  const stats = new SenderStats();
  const sent = (video: number, audio: number) => [
    {
      type: 'outbound-rtp',
      kind: 'video',
      bytesSent: video,
      framesEncoded: 30,
      qualityLimitationReason: 'bandwidth',
    },
    { type: 'outbound-rtp', kind: 'audio', bytesSent: audio },
    { type: 'remote-inbound-rtp', packetsLost: 4 },
  ];
  stats.read(0, sent(0, 0));
  expect(stats.read(1000, sent(125_000, 4000))).toMatchObject({
    videoBitrate: 1_000_000,
    audioBitrate: 32_000,
    packetsLost: 4,
    limitedBy: 'bandwidth',
  });
});

test('signsOfPeer counts on the pair in use', () => {
  expect(signsOfPeer(report(0, 0, 0, 0))).toBe(777);
  expect(signsOfPeer([])).toBe(0);
});
