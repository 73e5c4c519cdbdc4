import { Worker } from 'node:worker_threads';
import { threadedKernels } from './threaded-kernels.wasm.js';
import type { WasmBackend } from './wasm-backend.js';

/** The jobs of threaded-kernels.c, by their numbers there. */
export const jobs = { pack: 0, multiply: 1, sum: 2, copy: 3, dropout: 4 } as const;

/** Threads that run jobs of threaded-kernels.c in the memory of the WebAssembly backend. */
export type ThreadPool = {
  threads: number;
  /** The largest right matrix, in floats, that each thread can pack for itself. */
  packedFloats: number;
  /**
   * Runs a job to its end.
   *
   * @param items - parts that threads take one after another, fewer than 2^20
   * @param values - what the kernel expects in `arguments`: pointers and sizes
   */
  run(job: number, items: number, values: readonly number[]): void;
  /** Memory of at least so many floats, valid until the next call. */
  buffer(floats: number): number;
};

const STACK_BYTES = 2 ** 16;
const ROWS_FLOATS = 6 * 256; // packed rows of the left matrix
const PACKED_FLOATS = 2 ** 16;
const SCRATCH_BYTES = 4 * (ROWS_FLOATS + PACKED_FLOATS);
const CONTROL_BYTES = 4096;

/** A worker sleeps inside WebAssembly between jobs, so it cannot receive messages; it ends with the process. */
const workerCode = `
const { workerData } = require('node:worker_threads');
const { module, memory, stack, control, scratch } = workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
exports.__stack_pointer.value = stack;
exports.work(control, scratch);
`;

type Exports = {
  __stack_pointer: WebAssembly.Global;
  run(control: number, job: number, items: number, scratch: number): void;
  nextSlot(control: number): number;
};

/**
 * Starts the threads. They join the work as soon as they are ready; until then the calling thread does it alone.
 *
 * @param threads - how many compute, the calling one included
 * @throws Error where the backend's memory is not shared
 */
export function startThreads(backend: WasmBackend, threads: number): ThreadPool {
  const { asm, _malloc: allocate, _free: free } = backend.wasm;
  const memory = Object.values(asm).find((value) => value instanceof WebAssembly.Memory);
  if (!memory || !(memory.buffer instanceof SharedArrayBuffer)) throw new Error('the memory is not shared');
  const module = new WebAssembly.Module(Buffer.from(threadedKernels, 'base64'));
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;

  const place = () => {
    const bytes = aligned(allocate(STACK_BYTES + SCRATCH_BYTES + 16));
    return { stack: bytes + STACK_BYTES, scratch: bytes + STACK_BYTES };
  };
  const control = aligned(allocate(CONTROL_BYTES + 16));
  new Uint8Array(memory.buffer).fill(0, control, control + CONTROL_BYTES);
  const own = place();
  exports.__stack_pointer.value = own.stack;
  for (let i = 1; i < threads; i++) {
    const workerData = { module, memory, control, ...place() };
    new Worker(workerCode, { eval: true, workerData, execArgv: [] }).unref();
  }

  let words = new Int32Array(memory.buffer);
  let shared = { pointer: 0, floats: 0 };
  return {
    threads,
    packedFloats: PACKED_FLOATS,
    run(job, items, values) {
      if (words.buffer.byteLength !== memory.buffer.byteLength) words = new Int32Array(memory.buffer);
      words.set(values, (exports.nextSlot(control) >>> 0) / 4);
      exports.run(control, job, items, own.scratch);
    },
    buffer(floats) {
      if (shared.floats < floats) {
        if (shared.pointer) free(shared.pointer);
        shared = { pointer: allocate(4 * floats) >>> 0, floats };
        if (!shared.pointer) throw new Error('the memory of WebAssembly is exhausted');
      }
      return shared.pointer;
    },
  };
}

/** WebAssembly gives pointers as signed numbers. */
function aligned(pointer: number): number {
  return Math.ceil((pointer >>> 0) / 16) * 16;
}
