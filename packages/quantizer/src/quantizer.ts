import {
  assertArray,
  assertHoldsIndices,
  assertHoldsValues,
  float32View,
  kindOf,
  typedArrayName,
} from './array-argument.js';
import {
  type Assignment,
  exactAssignment,
  exactValue,
  type Interval,
  linearAssignment,
  referenceAssignment,
  referenceValue,
} from './assignment.js';
import {
  binBoundaries,
  type CodebookOptions,
  reconstructionValues,
  referenceCodebook,
  type Spacing,
  type Tails,
} from './codebook.js';
import { float32Paths } from './float32-path.js';
import { optionsFromJSON, type QuantizerJSON, type QuantizerOptions, resolveOptions, toJSON } from './options.js';
import { exactThresholds } from './thresholds.js';

/** Indices: one byte each up to 256 levels, two bytes beyond. */
export type Indices = Uint8Array | Uint16Array;

/** The arrays that `dequantize` accepts. */
export type IndexArray = Indices | Int32Array | Uint32Array | readonly number[];

/**
 * A scalar quantizer of latents (paper, Sec. 3.1). Arrays are flat with the channels last; with per-channel intervals
 * their length is a multiple of `channels`.
 */
export type Quantizer = {
  readonly levels: number;
  /** 1 if all channels share one interval, else the number of intervals. */
  readonly channels: number;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly range: number;
  readonly spacing: Spacing;
  readonly tails: Tails;
  /** Reconstruction values γ on the normalized axis [levels] (Eq. 3), float64. */
  readonly codebook: Float64Array;
  /** Bin boundaries b on the normalized axis [levels + 1] (Eq. 2); the outer two are infinite with unbounded tails. */
  readonly boundaries: Float64Array;
  /** Reconstruction values in units of x [channels, levels], row-major, float64. */
  readonly values: Float64Array;
  /** The same as `dequantize` returns them, in float32 [channels, levels]. */
  readonly float32Values: Float32Array;
  /** Smallest float32 that gets each index but the first [channels, levels − 1]: the index of x is how many are ≤ x. */
  float32Thresholds(): Float32Array;

  /**
   * Quantizes latents to the index of the nearest codeword (Eq. 4), the lower index on ties. With linear spacing it is the
   * index of the bin. ±Infinity get the first and the last index. A Float32Array (and a Float16Array) gets exactly the
   * released code's float32 arithmetic (gaussian spacing, clamped tails), any other input float64 arithmetic; the two differ
   * only within rounding of the midpoint between codewords. Arrays of other realms and subclasses count as what they are.
   *
   * @param x - latents, channels last
   * @param out - receives the indices; by default a new Uint8Array, or Uint16Array above 256 levels
   * @throws RangeError if a value is NaN (its position and channel are named; `out` is then partly written), the length
   *   does not fit the channels or `out`, or `out` is too narrow for the indices; TypeError if x or `out` is not an array,
   *   or x not of numbers
   */
  quantize(x: ArrayLike<number>, out?: Indices): Indices;

  /**
   * De-quantizes indices to the values of their codewords (Eq. 5), in units of the latents.
   *
   * @param out - by default a new Float32Array, with the values the released code computes; a Float64Array receives
   *   `values`
   * @throws RangeError if an index is not an integer in [0, levels), a length does not fit, or `out` would round the
   *   values; TypeError if `indices` or `out` is not an array
   */
  dequantize(indices: IndexArray, out?: Float32Array): Float32Array;
  dequantize(indices: IndexArray, out: Float64Array): Float64Array;

  /** Returns plain data for `fromJSON`. */
  toJSON(): QuantizerJSON;
};

/**
 * Creates a quantizer.
 *
 * @param options.levels - number of codewords B, an integer from 2 to 65536 (default 64)
 * @param options.min - lower end of the interval that is mapped to −range: a number, or one per channel (default −5)
 * @param options.max - upper end (default 5)
 * @param options.range - r, in standard deviations (default 3)
 * @param options.spacing - 'gaussian': bins of equal probability (Eq. 2); 'linear': B equal bins over [min, max]
 * @param options.tails - 'clamped': the outer bins end at ±range, as in the released code, so released weights need it;
 *   'unbounded': they reach to infinity (Eq. 3 to the letter), and x is not clamped to the interval
 * @throws RangeError or TypeError naming the option that does not fit
 */
