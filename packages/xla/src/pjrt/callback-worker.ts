/**
 * The thread that answers PJRT's key-value callbacks. It may block: nothing else runs on it. Its one function runs from
 * its source text in that thread, so it uses nothing but its arguments.
 */
import type { askStore, Mailbox, STORE_STATES, StoreRequest } from './store-worker.js';

type Offsets = Record<string, number>;

export type CallbackWorkerData = {
  mailbox: Mailbox;
  /** The text of `askStore`. */
  ask: string;
  states: typeof STORE_STATES;
  /** Layouts of the three structs that PJRT hands over. */
  get: Offsets;
  tryGet: Offsets;
  put: Offsets;
};

/** The Worker's whole program; see `startFunctionWorker`. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: the program of a thread is one function, to run from its text
export function runCallbackWorker(require: NodeJS.Require): void {
  const koffi = require('koffi') as typeof import('koffi').default;
  const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads');
  const { mailbox, ask: askText, states, get, tryGet, put } = workerData as CallbackWorkerData;
  // `askStore` comes as text, as this function itself does.
  const ask = new Function(`const __name = (value) => value; return (${askText});`)() as typeof askStore;

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
    const text = new TextEncoder().encode(message);
    const makeError = struct.getBigUint64(offsets.callback_error!, true);
    return BigInt(koffi.call(makeError, errorType, code, koffi.address(text), text.length));
  }

  /** Sends the struct's request to the store; the numbers are PJRT's status codes. */
  function register(offsets: Offsets, size: number, requestOf: (struct: DataView) => StoreRequest) {
    const answer = (argument: bigint | number): bigint => {
      const struct = view(argument, size);
      try {
        const request = requestOf(struct);
        const { state, value } = ask(mailbox, request);
        if (state === states.deadline) return fail(struct, offsets, 4, `${request.key} did not come in time`);
        if (state === states.lost) return fail(struct, offsets, 14, 'the key-value store is lost');
        if (request.operation === 'put') return 0n;
        if (state === states.absent) return fail(struct, offsets, 5, `${request.key} is not in the store`);
        writeValue(struct, offsets, value);
        return 0n;
      } catch (error) {
        return fail(struct, offsets, 13, (error as Error).message);
      }
    };
    return koffi.register(answer, koffi.pointer(functionType));
  }

  const kv_get_callback = register(get, 80, (struct) => {
    return { operation: 'get', key: keyOf(struct, get), timeout: struct.getInt32(get.timeout_in_ms!, true) };
  });
  const kv_try_get_callback = register(tryGet, 72, (struct) => ({ operation: 'tryGet', key: keyOf(struct, tryGet) }));
  const kv_put_callback = register(put, 64, (struct) => {
    const value = Buffer.from(bytesAt(struct, put.value!, put.value_size!)).toString('base64');
    return { operation: 'put', key: keyOf(struct, put), value };
  });
  setInterval(() => undefined, 1 << 30); // the callbacks alone would not keep this thread alive
  parentPort!.postMessage({ kv_get_callback, kv_try_get_callback, kv_put_callback });
}
