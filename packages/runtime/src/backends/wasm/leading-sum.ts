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
    const x = call.inputs.x as tf.TensorInfo;
    const { axis, keepDims } = call.attrs as unknown as { axis: number | number[]; keepDims: boolean };
    const axes = tf.util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
    const isLeading = axes.length < x.shape.length && axes.every((each, index) => each === index);
    if (!isLeading || axes.length === 0 || x.dtype !== 'float32') return original(call);
    const backend = call.backend as WasmBackend;
    const kept = x.shape.slice(axes.length);
    const out = backend.makeOutput(keepDims ? [...axes.map(() => 1), ...kept] : kept, 'float32');
    sumRows(backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(out));
    return out;
  });
}

function sumRows(rows: ArrayLike<number>, sums: Float32Array | Int32Array | Uint8Array): void {
  const totals = new Float64Array(sums.length);
  for (let start = 0; start < rows.length; start += totals.length) {
    for (let i = 0; i < totals.length; i++) totals[i] += rows[start + i];
  }
  sums.set(totals);
}
