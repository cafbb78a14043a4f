// A clock that can be read back from a decoded picture: the millisecond of the day in 27 bits as black and white
// blocks, and the same bits inverted below, so that a half-decoded or blended frame is told from a whole one.

export const BITS = 27;
const DAY_MS = 86_400_000;
export const WIDTH = 640;
export const HEIGHT = 360;
const COLUMN = WIDTH / BITS;
const ROW = 60;

/** Milliseconds of the day in UTC. */
export const dayMillis = () => Date.now() % DAY_MS;

/** One frame of luma, WIDTH x HEIGHT bytes, showing `millis`. */
export function lumaFrame(millis, out = new Uint8Array(WIDTH * HEIGHT).fill(90)) {
  for (let bit = 0; bit < BITS; bit += 1) {
    const value = (millis >> bit) & 1 ? 235 : 16;
    const left = Math.round(bit * COLUMN);
    const right = Math.round((bit + 1) * COLUMN);
    for (let y = 0; y < ROW; y += 1) out.fill(value, y * WIDTH + left, y * WIDTH + right);
    for (let y = ROW; y < 2 * ROW; y += 1) out.fill(251 - value, y * WIDTH + left, y * WIDTH + right);
  }
  return out;
}

/** Source text of functions for a page: `drawClock(context, millis)` and `readClock(video, context) -> millis | null`. */
export const pageSource = `
  const BITS = ${BITS}, COLUMN = ${COLUMN}, ROW = ${ROW}, WIDTH = ${WIDTH}, HEIGHT = ${HEIGHT}, DAY_MS = ${DAY_MS};
  const dayMillis = () => Math.floor(performance.timeOrigin + performance.now()) % DAY_MS;
  function drawClock(context, millis) {
    for (let bit = 0; bit < BITS; bit += 1) {
      const on = (millis >> bit) & 1;
      const left = Math.round(bit * COLUMN), width = Math.round((bit + 1) * COLUMN) - left;
      context.fillStyle = on ? '#fff' : '#000';
      context.fillRect(left, 0, width, ROW);
      context.fillStyle = on ? '#000' : '#fff';
      context.fillRect(left, ROW, width, ROW);
    }
  }
  function readClock(video, context) {
    context.drawImage(video, 0, 0, WIDTH, HEIGHT);
    const pixels = context.getImageData(0, 0, WIDTH, 2 * ROW).data;
    let millis = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      const x = Math.round((bit + 0.5) * COLUMN);
      const at = (y) => pixels[(y * WIDTH + x) * 4];
      const upper = at(ROW / 2), lower = at(ROW + ROW / 2);
      if (Math.abs(upper - lower) < 100) return null;
      if (upper > lower) millis |= 1 << bit;
    }
    return millis;
  }
  /** Delays in ms of the next 'count' frames of a playing video. */
  function measureDelay(video, count, timeoutMs = 30000) {
    const context = new OffscreenCanvas(WIDTH, HEIGHT).getContext('2d', { willReadFrequently: true });
    return new Promise((resolve) => {
      const delays = [];
      let unreadable = 0;
      const timer = setTimeout(() => resolve({ delays, unreadable }), timeoutMs);
      const each = () => {
        const millis = readClock(video, context);
        if (millis === null) unreadable += 1;
        else delays.push((dayMillis() - millis + DAY_MS) % DAY_MS);
        if (delays.length >= count) { clearTimeout(timer); resolve({ delays, unreadable }); }
        else video.requestVideoFrameCallback(each);
      };
      video.requestVideoFrameCallback(each);
    });
  }
`;

/** Quantile of numbers. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
