import { describe, expect, test, vi } from 'vitest';
import { LiveError } from '../src/errors.js';
import { parseLiveUrl } from '../src/url.js';

const endpoint = (url: string, direction: 'play' | 'push' = 'play') =>
  parseLiveUrl(url, direction, { secure: false, base: 'http://page:8080/' }).endpoint;

describe('parseLiveUrl', () => {
  test.each([
    ['trtc://h/play/s1?sdkappid=1&userId=A&usersig=x', 'http://h/v1/play/s1?sdkappid=1&userId=A&usersig=x'],
    ['webrtc://h:8080/live/demo?a=b', 'http://h:8080/whep/live/demo?a=b'],
    ['artc://h/live/demo?auth_key=k', 'http://h/whep/live/demo?auth_key=k'],
    ['https://h/whep/live/demo', 'https://h/whep/live/demo'],
    ['https://h/v1/play/s1?usersig=x', 'https://h/v1/play/s1?usersig=x'],
    ['https://h/live/demo?t=1', 'https://h/whep/live/demo?t=1'],
    ['https://h/demo', 'https://h/whep/live/demo'],
    ['/live/demo', 'http://page:8080/whep/live/demo'],
    ['https://h/live/a%20b', 'https://h/whep/live/a%20b'],
    ['http://[::1]:8080/live/demo', 'http://[::1]:8080/whep/live/demo'],
  ])('plays %s from %s', (url, wanted) => expect(endpoint(url)).toBe(wanted));

  test.each([
    ['trtc://h/push/s1?usersig=x', 'http://h/v1/push/s1?usersig=x'],
    ['https://h/whip/live/me', 'https://h/whip/live/me'],
    ['webrtc://h/live/me', 'http://h/whip/live/me'],
    ['https://h/live/me', 'https://h/whip/live/me'],
  ])('pushes %s to %s', (url, wanted) => expect(endpoint(url, 'push')).toBe(wanted));

  test('names app and stream, live where none is named', () => {
    expect(parseLiveUrl('https://h/show/one', 'play')).toMatchObject({ app: 'show', stream: 'one' });
    expect(parseLiveUrl('https://h/one', 'play')).toMatchObject({ app: 'live', stream: 'one' });
    expect(parseLiveUrl('trtc://h/play/one', 'play')).toMatchObject({ app: 'live', stream: 'one' });
  });

  test('tells files by their ending, query or not', () => {
    expect(parseLiveUrl('https://h/live/demo.flv?usersig=x', 'play')).toMatchObject({
      protocol: 'flv',
      app: 'live',
      stream: 'demo',
      endpoint: 'https://h/live/demo.flv?usersig=x',
    });
    expect(parseLiveUrl('https://h/live/demo.m3u8', 'play').protocol).toBe('hls');
    expect(parseLiveUrl('wss://h/live/demo.flv', 'play').protocol).toBe('flv');
  });

  test('takes https for a host and http for loopback when no page says otherwise', () => {
    expect(parseLiveUrl('webrtc://h/live/d', 'play').endpoint).toMatch(/^https:/);
    expect(parseLiveUrl('webrtc://127.0.0.1:8080/live/d', 'play').endpoint).toMatch(/^http:/);
    expect(parseLiveUrl('webrtc://localhost/live/d', 'play', { secure: true }).endpoint).toMatch(/^https:/);
  });

  test('takes the scheme of the page for its own host only', () => {
    const onPage = (page: string, url: string) => {
      vi.stubGlobal('location', new URL(page));
      const { protocol } = new URL(parseLiveUrl(url, 'play').endpoint);
      vi.unstubAllGlobals();
      return protocol;
    };
    expect(onPage('http://media.lan/x', 'trtc://media.lan:8080/play/d')).toBe('http:');
    expect(onPage('https://media.lan/x', 'trtc://media.lan/play/d')).toBe('https:');
    expect(onPage('http://media.lan/x', 'artc://cdn.example/live/d')).toBe('https:');
    expect(onPage('https://media.lan/x', 'webrtc://127.0.0.1:8080/live/d')).toBe('http:');
    expect(onPage('http://media.lan/x', 'webrtc://localhost.example/live/d')).toBe('https:');
  });

  test.each([
    ['', 'play', 'invalid-url'],
    ['http://', 'play', 'invalid-url'],
    ['https://h/', 'play', 'invalid-url'],
    ['https://h/a/b/c', 'play', 'invalid-url'],
    ['https://h/live/%zz', 'play', 'invalid-url'],
    ['trtc://h/push/s1', 'play', 'invalid-url'],
    ['trtc://h/play/s1', 'push', 'invalid-url'],
    ['trtc://h/other/s1', 'play', 'invalid-url'],
    ['https://h/whip/live/s', 'play', 'invalid-url'],
    ['https://h/whep/live/s', 'push', 'invalid-url'],
    ['https://h/live/s.flv', 'push', 'not-supported'],
    ['rtmp://h/live/s', 'play', 'not-supported'],
    ['room://cloud/rtc', 'play', 'not-supported'],
    ['ftp://h/live/s', 'play', 'not-supported'],
    [`https://h/live/${'x'.repeat(5000)}`, 'play', 'invalid-url'],
  ] as const)('refuses %s to %s as %s', (url, direction, code) => {
    expect(() => parseLiveUrl(url, direction)).toThrow(LiveError);
    try {
      parseLiveUrl(url, direction);
    } catch (thrown) {
      expect((thrown as LiveError).code).toBe(code);
      expect((thrown as LiveError).retryable).toBe(false);
    }
  });
});
