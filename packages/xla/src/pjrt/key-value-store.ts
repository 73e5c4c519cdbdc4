/**
 * The key-value store through which the processes of a job find each other: process 0 serves it over TCP, and all
 * processes, process 0 included, are its clients.
 *
 * A client is synchronous, since PJRT's callbacks must answer before they return, and Node has no blocking sockets: the
 * sockets live in a Worker, and the caller sleeps on shared memory until it answers. The store has no password; like
 * every rendezvous of this kind it belongs on a private network.
 */
import { MessageChannel } from 'node:worker_threads';
import { startFunctionWorker, workerReady } from './function-worker.js';
import {
  askStore,
  MAILBOX_BYTES,
  type Mailbox,
  runStoreWorker,
  STORE_STATES,
  type StoreRequest,
  type StoreWorkerData,
} from './store-worker.js';

export type StoreAddress = {
  /** Where process 0 can be reached. */
  host: string;
  port: number;
};

export type KeyValueStore = {
  put(key: string, value: Uint8Array): void;
  /** Waits until some process has put the key. @throws KeyValueError DEADLINE_EXCEEDED */
  get(key: string, timeoutMilliseconds: number): Uint8Array;
  /** Undefined when nobody has put the key yet. */
  tryGet(key: string): Uint8Array | undefined;
};

export class KeyValueError extends Error {
  override readonly name = 'KeyValueError';
  readonly code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE';

  constructor(code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE', message: string) {
    super(`key-value store: ${code}: ${message}`);
    this.code = code;
  }
}

/** A client whose requests go through `mailbox`; one thread may use it. */
export function storeClient(mailbox: Mailbox): KeyValueStore {
  function ask(request: StoreRequest): Uint8Array | undefined {
    const { state, value } = askStore(mailbox, request);
    if (state === STORE_STATES.value) return value;
    if (state === STORE_STATES.absent) return undefined;
    const code = state === STORE_STATES.deadline ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
    throw new KeyValueError(code, `${request.operation} ${request.key}`);
  }

  return {
    put: (key, value) => void ask({ operation: 'put', key, value: Buffer.from(value).toString('base64') }),
    get: (key, timeout) => ask({ operation: 'get', key, timeout })!,
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
  const memories = channels.map(() => new SharedArrayBuffer(MAILBOX_BYTES));
  const data: StoreWorkerData = {
    connectTimeoutMilliseconds: 300_000,
    ...options,
    mailboxes: channels.map(({ port2 }, index) => ({ port: port2, memory: memories[index]! })),
    states: STORE_STATES,
  };
  const worker = startFunctionWorker(
    runStoreWorker,
    data,
    channels.map(({ port2 }) => port2),
  );
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
