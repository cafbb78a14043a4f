import { h } from './dom.js';
import type { ServerFacts } from './server.js';

/** The query that carries this window's token (`usersig=…`, `sdkappid=…&userid=…&usersig=…`), or nothing. It lives as long as the window does. */
export function token(): string {
  return sessionStorage.getItem(KEY) ?? '';
}

/** The address with the token's query, if there is a token. */
export function withToken(address: string): string {
  const query = token();
  return query ? address + (address.includes('?') ? '&' : '?') + query : address;
}

/**
 * Takes a token that the page was opened with (`/?sdkappid=…&userid=…&usersig=…`, as `stentor dev --lan` prints it) and
 * takes it out of the address bar, where it would be shared by accident. To be called before anything asks the server.
 */
export function adoptToken(): void {
  const { token, rest } = tokenIn(location.search);
  if (!token) return;
  sessionStorage.setItem(KEY, token);
  history.replaceState(null, '', location.pathname + rest + location.hash);
}

/** The part of an address's query that is a token, and the rest of it, with its `?` where there is any. */
export function tokenIn(search: string): { token: string; rest: string } {
  const pairs = search.replace(/^\?/, '').split('&').filter(Boolean);
  const isToken = (pair: string): boolean => /^(sdkappid|userid|usersig)=/i.test(pair);
  if (!pairs.some((pair) => /^usersig=./i.test(pair))) return { token: '', rest: search };
  const rest = pairs.filter((pair) => !isToken(pair)).join('&');
  return { token: pairs.filter(isToken).join('&'), rest: rest && `?${rest}` };
}

/** The place where a token is asked for: a disclosure, which becomes a card at the top of the page when the server wants a token. */
export interface TokenForm {
  element: HTMLElement;
  /** The server wants a token, or another one. */
  ask(): void;
  /** Shows the form as far as such a server calls for it. */
  suit(server: ServerFacts): void;
}

/** Makes the form. A token that is entered is stored, and the page is loaded anew with it. */
export function tokenForm(main: HTMLElement): TokenForm {
  const input = h('input', { name: 'token', value: token(), autocomplete: 'off', spellcheck: false });
  input.placeholder = 'eJw1… or sdkappid=…&userid=…&usersig=…';
  const form = h(
    'form',
    {},
    h('label', {}, 'UserSig, alone or as a whole query', input),
    h('button', { type: 'submit', className: 'primary' }, 'Use'),
    h(
      'p',
      { className: 'small soft' },
      'Who runs this server gives you one. To make one: ',
      h('code', {}, 'stentor token --app ID --key KEY --user NAME'),
    ),
  );
  const details = h('details', { className: 'access' }, h('summary', {}, 'Access token'), form);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, queryOf(input.value));
    location.reload();
  });
  const ask = (): void => {
    details.hidden = false;
    if (details.open && details.parentElement === main) return;
    details.open = true;
    details.classList.add('card', 'asked');
    main.prepend(details);
    details.scrollIntoView({ block: 'nearest' });
  };
  const suit = (server: ServerFacts): void => {
    if (!server.open && !token()) ask();
    else details.hidden = server.open && !token() && !details.open;
  };
  return { element: details, ask, suit };
}

/** What was pasted, as a query: a UserSig alone names its application and user itself. */
export function queryOf(pasted: string): string {
  const text = pasted.trim().replace(/^[^?]*\?/, '');
  return text === '' || text.includes('=') ? text : `usersig=${encodeURIComponent(text)}`;
}

const KEY = 'stentor-token';
