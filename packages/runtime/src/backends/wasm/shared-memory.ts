import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

const MEMORY_SECTION = 5;
const SHARED = 2;

/**
 * Makes TensorFlow.js start its WebAssembly backend in memory that threads can share.
 *
 * The package's own build with threads is turned off in Node and starts eight workers whatever the machine. Its build
 * without threads differs in one bit that matters here: whether its memory is shared. This function sets that bit.
 *
 * @throws Error with the reason where memory cannot be shared
 */
export async function shareWasmMemory(): Promise<void> {
  if (typeof SharedArrayBuffer === 'undefined') throw new Error('this runtime has no shared memory');
  if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'))) throw new Error('this processor has no WebAssembly SIMD');
  const file = 'tfjs-backend-wasm-simd.wasm';
  const path = createRequire(import.meta.url).resolve(`@tensorflow/tfjs-backend-wasm/dist/${file}`);
  const code = withSharedMemory(readFileSync(path));
  const url = `data:application/wasm;base64,${code.toString('base64')}`;
  const names = ['tfjs-backend-wasm.wasm', file, 'tfjs-backend-wasm-threaded-simd.wasm'] as const;
  setWasmPaths(Object.fromEntries(names.map((name) => [name, url])), true);
}

/**
 * The same WebAssembly module with its memory declared as shared.
 *
 * @throws Error for a module without a memory of bounded size, which cannot be shared
 */
export function withSharedMemory(code: Uint8Array): Buffer {
  const shared = Buffer.from(code);
  let at = 8; // behind the magic number and the version
  const readNumber = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = shared[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < shared.length) {
    const section = shared[at++];
    const end = readNumber() + at;
    if (section === MEMORY_SECTION) {
      readNumber(); // how many memories: one
      if ((shared[at] & 1) === 0) break;
      shared[at] |= SHARED;
      return shared;
    }
    at = end;
  }
  throw new Error('the WebAssembly module has no memory of bounded size');
}
