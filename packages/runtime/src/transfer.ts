import { getJson, type ProcessGroup, type ProcessStore, putJson } from './processes.js';

/** One value of the store: process 0 answers within its mailbox of 4 MiB. */
const chunkBytes = 2 ** 21;
/** Chunks that the store holds at a time, 16 MiB: it is the memory of process 0. */
const windowChunks = 8;

type Header = { length: number };

/**
 * Sends bytes of any length from process 0 to all others, by way of the store. This thread sleeps until all have them.
 *
 * @param key - a prefix of keys that nothing else uses; the same in `receiveBytes`
 * @param timeoutMs - for the others to take the next 16 MiB
 * @param receivers - the processes that call `receiveBytes`; default all others
 * @throws Error when the time is up
 */
export function sendBytes(
  { count, store }: ProcessGroup,
  key: string,
  bytes: Uint8Array,
  { timeoutMs, receivers = othersOf(count) }: { timeoutMs: number; receivers?: readonly number[] },
): void {
  if (!store || receivers.length === 0) return;
  putJson(store, key, { length: bytes.length } satisfies Header);
  for (const window of windowsOf(bytes.length)) {
    for (const chunk of window) {
      store.put(`${key}/${chunk}`, bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes));
    }
    for (const other of receivers) store.get(`${key}/${window.at(-1)}/taken/${other}`, { timeoutMs });
    for (const chunk of window) store.put(`${key}/${chunk}`, new Uint8Array()); // gives the memory back
  }
}

/**
 * The bytes that process 0 sends with the same key. This thread sleeps until it has them.
 *
 * @param timeoutMs - for process 0 to send the first byte, and each next one
 * @throws Error when the time is up
 */
export function receiveBytes(
  { index, store }: ProcessGroup & { readonly store: ProcessStore },
  key: string,
  { timeoutMs }: { timeoutMs: number },
): Uint8Array<ArrayBuffer> {
  const { length } = getJson<Header>(store, key, { timeoutMs });
  const bytes = new Uint8Array(length);
  for (const window of windowsOf(length)) {
    for (const chunk of window) bytes.set(store.get(`${key}/${chunk}`, { timeoutMs }), chunk * chunkBytes);
    store.put(`${key}/${window.at(-1)}/taken/${index}`, new Uint8Array(1));
  }
  return bytes;
}

const othersOf = (count: number) => Array.from({ length: count - 1 }, (_, other) => other + 1);

/** Numbers of the chunks, in the groups that are sent together. */
function windowsOf(length: number): number[][] {
  const chunks = Array.from({ length: Math.ceil(length / chunkBytes) }, (_, chunk) => chunk);
  const windows: number[][] = [];
  while (chunks.length > 0) windows.push(chunks.splice(0, windowChunks));
  return windows;
}
