/** How a thread asks the key-value store and sleeps until the answer is there. */
import type { MessagePort } from 'node:worker_threads';

/** Where a thread writes its requests and sleeps until the answer is there. Can be sent to another thread. */
export type Mailbox = { port: MessagePort; memory: SharedArrayBuffer };

/** A request to the store; values are base64 text. */
export type StoreRequest = { operation: 'put' | 'get' | 'tryGet'; key: string; value?: string; timeout?: number };

/** What the first word of a mailbox's memory can be. The second is the answer's length; the answer follows. */
export const StoreState = { waiting: 0, value: 1, absent: 2, deadline: 3, lost: 4 } as const;

/** Room for answers of nearly 4 MiB; what PJRT exchanges are kilobytes. */
const MAILBOX_BYTES = 4 * 1024 * 1024;

/** Memory for a mailbox. */
export function mailboxMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(MAILBOX_BYTES);
}

/** Sends a request and sleeps until its answer has come. */
export function askStore({ port, memory }: Mailbox, request: StoreRequest): { state: number; value: Uint8Array } {
  const words = new Int32Array(memory, 0, 2);
  Atomics.store(words, 0, StoreState.waiting);
  port.postMessage(request);
  Atomics.wait(words, 0, StoreState.waiting);
  const value = new Uint8Array(memory, 8, words[1]).slice();
  return { state: Atomics.load(words, 0), value };
}

/** Writes an answer and wakes the thread that sleeps on it. An answer without room counts as lost. */
export function answerMailbox(memory: SharedArrayBuffer, state: number, value: Uint8Array): void {
  const words = new Int32Array(memory, 0, 2);
  const bytes = new Uint8Array(memory, 8);
  const fits = value.length <= bytes.length;
  if (fits) bytes.set(value);
  words[1] = fits ? value.length : 0;
  Atomics.store(words, 0, fits ? state : StoreState.lost);
  Atomics.notify(words, 0);
}
