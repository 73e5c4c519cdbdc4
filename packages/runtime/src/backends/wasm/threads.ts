import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { replaceKernel } from '../composed-kernel.js';
import { registerBlockCopies } from './block-copies.js';
import { shareWasmMemory } from './shared-memory.js';
import { startThreads, type ThreadPool } from './thread-pool.js';
import { convolution, filterGradient } from './threaded-convolution.js';
import { copyRowsOn, dropoutMask, leadingSum } from './threaded-data.js';
import { batchMatMul } from './threaded-product.js';
import type { WasmBackend } from './wasm-backend.js';

const MOST_THREADS = 16;

/**
 * Starts the WebAssembly backend with threads, and registers the kernels that use them. Where memory cannot be shared,
 * the backend runs as TensorFlow.js made it.
 *
 * @param threads - how many compute, the calling one included
 * @returns one line on what runs
 * @throws Error for a number of threads that is not a whole number from 1 on
 */
export async function startThreaded(threads = threadsOfMachine()): Promise<string> {
  if (!Number.isInteger(threads) || threads < 1) {
    throw new Error(`useBackend: threads must be a whole number from 1 on, got ${threads}`);
  }
  try {
    await shareWasmMemory();
  } catch (error) {
    return `WebAssembly on one thread: ${error instanceof Error ? error.message : error}`;
  }
  await tf.setBackend('wasm');
  registerThreadedKernels(startThreads(tf.backend() as unknown as WasmBackend, threads));
  return threads === 1 ? 'WebAssembly on one thread' : `WebAssembly on ${threads} threads`;
}

function threadsOfMachine(): number {
  const { TB_WASM_THREADS } = process.env;
  return TB_WASM_THREADS ? Number(TB_WASM_THREADS) : Math.min(availableParallelism(), MOST_THREADS);
}

function registerThreadedKernels(pool: ThreadPool): void {
  registerBlockCopies(copyRowsOn(pool));
  const replace = (name: string, kernel: (pool: ThreadPool, original: tf.KernelFunc) => tf.KernelFunc) => {
    replaceKernel('wasm', name, kernel(pool, tf.getKernel(name, 'wasm').kernelFunc));
  };
  replace('BatchMatMul', batchMatMul);
  replace('Conv2D', convolution);
  replace('Conv2DBackpropFilter', filterGradient);
  replace('Sum', leadingSum);
  replace('DropoutMask', dropoutMask);
}
