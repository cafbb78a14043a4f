/** Edits of session descriptions that no browser API covers. All of them return the text unchanged when there is nothing to edit. */

/** Asks for stereo sound and audio retransmission in a description that receives Opus (RFC 7587, RFC 4585). */
export function withOpusExtras(sdp: string): string {
  const lines = sdp.split('\r\n');
  const payload = lines.map((line) => /^a=rtpmap:(\d+) opus\/48000/i.exec(line)?.[1]).find(Boolean);
  if (!payload) return sdp;
  const feedback = `a=rtcp-fb:${payload} nack`;
  const out: string[] = [];
  for (const line of lines) {
    const format = line.startsWith(`a=fmtp:${payload} `);
    out.push(format && !/stereo=/.test(line) ? `${line};stereo=1` : line);
    if (line.startsWith(`a=rtpmap:${payload} `) && !lines.includes(feedback)) out.push(feedback);
  }
  return out.join('\r\n');
}

/** Bitrate limits of the picture that is sent. kbit/s. */
export interface BitrateLimits {
  min?: number | undefined;
  max?: number | undefined;
}

/**
 * Writes bitrate limits into the answer's video formats. The lower limit and the start have no API: Chromium reads them from
 * `x-google-*` parameters of the remote description; other browsers ignore them.
 */
export function withBitrateLimits(sdp: string, limits: BitrateLimits): string {
  const { min, max } = limits;
  if (min === undefined && max === undefined) return sdp;
  const start = Math.max(min ?? 0, Math.min(max ?? START_KBPS, START_KBPS));
  const parameters = [
    min === undefined ? '' : `x-google-min-bitrate=${Math.round(min)}`,
    `x-google-start-bitrate=${Math.round(start)}`,
    max === undefined ? '' : `x-google-max-bitrate=${Math.round(max)}`,
  ].filter(Boolean);
  return inVideo(
    sdp,
    (payload, format) => `a=fmtp:${payload} ${[format, ...parameters].filter(Boolean).join(';')}`,
  );
}

/** Rewrites the `a=fmtp` line of every video codec, or adds it where there is none. Retransmission and FEC formats are left alone. */
function inVideo(sdp: string, rewrite: (payload: string, format: string) => string): string {
  const sections = sdp.split(/(?=^m=)/m);
  return sections
    .map((section) => (section.startsWith('m=video') ? rewriteSection(section, rewrite) : section))
    .join('');
}

function rewriteSection(section: string, rewrite: (payload: string, format: string) => string): string {
  const lines = section.split('\r\n');
  const formats = new Map<string, string>();
  for (const line of lines) {
    const found = /^a=fmtp:(\d+) (.*)$/.exec(line);
    if (found?.[1]) formats.set(found[1], found[2] ?? '');
  }
  const out: string[] = [];
  for (const line of lines) {
    const map = /^a=rtpmap:(\d+) ([^/]+)\//.exec(line);
    const payload = map?.[1];
    const codec = map?.[2]?.toUpperCase() ?? '';
    const known = /^a=fmtp:(\d+) /.exec(line)?.[1];
    if (known && isVideoCodec(lines, known)) continue;
    out.push(line);
    if (payload && VIDEO_CODECS.has(codec)) out.push(rewrite(payload, formats.get(payload) ?? ''));
  }
  return out.join('\r\n');
}

function isVideoCodec(lines: string[], payload: string): boolean {
  return lines.some((line) => {
    const map = /^a=rtpmap:(\d+) ([^/]+)\//.exec(line);
    return map?.[1] === payload && VIDEO_CODECS.has((map[2] ?? '').toUpperCase());
  });
}

const START_KBPS = 1000;
const VIDEO_CODECS = new Set(['H264', 'H265', 'VP8', 'VP9', 'AV1']);
