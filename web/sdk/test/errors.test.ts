import { describe, expect, test } from 'vitest';
import { errorFromAnswer, LiveError, worthPlayingAgain, worthPushingAgain } from '../src/errors.js';

const PROBLEM = 'application/problem+json';

describe('errorFromAnswer', () => {
  test("keeps the server's sentence and its code", () => {
    const body = JSON.stringify({
      title: 'Unauthorized',
      detail: 'The UserSig expired at 12:00.',
      code: -70001,
    });
    const error = errorFromAnswer(401, PROBLEM, body);
    expect(error).toMatchObject({
      code: 'unauthorized',
      message: 'The UserSig expired at 12:00.',
      status: 401,
      serverCode: -70001,
      retryable: false,
    });
  });

  test.each([
    [404, 'not-found', false],
    [403, 'forbidden', false],
    [409, 'conflict', false],
    [406, 'not-supported', false],
    [400, 'rejected', false],
    [429, 'overloaded', true],
    [500, 'server', true],
    [502, 'server', true],
    [503, 'overloaded', true],
  ] as const)('status %i is %s', (status, code, retryable) => {
    expect(errorFromAnswer(status, null, '')).toMatchObject({ code, retryable });
  });

  test('makes a sentence where there is none', () => {
    expect(errorFromAnswer(500, PROBLEM, 'not json').message).toContain('500');
    expect(errorFromAnswer(500, PROBLEM, '[]').message).toContain('500');
    expect(errorFromAnswer(500, 'text/html', '<h1>x</h1>').message).toContain('500');
    expect(errorFromAnswer(400, 'text/plain', 'Bad offer.').message).toBe('Bad offer.');
    expect(errorFromAnswer(400, PROBLEM, '{"title":"Bad Request"}').message).toBe('Bad Request');
  });
});

describe('LiveError.from', () => {
  test.each([
    ['NotAllowedError', 'permission-denied'],
    ['NotFoundError', 'no-device'],
    ['NotReadableError', 'device-busy'],
    ['AbortError', 'aborted'],
    ['TimeoutError', 'timeout'],
  ])('%s is %s', (name, code) => {
    expect(LiveError.from(new DOMException('x', name)).code).toBe(code);
  });

  test('leaves its own kind alone and falls back as told', () => {
    const own = new LiveError('conflict', 'taken');
    expect(LiveError.from(own)).toBe(own);
    expect(LiveError.from(new TypeError('fetch failed'))).toMatchObject({ code: 'network', retryable: true });
    expect(LiveError.from('odd', 'decode')).toMatchObject({ code: 'decode', message: 'odd' });
  });
});

describe('asking again', () => {
  const missing = new LiveError('not-found', 'x');
  const refused = new LiveError('unauthorized', 'x');

  test('a player waits for a stream that it has seen or was told to wait for', () => {
    expect(worthPlayingAgain(missing, false, false)).toBe(false);
    expect(worthPlayingAgain(missing, true, false)).toBe(true);
    expect(worthPlayingAgain(missing, false, true)).toBe(true);
    expect(worthPlayingAgain(refused, true, true)).toBe(false);
    expect(worthPlayingAgain(new LiveError('network', 'x'), false, false)).toBe(true);
  });

  test('a pusher outwaits its own former publication, and nobody else’s', () => {
    expect(worthPushingAgain(new LiveError('conflict', 'x'), true)).toBe(true);
    expect(worthPushingAgain(new LiveError('conflict', 'x'), false)).toBe(false);
    expect(worthPushingAgain(refused, true)).toBe(false);
  });
});
