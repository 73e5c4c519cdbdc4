import * as tf from '@tensorflow/tfjs-core';
import { replaceKernel } from '../composed-kernel.js';
import type { WasmBackend } from './wasm-backend.js';

/**
 * Replaces the WASM backend's Sum over leading axes, the gradient of every bias: its own transposes the whole tensor
 * first. Sums in float64, for there may be many rows.
 */
export function registerLeadingSum(): void {
  const original = tf.getKernel('Sum', 'wasm').kernelFunc;
  replaceKernel('wasm', 'Sum', (call) => {
    const sum = leadingSumOf(call);
    if (!sum) return original(call);
    const backend = call.backend as WasmBackend;
    const out = backend.makeOutput(sum.outShape, 'float32');
    sumRows(backend.typedArrayFromHeap(sum.x), backend.typedArrayFromHeap(out));
    return out;
  });
}

/** What a call of Sum adds up, if that is the rows of a float32 matrix; `columns` are what is kept. */
export function leadingSumOf(call: Parameters<tf.KernelFunc>[0]) {
  const x = call.inputs.x as tf.TensorInfo;
  const { axis, keepDims } = call.attrs as unknown as { axis: number | number[]; keepDims: boolean };
  const axes = tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
  const isLeading = axes.length > 0 && axes.length < x.shape.length && axes.every((value, index) => value === index);
  if (!isLeading || x.dtype !== 'float32') return undefined;
  const kept = x.shape.slice(axes.length);
  const outShape = keepDims ? [...axes.map(() => 1), ...kept] : kept;
  return { x, outShape, columns: tf.util.sizeFromShape(kept) };
}

function sumRows(rows: ArrayLike<number>, sums: Float32Array | Int32Array | Uint8Array): void {
  const totals = new Float64Array(sums.length);
  for (let start = 0; start < rows.length; start += totals.length) {
    for (let i = 0; i < totals.length; i++) totals[i] += rows[start + i];
  }
  sums.set(totals);
}
