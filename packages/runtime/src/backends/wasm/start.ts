import { registerRandomKernels } from '../../random/random-kernels.js';
import { registerTrainingKernels } from './register.js';

let description: string | undefined;

/**
 * Starts the WebAssembly backend once, on several threads in Node.
 *
 * @param threads - how many compute; by default `TB_WASM_THREADS`, or one per core up to 16. Results do not depend on it
 * @returns one line on what runs
 */
export async function startWasm(threads?: number): Promise<string> {
  description ??= await start(threads);
  return description;
}

async function start(threads?: number): Promise<string> {
  await import('@tensorflow/tfjs-backend-wasm');
  registerTrainingKernels();
  registerRandomKernels('wasm');
  const isNode = typeof process !== 'undefined' && process.versions?.node !== undefined;
  if (!isNode) return 'WebAssembly';
  const { startThreaded } = await import('./threads.js');
  return startThreaded(threads);
}
