/** What `jit` reports of a program that it makes ready. */
export type CompileEvent = {
  /** Name of the function. */
  name: string;
  /** Whether another thread compiles the program, ahead of need (see `Prepared`). If not, this thread is busy until it is ready. */
  isAhead: boolean;
} & (
  | {
      /** A program is about to be compiled, or loaded from the cache folder. */
      state: 'begun';
      isCached: boolean;
      /** How long its compilation took last time, where that is known. */
      expectedSeconds?: number;
    }
  | {
      state: 'ready';
      isCached: boolean;
      /** Tracing included. */
      seconds: number;
      /** Those of `seconds` in which this thread was busy. */
      blockedSeconds: number;
    }
  | {
      /** The program, which `prepare` had begun, was waited for while this thread was free. */
      state: 'waited';
      seconds: number;
    }
  | {
      /** The program was given up, or its compilation failed; the next call of the function tries again. */
      state: 'failed';
    }
);

const listeners = new Set<(event: CompileEvent) => void>();

/**
 * Calls a listener whenever a backend begins to compile a program, and when it is ready.
 *
 * @returns a function that ends it
 */
export function onCompile(listener: (event: CompileEvent) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Reports to the listeners. For packages that bring a backend. */
export function reportCompile(event: CompileEvent): void {
  for (const listener of listeners) listener(event);
}

/** Waits until prepared programs are ready, and reports how long that took. @throws as `prepare` rejects */
export async function untilReady(name: string, prepared: Promise<unknown>): Promise<void> {
  const start = performance.now();
  try {
    await prepared;
  } finally {
    const seconds = (performance.now() - start) / 1000;
    if (seconds > shortestWait) reportCompile({ name, isAhead: true, state: 'waited', seconds });
  }
}

/** A promise that is settled already takes less than this, in seconds. */
const shortestWait = 0.005;
