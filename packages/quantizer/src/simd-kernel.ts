// The lookup of lookup-table.ts for levels ≤ 256, sixteen values at a time in WebAssembly SIMD.
//
// Memory: tables, one after another (per bucket: float32 threshold, int32 first index) | where the table of each value
// of a period starts (int32) | a block of input | a block of indices. The period is 16 values when all channels share
// one table, and the least common multiple of 16 and the number of channels otherwise.

import type { LookupTable } from './lookup-table.js';
import {
  f32x4,
  get,
  i8x16,
  i16x8,
  i32,
  i32x4,
  moduleWithFunction,
  repeatWhile,
  select,
  set,
  tee,
  type,
  v128,
} from './wasm-assembler.js';

const LANES = 16;
const BUCKET_BYTES = 8;
const BLOCK_VALUES = 16384;
const PAGE_BYTES = 65536;
const LARGEST_MEMORY = 2 ** 28;

/** Writes the indices of `x` and returns whether a value was NaN. */
export type SimdKernel = (x: Float32Array, indices: Uint8Array) => boolean;

/** A kernel for a table; undefined where WebAssembly SIMD is missing or the table is too large. */
export function createSimdKernel(table: LookupTable): SimdKernel | undefined {
  const module = compileOnce();
  const { channels, buckets, shift } = table;
  const period = leastCommonMultiple(LANES, channels);
  const block = period * Math.max(1, Math.floor(BLOCK_VALUES / period));
  const starts = channels * buckets * BUCKET_BYTES;
  const input = starts + 4 * period;
  const output = input + 4 * block;
  const bytes = output + block;
  if (!module || bytes > LARGEST_MEMORY) return undefined;

  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
  writeBuckets(memory.buffer, table);
  const startOfValue = Int32Array.from({ length: period }, (_, i) => (i % channels) * buckets * BUCKET_BYTES);
  new Int32Array(memory.buffer, starts, period).set(startOfValue);
  const inputBlock = new Float32Array(memory.buffer, input, block);
  const outputBlock = new Uint8Array(memory.buffer, output, block);
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports.lookUp as (...args: number[]) => number;

  return (x, indices) => {
    let anyNaN = 0;
    for (let from = 0; from < x.length; from += block) {
      const values = x.subarray(from, from + block);
      const padded = Math.ceil(values.length / LANES) * LANES;
      inputBlock.set(values);
      inputBlock.fill(0, values.length, padded);
      anyNaN |= run(input, output, output + padded, starts, input, shift - Math.log2(BUCKET_BYTES));
      indices.set(outputBlock.subarray(0, values.length), from);
    }
    return anyNaN !== 0;
  };
}

function writeBuckets(buffer: ArrayBuffer, { thresholds, firstIndices }: LookupTable): void {
  const view = new DataView(buffer);
  thresholds.forEach((threshold, bucket) => {
    view.setFloat32(bucket * BUCKET_BYTES, threshold, true);
    view.setInt32(bucket * BUCKET_BYTES + 4, firstIndices[bucket], true);
  });
}

let compiled: WebAssembly.Module | null | undefined;

function compileOnce(): WebAssembly.Module | null {
  if (compiled === undefined) {
    try {
      compiled = new WebAssembly.Module(assembleKernel());
    } catch {
      compiled = null; // no WebAssembly, no SIMD, or forbidden by a content security policy
    }
  }
  return compiled;
}

/** lookUp(input, output, outputEnd, starts, startsEnd, shift) → whether a value was NaN. */
function assembleKernel(): Uint8Array<ArrayBuffer> {
  const [input, output, outputEnd, starts, startsEnd, shift, start] = [0, 1, 2, 3, 4, 5, 6];
  const [anyNaN, values, addresses, low, high] = [7, 8, 9, 10, 11];
  const advance = (local: number, bytes: number) => [...get(local), ...i32.constant(bytes), ...i32.add];
  const bucketOf = (lane: number) => [...get(addresses), ...i32x4.extractLane(lane)];

  /** Leaves the int32 indices of the four values at input + 16·group on the stack. */
  const fourIndices = (group: number) => [
    ...[get(input), v128.load(16 * group), tee(values), get(values), f32x4.notEqual],
    ...[get(anyNaN), v128.or, set(anyNaN)],
    // The address of a value's bucket: its table's start + 8 · (bit pattern >>> shift).
    ...[get(values), get(shift), i32x4.shiftRightUnsigned, i32.constant(-BUCKET_BYTES), i32x4.splat, v128.and],
    ...[get(start), v128.load(16 * group), i32x4.add, set(addresses)],
    ...[bucketOf(0), v128.load64Zero(0), set(low), bucketOf(1), get(low), v128.load64Lane(1, 0), set(low)],
    ...[bucketOf(2), v128.load64Zero(0), set(high), bucketOf(3), get(high), v128.load64Lane(1, 0), set(high)],
    // First index minus the comparison's mask: −1 where the threshold is reached.
    ...[get(low), get(high), i8x16.shuffle(words(1, 3, 5, 7)), get(values)],
    ...[get(low), get(high), i8x16.shuffle(words(0, 2, 4, 6)), f32x4.greaterOrEqual, i32x4.subtract],
  ];
  return moduleWithFunction(
    'lookUp',
    6,
    [
      { count: 1, type: type.i32 }, // start
      { count: 5, type: type.v128 }, // anyNaN, values, addresses, low, high
    ],
    [
      ...[get(starts), set(start)],
      repeatWhile(
        get(output),
        ...[...fourIndices(0), ...fourIndices(1), i16x8.narrowI32x4Signed],
        ...[...fourIndices(2), ...fourIndices(3), i16x8.narrowI32x4Signed],
        ...[i8x16.narrowI16x8Unsigned, v128.store(0)],
        ...[advance(input, 4 * LANES), set(input)],
        // The table starts of the next values: after the last ones, the first again.
        ...[advance(start, 4 * LANES), tee(start), get(starts), get(start), get(startsEnd), i32.lessThan, select],
        ...[set(start), advance(output, LANES), tee(output), get(outputEnd), i32.lessThan],
      ),
      ...[get(anyNaN), v128.anyTrue],
    ],
  );
}

/** Byte lanes of four 32-bit words of two vectors laid end to end. */
const words = (...indices: number[]) => indices.flatMap((word) => [0, 1, 2, 3].map((byte) => 4 * word + byte));

function leastCommonMultiple(a: number, b: number): number {
  let [divisor, rest] = [a, b];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return (a / divisor) * b;
}
