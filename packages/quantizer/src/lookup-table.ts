// Quantization of float32 values without arithmetic on them. The leading bits of a float32's pattern (sign, exponent
// and a few of the mantissa) name a bucket: an interval that holds at most one threshold. So the index is the bucket's
// first index, plus one if the value reaches the bucket's threshold. This is exact, branch-free, the same for every
// range and number of levels, and needs no clamping: ±Infinity have buckets too.

import { countAtMost } from './thresholds.js';

/** The tables of all channels, one after another. */
export type LookupTable = {
  channels: number;
  /** A float32's bucket is its bit pattern >>> shift. */
  shift: number;
  /** Buckets of one channel: 2^(32 − shift). */
  buckets: number;
  /** Threshold of each bucket [channels · buckets], NaN where it has none. */
  thresholds: Float32Array;
  /** Index of each bucket's smallest value [channels · buckets]. */
  firstIndices: Uint16Array;
};

const SIGN_AND_EXPONENT_BITS = 9;
const LARGEST_MANTISSA_BITS = 9;

/**
 * Makes the smallest table for the thresholds of each channel; undefined if a channel would need more than 2^18 buckets
 * (some thousand levels), or if indices are skipped (codewords that coincide).
 */
export function createLookupTable(channels: readonly Float32Array[]): LookupTable | undefined {
  if (channels.some((thresholds) => thresholds.some((t, i) => i > 0 && t === thresholds[i - 1]))) return undefined;
  const patterns = channels.map((t) => new Uint32Array(t.buffer, t.byteOffset, t.length));
  for (let mantissaBits = 0; mantissaBits <= LARGEST_MANTISSA_BITS; mantissaBits++) {
    const shift = 32 - SIGN_AND_EXPONENT_BITS - mantissaBits;
    const separates = (ascending: Uint32Array) =>
      ascending.every((pattern, i) => i === 0 || pattern >>> shift !== ascending[i - 1] >>> shift);
    if (patterns.every(separates)) return fillTable(channels, shift);
  }
  return undefined;
}

function fillTable(channels: readonly Float32Array[], shift: number): LookupTable {
  const buckets = 2 ** (32 - shift);
  const thresholds = new Float32Array(channels.length * buckets).fill(Number.NaN);
  const firstIndices = new Uint16Array(channels.length * buckets);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const [smallest, largest] = bucketEnds(bucket, shift);
    channels.forEach((ascending, channel) => {
      const first = countAtMost(ascending, smallest);
      firstIndices[channel * buckets + bucket] = first;
      if (ascending[first] <= largest) thresholds[channel * buckets + bucket] = ascending[first];
    });
  }
  return { channels: channels.length, shift, buckets, thresholds, firstIndices };
}

/** Smallest and largest number of a bucket. Beyond an infinity's pattern lie the NaNs. */
function bucketEnds(bucket: number, shift: number): [smallest: number, largest: number] {
  const infinity = 0x7f800000;
  const isNegative = bucket >>> (31 - shift) === 1;
  const pattern = (bucket << shift) & 0x7fffffff;
  const [near, far] = new Float32Array(
    Int32Array.of(Math.min(pattern, infinity), Math.min(pattern | (2 ** shift - 1), infinity)).buffer,
  );
  return isNegative ? [-far, -near] : [near, far];
}

/**
 * Writes the index of every value, the channels varying fastest.
 * @returns whether a value was NaN
 */
export function lookUp(table: LookupTable, x: Float32Array, indices: Uint8Array | Uint16Array): boolean {
  const { shift, buckets, thresholds, firstIndices } = table;
  const patterns = new Int32Array(x.buffer, x.byteOffset, x.length);
  const end = thresholds.length;
  let anyNaN = 0;
  for (let i = 0, start = 0; i < patterns.length; i++) {
    const pattern = patterns[i];
    const bucket = start + (pattern >>> shift);
    anyNaN |= 0x7f800000 - (pattern & 0x7fffffff); // negative for a NaN alone
    indices[i] = firstIndices[bucket] + Number(x[i] >= thresholds[bucket]);
    start += buckets;
    if (start === end) start = 0;
  }
  return anyNaN < 0;
}
