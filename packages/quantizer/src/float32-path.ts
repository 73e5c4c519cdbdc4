// How a Float32Array is quantized: the fastest of three ways that all give the same indices.

import { typedArrayName } from './array-argument.js';
import { createLookupTable, lookUp } from './lookup-table.js';
import { createSimdKernel } from './simd-kernel.js';
import { countAtMost } from './thresholds.js';

/** Writes the index of every value, the channels varying fastest, and returns whether a value was NaN. */
export type Float32Path = (x: Float32Array, indices: Uint8Array | Uint16Array) => boolean;

/** The ways to quantize, fastest first; those that do not apply are undefined. */
export type Float32Paths = { simd?: Float32Path; table?: Float32Path; search: Float32Path };

/** Makes the ways to quantize. @param thresholds - per channel, ascending [levels − 1] */
export function float32Paths(thresholds: readonly Float32Array[]): Float32Paths {
  const table = createLookupTable(thresholds);
  const levels = thresholds[0].length + 1;
  return {
    simd: table && levels <= 256 ? simdPath(table) : undefined,
    table: table && ((x, indices) => lookUp(table, x, indices)),
    search: (x, indices) => search(thresholds, x, indices),
  };
}

function simdPath(table: NonNullable<ReturnType<typeof createLookupTable>>): Float32Path | undefined {
  const kernel = createSimdKernel(table);
  const isBytes = (indices: Uint8Array | Uint16Array): indices is Uint8Array =>
    typedArrayName(indices) === 'Uint8Array';
  return kernel && ((x, indices) => (isBytes(indices) ? kernel(x, indices) : lookUp(table, x, indices)));
}

function search(thresholds: readonly Float32Array[], x: Float32Array, indices: Uint8Array | Uint16Array): boolean {
  let anyNaN = false;
  for (let i = 0; i < x.length; i++) {
    anyNaN ||= Number.isNaN(x[i]);
    indices[i] = countAtMost(thresholds[i % thresholds.length], x[i]);
  }
  return anyNaN;
}
