import type * as tf from '@tensorflow/tfjs-core';
import { replaceKernel } from '../composed-kernel.js';
import type { WasmBackend } from './wasm-backend.js';

/**
 * Registers UnsortedSegmentSum, the gradient of gather and so of every embedding, which the WASM backend lacks: adds
 * each row of `x` to the row of the result that its segment names. A negative segment drops its row.
 */
export function registerSegmentSum(): void {
  replaceKernel('wasm', 'UnsortedSegmentSum', ({ inputs, backend: tfBackend, attrs }) => {
    const backend = tfBackend as WasmBackend;
    const { x, segmentIds } = inputs as Record<string, tf.TensorInfo>;
    const { numSegments } = attrs as unknown as { numSegments: number };
    const innerShape = x.shape.slice(segmentIds.shape.length);
    const out = backend.makeOutput([numSegments, ...innerShape], x.dtype);
    const [rows, segments, sums] = [x, segmentIds, out].map((tensor) => backend.typedArrayFromHeap(tensor));
    const width = innerShape.reduce((product, size) => product * size, 1);
    sums.fill(0);
    segments.forEach((segment, row) => {
      if (segment < 0) return;
      for (let i = 0; i < width; i++) sums[segment * width + i] += rows[row * width + i];
    });
    return out;
  });
}
