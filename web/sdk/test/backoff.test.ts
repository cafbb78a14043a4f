import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Backoff, pause } from '../src/backoff.js';

describe('Backoff', () => {
  test('doubles from half a second to eight, without end', () => {
    const backoff = new Backoff(() => 0.5);
    const delays = Array.from({ length: 8 }, () => backoff.nextDelayMs());
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
    for (let i = 0; i < 5000; i += 1) expect(backoff.nextDelayMs()).toBe(8000);
  });

  test('spreads each wait by a quarter both ways', () => {
    expect(new Backoff(() => 0).nextDelayMs()).toBe(375);
    expect(new Backoff(() => 0.999999).nextDelayMs()).toBe(625);
  });

  test('begins anew after a reset', () => {
    const backoff = new Backoff(() => 0.5);
    backoff.nextDelayMs();
    backoff.nextDelayMs();
    expect(backoff.attempts).toBe(2);
    backoff.reset();
    expect(backoff.attempts).toBe(0);
    expect(backoff.nextDelayMs()).toBe(500);
  });
});

describe('pause', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('ends with the time or with the signal, whichever is first', async () => {
    const stop = new AbortController();
    const ended: string[] = [];
    void pause(1000, stop.signal).then(() => ended.push('short'));
    void pause(9000, stop.signal).then(() => ended.push('long'));
    await vi.advanceTimersByTimeAsync(1000);
    expect(ended).toEqual(['short']);
    stop.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(ended).toEqual(['short', 'long']);
    await pause(9000, stop.signal);
    expect(vi.getTimerCount()).toBe(0);
  });
});
