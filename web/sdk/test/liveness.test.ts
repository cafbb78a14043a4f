import { expect, test } from 'vitest';
import { Liveness } from '../src/liveness.js';

test('three seconds without growth are silence, growth ends it', () => {
  const liveness = new Liveness(3000);
  expect(liveness.silent(0, 10)).toBe(false);
  expect(liveness.silent(1000, 10)).toBe(false);
  expect(liveness.silent(2000, 10)).toBe(false);
  expect(liveness.silent(3000, 10)).toBe(true);
  expect(liveness.silent(4000, 11)).toBe(false);
  expect(liveness.silent(5000, 11)).toBe(false);
});

test('a counter that began anew counts as growth', () => {
  const liveness = new Liveness(1000);
  liveness.silent(0, 500);
  expect(liveness.silent(1000, 3)).toBe(false);
});

test('a minute in which nobody looked is not silence', () => {
  const liveness = new Liveness(3000);
  liveness.silent(0, 10);
  expect(liveness.silent(60_000, 10)).toBe(false);
  expect(liveness.silent(61_000, 10)).toBe(false);
  expect(liveness.silent(62_000, 10)).toBe(true);
});
