/**
 * A plugin's profiler: an extension of the PJRT C API with a separate function table and error objects
 * (`pjrt_c_api_profiler_extension.h` and `profiler_c_api.h` of OpenXLA, version 1).
 */

import { PjrtError, STATUS_CODES } from './errors.js';
import { type KoffiFunc, koffi } from './koffi.js';
import { type Address, allocate, type Block, blockOf, readBytes, readText, viewMemory } from './memory.js';

/** Records what the host and the devices do between `start` and `finish`. */
export type Profiler = {
  /** @throws PjrtError with the plugin's reason, such as another profiler that runs already */
  start(): void;
  /** Ends the recording: an `XSpace` protocol buffer of OpenXLA's xplane.proto. @throws PjrtError */
  finish(): Uint8Array;
  /** Forgets the recording. */
  dispose(): void;
};

/** Entries of `PLUGIN_Profiler_Api`, each the address of a function from an address to an address. */
const FUNCTIONS_OFFSET = 16;
const FUNCTIONS = [
  'error_destroy',
  'error_message',
  'error_get_code',
  'create',
  'destroy',
  'start',
  'stop',
  'collect_data',
] as const;
type FunctionName = (typeof FUNCTIONS)[number];

/** Of the error functions' structs, behind struct_size and priv. */
const ERROR = { error: 16, messageOrCode: 24, messageSize: 32, size: 40 };
/** Of the others, behind struct_size alone. */
const CREATE = { options: 8, optionsSize: 16, profiler: 24, size: 32 };
const HANDLE = { profiler: 8, size: 16 };
const COLLECT = { profiler: 8, buffer: 16, bufferSize: 24, size: 32 };

const PROFILER_EXTENSION = 1;

/** `tensorflow.ProfileOptions`: host_tracer_level (2) 1, device_tracer_level (3) 1, version (5) 1, enable_hlo_proto (7). */
const OPTIONS = Uint8Array.of(0x10, 1, 0x18, 1, 0x28, 1, 0x38, 1);

const functionType = koffi.proto('uint64_t', ['uint64_t']);

/**
 * The extension in the chain behind a PJRT function table.
 *
 * @param table - the address of the plugin's `PJRT_Api`
 */
function findExtension(table: Address): Address {
  let extension = viewMemory(table, 16).getBigUint64(8, true);
  while (extension !== 0n) {
    const base = viewMemory(extension, 24);
    if (base.getInt32(8, true) === PROFILER_EXTENSION) return viewMemory(extension, 32).getBigUint64(24, true);
    extension = base.getBigUint64(16, true);
  }
  throw new PjrtError('PJRT_Profiler_Extension', 'UNIMPLEMENTED', 'the plugin has no profiler');
}

function structOf(size: number, fields: Readonly<Record<number, bigint | number>>): Block {
  const block = allocate(size);
  block.view.setBigUint64(0, BigInt(size), true);
  for (const [offset, value] of Object.entries(fields)) block.view.setBigUint64(Number(offset), BigInt(value), true);
  return block;
}

/** Calls of the profiler's functions by name; their errors as exceptions. */
function callerOf(table: DataView): (name: FunctionName, block: Block) => void {
  const find = (name: FunctionName) => {
    const address = table.getBigUint64(FUNCTIONS_OFFSET + 8 * FUNCTIONS.indexOf(name), true);
    return koffi.decode(address, functionType) as KoffiFunc<(struct: Address) => number | bigint>;
  };
  const readError = (name: FunctionName, error: bigint) => {
    const block = structOf(ERROR.size, { [ERROR.error]: error });
    find(name)(block.address);
    return block.view;
  };
  return (name, block) => {
    const error = BigInt(find(name)(block.address));
    if (error === 0n) return;
    const text = readError('error_message', error);
    const size = Number(text.getBigUint64(ERROR.messageSize, true));
    const message = readText(text.getBigUint64(ERROR.messageOrCode, true), size);
    const code = readError('error_get_code', error).getInt32(ERROR.messageOrCode, true);
    readError('error_destroy', error);
    throw new PjrtError(`PLUGIN_Profiler_${name}`, STATUS_CODES[code] ?? 'UNKNOWN', message);
  };
}

/**
 * The recording without the zero that XLA's plugin puts behind it, which readers take for damage. The message consists of
 * fields that state their lengths (planes, errors, warnings, host names), and no field begins with a zero.
 */
function wholeMessage(bytes: Uint8Array): Uint8Array {
  let end = 0;
  while (end < bytes.length && bytes[end] !== 0) {
    let length = 0;
    let place = end;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[++place] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    end = place + 1 + length;
  }
  return bytes.subarray(0, end);
}

/**
 * @param table - the address of the plugin's `PJRT_Api`
 * @throws PjrtError where the plugin has no profiler, or cannot make one
 */
export function createProfiler(table: Address): Profiler {
  const api = findExtension(table);
  const call = callerOf(viewMemory(api, FUNCTIONS_OFFSET + 8 * FUNCTIONS.length));
  const options = blockOf(OPTIONS);
  const created = structOf(CREATE.size, { [CREATE.options]: options.address, [CREATE.optionsSize]: options.length });
  call('create', created);
  const profiler = created.view.getBigUint64(CREATE.profiler, true);
  const run = (name: 'start' | 'stop' | 'destroy') =>
    call(name, structOf(HANDLE.size, { [HANDLE.profiler]: profiler }));
  return {
    start: () => run('start'),
    finish() {
      run('stop');
      // The header describes two calls, the second into memory of ours. XLA's plugin gives its own with the first.
      const collected = structOf(COLLECT.size, { [COLLECT.profiler]: profiler });
      call('collect_data', collected);
      const size = Number(collected.view.getBigUint64(COLLECT.bufferSize, true));
      return wholeMessage(readBytes(collected.view.getBigUint64(COLLECT.buffer, true), size));
    },
    dispose: () => run('destroy'),
  };
}
