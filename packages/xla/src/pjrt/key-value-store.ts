/**
 * The key-value store through which the processes of a job find each other: process 0 serves it over TCP, and all
 * processes, process 0 included, are its clients.
 *
 * A client is synchronous, since PJRT's callbacks must answer before they return, and Node has no blocking sockets: the
 * sockets live in a Worker, and the caller sleeps on shared memory until it answers. The store has no password; like
 * every rendezvous of this kind it belongs on a private network.
 */
import { MessageChannel, type Worker } from 'node:worker_threads';
import { type ProcessStore, startWorker } from '@tb/runtime';
import { askStore, type Mailbox, mailboxMemory, type StoreRequest, StoreState } from './store-mailbox.js';
import type { StoreWorkerData } from './store-worker.js';

export type StoreAddress = {
  /** Where process 0 can be reached. */
  host: string;
  port: number;
};

/** See `ProcessStore` of @tb/runtime; its errors are `KeyValueError`. */
export type KeyValueStore = ProcessStore;

export class KeyValueError extends Error {
  override readonly name = 'KeyValueError';
  readonly code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE';

  constructor(code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE', message: string) {
    super(`key-value store: ${code}: ${message}`);
    this.code = code;
  }
}

/** A client whose requests go through `mailbox`; one thread may use it. */
function storeClient(mailbox: Mailbox): KeyValueStore {
  function ask(request: StoreRequest): Uint8Array | undefined {
    const { state, value } = askStore(mailbox, request);
    if (state === StoreState.value) return value;
    if (state === StoreState.absent) return undefined;
    const code = state === StoreState.deadline ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
    throw new KeyValueError(code, `${request.operation} ${request.key}`);
  }

  return {
    put: (key, value) => void ask({ operation: 'put', key, value: Buffer.from(value).toString('base64') }),
    get: (key, { timeoutMs }) => ask({ operation: 'get', key, timeout: timeoutMs })!,
    tryGet: (key) => ask({ operation: 'tryGet', key }),
  };
}

export type StoreOptions = StoreAddress & {
  /** This process serves the store. */
  serve: boolean;
  /** How long to try to reach the server; default 300 s. */
  connectTimeoutMilliseconds?: number;
};

export type OpenStore = {
  /** For this thread. */
  readonly client: KeyValueStore;
  /** For another thread. */
  readonly mailbox: Mailbox;
  close(): Promise<void>;
};

/**
 * Serves the store if asked to, and connects to it.
 * @throws Error when the port is taken, or the server cannot be reached in time
 */
export async function openKeyValueStore(options: StoreOptions): Promise<OpenStore> {
  const channels = [new MessageChannel(), new MessageChannel()] as const;
  const memories = channels.map(mailboxMemory);
  const workerData: StoreWorkerData = {
    connectTimeoutMilliseconds: 300_000,
    ...options,
    mailboxes: channels.map(({ port2 }, index) => ({ port: port2, memory: memories[index]! })),
  };
  const transferList = channels.map(({ port2 }) => port2);
  const worker = startWorker(new URL('./store-worker.js', import.meta.url), { workerData, transferList });
  try {
    await workerReady(worker, 'openKeyValueStore');
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  worker.unref();
  return {
    client: storeClient({ port: channels[0].port1, memory: memories[0]! }),
    mailbox: { port: channels[1].port1, memory: memories[1]! },
    async close() {
      channels[0].port1.close();
      await worker.terminate();
    },
  };
}

/** The message that a worker sends when it can be used. @throws Error with the worker's reason */
export function workerReady<T>(worker: Worker, caller: string): Promise<T> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: T & { failed?: string }) => {
      if (message.failed !== undefined) reject(new Error(`${caller}: ${message.failed}`));
      else resolve(message);
    });
  });
}
