/** A drawn picture with a clock and a soft beep each second, for machines without a camera. */
export interface TestCard {
  stream: MediaStream;
  stop(): void;
}

/** Starts drawing. Timers, not animation frames, drive it: those stop when the window is covered. */
export function testCard(name: string, hue: number): TestCard {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext('2d', { alpha: false });
  const began = performance.now();
  const draw = (): void => {
    if (pen) paint(pen, name, hue, (performance.now() - began) / 1000);
  };
  draw();
  const timer = setInterval(draw, 1000 / FRAME_RATE);
  const stream = canvas.captureStream(FRAME_RATE);
  const sound = beep();
  for (const track of sound.stream.getAudioTracks()) stream.addTrack(track);
  return {
    stream,
    stop: () => {
      clearInterval(timer);
      for (const track of stream.getTracks()) track.stop();
      sound.stop();
    },
  };
}

function paint(pen: CanvasRenderingContext2D, name: string, hue: number, seconds: number): void {
  const sky = pen.createLinearGradient(0, 0, WIDTH, HEIGHT);
  sky.addColorStop(0, `hsl(${hue} 45% 30%)`);
  sky.addColorStop(1, `hsl(${(hue + 40) % 360} 50% 16%)`);
  pen.fillStyle = sky;
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  for (let ring = 0; ring < 4; ring += 1) {
    const phase = (seconds * 0.35 + ring / 4) % 1;
    pen.beginPath();
    pen.arc(WIDTH / 2, HEIGHT * 0.42, 40 + phase * 360, 0, Math.PI * 2);
    pen.strokeStyle = `hsl(${hue} 70% 75% / ${(1 - phase) * 0.5})`;
    pen.lineWidth = 6;
    pen.stroke();
  }
  const angle = seconds * Math.PI * 0.5;
  pen.beginPath();
  pen.arc(WIDTH / 2 + Math.cos(angle) * 200, HEIGHT * 0.42 + Math.sin(angle) * 120, 26, 0, Math.PI * 2);
  pen.fillStyle = `hsl(${(hue + 180) % 360} 80% 70%)`;
  pen.fill();
  pen.fillStyle = '#fff';
  pen.textAlign = 'center';
  pen.font = '700 96px system-ui, sans-serif';
  pen.fillText(name, WIDTH / 2, HEIGHT * 0.46, WIDTH * 0.45);
  pen.font = '600 40px ui-monospace, monospace';
  pen.fillText(new Date().toISOString().slice(11, 23), WIDTH / 2, HEIGHT * 0.86);
}

function beep(): { stream: MediaStream; stop(): void } {
  const audio = new AudioContext();
  void audio.resume();
  const tone = audio.createOscillator();
  const gain = audio.createGain();
  const out = audio.createMediaStreamDestination();
  tone.frequency.value = 660;
  gain.gain.value = 0;
  tone.connect(gain).connect(out);
  tone.start();
  const timer = setInterval(() => {
    gain.gain.setTargetAtTime(0.06, audio.currentTime, 0.01);
    gain.gain.setTargetAtTime(0, audio.currentTime + 0.08, 0.02);
  }, 1000);
  return {
    stream: out.stream,
    stop: () => {
      clearInterval(timer);
      void audio.close();
    },
  };
}

const WIDTH = 1280;
const HEIGHT = 720;
const FRAME_RATE = 30;
