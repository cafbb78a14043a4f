import { expect, test } from 'vitest';
import { queryOf, tokenIn } from './token.js';

test('a token is taken alone, as a query, and as a whole address', () => {
  expect(queryOf(' eJw1-a*b_ ')).toBe('usersig=eJw1-a*b_');
  expect(queryOf('sdkappid=1&userid=a&usersig=eJ')).toBe('sdkappid=1&userid=a&usersig=eJ');
  expect(queryOf('?usersig=eJ')).toBe('usersig=eJ');
  expect(queryOf('http://h/live/s.flv?usersig=eJ')).toBe('usersig=eJ');
  expect(queryOf('  ')).toBe('');
});

test('a token in the address of the page is told from the rest', () => {
  expect(tokenIn('?as=a&sdkappid=1&userid=lan&usersig=eJ*-_&mode=pk')).toEqual({
    token: 'sdkappid=1&userid=lan&usersig=eJ*-_',
    rest: '?as=a&mode=pk',
  });
  expect(tokenIn('?usersig=eJ')).toEqual({ token: 'usersig=eJ', rest: '' });
  expect(tokenIn('?as=a&userid=x')).toEqual({ token: '', rest: '?as=a&userid=x' });
  expect(tokenIn('')).toEqual({ token: '', rest: '' });
});
