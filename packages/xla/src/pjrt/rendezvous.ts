/**
 * How the processes of a job become one machine: PJRT's key-value callbacks, answered from a store that process 0
 * serves (`key-value-store.ts`).
 *
 * PJRT calls these functions from threads of its own, also while the main thread waits inside PJRT. So they belong to a
 * Worker that does nothing else: koffi hands a call from a foreign thread to the event loop of the thread that
 * registered the function.
 */
import type { MessagePort } from 'node:worker_threads';
import {
  type KeyValueStore,
  type Mailbox,
  openKeyValueStore,
  type StoreAddress,
  startFunctionWorker,
  storeClient,
  workerReady,
} from './key-value-store.js';
import { Structs } from './structs.js';

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

export type Rendezvous = {
  readonly rank: number;
  readonly size: number;
  readonly callbacks: KeyValueCallbacks;
  /** The store itself, for what a program has to agree upon besides. */
  readonly store: KeyValueStore;
  /** Ends the store's threads. Process 0 closes last: it serves the others. */
  close(): Promise<void>;
};

type Offsets = Record<string, number>;
type CallbackData = { mailbox: Mailbox; client: string; get: Offsets; tryGet: Offsets; put: Offsets };

/** The callback Worker's whole program. Like the store's it runs from its own text, with `storeClient`'s handed in. */
/* v8 ignore start */
function runCallbackWorker(require: NodeJS.Require): void {
  const koffi = require('koffi') as typeof import('koffi').default;
  const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads');
  const { mailbox, client, get, tryGet, put } = workerData as CallbackData;
  class KeyValueError extends Error {
    constructor(
      readonly code: string,
      message: string,
    ) {
      super(message);
    }
  }
  const makeClient = new Function(
    'KeyValueError',
    'STATES',
    'HEADER_BYTES',
    'Buffer',
    `const __name = (value) => value; return (${client});`,
  )(KeyValueError, { waiting: 0, value: 1, absent: 2, deadline: 3, lost: 4 }, 8, Buffer) as typeof storeClient;
  const store = makeClient(mailbox);

  const functionType = koffi.proto('uint64_t', ['uint64_t']);
  const errorType = koffi.proto('uint64_t', ['int', 'uint64_t', 'uint64_t']);
  // The value belongs to PJRT until it calls the deleter: memory of C's own, and C's own free().
  const libc = koffi.load(null);
  const malloc = libc.func('malloc', 'uint64_t', ['uint64_t']);
  const free = libc.symbol('free') as bigint;

  const view = (address: bigint | number, size: number) =>
    new DataView(size === 0 ? new ArrayBuffer(0) : koffi.view(BigInt(address), size));
  const bytesAt = (struct: DataView, pointer: number, length: number) => {
    const at = view(struct.getBigUint64(pointer, true), Number(struct.getBigUint64(length, true)));
    return new Uint8Array(at.buffer, at.byteOffset, at.byteLength).slice();
  };
  const keyOf = (struct: DataView, offsets: Offsets) =>
    new TextDecoder().decode(bytesAt(struct, offsets.key!, offsets.key_size!));

  function writeValue(struct: DataView, offsets: Offsets, value: Uint8Array): void {
    const address = BigInt(malloc(Math.max(value.length, 1)));
    if (value.length > 0) new Uint8Array(koffi.view(address, value.length)).set(value);
    struct.setBigUint64(offsets.value!, address, true);
    struct.setBigUint64(offsets.value_size!, BigInt(value.length), true);
    struct.setBigUint64(offsets.value_deleter_callback!, free, true);
  }

  function fail(struct: DataView, offsets: Offsets, code: number, message: string): bigint {
    const text = Buffer.from(new Uint8Array(new TextEncoder().encode(message)));
    const makeError = struct.getBigUint64(offsets.callback_error!, true);
    return BigInt(koffi.call(makeError, errorType, code, koffi.address(text), text.length));
  }

  function register(
    offsets: Offsets,
    size: number,
    body: (struct: DataView) => [code: number, message: string] | undefined,
  ) {
    const answer = (argument: bigint | number): bigint => {
      const struct = view(argument, size);
      try {
        const failure = body(struct);
        return failure ? fail(struct, offsets, ...failure) : 0n;
      } catch (error) {
        const code = (error as KeyValueError).code === 'DEADLINE_EXCEEDED' ? 4 : 14; // else UNAVAILABLE
        return fail(struct, offsets, code, (error as Error).message);
      }
    };
    return koffi.register(answer, koffi.pointer(functionType));
  }

  const kv_get_callback = register(get, 80, (struct) => {
    const timeout = struct.getInt32(get.timeout_in_ms!, true);
    writeValue(struct, get, store.get(keyOf(struct, get), timeout));
    return undefined;
  });
  const kv_try_get_callback = register(tryGet, 72, (struct) => {
    const key = keyOf(struct, tryGet);
    const value = store.tryGet(key);
    if (value === undefined) return [5, `${key} is not in the store`]; // NOT_FOUND
    writeValue(struct, tryGet, value);
    return undefined;
  });
  const kv_put_callback = register(put, 64, (struct) => {
    store.put(keyOf(struct, put), bytesAt(struct, put.value!, put.value_size!));
    return undefined;
  });
  setInterval(() => undefined, 1 << 30); // the callbacks alone would not keep this thread alive
  parentPort!.postMessage({ kv_get_callback, kv_try_get_callback, kv_put_callback });
}
/* v8 ignore stop */

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
  const data: CallbackData = {
    mailbox: store.mailbox,
    client: storeClient.toString(),
    get: Structs.KeyValueGet.offsets,
    tryGet: Structs.KeyValueTryGet.offsets,
    put: Structs.KeyValuePut.offsets,
  };
  const transfer: MessagePort[] = [store.mailbox.port];
  const worker = startFunctionWorker(runCallbackWorker, data, transfer);
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
