import { h, say } from './dom.js';

/** A line of the last minute, drawn on a small canvas. The newest value also stands in words, for those who do not see it. */
export class Plot {
  readonly element: HTMLElement;
  readonly #canvas = h('canvas', { 'aria-hidden': 'true' });
  readonly #value = h('span');
  readonly #values: (number | undefined)[] = [];

  constructor(label: string) {
    this.element = h('figure', { className: 'plot' }, h('figcaption', {}, label, this.#value), this.#canvas);
  }

  add(value: number | undefined, text: string): void {
    this.#values.push(value);
    if (this.#values.length > POINTS_MAX) this.#values.shift();
    say(this.#value, text);
    this.#draw();
  }

  /** All values at once, the oldest first. */
  show(values: readonly number[], text: string): void {
    this.#values.splice(0, this.#values.length, ...values.slice(-POINTS_MAX));
    say(this.#value, text);
    this.#draw();
  }

  clear(): void {
    this.#values.length = 0;
    say(this.#value, '');
    this.#draw();
  }

  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = width * ratio;
    this.#canvas.height = height * ratio;
    const pen = this.#canvas.getContext('2d');
    if (!pen) return;
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    const accent = style.getPropertyValue('--accent');
    const top = Math.max(...this.#values.map((value) => value ?? 0), 1) * 1.15;
    const x = (index: number): number =>
      width - ((this.#values.length - 1 - index) / (POINTS_MAX - 1)) * width;
    const y = (value: number): number => height - 1 - (value / top) * (height - 4);
    pen.strokeStyle = style.getPropertyValue('--line');
    pen.strokeRect(0, height - 0.5, width, 0);
    pen.beginPath();
    let drawing = false;
    this.#values.forEach((value, index) => {
      if (value === undefined) drawing = false;
      else if (drawing) pen.lineTo(x(index), y(value));
      else {
        pen.moveTo(x(index), y(value));
        drawing = true;
      }
    });
    pen.strokeStyle = accent;
    pen.lineWidth = 2;
    pen.lineJoin = 'round';
    pen.stroke();
  }
}

const POINTS_MAX = 60;
