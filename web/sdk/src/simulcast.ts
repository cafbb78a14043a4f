/** The shares of a bitrate that the layers of a picture get, from the smallest to the biggest, and how much smaller they are. */
const LAYERS = [
  { rid: 'l', scale: 4, share: 0.07 },
  { rid: 'm', scale: 2, share: 0.23 },
  { rid: 'h', scale: 1, share: 0.7 },
] as const;

/**
 * The encodings of a picture that is sent in three sizes side by side, for `addTransceiver`.
 * @param maxKbps limit of all of them together; the browser's own where there is none.
 */
export function simulcastEncodings(maxKbps: number | undefined): RTCRtpEncodingParameters[] {
  return LAYERS.map(({ rid, scale, share }) => ({
    rid,
    scaleResolutionDownBy: scale,
    ...(maxKbps === undefined ? {} : { maxBitrate: Math.round(maxKbps * share * 1000) }),
  }));
}

/** The limit of one encoding, bit/s, where all of them together have `maxKbps`. */
export function shareOf(rid: string | undefined, maxKbps: number): number {
  const share = LAYERS.find((layer) => layer.rid === rid)?.share ?? 1;
  return Math.round(maxKbps * share * 1000);
}
