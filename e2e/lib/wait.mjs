// Waiting for something to become so, never for a time to pass.

/** Milliseconds between two looks. */
const LOOK_MS = 50;

/**
 * Looks again and again until `look` gives something truthy, and gives that. An error thrown by `look` counts as "not
 * yet" and is told when the time is over.
 */
export async function until(what, look, { timeoutMs = 15_000 } = {}) {
  const end = performance.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) {
      throw new Error(`waited ${timeoutMs} ms in vain: ${what}${last ? ` (${last.message})` : ''}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
