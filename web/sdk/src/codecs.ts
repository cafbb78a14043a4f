/** Video codecs that can be asked for when publishing. */
export type VideoCodecName = 'h264' | 'vp8' | 'vp9' | 'av1';

/** The parts of `RTCRtpCodec` that the choice looks at. */
export interface CodecCapability {
  mimeType: string;
  sdpFmtpLine?: string;
}

/**
 * Orders what the browser can send so that `wanted` comes first and everything else stays possible.
 * Among H.264 formats, constrained baseline with packetisation mode 1 leads: every player and every gateway takes it.
 * H.264 is left out where another codec is wanted and can be sent: a server takes H.264 whenever it is offered, since that
 * is what it can hand on by every door.
 * @returns a new list for `setCodecPreferences`; the browser's own order when it cannot send `wanted`.
 */
export function preferCodec<C extends CodecCapability>(
  capabilities: readonly C[],
  wanted: VideoCodecName,
): C[] {
  const mime = `video/${wanted}`;
  const rank = (codec: C): number => {
    if (codec.mimeType.toLowerCase() !== mime) return RANK_OTHER;
    return wanted === 'h264' ? rankH264(codec.sdpFmtpLine ?? '') : 0;
  };
  const canSend = capabilities.some((codec) => codec.mimeType.toLowerCase() === mime);
  const offered =
    wanted === 'h264' || !canSend
      ? capabilities
      : capabilities.filter((codec) => codec.mimeType.toLowerCase() !== 'video/h264');
  return offered
    .map((codec, index) => ({ codec, index, rank: rank(codec) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map((entry) => entry.codec);
}

function rankH264(format: string): number {
  const mode1 = /packetization-mode=1/.test(format) ? 0 : 4;
  const profile = /profile-level-id=([0-9a-f]{4})/i.exec(format)?.[1]?.toLowerCase() ?? '42e0';
  if (profile === '42e0') return mode1;
  return profile.startsWith('42') ? mode1 + 1 : mode1 + 2;
}

const RANK_OTHER = 100;
