/**
 * How the processes of a job become one machine: PJRT's key-value callbacks, answered from a store that process 0
 * serves (`key-value-store.ts`).
 *
 * PJRT calls these functions from its own threads, also while the main thread waits inside PJRT. So they belong to a
 * Worker that does nothing else: koffi hands a call from a foreign thread to the event loop of the thread that
 * registered the function.
 */
import { startWorker } from '@tb/runtime';
import type { CallbackWorkerData } from './callback-worker.js';
import { type KeyValueStore, openKeyValueStore, type StoreAddress, workerReady } from './key-value-store.js';

/** Where the processes of a job meet, and which of them this one is. */
export type RendezvousOptions = StoreAddress & {
  /** This process's number, from 0; process 0 serves the store at `port`. */
  rank: number;
  /** Number of processes. */
  size: number;
  /** How long to try to reach process 0; default 300 s. */
  connectTimeoutMilliseconds?: number;
};

/** Addresses of C functions, for `PJRT_Client_Create`. */
export type KeyValueCallbacks = {
  readonly kv_get_callback: bigint;
  readonly kv_try_get_callback: bigint;
  readonly kv_put_callback: bigint;
};

/** The connection of this process to the others of a job. */
export type Rendezvous = {
  readonly rank: number;
  readonly size: number;
  readonly callbacks: KeyValueCallbacks;
  /** The store itself, for what a program has to agree upon besides. */
  readonly store: KeyValueStore;
  /** Ends the store's threads. Process 0 closes last: it serves the others. */
  close(): Promise<void>;
};

function assertOptions({ rank, size, port }: RendezvousOptions): void {
  if (!Number.isInteger(size) || size < 1) throw new Error(`openRendezvous: size must be at least 1, got ${size}`);
  if (!Number.isInteger(rank) || rank < 0 || rank >= size) {
    throw new Error(`openRendezvous: rank must be from 0 to ${size - 1}, got ${rank}`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`openRendezvous: port must be from 1 to 65535, got ${port}`);
  }
}

/**
 * Connects this process to the others. Give the result to `createPjrtExecutor({ rendezvous })` in each of them.
 * @throws Error when an option is out of range, the port is taken, or process 0 cannot be reached in time
 */
export async function openRendezvous(options: RendezvousOptions): Promise<Rendezvous> {
  assertOptions(options);
  const { host, port, rank, size, connectTimeoutMilliseconds } = options;
  const store = await openKeyValueStore({
    host,
    port,
    serve: rank === 0,
    ...(connectTimeoutMilliseconds !== undefined && { connectTimeoutMilliseconds }),
  });
  const workerData: CallbackWorkerData = { mailbox: store.mailbox };
  const transferList = [store.mailbox.port];
  const worker = startWorker(new URL('./callback-worker.js', import.meta.url), { workerData, transferList });
  const callbacks = await workerReady<KeyValueCallbacks>(worker, 'openRendezvous');
  worker.unref();
  return {
    rank,
    size,
    callbacks,
    store: store.client,
    async close() {
      await worker.terminate();
      await store.close();
    },
  };
}
