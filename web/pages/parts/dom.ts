type Child = Node | string | undefined | false;

/** Makes an element. Properties are set as properties where the element has them, else as attributes; `on…` functions as listeners. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Record<string, unknown> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value as EventListener);
    else if (name in element) Reflect.set(element, name, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/** The element of the page with this id. The pages' own markup has it; without it the page is broken, and says so. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no element #${id}.`);
  return found;
}

/** Writes text only where it differs, so that screen readers and selections are left in peace. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** One of several views chosen by tabs, operable by the arrow keys (WAI-ARIA tabs). */
export function tabs(
  label: string,
  names: ReadonlyArray<readonly [id: string, text: string]>,
  chosen: string,
  choose: (id: string) => void,
): HTMLElement {
  const list = h('div', { className: 'tabs', role: 'tablist', 'aria-label': label });
  const select = (id: string, focus: boolean): void => {
    for (const button of list.querySelectorAll('button')) {
      const on = button.dataset.id === id;
      button.setAttribute('aria-selected', String(on));
      button.tabIndex = on ? 0 : -1;
      if (on && focus) button.focus();
    }
  };
  names.forEach(([id, text], index) => {
    const button = h('button', { type: 'button', role: 'tab', onclick: () => pick(id) }, text);
    button.dataset.id = id;
    button.addEventListener('keydown', ({ key }) => {
      const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
      const next = names[(index + step + names.length) % names.length];
      if (step && next) pick(next[0]);
    });
    list.append(button);
  });
  const pick = (id: string): void => {
    select(id, true);
    choose(id);
  };
  select(chosen, false);
  return list;
}

/** A labelled line of text with a button that copies it. */
export function copyRow(label: string, text: string, long = false): HTMLElement {
  const button = h('button', { type: 'button', className: 'tiny', 'aria-label': `Copy ${label}` }, 'Copy');
  const code = h('code', { title: text }, text);
  button.addEventListener('click', async () => {
    const copied = await copy(text, code);
    say(button, copied ? 'Copied' : 'Selected');
    setTimeout(() => say(button, 'Copy'), COPIED_MS);
  });
  return h(
    'div',
    { className: long ? 'copy-row long' : 'copy-row' },
    h('span', { className: 'small soft' }, label),
    code,
    button,
  );
}

/** Pages over plain HTTP have no clipboard: there the text is selected instead. */
async function copy(text: string, shown: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}

const COPIED_MS = 1500;
