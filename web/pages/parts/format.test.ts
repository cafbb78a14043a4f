import { expect, test } from 'vitest';
import { codec, sentence, size } from './format.js';

test('what the server says becomes a sentence', () => {
  expect(sentence("no stream 'a/b' is live now")).toBe("No stream 'a/b' is live now.");
  expect(sentence('Is this one? ')).toBe('Is this one?');
  expect(sentence('Wait…')).toBe('Wait…');
});

test('codecs and sizes, also unknown ones', () => {
  expect([codec('H264'), codec('opus'), codec('VP8')]).toEqual(['H.264', 'Opus', 'VP8']);
  expect([size(640, 360), size(null, null), size(0, 0)]).toEqual(['640×360', '–', '–']);
});
