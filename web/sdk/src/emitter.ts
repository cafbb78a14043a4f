/** An `EventTarget` whose events are `CustomEvent`s typed by a map from event name to detail. */
export class Emitter<Events extends object> extends EventTarget {
  /**
   * Listens to one event and hands over its detail.
   * @returns a function that ends the listening; `options.signal` and `options.once` work as in `addEventListener`.
   */
  on<K extends keyof Events & string>(
    type: K,
    listener: (detail: Events[K]) => void,
    options?: AddEventListenerOptions,
  ): () => void {
    const receive = (event: Event): void => listener((event as CustomEvent<Events[K]>).detail);
    this.addEventListener(type, receive, options);
    return () => this.removeEventListener(type, receive);
  }

  /** Tells all listeners. Public because the parts of a player speak through it; applications only listen. */
  emit<K extends keyof Events & string>(type: K, detail: Events[K]): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
