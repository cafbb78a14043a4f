import { describe, expect, test } from 'vitest';
import { DelayControl, type DelayWindow } from '../src/delay.js';

/** Plays `seconds` of virtual time from a buffer `ahead` deep that is filled in real time; returns the depths and rates seen. */
function run(control: DelayControl, ahead: number, seconds: number, from = 0) {
  const seen = { ahead, rates: [] as number[], jumps: 0, nowMs: from };
  for (let step = 0; step < seconds * 4; step += 1) {
    seen.nowMs += 250;
    const { rate, jumpTo } = control.step(seen.nowMs, seen.ahead);
    if (jumpTo !== undefined) {
      seen.ahead = jumpTo;
      seen.jumps += 1;
    }
    seen.rates.push(rate);
    seen.ahead += 0.25 * (1 - rate);
  }
  return seen;
}

const WINDOW: DelayWindow = { minCache: 1, maxCache: 3 };

describe('DelayControl', () => {
  test('leaves a delay inside the window alone', () => {
    const seen = run(new DelayControl(WINDOW), 2.5, 60);
    expect(new Set(seen.rates)).toEqual(new Set([1]));
    expect(seen.jumps).toBe(0);
  });

  test('catches up from above the window to the target, never faster than 1.1', () => {
    const seen = run(new DelayControl(WINDOW), 4.5, 60);
    expect(seen.jumps).toBe(0);
    expect(Math.max(...seen.rates)).toBeCloseTo(1.1);
    expect(seen.ahead).toBeGreaterThan(0.9);
    expect(seen.ahead).toBeLessThan(1.2);
    expect(seen.rates.at(-1)).toBe(1);
  });

  test('jumps when more than two seconds above the window', () => {
    const control = new DelayControl(WINDOW);
    expect(control.step(0, 5)).not.toHaveProperty('jumpTo');
    expect(control.step(250, 5.01)).toEqual({ rate: 1, jumpTo: 1 });
    expect(run(control, 30, 5, 250).jumps).toBe(1);
  });

  test('aims higher after stalls, within the window, and lower again in calm', () => {
    const control = new DelayControl(WINDOW);
    for (let stall = 0; stall < 3; stall += 1) control.stalled(stall);
    expect(control.target).toBe(2.5);
    for (let stall = 0; stall < 9; stall += 1) control.stalled(stall);
    expect(control.target).toBe(3);
    run(control, 2, 200);
    expect(control.target).toBe(1);
  });

  test('plays slower to refill after a stall, at 0.95', () => {
    const control = new DelayControl(WINDOW);
    expect(control.step(0, 0.2).rate).toBe(1);
    control.stalled(250);
    expect(control.step(500, 0.2).rate).toBe(0.95);
    expect(run(control, 0.2, 30, 500).ahead).toBeGreaterThan(0.5);
  });

  test('plays slower below the floor, where there is one, until it is reached', () => {
    const control = new DelayControl({ minCache: 3, maxCache: 6, floor: 1 });
    expect(control.step(0, 0.2).rate).toBe(0.95);
    expect(run(control, 0.2, 60).ahead).toBeCloseTo(1, 1);
    expect(control.step(60_000, 1.1).rate).toBe(1);
  });

  test('takes a window the wrong way round, and nonsense', () => {
    const control = new DelayControl({ minCache: 4, maxCache: 2 });
    expect(control.target).toBe(4);
    expect(control.step(0, 4).rate).toBe(1);
    control.setWindow({ minCache: Number.NaN, maxCache: -1 });
    expect(control.step(250, 1).rate).toBeLessThanOrEqual(1.1);
    expect(control.target).toBeGreaterThan(0);
  });

  test('follows a window changed while playing', () => {
    const control = new DelayControl(WINDOW);
    control.setWindow({ minCache: 0.2, maxCache: 0.5 });
    const seen = run(control, 2.4, 60);
    expect(seen.ahead).toBeLessThan(0.5);
  });
});
