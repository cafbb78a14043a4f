// ffmpeg publishes, ffprobe reads back.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { run, start } from './process.mjs';

/** The command in README.md that publishes a test picture, as a list of arguments for another server and stream. */
export async function readmePublish(rtmp, stream) {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const line = readme.replaceAll(/\\\n\s*/g, ' ').match(/^ffmpeg -re .*rtmp:\/\/\S+$/m);
  if (!line) throw new Error('README.md has no line that begins with "ffmpeg -re" and ends with an rtmp:// URL');
  const words = line[0].split(/\s+/).slice(1);
  return [...words.slice(0, -1), `${rtmp}/live/${stream}`];
}

/** Starts ffmpeg. It publishes until it is stopped. */
export function publish(args, { program = 'ffmpeg' } = {}) {
  return start(program, ['-hide_banner', '-loglevel', 'warning', '-nostdin', ...args]);
}

/** Reads `seconds` of a stream: what ffprobe says of `streams`, and its `packets`. */
export async function probe(url, { seconds = 2, timeoutMs = 30_000 } = {}) {
  const wanted = ['-show_streams', '-show_packets', '-read_intervals', `%+${seconds}`];
  const { stdout } = await run('ffprobe', ['-v', 'error', ...wanted, '-of', 'json', url], { timeoutMs });
  const { streams, packets } = JSON.parse(stdout);
  const of = (kind) => ({
    stream: streams.find((stream) => stream.codec_type === kind),
    packets: packets.filter((packet) => packet.codec_type === kind),
  });
  return { video: of('video'), audio: of('audio') };
}

/** Decodes `seconds` of a stream and gives what ffmpeg complained of: nothing, if all is well. */
export async function decode(url, { seconds = 2, timeoutMs = 30_000 } = {}) {
  const { stderr } = await run('ffmpeg', ['-v', 'error', '-nostdin', '-i', url, '-t', String(seconds), '-f', 'null', '-'], {
    timeoutMs,
  });
  return stderr.trim();
}

/** The path of a current ffmpeg (with a WHIP muxer): the static one of the Python package that `setup.sh` installs. */
export async function currentFfmpeg() {
  const python = fileURLToPath(new URL('../.venv/bin/python', import.meta.url));
  const { stdout } = await run(python, ['-c', 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())']);
  return stdout.trim();
}
