import * as tf from '@tensorflow/tfjs-core';
import type { CopyRows } from './block-copies.js';
import { leadingSumOf } from './leading-sum.js';
import { jobs, type ThreadPool } from './thread-pool.js';
import { pointerOf, type WasmBackend } from './wasm-backend.js';

// Kernels on all threads that move data, sum it, or draw random masks, see threaded-kernels.c.

/** Less work than this, in bytes, is done before another thread has woken up. */
const SMALL = 2 ** 16;

/** The kernel Sum over leading axes, in float64; other sums are left to `original`. */
export function leadingSum(pool: ThreadPool, original: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const sum = leadingSumOf(call);
    const size = tf.util.sizeFromShape(call.inputs.x?.shape ?? []);
    if (!sum || size === 0) return original(call);
    const { x, outShape, columns } = sum;
    const backend = call.backend as WasmBackend;
    const out = backend.makeOutput(outShape, 'float32');
    const columnsOfItem = Math.min(512, 4 * size < SMALL ? 512 : 16 * Math.ceil(columns / (32 * pool.threads)));
    const items = Math.ceil(columns / columnsOfItem);
    pool.run(jobs.sum, items, [pointerOf(backend, x), pointerOf(backend, out), size / columns, columns, columnsOfItem]);
    return out;
  };
}

/** Copies rows, as `copyRowsHere` does, on all threads. */
export function copyRowsOn(pool: ThreadPool): CopyRows {
  return (_backend, rowBytes, sizes, from, to) => {
    const rows = tf.util.sizeFromShape([...sizes]);
    if (rows * rowBytes === 0) return;
    const parts = rows * rowBytes < SMALL ? 1 : Math.min(rows, 4 * pool.threads);
    const rowsOfItem = Math.ceil(rows / parts);
    const places = [...sizes, ...from.steps, ...to.steps];
    const values = [from.start, to.start, rowBytes, rowsOfItem, rows, sizes.length, ...places];
    pool.run(jobs.copy, Math.ceil(rows / rowsOfItem), values);
  };
}

/** The kernel DropoutMask of one key; several keys are left to `original`. Gives the same elements. */
export function dropoutMask(pool: ThreadPool, original: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    const backend = call.backend as WasmBackend;
    const key = call.inputs.key as tf.TensorInfo;
    const { shape, keepProbability } = call.attrs as unknown as { shape: number[]; keepProbability: number };
    const elements = tf.util.sizeFromShape(shape);
    if (key.shape.length !== 1 || elements === 0) return original(call);
    const [key0, key1] = backend.typedArrayFromHeap(key);
    const out = backend.makeOutput(shape, 'float32');
    const blocks = Math.ceil(elements / 4);
    const blocksOfItem = 4 * Math.ceil(blocks / (4 * Math.min(Math.ceil(blocks / 1024), 8 * pool.threads)));
    const threshold = Math.round(keepProbability * 0x10000);
    const kept = new Int32Array(Float32Array.of(1 / keepProbability).buffer)[0];
    const values = [pointerOf(backend, out), elements, blocksOfItem, key0, key1, threshold, kept];
    pool.run(jobs.dropout, Math.ceil(blocks / blocksOfItem), values);
    return out;
  };
}
