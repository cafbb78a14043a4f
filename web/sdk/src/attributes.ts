/** Reading of element attributes. A bad value warns on the console and counts as absent: markup never throws. */

/** A switch. `enable-mic`, `enable-mic="true"`: on; `enable-mic="false"` or `"0"`: off; absent: `absent`. */
export function flag(element: Element, name: string, absent: boolean): boolean {
  const text = element.getAttribute(name)?.trim().toLowerCase();
  if (text === undefined) return absent;
  if (text === '' || text === 'true' || text === '1' || text === name) return true;
  if (text === 'false' || text === '0') return false;
  return warn(element, name, text, 'true or false', absent);
}

/** A number from `low` to `high`. */
export function number(element: Element, name: string, low: number, high: number): number | undefined {
  const text = element.getAttribute(name)?.trim();
  if (!text) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= low && value <= high) return value;
  return warn(element, name, text, `a number from ${low} to ${high}`, undefined);
}

/** One of several words. Upper and lower case count as the same. */
export function choice<T extends string>(element: Element, name: string, words: readonly T[], absent: T): T {
  const text = element.getAttribute(name)?.trim();
  if (!text) return absent;
  const found = words.find((word) => word.toLowerCase() === text.toLowerCase());
  return found ?? warn(element, name, text, `one of ${words.join(', ')}`, absent);
}

/** Makes properties of attributes: strings for `texts` (empty when absent), switches for `flags` with their value when absent. */
export function reflect(
  prototype: HTMLElement,
  texts: readonly string[],
  flags: Readonly<Record<string, boolean>>,
): void {
  for (const name of texts) {
    Object.defineProperty(prototype, camel(name), {
      configurable: true,
      get(this: HTMLElement) {
        return this.getAttribute(name) ?? '';
      },
      set(this: HTMLElement, value: unknown) {
        if (value === null || value === undefined) this.removeAttribute(name);
        else this.setAttribute(name, String(value));
      },
    });
  }
  for (const [name, absent] of Object.entries(flags)) {
    Object.defineProperty(prototype, camel(name), {
      configurable: true,
      get(this: HTMLElement) {
        return flag(this, name, absent);
      },
      set(this: HTMLElement, value: unknown) {
        if (Boolean(value) === absent) this.removeAttribute(name);
        else this.setAttribute(name, value ? '' : 'false');
      },
    });
  }
}

function camel(name: string): string {
  return name.replace(/-(\w)/g, (_all, letter: string) => letter.toUpperCase());
}

function warn<T>(element: Element, name: string, text: string, expected: string, absent: T): T {
  console.warn(`<${element.localName}> ${name}="${text}" is not ${expected}; it is ignored.`);
  return absent;
}
