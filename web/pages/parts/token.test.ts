import { expect, test } from 'vitest';
import { queryOf } from './token.js';

test('a token is taken alone, as a query, and as a whole address', () => {
  expect(queryOf(' eJw1-a*b_ ')).toBe('usersig=eJw1-a*b_');
  expect(queryOf('sdkappid=1&userid=a&usersig=eJ')).toBe('sdkappid=1&userid=a&usersig=eJ');
  expect(queryOf('?usersig=eJ')).toBe('usersig=eJ');
  expect(queryOf('http://h/live/s.flv?usersig=eJ')).toBe('usersig=eJ');
  expect(queryOf('  ')).toBe('');
});
