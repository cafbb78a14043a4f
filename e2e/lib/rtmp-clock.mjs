// ffmpeg publishes the clock of clock.mjs by RTMP: frames are drawn here, at the time they show.

import { HEIGHT, WIDTH, dayMillis, lumaFrame } from './clock.mjs';
import { start } from './process.mjs';
import { until } from './wait.mjs';

const FRAME_MS = 1000 / 30;

/** Publishes `live/{stream}` with a key frame every `gop` pictures; gives a function that ends it. */
export async function publishClockByRtmp(server, stream, { gop = 60, encoder = [] } = {}) {
  const publisher = start(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'warning', '-fflags', 'nobuffer', '-use_wallclock_as_timestamps', '1'],
      ...['-f', 'rawvideo', '-pix_fmt', 'gray', '-video_size', `${WIDTH}x${HEIGHT}`, '-framerate', '30', '-i', '-'],
      ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-pix_fmt', 'yuv420p'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0', '-g', String(gop), '-sc_threshold', '0'],
      ...encoder,
      ...['-c:a', 'aac', '-flush_packets', '1', '-f', 'flv', `${server.rtmp}/live/${stream}`],
    ],
    { pipe: true },
  );
  publisher.child.stdin.on('error', () => {});
  const frame = new Uint8Array(WIDTH * HEIGHT).fill(90);
  const began = performance.now();
  let drawn = 0;
  const timer = setInterval(() => {
    // As many as are due: timers of a busy machine come late, and in bunches.
    for (; drawn * FRAME_MS <= performance.now() - began; drawn += 1) {
      publisher.child.stdin.write(Buffer.from(lumaFrame(dayMillis(), frame)));
    }
  }, FRAME_MS / 2);
  const stop = async () => {
    clearInterval(timer);
    await publisher.stop();
  };
  try {
    await until(`${stream} is live`, async () => {
      const { streams } = await (await fetch(`${server.http}/v1/streams`)).json();
      return streams.some((entry) => entry.stream === stream && entry.video);
    });
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${publisher.output.stderr}`);
  }
  return stop;
}
