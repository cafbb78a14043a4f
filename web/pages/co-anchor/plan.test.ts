import { describe, expect, test } from 'vitest';
import { cleanShow, Presence, rolesOf, stepsOf, tilesFor } from './plan.js';

const BOTH = { a: true, b: true };
const ONLY_A = { a: true, b: false };
const ONLY_B = { a: false, b: true };
const names = (tiles: { side: string; own: boolean }[]) =>
  tiles.map(({ side, own }) => (own ? `${side}!` : side));

describe('co-anchoring', () => {
  test('the audience sees A, then both side by side', () => {
    expect(names(tilesFor('viewer', 'mic', ONLY_A, false))).toEqual(['a']);
    expect(names(tilesFor('viewer', 'mic', BOTH, false))).toEqual(['a', 'b']);
    expect(names(tilesFor('viewer', 'mic', ONLY_B, false))).toEqual([]);
  });

  test('A and B play each other and see themselves from the camera', () => {
    expect(names(tilesFor('a', 'mic', BOTH, true))).toEqual(['a!', 'b']);
    expect(names(tilesFor('b', 'mic', ONLY_A, false))).toEqual(['a']);
    expect(names(tilesFor('b', 'mic', BOTH, true))).toEqual(['a', 'b!']);
  });

  test('the steps follow who is live', () => {
    const done = (onAir: typeof BOTH) => stepsOf('mic', 'h', 's', onAir).map((step) => step.done);
    expect(done({ a: false, b: false })).toEqual([false, false, false, false, false]);
    expect(done(ONLY_A)).toEqual([true, true, false, false, false]);
    expect(done(BOTH)).toEqual([true, true, true, true, true]);
    expect(stepsOf('mic', 'h', 's', BOTH)[2]?.code).toBe('pusher.start() // webrtc://h/live/s_b');
  });
});

describe('competition', () => {
  test('each audience has its own anchor left, and the other one only while it competes', () => {
    expect(rolesOf('pk')).toContain('viewer-b');
    expect(names(tilesFor('viewer', 'pk', BOTH, false))).toEqual(['a', 'b']);
    expect(names(tilesFor('viewer-b', 'pk', BOTH, false))).toEqual(['b', 'a']);
    expect(names(tilesFor('viewer', 'pk', ONLY_B, false))).toEqual([]);
    expect(names(tilesFor('viewer-b', 'pk', ONLY_A, false))).toEqual([]);
  });

  test('anchors see themselves left', () => {
    expect(names(tilesFor('a', 'pk', BOTH, true))).toEqual(['a!', 'b']);
    expect(names(tilesFor('b', 'pk', BOTH, true))).toEqual(['b!', 'a']);
  });
});

test('Presence holds somebody for two missed looks', () => {
  const presence = new Presence();
  const there = new Set(['s_a']);
  const nobody = new Set<string>();
  expect(presence.look(nobody, 's')).toEqual({ a: false, b: false });
  expect(presence.look(there, 's')).toEqual(ONLY_A);
  expect(presence.look(nobody, 's')).toEqual(ONLY_A);
  expect(presence.look(nobody, 's')).toEqual(ONLY_A);
  expect(presence.look(nobody, 's').a).toBe(false);
});

test('cleanShow keeps what a stream name may have', () => {
  expect(cleanShow('my show_1/..%')).toBe('myshow1');
  expect(cleanShow('x'.repeat(99))).toHaveLength(32);
});
