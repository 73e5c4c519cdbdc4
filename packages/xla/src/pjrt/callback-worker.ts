/** The thread that answers PJRT's key-value callbacks (a worker entry). It may block: nothing else runs on it. */
import { parentPort, workerData } from 'node:worker_threads';
import { STATUS_CODES, type StatusCode } from './errors.js';
import { koffi } from './koffi.js';
import { readBytes, readText, viewMemory } from './memory.js';
import { askStore, type Mailbox, type StoreRequest, StoreState } from './store-mailbox.js';
import { readFields, type Struct, Structs } from './structs.js';

export type CallbackWorkerData = { mailbox: Mailbox };

const { mailbox } = workerData as CallbackWorkerData;

const functionType = koffi.proto('uint64_t', ['uint64_t']);
const errorType = koffi.proto('uint64_t', ['int', 'uint64_t', 'uint64_t']);
// The value belongs to PJRT until it calls the deleter: memory of C's own, and C's own free().
const libc = koffi.load(null);
const malloc = libc.func('malloc', 'uint64_t', ['uint64_t']);
const free = libc.symbol('free') as bigint;

parentPort!.postMessage({
  kv_get_callback: registerCallback(Structs.KeyValueGet, (view) => {
    const { key, key_size, timeout_in_ms } = readFields(view, Structs.KeyValueGet);
    return { operation: 'get', key: readText(key, Number(key_size)), timeout: timeout_in_ms };
  }),
  kv_try_get_callback: registerCallback(Structs.KeyValueTryGet, (view) => {
    const { key, key_size } = readFields(view, Structs.KeyValueTryGet);
    return { operation: 'tryGet', key: readText(key, Number(key_size)) };
  }),
  kv_put_callback: registerCallback(Structs.KeyValuePut, (view) => {
    const { key, key_size, value, value_size } = readFields(view, Structs.KeyValuePut);
    const text = Buffer.from(readBytes(value, Number(value_size))).toString('base64');
    return { operation: 'put', key: readText(key, Number(key_size)), value: text };
  }),
});
setInterval(() => undefined, 1 << 30); // the callbacks alone would not keep this thread alive

/** Makes a C function that sends the request of its struct to the store. Returns the function's address. */
function registerCallback(layout: Struct, requestOf: (view: DataView) => StoreRequest): bigint {
  const answer = (address: bigint | number): bigint => {
    const view = viewMemory(BigInt(address), layout.size);
    try {
      const request = requestOf(view);
      const { state, value } = askStore(mailbox, request);
      if (state === StoreState.deadline)
        return fail(view, layout, 'DEADLINE_EXCEEDED', `${request.key} did not come in time`);
      if (state === StoreState.lost) return fail(view, layout, 'UNAVAILABLE', 'the key-value store is lost');
      if (request.operation === 'put') return 0n;
      if (state === StoreState.absent) return fail(view, layout, 'NOT_FOUND', `${request.key} is not in the store`);
      writeValue(view, layout, value);
      return 0n;
    } catch (error) {
      return fail(view, layout, 'INTERNAL', (error as Error).message);
    }
  };
  return koffi.register(answer, koffi.pointer(functionType));
}

function writeValue(view: DataView, { offsets }: Struct, value: Uint8Array): void {
  const address = BigInt(malloc(Math.max(value.length, 1)));
  if (value.length > 0) new Uint8Array(koffi.view(address, value.length)).set(value);
  view.setBigUint64(offsets.value!, address, true);
  view.setBigUint64(offsets.value_size!, BigInt(value.length), true);
  view.setBigUint64(offsets.value_deleter_callback!, free, true);
}

/** Makes a PJRT error by the function that came with the struct. Returns its address. */
function fail(view: DataView, { offsets }: Struct, code: StatusCode, message: string): bigint {
  const text = new TextEncoder().encode(message);
  const makeError = view.getBigUint64(offsets.callback_error!, true);
  return BigInt(koffi.call(makeError, errorType, STATUS_CODES.indexOf(code), koffi.address(text), text.length));
}
