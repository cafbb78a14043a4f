import { describe, expect, test } from 'vitest';
import { preferCodec } from '../src/codecs.js';
import { withBitrateLimits, withOpusExtras } from '../src/sdp.js';

const SDP = [
  'v=0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63',
  'a=rtpmap:111 opus/48000/2',
  'a=rtcp-fb:111 transport-cc',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97 102',
  'a=rtpmap:96 VP8/90000',
  'a=rtpmap:97 rtx/90000',
  'a=fmtp:97 apt=96',
  'a=rtpmap:102 H264/90000',
  'a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
  '',
].join('\r\n');

describe('withOpusExtras', () => {
  test('asks for stereo and retransmission, once', () => {
    const edited = withOpusExtras(SDP);
    expect(edited).toContain('a=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n');
    expect(edited).toContain('a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n');
    expect(withOpusExtras(edited)).toBe(edited);
  });

  test('leaves a description without Opus alone', () => {
    expect(withOpusExtras('v=0\r\n')).toBe('v=0\r\n');
  });
});

describe('withBitrateLimits', () => {
  test('adds to the formats of picture codecs and leaves the rest alone', () => {
    const edited = withBitrateLimits(SDP, { min: 300, max: 1500 });
    const limits = 'x-google-min-bitrate=300;x-google-start-bitrate=1000;x-google-max-bitrate=1500';
    expect(edited).toContain(`a=rtpmap:96 VP8/90000\r\na=fmtp:96 ${limits}\r\n`);
    expect(edited).toContain(`profile-level-id=42e01f;${limits}\r\n`);
    expect(edited).toContain('a=fmtp:97 apt=96\r\n');
    expect(edited).toContain('a=fmtp:111 minptime=10;useinbandfec=1\r\n');
    expect(edited.match(/a=fmtp:102/g)).toHaveLength(1);
    expect(edited.endsWith('\r\n')).toBe(true);
  });

  test('starts inside the limits', () => {
    expect(withBitrateLimits(SDP, { max: 400 })).toContain(
      'x-google-start-bitrate=400;x-google-max-bitrate=400',
    );
    expect(withBitrateLimits(SDP, { min: 2000 })).toContain(
      'x-google-min-bitrate=2000;x-google-start-bitrate=2000',
    );
    expect(withBitrateLimits(SDP, {})).toBe(SDP);
  });
});

describe('preferCodec', () => {
  const codecs = [
    { mimeType: 'video/VP8' },
    { mimeType: 'video/rtx' },
    { mimeType: 'video/H264', sdpFmtpLine: 'packetization-mode=0;profile-level-id=42001f' },
    { mimeType: 'video/H264', sdpFmtpLine: 'packetization-mode=1;profile-level-id=640c1f' },
    { mimeType: 'video/H264', sdpFmtpLine: 'packetization-mode=1;profile-level-id=42e01f' },
    { mimeType: 'video/AV1' },
  ];

  test('puts constrained baseline in mode 1 first and keeps everything', () => {
    const order = preferCodec(codecs, 'h264');
    expect(order[0]?.sdpFmtpLine).toBe('packetization-mode=1;profile-level-id=42e01f');
    expect(order.slice(0, 3).every((codec) => codec.mimeType === 'video/H264')).toBe(true);
    expect(order.slice(3).map((codec) => codec.mimeType)).toEqual(['video/VP8', 'video/rtx', 'video/AV1']);
  });

  test('takes any codec that there is, and the own order where there is none', () => {
    expect(preferCodec(codecs, 'av1')[0]?.mimeType).toBe('video/AV1');
    expect(preferCodec(codecs, 'vp9')).toEqual(codecs);
  });

  test('does not offer H.264 where another was asked for', () => {
    expect(preferCodec(codecs, 'vp8').map((codec) => codec.mimeType)).toEqual([
      'video/VP8',
      'video/rtx',
      'video/AV1',
    ]);
  });
});
