import { crc32 } from 'node:zlib';
import type { HostTensor } from '@tb/io';

/**
 * Weights of Inception-v3 made by the integer hash that the golden set's `inception/weights.json` describes: the
 * published weights cannot be shipped, and random ones would need a file of 91 MB.
 */
type Recipe = { salt: number; tensors: Record<string, { shape: number[]; a: number; b: number }> };

export function formulaWeights({ salt, tensors }: Recipe): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, a, b }]) => {
      const hash = (crc32(name) ^ salt) >>> 0;
      const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
      for (let i = 0; i < data.length; i++) data[i] = a + b * signedUnit((Math.imul(i, 0x9e3779b1) + hash) >>> 0);
      return [name, { dtype: 'F32', shape, data }];
    }),
  );
}

/** A number in (−1, 1) with 24 bits, from a 32-bit mixing function. */
function signedUnit(seed: number): number {
  let x = seed;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return (2 * (x >>> 8) + 1 - 2 ** 24) / 2 ** 24;
}
