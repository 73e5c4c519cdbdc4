/** The processes of a job, and the values that they exchange by key. Tensors meet inside `jit`, see `allReduceMean`. */

/**
 * Values that all processes of a job share, by key. Process 0 holds them, so they are for small things: names, hashes,
 * decisions. A key is put once in the life of a job.
 */
export type ProcessStore = {
  put(key: string, value: Uint8Array): void;
  /**
   * Waits until some process has put the key. This thread sleeps meanwhile; `waitForKey` leaves it free.
   *
   * @throws Error when the time is up, or the store cannot be reached
   */
  get(key: string, options: { timeoutMs: number }): Uint8Array;
  /** Undefined when no process has put the key yet. @throws Error when the store cannot be reached */
  tryGet(key: string): Uint8Array | undefined;
};

/** Which process of a job this one is. */
export type ProcessGroup = {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Where the processes exchange values; one process needs none. */
  readonly store?: ProcessStore;
};

/** A process that works alone. */
export const oneProcess: ProcessGroup = Object.freeze({ index: 0, count: 1 });

/**
 * How many replicas of a program run in one process: all of a program with one, an equal part of one with several.
 *
 * @param replicas - counted over all processes
 * @throws Error when they cannot be divided equally
 */
export function replicasOfProcess(caller: string, { count }: ProcessGroup, replicas: number): number {
  if (replicas === 1) return 1;
  if (replicas % count === 0) return replicas / count;
  throw new Error(`${caller}: replicas must be 1 or a multiple of the ${count} processes, got ${replicas}`);
}

/** How often each group has used a name. */
const uses = new WeakMap<ProcessGroup, Map<string, number>>();

/**
 * A key for the next use of a name in the life of a group: `name/0`, `name/1` and so on. Processes that use a name equally
 * often get the same keys.
 */
export function nextKey(group: ProcessGroup, name: string): string {
  const counts = uses.get(group) ?? new Map<string, number>();
  uses.set(group, counts);
  const use = counts.get(name) ?? 0;
  counts.set(name, use + 1);
  return `${name}/${use}`;
}

/** Between two looks into the store. */
const pollMs = 25;

/**
 * Waits until some process has put a key, while this process handles its events.
 *
 * @param signal - ends the wait with its reason
 * @throws Error when the time is up, or the store cannot be reached
 */
export async function waitForKey(
  store: ProcessStore,
  key: string,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<Uint8Array> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const value = store.tryGet(key);
    if (value) return value;
    if (performance.now() >= deadline) {
      throw new Error(`waitForKey: no process put ${key} within ${Math.round(timeoutMs / 1000)} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/**
 * Gives every process what process 0 has made. Each process of the group must call it, with the same key.
 *
 * @param key - a key of the group's store that nothing else uses
 * @param make - runs in process 0; what it returns is sent as JSON
 * @throws Error in all processes with process 0's reason when `make` throws; when the time is up
 */
export async function fromFirstProcess<T>(
  { index, count, store }: ProcessGroup,
  key: string,
  make: () => Promise<T> | T,
  { timeoutMs }: { timeoutMs: number },
): Promise<T> {
  if (count === 1 || !store) return make();
  if (index > 0) {
    const { value, failed } = parseJson<Sent<T>>(await waitForKey(store, key, { timeoutMs }));
    if (failed !== undefined) throw new Error(`process 0: ${failed}`);
    return value as T;
  }
  try {
    const value = await make();
    putJson(store, key, { value } satisfies Sent<T>);
    return value;
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    putJson(store, key, { failed } satisfies Sent<T>);
    throw error;
  }
}

type Sent<T> = { value?: T; failed?: string };

/**
 * Waits until all processes of a group have come here, while this process handles its events.
 *
 * @param key - a prefix of keys that nothing else uses
 * @throws Error naming a process that has not come when the time is up
 */
export async function meetProcesses(
  { index, count, store }: ProcessGroup,
  key: string,
  { timeoutMs }: { timeoutMs: number },
): Promise<void> {
  if (count === 1 || !store) return;
  const deadline = performance.now() + timeoutMs;
  store.put(`${key}/${index}`, new Uint8Array(1));
  for (let other = 0; other < count; other++) {
    await waitForKey(store, `${key}/${other}`, { timeoutMs: Math.max(0, deadline - performance.now()) });
  }
}

/** Puts a value that JSON can hold. */
export function putJson(store: ProcessStore, key: string, value: unknown): void {
  store.put(key, new TextEncoder().encode(JSON.stringify(value)));
}

/** Waits for a value of `putJson`, while this thread sleeps. @throws as `get` of the store */
export function getJson<T>(store: ProcessStore, key: string, options: { timeoutMs: number }): T {
  return parseJson(store.get(key, options));
}

function parseJson<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T;
}
