/**
 * The key-value store through which the processes of a job find each other and learn that one of them has failed: process
 * 0 serves it over TCP, and all processes, process 0 included, are its clients.
 *
 * A client is synchronous, since PJRT's callbacks must answer before they return, and Node has no blocking sockets: the
 * sockets live in a Worker, and the caller sleeps on shared memory until it answers. A process that knows the job's secret
 * is let in. Nothing is encrypted: like every rendezvous of this kind, it belongs on a private network.
 */
import { hostname } from 'node:os';
import { MessageChannel, type Worker } from 'node:worker_threads';
import { type JobAddress, type ProcessStore, type Progress, startWorker } from '@tb/runtime';
import { askStore, type Mailbox, mailboxMemory, type StoreRequest, StoreState } from './store-mailbox.js';
import type { StoreCommand, StoreEvent, StoreWorkerData } from './store-worker.js';

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
function storeClient(mailbox: Mailbox, onFailure: (reason: string) => void): KeyValueStore {
  function ask(request: StoreRequest): Uint8Array | undefined {
    const { state, value } = askStore(mailbox, request);
    if (state === StoreState.value) return value;
    if (state === StoreState.absent) return undefined;
    const code = state === StoreState.deadline ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
    const reason = state === StoreState.lost ? new TextDecoder().decode(value) : '';
    if (reason !== '') onFailure(reason);
    throw new KeyValueError(code, reason || `${request.operation} ${request.key}`);
  }

  return {
    put: (key, value) => void ask({ operation: 'put', key, value: Buffer.from(value).toString('base64') }),
    get: (key, { timeoutMs }) => ask({ operation: 'get', key, timeout: timeoutMs })!,
    tryGet: (key) => ask({ operation: 'tryGet', key }),
  };
}

export type OpenStore = {
  /** For this thread. */
  readonly client: KeyValueStore;
  /** For another thread. */
  readonly mailbox: Mailbox;
  /** Reports progress; see `JoinedProcesses`. */
  report(progress: Progress): void;
  /** Ends the job of all processes. */
  fail(reason: string): void;
  /** Leaves the job. Process 0 serves until the others have left, up to a minute. */
  close(): Promise<void>;
};

/**
 * Serves the store if this is process 0, and connects to it.
 * @throws Error when the port is taken, the server cannot be reached in time, or it refuses this process
 */
export async function openKeyValueStore(options: JobAddress): Promise<OpenStore> {
  const channels = [new MessageChannel(), new MessageChannel()] as const;
  const memories = channels.map(mailboxMemory);
  const mailboxes = channels.map(({ port2 }, index) => ({ port: port2, memory: memories[index]! }));
  const transferList = channels.map(({ port2 }) => port2);
  const workerData = { ...workerDataOf(options), mailboxes };
  const worker = startWorker(new URL('./store-worker.js', import.meta.url), { workerData, transferList });
  try {
    await workerReady(worker, 'openKeyValueStore');
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  worker.unref();
  const send = (command: StoreCommand) => worker.postMessage(command);
  const heard = <Name extends string>(name: Name, then: (event: StoreEvent) => void) =>
    worker.on('message', (event: StoreEvent) => name in event && then(event));
  let hasFailed = false;
  const onFailure = (reason: string) => {
    if (hasFailed) return;
    hasFailed = true;
    options.onFailure?.(reason);
  };
  heard('ended', (event) => onFailure((event as { ended: string }).ended));
  return {
    client: storeClient({ port: channels[0].port1, memory: memories[0]! }, onFailure),
    mailbox: { port: channels[1].port1, memory: memories[1]! },
    report: (report) => send({ report }),
    fail: (reason) => send({ fail: reason }),
    async close() {
      worker.ref();
      const left = new Promise<void>((resolve) => {
        heard('left', () => resolve());
        worker.once('exit', () => resolve());
      });
      send({ leave: true });
      await left;
      channels[0].port1.close();
      await worker.terminate();
    },
  };
}

function workerDataOf(options: JobAddress): Omit<StoreWorkerData, 'mailboxes'> {
  const { host, port, index, count, job, heartbeat, connectTimeoutMilliseconds = 300_000 } = options;
  return {
    host,
    port,
    identity: { job: job?.name ?? '', incarnation: job?.incarnation ?? 0, count },
    secret: job?.secret ?? '',
    index,
    hostName: hostname(),
    connectTimeoutMilliseconds,
    beatMs: heartbeat?.everyMs ?? 2000,
    lostMs: heartbeat?.lostMs ?? 25_000,
    endsProcess: options.onFailure !== undefined,
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