export function createQuantizer(options: QuantizerOptions = {}): Quantizer {
  const resolved = resolveOptions(options);
  const { levels, spacing } = resolved;
  const boundaries = binBoundaries(resolved);
  const codebook = reconstructionValues(boundaries, spacing);
  const intervals = Array.from(resolved.min, (min, channel) => ({ min, max: resolved.max[channel] }));
  const channels = intervals.length;
  const { assignments, values } = float64Rules(resolved, codebook, intervals);
  const float32 = float32Rules(resolved, codebook, intervals) ?? { assignments, values: Float32Array.from(values) };
  const thresholds = lazy(() =>
    float32.assignments.map((assign, channel) => exactThresholds(assign, midpoints(values, levels, channel))),
  );
  const quantizeFloat32 = lazy(() => {
    const { simd, table, search } = float32Paths(thresholds());
    return simd ?? table ?? search;
  });

  return {
    ...resolved,
    channels,
    codebook,
    boundaries,
    values,
    float32Values: float32.values,
    float32Thresholds: lazy(() => Float32Array.from(thresholds().flatMap((ofChannel) => [...ofChannel]))),
    quantize(x, output) {
      checkInput('quantize', 'x', x, channels);
      const out = output ?? (levels <= 256 ? new Uint8Array(x.length) : new Uint16Array(x.length));
      assertHoldsIndices('quantize', out, levels);
      checkLength('quantize', 'x', x, out);
      const floats = float32View(x);
      const anyBad = floats ? quantizeFloat32()(floats, out) : assignEach(assignments, x, out);
      if (anyBad) throwAtFirstBad(x, channels);
      return out;
    },
    dequantize(indices: IndexArray, output?: Float32Array | Float64Array) {
      checkInput('dequantize', 'indices', indices, channels);
      const out = output ?? new Float32Array(indices.length);
      assertHoldsValues('dequantize', out);
      checkLength('dequantize', 'indices', indices, out);
      readValues(typedArrayName(out) === 'Float64Array' ? values : float32.values, indices, levels, out);
      // biome-ignore lint/suspicious/noExplicitAny: `out` decides the type, as the overloads say.
      return out as any;
    },
    toJSON: () => toJSON(resolved),
  };
}

/**
 * Makes the quantizer that `toJSON` described.
 *
 * @throws TypeError or RangeError naming the field that is missing, unexpected or malformed
 */
export function fromJSON(json: unknown): Quantizer {
  return createQuantizer(optionsFromJSON(json));
}

/** Assignment of each channel, and the values of all codewords in units of x [channels · levels]. */
type Rules<Values> = { assignments: Assignment[]; values: Values };

function float64Rules(options: CodebookOptions, codebook: Float64Array, intervals: Interval[]): Rules<Float64Array> {
  const { levels, range, spacing, tails } = options;
  return {
    assignments: intervals.map((interval) =>
      spacing === 'linear'
        ? linearAssignment(levels, interval)
        : exactAssignment(codebook, range, interval, tails === 'clamped'),
    ),
    values: Float64Array.from(
      intervals.flatMap((interval) => Array.from(codebook, (gamma) => exactValue(gamma, range, interval))),
    ),
  };
}

/** The released code's float32 arithmetic, for the variant that it has. */
function float32Rules(
  { levels, range, spacing, tails }: CodebookOptions,
  codebook: Float64Array,
  intervals: Interval[],
): Rules<Float32Array> | undefined {
  if (spacing !== 'gaussian' || tails !== 'clamped') return undefined;
  const rounded = referenceCodebook(levels, range, codebook);
  return {
    assignments: intervals.map((interval) => referenceAssignment(rounded, range, interval)),
    values: Float32Array.from(
      intervals.flatMap((interval) => Array.from(rounded, (gamma) => referenceValue(gamma, range, interval))),
    ),
  };
}

function lazy<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Computes the midpoints between neighbouring values of one channel. */
function midpoints(values: Float64Array, levels: number, channel: number): Float64Array {
  const ofChannel = values.subarray(channel * levels, (channel + 1) * levels);
  return ofChannel.subarray(1).map((value, i) => (ofChannel[i] + value) / 2);
}

const isBad = (value: unknown) => typeof value !== 'number' || Number.isNaN(value);

/** Writes the index of every value, and stops at one that is NaN or not a number. @returns whether there was one */
function assignEach(assignments: readonly Assignment[], x: ArrayLike<number>, out: Indices): boolean {
  const channels = assignments.length;
  for (let i = 0; i < x.length; i++) {
    const value = x[i];
    if (isBad(value)) return true;
    out[i] = assignments[i % channels](value);
  }
  return false;
}

function readValues(
  values: ArrayLike<number>,
  indices: IndexArray,
  levels: number,
  out: Float32Array | Float64Array,
): void {
  for (let i = 0, start = 0; i < indices.length; i++) {
    const index = indices[i];
    if (!(index >= 0 && index < levels && Number.isInteger(index)))
      throw new RangeError(`dequantize: indices must be integers in [0, ${levels}), got ${index} at position ${i}`);
    out[i] = values[start + index];
    start += levels;
    if (start === values.length) start = 0;
  }
}

function throwAtFirstBad(x: ArrayLike<number>, channels: number): never {
  const position = Array.prototype.findIndex.call(x, isBad);
  const where = channels > 1 ? `position ${position} (channel ${position % channels})` : `position ${position}`;
  if (Number.isNaN(x[position])) throw new RangeError(`quantize: x must not contain NaN, got NaN at ${where}`);
  throw new TypeError(`quantize: x must be flat and hold numbers alone, got ${kindOf(x[position])} at ${where}`);
}

function checkInput(name: string, argument: string, input: unknown, channels: number): void {
  assertArray(name, argument, input);
  if (input.length % channels !== 0)
    throw new RangeError(
      `${name}: length of ${argument} must be a multiple of ${channels} channels, got ${input.length}`,
    );
}

function checkLength(name: string, argument: string, input: ArrayLike<number>, out: ArrayLike<number>): void {
  if (out.length !== input.length)
    throw new RangeError(`${name}: out must have the length ${input.length} of ${argument}, got ${out.length}`);
}
