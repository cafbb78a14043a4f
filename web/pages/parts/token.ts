import { h } from './dom.js';

/**
 * The token of this window: either a query (`sdkappid=…&userid=…&usersig=…`), which goes into every address, or a single word, which
 * goes into the Authorization header. It lives as long as the window does.
 */
export function token(): string {
  return sessionStorage.getItem(KEY) ?? '';
}

/** The token if it is one for the header. */
export function bearer(): string | undefined {
  const text = token();
  return text && !isQuery(text) ? text : undefined;
}

/** The address with the token's query, if the token is one. */
export function withToken(address: string): string {
  const text = token();
  if (!isQuery(text)) return address;
  return address + (address.includes('?') ? '&' : '?') + text;
}

/** The form that asks for it. `changed` runs after it was stored. */
export function tokenForm(changed: () => void): HTMLDetailsElement {
  const input = h('input', {
    name: 'token',
    value: token(),
    autocomplete: 'off',
    spellcheck: false,
    size: 32,
  });
  input.placeholder = 'sdkappid=…&userid=…&usersig=…';
  const form = h(
    'form',
    { className: 'card' },
    h('label', {}, 'UserSig as a query, or a bearer token', input),
    h('button', { type: 'submit', className: 'primary' }, 'Use'),
  );
  const details = h('details', {}, h('summary', {}, 'Access token'), form);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, input.value.trim().replace(/^\?/, ''));
    details.open = false;
    changed();
  });
  return details;
}

function isQuery(text: string): boolean {
  return /(^|&)(usersig|auth_key|txSecret)=/.test(text);
}

const KEY = 'stentor-token';
