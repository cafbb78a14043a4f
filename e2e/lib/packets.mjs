// Packets as ffmpeg reads them: a hash of the data and the times of each, for comparing what was sent with what came.

import { run } from './process.mjs';

/**
 * Reads `input` to its end. Gives for each stream its `kind`, `codec`, `size`, hash of `extradata`, and `packets`:
 * `{ dts, pts, bytes, hash }`, times in milliseconds, not rounded.
 */
export async function packetsOf(ffmpeg, input, { before = [], filter = [], maps = ['0:v', '0:a'], timeoutMs = 60_000 } = {}) {
  const args = ['-v', 'error', '-nostdin', '-copyts', ...before, '-i', input];
  const { stdout } = await run(
    ffmpeg,
    [...args, ...maps.flatMap((map) => ['-map', map]), '-c', 'copy', ...filter, '-f', 'framehash', '-hash', 'md5', '-'],
    { timeoutMs },
  );
  const streams = [];
  const of = (number) => (streams[Number(number)] ??= { packets: [] });
  for (const line of stdout.split('\n')) {
    const told = line.match(/^#(\w+) (\d+)[:,]\s*(.*)$/);
    if (told) {
      const [, name, number, value] = told;
      const stream = of(number);
      if (name === 'tb') stream.tickMs = (1000 * Number(value.split('/')[0])) / Number(value.split('/')[1]);
      if (name === 'media_type') stream.kind = value;
      if (name === 'codec_id') stream.codec = value;
      if (name === 'dimensions') stream.size = value;
      if (name === 'extradata') stream.extradata = value.split(',').at(-1).trim();
    } else if (/^\d/.test(line)) {
      const [number, dts, pts, , bytes, hash] = line.split(',').map((field) => field.trim());
      const stream = of(number);
      const ms = (ticks) => Number(ticks) * stream.tickMs;
      stream.packets.push({ dts: ms(dts), pts: ms(pts), bytes: Number(bytes), hash });
    }
  }
  return streams;
}

/**
 * What is wrong with `got` as an unbroken part of `sent`, at the same distances in time up to `toleranceMs`; nothing,
 * if nothing is. `offset`, where given, is how much later than sent each packet is stamped.
 */
export function faults(sent, got, { toleranceMs, offset }) {
  const begin = sent.findIndex(({ hash }) => hash === got[0]?.hash);
  if (begin < 0) return [`the first of ${got.length} packets was never sent`];
  const shift = offset ?? got[0].dts - sent[begin].dts;
  const found = [];
  for (const [at, packet] of got.entries()) {
    const source = sent[begin + at];
    if (packet.hash !== source?.hash) return [...found, `packet ${at} of ${got.length} is not packet ${begin + at} of ${sent.length}`];
    for (const time of ['dts', 'pts']) {
      const off = packet[time] - source[time] - shift;
      if (Math.abs(off) > toleranceMs) found.push(`${time} of packet ${at} is ${off.toFixed(3)} ms off`);
    }
  }
  return found;
}
