// How far sound is from the picture, by the demo clip: a square turns white and a beep of 1 kHz begins in the same
// instant, once a second.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from './process.mjs';

/** Onsets in seconds of a series [time, value] that rises over `threshold` after having been below. */
function onsets(series, threshold) {
  return series.filter(([, value], at) => at > 0 && value > threshold && series[at - 1][1] <= threshold).map(([time]) => time);
}

function series(text, key) {
  const found = [];
  let time;
  for (const line of text.split('\n')) {
    const at = /pts_time:([\d.]+)/.exec(line);
    if (at) time = Number(at[1]);
    else if (line.startsWith(`${key}=`)) found.push([time, Number(line.slice(key.length + 1).replace('-inf', '-200'))]);
  }
  return found;
}

/** Milliseconds by which each beep of a file comes after its flash. */
export async function skewsOf(file) {
  const print = (filter, key) => `${filter}=print:key=${key}:file=-`;
  const luma = 'lavfi.signalstats.YAVG';
  const level = 'lavfi.astats.Overall.RMS_level';
  const quiet = ['-v', 'error', '-nostdin', '-copyts', '-i', file];
  const picture = await run('ffmpeg', [...quiet, '-an', '-vf', `crop=160:36:20:312,signalstats,${print('metadata', luma)}`, '-f', 'null', '-'], { timeoutMs: 60_000 });
  const sound = await run(
    'ffmpeg',
    [...quiet, '-vn', '-af', `highpass=f=800,highpass=f=800,asetnsamples=n=96,astats=metadata=1:reset=1,${print('ametadata', level)}`, '-f', 'null', '-'],
    { timeoutMs: 60_000 },
  );
  const flashes = onsets(series(picture.stdout, luma), 128);
  const beeps = onsets(series(sound.stdout, level), -22);
  // The first beep after the sound begins may be cut in two, and codecs fade in.
  return flashes
    .slice(1)
    .map((flash) => beeps.reduce((best, beep) => (Math.abs(beep - flash) < Math.abs(best) ? beep - flash : best), Infinity) * 1_000)
    .filter((skew) => Math.abs(skew) < 400);
}

/** Records some seconds of a stream as it is, and gives its skews. */
export async function skewsOfStream(url, seconds) {
  const folder = await mkdtemp(path.join(tmpdir(), 'stentor-sync-'));
  const file = path.join(folder, 'stream.mkv');
  try {
    await run('ffmpeg', ['-v', 'error', '-nostdin', '-i', url, '-t', String(seconds), '-c', 'copy', file], { timeoutMs: 90_000 });
    return await skewsOf(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Source of a page function `measureSkews(video, count) -> ms[]`: display time of flashes against output time of beeps. */
export const pageSource = `
  async function measureSkews(video, count) {
    const context = new AudioContext({ latencyHint: 'interactive' });
    await context.resume();
    const worklet = \`registerProcessor('onset', class extends AudioWorkletProcessor {
      constructor() { super(); this.level = 0; this.quiet = 0; this.last = [0, 0]; }
      process([input]) {
        const samples = input[0];
        if (!samples) return true;
        // A one-pole high pass keeps the hum under the beep out.
        let sum = 0;
        for (const sample of samples) {
          const high = 0.88 * (this.last[1] + sample - this.last[0]);
          this.last = [sample, high];
          sum += high * high;
        }
        const rms = Math.sqrt(sum / samples.length);
        if (rms > 0.08 && this.quiet > 40) this.port.postMessage(currentTime);
        this.quiet = rms > 0.08 ? 0 : this.quiet + 1;
        return true;
      }
    })\`;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
    const node = new AudioWorkletNode(context, 'onset', { numberOfOutputs: 1 });
    context.createMediaStreamSource(video.srcObject).connect(node).connect(context.destination);
    const beeps = [];
    node.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      beeps.push(performanceTime + (data - contextTime) * 1000);
    };
    const canvas = new OffscreenCanvas(16, 4);
    const draw = canvas.getContext('2d', { willReadFrequently: true });
    const flashes = [];
    let white = true;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, (count + 4) * 1000);
      const each = (_now, frame) => {
        draw.drawImage(video, 30, 318, 140, 24, 0, 0, 16, 4);
        const data = draw.getImageData(0, 0, 16, 4).data;
        let sum = 0;
        for (let at = 0; at < data.length; at += 4) sum += data[at];
        const bright = sum / (data.length / 4) > 128;
        if (bright && !white) flashes.push(frame.expectedDisplayTime);
        white = bright;
        if (flashes.length > count && beeps.length > count) { clearTimeout(timer); resolve(); }
        else video.requestVideoFrameCallback(each);
      };
      video.requestVideoFrameCallback(each);
    });
    await context.close();
    return flashes.map((flash) => beeps.reduce((best, beep) => Math.abs(beep - flash) < Math.abs(best) ? beep - flash : best, Infinity)).filter((skew) => Math.abs(skew) < 450);
  }
`;
