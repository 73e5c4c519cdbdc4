/**
 * How the processes of a job become one machine: PJRT's key-value callbacks, answered from a store that process 0
 * serves (`key-value-store.ts`).
 *
 * PJRT calls these functions from its own threads, also while the main thread waits inside PJRT. So they belong to a
 * Worker that does nothing else: koffi hands a call from a foreign thread to the event loop of the thread that
 * registered the function.
 */
import { type JobAddress, type JoinedProcesses, startWorker } from '@tb/runtime';
import type { CallbackWorkerData } from './callback-worker.js';
import { openKeyValueStore, workerReady } from './key-value-store.js';

/** Addresses of C functions, for `PJRT_Client_Create`. */
export type KeyValueCallbacks = {
  readonly kv_get_callback: bigint;
  readonly kv_try_get_callback: bigint;
  readonly kv_put_callback: bigint;
};

/** The connection of this process to the others of a job. */
export type Rendezvous = JoinedProcesses & {
  readonly callbacks: KeyValueCallbacks;
};

function assertOptions({ index, count, port }: JobAddress): void {
  if (!Number.isInteger(count) || count < 1) throw new Error(`openRendezvous: count must be at least 1, got ${count}`);
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new Error(`openRendezvous: index must be from 0 to ${count - 1}, got ${index}`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`openRendezvous: port must be from 1 to 65535, got ${port}`);
  }
}

/**
 * Connects this process to the others. Give the result to `createPjrtExecutor({ rendezvous })` in each of them.
 * @throws Error when an option is out of range, the port is taken, or process 0 cannot be reached in time
 */
export async function openRendezvous(options: JobAddress): Promise<Rendezvous> {
  assertOptions(options);
  const { index, count } = options;
  const store = await openKeyValueStore(options);
  const workerData: CallbackWorkerData = { mailbox: store.mailbox };
  const transferList = [store.mailbox.port];
  const worker = startWorker(new URL('./callback-worker.js', import.meta.url), { workerData, transferList });
  const callbacks = await workerReady<KeyValueCallbacks>(worker, 'openRendezvous');
  worker.unref();
  return {
    index,
    count,
    callbacks,
    store: store.client,
    report: store.report,
    fail: store.fail,
    async close() {
      await worker.terminate();
      await store.close();
    },
  };
}
