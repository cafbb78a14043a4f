/** Numbers as people read them. A value that is not known is a dash. */

export function bitrate(bps: number | undefined): string {
  if (bps === undefined) return NONE;
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

export function milliseconds(ms: number | undefined): string {
  if (ms === undefined) return NONE;
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

export function size(width: number | null, height: number | null): string {
  return width && height ? `${width}×${height}` : NONE;
}

export function perSecond(fps: number): string {
  return fps > 0 ? `${Math.round(fps)} fps` : NONE;
}

/** How long something has been going on, from an RFC 3339 time. */
export function since(time: string, nowMs: number): string {
  const minutes = Math.floor((nowMs - Date.parse(time)) / 60_000);
  if (!Number.isFinite(minutes) || minutes < 0) return '';
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A codec's name as people write it. */
export function codec(name: string): string {
  return CODECS[name] ?? name;
}

/** The server's words as a sentence among others: with a capital letter and a full stop. */
export function sentence(text: string): string {
  const whole = text.trim();
  const begun = whole.charAt(0).toUpperCase() + whole.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

const CODECS: Readonly<Record<string, string>> = { H264: 'H.264', H265: 'H.265', opus: 'Opus' };
const NONE = '–';
